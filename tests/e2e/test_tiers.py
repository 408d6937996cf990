# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use how much: published tiers, applying for one, moving by rule, sponsors, payments, and what everybody sees of it."""

import hashlib
import hmac
import json
import os
import re
import sqlite3
import time

import pytest
from huggingface_hub.errors import HfHubHTTPError

from support import sha256, until
from tiers import held, publish, rate
from tlog import Log

QUESTIONS = ["What do you work on?", "Who vouches for you?"]


@pytest.fixture
def ada(own_hub):
    return own_hub.person("ada", flags=["--email", "ada@uni.edu"])


@pytest.fixture
def board(own_hub):
    own_hub.admin("user", "create", "board", "--admin")
    return own_hub.key_of("board", role="admin")


def academic(hub, **more):
    how = {"order": 30, "questions": QUESTIONS, "rules": [{"rule": "answered"}, {"rule": "board"}], **more}
    publish(hub, "academic", held("bytes.store.private", 10**12), rate("req.api", 1000, 1000), **how)


def usage(person, **params):
    return person.http.get("/api/usage", params=params).json()


def tier_of(person):
    return usage(person)["tier"]["slug"]


def apply(person, slug="academic", **more):
    body = {"answers": ["Proteins.", "The dean."], "evidenceSha256": sha256(b"a letter"), **more}
    return person.http.post(f"/api/tiers/{slug}/applications", json=body)


def log_leaves(hub):
    """The events of tiers, as the database has them."""
    import sqlite3
    with sqlite3.connect(hub.data / "cairn.db") as db:
        return [json.loads(body)["op"] for (body,) in
                db.execute("SELECT body FROM event WHERE kind IN ('tier.step', 'tier.publish', 'payment.receive', 'pool.step') ORDER BY id")]


# What one sees.


def test_usage_says_what_one_has_what_is_used_and_how_to_have_more(own_hub, ada):
    publish(own_hub, "basic", rate("req.api", 100, 50), held("bytes.store.public", 10_000), held("bytes.egress", 500, per=3600))
    academic(own_hub, rules=[{"rule": "age", "days": 30}, {"rule": "address", "pattern": "*@*.edu"}])
    repo = ada.new_repo()
    data = os.urandom(1000)
    ada.batch(repo, (sha256(data), 1000))
    seen = usage(ada)
    assert seen["account"] == "ada" and seen["tier"]["slug"] == "basic"
    limits = {limit["unit"]: limit for limit in seen["limits"]}
    public = limits["bytes.store.public"]
    assert public["hard"] == 10_000 and public["reserved"] == 1000 and public["used"] > 0
    assert public["remaining"] == 10_000 - 1000 - public["used"]
    assert limits["repo.count"]["used"] == 1 and "hard" not in limits["repo.count"]
    assert limits["req.api"]["rate"] == 100 and limits["req.api"]["remaining"] <= 50
    assert limits["bytes.egress"]["refills"] > seen["limits"][0].get("at", "")
    way, = seen["moveUp"]
    assert way["slug"] == "academic" and way["apply"] == "/api/tiers/academic/applications"
    age, address = way["rules"]
    assert not age["met"] and "Wait until" in age["how"] and address["met"] and address["how"] == ""


def test_cairn_usage_tells_the_same_in_words(own_hub, ada):
    publish(own_hub, "basic", rate("req.api", 100, 50), held("bytes.store.public", 10 * 2**20))
    academic(own_hub)
    own_hub.environment["HF_TOKEN"] = ada.token
    told = own_hub.cairn("usage", "--hub", own_hub.url).stdout
    assert "ada has the tier Basic" in told and "10.0 MiB" in told and "[not met]" in told
    assert json.loads(own_hub.cairn("usage", "--hub", own_hub.url, "--json").stdout)["account"] == "ada"
    assert own_hub.cairn("usage", check=False).returncode == 2
    own_hub.environment["HF_TOKEN"] = "hf_nothing"
    refused = own_hub.cairn("usage", "--hub", own_hub.url, check=False)
    assert refused.returncode == 1 and "401" in refused.stderr


def test_only_who_administers_an_organisation_sees_its_usage(own_hub, ada):
    own_hub.org("lab", ada="admin")
    ben = own_hub.person("ben")
    assert usage(ada, account="lab")["account"] == "lab"
    assert ben.http.get("/api/usage", params={"account": "lab"}).status_code == 403
    assert ben.http.get("/api/usage", params={"account": "nobody-there"}).json() == \
        ben.http.get("/api/usage", params={"account": "lab"}).json()
    assert own_hub.anyone().http.get("/api/usage").status_code == 401


# Applying.


def test_an_application_is_decided_by_an_administrator_and_the_limits_follow_at_once(own_hub, ada, board):
    publish(own_hub, "basic", held("bytes.store.private", 10), rate("req.api", 1000, 1000))
    academic(own_hub)
    made = apply(ada)
    assert made.status_code == 200 and made.json()["state"] == "applied"
    assert tier_of(ada) == "basic"
    open_ones = board.http.get("/api/usage/applications", params={"open": "true"}).json()
    assert [(one["account"], one["tier"], one["evidenceSha256"]) for one in open_ones] == [("ada", "academic", sha256(b"a letter"))]
    number = made.json()["id"]
    assert board.http.post(f"/api/tiers/applications/{number}", json={"decision": "verify"}).json()["state"] == "verifying"
    assert board.http.post(f"/api/tiers/applications/{number}", json={"decision": "accept", "text": "Welcome."}).json()["state"] == "active"
    assert tier_of(ada) == "academic"
    assert any("academic" in notice["text"] for notice in ada.http.get("/api/notices").json())
    ada.api.create_repo("ada/secret", private=True)
    again = board.http.post(f"/api/tiers/applications/{number}", json={"decision": "refuse", "text": "Oh."})
    assert again.status_code == 409
    assert log_leaves(own_hub)[-3:] == ["apply", "verify", "activate"]


def test_a_refusal_needs_a_reason_and_the_person_reads_it(own_hub, ada, board):
    academic(own_hub)
    number = apply(ada).json()["id"]
    assert board.http.post(f"/api/tiers/applications/{number}", json={"decision": "refuse"}).status_code == 400
    board.http.post(f"/api/tiers/applications/{number}", json={"decision": "refuse", "text": "The letter is unsigned."})
    mine, = ada.http.get("/api/usage/applications").json()
    assert mine["state"] == "refused" and mine["text"] == "The letter is unsigned."
    assert any("The letter is unsigned." in notice["text"] for notice in ada.http.get("/api/notices").json())
    assert apply(ada).json()["state"] == "applied", "one may apply again"


def test_nobody_decides_who_is_no_administrator_and_nobody_on_ones_own(own_hub, ada, board):
    academic(own_hub)
    number = apply(ada).json()["id"]
    own_hub.admin("user", "create", "chief", "--admin")
    plain_key = own_hub.key_of("chief", role="write")
    for person in (ada, own_hub.person("ben"), plain_key):
        assert person.http.post(f"/api/tiers/applications/{number}", json={"decision": "accept"}).status_code == 403
        assert person.http.get("/api/usage/applications", params={"open": "true"}).status_code == 403
    own = apply(board).json()["id"]
    assert board.http.post(f"/api/tiers/applications/{own}", json={"decision": "accept"}).status_code == 403
    assert tier_of(ada) == "basic"


def test_an_application_can_be_withdrawn_by_who_made_it(own_hub, ada):
    academic(own_hub)
    number = apply(ada).json()["id"]
    assert apply(ada).status_code == 409, "one at a time"
    assert own_hub.person("ben").http.delete(f"/api/tiers/applications/{number}").status_code == 404
    assert ada.http.delete(f"/api/tiers/applications/{number}").json()["state"] == "withdrawn"
    assert apply(ada).status_code == 200


def test_what_is_asked_has_to_be_answered(own_hub, ada):
    academic(own_hub)
    assert apply(ada, answers=["Proteins."]).status_code == 400
    assert apply(ada, answers=["Proteins.", ""]).status_code == 400
    assert apply(ada, answers=["Proteins.", 5]).status_code == 400
    assert "\"wish\"" in apply(ada, wish="all").json()["error"]
    assert apply(ada, evidenceSha256="letter").status_code == 400
    assert apply(ada, slug="nothing").status_code == 404


def test_a_tier_that_rules_decide_on_answers_at_once_with_what_is_not_met(own_hub, ada):
    academic(own_hub, decides="rule", rules=[{"rule": "address", "pattern": "*@*.edu"}, {"rule": "answered"}])
    ben = own_hub.person("ben", flags=["--email", "ben@elsewhere.com"])
    refused = apply(ben).json()
    assert refused["state"] == "refused" and "your address is like *@*.edu" in refused["reason"]
    assert tier_of(ben) == "basic"
    assert apply(ada).json()["state"] == "active"
    assert tier_of(ada) == "academic"


def test_every_step_is_an_entry_of_the_log_that_names_nobody(own_hub, ada, board):
    academic(own_hub)
    number = apply(ada).json()["id"]
    board.http.post(f"/api/tiers/applications/{number}", json={"decision": "accept"})
    board.http.post("/api/tiers/holders/ada", json={"event": "suspend", "text": "Keys were shared."})
    board.http.post("/api/pools", json={"name": "p", "unit": "bytes.egress", "budget": 10, "least": 1, "per": 60})

    def leaves():
        log = Log(own_hub.anyone().http)
        return [json.loads(entry) for entry in log.entries(log.checkpoint().size) if b'"tier"' in entry]

    until(lambda: len(leaves()) == 5)
    found = leaves()
    assert [leaf["b"]["op"] for leaf in found] == ["publish", "apply", "activate", "suspend", "fund"]
    assert found[0]["b"]["digest"] == own_hub.anyone().http.get("/api/tiers/academic").json()["sha256"] == found[1]["b"]["digest"]
    assert not re.search(r"\bada\b|Keys were shared", json.dumps(found))
    own_hub.stop()
    assert "all is well" in own_hub.cairn("fsck", "--data", own_hub.data).stdout
    own_hub.start()


def test_what_somebody_answered_goes_with_the_person(own_hub, ada):
    academic(own_hub)
    apply(ada, answers=["A most secret project.", "Nobody."])
    own_hub.stop()
    own_hub.admin("user", "erase", "ada", "--reason", "request")
    assert b"most secret project" not in (own_hub.data / "cairn.db").read_bytes()
    own_hub.start()


# Suspension, grace, and time.


def test_a_suspended_tier_gives_what_restricted_gives_until_it_is_lifted(own_hub, ada, board):
    publish(own_hub, "restricted", rate("req.api", 50, 50), order=1)
    academic(own_hub)
    own_hub.admin("tier", "give", "ada", "academic")
    assert tier_of(ada) == "academic"
    told = board.http.post("/api/tiers/holders/ada", json={"event": "suspend", "code": "sharing", "text": "Keys were shared."})
    assert told.status_code == 200
    assert usage(ada)["tier"] == {"slug": "restricted", "name": "Restricted", "version": 1, "state": "suspended"}
    assert any("Keys were shared." in notice["text"] for notice in ada.http.get("/api/notices").json())
    assert apply(ada, slug="academic").status_code in (200, 409)
    assert own_hub.person("ben").http.post("/api/tiers/holders/ada", json={"event": "lift", "text": "x"}).status_code == 403
    board.http.post("/api/tiers/holders/ada", json={"event": "lift", "text": "It was a mistake."})
    assert tier_of(ada) == "academic"


def test_a_suspension_is_appealed_once_and_decided_by_somebody_else(own_hub, ada, board):
    def appeal(person, **more):
        return person.http.post("/api/tiers/appeal", json={"text": "The keys were stolen.", **more}).status_code

    def decide(person, event):
        return person.http.post("/api/tiers/holders/ada", json={"event": event, "text": "I have looked at it."}).status_code

    academic(own_hub)
    assert appeal(ada) == 404, "there is nothing to appeal against"
    own_hub.admin("tier", "give", "ada", "academic")
    assert appeal(ada) == 409
    assert decide(board, "suspend") == 200
    assert "/api/tiers/appeal" in ada.http.get("/api/notices").json()[0]["text"]
    assert decide(board, "uphold") == 409, "nobody has appealed"
    ben = own_hub.person("ben")
    assert appeal(ben) == 404 and appeal(ben, account="ada") == 403
    assert appeal(ada) == 200 and appeal(ada) == 409
    assert any("The keys were stolen." in notice["text"] for notice in board.http.get("/api/notices").json())
    own_hub.admin("user", "create", "second", "--admin")
    second = own_hub.key_of("second", role="admin")
    assert decide(board, "lift") == decide(board, "uphold") == 403, "who has ordered it does not hear the appeal"
    assert decide(second, "uphold") == 200
    assert usage(ada)["tier"]["state"] == "suspended" and "stands" in ada.http.get("/api/notices").json()[0]["text"]
    assert appeal(ada) == 409
    assert decide(second, "lift") == 200 and tier_of(ada) == "academic"
    assert decide(second, "suspend") == 200 and appeal(ada) == 200, "another suspension is another matter"


def test_an_administrator_does_not_lift_the_own_suspension(own_hub, board):
    academic(own_hub)
    own_hub.admin("tier", "give", "board", "academic")
    own_hub.admin("user", "create", "second", "--admin")
    second = own_hub.key_of("second", role="admin")
    path, how = "/api/tiers/holders/board", {"text": "why"}
    assert second.http.post(path, json={"event": "suspend", **how}).status_code == 200
    assert board.http.post(path, json={"event": "lift", **how}).status_code == 403
    assert second.http.post(path, json={"event": "lift", **how}).status_code == 200


def test_grace_ends_after_thirty_days_and_nothing_is_deleted(own_hub, ada, board):
    publish(own_hub, "basic", held("bytes.store.public", 100), rate("req.api", 1000, 1000))
    publish(own_hub, "academic", held("bytes.store.public", 10**9), rate("req.api", 1000, 1000), order=30)
    own_hub.admin("tier", "give", "ada", "academic")
    repo = ada.new_repo()
    data = os.urandom(5000)
    ada.put_object(repo, data)
    ada.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": 5000}))
    board.http.post("/api/tiers/holders/ada", json={"event": "warn", "text": "The letter has expired."})
    assert usage(ada)["tier"]["state"] == "grace" and usage(ada)["tier"]["until"]
    own_hub.stop()
    own_hub.environment["CAIRN_CLOCK_AHEAD"] = str(31 * 86400)
    own_hub.start()
    assert tier_of(ada) == "basic"
    assert ada.read(repo, "a.bin") == data
    refused = ada.batch(repo, (sha256(b"more"), 1000))
    assert refused.status_code == 413 and "tier basic" in refused.json()["error"]
    until(lambda: any("any more" in notice["text"] and "Nothing of yours was deleted" in notice["text"]
                      for notice in ada.http.get("/api/notices").json()))


def test_who_meets_the_rules_moves_up_by_itself_when_the_time_has_come(own_hub, ada):
    academic(own_hub, decides="rule", questions=[], rules=[{"rule": "age", "days": 20}, {"rule": "clean", "days": 20}])
    own_hub.stop()
    own_hub.environment["CAIRN_CLOCK_AHEAD"] = str(21 * 86400)
    own_hub.start()
    until(lambda: tier_of(ada) == "academic")


def test_what_is_too_much_for_half_a_year_is_archived_and_comes_back_when_there_is_room(own_hub, ada):
    def go_to(day):
        own_hub.stop()
        own_hub.environment["CAIRN_CLOCK_AHEAD"] = str(day * 86400 + 60)
        own_hub.start()

    def notices(kind):
        return [notice["text"] for notice in ada.http.get("/api/notices").json() if notice["kind"] == kind]

    def info(repo):
        return ada.api.model_info(repo)

    publish(own_hub, "large", held("bytes.store.private", 10**9), rate("req.api", 1000, 1000), order=30)
    repo, open_one = ada.new_repo(private=True), ada.new_repo()
    data = os.urandom(50_000)
    ada.put_object(repo, data)
    ada.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)}))
    publish(own_hub, "basic", held("bytes.store.private", 10_000), rate("req.api", 1000, 1000))
    go_to(0)
    until(lambda: "archive" in usage(ada))
    assert not usage(ada)["archive"]["archived"]
    for day, count in ((121, 1), (168, 2), (180, 3)):
        go_to(day)
        until(lambda: len(notices("tier.over")) == count)
        assert not info(repo).archived
    assert "notice 3 of 3" in notices("tier.over")[0] and usage(ada)["archive"]["at"][:10] in notices("tier.over")[0]
    own_hub.environment["HF_TOKEN"] = ada.token
    assert "your repos are archived on" in own_hub.cairn("usage", "--hub", own_hub.url).stdout
    go_to(184)
    until(lambda: info(repo).archived)
    assert not info(open_one).archived
    assert usage(ada)["archive"] == {"archived": True}
    assert "your repos are archived: they can be read" in own_hub.cairn("usage", "--hub", own_hub.url).stdout
    assert ada.read(repo, "a.bin") == data
    with pytest.raises(HfHubHTTPError, match="is archived: it can be read, but not changed"):
        ada.api.upload_file(path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=repo)
    with pytest.raises(HfHubHTTPError, match="is archived"):
        ada.api.create_branch(repo, branch="other")
    ada.api.upload_file(path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=open_one)
    own_hub.stop()
    assert "all is well" in own_hub.cairn("fsck", "--data", own_hub.data).stdout
    own_hub.admin("tier", "give", "ada", "large")
    own_hub.start()
    until(lambda: not info(repo).archived)
    ada.api.upload_file(path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=repo)
    assert "archive" not in usage(ada) and len(notices("tier.room")) == 1
    log = Log(own_hub.anyone().http)
    leaves = [json.loads(entry)["b"] for entry in log.entries(log.checkpoint().size) if b'"archived"' in entry]
    assert leaves == [{"archived": True, "op": "settings"}, {"archived": False, "op": "settings"}]


def test_whoever_is_archived_makes_room_by_deleting(own_hub, ada):
    publish(own_hub, "basic", held("repo.count", 1), rate("req.api", 1000, 1000))
    publish(own_hub, "large", held("repo.count", 9), rate("req.api", 1000, 1000), order=30)
    own_hub.admin("tier", "give", "ada", "large")
    repos = [ada.new_repo() for _ in range(2)]
    own_hub.admin("tier", "give", "ada", "basic")
    own_hub.stop()
    with sqlite3.connect(own_hub.data / "cairn.db") as db:  # as if the notices had been sent, the last one three days ago
        db.execute("INSERT OR REPLACE INTO tier_over SELECT id, 3, 1 FROM account WHERE name = 'ada'")  # the hub may have begun to count
    own_hub.start()
    until(lambda: all(ada.api.model_info(repo).archived for repo in repos))
    ada.api.delete_repo(repos[0])
    until(lambda: not ada.api.model_info(repos[1]).archived)
    ada.api.upload_file(path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=repos[1])


def test_who_has_used_most_of_it_for_thirty_days_has_more_and_not_a_day_before(own_hub, ada):
    def go_to(day):
        own_hub.stop()
        own_hub.environment["CAIRN_CLOCK_AHEAD"] = str(day * 86400 + 60)
        own_hub.start()

    def noted():
        with sqlite3.connect(own_hub.data / "cairn.db") as db:
            return db.execute("SELECT count(*) FROM tier_used").fetchone()[0]

    publish(own_hub, "basic", held("bytes.store.public", 100_000, soft=10_000), rate("req.api", 1000, 1000))
    publish(own_hub, "busy", held("bytes.store.public", 10**9), rate("req.api", 1000, 1000), order=30, decides="rule",
            rules=[{"rule": "used", "unit": "bytes.store.public", "percent": 60}])
    publish(own_hub, "marker", rate("req.api", 1000, 1000), order=20, decides="rule",
            rules=[{"rule": "age", "days": 29}, {"rule": "address", "pattern": "*@last.com"}])
    less = own_hub.person("less")
    last = own_hub.person("last", flags=["--email", "last@last.com"])
    for person, size in ((ada, 7000), (less, 3000)):
        repo, data = person.new_repo(), os.urandom(size)
        person.put_object(repo, data)
        person.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": size}))
    go_to(0)
    until(lambda: noted() == 1)
    go_to(29)
    until(lambda: tier_of(last) == "marker")  # accounts are gone through one after the other, and that is the last of them
    assert tier_of(ada) == "basic"
    rule, = next(way for way in usage(ada)["moveUp"] if way["slug"] == "busy")["rules"]
    assert not rule["met"] and "60 % of the bytes kept in public repos that you have, for 30 days" in rule["what"]
    go_to(31)
    until(lambda: tier_of(ada) == "busy")
    assert tier_of(less) == "basic"


# Payments.

SECRET = "whsec_kv8Ew0TqJq2mXf4bH1n7"

# As a provider sent it for a test purchase, with names and amounts of ours.
RECORDED = {
    "id": "evt_1OaBcDEfGhIjKlMn", "object": "event", "api_version": "2023-10-16", "created": 1700000000, "livemode": False,
    "type": "checkout.session.completed",
    "data": {"object": {"id": "cs_test_a1B2c3", "object": "checkout.session", "amount_total": 1200, "currency": "eur",
                        "client_reference_id": "ada", "customer": "cus_PabcDEF", "subscription": "sub_1OaBcD",
                        "payment_status": "paid", "metadata": {"tier": "partner"}}},
    "pending_webhooks": 1,
}


def later(event, type, object, **more):
    """What the provider tells in the months that follow: it names the customer and the subscription, and no account of ours."""
    return {"id": event, "object": "event", "api_version": "2023-10-16", "created": 1700000000, "livemode": False, "type": type,
            "data": {"object": {"object": object, "customer": "cus_PabcDEF", **more}}, "pending_webhooks": 1}


def invoice(event, type, **more):
    return later(event, type, "invoice", id="in_1", amount_due=1200, metadata={}, **(more or {"subscription": "sub_1OaBcD"}))


def pay(hub, message, source="shop", secret=SECRET, at=None, tamper=b""):
    body = json.dumps(message).encode()
    at = int(time.time()) if at is None else at
    signature = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return hub.anyone().http.post(f"/api/payments/{source}", content=body + tamper,
                                  headers={"stripe-signature": f"t={at},v1={signature}", "content-type": "application/json"})


@pytest.fixture
def shop(own_hub, tmp_path):
    (tmp_path / "shop.secret").write_text(SECRET + "\n")
    own_hub.admin("payment", "source", "shop", tmp_path / "shop.secret")
    publish(own_hub, "partner", held("bytes.store.private", 10**12), order=40)
    return own_hub


def test_who_has_paid_gets_the_tier_and_the_message_counts_once(shop, ada):
    assert pay(shop, RECORDED).status_code == 200
    assert tier_of(ada) == "partner"
    assert pay(shop, RECORDED).status_code == 200
    assert log_leaves(shop).count("pay") == 1 and log_leaves(shop).count("activate") == 1


def test_what_is_not_signed_by_the_provider_is_not_believed(shop, ada):
    now = int(time.time())
    for how in ({"secret": "whsec_another_one_entirely"}, {"at": now - 400}, {"at": now + 400}, {"tamper": b" "},
                {"source": "nobody"}):
        assert pay(shop, RECORDED, **how).status_code == 403, how
    assert shop.anyone().http.post("/api/payments/shop", json=RECORDED).status_code == 403
    assert tier_of(ada) == "basic"


def test_who_does_not_pay_any_more_has_thirty_days(shop, ada):
    assert pay(shop, invoice("evt_1", "invoice.paid")).status_code == 422, "not told of the purchase yet: the provider tries again"
    assert pay(shop, RECORDED).status_code == 200
    for number, failed in enumerate((
            invoice("evt_2", "invoice.payment_failed"),
            invoice("evt_3", "invoice.payment_failed", parent={"subscription_details": {"subscription": "sub_1OaBcD"}}),
            later("evt_4", "customer.subscription.deleted", "subscription", id="sub_1OaBcD", status="canceled"))):
        assert pay(shop, failed).status_code == 200
        assert usage(ada)["tier"]["state"] == "grace"
        assert pay(shop, invoice(f"evt_paid_{number}", "invoice.paid")).status_code == 200
        assert usage(ada)["tier"]["state"] == "active" and tier_of(ada) == "partner"
    assert pay(shop, later("evt_5", "customer.updated", "customer")).status_code == 200
    stranger = invoice("evt_6", "invoice.payment_failed", subscription="sub_of_others")
    stranger["data"]["object"]["customer"] = "cus_other"
    assert pay(shop, stranger).status_code == 422 and usage(ada)["tier"]["state"] == "active"


def test_of_two_who_share_a_customer_each_keeps_the_own_subscription(shop, ada):
    ben = shop.person("ben")
    pay(shop, RECORDED)
    second = json.loads(json.dumps(RECORDED))
    second["id"] = "evt_ben"
    second["data"]["object"].update(client_reference_id="ben", subscription="sub_ben")
    assert pay(shop, second).status_code == 200 and tier_of(ben) == "partner"
    assert pay(shop, invoice("evt_2", "invoice.payment_failed")).status_code == 200
    assert (usage(ada)["tier"]["state"], usage(ben)["tier"]["state"]) == ("grace", "active")


def test_nobody_pays_a_suspension_away(shop, ada):
    board = shop.person("board", "admin", ("--admin",))
    pay(shop, RECORDED)
    assert board.http.post("/api/tiers/holders/ada", json={"event": "suspend", "text": "Resold.", "code": "resale"}).status_code == 200
    again = {**RECORDED, "id": "evt_2"}
    assert pay(shop, again).status_code == 409
    assert pay(shop, invoice("evt_3", "invoice.paid")).status_code == 409
    assert usage(ada)["tier"]["state"] == "suspended"


def test_four_accounts_that_one_customer_pays_for_are_noticed_and_three_are_not(shop, ada):
    def signals():
        with sqlite3.connect(shop.data / "cairn.db") as db:
            return db.execute("SELECT count(*) FROM misuse_signal WHERE signal = 'many-accounts'").fetchone()[0]

    def looked():
        with sqlite3.connect(shop.data / "cairn.db") as db:
            return db.execute("SELECT count(*) FROM account_mark WHERE looked = 0").fetchone()[0] == 0

    for number, name in enumerate(("ada", "ben", "cleo", "dan")):
        assert signals() == 0
        if name != "ada":
            shop.person(name)
        bought = json.loads(json.dumps(RECORDED))
        bought["id"] = f"evt_{number}"
        bought["data"]["object"].update(client_reference_id=name, subscription=f"sub_{number}")
        assert pay(shop, bought).status_code == 200
        until(looked)
    assert signals() == 4


# Sponsors.


def test_a_pool_gives_shares_by_rule_and_shows_totals_only(own_hub, ada, board):
    publish(own_hub, "basic", held("bytes.store.public", 5000, over="sponsor"), rate("req.api", 1000, 1000))
    own_hub.org("foundation", board="admin")
    made = board.http.post("/api/pools", json={
        "name": "Small labs", "account": "foundation", "unit": "bytes.store.public", "budget": 50_000, "least": 1000, "per": 31_536_000,
        "rules": [{"rule": "address", "pattern": "*@*.edu"}], "bands": [[{"rule": "age", "days": 100}]]})
    assert made.status_code == 200, made.text
    pool = made.json()["id"]
    ben = own_hub.person("ben", flags=["--email", "ben@elsewhere.com"])
    for person in (ada, ben):
        assert person.http.post(f"/api/pools/{pool}/wishes", json={"wants": 20_000}).status_code == 200
    own_hub.stop()
    own_hub.start()  # the pools are looked at soon after a start
    until(lambda: own_hub.anyone().http.get(f"/api/pools/{pool}").json()["shares"])
    shown = own_hub.anyone().http.get(f"/api/pools/{pool}").json()
    assert own_hub.anyone().http.get("/api/pools").json() == [{key: value for key, value in shown.items() if key != "draws"}]
    assert (shown["sponsor"], shown["budget"], shown["given"], shown["shares"], shown["medianShare"]) == \
        ("foundation", 50_000, 20_000, 1, 20_000)
    assert shown["draws"][0]["given"] == 20_000 and len(shown["draws"][0]["seed"]) == 64
    text = json.dumps([shown, own_hub.anyone().http.get(f"/api/pools/{pool}/ledger").json()])
    assert not re.search(r"\b(ada|ben)\b", text)  # a seed in hex may well have such letters in it
    line, = own_hub.anyone().http.get(f"/api/pools/{pool}/ledger").json()
    assert (line["cause"], line["amount"]) == ("share", 20_000)
    assert usage(ada)["shares"] == [{"pool": pool, "name": "Small labs", "unit": "bytes.store.public", "amount": 20_000, "used": 0}]
    repo = ada.new_repo()
    assert ada.batch(repo, (sha256(b"a"), 15_000)).status_code == 200
    other = ben.new_repo()
    assert ben.batch(other, (sha256(b"a"), 15_000)).status_code == 413


def test_only_the_board_makes_pools_and_what_is_none_is_refused(own_hub, ada, board):
    good = {"name": "p", "unit": "bytes.egress", "budget": 10, "least": 1, "per": 60}
    assert ada.http.post("/api/pools", json=good).status_code == 403
    for bad in ({"unit": "req.api"}, {"budget": 0}, {"least": 11}, {"per": 0}, {"rules": [{"rule": "magic"}]}, {"more": 1},
                {"bands": {}}, {"name": ""}):
        assert board.http.post("/api/pools", json={**good, **bad}).status_code == 400, bad
    assert ada.http.post("/api/pools/77/wishes", json={"wants": 5}).status_code == 404
    assert ada.http.get("/api/pools/77").status_code == 404
