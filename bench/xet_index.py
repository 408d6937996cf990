# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of a large file, and the memory of a hub that knows many chunks."""

import hashlib
import os
import time

from loads import Http
from servers import CORES, Cairn
from xet_client import CHUNK, XORB, Cas, File, Xorb

BLOCK = 256_000_000  # bytes that hf_xet asks a plan for at once
LIMIT_MS = 10


def is_key(hash_):
    return int.from_bytes(hash_[24:], "little") % 1024 == 0


class Index:
    """A hub of its own, with nothing in it."""

    def __init__(self, bench):
        self.table, self.folder = bench.table, bench.folder / "index"
        self.folder.mkdir()
        self.hub = Cairn(self.folder, CORES)
        self.hub.admin("user", "create", "bench")
        self.token = self.hub.admin("token", "create", "bench", "--name", "bench", "--role", "write")
        with Http(self.hub.port, self.token) as http:
            http.ask_json("POST", "/api/repos/create", {"type": "model", "name": "index"})
        self.chunks, self.keys = 0, []

    def cas(self):
        return Cas(self, "bench/index")

    def upload(self, xorbs, size):
        """One file of so many xorbs of 64 MiB. Each chunk is a random word over and over, so it costs little room."""
        digest, made = hashlib.sha256(), []
        with self.cas() as cas:
            for _ in range(xorbs):
                chunks = [os.urandom(8) * (size // 8) for _ in range(XORB // size)]
                for chunk in chunks:
                    digest.update(chunk)
                made.append(Xorb(chunks, scheme=1))
                cas.post_xorb(made[-1])
                made[-1].body = None
                self.chunks += len(chunks)
                self.keys += [hash_ for hash_, _ in made[-1].entries if is_key(hash_)]
            file = File(made, digest.hexdigest())
            cas.post_file(file)
        return file

    def time_plans(self, file, when):
        blocks = [(at, at + BLOCK - 1) for at in range(0, file.size, BLOCK)]
        with self.cas() as cas:
            for what, ranges in (("whole", [(None, None)]), ("ranges of 256 MB", blocks)):
                times = []
                for number in range(400):
                    start = time.perf_counter()
                    cas.plan(file, *ranges[number % len(ranges)])
                    times.append((time.perf_counter() - start) * 1000)
                times.sort()
                name = f"plan of a file of {file.size / 1e9:.1f} GB, {what}, {when}"
                self.table.alone(f"{name}: median ms", [times[200]])
                self.table.alone(f"{name}: p99, ms", [times[395]], below=LIMIT_MS)

    def memory(self, file):
        """Of a hub that was just started, after the same questions each time: only the index differs. MiB, of some starts."""
        name = f"memory, {self.chunks:,} chunks"
        self.table.alone(f"{name}, while they came: peak MiB resident", [self.hub.memory()["VmHWM"]], 1)
        return [self.memory_at_start(file) for _ in range(3)]

    def memory_at_start(self, file):
        self.hub.stop()
        self.hub = Cairn(self.folder, CORES)
        with self.cas() as cas:
            for number in range(400):
                assert cas.ask_chunk(self.keys[number % 32]) == 200
                cas.plan(file)
        time.sleep(1)
        return self.hub.memory()["VmRSS"]


def index(bench):
    """The chunks that fill the index are small, so that a million of them is soon made."""
    index = Index(bench)
    try:
        first = index.upload(12, 8 << 10)
        some, few = index.memory(first), index.chunks
        file = index.upload(16 if bench.quick else 160, CHUNK)
        index.time_plans(file, f"{index.chunks:,} chunks in the index")
        for _ in range(1 if bench.quick else 4):
            index.upload(12 if bench.quick else 24, 8 << 10)
        index.time_plans(file, f"{index.chunks:,} chunks in the index")
        what = f"memory, {index.chunks:,} chunks in the index, beside {few:,}: MiB resident"
        index.table.pair(what, index.memory(first), some, 1, at_most=1.1)
    finally:
        index.hub.stop()
