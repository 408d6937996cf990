# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes: every operation, in every mixture that clients send."""

import pytest
from huggingface_hub import CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError

from support import add, git_blob_id, new_name, pointer_of, sha256

BINARY = b"\0weights" * 500
AWFUL = ["with space.txt", "question?.txt", "per%cent.txt", "comma,.txt", "colon:.txt", "semi;.txt", "hash#.txt", "plus+.txt",
         "amp&=.txt", "quote'\".txt", "pipe|.txt", "tilde~.txt", "ünïcødé/石头.txt", "[brackets].txt", "{braces}.txt", "-dash",
         "a/.hidden", "%2e%2e.txt", "%2F.txt", "emoji🪨.txt", "@at.txt", "deep/" * 20 + "leaf", "x" * 200]


def test_files_are_added_changed_and_deleted(alice, repo):
    alice.commit_files(repo, {"a.txt": b"1", "b.txt": b"2"})
    alice.commit(repo, add("a.txt", b"changed"), CommitOperationDelete("b.txt"), add("c.txt", b"3"))
    assert alice.files(repo) == [".gitattributes", "a.txt", "c.txt"]
    assert alice.read(repo, "a.txt") == b"changed"


def test_the_answer_names_the_commit(alice, hub, repo):
    info = alice.commit_files(repo, {"a.txt": b"1"}, message="title", commit_description="why")
    assert info.oid == alice.head(repo)
    assert info.commit_url == f"{hub.url}/{repo}/commit/{info.oid}"
    assert info.repo_url.repo_id == repo


@pytest.mark.parametrize("path", AWFUL)
def test_awful_names_go_up_and_come_down(alice, repo, tmp_path, path):
    alice.commit_files(repo, {path: path.encode()})
    assert path in alice.files(repo)
    local = alice.api.hf_hub_download(repo, path, local_dir=tmp_path)
    assert open(local, "rb").read() == path.encode()
    assert [entry.path for entry in alice.api.get_paths_info(repo, [path])] == [path]


def test_binary_files_become_pointers_in_git(alice, repo):
    alice.commit_files(repo, {"weights.bin": BINARY, "empty.bin": b""})
    assert alice.read(repo, "weights.bin") == BINARY
    assert alice.http.get(f"/{repo}/raw/main/weights.bin").content == pointer_of(BINARY)
    assert alice.read(repo, "empty.bin") == b""


def test_a_large_text_is_kept_outside_git_and_a_smaller_one_inside(alice, repo):
    large, small = b"stone " * (2 << 20), b"stone " * (1 << 20)
    alice.commit_files(repo, {"large.text": large, "small.text": small})
    files = {entry.path: entry for entry in alice.api.list_repo_tree(repo)}
    assert files["large.text"].lfs and not files["small.text"].lfs
    assert alice.read(repo, "large.text") == large and alice.read(repo, "small.text") == small


def test_attributes_decide_what_is_large(alice, repo):
    alice.commit_files(repo, {".gitattributes": b"*.png filter=lfs diff=lfs merge=lfs -text\n"})
    alice.commit_files(repo, {"tiny.png": b"not even binary", "test.lfs.txt": b"text"})
    files = {entry.path: entry for entry in alice.api.list_repo_tree(repo)}
    assert files["tiny.png"].lfs and not files["test.lfs.txt"].lfs


def test_a_large_file_without_a_rule_gets_one(alice, repo):
    alice.commit_files(repo, {".gitattributes": b"*.txt text\n"})
    alice.commit_files(repo, {"odd.name": BINARY})
    rules = alice.read(repo, ".gitattributes").decode()
    assert rules.startswith("*.txt text\n") and "odd.name filter=lfs diff=lfs merge=lfs -text" in rules


def test_without_the_attributes_large_files_stay_large(alice, repo):
    alice.commit_files(repo, {"weights.bin": BINARY})
    alice.commit(repo, CommitOperationDelete(".gitattributes"))
    [entry] = alice.api.list_repo_tree(repo)
    assert entry.lfs.sha256 == sha256(BINARY)
    assert alice.read(repo, "weights.bin") == BINARY


def test_a_folder_is_deleted_with_all_below_it(alice, repo):
    alice.commit_files(repo, {"a/b/c.txt": b"1", "a/d.txt": b"2", "ab.txt": b"3"})
    alice.commit(repo, CommitOperationDelete("a/"))
    assert alice.files(repo) == [".gitattributes", "ab.txt"]


def test_a_folder_may_be_deleted_as_if_it_were_a_file(alice, repo):
    alice.commit_files(repo, {"a/b.txt": b"1"})
    alice.commit(repo, CommitOperationDelete("a", is_folder=False))
    assert alice.files(repo) == [".gitattributes"]


@pytest.mark.parametrize("path", ["missing.txt", "missing/"])
def test_deleting_what_is_not_there_is_an_error(alice, repo, path):
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        alice.commit(repo, CommitOperationDelete(path), add("b.txt", b"2"))
    assert alice.files(repo) == [".gitattributes"]


def test_a_path_may_be_deleted_and_written_in_one_commit(alice, repo):
    alice.commit_files(repo, {"a/x.txt": b"same", "a/y.txt": b"old", "f": b"file"})
    alice.commit(repo, CommitOperationDelete("a/"), add("a/x.txt", b"same"), CommitOperationDelete("f"), add("f/g.txt", b"now a folder"))
    assert alice.files(repo) == [".gitattributes", "a/x.txt", "f/g.txt"]
    assert alice.read(repo, "a/x.txt") == b"same"


def test_files_are_copied_small_and_large(alice, repo):
    alice.commit_files(repo, {"a.txt": b"text", "w.bin": BINARY})
    alice.commit(repo, CommitOperationCopy("a.txt", "copy/a.txt"), CommitOperationCopy("w.bin", "copy/w.bin"))
    assert alice.read(repo, "copy/a.txt") == b"text" and alice.read(repo, "copy/w.bin") == BINARY


def test_copies_may_come_from_older_commits_and_become_renames(alice, repo):
    old = alice.commit_files(repo, {"w.bin": BINARY}).oid
    alice.commit_files(repo, {"w.bin": b"\0new" * 800})
    alice.commit(repo, CommitOperationCopy("w.bin", "w-old.bin", src_revision=old))
    alice.commit(repo, CommitOperationCopy("w.bin", "w-new.bin"), CommitOperationDelete("w.bin"))
    assert alice.files(repo) == [".gitattributes", "w-new.bin", "w-old.bin"]
    assert alice.read(repo, "w-old.bin") == BINARY and alice.read(repo, "w-new.bin") == b"\0new" * 800


def test_a_stale_parent_is_refused(alice, repo):
    first = alice.head(repo)
    alice.commit_files(repo, {"a.txt": b"1"}, parent_commit=first)
    with pytest.raises(HfHubHTTPError, match="The branch was updated since you opened this page. Please refresh and try again") as refused:
        alice.commit_files(repo, {"a.txt": b"2"}, parent_commit=first)
    assert refused.value.response.status_code == 412
    alice.commit_files(repo, {"a.txt": b"3"}, parent_commit=alice.head(repo)[:7])
    assert alice.read(repo, "a.txt") == b"3"


def test_a_pull_request_is_a_ref_that_takes_commits(alice, hub, repo):
    info = alice.commit_files(repo, {"proposal.txt": b"please"}, create_pr=True)
    assert (info.pr_num, info.pr_revision) == (1, "refs/pr/1")
    assert info.pr_url == f"{hub.url}/{repo}/discussions/1"
    assert "proposal.txt" not in alice.files(repo)
    alice.commit_files(repo, {"more.txt": b"more"}, revision="refs/pr/1")
    assert {"proposal.txt", "more.txt"} <= set(alice.files(repo, revision="refs/pr/1"))
    assert alice.http.get(f"/{repo}/resolve/refs/pr/1/more.txt").content == b"more"
    assert alice.http.get(f"/{repo}/resolve/refs%2Fpr%2F1/more.txt").content == b"more"
    assert alice.commit_files(repo, {"other.txt": b"x"}, create_pr=True).pr_num == 2


def test_a_pull_request_starts_from_the_commit_that_it_names(alice, repo):
    old = alice.commit_files(repo, {"a.txt": b"1"}).oid
    alice.commit_files(repo, {"later.txt": b"2"})
    info = alice.commit_files(repo, {"b.txt": b"3"}, create_pr=True, parent_commit=old)
    assert alice.files(repo, revision=info.pr_revision) == [".gitattributes", "a.txt", "b.txt"]


def test_a_reader_may_propose_large_files_but_not_commit(bob, alice, repo):
    with pytest.raises(HfHubHTTPError):
        bob.commit_files(repo, {"a.txt": b"1"})
    info = bob.commit_files(repo, {"a.txt": b"1", "w.bin": BINARY}, create_pr=True)
    assert alice.http.get(f"/{repo}/resolve/refs%2Fpr%2F1/w.bin").content == BINARY
    assert alice.api.list_repo_commits(repo, revision=info.pr_revision)[0].authors == ["bob"]


def test_a_pull_request_needs_a_branch(alice, repo):
    for revision in alice.head(repo), "never-was":
        with pytest.raises(RevisionNotFoundError):
            alice.commit_files(repo, {"a.txt": b"1"}, create_pr=True, revision=revision)


def test_a_commit_goes_to_a_branch_only(alice, repo):
    alice.api.create_tag(repo, tag="v1")
    for revision in "v1", alice.head(repo), "never-was":
        with pytest.raises(HfHubHTTPError):
            alice.commit_files(repo, {"a.txt": b"1"}, revision=revision)


def test_committing_the_same_again_makes_no_commit(alice, repo):
    first = alice.commit_files(repo, {"a.txt": b"1", "w.bin": BINARY})
    again = alice.commit_files(repo, {"a.txt": b"1", "w.bin": BINARY})
    assert again.oid == first.oid == alice.head(repo)


def test_a_commit_sent_twice_is_one(alice, repo):
    line = ("file", {"path": "a.txt", "content": "YQ==", "encoding": "base64"})
    first, second = alice.commit_lines(repo, line), alice.commit_lines(repo, line)
    assert first.json()["commitOid"] == second.json()["commitOid"]
    assert len(alice.titles(repo)) == 2


def test_unchanged_files_are_known_before_upload(alice, repo):
    alice.commit_files(repo, {"a.txt": b"1", "w.bin": BINARY})
    files = [{"path": path, "size": 1, "sample": ""} for path in ("a.txt", "w.bin", "new.txt")]
    answer = alice.http.post(f"/api/models/{repo}/preupload/main", json={"files": files}).json()
    assert answer["commitOid"] == alice.head(repo)
    known = {file["path"]: file.get("oid") for file in answer["files"]}
    assert known == {"a.txt": git_blob_id(b"1"), "w.bin": sha256(BINARY), "new.txt": None}
    assert all(file["shouldIgnore"] is False for file in answer["files"])


def test_an_empty_file_is_never_large(alice, repo):
    files = [{"path": "empty.bin", "size": 0, "sample": ""}]
    answer = alice.http.post(f"/api/models/{repo}/preupload/main", json={"files": files}).json()
    assert answer["files"][0]["uploadMode"] == "regular"


def test_ignored_files_stay_behind(alice, repo):
    alice.commit_files(repo, {".gitignore": b"*.log\n!keep.log\nbuild/\n/top.txt\n"})
    alice.commit_files(repo, {"a.log": b"1", "keep.log": b"2", "build/x.txt": b"3", "top.txt": b"4", "sub/top.txt": b"5"})
    assert alice.files(repo) == [".gitattributes", ".gitignore", "keep.log", "sub/top.txt"]


def test_the_gitignore_of_the_same_commit_counts(alice, repo):
    alice.commit_files(repo, {".gitignore": b"*.tmp\n", "a.tmp": b"1", "b.txt": b"2"})
    assert alice.files(repo) == [".gitattributes", ".gitignore", "b.txt"]


def test_the_gitattributes_of_the_same_commit_count(alice, repo):
    body = {"files": [{"path": "a.odd", "size": 4, "sample": "dGV4dA=="}], "gitAttributes": "*.odd filter=lfs -text\n"}
    answer = alice.http.post(f"/api/models/{repo}/preupload/main", json=body).json()
    assert answer["files"][0]["uploadMode"] == "lfs"


def test_text_may_travel_as_text_and_a_file_may_be_renamed(alice, repo):
    alice.commit_files(repo, {"old.txt": b"x"})
    answer = alice.commit_lines(
        repo, ("file", {"path": "new.txt", "oldPath": "old.txt", "content": "grüße", "encoding": "utf-8"}), header={"summary": "s"})
    assert answer.status_code == 200
    assert alice.files(repo) == [".gitattributes", "new.txt"]
    assert alice.read(repo, "new.txt").decode() == "grüße"


def test_the_last_line_needs_no_newline(alice, repo):
    body = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"a","content":"YQ==","encoding":"base64"}}'
    answer = alice.http.post(f"/api/models/{repo}/commit/main", content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200 and alice.read(repo, "a") == b"a"


def test_a_pointer_written_by_hand_must_name_what_the_repo_holds(alice, bob, repo):
    secret = alice.new_repo(private=True)
    alice.commit_files(secret, {"w.bin": BINARY + b"secret"})
    thief = bob.new_repo()
    content = pointer_of(BINARY + b"secret").decode()
    stolen = bob.commit_lines(thief, ("file", {"path": "w.bin", "content": content, "encoding": "utf-8"}))
    assert 400 <= stolen.status_code < 500
    assert bob.files(thief) == [".gitattributes"]


def test_twelve_large_texts_fit_in_one_commit(alice, repo):
    files = {f"text-{number}.text": (b"%04d\n" % number) * (9 * 2**20 // 5) for number in range(12)}
    alice.commit_files(repo, files)
    for path in "text-0.text", "text-11.text":
        assert sha256(alice.read(repo, path)) == sha256(files[path])
    assert not any(entry.lfs for entry in alice.api.list_repo_tree(repo))


def test_a_folder_of_1300_files_goes_up_in_one_commit(alice, repo, tmp_path):
    for number in range(1300):
        path = tmp_path / f"shard-{number % 13}" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number))
    alice.api.upload_folder(repo_id=repo, folder_path=tmp_path)
    assert len(alice.files(repo)) == 1301
    assert len(alice.titles(repo)) == 2
    assert alice.read(repo, "shard-12/1299.txt") == b"1299"


def test_a_folder_upload_may_delete_what_is_no_longer_there(alice, repo, tmp_path):
    alice.commit_files(repo, {"old/a.txt": b"1", "old/b.bin": BINARY, "keep.md": b"2"})
    (tmp_path / "new.txt").write_text("new")
    alice.api.upload_folder(repo_id=repo, folder_path=tmp_path, delete_patterns="old/*")
    assert alice.files(repo) == [".gitattributes", "keep.md", "new.txt"]


def test_files_are_deleted_by_pattern(alice, repo):
    alice.commit_files(repo, {"a.txt": b"1", "b.txt": b"2", "c.md": b"3"})
    alice.hf("repos", "delete-files", repo, "*.txt")
    assert alice.files(repo) == [".gitattributes", "c.md"]


def test_several_commits_in_flight_land_one_after_the_other(alice, repo):
    """What older clients' large-folder upload does: many workers, one branch, no parent named."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda number: alice.commit_files(repo, {f"{number}.bin": bytes([0, number]) * 700}), range(24)))
    assert len(alice.files(repo)) == 25
    assert len(alice.titles(repo)) == 25


def test_git_sees_the_same_history(alice, repo):
    """Each commit names its parent: the chain of ids that the hub lists is unbroken and stable."""
    ids = [alice.head(repo)] + [alice.commit_files(repo, {f"{new_name()}.txt": b"x"}).oid for _ in range(5)]
    assert [commit.commit_id for commit in alice.api.list_repo_commits(repo)] == ids[::-1]
    for commit in ids:
        assert alice.head(repo, revision=commit) == commit
