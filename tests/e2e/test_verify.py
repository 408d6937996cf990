# SPDX-License-Identifier: GPL-3.0-or-later
"""cairn verify: what is right passes, and each thing that can be wrong is named in a line of its own, with exit status 1."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from logmaker import REPO, LogMaker, Signer
from support import BINARY, SANITIZER
from tlog import Proof

FILES = {"config.json": b"{}", "model.bin": b"\0weights" * 5000, "sub/folder/notes.md": b"hello\n", "empty": b""}


def cairn(*arguments, state, **environment):
    done = subprocess.run([BINARY, "verify", *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "XDG_STATE_HOME": str(state), **environment})
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


@pytest.fixture
def verify(tmp_path):
    """Runs cairn verify, with a memory of its own for each test."""
    return lambda *arguments, **environment: cairn(*arguments, state=tmp_path / "state", **environment)


def passes(done, *words):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nverified\n") and "failed:" not in done.stderr
    for word in words:
        assert word in done.stdout + done.stderr
    return done


def fails(done, *words, status=1):
    """Exactly one line says why, and it has all the words."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "\nverified\n" not in "\n" + done.stdout
    lines = [line for line in done.stderr.splitlines() if re.match("failed|unable|misused", line)]
    matching = [line for line in lines if all(word in line for word in words)]
    assert len(matching) == 1, done.stderr
    return lines


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


class Case:
    """A log of a few entries by others, with a manifest of FILES in it; a folder of those files; a proof; a policy."""

    def __init__(self, path, witnesses=3):
        self.path = path
        self.log = LogMaker(witnesses=witnesses)
        for number in range(5):
            self.log.add("commit", {"op": "push", "protected": False}, repo=f"{number % 2:032x}")
        self.commitment, self.opening = self.log.opening("ref", "refs/heads/main")
        self.index = self.log.add_manifest(FILES)
        for number in range(300):
            self.log.add("commit", {"op": "push", "protected": False}, repo=f"{number % 3:032x}")
        self.folder = write_files(path / "flora", FILES)
        self.policy = path / "policy.txt"
        self.policy.write_text(self.log.policy())

    def write(self, text, name="flora.tlog-proof"):
        (self.path / name).write_text(text)
        return self.path / name

    def proof(self, **how):
        return self.write(self.log.proof(self.index, **({"files": FILES} | how)))


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


# ---- a folder against a proof


def test_a_folder_that_is_what_was_logged_passes(case, verify):
    done = passes(verify(case.folder, "--proof", case.proof(), "--policy", case.policy),
                  "4 files", "306 entries", "quorum", "3 witnesses")
    assert case.log.entries[case.index].decode() in done.stdout
    passes(verify(case.folder, "--proof", case.proof(), "--vkey", case.log.signer.vkey), "No witness was asked for")
    passes(verify(case.folder, "--proof", case.proof(files=None), "--policy", case.policy))


def test_a_hub_in_the_environment_is_asked_only_about_a_repo(case, verify):
    arguments = case.folder, "--proof", case.proof(), "--policy", case.policy
    passes(verify(*arguments, CAIRN_HUB="http://127.0.0.1:9"))
    fails(verify(case.folder, "--repo", "a/b", CAIRN_HUB="http://127.0.0.1:9"), "cannot be reached", status=3)
    assert verify(*arguments, "--hub", "http://127.0.0.1:9").returncode == 2


def test_a_proof_can_be_verified_alone(case, verify):
    done = passes(verify("--proof", case.proof(), "--policy", case.policy), "No files were checked")
    assert "files are" not in done.stdout
    passes(verify("--proof", case.write(case.log.proof(0)), "--policy", case.policy), "type commit")


@pytest.mark.parametrize("listed", [True, False])
def test_each_file_that_differs_is_named(case, verify, listed):
    def check(*words):
        done = verify(case.folder, "--proof", case.proof(**({} if listed else {"files": None})), "--policy", case.policy)
        return fails(done, *(words if listed else ["dirHash1", "no list"]))

    (case.folder / "model.bin").write_bytes(b"\1" + FILES["model.bin"][1:])
    check("files: changed: model.bin")
    (case.folder / "model.bin").unlink()
    check("files: missing: model.bin")
    write_files(case.folder, {"model.bin": FILES["model.bin"], "sub/evil.py": b"import os"})
    check("files: extra: sub/evil.py")
    (case.folder / "sub/evil.py").unlink()
    (case.folder / "empty").rename(case.folder / "more")
    if listed:
        assert len(check("files: missing: empty")) == len(check("files: extra: more")) == 2
    else:
        check()


def test_swapped_names_are_noticed(case, verify):
    write_files(case.folder, {"config.json": FILES["sub/folder/notes.md"], "sub/folder/notes.md": FILES["config.json"]})
    done = verify(case.folder, "--proof", case.proof(), "--policy", case.policy)
    fails(done, "changed: config.json")
    fails(done, "changed: sub/folder/notes.md")


def test_what_a_download_leaves_beside_the_files_is_no_extra_file(case, verify):
    write_files(case.folder, {".cache/huggingface/download/model.bin.metadata": b"x", ".gitattributes": b"*.bin filter=lfs",
                              ".git/HEAD": b"ref: x"})
    shutil.copy(case.proof(), case.folder / "flora.tlog-proof")
    passes(verify(case.folder, "--proof", case.folder / "flora.tlog-proof", "--policy", case.policy), ".gitattributes")
    write_files(case.folder, {".cache/evil.py": b"x"})
    fails(verify(case.folder, "--proof", case.proof(), "--policy", case.policy), "extra: .cache/evil.py")


def test_files_beside_the_model_that_were_logged_count(tmp_path, verify):
    files = FILES | {".cache/huggingface/x": b"x"}
    log = LogMaker()
    index = log.add_manifest(files)
    folder = write_files(tmp_path / "m", files)
    for listed in (files, None):
        (tmp_path / "p").write_text(log.proof(index, files=listed))
        passes(verify(folder, "--proof", tmp_path / "p", "--vkey", log.signer.vkey), "5 files")
        (folder / ".cache/huggingface/x").write_bytes(b"y")
        fails(verify(folder, "--proof", tmp_path / "p", "--vkey", log.signer.vkey), "changed: .cache" if listed else "dirHash1")
        (folder / ".cache/huggingface/x").write_bytes(b"x")


def test_links_are_followed_only_when_allowed(case, verify):
    (case.folder / "model.bin").rename(case.path / "blob")
    (case.folder / "model.bin").symlink_to(case.path / "blob")
    fails(verify(case.folder, "--proof", case.proof(), "--policy", case.policy), "link: model.bin")
    passes(verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--links"))
    (case.path / "blob").write_bytes(b"other")
    fails(verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--links"), "changed: model.bin")


def test_part_of_a_download_can_be_verified(case, verify):
    (case.folder / "model.bin").unlink()
    passes(verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--partial"), "3 files", "1 files that were logged are not")
    fails(verify(case.folder, "--proof", case.proof(files=None), "--policy", case.policy, "--partial"), "list of files", status=3)
    (case.folder / "config.json").write_bytes(b"[]")
    fails(verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--partial"), "changed: config.json")
    shutil.rmtree(case.folder)
    case.folder.mkdir()
    fails(verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--partial"), "None of the 4 files")


def test_names_cannot_steer_the_terminal(case, verify):
    (case.folder / "a\x1b[2Jb").write_bytes(b"x")
    done = verify(case.folder, "--proof", case.proof(), "--policy", case.policy)
    assert done.returncode == 1 and "\x1b" not in done.stdout + done.stderr
    fails(done, "a?[2Jb")


# ---- what is wrong with the proof


def test_a_leaf_that_was_changed_is_refused(case, verify):
    leaf = case.log.entries[case.index].decode()
    changed = leaf.replace('"files":4', '"files":5')
    assert changed != leaf
    fails(verify("--proof", case.proof(leaf=changed), "--policy", case.policy), "does not show that the entry is number 5")


def test_a_hash_that_was_changed_is_refused(case, verify):
    text = case.log.proof(case.index, files=FILES)
    path = Proof(text).path
    path[3] = bytes([path[3][0] ^ 1]) + path[3][1:]
    fails(verify("--proof", case.proof(path=path), "--policy", case.policy), "does not show that the entry is number 5")


def test_a_checkpoint_that_was_changed_is_refused(case, verify):
    text = case.log.proof(case.index, files=FILES).replace("\n306\n", "\n307\n")
    fails(verify("--proof", case.write(text), "--policy", case.policy), "signature of hub.example.org/log does not fit")


@pytest.mark.parametrize("who", ["hub.example.org/log", "witness.example/w1"])
def test_a_signature_that_was_changed_is_refused(case, verify, who):
    text = case.log.proof(case.index, files=FILES)
    (line,) = re.findall(f"\u2014 {who} .*\n", text)
    changed = line[:-12] + ("A" if line[-12] != "A" else "B") + line[-11:]
    fails(verify("--proof", case.write(text.replace(line, changed)), "--policy", case.policy), f"signature of {who} does not fit")


def test_another_key_is_not_the_logs(case, verify):
    other = Signer("hub.example.org/log")
    fails(verify("--proof", case.proof(), "--vkey", other.vkey), "not signed by a log that is trusted here")
    fails(verify("--proof", case.proof(checkpoint=case.log.checkpoint(signer=other)), "--policy", case.policy),
          "not signed by a log that is trusted here")


def test_a_quorum_that_is_not_met_is_refused(case, verify):
    proof = case.proof(checkpoint=case.log.checkpoint(cosigned=2))
    fails(verify("--proof", proof, "--policy", case.policy), "signed by 2 of the policy's witnesses")
    case.policy.write_text(case.log.policy(quorum="2"))
    passes(verify("--proof", proof, "--policy", case.policy), "2 witnesses")


def test_a_checkpoint_that_is_too_old_is_refused(case, verify):
    """Who is kept at an old state of the log must notice, if he wants to."""
    now = int(time.time())

    def proof(*ages):
        text = case.log.checkpoint(cosigned=0).rpartition("\n\n")[0] + "\n"
        lines = [witness.line(text, now - age) for witness, age in zip(case.log.witnesses, ages)]
        return case.proof(checkpoint=text + "\n" + case.log.signer.line(text) + "".join(lines))

    passes(verify("--proof", proof(10, 20, 3000), "--policy", case.policy, "--max-age", "1h"))
    fails(verify("--proof", proof(10, 20, 4000), "--policy", case.policy, "--max-age", "1h"), "age:", "too long ago")
    case.policy.write_text(case.log.policy(quorum="2"))
    passes(verify("--proof", proof(10, 20, 4000), "--policy", case.policy, "--max-age", "60m"))
    fails(verify("--proof", proof(10, 4000, 4000), "--policy", case.policy, "--max-age", "3600s"), "age:")
    passes(verify("--proof", proof(10, 4000, 4000), "--policy", case.policy, "--max-age", "1d"))
    (case.path / "alone").write_text(f"log {case.log.signer.vkey}\nquorum none\n")
    for policy, age in ((case.policy, "1"), (case.policy, "h"), (case.policy, "-1h"), (case.policy, "0h"), (case.path / "alone", "1h")):
        assert verify("--proof", case.proof(), "--policy", policy, "--max-age", age).returncode == 2


@pytest.mark.parametrize("keep", [0, 10, 40, 400, 1500, -1, -30, -300])
def test_a_proof_that_was_cut_off_is_refused(case, verify, keep):
    text = case.log.proof(case.index, files=FILES)
    done = verify("--proof", case.write(text[:keep]), "--policy", case.policy)
    assert done.returncode == 1, done.stdout + done.stderr
    fails(done, "proof:")


def test_a_list_of_files_that_was_changed_is_refused(case, verify):
    other = FILES | {"model.bin": b"evil"}
    write_files(case.folder, other)
    done = verify(case.folder, "--proof", case.proof(files=other), "--policy", case.policy)
    fails(done, "list: The list of files in the proof is not the one that was logged")
    fails(done, "dirHash1")


def test_openings_are_checked_and_shown(case, verify):
    log = LogMaker()
    log.add("commit", {"op": "push", "protected": False})
    commitment, opening = log.opening("ref", "refs/heads/main")
    index = log.add("commit", {"op": "push", "protected": False}, com={"ref": commitment})
    proof = case.write(log.proof(index, openings=[opening]))
    passes(verify("--proof", proof, "--vkey", log.signer.vkey), 'passed: opening: The commitment "ref" opens as "refs/heads/main"')
    for wrong in ({"value": "refs/heads/evil"}, {"field": "name"}, {"secret": "00" * 32}):
        proof = case.write(log.proof(index, openings=[opening | wrong]))
        fails(verify("--proof", proof, "--vkey", log.signer.vkey), "opening:")


def test_a_leaf_that_is_no_manifest_says_nothing_of_files(case, verify):
    fails(verify(case.folder, "--proof", case.write(case.log.proof(0)), "--policy", case.policy), "type commit", "again", status=3)


def test_an_entry_that_is_no_leaf_is_refused(case, verify):
    log = LogMaker()
    log.entries = [b"one", b"two"]
    done = verify(case.folder, "--proof", case.write(log.proof(1)), "--vkey", log.signer.vkey, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["verdict"] == "failed"
    assert "leaf" not in json.loads(done.stdout)


# ---- what cannot be checked, and what is not understood


def test_what_cannot_be_read_is_no_success(case, verify, tmp_path):
    fails(verify(case.folder, "--proof", tmp_path / "nothing", "--policy", case.policy), "proof", status=3)
    fails(verify(tmp_path / "nowhere", "--proof", case.proof(), "--policy", case.policy), "nowhere", status=3)
    fails(verify(case.folder, "--proof", case.proof(), "--policy", tmp_path / "nothing"), "policy", status=3)
    fails(verify("--log", tmp_path / "nowhere", "--vkey", case.log.signer.vkey), "checkpoint", status=3)
    fails(verify("--log", "http://127.0.0.1:9", "--vkey", case.log.signer.vkey), "cannot be reached", status=3)
    fails(verify(case.folder, "--hub", "http://127.0.0.1:9", "--repo", "a/b"), "cannot be reached", status=3)


def test_options_that_leave_nothing_checked_are_errors(case, verify):
    proof, key = case.proof(), case.log.signer.vkey
    for arguments in [
        [], [case.folder], [case.folder, "--vkey", key], ["--proof", proof], ["--vkey", key], ["--policy", case.policy],
        ["--proof", proof, "--vkey", "nonsense"], ["--proof", proof, "--vkey", key, "--max-age", "1h"], ["--proof", proof, "--vkey", key, "--tensors"],
        ["--proof", proof, "--vkey", key, "--tensor", proof], [case.folder, "--proof", proof, "--vkey", key, "--tensor", proof, "--partial"],
        ["--proof", proof, "--vkey", key, "--partial"], ["--proof", proof, "--vkey", key, "--links"],
        ["--proof", proof, "--vkey", key, "--repo", "a/b"], ["--proof", proof, "--vkey", key, "--revision", "main"],
        ["--proof", proof, "--vkey", key, "--hub", "http://x", "--repo", "a/b"], ["--hub", "http://x", "--repo", "a/b"],
        [case.folder, "--hub", "hub.example.org", "--repo", "a/b"], [case.folder, "--hub", case.path, "--repo", "a/b"],
        [case.folder, "--hub", "http://x"], [case.folder, "--hub", "http://x", "--repo", "b"],
        [case.folder, "--hub", "http://x", "--repo", "a/b", "--type", "thing"],
        [case.folder, "--proof", proof, "--vkey", key, "--key", "k.pem"], [case.folder, "--bundle", "model.sig"],
        ["--bundle", "model.sig", "--key", "k.pem"], [case.folder, "--bundle", "m", "--key", "k", "--at", "2026-01-01T00:00:00Z"],
        [case.folder, "--bundle", "m", "--key", "k", "--certificate-chain", "c"],
        ["--log", "x", "--proof", proof, "--vkey", key], [case.folder, "--log", "x"], ["--proof", proof, "--vkey", key, "--state", "x"],
        [case.folder, case.folder, "--proof", proof, "--vkey", key], ["--nonsense"], ["--proof"],
    ]:
        done = verify(*arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_a_program_gets_json(case, verify):
    done = verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["verdict"] == "verified" and done.stderr == ""
    assert answer["leaf"] == json.loads(case.log.entries[case.index])
    assert (answer["log"]["size"], answer["log"]["index"], answer["log"]["cosignatures"]) == (306, case.index, 3)
    assert answer["log"]["seenBy"] == 1_700_000_000
    (case.folder / "empty").unlink()
    done = verify(case.folder, "--proof", case.proof(), "--policy", case.policy, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["verdict"] == "failed"
    assert [found["text"] for found in answer["findings"] if found["outcome"] == "failed"] == [
        "missing: empty was logged but is not here."]


# ---- whole logs


@pytest.fixture
def whole(tmp_path):
    """A log of several tiles, with everything in it that is checked."""
    log = LogMaker(witnesses=1)
    for number in range(600):
        log.add("commit", {"op": "push", "protected": False}, repo=f"{number * 7919 % 17:032x}")
        if number % 100 == 50:
            log.add_heads()
        if number % 200 == 7:
            log.add("void", {"index": number - 3}, repo=f"{3:032x}")
    log.add("something-new", {"x": 1}, repo=None)
    log.folder = tmp_path / "log"
    log.write(log.folder)
    log.check = lambda run: run("--log", log.folder, "--vkey", log.signer.vkey)
    return log


def test_a_whole_log_that_is_right_passes(whole, verify, tmp_path):
    passes(whole.check(verify), f"All {len(whole.entries)} entries", "17 repos", "6 lists of heads", "3 voids")
    (tmp_path / "policy").write_text(whole.policy())
    passes(verify("--log", whole.folder, "--policy", tmp_path / "policy"), "only grown")


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512])
def test_logs_of_any_size_pass_and_may_grow(whole, verify, size):
    whole.write(whole.folder, size)
    passes(whole.check(verify), f"All {size} entries")
    shutil.rmtree(whole.folder)
    whole.write(whole.folder)
    passes(whole.check(verify), f"only grown since it was last seen with {size} entries")


def test_partial_tiles_may_have_become_full_ones(whole, verify):
    whole.write(whole.folder, 300)  # beside the tiles of the larger log
    for name in ("tile/0/001.p", "tile/entries/001.p"):
        shutil.rmtree(whole.folder / name)
    passes(whole.check(verify), "All 300 entries")


def test_a_tile_that_was_tampered_with_is_named(whole, verify):
    for name in ("tile/0/001", f"tile/0/002.p/{len(whole.entries) - 512}", "tile/1/000.p/2"):
        path = whole.folder / name
        good = path.read_bytes()
        path.write_bytes(good[:40] + bytes([good[40] ^ 4]) + good[41:])
        fails(whole.check(verify), f"tile: {name} has another hash at place 1")
        path.write_bytes(good[:-1])
        fails(whole.check(verify), name, "promises")
        path.unlink()
        fails(whole.check(verify), name, "lacks")
        path.write_bytes(good)
    passes(whole.check(verify))


def test_an_entry_that_was_changed_is_named(whole, verify):
    path = whole.folder / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"op":"push"', b'"op":"merge"'[:11], 1))
    lines = fails(whole.check(verify), "leaf: Entry")
    assert any("tile/0/001 has another hash" in line for line in lines) and any("root:" in line for line in lines)


def test_an_entry_that_was_dropped_is_noticed(whole, verify):
    del whole.entries[300]
    note = (whole.folder / "checkpoint").read_text()
    shutil.rmtree(whole.folder)
    whole.write(whole.folder)
    (whole.folder / "checkpoint").write_text(note)
    fails(whole.check(verify), "entries:", "lacks")  # one entry less than the checkpoint covers
    whole.add("epoch", {"build": "00" * 32, "checkpoint": "00" * 32}, repo=None)
    whole.write(whole.folder)
    (whole.folder / "checkpoint").write_text(note)
    done = whole.check(verify)
    fails(done, "root:", "entries were changed or exchanged")
    fails(done, "chain:", "entries of it were left out")


def test_a_log_that_signs_anew_without_an_entry_is_caught_by_the_chain(whole, verify):
    """Its tiles and signature are in order: somebody who has never seen the log before must notice, too."""
    dropped = json.loads(whole.entries.pop(300))
    whole.write(whole.folder)
    done = whole.check(verify)
    fails(done, "chain:", f"repo {dropped['repo']}", f"but number {dropped['rseq']} should come")
    assert "root:" not in done.stderr and "tile:" not in done.stderr


def test_entries_that_do_not_follow_on_each_other_are_named(tmp_path, verify):
    log = LogMaker()
    log.add("commit", {"op": "push", "protected": False})
    log.add("commit", {"op": "push", "protected": False}, rprev="11" * 32)
    log.add("commit", {"op": "push", "protected": False}, rseq=0, rprev="00" * 32)
    log.write(tmp_path / "log")
    done = verify("--log", tmp_path / "log", "--vkey", log.signer.vkey)
    fails(done, "Entry 1 of repo", "names another hash")
    fails(done, "Entry 2 is number 0 of repo")


def test_wrong_heads_and_voids_are_named(tmp_path, verify):
    def check(log, *words):
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        log.write(tmp_path / "log")
        done = verify("--log", tmp_path / "log", "--vkey", log.signer.vkey)
        return fails(done, *words) if words else passes(done)

    def log_of(then):
        log = LogMaker()
        log.add("commit", {"op": "push", "protected": False})
        log.add("commit", {"op": "push", "protected": False}, repo="01" * 16)
        then(log)
        log.add_heads()
        return log

    check(log_of(lambda log: log.add_heads()))
    check(log_of(lambda log: log.add_heads(root="00" * 32)), "Entry 2 says that 2 repos have heads with the root 0000")
    check(log_of(lambda log: log.add_heads(covers=1)), "heads: Entry 2", "the first 1 entries give 1")
    check(log_of(lambda log: log.add_heads(covers=3)), "heads: Entry 2", "more than there are")
    check(log_of(lambda log: log.add("void", {"index": 1}, repo=None)))
    check(log_of(lambda log: log.add("void", {"index": 2}, repo=None)), "voids entry 2")


def test_heads_of_a_moment_ago_are_as_good(tmp_path, verify):
    """A hub computes them beside its writers."""
    log = LogMaker()
    for number in range(50):
        log.add("commit", {"op": "push", "protected": False}, repo=f"{number % 7:032x}")
        if number == 40:
            heads = dict(log.heads)
    newest, log.heads = log.heads, heads
    log.add_heads(covers=41)
    log.heads = newest
    log.add_heads()
    log.write(tmp_path / "log")
    passes(verify("--log", tmp_path / "log", "--vkey", log.signer.vkey), "2 lists of heads")


def test_another_key_did_not_sign_the_log(whole, verify):
    fails(verify("--log", whole.folder, "--vkey", Signer("hub.example.org/log").vkey), "checkpoint:")


def test_a_log_without_its_quorum_is_refused(whole, verify, tmp_path):
    (tmp_path / "policy").write_text(whole.policy())
    (whole.folder / "checkpoint").write_text(whole.checkpoint(cosigned=0))
    fails(verify("--log", whole.folder, "--policy", tmp_path / "policy"), "checkpoint:", "0 of the policy's witnesses")


def test_a_forked_log_is_caught_by_memory(whole, verify, tmp_path):
    passes(whole.check(verify))
    fork = LogMaker(signer=whole.signer, witnesses=1)
    for number in range(700):
        fork.add("commit", {"op": "merge", "protected": False})
    fork.write(tmp_path / "fork")
    lines = fails(verify("--log", tmp_path / "fork", "--vkey", whole.signer.vkey), "consistency:", "forked")
    one, other = re.search(r"kept in (\S+) and (\S+)\.$", lines[0]).groups()
    assert open(one).read() == whole.checkpoint() and open(other).read() == fork.checkpoint()
    passes(whole.check(verify))  # what was remembered is not lost
    assert verify("--log", tmp_path / "fork", "--vkey", whole.signer.vkey, "--state", tmp_path / "new").returncode == 0


def test_a_log_that_goes_back_is_caught_by_memory(whole, verify):
    passes(whole.check(verify))
    whole.write(whole.folder, 500)
    fails(whole.check(verify), "consistency:", "went back: it shows 500 entries")


def test_a_damaged_memory_is_not_taken_for_none(whole, verify, tmp_path):
    passes(whole.check(verify))
    (path,) = (tmp_path / "state/cairn/checkpoints").iterdir()
    path.write_text(path.read_text().replace("\n610\n", "\n611\n"))
    fails(whole.check(verify), "memory:", "damaged", status=3)


def test_a_key_is_taken_on_trust_once(whole, verify, tmp_path):
    passes(verify("--log", whole.folder), "taken on trust", whole.signer.vkey)
    passes(verify("--log", whole.folder), "the one that was taken on trust")
    fork = LogMaker()
    fork.add("commit", {"op": "merge", "protected": False})
    shutil.rmtree(whole.folder)
    fork.write(whole.folder)
    fails(verify("--log", whole.folder), "key:", fork.signer.vkey, whole.signer.vkey)
