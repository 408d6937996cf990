# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that look misused: leaked keys, honey keys, the steps that follow from points, appeals, and bytes a day."""

import os
import sqlite3
import zlib

import httpx
import pytest

import test_reupload as reupload
import tiers
from browsers import hidden, newcomer
from support import Hub, Person, new_name, sha256, until
from test_enforcement import ask, gated, notices
from test_signin import PASSWORD, Browser, set_password

DAY = 86400
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def board(hub):
    return hub.person(new_name("board"), "admin", ("--admin",))


@pytest.fixture
def victim(hub):
    return hub.person(new_name("victim"))


def status_of(person, path="/api/whoami-v2", **how):
    return person.http.get(path, **how).status_code


def report(anyone, body):
    return anyone.http.post("/api/keys/leaked", json=body)


def test_whoever_reports_needs_no_key_that_works(victim, hub):
    wrong = Person(hub, "somebody", "hf_cairn_that_ended_long_ago")
    assert report(wrong, {"key": victim.token}).status_code == 202 and status_of(victim) == 401


def checked(text):
    """The text with the check behind it that tokens have."""
    crc, check = zlib.crc32(text.encode()), ""
    for _ in range(6):
        check, crc = BASE62[crc % 62] + check, crc // 62
    return text + check


# Keys that were found.


def test_a_leaked_key_is_dead_at_once_and_its_owner_told(anyone, victim, board):
    assert status_of(victim) == 200
    answer = report(anyone, {"key": victim.token})
    assert (answer.status_code, answer.text) == (202, "{}")
    assert status_of(victim) == 401
    other = victim.hub.key_of(victim.name)
    [told] = notices(other, "key.leaked")
    assert "reported" in told["text"] and victim.token not in told["text"]
    [case] = other.http.get("/api/misuse").json()
    assert (case["state"], [sign["code"] for sign in case["signals"]], case["points"]) == ("barred", ["reported-leak"], 100)
    assert case["id"] in [open["id"] for open in board.http.get("/api/misuse?open=true").json()]
    assert any(f"Case {case['id']}:" in notice["text"] for notice in notices(board, "misuse.case"))
    assert status_of(other) == 200, "the other keys go on"


def test_the_grants_of_who_has_lost_a_key_wait_until_a_person_has_looked(hub, alice, anyone, board, victim):
    repo = gated(alice)
    ask(victim, repo)
    path = f"/{repo}/resolve/main/config.json"
    made = victim.http.post("/api/settings/keys", json={"name": new_name("notebook"), "role": "read"}).json()["token"]
    lost = Person(hub, victim.name, made)
    assert status_of(lost, path) == status_of(victim, path) == 200
    assert report(anyone, {"key": lost.token}).status_code == 202
    assert status_of(lost) == 401
    assert victim.http.get(path).headers["x-access-reason"] == "suspended"
    [case] = cases(victim)
    assert appeal(victim, case, "It was in a notebook for an hour.").status_code == 200
    assert decide(board, case, "lift", "Nobody else had used it.").json()["state"] == "lifted"
    assert status_of(victim, path) == 200 and status_of(lost) == 401, "the key itself does not come back"
    assert report(anyone, {"key": lost.token}).status_code == 202
    assert len(cases(victim)) == 1, "one that is dead already makes no case"


def test_scanners_report_many_keys_at_once(hub, anyone, victim):
    other = hub.key_of(victim.name)
    answer = report(anyone, [{"token": victim.token, "type": "cairn_token", "url": "https://code.example/x"},
                             {"token": "hf_cairn_rubbish"}, {"token": other.token}])
    assert (answer.status_code, answer.text) == (202, "{}")
    assert status_of(victim) == status_of(other) == 401


def test_the_answer_to_a_report_does_not_tell_whether_the_key_existed(anyone, victim):
    nobodys = checked("hf_cairn_0123456789_" + "x" * 32)
    answers = {report(anyone, {"key": key}).text + str(report(anyone, {"key": key}).status_code)
               for key in (victim.token, nobodys, "rubbish", victim.token[:-1])}
    assert answers == {"{}202"}


@pytest.mark.parametrize("spoil", [lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: t[:-1], lambda t: t + "x",
                                   lambda t: "x" + t[1:]])
def test_a_report_of_something_else_ends_no_key(anyone, victim, spoil):
    assert report(anyone, {"key": spoil(victim.token)}).status_code == 202
    assert status_of(victim) == 200


@pytest.mark.parametrize("body", [{}, {"token": "x"}, "x", 7, [{"token": "x"}] * 101])
def test_a_report_that_says_nothing_is_refused(anyone, body):
    assert report(anyone, body).status_code == 400


def test_of_a_rotated_key_only_the_secret_that_leaked_ends(anyone, victim):
    name = new_name("rotated")
    made = victim.http.post("/api/settings/keys", json={"name": name, "role": "read"}).json()["token"]
    new = victim.http.post(f"/api/settings/keys/{name}/rotate", json={"overlapDays": 7}).json()["token"]
    old, new = Person(victim.hub, victim.name, made), Person(victim.hub, victim.name, new)
    assert status_of(old) == status_of(new) == 200
    report(anyone, {"key": old.token})
    assert (status_of(old), status_of(new)) == (401, 200)
    assert "former secret" in notices(victim, "key.leaked")[0]["text"]


def test_reports_are_limited_like_other_requests(own_hub, anyone):
    tiers.publish(own_hub, "anon", tiers.rate("req.page", 3, 3, scope="network", per=60), order=0)
    stranger = own_hub.anyone()
    answers = until(lambda: (lambda got: got if 429 in got else None)([report(stranger, {"key": "x"}).status_code for _ in range(5)]))
    assert set(answers) <= {202, 429}
    refused = report(stranger, {"key": "x"})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1


# Keys that lie about to be found.


def honey(hub, note, *flags):
    return Person(hub, "thief", hub.admin("token", "honey", note, *flags).stdout.strip())


def test_a_honey_key_is_refused_like_any_wrong_key_and_raises_an_alarm(hub, board, anyone):
    note = new_name("in the wiki")
    thief = honey(hub, note)
    wrong = Person(hub, "guess", checked("hf_cairn_0123456789_" + "y" * 32))
    answers = [person.http.get("/api/whoami-v2", headers={"user-agent": "loader/1.0"}) for person in (thief, wrong)]
    assert len({(answer.status_code, answer.text, tuple(sorted(set(answer.headers) - {"x-request-id"}))) for answer in answers}) == 1
    assert answers[0].status_code == 401
    [alarm] = until(lambda: [told for told in notices(board, "honey.used") if note in told["text"]])
    assert "127.0.0.1" in alarm["text"] and "loader/1.0" in alarm["text"]
    assert not any("y" * 32 in told["text"] for told in notices(board, "honey.used"))
    assert thief.token not in hub.log_text() and note not in hub.log_text()


def test_the_use_of_a_honey_key_suspends_the_access_of_whose_place_it_lay_in(hub, alice, board, victim):
    repo = gated(alice)
    ask(victim, repo)
    assert status_of(victim, f"/{repo}/resolve/main/config.json") == 200
    thief = honey(hub, "in the victim's home", "--user", victim.name)
    bystander = hub.person(new_name("bystander"))
    assert status_of(thief) == 401
    case = until(lambda: next(iter(cases(victim)), None))
    assert case["state"] == "barred" and case["points"] == 100
    assert victim.http.get("/api/whoami-v2").headers["x-error-code"] == "TokenHeld"
    assert status_of(bystander) == 200 and cases(bystander) == []
    fresh = hub.key_of(victim.name)
    assert fresh.http.get(f"/{repo}/resolve/main/config.json").headers["x-access-reason"] == "suspended"
    assert decide(board, case, "lift", "The key had been copied by a backup.").json()["state"] == "lifted"
    assert status_of(victim, f"/{repo}/resolve/main/config.json") == 200


def test_a_person_lays_honey_keys_in_the_own_place_and_no_key_does(hub, board):
    owner = newcomer(hub, host="localhost")
    made = owner.http.post("/api/keys/honey", json={"note": "in my private notes"})
    assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
    key = hub.key_of(owner.name)
    assert key.http.post("/api/keys/honey", json={}).status_code == 403
    assert owner.http.post("/api/keys/honey", json={"note": "x" * 1001}).status_code == 400
    assert cases(key) == []
    assert status_of(Person(hub, "thief", made.json()["token"])) == 401
    case = until(lambda: next(iter(cases(key)), None))
    assert case["state"] == "barred" and [sign["code"] for sign in case["signals"]] == ["honey-key"]
    assert any("in my private notes" in told["text"] for told in notices(board, "honey.used"))


def test_one_person_lays_a_hundred_honey_keys_and_no_more(hub):
    owner = newcomer(hub, host="localhost")
    answers = [owner.http.post("/api/keys/honey", json={}).status_code for _ in range(101)]
    assert answers == [200] * 100 + [409]


# Steps.


def cases(person, **query):
    return person.http.get("/api/misuse", params=query).raise_for_status().json()


def decide(person, case, decision, text="I have looked at it."):
    return person.http.post(f"/api/misuse/{case['id']}", json={"decision": decision, "text": text})


def appeal(person, case, text="That was our new office."):
    return person.http.post(f"/api/misuse/{case['id']}/appeal", json={"text": text})


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A hub behind a proxy, so that the tests can come from many networks, which knows where some of them are."""
    folder = tmp_path_factory.mktemp("misuse")
    countries = folder / "countries"
    countries.write_text("# where networks are\n192.0.2.0/24 NL 52.4 4.9\n198.51.100.0/24 NZ -36.8 174.8\n203.0.113.0/24 BE 50.8 4.4\n")
    throwaway = folder / "throwaway"
    throwaway.write_text("trash.example\n")
    hub = Hub(folder / "hub", flags=["--proxies", "127.0.0.1", "--countries", str(countries), "--throwaway-mail", str(throwaway)])
    hub.folder.mkdir()
    hub.start()
    hub.owner = hub.person("owner")
    hub.board = hub.person("board", "admin", ("--admin",))
    yield hub
    hub.stop()


def signals_of(person):
    """What the hub has put down of the person's keys."""
    with sqlite3.connect(f"file:{person.hub.data}/cairn.db?mode=ro", uri=True) as rows:
        return [signal for signal, in rows.execute(
            "SELECT signal FROM misuse_signal WHERE account_id = (SELECT id FROM account WHERE name = ?)", (person.name,))]


def come_from(person, address, path="/api/whoami-v2"):
    return person.http.get(path, headers={"x-forwarded-for": address})


def fan_out(person):
    """From eight networks, which come back by turns: 35 points."""
    for _ in range(3):
        for i in range(3):
            come_from(person, f"10.1.{i}.1")
    for i in range(8):
        come_from(person, f"10.1.{i}.1")


def haul(person, path):
    for _ in range(7):
        come_from(person, "10.1.7.1", path)


def travel(person, path):
    for address in ("192.0.2.7", "198.51.100.7"):
        come_from(person, address, path)


@pytest.fixture(scope="module")
def weights(crowd):
    """A file behind a gate, of two MiB."""
    repo = gated(crowd.owner)
    crowd.owner.commit_files(repo, {"model.bin": b"w" * (2 << 20)})
    return repo, f"/{repo}/resolve/main/model.bin"


@pytest.fixture
def sharer(crowd, weights):
    person = crowd.person(new_name("sharer"))
    ask(person, weights[0])
    return person


def first_case(person, state=None):
    """Seen with another key, as that one may be slowed by then."""
    other = person.hub.key_of(person.name, "read")
    return until(lambda: next((case for case in cases(other) if state in (None, case["state"])), None))


def codes(case):
    return {signal["code"] for signal in case["signals"]}


def test_thirty_points_ask_for_a_sign_in_before_gated_files_are_served(crowd, weights, sharer):
    path = weights[1]
    fan_out(sharer)
    case = first_case(sharer, "asked")
    assert codes(case) == {"fan-out", "concurrent"} and case["points"] == 35
    refused = come_from(sharer, "10.1.0.1", path)
    assert refused.status_code == 403 and refused.headers["x-access-reason"] == "step-up"
    assert refused.headers["x-access-next"] == f"{crowd.url}/misuse"
    assert status_of(sharer) == 200, "all else goes on"
    [told] = notices(sharer, "misuse.step")
    assert "many networks within an hour" in told["text"] and "at the same time" in told["text"] and "/appeal" in told["text"]
    assert sharer.http.post(f"/api/misuse/{case['id']}/confirm").status_code == 403, "whoever has the key is not the person"
    browser = Browser(crowd, sharer.name)
    set_password(crowd, sharer.name)
    browser.sign_in().raise_for_status()
    assert browser.post(f"/api/misuse/{case['id']}/confirm").json()["state"] == "answered"
    assert come_from(sharer, "10.1.0.1", path).status_code == 200


def test_a_person_says_on_a_page_that_it_was_no_misuse_and_appeals_there_without_a_script(crowd, weights, sharer):
    fan_out(sharer)
    first_case(sharer, "asked")
    set_password(crowd, sharer.name)
    browser = Browser(crowd, sharer.name)
    asked = browser.http.get("/misuse")
    assert (asked.status_code, asked.headers["location"]) == (303, f"{browser.home}/signin?next=misuse")
    signed = browser.http.post("/signin", data={"user": sharer.name, "password": PASSWORD, "next": "misuse"})
    assert signed.headers["location"] == f"{browser.home}/misuse"
    page = browser.http.get("/misuse")
    assert "many networks within an hour" in page.text and "It was me" in page.text and "Appeal" in page.text
    assert "<script" not in page.text.split("<body>")[1] and page.headers["cache-control"] == "no-store"
    case = hidden(page.text)["case"]
    stranger = newcomer(crowd, host="localhost")
    assert "Nothing of yours" in stranger.http.get("/misuse").text
    assert stranger.form("/misuse", case=case, say="confirm").status_code == 404
    assert browser.http.post("/misuse", data={"case": case, "say": "confirm"}, headers={"origin": "http://evil.example"}).status_code == 403
    assert sharer.http.post("/misuse", data={"case": case, "say": "confirm"}).status_code == 403, "whoever has the key is not the person"
    empty = browser.http.post("/misuse", data={"case": case, "say": "appeal", "text": " "})
    assert empty.status_code == 400 and "1 to" in empty.text and "It was me" in empty.text
    text = "<b>We</b> have moved."
    assert browser.http.post("/misuse", data={"case": case, "say": "appeal", "text": text}).status_code == 303
    page = browser.http.get("/misuse")
    assert "&#60;b&#62;We" in page.text and text not in page.text and "Appeal<" not in page.text
    assert browser.http.post("/misuse", data={"case": case, "say": "confirm"}).status_code == 303
    assert "It was me" not in browser.http.get("/misuse").text
    assert come_from(sharer, "10.1.0.1", weights[1]).status_code == 200


def test_ordinary_use_from_few_networks_has_no_points(crowd, weights, sharer):
    for i in range(40):
        assert come_from(sharer, f"10.2.{i // 20}.1", weights[1] if i % 10 == 0 else "/api/whoami-v2").status_code == 200
    marker = crowd.person(new_name("marker"))
    fan_out(marker)
    first_case(marker)
    assert cases(sharer) == [] and notices(sharer, "misuse.step") == []


def test_fifty_points_slow_the_key_to_the_floor(crowd, weights, sharer):
    haul(sharer, weights[1])
    fan_out(sharer)
    case = first_case(sharer, "slowed")
    assert case["points"] == 50 and "hauling" in codes(case)
    answers = [come_from(sharer, "10.1.0.1") for _ in range(32)]
    assert answers[0].status_code == 200 and answers[-1].status_code == 429
    assert answers[-1].headers["x-error-code"] == "TokenSlowed" and 1 <= int(answers[-1].headers["retry-after"]) <= 4
    other = crowd.key_of(sharer.name)
    assert [status_of(other) for _ in range(32)] == [200] * 32, "the person's other keys are not slowed"


@pytest.mark.parametrize("way", ["git-lfs", "xet"])
def test_hauling_counts_by_whichever_way_the_file_is_fetched(crowd, weights, way):
    repo, path = weights
    puller, other = (crowd.person(new_name(name)) for name in ("puller", "other"))
    for person in (puller, other):
        ask(person, repo)
    head = puller.http.head(path)
    sha256_, xet_hash = head.headers["x-linked-etag"].strip('"'), head.headers["x-xet-hash"]

    def fetch(person, span=None):
        if way == "git-lfs":
            link = person.batch(repo, (sha256_, 2 << 20), operation="download").json()["objects"][0]["actions"]["download"]["href"]
            return httpx.get(link, headers={"range": span} if span else {}).status_code
        token = person.http.get(f"/api/models/{repo}/xet-read-token/main").json()["accessToken"]
        return httpx.get(f"{crowd.url}/xet/v1/reconstructions/{xet_hash}",
                         headers={"authorization": f"Bearer {token}", **({"range": span} if span else {})}).status_code

    for _ in range(7):
        assert fetch(puller) == 200
        assert fetch(other, "bytes=1048576-2097151") in (200, 206), "the second half alone is no load"
    until(lambda: signals_of(puller) == ["hauling"])
    assert signals_of(other) == []


@pytest.fixture
def accused(crowd, weights):
    """Somebody whose mail domain is one to be thrown away, too: 85 points."""
    name = new_name("accused")
    crowd.admin("user", "create", name, "--email", f"{name}@mail.trash.example")
    person = crowd.key_of(name)
    ask(person, weights[0])
    haul(person, weights[1])
    travel(person, weights[1])
    fan_out(person)
    return person, first_case(person, "suspended")


def test_eighty_points_suspend_the_key_and_call_a_person(crowd, weights, accused):
    person, case = accused
    assert case["points"] == 85 and codes(case) == {"fan-out", "concurrent", "hauling", "travel", "throwaway-mail"}
    refused = person.http.get("/api/whoami-v2")
    assert refused.status_code == 403 and refused.headers["x-error-code"] == "TokenHeld"
    public = crowd.owner.new_repo()
    crowd.owner.commit_files(public, {"a.txt": b"a"})
    assert status_of(person, f"/{public}/resolve/main/a.txt") == 200, "it is worth as much as no key"
    assert person.http.post("/api/settings/keys", json={"name": "free", "role": "read"}).status_code == 403
    assert any(f"Case {case['id']}:" in told["text"] and "24 hours" in told["text"] for told in notices(crowd.board, "misuse.case"))
    [told] = [told for told in notices(crowd.key_of(person.name), "misuse.step") if "suspended" in told["text"]]
    assert "two countries in less time than a flight takes" in told["text"] and told["due"]
    assert person.name in [one["user"] for one in cases(crowd.board, open=True) if one["id"] == case["id"]]


def test_an_appeal_is_heard_and_lifts_the_suspension(crowd, weights, accused):
    person, case = accused
    assert appeal(person, case).json()["appeal"] == "That was our new office.", "the suspended key can do that"
    assert appeal(person, case).status_code == 409
    assert any("an appeal" in told["text"] and f"Case {case['id']}:" in told["text"] for told in notices(crowd.board, "misuse.case"))
    assert decide(crowd.board, case, "lift", "It is an office.").json()["state"] == "lifted"
    assert come_from(person, "10.1.0.1", weights[1]).status_code == 200
    assert cases(person)[0]["answer"] == "It is an office."
    fan_out(person)
    assert first_case(person, "asked")["points"] == 45, "the score began anew; that of the account stays"


def test_an_appeal_that_is_dismissed_ends_the_key(crowd, accused):
    person, case = accused
    assert decide(crowd.board, case, "uphold", "This is resale.").json()["state"] == "suspended"
    assert appeal(person, case).status_code == 200
    again = decide(crowd.board, case, "uphold")
    assert again.json()["state"] == "upheld", "there is no other administrator"
    assert status_of(person) == 401


def test_who_has_decided_does_not_hear_the_appeal(crowd, accused):
    person, case = accused
    assert decide(crowd.board, case, "uphold", "This is resale.").status_code == 200
    appeal(person, case)
    second = crowd.person(new_name("second"), "admin", ("--admin",))
    assert decide(crowd.board, case, "uphold").status_code == 403
    assert decide(crowd.board, case, "lift").status_code == 403
    assert decide(second, case, "lift").json()["state"] == "lifted"


def test_nobody_decides_on_the_own_case_or_on_that_of_others_without_office(crowd, weights, sharer):
    boss = crowd.person(new_name("boss"), "admin", ("--admin",))
    fan_out(boss)
    case = first_case(boss, "asked")
    free = crowd.key_of(boss.name, "admin")
    assert decide(free, case, "lift").status_code == 403
    assert decide(sharer, case, "lift").status_code == 403
    assert appeal(sharer, case).status_code == 404
    assert decide(crowd.anyone(), case, "lift").status_code == 401
    assert sharer.http.get("/api/misuse?open=true").status_code == 403
    assert crowd.anyone().http.get("/api/misuse").status_code == 401
    assert decide(crowd.board, case, "lift").status_code == 200


def test_a_key_whose_owner_has_said_from_where_may_come_from_many_networks(crowd, sharer):
    made = sharer.http.post("/api/settings/keys", json={"name": "fleet", "role": "read", "addresses": ["10.1.0.0/16"]}).json()
    fleet = Person(crowd, sharer.name, made["token"])
    fan_out(fleet)
    fan_out(sharer)
    first_case(sharer)
    assert len(cases(sharer)) == 1


def test_a_key_that_may_come_from_anywhere_is_looked_at_as_if_nothing_had_been_said(crowd, sharer):
    made = sharer.http.post("/api/settings/keys", json={
        "name": "everywhere", "role": "read", "addresses": ["0.0.0.0/1", "128.0.0.0/1", "::/0"]}).json()
    fan_out(Person(crowd, sharer.name, made["token"]))
    assert first_case(sharer)["key"] == "everywhere"


def test_a_browser_that_is_shared_has_to_sign_in_again(crowd, sharer):
    set_password(crowd, sharer.name)
    browser = Browser(crowd, sharer.name)
    browser.sign_in().raise_for_status()
    for _ in range(2):
        for i in range(8):
            browser.http.get("/api/whoami-v2", headers={"x-forwarded-for": f"10.3.{i % 3 if _ == 0 else i}.1"})
    for i in range(3):
        browser.http.get("/api/whoami-v2", headers={"x-forwarded-for": f"10.3.{i}.1"})
    until(lambda: browser.me().status_code == 401)
    assert "browser session" in notices(sharer, "misuse.step")[0]["text"]


def test_an_upload_of_gated_files_elsewhere_counts_for_the_whole_account(hub, alice, board, victim):
    data = os.urandom(200_000)
    source = reupload.gated(alice, "model.bin", data)
    try:
        copy = victim.new_repo("copy")
        bystander = hub.person(new_name("bystander"))
        own = bystander.new_repo("own")
        reupload.commit_large(bystander, own, "model.bin", os.urandom(200_000))
        reupload.commit_large(victim, copy, "model.bin", data)
        case = first_case(victim, "slowed")
        assert codes(case) == {"re-upload"} and case["points"] == 60 and "key" not in case
        assert len(cases(victim)) == 1 and cases(bystander) == []
        assert "uploaded to another" in notices(hub.key_of(victim.name), "misuse.step")[0]["text"]
        assert decide(board, case, "lift").status_code == 200
        late = hub.person(new_name("late"))  # what the hub finds after that shows that it has looked again
        reupload.commit_large(late, late.new_repo("copy"), "model.bin", data)
        first_case(late, "slowed")
        assert [case["state"] for case in cases(victim)] == ["lifted"], "one hold counts once"
    finally:
        reupload.GATED.clear()
        alice.api.delete_repo(source)


def test_who_takes_all_of_a_group_as_soon_as_let_in_has_points_and_who_takes_some_has_none(crowd):
    group, owner = f"owner/{new_name('family')}", crowd.owner
    repos = [owner.new_repo("one") for _ in range(6)]
    assert owner.http.put(f"/api/gates/{group}", json={"mode": "click", "form": []}).is_success
    for repo in repos:
        owner.commit_files(repo, {"config.json": b"{}"})
        assert owner.http.post(f"/api/gates/{group}/repos", json={"name": repo}).is_success
    taker, reader = crowd.person(new_name("taker")), crowd.person(new_name("reader"))
    for person, count in (reader, 4), (taker, 6):
        assert ask(person, repos[0]).is_success
        for repo in repos[:count]:
            assert status_of(person, f"/{repo}/resolve/main/config.json") == 200
    until(lambda: signals_of(taker) == ["burst"])
    assert signals_of(reader) == []


def test_points_fade_and_so_do_the_steps(tmp_path):
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    person = hub.person("ada")
    fan_out(person)
    assert first_case(person)["state"] == "asked"
    hub.stop()
    hub.environment["CAIRN_CLOCK_AHEAD"] = str(7 * DAY)
    hub.start()
    case = first_case(person, "faded")
    assert notices(person, "misuse.over") and case["points"] == 17, "35 have halved"
    hub.stop()


def test_points_outlive_a_restart(tmp_path):
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    owner, person = hub.person("owner"), hub.person("ada")
    repo = gated(owner)
    owner.commit_files(repo, {"model.bin": b"w" * (2 << 20)})
    ask(person, repo)
    fan_out(person)
    assert first_case(person)["state"] == "asked"
    hub.kill()
    hub.start()
    assert come_from(person, "10.1.0.1", f"/{repo}/resolve/main/model.bin").headers["x-access-reason"] == "step-up"
    hub.stop()


def test_everybody_can_read_the_rules(anyone):
    rules = anyone.http.get("/api/misuse/signals").json()
    points = {signal["code"]: signal["points"] for signal in rules["signals"]}
    assert points["fan-out"] == 20 and points["honey-key"] == 100 and rules["halveInDays"] == 7
    assert [step["points"] for step in rules["steps"]] == [30, 50, 80, 100]
    assert all(signal["words"] for signal in rules["signals"])


# Files that the operator gives.


@pytest.mark.parametrize("line", ["192.0.2.0/24 NL 52.4", "192.0.2.1/24 NL 52.4 4.9", "192.0.2.0/24 nl 52.4 4.9", "192.0.2.0/24 NL 95 4.9"])
def test_a_hub_does_not_start_on_a_file_of_countries_that_is_wrong(tmp_path, line):
    (tmp_path / "countries").write_text(f"198.51.100.0/24 NZ -36.8 174.8\n{line}\n")
    hub = Hub(tmp_path)
    done = hub.cairn("serve", "--data", hub.data, "--countries", tmp_path / "countries", check=False)
    assert done.returncode == 1 and "line 2" in done.stderr


# Bytes a day.


def test_a_key_downloads_no_more_bytes_a_day_than_it_may(alice, hub):
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.bin": b"a" * 1000})
    made = alice.http.post("/api/settings/keys", json={"name": new_name("small"), "role": "read", "bytesPerDay": 2000}).json()
    key = Person(hub, alice.name, made["token"])
    path = f"/{repo}/resolve/main/a.bin"
    assert [status_of(key, path) for _ in range(2)] == [200, 200]
    refused = until(lambda: (lambda answer: answer if answer.status_code == 429 else None)(key.http.get(path)))
    assert refused.headers["x-error-code"] == "TokenBytes"
    assert DAY - 120 < int(refused.headers["retry-after"]) <= DAY
    assert status_of(key) == 200, "only downloads count"
    assert status_of(alice, path) == 200, "and only with this key"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_key_that_has_had_its_bytes_has_them_also_after_the_hub_was_started_anew(own_hub, end):
    ada = own_hub.person("ada")
    repo, data = ada.new_repo(private=True), b"a" * 1000
    ada.put_object(repo, data)
    ada.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)}))
    made = ada.http.post("/api/settings/keys", json={"name": "small", "role": "read", "bytesPerDay": 2500}).json()
    key = Person(own_hub, "ada", made["token"])
    link = key.batch(repo, (sha256(data), 1000), operation="download").json()["objects"][0]["actions"]["download"]["href"]
    assert [httpx.get(link).status_code, status_of(key, f"/{repo}/resolve/main/a.bin")] == [200, 200]
    until(lambda: written(own_hub))
    getattr(own_hub, end)()
    own_hub.start()
    refused = key.http.get(f"/{repo}/resolve/main/a.bin")
    assert refused.status_code == 429 and "500 are left" in refused.json()["error"]
    assert httpx.get(link.replace(link.split("/transfer")[0], own_hub.url)).status_code == 429, "nor by an address it was given"
    token = ada.http.post("/api/settings/keys/small/rotate", json={}).json()["token"]
    assert status_of(Person(own_hub, "ada", token), f"/{repo}/resolve/main/a.bin") == 429, "nor with a new secret"


def written(hub):
    with sqlite3.connect(hub.data / "cairn.db") as db:
        return db.execute("SELECT sum(bytes) FROM quota_key_day").fetchone()[0] == 2000
