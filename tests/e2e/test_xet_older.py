# SPDX-License-Identifier: GPL-3.0-or-later
"""Stock clients of other ages, with nothing disabled: folders that go up by the command that the newest client no longer has."""

import random
import re
import sys

import pytest

from support import ROOT, sha256, until

MIB = 1 << 20

# Where the release is, what its version begins with, and by which addresses it sends and fetches.
RELEASES = {
    "1.x": (ROOT / ".venv" / "older", "1.", "/xet/v1/xorbs/", "/xet/v2/shards", "/xet/v2/reconstructions/"),
    "0.3x": (ROOT / ".venv" / "oldest", "0.3", "/xet/xorbs/", "/xet/shards", "/xet/reconstructions/"),
}


class Release:
    def __init__(self, name):
        self.folder, self.version, self.xorbs, self.shards, self.plans = RELEASES[name]

    def run(self, person, *words):
        return person.run(sys.executable, "-m", *words, HF_HUB_DISABLE_XET=None, PYTHONPATH=str(self.folder))

    def hf(self, person, *words):
        return self.run(person, "huggingface_hub.cli.hf", *words)


@pytest.fixture(params=RELEASES)
def release(request):
    return Release(request.param)


@pytest.fixture
def source(tmp_path):
    """A folder with large files, two of them alike, one in a folder, and a small one."""
    pick, folder = random.Random(), tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(["one.bin", "two.safetensors", "deep/three.bin"]):
        (folder / name).write_bytes(pick.randbytes(2 * MIB + number))
    (folder / "alike.bin").write_bytes((folder / "one.bin").read_bytes())
    (folder / "config.json").write_text("{}")
    return folder


def contents(folder):
    """Without what clients keep for themselves."""
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in folder.rglob("*")
            if path.is_file() and ".cache" not in path.parts and path.name != ".gitattributes"}


class Taken:
    """The requests that the hub answered well since this was made."""

    def __init__(self, hub):
        self.hub, self.start = hub, len(hub.log_text())

    def count(self, method, path):
        lines = self.hub.log_text()[self.start:]
        return len(re.findall(rf'"method":"{method}","path":"[^"]*{re.escape(path)}[^"]*","status":2', lines))


def test_the_release_is_the_one_that_is_meant(alice, release):
    assert release.hf(alice, "version").stdout.strip().split()[-1].startswith(release.version)


def test_a_large_folder_goes_up_and_comes_down_by_xet(hub, alice, release, source, tmp_path):
    repo, before = alice.new_repo(), contents(source)
    up = Taken(hub)
    release.hf(alice, "upload-large-folder", repo, source, "--repo-type", "model", "--num-workers", "2")
    until(lambda: up.count("POST", release.xorbs) and up.count("POST", release.shards))  # by Xet
    assert not up.count("PUT", "/transfer/"), "and by nothing else"
    down = Taken(hub)
    release.hf(alice, "download", repo, "--local-dir", tmp_path / "got")
    until(lambda: down.count("GET", release.plans) and down.count("GET", "/xet/data/"))
    assert not any(down.count("GET", f"/resolve/{alice.head(repo)}/{name}") for name in before if name != "config.json")
    assert contents(tmp_path / "got") == before


def test_what_it_uploads_the_newest_downloads_and_the_other_way(alice, release, source, tmp_path):
    its, newest, before = alice.new_repo(), alice.new_repo(), contents(source)
    release.hf(alice, "upload", its, source, ".")
    alice.hf("download", its, "--local-dir", tmp_path / "newest", HF_HUB_DISABLE_XET=None)
    alice.hf("upload", newest, source, ".", HF_HUB_DISABLE_XET=None)
    release.hf(alice, "download", newest, "--local-dir", tmp_path / "its")
    assert contents(tmp_path / "newest") == contents(tmp_path / "its") == before


def test_a_batch_of_git_lfs_leads_the_client_of_2025_to_xet(hub, alice, source):
    repo, oldest, up = alice.new_repo(), Release("0.3x"), Taken(hub)
    oldest.hf(alice, "upload", repo, source, ".")
    until(lambda: up.count("POST", f"/{repo}.git/info/lfs/objects/batch") and up.count("POST", oldest.xorbs))
    assert not up.count("PUT", "/transfer/")
