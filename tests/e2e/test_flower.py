# SPDX-License-Identifier: GPL-3.0-or-later
"""Flower's own clients, unmodified, in the federated training of a repo; and some who only look like them."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from safetensors.numpy import load, save

from support import ROOT, free_port, new_name, until
from test_federate import TRAIN, federate, fit, new_model, open_run, reference, same, start_model

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
