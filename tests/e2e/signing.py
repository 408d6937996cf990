# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates of people who sign, made by OpenSSL's command, and the field's reference tool for signatures of models."""

import base64
import json
import os
import subprocess
import sys

from support import ROOT, sha256

TOOL = ROOT / ".venv" / "signing"
KEY_TYPE = "application/vnd.cairn.signing-key+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def openssl(*words, **how):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **how).stdout


def pae(kind, payload):
    """What DSSE signs (its specification, "PAE")."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def text(data):
    return base64.b64encode(data).decode()


class Key:
    """Somebody's key, in files: .private and .public."""

    def __init__(self, folder, name="key", curve="P-256"):
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)
        self.hint = sha256(self.public.read_bytes())

    def sign(self, data):
        return openssl("dgst", "-sha256", "-sign", self.private, input=data)

    def envelope(self, kind, payload):
        return {"payload": text(payload), "payloadType": kind, "signatures": [{"sig": text(self.sign(pae(kind, payload))), "keyid": ""}]}

    def bundle(self, statement):
        """A signature file as other people's programs would write it."""
        return json.dumps({
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
            "dsseEnvelope": self.envelope("application/vnd.in-toto+json", statement),
        }).encode()

    def register(self, person, name="laptop"):
        """Makes it one of the person's signing keys on the hub."""
        origin = person.http.get("/log/vkey").text.split("+")[0]
        claim = {"origin": origin, "user": person.name, "name": name, "publicKey": self.public.read_text()}
        answer = person.http.post("/api/settings/signing-keys", json=self.envelope(KEY_TYPE, json.dumps(claim).encode()))
        assert answer.status_code == 201, answer.text
        return self


class Authority:
    """Somebody who certifies keys."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name, self.key = folder, name, Key(folder, name)
        self.certificate = folder / f"{name}.crt"
        openssl("req", "-x509", "-new", "-key", self.key.private, "-subj", f"/CN={name}", "-days", 2, "-out", self.certificate,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def certify(self, key, name, usage="digitalSignature"):
        """The certificate of somebody's key, in a file."""
        request, rules, made = (self.folder / f"{name}.{ending}" for ending in ("csr", "ext", "crt"))
        openssl("req", "-new", "-key", key.private, "-subj", f"/CN={name}", "-out", request)
        rules.write_text(f"keyUsage=critical,{usage}\nbasicConstraints=critical,CA:FALSE\n"
                         "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key.private, "-CAcreateserial", "-days", 1,
                "-extfile", rules, "-out", made)
        return made


def reference(*words, check=True):
    """Runs model_signing 1.1.1."""
    assert (TOOL / "model_signing-1.1.1.dist-info").is_dir(), "the reference tool is missing: run make test-deps"
    done = subprocess.run([sys.executable, "-m", "model_signing", *map(str, words)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(TOOL)}, timeout=300)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def reference_signs(folder, key, out, *more):
    reference("sign", "key", folder, "--private_key", key.private, "--signature", out, *more)
    return out.read_bytes()


def reference_accepts(folder, signature, key):
    """Whether the tool says that the folder is what the key has signed. What the hub's client keeps in it is left out."""
    done = reference("verify", "key", folder, "--signature", signature, "--public_key", key.public, "--ignore-paths", folder / ".cache",
                     check=False)
    assert (done.returncode == 0) == ("Verification succeeded" in done.stdout), done.stdout + done.stderr
    return done.returncode == 0
