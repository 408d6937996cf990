# SPDX-License-Identifier: GPL-3.0-or-later
"""People who sign models: their keys and certificates in files, and the field's reference tool.

As a program of its own, since its packages are not those of the other tests, it reads the words of a command of the tool as JSON a line,
and prints for each the exit status and what was said.
"""

import atexit
import contextlib
import functools
import io
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


@functools.cache
def tool():
    """Its packages take a second to load, so there is one program for all commands."""
    assert (TOOL / "model_signing-1.1.1.dist-info").is_dir(), "the reference tool is missing: run make test-deps"
    program = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(TOOL)})
    atexit.register(program.kill)
    return program


def reference(*words, check=True):
    """Runs a command of model_signing 1.1.1; what it returned and said."""
    program = tool()
    program.stdin.write(json.dumps([str(word) for word in words]) + "\n")
    program.stdin.flush()
    status, said = json.loads(program.stdout.readline())
    assert not check or status == 0, said
    return status, said


def reference_signs(folder, key, out, *more):
    reference("sign", "key", folder, "--private_key", key.file, "--signature", out, *more)
    return out.read_bytes()


def reference_accepts(folder, signature, key):
    """Whether the tool says that the folder is what the key has signed. What the hub's client keeps in it is left out."""
    status, said = reference("verify", "key", folder, "--signature", signature, "--public_key", key.public,
                             "--ignore-paths", folder / ".cache", check=False)
    assert (status == 0) == ("Verification succeeded" in said), said
    return status == 0


def answer(words):
    """What `python -m model_signing WORDS…` does."""
    from model_signing._cli import main

    status, said = 0, io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(words, prog_name="model_signing")
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:  # of which Python would make a status as well
            status = repr(error)
    return status, said.getvalue()


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
