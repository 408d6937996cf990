# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for what the tests start. conftest.py takes one before the client library may be imported, so this imports nothing of ours."""

import itertools
import os
import random
import socket
from pathlib import Path

FIRST = 11_000  # browsers refuse 10080


def _mine():
    """Below those that the kernel gives to whoever asks for any: between the moment when we look and the one when a hub listens, or while
    it is stopped, such a port can become somebody else's. Each worker of pytest has some of its own, and another run begins elsewhere."""
    try:
        end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        end = 32_768
    workers, number = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)), int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    some = max(0, end - FIRST) // workers
    ports = list(range(FIRST + number * some, FIRST + (number + 1) * some)) or [0]
    start = random.SystemRandom().randrange(len(ports))
    return itertools.cycle(ports[start:] + ports[:start])


_ports = _mine()


def free_port():
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
