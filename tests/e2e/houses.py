# SPDX-License-Identifier: GPL-3.0-or-later
"""Plumbing of the tests with two houses: the second house as a process."""

import http.server
import os
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import numpy
from blake3 import blake3

from support import BINARY, PATIENCE, SANITIZER, free_port, new_name, until


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
        status = self.process.wait(PATIENCE)
        self.process = None
        text = self.log.read_text(errors="replace")
        assert status == 0 and not SANITIZER.search(text), text[-6000:]


class Between(http.server.ThreadingHTTPServer):
    """Passes on to `target` (its url) what it is asked. answer(path, ask) may be replaced: ask() gives what the target answers, None is 502."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Passing)
        self.target, self.answer = target, lambda path, ask: ask()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # who was killed does not take the answer


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding", "expect")}

        def ask():
            try:
                return httpx.request(self.command, self.server.target.url + self.path, content=body, headers=headers, timeout=60)
            except httpx.TransportError:
                return None

        answer = self.server.answer(self.path, ask)
        content = answer.content if answer else b""
        self.send_response(answer.status_code if answer else 502)
        for name in ("content-type", "content-range", "x-error-code", "location"):
            if answer and name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = pass_on


class Reporter:
    """One who takes part with what tool_report makes of a change of the model, honest or evil."""

    def __init__(self, person, repo, folder):
        self.http, self.address, self.folder = person.http, f"/api/models/{repo}/federate", Path(folder)

    def join(self):
        answer = self.http.post(f"{self.address}/join", json={})
        assert answer.status_code == 200, answer.text
        return self

    def round(self):
        return self.http.get(f"{self.address}/round").json()

    def state(self):
        return self.round()["update"]["state"]

    def make(self, change, kind="honest", nonce=None):
        told = until(lambda: [told for told in [self.round()] if "config" in told])[0]  # a round begins once both houses have signed
        place = self.folder / new_name("report")
        place.mkdir()
        (place / "config").write_text(told["config"])
        (place / "numbers").write_bytes(change.astype(numpy.float32).tobytes())
        command = [BINARY.resolve().parent / "tool_report", place / "config", kind, place / "numbers", place / "leader", *([nonce] if nonce else [])]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and not SANITIZER.search(done.stderr), done.stderr
        return told["round"], (place / "leader").read_bytes(), done.stdout.strip()

    def deliver(self, number, leader, report):
        put = self.http.put(f"{self.address}/update", params={"round": number, "offset": 0}, content=leader)
        if put.status_code != 200:
            return put
        return self.http.post(f"{self.address}/update", json={"round": number, "examples": 1, "blake3": blake3(leader).hexdigest(), "report": report})

    def send(self, change, kind="honest", nonce=None):
        return self.deliver(*self.make(change, kind, nonce))
