# SPDX-License-Identifier: GPL-3.0-or-later
"""Protected branches, as people meet them through the stock client; approvals are signed with a library of other people's."""

import base64
import json
import re
import threading

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from huggingface_hub.utils import HfHubHTTPError

from support import ROOT, new_name, sha256
from tlog import Log

ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture(scope="module")
def people(hub):
    """An organisation: its administrator, three who write, one who reads."""
    class People:
        pass
    people = People()
    for name in ("chair", "wren", "xena", "yara", "zoe"):
        person = hub.person(f"{name}-p")
        person.key = new_key(person)
        setattr(people, name, person)
    people.org = hub.org("guild", **{"chair-p": "admin", "wren-p": "write", "xena-p": "write", "yara-p": "write", "zoe-p": "read"})
    return people


@pytest.fixture
def guarded(people):
    """A model whose main asks for two approvals."""
    repo = people.chair.api.create_repo(f"{people.org}/{new_name('guarded')}").repo_id
    people.chair.commit_files(repo, {"README.md": b"---\nlicense: mit\n---\n"})
    assert protect(people.chair, repo, approvals=2).status_code == 200
    return repo


def protect(person, repo, branch="main", **rule):
    return person.http.put(f"/api/models/{repo}/rules/{branch}", json=rule)


def refused(call, status=403):
    with pytest.raises(HfHubHTTPError) as error:
        call()
    assert error.value.response.status_code == status, error.value.response.text
    return str(error.value)


def propose(person, repo, files=None, **how):
    """A pull request; its number and its commit."""
    made = person.commit_files(repo, files or {new_name("file"): b"new"}, create_pr=True, **how)
    return made.pr_num, made.oid


def to_sign(payload_type, payload):
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def envelope(key, payload_type, payload):
    payload = json.dumps(payload).encode()
    signature = key.sign(to_sign(payload_type, payload), ECDSA)
    return json.dumps({"payload": base64.b64encode(payload).decode(), "payloadType": payload_type,
                       "signatures": [{"sig": base64.b64encode(signature).decode()}]}).encode()


def new_key(person):
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claim = {"origin": Log(person.http).key.name, "user": person.name, "name": "laptop", "publicKey": public.decode()}
    answer = person.http.post("/api/settings/signing-keys",
                              content=envelope(key, "application/vnd.cairn.signing-key+json", claim))
    assert answer.status_code == 201, answer.text
    return key


def say(person, repo, commit, decision="approve", **more):
    """What somebody thinks of a commit, signed; the bytes that are the evidence, and the index of their leaf."""
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": repo, "digest": {"gitCommit": commit}}],
                 "predicateType": "urn:cairn:approval:v1", "predicate": {"decision": decision, **more}}
    signed = envelope(person.key, "application/vnd.in-toto+json", statement)
    answer = person.http.post(f"/api/models/{repo}/attestations", content=signed)
    assert answer.status_code == 201, answer.text
    return signed, answer.json()["index"]


def summary_in(hub_, evidence):
    """What the hub says in a signed envelope, after checking that it is the hub who says it."""
    sealed = json.loads(evidence)
    payload = base64.b64decode(sealed["payload"], validate=True)
    [signature] = sealed["signatures"]
    key = serialization.load_pem_public_key(hub_.http.get("/log/attestation-key.pem").content)
    key.verify(base64.b64decode(signature["sig"], validate=True), to_sign(sealed["payloadType"], payload), ECDSA)
    assert sealed["payloadType"] == "application/vnd.in-toto+json"
    return json.loads(payload)


def moves_of_main(person, repo):
    """The leaves that are about main, newest first, with their indices."""
    entries = person.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]
    return [(entry["index"], json.loads(entry["leaf"])) for entry in entries
            if {"ref", "refs/heads/main"} <= {value for opening in entry["openings"] for value in opening.values()}]


def decided(person, repo):
    """What the leaves of approvals and commits say, newest first. Those of manifests come when the hub gets to them."""
    entries = person.http.get(f"/api/models/{repo}/provenance?limit=20").json()["entries"]
    return [json.loads(entry["leaf"])["b"] for entry in entries if entry["type"] in ("approval", "commit")]


# Rules.

def test_a_rule_is_set_by_an_administrator_of_the_repo_and_seen_by_all(people, anyone):
    repo = people.chair.api.create_repo(f"{people.org}/{new_name('ruled')}").repo_id
    assert protect(people.wren, repo, approvals=1).status_code == 403
    assert protect(anyone, repo, approvals=1).status_code == 401
    assert anyone.http.get(f"/api/models/{repo}/rules").json() == []
    assert protect(people.chair, repo, approvals=1, role="admin").status_code == 200
    [rule] = anyone.http.get(f"/api/models/{repo}/rules").json()
    assert (rule["ref"], rule["approvals"], rule["role"]) == ("refs/heads/main", 1, "admin")
    assert people.wren.http.delete(f"/api/models/{repo}/rules/main").status_code == 403
    assert people.chair.http.delete(f"/api/models/{repo}/rules/main").status_code == 200
    assert anyone.http.get(f"/api/models/{repo}/rules").json() == []
    people.wren.commit_files(repo, {"a": b"1"})


def test_rules_of_a_private_repo_are_hidden_with_it(people, bob):
    repo = people.chair.api.create_repo(f"{people.org}/{new_name('hidden')}", private=True).repo_id
    for answer in (bob.http.get(f"/api/models/{repo}/rules"), protect(bob, repo, approvals=1),
                   bob.http.get(f"/api/models/{repo}/discussions"), bob.http.post(f"/api/models/{repo}/discussions/1/merge")):
        assert answer.status_code == 404
        assert answer.headers["x-error-code"] == "RepoNotFound"


@pytest.mark.parametrize("branch, rule, status, words", [
    ("main", {}, 400, "1 to 100 approvals"),
    ("main", {"approvals": 0}, 400, "1 to 100 approvals"),
    ("main", {"approvals": 101}, 400, "1 to 100 approvals"),
    ("main", {"approvals": "2"}, 400, "1 to 100 approvals"),
    ("main", {"approvals": 1, "role": "king"}, 400, "read, write, admin"),
    ("gone", {"approvals": 1}, 404, "Invalid rev id"),
    ("refs%2Fpr%2F1", {"approvals": 1}, 404, "Invalid rev id"),
])
def test_a_rule_that_makes_no_sense_is_refused(alice, repo, branch, rule, status, words):
    answer = protect(alice, repo, branch, **rule)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_commit_cannot_be_protected(alice, repo):
    answer = protect(alice, repo, alice.head(repo), approvals=1)
    assert answer.status_code == 400
    assert "Only a branch can be protected" in answer.json()["error"]


# Ways to move a branch.

def test_a_direct_commit_is_told_how_to_propose_it(people, guarded):
    before = people.wren.head(guarded)
    words = refused(lambda: people.wren.commit_files(guarded, {"direct": b"1"}))
    assert "refs/heads/main is protected" in words
    assert "has 2 approvals of people with role write or more" in words
    assert "create_pr=1" in words
    assert people.wren.head(guarded) == before


def test_nobody_is_exempt_neither_owner_nor_administrator_of_the_hub(hub, people, guarded):
    chief = hub.person(new_name("chief"), role="admin", flags=["--admin"])
    for person in (people.chair, chief):
        assert "is protected" in refused(lambda: person.commit_files(guarded, {"direct": b"1"}))
        number, _ = propose(person, guarded)
        assert "has 0 of the 2 approvals" in refused(lambda: person.api.merge_pull_request(guarded, number))


def test_a_protected_branch_is_neither_deleted_nor_overwritten_nor_squashed(people, guarded):
    chair = people.chair
    chair.api.create_branch(guarded, branch="work")
    chair.commit_files(guarded, {"work": b"1"}, revision="work")
    before = chair.head(guarded)
    assert "is protected" in refused(lambda: chair.api.super_squash_history(guarded))
    overwrite = {"startingPoint": "work", "overwrite": True}
    answer = chair.http.post(f"/api/models/{guarded}/branch/main", json=overwrite)
    assert answer.status_code == 403 and "is protected" in answer.json()["error"]
    assert chair.head(guarded) == before

    assert protect(chair, guarded, "work", approvals=1).status_code == 200
    assert "is protected" in refused(lambda: chair.api.delete_branch(guarded, branch="work"))
    assert chair.http.delete(f"/api/models/{guarded}/rules/work").status_code == 200
    chair.api.delete_branch(guarded, branch="work")


def test_only_one_file_changes_refs_and_it_asks_the_guard():
    """A new way to move a branch that goes around the guard fails here."""
    changes = re.compile(r'"(?:UPDATE|INSERT INTO|DELETE FROM) ref [^"]*"')
    files = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "src").rglob("*.c")}
    found = {name: changes.findall(text) for name, text in files.items() if changes.search(text)}
    assert sorted(found) == ["src/repo/move.c", "src/repo/ref.c"]  # the first deletes a whole repo
    assert found["src/repo/move.c"] == ['"DELETE FROM ref WHERE repo_id = ?"']
    assert len(found["src/repo/ref.c"]) == files["src/repo/ref.c"].count("TRY(ref_guard(") == 4


# Approvals.

def test_enough_approvals_move_the_branch_to_the_very_commit(people, guarded, anyone):
    number, commit = propose(people.wren, guarded, {"README.md": b"---\nlicense: mit\ntags: [lichen]\n---\n"})
    merge = lambda: people.wren.api.merge_pull_request(guarded, number)  # noqa: E731
    assert "has 0 of the 2 approvals that it needs" in refused(merge)
    say(people.xena, guarded, commit)
    assert "has 1 of the 2 approvals that it needs" in refused(merge)
    say(people.yara, guarded, commit)
    merge()
    info = anyone.api.model_info(guarded)
    assert info.sha == commit and "lichen" in info.tags
    assert people.wren.api.get_discussion_details(guarded, number).status == "merged"
    assert "is protected" in refused(lambda: people.wren.commit_files(guarded, {"direct": b"1"}))


def test_the_log_says_who_approved_what_without_the_database(people, guarded, anyone):
    number, commit = propose(people.wren, guarded, {"a": b"1", "b": b"2"})
    said = dict(say(person, guarded, commit)[::-1] for person in (people.chair, people.xena, people.yara))
    before = people.wren.head(guarded)
    people.wren.api.merge_pull_request(guarded, number)

    leaves = Log(anyone.http).audited()
    index, leaf = moves_of_main(anyone, guarded)[0]
    assert leaves[index] == leaf and index > max(said)
    assert leaf["type"] == "commit" and leaf["subj"] == [{"alg": "gitCommit", "d": commit}]
    assert leaf["b"] == {"files": 2, "force": False, "new": commit, "old": before, "op": "merge", "protected": True}

    evidence = anyone.http.get(f"/api/models/{guarded}/evidence/{leaf['ev']}").content
    assert sha256(evidence) == leaf["ev"]
    statement = summary_in(anyone, evidence)
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert [subject["digest"] for subject in statement["subject"]] == [{"gitCommit": commit}]
    summary = statement["predicate"]
    assert (summary["verificationResult"], summary["verifiedLevels"]) == ("PASSED", ["CAIRN_APPROVALS_3"])
    assert summary["resourceUri"] == f"git+{anyone.hub.url}/{guarded}@refs/heads/main"
    policy = {"approvals": 2, "ref": "refs/heads/main", "role": "write"}
    assert summary["policy"]["digest"]["sha256"] == sha256(json.dumps(policy, separators=(",", ":")).encode())
    assert (summary["policy"]["cairn_approvals"], summary["policy"]["cairn_role"]) == (2, "write")

    listed = {approval["cairn_leaf"]: approval for approval in summary["inputAttestations"]}
    assert sorted(listed) == sorted(said)
    for at, approval in listed.items():
        assert leaves[at]["type"] == "approval" and leaves[at]["repo"] == leaf["repo"]
        assert leaves[at]["b"]["decision"] == "approve" and leaves[at]["subj"] == leaf["subj"]
        assert approval["digest"]["sha256"] == leaves[at]["ev"] == sha256(said[at])
        assert anyone.http.get(approval["uri"]).content == said[at]


def test_an_unprotected_merge_says_so_in_the_log(alice, repo):
    number, _ = propose(alice, repo)
    alice.api.merge_pull_request(repo, number)
    _, leaf = moves_of_main(alice, repo)[0]
    assert leaf["b"]["op"] == "merge" and not leaf["b"]["protected"] and "ev" not in leaf


def test_who_made_any_part_of_it_does_not_count(people, guarded):
    number, _ = propose(people.xena, guarded)
    commit = people.wren.commit_files(guarded, {"more": b"1"}, revision=f"refs/pr/{number}").oid
    for author in (people.xena, people.wren):
        say(author, guarded, commit)
    assert "has 0 of the 2 approvals" in refused(lambda: people.wren.api.merge_pull_request(guarded, number))
    for other in (people.yara, people.chair):
        say(other, guarded, commit)
    people.wren.api.merge_pull_request(guarded, number)


def test_strangers_and_readers_and_administrators_of_the_hub_do_not_count(hub, people, guarded, bob):
    chief = hub.person(new_name("chief"), role="admin", flags=["--admin"])
    number, commit = propose(people.wren, guarded)
    for person in (bob, chief):
        person.key = new_key(person)
    for person in (bob, chief, people.zoe):
        say(person, guarded, commit)
    assert "has 0 of the 2 approvals" in refused(lambda: people.wren.api.merge_pull_request(guarded, number))


def test_a_later_rejection_blocks_until_it_is_withdrawn(people, guarded):
    number, commit = propose(people.wren, guarded)
    merge = lambda: people.wren.api.merge_pull_request(guarded, number)  # noqa: E731
    for person in (people.xena, people.yara):
        say(person, guarded, commit)
    say(people.chair, guarded, commit, "reject")
    assert "was rejected by 1 of those who may approve it" in refused(merge)
    say(people.chair, guarded, commit, "withdraw")
    say(people.yara, guarded, commit, "withdraw")
    assert "has 1 of the 2 approvals" in refused(merge)


def test_approvals_are_for_one_commit_and_a_new_one_starts_without(people, guarded):
    number, commit = propose(people.wren, guarded)
    for person in (people.xena, people.yara):
        say(person, guarded, commit)
    newer = people.wren.commit_files(guarded, {"sneaked": b"in"}, revision=f"refs/pr/{number}").oid
    assert f"commit {newer} has 0 of the 2 approvals" in refused(
        lambda: people.wren.api.merge_pull_request(guarded, number))


def test_an_approval_for_another_branch_does_not_move_main(people, guarded):
    number, commit = propose(people.wren, guarded)
    for person in (people.xena, people.yara):
        say(person, guarded, commit, branch="dev")
    assert "has 0 of the 2 approvals" in refused(lambda: people.wren.api.merge_pull_request(guarded, number))


def test_who_leaves_the_organisation_takes_the_approval_along(hub, people):
    hub.person("leaver-p")
    leaver = hub.key_of("leaver-p")
    leaver.key = new_key(leaver)
    org = hub.org("club", **{"chair-p": "admin", "wren-p": "write", "leaver-p": "write"})
    repo = people.chair.api.create_repo(f"{org}/{new_name('club')}").repo_id
    protect(people.chair, repo, approvals=1)
    number, commit = propose(people.wren, repo)
    say(leaver, repo, commit)
    hub.admin("org", "remove-member", org, "leaver-p")
    assert "has 0 of the 1 approvals" in refused(lambda: people.wren.api.merge_pull_request(repo, number))


def test_of_many_merges_and_a_rejection_at_once_the_log_tells_one_story(people, guarded):
    for _ in range(5):
        before = people.wren.head(guarded)
        number, commit = propose(people.wren, guarded)
        for person in (people.xena, people.yara):
            say(person, guarded, commit)
        answers, start = [], threading.Barrier(4)

        def merge():
            start.wait()
            answers.append(people.wren.http.post(f"/api/models/{guarded}/discussions/{number}/merge").status_code)

        def reject():
            start.wait()
            say(people.chair, guarded, commit, "reject")

        threads = [threading.Thread(target=work) for work in (merge, merge, merge, reject)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        merged = people.wren.head(guarded) == commit
        assert sorted(answers) == ([200, 409, 409] if merged else [403, 403, 403])
        assert merged or people.wren.head(guarded) == before
        newest, before_it = decided(people.wren, guarded)[:2]
        assert newest.get("decision") == "reject"  # where there was a merge, it was before
        assert (before_it.get("op") == "merge") == merged


# Pull requests without a rule.

def test_an_unprotected_branch_takes_a_pull_request_at_once(alice, repo):
    number, commit = propose(alice, repo, {"README.md": b"---\nlicense: mit\ntags: [moss]\n---\n"}, message="a card")
    assert alice.head(repo) != commit
    alice.api.merge_pull_request(repo, number, comment="thank you")
    info = alice.api.model_info(repo)
    assert info.sha == commit
    assert info.card_data.license == "mit" and "moss" in info.tags  # what the hub knows of main has followed
    assert repo in [found.id for found in alice.api.list_models(author=alice.name, filter="moss")]


def test_pull_requests_are_listed_with_their_status(alice, bob, repo):
    first, commit = propose(bob, repo, message="the first")
    second, _ = propose(alice, repo, message="the second")
    alice.api.merge_pull_request(repo, first)
    listed = {d.num: d for d in alice.api.get_repo_discussions(repo)}
    assert [(listed[n].title, listed[n].author, listed[n].status, listed[n].is_pull_request) for n in (first, second)] == [
        ("the first", "bob", "merged", True), ("the second", "alice", "open", True)]
    assert [d.num for d in alice.api.get_repo_discussions(repo, author="bob")] == [first]
    assert [d.num for d in alice.api.get_repo_discussions(repo, author="nobody-of-that-name")] == []
    assert [d.num for d in alice.api.get_repo_discussions(repo, discussion_status="open")] == [second]
    assert [d.num for d in alice.api.get_repo_discussions(repo, discussion_status="closed")] == [first]
    assert [d.num for d in alice.api.get_repo_discussions(repo, discussion_type="discussion")] == []
    details = alice.api.get_discussion_details(repo, first)
    assert (details.status, details.target_branch, details.merge_commit_oid) == ("merged", "refs/heads/main", commit)


def test_lists_of_pull_requests_have_pages(alice, repo):
    for i in range(53):
        propose(alice, repo, {"a": b"%d" % i})
    assert [d.num for d in alice.api.get_repo_discussions(repo)] == list(range(53, 0, -1))
    assert alice.http.get(f"/api/models/{repo}/discussions", params={"p": "x"}).status_code == 400


def test_a_merge_needs_the_right_to_write(alice, bob, repo):
    number, _ = propose(bob, repo)
    assert "You may not write" in refused(lambda: bob.api.merge_pull_request(repo, number))
    alice.api.merge_pull_request(repo, number)


def test_a_pull_request_that_main_has_left_behind_is_made_anew(alice, repo):
    late, _ = propose(alice, repo)
    alice.commit_files(repo, {"other": b"1"})
    before = alice.head(repo)
    assert "open another" in refused(lambda: alice.api.merge_pull_request(repo, late), 409)
    assert alice.head(repo) == before


def test_a_pull_request_is_merged_once(alice, repo):
    number, _ = propose(alice, repo)
    alice.api.merge_pull_request(repo, number)
    assert "merged already" in refused(lambda: alice.api.merge_pull_request(repo, number), 409)
    assert alice.http.post(f"/api/models/{repo}/discussions/99/merge").status_code == 404
    assert alice.http.post(f"/api/models/{repo}/discussions/x/merge").status_code == 400


def test_a_pull_request_is_merged_into_the_branch_that_it_was_made_for(alice, repo):
    alice.api.create_branch(repo, branch="dev")
    number, commit = propose(alice, repo, revision="dev")
    main = alice.head(repo)
    alice.api.merge_pull_request(repo, number)
    assert alice.head(repo, revision="dev") == commit and alice.head(repo) == main
