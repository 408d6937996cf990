# SPDX-License-Identifier: GPL-3.0-or-later
"""The program itself: its commands, its log, how it starts, stops, checks and copies."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import httpx
import pytest

from support import BINARY, ROOT, Hub, Person, free_port, new_name, sha256, until

WEIGHTS = os.urandom(3 << 20)


def test_admin_commands_work_with_and_without_a_server(tmp_path):
    hub = Hub(tmp_path)
    hub.admin("user", "create", "early", "--full-name", "Early Bird", "--email", "early@example.org")
    token = hub.admin("token", "create", "early", "--name", "k", "--role", "write").stdout
    assert token == token.strip() + "\n" and len(token) > 30, "the token stands alone on its line"
    hub.start()
    early = Person(hub, "early", token.strip())
    me = early.api.whoami()
    assert (me["name"], me["fullname"], me["email"]) == ("early", "Early Bird", "early@example.org")
    late = hub.person("late")
    key = late.api.whoami()["auth"]["accessToken"]["displayName"]
    hub.stop()
    hub.admin("token", "revoke", "late", "--name", key)
    hub.start()
    assert early.http.get("/api/whoami-v2").status_code == 200
    assert late.http.get("/api/whoami-v2").status_code == 401
    hub.stop()


def test_an_account_is_made_with_its_first_token_or_not_at_all(own_hub):
    for half in (["--name", "k"], ["--role", "read"], ["--days", "3"], ["--name", "k", "--role", "owner"]):
        assert own_hub.admin("user", "create", "both", *half, check=False).returncode != 0
    printed = own_hub.admin("user", "create", "both", "--name", "k", "--role", "read", "--days", "3").stdout.split("\n")
    assert printed[0] == "both is created" and len(printed) == 3
    token = Person(own_hub, "both", printed[1]).api.whoami()["auth"]["accessToken"]
    assert (token["displayName"], token["role"]) == ("k", "read")


def test_a_token_of_any_length_can_be_imported(own_hub):
    own_hub.admin("user", "create", "mover")
    for number, value in enumerate(["x", "hf_" + "a" * 34, "t" * 2000]):
        printed = own_hub.admin("token", "create", "mover", "--name", f"old-{number}", "--role", "read", "--value", value).stdout
        assert printed.strip() == value
        assert Person(own_hub, "mover", value).http.get("/api/whoami-v2").json()["name"] == "mover"


@pytest.mark.parametrize("name", ["_underscored_", "a.b", "dash-ed", "UPPER", "0digits"])
def test_names_that_people_have_elsewhere_are_accepted(hub, name):
    person = hub.person(name)
    repo = person.new_repo()
    person.commit_files(repo, {"a.txt": b"a"})
    assert person.read(repo, "a.txt") == b"a"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "a--b", "-a", "é", "x" * 97, "a\nb"])
def test_other_names_are_refused(hub, name):
    assert hub.admin("user", "create", name, check=False).returncode != 0


def test_commands_that_make_no_sense_say_so(hub):
    hub.admin("user", "create", "once")
    for command in [["user", "create", "once"], ["user", "create", "ONCE"], ["token", "create", "nobody", "--name", "k", "--role", "read"],
                    ["token", "create", "once", "--name", "k", "--role", "king"], ["org", "create", "once"], ["frobnicate"], [],
                    ["org", "add-member", "no-org", "once", "--role", "read"], ["token", "revoke", "once", "--name", "none"],
                    ["org", "set", "once", "--default-private", "perhaps"], ["user", "create"]]:
        refused = hub.admin(*command, check=False)
        assert refused.returncode != 0 and refused.stderr.strip(), command


def test_help_is_there():
    for command in [], ["serve"], ["admin"], ["fsck"], ["backup"], ["sign"]:
        shown = subprocess.run([BINARY, *command, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0 and "cairn" in shown.stdout


@pytest.mark.parametrize("flags, told", [(["--frobnicate", "x"], "--frobnicate"), (["--listen"], "--listen"), (["stray"], "stray"),
                                         (["--listen", "x"], "x: "), (["--listen", "127.0.0.1:99999"], "99999")])
def test_flags_that_make_no_sense_are_refused(tmp_path, flags, told):
    refused = subprocess.run([BINARY, "serve", "--data", tmp_path, *flags], capture_output=True, text=True, timeout=120)
    assert refused.returncode in (1, 2) and told in refused.stderr


def test_flags_may_stand_in_the_environment(tmp_path):
    port = free_port()
    settings = {"CAIRN_DATA": str(tmp_path / "data"), "CAIRN_LISTEN": f"127.0.0.1:{port}", "CAIRN_PUBLIC_URL": "https://hub.example/"}
    process = subprocess.Popen([BINARY, "serve"], env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
        subprocess.run([BINARY, "admin", "user", "create", "eve"], env={**os.environ, **settings}, check=True)
        made = subprocess.run([BINARY, "admin", "token", "create", "eve", "--name", "k", "--role", "write"],
                              env={**os.environ, **settings}, check=True, capture_output=True, text=True)
        answer = httpx.post(f"http://127.0.0.1:{port}/api/repos/create", json={"name": "r"},
                            headers={"authorization": f"Bearer {made.stdout.strip()}"})
        assert answer.json()["url"] == "https://hub.example/eve/r"
    finally:
        process.terminate()
        assert process.wait(120) == 0


def wait_for(condition, timeout=600):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (httpx.TransportError, OSError):
            pass
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def test_the_address_in_answers_follows_the_one_that_was_asked(own_hub):
    person = own_hub.person("someone")
    repo = person.new_repo()
    for host in "hub.example:8443", "127.0.0.1:9":
        answer = person.http.post("/api/repos/create", json={"name": repo.split("/")[1]}, headers={"host": host})
        assert answer.json()["url"] == f"http://{host}/{repo}"
    secure = person.http.post("/api/repos/create", json={"name": repo.split("/")[1]},
                              headers={"host": "hub.example", "x-forwarded-proto": "https"})
    assert secure.json()["url"] == f"https://hub.example/{repo}"


def test_only_this_machine_reaches_it_unless_told_otherwise(tmp_path):
    shown = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True).stdout
    assert "127.0.0.1:8080" in shown


def test_a_second_server_on_the_same_data_is_refused(own_hub):
    other = subprocess.run([BINARY, "serve", "--data", own_hub.data, "--listen", f"127.0.0.1:{free_port()}"],
                           capture_output=True, text=True, timeout=120)
    assert other.returncode == 1 and "running" in other.stderr
    assert own_hub.answers()


def test_a_taken_port_is_told(own_hub, tmp_path):
    other = subprocess.run([BINARY, "serve", "--data", tmp_path / "other", "--listen", f"127.0.0.1:{own_hub.port}"],
                           capture_output=True, text=True, timeout=120)
    assert other.returncode == 1 and other.stderr.strip()


def test_the_data_folder_is_private(own_hub):
    assert stat.S_IMODE(own_hub.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((own_hub.data / "secret").stat().st_mode) == 0o600


def test_health_and_metrics_need_no_key_and_tell_no_names(own_hub):
    person = own_hub.person("shy")
    repo = person.new_repo("secretive", private=True)
    text = httpx.get(f"{own_hub.url}/metrics").text
    assert httpx.get(f"{own_hub.url}/healthz").status_code == 200
    assert "cairn_requests_total" in text
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0
    assert "shy" not in text and repo not in text


def test_every_request_is_one_line_of_json_without_secrets(own_hub):
    person = own_hub.person("writer")
    repo = person.new_repo()
    person.commit_files(repo, {"a.txt": b"a", "w.bin": WEIGHTS})
    person.http.get(f"/{repo}/resolve/main/a.txt", auth=("writer", person.token))
    answer = person.http.get(f"/api/models/{repo}?token={person.token}")
    href = person.batch(repo, ("0" * 64, 5)).json()["objects"][0]["actions"]["upload"]["href"]
    httpx.put(href, content=b"wrong")
    own_hub.stop()
    lines = own_hub.log_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert person.token not in own_hub.log_text()
    assert href.split("sig=")[1] not in own_hub.log_text()
    [entry] = [entry for entry in entries if entry.get("id") == answer.headers["x-request-id"]]
    assert (entry["method"], entry["path"], entry["status"], entry["actor"]) == ("GET", f"/api/models/{repo}", 200, "writer")
    own_hub.start()


def test_a_path_cannot_forge_a_line_of_the_log(own_hub):
    with socket.create_connection(("127.0.0.1", own_hub.port)) as line:
        line.sendall(b'GET /a"},{"forged":1}\\x%0a{"forged":2} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
        line.recv(1000)
    own_hub.stop()
    assert not any("forged" in json.loads(line) for line in own_hub.log_text().splitlines())
    own_hub.start()


def test_a_download_in_flight_is_finished_before_stopping(own_hub):
    person = own_hub.person("reader")
    repo = person.new_repo()
    content = os.urandom(1 << 20) * 24
    person.commit_files(repo, {"w.bin": content})
    received = bytearray()
    with httpx.stream("GET", f"{own_hub.url}/{repo}/resolve/main/w.bin") as answer:
        pieces = answer.iter_raw(65536)
        received += next(pieces)
        own_hub.process.send_signal(signal.SIGTERM)
        until(lambda: not own_hub.listens())
        assert own_hub.process.poll() is None
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{own_hub.url}/healthz", timeout=2)
        for piece in pieces:
            received += piece
    assert sha256(bytes(received)) == sha256(content)
    own_hub.stop()
    own_hub.start()


def test_an_upload_in_flight_is_finished_before_stopping(own_hub):
    person = own_hub.person("sender")
    repo = person.new_repo()
    href = person.batch(repo, (sha256(WEIGHTS), len(WEIGHTS))).json()["objects"][0]["actions"]["upload"]["href"]

    def slowly():
        yield WEIGHTS[:1 << 20]
        until(lambda: not own_hub.listens())
        yield WEIGHTS[1 << 20:]

    sent = {}
    sender = threading.Thread(target=lambda: sent.update(status=httpx.put(href, content=slowly(), timeout=120).status_code))
    sender.start()
    until(lambda: list((own_hub.data / "store/incoming").iterdir()))  # what has come of it
    own_hub.stop()
    sender.join()
    assert sent["status"] == 200
    own_hub.start()
    assert "actions" not in person.batch(repo, (sha256(WEIGHTS), len(WEIGHTS))).json()["objects"][0]


def test_asking_many_times_to_stop_is_asking_once(own_hub):
    for _ in range(3):
        deadline = time.monotonic() + 120
        while own_hub.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            own_hub.process.send_signal(signal.SIGTERM)
            time.sleep(0.0005)
        own_hub.stop()
        own_hub.start()


def test_what_was_there_is_there_after_a_restart(own_hub):
    person = own_hub.person("keeper")
    repo = person.new_repo()
    person.commit_files(repo, {"a.txt": b"a", "w.bin": WEIGHTS})
    own_hub.stop()
    own_hub.start()
    assert person.read(repo, "a.txt") == b"a" and person.read(repo, "w.bin") == WEIGHTS


@pytest.fixture
def filled(own_hub):
    person = own_hub.person("filler")
    repo = person.new_repo()
    person.commit_files(repo, {"a.txt": b"small", "w.bin": WEIGHTS})
    person.commit_files(repo, {"b.txt": b"more"})
    return own_hub, person, repo


def test_fsck_finds_nothing_wrong_with_a_healthy_hub(filled):
    hub, _, _ = filled
    assert hub.cairn("fsck", "--data", hub.data).returncode == 0, "while it runs"
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).returncode == 0, "and while it does not"
    hub.start()


def stored_file(hub):
    """The file that holds the uploaded bytes."""
    return next(path for path in sorted(hub.data.rglob("*")) if path.is_file() and WEIGHTS[:4096] in path.read_bytes())


def test_fsck_finds_a_flipped_bit_in_stored_bytes(filled):
    hub, _, _ = filled
    hub.stop()
    path = stored_file(hub)
    content = bytearray(path.read_bytes())
    content[content.index(WEIGHTS[:4096]) + 100_000] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    found = hub.cairn("fsck", "--data", hub.data, check=False)
    assert found.returncode == 1 and "damage" in found.stdout
    hub.start()


def test_fsck_finds_stored_bytes_that_are_gone(filled):
    hub, person, repo = filled
    hub.stop()
    stored_file(hub).unlink()
    assert hub.cairn("fsck", "--data", hub.data, check=False).returncode == 1
    hub.start()
    assert person.read(repo, "a.txt") == b"small", "the rest is still served"
    assert person.http.get(f"/{repo}/resolve/main/w.bin").status_code >= 500


def test_a_damaged_page_of_the_database_is_found(filled):
    hub, person, repo = filled
    hub.stop()
    database = hub.data / "cairn.db"
    content = bytearray(database.read_bytes())
    page = int.from_bytes(content[16:18], "big") or 65536
    for start in range(page * 2, len(content) - page, page):
        content[start:start + 64] = os.urandom(64)
    database.write_bytes(content)
    assert hub.cairn("fsck", "--data", hub.data, check=False).returncode in (1, 2)
    shutil.rmtree(hub.data)
    hub.start()


def test_a_backup_is_a_hub(filled, tmp_path):
    hub, person, repo = filled
    hub.copy_to(tmp_path / "copy")
    person.commit_files(repo, {"after.txt": b"after the backup"})
    (tmp_path / "second").mkdir()
    copy = Hub(tmp_path / "second")
    copy.data = tmp_path / "copy"
    assert copy.cairn("fsck", "--data", copy.data).returncode == 0
    copy.start()
    twin = Person(copy, "filler", person.token)
    assert twin.files(repo) == [".gitattributes", "a.txt", "b.txt", "w.bin"]
    assert twin.read(repo, "w.bin") == WEIGHTS
    twin.commit_files(repo, {"here.txt": b"only here"})
    copy.stop()
    assert "here.txt" not in person.files(repo) and person.read(repo, "w.bin") == WEIGHTS


def test_a_backup_says_where_it_cannot_go(filled):
    hub, _, _ = filled
    assert hub.cairn("backup", "--data", hub.data, check=False).returncode != 0
    assert hub.cairn("backup", "--data", hub.data, "/proc/nowhere", check=False).returncode != 0


def test_a_file_that_cannot_be_stored_is_refused_and_the_hub_goes_on(tmp_path):
    """A full disk, played by a limit on the size of files."""
    hub = Hub(tmp_path)
    hub.admin("user", "create", "hoarder")
    token = hub.admin("token", "create", "hoarder", "--name", "k", "--role", "write").stdout.strip()
    command = f"ulimit -f 4000; trap '' XFSZ; exec {BINARY} serve --data {hub.data} --listen 127.0.0.1:{hub.port}"
    with hub.log.open("ab") as log:
        hub.process = subprocess.Popen(["bash", "-c", command], stdout=log, stderr=log, env=hub.environment)
    wait_for(hub.answers)
    person = Person(hub, "hoarder", token)
    repo = person.new_repo()
    data = os.urandom(6 << 20)
    href = person.batch(repo, (sha256(data), len(data))).json()["objects"][0]["actions"]["upload"]["href"]
    refused = httpx.put(href, content=data, timeout=60)
    assert refused.status_code >= 400 and refused.json()["error"]
    person.commit_files(repo, {"small.txt": b"still room for this"})
    assert person.read(repo, "small.txt") == b"still room for this"
    hub.stop()
    hub.start()
    assert httpx.put(href, content=data, timeout=60).is_success
    hub.stop()
    assert hub.cairn("fsck", "--data", hub.data).returncode == 0


def test_the_first_start_makes_an_administrator_and_shows_the_token_once(tmp_path):
    data = tmp_path / "fresh"

    def first_start():
        return subprocess.run([ROOT / "scripts/first-start", data], capture_output=True, text=True, check=True,
                              env={**os.environ, "LISTEN": "127.0.0.1:8080", "CAIRN_PROGRAM": str(BINARY)}).stdout

    shown = first_start()
    assert first_start() == ""
    hub = Hub(tmp_path)
    hub.data = data
    hub.start()
    token = next(line.strip() for line in shown.splitlines() if line.strip().startswith("hf_cairn_"))
    assert Person(hub, "admin", token).api.whoami()["name"] == "admin"
    hub.stop()


def test_nobody_can_sign_in_to_a_fresh_hub(own_hub):
    for user, password in ("admin", "admin"), ("admin", ""), ("root", "password"), ("", ""):
        assert httpx.get(f"{own_hub.url}/api/whoami-v2", auth=(user, password)).status_code == 401
    assert httpx.post(f"{own_hub.url}/api/repos/create", json={"name": new_name()}).status_code == 401
