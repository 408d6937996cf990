# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub tells of Xet: headers and lists, tokens in the LFS batch, and the two switches that make it keep silent."""

import json
import os
import time
from urllib.parse import quote

import httpx
import pytest
from huggingface_hub import get_hf_file_metadata

from support import ROOT, Hub, free_port, sha256

INFO = "application/vnd.xet-fileinfo+json"
HELLO = b"Hello World!"
HELLO_HASH = "a9dae0ad88b060bdd7e7c87abdcf95b132c95a0414b06d4f6beb68d287b87165"  # xet-protocol 4
EVERY = ("basic", "multipart", "xet")


def put_large(person, repo, data, path="hello.bin"):
    person.put_object(repo, data)
    line = {"path": path, "algo": "sha256", "oid": sha256(data), "size": len(data)}
    answer = person.commit_lines(repo, ("lfsFile", line))
    assert answer.status_code == 200, answer.text
    return repo


def set_xet(person, repo, value):
    return person.http.put(f"/api/models/{repo}/settings", json={"xetEnabled": value})


@pytest.fixture(scope="module")
def told(alice):
    """A repo with a large file, a small one and a folder."""
    repo = put_large(alice, alice.new_repo("told"), HELLO)
    alice.commit_files(repo, {"notes.txt": b"notes", "deep/notes.txt": b"more"})
    return repo


@pytest.fixture(scope="module")
def quiet_owner(tmp_path_factory):
    """Somebody on a hub that was started with --xet off."""
    hub = Hub(tmp_path_factory.mktemp("quiet"), flags=["--xet", "off"]).start()
    yield hub.person("owner")
    hub.stop()


@pytest.fixture(params=["flag", "setting"])
def silenced(request, alice):
    """A repo with a large file that must not be offered as chunks, and its owner."""
    if request.param == "flag":
        owner = request.getfixturevalue("quiet_owner")
        return owner, put_large(owner, owner.new_repo(), HELLO)
    repo = put_large(alice, alice.new_repo(), HELLO)
    assert set_xet(alice, repo, False).is_success
    return alice, repo


# Downloads.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_large_file_says_where_its_chunks_are(hub, alice, told, method):
    answer = alice.http.request(method, f"/{told}/resolve/main/hello.bin")
    commit = alice.head(told)
    assert answer.status_code == 200
    assert answer.headers["x-xet-hash"] == HELLO_HASH
    assert answer.headers.get_list("link") == [
        f'<{hub.url}/api/models/{told}/xet-read-token/{commit}>; rel="xet-auth", '
        f'<{hub.url}/xet/v1/reconstructions/{HELLO_HASH}>; rel="xet-reconstruction-info"']
    assert answer.headers["vary"].lower() == "accept"
    assert answer.headers["x-linked-etag"] == f'"{sha256(HELLO)}"'
    assert answer.content == (HELLO if method == "GET" else b"")


def test_datasets_name_their_own_token_address(hub, alice):
    repo = alice.new_repo(repo_type="dataset")
    alice.put_object(f"datasets/{repo}", HELLO)
    line = json.dumps({"key": "header", "value": {"summary": "x"}}) + "\n" + json.dumps(
        {"key": "lfsFile", "value": {"path": "d.bin", "algo": "sha256", "oid": sha256(HELLO), "size": len(HELLO)}})
    assert alice.http.post(f"/api/datasets/{repo}/commit/main", content=line).status_code == 200
    link = alice.http.head(f"/datasets/{repo}/resolve/main/d.bin").headers["link"]
    assert link.startswith(f"<{hub.url}/api/datasets/{repo}/xet-read-token/")


def test_the_hash_is_of_all_chunks_of_the_file(alice, repo):
    state, words = 0, []
    for _ in range(125_000):  # SplitMix64
        state = (state + 0x9E3779B97F4A7C15) & (1 << 64) - 1
        word = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
        word = (word ^ word >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
        words.append((word ^ word >> 31).to_bytes(8, "little"))
    put_large(alice, repo, b"".join(words), "w.bin")
    answer = alice.http.head(f"/{repo}/resolve/main/w.bin")
    assert answer.headers["x-xet-hash"] == "3d17b2d7d64a0e011b6717a52d9a16bd2c3f05b743fa8adf52a7d75dafab6d89"


@pytest.mark.parametrize("address", ["resolve/main/notes.txt", "resolve/main/missing.bin", "raw/main/hello.bin", "raw/main/notes.txt"])
def test_nothing_else_says_so(alice, told, address):
    for accept in "*/*", INFO:
        answer = alice.http.get(f"/{told}/{address}", headers={"accept": accept})
        assert not {"x-xet-hash", "link", "vary"} & set(answer.headers)
        assert INFO not in answer.headers["content-type"]


def test_the_address_of_a_moved_repo_names_the_new_one(hub, alice):
    repo = put_large(alice, alice.new_repo("before"), HELLO)
    alice.api.move_repo(repo, f"{repo}-after")
    moved = alice.http.head(f"/{repo}/resolve/main/hello.bin")
    assert moved.status_code == 307
    assert f"/api/models/{repo}-after/xet-read-token/" in alice.http.head(moved.headers["location"]).headers["link"]


@pytest.mark.parametrize("accept", [INFO, f"{INFO}, */*", f"text/html;q=0.5 , {INFO.upper()};q=1"])
def test_who_asks_for_the_description_gets_it_instead_of_the_bytes(alice, told, accept):
    answer = alice.http.get(f"/{told}/resolve/main/hello.bin", headers={"accept": accept, "range": "bytes=0-0"})
    etag = f'"{sha256(HELLO)}"'
    assert (answer.status_code, answer.headers["content-type"]) == (200, INFO)
    assert answer.json() == {"hash": HELLO_HASH, "size": len(HELLO), "etag": etag}
    assert (answer.headers["x-xet-hash"], answer.headers["x-linked-size"]) == (HELLO_HASH, str(len(HELLO)))
    assert (answer.headers["x-linked-etag"], answer.headers["x-repo-commit"]) == (etag, alice.head(told))
    assert "xet-auth" in answer.headers["link"] and answer.headers["vary"].lower() == "accept"
    assert "content-range" not in answer.headers and "etag" not in answer.headers


def test_a_copy_of_the_file_is_no_copy_of_its_description(alice, told):
    etag = f'"{sha256(HELLO)}"'
    headers = {"accept": INFO, "if-none-match": etag}
    assert alice.http.get(f"/{told}/resolve/main/hello.bin", headers=headers).status_code == 200
    assert alice.http.get(f"/{told}/resolve/main/hello.bin", headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*", f"{INFO}x", ""])
def test_everybody_else_gets_the_bytes(alice, told, accept):
    answer = alice.http.get(f"/{told}/resolve/main/hello.bin", headers={"accept": accept, "range": "bytes=1-4"})
    assert (answer.status_code, answer.content) == (206, HELLO[1:5])


def test_the_python_client_understands(hub, alice, told):
    found = get_hf_file_metadata(f"{hub.url}/{told}/resolve/main/hello.bin", token=alice.token)
    assert (found.size, found.etag) == (len(HELLO), sha256(HELLO))
    assert found.xet_file_data.file_hash == HELLO_HASH
    assert found.xet_file_data.refresh_route == f"{hub.url}/api/models/{told}/xet-read-token/{alice.head(told)}"


def file_info_of_javascript(person, repo):
    params = json.dumps({"repo": repo, "path": "hello.bin"})
    return json.loads(person.run("node", ROOT / "tests/js/roundtrip.mjs", "fileDownloadInfo", params).stdout)["result"]


def test_the_javascript_client_understands(hub, alice, told):
    info = file_info_of_javascript(alice, told)
    assert (info["size"], info["etag"]) == (len(HELLO), f'"{sha256(HELLO)}"')
    assert info["xet"] == {
        "hash": HELLO_HASH,
        "refreshUrl": f"{hub.url}/api/models/{told}/xet-read-token/{alice.head(told)}",
        "reconstructionUrl": f"{hub.url}/xet/v1/reconstructions/{HELLO_HASH}"}


def test_strangers_learn_no_hash_of_a_private_repo(alice, bob, anyone):
    repo = put_large(alice, alice.new_repo(private=True), HELLO)
    for stranger in bob, anyone:
        for accept in "*/*", INFO:
            refused = stranger.http.get(f"/{repo}/resolve/main/hello.bin", headers={"accept": accept})
            assert refused.status_code in (401, 404)
            assert HELLO_HASH not in refused.text + str(refused.headers)


# Lists.


def test_the_tree_names_the_hash_of_large_files_only(alice, told):
    entries = {entry["path"]: entry for entry in alice.http.get(f"/api/models/{told}/tree/main?recursive=true&expand=true").json()}
    assert {path for path, entry in entries.items() if "xetHash" in entry} == {"hello.bin"}
    assert entries["hello.bin"]["xetHash"] == HELLO_HASH
    assert entries["hello.bin"]["lfs"]["oid"] == sha256(HELLO)
    found = {file.path: getattr(file, "xet_hash", None) for file in alice.api.list_repo_tree(told)}
    assert (found["hello.bin"], found["notes.txt"]) == (HELLO_HASH, None)


def test_paths_info_names_it_too(alice, told):
    large, small = alice.api.get_paths_info(told, ["hello.bin", "notes.txt"])
    assert (large.xet_hash, small.xet_hash) == (HELLO_HASH, None)


def test_the_info_says_whether_chunks_are_offered(alice, told, silenced):
    assert alice.http.get(f"/api/models/{told}").json()["xetEnabled"] is True
    for address in f"/api/models/{told}", f"/api/models/{told}/revision/main":
        assert alice.http.get(address, params={"expand": "xetEnabled"}).json()["xetEnabled"] is True
    owner, repo = silenced
    assert owner.http.get(f"/api/models/{repo}").json()["xetEnabled"] is False
    assert owner.http.get(f"/api/models/{repo}/revision/main?expand=xetEnabled").json()["xetEnabled"] is False


def test_a_list_says_it_of_each_repo(alice, told):
    other = alice.new_repo()
    assert set_xet(alice, other, False).is_success
    listed = alice.http.get("/api/models?author=alice&expand=xetEnabled&limit=1000").json()
    found = {repo["id"]: repo["xetEnabled"] for repo in listed}
    assert (found[told], found[other]) == (True, False)


# The switches.


def test_a_silenced_repo_looks_as_if_there_were_no_chunks(silenced):
    owner, repo = silenced
    for accept in "*/*", f"{INFO}, */*":
        answer = owner.http.get(f"/{repo}/resolve/main/hello.bin", headers={"accept": accept, "range": "bytes=0-0"})
        assert (answer.status_code, answer.content) == (206, HELLO[:1])
        assert not {"x-xet-hash", "link", "vary"} & set(answer.headers)
    assert "xetHash" not in owner.http.get(f"/api/models/{repo}/tree/main").text
    [found] = owner.api.get_paths_info(repo, ["hello.bin"])
    assert found.xet_hash is None and found.lfs.sha256 == sha256(HELLO)
    assert owner.batch(repo, ("0" * 64, 5), transfers=EVERY).json()["transfer"] == "basic"


def test_the_javascript_client_reads_a_silenced_repo_plainly(silenced):
    owner, repo = silenced
    info = file_info_of_javascript(owner, repo)
    assert info["size"] == len(HELLO) and "xet" not in info


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_silenced_repo_still_gives_tokens(silenced, scope):
    owner, repo = silenced
    assert owner.http.get(f"/api/models/{repo}/xet-{scope}-token/main").json()["accessToken"]


def test_the_setting_goes_back_on(alice):
    repo = put_large(alice, alice.new_repo(), HELLO)
    for value in False, True, True, False, True:
        assert set_xet(alice, repo, value).status_code == 200
        assert alice.http.get(f"/api/models/{repo}?expand=xetEnabled").json()["xetEnabled"] is value
        assert ("x-xet-hash" in alice.http.head(f"/{repo}/resolve/main/hello.bin").headers) is value


def test_other_settings_leave_it_alone(alice, repo):
    assert set_xet(alice, repo, False).is_success
    alice.api.update_repo_settings(repo, gated="auto", private=True)
    info = alice.http.get(f"/api/models/{repo}").json()
    assert (info["xetEnabled"], info["gated"], info["private"]) == (False, "auto", True)


@pytest.mark.parametrize("value", ["off", 0, None, [], "false"])
def test_a_setting_that_is_neither_is_refused(alice, repo, value):
    refused = set_xet(alice, repo, value)
    assert refused.status_code == 400 and "xetEnabled" in refused.json()["error"]
    assert alice.http.get(f"/api/models/{repo}").json()["xetEnabled"] is True


def test_only_the_owner_turns_it_off(alice, bob, anyone, reader, repo):
    for stranger, status in (bob, 403), (reader, 403), (anyone, 401):
        assert set_xet(stranger, repo, False).status_code == status
    assert alice.http.get(f"/api/models/{repo}").json()["xetEnabled"] is True


def test_the_switch_of_the_hub_may_stand_in_the_environment(tmp_path):
    hub = Hub(tmp_path, environment={"CAIRN_XET": "off"}).start()
    try:
        owner = hub.person("owner")
        assert owner.http.get(f"/api/models/{owner.new_repo()}").json()["xetEnabled"] is False
    finally:
        hub.stop()


@pytest.mark.parametrize("value", ["yes", "", "ON"])
def test_the_switch_of_the_hub_is_on_or_off(tmp_path, value):
    hub = Hub(tmp_path)
    refused = hub.cairn("serve", "--data", hub.data, "--listen", f"127.0.0.1:{free_port()}", "--xet", value, check=False)
    assert refused.returncode == 2 and "--xet" in refused.stderr and "on or off" in refused.stderr
    assert not hub.data.exists()


def test_help_tells_what_the_switch_leaves_on(tmp_path):
    shown = Hub(tmp_path).cairn("serve", "--help").stdout
    assert "--xet on|off" in shown and "CAIRN_XET" in shown


# Uploads.


def test_a_client_that_offers_xet_is_given_a_token(hub, alice, repo):
    data = os.urandom(1000)
    answer = alice.batch(repo, (sha256(data), len(data)), ("1" * 64, 7), transfers=EVERY)
    assert answer.headers["content-type"].startswith("application/vnd.git-lfs+json")
    assert answer.json()["transfer"] == "xet"
    for found in answer.json()["objects"]:
        assert set(found["actions"]) == {"upload"}
        upload = found["actions"]["upload"]
        assert upload["href"] == f"{hub.url}/api/models/{repo}/xet-write-token/main"
        assert set(upload["header"]) == {"X-Xet-Cas-Url", "X-Xet-Access-Token", "X-Xet-Token-Expiration", "X-Xet-Session-Id"}
        assert all(isinstance(value, str) and value for value in upload["header"].values())
        assert upload["header"]["X-Xet-Cas-Url"] == f"{hub.url}/xet"
        assert 300 < int(upload["header"]["X-Xet-Token-Expiration"]) - time.time() < 3600
    assert (found["oid"], found["size"]) == ("1" * 64, 7)


def test_the_token_of_a_batch_opens_the_storage(alice, repo):
    upload = alice.batch(repo, ("1" * 64, 7), transfers=EVERY).json()["objects"][0]["actions"]["upload"]
    address = f"{upload['header']['X-Xet-Cas-Url']}/v1/reconstructions/{HELLO_HASH}"
    token = upload["header"]["X-Xet-Access-Token"]
    assert httpx.get(address, headers={"authorization": f"Bearer {token}"}).status_code == 404, "let in, but there is no such file"
    assert httpx.get(address, headers={"authorization": f"Bearer {token}x"}).status_code == 401
    assert alice.http.get(upload["href"]).json()["casUrl"] == upload["header"]["X-Xet-Cas-Url"]


@pytest.mark.parametrize("name, revision", [
    ("main", "main"), ("dev", "dev"), ("refs/heads/dev", "dev"), ("feat/x y", "main"), ("feat/x", "feat/x"), ("refs/pr/1", "refs/pr/1"),
    ("", "main"), (5, "main"), (None, "main"), ("..", "main"), ("é", "é"), ("x" * 100_000, "main"), ("a\r\nb", "main"), ("HEAD", "main")])
def test_the_address_of_the_token_names_the_branch(hub, alice, repo, name, revision):
    answer = alice.batch(repo, ("1" * 64, 7), transfers=EVERY, ref={"name": name}).json()
    assert answer["objects"][0]["actions"]["upload"]["href"] == \
        f"{hub.url}/api/models/{repo}/xet-write-token/{quote(revision, safe='')}"


@pytest.mark.parametrize("ref", [None, "main", [], 5])
def test_a_ref_of_the_wrong_form_means_main(alice, repo, ref):
    answer = alice.batch(repo, ("1" * 64, 7), transfers=EVERY, ref=ref).json()
    assert answer["objects"][0]["actions"]["upload"]["href"].endswith("/xet-write-token/main")


def test_datasets_are_given_tokens_of_their_own(hub, alice):
    repo = alice.new_repo(repo_type="dataset")
    answer = alice.batch(f"datasets/{repo}", ("1" * 64, 7), transfers=EVERY).json()
    assert answer["objects"][0]["actions"]["upload"]["href"] == f"{hub.url}/api/datasets/{repo}/xet-write-token/main"


def test_what_the_repo_has_is_not_sent_by_xet_either(alice, told):
    held, missing = alice.batch(told, (sha256(HELLO), len(HELLO)), ("1" * 64, 7), transfers=EVERY).json()["objects"]
    assert "actions" not in held and "error" not in held
    assert "upload" in missing["actions"]


def test_what_cannot_be_is_an_error_of_its_own(alice, told):
    answer = alice.batch(told, (sha256(HELLO), 5), ("xyz", 5), ("1" * 64, -1), ("1" * 64, 7), transfers=EVERY).json()
    *bad, good = answer["objects"]
    assert answer["transfer"] == "xet" and "actions" in good
    assert all(found["error"]["code"] == 422 and "actions" not in found for found in bad)


def test_a_big_file_prefers_chunks_to_parts(alice, repo):
    big = ("1" * 64, 1 << 30)
    assert alice.batch(repo, big, transfers=EVERY).json()["transfer"] == "xet"
    assert alice.batch(repo, big).json()["transfer"] == "multipart"


@pytest.mark.parametrize("transfers", [(), ("basic",), ("basic", "multipart"), ("XET",), ("xet2",)])
def test_a_client_that_does_not_offer_xet_is_not_given_it(alice, repo, transfers):
    answer = alice.batch(repo, ("1" * 64, 7), transfers=transfers).json()
    assert answer["transfer"] == "basic"
    assert set(answer["objects"][0]["actions"]) == {"upload", "verify"}


def test_downloads_of_git_stay_plain(alice, told):
    answer = alice.batch(told, (sha256(HELLO), len(HELLO)), operation="download", transfers=EVERY).json()
    assert answer["transfer"] == "basic"
    assert httpx.get(answer["objects"][0]["actions"]["download"]["href"]).content == HELLO


def test_only_who_may_propose_is_given_a_token(bob, anyone, reader, alice):
    repo, hidden = alice.new_repo(), alice.new_repo(private=True)
    for person, where, status in (reader, repo, 403), (anyone, repo, 401), (anyone, hidden, 401), (bob, hidden, 404):
        refused = person.batch(where, ("1" * 64, 7), transfers=EVERY)
        assert refused.status_code == status and "xet1" not in refused.text
