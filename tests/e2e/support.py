# SPDX-License-Identifier: GPL-3.0-or-later
"""Plumbing of the end-to-end tests: a hub that can be started, stopped and killed, and the people who use it."""

import functools
import hashlib
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from huggingface_hub import CommitOperationAdd, HfApi

from ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("CAIRN_BINARY", ROOT / "build" / "cairn"))
HF = Path(sys.executable).parent / "hf"
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed")

PATIENCE = 600  # seconds: so long that a slow machine is no reason to give up

_numbers = itertools.count(1)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def pointer_of(data):
    """The text that git has in place of a large file."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (sha256(data).encode(), len(data))


def new_name(prefix="repo"):
    return f"{prefix}-{next(_numbers)}"


def add(path, content):
    return CommitOperationAdd(path, content if isinstance(content, (bytes, str)) else bytes(content))


def until(what, seconds=PATIENCE):
    """Waits for something that comes in the background."""
    end = time.monotonic() + seconds
    while (asked := time.monotonic()) < end:
        found = what()
        if found:
            return found
        time.sleep(max(0.05, 2 * (time.monotonic() - asked)))  # who asks by starting a program leaves room for what he waits for
    raise AssertionError("it did not come")


def answered(lines):
    """What there is to read from these sockets now, if only that they were closed."""
    ready = select.poll()
    for line in lines:
        ready.register(line, select.POLLIN)
    return ready.poll(0)


@functools.cache
def empty_data():
    """A data folder as the first command of an administrator leaves it: the tables, which take longer to make than all else of a first start,
    with nothing in them. No keys, no log: each hub makes its own."""
    folder = tempfile.TemporaryDirectory()
    data = Path(folder.name) / "data"
    refused = subprocess.run([BINARY, "admin", "--data", data, "org", "remove-member", "nothing", "nobody"], capture_output=True, text=True)
    assert refused.returncode == 1 and [file.name for file in data.iterdir()] == ["cairn.db"], refused.stderr
    return folder, data


class Hub:
    """A Cairn server on a folder of its own. Everything that it prints ends up in `log`."""

    def __init__(self, folder, port=None, flags=(), environment=None):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "serve.log"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = list(flags)
        self.environment = {
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "TSAN_OPTIONS": "halt_on_error=1",
            **(environment or {}),
        }
        self.process = None

    def start(self, timeout=PATIENCE, anew=False):
        """With anew, a hub that was never there makes its tables itself."""
        if not anew and not self.data.exists():
            shutil.copytree(empty_data()[1], self.data)
        command = [BINARY, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        deadline = time.monotonic() + timeout
        while not self.answers():
            assert self.process.poll() is None, f"the hub ended by itself:\n{self.log_text()[-4000:]}"
            assert time.monotonic() < deadline, f"the hub does not answer:\n{self.log_text()[-4000:]}"
            time.sleep(0.02)
        return self

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def answers(self):
        if not self.listens():  # most often asked while it does not, where a client would cost more than the answer
            return False
        try:
            return httpx.get(f"{self.url}/healthz", timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, timeout=PATIENCE):
        """Asks the hub to stop, and insists that it ends well and that no sanitizer complained."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the hub did not stop after SIGTERM") from None
        finally:
            self.process = None
        complaint = SANITIZER.search(self.log_text())
        assert not complaint, self.log_text()[max(complaint.start() - 200, 0):][:8000]
        assert status == 0, f"exit status {status}:\n{self.log_text()[-4000:]}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def cairn(self, *arguments, check=True, said=None, **environment):
        done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, input=said,
                              env={**self.environment, **environment})
        assert not SANITIZER.search(done.stderr), done.stderr
        assert not check or done.returncode == 0, f"cairn {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}"
        return done

    def admin(self, *arguments, **how):
        return self.cairn("admin", "--data", self.data, *arguments, **how)

    def set_up(self, *arguments, **how):
        """A command of an administrator that thousands of tests begin with: a quarter of its processor time would be a search for leaks, for
        which there are the tests that give the same commands by admin()."""
        return self.admin(*arguments, ASAN_OPTIONS="exitcode=99:detect_leaks=0:malloc_context_size=1", **how)

    def copy_to(self, data):
        """A backup and its keys put together: a folder that a hub can run on."""
        keys = Path(data).with_name(Path(data).name + "-keys")
        self.cairn("backup", "--data", self.data, "--keys", keys, data)
        shutil.copytree(keys, data, dirs_exist_ok=True)

    def person(self, name, role="write", flags=()):
        """A new account with one key."""
        return self.key_of(name, role, "user", *flags)

    def key_of(self, name, role="write", of="token", *flags):
        made = self.set_up(of, "create", name, "--name", new_name("key"), "--role", role, "--days", "366", *flags)
        return Person(self, name, made.stdout.split("\n")[-2])

    def anyone(self):
        """Somebody without an account."""
        return Person(self, "anyone", None)

    def org(self, name, **members):
        self.admin("org", "create", name)
        for member, role in members.items():
            self.admin("org", "add-member", name, member, "--role", role)
        return name


class Person:
    """Somebody who uses the hub: through the Python library (.api), the hf command (.hf) or plain HTTP (.http)."""

    def __init__(self, hub, name, token):
        self.hub, self.name, self.token = hub, name, token
        self.api = HfApi(endpoint=hub.url, token=token or False)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=hub.url, headers=headers, timeout=120, limits=httpx.Limits(max_connections=64))
        self.home = hub.folder / f"home-{name}-{new_name('h')}"

    def environment(self, **more):
        keep = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        token = {"HF_TOKEN": self.token} if self.token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
        return {
            **keep,
            **token,
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": self.hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "120",
            "HF_HUB_ETAG_TIMEOUT": "120",
            **more,
        }

    def run(self, *command, check=True, timeout=300, **environment):
        chosen = {key: value for key, value in self.environment(**environment).items() if value is not None}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=chosen, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}"
        return done

    def hf(self, *arguments, check=True, timeout=300, **environment):
        return self.run(HF, *arguments, check=check, timeout=timeout, **environment)

    def python(self, program, *arguments, **environment):
        """Runs a program of its own that prints one JSON value."""
        return json.loads(self.run(sys.executable, "-c", program, *arguments, **environment).stdout)

    def new_repo(self, prefix="repo", **how):
        how.setdefault("repo_type", "model")
        if how["repo_type"] == "space":
            how.setdefault("space_sdk", "static")
        return self.api.create_repo(f"{self.name}/{new_name(prefix)}", **how).repo_id

    def commit(self, repo, *operations, message="a change", **how):
        return self.api.create_commit(repo, operations, commit_message=message, **how)

    def commit_files(self, repo, files, message="a change", **how):
        return self.commit(repo, *(add(path, content) for path, content in files.items()), message=message, **how)

    def commit_lines(self, repo, *lines, revision="main", header=None, **how):
        """Sends a commit as it goes over the wire: a header and (key, value) lines."""
        header = {"summary": "a change", "description": ""} if header is None else header
        text = "".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in [("header", header), *lines])
        return self.http.post(f"/api/models/{repo}/commit/{revision}", content=text.encode(),
                              headers={"content-type": "application/x-ndjson"}, **how)

    def batch(self, repo, *objects, operation="upload", transfers=("basic", "multipart"), **more):
        """Asks where to send large files; objects are (oid, size)."""
        body = {"operation": operation, "transfers": list(transfers), "hash_algo": "sha256",
                "objects": [{"oid": oid, "size": size} for oid, size in objects], **more}
        return self.http.post(f"/{repo}.git/info/lfs/objects/batch", json=body,
                              headers={"accept": "application/vnd.git-lfs+json", "content-type": "application/vnd.git-lfs+json"})

    def put_object(self, repo, data):
        """Uploads a large file without naming it in a commit; returns its hash."""
        found = self.batch(repo, (sha256(data), len(data))).json()["objects"][0]
        if "actions" in found:
            assert httpx.put(found["actions"]["upload"]["href"], content=data, timeout=120).is_success
        return sha256(data)

    def read(self, repo, path, revision="main", prefix=""):
        answer = self.http.get(f"{prefix}/{repo}/resolve/{revision}/{path}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def files(self, repo, **how):
        return sorted(self.api.list_repo_files(repo, **how))

    def titles(self, repo, **how):
        return [commit.title for commit in self.api.list_repo_commits(repo, **how)]

    def head(self, repo, **how):
        return self.api.repo_info(repo, **how).sha
