# SPDX-License-Identifier: GPL-3.0-or-later
"""What limits cost, and looking for misuse: bench_tier and bench_misuse for what is below HTTP, wrk for metadata with tiers on and off. Prints one JSON object.

  python bench/tier.py [--quick]
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from loads import wrk

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "build" / "release"
CAIRN = Path(os.environ.get("CAIRN_BINARY", RELEASE / "cairn"))

# High enough that nothing is refused; every check is made all the same.
WIDE = {"slug": "basic", "name": "Basic", "purpose": "Bench.", "order": 1, "limits": [
    {"unit": unit, "scope": scope, "rate": 1000000000, "per": 1}
    for unit in ("req.api", "req.resolve", "req.page", "req.write") for scope in ("key", "person")] + [
    {"unit": "conn.parallel", "scope": "person", "hard": 100000},
    {"unit": "bytes.egress", "scope": "person", "per": 86400, "hard": 10**18}]}


def below_http(*arguments):
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        done = subprocess.run([RELEASE / "bench_tier", folder, *map(str, arguments)], capture_output=True, text=True, check=True)
    return dict((name, float(value)) for name, value in (line.split() for line in done.stdout.splitlines()))


def misuse(*arguments):
    done = subprocess.run([RELEASE / "bench_misuse", *map(str, arguments)], capture_output=True, text=True, check=True)
    return dict((name, float(value)) for name, value in (line.split() for line in done.stdout.splitlines()))


class Hub:
    def __init__(self, folder):
        self.data = Path(folder) / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.admin("user", "create", "ada")
        self.token = self.admin("token", "create", "ada", "--name", "k", "--role", "write").strip()
        self.log = open(Path(folder) / "log", "wb")
        self.process = subprocess.Popen([CAIRN, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"], stderr=self.log)
        for _ in range(200):
            try:
                self.ask("/healthz")
                break
            except OSError:
                time.sleep(0.05)
        self.ask("/api/repos/create", json.dumps({"type": "model", "name": "flora"}).encode())

    def admin(self, *arguments):
        return subprocess.run([CAIRN, "admin", "--data", self.data, *map(str, arguments)], capture_output=True, text=True, check=True).stdout

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body,
                                         headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(answer.headers), answer.read()

    def limited(self, on):
        tier = Path(self.data).parent / "tier.json"
        tier.write_text(json.dumps(WIDE if on else {**WIDE, "limits": []}))
        self.admin("tier", "set", tier)
        while ("RateLimit" in self.ask("/api/whoami-v2")[0]) != on:
            time.sleep(0.2)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def metadata(rounds, seconds):
    """On and off by turns, so that what else the machine does falls on both; the median of the ratios of neighbours. The time
    on the processor that a request takes is what a busy machine disturbs the least."""
    rates, costs = {True: [], False: []}, {True: [], False: []}
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        hub = Hub(folder)
        wrk([0], hub.port, "/api/models/ada/flora", 1, hub.token)
        for _ in range(rounds):
            for on in (False, True):
                hub.limited(on)
                before = hub.cpu_seconds()
                done = wrk([0], hub.port, "/api/models/ada/flora", seconds, hub.token)
                rates[on].append(done["rate"])
                costs[on].append((hub.cpu_seconds() - before) / done["count"] * 1e6)
        hub.stop()
    ratios = sorted(on / off for on, off in zip(rates[True], rates[False]))
    median = {on: sorted(values)[len(values) // 2] for on, values in rates.items()}
    cost = {on: sorted(values)[len(values) // 2] for on, values in costs.items()}
    return {"off_per_second": median[False], "on_per_second": median[True], "on_of_off": ratios[len(ratios) // 2],
            "lowest": ratios[0], "highest": ratios[-1],
            "off_cpu_us": cost[False], "on_cpu_us": cost[True], "cpu_off_of_on": cost[False] / cost[True]}


def main():
    if "--metadata" in sys.argv:
        return print(json.dumps(metadata(6, 3)))
    quick = "--quick" in sys.argv
    seconds = 1 if quick else 3
    result = {
        "one thread": below_http("rate", 1, seconds, 10_000),
        "two threads, a million subjects": below_http("rate", 2, seconds, 1_000_000),
        "limiter": below_http("enter", seconds),
        "64 writers": below_http("reserve", 64, 2 * seconds),
        "misuse, 100,000 keys": misuse(100_000, seconds),
        "misuse, 100,000 keys, two threads": misuse(100_000, seconds, 2),
        "metadata": metadata(1 if quick else 6, 2 if quick else 3),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
