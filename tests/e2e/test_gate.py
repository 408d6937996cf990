# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates with stock clients: asking, accepting, rejecting, cancelling, and who can download meanwhile."""

import sqlite3

import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
from support import add, new_name, until


def gated(person, mode="manual", card=None, prefix="gated"):
    repo = person.new_repo(prefix)
    files = [add("weights.bin", b"weights")]
    if card:
        files.append(add("README.md", f"---\n{card}---\n# Model\n".encode()))
    person.commit(repo, *files)
    person.api.update_repo_settings(repo, gated=mode)
    return repo


def ask(person, repo, **body):
    return person.http.post(f"/api/models/{repo}/access-request", json=body)


def can_download(person, repo):
    return person.http.get(f"/{repo}/resolve/main/weights.bin").status_code == 200


def names(requests):
    return [request.username for request in requests]


@pytest.fixture
def asker(hub):
    return hub.person(new_name("asker"), "read", ("--email", "asker@uni.example", "--full-name", "An Asker"))


def test_a_person_asks_is_listed_accepted_and_downloads(alice, asker, tmp_path):
    repo = gated(alice)
    with pytest.raises(GatedRepoError):
        hf_hub_download(repo, "weights.bin", token=asker.token, local_dir=tmp_path)
    made = ask(asker, repo)
    assert made.status_code == 200, made.text
    assert made.json()["state"] == "in_review"
    assert not can_download(asker, repo)
    [request] = alice.api.list_pending_access_requests(repo)
    assert (request.username, request.fullname, request.email, request.status) == (
        asker.name, "An Asker", "asker@uni.example", "pending")
    alice.api.accept_access_request(repo, asker.name)
    assert names(alice.api.list_accepted_access_requests(repo)) == [asker.name]
    assert names(alice.api.list_pending_access_requests(repo)) == []
    assert hf_hub_download(repo, "weights.bin", token=asker.token, local_dir=tmp_path)


def test_an_owner_moves_people_between_all_three_lists(alice, asker):
    repo = gated(alice)
    ask(asker, repo)
    alice.api.reject_access_request(repo, asker.name, rejection_reason="No affiliation given.")
    assert names(alice.api.list_rejected_access_requests(repo)) == [asker.name]
    assert "No affiliation given." in asker.http.get(f"/api/models/{repo}/access-request").text
    alice.api.accept_access_request(repo, asker.name)  # from rejected
    assert can_download(asker, repo)
    alice.api.cancel_access_request(repo, asker.name)  # back to pending: suspended
    assert names(alice.api.list_pending_access_requests(repo)) == [asker.name]
    assert names(alice.api.list_accepted_access_requests(repo)) == []
    assert not can_download(asker, repo)
    alice.api.accept_access_request(repo, asker.name)
    assert can_download(asker, repo)
    alice.api.reject_access_request(repo, asker.name, rejection_reason=None)  # from accepted: revoked
    assert not can_download(asker, repo)
    assert names(alice.api.list_rejected_access_requests(repo)) == [asker.name]
    alice.api.cancel_access_request(repo, asker.name)  # from rejected to pending
    assert names(alice.api.list_pending_access_requests(repo)) == [asker.name]
    alice.api.reject_access_request(repo, asker.name, rejection_reason=None)
    assert names(alice.api.list_rejected_access_requests(repo)) == [asker.name]
    alice.api.accept_access_request(repo, asker.name)
    assert can_download(asker, repo)


@pytest.mark.parametrize("move", ["accept", "reject", "cancel"])
def test_a_person_cannot_be_moved_to_the_list_where_the_person_is(alice, asker, move):
    repo = gated(alice)
    ask(asker, repo)
    call = getattr(alice.api, f"{move}_access_request")
    more = {"rejection_reason": "no"} if move == "reject" else {}
    if move != "cancel":
        call(repo, asker.name, **more)
    with pytest.raises(HfHubHTTPError) as refused:
        call(repo, asker.name, **more)
    assert refused.value.response.status_code == 404


def test_a_request_can_be_named_by_its_id(alice, asker):
    repo = gated(alice)
    ask(asker, repo)
    [request] = alice.api.list_pending_access_requests(repo)
    alice.api.accept_access_request(repo, request_id=request.request_id)
    assert can_download(asker, repo)


def test_nobody_is_moved_who_has_not_asked_or_is_not_there_or_where_there_is_no_gate(alice, asker):
    repo, open_repo = gated(alice), alice.new_repo("open")
    for where, who, status in [(repo, asker.name, 404), (repo, "nobody-at-all", 404), (open_repo, asker.name, 400)]:
        with pytest.raises(HfHubHTTPError) as refused:
            alice.api.accept_access_request(where, who)
        assert refused.value.response.status_code == status, (where, who)
    with pytest.raises(HfHubHTTPError) as refused:
        list(alice.api.list_pending_access_requests(open_repo))
    assert refused.value.response.status_code == 400


def test_an_owner_grants_access_without_a_request_and_is_not_told_the_address(alice, asker):
    repo = gated(alice)
    assert alice.api.grant_access(repo, asker.name) == {}
    [granted] = alice.api.list_accepted_access_requests(repo)
    assert (granted.username, granted.email, granted.status) == (asker.name, None, "accepted")
    assert can_download(asker, repo)
    with pytest.raises(HfHubHTTPError) as again:
        alice.api.grant_access(repo, asker.name)
    assert again.value.response.status_code == 400
    alice.api.cancel_access_request(repo, asker.name)
    assert names(alice.api.list_pending_access_requests(repo)) == [asker.name]
    assert not can_download(asker, repo)


def test_only_who_administers_a_repo_sees_and_moves_its_requests(alice, bob, asker, hub):
    repo = gated(alice)
    ask(asker, repo)
    for person in [bob, asker]:
        for call in [lambda: list(person.api.list_pending_access_requests(repo)),
                     lambda: person.api.accept_access_request(repo, asker.name),
                     lambda: person.api.grant_access(repo, asker.name)]:
            with pytest.raises(HfHubHTTPError) as refused:
                call()
            assert refused.value.response.status_code == 403
    assert not can_download(asker, repo)
    assert hub.anyone().http.get(f"/api/models/{repo}/user-access-request/pending").status_code == 401


def test_an_automatic_gate_lets_in_who_asks_at_once(alice, asker):
    repo = gated(alice, "auto")
    assert not can_download(asker, repo)
    assert ask(asker, repo).json()["state"] == "approved"
    assert can_download(asker, repo)
    assert names(alice.api.list_accepted_access_requests(repo)) == [asker.name]


def test_a_card_s_questions_have_to_be_answered_and_the_owner_reads_the_answers(alice, asker):
    repo = gated(alice, card="""extra_gated_heading: Tell us about you
extra_gated_prompt: You agree not to harm anybody.
extra_gated_fields:
  Company: text
  Country: country
  Birthday: date_picker
  I want to use it for:
    type: select
    options: [Research, Education, {label: Other, value: other}]
  I agree: checkbox
""")
    face = asker.http.get(f"/api/models/{repo}/gate").json()
    assert [field["type"] for field in face["form"]["fields"]] == ["text", "country", "date", "choice", "checkbox"]
    assert face["form"]["heading"] == "Tell us about you"
    refused = ask(asker, repo, answers={"Company": "ACME", "Country": "Atlantis", "I want to use it for": "war",
                                        "I agree": False, "Height": 3})
    assert refused.status_code == 400
    for complaint in ["Country:", "Birthday: it is missing", "I want to use it for:", "I agree: it has to be ticked",
                      "Height: the form has no such field"]:
        assert complaint in refused.json()["error"]
    answers = {"Company": "ACME", "Country": "ch", "Birthday": "1990-02-28", "I want to use it for": "other",
               "I agree": True}
    assert ask(asker, repo, answers=answers, form=face["formSha256"]).status_code == 200
    [request] = alice.api.list_pending_access_requests(repo)
    assert request.fields == {**answers, "Country": "CH"}


def test_a_form_that_has_changed_meanwhile_is_not_taken_for_the_one_that_was_shown(alice, asker):
    repo = gated(alice, card="extra_gated_fields:\n  Company: text\n")
    shown = asker.http.get(f"/api/models/{repo}/gate").json()["formSha256"]
    alice.commit(repo, add("README.md", b"---\nextra_gated_fields:\n  Company: text\n  Extra: text\n---\n"))
    assert ask(asker, repo, answers={"Company": "a", "Extra": "b"}, form=shown).status_code == 412
    assert ask(asker, repo, answers={"Company": "a", "Extra": "b"}).status_code == 200


def test_lists_come_a_page_at_a_time(alice, hub):
    repo = gated(alice)
    with sqlite3.connect(hub.data / "cairn.db", timeout=60) as db:  # a crowd, faster than by a hundred commands
        gate_id, = db.execute("SELECT gate_id FROM gate_repo b JOIN repo r ON r.id = b.repo_id WHERE r.name = ?",
                              [repo.split("/")[1]]).fetchone()
        crowd = [new_name("crowd") for _ in range(103)]
        for name in crowd:
            person = db.execute("INSERT INTO account (kind, name, name_folded, is_admin, default_private, created_us) "
                                "VALUES (1, ?, ?, 0, 0, 1)", [name, name]).lastrowid
            db.execute("INSERT INTO access_request (gate_id, applicant_id, purpose, state, back, version, cycle, policy_seq,"
                       " renews_id, by_owner, opened_us, state_since_us, submitted_us, decided_us, clock_used_us,"
                       " clock_since_us, due_us, outcome, code, answers_sha256, form_sha256)"
                       " VALUES (?, ?, '', 3, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, '', x'', x'')", [gate_id, person])
    first = alice.http.get(f"/api/models/{repo}/user-access-request/pending")
    assert len(first.json()) == 100 and 'rel="next"' in first.headers["link"]
    assert names(alice.api.list_pending_access_requests(repo)) == crowd
    queue = alice.http.get(f"/api/models/{repo}/access-requests")
    assert len(queue.json()) == 100 and 'rel="next"' in queue.headers["link"]


def test_ungating_opens_a_repo_and_gating_it_again_knows_who_was_let_in(alice, asker, hub):
    repo = gated(alice)
    ask(asker, repo)
    alice.api.accept_access_request(repo, asker.name)
    stranger = hub.person(new_name("stranger"), "read")
    assert not can_download(stranger, repo)
    alice.api.update_repo_settings(repo, gated=False)
    assert can_download(stranger, repo)
    assert alice.api.model_info(repo).gated is False
    alice.api.update_repo_settings(repo, gated="manual")
    assert alice.api.model_info(repo).gated == "manual"
    assert not can_download(stranger, repo)
    assert can_download(asker, repo)


def test_the_mode_of_a_gate_and_what_stock_clients_are_told_go_together(alice):
    repo = gated(alice)
    put = alice.http.put(f"/api/models/{repo}/gate", json={"mode": "click", "grantDays": 90})
    assert put.status_code == 200, put.text
    assert alice.api.model_info(repo).gated == "auto"
    alice.api.update_repo_settings(repo, gated="manual")
    face = alice.http.get(f"/api/models/{repo}/gate").json()
    assert (face["mode"], face["grantDays"]) == ("manual", 90)  # the rest of the policy stays


def test_a_private_gated_repo_tells_strangers_nothing(alice, asker):
    repo = gated(alice)
    alice.api.update_repo_settings(repo, private=True)
    for path in [f"/api/models/{repo}/gate", f"/{repo}/ask-access", f"/api/models/{repo}/access-request",
                 f"/api/models/{repo}/user-access-request/pending"]:
        refused = asker.http.get(path)
        assert (refused.status_code, refused.headers["x-error-code"]) == (404, "RepoNotFound"), path
    assert ask(asker, repo).status_code == 404


def test_the_page_of_ask_access_tells_how_to_ask_and_has_no_script(alice, asker, hub):
    repo = gated(alice, card="extra_gated_prompt: '<script>alert(1)</script>'\nextra_gated_fields:\n  Company: text\n")
    page = hub.anyone().http.get(f"/{repo}/ask-access")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text and "&lt;script&gt;" in page.text
    assert "cairn access ask" in page.text and "Company" in page.text
    assert hub.anyone().http.post(f"/{repo}/ask-access", data={"Company": "ACME"}).status_code == 401
    assert asker.http.post(f"/{repo}/ask-access", data={"Compny": "ACME"}).status_code == 400
    asked = asker.http.post(f"/{repo}/ask-access", data={"Company": "ACME"})
    assert asked.status_code == 200, asked.text
    assert asked.json()["state"] == "in_review"


def test_asking_by_json_at_ask_access_does_the_same(alice, asker):
    repo = gated(alice, "auto")
    assert asker.http.post(f"/{repo}/ask-access", json={}).json()["state"] == "approved"


def test_a_dataset_has_a_gate_like_a_model(alice, asker):
    repo = alice.new_repo("data", repo_type="dataset")
    alice.api.update_repo_settings(repo, gated="manual", repo_type="dataset")
    assert asker.http.post(f"/datasets/{repo}/ask-access", json={}).status_code == 200
    alice.api.accept_access_request(repo, asker.name, repo_type="dataset")
    assert names(alice.api.list_accepted_access_requests(repo, repo_type="dataset")) == [asker.name]


def test_a_deleted_repo_voids_its_requests_and_a_moved_one_keeps_them(alice, asker):
    repo = gated(alice)
    ask(asker, repo)
    target = f"alice/{new_name('moved')}"
    alice.api.move_repo(repo, target)
    assert names(alice.api.list_pending_access_requests(target)) == [asker.name]
    alice.api.delete_repo(target)
    mine = asker.http.get("/api/access-requests").json()
    assert mine[-1]["state"] == "void" and mine[-1]["repo"] is None
    assert "void" in asker.http.get("/api/notices").text


def test_what_was_decided_stands_in_the_log(alice, asker):
    repo = gated(alice)
    ask(asker, repo)
    alice.api.reject_access_request(repo, asker.name, rejection_reason="no")
    def kinds():
        return {entry["type"] for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]}
    until(lambda: {"access-decision", "access-policy"} <= kinds())
