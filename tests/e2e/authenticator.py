# SPDX-License-Identifier: GPL-3.0-or-later
"""A passkey device in Python, written from Web Authentication level 2 and RFC 9053, so that the tests can also make it lie."""

import base64
import hashlib
import json
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PRESENT, VERIFIED, CREDENTIAL, EXTENSIONS = 0x01, 0x04, 0x40, 0x80


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def cbor(value):
    """Canonical enough: maps keep the order that they are given in."""
    def head(major, number):
        for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 24:
                return bytes([major << 5 | number])
            if number < 1 << (8 * width):
                return bytes([major << 5 | info]) + number.to_bytes(width, "big")
        raise ValueError(number)
    if isinstance(value, bool):
        return bytes([0xF4 + value])
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


class Device:
    def __init__(self, algorithm="ES256", origin="http://localhost"):
        self.algorithm, self.origin, self.count, self.id = algorithm, origin, 0, os.urandom(32)
        self.key = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate,
                    "RS256": lambda: rsa.generate_private_key(65537, 2048)}[algorithm]()

    def public_key(self):
        public = self.key.public_key()
        if self.algorithm == "EdDSA":
            return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        if self.algorithm == "RS256":
            return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}

    def sign(self, data):
        if self.algorithm == "EdDSA":
            return self.key.sign(data)
        if self.algorithm == "RS256":
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def data(self, rp_id, flags, rest=b""):
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", self.count) + rest

    def client(self, kind, challenge, /, **more):
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin, "crossOrigin": False,
                           **more}).encode()

    def create(self, options, *, rp_id=None, flags=PRESENT | VERIFIED | CREDENTIAL, public_key=None, attestation=None,
               client=None, extra=b"", **more):
        """The answer to options for registering; what is given here replaces what an honest device would say."""
        key = cbor(self.public_key()) if public_key is None else public_key
        credential = bytes(16) + struct.pack(">H", len(self.id)) + self.id + key if flags & CREDENTIAL else b""
        data = self.data(rp_id or options["rp"]["id"], flags, credential + extra)
        object_ = cbor({"fmt": "none", "attStmt": {}, "authData": data}) if attestation is None else attestation(data)
        client = self.client("create", options["challenge"], **more) if client is None else client
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "attestationObject": b64(object_), "transports": ["internal"]}}

    def get(self, options, *, rp_id=None, flags=PRESENT | VERIFIED, client=None, signature=None, count=1, extra=b"", **more):
        self.count += count
        data = self.data(rp_id or options["rpId"], flags, extra)
        client = self.client("get", options["challenge"], **more) if client is None else client
        signature = self.sign(data + hashlib.sha256(client).digest()) if signature is None else signature
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature)}}
