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
    assert ada.name in seen["byPassword"] and "signed in by password" in seen["byPassword"]
    assert seen["credentials"] == [{"rpId": "localhost", "isResidentCredential": True, "signCount": 1}]
    assert ada.name in seen["byPasskey"] and "signed in by passkey" in seen["byPasskey"]
    assert seen["unverified"] and seen["stillOut"], "a device that does not know its person signs nobody in"
    assert not [name for name in seen if name.endswith("Overflows") and seen[name]], "pages fit on a phone"
    refused = [line for line in seen["console"] if "401" not in line]
    assert refused == [], "no page breaks its own Content-Security-Policy, and no script fails"
    ada.sign_in().raise_for_status()
    assert [key["name"] for key in ada.http.get("/api/settings/passkeys").json()] == ["the device of the test"]
