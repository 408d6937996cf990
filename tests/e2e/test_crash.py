# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: the hub is killed at any moment of uploads and commits, over and over, and keeps what it acknowledged."""

import json
import os
import random
import subprocess
import threading
import time

import httpx

import xet
from support import BINARY, Hub, Person, sha256, until
from xet import File, Session, Xorb, cut, shard

ROUNDS = int(os.environ.get("CAIRN_CRASH_ROUNDS", "200" if os.environ.get("CAIRN_SOAK") else "12"))
XET_ROUNDS = ROUNDS if "CAIRN_CRASH_ROUNDS" in os.environ or "CAIRN_SOAK" in os.environ else 6
WRITERS = 3


class Writer(threading.Thread):
    """Uploads and commits without pause, and remembers each answer that said yes."""

    def __init__(self, person, repo, seed, promises):
        super().__init__(daemon=True)
        self.person, self.repo, self.promises = person, repo, promises
        self.dice = random.Random(seed)
        self.stopped = False
        self.surprises = []

    def run(self):
        number = 0
        while not self.stopped:
            number += 1
            try:
                self.step(f"{self.dice.getrandbits(48):x}-{number}")
            except httpx.HTTPError:
                time.sleep(0.005)  # the hub has just been killed

    def step(self, name):
        kind = self.dice.choice(["small", "large", "large", "parts", "branch", "delete"])
        if kind == "branch":
            if self.person.http.post(f"/api/models/{self.repo}/branch/{name}", json={}).status_code == 200:
                self.promises.branches.add((self.repo, name))
            return
        path = self.promises.doubt_one(self.repo, self.dice) if kind == "delete" else None
        if path:
            if self.commit(("deletedFile", {"path": path})):
                self.promises.gone(self.repo, path)
            return
        data = self.dice.randbytes(self.dice.randrange(1, 20_000 if kind == "small" else 400_000))
        if kind in ("small", "delete"):
            line = ("file", {"path": name, "content": data.hex(), "encoding": "utf-8"})
            data = data.hex().encode()
        else:
            if not self.upload(data, kind == "parts"):
                return
            line = ("lfsFile", {"path": name, "algo": "sha256", "oid": sha256(data), "size": len(data)})
        if self.commit(line):
            self.promises.keep(self.repo, name, sha256(data))

    def commit(self, line):
        answer = self.person.commit_lines(self.repo, line)
        if answer.status_code not in (200, 503):
            self.surprises.append(f"commit: {answer.status_code} {answer.text}")
        return answer.status_code == 200

    def upload(self, data, broken_first):
        answer = self.person.batch(self.repo, (sha256(data), len(data)))
        if answer.status_code != 200:
            self.surprises.append(f"batch: {answer.status_code} {answer.text}")
            return False
        action = answer.json()["objects"][0].get("actions", {}).get("upload")
        if action is None:
            return True
        if broken_first:
            with httpx.Client() as line:
                line.put(action["href"], content=data[:-1])
        sent = httpx.put(action["href"], content=data)
        if sent.status_code not in (200, 503):
            self.surprises.append(f"upload: {sent.status_code} {sent.text}")
        return sent.is_success


class Promises:
    """What the hub has said is done."""

    def __init__(self):
        self.lock = threading.Lock()
        self.files, self.branches, self.doubtful = {}, set(), set()

    def keep(self, repo, path, digest):
        with self.lock:
            self.files[repo, path] = digest

    def doubt_one(self, repo, dice):
        """A path, if there is any, of which a deletion is on its way: until that is answered the file may or may not be there."""
        with self.lock:
            paths = [path for owner, path in self.files if owner == repo and (owner, path) not in self.doubtful]
            path = dice.choice(paths) if paths else None
            if path:
                self.doubtful.add((repo, path))
            return path

    def gone(self, repo, path):
        with self.lock:
            del self.files[repo, path]
            self.doubtful.discard((repo, path))


def check(person, repos, promises, sample, dice):
    present = {repo: set(person.files(repo)) for repo in repos}
    for (repo, path), digest in list(promises.files.items()):
        if path not in present[repo]:
            assert (repo, path) in promises.doubtful, f"{path} was acknowledged and is gone"
            promises.gone(repo, path)
    promises.doubtful.clear()
    chosen = sorted(promises.files.items())
    for (repo, path), digest in dice.sample(chosen, min(sample, len(chosen))):
        assert sha256(person.read(repo, path)) == digest, path
    for repo in repos:
        branches = {ref.name for ref in person.api.list_repo_refs(repo).branches}
        assert {name for owner, name in promises.branches if owner == repo} <= branches


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    seed = int(os.environ.get("CAIRN_CRASH_SEED", random.randrange(1 << 30)))
    print(f"CAIRN_CRASH_SEED={seed}")
    dice = random.Random(seed)
    hub = Hub(tmp_path).start()
    person = hub.person("survivor")
    repos = [person.new_repo() for _ in range(2)]
    promises = Promises()
    for number in range(ROUNDS):
        writers = [Writer(Person(hub, "survivor", person.token), repos[n % len(repos)], dice.random(), promises) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        if number % 2:  # on a slow machine, too, something gets done
            until(lambda: len(promises.files) > 2 * number)
        time.sleep(dice.uniform(0.02, 0.8))
        hub.kill()
        for writer in writers:
            writer.stopped = True
        for writer in writers:
            writer.join(60)
        assert [surprise for writer in writers for surprise in writer.surprises] == []
        hub.start()
        check(person, repos, promises, 10, dice)
        if number % 10 == 9:
            assert hub.cairn("fsck", "--data", hub.data, check=False).returncode == 0
    check(person, repos, promises, len(promises.files), dice)
    assert len(promises.files) > ROUNDS, "the writers hardly got anything done"
    hub.stop()
    found = hub.cairn("fsck", "--data", hub.data, check=False)
    assert found.returncode == 0, found.stdout


def test_an_upload_in_parts_goes_on_after_kill_9(tmp_path):
    hub = Hub(tmp_path).start()
    person = hub.person("survivor")
    repo = person.new_repo()
    data = os.urandom(1 << 20) * 130
    action = person.batch(repo, (sha256(data), len(data))).json()["objects"][0]["actions"]["upload"]
    size, urls = int(action["header"]["chunk_size"]), [action["header"][key] for key in sorted(action["header"]) if key.isdigit()]
    etags = []
    for number, url in enumerate(urls):
        sent = httpx.put(url, content=data[number * size:(number + 1) * size], timeout=60)
        etags.append(sent.headers["etag"])
        hub.kill()
        hub.start()
    claim = {"oid": sha256(data), "parts": [{"partNumber": n + 1, "etag": etag} for n, etag in enumerate(etags)]}
    assert httpx.post(action["href"], json=claim, timeout=60).is_success
    hub.kill()
    hub.start()
    line = ("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": sha256(data), "size": len(data)})
    assert person.commit_lines(repo, line).status_code == 200
    assert sha256(person.read(repo, "w.bin")) == sha256(data)
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).returncode == 0


# ---- the same by Xet ----


class Sent:
    """What one writer has sent by Xet, and how far the hub has said yes to it."""

    def __init__(self):
        self.xorbs, self.attempts, self.registered, self.committed = [], [], set(), {}


class XetWriter(threading.Thread):
    """Uploads xorbs and shards without pause. It sends nothing again, so that each attempt has one answer or none."""

    def __init__(self, person, repo, seed, sent):
        super().__init__(daemon=True)
        self.person, self.repo, self.sent, self.dice = person, repo, sent, random.Random(seed)
        self.session = Session(person, repo)
        self.stopped, self.surprises = False, []

    def run(self):
        while not self.stopped:
            try:
                self.step()
            except httpx.HTTPError:
                time.sleep(0.005)  # the hub has just been killed

    def step(self):
        for _ in range(self.dice.randrange(1, 4)):
            self.send_xorb()
        known = self.dice.sample(self.sent.xorbs, min(len(self.sent.xorbs), 3))
        terms = [self.some_chunks(self.dice.choice(known)) for _ in range(self.dice.randrange(1, 6))]
        file = File(terms)
        self.sent.attempts.append(file)
        if self.taken(self.session.post_shard(shard([file], known), version=self.dice.choice([1, 2]))):
            self.sent.registered.add(file.hash)
            line = ("lfsFile", {"path": file.sha256, "algo": "sha256", "oid": file.sha256, "size": len(file.data)})
            if self.taken(self.person.commit_lines(self.repo, line)):
                self.sent.committed[file.sha256] = file

    def send_xorb(self):
        # Some can be packed, but no two have the same bytes: what is cut otherwise than before keeps the Xet hash that it has.
        data = self.dice.randbytes(self.dice.randrange(1, 300_000)) + self.dice.randbytes(50) * (self.dice.randrange(2) * 2_000)
        xorb = Xorb(cut(data), scheme=self.dice.randrange(3))
        if self.taken(self.session.post_xorb(xorb)):
            self.sent.xorbs.append(xorb)

    def some_chunks(self, xorb):
        start = self.dice.randrange(len(xorb.chunks))
        return xorb, start, self.dice.randrange(start, len(xorb.chunks)) + 1

    def taken(self, answer):
        lines = [json.loads(line) for line in answer.text.splitlines()] if "ndjson" in answer.headers["content-type"] else []
        if answer.status_code not in (200, 503) or any(line["type"] == "error" for line in lines):
            self.surprises.append(f"{answer.request.url}: {answer.status_code} {answer.text}")
        return answer.status_code == 200 and (not lines or lines[-1]["type"] == "result")


def check_xet(person, repo, sent):
    """What was acknowledged is there; what was not is there as a whole or not at all."""
    session, present = Session(person, repo), set(person.files(repo))
    assert set(sent.committed) <= present
    for file in sent.attempts:
        plan = session.plan(file.hash)
        assert plan.status_code == 200 or file.hash not in sent.registered
        assert plan.status_code == 404 or xet.read_plan(person.http, plan.json()) == file.data
        answer = person.http.get(f"/{repo}/resolve/main/{file.sha256}")
        assert answer.status_code == (200 if file.sha256 in present else 404)
        assert answer.status_code == 404 or answer.content == file.data
    for xorb in sent.xorbs:
        assert session.post_shard(shard([File([(xorb, 0, len(xorb.chunks))])], [xorb])).status_code == 200


def test_nothing_acknowledged_is_lost_or_half_there_by_kill_9_in_xet_uploads(tmp_path):
    seed = int(os.environ.get("CAIRN_CRASH_SEED", random.randrange(1 << 30)))
    print(f"CAIRN_CRASH_SEED={seed}")
    dice = random.Random(seed)
    hub = Hub(tmp_path).start()
    person = hub.person("survivor")
    repos, registered = [person.new_repo() for _ in range(WRITERS)], 0
    for number in range(XET_ROUNDS):
        sent = [Sent() for _ in repos]
        writers = [XetWriter(Person(hub, "survivor", person.token), *about) for about in
                   zip(repos, [dice.random() for _ in repos], sent, strict=True)]
        for writer in writers:
            writer.start()
        if number % 2:
            until(lambda: sum(len(mine.registered) for mine in sent) > 2)
        time.sleep(dice.uniform(0.02, 0.8))
        hub.kill()
        for writer in writers:
            writer.stopped = True
        for writer in writers:
            writer.join(60)
            assert writer.surprises == []
        assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"
        hub.start()
        for repo, mine in zip(repos, sent, strict=True):
            check_xet(person, repo, mine)
            registered += len(mine.registered)
    assert registered > XET_ROUNDS, "the writers hardly got anything done"
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"


def start_with_little_disk(hub):
    """A full disk, played by a limit on the size of files: 4 MB."""
    command = f"ulimit -f 4000; trap '' XFSZ; exec {BINARY} serve --data {hub.data} --listen 127.0.0.1:{hub.port}"
    with hub.log.open("ab") as log:
        hub.process = subprocess.Popen(["bash", "-c", command], stdout=log, stderr=log, env=hub.environment)
    deadline = time.monotonic() + 60
    while not hub.answers():
        assert time.monotonic() < deadline, hub.log_text()
        time.sleep(0.02)


def test_a_xorb_or_shard_without_room_is_refused_and_the_hub_goes_on(tmp_path):
    hub = Hub(tmp_path)
    hub.admin("user", "create", "hoarder")
    person = hub.key_of("hoarder")
    start_with_little_disk(hub)
    repo = person.new_repo()
    session = Session(person, repo)
    large, small = Xorb(cut(os.urandom(6 << 20))), Xorb([os.urandom(100)])
    file = File([(small, 0, 1)])
    long = shard([file] * 22_000)  # 4.2 MB
    assert session.post_xorb(small).status_code == 200
    for refused in session.post_xorb(large), session.post_shard(long), session.post_shard(long, version=2):
        assert refused.status_code >= 500 and refused.json()["error"]
    assert session.plan(file.hash).status_code == 404
    session.upload(small, file)
    assert list((hub.data / "store" / "incoming").iterdir()) == []
    hub.stop()
    hub.start()
    session.upload(large, File([(large, 0, len(large.chunks))]))
    assert session.post_shard(long).status_code == 200
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"
