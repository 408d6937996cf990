# SPDX-License-Identifier: GPL-3.0-or-later
"""A round of federated training beside Flower's own server, on the same cores, one after the other: n clients that send back what they
get, each a program of its own, n and the width of the model as bench/RESULTS.md has them. Flower is 1.8 with its fastest transport
(gRPC). The hub is measured with our own clients, and by its Fleet routes, with clients that ask as Flower's do but do not sleep for
three seconds when there is nothing to do yet.

A round's time is that from one begin to the next, in the mean of its clients: one of them alone is now early and now late. Memory is the
server's peak (VmHWM).

  python bench/flower.py [--quick] [N,WIDTH ...]
"""

import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from table import Table

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "build" / "release"
CAIRN = Path(os.environ.get("CAIRN_BINARY", RELEASE / "cairn"))
CASES = [(10, 1_000_000), (50, 1_000_000), (10, 10_000_000)]
ROUNDS = 5

SERVER = """
import sys, numpy, flwr
width, clients, rounds = map(int, sys.argv[2:])
strategy = flwr.server.strategy.FedAvg(min_fit_clients=clients, min_available_clients=clients, fraction_evaluate=0.0,
    initial_parameters=flwr.common.ndarrays_to_parameters([numpy.zeros(width, numpy.float32)]))
flwr.server.start_server(server_address=sys.argv[1], strategy=strategy, config=flwr.server.ServerConfig(num_rounds=rounds))
"""
GRPC_CLIENT = """
import sys, time, flwr
class Client(flwr.client.NumPyClient):
    def fit(self, parameters, config):
        print(time.monotonic(), flush=True)
        return parameters, 10, {}
flwr.client.start_client(server_address=sys.argv[1], client=Client().to_client())
"""
OUR_CLIENT = """
import sys, time, cairn.federate
def train(model, config):
    print(time.monotonic(), flush=True)
    return model, 10
cairn.federate.join(*sys.argv[1:4], train)
"""
FLEET_CLIENT = """
import base64, http.client, sys, time
host, token, repo = sys.argv[1:4]
http, key = http.client.HTTPConnection(host), base64.b64encode(f"{repo}:{token}".encode()).decode()

def post(name, *pieces):
    http.putrequest("POST", "/api/v0/fleet/" + name)
    for header in ("authorization", "Basic " + key), ("content-type", "application/protobuf"), ("content-length", sum(map(len, pieces))):
        http.putheader(*map(str, header))
    http.endheaders()
    for piece in pieces:
        http.send(piece)
    return http.getresponse().read()

def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])

def field(number, *pieces):
    # Its head, and what is in it: pieces that are sent one after the other, as the long one is not to be copied.
    return [varint(number << 3 | 2) + varint(sum(map(len, pieces))), *pieces]

def fields(message):
    out, at = {}, 0
    def number():
        nonlocal at
        value = shift = 0
        while True:
            value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
            if message[at - 1] < 128:
                return value
    while at < len(message):
        key = number()
        length = 0 if key & 7 == 0 else number() if key & 7 == 2 else 8
        value, at = number() if key & 7 == 0 else message[at:at + length], at + length
        out[key >> 3] = value
    return out

node = field(1, fields(post("create-node"))[1])
while True:
    task = fields(memoryview(post("pull-task-ins", *node))).get(2)
    if not task:
        time.sleep(0.1)
        continue
    task = fields(task)
    inner = fields(task[4])
    if bytes(inner[8]) == b"reconnect":
        break
    print(time.monotonic(), flush=True)
    record = fields(fields(inner[9])[1])[2]
    count = field(2, *field(1, b"n"), *field(2, *field(1, *field(1, b"num_examples"), *field(2, b"\\x10\\x14"))))
    records = [*field(1, *field(1, b"p"), *field(2, record)), *count]
    post("push-task-res", *field(1, *field(4, *field(7, task[1]), *field(8, b"train"), *field(9, *records))))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def peak(pid):
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0  # a process that has ended has none


def python(code, *arguments, path="", **more):
    environment = {**os.environ, "PYTHONPATH": str(path), "OPENBLAS_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0",
                   "CAIRN_LIBRARY": str(RELEASE / "libcairn.so")}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment, stderr=subprocess.DEVNULL, **more)


def rounds_of(clients, server):
    """Seconds of each round but the first, in which clients are still starting; and the server's peak of memory."""
    most = 0
    for _ in clients[0].stdout:
        most = max(most, peak(server.pid))
    outputs = [client.communicate(timeout=120)[0] for client in clients[1:]]
    if server.poll() is None:
        most = max(most, peak(server.pid))
    begins = [statistics.mean(map(float, lines)) for lines in zip(*(output.split() for output in outputs), strict=True)]
    return [later - earlier for earlier, later in zip(begins[1:], begins[2:])], most


def answers(address):
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def settle():
    """Each is measured on the memory of a machine that has just started, if we may: what others have left there slows whoever needs much."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        pass


def flower(count, width, rounds):
    settle()
    address, path = f"127.0.0.1:{free_port()}", ROOT / ".venv" / "flower18"
    server = python(SERVER, address, width, count, rounds, path=path, stdout=subprocess.DEVNULL)
    while not answers(address):  # a client that comes before its server waits for ever
        time.sleep(0.1)
    clients = [python(GRPC_CLIENT, address, path=path, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    found = rounds_of(clients, server)
    server.wait(120)
    return found


class Hub:
    def __init__(self, folder):
        self.data, self.port = Path(folder) / "data", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(Path(folder) / "log", "wb")
        self.admin("user", "create", "ada")
        self.token = self.key("ada")
        self.process = subprocess.Popen([CAIRN, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"], stderr=self.log)
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/healthz", timeout=10)
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the hub does not answer")

    def admin(self, *words):
        return subprocess.run([CAIRN, "admin", "--data", self.data, *words], capture_output=True, text=True, check=True).stdout.strip()

    def key(self, name):
        return self.admin("token", "create", name, "--name", "k", "--role", "write")

    def new_people(self, count):
        for number in range(count):
            self.admin("user", "create", f"p{number}")
        return [self.key(f"p{number}") for number in range(count)]

    def train(self, name, width, count, rounds):
        """A repo with a model of so many numbers, in training."""
        from huggingface_hub import HfApi
        header = json.dumps({"w": {"dtype": "F32", "shape": [width], "data_offsets": [0, 4 * width]}}).encode()
        header += b" " * (-len(header) % 8)
        api, repo = HfApi(endpoint=self.url, token=self.token), f"ada/{name}"
        api.create_repo(repo)
        api.upload_file(path_or_fileobj=struct.pack("<Q", len(header)) + header + bytes(4 * width), path_in_repo="model.safetensors", repo_id=repo)
        environment = {**os.environ, "CAIRN_URL": self.url, "CAIRN_TOKEN": self.token}
        words = ["--mode", "plain", "--rounds", str(rounds), "--min-participants", str(count)]
        subprocess.run([CAIRN, "federate", "open", repo, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return repo

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def ours(hub, keys, name, width, rounds, code, place, path=""):
    settle()
    repo = hub.train(name, width, len(keys), rounds)
    clients = [python(code, place, key, repo, path=path, stdout=subprocess.PIPE, text=True) for key in keys]
    return rounds_of(clients, hub.process)


def measure(table, count, width, rounds):
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    what = f"{count} clients at 10^{len(str(width)) - 1}"
    theirs, their_memory = flower(count, width, rounds)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        hub = Hub(folder)
        keys = hub.new_people(count)
        mine, memory = ours(hub, keys, "ours", width, rounds, OUR_CLIENT, hub.url, ROOT / "clients/python")
        fleet, fleet_memory = ours(hub, keys, "fleet", width, rounds, FLEET_CLIENT, f"127.0.0.1:{hub.port}")
        hub.stop()
    table.pair(f"round of {what}, our clients (s)", mine, theirs, 3, at_most=0.3)
    table.pair(f"round of {what}, Fleet routes (s)", fleet, theirs, 3, at_most=0.3)
    table.alone(f"server's memory, {what} (MiB)", [max(memory, fleet_memory)], 0, peer=f"{their_memory:,.0f}", below=200)


def main():
    table, rounds = Table(), 3 if "--quick" in sys.argv else ROUNDS
    cases = [tuple(map(int, word.split(","))) for word in sys.argv[1:] if "," in word] or CASES
    for count, width in cases:
        measure(table, count, width, rounds)
    print(table.text())


main()
