# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken terms: the ladder of an owner and a person, step by step, with grounds, signatures and appeals."""

import time

import pytest

from support import Hub, new_name, until

GROUND = {"code": "passed-on", "text": "The weights were found on another site."}


def gated(person):
    repo = person.new_repo("gated")
    person.commit_files(repo, {"config.json": b"{}"})
    person.api.update_repo_settings(repo, gated="auto")
    return repo


def ask(person, repo):
    answer = person.http.post(f"/api/models/{repo}/access-request", json={})
    return answer


@pytest.fixture
def culprit(hub):
    return hub.person(new_name("culprit"), "read")


@pytest.fixture(scope="module")
def board(hub):
    return hub.person(new_name("board"), "admin", ("--admin",))


def step(owner, repo, user, name, **more):
    body = GROUND | {"user": user.name, "step": name} | more
    return owner.http.post(f"/api/models/{repo}/enforcement", json=body)


def notices(person, kind):
    return [notice for notice in person.http.get("/api/notices").json() if notice["kind"] == kind]


def reads(person, repo):
    answer = person.http.get(f"/{repo}/resolve/main/config.json")
    return answer.headers.get("x-access-reason", answer.status_code)


def test_the_whole_ladder_step_by_step(alice, board, culprit):
    repo = gated(alice)
    ask(culprit, repo)
    states = []
    for name in "notice", "slow", "suspend", "revoke", "strike", "block":
        answer = step(alice, repo, culprit, name)
        assert answer.status_code == 200, answer.text
        states.append((answer.json()["state"], reads(culprit, repo)))
    assert states == [("noticed", 200), ("slowed", 200), ("suspended", "suspended"), ("revoked", "revoked"), ("struck", "revoked"), ("blocked", "blocked")]
    assert step(alice, repo, culprit, "site-block").status_code == 403, "that is the board's"
    assert step(board, repo, culprit, "site-block").json()["state"] == "site-blocked"
    told = notices(culprit, "enforcement")
    assert len(told) == 7 and all(GROUND["text"] in notice["text"] and "/appeal" in notice["text"] for notice in told)
    assert step(alice, repo, culprit, "lift").status_code == 403
    assert step(board, repo, culprit, "lift").json()["state"] == "noticed"
    assert reads(culprit, repo) == "revoked"


@pytest.mark.parametrize("name", ["slow", "suspend", "revoke", "strike", "block"])
def test_no_step_is_left_out(alice, culprit, name):
    repo = gated(alice)
    ask(culprit, repo)
    refused = step(alice, repo, culprit, name)
    assert refused.status_code == 422 and "the steps between come first" in refused.text
    assert reads(culprit, repo) == 200 and notices(culprit, "enforcement") == []
    assert culprit.http.get("/api/enforcement").json() == []


FLOOR = 30  # requests in a minute


def test_who_is_slowed_gets_the_bytes_of_that_owner_at_the_floor_rate_alone(alice, bob, culprit):
    repo, other = gated(alice), gated(bob)
    for each in repo, other:
        ask(culprit, each)
    step(alice, repo, culprit, "notice")
    assert [reads(culprit, repo) for _ in range(FLOOR + 5)] == [200] * (FLOOR + 5), "a notice takes nothing away"
    until_when = step(alice, repo, culprit, "slow").json() and culprit.http.get(f"/api/models/{repo}/access").json()["slowedUntil"]
    answers = [culprit.http.get(f"/{repo}/resolve/main/config.json") for _ in range(FLOOR + 5)]
    assert [answer.status_code for answer in answers[:FLOOR]] == [200] * FLOOR
    refused = answers[-1]
    assert refused.status_code == 429 and refused.headers["x-error-code"] == "AccessSlowed"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-access-reason"] == "slowed" and refused.headers["x-access-next"].endswith("/api/enforcement")
    assert refused.headers["x-access-until"] == until_when
    assert reads(culprit, other) == 200, "bob has slowed nobody"
    assert culprit.http.get(f"/api/models/{repo}/tree/main").status_code == 200, "only the bytes are slowed"
    assert ask(culprit, gated(alice)).status_code == 200, "and it is no block"
    assert step(alice, repo, culprit, "lift").json()["state"] == "noticed"
    assert reads(culprit, repo) == 200


def test_safety_enters_anywhere_with_a_second_signature(alice, bob, board, culprit):
    repo = gated(alice)
    ask(culprit, repo)
    waiting = step(alice, repo, culprit, "block", code="imminent-harm", text="A threat.")
    assert waiting.status_code == 200 and waiting.json()["waits"] is True
    assert reads(culprit, repo) == 200, "one signature does nothing yet"
    sign = f"/api/models/{repo}/enforcement/{waiting.json()['id']}/sign"
    assert alice.http.post(sign).status_code == 403, "not twice by the same person"
    assert bob.http.post(sign).status_code == 403
    assert until(lambda: notices(board, "enforcement.second"))
    signed = board.http.post(sign)
    assert signed.status_code == 200 and signed.json()["state"] == "blocked"
    assert reads(culprit, repo) == "blocked"
    assert board.http.post(sign).status_code == 404, "it waits no more"


def test_an_ordinary_ground_gets_no_second_signature(alice, culprit):
    assert step(alice, gated(alice), culprit, "block").status_code == 422


def test_what_a_person_says_is_no_strike(alice, culprit):
    repo = gated(alice)
    for name in "notice", "slow", "suspend", "revoke":
        assert step(alice, repo, culprit, name).is_success
    assert step(alice, repo, culprit, "strike", code="message").status_code == 422
    assert step(alice, repo, culprit, "strike").is_success


def test_three_points_are_a_case_for_the_board(alice, board, culprit):
    repo = gated(alice)
    for name in "notice", "slow", "suspend", "revoke":
        step(alice, repo, culprit, name)
    before = len(notices(board, "board.case"))
    step(alice, repo, culprit, "strike", points=2)
    assert len(notices(board, "board.case")) == before
    step(alice, repo, culprit, "strike", points=1)
    assert len(notices(board, "board.case")) == before + 1


def test_each_step_needs_a_ground_in_words_and_sane_numbers(alice, culprit):
    repo = gated(alice)
    for wrong in ({"code": "because"}, {"text": ""}, {"step": "lapse"}, {"user": "nobody-there"}, {"points": 1},
                  {"until": "2031-01-01T00:00:00Z"}, {"more": 1}, {"text": "x" * 20001}):
        assert step(alice, repo, culprit, **{"name": "notice"} if "step" not in wrong else {"name": "lapse"},
                    **{key: value for key, value in wrong.items() if key != "step"}).status_code in (400, 404) \
            if "user" not in wrong else True
    step(alice, repo, culprit, "notice")
    assert step(alice, repo, culprit, "slow", until="2131-01-01T00:00:00Z").status_code == 400
    step(alice, repo, culprit, "slow")
    for until_text in "2001-01-01T00:00:00Z", "2131-01-01T00:00:00Z", "soon":
        assert step(alice, repo, culprit, "suspend", until=until_text).status_code == 400
    for points in 0, 4, -1, "many":
        assert step(alice, repo, culprit, "strike", points=points).status_code == 400


def test_the_ladder_is_the_owners_own(alice, bob, culprit):
    repo, other = gated(alice), gated(bob)
    ask(culprit, other)
    assert step(bob, repo, culprit, "notice").status_code == 403
    for name in "notice", "slow", "suspend", "revoke", "strike", "block":
        step(alice, repo, culprit, name)
    assert reads(culprit, other) == 200, "bob's gates are not alice's"
    assert bob.http.get(f"/api/models/{repo}/enforcement").status_code == 403
    assert [row["step"] for row in alice.http.get(f"/api/models/{repo}/enforcement").json() if row["user"] == culprit.name] == [
        "block", "strike", "revoke", "suspend", "slow", "notice"]
    assert {row["step"] for row in culprit.http.get("/api/enforcement").json()} == {"block", "strike", "revoke", "suspend", "slow", "notice"}
    assert bob.http.get("/api/enforcement").json() == []


def test_a_step_is_appealed_once_and_the_board_is_told(alice, bob, board, culprit):
    repo = gated(alice)
    number = step(alice, repo, culprit, "notice").json()["id"]
    assert bob.http.post(f"/api/enforcement/{number}/appeal", json={"text": "Not me."}).status_code == 404
    assert culprit.http.post(f"/api/enforcement/{number}/appeal", json={"text": "It was not me."}).is_success
    assert culprit.http.post(f"/api/enforcement/{number}/appeal", json={"text": "Again."}).status_code == 404
    for person in alice, board:
        assert any("It was not me." in notice["text"] for notice in notices(person, "enforcement.appeal"))


def test_strikes_lapse_and_suspensions_end_by_the_clock(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, culprit = hub.person("owner"), hub.person("culprit", "read")
        repo = gated(owner)
        ask(culprit, repo)
        for name in "notice", "slow", "suspend":
            assert step(owner, repo, culprit, name).is_success
        assert reads(culprit, repo) == "suspended"
        hub.stop()
        hub.environment["CAIRN_CLOCK_AHEAD"] = str(15 * 86400)
        hub.start()
        assert reads(culprit, repo) == 200
        for name in "revoke", "strike":
            assert step(owner, repo, culprit, name, **({"points": 2} if name == "strike" else {})).is_success
        hub.stop()
        hub.environment["CAIRN_CLOCK_AHEAD"] = str((15 + 91) * 86400)
        hub.start()
        [strike] = [row for row in culprit.http.get("/api/enforcement").json() if row["step"] == "strike"]
        assert strike["counts"] is False
        assert until(lambda: owner.http.get(f"/api/models/{repo}/enforcement").json()[0]["state"] == "noticed")
    finally:
        hub.stop()


def test_every_step_is_in_the_log(alice, culprit):
    repo = gated(alice)
    before = alice.http.get(f"/api/models/{repo}/provenance").json()
    step(alice, repo, culprit, "notice")
    after = alice.http.get(f"/api/models/{repo}/provenance").json()
    kinds = [entry.get("type", entry.get("kind")) for entry in after["entries"]]
    assert len(after["entries"]) == len(before["entries"]) + 1 and "access-decision" in kinds[0], kinds
    assert culprit.name not in str(after["entries"][0])
