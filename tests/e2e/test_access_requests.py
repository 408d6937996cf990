# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for access beyond what stock clients know: texts, questions, groups, labs, time, and the command line."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import Hub, add, new_name, sha256, until

TEXT = "1. You may use the model for research.\n2. You must name it in what you publish.\n"
STRICTER = TEXT + "3. You must not sell it.\n"
DAY = 86400


def publish(person, text=TEXT, name=None, **more):
    name = name or f"{person.name}/{new_name('terms')}"
    body = {"summary": "A change.", "texts": {"en": text}, "kind": "licence", **more}
    answer = person.http.post(f"/api/terms/{name}", json=body)
    assert answer.status_code == 201, answer.text
    return name


def gated(person, policy=None, prefix="gated"):
    repo = person.new_repo(prefix)
    person.commit(repo, add("weights.bin", b"weights"))
    answer = person.http.put(f"/api/models/{repo}/gate", json={"mode": "manual", **(policy or {})})
    assert answer.status_code == 200, answer.text
    return repo


def ask(person, repo, text=None, terms=None, **body):
    if terms:
        body["terms"] = [{"terms": terms, "sha256": sha256((text or TEXT).encode())}]
    return person.http.post(f"/api/models/{repo}/access-request", json=body)


def case(person, repo):
    answer = person.http.get(f"/api/models/{repo}/access-request")
    assert answer.status_code == 200, answer.text
    return answer.json()


def do(person, repo, what, **body):
    return person.http.post(f"/api/models/{repo}/{what}", json=body)


def can_download(person, repo):
    return person.http.get(f"/{repo}/resolve/main/weights.bin").status_code == 200


def codes(answer):
    return answer.status_code, answer.headers.get("x-error-code")


@pytest.fixture
def asker(hub):
    return hub.person(new_name("asker"), "read", ("--email", "asker@uni.example"))


@pytest.fixture
def colleague(hub):
    return hub.person(new_name("colleague"), "read")


def test_nobody_gets_in_without_accepting_the_text_that_is_in_force(alice, asker):
    terms = publish(alice)
    repo = gated(alice, {"mode": "click", "terms": [terms]})
    face = asker.http.get(f"/api/models/{repo}/gate").json()
    [wanted] = face["terms"]
    assert (wanted["terms"], wanted["texts"][0]["sha256"]) == (terms, sha256(TEXT.encode()))
    assert (face["you"]["state"], face["you"]["next"]) == ("none", "apply")
    assert codes(ask(asker, repo)) == (422, "TermsNotAccepted")
    assert codes(ask(asker, repo, "another text", terms)) == (422, "TermsChanged")
    assert ask(asker, repo, TEXT, terms).json()["state"] == "approved"
    assert asker.http.get(f"/api/models/{repo}/gate").json()["you"]["next"] == "download"
    assert can_download(asker, repo)


def test_a_text_that_changes_under_an_open_request_has_to_be_accepted_before_anybody_approves(alice, asker):
    terms = publish(alice)
    repo = gated(alice, {"terms": [terms]})
    number = ask(asker, repo, TEXT, terms).json()["id"]
    publish(alice, STRICTER, terms, graceDays=0)
    until(lambda: "request.terms" in [notice["kind"] for notice in asker.http.get("/api/notices").json()])
    refused = do(alice, repo, f"access-requests/{number}/decide", outcome="approve")
    assert codes(refused) == (422, "TermsNotAccepted")
    assert asker.http.get(f"/api/models/{repo}/gate").json()["you"]["missing"] == ["terms"]
    accepted = do(asker, repo, "terms/accept", terms=[{"terms": terms, "sha256": sha256(STRICTER.encode())}])
    assert accepted.status_code == 200, accepted.text
    assert do(alice, repo, f"access-requests/{number}/decide", outcome="approve").json()["state"] == "approved"
    assert can_download(asker, repo)


def test_an_owner_asks_and_the_applicant_answers_and_old_answers_stay(alice, asker):
    repo = gated(alice, {"form": [{"name": "who", "type": "text", "required": True}]})
    number = ask(asker, repo, answers={"who": "me"}).json()["id"]
    asked = do(alice, repo, f"access-requests/{number}/ask", text="Who is that?")
    assert (asked.json()["state"], asked.json()["clock"]["runs"]) == ("info_wait", False)
    assert case(asker, repo)["next"]["do"] == "answer"
    assert do(asker, repo, "access-request/answer").status_code == 400
    assert do(asker, repo, "access-request/answer", answers={"what": "x"}).status_code == 400
    answered = do(asker, repo, "access-request/answer", text="My name.", answers={"who": "An Asker"}).json()
    assert (answered["state"], answered["clock"]["runs"]) == ("in_review", True)
    thread = alice.http.get(f"/api/models/{repo}/access-requests/{number}").json()["thread"]
    assert [(entry["kind"], entry.get("text", entry.get("answers"))) for entry in thread] == [
        ("answers", {"who": "me"}), ("question", "Who is that?"), ("answer", "My name."),
        ("answers", {"who": "An Asker"})]
    assert thread[3]["sha256"] == sha256(json.dumps({"who": "An Asker"}, separators=(",", ":")).encode())


def test_a_refusal_tells_why_and_what_comes_next(alice, asker):
    repo = gated(alice, {"reapplyDays": 7, "appealDays": 14})
    number = ask(asker, repo).json()["id"]
    assert do(alice, repo, f"access-requests/{number}/decide", outcome="refuse").status_code == 400
    do(alice, repo, f"access-requests/{number}/decide", outcome="refuse", code="purpose", text="Tell us more.")
    refused = case(asker, repo)
    assert (refused["state"], refused["code"], refused["next"]["do"]) == ("refused", "purpose", "appeal")
    assert refused["next"]["until"] and refused["next"]["reapplyFrom"]
    assert refused["thread"][-1]["text"] == "Tell us more."
    assert codes(ask(asker, repo)) == (422, "CoolDown")


def test_one_case_at_a_time_and_it_can_be_withdrawn(alice, asker):
    repo = gated(alice)
    number = ask(asker, repo).json()["id"]
    assert codes(ask(asker, repo)) == (409, "OpenRequest")
    assert do(asker, repo, "access-request/withdraw").json()["state"] == "withdrawn"
    assert do(alice, repo, f"access-requests/{number}/decide", outcome="approve").status_code == 409
    assert ask(asker, repo).json()["state"] == "in_review"


def test_two_owners_who_approve_at_once_approve_once(hub, alice, asker):
    repo = gated(alice)
    number = ask(asker, repo).json()["id"]
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: do(alice, repo, f"access-requests/{number}/decide", outcome="approve"),
                                 range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len(alice.http.get(f"/api/models/{repo}/grants").json()) == 1


def test_withdrawing_against_approving_ends_in_one_of_the_two(alice, asker):
    for _ in range(4):
        repo = gated(alice)
        number = ask(asker, repo).json()["id"]
        with ThreadPoolExecutor(2) as both:
            mine = both.submit(do, asker, repo, "access-request/withdraw")
            yours = both.submit(do, alice, repo, f"access-requests/{number}/decide", outcome="approve")
        assert sorted([mine.result().status_code, yours.result().status_code]) == [200, 409]
        state = case(asker, repo)["state"]
        assert (state == "approved") == can_download(asker, repo) == (yours.result().status_code == 200)


def test_each_member_of_a_lab_gets_a_grant_after_saying_yes(alice, asker, colleague, hub):
    repo = gated(alice)
    other = hub.person(new_name("other"), "read")
    assert codes(ask(asker, repo, members=["nobody-at-all"])) == (400, "NoMember")
    number = ask(asker, repo, members=[colleague.name, other.name]).json()["id"]
    assert "request.member" in [notice["kind"] for notice in colleague.http.get("/api/notices").json()]
    assert do(colleague, repo, "access-request/join", accept=True).json()["member"] == "joined"
    assert not can_download(colleague, repo)
    do(alice, repo, f"access-requests/{number}/decide", outcome="approve")
    assert can_download(asker, repo) and can_download(colleague, repo) and not can_download(other, repo)
    assert do(other, repo, "access-request/join", accept=False).json()["member"] == "declined"
    assert not can_download(other, repo)
    assert codes(do(other, repo, "access-request/join", accept=True)) == (404, "NoInvitation")


def test_who_has_left_the_lab_is_suspended_until_they_are_back(alice, asker, colleague, hub):
    repo = gated(alice)
    number = ask(asker, repo, members=[colleague.name]).json()["id"]
    do(colleague, repo, "access-request/join", accept=True)
    do(alice, repo, f"access-requests/{number}/decide", outcome="approve")
    assert can_download(colleague, repo)
    assert do(colleague, repo, "access-request/member", name=colleague.name, left=True).status_code == 404, "not their request"
    assert codes(do(asker, repo, "access-request/member", name=alice.name, left=True)) == (404, "NoMember")
    assert codes(do(asker, repo, "access-request/member", name=colleague.name, left=False)) == (404, "NoMember")
    assert do(asker, repo, "access-request/member", name=colleague.name, left=True).status_code == 200
    assert not can_download(colleague, repo) and can_download(asker, repo)
    refused = colleague.http.get(f"/api/models/{repo}/access").json()
    assert refused["reason"] == "suspended" and "left-lab" in refused["message"]
    assert case(asker, repo)["members"] == [{"name": colleague.name, "state": "left"}]
    assert do(asker, repo, "access-request/member", name=colleague.name, left=False).status_code == 200
    assert can_download(colleague, repo)


def test_a_gate_that_waits_for_members_goes_on_when_the_last_has_answered(alice, asker, colleague):
    repo = gated(alice, {"mode": "click", "checks": ["members"]})
    assert ask(asker, repo, members=[colleague.name]).json()["state"] == "verify_wait"
    assert codes(do(asker, repo, "access-request/check")) == (422, "CheckOpen")
    assert do(colleague, repo, "access-request/join", accept=True).json()["state"] == "approved"
    assert can_download(asker, repo) and can_download(colleague, repo)


def test_one_gate_stands_before_several_repos(alice, bob, asker):
    group, first, second = f"alice/{new_name('family')}", alice.new_repo("one"), gated(alice)
    for repo in (first, second):
        alice.commit(repo, add("weights.bin", b"weights"))
    assert alice.http.put(f"/api/gates/{group}", json={"mode": "manual"}).status_code == 400  # needs a form
    assert alice.http.put(f"/api/gates/{group}", json={"mode": "manual", "form": []}).status_code == 200
    for repo in (first, second):
        assert alice.http.post(f"/api/gates/{group}/repos", json={"name": repo}).status_code == 200
    assert [repo["name"] for repo in alice.http.get(f"/api/gates/{group}/repos").json()] == [first, second]
    assert not can_download(asker, first)
    assert asker.http.get(f"/api/models/{first}/gate").json()["group"] == group
    ask(asker, first)
    alice.api.accept_access_request(second, asker.name)
    assert can_download(asker, first) and can_download(asker, second)
    assert codes(alice.http.put(f"/api/models/{first}/settings", json={"gated": False})) == (409, "InGroup")
    assert codes(alice.http.post("/api/repos/move", json={"fromRepo": first, "toRepo": f"bob/{new_name('x')}"}))[0] >= 400
    another = f"alice/{new_name('other')}"
    alice.http.put(f"/api/gates/{another}", json={"mode": "manual", "form": []})
    assert codes(alice.http.post(f"/api/gates/{another}/repos", json={"name": first})) == (409, "HasGate")
    gone = alice.http.request("DELETE", f"/api/gates/{group}/repos", json={"name": first})
    assert gone.status_code == 200
    assert alice.api.model_info(first).gated is False
    listed = {row["group"]: row for row in alice.http.get("/api/gates/alice").json()}
    assert listed[group] == {"group": group, "state": "open", "repos": 1}
    for method, path in [("PUT", f"/api/gates/{group}"), ("GET", f"/api/gates/{group}"), ("GET", "/api/gates/alice")]:
        assert bob.http.request(method, path, json={"mode": "manual", "form": []}).status_code == 403


def test_a_paused_gate_takes_no_requests_and_a_closed_one_voids_them(alice, asker, colleague):
    repo = gated(alice)
    ask(asker, repo)
    assert do(alice, repo, "gate/state", state="paused").json()["state"] == "paused"
    assert codes(ask(colleague, repo)) == (422, "GatePaused")
    assert case(asker, repo)["state"] == "in_review"
    do(alice, repo, "gate/state", state="closed")
    assert case(asker, repo)["state"] == "void"
    assert codes(ask(colleague, repo)) == (422, "GateClosed")
    do(alice, repo, "gate/state", state="open")
    assert ask(colleague, repo).json()["state"] == "in_review"
    assert do(alice, repo, "gate/state", state="ajar").status_code == 400


def test_what_a_policy_may_not_say_is_refused_with_its_name(alice):
    repo = gated(alice)
    for policy, word in [({"mode": "perhaps"}, "mode"), ({"mode": "manual", "colour": 1}, "colour"),
                         ({"mode": "manual", "terms": ["alice/no-such-text"]}, "no-such-text")]:
        refused = alice.http.put(f"/api/models/{repo}/gate", json=policy)
        assert refused.status_code in (400, 404) and word in refused.json()["error"], refused.text


def test_an_owner_s_queue_shows_states_and_never_drafts(alice, asker, colleague):
    repo = gated(alice)
    ask(asker, repo, draft=True)
    number = ask(colleague, repo).json()["id"]
    listed = alice.http.get(f"/api/models/{repo}/access-requests").json()
    assert [(row["id"], row["applicant"]) for row in listed] == [(number, colleague.name)]
    draft = case(asker, repo)["id"]
    assert alice.http.get(f"/api/models/{repo}/access-requests/{draft}").status_code == 404
    assert alice.http.get(f"/api/models/{repo}/access-requests?state=draft").status_code == 400
    assert alice.http.get(f"/api/models/{repo}/access-requests?state=in_review").json() == listed
    assert asker.http.get(f"/api/models/{repo}/access-requests").status_code == 403


def at(hub, days):
    hub.stop()
    hub.environment["CAIRN_CLOCK_AHEAD"] = str(int(days * DAY))
    hub.start()


def test_time_lapses_questions_ends_cool_downs_and_opens_and_closes_gates(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, one, two = hub.person("owner"), hub.person("one", "read"), hub.person("two", "read")
        dated = json.loads(owner.python(
            "import datetime,json;n=datetime.datetime.now(datetime.timezone.utc);"
            "print(json.dumps(json.dumps([(n+datetime.timedelta(days=d)).strftime('%Y-%m-%dT%H:%M:%SZ') for d in (5,30)])))"))
        repo = gated(owner, {"reapplyDays": 10})
        clicked = gated(owner, {"mode": "click", "opens": dated[0], "closes": dated[1]})
        number = ask(one, repo).json()["id"]
        do(owner, repo, f"access-requests/{number}/ask", text="Why?")
        number = ask(two, repo).json()["id"]
        do(owner, repo, f"access-requests/{number}/decide", outcome="refuse", code="no", text="No.")
        assert ask(one, clicked).json()["state"] == "approved"
        assert not can_download(one, clicked)  # before the opening nobody has the bytes
        at(hub, 6)
        assert can_download(one, clicked)
        assert case(one, repo)["state"] == "info_wait"
        assert codes(ask(two, repo)) == (422, "CoolDown")
        at(hub, 11)
        asked = ask(two, repo).json()
        assert (asked["state"], asked["cycle"]) == ("in_review", 2)
        at(hub, 15)
        until(lambda: case(one, repo)["state"] == "lapsed")
        assert ask(one, repo).json()["state"] == "in_review"
        at(hub, 31)
        assert codes(ask(two, clicked)) == (422, "GateClosed")
        assert can_download(one, clicked)
    finally:
        hub.stop()


def test_who_is_forgotten_leaves_no_words_behind(own_hub):
    owner, asker = own_hub.person("owner"), own_hub.person("leaver", "read")
    repo = gated(owner, {"form": [{"name": "who", "type": "text"}]})
    number = ask(asker, repo, answers={"who": "somebody-remarkable"}, purpose="remarkable-too").json()["id"]
    own_hub.admin("user", "erase", "leaver", "--reason", "request")
    left = owner.http.get(f"/api/models/{repo}/access-requests/{number}").json()
    assert left["state"] == "withdrawn" and left["thread"][0]["answers"] is None and len(left["thread"][0]["sha256"]) == 64
    assert "remarkable" not in json.dumps(left)
    own_hub.stop()
    for file in own_hub.data.glob("cairn.db*"):
        assert b"remarkable" not in file.read_bytes(), file
    own_hub.start()


# The command line.


def access(person, *arguments, check=True):
    from support import BINARY
    return person.run(BINARY, "access", *arguments, "--hub", person.hub.url, check=check,
                      ASAN_OPTIONS="detect_leaks=1:exitcode=99")


def test_the_command_line_shows_asks_and_follows_a_request(alice, asker):
    terms = publish(alice)
    repo = gated(alice, {"terms": [terms], "form": [{"name": "who", "type": "text", "required": True},
                                                    {"name": "sure", "type": "checkbox", "required": True}]})
    shown = access(asker, "show", repo).stdout
    assert terms in shown and sha256(TEXT.encode()) in shown and "who" in shown
    unread = access(asker, "ask", repo, "--answer", "who=me", check=False)
    assert unread.returncode == 1 and TEXT in unread.stdout and "--accept-sha256" in unread.stderr
    wrong = access(asker, "ask", repo, "--accept-sha256", "0" * 64, check=False)
    assert wrong.returncode == 1
    missing = access(asker, "ask", repo, "--accept-sha256", sha256(TEXT.encode()), check=False)
    assert missing.returncode == 1 and "who: it is missing" in missing.stderr
    sent = access(asker, "ask", repo, "--accept-sha256", sha256(TEXT.encode()), "--answer", "who=me",
                  "--answer=sure=true").stdout
    assert "under review" in sent
    number = case(asker, repo)["id"]
    do(alice, repo, f"access-requests/{number}/ask", text="Which institute?")
    assert "Which institute?" in access(asker, "status", repo).stdout
    assert "under review" in access(asker, "answer", repo, "--text", "The big one.").stdout
    assert "closed" in access(asker, "withdraw", repo).stdout
    publish(alice, STRICTER, terms)
    assert "accepted" in access(asker, "accept", repo, "--accept-sha256", sha256(STRICTER.encode())).stdout


def test_the_command_line_reads_english_where_nothing_else_is_wanted(alice, asker):
    terms, texts = new_name("alice/tongues"), {"de": "Seid nett.\n", "en": "Be nice.\n", "fr": "Soyez gentils.\n"}
    assert alice.http.post(f"/api/terms/{terms}", json={"kind": "aup", "class": "material", "summary": "First.", "texts": texts}).is_success
    repo = gated(alice, {"terms": [terms]})
    for flags, lang in ([], "en"), (["--lang", "fr"], "fr"), (["--lang", "xx"], "de"):
        assert sha256(texts[lang].encode()) in access(asker, "show", repo, *flags).stdout, "in the order of languages"


def test_the_command_line_says_what_is_wrong(alice, hub, asker):
    open_repo = alice.new_repo("open")
    assert "no gate" in access(asker, "show", open_repo, check=False).stderr
    assert access(asker, "ask", "no-repo", check=False).returncode == 2
    assert access(asker, "beg", open_repo, check=False).returncode == 2
    nobody = access(hub.anyone(), "ask", open_repo, check=False)
    assert nobody.returncode == 1 and "sign in" in nobody.stderr


# Taking over a gate.

REPORT = """user,fullname,email,status,timestamp,Company
{a},A,{a}@uni.example,accepted,2025-01-02T03:04:05.000Z,"Uni, Example"
{b},B,,pending,2025-01-02T03:04:05.000Z,
{c},C,other@uni.example,accepted,2025-01-02T03:04:05.000Z,
nobody-here,D,,accepted,,
"""


def test_a_gate_of_another_hub_is_taken_over_after_a_dry_run(hub, alice, tmp_path):
    a, b, c = new_name("imported"), new_name("imported"), new_name("imported")
    people = [hub.person(name, "read", ("--email", f"{name}@uni.example")) for name in (a, b, c)]
    repo = alice.new_repo("imported")
    alice.commit(repo, add("weights.bin", b"weights"))
    report = tmp_path / "report.csv"
    report.write_text(REPORT.format(a=a, b=b, c=c))
    dry = hub.admin("import-gate", repo, report, "--dry-run", "--trust-names").stdout
    assert "dry run, nothing is changed: 1 accepted, 1 pending" in dry and alice.api.model_info(repo).gated is False
    done = hub.admin("import-gate", repo, report, "--trust-names").stdout
    assert f"accepted  {a}" in done and "skipped   nobody-here: nobody has this name here" in done
    assert f"skipped   {c}: the addresses do not show" in done
    assert [can_download(person, repo) for person in people] == [True, False, False]
    assert alice.api.model_info(repo).gated == "manual"
    [accepted] = alice.api.list_accepted_access_requests(repo)
    assert (accepted.username, accepted.fields) == (a, {"Company": "Uni, Example"})
    assert [request.username for request in alice.api.list_pending_access_requests(repo)] == [b]
    report.write_text("user,mood\nx,good\n")
    assert "status" in hub.admin("import-gate", repo, report, check=False).stderr


def test_the_terms_of_another_hub_come_along_and_are_accepted_here(hub, alice, tmp_path):
    name = new_name("imported")
    person = hub.person(name, "read", ("--email", f"{name}@uni.example"))
    repo = alice.new_repo("imported")
    alice.commit(repo, add("weights.bin", b"weights of " + repo.encode()))
    report, terms = tmp_path / "report.csv", tmp_path / "terms.md"
    report.write_text(f"user,email,status\n{name},{name}@uni.example,accepted\n")
    terms.write_text("# Terms\n\nYou must be kind.\n")
    assert "1 accepted" in hub.admin("import-gate", repo, report, "--terms", terms).stdout
    refused = person.http.get(f"/{repo}/resolve/main/weights.bin")
    assert (refused.status_code, refused.headers["x-access-reason"]) == (403, "terms")
    [wanted] = person.http.get(f"/api/models/{repo}/terms").json()["terms"]
    text = person.http.get(f"/api/terms/{repo}-terms/1", params={"lang": "en"})
    assert text.content == terms.read_bytes() and wanted["terms"] == f"{repo}-terms"
    accepted = person.http.post(f"/api/models/{repo}/terms/accept",
                                json={"terms": [{"terms": wanted["terms"], "sha256": text.headers["x-terms-sha256"]}]})
    assert accepted.status_code == 200, accepted.text
    assert can_download(person, repo)
