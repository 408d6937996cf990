# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in elsewhere with Cairn: Authlib's stock client, and what the provider refuses."""

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from browsers import Browser, hidden, newcomer
from support import ROOT, Hub, free_port

sys.path.append(str(ROOT / ".venv" / "oidc"))
from authlib.common.security import generate_token  # noqa: E402
from authlib.integrations.httpx_client import OAuth2Client  # noqa: E402
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: E402
from joserfc import jwt  # noqa: E402
from joserfc.jwk import KeySet  # noqa: E402

BACK = "https://site.example/callback?from=cairn"


@pytest.fixture(scope="module")
def app(hub, alice):
    return alice.http.post("/api/settings/oauth-apps", json={"name": "A <site>", "redirectUris": [BACK]}).raise_for_status().json()


class Site:
    """A site that people sign in to with Cairn."""

    def __init__(self, hub, app, scope="openid profile email", auth="client_secret_basic"):
        self.hub, self.app = hub, app
        self.about = httpx.get(f"{hub.url}/.well-known/openid-configuration").raise_for_status().json()
        self.client = OAuth2Client(app["clientId"], app.get("clientSecret"), scope=scope, redirect_uri=app["redirectUris"][0],
                                   code_challenge_method="S256", token_endpoint_auth_method=auth)
        self.verifier, self.nonce = generate_token(48), generate_token(20)

    def url(self, **more):
        url, self.state = self.client.create_authorization_url(self.about["authorization_endpoint"], nonce=self.nonce,
                                                               code_verifier=self.verifier, **more)
        return url

    def answer(self, browser, decision="allow", **more):
        """What the browser brings back."""
        page = browser.http.get(self.url())
        assert page.status_code == 200, page.text
        back = browser.form("/oauth/authorize", **{**hidden(page.text), "decision": decision, **more})
        assert back.status_code == 303 and back.headers["location"].startswith(BACK + "&"), back.text
        return back.headers["location"]

    def token(self, back, **more):
        return self.client.fetch_token(self.about["token_endpoint"], authorization_response=back,
                                       **{"code_verifier": self.verifier, "state": self.state, **more})

    def claims(self, token):
        keys = KeySet.import_key_set(httpx.get(self.about["jwks_uri"]).json())
        decoded = jwt.decode(token["id_token"], keys, algorithms=["ES256"])
        jwt.JWTClaimsRegistry(iss={"essential": True, "value": self.about["issuer"]}, nonce={"essential": True, "value": self.nonce},
                              aud={"essential": True, "value": self.app["clientId"]}, exp={"essential": True}).validate(decoded.claims)
        return decoded.claims


def asked(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
def test_a_stock_client_signs_a_person_in(hub, app, auth):
    ada, site = newcomer(hub), Site(hub, app, auth=auth)
    back = site.answer(ada)
    assert asked(back)["iss"] == hub.url and asked(back)["state"] == site.state
    token = site.token(back)
    claims = site.claims(token)
    me = ada.http.get("/api/whoami-v2").json()
    assert claims["sub"] == me["id"] and claims["preferred_username"] == ada.name and claims["exp"] - claims["iat"] == 600
    told = site.client.get(site.about["userinfo_endpoint"]).json()
    assert told["sub"] == claims["sub"] and told["preferred_username"] == ada.name
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(f"{hub.url}/api/whoami-v2", headers=bearer).status_code == 401, "it is good for nothing else"
    for secret in (token["access_token"], token["id_token"], asked(back)["code"], app["clientSecret"]):
        assert secret not in hub.log_text()


def test_a_person_who_refuses_is_not_signed_in(hub, app):
    back = asked(Site(hub, app).answer(newcomer(hub), decision="deny"))
    assert back["error"] == "access_denied" and "code" not in back


def test_a_code_is_good_once_and_a_second_use_ends_what_it_gave(hub, app):
    site = Site(hub, app)
    back = site.answer(newcomer(hub))
    token = site.token(back)
    with pytest.raises(Exception, match="invalid_grant"):
        site.token(back)
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(site.about["userinfo_endpoint"], headers=bearer).status_code == 401


def test_of_many_who_bring_one_code_one_gets_tokens(hub, app):
    site = Site(hub, app)
    code = asked(site.answer(newcomer(hub)))["code"]

    def bring(_):
        return httpx.post(site.about["token_endpoint"], auth=(app["clientId"], app["clientSecret"]),
                          data={"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
                                "code_verifier": site.verifier}).status_code

    with ThreadPoolExecutor(8) as crowd:
        assert sorted(crowd.map(bring, range(8))) == [200] + [400] * 7


@pytest.mark.parametrize("wrong", [{"code_verifier": "x" * 48}, {"code_verifier": ""}, {"redirect_uri": "https://site.example/callback"}])
def test_a_code_without_its_verifier_or_address_is_spent_for_nothing(hub, app, wrong):
    site = Site(hub, app)
    back = site.answer(newcomer(hub))
    with pytest.raises(Exception, match="invalid_grant"):
        site.token(back, **wrong)
    with pytest.raises(Exception, match="invalid_grant"):
        site.token(back)


def test_a_code_of_one_application_is_none_of_another(hub, app, alice):
    other = alice.http.post("/api/settings/oauth-apps", json={"name": "other", "redirectUris": [BACK]}).json()
    mine, theirs = Site(hub, app), Site(hub, other)
    back = mine.answer(newcomer(hub))
    theirs.verifier, theirs.state = mine.verifier, mine.state
    with pytest.raises(Exception, match="invalid_grant"):
        theirs.token(back)
    theirs.client.client_secret = app["clientSecret"]
    with pytest.raises(Exception, match="invalid_client"):
        theirs.token(back)
    assert mine.token(back)["id_token"], "nobody else can spend it"
    assert alice.http.delete(f"/api/settings/oauth-apps/{other['clientId']}").status_code == 200
    assert httpx.get(theirs.url()).status_code == 400, "it is gone"


def test_a_code_ends_after_a_minute(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        ada = newcomer(hub)
        app = ada.http.post("/api/settings/oauth-apps", json={"name": "a site", "redirectUris": [BACK]}).raise_for_status().json()
        site = Site(hub, app)
        young, old = site.answer(ada), site.answer(ada)
        assert stat.S_IMODE((hub.data / "oidc.pem").stat().st_mode) == 0o600
        before = httpx.get(site.about["jwks_uri"]).json()
        site.state = asked(young)["state"]
        assert site.token(young)["id_token"]
        hub.stop()
        hub.environment["CAIRN_CLOCK_AHEAD"] = "61"
        hub.start()
        site.state = asked(old)["state"]
        with pytest.raises(Exception, match="invalid_grant"):
            site.token(old)
        assert httpx.get(site.about["jwks_uri"]).json() == before, "the key stays"
    finally:
        hub.stop()


def test_a_public_client_needs_no_secret_but_its_verifier(hub, alice):
    app = alice.http.post("/api/settings/oauth-apps", json={"name": "app", "redirectUris": [BACK], "public": True}).json()
    assert "clientSecret" not in app
    site = Site(hub, app, auth="none")
    back = site.answer(newcomer(hub))
    assert site.claims(site.token(back))["aud"] == app["clientId"]


@pytest.mark.parametrize("change, error", [
    ({"response_type": "token"}, "unsupported_response_type"), ({"scope": "profile"}, "invalid_scope"),
    ({"code_challenge": ""}, "invalid_request"), ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"request": "x.y.z"}, "request_not_supported"), ({"prompt": "none"}, "consent_required"), ({"max_age": "0"}, "login_required")])
def test_the_application_is_told_what_it_asked_wrong(hub, app, change, error):
    ada, site = newcomer(hub), Site(hub, app)
    back = ada.http.get("/oauth/authorize", params={**asked(site.url()), **change})
    assert back.status_code == 303 and asked(back.headers["location"])["error"] == error
    assert asked(back.headers["location"])["state"] == site.state


@pytest.mark.parametrize("address", ["https://site.example/callback", BACK + "x", "https://evil.example/", "javascript:alert(1)", ""])
def test_nothing_is_sent_to_an_address_that_is_not_registered(hub, app, address):
    ada, site = newcomer(hub), Site(hub, app)
    question = {**asked(site.url()), "redirect_uri": address}
    for answer in (ada.http.get("/oauth/authorize", params=question),
                   ada.form("/oauth/authorize", **question, decision="allow")):
        assert answer.status_code == 400 and "location" not in answer.headers


@pytest.mark.parametrize("address", ["http://site.example/", "https://", "https://a/#x", "javascript:alert(1)", "https://a/ b", "https://a/\nb",
                                     "http://localhost.evil.example/", "https://a;script-src *"])
def test_what_is_no_safe_address_cannot_be_registered(alice, address):
    assert alice.http.post("/api/settings/oauth-apps", json={"name": "x", "redirectUris": [address]}).status_code == 400


def test_the_page_asks_whoever_is_not_signed_in_to_sign_in_and_comes_back(hub, app):
    ada, site = newcomer(hub), Site(hub, app)
    stranger, url = Browser(hub, ada.name), site.url()
    away = stranger.http.get(url)
    next_page = asked(away.headers["location"])["next"]
    back = stranger.form("/signin", user=ada.name, password="correct horse battery", next=next_page)
    assert back.status_code == 303 and back.headers["location"] == url
    page = stranger.http.get(url)
    assert "A &#60;site&#62;" in page.text and "form-action 'self' https://site.example;" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


def test_no_other_page_and_no_token_agrees_for_a_person(hub, app, alice):
    ada, site = newcomer(hub), Site(hub, app)
    question = {**asked(site.url()), "decision": "allow"}
    assert alice.http.post("/oauth/authorize", data=question).status_code == 403
    ada.http.headers["origin"] = "https://evil.example"
    assert ada.form("/oauth/authorize", **question).status_code == 403
    assert httpx.get(site.url() + "&prompt=none").headers["location"].count("error=login_required") == 1


def test_a_person_at_a_real_browser_signs_in_elsewhere_and_allows_a_program(hub, alice):
    ada, port = newcomer(hub), free_port()
    app = alice.http.post("/api/settings/oauth-apps",
                          json={"name": "A site", "redirectUris": [f"http://127.0.0.1:{port}/callback"]}).json()
    site = Site(hub, app)
    done = subprocess.run(["node", ROOT / "tests/js/consent.mjs", hub.url, ada.name, "correct horse battery", site.url(), str(port)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["allowed"] and not seen["overflows"] and seen["console"] == []
    assert site.claims(site.token(f"http://127.0.0.1:{port}{seen['came'][0]}"))["preferred_username"] == ada.name
