# SPDX-License-Identifier: GPL-3.0-or-later
"""Stock clients with nothing disabled: whatever one uploads, by Xet or not, every other one downloads byte for byte."""

import base64
import os
import random
import re
import shutil
import subprocess
import sys

import httpx
import pytest

import javascript
from support import sha256, until

MIB = 1 << 20


class Clients:
    """Each takes a person, a repo, a file's name in it and a path on disk."""

    def __init__(self, scratch):
        self.scratch = scratch

    # Uploads.

    def up_hf(self, person, repo, name, path):
        person.hf("upload", repo, path, name, HF_HUB_DISABLE_XET=None)

    def up_hf_without_xet(self, person, repo, name, path):
        person.hf("upload", repo, path, name)

    def up_javascript(self, person, repo, name, path, xet=True):
        self.javascript(person, "uploadFiles", repo=repo, useXet=xet, files=[{"path": name, "content": {"file": str(path)}}])

    def up_javascript_without_xet(self, person, repo, name, path):
        self.up_javascript(person, repo, name, path, xet=False)

    # Downloads, which return the bytes.

    def down_hf(self, person, repo, name):
        if not (self.scratch / "hf" / name).exists():  # all that is there at once
            person.hf("download", repo, "--local-dir", self.scratch / "hf", HF_HUB_DISABLE_XET=None, HF_DEBUG="1")
        return (self.scratch / "hf" / name).read_bytes()

    def down_hf_without_xet(self, person, repo, name):
        if not (self.scratch / "plain" / name).exists():
            person.hf("download", repo, "--local-dir", self.scratch / "plain")
        return (self.scratch / "plain" / name).read_bytes()

    def down_javascript(self, person, repo, name, xet=True):
        return base64.b64decode(self.javascript(person, "downloadFile", repo=repo, path=name, xet=xet)["base64"])

    def down_javascript_without_xet(self, person, repo, name):
        return self.down_javascript(person, repo, name, xet=False)

    def down_ranges(self, person, repo, name):
        """curl, in ranges of odd sizes."""
        size = int(person.http.head(f"/{repo}/resolve/main/{name}").headers["x-linked-size"])
        parts = [(at, min(at + 700_001, size) - 1) for at in range(0, size, 700_001)]
        url = f"{person.hub.url}/{repo}/resolve/main/{name}"
        return b"".join(
            subprocess.run(["curl", "-sfL", "-H", f"Authorization: Bearer {person.token}", "-r", f"{first}-{last}", url],
                           check=True, capture_output=True).stdout for first, last in parts)

    def down_git_lfs(self, person, repo, name):
        """A clone whose pointer files git-lfs replaces."""
        clone = self.scratch / "clone"
        listed = person.http.post(f"/api/models/{repo}/paths-info/main", json={"paths": [name]}).json()[0]["lfs"]
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (listed["oid"].encode(), listed["size"])
        url = person.hub.url.replace("://", f"://{person.name}:{person.token}@")

        def git(*words):
            subprocess.run(["git", "-C", clone, *words], check=True, capture_output=True,
                           env={**os.environ, "HOME": str(self.scratch), "GIT_TERMINAL_PROMPT": "0"})

        shutil.rmtree(clone, ignore_errors=True)
        clone.mkdir()
        git("init", "-q")
        git("config", "user.name", "x")
        git("config", "user.email", "x@example.org")
        git("config", "lfs.url", f"{url}/{repo}.git/info/lfs")
        (clone / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
        (clone / name).write_bytes(pointer)
        git("add", ".")
        git("commit", "-qm", "x")
        git("lfs", "install", "--local")
        git("lfs", "pull")
        return (clone / name).read_bytes()

    def javascript(self, person, function, **params):
        return javascript.call(person, function, **params)


UPLOADS = [name for name in dir(Clients) if name.startswith("up_")]
DOWNLOADS = [name for name in dir(Clients) if name.startswith("down_")]


@pytest.fixture
def clients(tmp_path):
    return Clients(tmp_path)


def weights(size, seed):
    """Half noise, half smooth float32: clients compress the one and not the other."""
    pick = random.Random(seed)
    smooth = b"".join(pick.randrange(1 << 16).to_bytes(2, "little") + b"\x80\x3f" for _ in range(size // 8))
    return pick.randbytes(size - len(smooth)) + smooth


@pytest.fixture(scope="module")
def uploaded(alice, tmp_path_factory):
    """A repo with a file by each client, and what is in it."""
    repo, folder, files = alice.new_repo(), tmp_path_factory.mktemp("uploaded"), {}
    for upload in UPLOADS:
        name = f"{upload}.bin"
        files[name] = weights(3 * MIB + 12345, upload)
        (folder / name).write_bytes(files[name])
        getattr(Clients(folder), upload)(alice, repo, name, folder / name)
    return repo, files


@pytest.mark.parametrize("download", DOWNLOADS)
def test_what_one_client_uploads_every_other_downloads(alice, clients, uploaded, download):
    repo, files = uploaded
    for name, data in files.items():
        assert sha256(getattr(clients, download)(alice, repo, name)) == sha256(data), name


def requests(hub, pattern):
    return len(re.findall(pattern, hub.log_text()))


def test_the_default_client_speaks_xet_both_ways(hub, alice, clients, tmp_path):
    repo, data = alice.new_repo(), random.randbytes(2 * MIB)
    (tmp_path / "w.bin").write_bytes(data)
    posts, fetches = requests(hub, '"path":"/xet/v1/xorbs/'), requests(hub, '"path":"/xet/data/')
    clients.up_hf(alice, repo, "w.bin", tmp_path / "w.bin")
    until(lambda: requests(hub, '"path":"/xet/v1/xorbs/') > posts)
    assert clients.down_hf(alice, repo, "w.bin") == data
    until(lambda: requests(hub, '"path":"/xet/data/') > fetches)


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_datasets_and_spaces_too(alice, tmp_path, kind):
    repo, data = alice.new_repo(repo_type=kind), random.randbytes(MIB)
    (tmp_path / "w.bin").write_bytes(data)
    alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", "--repo-type", kind, HF_HUB_DISABLE_XET=None)
    alice.hf("download", repo, "w.bin", "--repo-type", kind, "--local-dir", tmp_path / "got", HF_HUB_DISABLE_XET=None)
    assert (tmp_path / "got" / "w.bin").read_bytes() == data


def test_a_private_repo_goes_both_ways_for_its_owner_only(alice, bob, tmp_path):
    repo, data = alice.new_repo(private=True), random.randbytes(MIB)
    (tmp_path / "w.bin").write_bytes(data)
    alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", HF_HUB_DISABLE_XET=None)
    alice.hf("download", repo, "w.bin", "--local-dir", tmp_path / "got", HF_HUB_DISABLE_XET=None)
    assert (tmp_path / "got" / "w.bin").read_bytes() == data
    assert bob.hf("download", repo, "w.bin", "--local-dir", tmp_path / "no", HF_HUB_DISABLE_XET=None, check=False).returncode != 0


def test_a_pull_request_by_somebody_else_carries_a_large_file(alice, bob, tmp_path):
    repo, data = alice.new_repo(), random.randbytes(MIB)
    (tmp_path / "w.bin").write_bytes(data)
    bob.hf("upload", repo, tmp_path / "w.bin", "w.bin", "--create-pr", HF_HUB_DISABLE_XET=None)
    assert alice.read(repo, "w.bin", revision="refs%2Fpr%2F1") == data


def test_a_folder_of_many_files_goes_up_and_comes_down(alice, tmp_path):
    repo, source = alice.new_repo(), tmp_path / "source"
    source.mkdir()
    for i in range(40):
        (source / f"part-{i:02}.bin").write_bytes(random.randbytes(200_000))
    (source / "config.json").write_text("{}")
    alice.hf("upload", repo, source, ".", HF_HUB_DISABLE_XET=None)
    alice.hf("download", repo, "--local-dir", tmp_path / "got", HF_HUB_DISABLE_XET=None)
    for path in source.iterdir():
        assert (tmp_path / "got" / path.name).read_bytes() == path.read_bytes()


# Only what changed is sent.


def received(hub):
    return int(re.search(r"^cairn_received_bytes_total (\d+)", httpx.get(f"{hub.url}/metrics").text, re.M)[1])


def edits(data):
    middle = len(data) // 2
    return {
        "an edit in the middle": data[:middle] + b"changed" + data[middle:],
        "something appended": data + random.Random(5).randbytes(300_000),
        "a part cut out": data[:5 * MIB] + data[7 * MIB:],
    }


@pytest.mark.parametrize("fresh_cache", [False, True], ids=["same machine", "another machine"])
def test_a_changed_copy_sends_only_what_changed(own_hub, tmp_path, fresh_cache):
    alice = own_hub.person("alice")
    data = random.Random(4).randbytes(16 * MIB)
    (tmp_path / "w.bin").write_bytes(data)
    repo = alice.new_repo()
    alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", HF_HUB_DISABLE_XET=None)
    for edit, changed in edits(data).items():
        (tmp_path / "w.bin").write_bytes(changed)
        before = received(own_hub)
        more = {"HF_HOME": str(tmp_path / edit)} if fresh_cache else {}
        alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", HF_HUB_DISABLE_XET=None, **more)
        assert received(own_hub) - before < 2 * MIB, edit
        assert sha256(alice.read(repo, "w.bin")) == sha256(changed), edit


def test_a_changed_copy_sends_little_by_javascript_too(own_hub, clients, tmp_path):
    alice = own_hub.person("alice")
    data = random.Random(6).randbytes(16 * MIB)
    (tmp_path / "w.bin").write_bytes(data)
    repo = alice.new_repo()
    clients.up_hf_without_xet(alice, repo, "w.bin", tmp_path / "w.bin")
    changed = data[:8 * MIB] + b"changed" + data[8 * MIB:]
    (tmp_path / "w.bin").write_bytes(changed)
    before = received(own_hub)
    clients.up_javascript(alice, repo, "w.bin", tmp_path / "w.bin")
    assert received(own_hub) - before < 2 * MIB
    assert sha256(alice.read(repo, "w.bin")) == sha256(changed)


# Interruptions.


def test_an_upload_goes_on_after_the_hub_was_killed(own_hub, tmp_path):
    alice = own_hub.person("alice")
    repo, data = alice.new_repo(), random.Random(3).randbytes(96 * MIB)
    (tmp_path / "w.bin").write_bytes(data)
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", "upload", repo, tmp_path / "w.bin", "w.bin"]
    chosen = {k: v for k, v in alice.environment(HF_HUB_DISABLE_XET=None).items() if v is not None}
    with subprocess.Popen(command, env=chosen, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        while requests(own_hub, '"path":"/xet/v1/xorbs/') < 1 and running.poll() is None:
            pass
        own_hub.kill()
        own_hub.start()
        running.communicate()
    alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", HF_HUB_DISABLE_XET=None)
    assert sha256(alice.read(repo, "w.bin")) == sha256(data)
    own_hub.stop()
    assert "all is well" in own_hub.cairn("fsck", "--data", own_hub.data).stdout
    own_hub.start()


def test_a_download_goes_on_after_it_was_cut(alice, tmp_path):
    repo, data = alice.new_repo(), random.Random(2).randbytes(8 * MIB)
    (tmp_path / "w.bin").write_bytes(data)
    alice.hf("upload", repo, tmp_path / "w.bin", "w.bin", HF_HUB_DISABLE_XET=None)
    with alice.http.stream("GET", f"/{repo}/resolve/main/w.bin") as cut:
        start = next(cut.iter_bytes(MIB))
    answer = alice.http.get(f"/{repo}/resolve/main/w.bin", headers={"range": f"bytes={len(start)}-"})
    assert answer.status_code == 206 and start + answer.content == data
