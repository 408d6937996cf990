#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-3.0-or-later
"""Made the golden values of tensor_root_test.c, from provenance 3.5 and RFC 6962 alone. Prints them as C."""

import hashlib
import struct


def digest(data):
    return hashlib.sha256(data).digest()


def root(leaves):
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return digest(b"")
    if len(leaves) == 1:
        return digest(b"\0" + leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return digest(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def entry(name, dtype, shape, raw):
    text = lambda data: struct.pack(">I", len(data)) + data  # noqa: E731
    return text(name) + text(dtype) + struct.pack(">I", len(shape)) + b"".join(struct.pack(">Q", size) for size in shape) + digest(raw)


def tensor(number):
    """Tensor number of the test: names that do not sort as they come, every rank from 0 to 3, raw bytes of its number."""
    name = b"layer.%d.weight" % (number * 7 % 20)
    shape = [(), (number,), (2, number), (1, number, 3)][number % 4]
    size = 1
    for dimension in shape:
        size *= dimension
    return name, b"U8", shape, bytes([number]) * size


if __name__ == "__main__":
    for count in (0, 1, 2, 3, 4, 5, 8, 13, 20):
        leaves = [entry(*tensor) for tensor in sorted(tensor(number) for number in range(count))]
        print(f'    {{{count}, "{root(leaves).hex()}"}},')
    print(entry("é".encode(), b"BF16", (2, 2**40), b"").hex())
