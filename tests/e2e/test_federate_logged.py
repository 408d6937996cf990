# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a participant trains: the model that it got is the one in the hub's log, and the log goes on from where it was."""

import base64
import json
import threading

import httpx
import numpy
import pytest
from blake3 import blake3
from safetensors.numpy import load

from houses import Between
from support import Hub, sha256, until
from test_federate import begin, crowd, ends, federate, new_model, open_run, run_of  # noqa: F401
from test_houses import WIDTH, house, join_all  # noqa: F401
from test_libcairn import preload  # noqa: F401
from tlog import leaf_hash, root_of

PROGRAM = """
import json, sys
import cairn.federate
trained = []

def train(model, config):
    trained.append(config["round"])
    return {name: values + 1 for name, values in model.items()}, 1

try:
    cairn.federate.join(*sys.argv[1:4], train, state=sys.argv[4] or None, patience=3)
    print(json.dumps(["", trained]))
except cairn.federate.NotAccepted as problem:
    print(json.dumps([str(problem), trained]))
"""


@pytest.fixture
def between(hub):
    between = Between(hub)
    yield between
    between.shutdown()


def changed(path, ask):
    """The model with another bit."""
    got = ask()
    if "/resolve/" not in path or got.status_code not in (200, 206):
        return got
    data = bytearray(got.content)
    data[-3] ^= 1
    return httpx.Response(got.status_code, content=bytes(data), headers={"content-range": got.headers.get("content-range", "")})


@pytest.mark.parametrize("mode, word", [("plain", "another model"), ("one-house", "another model"), ("two-houses", "another model"), ("one-house", None)])
def test_a_model_that_is_not_the_logged_one_is_not_trained(alice, crowd, house, between, preload, mode, word):  # noqa: F811
    repo, people = new_model(alice), crowd[:1 if mode == "plain" else 3]
    federate(alice, "open", repo, "--mode", mode, "--rounds", 1, "--min-participants", len(people), *(["--house", house.url] if mode == "two-houses" else []))
    between.answer = changed if word else between.answer
    for part in [begin(PROGRAM, person, repo, preload, between.url) for person in people]:
        why, trained = ends(part)
        assert (word in why and "its log" in why and trained == []) if word else (why, trained) == ("", [1])
    assert run_of(alice, repo)["accepted"] == (0 if word else 3)


def test_the_model_of_a_later_round_is_proved_by_the_leaf_of_the_round_that_made_it(alice, crowd, between, preload):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 2)
    proofs = []

    def answer(path, ask):
        got = ask()
        if "/federate/proof" in path and got.status_code == 200:
            proofs.append(got.text)
        return got

    between.answer = answer
    assert ends(begin(PROGRAM, crowd[0], repo, preload, between.url)) == ["", [1, 2]]
    assert len(proofs) == 2 and load(alice.read(repo, "model.safetensors"))["w"].tolist() == [2.125] * 5
    manifest, by_round = ({entry["type"]: entry for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]
                           if f"index {entry['index']}\n" in proof} for proof in proofs)
    assert list(manifest) == ["manifest"] and list(by_round) == ["federated-round"]


def test_another_model_in_a_later_round_is_not_trained(alice, crowd, between, preload):  # noqa: F811
    """It is known by its BLAKE3 then, which the first, in a manifest, is not."""
    repo, asked = new_model(alice), []
    open_run(alice, repo, 2)

    def answer(path, ask):
        asked.append("/resolve/" in path)
        return changed(path, ask) if sum(asked) == 2 else ask()

    between.answer = answer
    why, trained = ends(begin(PROGRAM, crowd[0], repo, preload, between.url))
    assert "another model" in why and trained == [1]
    leaf, = [json.loads(entry["leaf"])["b"] for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"] if entry["type"] == "federated-round"]
    model = alice.read(repo, "model.safetensors")
    assert (leaf["result"], leaf["blake3"]) == (sha256(model), blake3(model).hexdigest())


@pytest.mark.parametrize("what, word", [("old", "not about commit"), ("cut", "trained"), ("nothing", None)])
def test_a_proof_of_something_else_is_refused(alice, crowd, between, preload, what, word):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 2)
    proofs = []

    def answer(path, ask):
        got = ask()
        if "/federate/proof" not in path or got.status_code != 200:
            return got
        proofs.append(got)
        if what == "cut" and len(proofs) == 2:
            return httpx.Response(200, content=got.content[:-200])
        return proofs[0] if what == "old" else got

    between.answer = answer
    why, trained = ends(begin(PROGRAM, crowd[0], repo, preload, between.url))
    assert ("Nothing is trained" in why and word in why and trained == [1]) if word else (why, trained) == ("", [1, 2]), why


@pytest.mark.parametrize("swap", ["key", None])
def test_a_log_that_is_signed_with_another_key_than_the_one_shown_is_refused(alice, crowd, between, preload, own_hub, swap):  # noqa: F811
    repo = new_model(alice)
    open_run(alice, repo, 2)
    asked = []

    def answer(path, ask):
        if path == "/log/vkey":
            asked.append(path)
            if swap:
                return httpx.get(f"{own_hub.url}/log/vkey")
        return ask()

    between.answer = answer
    why, trained = ends(begin(PROGRAM, crowd[0], repo, preload, between.url))
    assert len(asked) == 1  # it is remembered from then on
    assert (trained == [] and "Nothing is trained" in why) if swap else (why, trained) == ("", [1, 2])


@pytest.mark.parametrize("back", [True, False])
def test_a_log_that_goes_back_behind_what_was_remembered_is_refused(own_hub, tmp_path, preload, back):  # noqa: F811
    """The hub is put back to where it stood before the first training; who has a state folder has seen more of its log."""
    owner = own_hub.person("owner")
    first, second = new_model(owner), new_model(owner)
    open_run(owner, second)
    (tmp_path / "again").mkdir()
    own_hub.copy_to(tmp_path / "again" / "data")
    owner.commit_files(first, {"after.md": b"so the proof of the model to begin with is of a newer log"})
    open_run(owner, first)
    between = Between(own_hub)
    assert ends(begin(PROGRAM, owner, first, preload, between.url, tmp_path / "state")) == ["", [1]]
    again = Hub(tmp_path / "again").start()
    if back:
        between.target = again
    why, trained = ends(begin(PROGRAM, owner, second, preload, between.url, tmp_path / "state"))
    assert (("went back" in why or "is forked" in why) and trained == []) if back else (why, trained) == ("", [1]), (why, trained)
    between.target = again
    without = ends(begin(PROGRAM, owner, second, preload, between.url)) if back else ["", [1]]  # who remembers nothing cannot know
    assert without == ["", [1]]
    between.shutdown()
    again.stop()


def test_the_proof_is_for_participants_and_of_the_round_under_way(alice, bob, anyone, crowd):  # noqa: F811
    repo = new_model(alice, private=True)
    open_run(alice, repo, 1)
    for person in (bob, anyone):
        assert person.http.get(f"/api/models/{repo}/federate/proof", params={"round": 1}).status_code in (401, 404)
    for number, status in ((0, 409), (2, 409), ("x", 400)):
        assert alice.http.get(f"/api/models/{repo}/federate/proof", params={"round": number}).status_code == status


# After a round between two houses: was the own report in the sum? Both houses have signed which were.

COUNTED = PROGRAM.replace("patience=3)", "patience=3, progress=lines.append)").replace("trained = []", "trained, lines = [], []") \
    .replace("trained]))", "trained, [line for line in lines if \"the sum\" in line]]))")


def open_counted(alice, house, rounds=1):  # noqa: F811
    repo = new_model(alice, {"w": numpy.zeros(WIDTH, numpy.float32)})
    federate(alice, "open", repo, "--mode", "two-houses", "--rounds", rounds, "--min-participants", 2, "--house", house.url, "--grace", 0)
    return repo


def forged(what, path, ask, first):
    got = ask()
    if got is None or got.status_code not in (200, 206):
        return got
    if "/federate/reports" in path:
        return httpx.Response(200, content={"other": bytes(64) + got.content[64:], "cut": got.content[:-64], "long": got.content + bytes(64),
                                            "odd": got.content + b"x"}.get(what, got.content))
    if "signatures.json" in path:
        first.append(got)
        if what == "gone":
            return httpx.Response(404, json={"error": "no such file"}, headers={"x-error-code": "EntryNotFound"})
        if what == "before":
            return first[0]
        if what == "record":
            told = json.loads(got.content)
            told["record"]["payload"] = base64.b64encode(base64.b64decode(told["record"]["payload"]).replace(b'"rejected":0', b'"rejected":1')).decode()
            return httpx.Response(200, json=told)
    return got


@pytest.mark.parametrize("what, word", [("other", "is not the one"), ("cut", "is not the one"), ("long", "is not the one"), ("odd", "is not the one"),
                                        ("record", "not signed"), ("gone", "is not there"), ("before", "another round"), ("nothing", None)])
def test_a_hub_that_shows_other_reports_than_both_houses_have_signed_is_noticed(alice, crowd, house, between, preload, what, word):  # noqa: F811
    repo, first = open_counted(alice, house, 2), []
    between.answer = lambda path, ask: forged(what, path, ask, first)
    parts = [begin(COUNTED, crowd[0], repo, preload, between.url), begin(COUNTED, crowd[1], repo, preload, alice.hub.url)]
    why, trained, lines = ends(parts[0])
    if word:
        assert "Nothing shows that the update of round" in why and word in why, why
        alice.http.delete(f"/api/models/{repo}/federate")  # so that the other waits for nobody
        parts[1].communicate()
    else:
        seen = [f"Round {number}: the update is in the sum, as both houses have signed" for number in (1, 2)]
        assert (why, trained, lines) == ("", [1, 2], seen) and ends(parts[1]) == ["", [1, 2], seen]


@pytest.mark.parametrize("rejected", [0, 1])
def test_a_hub_that_lets_a_report_fall_is_noticed(alice, crowd, house, between, preload, tmp_path, rejected):  # noqa: F811
    """It says that it has taken it, and never shows it to the other house. Only where some were rejected it may have been among them."""
    repo, fallen = open_counted(alice, house), threading.Event()

    def answer(path, ask):
        if path.endswith("/federate/update") and "?" not in path:
            fallen.set()
            return httpx.Response(200, json={})
        got = ask()
        if "/federate/round" in path and fallen.is_set():
            told = got.json()
            told["update"]["state"] = "accepted"
            return httpx.Response(200, json=told)
        return got

    between.answer = answer
    victim = begin(COUNTED, crowd[0], repo, preload, between.url)
    until(fallen.is_set)
    far = numpy.zeros(WIDTH)
    far[0] = 10.1
    parts = join_all([*crowd[1:3], alice], repo, tmp_path)
    for part in parts[2:2 + rejected]:
        assert part.send(far, "over").status_code == 200
    for part in parts[:2]:  # while both houses look at one that is too far, none is taken
        until(lambda: part.send(numpy.ones(WIDTH)).status_code == 200)
    why, trained, lines = ends(victim)
    assert trained == [1]
    if rejected:
        assert why == "" and lines == ["Round 1: the update is not in the sum; 1 were rejected by the houses"]
    else:
        assert "the hub has taken it, and neither is it in the sum, nor was any rejected" in why and lines == [why]


def test_which_reports_were_counted_is_for_participants(alice, bob, anyone, crowd, house, tmp_path):  # noqa: F811
    repo = open_counted(alice, house)
    parts, address = join_all(crowd[:2], repo, tmp_path), f"/api/models/{repo}/federate/reports"
    assert crowd[0].http.get(address, params={"round": 1}).status_code == 404
    reports = [part.make(numpy.ones(WIDTH)) for part in parts]
    for part, report in zip(parts, reports):
        assert part.deliver(*report).status_code == 200
    until(lambda: run_of(alice, repo)["state"] == "finished")
    signatures = [base64.b64decode(report)[-64:] for _, _, report in sorted(reports, key=lambda made: base64.b64decode(made[2]))]
    got = crowd[1].http.get(address, params={"round": 1})
    assert got.status_code == 200 and got.content == b"".join(signatures)
    assert root_of([leaf_hash(one) for one in signatures]).hex() == json.loads(alice.read(repo, "fl/rounds/000001.json"))["reports"]
    for person, status in ((alice, 403), (bob, 403), (anyone, 401)):
        assert person.http.get(address, params={"round": 1}).status_code == status
    for number, status in ((0, 404), (2, 404), ("x", 400)):
        assert crowd[0].http.get(address, params={"round": number}).status_code == status
