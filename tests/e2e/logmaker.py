# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes small transparency logs with keys of its own, right ones and wrong ones: what cairn verify is to tell apart. Written from
the specifications, like tlog.py that it builds on."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tlog import digest, dir_hash, leaf_hash, number_path, root_of


def b64(data):
    return base64.b64encode(data).decode()


class Signer:
    """A log's key (kind 1) or a witness's (kind 4)."""

    def __init__(self, name, kind=1):
        self.name, self.kind, self.key = name, kind, Ed25519PrivateKey.generate()
        raw = bytes([kind]) + self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = digest(name.encode() + b"\n" + raw)[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(raw)}"

    def line(self, text, time=1_700_000_000):
        if self.kind == 4:
            stamp = time.to_bytes(8, "big")
            blob = stamp + self.key.sign(b"cosignature/v1\ntime %d\n" % time + text.encode())
        else:
            blob = self.key.sign(text.encode())
        return f"\u2014 {self.name} {b64(self.id + blob)}\n"


def inclusion(hashes, index):
    """PATH of RFC 6962 section 2.1.1."""
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return inclusion(hashes[:split], index) + [root_of(hashes[split:])]
    return inclusion(hashes[split:], index - split) + [root_of(hashes[:split])]


REPO = "00112233445566778899aabbccddeeff"


class LogMaker:
    def __init__(self, origin="hub.example.org/log", signer=None, witnesses=0):
        self.signer = signer or Signer(origin)
        self.witnesses = [Signer(f"witness.example/w{i}", 4) for i in range(witnesses)]
        self.entries, self.chains, self.heads = [], {}, {}

    def add(self, type_, body, repo=REPO, **more):
        """A leaf by the hub; of a repo, it goes on with the repo's chain."""
        leaf = {"v": 1, "type": type_, "ts": "2026-11-24T04:09:00Z", "actor": "hub", "auth": "hub-asserted", "b": body}
        if repo:
            rseq, previous = self.chains.get(repo, (0, bytes(32)))
            leaf |= {"repo": repo, "rseq": rseq, "rprev": previous.hex()}
        leaf |= more
        entry = json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
        if repo:
            self.chains[repo] = (leaf["rseq"] + 1, leaf_hash(entry))
            self.heads[repo] = (leaf["rseq"], leaf_hash(entry))
        self.entries.append(entry)
        return len(self.entries) - 1

    def add_manifest(self, files, commit="ab" * 20, **body):
        digests = [hashlib.sha256(files[name]).digest() for name in sorted(files)]
        body = {"files": len(files), "bytes": sum(map(len, files.values())), "dirHash1": dir_hash(files),
                "omsRoot": digest(b"".join(digests)).hex()} | body
        return self.add("manifest", body, subj=[{"alg": "gitCommit", "d": commit}])

    def add_heads(self, covers=None, root=None):
        entries = [bytes.fromhex(repo) + rseq.to_bytes(8, "big") + hash_ for repo, (rseq, hash_) in sorted(self.heads.items())]
        root = root or root_of([leaf_hash(entry) for entry in entries]).hex()
        return self.add("repo-heads", {"count": len(entries), "covers": len(self.entries) if covers is None else covers,
                                       "root": root}, repo=None)

    def hashes(self, size=None):
        return [leaf_hash(entry) for entry in self.entries[:size]]

    def checkpoint(self, size=None, cosigned=None, signer=None):
        size = len(self.entries) if size is None else size
        signer = signer or self.signer
        text = f"{self.signer.name}\n{size}\n{b64(root_of(self.hashes(size)))}\n"
        lines = [witness.line(text) for witness in self.witnesses[:cosigned]]
        return text + "\n" + signer.line(text) + "".join(lines)

    def policy(self, quorum="all"):
        names = [f"w{i}" for i in range(len(self.witnesses))]
        lines = [f"log {self.signer.vkey}", *(f"witness {name} {witness.vkey}" for name, witness in zip(names, self.witnesses)),
                 f"group g {quorum} {' '.join(names)}", "quorum g"]
        return "\n".join(lines) + "\n"

    def proof(self, index, files=None, openings=(), size=None, leaf=None, path=None, checkpoint=None, **extra):
        entry = leaf or self.entries[index].decode()
        extra = {"leaf": entry, "openings": list(openings)} | extra
        if files is not None:
            extra["files"] = [{"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                              for name, data in sorted(files.items())]
        path = inclusion(self.hashes(size), index) if path is None else path
        hashes = "".join(b64(hash_) + "\n" for hash_ in path)
        text = json.dumps(extra).encode()
        return f"c2sp.org/tlog-proof@v1\nextra {b64(text)}\nindex {index}\n{hashes}\n{checkpoint or self.checkpoint(size)}"

    def opening(self, field, value, repo=REPO, rseq=None):
        """A commitment for the next leaf of the repo, and what opens it."""
        rseq = self.chains.get(repo, (0, None))[0] if rseq is None else rseq
        secret = digest(field.encode() + b"secret")
        message = b"hubcommit1\0" + field.encode() + b"\0" + bytes.fromhex(repo) + rseq.to_bytes(8, "big") + value.encode()
        return hmac.digest(secret, message, "sha256").hex(), {"field": field, "secret": secret.hex(), "value": value}

    def write(self, folder, size=None):
        """The log as files, in the layout of tlog-tiles."""
        size = len(self.entries) if size is None else size
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint").write_text(self.checkpoint(size))
        (folder / "vkey").write_text(self.signer.vkey + "\n")
        level, hashes = 0, self.hashes(size)
        while hashes:
            for number in range((len(hashes) + 255) // 256):
                tile = hashes[number * 256:][:256]
                name = number_path(number) + (f".p/{len(tile)}" if len(tile) < 256 else "")
                self.write_file(folder / "tile" / str(level) / name, b"".join(tile))
                if level == 0:
                    entries = self.entries[:size][number * 256:][:256]
                    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
                    self.write_file(folder / "tile" / "entries" / name, bundle)
            hashes = [root_of(hashes[i * 256:][:256]) for i in range(len(hashes) // 256)]
            level += 1
        return folder

    @staticmethod
    def write_file(path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
