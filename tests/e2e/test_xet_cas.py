# SPDX-License-Identifier: GPL-3.0-or-later
"""The CAS as a client sees it that speaks the protocol by itself, and as a liar sees it (xet-protocol 1.1, 2, 3)."""

import json
import os
import random
import re

import httpx
import pytest

import xet
from support import new_name, sha256
from xet import File, Session, Xorb, cut, shard, text


def noise(size, seed=None):
    return random.Random(seed).randbytes(size) if seed is not None else os.urandom(size)


def smooth(size, seed):
    """Compresses well, and differs by seed."""
    return (b"%08d" % seed) * (size // 8)


@pytest.fixture
def session(alice, repo):
    return Session(alice, repo)


@pytest.fixture
def secret(alice):
    return alice.new_repo(private=True)


def whole(xorb):
    return File([(xorb, 0, len(xorb.chunks))])


def commit(person, repo, file, path="model.bin"):
    answer = person.commit_lines(repo, ("lfsFile", {"path": path, "algo": "sha256", "oid": file.sha256, "size": len(file.data)}))
    assert answer.status_code == 200, answer.text


# What a good client gets.


@pytest.mark.parametrize("scheme", [0, 1, 2])
@pytest.mark.parametrize("make", [noise, smooth])
def test_a_file_reads_the_same_by_plan_and_by_plain_get(alice, repo, session, scheme, make):
    xorbs = [Xorb(cut(make(300_001, 1)), scheme), Xorb(cut(make(170_003, 2)), scheme)]
    file = session.upload(*xorbs, File([(xorbs[0], 0, 5), (xorbs[1], 1, 3), (xorbs[0], 2, 4), (xorbs[1], 0, 1)]))
    commit(alice, repo, file)
    assert alice.read(repo, "model.bin") == file.data
    assert xet.read_plan(alice.http, session.plan(file.hash).json()) == file.data


def test_plain_ranges_anywhere_in_a_xet_file_are_right(alice, repo, session):
    xorbs = [Xorb(cut(noise(200_000, 1)), 0), Xorb(cut(smooth(400_000, 2)), 1), Xorb(cut(noise(99_999, 3)), 0)]
    file = session.upload(*xorbs, File([(xorbs[0], 1, 3), (xorbs[1], 0, 7), (xorbs[2], 0, 2), (xorbs[1], 3, 4), (xorbs[0], 0, 1)]))
    commit(alice, repo, file)
    pick = random.Random(7)
    for _ in range(60):
        first = pick.randrange(len(file.data))
        last = pick.randrange(first, len(file.data))
        answer = alice.http.get(f"/{repo}/resolve/main/model.bin", headers={"range": f"bytes={first}-{last}"})
        assert answer.status_code == 206 and answer.content == file.data[first:last + 1]


@pytest.mark.parametrize("version", [1, 2])
def test_a_plan_for_a_range_names_only_its_chunks(alice, session, version):
    xorbs = [Xorb(cut(noise(500_000, 4)), 0), Xorb(cut(smooth(300_000, 5)), 2)]
    file = session.upload(*xorbs, File([(xorbs[0], 0, 8), (xorbs[1], 0, 5), (xorbs[0], 3, 4)]))
    pick = random.Random(8)
    for _ in range(40):
        first = pick.randrange(len(file.data))
        last = pick.randrange(first, len(file.data))
        plan = session.plan(file.hash, version, first, last).json()
        covered = sum(term["unpacked_length"] for term in plan["terms"])
        assert covered - (last - first + 1) < 2 * xet.CHUNK and plan["offset_into_first_range"] < xet.CHUNK
        assert (read_v1 if version == 1 else xet.read_plan)(alice.http, plan)[:last - first + 1] == file.data[first:last + 1]


def read_v1(http, plan):
    as_v2 = {name: [{"url": one["url"], "ranges": [{"chunks": one["range"], "bytes": one["url_range"]}]} for one in fetch]
             for name, fetch in plan["fetch_info"].items()}
    return xet.read_plan(http, {**plan, "xorbs": as_v2})


def test_a_plan_behind_the_end_is_416_and_one_over_it_is_clipped(session):
    xorb = Xorb(cut(noise(100_000)))
    file = session.upload(xorb, whole(xorb))
    assert session.plan(file.hash, 2, 100_000, 18446744073709551614).status_code == 416
    plan = session.plan(file.hash, 2, 0, 18446744073709551614).json()
    assert sum(term["unpacked_length"] for term in plan["terms"]) == 100_000


def test_several_ranges_come_in_one_multipart_reply(alice, session):
    xorb = Xorb(cut(noise(400_000, 6)))
    file = session.upload(xorb, File([(xorb, 0, 2), (xorb, 4, 5), (xorb, 6, 7)]))
    [entry] = session.plan(file.hash).json()["xorbs"][text(xorb.hash)]
    bounds = [(r["bytes"]["start"], r["bytes"]["end"]) for r in entry["ranges"]]
    assert len(bounds) == 3
    answer = httpx.get(entry["url"], headers={"range": "bytes=" + ",".join(f"{a}-{b}" for a, b in bounds)})
    assert answer.status_code == 206
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", answer.headers["content-type"])[1].encode()
    expected = b"".join(
        (b"\r\n" if i else b"") + b"--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
        % (boundary, a, b, len(xorb.body)) + xorb.body[a:b + 1] for i, (a, b) in enumerate(bounds)) + b"\r\n--%s--\r\n" % boundary
    assert answer.content == expected


def test_paths_without_version_serve_older_clients(session):
    xorb = Xorb(cut(noise(70_000)))
    assert session.ask("POST", f"/xorbs/default/{text(xorb.hash)}", content=xorb.body).json() == {"was_inserted": True}
    assert session.ask("POST", "/shards", content=shard([whole(xorb)], [xorb])).json() == {"result": 1}
    assert session.ask("GET", f"/reconstructions/{text(whole(xorb).hash)}").json()["fetch_info"]
    assert session.ask("GET", f"/chunks/default-merkledb/{text(xet.chunk_hash(xorb.chunks[0]))}").status_code == 200


def test_the_same_xorb_and_file_may_come_again(session):
    xorb = Xorb(cut(noise(70_000)))
    assert session.post_xorb(xorb).json() == {"was_inserted": True}
    assert session.post_xorb(xorb).json() == {"was_inserted": False}
    session.upload(xorb, whole(xorb))
    session.upload(xorb, whole(xorb))


def test_a_footer_behind_a_xorb_is_passed_over(session):
    xorb = Xorb([b"Hello World!"])
    assert session.post_xorb(xorb, body=xorb.body + b"XETBLOB\x01" + noise(100)).status_code == 200


def test_a_v2_shard_is_answered_line_by_line(session):
    xorb = Xorb(cut(noise(200_000)))
    session.post_xorb(xorb)
    answer = session.post_shard(shard([whole(xorb)], [xorb]), version=2)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines[0]["type"] == "validating" and lines[0]["total"] == 200_000
    assert lines[-1] == {"type": "result", "result": 1}


# One copy of the bytes.


def test_what_plain_lfs_uploaded_is_there_for_xet_clients(alice, repo, session):
    data = noise(3_000_000)
    alice.put_object(repo, data)
    alice.commit_lines(repo, ("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)}))
    [entry] = alice.http.post(f"/api/models/{repo}/paths-info/main", json={"paths": ["model.bin"]}).json()
    assert xet.read_plan(alice.http, session.plan(xet.swap(bytes.fromhex(entry["xetHash"]))).json()) == data


def stored(hub):
    return sum(path.stat().st_blocks * 512 for path in (hub.data / "store" / "containers").rglob("*") if path.is_file())


def test_known_content_costs_no_disk_whichever_way_it_comes(hub, alice, repo, session):
    data = noise(5_000_000)
    alice.put_object(repo, data)
    before = stored(hub)
    alice.put_object(alice.new_repo(), data)
    assert stored(hub) == before
    xorb = Xorb(cut(noise(4_000_000)))
    file = session.upload(xorb, whole(xorb))
    before = stored(hub)
    alice.put_object(alice.new_repo(), file.data)
    assert stored(hub) == before


# Who may ask.


def test_a_token_is_needed_and_a_false_one_is_refused(anyone, session):
    for headers in [{}, {"authorization": "Bearer x"}, {"authorization": f"Bearer {session.token}0"},
                    {"authorization": f"Bearer {session.token.replace('.w.', '.r.')}"}]:
        answer = anyone.http.get(f"{session.cas}/v2/reconstructions/{'0' * 64}", headers=headers)
        assert answer.status_code == 401, headers


def test_a_hub_key_is_not_a_token_of_the_cas(alice, session):
    assert alice.http.get(f"{session.cas}/v2/reconstructions/{'0' * 64}").status_code == 401


def test_a_token_to_read_cannot_write(alice, repo):
    session = Session(alice, repo, write=False)
    assert session.post_xorb(Xorb([b"x"])).status_code == 403
    assert session.post_shard(shard()).status_code == 403


def test_a_file_is_only_there_for_its_own_repo(alice, repo, session, secret):
    xorb = Xorb(cut(noise(100_000)))
    file = Session(alice, secret).upload(xorb, whole(xorb))
    assert session.plan(file.hash).status_code == 404
    assert Session(alice, secret, write=False).plan(file.hash).status_code == 200


def test_a_stranger_gets_no_token_for_a_private_repo(bob, secret):
    for scope in ("read", "write"):
        assert bob.http.get(f"/api/models/{secret}/xet-{scope}-token/main").status_code == 404


def test_a_revoked_key_ends_its_tokens_and_addresses(hub, repo):
    name = new_name("key")
    token = hub.admin("token", "create", "alice", "--name", name, "--role", "write").stdout.strip()
    session = Session(hub.anyone().__class__(hub, "alice", token), repo)
    xorb = Xorb(cut(noise(100_000)))
    file = session.upload(xorb, whole(xorb))
    [entry] = session.plan(file.hash).json()["xorbs"][text(xorb.hash)]
    ranges = {"range": f"bytes=0-{len(xorb.body) - 1}"}
    assert httpx.get(entry["url"], headers=ranges).content == xorb.body
    hub.admin("token", "revoke", "alice", "--name", name)
    assert session.plan(file.hash).status_code == 401
    assert httpx.get(entry["url"], headers=ranges).status_code in (401, 403)


def test_an_address_serves_only_the_range_it_was_made_for(session):
    xorb = Xorb(cut(noise(400_000)))
    file = session.upload(xorb, File([(xorb, 1, 3)]))
    [entry] = session.plan(file.hash).json()["xorbs"][text(xorb.hash)]
    first, last = entry["ranges"][0]["bytes"]["start"], entry["ranges"][0]["bytes"]["end"]

    def status(url, range_):
        return httpx.get(url, headers={"range": range_} if range_ else {}).status_code

    assert status(entry["url"], f"bytes={first}-{last}") == 206
    assert status(entry["url"], f"bytes={first}-{first + 65536 + 7}") == 206  # whole chunks within
    assert status(entry["url"], f"bytes=0-{last}") == 403
    assert status(entry["url"], f"bytes={first}-{last},0-7") == 403
    assert status(entry["url"], f"bytes={first + 1}-{last}") == 416
    assert status(entry["url"], None) == 400
    assert status(entry["url"], "bytes=-5") == 400
    assert status(entry["url"].replace(f"b={first}-", "b=0-"), f"bytes=0-{last}") == 403
    assert status(re.sub(r"u=\d+", "u=9999999999", entry["url"]), f"bytes={first}-{last}") == 403


# Deduplication answers only about what the asker may read.


def find_key(data_seed):
    """Content whose first chunk may be asked for: the first one of a file."""
    return Xorb(cut(noise(300_000, data_seed)))


def test_a_chunk_of_a_readable_file_is_found_with_keyed_hashes(alice, bob, session):
    xorb = find_key(os.urandom(8))
    session.upload(xorb, whole(xorb))
    answer = Session(bob, bob.new_repo()).ask_chunk(xet.chunk_hash(xorb.chunks[0]))
    assert answer.status_code == 200
    body = answer.content
    assert body[:32] == xet.SHARD_TAG and xorb.hash in body
    assert not any(xet.chunk_hash(chunk) in body for chunk in xorb.chunks)
    key = body[-200 + 72:-200 + 104]
    assert key != bytes(32) and all(xet.keyed(key, xet.chunk_hash(chunk)) in body for chunk in xorb.chunks)


def test_a_chunk_of_a_private_file_is_as_unknown_as_any_other(alice, bob, secret):
    xorb = find_key(os.urandom(8))
    Session(alice, secret).upload(xorb, whole(xorb))
    stranger = Session(bob, bob.new_repo())
    answers = [(hash_, stranger.ask_chunk(hash_)) for hash_ in (xet.chunk_hash(xorb.chunks[0]), noise(32))]
    assert [answer.status_code for _, answer in answers] == [404, 404]
    assert len({answer.text.replace(text(hash_), "") for hash_, answer in answers}) == 1
    assert Session(alice, secret).ask_chunk(xet.chunk_hash(xorb.chunks[0])).status_code == 200


def test_a_stranger_cannot_use_a_private_xorb_though_he_knows_all_hashes(alice, bob, secret):
    xorb, mine = Xorb(cut(noise(300_000))), Xorb(cut(noise(100_000)))
    Session(alice, secret).upload(xorb, whole(xorb))
    repo = bob.new_repo()
    stranger = Session(bob, repo)
    stranger.post_xorb(mine)
    foreign = stranger.post_shard(shard([whole(xorb)]))
    assert foreign.status_code == 400
    assert stranger.post_shard(shard([whole(mine)], [mine, xorb])).status_code == 400  # nor learn that it is there
    unknown = Xorb(cut(noise(300_000)))
    words = stranger.post_shard(shard([whole(unknown)])).json()["error"]
    assert words.replace(text(unknown.hash), "") == foreign.json()["error"].replace(text(xorb.hash), "")
    assert stranger.plan(whole(xorb).hash).status_code == 404
    # He who has the bytes may send them, and then they are his too.
    stranger.upload(xorb, whole(xorb))
    assert stranger.plan(whole(xorb).hash).status_code == 200


# Lies. Whatever is refused leaves nothing that anybody could use.


def lies():
    return {
        "another SHA-256": lambda x: File([(x, 0, 5)], sha256="ab" * 32),
        "another hash": lambda x: File([(x, 0, 5)], hash=noise(32)),
        "another proof": lambda x: File([(x, 0, 5)], proof=noise(32)),
        "a byte too many": lambda x: File([(x, 0, 5)], length_off=1),
        "a byte too few": lambda x: File([(x, 0, 5)], length_off=-1),
        "chunks that the xorb lacks": lambda x: Stretched(x, 0, 6),
        "no chunks": lambda x: Stretched(x, 2, 2),
        "chunks backwards": lambda x: Stretched(x, 3, 2),
        "chunks far away": lambda x: Stretched(x, 0xFFFFFFFE, 0xFFFFFFFF),
    }


class Stretched(File):
    """Claims the chunks [start, end) of a xorb, as it stands in the shard, over honest content."""

    def __init__(self, xorb, start, end):
        super().__init__([(xorb, 0, len(xorb.chunks))])
        self.start, self.end = start, end

    def record(self):
        honest = super().record()
        at = 48 + 32 + 8
        return honest[:at] + xet.struct.pack("<II", self.start, self.end) + honest[at + 8:]


@pytest.mark.parametrize("lie", lies())
@pytest.mark.parametrize("version", [1, 2])
def test_a_shard_that_lies_is_refused_and_leaves_nothing(alice, repo, session, lie, version):
    xorb = Xorb(cut(noise(300_000)))
    assert len(xorb.chunks) == 5 and session.post_xorb(xorb).status_code == 200
    file = lies()[lie](xorb)
    answer = session.post_shard(shard([whole(xorb), file] if "hash" in lie else [file], [xorb]), version)
    if answer.status_code == 200:
        last = json.loads(answer.text.splitlines()[-1])
        assert version == 2 and last["type"] == "error" and last["retryable"] is False and last["message"]
    else:
        assert answer.status_code == 400 and answer.json()["error"]
    assert session.plan(file.hash).status_code == 404
    assert session.plan(whole(xorb).hash).status_code == 404
    assert "actions" in alice.batch(repo, (sha256(file.data), len(file.data))).json()["objects"][0]
    assert alice.commit_lines(repo, ("lfsFile", {"path": "m", "algo": "sha256", "oid": file.sha256, "size": len(file.data)})).status_code >= 400


def test_a_shard_may_not_list_other_chunks_than_a_xorb_has(session):
    xorb, other = Xorb(cut(noise(300_000))), Xorb(cut(noise(300_000)))
    session.post_xorb(xorb)
    other.hash = xorb.hash
    assert session.post_shard(shard([whole(xorb)], [other])).status_code == 400
    assert session.post_shard(shard([whole(xorb)], [xorb])).status_code == 200


def bad_shards(xorb):
    good = shard([whole(xorb)], [xorb])
    for end in range(0, len(good), 16):
        yield good[:end]
    for at in range(0, len(good), 3):
        yield good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1:]
    yield good[:48] + good[48:80] + b"\xff" * 8 + good[88:]  # counts of 4 billion
    yield noise(4096)


def test_broken_shards_are_refused_and_the_hub_goes_on(session):
    xorb = Xorb(cut(noise(100_000)))
    session.post_xorb(xorb)
    for body in bad_shards(xorb):
        answer = session.post_shard(body)
        assert answer.status_code in (200, 400), answer.text  # some bits do not matter
    assert session.post_shard(shard([whole(xorb)], [xorb])).status_code == 200


def bad_xorbs():
    chunk = noise(1000, 9)
    packed = xet.packed_chunk(smooth(5000, 1), 1)
    return {
        "empty": b"",
        "another version": xet.chunk_header(1000, 0, 1000, version=1) + chunk,
        "an unknown scheme": xet.chunk_header(1000, 3, 1000) + chunk,
        "no payload": xet.chunk_header(0, 0, 1000),
        "no length": xet.chunk_header(1000, 0, 0) + chunk,
        "lengths that differ": xet.chunk_header(1000, 0, 999) + chunk,
        "a chunk over the limit": xet.chunk_header(131073, 0, 131073) + noise(131073),
        "a payload over the limit": xet.chunk_header(262145, 1, 131072) + noise(262145),
        "a bomb": xet.packed_chunk(bytes(131072), 1)[:5] + (4096).to_bytes(3, "little") + xet.packed_chunk(bytes(131072), 1)[8:],
        "a frame that gives too little": packed[:5] + (5001).to_bytes(3, "little") + packed[8:],
        "a frame with something behind": xet.chunk_header(len(packed) - 8 + 1, 1, 5000) + packed[8:] + b"\0",
        "an end in a header": xet.packed_chunk(chunk) + b"\0\0\0\0",
        "an end in a payload": xet.packed_chunk(chunk)[:-1],
        "too many chunks": xet.packed_chunk(b"x") * 8193,
    }


@pytest.mark.parametrize("flaw", bad_xorbs())
def test_a_malformed_xorb_is_refused(session, flaw):
    body = bad_xorbs()[flaw]
    answer = session.ask("POST", f"/v1/xorbs/default/{'11' * 32}", content=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_xorb_under_another_hash_is_refused_and_not_kept(session):
    xorb = Xorb(cut(noise(100_000)))
    assert session.post_xorb(xorb, hash=noise(32)).status_code == 400
    assert session.post_shard(shard([whole(xorb)], [xorb])).status_code == 400


def test_a_xorb_over_the_limit_is_refused_at_once(session):
    answer = session.ask("POST", f"/v1/xorbs/default/{'11' * 32}", content=bytes(66 * 1024 * 1024 + 1))
    assert answer.status_code == 413


def test_sending_bytes_of_others_known_by_hash_alone_gives_nothing(alice, bob, secret):
    xorb = Xorb(cut(noise(100_000)))
    Session(alice, secret).upload(xorb, whole(xorb))
    stranger = Session(bob, bob.new_repo())
    assert stranger.post_xorb(xorb, body=Xorb(cut(noise(100_000))).body).status_code == 400
    assert stranger.post_shard(shard([whole(xorb)])).status_code == 400
