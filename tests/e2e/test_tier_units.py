# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tier counts besides requests, bytes and repos: open requests for access, verified bytes, inspection, groups of repos."""

import os
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import add, sha256, until
from tensors import crafted, matrix, save
from tiers import held, publish
from xet import File, Session, Xorb, cut, shard


@pytest.fixture
def ada(own_hub):
    return own_hub.person("ada")


def usage(person, unit, scope="person", **query):
    answer = person.http.get("/api/usage", params=query)
    assert answer.status_code == 200, answer.text
    [found] = [limit for limit in answer.json()["limits"] if (limit["unit"], limit["scope"]) == (unit, scope)]
    return found


def gated(owner, count, mode="manual"):
    repos = [owner.new_repo("gated") for _ in range(count)]
    for repo in repos:
        owner.commit(repo, add("weights.bin", repo.encode()))
        assert owner.http.put(f"/api/models/{repo}/gate", json={"mode": mode}).status_code == 200
    return repos


def ask(person, repo, **body):
    return person.http.post(f"/api/models/{repo}/access-request", json=body)


def test_nobody_has_more_requests_for_access_open_than_the_tier_allows_and_an_ended_one_makes_room(own_hub, ada):
    bob, eve = own_hub.person("bob"), own_hub.person("eve")
    first, second, third = gated(ada, 3)
    [clicked] = gated(ada, 1, "click")
    publish(own_hub, "basic", held("gate.request.open", 2))
    assert ask(bob, first).status_code == 200 and ask(bob, second, draft=True).status_code == 200
    assert (usage(bob, "gate.request.open")["used"], usage(bob, "gate.request.open")["remaining"]) == (2, 0)
    refused = ask(bob, third)
    assert (refused.status_code, refused.headers["x-error-code"]) == (429, "QuotaExceeded")
    assert "open requests for access of bob" in refused.json()["error"] and "withdraw" in refused.json()["error"]
    assert ask(eve, third).status_code == 200, "everybody has places of the own"
    assert ask(bob, second).status_code == 200, "a draft has its place already"
    assert ask(bob, clicked).json()["state"] == "approved", "what is decided at once takes no place"
    assert bob.http.post(f"/api/models/{first}/access-request/withdraw").status_code == 200
    assert ask(bob, third).status_code == 200
    assert ask(bob, first).status_code == 429
    number = bob.http.get(f"/api/models/{second}/access-request").json()["id"]
    decided = ada.http.post(f"/api/models/{second}/access-requests/{number}/decide",
                            json={"outcome": "refuse", "code": "other", "text": "No."})
    assert decided.status_code == 200, decided.text
    assert ask(bob, first).status_code == 200


def test_of_many_requests_for_access_at_once_exactly_as_many_are_opened_as_there_are_places(own_hub, ada):
    bob = own_hub.person("bob")
    repos = gated(ada, 12)
    publish(own_hub, "basic", held("gate.request.open", 5))
    with ThreadPoolExecutor(12) as pool:
        answers = sorted(pool.map(lambda repo: ask(bob, repo).status_code, repos))
    assert answers == [200] * 5 + [429] * 7
    assert usage(bob, "gate.request.open")["used"] == 5


# Bytes that the hub reads again.

DAY = {"per": 86400}


def whole(xorb):
    return File([(xorb, 0, len(xorb.chunks))])


def test_shards_beyond_the_bytes_that_may_be_verified_are_refused_before_anything_is_read(own_hub, ada):
    repo = ada.new_repo()
    session = Session(ada, repo)
    first, second = Xorb(cut(os.urandom(300_000))), Xorb(cut(os.urandom(200_000)))
    publish(own_hub, "basic", held("verify.bytes", 400_000, **DAY))
    session.upload(first, whole(first))
    assert usage(ada, "verify.bytes")["used"] == 300_000
    session.upload(whole(first))
    assert usage(ada, "verify.bytes")["used"] == 300_000, "what the repo holds already is not read again"
    assert session.post_xorb(second).status_code == 200
    for version in 1, 2:
        refused = session.post_shard(shard([whole(second)], [second]), version)
        assert (refused.status_code, refused.headers["x-error-code"]) == (413, "QuotaExceeded")
        assert 0 < int(refused.headers["retry-after"]) <= 86400
        assert "200000 more bytes read again to verify uploads of ada" in refused.json()["error"]
    assert (usage(ada, "verify.bytes")["used"], usage(ada, "verify.bytes")["remaining"]) == (300_000, 100_000)
    assert usage(ada, "bytes.store.public")["reserved"] == 0, "nor is room kept for what was refused"
    eve = own_hub.person("eve")
    Session(eve, eve.new_repo()).upload(second, whole(second))
    publish(own_hub, "basic", held("verify.bytes", 500_000, **DAY))
    session.upload(whole(second))
    assert usage(ada, "verify.bytes")["remaining"] == 0


def test_of_many_shards_at_once_no_byte_more_is_verified_than_the_tier_allows(own_hub, ada):
    session = Session(ada, ada.new_repo())
    xorbs = [Xorb(cut(os.urandom(100_000))) for _ in range(10)]
    for xorb in xorbs:
        assert session.post_xorb(xorb).status_code == 200
    publish(own_hub, "basic", held("verify.bytes", 420_000, **DAY))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda xorb: session.post_shard(shard([whole(xorb)], [xorb])).status_code, xorbs))
    assert sorted(answers) == [200] * 4 + [413] * 6
    assert usage(ada, "verify.bytes")["used"] == 400_000


# Seconds of inspection.


def tensors(seed):
    return save({"w": matrix(seed, 16, 16)})


def test_inspection_counts_and_who_has_used_it_up_sends_no_more_tensors_but_other_files(own_hub, ada):
    repo, eve = ada.new_repo(), own_hub.person("eve")
    before = usage(ada, "scan.seconds")["used"]
    ada.commit(repo, add("card.md", b"# Nothing to be inspected"))
    assert usage(ada, "scan.seconds")["used"] == before == 0
    ada.commit(repo, add("more.safetensors", tensors(1)))
    until(lambda: usage(ada, "scan.seconds")["used"] > 0)
    publish(own_hub, "basic", held("scan.seconds", 0, **DAY))
    asked = ada.http.post(f"/api/models/{repo}/preupload/main", json={"files": [{"path": "b.safetensors", "size": 9, "sample": ""}]})
    sent = ada.commit_lines(repo, ("file", {"path": "b.safetensors", "encoding": "base64", "content": b64encode(tensors(2)).decode()}))
    for refused in asked, sent:
        assert (refused.status_code, refused.headers["x-error-code"]) == (413, "QuotaExceeded")
        assert "seconds of inspection of uploads of ada" in refused.json()["error"]
        assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert "b.safetensors" not in ada.files(repo)
    ada.commit(repo, add("other.md", b"# Goes on"))
    assert "other.md" in ada.files(repo)
    theirs = eve.new_repo()
    publish(own_hub, "basic", held("scan.seconds", 3600, **DAY))
    eve.commit(theirs, add("b.safetensors", tensors(3)))
    ada.commit(repo, add("b.safetensors", tensors(2)))
    assert "b.safetensors" in ada.files(repo)
    until(lambda: usage(eve, "scan.seconds")["used"] > 0)


def test_a_look_that_finds_nothing_but_rubbish_counts_too(own_hub, ada):
    repo = ada.new_repo()
    ada.commit(repo, add("bad.safetensors", crafted({"w": {"dtype": "no such", "shape": [1], "data_offsets": [0, 4]}}, b"1234")))
    until(lambda: usage(ada, "scan.seconds")["used"] > 0)


# Groups of the repos of an organisation.


@pytest.fixture
def lab(own_hub, ada):
    own_hub.org("lab", ada="admin")
    return [ada.api.create_repo(f"lab/{name}").repo_id for name in ("nightly-1", "Nightly-2", "weekly-1")]


def group(hub, unit, hard, pattern="nightly-*", **more):
    """The lab has a tier of its own from now on: no limit but that of this group."""
    publish(hub, "lab", held(unit, hard, scope="repos", repos=pattern, **more), order=20)
    hub.admin("tier", "give", "lab", "lab")


def test_a_group_of_repos_has_limits_of_its_own_and_the_smallest_remaining_counts(own_hub, ada, lab):
    first, second, other = lab
    kept = usage(ada, "bytes.store.public", account="lab")["used"]
    group(own_hub, "bytes.store.public", 20_000)
    start = usage(ada, "bytes.store.public", "repos", account="lab")
    assert (start["repos"], start["hard"], start["reserved"]) == ("nightly-*", 20_000, 0) and 0 < start["used"] < kept
    left = start["remaining"]
    ada.put_object(first, os.urandom(6000))
    refused = ada.batch(second, (sha256(b"a"), left - 5999))
    assert (refused.status_code, refused.headers["x-error-code"]) == (413, "QuotaExceeded")
    assert "names match nightly-*" in refused.json()["error"] and "20001 bytes kept in public repos" in refused.json()["error"]
    assert ada.batch(second, (sha256(b"a"), left - 6000)).status_code == 200, "to the byte"
    assert usage(ada, "bytes.store.public", "repos", account="lab")["remaining"] == 0
    assert ada.batch(first, (sha256(b"b"), 1)).status_code == 413
    ada.put_object(other, os.urandom(30_000))
    mine = ada.api.create_repo("ada/nightly-1").repo_id
    ada.put_object(mine, os.urandom(30_000))
    used = usage(ada, "bytes.store.public", account="lab")
    publish(own_hub, "lab", held("bytes.store.public", used["used"] + used["reserved"] + 10),
            held("bytes.store.public", 90_000, scope="repos", repos="nightly-*"), order=20)
    refused = ada.batch(first, (sha256(b"b"), 11))
    assert refused.status_code == 413 and "of lab: the tier lab" in refused.json()["error"], "the whole has less left"
    assert ada.batch(first, (sha256(b"b"), 10)).status_code == 200


def test_of_many_uploads_at_once_into_a_group_no_byte_too_much_is_promised(own_hub, ada, lab):
    first, second, _ = lab
    group(own_hub, "bytes.store.public", 20_000)
    left = usage(ada, "bytes.store.public", "repos", account="lab")["remaining"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: ada.batch((first, second)[i % 2], (sha256(b"%d" % i), 2000)).status_code, range(16)))
    assert answers.count(200) == left // 2000 and answers.count(413) == 16 - left // 2000
    assert usage(ada, "bytes.store.public", "repos", account="lab")["remaining"] == left % 2000


def test_a_repo_comes_into_a_group_only_where_it_fits_whether_it_is_made_renamed_or_given(own_hub, ada, lab):
    first, _, other = lab
    mine = ada.api.create_repo("ada/nightly-9").repo_id
    group(own_hub, "repo.count", 2)
    assert usage(ada, "repo.count", "repos", account="lab")["remaining"] == 0

    def move(old, new):
        return ada.http.post("/api/repos/move", json={"fromRepo": old, "toRepo": new, "type": "model"}).status_code

    assert ada.http.post("/api/repos/create", json={"name": "NIGHTLY-3", "organization": "lab"}).status_code == 413
    assert move(other, "lab/nightly-3") == 413 and move(mine, "lab/nightly-9") == 413
    assert move(first, "lab/nightly-4") == 200, "it was in the group before"
    group(own_hub, "repo.count", 1)
    assert move("lab/nightly-4", "lab/nightly-5") == 200, "nobody is locked in, though there are too many by now"
    group(own_hub, "repo.count", 2)
    assert move("lab/nightly-5", "lab/monthly-5") == 200
    assert move(mine, "lab/nightly-9") == 200
    group(own_hub, "repo.count", 3)
    assert ada.http.post("/api/repos/create", json={"name": "nightly-3", "organization": "lab"}).status_code == 200
    ada.api.delete_repo("lab/nightly-3")
    assert usage(ada, "repo.count", "repos", account="lab")["used"] == 2


def test_what_a_group_has_verified_in_a_span_counts_for_it_alone(own_hub, ada, lab):
    first, second, other = lab
    group(own_hub, "verify.bytes", 250_000, **DAY)
    xorbs = [Xorb(cut(os.urandom(150_000))) for _ in range(3)]
    Session(ada, first).upload(xorbs[0], whole(xorbs[0]))
    assert usage(ada, "verify.bytes", "repos", account="lab")["used"] == 150_000
    session = Session(ada, second)
    assert session.post_xorb(xorbs[1]).status_code == 200
    refused = session.post_shard(shard([whole(xorbs[1])], [xorbs[1]]))
    assert refused.status_code == 413 and 0 < int(refused.headers["retry-after"]) <= 86400
    Session(ada, other).upload(xorbs[2], whole(xorbs[2]))
    assert usage(ada, "verify.bytes", "repos", account="lab")["used"] == 150_000
    assert usage(ada, "verify.bytes", account="lab")["used"] == 300_000


def test_what_a_group_has_had_inspected_counts_for_it_alone(own_hub, ada, lab):
    first, second, other = lab
    group(own_hub, "scan.seconds", 3600, **DAY)
    ada.commit(other, add("a.safetensors", tensors(1)))
    until(lambda: usage(ada, "scan.seconds", account="lab")["used"] > 0)
    assert usage(ada, "scan.seconds", "repos", account="lab")["used"] == 0
    ada.commit(first, add("b.safetensors", tensors(2)))
    until(lambda: usage(ada, "scan.seconds", "repos", account="lab")["used"] > 0)
    group(own_hub, "scan.seconds", 0, **DAY)
    refused = ada.commit_lines(second, ("file", {"path": "c.safetensors", "encoding": "base64", "content": b64encode(tensors(3)).decode()}))
    assert refused.status_code == 413, refused.text
    ada.commit(other, add("c.safetensors", tensors(3)))
    assert "c.safetensors" in ada.files(other)


def test_limits_of_groups_are_public_and_have_a_version_as_all_of_a_tier(own_hub):
    for version, hard in enumerate((3, 4), 1):
        limit = held("repo.count", hard, scope="repos", repos="nightly-*")
        publish(own_hub, "lab", limit, order=20)
        tier = own_hub.anyone().http.get("/api/tiers/lab").json()
        assert (tier["version"], tier["tier"]["limits"]) == (version, [limit])


def test_the_command_line_tells_of_seconds_and_of_groups(own_hub, ada, lab):
    group(own_hub, "scan.seconds", 5, **DAY)
    own_hub.environment["HF_TOKEN"] = ada.token
    said = own_hub.cairn("usage", "--hub", own_hub.url, "--account", "lab").stdout
    assert "in repos nightly-*, 0.000 used of 5.000, begins anew" in said
    assert "gate.request.open" in said and "verify.bytes" in said
