# SPDX-License-Identifier: GPL-3.0-or-later
"""Federated training between two houses: nobody sees an update, and one that is too far is refused all the same."""

import base64
import json
import math
import subprocess
import time

import httpx
import numpy
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from safetensors.numpy import load, save

from houses import Between, House, Reporter
from nursery import Child
from support import BINARY, SANITIZER, Hub, new_name, sha256, until
from test_federate import Participant, Sender, federate, fit, new_model, run_of, start_model
from test_federate_rules import decide, judged, notices_about, suspects
from test_libcairn import LIBRARY, preload  # noqa: F401
from tlog import leaf_hash, root_of

SEEDS = range(3)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house")).start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in range(14)]


WIDTH = 40


def wide_model(person):
    return new_model(person, {"w": numpy.zeros(WIDTH, numpy.float32)})


def changes(count, width=WIDTH, seed=1):
    return numpy.random.default_rng(seed).normal(size=(count, width)) / 2


def numbers_of(person, repo):
    return load(person.read(repo, "model.safetensors"))["w"]


def finished(person, repo):
    return until(lambda: run_of(person, repo)["state"] != "open" and run_of(person, repo))


def record_of(person, repo, number=1):
    return json.loads(person.read(repo, f"fl/rounds/{number:06}.json"))


def join_all(crowd, repo, folder):
    return [Reporter(person, repo, folder).join() for person in crowd]


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
    parts = [Participant(person, repo, seed, preload) for seed, person in zip(SEEDS, crowd)]
    for part in parts:
        part.join()
    assert [part.said for part in parts] == [["done", [1, 2]]] * 3
    assert near(load(alice.read(repo, "model.safetensors")), reference(SEEDS, 2))
    assert run_of(alice, repo) == {"state": "finished", "round": 2, "participants": 3, "accepted": 6, "rejected": 0, "epsilon": None}
    assert alice.titles(repo)[:2] == ["Federated round 2", "Federated round 1"]


def test_a_round_leaves_a_record_and_signatures_of_both_houses(alice, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house)
    given, reports = changes(3), []
    for part, change in zip(join_all(crowd[:3], repo, tmp_path), given):
        number, leader, report = part.make(change)
        assert part.deliver(number, leader, report).status_code == 200
        reports.append(base64.b64decode(report))
    finished(alice, repo)
    assert numpy.abs(numbers_of(alice, repo) - given.mean(axis=0)).max() < 1e-6
    text, record = alice.read(repo, "fl/rounds/000001.json"), record_of(alice, repo)
    signed = json.loads(alice.read(repo, "fl/rounds/000001.signatures.json"))
    config = base64.b64decode(signed["config"]["payload"])
    assert base64.b64decode(signed["record"]["payload"]) == text
    assert record["config"] == sha256(config) and record["model"] == sha256(alice.read(repo, "model.safetensors"))
    assert record["accepted"] == 3 and [bucket["members"] for bucket in record["buckets"]] == [3]
    leaves = [leaf_hash(report[-64:]) for report in sorted(reports)]  # it begins with its nonce and ends with its signature
    assert record["reports"] == root_of(leaves).hex() != root_of(leaves[:2]).hex()
    assert not any(person.name in text.decode() for person in crowd)
    keys = [json.loads(config)[side]["key"] for side in ("hub", "house")]
    assert keys[1] == house.keys["key"]
    for envelope in signed.values():
        assert holds(envelope, keys)
        assert not holds({**envelope, "payload": base64.b64encode(b"{}").decode()}, keys)
    entries = alice.http.get(f"/api/models/{repo}/provenance").json()
    leaves = [json.loads(entry["leaf"])["b"] for entry in entries["entries"] if entry["type"] == "federated-round"]
    assert [(leaf["mode"], leaf["record"], leaf["result"]) for leaf in leaves] == [("two-houses", sha256(text), record["model"])]


def holds(envelope, keys):
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    assert [signature["keyid"] for signature in envelope["signatures"]] == keys
    try:
        for key, signature in zip(keys, envelope["signatures"]):
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(base64.b64decode(signature["sig"]), message)
    except InvalidSignature:
        return False
    return True


def test_malicious_participants_are_rejected_and_the_sum_is_as_without_them(alice, crowd, house, tmp_path):
    given, results = changes(3), []
    for evil in (False, True):
        repo = wide_model(alice)
        open_run(alice, repo, house, 1, 3, "--grace", 3600)
        parts = join_all(crowd[:8] if evil else crowd[:3], repo, tmp_path)
        if evil:
            far = numpy.zeros(WIDTH)
            far[7] = 10 * 1.001
            kinds = {3: (far, "over"), 4: (given[0], "wraparound"), 5: (given[1], "swapped-helper"), 6: (given[2], "other-round"), 7: (given[1], "cut")}
            for place, (change, kind) in kinds.items():
                assert parts[place].send(change, kind).status_code == 200  # nobody can tell yet
        for part, change in zip(parts, given):
            assert part.send(change).status_code == 200
        status = finished(alice, repo)
        assert (status["accepted"], status["rejected"]) == (3, 5 if evil else 0)
        results.append(alice.read(repo, "model.safetensors"))
    assert record_of(alice, repo)["reasons"] == {"seal": 2, "proof": 3}
    assert results[0] == results[1]


def test_what_is_no_report_for_this_round_is_refused_at_once(alice, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 2)
    good, bad = join_all(crowd[:2], repo, tmp_path)
    change = changes(1)[0]
    number, leader, report = good.make(change, nonce="ab" * 16)
    assert good.deliver(number, leader, report).status_code == 200
    for part in (bad.make(change, "unsigned"), (number, leader[:-1], report), bad.make(change, nonce="ab" * 16)):
        refused = bad.deliver(*part)
        assert refused.status_code == 422 and refused.json()["error"].startswith("The update is rejected")
    assert bad.deliver(number, leader, "AAAA").status_code in (400, 403)
    assert run_of(alice, repo)["rejected"] == 3 and run_of(alice, repo)["state"] == "open"


def test_a_round_with_too_few_good_updates_goes_on_waiting(alice, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 2)
    first, second, third = join_all(crowd[:3], repo, tmp_path)
    given = changes(2)
    far = numpy.zeros(WIDTH)
    far[0] = 10.1
    assert third.send(far, "over").status_code == 200
    assert first.send(given[0]).status_code == 200
    assert second.send(far, "over").status_code == 200
    until(lambda: run_of(alice, repo)["rejected"] == 2)
    assert until(lambda: second.state() == "rejected") and first.state() == "accepted"
    assert run_of(alice, repo)["accepted"] == 1
    assert second.send(given[1]).status_code == 200
    status = finished(alice, repo)
    assert (status["accepted"], status["rejected"]) == (2, 2)
    assert numpy.abs(numbers_of(alice, repo) - given.mean(axis=0)).max() < 1e-6


def test_noise_of_both_houses_is_in_the_sum_and_epsilon_counts_one_of_them(alice, crowd, house, tmp_path):
    width, bound, sigma = 20000, 2, 3
    repo = new_model(alice, {"w": numpy.zeros(width, numpy.float32)})
    open_run(alice, repo, house, 1, 2, "--bound", bound, "--noise", sigma)
    for part in join_all(crowd[:2], repo, tmp_path):
        assert part.send(numpy.zeros(width)).status_code == 200
    status = finished(alice, repo)
    noise = numbers_of(alice, repo).astype(float) * 2
    assert abs(noise.std() / (math.sqrt(2) * sigma * bound) - 1) < 0.03 and abs(noise.mean()) < 5 * sigma * bound * 1.5 / math.sqrt(width)
    order = numpy.arange(1.1, 11, 0.1).tolist() + list(range(11, 64)) + [128, 256, 512, 1024]
    epsilon = min(a / (2 * sigma ** 2) + math.log((a - 1) / a) - (math.log(1e-5) + math.log(a)) / (a - 1) for a in order)
    assert abs(status["epsilon"] - epsilon) < 1e-3


def test_a_robust_rule_over_buckets_withstands_attackers_within_the_bound(alice, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 12, "--rule", "median")
    given = 1 + changes(12) / 10
    evil = -numpy.ones(WIDTH) * 10 / math.sqrt(WIDTH) * 0.999
    for i, part in enumerate(join_all(crowd[:12], repo, tmp_path)):
        assert part.send(evil if i == 5 else given[i]).status_code == 200
    finished(alice, repo)
    record = record_of(alice, repo)
    honest = numpy.delete(given, 5, axis=0).mean(axis=0)
    assert [bucket["members"] for bucket in record["buckets"]] == [4, 4, 4] and record["rule"] == "median"
    mean_is_off = numpy.linalg.norm((given.sum(axis=0) - given[5] + evil) / 12 - honest)
    assert numpy.linalg.norm(numbers_of(alice, repo) - honest) < mean_is_off / 2


# The race of candidates.

RULES = ["mean", "median", "geometric-median"]
HOLD_OUT = """
import json, sys
import numpy
import cairn.federate
seen = []

def evaluate(model, config):
    seen.append([config["round"], config["candidates"][config["number"]], float(numpy.abs(model["w"] - 1).mean())])
    return {"loss": seen[-1][-1], "largest": numpy.abs(model["w"]).max()}

cairn.federate.judge(*sys.argv[1:4], evaluate, patience=60)
print(json.dumps(seen))
"""


class HoldOut(Participant):
    """A judge who knows that the model should be one everywhere."""

    program = HOLD_OUT


def signed_record(person, repo, number=1):
    """The record, which the other house has signed as well."""
    signed = json.loads(person.read(repo, f"fl/rounds/{number:06}.signatures.json"))
    config = json.loads(base64.b64decode(signed["config"]["payload"]))
    assert all(holds(envelope, [config[side]["key"] for side in ("hub", "house")]) for envelope in signed.values())
    record = record_of(person, repo, number)
    assert json.loads(base64.b64decode(signed["record"]["payload"])) == record and config["settings"]["rule"] == record["rule"]
    return record


def spoilt(parts, model, seed):
    """All send what leads to one, but one of them, who goes as far the other way as the bound lets it."""
    given = 1 + changes(len(parts), seed=seed) / 10 - model
    given[5] = -numpy.ones(WIDTH) * 10 / math.sqrt(WIDTH) * 0.999
    for part, change in zip(parts, given):
        assert part.send(change).status_code == 200
    return given


def test_in_a_race_the_hold_out_finds_the_rule_that_withstands_an_attacker(alice, crowd, house, preload, tmp_path):  # noqa: F811
    repo = wide_model(alice)
    open_run(alice, repo, house, 2, 12, "--rule", "race:" + ",".join(RULES), "--suspicion", 8)
    parts, judge = join_all(crowd[:12], repo, tmp_path), HoldOut(alice, repo, 0, preload)
    for number in (1, 2):
        given = spoilt(parts, numbers_of(alice, repo), number)
        until(lambda: run_of(alice, repo)["round"] > number or run_of(alice, repo)["state"] == "finished")
        record = signed_record(alice, repo, number)
        assert record["judged"] and record["chosen"] in RULES[1:]
        marked = [group["flagged"] for group in record["groups"]]
        assert [bucket["members"] for bucket in record["buckets"]] == [4, 4, 4] and True in marked
        if number == 1:  # later the honest ones go no common way any more, so that another may be marked by chance
            assert marked.count(True) == 1
            mean_is_off = numpy.abs(given.mean(axis=0) - 1).mean()
            assert abs(record["candidates"][0]["scores"]["loss"] - mean_is_off) < 1e-5  # buckets of four each, so it is the mean of all
            assert numpy.abs(numbers_of(alice, repo) - 1).mean() < mean_is_off / 2
    judge.join()
    for number in (1, 2):
        record, seen = record_of(alice, repo, number), [(rule, loss) for one, rule, loss in judge.said if one == number]
        assert [(one["rule"], one["scores"]["loss"]) for one in record["candidates"]] == seen and [rule for rule, _ in seen] == RULES
        assert record["chosen"] == min(seen, key=lambda one: one[1])[0]
    assert run_of(alice, repo)["state"] == "finished"


def candidates(sender, number):
    told = until(lambda: [told for told in [sender.http.get(f"{sender.address}/candidates").json()] if told["judging"] and told["round"] == number])[0]
    pieces = [sender.http.get(f"{sender.address}/candidate", params={"round": number, "number": place, "offset": 0}) for place in range(len(told["candidates"]))]
    assert all(piece.status_code == 200 for piece in pieces)
    return [piece.content for piece in pieces]


def test_what_both_houses_commit_is_the_candidate_that_the_judge_has_chosen(alice, bob, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house, 3, 6, "--rule", "race:bucketing:2+mean,bucketing:2+median+fedadam,bucketing:2+centred-clipping", "--bound", 9, "--noise", 0.1,
             "--judge", bob.name)
    parts, judge = join_all(crowd[:6], repo, tmp_path), Sender(bob, repo)
    for number, best in ((1, 1), (2, 2), (3, 0)):  # moments and the centre go on from what was chosen, in both houses
        for part, change in zip(parts, changes(6, seed=number)):
            assert part.send(change).status_code == 200
        made = candidates(judge, number)
        assert made[1] not in (made[0], made[2]) and parts[0].round()["closing"]
        for person in crowd[0], crowd[7]:
            assert judged(Sender(person, repo), [{"loss": 1}] * 3, number).status_code == 403
        assert judged(judge, [{"loss": float(place != best)} for place in range(3)], number).status_code == 200
        until(lambda: run_of(alice, repo)["round"] > number or run_of(alice, repo)["state"] != "open")
        assert alice.read(repo, "model.safetensors") == made[best]
        record = signed_record(alice, repo, number)
        assert record["chosen"] == record["candidates"][best]["rule"] and [bucket["members"] for bucket in record["buckets"]] == [2, 2, 2]


def test_where_nobody_judges_both_houses_commit_the_first_candidate(alice, crowd, house, tmp_path):
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 12, "--rule", "race:" + ",".join(RULES), "--judge-wait", 1)
    given = spoilt(join_all(crowd[:12], repo, tmp_path), 0, 1)
    assert finished(alice, repo)["state"] == "finished"
    record = signed_record(alice, repo)
    assert record["judged"] is False and record["chosen"] == "mean" and record["candidates"] == [{"rule": rule} for rule in RULES]
    assert numpy.abs(numbers_of(alice, repo) - given.mean(axis=0)).max() < 1e-6


# Who spoils sums that nobody looks into: seven in buckets of two or three, and a little noise. With as many numbers honest sums are marked by chance once
# in some 5,000, and those with a bad one are not once in 10,000.
WATCHED = "--rule", "bucketing:2+median", "--noise", 0.1, "--grace", 600
WATCHED_WIDTH = 128


def watched_model(person):
    return new_model(person, {"w": numpy.zeros(WATCHED_WIDTH, numpy.float32)})


def ways(count, bad, seed):
    """All go the same way, each a little beside it; the bad one goes back."""
    out = 0.8 + 0.08 * numpy.random.default_rng(seed).normal(size=(count, WATCHED_WIDTH))
    for place in bad:
        out[place] *= -1
    return out


def go_on(person, repo, parts, number, bad=()):
    for part, change in zip(parts, ways(len(parts), bad, number)):
        sent = part.send(change)
        assert sent.status_code == 200, sent.text
    until(lambda: run_of(person, repo)["round"] == number + 1)


def test_who_spoils_hidden_sums_is_proposed_and_removed_by_people_alone(alice, bob, crowd, house, tmp_path):
    repo, people = watched_model(alice), crowd[:7]
    open_run(alice, repo, house, 30, 6, *WATCHED, "--suspicion", 8)
    parts, bad = join_all(people, repo, tmp_path), people[3]
    for number in range(1, 5):
        go_on(alice, repo, parts, number, {3})
        assert suspects(alice, repo) == []
    assert decide(alice, repo, bad.name, "remove").status_code == 404
    while not suspects(alice, repo):
        number += 1
        go_on(alice, repo, parts, number, {3})
    found, = suspects(alice, repo)
    assert (found["user"], found["state"]) == (bad.name, "proposed") and found["flags"] == found["rounds"] == number <= 7
    assert len(notices_about(alice, repo)) == 1
    text, record = alice.read(repo, f"fl/rounds/{number:06}.json").decode(), record_of(alice, repo, number)
    assert sum(group["flagged"] for group in record["groups"]) == 1 and record["suspicion"] == 8
    assert [group["size"] for group in record["groups"]] == [bucket["members"] for bucket in record["buckets"]] and len(record["groups"]) == 3
    assert not any(person.name in text for person in people)
    signed = json.loads(alice.read(repo, f"fl/rounds/{number:06}.signatures.json"))
    assert base64.b64decode(signed["record"]["payload"]).decode() == text  # the house has made the same marks
    assert json.loads(base64.b64decode(signed["config"]["payload"]))["settings"]["suspicion"] == 8
    for person in bob, bad:
        assert person.http.get(f"/api/models/{repo}/federate/suspects").status_code == 403
    # Its report is in the round under way: once it is removed, that does not count, and no other of it.
    honest = parts[:3] + parts[4:]
    for part, change in zip(parts[:6], ways(6, {3}, 99)):
        assert part.send(change).status_code == 200
    before = run_of(alice, repo)
    assert decide(alice, repo, bad.name, "remove").status_code == 200
    after = run_of(alice, repo)
    assert (after["accepted"], after["participants"]) == (before["accepted"] - 1, 6)
    assert parts[3].deliver(number + 1, b"share", "AAAA").status_code == 403
    assert bad.http.post(f"/api/models/{repo}/federate/join", json={}).status_code == 403
    assert parts[6].send(ways(1, (), 99)[0]).status_code == 200
    until(lambda: run_of(alice, repo)["round"] == number + 2)
    go_on(alice, repo, honest, number + 2)
    for last in number + 1, number + 2:
        assert [group["flagged"] for group in record_of(alice, repo, last)["groups"]] == [False] * 3 and record_of(alice, repo, last)["accepted"] == 6
    assert [(one["user"], one["state"]) for one in suspects(alice, repo)] == [(bad.name, "removed")]


def test_where_all_go_the_same_way_no_hidden_sum_is_marked(alice, crowd, house, tmp_path):
    repo = watched_model(alice)
    open_run(alice, repo, house, 4, 6, *WATCHED, "--suspicion", 1)
    parts = join_all(crowd[:7], repo, tmp_path)
    for number in range(1, 4):
        go_on(alice, repo, parts, number)
        assert not any(group["flagged"] for group in record_of(alice, repo, number)["groups"])
    assert suspects(alice, repo) == [] and notices_about(alice, repo) == []


def test_who_is_removed_while_a_round_is_frozen_is_not_in_it_when_it_is_not(alice, crowd, house, tmp_path):
    repo, between = watched_model(alice), Between(house)
    open_run(alice, repo, between, 2, 7, *WATCHED, "--suspicion", 1)
    parts = join_all(crowd[:7], repo, tmp_path)
    go_on(alice, repo, parts, 1, {3})
    proposed = [one["user"] for one in suspects(alice, repo)]  # one mark is enough, against all who were in it
    assert crowd[3].name in proposed and len(proposed) in (2, 3)
    place = next(place for place in range(7) if crowd[place].name in proposed and place != 3)
    made = [part.make(change) for part, change in zip(parts, ways(7, (), 2))]
    far = numpy.zeros(WATCHED_WIDTH)
    far[0] = 10.1
    made[3] = parts[3].make(far, "over")
    between.answer = lambda path, ask: None
    for part, report in zip(parts, made):
        assert part.deliver(*report).status_code == 200
    assert decide(alice, repo, crowd[place].name, "remove").status_code == 200
    assert run_of(alice, repo)["accepted"] == 14  # it is frozen: whoever is in it, is
    between.answer = lambda path, ask: ask()
    until(lambda: run_of(alice, repo)["rejected"] == 1)  # with too few it waits for others, and the removed one is gone
    assert run_of(alice, repo)["accepted"] == 12 and parts[place].deliver(*made[place]).status_code == 403
    for part, change in zip(join_all(crowd[7:9], repo, tmp_path), ways(2, (), 3)):
        assert part.send(change).status_code == 200
    status = finished(alice, repo)
    assert (status["state"], status["accepted"]) == ("finished", 14)


def test_what_would_say_too_much_is_not_opened(alice, house):
    repo = wide_model(alice)
    for more, word in ((("--min-participants", 1), "at least"), (("--min-participants", 11, "--rule", "median"), "12"),
                       (("--min-participants", 20, "--rule", "bucketing:3+median"), "Buckets of 3"),
                       (("--min-participants", 20, "--rule", "fedbuff"), "sees each update"), (("--min-participants", 20, "--rule", "scaffold"), "sees each update"),
                       (("--min-participants", 20, "--most-examples", 9), "weighs the same"),
                       (("--min-participants", 11, "--rule", "race:mean,median"), "12"),
                       (("--min-participants", 12, "--rule", "race:mean,krum:2"), "takes 5 updates"),
                       (("--min-participants", 12, "--rule", "race:mean,bucketing:4+median"), "the same buckets"),
                       (("--min-participants", 12, "--rule", "race:bucketing:3+mean,bucketing:3+median"), "Buckets of 3"),
                       (("--min-participants", 20, "--rule", "race+fedbuff"), "sees each update"), (("--min-participants", 20, "--judge", "bob"), "race"),
                       (("--min-participants", 20, "--suspicion", 8), "3 groups at least"),
                       (("--min-participants", 23, "--rule", "bucketing:8+median", "--suspicion", 8), "has 2")):
        done = federate(alice, "open", repo, "--mode", "two-houses", "--rounds", 1, "--house", house.url, *more, check=False)
        assert done.returncode == 1 and word in done.stderr
    done = federate(alice, "open", repo, "--mode", "two-houses", "--rounds", 1, "--min-participants", 3, check=False)
    assert done.returncode == 1 and "house" in done.stderr


def test_a_house_that_is_away_or_refuses_lets_no_run_begin(alice, tmp_path):
    repo = wide_model(alice)
    closed = House(tmp_path / "closed", ["--hub", "0123-4567-89ab-cdef"]).start()
    done = open_run(alice, repo, closed, check=False)
    assert done.returncode == 1 and "may open no runs" in done.stderr
    closed.stop()
    done = open_run(alice, repo, closed, check=False)
    assert done.returncode == 1 and "does not answer" in done.stderr


def test_a_house_that_is_away_holds_up_its_own_run_alone(alice, crowd, tmp_path):
    away, plain = wide_model(alice), new_model(alice)
    house = House(tmp_path / "house").start()
    open_run(alice, away, house, 1, 2)
    given = changes(2)
    parts = join_all(crowd[:2], away, tmp_path)
    made = [part.make(change) for part, change in zip(parts, given)]
    house.kill()
    for part, report in zip(parts, made):
        assert part.deliver(*report).status_code == 200
    federate(alice, "open", plain, "--mode", "plain", "--rounds", 1, "--min-participants", 1)
    assert Sender(crowd[0], plain).join().send(save(fit(start_model(), 1)[0])).status_code == 200
    assert finished(alice, plain)["state"] == "finished"
    assert run_of(alice, away)["state"] == "open"
    house.start()
    assert finished(alice, away)["state"] == "finished"
    assert numpy.abs(numbers_of(alice, away) - given.mean(axis=0)).max() < 1e-6
    house.stop()


def test_a_participant_insists_on_a_house(alice, crowd, house, preload):  # noqa: F811
    program = """
import sys, cairn.federate
url, token, repo, house = sys.argv[1:5]
try:
    cairn.federate.join(url, token, repo, lambda model, config: (model, 1), house=house)
except cairn.federate.NotAccepted as problem:
    print(problem)
"""
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 2)

    def run(person, wanted):
        return Child(preload, LIBRARY, program, alice.hub.url, person.token, repo, wanted)

    assert "not the one that you have set" in run(crowd[0], "0000-0000-0000-0000").communicate()[0]
    assert run_of(alice, repo)["accepted"] == 0
    both = [run(crowd[0], house.key_id), run(crowd[1], house.keys["key"])]
    assert [one.communicate()[0] for one in both] == ["", ""]
    assert finished(alice, repo)["accepted"] == 2


def test_a_hub_asks_no_house_that_its_operator_has_not_named(tmp_path, house):
    hub = Hub(tmp_path, flags=["--houses", f"https://elsewhere.example,{house.url}"]).start()
    owner = hub.person("owner")
    repo = wide_model(owner)
    done = open_run(owner, repo, House(tmp_path / "other"), check=False)
    assert done.returncode == 1 and "these houses only" in done.stderr
    open_run(owner, repo, house)
    hub.stop()


def test_a_model_of_more_parameters_takes_half_the_bytes_each(alice, crowd, house, preload, tmp_path):  # noqa: F811
    width = 110_000
    repo = new_model(alice, {"w": numpy.zeros(width, numpy.float32)})
    open_run(alice, repo, house, 1, 2)
    program = """
import sys, numpy, cairn.federate
def train(model, config):
    model["w"][:] = numpy.random.default_rng(int(sys.argv[4])).normal(size=model["w"].size) / 100
    return model, 1
cairn.federate.join(*sys.argv[1:4], train, progress=print)
"""
    parts = [Child(preload, LIBRARY, program, alice.hub.url, person.token, repo, seed) for seed, person in enumerate(crowd[:2])]
    said = [part.communicate()[0] for part in parts]
    finished(alice, repo)
    sent = int(said[0].split(" bytes sent")[-2].split()[-1])
    assert 4 * width < sent < 4 * width * 1.07
    given = [numpy.random.default_rng(seed).normal(size=width) / 100 for seed in range(2)]
    off = numbers_of(alice, repo) - numpy.mean(given, axis=0)
    unit = 2.0 ** -json.loads(base64.b64decode(json.loads(alice.read(repo, "fl/rounds/000001.signatures.json"))["config"]["payload"]))["fractionBits"]
    assert 0 < numpy.abs(off).max() < unit and abs(off.mean()) < unit / 100  # rounded at random, and to the right mean


def test_a_folder_is_of_one_house_and_of_no_hub(hub, house):
    for folder, word in ((house.data, "Another house"), (hub.data, "folder of a hub")):
        done = subprocess.run([BINARY, "house", "--data", folder, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and word in done.stderr and not SANITIZER.search(done.stderr)
    assert not (hub.data / "runs").exists()


@pytest.mark.parametrize("words", [[], ["--data", "x"], ["--data", "x", "--listen", "127.0.0.1:0", "--hub", "nobody"], ["--data", "x", "--listen", "127.0.0.1:0", "--hub"],
                                   ["--data", "x", "--listen", "127.0.0.1:0", "--max-runs", "0"], ["--data", "x", "--listen", "127.0.0.1:0", "more"]])
def test_a_command_that_says_too_little_or_too_much_is_not_understood(words, tmp_path):
    done = subprocess.run([BINARY, "house", *words], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and "cairn house" in done.stderr and not list(tmp_path.iterdir())


def test_keys_of_a_house_are_for_its_operator_alone(house):
    assert (house.data / "house.json").stat().st_mode & 0o777 == 0o600
    secret = json.loads((house.data / "house.json").read_text())
    assert secret["sign"] not in house.said + house.log.read_text() + json.dumps(house.keys)


def test_both_houses_sign_the_terms_that_participants_accept(alice, crowd, house, tmp_path):
    name = f"alice/{new_name('terms')}"
    text = "Purpose: triage. Law: of both countries. Each is liable for its own house."
    answer = alice.http.post(f"/api/terms/{name}", json={"kind": "licence", "summary": "Terms of the federation", "texts": {"en": text}})
    assert answer.status_code == 201, answer.text
    repo, free = wide_model(alice), wide_model(alice)
    alice.http.put(f"/api/models/{repo}/gate", json={"mode": "click", "terms": [name]}).raise_for_status()
    open_run(alice, repo, house, 1, 2)
    open_run(alice, free, house, 1, 2)
    assert Reporter(crowd[0], repo, tmp_path).http.post(f"/api/models/{repo}/federate/join", json={}).status_code == 403
    for person in crowd[:2]:
        asked = person.http.post(f"/api/models/{repo}/access-request", json={"terms": [{"terms": name, "sha256": sha256(text.encode())}]})
        assert asked.json()["state"] == "approved", asked.text
    for part, change in zip(join_all(crowd[:2], repo, tmp_path), changes(2)):
        assert "terms" in part.round()["config"] and part.send(change).status_code == 200
    finished(alice, repo)
    signed = json.loads(alice.read(repo, "fl/rounds/000001.signatures.json"))["config"]
    config = json.loads(base64.b64decode(signed["payload"]))
    version = sha256(f"en {sha256(text.encode())}\n".encode())  # of its texts in all languages
    assert config["terms"] == sha256(f"{name} {version}\n".encode())
    assert holds(signed, [config[side]["key"] for side in ("hub", "house")])
    assert "terms" not in json.loads(join_all(crowd[:1], free, tmp_path)[0].round()["config"])


def test_keys_that_come_to_their_end_are_renewed_between_rounds_and_open_reports_stay_good(tmp_path):
    """Both houses' keys become due for renewal while the first round is open."""
    hub, house = Hub(tmp_path).start(), House(tmp_path / "second").start()  # noqa: F811
    owner, people = hub.person("owner"), [hub.person(f"part{number}") for number in range(2)]
    for wait in (10, 60, 300):  # seconds in which the first round must be open; a busy machine gets more
        hub.stop()
        house.stop()
        until_us = int((time.time() + 60 * 86400 + wait) * 1e6)
        for folder in (hub.data, house.data):
            kept = json.loads((folder / "house.json").read_text())
            kept["seal"][0]["until"] = until_us
            (folder / "house.json").write_text(json.dumps(kept))
        hub.start()
        house.start()
        repo = wide_model(owner)
        open_run(owner, repo, house, 2, 2)
        parts, given = join_all(people, repo, tmp_path), changes(2)
        first = json.loads(parts[0].round()["config"])
        if first["hub"]["sealUntil"] == first["house"]["sealUntil"] == until_us:
            break
    assert parts[0].send(given[0]).status_code == 200
    until(lambda: house.keys["seal"] != first["house"]["seal"], 400)
    assert parts[1].send(given[1]).status_code == 200
    second = until(lambda: (told := parts[0].round())["round"] == 2 and "config" in told and json.loads(told["config"]))
    for side in ("hub", "house"):
        assert second[side]["key"] == first[side]["key"] and second[side]["seal"] != first[side]["seal"]
        assert second[side]["sealUntil"] > first[side]["sealUntil"]
    assert numpy.abs(numbers_of(owner, repo) - given.mean(axis=0)).max() < 1e-6
    for part, change in zip(parts, given):
        assert part.send(change).status_code == 200
    assert finished(owner, repo)["accepted"] == 4
    hub.stop()
    house.stop()


@pytest.mark.parametrize("what, word", [("model", "another model"), ("config", "not signed by both"), ("signature", "not signed by both"), ("nothing", None)])
def test_a_hub_that_gives_a_participant_something_else_gets_nothing(alice, crowd, house, preload, what, word):  # noqa: F811
    repo = wide_model(alice)
    open_run(alice, repo, house, 1, 2)

    def answer(path, ask):
        got = ask()
        if what == "model" and "/resolve/" in path and got.status_code in (200, 206):
            data = bytearray(got.content)
            data[-3] ^= 1
            return httpx.Response(got.status_code, content=bytes(data), headers={"content-range": got.headers.get("content-range", "")})
        if "/federate/round" in path and what in ("config", "signature"):
            told = got.json()
            told["config"] = told["config"].replace('"noise":0', '"noise":1') if what == "config" else told["config"]
            told["houseSignature"] = told["hubSignature"] if what == "signature" else told["houseSignature"]
            return httpx.Response(200, json=told)
        return got

    between = Between(alice.hub)
    between.answer = answer
    program = """
import sys, cairn.federate
try:
    cairn.federate.join(*sys.argv[1:4], lambda model, config: (model, 1))
except cairn.federate.NotAccepted as problem:
    print(problem)
"""
    parts = [Child(preload, LIBRARY, program, between.url, person.token, repo) for person in crowd[:2]]
    said = [part.communicate()[0] for part in parts]
    assert all(word in one for one in said) if word else said == ["", ""]
    assert run_of(alice, repo)["accepted"] == (0 if word else 2)
    between.shutdown()
