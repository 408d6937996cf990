# SPDX-License-Identifier: GPL-3.0-or-later
"""People's signing keys and what they sign, made without any of Cairn's code: DSSE envelopes and in-toto statements."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support import new_name

IN_TOTO = "application/vnd.in-toto+json"
KEY_TYPE = "application/vnd.cairn.signing-key+json"
APPROVAL = "urn:cairn:approval:v1"
DEPLOYMENT = "urn:cairn:deployment:v1"
RELEASE = "https://in-toto.io/attestation/release/v0.1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"

CURVES = {"p256": (ec.SECP256R1, hashes.SHA256), "p384": (ec.SECP384R1, hashes.SHA384), "p521": (ec.SECP521R1, hashes.SHA512)}


def pae(kind, payload):
    """What DSSE signs."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


class Key:
    def __init__(self, kind="p256"):
        self.kind = kind
        if kind == "ed25519":
            self.private = ed25519.Ed25519PrivateKey.generate()
        elif kind == "rsa":
            self.private = rsa.generate_private_key(65537, 2048)
        else:
            self.private = ec.generate_private_key((CURVES.get(kind) or (ec.SECP256K1,))[0]())
        self.pem = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        self.hint = hashlib.sha256(self.pem.encode()).hexdigest()

    def raw(self, data):
        if self.kind == "ed25519":
            return self.private.sign(data)
        if self.kind == "rsa":
            from cryptography.hazmat.primitives.asymmetric import padding
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(data, ec.ECDSA(CURVES.get(self.kind, (None, hashes.SHA256))[1]()))

    def envelope(self, payload, kind=IN_TOTO, keyid=None):
        """A signed envelope as a dict; payload is bytes, or what JSON is made from."""
        payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return {"payload": base64.b64encode(payload).decode(), "payloadType": kind,
                "signatures": [{"sig": base64.b64encode(self.raw(pae(kind, payload))).decode(),
                                "keyid": self.hint if keyid is None else keyid}]}

    def claim(self, origin, user, **other):
        return self.envelope({"origin": origin, "user": user, "publicKey": self.pem, "name": "laptop", **other}, KEY_TYPE)


def origin_of(person):
    return person.http.get("/log/vkey").text.split("+")[0]


def register(person, key=None):
    """A key that the hub knows as the person's."""
    key = key or Key()
    answer = person.http.post("/api/settings/signing-keys", json=key.claim(origin_of(person), person.name))
    assert answer.status_code == 201, answer.text
    return key


def statement(commit, predicate_type, predicate, **digests):
    digest = {"gitCommit": commit, **digests}
    return {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "a model", "digest": digest}],
            "predicateType": predicate_type, "predicate": predicate}


def approval(commit, decision="approve", **more):
    return statement(commit, APPROVAL, {"decision": decision, "at": new_name("t"), **more})


def deployment(commit, phase="start", **more):
    if phase == "start":
        more.setdefault("env", "prod")
    return statement(commit, DEPLOYMENT, {"phase": phase, "at": new_name("t"), **more})


def release(commit, version, purl="pkg:generic/some/model@{}", **more):
    return statement(commit, RELEASE, {"purl": purl.format(version), **more})


def test_result(commit, **more):
    return statement(commit, TEST_RESULT, {"result": "PASSED", "configuration": [], **more})


test_result.__test__ = False


def post(person, repo, envelope, to="attestations"):
    content = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    return person.http.post(f"/api/models/{repo}/{to}", content=content, headers={"content-type": "application/json"})


def say(person, key, repo, what, to="attestations"):
    """Signs and sends a statement that must be taken; returns the hub's answer."""
    answer = post(person, repo, key.envelope(what), to)
    assert answer.status_code == 201, answer.text
    return answer.json()


def leaf_at(person, repo, index):
    """The leaf of an entry of the log, as the repo's history has it."""
    for entry in person.http.get(f"/api/models/{repo}/provenance?limit=1000").json()["entries"]:
        if entry["index"] == index:
            return json.loads(entry["leaf"])
    raise AssertionError(f"entry {index} is not in the history of {repo}")
