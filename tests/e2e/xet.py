# SPDX-License-Identifier: GPL-3.0-or-later
"""The Xet protocol in Python, written from its description alone: an oracle for the hub's own, and a client that can also lie.

Chunks are cut at fixed places: where a client cuts is its own affair, as long as the hashes fit.
"""

import struct

import blake3
import lz4.frame

from support import sha256

DATA = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
PROOF = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
ZERO = bytes(32)
SHARD_TAG = bytes.fromhex("48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa9")
BOOKEND = b"\xff" * 32 + bytes(16)
CHUNK = 65536


def keyed(key, data):
    return blake3.blake3(data, key=key).digest()


def swap(raw):
    """Reverses every group of 8 bytes: the step between a hash and its text, and between a SHA-256 and its place in a shard."""
    return b"".join(raw[i:i + 8][::-1] for i in range(0, 32, 8))


def text(raw):
    return swap(raw).hex()


def chunk_hash(data):
    return keyed(DATA, data)


def root(entries):
    """Of (hash, length) pairs."""
    if not entries:
        return ZERO
    while len(entries) > 1:
        entries = [node(group) for group in groups(entries)]
    return entries[0][0]


def groups(entries):
    at = 0
    while at < len(entries):
        left = len(entries) - at
        size = min(left, 9)
        if left > 2:
            size = next((i + 1 for i in range(2, size) if int.from_bytes(entries[at + i][0][24:], "little") % 4 == 0), size)
        yield entries[at:at + size]
        at += size


def node(group):
    lines = "".join(f"{text(hash_)} : {length}\n" for hash_, length in group)
    return keyed(NODE, lines.encode()), sum(length for _, length in group)


def file_hash(chunks):
    return keyed(ZERO, root([(chunk_hash(c), len(c)) for c in chunks]))


def cut(data, size=CHUNK):
    return [data[i:i + size] for i in range(0, len(data), size)]


def group4(data):
    return b"".join(data[lane::4] for lane in range(4))


def packed_chunk(data, scheme=0):
    payload = {0: lambda: data, 1: lambda: lz4.frame.compress(data), 2: lambda: lz4.frame.compress(group4(data))}[scheme]()
    return chunk_header(len(payload), scheme, len(data)) + payload


def chunk_header(payload_len, scheme, length, version=0):
    return bytes([version]) + payload_len.to_bytes(3, "little") + bytes([scheme]) + length.to_bytes(3, "little")


class Xorb:
    def __init__(self, chunks, scheme=0):
        self.chunks = chunks
        self.hash = root([(chunk_hash(c), len(c)) for c in chunks])
        self.body = b"".join(packed_chunk(c, scheme) for c in chunks)
        self.length = sum(map(len, chunks))

    def record(self):
        start, rows = 0, b""
        for chunk in self.chunks:
            rows += chunk_hash(chunk) + struct.pack("<IIII", start, len(chunk), 0, 0)
            start += len(chunk)
        return self.hash + struct.pack("<IIII", 0, len(self.chunks), self.length, 0) + rows


class File:
    """terms are (xorb, start, end)."""

    def __init__(self, terms, **lies):
        self.terms = terms
        chunks = [chunk for xorb, start, end in terms for chunk in xorb.chunks[start:end]]
        self.data = b"".join(chunks)
        self.hash = lies.get("hash", file_hash(chunks))
        self.sha256 = lies.get("sha256", sha256(self.data))
        self.proof = lies.get("proof")
        self.length_off = lies.get("length_off", 0)

    def record(self):
        out = bytearray(self.hash) + struct.pack("<IIII", 0xC0000000, len(self.terms), 0, 0)
        for xorb, start, end in self.terms:
            length = sum(map(len, xorb.chunks[start:end])) + self.length_off
            out += xorb.hash + struct.pack("<IIII", 0, length, start, end)
        for xorb, start, end in self.terms:
            out += (self.proof or keyed(PROOF, b"".join(map(chunk_hash, xorb.chunks[start:end])))) + bytes(16)
        return bytes(out) + swap(bytes.fromhex(self.sha256)) + bytes(16)


def shard(files=(), xorbs=()):
    head = SHARD_TAG + struct.pack("<QQ", 2, 0)
    return head + b"".join(f.record() for f in files) + BOOKEND + b"".join(x.record() for x in xorbs) + BOOKEND


class Session:
    """A client of the CAS with a token for one repo."""

    def __init__(self, person, repo, write=True, kind="models"):
        self.http = person.http
        answer = person.http.get(f"/api/{kind}/{repo}/xet-{'write' if write else 'read'}-token/main")
        answer.raise_for_status()
        self.cas, self.token = answer.json()["casUrl"], answer.json()["accessToken"]

    def ask(self, method, path, **how):
        headers = {"authorization": f"Bearer {self.token}", **how.pop("headers", {})}
        return self.http.request(method, self.cas + path, headers=headers, **how)

    def post_xorb(self, xorb, **how):
        return self.ask("POST", f"/v1/xorbs/default/{text(how.get('hash', xorb.hash))}", content=how.get("body", xorb.body))

    def post_shard(self, body, version=1):
        return self.ask("POST", f"/v{version}/shards", content=body)

    def upload(self, *xorbs_then_file):
        """Xorbs, then the file made of them; asserts that all was taken."""
        *xorbs, file = xorbs_then_file
        for xorb in xorbs:
            answer = self.post_xorb(xorb)
            assert answer.status_code == 200, answer.text
        answer = self.post_shard(shard([file], xorbs))
        assert answer.status_code == 200, answer.text
        return file

    def plan(self, hash_, version=2, first=None, last=None):
        headers = {} if first is None else {"range": f"bytes={first}-{last}"}
        return self.ask("GET", f"/v{version}/reconstructions/{text(hash_)}", headers=headers)

    def ask_chunk(self, hash_):
        return self.ask("GET", f"/v1/chunks/default/{text(hash_)}")


def unpack(body):
    """The chunks of a wire form."""
    chunks, at = [], 0
    while at < len(body):
        size, scheme, length = int.from_bytes(body[at + 1:at + 4], "little"), body[at + 4], int.from_bytes(body[at + 5:at + 8], "little")
        payload = body[at + 8:at + 8 + size]
        if scheme:
            payload = lz4.frame.decompress(payload)
        if scheme == 2:
            lanes, lane = bytearray(length), 0
            for first in range(4):
                count = len(range(first, length, 4))
                lanes[first::4] = payload[lane:lane + count]
                lane += count
            payload = bytes(lanes)
        assert len(payload) == length and body[at] == 0
        chunks.append(payload)
        at += 8 + size
    return chunks


def read_plan(http, plan):
    """Fetches what a v2 plan names, as a client does, and puts the bytes together."""
    found = {}
    for xorb, entries in plan["xorbs"].items():
        for entry in entries:
            for r in entry["ranges"]:
                answer = http.get(entry["url"], headers={"range": f"bytes={r['bytes']['start']}-{r['bytes']['end']}"})
                assert answer.status_code == 206, answer.text
                for index, chunk in enumerate(unpack(answer.content), r["chunks"]["start"]):
                    found[xorb, index] = chunk
    parts = []
    for term in plan["terms"]:
        part = b"".join(found[term["hash"], i] for i in range(term["range"]["start"], term["range"]["end"]))
        assert len(part) == term["unpacked_length"]
        parts.append(part)
    return b"".join(parts)[plan["offset_into_first_range"]:]
