# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in to Cairn with an outside OpenID provider: another implementation, a second Cairn, and one that lies."""

import base64
import hmac
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import httpx
import pytest

from browsers import Browser, hidden, newcomer
from support import ROOT, Hub, free_port, new_name, until

sys.path.append(str(ROOT / ".venv" / "oidc"))
from joserfc import jwk, jwt  # noqa: E402


def asked(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


SECRET = "a secret of the tests: 50% + more"


def hub_with(folder, issuer, secret=SECRET, sign_up="on", client_id="cairn-hub", port=None):
    file = folder / "client-secret"
    file.write_text(secret + "\n")
    flags = ["--oidc-issuer", issuer, "--oidc-client-id", client_id, "--oidc-client-secret-file", file, "--oidc-sign-up", sign_up]
    return Hub(folder / "hub", port=port, flags=flags)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hub").mkdir()
    return tmp_path


# Another implementation.


class Provider:
    """oidc-provider, from the npm registry."""

    def __init__(self, back, alg, method="client_secret_post", spread=False):
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"
        self.process = subprocess.Popen(["node", ROOT / "tests/js/provider.mjs", str(self.port), back, alg, method,
                                         *([str(free_port())] if spread else [])],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def sign_in(self, url, name):
        """What the person's browser does there; the address that it is sent back to."""
        browser = httpx.Client()
        while url.startswith(self.issuer):
            page = browser.get(url)
            if page.status_code == 200:
                form = {**hidden(page.text), **({"login": name, "password": "any"} if 'name="login"' in page.text else {})}
                page = browser.post(urljoin(url, re.search(r'action="([^"]*)"', page.text)[1]), data=form)
            assert page.status_code in (302, 303), page.text
            url = urljoin(url, page.headers["location"])
        return url


@pytest.fixture(params=[("RS256", "client_secret_post", False), ("ES256", "client_secret_basic", False),
                        ("ES256", "client_secret_post", True), ("RS256", "client_secret_basic", True)],
                ids=["RS256, post", "ES256, basic", "ES256, post, on two hosts", "RS256, basic, on two hosts"])
def provider(request, folder):
    port = free_port()
    provider = Provider(f"http://localhost:{port}/signin/oidc/callback", *request.param)
    provider.hub_port = port
    yield provider
    provider.process.terminate()
    provider.process.wait()


def hub_signals(hub):
    """The signs of misuse that the hub has put down."""
    with sqlite3.connect(f"file:{hub.data}/cairn.db?mode=ro", uri=True) as rows:
        return [signal for signal, in rows.execute("SELECT signal FROM misuse_signal")]


def start_link(browser):
    page = browser.form("/signin/oidc")
    assert page.status_code == 200, page.text
    return page.headers["refresh"].removeprefix("0; url=")


def test_a_person_signs_in_with_another_provider_and_is_the_same_the_next_time(provider, folder):
    hub = hub_with(folder, provider.issuer, port=provider.hub_port).start()
    try:
        name = new_name("zoe")
        hub.person("taken")
        for _ in range(2):
            browser = Browser(hub, host="localhost")
            assert f"localhost:{provider.port}" in browser.http.get("/signin").text
            away = browser.http.get("/signin/oidc", params={"next": "device?user_code=BBBB"})
            back = provider.sign_in(away.headers["location"], name)
            here = browser.http.get(back)
            assert here.status_code == 303 and here.headers["location"] == f"{browser.home}/device?user_code=BBBB", here.text
            assert browser.who() == name and browser.http.get("/api/whoami-v2").json()["email"] is None
        other = Browser(hub, host="localhost")
        other.http.get(provider.sign_in(other.http.get("/signin/oidc").headers["location"], "taken"))
        assert other.who() == "taken-2", "a name that is taken stays whose it is"
        assert browser.http.get(back).status_code == 403, "the way back is open once"
        assert SECRET not in hub.log_text() and asked(back)["code"] not in hub.log_text()
    finally:
        hub.stop()


# A second Cairn.


def test_one_cairn_signs_in_with_another_and_links_accounts(hub, folder):
    port = free_port()
    ada = newcomer(hub)
    app = ada.http.post("/api/settings/oauth-apps", json={
        "name": "the other hub", "redirectUris": [f"http://localhost:{port}/signin/oidc/callback"]}).raise_for_status().json()
    other = hub_with(folder, hub.url, app["clientSecret"], "off", app["clientId"], port).start()

    def there(url, person=ada):
        page = person.http.get(url)
        return person.form("/oauth/authorize", **{**hidden(page.text), "decision": "allow"}).headers["location"]

    try:
        stranger = Browser(other, host="localhost")
        back = stranger.http.get(there(stranger.http.get("/signin/oidc").headers["location"]))
        assert back.status_code == 403 and back.headers["x-error-code"] == "NotLinked" and stranger.who() is None
        eve, bea = newcomer(other, "eve", "localhost"), newcomer(other, "bea", "localhost")
        answer = there(start_link(eve))
        assert bea.http.get(answer).status_code == 403, "who brings it is not who asked"
        assert eve.http.get(answer).status_code == 303
        assert eve.http.get(there(start_link(eve))).status_code == 303, "once more changes nothing"
        assert bea.http.get(there(start_link(bea))).status_code == 409, "one person elsewhere is one person here"
        again = Browser(other, host="localhost")
        assert again.http.get(there(again.http.get("/signin/oidc").headers["location"])).status_code == 303
        assert again.who() == eve.name
        assert eve.http.delete("/api/settings/oidc").text == "{}" and eve.http.delete("/api/settings/oidc").status_code == 404
        parted = Browser(other, host="localhost")
        assert parted.http.get(there(parted.http.get("/signin/oidc").headers["location"])).status_code == 403
    finally:
        other.stop()


def test_linking_takes_a_person_at_the_hubs_own_page(hub, folder):
    other = hub_with(folder, hub.url).start()
    try:
        eve = newcomer(other, "eve")
        assert Browser(other).form("/signin/oidc").status_code == 401
        assert other.key_of(eve.name).http.post("/signin/oidc").status_code == 403
        eve.http.headers["origin"] = "https://evil.example"
        assert eve.form("/signin/oidc").status_code == 403
        other.stop()
        other.environment["CAIRN_CLOCK_AHEAD"] = "1000"
        other.start()
        eve.http.headers["origin"] = eve.home
        assert eve.form("/signin/oidc").headers["x-error-code"] == "StepUp", "too long after signing in"
    finally:
        other.stop()


# One that lies.


class Liar:
    """A provider whose next ID token the test writes."""

    def __init__(self):
        self.rsa = jwk.RSAKey.generate_key(2048, {"kid": "r", "use": "sig"})
        self.ec = jwk.ECKey.generate_key("P-256", {"kid": "e", "use": "sig"})
        self.keys = [self.rsa.as_dict(private=False), self.ec.as_dict(private=False)]
        self.token, self.about, self.paths, self.forms, self.headers, self.wants = None, {}, [], [], [], None
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, value, status=200):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                liar.paths.append(self.path)
                self.reply({"keys": liar.keys} if self.path == "/jwks" else {
                    "issuer": liar.issuer, "authorization_endpoint": f"{liar.issuer}/authorize",
                    "token_endpoint": f"{liar.issuer}/token", "jwks_uri": f"{liar.issuer}/jwks", **liar.about})

            def do_POST(self):
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                liar.forms.append(parse_qs(form))
                liar.headers.append(self.headers.get("authorization"))
                if liar.wants and liar.wants != ("client_secret_basic" if liar.headers[-1] else "client_secret_post"):
                    return self.reply({"error": "invalid_client"}, 401)
                self.reply({"access_token": "x", "token_type": "bearer", "id_token": liar.token})

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, nonce, **changes):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "somebody", "aud": "cairn-hub", "iat": now, "exp": now + 300, "nonce": nonce, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def signed(self, claims, alg="RS256", key=None, **header):
        key = key or (self.rsa if alg == "RS256" else self.ec)
        named = {"kid": key.as_dict()["kid"]} if "kid" in key.as_dict() else {}
        return jwt.encode({"alg": alg, **named, **header}, claims, key)

    def come_back(self, browser, make):
        question = asked(browser.http.get("/signin/oidc").headers["location"])
        self.token = make(question["nonce"])
        return browser.http.get("/signin/oidc/callback", params={"code": "a-code", "state": question["state"]})


@pytest.fixture(scope="module")
def liar():
    liar = Liar()
    yield liar
    liar.server.shutdown()


@pytest.fixture(scope="module")
def lied_to(liar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lied-to")
    (folder / "hub").mkdir()
    hub = hub_with(folder, liar.issuer).start()
    yield hub
    hub.stop()


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def shared_secret(liar, claims):
    """HS256 with what everybody knows: the text of the public key."""
    signing = f"{part({'alg': 'HS256', 'kid': 'r'})}.{part(claims)}"
    mac = hmac.digest(liar.rsa.as_pem(private=False), signing.encode(), "sha256")
    return f"{signing}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


LIES = {
    "alg none": lambda liar, n: f"{part({'alg': 'none'})}.{part(liar.claims(n))}.",
    "alg none with a signature": lambda liar, n: f"{part({'alg': 'none'})}.{part(liar.claims(n))}.AAAA",
    "alg HS256": lambda liar, n: shared_secret(liar, liar.claims(n)),
    "another issuer": lambda liar, n: liar.signed(liar.claims(n, iss="https://elsewhere.example")),
    "for another": lambda liar, n: liar.signed(liar.claims(n, aud="another")),
    "for several, without azp": lambda liar, n: liar.signed(liar.claims(n, aud=["cairn-hub", "another"])),
    "for several, azp another": lambda liar, n: liar.signed(liar.claims(n, aud=["cairn-hub", "another"], azp="another")),
    "for nobody": lambda liar, n: liar.signed(liar.claims(n, aud=None)),
    "ended": lambda liar, n: liar.signed(liar.claims(n, exp=int(time.time()) - 120)),
    "without end": lambda liar, n: liar.signed(liar.claims(n, exp=None)),
    "made long ago": lambda liar, n: liar.signed(liar.claims(n, iat=int(time.time()) - 3600)),
    "made tomorrow": lambda liar, n: liar.signed(liar.claims(n, iat=int(time.time()) + 86400)),
    "another nonce": lambda liar, n: liar.signed(liar.claims(n[::-1])),
    "no nonce": lambda liar, n: liar.signed(liar.claims(None)),
    "no subject": lambda liar, n: liar.signed(liar.claims(n, sub=None)),
    "an empty subject": lambda liar, n: liar.signed(liar.claims(n, sub="")),
    "a subject of 256": lambda liar, n: liar.signed(liar.claims(n, sub="x" * 256)),
    "another key": lambda liar, n: liar.signed(liar.claims(n), key=jwk.RSAKey.generate_key(2048, {"kid": "r"})),
    "a key nobody knows": lambda liar, n: liar.signed(liar.claims(n), key=jwk.RSAKey.generate_key(2048, {"kid": "new"})),
    "a key of its own": lambda liar, n: liar.signed(liar.claims(n), key=(own := jwk.RSAKey.generate_key(2048)), jwk=own.as_dict(private=False)),
    "ES256 by an RSA key's name": lambda liar, n: liar.signed(liar.claims(n), "ES256", kid="r"),
    "changed": lambda liar, n: ".".join((lambda h, p, s: (h, part(liar.claims(n, sub="alice")), s))(*liar.signed(liar.claims(n)).split("."))),
    "cut": lambda liar, n: liar.signed(liar.claims(n))[:-8],
    "no token": lambda liar, n: None,
    "no JSON": lambda liar, n: "e30.e30",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_right_signs_nobody_in(lied_to, liar, lie):
    browser = Browser(lied_to)
    answer = liar.come_back(browser, lambda nonce: LIES[lie](liar, nonce))
    assert answer.status_code == 401 and "cairn_session" not in str(answer.headers), answer.text
    assert browser.who() is None
    assert liar.come_back(browser, lambda nonce: liar.signed(liar.claims(nonce))).status_code == 303, "the truth does"


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_token_that_is_right_does(lied_to, liar, alg):
    browser, sub = Browser(lied_to), new_name("sub")
    truth = lambda nonce: liar.signed(liar.claims(nonce, sub=sub, aud=["cairn-hub", "another"], azp="cairn-hub",  # noqa: E731
                                                  email="somebody@example.org", email_verified=False), alg)
    assert liar.come_back(browser, truth).status_code == 303 and browser.who().startswith("person")
    form = liar.forms[-1]
    assert "client_secret" not in form and len(form["code_verifier"][0]) >= 43
    user, secret = base64.b64decode(liar.headers[-1].removeprefix("Basic ")).decode().split(":")
    assert (unquote(user), unquote(secret)) == ("cairn-hub", SECRET), "what a provider takes that says nothing of it"


BOTH = ["client_secret_post", "private_key_jwt", "client_secret_basic"]


@pytest.mark.parametrize("says, wants, tries", [
    (None, "client_secret_basic", 1), (["client_secret_post"], "client_secret_post", 1), (["client_secret_basic"], "client_secret_basic", 1),
    (BOTH, "client_secret_basic", 1), (BOTH, "client_secret_post", 2)])
def test_the_hub_proves_who_it_is_as_the_provider_takes_it(liar, folder, says, wants, tries):
    liar.about = {"token_endpoint_auth_methods_supported": says} if says else {}
    hub = hub_with(folder, liar.issuer).start()
    try:
        liar.wants, before = wants, len(liar.forms)
        browser = Browser(hub)
        assert liar.come_back(browser, lambda nonce: liar.signed(liar.claims(nonce))).status_code == 303
        assert len(liar.forms) - before == tries
        if wants == "client_secret_post":
            assert liar.forms[-1]["client_secret"] == [SECRET] and not liar.headers[-1]
        liar.wants = "something else"
        assert liar.come_back(Browser(hub), lambda nonce: liar.signed(liar.claims(nonce))).status_code == 503
    finally:
        liar.wants, liar.about = None, {}
        hub.stop()


def test_a_provider_that_takes_no_way_of_ours_is_told_nothing(liar, folder):
    liar.about, before = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "none"]}, len(liar.forms)
    hub = hub_with(folder, liar.issuer).start()
    try:
        answer = liar.come_back(Browser(hub), lambda nonce: liar.signed(liar.claims(nonce)))
        assert answer.status_code == 400 and "client_secret_basic" in answer.text and len(liar.forms) == before
    finally:
        liar.about = {}
        hub.stop()


def test_a_hub_without_a_secret_sends_none(liar, folder):
    hub = Hub(folder / "hub", flags=["--oidc-issuer", liar.issuer, "--oidc-client-id", "cairn-hub", "--oidc-sign-up", "on"]).start()
    try:
        assert liar.come_back(Browser(hub), lambda nonce: liar.signed(liar.claims(nonce))).status_code == 303
        assert "client_secret" not in liar.forms[-1] and not liar.headers[-1]
    finally:
        hub.stop()


def test_many_accounts_that_are_made_from_one_network_in_a_day_are_noticed(liar, folder):
    hub = hub_with(folder, liar.issuer).start()
    try:
        for _ in range(4):
            assert hub_signals(hub) == []
            browser = Browser(hub)
            sub = new_name("sub")
            liar.come_back(browser, lambda nonce, sub=sub: liar.signed(liar.claims(nonce, sub=sub)))
            liar.come_back(Browser(hub), lambda nonce, sub=sub: liar.signed(liar.claims(nonce, sub=sub)))  # who is known signs up no more
        until(lambda: hub_signals(hub) == ["many-accounts"] * 4)
    finally:
        hub.stop()


def test_accounts_made_with_one_browser_over_weeks_are_noticed_from_the_fourth_on(liar, folder):
    hub = hub_with(folder, liar.issuer).start()
    browser = Browser(hub)
    try:
        for number in range(4):
            assert hub_signals(hub) == []
            now = int(time.time()) + number * 7 * 86400
            liar.come_back(browser, lambda nonce: liar.signed(liar.claims(nonce, sub=new_name("sub"), iat=now, exp=now + 300)))
            [device] = [cookie for cookie in browser.http.cookies.jar if cookie.name == "cairn_device" and cookie.expires]
            assert device.expires > time.time() + 300 * 86400
            until(lambda: looked_at(hub))
            hub.stop()
            hub.environment["CAIRN_CLOCK_AHEAD"] = str((number + 1) * 7 * 86400)  # the networks are forgotten, the browser is not
            hub.start()
            browser = Browser(hub)
            browser.http.cookies.set("cairn_device", device.value)
        assert hub_signals(hub) == ["many-accounts"] * 4
    finally:
        hub.stop()


def test_other_browsers_of_one_network_are_not_taken_for_one(liar, folder):
    hub = hub_with(folder, liar.issuer).start()
    try:
        for _ in range(3):
            liar.come_back(Browser(hub), lambda nonce: liar.signed(liar.claims(nonce, sub=new_name("sub"))))
        until(lambda: looked_at(hub))
        known = Browser(hub)
        liar.come_back(known, lambda nonce: liar.signed(liar.claims(nonce, sub="somebody")))
        assert hub_signals(hub) == ["many-accounts"] * 4 or until(lambda: hub_signals(hub) == ["many-accounts"] * 4), "by network"
        with sqlite3.connect(hub.data / "cairn.db") as db:
            assert db.execute("SELECT max(n) FROM (SELECT count(*) AS n FROM account_mark GROUP BY mark)").fetchone() == (1,)
    finally:
        hub.stop()


def looked_at(hub):
    with sqlite3.connect(hub.data / "cairn.db") as db:
        return db.execute("SELECT count(*) FROM account_mark WHERE looked = 0").fetchone()[0] == 0


@pytest.mark.parametrize("claims, kept", [({"email": "jo@uni.example", "email_verified": True}, "jo@uni.example"),
                                          ({"email": "jo@uni.example", "email_verified": False}, None),
                                          ({"email": "jo@uni.example"}, None), ({"email": "no address", "email_verified": True}, None),
                                          ({"email": "jo@uni.example", "email_verified": "true"}, None)])
def test_only_an_address_that_the_provider_has_verified_is_taken_over(lied_to, liar, claims, kept):
    browser = Browser(lied_to)
    assert liar.come_back(browser, lambda nonce: liar.signed(liar.claims(nonce, sub=new_name("sub"), **claims))).status_code == 303
    assert browser.http.get("/api/whoami-v2").json().get("email") == kept


def test_people_are_known_by_issuer_and_subject_never_by_address_or_name(lied_to, liar):
    victim = newcomer(lied_to, "victim")
    browser = Browser(lied_to)
    liar.come_back(browser, lambda nonce: liar.signed(liar.claims(
        nonce, sub=new_name("sub"), preferred_username=victim.name, email=f"{victim.name}@example.org", email_verified=True)))
    assert browser.who() == f"{victim.name}-2"


@pytest.mark.parametrize("wanted, got", [("admin<b>", "adminb"), ("settings", "settings-2"), ("../..", "person"), ("", "person"),
                                         ("Jo.Smith@corp.example", "Jo.Smith"), ("erased-1", "person")])
def test_a_name_that_cannot_be_one_is_made_one(lied_to, liar, wanted, got):
    browser = Browser(lied_to)
    assert liar.come_back(browser, lambda nonce: liar.signed(liar.claims(
        nonce, sub=new_name("sub"), preferred_username=wanted))).status_code == 303
    assert browser.who().startswith(got)


def test_the_answer_must_fit_the_browser_and_be_of_now(lied_to, liar):
    browser, other = Browser(lied_to), Browser(lied_to)
    question = asked(browser.http.get("/signin/oidc").headers["location"])
    liar.token = liar.signed(liar.claims(question["nonce"]))
    answer = {"code": "a-code", "state": question["state"]}
    assert other.http.get("/signin/oidc/callback", params=answer).status_code == 403, "without the cookie"
    other.http.get("/signin/oidc")
    assert other.http.get("/signin/oidc/callback", params=answer).status_code == 403, "with another one"
    assert browser.http.get("/signin/oidc/callback", params={**answer, "state": answer["state"][::-1]}).status_code == 403
    assert browser.http.get("/signin/oidc/callback", params={**answer, "iss": "https://elsewhere.example"}).status_code == 403
    question = asked(browser.http.get("/signin/oidc").headers["location"])
    assert browser.http.get("/signin/oidc/callback", params={"error": "access_denied", "state": question["state"]}).status_code == 403
    name, = [name for name in browser.http.cookies if "oidc" in name] or ["cairn_oidc"]
    question = asked(browser.http.get("/signin/oidc").headers["location"])
    forged = browser.http.cookies["cairn_oidc"].replace(".0.", ".1.")
    assert httpx.get(f"{lied_to.url}/signin/oidc/callback", params={"code": "x", "state": question["state"]},
                     headers={"cookie": f"{name}={forged}"}).status_code == 403


def test_keys_that_the_provider_has_changed_are_fetched_anew_but_not_at_every_lie(lied_to, liar):
    liar.come_back(Browser(lied_to), lambda nonce: liar.signed(liar.claims(nonce)))
    before = liar.paths.count("/jwks")
    for _ in range(3):
        liar.come_back(Browser(lied_to), lambda nonce: liar.signed(liar.claims(nonce), key=jwk.RSAKey.generate_key(2048, {"kid": "no"})))
    assert liar.paths.count("/jwks") - before <= 1


@pytest.mark.parametrize("lie", [{"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://169.254.169.254/latest"},
                                 {"jwks_uri": "http://127.0.0.1:1@elsewhere.example/keys"}, {"jwks_uri": "file:///etc/passwd"},
                                 {"token_endpoint": "http://127.0.0.1.elsewhere.example:1/token"}, {"token_endpoint": "https://"},
                                 {"authorization_endpoint": "javascript:alert(1)"},
                                 {"authorization_endpoint": "http://elsewhere.example/"}])
def test_nobody_is_asked_without_https_whatever_the_documents_say(liar, folder, lie):
    liar.about = lie
    hub = hub_with(folder, liar.issuer).start()
    try:
        browser = Browser(hub)
        away = browser.http.get("/signin/oidc")
        if away.status_code == 303:
            question = asked(away.headers["location"])
            liar.token = liar.signed(liar.claims(question["nonce"]))
            away = browser.http.get("/signin/oidc/callback", params={"code": "x", "state": question["state"]})
        assert away.status_code == 400 and browser.who() is None
    finally:
        liar.about = {}
        hub.stop()


def test_a_provider_that_is_away_holds_up_nobody(folder):
    hub = hub_with(folder, f"http://127.0.0.1:{free_port()}").start()
    try:
        for _ in range(20):
            assert httpx.get(f"{hub.url}/signin/oidc").status_code == 503
        assert newcomer(hub).who()
    finally:
        hub.stop()


def test_a_person_who_is_forgotten_here_is_a_stranger_the_next_time(liar, folder):
    hub = hub_with(folder, liar.issuer).start()
    try:
        sub = new_name("a-subject-that-is-nowhere-else")

        def truth(nonce):
            return liar.signed(liar.claims(nonce, sub=sub, preferred_username="mina"))

        first, later = Browser(hub), Browser(hub)
        liar.come_back(first, truth)
        before = first.http.get("/api/whoami-v2").json()
        hub.admin("user", "erase", "mina", "--reason", "request")
        assert first.who() is None
        assert not any(sub.encode() in file.read_bytes() for file in hub.data.glob("cairn.db*"))
        liar.come_back(later, truth)
        assert later.who() == "mina" and later.http.get("/api/whoami-v2").json()["id"] != before["id"]
    finally:
        hub.stop()


def test_a_hub_without_a_provider_has_no_such_page(hub):
    assert httpx.get(f"{hub.url}/signin/oidc").status_code == 404
    assert "Sign in with" not in httpx.get(f"{hub.url}/signin").text


@pytest.mark.parametrize("flags", [["--oidc-issuer", "http://elsewhere.example", "--oidc-client-id", "x"],
                                   ["--oidc-issuer", "https://elsewhere.example"],
                                   ["--oidc-issuer", "https://elsewhere.example", "--oidc-client-id", "x", "--oidc-sign-up", "maybe"]])
def test_a_provider_that_cannot_be_used_is_refused_at_the_start(hub, folder, flags):
    done = hub.cairn("serve", "--data", folder / "data", "--listen", f"127.0.0.1:{free_port()}", *flags, check=False)
    assert done.returncode != 0 and "--oidc" in done.stderr
