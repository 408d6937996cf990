# SPDX-License-Identifier: GPL-3.0-or-later
"""A second implementation of the log's formats, from the specifications, to check ours against: RFC 6962 trees, signed notes,
C2SP tiles and proof files. It reads a log over HTTP."""

import base64
import hashlib
import hmac
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def digest(data):
    return hashlib.sha256(data).digest()


def leaf_hash(entry):
    return digest(b"\0" + entry)


def node(left, right):
    return digest(b"\1" + left + right)


def root_of(hashes):
    """RFC 6962 section 2.1, over leaf hashes."""
    if not hashes:
        return digest(b"")
    level = list(hashes)
    while len(level) > 1:
        pairs = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2:]
    return level[0]


def includes(index, size, hash_, path, root):
    """provenance 1.2"""
    if index >= size:
        return False
    fn, sn = index, size - 1
    for other in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            hash_ = node(other, hash_)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            hash_ = node(hash_, other)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and hash_ == root


def number_path(number):
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


class Key:
    """A verifier key line: name+id+base64(kind, key)."""

    def __init__(self, line):
        self.name, id_, key = line.strip().split("+", 2)
        raw = base64.b64decode(key, validate=True)
        self.id, self.kind, self.key = bytes.fromhex(id_), raw[0], Ed25519PublicKey.from_public_bytes(raw[1:])
        assert digest(self.name.encode() + b"\n" + raw)[:4] == self.id


class Checkpoint:
    def __init__(self, note):
        self.note = note
        text, _, lines = note.rpartition("\n\n")
        self.text, self.lines = text + "\n", lines.splitlines()
        self.origin, size, root = self.text.splitlines()[:3]
        self.size, self.root = int(size), base64.b64decode(root, validate=True)

    def signature_of(self, key):
        for line in self.lines:
            dash, name, blob = line.split(" ")
            raw = base64.b64decode(blob, validate=True)
            if dash == "\u2014" and name == key.name and raw[:4] == key.id:
                return raw[4:]
        return None

    def signed_by(self, key):
        signature = self.signature_of(key)
        if signature is None:
            return False
        message = self.text.encode()
        if key.kind == 4:
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + message
            signature = signature[8:]
        try:
            key.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Proof:
    def __init__(self, text):
        head, _, self.note = text.partition("\n\n")
        lines = head.splitlines()
        assert lines.pop(0) == "c2sp.org/tlog-proof@v1"
        self.extra = json.loads(base64.b64decode(lines.pop(0).removeprefix("extra "))) if lines[0].startswith("extra ") else None
        self.index = int(lines.pop(0).removeprefix("index "))
        self.path = [base64.b64decode(line, validate=True) for line in lines]
        self.checkpoint = Checkpoint(self.note)
        self.leaf = json.loads(self.extra["leaf"])

    def holds(self, key):
        entry = self.extra["leaf"].encode()
        return self.checkpoint.signed_by(key) and includes(
            self.index, self.checkpoint.size, leaf_hash(entry), self.path, self.checkpoint.root)


class Log:
    """A log as anybody sees it; http is an httpx client of the hub."""

    def __init__(self, http, prefix="/log"):
        self.http, self.prefix = http, prefix
        self.key = Key(self.get("vkey").text)

    def get(self, path):
        answer = self.http.get(f"{self.prefix}/{path}")
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer

    def checkpoint(self):
        checkpoint = Checkpoint(self.get("checkpoint").text)
        assert checkpoint.origin == self.key.name and checkpoint.signed_by(self.key)
        return checkpoint

    def entries(self, size):
        found = []
        for number in range((size + 255) // 256):
            width = min(256, size - number * 256)
            data = self.get(f"tile/entries/{number_path(number)}" + (f".p/{width}" if width < 256 else "")).content
            while data:
                length = int.from_bytes(data[:2], "big")
                found.append(data[2:2 + length])
                data = data[2 + length:]
        assert len(found) == size
        return found

    def hashes(self, size):
        """Leaf hashes, from the tiles."""
        found = b""
        for number in range((size + 255) // 256):
            width = min(256, size - number * 256)
            found += self.get(f"tile/0/{number_path(number)}" + (f".p/{width}" if width < 256 else "")).content
        assert len(found) == 32 * size
        return [found[at:at + 32] for at in range(0, len(found), 32)]

    def extends(self, old):
        """Whether the log as it is now has the tree of an old checkpoint as its beginning."""
        new = self.checkpoint()
        hashes = self.hashes(new.size)
        assert root_of(hashes) == new.root
        return old.size <= new.size and root_of(hashes[:old.size]) == old.root

    def audited(self):
        """All leaves, after checking that they give the root and that each repo's chain has no gap."""
        checkpoint = self.checkpoint()
        entries = self.entries(checkpoint.size)
        assert root_of([leaf_hash(entry) for entry in entries]) == checkpoint.root
        newest, leaves = {}, []
        for entry in entries:
            leaf = json.loads(entry)
            if "repo" in leaf:
                rseq, before = newest.get(leaf["repo"], (-1, bytes(32)))
                assert (leaf["rseq"], leaf["rprev"]) == (rseq + 1, before.hex())
                newest[leaf["repo"]] = leaf["rseq"], leaf_hash(entry)
            leaves.append(leaf)
        return leaves


def dir_hash(files):
    """dirHash1 of {name: bytes}: what sha256sum says of a folder, hashed (provenance 2.3)."""
    lines = sorted((name.encode(), hashlib.sha256(data).hexdigest()) for name, data in files.items())
    return hashlib.sha256(b"".join(f"{hash_}  ".encode() + name + b"\n" for name, hash_ in lines)).hexdigest()


def opens(leaf, opening):
    """Whether the opening opens the leaf's commitment of its field (provenance 3.4)."""
    message = b"hubcommit1\0" + opening["field"].encode() + b"\0" + bytes.fromhex(leaf.get("repo", "0" * 32)) + leaf.get("rseq", 0).to_bytes(8, "big")
    made = hmac.digest(bytes.fromhex(opening["secret"]), message + opening["value"].encode(), "sha256")
    return made.hex() == leaf["com"][opening["field"]]
