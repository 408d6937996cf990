# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub to whom sockets and files give and take fewer bytes at once than it asks for, wherever they like (tests/tools/chop.c): no client notices."""

import random
import subprocess

import numpy
import pytest
from safetensors.numpy import load, save

from support import ROOT, Hub, sha256, until
from test_federate import Sender, federate, open_run
from test_federate_rules import control_of, scaffolded
from test_fleet import Node, npy


@pytest.fixture(scope="module")
def chopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chopped")
    library = folder / "chop.so"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", ROOT / "tests/tools/chop.c", "-o", library], check=True)
    hub = Hub(folder, environment={"LD_PRELOAD": str(library)}).start()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def ann(chopped):
    return chopped.person("ann")


@pytest.mark.parametrize("xet", [False, True])
def test_files_come_back_as_they_went(ann, tmp_path, xet):
    repo, files = ann.new_repo(), {"config.json": b'{"a": 1}', "model.bin": random.Random(7).randbytes(3_000_001), "other.bin": random.Random(8).randbytes(700_000)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    how = {"HF_HUB_DISABLE_XET": "0" if xet else "1"}
    ann.hf("upload", repo, tmp_path, **how)
    ann.hf("download", repo, "--local-dir", tmp_path / "back", **how)
    assert {name: sha256((tmp_path / "back" / name).read_bytes()) for name in files} == {name: sha256(content) for name, content in files.items()}
    for begin, end in ((0, 0), (1, 999_999), (65_536, 2_999_999)):
        part = ann.http.get(f"/{repo}/resolve/main/model.bin", headers={"range": f"bytes={begin}-{end}"}, follow_redirects=True)
        assert part.status_code == 206 and part.content == files["model.bin"][begin:end + 1]


def test_rounds_are_trained_as_ever(ann, chopped):
    repo, people = ann.new_repo(), [ann, *(chopped.person(f"part-{number}") for number in range(2))]
    ann.commit_files(repo, {"model.safetensors": save({"x": numpy.zeros(50_000, numpy.float32)})})
    open_run(ann, repo, 4, 3, "--rule", "mean+scaffold")
    ones = numpy.ones(50_000, numpy.float32)
    for number in range(1, 5):
        for place, person in enumerate(people):
            sender = Sender(person, repo).join()
            update = scaffolded(number * ones + place, place * ones)
            answer = sender.end(update, number=number) if place == 1 else sender.send(update, number=number)
            assert answer.status_code == 200, answer.text
        until(lambda: federate(ann, "status", repo)["round"] > number or federate(ann, "status", repo)["state"] == "finished")
        assert numpy.allclose(load(ann.read(repo, "model.safetensors"))["x"], number + 1)
        assert number == 4 or numpy.allclose(control_of(Sender(ann, repo), number + 1), number)


def test_flowers_results_are_read(ann, chopped):
    repo, rounds = ann.new_repo(), 20
    ann.commit_files(repo, {"model.safetensors": save({"x": numpy.zeros(20_000, numpy.float32)})})
    federate(ann, "open", repo, "--mode", "plain", "--rounds", rounds, "--min-participants", 1)
    node = Node(ann, repo)
    for number in range(1, rounds + 1):
        task = until(node.pull)
        arrays = npy(numpy.full(20_000, number, numpy.float32))
        answer = node.push(task[0], [arrays])
        assert answer.status_code == 200, answer.text
    until(lambda: federate(ann, "status", repo)["state"] == "finished")
    assert (load(ann.read(repo, "model.safetensors"))["x"] == rounds).all()
