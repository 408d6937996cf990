# SPDX-License-Identifier: GPL-3.0-or-later
"""Bills of material, read by other people's validators (bomtool.py), each with a broken twin that they refuse."""

import base64
import json
import re
import warnings

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bomtool import complaint
from statements import leaf_at, made_from, pae, register, say
from support import ROOT, new_name, sha256

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

FORMATS = ["cyclonedx", "spdx"]
PREDICATES = {"cyclonedx": "https://cyclonedx.org/bom", "spdx": "https://spdx.dev/Document"}
CARD = """---
license: {licence}
datasets:
- squad
- somebody/corpus
pipeline_tag: text-generation
base_model: somebody/elsewhere
base_model_relation: finetune
---
# A model
"""
WEIGHTS = b"weights " * 1000


def get(person, repo, format, revision="main", status=200, api="models", **query):
    answer = person.http.get(f"/api/{api}/{repo}/bom/{revision}", params={"format": format, **query})
    assert answer.status_code == status, answer.text
    return answer


def log_it(person, repo, format, status=201):
    answer = person.http.post(f"/api/models/{repo}/bom/main", params={"format": format})
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture(scope="module")
def alice_key(alice):
    return register(alice)


@pytest.fixture(scope="module")
def model(alice, alice_key):
    """A model with everything that a bill can tell."""
    repo = alice.new_repo("model")
    alice.commit_files(repo, {"README.md": CARD.format(licence="apache-2.0").encode(), "model.bin": WEIGHTS,
                              "deep/er/ü file.txt": b"text"})
    commit = alice.head(repo)
    say(alice, alice_key, repo, made_from(commit, ("merge", "1" * 64, 2500)))
    return repo


def properties(thing):
    return {each["name"]: each["value"] for each in thing["properties"]}


def by_type(document, kind):
    return [each for each in document["@graph"] if each["type"] == kind]


def dir_hash(person, repo):
    return person.http.get(f"/api/models/{repo}/oms/main").json()["dirHash1"]


# ---- what they say ----


def test_cyclonedx_tells_the_files_with_their_digests(alice, model):
    answer = get(alice, model, "cyclonedx")
    assert answer.headers["content-type"] == "application/vnd.cyclonedx+json; version=1.6"
    assert complaint("cyclonedx", answer.text) == ""
    bill = answer.json()
    files = {each["name"]: each for each in bill["components"]}
    assert sorted(files) == sorted(path for path in alice.files(model) if path != ".gitattributes")
    for path, file in files.items():
        data = alice.read(model, path.replace(" ", "%20"))
        assert file["hashes"] == [{"alg": "SHA-256", "content": sha256(data)}]
        assert properties(file)["cairn:bytes"] == str(len(data))


def test_cyclonedx_tells_what_the_card_and_the_log_say(alice, model):
    bill = get(alice, model, "cyclonedx").json()
    about, commit = bill["metadata"]["component"], alice.head(model)
    assert (about["type"], about["name"], about["version"]) == ("machine-learning-model", model, commit)
    assert about["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert about["modelCard"]["modelParameters"] == {
        "task": "text-generation",
        "datasets": [{"type": "dataset", "name": "squad"}, {"type": "dataset", "name": "somebody/corpus"}]}
    told = properties(about)
    leaf = leaf_at(alice, model, int(told["cairn:log:index"]))
    assert leaf["type"] == "manifest" and leaf["repo"] == told["cairn:log:repo"]
    assert leaf["b"]["dirHash1"] == told["cairn:dirHash1"] == dir_hash(alice, model)
    assert leaf["b"]["omsRoot"] == told["cairn:omsRoot"]
    assert alice.http.get("/log/vkey").text.startswith(told["cairn:log:origin"] + "+")


def test_cyclonedx_keeps_the_grades_of_ancestors_apart(alice, model):
    declared, signed = get(alice, model, "cyclonedx").json()["metadata"]["component"]["pedigree"]["ancestors"]
    assert declared["name"] == "somebody/elsewhere"
    assert properties(declared) == {"cairn:lineage:grade": "declared", "cairn:lineage:rel": "finetune"}
    assert signed["name"] == "dirHash1:" + "1" * 64
    told = properties(signed)
    assert (told["cairn:lineage:grade"], told["cairn:lineage:rel"], told["cairn:lineage:weight"]) == ("signed", "merge", "2500")
    leaf = leaf_at(alice, model, int(told["cairn:log:index"]))
    assert (leaf["ev"], leaf["b"]["parent"]) == (told["cairn:evidence"], told["cairn:dirHash1"])


def test_cyclonedx_names_addresses_that_answer(alice, model):
    references = get(alice, model, "cyclonedx").json()["metadata"]["component"]["externalReferences"]
    assert [each["type"] for each in references] == ["log", "attestation", "attestation", "digital-signature", "model-card"]
    for each in references:
        answer = alice.http.get(each["url"])
        assert answer.status_code == 200, each
        if "hashes" in each:
            assert each["hashes"][0]["content"] == sha256(answer.content)


def test_spdx_tells_the_same(alice, model):
    answer = get(alice, model, "spdx")
    assert answer.headers["content-type"] == "application/spdx+json"
    assert complaint("spdx", answer.text) == ""
    bill, commit = answer.json(), alice.head(model)
    [about] = by_type(bill, "ai_AIPackage")
    assert (about["name"], about["software_packageVersion"], about["software_primaryPurpose"]) == (model, commit, "model")
    files = by_type(bill, "software_File")
    assert {file["name"]: file["verifiedUsing"][0]["hashValue"] for file in files} == {
        each["name"]: each["hashes"][0]["content"] for each in get(alice, model, "cyclonedx").json()["components"]}
    relations = {each["relationshipType"]: each for each in by_type(bill, "Relationship")}
    assert relations["contains"]["to"] == [file["spdxId"] for file in files]
    names = {each["spdxId"]: each.get("name") for each in bill["@graph"] if "spdxId" in each}
    assert [names[each] for each in relations["trainedOn"]["to"]] == ["squad", "somebody/corpus"]
    [licence] = by_type(bill, "simplelicensing_LicenseExpression")
    assert licence["simplelicensing_licenseExpression"] == "Apache-2.0"
    assert relations["hasDeclaredLicense"]["to"] == [licence["spdxId"]]
    [note] = by_type(bill, "Annotation")
    log = json.loads(note["statement"])
    assert log["dirHash1"] == dir_hash(alice, model) and leaf_at(alice, model, log["index"])["type"] == "manifest"
    claims = [(names[each["to"][0]], each["comment"].split()[0]) for each in by_type(bill, "Relationship")
              if each["relationshipType"] == "descendantOf"]
    assert claims == [("somebody/elsewhere", "grade=declared"), ("dirHash1:" + "1" * 64, "grade=signed")]


@pytest.mark.parametrize("licence, name, expression", [
    ("mit", {"id": "MIT"}, "MIT"),
    ("odbl", {"id": "ODbL-1.0"}, "ODbL-1.0"),
    ("llama3.1", {"name": "llama3.1"}, "LicenseRef-llama3.1"),
    ("openrail++", {"name": "openrail++"}, "LicenseRef-openrail--"),
    ("other\nlicense_name: my terms", {"name": "my terms"}, "LicenseRef-my-terms"),
])
def test_licences_are_named_as_each_list_has_them(alice, repo, licence, name, expression):
    alice.commit_files(repo, {"README.md": CARD.format(licence=licence).encode()})
    text = get(alice, repo, "cyclonedx").text
    assert json.loads(text)["metadata"]["component"]["licenses"] == [{"license": name}]
    assert complaint("cyclonedx", text) == ""
    text = get(alice, repo, "spdx").text
    assert by_type(json.loads(text), "simplelicensing_LicenseExpression")[0]["simplelicensing_licenseExpression"] == expression
    assert complaint("spdx", text) == ""


def test_every_licence_that_a_card_may_name_gives_a_valid_bill(alice, repo):
    source = (ROOT / "src" / "scan" / "card_check.c").read_text()
    known = re.findall(r'"([^"]+)"', source[source.index("licenses[] = {"):source.index("};")])
    assert len(known) > 80
    for first in range(0, len(known), 16):
        some = known[first:first + 16]
        alice.commit_files(repo, {"README.md": CARD.format(licence=json.dumps(some)).encode()})
        text = get(alice, repo, "cyclonedx").text
        told = [each["license"] for each in json.loads(text)["metadata"]["component"]["licenses"]]
        assert [next(iter(each.values())).lower().removesuffix("-1.0") for each in told] == [
            each.removesuffix("-1.0") for each in some]
        assert complaint("cyclonedx", text) == ""


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_repos_of_each_kind_without_a_card_have_valid_bills(alice, format, kind):
    repo = alice.new_repo(repo_type=kind)
    alice.commit_files(repo, {"a.bin": b"a"}, repo_type=kind)
    assert complaint(format, get(alice, repo, format, api=f"{kind}s").text) == ""


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_into_a_card_stays_text(alice, repo, format):
    """Names that would be something else if they were not written as strings."""
    card = CARD.format(licence="mit").replace("squad", '"\\"}]{<script>\\u0000\\uFFFF"').replace("text-generation", '"a\\nb"')
    line = {"path": "README.md", "content": base64.b64encode(card.encode()).decode(), "encoding": "base64"}
    assert alice.commit_lines(repo, ("file", line)).status_code == 200
    assert complaint(format, get(alice, repo, format).text) == ""


# ---- what the validators refuse ----


@pytest.mark.parametrize("spoil", [
    lambda bill: bill.update(bomFormat="SBOM"),
    lambda bill: bill.update(extra=1),
    lambda bill: bill["components"][0].pop("name"),
    lambda bill: bill["components"][0]["hashes"][0].update(content="abc"),
    lambda bill: bill["components"].append(bill["components"][0]),
    lambda bill: bill["metadata"]["component"].update(type="model"),
    lambda bill: bill["metadata"]["component"]["licenses"][0]["license"].update(id="apache-2.0"),
    lambda bill: bill["metadata"]["component"]["externalReferences"][0].update(type="proof"),
    lambda bill: bill.update(serialNumber="urn:uuid:1"),
])
def test_a_broken_cyclonedx_bill_is_refused(alice, model, spoil):
    bill = get(alice, model, "cyclonedx").json()
    spoil(bill)
    assert "invalid" in complaint("cyclonedx", json.dumps(bill))


@pytest.mark.parametrize("spoil", [
    lambda bill: bill.update({"@context": "https://example.org/context"}),
    lambda bill: by_type(bill, "software_File")[0].update(type="software_Pile"),
    lambda bill: by_type(bill, "software_File")[0].update(size=5),
    lambda bill: by_type(bill, "software_File")[0]["verifiedUsing"][0].update(algorithm="sha255"),
    lambda bill: by_type(bill, "software_File")[0]["verifiedUsing"][0].pop("hashValue"),
    lambda bill: by_type(bill, "Relationship")[0].update(relationshipType="knows"),
    lambda bill: by_type(bill, "Relationship")[0].pop("from"),
    lambda bill: by_type(bill, "CreationInfo")[0].update(created="yesterday"),
    lambda bill: by_type(bill, "CreationInfo")[0].update(specVersion="3"),
    lambda bill: by_type(bill, "Relationship")[0]["to"].append("urn:nowhere:1"),
])
def test_a_broken_spdx_bill_is_refused(alice, model, spoil):
    bill = get(alice, model, "spdx").json()
    spoil(bill)
    assert complaint("spdx", json.dumps(bill)) != ""


# ---- the same facts, the same bytes ----


@pytest.mark.parametrize("format", FORMATS)
def test_a_bill_is_the_same_whoever_asks_and_by_whatever_name(alice, bob, anyone, model, format):
    first = get(alice, model, format)
    again = [get(alice, model, format), get(bob, model, format), get(anyone, model, format, alice.head(model))]
    assert {each.text for each in again} == {first.text}
    assert first.headers["x-bom-sha256"] == sha256(first.content) and first.headers["x-repo-commit"] == alice.head(model)


@pytest.mark.parametrize("format", FORMATS)
def test_bills_of_two_revisions_differ(alice, repo, format):
    alice.commit_files(repo, {"a.bin": b"a"})
    before = alice.head(repo)
    alice.commit_files(repo, {"a.bin": b"b"})
    assert get(alice, repo, format, before).text != get(alice, repo, format).text
    assert sha256(b"a") in get(alice, repo, format, before).text and sha256(b"a") not in get(alice, repo, format).text


@pytest.mark.parametrize("format", FORMATS)
def test_a_bill_never_tells_which_private_repo_a_parent_is(alice, alice_key, anyone, format):
    secret = alice.new_repo("secret", private=True)
    alice.commit_files(secret, {"w.bin": new_name("weights").encode()})
    digest = dir_hash(alice, secret)
    child = alice.new_repo("child")
    alice.commit_files(child, {"w.bin": new_name("weights").encode()})
    say(alice, alice_key, child, made_from(alice.head(child), ("finetune", digest)))
    bill = get(anyone, child, format).text
    assert digest in bill and secret not in bill
    assert bill == get(alice, child, format).text


# ---- signed and logged ----


def open_envelope(person, envelope):
    """The payload, once the signature is known to be by the hub's key, by the `cryptography` package."""
    key = serialization.load_pem_public_key(person.http.get("/log/attestation-key.pem").content)
    payload = base64.b64decode(envelope["payload"], validate=True)
    signed = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    key.verify(signed, pae(envelope["payloadType"], payload), ec.ECDSA(hashes.SHA256()))
    return payload


@pytest.mark.parametrize("format", FORMATS)
def test_the_hub_signs_a_bill_as_an_in_toto_statement(alice, anyone, model, format):
    answer = get(anyone, model, format, signed="true")
    assert answer.headers["content-type"] == "application/vnd.dsse.envelope.v1+json"
    payload = open_envelope(alice, answer.json())
    parsed = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    statement = json.loads(payload)
    assert statement["predicateType"] == PREDICATES[format]
    assert statement["predicate"] == get(anyone, model, format).json()
    digests = {name: value for subject in statement["subject"] for name, value in subject["digest"].items()}
    assert digests == {"gitCommit": alice.head(model), "dirHash1": dir_hash(alice, model)}


def test_a_signed_bill_that_was_changed_does_not_verify(alice, model):
    envelope = get(alice, model, "cyclonedx", signed="true").json()
    payload = base64.b64decode(envelope["payload"]).replace(b"Apache-2.0", b"MIT-license"[:10])
    with pytest.raises(InvalidSignature):
        open_envelope(alice, {**envelope, "payload": base64.b64encode(payload).decode()})
    other = get(alice, model, "spdx", signed="true").json()
    with pytest.raises(InvalidSignature):
        open_envelope(alice, {**envelope, "signatures": other["signatures"]})


@pytest.mark.parametrize("format", FORMATS)
def test_a_bill_is_logged_once_for_what_it_says(alice, alice_key, anyone, repo, format):
    alice.commit_files(repo, {"a.bin": new_name("a").encode()})
    commit, text = alice.head(repo), get(alice, repo, format).text
    first = log_it(alice, repo, format)
    leaf = leaf_at(anyone, repo, int(first.headers["x-prov-index"]))
    assert leaf["type"] == "bom" and leaf["b"] == {"digest": sha256(text.encode()), "format": format}
    assert (leaf["actor"], leaf["auth"], leaf["ev"]) == ("hub", "hub-asserted", sha256(first.content))
    assert leaf["subj"] == [{"alg": "gitCommit", "d": commit}]
    assert anyone.http.get(f"/api/models/{repo}/evidence/{leaf['ev']}").content == first.content
    again = log_it(alice, repo, format, 200)
    signed = get(anyone, repo, format, signed="true")
    assert again.content == signed.content == first.content
    assert again.headers["x-prov-index"] == signed.headers["x-prov-index"] == first.headers["x-prov-index"]
    open_envelope(alice, first.json())
    say(alice, alice_key, repo, made_from(commit, ("finetune", "2" * 64)))  # there is more to say now
    assert "x-prov-index" not in get(anyone, repo, format, signed="true").headers
    assert log_it(alice, repo, format).headers["x-prov-index"] != first.headers["x-prov-index"]


def test_only_who_may_write_has_a_bill_logged(alice, bob, reader, anyone, model):
    for person, status in ((bob, 403), (reader, 403), (anyone, 401)):
        log_it(person, model, "spdx", status)
    entries = alice.http.get(f"/api/models/{model}/provenance?limit=1000").json()["entries"]
    assert "bom" not in {entry["type"] for entry in entries}


def test_a_proof_comes_with_the_leaf_of_a_bill(alice, repo):
    alice.commit_files(repo, {"a.bin": b"a"})
    index = log_it(alice, repo, "spdx").headers["x-prov-index"]
    answer = alice.http.get(f"/api/models/{repo}/provenance/leaf/{index}.tlog-proof")
    assert answer.status_code == 200 and answer.text.startswith("c2sp.org/tlog-proof@v1\n")


def test_a_private_repo_has_no_bill_for_strangers(alice, bob, anyone):
    secret = alice.new_repo(private=True)
    alice.commit_files(secret, {"a.bin": b"a"})
    get(alice, secret, "spdx")
    for query in ({}, {"signed": "true"}):
        get(anyone, secret, "spdx", status=401, **query)
        get(bob, secret, "spdx", status=404, **query)


def test_a_bill_that_cannot_be_made_says_why(alice, repo):
    assert "cyclonedx" in get(alice, repo, "swid", status=400).json()["error"]
    get(alice, repo, "spdx", "nowhere", 404)
    assert "empty" in get(alice, repo, "spdx", status=422).json()["error"]  # nothing but what git itself needs


def test_a_bill_that_names_somebody_who_was_erased_goes_with_them(own_hub):
    dora, eve = own_hub.person("dora"), own_hub.person("eve")
    own_hub.org("lab", dora="write", eve="admin")
    repo = dora.new_repo("moved")
    dora.commit_files(repo, {"a.bin": b"a"})
    envelope = log_it(dora, repo, "spdx").content
    dora.api.move_repo(repo, "lab/moved")
    evidence = f"/api/models/lab/moved/evidence/{sha256(envelope)}"
    assert eve.http.get(evidence).content == envelope and repo.encode() in base64.b64decode(json.loads(envelope)["payload"])
    own_hub.admin("user", "erase", "dora", "--reason", "request")
    assert eve.http.get(evidence).status_code == 404
    open_envelope(eve, get(eve, "lab/moved", "spdx", signed="true").json())
    log_it(eve, "lab/moved", "spdx")
