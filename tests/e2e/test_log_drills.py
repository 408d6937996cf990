# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills with the log: what operators live through (crashes, full disks, old backups, lost keys, people who want to be forgotten),
and what a dishonest one might try. Proofs are checked by tlog.py, which is written from the specifications alone."""

import base64
import hashlib
import hmac
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from statements import approval, register, say
from support import BINARY, Hub, Person, sha256, until
from tlog import Checkpoint, Log, Proof, root_of

SOAK = bool(os.environ.get("CAIRN_SOAK"))
ROUNDS = int(os.environ.get("CAIRN_CRASH_ROUNDS", "200" if SOAK else "10"))
WRITERS = 3
LARGE = random.Random(4).randbytes(300_000)


def log_of(hub):
    return Log(hub.anyone().http)


def history(person, repo):
    answer = person.http.get(f"/api/models/{repo}/provenance?limit=1000")
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def proof_of(person, repo):
    answer = person.http.get(f"/api/models/{repo}/provenance/main.tlog-proof")
    assert answer.status_code == 200, answer.text
    return Proof(answer.text)


def fsck(hub):
    return hub.cairn("fsck", "--data", hub.data, check=False)


def refusal(hub):
    """What the hub says, which must refuse to start."""
    done = subprocess.run([BINARY, "serve", "--data", hub.data, "--listen", f"127.0.0.1:{hub.port}"], capture_output=True,
                          text=True, env=hub.environment, timeout=60)
    assert done.returncode == 1, done.stderr
    return done.stderr


def at(folder, data):
    """A hub on another data folder, with its own log file."""
    Path(folder).mkdir(exist_ok=True)
    hub = Hub(folder)
    hub.data = Path(data)
    return hub


# ---- crashes


class Committer(threading.Thread):
    """Commits without pause, and remembers what was acknowledged."""

    def __init__(self, person, repo):
        super().__init__(daemon=True)
        self.person, self.repo, self.stopped, self.commits, self.surprises = person, repo, False, [], []

    def run(self):
        while not self.stopped:
            try:
                name = os.urandom(8).hex()
                answer = self.person.commit_lines(self.repo, ("file", {"path": name, "content": name, "encoding": "utf-8"}))
                if answer.status_code == 200:
                    self.commits.append(answer.json()["commitOid"])
                elif answer.status_code != 503:
                    self.surprises.append(answer.text)
            except httpx.HTTPError:
                time.sleep(0.005)  # the hub has just been killed


class Watcher(threading.Thread):
    """Collects checkpoints, as many as it can get, and which root each size has."""

    def __init__(self, hub, roots):
        super().__init__(daemon=True)
        self.http, self.roots, self.stopped, self.forks = hub.anyone().http, roots, False, []

    def note(self, text):
        size, root = text.splitlines()[1:3]
        if self.roots.setdefault(int(size), root) != root:
            self.forks.append((int(size), root))

    def run(self):
        while not self.stopped:
            try:
                answer = self.http.get("/log/checkpoint")
                if answer.status_code == 200:
                    self.note(answer.text)
            except httpx.HTTPError:
                time.sleep(0.005)


def test_kill_9_loses_no_acknowledged_entry_and_never_gives_two_roots_for_one_size(tmp_path):
    dice = random.Random(int(os.environ.get("CAIRN_CRASH_SEED", random.randrange(1 << 30))))
    hub = Hub(tmp_path).start()
    person = hub.person("survivor")
    repos = [person.new_repo() for _ in range(WRITERS)]
    acknowledged, roots = set(), {}
    for number in range(ROUNDS):
        writers = [Committer(Person(hub, "survivor", person.token), repo) for repo in repos]
        watcher = Watcher(hub, roots)
        for thread in (watcher, *writers):
            thread.start()
        if number % 2:  # on a slow machine, too, something gets done
            until(lambda: sum(len(writer.commits) for writer in writers) > 2)
        time.sleep(dice.uniform(0.05, 0.6))
        hub.kill()
        for thread in (watcher, *writers):
            thread.stopped = True
        for thread in (watcher, *writers):
            thread.join(60)
        assert [surprise for writer in writers for surprise in writer.surprises] == []
        acknowledged.update(commit for writer in writers for commit in writer.commits)
        hub.start()
        watcher.note(hub.anyone().http.get("/log/checkpoint").text)
        assert watcher.forks == []
        if number % 5 == 4 or number == ROUNDS - 1:
            check_log(log_of(hub), acknowledged, roots)
            assert fsck(hub).stdout == "all is well\n"
    assert len(acknowledged) > ROUNDS, "the writers hardly got anything done"
    hub.stop()
    assert fsck(hub).stdout == "all is well\n"


def check_log(log, acknowledged, roots):
    """All that was acknowledged is there and was not taken back; every checkpoint ever seen is of this log's beginning."""
    leaves = log.audited()
    voids = {leaf["b"]["index"] for leaf in leaves if leaf["type"] == "void"}
    there = {leaf["b"]["new"] for index, leaf in enumerate(leaves) if leaf["type"] == "commit" and index not in voids}
    assert acknowledged <= there
    hashes = log.hashes(len(leaves))
    for size, root in roots.items():
        if size <= len(hashes):
            assert tree_root(hashes, size) == root
    assert max(roots) <= len(hashes), "a state was shown that is gone"


def tree_root(hashes, size):
    return base64.b64encode(root_of(hashes[:size])).decode()


def signer_of(hub):
    (child,) = Path(f"/proc/{hub.process.pid}/task/{hub.process.pid}/children").read_text().split()
    assert b"signer" in Path(f"/proc/{child}/cmdline").read_bytes()
    return int(child)


def test_without_its_signer_the_hub_takes_nothing_more_and_readers_go_on_until_a_restart_heals_it(own_hub):
    person = own_hub.person("carol")
    repo = person.new_repo()
    commit = person.commit_files(repo, {"a.txt": b"before"}).oid
    os.kill(signer_of(own_hub), signal.SIGKILL)
    for _ in range(2):
        refused = person.commit_lines(repo, ("file", {"path": "b.txt", "content": "lost", "encoding": "utf-8"}))
        assert refused.status_code == 503 and "signer" in refused.json()["error"]
    assert person.read(repo, "a.txt") == b"before" and person.files(repo) == [".gitattributes", "a.txt"]
    before, leaves = log_of(own_hub).checkpoint(), log_of(own_hub).audited()
    assert [leaf["b"]["new"] for leaf in leaves if leaf["type"] == "commit"][-1] == commit, "and nothing is in the log"
    own_hub.stop()
    own_hub.start()
    person.commit_files(repo, {"b.txt": b"after"})
    assert log_of(own_hub).extends(before)
    own_hub.stop()
    assert fsck(own_hub).stdout == "all is well\n"


# ---- a full disk


@pytest.fixture
def small_hub(tmp_path):
    """A hub whose disk can be filled: a limit on the size of files, which full() sets."""
    hub = Hub(tmp_path)
    hub.admin("user", "create", "carol")
    carol = hub.key_of("carol")
    command = f"trap '' XFSZ; exec {BINARY} serve --data {hub.data} --listen 127.0.0.1:{hub.port}"
    with hub.log.open("ab") as log:
        hub.process = subprocess.Popen(["bash", "-c", command], stdout=log, stderr=log, env=hub.environment)
    until(hub.answers)
    yield hub, carol
    hub.stop()


def full(hub, limit):
    resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


@pytest.mark.parametrize("room", [0, 24_000])
def test_a_full_disk_is_refused_clearly_and_what_was_not_done_is_not_believed(small_hub, room):
    """Without room the log itself is full; with a little, the log has the change before the database cannot have it."""
    hub, carol = small_hub
    repo = carol.new_repo()
    carol.commit_files(repo, {"a.txt": b"a"})
    until(lambda: history(carol, repo)[0]["type"] == "manifest")
    before = log_of(hub).checkpoint()
    full(hub, (hub.data / "log" / "entries").stat().st_size + room)
    for name in ("b.txt", "c.txt"):
        refused = carol.commit_lines(repo, ("file", {"path": name, "content": name, "encoding": "utf-8"}))
        assert refused.status_code == 507 and refused.json()["error"], refused.text
    assert carol.files(repo) == [".gitattributes", "a.txt"] and carol.read(repo, "a.txt") == b"a"
    full(hub, resource.RLIM_INFINITY)
    commit = carol.commit_files(repo, {"d.txt": b"d"}).oid
    log = log_of(hub)
    leaves = log.audited()
    assert log.extends(before)
    mine = [(index, leaf) for index, leaf in enumerate(leaves) if leaf["type"] == "commit" and index >= before.size]
    voids = {leaf["b"]["index"] for leaf in leaves if leaf["type"] == "void"}
    assert [leaf["b"]["new"] for index, leaf in mine if index not in voids] == [commit]
    assert (len(mine) > 1) == (room > 0), "both ways to run out of room were met"
    assert fsck(hub).stdout == "all is well\n"


# ---- fsck


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The data of a hub with something in each corner of its log."""
    hub = Hub(tmp_path_factory.mktemp("template")).start()
    carol = hub.person("carol")
    repo = carol.new_repo()
    for number in range(4):
        carol.commit_files(repo, {"n.txt": b"%d" % number})
    carol.commit_files(carol.new_repo(), {"w.bin": LARGE})
    until(lambda: {leaf["type"] for leaf in log_of(hub).audited()} >= {"repo", "commit", "manifest", "key", "epoch", "repo-heads"})
    hub.stop()
    return hub.data


@pytest.fixture
def stopped(template, tmp_path):
    """That hub, not running."""
    hub = Hub(tmp_path)
    shutil.copytree(template, hub.data)
    assert fsck(hub).stdout == "all is well\n"
    return hub


def sql(hub, statement, *values):
    with sqlite3.connect(hub.data / "cairn.db", timeout=60) as database:
        return database.execute(statement, values).fetchall()


def flip(path, where):
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)


def damage_entry(hub):
    flip(hub.data / "log/entries", 700)


def damage_level(hub):
    flip(hub.data / "log/level-0", 40)


def damage_bundles(hub):
    flip(hub.data / "log/bundles", 7)


def damage_checkpoint(hub):
    flip(hub.data / "log/checkpoint", -20)


def lose_entries(hub):
    os.truncate(hub.data / "log/entries", 900)


def lose_log(hub):
    shutil.rmtree(hub.data / "log")


def lose_leaf(hub):
    sql(hub, "DELETE FROM leaf WHERE idx = (SELECT min(idx) FROM leaf WHERE event_id IS NOT NULL AND repo IS NOT NULL)")


def change_hash(hub):
    sql(hub, "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 3")


def change_place(hub):
    sql(hub, "UPDATE leaf SET rseq = rseq + 100 WHERE repo = 1 AND rseq = (SELECT max(rseq) FROM leaf WHERE repo = 1)")


def lose_event(hub):
    sql(hub, "DELETE FROM event WHERE id = (SELECT event_id FROM leaf WHERE idx = 3)")


def unlog_event(hub):
    sql(hub, "UPDATE leaf SET event_id = NULL WHERE idx = 3")


def change_heads(hub):
    sql(hub, "UPDATE heads SET count = count + 1")


def change_sha256(hub):
    sql(hub, "UPDATE git_object SET sha256 = zeroblob(32) WHERE id = (SELECT max(id) FROM git_object WHERE sha256 IS NOT NULL)")


DAMAGES = {
    damage_entry: "entry was changed", damage_level: "level-0", damage_bundles: "cannot be read", damage_checkpoint: "checkpoint",
    lose_entries: "entries", lose_log: "log", lose_leaf: "lacks leaf", change_hash: "another hash of leaf 3",
    change_place: "another place", lose_event: "is gone", unlog_event: "is not in the log", change_heads: "heads leaf",
    change_sha256: "another SHA-256",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_fsck_finds_each_damage_to_the_log(stopped, damage):
    damage(stopped)
    found = fsck(stopped)
    assert found.returncode == 1 and DAMAGES[damage] in found.stdout, found.stdout


# ---- backup and restore


@pytest.fixture
def busy(own_hub):
    carol = own_hub.person("carol")
    repo = carol.new_repo()
    carol.commit_files(repo, {"a.txt": b"a", "w.bin": LARGE})
    return own_hub, carol, repo


def test_the_keys_are_in_no_backup_but_their_own(busy, tmp_path):
    hub, _, _ = busy
    told = hub.cairn("backup", "--data", hub.data, tmp_path / "plain").stdout
    assert "log/key" in told and "persons.db" in told and "--keys" in told
    key = (hub.data / "log/key").read_bytes().strip()
    with sqlite3.connect(hub.data / "persons.db") as persons:
        secrets = [row[0] for row in persons.execute("SELECT secret FROM person")]
    assert len(key) > 40 and secrets
    for path in (tmp_path / "plain").rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in [key, *secrets]), path
    hub.cairn("backup", "--data", hub.data, "--keys", tmp_path / "keys", tmp_path / "second")
    assert (tmp_path / "keys/log/key").read_bytes().strip() == key
    assert sorted(str(path.relative_to(tmp_path / "keys")) for path in (tmp_path / "keys").rglob("*") if path.is_file()) == [
        "attest.pem", "house.json", "log/key", "log/signer", "persons.db"]
    assert "private key" in refusal(at(tmp_path / "x", tmp_path / "plain"))


def test_the_newest_backup_goes_on_with_the_log(busy, tmp_path):
    """While others write: the copy of the database is behind that of the log, and the log says so."""
    hub, carol, repo = busy
    writers = [Committer(Person(hub, "carol", carol.token), carol.new_repo()) for _ in range(2)]
    for writer in writers:
        writer.start()
    until(lambda: all(len(writer.commits) > 5 for writer in writers))
    hub.copy_to(tmp_path / "copy")
    hub.kill()  # the disk is gone, and nothing was signed that the copy has not: the rest is the next test
    for writer in writers:
        writer.stopped = True
    copy = at(tmp_path / "second", tmp_path / "copy")
    assert fsck(copy).stdout == "all is well\n"
    old = copied_checkpoint(copy)
    copy.start()
    twin = Person(copy, "carol", carol.token)
    assert twin.read(repo, "w.bin") == LARGE
    twin.commit_files(repo, {"here.txt": b"goes on"})
    log = log_of(copy)
    leaves = log.audited()
    voids = {leaf["b"]["index"] for leaf in leaves if leaf["type"] == "void"}
    there = {leaf["b"]["new"] for index, leaf in enumerate(leaves) if leaf["type"] == "commit" and index not in voids}
    assert log.extends(old) and len(leaves) > old.size
    for _, name in enumerate(twin.api.list_models(author="carol")):
        commits = twin.api.list_repo_commits(name.id)
        assert {commit.commit_id for commit in commits[:-1]} <= there, "what the copy shows is in its log"
    copy.stop()
    assert fsck(copy).stdout == "all is well\n"
    hub.start()


def copied_checkpoint(hub):
    return Checkpoint((hub.data / "log/checkpoint").read_text())


def test_an_older_log_with_the_signers_own_record_is_refused(busy, tmp_path):
    """Going on would be a second history: the record knows what has been signed since."""
    hub, carol, repo = busy
    hub.copy_to(tmp_path / "copy")
    carol.commit_files(repo, {"later.txt": b"signed after the backup"})
    hub.stop()
    shutil.copy(hub.data / "log/signer", tmp_path / "copy/log/signer")
    told = refusal(at(tmp_path / "second", tmp_path / "copy"))
    assert "two histories" in told and "its signer has signed" in told
    assert "begin-anew" in told, "and what to do when there is nothing newer"
    hub.start()
    carol.commit_files(repo, {"on.txt": b"the hub itself goes on"})


def test_an_older_record_beside_the_newest_log_is_refused(busy, tmp_path):
    hub, carol, repo = busy
    hub.copy_to(tmp_path / "copy")
    carol.commit_files(repo, {"later.txt": b"signed after the backup"})
    hub.stop()
    record = (hub.data / "log/signer").read_bytes()
    shutil.copy(tmp_path / "copy/log/signer", hub.data / "log/signer")
    assert "old copy" in refusal(hub)
    (hub.data / "log/signer").write_bytes(record)
    hub.start()


def test_an_older_database_beside_the_newest_log_goes_on_and_the_log_says_what_is_gone(busy, tmp_path):
    hub, carol, repo = busy
    hub.copy_to(tmp_path / "copy")
    lost = carol.commit_files(repo, {"later.txt": b"after the backup"}).oid
    before = log_of(hub).checkpoint()
    hub.stop()
    for path in hub.data.glob("cairn.db*"):
        path.unlink()
    shutil.copy(tmp_path / "copy/cairn.db", hub.data / "cairn.db")
    hub.start()
    log = log_of(hub)
    leaves = log.audited()
    assert log.extends(before)
    (index,) = [index for index, leaf in enumerate(leaves) if leaf["type"] == "commit" and leaf["b"]["new"] == lost]
    assert index in {leaf["b"]["index"] for leaf in leaves if leaf["type"] == "void"}
    assert "later.txt" not in carol.files(repo)
    assert fsck(hub).stdout == "all is well\n"


# ---- a lost key


def test_a_hub_without_its_key_begins_a_new_log_that_names_the_end_of_the_old_one(busy):
    hub, carol, repo = busy
    until(lambda: history(carol, repo)[0]["type"] == "manifest")
    old = log_of(hub)
    end, log_id = old.checkpoint(), json.loads(history(carol, repo)[0]["leaf"])["repo"]
    assert hub.admin("log", "begin-anew", "--origin", "hub.example.org/log/2", check=False).returncode == 1, "not while it runs"
    hub.stop()
    note = (hub.data / "log/checkpoint").read_bytes()
    (hub.data / "log/key").unlink()
    assert "private key" in (told := refusal(hub)) and "begin-anew" in told
    assert "name" in hub.admin("log", "begin-anew", "--origin", old.key.name, check=False).stderr
    hub.admin("log", "begin-anew", "--origin", "hub.example.org/log/2")
    hub.start()
    carol.commit_files(repo, {"b.txt": b"in the new log"})
    new = log_of(hub)
    leaves = new.audited()
    assert new.key.name == "hub.example.org/log/2" and new.key.id != old.key.id
    assert leaves[0]["type"] == "epoch" and leaves[0]["b"]["checkpoint"] == hashlib.sha256(note).hexdigest()
    assert [(entry["rseq"], json.loads(entry["leaf"])["repo"]) for entry in history(carol, repo)][-1] == (0, log_id)
    kept = Log(hub.anyone().http, "/log/old/1")
    assert kept.key.id == old.key.id and kept.extends(end)
    kept.audited()
    for path in ("2/checkpoint", "0/vkey", "x/checkpoint", "01/vkey", "1/tile/0/x"):
        assert hub.anyone().http.get(f"/log/old/{path}").status_code == 404
    assert proof_of(carol, repo).holds(new.key)
    hub.stop()
    assert fsck(hub).stdout == "all is well\n"

    hub.admin("log", "begin-anew", "--origin", "hub.example.org/log/3")
    hub.start()
    assert log_of(hub).audited()[0]["type"] == "epoch"
    assert [Log(hub.anyone().http, f"/log/old/{number}").key.id for number in (1, 2)] == [old.key.id, new.key.id]
    assert sql(hub, "SELECT log, count(*) FROM old_leaf GROUP BY log") == [
        (number, Log(hub.anyone().http, f"/log/old/{number}").checkpoint().size) for number in (1, 2)]
    assert fsck(hub).stdout == "all is well\n"


def test_a_new_log_that_was_not_begun_to_the_end_is_finished_by_beginning_it_again(busy, tmp_path):
    hub, carol, repo = busy
    hub.stop()
    other = at(tmp_path / "other", tmp_path / "other/data")
    other.admin("log", "begin-anew", "--origin", "hub.example.org/log/2")
    shutil.move(other.data / "log", hub.data / "log.new")
    assert "begin-anew" in refusal(hub), "the old one is still in place"
    shutil.move(hub.data / "log", hub.data / "log.1")
    assert "begin-anew" in refusal(hub)
    hub.admin("log", "begin-anew", "--origin", "hub.example.org/log/2")
    hub.start()
    carol.commit_files(repo, {"b.txt": b"on"})
    assert log_of(hub).audited()[0]["type"] == "epoch"
    assert Log(hub.anyone().http, "/log/old/1").audited()
    assert not (hub.data / "log.new").exists()


def test_a_log_that_is_gone_is_not_begun_again_in_silence(busy):
    hub, carol, repo = busy
    hub.stop()
    shutil.move(hub.data / "log", hub.folder / "elsewhere")
    assert "gone" in (told := refusal(hub)) and "begin-anew" in told
    assert not (hub.data / "log").exists()
    shutil.move(hub.folder / "elsewhere", hub.data / "log")
    hub.start()


def test_a_hub_without_its_database_does_not_tell_the_world_that_all_is_gone(busy):
    hub, carol, repo = busy
    for number in range(260):
        assert carol.http.post(f"/api/models/{repo}/branch/b{number}", json={}).status_code == 200
    before = log_of(hub).checkpoint()
    hub.stop()
    aside = hub.folder / "aside"
    aside.mkdir()
    for path in hub.data.glob("cairn.db*"):
        shutil.move(path, aside)
    assert "database is empty" in refusal(hub)
    lost = Hub(hub.folder / "lost")
    shutil.copytree(hub.data, lost.data)
    for path in hub.data.glob("cairn.db*"):
        path.unlink()
    for path in aside.iterdir():
        shutil.move(path, hub.data)
    hub.start()
    assert "void" not in {leaf["type"] for leaf in log_of(hub).audited()[:before.size]}
    assert all(entry["openings"] for entry in history(carol, repo) if json.loads(entry["leaf"])["type"] == "commit")

    lost.admin("log", "begin-anew", "--origin", "hub.example.org/log/2")
    lost.start()
    epochs = until(lambda: [leaf for leaf in log_of(lost).audited() if leaf["type"] == "epoch"])
    assert epochs[0]["b"]["checkpoint"] == hashlib.sha256((lost.data / "log.1/checkpoint").read_bytes()).hexdigest()
    lost.stop()


# ---- people


def pseudonyms(person):
    found, page = {}, "/api/settings/pseudonyms"
    while page:
        answer = person.http.get(page)
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
        for entry in answer.json()["repos"]:
            found.setdefault(entry["repo"], {**entry, "indices": []})["indices"] += entry["indices"]
        page = answer.links.get("next", {}).get("url")
    return found


def test_people_find_their_own_entries_and_nobody_elses(alice, bob, anyone):
    mine, theirs = alice.new_repo(), bob.new_repo()
    alice.commit_files(mine, {"a.txt": b"a"})
    bob.commit_files(theirs, {"a.txt": b"a"})
    log = Log(alice.http)
    leaves = log.audited()
    for person, repo, other in ((alice, mine, theirs), (bob, theirs, mine)):
        own = pseudonyms(person)
        log_id = json.loads(history(person, repo)[0]["leaf"])["repo"]
        expected = [index for index, leaf in enumerate(leaves) if leaf.get("repo") == log_id and leaf["actor"] != "hub"]
        assert own[log_id]["indices"] == expected and len(expected) == 2
        assert {leaves[index]["actor"] for index in expected} == {own[log_id]["pseudonym"]}
        assert json.loads(history(person, other)[0]["leaf"])["repo"] not in own
    assert anyone.http.get("/api/settings/pseudonyms").status_code == 401


def test_pseudonyms_of_one_person_in_two_repos_share_nothing(alice):
    repos = [alice.new_repo() for _ in range(8)]
    own = pseudonyms(alice)
    here = [own[json.loads(history(alice, repo)[0]["leaf"])["repo"]]["pseudonym"] for repo in repos]
    assert len(set(here)) == len(repos)
    leaves = [leaf for leaf in Log(alice.http).audited() if leaf.get("actor") in here]
    values = [[leaf["actor"], leaf["repo"], *leaf["com"].values()] for leaf in leaves]
    assert len(values) == len(repos) and len({value for row in values for value in row}) == sum(map(len, values))


def test_a_list_of_many_entries_has_pages(own_hub):
    carol = own_hub.person("carol")
    repo = carol.new_repo()
    with sqlite3.connect(own_hub.data / "cairn.db", timeout=60) as database:  # as a process without a log would write them
        database.execute("BEGIN IMMEDIATE")
        (start, actor) = database.execute("SELECT max(id), max(actor_id) FROM event").fetchone()
        database.executemany("INSERT INTO event VALUES (?, 0, 'repo.settings', 1, 1, ?, ?, '{\"gated\":\"\"}')",
                             [(start + n, 1000 + n, actor) for n in range(1, 1300)])
    carol.commit_files(repo, {"a.txt": b"a"})
    first = carol.http.get("/api/settings/pseudonyms")
    second = carol.http.get(first.links["next"]["url"])
    (one,), (two,) = first.json()["repos"], second.json()["repos"]
    assert one["pseudonym"] == two["pseudonym"] and "next" not in second.links
    indices = one["indices"] + two["indices"]
    assert len(indices) == len(set(indices)) == 1301 and indices == sorted(indices)


def secret_of(hub, name):
    (account,) = sql(hub, "SELECT id FROM account WHERE name = ?", name)[0]
    with sqlite3.connect(hub.data / "persons.db", timeout=60) as persons:
        return account, persons.execute("SELECT secret FROM person WHERE account_id = ?", (account,)).fetchone()[0]


def everything(hub):
    return b"".join(path.read_bytes() for path in hub.data.glob("*.db*"))


@pytest.fixture
def erased(own_hub):
    """dora worked in an organisation's repo, and had two of her own: one she moves there, one she deletes."""
    dora = own_hub.person("dora", flags=("--email", "dora@example.org", "--full-name", "Dora Q. Public"))
    eve = own_hub.person("eve")
    own_hub.org("lab", dora="write", eve="admin")
    shared = eve.api.create_repo("lab/shared").repo_id
    dora.commit_files(shared, {"a.txt": b"by dora"})
    moved, deleted = dora.new_repo("moved"), dora.new_repo("deleted")
    dora.commit_files(moved, {"m.txt": b"m"})
    dora.api.delete_repo(deleted)
    dora.api.move_repo(moved, "lab/moved")
    dora.signing_key = register(dora)
    dora.approved = say(dora, dora.signing_key, shared, approval(dora.head(shared)))
    return own_hub, dora, eve, shared


def erase(hub, *words, check=True):
    return hub.admin("user", "erase", *words, check=check)


@pytest.mark.parametrize("running", [True, False], ids=["beside the hub", "without the hub"])
def test_an_erased_person_is_forgotten_and_every_proof_stays_valid(erased, running, tmp_path):
    hub, dora, eve, shared = erased
    account, secret = secret_of(hub, "dora")
    own = pseudonyms(dora)
    proof = proof_of(eve, shared)
    before = {repo: history(eve, repo) for repo in (shared, "lab/moved")}
    assert any(opening["value"] == "refs/heads/main" for entry in before[shared] for opening in entry["openings"])
    old, leaves_before = log_of(hub).checkpoint(), log_of(hub).audited()
    if not running:
        hub.stop()
    told = erase(hub, "dora", "--reason", "request").stdout
    if not running:
        hub.start()
    name, receipt = f"erased-{account:x}", bytes.fromhex(told.rsplit(": ", 1)[1].strip())

    log = log_of(hub)
    leaves = log.audited()
    assert log.extends(old) and leaves[:len(leaves_before)] == leaves_before, "nothing in the log has changed"
    assert proof.holds(log.key) and proof_of(eve, shared).holds(log.key)
    (leaf,) = [leaf for leaf in leaves if leaf["type"] == "erasure"]
    assert leaf["actor"] == "hub" and set(leaf["b"]) == {"count", "digest", "reason"} and "com" not in leaf
    indices = sorted(index for entry in own.values() for index in entry["indices"])
    mine, committed = erased_indices(hub, account)
    assert any(entry["openings"] for entries in before.values() for entry in entries if entry["index"] in committed)
    assert any(entry["openings"] for entries in before.values() for entry in entries if entry["index"] not in committed)
    assert set(indices) <= set(mine) and leaf["b"]["count"] == len(mine)
    text = "".join(f"{index}\n" for index in mine).encode()
    assert leaf["b"]["digest"] == hmac.digest(receipt, text, "sha256").hex(), "the receipt shows the person what was erased"
    assert receipt.hex().encode() not in everything(hub)

    for repo, entries in before.items():
        after = {entry["index"]: entry for entry in history(eve, repo)}
        for was in entries:
            now = after[was["index"]]
            assert now["leaf"] == was["leaf"]
            assert now["openings"] == ([] if was["index"] in committed else was["openings"]), "those of others still open"
    assert secret not in everything(hub)
    for word in (b"dora@example.org", b"Dora Q. Public", dora.token.encode(), dora.signing_key.hint.encode(),
                 dora.signing_key.pem.split("\n")[1].encode()):
        assert word not in everything(hub)
    for (body,) in sql(hub, "SELECT body FROM event"):
        assert "dora" not in body
    assert sql(hub, "SELECT name, full_name, email FROM account WHERE id = ?", account) == [(name, None, None)]
    assert sql(hub, "SELECT 1 FROM repo_alias WHERE ns_key = 'dora'") == []

    evidence = f"/api/models/{shared}/evidence/{dora.approved['evidence']}"
    assert eve.http.get(evidence).status_code == 404, "what she signed is gone, and the log still has its hash"
    assert [leaf["ev"] for leaf in leaves if leaf["type"] == "approval"] == [dora.approved["evidence"]]
    (said,) = eve.http.get(f"/api/models/{shared}/attestations").json()
    assert (said["actor"], said["keyid"], said["publicKey"]) == (name, None, None) and "dora" not in json.dumps(said)

    assert dora.http.get("/api/whoami-v2").status_code == 401
    assert eve.http.get("/api/models/dora/moved").status_code in (401, 404)
    assert hub.admin("token", "create", name, "--name", "k", "--role", "read", check=False).returncode == 1
    assert hub.admin("user", "create", f"Erased-{account + 5:x}", check=False).returncode == 1
    again = hub.person("dora")
    assert again.http.get("/api/whoami-v2").json()["orgs"] == [] and pseudonyms(again) == {}
    eve.commit_files(shared, {"b.txt": b"life goes on"})
    assert fsck(hub).stdout == "all is well\n"
    hub.stop()
    assert fsck(hub).stdout == "all is well\n"
    hub.start()
    assert eve.read(shared, "a.txt") == b"by dora", "what the repos of others hold stays"


def erased_indices(hub, account):
    """Entries that were the person's: what she did, and what was done to keys of hers and in her name space; and those of which the
    names were committed to with her key: what others own is theirs to open."""
    rows = sql(hub, "SELECT l.idx, e.actor_id, e.body FROM leaf l JOIN event e ON e.id = l.event_id ORDER BY l.idx")
    owners = {index: json.loads(body).get("owner", json.loads(body).get("user", actor)) for index, actor, body in rows}
    return ([index for index, actor, _ in rows if account in (actor, owners[index])],
            [index for index, _, _ in rows if owners[index] == account])


def test_who_still_owns_repos_is_not_erased(own_hub):
    dora = own_hub.person("dora")
    repo = dora.new_repo()
    refused = erase(own_hub, "dora", "--reason", "request", check=False)
    assert refused.returncode == 1 and "1 repos" in refused.stderr and "move" in refused.stderr
    assert dora.http.get("/api/whoami-v2").status_code == 200 and dora.files(repo) == [".gitattributes"]
    assert all(entry["openings"] for entry in history(dora, repo))


@pytest.mark.parametrize("words, told", [(["dora"], "--reason"), (["dora", "--reason", "whim"], "--reason"),
                                         (["nobody", "--reason", "law"], "nobody"), (["lab", "--reason", "law"], "organisation")])
def test_an_erasure_that_makes_no_sense_says_so(own_hub, words, told):
    own_hub.person("dora")
    own_hub.org("lab")
    refused = erase(own_hub, *words, check=False)
    assert refused.returncode != 0 and told in refused.stderr


def test_an_erasure_before_the_log_begins_says_that_it_is_too_early(tmp_path):
    hub = Hub(tmp_path)
    hub.admin("user", "create", "dora")
    refused = erase(hub, "dora", "--reason", "law", check=False)
    assert refused.returncode == 1 and "log" in refused.stderr
    hub.start()
    hub.stop()
    erase(hub, "dora", "--reason", "law")


def test_an_erasure_that_broke_off_is_finished_by_running_it_again(erased):
    hub, dora, eve, shared = erased
    account, secret = secret_of(hub, "dora")
    sizes = []
    for delay in (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5):
        process = subprocess.Popen([BINARY, "admin", "--data", hub.data, "user", "erase", "dora", "--reason", "law"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=hub.environment)
        time.sleep(delay)
        process.kill()
        process.wait()
        sizes.append(log_of(hub).checkpoint().size)
        if sql(hub, "SELECT 1 FROM account WHERE erased_us IS NOT NULL"):
            break
    erase(hub, "dora" if sql(hub, "SELECT 1 FROM account WHERE name = 'dora'") else f"erased-{account:x}", "--reason", "law")
    told = erase(hub, f"erased-{account:x}", "--reason", "law").stdout
    assert "before" in told
    assert secret not in everything(hub) and b"dora@example.org" not in everything(hub)
    assert len(until(lambda: [leaf for leaf in log_of(hub).audited() if leaf["type"] == "erasure"])) == 1
    assert fsck(hub).stdout == "all is well\n"


def test_a_key_that_an_old_copy_brings_back_is_destroyed_again_at_the_start(erased, tmp_path):
    hub, dora, eve, shared = erased
    account, secret = secret_of(hub, "dora")
    hub.copy_to(tmp_path / "copy")
    erase(hub, "dora", "--reason", "request")
    hub.stop()
    for path in hub.data.glob("persons.db*"):
        path.unlink()
    shutil.copy(tmp_path / "copy/persons.db", hub.data / "persons.db")
    assert secret in everything(hub)
    hub.start()
    assert secret not in everything(hub)
    closed = [entry for entry in history(eve, shared) if json.loads(entry["leaf"])["type"] == "commit"]
    assert closed and all(entry["openings"] == [] for entry in closed)


# ---- a file that is not the logged one


def served_as_logged(person, repo, path):
    """What a careful client does: the bytes it got, against the files that the proof names."""
    proof = proof_of(person, repo)
    assert proof.holds(Log(person.http).key)
    lines = sorted((file["name"].encode(), file["sha256"]) for file in proof.extra["files"])
    listed = hashlib.sha256(b"".join(f"{hash_}  ".encode() + name + b"\n" for name, hash_ in lines)).hexdigest()
    assert listed == proof.leaf["b"]["dirHash1"], "the list is the one that was logged"
    (logged,) = [file for file in proof.extra["files"] if file["name"] == path]
    return sha256(person.read(repo, path)) == logged["sha256"]


def test_a_small_file_that_was_swapped_in_the_database_is_caught_by_the_proof(busy):
    hub, carol, repo = busy
    assert served_as_logged(carol, repo, "a.txt")
    changed = sql(hub, "UPDATE git_object SET bytes = ?, encoding = 0, size = 1 WHERE repo_id = 1 AND sha256 = ? RETURNING id", b"b",
                  hashlib.sha256(b"a").digest())
    assert len(changed) == 1 and carol.read(repo, "a.txt") == b"b", "the hub serves what it was made to serve"
    assert not served_as_logged(carol, repo, "a.txt")
    assert "damaged" in fsck(hub).stdout


def test_a_large_file_that_was_changed_on_disk_is_caught_by_the_proof(busy):
    hub, carol, repo = busy
    assert served_as_logged(carol, repo, "w.bin")
    path = next(path for path in hub.data.rglob("containers/*/*") if LARGE[:4096] in path.read_bytes())
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(LARGE[:4096]) + 1000)
        file.write(b"\0\0\0\0")
    assert carol.read(repo, "w.bin") != LARGE
    assert not served_as_logged(carol, repo, "w.bin")


def test_a_large_file_that_was_swapped_for_another_is_caught_by_the_proof(busy):
    hub, carol, repo = busy
    other = bytes(reversed(LARGE))
    carol.commit_files(carol.new_repo(), {"w.bin": other})
    sql(hub, "UPDATE extent SET xorb_id = (SELECT xorb_id FROM extent WHERE object_id = (SELECT id FROM object WHERE sha256 = ?)) "
             "WHERE object_id = (SELECT id FROM object WHERE sha256 = ?)",
        hashlib.sha256(other).digest(), hashlib.sha256(LARGE).digest())
    assert carol.read(repo, "w.bin") != LARGE
    assert not served_as_logged(carol, repo, "w.bin")


# ---- a log that was changed


def test_an_entry_that_was_changed_in_the_log_is_caught_from_outside_and_at_the_next_start(busy):
    hub, carol, repo = busy
    log = log_of(hub)
    checkpoint = log.checkpoint()
    entries = hub.data / "log/entries"

    def put(operation):  # in place: the hub may be about to log a manifest
        with entries.open("r+b") as file:
            file.seek(at)
            file.write(b'"op":"%s"' % operation)
    at = entries.read_bytes().index(b'"op":"create"')
    put(b"delete")
    with pytest.raises(AssertionError):
        log.audited()
    hub.stop()
    assert "changed" in refusal(hub)
    put(b"create")
    hub.start()
    assert log_of(hub).extends(checkpoint)
