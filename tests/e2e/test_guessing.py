# SPDX-License-Identifier: GPL-3.0-or-later
"""Guessing tokens: what it brings, how long it takes, and what it costs those who do not guess."""

import random
import re
import statistics
import string
import time

import httpx
import pytest

from support import Hub, new_name
from test_signin import rank_sum_p

HERE, THERE = "192.0.2.7", "203.0.113.7"
FREE = 100


def guess(hub, token, address=HERE):
    return httpx.get(f"{hub.url}/api/whoami-v2", headers={"authorization": f"Bearer {token}", "x-forwarded-for": address})


@pytest.fixture
def guessed_at(tmp_path):
    """A hub at which somebody in the network of HERE has guessed until it had to wait."""
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    hub.owner = hub.person("ada")
    hub.admin("token", "create", "ada", "--name", "thought-of", "--role", "write", "--value", "swordfish")
    for i in range(1000):
        answer = guess(hub, f"guess-{i}", f"192.0.2.{i % 200}")
        if answer.status_code == 429:
            break
        assert answer.status_code == 401
    hub.guesses = i
    yield hub, answer
    hub.stop()


def test_a_network_that_guesses_has_to_wait_and_is_told_exactly_how_long(guessed_at):
    hub, slowed = guessed_at
    assert hub.guesses >= FREE and slowed.headers["x-error-code"] == "SlowDown"
    seconds = int(slowed.headers["retry-after"])
    assert 0 < seconds <= 900 and f"wait {seconds} second" in slowed.json()["error"]
    assert guess(hub, "another", THERE).status_code == 401, "other networks do not wait"
    wrong = int(re.search(r"cairn_wrong_tokens_total (\d+)", httpx.get(f"{hub.url}/metrics").text)[1])
    assert wrong >= FREE


def slowed(hub, token):
    """Guesses on until the answer is about the wait; the clock goes on while a test runs."""
    for i in range(1000):
        if guess(hub, f"more-{new_name()}").status_code == 429 and (answer := guess(hub, token)).status_code == 429:
            return answer
    raise AssertionError("nobody has to wait")


def test_a_right_token_of_the_hubs_own_works_all_the_while(guessed_at):
    hub, _ = guessed_at
    for _ in range(20):
        assert guess(hub, hub.owner.token).status_code == 200
        guess(hub, new_name("more"))


def test_a_token_that_somebody_has_thought_of_is_not_told_from_a_wrong_one_while_the_network_waits(guessed_at):
    hub, _ = guessed_at
    assert guess(hub, "swordfish", THERE).status_code == 200
    right, wrong = slowed(hub, "swordfish"), slowed(hub, "blowfish")

    def seen(answer):
        return (answer.status_code, re.sub(r"\d+", "N", answer.text), sorted(name for name in answer.headers if name not in ("date", "x-request-id")))
    assert seen(right) == seen(wrong) and "ada" not in right.text


def test_a_program_that_sends_its_old_token_again_and_again_is_not_taken_for_a_guesser(own_hub):
    ada = own_hub.person("ada")
    old = own_hub.key_of("ada")
    name = next(key["name"] for key in ada.http.get("/api/settings/keys").json() if key["id"] == old.token.split("_")[2])
    ada.http.delete(f"/api/settings/keys/{name}").raise_for_status()
    assert {old.http.get("/api/whoami-v2").status_code for _ in range(FREE * 3)} == {401}


def test_what_has_ended_is_no_guess(tmp_path):
    hub = Hub(tmp_path).start()
    ada = hub.person("ada")
    made = [ada.http.post("/api/settings/keys", json={"name": f"k{i}", "role": "read", "days": 1}).json()["token"] for i in range(FREE + 20)]
    hub.stop()
    hub = Hub(tmp_path, port=hub.port, environment={"CAIRN_CLOCK_AHEAD": str(3 * 86400)}).start()
    try:
        answers = [guess(hub, token) for token in made]
        assert {(answer.status_code, answer.headers["x-error-code"]) for answer in answers} == {(401, "TokenExpired")}
        assert guess(hub, "a-guess").status_code == 401
    finally:
        hub.stop()


def test_wrong_tokens_answer_alike_whatever_is_right_in_them(own_hub):
    ada = own_hub.person("ada")
    revoked = own_hub.key_of("ada")
    name = next(key["name"] for key in ada.http.get("/api/settings/keys").json() if key["id"] == revoked.token.split("_")[2])
    ada.http.delete(f"/api/settings/keys/{name}").raise_for_status()
    other = ada.token[:-1] + ("0" if ada.token[-1] != "0" else "1")

    def seen(token):
        answer = guess(own_hub, token)
        return answer.status_code, answer.text, sorted(name for name in answer.headers if name not in ("date", "x-request-id"))
    answers = [seen(token) for token in (other, revoked.token, "hf_cairn_" + "0" * 49, "nonsense", ada.token.lower())]
    assert all(answer == answers[0] for answer in answers) and answers[0][0] == 401


def test_how_long_it_takes_does_not_tell_which_ids_of_tokens_exist(tmp_path):
    """A statistic, not a limit: tokens with the id of a key that exists and with none, in random order, from ever new networks."""
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    try:
        ada, draw = hub.person("ada"), random.Random(11)
        ids = [ada.http.post("/api/settings/keys", json={"name": f"k{i}", "role": "read"}).json()["token"].split("_")[2] for i in range(50)]
        digits = lambda count: "".join(draw.choices(string.ascii_letters + string.digits, k=count))  # noqa: E731
        jobs = [(i % 2, f"hf_cairn_{ids[i // 2 % 50] if i % 2 else digits(10)}_{digits(38)}", f"10.{i // 250}.{i % 250}.1") for i in range(1000)]
        draw.shuffle(jobs)
        times = {0: [], 1: []}
        with httpx.Client(base_url=hub.url) as client:
            for known, token, address in jobs:
                begin = time.perf_counter()
                answer = client.get("/api/whoami-v2", headers={"authorization": f"Bearer {token}", "x-forwarded-for": address})
                times[known].append(time.perf_counter() - begin)
                assert answer.status_code == 401
        p = rank_sum_p(times[1], times[0])
        print(f"median known {statistics.median(times[1]) * 1e6:.0f} us, unknown {statistics.median(times[0]) * 1e6:.0f} us, p {p:.3f}")
        assert len(times[0]) == len(times[1]) == 500 and p > 1e-4
    finally:
        hub.stop()
