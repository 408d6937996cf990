# SPDX-License-Identifier: GPL-3.0-or-later
"""cairn verify, of what authors sign, of tensors, and against a running hub."""

import hashlib
import shutil
import struct

import numpy
import pytest
import safetensors.numpy
from cryptography.hazmat.primitives import serialization

import omsmaker
from logmaker import LogMaker
from support import Hub
from test_verify import FILES, Case, case, fails, passes, verify, write_files  # noqa: F401
from tlog import leaf_hash, root_of

# ---- signatures of authors


class Author:
    def __init__(self, path):
        self.path, self.key = path, omsmaker.new_key()
        self.folder = write_files(path / "flora", FILES)
        self.pem = path / "author.pem"
        self.pem.write_bytes(omsmaker.public_pem(self.key))

    def sign(self, files=None, **how):
        (self.folder / "model.sig").write_text(omsmaker.bundle(files or FILES, how.pop("key", self.key), **how))
        return self.folder / "model.sig"


@pytest.fixture
def author(tmp_path):
    return Author(tmp_path)


HOW = [{}, {"hash_": "blake2b"}, {"hash_": "blake3"}, {"shard": 1000}, {"shard": 7919, "hash_": "blake3"}]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_folder_that_its_author_signed_passes(author, verify, how):
    arguments = author.folder, "--bundle", author.sign(**how), "--key", author.pem
    passes(verify(*arguments), "The files are those that were signed")
    (author.folder / "model.bin").write_bytes(FILES["model.bin"][:-1] + b"\1")
    fails(verify(*arguments), "changed: model.bin")
    (author.folder / "model.bin").write_bytes(FILES["model.bin"] + b"\1")
    fails(verify(*arguments), "changed: model.bin")
    (author.folder / "model.bin").unlink()
    fails(verify(*arguments), "missing: model.bin")
    write_files(author.folder, {"model.bin": FILES["model.bin"], "evil.py": b"x"})
    fails(verify(*arguments), "extra: evil.py")


def test_another_author_did_not_sign_it(author, verify):
    other = omsmaker.new_key()
    fails(verify(author.folder, "--bundle", author.sign(key=other), "--key", author.pem), "signature:")
    author.pem.write_text("no key")
    fails(verify(author.folder, "--bundle", author.sign(), "--key", author.pem), "signature:", status=2)


def test_what_the_signer_left_out_is_told(author, verify):
    write_files(author.folder, {"cache/x": b"x"})
    done = passes(verify(author.folder, "--bundle", author.sign(ignore=["cache"]), "--key", author.pem))
    assert "left out cache/x" in done.stdout


def test_certificates_must_be_trusted_and_of_their_time(author, verify, tmp_path):
    authority, stranger = omsmaker.new_key(), omsmaker.new_key()
    leaf = omsmaker.certificate(author.key, "flora team", authority, "the authority")
    for name, key in (("ca.pem", authority), ("other.pem", stranger)):
        (tmp_path / name).write_bytes(omsmaker.certificate(key, "the authority").public_bytes(serialization.Encoding.PEM))
    arguments = author.folder, "--bundle", author.sign(chain=[leaf]), "--certificate-chain"
    passes(verify(*arguments, tmp_path / "ca.pem", "--at", "2026-03-01T12:00:00Z"), "flora team")
    fails(verify(*arguments, tmp_path / "ca.pem", "--at", "2025-12-31T23:59:59Z"), "signature:")
    fails(verify(*arguments, tmp_path / "ca.pem", "--at", "2026-07-01T00:00:01Z"), "signature:")
    fails(verify(*arguments, tmp_path / "other.pem", "--at", "2026-03-01T12:00:00Z"), "signature:")
    fails(verify(*arguments, tmp_path / "ca.pem", "--at", "2026-02-30T12:00:00Z"), "is not a time", status=2)
    fails(verify(*arguments, tmp_path / "nothing.pem"), "certificate chain", status=3)


def test_proof_and_signature_must_both_hold(case, verify, tmp_path):  # noqa: F811
    author = Author(tmp_path)
    both = case.folder, "--proof", case.proof(), "--policy", case.policy, "--bundle", author.sign(), "--key", author.pem
    passes(verify(*both), "those that were logged", "those that were signed")
    author.sign(FILES | {"model.bin": b"another"})
    done = verify(*both)
    fails(done, "signature: changed: model.bin")
    assert "those that were logged" in done.stdout
    author.sign()
    case.proof(leaf=case.log.entries[0].decode())
    fails(verify(*both), "proof:")


# ---- tensors


def tensor_root(tensors):
    """provenance 3.5; {name: (dtype, shape, bytes)}"""
    entries = []
    for name, (dtype, shape, data) in sorted(tensors.items(), key=lambda item: item[0].encode()):
        text = b"".join(struct.pack(">I", len(part)) + part for part in (name.encode(), dtype.encode()))
        entries.append(text + struct.pack(f">I{len(shape)}Q", len(shape), *shape) + hashlib.sha256(data).digest())
    return root_of([leaf_hash(entry) for entry in entries]).hex()


FLOATS = {name: numpy.arange(size, dtype=numpy.float32).reshape(shape) for name, size, shape in
          [("b.weight", 600_000, (600, 1000)), ("b.bias", 3, (3,)), ("none", 0, (0, 4))]}
BYTES = {"a.scale": numpy.array(7, dtype=numpy.uint8)}


class Tensors(Case):
    """A model in two files."""

    def __init__(self, path):
        self.path, self.log = path, LogMaker()
        self.files = {"one.safetensors": safetensors.numpy.save(FLOATS), "two.safetensors": safetensors.numpy.save(BYTES, {"k": "v"}),
                      "config.json": b"{}"}
        tensors = {name: ("F32", value.shape, value.tobytes()) for name, value in FLOATS.items()}
        tensors |= {name: ("U8", value.shape, value.tobytes()) for name, value in BYTES.items()}
        self.root = tensor_root(tensors)

    def check(self, verify, files=None, root=None, **body):  # noqa: F811
        files = files or self.files
        shutil.rmtree(self.path / "m", ignore_errors=True)
        body = {"tensorRoot": root or self.root} | body
        index = self.log.add_manifest(files, **{name: value for name, value in body.items() if value})
        proof = self.write(self.log.proof(index, files=files))
        return verify(write_files(self.path / "m", files), "--proof", proof, "--vkey", self.log.signer.vkey, "--tensors")


@pytest.fixture
def tensors(tmp_path):
    return Tensors(tmp_path)


def test_tensors_that_were_logged_pass(tensors, verify):  # noqa: F811
    passes(tensors.check(verify), "4 tensors have the root that was logged", tensors.root)
    whole = {"all.safetensors": safetensors.numpy.save(FLOATS | BYTES)}  # the same, in one file
    passes(tensors.check(verify, whole), "4 tensors")


def test_other_tensors_fail(tensors, verify):  # noqa: F811
    changed = FLOATS | {"b.bias": FLOATS["b.bias"] + 1}
    fails(tensors.check(verify, tensors.files | {"one.safetensors": safetensors.numpy.save(changed)}), "tensors:", "their root is")
    renamed = {"c.bias" if name == "b.bias" else name: value for name, value in FLOATS.items()}
    fails(tensors.check(verify, tensors.files | {"one.safetensors": safetensors.numpy.save(renamed)}), "tensors:")
    reshaped = FLOATS | {"b.weight": FLOATS["b.weight"].reshape(1000, 600)}
    fails(tensors.check(verify, tensors.files | {"one.safetensors": safetensors.numpy.save(reshaped)}), "tensors:")
    other = {"three.safetensors": safetensors.numpy.save({name: numpy.array(value + 1) for name, value in BYTES.items()})}
    fails(tensors.check(verify, tensors.files | other), 'tensor "a.scale" is there twice')


def test_tensors_that_are_there_again_count_once(tensors, verify):  # noqa: F811
    passes(tensors.check(verify, tensors.files | {"three.safetensors": tensors.files["two.safetensors"]}), "4 tensors have the root")


def test_tensors_without_a_logged_root_are_not_checked(tensors, verify):  # noqa: F811
    fails(tensors.check(verify, tensorRoot=None), "no tensorRoot", status=3)


@pytest.mark.parametrize("broken, reason", [
    (b"", "ends before"), (b"\1\0\0", "ends before"), (b"\2\0\0\0\0\0\0\0{}x", "goes on behind"), (b"\xff" * 8, "allowed"),
    (b"\2\0\0\0\0\0\0\0[]", "not a JSON object"), (b"\0" * 8, "JSON"), (b"\2\0\0\0\0\0\0\0{", "ends before"), (-1, "ends before")])
def test_files_without_tensors_are_named(tensors, verify, broken, reason):  # noqa: F811
    data = broken if isinstance(broken, bytes) else tensors.files["one.safetensors"][:broken]
    fails(tensors.check(verify, tensors.files | {"one.safetensors": data}), "The tensors of one.safetensors", reason)


# ---- a running hub


def download(person, repo, folder):
    person.api.snapshot_download(repo, local_dir=folder)
    return folder


def test_a_download_is_verified_against_its_hub(hub, alice, repo, verify, tmp_path):  # noqa: F811
    commit = alice.commit_files(repo, FILES | {".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n"}).oid
    folder = download(alice, repo, tmp_path / "m")
    arguments = folder, "--hub", hub.url, "--repo", repo
    passes(verify(*arguments), "4 files", "taken on trust", "seen for the first time")
    alice.commit_files(repo, {"config.json": b"{} "})
    fails(verify(*arguments), "changed: config.json")
    passes(verify(*arguments, "--revision", commit), "about commit " + commit, "only grown", "the first time")
    vkey = alice.http.get("/log/vkey").text.strip()
    passes(verify(*arguments, "--revision", commit, "--vkey", vkey))
    proof = tmp_path / "flora.tlog-proof"
    proof.write_text(alice.http.get(f"/api/models/{repo}/provenance/{commit}.tlog-proof").text)
    passes(verify(folder, "--proof", proof, "--vkey", vkey), "4 files")
    (folder / "model.bin").write_bytes(b"other")
    fails(verify(*arguments, "--revision", commit), "changed: model.bin")
    fails(verify(*arguments, "--revision", "nothing"), "404", status=3)
    fails(verify(folder, "--hub", hub.url, "--repo", "alice/nothing"), "status 40", status=3)


def test_the_whole_log_of_a_hub_passes(hub, alice, repo, verify):  # noqa: F811
    for number in range(3):
        alice.commit_files(repo, {"n": b"%d" % number})
    passes(verify("--log", f"{hub.url}/log"), "All ", "no gap")
    alice.commit_files(repo, {"n": b"more"})
    passes(verify("--log", f"{hub.url}/log/"), "only grown")


def test_a_private_repo_needs_its_token(hub, alice, verify, tmp_path):  # noqa: F811
    repo = alice.new_repo(private=True)
    alice.commit_files(repo, FILES)
    folder = download(alice, repo, tmp_path / "m")
    (tmp_path / "token").write_text(alice.token + "\n")
    arguments = folder, "--hub", hub.url, "--repo", repo
    fails(verify(*arguments), "status 401", "say who you are", status=3)
    fails(verify(*arguments, HF_TOKEN="hf_of_elsewhere"), "status 401", "none of this hub's", status=3)
    passes(verify(*arguments, "--token-file", tmp_path / "token"))
    passes(verify(*arguments, HF_TOKEN=alice.token))


def test_a_proof_of_another_commit_is_noticed(hub, alice, repo, verify, tmp_path):  # noqa: F811
    """A hub that answers with an older revision, whose files are all in order."""
    commit = alice.commit_files(repo, FILES).oid
    folder = download(alice, repo, tmp_path / "m")
    passes(verify(folder, "--hub", hub.url, "--repo", repo, "--revision", commit))
    fails(verify(folder, "--hub", hub.url, "--repo", repo, "--revision", alice.commit_files(repo, {"x": b"x"}).oid), "missing: x")


def test_a_hub_that_goes_back_is_caught(own_hub, verify, tmp_path):  # noqa: F811
    """An operator restores an old copy of everything, the signer's memory too, and goes on."""
    ann = own_hub.person("ann")
    repo = ann.new_repo()
    ann.commit_files(repo, FILES)
    own_hub.stop()
    shutil.copytree(own_hub.data, tmp_path / "old")
    own_hub.start()
    for number in range(5):
        ann.commit_files(repo, {"n": b"%d" % number})
    folder = download(ann, repo, tmp_path / "m")
    arguments = folder, "--hub", own_hub.url, "--repo", repo
    passes(verify(*arguments))
    passes(verify("--log", f"{own_hub.url}/log"), "only grown")
    own_hub.stop()
    shutil.rmtree(own_hub.data)
    shutil.copytree(tmp_path / "old", own_hub.data)
    own_hub.start()
    ann.commit_files(repo, {"n": b"4"})
    fails(verify(*arguments), "consistency:", "went back")
    fails(verify("--log", f"{own_hub.url}/log"), "consistency:", "went back")
    for number in range(20):
        ann.commit_files(repo, {"n": b"%d" % (number % 5)})
    fails(verify(*arguments), "consistency:", "forked")
    fails(verify("--log", f"{own_hub.url}/log"), "consistency:", "forked")


def test_a_hub_with_another_key_is_caught(own_hub, verify, tmp_path):  # noqa: F811
    ann = own_hub.person("ann")
    repo = ann.new_repo()
    ann.commit_files(repo, FILES)
    folder = download(ann, repo, tmp_path / "m")
    passes(verify(folder, "--hub", own_hub.url, "--repo", repo))
    own_hub.stop()
    (tmp_path / "other").mkdir()
    other = Hub(tmp_path / "other", port=own_hub.port).start()
    try:
        fails(verify(folder, "--hub", own_hub.url, "--repo", repo), "key:", "but had")
    finally:
        other.stop()
