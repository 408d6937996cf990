# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who is signed in at a browser, and fills in the pages' forms."""

import html
import re

import httpx

from support import new_name

PASSWORD = "correct horse battery"


class Browser:
    def __init__(self, hub, name=None, host="127.0.0.1"):
        self.hub, self.name = hub, name
        self.home = f"http://{host}:{hub.port}"
        self.http = httpx.Client(base_url=self.home, timeout=120, headers={"origin": self.home, "sec-fetch-mode": "navigate"})

    def sign_in(self, password=PASSWORD):
        self.http.post("/api/sessions", json={"user": self.name, "password": password}).raise_for_status()
        return self

    def form(self, path, **fields):
        return self.http.post(path, data=fields)

    def who(self):
        answer = self.http.get("/api/whoami-v2")
        return answer.json()["name"] if answer.is_success else None


def hidden(page):
    """What the form of a page sends along by itself."""
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in fields}


def newcomer(hub, prefix="person", host="127.0.0.1"):
    """A fresh account with a password, signed in at a browser."""
    browser = Browser(hub, new_name(prefix), host)
    hub.set_up("user", "create", browser.name)
    hub.set_up("user", "password", browser.name, said=PASSWORD + "\n")
    return browser.sign_in()
