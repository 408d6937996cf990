# SPDX-License-Identifier: GPL-3.0-or-later
"""Flower's own clients, unmodified, in the federated training of a repo. Those who only look like them are in test_fleet.py."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from safetensors.numpy import load

from support import ROOT, SANITIZER, free_port, new_name, until
from test_federate import TRAIN, federate, new_model, open_run, reference, same, start_model
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
    assert federate(alice, "status", repo) == {"state": "finished", "round": 2, "participants": 3, "accepted": 6, "rejected": 0, "epsilon": None}


def test_clients_that_cannot_train_are_not_waited_for_and_do_not_ask_for_ever(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 1)
    bad = Flower("flower18", OF_18, flower_address(crowd[0], repo), 7, "fails")
    until(lambda: federate(alice, "status", repo)["rejected"] == 3)
    good = Flower("flower18", OF_18, flower_address(crowd[1], repo), 1, "")
    good.join()
    bad.join()
    assert good.said == ["round 1 1 1", "left", ""] and bad.said == ["left", ""]
    assert same(load(alice.read(repo, "model.safetensors")), reference([1], 1))
    assert federate(alice, "status", repo)["rejected"] == 3


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
        until(lambda: federate(alice, "status", repo)["state"] == "finished")
    finally:
        said = [node.end() for node in nodes]
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(2), 2)), said
    assert federate(alice, "status", repo)["accepted"] == 4


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
    status = federate(alice, "status", repo)
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
