# SPDX-License-Identifier: GPL-3.0-or-later
"""A Xet client whose bodies are ready before the clock starts, and kept no longer than needed. The format is that of tests/e2e/xet.py."""

import hashlib
import json
import struct
import sys

from loads import MIB, Http, path_of
from servers import ROOT

sys.path.append(str(ROOT / "tests" / "e2e"))
from xet import PROOF, ZERO, chunk_hash, keyed, packed_chunk, root, shard, swap, text  # noqa: E402

CHUNK = 64 << 10
XORB = 64 * MIB


class Xorb:
    def __init__(self, chunks, scheme=0):
        self.entries = [(chunk_hash(chunk), len(chunk)) for chunk in chunks]
        self.hash, self.length = root(self.entries), sum(map(len, chunks))
        self.body = b"".join(packed_chunk(chunk, scheme) for chunk in chunks)

    def record(self):
        out, start = [self.hash, struct.pack("<IIII", 0, len(self.entries), self.length, 0)], 0
        for hash_, length in self.entries:
            out += hash_, struct.pack("<IIII", start, length, 0, 0)
            start += length
        return b"".join(out)


class File:
    """All chunks of some xorbs, in their order."""

    def __init__(self, xorbs, sha256):
        self.xorbs, self.sha256 = xorbs, sha256
        self.size = sum(xorb.length for xorb in xorbs)
        self.hash = keyed(ZERO, root([entry for xorb in xorbs for entry in xorb.entries]))

    def record(self):
        out = [self.hash, struct.pack("<IIII", 0xC0000000, len(self.xorbs), 0, 0)]
        for xorb in self.xorbs:
            out += xorb.hash, struct.pack("<IIII", 0, xorb.length, 0, len(xorb.entries))
        for xorb in self.xorbs:
            out += keyed(PROOF, b"".join(hash_ for hash_, _ in xorb.entries)), bytes(16)
        return b"".join(out) + swap(bytes.fromhex(self.sha256)) + bytes(16)

    def shard(self):
        return shard([self], self.xorbs)


def noise(path, size):
    """A file of noise at the path, and the xorbs that it is made of, uncompressed."""
    digest, xorbs = hashlib.sha256(), []
    with open("/dev/urandom", "rb") as source, path.open("wb") as target:
        for _ in range(size // XORB):
            data = source.read(XORB)
            digest.update(data)
            target.write(data)
            xorbs.append(Xorb([data[at:at + CHUNK] for at in range(0, XORB, CHUNK)]))
    return File(xorbs, digest.hexdigest())


class Cas(Http):
    """A keep-alive connection with a token to write to one repo."""

    def __init__(self, bench, repo):
        with Http(bench.hub.port, bench.token) as http:
            answer = http.ask_json("GET", f"/api/models/{repo}/xet-write-token/main")
        super().__init__(bench.hub.port, answer["accessToken"])
        self.prefix = path_of(answer["casUrl"])

    def begin(self, path, body):
        self.socket.sendall(self.send_head("POST", self.prefix + path, len(body)))

    def finish(self, body):
        self.socket.sendall(body)
        status, fields = self.read_head()
        length = int(fields["content-length"])
        while len(self.pending) < length:
            self.receive()
        answer, self.pending = self.pending[:length], self.pending[length:]
        assert status == 200, (status, answer)

    def begin_xorb(self, xorb):
        self.begin(f"/v1/xorbs/default/{text(xorb.hash)}", xorb.body)

    def post_xorb(self, xorb):
        self.begin_xorb(xorb)
        self.finish(xorb.body)

    def post_file(self, file):
        body = file.shard()
        self.begin("/v1/shards", body)
        self.finish(body)

    def plan(self, file, first=None, last=None):
        headers = {} if first is None else {"Range": f"bytes={first}-{last}"}
        status, _, content = self.ask("GET", f"{self.prefix}/v2/reconstructions/{text(file.hash)}", headers=headers)
        assert status == 200, (status, content)
        return content

    def ask_chunk(self, hash_):
        return self.ask("GET", f"{self.prefix}/v1/chunks/default/{text(hash_)}")[0]


def data_requests(plan):
    """What the plan says to fetch: (path, first, last)."""
    return [(path_of(entry["url"]), part["bytes"]["start"], part["bytes"]["end"])
            for entries in json.loads(plan)["xorbs"].values() for entry in entries for part in entry["ranges"]]
