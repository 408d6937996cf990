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

from support import ROOT, new_name, until
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
