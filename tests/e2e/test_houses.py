# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training between two houses: nobody sees an update, and one that is too far is refused all the same."""

import base64
import json
import math

import numpy
import pytest
from safetensors.numpy import load, save

from houses import House
from support import new_name, sha256, until
from test_federate import Participant, federate, fit, new_model, start_model  # noqa: F401
from test_libcairn import preload  # noqa: F401

SEEDS = range(3)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house")).start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in SEEDS]


def open_run(person, repo, house, rounds=1, participants=3, *more, check=True):
    return federate(person, "open", repo, "--mode", "two-houses", "--rounds", rounds, "--min-participants", participants, "--house", house.url,
                    *more, check=check)


def reference(seeds, rounds):
    """Each weighs the same."""
    model = start_model()
    for _ in range(rounds):
        trained = [fit(model, seed)[0] for seed in seeds]
        model = {name: (start.astype(float) + numpy.mean([one[name] - start for one in trained], axis=0, dtype=float)).astype(numpy.float32)
                 for name, start in model.items()}
    return model


def near(found, wanted, allowed=2e-6):
    return found.keys() == wanted.keys() and all(numpy.abs(found[name] - wanted[name]).max() <= allowed for name in wanted)


def test_three_participants_train_a_model_as_the_reference_does(alice, crowd, house, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, house, 2)
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(crowd)]
    for part in parts:
        part.join()
    assert [part.said for part in parts] == [["done", [1, 2]]] * 3
    assert near(load(alice.read(repo, "model.safetensors")), reference(SEEDS, 2))
    assert federate(alice, "status", repo) == {"state": "finished", "round": 2, "participants": 3, "accepted": 6, "rejected": 0, "epsilon": None}
    assert alice.titles(repo)[:2] == ["Federated round 2", "Federated round 1"]
