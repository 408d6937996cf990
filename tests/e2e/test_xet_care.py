# SPDX-License-Identifier: GPL-3.0-or-later
"""Care for chunks: how much room they take, what is removed and when, what a check finds, and what a copy holds."""

import json
import os
import random
import re
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

import xet
from support import Hub, Person, sha256
from xet import CHUNK, File, Session, Xorb, cut, shard

DAY_US = 24 * 3600 * 1_000_000


def chunks(count):
    return cut(os.urandom(count * CHUNK))


def smooth_chunks(count):
    """They compress well."""
    return [os.urandom(64) * (CHUNK // 64) for _ in range(count)]


def whole(xorb):
    return File([(xorb, 0, len(xorb.chunks))])


def commit(person, repo, digest, size, path):
    answer = person.commit_lines(repo, ("lfsFile", {"path": path, "algo": "sha256", "oid": digest, "size": size}))
    assert answer.status_code == 200, answer.text


def put(person, repo, path, *xorbs_then_file):
    """Uploads by Xet and commits."""
    file = Session(person, repo).upload(*xorbs_then_file)
    commit(person, repo, file.sha256, len(file.data), path)
    return file


def put_plainly(person, repo, path, data):
    person.put_object(repo, data)
    commit(person, repo, sha256(data), len(data), path)


@pytest.fixture
def carol(own_hub):
    return own_hub.person("carol")


def grow_older(hub, days):
    """As if so many days had passed since anything happened to a xorb. The hub must not run."""
    db = sqlite3.connect(hub.data / "cairn.db")
    db.execute("UPDATE xorb SET created_us = created_us - ?, mentioned_us = max(mentioned_us - ?, 0)", [int(days * DAY_US)] * 2)
    db.commit()
    db.close()


def sleep_for(hub, days):
    hub.stop()
    grow_older(hub, days)
    hub.start()


def fsck(hub):
    return hub.cairn("fsck", "--data", hub.data, check=False)


# Room.


def usage(hub, repo):
    return json.loads(hub.cairn("du", "--data", hub.data, "--json", repo).stdout)


def test_what_files_have_in_common_counts_once(own_hub, carol):
    repo = carol.new_repo()
    xorb, other = Xorb(chunks(5)), Xorb(chunks(1))
    file = put(carol, repo, "model.bin", xorb, whole(xorb))
    commit(carol, repo, file.sha256, len(file.data), "duplicate.bin")
    put(carol, repo, "changed.bin", xorb, other, File([(xorb, 0, 2), (other, 0, 1), (xorb, 3, 5)]))
    assert usage(own_hub, repo) == {"kind": "model", "repo": repo, "objects": 2, "logical": 10 * CHUNK, "unique": 6 * CHUNK,
                                    "stored": 6 * CHUNK, "shared": 0}


def test_what_is_compressed_takes_less_room(own_hub, carol):
    repo, xorb = carol.new_repo(), Xorb(smooth_chunks(8), 1)
    put(carol, repo, "model.bin", xorb, whole(xorb))
    found = usage(own_hub, repo)
    assert found["logical"] == found["unique"] == 8 * CHUNK and 0 < found["stored"] < CHUNK


def test_what_another_repo_has_too_is_shared(own_hub, carol):
    one, two, xorb = carol.new_repo(), carol.new_repo(), Xorb(chunks(4))
    put(carol, one, "model.bin", xorb, whole(xorb))
    assert usage(own_hub, one)["shared"] == 0
    put_plainly(carol, two, "same.bin", whole(xorb).data)
    put_plainly(carol, two, "own.bin", os.urandom(100_000))
    assert usage(own_hub, one)["shared"] == usage(own_hub, two)["shared"] == 4 * CHUNK
    assert usage(own_hub, two)["stored"] == 4 * CHUNK + 100_000


def test_people_read_the_same_numbers_as_programs(own_hub, carol):
    repo = carol.new_repo(repo_type="dataset")
    carol.put_object(f"datasets/{repo}", os.urandom(5 << 20))
    text = own_hub.cairn("du", "--data", own_hub.data, f"datasets/{repo}").stdout
    found = usage(own_hub, f"datasets/{repo}")
    assert text.splitlines()[0] == f"datasets/{repo}, 1 large file"
    rows = {row[0]: row[1] for row in re.findall(r"^  (\w+) .* (\d+) bytes ", text, re.M)}
    assert rows == {name: str(found[name]) for name in ("logical", "unique", "stored", "shared")}
    assert found["logical"] == 5 << 20 and "5.0 MiB" in text


@pytest.mark.parametrize("words, status, told", [
    (["carol/nothing"], 1, "carol/nothing"), (["nobody/nothing"], 1, "nobody/nothing"), (["nothing"], 2, "ns/name"), ([], 2, "which repo"),
    (["--json", "datasets/carol/nothing"], 1, "dataset")])
def test_the_room_of_a_repo_that_is_not_there_is_not_told(own_hub, carol, words, status, told):
    refused = own_hub.cairn("du", "--data", own_hub.data, *words, check=False)
    assert refused.returncode == status and told in refused.stderr and not refused.stdout


# Removal.


class Freed(NamedTuple):
    """What a sweep says that it removed."""
    objects: int
    xorbs: int
    files: int
    bytes: int


class Kept(NamedTuple):
    """What a hub has. The server sweeps too, soon after its start, so tests look at what is left rather than at who removed it."""
    objects: int
    xorbs: int
    files: int


NOTHING = Freed(0, 0, 0, 0)


def sweep(hub, *flags):
    for _ in range(1000):
        done = hub.cairn("gc", "--data", hub.data, *flags, check=False)
        if done.returncode == 0:
            assert done.stdout.startswith("would be removed\n" if flags else "removed\n")
            return Freed(*map(int, re.findall(r"(\d+)(?: bytes\))?$", done.stdout, re.M)))
        assert done.returncode == 1 and "another sweep is at work" in done.stderr, done.stderr
    raise AssertionError("the server sweeps without end")


def containers(hub):
    return [path for path in (hub.data / "store" / "containers").rglob("*") if path.is_file()]


def room(hub):
    return sum(path.stat().st_blocks * 512 for path in containers(hub))


def kept(hub):
    db = sqlite3.connect(hub.data / "cairn.db")
    objects, xorbs = (db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("object", "xorb"))
    db.close()
    return Kept(objects, xorbs, len(containers(hub)))


def kept_after_sweep(hub):
    sweep(hub)
    return kept(hub)


def everything(hub):
    """All rows and files, of a hub that does not run."""
    files = {path: path.read_bytes() for path in (hub.data / "store").rglob("*") if path.is_file()}
    db = sqlite3.connect(hub.data / "cairn.db")
    rows = list(db.iterdump())
    db.close()
    return files, rows


def test_a_dry_run_tells_what_a_run_removes_and_changes_nothing(own_hub, carol):
    gone, stays = carol.new_repo(), carol.new_repo()
    xorbs = [Xorb(chunks(3)), Xorb(smooth_chunks(6), 2)]
    put(carol, gone, "model.bin", *xorbs, File([(xorbs[0], 0, 3), (xorbs[1], 0, 6)]))
    put_plainly(carol, gone, "plain.bin", os.urandom(200_000))
    put_plainly(carol, stays, "kept.bin", b"kept" * 100_000)
    carol.api.delete_repo(gone)
    own_hub.stop()
    grow_older(own_hub, 30)
    before, kept_before, room_before = everything(own_hub), kept(own_hub), room(own_hub)
    told = sweep(own_hub, "--dry-run")
    assert everything(own_hub) == before
    assert (told.xorbs, told.files) == (3, 3) and told.bytes > 200_000
    assert sweep(own_hub) == told
    assert kept(own_hub) == Kept(1, 1, 1) == tuple(had - gone for had, gone in zip(kept_before, told, strict=False))
    assert room_before - room(own_hub) == told.bytes
    assert sweep(own_hub) == sweep(own_hub, "--dry-run") == NOTHING
    own_hub.start()
    assert carol.read(stays, "kept.bin") == b"kept" * 100_000


def test_xorbs_of_a_deleted_repo_stay_for_21_days(own_hub, carol):
    repo, xorb = carol.new_repo(), Xorb(chunks(6))
    put(carol, repo, "model.bin", xorb, whole(xorb))
    carol.api.delete_repo(repo)
    assert kept_after_sweep(own_hub) == Kept(0, 1, 1)
    sleep_for(own_hub, 21)
    assert kept_after_sweep(own_hub) == Kept(0, 1, 1)
    again = carol.new_repo()
    assert Session(carol, again).post_shard(shard([whole(xorb)])).status_code == 200, "a client may name them without asking"
    carol.api.delete_repo(again)
    sleep_for(own_hub, 21)
    assert kept_after_sweep(own_hub) == Kept(0, 1, 1), "and has thereby mentioned them again"
    sleep_for(own_hub, 2)
    assert kept_after_sweep(own_hub) == Kept(0, 0, 0)
    assert Session(carol, carol.new_repo()).post_shard(shard([whole(xorb)])).status_code == 400


def test_a_plain_upload_that_nobody_was_told_of_goes_after_an_hour(own_hub, carol):
    repo = carol.new_repo()
    put_plainly(carol, repo, "model.bin", os.urandom(300_000))
    carol.api.delete_repo(repo)
    assert kept_after_sweep(own_hub) == Kept(0, 1, 1)
    sleep_for(own_hub, 1 / 12)
    assert kept_after_sweep(own_hub) == Kept(0, 0, 0)


@pytest.mark.parametrize("mention", ["question", "upload"])
def test_what_clients_are_told_of_stays_from_then_on(own_hub, carol, mention):
    repo, xorb = carol.new_repo(), Xorb(chunks(3))
    file = put(carol, repo, "model.bin", xorb, whole(xorb))
    sleep_for(own_hub, 20)
    session = Session(carol, repo)
    if mention == "question":
        assert session.ask_chunk(xet.chunk_hash(xorb.chunks[0])).status_code == 200
    else:
        assert session.post_xorb(xorb).json() == {"was_inserted": False}
    carol.api.delete_repo(repo)
    sleep_for(own_hub, 20)
    assert kept_after_sweep(own_hub) == Kept(0, 1, 1)
    assert Session(carol, carol.new_repo()).post_shard(shard([file])).status_code == 200


def test_an_upload_goes_on_after_a_sweep(own_hub, carol):
    repo = carol.new_repo()
    session, xorbs = Session(carol, repo), [Xorb(chunks(4)), Xorb(chunks(2))]
    for number, xorb in enumerate(xorbs, 1):
        assert session.post_xorb(xorb).status_code == 200
        assert kept_after_sweep(own_hub) == Kept(0, number, number)
    sleep_for(own_hub, 20)
    assert kept_after_sweep(own_hub) == Kept(0, 2, 2), "slow clients have time"
    file = File([(xorbs[1], 0, 2), (xorbs[0], 0, 4)])
    assert session.post_shard(shard([file], xorbs)).status_code == 200
    commit(carol, repo, file.sha256, len(file.data), "model.bin")
    assert kept_after_sweep(own_hub) == Kept(1, 2, 2)
    assert carol.read(repo, "model.bin") == file.data


def test_a_chunk_that_a_living_file_uses_keeps_its_xorb(own_hub, carol):
    gone, stays = carol.new_repo(), carol.new_repo()
    xorb = Xorb(chunks(5))
    put(carol, gone, "model.bin", xorb, whole(xorb))
    file = put(carol, stays, "part.bin", File([(xorb, 2, 3)]))
    carol.api.delete_repo(gone)
    sleep_for(own_hub, 100)
    assert kept_after_sweep(own_hub) == Kept(1, 1, 1)
    assert carol.read(stays, "part.bin") == file.data
    assert fsck(own_hub).stdout == "all is well\n"


class Returning(threading.Thread):
    """Uploads again what is just being removed."""

    def __init__(self, hub, token, xorbs, seed, stop):
        super().__init__()
        self.person, self.xorbs, self.stop = Person(hub, "carol", token), xorbs[:], stop
        random.Random(seed).shuffle(self.xorbs)
        self.kept, self.failures = [], []

    def run(self):
        repo = self.person.new_repo()
        try:
            for number, xorb in enumerate(self.xorbs):
                if number % 3:
                    put(self.person, repo, f"{number}.bin", xorb, whole(xorb))
                else:
                    put_plainly(self.person, repo, f"{number}.bin", whole(xorb).data)
                self.kept.append((repo, f"{number}.bin", whole(xorb).sha256))
        except Exception as failure:  # noqa: BLE001: told by the test
            self.failures.append(failure)
        self.stop.set()


def test_a_sweep_beside_a_running_server_takes_nothing_that_came_back(own_hub, carol):
    repo, xorbs = carol.new_repo(), [Xorb(chunks(2)) for _ in range(24)]
    for number, xorb in enumerate(xorbs):
        put(carol, repo, f"{number}.bin", xorb, whole(xorb))
    carol.api.delete_repo(repo)
    sleep_for(own_hub, 30)
    done = threading.Event()
    threads = [Returning(own_hub, carol.token, xorbs, seed, done) for seed in range(2)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        sweep(own_hub)
    for thread in threads:
        thread.join()
        assert thread.failures == []
    sweep(own_hub)
    for repo, path, digest in [one for thread in threads for one in thread.kept]:
        assert sha256(carol.read(repo, path)) == digest
    assert fsck(own_hub).stdout == "all is well\n"


# Damage.


@pytest.fixture
def furnished(own_hub, carol):
    """A hub with one xorb that is compressed, one that is not, and a plain upload; and the files in carol's repo."""
    repo = carol.new_repo()
    packed, loose = Xorb(smooth_chunks(20), 1), Xorb(chunks(4))
    files = {"both.bin": put(carol, repo, "both.bin", packed, loose, File([(packed, 3, 20), (loose, 0, 4), (packed, 0, 2)])).data,
             "loose.bin": put(carol, repo, "loose.bin", File([(loose, 1, 3)])).data, "plain.bin": os.urandom(700_000)}
    put_plainly(carol, repo, "plain.bin", files["plain.bin"])
    return own_hub, carol, repo, files


def places(hub):
    """Where each xorb is: (file, start, where its table begins). By the order in which they came."""
    db = sqlite3.connect(hub.data / "cairn.db")
    rows = db.execute("SELECT name, start, table_at FROM xorb JOIN container ON container.id = container_id ORDER BY xorb.id").fetchall()
    db.close()
    return [(hub.data / "store" / "containers" / name[:2] / name, start, table_at) for name, start, table_at in rows]


def flip(path, at):
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def test_a_check_of_sound_chunks_finds_nothing(furnished):
    hub, *_ = furnished
    assert fsck(hub).stdout == "all is well\n"
    hub.stop()
    assert fsck(hub).stdout == "all is well\n"
    hub.start()


def read_or_fail(person, repo, name):
    """The bytes, or None where the hub says that it cannot, before or in the middle of them."""
    try:
        answer = person.http.get(f"/{repo}/resolve/main/{name}")
    except httpx.RemoteProtocolError:
        return None
    assert answer.status_code == 200 or answer.status_code >= 500
    return answer.content if answer.status_code == 200 else None


@pytest.mark.parametrize("which", [0, 1, 2], ids=["packed", "loose", "plain"])
@pytest.mark.parametrize("place", ["payload", "hash", "end"])
def test_a_flipped_bit_is_found(furnished, which, place):
    hub, carol, repo, files = furnished
    hub.stop()
    path, start, table_at = places(hub)[which]
    at = {"payload": start + 50, "hash": table_at + 7, "end": table_at + 32}[place]
    flip(path, at)
    found = fsck(hub)
    assert found.returncode == 1 and "damage: The xorb" in found.stdout
    hub.start()
    for name, data in files.items():
        assert place == "payload" or read_or_fail(carol, repo, name) in (data, None)
    hub.stop()
    flip(path, at)
    assert fsck(hub).stdout == "all is well\n"
    hub.start()


def test_a_container_that_is_gone_or_cut_is_found(furnished):
    hub, carol, repo, files = furnished
    hub.stop()
    path, _, _ = places(hub)[1]
    whole_file = path.read_bytes()
    path.unlink()
    missing = fsck(hub)
    assert missing.returncode == 1 and "missing" in missing.stdout
    path.write_bytes(whole_file[:-1])
    assert fsck(hub).returncode == 1
    path.unlink()
    hub.start()
    assert carol.http.get(f"/{repo}/resolve/main/loose.bin").status_code >= 500
    assert carol.read(repo, "plain.bin") == files["plain.bin"], "the rest is still served"


# Copies.


def test_a_copy_of_the_hub_has_every_file_byte_for_byte(furnished, tmp_path):
    hub, carol, repo, files = furnished
    listed = carol.http.post(f"/api/models/{repo}/paths-info/main", json={"paths": list(files)}).json()
    hub.copy_to(tmp_path / "copy")
    carol.api.delete_repo(repo)
    sleep_for(hub, 30)
    assert kept_after_sweep(hub) == Kept(0, 0, 0), "what the hub removes afterwards stays in the copy"
    (tmp_path / "second").mkdir()
    copy = Hub(tmp_path / "second")
    copy.data = tmp_path / "copy"
    assert fsck(copy).stdout == "all is well\n"
    copy.start()
    try:
        twin = Person(copy, "carol", carol.token)
        session = Session(twin, repo)
        for entry in listed:
            data = files[entry["path"]]
            assert twin.read(repo, entry["path"]) == data
            assert xet.read_plan(twin.http, session.plan(xet.swap(bytes.fromhex(entry["xetHash"]))).json()) == data
        xorb = Xorb(chunks(3))
        put(twin, repo, "new.bin", xorb, whole(xorb))
        assert twin.read(repo, "new.bin") == whole(xorb).data
    finally:
        copy.stop()
    assert fsck(copy).stdout == fsck(hub).stdout == "all is well\n"


def test_a_copy_on_another_disk_takes_no_more_room(own_hub, carol, tmp_path):
    """There the copy cannot be links, and containers have holes where the store had the bytes already."""
    other_disk = Path("/dev/shm")
    if not other_disk.is_dir() or other_disk.stat().st_dev == tmp_path.stat().st_dev or shutil.disk_usage(other_disk).free < 200 << 20:
        pytest.skip("there is no other disk with some room")
    repo, data = carol.new_repo(), random.Random(1).randbytes(70 << 20)
    put_plainly(carol, repo, "one.bin", data)
    put_plainly(carol, repo, "two.bin", data + os.urandom(1 << 20))
    assert room(own_hub) < 130 << 20, "the second has a hole"
    with tempfile.TemporaryDirectory(dir=other_disk, prefix="cairn-") as other:
        copy = Hub(other)
        own_hub.cairn("backup", "--data", own_hub.data, copy.data)
        assert fsck(copy).stdout == "all is well\n"
        assert room(copy) < room(own_hub) + (1 << 20)
