# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model was made from: declared in its card, signed by its author, confirmed by the parent's; the graph of both directions."""

import base64
import time

import pytest

from statements import Key, confirmed, leaf_at, made_from, post, register, say, statement, LINEAGE
from support import new_name
from tensors import matrix, save

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def alice_key(alice):
    return register(alice)


@pytest.fixture(scope="module")
def bob_key(bob):
    return register(bob, Key("ed25519"))


def model(person, **how):
    """A model with content of its own and a manifest in the log; returns its name, commit and dirHash1."""
    repo = person.new_repo("model", **how)
    person.commit_files(repo, {"w.bin": new_name("weights").encode()})
    assert person.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").status_code == 200
    return repo, person.head(repo), dir_hash(person, repo)


def dir_hash(person, repo, revision="main"):
    return person.http.get(f"/api/models/{repo}/oms/{revision}").json()["dirHash1"]


def declare(person, repo, base, relation=None):
    """Commits a card with base_model by the stock client; returns the commit."""
    bases = base if isinstance(base, str) else "".join(f"\n- {name}" for name in base)
    card = f"---\nbase_model: {bases}\n" + (f"base_model_relation: {relation}\n" if relation else "") + "---\n# A model\n"
    return person.commit_files(repo, {"README.md": card.encode()}).oid


def ask(person, repo, status=200, **query):
    answer = person.http.get(f"/api/models/{repo}/lineage", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def edges_of(graph):
    """Edges with what stands at their ends instead of numbers."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    return [{**edge, "child": nodes[edge["child"]], "parent": nodes[edge["parent"]]} for edge in graph["edges"]]


def wait_for_leaf(person, repo, **query):
    """The graph, once its declared edges have their leaves."""
    for _ in range(600):
        graph = ask(person, repo, **query)
        if graph["edges"] and all("index" in edge for edge in graph["edges"]):
            return graph
        time.sleep(0.1)
    raise AssertionError(f"no leaf follows: {graph}")


def lineage_leaves(person, repo):
    entries = person.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]
    return [entry for entry in entries if entry["type"] == "lineage"]


def refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"], answer.text


# ---- declared ----


def test_a_card_that_names_a_model_of_this_hub_gives_a_declared_leaf(alice, bob, anyone):
    parent, head, digest = model(alice)
    child, _, _ = model(bob)
    commit = declare(bob, child, parent, "quantized")
    [edge] = edges_of(wait_for_leaf(anyone, child))
    assert (edge["grade"], edge["rel"], edge["name"]) == ("declared", "quantized", parent)
    assert (edge["child"]["repo"], edge["child"]["revision"]) == (child, commit)
    assert (edge["parent"]["repo"], edge["parent"]["revision"], edge["parent"]["dirHash1"]) == (parent, head, digest)
    assert "evidence" not in edge
    leaf = leaf_at(anyone, child, edge["index"])
    assert leaf["b"] == {"grade": "declared", "parent": digest, "rel": "quantized"}
    assert (leaf["actor"], leaf["auth"], leaf["subj"]) == ("hub", "hub-asserted", [{"alg": "gitCommit", "d": commit}])


@pytest.mark.parametrize("relation", [None, "cousin"])
def test_a_relation_that_is_not_declared_is_not_guessed(alice, relation):
    parent, _, digest = model(alice)
    child = alice.new_repo()
    declare(alice, child, parent, relation)
    [edge] = wait_for_leaf(alice, child)["edges"]
    assert "rel" not in edge
    assert leaf_at(alice, child, edge["index"])["b"] == {"grade": "declared", "parent": digest}


def test_a_name_of_elsewhere_is_shown_as_declared_and_gets_no_leaf(alice):
    parent, _, _ = model(alice)
    child = alice.new_repo()
    declare(alice, child, ["somebody/elsewhere", parent], "merge")
    for _ in range(600):  # until the other one has its leaf
        elsewhere, here = edges_of(ask(alice, child))
        if "index" in here:
            break
        time.sleep(0.1)
    assert elsewhere["parent"] == {"id": 1, "name": "somebody/elsewhere"} and "index" not in elsewhere
    assert here["parent"]["repo"] == parent and len(lineage_leaves(alice, child)) == 1


def test_each_revision_has_what_its_own_card_says(alice):
    first, second = model(alice)[0], model(alice)[0]
    child = alice.new_repo()
    before = declare(alice, child, first)
    after = declare(alice, child, second)
    assert [edge["name"] for edge in ask(alice, child, revision=before)["edges"]] == [first]
    assert [edge["name"] for edge in ask(alice, child, revision=after)["edges"]] == [second]
    assert [edge["child"]["repo"] for edge in edges_of(ask(alice, second, direction="descendants"))] == [child]
    assert ask(alice, first, direction="descendants")["edges"] == []


def test_a_card_on_a_branch_declares_nothing(alice, repo):
    parent, _, _ = model(alice)
    alice.api.create_branch(repo, branch="try")
    alice.commit_files(repo, {"README.md": f"---\nbase_model: {parent}\n---\n".encode()}, revision="try")
    assert ask(alice, repo, revision="try")["edges"] == []


def test_names_of_the_wrong_kind_are_left_out(alice, repo):
    card = '---\nbase_model: ["", 5, {"a": 1}, "a/b\\u0007", "' + "n" * 300 + '", "good/name", "good/name"]\n---\n'
    line = {"path": "README.md", "content": base64.b64encode(card.encode()).decode(), "encoding": "base64"}
    assert alice.commit_lines(repo, ("file", line)).status_code == 200  # the stock client would not send it
    assert [edge["name"] for edge in ask(alice, repo)["edges"]] == ["good/name"]


# ---- privacy ----


def test_a_private_parent_is_declared_by_name_only_and_strangers_cannot_tell_it_from_none(alice, bob, anyone):
    secret, _, _ = model(alice, private=True)
    absent = f"alice/{new_name('absent')}"
    child = bob.new_repo()
    declare(bob, child, [secret, absent], "merge")
    marker = bob.new_repo()  # the job works in order: when this one has its leaf, it has looked at the others
    declare(bob, marker, model(alice)[0])
    wait_for_leaf(bob, marker)
    for stranger in (anyone, bob):
        there, nowhere = edges_of(ask(stranger, child))
        assert there["parent"] == {"id": 1, "name": secret} and nowhere["parent"] == {"id": 2, "name": absent}
        assert there.keys() == nowhere.keys() and "index" not in there
    assert edges_of(ask(alice, child))[0]["parent"]["repo"] == secret
    assert lineage_leaves(bob, child) == []


def test_a_signed_digest_of_a_private_repo_looks_like_one_of_nowhere(alice, alice_key, bob, bob_key, anyone):
    secret, head, digest = model(alice, private=True)
    child, commit, _ = model(bob)
    say(bob, bob_key, child, made_from(commit, ("finetune", digest), ("merge", "0" * 64)))
    for stranger in (anyone, bob):
        there, nowhere = edges_of(ask(stranger, child))
        assert there["parent"] == {"id": 1, "hidden": True, "dirHash1": digest}
        assert nowhere["parent"] == {"id": 2, "hidden": True, "dirHash1": "0" * 64}
    assert edges_of(ask(alice, child))[0]["parent"] == {
        "id": 1, "repo": secret, "type": "model", "revision": head, "dirHash1": digest}


def test_the_walk_ends_where_a_private_repo_begins(alice, alice_key, anyone):
    oldest, _, oldest_digest = model(alice)
    middle, commit, digest = model(alice, private=True)
    say(alice, alice_key, middle, made_from(commit, ("finetune", oldest_digest)))
    child, child_commit, _ = model(alice)
    say(alice, alice_key, child, made_from(child_commit, ("finetune", digest)))
    assert [edge["parent"].get("repo") for edge in edges_of(ask(alice, child))] == [middle, oldest]
    assert [edge["parent"].get("repo") for edge in edges_of(ask(anyone, child))] == [None]
    assert [edge["child"]["repo"] for edge in edges_of(ask(alice, oldest, direction="descendants"))] == [middle, child]
    down = ask(anyone, oldest, direction="descendants")
    assert down["edges"] == [] and len(down["nodes"]) == 1 and down["complete"]


def test_a_private_repo_has_no_lineage_for_strangers(alice, bob, anyone):
    secret, _, _ = model(alice, private=True)
    assert anyone.http.get(f"/api/models/{secret}/lineage").status_code == 401
    assert bob.http.get(f"/api/models/{secret}/lineage").status_code == 404


# ---- signed and countersigned ----


def test_an_author_signs_parents_by_digest_and_each_is_a_leaf(alice, alice_key, bob, bob_key, anyone):
    one, _, one_digest = model(alice)
    two, _, two_digest = model(alice)
    child, commit, _ = model(bob)
    said = say(bob, bob_key, child, made_from(commit, ("merge", one_digest, 7000), ("merge", two_digest, 3000)))
    assert (said["type"], said["grade"], len(said["parents"])) == ("lineage", "signed", 2)
    edges = edges_of(ask(anyone, child))
    assert [(e["grade"], e["rel"], e["weight"], e["parent"]["repo"], e["evidence"]) for e in edges] == [
        ("signed", "merge", 7000, one, said["evidence"]), ("signed", "merge", 3000, two, said["evidence"])]
    assert edges[0]["index"] == said["index"] and edges[1]["index"] != said["index"]
    for edge, digest in zip(edges, (one_digest, two_digest)):
        leaf = leaf_at(anyone, child, edge["index"])
        assert leaf["b"] == {"grade": "signed", "parent": digest, "rel": "merge", "weight": edge["weight"]}
        assert (leaf["auth"], leaf["ev"], leaf["subj"][0]["d"]) == ("user-signed", said["evidence"], commit)
    assert bob.http.get(f"/api/models/{child}/evidence/{said['evidence']}").status_code == 200


def test_the_same_statement_again_changes_nothing(bob, bob_key):
    child, commit, _ = model(bob)
    envelope = bob_key.envelope(made_from(commit, ("finetune", "1" * 64), ("finetune", "2" * 64)))
    assert post(bob, child, envelope).status_code == 201
    before = len(lineage_leaves(bob, child))
    assert post(bob, child, envelope).status_code == 200
    assert before == len(lineage_leaves(bob, child)) == 2


def test_declared_signed_and_countersigned_stay_three_edges(alice, alice_key, bob, bob_key, anyone):
    parent, _, digest = model(alice)
    child = bob.new_repo()
    commit = declare(bob, child, parent, "finetune")
    said = say(bob, bob_key, child, made_from(commit, ("finetune", digest)))
    confirmation = say(alice, alice_key, child, confirmed(commit, said["evidence"]))
    edges = edges_of(wait_for_leaf(anyone, child))
    assert [edge["grade"] for edge in edges] == ["declared", "signed", "countersigned"]
    assert len({edge["index"] for edge in edges}) == 3 and {edge["parent"]["repo"] for edge in edges} == {parent}
    assert [edge.get("evidence") for edge in edges] == [None, said["evidence"], confirmation["evidence"]]
    assert confirmation["confirms"] == said["evidence"]
    leaf = leaf_at(anyone, child, edges[2]["index"])
    assert (leaf["b"]["grade"], leaf["b"]["parent"], leaf["ev"]) == ("countersigned", digest, confirmation["evidence"])
    down = edges_of(ask(anyone, parent, direction="descendants"))
    assert sorted(edge["grade"] for edge in down) == ["countersigned", "declared", "signed"]


def test_only_a_writer_of_the_child_signs_its_parents(alice, alice_key, bob, bob_key, reader):
    child, commit, _ = model(alice)
    what = made_from(commit, ("finetune", "1" * 64))
    assert post(bob, child, bob_key.envelope(what)).status_code == 403
    assert post(reader, child, alice_key.envelope(what)).status_code == 403
    refused(post(alice, child, bob_key.envelope(what)), 403, "key")
    refused(post(alice, child, alice_key.envelope(made_from("0" * 40, ("finetune", "1" * 64)))), 422, "no commit")
    broken = alice_key.envelope(what)
    broken["signatures"][0]["sig"] = bob_key.envelope(what)["signatures"][0]["sig"]
    refused(post(alice, child, broken), 422, "does not fit")
    assert ask(alice, child)["edges"] == [] and lineage_leaves(alice, child) == []


def test_only_who_writes_to_the_parent_confirms_it(hub, alice, alice_key, bob, bob_key):
    parent, _, digest = model(alice)
    child, commit, _ = model(bob)
    said = say(bob, bob_key, child, made_from(commit, ("finetune", digest), ("merge", "3" * 64)))
    stranger = hub.person(new_name("stranger"))
    stranger_key = register(stranger)
    refused(post(stranger, child, stranger_key.envelope(confirmed(commit, said["evidence"]))), 403, "you may not")
    refused(post(bob, child, bob_key.envelope(confirmed(commit, said["evidence"]))), 403, "you may not")
    refused(post(alice, child, alice_key.envelope(confirmed(commit, "4" * 64))), 422, "no signed lineage")
    other, other_commit, _ = model(bob)
    refused(post(alice, other, alice_key.envelope(confirmed(other_commit, said["evidence"]))), 422, "no signed lineage")
    assert {edge["grade"] for edge in ask(bob, child)["edges"]} == {"signed"}
    say(alice, alice_key, child, confirmed(commit, said["evidence"]))
    assert [(e["grade"], e["parent"].get("repo")) for e in edges_of(ask(bob, child))] == [
        ("signed", parent), ("signed", None), ("countersigned", parent)]


def test_a_copy_of_the_parent_does_not_let_anybody_confirm(alice, bob, bob_key):
    """The copy has the same digest; whose files they are first is what counts."""
    parent, _, digest = model(alice)
    copy = bob.new_repo()
    bob.commit_files(copy, {path: alice.read(parent, path) for path in alice.files(parent)})
    assert dir_hash(bob, copy) == digest
    child, commit, _ = model(bob)
    said = say(bob, bob_key, child, made_from(commit, ("finetune", digest)))
    refused(post(bob, child, bob_key.envelope(confirmed(commit, said["evidence"]))), 403, "you may not")
    assert edges_of(ask(bob, child))[0]["parent"]["repo"] == parent


@pytest.mark.parametrize("predicate, words", [
    ({}, "parents"),
    ({"parents": []}, "parents"),
    ({"parents": "x"}, "parents"),
    ({"parents": [{"rel": "finetune", "digest": {"dirHash1": "1" * 64}}] * 65}, "1 to 64"),
    ({"parents": [{"rel": "finetune", "digest": {"dirHash1": "1" * 64}}] * 2}, "twice"),
    ({"parents": [{"rel": "cousin", "digest": {"dirHash1": "1" * 64}}]}, "rel"),
    ({"parents": [{"digest": {"dirHash1": "1" * 64}}]}, "rel"),
    ({"parents": [{"rel": "merge", "digest": {"dirHash1": "G" * 64}}]}, "dirHash1"),
    ({"parents": [{"rel": "merge", "digest": {"sha256": "1" * 64}}]}, "dirHash1"),
    ({"parents": [{"rel": "merge", "digest": {"dirHash1": "1" * 64}, "weight": 10001}]}, "weight"),
    ({"parents": [{"rel": "merge", "digest": {"dirHash1": "1" * 64}, "weight": -1}]}, "weight"),
    ({"parents": [{"rel": "merge", "digest": {"dirHash1": "1" * 64}, "weight": "half"}]}, "weight"),
    ({"parents": [5]}, "rel"),
    ({"confirms": "short"}, "64 hex digits"),
    ({"confirms": 5}, "confirms"),
    ({"confirms": "1" * 64, "parents": []}, "not both"),
])
def test_a_statement_that_is_not_whole_is_refused(bob, bob_key, predicate, words):
    child, commit, _ = model(bob)
    refused(post(bob, child, bob_key.envelope(statement(commit, LINEAGE, predicate))), 422, words)


def test_a_commit_is_not_its_own_parent(bob, bob_key):
    child, commit, digest = model(bob)
    refused(post(bob, child, bob_key.envelope(made_from(commit, ("finetune", digest)))), 422, "own files")


# ---- the graph ----


def test_a_cycle_of_claims_is_walked_once(alice):
    a, b = alice.new_repo(), alice.new_repo()
    declare(alice, a, b)
    declare(alice, b, a)
    up = ask(alice, a)
    assert up["complete"] and len(up["nodes"]) <= 4 and len(up["edges"]) <= 4
    down = ask(alice, a, direction="descendants")
    assert down["complete"] and {edge["child"]["repo"] for edge in edges_of(down)} == {a, b}


def test_a_deep_chain_is_followed_as_far_as_is_asked(alice, alice_key):
    chain = [model(alice)]
    for _ in range(18):
        repo, commit, digest = model(alice)
        say(alice, alice_key, repo, made_from(commit, ("finetune", chain[-1][2])))
        chain.append((repo, commit, digest))
    names = [repo for repo, _, _ in chain]
    for depth in (1, 5, 16):
        up = edges_of(ask(alice, names[-1], depth=depth))
        assert [edge["parent"]["repo"] for edge in up] == names[-2:-2 - depth:-1]
        down = edges_of(ask(alice, names[0], direction="descendants", depth=depth))
        assert [edge["child"]["repo"] for edge in down] == names[1:1 + depth]
    assert len(ask(alice, names[-1])["edges"]) == 16


def test_descendants_of_one_revision_are_those_that_name_it(alice, alice_key):
    parent, first, digest = model(alice)
    child, commit, _ = model(alice)
    say(alice, alice_key, child, made_from(commit, ("finetune", digest)))
    alice.commit_files(parent, {"w.bin": b"other weights"})
    for _ in range(600):  # the newer revision can be named once its manifest is logged
        answer = alice.http.get(f"/api/models/{parent}/lineage", params={"direction": "descendants", "revision": "main"})
        if answer.status_code == 200:
            break
        assert answer.status_code == 404
        time.sleep(0.1)
    assert answer.json()["edges"] == []
    assert len(ask(alice, parent, direction="descendants", revision=first)["edges"]) == 1
    assert len(ask(alice, parent, direction="descendants")["edges"]) == 1


def test_a_large_family_is_cut_and_says_so(alice, alice_key):
    """More parents than a graph shows; each statement brings 64."""
    child, commit, _ = model(alice)
    for n in range(16):
        say(alice, alice_key, child, made_from(commit, *(("merge", f"{n * 64 + i + 1:064x}") for i in range(64))))
    graph = ask(alice, child)
    assert len(graph["nodes"]) == 1000 and not graph["complete"]


def test_a_question_that_cannot_be_answered_says_why(alice, repo):
    for query, words in (({"direction": "sideways"}, "descendants"), ({"depth": "17"}, "1 to 16"), ({"depth": "x"}, "1 to 16")):
        assert words in ask(alice, repo, 400, **query)["error"]
    ask(alice, repo, 404, revision="nowhere")


def test_what_is_deleted_leaves_the_digest_that_was_signed(alice, alice_key, anyone):
    parent, _, digest = model(alice)
    child, commit, _ = model(alice)
    say(alice, alice_key, child, made_from(commit, ("finetune", digest)))
    declared = declare(alice, child, parent)
    wait_for_leaf(anyone, child)
    alice.api.delete_repo(parent)
    assert edges_of(ask(anyone, child, revision=commit))[0]["parent"] == {"id": 1, "hidden": True, "dirHash1": digest}
    assert edges_of(ask(anyone, child, revision=declared))[0]["parent"] == {"id": 1, "hidden": True, "dirHash1": digest}
    alice.api.delete_repo(child)
    assert anyone.http.get(f"/api/models/{child}/lineage").status_code == 401


# ---- the same tensors ----


def tensors_model(person, *tensors, **how):
    """A model of these tensors, once they have been looked at and its leaves are there."""
    repo = person.new_repo("tensors", **how)
    person.commit_files(repo, {"model.safetensors": save({f"t{i}": matrix(seed, 30, 40) for i, seed in enumerate(tensors)})})
    for _ in range(1200):
        answer = person.http.get(f"/api/models/{repo}/tensors/main").json()
        if answer.get("state") == "ready" and person.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").status_code == 200:
            return repo
        time.sleep(0.1)
    raise AssertionError(f"the tensors are not looked at: {answer}")


def by_bytes(person, repo, direction):
    return [edge for edge in edges_of(ask(person, repo, direction=direction, bytes="true")) if edge["grade"] == "bytes"]


def test_shared_tensors_are_a_grade_of_their_own(alice, alice_key, bob, anyone):
    parent = tensors_model(alice, 9001, 9002, 9003, 9004)
    child = tensors_model(bob, 9001, 9002, 9003, 9999)
    declare(bob, child, parent)
    for person in (anyone, bob):
        declared, shared = edges_of(ask(person, child, bytes="true"))
        assert (declared["grade"], shared["grade"]) == ("declared", "bytes")
        assert (shared["parent"]["repo"], shared["tensors"], shared["bytes"]) == (parent, 3, 3 * 30 * 40 * 4)
        assert shared["share"] == 0.75 and "index" not in shared and "rel" not in shared
        assert [edge["child"]["repo"] for edge in by_bytes(person, parent, "descendants")] == [child]
    assert by_bytes(anyone, parent, "ancestors") == by_bytes(anyone, child, "descendants") == []
    assert [edge["grade"] for edge in ask(anyone, child)["edges"]] == ["declared"]  # only for who asks


def test_tensors_that_differ_are_no_edge(alice, anyone):
    one, _ = tensors_model(alice, 9101, 9102), tensors_model(alice, 9103, 9104)
    assert by_bytes(anyone, one, "ancestors") == by_bytes(anyone, one, "descendants") == []


def test_tensors_of_private_repos_are_not_told_to_strangers(alice, bob, anyone):
    secret = tensors_model(alice, 9201, 9202, private=True)
    copy = tensors_model(bob, 9201, 9202)
    assert [edge["parent"]["repo"] for edge in by_bytes(alice, copy, "ancestors")] == [secret]
    for stranger in (bob, anyone):
        assert by_bytes(stranger, copy, "ancestors") == by_bytes(stranger, copy, "descendants") == []


def test_tensors_are_for_those_who_may_read(alice, anyone):
    gated = tensors_model(alice, 9301)
    alice.api.update_repo_settings(gated, gated="manual")
    ask(anyone, gated)
    ask(anyone, gated, 401, bytes="true")
    ask(alice, gated, bytes="true")
    alice.api.delete_repo(gated)  # else what others commit here waits until it was compared with this
