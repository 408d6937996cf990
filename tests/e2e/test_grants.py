# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights with an end: what holders see, what owners and the clock do to them."""

import threading
from datetime import datetime, timedelta

import pytest
from support import Hub, add, new_name, until
from test_terms import DAY, TEXT, accept, apply, gated, publish


@pytest.fixture
def holder(hub):
    return hub.person(new_name("holder"), "read", ("--email", "h@uni.example"))


def mine(person):
    answer = person.http.get("/api/grants")
    assert answer.status_code == 200, answer.text
    return answer.json()


def do(person, repo, grant, deed, **body):
    return person.http.post(f"/api/models/{repo}/grants/{grant}/{deed}", json=body)


def read(person, repo):
    answer = person.http.get(f"/{repo}/resolve/main/weights.bin")
    return answer.status_code if answer.status_code == 200 else answer.headers["x-access-reason"]


def held(owner, holder, *accepted, **policy):
    repo = gated(owner, *(name for name, _ in accepted), **policy)
    apply(holder, repo, *accepted)
    [grant] = [grant for grant in mine(holder) if grant["for"] == f"model {repo}"]
    return repo, grant["id"]


def test_a_holder_sees_the_grant_and_its_end(alice, holder):
    repo, grant = held(alice, holder, grantDays=90)
    [seen] = mine(holder)
    assert (seen["id"], seen["state"], seen["termsAccepted"]) == (grant, "active", True)
    assert seen["expires"] > seen["since"]
    assert read(holder, repo) == 200


def test_the_owner_sees_the_holders_and_nobody_else_does(alice, bob, holder, anyone):
    repo, grant = held(alice, holder)
    [seen] = alice.http.get(f"/api/models/{repo}/grants").json()
    assert (seen["id"], seen["holder"], seen["state"]) == (grant, holder.name, "active")
    assert alice.http.get(f"/api/models/{repo}/grants?state=revoked").json() == []
    assert alice.http.get(f"/api/models/{repo}/grants?state=lost").status_code == 400
    assert bob.http.get(f"/api/models/{repo}/grants").status_code == 403
    assert holder.http.get(f"/api/models/{repo}/grants").status_code == 403
    assert anyone.http.get(f"/api/models/{repo}/grants").status_code == 401
    assert anyone.http.get("/api/grants").status_code == 401
    assert mine(bob) == [] or all(seen["id"] != grant for seen in mine(bob))


def test_a_suspension_tells_why_and_ends_when_its_cause_is_gone(alice, holder):
    repo, grant = held(alice, holder)
    answer = do(alice, repo, grant, "suspend", code="inquiry", text="We look into your last publication.")
    assert (answer.status_code, answer.json()["state"]) == (200, "suspended"), answer.text
    assert read(holder, repo) == "suspended"
    [seen] = mine(holder)
    assert (seen["code"], seen["text"]) == ("inquiry", "We look into your last publication.")
    [notice] = [n for n in holder.http.get("/api/notices").json() if n["kind"] == "grant.suspended"]
    assert "We look into your last publication." in notice["text"] and "appeal" in notice["text"]
    assert do(alice, repo, grant, "resume", code="other").status_code == 403
    assert do(alice, repo, grant, "resume").json()["state"] == "active"
    assert read(holder, repo) == 200
    assert do(alice, repo, grant, "resume").status_code == 409


def test_a_revocation_bites_at_once_and_is_for_good(alice, holder):
    repo, grant = held(alice, holder)
    assert do(alice, repo, grant, "revoke", code="misuse", text="It was resold.").json()["state"] == "revoked"
    assert read(holder, repo) == "revoked"
    for deed in ("revoke", "suspend"):
        assert do(alice, repo, grant, deed, code="misuse", text="Again.").status_code == 409
    assert do(alice, repo, grant, "resume").status_code == 409
    assert "It was resold." in holder.http.get("/api/notices").text


@pytest.mark.parametrize("body", [
    {}, {"code": "misuse"}, {"text": "Why."}, {"code": "Mis Use", "text": "Why."}, {"code": "terms", "text": "Why."},
    {"code": "misuse", "text": "Why.", "more": "x"}, {"code": 1, "text": "Why."}, {"code": "m" * 49, "text": "Why."},
    {"code": "misuse", "text": "x" * 20001}, {"code": "misuse", "text": "Why.", "until": "tomorrow"},
    {"code": "misuse", "text": "Why.", "until": "2001-01-01T00:00:00Z"}])
def test_a_suspension_takes_a_code_a_text_and_a_time_to_come(alice, holder, body):
    repo, grant = held(alice, holder)
    assert do(alice, repo, grant, "suspend", **body).status_code == 400
    assert read(holder, repo) == 200


def test_others_cannot_touch_a_grant_nor_is_it_found_by_another_repo(alice, bob, holder):
    repo, grant = held(alice, holder)
    other, _ = held(bob, holder)
    reason = {"code": "misuse", "text": "Why."}
    assert do(bob, repo, grant, "revoke", **reason).status_code == 403
    assert do(holder, repo, grant, "revoke", **reason).status_code == 403
    assert do(bob, other, grant, "revoke", **reason).status_code == 404
    assert do(alice, repo, 10**9, "revoke", **reason).status_code == 404
    assert do(alice, repo, "x", "revoke", **reason).status_code == 404
    assert bob.http.post(f"/api/grants/{grant}/surrender", json={}).status_code == 404
    assert read(holder, repo) == 200


def test_a_holder_gives_it_up_and_may_ask_again(alice, holder):
    repo, grant = held(alice, holder)
    assert holder.http.post(f"/api/grants/{grant}/surrender", json={"copiesDeleted": 1}).status_code == 400
    answer = holder.http.post(f"/api/grants/{grant}/surrender", json={"copiesDeleted": True})
    assert (answer.status_code, answer.json()["state"], answer.json()["code"]) == (200, "surrendered", "copies-deleted")
    assert read(holder, repo) == "no-grant"
    assert holder.http.post(f"/api/grants/{grant}/surrender", json={}).status_code == 409
    apply(holder, repo)
    assert read(holder, repo) == 200
    assert [seen["state"] for seen in mine(holder)] == ["active", "surrendered"]


def test_who_was_added_by_the_owner_accepts_before_reading(alice, holder):
    name = publish(alice)
    repo = gated(alice, name, mode="manual")
    alice.api.grant_access(repo, holder.name)
    assert read(holder, repo) == "terms"
    [seen] = mine(holder)
    assert (seen["state"], seen["termsAccepted"]) == ("active", False)
    assert "grant.accept" in {notice["kind"] for notice in holder.http.get("/api/notices").json()}
    assert accept(holder, repo, (name, TEXT)).status_code == 200
    assert read(holder, repo) == 200


def test_a_hub_administrator_acts_for_the_board_and_the_owner_cannot_undo_it(hub, alice, holder):
    board = hub.person(new_name("board"), "admin", ("--admin",))
    repo, grant = held(alice, holder)
    assert do(board, repo, grant, "suspend", code="harm", text="It was used to harm.").status_code == 200
    assert do(alice, repo, grant, "resume").status_code == 403
    assert do(alice, repo, grant, "resume", code="harm").status_code == 403
    assert read(holder, repo) == "suspended"
    assert do(board, repo, grant, "resume", code="harm").status_code == 200
    assert read(holder, repo) == 200


def test_of_two_who_revoke_at_once_one_does(alice, holder):
    repo, grant = held(alice, holder)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        do(alice, repo, grant, "revoke", code="misuse", text="Why.").status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7
    assert len([n for n in holder.http.get("/api/notices").json() if n["kind"] == "grant.revoked"]) == 1


def test_more_than_a_page_of_grants_is_listed_by_its_links(hub, alice, holder):
    repo, _ = held(alice, holder)
    for _ in range(100):
        [grant] = alice.http.get(f"/api/models/{repo}/grants").json()
        assert holder.http.post(f"/api/grants/{grant['id']}/surrender", json={}).status_code == 200
        apply(holder, repo)
    first = holder.http.get("/api/grants")
    assert len(first.json()) == 100
    rest = holder.http.get(first.links["next"]["url"]).json()
    assert len(rest) == 1 and rest[0]["id"] < first.json()[-1]["id"]


def at(hub, days):
    hub.stop()
    hub.environment["CAIRN_CLOCK_AHEAD"] = str(int(days * DAY))
    hub.start()


def kinds(person):
    return [notice["kind"] for notice in person.http.get("/api/notices").json()]


def test_a_grant_is_reminded_of_expires_and_its_suspension_ends_with_time(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, holder = hub.person("owner"), hub.person("holder", "read", ("--email", "h@uni.example"))
        repo, grant = held(owner, holder, grantDays=60)
        for days, count in ((29, 0), (31, 1), (54, 2), (59.5, 3)):
            at(hub, days)
            until(lambda: kinds(holder).count("grant.expiring") == count)
            assert read(holder, repo) == 200
        at(hub, 60.1)
        assert read(holder, repo) == "expired"
        until(lambda: mine(holder)[0]["state"] == "expired" and "grant.expired" in kinds(holder))
        apply(holder, repo)
        [first, second] = mine(holder)
        assert (first["state"], second["state"]) in (("active", "superseded"), ("active", "expired"))
        assert read(holder, repo) == 200
        end = datetime.fromisoformat(first["since"]) + timedelta(days=2)
        assert do(owner, repo, first["id"], "suspend", code="inquiry", text="Why.",
                  until=end.strftime("%Y-%m-%dT%H:%M:%SZ")).status_code == 200
        assert read(holder, repo) == "suspended"
        at(hub, 62.2)
        assert read(holder, repo) == 200
        until(lambda: mine(holder)[0]["state"] == "active" and "grant.restored" in kinds(holder))
    finally:
        hub.stop()
