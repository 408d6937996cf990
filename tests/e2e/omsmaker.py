# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes signatures of models (OpenSSF Model Signing v1.0) from the specification: provenance 2."""

import base64
import datetime
import hashlib
import json

import blake3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HASHES = {"sha256": lambda data: hashlib.sha256(data).digest(), "blake2b": lambda data: hashlib.blake2b(data).digest(),
          "blake3": lambda data: blake3.blake3(data).digest()}
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
END = datetime.datetime(2026, 7, 1, tzinfo=datetime.timezone.utc)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate(key, name, issuer=None, issuer_name=None):
    """A signer's, valid in the first half of 2026; without an issuer an authority's own, valid for long."""
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer_name or name))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(START if issuer else datetime.datetime(2020, 1, 1))
               .not_valid_after(END if issuer else datetime.datetime(2060, 1, 1))
               .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
               .add_extension(x509.KeyUsage(digital_signature=issuer is not None, key_cert_sign=issuer is None, crl_sign=issuer is None,
                                            content_commitment=False, key_encipherment=False, data_encipherment=False,
                                            key_agreement=False, encipher_only=False, decipher_only=False), critical=True))
    return builder.sign(issuer or key, hashes.SHA256())


def resources(files, hash_, shard):
    for name in sorted(files):
        data = files[name]
        if not shard:
            yield {"name": name, "algorithm": hash_, "digest": HASHES[hash_](data).hex()}
        for start in range(0, len(data) if shard else 0, shard or 1):
            end = min(start + shard, len(data))
            yield {"name": f"{name}:{start}:{end}", "algorithm": f"{hash_}-sharded-{shard}",
                   "digest": HASHES[hash_](data[start:end]).hex()}


def bundle(files, key, chain=None, hash_="sha256", shard=None, ignore=()):
    listed = list(resources(files, hash_, shard))
    root = hashlib.sha256(b"".join(bytes.fromhex(item["digest"]) for item in listed)).hexdigest()
    how = {"method": "shards", "shard_size": shard} if shard else {"method": "files"}
    statement = json.dumps({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "flora", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": how | {"hash_type": hash_, "allow_symlinks": False, "ignore_paths": list(ignore)},
                      "resources": listed}}).encode()
    kind = b"application/vnd.in-toto+json"
    sig = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement), ec.ECDSA(hashes.SHA256()))
    material = {"publicKey": {"hint": hashlib.sha256(public_pem(key)).hexdigest()}} if chain is None else {
        "x509CertificateChain": {"certificates": [
            {"rawBytes": base64.b64encode(one.public_bytes(serialization.Encoding.DER)).decode()} for one in chain]}}
    return json.dumps({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material | {"tlogEntries": []},
        "dsseEnvelope": {"payload": base64.b64encode(statement).decode(), "payloadType": kind.decode(),
                         "signatures": [{"sig": base64.b64encode(sig).decode(), "keyid": ""}]}})
