# SPDX-License-Identifier: GPL-3.0-or-later
"""A participant of mode one-house written a second time, from docs/federated-one-house.md and src/cohort/cohort.h: what libcairn and the hub
agree on is what is written there. And one who may lie."""

import hashlib
import json
import secrets
import time

import numpy
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VALUES = 1 << 20
SECRET, MEMBER, SEALED, SIGNATURE = 32, 168, 80, 64


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def gf_multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11b if a & 0x80 else 0)
        b >>= 1
    return product


def split(secret, threshold, count):
    """Shamir's shares, byte by byte, at 1 to count."""
    lines = [[byte, *secrets.token_bytes(threshold - 1)] for byte in secret]
    shares = []
    for x in range(1, count + 1):
        share = bytearray()
        for line in lines:
            value = 0
            for coefficient in reversed(line):
                value = gf_multiply(value, x) ^ coefficient
            share.append(value)
        shares.append(bytes(share))
    return shares


def stream(key, count):
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return numpy.frombuffer(encryptor.update(bytes(4 * count)), "<u4").astype(numpy.int64)


def pack(numbers, bits):
    flat = numpy.array([[int(number) >> bit & 1 for bit in range(bits)] for number in numbers], numpy.uint8).ravel()
    return numpy.packbits(flat, bitorder="little").tobytes()


class Stranger:
    """values: whole numbers, of which a bound's length has 2^20."""

    def __init__(self, person, repo, model, values):
        self.http, self.address, self.values = person.http, f"/api/models/{repo}/federate", values
        self.model = hashlib.sha256(model).hexdigest()
        self.identity, self.done, self.attempt = Ed25519PrivateKey.generate(), set(), 0
        assert self.http.post(f"{self.address}/join", json={}).status_code == 200
        self.run = self.http.get(f"{self.address}/round").json()

    def signed(self, what, context, text):
        return self.identity.sign(b"cairn one-house " + what + b"\n" + context + text)

    def begin(self, told):
        self.attempt, self.done = told["attempt"], set()
        run = self.run
        about = {"attempt": self.attempt, "base": run["base"], "bound": run["bound"], "least": run["minParticipants"], "model": self.model,
                 "noise": run.get("noise", 0), "nonce": told["commitment"], "protocol": "cairn one-house 1", "round": run["round"],
                 "rule": run["rule"], "run": run["run"], "size": run["cohort"], "values": VALUES, "width": len(self.values)}
        text = json.dumps({key: int(value) if isinstance(value, float) and value == int(value) else value for key, value in about.items()},
                          separators=(",", ":"))
        self.ctx, self.commitment = sha256(text.encode()), bytes.fromhex(told["commitment"])
        self.mask, self.channel, self.own = X25519PrivateKey.generate(), X25519PrivateKey.generate(), secrets.token_bytes(SECRET)
        keys = bytes.fromhex(told["member"]) + self.identity.public_key().public_bytes_raw() + \
            self.mask.public_key().public_bytes_raw() + self.channel.public_key().public_bytes_raw()
        self.self = keys + self.signed(b"keys", self.ctx, keys)

    def keys(self, told):
        self.begin(told)
        return self.self

    def shared(self, private, public):
        return private.exchange(X25519PublicKey.from_public_bytes(public))

    def channel_key(self, sender, receiver):
        peer = receiver if sender == self.self else sender
        return hkdf(self.shared(self.channel, peer[72:104]), self.context, b"cairn one-house channel" + sender[72:104] + receiver[72:104])

    def deal(self, told):
        roster, nonce = bytes.fromhex(told["roster"]), bytes.fromhex(told["nonce"])
        assert sha256(nonce) == self.commitment
        members = [roster[at:at + MEMBER] for at in range(0, len(roster), MEMBER)]
        self.context = sha256(b"cairn one-house draw\n", nonce, sha256(roster), self.ctx)
        order = sorted(members, key=lambda member: sha256(self.context, member[:8]))
        size = self.run["cohort"]
        cohorts = len(order) // size if size else 1
        parts = [order[number * len(order) // cohorts:(number + 1) * len(order) // cohorts] for number in range(cohorts)]
        self.cohort, = [part for part in parts if self.self in part]
        assert len(self.cohort) <= 32  # in larger ones not everybody is a neighbour, which stands in finder.c alone
        self.neighbours = [member for member in self.cohort if member != self.self]
        self.threshold = (2 * len(self.neighbours) + 2) // 3
        pairs = zip(split(self.mask.private_bytes_raw(), self.threshold, len(self.neighbours)), split(self.own, self.threshold, len(self.neighbours)))
        sealed = [AESGCM(self.channel_key(self.self, peer)).encrypt(bytes(12), of_mask + of_own, None)
                  for peer, (of_mask, of_own) in zip(self.neighbours, pairs)]
        return hkdf(self.own, self.context, b"cairn one-house commitment") + b"".join(sealed)

    def rows(self, text, size):
        rows = bytes.fromhex(text)
        return [rows[at + 1:at + 1 + size] if rows[at] else None for at in range(0, len(rows), 1 + size)]

    def open(self, peer, sealed):
        try:
            return AESGCM(self.channel_key(peer, self.self)).decrypt(bytes(12), sealed, None)
        except InvalidTag:  # it has sealed it badly: there is no share of it to give later
            return None

    def mask_vector(self, told):
        dealt = self.rows(told["dealt"], SEALED)
        self.shares = [row and self.open(peer, row) for peer, row in zip(self.neighbours, dealt)]
        numbers = numpy.array(self.values, numpy.int64)
        own = self.self[40:72]
        numbers = numbers + stream(hkdf(self.own, self.context, b"cairn one-house own mask"), len(numbers))
        for peer, row in zip(self.neighbours, dealt):
            if row:
                first, second = sorted([own, peer[40:72]])
                mask = stream(hkdf(self.shared(self.mask, peer[40:72]), self.context, first + second), len(numbers))
                numbers = numbers + (mask if own > peer[40:72] else -mask)
        bits = (2 * len(self.cohort) * VALUES).bit_length()
        vector = pack(numbers % (1 << bits), bits)
        assert self.http.put(f"{self.address}/update", params={"round": self.run["round"], "offset": 0}, content=vector).status_code == 200
        return sha256(vector)

    def sign(self, told):
        self.survivors = bytes.fromhex(told["survivors"])
        return self.signed(b"survivors", self.context, self.survivors)

    def unmask(self, told):
        signatures = self.rows(told["signatures"], SIGNATURE)
        assert sum(row is not None for row in signatures) >= self.threshold
        out = b""
        for peer, share in zip(self.neighbours, self.shares):
            at = self.cohort.index(peer)
            survived = self.survivors[at // 8] >> at % 8 & 1
            out += b"\0" + bytes(SECRET) if not share else b"\1" + share[SECRET:] if survived else b"\2" + share[:SECRET]
        return out

    def post(self, step, message):
        return self.http.post(f"{self.address}/cohort", json={"attempt": self.attempt, "step": step, "message": message.hex()})

    def answer(self, told):
        """What is asked for; others may answer with something else."""
        return {"keys": self.keys, "deal": self.deal, "mask": self.mask_vector, "sign": self.sign, "unmask": self.unmask}[told["step"]](told)

    def take_part(self):
        """Until the round is over."""
        while True:
            told = self.http.get(f"{self.address}/cohort").json()
            if told["step"] == "over" or told["round"] != self.run["round"]:
                return
            if told["step"] != "wait" and (told["attempt"], told["step"]) not in self.done:
                answer = self.post(told["step"], self.answer(told))
                assert answer.status_code in (200, 409), answer.text
                self.done.add((told["attempt"], told["step"]))
            time.sleep(0.05)
