# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tier counts besides requests, bytes and repos: open requests for access, verified bytes, inspection, groups of repos."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support import add, until
from tiers import held, publish


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
