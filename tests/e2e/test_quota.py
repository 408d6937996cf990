# SPDX-License-Identifier: GPL-3.0-or-later
"""What one may keep and download: told before the first byte is sent, exact to the byte, and over when things are deleted."""

import json
import os
import sqlite3
import threading

import httpx
import pytest
from huggingface_hub.errors import HfHubHTTPError

from support import add, new_name, sha256, until
from tiers import applies, held, publish, rate


def counter(hub, unit, name="ada"):
    with sqlite3.connect(hub.data / "cairn.db") as db:
        row = db.execute("SELECT c.used, c.reserved FROM quota_counter c JOIN account a ON a.id = c.account_id "
                         "WHERE a.name = ? AND c.unit = ? AND c.span = 0", (name, unit)).fetchone()
    return row or (0, 0)


PUBLIC, PRIVATE, GATED, REPOS = 6, 7, 8, 9


@pytest.fixture
def ada(own_hub):
    return own_hub.person("ada")


@pytest.fixture
def repo(ada):
    return ada.new_repo()


def room(hub, ada, bytes):
    """From now on ada may keep that many bytes more in public repos."""
    used, reserved = counter(hub, PUBLIC)
    publish(hub, "basic", held("bytes.store.public", used + reserved + bytes))


def test_an_upload_that_does_not_fit_is_refused_before_it_begins_and_says_why(own_hub, ada, repo):
    room(own_hub, ada, 5000)
    with pytest.raises(HfHubHTTPError) as refused:
        ada.api.upload_file(path_or_fileobj=os.urandom(6000), path_in_repo="a.bin", repo_id=repo)
    said = str(refused.value)
    assert refused.value.response.status_code == 413
    assert "6000 more bytes kept in public repos of ada" in said and "/api/usage" in said
    assert '"method":"PUT"' not in own_hub.log_text(), "nothing was sent"
    assert counter(own_hub, PUBLIC)[1] == 0


def test_an_upload_that_fits_takes_what_was_reserved(own_hub, ada, repo):
    room(own_hub, ada, 20000)
    before = counter(own_hub, PUBLIC)[0]
    data = os.urandom(6000)
    assert ada.batch(repo, (sha256(data), 6000)).status_code == 200
    assert counter(own_hub, PUBLIC) == (before, 6000)
    ada.put_object(repo, data)
    assert counter(own_hub, PUBLIC) == (before + 6000, 0)
    ada.put_object(repo, data)
    assert counter(own_hub, PUBLIC) == (before + 6000, 0), "the same content counts once a repo"


def test_asking_for_all_of_a_batch_that_does_not_fit_reserves_nothing(own_hub, ada, repo):
    room(own_hub, ada, 5000)
    objects = [(sha256(os.urandom(9)), 2000) for _ in range(3)]
    answer = ada.batch(repo, *objects)
    assert answer.status_code == 413 and answer.headers["x-error-code"] == "QuotaExceeded"
    assert counter(own_hub, PUBLIC)[1] == 0
    assert ada.batch(repo, *objects[:2]).status_code == 200
    assert counter(own_hub, PUBLIC)[1] == 4000


def test_plain_files_of_a_commit_count_too(own_hub, ada, repo):
    room(own_hub, ada, 3000)
    with pytest.raises(HfHubHTTPError) as refused:
        ada.commit(repo, add("big.txt", b"x" * 4000))
    assert refused.value.response.status_code == 413 and "big.txt" not in ada.files(repo)
    ada.commit(repo, add("small.txt", b"y" * 100))
    assert "small.txt" in ada.files(repo)


def test_an_upload_by_xet_that_does_not_fit_is_refused_with_the_same_words(own_hub, ada, repo, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "a.bin").write_bytes(data)
    room(own_hub, ada, 100_000)
    done = ada.hf("upload", repo, tmp_path / "a.bin", "a.bin", check=False, HF_HUB_DISABLE_XET=None)
    assert done.returncode != 0 and "a.bin" not in ada.files(repo)
    room(own_hub, ada, 400_000)
    ada.hf("upload", repo, tmp_path / "a.bin", "a.bin", HF_HUB_DISABLE_XET=None)
    assert ada.read(repo, "a.bin") == data
    assert counter(own_hub, PUBLIC)[1] == 0


def test_who_has_no_room_at_all_gets_no_token_to_write_by_xet(own_hub, ada, repo):
    room(own_hub, ada, 0)
    answer = ada.http.get(f"/api/models/{repo}/xet-write-token/main")
    assert answer.status_code == 413 and "no room" in answer.json()["error"]
    assert ada.http.get(f"/api/models/{repo}/xet-read-token/main").status_code == 200


def test_deleting_makes_room(own_hub, ada, repo):
    data = os.urandom(5000)
    ada.put_object(repo, data)
    room(own_hub, ada, 0)
    other = ada.batch(repo, (sha256(b"other"), 5000))
    assert other.status_code == 413
    second_used = counter(own_hub, PUBLIC)[0]
    ada.api.delete_repo(repo)
    assert counter(own_hub, PUBLIC)[0] <= second_used - 5000
    again = ada.new_repo()
    assert ada.batch(again, (sha256(b"other"), 1000)).status_code == 200


def test_private_public_and_gated_are_limited_apart(own_hub, ada, repo):
    data = os.urandom(5000)
    ada.put_object(repo, data)
    bytes = counter(own_hub, PUBLIC)[0]
    ada.api.update_repo_settings(repo, private=True)
    assert counter(own_hub, PUBLIC)[0] == 0 and counter(own_hub, PRIVATE)[0] == bytes
    ada.api.update_repo_settings(repo, private=False, gated="auto")
    assert counter(own_hub, PRIVATE)[0] == 0 and counter(own_hub, GATED)[0] == bytes
    publish(own_hub, "basic", held("bytes.store.private", 10))
    with pytest.raises(HfHubHTTPError) as refused:
        ada.api.update_repo_settings(repo, private=True)
    assert "private repos of ada" in str(refused.value)


def test_the_number_of_repos_is_limited(own_hub, ada):
    publish(own_hub, "basic", held("repo.count", 2))
    kept = [ada.new_repo() for _ in range(2)]
    with pytest.raises(HfHubHTTPError) as refused:
        ada.new_repo()
    assert "repos of ada" in str(refused.value)
    ada.api.delete_repo(kept[0])
    ada.new_repo()


def test_what_an_organisation_keeps_counts_against_it_and_not_against_who_sends_it(own_hub, ada):
    own_hub.org("lab", ada="write")
    name = f"lab/{new_name()}"
    ada.api.create_repo(name)
    ada.put_object(name, os.urandom(4000))
    assert counter(own_hub, PUBLIC, "lab")[0] >= 4000 and counter(own_hub, PUBLIC)[0] == 0


def test_a_lease_ends_after_a_day_also_while_the_hub_was_down(own_hub, ada, repo):
    room(own_hub, ada, 5000)
    assert ada.batch(repo, (sha256(b"one"), 5000)).status_code == 200
    assert ada.batch(repo, (sha256(b"two"), 5000)).status_code == 413
    own_hub.stop()
    own_hub.environment["CAIRN_CLOCK_AHEAD"] = str(25 * 3600)
    own_hub.start()
    assert ada.batch(repo, (sha256(b"two"), 5000)).status_code == 200


def test_sixty_four_uploads_at_once_fill_the_room_to_the_byte_and_survive_kill_9(own_hub, ada, repo):
    room(own_hub, ada, 40 * 1000)
    start = counter(own_hub, PUBLIC)[0]
    files = [os.urandom(1000) for _ in range(64)]
    acknowledged, refused = [], []

    def send(data):
        answer = ada.batch(repo, (sha256(data), 1000))
        if answer.status_code == 413:
            refused.append(data)
            return
        try:
            done = httpx.put(answer.json()["objects"][0]["actions"]["upload"]["href"], content=data, timeout=120)
        except httpx.TransportError:
            return
        if done.is_success:
            acknowledged.append(data)

    def together(chosen):
        threads = [threading.Thread(target=send, args=(data,)) for data in chosen]
        for thread in threads:
            thread.start()
        return threads

    for thread in together(files):
        thread.join()
    assert len(acknowledged) == 40 and len(refused) == 24
    own_hub.kill()
    own_hub.start()
    assert counter(own_hub, PUBLIC) == (start + 40 * 1000, 0)
    for data in acknowledged:
        assert ada.batch(repo, (sha256(data), 1000)).json()["objects"][0].get("actions") is None
    assert ada.batch(repo, (sha256(refused[0]), 1000)).status_code == 413


def test_fsck_counts_anew_and_corrects(own_hub, ada, repo):
    ada.put_object(repo, os.urandom(4000))
    used = counter(own_hub, PUBLIC)
    own_hub.stop()
    assert "corrected" not in own_hub.cairn("fsck", "--data", own_hub.data).stdout
    with sqlite3.connect(own_hub.data / "cairn.db") as db:
        db.execute("UPDATE quota_counter SET used = used + 12345, reserved = 7")
        db.execute("UPDATE quota_repo SET bytes = 1")
    done = own_hub.cairn("fsck", "--data", own_hub.data)
    assert "corrected" in done.stdout and "all is well" in done.stdout
    assert counter(own_hub, PUBLIC) == used
    own_hub.start()


def test_downloads_are_counted_by_what_was_sent_and_limited(own_hub, ada, repo):
    data = os.urandom(50_000)
    ada.put_object(repo, data)
    ada.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)}))
    publish(own_hub, "basic", held("bytes.egress", 120_000, per=31_000_000), rate("req.api", 1000, 1000))
    until(lambda: "ratelimit" in ada.http.get("/api/whoami-v2").headers)
    url = f"/{repo}/resolve/main/a.bin"
    statuses = [ada.http.get(url).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429], "what does not fit is not begun"
    assert "20000 are left" in ada.http.get(url).json()["error"]
    assert ada.http.head(url).status_code == 200
    assert ada.http.get(url, headers={"range": "bytes=0-19999"}).content == data[:20_000]
    refused = ada.http.get(url, headers={"range": "bytes=0-0"})
    assert refused.headers["x-error-code"] == "QuotaExceeded" and 0 < int(refused.headers["retry-after"]) <= 31_000_000
    assert ada.http.get("/api/whoami-v2").status_code == 200
    own_hub.stop()
    own_hub.start()
    assert ada.http.get(url).status_code == 429, "it was written down"


def test_many_downloads_at_once_get_not_a_byte_more_than_one_after_another(own_hub, ada, repo):
    data = os.urandom(1_000_000)
    ada.put_object(repo, data)
    ada.commit_lines(repo, ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)}))
    publish(own_hub, "basic", held("bytes.egress", 5_500_000, per=31_000_000), rate("req.api", 1000, 1000))
    applies(ada)
    link = ada.batch(repo, (sha256(data), len(data)), operation="download").json()["objects"][0]["actions"]["download"]["href"]
    answers = []

    def load(number):
        url, headers = (link, {}) if number % 2 else (f"{own_hub.url}/{repo}/resolve/main/a.bin", {"authorization": f"Bearer {ada.token}"})
        with httpx.Client(timeout=120) as client:
            answer = client.get(url, headers=headers)
            answers.append((answer.status_code, len(answer.content) if answer.is_success else 0))

    threads = [threading.Thread(target=load, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(200, 1_000_000)] * 5 + [(429, 0)] * 59


def test_where_more_is_to_be_paid_for_the_answer_says_so(own_hub, ada, repo):
    publish(own_hub, "basic", held("bytes.egress", 0, per=3600, over="charge"), rate("req.api", 1000, 1000))
    until(lambda: "ratelimit" in ada.http.get("/api/whoami-v2").headers)
    refused = ada.http.get(f"/{repo}/resolve/main/.gitattributes")
    assert refused.status_code == 402 and refused.headers["x-error-code"] == "PaymentRequired"


def test_nothing_is_said_of_quotas_to_who_may_not_see_the_repo(own_hub, ada, repo):
    ada.api.update_repo_settings(repo, private=True)
    ben = own_hub.person("ben")
    publish(own_hub, "basic", held("bytes.store.private", 0))
    answer = ben.batch(repo, (sha256(b"x"), 1000))
    assert answer.status_code == 404 and "ada" not in json.dumps(answer.json())
