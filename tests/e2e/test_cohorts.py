# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training in mode one-house: the hub sees sums of cohorts, and participants who fall away, restart or mean no good."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import threading

import numpy
import pytest
from safetensors.numpy import load

from nursery import Child
from one_house import SECRET, Stranger
from support import ROOT, SANITIZER, Hub, new_name, until
from test_federate_rules import decide, notices_about, suspects
from test_federate import TRAIN, Participant, Sender, federate, fit, kill_meanwhile, new_model, run_of, start_model
from test_libcairn import LIBRARY, preload  # noqa: F401

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
        for line in self.process.stdout:
            self.lines.append(line)
        errors = self.process.stderr.read()
        assert not SANITIZER.search(errors), errors
        good = self.process.wait() == 0 and self.lines and self.lines[-1].startswith("[")
        self.said = json.loads(self.lines[-1]) if good else ["gone", errors]

    def has(self, step):
        return any(STEPS[step] in line for line in getattr(self, "lines", []))


class Nothing(Member):
    program = MEMBER.replace("fit_exactly(model, int(seed), -30 if how == \"opposite\" else 1)", "(model, 1)")


def alone(preload):  # noqa: F811
    """For a program that has to do with libcairn and no hub."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": str(LIBRARY), "LD_PRELOAD": preload,
            "ASAN_OPTIONS": "detect_leaks=0"}


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
    assert run_of(alice, repo) == {"state": "finished", "round": 3, "participants": 3, "accepted": 9, "rejected": 0, "epsilon": None}
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


def later(hub, seconds=30000):
    """Steps whose time is up by then are over."""
    hub.kill()
    hub.environment["CAIRN_CLOCK_AHEAD"] = str(int(hub.environment.get("CAIRN_CLOCK_AHEAD", 0)) + seconds)
    hub.start()


def test_who_falls_away_after_a_step_is_done_without(own_hub, preload):  # noqa: F811
    """Two of seven are gone: after the keys or the shares they are not in the sum, after the vector they are."""
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(7)]
    for step, then in zip(STEPS, list(STEPS)[1:]):
        repo = new_model(owner)
        open_run(owner, repo, 1, 7, "--grace", 7000)
        members = [Member(person, repo, seed, preload, step if seed < 2 else "honest") for seed, person in enumerate(people)]
        until(lambda: sum(member.has(then) for member in members) == 5)
        later(own_hub)
        assert [said[0] for said in end(members)] == ["gone"] * 2 + ["done"] * 5
        cohort, = record(owner, repo)["cohorts"]
        counted = range(7) if step in ("mask", "sign") else range(2, 7)
        assert cohort["members"] == 7 and cohort["survivors"] == len(counted) and record(owner, repo)["attempt"] == 1
        assert same(load(owner.read(repo, "model.safetensors")), exact_mean(counted))


def test_a_cohort_that_lost_too_many_begins_anew_and_who_comes_back_takes_part(own_hub, preload):  # noqa: F811
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo, 1, 3, "--grace", 7000)
    members = [Member(person, repo, seed, preload, "deal" if seed == 0 else "honest") for seed, person in enumerate(people)]
    until(lambda: sum(member.has("mask") for member in members) == 2)
    members[0].join()
    later(own_hub)
    members[0] = Member(people[0], repo, 0, preload)  # trains again, and is there with keys of its own for the next attempt
    assert [said[0] for said in end(members)] == ["done"] * 3
    assert record(owner, repo)["attempt"] == 2 and same(load(owner.read(repo, "model.safetensors")), exact_mean(range(3)))
    assert run_of(owner, repo)["accepted"] == 3


def test_a_round_whose_last_step_fails_is_left_without_a_model(own_hub, preload):  # noqa: F811
    """Who has given shares helps no second attempt at the round: the difference of two sums would be somebody's update."""
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo, 2, 3, "--grace", 7000)
    members = [Member(person, repo, seed, preload, "sign" if seed == 0 else "honest") for seed, person in enumerate(people)]
    until(lambda: sum(member.has("unmask") for member in members) == 2)
    members[0].join()
    later(own_hub)
    members[0] = Member(people[0], repo, 0, preload)
    said = end(members)
    assert said[0] in (["done", [2]], ["done", [1, 2]]) and said[1:] == [["done", [1, 2]]] * 2
    assert record(owner, repo, 2)["attempt"] == 2 and run_of(owner, repo)["accepted"] == 3
    assert same(load(owner.read(repo, "model.safetensors")), exact_mean(range(3)))
    assert owner.titles(repo)[0] == "Federated round 2" and "Federated round 1" not in owner.titles(repo)


# A participant written a second time.


def whole_numbers(seed, times=1):
    change = fit_exactly(start_model(), seed)[0]
    return numpy.concatenate([numpy.rint((change[name] - start).astype(float).ravel() * (1 << 20) / BOUND * times) for name, start in start_model().items()]).astype(int)


class Running(threading.Thread):
    def __init__(self, stranger):
        super().__init__(daemon=True)
        self.stranger, self.problem = stranger, None
        self.start()

    def run(self):
        try:
            self.stranger.take_part()
        except BaseException as problem:
            self.problem = problem

    def end(self):
        self.join()
        if self.problem:
            raise self.problem


def strangers(repo, owner, people, kinds, times=None):
    return [Running(kind(person, repo, owner.read(repo, "model.safetensors"), whole_numbers(seed, (times or {}).get(seed, 1))))
            for seed, (person, kind) in enumerate(zip(people, kinds))]


def test_a_participant_written_a_second_time_and_libcairn_understand_each_other(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 5)
    threads = strangers(repo, alice, crowd[:2], [Stranger] * 2)
    members = [Member(crowd[seed], repo, seed, preload) for seed in range(2, 5)]
    assert [said[0] for said in end(members)] == ["done"] * 3
    for thread in threads:
        thread.end()
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(5)))


def test_who_does_not_keep_to_the_bound_moves_its_cohort_by_the_bound_at_most(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 3)
    for thread in strangers(repo, alice, crowd[:3], [Stranger] * 3, {0: 40}):
        thread.end()
    until(lambda: run_of(alice, repo)["state"] == "finished")
    moved = load(alice.read(repo, "model.safetensors"))
    assert record(alice, repo)["cohorts"][0]["norm"] > BOUND
    assert norm({name: moved[name] - start for name, start in start_model().items()}) == pytest.approx(BOUND, rel=1e-5)


class WrongShares(Stranger):
    """Gives shares that are none: whoever has enough others does without."""

    def unmask(self, told):
        right = super().unmask(told)
        return b"".join(right[at:at + 1] + secrets.token_bytes(SECRET) for at in range(0, len(right), 1 + SECRET))


class BadSeals(Stranger):
    """Seals nonsense for all: its own secret cannot be put together, and its cohort is lost."""

    def deal(self, told):
        right = super().deal(told)
        return right[:32] + secrets.token_bytes(len(right) - 32)


def test_wrong_shares_of_one_change_nothing(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 7)
    for thread in strangers(repo, alice, crowd[:7], [WrongShares] + [Stranger] * 6):
        thread.end()
    until(lambda: run_of(alice, repo)["state"] == "finished")
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(7)))


def test_one_who_deals_nonsense_loses_its_cohort_and_the_others_go_on(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 10, "--rule", "bucketing:3+mean")
    for thread in strangers(repo, alice, crowd, [BadSeals] + [Stranger] * 9):
        thread.end()
    until(lambda: run_of(alice, repo)["state"] == "finished")
    told = record(alice, repo)
    assert len(told["cohorts"]) == 2 and told["accepted"] == sum(cohort["survivors"] for cohort in told["cohorts"]) in (6, 7)


class Forger(Stranger):
    """Tries first, at each step, what it must not."""

    def answer(self, told):
        right = super().answer(told)
        if told["step"] in ("keys", "sign", "mask"):
            assert self.post(told["step"], bytes(len(right))).status_code == 400  # not signed, or not what was sent
        for wrong in right[:-1], right + b"\0", b"":
            assert self.post(told["step"], wrong).status_code == 400, told["step"]
        assert self.post(told["step"], right).status_code == 200
        if told["step"] == "unmask":
            return right
        answer = self.post(told["step"], right)  # the reply was lost: it is asked again
        assert answer.status_code in (200, 409), answer.text
        return right


def test_malformed_answers_are_refused_at_every_step_and_the_right_one_is_still_taken(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 3)
    for thread in strangers(repo, alice, crowd[:3], [Forger] * 3):
        thread.end()
    until(lambda: run_of(alice, repo)["state"] == "finished")
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(3)))


def test_one_identity_in_a_run_is_kept(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo)
    first = Stranger(crowd[0], repo, alice.read(repo, "model.safetensors"), whole_numbers(0))
    told = first.http.get(f"{first.address}/cohort").json()
    assert first.post("keys", first.keys(told)).status_code == 200 and first.post("keys", first.keys(told)).status_code == 200
    second = Stranger(crowd[0], repo, alice.read(repo, "model.safetensors"), whole_numbers(0))
    refused = second.post("keys", second.keys(told))
    assert refused.status_code == 403 and "identity key" in refused.json()["error"]


def test_who_names_its_peers_is_in_no_cohort_with_others(alice, crowd, preload, tmp_path):  # noqa: F811
    """The file of peers says whose keys there may be, and the hub's word does not count."""
    def with_peers(who, known):
        state = tmp_path / f"state-{who}"
        file = tmp_path / f"peers-{who}-{len(known)}"
        file.write_text("".join(f"{key} somebody\n" for key in known))
        return MEMBER.replace("progress=progress", f"progress=progress, state={str(state)!r}, peers={str(file)!r}")
    keys = []
    for who in range(3):
        show = f"import cairn.federate; print(cairn.federate.identity({str(tmp_path / f'state-{who}')!r}))"
        keys += [Child(preload, LIBRARY, show).communicate()[0].strip() for _ in "12"]
    assert keys[0] == keys[1] != keys[2] and all(len(key) == 64 for key in keys)  # the same when it is asked again
    keys = keys[::2]
    for known, wanted in (keys, ["done"] * 3), (keys[:2] + ["0" * 64], ["NotAccepted"] * 3):
        repo = new_model(alice)
        open_run(alice, repo)
        members = [type("Knowing", (Member,), {"program": with_peers(who, known)})(crowd[who], repo, who, preload) for who in range(3)]
        said = end(members)
        assert [word for word, _ in said] == wanted
        assert wanted[0] == "done" or all("not in" in why for _, why in said)


def test_candidates_race_over_cohorts(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 9, "--rule", "race:mean,median", "--judge-wait", 1)
    assert [said[0] for said in end([Member(person, repo, seed, preload) for seed, person in enumerate(crowd[:9])])] == ["done"] * 9
    assert len(record(alice, repo)["cohorts"]) == 3 and run_of(alice, repo)["accepted"] == 9


def test_who_is_erased_is_in_no_cohort(own_hub, preload):  # noqa: F811
    owner, gone, people = own_hub.person("owner"), own_hub.person("gone"), [own_hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo)
    ready = Stranger(gone, repo, owner.read(repo, "model.safetensors"), whole_numbers(7))
    assert ready.post("keys", ready.keys(ready.http.get(f"{ready.address}/cohort").json())).status_code == 200
    own_hub.admin("user", "erase", "gone", "--reason", "request")
    assert [said[0] for said in end([Member(person, repo, seed, preload) for seed, person in enumerate(people)])] == ["done"] * 3
    assert record(owner, repo)["cohorts"][0]["members"] == 3
    assert same(load(owner.read(repo, "model.safetensors")), exact_mean(range(3)))


def test_noise_is_in_the_sum_as_large_as_was_asked_for(alice, crowd, preload):  # noqa: F811
    """Three add a part each; what is found in 300,000 numbers (more than the hub sums at once) is what is asked for, to a hundredth."""
    zeros = {"w": numpy.zeros(300000, numpy.float32)}
    repo = new_model(alice, zeros)
    open_run(alice, repo, 1, 3, "--noise", 1)
    members = [Nothing(person, repo, seed, preload) for seed, person in enumerate(crowd[:3])]
    assert [said[0] for said in end(members)] == ["done"] * 3
    noise = load(alice.read(repo, "model.safetensors"))["w"].astype(float) * 3
    assert noise.std() == pytest.approx(BOUND, rel=0.01) and abs(noise.mean()) < 5 * BOUND / 300000 ** 0.5
    assert noise[:262144].std() == pytest.approx(noise[262144:].std(), rel=0.02)
    assert run_of(alice, repo)["epsilon"] > 0 and record(alice, repo)["epsilon"] > 0


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


# Many in one program: what is long about each is the start of its own.
CROWD = FIT + """
import json, sys, threading
import cairn.federate
url, repo, *tokens = sys.argv[1:]
said = {}

def member(seed, token):
    try:
        cairn.federate.join(url, token, repo, lambda model, config: fit_exactly(model, seed))
        said[seed] = "done"
    except Exception as problem:
        said[seed] = str(problem)

threads = [threading.Thread(target=member, args=pair) for pair in enumerate(tokens)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([said[seed] for seed in range(len(tokens))]))
"""


def test_forty_participants_have_some_neighbours_each(hub, alice, preload, tmp_path):  # noqa: F811
    people = [hub.person(new_name("part")) for _ in range(40)]
    repo = new_model(alice)
    open_run(alice, repo, 1, 40, "--grace", 60)
    done = subprocess.run([sys.executable, "-c", CROWD, hub.url, repo, *[person.token for person in people]], capture_output=True, text=True,
                          timeout=500, env={**alone(preload), "XDG_STATE_HOME": str(tmp_path)})
    assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
    assert json.loads(done.stdout) == ["done"] * 40
    cohort, = record(alice, repo)["cohorts"]
    assert (cohort["members"], cohort["neighbours"], cohort["threshold"]) == (40, 30, 17)
    assert same(load(alice.read(repo, "model.safetensors")), exact_mean(range(40)))


# Many again, who train a round once the folder has a file with its number; one who is bad goes back.
WATCHED = f"steps = {STEPS}" + """
import json, os, sys, threading, time
import numpy
import cairn.federate
url, repo, folder, bad, *tokens = sys.argv[1:]
said = {}

def wait_for(name):
    while not os.path.exists(f"{folder}/{name}"):
        time.sleep(0.05)

def member(place, token):
    dice = numpy.random.default_rng(place)
    name = [""]
    def train(model, config):
        name[0] = f"{config['round']}-{place}"
        wait_for(name[0])
        change = (1 + 0.2 * dice.normal(size=400)) * (-1 if place == int(bad) else 1)
        return {"w": model["w"] + change.astype(numpy.float32)}, 1
    def progress(line):
        for step, words in steps.items():
            if words in line:
                open(f"{folder}/{name[0]}-{step}", "w").close()
    try:
        cairn.federate.join(url, token, repo, train, progress=progress)
        said[place] = "done"
    except Exception as problem:
        said[place] = str(problem)

threads = [threading.Thread(target=member, args=pair) for pair in enumerate(tokens)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([said[place] for place in range(len(tokens))]))
"""


class Crowd:
    """Those people in one program; `go(round, places)` lets these train it."""

    def __init__(self, people, repo, folder, preload, bad=-1):  # noqa: F811
        self.people, self.repo, self.folder = people, repo, folder
        self.process = Child(preload, LIBRARY, WATCHED, people[0].hub.url, repo, str(folder), str(bad), *[person.token for person in people],
                             XDG_STATE_HOME=str(folder))

    def go(self, number, places):
        for place in places:
            (self.folder / f"{number}-{place}").touch()

    def through(self, owner, number, places):
        self.go(number, places)
        until(lambda: run_of(owner, self.repo)["round"] == number + 1 or run_of(owner, self.repo)["state"] != "open")

    def end(self):
        out, errors = self.process.communicate()
        assert self.process.wait() == 0 and not SANITIZER.search(errors), errors
        return json.loads(out)


def open_watched(person, *more, grace=600):
    repo = new_model(person, {"w": numpy.zeros(400, numpy.float32)})
    federate(person, "open", repo, "--mode", "one-house", "--min-participants", 9, "--rule", "bucketing:3+mean", "--grace", grace, *more)
    return repo


def test_who_spoils_sums_of_cohorts_is_proposed_and_removed_by_people_alone(alice, bob, crowd, preload, tmp_path):  # noqa: F811
    repo = open_watched(alice, "--rounds", 12, "--suspicion", 7)
    watched, bad, honest = Crowd(crowd, repo, tmp_path, preload, 4), crowd[4], [place for place in range(10) if place != 4]
    for number in range(1, 6):
        watched.through(alice, number, range(10))
        assert suspects(alice, repo) == []
    assert decide(alice, repo, bad.name, "remove").status_code == 404
    while not suspects(alice, repo):
        number += 1
        watched.through(alice, number, range(10))
    found, = suspects(alice, repo)
    assert (found["user"], found["state"]) == (bad.name, "proposed") and found["flags"] == found["rounds"] == number <= 8
    assert len(notices_about(alice, repo)) == 1
    told = record(alice, repo, number)
    assert sum(group["flagged"] for group in told["groups"]) == 1 and sorted(group["size"] for group in told["groups"]) == [3, 3, 4]
    assert [group["size"] for group in told["groups"]] == [cohort["survivors"] for cohort in told["cohorts"]]
    assert not any(person.name in json.dumps(told) for person in crowd)
    for person in bob, bad:
        assert person.http.get(f"/api/models/{repo}/federate/suspects").status_code == 403
    # It is ready for the next round when it is removed: no cohort has it, and nobody waits for it.
    watched.go(number + 1, [4])
    until(lambda: (tmp_path / f"{number + 1}-4-keys").exists())
    assert decide(alice, repo, bad.name, "remove").status_code == 200
    for last in range(number + 1, 13):
        watched.through(alice, last, honest)
        told = record(alice, repo, last)
        assert [cohort["members"] for cohort in told["cohorts"]] == [3, 3, 3] and not any(group["flagged"] for group in told["groups"])
    said = watched.end()
    assert [said[place] for place in honest] == ["done"] * 9 and "removed" in said[4]
    assert [(one["user"], one["state"]) for one in suspects(alice, repo)] == [(bad.name, "removed")]


def test_where_all_go_the_same_way_no_cohort_is_marked(alice, crowd, preload, tmp_path):  # noqa: F811
    repo = open_watched(alice, "--rounds", 3, "--suspicion", 1)
    watched = Crowd(crowd, repo, tmp_path, preload)
    for number in range(1, 4):
        watched.through(alice, number, range(10))
        assert not any(group["flagged"] for group in record(alice, repo, number)["groups"])
    assert suspects(alice, repo) == [] and watched.end() == ["done"] * 10


class Held(Stranger):
    """Stays away once it has dealt, until it is told to go on, and is refused then."""

    def __init__(self, *how):
        super().__init__(*how)
        self.holds, self.goes_on = threading.Event(), threading.Event()

    def mask_vector(self, told):
        self.holds.set()
        self.goes_on.wait()
        try:
            super().mask_vector(told)
        except AssertionError:
            raise InterruptedError
        raise AssertionError("it was taken")

    def take_part(self):
        with pytest.raises(InterruptedError):
            super().take_part()
        assert self.http.get(f"{self.address}/cohort").status_code == 403


def test_who_does_not_clip_is_marked_and_a_cohort_under_way_goes_on_without_who_is_removed(own_hub, preload, tmp_path):  # noqa: F811
    """Its cohort's mean looks like the others', as it is drawn back to the bound; but none within it has one that is longer."""
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(9)]
    bad, bound = people[8], 8
    repo = open_watched(owner, "--rounds", 2, "--suspicion", 1, "--bound", bound, grace=7000)
    change = 1 + 0.2 * numpy.random.default_rng(99).normal(size=400)
    values = numpy.rint(4 * (1 << 20) * change / numpy.linalg.norm(change)).astype(int)  # four times the bound, the way that the others go
    first = Stranger(bad, repo, owner.read(repo, "model.safetensors"), values)
    running, watched = Running(first), Crowd(people[:8], repo, tmp_path, preload)
    watched.through(owner, 1, range(8))
    running.end()
    told, proposed = record(owner, repo), [one["user"] for one in suspects(owner, repo)]
    assert [group["flagged"] for group in told["groups"]] == [cohort["norm"] > bound for cohort in told["cohorts"]]
    assert bad.name in proposed and len(proposed) == 3
    held = Held(bad, repo, owner.read(repo, "model.safetensors"), values)
    held.identity = first.identity
    running = Running(held)
    watched.go(2, range(8))
    until(lambda: held.holds.is_set() and len(list(tmp_path.glob("2-*-mask"))) == 8 and len(list(tmp_path.glob("2-*-unmask"))) == 6)
    assert decide(owner, repo, bad.name, "remove").status_code == 200
    held.goes_on.set()
    running.end()
    later(own_hub)
    assert watched.end() == ["done"] * 8
    told = record(owner, repo, 2)  # its cohort is too small without it, and given up
    assert [cohort["survivors"] for cohort in told["cohorts"]] == [3, 3] and told["accepted"] == 6
    assert [group["flagged"] for group in told["groups"]] == [False] * 2


def test_fewer_than_three_wait(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 1, 1, "--grace", 60)
    members = [Member(person, repo, seed, preload) for seed, person in enumerate(crowd[:2])]
    until(lambda: all(member.has("keys") for member in members))
    assert run_of(alice, repo)["accepted"] == 0 and not any(member.has("deal") for member in members)
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
    assert record(owner, repo)["attempt"] == 1 and run_of(owner, repo)["accepted"] == 4
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"
    until(lambda: not list((hub.data / "federate").iterdir()))


class BrokenOff(Stranger):
    """Its vector is in its place before it says so: what a crash between the file and the database leaves behind."""

    def mask_vector(self, told):
        digest = super().mask_vector(told)
        sent = next(path for path in self.folder.iterdir() if not path.name.endswith("-0") and path.suffix == "" and path.stat().st_size
                    and hashlib.sha256(path.read_bytes()).digest() == digest)
        assert self.post("mask", bytes(32)).status_code == 400  # other bytes than those that it says
        sent.rename(f"{sent}.masked")
        assert self.post("mask", bytes(32)).status_code == 400
        return digest


class Unsent(Stranger):
    """Says that it has sent its vector, which nobody has seen."""

    def mask_vector(self, told):
        refused = self.post("mask", bytes(32))
        assert refused.status_code == 409 and refused.headers["x-error-code"] == "VectorIncomplete", refused.text
        return super().mask_vector(told)


def test_a_vector_that_was_put_in_place_before_a_crash_is_taken_and_one_that_is_not_there_is_not(own_hub):
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo, 1, 3, "--grace", 600)
    BrokenOff.folder, = (own_hub.data / "federate").iterdir()
    for running in strangers(repo, owner, people, [BrokenOff, Unsent, Stranger]):
        running.end()
    assert record(owner, repo)["attempt"] == 1 and run_of(owner, repo)["accepted"] == 3
    assert same(load(owner.read(repo, "model.safetensors")), exact_mean(range(3)))


def test_kill_9_at_any_moment_of_a_run_loses_no_round(tmp_path, preload):  # noqa: F811
    hub = Hub(tmp_path).start()
    owner = hub.person("owner")
    people = [hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner)
    open_run(owner, repo, 3, 3, "--grace", 600)
    members = [Member(person, repo, seed, preload) for seed, person in enumerate(people)]
    assert kill_meanwhile(hub, owner, repo, members, seed=7) > 1
    assert end(members) == [["done", [1, 2, 3]]] * 3
    assert run_of(owner, repo)["accepted"] == 9
    model = start_model()
    for _ in range(3):
        changes = [{name: fit_exactly(model, seed)[0][name] - model[name] for name in model} for seed in range(3)]
        model = {name: (model[name] + numpy.mean([change[name] for change in changes], axis=0)).astype(numpy.float32) for name in model}
    found = load(owner.read(repo, "model.safetensors"))
    assert all(numpy.abs(found[name] - model[name]).max() < 0.01 for name in model)  # who trains rounds to 1/1024, near its middle either way
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"


@pytest.mark.parametrize("flags, word", [
    (("--noise", 1, "--rule", "median"), "noise"), (("--noise", 900), "room"), (("--rule", "trimmed-mean:2"), "cohorts"), (("--rule", "bucketing:2+median"), "cohort"),
    (("--rule", "bulyan"), "cohorts"), (("--rule", "scaffold"), "sees each update"), (("--rule", "fedbuff"), "sees each update"),
    (("--most-examples", 9), "weighs the same"), (("--suspicion", 8), "3 groups at least"),
    (("--suspicion", 8, "--rule", "bucketing:4+mean"), "has 2"), (("--suspicion", 8, "--rule", "bucketing:3+mean", "--noise", 1), "noise")])
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
