# SPDX-License-Identifier: GPL-3.0-or-later
"""Two houses, of which either is killed at each step of a round: what comes of it is the same commit, bit for bit."""

import http.server
import os
import shutil
import threading

import httpx
import numpy
import pytest

from houses import House, Reporter
from support import Hub, new_name, until
from test_federate import federate
from test_houses import changes, open_run, wide_model

STEPS = ("model", "verify", "freeze", "draw", "commit", "exchange", "cosign", "config")
WHENS = ("before", "after") if os.environ.get("CAIRN_SOAK") else ("after",)


class Between(http.server.ThreadingHTTPServer):
    """Stands between the hub and the house, passes on what is asked, and at one step calls a function once."""

    daemon_threads = True

    def __init__(self, house):
        super().__init__(("127.0.0.1", 0), Passing)
        self.house, self.closed, self.step, self.when, self.strike, self.lock = house, False, None, None, None, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a hub that was killed does not take its answer

    def take(self, step, when):
        with self.lock:
            strike = self.strike if (step, when) == (self.step, self.when) else None
            if strike:
                self.strike = None
        return strike


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(lambda: httpx.get(self.server.house.url + self.path, timeout=60))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(lambda: httpx.post(self.server.house.url + self.path, content=body, timeout=60))

    def answer(self, ask):
        step = self.path.split("/")[-1]
        if self.server.closed:
            return self.reply(503, b"")
        strike = self.server.take(step, "before")
        if strike:
            strike()
            return self.reply(502, b"")
        try:
            answer = ask()
        except httpx.TransportError:
            return self.reply(502, b"")
        strike = self.server.take(step, "after")
        if strike:
            strike()
            return self.reply(502, b"")
        return self.reply(answer.status_code, answer.content)

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Frozen:
    """A round whose updates have all come while the house could not be asked, as copies of what hub and house keep."""

    def __init__(self, folder):
        self.folder, self.house = folder, House(folder / "house")
        self.between = Between(self.house.start())
        (folder / "hub").mkdir()
        self.hub = Hub(folder / "hub").start()
        self.owner = self.hub.person("owner")
        crowd = [self.hub.person(new_name("part")) for _ in range(5)]
        self.repo = wide_model(self.owner)
        given = changes(4)
        far = numpy.zeros(given.shape[1])
        far[0] = 10.1
        self.open()
        parts = [Reporter(person, self.repo, folder).join() for person in crowd]
        made = [part.make(change) for part, change in zip(parts, given)] + [parts[4].make(far, "over")]
        self.parts, self.made = parts, made
        self.stop()
        self.keep("open")
        self.start("open")
        self.between.closed = True
        self.deliver(range(5))
        self.stop()
        self.keep("frozen")
        self.between.closed = False

    def keep(self, name):
        self.copy(self.hub.data, self.folder / f"{name}-hub")
        self.copy(self.house.data, self.folder / f"{name}-house")

    def put_back(self, name):
        self.copy(self.folder / f"{name}-hub", self.hub.data)
        self.copy(self.folder / f"{name}-house", self.house.data)

    def start(self, name):
        self.put_back(name)
        self.house.start()
        self.hub.start()

    def open(self):
        self.house_of = type("Address", (), {"url": self.between.url})
        open_run(self.owner, self.repo, self.house_of, 2, 4, "--noise", 1, "--rule", "fedadam", "--grace", 3600)

    def deliver(self, order):
        for place in order:
            assert self.parts[place].deliver(*self.made[place]).status_code == 200

    def stop(self):
        self.hub.stop()
        self.house.stop()

    @staticmethod
    def copy(source, target):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    def go_on(self, step=None, when=None, side=None):
        """Starts both from the copies, kills one of them at that step, and gives the commit that comes of it."""
        self.put_back("frozen")
        fallen, struck = threading.Event(), threading.Event()

        def strike():
            struck.set()
            if side == "hub":
                self.hub.kill()
                fallen.set()
            else:
                self.house.kill()
                self.house.start()

        self.between.step, self.between.when, self.between.strike = step, when, strike if step else None
        self.house.start()
        try:
            self.hub.start()
        except (AssertionError, AttributeError):  # it was killed before it had answered for the first time
            assert fallen.wait(10)

        def is_ready():
            if fallen.is_set():
                fallen.clear()
                self.hub.start()
            try:
                told = self.parts[0].round()
            except (httpx.TransportError, AttributeError):
                return False
            return told["round"] == 2 and not told["closing"]

        until(is_ready)
        assert struck.is_set() == (step is not None)
        record, commit = self.owner.read(self.repo, "fl/rounds/000001.json"), self.owner.head(self.repo)
        status = federate(self.owner, "status", self.repo)
        self.stop()
        return commit, record, status


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    return Frozen(tmp_path_factory.mktemp("frozen"))


@pytest.fixture(scope="module")
def undisturbed(frozen):
    commit, record, status = frozen.go_on()
    assert status["accepted"] == 4 and status["rejected"] == 1 and status["round"] == 2
    return commit, record, status


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("side", ["hub", "house"])
@pytest.mark.parametrize("step", STEPS)
def test_a_house_that_is_killed_at_a_step_changes_no_bit(frozen, undisturbed, step, side, when):
    assert frozen.go_on(step, when, side) == undisturbed


def test_one_processor_comes_to_the_same(frozen, undisturbed):
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        assert frozen.go_on() == undisturbed
    finally:
        os.sched_setaffinity(0, processors)


def test_the_order_of_arrival_changes_no_bit(frozen, undisturbed):
    frozen.start("open")
    frozen.deliver((4, 2, 0, 3, 1))
    until(lambda: frozen.parts[0].round()["round"] == 2)
    assert frozen.owner.read(frozen.repo, "fl/rounds/000001.json") == undisturbed[1]  # with the digest of the model in it
    frozen.stop()
