# SPDX-License-Identifier: GPL-3.0-or-later
"""Flower's own clients, unmodified, in the federated training of a repo. Those who only look like them are in test_fleet.py."""

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy
import pytest
from safetensors.numpy import load

from support import ROOT, SANITIZER, Hub, free_port, new_name, until
from test_federate import TRAIN, mean_of, new_model, open_run, reference, run_of, same, start_model
from test_libcairn import LIBRARY, preload  # noqa: F401

CLIENTS = Path(sys.prefix)

OF_18 = TRAIN + """
import sys
import flwr
from flwr.client import NumPyClient, start_client
address, seed, how = sys.argv[1:4]

class Client(NumPyClient):
    def fit(self, parameters, config):
        if how == "fails":
            raise RuntimeError("no data here")
        trained, examples = fit(dict(zip(("b", "w"), parameters)), int(seed))
        print("round", config["round"], config["server_round"], config["rounds"], flush=True)
        arrays = [trained["b"], trained["w"]]
        if how == "nan":
            arrays[1][2] = numpy.nan
        if how == "shape":
            arrays[1] = numpy.zeros(6, numpy.float32)
        if how == "few":
            arrays.pop()
        if how == "far":
            arrays[1] += 1000
        if how == "int":
            arrays[1] = arrays[1].astype(numpy.int32)
        if how == "double":
            arrays = [array.astype(numpy.float64) for array in arrays]
        return arrays, examples, {"loss": 0.5}

start_client(server_address=address, client=Client().to_client(), transport="rest")
print("left")
"""


def flower_address(person, repo, scheme="http://"):
    host = person.hub.url.removeprefix("http://")
    return f"{scheme}{quote(repo, safe='')}:{person.token}@{host}"


class Flower(threading.Thread):
    """A program with Flower's library of that age; after join() `said` is what it printed."""

    def __init__(self, age, code, *arguments):
        super().__init__(daemon=True)
        self.command = [sys.executable, "-c", code, *map(str, arguments)]
        self.environment = {**os.environ, "PYTHONPATH": str(CLIENTS / age), "FLWR_TELEMETRY_ENABLED": "0", "OPENBLAS_NUM_THREADS": "1"}
        self.start()

    def run(self):
        done = subprocess.run(self.command, capture_output=True, text=True, env=self.environment, timeout=300)
        self.said, self.problem = done.stdout.split("\n"), done.stderr


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in range(3)]


def test_clients_of_flower_18_train_a_model_as_the_reference_does(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 2, 3)
    parts = [Flower("flower18", OF_18, flower_address(person, repo), seed, "double" if seed == 1 else "") for seed, person in enumerate(crowd)]
    for part in parts:
        part.join()
        assert part.said == ["round 1 1 2", "round 2 2 2", "left", ""], part.problem
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(3), 2))
    assert run_of(alice, repo) == {"state": "finished", "round": 2, "participants": 3, "accepted": 6, "rejected": 0, "epsilon": None}


def test_clients_that_cannot_train_are_not_waited_for_and_do_not_ask_for_ever(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 1)
    bad = Flower("flower18", OF_18, flower_address(crowd[0], repo), 7, "fails")
    until(lambda: run_of(alice, repo)["rejected"] == 3)
    good = Flower("flower18", OF_18, flower_address(crowd[1], repo), 1, "")
    good.join()
    bad.join()
    assert good.said == ["round 1 1 1", "left", ""] and bad.said == ["left", ""]
    assert same(load(alice.read(repo, "model.safetensors")), reference([1], 1))
    assert run_of(alice, repo)["rejected"] == 3


# An app of today, as `flwr new` lays it out: what a SuperNode fetches from the hub and runs.
PYPROJECT = """
[project]
name = "logistic"
version = "1.0.0"
description = "A few steps of logistic regression"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "clinic"

[tool.flwr.app.components]
serverapp = "logistic.server_app:app"
clientapp = "logistic.client_app:app"

[tool.flwr.app.config]
how = ""
"""

CLIENT_APP = TRAIN + """
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

@app.train()
def train(msg: Message, context: Context):
    model = {name: array.numpy() for name, array in msg.content["arrays"].items()}
    seed = int(context.node_config["partition-id"])
    trained, examples = fit(model, seed)
    assert msg.content["config"]["server-round"] == msg.content["config"]["round"]
    if context.node_config.get("how") == "nan":
        trained["w"][2] = numpy.nan
    return Message(content=RecordDict({"arrays": ArrayRecord({name: Array(array) for name, array in trained.items()}), "metrics": MetricRecord({"num-examples": examples})}), reply_to=msg)
"""

NUMPY_APP = TRAIN + """
from flwr.client import ClientApp, NumPyClient

class Client(NumPyClient):
    def __init__(self, seed):
        self.seed = seed

    def fit(self, parameters, config):
        trained, examples = fit(dict(zip(("b", "w"), parameters)), self.seed)
        return [trained["b"], trained["w"]], examples, {}

app = ClientApp(lambda context: Client(int(context.node_config["partition-id"])).to_client())
"""



def of_today(folder):
    return {**os.environ, "PYTHONPATH": str(CLIENTS / "federated"), "PATH": f"{CLIENTS / 'federated/bin'}:{os.environ['PATH']}",
            "FLWR_TELEMETRY_ENABLED": "0", "FLWR_HOME": str(folder / "flwr"), "HOME": str(folder), "OPENBLAS_NUM_THREADS": "1"}


def write_app(folder, client_app):
    package = folder / "logistic"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text("")
    (package / "client_app.py").write_text(client_app)
    (package / "server_app.py").write_text("app = None\n")
    return folder


def build(folder, client_app):
    """What `flwr build` makes of an app, under its name."""
    done = subprocess.run(["flwr", "build", "--app", write_app(folder / "app", client_app)], capture_output=True, text=True, env=of_today(folder), cwd=folder)
    files = list(folder.glob("*.fab"))
    assert len(files) == 1, done.stdout + done.stderr
    return {files[0].name: files[0].read_bytes()}


class SuperNode:
    """flower-supernode as it is installed, which runs until it is told to end."""

    def __init__(self, folder, address, seed, how=""):
        folder.mkdir(parents=True)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["flower-supernode", "--insecure", "--superlink", address, "--port", str(free_port()),
                                             "--node-config", f'partition-id={seed} how="{how}"'], stdout=log, stderr=log, env=of_today(folder))

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        return self.log.read_text()


@pytest.mark.parametrize("app", [CLIENT_APP, NUMPY_APP], ids=["ClientApp", "NumPyClient"])
def test_supernodes_run_the_app_that_the_repo_holds_and_train_as_the_reference_does(alice, crowd, tmp_path, app):
    repo = new_model(alice)
    alice.commit_files(repo, build(tmp_path, app))
    open_run(alice, repo, 2, 2)
    nodes = [SuperNode(tmp_path / str(seed), flower_address(person, repo, ""), seed) for seed, person in enumerate(crowd[:2])]
    try:
        until(lambda: run_of(alice, repo)["state"] == "finished")
    finally:
        said = [node.end() for node in nodes]
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(2), 2)), said
    assert run_of(alice, repo)["accepted"] == 4


# kill -9 of the hub while Flower's clients send what they have trained.

WIDE_18 = """
import sys
import numpy
from flwr.client import NumPyClient, start_client

class Client(NumPyClient):
    def fit(self, parameters, config):
        return [array + numpy.float32(sys.argv[2]) for array in parameters], 10, {}

start_client(server_address=sys.argv[1], client=Client().to_client(), transport="rest")
print("left")
"""

WIDE_APP = """
import numpy
from flwr.client import ClientApp, NumPyClient

class Client(NumPyClient):
    def __init__(self, step):
        self.step = numpy.float32(step)

    def fit(self, parameters, config):
        return [array + self.step for array in parameters], 10, {}

app = ClientApp(lambda context: Client(context.node_config["partition-id"]).to_client())
"""


class Breaking(socketserver.ThreadingTCPServer):
    """Passes bytes on to a hub, which it kills in the middle of uploads and starts again: `at` are numbers of bytes that have gone through of an
    upload, one for each; -1: all of it has, and the answer does not come through."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, hub, at):
        super().__init__(("127.0.0.1", 0), Passing)
        self.hub, self.at, self.lock, self.killed = hub, list(at), threading.Lock(), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def breaks(self, sent):
        """Whether the hub was killed, with so much of an upload sent."""
        with self.lock:
            if not self.at or (self.at[0] != sent if sent < 0 or self.at[0] < 0 else sent < self.at[0]):
                return False
            self.at.pop(0)
            self.hub.kill()
            self.hub.start()
            self.killed += 1
            return True


class Passing(socketserver.BaseRequestHandler):
    def handle(self):
        self.sent = None  # of an upload under way
        try:
            with socket.create_connection(("127.0.0.1", self.server.hub.port)) as hub:
                back = threading.Thread(target=self.pass_back, args=(hub,), daemon=True)
                back.start()
                self.pass_on(hub)
                back.join()
        except OSError:
            pass  # one of them is gone

    def pass_on(self, hub):
        while data := self.request.recv(65536):
            if data.startswith(b"POST "):
                self.sent = 0 if any(name in data[:200] for name in (b"push-task-res", b"push-object")) else None
            hub.sendall(data)
            if self.sent is not None:
                self.sent += len(data)
                if self.server.breaks(self.sent):
                    break
        self.end(hub)

    def pass_back(self, hub):
        try:
            while data := hub.recv(65536):
                if self.sent is not None and self.server.breaks(-1):
                    break
                self.request.sendall(data)
        except OSError:
            pass
        finally:
            self.end(hub)

    def end(self, hub):
        for side in (self.request, hub):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("age", ["1.8", "SuperNode"])
def test_kill_9_during_uploads_by_flowers_clients_leads_to_the_same_model(tmp_path, age):
    at = 1, 400_000, -1
    hub = Hub(tmp_path).start()
    owner, *people = (hub.person(name) for name in ("owner", "part1", "part2"))
    base = {"w": numpy.linspace(-1, 1, 300_000, dtype=numpy.float32)}
    repo = new_model(owner, base)
    if age == "SuperNode":
        owner.commit_files(repo, build(tmp_path / "built", WIDE_APP))
    open_run(owner, repo, 2, 2)
    breaking = Breaking(hub, at)
    address = f"{quote(repo, safe='')}:{{}}@127.0.0.1:{breaking.server_address[1]}"
    steps = [0.5, 0.25]
    if age == "1.8":
        parts = [Flower("flower18", WIDE_18, f"http://{address.format(person.token)}", step) for step, person in zip(steps, people)]
    else:
        parts = [SuperNode(tmp_path / str(step), address.format(person.token), step) for step, person in zip(steps, people)]

    def finished():
        with contextlib.suppress(httpx.TransportError):  # where it was just killed
            return run_of(owner, repo)["state"] == "finished"

    try:
        until(finished)
    finally:
        said = [part.end() if age == "SuperNode" else part.join() for part in parts]
    wanted = base
    for _ in range(2):
        wanted = mean_of(wanted, [({"w": wanted["w"] + numpy.float32(step)}, 10) for step in steps])
    assert same(load(owner.read(repo, "model.safetensors")), wanted), said
    status = run_of(owner, repo)
    assert (status["accepted"], status["rejected"], breaking.killed) == (4, 0, len(at)), (status, breaking.killed, said)
    breaking.shutdown()
    hub.stop()


# Levels 1 and 2: the same apps by our own client, with Flower's library and without.


def ours(library, preload, *more):
    path = os.pathsep.join([str(ROOT / "clients/python"), *map(str, more)])
    return {**os.environ, "PYTHONPATH": path, "CAIRN_LIBRARY": str(library), "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0",
            "OPENBLAS_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0"}


def run_app(person, repo, folder, preload, seed, *more, library=CLIENTS / "federated"):
    """python -m cairn.federate run, beside others; its result comes from wait()."""
    environment = {**ours(LIBRARY, preload, library), "CAIRN_URL": person.hub.url, "CAIRN_TOKEN": person.token}
    return subprocess.Popen([sys.executable, "-m", "cairn.federate", "run", repo, "--dir", folder, "--node-config", f"partition-id={seed}", *more],
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent)


def finished(process):
    out, err = process.communicate(timeout=300)
    assert not SANITIZER.search(err), err
    return process.returncode, out, err


WITHOUT = {"flwr.app": "cairn.flower", "flwr.clientapp": "cairn.flower", "flwr.client": "cairn.flower"}


def without_flower(app):
    for name, other in WITHOUT.items():
        app = app.replace(f"from {name} import", f"from {other} import")
    assert "flwr" not in app
    return app


@pytest.mark.parametrize("app, library", [(CLIENT_APP, "federated"), (NUMPY_APP, "federated"), (without_flower(CLIENT_APP), "none"),
                                          (without_flower(NUMPY_APP), "none")],
                         ids=["ClientApp", "NumPyClient", "ClientApp without Flower", "NumPyClient without Flower"])
def test_our_runner_trains_with_an_app_as_the_reference_does(alice, crowd, tmp_path, preload, app, library):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 2, 3)
    folder = write_app(tmp_path / "app", app)
    nodes = [run_app(person, repo, folder, preload, seed, library=CLIENTS / library) for seed, person in enumerate(crowd)]
    for node in nodes:
        code, _, err = finished(node)
        assert code == 0, err
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(3), 2))


def test_the_runner_reads_the_project_and_says_what_is_wrong(alice, crowd, tmp_path, preload):  # noqa: F811
    repo = new_model(alice)
    app = without_flower(CLIENT_APP).replace('msg.content["config"]["server-round"]', '1 if context.run_config == '
                                             '{"how": "so and so", "deep.er": 2} else msg.content["config"]["server-round"] + 1')
    folder = write_app(tmp_path / "app", app)
    (folder / "pyproject.toml").write_text(PYPROJECT + "deep.er = 1\n")
    early = run_app(crowd[0], repo, folder, preload, 0)  # waits for the training to be opened
    open_run(alice, repo, 1, 1)
    code, _, err = finished(early)
    assert code != 0 and "AssertionError" in err
    code, _, err = finished(run_app(crowd[0], repo, folder, preload, 0, "--run-config", 'how="so and so" deep.er=2'))
    assert code == 0, err
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = finished(run_app(crowd[0], repo, empty, preload, 0))
    assert code == 2 and "clientapp" in err


OF_OURS = OF_18.replace("import flwr\nfrom flwr.client import", "from cairn.flower import").replace("import sys\n", "import sys\nimport cairn.flower as fl\n").replace(
    "Client(NumPyClient)", "Client(fl.client.NumPyClient)")


@pytest.mark.parametrize("how, rejections", [("", 0), ("nan", 1), ("few", 1), ("fails", 0)])
def test_a_numpy_client_takes_part_by_our_start_client(alice, crowd, preload, how, rejections):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 1)
    done = subprocess.run([sys.executable, "-c", OF_OURS, flower_address(crowd[0], repo), "1", how], capture_output=True, text=True,
                          env=ours(LIBRARY, preload), timeout=120)
    assert not SANITIZER.search(done.stderr), done.stderr
    status = run_of(alice, repo)
    assert status["rejected"] == rejections
    if how:
        assert done.returncode != 0 and ("no data here" if how == "fails" else "NotAccepted") in done.stderr
        assert status["state"] == "open"
    else:
        assert done.stdout == "round 1 1 1\nleft\n", done.stderr
        assert same(load(alice.read(repo, "model.safetensors")), reference([1], 1))


RECORDS = """
import numpy, sys
from cairn.flower import ArrayRecord, Array, ConfigRecord, Message, MetricRecord, RecordDict, ClientApp, Context, _place

class Tensor:
    def __init__(self, values): self.values = values
    def detach(self): return self
    def cpu(self): return self
    def numpy(self): return numpy.array(self.values, numpy.float32)

record = ArrayRecord({"w": Tensor([1, 2])})
assert record["w"].shape == (2,) and record["w"].numpy().tolist() == [1, 2] and "torch" not in sys.modules
assert [array.tolist() for array in ArrayRecord([numpy.ones(2), numpy.zeros(1)]).to_numpy_ndarrays()] == [[1, 1], [0]]
both = RecordDict({"a": record, "m": MetricRecord({"x": 1}), "c": ConfigRecord({"y": "z"})})
assert list(both.array_records) == ["a"] and list(both.metric_records) == ["m"] and list(both.config_records) == ["c"]

app = ClientApp(mods=[lambda message, context, call: Message(RecordDict({"m": MetricRecord({"n": call(message, context).content["m"]["n"] + 1})}), reply_to=message)])
@app.train()
def train(message, context): return message.create_reply(RecordDict({"m": MetricRecord({"n": 1})}))
message = Message(RecordDict(), 5, "train")
reply = app(message, Context())
assert reply.content["m"]["n"] == 2 and reply.metadata.src_node_id == 5 and reply.has_content() and not reply.has_error()

assert _place("http://a%2Fb:hf_x@hub:1", None) == ("http://hub:1", "hf_x", "a/b")
assert _place("a%2Fb:hf_x@hub.example.org:443", None) == ("https://hub.example.org:443", "hf_x", "a/b")
assert _place("a%2Fb:hf_x@127.0.0.1:1", None) == ("http://127.0.0.1:1", "hf_x", "a/b")
for address in "http://hub:1", "hub:1":
    try:
        _place(address, None)
        assert False
    except ValueError as problem:
        assert "CAIRN_REPO" in str(problem)
print("fine")
"""


def test_the_records_without_flower_are_as_flowers():
    done = subprocess.run([sys.executable, "-c", RECORDS], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python")})
    assert done.stdout == "fine\n", done.stderr
