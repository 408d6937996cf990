# SPDX-License-Identifier: GPL-3.0-or-later
"""What Xet costs the hub: taking files in, and giving them out."""

import os
import subprocess
import threading
import time

from loads import MIB, Http, commit, commit_body, in_threads
from servers import BINARY, CORES, SERVER_CORES
from xet_client import Cas, data_requests, noise

GIB = 1 << 30
HASHES = BINARY.resolve().with_name("bench_hashes")


# ---- uploads


def post_file(bench, repo, file, connections):
    """The xorbs over so many connections, then the shard. Wall seconds: of the xorbs, of all."""
    people = [Cas(bench, repo) for _ in range(connections)]
    waiting, cut = list(file.xorbs), threading.Lock()

    def send(person):
        while True:
            with cut:  # a client cuts the file from its start, so one begins after the other; hf_xet needs 100 ms and more for each
                if not waiting:
                    return
                xorb = waiting.pop(0)
                person.begin_xorb(xorb)
                time.sleep(0.002)
            person.finish(xorb.body)

    start = time.monotonic()
    in_threads([lambda person=person: send(person) for person in people])
    xorbs = time.monotonic() - start
    people[0].post_file(file)
    whole = time.monotonic() - start
    for person in people:
        person.socket.close()
    return xorbs, whole


def hash_file(path):
    command = ["taskset", "-c", ",".join(map(str, SERVER_CORES)), HASHES, path]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in done.split()[:2]]


def put(bench):
    """New noise for every upload; all of it is made, hashed and framed before the clock starts."""
    if not HASHES.exists():
        raise SystemExit(f"Missing: {HASHES}. make bench builds it.")
    repo = bench.new_repo("xet-upload")
    what = f"Xet upload of {bench.size_name}"
    compare_uploads(bench, repo, f"{what}, 4 connections", 4)
    compare_uploads(bench, repo, f"{what}, 1 connection", 1)
    bench.hub.run_on(CORES)
    compare_uploads(bench, repo, f"{what}, 4 connections, the hub on all cores", 4)
    bench.hub.run_on(SERVER_CORES)


def compare_uploads(bench, repo, what, connections):
    """Beside what verifying costs: the BLAKE3 of each chunk and the SHA-256 of the file, on one core."""
    rate, cpu, shard, path = ([], []), ([], []), [], bench.folder / "noise"
    for _ in range(bench.rounds):
        file = noise(path, bench.size)
        os.sync()
        bench.warm_memory()
        spent = bench.hub.cpu()
        xorbs, whole = post_file(bench, repo, file, connections)
        spent = bench.hub.cpu() - spent
        for side, (seconds, used) in enumerate(((whole, spent), hash_file(path))):
            rate[side].append(bench.size / MIB / seconds)
            cpu[side].append(used * GIB / bench.size)
        shard.append((whole - xorbs) / whole * 100)
        path.unlink()
    bench.table.pair(f"{what}, beside BLAKE3 + SHA-256 on one core: MiB/s", *rate, 0, at_least=0.7)
    bench.table.pair(f"{what}, beside the same: CPU s/GiB", *cpu)
    bench.table.alone(f"{what}: % of the time for the shard, thus SHA-256", shard, 0)


# ---- downloads


def get(bench):
    repo, path = bench.new_repo("xet-download"), bench.folder / "noise"
    file = noise(path, bench.size)
    post_file(bench, repo, file, 4)
    commit(bench.http, repo, commit_body({"weights.bin": (file.sha256, file.size)}))
    bench.nginx.serve("xet.bin", path)
    os.sync()
    times, ours = 8 if bench.quick else 2, f"/{repo}/resolve/main/weights.bin"
    bench.compare_downloads(f"GET {bench.size_name} that came by Xet", bench.get_whole, (bench.hub, ours),
                            (bench.nginx, "/xet.bin"), times, at_most=1.3, at_least=None)

    def get_by_xet(port, target):
        if target != "xet":
            return bench.get_whole(port, target)
        with Cas(bench, repo) as cas, Http(port) as http:
            for data, first, last in data_requests(cas.plan(file)):
                http.drop(data, first, last)

    bench.compare_downloads(f"Xet download of {bench.size_name}, plan and data", get_by_xet, (bench.hub, "xet"),
                            (bench.nginx, "/xet.bin"), times, at_most=None, at_least=None)
    path.unlink()

