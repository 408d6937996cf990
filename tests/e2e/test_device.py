# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in a program by the device flow (RFC 8628), with the stock `hf auth login`."""

import re
import subprocess

import httpx
import pytest

from browsers import Browser, newcomer
from support import HF, Hub, Person, until

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def ask(hub, client="a-program", **headers):
    return httpx.post(f"{hub.url}/oauth/device", data={"client_id": client}, headers=headers).raise_for_status().json()


def poll(hub, device, client="a-program"):
    answer = httpx.post(f"{hub.url}/oauth/token",
                        data={"grant_type": GRANT, "device_code": device["device_code"], "client_id": client})
    assert answer.headers["cache-control"] == "no-store"
    return answer


def error_of(answer):
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def decide(browser, device, decision="allow", **more):
    return browser.form("/device", user_code=device["user_code"], decision=decision, **more)


def login(hub, tmp_path):
    """Starts the stock command; returns its process, and the code that it shows."""
    person = Person(hub, "nobody", None)
    person.home = tmp_path / "home"
    environment = {key: value for key, value in person.environment(PYTHONUNBUFFERED="1").items()
                   if key != "HF_HUB_DISABLE_IMPLICIT_TOKEN"}
    output = (tmp_path / "login.out").open("w+")
    process = subprocess.Popen([HF, "auth", "login", "--format", "human"], stdin=subprocess.DEVNULL, stdout=output,
                               stderr=subprocess.STDOUT, env=environment)

    def said():
        return (tmp_path / "login.out").read_text()

    found = until(lambda: re.search(r"enter the code: (\S+)", said()) or (process.poll() is not None and said()))
    assert not isinstance(found, str), found
    return process, {"user_code": found.group(1)}, said, environment


def test_hf_auth_login_signs_in_once_the_person_has_allowed_it(hub, tmp_path):
    ada = newcomer(hub)
    process, device, said, environment = login(hub, tmp_path)
    assert f"{hub.url}/device?user_code={device['user_code']}" in said()
    page = ada.form("/device", user_code=device["user_code"])
    assert page.status_code == 200 and "python-httpx" in page.text and "127.0.0.1" in page.text
    assert decide(ada, device).status_code == 200
    assert process.wait(120) == 0, said()
    who = subprocess.run([HF, "auth", "whoami"], env=environment, capture_output=True, text=True, check=True).stdout
    assert ada.name in who
    token = (tmp_path / "home" / "token").read_text()
    key, = [key for key in ada.http.get("/api/settings/keys").json() if device["user_code"] in key["name"]]
    assert token.startswith("hf_cairn_") and key["role"] == "write" and key["expiresAt"] and key["name"].startswith("python-httpx")
    assert token not in hub.log_text() and device["user_code"] not in hub.log_text()


def test_hf_auth_login_ends_when_the_person_refuses(hub, tmp_path):
    ada = newcomer(hub)
    process, device, said, _ = login(hub, tmp_path)
    assert "Refused" in decide(ada, device, "deny").text
    assert process.wait(120) != 0
    assert "denied" in said() and ada.http.get("/api/settings/keys").json() == []


def test_a_program_waits_gets_its_key_once_and_no_more(hub):
    ada, device = newcomer(hub), ask(hub)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", device["user_code"])
    assert device["expires_in"] == 900 and device["interval"] == 5
    assert error_of(poll(hub, device)) == "authorization_pending"
    until(lambda: error_of(poll(hub, device)) == "slow_down")  # it asks too often
    assert error_of(poll(hub, device, client="another-program")) == "invalid_grant"
    assert decide(ada, device, name="my laptop", role="read").status_code == 200
    given = poll(hub, device).json()
    assert given["token_type"] == "bearer" and given["expires_in"] == 90 * 86400
    me = httpx.get(f"{hub.url}/api/whoami-v2", headers={"authorization": f"Bearer {given['access_token']}"}).json()
    assert me["name"] == ada.name and me["auth"]["accessToken"]["role"] == "read"
    assert me["auth"]["accessToken"]["displayName"] == "my laptop"
    assert error_of(poll(hub, device)) == "invalid_grant"
    assert decide(ada, device).status_code == 404, "it is answered already"


def test_a_refused_program_gets_nothing(hub):
    ada, device = newcomer(hub), ask(hub)
    assert decide(ada, device, "deny").status_code == 200
    assert error_of(poll(hub, device)) == "access_denied"
    assert decide(ada, device).status_code == 404


def test_a_code_ends_after_a_quarter_of_an_hour(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        ada, waiting, allowed = newcomer(hub), ask(hub), ask(hub)
        assert decide(ada, allowed).status_code == 200
        hub.stop()
        hub.environment["CAIRN_CLOCK_AHEAD"] = "600"
        hub.start()
        assert error_of(poll(hub, waiting)) == "authorization_pending", "it is kept over a restart"
        hub.stop()
        hub.environment["CAIRN_CLOCK_AHEAD"] = "910"
        hub.start()
        assert error_of(poll(hub, waiting)) == error_of(poll(hub, allowed)) == "expired_token"
        assert decide(ada, waiting).status_code == 404
    finally:
        hub.stop()


def test_who_guesses_codes_soon_has_to_wait(own_hub):
    ada, device = newcomer(own_hub), ask(own_hub)
    answers = [ada.form("/device", user_code="BBBB-BBB" + letter).status_code for letter in "BCDFGHJKL"]
    assert answers[:5] == [404] * 5 and 429 in answers[5:]
    assert error_of(poll(own_hub, device)) == "authorization_pending"
    assert ada.http.get("/device", params={"user_code": device["user_code"]}).text.count("python-httpx") == 0, "looking up is asking"


@pytest.mark.parametrize("typed", ["", "BBBB", "AEIO-UAEI", "BBBB-BBBB-B", "' OR 1=1 --", "ﬀ"])
def test_what_is_no_code_is_answered_like_a_wrong_one(own_hub, typed):
    assert newcomer(own_hub).form("/device", user_code=typed).status_code == 404


def test_codes_are_typed_in_either_case(hub):
    ada, device = newcomer(hub), ask(hub)
    device["user_code"] = device["user_code"].lower().replace("-", " ")
    assert decide(ada, device).status_code == 200


def test_only_a_person_at_the_hubs_own_page_allows_a_program(hub, alice):
    device = ask(hub)
    stranger = Browser(hub)
    away = stranger.http.get("/device", params={"user_code": device["user_code"]})
    assert away.status_code == 303 and "/signin?next=device%3Fuser_code%3D" in away.headers["location"]
    assert decide(stranger, device).status_code == 401
    assert alice.http.post("/device", data={"user_code": device["user_code"], "decision": "allow"}).status_code == 403
    ada = newcomer(hub)
    ada.http.headers["origin"] = "https://evil.example"
    assert decide(ada, device).status_code == 403
    assert error_of(poll(hub, device)) == "authorization_pending"


def test_signing_in_leads_back_to_where_one_was_going_and_nowhere_else(hub):
    ada = newcomer(hub)
    for wanted, reached in [("device?user_code=BBBB-CCCC", "device?user_code=BBBB-CCCC"), ("//evil.example", "signin"),
                            ("https://evil.example", "signin"), ("device\\@evil", "signin"), ("api/sessions", "signin")]:
        answer = ada.form("/signin", user=ada.name, password="correct horse battery", next=wanted)
        assert answer.status_code == 303 and answer.headers["location"] == f"{hub.url}/{reached}"


def test_one_network_does_not_take_all_codes(own_hub):
    for _ in range(20):
        ask(own_hub)
    assert httpx.post(f"{own_hub.url}/oauth/device", data={"client_id": "x"}).status_code == 429
    assert httpx.post(f"{own_hub.url}/oauth/device", data={}).json()["error"] == "invalid_request"


def test_other_grants_are_refused_by_name(hub):
    for body in ({"grant_type": "password"}, {}, {"grant_type": "refresh_token", "refresh_token": "x"}):
        for how in ({"data": body}, {"json": body}):
            assert error_of(httpx.post(f"{hub.url}/oauth/token", **how)) == "unsupported_grant_type"
