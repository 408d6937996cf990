# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches, tags, squashing; the sentences are those that clients look for."""

import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RevisionNotFoundError

from support import new_name


def branches(alice, repo):
    return sorted(ref.name for ref in alice.api.list_repo_refs(repo).branches)


def tags(alice, repo):
    return sorted(ref.name for ref in alice.api.list_repo_refs(repo).tags)


def test_a_branch_starts_where_main_is(alice, repo):
    alice.commit_files(repo, {"a.txt": b"a"})
    alice.api.create_branch(repo, branch="dev")
    assert branches(alice, repo) == ["dev", "main"]
    assert alice.head(repo, revision="dev") == alice.head(repo)


def test_a_branch_may_start_anywhere(alice, repo):
    first = alice.head(repo)
    alice.commit_files(repo, {"a.txt": b"a"})
    alice.api.create_tag(repo, tag="v1")
    alice.api.create_branch(repo, branch="from-commit", revision=first)
    alice.api.create_branch(repo, branch="from-short", revision=first[:7])
    alice.api.create_branch(repo, branch="from-tag", revision="v1")
    assert alice.head(repo, revision="from-commit") == alice.head(repo, revision="from-short") == first
    assert alice.head(repo, revision="from-tag") == alice.head(repo)


@pytest.mark.parametrize("name", ["feature/x", "50%", "ünïcode", "a.b", "v1.0", "a#b", "a+b&c=d"])
def test_unusual_branch_names_work_everywhere(alice, repo, name):
    alice.api.create_branch(repo, branch=name)
    alice.commit_files(repo, {"only-here.txt": b"here"}, revision=name)
    assert "only-here.txt" in alice.files(repo, revision=name)
    assert "only-here.txt" not in alice.files(repo)
    alice.api.delete_branch(repo, branch=name)
    assert branches(alice, repo) == ["main"]


@pytest.mark.parametrize("name", ["a..b", "a b", "-a~1", "x.lock", "a^b", "a:b", "a//b", ".a", "a/", "@{x", "a\\b", "refs/heads/x"])
def test_names_that_git_forbids_are_refused(alice, repo, name):
    with pytest.raises(HfHubHTTPError, match="Invalid reference for a branch"):
        alice.api.create_branch(repo, branch=name)
    assert branches(alice, repo) == ["main"]


def test_an_existing_branch_is_a_conflict(alice, repo):
    alice.api.create_branch(repo, branch="dev")
    with pytest.raises(HfHubHTTPError, match="Reference refs/heads/dev already exists") as refused:
        alice.api.create_branch(repo, branch="dev")
    assert refused.value.response.status_code == 409
    alice.api.create_branch(repo, branch="dev", exist_ok=True)


def test_a_branch_cannot_start_nowhere(alice, repo):
    with pytest.raises(RevisionNotFoundError):
        alice.api.create_branch(repo, branch="dev", revision="no-such-thing")


def test_an_existing_branch_can_be_moved_when_asked_for(alice, repo):
    first = alice.head(repo)
    alice.commit_files(repo, {"a.txt": b"a"})
    alice.api.create_branch(repo, branch="dev")
    moved = alice.http.post(f"/api/models/{repo}/branch/dev", json={"startingPoint": first, "overwrite": True})
    assert moved.is_success
    assert alice.head(repo, revision="dev") == first


def test_a_branch_can_start_empty(alice, repo):
    alice.commit_files(repo, {"a.txt": b"a"})
    assert alice.http.post(f"/api/models/{repo}/branch/empty", json={"emptyBranch": True}).is_success
    assert alice.files(repo, revision="empty") == []


def test_main_cannot_be_deleted(alice, repo):
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        alice.api.delete_branch(repo, branch="main")


def test_a_missing_branch_cannot_be_deleted(alice, repo):
    with pytest.raises(HfHubHTTPError, match="Invalid rev id"):
        alice.api.delete_branch(repo, branch="never-was")


def test_a_tag_is_not_deleted_as_a_branch(alice, repo):
    alice.api.create_tag(repo, tag="v1")
    with pytest.raises(HfHubHTTPError, match="Invalid rev id"):
        alice.api.delete_branch(repo, branch="v1")
    assert tags(alice, repo) == ["v1"]


def test_tags_point_to_commits_with_and_without_a_message(alice, repo):
    first = alice.head(repo)
    second = alice.commit_files(repo, {"a.txt": b"a"}).oid
    alice.api.create_tag(repo, tag="light")
    alice.api.create_tag(repo, tag="annotated", tag_message="A message", revision=first[:7])
    targets = {ref.name: ref.target_commit for ref in alice.api.list_repo_refs(repo).tags}
    assert targets == {"light": second, "annotated": first}
    assert alice.files(repo, revision="annotated") == [".gitattributes"]
    assert alice.head(repo, revision="annotated") == first


def test_an_existing_tag_is_a_conflict(alice, repo):
    alice.api.create_tag(repo, tag="v1")
    with pytest.raises(HfHubHTTPError) as refused:
        alice.api.create_tag(repo, tag="v1")
    assert refused.value.response.status_code == 409
    alice.api.create_tag(repo, tag="v1", exist_ok=True)


def test_a_tag_needs_a_commit_and_a_name(alice, repo):
    with pytest.raises(RevisionNotFoundError):
        alice.api.create_tag(repo, tag="v1", revision="no-such-thing")
    with pytest.raises(BadRequestError):
        alice.api.create_tag(repo, tag="invalid tag")
    assert tags(alice, repo) == []


def test_tags_are_deleted_by_name_and_branches_are_not(alice, repo):
    alice.api.create_branch(repo, branch="dev")
    alice.api.create_tag(repo, tag="v1")
    alice.api.delete_tag(repo, tag="v1")
    assert tags(alice, repo) == []
    with pytest.raises(RevisionNotFoundError):
        alice.api.delete_tag(repo, tag="v1")
    with pytest.raises(HfHubHTTPError):
        alice.api.delete_tag(repo, tag="dev")
    assert branches(alice, repo) == ["dev", "main"]


def test_a_tag_and_a_branch_may_share_a_name(alice, repo):
    first = alice.head(repo)
    alice.api.create_tag(repo, tag="same")
    alice.commit_files(repo, {"a.txt": b"a"})
    alice.api.create_branch(repo, branch="same")
    assert {ref.name: ref.target_commit for ref in alice.api.list_repo_refs(repo).tags} == {"same": first}
    alice.api.delete_branch(repo, branch="same")
    assert alice.head(repo, revision="same") == first


def test_squashing_leaves_one_commit_with_the_same_files(alice, repo):
    for number in range(4):
        alice.commit_files(repo, {f"{number}.txt": b"%d" % number, "w.bin": bytes([0, number]) * 999})
    files, old = alice.files(repo), alice.head(repo)
    alice.api.create_branch(repo, branch="kept")
    alice.api.super_squash_history(repo, commit_message="all in one")
    assert alice.titles(repo) == ["all in one"]
    assert alice.files(repo) == files
    assert alice.read(repo, "w.bin") == b"\0\3" * 999
    assert alice.head(repo, revision="kept") == old and len(alice.titles(repo, revision="kept")) == 5


def test_squashing_needs_a_branch(alice, repo):
    alice.api.create_tag(repo, tag="v1")
    for revision in "v1", alice.head(repo), "never-was":
        with pytest.raises(HfHubHTTPError):
            alice.api.super_squash_history(repo, branch=revision)


def test_commits_go_on_after_squashing(alice, repo):
    alice.api.super_squash_history(repo)
    alice.commit_files(repo, {"after.txt": b"after"}, message="after")
    assert len(alice.titles(repo)) == 2


def test_strangers_touch_neither_branches_nor_tags(alice, bob, anyone, reader, repo):
    base = f"/api/models/{repo}"
    alice.api.create_branch(repo, branch="dev")
    alice.api.create_tag(repo, tag="v1")
    for stranger, status in (bob, 403), (reader, 403), (anyone, 401):
        assert stranger.http.post(f"{base}/branch/{new_name()}", json={}).status_code == status
        assert stranger.http.delete(f"{base}/branch/dev").status_code == status
        assert stranger.http.post(f"{base}/tag/main", json={"tag": new_name()}).status_code == status
        assert stranger.http.delete(f"{base}/tag/v1").status_code == status
        assert stranger.http.post(f"{base}/super-squash/main", json={"message": "x"}).status_code == status
    assert branches(alice, repo) == ["dev", "main"] and tags(alice, repo) == ["v1"]


def test_a_read_key_reads_but_does_not_write(reader, repo):
    assert reader.files(repo) == [".gitattributes"]
    with pytest.raises(HfHubHTTPError):
        reader.commit_files(repo, {"a.txt": b"a"})
