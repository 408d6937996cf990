# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews: who judges a request for access, and how it can be shown that it was judged fairly."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from gatecourt import ANSWERS, BAD, GOOD, Court, code_of, file, fine, leaks, notices, page, reviews, shape
from support import Hub, new_name, until
from tlog import Log

DAY = 86400


@pytest.fixture
def court(hub):
    return Court(hub)


def test_a_case_is_drawn_judged_twice_and_decided(court):
    court.member("reviewer")
    court.member("reviewer")
    applicant = court.apply()
    assert court.state(applicant) == "in_review"
    assert court.reads(applicant) == 403
    first = court.judge("approve")
    assert court.state(applicant) == "second_review"  # everybody's first twenty cases are looked at twice
    second = court.judge("approve")
    assert first.name != second.name
    assert court.state(applicant) == "approved"
    assert court.reads(applicant) == 200


def test_the_applicant_is_not_told_which_review_it_is(court):
    court.member("reviewer")
    court.member("reviewer")
    applicant = court.apply()
    request = f"/api/models/{court.repo}/access-request"
    before = fine(applicant.http.get(request))
    court.judge("approve")
    after = fine(applicant.http.get(request))
    assert before["shown"] == after["shown"] == "under review"


def test_both_refuse_and_the_applicant_learns_codes_text_and_what_is_next(court):
    court.member("reviewer")
    court.member("reviewer")
    applicant = court.apply()
    court.judge("refuse")
    court.judge("refuse", noteToApplicant="Say which letters.")
    assert court.state(applicant) == "refused"
    told = notices(applicant, "request.refused")[0]
    assert "The purpose does not say clearly enough" in told["text"] and "Say which letters." in told["text"]
    assert "appeal until" in told["text"] and "ask again from" in told["text"]
    shown = fine(applicant.http.get(f"/api/models/{court.repo}/access-request"))
    assert "purpose-unclear" in str(shown)


def test_two_who_differ_are_ruled_by_a_third_who_sees_both_under_aliases(court):
    people = [court.member("reviewer") for _ in range(2)]
    lead = court.member("lead")
    applicant = court.apply()
    first, first_key = court.holder()
    fine(file(first, first_key, "approve", note="Looks sound."))
    second = court.judge("refuse", note="Too vague.")
    assert court.state(applicant) == "adjudication"
    third, key = court.holder("adjudication")
    assert third.name not in (first.name, second.name)
    seen = page(third, key)
    assert {one["outcome"] for one in seen["others"]} == {"approve", "refuse"}
    assert {one["note"] for one in seen["others"]} == {"Looks sound.", "Too vague."}
    assert not leaks(seen, [person.name for person in [*people, lead]])
    fine(file(third, key, "approve"))
    assert court.state(applicant) == "approved"
    # and both of the two now see what the others said, not who they are
    unlocked = page(first, first_key)
    assert {one["outcome"] for one in unlocked["others"]} == {"approve", "refuse"}
    assert not leaks(unlocked, [second.name, third.name])


def test_verdicts_stay_locked_until_both_are_filed(court):
    court.member("reviewer")
    court.member("reviewer")
    court.apply()
    first, first_key = court.holder()
    fine(file(first, first_key, "approve", note="mine"))
    second, second_key = court.holder()
    assert page(second, second_key)["others"] is None
    assert page(first, first_key)["others"] is None
    fine(file(second, second_key, "approve"))
    assert page(second, second_key)["others"][0]["note"] == "mine"
    assert page(first, first_key)["others"][0]["outcome"] == "approve"


def test_the_page_of_a_second_reviewer_is_that_of_a_first_one_byte_for_byte(court):
    court.member("reviewer")
    court.member("reviewer")
    court.apply()
    first, key = court.holder()
    one = first.http.get(f"/api/reviews/{key}")
    listed_first = reviews(first)
    fine(file(first, key, "approve"))
    second, key = court.holder()
    other = second.http.get(f"/api/reviews/{key}")
    assert len(one.content) == len(other.content)
    assert list(one.json()) == list(other.json())
    assert shape(one.json()) == shape(other.json())
    own = ("id", "you", "assigned", "due")
    assert {k: v for k, v in one.json().items() if k not in own} == {k: v for k, v in other.json().items() if k not in own}
    assert shape(listed_first) == shape(reviews(second))
    assert reviews(second)[0]["kind"] == listed_first[0]["kind"] == "review"
    kinds = [{notice["kind"] for notice in notices(person)} for person in (first, second)]
    assert kinds[0] == kinds[1] == {"review.assigned"}


# Masking


def everything_a_reviewer_can_get(court, person, key):
    answers = [page(person, key), reviews(person), notices(person)]
    for path in ("/api/settings/conflicts", "/api/reviews/seeds", f"/api/models/{court.repo}/gate/figures",
                 f"/api/models/{court.repo}/gate"):
        answers.append(fine(person.http.get(path)))
    return answers


def test_no_answer_tells_a_reviewer_who_it_is_before_the_scores_are_fixed(court):
    court.member("reviewer")
    applicant = court.apply()
    person, key = court.holder()
    for answer in everything_a_reviewer_can_get(court, person, key):
        assert not leaks(answer), leaks(answer)
        assert applicant.name not in str(answer)
    values = {one["name"]: one for one in page(person, key)["case"]["answers"]}
    assert values["fullname"] == {"name": "fullname", "label": "fullname", "masked": True, "value": None}
    assert values["purpose"]["value"] == "Measure how well it does on old letters. [masked] will do it at the [masked]."
    assert values["safeguards"]["value"] == "One machine without a network; write to [masked]."
    # the twin: once fixed, they are shown, and the scores cannot be changed any more
    fine(person.http.post(f"/api/reviews/{key}/scores", json={"scores": GOOD}))
    seen = page(person, key)
    assert len(leaks(seen)) == 4 and seen["case"]["applicant"]["user"] == applicant.name
    assert code_of(person.http.post(f"/api/reviews/{key}", json={"scores": BAD, "outcome": "refuse", "reasonCodes": ["other"]}),
                   409) == "ScoresFixed"


def test_with_a_screener_the_identity_is_shown_after_that_step_and_not_before(court):
    screener = court.member("screener")
    court.member("reviewer")
    applicant = court.apply()
    reviewer, key = court.holder()
    fine(reviewer.http.post(f"/api/reviews/{key}/scores", json={"scores": GOOD}))
    for answer in everything_a_reviewer_can_get(court, reviewer, key):
        assert not leaks(answer) and applicant.name not in str(answer)
    found, identity = court.holder("identity")
    assert found.name == screener.name and len(leaks(page(screener, identity))) == 4
    assert code_of(reviewer.http.post(f"/api/reviews/{key}/identity", json={"confirmed": True}), 403) == "NotTheScreener"
    assert code_of(file(screener, identity), 409) == "NotForScreeners"
    fine(screener.http.post(f"/api/reviews/{identity}/identity", json={"confirmed": True, "note": "Seen the card."}))
    seen = page(reviewer, key)
    assert seen["identity"] == {"confirmed": True, "note": "Seen the card."} and len(leaks(seen)) == 4


def test_what_is_asked_and_answered_is_masked_too(court):
    court.member("reviewer")
    court.member("reviewer")
    applicant = court.apply()
    person, key = court.holder()
    fine(person.http.post(f"/api/reviews/{key}/ask", json={"question": "Which letters?"}))
    assert court.state(applicant) == "info_wait"
    assert file(person, key).status_code == 403  # nobody judges while the applicant is waited for
    fine(applicant.http.post(f"/api/models/{court.repo}/access-request/answer",
                             json={"text": "Those of Zora Quillfeather's aunt.", "answers": ANSWERS}))
    assert court.state(applicant) == "in_review"
    fine(file(person, key))
    second, key = court.holder()
    seen = page(second, key)
    assert "Which letters?" in str(seen["case"]["thread"])
    assert not leaks(seen)


def test_a_form_says_itself_what_is_personal(hub):
    court = Court(hub, form=[{"name": "purpose", "type": "longtext", "personal": True}, {"name": "nickname", "type": "text",
                                                                                          "personal": False}])
    court.member("reviewer")
    applicant = hub.person(new_name("applicant"))
    fine(applicant.http.post(f"/api/models/{court.repo}/access-request",
                             json={"answers": {"purpose": "To see.", "nickname": "Bee"}}))
    person, key = court.holder()
    assert [one["value"] for one in page(person, key)["case"]["answers"]] == [None, "Bee"]


def test_nothing_tells_the_applicant_who_judged(court):
    people = [court.member("reviewer") for _ in range(2)]
    applicant = court.apply()
    person, key = court.holder()
    fine(person.http.post(f"/api/reviews/{key}/ask", json={"question": "Which letters?"}))
    fine(applicant.http.post(f"/api/models/{court.repo}/access-request/answer", json={"answers": ANSWERS}))
    court.judge("approve")
    court.judge("approve")
    for path in (f"/api/models/{court.repo}/access-request", "/api/access-requests", "/api/grants", "/api/notices",
                 f"/api/models/{court.repo}/gate", f"/api/models/{court.repo}/gate/figures", "/api/receipts"):
        assert not leaks(fine(applicant.http.get(path)), [one.name for one in people]), path


# Who is drawn


def test_nobody_sees_or_judges_a_case_that_was_not_drawn_for_them(court, bob):
    people = [court.member("reviewer") for _ in range(2)]
    applicant = court.apply()
    holder, key = court.holder()
    other = next(person for person in people if person.name != holder.name)
    for stranger in (other, court.owner, applicant, bob):
        assert code_of(stranger.http.get(f"/api/reviews/{key}"), 404) == "NoAssignment"
        assert code_of(file(stranger, key), 404) == "NoAssignment"
        assert stranger.http.post(f"/api/reviews/{key}/recuse", json={"reason": "x"}).status_code == 404
    assert court.hub.anyone().http.get(f"/api/reviews/{key}").status_code == 401


def test_who_steps_back_is_replaced_and_never_drawn_for_that_applicant_again(court):
    people = [court.member("reviewer") for _ in range(2)]
    applicant = court.apply()
    person, key = court.holder()
    fine(person.http.post(f"/api/reviews/{key}/recuse", json={"reason": "A colleague.", "conflict": True}))
    other, _ = court.holder()
    assert {person.name, other.name} == {one.name for one in people}
    assert not leaks(page(person, key)) and page(person, key)["state"] == "recused"
    assert code_of(file(person, key), 409) == "AlreadyFiled"
    fine(applicant.http.post(f"/api/models/{court.repo}/access-request/withdraw", json={}))
    for _ in range(4):
        court.apply(applicant)
        assert court.holder()[0].name == other.name
        fine(applicant.http.post(f"/api/models/{court.repo}/access-request/withdraw", json={}))


def test_declared_ties_and_shared_organisations_keep_a_reviewer_out(hub, court):
    tied, colleague, free = (court.member("reviewer") for _ in range(3))
    applicant = hub.person(new_name("applicant"))
    hub.org(new_name("lab"), **{applicant.name: "read", colleague.name: "read"})
    fine(tied.http.post("/api/settings/conflicts", json={"about": applicant.name, "kind": "family"}))
    assert fine(tied.http.get("/api/settings/conflicts"))[0]["name"] == applicant.name
    for _ in range(6):
        court.apply(applicant)
        assert court.holder()[0].name == free.name
        fine(applicant.http.post(f"/api/models/{court.repo}/access-request/withdraw", json={}))


def test_an_applicant_who_is_a_reviewer_is_never_drawn_for_the_own_case(court):
    one, other = (court.member("reviewer") for _ in range(2))
    for _ in range(5):
        court.apply(one)
        assert court.holder()[0].name == other.name
        fine(one.http.post(f"/api/models/{court.repo}/access-request/withdraw", json={}))


def test_a_case_waits_for_somebody_with_room(court):
    person = court.member("reviewer", cap=1)
    first, second = court.apply(), court.apply()
    assert len(reviews(person)) == 1
    holder, key = court.holder()
    fine(file(holder, key, "refuse"))  # the owner is asked for the second look, as there is nobody else
    assert len([one for one in reviews(person) if one["state"] == "open"]) == 1
    assert court.state(second) == "in_review"
    assert court.state(first) == "second_review"


def test_a_gate_without_reviewers_is_decided_by_its_owner_and_one_with_them_is_not(court):
    alone = court.apply()
    court.owner.api.accept_access_request(court.repo, alone.name)
    assert court.state(alone) == "approved"
    court.member("reviewer")
    judged = court.apply()
    answer = court.owner.http.post(f"/api/models/{court.repo}/user-access-request/handle",
                                   json={"user": judged.name, "status": "accepted"})
    assert code_of(answer, 409) == "ReviewDecides"
    assert court.state(judged) == "in_review"


def test_what_was_asked_before_there_were_reviewers_is_drawn_for_the_first_one(court):
    early, decided = court.apply(), court.apply()
    court.owner.api.accept_access_request(court.repo, decided.name)
    person = court.member("reviewer")
    assert [one["state"] for one in reviews(person)] == ["open"], "and what was decided is not"
    holder, key = court.holder()
    fine(file(holder, key, "approve"))
    assert court.state(early) == "second_review", "the first twenty cases of a reviewer are looked at twice"


@pytest.mark.parametrize("outcome", ["approve", "refuse"])
def test_a_case_that_its_owner_opens_again_is_decided_by_the_reviewers(court, outcome):
    for _ in range(3):
        court.member("reviewer")
    applicant = court.apply()
    court.judge("approve")
    court.judge("approve")
    assert court.reads(applicant) == 200
    court.owner.api.cancel_access_request(court.repo, applicant.name)
    assert court.reads(applicant) == 403 and court.state(applicant) == "in_review"
    court.judge(outcome)
    court.judge(outcome)
    assert court.reads(applicant) == (200 if outcome == "approve" else 403)
    assert fine(applicant.http.get("/api/grants"))[0]["state"] == ("active" if outcome == "approve" else "revoked")


def test_who_reviews_no_more_hands_the_case_over(court):
    people = [court.member("reviewer") for _ in range(2)]
    court.apply()
    holder, _ = court.holder()
    fine(court.owner.http.request("DELETE", f"/api/models/{court.repo}/gate/reviewers",
                                  json={"user": holder.name, "role": "reviewer"}))
    assert court.holder()[0].name == next(one.name for one in people if one.name != holder.name)
    listed = fine(court.owner.http.get(f"/api/models/{court.repo}/gate/reviewers"))
    assert [one["user"] for one in listed] == [court.holder()[0].name]


def test_only_the_owner_appoints_and_only_known_roles(court, bob):
    path = f"/api/models/{court.repo}/gate/reviewers"
    assert bob.http.put(path, json={"user": bob.name, "role": "reviewer"}).status_code == 403
    assert code_of(court.owner.http.put(path, json={"user": bob.name, "role": "king"}), 400) == "BadRole"
    assert code_of(court.owner.http.put(path, json={"user": bob.name, "role": "lead", "cap": 0}), 400) == "BadCap"
    assert code_of(court.owner.http.put(path, json={"user": bob.name, "role": "lead", "pay": 1}), 400) == "UnknownMember"
    assert court.owner.http.put(path, json={"user": "nobody-at-all", "role": "lead"}).status_code == 404


def test_the_erasure_of_a_reviewer_hands_over_and_leaves_no_text(tmp_path):
    hub = Hub(tmp_path).start()
    court = Court(hub)
    people = [court.member("reviewer") for _ in range(3)]
    court.apply()
    judged = court.judge("refuse", note="A note that must go.")
    holder, _ = court.holder()
    for person in (holder, judged):
        hub.admin("user", "erase", person.name, "--reason", "request")
        del court.people[person.name]
    left, key = court.holder()
    assert left.name in {one.name for one in people}
    fine(file(left, key, "refuse"))
    assert not leaks(page(left, key), ["A note that must go."])
    hub.stop()


# Filing


def test_a_verdict_is_checked_and_a_departure_from_the_rubric_needs_a_reason(court):
    court.member("reviewer")
    court.apply()
    person, key = court.holder()
    post = lambda **body: person.http.post(f"/api/reviews/{key}", json=body)  # noqa: E731
    assert code_of(post(scores=GOOD, outcome="approve", mood="good"), 400) == "UnknownMember"
    assert code_of(post(scores={"purpose": 2}, outcome="approve"), 400) == "BadScores"
    assert code_of(post(scores={**GOOD, "purpose": 3}, outcome="approve"), 400) == "BadScores"
    assert code_of(post(scores=GOOD, outcome="maybe"), 400) == "BadOutcome"
    assert code_of(post(scores=BAD, outcome="refuse"), 400) == "BadReasonCodes"
    assert code_of(post(scores=BAD, outcome="refuse", reasonCodes=["mood"]), 400) == "BadReasonCodes"
    assert code_of(post(scores=GOOD, outcome="refuse", reasonCodes=["other"]), 400) == "OverrideReason"
    assert page(person, key)["scores"] is None  # what was refused has changed nothing
    fine(post(scores=GOOD, outcome="refuse", reasonCodes=["other"], override="I know of a breach."))


def test_of_many_verdicts_at_once_one_counts(court):
    court.member("reviewer")
    court.member("reviewer")
    applicant = court.apply()
    person, key = court.holder()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: file(person, key, "approve" if n % 2 else "refuse"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert court.state(applicant) == "second_review"
    second, key = court.holder()
    filed = page(person, [one["id"] for one in reviews(person)][0])["verdict"]["outcome"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: file(second, key, filed), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert court.state(applicant) == ("approved" if filed == "approve" else "refused")


def test_precedents_are_the_nearest_decided_cases(court):
    for _ in range(2):
        court.member("reviewer")
    near, far = court.apply(), court.apply()
    for _ in range(2):
        for person, key, _ in court.holders():
            mine = near if "old letters" in str(page(person, key)) else far
            fine(file(person, key, "approve" if mine is near else "refuse"))
    third = court.apply()
    person, key = court.holder()
    seen = page(person, key)["precedents"]
    assert 1 <= len(seen) <= 5 and set(seen[0]) == {"purpose", "scores", "outcome", "reasonCodes"}
    assert not leaks(seen, [near.name, far.name, third.name])


# Figures, against the formulas as their authors define them


def kappa(pairs):
    kinds = sorted({kind for pair in pairs for kind in pair})
    n = len(pairs)
    same = sum(a == b for a, b in pairs) / n
    chance = sum(sum(a == k for a, _ in pairs) * sum(b == k for _, b in pairs) for k in kinds) / n**2
    return None if chance == 1 else (same - chance) / (1 - chance)


def alpha(units, ordinal):
    """Krippendorff: 1 - observed / expected disagreement, over all pairs of values that can be compared."""
    units = [values for values in units if len(values) >= 2]
    pool = [value for values in units for value in values]
    count = {value: pool.count(value) for value in set(pool)}

    def apart(a, b):
        if a == b:
            return 0
        if not ordinal:
            return 1
        low, high = min(a, b), max(a, b)
        return (sum(count.get(g, 0) for g in range(low, high + 1)) - (count[a] + count[b]) / 2) ** 2

    def within(values):
        return sum(apart(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j) / (len(values) - 1)

    seen, expected = sum(map(within, units)), within(pool)
    return None if expected == 0 else 1 - seen / expected


def near(got, want):
    return got is want is None or abs(got - want) < 0.0006


def test_the_figures_are_those_of_the_formulas(court):
    people = [court.member("reviewer") for _ in range(3)]
    judged = []
    patterns = [(2, 2, 1, "na"), (2, 1, 1, 0), (1, 2, 2, 2), (0, 1, 2, 1), (1, 0, 1, "na"), (2, 2, 2, 2)]
    for number in range(10):
        court.apply()
        pair = []
        for look in range(2):
            person, key = court.holder()
            scores = dict(zip(GOOD, patterns[(number * 2 + look * (number % 3)) % len(patterns)], strict=True))
            outcome = "approve" if number % 4 != look else "refuse"
            fine(person.http.post(f"/api/reviews/{key}", json={"scores": scores, "outcome": outcome, "override": "so it is",
                                                               "reasonCodes": ["other"]}))
            pair.append((person.name, outcome, scores))
        judged.append(pair)
        if pair[0][1] != pair[1][1]:
            court.judge("approve", kind="adjudication")
    figures = fine(court.owner.http.get(f"/api/models/{court.repo}/gate/figures"))
    assert figures["alpha"]["judgements"] == 20
    assert near(figures["alpha"]["outcome"], alpha([[one[1] for one in pair] for pair in judged], ordinal=False))
    for criterion in GOOD:
        units = [[one[2][criterion] for one in pair if one[2][criterion] != "na"] for pair in judged]
        got = figures["alpha"]["criteria"][criterion]
        assert near(got["nominal"], alpha(units, ordinal=False)) and near(got["ordinal"], alpha(units, ordinal=True))
    for a, b in combinations(sorted(one.name for one in people), 2):
        pairs = [tuple(outcome for _, outcome, _ in sorted(pair)) for pair in judged if {one[0] for one in pair} == {a, b}]
        found = [one for one in figures["kappa"] if set(one["reviewers"]) == {a, b}]
        assert bool(pairs) == bool(found)
        if pairs:
            assert found[0]["cases"] == len(pairs) and near(found[0]["outcome"], kappa(pairs))
    assert sum(one["verdicts"] for one in figures["reviewers"]) >= 20
    assert figures["decision"]["cases"] == 10


def test_strangers_see_the_sums_of_a_gate_without_small_cells(court, bob):
    court.member("reviewer")
    lead = court.member("lead")
    court.apply()
    court.judge("approve")
    path = f"/api/models/{court.repo}/gate/figures"
    public = fine(bob.http.get(path))
    assert "kappa" not in public and "reviewers" not in public and "alpha" not in public
    assert public["affiliation"] == public["region"] == public["reasonCodes"] == []
    assert "reviewers" in fine(lead.http.get(path)) and "kappa" in fine(court.owner.http.get(path))


# Clocks. Working days: Monday to Friday.


class Timed:
    """A hub of its own whose clock is put ahead by restarting it, to a Monday first of all."""

    def __init__(self, folder):
        self.hub = Hub(folder)
        now = time.time()
        self.monday = (7 - time.gmtime(now).tm_wday) * DAY - int(now) % DAY + 60
        self.hub.environment["CAIRN_CLOCK_AHEAD"] = str(self.monday)
        self.hub.start()

    def go(self, days):
        """So many days after that Monday's first minutes."""
        self.hub.stop()
        self.hub.environment["CAIRN_CLOCK_AHEAD"] = str(self.monday + int(days * DAY))
        self.hub.start()


@pytest.fixture
def timed(tmp_path):
    timed = Timed(tmp_path)
    yield timed
    timed.hub.stop()


def late(court):
    return fine(court.owner.http.get(f"/api/models/{court.repo}/gate"))["review"]["late"]


def test_the_clock_of_a_decision_nudges_tells_the_lead_redraws_and_goes_to_the_board(timed):
    court = Court(timed.hub)
    board = timed.hub.person(new_name("board"), flags=["--admin"])
    people = [court.member("reviewer") for _ in range(2)]
    lead = court.member("lead")
    applicant = court.apply()
    holder, key = court.holder()
    page(holder, key)  # the first look is in time
    timed.go(2.4)
    assert not notices(holder, "review.nudge")
    timed.go(2.6)
    assert until(lambda: notices(holder, "review.nudge")) and not notices(lead, "review.slow")
    timed.go(4.1)
    assert until(lambda: notices(lead, "review.slow")) and late(court) == 0
    timed.go(6.9)
    assert court.holder()[0].name == holder.name  # a weekend does not count
    timed.go(7.1)
    other = until(lambda: [one for one in court.holders() if one[0].name != holder.name])[0]
    assert other[0].name in {person.name for person in people}
    assert code_of(file(holder, key), 409) == "AlreadyFiled"
    assert late(court) == 1 and notices(holder, "review.redrawn")
    assert fine(applicant.http.get(f"/api/models/{court.repo}/access-request"))["late"] is True
    assert not notices(board, "review.overdue")
    timed.go(14.1)
    assert until(lambda: notices(board, "review.overdue"))
    assert court.state(applicant) == "in_review"


def test_the_clock_of_the_first_look_redraws_after_two_working_days(timed):
    court = Court(timed.hub)
    [court.member("reviewer") for _ in range(2)]
    court.apply()
    holder, key = court.holder()
    timed.go(1.1)
    assert until(lambda: notices(holder, "review.nudge"))
    timed.go(2.1)
    until(lambda: [one for one in court.holders() if one[0].name != holder.name])
    assert len(court.holders()) == 1


def test_the_clock_stands_still_while_the_applicant_is_waited_for(timed):
    court = Court(timed.hub)
    [court.member("reviewer") for _ in range(2)]
    applicant = court.apply()
    holder, key = court.holder()
    page(holder, key)
    timed.go(2)
    fine(holder.http.post(f"/api/reviews/{key}/ask", json={"question": "Which?"}))
    timed.go(11)
    assert court.state(applicant) == "info_wait" and not notices(holder, "review.nudge") and late(court) == 0
    fine(applicant.http.post(f"/api/models/{court.repo}/access-request/answer", json={"answers": ANSWERS}))
    timed.go(11.6)
    assert until(lambda: notices(holder, "review.nudge"))
    assert late(court) == 0


@pytest.mark.parametrize(("policy", "state"), [
    ({"risk": 1, "silenceApproves": True}, "approved"),
    ({"risk": 1}, "in_review"),
])
def test_silence_approves_only_where_the_gate_says_so(timed, policy, state):
    court = Court(timed.hub, **policy)
    court.member("reviewer")
    applicant = court.apply()
    holder, key = court.holder()
    page(holder, key)
    timed.go(4.9)
    assert court.state(applicant) == "in_review"
    timed.go(7.1)
    until(lambda: late(court) or court.state(applicant) == "approved")
    assert court.state(applicant) == state
    assert court.reads(applicant) == (200 if state == "approved" else 403)


def test_silence_never_approves_from_risk_two_on(court):
    answer = court.owner.http.put(f"/api/models/{court.repo}/gate", json={"mode": "manual", "risk": 2, "silenceApproves": True})
    assert answer.status_code == 400


def test_the_seed_of_a_month_is_hashed_before_and_told_after(timed):
    court = Court(timed.hub, secondRatePpm=500000)
    court.member("reviewer")
    seeds = fine(court.owner.http.get("/api/reviews/seeds"))
    assert len(seeds) == 2 and all("seed" not in one for one in seeds)

    def logged():
        log = Log(timed.hub.anyone().http)
        leaves = [json.loads(entry) for entry in log.entries(log.checkpoint().size) if b'"seed"' in entry]
        return sorted(leaf["b"]["after"] for leaf in leaves if leaf["b"].get("what") == "seed")

    assert until(lambda: logged() == sorted(one["sha256"] for one in seeds)), "each once, before it is used"
    timed.go(35)
    after = until(lambda: [one for one in fine(timed.hub.anyone().http.get("/api/reviews/seeds")) if "seed" in one])
    for one in after:
        assert hashlib.sha256(bytes.fromhex(one["seed"])).hexdigest() == one["sha256"]
        assert {"month": one["month"], "sha256": one["sha256"]} in [
            {"month": old["month"], "sha256": old["sha256"]} for old in seeds]
    timed.hub.stop()
    assert "all is well" in timed.hub.cairn("fsck", "--data", timed.hub.data).stdout


def test_a_tie_that_shows_after_the_decision_lets_the_owner_reopen_the_case(timed):
    court = Court(timed.hub)
    person = court.member("reviewer")
    other = court.member("reviewer")
    applicant = court.apply()
    court.judge("approve")
    court.judge("approve")
    number = fine(court.owner.http.get(f"/api/models/{court.repo}/access-requests?state=approved"))[0]["id"]
    reopen = f"/api/models/{court.repo}/gate/cases/{number}/reopen"
    assert court.owner.http.post(reopen, json={"reason": "A tie."}).status_code == 404
    fine(person.http.post("/api/settings/conflicts", json={"about": applicant.name, "kind": "employer"}))
    assert notices(court.owner, "review.conflict")
    assert other.http.post(reopen, json={"reason": "A tie."}).status_code == 403
    fine(court.owner.http.post(reopen, json={"reason": "A tie."}))
    assert court.state(applicant) == "in_review" and court.reads(applicant) == 403
    assert court.holder()[0].name == other.name


def test_a_shared_organisation_that_comes_later_is_found(timed):
    court = Court(timed.hub)
    person = court.member("reviewer")
    applicant = court.apply()
    court.judge("refuse")
    timed.hub.org(new_name("lab"), **{applicant.name: "read", person.name: "read"})
    timed.go(0.1)
    assert until(lambda: notices(court.owner, "review.conflict"))
