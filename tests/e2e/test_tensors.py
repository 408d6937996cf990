# SPDX-License-Identifier: GPL-3.0-or-later
"""Lineage to the byte: the digests of tensors, the tree over those of a revision, and who shares them (tensors.py is written from
the specification alone)."""

import base64
import contextlib
import hashlib
import json
import sqlite3

import numpy
import pytest

from omstool import Key
from statements import register
from support import BINARY, add, sha256, until
from tensors import crafted, entry, matrix, save, tensor_root
from tlog import includes, leaf_hash
from xet import File, Session, Xorb, cut


def manifests(person, repo):
    """What the log says of the content of each commit of a repo, newest first."""
    answer = person.http.get(f"/api/models/{repo}/provenance?limit=1000")
    assert answer.status_code == 200, answer.text
    return [json.loads(item["leaf"])["b"] for item in answer.json()["entries"] if item["type"] == "manifest"]


def manifest(person, repo):
    return until(lambda: manifests(person, repo))[0]


def tensors(person, repo, revision="main", **query):
    """All pages."""
    found, answer = [], person.http.get(f"/api/models/{repo}/tensors/{revision}", params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["tensors"]
        if "next" not in answer.links:
            return answer.json() | {"tensors": found}
        answer = person.http.get(answer.links["next"]["url"])


@contextlib.contextmanager
def later(hub):
    """What is committed meanwhile is looked at only afterwards, as if there were much to look at before."""
    def ask(sql):
        with sqlite3.connect(hub.data / "cairn.db", timeout=60) as database:
            database.execute(sql)

    ask("CREATE TRIGGER later AFTER INSERT ON tensor_seen BEGIN UPDATE tensor_seen SET due_us = 1 << 62 WHERE state = 0; END")
    yield
    ask("DROP TRIGGER later")
    ask("UPDATE tensor_seen SET due_us = 0")


def looked_at(person, repo):
    return until(lambda: tensors(person, repo)["state"] != "pending") and tensors(person, repo)


def sharers(person, repo):
    answer = person.http.get(f"/api/models/{repo}/lineage/bytes/main")
    assert answer.status_code == 200, answer.text
    return answer.json()


def new_model(person, files, **how):
    """A repo with safetensors files; returns once they have been looked at."""
    repo = person.new_repo("tensors", **how)
    person.commit_files(repo, files)
    looked_at(person, repo)
    return repo


# ---- the root


def test_the_root_that_is_logged_is_the_one_that_anybody_can_compute(alice):
    one = save({"b": matrix(1, 7, 3), "a.é": matrix(2, 2, 2, 2, dtype="float16"), "empty": numpy.zeros((0, 3), "float32")})
    two = save({"A": numpy.arange(5), "scalar": numpy.array(3, "uint8"), "c": matrix(3, 1000)}, {"format": "np"})
    repo = alice.new_repo("tensors")
    alice.commit_files(repo, {"model-1.safetensors": one, "sub/model-2.safetensors": two, "README.md": b"# a model"})
    assert manifest(alice, repo)["tensorRoot"] == tensor_root(one, two)
    for listed in tensors(alice, repo)["tensors"]:
        whole = alice.read(repo, listed["file"])
        assert sha256(whole[slice(*listed["offsets"])]) == listed["digest"]


def test_a_small_file_inside_a_commit_counts_like_a_large_one(alice):
    file = save({"w": matrix(4, 4, 4)})
    repo = alice.new_repo("tensors")
    assert alice.commit_lines(repo, ("file", {"path": "plain.safetensors", "content": base64.b64encode(file).decode(),
                                              "encoding": "base64"})).is_success
    assert not alice.api.get_paths_info(repo, ["plain.safetensors"])[0].lfs
    assert manifest(alice, repo)["tensorRoot"] == tensor_root(file)


def test_a_file_that_came_as_chunks_counts_like_any(alice):
    file = save({f"w{number}": matrix(100 + number, 300, 100) for number in range(5)} | {"zeros": numpy.zeros((400, 100), "float32")})
    repo = alice.new_repo("tensors")
    pieces = cut(file, 50_000)
    xorbs = [Xorb(pieces[:6]), Xorb(pieces[6:], scheme=1)]
    terms = [(xorb, 0, len(xorb.chunks)) for xorb in xorbs]
    Session(alice, repo).upload(*xorbs, File(terms))
    assert alice.commit_lines(repo, ("lfsFile", {"path": "model.safetensors", "algo": "sha256", "oid": sha256(file)})).is_success
    assert manifest(alice, repo)["tensorRoot"] == tensor_root(file)


def test_a_revision_without_tensors_has_no_root(alice):
    for files in {"a.txt": b"a"}, {"model.safetensors": crafted({})}, {"model.safetensors": crafted({"__metadata__": {"a": "b"}})}:
        repo = alice.new_repo("tensors")
        alice.commit_files(repo, files)
        assert "tensorRoot" not in manifest(alice, repo)


def test_a_tensor_that_is_in_two_files_counts_once_unless_it_differs(alice):
    same = {"tied": matrix(5, 8, 8)}
    one, two = save(same | {"a": matrix(6, 3)}), save(same | {"b": matrix(7, 3)})
    repo = new_model(alice, {"1.safetensors": one, "2.safetensors": two})
    assert manifest(alice, repo)["tensorRoot"] == tensor_root(one, two)
    other = save({"tied": matrix(8, 8, 8), "b": matrix(7, 3)})
    repo = new_model(alice, {"1.safetensors": one, "2.safetensors": other})
    assert "tensorRoot" not in manifest(alice, repo)
    answer = alice.http.get(f"/api/models/{repo}/tensors/main/proof", params={"name": "a"})
    assert answer.status_code == 404 and "two different ones" in answer.json()["error"]


def test_each_commit_gets_one_manifest_and_until_then_its_own_leaf_is_proved(alice):
    repo = alice.new_repo("tensors")
    for number in range(3):
        commit = alice.api.create_commit(repo, [add("model.safetensors", save({"w": matrix(9 + number, 9, 9)}))], commit_message="m").oid
        until(lambda: len(manifests(alice, repo)) == number + 1
              or alice.http.get(f"/api/models/{repo}/provenance/{commit}.tlog-proof").raise_for_status() and False)
    assert len({leaf["tensorRoot"] for leaf in manifests(alice, repo)}) == 3


def test_cairn_verify_checks_what_the_hub_logged(hub, alice, tmp_path):
    files = {"1.safetensors": save({"a": matrix(50, 9, 9), "tied": matrix(51, 3)}), "2.safetensors": save({"tied": matrix(51, 3)})}
    repo = new_model(alice, files)
    assert "tensorRoot" in manifest(alice, repo)
    (tmp_path / "proof").write_text(alice.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").text)
    vkey = alice.http.get("/log/vkey").text.strip()
    model = tmp_path / "m"
    alice.api.snapshot_download(repo, local_dir=model, ignore_patterns=[".gitattributes"])

    def verify():
        return hub.cairn("verify", model, "--proof", tmp_path / "proof", "--vkey", vkey, "--tensors", check=False)

    good = verify()
    assert good.returncode == 0 and "2 tensors have the root that was logged" in good.stdout, good.stdout + good.stderr
    (model / "2.safetensors").write_bytes(save({"tied": matrix(52, 3)}))
    assert verify().returncode == 1


# ---- one tensor


def proof(person, repo, name):
    return person.http.get(f"/api/models/{repo}/tensors/main/proof", params={"name": name})


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
def test_one_tensor_is_checked_against_the_log_without_the_rest(alice, count):
    arrays = {f"t{number}": matrix(200 + number, number + 1, 5) for number in range(count)}
    repo = new_model(alice, {"model.safetensors": save(arrays)})
    root = bytes.fromhex(manifest(alice, repo)["tensorRoot"])
    for name, array in arrays.items():
        answer = proof(alice, repo, name).json()
        first, end = answer["tensor"]["offsets"]
        raw = alice.http.get(f"/{repo}/resolve/main/{answer['tensor']['file']}", headers={"range": f"bytes={first}-{end - 1}"},
                             follow_redirects=True).content
        assert raw == array.tobytes()
        mine, path = entry(name, array), [bytes.fromhex(hash_) for hash_ in answer["path"]]
        assert answer["entry"] == mine.hex() and answer["tensorRoot"] == root.hex()
        assert includes(answer["index"], answer["size"], leaf_hash(mine), path, root)
        assert not includes(answer["index"], answer["size"], leaf_hash(entry(name, array + 1)), path, root)
    assert proof(alice, repo, "t99").status_code == 404
    assert alice.http.get(f"/api/models/{repo}/tensors/main/proof").status_code == 400


def test_cairn_verify_checks_one_tensor_in_whatever_file_it_is(hub, alice, tmp_path):
    whole = {"a": numpy.arange(600, dtype="float32"), "b": numpy.arange(700, dtype="int16"), "c": numpy.ones(3, dtype="uint8")}
    repo = new_model(alice, {"model.safetensors": save(whole), "config.json": b"{}"})
    manifest(alice, repo)
    (tmp_path / "proof").write_text(alice.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").text)
    (tmp_path / "b.json").write_text(proof(alice, repo, "b").text)
    vkey = alice.http.get("/log/vkey").text.strip()

    def verify(tensors, proof_file="b.json"):
        (tmp_path / "part").mkdir(exist_ok=True)
        (tmp_path / "part" / "mine.safetensors").write_bytes(save(tensors))
        return hub.cairn("verify", tmp_path / "part", "--proof", tmp_path / "proof", "--vkey", vkey, "--tensor", tmp_path / proof_file, check=False)

    alone = verify({"b": whole["b"], "mine": numpy.zeros(9, dtype="uint8")})
    assert alone.returncode == 0 and "The tensor b is what was logged" in alone.stdout, alone.stderr
    changed = verify({"b": whole["b"] + 1})
    assert changed.returncode == 1 and "the tensor b in mine.safetensors is not what was logged" in changed.stderr
    reshaped = verify({"b": whole["b"].reshape(7, 100)})
    assert reshaped.returncode == 1 and "is not what was logged" in reshaped.stderr
    absent = verify({"a": whole["a"]})
    assert absent.returncode == 1 and "no safetensors file here has a tensor b" in absent.stderr

    true = json.loads((tmp_path / "b.json").read_text())
    other = proof(alice, repo, "a").json()
    for number, lie in enumerate([{"index": other["index"]}, {"path": true["path"][1:]}, {"entry": other["entry"]}, {"size": 1, "path": [], "index": 0},
                                  {"path": ["00" * 32] * 64}, {"entry": "ffffffff"}, {"entry": "0"}, {"path": None}]):
        (tmp_path / f"{number}.json").write_text(json.dumps({**true, **lie}))
        refused = verify({"b": whole["b"]}, f"{number}.json")
        assert refused.returncode == 1 and "NOT verified" in refused.stderr, lie


def test_pages_of_tensors_leave_nothing_out(alice):
    files = {f"{part}.safetensors": save({f"{part}.{number}": matrix(300 + number, 2) for number in range(7)}) for part in "cab"}
    files["d.safetensors"] = crafted({})
    repo = new_model(alice, files)
    everything = tensors(alice, repo)["tensors"]
    assert sorted(tensor["name"] for tensor in everything) == sorted(f"{part}.{number}" for part in "abc" for number in range(7))
    for limit in 1, 3, 7, 10, 21, 5000, 10**6:
        assert tensors(alice, repo, limit=limit)["tensors"] == everything
    for wrong in {"limit": 0}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "1"}, {"cursor": "1.-1"}, {"cursor": f"0.{2**63}"}:
        assert alice.http.get(f"/api/models/{repo}/tensors/main", params=wrong).status_code == 400
    assert alice.http.get(f"/api/models/{repo}/tensors/main", params={"cursor": f"{2**62}.0"}).json()["tensors"] == []


# ---- who shares them


def test_a_fine_tune_that_froze_layers_shares_exactly_these(alice, bob):
    base = {f"layers.{number}": matrix(400 + number, 16, 16) for number in range(6)}
    tuned = dict(base, **{"layers.5": base["layers.5"] + 1, "head": matrix(410, 10, 10)})
    parent = new_model(alice, {"model.safetensors": save(base)})
    child = new_model(bob, {"model.safetensors": save(tuned)})
    answer = sharers(bob, child)
    (found,) = answer["repos"]
    assert (found["id"], found["type"], found["tensors"], found["bytes"]) == (parent, "model", 5, 5 * 16 * 16 * 4)
    assert answer["tensors"] == 7 and found["share"] == pytest.approx(5 * 1024 / (6 * 1024 + 400), abs=1e-6)
    assert answer["complete"] and found["first"]["index"] < answer["first"]["index"] and found["first"]["at"] <= answer["first"]["at"]
    (back,) = sharers(alice, parent)["repos"]
    assert (back["id"], back["tensors"]) == (child, 5)
    indexes = {item["index"]: item["type"] for item in bob.http.get(f"/api/models/{child}/provenance").json()["entries"]}
    assert indexes[answer["first"]["index"]] == "commit"


def test_a_copy_in_other_files_under_other_names_shares_all(alice, bob):
    base = {f"w{number}": matrix(500 + number, 16, 16) for number in range(6)}
    parent = new_model(alice, {"model.safetensors": save(base)})
    parts = [dict(list(base.items())[:2]), dict(list(base.items())[2:])]
    child = new_model(bob, {f"model-{number}.safetensors": save(part) for number, part in enumerate(parts)})
    assert manifest(bob, child)["tensorRoot"] == manifest(alice, parent)["tensorRoot"]
    renamed = new_model(bob, {"model.safetensors": save({"x." + name: array for name, array in base.items()})})
    assert manifest(bob, renamed)["tensorRoot"] != manifest(alice, parent)["tensorRoot"]
    assert {repo["id"]: (repo["tensors"], repo["share"]) for repo in sharers(alice, parent)["repos"]} == {child: (6, 1.0), renamed: (6, 1.0)}


def test_the_same_bytes_as_another_shape_or_type_are_not_the_same_tensor(alice, bob):
    base = matrix(600, 16, 16)
    parent = new_model(alice, {"model.safetensors": save({"w": base})})
    for other in base.reshape(8, 32), base.view("int32"):
        new_model(bob, {"model.safetensors": save({"w": other})})
    assert sharers(alice, parent)["repos"] == []


def test_small_and_even_tensors_tell_nothing(alice, bob):
    arrays = {"zeros": numpy.zeros((64, 64), "float32"), "ones": numpy.ones((300,), "uint8"), "small": matrix(700, 63)}
    one, two = (new_model(person, {"model.safetensors": save(arrays | {"own": matrix(seed, 64)})}) for person, seed in ((alice, 701), (bob, 702)))
    answer = sharers(alice, one)
    assert (answer["repos"], answer["tensors"], answer["trivial"]) == ([], 1, 3)
    almost = numpy.zeros((64, 64), "float32")
    almost[-1, -1] = 1
    three, four = (new_model(person, {"model.safetensors": save({"w": almost, "own": matrix(seed, 9)})}) for person, seed in ((alice, 703), (bob, 704)))
    assert [repo["id"] for repo in sharers(alice, three)["repos"]] == [four]


def test_a_tensor_that_a_repo_has_several_times_counts_once(alice, bob):
    base = matrix(800, 32, 32)
    parent = new_model(alice, {"model.safetensors": save({"w": base})})
    child = bob.new_repo("tensors")
    for number in range(3):
        bob.commit_files(child, {f"{number}.safetensors": save({"w": base, f"x{number}": matrix(801 + number, 9, 9)})})
        looked_at(bob, child)
    (found,) = sharers(alice, parent)["repos"]
    assert (found["id"], found["tensors"], found["share"]) == (child, 1, 1.0)


# ---- privacy


def test_a_private_repo_is_never_named_to_strangers(alice, bob, anyone):
    base = {"w": matrix(900, 32, 32)}
    public = new_model(alice, {"model.safetensors": save(base)})
    before = [sharers(person, public) for person in (alice, anyone)]
    hidden = new_model(bob, {"model.safetensors": save(base | {"own": matrix(901, 9, 9)})}, private=True)
    same = new_model(bob, {"model.safetensors": save(base)}, private=True)
    assert [sharers(person, public) for person in (alice, anyone)] == before and before[0]["repos"] == []
    assert {repo["id"] for repo in sharers(bob, public)["repos"]} == {hidden, same}
    bob.api.update_repo_settings(hidden, private=False)
    assert [repo["id"] for repo in sharers(anyone, public)["repos"]] == [hidden]


def test_bytes_behind_a_gate_are_not_told_of_either(alice, bob, anyone):
    base = {"w": matrix(910, 32, 32)}
    public = new_model(alice, {"model.safetensors": save(base)})
    gated = new_model(bob, {"model.safetensors": save(base)})
    assert [repo["id"] for repo in sharers(anyone, public)["repos"]] == [gated]
    bob.api.update_repo_settings(gated, gated="manual")
    assert sharers(anyone, public)["repos"] == [] and sharers(alice, public)["repos"] == []
    for path in ("tensors/main", "tensors/main/proof?name=w", "lineage/bytes/main"):
        assert alice.http.get(f"/api/models/{gated}/{path}").status_code == 403
        assert anyone.http.get(f"/api/models/{gated}/{path}").status_code == 401
    bob.api.delete_repo(gated)  # else what others commit here waits until it was compared with this


def test_what_is_known_of_a_file_from_a_private_repo_is_found_out_again_for_another(hub, alice, bob):
    """Otherwise how soon a file is ready would tell that somebody has it."""
    file = save({"w": matrix(920, 32, 32)})
    states = lambda: sqlite3.connect(f"file:{hub.data}/cairn.db?mode=ro", uri=True).execute(  # noqa: E731
        "SELECT s.state, s.repo_id FROM tensor_seen s JOIN tensor_file f ON f.id = s.file_id WHERE f.sha256 = ?",
        [hashlib.sha256(file).digest()]).fetchall()
    new_model(alice, {"model.safetensors": file}, private=True)
    assert [state for state, _ in states()] == [1]
    mine = bob.new_repo("tensors")
    with later(hub):
        bob.commit_files(mine, {"model.safetensors": file})
        assert tensors(bob, mine)["state"] == "pending"
    assert looked_at(bob, mine)["state"] == "ready"
    other = alice.new_repo("tensors")
    alice.commit_files(other, {"model.safetensors": file})
    assert tensors(alice, other)["state"] == "ready", "what anybody may read elsewhere is no secret"


def test_a_repo_that_is_gone_is_no_longer_named(alice, bob):
    base = {"w": matrix(930, 32, 32)}
    one, two = (new_model(person, {"model.safetensors": save(base)}) for person in (alice, bob))
    assert len(sharers(alice, one)["repos"]) == 1
    bob.api.delete_repo(two)
    assert sharers(alice, one)["repos"] == []


# ---- hostile files


def tensor(dtype="U8", shape=(4,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "an overlap": crafted({"a": tensor(), "b": tensor(offsets=(2, 6))}, bytes(6)),
    "a hole": crafted({"a": tensor(), "b": tensor(offsets=(5, 9))}, bytes(9)),
    "bytes before the first": crafted({"a": tensor(offsets=(1, 5))}, bytes(5)),
    "bytes behind the last": crafted({"a": tensor()}, bytes(5)),
    "too few bytes": crafted({"a": tensor()}, bytes(3)),
    "a huge shape": crafted({"a": tensor(shape=(2**62, 2**62))}, bytes(4)),
    "a shape that overflows to what fits": crafted({"a": tensor(shape=(2**32, 2**32, 4), offsets=(0, 4))}, bytes(4)),
    "a shape that overflows to nothing": crafted({"a": tensor("F64", (2**61,), (0, 0))}),
    "a negative shape": crafted({"a": tensor(shape=(-2, -2))}, bytes(4)),
    "a shape beyond 64 bits": crafted(b'{"a":{"dtype":"U8","shape":[36893488147419103236],"data_offsets":[0,4]}}', bytes(4)),
    "offsets that go back": crafted({"a": tensor(offsets=(4, 0))}, bytes(4)),
    "offsets beyond the file": crafted({"a": tensor(shape=(2**40,), offsets=(0, 2**40))}, bytes(4)),
    "an unknown type": crafted({"a": tensor("U9")}, bytes(4)),
    "half a byte": crafted({"a": tensor("F4", (3,), (0, 1))}, bytes(1)),
    "a name twice": crafted(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}', bytes(8)),
    "a header beyond the file": crafted({"a": tensor()}, bytes(4), length=10**6),
    "a header of 2^64 - 1 bytes": crafted({"a": tensor()}, bytes(4), length=2**64 - 1),
    "a header of 2^63 bytes": crafted({"a": tensor()}, bytes(4), length=2**63),
    "a header that is cut off": crafted({"a": tensor()}, bytes(4), length=20),
    "no header": b"\0\0\0",
    "an empty file": b"",
    "no JSON": crafted(b"\xff" * 100),
    "deep JSON": crafted(b'{"a":' * 100_000),
    "a list": crafted([]),
    "metadata that is no map of texts": crafted({"__metadata__": {"a": 1}}),
    "more tensors than allowed": crafted(b"{%s}" % b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(200_001))),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_and_harms_nobody(alice, what):
    repo = alice.new_repo("tensors")
    alice.commit_files(repo, {"bad.safetensors": HOSTILE[what], "good.safetensors": save({"w": matrix(1000, 9, 9)})})
    answer = looked_at(alice, repo)
    assert answer["state"] == "refused"
    ((file, why),) = [refused.values() for refused in answer["refused"]]
    assert file == "bad.safetensors" and why and why != "The hub could not look at the file"
    assert [tensor["name"] for tensor in answer["tensors"]] == ["w"]
    leaf = manifest(alice, repo)
    assert leaf["files"] == 2 and "tensorRoot" not in leaf
    assert proof(alice, repo, "w").status_code == 404
    assert alice.read(repo, "bad.safetensors") == HOSTILE[what]


def test_a_header_of_a_hundred_megabytes_is_not_even_read(alice):
    repo = alice.new_repo("tensors")
    alice.commit_files(repo, {"bad.safetensors": crafted(b"{}" + b" " * 100_000_000)})
    answer = looked_at(alice, repo)
    assert answer["state"] == "refused" and "bytes; " in answer["refused"][0]["why"]
    assert "tensorRoot" not in manifest(alice, repo)


def test_a_hundred_thousand_tensors_are_no_trouble(alice):
    header = {f"model.layers.{number}.weight": tensor(shape=(2, 2), offsets=(4 * number, 4 * number + 4)) for number in range(100_000)}
    data = numpy.arange(100_000, dtype="uint32").tobytes()
    repo = alice.new_repo("tensors")
    alice.commit_files(repo, {"model.safetensors": crafted(header, data)})
    assert looked_at(alice, repo)["state"] == "ready"
    answer = proof(alice, repo, "model.layers.77777.weight").json()
    assert answer["size"] == 100_000 and answer["tensor"]["digest"] == sha256(data[4 * 77777:4 * 77778])
    assert answer["tensorRoot"] == until(lambda: manifests(alice, repo))[0]["tensorRoot"] == tensor_root(crafted(header, data))


# ---- power cuts


def test_a_pass_that_is_cut_off_goes_on_after_a_restart(own_hub):
    carol = own_hub.person("carol")
    file = save({f"w{number:05}": matrix(number, 70) for number in range(40_000)})
    repo = carol.new_repo("tensors")
    carol.commit_files(repo, {"model.safetensors": file})

    def ask(sql):
        with sqlite3.connect(f"file:{own_hub.data}/cairn.db?mode=ro", uri=True) as database:
            return database.execute(sql).fetchone()[0]

    rows = [until(lambda: ask("SELECT COUNT(*) FROM tensor"))]
    while True:
        own_hub.kill()
        rows.append(ask("SELECT COUNT(*) FROM tensor"))
        done = ask("SELECT MAX(state) FROM tensor_file")
        own_hub.start()
        if done or len(rows) > 4:
            break
        until(lambda: ask("SELECT COUNT(*) FROM tensor") > rows[-1] or ask("SELECT MAX(state) FROM tensor_file"))
    assert rows == sorted(rows) and rows[1] < 40_000, "it was cut off, and nothing that was found was lost"
    assert manifest(carol, repo)["tensorRoot"] == tensor_root(file)
    assert len(manifests(carol, repo)) == 1


def test_a_pass_is_cut_short_when_the_hub_stops(own_hub):
    carol = own_hub.person("carol")
    file = save({f"w{number:05}": matrix(number, 70) for number in range(20_000)})
    repo = carol.new_repo("tensors")
    carol.commit_files(repo, {"model.safetensors": file})
    own_hub.stop()
    assert "could not be looked at" not in own_hub.log_text()
    own_hub.start()
    assert until(lambda: manifests(carol, repo))[0]["tensorRoot"] == tensor_root(file)


def test_rows_that_are_of_use_to_nobody_go(own_hub):
    carol = own_hub.person("carol")
    kept = new_model(carol, {"model.safetensors": save({"w": matrix(1100, 9, 9)})})
    gone = new_model(carol, {"model.safetensors": save({f"w{number}": matrix(1101 + number, 3) for number in range(2500)})})
    carol.api.delete_repo(gone)
    own_hub.stop()
    own_hub.start()  # the job runs soon after the start, and then every hour

    def rows():
        with sqlite3.connect(f"file:{own_hub.data}/cairn.db?mode=ro", uri=True) as database:
            return [database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("tensor", "tensor_file", "tensor_seen")]

    until(lambda: rows() == [1, 1, 1])
    assert looked_at(carol, kept)["state"] == "ready"


# ---- who asks right after an upload


@pytest.fixture
def right_after(tmp_path):
    """Commits a new model to a hub; gives cairn sign and cairn verify --tensors of the same files, asked of that hub."""

    def commit(person, number):
        repo, folder = person.new_repo("tensors"), tmp_path / "m"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(save({"w": matrix(number, 9, 9)}))
        key = register(person, Key(tmp_path))
        person.commit_files(repo, {"model.safetensors": (folder / "model.safetensors").read_bytes()})
        here = "--hub", person.hub.url, "--repo", repo

        def sign():
            return person.run(BINARY, "sign", *here, "--key", key.file, "--out", tmp_path / "sig", check=False)

        def verify():
            return person.run(BINARY, "verify", folder, *here, "--state", tmp_path / "state", "--tensors", check=False)

        return repo, folder, sign, verify

    return commit


def test_a_model_can_be_verified_right_after_the_upload(alice, right_after):
    repo, folder, _, verify = right_after(alice, 1200)
    done = verify()
    assert done.returncode == 0 and "1 tensors have the root that was logged" in done.stdout, done.stdout + done.stderr
    (folder / "model.safetensors").write_bytes(save({"w": matrix(1201, 9, 9)}))
    assert verify().returncode == 1


def test_a_model_that_is_signed_right_after_the_upload_keeps_its_tensors(alice, right_after):
    repo, folder, sign, verify = right_after(alice, 1210)
    assert sign().returncode == 0
    assert "1 tensors have the root that was logged" in verify().stdout
    assert [leaf["tensorRoot"] for leaf in manifests(alice, repo)] == [tensor_root((folder / "model.safetensors").read_bytes())] * len(
        manifests(alice, repo))


def test_what_takes_longer_is_told_and_neither_signed_nor_believed(own_hub, right_after):
    carol = own_hub.person("carol")
    with later(own_hub):
        repo, folder, sign, verify = right_after(carol, 1220)
        signed, verified = sign(), verify()
        assert signed.returncode == 1 and "still looking" in signed.stderr, signed.stderr
        assert verified.returncode == 3 and "says nothing of files" in verified.stderr and "again" in verified.stderr, verified.stderr
        assert carol.http.get(f"/api/models/{repo}/oms/main").json()["signatures"] == [] == manifests(carol, repo)
    assert sign().returncode == 0 and "1 tensors have the root" in verify().stdout
