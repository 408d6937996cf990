# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in: passwords, sessions, one-time codes, passkeys, and raising a session."""

import base64
import hashlib
import hmac
import random
import re
import statistics
import struct
import subprocess
import threading
import time

import httpx
import pytest

from authenticator import CREDENTIAL, EXTENSIONS, PRESENT, VERIFIED, Device, b64, cbor
from support import BINARY, Hub, new_name, until

DAY = 86400
PASSWORD = "correct horse battery"


class Browser:
    """Somebody at a browser: keeps cookies, and says from which page a request comes."""

    def __init__(self, hub, name=None, origin=None, agent="A browser of the tests"):
        self.hub, self.name = hub, name
        self.home = f"http://localhost:{hub.port}"
        self.http = httpx.Client(base_url=self.home, timeout=120,
                                 headers={"origin": origin or self.home, "user-agent": agent, "sec-fetch-mode": "cors"})

    def post(self, path, body=None, **how):
        return self.http.post(path, json={} if body is None else body, **how)

    def sign_in(self, password=PASSWORD, **more):
        return self.post("/api/sessions", {"user": self.name, "password": password, **more})

    def me(self):
        return self.http.get("/api/whoami-v2")

    def level(self):
        return self.me().raise_for_status().json()["auth"]["level"]

    def options(self, purpose):
        return self.post("/api/sessions/challenge", {"purpose": purpose}).raise_for_status().json()

    def device(self, algorithm="ES256"):
        return Device(algorithm, self.home)

    def register(self, device, name="my device", **lies):
        passkey = device.create(self.options("register"), **lies)
        return self.post("/api/settings/passkeys", {"name": name, "passkey": passkey})

    def use(self, device, **lies):
        return self.post("/api/sessions", {"passkey": device.get(self.options("sign-in"), **lies)})


def set_password(hub, name, password=PASSWORD, check=True):
    return subprocess.run([BINARY, "admin", "--data", hub.data, "user", "password", name], input=password + "\n",
                          capture_output=True, text=True, check=check)


def newcomer(hub, signed_in=True):
    """A fresh account with a password, at a browser."""
    browser = Browser(hub, new_name("person"))
    hub.admin("user", "create", browser.name)
    set_password(hub, browser.name)
    if signed_in:
        assert browser.sign_in().status_code == 200
    return browser


FIRST_STEPS = {}


def totp(secret, ahead=0):
    """The code of the step in which the first one was asked for, or of one so much later: a test that runs over into the next goes on as it began."""
    key, step = base64.b32decode(secret), FIRST_STEPS.setdefault(secret, int(time.time()) // 30) + ahead
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def with_codes(browser):
    """Sets up one-time codes; returns the secret and the recovery codes. The code of now is spent."""
    secret = browser.post("/api/settings/totp").raise_for_status().json()["secret"]
    codes = browser.post("/api/settings/totp/confirm", {"code": totp(secret)}).raise_for_status().json()["recoveryCodes"]
    return secret, codes


# Passwords and sessions.


def test_a_password_begins_a_session_that_may_do_what_a_key_may(hub):
    ada = newcomer(hub, signed_in=False)
    answer = ada.sign_in()
    assert answer.status_code == 200 and answer.json()["ok"] is True
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie and "Secure" not in cookie
    assert ada.me().json()["name"] == ada.name and ada.me().json()["auth"]["type"] == "session" and ada.level() == "password"
    assert ada.post("/api/repos/create", {"name": "mine", "private": True}).status_code == 200
    assert ada.http.get(f"/api/models/{ada.name}/mine").json()["private"] is True
    assert ada.http.request("DELETE", "/api/repos/delete", json={"name": "mine"}).status_code == 200


def test_large_files_travel_by_addresses_that_a_session_has_signed(hub):
    ada = newcomer(hub)
    ada.post("/api/repos/create", {"name": "mine", "private": True}).raise_for_status()
    data = b"\0large" * 3000
    batch = {"operation": "upload", "transfers": ["basic"], "hash_algo": "sha256",
             "objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}]}
    put = ada.post(f"/{ada.name}/mine.git/info/lfs/objects/batch", batch).json()["objects"][0]["actions"]["upload"]["href"]
    assert httpx.put(put, content=data).is_success
    session = ada.http.delete("/api/sessions/this")
    assert session.status_code == 200
    other = put.replace("sig=", "sig=0")
    assert httpx.put(other, content=data).status_code == 403
    assert httpx.put(put, content=data).status_code == 401, "what is signed ends with the session"


def test_whoever_has_no_session_is_nobody(hub, alice):
    ada = newcomer(hub)
    public = alice.new_repo()
    for cookie in ("", "x" * 32, "cairn", "\"", "0" * 32, "a" * 5000):
        stranger = httpx.get(f"{ada.home}/api/whoami-v2", headers={"cookie": f"cairn_session={cookie}"})
        assert stranger.status_code == 401, cookie
        assert httpx.get(f"{ada.home}/api/models/{public}", headers={"cookie": f"cairn_session={cookie}"}).status_code == 200


def test_signing_out_ends_the_session_at_once(hub):
    ada = newcomer(hub)
    token = ada.http.cookies["cairn_session"]
    answer = ada.http.delete("/api/sessions/this")
    assert answer.status_code == 200 and "Max-Age=0" in answer.headers["set-cookie"]
    stolen = httpx.get(f"{ada.home}/api/whoami-v2", headers={"cookie": f"cairn_session={token}"})
    assert stolen.status_code == 401


def test_sessions_are_listed_and_ended_one_by_one_or_all(hub):
    ada = newcomer(hub)
    phone = Browser(hub, ada.name, agent="A phone")
    laptop = Browser(hub, ada.name, agent="caf\u00e9".encode())
    assert phone.sign_in().is_success and laptop.sign_in().is_success
    listed = ada.http.get("/api/sessions").json()
    assert len(listed) == 3 and sum(session["this"] for session in listed) == 1
    assert {session["agent"] for session in listed} == {"A browser of the tests", "A phone", ""}
    assert not re.search(ada.http.cookies["cairn_session"], str(listed))
    theirs = next(session for session in listed if session["agent"] == "A phone")
    assert newcomer(hub).http.delete(f"/api/sessions/{theirs['id']}").status_code == 404
    assert ada.http.delete(f"/api/sessions/{theirs['id']}").status_code == 200
    assert phone.me().status_code == 401 and laptop.me().status_code == 200
    assert ada.http.delete("/api/sessions").status_code == 200
    assert laptop.me().status_code == ada.me().status_code == 401


def test_a_person_has_so_many_sessions_and_no_more(hub):
    ada = newcomer(hub)
    first = ada.http.cookies["cairn_session"]
    for _ in range(50):
        assert ada.sign_in().is_success
    assert len(ada.http.get("/api/sessions").json()) == 50
    assert httpx.get(f"{ada.home}/api/whoami-v2", headers={"cookie": f"cairn_session={first}"}).status_code == 401


def test_a_new_password_replaces_the_old_and_ends_other_sessions(hub):
    ada = newcomer(hub)
    other = Browser(hub, ada.name)
    other.sign_in().raise_for_status()
    assert ada.post("/api/settings/password", {"password": "a new one, and longer"}).status_code == 200
    assert ada.me().status_code == 200 and other.me().status_code == 401
    assert Browser(hub, ada.name).sign_in().status_code == 401
    assert Browser(hub, ada.name).sign_in("a new one, and longer").status_code == 200
    set_password(hub, ada.name)
    assert ada.me().status_code == 401, "whoever runs the hub ends them all"


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaa", "x" * 1025, "null\0inside it"])
def test_a_password_that_is_none_is_refused(hub, password):
    ada = newcomer(hub)
    assert ada.post("/api/settings/password", {"password": password}).status_code == 400
    if "\0" not in password:
        assert set_password(hub, ada.name, password, check=False).returncode == 1
    assert ada.post("/api/settings/password", {"password": ada.name.ljust(20, "x")}).status_code == 200
    assert Browser(hub, ada.name).sign_in().status_code == 401


def test_a_key_cannot_take_the_account_over(hub):
    ada = newcomer(hub)
    key = hub.key_of(ada.name)
    for path, body in (("/api/settings/password", {"password": "the thief's own one"}), ("/api/settings/totp", {}),
                       ("/api/settings/passkeys", {"name": "x", "passkey": {}}), ("/api/sessions/step-up", {"password": PASSWORD})):
        answer = key.http.post(path, json=body)
        assert answer.status_code == 403 and answer.headers["x-error-code"] == "StepUp", path


def test_passwords_and_cookies_are_nowhere_in_files_and_logs(own_hub):
    ada = newcomer(own_hub)
    token = ada.http.cookies["cairn_session"]
    secret, codes = with_codes(ada)
    own_hub.stop()
    everything = b"".join(path.read_bytes() for path in own_hub.data.rglob("*") if path.is_file()) + own_hub.log.read_bytes()
    own_hub.start()
    assert ada.name.encode() in everything
    for text in (PASSWORD, token, codes[0], codes[0].replace("-", "")):
        assert text.encode() not in everything
    assert base64.b32decode(secret) not in everything and secret.encode() not in everything


# Other sites.


def test_a_page_of_another_site_changes_nothing_with_the_cookie(hub):
    ada = newcomer(hub)
    for origin in ("https://evil.example", "null", f"http://localhost:{hub.port + 1}", f"https://localhost:{hub.port}", None):
        headers = {"cookie": f"cairn_session={ada.http.cookies['cairn_session']}", **({"origin": origin} if origin else {})}
        for method, path in (("POST", "/api/repos/create"), ("DELETE", "/api/sessions"), ("POST", "/api/settings/keys"),
                             ("PUT", f"/api/models/{ada.name}/x/settings"), ("POST", "/signin/out")):
            answer = httpx.request(method, ada.home + path, headers=headers, json={"name": "x", "role": "read"})
            assert answer.status_code == 403 and answer.headers["x-error-code"] == "CrossSite", (origin, method, path)
        assert httpx.get(f"{ada.home}/api/whoami-v2", headers=headers).status_code == 200
    assert ada.me().status_code == 200


def test_a_page_of_another_site_signs_nobody_in(hub):
    ada = newcomer(hub, signed_in=False)
    evil = Browser(hub, ada.name, origin="https://evil.example")
    assert evil.sign_in().status_code == 403 and not evil.http.cookies
    assert evil.http.post("/signin", data={"user": ada.name, "password": PASSWORD}).status_code == 403
    program = httpx.post(f"{ada.home}/api/sessions", json={"user": ada.name, "password": PASSWORD})
    assert program.status_code == 200, "a program says no origin, and has no cookies of others"


def test_behind_https_the_cookie_is_one_that_no_neighbour_can_set(tmp_path):
    hub = Hub(tmp_path, flags=["--public-url", "https://hub.example.org/models"]).start()
    try:
        ada = Browser(hub, "ada", origin="https://hub.example.org")
        hub.admin("user", "create", "ada")
        set_password(hub, "ada")
        cookie = ada.sign_in().headers["set-cookie"]
        assert cookie.startswith("__Host-cairn_session=") and "; Secure" in cookie and "Path=/;" in cookie
        token = cookie.split("=", 1)[1].split(";")[0]
        for name, status in (("__Host-cairn_session", 200), ("cairn_session", 401)):
            answer = httpx.get(f"{hub.url}/api/whoami-v2", headers={"cookie": f"theme=dark; {name}={token}"})
            assert answer.status_code == status
        wrong = httpx.delete(f"{hub.url}/api/sessions", headers={"cookie": f"__Host-cairn_session={token}", "origin": hub.url})
        assert wrong.status_code == 403
        options = httpx.post(f"{hub.url}/api/sessions/challenge", json={"purpose": "sign-in"}).json()
        assert options["rpId"] == "hub.example.org"
    finally:
        hub.stop()


# Guessing.


def seen(answer):
    return answer.status_code, answer.text, sorted(name for name in answer.headers if name not in ("date", "x-request-id"))


def test_a_name_without_account_answers_like_a_wrong_password(own_hub):
    ada = newcomer(own_hub, signed_in=False)
    own_hub.admin("user", "create", "keyed")  # an account without a password
    own_hub.org("acme")
    wrong = seen(ada.sign_in("not the right one"))
    assert wrong[0] == 401
    for name in ("nobody-at-all", "keyed", "acme", "a b", "", "x" * 500, "caf\u00e9", ada.name.upper() + "x"):
        assert seen(Browser(own_hub, name).sign_in("not the right one")) == wrong, name


def rank_sum_p(first, second):
    """Mann-Whitney, two-sided, by the normal approximation: how likely samples as unlike come from one distribution."""
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, which) in enumerate(ordered, 1) if which == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(abs(z)))


def test_the_statistic_tells_samples_apart_that_differ_and_no_others():
    draw = random.Random(7)
    sample = lambda shift: [draw.lognormvariate(0, 0.3) + shift for _ in range(48)]  # noqa: E731
    assert all(rank_sum_p(sample(0), sample(0)) > 1e-4 for _ in range(200))
    assert all(rank_sum_p(sample(0), sample(0.5)) < 1e-4 for _ in range(200))


def timed(hub, names, password):
    """Times of one attempt for each name: fresh addresses and names, so that none has to wait."""
    times = []
    for address, name in names:
        begin = time.perf_counter()
        answer = httpx.post(f"{hub.url}/api/sessions", json={"user": name, "password": password},
                            headers={"x-forwarded-for": address})
        times.append(time.perf_counter() - begin)
        assert answer.status_code == 401, answer.text
    return times


def test_how_long_it_takes_does_not_tell_which_names_exist(tmp_path):
    """A statistic, not a limit: known and unknown names are tried in random order, and the ranks of the times compared. No name is
    tried often enough to be slowed."""
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    try:
        people = [newcomer(hub, signed_in=False).name for _ in range(12)]
        jobs = [(f"10.0.{i}.1", people[i // 2 % 12] if i % 2 else new_name("nobody")) for i in range(96)]
        random.Random(6).shuffle(jobs)
        times = [(name in people, seconds) for (_, name), seconds in zip(jobs, timed(hub, jobs, "not the right one"))]
        known, unknown = ([seconds for is_known, seconds in times if is_known is wanted] for wanted in (True, False))
        p = rank_sum_p(known, unknown)
        print(f"median known {statistics.median(known) * 1000:.2f} ms, unknown {statistics.median(unknown) * 1000:.2f} ms, p {p:.3f}")
        assert len(known) == len(unknown) == 48 and p > 1e-4
    finally:
        hub.stop()


def test_guessing_at_one_account_has_to_wait_wherever_it_comes_from(tmp_path):
    """How long, and that it grows, is in the unit tests of identity/attempts, which have a clock of their own."""
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    try:
        ada = newcomer(hub, signed_in=False)
        for name in (ada.name, "nobody-there"):
            for i in range(1000):  # a network each time
                answer = httpx.post(f"{hub.url}/api/sessions", json={"user": name, "password": "a guess or two"},
                                    headers={"x-forwarded-for": f"10.{i // 256}.{i % 256}.1"})
                if answer.status_code == 429:
                    break
                assert answer.status_code == 401
            assert i >= 5 and int(answer.headers["retry-after"]) > 0, name

        def right_one():
            return httpx.post(f"{hub.url}/api/sessions", json={"user": ada.name, "password": PASSWORD}).status_code
        until(lambda: right_one() == 200)
        assert right_one() == 200, "and from then on nobody waits"
    finally:
        hub.stop()


def test_guessing_at_many_accounts_from_one_network_takes_longer_and_longer(tmp_path):
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1"]).start()
    try:
        ada = newcomer(hub, signed_in=False)
        answers = [httpx.post(f"{hub.url}/api/sessions", json={"user": f"nobody-{i}", "password": "a guess or two"},
                              headers={"x-forwarded-for": f"192.0.2.{i}"}).status_code for i in range(45)]
        assert answers[:30] == [401] * 30 and 429 in answers[30:]
        elsewhere = httpx.post(f"{hub.url}/api/sessions", json={"user": ada.name, "password": PASSWORD},
                               headers={"x-forwarded-for": "203.0.113.5"})
        assert elsewhere.status_code == 200, "who comes from elsewhere does not wait"
    finally:
        hub.stop()


def test_a_crowd_that_signs_in_is_let_in_or_sent_away_while_others_are_served(own_hub):
    ada = newcomer(own_hub, signed_in=False)
    answers = []

    def come():
        answers.append(httpx.post(f"{own_hub.url}/api/sessions", json={"user": new_name("nobody"), "password": "a guess or two"},
                                  timeout=120).status_code)
    crowd = [threading.Thread(target=come) for _ in range(60)]
    for one in crowd:
        one.start()
    while any(one.is_alive() for one in crowd):
        assert httpx.get(f"{own_hub.url}/api/models").status_code == 200
    assert set(answers) <= {401, 429} and len(answers) == 60
    assert ada.sign_in().status_code in (200, 429)


def test_attempts_are_counted_for_whoever_runs_the_hub(own_hub):
    def counts():
        return {result: int(re.search(rf'cairn_sign_ins_total{{result="{result}"}} (\d+)', httpx.get(f"{own_hub.url}/metrics").text)[1])
                for result in ("good", "refused", "slowed")}
    ada = newcomer(own_hub, signed_in=False)
    before = counts()
    ada.sign_in("not the right one"), ada.sign_in(), ada.sign_in()
    assert {result: counts()[result] - before[result] for result in before} == {"good": 2, "refused": 1, "slowed": 0}


# One-time codes.


def test_codes_are_asked_for_once_they_are_set_up(hub):
    ada = newcomer(hub)
    secret = ada.post("/api/settings/totp").json()["secret"]
    assert Browser(hub, ada.name).sign_in().status_code == 200, "not before a code was shown"
    wrong = ada.post("/api/settings/totp/confirm", {"code": f"{(int(totp(secret)) + 1) % 10**6:06}"})
    assert wrong.status_code == 400
    codes = ada.post("/api/settings/totp/confirm", {"code": totp(secret)}).json()["recoveryCodes"]
    assert len(set(codes)) == 10
    other = Browser(hub, ada.name)
    missing = other.sign_in()
    assert missing.status_code == 401 and missing.headers["x-error-code"] == "CodeNeeded" and not other.http.cookies
    replayed = other.sign_in(totp=totp(secret))
    assert replayed.status_code == 401 and replayed.headers["x-error-code"] == "WrongCode", "it was spent in setting up"
    assert other.sign_in(totp=totp(secret, 1)).status_code == 200 and other.level() == "totp"
    assert Browser(hub, ada.name).sign_in(totp=totp(secret, 1)).status_code == 401, "no code works twice"
    assert Browser(hub, ada.name).sign_in(totp=totp(secret, 3)).status_code == 401
    assert Browser(hub, ada.name).sign_in("wrong password", totp=totp(secret, 1)).headers["x-error-code"] == "WrongPassword"


def test_a_recovery_code_works_once(hub):
    ada = newcomer(hub)
    _, codes = with_codes(ada)
    assert Browser(hub, ada.name).sign_in(totp=codes[0].lower()).status_code == 200
    assert Browser(hub, ada.name).sign_in(totp=codes[0]).status_code == 401
    assert Browser(hub, ada.name).sign_in(totp=codes[1].replace("-", " ")).status_code == 200
    assert Browser(hub, ada.name).sign_in(totp="AAAA-AAAA-AAAA-AAAA").status_code == 401
    assert newcomer(hub, signed_in=False).sign_in(totp=codes[2]).status_code == 200, "where none is asked for, none is spent"
    assert Browser(hub, ada.name).sign_in(totp=codes[2]).status_code == 200


def test_codes_are_turned_off_by_whoever_can_show_one(hub):
    ada = newcomer(hub)
    with_codes(ada)
    assert ada.http.delete("/api/settings/totp").headers["x-error-code"] == "StepUp", "this session has shown a password only"
    _, codes = None, ada.post("/api/sessions/step-up", {"totp": "000000"})
    assert codes.status_code in (401, 403)
    hub.admin("user", "forget-factors", ada.name)
    assert ada.me().status_code == 401
    assert ada.sign_in().status_code == 200 and ada.level() == "password"


def test_two_who_show_one_code_at_once_are_not_both_let_in(hub):
    ada = newcomer(hub)
    secret, _ = with_codes(ada)
    code, answers = totp(secret, 1), []
    pair = [threading.Thread(target=lambda: answers.append(Browser(hub, ada.name).sign_in(totp=code).status_code)) for _ in range(4)]
    for one in pair:
        one.start()
    for one in pair:
        one.join()
    assert answers.count(200) == 1, answers


# Passkeys.


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_passkey_signs_in_without_name_and_password(hub, algorithm):
    ada = newcomer(hub)
    device = ada.device(algorithm)
    assert ada.register(device).status_code == 200
    assert [key["name"] for key in ada.http.get("/api/settings/passkeys").json()] == ["my device"]
    visitor = Browser(hub)
    assert visitor.use(device).status_code == 200
    assert visitor.me().json()["name"] == ada.name and visitor.level() == "passkey"
    assert ada.http.get("/api/settings/passkeys").json()[0]["lastUsedAt"]


def lie(what, says=400, **lies):
    return pytest.param(lies, says, id=what)


REGISTERING = [
    lie("for another site", rp_id="evil.example"),
    lie("on a page of another site", origin="https://evil.example"),
    lie("in a frame of another site", crossOrigin=True),
    lie("under another page", topOrigin="https://evil.example"),
    lie("with nobody there", flags=VERIFIED | CREDENTIAL),
    lie("with nobody verified", flags=PRESENT | CREDENTIAL),
    lie("without a credential", flags=PRESENT | VERIFIED),
    lie("with bytes behind", extra=b"\0"),
    lie("with extensions that are none", flags=PRESENT | VERIFIED | CREDENTIAL | EXTENSIONS, extra=b"\xff"),
    lie("with an algorithm of no use", public_key=cbor({1: 2, 3: -47, -1: 8, -2: bytes(32), -3: bytes(32)})),
    lie("with a key that lacks a half", public_key=cbor({1: 2, 3: -7, -1: 1, -2: bytes(32)})),
    lie("with a key of another kind", public_key=cbor({1: 1, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})),
    lie("with a weak RSA key", public_key=cbor({1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\1\0\1"})),
    lie("with a member twice", public_key=b"\xa5" + b"\x01\x02\x01\x02" + cbor({3: -7, -1: 1, -2: bytes(32)})[1:]),
    lie("with an attestation", attestation=lambda data: cbor({"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}, "authData": data})),
    lie("with a statement where none is", attestation=lambda data: cbor({"fmt": "none", "attStmt": {"a": 1}, "authData": data})),
    lie("with more members", attestation=lambda data: cbor({"fmt": "none", "attStmt": {}, "authData": data, "x": 1})),
    lie("with one member twice", attestation=lambda data: cbor({"fmt": "none", "attStmt": {}, "authData": data})[:-0 or None]
        .replace(b"\x67attStmt\xa0", b"\x63fmt\x64none")),
    lie("of indefinite length", attestation=lambda data: b"\xbf" + cbor({"fmt": "none", "attStmt": {}, "authData": data})[1:] + b"\xff"),
    lie("cut off", attestation=lambda data: cbor({"fmt": "none", "attStmt": {}, "authData": data})[:-1]),
    lie("of nothing", attestation=lambda data: b""),
    lie("with client data that is no JSON", client=b"{"),
    lie("with client data that is a list", client=b"[]"),
]


@pytest.mark.parametrize("lies, says", REGISTERING)
def test_a_device_that_lies_is_not_registered(hub, lies, says):
    ada = newcomer(hub)
    assert ada.register(ada.device(), **lies).status_code == says
    assert ada.http.get("/api/settings/passkeys").json() == []


SIGNING = [
    lie("for another site", 401, rp_id="evil.example"),
    lie("on a page of another site", 401, origin="https://evil.example"),
    lie("of another port", 401, origin="http://localhost:1"),
    lie("in a frame of another site", 401, crossOrigin=True),
    lie("with nobody there", 401, flags=VERIFIED),
    lie("with nobody verified", 401, flags=PRESENT),
    lie("as if to register", 401, type="webauthn.create"),
    lie("with a signature of nothing", 401, signature=b""),
    lie("with another signature", 401, signature=bytes(64)),
    lie("with bytes behind", 401, extra=b"\0"),
    lie("counting backwards", 401, count=-1),
    lie("counting not at all", 401, count=0),
    lie("with another challenge", 401, challenge=b64(bytes(40))),
]


@pytest.mark.parametrize("lies, says", SIGNING)
def test_a_device_that_lies_signs_nobody_in(hub, lies, says):
    ada = newcomer(hub)
    device = ada.device()
    device.count = 7
    ada.register(device).raise_for_status()
    visitor = Browser(hub)
    answer = visitor.use(device, **lies)
    assert answer.status_code == says and not visitor.http.cookies, answer.text
    device.count = 100
    assert visitor.use(device).status_code == 200, "the same without a lie"


def test_a_device_that_counts_nothing_signs_in_again_and_again(hub):
    """Those of phones, whose passkeys are on several devices, always say 0."""
    ada = newcomer(hub)
    device = ada.device()
    ada.register(device).raise_for_status()
    assert all(Browser(hub).use(device, count=0).status_code == 200 for _ in range(3))


def test_a_challenge_is_answered_once_and_for_what_it_was_made(hub):
    ada, eve = newcomer(hub), newcomer(hub)
    device = ada.device()
    ada.register(device).raise_for_status()
    visitor = Browser(hub)
    options = visitor.options("sign-in")
    answer = device.get(options)
    assert visitor.post("/api/sessions", {"passkey": answer}).status_code == 200
    assert Browser(hub).post("/api/sessions", {"passkey": answer}).status_code == 401, "overheard"
    assert Browser(hub).post("/api/sessions", {"passkey": device.get(options)}).headers["x-error-code"] == "ChallengeSpent"
    step_up = ada.options("step-up")
    assert Browser(hub).post("/api/sessions", {"passkey": device.get(step_up)}).status_code == 401
    assert eve.post("/api/sessions/step-up", {"passkey": device.get(step_up)}).status_code == 403
    assert ada.post("/api/sessions/step-up", {"passkey": device.get(step_up)}).status_code == 200
    mine = eve.options("register")
    assert ada.post("/api/settings/passkeys", {"name": "x", "passkey": ada.device().create(mine)}).status_code == 401


def test_one_device_is_registered_once_and_removed_by_its_owner(hub):
    ada, eve = newcomer(hub), newcomer(hub)
    device = ada.device()
    ada.register(device).raise_for_status()
    number = ada.http.get("/api/settings/passkeys").json()[0]["id"]
    assert eve.register(device).status_code == 409
    assert eve.http.delete(f"/api/settings/passkeys/{number}").status_code == 404
    assert ada.http.delete(f"/api/settings/passkeys/{number}").headers["x-error-code"] == "StepUp", "a password is less than it"
    assert ada.post("/api/sessions/step-up", {"passkey": device.get(ada.options("step-up"))}).status_code == 200
    assert ada.http.delete(f"/api/settings/passkeys/{number}").status_code == 200
    assert Browser(hub).use(device).status_code == 401


def test_passkeys_want_an_address_that_browsers_trust(hub, alice):
    answer = alice.http.post("/api/sessions/challenge", json={"purpose": "sign-in"})
    assert answer.status_code == 403 and "--public-url" in answer.json()["error"]
    assert Browser(hub).post("/api/sessions/challenge", {"purpose": "register"}).status_code == 401
    assert Browser(hub).post("/api/sessions/challenge", {"purpose": "other"}).status_code == 400


def test_each_passkey_is_a_leaf_of_the_log_without_names(hub, alice):
    from tlog import Log
    log, ada = Log(alice.http), newcomer(hub)
    alice.new_repo()  # a command has no log; what commands wrote before, the hub takes over with what it writes next
    before, device = len(log.audited()), ada.device()
    ada.register(device).raise_for_status()
    ada.post("/api/sessions/step-up", {"passkey": device.get(ada.options("step-up"))}).raise_for_status()
    ada.http.delete(f"/api/settings/passkeys/{ada.http.get('/api/settings/passkeys').json()[0]['id']}").raise_for_status()
    leaves = [leaf for leaf in log.audited()[before:] if leaf["type"] == "key"]
    assert [leaf["b"]["op"] for leaf in leaves] == ["add", "revoke"] and b64(device.id) not in str(leaves)


# Raising.


def test_a_session_is_raised_by_what_its_person_shows(hub):
    ada = newcomer(hub)
    assert ada.level() == "password"
    secret, codes = with_codes(ada)
    assert ada.post("/api/sessions/step-up", {"totp": totp(secret)}).status_code == 401, "spent"
    assert ada.level() == "password"
    assert ada.post("/api/sessions/step-up", {"totp": totp(secret, 1)}).status_code == 200
    assert ada.level() == "totp"
    device = ada.device()
    ada.register(device).raise_for_status()
    assert ada.post("/api/sessions/step-up", {"passkey": device.get(ada.options("step-up"))}).status_code == 200
    assert ada.level() == "passkey"
    assert ada.post("/api/sessions/step-up", {"password": PASSWORD}).status_code == 200 and ada.level() == "passkey"
    for body in ({}, {"password": "wrong but long"}, {"totp": codes[0] + "A"}, {"passkey": {}}, {"user": "x"}):
        assert ada.post("/api/sessions/step-up", body).status_code in (400, 401, 403), body


def test_a_session_ends_in_time_and_what_it_has_shown_grows_old(tmp_path):
    hub = Hub(tmp_path).start()
    ada = newcomer(hub)
    idle = Browser(hub, ada.name)
    idle.sign_in().raise_for_status()
    for days, works in ((1, True), (5, True), (11, True), (17, True), (23, True), (29, True), (30.5, False)):
        hub.stop()
        hub = Hub(tmp_path, port=hub.port, environment={"CAIRN_CLOCK_AHEAD": str(int(days * DAY))}).start()
        assert ada.me().status_code == (200 if works else 401), days
        if works:
            assert ada.post("/api/settings/totp").headers.get("x-error-code") == "StepUp"
    assert idle.me().status_code == 401
    hub.stop()
    hub = Hub(tmp_path, port=hub.port, environment={"CAIRN_CLOCK_AHEAD": str(8 * DAY)}).start()
    assert idle.me().status_code == 401, "a week without use"
    hub.stop()


# The page.


def test_the_page_signs_in_without_a_script(hub):
    ada = newcomer(hub, signed_in=False)
    page = ada.http.get("/signin")
    assert page.status_code == 200 and "<form" in page.text and 'name="password"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert "<script>" not in page.text and "onclick" not in page.text and "style=" not in page.text
    wrong = ada.http.post("/signin", data={"user": "<b>&\"'", "password": "not this one"})
    assert wrong.status_code == 401 and "not right" in wrong.text and "<b>" not in wrong.text and "&#60;b&#62;" in wrong.text
    right = ada.http.post("/signin", data={"user": ada.name, "password": PASSWORD})
    assert right.status_code == 303 and right.headers["location"] == f"{ada.home}/signin"
    assert ada.name in ada.http.get("/signin").text
    assert ada.http.post("/signin/out").status_code == 303
    assert ada.me().status_code == 401


def test_the_page_asks_for_a_code_where_one_is_needed(hub):
    ada = newcomer(hub)
    secret, _ = with_codes(ada)
    other = Browser(hub, ada.name)
    asked = other.http.post("/signin", data={"user": ada.name, "password": PASSWORD})
    assert asked.status_code == 401 and 'value="' + ada.name in asked.text and PASSWORD not in asked.text
    done = other.http.post("/signin", data={"user": ada.name, "password": PASSWORD, "code": totp(secret, 1)})
    assert done.status_code == 303 and other.level() == "totp"


# Forgetting.


def test_a_person_who_is_erased_cannot_sign_in_and_leaves_nothing_of_it(own_hub):
    ada = newcomer(own_hub)
    device = ada.device()
    ada.register(device, name="ada's very own phone").raise_for_status()
    own_hub.admin("user", "erase", ada.name, "--reason", "request")
    assert ada.me().status_code == 401 and ada.sign_in().status_code == 401 and Browser(own_hub).use(device).status_code == 401
    own_hub.stop()
    database = b"".join(path.read_bytes() for path in own_hub.data.glob("cairn.db*"))
    own_hub.start()
    for text in (b"ada's very own phone", b"A browser of the tests", device.id, b"$argon2id$"):
        assert text not in database
