# SPDX-License-Identifier: GPL-3.0-or-later
"""What people say of a commit, signed: keys, evidence, approvals, releases, evaluations, deployments; and every refusal.

The keys, envelopes and statements are made by the `cryptography` package (statements.py), not by Cairn.
"""

import base64
import hashlib
import itertools
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1 import statement_pb2
from google.protobuf import json_format

import statements
from statements import (Key, approval, deployment, leaf_at, origin_of, post, register, release, say, statement, test_result)
from support import new_name

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KEYS = "/api/settings/signing-keys"


@pytest.fixture(scope="module")
def alice_key(alice):
    return register(alice)


@pytest.fixture(scope="module")
def bob_key(bob):
    return register(bob, Key("ed25519"))


@pytest.fixture
def commit(alice, repo):
    alice.commit_files(repo, {"config.json": b"{}", "w.bin": b"weights"})
    return alice.head(repo)


def count(person, repo):
    """Manifests come by a job a second after their commit, whatever is said meanwhile."""
    entries = person.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]
    return sum(entry["type"] != "manifest" for entry in entries)


def refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"], answer.text


# ---- signing keys ----


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519"])
def test_a_key_of_each_kind_can_be_registered_and_sign(hub, alice, repo, kind):
    person = hub.person(new_name("signer"))
    key = register(person, Key(kind))
    [mine] = person.http.get(KEYS).json()
    assert (mine["hint"], mine["publicKey"], mine["name"]) == (key.hint, key.pem, "laptop") and "revokedAt" not in mine
    answer = say(person, key, repo, approval(alice.head(repo)))
    assert (answer["actor"], answer["keyid"], answer["publicKey"]) == (person.name, key.hint, key.pem)


@pytest.mark.parametrize("kind", ["rsa", "k256"])
def test_keys_of_other_kinds_are_refused(alice, kind):
    answer = alice.http.post(KEYS, json=Key(kind).claim(origin_of(alice), "alice"))
    refused(answer, 501, "ECDSA on the named curves")


def test_a_key_is_in_the_log_with_its_proof_and_without_its_name(hub):
    person = hub.person(new_name("signer"))
    register(person)
    [mine] = person.http.get(KEYS).json()
    leaf = log_entry(person, mine["index"])
    assert (leaf["type"], leaf["b"]["op"], leaf["b"]["use"]) == ("key", "add", "user")
    assert leaf["auth"] == "user-signed" and leaf["ev"] == hashlib.sha256(mine["proof"].encode()).hexdigest()
    assert mine["hint"] not in json.dumps(leaf) and person.name not in json.dumps(leaf)


def log_entry(person, index):
    """A leaf by the tiles, for those that belong to no repo."""
    size = int(person.http.get("/log/checkpoint").text.split("\n")[1])
    bundle, first = index // 256, index // 256 * 256
    width = min(size - first, 256)
    path = f"/log/tile/entries/{bundle:03d}" + ("" if width == 256 else f".p/{width}")
    data = person.http.get(path).content
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(data[2:2 + length])
        data = data[2 + length:]
    return json.loads(entries[index - first])


def test_the_same_key_again_changes_nothing(hub):
    person = hub.person(new_name("signer"))
    key = register(person)
    again = person.http.post(KEYS, json=key.claim(origin_of(person), person.name))
    assert again.status_code == 200 and len(person.http.get(KEYS).json()) == 1


def test_nobody_registers_a_key_without_having_it(alice, bob, bob_key):
    """Otherwise bob's signatures would count as alice's."""
    stolen, own = bob_key.claim(origin_of(alice), "alice"), Key()
    payload = {"origin": origin_of(alice), "user": "alice", "publicKey": bob_key.pem, "name": "mine"}
    refused(alice.http.post(KEYS, json=own.envelope(payload, statements.KEY_TYPE)), 422, "signature does not fit")
    unsigned = {**own.envelope(payload, statements.KEY_TYPE), "signatures": []}
    refused(alice.http.post(KEYS, json=unsigned), 400, "signatures")
    refused(alice.http.post(KEYS, json=stolen), 409, "registered already")
    assert bob_key.hint not in alice.http.get(KEYS).text


def test_a_registration_is_for_one_person_at_one_hub(alice):
    key = Key()
    refused(alice.http.post(KEYS, json=key.claim(origin_of(alice), "bob")), 422, "for somebody else")
    refused(alice.http.post(KEYS, json=key.claim("other.example.org/log", "alice")), 422, "at another hub")
    refused(alice.http.post(KEYS, json=key.claim(origin_of(alice), "alice", name="")), 400, "name")
    refused(alice.http.post(KEYS, json=key.claim(origin_of(alice), "alice", name="a\nb")), 400, "name")
    refused(alice.http.post(KEYS, json=key.envelope({"publicKey": key.pem}, statements.IN_TOTO)), 400, "payloadType")
    refused(alice.http.post(KEYS, json=key.envelope([1], statements.KEY_TYPE)), 400, "public key")
    assert alice.http.post(KEYS, content=b"x" * 100_000).status_code == 413
    assert key.hint not in alice.http.get(KEYS).text


def test_a_read_token_registers_and_revokes_nothing(alice, reader, alice_key):
    refused(reader.http.post(KEYS, json=Key().claim(origin_of(alice), "alice")), 403, "only read")
    refused(reader.http.delete(f"{KEYS}/{alice_key.hint}"), 403, "only read")
    assert reader.http.get(KEYS).status_code == 200


def test_a_revoked_key_signs_no_more_and_never_comes_back(hub, alice, repo, commit):
    person = hub.person(new_name("signer"))
    key, other = register(person), register(person)
    said = say(person, key, repo, approval(commit))
    assert person.http.delete(f"{KEYS}/{key.hint}").status_code == 200
    assert person.http.delete(f"{KEYS}/{key.hint}").status_code == 404
    refused(post(person, repo, key.envelope(approval(commit))), 403, "revoked")
    refused(post(person, repo, key.envelope(approval(commit), keyid="")), 422, "does not fit")
    refused(person.http.post(KEYS, json=key.claim(origin_of(person), person.name)), 409, "until it was revoked")
    say(person, other, repo, approval(commit))
    assert {row["hint"]: "revokedAt" in row for row in person.http.get(KEYS).json()} == {key.hint: True, other.hint: False}
    # What it said before stays said.
    assert said["index"] in [row["index"] for row in listed(person, repo)]


def test_nobody_revokes_the_key_of_another(alice, bob, alice_key):
    refused(bob.http.delete(f"{KEYS}/{alice_key.hint}"), 404, "no signing key")
    refused(bob.http.delete(f"{KEYS}/nonsense"), 404, "no signing key")
    assert all("revokedAt" not in row for row in alice.http.get(KEYS).json() if row["hint"] == alice_key.hint)


def test_a_person_may_have_so_many_keys(hub):
    person = hub.person(new_name("signer"))
    keys = [register(person) for _ in range(16)]
    refused(person.http.post(KEYS, json=Key().claim(origin_of(person), person.name)), 429, "Revoke one")
    person.http.delete(f"{KEYS}/{keys[0].hint}")
    register(person)


# ---- statements ----


def listed(person, repo, revision="main"):
    answer = person.http.get(f"/api/models/{repo}/attestations", params={"revision": revision})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_approval_is_logged_and_its_evidence_kept(alice, bob, bob_key, repo, commit):
    envelope = json.dumps(bob_key.envelope(approval(commit)), indent=1).encode()  # kept as sent, to the byte
    answer = post(bob, repo, envelope)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    leaf = leaf_at(alice, repo, said["index"])
    moved = [entry["index"] for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]
             if json.loads(entry["leaf"])["type"] == "commit"][0]
    assert leaf["type"] == "approval" and leaf["auth"] == "user-signed"
    assert leaf["ev"] == said["evidence"] == hashlib.sha256(envelope).hexdigest()
    assert leaf["subj"] == [{"alg": "gitCommit", "d": commit}]
    assert leaf["b"] == {"decision": "approve", "have": 0, "required": 0, "role": "read", "subject": moved}
    assert "bob" not in json.dumps(leaf) and bob_key.hint not in json.dumps(leaf)
    assert alice.http.get(f"/api/models/{repo}/evidence/{said['evidence']}").content == envelope
    [row] = listed(alice, repo)
    assert row == said and (row["type"], row["decision"], row["actor"]) == ("approval", "approve", "bob")


def test_the_same_envelope_again_changes_nothing(bob, bob_key, repo, commit):
    envelope = bob_key.envelope(approval(commit))
    first = post(bob, repo, envelope)
    before = count(bob, repo)
    again = post(bob, repo, envelope)
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    assert count(bob, repo) == before and len(listed(bob, repo)) == 1


def test_each_decision_is_one_more_entry(alice, alice_key, repo, commit):
    indices = [say(alice, alice_key, repo, approval(commit, decision))["index"] for decision in ("approve", "withdraw", "reject")]
    assert [row["decision"] for row in listed(alice, repo)] == ["reject", "withdraw", "approve"]
    assert [leaf_at(alice, repo, index)["b"]["role"] for index in indices] == ["admin"] * 3


def test_a_statement_without_a_keyid_finds_its_key(alice, alice_key, repo, commit):
    register(alice)
    assert post(alice, repo, alice_key.envelope(approval(commit), keyid="")).json()["keyid"] == alice_key.hint


def altered(envelope, change):
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    return {**envelope, "payload": base64.b64encode(json.dumps(payload).encode()).decode()}


def bad_envelopes(key, commit):
    """What is wrong with each, and what the hub says of it."""
    good = key.envelope(approval(commit))
    [signature] = good["signatures"]
    raw = bytearray(base64.b64decode(signature["sig"]))
    raw[-1] ^= 1
    flipped = [{**signature, "sig": base64.b64encode(bytes(raw)).decode()}]
    yield "unsigned", {**good, "signatures": []}, 400, "signatures"
    yield "signature missing", {name: good[name] for name in ("payload", "payloadType")}, 400, "signatures"
    yield "two signatures", {**good, "signatures": [signature, signature]}, 400, "2 signatures"
    yield "signature flipped", {**good, "signatures": flipped}, 422, "does not fit"
    yield "signature of another", {**good, "signatures": key.envelope(approval(commit))["signatures"]}, 422, "does not fit"
    yield "payload altered", altered(good, lambda what: what["predicate"].update(decision="reject")), 422, "does not fit"
    yield "payload moved to another commit", altered(good, lambda what: what["subject"][0]["digest"].update(gitCommit="0" * 40)), 422, "does not fit"
    yield "payload not base64", {**good, "payload": good["payload"][:-2] + "!!"}, 400, "base64"
    yield "other type of payload", key.envelope(approval(commit), "application/json"), 400, "payloadType"
    yield "more members", {**good, "more": 1}, 400, "more"
    yield "an unknown key", {**good, "signatures": [{**signature, "keyid": "0" * 64}]}, 403, "not registered as yours"
    yield "no statement", key.envelope(b"[]"), 400, "JSON object"
    yield "no JSON", key.envelope(b"{"), 400, "cannot be read"
    yield "other statement", key.envelope({**approval(commit), "_type": "https://in-toto.io/Statement/v0.1"}), 400, "_type"
    yield "no subject", key.envelope({**approval(commit), "subject": []}), 400, "subject"
    yield "no predicate", key.envelope({**approval(commit), "predicate": 1}), 400, "predicate"
    yield "a bundle in place of an envelope", {"dsseEnvelope": good}, 400, "dsseEnvelope"


def test_a_bad_envelope_is_refused_and_leaves_nothing(alice, alice_key, repo, commit):
    before = count(alice, repo)
    for what, envelope, status, words in bad_envelopes(alice_key, commit):
        answer = post(alice, repo, envelope)
        assert answer.status_code == status and words in answer.json()["error"], f"{what}: {answer.status_code} {answer.text}"
    for what, content, status in [("empty", b"", 400), ("no JSON", b"\xff\xfe", 400), ("huge", b" " * (1024 * 1024 + 1), 413),
                                  ("deep", b"[" * 100_000, 400)]:
        assert post(alice, repo, content).status_code == status, what
    assert count(alice, repo) == before and listed(alice, repo) == []


def test_statements_are_bounded_by_their_kind(alice, alice_key, repo, commit):
    refused(post(alice, repo, alice_key.envelope(approval(commit, more="x" * 60_000))), 413, "may have")
    assert post(alice, repo, alice_key.envelope(test_result(commit, url="x" * 60_000))).status_code == 201
    refused(post(alice, repo, alice_key.envelope(test_result(commit, url="x" * 900_000))), 413, "")


def test_nobody_speaks_for_another(alice, bob, alice_key, bob_key, repo, commit):
    """A token of alice's with the signature of bob's registered key, and the other way round."""
    for person, key in [(alice, bob_key), (bob, alice_key)]:
        refused(post(person, repo, key.envelope(approval(commit))), 403, "not registered as yours")
        refused(post(person, repo, key.envelope(approval(commit), keyid="")), 422, "does not fit")
    wrong_name = bob_key.envelope(approval(commit))
    wrong_name["signatures"][0]["keyid"] = alice_key.hint
    refused(post(alice, repo, wrong_name), 422, "does not fit")
    assert listed(alice, repo) == []


def test_a_statement_is_about_one_commit_of_this_repo(alice, alice_key, repo, commit):
    other = alice.new_repo()
    alice.commit_files(other, {"b.txt": b"b"})
    envelope = alice_key.envelope(approval(commit))
    assert post(alice, repo, envelope).status_code == 201
    refused(post(alice, other, envelope), 422, "not about this repo")
    alice.api.create_branch(other, branch=commit)  # a branch that is called like the commit is not the commit
    refused(post(alice, other, envelope), 422, "not about this repo")
    two = approval(commit)
    two["subject"].append({"name": "b", "digest": {"gitCommit": alice.head(other)}})
    refused(post(alice, repo, alice_key.envelope(two)), 422, "more than one commit")
    for digest in {"sha256": "0" * 64}, {"gitCommit": commit[:10]}, {"gitCommit": "0" * 40}, {"gitCommit": commit + "00"}:
        refused(post(alice, repo, alice_key.envelope({**approval(commit), "subject": [{"digest": digest}]})), 422, "commit")
    refused(post(alice, repo, alice_key.envelope(approval("main"))), 400, "hex")
    assert listed(alice, other) == [] and len(listed(alice, repo)) == 1


def test_what_the_files_are_must_be_right_where_it_is_said(alice, alice_key, repo, commit):
    right = manifest_of(alice, repo, commit)
    for name in "dirHash1", "dirHash":
        say(alice, alice_key, repo, statement(commit, statements.APPROVAL, {"decision": "approve", "at": name}, **{name: right}))
        wrong = statement(commit, statements.APPROVAL, {"decision": "approve"}, **{name: "0" * 64})
        refused(post(alice, repo, alice_key.envelope(wrong)), 422, "not those that the statement names")


def manifest_of(person, repo, commit):
    """The dirHash1 of a commit's files, from its proof file's leaf in the history."""
    assert person.http.get(f"/api/models/{repo}/provenance/{commit}.tlog-proof").status_code == 200
    for entry in person.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]:
        leaf = json.loads(entry["leaf"])
        if leaf["type"] == "manifest" and leaf["subj"][0]["d"] == commit:
            return leaf["b"]["dirHash1"]
    raise AssertionError("no manifest")


def test_with_the_repos_own_id_a_statement_holds_in_that_repo_only(alice, alice_key, repo, commit):
    own = alice.http.get(f"/api/models/{repo}/provenance").json()["repo"]
    say(alice, alice_key, repo, approval(commit, repo=own))
    say(alice, alice_key, repo, release(commit, "1", packageId=own))
    for wrong in approval(commit, repo="0" * 32), release(commit, "2", packageId="0" * 32), deployment(commit, repo=own.upper()):
        refused(post(alice, repo, alice_key.envelope(wrong)), 422, "about another repo")


def test_unknown_kinds_are_refused_with_those_that_are_known(alice, alice_key, repo, commit):
    for unknown in "https://slsa.dev/provenance/v1", "urn:cairn:approval:v2", "https://in-toto.io/attestation/release/v0.3":
        answer = post(alice, repo, alice_key.envelope(statement(commit, unknown, {"decision": "approve"})))
        refused(answer, 501, statements.APPROVAL)
        assert statements.RELEASE in answer.json()["error"]


@pytest.mark.parametrize("predicate", [{}, {"decision": "maybe"}, {"decision": 1}, {"decision": "approve", "branch": 1},
                                       {"decision": "approve", "branch": "x" * 257}, {"decision": "approve", "repo": 7}])
def test_an_approval_needs_a_decision(alice, alice_key, repo, commit, predicate):
    refused(post(alice, repo, alice_key.envelope(statement(commit, statements.APPROVAL, predicate))), 422, "")


def test_strangers_say_nothing_of_a_private_repo(hub, alice, bob, anyone, alice_key, bob_key):
    hidden = alice.new_repo(private=True)
    commit = alice.head(hidden)
    envelope = alice_key.envelope(approval(commit))
    said = say(alice, alice_key, hidden, approval(commit))
    for person, status in (bob, 404), (anyone, 401):
        for answer in [post(person, hidden, envelope), post(person, hidden, bob_key.envelope(approval(commit))),
                       person.http.get(f"/api/models/{hidden}/evidence/{said['evidence']}"),
                       *(person.http.get(f"/api/models/{hidden}/{list_}") for list_ in ("attestations", "releases", "deployments"))]:
            assert answer.status_code == status and answer.headers["x-error-code"] == "RepoNotFound"


def test_a_hash_opens_evidence_only_where_it_was_said(alice, bob, alice_key, repo, commit):
    hidden = alice.new_repo(private=True)
    said = say(alice, alice_key, hidden, approval(alice.head(hidden)))
    assert alice.http.get(f"/api/models/{hidden}/evidence/{said['evidence']}").status_code == 200
    for person in alice, bob:
        refused(person.http.get(f"/api/models/{repo}/evidence/{said['evidence']}"), 404, "no such evidence")
    refused(alice.http.get(f"/api/models/{repo}/evidence/{'0' * 63}"), 400, "64 hex")


def test_whoever_is_not_signed_in_says_nothing(anyone, alice, alice_key, repo, commit):
    for to in "attestations", "deployments":
        assert post(anyone, repo, alice_key.envelope(approval(commit)), to).status_code == 401


def test_readers_approve_and_do_not_release(hub, alice, bob, bob_key, repo, commit):
    """Reviews and deployments are for whoever may read; what the repo claims of itself is for its writers."""
    say(bob, bob_key, repo, approval(commit))
    say(bob, bob_key, repo, deployment(commit))
    for what in release(commit, "1.0"), test_result(commit):
        refused(post(bob, repo, bob_key.envelope(what)), 403, "You may not write")


def test_the_role_that_is_logged_is_that_in_the_owner(hub, alice):
    org = hub.org(new_name("org"), alice="admin")
    repo = alice.api.create_repo(f"{org}/{new_name('r')}").repo_id
    commit = alice.head(repo)
    for role in "read", "write", "admin":
        person = hub.person(new_name("member"))
        hub.admin("org", "add-member", org, person.name, "--role", role)
        said = say(person, register(person), repo, approval(commit))
        assert said["role"] == leaf_at(alice, repo, said["index"])["b"]["role"] == role


def test_a_gated_repo_is_attested_by_those_who_may_read_it(alice, bob, alice_key, bob_key, repo, commit):
    alice.api.update_repo_settings(repo, gated="manual")
    answer = post(bob, repo, bob_key.envelope(approval(commit)))
    assert answer.status_code == 403 and answer.headers["x-error-code"] == "GatedRepo"
    say(alice, alice_key, repo, approval(commit))


def test_an_envelope_that_is_sent_many_times_at_once_counts_once(alice, alice_key, repo, commit):
    envelope = alice_key.envelope(deployment(commit))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(alice, repo, envelope), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.text for answer in answers}) == 1 and len(listed(alice, repo)) == 1


def test_what_is_erased_is_missing_and_the_rest_stays(own_hub):
    """The rows that go when a person is erased: the lists and the leaf stay, without the key and the evidence."""
    alice = own_hub.person("alice")
    key, repo = register(alice), alice.new_repo()
    said = say(alice, key, repo, approval(alice.head(repo)))
    leaf = leaf_at(alice, repo, said["index"])
    with sqlite3.connect(own_hub.data / "cairn.db") as db:
        for table in "evidence", "signer":
            db.execute(f"DELETE FROM {table} WHERE account_id = (SELECT id FROM account WHERE name = 'alice')")
    db.close()
    [row] = listed(alice, repo)
    assert row["keyid"] is None and row["publicKey"] is None and row["index"] == said["index"]
    refused(alice.http.get(f"/api/models/{repo}/evidence/{said['evidence']}"), 404, "erased at the request")
    assert leaf_at(alice, repo, said["index"]) == leaf


def test_datasets_and_spaces_are_attested_too(alice, alice_key):
    for kind in "dataset", "space":
        repo = alice.new_repo(repo_type=kind)
        commit = alice.head(repo, repo_type=kind)
        answer = alice.http.post(f"/api/{kind}s/{repo}/attestations", json=alice_key.envelope(approval(commit)))
        assert answer.status_code == 201 and answer.json()["commit"] == commit


def test_lists_come_in_pages(alice, alice_key, repo, commit):
    said = [say(alice, alice_key, repo, approval(commit))["index"] for _ in range(101)]
    first = alice.http.get(f"/api/models/{repo}/attestations?revision={commit}")
    rest = alice.http.get(first.links["next"]["url"])
    assert [row["index"] for row in first.json() + rest.json()] == said[::-1] and "next" not in rest.links
    refused(alice.http.get(f"/api/models/{repo}/attestations?cursor=x"), 400, "cursor")
    refused(alice.http.get(f"/api/models/{repo}/attestations?revision=no"), 404, "Invalid rev id")


def test_a_deleted_repo_takes_its_evidence_with_it(hub, alice, alice_key):
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    for what in approval(alice.head(repo)), release(alice.head(repo), "1"), deployment(alice.head(repo)):
        say(alice, alice_key, repo, what)
    alice.api.delete_repo(repo)
    again = alice.api.create_repo(repo).repo_id
    for list_ in "attestations", "releases", "deployments":
        assert alice.http.get(f"/api/models/{again}/{list_}").json() == []


# ---- releases ----


def test_a_release_is_a_version_of_a_commit(alice, alice_key, repo, commit):
    said = say(alice, alice_key, repo, release(commit, "1.0"))
    leaf = leaf_at(alice, repo, said["index"])
    assert leaf["type"] == "release" and leaf["auth"] == "user-signed" and leaf["ev"] == said["evidence"]
    assert leaf["b"]["channel"] == "stable" and set(leaf["com"]) == {"version"} and "1.0" not in json.dumps(leaf)
    assert leaf_at(alice, repo, leaf["b"]["manifest"])["b"]["dirHash1"] == manifest_of(alice, repo, commit)
    [row] = alice.http.get(f"/api/models/{repo}/releases").json()
    assert (row["version"], row["channel"], row["commit"], row["index"]) == ("1.0", "stable", commit, said["index"])
    assert row["evidence"] == said["evidence"]


def test_a_release_may_replace_one(alice, alice_key, repo, commit):
    first = say(alice, alice_key, repo, release(commit, "1.0", channel="beta"))
    next_ = say(alice, alice_key, repo, release(commit, "1.1", supersedes=first["index"]))
    assert leaf_at(alice, repo, next_["index"])["b"]["supersedes"] == first["index"]
    other = alice.new_repo()
    alice.commit_files(other, {"b.txt": b"b"})
    foreign = say(alice, alice_key, other, release(alice.head(other), "1.0"))
    for wrong in foreign["index"], leaf_at(alice, repo, first["index"])["b"]["manifest"], 1 << 60:
        refused(post(alice, repo, alice_key.envelope(release(commit, "1.2", supersedes=wrong))), 422, "no release of this repo")
    refused(post(alice, repo, alice_key.envelope(release(commit, "1.2", supersedes="x"))), 422, "index of an entry")


def test_a_version_stays_one_commit(alice, alice_key, repo, commit):
    say(alice, alice_key, repo, release(commit, "1.0", channel="beta"))
    say(alice, alice_key, repo, release(commit, "1.0", channel="stable"))
    refused(post(alice, repo, alice_key.envelope(release(commit, "1.0", more=1))), 409, "released already")
    alice.commit_files(repo, {"c.txt": b"c"})
    refused(post(alice, repo, alice_key.envelope(release(alice.head(repo), "1.0", channel="dev"))), 409, "released already")
    say(alice, alice_key, repo, release(alice.head(repo), "1.1"))
    assert [row["version"] for row in alice.http.get(f"/api/models/{repo}/releases").json()] == ["1.1", "1.0", "1.0"]


@pytest.mark.parametrize("predicate", [{}, {"purl": "1.0"}, {"purl": "pkg:generic/a/b"}, {"purl": "pkg:generic/a/b@1", "channel": "nightly"}])
def test_a_release_needs_a_version(alice, alice_key, repo, commit, predicate):
    refused(post(alice, repo, alice_key.envelope(statement(commit, statements.RELEASE, predicate))), 422, "")
    assert alice.http.get(f"/api/models/{repo}/releases").json() == []


def test_the_later_release_predicate_is_taken_too(alice, alice_key, repo, commit):
    later = {**release(commit, "2.0"), "predicateType": "https://in-toto.io/attestation/release/v0.2"}
    assert say(alice, alice_key, repo, later)["type"] == "release"


# ---- evaluations ----


def test_an_evaluation_names_what_it_was_made_with(alice, alice_key, repo, commit):
    parts = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("suite", "data", "harness")}
    predicate = json.dumps({"result": "WARNED", "configuration": [
        *({"name": name, "digest": {"sha256": digest}} for name, digest in parts.items()), {"name": "readme", "uri": "x:y"}]}, indent=2)
    payload = json.dumps(test_result(commit)).replace(json.dumps(test_result(commit)["predicate"]), f" {predicate}\n")
    answer = post(alice, repo, alice_key.envelope(payload.encode()))
    assert answer.status_code == 201, answer.text
    leaf = leaf_at(alice, repo, answer.json()["index"])
    assert leaf["type"] == "evaluation" and leaf["auth"] == "user-signed"
    assert leaf["b"] == {**parts, "metrics": hashlib.sha256(predicate.encode()).hexdigest()}
    assert answer.json()["result"] == "WARNED"


@pytest.mark.parametrize("more", [
    {"result": "GOOD"}, {"configuration": {}}, {"configuration": [{"name": "suite", "digest": {"sha256": "00"}}]},
    {"configuration": [{"name": "data", "digest": {"sha256": "0" * 64}}] * 2}])
def test_a_test_result_must_be_one(alice, alice_key, repo, commit, more):
    refused(post(alice, repo, alice_key.envelope(test_result(commit, **more))), 422, "")


# ---- deployments ----


def deployments(person, repo):
    return person.http.get(f"/api/models/{repo}/deployments").json()


def test_a_deployment_starts_is_heard_of_and_stops(alice, bob, bob_key, repo, commit):
    started = say(bob, bob_key, repo, deployment(commit, env="edge", region="NL", hardware="npu", runtime="1" * 64, config="2" * 64, tee="3" * 64),
                  to="deployments")
    leaf = leaf_at(alice, repo, started["index"])
    assert leaf["b"] == {"phase": "start", "env": "edge", "id": started["id"], "manifest": manifest_of(alice, repo, commit),
                         "region": "NL", "hardware": "npu", "runtime": "1" * 64, "config": "2" * 64, "tee": "3" * 64}
    assert leaf["auth"] == "user-signed" and leaf["ev"] == started["evidence"]
    [row] = deployments(alice, repo)
    assert (row["id"], row["revision"], row["env"], row["phase"], row["running"]) == (started["id"], commit, "edge", "start", True)
    assert row["region"] == "NL" and "approval" not in row
    heard = post(bob, repo, bob_key.envelope(deployment(commit, "heartbeat", id=started["id"])))
    assert heard.status_code == 200 and heard.json()["index"] == started["index"]
    [row] = deployments(alice, repo)
    assert row["phase"] == "heartbeat" and row["lastHeard"] > row["since"]
    stopped = say(bob, bob_key, repo, deployment(commit, "stop", id=started["id"]))
    assert leaf_at(alice, repo, stopped["index"])["b"]["env"] == "edge"
    [row] = deployments(alice, repo)
    assert (row["phase"], row["running"], row["index"], row["lastIndex"]) == ("stop", False, started["index"], stopped["index"])


def test_heartbeats_within_an_hour_are_not_logged(alice, alice_key, repo, commit):
    started = say(alice, alice_key, repo, deployment(commit))
    before = count(alice, repo)
    for _ in range(3):
        assert post(alice, repo, alice_key.envelope(deployment(commit, "heartbeat", id=started["id"]))).status_code == 200
    assert count(alice, repo) == before and len(listed(alice, repo)) == 1


def test_a_heartbeat_after_an_hour_is_logged(own_hub):
    alice = own_hub.person("alice")
    key, repo = register(alice), alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    started = say(alice, key, repo, deployment(alice.head(repo)))
    with sqlite3.connect(own_hub.data / "cairn.db") as db:
        db.execute("UPDATE deployment SET logged_us = logged_us - 3600000000")
    db.close()
    heard = say(alice, key, repo, deployment(alice.head(repo), "heartbeat", id=started["id"]))
    assert leaf_at(alice, repo, heard["index"])["b"]["phase"] == "heartbeat"
    assert deployments(alice, repo)[0]["lastIndex"] == heard["index"]
    assert post(alice, repo, key.envelope(deployment(alice.head(repo), "heartbeat", id=started["id"]))).status_code == 200


PHASES = ["start", "heartbeat", "stop"]
FOLLOWS = {(None, "start"): "running", ("running", "heartbeat"): "running", ("running", "stop"): "stopped"}


@pytest.mark.parametrize("phases", list(itertools.product(PHASES, repeat=3)), ids="-".join)
def test_what_may_follow_what_in_a_deployment(alice, alice_key, repo, commit, phases):
    """Every sequence of three phases about one id."""
    state, id_ = None, None
    for phase in phases:
        answer = post(alice, repo, alice_key.envelope(deployment(commit, phase, **({"id": id_ or "0" * 32} if id_ or phase != "start" else {}))))
        following = FOLLOWS.get((state, phase))
        assert answer.is_success == bool(following), f"{state} {phase}: {answer.text}"
        if not following:
            assert answer.status_code == (404 if state is None else 409)
            continue
        state, id_ = following, answer.json()["id"]
    rows = deployments(alice, repo)
    assert [row["running"] for row in rows] == ([] if state is None else [state == "running"])


def test_only_who_started_a_deployment_goes_on_with_it(alice, bob, alice_key, bob_key, repo, commit):
    started = say(alice, alice_key, repo, deployment(commit))
    for phase in "heartbeat", "stop":
        refused(post(bob, repo, bob_key.envelope(deployment(commit, phase, id=started["id"]))), 403, "Another person")
    other = alice.new_repo()
    refused(post(alice, other, alice_key.envelope(deployment(alice.head(other), "stop", id=started["id"]))), 404, "no deployment")
    alice.commit_files(repo, {"c.txt": b"c"})
    refused(post(alice, repo, alice_key.envelope(deployment(alice.head(repo), "heartbeat", id=started["id"]))), 422, "another commit")
    refused(post(alice, repo, alice_key.envelope(deployment(commit, "stop", id=started["id"], env="dev"))), 422, "another environment")
    assert deployments(alice, repo)[0]["running"]


@pytest.mark.parametrize("predicate", [
    {}, {"phase": "begin", "env": "prod"}, {"phase": "start"}, {"phase": "start", "env": "moon"}, {"phase": "stop"},
    {"phase": "start", "env": "prod", "id": "0" * 32}, {"phase": "start", "env": "prod", "hardware": "abacus"},
    {"phase": "start", "env": "prod", "runtime": "A" * 64}, {"phase": "start", "env": "prod", "tee": "0"},
    {"phase": "start", "env": "prod", "approval": -1}, {"phase": "start", "env": "prod", "approval": "1"},
    {"phase": "start", "env": "prod", "approval": 1.5}, {"phase": "start", "env": "prod", "region": "nl"},
    {"phase": "start", "env": "prod", "region": "Ward 3"}])
def test_a_deployment_must_say_what_it_is(alice, alice_key, repo, commit, predicate):
    refused(post(alice, repo, alice_key.envelope(statement(commit, statements.DEPLOYMENT, predicate))), 422, "")
    assert deployments(alice, repo) == []


def test_a_deployment_may_name_the_approval_that_let_it_run(alice, bob, alice_key, bob_key, repo, commit):
    approved = say(bob, bob_key, repo, approval(commit))
    started = say(alice, alice_key, repo, deployment(commit, approval=approved["index"]))
    assert leaf_at(alice, repo, started["index"])["b"]["approval"] == deployments(alice, repo)[0]["approval"] == approved["index"]


def test_an_approval_that_is_none_lets_nothing_run(alice, bob, alice_key, bob_key, repo, commit):
    other = alice.new_repo()
    elsewhere = say(bob, bob_key, other, approval(alice.head(other)))
    rejected = say(alice, alice_key, repo, approval(commit, "reject"))
    taken_back = say(bob, bob_key, repo, approval(commit))
    say(bob, bob_key, repo, approval(commit, "withdraw"))
    alice.commit_files(repo, {"c.txt": b"c"})
    newer = say(bob, bob_key, repo, approval(alice.head(repo)))
    manifest = [entry["index"] for entry in alice.http.get(f"/api/models/{repo}/provenance").json()["entries"]
                if json.loads(entry["leaf"])["type"] != "approval"][0]
    for index in elsewhere["index"], rejected["index"], taken_back["index"], newer["index"], manifest, 1 << 50:
        refused(post(alice, repo, alice_key.envelope(deployment(commit, approval=index))), 422, "does not approve this commit")


def test_the_address_of_deployments_takes_nothing_else(alice, alice_key, repo, commit):
    refused(post(alice, repo, alice_key.envelope(approval(commit)), "deployments"), 501, statements.DEPLOYMENT)


def test_a_start_that_is_sent_twice_starts_once(alice, alice_key, repo, commit):
    envelope = alice_key.envelope(deployment(commit))
    first, again = post(alice, repo, envelope, "deployments"), post(alice, repo, envelope, "deployments")
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    assert len(deployments(alice, repo)) == 1


# ---- the command ----


def attest(person, *arguments, check=True, **environment):
    from support import BINARY
    return person.run(BINARY, "attest", *arguments, check=check, CAIRN_HUB=person.hub.url, **environment)


def answer_of(done):
    return dict(line.split(None, 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def key_file(alice, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    attest(alice, "key", "new", path)
    attest(alice, "key", "register", "--key", path, "--name", "the laptop")
    return path


def verified(person, repo, said):
    """The statement in an envelope that the command has signed, verified by the other side's code."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    content = person.http.get(f"/api/models/{repo}/evidence/{said['evidence']}").content
    assert hashlib.sha256(content).hexdigest() == said["evidence"]
    envelope = json.loads(content)
    [row] = [row for row in listed(person, repo, said["commit"]) if row["evidence"] == said["evidence"]]
    public = serialization.load_pem_public_key(row["publicKey"].encode())
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    public.verify(signature, statements.pae(envelope["payloadType"], payload), ec.ECDSA(hashes.SHA256()))
    return json.loads(payload)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519"])
def test_the_command_makes_keys_that_others_can_read(hub, tmp_path, kind):
    alice = hub.person(new_name("signer"))
    from cryptography.hazmat.primitives import serialization
    path = tmp_path / "key.pem"
    public = attest(alice, "key", "new", path, "--type", kind).stdout
    assert path.stat().st_mode & 0o777 == 0o600
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    assert private.public_key().public_bytes(serialization.Encoding.PEM,
                                             serialization.PublicFormat.SubjectPublicKeyInfo).decode() == public
    before = path.read_bytes()
    assert attest(alice, "key", "new", path, check=False).returncode == 1 and path.read_bytes() == before
    assert attest(alice, "key", "register", "--key", path).returncode == 0


def test_the_command_approves_releases_and_deploys(alice, key_file, repo, commit):
    common = ["--repo", repo, "--revision", "main", "--key", key_file]
    approved = answer_of(attest(alice, "approve", *common))
    assert approved["commit"] == commit
    released = answer_of(attest(alice, "release", *common, "--version", "1.0+a", "--channel", "beta"))
    started = answer_of(attest(alice, "deploy", "start", *common, "--env", "prod", "--approval", approved["entry"], "--region", "CH", "--hardware", "cpu"))
    attest(alice, "deploy", "heartbeat", *common, "--id", started["id"])
    stopped = answer_of(attest(alice, "deploy", "stop", *common, "--id", started["id"]))
    attest(alice, "reject", *common)
    attest(alice, "withdraw", *common)
    assert [(row["type"], row.get("decision") or row.get("phase") or row.get("version")) for row in listed(alice, repo)] == [
        ("approval", "withdraw"), ("approval", "reject"), ("deployment", "stop"), ("deployment", "start"), ("release", "1.0+a"),
        ("approval", "approve")]
    for said in approved, released, started, stopped:
        what = verified(alice, repo, said)
        parsed = json_format.ParseDict(what, statement_pb2.Statement())
        Statement.copy_from_pb(parsed).validate()
        assert what["subject"] == [{"name": repo, "digest": {"gitCommit": commit}}]
    assert verified(alice, repo, released)["predicate"]["purl"] == f"pkg:generic/{repo}@1.0%2Ba"


def test_the_command_knows_datasets(alice, key_file):
    repo = alice.new_repo(repo_type="dataset")
    said = answer_of(attest(alice, "approve", "--repo", f"datasets/{repo}", "--revision", "main", "--key", key_file))
    assert said["commit"] == alice.head(repo, repo_type="dataset")
    missing = attest(alice, "approve", "--repo", repo, "--revision", "main", "--key", key_file, check=False)
    assert missing.returncode == 1 and "Repository not found" in missing.stderr


def test_the_command_says_why_it_was_refused(hub, alice, bob, repo, commit, tmp_path):
    alice, key_file = hub.person(new_name("signer")), tmp_path / "key.pem"
    attest(alice, "key", "new", key_file)
    attest(alice, "key", "register", "--key", key_file)
    common = ["--repo", repo, "--revision", commit, "--key", key_file]
    foreign = attest(bob, "approve", *common, check=False)
    assert foreign.returncode == 1 and "not registered as yours" in foreign.stderr and "403" in foreign.stderr
    nobody = attest(alice, "approve", *common, check=False, HF_TOKEN=None)
    assert nobody.returncode == 1 and "HF_TOKEN" in nobody.stderr
    (tmp_path / "token").write_text(alice.token + "\n")
    attest(alice, "approve", *common, "--token-file", tmp_path / "token", HF_TOKEN=None)
    attest(alice, "key", "revoke", "--key", key_file)
    gone = attest(alice, "approve", *common, check=False)
    assert gone.returncode == 1 and "revoked" in gone.stderr


def test_the_private_key_stays_where_it_is(alice, key_file, repo, commit):
    """What goes over the wire, at a server that only listens."""
    import http.server
    import threading
    sent = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            sent.append(str(self.headers).encode() + self.path.encode())
            answer = b"here/log+0+a" if "vkey" in self.path else json.dumps({"name": "alice", "repo": "0" * 32, "sha": "1" * 40}).encode()
            self.reply(answer)

        def do_POST(self):
            sent.append(str(self.headers).encode() + self.path.encode() + self.rfile.read(int(self.headers["content-length"])))
            self.reply(b'{"index":1,"evidence":"00"}')

        def reply(self, body):
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    attest(alice, "key", "register", "--key", key_file, "--hub", address)
    attest(alice, "approve", "--repo", repo, "--revision", "main", "--key", key_file, "--hub", address)
    server.shutdown()
    server.server_close()
    wire = b"".join(sent)
    secret = b"".join(key_file.read_bytes().splitlines()[1:-1])
    der = base64.b64decode(secret)
    assert len(sent) == 6
    for form in secret[20:60], der[36:68], base64.b64encode(der[36:68])[:20], der[36:68].hex().encode():
        assert form not in wire
    decoded = b"".join(base64.b64decode(json.loads(part[part.index(b"{"):])["payload"]) for part in sent if b'"payload"' in part)
    assert b"PUBLIC KEY" in decoded and b"PRIVATE" not in decoded and secret[20:60] not in decoded


@pytest.mark.parametrize("words", [[], ["sing"], ["key"], ["key", "new"], ["approve", "it"], ["approve", "--wat", "1"], ["deploy"],
                                   ["approve", "--repo", "x"], ["key", "new", "f", "--type", "rsa"]])
def test_the_command_tells_how_it_is_used(alice, key_file, words):
    if "--repo" in words:
        words = [*words, "--key", key_file, "--revision", "main"]
    done = attest(alice, *words, check=False)
    assert done.returncode == 2 and ("cairn attest" in done.stderr)
    assert "cairn attest key register" in attest(alice, "--help").stdout


# ---- protected branches ----


def test_a_protected_branch_moves_with_the_signed_approvals_that_it_asks_for(hub):
    """The whole way: a rule, a pull request, people's signatures, the merge."""
    wren, xena, yara = (hub.person(new_name(name)) for name in ("wren", "xena", "yara"))
    org = hub.org(new_name("guild"), **{wren.name: "admin", xena.name: "write", yara.name: "write"})
    keys = {person: register(person) for person in (wren, xena, yara)}
    repo = wren.api.create_repo(f"{org}/{new_name('guarded')}").repo_id
    assert wren.http.put(f"/api/models/{repo}/rules/main", json={"approvals": 1}).status_code == 200
    made = wren.commit_files(repo, {"w.bin": b"weights"}, create_pr=True)
    merge = f"/api/models/{repo}/discussions/{made.pr_num}/merge"

    def have(person, decision="approve"):
        said = say(person, keys[person], repo, approval(made.oid, decision))
        body = leaf_at(wren, repo, said["index"])["b"]
        assert body["required"] == said["required"] == 1
        return body["have"]

    refused(wren.http.post(merge), 403, "0 of the 1 approvals")
    assert have(wren) == 0, "nobody approves what they made themselves"
    refused(wren.http.post(merge), 403, "0 of the 1 approvals")
    assert have(xena) == 1 and have(xena, "withdraw") == 0
    refused(wren.http.post(merge), 403, "0 of the 1 approvals")
    assert have(xena) == 1 and have(yara, "reject") == 1
    refused(wren.http.post(merge), 403, "rejected by 1")
    assert have(yara, "withdraw") == 1
    assert wren.http.post(merge).status_code == 200
    assert wren.read(repo, "w.bin") == b"weights"
