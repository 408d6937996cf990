# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of gated repos: for the person with proofs, for the owner by revision and day; downloads that end when the right
does; recalls."""

import hashlib
import os
import socket
import time

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

from support import Hub, add, new_name, sha256, until
from xet import Session

LARGE = os.urandom(1 << 20)


def gated(person, data=LARGE, mode="auto"):
    repo = person.new_repo("gated")
    person.put_object(repo, data)
    assert person.commit_lines(repo, ("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": sha256(data)})).is_success
    person.commit_files(repo, {"config.json": b"{}"})
    person.api.update_repo_settings(repo, gated=mode)
    return repo


def ask(person, repo):
    answer = person.http.post(f"/api/models/{repo}/access-request", json={})
    assert answer.status_code == 200, answer.text


def grant_of(owner, repo, name):
    return next(grant for grant in owner.http.get(f"/api/models/{repo}/grants").json() if grant["holder"] == name)


def revoke(owner, repo, name, code="misuse", text="It was passed on."):
    grant = grant_of(owner, repo, name)
    answer = owner.http.post(f"/api/models/{repo}/grants/{grant['id']}/revoke", json={"code": code, "text": text})
    assert answer.is_success, answer.text


@pytest.fixture
def holder(hub):
    return hub.person(new_name("holder"), "read")


def reads(person):
    return person.http.get("/api/reads").json()


# ---- the person's own ----


def leaf_hash(record):
    return hashlib.sha256(b"\0" + record.encode()).digest()


def root_of(leaf, index, size, hashes):
    """RFC 9162 section 2.1.3.2."""
    number, last = index, size - 1
    for other in hashes:
        if number % 2 or number == last:
            leaf = hashlib.sha256(b"\1" + other + leaf).digest()
            while number % 2 == 0 and number:
                number, last = number // 2, last // 2
        else:
            leaf = hashlib.sha256(b"\1" + leaf + other).digest()
        number, last = number // 2, last // 2
    assert last == 0
    return leaf


def prove(person, read):
    proof = person.http.get(f"/api/reads/{read['id']}/proof").json()
    hashes = [bytes.fromhex(text) for text in proof["hashes"]]
    return proof, root_of(leaf_hash(proof["record"]), proof["index"], proof["size"], hashes) == bytes.fromhex(proof["root"])


def test_a_read_and_a_refusal_are_records_that_the_person_can_prove(alice, holder):
    repo = gated(alice)
    assert holder.http.get(f"/{repo}/resolve/main/model.bin").status_code == 403
    ask(holder, repo)
    for _ in range(3):
        assert holder.read(repo, "model.bin") == LARGE
    found = until(lambda: len(reads(holder)) == 4 and reads(holder))
    refused = next(read["record"] for read in found if read["record"]["answer"] != "served")
    assert refused["answer"] == "no-grant" and refused["bytes"] == 0
    served = [read["record"] for read in found if read["record"]["answer"] == "served"]
    assert [read["bytes"] for read in served] == [len(LARGE)] * 3
    assert {read["commit"] for read in served} == {alice.head(repo)}
    for read in found:
        proof, fits = prove(holder, read)
        assert fits, proof
        salted = proof["salt"] + str(proof["account"])
        assert hashlib.sha256(salted.encode()).hexdigest() == read["record"]["person"]
        leaf = alice.http.get(f"/log/tile/entries/{proof['leaf'] // 256:03d}.p/{proof['leaf'] % 256 + 1}")
        assert proof["root"] in leaf.text and "access-batch" in leaf.text


def test_a_record_that_was_changed_has_no_proof(alice, holder):
    repo = gated(alice)
    ask(holder, repo)
    holder.read(repo, "model.bin")
    [read] = until(lambda: reads(holder))
    proof, fits = prove(holder, read)
    changed = proof["record"].replace('"served"', '"denied"')
    assert fits and leaf_hash(changed) != leaf_hash(proof["record"])
    assert root_of(leaf_hash(changed), proof["index"], proof["size"],
                   [bytes.fromhex(text) for text in proof["hashes"]]) != bytes.fromhex(proof["root"])


def test_records_are_the_persons_own_alone(alice, bob, holder):
    repo = gated(alice)
    ask(holder, repo)
    holder.read(repo, "model.bin")
    [read] = until(lambda: reads(holder))
    for other in alice, bob:
        assert other.http.get(f"/api/reads/{read['id']}/proof").status_code == 404
        assert read["id"] not in [mine["id"] for mine in reads(other)]


def test_what_moves_no_bytes_is_not_recorded(alice, holder):
    repo, public = gated(alice), alice.new_repo()
    alice.commit_files(public, {"a.txt": b"a"})
    ask(holder, repo)
    etag = holder.http.head(f"/{repo}/resolve/main/model.bin").headers["etag"]
    assert holder.http.get(f"/{repo}/resolve/main/model.bin", headers={"if-none-match": etag}).status_code == 304
    assert holder.http.get(f"/api/models/{repo}").status_code == 200
    holder.read(public, "a.txt")
    holder.read(repo, "config.json")
    found = until(lambda: reads(holder))
    assert [read["record"]["path"] for read in found] == [f"/{repo}/resolve/main/config.json"]


# ---- the owner's ----


def uses(owner, repo, **query):
    return owner.http.get(f"/api/models/{repo}/uses", params=query).json()


def test_the_owner_sees_who_has_fetched_which_revision(alice, bob, holder, tmp_path):
    repo = gated(alice)
    ask(holder, repo)
    hf_hub_download(repo, "model.bin", token=holder.token, local_dir=tmp_path)
    first = alice.head(repo)
    alice.commit_files(repo, {"config.json": b"{ }"})
    for _ in range(5):
        holder.read(repo, "config.json")
    alice.read(repo, "config.json")  # a member of the owner is recorded, too
    until(lambda: [row["reads"] for row in uses(alice, repo) if row.get("revision") == alice.head(repo)].count(5) and len(uses(alice, repo)) == 3)
    rows = {row["revision"]: row for row in uses(alice, repo, user=holder.name) if "revision" in row}
    assert rows[first]["bytes"] >= len(LARGE) or rows[first]["reads"] >= 1
    assert (rows[alice.head(repo)]["reads"], rows[alice.head(repo)]["bytes"]) == (5, 15)
    assert rows[first]["first"] <= rows[first]["last"]
    assert [row["user"] for row in uses(alice, repo, user="alice")] == ["alice"]
    assert "grant" not in uses(alice, repo, user="alice")[0] and "grant" in rows[first]
    assert bob.http.get(f"/api/models/{repo}/uses").status_code == 403


def test_a_forgotten_person_is_in_no_list_of_reads_any_more(tmp_path):
    hub = Hub(tmp_path).start()
    try:
        owner, holder = hub.person("owner"), hub.person("holder", "read")
        repo = gated(owner)
        ask(holder, repo)
        holder.read(repo, "model.bin")
        assert until(lambda: uses(owner, repo))[0]["user"] == "holder"
        hub.stop()
        hub.admin("user", "erase", "holder", "--reason", "request")
        hub.start()
        assert uses(owner, repo) == []
        assert hub.cairn("fsck", "--data", hub.data, check=False).returncode == 0, "every proof stays valid"
    finally:
        hub.stop()


# ---- transfers under way ----


def begin_slowly(person, url):
    """A download of which only the first bytes are taken; gives the socket and the length that was promised."""
    quiet = socket.create_connection(("127.0.0.1", person.hub.port))
    path = url if url.startswith("/") else "/" + url.split("/", 3)[3]
    quiet.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {person.token}\r\nConnection: close\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += quiet.recv(1000)
    head, body = head.split(b"\r\n\r\n", 1)
    assert b" 200 " in head, head
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return quiet, length, len(body)


def drain(quiet, got):
    """What comes of the rest."""
    try:
        while piece := quiet.recv(1 << 20):
            got += len(piece)
    except ConnectionResetError:
        pass
    quiet.close()
    return got


BIG = os.urandom(1 << 20) * 40  # more than the sockets' buffers take


def cuts(hub):
    return hub.log_text().count('"event":"cut"')


def test_a_download_ends_when_the_grant_is_revoked_and_one_whose_right_lasts_goes_through(hub, alice, holder):
    repo, lasting = gated(alice, BIG), hub.person(new_name("lasting"), "read")
    for person in lasting, holder:
        ask(person, repo)
    # The hub looks at downloads in the order in which they began: when it has cut the second, it has looked at the first.
    first, second = (begin_slowly(person, f"/{repo}/resolve/main/model.bin") for person in (lasting, holder))
    before, begun = cuts(hub), time.monotonic()
    revoke(alice, repo, holder.name)
    until(lambda: cuts(hub) > before, 60)
    assert time.monotonic() - begun < 60, "within a minute, access C7"
    for (quiet, length, got), whole in ((first, True), (second, False)):
        assert (drain(quiet, got) == length) == whole
    assert holder.http.get(f"/{repo}/resolve/main/model.bin").status_code == 403


@pytest.mark.parametrize("how", ["private", "key", "deleted"])
def test_a_download_ends_with_the_repo_and_the_key(hub, alice, how):
    repo = alice.new_repo()
    alice.put_object(repo, BIG)
    assert alice.commit_lines(repo, ("lfsFile", {"path": "model.bin", "algo": "sha256", "oid": sha256(BIG)})).is_success
    person, key = hub.person(new_name("late"), "read"), new_name("key")
    token = hub.admin("token", "create", person.name, "--name", key, "--role", "read").stdout.strip()
    person = type(person)(hub, person.name, token)
    quiet, length, got = begin_slowly(person, f"/{repo}/resolve/main/model.bin")
    before = cuts(hub)
    if how == "private":
        alice.api.update_repo_settings(repo, private=True)
    elif how == "deleted":
        alice.api.delete_repo(repo)
    else:
        hub.admin("token", "revoke", person.name, "--name", key)
    until(lambda: cuts(hub) > before, 60)
    assert drain(quiet, got) < length


def test_signed_addresses_and_tokens_end_with_the_grant(alice, holder, anyone):
    repo = gated(alice)
    ask(holder, repo)
    href = holder.batch(repo, (sha256(LARGE), len(LARGE)), operation="download").json()["objects"][0]["actions"]["download"]["href"]
    session = Session(holder, repo, write=False)
    assert anyone.http.get(href).content == LARGE
    revoke(alice, repo, holder.name)
    assert anyone.http.get(href).status_code == 403
    answer = anyone.http.get(f"/xet/v1/reconstructions/{'0' * 64}", headers={"authorization": f"Bearer {session.token}"})
    assert answer.status_code == 403 and answer.headers["x-access-reason"] == "revoked"


# ---- recalls ----


def notices(person, kind):
    return [notice for notice in person.http.get("/api/notices").json() if notice["kind"] == kind]


def test_a_recall_reaches_those_who_have_fetched_the_revision_and_nobody_else(hub, alice, holder, anyone):
    repo = gated(alice)
    later, never = hub.person(new_name("later"), "read"), hub.person(new_name("never"), "read")
    for person in holder, later, never:
        ask(person, repo)
    bad = alice.head(repo)
    holder.read(repo, "model.bin")
    holder.read(repo, "config.json")
    alice.commit_files(repo, {"config.json": b"{ }"})
    later.read(repo, "config.json")
    until(lambda: len(uses(alice, repo)) == 2)
    made = alice.http.post(f"/api/models/{repo}/recalls", json={"revision": bad, "severity": "critical", "text": "Wrong weights."})
    assert made.status_code == 200, made.text
    [told] = until(lambda: notices(holder, "recall"))
    assert bad in told["text"] and "Wrong weights." in told["text"] and told["repo"] == repo
    assert notices(later, "recall") == notices(never, "recall") == []
    [listed] = anyone.http.get(f"/api/models/{repo}/recalls").json()
    assert listed["revision"] == bad and listed["severity"] == "critical"
    assert holder.http.get(f"/{repo}/resolve/{bad}/config.json").headers["x-recall"].startswith("critical; <")
    assert "x-recall" not in holder.http.get(f"/{repo}/resolve/main/config.json").headers


def test_a_long_list_comes_in_pages_that_the_link_header_joins(alice, anyone):
    repo = alice.new_repo()
    for number in range(101):
        body = {"revision": "main", "severity": "info", "text": f"Number {number}."}
        assert alice.http.post(f"/api/models/{repo}/recalls", json=body).is_success
    first = anyone.http.get(f"/api/models/{repo}/recalls")
    assert [row["text"] for row in first.json()] == [f"Number {number}." for number in range(100, 0, -1)]
    rest = anyone.http.get(first.links["next"]["url"])
    assert [row["text"] for row in rest.json()] == ["Number 0."] and "next" not in rest.links


@pytest.mark.parametrize("cursor", ["x", "-1", "9223372036854775808", "1 "])
def test_a_list_begins_at_no_cursor_that_the_hub_has_not_given_out(alice, cursor):
    repo = gated(alice)
    for path in "/api/notices", "/api/receipts", "/api/reviews", "/api/appeals", "/api/grants", "/api/holds", "/api/access-requests":
        assert alice.http.get(path, params={"cursor": cursor}).status_code == 400, path
    for path in "grants", "access-requests", "user-access-request/pending", "recalls", "uses", "enforcement":
        assert alice.http.get(f"/api/models/{repo}/{path}", params={"cursor": cursor}).status_code == 400, path


def test_only_the_owner_recalls_and_says_why(alice, bob, anyone):
    repo = gated(alice)
    whole = {"revision": "main", "severity": "warning", "text": "Look."}
    for person in bob, anyone:
        assert person.http.post(f"/api/models/{repo}/recalls", json=whole).status_code in (401, 403)
    for wrong in {"text": ""}, {"severity": "bad"}, {"revision": "nowhere"}, {"more": 1}:
        assert alice.http.post(f"/api/models/{repo}/recalls", json=whole | wrong).status_code in (400, 404)
    assert anyone.http.get(f"/api/models/{repo}/recalls").json() == []


# ---- what a refusal says ----


def test_a_refusal_says_why_what_to_do_and_until_when(alice, holder):
    repo = gated(alice, mode="manual")
    refused = holder.http.get(f"/{repo}/resolve/main/model.bin")
    assert refused.headers["x-error-code"] == "GatedRepo" and refused.headers["x-access-reason"] == "no-grant"
    assert refused.json()["access"]["next"].endswith(f"/{repo}/ask-access") == refused.headers["x-access-next"].endswith("ask-access")
    where = holder.http.get(f"/api/models/{repo}/access").json()
    assert where["allowed"] is False and where["gated"] is True and where["reason"] == "no-grant"
    assert alice.http.get(f"/api/models/{repo}/access").json() == {"allowed": True, "gated": True}


def test_who_has_asked_is_told_at_the_door_where_that_stands(alice, holder):
    repo = gated(alice, mode="manual")
    ask(holder, repo)
    case = f"/api/models/{repo}/access-request"

    def door():
        refused = holder.http.get(f"/{repo}/resolve/main/model.bin")
        assert refused.status_code == 403 and refused.headers["x-error-code"] == "GatedRepo", refused.text
        return refused.headers["x-access-reason"], refused.headers["x-access-next"].split(repo)[1], refused.headers["x-access-until"]

    asked = holder.http.get(case).json()
    number, due = asked["id"], asked["next"]["until"]
    assert door() == ("under-review", "/access-request", due)
    assert alice.http.post(f"/api/models/{repo}/access-requests/{number}/ask", json={"text": "Why?"}).is_success
    assert door()[0] == "waits-for-you"
    assert holder.http.post(f"{case}/answer", json={"text": "So."}).is_success
    assert alice.http.post(f"/api/models/{repo}/access-requests/{number}/decide",
                           json={"outcome": "refuse", "code": "other", "text": "No."}).is_success
    reason, _, until_when = door()
    again = holder.http.get(case).json()["next"]["reapplyFrom"]
    assert (reason, until_when) == ("refused", again), "neither is asked to ask"
    assert holder.http.get(f"/api/models/{repo}/access").json()["reason"] == "refused"


def test_the_country_of_a_request_comes_from_the_proxy_that_the_operator_names(tmp_path):
    hub = Hub(tmp_path, flags=("--country-header", "X-Country")).start()
    try:
        owner, holder = hub.person("owner"), hub.person("holder", "read")
        repo = gated(owner)
        ask(holder, repo)
        set_policy = owner.http.put(f"/api/models/{repo}/gate", json={"mode": "click", "territory": {"allow": ["DE"]},
                                    "form": [{"name": "country", "label": "Country", "type": "country", "required": True}]})
        assert set_policy.is_success, set_policy.text
        url = f"/{repo}/resolve/main/config.json"
        assert holder.http.get(url, headers={"x-country": "DE"}).status_code == 200
        for country in "US", "XX", "deutsch":
            refused = holder.http.get(url, headers={"x-country": country})
            assert refused.status_code == 403 and refused.headers["x-access-reason"] == "territory"
        assert owner.http.get(url, headers={"x-country": "US"}).status_code == 200
    finally:
        hub.stop()
