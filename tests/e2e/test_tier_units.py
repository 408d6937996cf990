# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tier counts besides requests, bytes and repos: open requests for access, verified bytes, inspection, groups of repos."""

import os
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import add, until
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
