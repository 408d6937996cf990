# SPDX-License-Identifier: GPL-3.0-or-later
"""The stock JavaScript client, with the fetch that Node.js brings."""

import base64
import os

import pytest

import javascript
from javascript import Refused
from support import new_name, sha256

MIB = 1 << 20


@pytest.fixture
def js(alice):
    def call(function, /, person=alice, **params):
        return javascript.call(person, function, **params)

    return call


def content(data):
    return {"base64": base64.b64encode(data).decode()}


def decoded(result):
    return base64.b64decode(result["base64"])


def test_a_repo_is_made_and_deleted(js, alice, hub):
    name = f"alice/{new_name('js')}"
    made = js("createRepo", repo=name, private=True)
    assert made["repoUrl"] == f"{hub.url}/{name}" and len(made["id"]) == 24
    assert alice.api.repo_info(name).private is True
    js("deleteRepo", repo=name)
    assert js("repoExists", repo=name) is False


@pytest.mark.parametrize("kind", ["", "datasets/", "spaces/"])
def test_files_go_up_and_come_down(js, kind):
    repo = f"{kind}alice/{new_name('js')}"
    js("createRepo", repo=repo)
    files = {"notes.txt": "grüße".encode(), "w.bin": os.urandom(50_000), "deep/er/a b%c.txt": b"odd", "empty.txt": b""}
    done = js("uploadFiles", repo=repo, useXet=False, files=[{"path": path, "content": content(data)} for path, data in files.items()])
    assert len(done["commit"]["oid"]) == 40
    listed = {entry["path"]: entry for entry in js("listFiles", repo=repo, recursive=True)}
    assert set(files) <= set(listed) and listed["deep/er"]["type"] == "directory"
    assert listed["w.bin"]["lfs"]["oid"] == sha256(files["w.bin"])
    for path in "notes.txt", "w.bin":
        assert decoded(js("downloadFile", repo=repo, path=path)) == files[path]


def test_the_client_falls_back_by_itself_where_there_is_no_xet(js, alice, repo):
    data = os.urandom(70_000)
    assert alice.http.put(f"/api/models/{repo}/settings", json={"xetEnabled": False}).is_success
    js("uploadFile", repo=repo, file={"path": "w.bin", "content": content(data)})
    assert decoded(js("downloadFile", repo=repo, path="w.bin")) == data


def test_the_download_info_is_asked_by_one_byte(js, alice, repo):
    data = os.urandom(70_000)
    alice.commit_files(repo, {"w.bin": data, "a.txt": b"text"})
    info = js("fileDownloadInfo", repo=repo, path="w.bin")
    assert (info["size"], info["etag"].strip('"')) == (len(data), sha256(data))
    assert js("fileDownloadInfo", repo=repo, path="w.bin", raw=True)["size"] < 200
    assert js("fileDownloadInfo", repo=repo, path="missing.txt") is None
    assert js("fileExists", repo=repo, path="a.txt") is True and js("fileExists", repo=repo, path="b.txt") is False


def test_files_are_deleted(js, alice, repo):
    alice.commit_files(repo, {"a.txt": b"1", "b/c.txt": b"2", "keep.txt": b"3"})
    js("commit", repo=repo, title="tidy", operations=[{"operation": "delete", "path": "a.txt"}, {"operation": "delete", "path": "b"}])
    assert alice.files(repo) == [".gitattributes", "keep.txt"]
    assert alice.titles(repo)[0] == "tidy"


def test_the_same_commit_again_is_fine(js, repo):
    for _ in range(2):
        js("uploadFile", repo=repo, useXet=False, file={"path": "a.txt", "content": content(b"same")})


def test_a_pull_request_is_opened(js, alice, hub, repo):
    done = js("uploadFile", repo=repo, useXet=False, isPullRequest=True, file={"path": "w.bin", "content": content(b"\0pr" * 999)})
    assert done["pullRequestUrl"] == f"{hub.url}/{repo}/discussions/1"
    assert "w.bin" in [entry["path"] for entry in js("listFiles", repo=repo, revision="refs/pr/1")]
    assert "w.bin" not in alice.files(repo)


def test_a_big_file_goes_up_in_parallel_parts(js, alice, repo, tmp_path):
    data = os.urandom(MIB) * 130
    (tmp_path / "big").write_bytes(data)
    js("uploadFile", repo=repo, useXet=False, file={"path": "big.bin", "content": {"file": str(tmp_path / "big")}})
    assert sha256(alice.read(repo, "big.bin")) == sha256(data)


def test_repos_commits_and_branches_are_listed(js, alice, repo):
    alice.commit_files(repo, {"a.txt": b"a"}, message="second")
    assert js("countCommits", repo=repo) == 2
    assert [commit["title"] for commit in js("listCommits", repo=repo, batchSize=1)] == ["second", "initial commit"]
    js("createBranch", repo=repo, branch="dev")
    assert js("modelInfo", name=repo)["name"] == repo
    assert js("modelInfo", name=repo, additionalFields=["sha"])["sha"] == alice.head(repo)
    assert repo in [model["name"] for model in js("listModels", search={"owner": "alice", "query": repo.split("/")[1]})]
    js("deleteBranch", repo=repo, branch="dev")
    [found] = js("pathsInfo", repo=repo, paths=["a.txt", "none"], expand=True)
    assert found["lastCommit"]["title"] == "second"


def test_a_whole_repo_comes_down(js, alice, repo, tmp_path):
    data = os.urandom(40_000)
    alice.commit_files(repo, {"a/b.txt": b"text", "w.bin": data})
    folder = js("snapshotDownload", repo=repo, cacheDir=str(tmp_path))
    assert open(f"{folder}/w.bin", "rb").read() == data and open(f"{folder}/a/b.txt", "rb").read() == b"text"


def test_who_am_i(js):
    assert js("whoAmI")["name"] == "alice"


def test_refusals_carry_status_and_words(js, bob, anyone, alice):
    hidden = alice.new_repo(private=True)
    with pytest.raises(Refused, match="Repository not found") as refused:
        js("checkRepoAccess", person=bob, repo=hidden)
    assert refused.value.status == 404
    with pytest.raises(Refused) as refused:
        js("uploadFile", person=bob, repo=alice.new_repo(), useXet=False, file={"path": "a", "content": content(b"a")})
    assert refused.value.status == 403
