# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that people agree to: published, changed, accepted by their hash, and proved by a receipt."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support import Hub, add, new_name, sha256, until

TEXT = "1. You may use the model for research.\n2. You must name it in what you publish.\n"
GERMAN = "1. Sie dürfen das Modell für die Forschung nutzen.\n2. Sie müssen es nennen.\n"
STRICTER = TEXT + "3. You must not sell it.\n"
DAY = 86400


def post(person, name, text=TEXT, **more):
    body = {"summary": "A change.", "texts": text if isinstance(text, dict) else {"en": text}, **more}
    return person.http.post(f"/api/terms/{name}", json=body)


def publish(person, text=TEXT, **more):
    name = f"{person.name}/{new_name('terms')}"
    answer = post(person, name, text, kind="licence", **more)
    assert answer.status_code == 201, answer.text
    return name


def gated(person, *terms, **policy):
    repo = person.new_repo("gated")
    person.commit(repo, add("weights.bin", repo.encode()))  # of its own: equal ones would be held as a re-upload
    answer = person.http.put(f"/api/models/{repo}/gate", json={"mode": "click", **policy, "terms": list(terms)})
    assert answer.status_code == 200, answer.text
    return repo


def accept(person, repo, *accepted):
    return person.http.post(f"/api/models/{repo}/terms/accept",
                            json={"terms": [{"terms": name, "sha256": sha256(text.encode())} for name, text in accepted]})


def wanted(person, repo):
    answer = person.http.get(f"/api/models/{repo}/terms")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def applicant(hub):
    return hub.person(new_name("applicant"), "read", ("--email", "a@uni.example"))


def test_anybody_reads_the_exact_bytes_in_each_language(alice, anyone):
    name = publish(alice, {"en": TEXT, "de": GERMAN})
    listed = anyone.http.get(f"/api/terms/{name}").json()
    assert listed["terms"] == name
    assert listed["kind"] == "licence"
    [version] = listed["versions"]
    assert version["state"] == "published"
    assert {text["language"]: text["sha256"] for text in version["texts"]} == {
        "en": sha256(TEXT.encode()), "de": sha256(GERMAN.encode())}
    lines = "".join(f"{text['language']} {text['sha256']}\n" for text in version["texts"])
    assert version["sha256"] == sha256(lines.encode())
    for lang, text in (("en", TEXT), ("de", GERMAN)):
        answer = anyone.http.get(f"/api/terms/{name}/1?lang={lang}")
        assert answer.content == text.encode()
        assert answer.headers["x-terms-sha256"] == sha256(answer.content)
        assert answer.headers["etag"] == f'"{sha256(answer.content)}"'
        assert answer.headers["content-language"] == lang
    assert anyone.http.get(f"/api/terms/{name}/1").content == TEXT.encode()


@pytest.mark.parametrize("path", ["/2", "/0", "/x", "/1?lang=fr"])
def test_what_is_not_there_is_not_found(alice, anyone, path):
    name = publish(alice)
    assert anyone.http.get(f"/api/terms/{name}{path}").status_code == 404
    assert anyone.http.get("/api/terms/nobody/nothing").status_code == 404


def test_only_those_who_administer_a_name_space_publish_in_it(alice, bob, reader, anyone, hub):
    name = publish(alice)
    hub.org("terms-house", alice="admin", bob="write")
    assert post(bob, name, STRICTER).status_code == 403
    assert post(reader, name, STRICTER).status_code == 403
    assert post(anyone, name, STRICTER).status_code == 401
    assert post(bob, "terms-house/licence", kind="licence").status_code == 403
    assert post(alice, "terms-house/licence", kind="licence").status_code == 201
    assert post(alice, "templates/mine", kind="licence").status_code == 403
    assert post(alice, "not-there/mine", kind="licence").status_code == 403


@pytest.mark.parametrize("body, word", [
    ({"kind": "poem"}, "kind"),
    ({}, "kind"),
    ({"kind": "licence", "texts": {}}, "texts"),
    ({"kind": "licence", "texts": {"english": 1}}, "bytes"),
    ({"kind": "licence", "texts": {"e!": "text"}}, "language"),
    ({"kind": "licence", "texts": {"en": "a\0b"}}, "NUL"),
    ({"kind": "licence", "texts": {"en": "x" * (1024 * 1024 + 1)}}, "bytes"),
    ({"kind": "licence", "texts": {"en": "a", "EN": "b"}}, "language"),
    ({"kind": "licence", "texts": {f"a{chr(97 + n)}": "x" for n in range(17)}}, "languages"),
    ({"kind": "licence", "class": "huge"}, "class"),
    ({"kind": "licence", "graceDays": 9999}, "graceDays"),
    ({"kind": "licence", "effective": "2001-01-01"}, "effective"),
    ({"kind": "licence", "effective": "2027-02-30"}, "effective"),
    ({"kind": "licence", "summary": ""}, "summary"),
    ({"kind": "licence", "colour": "red"}, "colour"),
    ({"kind": "licence", "from": "templates/research-only"}, "from"),
])
def test_a_publication_that_makes_no_sense_is_refused_by_name(alice, body, word):
    body = {"summary": "New.", "texts": {"en": TEXT}, **body}
    answer = alice.http.post(f"/api/terms/alice/{new_name('bad')}", json=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["error"]


def test_a_version_is_frozen_and_a_change_has_its_class(alice, anyone):
    name = publish(alice)
    assert post(alice, name).status_code == 409  # the same bytes
    refused = post(alice, name, STRICTER, **{"class": "minor"})
    assert refused.status_code == 422
    assert refused.headers["x-error-code"] == "ClassTooLow"
    assert "material" in refused.json()["error"]
    made = post(alice, name, TEXT.replace("\n2.", "\n\n  2."))
    assert (made.status_code, made.json()["class"], made.json()["proposed"]) == (201, "editorial", "editorial")
    made = post(alice, name, TEXT + "3. You may print it.\n")
    assert (made.status_code, made.json()["class"]) == (201, "minor")
    made = post(alice, name, STRICTER, **{"class": "minor", "confirmed": True})
    assert (made.status_code, made.json()["class"], made.json()["proposed"]) == (201, "minor", "material")
    assert anyone.http.get(f"/api/terms/{name}/1").content == TEXT.encode()
    assert [version["version"] for version in anyone.http.get(f"/api/terms/{name}").json()["versions"]] == [4, 3, 2, 1]
    assert post(alice, name, TEXT, kind="aup").status_code == 409


def test_templates_are_shipped_in_two_languages_and_can_be_copied(alice, anyone):
    for slug in ("responsible-use", "research-only", "export-control", "data-use-agreement"):
        [version] = anyone.http.get(f"/api/terms/templates/{slug}").json()["versions"]
        assert {text["language"] for text in version["texts"]} == {"en", "de"}
        assert "You" in anyone.http.get(f"/api/terms/templates/{slug}/1?lang=en").text
        assert "Sie" in anyone.http.get(f"/api/terms/templates/{slug}/1?lang=de").text
    name = f"alice/{new_name('copy')}"
    made = alice.http.post(f"/api/terms/{name}", json={"summary": "A copy.", "from": "templates/research-only"})
    assert made.status_code == 201, made.text
    assert made.json()["kind"] == "licence"
    for lang in ("en", "de"):
        original = anyone.http.get(f"/api/terms/templates/research-only/1?lang={lang}")
        assert anyone.http.get(f"/api/terms/{name}/1?lang={lang}").content == original.content


def test_nobody_can_take_the_name_of_the_templates(hub):
    assert hub.admin("user", "create", "templates", check=False).returncode != 0


def test_a_repo_tells_what_it_asks_for_and_what_is_missing(alice, applicant, anyone):
    name = publish(alice)
    repo = gated(alice, name, "templates/responsible-use")
    asked = wanted(anyone, repo)
    assert [terms["terms"] for terms in asked["terms"]] == [name, "templates/responsible-use"]
    assert "complete" not in asked
    asked = wanted(applicant, repo)
    assert asked["complete"] is False
    assert [terms["missing"] for terms in asked["terms"]] == [True, True]
    answer = accept(applicant, repo, (name, TEXT))
    assert answer.status_code == 200, answer.text
    assert answer.json()["complete"] is False
    first = wanted(applicant, repo)["terms"][0]
    assert first["missing"] is False
    assert first["accepted"]["sha256"] == sha256(TEXT.encode())
    assert wanted(alice, alice.new_repo()) == {"terms": []}


def test_an_acceptance_of_other_bytes_is_refused(alice, applicant, anyone):
    name = publish(alice)
    repo = gated(alice, name)
    refused = accept(applicant, repo, (name, TEXT + " "))
    assert refused.status_code == 422
    assert refused.headers["x-error-code"] == "TermsChanged"
    assert accept(anyone, repo, (name, TEXT)).status_code == 401
    for body in ({}, {"terms": []}, {"terms": "all"}, {"terms": [{"terms": name}]}, {"terms": [], "more": 1},
                 {"terms": [{"terms": name, "sha256": "zz"}]}, {"terms": [7]},
                 {"terms": [{"terms": name, "sha256": sha256(TEXT.encode())}] * 17},
                 {"terms": [{"terms": name, "sha256": sha256(TEXT.encode())}], "method": "signed"}):
        assert applicant.http.post(f"/api/models/{repo}/terms/accept", json=body).status_code == 400, body
    assert wanted(applicant, repo)["terms"][0]["missing"] is True
    assert applicant.http.get("/api/receipts").json() == []


def test_strangers_learn_nothing_of_a_private_repos_terms(alice, bob):
    name = publish(alice)
    repo = alice.new_repo(private=True)
    answer = bob.http.get(f"/api/models/{repo}/terms")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")
    assert accept(bob, repo, (name, TEXT)).status_code == 404


def verify(hub_or_person, envelope):
    """What the hub has signed, after checking that it has."""
    key = serialization.load_pem_public_key(hub_or_person.http.get("/log/attestation-key.pem").content)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae, ec.ECDSA(hashes.SHA256()))
    return json.loads(payload)


def test_each_acceptance_has_a_receipt_that_anybody_can_check(alice, applicant, bob):
    name = publish(alice, {"en": TEXT, "de": GERMAN})
    repo = gated(alice, name)
    [receipt] = accept(applicant, repo, (name, GERMAN)).json()["receipts"]
    [listed] = applicant.http.get("/api/receipts").json()
    envelope = applicant.http.get(f"/api/receipts/{receipt}").json()
    assert envelope["payloadType"] == "application/vnd.cairn.receipt+json"
    said = verify(applicant, envelope)
    assert said == listed
    assert said == {"receipt": receipt, "person": applicant.name, "terms": name, "version": 1,
                    "sha256": sha256(GERMAN.encode()), "language": "de", "method": "api", "at": said["at"],
                    "for": f"model {repo}"}
    assert applicant.http.get(f"/api/receipts/{receipt}").json() == envelope  # signed once
    assert bob.http.get(f"/api/receipts/{receipt}").status_code == 404
    envelope["payload"] = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"research", b"business")
                                           + b" ").decode()
    with pytest.raises(Exception):
        verify(applicant, envelope)


def can_read(person, repo):
    return person.http.get(f"/{repo}/resolve/main/weights.bin")


def apply(person, repo, *accepted):
    answer = person.http.post(f"/api/models/{repo}/access-request", json={
        "terms": [{"terms": name, "sha256": sha256(text.encode())} for name, text in accepted]})
    assert answer.status_code == 200, answer.text


def test_new_terms_leave_a_grace_in_which_everything_goes_on(alice, applicant):
    name = publish(alice)
    repo = gated(alice, name)
    apply(applicant, repo, (name, TEXT))
    assert can_read(applicant, repo).status_code == 200
    assert post(alice, name, STRICTER).json()["class"] == "material"
    assert can_read(applicant, repo).status_code == 200
    asked = wanted(applicant, repo)
    assert asked["complete"] is False and asked["due"]
    assert accept(applicant, repo, (name, TEXT)).status_code == 422  # no longer in force
    assert accept(applicant, repo, (name, STRICTER)).json()["complete"] is True
    assert "due" not in wanted(applicant, repo)
    assert can_read(applicant, repo).status_code == 200


def test_without_grace_the_door_closes_until_the_new_text_is_accepted(alice, applicant):
    name = publish(alice)
    repo = gated(alice, name)
    apply(applicant, repo, (name, TEXT))
    assert post(alice, name, STRICTER, graceDays=0).status_code == 201
    refused = can_read(applicant, repo)
    assert (refused.status_code, refused.headers["x-error-code"], refused.headers["x-access-reason"]) == (
        403, "GatedRepo", "terms")
    assert accept(applicant, repo, (name, STRICTER)).status_code == 200
    assert can_read(applicant, repo).status_code == 200


def test_an_emergency_takes_two_people_and_then_stops_everybody_at_once(hub, alice, bob, applicant):
    house = hub.org(new_name("house"), alice="admin", bob="admin")
    name = f"{house}/licence"
    assert post(alice, name, kind="licence").status_code == 201
    repo = gated(alice, name)
    apply(applicant, repo, (name, TEXT))
    waiting = post(alice, name, STRICTER, **{"class": "emergency"})
    assert (waiting.status_code, waiting.json()["state"]) == (202, "waiting")
    assert can_read(applicant, repo).status_code == 200
    assert applicant.http.get(f"/api/terms/{name}/2").status_code == 404
    assert [version["version"] for version in applicant.http.get(f"/api/terms/{name}").json()["versions"]] == [1]
    [seen, _] = bob.http.get(f"/api/terms/{name}").json()["versions"]
    assert bob.http.get(f"/api/terms/{name}/2").content == STRICTER.encode()
    sign = f"/api/terms/{name}/2/countersign"
    assert alice.http.post(sign, json={"sha256": seen["sha256"]}).status_code == 403
    assert applicant.http.post(sign, json={"sha256": seen["sha256"]}).status_code == 403
    assert bob.http.post(sign, json={"sha256": "0" * 64}).status_code == 422
    assert bob.http.post(sign, json={"sha256": seen["sha256"]}).status_code == 200
    assert can_read(applicant, repo).headers["x-access-reason"] == "terms"
    assert bob.http.post(sign, json={"sha256": seen["sha256"]}).status_code == 409
    assert accept(applicant, repo, (name, STRICTER)).status_code == 200
    assert can_read(applicant, repo).status_code == 200


def test_from_risk_2_up_a_second_person_confirms_and_may_be_of_the_hub(hub, alice):
    board = hub.person(new_name("board"), "admin", ("--admin",))
    name = publish(alice)
    gated(alice, name, mode="manual", risk=2)
    waiting = post(alice, name, STRICTER)
    assert waiting.status_code == 202
    signed = board.http.post(f"/api/terms/{name}/2/countersign", json={"sha256": waiting.json()["sha256"]})
    assert (signed.status_code, signed.json()["state"]) == (200, "published")


def test_each_change_of_a_gates_texts_is_in_the_log(alice):
    name = publish(alice)
    repo = gated(alice, name)

    def policies():
        entries = alice.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]
        return [entry for entry in entries if entry["type"] == "access-policy"]

    before = until(lambda: len(policies()))
    post(alice, name, STRICTER)
    until(lambda: len(policies()) == before + 1)


def test_time_passes_and_what_was_published_ahead_takes_effect(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, holder = hub.person("owner"), hub.person("holder", "read", ("--email", "h@uni.example"))
        name = publish(owner)
        repo = gated(owner, name)
        apply(holder, repo, (name, TEXT))
        assert post(owner, name, STRICTER, graceDays=10).status_code == 201
        for days, status in ((9, 200), (11, 403)):
            hub.stop()
            hub.environment["CAIRN_CLOCK_AHEAD"] = str(days * DAY)
            hub.start()
            assert can_read(holder, repo).status_code == status
        until(lambda: "grant.suspended" in {notice["kind"] for notice in holder.http.get("/api/notices").json()})
        assert accept(holder, repo, (name, STRICTER)).status_code == 200
        assert can_read(holder, repo).status_code == 200
    finally:
        hub.stop()


def test_when_a_person_is_forgotten_the_receipts_go(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, holder = hub.person("owner"), hub.person("holder", "read", ("--email", "h@uni.example"))
        name = publish(owner)
        repo = gated(owner, name)
        apply(holder, repo, (name, TEXT))
        hub.stop()
        hub.admin("user", "erase", "holder", "--reason", "request")
        data = b"".join(path.read_bytes() for path in hub.data.glob("cairn.db*"))
        assert b'"person":"holder"' not in data
        hub.start()
        assert can_read(holder, repo).status_code == 401
    finally:
        hub.stop()
