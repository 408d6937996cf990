# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for what the tests start. conftest.py takes one before the client library may be imported, so this imports nothing of ours."""

import itertools
import socket
from pathlib import Path

FIRST, SOME = 11_000, 400  # browsers refuse 10080


def _mine():
    """Below those that the kernel gives to whoever asks for any: between the moment when we look and the one when a hub listens, or while
    it is stopped, such a port can become somebody else's. Each process that runs tests has some of its own, as long as it holds their name."""
    try:
        end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        end = 32_768
    for begin in range(FIRST, end - SOME, SOME):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0cairn-tests-{begin}")
            return name, itertools.cycle(range(begin, begin + SOME))
        except OSError:
            name.close()
    return None, itertools.repeat(0)


_name, _ports = _mine()


def free_port():
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
