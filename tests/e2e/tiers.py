# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiers for tests: what an operator writes into a file and publishes."""

import json

from support import until


def rate(unit, per_second, burst, scope="person", per=1):
    return {"unit": unit, "scope": scope, "rate": per_second, "per": per, "burst": burst}


def held(unit, hard, soft=None, **more):
    return {"unit": unit, "scope": "person", "hard": hard, "soft": hard if soft is None else soft, **more}


def publish(hub, slug, *limits, order=10, check=True, **more):
    """Publishes a tier and, where it is the one of everybody, waits until the hub goes by it."""
    tier = {"slug": slug, "name": slug.title(), "purpose": "For the tests.", "order": order, "limits": list(limits), **more}
    file = hub.folder / f"{slug}.json"
    file.write_text(json.dumps(tier))
    return hub.admin("tier", "set", file, check=check)


def applies(person, header="ratelimit"):
    """The hub reads tiers anew every few seconds: waits until the answers say that a limit holds."""
    until(lambda: header in person.http.get("/api/whoami-v2").headers)
