# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files on the wire: batch, single and multipart transfers over signed addresses, and every way to get them wrong."""

import math
import os
import re
import sqlite3
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from support import Hub, add, sha256

MIB = 1 << 20
BIG = 128 * MIB + 12345  # goes up in parts where the client can


@pytest.fixture
def data():
    return os.urandom(70_000)


@pytest.fixture(scope="module")
def big():
    return os.urandom(MIB) * 128 + os.urandom(12345)


def upload_action(person, repo, data):
    return person.batch(repo, (sha256(data), len(data))).json()["objects"][0]["actions"]["upload"]


def parts_of(action):
    return [action["header"][key] for key in sorted(action["header"]) if key.isdigit()]


def commit_large(person, repo, data, path="w.bin"):
    return person.commit_lines(repo, ("lfsFile", {"path": path, "algo": "sha256", "oid": sha256(data), "size": len(data)}))


def test_a_single_upload_is_put_verified_and_committed(alice, repo, data):
    answer = alice.batch(repo, (sha256(data), len(data)))
    assert answer.headers["content-type"].startswith("application/vnd.git-lfs+json")
    assert answer.json()["transfer"] == "basic"
    [found] = answer.json()["objects"]
    assert (found["oid"], found["size"]) == (sha256(data), len(data))
    assert httpx.put(found["actions"]["upload"]["href"], content=data).is_success
    verify = alice.http.post(found["actions"]["verify"]["href"], json={"oid": sha256(data), "size": len(data)})
    assert verify.is_success
    assert commit_large(alice, repo, data).status_code == 200
    assert alice.read(repo, "w.bin") == data


def test_what_the_repo_has_needs_no_upload(alice, repo, data):
    alice.put_object(repo, data)
    assert "actions" not in alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]


def test_what_another_repo_has_must_still_be_sent(alice, bob, repo, data):
    alice.put_object(repo, data)
    for person in alice, bob:
        other = person.new_repo()
        assert "actions" in person.batch(other, (sha256(data), len(data))).json()["objects"][0], "a hash is no proof of possession"
        assert commit_large(person, other, data).status_code in (400, 422)


def test_an_object_that_was_never_uploaded_cannot_be_committed(alice, repo, data):
    refused = commit_large(alice, repo, data)
    assert refused.status_code in (400, 422) and refused.json()["error"]
    assert alice.files(repo) == [".gitattributes"]


def test_the_size_in_the_commit_must_be_true(alice, repo, data):
    alice.put_object(repo, data)
    lie = alice.commit_lines(repo, ("lfsFile", {"path": "w", "algo": "sha256", "oid": sha256(data), "size": len(data) + 1}))
    assert lie.status_code in (400, 422)


def test_a_commit_may_leave_the_size_out(alice, repo, data):
    alice.put_object(repo, data)
    assert alice.commit_lines(repo, ("lfsFile", {"path": "w", "algo": "sha256", "oid": sha256(data)})).status_code == 200
    assert alice.read(repo, "w") == data


@pytest.mark.parametrize("spoil", [
    lambda data: data[:-1], lambda data: data + b"x", lambda data: b"", lambda data: bytes([data[0] ^ 1]) + data[1:]],
    ids=["truncated", "too long", "empty", "other bytes"])
def test_wrong_bytes_are_refused_and_leave_nothing(alice, repo, data, spoil):
    href = upload_action(alice, repo, data)["href"]
    refused = httpx.put(href, content=spoil(data))
    assert 400 <= refused.status_code < 500 and refused.json()["error"]
    assert "actions" in alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]
    assert commit_large(alice, repo, data).status_code in (400, 422)
    assert httpx.put(href, content=data).is_success, "the right bytes are still welcome"


def test_bytes_may_come_in_chunks(alice, repo, data):
    def chunks():
        for start in range(0, len(data), 999):
            yield data[start:start + 999]

    assert httpx.put(upload_action(alice, repo, data)["href"], content=chunks()).is_success
    assert commit_large(alice, repo, data).status_code == 200


def test_the_type_of_the_body_does_not_matter(alice, repo, data):
    assert httpx.put(upload_action(alice, repo, data)["href"], content=data, headers={"content-type": "text/html"}).is_success


@pytest.mark.parametrize("change", [
    lambda url: re.sub(r"[0-9a-f]{64}", "0" * 64, url, count=1),
    lambda url: re.sub(r"(sig=.)(.)", lambda m: m[1] + ("A" if m[2] != "A" else "B"), url),
    lambda url: url.split("?")[0],
    lambda url: url.split("&sig=")[0],
    lambda url: url + "0",
    lambda url: re.sub(r"([?&]s=)\d+", r"\g<1>999999", url),
    lambda url: re.sub(r"([?&]u=)\d+", r"\g<1>99999999999999999", url),
    lambda url: re.sub(r"([?&]r=)(\d+)", lambda m: m[1] + str(int(m[2]) + 1), url),
], ids=["other object", "other signature", "no query", "no signature", "longer signature", "other size", "later end", "other repo"])
def test_a_tampered_address_is_refused(alice, repo, data, change):
    href = upload_action(alice, repo, data)["href"]
    changed = change(href)
    assert changed != href
    assert httpx.put(changed, content=data).status_code in (401, 403, 404)
    assert "actions" in alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]


def test_an_address_carries_no_key(alice, repo, data):
    href = upload_action(alice, repo, data)["href"]
    assert alice.token not in href
    assert alice.token not in str(parse_qs(urlsplit(href).query))


def test_an_address_ends_with_the_key_that_asked_for_it(own_hub: Hub, data):
    owner = own_hub.person("owner")
    own_hub.admin("token", "create", "owner", "--name", "short", "--role", "write", "--value", "a-key-of-my-own")
    owner.http.headers["authorization"] = "Bearer a-key-of-my-own"
    repo = owner.new_repo()
    href = upload_action(owner, repo, data)["href"]
    own_hub.admin("token", "revoke", "owner", "--name", "short")
    assert httpx.put(href, content=data).status_code in (401, 403)


def test_an_upload_address_does_not_download(alice, repo, data):
    assert httpx.get(upload_action(alice, repo, data)["href"]).status_code in (401, 403, 404, 405)


def test_git_lfs_downloads_by_signed_address(alice, bob, anyone, data):
    repo = alice.new_repo(private=True)
    alice.put_object(repo, data)
    found, missing = alice.batch(repo, (sha256(data), len(data)), ("0" * 64, 5), operation="download").json()["objects"]
    assert httpx.get(found["actions"]["download"]["href"]).content == data
    assert missing["error"]["code"] == 404
    assert bob.batch(repo, (sha256(data), len(data)), operation="download").status_code == 404
    assert anyone.batch(repo, (sha256(data), len(data)), operation="download").status_code == 401


def test_strangers_cannot_ask_for_upload_addresses(bob, anyone, alice, data):
    hidden = alice.new_repo(private=True)
    assert bob.batch(hidden, (sha256(data), len(data))).status_code == 404
    assert anyone.batch(alice.new_repo(), (sha256(data), len(data))).status_code == 401


@pytest.mark.parametrize("oid, size", [("xyz", 5), ("A" * 63, 5), ("", 5), ("0" * 64, -1), ("0" * 64, "5"), (5, 5), ("../" * 20, 5)])
def test_an_object_that_cannot_be_is_an_error_of_its_own(alice, repo, data, oid, size):
    answer = alice.batch(repo, (sha256(data), len(data)), (oid, size))
    if answer.status_code == 200:
        good, bad = answer.json()["objects"]
        assert "actions" in good and bad["error"]["code"] >= 400 and bad["error"]["message"]
    else:
        assert 400 <= answer.status_code < 500


def test_another_operation_or_hash_is_refused(alice, repo):
    assert 400 <= alice.batch(repo, ("0" * 64, 5), operation="steal").status_code < 500
    assert 400 <= alice.batch(repo, ("0" * 64, 5), hash_algo="md5").status_code < 500
    assert alice.batch(repo, ("0" * 64, 5), hash_algo="sha_256").status_code == 200


def test_locks_are_declined_so_that_git_goes_on(alice, repo):
    assert alice.http.post(f"/{repo}.git/info/lfs/locks/verify", json={}).status_code in (404, 501)


def test_datasets_have_the_same_door(alice, data):
    repo = alice.new_repo(repo_type="dataset")
    alice.commit(repo, add("d.bin", data), repo_type="dataset")
    assert alice.read(repo, "d.bin", prefix="/datasets") == data


def test_a_big_file_goes_up_in_parts(alice, repo, big):
    answer = alice.batch(repo, (sha256(big), len(big))).json()
    assert answer["transfer"] == "multipart"
    action = answer["objects"][0]["actions"]["upload"]
    size, parts = int(action["header"]["chunk_size"]), parts_of(action)
    assert len(parts) == math.ceil(len(big) / size)
    numbers = [key for key in action["header"] if key.isdigit()]
    assert numbers == sorted(numbers) and all(len(number) == 5 for number in numbers)
    etags = {}
    for number in reversed(range(len(parts))):  # JavaScript sends them in any order
        sent = httpx.put(parts[number], content=big[number * size:(number + 1) * size], timeout=60)
        assert sent.is_success and sent.headers["etag"]
        etags[number] = sent.headers["etag"]
    claim = {"oid": sha256(big), "parts": [{"partNumber": n + 1, "etag": etags[n]} for n in range(len(parts))]}
    assert httpx.post(action["href"], json=claim, timeout=60).is_success
    assert httpx.post(action["href"], json=claim, timeout=60).status_code < 500, "completing twice breaks nothing"
    assert commit_large(alice, repo, big).status_code == 200
    assert sha256(alice.read(repo, "w.bin")) == sha256(big)


def test_a_client_without_parts_sends_a_big_file_whole(alice, repo, big):
    answer = alice.batch(repo, (sha256(big), len(big)), transfers=("basic",)).json()
    assert answer["transfer"] == "basic"
    assert httpx.put(answer["objects"][0]["actions"]["upload"]["href"], content=big, timeout=60).is_success


def test_the_stock_client_sends_a_big_file(alice, repo, big, tmp_path):
    (tmp_path / "big.bin").write_bytes(big)
    alice.hf("upload", repo, tmp_path / "big.bin")
    alice.hf("download", repo, "big.bin", "--local-dir", tmp_path / "down")
    assert sha256((tmp_path / "down/big.bin").read_bytes()) == sha256(big)


class TestPartsThatAreWrong:
    @pytest.fixture
    def plan(self, alice, repo, big):
        action = upload_action(alice, repo, big)
        size = int(action["header"]["chunk_size"])
        return action["href"], parts_of(action), [big[start:start + size] for start in range(0, len(big), size)]

    def finish(self, plan, pieces, claims=None):
        href, urls, _ = plan
        etags = [httpx.put(url, content=piece, timeout=60).headers.get("etag") for url, piece in zip(urls, pieces)]
        claims = claims or [{"partNumber": n + 1, "etag": etag} for n, etag in enumerate(etags)]
        return httpx.post(href, json={"oid": "0" * 64, "parts": claims}, timeout=60)

    def test_a_missing_part_is_noticed(self, plan):
        assert 400 <= self.finish(plan, plan[2][:-1]).status_code < 500

    def test_a_part_of_the_wrong_length_is_refused(self, plan):
        for piece in plan[2][0][:-1], plan[2][0] + b"x":
            assert 400 <= httpx.put(plan[1][0], content=piece, timeout=60).status_code < 500

    def test_a_part_with_other_bytes_fails_at_the_end(self, alice, repo, big, plan):
        pieces = list(plan[2])
        pieces[0] = bytes([pieces[0][0] ^ 1]) + pieces[0][1:]
        assert 400 <= self.finish(plan, pieces).status_code < 500
        assert commit_large(alice, repo, big).status_code in (400, 422)

    def test_a_part_may_be_sent_again(self, alice, repo, big, plan):
        httpx.put(plan[1][0], content=plan[2][0], timeout=60)
        assert self.finish(plan, plan[2]).is_success
        assert commit_large(alice, repo, big).status_code == 200

    def test_a_wrong_etag_is_noticed(self, plan):
        claims = [{"partNumber": n + 1, "etag": '"nonsense"'} for n in range(len(plan[1]))]
        assert 400 <= self.finish(plan, plan[2], claims).status_code < 500


def holds(hub, data):
    with sqlite3.connect(f"file:{hub.data}/cairn.db?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM object_hold JOIN object ON object.id = object_id WHERE sha256 = ?",
                          (bytes.fromhex(sha256(data)),)).fetchone()[0]


@pytest.mark.parametrize("deletes", [True, False])
def test_an_upload_whose_repo_is_deleted_on_the_way_leaves_nothing_held(hub, alice, deletes):
    repo, data = alice.new_repo(), os.urandom(300_000)

    def body():
        yield data[:200_000]
        if deletes:
            alice.api.delete_repo(repo)
        yield data[200_000:]

    href = upload_action(alice, repo, data)["href"]
    answer = httpx.put(href, content=body(), headers={"Content-Length": str(len(data))})
    assert (answer.status_code, holds(hub, data)) == ((404, 0) if deletes else (200, 1))
