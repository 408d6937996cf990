# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a participant trains: the model that it got is the one in the hub's log, and the log goes on from where it was."""


import httpx
import pytest
from safetensors.numpy import load

from houses import Between
from support import Hub
from test_federate import begin, crowd, ends, federate, new_model, open_run, run_of  # noqa: F401
from test_houses import house  # noqa: F401
from test_libcairn import preload  # noqa: F401

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
