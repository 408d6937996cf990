# SPDX-License-Identifier: GPL-3.0-or-later
"""Plumbing of the tests with two houses: the second house as a process."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx

from support import BINARY, SANITIZER, free_port


class House:
    """`cairn house` on a folder of its own."""

    def __init__(self, folder, flags=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data, self.log, self.flags = self.folder / "house", self.folder / "house.log", list(flags)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.said = ""

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([BINARY, "house", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.flags],
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"})
        self.said = self.process.stdout.readline()
        assert self.said, self.log.read_text()
        return self

    @property
    def keys(self):
        return httpx.get(f"{self.url}/v1/keys").json()

    @property
    def key_id(self):
        return self.said.split()[-1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process = None
        text = self.log.read_text(errors="replace")
        assert status == 0 and not SANITIZER.search(text), text[-6000:]
