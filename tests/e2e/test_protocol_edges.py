# SPDX-License-Identifier: GPL-3.0-or-later
"""Corners of the protocol that stock clients seldom reach, and scripts soon do."""

import base64
import json
import os

import httpx
import pytest

from support import Hub, answered, git_blob_id, new_name, pointer_of, sha256

LARGE = b"\0large" * 1000
MIB = 1 << 20


def coded(data):
    return base64.b64encode(data).decode()


def file_line(path, data):
    return "file", {"path": path, "content": coded(data), "encoding": "base64"}


def large_line(path, data):
    return "lfsFile", {"path": path, "algo": "sha256", "oid": sha256(data), "size": len(data)}


def create(person, **more):
    name = new_name("made")
    return f"{person.name}/{name}", person.http.post("/api/repos/create", json={"name": name, **more})


def preupload(person, repo, *files, revision="main", **more):
    return person.http.post(f"/api/models/{repo}/preupload/{revision}", json={"files": list(files), **more})


# ---- making a repo ----


def test_first_files_are_there_from_the_start(alice):
    repo, made = create(alice, type="model", files=[
        {"path": "README.md", "content": coded(b"---\nlicense: mit\ntags: [early]\n---\n"), "encoding": "base64"},
        {"path": "deep/er/notes.txt", "content": coded("grüße".encode()), "encoding": "base64"},
    ])
    assert made.status_code == 200 and made.json()["name"] == repo
    assert alice.files(repo) == [".gitattributes", "README.md", "deep/er/notes.txt"]
    assert alice.read(repo, "deep/er/notes.txt") == "grüße".encode()
    assert "early" in alice.api.model_info(repo).tags and "license:mit" in alice.api.model_info(repo).tags
    assert len(alice.titles(repo)) == 2


@pytest.mark.parametrize("files, status", [
    ([{"path": "../up", "content": "", "encoding": "base64"}], 422),
    ([{"path": "a", "content": "no base64!", "encoding": "base64"}], 400),
    ([{"path": "w.bin", "content": coded(pointer_of(LARGE)), "encoding": "base64"}], 400),
    ([{"path": "a", "content": "", "encoding": "base64"}, {"path": "a/b", "content": "", "encoding": "base64"}], 422),
    ("a.txt", 400),
    ([{"path": "a"}], 400),
    ([7], 400),
], ids=["path", "base64", "pointer", "file-in-a-file", "no-list", "no-content", "no-object"])
def test_a_repo_whose_first_files_cannot_be_is_not_made(alice, files, status):
    repo, refused = create(alice, files=files)
    assert refused.status_code == status, refused.text
    assert alice.http.get(f"/api/models/{repo}").status_code == 404


def test_a_licence_becomes_the_card(alice):
    repo, made = create(alice, license="apache-2.0")
    assert made.status_code == 200
    assert alice.api.model_info(repo).card_data.license == "apache-2.0"
    own, _ = create(alice, license="apache-2.0", files=[{"path": "README.md", "content": coded(b"mine"), "encoding": "base64"}])
    assert alice.read(own, "README.md") == b"mine"
    for bad in "no-such-licence", "mit\ntags: [x]", 'mit"\ntags: "x':
        repo, refused = create(alice, license=bad)
        assert refused.status_code == 400
        assert alice.http.get(f"/api/models/{repo}").status_code == 404


@pytest.mark.parametrize("slip", [{"private": "true"}, {"private": 1}, {"visibility": True}, {"visibility": "hidden"}])
def test_a_slip_publishes_nothing(alice, slip):
    repo, refused = create(alice, **slip)
    assert refused.status_code == 400 and alice.http.get(f"/api/models/{repo}").status_code == 404
    there = alice.new_repo(private=True)
    assert alice.http.put(f"/api/models/{there}/settings", json=slip).status_code == 400
    assert alice.api.repo_info(there).private is True


def test_null_leaves_the_visibility_as_it_is(alice):
    repo = alice.new_repo(private=True)
    for nothing in {"visibility": None}, {"private": None}, {}:
        assert alice.http.put(f"/api/models/{repo}/settings", json=nothing).status_code == 200
        assert alice.api.repo_info(repo).private is True
    assert alice.http.put(f"/api/models/{repo}/settings", json={"visibility": "public", "private": None}).status_code == 200
    assert alice.api.repo_info(repo).private is False


def test_a_repo_is_deleted_and_moved_by_its_old_name_too(alice, repo):
    moved = f"alice/{new_name()}"
    alice.api.move_repo(repo, moved)
    again = f"alice/{new_name()}"
    assert alice.http.post("/api/repos/move", json={"fromRepo": repo, "toRepo": again}).status_code == 200
    assert alice.http.request("DELETE", "/api/repos/delete", json={"name": repo.split("/")[1]}).status_code == 200
    assert alice.http.get(f"/api/models/{again}").status_code == 404


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/models/{repo}/branch/later"),
    ("PUT", "/api/models/{repo}/settings"),
    ("DELETE", "/api/models/{repo}/tag/v1"),
    ("POST", "/{repo}.git/info/lfs/objects/batch"),
    ("HEAD", "/{repo}/resolve/main/.gitattributes"),
])
def test_every_method_is_sent_on_to_the_new_name(alice, bob, repo, method, path):
    moved = f"alice/{new_name()}"
    alice.api.create_tag(repo, tag="v1")
    alice.api.move_repo(repo, moved)
    told = alice.http.request(method, path.format(repo=repo) + "?a=%2F")
    assert told.status_code == 307 and told.headers["location"] == path.format(repo=moved) + "?a=%2F"
    alice.api.update_repo_settings(moved, private=True)
    assert bob.http.request(method, path.format(repo=repo)).status_code == 404


def test_a_redirect_knows_the_folder_that_a_proxy_takes_off(tmp_path):
    hub = Hub(tmp_path, flags=["--public-url", "https://example.org/models/hub/"]).start()
    owner = hub.person("owner")
    made = owner.http.post("/api/repos/create", json={"name": "old"}).json()
    assert made["url"] == "https://example.org/models/hub/owner/old"
    assert owner.http.post("/api/repos/move", json={"fromRepo": "owner/old", "toRepo": "owner/new"}).is_success
    assert owner.http.get("/owner/old/resolve/main/a").headers["location"] == "/models/hub/owner/new/resolve/main/a"
    hub.stop()


# ---- settings lists ----


def test_ones_own_repos_come_in_pages(hub):
    owner = hub.person(new_name("collector"))
    for i in range(3):
        owner.new_repo(private=i == 1)
    mine = owner.http.get("/api/settings/repositories").json()
    assert [item["visibility"] for item in mine] == ["public", "private", "public"]
    assert [item["id"] for item in mine] == sorted((item["id"] for item in mine), reverse=True)
    others = hub.anyone()
    others.http.headers["authorization"] = owner.http.headers["authorization"]
    assert others.http.get("/api/settings/repositories?cursor=0").json() == []
    assert others.http.get("/api/settings/repositories?cursor=x").status_code == 400


# ---- requests as such ----


def test_a_path_tells_which_methods_it_takes(anyone):
    for method, path, allowed in [("POST", "/healthz", "GET, HEAD"), ("PATCH", "/api/models/a/b/branch/x", "POST, DELETE"),
                                  ("OPTIONS", "/api/whoami-v2", "GET, HEAD"), ("HEAD", "/api/validate-yaml", "POST")]:
        refused = anyone.http.request(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    missing = anyone.http.post("/nowhere")
    assert missing.status_code == 404 and "allow" not in missing.headers


@pytest.mark.parametrize("path", ["", "/revision/main", "/tree/main", "/refs", "/commits/main", "/auth-check"])
def test_head_of_the_api_is_get_without_the_body(alice, repo, path):
    get, head = (alice.http.request(method, f"/api/models/{repo}{path}") for method in ("GET", "HEAD"))
    assert get.status_code == head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == str(len(get.content))


def test_a_crowd_of_parameters_costs_little(alice, repo):
    many = "&".join(["expand=sha"] * 2500)
    assert alice.http.get(f"/api/models/{repo}?{many}").json().keys() == {"_id", "id", "sha"}
    many = "&".join(["filter=x"] * 3000)
    assert alice.http.get(f"/api/models?{many}", timeout=60).json() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=99999999999999999999", "limit=", "cursor=nowhere",
                                   "cursor=..%2F..", "cursor=" + "a%2F" * 2000])
def test_odd_limits_and_cursors_of_a_tree_do_no_harm(alice, repo, query):
    answer = alice.http.get(f"/api/models/{repo}/tree/main?{query}")
    assert answer.status_code == 200 and isinstance(answer.json(), list)


@pytest.mark.parametrize("query, status", [("limit=0", 200), ("limit=-5", 200), ("p=99999999999999999&limit=1000", 400), ("p=7", 200),
                                           ("cursor=9223372036854775807", 200), ("cursor=9223372036854775808", 400),
                                           ("cursor=-1", 400), ("cursor=x", 400)])
def test_odd_pages_of_history_do_no_harm(alice, repo, query, status):
    answer = alice.http.get(f"/api/models/{repo}/commits/main?{query}")
    assert answer.status_code == status
    assert status != 200 or answer.headers["x-total-count"] == "1"


def test_commits_are_counted_by_asking_for_one(alice, repo):
    for number in range(3):
        alice.commit_files(repo, {"a.txt": b"%d" % number})
    answer = alice.http.get(f"/api/models/{repo}/commits/main?limit=1")
    assert answer.headers["x-total-count"] == "4" and len(answer.json()) == 1
    assert 'rel="next"' in answer.headers["link"] and "cursor=1>" in answer.headers["link"]
    last = alice.http.get(f"/api/models/{repo}/commits/main?limit=1&p=3")
    assert last.json()[0]["title"] == "initial commit" and "link" not in last.headers


@pytest.mark.parametrize("kind, body", [("application/json", b"[]"), ("application/json", b'{"paths":"a"}'), ("application/json", b'{"paths":[1]}'),
                                        ("application/json", b"{}"), ("application/x-www-form-urlencoded", b"paths=a&paths=%zz")])
def test_malformed_questions_for_paths_are_refused(alice, repo, kind, body):
    answer = alice.http.post(f"/api/models/{repo}/paths-info/main", content=body, headers={"content-type": kind})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["", "/", "..", "../..", "/.gitattributes", ".gitattributes/x", "a//b", "\\", "x" * 5000])
def test_paths_that_cannot_be_are_not_there(alice, repo, path):
    found = alice.http.post(f"/api/models/{repo}/paths-info/main", json={"paths": [path, ".gitattributes"]})
    assert [item["path"] for item in found.json()] == [".gitattributes"]


# ---- branches ----


def test_a_branch_may_start_at_head(alice, repo):
    assert alice.http.post(f"/api/models/{repo}/branch/b", json={"startingPoint": "HEAD"}).status_code == 200
    missing = alice.http.post(f"/api/models/{repo}/branch/c", json={"startingPoint": "nowhere"})
    assert missing.status_code == 404 and missing.headers["x-error-code"] == "RevisionNotFound"
    assert missing.json()["error"] == "Invalid rev id: nowhere"
    assert alice.http.post(f"/api/models/{repo}/branch/HEAD", json={}).status_code == 400


def test_a_moved_main_is_described_anew(alice, repo):
    old = alice.commit_files(repo, {"README.md": b"---\ntags: [old]\n---\n"}).oid
    alice.commit_files(repo, {"README.md": b"---\ntags: [new]\n---\n"})
    assert "new" in alice.api.model_info(repo).tags
    back = alice.http.post(f"/api/models/{repo}/branch/main", json={"startingPoint": old, "overwrite": True})
    assert back.status_code == 200 and alice.head(repo) == old
    assert "old" in alice.api.model_info(repo).tags and "new" not in alice.api.model_info(repo).tags
    assert alice.http.post(f"/api/models/{repo}/branch/main", json={"startingPoint": old}).status_code == 409


# ---- commits ----


def test_a_commit_without_operations_changes_nothing(alice, repo):
    head = alice.head(repo)
    done = alice.commit_lines(repo)
    assert done.status_code == 200 and done.json()["commitOid"] == head == alice.head(repo)
    assert alice.commit_lines(repo, header={"summary": ""}).status_code == 400
    assert alice.http.post(f"/api/models/{repo}/commit/main", content=b"").status_code == 400


@pytest.mark.parametrize("revision", ["v1", "refs%2Ftags%2Fv1", "{head}", "nowhere", "refs%2Fpr%2F9"])
def test_only_branches_take_commits(alice, repo, revision):
    alice.api.create_tag(repo, tag="v1")
    refused = alice.commit_lines(repo, file_line("a", b"a"), revision=revision.format(head=alice.head(repo)))
    assert refused.status_code == 404 and refused.headers["x-error-code"] == "RevisionNotFound"


@pytest.mark.parametrize("path", ["/", "", ".", "./", "//"])
def test_the_root_folder_cannot_be_deleted(alice, repo, path):
    assert alice.commit_lines(repo, ("deletedFolder", {"path": path})).status_code == 422
    assert alice.files(repo) == [".gitattributes"]


def test_what_is_deleted_and_written_anew_is_there(alice, repo):
    alice.commit_files(repo, {"x/a": b"a", "x/b": b"b"})
    head = alice.head(repo)
    done = alice.commit_lines(repo, ("deletedFolder", {"path": "x/"}), file_line("x/a", b"a"), file_line("x/b", b"b"))
    assert done.status_code == 200 and done.json()["commitOid"] == head, "the same tree is no change"
    assert alice.commit_lines(repo, file_line("x/c", b"c"), ("deletedFolder", {"path": "x"})).status_code == 200
    assert alice.files(repo) == [".gitattributes"], "in the other order it is gone"


def test_a_commit_that_drops_the_rules_still_covers_its_large_files(alice, repo):
    alice.put_object(repo, LARGE)
    done = alice.commit_lines(repo, ("deletedFile", {"path": ".gitattributes"}), large_line("w.bin", LARGE))
    assert done.status_code == 200
    assert alice.read(repo, ".gitattributes") == b"/w.bin filter=lfs diff=lfs merge=lfs -text\n"


def test_the_rules_are_a_plain_file(alice, repo):
    alice.put_object(repo, LARGE)
    assert alice.commit_lines(repo, large_line(".gitattributes", LARGE)).status_code == 400
    assert alice.commit_lines(repo, large_line("sub/.gitattributes", LARGE)).status_code == 200


def test_rules_beyond_the_limits_stop_nobody(alice, repo):
    huge = b"*.weights filter=lfs\n" * (MIB // 20)
    alice.put_object(repo, LARGE)
    assert alice.commit_lines(repo, file_line(".gitattributes", huge), file_line(".gitignore", huge), large_line("w.xyz", LARGE)).status_code == 200
    assert alice.read(repo, ".gitattributes") == huge, "what cannot be read is not rewritten"
    [file] = preupload(alice, repo, {"path": "a.weights", "size": 3, "sample": coded(b"abc")}).json()["files"]
    assert (file["uploadMode"], file["shouldIgnore"]) == ("regular", False)
    told = preupload(alice, repo, {"path": "a.weights", "size": 3}, gitAttributes="*.weights filter=lfs", gitIgnore="a.*").json()["files"]
    assert (told[0]["uploadMode"], told[0]["shouldIgnore"]) == ("lfs", True)
    assert preupload(alice, repo, {"path": "a", "size": 3}, gitIgnore="x\n" * MIB).status_code == 200
    assert alice.commit_lines(repo, large_line("v.xyz", LARGE)).status_code == 200


def test_a_commit_message_has_a_limit(alice, repo):
    assert alice.commit_lines(repo, file_line("a", b"a"), header={"summary": "s", "description": "d" * 60_000}).status_code == 200
    assert alice.commit_lines(repo, file_line("a", b"b"), header={"summary": "s" * 70_000}).status_code == 413


def test_paths_that_cannot_be_stored_are_told_before_the_bytes_are_sent(alice, repo):
    for path in "..\\ddd", "a/../b", ".git/config", "/a", "":
        refused = preupload(alice, repo, {"path": path, "size": 1})
        assert refused.status_code == 422 and refused.json()["error"]
    assert preupload(alice, repo, {"path": "a b%c", "size": 1}).status_code == 200
    for odd in {"size": 1}, 7, {"path": 1}:
        assert preupload(alice, repo, odd).status_code == 400


def test_slow_senders_do_not_keep_others_from_reading(own_hub):
    """Half-sent bodies hold a thread each, but none of the database's 128 readers."""
    owner = own_hub.person("owner")
    repo = owner.new_repo()
    started = []

    def half(path, length):
        import socket
        line = socket.create_connection(("127.0.0.1", own_hub.port))
        line.sendall((f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {owner.token}\r\n"
                      f"content-length: {length}\r\n\r\n{{").encode())
        started.append(line)

    try:
        for i in range(70):
            half(f"/api/models/{repo}/preupload/main", 1000)
            half(f"/api/models/{repo}/commit/main", 1000)
        assert owner.http.get(f"/api/models/{repo}").status_code == 200
        assert not answered(started), "while the hub still waits for all of them"
        readers = next(line for line in owner.http.get("/metrics").text.splitlines() if line.startswith("cairn_database_readers "))
        assert int(float(readers.split()[1])) < 128
    finally:
        for line in started:
            line.close()


# ---- downloads ----


@pytest.fixture(scope="module")
def filled(alice):
    repo = alice.new_repo("filled")
    alice.put_object(repo, LARGE)
    assert alice.commit_lines(repo, file_line("a.txt", b"small"), file_line("empty", b""), large_line("w.bin", LARGE)).is_success
    return repo


@pytest.mark.parametrize("path", ["a.txt", "w.bin"])
def test_head_ignores_ranges(alice, filled, path):
    whole = alice.http.head(f"/{filled}/resolve/main/{path}")
    part = alice.http.head(f"/{filled}/resolve/main/{path}", headers={"range": "bytes=0-0"})
    assert part.status_code == 200 and part.headers["content-length"] == whole.headers["content-length"]
    assert alice.http.head(f"/{filled}/resolve/main/{path}", headers={"range": "bytes=99999-"}).status_code == 200
    assert alice.http.get(f"/{filled}/resolve/main/{path}", headers={"range": "bytes=0-0"}).status_code == 206


@pytest.mark.parametrize("given, status", [
    ('"{etag}"', 304), ('W/"{etag}"', 304), ("*", 304), ('"x", "{etag}"', 304), ("{etag}", 200), ('"x"', 200), ("", 200), (",,", 200),
])
def test_if_none_match(alice, filled, given, status):
    etag = git_blob_id(b"small")
    answer = alice.http.get(f"/{filled}/resolve/main/a.txt", headers={"if-none-match": given.format(etag=etag)})
    assert answer.status_code == status and answer.headers["etag"] == f'"{etag}"'
    assert answer.headers["x-repo-commit"] == alice.head(filled)


@pytest.mark.parametrize("given, status", [
    ('"{etag}"', 206), ('W/"{etag}"', 200), ('"other"', 200), ("Mon, 23 Nov 2026 00:00:00 GMT", 200),
])
def test_if_range(alice, filled, given, status):
    etag = sha256(LARGE)
    answer = alice.http.get(f"/{filled}/resolve/main/w.bin", headers={"range": "bytes=1-2", "if-range": given.format(etag=etag)})
    assert answer.status_code == status and answer.content == (LARGE[1:3] if status == 206 else LARGE)


def test_a_range_of_nothing_is_416_and_says_how_long_it_is(alice, filled):
    answer = alice.http.get(f"/{filled}/resolve/main/empty", headers={"range": "bytes=0-0"})
    assert answer.status_code == 416 and answer.headers["content-range"] == "bytes */0"


@pytest.mark.parametrize("path", ["a.txt/", "/a.txt", "a.txt/b", "", "..%2Fa.txt", "%2Fa.txt", "w.bin%20"])
def test_nearly_a_path_is_no_path(alice, filled, path):
    answer = alice.http.get(f"/{filled}/resolve/main/{path}")
    assert answer.status_code == 404 and answer.headers["x-error-code"] == "EntryNotFound"
    assert answer.headers["x-repo-commit"] == alice.head(filled)


# ---- git-lfs ----


def test_git_lfs_verifies_without_a_key(alice, anyone):
    """It sends no key where an answer says "authenticated", also not to verify."""
    repo = alice.new_repo(private=True)
    data = os.urandom(100)
    found = alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]
    assert found["authenticated"] is True
    verify = found["actions"]["verify"]["href"]
    body = {"oid": sha256(data), "size": len(data)}
    assert anyone.http.post(verify, json=body).status_code == 404, "nothing was sent yet"
    assert anyone.http.put(found["actions"]["upload"]["href"], content=data).status_code == 200
    assert anyone.http.post(verify, json=body).status_code == 200


def test_one_object_may_be_asked_for_twice(alice, anyone, repo):
    data = os.urandom(100)
    objects = alice.batch(repo, *[(sha256(data), len(data))] * 3).json()["objects"]
    assert len(objects) == 3
    for found in objects:
        assert anyone.http.put(found["actions"]["upload"]["href"], content=data).status_code == 200
    assert all("actions" not in found for found in alice.batch(repo, *[(sha256(data), len(data))] * 2).json()["objects"])


def test_an_empty_object_can_be(alice, anyone, repo):
    [found] = alice.batch(repo, (sha256(b""), 0)).json()["objects"]
    assert anyone.http.put(found["actions"]["upload"]["href"], content=b"x").status_code == 422
    assert anyone.http.put(found["actions"]["upload"]["href"], content=b"").status_code == 200
    assert alice.commit_lines(repo, large_line("nothing.bin", b"")).status_code == 200
    answer = alice.http.get(f"/{repo}/resolve/main/nothing.bin")
    assert (answer.status_code, answer.content, answer.headers["x-linked-size"]) == (200, b"", "0")


def test_a_known_object_with_another_size_is_an_error_of_its_own(alice, repo):
    alice.put_object(repo, LARGE)
    [found] = alice.batch(repo, (sha256(LARGE), 5)).json()["objects"]
    assert found["error"]["code"] == 422 and "actions" not in found


@pytest.mark.parametrize("kind, prefix", [("dataset", "datasets/"), ("space", "spaces/")])
def test_other_kinds_have_their_own_large_files(alice, kind, prefix):
    repo = alice.new_repo(repo_type=kind)
    [found] = alice.batch(prefix + repo, (sha256(LARGE), len(LARGE))).json()["objects"]
    assert httpx.put(found["actions"]["upload"]["href"], content=LARGE).status_code == 200
    assert "actions" not in alice.batch(prefix + repo, (sha256(LARGE), len(LARGE))).json()["objects"][0]
    assert alice.batch(repo, (sha256(LARGE), len(LARGE))).status_code == 404, "there is no model of that name"


@pytest.mark.parametrize("more, status", [({"hash_algo": "sha256"}, 200), ({"hash_algo": "sha_256"}, 200), ({"hash_algo": None}, 200),
                                          ({"hash_algo": "sha1"}, 409), ({"operation": "delete"}, 422), ({"operation": None}, 422),
                                          ({"objects": []}, 200), ({"objects": None}, 200)])
def test_what_a_batch_may_ask(alice, repo, more, status):
    body = {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 1}], **more}
    assert alice.http.post(f"/{repo}.git/info/lfs/objects/batch", json=body).status_code == status


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"parts":7}', b'{"parts":[{"partNumber":1}]}', b'{"parts":[{"partNumber":1,"etag":"x"}]}'])
def test_an_upload_is_not_complete_because_somebody_says_so(alice, anyone, repo, body):
    [found] = alice.batch(repo, (sha256(b"big"), 130 * MIB)).json()["objects"]
    assert anyone.http.post(found["actions"]["upload"]["href"], content=body).status_code == 400


def test_a_batch_does_not_answer_with_gigabytes(alice, repo):
    huge = 2_000 * 1024 * MIB
    assert alice.batch(repo, *[(sha256(b"%d" % i), huge) for i in range(150)]).status_code == 413


def test_lost_bytes_are_told_as_damage(own_hub):
    import sqlite3
    owner = own_hub.person("owner")
    repo = owner.new_repo()
    owner.put_object(repo, LARGE)
    assert owner.commit_lines(repo, large_line("w.bin", LARGE)).is_success
    own_hub.stop()
    with sqlite3.connect(own_hub.data / "cairn.db") as database:
        database.execute("DELETE FROM object_hold")
    own_hub.start()
    lost = owner.http.get(f"/{repo}/resolve/main/w.bin")
    assert lost.status_code == 500 and "w.bin" in lost.json()["error"]
    [told] = [line for line in own_hub.log_text().splitlines() if '"level":"error"' in line and lost.headers["x-request-id"] in line]
    assert "w.bin" in json.loads(told)["message"]
