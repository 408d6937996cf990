# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 2 for gated repos: every route that reaches bytes, and every address that the hub has signed, is tried by everybody whom the
gate does not let in, and once by somebody whom it does.

The routes come from the program itself, so that a new one cannot be forgotten here.
"""

import pytest

from support import Hub, new_name, sha256
from test_doors import BY_TOKEN, LARGE, ROUTES, SIGNED, ask, furnished
from xet import Session, swap

READING = [route for route in ROUTES if route.action == "read" and not route.signed]
# How somebody stands towards the gate, and the word with which bytes are refused then.
STANDINGS = {"stranger": "sign-in", "without": "no-grant", "revoked": "revoked", "suspended": "suspended", "blocked": "blocked",
             "expired": "expired", "office": "no-grant"}
LOST = ["revoked", "suspended", "blocked"]


class House:
    """A gated repo of ada's and everybody who stands somehow towards it."""

    def __init__(self, hub):
        self.hub = hub
        self.owner = hub.person("ada")
        self.repo = furnished(self.owner)
        self.owner.put_object(self.repo, b"more" * 1000)
        self.people = {"stranger": hub.anyone(), "office": hub.person("office", "admin", ("--admin",))}
        self.put("gate", {"mode": "manual", "grantDays": 1})
        self.admit("expired")
        self.later(2 * 86400)
        self.people["without"] = hub.person("without", "read")
        for name in ("allowed", *LOST):
            self.admit(name)
        self.addresses = {name: self.signed(self.people[name]) for name in ("allowed", *LOST)}
        self.post(f"grants/{self.grant('suspended')}/suspend", {"code": "investigation", "text": "We look into it."})
        self.post(f"grants/{self.grant('revoked')}/revoke", {"code": "misuse", "text": "It was passed on."})
        for step in "notice", "slow", "suspend", "revoke", "strike", "block":
            self.post("enforcement", {"user": "blocked", "step": step, "code": "passed-on", "text": "It was passed on."})

    def put(self, path, body):
        answer = self.owner.http.put(f"/api/models/{self.repo}/{path}", json=body)
        assert answer.is_success, answer.text

    def post(self, path, body):
        answer = self.owner.http.post(f"/api/models/{self.repo}/{path}", json=body)
        assert answer.is_success, answer.text

    def admit(self, name):
        self.people[name] = self.hub.person(name, "write")
        self.post("user-access-request/grant", {"user": name})

    def grant(self, name):
        grants = self.owner.http.get(f"/api/models/{self.repo}/grants").json()
        return next(grant["id"] for grant in grants if grant["holder"] == name)

    def later(self, seconds):
        self.hub.stop()
        self.hub.environment["CAIRN_CLOCK_AHEAD"] = str(seconds)
        self.hub.start()

    def signed(self, person):
        """What the hub has handed out while it let the person in: a git-lfs address, a Xet token, and where data is."""
        batch = person.batch(self.repo, (sha256(LARGE), len(LARGE)), operation="download").json()
        session = Session(person, self.repo, write=False)
        info = person.http.head(f"/{self.repo}/resolve/main/w.bin")
        plan = session.plan(swap(bytes.fromhex(info.headers["x-xet-hash"])))
        assert plan.status_code == 200, plan.text
        [[stored]] = plan.json()["xorbs"].values()
        return {"lfs": batch["objects"][0]["actions"]["download"]["href"], "token": session.token,
                "hash": info.headers["x-xet-hash"], "data": stored["url"], "range": stored["ranges"][0]["bytes"]}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("house")).start()
    yield House(hub)
    hub.stop()


def bytes_of(answer):
    return LARGE[:100] in answer.content or answer.content == b"a"


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("route", READING, ids=[route.name for route in READING])
def test_no_route_reaches_bytes_past_the_gate(house, route, standing):
    answer = ask(house.people[standing], route, house.repo)
    assert answer.status_code == (401 if standing == "stranger" else 403), f"{route.name}: {answer.text}"
    assert answer.headers["x-access-reason"] == STANDINGS[standing] and answer.headers["x-error-code"] == "GatedRepo"
    assert "Access to model" in answer.json()["error"] and answer.json()["access"]["reason"] == STANDINGS[standing]
    assert not bytes_of(answer)


@pytest.mark.parametrize("route", READING, ids=[route.name for route in READING])
def test_who_has_a_grant_gets_through(house, route):
    assert ask(house.people["allowed"], route, house.repo).status_code == 200


@pytest.mark.parametrize("route", READING, ids=[route.name for route in READING])
def test_the_owner_gets_through(house, route):
    assert ask(house.owner, route, house.repo).status_code == 200


def test_the_routes_that_carry_their_own_authority_are_all_known():
    assert {route.name for route in SIGNED if route.method == "GET"} == {"GET /transfer/get/{sha256}", "GET /xet/data/{xorb}"}
    assert len(READING) >= 8 and len([route for route in BY_TOKEN if route.method == "GET"]) >= 5


def by_address(house, given):
    nobody = house.hub.anyone()
    ranges = {"range": f"bytes={given['range']['start']}-{given['range']['end']}"}
    yield "lfs", nobody.http.get(given["lfs"])
    yield "data", nobody.http.get(given["data"], headers=ranges)
    for route in BY_TOKEN:
        if route.method == "GET":
            path = route.pattern.replace("{hash}", given["hash"]).replace("{prefix}", "default")
            yield route.name, nobody.http.get(path, headers={"authorization": f"Bearer {given['token']}"})


@pytest.mark.parametrize("standing", LOST)
def test_what_was_handed_out_ends_with_the_right(house, standing):
    for name, answer in by_address(house, house.addresses[standing]):
        assert answer.status_code == 403, f"{name}: {answer.text}"
        assert answer.headers["x-access-reason"] == STANDINGS[standing]


def test_what_was_handed_out_works_while_the_right_lasts(house):
    for name, answer in by_address(house, house.addresses["allowed"]):
        assert answer.status_code in ((200, 206) if "chunks" not in name else (200, 404)), f"{name}: {answer.text}"


def test_metadata_stays_open(house):
    nobody = house.hub.anyone()
    for path in f"/api/models/{house.repo}", f"/api/models/{house.repo}/tree/main", f"/api/models/{house.repo}/gate":
        assert nobody.http.get(path).status_code == 200


def test_a_hash_opens_nothing_in_another_repo(house):
    """Rule 3: who knows the SHA-256 of a gated file does not have it by asking in a repo of their own."""
    person = house.hub.person(new_name("clever"), "write")
    own = person.new_repo()
    answer = person.batch(own, (sha256(LARGE), len(LARGE)), operation="download").json()["objects"][0]
    assert answer["error"]["code"] == 404
    answer = person.commit_lines(own, ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(LARGE)}))
    assert answer.status_code == 400 and "upload it first" in answer.text
