# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which refusal (hub-protocol 0.4). Clients tell one from another by status, code and exact sentence."""

import json
import re

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from support import new_name, sha256

READS = [
    ("GET", "/api/models/{repo}"),
    ("GET", "/api/models/{repo}/revision/main"),
    ("GET", "/api/models/{repo}/tree/main"),
    ("POST", "/api/models/{repo}/paths-info/main"),
    ("GET", "/api/models/{repo}/refs"),
    ("GET", "/api/models/{repo}/commits/main"),
    ("GET", "/api/models/{repo}/auth-check"),
    ("GET", "/{repo}/resolve/main/.gitattributes"),
    ("HEAD", "/{repo}/resolve/main/.gitattributes"),
    ("GET", "/{repo}/raw/main/.gitattributes"),
    ("POST", "/{repo}.git/info/lfs/objects/batch"),
]
WRITES = [
    ("POST", "/api/models/{repo}/commit/main"),
    ("POST", "/api/models/{repo}/branch/new"),
    ("DELETE", "/api/models/{repo}/branch/new"),
    ("POST", "/api/models/{repo}/tag/main"),
    ("DELETE", "/api/models/{repo}/tag/new"),
    ("POST", "/api/models/{repo}/super-squash/main"),
    ("PUT", "/api/models/{repo}/settings"),
    ("DELETE", "/api/repos/delete"),
    ("POST", "/api/repos/move"),
]
NAMES = [f"{method} {path}" for method, path in READS + WRITES]


def ask(person, method, path, repo, **headers):
    namespace, name = repo.split("/")
    url = path.format(repo=repo)
    content_type = "application/json"
    if "/commit/" in url:
        body, content_type = b'{"key":"header","value":{"summary":"s"}}\n', "application/x-ndjson"
    elif url.endswith("/batch"):
        body = json.dumps({"operation": "download", "objects": [{"oid": sha256(b"x"), "size": 1}]}).encode()
    elif url.endswith("/delete"):
        body = json.dumps({"name": name, "organization": namespace}).encode()
    elif url.endswith("/move"):
        body = json.dumps({"fromRepo": repo, "toRepo": f"{person.name}/{new_name()}"}).encode()
    else:
        body = json.dumps({"paths": ["x"], "tag": "new", "message": "m", "visibility": "public"}).encode()
    if method in ("GET", "HEAD"):
        return person.http.request(method, url, headers=headers)
    return person.http.request(method, url, content=body, headers={"content-type": content_type, **headers})


def refusal(answer):
    """Status, code and sentence of a refusal, after checking that it is well-formed."""
    assert answer.headers["x-request-id"]
    if answer.request.method != "HEAD":
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["error"] == answer.headers["x-error-message"]
    return answer.status_code, answer.headers.get("x-error-code"), answer.headers["x-error-message"]


@pytest.fixture(scope="module")
def hidden(alice):
    return alice.new_repo("hidden", private=True)


@pytest.fixture(scope="module")
def visible(alice):
    return alice.new_repo("visible")


@pytest.mark.parametrize("method, path", READS + WRITES, ids=NAMES)
def test_a_hidden_repo_looks_like_one_that_is_not_there(anyone, bob, hidden, method, path):
    for repo in hidden, "alice/never-was", "nobody/nothing":
        assert refusal(ask(anyone, method, path, repo)) == (401, "RepoNotFound", "Repository not found")
        assert refusal(ask(bob, method, path, repo)) == (404, "RepoNotFound", "Repository not found")


@pytest.mark.parametrize("method, path", READS, ids=NAMES[:len(READS)])
def test_a_visible_repo_is_read_by_anybody(anyone, bob, visible, method, path):
    for person in anyone, bob:
        assert ask(person, method, path, visible).status_code == 200


@pytest.mark.parametrize("method, path", WRITES, ids=NAMES[len(READS):])
def test_writing_without_the_right_is_refused_without_a_code(alice, anyone, bob, reader, visible, method, path):
    before = alice.api.list_repo_refs(visible)
    assert refusal(ask(anyone, method, path, visible))[:2] == (401, None)
    assert refusal(ask(bob, method, path, visible))[:2] == (403, None)
    assert refusal(ask(reader, method, path, visible))[:2] == (403, None)
    assert alice.api.list_repo_refs(visible) == before


@pytest.mark.parametrize("method, path", READS + WRITES, ids=NAMES)
def test_a_wrong_token_is_refused_everywhere(hub, hidden, visible, method, path):
    liar = hub.anyone()
    for token in "hf_wrong", "x" * 5000, "cairn_1_" + "a" * 40, "ünïcode".encode():
        header = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
        for repo in visible, hidden:
            answer = ask(liar, method, path, repo, authorization=header)
            assert refusal(answer) == (401, None, "Invalid credentials in Authorization header")


GATED_BYTES = [
    ("GET", "/{repo}/resolve/main/.gitattributes"),
    ("HEAD", "/{repo}/resolve/main/.gitattributes"),
    ("GET", "/{repo}/raw/main/.gitattributes"),
    ("GET", "/api/models/{repo}/auth-check"),
    ("POST", "/{repo}.git/info/lfs/objects/batch"),
]


@pytest.fixture(scope="module")
def gated(alice):
    repo = alice.new_repo("gated")
    alice.api.update_repo_settings(repo, gated="manual")
    return repo


@pytest.mark.parametrize("method, path", GATED_BYTES, ids=[f"{method} {path}" for method, path in GATED_BYTES])
def test_a_gated_repo_shows_itself_but_not_its_bytes(alice, anyone, bob, gated, method, path):
    words = re.compile("Access to model .* is restricted and you are not in the authorized list")
    status, code, sentence = refusal(ask(anyone, method, path, gated))
    assert (status, code) == (401, "GatedRepo") and sentence
    status, code, sentence = refusal(ask(bob, method, path, gated))
    assert (status, code) == (403, "GatedRepo") and words.match(sentence)
    assert ask(alice, method, path, gated).status_code == 200
    for person in anyone, bob:
        assert person.http.get(f"/api/models/{gated}").json()["gated"] == "manual"
        assert person.http.get(f"/api/models/{gated}/tree/main").status_code == 200


def test_the_client_knows_a_gate_when_it_sees_one(bob, gated, tmp_path):
    with pytest.raises(GatedRepoError):
        bob.api.hf_hub_download(gated, ".gitattributes", cache_dir=tmp_path)


def test_whoami_without_or_with_a_wrong_token(anyone):
    assert anyone.http.get("/api/whoami-v2").status_code == 401
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        anyone.api.whoami(token="hf_wrong")


def test_one_segment_names_are_repos_that_are_not_there(anyone, alice):
    assert refusal(anyone.http.get("/api/models/bert"))[:2] == (401, "RepoNotFound")
    assert refusal(alice.http.get("/api/datasets/bert/revision/main"))[:2] == (404, "RepoNotFound")
    assert not alice.api.repo_exists("repo-that-does-not-exist")
    with pytest.raises(RepositoryNotFoundError):
        alice.api.hf_hub_download("repo-that-does-not-exist", "a.txt")


@pytest.mark.parametrize("path", [
    "/api/models/{repo}/revision/{rev}", "/api/models/{repo}/tree/{rev}", "/api/models/{repo}/commits/{rev}",
    "/{repo}/resolve/{rev}/a.txt", "/{repo}/raw/{rev}/a.txt"])
@pytest.mark.parametrize("revision", ["never-was", "0" * 40, "deadbeef", "refs%2Fpr%2F99", "ma%00in", "%2E%2E", "%ff%fe", "x" * 300])
def test_a_missing_revision_is_told_in_words_that_clients_know(anyone, visible, path, revision):
    answer = anyone.http.get(path.format(repo=visible, rev=revision))
    if revision in ("ma%00in", "%2E%2E", "%ff%fe"):
        assert answer.status_code in (400, 404)
        return
    status, code, sentence = refusal(answer)
    assert (status, code) == (404, "RevisionNotFound")
    assert sentence.startswith("Invalid rev id")


@pytest.mark.parametrize("path", ["/api/models/{repo}/tree/main/nowhere", "/{repo}/resolve/main/nowhere", "/{repo}/raw/main/nowhere"])
def test_a_missing_path_is_an_entry_not_found(alice, anyone, visible, path):
    answer = anyone.http.get(path.format(repo=visible))
    assert refusal(answer)[:2] == (404, "EntryNotFound")
    assert answer.headers["x-repo-commit"] == alice.head(visible)


def test_the_request_id_of_the_client_comes_back(anyone):
    answer = anyone.http.get("/api/models/bert", headers={"x-amzn-trace-id": "11111111-2222-3333-4444-555555555555"})
    assert "11111111-2222-3333-4444-555555555555" in answer.headers["x-request-id"]
    with pytest.raises(HfHubHTTPError, match=r"404 Client Error. \(Request ID: Root=|401 Client Error. \(Request ID: Root="):
        anyone.api.model_info("nobody/nothing")


def test_a_request_id_is_no_way_into_the_log(anyone):
    answer = anyone.http.get("/api/models/bert", headers={"x-amzn-trace-id": 'x"}\t<script>'})
    assert "<" not in answer.headers["x-request-id"] and '"' not in answer.headers["x-request-id"]


def test_what_is_not_there_at_all_is_404_and_a_wrong_method_405(anyone, visible):
    assert anyone.http.get("/no/such/page/at/all/here").status_code == 404
    assert anyone.http.delete(f"/{visible}/resolve/main/.gitattributes").status_code == 405
    assert anyone.http.post("/api/whoami-v2").status_code == 405


def test_browsers_may_read_the_headers(anyone, visible):
    answer = anyone.http.get(f"/api/models/{visible}", headers={"origin": "https://pages.example"})
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"x-repo-commit", "x-error-code", "x-error-message", "etag", "link"} <= exposed


def test_startup_questions_of_clients_are_answered_quickly(anyone):
    assert anyone.http.get("/api/agent-harnesses", timeout=30).json() == {"standardEnvVars": [], "harnesses": {}}
    assert anyone.http.head("/api/telemetry/examples/torch", timeout=30).status_code == 200


def test_the_auth_check_answers_by_right(alice, bob, anyone, reader, visible):
    for person, status in (alice, 200), (reader, 403), (bob, 403), (anyone, 401):
        assert person.http.get(f"/api/models/{visible}/auth-check/write").status_code == status
    alice.api.auth_check(visible)
