# SPDX-License-Identifier: GPL-3.0-or-later
"""CI jobs without a stored key: what their provider signs of them is exchanged for a key of an hour (RFC 8693), and nothing else is."""

import json
import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from browsers import Browser, newcomer
from support import Hub, Person, new_name, until
from test_oidc_outside import LIES, Liar
from tlog import Log

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
PATH = "/api/settings/trusted-publishers"
JOB = {"repository": "octo/weights", "ref": "refs/heads/main"}


class Issuer(Liar):
    """What signs the tokens of CI jobs; also GitHub's address from which a job gets its own."""

    def __init__(self):
        super().__init__()
        self.audience = None

    def claims(self, _=None, **changes):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "repo:octo/weights:ref:refs/heads/main", "aud": self.audience, "iat": now, "nbf": now,
                  "exp": now + 300, "jti": new_name("jti"), **JOB, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def job(self, alg="RS256", **changes):
        return self.signed(self.claims(**changes), alg)


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()


@pytest.fixture(scope="module")
def ci_hub(issuer, tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("ci"), flags=["--ci-issuers", f"https://gitlab.internal, {issuer.issuer}"]).start()
    issuer.audience = hub.url
    yield hub
    hub.stop()


@pytest.fixture
def ada(ci_hub):
    ada = newcomer(ci_hub, "ada")
    ada.key = ci_hub.key_of(ada.name)
    return ada


def register(person, issuer, resource, role="write", **more):
    body = {"resource": resource, "role": role, "issuer": issuer.issuer, "claims": JOB, **more}
    return person.http.post(PATH, json={key: value for key, value in body.items() if value is not None})


def exchange(hub, resource, token):
    return hub.anyone().http.post("/oauth/token", json={"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": token,
                                                        "resource": resource})


def key_for(hub, issuer, resource, **claims):
    answer = exchange(hub, resource, issuer.job(**claims))
    assert answer.status_code == 200, answer.text
    return Person(hub, "ci", answer.json()["access_token"])


def is_refused(answer):
    return answer.status_code == 400 and answer.json()["error"] == "invalid_grant" and "access_token" not in answer.text


def may_write(person, repo):
    line = '{"key":"header","value":{"summary":"x"}}\n{"key":"file","value":{"path":"x","content":"eA==","encoding":"base64"}}\n'
    return person.http.post(f"/api/models/{repo}/commit/main", content=line, headers={"content-type": "application/x-ndjson"}).is_success


# The stock client.


def stock_environment(tmp_path, repo, **more):
    return {"HF_OIDC_RESOURCE": repo, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": None, "HF_HUB_DISABLE_IMPLICIT_TOKEN": None,
            "GITHUB_ACTIONS": ""} | more


def test_the_stock_client_uploads_from_a_job_without_a_stored_key(ci_hub, issuer, ada, tmp_path):
    repo = ada.key.new_repo()
    assert register(ada, issuer, repo).status_code == 200
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    job = ci_hub.anyone()
    told = job.hf("upload", repo, file, "model.bin", **stock_environment(tmp_path, repo, HF_OIDC_ID_TOKEN=issuer.job()))
    assert told.returncode == 0
    assert ada.key.read(repo, "model.bin") == b"weights"
    key = job.hf("auth", "token", **stock_environment(tmp_path, repo, HF_OIDC_ID_TOKEN=issuer.job())).stdout.split()[-1]
    for name in ("one.bin", "two.bin"):
        job.hf("upload", repo, file, name, **stock_environment(tmp_path, None, HF_TOKEN=key))
    assert {"one.bin", "two.bin"} <= set(ada.key.files(repo)), "a job of several commands takes its key once"
    again = job.hf("upload", repo, file, "other.bin", check=False,
                   **stock_environment(tmp_path, repo, HF_OIDC_ID_TOKEN=issuer.job(ref="refs/heads/side")))
    assert again.returncode != 0 and "other.bin" not in ada.key.files(repo)


def test_a_job_of_github_asks_for_its_token_by_itself(ci_hub, issuer, ada, tmp_path):
    repo = ada.key.new_repo()
    register(ada, issuer, repo)
    asked = []

    class Runner(BaseHTTPRequestHandler):
        def do_GET(self):
            audience = parse_qs(urlsplit(self.path).query)["audience"][0]
            asked.append((audience, self.headers["authorization"]))
            body = json.dumps({"value": issuer.job(aud=audience)}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    runner = ThreadingHTTPServer(("127.0.0.1", 0), Runner)
    threading.Thread(target=runner.serve_forever, daemon=True).start()
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    ci_hub.anyone().hf("upload", repo, file, "model.bin", **stock_environment(
        tmp_path, repo, GITHUB_ACTIONS="true", ACTIONS_ID_TOKEN_REQUEST_URL=f"http://127.0.0.1:{runner.server_port}/mint",
        ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-the-runner"))
    runner.shutdown()
    assert ada.key.read(repo, "model.bin") == b"weights"
    assert asked[0] == (ci_hub.url, "Bearer of-the-runner")


# What the key is good for.


def test_the_key_reaches_no_further_than_its_owner_has_said(ci_hub, issuer, ada):
    repo, other, private, hidden = (ada.key.new_repo(private=p) for p in (False, False, True, True))
    register(ada, issuer, repo)
    register(ada, issuer, private, "read", repos=[f"{other}:write"])
    writer, reader = key_for(ci_hub, issuer, repo), key_for(ci_hub, issuer, private)
    assert may_write(writer, repo) and not may_write(writer, other)
    assert may_write(reader, other) and not may_write(reader, private)
    assert reader.http.get(f"/api/models/{private}").status_code == 200
    for person, name in ((writer, private), (writer, hidden), (reader, hidden)):
        assert person.http.get(f"/api/models/{name}").status_code == 404
    for person in (writer, reader):
        assert person.http.post("/api/settings/keys", json={"name": new_name("k"), "role": "read"}).status_code == 403
        assert person.http.get(PATH).status_code == 403
        assert person.http.put(f"/api/models/{repo}/settings", json={"visibility": "private"}).status_code == 403
        assert not person.http.request("DELETE", "/api/repos/delete", json={"name": repo}).is_success
    told = writer.http.get("/api/whoami-v2").json()["auth"]["accessToken"]
    assert told["role"] == "fineGrained" and "x-token-warning" not in writer.http.get("/api/whoami-v2").headers
    keys = ada.http.get("/api/settings/keys").json()
    assert any(key["name"].startswith("ci-") and key["repos"] == [f"{repo}:write"] for key in keys)


def test_a_name_space_is_a_resource_too(ci_hub, issuer, ada):
    org = new_name("lab")
    ci_hub.org(org, **{ada.name: "admin"})
    inside, outside = ada.key.api.create_repo(f"{org}/one", private=True).repo_id, ada.key.new_repo()
    assert register(ada, issuer, org).status_code == 200
    job = key_for(ci_hub, issuer, org)
    assert may_write(job, inside) and not may_write(job, outside)
    assert is_refused(exchange(ci_hub, inside, issuer.job())), "what the name space has been given holds for that resource alone"


def test_the_key_ends_after_an_hour_and_is_not_renewed(issuer, tmp_path):
    hub = Hub(tmp_path, flags=["--ci-issuers", issuer.issuer]).start()
    try:
        ada = newcomer(hub, "ada")
        repo = hub.key_of(ada.name).new_repo()
        register(ada, issuer, repo, audience="this hub")
        answer = exchange(hub, repo, issuer.job(aud="this hub"))
        assert {**answer.json(), "access_token": ""} == {
            "access_token": "", "token_type": "bearer", "expires_in": 3600,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        assert answer.headers["cache-control"] == "no-store"
        job = Person(hub, "ci", answer.json()["access_token"])
        name, = [key["name"] for key in ada.http.get("/api/settings/keys").json() if key["name"].startswith("ci-")]
        assert ada.http.post(f"/api/settings/keys/{name}/rotate").status_code == 409
        assert job.token not in hub.log_text()

        def later(seconds):
            hub.stop()
            hub.environment["CAIRN_CLOCK_AHEAD"] = str(seconds)
            hub.start()

        later(3500)
        assert may_write(job, repo)
        later(3601)
        refused = job.http.get("/api/whoami-v2")
        assert refused.status_code == 401 and refused.headers["x-error-code"] == "TokenExpired"
        later(3600 + 1000)
        until(lambda: not [key for key in ada.http.get("/api/settings/keys").json() if key["name"] == name])
        assert not [notice for notice in ada.http.get("/api/notices").json() if notice["kind"] == "key.ending"]
    finally:
        hub.stop()


def test_registering_removing_and_each_key_are_entries_of_the_log(issuer, own_hub):
    own_hub.stop()
    own_hub.flags = [*own_hub.flags, "--ci-issuers", issuer.issuer]
    own_hub.start()
    ada = newcomer(own_hub, "ada")
    repo = own_hub.key_of(ada.name).new_repo()

    def leaves():
        log = Log(own_hub.anyone().http)
        return [json.loads(entry) for entry in log.entries(log.checkpoint().size) if b'"type":"key"' in entry]

    before = len(leaves())
    number = register(ada, issuer, repo, audience="this hub").json()["id"]
    assert exchange(own_hub, repo, issuer.job(aud="this hub")).status_code == 200
    assert ada.http.delete(f"{PATH}/{number}").status_code == 200
    found = leaves()[before:]
    assert [leaf["b"]["op"] for leaf in found] == ["add", "add", "revoke", "revoke"]
    assert ada.name not in json.dumps(found) and issuer.issuer not in json.dumps(found)
    own_hub.stop()
    assert "all is well" in own_hub.cairn("fsck", "--data", own_hub.data).stdout
    own_hub.start()


# What is refused: each with a twin that is not.


WRONG = ["alg none", "alg none with a signature", "alg HS256", "another issuer", "for another", "for nobody", "ended", "without end",
         "made tomorrow", "another key", "a key nobody knows", "a key of its own", "ES256 by an RSA key's name", "cut", "no JSON"]
FORGED = {lie: LIES[lie] for lie in WRONG} | {
    "for several": lambda i, _: i.job(aud=[i.audience, "https://other.example"]),
    "another repository": lambda i, _: i.job(repository="octo/weights2"),
    "another branch": lambda i, _: i.job(ref="refs/heads/main2"),
    "a claim in other letters": lambda i, _: i.job(repository="Octo/weights"),
    "a claim that is missing": lambda i, _: i.job(ref=None),
    "a claim that is a list": lambda i, _: i.job(ref=["refs/heads/main"]),
    "not yet": lambda i, _: i.job(nbf=int(time.time()) + 3600),
    "without a beginning": lambda i, _: i.job(iat=None),
    "for ever": lambda i, _: i.job(exp=int(time.time()) + 10 * 365 * 86400),
    "changed": lambda i, _: ".".join((lambda real, wish: (real[0], wish[1], real[2]))(
        i.job(ref="refs/heads/side").split("."), i.job().split("."))),
}


@pytest.mark.parametrize("lie", FORGED)
def test_a_token_that_is_not_right_gets_nothing(ci_hub, issuer, ada, lie):
    repo = ada.key.new_repo()
    register(ada, issuer, repo)
    assert is_refused(exchange(ci_hub, repo, FORGED[lie](issuer, None)))
    assert not [key for key in ada.http.get("/api/settings/keys").json() if key["name"].startswith("ci-")]
    for alg in ("RS256", "ES256"):
        assert exchange(ci_hub, repo, issuer.job(alg)).status_code == 200, "the truth does"


def test_a_token_is_good_once(ci_hub, issuer, ada):
    repo, other = ada.key.new_repo(), ada.key.new_repo()
    register(ada, issuer, repo)
    register(ada, issuer, other)
    for token in (issuer.job(), issuer.job(jti=None)):
        assert exchange(ci_hub, repo, token).status_code == 200
        assert is_refused(exchange(ci_hub, repo, token)) and is_refused(exchange(ci_hub, other, token))
    first, second = issuer.job(jti="one"), issuer.job(jti="one", run_id="7")
    assert exchange(ci_hub, repo, first).status_code == 200 and is_refused(exchange(ci_hub, repo, second))
    wrong = issuer.job(jti="two", ref="refs/heads/side")
    assert is_refused(exchange(ci_hub, repo, wrong)) and exchange(ci_hub, repo, issuer.job(jti="two")).status_code == 200
    results = []
    token = issuer.job()
    threads = [threading.Thread(target=lambda: results.append(exchange(ci_hub, repo, token).status_code)) for _ in range(8)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sorted(results) == [200] + [400] * 7


def test_nobody_learns_what_there_is(ci_hub, issuer, ada):
    private = ada.key.new_repo(private=True)
    register(ada, issuer, private)
    stranger = Issuer()
    answers = [exchange(ci_hub, resource, token) for resource, token in (
        (private, issuer.job(ref="refs/heads/side")), (private, stranger.job(aud=ci_hub.url)), (private, "no.token"),
        ("nobody/nothing", issuer.job()), (new_name("nobody"), issuer.job()), (f"{private}:admin", issuer.job()), ("//", issuer.job()),
        (ada.key.new_repo(), issuer.job()))]
    assert {(answer.status_code, answer.text) for answer in answers} == {(400, answers[0].text)}
    assert stranger.paths == [], "an issuer that nobody has registered there is not asked"
    stranger.server.shutdown()

    def ask(token, **changes):
        return ci_hub.anyone().http.post("/oauth/token", json={"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": token,
                                                               "resource": private} | changes)

    for bad in ({"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}, {"resource": None}, {"subject_token": None}):
        assert ask(issuer.job(), **bad).json()["error"] == "invalid_request"
    form = ci_hub.anyone().http.post("/oauth/token", data={"grant_type": GRANT, "subject_token_type": ID_TOKEN,
                                                           "subject_token": issuer.job(), "resource": private})
    assert form.status_code == 200, "a form will do, as RFC 8693 has it"


def listener():
    """Takes connections, and counts them."""
    server, seen = socket.create_server(("127.0.0.1", 0)), []

    def take():
        while True:
            seen.append(server.accept()[0].close())

    threading.Thread(target=take, daemon=True).start()
    return server.getsockname()[1], seen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"])
def test_an_issuer_that_the_operator_has_not_named_is_asked_at_public_addresses_only(issuer, tmp_path, host):
    port, seen = listener()
    inside = f"https://{host}:{port}"
    for named in (False, True):
        hub = Hub(tmp_path, flags=["--ci-issuers", inside] if named else []).start()
        try:
            ada = newcomer(hub, "ada")
            repo = hub.key_of(ada.name).new_repo()
            registered = ada.http.post(PATH, json={"resource": repo, "role": "read", "issuer": inside, "claims": JOB, "audience": "a"})
            assert registered.status_code == 200, registered.text
            assert register(ada, issuer, repo).status_code == 400, "by http only what the operator has named"
            assert is_refused(exchange(hub, repo, issuer.job(iss=inside, aud="a")))
            assert bool(seen) == named
        finally:
            hub.stop()


# Who may register.


def test_only_who_administers_it_registers_for_a_resource_and_not_by_a_key(ci_hub, issuer, ada):
    repo, private = ada.key.new_repo(), ada.key.new_repo(private=True)
    bob = newcomer(ci_hub, "bob")
    org = new_name("lab")
    ci_hub.org(org, **{ada.name: "admin", bob.name: "write"})
    shared = ada.key.api.create_repo(f"{org}/one").repo_id
    for resource, status in ((repo, 403), (private, 400), (ada.name, 403), (org, 403), (shared, 403), (bob.name, 200)):
        assert register(bob, issuer, resource).status_code == status, resource
    hidden, missing = register(bob, issuer, private).json()["error"], register(bob, issuer, f"{ada.name}/never-was").json()["error"]
    assert hidden.replace(private, "") == missing.replace(f"{ada.name}/never-was", "")
    assert register(ada, issuer, shared).status_code == register(ada, issuer, org).status_code == 200
    assert bob.http.get(PATH, params={"resource": shared}).status_code == 403
    assert ada.key.http.post(PATH, json={"resource": repo, "role": "read", "issuer": issuer.issuer, "claims": JOB}).headers["x-error-code"] \
        == "StepUp"
    assert is_refused(exchange(ci_hub, repo, issuer.job()))


def test_a_registration_that_would_trust_too_many_is_refused(ci_hub, issuer, ada):
    repo = ada.key.new_repo()
    for bad in ({"claims": {}}, {"claims": {"ref": "refs/heads/main"}}, {"claims": None}, {"claims": {"sub": 5}}, {"claims": {"sub": ""}},
                {"claims": {"sub": "x", "iss": "y"}}, {"claims": {"sub": "x", "aud": "y"}}, {"role": "admin"}, {"role": None},
                {"issuer": "http://elsewhere.example"}, {"issuer": "https://"}, {"issuer": "https://a@b.example"},
                {"issuer": "https://a.example/?x"}, {"issuer": f"https://{'a' * 200}"}, {"audience": ""}, {"resource": f"{repo}:write"},
                {"resource": None}, {"repos": "x"}, {"repos": [5]}, {"repos": [repo]}, {"repos": [f"{ada.name}:admin"]}, {"more": 1},
                {"claims": {f"c{i}": "x" for i in range(16)} | {"sub": "x"}}):
        body = {"resource": repo, "role": "write", "issuer": issuer.issuer, "claims": JOB, **bad}
        answer = ada.http.post(PATH, json={key: value for key, value in body.items() if value is not None})
        assert answer.status_code == 400, (bad, answer.text)
    assert ada.http.get(PATH).json() == []


def test_what_is_registered_is_shown_and_removed_with_its_keys(ci_hub, issuer, ada):
    repo = ada.key.new_repo()
    number = register(ada, issuer, repo).json()["id"]
    job = key_for(ci_hub, issuer, repo)
    shown, = ada.http.get(PATH).json()
    assert shown == {"id": number, "by": ada.name, "repos": [f"{repo}:write"], "issuer": issuer.issuer, "audience": ci_hub.url,
                     "claims": JOB, "createdAt": shown["createdAt"], "lastUsedAt": shown["lastUsedAt"]}
    assert shown["lastUsedAt"] and ada.http.get(PATH, params={"resource": repo}).json() == [shown]
    assert newcomer(ci_hub, "bob").http.delete(f"{PATH}/{number}").status_code == 404
    assert may_write(job, repo)
    assert ada.http.delete(f"{PATH}/{number}").status_code == 200 and ada.http.delete(f"{PATH}/{number}").status_code == 404
    assert job.http.get("/api/whoami-v2").status_code == 401
    assert is_refused(exchange(ci_hub, repo, issuer.job()))


def test_a_job_fetches_gated_files_that_its_person_may_and_no_others(ci_hub, issuer, ada):
    bob = newcomer(ci_hub, "bob")
    owner = ci_hub.key_of(bob.name)
    gated, other = gated_repo(owner), gated_repo(owner)
    for repo in (gated, other):
        ada.key.http.post(f"/{repo}/ask-access")
        assert owner.http.post(f"/api/models/{repo}/user-access-request/grant", json={"user": ada.name}).is_success
        assert ada.key.read(repo, "a.bin") == b"a"
    register(ada, issuer, ada.name, "read", repos=[f"{gated}:read"])
    job = key_for(ci_hub, issuer, ada.name)
    assert job.http.get(f"/{gated}/resolve/main/a.bin").content == b"a"
    assert job.http.get(f"/{other}/resolve/main/a.bin").status_code == 403


def gated_repo(owner):
    repo = owner.new_repo()
    owner.commit_files(repo, {"a.bin": b"a"})
    owner.http.put(f"/api/models/{repo}/settings", json={"gated": "manual"}).raise_for_status()
    return repo


def test_who_leaves_an_organisation_leaves_no_way_in(ci_hub, issuer, ada):
    org, bob = new_name("lab"), newcomer(ci_hub, "bob")
    ci_hub.org(org, **{ada.name: "admin", bob.name: "admin"})
    repo = ada.key.api.create_repo(f"{org}/one", private=True).repo_id
    number = register(bob, issuer, repo).json()["id"]
    job = key_for(ci_hub, issuer, repo)
    assert may_write(job, repo)
    ci_hub.admin("org", "remove-member", org, bob.name)
    assert not may_write(job, repo) and job.http.get(f"/api/models/{repo}").status_code == 404
    assert not may_write(key_for(ci_hub, issuer, repo), repo)
    assert [one["by"] for one in ada.http.get(PATH, params={"resource": repo}).json()] == [bob.name]
    assert ada.http.delete(f"{PATH}/{number}").status_code == 200, "whoever administers the repo"


def test_of_somebody_who_is_forgotten_no_job_gets_a_key(issuer, tmp_path):
    hub = Hub(tmp_path, flags=["--ci-issuers", issuer.issuer]).start()
    try:
        ada = newcomer(hub, "ada")
        register(ada, issuer, ada.name, audience="this hub")
        assert exchange(hub, ada.name, issuer.job(aud="this hub")).status_code == 200
        hub.stop()
        hub.admin("user", "erase", ada.name, "--reason", "request")
        hub.start()
        assert is_refused(exchange(hub, ada.name, issuer.job(aud="this hub")))
    finally:
        hub.stop()


# Misuse.


def test_a_job_runs_on_machines_anywhere_and_a_persons_key_does_not(issuer, tmp_path):
    hub = Hub(tmp_path, flags=["--ci-issuers", issuer.issuer, "--proxies", "127.0.0.1"]).start()
    try:
        ada = newcomer(hub, "ada")
        plain = hub.key_of(ada.name)
        repo = plain.new_repo()
        register(ada, issuer, repo, audience="this hub")
        job = Person(hub, "ci", exchange(hub, repo, issuer.job(aud="this hub")).json()["access_token"])

        def signals():
            with sqlite3.connect(f"file:{hub.data}/cairn.db?mode=ro", uri=True) as db:
                return {(bool(ci), signal) for ci, signal in db.execute(
                    "SELECT k.publisher_id <> 0, s.signal FROM misuse_signal s JOIN api_key k ON k.id = s.key_id")}

        for person in (job, plain):
            for i in range(12):
                assert person.http.get("/api/whoami-v2", headers={"x-forwarded-for": f"10.3.{i}.1"}).status_code == 200
        until(lambda: (False, "fan-out") in signals() and (True, "concurrent") in signals())
        assert (True, "fan-out") not in signals()
    finally:
        hub.stop()


def test_a_publisher_whose_key_looks_misused_makes_no_other(ci_hub, issuer, ada):
    repo = ada.key.new_repo()
    register(ada, issuer, repo)
    register(ada, issuer, repo, claims={"sub": "another job"})
    key_for(ci_hub, issuer, repo)

    def put(state):
        with sqlite3.connect(ci_hub.data / "cairn.db", timeout=60) as db:
            db.execute("DELETE FROM misuse_case")
            db.execute("INSERT INTO misuse_case (account_id, key_id, state, version, signals, points, opened_us, changed_us) SELECT "
                       "account_id, max(id), ?, 1, '[]', 80, 1, 1 FROM api_key WHERE publisher_id <> 0", (state,))

    put(3)
    assert is_refused(exchange(ci_hub, repo, issuer.job()))
    assert exchange(ci_hub, repo, issuer.job(sub="another job", repository="octo/other")).status_code == 200, "of another job nobody has said anything"
    put(5)
    assert exchange(ci_hub, repo, issuer.job()).status_code == 200
