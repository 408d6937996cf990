# SPDX-License-Identifier: GPL-3.0-or-later
"""Participants whose line breaks again and again, and who fall asleep in the middle of an upload: nothing of what was sent is lost."""

import contextlib
import os
import signal
import socket
import socketserver
import threading

import numpy
import pytest
from safetensors.numpy import load, save

from support import new_name, until
from test_federate import begin, ends, federate, new_model, run_of
from test_houses import house  # noqa: F401
from test_libcairn import preload  # noqa: F401

WIDTH = 1_500_000  # numbers: 6 MB as float32, so that an upload takes two pieces
CUT = 1_800_000  # bytes of uploads that a bad line carries before it breaks: less than a piece

PROGRAM = """
import json, sys
import numpy
import cairn.federate
lines = []

def train(model, config):
    return {"w": model["w"] + numpy.float32(sys.argv[4])}, 1

cairn.federate.join(*sys.argv[1:4], train, progress=lines.append)
print(json.dumps([line for line in lines if "bytes sent" in line or "line broke" in line]))
"""


class BadLine(socketserver.ThreadingTCPServer):
    """Passes bytes on to a hub, and breaks every connection after CUT bytes of an upload. at_cut is called at each cut; `sent` counts what uploads
    have carried."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, hub, at_cut):
        super().__init__(("127.0.0.1", 0), Passing)
        self.hub, self.at_cut, self.sent, self.cuts = hub, at_cut, 0, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Passing(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.hub.port)) as hub:
            back = threading.Thread(target=self.pass_back, args=(hub,), daemon=True)
            back.start()
            self.pass_on(hub)
            back.join()

    def pass_on(self, hub):
        uploading = sent = 0
        while data := self.request.recv(65536):
            if b" HTTP/1.1\r\n" in data[:4096]:
                uploading = data.startswith(b"PUT ")
            hub.sendall(data)
            sent += len(data) if uploading else 0
            self.server.sent += len(data) if uploading else 0
            if sent > CUT:
                self.server.cuts += 1
                self.server.at_cut()
                break
        self.end(hub)

    def pass_back(self, hub):
        with contextlib.suppress(OSError):
            while data := hub.recv(65536):
                self.request.sendall(data)
        self.end(hub)

    def end(self, hub):
        for side in (self.request, hub):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("mode, people", [("plain", 2), ("two-houses", 2), ("one-house", 3)])
def test_who_has_a_bad_line_and_falls_asleep_in_the_middle_of_an_upload_loses_nothing(alice, hub, house, preload, mode, people):  # noqa: F811
    repo = new_model(alice, {"w": numpy.zeros(WIDTH, numpy.float32)})
    federate(alice, "open", repo, "--mode", mode, "--rounds", 1, "--min-participants", people, "--grace", 60, "--bound", 2000,
             *(["--house", house.url] if mode == "two-houses" else []))
    crowd = [hub.person(new_name("part")) for _ in range(people)]
    asleep = threading.Event()

    def sleep():
        if not asleep.is_set():
            os.kill(parts[0].pid, signal.SIGSTOP)
            asleep.set()

    line = BadLine(hub, sleep)
    parts = [begin(PROGRAM, person, repo, preload, line.url if place == 0 else hub.url, 0.25 + 0.5 * place) for place, person in enumerate(crowd)]
    assert asleep.wait(200)
    if mode != "one-house":  # there nobody's is accepted before the sum is
        until(lambda: run_of(alice, repo)["accepted"] == people - 1)
    os.kill(parts[0].pid, signal.SIGCONT)
    told = [ends(part) for part in parts]
    status = run_of(alice, repo)
    assert (status["state"], status["accepted"], status["rejected"]) == ("finished", people, 0)
    found, mean = load(alice.read(repo, "model.safetensors"))["w"], 0.25 + 0.25 * (people - 1)
    assert abs(float(found.mean()) - mean) < 1e-3 and float(numpy.abs(found - mean).max()) < (0.2 if mode == "two-houses" else 0.02)
    size = len(save({"w": found})) if mode == "plain" else 1.02 * 4 * WIDTH
    assert line.cuts >= 2 and line.sent < size + line.cuts * 1_100_000, "more was sent again than the block that the hub was reading"
    assert sum("the line broke; going on behind" in one for one in told[0]) >= 2 and told[0][-1].endswith("bytes sent"), told[0]
    assert not any("line broke" in one for lines in told[1:] for one in lines)
    line.shutdown()
