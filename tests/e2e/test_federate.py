# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training in mode plain: participants who train where their data are, the hub that makes one model of it, and some who
mean no good."""


import fcntl
import json
import os
import struct
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy
import pytest
from blake3 import blake3
from safetensors.numpy import load, save

from nursery import Child
from support import ROOT, SANITIZER, BINARY, Hub, Person, new_name, sha256, until
from test_libcairn import LIBRARY, preload  # noqa: F401

# What participants run, and the reference beside it: a few steps of logistic regression on data that follow from a seed.
TRAIN = """
import numpy

def data(seed, size=60):
    dice = numpy.random.default_rng(seed)
    x = dice.normal(size=(size, 5)) + seed % 3
    return x, (x @ numpy.arange(1, 6) + dice.normal(size=size) > 8).astype(float)

def fit(model, seed):
    x, y = data(seed, 40 + 10 * seed)
    w, b = model["w"].astype(float), float(model["b"][0])
    for _ in range(20):
        p = 1 / (1 + numpy.exp(-(x @ w + b)))
        w, b = w - 0.1 * x.T @ (p - y) / len(y), b - 0.1 * float(numpy.mean(p - y))
    return {"b": numpy.array([b], numpy.float32), "w": w.astype(numpy.float32)}, len(y)
"""
exec(TRAIN)

PARTICIPANT = TRAIN + """
import json, sys
import cairn.federate
url, token, repo, seed, how = sys.argv[1:6]
rounds = []

def train(model, config):
    rounds.append(config["round"])
    trained, examples = fit(model, int(seed))
    if how == "nan":
        trained["w"][2] = numpy.nan
    if how == "shape":
        trained["w"] = numpy.zeros(6, numpy.float32)
    if how == "fails":
        raise RuntimeError("no data")
    return trained, examples

try:
    cairn.federate.join(url, token, repo, train)
    print(json.dumps(["done", rounds]))
except Exception as problem:
    print(json.dumps([type(problem).__name__, str(problem)]))
"""


STATE = tempfile.TemporaryDirectory(prefix="cairn-state-")  # what participants keep
KILLS = 100 if os.environ.get("CAIRN_SOAK") else 10


class Participant(threading.Thread):
    """One who takes part, in a program of its own; after join() `said` is what it ended with."""

    program = PARTICIPANT

    def __init__(self, person, repo, seed, preload, how="honest"):  # noqa: F811
        super().__init__(daemon=True)
        self.process = Child(preload, LIBRARY, self.program, person.hub.url, person.token, repo, seed, how, XDG_STATE_HOME=STATE.name)
        self.said = None
        self.start()

    def run(self):
        out, errors = self.process.communicate()
        good = self.process.wait() == 0 and not SANITIZER.search(errors)
        self.said = json.loads(out) if good else ["crashed", errors]


def federate(person, *arguments, check=True):
    environment = {**person.hub.environment, "CAIRN_URL": person.hub.url, "CAIRN_TOKEN": person.token or ""}
    done = subprocess.run([BINARY, "federate", *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert not check or done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout else done


def run_of(person, repo):
    """How its run stands: what `cairn federate status` prints."""
    answer = person.http.get(f"/api/models/{repo}/federate")
    assert answer.status_code == 200, answer.text
    return answer.json()


def start_model():
    return {"b": numpy.zeros(1, numpy.float32), "w": numpy.full(5, 0.125, numpy.float32)}


def new_model(person, tensors=None, **how):
    repo = person.new_repo("trained", **how)
    person.commit_files(repo, {"model.safetensors": save(tensors or start_model())})
    return repo


def mean_of(base, trained):
    """The mean as the hub computes it, in the same order: differences in float32, sums in float64."""
    total = sum(examples for _, examples in trained)
    out = {}
    for name, start in base.items():
        change = numpy.zeros(start.shape)
        for model, examples in trained:
            change = change + examples / total * (model[name] - start).astype(float)
        out[name] = (start.astype(float) + change).astype(numpy.float32)
    return out


def reference(seeds, rounds):
    model = start_model()
    for _ in range(rounds):
        model = mean_of(model, [fit(model, seed) for seed in seeds])  # noqa: F821
    return model


def same(found, wanted):
    return found.keys() == wanted.keys() and all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)


def begin(program, person, repo, preload, url, word=""):  # noqa: F811
    """A participant as a process of its own, which ends() waits for: program prints one JSON value."""
    return Child(preload, LIBRARY, program, url, person.token, repo, word, XDG_STATE_HOME=str(person.hub.folder / "participants"))


def ends(part):
    out, complaint = part.communicate()
    assert part.wait() == 0 and not SANITIZER.search(complaint), complaint
    return json.loads(out)


class Sender:
    """A participant by plain HTTP, who can send what no client would."""

    def __init__(self, person, repo):
        self.person, self.http, self.address, self.repo = person, person.http, f"/api/models/{repo}/federate", repo

    def join(self):
        answer = self.http.post(f"{self.address}/join", json={})
        assert answer.status_code == 200, answer.text
        return self

    def round(self):
        return self.http.get(f"{self.address}/round").json()

    def wait(self):
        return httpx.get(f"{self.person.hub.url}{self.address}/round", params={"wait": "true"}, headers=self.http.headers, timeout=600).json()

    def put(self, data, offset=0, number=1):
        return self.http.put(f"{self.address}/update", params={"round": number, "offset": offset}, content=data)

    def finish(self, data, examples=10, number=1, digest=None):
        return self.http.post(f"{self.address}/update", json={"round": number, "examples": examples, "blake3": digest or blake3(data).hexdigest()})

    def end(self, data, offset=0, number=1, **more):
        """The last piece, which says that it is."""
        return self.http.put(f"{self.address}/update", params={"round": number, "offset": offset, "examples": 10, **more}, content=data)

    def send(self, data, examples=10, number=1):
        put = self.put(data, number=number)
        return put if put.status_code != 200 else self.finish(data, examples, number)


@pytest.fixture(scope="module")
def crowd(hub):
    """Three people, in the order in which the hub sums what they send."""
    return [hub.person(new_name("part")) for _ in range(3)]


def open_run(person, repo, rounds=1, participants=1, *more):
    return federate(person, "open", repo, "--mode", "plain", "--rounds", rounds, "--min-participants", participants, *more)


def test_three_participants_train_a_model_as_the_reference_does(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 3, 3)
    assert federate(alice, "status", repo) == {"state": "open", "round": 1, "participants": 0, "accepted": 0, "rejected": 0, "epsilon": None}
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(crowd)]
    for part in parts:
        part.join()
    assert [part.said for part in parts] == [["done", [1, 2, 3]]] * 3
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(3), 3))
    assert federate(alice, "status", repo) == {"state": "finished", "round": 3, "participants": 3, "accepted": 9, "rejected": 0, "epsilon": None}
    assert alice.titles(repo)[:3] == ["Federated round 3", "Federated round 2", "Federated round 1"]


def test_a_round_leaves_its_record_and_a_leaf_that_names_it(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 2)
    updates = [save(fit(start_model(), seed)[0]) for seed in (1, 2)]  # noqa: F821
    for person, update, examples in zip(crowd, updates, (7, 9)):
        assert Sender(person, repo).join().send(update, examples).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    text = alice.read(repo, "fl/rounds/000001.json")
    record = json.loads(text)
    assert [(update["blake3"], update["examples"]) for update in record["updates"]] == [(blake3(updates[0]).hexdigest(), 7), (blake3(updates[1]).hexdigest(), 9)]
    assert record["model"] == sha256(alice.read(repo, "model.safetensors")) and record["baseModel"] == sha256(save(start_model()))
    assert not any(person.name in text.decode() for person in crowd)
    entries = alice.http.get(f"/api/models/{repo}/provenance").json()
    leaves = [json.loads(entry["leaf"]) for entry in entries["entries"] if entry["type"] == "federated-round"]
    assert len(leaves) == 1
    body = leaves[0]["b"]
    assert body["record"] == sha256(text) and body["result"] == record["model"] and body["accepted"] == 2 and body["round"] == 1


@pytest.mark.parametrize("how, word", [("nan", "not a number"), ("shape", "another shape")])
def test_a_hostile_participant_is_rejected_and_changes_nothing(alice, hub, crowd, preload, how, word):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 2)
    bad = Participant(hub.person(new_name("bad")), repo, 7, preload, how)
    bad.join()
    assert bad.said[0] == "NotAccepted" and word in bad.said[1]
    assert run_of(alice, repo)["rejected"] == 1
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(crowd[:2])]
    for part in parts:
        part.join()
    assert [part.said[0] for part in parts] == ["done", "done"]
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(2), 1))
    status = run_of(alice, repo)
    assert (status["accepted"], status["rejected"]) == (2, 1)


def hostile_updates():
    good = save(start_model())
    model = start_model()
    model["w"] = model["w"] + numpy.float32(1e30)
    yield "far too large", save(model), "bound"
    model = start_model()
    model["w"][0] = numpy.inf
    yield "infinite", save(model), "not a number"
    yield "half of it", good[:len(good) // 2], "rejected"
    yield "more behind it", good + b"\0\0\0\0", "rejected"
    yield "nothing", b"", "too short"
    yield "no header", b"\xff" * 200, "rejected"
    yield "a header of 2^62 bytes", struct.pack("<Q", 1 << 62) + good, "rejected"
    yield "another type", save({"b": numpy.zeros(1, numpy.float16), "w": numpy.zeros(5, numpy.float32)}), "F32"
    yield "another tensor", save({"b": numpy.zeros(1, numpy.float32), "v": numpy.zeros(5, numpy.float32)}), "lacks"
    yield "one tensor more", save({**start_model(), "z": numpy.zeros(3, numpy.float32)}), "tensors"


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name, update, word", list(hostile_updates()), ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_hostile_bytes_are_refused_and_the_sum_is_the_same_to_the_bit(alice, crowd, hub, name, update, word, whole):
    repo = new_model(alice)
    open_run(alice, repo, 1, 2, "--bound", 100)
    bad = Sender(hub.person(new_name("bad")), repo).join()
    refused = bad.end(update) if whole else bad.send(update)
    assert refused.status_code == 422 and word in refused.json()["error"], refused.text
    for seed, person in enumerate(crowd[:2]):
        trained, examples = fit(start_model(), seed)  # noqa: F821
        assert Sender(person, repo).join().send(save(trained), examples).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    assert same(load(alice.read(repo, "model.safetensors")), reference(range(2), 1))
    assert run_of(alice, repo)["rejected"] == 1


@pytest.mark.parametrize("whole", [False, True])
def test_an_update_in_another_order_of_tensors_is_the_same_update(alice, crowd, whole):
    repo = new_model(alice)
    open_run(alice, repo)
    trained, examples = fit(start_model(), 1)  # noqa: F821
    text = json.dumps({"w": {"dtype": "F32", "shape": [5], "data_offsets": [0, 20]},
                       "b": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}}).encode()
    update = struct.pack("<Q", len(text)) + text + trained["w"].tobytes() + trained["b"].tobytes()
    sender = Sender(crowd[0], repo).join()
    assert (sender.end(update, examples=examples) if whole else sender.send(update, examples)).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    assert same(load(alice.read(repo, "model.safetensors")), reference([1], 1))


def test_an_update_is_the_same_in_one_request_and_in_several(alice, crowd):
    """To the bit, as its norm is in the record; and whether it was looked at as it came, or in its file."""
    tensors = {"w": numpy.zeros(100003, numpy.float32)}
    update, records = save({"w": numpy.random.default_rng(1).normal(size=100003).astype(numpy.float32)}), []
    digest = blake3(update).hexdigest()
    for how in ("whole", "claimed", "pieces", "asked"):
        repo = new_model(alice, tensors)
        open_run(alice, repo)
        sender = Sender(crowd[0], repo).join()
        if how == "pieces":
            assert sender.put(update[:70001]).status_code == 200
            assert sender.end(update[70001:], 70001).status_code == 400  # which of two updates is it that they make?
            assert sender.end(update[70001:], 70001, blake3="0" * 64).json()["error"].startswith("The bytes that arrived")
            assert sender.put(update[:70001]).status_code == 200
            assert sender.end(update[70001:], 70001, blake3=digest).json() == {"received": len(update)}
        elif how == "asked":
            assert sender.send(update).status_code == 200
        else:
            assert sender.end(update, examples="many").status_code == sender.end(update, examples=0).status_code == 400
            assert sender.end(update, blake3="0" * 64).status_code == sender.end(update, blake3="0").status_code == 400
            assert sender.round()["update"] == {"state": "awaited", "received": 0}
            assert sender.end(update, **({"blake3": digest} if how == "claimed" else {})).json() == {"received": len(update)}
        until(lambda: run_of(alice, repo)["state"] == "finished")
        records.append(json.loads(alice.read(repo, "fl/rounds/000001.json"))["updates"])
    assert records == [records[0]] * 4 and records[0][0]["blake3"] == digest and records[0][0]["examples"] == 10


def test_who_has_nothing_to_do_is_answered_when_there_is_something(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 2, 2)
    update, (one, other) = save(start_model()), [Sender(person, repo).join() for person in crowd[:2]]
    assert one.wait()["round"] == 1  # there is
    assert one.end(update).status_code == 200
    with ThreadPoolExecutor(70) as pool:
        answers = [pool.submit(one.wait) for _ in range(70)]
        until(lambda: sum(answer.done() for answer in answers) >= 6)  # more than 64 are not kept waiting
        assert all(answer.result()["round"] == 1 for answer in answers if answer.done())
        assert other.end(update).status_code == 200
        assert {answer.result()["round"] for answer in answers} == {1, 2}
        assert one.end(update, number=2).status_code == 200
        last = pool.submit(one.wait)
        assert alice.http.delete(f"/api/models/{repo}/federate").status_code == 200
        assert last.result()["state"] == "stopped"


def test_the_order_of_arrival_does_not_matter(alice, crowd):
    models = []
    for order in ([0, 1, 2], [2, 0, 1]):
        repo = new_model(alice)
        open_run(alice, repo, 1, 3)
        for place in order:
            trained, examples = fit(start_model(), place)  # noqa: F821
            assert Sender(crowd[place], repo).join().send(save(trained), examples).status_code == 200
        until(lambda: run_of(alice, repo)["state"] == "finished")
        models.append(alice.read(repo, "model.safetensors"))
    assert models[0] == models[1] and same(load(models[0]), reference(range(3), 1))


def test_an_upload_goes_on_where_it_was_broken_off(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo)
    sender, update = Sender(crowd[0], repo).join(), save(fit(start_model(), 1)[0])  # noqa: F821
    assert sender.put(update[:50]).json() == {"received": 50}
    wrong = sender.put(update[60:], 60)
    assert wrong.status_code == 409 and wrong.headers["x-received"] == "50"
    assert sender.finish(update).status_code == 400  # not all of it is there: nothing is counted, and it begins anew
    assert sender.round()["update"] == {"state": "awaited", "received": 0}
    assert sender.put(update[:50]).status_code == 200 and sender.put(update[50:], 50).status_code == 200
    assert sender.finish(update).status_code == 200
    assert run_of(alice, repo) == {"state": "finished", "round": 1, "participants": 1, "accepted": 1, "rejected": 0, "epsilon": None}


def test_who_asks_a_second_time_while_the_hub_is_busy_with_the_first_is_told_to_ask_again(alice, crowd, hub):
    """503, on which every client waits: a line that broke behind the last byte is no end of a training."""
    repo = new_model(alice)
    open_run(alice, repo)
    sender, update = Sender(crowd[0], repo).join(), save(fit(start_model(), 1)[0])  # noqa: F821
    assert sender.put(update).status_code == 200
    file = next(path for path in (hub.data / "federate").glob("*/1-*") if path.read_bytes() == update and not path.name.endswith("-0"))
    with file.open() as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        for answer in sender.finish(update), sender.put(update):
            assert answer.status_code == 503 and answer.headers["x-error-code"] == "UploadInProgress"
    assert file.read_bytes() == update and sender.finish(update).status_code == 200


def test_one_participant_has_one_update_in_a_round(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 2, 2)
    sender, first, second = Sender(crowd[0], repo).join(), save(fit(start_model(), 1)[0]), save(fit(start_model(), 2)[0])  # noqa: F821
    assert sender.send(first).status_code == 200
    assert sender.finish(first).status_code == 200  # a lost answer, asked for again
    assert sender.send(second).status_code == 409
    assert run_of(alice, repo)["accepted"] == 1
    assert sender.send(second, number=2).status_code == 409  # a round that has not begun


def test_three_rejected_updates_are_enough_for_one_round(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 2)
    sender, good = Sender(crowd[0], repo).join(), save(start_model())
    for _ in range(3):
        assert sender.send(good[:-4]).status_code == 422
    assert sender.send(good).status_code == 403
    assert run_of(alice, repo)["rejected"] == 3


def test_who_is_late_is_waited_for_and_then_left_behind(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 2, 1, "--grace", 2)
    quick, slow = Sender(crowd[0], repo).join(), Sender(crowd[1], repo).join()
    trained, examples = fit(start_model(), 0)  # noqa: F821
    assert quick.send(save(trained), examples).status_code == 200
    assert quick.round()["round"] == 1
    until(lambda: quick.round()["round"] == 2)
    assert slow.send(save(trained)).status_code == 409
    after = reference([0], 1)
    trained, examples = fit(after, 0)  # noqa: F821
    assert quick.send(save(trained), examples, 2).status_code == 200  # nobody waits for the other one any more
    assert quick.round()["state"] == "finished"


@pytest.mark.parametrize("rule, choose", [
    ("median", lambda changes: numpy.median(changes, axis=0)),
    ("trimmed-mean:1", lambda changes: numpy.sort(changes, axis=0)[1:-1].mean(axis=0)),
    ("nnm+trimmed-mean:1", None), ("krum:1", None), ("bucketing:2+median", None), ("geometric-median", None)])
def test_one_who_shouts_is_not_heard_by_a_robust_rule(alice, hub, crowd, rule, choose):
    repo = new_model(alice)
    people = [*crowd, hub.person(new_name("part")), hub.person(new_name("shouts"))]
    open_run(alice, repo, 1, len(people), "--rule", rule)
    sent = []
    for seed, person in enumerate(people):
        trained, examples = fit(start_model(), seed)  # noqa: F821
        if seed == 4:
            trained = {name: value * numpy.float32(-1e6) for name, value in trained.items()}
        sent.append(trained)
        assert Sender(person, repo).join().send(save(trained), examples).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    found = load(alice.read(repo, "model.safetensors"))
    if rule.startswith("bucketing"):
        assert all(numpy.isfinite(value).all() for value in found.values())
        return
    for name, start in start_model().items():
        honest = [model[name] for model in sent[:4]]
        assert (found[name] >= numpy.min(honest, axis=0) - 1e-5).all() and (found[name] <= numpy.max(honest, axis=0) + 1e-5).all()
        if choose:
            numpy.testing.assert_allclose(found[name], start + choose([model[name] - start for model in sent]), rtol=1e-5)


@pytest.mark.parametrize("most", [50, None])
def test_who_says_that_it_has_ever_so_many_examples_rules_only_where_there_is_no_limit(alice, crowd, most):
    repo = new_model(alice)
    open_run(alice, repo, 1, 3, *(["--most-examples", most] if most else []))
    given = [(fit(start_model(), seed)[0], examples) for seed, examples in enumerate((20, 40, 10**9))]  # noqa: F821
    for person, (trained, examples) in zip(crowd, given):
        assert Sender(person, repo).join().send(save(trained), examples).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    assert same(load(alice.read(repo, "model.safetensors")), mean_of(start_model(), [(trained, min(examples, most or examples)) for trained, examples in given]))
    record = json.loads(alice.read(repo, "fl/rounds/000001.json"))
    assert record.get("mostExamples") == most and record["updates"][2]["examples"] == 10**9


KEEPER = """
import json, sys
import cairn.federate
url, token, repo, how = sys.argv[1:5]
kept, places = [], []

def train(model, config):
    places.append(model["w"].ctypes.data)
    copies = {name: values.copy() for name, values in model.items()}
    if how == "array":
        kept.append((model["w"], copies["w"]))
    if how == "view":
        kept.append((model["w"][1:3], copies["w"][1:3]))
    if how == "result":
        kept.append((model, copies))
    if how == "shape":
        model["w"].shape = (5, 1)
    if how == "locked":
        model["w"].flags.writeable = False
    return {name: values.reshape(copies[name].shape) + 1 for name, values in model.items()}, 1

cairn.federate.join(url, token, repo, train)
same = all(((now == then).all() if how != "result" else all((now[name] == then[name]).all() for name in then)) for now, then in kept)
print(json.dumps([len(kept), bool(same), len(set(places))]))
"""


@pytest.mark.parametrize("how, keeps", [("nothing", 0), ("array", 4), ("view", 4), ("result", 4), ("shape", 0), ("locked", 0)])
def test_arrays_that_a_participant_keeps_stay_as_they_are(alice, crowd, preload, how, keeps):  # noqa: F811
    """Those that it does not are used again in the next round."""
    repo = new_model(alice)
    open_run(alice, repo, 4)
    count, same, places = ends(begin(KEEPER, crowd[0], repo, preload, alice.hub.url, how))
    assert (count, same) == (keeps, True) and (places == 1 if how == "nothing" else places == 4 if keeps else places >= 1)
    assert numpy.allclose(load(alice.read(repo, "model.safetensors"))["w"], 4.125)


def test_updates_are_drawn_back_to_the_bound_by_the_client(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 1, "--bound", 0.01)
    part = Participant(crowd[0], repo, 1, preload)
    part.join()
    assert part.said == ["done", [1]]
    found, start = load(alice.read(repo, "model.safetensors")), start_model()
    norm = numpy.sqrt(sum(((found[name] - start[name]).astype(float) ** 2).sum() for name in start))
    assert abs(norm - 0.01) < 1e-6


def test_noise_has_its_size_and_its_price(alice, crowd):
    start = {"w": numpy.zeros(20_000, numpy.float32)}
    repo = new_model(alice, start)
    open_run(alice, repo, 2, 3, "--bound", 0.5, "--noise", 2)
    assert run_of(alice, repo)["epsilon"] == 0
    change = numpy.random.default_rng(1).normal(size=(3, 20_000)).astype(numpy.float32) * numpy.float32(0.001)
    for person, one, examples in zip(crowd, change, (1, 50, 1000)):
        assert Sender(person, repo).join().send(save({"w": one}), examples).status_code == 200
    assert run_of(alice, repo)["round"] == 2
    assert abs(run_of(alice, repo)["epsilon"] - 2.165716) < 1e-6  # dp_accounting: sigma 2, one round, delta 1e-5
    noise = load(alice.read(repo, "model.safetensors"))["w"] * 3.0 - change.sum(axis=0, dtype=float)
    assert abs(noise.mean()) < 6 / 20_000 ** 0.5 and abs(noise.std() - 1) < 6 / 40_000 ** 0.5
    leaves = alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]
    assert json.loads(next(entry["leaf"] for entry in leaves if entry["type"] == "federated-round"))["b"]["noise"] == 2_000_000
    record = json.loads(alice.read(repo, "fl/rounds/000001.json"))
    assert record["noise"] == 2 and record["epsilon"] == run_of(alice, repo)["epsilon"]


def test_no_round_goes_beyond_the_budget_of_privacy(alice, crowd):
    repo = new_model(alice)
    settings = "--mode", "plain", "--rounds", 5, "--min-participants", 1, "--bound", 1, "--noise", 2, "--budget"
    refused = federate(alice, "open", repo, *settings, 2, check=False)
    assert refused.returncode == 1 and "more than the budget" in refused.stderr
    federate(alice, "open", repo, *settings, 3.5)
    sender = Sender(crowd[0], repo).join()
    for number in (1, 2):
        base = load(alice.read(repo, "model.safetensors"))
        assert sender.send(save(base), number=number).status_code == 200
    status = run_of(alice, repo)
    assert status["state"] == "finished" and status["round"] == 2 and abs(status["epsilon"] - 3.188992) < 1e-6
    assert "budget" in sender.round()["why"]


IN_C = """
#include <cairn/federate.h>
#include <stdio.h>
#include <string.h>

static int train(void *context, const char *config, struct cairn_trained *model)
{
    int *rounds = (int *)context;
    if (!strstr(config, "\\"rounds\\":2") || model->count != 2 || strcmp(model->tensors[1].name, "w") != 0)
        return 1;
    if (model->tensors[1].dimensions != 1 || model->tensors[1].shape[0] != 5)
        return 1;
    for (size_t i = 0; i < model->tensors[1].count; i++)
        model->tensors[1].values[i] += 0.5f;
    model->examples = 3;
    ++*rounds;
    return 0;
}

int main(int argc, char **argv)
{
    int rounds = 0;
    struct cairn_federate *part = cairn_federate_new();
    cairn_federate_set(part, "url", argv[1]);
    cairn_federate_set(part, "token", argv[2]);
    cairn_federate_set(part, "repo", argv[3]);
    cairn_federate_set(part, "patience", "1");
    int verdict = argc == 4 && cairn_federate_set(part, "colour", "red") == -1 ? cairn_federate_run(part, train, &rounds) : 9;
    printf("%d %d %s\\n", verdict, rounds, cairn_federate_why(part));
    cairn_federate_free(part);
    return verdict;
}
"""


@pytest.mark.parametrize("standard", ["-std=c11", "-std=c++17"])
def test_a_program_in_c_takes_part(alice, crowd, tmp_path, preload, standard):  # noqa: F811
    source, program = tmp_path / ("program.cc" if "++" in standard else "program.c"), tmp_path / "program"
    source.write_text(IN_C)
    subprocess.run(["g++" if "++" in standard else "gcc", standard, "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{ROOT}/include", source,
                    f"-L{LIBRARY.parent}", "-lcairn", "-o", program], check=True)
    repo = new_model(alice)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(LIBRARY.parent), "LD_PRELOAD": preload}
    command = [program, crowd[0].hub.url, crowd[0].token, repo]
    refused = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert refused.returncode == 1 and "no federated training" in refused.stdout, refused.stdout + refused.stderr
    open_run(alice, repo, 2)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "0 2 \n"), done.stdout + done.stderr
    assert load(alice.read(repo, "model.safetensors"))["w"].tolist() == [1.125] * 5


def test_what_a_participant_raises_comes_out_of_join(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo)
    part = Participant(crowd[0], repo, 1, preload, "fails")
    part.join()
    assert part.said == ["RuntimeError", "no data"]


# Who may.


def test_only_who_administers_a_repo_opens_and_stops_a_run(alice, bob):
    repo = new_model(alice)
    for deed in ("open", repo, "--mode", "plain", "--rounds", 1, "--min-participants", 1), ("stop", repo):
        refused = federate(bob, *deed, check=False)
        assert refused.returncode == 1 and "403" in refused.stderr
    open_run(alice, repo)
    again = federate(alice, "open", repo, "--mode", "plain", "--rounds", 1, "--min-participants", 1, check=False)
    assert again.returncode == 1 and "under way" in again.stderr
    federate(alice, "stop", repo)
    assert run_of(alice, repo)["state"] == "stopped"
    assert Sender(bob, repo).http.post(f"/api/models/{repo}/federate/join", json={}).status_code == 409


def test_participants_come_through_the_gate(alice, bob):
    repo = new_model(alice)
    alice.http.put(f"/api/models/{repo}/settings", json={"gated": "manual"}).raise_for_status()
    open_run(alice, repo)
    sender = Sender(bob, repo)
    assert sender.http.post(f"{sender.address}/join", json={}).status_code == 403
    alice.http.post(f"/api/models/{repo}/user-access-request/grant", json={"user": "bob"}).raise_for_status()
    assert sender.join().send(save(start_model())).status_code == 200


def test_a_private_repo_has_no_run_for_strangers(alice, bob, anyone):
    repo = new_model(alice, private=True)
    open_run(alice, repo)
    for person, status in (bob, 404), (anyone, 401):
        for answer in (person.http.get(f"/api/models/{repo}/federate"), person.http.get(f"/api/models/{repo}/federate/round"),
                       person.http.post(f"/api/models/{repo}/federate/join", json={})):
            assert answer.status_code == status


def test_who_has_not_joined_sends_nothing(alice, bob):
    repo = new_model(alice)
    open_run(alice, repo)
    assert Sender(bob, repo).put(b"x").status_code == 403


def test_a_run_needs_a_model_of_floating_point_on_main(alice):
    eight_bits = b'{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
    for files, word in ({}, "no model.safetensors"), ({"model.safetensors": save({"w": numpy.zeros(3, numpy.int32)})}, "F32"), \
            ({"model.safetensors": struct.pack("<Q", len(eight_bits)) + eight_bits + b"\0"}, "F8_E4M3"), ({"model.safetensors": b"not one"}, "safetensors"):
        repo = alice.new_repo()
        if files:
            alice.commit_files(repo, files)
        refused = federate(alice, "open", repo, "--mode", "plain", "--rounds", 1, "--min-participants", 1, check=False)
        assert refused.returncode == 1 and word in refused.stderr


@pytest.mark.parametrize("flags", [("--rule", "best"), ("--rounds", 0), ("--bound", -1), ("--bound", 0), ("--mode", "secret"),
                                   ("--min-participants", 0), ("--rule", "centred-clipping"), ("--rule", "mean+median"),
                                   ("--noise", 1), ("--budget", 1), ("--rule", "krum:1"), ("--rule", "bulyan")])
def test_a_run_with_settings_that_cannot_be_is_refused(alice, flags):
    settings = {"--mode": "plain", "--rounds": 1, "--min-participants": 1, **dict([flags])}
    refused = federate(alice, "open", new_model(alice), *[word for pair in settings.items() for word in pair], check=False)
    assert refused.returncode == 1 and "400" in refused.stderr


def test_another_model_on_main_ends_the_run_and_another_file_does_not(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 2, 1)
    sender = Sender(crowd[0], repo).join()
    alice.commit_files(repo, {"notes.txt": b"hello"})
    trained, examples = fit(start_model(), 1)  # noqa: F821
    assert sender.send(save(trained), examples).status_code == 200
    assert sender.round()["round"] == 2 and alice.read(repo, "notes.txt") == b"hello"
    alice.commit_files(repo, {"model.safetensors": save(start_model())})
    assert sender.send(save(trained), examples, 2).status_code == 200
    told = sender.round()
    assert told["state"] == "stopped" and "another model.safetensors" in told["why"]


# Crashes.


@pytest.mark.parametrize("optimiser, rate", [("fedadam", 0.5), ("fedyogi", 0.2), ("fedadagrad", 0.3), ("fedavgm", 1)])
def test_the_moments_of_an_optimiser_go_on_over_rounds_and_restarts(own_hub, optimiser, rate):
    owner, other = own_hub.person("owner"), own_hub.person("other")
    repo, model = new_model(owner), start_model()
    open_run(owner, repo, 4, 1, "--rule", optimiser, "--server-rate", rate)
    sender = Sender(other, repo).join()
    first = {name: numpy.zeros(value.shape) for name, value in model.items()}
    second = {name: numpy.full(value.shape, 1e-6) for name, value in model.items()}
    for number in (1, 2, 3, 4):
        trained, examples = fit(model, number)  # noqa: F821
        assert sender.send(save(trained), examples, number).status_code == 200
        for name, start in model.items():
            change = (trained[name] - start).astype(float)
            if optimiser == "fedavgm":
                first[name] = 0.9 * first[name] + change
                step = first[name]
            else:
                beta = 0 if optimiser == "fedadagrad" else 0.9
                first[name], old = beta * first[name] + (1 - beta) * change, second[name]
                second[name] = {"fedadagrad": old + change ** 2, "fedadam": 0.99 * old + 0.01 * change ** 2,
                                "fedyogi": old - 0.01 * change ** 2 * numpy.sign(old - change ** 2)}[optimiser]
                step = first[name] / (numpy.sqrt(second[name]) + 1e-3)
            model[name] = (start.astype(float) + rate * step).astype(numpy.float32)
        found = load(owner.read(repo, "model.safetensors"))
        for name in model:
            numpy.testing.assert_allclose(found[name], model[name], rtol=1e-6)
        model = found
        own_hub.kill()
        own_hub.start()
    assert run_of(owner, repo)["state"] == "finished"
    until(lambda: not list((own_hub.data / "federate").iterdir()))


def test_participants_are_told_how_much_to_stay_near_the_model(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 1, "--rule", "fedprox", "--mu", 0.1)
    assert Sender(crowd[0], repo).join().round()["mu"] == 0.1


def test_a_hub_put_together_from_a_backup_asks_for_updates_again(own_hub, tmp_path):
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(2)]
    repo = new_model(owner)
    open_run(owner, repo, 1, 2)
    updates = [fit(start_model(), seed) for seed in range(2)]  # noqa: F821
    senders = [Sender(person, repo).join() for person in people]
    assert senders[0].send(save(updates[0][0]), updates[0][1]).status_code == 200
    (tmp_path / "again").mkdir()
    own_hub.copy_to(tmp_path / "again" / "data")
    again = Hub(tmp_path / "again").start()
    owner, *senders = [Person(again, person.name, person.token) for person in (owner, *people)]
    senders = [Sender(person, repo) for person in senders]
    assert senders[0].round()["update"]["state"] == "accepted"
    assert senders[1].send(save(updates[1][0]), updates[1][1]).status_code == 200
    until(lambda: senders[0].round()["update"]["state"] == "awaited")
    assert run_of(owner, repo)["accepted"] == 1
    assert senders[0].send(save(updates[0][0]), updates[0][1]).status_code == 200
    assert run_of(owner, repo)["state"] == "finished"
    assert same(load(owner.read(repo, "model.safetensors")), reference(range(2), 1))
    again.stop()


def test_who_is_erased_takes_part_no_more_and_the_round_goes_on(own_hub):
    owner, gone, other = (own_hub.person(name) for name in ("owner", "gone", "other"))
    repo = new_model(owner)
    open_run(owner, repo, 1, 2)
    update, examples = fit(start_model(), 0)  # noqa: F821
    assert Sender(gone, repo).join().send(save(update), examples).status_code == 200
    own_hub.admin("user", "erase", "gone", "--reason", "request")
    assert run_of(owner, repo)["participants"] == 0
    second, more = fit(start_model(), 1)  # noqa: F821
    assert Sender(other, repo).join().send(save(second), more).status_code == 200
    assert run_of(owner, repo)["state"] == "finished"
    assert same(load(owner.read(repo, "model.safetensors")), reference(range(2), 1))


def test_the_folder_of_a_run_stays_as_long_as_the_run(own_hub):
    owner = own_hub.person("owner")
    repo = new_model(owner)
    open_run(owner, repo, 2, 1)
    sender, folders = Sender(owner, repo).join(), own_hub.data / "federate"
    assert sender.send(save(start_model())).status_code == 200
    [folder] = folders.iterdir()  # between two rounds it is empty, and somebody may be about to put the next model there
    assert not list(folder.glob("1-*"))
    assert sender.send(save(start_model()), number=2).status_code == 200
    assert run_of(owner, repo)["state"] == "finished" and list(folders.iterdir()) == []


def kill_meanwhile(hub, owner, repo, parts, seed):
    """At any moment, and whenever something has come of it, however slow the machine is. How often: till then the run may be over."""
    dice, kills = numpy.random.default_rng(seed), 0
    while kills < KILLS and any(part.is_alive() for part in parts):
        begun = run_of(owner, repo)
        until(lambda: run_of(owner, repo) != begun or begun["state"] != "open")
        time.sleep(dice.uniform(0, 0.1))
        hub.kill()
        hub.start()
        kills += 1
    return kills


def test_kill_9_at_any_moment_of_a_run_leads_to_the_same_model(tmp_path, preload):  # noqa: F811
    hub, rounds = Hub(tmp_path).start(), 5 * KILLS
    owner = hub.person("owner")
    people = [hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo, rounds, 3)
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(people)]
    kills = kill_meanwhile(hub, owner, repo, parts, seed=5)
    for part in parts:
        part.join()
    assert [part.said[0] for part in parts] == ["done"] * 3, [part.said for part in parts]
    assert kills >= KILLS // 2 and same(load(owner.read(repo, "model.safetensors")), reference(range(3), rounds))
    assert run_of(owner, repo)["accepted"] == 3 * rounds
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"


