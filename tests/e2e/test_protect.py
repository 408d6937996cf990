# SPDX-License-Identifier: GPL-3.0-or-later
"""Protected branches, as people meet them through the stock client."""

import re

import pytest
from huggingface_hub.utils import HfHubHTTPError

from support import ROOT, new_name


@pytest.fixture(scope="module")
def people(hub):
    """An organisation: its administrator, three who write, one who reads."""
    class People:
        pass
    people = People()
    for name in ("chair", "wren", "xena", "yara", "zoe"):
        setattr(people, name, hub.person(f"{name}-p"))
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
