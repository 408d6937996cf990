# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's code checks the log: the packages with which Go checks its own module database (tests/go/main.go)."""

import base64
import json
import os
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from support import ROOT, Hub
from tlog import Checkpoint, Log, digest, number_path

MANY = 300  # entries: more than a tile has


def built(folder, name):
    """name(words…) runs the Go program of that folder; it is built here, and Go keeps what it built."""
    program = ROOT / "build" / name
    done = subprocess.run(["go", "build", "-buildvcs=false", "-trimpath", "-o", program, "."], cwd=folder,
                          env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return lambda *words: subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def outside():
    return built(ROOT / "tests" / "go", "outside")


@pytest.fixture(scope="module")
def monitors():
    return built(ROOT / "tests" / "go" / "monitors", "monitors")


class Grown:
    """A hub whose log grew over a tile: its checkpoints on the way, and a proof."""

    def __init__(self, hub):
        self.hub, self.person = hub, hub.person("carol")
        self.repo = self.person.new_repo()
        self.person.commit_files(self.repo, {"a.txt": b"a"})
        self.log, self.url = Log(self.person.http), f"{hub.url}/log/"
        self.notes = [self.log.checkpoint().note]
        for _ in range(2):
            self.grow(MANY // 2)
            self.notes.append(self.log.checkpoint().note)
        self.proof = self.person.http.get(f"/api/models/{self.repo}/provenance/main.tlog-proof").text

    def grow(self, count):
        """Branches, each an entry, by some people at once."""
        first, crowd, refused = self.log.checkpoint().size, 10, []

        def branch(start):
            for number in range(start, count, crowd):
                answer = self.person.http.post(f"/api/models/{self.repo}/branch/b-{first}-{number}", json={})
                refused.extend([answer.text] * (not answer.is_success))

        threads = [threading.Thread(target=branch, args=(start,)) for start in range(crowd)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not refused

    def copy(self, folder):
        """The log as files, as a mirror has it; its URL."""
        note = self.log.checkpoint().note
        size = Checkpoint(note).size
        paths = list(tiles_of("entries", size))
        for level in range(3):
            paths += tiles_of(level, size >> 8 * level)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.log.get(path).content)
        (folder / "checkpoint").write_text(note)
        (folder / "vkey").write_text(self.log.get("vkey").text)
        return f"file://{folder}/"

    def signed(self, size, root):
        """A checkpoint of any tree with the log's own signature, as only the operator can make it."""
        _, _, name, id_, key = (self.hub.data / "log" / "key").read_text().strip().split("+", 4)
        text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key)[1:]).sign(text.encode())
        return f"{text}\n\u2014 {name} {base64.b64encode(bytes.fromhex(id_) + signature).decode()}\n"


def tiles_of(kind, count):
    for number in range((count + 255) // 256):
        width = min(256, count - number * 256)
        yield f"tile/{kind}/{number_path(number)}" + (f".p/{width}" if width < 256 else "")


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("outside")).start()
    yield Grown(hub)
    hub.stop()


def other_vkey(name):
    """A key of the same name that is not the log's."""
    key = b"\1" + Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return f"{name}+{digest(name.encode() + bytes([10]) + key)[:4].hex()}+{base64.b64encode(key).decode()}\n"


def written(path, text):
    path.write_text(text)
    return path


def refuses(done, why):
    assert done.returncode == 1 and why in done.stderr, done
    return True


# ---- the whole log


def test_go_accepts_checkpoint_tiles_and_entries(outside, grown):
    done = outside("log", grown.url)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.removeprefix("size ")) > MANY


def test_go_refuses_the_log_by_another_key(outside, grown, tmp_path):
    mine = grown.log.get("vkey").text
    assert outside("log", grown.url, written(tmp_path / "mine", mine)).returncode == 0
    other = written(tmp_path / "other", other_vkey(grown.log.key.name))
    assert refuses(outside("log", grown.url, other), "no verifiable signatures")
    damaged = written(tmp_path / "damaged", mine.replace("+", "0+", 1))
    assert refuses(outside("log", grown.url, damaged), "verifier")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def drop_entry(folder):
    """A bundle without its second entry, as if that had never been."""
    bundle = folder / "tile/entries/000"
    data = bundle.read_bytes()
    second = 2 + int.from_bytes(data[:2], "big")
    third = second + 2 + int.from_bytes(data[second:second + 2], "big")
    bundle.write_bytes(data[:second] + data[third:] + data[second:third])


TAMPERED = {
    "an entry": (lambda folder: flip(folder / "tile/entries/000", 40), "entry 0"),
    "an entry that is dropped": (drop_entry, "entry 1"),
    "a tile": (lambda folder: flip(folder / "tile/0/000", 40 * 32), "invalid transparency proof"),
    "a tile above it": (lambda folder: flip(folder / "tile/1/000.p/1", 3), "inconsistent tile"),
    "a tile that is short": (lambda folder: os.truncate(folder / "tile/0/000", 8160), "bad result slice"),
    "the checkpoint": (lambda folder: flip(folder / "checkpoint", (folder / "checkpoint").read_bytes().index(b"=") - 3), "signature"),
}


@pytest.mark.parametrize("what", [None, *TAMPERED])
def test_go_accepts_a_copy_of_the_log_until_anything_of_it_is_changed(outside, grown, tmp_path, what):
    copy = grown.copy(tmp_path)
    if what is None:
        assert outside("log", copy).returncode == 0
    else:
        tamper, why = TAMPERED[what]
        tamper(tmp_path)
        assert refuses(outside("log", copy), why)


# ---- two checkpoints


def test_go_sees_that_later_checkpoints_extend_earlier_ones(outside, grown, tmp_path):
    for note in grown.notes:
        done = outside("grown", grown.url, written(tmp_path / "note", note))
        assert done.returncode == 0, done.stderr
        assert f"from {Checkpoint(note).size} to " in done.stdout
    sizes = [Checkpoint(note).size for note in grown.notes]
    assert sizes[0] < sizes[1] < 256 < sizes[2]


def test_go_sees_a_fork_and_a_log_that_went_back(outside, grown, tmp_path):
    """Both checkpoints carry the log's own good signature, so that only the proof can tell."""
    genuine = Checkpoint(grown.notes[1])
    same = written(tmp_path / "same", grown.signed(genuine.size, genuine.root))
    assert outside("grown", grown.url, same).returncode == 0
    forked = written(tmp_path / "forked", grown.signed(genuine.size, digest(b"another history")))
    assert refuses(outside("grown", grown.url, forked), "invalid transparency proof")
    longer = written(tmp_path / "longer", grown.signed(10**6, genuine.root))
    assert refuses(outside("grown", grown.url, longer), "invalid")


# ---- proof files


def test_go_accepts_the_proof_of_a_revision(outside, grown, tmp_path):
    vkey = written(tmp_path / "vkey", grown.log.get("vkey").text)
    done = outside("proof", written(tmp_path / "proof", grown.proof), vkey)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["type"] == "manifest"


def with_another_leaf(proof):
    head, extra, rest = proof.split("\n", 2)
    carried = json.loads(base64.b64decode(extra.removeprefix("extra ")))
    carried["leaf"] = carried["leaf"].replace('"files":1', '"files":2')
    return "\n".join([head, "extra " + base64.b64encode(json.dumps(carried).encode()).decode(), rest])


def with_another_index(proof):
    lines = proof.split("\n")
    return "\n".join([*lines[:2], f"index {int(lines[2].split()[1]) - 1}", *lines[3:]])


def without_line(number):
    def without(proof):
        lines = proof.split("\n")
        del lines[number]
        return "\n".join(lines)
    return without


BAD_PROOFS = {
    "of another leaf": (with_another_leaf, "invalid transparency proof"),
    "of another index": (with_another_index, "invalid transparency proof"),
    "without its first hash": (without_line(3), "invalid transparency proof"),
    "without its signature": (lambda proof: proof[:proof.index("\u2014")], "malformed note"),
    "that ends early": (lambda proof: proof[:-30], "malformed note"),
    "that ends in the middle": (lambda proof: proof[:proof.index("index") + 20], "not a proof file"),
}


@pytest.mark.parametrize("what", BAD_PROOFS)
def test_go_refuses_a_proof(outside, grown, tmp_path, what):
    change, why = BAD_PROOFS[what]
    changed = change(grown.proof)
    assert changed != grown.proof
    vkey = written(tmp_path / "vkey", grown.log.get("vkey").text)
    assert refuses(outside("proof", written(tmp_path / "proof", changed), vkey), why)


def test_go_refuses_a_proof_by_another_key(outside, grown, tmp_path):
    vkey = written(tmp_path / "vkey", other_vkey(grown.log.key.name))
    assert refuses(outside("proof", written(tmp_path / "proof", grown.proof), vkey), "no verifiable signatures")


# ---- more of other people's code


@pytest.mark.soak  # wants a newer Go than Debian 12 has
@pytest.mark.parametrize("what", ["fsck", "entries"])
def test_tessera_and_torchwood_accept_the_log_and_refuse_what_was_changed(monitors, grown, tmp_path, what):
    vkey = written(tmp_path / "key", grown.log.get("vkey").text)
    done = monitors(what, grown.url, vkey)
    assert done.returncode == 0, done.stderr
    copy = grown.copy(tmp_path)
    assert monitors(what, copy, vkey).returncode == 0
    assert monitors(what, copy, written(tmp_path / "other", other_vkey(grown.log.key.name))).returncode == 1
    flip(tmp_path / "tile/entries/000", 40)
    assert monitors(what, copy, vkey).returncode == 1


@pytest.mark.soak  # wants a newer Go than Debian 12 has
def test_the_proof_library_of_others_accepts_ours_and_refuses_the_bad_ones(monitors, grown, tmp_path):
    vkey = written(tmp_path / "vkey", grown.log.get("vkey").text)
    done = monitors("proof", written(tmp_path / "proof", grown.proof), vkey)
    assert done.returncode == 0, done.stderr
    for what, (change, _) in BAD_PROOFS.items():
        assert monitors("proof", written(tmp_path / "proof", change(grown.proof)), vkey).returncode == 1, what
