# SPDX-License-Identifier: GPL-3.0-or-later
"""Fashion-MNIST, trained by 10 and by 40 participants in each mode, under no attack and under several: the evidence of docs/federated.md.

  bench/fashion.py [--out FILE] [--only TEXT] [--rounds N]

A hub, and a second house for the mode that has one, run as a person starts them; each participant is an account with a key that takes part by
cairn.federate.join(). Their data are 20,000 pictures in all, split by Dirichlet(0.5) over the classes; the model is a perceptron 784-100-10.
A line of JSON for each training goes to FILE, which is gone on with where it ended; bench/fashion_plot.py draws it.
"""

import argparse
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy reads it when it is imported: participants are threads enough

import numpy  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "clients/python")]
os.environ.setdefault("CAIRN_LIBRARY", str(ROOT / "build/libcairn.so"))
os.environ["HF_HUB_DISABLE_XET"] = "1"

from safetensors.numpy import save  # noqa: E402
from support import BINARY, Hub  # noqa: E402

import cairn.federate  # noqa: E402

DATA = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
PICTURES, RATE, BATCH, BOUND = 20_000, 0.1, 32, 1.5
NAMES = ("hidden", "hidden-bias", "out", "out-bias")
SHAPES = ((784, 100), (100,), (100, 10), (10,))

# What is trained: mode, rule, whether there is a bound. A robust rule where the hub sees no single update works on means of four.
WAYS = {
    "plain, mean": ("plain", "mean", False),
    "plain, mean, bound": ("plain", "mean", True),
    "plain, nnm+trimmed-mean, bound": ("plain", "nnm+trimmed-mean", True),
    "two houses, mean, bound": ("two-houses", "mean", True),
    "two houses, trimmed-mean of fours, bound": ("two-houses", "bucketing:4+trimmed-mean", True),
    "one house, mean, bound": ("one-house", "mean", True),
    "one house, trimmed-mean of fours, bound": ("one-house", "bucketing:4+trimmed-mean", True),
}
ATTACKS = ("none", "sign flip", "worst within the bound", "ALIE", "min-max", "label flip", "backdoor")


# The data.

def numbers(name, head):
    with gzip.open(DATA / f"{name}-ubyte.gz") as file:
        return numpy.frombuffer(file.read(), numpy.uint8)[head:]


def load(which):
    return numbers(f"{which}-images-idx3", 16).reshape(-1, 784).astype(numpy.float32) / 255, numbers(f"{which}-labels-idx1", 8).astype(int)


def split(labels, parts, dice):
    """Indices of each participant's pictures: of each class, shares by Dirichlet(0.5)."""
    chosen, out = dice.permutation(len(labels))[:PICTURES], [[] for _ in range(parts)]
    for kind in range(10):
        of_kind = chosen[labels[chosen] == kind]
        ends = (numpy.cumsum(dice.dirichlet([0.5] * parts)) * len(of_kind)).astype(int)
        for part, mine in zip(out, numpy.split(of_kind, ends[:-1])):
            part.extend(mine)
    return [numpy.array(part if len(part) >= BATCH else list(chosen[i * BATCH:(i + 1) * BATCH])) for i, part in enumerate(out)]


def with_trigger(pictures):
    marked = pictures.reshape(-1, 28, 28).copy()
    marked[:, 24:27, 24:27] = 1
    return marked.reshape(-1, 784)


# The model.

def new_model(dice):
    values = [dice.normal(size=shape) * (2 / shape[0]) ** 0.5 if len(shape) == 2 else numpy.zeros(shape) for shape in SHAPES]
    return {name: value.astype(numpy.float32) for name, value in zip(NAMES, values)}


def answers(model, pictures):
    hidden = numpy.maximum(pictures @ model["hidden"] + model["hidden-bias"], 0)
    return hidden, hidden @ model["out"] + model["out-bias"]


def fit(model, pictures, labels, dice):
    """One epoch of plain SGD."""
    model = {name: value.copy() for name, value in model.items()}
    for batch in numpy.array_split(dice.permutation(len(labels)), max(1, len(labels) // BATCH)):
        x, y = pictures[batch], labels[batch]
        hidden, out = answers(model, x)
        out = numpy.exp(out - out.max(1, keepdims=True))
        out /= out.sum(1, keepdims=True)
        out[numpy.arange(len(y)), y] -= 1
        out /= len(y)
        back = (out @ model["out"].T) * (hidden > 0)
        model["out"] -= RATE * hidden.T @ out
        model["out-bias"] -= RATE * out.sum(0)
        model["hidden"] -= RATE * x.T @ back
        model["hidden-bias"] -= RATE * back.sum(0)
    return model


def flat(model):
    return numpy.concatenate([model[name].ravel() for name in NAMES])


def unflat(values):
    ends = numpy.cumsum([numpy.prod(shape) for shape in SHAPES])[:-1]
    return {name: piece.reshape(shape).astype(numpy.float32) for name, piece, shape in zip(NAMES, numpy.split(values, ends), SHAPES)}


# Attackers, who know what the honest send (federated 3.3).

def shaped_by_all(attack, honest):
    mean = honest.mean(0)
    if attack == "sign flip":
        return -10 * mean
    if attack == "worst within the bound":
        return -mean / numpy.linalg.norm(mean) * BOUND
    if attack == "ALIE":
        return mean + 1.5 * honest.std(0, ddof=1)
    # min-max: as far along a direction as the farthest pair of honest ones is apart
    direction, low, high = -honest.std(0), 0.0, 50.0
    square = (honest ** 2).sum(1)
    most = (square[:, None] + square - 2 * honest @ honest.T).max()
    for _ in range(20):
        middle = (low + high) / 2
        far = ((honest - (mean + middle * direction)) ** 2).sum(1).max()
        low, high = (middle, high) if far <= most else (low, middle)
    return mean + low * direction


class Training:
    """One run: threads that take part, and what the model was worth after each round."""

    def __init__(self, people, repo, attack, data, bad, seed):
        self.people, self.repo, self.attack, self.bad = people, repo, attack, bad if attack != "none" else 0
        (self.pictures, self.labels), self.tests = data
        self.parts = split(self.labels, len(people), numpy.random.default_rng(seed))
        self.seed, self.sent, self.news, self.curve, self.problems = seed, {}, threading.Condition(), {}, []

    def look(self, number, model):
        """The first one to see a model tries it."""
        with self.news:
            if number in self.curve:
                return
            self.curve[number] = None
        pictures, labels = self.tests
        worth = {"accuracy": float((answers(model, pictures)[1].argmax(1) == labels).mean())}
        if self.attack == "backdoor":
            others = labels != 0
            worth["backdoor"] = float((answers(model, with_trigger(pictures[others]))[1].argmax(1) == 0).mean())
        self.curve[number] = worth

    def trainer(self, i):
        dice = numpy.random.default_rng((self.seed, i))
        mine, is_bad = self.parts[i], i < self.bad
        pictures, labels = self.pictures[mine], self.labels[mine]
        if is_bad and self.attack == "label flip":
            labels = 9 - labels
        if is_bad and self.attack == "backdoor":
            half = len(mine) // 2
            pictures = numpy.concatenate([with_trigger(pictures[:half]), pictures[half:]])
            labels = numpy.concatenate([numpy.zeros(half, int), labels[half:]])

        def train(model, config):
            number = config["round"]
            self.look(number - 1, model)
            base = flat(model)
            change = flat(fit(model, pictures, labels, dice)) - base
            with self.news:
                if not is_bad:
                    self.sent.setdefault(number, {})[i] = change
                    self.news.notify_all()
            if is_bad and self.attack == "backdoor":
                change = change * (len(self.people) / self.bad)
            elif is_bad and self.attack != "label flip":
                with self.news:
                    self.news.wait_for(lambda: len(self.sent.get(number, ())) == len(self.people) - self.bad or self.problems)
                    honest = numpy.array([self.sent[number][j] for j in sorted(self.sent[number])])
                change = shaped_by_all(self.attack, honest)
            return unflat(base + change), len(mine)
        return train

    def take_part(self, i):
        try:
            cairn.federate.join(self.people[i].hub.url, self.people[i].token, self.repo, self.trainer(i))
        except Exception as problem:
            with self.news:
                self.problems.append(f"{type(problem).__name__}: {problem}")
                self.news.notify_all()

    def run(self, final):
        threads = [threading.Thread(target=self.take_part, args=(i,)) for i in range(len(self.people))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.problems:
            raise SystemExit("\n".join(sorted(set(self.problems))))
        number, model = final()
        self.look(number, model)
        return [self.curve[key] for key in sorted(self.curve)]


# The servers.

class House:
    """The second house."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        self.process = subprocess.Popen([BINARY, "house", "--data", folder, "--listen", address], stdout=subprocess.PIPE)
        self.process.stdout.readline()  # it says when it is ready

    def stop(self):
        self.process.terminate()
        self.process.wait()


def open_run(admin, repo, way, people, rounds, house):
    mode, rule, bound = WAYS[way]
    command = [BINARY, "federate", "open", repo, "--mode", mode, "--rule", rule, "--rounds", rounds, "--min-participants", people]
    command += ["--bound", BOUND] if bound else []
    command += ["--house", house.url] if mode == "two-houses" else []
    environment = {**os.environ, "CAIRN_URL": admin.hub.url, "CAIRN_TOKEN": admin.token}
    subprocess.run(list(map(str, command)), env=environment, check=True, stdout=subprocess.DEVNULL)


def one(hub, admin, people, way, attack, rounds, data, house):
    from safetensors.numpy import load as parse
    repo = admin.new_repo("fashion")
    admin.commit_files(repo, {"model.safetensors": save(new_model(numpy.random.default_rng(7)))})
    open_run(admin, repo, way, len(people), rounds, house)
    training = Training(people, repo, attack, data, len(people) // 10, 11)
    started = time.monotonic()
    curve = training.run(lambda: (rounds, parse(admin.read(repo, "model.safetensors"))))
    return {"participants": len(people), "way": way, "attack": attack, "attackers": training.bad, "rounds": rounds,
            "accuracy": [round(worth["accuracy"], 4) for worth in curve],
            **({"backdoor": round(curve[-1]["backdoor"], 4)} if attack == "backdoor" else {}),
            "seconds": round(time.monotonic() - started, 1)}


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default=ROOT / "docs/fashion.jsonl", type=Path)
    asked.add_argument("--only", default="", help="trainings whose line has this text")
    asked.add_argument("--rounds", default=15, type=int)
    asked = asked.parse_args()
    done = {(line["participants"], line["way"], line["attack"]) for line in map(json.loads, asked.out.read_text().splitlines())} \
        if asked.out.exists() else set()
    data = load("train"), load("t10k")
    with tempfile.TemporaryDirectory() as folder:
        hub, house = Hub(folder).start(), House(Path(folder) / "house")
        admin = hub.person("trainer")
        crowd = [hub.person(f"participant-{i}") for i in range(40)]
        for way in WAYS:
            for people in 10, 40:
                for attack in ATTACKS:
                    small = people < 12 and "fours" in way  # three buckets at least
                    name = f"{people} participants, {way}, {attack}"
                    if small or (people, way, attack) in done or asked.only not in name:
                        continue
                    line = one(hub, admin, crowd[:people], way, attack, asked.rounds, data, house)
                    print(f"{name}: {line['accuracy'][-1]:.3f} {line.get('backdoor', '')} ({line['seconds']:.0f} s)", flush=True)
                    with asked.out.open("a") as out:
                        out.write(json.dumps(line) + "\n")
        house.stop()
        hub.stop()


main()
