# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of models (OpenSSF Model Signing v1.0) through the hub, checked with other people's tools in both directions
(omstool.py): what `cairn sign` makes they accept, and what they make the hub accepts. Each has twins that must be refused."""

import base64
import hashlib
import http.server
import json
import shutil
import subprocess
import threading

import pytest

from omstool import BUNDLE_TYPE, Authority, Key, reference, reference_accepts, reference_signs
from statements import IN_TOTO, leaf_at, pae, register
from support import BINARY, ROOT, Hub, Person, add, sha256
from tlog import Log, Proof

# "tokenizer/…" and "tokenizer.json" are where the specification and the reference tool sort otherwise.
FILES = {
    "README.md": b"# A model\n",
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "tokenizer/vocab.txt": b"one\ntwo\n",
    "deep/er/ä b.txt": b"text",
    "weights.bin": b"\0weights" * 20000,
    "more.bin": b"\0more" * 30000,
}


@pytest.fixture(scope="session")
def key(alice, tmp_path_factory):
    """alice's, registered."""
    return register(alice, Key(tmp_path_factory.mktemp("key")))


@pytest.fixture
def model(alice):
    """A repo with FILES."""
    repo = alice.new_repo("model")
    alice.commit_files(repo, FILES)
    return repo


@pytest.fixture
def folder(tmp_path):
    """FILES on a disk."""
    return written(tmp_path / "model", FILES)


def written(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def statement_of(person, repo, revision="main", **query):
    answer = person.http.get(f"/api/models/{repo}/oms/{revision}/statement", params=query)
    assert answer.status_code == 200, answer.text
    return answer.content


def digests(statement):
    return {resource["name"]: resource["digest"] for resource in json.loads(statement)["predicate"]["resources"]}


def send(person, repo, bundle, revision="main", **query):
    return person.http.post(f"/api/models/{repo}/oms/{revision}", content=bundle, params=query)


def signatures(person, repo, revision="main"):
    answer = person.http.get(f"/api/models/{repo}/oms/{revision}")
    assert answer.status_code == 200, answer.text
    return answer.json()["signatures"]


def cairn_sign(person, *words, check=True):
    return person.run(BINARY, "sign", *words, check=check)


def through(person, repo, key, out, *more, check=True):
    """cairn sign through the hub."""
    return cairn_sign(person, "--hub", person.hub.url, "--repo", repo, "--key", key.file, "--out", out, *more, check=check)


def downloaded(person, repo, to):
    person.api.snapshot_download(repo, local_dir=to)
    return to


def uploaded(person, repo, folder):
    person.api.upload_folder(repo_id=repo, folder_path=folder)
    return repo


def refused(answer, status, *words):
    assert answer.status_code == status, answer.text
    shown = answer.json()["error"] + "\n".join(answer.json().get("files", []))
    for word in words:
        assert word in shown, shown


# ---- what is to be signed


def test_the_statement_lists_every_file_with_its_digest(alice, model):
    answer = alice.http.get(f"/api/models/{model}/oms/main/statement")
    assert answer.headers["content-type"] == IN_TOTO and answer.headers["x-repo-commit"] == alice.head(model)
    statement = answer.json()
    assert digests(answer.content) == {name: sha256(data) for name, data in FILES.items()}
    names = [resource["name"] for resource in statement["predicate"]["resources"]]
    assert names == sorted(names)
    root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in statement["predicate"]["resources"]))
    assert statement["subject"] == [{"name": model.split("/")[1], "digest": {"sha256": root.hexdigest()}}]
    assert statement["predicate"]["serialization"] == {
        "method": "files", "hash_type": "sha256", "allow_symlinks": False,
        "ignore_paths": [".git", ".gitattributes", ".github", ".gitignore", "model.sig"]}
    assert statement_of(alice, model, alice.head(model)) == answer.content


def test_the_bytes_to_sign_are_those_of_dsse(alice, model):
    assert statement_of(alice, model, pae=1) == pae(IN_TOTO, statement_of(alice, model))


def test_no_file_is_read_to_say_what_is_to_be_signed(own_hub):
    """A changed README must not cost another look at the weights: here there are none left to look at."""
    carol = own_hub.person("carol")
    repo = carol.new_repo("huge")
    carol.commit_files(repo, FILES)
    before = statement_of(carol, repo)
    moved = own_hub.folder / "away"
    (own_hub.data / "store").rename(moved)
    try:
        assert statement_of(carol, repo) == before
        carol.commit_files(repo, {"README.md": b"# Better words\n"})
        after = statement_of(carol, repo)
        assert carol.http.get(f"/api/models/{repo}/provenance/main.sig?by=hub").status_code == 200
        assert not carol.http.get(f"/{repo}/resolve/main/weights.bin", follow_redirects=True).is_success, "the twin"
    finally:
        shutil.rmtree(own_hub.data / "store", ignore_errors=True)
        moved.rename(own_hub.data / "store")
    differing = set(digests(before).items()) ^ set(digests(after).items())
    assert {name for name, _ in differing} == {"README.md"}


def test_a_signature_kept_in_the_repo_is_not_part_of_what_is_signed(alice, model):
    before = statement_of(alice, model)
    alice.commit_files(model, {"model.sig": b"{}"})
    assert statement_of(alice, model) == before
    alice.commit_files(model, {"deep/model.sig": b"{}"})
    assert "deep/model.sig" in digests(statement_of(alice, model)), "the twin"


def test_an_empty_repo_has_nothing_to_sign(alice, repo):
    refused(alice.http.get(f"/api/models/{repo}/oms/main/statement"), 422, "sign")


def test_strangers_learn_nothing_of_a_private_model(alice, bob, anyone, key, tmp_path):
    hidden = alice.new_repo(private=True)
    alice.commit_files(hidden, FILES)
    through(alice, hidden, key, tmp_path / "model.sig")
    for path in "oms/main/statement", "oms/main", "provenance/main.sig", "provenance/main.sig?by=hub":
        assert alice.http.get(f"/api/models/{hidden}/{path}").status_code == 200
        assert bob.http.get(f"/api/models/{hidden}/{path}").status_code == 404
        assert anyone.http.get(f"/api/models/{hidden}/{path}").status_code == 401


# ---- we sign, the reference tool verifies


def test_the_reference_tool_accepts_a_model_that_was_signed_through_the_hub(alice, model, key, tmp_path):
    signature = tmp_path / "model.sig"
    said = through(alice, model, key, signature).stdout
    assert f"{len(FILES)} files" in said and alice.head(model) in said and key.hint in said
    down = downloaded(alice, model, tmp_path / "down")
    assert reference_accepts(down, signature, key)
    shutil.copy(signature, down / "model.sig")
    assert reference_accepts(down, down / "model.sig", key)


def test_all_of_it_is_done_with_cairns_own_commands(own_hub, tmp_path):
    erin = own_hub.person("erin")
    repo, key, public, signature = erin.new_repo(), tmp_path / "key.pem", tmp_path / "key.pub", tmp_path / "model.sig"
    erin.commit_files(repo, FILES)
    public.write_text(erin.run(BINARY, "attest", "key", "new", key).stdout)
    erin.run(BINARY, "attest", "key", "register", "--hub", own_hub.url, "--key", key)
    cairn_sign(erin, "--hub", own_hub.url, "--repo", repo, "--key", key, "--out", signature)
    down = downloaded(erin, repo, tmp_path / "down")

    def verify(by):
        return erin.run(BINARY, "verify", down, "--bundle", signature, "--key", by, check=False).returncode

    assert verify(public) == 0
    assert verify(Key(tmp_path, "other").public) == 1, "the twin"


def flip(folder, key):
    data = bytearray((folder / "weights.bin").read_bytes())
    data[12345] ^= 1
    (folder / "weights.bin").write_bytes(data)


def swap(folder, key):
    (folder / "weights.bin").rename(folder / "other")
    (folder / "more.bin").rename(folder / "weights.bin")
    (folder / "other").rename(folder / "more.bin")


def rename(folder, key):
    """Keeps the order of the digests, and with it the root."""
    (folder / "weights.bin").rename(folder / "weights.bio")


def wrong_key(folder, key):
    return Key(folder.parent, "another")


def drop(folder, key):
    (folder / "config.json").unlink()


@pytest.mark.parametrize("damage", [flip, swap, rename, drop, wrong_key])
def test_the_reference_tool_refuses_it_once_something_is_wrong(alice, model, key, tmp_path, damage):
    signature = tmp_path / "model.sig"
    through(alice, model, key, signature, "--no-upload")
    down = downloaded(alice, model, tmp_path / "down")
    assert not reference_accepts(down, signature, damage(down, key) or key)


def test_a_folder_is_signed_without_a_hub(alice, key, folder, tmp_path):
    signature = tmp_path / "model.sig"
    cairn_sign(alice, folder, "--key", key.file, "--out", signature)
    assert reference_accepts(folder, signature, key)
    flip(folder, key)
    assert not reference_accepts(folder, signature, key), "the twin"


@pytest.mark.parametrize("curve", ["p384", "p521"])
def test_longer_curves_are_signed_with_their_own_hashes(alice, folder, tmp_path, curve):
    key, signature = Key(tmp_path, "long", curve), folder / "model.sig"
    cairn_sign(alice, folder, "--key", key.file, "--out", signature)
    assert reference_accepts(folder, signature, key)
    (folder / "config.json").write_bytes(b"[]")
    assert not reference_accepts(folder, signature, key), "the twin"


def test_sigstores_javascript_accepts_our_bundle(alice, model, key, tmp_path):
    signature = tmp_path / "model.sig"
    through(alice, model, key, signature)

    def verify(file, by=key):
        return alice.run("node", ROOT / "tests/js/sigstore.mjs", file, by.public, check=False)

    assert verify(signature).stdout.strip() == key.hint
    bundle = json.loads(signature.read_bytes())
    payload = bytearray(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload[-20] ^= 1
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    (tmp_path / "changed.sig").write_text(json.dumps(bundle))
    changed, stranger = verify(tmp_path / "changed.sig"), verify(signature, Key(tmp_path, "stranger"))
    assert changed.returncode == 1 and "signature" in changed.stderr
    assert stranger.returncode == 1 and "another key" in stranger.stderr


# ---- the reference tool signs, the hub verifies


@pytest.fixture
def signed(alice, key, folder, tmp_path):
    """A repo that was signed with the reference tool before it was uploaded, and the signature."""
    bundle = reference_signs(folder, key, tmp_path / "model.sig")
    repo = uploaded(alice, alice.new_repo("signed"), folder)
    return repo, bundle


def test_a_bundle_of_the_reference_tool_is_accepted_and_logged(alice, key, signed):
    repo, bundle = signed
    answer = send(alice, repo, bundle)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made == made | {"evidence": sha256(bundle), "method": "key", "hint": key.hint, "account": "alice", "commit": alice.head(repo)}
    leaf = leaf_at(alice, repo, made["index"])
    assert (leaf["type"], leaf["auth"], leaf["ev"]) == ("manifest", "user-signed", sha256(bundle))
    assert leaf["actor"] != "hub" and leaf["b"]["files"] == len(FILES)
    assert {"alg": "gitCommit", "d": alice.head(repo)} in leaf["subj"]


def test_the_signature_is_what_the_proof_of_the_revision_speaks_of(alice, signed):
    repo, bundle = signed
    index = send(alice, repo, bundle).json()["index"]
    answer = alice.http.get(f"/api/models/{repo}/provenance/main.tlog-proof")
    proof = Proof(answer.text)
    assert json.loads(proof.extra["leaf"])["ev"] == sha256(bundle) and int(answer.headers["x-prov-index"]) == index
    assert sha256(alice.http.get(f"/api/models/{repo}/evidence/{sha256(bundle)}").content) == sha256(bundle)


def test_the_same_bundle_again_is_no_news(alice, signed):
    repo, bundle = signed
    first = send(alice, repo, bundle)
    again = send(alice, repo, bundle)
    assert (first.status_code, again.status_code) == (201, 200) and again.json() == first.json()
    leaves = [json.loads(entry["leaf"]) for entry in alice.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]]
    assert [leaf["type"] for leaf in leaves if leaf["actor"] != "hub"].count("manifest") == 1, "the hub logs one of its own when it gets to it"
    assert len(signatures(alice, repo)) == 1


def test_signatures_that_crowds_send_at_once_are_each_logged_once(alice, signed):
    repo, bundle = signed
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(send(alice, repo, bundle))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["index"] for answer in answers}) == 1


@pytest.mark.parametrize("change, line", [
    ({"config.json": b"[]"}, "changed: config.json"),
    ({"extra.bin": b"\0unsigned" * 9000}, "extra: extra.bin"),
    ({"config.json": None}, "missing: config.json"),
])
def test_a_bundle_for_other_files_is_refused_and_each_is_named(alice, signed, change, line):
    repo, bundle = signed
    for name, data in change.items():
        if data is None:
            alice.api.delete_file(name, repo)
        else:
            alice.commit(repo, add(name, data))
    refused(send(alice, repo, bundle), 422, line)
    assert signatures(alice, repo) == []


def test_a_bundle_belongs_to_the_revision_that_was_signed(alice, signed):
    repo, bundle = signed
    before = alice.head(repo)
    alice.commit_files(repo, {"weights.bin": b"\0other" * 20000, "tokenizer/vocab.txt": b"three\n"})
    answer = send(alice, repo, bundle)
    refused(answer, 422, "changed: weights.bin", "changed: tokenizer/vocab.txt")
    assert len(answer.json()["files"]) == 2
    assert send(alice, repo, bundle, before).status_code == 201
    assert signatures(alice, repo) == [] and len(signatures(alice, repo, before)) == 1


def test_files_that_the_signer_left_out_are_named(alice, key, folder, tmp_path):
    """A signature of the README alone is none of the model."""
    bundle = reference_signs(folder, key, tmp_path / "model.sig", "--ignore-paths", folder / "weights.bin")
    repo = uploaded(alice, alice.new_repo("partly"), folder)
    refused(send(alice, repo, bundle), 422, "extra: weights.bin")


def test_a_signature_uploaded_with_the_model_is_no_unsigned_file(alice, key, folder):
    bundle = reference_signs(folder, key, folder / "model.sig")
    repo = uploaded(alice, alice.new_repo("with"), folder)
    assert "model.sig" in alice.files(repo)
    assert send(alice, repo, bundle).status_code == 201


def test_a_key_that_is_not_registered_is_refused(alice, model, tmp_path):
    stranger = Key(tmp_path, "stranger")
    refused(send(alice, model, stranger.bundle(statement_of(alice, model))), 403, "not one of your signing keys", "register")
    assert send(alice, model, register(alice, stranger).bundle(statement_of(alice, model))).status_code == 201


def test_a_person_cannot_send_what_somebody_elses_key_signed(alice, bob, tmp_path):
    theirs = register(alice, Key(tmp_path, "theirs"))
    repo = bob.new_repo()
    bob.commit_files(repo, FILES)
    refused(send(bob, repo, theirs.bundle(statement_of(bob, repo))), 403, "not one of your signing keys")


def test_a_signature_that_does_not_fit_is_refused(alice, model, key):
    statement = statement_of(alice, model)
    bundle = json.loads(key.bundle(statement))
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(key.raw(pae(IN_TOTO, statement + b" "))).decode()
    refused(send(alice, model, json.dumps(bundle).encode()), 422, "signature does not fit")
    assert send(alice, model, key.bundle(statement)).status_code == 201, "the twin"


@pytest.mark.parametrize("spoil, status", [
    (lambda bundle: b"not json", 400),
    (lambda bundle: bundle.replace(b"bundle.v0.3", b"bundle.v0.4"), 501),
    (lambda bundle: bundle.replace(b'"publicKey"', b'"secretKey"'), 400),
    (lambda bundle: bundle.replace(b'"tlogEntries": []', b'"tlogEntries": [], "tlogEntries": []'), 400),
    (lambda bundle: bundle + b"{}", 400),
    (lambda bundle: b"", 400),
])
def test_what_is_no_bundle_is_refused(alice, model, key, spoil, status):
    bundle = key.bundle(statement_of(alice, model))
    refused(send(alice, model, spoil(bundle)), status)
    assert signatures(alice, model) == []


def test_a_signed_text_that_is_no_model_is_refused(alice, model, key):
    statement = json.loads(statement_of(alice, model))
    statement["predicateType"] = "https://slsa.dev/provenance/v1"
    refused(send(alice, model, key.bundle(json.dumps(statement).encode())), 422, "not a model")


def test_bundles_without_a_hint_name_the_key_in_the_address(alice, model, key):
    bundle = json.loads(key.bundle(statement_of(alice, model)))
    bundle["verificationMaterial"]["publicKey"] = {"rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    old = json.dumps(bundle).encode()
    refused(send(alice, model, old), 400, "?hint=")
    refused(send(alice, model, old, hint="0" * 64), 403)
    assert send(alice, model, old, hint=key.hint).status_code == 201


def test_only_who_may_write_signs(alice, bob, reader, anyone, model, key):
    bundle = key.bundle(statement_of(alice, model))
    for person, status in (bob, 403), (reader, 403), (anyone, 401):
        assert send(person, model, bundle).status_code == status
    assert signatures(alice, model) == []


def test_a_commit_takes_only_so_many_signatures(alice, repo, key):
    alice.commit_files(repo, {"a.txt": b"a"})
    statement = statement_of(alice, repo)
    for _ in range(32):
        assert send(alice, repo, key.bundle(statement)).status_code == 201
    refused(send(alice, repo, key.bundle(statement)), 409, "32 signatures")


# ---- what is shown


def test_the_newest_signature_comes_back_as_it_was_sent(alice, anyone, model, key):
    refused(anyone.http.get(f"/api/models/{model}/provenance/main.sig"), 404, "cairn sign --hub", f"--repo {model}", "?by=hub")
    statement = statement_of(alice, model)
    bundles = [key.bundle(statement) for _ in range(2)]
    indices = [send(alice, model, bundle).json()["index"] for bundle in bundles]
    answer = anyone.http.get(f"/api/models/{model}/provenance/main.sig")
    assert answer.content == bundles[1] and answer.headers["content-type"] == BUNDLE_TYPE
    assert answer.headers["x-repo-commit"] == alice.head(model) and int(answer.headers["x-prov-index"]) == indices[1]


def test_who_signed_is_shown(alice, anyone, model, key):
    bundle = key.bundle(statement_of(alice, model))
    index = send(alice, model, bundle).json()["index"]
    answer = anyone.http.get(f"/api/models/{model}/oms/main").json()
    assert (answer["commit"], answer["files"], answer["bytes"]) == (alice.head(model), len(FILES), sum(map(len, FILES.values())))
    (one,) = answer["signatures"]
    assert one == {"index": index, "evidence": sha256(bundle), "at": one["at"], "account": "alice", "method": "key",
                   "hint": key.hint, "verified": True}


def test_a_revoked_keys_signature_counts_no_more(alice, anyone, model, tmp_path):
    lost = register(alice, Key(tmp_path, "lost"))
    bundle = lost.bundle(statement_of(alice, model))
    assert send(alice, model, bundle).status_code == 201
    assert anyone.http.get(f"/api/models/{model}/provenance/main.sig").content == bundle
    assert alice.http.delete(f"/api/settings/signing-keys/{lost.hint}").is_success
    (one,) = signatures(alice, model)
    assert one["verified"] is False and "revoked" in one["reason"] and one["hint"] == lost.hint
    assert anyone.http.get(f"/api/models/{model}/provenance/main.sig").status_code == 404
    refused(send(alice, model, lost.bundle(statement_of(alice, model))), 403, "revoked")


# ---- by certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, authority):
    """A hub whose operator trusts an authority, and dora on it."""
    hub = Hub(tmp_path_factory.mktemp("trusting"), flags=["--certificate-anchors", authority.certificate]).start()
    yield hub.person("dora")
    hub.stop()


@pytest.fixture
def certified(tmp_path, authority):
    key = Key(tmp_path, "dora")
    return key, authority.certify(key, "Dora of Example")


def test_the_reference_tool_accepts_a_model_signed_by_certificate(trusting, authority, certified, tmp_path):
    key, certificate = certified
    repo, signature = trusting.new_repo("model"), tmp_path / "model.sig"
    trusting.commit_files(repo, FILES)
    chain = tmp_path / "chain.pem"
    chain.write_text(certificate.read_text() + authority.certificate.read_text())
    through(trusting, repo, key, signature, "--certificate-chain", chain)
    bundle = json.loads(signature.read_bytes())
    assert len(bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]) == 1, "the root is left out"
    (one,) = signatures(trusting, repo)
    assert one["verified"] is True and one["subject"] == "CN=Dora of Example" and one["account"] == "dora"
    assert leaf_at(trusting, repo, one["index"])["auth"] == "hub-asserted", "the certificate does not say that it is dora's account"
    down = downloaded(trusting, repo, tmp_path / "down")

    def verify(anchor):
        return reference("verify", "certificate", down, "--signature", signature, "--certificate_chain", anchor,
                         "--ignore-paths", down / ".cache", check=False)[0]

    assert verify(authority.certificate) == 0
    assert verify(Authority(tmp_path, "other").certificate) != 0, "the twin"
    flip(down, key)
    assert verify(authority.certificate) != 0, "the twin"


def tool_signs_by_certificate(folder, key, certificate, authority, out):
    reference("sign", "certificate", folder, "--private_key", key.file, "--signing_certificate", certificate,
              "--certificate_chain", authority.certificate, "--signature", out)
    return out.read_bytes()


def test_a_bundle_by_certificate_of_the_reference_tool_is_accepted(trusting, authority, certified, folder, tmp_path):
    bundle = tool_signs_by_certificate(folder, *certified, authority, tmp_path / "model.sig")
    repo = uploaded(trusting, trusting.new_repo("signed"), folder)
    answer = send(trusting, repo, bundle)
    assert answer.status_code == 201, answer.text
    assert answer.json()["subject"] == "CN=Dora of Example" and answer.json()["method"] == "certificate"
    assert leaf_at(trusting, repo, answer.json()["index"])["ev"] == sha256(bundle)
    assert trusting.http.get(f"/api/models/{repo}/provenance/main.sig").content == bundle
    trusting.commit_files(repo, {"config.json": b"[]"})
    refused(send(trusting, repo, bundle), 422, "changed: config.json")


def test_a_certificate_of_another_authority_is_refused(trusting, tmp_path, folder):
    other = Authority(tmp_path, "other")
    key = Key(tmp_path, "mallory")
    bundle = tool_signs_by_certificate(folder, key, other.certify(key, "Dora of Example"), other, tmp_path / "model.sig")
    repo = uploaded(trusting, trusting.new_repo("forged"), folder)
    refused(send(trusting, repo, bundle), 422, "certificate is not accepted")
    assert signatures(trusting, repo) == []


def test_a_certificate_that_is_not_for_signing_is_refused(trusting, authority, tmp_path, folder):
    key = Key(tmp_path, "keys-only")
    chain = authority.certify(key, "Agreement", usage="keyAgreement")
    cairn_sign(trusting, folder, "--key", key.file, "--certificate-chain", chain, "--out", tmp_path / "model.sig")
    repo = uploaded(trusting, trusting.new_repo("agreed"), folder)
    refused(send(trusting, repo, (tmp_path / "model.sig").read_bytes()), 422, "not for signing")


def test_a_hub_without_anchors_takes_no_certificates(alice, certified, authority, folder, tmp_path):
    bundle = tool_signs_by_certificate(folder, *certified, authority, tmp_path / "model.sig")
    repo = uploaded(alice, alice.new_repo("signed"), folder)
    refused(send(alice, repo, bundle), 422, "--certificate-anchors")


def test_a_hub_does_not_start_with_anchors_of_no_use(tmp_path):
    (tmp_path / "anchors.pem").write_text("nothing")
    done = subprocess.run([BINARY, "serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--certificate-anchors",
                           tmp_path / "anchors.pem"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "anchors.pem" in done.stderr and "X.509 in PEM" in done.stderr


# ---- the hub's own word


def hub_key_of(person, folder):
    key = Key.__new__(Key)
    key.public = folder / "hub.pub"
    key.public.write_bytes(person.http.get("/log/attestation-key.pem").content)
    key.hint = sha256(key.public.read_bytes())
    return key


def test_the_hub_vouches_for_bytes_with_a_key_that_the_log_knows(alice, anyone, model, key, tmp_path):
    hub_key, signature = hub_key_of(anyone, tmp_path), tmp_path / "hub.sig"
    answer = anyone.http.get(f"/api/models/{model}/provenance/main.sig?by=hub")
    assert answer.status_code == 200 and answer.headers["content-type"] == BUNDLE_TYPE
    signature.write_bytes(answer.content)
    down = downloaded(alice, model, tmp_path / "down")
    assert reference_accepts(down, signature, hub_key)
    logged = [leaf["b"] for leaf in Log(alice.http).audited() if leaf["type"] == "key"]
    assert {"digest": hub_key.hint, "op": "add", "use": "hub"} in logged
    assert key.hint not in [body["digest"] for body in logged], "the twin: whose key a person's is, is nobody's business"
    swap(down, hub_key)
    assert not reference_accepts(down, signature, hub_key), "the twin"


def test_the_hubs_word_never_stands_for_the_authors(alice, model, key, tmp_path):
    by_hub = alice.http.get(f"/api/models/{model}/provenance/main.sig?by=hub").content
    assert signatures(alice, model) == [] and alice.http.get(f"/api/models/{model}/provenance/main.sig").status_code == 404
    refused(send(alice, model, by_hub), 403, "not one of your signing keys")
    assert send(alice, model, mine := key.bundle(statement_of(alice, model))).status_code == 201
    assert alice.http.get(f"/api/models/{model}/provenance/main.sig").content == mine
    refused(alice.http.get(f"/api/models/{model}/provenance/main.sig?by=alice"), 400, "hub")


def test_the_hubs_key_stays_over_a_restart_and_is_logged_once(own_hub):
    pem = own_hub.anyone().http.get("/log/attestation-key.pem").content
    assert (own_hub.data / "attest.pem").stat().st_mode & 0o777 == 0o600
    own_hub.stop()
    own_hub.start()
    anyone = own_hub.anyone()
    assert anyone.http.get("/log/attestation-key.pem").content == pem
    assert [leaf["b"]["use"] for leaf in Log(anyone.http).audited() if leaf["type"] == "key"] == ["hub"]


def test_a_damaged_key_of_the_hub_keeps_it_from_starting(own_hub):
    own_hub.stop()
    (own_hub.data / "attest.pem").write_text("damaged")
    done = subprocess.run([BINARY, "serve", "--data", own_hub.data, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "attest.pem" in done.stderr and "restore it" in done.stderr


# ---- cairn sign


def test_a_folder_that_is_not_what_the_hub_holds_is_not_signed(alice, model, key, folder, tmp_path):
    signature = tmp_path / "model.sig"
    assert "no file was read" not in through(alice, model, key, signature, folder, "--no-upload").stdout
    assert reference_accepts(folder, signature, key)
    signature.unlink()
    flip(folder, key)
    (folder / "more.bin").unlink()
    done = through(alice, model, key, signature, folder, check=False)
    assert done.returncode == 1 and "changed: weights.bin" in done.stderr and "missing: more.bin" in done.stderr
    assert not signature.exists() and signatures(alice, model) == []


@pytest.fixture
def lying(alice, model):
    """A hub that says what it is told to."""
    words = {}

    class Liar(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = words["statement"] if self.path.endswith("/statement") else json.dumps({"commit": "a" * 40}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    words["url"] = f"http://127.0.0.1:{server.server_port}"
    yield words
    server.shutdown()
    server.server_close()


def root_again(statement):
    root = b"".join(bytes.fromhex(resource["digest"]) for resource in statement["predicate"]["resources"])
    statement["subject"][0]["digest"]["sha256"] = sha256(root)


def hide_a_file(statement):
    statement["predicate"]["serialization"]["ignore_paths"].append("weights.bin")
    statement["predicate"]["resources"] = [resource for resource in statement["predicate"]["resources"] if resource["name"] != "weights.bin"]
    root_again(statement)


def name_another_model(statement):
    statement["subject"][0]["name"] = "other"


def use_shards(statement):
    statement["predicate"]["serialization"] |= {"method": "shards", "shard_size": 1000}
    for resource in statement["predicate"]["resources"]:
        resource["name"] += ":0:1"


def contradict(statement):
    statement["predicate"]["resources"].pop()


def say_something_else(statement):
    statement["predicateType"] = "https://slsa.dev/provenance/v1"


@pytest.mark.parametrize("lie", [None, hide_a_file, name_another_model, use_shards, contradict, say_something_else])
def test_nothing_is_signed_but_a_plain_list_of_the_models_files(alice, model, key, lying, tmp_path, lie):
    statement = json.loads(statement_of(alice, model))
    if lie:
        lie(statement)
    lying["statement"] = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    done = cairn_sign(alice, "--hub", lying["url"], "--repo", model, "--key", key.file, "--out", tmp_path / "model.sig",
                      "--no-upload", check=False)
    assert (done.returncode == 0) == (tmp_path / "model.sig").exists() == (lie is None), done.stderr


@pytest.mark.parametrize("words, why", [
    ([], "--key is missing"),
    (["--key", "key.pem"], "Say what to sign"),
    (["--key", "key.pem", "--hub", "http://localhost"], "belong together"),
    (["--key", "key.pem", "--hub", "http://localhost", "--repo", "alice"], "name space"),
    (["--key", "key.pem", "--hub", "http://localhost", "--repo", "a/b", "--type", "x"], "--type"),
    (["--colour", "blue"], "not a flag"),
])
def test_what_is_not_understood_is_told(alice, words, why):
    done = cairn_sign(alice, *words, check=False)
    assert done.returncode == 2 and why in done.stderr and "cairn sign --help" in done.stderr


def test_what_cannot_be_signed_with_is_told(alice, folder, tmp_path):
    rsa, missing = tmp_path / "rsa.pem", tmp_path / "none.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", rsa], check=True, capture_output=True)
    for key, why in (rsa, "ECDSA"), (missing, "none.pem"), (folder / "config.json", "private key in PEM"):
        done = cairn_sign(alice, folder, "--key", key, "--out", tmp_path / "model.sig", check=False)
        assert done.returncode == 1 and why in done.stderr and not (tmp_path / "model.sig").exists()


def test_a_certificate_for_another_key_is_told(alice, key, folder, certified, tmp_path):
    done = cairn_sign(alice, folder, "--key", key.file, "--certificate-chain", certified[1], "--out", tmp_path / "model.sig", check=False)
    assert done.returncode == 1 and "is not for the key" in done.stderr and not (tmp_path / "model.sig").exists()


def test_links_are_not_signed(alice, key, folder, tmp_path):
    (folder / "link.bin").symlink_to("weights.bin")
    done = cairn_sign(alice, folder, "--key", key.file, "--out", tmp_path / "model.sig", check=False)
    assert done.returncode == 1 and "link.bin" in done.stderr and not (tmp_path / "model.sig").exists()


def test_a_refusal_of_the_hub_is_the_commands_failure(alice, bob, model, key, tmp_path):
    done = through(bob, model, key, tmp_path / "model.sig", check=False)
    assert done.returncode == 1 and "403" in done.stderr
    stranger = Key(tmp_path, "stranger")
    done = through(alice, model, stranger, tmp_path / "model.sig", check=False)
    assert done.returncode == 1 and "not one of your signing keys" in done.stderr
    assert signatures(alice, model) == []


@pytest.mark.parametrize("kind, revision", [("dataset", "main"), ("model", "try/new"), ("model", "v1"), ("model", "commit")])
def test_whatever_has_files_is_signed_at_any_revision(alice, key, tmp_path, kind, revision):
    repo = alice.new_repo(repo_type=kind)
    alice.commit_files(repo, FILES, repo_type=kind)
    head = alice.head(repo, repo_type=kind)
    alice.api.create_branch(repo, branch="try/new", repo_type=kind)
    alice.api.create_tag(repo, tag="v1", repo_type=kind)
    alice.commit_files(repo, {"later.txt": b"later"} if revision != "main" else {}, repo_type=kind)
    through(alice, repo, key, tmp_path / "model.sig", "--type", kind, "--revision", head if revision == "commit" else revision)
    (one,) = alice.http.get(f"/api/{kind}s/{repo}/oms/{head}").json()["signatures"]
    assert one["verified"] is True and one["hint"] == key.hint


def test_a_repo_is_signed_by_the_name_that_it_has_now(alice, model, key, tmp_path):
    alice.api.move_repo(model, model + "-moved")
    done = through(alice, model, key, tmp_path / "model.sig", check=False)
    assert done.returncode == 1 and "another name" in done.stderr
    through(alice, model + "-moved", key, tmp_path / "model.sig")


def test_the_token_may_come_from_a_file(alice, model, key, tmp_path):
    (tmp_path / "token").write_text(alice.token + "\n")
    nobody = Person(alice.hub, "nobody", None)
    assert through(nobody, model, key, tmp_path / "model.sig", check=False).returncode == 1
    through(nobody, model, key, tmp_path / "model.sig", "--token-file", tmp_path / "token")
    assert len(signatures(alice, model)) == 1
