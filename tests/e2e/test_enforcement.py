# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken terms: the ladder of an owner and a person, step by step, with grounds, signatures and appeals."""

from datetime import UTC, datetime, timedelta

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
    number = step(alice, repo, culprit, "strike", points=1).json()["id"]
    assert len(notices(board, "board.case")) == before + 1
    assert number in waiting(board) and look(board, number, "overturned").status_code == 200
    assert standing(alice, repo, culprit) == ("struck", 2)


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


# ---- what the board looks at ----


def look(person, number, outcome="stands"):
    return person.http.post(f"/api/enforcement/{number}/look", json={"outcome": outcome, "text": "We have looked."})


def waiting(person):
    return [row["id"] for row in person.http.get("/api/enforcement/looks").json()]


@pytest.mark.parametrize("outcome", ["stands", "overturned"])
def test_the_board_looks_at_a_step_for_safety_and_says_whether_it_stands(alice, bob, board, hub, culprit, outcome):
    repo, second = gated(alice), hub.person(new_name("second"), "admin", ("--admin",))
    ask(culprit, repo)
    number = step(alice, repo, culprit, "block", code="imminent-harm").json()["id"]
    assert number not in waiting(board), "one signature does nothing yet"
    assert board.http.post(f"/api/models/{repo}/enforcement/{number}/sign").is_success
    assert number in waiting(board) and notices(second, "board.look")
    assert [person.http.get("/api/enforcement/looks").status_code for person in (alice, culprit)] == [403, 403]
    assert [look(person, number).status_code for person in (alice, culprit, bob, board)] == [403] * 4, "board has signed it"
    assert look(second, number, "perhaps").status_code == 400
    assert look(second, number, outcome).status_code == 200
    assert look(second, number).status_code == 404 and number not in waiting(board)
    assert reads(culprit, repo) == ("blocked" if outcome == "stands" else 200)
    assert "We have looked." in notices(culprit, "enforcement.look")[0]["text"]


def test_an_ordinary_step_waits_for_no_look(alice, board, culprit):
    repo = gated(alice)
    for name in "notice", "slow", "suspend", "revoke", "strike":
        number = step(alice, repo, culprit, name).json()["id"]
        assert number not in waiting(board) and look(board, number).status_code == 404


def test_a_look_that_does_not_come_in_seven_days_is_late(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, culprit = hub.person("owner"), hub.person("culprit", "read")
        first, second = (hub.person(name, "admin", ("--admin",)) for name in ("first", "second"))
        repo = gated(owner)
        for about in "weapons", "child-safety":
            number = step(owner, repo, culprit, "notice" if about == "weapons" else "block", code=about).json()["id"]
        assert first.http.post(f"/api/models/{repo}/enforcement/{number}/sign").is_success
        for days, late in (6, 0), (8, 1):
            hub.stop()
            hub.environment["CAIRN_CLOCK_AHEAD"] = str(days * 86400)
            hub.start()
            assert until(lambda late=late: len(notices(second, "board.late")) == late)
        assert look(second, number).status_code == 200
    finally:
        hub.stop()


# ---- appeals ----


def appeal(person, number, **body):
    return person.http.post(f"/api/enforcement/{number}/appeal", json=body or {"text": "It was not me."})


def decide(people, key, outcome, **more):
    """Whoever of them hears the appeal looks at it and votes, until it is decided."""
    for person in people:
        if any(one["id"] == key and one["as"] == "panel" for one in person.http.get("/api/appeals").json()):
            person.http.post(f"/api/appeals/{key}/first-look", json={"outcome": outcome})
            person.http.post(f"/api/appeals/{key}", json={"outcome": outcome, "text": "So we find.",
                                                          "answers": [{"ground": 0, "text": "It was not."}], **more})


@pytest.fixture
def court(hub, alice, culprit):
    """A gate of alice's whose culprit has been let in, with three people who hear appeals there."""
    repo = gated(alice)
    ask(culprit, repo)
    panel = [hub.person(new_name("panel")) for _ in range(3)]
    for person in panel:
        assert alice.http.put(f"/api/models/{repo}/gate/reviewers", json={"user": person.name, "role": "appeal"}).is_success
    return repo, panel


LADDER = ["notice", "slow", "suspend", "revoke", "strike", "block"]
STATES = ["clear", "noticed", "slowed", "suspended", "revoked", "struck", "blocked"]


def climb(owner, repo, user, last):
    for name in LADDER[: LADDER.index(last) + 1]:
        answer = step(owner, repo, user, name)
    return answer.json()["id"]


def standing(owner, repo, user):
    """Their state, and the points that count."""
    rows = [row for row in owner.http.get(f"/api/models/{repo}/enforcement").json() if row["user"] == user.name]
    return rows[0]["state"], sum(row.get("points", 0) for row in rows if row.get("counts"))


@pytest.mark.parametrize("name", LADDER)
def test_a_step_that_an_appeal_overturns_is_taken_back(alice, culprit, court, name):
    repo, panel = court
    number = climb(alice, repo, culprit, name)
    before = reads(culprit, repo)
    filed = appeal(culprit, number)
    assert filed.status_code == 200 and filed.json()["state"] == "panel" and filed.json()["due"], filed.text
    assert standing(alice, repo, culprit)[0] == STATES[LADDER.index(name) + 1], "it stands meanwhile"
    decide(panel, filed.json()["id"], "uphold")
    mine = culprit.http.get(f"/api/appeals/{filed.json()['id']}").json()
    assert (mine["state"], mine["about"]) == ("upheld", "enforcement")
    assert standing(alice, repo, culprit) == (STATES[LADDER.index(name)], 1 if name == "block" else 0)
    assert before == {"suspend": "suspended", "revoke": "revoked", "strike": "revoked", "block": "blocked"}.get(name, 200)
    assert reads(culprit, repo) == {"suspend": 200, "revoke": 200, "strike": "revoked", "block": "revoked"}.get(name, 200)
    assert [row["overturned"] for row in culprit.http.get("/api/enforcement").json() if row["id"] == number] == [True]
    assert notices(culprit, "appeal.decided")


@pytest.mark.parametrize("name", LADDER)
def test_a_step_whose_appeal_is_dismissed_stands(alice, culprit, court, name):
    repo, panel = court
    number = climb(alice, repo, culprit, name)
    before = reads(culprit, repo), standing(alice, repo, culprit)
    key = appeal(culprit, number).json()["id"]
    decide(panel, key, "dismiss")
    assert culprit.http.get(f"/api/appeals/{key}").json()["state"] == "dismissed"
    assert (reads(culprit, repo), standing(alice, repo, culprit)) == before
    assert appeal(culprit, number).status_code == 409, "once"


def test_an_appeal_that_is_upheld_in_part_gives_a_block_an_end(alice, culprit, court):
    repo, panel = court
    number = climb(alice, repo, culprit, "block")
    refused = f"/{repo}/resolve/main/config.json"
    assert "x-access-until" not in culprit.http.get(refused).headers
    decide(panel, appeal(culprit, number).json()["id"], "vary", days=5)
    left = datetime.fromisoformat(culprit.http.get(refused).headers["x-access-until"]) - datetime.now(UTC)
    assert timedelta(days=4) < left <= timedelta(days=5)
    assert standing(alice, repo, culprit)[0] == "blocked"


def test_an_appeal_that_is_upheld_in_part_takes_a_point_of_a_strike(alice, culprit, court):
    repo, panel = court
    climb(alice, repo, culprit, "revoke")
    number = step(alice, repo, culprit, "strike", points=2).json()["id"]
    decide(panel, appeal(culprit, number).json()["id"], "vary", days=5)
    assert standing(alice, repo, culprit) == ("struck", 1)


def test_who_has_taken_or_signed_a_step_does_not_hear_the_appeal(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, culprit = hub.person("owner"), hub.person("culprit", "read")
        board = [hub.person(f"board{n}", "admin", ("--admin",)) for n in range(3)]
        repo = gated(owner)
        ask(culprit, repo)
        waiting = step(board[0], repo, culprit, "block", code="imminent-harm").json()["id"]
        assert board[1].http.post(f"/api/models/{repo}/enforcement/{waiting}/sign").is_success
        key = appeal(culprit, waiting).json()["id"]
        hears = [person.name for person in board if person.http.get("/api/appeals").json()]
        assert hears == ["board2"]
        assert board[0].http.get(f"/api/appeals/{key}").status_code == 404
        decide(board, key, "uphold")
        assert reads(culprit, repo) == 200
    finally:
        hub.stop()


def test_a_step_is_appealed_by_the_person_alone_in_words(alice, bob, culprit):
    repo = gated(alice)
    number = step(alice, repo, culprit, "notice").json()["id"]
    assert appeal(bob, number).status_code == 404
    for wrong in {"text": ""}, {"grounds": []}, {"grounds": [{"code": "mood", "text": "x"}]}, {"more": 1}:
        assert appeal(culprit, number, **wrong).status_code == 400, wrong
    assert appeal(culprit, number, grounds=[{"code": "facts-wrong", "text": "It was not me."}]).is_success
    assert notices(alice, "enforcement.appeal")
    key = culprit.http.get("/api/enforcement").json()[0]["appeal"]
    assert culprit.http.get(f"/api/appeals/{key}").json()["grounds"] == [{"code": "facts-wrong", "text": "It was not me."}]


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

    def entries():
        """Without those of manifests, which come when the hub gets to them."""
        return [entry for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"] if entry["type"] != "manifest"]

    before = entries()
    step(alice, repo, culprit, "notice")
    added, *rest = entries()
    assert rest == before and added["type"] == "access-decision"
    assert culprit.name not in str(added)
