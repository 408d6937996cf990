# SPDX-License-Identifier: GPL-3.0-or-later
"""Two houses, of which either is killed at each step of a round: what comes of it is the same commit, bit for bit."""

import json
import os
import shutil
import threading

import httpx
import numpy
import pytest

from houses import Between, House, Reporter
from support import Hub, new_name, until
from test_federate import Sender, run_of
from test_federate_rules import judged, suspects
from test_houses import WATCHED, changes, open_run, watched_model, ways, wide_model

STEPS = ("model", "verify", "freeze", "draw", "commit", "exchange", "cosign", "config")
WHENS = ("before", "after") if os.environ.get("CAIRN_SOAK") else ("after",)


class Striking(Between):
    """Stands between the hub and the house, and at one step calls a function once."""

    def __init__(self, house):
        super().__init__(house)
        self.closed, self.step, self.when, self.strike, self.lock = False, None, None, None, threading.Lock()
        self.answer = self.pass_or_strike

    def take(self, step, when):
        with self.lock:
            strike = self.strike if (step, when) == (self.step, self.when) else None
            if strike:
                self.strike = None
        return strike

    def pass_or_strike(self, path, ask):
        step = path.split("/")[-1]
        if self.closed:
            return None
        for when in "before", "after":
            strike = self.take(step, when)
            if strike:
                return strike()
            answer = ask() if when == "before" else answer
        return answer


class Frozen:
    """A round whose updates have all come while the house could not be asked, as copies of what hub and house keep."""

    model_of, flags = staticmethod(wide_model), (4, "--noise", 1, "--rule", "fedadam")

    @staticmethod
    def given():
        return changes(4)

    def __init__(self, folder):
        self.folder, self.house = folder, House(folder / "house")
        self.between = Striking(self.house.start())
        (folder / "hub").mkdir()
        self.hub = Hub(folder / "hub").start()
        self.owner = self.hub.person("owner")
        given = self.given()
        crowd = [self.hub.person(new_name("part")) for _ in range(len(given) + 1)]
        self.repo = self.model_of(self.owner)
        far = numpy.zeros(given.shape[1])
        far[0] = 10.1
        self.start_commit = self.owner.head(self.repo)
        self.open()
        parts = [Reporter(person, self.repo, folder).join() for person in crowd]
        made = [part.make(change) for part, change in zip(parts, given)] + [parts[-1].make(far, "over")]
        self.parts, self.made = parts, made
        self.stop()
        self.keep("open")
        self.start("open")
        self.between.closed = True
        self.deliver(range(len(parts)))
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
        open_run(self.owner, self.repo, self.house_of, 2, *self.flags, "--grace", 3600)

    def status(self):
        return run_of(self.owner, self.repo)

    def deliver(self, order):
        for place in order:
            assert self.parts[place].deliver(*self.made[place]).status_code == 200

    def meanwhile(self):
        """What else somebody does until the round is over. True: it was to kill the hub."""

    def stop(self):
        self.hub.stop()
        self.house.stop()

    @staticmethod
    def copy(source, target):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    def go_on(self, step=None, when=None, side=None, ends=False):
        """Starts both from the copies, kills one of them at that step, and gives the commit that comes of it."""
        self.put_back("frozen")
        fallen, struck = threading.Event(), threading.Event()

        def strike():
            struck.set()
            if side == "hub":
                self.hub.kill()
                fallen.set()
            elif callable(side):
                side(self)
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
                if self.meanwhile():
                    fallen.set()
                    return False
                told = self.parts[0].round()
            except (httpx.TransportError, AttributeError):
                return False
            return told["state"] != "open" or (told["round"] == 2 and not told["closing"])

        until(is_ready)
        assert struck.is_set() == (step is not None)
        commit = self.owner.head(self.repo)
        record = None if ends else self.owner.read(self.repo, "fl/rounds/000001.json")
        status = self.status()
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


def test_a_house_that_gives_another_sum_than_it_had_committed_to_ends_the_run(frozen):
    def change_sum(frozen):
        for path in frozen.house.data.glob("runs/*/1-sums-house"):
            data = bytearray(path.read_bytes())
            data[9] ^= 1
            path.write_bytes(data)

    commit, _, status = frozen.go_on("commit", "after", change_sum, ends=True)
    assert status["state"] == "stopped" and commit == frozen.start_commit


class Watched(Frozen):
    """Seven, of whom one goes back, and who is in a marked bucket is proposed."""

    model_of, flags = staticmethod(watched_model), (6, *WATCHED[:4], "--suspicion", 1)

    @staticmethod
    def given():
        return ways(7, {3}, 1)

    def status(self):
        return suspects(self.owner, self.repo)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    watched = Watched(tmp_path_factory.mktemp("watched"))
    commit, record, found = watched.go_on()
    assert sum(group["flagged"] for group in json.loads(record)["groups"]) == 1 and len(found) in (2, 3)
    return watched, (commit, record, found)


@pytest.mark.parametrize("side", ["hub", "house"])
@pytest.mark.parametrize("step", ["commit", "cosign"])
def test_marks_and_who_is_proposed_are_the_same_after_a_crash(watched, step, side):
    frozen, undisturbed = watched
    assert frozen.go_on(step, "after", side) == undisturbed


class Judged(Frozen):
    """Twelve, and a judge, who prefers the second candidate."""

    flags = (12, "--rule", "race:mean,median+fedadam", "--judge-wait", 3600)
    waits = False  # the hub is killed while the judge is waited for

    @staticmethod
    def given():
        return changes(12)

    def meanwhile(self):
        judge = Sender(self.owner, self.repo)
        told = judge.http.get(f"{judge.address}/candidates").json()
        if not told["judging"] or told["round"] != 1:
            return False
        if self.waits:
            self.waits = False
            self.hub.kill()
            return True
        return judged(judge, [{"loss": 2}, {"loss": 1e-300, "recall": None}]).status_code not in (200, 409)


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    raced = Judged(tmp_path_factory.mktemp("raced"))
    undisturbed = raced.go_on()
    record = json.loads(undisturbed[1])
    assert record["judged"] and record["chosen"] == "median+fedadam" and undisturbed[2]["round"] == 2
    return raced, undisturbed


@pytest.mark.parametrize("side", ["hub", "house"])
@pytest.mark.parametrize("step", ["exchange", "cosign"])
def test_a_race_has_the_same_end_after_a_crash(raced, step, side):
    frozen, undisturbed = raced
    assert frozen.go_on(step, "after", side) == undisturbed


def test_a_hub_that_is_killed_while_it_waits_for_the_judge_commits_the_same(raced):
    frozen, undisturbed = raced
    frozen.waits = True
    assert frozen.go_on() == undisturbed and not frozen.waits
