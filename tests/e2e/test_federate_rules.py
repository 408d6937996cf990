# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules by which a round is more than a sum: buffers that take what comes late, control variates, candidates that are judged, and
participants who are suspected."""

import hashlib
import itertools
import json
import os
import signal
import struct
import subprocess
import sys

import numpy
import pytest
from blake3 import blake3
from safetensors.numpy import load, save

from nursery import Child
from support import ROOT, SANITIZER, Hub, new_name, sha256, until
from test_federate import KILLS, Participant, Sender, crowd, ends, federate, fit, kill_meanwhile, new_model, open_run, run_of, same, start_model  # noqa: F401
from test_libcairn import LIBRARY, preload  # noqa: F401

# Buffers (FedBuff).


def buffered(base, updates):
    """As the hub computes it: differences to each one's own model in float32, weighed by how old that is; each counts the same."""
    out = {}
    for name, start in base.items():
        change = numpy.zeros(start.shape)
        for model, origin, behind in updates:
            change = change + 1 / len(updates) * (1 / numpy.sqrt(1 + behind) * (model[name] - origin[name]).astype(float)).astype(numpy.float32).astype(float)
        out[name] = (start.astype(float) + change).astype(numpy.float32)
    return out


def model_of(person, repo):
    return load(person.read(repo, "model.safetensors"))


def record_of(person, repo, number):
    return json.loads(person.read(repo, f"fl/rounds/{number:06}.json"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_a_buffer_takes_what_comes_late_and_weighs_it_by_its_age(alice, crowd, order):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 2, 3, "--rule", "mean+fedbuff")
    senders = [Sender(person, repo).join() for person in crowd]
    first = start_model()
    for sender, seed in zip(senders, range(3)):
        assert sender.send(save(fit(first, seed)[0]), 10 + seed).status_code == 200
    second = model_of(alice, repo)
    assert same(second, buffered(first, [(fit(first, seed)[0], first, 0) for seed in range(3)]))
    # In the second buffer one of the three comes with what it has made of the first model.
    late = senders[1]
    updates = [(fit(second, 0)[0], 2), (fit(first, 7)[0], 1), (fit(second, 2)[0], 2)]
    assert late.send(save(updates[1][0]), number=1).status_code == 409  # of that model there was one
    repo = new_model(alice)
    open_run(alice, repo, 2, 2, "--rule", "mean+fedbuff")
    senders = [Sender(person, repo).join() for person in crowd]
    for sender, seed in zip((senders[0], senders[2]), (0, 2)):
        assert sender.send(save(fit(first, seed)[0])).status_code == 200
    second = model_of(alice, repo)
    sent = [(senders[0], fit(second, 0)[0], 2), (senders[1], fit(first, 7)[0], 1), (senders[2], fit(second, 2)[0], 2)]
    picked = [sent[place] for place in order][:2]
    for sender, model, number in picked:
        assert sender.send(save(model), number=number).status_code == 200
    assert run_of(alice, repo)["state"] == "finished"
    picked.sort(key=lambda one: senders.index(one[0]))
    assert same(model_of(alice, repo), buffered(second, [(model, first if number == 1 else second, 2 - number) for _, model, number in picked]))
    assert [update["from"] for update in record_of(alice, repo, 2)["updates"]] == [number for _, _, number in picked]


def test_a_buffer_gives_the_same_bits_for_any_order_of_arrival(alice, crowd):  # noqa: F811
    models = []
    for order in itertools.permutations(range(3)):
        repo = new_model(alice)
        open_run(alice, repo, 1, 3, "--rule", "trimmed-mean:1+fedbuff")
        for place in order:
            assert Sender(crowd[place], repo).join().send(save(fit(start_model(), place)[0])).status_code == 200
        models.append(alice.read(repo, "model.safetensors"))
    assert len(set(models)) == 1


def test_what_is_twenty_models_old_is_taken_and_what_is_older_is_not(alice, crowd):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 100, 1, "--rule", "mean+fedbuff")
    quick, slow, slower = (Sender(person, repo).join() for person in crowd)
    update, first = save(fit(start_model(), 1)[0]), start_model()
    for number in range(1, 21):
        assert quick.send(alice.read(repo, "model.safetensors"), number=number).status_code == 200
    before = model_of(alice, repo)
    assert slow.send(update, number=1).status_code == 200  # now it is round 21
    assert same(model_of(alice, repo), buffered(before, [(load(update), first, 20)]))
    refused = slower.send(update, number=1)
    assert refused.status_code == 409 and refused.json()["error"].startswith("Round 1 takes no updates"), refused.text
    assert slower.send(update, number=23).status_code == 409
    assert slower.send(update, number=0).status_code == 409
    assert slower.send(update, number=2).status_code == 200


def test_a_buffer_has_one_update_of_a_participant_and_the_next_one_waits(alice, crowd):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 3, 2, "--rule", "mean+fedbuff")
    one, other = (Sender(person, repo).join() for person in crowd[:2])
    models = [start_model()]
    for sender, seed in (one, 0), (other, 1):
        assert sender.send(save(fit(models[0], seed)[0])).status_code == 200
    models.append(model_of(alice, repo))
    made = save(fit(models[1], 0)[0])
    assert one.send(made, number=2).status_code == 200
    assert one.finish(made, number=2).status_code == 200  # asked for again: nothing new
    refused = one.send(save(fit(models[0], 5)[0]), number=1)
    assert refused.status_code == 409 and "RoundOver" in refused.headers["x-error-code"]
    assert other.send(save(fit(models[1], 1)[0]), number=2).status_code == 200
    models.append(model_of(alice, repo))
    assert one.finish(made, number=2).status_code == 200  # the answer was lost, and the buffer is gone
    assert run_of(alice, repo)["accepted"] == 4
    third = save(fit(models[2], 0)[0])
    late = save(fit(models[1], 3)[0])
    assert Sender(crowd[2], repo).join().put(late, number=2).status_code == 200
    assert one.send(third, number=3).status_code == 200
    waits = one.send(third, number=3)
    assert waits.status_code == 409 and run_of(alice, repo)["accepted"] == 5
    assert Sender(crowd[2], repo).finish(late, number=2).status_code == 200
    assert run_of(alice, repo)["state"] == "finished"


def test_an_update_is_measured_from_the_model_that_it_was_made_of(alice, crowd):  # noqa: F811
    start = {"w": numpy.zeros(4, numpy.float32)}
    repo = new_model(alice, start)
    open_run(alice, repo, 3, 1, "--rule", "mean+fedbuff", "--bound", 1)
    quick, slow = (Sender(person, repo).join() for person in crowd[:2])
    near = {"w": numpy.array([-0.9, 0, 0, 0], numpy.float32)}
    assert quick.send(save({"w": numpy.array([0.9, 0, 0, 0], numpy.float32)})).status_code == 200
    assert slow.send(save(near), number=2).status_code == 422  # from the second model it is 1.8 away
    assert slow.send(save(near), number=1).status_code == 200
    assert same(model_of(alice, repo), buffered({"w": numpy.array([0.9, 0, 0, 0], numpy.float32)}, [(near, start, 1)]))


def test_noise_of_a_buffer_has_its_size_and_its_price(alice, crowd):  # noqa: F811
    start = {"w": numpy.zeros(20_000, numpy.float32)}
    repo = new_model(alice, start)
    open_run(alice, repo, 3, 2, "--rule", "mean+fedbuff", "--bound", 0.5, "--noise", 2)
    one, other = (Sender(person, repo).join() for person in crowd[:2])
    for sender in one, other:
        assert sender.send(save(start)).status_code == 200
    second = model_of(alice, repo)
    change = numpy.random.default_rng(1).normal(size=20_000).astype(numpy.float32) * numpy.float32(0.001)
    assert one.send(save({"w": change}), number=1).status_code == 409
    assert Sender(crowd[2], repo).join().send(save({"w": change}), number=1).status_code == 200
    assert one.send(save(second), number=2).status_code == 200
    noise = (model_of(alice, repo)["w"] - second["w"].astype(float)) * 2 - change / 2 ** 0.5
    assert abs(noise.mean()) < 6 / 20_000 ** 0.5 and abs(noise.std() - 1) < 6 / 40_000 ** 0.5
    assert abs(run_of(alice, repo)["epsilon"] - 3.188992) < 1e-6  # two rounds with everybody in them


def test_participants_of_a_buffer_go_on_at_once_and_no_work_of_theirs_is_lost(tmp_path, preload):  # noqa: F811
    hub = Hub(tmp_path).start()
    owner = hub.person("owner")
    people = [hub.person(f"part{number}") for number in range(4)]
    repo = new_model(owner)
    open_run(owner, repo, 12, 2, "--rule", "mean+fedbuff")
    models = [model_of(owner, repo)]
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(people)]
    assert kill_meanwhile(hub, owner, repo, parts, seed=6) > 1
    for part in parts:
        part.join()
    assert [part.said[0] for part in parts] == ["done"] * 4, [part.said for part in parts]
    commits = [commit.commit_id for commit in owner.api.list_repo_commits(repo) if commit.title.startswith("Federated round")][::-1]
    assert len(commits) == 12
    for number, commit in enumerate(commits, 1):
        updates = []
        for update in record_of(owner, repo, number)["updates"]:
            origin = models[update["from"] - 1]
            made = [fit(origin, seed)[0] for seed in range(4)]
            model = next(model for model in made if blake3(save(model)).hexdigest() == update["blake3"])
            updates.append((model, origin, number - update["from"]))
        models.append(load(owner.read(repo, "model.safetensors", commit)))
        assert same(models[-1], buffered(models[-2], updates))
    assert [part.said[1] == sorted(set(part.said[1])) for part in parts] == [True] * 4  # each model is trained once at most
    until(lambda: not list((hub.data / "federate").iterdir()))
    hub.stop()


# Control variates (SCAFFOLD).

# Each participant has a valley of its own; the model is to find the lowest point of all of them together.
VALLEYS = """
import json, sys, threading
import numpy

STEPS, RATE = 8, 0.05

def valley(seed):
    dice = numpy.random.default_rng(seed)
    return dice.uniform(0.2, 3, 6), dice.normal(size=6) * 4

def descend(model, seed, correction):
    steep, lowest = valley(seed)
    x = model["x"].astype(numpy.float64)
    for _ in range(STEPS):
        x = x - RATE * (steep * (x - lowest) + correction)
    return x.astype(numpy.float32)
"""
exec(VALLEYS)

JOINING = VALLEYS + """
import cairn.federate
url, repo, count, state = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] or None
said = {}

def hold(number, config):
    pass

def part(number, token):
    def train(model, config):
        correction = config["correction"]["x"] if "correction" in config else 0
        if state != "silent":
            config["steps"], config["rate"] = STEPS, RATE
        hold(number, config)
        model["x"] = descend(model, number, correction)
        return model, 10
    try:
        cairn.federate.join(url, token, repo, train, state=f"{state}/{number}" if state and state != "silent" else None)
        said[number] = "done"
    except Exception as problem:
        said[number] = str(problem)

threads = [threading.Thread(target=part, args=(number, token)) for number, token in enumerate(sys.argv[5:5 + count])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([said[number] for number in range(count)]))
"""


# The same, that goes no further than the fourth round.
HELD = JOINING.replace("    pass\n", """    if config["round"] == 4:
        open(f"{state}/held-{number}", "w").close()
        threading.Event().wait()
""")


def all_descend(repo, people, preload, state=""):  # noqa: F811
    return ends(descending(JOINING, repo, people, preload, state))


def descending(program, repo, people, preload, state):  # noqa: F811
    return Child(preload, LIBRARY, program, people[0].hub.url, repo, len(people), state, *[person.token for person in people])


def scaffold_of_numpy(rounds, people=3):
    x, c, own = numpy.zeros(6, numpy.float32), numpy.zeros(6), numpy.zeros((people, 6))
    for _ in range(rounds):
        made = [descend({"x": x}, seed, (c - own[seed]).astype(numpy.float32)) for seed in range(people)]  # noqa: F821
        changes = [(x.astype(float) - y) / (STEPS * RATE) - c for y in made]  # noqa: F821
        own += changes
        x = (x + numpy.mean([y.astype(float) - x for y in made], axis=0)).astype(numpy.float32)
        c = c + numpy.mean(changes, axis=0)
    return x, c


def lowest_of_all(people=3):
    valleys = [valley(seed) for seed in range(people)]  # noqa: F821
    return sum(steep * place for steep, place in valleys) / sum(steep for steep, _ in valleys)


def test_scaffold_does_what_numpy_does_and_finds_what_fedavg_does_not(alice, crowd, preload):  # noqa: F811
    start, found = {"x": numpy.zeros(6, numpy.float32)}, {}
    for rule in "mean", "mean+scaffold":
        repo = new_model(alice, start)
        open_run(alice, repo, 25, 3, "--rule", rule, "--grace", 600)
        assert all_descend(repo, crowd, preload) == ["done"] * 3
        found[rule] = model_of(alice, repo)["x"]
    numpy.testing.assert_allclose(found["mean+scaffold"], scaffold_of_numpy(25)[0], rtol=1e-4, atol=1e-5)
    away = {rule: numpy.linalg.norm(x - lowest_of_all()) for rule, x in found.items()}
    assert away["mean+scaffold"] < 0.05 * away["mean"], away
    assert record_of(alice, repo, 25)["participants"] == 3


def test_the_own_control_variate_outlives_the_program(own_hub, preload, tmp_path):  # noqa: F811
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(3)]
    repo = new_model(owner, {"x": numpy.zeros(6, numpy.float32)})
    open_run(owner, repo, 6, 3, "--rule", "mean+scaffold", "--grace", 600)
    for number in range(3):
        (tmp_path / "state" / str(number)).mkdir(parents=True)
    # The first program is ended in the middle of the run, right behind a round.
    first = descending(HELD, repo, people, preload, tmp_path / "state")
    until(lambda: run_of(owner, repo)["round"] == 4)
    until(lambda: len(list((tmp_path / "state").glob("held-*"))) == 3)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() != 0
    assert all_descend(repo, people, preload, tmp_path / "state") == ["done"] * 3
    numpy.testing.assert_allclose(model_of(owner, repo)["x"], scaffold_of_numpy(6)[0], rtol=1e-4, atol=1e-5)
    until(lambda: not list((own_hub.data / "federate").iterdir()))


def scaffolded(x, change):
    return save({"x": numpy.asarray(x, numpy.float32), "control/x": numpy.asarray(change, numpy.float32)})


def control_of(sender, number):
    answer = sender.http.get(f"{sender.address}/control", params={"round": number, "offset": 0})
    return load(answer.content)["x"] if answer.status_code == 200 else None


def test_who_sends_nothing_counts_in_how_far_the_control_variate_goes(alice, crowd):  # noqa: F811
    repo = new_model(alice, {"x": numpy.zeros(2, numpy.float32)})
    open_run(alice, repo, 3, 2, "--rule", "mean+scaffold", "--grace", 0)
    senders = [Sender(person, repo).join() for person in crowd]
    assert senders[0].round()["scaffold"] and not senders[0].round()["control"]
    assert control_of(senders[0], 1) is None
    assert senders[0].send(scaffolded([1, 0], [3, 0]), examples=1000).status_code == 200  # examples do not count
    assert senders[1].send(scaffolded([0, 2], [0, 6])).status_code == 200
    assert senders[0].round()["control"]
    assert model_of(alice, repo)["x"].tolist() == [0.5, 1]
    assert control_of(senders[2], 2).tolist() == [1, 2]  # 2/3 of the mean
    assert control_of(senders[2], 1) is None
    for sender in senders[:2]:
        assert sender.send(scaffolded([0.5, 1], [-1.5, 3]), number=2).status_code == 200
    assert control_of(senders[2], 3).tolist() == [0, 4]


def test_the_order_of_arrival_changes_no_bit_of_model_and_control_variate(alice, crowd):  # noqa: F811
    found = []
    dice = numpy.random.default_rng(8).normal(size=(3, 2, 6))
    for order in itertools.permutations(range(3)):
        repo = new_model(alice, {"x": numpy.zeros(6, numpy.float32)})
        open_run(alice, repo, 2, 3, "--rule", "trimmed-mean:1+scaffold")
        for place in order:
            assert Sender(crowd[place], repo).join().send(scaffolded(*dice[place])).status_code == 200
        found.append((alice.read(repo, "model.safetensors"), control_of(Sender(crowd[0], repo), 2).tobytes()))
    assert len(set(found)) == 1
    numpy.testing.assert_allclose(numpy.frombuffer(found[0][1], numpy.float32), numpy.median(dice[:, 1], axis=0), rtol=1e-6)


def test_the_control_variate_goes_on_over_restarts(own_hub):
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(2)]
    repo = new_model(owner, {"x": numpy.zeros(6, numpy.float32)})
    open_run(owner, repo, 4, 2, "--rule", "mean+scaffold+fedavgm")
    senders = [Sender(person, repo).join() for person in people]
    dice, control = numpy.random.default_rng(9), numpy.zeros(6)
    for number in (1, 2, 3):
        changes = dice.normal(size=(2, 6)).astype(numpy.float32)
        for sender, change in zip(senders, changes):
            assert sender.send(scaffolded(model_of(owner, repo)["x"], change), number=number).status_code == 200
            own_hub.kill()
            own_hub.start()
        control = (control + changes.astype(float).mean(axis=0)).astype(numpy.float32).astype(float)
        until(lambda: senders[0].round()["round"] == number + 1)
        numpy.testing.assert_allclose(control_of(senders[0], number + 1), control, rtol=1e-6)
    assert model_of(owner, repo)["x"].tolist() == [0] * 6


@pytest.mark.parametrize("update, word", [
    (save({"x": numpy.zeros(2, numpy.float32)}), "tensors"),
    (save({"x": numpy.zeros(2, numpy.float32), "control/y": numpy.zeros(2, numpy.float32)}), "lacks"),
    (save({"x": numpy.zeros(2, numpy.float32), "control/x": numpy.zeros(3, numpy.float32)}), "shape"),
    (scaffolded([0, 0], [numpy.nan, 0]), "not a number"),
    (scaffolded([0, 0], [3, 0]), "control variate"),
    (scaffolded([2, 0], [0, 0]), "away from the model"),
    (scaffolded([0, 0], [0, 0])[:-4], "rejected")], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_a_hostile_control_variate_is_refused(alice, crowd, update, word):  # noqa: F811
    repo = new_model(alice, {"x": numpy.zeros(2, numpy.float32)})
    open_run(alice, repo, 1, 1, "--rule", "mean+scaffold", "--bound", 1, "--control-bound", 2)
    sender = Sender(crowd[0], repo).join()
    refused = sender.send(update)
    assert refused.status_code == 422 and word in refused.json()["error"], refused.text
    assert sender.send(scaffolded([0.5, 0], [1.9, 0])).status_code == 200


def test_training_that_does_not_say_its_steps_is_not_sent(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice, {"x": numpy.zeros(6, numpy.float32)})
    open_run(alice, repo, 1, 1, "--rule", "mean+scaffold")
    assert "in how many steps" in all_descend(repo, crowd[:1], preload, "silent")[0]
    assert run_of(alice, repo)["accepted"] == 0


@pytest.mark.parametrize("flags", [("--rule", "mean+scaffold+fedbuff"), ("--rule", "mean+scaffold", "--bound", 1, "--noise", 1),
                                   ("--control-bound", 1), ("--rule", "scaffold:2")], ids=str)
def test_settings_of_rules_that_cannot_be_are_refused(alice, flags):
    refused = federate(alice, "open", new_model(alice), "--mode", "plain", "--rounds", 1, "--min-participants", 1, *flags, check=False)
    assert refused.returncode == 1 and "400" in refused.stderr


# Centred clipping.


def test_centred_clipping_goes_on_from_the_newest_aggregate(alice, crowd):  # noqa: F811
    repo, model, centre = new_model(alice), start_model(), None
    open_run(alice, repo, 3, 3, "--rule", "centred-clipping", "--bound", 0.5)
    dice = numpy.random.default_rng(2)
    for number in (1, 2, 3):
        changes = dice.normal(size=(3, 6)) * 0.1 + 0.1 * number
        changes *= (0.49 / numpy.linalg.norm(changes, axis=1))[:, None]
        flat = numpy.concatenate([model["b"], model["w"]]).astype(float)
        sent = []
        for person, change in zip(crowd, changes):
            trained = (flat + change).astype(numpy.float32)
            sent.append(trained.astype(float) - flat)
            assert Sender(person, repo).join().send(save({"b": trained[:1], "w": trained[1:]}), number=number).status_code == 200
        centre = numpy.zeros(6) if centre is None else centre
        for _ in range(8):
            away = numpy.array(sent) - centre
            centre = centre + (away * numpy.minimum(1, 0.5 / numpy.linalg.norm(away, axis=1))[:, None]).mean(axis=0)
        model = model_of(alice, repo)
        numpy.testing.assert_allclose(numpy.concatenate([model["b"], model["w"]]), flat + centre, rtol=1e-4, atol=1e-6)


# The race of candidates.

CANDIDATES = ["mean", "trimmed-mean", "nnm+trimmed-mean", "geometric-median"]
JUDGE = """
import json, sys
import numpy
import cairn.federate
url, token, repo, _, how = sys.argv[1:6]
seen = []

def evaluate(model, config):
    loss = float(numpy.abs(model["x"] - 1).sum())
    seen.append([config["round"], config["candidates"][config["number"]], loss])
    if how == "fails":
        raise RuntimeError("no hold-out")
    if how == "contrary":
        return -loss
    return {"loss": loss, "largest": numpy.abs(model["x"]).max()}

try:
    cairn.federate.judge(url, token, repo, evaluate, patience=60)
    print(json.dumps(["done", seen]))
except Exception as problem:
    print(json.dumps([type(problem).__name__, str(problem)]))
"""


class Judge(Participant):
    """Who is asked for a model near one; what is seen of the candidates is in `said`."""

    program = JUDGE

    def __init__(self, person, repo, preload, how="honest"):  # noqa: F811
        super().__init__(person, repo, 0, preload, how)


# One of five shouts, so that the mean is the worst.
SENT = [[1.0, 0.9], [0.9, 1.1], [1.2, 1.0], [0.8, 1.3], [-90, 50]]


def race(person, people, *more, rounds=1, rule="race"):
    repo = new_model(person, {"x": numpy.zeros(2, numpy.float32)})
    open_run(person, repo, rounds, len(people), "--rule", rule, *more)
    return repo, [Sender(one, repo).join() for one in people]


def send_all(senders, base=(0, 0), number=1):
    for sender, change in zip(senders, SENT):
        assert sender.send(save({"x": numpy.add(base, change).astype(numpy.float32)}), number=number).status_code == 200


@pytest.fixture(scope="module")
def five(hub, crowd):  # noqa: F811
    return [*crowd, hub.person(new_name("part")), hub.person(new_name("part"))]


def test_the_judge_picks_the_best_of_the_candidates_and_the_record_has_all_scores(alice, five, preload):  # noqa: F811
    repo, senders = race(alice, five, rounds=2)
    judge = Judge(alice, repo, preload)
    for number in (1, 2):
        send_all(senders, model_of(alice, repo)["x"] if number > 1 else (0, 0), number)
        until(lambda: run_of(alice, repo)["round"] > number or run_of(alice, repo)["state"] == "finished")
    judge.join()
    assert judge.said[0] == "done", judge.said
    for number in (1, 2):
        seen = [(rule, loss) for round, rule, loss in judge.said[1] if round == number]
        assert [rule for rule, _ in seen] == CANDIDATES
        record = record_of(alice, repo, number)
        assert record["judged"] and record["chosen"] == min(seen, key=lambda one: one[1])[0] != "mean"
        assert [(one["rule"], one["scores"]["loss"]) for one in record["candidates"]] == seen
        assert all(one["scores"]["largest"] > 0 for one in record["candidates"])
    assert abs(model_of(alice, repo)["x"] - 2).max() < 0.4
    assert alice.name not in alice.read(repo, "fl/rounds/000001.json").decode()


def candidates_of(sender, number=1):
    found = []
    for place in range(len(CANDIDATES)):
        answer = sender.http.get(f"{sender.address}/candidate", params={"round": number, "number": place, "offset": 0})
        assert answer.status_code == 200, answer.text
        found.append(answer.content)
    return found


def judged(sender, scores, number=1):
    return sender.http.post(f"{sender.address}/scores", json={"round": number, "scores": scores})


def test_what_is_committed_is_the_chosen_candidate_and_what_the_rule_alone_makes(alice, hub, five):
    judge = hub.person(new_name("judge"))
    for best, rule in enumerate(CANDIDATES):
        repo, senders = race(alice, five, "--judge", judge.name, "--server-rate", 0.5, rule="race:" + ",".join(CANDIDATES) + "+fedavgm")
        send_all(senders)
        sender = Sender(judge, repo)
        told = until(lambda: (lambda told: told if told["judging"] else None)(sender.http.get(f"{sender.address}/candidates").json()))
        assert told["candidates"][:3] == CANDIDATES[:3] and told["round"] == 1
        assert run_of(alice, repo)["state"] == "open"
        made = candidates_of(sender)
        assert judged(sender, [{"loss": float(place != best)} for place in range(4)]).status_code == 200
        assert run_of(alice, repo)["state"] == "finished"
        assert alice.read(repo, "model.safetensors") == made[best]
        alone, senders = race(alice, five, "--server-rate", 0.5, rule=rule + "+fedavgm")
        send_all(senders)
        assert alice.read(alone, "model.safetensors") == made[best]
    assert len(set(made)) == 4


def judge_by(person, repo, number, best, count):
    sender = Sender(person, repo)
    until(lambda: sender.http.get(f"{sender.address}/candidates").json()["judging"])
    assert judged(sender, [{"loss": float(place != best)} for place in range(count)], number).status_code == 200


def test_moments_go_on_from_what_was_chosen(alice, five):
    found = []
    for rule in "race:mean,median+fedadam", "median+fedadam":
        repo, senders = race(alice, five, rounds=3, rule=rule)
        for number in (1, 2, 3):
            send_all(senders, model_of(alice, repo)["x"], number)
            if rule.startswith("race"):
                judge_by(alice, repo, number, 1, 2)
        assert run_of(alice, repo)["state"] == "finished"
        found.append(alice.read(repo, "model.safetensors"))
    assert found[0] == found[1]


def test_a_buffer_is_judged_and_the_next_one_takes_what_comes_meanwhile(alice, five):
    repo, senders = race(alice, five[:3], rounds=2, rule="race:mean,median+fedbuff")
    start = model_of(alice, repo)
    late = Sender(five[3], repo).join()
    send_all(senders)
    update = save({"x": numpy.array([3, 4], numpy.float32)})
    waits = late.send(update)
    assert waits.status_code == 409 and waits.headers["x-error-code"] == "NotYet"
    judge_by(alice, repo, 1, 1, 2)
    second = model_of(alice, repo)
    assert late.finish(update).status_code == 200
    send_all(senders[:2], second["x"], 2)
    judge_by(alice, repo, 2, 0, 2)
    sent = [({"x": numpy.add(second["x"], change).astype(numpy.float32)}, second, 0) for change in SENT[:2]]
    assert same(model_of(alice, repo), buffered(second, [*sent, (load(update), start, 1)]))


def test_who_leaves_no_file_is_asked_again_and_the_candidates_are_made_anew(own_hub):
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(3)]
    repo, senders = race(owner, people, rule="race:median,mean")
    send_all(senders)
    judge = Sender(owner, repo)
    until(lambda: judge.http.get(f"{judge.address}/candidates").json()["judging"])
    own_hub.kill()
    for file in (own_hub.data / "federate").glob("*/1-*"):
        file.unlink()
    own_hub.start()
    missing = judge.http.get(f"{judge.address}/candidate", params={"round": 1, "number": 0, "offset": 0})
    assert missing.status_code == 404
    assert judged(judge, [{"loss": 1}, {"loss": 0}]).status_code == 200  # nothing is committed of what is not there
    until(lambda: senders[0].round()["update"]["state"] == "awaited")
    assert run_of(owner, repo)["accepted"] == 0
    send_all(senders)
    judge_by(owner, repo, 1, 0, 2)
    assert record_of(owner, repo, 1)["chosen"] == "median"


@pytest.mark.parametrize("scores", [[], [{"loss": 1}] * 3, [{"loss": 1}] * 5, [1, 2, 3, 4], [{}] * 4, [{"loss": "low"}] * 4,
                                    [{"loss": 1, "x" * 65: 1}] * 4, [{"loss": 1, **{str(i): 1 for i in range(16)}}] * 4, None], ids=str)
def test_scores_that_make_no_sense_decide_nothing(alice, five, scores):
    repo, senders = race(alice, five)
    send_all(senders)
    judge = Sender(alice, repo)
    assert judged(judge, scores).status_code == 400
    assert judged(judge, [{"loss": 1}] * 4, 2).status_code == 409
    assert run_of(alice, repo)["state"] == "open"
    assert judged(judge, [{"loss": None}, {"loss": 3}, {"loss": 2}, {"loss": 2}]).status_code == 200
    assert record_of(alice, repo, 1)["chosen"] == CANDIDATES[2]
    assert judged(judge, [{"loss": 1}] * 4).status_code == 409


def test_nobody_but_the_judge_sees_candidates_or_scores_them(alice, bob, five):
    repo, senders = race(alice, five)
    send_all(senders)
    for sender in (*senders, Sender(bob, repo)):
        assert sender.http.get(f"{sender.address}/candidates").status_code == 403
        assert sender.http.get(f"{sender.address}/candidate", params={"round": 1, "number": 0, "offset": 0}).status_code == 403
        assert judged(sender, [{"loss": 1}] * 4).status_code == 403
    assert run_of(alice, repo)["state"] == "open"


def test_where_no_judge_answers_the_first_candidate_is_committed(alice, five):
    repo, senders = race(alice, five, "--judge-wait", 1, rule="race:median,mean")
    send_all(senders)
    until(lambda: run_of(alice, repo)["state"] == "finished")
    record = record_of(alice, repo, 1)
    assert record["judged"] is False and record["chosen"] == "median" and record["candidates"] == [{"rule": "median"}, {"rule": "mean"}]
    numpy.testing.assert_allclose(model_of(alice, repo)["x"], numpy.median(SENT, axis=0), rtol=1e-6)


def test_a_judge_who_fails_says_why_and_a_contrary_one_is_obeyed(alice, five, preload):  # noqa: F811
    repo, senders = race(alice, five)
    send_all(senders)
    fails = Judge(alice, repo, preload, "fails")
    fails.join()
    assert fails.said == ["RuntimeError", "no hold-out"]
    contrary = Judge(alice, repo, preload, "contrary")
    contrary.join()
    assert contrary.said[0] == "done" and record_of(alice, repo, 1)["chosen"] == "mean"
    stranger = Judge(five[0], repo, preload)
    stranger.join()
    assert stranger.said[0] == "NotAccepted"


def test_kill_9_at_any_moment_of_a_race_leads_to_the_same_model(tmp_path, preload):  # noqa: F811
    hub = Hub(tmp_path).start()
    owner, people = hub.person("owner"), [hub.person(f"part{number}") for number in range(5)]
    repo, senders = race(owner, people, rounds=3)
    judge = Judge(owner, repo, preload)
    dice = numpy.random.default_rng(7)
    model = numpy.zeros(2, numpy.float32)
    for number in (1, 2, 3):
        send_all(senders, model, number)
        for _ in range(KILLS // 3):
            judge.join(dice.uniform(0.1, 0.8))
            hub.kill()
            hub.start()
        until(lambda: run_of(owner, repo)["round"] > number or run_of(owner, repo)["state"] == "finished")
        made = numpy.sort((model + numpy.array(SENT)).astype(numpy.float32) - model, axis=0)[1:-1].astype(float).mean(axis=0)
        assert record_of(owner, repo, number)["judged"]
        found = model_of(owner, repo)["x"]
        if record_of(owner, repo, number)["chosen"] == "trimmed-mean":
            numpy.testing.assert_allclose(found, model + made, rtol=1e-6)
        model = found
    judge.join()
    assert judge.said[0] == "done", judge.said
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"


@pytest.mark.parametrize("flags", [("--rule", "race:mean"), ("--rule", "race:mean,best"), ("--rule", "race+median"), ("--rule", "race:" + ",".join(["mean"] * 9)),
                                   ("--rule", "race:mean,centred-clipping"), ("--judge", "alice"), ("--judge-wait", 3),
                                   ("--rule", "race", "--judge", "nobody-at-all"), ("--rule", "race+scaffold"),
                                   ("--rule", "race", "--bound", 1, "--noise", 1)], ids=str)
def test_a_race_that_cannot_be_is_refused(alice, flags):
    refused = federate(alice, "open", new_model(alice), "--mode", "plain", "--rounds", 1, "--min-participants", 5, *flags, check=False)
    assert refused.returncode == 1 and "400" in refused.stderr


def test_who_comes_before_the_training_waits_for_it(alice, crowd, preload):  # noqa: F811
    repo = new_model(alice)
    part = Participant(crowd[0], repo, 1, preload)
    part.join(1.5)
    assert part.is_alive()
    open_run(alice, repo, 1, 1)
    part.join()
    assert part.said == ["done", [1]]


# Buckets that are drawn anew in each round, and what they tell of their members.


def order_of(seed, count):
    """As the hub draws it: Fisher and Yates by numbers from SHA-256 over the seed and a counter."""
    order, counter = list(range(count)), 0
    for below in range(count, 1, -1):
        while True:
            number = int.from_bytes(hashlib.sha256(seed + counter.to_bytes(8, "little")).digest()[:8], "little")
            counter += 1
            if number < 2 ** 64 - 1 - (2 ** 64 - 1) % below:
                break
        place = number % below
        order[below - 1], order[place] = order[place], order[below - 1]
    return order


@pytest.fixture(scope="module")
def eight(hub, five):
    return [*five, *[hub.person(new_name("part")) for _ in range(3)]]


def test_buckets_are_drawn_by_a_seed_that_stands_in_the_record(alice, eight):
    orders = []
    for _ in range(3):
        repo = new_model(alice, {"x": numpy.zeros(3, numpy.float32)})
        open_run(alice, repo, 1, 8, "--rule", "bucketing:3+median")
        sent = numpy.random.default_rng(1).normal(size=(8, 3)).astype(numpy.float32)
        for person, change in zip(eight, sent):
            assert Sender(person, repo).join().send(save({"x": change})).status_code == 200
        order = order_of(bytes.fromhex(record_of(alice, repo, 1)["orderSeed"]), 8)
        means = [sent[order[at:at + 3]].astype(float).mean(axis=0) for at in (0, 3, 6)]
        numpy.testing.assert_allclose(model_of(alice, repo)["x"], numpy.median(means, axis=0), rtol=1e-5)
        orders.append(order)
    assert len({tuple(order) for order in orders}) == 3
    assert "orderSeed" not in record_of(alice, race_of_means(alice, eight), 1)


def race_of_means(alice, people):
    repo = new_model(alice, {"x": numpy.zeros(3, numpy.float32)})
    open_run(alice, repo, 1, 1, "--rule", "mean")
    assert Sender(people[0], repo).join().send(save({"x": numpy.ones(3, numpy.float32)})).status_code == 200
    return repo


def go_on(alice, repo, people, rounds, bad=()):
    """All go the same way, each a little beside it; the bad ones go back."""
    dice = numpy.random.default_rng(rounds[0])
    for number in rounds:
        start = model_of(alice, repo)["x"]
        for place, person in enumerate(people):
            change = (1 + 0.3 * dice.normal(size=64)) * (-1 if place in bad else 1)
            sent = Sender(person, repo).send(save({"x": (start + change).astype(numpy.float32)}), number=number)
            assert sent.status_code == 200, sent.text


def watched_run(alice, people, *more):
    repo = new_model(alice, {"x": numpy.zeros(64, numpy.float32)})
    open_run(alice, repo, 30, len(people) - 1, "--rule", "bucketing:2+median", "--suspicion", 6, "--grace", 600, *more)
    for person in people:
        Sender(person, repo).join()
    return repo


def suspects(person, repo):
    answer = person.http.get(f"/api/models/{repo}/federate/suspects")
    assert answer.status_code == 200, answer.text
    return answer.json()["suspects"]


def decide(person, repo, user, decision):
    return person.http.post(f"/api/models/{repo}/federate/suspects", json={"user": user, "decision": decision})


def notices_about(person, repo):
    return [notice for notice in person.http.get("/api/notices").json() if notice.get("repo") == repo and notice["kind"] == "federate.suspect"]


def test_who_spoils_sums_is_proposed_and_removed_by_people_alone(alice, bob, eight):
    repo = watched_run(alice, eight)
    bad = eight[5]
    go_on(alice, repo, eight, range(1, 4), bad={5})
    assert suspects(alice, repo) == []
    assert decide(alice, repo, bad.name, "remove").status_code == 404  # nothing is proposed yet
    go_on(alice, repo, eight, range(4, 7), bad={5})
    found = suspects(alice, repo)
    assert [(one["user"], one["state"]) for one in found] == [(bad.name, "proposed")] and found[0]["score"] >= 6
    assert found[0]["rounds"] == 6 and found[0]["flags"] == 6
    told = notices_about(alice, repo)
    assert len(told) == 1 and bad.name in told[0]["text"] and "proves nothing" in told[0]["text"]
    record = record_of(alice, repo, 6)
    assert [group["size"] for group in record["groups"]] == [2] * 4 and sum(group["flagged"] for group in record["groups"]) == 1
    assert bad.name not in json.dumps(record)
    # Nobody is removed by the hub, and none but who administers the repo sees or decides anything.
    go_on(alice, repo, eight, [7], bad={5})
    for person in bob, bad:
        assert person.http.get(f"/api/models/{repo}/federate/suspects").status_code == 403
        assert decide(person, repo, bad.name, "dismiss").status_code == 403
    assert decide(alice, repo, bad.name, "shame").status_code == 400
    assert decide(alice, repo, eight[0].name, "remove").status_code == 404
    before = run_of(alice, repo)
    base = model_of(alice, repo)["x"]
    assert Sender(bad, repo).send(save({"x": base}), number=8).status_code == 200
    assert decide(alice, repo, bad.name, "remove").status_code == 200
    assert decide(alice, repo, bad.name, "remove").status_code == 404
    after = run_of(alice, repo)
    assert after["participants"] == before["participants"] - 1 and after["accepted"] == before["accepted"]
    refused = Sender(bad, repo).http.post(f"/api/models/{repo}/federate/join", json={})
    assert refused.status_code == 403 and "removed" in refused.json()["error"]
    assert Sender(bad, repo).send(save({"x": base}), number=8).status_code == 403
    go_on(alice, repo, eight[:5] + eight[6:], [8, 9])  # nobody waits for it
    assert run_of(alice, repo)["round"] == 10
    assert [one["state"] for one in suspects(alice, repo)] == ["removed"]
    kinds = [json.loads(entry["leaf"])["b"] for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]]
    decisions = [body for body in kinds if body.get("decision") == "withdraw"]
    assert len(decisions) == 1 and bad.name not in json.dumps(decisions)


def test_who_is_dismissed_begins_anew(alice, eight):
    repo = watched_run(alice, eight)
    bad = eight[2]
    go_on(alice, repo, eight, range(1, 5), bad={2})
    assert [one["user"] for one in suspects(alice, repo)] == [bad.name]
    assert decide(alice, repo, bad.name, "dismiss").status_code == 200
    assert suspects(alice, repo) == [] and decide(alice, repo, bad.name, "dismiss").status_code == 404
    go_on(alice, repo, eight, range(5, 8), bad={2})
    assert suspects(alice, repo) == []
    go_on(alice, repo, eight, range(8, 9), bad={2})
    assert [one["user"] for one in suspects(alice, repo)] == [bad.name] and len(notices_about(alice, repo)) == 2


def test_where_all_go_the_same_way_nobody_is_proposed(alice, eight):
    repo = watched_run(alice, eight)
    go_on(alice, repo, eight, range(1, 9))
    assert suspects(alice, repo) == [] and notices_about(alice, repo) == []
    assert not any(group["flagged"] for number in range(1, 9) for group in record_of(alice, repo, number)["groups"])


def test_who_comes_late_to_a_buffer_is_no_suspect_for_it(alice, eight):
    repo = new_model(alice, {"x": numpy.zeros(64, numpy.float32)})
    open_run(alice, repo, 30, 4, "--rule", "mean+fedbuff", "--suspicion", 6)
    quick, slow, bad = [Sender(person, repo).join() for person in eight[:4]], Sender(eight[4], repo).join(), Sender(eight[5], repo).join()
    dice, models = numpy.random.default_rng(3), [model_of(alice, repo)["x"]]

    def send(sender, number, way=1):
        change = way * (1 + 0.3 * dice.normal(size=64))
        assert sender.send(save({"x": (models[number - 1] + change).astype(numpy.float32)}), number=number).status_code == 200

    for number in range(1, 18):
        for sender in quick[:2 if number > 8 else 4]:
            send(sender, number)
        if number > 8:
            send(slow, number - 8)
            send(bad, number, -1)
        models.append(model_of(alice, repo)["x"])
    assert [one["user"] for one in suspects(alice, repo)] == [eight[5].name]
    assert [one["rounds"] for one in suspects(alice, repo)] == [9]


def test_evidence_counts_once_for_each_round_whatever_is_killed(own_hub):
    owner, people = own_hub.person("owner"), [own_hub.person(f"part{number}") for number in range(6)]
    repo = watched_run(owner, people)
    for number in range(1, 6):
        go_on(owner, repo, people, [number], bad={0})
        own_hub.kill()
        own_hub.start()
    found = suspects(owner, repo)
    assert [(one["user"], one["rounds"], one["flags"]) for one in found] == [("part0", 5, 5)]
    evidence = numpy.log(0.8 / (0.05 + 0.95 * 0.1))
    assert abs(found[0]["score"] - 5 * evidence) < 1e-9
    own_hub.admin("user", "erase", "part0", "--reason", "request")
    assert suspects(owner, repo) == []


JUDGE_IN_C = """
#include <cairn/federate.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int judge(void *context, const char *config, const struct cairn_tensor *tensors, size_t count, struct cairn_score *score)
{
    static char metrics[64];
    int *seen = (int *)context;
    if (!strstr(config, "\\"rounds\\":1") || count != 1 || tensors[0].count != 2)
        return 1;
    score->loss = *seen == 1 ? NAN : fabs(tensors[0].values[0] - 1);
    snprintf(metrics, sizeof metrics, "{\\"seen\\":%d}", ++*seen);
    score->metrics = metrics;
    return 0;
}

int main(int argc, char **argv)
{
    int seen = 0;
    struct cairn_federate *part = cairn_federate_new();
    cairn_federate_set(part, "url", argv[1]);
    cairn_federate_set(part, "token", argv[2]);
    cairn_federate_set(part, "repo", argv[argc - 1]);
    int verdict = cairn_federate_judge(part, judge, &seen);
    printf("%d %d\\n", verdict, seen);
    cairn_federate_free(part);
    return 0;
}
"""


def test_a_program_in_c_judges(alice, five, tmp_path, preload):  # noqa: F811
    (tmp_path / "judge.c").write_text(JUDGE_IN_C)
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{ROOT}/include", tmp_path / "judge.c", f"-L{LIBRARY.parent}",
                    "-lcairn", "-lm", "-o", tmp_path / "judge"], check=True)
    repo, senders = race(alice, five)
    send_all(senders)
    done = subprocess.run([tmp_path / "judge", alice.hub.url, alice.token, repo], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LD_LIBRARY_PATH": str(LIBRARY.parent), "LD_PRELOAD": preload})
    assert done.stdout == "0 4\n", done.stdout + done.stderr
    candidates = record_of(alice, repo, 1)["candidates"]
    assert [one["scores"]["seen"] for one in candidates] == [1, 2, 3, 4] and candidates[1]["scores"]["loss"] is None
    assert record_of(alice, repo, 1)["chosen"] == "nnm+trimmed-mean"


# Models that are not of float32 alone.


def mixed_model():
    """Each kind of number; whole ones are not trained."""
    dice = numpy.random.default_rng(4)
    parts = {"half": ("F16", dice.normal(size=(2, 3)).astype(numpy.float16)), "steps": ("I64", numpy.array([17, -3])),
             "brain": ("BF16", (dice.normal(size=4).astype(numpy.float32).view(numpy.uint32) >> 16).astype(numpy.uint16)),
             "wide": ("F64", dice.normal(size=3)), "single": ("F32", dice.normal(size=5).astype(numpy.float32)), "mask": ("BOOL", numpy.array([True]))}
    header, data = {}, b""
    for name, (kind, array) in parts.items():
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text, parts, data


def brain_of(values):
    bits = values.astype(numpy.float32).view(numpy.uint32)
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


ADDING = """
import json, sys
import numpy
import cairn.federate
url, token, repo = sys.argv[1:4]
seen = []

def train(model, config):
    seen.append({name: [str(array.dtype), list(array.shape)] for name, array in model.items()})
    return {name: array + numpy.float32(0.0123) for name, array in model.items()}, 5

cairn.federate.join(url, token, repo, train)
print(json.dumps(["done", seen]))
"""


@pytest.mark.parametrize("rule", ["mean", "mean+scaffold"])
def test_numbers_of_other_kinds_are_trained_as_float32_and_rounded_back(alice, crowd, preload, rule):  # noqa: F811
    header, parts, data = mixed_model()
    repo = alice.new_repo("trained")
    alice.commit_files(repo, {"model.safetensors": header + data})
    open_run(alice, repo, 2, 1, "--rule", rule)
    script = ADDING if rule == "mean" else ADDING.replace("    seen.append", "    config['steps'], config['rate'] = 1, 1\n    seen.append")
    done = subprocess.run([sys.executable, "-c", script, crowd[0].hub.url, crowd[0].token, repo], capture_output=True, text=True, timeout=500,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "clients/python"), "CAIRN_LIBRARY": str(LIBRARY), "LD_PRELOAD": preload,
                               "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
    assert json.loads(done.stdout)[1] == [{"half": ["float32", [2, 3]], "brain": ["float32", [4]], "wide": ["float32", [3]], "single": ["float32", [5]]}] * 2
    values = {name: array for name, (_, array) in parts.items()}
    for _ in range(2):
        add = numpy.float32(0.0123)
        wide = {"half": values["half"].astype(numpy.float32), "wide": values["wide"].astype(numpy.float32), "single": values["single"],
                "brain": (values["brain"].astype(numpy.uint32) << 16).view(numpy.float32)}
        # As the hub adds: the difference in float32, the sum in float64.
        new = {name: (start.astype(float) + ((start + add) - start).astype(float)).astype(numpy.float32) for name, start in wide.items()}
        values |= {"half": new["half"].astype(numpy.float16), "wide": new["wide"].astype(float), "single": new["single"], "brain": brain_of(new["brain"])}
    found = alice.read(repo, "model.safetensors")
    assert found == header + b"".join(values[name].tobytes() for name in parts)
    assert record_of(alice, repo, 2)["model"] == sha256(found)


def test_what_a_second_house_could_not_compute_is_refused_between_two_houses(alice):
    header, parts, data = mixed_model()
    repo = alice.new_repo("trained")
    alice.commit_files(repo, {"model.safetensors": header + data})
    houses = "open", repo, "--mode", "two-houses", "--rounds", 1, "--min-participants", 12, "--house", "http://127.0.0.1:1"
    refused = federate(alice, *houses, check=False)
    assert refused.returncode == 1 and "must be F32" in refused.stderr, refused.stderr
    alice.commit_files(repo, {"model.safetensors": save(start_model())})
    for more in ("--rule", "mean+fedbuff"), ("--rule", "mean+scaffold"):
        refused = federate(alice, *houses, *more, check=False)
        assert refused.returncode == 1 and "400" in refused.stderr and "plain" in refused.stderr, refused.stderr
    assert "must be F32" not in federate(alice, *houses, check=False).stderr


def test_an_update_is_in_the_form_in_which_the_model_is_trained(alice, crowd):  # noqa: F811
    header, parts, data = mixed_model()
    repo = alice.new_repo("trained")
    alice.commit_files(repo, {"model.safetensors": header + data})
    open_run(alice, repo, 1, 1)
    sender = Sender(crowd[0], repo).join()
    refused = sender.send(header + data)  # the model itself is not
    assert refused.status_code == 422 and "F16" in refused.json()["error"], refused.text
    brain = (parts["brain"][1].astype(numpy.uint32) << 16).view(numpy.float32)
    update = {"half": parts["half"][1].astype(numpy.float32), "brain": brain, "wide": parts["wide"][1].astype(numpy.float32), "single": parts["single"][1]}
    assert sender.send(save({**update, "mask": numpy.zeros(1, numpy.float32)})).status_code == 422
    assert sender.send(save(update)).status_code == 200
    assert run_of(alice, repo)["state"] == "finished"
