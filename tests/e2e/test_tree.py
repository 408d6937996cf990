# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders, single paths, history."""

import pytest
from huggingface_hub import CommitOperationCopy, CommitOperationDelete, RepoFile, RepoFolder
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

from support import add, git_blob_id, pointer_of, sha256

BINARY = b"\0weights" * 500


@pytest.fixture(scope="module")
def grove(alice):
    """A small tree whose paths changed in different commits."""
    repo = alice.new_repo("grove")
    alice.commit_files(repo, {"a.txt": b"a", "lib/one.txt": b"1", "lib/deep/two.txt": b"2"}, message="plant")
    alice.commit_files(repo, {"lib/weights.bin": BINARY}, message="weigh")
    alice.commit_files(repo, {"lib/deep/two.txt": b"two"}, message="deepen")
    alice.commit(repo, CommitOperationCopy("a.txt", "copies/a.txt"), CommitOperationCopy("lib/weights.bin", "copies/w.bin"),
                 message="copy")
    alice.commit(repo, CommitOperationDelete("lib/one.txt"), add("top.txt", b"top"), message="prune")
    return repo


def listed(alice, repo, *where, **how):
    return {entry.path: entry for entry in alice.api.list_repo_tree(repo, *where, **how)}


def test_a_folder_lists_what_is_in_it(alice, grove):
    top = listed(alice, grove)
    assert set(top) == {".gitattributes", "a.txt", "copies", "lib", "top.txt"}
    assert isinstance(top["lib"], RepoFolder) and isinstance(top["a.txt"], RepoFile)
    assert set(listed(alice, grove, "lib")) == {"lib/deep", "lib/weights.bin"}


def test_a_recursive_list_includes_folders(alice, grove):
    assert set(listed(alice, grove, recursive=True)) == {
        ".gitattributes", "a.txt", "top.txt", "copies", "copies/a.txt", "copies/w.bin", "lib", "lib/deep", "lib/deep/two.txt",
        "lib/weights.bin"}
    assert set(listed(alice, grove, "lib", recursive=True)) == {"lib/deep", "lib/deep/two.txt", "lib/weights.bin"}


def test_small_and_large_files_carry_their_hashes(alice, grove):
    files = listed(alice, grove, recursive=True)
    small, large = files["lib/deep/two.txt"], files["lib/weights.bin"]
    assert (small.size, small.blob_id, small.lfs) == (3, git_blob_id(b"two"), None)
    assert (large.size, large.lfs.sha256) == (len(BINARY), sha256(BINARY))
    assert large.blob_id == git_blob_id(pointer_of(BINARY))
    assert large.lfs.pointer_size == len(pointer_of(BINARY))


def test_every_path_knows_its_last_commit(alice, grove):
    titles = {path: entry.last_commit.title for path, entry in listed(alice, grove, recursive=True, expand=True).items()}
    weighed = titles.pop(".gitattributes")
    assert weighed in ("initial commit", "weigh")
    assert titles == {
        "a.txt": "plant", "top.txt": "prune", "copies": "copy", "copies/a.txt": "copy", "copies/w.bin": "copy", "lib": "prune",
        "lib/deep": "deepen", "lib/deep/two.txt": "deepen", "lib/weights.bin": "weigh"}


def test_the_last_commit_is_that_of_the_revision(alice, grove):
    commits = {commit.title: commit.commit_id for commit in alice.api.list_repo_commits(grove)}
    old = listed(alice, grove, "lib", recursive=True, expand=True, revision=commits["weigh"])
    assert {path: entry.last_commit.title for path, entry in old.items()} == {
        "lib/deep": "plant", "lib/deep/two.txt": "plant", "lib/one.txt": "plant", "lib/weights.bin": "weigh"}
    assert old["lib/weights.bin"].last_commit.oid == commits["weigh"]


def test_without_expand_there_is_no_last_commit(alice, grove):
    assert all(entry.last_commit is None for entry in listed(alice, grove).values())


def test_a_missing_folder_and_a_missing_revision_are_told_apart(alice, grove):
    with pytest.raises(EntryNotFoundError):
        list(alice.api.list_repo_tree(grove, "no/such/folder"))
    with pytest.raises(RevisionNotFoundError):
        list(alice.api.list_repo_tree(grove, revision="no-such-branch"))


def test_a_folder_may_be_asked_for_with_real_or_quoted_slashes(alice, grove):
    plain = alice.http.get(f"/api/models/{grove}/tree/main/lib/deep?recursive=false&expand=false").json()
    quoted = alice.http.get(f"/api/models/{grove}/tree/main/lib%2Fdeep?recursive=false&expand=false").json()
    assert plain == quoted and [entry["path"] for entry in plain] == ["lib/deep/two.txt"]


def test_paths_are_looked_up_one_by_one(alice, grove):
    found = {entry.path: entry for entry in alice.api.get_paths_info(
        grove, ["a.txt", "lib", "lib/weights.bin", "missing.txt"], expand=True)}
    assert set(found) == {"a.txt", "lib", "lib/weights.bin"}
    assert isinstance(found["lib"], RepoFolder)
    assert found["lib/weights.bin"].lfs.sha256 == sha256(BINARY)
    assert {path: entry.last_commit.title for path, entry in found.items()} == {
        "a.txt": "plant", "lib": "prune", "lib/weights.bin": "weigh"}


def test_paths_may_be_asked_for_in_json(alice, grove):
    answer = alice.http.post(f"/api/models/{grove}/paths-info/main", json={"paths": ["a.txt", "nothing"], "expand": False})
    assert [entry["path"] for entry in answer.json()] == ["a.txt"]


def test_too_many_paths_are_refused(alice, grove):
    many = alice.http.post(f"/api/models/{grove}/paths-info/main", json={"paths": [f"f{n}" for n in range(1001)]})
    assert many.status_code == 413


def test_refs_are_listed_by_kind(alice, repo):
    head = alice.head(repo)
    alice.api.create_branch(repo, branch="dev/next")
    alice.api.create_tag(repo, tag="v1", tag_message="first")
    alice.commit_files(repo, {"a.txt": b"a"}, create_pr=True)
    refs = alice.api.list_repo_refs(repo, include_pull_requests=True)
    assert {(ref.name, ref.ref) for ref in refs.branches} == {("main", "refs/heads/main"), ("dev/next", "refs/heads/dev/next")}
    assert [(ref.name, ref.ref, ref.target_commit) for ref in refs.tags] == [("v1", "refs/tags/v1", head)]
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]
    assert alice.api.list_repo_refs(repo).pull_requests is None


def test_history_is_newest_first(alice, grove):
    commits = alice.api.list_repo_commits(grove)
    assert [commit.title for commit in commits] == ["prune", "copy", "deepen", "weigh", "plant", "initial commit"]
    assert all(commit.authors == ["alice"] for commit in commits)
    assert [commit.created_at for commit in commits] == sorted((commit.created_at for commit in commits), reverse=True)


def test_history_pages_and_tells_its_length(alice, grove):
    first = alice.http.get(f"/api/models/{grove}/commits/main?limit=4")
    assert len(first.json()) == 4 and first.headers["x-total-count"] == "6"
    rest = alice.http.get(first.links["next"]["url"])
    assert len(rest.json()) == 2 and "next" not in rest.links
    third = alice.http.get(f"/api/models/{grove}/commits/main?limit=2&p=1").json()
    assert [commit["title"] for commit in third] == ["deepen", "weigh"]


def test_descriptions_are_kept(alice, repo):
    alice.commit_files(repo, {"a.txt": b"a"}, message="title", commit_description="because\n\nof reasons")
    newest = alice.api.list_repo_commits(repo, formatted=True)[0]
    assert (newest.title, newest.message) == ("title", "because\n\nof reasons")
    assert newest.formatted_title == "title"


@pytest.fixture(scope="module")
def forest(alice):
    """2,500 files in one folder and some beside it."""
    repo = alice.new_repo("forest")
    files = {f"leaves/{number:05}.txt": b"%d" % number for number in range(2500)}
    alice.commit_files(repo, files | {"leaves.txt": b"x", "leaves-2/a.txt": b"y"}, message="grow")
    return repo, files


def test_a_long_folder_comes_in_pages(alice, forest):
    repo, files = forest
    page = alice.http.get(f"/api/models/{repo}/tree/main/leaves?recursive=false&expand=false")
    assert "next" in page.links
    entries = [entry.path for entry in alice.api.list_repo_tree(repo, "leaves")]
    assert entries == sorted(files)


def test_pages_of_the_whole_tree_lose_nothing(alice, forest):
    repo, files = forest
    entries = [entry.path for entry in alice.api.list_repo_tree(repo, recursive=True)]
    assert len(entries) == len(set(entries))
    assert set(entries) == set(files) | {".gitattributes", "leaves", "leaves-2", "leaves-2/a.txt", "leaves.txt"}


def test_a_long_folder_expands(alice, forest):
    repo, files = forest
    entries = list(alice.api.list_repo_tree(repo, "leaves", expand=True))
    assert len(entries) == len(files)
    assert {entry.last_commit.title for entry in entries} == {"grow"}


def test_the_page_size_can_be_asked_for(alice, forest):
    page = alice.http.get(f"/api/models/{forest[0]}/tree/main/leaves?limit=7")
    assert len(page.json()) == 7 and "next" in page.links
