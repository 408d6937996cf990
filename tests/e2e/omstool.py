# SPDX-License-Identifier: GPL-3.0-or-later
"""People who sign models: their keys and certificates in files, and the field's reference tool."""

import json
import os
import subprocess
import sys

from cryptography.hazmat.primitives import serialization

import statements
from statements import IN_TOTO
from support import ROOT

TOOL = ROOT / ".venv" / "signing"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Key(statements.Key):
    """Somebody's key, also in files: .file and .public."""

    def __init__(self, folder, name="key", kind="p256"):
        super().__init__(kind)
        self.file, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        self.file.write_bytes(self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.public.write_text(self.pem)

    def bundle(self, statement):
        """A signature file as other people's programs would write it."""
        return json.dumps({
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
            "dsseEnvelope": self.envelope(statement, IN_TOTO, keyid=""),
        }).encode()


class Authority:
    """Somebody who certifies keys."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name, self.key = folder, name, Key(folder, name)
        self.certificate = folder / f"{name}.crt"
        openssl("req", "-x509", "-new", "-key", self.key.file, "-subj", f"/CN={name}", "-days", 2, "-out", self.certificate,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def certify(self, key, name, usage="digitalSignature"):
        """The certificate of somebody's key, in a file."""
        request, rules, made = (self.folder / f"{name}.{ending}" for ending in ("csr", "ext", "crt"))
        openssl("req", "-new", "-key", key.file, "-subj", f"/CN={name}", "-out", request)
        rules.write_text(f"keyUsage=critical,{usage}\nbasicConstraints=critical,CA:FALSE\n"
                         "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key.file, "-CAcreateserial", "-days", 1,
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
    reference("sign", "key", folder, "--private_key", key.file, "--signature", out, *more)
    return out.read_bytes()


def reference_accepts(folder, signature, key):
    """Whether the tool says that the folder is what the key has signed. What the hub's client keeps in it is left out."""
    done = reference("verify", "key", folder, "--signature", signature, "--public_key", key.public, "--ignore-paths", folder / ".cache",
                     check=False)
    assert (done.returncode == 0) == ("Verification succeeded" in done.stdout), done.stdout + done.stderr
    return done.returncode == 0
