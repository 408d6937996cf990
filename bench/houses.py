# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole rounds between two houses: a hub, `cairn house`, and participants by libcairn, all on this machine. What a participant costs is CPU
time: of its own from the end of training to the acceptance of its update, and of each house from there to the commit, for each.

  python bench/houses.py [--quick] [--large]      --large: a round of two at 10^8, too; takes a minute and 8 GB
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy
from safetensors.numpy import save

from table import Table

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
CAIRN = BUILD / "cairn"

# Without the model's download and the reading of it, which come before train(), and without Python, whose time is taken off.
PARTICIPANT = """
import json, sys, time
import cairn.federate
url, token, repo, seed = sys.argv[1:5]
import numpy
marks, sent = [], []

def train(model, config):
    change = numpy.random.default_rng(int(seed)).normal(size=model["w"].size).astype("f4")
    model["w"] += change / numpy.linalg.norm(change)
    marks.append(time.process_time())
    return model, 1

def progress(line):
    if line.endswith("bytes sent"):
        sent.append(int(line.split()[-3]))
    if line.endswith("the update was accepted"):
        marks.append(time.process_time())

cairn.federate.join(url, token, repo, train, progress=progress)
print(json.dumps([marks[1] - marks[0], sent[-1]]))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0


class Site:
    def __init__(self, folder):
        self.folder = Path(folder)
        ports = free_port(), free_port()
        self.url, self.house_url = (f"http://127.0.0.1:{port}" for port in ports)
        log = (self.folder / "log").open("ab")
        self.hub = subprocess.Popen([CAIRN, "serve", "--data", self.folder / "hub", "--listen", f"127.0.0.1:{ports[0]}"], stdout=log, stderr=log)
        self.house = subprocess.Popen([CAIRN, "house", "--data", self.folder / "house", "--listen", f"127.0.0.1:{ports[1]}"], stdout=log, stderr=log)
        for url in (f"{self.url}/healthz", f"{self.house_url}/v1/keys"):
            for _ in range(200):
                try:
                    if httpx.get(url).status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)

    def person(self, name):
        for words in (["user", "create", name], ["token", "create", name, "--name", "bench", "--role", "write", "--days", "30"]):
            done = subprocess.run([CAIRN, "admin", "--data", self.folder / "hub", *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def close(self):
        for process in (self.hub, self.house):
            process.terminate()
            process.wait()


def commit_model(site, token, repo, width):
    from huggingface_hub import CommitOperationAdd, HfApi
    api = HfApi(endpoint=site.url, token=token)
    api.create_repo(repo)
    api.create_commit(repo, [CommitOperationAdd("model.safetensors", save({"w": numpy.zeros(width, "f4")}))], commit_message="start")


def federate(site, token, *words):
    environment = {**os.environ, "CAIRN_URL": site.url, "CAIRN_TOKEN": token}
    return json.loads(subprocess.run([CAIRN, "federate", *map(str, words)], capture_output=True, text=True, check=True, env=environment).stdout)


def run_round(site, tokens, owner, name, width):
    """Seconds of CPU: of a participant, of the hub and of the house for each; and of the wall for all of it."""
    repo = f"owner/{name}"
    commit_model(site, owner, repo, width)
    federate(site, owner, "open", repo, "--mode", "two-houses", "--rounds", 1, "--min-participants", len(tokens), "--house", site.house_url, "--grace", 0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": str(BUILD / "libcairn.so"), "OPENBLAS_NUM_THREADS": "1"}
    before, start = (cpu(site.hub), cpu(site.house)), time.monotonic()
    running = [subprocess.Popen([sys.executable, "-c", PARTICIPANT, site.url, token, repo, str(seed)], env=environment, stdout=subprocess.PIPE, text=True)
               for seed, token in enumerate(tokens)]
    clients = [json.loads(one.communicate(timeout=600)[0]) for one in running]
    wall = time.monotonic() - start
    after = cpu(site.hub), cpu(site.house)
    assert federate(site, owner, "status", repo)["state"] == "finished"
    seconds, sent = numpy.mean(clients, axis=0)
    return seconds, (after[0] - before[0]) / len(tokens), (after[1] - before[1]) / len(tokens), wall, sent / (4 * width)


def main():
    table, times = Table(), 1 if "--quick" in sys.argv else 3
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        site = Site(folder)
        owner = site.person("owner")
        tokens = [site.person(f"part{i}") for i in range(16)]
        found = [run_round(site, tokens, owner, f"m{i}", 1_000_000) for i in range(times)]
        for what, place, bar in (("a participant", 0, 0.4), ("the hub, for each", 1, 0.12), ("the house, for each", 2, 0.12)):
            table.alone(f"Two houses, 16 updates of 10^6: {what} (CPU s)", [one[place] for one in found], 3, below=bar)
        table.alone("Two houses, 16 updates of 10^6: bytes sent, by those of float32", [one[4] for one in found], 3, below=1.02)
        table.alone("Two houses, 16 updates of 10^6: the whole round (s)", [one[3] for one in found], 1)
        table.alone("Two houses, 16 updates of 10^6: memory of the hub (MB)", [peak(site.hub)], 0)
        table.alone("Two houses, 16 updates of 10^6: memory of the house (MB)", [peak(site.house)], 0)
        if "--large" in sys.argv:
            seconds, hub, house, wall, sent = run_round(site, tokens[:2], owner, "large", 100_000_000)
            table.alone("Two houses, 2 updates of 10^8: a participant; the hub, the house for each (CPU s)", [seconds, hub, house], 1)
            table.alone("Two houses, 2 updates of 10^8: the whole round (s)", [wall], 1)
            table.alone("Two houses, 2 updates of 10^8: memory of the hub, of the house (MB)", [peak(site.hub), peak(site.house)], 0)
        site.close()


main()
