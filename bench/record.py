# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record of all changes costs, without HTTP (bench/record.c), beside what the disk and SHA-256 can do at all and beside
Tessera's POSIX driver (bench/tessera), each in a process of its own on all cores."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from servers import CORES, ROOT

RECORD = ROOT / "build" / "release" / "bench_record"
TESSERA = Path(__file__).with_name("tessera")
VERSION = re.search(r"transparency-dev/tessera (v\S+)", (TESSERA / "go.mod").read_text())[1]

# Words for bench/tessera: the most entries of a batch, how long it waits for them (ms), how often there is a checkpoint (ms; it takes
# no less than 100). Nothing, for its own defaults: 256, 250 and 10,000.
DEFAULTS, FOR_RATE, FOR_LATENCY = (), (4096, 20, 100), (100, 2, 100)

PEERS = (
    "The log: \"events\" are rows of the database with what follows from them and their leaves in the log, \"entries\" are the log alone; both"
    f" count when they are durable and in a published checkpoint, signed by another process. Peer: Tessera {VERSION}, POSIX driver, entries of the"
    " same size, no deduplication, in one process with its load. Its rates count what is durable and in the tree, since it makes checkpoints by"
    " the clock; \"set for it\" gives the size and age of its batches, with checkpoints as often as it lets them be (100 ms)."
)


def run(program, *words):
    """The numbers that a program prints, by name."""
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, CORES))
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(map(str, words))}:\n{done.stderr[-2000:]}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def built_tessera():
    """The program, or None where there is no Go that builds it."""
    program = ROOT / "build" / "bench_tessera"
    if not shutil.which("go"):
        return None
    done = subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=TESSERA, capture_output=True, text=True)
    if done.returncode:
        print("  bench/tessera:", done.stderr.strip()[-300:], flush=True)
    return None if done.returncode else program


class Record:
    def __init__(self, bench):
        self.table, self.rounds, self.quick = bench.table, bench.rounds, bench.quick
        self.folder = bench.folder / "record"
        self.seconds = 2 if bench.quick else 5
        self.tessera = built_tessera()

    def ours(self, *words):
        try:
            return run(RECORD, self.folder, *words)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def peer(self, writers, batch, seconds, entry, wait, settings):
        try:
            return run(self.tessera, self.folder, writers, batch, seconds, round(entry), wait, *settings)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def beside(self, what, ours, peer, digits, **bounds):
        """A row; without the peer where there is none."""
        if peer:
            self.table.pair(what, ours, peer, digits, **bounds)
        else:
            self.table.alone(what, ours, digits, peer="not built here", **bounds)

    def rate(self):
        writers, batch = 16, 256
        events, entries, plain, peers = [], [], [], {DEFAULTS: [], FOR_RATE: []}
        for _ in range(self.rounds):
            events.append(self.ours("append", writers, batch, self.seconds, 0))
            size = round(events[-1]["entry"])
            entries.append(self.ours("log", writers, batch, self.seconds, size)["rate"])
            plain.append(self.ours("plain", size, batch, 1))
            for settings, results in peers.items() if self.tessera else ():
                results.append(self.peer(writers, batch, self.seconds, size, "integrated", settings)["rate"])
        what = f"{writers} writers of {batch} entries: entries/s"
        self.beside(f"log, {what}; Tessera as it comes", entries, peers[DEFAULTS], 0)
        self.beside(f"log, {what}; Tessera set for it (4,096, 20 ms)", entries, peers[FOR_RATE], 0)
        self.table.pair(f"log, {what}; append + fdatasync of each {batch}", entries, [one["rate"] for one in plain], 0)
        self.table.pair(f"log, {what}; SHA-256 of the same leaves", entries, [one["hashes"] for one in plain], 0)
        what = f"log, {writers} writers of {batch} events: events/s; entries in Tessera set for it"
        self.beside(what, [one["rate"] for one in events], peers[FOR_RATE], 0, above=20000)
        signed = [self.ours("append", writers, 64, self.seconds, 1)["rate"] for _ in range(self.rounds)]
        self.table.alone(f"log, {writers} writers of 64 events, each with a P-256 signature to verify: events/s", signed, 0, above=6000)

    def latency(self):
        found, integrated, published = [], [], []
        for _ in range(self.rounds):
            found.append(self.ours("append", 100, 1, self.seconds, 0))
            if self.tessera:
                peer = lambda wait: self.peer(100, 1, self.seconds, found[-1]["entry"], wait, FOR_LATENCY)["p99"]  # noqa: E731
                integrated.append(peer("integrated"))
                published.append(peer("published"))
        p99 = [one["p99"] for one in found]
        what = "log, 100 writers of one event"
        self.beside(f"{what}: p99, ms; Tessera set for it (100, 2 ms), in a checkpoint", p99, published, 1, below=25)
        self.beside(f"{what}: p99, ms; the same, in the tree and not yet in a checkpoint", p99, integrated, 1)
        default = [self.peer(100, 1, 12, found[0]["entry"], "published", DEFAULTS)["p99"]] if self.tessera else []
        self.beside(f"{what}: p99, ms; Tessera as it comes, in a checkpoint", p99[:1], default, 1)
        self.table.alone(f"{what}: p50, ms", [one["p50"] for one in found], 1)
        self.table.alone(f"{what}: events/s", [one["rate"] for one in found], 0)

    def reading(self):
        count, many = (100_000, 500_000) if self.quick else (1_000_000, 4_000_000)
        proofs = [self.ours("proof", count) for _ in range(self.rounds)]
        self.table.alone(f"log of {count:,}: inclusion proof, hot: us", [one["inclusion_us"] for one in proofs], below=50)
        assert all(one["cosignatures"] == 3 for one in proofs)
        self.table.alone("verify a proof with three cosignatures: us", [one["verify_us"] for one in proofs], 0, below=1000)
        checks = [self.ours("fsck", count) for _ in range(min(3, self.rounds))]
        assert all(one["findings"] == 0 for one in checks)
        self.table.alone(f"fsck of a log of {count:,}: s", [one["fsck_s"] for one in checks], **({} if self.quick else {"below": 5}))
        small, large = self.ours("proof", 100_000)["memory"], self.ours("proof", many)["memory"]
        self.table.pair(f"memory of a log of {many:,} that grew and was read; of 100,000: peak MiB", [large], [small], 1, below=64)


def record(bench):
    part = Record(bench)
    part.rate()
    part.latency()
    part.reading()
