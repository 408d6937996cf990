# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in beside everything else: Argon2id costs a twentieth of a second of a core, and must not cost others their time."""

import json
import subprocess
import threading
import time
from statistics import median, quantiles

from servers import BINARY

PEOPLE = 8  # at once, without a pause: more than a hub ever sees, and enough that one is always at work
PASSWORD = b"correct horse battery"


def people(bench):
    names = [f"signer-{number}" for number in range(PEOPLE)]
    for name in names:
        bench.hub.admin("user", "create", name)
        subprocess.run([BINARY, "admin", "--data", bench.hub.data, "user", "password", name], input=PASSWORD, check=True,
                       capture_output=True)
    return names


def latencies(http, path, seconds):
    """One after another: wrk's 64 at once would measure the queue before the core, not what a person waits."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        status = http.ask("GET", path)[0]
        times.append((time.perf_counter() - begin) * 1000)
        assert status == 200, status
    return times


class Crowd:
    """People who sign in again and again while it lasts."""

    def __init__(self, bench, names):
        self.stop, self.count = threading.Event(), 0
        self.threads = [threading.Thread(target=self.sign_in, args=(bench, name)) for name in names]

    def sign_in(self, bench, name):
        body = json.dumps({"user": name, "password": PASSWORD.decode()}).encode()
        with bench.connect() as http:
            while not self.stop.is_set():
                status = http.ask("POST", "/api/sessions", body, {"Content-Type": "application/json"})[0]
                assert status in (200, 429), status
                self.count += status == 200

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def signin(bench):
    repo, names = bench.new_repo("signin", {"a.txt": b"a"}), people(bench)
    path, seconds = f"/api/models/{repo}", 2 if bench.quick else 5
    alone, beside, rates = [], [], []
    with bench.connect() as http:
        for _ in range(bench.rounds):
            alone.append(latencies(http, path, seconds))
            with Crowd(bench, names) as crowd:
                begin = time.monotonic()
                beside.append(latencies(http, path, seconds))
                rates.append(crowd.count / (time.monotonic() - begin))
    p99 = lambda times: quantiles(times, n=100)[98]  # noqa: E731
    bench.table.alone(f"{PEOPLE} people sign in at once by Argon2id: sign-ins/s", rates, 1)
    bench.table.pair("GET info while they do / while nobody does: median ms", [median(t) for t in beside],
                     [median(t) for t in alone], 3, at_most=1.5)
    bench.table.pair("GET info while they do / while nobody does: p99 ms", [p99(t) for t in beside], [p99(t) for t in alone], 3)
