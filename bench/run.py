# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench: what the hub costs beside nginx and beside the plain pipeline. `run.py --quick` is a smaller run of about a minute,
`--only get,put` measures some of it."""

import argparse
import hashlib
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import access
import record
import signin
import xet_index
import xet_storage
import xet_transfers
from loads import MIB, Http, batch, commit, commit_body, in_threads, list_tree, path_of, wrk
from servers import BINARY, CORES, LOAD_CORES, NGINX, ROOT, SERVER_CORES, Cairn, Nginx
from table import Table

GIB = 1 << 30
RANGES = 16
CARD = b"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [bench, small]
---
# A model like others
"""


class Bytes:
    """size bytes, from one random MiB that is repeated but for the last one: different for each name, and hashed quickly."""

    block = os.urandom(MIB)
    begun = {}

    def __init__(self, size, name):
        self.size, self.count = size, size // MIB
        self.last = hashlib.sha256(name.encode()).digest() * (MIB // 32)
        if size not in self.begun:
            self.begun[size] = hashlib.sha256()
            for _ in range(self.count - 1):
                self.begun[size].update(self.block)
        digest = self.begun[size].copy()
        digest.update(self.last)
        self.oid = digest.hexdigest()

    def pieces(self, first=0, count=None):
        end = self.count if count is None else first + count
        for number in range(first, end):
            yield self.last if number == self.count - 1 else self.block


class Bench:
    def __init__(self, folder, quick):
        self.folder, self.quick, self.table = folder, quick, Table()
        self.size = 128 * MIB if quick else GIB
        self.size_name = "128 MiB" if quick else "1 GiB"
        self.rounds = 3 if quick else 5
        self.hub = Cairn(folder)
        self.nginx = Nginx(folder)
        self.hub.admin("user", "create", "bench")
        self.token = self.hub.admin("token", "create", "bench", "--name", "bench", "--role", "write")
        self.http = self.connect()

    def connect(self):
        return Http(self.hub.port, self.token)

    def warm_memory(self):
        """A virtual machine pays its host for memory that it has not used lately, more than a file's bytes cost otherwise. After this
        the page cache takes what was in use just now, whoever writes next."""
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for _ in range(self.size // MIB):
                file.write(Bytes.block)

    def new_repo(self, name, files=None):
        self.http.ask_json("POST", "/api/repos/create", {"type": "model", "name": name})
        if files:
            commit(self.http, f"bench/{name}", commit_body(files))
        return f"bench/{name}"

    def upload(self, repo, name, size):
        """A large file in one signed PUT; wall seconds from the question where to put it to the answer that it is kept."""
        data = Bytes(size, name)
        start = time.monotonic()
        where = batch(self.http, repo, data.oid, size, "basic")["href"]
        with Http(self.hub.port) as http:
            http.put(path_of(where), size, data.pieces())
        return time.monotonic() - start, data

    # ---- downloads

    def get(self):
        repo = self.new_repo("download")
        _, data = self.upload(repo, "download", self.size)
        commit(self.http, repo, commit_body({"weights.bin": (data.oid, self.size)}))
        flat = self.folder / "flat"  # the hub's own file has a table behind the bytes
        with flat.open("wb") as file:
            for piece in data.pieces():
                file.write(piece)
        os.sync()
        self.nginx.serve("weights.bin", flat)
        ours, peer = (self.hub, f"/{repo}/resolve/main/weights.bin"), (self.nginx, "/weights.bin")
        times = 8 if self.quick else 2
        self.compare_downloads(f"GET {self.size_name}", self.get_whole, ours, peer, times)
        self.compare_downloads(f"GET {RANGES} parallel ranges of {self.size_name}", self.get_ranges, ours, peer, times)

    def get_whole(self, port, path):
        with Http(port) as http:
            http.drop(path)

    def get_ranges(self, port, path):
        length = self.size // RANGES

        def one(number):
            with Http(port) as http:
                http.drop(path, number * length, (number + 1) * length - 1)

        in_threads([lambda number=number: one(number) for number in range(RANGES)])

    def compare_downloads(self, what, get, ours, peer, times, at_most=1.15, at_least=0.9):
        cpu, rate = {}, {}
        for server, path in (ours, peer):
            get(server.port, path)
        for _ in range(self.rounds * 2):
            for server, path in (ours, peer):
                start, spent = time.monotonic(), server.cpu()
                for _ in range(times):
                    get(server.port, path)
                gib = times * self.size / GIB
                rate.setdefault(server, []).append(gib / (time.monotonic() - start))
                cpu.setdefault(server, []).append((server.cpu() - spent) * 1000 / gib)
        self.table.pair(f"{what}: server CPU, ms/GiB", cpu[ours[0]], cpu[peer[0]], 0, at_most=at_most)
        self.table.pair(f"{what}: GiB/s", rate[ours[0]], rate[peer[0]], at_least=at_least)

    # ---- uploads

    def put(self):
        repo, mib = self.new_repo("upload"), self.size // MIB
        rate, cpu = ([], []), ([], [])
        for number in range(self.rounds):
            for side, store in enumerate((lambda: self.hub_put(repo, f"upload {number}"), lambda: self.plain_put(mib))):
                os.sync()
                self.warm_memory()
                seconds, spent = store()
                rate[side].append(mib / seconds)
                cpu[side].append(spent * GIB / self.size)
        self.table.pair(f"PUT {self.size_name}, beside SHA-256 + write + fsync: MiB/s", *rate, 0, at_least=0.8)
        self.table.pair(f"PUT {self.size_name}, beside the same: CPU s/GiB", *cpu)

    def hub_put(self, repo, name):
        spent = self.hub.cpu()
        seconds, _ = self.upload(repo, name, self.size)
        return seconds, self.hub.cpu() - spent

    def plain_put(self, mib):
        target = self.folder / "plain"
        command = ["taskset", "-c", ",".join(map(str, SERVER_CORES)), sys.executable, Path(__file__).with_name("plain_put.py")]
        done = subprocess.run([*command, target, str(mib)], capture_output=True, text=True, check=True)
        target.unlink()
        return map(float, done.stdout.split())

    # ---- the API

    def info(self):
        files = {"README.md": CARD, "config.json": b'{"model_type": "bert", "architectures": ["BertModel"]}'}
        files |= {f"part-{number}.txt": b"some text" for number in range(8)}
        path = f"/api/models/{self.new_repo('info', files)}"
        body = self.http.ask("GET", path)[2]
        self.nginx.serve("info.json", body)
        runs = {"ours": (self.hub, path, None), "key": (self.hub, path, self.token), "peer": (self.nginx, "/info.json", None)}
        seen = {name: [] for name in runs}
        for _ in range(self.rounds):
            for name, (server, target, token) in runs.items():
                spent = server.cpu()
                result = wrk(LOAD_CORES, server.port, target, 2 if self.quick else 5, token)
                result["cpu"] = (server.cpu() - spent) * 1e6 / result["count"]
                seen[name].append(result)

        def values(name, field):
            return [result[field] for result in seen[name]]

        what = f"GET /api/models/ID, {len(body):,} bytes"
        self.table.pair(f"{what}: requests/s", values("ours", "rate"), values("peer", "rate"), 0, at_least=0.5)
        self.table.pair(f"{what}: p99, ms", values("ours", "p99"), values("peer", "p99"), 1)
        self.table.pair(f"{what}: CPU, us/request", values("ours", "cpu"), values("peer", "cpu"), 1)
        self.table.pair(f"{what}, with a key: requests/s", values("key", "rate"), values("peer", "rate"), 0)

    def files(self, count):
        """As data sets have them: a thousand to a folder."""
        return {f"data/{n // 1000:03}/sample-{n:06}.json": b'{"id": %d, "text": "a small sample"}' % n for n in range(count)}

    def commits(self):
        body, seconds, cpu = commit_body(self.files(1000)), [], []
        for number in range(self.rounds):
            repo = self.new_repo(f"thousand-{number}")
            start, spent = time.monotonic(), self.hub.cpu()
            commit(self.http, repo, body)
            seconds.append(time.monotonic() - start)
            cpu.append(self.hub.cpu() - spent)
        self.table.alone("commit of 1,000 small files: s", seconds, 3)
        self.table.alone("commit of 1,000 small files: CPU s", cpu, 3)

    def listing(self):
        for count in (10_000,) if self.quick else (10_000, 100_000):
            repo, body = self.new_repo(f"tree-{count}"), commit_body(self.files(count))
            start = time.monotonic()
            commit(self.http, repo, body)
            self.table.alone(f"commit of {count:,} small files: s", [time.monotonic() - start])
            seconds, cpu, entries = [], [], 0
            for _ in range(self.rounds):
                start, spent = time.monotonic(), self.hub.cpu()
                entries = list_tree(self.http, repo)
                seconds.append(time.monotonic() - start)
                cpu.append((self.hub.cpu() - spent) * 1e6 / entries)
            assert entries == count + count // 1000 + 2, entries  # the folders, and .gitattributes
            self.table.alone(f"list a tree of {count:,} files: s", seconds, 3)
            self.table.alone(f"list a tree of {count:,} files: entries/s", [entries / s for s in seconds], 0)
            self.table.alone(f"list a tree of {count:,} files: CPU us/entry", cpu, 1)

    def writers(self):
        people = 64
        repos = [self.new_repo(f"writer-{number}") for number in range(people)]
        for crowd, each in ((1, 200), (people, 10 if self.quick else 30)):
            rates, cpu, who = [], [], f"{crowd} writer{'s' * (crowd > 1)}, a repo each"
            for number in range(self.rounds):
                spent = self.hub.cpu()
                rates.append(self.write_all(repos[:crowd], each, number))
                cpu.append((self.hub.cpu() - spent) * 1e6 / (crowd * each))
            self.table.alone(f"{who}: commits/s", rates, 0)
            self.table.alone(f"{who}: CPU us/commit", cpu, 0)

    def write_all(self, repos, each, number):
        def write(repo):
            with self.connect() as http:
                for turn in range(each):
                    commit(http, repo, commit_body({"notes.txt": b"round %d turn %d of %d" % (number, turn, len(repos))}))

        start = time.monotonic()
        in_threads([lambda repo=repo: write(repo) for repo in repos])
        return len(repos) * each / (time.monotonic() - start)

    # ---- memory

    def memory(self):
        """A hub that was just started, on all cores, over the data that there is by now."""
        self.http.socket.close()
        self.hub.stop()
        self.hub = Cairn(self.folder, CORES)
        self.http = self.connect()
        time.sleep(3)
        self.memory_row("idle", self.hub.memory(), "VmRSS", 32)
        self.http.ask("GET", "/api/whoami-v2")

        idle = [self.connect() for _ in range(1000)]
        for http in idle:
            assert http.ask("GET", "/api/whoami-v2")[0] == 200
        time.sleep(1)
        self.memory_row("1,000 idle connections", self.hub.memory(), "VmRSS", 64)
        for http in idle:
            http.socket.close()
        self.memory_under_load(512 * MIB if self.quick else 6 * GIB)

    def memory_row(self, when, memory, field, bar):
        self.table.alone(f"memory, {when}: {'peak ' * (field == 'VmHWM')}MiB resident", [memory[field]], 1, below=bar)
        self.table.alone(f"memory, {when}: MiB of that not backed by files", [memory["RssAnon"]], 1)

    def memory_under_load(self, size):
        repo = self.new_repo("memory")
        _, small = self.upload(repo, "memory", 256 * MIB)
        commit(self.http, repo, commit_body({"weights.bin": (small.oid, small.size)}))
        over, anonymous = threading.Event(), [0.0]

        def watch():
            while not over.wait(0.02):
                anonymous[0] = max(anonymous[0], self.hub.memory()["RssAnon"])

        def download():
            """A reader at 32 MB/s: readers without limit would keep both cores from the upload."""
            while not over.is_set():
                with self.connect() as http:
                    http.drop(f"/{repo}/resolve/main/weights.bin", after_piece=lambda got: over.wait(got / 32e6))

        def upload():
            try:
                self.upload_in_parts(repo, Bytes(size, "memory in parts"))
            finally:
                over.set()

        self.hub.reset_peak()
        start = time.monotonic()
        in_threads([watch, upload, *[download] * RANGES])
        seconds = time.monotonic() - start
        peak = {"VmHWM": self.hub.memory()["VmHWM"], "RssAnon": anonymous[0]}
        what = f"{size / GIB:g} GiB upload + {RANGES} downloads"
        self.memory_row(what, peak, "VmHWM", 128)
        self.table.alone(f"{what}: upload MiB/s", [size / MIB / seconds], 0)

    def upload_in_parts(self, repo, data):
        """As the stock clients do it; four parts at a time."""
        actions = batch(self.http, repo, data.oid, data.size, "multipart")
        header = actions["header"]
        step = int(header["chunk_size"])
        numbers = sorted(name for name in header if re.fullmatch(r"\d+", name))
        etags, waiting = {}, list(reversed(numbers))

        def send():
            with Http(self.hub.port) as http:
                while waiting:
                    number = waiting.pop()
                    start = (int(number) - 1) * step
                    length = min(step, data.size - start)
                    fields = http.put(path_of(header[number]), length, data.pieces(start // MIB, length // MIB))
                    etags[int(number)] = fields["etag"]

        in_threads([send] * 4)
        parts = [{"partNumber": number, "etag": etags[number]} for number in sorted(etags)]
        self.http.ask_json("POST", path_of(actions["href"]), {"oid": data.oid, "parts": parts})

    def stop(self):
        self.http.socket.close()
        self.hub.stop()
        self.nginx.stop()


PARTS = {
    "get": Bench.get, "put": Bench.put, "info": Bench.info, "commits": Bench.commits, "listing": Bench.listing,
    "writers": Bench.writers, "xet-get": xet_transfers.get, "xet-put": xet_transfers.put, "xet-index": xet_index.index,
    "xet-storage": xet_storage.storage, "record": record.record, "access": access.access, "signin": signin.signin,
    "memory": Bench.memory,
}


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return f"{len(CORES)} cores ({model[1] if model else platform.machine()}), {gib:.0f} GiB memory, Linux {platform.release()}"


def header(bench):
    version = subprocess.run([NGINX, "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]
    shared = "the same" if SERVER_CORES == LOAD_CORES else "the other"
    rest = os.getloadavg()[0]
    lines = [
        f"Machine: {machine()}. Loopback; load average before: {rest:.1f}"
        + (" - OTHERS WERE BUSY, so trust CPU more than seconds." if rest > 1 else "."),
        f"Peers: nginx {version} ({len(SERVER_CORES)} worker, sendfile, no access log; the hub logs each request), SHA-256 + write"
        " + fsync in one program, and BLAKE3 + SHA-256 from memory on one core.",
        f"Pinned: servers on core {SERVER_CORES}, load on {shared} {LOAD_CORES}; in the memory rows, those of plans and those of the log all have all cores.",
        record.PEERS,
        "Bytes sent and stored: the peer is the size of the files, which plain LFS sends and keeps.",
        f"Ours and the peer are measured in turn, {bench.rounds} rounds or twice as many: the median, and the least and most of the rounds in brackets. Ratio: ours"
        " / peer of a round.",
    ]
    return lines + (["A quick run: smaller files, fewer seconds."] if bench.quick else [])


def write_results(lines, table):
    text = "# Measured\n\nWritten by `make bench`.\n\n" + "\n".join(f"- {line}" for line in lines) + f"\n\n{table.markdown()}\n"
    (ROOT / "bench" / "RESULTS.md").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help=f"some of {','.join(PARTS)}; writes no RESULTS.md", default="")
    arguments = parser.parse_args()
    missing = [tool for tool in (str(BINARY), NGINX, "wrk", "taskset") if not shutil.which(tool)]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. make bench builds and installs what is needed.")
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if not set(chosen) <= set(PARTS):
        parser.error(f"--only takes {','.join(PARTS)}")
    (ROOT / "build").mkdir(exist_ok=True)
    if not arguments.quick and shutil.disk_usage(ROOT / "build").free < 40 * GIB:
        sys.exit("The full run needs 40 GiB of free disk.")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.sched_setaffinity(0, LOAD_CORES)

    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build"))
    bench = None
    try:
        bench = Bench(folder, arguments.quick)
        lines = header(bench)
        print("\n".join(lines), flush=True)
        start = time.monotonic()
        for part in chosen:
            bench.http = bench.connect()  # a hub ends connections that were idle for long
            PARTS[part](bench)
        print(f"\n{bench.table.text()}\n\n{time.monotonic() - start:.0f} s")
        if not arguments.only and not arguments.quick:
            write_results(lines, bench.table)
    finally:
        if bench:
            bench.stop()
        shutil.rmtree(folder, ignore_errors=True)


main()
