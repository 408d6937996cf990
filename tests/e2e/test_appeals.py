# SPDX-License-Identifier: GPL-3.0-or-later
"""Appeals: a decision about access is heard again by people who had nothing to do with it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from gatecourt import Court, code_of, fine, leaks, notices
from support import new_name, until as settled
from test_review import Timed

GROUNDS = [{"code": "criteria-misapplied", "text": "The purpose does say what will be done."},
           {"code": "unequal", "text": "Others were let in."}]
ANSWERS = [{"ground": 0, "text": "It does."}, {"ground": 1, "text": "We cannot tell."}]


class Appeals(Court):
    def __init__(self, hub, panel=3, **policy):
        super().__init__(hub, **policy)
        self.reviewers = [self.member("reviewer") for _ in range(2)]
        self.panel = [self.member("appeal") for _ in range(panel)]

    def refused(self):
        applicant = self.apply()
        self.judge("refuse", note="An old reason.")
        self.judge("refuse", note="An old reason.")
        assert self.state(applicant) == "refused"
        return applicant

    def appeal(self, person, grounds=GROUNDS):
        return person.http.post(f"/api/models/{self.repo}/access-request/appeal", json={"grounds": grounds})

    def next(self, applicant):
        return fine(applicant.http.get(f"/api/models/{self.repo}/access-request"))["next"]

    def granted(self):
        applicant = self.apply()
        self.judge("approve")
        self.judge("approve")
        return applicant, fine(applicant.http.get("/api/grants"))[0]["id"]

    def revoke(self, grant, code="terms-broken"):
        fine(self.owner.http.post(f"/api/models/{self.repo}/grants/{grant}/revoke",
                                  json={"code": code, "text": "It was passed on."}))


@pytest.fixture
def court(hub):
    return Appeals(hub)


def look(person, key, outcome="uphold"):
    return person.http.post(f"/api/appeals/{key}/first-look", json={"outcome": outcome})


def vote(person, key, outcome, answers=ANSWERS, **more):
    return person.http.post(f"/api/appeals/{key}", json={"outcome": outcome, "answers": answers, "text": "So we find.", **more})


def hears(people, key):
    return [person for person in people if any(one["id"] == key and one["as"] == "panel"
                                               for one in fine(person.http.get("/api/appeals")))]


def decide(people, key, *outcomes, answers=ANSWERS, **more):
    """Each of the panel looks and votes; the first majority decides."""
    for person, outcome in zip(hears(people, key), outcomes, strict=False):
        fine(look(person, key))
        fine(vote(person, key, outcome, answers, **(more if outcome == "vary" else {})))


def seen_by(person, key):
    return fine(person.http.get(f"/api/appeals/{key}"))


def test_an_appeal_that_is_upheld_opens_the_grant(court):
    applicant = court.refused()
    filed = fine(court.appeal(applicant))
    assert filed["state"] == "panel"
    assert court.reads(applicant) == 403  # a refusal stays in force
    now = court.next(applicant)
    assert now["do"] == "wait" and filed["id"] in now["text"] and now["until"] == filed["due"]
    assert len(hears(court.panel, filed["id"])) == 3
    decide(court.panel, filed["id"], "uphold", "uphold")
    mine = seen_by(applicant, filed["id"])
    assert mine["state"] == "upheld" and mine["answers"][0]["answers"] == ANSWERS and mine["text"]
    assert not leaks(mine, [person.name for person in court.panel])
    assert court.state(applicant) == "approved" and court.reads(applicant) == 200
    # and it counts against those who refused
    figures = fine(court.owner.http.get(f"/api/models/{court.repo}/gate/figures"))
    assert [one["overturned"] for one in figures["reviewers"]] == [1, 1]


def test_an_appeal_that_is_dismissed_changes_nothing_and_is_the_only_one(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    assert court.next(applicant)["do"] == "wait"
    decide(court.panel, key, "dismiss", "dismiss")
    assert seen_by(applicant, key)["state"] == "dismissed" and court.next(applicant)["do"] == "appeal"
    assert court.state(applicant) == "refused" and court.reads(applicant) == 403
    assert code_of(court.appeal(applicant), 409) == "Appealed"
    assert notices(applicant, "appeal.decided")


def test_an_appeal_that_is_upheld_in_part_grants_for_fewer_days(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    decide(court.panel, key, "vary", "vary", days=30)
    assert court.reads(applicant) == 200
    assert fine(applicant.http.get("/api/grants"))[0]["expires"] is not None


def test_a_case_that_is_sent_back_is_judged_again_by_others_with_the_questions(court):
    applicant = court.refused()
    others = [court.member("reviewer") for _ in range(2)]
    key = fine(court.appeal(applicant))["id"]
    decide(court.panel, key, "remand", "remand")
    assert court.state(applicant) == "in_review"
    holder, review = court.holder()
    assert holder.name in {person.name for person in others}
    assert "So we find." in str(fine(holder.http.get(f"/api/reviews/{review}"))["case"]["thread"])


def test_without_a_majority_it_is_sent_back(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    decide(court.panel, key, "uphold", "vary", "dismiss", days=10)
    assert seen_by(applicant, key)["state"] == "remanded"


def test_the_panel_sees_the_case_first_and_the_reasons_after(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant, [{"code": "other", "text": "I am Zora Quillfeather."}]))["id"]
    member = hears(court.panel, key)[0]
    before = seen_by(member, key)
    assert before["reasons"] is None and "An old reason." not in str(before)
    assert before["grounds"][0]["text"] == "I am [masked]." and not leaks(before)
    assert code_of(vote(member, key, "uphold", [{"ground": 0, "text": "x"}]), 409) == "FirstLook"
    fine(look(member, key, "dismiss"))
    assert code_of(look(member, key, "uphold"), 409) == "AlreadyLooked"
    after = seen_by(member, key)
    assert [one["note"] for one in after["reasons"]["verdicts"]] == ["An old reason."] * 2
    assert not leaks(after, [applicant.name, *(person.name for person in court.reviewers)])


def test_each_ground_has_to_be_answered(court):
    key = fine(court.appeal(court.refused()))["id"]
    member = hears(court.panel, key)[0]
    fine(look(member, key))
    for wrong in ([], ANSWERS[:1], [ANSWERS[0], ANSWERS[0]], [*ANSWERS, {"ground": 2, "text": "x"}], [{"ground": 0}, ANSWERS[1]]):
        assert vote(member, key, "uphold", wrong).status_code == 400
    assert code_of(vote(member, key, "vary"), 400) == "BadDays"
    assert code_of(vote(member, key, "uphold", days=3), 400) == "BadDays"
    fine(vote(member, key, "uphold"))
    assert code_of(vote(member, key, "uphold"), 409) == "AlreadyVoted"


def test_nobody_who_touched_the_case_or_has_a_tie_or_owns_the_gate_sits_on_it(court):
    for person in (*court.reviewers, court.owner):
        court.put(person, "appeal")
    tied = court.panel[0]
    applicant = court.refused()
    fine(tied.http.post("/api/settings/conflicts", json={"about": applicant.name, "kind": "funder"}))
    key = fine(court.appeal(applicant))["id"]
    everybody = [*court.people.values(), court.owner]
    assert {person.name for person in hears(everybody, key)} < {person.name for person in court.panel[1:]}
    assert len(hears(everybody, key)) == 1  # two could not have a majority


def test_without_a_panel_the_board_decides(hub):
    court = Appeals(hub, panel=0)
    board = [hub.person(new_name("board"), flags=["--admin"]) for _ in range(3)]
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    seated = hears(board, key)
    assert seated and seen_by(applicant, key)["board"] is True


def test_strangers_and_reviewers_see_no_appeal(court, bob):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    for person in (bob, *court.reviewers, court.owner):
        assert code_of(person.http.get(f"/api/appeals/{key}"), 404) == "NoAppeal"
        assert look(person, key).status_code == 404 and vote(person, key, "uphold").status_code == 404
        assert person.http.post(f"/api/appeals/{key}/withdraw").status_code == 404
        assert person.http.post(f"/api/appeals/{key}/board", json={"facts": "x"}).status_code == 404
    assert court.appeal(bob).status_code == 409  # nothing was decided against him


def test_who_steps_out_is_replaced(court):
    fourth = court.member("appeal")
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    people = [*court.panel, fourth]
    gone = hears(people, key)[0]
    fine(gone.http.post(f"/api/appeals/{key}/recuse", json={}))
    assert {person.name for person in hears(people, key)} == {person.name for person in people} - {gone.name}
    assert gone.http.get(f"/api/appeals/{key}").status_code == 404


def test_an_appeal_can_be_withdrawn(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    fine(applicant.http.post(f"/api/appeals/{key}/withdraw"))
    assert seen_by(applicant, key)["state"] == "withdrawn"
    assert code_of(applicant.http.post(f"/api/appeals/{key}/withdraw"), 409) == "WrongState"
    member = hears(court.panel, key)[0]
    assert look(member, key).status_code == 409


def test_grounds_are_words_with_texts(court):
    applicant = court.refused()
    for wrong in ([], [{"code": "mood", "text": "x"}], [{"code": "other"}], [{"code": "other", "text": ""}], ["other"],
                  [{"code": "other", "text": "x", "more": 1}], [{"code": "other", "text": "x"}] * 9):
        assert court.appeal(applicant, wrong).status_code == 400, wrong
    fine(court.appeal(applicant))


# Grants


def test_a_revocation_is_a_suspension_while_it_is_appealed(court):
    applicant, grant = court.granted()
    court.revoke(grant)
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == "revoked"
    key = fine(court.appeal(applicant))["id"]
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == "suspended"
    assert court.reads(applicant) == 403
    decide(court.panel, key, "uphold", "uphold")
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == "active"
    assert court.reads(applicant) == 200


def test_a_dismissed_appeal_revokes_again_and_cannot_be_repeated(court):
    applicant, grant = court.granted()
    court.revoke(grant)
    key = fine(applicant.http.post(f"/api/grants/{grant}/appeal", json={"grounds": GROUNDS}))["id"]
    decide(court.panel, key, "dismiss", "dismiss")
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == "revoked"
    assert court.reads(applicant) == 403
    assert code_of(applicant.http.post(f"/api/grants/{grant}/appeal", json={"grounds": GROUNDS}), 409) == "Appealed"


def test_a_revocation_for_safety_stays_one_during_the_appeal(court):
    applicant, grant = court.granted()
    court.revoke(grant, code="safety-incident")
    fine(court.appeal(applicant))
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == "revoked"


def test_a_revocation_can_be_varied_to_a_suspension_with_an_end(court):
    applicant, grant = court.granted()
    court.revoke(grant)
    key = fine(court.appeal(applicant))["id"]
    decide(court.panel, key, "vary", "vary", days=20)
    mine = fine(applicant.http.get("/api/grants"))[0]
    assert mine["state"] == "suspended" and court.reads(applicant) == 403
    assert "appeal-varied" in str(mine)


@pytest.mark.parametrize("outcome", ["approve", "refuse"])
@pytest.mark.parametrize("code", ["terms-broken", "safety-incident"])
def test_a_revocation_that_is_sent_back_is_looked_at_again_by_reviewers_with_the_questions(court, code, outcome):
    applicant, grant = court.granted()
    others = [court.member("reviewer") for _ in range(2)]
    court.revoke(grant, code)
    key = fine(court.appeal(applicant))["id"]
    decide(court.panel, key, "remand", "remand")
    assert court.state(applicant) == "in_review" and court.reads(applicant) == 403
    holder, review = court.holder()
    assert "So we find." in str(fine(holder.http.get(f"/api/reviews/{review}"))["case"]["thread"])
    court.judge(outcome)
    court.judge(outcome)
    assert court.state(applicant) == ("approved" if outcome == "approve" else "refused")
    assert court.reads(applicant) == (200 if outcome == "approve" else 403)
    live = [one["state"] for one in fine(applicant.http.get("/api/grants")) if one["state"] in ("active", "suspended")]
    assert live == (["active"] if outcome == "approve" else []) and others


def test_a_grant_that_stands_or_is_anothers_is_not_appealed(court, bob):
    applicant, grant = court.granted()
    assert code_of(court.appeal(applicant), 409) == "NothingToAppeal"
    assert bob.http.post(f"/api/grants/{grant}/appeal", json={"grounds": GROUNDS}).status_code == 404


def test_of_many_appeals_at_once_one_is_filed(court):
    applicant = court.refused()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: court.appeal(applicant), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


def test_of_votes_at_once_each_counts_once(court):
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    members = hears(court.panel, key)
    for member in members:
        fine(look(member, key))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: vote(members[n % 3], key, "uphold"), range(6)))
    assert sorted(answer.status_code for answer in answers)[:2] == [200, 200]
    assert seen_by(applicant, key)["state"] == "upheld"
    assert len([one for one in fine(applicant.http.get("/api/grants")) if one["state"] == "active"]) == 1


# Clocks


@pytest.fixture
def timed(tmp_path):
    timed = Timed(tmp_path)
    yield timed
    timed.hub.stop()


def test_after_the_window_an_appeal_is_out_of_time(timed):
    court = Appeals(timed.hub, appealDays=30)
    early, late = court.refused(), court.refused()
    timed.go(29.9)
    assert fine(court.appeal(early))["state"] == "panel"
    timed.go(30.1)
    assert fine(court.appeal(late))["state"] == "out_of_time"
    assert notices(late, "appeal.out_of_time")


def test_the_clock_of_an_appeal_nudges_lists_it_as_late_and_goes_to_the_board(timed):
    court = Appeals(timed.hub, panel=1)
    board = [timed.hub.person(new_name("board"), flags=["--admin"]) for _ in range(3)]
    lead = court.member("lead")
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    member = court.panel[0]
    timed.go(6.9)
    assert not notices(member, "appeal.nudge")
    timed.go(7.1)
    assert settled(lambda: notices(member, "appeal.nudge"))
    timed.go(10.1)
    assert settled(lambda: notices(lead, "appeal.slow")) and not seen_by(applicant, key)["late"]
    timed.go(14.1)
    assert settled(lambda: seen_by(applicant, key)["late"]) and notices(board[0], "appeal.late")
    assert hears(court.panel, key) and not hears(board, key)
    timed.go(28.1)
    assert settled(lambda: len(hears(board, key)) == 3) and not hears(court.panel, key)
    assert seen_by(applicant, key)["board"] is True
    decide(board, key, "uphold", "uphold")
    assert court.reads(applicant) == 200


def test_the_board_looks_once_more_for_new_facts_and_only_once(timed):
    court = Appeals(timed.hub)
    board = [timed.hub.person(new_name("board"), flags=["--admin"]) for _ in range(3)]
    applicant = court.refused()
    key = fine(court.appeal(applicant))["id"]
    assert code_of(applicant.http.post(f"/api/appeals/{key}/board", json={"facts": "New."}), 409) == "NoFurtherLook"
    decide(court.panel, key, "dismiss", "dismiss")
    assert applicant.http.post(f"/api/appeals/{key}/board", json={"facts": ""}).status_code == 400
    again = fine(applicant.http.post(f"/api/appeals/{key}/board", json={"facts": "A letter has turned up."}))["id"]
    assert len(hears(board, again)) == 3 and not hears(court.panel, again)
    assert seen_by(board[0], again)["newFacts"] == "A letter has turned up."
    decide(board, again, "dismiss", "dismiss")
    for one in (key, again):
        assert applicant.http.post(f"/api/appeals/{one}/board", json={"facts": "More."}).status_code == 409


def test_what_an_appellant_wrote_goes_with_the_account(timed):
    court = Appeals(timed.hub)
    applicant, other = court.refused(), court.refused()
    key = fine(court.appeal(applicant, [{"code": "other", "text": "Something personal."}]))["id"]
    fine(court.appeal(other))
    member = hears(court.panel, key)[0]
    assert "Something personal." in str(seen_by(member, key))
    timed.hub.admin("user", "erase", applicant.name, "--reason", "request")
    after = seen_by(member, key)
    assert after["state"] == "withdrawn" and after["grounds"] == []
    timed.hub.admin("user", "erase", member.name, "--reason", "request")
    assert all(one["state"] != "open" for one in fine(other.http.get("/api/appeals")))
