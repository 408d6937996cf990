# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tier counts besides requests, bytes and repos: open requests for access, verified bytes, inspection, groups of repos."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import add
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
