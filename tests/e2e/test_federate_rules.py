# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules by which a round is more than a sum: buffers that take what comes late, control variates, candidates that are judged, and
participants who are suspected."""

import itertools
import json

import numpy
import pytest
from safetensors.numpy import load, save

from support import Hub, new_name, sha256, until
from test_federate import KILLS, Participant, Sender, crowd, federate, fit, new_model, open_run, same, start_model  # noqa: F401
from test_libcairn import preload  # noqa: F401

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
    assert federate(alice, "status", repo)["state"] == "finished"
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
    assert federate(alice, "status", repo)["accepted"] == 4
    third = save(fit(models[2], 0)[0])
    late = save(fit(models[1], 3)[0])
    assert Sender(crowd[2], repo).join().put(late, number=2).status_code == 200
    assert one.send(third, number=3).status_code == 200
    waits = one.send(third, number=3)
    assert waits.status_code == 409 and federate(alice, "status", repo)["accepted"] == 5
    assert Sender(crowd[2], repo).finish(late, number=2).status_code == 200
    assert federate(alice, "status", repo)["state"] == "finished"


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
    assert abs(federate(alice, "status", repo)["epsilon"] - 3.188992) < 1e-6  # two rounds with everybody in them


def test_participants_of_a_buffer_go_on_at_once_and_no_work_of_theirs_is_lost(tmp_path, preload):  # noqa: F811
    hub = Hub(tmp_path).start()
    owner = hub.person("owner")
    people = [hub.person(f"part{number}") for number in range(4)]
    repo = new_model(owner)
    open_run(owner, repo, 12, 2, "--rule", "mean+fedbuff")
    models = [model_of(owner, repo)]
    parts = [Participant(person, repo, seed, preload) for seed, person in enumerate(people)]
    dice = numpy.random.default_rng(6)
    for _ in range(KILLS):
        parts[0].join(dice.uniform(0.2, 1.5))
        if not any(part.is_alive() for part in parts):
            break
        hub.kill()
        hub.start()
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
            model = next(model for model in made if sha256(save(model)) == update["sha256"])
            updates.append((model, origin, number - update["from"]))
        models.append(load(owner.read(repo, "model.safetensors", commit)))
        assert same(models[-1], buffered(models[-2], updates))
    assert [part.said[1] == sorted(set(part.said[1])) for part in parts] == [True] * 4  # each model is trained once at most
    assert list((hub.data / "federate").iterdir()) == []
    hub.stop()
