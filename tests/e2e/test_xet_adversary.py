# SPDX-License-Identifier: GPL-3.0-or-later
"""People who want more of the CAS than they have a right to: strangers who know every hash, writers who want more than they send, and
readers whose right was taken away."""

import contextlib
import json
import random
import re
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

import xet
from support import BINARY, Hub, Person, new_name
from test_xet_cas import noise, whole
from test_xet_clients import received
from xet import CHUNK, File, Session, Xorb, cut, shard, text


@pytest.fixture
def session(alice, repo):
    return Session(alice, repo)


@pytest.fixture
def stranger(bob):
    return Session(bob, bob.new_repo())


# A stranger who knows every hash.


@pytest.fixture
def shared(alice, repo):
    """A xorb of eight chunks: 2 to 4 are of a public file, 4 to 6 of another one, the rest of private files."""
    xorb = Xorb(cut(noise(8 * CHUNK)))
    hidden = Session(alice, alice.new_repo(private=True))
    hidden.upload(xorb, File([(xorb, 0, 2)]))
    hidden.upload(xorb, File([(xorb, 5, 8)]))
    session = Session(alice, repo)
    session.upload(xorb, File([(xorb, 2, 4)]))
    Session(alice, alice.new_repo()).upload(xorb, File([(xorb, 4, 6)]))
    return xorb


def test_chunks_of_a_private_file_are_not_had_by_their_hash_where_a_public_one_shares_the_xorb(stranger, shared):
    for start, end in (0, 1), (0, 8), (1, 3), (5, 7), (6, 8), (7, 8):
        file = File([(shared, start, end)])
        assert stranger.post_shard(shard([file])).status_code == 400, (start, end)
        assert stranger.plan(file.hash).status_code == 404


def test_chunks_of_public_files_may_be_used_though_private_ones_share_the_xorb(alice, stranger, shared):
    for start, end in (2, 4), (3, 4), (2, 6), (3, 5), (5, 6):
        file = stranger.upload(File([(shared, start, end)]))
        assert xet.read_plan(alice.http, stranger.plan(file.hash).json()) == file.data


def test_chunks_that_may_not_be_used_look_like_a_xorb_that_does_not_exist(stranger, shared):
    unknown = Xorb(cut(noise(8 * CHUNK)))
    for claim in lambda x: shard([File([(x, 6, 7)])]), lambda x: shard([], [x]):
        answers = [(x, stranger.post_shard(claim(x))) for x in (shared, unknown)]
        assert [answer.status_code for _, answer in answers] == [400, 400]
        assert len({answer.text.replace(text(x.hash), "") for x, answer in answers}) == 1


def test_a_dedup_reply_tells_nothing_of_chunks_that_may_not_be_used(stranger, shared):
    body = stranger.ask_chunk(xet.chunk_hash(shared.chunks[2])).content
    key, records = body[-200 + 72:-200 + 104], body[96 + 48:][:8 * 48]
    assert body[96:128] == shared.hash
    for i, chunk in enumerate(shared.chunks):
        record = records[48 * i:48 * i + 48]
        told = xet.keyed(key, xet.chunk_hash(chunk)) + xet.struct.pack("<II", i * CHUNK, CHUNK)
        assert (record[:40] == told) is (2 <= i < 6)
        if not 2 <= i < 6:
            assert xet.keyed(key, xet.chunk_hash(chunk)) not in body and record[32:] == bytes(16)


def test_a_chunk_that_may_not_be_used_is_unknown_though_others_of_its_xorb_may_be(stranger, shared):
    answers = [(hash_, stranger.ask_chunk(hash_)) for hash_ in (xet.chunk_hash(shared.chunks[0]), noise(32))]
    assert [answer.status_code for _, answer in answers] == [404, 404]
    assert len({answer.text.replace(text(hash_), "") for hash_, answer in answers}) == 1
    assert stranger.ask_chunk(xet.chunk_hash(shared.chunks[4])).status_code == 200


def test_what_an_account_has_sent_it_may_use_whole(alice, shared):
    own = Session(alice, alice.new_repo())
    own.upload(File([(shared, 0, 8)]))
    assert own.ask_chunk(xet.chunk_hash(shared.chunks[0])).status_code == 200


def test_what_is_no_longer_public_may_no_longer_be_used(alice, stranger):
    xorb = Xorb(cut(noise(4 * CHUNK)))
    repo = alice.new_repo()
    Session(alice, repo).upload(xorb, whole(xorb))
    assert stranger.ask_chunk(xet.chunk_hash(xorb.chunks[0])).status_code == 200
    alice.api.update_repo_settings(repo, private=True)
    assert stranger.ask_chunk(xet.chunk_hash(xorb.chunks[0])).status_code == 404
    assert stranger.post_shard(shard([whole(xorb)])).status_code == 400


def test_stock_clients_find_the_public_part_of_a_shared_xorb(own_hub, tmp_path):
    alice, bob = own_hub.person("alice"), own_hub.person("bob")
    both, data = tmp_path / "both", random.Random(3).randbytes(8 << 20)
    both.mkdir()
    (both / "a.bin").write_bytes(random.Random(2).randbytes(8 << 20))
    (both / "b.bin").write_bytes(data)
    public = alice.new_repo()
    alice.hf("upload", alice.new_repo(private=True), both, ".", HF_HUB_DISABLE_XET=None)
    alice.hf("upload", public, both / "b.bin", "b.bin", HF_HUB_DISABLE_XET=None)
    [shares] = rows(own_hub, "SELECT count(DISTINCT xorb_id), count(*) FROM extent")
    assert shares[0] < shares[1], "no xorb is shared"
    (tmp_path / "changed.bin").write_bytes(data + b"a tail")
    before, repo = received(own_hub), bob.new_repo()
    bob.hf("upload", repo, tmp_path / "changed.bin", "c.bin", HF_HUB_DISABLE_XET=None)
    assert received(own_hub) - before < 1 << 20
    assert bob.read(repo, "c.bin") == data + b"a tail"


def rows(hub, sql):
    with contextlib.closing(sqlite3.connect(hub.data / "cairn.db")) as db:
        return db.execute(sql).fetchall()


# Writers who want more than they send.


class Bomb(Xorb):
    """4 MB that unpack to a GiB of zeros."""

    def __init__(self):
        zeros = bytes(2 * CHUNK)
        self.entry = (xet.chunk_hash(zeros), len(zeros))
        self.hash, self.body = xet.root([self.entry] * 8192), xet.packed_chunk(zeros, 1) * 8192

    def shard(self, times):
        """Of a file that is made of all of it, again and again."""
        proof = xet.keyed(xet.PROOF, self.entry[0] * 8192)
        self.file = xet.keyed(xet.ZERO, xet.root([self.entry] * 8192 * times))
        record = self.file + xet.struct.pack("<IIII", 1 << 31, times, 0, 0)
        record += (self.hash + xet.struct.pack("<IIII", 0, 1 << 30, 0, 8192)) * times + (proof + bytes(16)) * times
        return xet.SHARD_TAG + xet.struct.pack("<QQ", 2, 0) + record + xet.BOOKEND * 2


@pytest.fixture(scope="module")
def bomb():
    return Bomb()


@contextlib.contextmanager
def verifying(session, body):
    """The lines of the answer, the first of which has come."""
    with session.http.stream("POST", f"{session.cas}/v2/shards", content=body,
                             headers={"authorization": f"Bearer {session.token}"}) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert json.loads(next(lines))["type"] == "validating"
        yield lines


def test_no_account_can_have_all_threads_verify_what_it_names_again_and_again(hub, bob, bomb):
    busy = hub.person(new_name("busy"))
    session, body, small = Session(busy, busy.new_repo()), bomb.shard(40), Xorb([b"Hello World!"])
    assert session.post_xorb(bomb).status_code == 200
    with contextlib.ExitStack() as held:
        for _ in range(32):
            held.enter_context(verifying(session, body))
        session.post_xorb(small)
        for version in 1, 2:
            refused = session.post_shard(shard([whole(small)]), version)
            assert refused.status_code == 429 and "moment" in refused.json()["error"]
        Session(bob, bob.new_repo()).upload(small, whole(small))
    while session.post_shard(shard([whole(small)])).status_code == 429:  # until it is noticed that nobody listens
        pass
    session.upload(whole(small))


def test_a_file_of_more_pieces_than_a_plan_may_have_is_refused(session, gated):
    xorb = Xorb([bytes([i]) * 8 for i in range(4)])
    session.post_xorb(xorb)
    refused = session.post_shard(shard([Pieces([xorb], 100_001)]))
    assert refused.status_code == 413 and "without Xet" in refused.json()["error"]
    file = session.upload(Pieces([xorb], 100_000))
    assert len(session.plan(file.hash).json()["terms"]) == 100_000


@pytest.fixture
def gated(alice):
    """While there is a gate, all that is uploaded is compared with what stands behind it."""
    repo = alice.new_repo()
    alice.api.update_repo_settings(repo, gated="manual")
    yield repo
    alice.api.delete_repo(repo)


def test_a_copy_of_a_gated_file_of_many_pieces_is_recognised(hub, alice, gated):
    bob = hub.person(new_name("copier"))
    xorb, other = (Xorb([noise(8) for _ in range(4)]) for _ in range(2))
    Session(alice, gated).upload(xorb, Pieces([xorb], 25_000))
    copy, own = bob.new_repo(), bob.new_repo()
    Session(bob, copy).upload(xorb, Pieces([xorb], 50_000))
    Session(bob, own).upload(other, Pieces([other], 50_000))
    held = rows(alice.hub, "SELECT r.name FROM access_hold h JOIN repo r ON r.id = h.repo_id WHERE h.kind = 'chunks'")
    assert (copy.split("/")[1],) in held and (own.split("/")[1],) not in held


class Pieces(File):
    """Made of single chunks that do not stand side by side in their xorbs."""

    def __init__(self, xorbs, count):
        places = [(xorb, i) for xorb in xorbs for i in range(0, len(xorb.chunks), 2)]
        super().__init__([(*places[i % len(places)], places[i % len(places)][1] + 1) for i in range(count)])


@pytest.mark.skipif(b"__tsan_init" in Path(BINARY).read_bytes(), reason="its shadow memory would be measured")
def test_who_does_not_read_his_plans_holds_little_more_than_their_text(tmp_path):
    hub = Hub(tmp_path, environment={"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=1"}).start()
    try:
        alice = hub.person("alice")
        session = Session(alice, alice.new_repo())
        xorbs = [Xorb([b"%08d" % (8192 * k + i) for i in range(8192)]) for k in range(12)]
        file = session.upload(*xorbs, Pieces(xorbs, 49_000))
        length = len(session.plan(file.hash, 1).content)
        assert length > 10_000_000
        before, count = resident(hub), 12
        unread = [ask_plan(session, file.hash) for _ in range(count)]
        assert resident(hub) - before < 1.5 * count * length
        for connection in unread:
            connection.close()
    finally:
        hub.stop()


def resident(hub):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{hub.process.pid}/status").read_text())[1]) << 10


def ask_plan(session, hash_):
    """A connection on which the answer has begun to come."""
    host, port = re.match(r"http://(.*):(\d+)/", session.cas).groups()
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET /xet/v1/reconstructions/{text(hash_)} HTTP/1.1\r\nHost: {host}\r\n"
                       f"Authorization: Bearer {session.token}\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def test_one_request_has_each_byte_of_a_xorb_once(session):
    xorb = Xorb(cut(noise(4 * CHUNK)))
    file = session.upload(xorb, whole(xorb))
    [entry] = session.plan(file.hash).json()["xorbs"][text(xorb.hash)]
    size = CHUNK + 8

    def status(*chunks):
        wanted = ",".join(f"{size * start}-{size * end - 1}" for start, end in chunks)
        return httpx.get(entry["url"], headers={"range": f"bytes={wanted}"}).status_code

    assert status((0, 1), (1, 2), (3, 4)) == 206
    assert status((0, 4), (0, 4)) == status((0, 2), (1, 3)) == status((2, 3), (0, 1)) == 400


# A proxy in front, which takes a part of the path away.


def test_addresses_begin_with_the_public_one_and_are_signed_without_it(tmp_path):
    hub = Hub(tmp_path, flags=["--public-url", "https://example.org/hub/"]).start()
    try:
        alice = hub.person("alice")
        assert alice.http.post("/api/repos/create", json={"name": "model"}).is_success
        xorb, session = Xorb(cut(noise(2 * CHUNK))), Session(alice, "alice/model")
        assert session.cas == "https://example.org/hub/xet"
        session.cas = f"{hub.url}/xet"
        [entry] = session.plan(session.upload(xorb, whole(xorb)).hash).json()["xorbs"][text(xorb.hash)]
        public, own = "https://example.org/hub/xet/data/", f"{hub.url}/xet/data/"
        assert entry["url"].startswith(public)
        answer = httpx.get(entry["url"].replace(public, own), headers={"range": f"bytes=0-{len(xorb.body) - 1}"})
        assert answer.content == xorb.body
    finally:
        hub.stop()


# Rights that were taken away.


def test_a_key_that_is_revoked_while_its_shard_is_verified_registers_nothing(hub, alice, repo, bomb):
    name = new_name("key")
    token = hub.admin("token", "create", "alice", "--name", name, "--role", "write").stdout.strip()
    session, body = Session(Person(hub, "alice", token), repo), bomb.shard(3)
    assert session.post_xorb(bomb).status_code == 200
    with verifying(session, body) as lines:
        hub.admin("token", "revoke", "alice", "--name", name)
        last = json.loads([*lines][-1])
    assert last["type"] == "error" and last["retryable"] is False
    assert Session(alice, repo).plan(bomb.file).status_code == 404


def test_a_repo_that_is_deleted_while_a_shard_is_verified_holds_nothing(hub, alice, bomb):
    repo = alice.new_repo()
    session, body = Session(alice, repo), bomb.shard(3)
    assert session.post_xorb(bomb).status_code == 200
    with verifying(session, body) as lines:
        alice.api.delete_repo(repo)
        last = json.loads([*lines][-1])
    assert last["type"] == "error" and last["retryable"] is False
    assert rows(hub, "SELECT count(*) FROM object_hold WHERE repo_id NOT IN (SELECT id FROM repo)") == [(0,)]


def test_what_is_verified_in_peace_is_registered(session, bomb):
    session.post_xorb(bomb)
    with verifying(session, bomb.shard(2)) as lines:
        assert json.loads([*lines][-1]) == {"type": "result", "result": 1}
    assert session.plan(bomb.file, 2, 0, 99).status_code == 200
