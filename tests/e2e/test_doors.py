# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 2, one door: every route of the hub is tried by everybody who must not get through, and once by somebody who must.

The routes come from the program itself (`cairn routes`), so that a new one cannot be forgotten here: it fails until its request
is known below.
"""

import hashlib
import hmac
import os
import re
import subprocess
import time

import httpx
import pytest

from support import BINARY, add, new_name, sha256
from xet import File, Session, Xorb, chunk_hash, shard, text

LARGE = b"\0large" * 1000
CHANGES = {"create", "propose", "write", "administer", "self-change"}


# Requests, grants and all that: what they answer when the door has said yes, their own tests show.
OF_ACCESS = re.compile("/(gates?|terms|grants|access|access-requests?|user-access-request|ask-access|reviews|appeals|receipts|"
                       "conflicts|notices|reads|uses|recalls|enforcement|holds)(/|$)")


class Route:
    def __init__(self, line):
        self.method, self.pattern, self.action, *rest = line.split()
        self.signed, self.by_body = "signed" in rest, "body" in rest
        self.name = f"{self.method} {self.pattern}"
        in_space = self.action in ("create", "govern", "countersign")
        self.about_repo = "{api}" in self.pattern or "{web}" in self.pattern or (self.by_body and not in_space)
        self.of_access = bool(OF_ACCESS.search(self.pattern))


ROUTES = [Route(line) for line in subprocess.run([BINARY, "routes"], capture_output=True, text=True).stdout.splitlines()]


def pick(wanted):
    chosen = [route for route in ROUTES if wanted(route)]
    return pytest.mark.parametrize("route", chosen, ids=[route.name for route in chosen])


# What each route is asked for where its method and pattern do not say it. {repo}, {ns} and {repo_name} are the repo's.
BODIES = {
    "POST /api/validate-yaml": {"content": "---\nlicense: mit\n---\n", "repoType": "model"},
    "POST /api/repos/create": {"name": "{fresh}", "organization": "{ns}"},
    "DELETE /api/repos/delete": {"name": "{repo_name}", "organization": "{ns}"},
    "POST /api/repos/move": {"fromRepo": "{repo}", "toRepo": "{ns}/{fresh}"},
    "PUT /api/{api}/settings": {"visibility": "public"},
    "POST /api/{api}/paths-info/{rev}": {"paths": ["a.txt"]},
    "POST /api/{api}/branch/{name}": {},
    "POST /api/{api}/tag/{rev}": {"tag": "v2"},
    "POST /api/{api}/super-squash/{rev}": {},
    "POST /api/{api}/preupload/{rev}": {"files": [{"path": "new.txt", "size": 3, "sample": "YWJj"}]},
    "POST /{web}.git/info/lfs/objects/batch": {"operation": "download", "objects": [{"oid": sha256(LARGE), "size": len(LARGE)}]},
    "POST /{web}.git/info/lfs/locks/verify": {},
    "POST /v1/telemetry": {},
    "POST /api/{api}/oms/{rev}": {},
    "POST /witness/add-checkpoint": {},
    "PUT /api/{api}/rules/{rev}": {"approvals": 1, "role": "write"},
    "POST /api/{api}/discussions/{number}/merge": {},
    "POST /api/{api}/bom/{rev}": {},
    "POST /api/tiers/{slug}/applications": {"answers": []},
    "POST /api/tiers/applications/{id}": {"decision": "accept"},
    "POST /api/tiers/holders/{account}": {"event": "lift", "text": "why"},
    "POST /api/tiers/appeal": {"text": "why"},
    "POST /api/misuse/{id}": {"decision": "lift", "text": "why"},
    "POST /api/misuse/{id}/appeal": {"text": "why"},
    "POST /api/misuse/{id}/confirm": {},
    "POST /api/keys/leaked": {"key": "nobody's"},
    "POST /api/pools": {"name": "p", "unit": "bytes.egress", "budget": 2, "least": 1, "per": 60},
    "POST /api/pools/{id}/wishes": {"wants": 1},
    "POST /api/payments/{source}": {},
    "PUT /api/{api}/gate": {"mode": "manual"},
    "POST /api/{api}/gate/state": {"state": "open"},
    "GET /api/gates/{name}": {},
    "GET /api/gates/{name}/{name}": {},
    "PUT /api/gates/{name}/{name}": {"mode": "manual", "form": []},
    "POST /api/gates/{name}/{name}/state": {"state": "open"},
    "GET /api/gates/{name}/{name}/repos": {},
    "POST /api/gates/{name}/{name}/repos": {"name": "{repo}"},
    "DELETE /api/gates/{name}/{name}/repos": {"name": "{repo}"},
    "POST /api/{api}/access-request": {},
    "POST /api/{api}/access-request/withdraw": {},
    "POST /api/{api}/access-request/check": {},
    "POST /api/{api}/access-request/answer": {"text": "because"},
    "POST /api/{api}/access-request/join": {"accept": True},
    "POST /{web}/ask-access": {},
    "POST /api/{api}/access-requests/{id}/ask": {"text": "Why?"},
    "POST /api/{api}/access-requests/{id}/decide": {"outcome": "approve"},
    "POST /api/{api}/user-access-request/handle": {"user": "bob", "status": "accepted"},
    "POST /api/{api}/user-access-request/grant": {"user": "bob"},
    "POST /api/settings/keys": {"name": "{fresh}", "role": "read"},
    "POST /api/settings/keys/{name}/rotate": {},
    "POST /api/sessions": {"user": "nobody", "password": "not the right one"},
    "POST /api/sessions/challenge": {"purpose": "sign-in"},
    "POST /api/sessions/step-up": {"password": "not the right one"},
    "POST /api/settings/password": {"password": "quite a good one"},
    "POST /api/settings/totp": {},
    "POST /api/settings/totp/confirm": {"code": "123456"},
    "POST /api/settings/passkeys": {"name": "mine", "passkey": {}},
    "POST /signin": {},
    "POST /signin/out": {},
}
# What there is only where there is a gate (test_gate.py and test_access_requests.py have some).
OF_GATES = re.compile(r"/gate/state|/api/gates/\{name\}/|/access-request[s/]?|/ask-access|/user-access-request/")
COMMIT = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"new.txt","content":"abc","encoding":"utf-8"}}\n'
# What somebody has signed is looked at only when the door has said yes; here it is nobody's signature (test_attest.py has real ones).
UNSIGNED = {"POST /api/{api}/attestations", "POST /api/{api}/deployments", "POST /api/settings/signing-keys"}
BODIES |= dict.fromkeys(UNSIGNED, {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []})
# About cases and appeals that nobody has, at a gate that is not there: test_review.py and test_appeals.py have real ones. The door
# has said yes when these words come.
REVIEWS = {
    "GET /api/settings/log/{name}.tlog-proof": (None, 400, "is a number"), # test_record.py has real ones
    "GET /api/{api}/gate/reviewers": (None, 404, "gate"),
    "PUT /api/{api}/gate/reviewers": ({"user": "bob", "role": "lead"}, 404, "gate"),
    "DELETE /api/{api}/gate/reviewers": ({"user": "bob", "role": "lead"}, 404, "gate"),
    "GET /api/{api}/gate/figures": (None, 404, "gate"),
    "POST /api/{api}/gate/cases/{request}/reopen": ({"reason": "a tie"}, 404, "gate"),
    "POST /api/settings/conflicts": ({"about": "bob", "kind": "family"}, 200, ""),
    "DELETE /api/settings/conflicts/{id}": (None, 404, "no such conflict"),
    "GET /api/reviews/{assignment}": (None, 404, "yours to review"),
    "POST /api/reviews/{assignment}": ({"outcome": "approve"}, 404, "yours to review"),
    "POST /api/reviews/{assignment}/scores": ({"scores": {}}, 404, "yours to review"),
    "POST /api/reviews/{assignment}/ask": ({"question": "?"}, 404, "yours to review"),
    "POST /api/reviews/{assignment}/recuse": ({"reason": "a tie"}, 404, "yours to review"),
    "POST /api/reviews/{assignment}/identity": ({"confirmed": True}, 404, "yours to review"),
    "POST /api/{api}/access-request/appeal": ({"grounds": [{"code": "other", "text": "why"}]}, 404, "gate"),
    "POST /api/grants/{grant}/appeal": ({"grounds": [{"code": "other", "text": "why"}]}, 404, "no such grant"),
    "GET /api/appeals/{appeal}": (None, 404, "no such appeal"),
    "POST /api/appeals/{appeal}": ({"outcome": "uphold"}, 404, "no such appeal"),
    "POST /api/appeals/{appeal}/first-look": ({"outcome": "uphold"}, 404, "no such appeal"),
    "POST /api/appeals/{appeal}/recuse": ({}, 404, "no such appeal"),
    "POST /api/appeals/{appeal}/withdraw": ({}, 404, "no such appeal"),
    "POST /api/appeals/{appeal}/board": ({"facts": "new"}, 404, "no such appeal"),
}
BODIES |= {name: body for name, (body, _, _) in REVIEWS.items() if body is not None}
# Who has no session is turned away behind the door (test_signin.py has sessions, and pages that are the hub's own).
TO_SIGN_IN = {"POST /api/sessions": (401, "not right"), "POST /signin": (403, "own page"),
              "POST /api/sessions/challenge": (403, "--public-url")}
OF_SESSIONS = {"POST /api/sessions/step-up", "POST /api/settings/password", "POST /api/settings/totp", "DELETE /api/settings/totp",
               "POST /api/settings/totp/confirm", "POST /api/settings/passkeys", "DELETE /api/settings/passkeys/{name}",
               "POST /signin/out"}
# The same for OpenID Connect and the device flow: test_device.py, test_oidc_provider.py and test_oidc_outside.py have sessions, and
# providers.
OPENID = {
    "POST /oauth/device": ({}, 400, "client_id is missing"),
    "GET /device": (None, 303, ""),
    "POST /device": ({}, 403, "sign in with a browser"),
    "GET /misuse": (None, 303, ""),
    "POST /api/keys/honey": ({}, 403, "not a token"),
    "POST /misuse": ({}, 403, "This page is for people"),
    "POST /oauth/token": ({}, 400, "unsupported_grant_type"),
    "GET /oauth/authorize": (None, 400, "client_id"),
    "POST /oauth/authorize": ({}, 403, "sign in with a browser"),
    "GET /oauth/userinfo": (None, 401, "access token"),
    "POST /oauth/userinfo": ({}, 401, "access token"),
    "GET /api/settings/oauth-apps": (None, 200, ""),
    "POST /api/settings/oauth-apps": ({}, 400, "name"),
    "DELETE /api/settings/oauth-apps/{name}": (None, 404, "no such application"),
    "GET /api/settings/trusted-publishers": (None, 200, ""),
    "POST /api/settings/trusted-publishers": ({}, 400, "role"),
    "DELETE /api/settings/trusted-publishers/{id}": (None, 404, "no such trusted publisher"),
    "GET /signin/oidc": (None, 404, "no outside provider"),
    "POST /signin/oidc": ({}, 404, "no outside provider"),
    "GET /signin/oidc/callback": (None, 404, "no outside provider"),
    "DELETE /api/settings/oidc": (None, 403, "not a token"),
}
BODIES |= {name: body for name, (body, _, _) in OPENID.items() if body is not None}
# test_federate.py has runs.
FEDERATED = {
    "POST /api/{api}/federate": ({"mode": "plain", "rounds": 1, "minParticipants": 1}, 422, "F32"),
    "DELETE /api/{api}/federate": (None, 404, "no federated training"),
    "GET /api/{api}/federate": (None, 404, "no federated training"),
    "POST /api/{api}/federate/join": ({}, 404, "no federated training"),
    "GET /api/{api}/federate/round": (None, 404, "no federated training"),
    "GET /api/{api}/federate/proof": (None, 400, "round"),
    "GET /api/{api}/federate/reports": (None, 400, "round"),
    "GET /api/{api}/federate/control": (None, 404, "no federated training"),
    "GET /api/{api}/federate/suspects": (None, 404, "no federated training"),
    "POST /api/{api}/federate/suspects": ({"user": "bob", "decision": "remove"}, 404, "no federated training"),
    "GET /api/{api}/federate/candidates": (None, 404, "no federated training"),
    "GET /api/{api}/federate/candidate": (None, 404, "no federated training"),
    "POST /api/{api}/federate/scores": ({"round": 1, "scores": []}, 404, "no federated training"),
    "PUT /api/{api}/federate/update": ({}, 400, "round"),
    "POST /api/{api}/federate/update": ({"round": 1, "examples": 1, "blake3": "0" * 64}, 404, "no federated training"),
    "GET /api/{api}/federate/cohort": (None, 404, "no federated training"),
    "POST /api/{api}/federate/cohort": ({"attempt": 1, "step": "keys", "message": "00"}, 404, "no federated training"),
}
BODIES |= {name: body for name, (body, _, _) in FEDERATED.items() if body is not None}
# Flower's clients name the repo in the user part of the address; test_flower.py has some, and runs.
FLEET = {name: (200, "") for name in ("create-node", "ping", "delete-node", "register-node", "activate-node", "deactivate-node",
                                      "unregister-node", "send-node-heartbeat", "confirm-message-received")}
FLEET |= {name: (404, "your node") for name in ("pull-task-ins", "pull-messages", "push-messages", "pull-object")}
FLEET |= {name: (409, "no update") for name in ("push-task-res", "push-object")}
FLEET |= {"get-run": (404, "no federated training"), "get-fab": (400, "which app")}
TENSORS = b'\x3b\0\0\0\0\0\0\0{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}      \1\2'
LEAVES = {}  # of the furnished repos: the index of one of their entries in the log
NAMES = {"POST /api/{api}/branch/{name}": "new", "DELETE /api/{api}/branch/{name}": "side", "DELETE /api/{api}/tag/{name}": "v1"}


def fill(value, words):
    if isinstance(value, dict):
        return {key: fill(item, words) for key, item in value.items()}
    return re.sub(r"\{(\w+)\}", lambda hole: words[hole[1]], value) if isinstance(value, str) else value


def ask(person, route, repo, organization=None):
    """Sends the route's request about a repo."""
    namespace, _, repo_name = repo.partition("/")
    words = {"ns": namespace, "repo_name": repo_name, "repo": repo, "fresh": new_name("fresh")}
    path = route.pattern
    if route.name == "GET /api/{api}/provenance/{rev}.sig":
        path += "?by=hub"
    for hole, filling in {"{api}": f"models/{repo}", "{web}": repo, "{kind}": "models", "{number}": "1",
                          "{rev}": "guarded" if "/rules/" in path else "main", "{path*}": path_of(route),
                          "{assignment}": "0" * 16, "{appeal}": "0" * 16, "{grant}": "1000000", "{request}": "1000000",
                          "{id}": "1000000", "{slug}": "basic", "{account}": "bob", "{source}": "shop", "{status}": "pending", "{hash}": "0" * 64, "{name}": name_of(route, repo, organization or namespace)}.items():
        path = path.replace(hole, filling)
    assert "{" not in path, f"{route.name}: say here what stands in the place of the parameter"
    if path == "/log/stream":  # it has no end
        with person.http.stream(route.method, path) as answer:
            return httpx.Response(answer.status_code, headers=answer.headers, content=next(answer.iter_raw()))
    if "/fleet/" in path:
        auth = (repo, person.token) if person.token else None
        return person.http.post(person.hub.url + path, content=b"", auth=auth)
    if "/commit/" in path:
        return person.http.request(route.method, path, content=COMMIT, headers={"content-type": "application/x-ndjson"})
    if path.endswith("/proof"):
        return when_ready(lambda: person.http.request(route.method, path, params={"name": "w"}))
    if route.method in ("GET", "DELETE") and not route.by_body and route.name not in BODIES:
        return person.http.request(route.method, path)
    if route.of_access:
        return person.http.request(route.method, path, json=BODIES.get(route.name, {}))
    assert route.name in BODIES, f"{route.name}: say here what its request looks like"
    return person.http.request(route.method, path, json=fill(BODIES[route.name], words))


def when_ready(send):
    """The hub looks at tensors in the background, and asks for patience until then."""
    while (answer := send()).status_code == 503:
        time.sleep(0.1)
    return answer


def path_of(route):
    if route.pattern.startswith("/log/tile/"):
        return "entries/000.p/1"
    return "" if "/tree/" in route.pattern else "a.txt"


def name_of(route, repo, otherwise):
    if "/provenance/leaf/" in route.pattern:
        return str(LEAVES.get(repo, 0))
    if "/evidence/" in route.pattern:
        return "0" * 64
    return NAMES.get(route.name, otherwise.partition("/")[0] if route.of_access else otherwise)


def seen(answer):
    """All that a client sees of an answer, but for what differs from one request to the next."""
    headers = sorted((name, value) for name, value in answer.headers.multi_items() if name not in ("x-request-id", "date"))
    return answer.status_code, headers, answer.content


def furnished(owner, **how):
    """A repo in which every route finds what it is asked for."""
    repo = owner.new_repo("door", **how)
    owner.commit_files(repo, {"a.txt": b"a", "model.safetensors": TENSORS})
    owner.put_object(repo, LARGE)
    assert owner.commit_lines(repo, ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(LARGE)})).is_success
    owner.api.create_branch(repo, branch="side")
    owner.api.create_tag(repo, tag="v1")
    owner.api.create_branch(repo, branch="guarded")
    assert owner.http.put(f"/api/models/{repo}/rules/guarded", json={"approvals": 1, "role": "write"}).is_success
    owner.api.create_commit(repo, [add("b.txt", b"b")], commit_message="b", create_pr=True)
    LEAVES[repo] = owner.http.get(f"/api/models/{repo}/provenance").json()["entries"][0]["index"]
    return repo


@pytest.fixture(scope="module")
def revoked(hub):
    """alice's key of yesterday."""
    name = new_name("revoked")
    token = hub.admin("token", "create", "alice", "--name", name, "--role", "write").stdout.strip()
    hub.admin("token", "revoke", "alice", "--name", name)
    return type(hub.anyone())(hub, "alice", token)


@pytest.fixture(scope="module")
def hidden(alice):
    return furnished(alice, private=True)


@pytest.fixture(scope="module")
def visible(alice):
    return furnished(alice)


def test_the_program_tells_its_routes():
    assert len(ROUTES) > 30
    assert {route.method for route in ROUTES} <= {"GET", "POST", "PUT", "DELETE", "PATCH"}
    asked = subprocess.run([BINARY, "routes", "--help"], capture_output=True, text=True)
    assert asked.returncode == 0 and "cairn routes" in asked.stdout
    assert subprocess.run([BINARY, "routes", "all"], capture_output=True).returncode == 2


@pick(lambda route: route.about_repo)
def test_a_private_repo_is_as_one_that_is_not_there(alice, bob, anyone, hidden, route):
    before = alice.head(hidden), alice.api.list_repo_refs(hidden)
    for person in anyone, bob:
        refused = seen(ask(person, route, hidden))
        assert refused[0] == (404 if person is bob else 401)
        for missing in "alice/never-was", "nobody/nothing":
            assert seen(ask(person, route, missing)) == refused
    assert (alice.head(hidden), alice.api.list_repo_refs(hidden)) == before


@pick(lambda route: route.about_repo and route.method == "GET")
def test_head_tells_no_more_than_get(bob, anyone, hidden, route):
    for person in anyone, bob:
        answers = [person.http.head(ask(person, route, repo).request.url) for repo in (hidden, "alice/never-was")]
        assert seen(answers[0]) == seen(answers[1]) and answers[0].status_code in (401, 404)


@pick(lambda route: route.action != "public" and not route.signed)
def test_a_revoked_key_opens_nothing(revoked, hidden, visible, route):
    refused = seen(ask(revoked, route, visible))
    assert refused[0] == 401 and b"Invalid credentials in Authorization header" in refused[2]
    assert seen(ask(revoked, route, hidden)) == refused == seen(ask(revoked, route, "alice/never-was"))


@pick(lambda route: route.action in CHANGES and not route.signed)
def test_a_read_key_changes_nothing(alice, reader, hidden, visible, route):
    for repo in hidden, visible:
        before = alice.head(repo), alice.api.list_repo_refs(repo), alice.api.repo_info(repo).private
        answer = ask(reader, route, repo)
        assert answer.status_code == 403 and "only read" in answer.json()["error"]
        assert (alice.head(repo), alice.api.list_repo_refs(repo), alice.api.repo_info(repo).private) == before


@pick(lambda route: route.action in CHANGES - {"self-change"} and not route.signed)
def test_strangers_change_nothing_that_they_see(alice, bob, anyone, visible, route):
    before = alice.head(visible), alice.api.list_repo_refs(visible)
    assert ask(anyone, route, visible).status_code == 401
    answer = ask(bob, route, visible)
    if "preupload" in route.pattern or "xet-write-token" in route.pattern:
        assert answer.status_code == 200, "whoever is signed in may prepare a pull request"
    else:
        assert answer.status_code == 403
    assert (alice.head(visible), alice.api.list_repo_refs(visible)) == before


def assert_through(answer, route):
    """The door has said yes; some requests then turn out to be for nothing."""
    if route.pattern.startswith("/api/enforcement/") and "/look" in route.pattern:
        assert answer.status_code == 403 and "administrator of the hub" in answer.text, "test_enforcement.py has one"
    elif route.of_access:  # there is nothing behind the numbers, or in the bodies
        assert answer.status_code in (200, 400, 404, 409, 422), answer.text
        assert answer.headers.get("x-error-code") != "RepoNotFound"
    elif "locks" in route.pattern:
        assert answer.status_code == 501, "the hub has no locks, and says so to those who may see the repo"
    elif route.name in UNSIGNED:
        assert answer.status_code == 400 and "signatures" in answer.text
    elif route.name in ("GET /api/settings/keys", "POST /api/settings/keys", "GET /api/settings/passkeys") or (
            route.pattern == "/api/sessions" and route.action != "public"):
        assert answer.status_code == 200, answer.text
    elif route.name in OPENID:
        _, status, words = OPENID[route.name]
        assert answer.status_code == status and words in answer.text, answer.text
    elif route.name in TO_SIGN_IN:
        assert answer.status_code == TO_SIGN_IN[route.name][0] and TO_SIGN_IN[route.name][1] in answer.text, answer.text
    elif route.name in OF_SESSIONS:
        assert answer.status_code in (400, 403) and "token" in answer.text, "test_signin.py has a session"
    elif route.pattern == "/api/sessions/{name}":
        assert answer.status_code == 404 and "no such session" in answer.text
    elif "/settings/keys/" in route.pattern:
        assert answer.status_code == 404 and "no token of that name" in answer.text
    elif "/misuse/{id}" in route.pattern:
        assert answer.status_code in (403, 404), "test_misuse.py shows who may do what"
    elif route.name == "POST /api/keys/leaked":
        assert answer.status_code == 202 and answer.text == "{}"
    elif "/tiers/" in route.pattern or "/pools" in route.pattern or "/payments/" in route.pattern:
        assert answer.status_code in (200, 403, 404, 409), "test_tiers.py shows who may do what"
    elif route.action == "self-change":
        assert answer.status_code == 404 and "no signing key" in answer.text
    elif "/log/old/" in route.pattern:
        assert answer.status_code == 404 and "no such log" in answer.text, "test_log_drills.py has a hub with two"
    elif route.name in REVIEWS | FEDERATED:
        _, status, words = (REVIEWS | FEDERATED)[route.name]
        assert answer.status_code == status and words in answer.text, answer.text
    elif "/fleet/" in route.pattern:
        status, words = FLEET[route.pattern.rpartition("/")[2]]
        assert answer.status_code == status and words in answer.text, answer.text
    elif "/evidence/" in route.pattern:
        assert answer.status_code == 404 and "no such evidence" in answer.text
    elif route.name == "POST /api/{api}/oms/{rev}":
        assert answer.status_code == 400 and "not a Sigstore bundle" in answer.text, "test_oms.py has real ones"
    elif OF_GATES.search(route.pattern) and route.pattern != "/api/access-requests":
        assert answer.status_code in (200, 400, 404) and (answer.is_success or "gate" in answer.text or
                                                          "no such repo" in answer.text), answer.text
    elif route.name == "POST /api/{api}/bom/{rev}":
        assert answer.status_code == 201, answer.text
    else:
        assert answer.status_code == 200, answer.text


@pick(lambda route: not route.about_repo and route.action in ("appeal", "self", "self-change", "create", "govern", "countersign", "list"))
def test_what_is_about_oneself_needs_a_key(alice, anyone, hidden, route):
    answer = ask(anyone, route, hidden)
    missing = route.pattern == "/api/pools/{id}"  # there is no pool
    turned_away = route.name in TO_SIGN_IN or (route.name in OPENID and answer.status_code in (303, 400, 404) and route.action == "list")
    assert turned_away or answer.status_code in ((200, 404) if route.action == "list" and (route.of_access or missing) else
                                  (200,) if route.action == "list" else (401,))
    assert f'"{hidden}"' not in answer.text
    assert_through(ask(alice, route, hidden), route)


@pick(lambda route: route.action == "public" and "/witness/" not in route.pattern)
def test_public_routes_are_for_everybody_and_name_nobody(anyone, hidden, route):
    answer = ask(anyone, route, hidden)
    assert_through(answer, route)
    assert f'"{hidden}"' not in answer.text


@pick(lambda route: "/witness/" in route.pattern)
def test_a_hub_that_is_no_witness_says_so(anyone, alice, hidden, route):
    """What one that is a witness answers, test_witness.py shows."""
    for person in anyone, alice:
        answer = ask(person, route, hidden)
        assert answer.status_code == 404 and "no witness" in answer.json()["error"]


@pick(lambda route: not route.signed and "/witness/" not in route.pattern)
def test_the_owner_gets_through(alice, route):
    repo = furnished(alice, private=True) if route.about_repo else "alice/no-matter"
    assert_through(ask(alice, route, repo), route)


# ---- addresses that carry their own authority ----


def uploaded(session):
    """A file of one chunk, made of one xorb."""
    xorb = Xorb([os.urandom(1000)])
    return session.upload(xorb, File([(xorb, 0, 1)]))


def addresses(person, repo):
    """One request for each route with a signed address: method, address, body and headers, as they come from the hub, in an order
    that works."""
    data, big = os.urandom(1000), 130 << 20
    one = person.batch(repo, (sha256(data), len(data))).json()["objects"][0]["actions"]
    many = person.batch(repo, (sha256(b"big"), big)).json()["objects"][0]["actions"]["upload"]
    got = person.batch(repo, (sha256(LARGE), len(LARGE)), operation="download").json()["objects"][0]["actions"]["download"]
    last = sorted(key for key in many["header"] if key.isdigit())[-1]
    session = Session(person, repo)
    [[stored]] = session.plan(uploaded(session).hash).json()["xorbs"].values()
    first, end = (stored["ranges"][0]["bytes"][side] for side in ("start", "end"))
    return {
        "PUT /transfer/put/{sha256}": ("PUT", one["upload"]["href"], data, {}),
        "POST /transfer/verify/{sha256}": ("POST", one["verify"]["href"], b"{}", {}),
        "PUT /transfer/part/{upload}/{number}": ("PUT", many["header"][last], bytes(big % (64 << 20)), {}),
        "POST /transfer/complete/{upload}": ("POST", many["href"], b'{"parts":[]}', {}),
        "GET /transfer/get/{sha256}": ("GET", got["href"], b"", {}),
        "GET /xet/data/{xorb}": ("GET", stored["url"], b"", {"range": f"bytes={first}-{end}"}),
    }


def send(anyone, address):
    method, href, body, headers = address
    return anyone.http.request(method, href, content=body, headers=headers)


BY_TOKEN = [route for route in ROUTES if route.signed and re.match("/xet/(?!data/)", route.pattern)]
SIGNED = [route for route in ROUTES if route.signed and route not in BY_TOKEN and route.name not in OPENID]


def test_signed_addresses_work_for_whoever_has_them(alice, anyone):
    repo = furnished(alice, private=True)
    known = addresses(alice, repo)
    assert set(known) == {route.name for route in SIGNED}, "say above how to get the address of a new signed route"
    for name, address in known.items():
        answer = send(anyone, address)
        expected = 400 if "complete" in name else 206 if "data" in name else 200  # one part of three was sent
        assert answer.status_code == expected, f"{name}: {answer.text}"


def spoilt(href):
    """Addresses that differ from a good one in one place."""
    changes = [("&s=", "&s=1"), ("?k=", "?k=0&k="), ("&k=", "&k=1"), ("&u=", "&u=9"), ("?b=", "?b=0-7,"), ("?b=", "?b=1"),
               ("&sig=", "&sig=&sig="), ("/xet/data/", "/xet/data/1"), ("/xet/data/", "/xet/data/0")]
    return {href[:-1] + ("0" if href[-1] != "0" else "1"), href.split("&sig=")[0], href.split("?")[0], href + "&more=1",
            re.sub(r"&r=(\d+)", r"&r=1\1", href), *(href.replace(*change) for change in changes)} - {href}


def test_a_signature_is_for_one_address(alice, anyone, hidden):
    for method, href, body, headers in addresses(alice, hidden).values():
        for other in spoilt(href):
            answer = send(anyone, (method, other, body, headers))
            assert answer.status_code == 403 and "signature" in answer.json()["error"], other


def test_an_address_ends_with_its_key(hub, alice, anyone):
    repo = furnished(alice, private=True)
    name = new_name("short")
    token = hub.admin("token", "create", "alice", "--name", name, "--role", "write").stdout.strip()
    short = type(alice)(hub, "alice", token)
    known = addresses(short, repo)
    hub.admin("token", "revoke", "alice", "--name", name)
    for address in known.values():
        assert send(anyone, address).status_code == 401, address[1]


def test_an_address_ends_with_the_right(alice, bob, anyone):
    repo = furnished(alice)
    known = addresses(bob, repo)
    alice.api.update_repo_settings(repo, private=True)
    for address in known.values():
        assert send(anyone, address).status_code == 404, address[1]


def test_an_address_ends_with_its_repo(alice, anyone):
    repo = furnished(alice)
    known = addresses(alice, repo)
    alice.api.delete_repo(repo)
    for address in known.values():
        assert send(anyone, address).status_code == 404, address[1]


def test_a_read_key_gets_addresses_to_read_only(reader, hidden):
    assert reader.batch(hidden, (sha256(b"x"), 1)).status_code == 403
    assert reader.batch(hidden, (sha256(LARGE), len(LARGE)), operation="download").status_code == 200


# ---- tokens of the storage ----


def token_requests(file):
    """One request for each route of the storage that wants a token: method, path and body, in an order that works."""
    [(xorb, _, _)] = file.terms
    xorb_path, chunk_path = f"xorbs/default/{text(xorb.hash)}", f"chunks/default/{text(chunk_hash(xorb.chunks[0]))}"
    plan_path, claim = f"reconstructions/{text(file.hash)}", shard([file], [xorb])
    return {
        "POST /xet/v1/xorbs/{prefix}/{hash}": ("POST", f"/v1/{xorb_path}", xorb.body),
        "POST /xet/xorbs/{prefix}/{hash}": ("POST", f"/{xorb_path}", xorb.body),
        "POST /xet/v2/shards": ("POST", "/v2/shards", claim),
        "POST /xet/v1/shards": ("POST", "/v1/shards", claim),
        "POST /xet/shards": ("POST", "/shards", claim),
        "GET /xet/v1/chunks/{prefix}/{hash}": ("GET", f"/v1/{chunk_path}", b""),
        "GET /xet/chunks/{prefix}/{hash}": ("GET", f"/{chunk_path}", b""),
        "GET /xet/v2/reconstructions/{hash}": ("GET", f"/v2/{plan_path}", b""),
        "GET /xet/v1/reconstructions/{hash}": ("GET", f"/v1/{plan_path}", b""),
        "GET /xet/reconstructions/{hash}": ("GET", f"/{plan_path}", b""),
    }


def ask_storage(anyone, session, authorization, request):
    method, path, body = request
    headers = {"authorization": authorization} if authorization else {}
    return anyone.http.request(method, session.cas + path, content=body, headers=headers)


def small_file():
    xorb = Xorb([os.urandom(1000)])
    return File([(xorb, 0, 1)])


def signed_token(hub, *fields):
    """As the hub itself would sign it."""
    claim = ".".join(map(str, fields))
    return f"{claim}.{hmac.new((hub.data / 'secret').read_bytes(), claim.encode(), hashlib.sha256).hexdigest()}"


def false_tokens(hub, person, repo):
    """What is no token, though some of it looks much like one."""
    good = Session(person, repo).token
    version, scope, key, number, until, signature = good.split(".")
    yield from (None, good, f"Basic {good}", f"Bearer {person.token}", "Bearer")
    for parts in [("xet2", scope, key, number, until, signature), (version, "x", key, number, until, signature),
                  (version, scope, key + "1", number, until, signature), (version, scope, "0", number, until, signature),
                  (version, scope, key, number + "1", until, signature), (version, scope, key, number, until + "0", signature),
                  (version, scope, key, number, until, signature[:-1]), (version, scope, key, number, until, ""),
                  (version, scope, key, number, until)]:
        yield "Bearer " + ".".join(parts)
    yield "Bearer " + Session(person, repo, write=False).token.replace(".r.", ".w.")
    ended, later = int(time.time()) - 61, int(time.time()) + 600
    for fields in [(version, scope, key, number, ended), ("xet2", scope, key, number, later), (version, scope, key, number),
                   (version, "wr", key, number, later), (version, scope, "", number, later)]:
        yield "Bearer " + signed_token(hub, *fields)


def test_every_route_of_the_storage_lets_its_token_through(alice, anyone, hidden):
    session = Session(alice, hidden)
    known = token_requests(small_file())
    assert set(known) == {route.name for route in BY_TOKEN}, "say above what the request to a new route looks like"
    for name, request in known.items():
        answer = ask_storage(anyone, session, f"Bearer {session.token}", request)
        assert answer.status_code == 200, f"{name}: {answer.text}"


def refusals(anyone, session, authorization, file):
    """What each route says, in the order of token_requests()."""
    return [ask_storage(anyone, session, authorization, request) for request in token_requests(file).values()]


def test_what_is_no_token_opens_nothing(hub, alice, anyone, hidden):
    session, fresh = Session(alice, hidden), small_file()
    there = uploaded(session)
    for authorization in false_tokens(hub, alice, hidden):
        for file in fresh, there:
            assert {answer.status_code for answer in refusals(anyone, session, authorization, file)} == {401}, authorization
    [(xorb, _, _)] = fresh.terms
    assert session.plan(fresh.hash).status_code == 404
    assert session.post_xorb(xorb).json() == {"was_inserted": True}, "what was refused did not come in"


def test_a_token_that_the_hub_signed_itself_is_one(hub, alice, anyone, hidden):
    """So that the refusals above are not for a signature that never fits."""
    session = Session(alice, hidden)
    version, scope, key, number, _, _ = session.token.split(".")
    again = signed_token(hub, version, scope, key, number, int(time.time()) + 600)
    assert {answer.status_code for answer in refusals(anyone, session, f"Bearer {again}", small_file())} == {200}


def test_a_token_to_read_only_reads(alice, anyone, hidden):
    session, reading = Session(alice, hidden), Session(alice, hidden, write=False)
    file, fresh = uploaded(session), small_file()
    for name, request in token_requests(file).items():
        answer = ask_storage(anyone, session, f"Bearer {reading.token}", request)
        assert answer.status_code == (403 if name.startswith("POST") else 200), name
    refusals(anyone, session, f"Bearer {reading.token}", fresh)
    [(xorb, _, _)] = fresh.terms
    assert session.post_xorb(xorb).json() == {"was_inserted": True}


def test_a_read_key_gets_a_token_to_read_only(reader, hidden, visible):
    for repo in hidden, visible:
        assert reader.http.get(f"/api/models/{repo}/xet-write-token/main").status_code == 403
        assert Session(reader, repo, write=False).token


@pytest.mark.parametrize("write", [True, False], ids=["write", "read"])
def test_a_token_of_another_repo_opens_nothing_of_this_one(alice, bob, anyone, hidden, write):
    file = uploaded(Session(alice, hidden))
    other = Session(bob, bob.new_repo(), write=write)
    for name, request in token_requests(file).items():
        if "xorbs" in name:
            continue  # whoever has the bytes may send them
        answer = ask_storage(anyone, other, f"Bearer {other.token}", request)
        assert answer.status_code == (404 if name.startswith("GET") else 400 if write else 403), name
        assert sha256(file.data) not in answer.text


def test_a_token_ends_with_its_key_though_all_may_read_the_repo(hub, alice, anyone, visible):
    name = new_name("short")
    token = hub.admin("token", "create", "alice", "--name", name, "--role", "write").stdout.strip()
    session = Session(type(alice)(hub, "alice", token), visible)
    file = uploaded(session)
    hub.admin("token", "revoke", "alice", "--name", name)
    assert {answer.status_code for answer in refusals(anyone, session, f"Bearer {session.token}", file)} == {401}


@pytest.mark.parametrize("write", [True, False], ids=["write", "read"])
def test_a_token_ends_with_the_right(alice, bob, anyone, write):
    repo = furnished(alice)
    session = Session(bob, repo, write=write)
    file = uploaded(Session(bob, repo))
    alice.api.update_repo_settings(repo, private=True)
    for name, request in token_requests(file).items():
        answer = ask_storage(anyone, session, f"Bearer {session.token}", request)
        assert answer.status_code == (404 if write or name.startswith("GET") else 403), name


def test_a_token_ends_with_its_repo(alice, anyone):
    repo = alice.new_repo()
    session = Session(alice, repo)
    file = uploaded(session)
    alice.api.delete_repo(repo)
    assert {answer.status_code for answer in refusals(anyone, session, f"Bearer {session.token}", file)} == {404}


def test_a_token_of_somebody_without_a_key_reads_what_all_may_read(alice, anyone):
    repo = alice.new_repo()
    file = uploaded(Session(alice, repo))
    session = Session(anyone, repo, write=False)
    assert session.plan(file.hash).status_code == 200
    assert anyone.http.get(f"/api/models/{repo}/xet-write-token/main").status_code == 401
    alice.api.update_repo_settings(repo, private=True)
    assert session.plan(file.hash).status_code in (401, 404)
