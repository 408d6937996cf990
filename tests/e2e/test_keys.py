# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: their end, their limits, their new secrets, and what their holders see of them."""

import datetime
import json

import pytest
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from support import Hub, Person, new_name, until
from tlog import Log

DAY = 86400


def make(person, **how):
    """A new key of the person's, made through the API."""
    how = {"name": new_name("made"), "role": "write", **how}
    answer = person.http.post("/api/settings/keys", json=how)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return Person(person.hub, person.name, answer.json()["token"])


def keys_of(person):
    return {key["name"]: key for key in person.http.get("/api/settings/keys").raise_for_status().json()}


def at(text):
    return datetime.datetime.fromisoformat(text)


def days_left(text):
    return (at(text) - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / DAY


# What holders see.


def test_a_key_shows_its_holder_everything_but_its_secret(alice):
    name = new_name("shown")
    key = make(alice, name=name, role="read", days=10, addresses=["127.0.0.0/8", "::1"], bytesPerDay=10**9)
    shown = keys_of(alice)[name]
    assert shown["role"] == "read" and shown["addresses"] == ["127.0.0.0/8", "::1"] and shown["bytesPerDay"] == 10**9
    assert 9.9 < days_left(shown["expiresAt"]) < 10 and shown["expired"] is False and shown["lastUsedAt"] is None
    assert shown["id"] == key.token.split("_")[2]
    assert key.token not in json.dumps(keys_of(alice)) and key.token[20:52] not in json.dumps(keys_of(alice))
    key.api.whoami()
    assert days_left(keys_of(alice)[name]["lastUsedAt"]) > -0.1


def test_nobody_sees_or_ends_the_keys_of_others(alice, bob, anyone):
    name = new_name("private")
    key = make(alice, name=name)
    assert name not in keys_of(bob)
    for verb in ("rotate", ""):
        path = f"/api/settings/keys/{name}/{verb}".rstrip("/")
        for person, status in ((bob, 404), (anyone, 401)):
            answer = person.http.post(path, json={}) if verb else person.http.delete(path)
            assert answer.status_code == status
    assert key.api.whoami()["name"] == "alice"


def test_a_key_ends_when_its_holder_says_so(alice):
    name = new_name("short")
    key = make(alice, name=name)
    assert key.api.whoami()["name"] == "alice"
    assert alice.http.delete(f"/api/settings/keys/{name}").status_code == 200
    assert key.http.get("/api/whoami-v2").status_code == 401
    assert alice.http.delete(f"/api/settings/keys/{name}").status_code == 404
    assert name not in keys_of(alice)


def test_a_key_makes_none_that_may_more_or_lasts_longer(hub, alice):
    weak = make(alice, days=2)
    assert weak.http.post("/api/settings/keys", json={"name": "stronger", "role": "admin"}).status_code == 403
    name = new_name("longer")
    make(weak, name=name, days=300)
    assert days_left(keys_of(alice)[name]["expiresAt"]) < 2
    rotated = weak.http.post(f"/api/settings/keys/{name}/rotate", json={})
    assert rotated.status_code == 200 and days_left(keys_of(alice)[name]["expiresAt"]) < 2


@pytest.mark.parametrize("body, says", [
    ({"role": "read"}, "name"),
    ({"name": "k"}, "role"),
    ({"name": "k", "role": "owner"}, "role"),
    ({"name": "k", "role": "read", "days": 0}, "days"),
    ({"name": "k", "role": "read", "days": 367}, "days"),
    ({"name": "k", "role": "read", "days": "7"}, "days"),
    ({"name": "k", "role": "read", "addresses": ["10.0.0.1/8"]}, "addresses"),
    ({"name": "k", "role": "read", "addresses": "10.0.0.0/8"}, "addresses"),
    ({"name": "k", "role": "read", "repos": ["alice/never-was"]}, "never-was"),
    ({"name": "k", "role": "read", "repos": ["alice/x:own"]}, "alice/x"),
    ({"name": "k", "role": "read", "repos": [7]}, "repos"),
    ({"name": "k", "role": "read", "repos": ["alice"] * 2}, "twice"),
    ({"name": "k", "role": "read", "bytesPerDay": -1}, "bytes"),
    ({"name": "k", "role": "read", "scope": []}, "scope"),
    ({"name": "..", "role": "read"}, "name"),
])
def test_a_key_that_makes_no_sense_is_not_made(alice, body, says):
    before = keys_of(alice).keys()
    answer = alice.http.post("/api/settings/keys", json=body)
    assert answer.status_code == 400 and says in answer.json()["error"]
    assert keys_of(alice).keys() == before


def test_a_private_repo_of_others_cannot_be_told_by_naming_it(alice, bob):
    hidden = alice.new_repo(private=True)
    answers = [bob.http.post("/api/settings/keys", json={"name": "k", "role": "read", "repos": [name]})
               for name in (hidden, hidden.replace("repo", "none"))]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].text.replace(hidden, "X") == answers[1].text.replace(hidden.replace("repo", "none"), "X")


# Limits.


def test_a_key_for_one_repo_is_worth_nothing_elsewhere(hub, alice):
    mine, other, public = alice.new_repo(private=True), alice.new_repo(private=True), alice.new_repo()
    key = make(alice, repos=[f"{mine}:write"])
    key.commit_files(mine, {"a.txt": b"a"})
    assert key.read(mine, "a.txt") == b"a"
    with pytest.raises(RepositoryNotFoundError):
        key.api.repo_info(other)
    assert key.api.repo_info(public).id == public
    with pytest.raises(HfHubHTTPError) as refused:
        key.commit_files(public, {"a.txt": b"a"})
    assert refused.value.response.status_code == 403 and "limited" in str(refused.value)
    with pytest.raises(HfHubHTTPError):
        key.api.delete_repo(mine)
    with pytest.raises(HfHubHTTPError):
        key.new_repo()
    assert alice.api.repo_info(mine).id == mine


def test_a_key_for_one_repo_carries_large_files_through_signed_addresses(alice):
    mine, other = alice.new_repo(private=True), alice.new_repo(private=True)
    key = make(alice, repos=[f"{mine}:write"])
    data = b"\0large" * 3000
    key.commit_files(mine, {"w.bin": data})
    assert key.read(mine, "w.bin") == data
    assert key.batch(other, ("0" * 64, 5)).status_code in (401, 404)


def test_a_key_for_reading_one_repo_does_not_write_to_it(alice):
    mine = alice.new_repo(private=True)
    alice.commit_files(mine, {"a.txt": b"a"})
    key = make(alice, repos=[f"{mine}:read"])
    assert key.read(mine, "a.txt") == b"a"
    with pytest.raises(HfHubHTTPError):
        key.commit_files(mine, {"a.txt": b"b"})


def test_a_key_for_a_name_space_makes_repos_there_alone(hub, alice):
    org = hub.org(new_name("lab"), alice="admin")
    key = make(alice, repos=[f"{org}:admin"])
    repo = key.api.create_repo(f"{org}/{new_name()}", private=True).repo_id
    key.commit_files(repo, {"a.txt": b"a"})
    key.api.delete_repo(repo)
    with pytest.raises(HfHubHTTPError):
        key.new_repo()


def test_a_limited_key_sees_public_things_as_everybody_does(alice, anyone, bob):
    """access B57: a key never gives less than none."""
    public = alice.new_repo()
    alice.commit_files(public, {"a.txt": b"a"})
    key = make(bob, repos=["bob:read"])

    def same(path):
        theirs, nobodys = key.http.get(path), anyone.http.get(path)
        assert theirs.status_code == nobodys.status_code == 200
        return theirs.content == nobodys.content

    for path in (f"/{public}/resolve/main/a.txt", f"/api/models/{public}", f"/api/models/{public}/tree/main"):
        assert same(path)
    until(lambda: same("/api/models"))  # what others do may come in between


def test_a_limited_key_makes_no_others(alice):
    key = make(alice, repos=["alice:admin"])
    for answer in (key.http.get("/api/settings/keys"), key.http.post("/api/settings/keys", json={"name": "k", "role": "read"}),
                   key.http.post("/api/settings/keys/any/rotate", json={})):
        assert answer.status_code == 403 and answer.headers["x-error-code"] == "TokenScope"


def test_a_key_for_a_repo_that_is_gone_is_not_one_for_the_next(alice):
    gone = alice.new_repo(private=True)
    name = new_name("orphan")
    key = make(alice, name=name, repos=[f"{gone}:write"])
    alice.api.delete_repo(gone)
    repos = [alice.new_repo(private=True) for _ in range(3)]
    for repo in [alice.api.create_repo(gone, private=True).repo_id, *repos]:
        with pytest.raises(RepositoryNotFoundError):
            key.api.repo_info(repo)
    assert keys_of(alice)[name]["repos"] == []


def test_a_key_follows_its_repo_to_a_new_name(alice):
    before = alice.new_repo(private=True)
    name = new_name("mover")
    key = make(alice, name=name, repos=[f"{before}:write"])
    after = f"alice/{new_name('renamed')}"
    alice.api.move_repo(before, after)
    assert keys_of(alice)[name]["repos"] == [f"{after}:write"]
    key.commit_files(after, {"a.txt": b"a"})


def test_whoami_shows_a_limited_key_as_the_client_knows_it(alice):
    mine = alice.new_repo(private=True)
    key = make(alice, repos=[f"{mine}:write", "alice:read"])
    token = key.api.whoami()["auth"]["accessToken"]
    assert token["role"] == "fineGrained"
    scoped = {entry["entity"]["name"]: entry for entry in token["fineGrained"]["scoped"]}
    assert scoped[mine]["entity"]["type"] == "model" and "repo.write" in scoped[mine]["permissions"]
    assert scoped["alice"]["entity"]["type"] == "user" and scoped["alice"]["permissions"] == ["repo.content.read"]
    assert "fineGrained" in key.hf("auth", "whoami", check=False).stdout or key.hf("auth", "whoami").returncode == 0
    assert alice.api.whoami()["auth"]["accessToken"]["role"] == "write"


def test_a_key_is_refused_from_elsewhere_and_says_why(hub, alice):
    here, elsewhere = make(alice, addresses=["127.0.0.1"]), make(alice, addresses=["192.0.2.0/24"])
    assert here.api.whoami()["name"] == "alice"
    answer = elsewhere.http.get("/api/whoami-v2")
    assert answer.status_code == 403 and answer.headers["x-error-code"] == "TokenAddress"
    # Nobody is believed to be elsewhere for saying so.
    assert elsewhere.http.get("/api/whoami-v2", headers={"x-forwarded-for": "192.0.2.1"}).status_code == 403


def test_a_proxy_of_ours_is_believed_and_what_it_was_told_is_not(tmp_path):
    hub = Hub(tmp_path, flags=["--proxies", "127.0.0.1,10.0.0.0/8"]).start()
    try:
        alice = hub.person("alice")
        key = make(alice, addresses=["192.0.2.0/24"])
        for chain, status in (("192.0.2.1", 200), ("203.0.113.1", 403), ("192.0.2.1, 203.0.113.1", 403),
                              ("203.0.113.1, 192.0.2.1", 200), ("192.0.2.1, 10.1.1.1", 200), ("nonsense", 403), (",", 403)):
            answer = key.http.get("/api/whoami-v2", headers={"x-forwarded-for": chain})
            assert answer.status_code == status, chain
        assert key.http.get("/api/whoami-v2").status_code == 403
    finally:
        hub.stop()


# New secrets.


def test_a_new_secret_works_beside_the_old_one_which_says_that_it_ends(alice):
    name = new_name("rotated")
    old = make(alice, name=name)
    answer = alice.http.post(f"/api/settings/keys/{name}/rotate", json={"overlapDays": 3}).json()
    new = Person(alice.hub, "alice", answer["token"])
    assert 2.9 < days_left(answer["oldSecretUntil"]) < 3
    assert new.token[:20] == old.token[:20] and new.token != old.token
    assert "x-token-warning" not in new.http.get("/api/whoami-v2").headers
    warned = old.http.get("/api/whoami-v2")
    assert warned.status_code == 200 and "replaced" in warned.headers["x-token-warning"]
    assert days_left(keys_of(alice)[name]["oldSecretUntil"]) < 1.01, "a day without use ends it"
    alice.http.post(f"/api/settings/keys/{name}/rotate", json={"overlapDays": 0})
    assert old.http.get("/api/whoami-v2").status_code == new.http.get("/api/whoami-v2").status_code == 401
    assert alice.http.post(f"/api/settings/keys/{name}/rotate", json={"overlapDays": 8}).status_code == 400


# The command line.


def test_the_command_line_makes_limited_keys_and_new_secrets(hub, alice):
    mine, other, name = alice.new_repo(private=True), alice.new_repo(private=True), new_name("cli")
    make_it = ("token", "create", "alice", "--name", name, "--role", "write", "--days", "5", "--repos", f"{mine},alice:read",
               "--addresses", "127.0.0.0/8, ::1", "--bytes-per-day", "1000000")
    key = Person(hub, "alice", hub.admin(*make_it).stdout.strip())
    shown = keys_of(alice)[name]
    assert shown["repos"] == ["alice:read", f"{mine}:write"] or shown["repos"] == [f"{mine}:write", "alice:read"]
    assert 4.9 < days_left(shown["expiresAt"]) < 5 and shown["bytesPerDay"] == 1000000
    key.commit_files(mine, {"a.txt": b"a"})
    assert key.api.repo_info(other).id == other
    with pytest.raises(HfHubHTTPError):
        key.commit_files(other, {"a.txt": b"a"})
    new = Person(hub, "alice", hub.admin("token", "rotate", "alice", "--name", name, "--overlap", "1").stdout.strip())
    assert new.api.whoami()["name"] == key.api.whoami()["name"] == "alice"


@pytest.mark.parametrize("flags, says", [
    (("--days", "0"), "1 to 366"), (("--days", "367"), "1 to 366"), (("--days", "soon"), "whole number"),
    (("--repos", "alice/never-was"), "never-was"), (("--addresses", "10.0.0.1/8"), "192.0.2.0/24"), (("--repos", ""), "limited"),
])
def test_the_command_line_says_what_is_wrong_with_a_key(hub, alice, flags, says):
    done = hub.admin("token", "create", "alice", "--name", new_name("bad"), "--role", "read", *flags, check=False)
    assert done.returncode in (1, 2) and says in done.stderr and not done.stdout


# Time.


def test_a_key_ends_and_its_holder_was_told_before(tmp_path):
    hub = Hub(tmp_path).start()
    alice = hub.person("alice")
    soon = make(alice, name="soon", days=10)
    old = make(alice, name="turning", days=60)
    new = Person(hub, "alice", alice.http.post("/api/settings/keys/turning/rotate", json={"overlapDays": 7}).json()["token"])
    for days, told in ((4, 1), (9.5, 2), (11, 2)):
        hub.stop()
        hub = Hub(tmp_path, port=hub.port, environment={"CAIRN_CLOCK_AHEAD": str(int(days * DAY))}).start()

        def notices():
            found = [notice for notice in alice.http.get("/api/notices").json() if "soon" in notice["text"]]
            return len(found) == told and found
        for notice in until(notices):
            assert notice["kind"] == "key.ending" and notice["due"]
        answer = soon.http.get("/api/whoami-v2")
        assert answer.status_code == (200 if days < 10 else 401)
        assert ("x-token-warning" in answer.headers) == (days < 10)
        assert old.http.get("/api/whoami-v2").status_code == 401, "silent for more than a day"
        assert new.http.get("/api/whoami-v2").status_code == 200
    assert answer.headers["x-error-code"] == "TokenExpired"
    assert answer.json()["error"] == "Invalid credentials in Authorization header"
    assert keys_of(alice)["soon"]["expired"] is True
    hub.stop()


def test_last_use_reaches_the_database_when_the_hub_stops(own_hub):
    alice = own_hub.person("alice")
    people = {name: make(alice, name=name) for name in (new_name("used") for _ in range(20))}
    for person in people.values():
        person.api.whoami()
    before = {name: keys_of(alice)[name]["lastUsedAt"] for name in people}
    own_hub.stop()
    own_hub.start()
    assert all(before.values()) and {name: keys_of(alice)[name]["lastUsedAt"] for name in people} == before


# The log.


def test_each_event_of_a_key_is_a_leaf_without_names(alice):
    log = Log(alice.http)
    alice.new_repo()  # a command has no log; what commands wrote before, the hub takes over with what it writes next
    name, before = new_name("logged"), len(log.audited())
    key = make(alice, name=name)
    alice.http.post(f"/api/settings/keys/{name}/rotate", json={})
    alice.http.delete(f"/api/settings/keys/{name}")
    leaves = [leaf for leaf in log.audited()[before:] if leaf["type"] == "key"]
    assert [leaf["b"]["op"] for leaf in leaves] == ["add", "rotate", "revoke"]
    assert len({leaf["b"]["digest"] for leaf in leaves}) <= 3
    assert name not in json.dumps(leaves) and key.token not in json.dumps(leaves)
