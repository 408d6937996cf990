# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages in a real browser: Debian's Chromium, with a virtual device for passkeys."""

import json
import subprocess

from support import ROOT
from test_signin import PASSWORD, newcomer


def test_a_person_signs_in_by_password_registers_a_passkey_and_signs_in_with_it(hub, tmp_path):
    ada = newcomer(hub, signed_in=False)
    done = subprocess.run(["node", ROOT / "tests/js/browser.mjs", ada.home, ada.name, PASSWORD, tmp_path], capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "not right" in seen["wrong"]
    assert ada.name in seen["byPassword"] and "Signed in by password" in seen["byPassword"]
    assert seen["credentials"] == [{"rpId": "localhost", "isResidentCredential": True, "signCount": 1}]
    assert ada.name in seen["byPasskey"] and "Signed in by passkey" in seen["byPasskey"]
    assert seen["unverified"] and seen["stillOut"], "a device that does not know its person signs nobody in"
    assert not [name for name in seen if name.endswith("Overflows") and seen[name]], "pages fit on a phone"
    refused = [line for line in seen["console"] if "401" not in line]
    assert refused == [], "no page breaks its own Content-Security-Policy, and no script fails"
    ada.sign_in().raise_for_status()
    assert [key["name"] for key in ada.http.get("/api/settings/passkeys").json()] == ["the device of the test"]


def test_a_person_looks_after_tokens_password_codes_passkeys_and_sessions(own_hub, tmp_path):
    ada = newcomer(own_hub, signed_in=False)
    done = subprocess.run(["node", ROOT / "tests/js/account.mjs", ada.home, ada.name, PASSWORD, tmp_path], capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "nothing-there" in seen["noSuchRepo"], "a token that makes no sense is explained"
    assert seen["focused"] == "made" and seen["copied"] and not seen["stillShown"], "a token is shown once"
    assert "build <b>machine</b>" in seen["listed"] and f"Only {ada.name}:write" in seen["listed"]
    assert "Only from 127.0.0.0/8, ::1." in seen["listed"] and "Last used: today" in seen["listed"] and "Ends on" in seen["listed"]
    assert seen["first"] == [200, 200, 401] and seen["second"] == [200, 401], "what the page says is so"
    assert seen["link"].startswith("otpauth://totp/") and seen["recovery"] == 10
    assert seen["camera"] == seen["link"], "a phone reads off the screen what the link says"
    assert "Gates that ask for more" in seen["note"] and seen["wrongCode"] and "password and code" in seen["level"]
    assert seen["other"] and seen["out"]
    assert seen["overflows"] == [], "all of it fits on a phone"
    assert seen["unnamed"] == [], "each field and button has a name"
    assert seen["plainButtons"] == ["Sign out"], "without a script nothing is offered that does not work"
    refused = [line for line in seen["console"] if not any(code in line for code in ("400", "401", "403"))]
    assert refused == [], "no page breaks its own Content-Security-Policy, and no script fails"
    assert ada.sign_in().status_code == 401 and ada.sign_in(f"{PASSWORD} anew").status_code == 200
    assert ada.http.get("/api/settings/keys").json() == ada.http.get("/api/settings/passkeys").json() == []


def test_qr_codes_of_each_size_are_read_by_another_implementation():
    done = subprocess.run(["node", ROOT / "tests/js/qr.mjs", ROOT / "src/signin/qr.js"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"1": 14, "2": 26, "3": 42, "4": 62, "5": 84, "6": 106, "7": 122, "8": 152, "9": 180, "10": 213}
