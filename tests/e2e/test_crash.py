# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: the hub is killed at any moment of uploads and commits, over and over, and keeps what it acknowledged."""

import os
import random
import threading
import time

import httpx

from support import Hub, Person, sha256

ROUNDS = int(os.environ.get("CAIRN_CRASH_ROUNDS", "200" if os.environ.get("CAIRN_SOAK") else "25"))
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
        if kind == "delete" and self.promises.paths_of(self.repo):
            path = self.dice.choice(self.promises.paths_of(self.repo))
            self.promises.doubt(self.repo, path)
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

    def paths_of(self, repo):
        with self.lock:
            return [path for owner, path in self.files if owner == repo and (owner, path) not in self.doubtful]

    def doubt(self, repo, path):
        """A deletion is on its way: until it is answered the file may or may not be there."""
        with self.lock:
            self.doubtful.add((repo, path))

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
