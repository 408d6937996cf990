# SPDX-License-Identifier: GPL-3.0-or-later
"""A file over 5 GiB: the size from which one request would no longer do on other hubs. Runs in `make soak`."""

import hashlib
import shutil

import httpx
import pytest

from support import Hub

GIB = 1 << 30
SIZE = 5 * GIB + 12_345


@pytest.fixture
def huge(tmp_path):
    """Mostly hole, so that it costs the disk little; marks tell its parts apart."""
    if shutil.disk_usage(tmp_path).free < 3 * SIZE:
        pytest.skip("not enough disk for a file over 5 GiB")
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        for start in range(0, SIZE, 64 << 20):
            file.seek(start)
            file.write(b"mark %d" % start)
        file.seek(SIZE - 3)
        file.write(b"end")
    return path


@pytest.mark.soak
def test_a_file_over_5_gib_goes_up_in_parts_and_comes_down(tmp_path, huge):
    (tmp_path / "hub").mkdir()
    hub = Hub(tmp_path / "hub").start()
    person = hub.person("giant")
    repo = person.new_repo()
    person.hf("upload", repo, huge, timeout=1800)
    with huge.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    received = hashlib.sha256()
    with httpx.stream("GET", f"{hub.url}/{repo}/resolve/main/huge.bin", timeout=120) as answer:
        assert int(answer.headers["x-linked-size"]) == SIZE
        for piece in answer.iter_raw(1 << 20):
            received.update(piece)
    assert received.hexdigest() == expected
    last = httpx.get(f"{hub.url}/{repo}/resolve/main/huge.bin", headers={"range": f"bytes={SIZE - 3}-"})
    assert (last.status_code, last.content) == (206, b"end")
    hub.stop()
