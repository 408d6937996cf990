# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training in mode one-house: the hub sees sums of cohorts, and participants who fall away, restart or mean no good."""

import hashlib
import json
import os
import subprocess

import numpy
import pytest
from safetensors.numpy import load

from support import SANITIZER, Hub, new_name, until
from test_federate import TRAIN, Participant, Sender, federate, fit, new_model, start_model
from test_libcairn import preload  # noqa: F401

# What is trained here is a whole number of 1/1024 away from the model, so that nothing is rounded and sums are exact.
FIT = TRAIN + """
def fit_exactly(model, seed, sign=1):
    trained, examples = fit(model, seed)
    return {name: model[name] + numpy.round(1024 * sign * (trained[name] - model[name])).astype(numpy.float32) / 1024 for name in model}, examples
"""
exec(FIT)
BOUND = 8

# how: "honest"; "STEP" or "STEP:N" for one who is gone after that step, the first time or always; "opposite" for one who wants something else.
MEMBER = FIT + """
import json, os, sys
import cairn.federate
url, token, repo, seed, how = sys.argv[1:6]
rounds = []
DONE = {"keys": "ready, waiting", "deal": "secrets are shared", "mask": "masked update is sent", "sign": "is signed", "unmask": "masks off the sum"}

def train(model, config):
    rounds.append(config["round"])
    return fit_exactly(model, int(seed), -30 if how == "opposite" else 1)

def progress(line):
    print(line, flush=True)
    if how in DONE and DONE[how] in line:
        os._exit(0)

try:
    cairn.federate.join(url, token, repo, train, progress=progress)
    print(json.dumps(["done", rounds]), flush=True)
except Exception as problem:
    print(json.dumps([type(problem).__name__, str(problem)]), flush=True)
"""
STEPS = {"keys": "ready, waiting", "deal": "secrets are shared", "mask": "masked update is sent", "sign": "is signed", "unmask": "masks off the sum"}


class Member(Participant):
    program = MEMBER

    def run(self):
        self.lines = []
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        for line in self.process.stdout:
            self.lines.append(line)
        errors = self.process.stderr.read()
        assert not SANITIZER.search(errors), errors
        good = self.process.wait() == 0 and self.lines and self.lines[-1].startswith("[")
        self.said = json.loads(self.lines[-1]) if good else ["gone", errors]

    def has(self, step):
        return any(STEPS[step] in line for line in getattr(self, "lines", []))


def open_run(person, repo, rounds=1, participants=3, *more):
    return federate(person, "open", repo, "--mode", "one-house", "--rounds", rounds, "--min-participants", participants, "--bound", BOUND, *more)


def exact_mean(seeds):
    """The mean as the hub computes it of whole numbers: exact, and without an order."""
    base = start_model()
    out = {}
    for name, start in base.items():
        total = sum(numpy.rint((fit_exactly(base, seed)[0][name] - start).astype(float) * (1 << 20) / BOUND) for seed in seeds)
        change = (total * (BOUND / (1 << 20) / len(seeds))).astype(numpy.float32)
        out[name] = (start.astype(float) + change.astype(float)).astype(numpy.float32)
    return out


def same(found, wanted):
    return found.keys() == wanted.keys() and all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)


def norm(change):
    return numpy.sqrt(sum(float(numpy.sum(value.astype(float) ** 2)) for value in change.values()))


def record(person, repo, number=1):
    return json.loads(person.read(repo, f"fl/rounds/{number:06}.json"))


def end(members):
    for member in members:
        member.join()
    return [member.said for member in members]


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in range(10)]


def test_three_participants_train_a_model_of_which_the_hub_sees_sums_alone(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 3, 3)
    members = [Member(person, repo, seed, preload) for seed, person in enumerate(crowd[:3])]
    assert end(members) == [["done", [1, 2, 3]]] * 3
    assert federate(alice, "status", repo) == {"state": "finished", "round": 3, "participants": 3, "accepted": 9, "rejected": 0, "epsilon": None}
    assert alice.titles(repo)[:3] == ["Federated round 3", "Federated round 2", "Federated round 1"]
    cohort, = record(alice, repo)["cohorts"]
    assert (cohort["members"], cohort["survivors"], cohort["neighbours"], cohort["threshold"]) == (3, 3, 2, 2)


def test_the_sum_is_exact_and_the_order_of_arrival_does_not_matter(alice, crowd, preload):  # noqa: F811
    models = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        repo = new_model(alice)
        open_run(alice, repo, 1, 4)
        assert [said[0] for said in end([Member(crowd[place], repo, place, preload) for place in order])] == ["done"] * 4
        models.append(alice.read(repo, "model.safetensors"))
    assert models[0] == models[1] and same(load(models[0]), exact_mean(range(4)))


def test_a_round_leaves_its_record_and_a_leaf_that_names_it(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 3)
    end([Member(person, repo, seed, preload) for seed, person in enumerate(crowd[:3])])
    text = alice.read(repo, "fl/rounds/000001.json")
    told = json.loads(text)
    assert told["mode"] == "one-house" and told["attempt"] == 1 and told["accepted"] == 3 and "updates" not in told
    assert len(told["cohorts"][0]["maskedSum"]) == 64 and not any(person.name in text.decode() for person in crowd)
    change = {name: value - start_model()[name] for name, value in exact_mean(range(3)).items()}
    assert told["cohorts"][0]["norm"] == pytest.approx(norm(change), rel=1e-5)
    entries = alice.http.get(f"/api/models/{repo}/provenance").json()
    leaf, = [json.loads(entry["leaf"])["b"] for entry in entries["entries"] if entry["type"] == "federated-round"]
    assert leaf["mode"] == "one-house" and leaf["record"] == hashlib.sha256(text).hexdigest() and leaf["accepted"] == 3


@pytest.mark.parametrize("step", ["keys", "deal", "mask", "sign"])
def test_who_falls_away_after_a_step_is_done_without(alice, crowd, preload, step):  # noqa: F811
    """Two of seven are gone: after the keys or the shares they are not in the sum, after the vector they are."""
    repo = new_model(alice)
    open_run(alice, repo, 1, 7, "--grace", 20)
    members = [Member(person, repo, seed, preload, step if seed < 2 else "honest") for seed, person in enumerate(crowd[:7])]
    assert [said[0] for said in end(members)] == ["gone"] * 2 + ["done"] * 5
    cohort, = record(alice, repo)["cohorts"]
    counted = range(7) if step in ("mask", "sign") else range(2, 7)
    assert cohort["members"] == 7 and cohort["survivors"] == len(counted) and record(alice, repo)["attempt"] == 1
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(counted))


def test_a_cohort_that_lost_too_many_begins_anew_and_who_comes_back_takes_part(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 3, "--grace", 5)
    members = [Member(person, repo, seed, preload, "deal" if seed == 0 else "honest") for seed, person in enumerate(crowd[:3])]
    members[0].join()
    members[0] = Member(crowd[0], repo, 0, preload)  # trains again, and joins with keys of its own for the next attempt
    assert [said[0] for said in end(members)] == ["done"] * 3
    assert record(alice, repo)["attempt"] >= 2 and same(load(alice.read(repo, "model.safetensors")), exact_mean(range(3)))
    assert federate(alice, "status", repo)["accepted"] == 3


def test_ten_participants_in_small_cohorts_and_one_who_wants_something_else(alice, crowd, preload):  # noqa: F811
    """Of three cohorts the median is taken: one of them may be spoilt."""
    models = {}
    for rule in "mean", "median":
        repo = new_model(alice)
        open_run(alice, repo, 1, 10, "--rule", rule)
        end([Member(person, repo, seed, preload, "opposite" if seed == 9 else "honest") for seed, person in enumerate(crowd)])
        models[rule] = load(alice.read(repo, "model.safetensors"))
        sizes = sorted(cohort["members"] for cohort in record(alice, repo)["cohorts"])
        assert sizes == {"mean": [10], "median": [3, 3, 4]}[rule]
        assert all(cohort["norm"] <= BOUND for cohort in record(alice, repo)["cohorts"])
    wanted = exact_mean(range(9))
    off = {rule: norm({name: models[rule][name] - wanted[name] for name in wanted}) for rule in models}
    assert off["median"] < 0.5 * off["mean"], off


def test_forty_participants_have_some_neighbours_each(hub, alice, preload):  # noqa: F811
    people = [hub.person(new_name("part")) for _ in range(40)]
    repo = new_model(alice)
    open_run(alice, repo, 1, 40, "--grace", 60)
    assert [said[0] for said in end([Member(person, repo, seed, preload) for seed, person in enumerate(people)])] == ["done"] * 40
    cohort, = record(alice, repo)["cohorts"]
    assert (cohort["members"], cohort["neighbours"], cohort["threshold"]) == (40, 30, 17)
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(40)))


def test_fewer_than_three_wait(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 1, "--grace", 0)
    members = [Member(person, repo, seed, preload) for seed, person in enumerate(crowd[:2])]
    until(lambda: all(member.has("keys") for member in members))
    assert federate(alice, "status", repo)["accepted"] == 0 and not any(member.has("deal") for member in members)
    members.append(Member(crowd[2], repo, 2, preload))
    assert [said[0] for said in end(members)] == ["done"] * 3
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(3)))


def test_kill_9_of_the_hub_at_each_step_leads_to_the_same_model(tmp_path, preload):  # noqa: F811
    hub = Hub(tmp_path).start()
    owner = hub.person("owner")
    people = [hub.person(f"part{number}") for number in range(4)]
    repo = new_model(owner)
    open_run(owner, repo, 1, 4, "--grace", 60)
    members = [Member(person, repo, seed, preload) for seed, person in enumerate(people)]
    for step in STEPS:
        until(lambda: any(member.has(step) for member in members))
        hub.kill()
        hub.start()
    assert [said[0] for said in end(members)] == ["done"] * 4
    assert same(load(owner.read(repo, "model.safetensors")), exact_mean(range(4)))
    assert record(owner, repo)["attempt"] == 1 and federate(owner, "status", repo)["accepted"] == 4
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"
    assert list((hub.data / "federate").iterdir()) == []


@pytest.mark.parametrize("flags, word", [
    (("--noise", 1), "noise"), (("--rule", "trimmed-mean:2"), "cohorts"), (("--rule", "bucketing:2+median"), "cohort"),
    (("--rule", "bulyan"), "suspects")])
def test_what_the_mode_cannot_do_is_refused(alice, flags, word):
    refused = federate(alice, "open", new_model(alice), "--mode", "one-house", "--rounds", 1, "--min-participants", 10, *flags, check=False)
    assert refused.returncode == 1 and word in refused.stderr, refused.stderr


def test_no_single_update_is_taken_in_this_mode(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo)
    sender = Sender(crowd[0], repo).join()
    refused = sender.send(b"an update as it is")
    assert refused.status_code == 409 and "one-house" in refused.json()["error"]
    plain = new_model(alice)
    federate(alice, "open", plain, "--mode", "plain", "--rounds", 1, "--min-participants", 1)
    assert Sender(crowd[0], plain).join().http.get(f"/api/models/{plain}/federate/cohort").status_code == 409


def test_messages_that_make_no_sense_are_refused(alice, bob, crowd):
    repo = new_model(alice)
    open_run(alice, repo)
    address = f"/api/models/{repo}/federate/cohort"
    assert bob.http.get(address).status_code == 403  # has not joined
    sender = Sender(crowd[0], repo).join()
    told = sender.http.get(address).json()
    assert told["step"] == "keys" and told["attempt"] == 1 and len(told["commitment"]) == 64
    good = {"attempt": 1, "step": "keys", "message": "00" * 168}
    for change, status in ({}, 400), ({"message": "0"}, 400), ({"message": "xy"}, 400), ({"message": ""}, 400), ({"step": "give"}, 400), \
            ({"attempt": 2}, 409), ({"step": "deal"}, 409), ({"step": "unmask"}, 409), ({"message": 7}, 400):
        answer = sender.http.post(address, json={**good, **change})
        assert answer.status_code == status, (change, answer.text)
