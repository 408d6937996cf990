# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens in the hub is in its log before anybody sees it, and anybody can check that (tlog.py is written from the
specifications alone)."""

import hashlib
import json
import threading

import pytest

from statements import register
from support import add, new_name, sha256, until
from tlog import Checkpoint, Key, Log, Proof, dir_hash, includes, leaf_hash, opens, root_of

LARGE = b"\0weights" * 4000


@pytest.fixture
def log(alice):
    return Log(alice.http)


def history(person, repo, kind="models"):
    answer = person.http.get(f"/api/{kind}/{repo}/provenance?limit=1000")
    assert answer.status_code == 200, answer.text
    return answer.json()


def proof_of(person, repo, revision="main"):
    answer = person.http.get(f"/api/models/{repo}/provenance/{revision}.tlog-proof")
    assert answer.status_code == 200, answer.text
    return Proof(answer.text)


# ---- logged before served


def test_a_commit_is_in_a_signed_checkpoint_when_its_answer_arrives(alice, repo, log):
    commit = alice.api.create_commit(repo, [add("a.txt", b"a")], commit_message="a").oid
    leaves = log.audited()
    (mine,) = [leaf for leaf in leaves if leaf["type"] == "commit" and leaf["b"].get("new") == commit]
    assert mine["b"] == mine["b"] | {"op": "api", "files": 1, "protected": False, "force": False}


def test_whatever_a_reader_sees_is_below_the_published_size(alice, repo, log):
    """A reader who is faster than the writer's own answer."""
    stop, early = threading.Event(), []

    def watch():
        while not stop.is_set():
            head = alice.http.get(f"/api/models/{repo}/revision/main").json()["sha"]
            index = alice.http.head(f"/{repo}/resolve/{head}/.gitattributes").headers.get("x-prov-index")
            if index is None or int(index) >= log.checkpoint().size:
                early.append(head)

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for number in range(15):
        alice.commit_files(repo, {"n.txt": b"%d" % number})
    stop.set()
    for watcher in watchers:
        watcher.join()
    assert early == []


def test_every_kind_of_change_has_its_leaf(alice, log):
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    alice.api.create_branch(repo, branch="side")
    alice.api.create_tag(repo, tag="v1")
    alice.api.delete_branch(repo, branch="side")
    alice.api.super_squash_history(repo)
    alice.api.update_repo_settings(repo, private=True)
    alice.api.move_repo(repo, repo + "-new")
    alice.api.delete_repo(repo + "-new")
    log_id = next(leaf["repo"] for leaf in reversed(log.audited()) if leaf["type"] == "repo" and leaf["b"]["op"] == "delete")
    ops = [(leaf["type"], leaf["b"].get("op")) for leaf in log.audited() if leaf.get("repo") == log_id and leaf["type"] != "manifest"]
    assert ops == [("repo", "create"), ("commit", "api"), ("commit", "create"), ("commit", "create"), ("commit", "delete"),
                   ("commit", "squash"), ("repo", "visibility"), ("repo", "rename"), ("repo", "delete")]


def test_a_refused_change_has_no_leaf(alice, bob, repo, log):
    alice.commit_files(repo, {"a.txt": b"a"})
    until(lambda: history(alice, repo)["entries"][0]["type"] == "manifest")
    before = len(history(alice, repo)["entries"])
    assert bob.http.post(f"/api/models/{repo}/branch/x", json={}).status_code == 403
    assert alice.http.post(f"/api/models/{repo}/branch/main", json={}).status_code == 409
    assert len(history(alice, repo)["entries"]) == before
    log.audited()


def test_keys_are_logged_by_what_does_not_tell_them(hub, alice, log):
    secret = hub.admin("token", "create", "alice", "--name", "of-the-log", "--role", "read").stdout.strip()
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})  # a command has no log; the hub takes over what it wrote
    keys = [leaf for leaf in log.audited() if leaf["type"] == "key"]
    assert keys and all(set(leaf["b"]) == {"digest", "op", "use"} for leaf in keys)
    everything = b"".join(log.entries(log.checkpoint().size)).decode()
    for name in ("alice", secret, "of-the-log", hashlib.sha256(secret.encode()).hexdigest(), "refs/heads", "@"):
        assert name not in everything


def test_who_joins_and_leaves_an_organisation_is_logged_without_names(hub, alice, log):
    org, other = new_name("org"), new_name("org")
    before = len(log.audited())
    hub.org(org, alice="write")
    hub.admin("org", "remove-member", org, "alice")
    assert hub.admin("org", "remove-member", org, "alice", check=False).returncode == 1  # not a member: no decision
    hub.org(other, alice="admin")
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})  # a command has no log; the hub takes over what it wrote
    decisions = [leaf for leaf in log.audited()[before:] if leaf["type"] == "access-decision" and "member" in leaf.get("com", {})]
    assert [leaf["b"] for leaf in decisions] == [{"basis": "owner", "decision": "grant", "role": "write"}, {"basis": "owner", "decision": "revoke"},
                                                 {"basis": "owner", "decision": "grant", "role": "admin"}]
    joined, left, elsewhere = (leaf["com"]["member"] for leaf in decisions)
    assert joined == left != elsewhere, "of two organisations nobody can tell that it is the same person"
    assert org not in json.dumps(decisions) and "alice" not in json.dumps(decisions)


# ---- the log for others


def test_tiles_are_what_the_entries_give(alice, log):
    size = log.checkpoint().size
    hashes = [leaf_hash(entry) for entry in log.entries(size)]
    width = min(size, 256)
    tile = log.get("tile/0/000" + (f".p/{width}" if width < 256 else "")).content
    assert tile == b"".join(hashes[:width])


@pytest.mark.parametrize("path", ["tile/0/001/000", "tile/0/0", "tile/0/000.p/256", "tile/0/000.p/0", "tile/00/000", "tile/0/x999/999",
                                  "tile/entries/x001/000", "tile/8/0/000", "tile/9/000", "tile/0/000.p/1/", "tile/0/000.p/01", ""])
def test_what_is_no_tile_of_the_log_is_not_found(anyone, path):
    assert anyone.http.get(f"/log/{path}").status_code == 404


def test_any_page_may_read_the_log(anyone):
    for path in ("checkpoint", "vkey", "tile/0/000.p/1", "tile/entries/000.p/1"):
        assert anyone.http.get(f"/log/{path}").headers["access-control-allow-origin"] == "*"


def test_the_log_has_one_key_and_one_history_over_restarts(own_hub):
    person = own_hub.person("carol")
    person.commit_files(person.new_repo(), {"a.txt": b"a"})
    log = Log(person.http)
    before = log.checkpoint()
    entries = log.entries(before.size)
    own_hub.stop()
    own_hub.start()
    person.commit_files(person.new_repo(), {"b.txt": b"b"})
    assert Log(person.http).key.id == log.key.id
    after = log.checkpoint()
    assert after.size > before.size and log.entries(after.size)[:before.size] == entries
    log.audited()


# ---- proofs


def test_the_proof_of_a_revision_says_what_a_download_of_it_holds(alice, repo, log, tmp_path):
    files = {"config.json": b"{}", "a/b.txt": b"b", "a.txt": b"", "w.bin": LARGE}
    alice.api.create_commit(repo, [add(name, data) for name, data in files.items()], commit_message="all")
    proof = proof_of(alice, repo)
    assert proof.holds(log.key) and proof.leaf["type"] == "manifest"
    assert proof.leaf["b"] == proof.leaf["b"] | {"files": 4, "bytes": sum(map(len, files.values())), "dirHash1": dir_hash(files)}
    assert {file["name"]: (file["size"], file["sha256"]) for file in proof.extra["files"]} == {
        name: (len(data), sha256(data)) for name, data in files.items()}
    back = alice.api.snapshot_download(repo, local_dir=tmp_path / "back")
    assert dir_hash({name: (tmp_path / "back" / name).read_bytes() for name in files}) == proof.leaf["b"]["dirHash1"], back


def test_a_proof_fails_for_other_keys_leaves_places_and_paths(alice, repo, log):
    alice.commit_files(repo, {"a.txt": b"a"})
    proof = proof_of(alice, repo)
    assert proof.holds(log.key)
    entry, root, size = proof.extra["leaf"].encode(), proof.checkpoint.root, proof.checkpoint.size
    assert includes(proof.index, size, leaf_hash(entry), proof.path, root)
    assert not includes(proof.index, size, leaf_hash(entry + b" "), proof.path, root)
    assert not includes(proof.index - 1, size, leaf_hash(entry), proof.path, root)
    assert not includes(proof.index, size, leaf_hash(entry), proof.path[:-1], root)
    assert not includes(proof.index, size, leaf_hash(entry), proof.path, bytes(32))
    forged = Checkpoint(proof.note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1))
    assert not forged.signed_by(log.key)


def test_swapping_the_names_of_two_files_gives_another_manifest(alice):
    one, two = alice.new_repo(), alice.new_repo()
    alice.commit_files(one, {"a.bin": b"1", "b.bin": b"2"})
    alice.commit_files(two, {"a.bin": b"2", "b.bin": b"1"})
    assert proof_of(alice, one).leaf["b"]["dirHash1"] != proof_of(alice, two).leaf["b"]["dirHash1"]


def test_each_entry_of_a_repo_has_a_proof_and_none_of_another(alice, repo, log):
    alice.commit_files(repo, {"a.txt": b"a"})
    other = alice.new_repo()
    for entry in history(alice, repo)["entries"]:
        answer = alice.http.get(f"/api/models/{repo}/provenance/leaf/{entry['index']}.tlog-proof")
        proof = Proof(answer.text)
        assert proof.holds(log.key) and proof.extra["leaf"] == entry["leaf"] and proof.index == entry["index"]
        assert all(opens(proof.leaf, opening) for opening in proof.extra["openings"])
    foreign = history(alice, other)["entries"][0]["index"]
    for index in (foreign, 10**9, 2**63, "x", "01", "-1"):
        assert alice.http.get(f"/api/models/{repo}/provenance/leaf/{index}.tlog-proof").status_code in (400, 404)


def test_old_revisions_get_their_manifest_when_somebody_asks(alice, repo, log):
    first = alice.api.create_commit(repo, [add("a.txt", b"1")], commit_message="1").oid
    alice.api.create_commit(repo, [add("a.txt", b"2")], commit_message="2")
    proof = proof_of(alice, repo, first)
    assert proof.holds(log.key) and proof.leaf["b"]["dirHash1"] == dir_hash({"a.txt": b"1"})
    assert proof_of(alice, repo, first).index == proof.index, "and it gets it once"


def test_a_revision_without_files_is_proved_by_its_commit(alice, log):
    repo = alice.new_repo()
    proof = proof_of(alice, repo)
    assert proof.holds(log.key) and proof.leaf["type"] == "repo"


def test_a_download_says_where_the_log_speaks_of_it(alice, repo):
    alice.commit_files(repo, {"a.txt": b"small"})
    alice.put_object(repo, LARGE)
    assert alice.commit_lines(repo, ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(LARGE)})).is_success
    index = proof_of(alice, repo).index
    for path, data in {"a.txt": b"small", "w.bin": LARGE}.items():
        for answer in (alice.http.get(f"/{repo}/resolve/main/{path}"), alice.http.head(f"/{repo}/resolve/main/{path}")):
            assert answer.headers["x-prov-sha256"] == sha256(data)
            assert int(answer.headers["x-prov-index"]) == index


# ---- completeness


def test_the_history_of_a_repo_has_no_gap_and_opens_to_its_names(alice, log):
    repo = alice.new_repo()
    for number in range(7):
        alice.commit_files(repo, {"n.txt": b"%d" % number})
    entries = history(alice, repo)["entries"]
    assert [entry["rseq"] for entry in entries] == list(range(len(entries) - 1, -1, -1))
    for newer, older in zip(entries, entries[1:]):
        assert json.loads(newer["leaf"])["rprev"] == older["hash"] == leaf_hash(older["leaf"].encode()).hex()
    openings = {(opening["field"], opening["value"]) for entry in entries for opening in entry["openings"]}
    assert openings == {("name", repo), ("ref", "refs/heads/main")}
    assert all(opens(json.loads(entry["leaf"]), opening) for entry in entries for opening in entry["openings"])
    short = alice.http.get(f"/api/models/{repo}/provenance?limit=3")
    following = alice.http.get(short.links["next"]["url"])
    paged = [entry["index"] for entry in short.json()["entries"] + following.json()["entries"]]
    whole = [entry["index"] for entry in history(alice, repo)["entries"]]
    begin = whole.index(paged[0])  # a manifest may have come since
    assert paged == whole[begin:begin + 6]


def head_of(person, repo, log):
    """The answer about a repo's head, after its proofs were checked."""
    answer = person.http.get(f"/api/models/{repo}/provenance/head").json()
    proof = Proof(answer["headsProof"])
    assert proof.holds(log.key) and proof.leaf["type"] == "repo-heads" and proof.index == answer["headsIndex"]
    root = bytes.fromhex(proof.leaf["b"]["root"])
    for item in answer["proofs"]:
        head = bytes.fromhex(item["repo"]) + item["rseq"].to_bytes(8, "big") + bytes.fromhex(item["leafHash"])
        path = [bytes.fromhex(hash_) for hash_ in item["path"]]
        assert includes(item["index"], proof.leaf["b"]["count"], leaf_hash(head), path, root)
        assert not includes(item["index"], proof.leaf["b"]["count"], leaf_hash(head[:-1]), path, root)
    return answer


def test_the_heads_of_all_repos_are_logged_and_prove_that_no_entry_of_one_is_left_out(own_hub):
    person = own_hub.person("carol")
    repos = [person.new_repo() for _ in range(5)]
    for repo in repos:
        person.commit_files(repo, {"a.txt": b"a"})
    log = Log(person.http)
    until(lambda: all(head_of(person, repo, log)["present"] for repo in repos), 180)
    for repo in repos:
        answer = head_of(person, repo, log)
        (item,) = answer["proofs"]
        (same,) = [entry for entry in history(person, repo)["entries"] if entry["rseq"] == item["rseq"]]
        assert same["hash"] == item["leafHash"] and item["repo"] == answer["repo"]
    leaves = log.audited()
    for index, leaf in enumerate(leaves):
        if leaf["type"] == "repo-heads":  # what a monitor does: make the root again from the leaves before it
            newest = {}
            for entry, before in zip(log.entries(leaf["b"]["covers"]), leaves):
                if "repo" in before:
                    newest[bytes.fromhex(before["repo"])] = before["rseq"].to_bytes(8, "big") + leaf_hash(entry)
            heads = [leaf_hash(repo + newest[repo]) for repo in sorted(newest)]
            assert (root_of(heads).hex(), len(heads)) == (leaf["b"]["root"], leaf["b"]["count"]), index


def denies(answer, log_id):
    """Between the heads that are proved there is none, and that of log_id would be there. (head_of() has checked their proofs.)"""
    count = Proof(answer["headsProof"]).leaf["b"]["count"]
    before = [item["index"] for item in answer["proofs"] if item["repo"] < log_id]
    after = [item["index"] for item in answer["proofs"] if item["repo"] > log_id]
    return len(before) + len(after) == len(answer["proofs"]) and max(before, default=-1) + 1 == min(after, default=count)


def test_that_a_repo_is_not_among_the_heads_is_proved_by_its_neighbours(own_hub):
    person = own_hub.person("carol")
    repos = [person.new_repo() for _ in range(5)]
    log = Log(person.http)
    until(lambda: all(head_of(person, repo, log)["present"] for repo in repos), 180)
    there = [head_of(person, repo, log) for repo in repos]
    for repo in [person.new_repo() for _ in range(8)]:  # after the heads that were logged just now
        answer = head_of(person, repo, log)
        assert not answer["present"] and 1 <= len(answer["proofs"]) <= 2 and denies(answer, answer["repo"])
        assert not any(denies(answer, known["repo"]) for known in there), "with one that is there it says nothing"
    assert not any(denies(known, known["repo"]) for known in there)


# ---- privacy


def test_one_person_has_another_pseudonym_in_each_repo(alice, log):
    actors = []
    for _ in range(2):
        repo = alice.new_repo()
        alice.commit_files(repo, {"a.txt": b"a"})
        leaves = [json.loads(entry["leaf"]) for entry in history(alice, repo)["entries"]]
        actors.append({leaf["actor"] for leaf in leaves} - {"hub"})
    assert len(actors[0]) == len(actors[1]) == 1 and actors[0] != actors[1]


def test_who_a_decision_is_about_is_opened_for_that_person_alone(alice, bob, anyone):
    repo = alice.new_repo()
    alice.api.update_repo_settings(repo, gated="manual")
    assert bob.http.post(f"/{repo}/ask-access").is_success
    alice.api.accept_access_request(repo, bob.name)

    def opened(person):
        (entry,) = [entry for entry in history(person, repo)["entries"] if entry["type"] == "access-decision"]
        proof = Proof(person.http.get(f"/api/models/{repo}/provenance/leaf/{entry['index']}.tlog-proof").text)
        assert proof.leaf["com"] and proof.extra.get("openings", []) == entry["openings"]
        return [opening["field"] for opening in entry["openings"] if opens(proof.leaf, opening)]

    assert opened(bob) == ["person"], "who may hand the proof on"
    assert opened(alice) == opened(anyone) == [], "not even the owner of the repo may for him"


def test_people_get_proofs_of_their_own_entries_and_of_nobody_elses(hub, alice, bob, anyone, log, tmp_path):
    org, before = new_name("org"), len(log.audited())
    hub.org(org, alice="write")
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})  # the hub takes over what the command wrote
    joined = next(before + at for at, leaf in enumerate(log.audited()[before:]) if "member" in leaf.get("com", {}))
    register(alice)
    key = max(item["index"] for item in alice.http.get("/api/settings/signing-keys").json())
    for index, opening in ((joined, [("member", f"{org}/alice")]), (key, [])):
        address = f"/api/settings/log/{index}.tlog-proof"
        answer = alice.http.get(address)
        proof = Proof(answer.raise_for_status().text)
        assert proof.holds(log.key) and proof.index == index
        assert [(item["field"], item["value"]) for item in proof.extra.get("openings", []) if opens(proof.leaf, item)] == opening
        (tmp_path / "proof").write_text(answer.text)
        told = hub.cairn("verify", "--proof", tmp_path / "proof", "--vkey", log.get("vkey").text.strip()).stdout
        assert all(f'The commitment "{field}" opens as "{value}"' in told for field, value in opening)
        assert bob.http.get(address).status_code == bob.http.get("/api/settings/log/999999.tlog-proof").status_code == 404
        assert anyone.http.get(address).status_code == 401


def test_strangers_learn_nothing_of_a_private_repo(alice, bob, anyone):
    repo = alice.new_repo(private=True)
    alice.commit_files(repo, {"a.txt": b"a"})
    for path in ("", "/head", "/main.tlog-proof", f"/leaf/{history(alice, repo)['entries'][0]['index']}.tlog-proof"):
        for person, status in ((bob, 404), (anyone, 401)):
            answer = person.http.get(f"/api/models/{repo}/provenance{path}")
            missing = person.http.get(f"/api/models/alice/never-there/provenance{path}")
            assert answer.status_code == missing.status_code == status and answer.json() == missing.json()


def test_vkeys_are_told_apart(alice, log):
    line = log.get("vkey").text.strip()
    name, _, rest = line.partition("+")
    with pytest.raises(AssertionError):
        Key("x" + line)
    assert Key(line).name == name and rest


# ---- epochs


def test_each_start_is_logged_with_the_program_and_the_checkpoint_before_it(own_hub):
    from support import BINARY

    log = Log(own_hub.anyone().http)
    epochs = lambda: [(index, leaf["b"]) for index, leaf in enumerate(log.audited()) if leaf["type"] == "epoch"]  # noqa: E731
    until(lambda: len(epochs()) == 1)
    before = log.get("checkpoint").text
    own_hub.stop()
    own_hub.start()
    (_, first), (index, second) = until(lambda: len(epochs()) == 2 and epochs())
    assert first["build"] == second["build"] == sha256(BINARY.read_bytes())
    assert index == Checkpoint(before).size and second["checkpoint"] == sha256(before.encode())
