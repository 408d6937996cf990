# SPDX-License-Identifier: GPL-3.0-or-later
"""A second implementation of tensorRoot (provenance 3.5), to check ours against: it reads files with the safetensors package."""

import hashlib
import json
import struct

import numpy
from safetensors.numpy import load, save

from tlog import leaf_hash, root_of

DTYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "int32": "I32", "uint8": "U8", "bool": "BOOL"}


def matrix(seed, *shape, dtype="float32"):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def entry(name, array):
    raw = numpy.ascontiguousarray(array).tobytes()
    name, dtype = name.encode(), DTYPES[array.dtype.name].encode()
    shape = b"".join(struct.pack(">Q", size) for size in array.shape)
    return (struct.pack(">I", len(name)) + name + struct.pack(">I", len(dtype)) + dtype + struct.pack(">I", array.ndim) + shape
            + hashlib.sha256(raw).digest())


def tensor_root(*files):
    """Of the files' bytes, as a revision holds them."""
    entries = {}
    for file in files:
        for name, array in load(file).items():
            entries.setdefault(name.encode(), set()).add(entry(name, array))
    assert all(len(same) == 1 for same in entries.values())
    return root_of([leaf_hash(*entries[name]) for name in sorted(entries)]).hex()


def crafted(header, data=b"", length=None):
    """A file with any header, for those that no library would write."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


__all__ = ["crafted", "entry", "matrix", "save", "tensor_root"]
