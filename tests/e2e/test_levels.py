# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates that ask how people sign in: what a session, and a key made in it, has to have shown."""

import pytest
from huggingface_hub.errors import GatedRepoError

from gatecourt import Court, code_of, fine
from support import Person, new_name
import test_device
from test_signin import Browser, newcomer, totp, with_codes


@pytest.fixture
def court(hub):
    return Court(hub, mode="click", form=[], signIn="two-factor")


def refused(court, person, *parts):
    """Bytes are refused for how one has signed in, in words that have all parts."""
    answer = person.http.get(f"/{court.repo}/resolve/main/model.bin")
    assert answer.status_code == 403 and answer.headers["x-error-code"] == "GatedRepo", answer.text
    assert answer.headers["x-access-reason"] == "sign-in-level" and answer.headers["x-access-next"].endswith(f":{court.hub.port}/signin")
    said = answer.json()["error"]
    assert "two-factor" in said and all(part in said for part in parts), said
    return True


def ask(court, person):
    return person.http.post(f"/api/models/{court.repo}/access-request", json={"answers": {}})


def key_made_by(browser, **more):
    made = browser.post("/api/settings/keys", {"name": new_name("key"), "role": "read", **more}).raise_for_status().json()
    return Person(browser.hub, browser.name, made["token"])


def rotated_by(browser, key):
    name = next(one["name"] for one in browser.http.get("/api/settings/keys").json() if one["id"] == key.token.split("_")[2])
    made = browser.post(f"/api/settings/keys/{name}/rotate").raise_for_status().json()
    return Person(browser.hub, browser.name, made["token"])


def two_factor(hub, court=None):
    """Somebody with one-time codes, signed in with one, who was let in."""
    ada = newcomer(hub)
    ada.secret, ada.codes = with_codes(ada)
    fine(ada.post("/api/sessions/step-up", {"totp": totp(ada.secret, 1)}))
    if court:
        fine(ask(court, ada))
    return ada


def test_a_gate_says_how_one_has_to_sign_in(court, anyone):
    gate = fine(anyone.http.get(f"/api/models/{court.repo}/gate"))
    assert gate["policy"]["signIn"] == "two-factor"
    assert "two-factor" in anyone.http.get(f"/{court.repo}/ask-access").text
    for word in ("totp", "", "Passkey", 2, None, ["passkey"]):
        answer = court.owner.http.put(f"/api/models/{court.repo}/gate", json={"mode": "click", "signIn": word})
        assert answer.status_code == 400 and "two-factor" in answer.json()["error"], word


def test_who_has_no_second_factor_cannot_ask_and_is_told_how(hub, court):
    ada = newcomer(hub)
    answer = ask(court, ada)
    assert code_of(answer, 422) == "SignInLevel" and "/signin" in answer.json()["error"]
    with_codes(ada)
    fine(ask(court, ada))


def test_a_stock_client_reads_with_a_key_made_in_a_strong_session_and_no_other(hub, court, tmp_path):
    ada = two_factor(hub, court)
    weak, strong = hub.key_of(ada.name), key_made_by(ada)
    got = strong.api.hf_hub_download(court.repo, "model.bin", cache_dir=tmp_path)
    assert open(got).read() == f"weights of {court.repo}"
    assert court.reads(ada) == 200, "the session itself"
    with pytest.raises(GatedRepoError) as why:
        weak.api.hf_hub_download(court.repo, "model.bin", cache_dir=tmp_path / "other")
    assert "two-factor" in str(why.value) and "new secret" in str(why.value)
    refused(court, weak, "Sign in that way")
    shown = {one["id"]: one["signIn"] for one in ada.http.get("/api/settings/keys").json()}
    assert shown[strong.token.split("_")[2]] == "two-factor" and shown[weak.token.split("_")[2]] is None


def test_a_session_that_has_shown_a_password_alone_is_raised_and_reads(hub, court):
    ada = newcomer(hub)
    ada.secret, _ = with_codes(ada)
    fine(ask(court, ada))
    refused(court, ada, "for this session")
    weak = key_made_by(ada)
    fine(ada.post("/api/sessions/step-up", {"totp": totp(ada.secret, 1)}))
    assert court.reads(ada) == 200
    assert refused(court, weak), "a key stays what it was made as"
    assert court.reads(key_made_by(ada)) == 200


def test_a_new_secret_raises_a_key_and_leaves_its_old_secret_what_it_was(hub, court):
    ada = two_factor(hub, court)
    weak = hub.key_of(ada.name)
    strong = rotated_by(ada, weak)
    assert court.reads(strong) == 200 and refused(court, weak)


def test_a_key_gives_no_more_than_it_has(hub, court):
    ada = two_factor(hub, court)
    weak, strong = hub.key_of(ada.name), key_made_by(ada, role="write")
    child = key_made_by(Keyed(weak))
    refused(court, child)
    assert court.reads(key_made_by(Keyed(strong))) == 200
    stolen = rotated_by(Keyed(weak), strong)
    assert refused(court, stolen), "whoever has found a weak key does not make the strong one his"


def device_key(hub, browser):
    """What a program gets by the device flow once that session has allowed it."""
    device = test_device.ask(hub)
    assert browser.http.post("/device", data={"user_code": device["user_code"], "decision": "allow"}).status_code == 200
    return Person(hub, browser.name, test_device.poll(hub, device).json()["access_token"])


class Keyed(Browser):
    """A program with a key, which asks as a browser does."""

    def __init__(self, person):
        self.hub, self.name, self.http = person.hub, person.name, person.http


def test_a_factor_that_is_removed_later_takes_the_access_with_it(hub, court):
    ada = two_factor(hub, court)
    key = key_made_by(ada)
    assert court.reads(key) == court.reads(ada) == 200
    link = key.batch(court.repo, ("0" * 64, 1), operation="download")
    assert link.status_code in (200, 404)
    assert ada.http.delete("/api/settings/totp").status_code == 200
    refused(court, key, "Set up one-time codes or a passkey")
    refused(court, ada, "Set up one-time codes or a passkey")
    device = ada.device()
    fine(ada.register(device))
    assert court.reads(key) == court.reads(ada) == 200, "any second factor will do"
    hub.admin("user", "forget-factors", ada.name)
    refused(court, key, "Set up one-time codes or a passkey")


def test_a_passkey_is_more_than_a_code_where_a_gate_asks_for_one(hub):
    court = Court(hub, mode="click", form=[], signIn="passkey")
    ada = two_factor(hub)
    assert code_of(ask(court, ada), 422) == "SignInLevel"
    device = ada.device()
    fine(ada.register(device))
    fine(ask(court, ada))
    coded = key_made_by(ada)
    for weak in (ada, coded):
        answer = weak.http.get(f"/{court.repo}/resolve/main/model.bin")
        assert answer.status_code == 403 and "passkey" in answer.json()["error"]
    visitor = Browser(hub, ada.name)
    fine(visitor.use(device))
    assert court.reads(visitor) == court.reads(key_made_by(visitor)) == 200


def test_any_session_is_enough_where_a_gate_asks_for_a_password(hub):
    court = Court(hub, mode="click", form=[], signIn="password")
    ada = newcomer(hub)
    fine(ask(court, ada))
    assert court.reads(ada) == court.reads(key_made_by(ada)) == 200
    answer = hub.key_of(ada.name).http.get(f"/{court.repo}/resolve/main/model.bin")
    assert answer.status_code == 403 and answer.headers["x-access-reason"] == "sign-in-level"


def test_members_of_the_owner_are_asked_where_the_gate_binds_them(hub, court):
    owner = Browser(hub, court.owner.name)
    assert court.reads(court.owner) == 200
    fine(court.owner.http.put(f"/api/models/{court.repo}/gate", json={"mode": "click", "signIn": "two-factor", "bindsMembers": True}))
    answer = owner.http.get(f"/{court.repo}/resolve/main/model.bin")
    assert answer.status_code == 401
    assert court.owner.http.get(f"/{court.repo}/resolve/main/model.bin").status_code == 403


def test_what_a_gate_asks_for_is_asked_from_the_change_on(hub):
    court = Court(hub, mode="click", form=[])
    ada = newcomer(hub)
    fine(ask(court, ada))
    key = key_made_by(ada)
    assert court.reads(key) == 200
    fine(court.owner.http.put(f"/api/models/{court.repo}/gate", json={"mode": "click", "form": [], "signIn": "two-factor"}))
    refused(court, key)
    fine(court.owner.http.put(f"/api/models/{court.repo}/gate", json={"mode": "click", "form": []}))
    assert court.reads(key) == 200


def test_a_device_gets_a_key_as_strong_as_the_session_that_allowed_it(hub, court):
    ada = two_factor(hub, court)
    assert court.reads(device_key(hub, ada)) == 200
    fine(ada.http.delete("/api/settings/totp"))
    refused(court, device_key(hub, ada))
