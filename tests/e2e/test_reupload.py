# SPDX-License-Identifier: GPL-3.0-or-later
"""Gated weights that somebody puts into another repo: recognised, held before others can have them, disputed and settled."""

import json
import os
import struct
import time

import pytest

from support import new_name, sha256, until
from xet import File, Session, Xorb


def tensors(**named):
    """A safetensors file of U8 tensors."""
    header, at = {}, 0
    for name, data in named.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(named.values())


def commit_large(person, repo, path, data):
    person.put_object(repo, data)
    answer = person.commit_lines(repo, ("lfsFile", {"path": path, "algo": "sha256", "oid": sha256(data)}))
    assert answer.is_success, answer.text


@pytest.fixture
def bob(hub):
    """New for each test: whose uploads are held again and again is slowed down (docs/misuse.md)."""
    return hub.person(new_name("bob"))


GATED = []


@pytest.fixture(autouse=True)
def open_again():
    """While the hub has gated tensors, what anybody commits waits until it was compared with them: other tests do not expect that."""
    yield
    while GATED:
        person, repo = GATED.pop()
        person.api.delete_repo(repo, missing_ok=True)


def gated(person, path, data):
    repo = person.new_repo("gated")
    GATED.append((person, repo))
    commit_large(person, repo, path, data)
    person.api.update_repo_settings(repo, gated="manual")
    if path.endswith(".safetensors"):
        until(lambda: person.http.get(f"/api/models/{repo}/tensors/main").json().get("state") not in (None, "pending"))
    return repo


def reason(person, repo, path):
    answer = person.http.get(f"/{repo}/resolve/main/{path}")
    return answer.headers.get("x-access-reason", answer.status_code)


def holds(person, repo):
    return [hold for hold in person.http.get("/api/holds").json() if hold["repo"] == repo]


@pytest.fixture(scope="module")
def board(hub):
    return hub.person(new_name("board"), "admin", ("--admin",))


@pytest.mark.parametrize(("size", "held"), [(0, False), (7, False), (4095, False), (4096, True)])
def test_what_is_too_small_to_be_weights_is_nobodys_secret(alice, bob, anyone, size, held):
    data = os.urandom(size)
    gated(alice, "stub.bin", data)
    copy = bob.new_repo("copy")
    commit_large(bob, copy, "stub.bin", data)
    assert reason(anyone, copy, "stub.bin") == ("held-reupload" if held else 200)
    assert [hold["matches"] for hold in holds(bob, copy)] == ["object"] * held


def test_the_same_object_is_held_from_its_first_moment(alice, bob, anyone, hub):
    data = os.urandom(300_000)
    gated(alice, "model.bin", data)
    copy = bob.new_repo("copy")
    bob.put_object(copy, data)
    answer = anyone.batch(copy, (sha256(data), len(data)), operation="download")
    assert answer.status_code == 403 and answer.headers["x-access-reason"] == "held-reupload", "before any commit names it"
    assert bob.commit_lines(copy, ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(data)})).is_success
    assert reason(anyone, copy, "w.bin") == reason(alice, copy, "w.bin") == "held-reupload"
    assert reason(bob, copy, "w.bin") == 200, "the uploader's own name space"
    [hold] = holds(alice, copy)
    assert (hold["matches"], hold["state"], hold["share"]) == ("object", "open", 1)
    for person in alice, bob:
        assert any(copy in notice["text"] for notice in person.http.get("/api/notices").json() if notice["kind"] == "hold")


def test_what_is_not_gated_is_not_held(alice, bob, anyone):
    data = os.urandom(300_000)
    commit_large(alice, alice.new_repo(), "model.bin", data)
    copy = bob.new_repo("copy")
    commit_large(bob, copy, "w.bin", data)
    assert reason(anyone, copy, "w.bin") == 200 and holds(bob, copy) == []


def test_what_was_open_before_the_gate_is_nobodys_secret(alice, bob, anyone, hub):
    data = os.urandom(300_000)
    commit_large(alice, alice.new_repo("open"), "model.bin", data)
    gated(alice, "model.bin", data)
    copy = bob.new_repo("copy")
    commit_large(bob, copy, "w.bin", data)
    assert reason(anyone, copy, "w.bin") == 200


def test_a_member_of_the_owner_may_put_it_elsewhere(hub, alice, bob, anyone):
    org = hub.org(new_name("org"), **{alice.name: "admin", bob.name: "write"})
    data = os.urandom(300_000)
    repo = alice.api.create_repo(f"{org}/{new_name('gated')}").repo_id
    commit_large(alice, repo, "model.bin", data)
    alice.api.update_repo_settings(repo, gated="manual")
    copy = bob.new_repo("copy")
    commit_large(bob, copy, "w.bin", data)
    assert reason(anyone, copy, "w.bin") == 200


@pytest.mark.parametrize("chunks, held", [(2, False), (6, True)])
def test_chunks_of_a_gated_file_are_recognised(alice, bob, anyone, chunks, held):
    """Of ten chunks of one length: up to three are no match, more are."""
    parts = [os.urandom(30_000) for _ in range(10)]
    theirs = alice.new_repo("gated")
    session = Session(alice, theirs)
    shared = Xorb(parts)
    whole = session.upload(shared, File([(shared, 0, 10)]))
    assert alice.commit_lines(theirs, ("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": sha256(whole.data)})).is_success
    alice.api.update_repo_settings(theirs, gated="manual")
    copy = bob.new_repo("copy")
    session = Session(bob, copy)
    session.post_xorb(shared)  # bob has the bytes
    own = Xorb([os.urandom(30_000) for _ in range(10 - chunks)])
    mixed = session.upload(own, File([(shared, 0, chunks), (own, 0, 10 - chunks)]))
    assert bob.commit_lines(copy, ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(mixed.data)})).is_success
    assert reason(anyone, copy, "w.bin") == ("held-reupload" if held else 200)
    if held:
        [hold] = holds(bob, copy)
        assert hold["matches"] == "chunks" and 0.55 < hold["share"] < 0.65


@pytest.mark.parametrize("kept, held", [(1, False), (4, True)])
def test_tensors_of_a_gated_file_are_recognised_before_anybody_has_the_copy(alice, bob, anyone, kept, held):
    """Other names, another order, and of ten tensors some that are other ones."""
    theirs = {f"layer{i}": os.urandom(20_000) for i in range(10)}
    gated(alice, "model.safetensors", tensors(**theirs))
    mine = {f"other{i}": data if i < kept else os.urandom(20_000) for i, data in enumerate(reversed(theirs.values()))}
    copy = bob.new_repo("copy")
    data = tensors(**mine)
    commit_large(bob, copy, "w.safetensors", data)
    first = reason(anyone, copy, "w.safetensors")
    assert first in ("pending-check", "held-reupload" if held else 200)
    assert until(lambda: (now := reason(anyone, copy, "w.safetensors")) != "pending-check" and now) == ("held-reupload" if held else 200)
    if held:
        [hold] = holds(bob, copy)
        assert hold["matches"] == "tensors" and hold["path"] == "w.safetensors" and 0.39 < hold["share"] < 0.41


def test_nobody_gets_the_bytes_while_the_check_is_pending(alice, bob, anyone):
    data = {"a": os.urandom(4_000_000)}
    gated(alice, "model.safetensors", tensors(**data))
    copy = bob.new_repo("copy")
    copied = tensors(b=data["a"], c=os.urandom(1000))
    bob.put_object(copy, copied)
    answers = []
    assert bob.commit_lines(copy, ("lfsFile", {"path": "w.safetensors", "algo": "sha256", "oid": sha256(copied)})).is_success
    end = time.monotonic() + 60
    while not answers or (answers[-1] == "pending-check" and time.monotonic() < end):
        answers.append(reason(anyone, copy, "w.safetensors"))
    assert set(answers) <= {"pending-check", "held-reupload"} and answers[-1] == "held-reupload", answers


def held_copy(alice, bob):
    data = os.urandom(200_000)
    gated(alice, "model.bin", data)
    copy = bob.new_repo("copy")
    commit_large(bob, copy, "w.bin", data)
    [hold] = holds(alice, copy)
    return copy, hold["id"], data


def settle(person, number, decision, text="I have looked."):
    return person.http.post(f"/api/holds/{number}", json={"decision": decision, "text": text})


def test_the_owner_of_the_gated_repo_lets_it_be_once_for_all(alice, bob, anyone):
    copy, number, data = held_copy(alice, bob)
    assert settle(bob, number, "allow").status_code == 403
    assert settle(alice, number, "allow").is_success
    assert reason(anyone, copy, "w.bin") == 200
    commit_large(bob, copy, "again.bin", data)
    assert reason(anyone, copy, "again.bin") == 200
    assert settle(alice, number, "allow").status_code == 409


def test_the_uploader_disputes_and_the_board_confirms(alice, bob, board, anyone, reader, hub):
    copy, number, _ = held_copy(alice, bob)
    stranger = hub.person(new_name("stranger"), "read")
    for decision in "allow", "confirm", "dispute":
        assert settle(stranger, number, decision).status_code == 404
        assert settle(anyone, number, decision).status_code == 401
    assert settle(alice, number, "confirm").status_code == 403
    assert settle(alice, number, "dispute").status_code == 403
    assert settle(bob, number, "dispute", "These are my own.").is_success
    assert holds(board, copy)[0]["dispute"] == "These are my own."
    assert settle(board, number, "confirm", "They are not.").is_success
    assert reason(anyone, copy, "w.bin") == "held-reupload"
    assert holds(bob, copy)[0]["state"] == "confirmed"
    assert settle(board, number, "allow").is_success
    assert reason(anyone, copy, "w.bin") == 200


def test_a_private_copy_is_not_shown_to_the_owner_of_the_gate(alice, bob, anyone):
    data = os.urandom(200_000)
    gated(alice, "model.bin", data)
    copy = bob.new_repo("copy", private=True)
    commit_large(bob, copy, "w.bin", data)
    assert holds(alice, copy) == [] and len(holds(bob, copy)) == 1
    assert settle(alice, holds(bob, copy)[0]["id"], "allow").status_code == 404
    bob.api.update_repo_settings(copy, private=False)
    assert len(holds(alice, copy)) == 1 and reason(anyone, copy, "w.bin") == "held-reupload"
