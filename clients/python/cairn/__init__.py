# SPDX-License-Identifier: LGPL-3.0-or-later
"""Is this model what its hub logged, and what its author signed?

    import cairn

    cairn.verify("./flora", proof="flora.tlog-proof", policy="policy.txt")

A thin binding of libcairn (include/cairn/verify.h). The library is found by its name, beside the program
`cairn`, or where CAIRN_LIBRARY says.
"""

import ctypes
import ctypes.util
import json
import os
import shutil
from typing import NamedTuple, Optional

__all__ = ["CouldNotVerify", "Finding", "Report", "VerificationError", "verify", "version"]


class Finding(NamedTuple):
    """One thing that was found out, in one line."""

    outcome: str  #: "passed", "failed", "unable", "misused", or "note" for what is only to be known
    check: str  #: "checkpoint", "inclusion", "leaf", "opening", "files", "tensors", "signature", "key", …
    text: str  #: what, and why


class Report(NamedTuple):
    """What a verification found."""

    findings: list
    leaf: Optional[dict]  #: the entry of the log that was proved, where there was a proof
    log: Optional[dict]  #: the log: origin, size, root, index of the entry, cosignatures, seenBy


class VerificationError(Exception):
    """A check failed. `findings` has all that were made; the message is of those that did not pass."""

    def __init__(self, report):
        self.report, self.findings = report, report.findings
        super().__init__("\n".join(finding.text for finding in self.findings if finding.outcome in ("failed", "unable")))


class CouldNotVerify(VerificationError):
    """No check failed, but one could not be made: a file cannot be read, or a hub does not answer."""



_Progress = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
_VERIFIED, _FAILED, _MISUSED, _UNABLE = range(4)
_library = None


def _beside_the_program():
    """Where the library is after `make`, without an installation."""
    program = shutil.which("cairn")
    library = program and os.path.join(os.path.dirname(os.path.realpath(program)), "libcairn.so")
    return library if library and os.path.exists(library) else None


def _load():
    """Loads libcairn once, so that importing this module needs nothing."""
    global _library
    if _library is not None:
        return _library
    name = os.environ.get("CAIRN_LIBRARY") or ctypes.util.find_library("cairn") or _beside_the_program() or "libcairn.so.0"
    try:
        library = ctypes.CDLL(name)
    except OSError as problem:
        raise ImportError(f"libcairn cannot be loaded ({problem}): install it, or say in CAIRN_LIBRARY where it is") from None
    for function, result, arguments in (
        ("cairn_verify_new", ctypes.c_void_p, []),
        ("cairn_verify_free", None, [ctypes.c_void_p]),
        ("cairn_verify_set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]),
        ("cairn_verify_on_progress", None, [ctypes.c_void_p, _Progress, ctypes.c_void_p]),
        ("cairn_verify_run", ctypes.c_int, [ctypes.c_void_p]),
        ("cairn_verify_json", ctypes.c_char_p, [ctypes.c_void_p]),
        ("cairn_version", ctypes.c_char_p, []),
    ):
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    _library = library
    return library


def _bytes(value):
    """A setting as libcairn takes it: flags as "1", paths as their bytes."""
    if value is None or value is False:
        return None
    return b"1" if value is True else os.fsencode(value)


def verify(path=None, *, proof=None, vkey=None, policy=None, max_age=None, tensor=None, tensors=False, partial=False, links=False, bundle=None, key=None,
           certificate_chain=None, at=None, hub=None, repo=None, type=None, revision=None, token=None, log=None, state=None,
           progress=None):
    """Verifies the files in the folder `path`, and returns a Report when everything that was named is right.

    Against a proof file, offline:
      proof        path of the revision's .tlog-proof; without `path` only the proof itself is verified
      vkey         the log's key, "name+id+base64", or
      policy       path of a policy file with logs, witnesses and a quorum (with both, the key is that of vkey)
      max_age      with a policy: how old the word of a quorum of witnesses may be: "90s", "15m", "36h", "7d"
      tensor       path of the hub's proof of one tensor: only that tensor is checked, wherever in the folder it is
      tensors      also compare the digests of all tensors in safetensors files
      partial      files may be missing from the folder
      links        follow symbolic links to files, as in the cache of huggingface_hub
    Against the author's signature (OpenSSF Model Signing), offline, alone or beside a proof:
      bundle       path of the signature
      key          path of the author's public key (PEM), or
      certificate_chain  path of the certificates (PEM) that may vouch for the signer's; at: as of when, "2026-11-24T04:09:00Z"
    Against a hub, which is asked for the proof:
      hub          its address; without vkey and policy its key is trusted the first time, and remembered
      repo         "ns/name"; type: "model", "dataset" or "space"; revision: "main" when not given
      token        for repos that not everybody may read; HF_TOKEN when not given
    A whole log, alone:
      log          its address, or a folder of its files
    state          the folder that remembers keys and checkpoints, for hub and log
    progress       called with a line of text now and then

    Raises VerificationError when a check failed, its kind CouldNotVerify when one could not be made, ValueError when the
    arguments do not fit together or leave nothing to check, and ImportError without libcairn.
    """
    if hub is not None and token is None:
        token = os.environ.get("HF_TOKEN") or None
    settings = {"folder": path, "proof": proof, "vkey": vkey, "policy": policy, "max-age": max_age, "tensor": tensor, "tensors": tensors, "partial": partial,
                "links": links, "bundle": bundle, "key": key, "certificate-chain": certificate_chain, "at": at, "hub": hub,
                "repo": repo, "type": type, "revision": revision, "token": token, "log": log, "state": state}
    library = _load()
    handle = library.cairn_verify_new()
    try:
        for name, value in settings.items():
            if library.cairn_verify_set(handle, name.encode(), _bytes(value)) != 0:
                raise ImportError(f"this libcairn does not know the setting {name}: it is older than this module")
        call = _Progress(lambda context, line: progress(line.decode()) if progress else None)
        if progress:
            library.cairn_verify_on_progress(handle, call, None)
        verdict = library.cairn_verify_run(handle)
        found = json.loads(library.cairn_verify_json(handle))
    finally:
        library.cairn_verify_free(handle)
    report = Report([Finding(**finding) for finding in found["findings"]], found.get("leaf"), found.get("log"))
    if verdict == _VERIFIED:
        return report
    if verdict == _MISUSED:
        raise ValueError(" ".join(finding.text for finding in report.findings if finding.outcome == "misused"))
    raise (CouldNotVerify if verdict == _UNABLE else VerificationError)(report)


def version():
    """The version of libcairn."""
    return _load().cairn_version().decode()
