# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training in mode one-house: the hub sees sums of cohorts, and participants who fall away, restart or mean no good."""

import json
import os

import numpy
import pytest
from safetensors.numpy import load, save

from support import Hub, new_name, until
from test_federate import Participant, federate, fit, new_model, start_model
from test_libcairn import preload  # noqa: F401


def open_run(person, repo, rounds=1, participants=3, *more):
    return federate(person, "open", repo, "--mode", "one-house", "--rounds", rounds, "--min-participants", participants, *more)


def reference(seeds, rounds, bound=10):
    """Each counts the same in this mode, and draws back to the bound."""
    model = start_model()
    for _ in range(rounds):
        changes = []
        for seed in seeds:
            trained, _ = fit(model, seed)
            change = {name: trained[name].astype(float) - model[name] for name in model}
            norm = numpy.sqrt(sum(numpy.sum(value ** 2) for value in change.values()))
            changes.append({name: value * min(1, bound / norm) for name, value in change.items()})
        model = {name: (model[name] + numpy.mean([change[name] for change in changes], axis=0)).astype(numpy.float32) for name in model}
    return model


def near(found, wanted, within):
    return found.keys() == wanted.keys() and all(numpy.abs(found[name] - wanted[name]).max() <= within for name in wanted)


def record(person, repo, number=1):
    return json.loads(person.read(repo, f"fl/rounds/{number:06}.json"))


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in range(10)]


def test_three_participants_train_a_model_of_which_the_hub_sees_sums_alone(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 3, 3)
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(crowd[:3])]
    for part in parts:
        part.join()
    assert [part.said for part in parts] == [["done", [1, 2, 3]]] * 3
    assert near(load(alice.read(repo, "model.safetensors")), reference(range(3), 3), 1e-4)
    assert federate(alice, "status", repo) == {"state": "finished", "round": 3, "participants": 3, "accepted": 9, "rejected": 0, "epsilon": None}
    cohort, = record(alice, repo)["cohorts"]
    assert (cohort["members"], cohort["survivors"], cohort["threshold"]) == (3, 3, 2)
