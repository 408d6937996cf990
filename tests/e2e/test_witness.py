# SPDX-License-Identifier: GPL-3.0-or-later
"""Hubs that witness each other, and what happens when a log is not what its witness saw (tlog.py is written from the
specifications alone)."""

import base64
import hashlib
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from huggingface_hub.errors import HfHubHTTPError

from support import BINARY, Hub, add, free_port, until
from statements import register, release, say
from tlog import Checkpoint, Key, Log, Proof, leaf_hash, node, root_of


@pytest.fixture
def street(tmp_path):
    """Makes hubs, each in a house of its own."""
    hubs = []

    def build(name, *flags):
        (tmp_path / name).mkdir(exist_ok=True)
        hubs.append(Hub(tmp_path / name, flags=flags))
        return hubs[-1]

    yield build
    for hub in hubs:
        hub.stop()


def line_of(hub, path):
    answer = httpx.get(f"{hub.url}{path}")
    assert answer.status_code == 200, answer.text
    return answer.text.strip()


def policy_file(hub, *witnesses, quorum="all"):
    """Has the hub's log witnessed: witnesses are (name, vkey, url)."""
    lines = [f"witness {name} {vkey} {url}" for name, vkey, url in witnesses]
    lines += [f"group g {quorum} {' '.join(name for name, _, _ in witnesses)}", "quorum g"]
    path = hub.folder / "policy"
    path.write_text("\n".join(lines) + "\n")
    hub.flags += [] if "--witness-policy" in hub.flags else ["--witness-policy", str(path)]


def logs_file(hub, *vkeys):
    """Has the hub witness those logs."""
    path = hub.folder / "logs"
    path.write_text("".join(f"log {vkey}\n" for vkey in vkeys))
    hub.flags += [] if "--witness-logs" in hub.flags else ["--witness-logs", str(path)]


def introduce(log, witness):
    """Starts and stops both, so that they have keys, and tells each of the other's. As the README says it."""
    logs_file(witness)
    log.start(), witness.start()
    vkey, witness_vkey = line_of(log, "/log/vkey"), line_of(witness, "/witness/vkey")
    log.stop(), witness.stop()
    logs_file(witness, vkey)
    policy_file(log, ("friend", witness_vkey, f"{witness.url}/witness"))


def address_of(origin):
    return f"/witness/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"


def seen_by(witness, origin):
    """What the witness has cosigned last, if anything."""
    answer = httpx.get(witness.url + address_of(origin))
    return Checkpoint(answer.text) if answer.status_code == 200 else None


def log_of(hub):
    return Log(httpx.Client(base_url=hub.url))


def metric(hub, name):
    found = re.search(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", httpx.get(f"{hub.url}/metrics").text, re.M)
    return float(found[1]) if found else None


def all_cosigned(hub):
    return metric(hub, "cairn_witness_cosigned_size") == log_of(hub).checkpoint().size


def person_at(hub, name="alice"):
    return hub.person(name)


def refuses_to_start(hub, timeout=60):
    """Starts the hub, expects it to end by itself, and returns what it said."""
    done = subprocess.run([BINARY, "serve", "--data", hub.data, "--listen", f"127.0.0.1:{hub.port}", *hub.flags],
                          capture_output=True, text=True, timeout=timeout, env=hub.environment)
    assert done.returncode == 1, done.stderr
    return done.stderr


# ---- submitting by hand


def consistency(hashes, old):
    """RFC 6962 section 2.1.2: that the tree of the first old leaf hashes is the beginning of that of all."""

    def subproof(m, part, whole):
        if m == len(part):
            return [] if whole else [root_of(part)]
        k = 1 << (len(part) - 1).bit_length() - 1
        if m <= k:
            return subproof(m, part[:k], whole) + [root_of(part[k:])]
        return subproof(m - k, part[k:], False) + [root_of(part[:k])]

    return subproof(old, hashes, True) if 0 < old < len(hashes) else []


def submit(witness, old, proof, note):
    body = f"old {old}\n" + "".join(base64.b64encode(hash_).decode() + "\n" for hash_ in proof) + "\n" + note
    return httpx.post(f"{witness.url}/witness/add-checkpoint", content=body.encode())


def show(witness, hub, old):
    """Shows the hub's log to the witness, as anybody can who reads it."""
    log = log_of(hub)
    checkpoint = log.checkpoint()
    hashes = [leaf_hash(entry) for entry in log.entries(checkpoint.size)]
    return submit(witness, old, consistency(hashes, old), checkpoint.note), checkpoint.size


def signed(hub, size, root):
    """A checkpoint of any tree, signed with the log's own key."""
    name, key_id, key = (hub.data / "log/key").read_text().strip().removeprefix("PRIVATE+KEY+").split("+", 2)
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key)[1:])
    text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
    line = base64.b64encode(bytes.fromhex(key_id) + private.sign(text.encode())).decode()
    return f"{text}\n\u2014 {name} {line}\n"


# ---- two hubs


def test_two_hubs_witness_each_other(street):
    left, right = street("left"), street("right")
    logs_file(left), logs_file(right)
    left.start(), right.start()
    keys = {hub: (line_of(hub, "/log/vkey"), line_of(hub, "/witness/vkey")) for hub in (left, right)}
    left.stop(), right.stop()
    for hub, friend in (left, right), (right, left):
        logs_file(hub, keys[friend][0])
        policy_file(hub, ("friend", keys[friend][1], f"{friend.url}/witness"))
    left.start(), right.start()  # left cannot reach right when it starts, and starts all the same
    for hub, friend in (left, right), (right, left):
        alice = person_at(hub)
        alice.commit_files(alice.new_repo(), {"a.txt": b"a"})
        until(lambda: all_cosigned(hub))
        log, witness = Key(keys[hub][0]), Key(keys[friend][1])
        cosigned = seen_by(friend, log.name)
        assert cosigned.signed_by(log) and cosigned.signed_by(witness) and witness.kind == 4
        assert abs(int.from_bytes(cosigned.signature_of(witness)[:8], "big") - time.time()) < 3600
        kept = Checkpoint(until((hub.data / "log/cosigned").exists) and (hub.data / "log/cosigned").read_text())  # at the end of the round
        assert kept.signed_by(log) and kept.signed_by(witness)
        assert metric(hub, "cairn_witness_alarm") == 0
        assert metric(hub, "cairn_witness_last_success_seconds") > time.time() - 3600
        assert log.key.public_bytes_raw() != Key(keys[hub][1]).key.public_bytes_raw(), "a key of its own"


def test_both_go_on_where_they_were_after_a_restart(street):
    log, witness = street("log"), street("witness")
    introduce(log, witness)
    witness.start(), log.start()
    alice = person_at(log)
    repo = alice.new_repo()
    until(lambda: all_cosigned(log))
    before = seen_by(witness, log_of(log).key.name).size
    log.stop(), witness.stop()
    witness.start(), log.start()
    assert seen_by(witness, log_of(log).key.name).size >= before
    alice.commit_files(repo, {"a.txt": b"a"})
    until(lambda: all_cosigned(log))
    assert seen_by(witness, log_of(log).key.name).size > before


def test_what_a_witness_answers(street):
    """The table of the protocol, over HTTP."""
    log, witness = street("log"), street("witness")
    introduce(log, witness)
    log.flags.clear()  # what is submitted is only what stands here
    witness.start(), log.start()
    person_at(log).new_repo()
    checkpoint = until(lambda: (found := log_of(log).checkpoint()).size > 2 and found)
    note, size = checkpoint.note, checkpoint.size
    hashes = [leaf_hash(entry) for entry in log_of(log).entries(size)]
    grown = hashes + [leaf_hash(b"one more")]

    assert submit(witness, "x", [], note).status_code == 400
    assert submit(witness, 0, [], note + "x" * 17000).status_code == 413
    assert submit(witness, 0, [], note.replace(checkpoint.origin, "elsewhere.example/log")).status_code == 404
    assert submit(witness, 0, [], note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1)).status_code == 403
    assert submit(witness, size + 1, [], note).status_code == 400
    conflict = submit(witness, 1, consistency(hashes, 1), note)
    assert (conflict.status_code, conflict.headers["content-type"], conflict.text) == (409, "text/x.tlog.size", "0\n")
    assert submit(witness, 0, [bytes(32)], note).status_code == 422
    assert submit(witness, 0, [], signed(log, 0, bytes(32))).status_code == 422
    assert seen_by(witness, checkpoint.origin) is None

    answer = submit(witness, 0, [], note)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    assert Checkpoint(note + answer.text).signed_by(Key(line_of(witness, "/witness/vkey")))
    assert submit(witness, size, [], signed(log, size, bytes(32))).status_code == 422
    assert submit(witness, size, [bytes(32)], signed(log, size + 1, root_of(grown))).status_code == 422
    conflict = submit(witness, 0, [], note)
    assert (conflict.status_code, conflict.text) == (409, f"{size}\n")
    assert submit(witness, size, consistency(grown, size), signed(log, size + 1, root_of(grown))).status_code == 200
    assert seen_by(witness, checkpoint.origin).size == size + 1
    assert httpx.get(f"{witness.url}/witness/add-checkpoint").status_code == 405


def test_of_two_that_race_one_is_cosigned(street):
    log, witness = street("log"), street("witness")
    introduce(log, witness)
    log.flags.clear()
    witness.start(), log.start()
    checkpoint = log_of(log).checkpoint()
    hashes = [leaf_hash(entry) for entry in log_of(log).entries(checkpoint.size)]
    assert submit(witness, 0, [], checkpoint.note).status_code == 200
    histories = [hashes + [leaf_hash(b"%d" % number)] * (number + 1) for number in range(8)]
    answers = []

    def race(history):
        answers.append(submit(witness, len(hashes), consistency(history, len(hashes)),
                              signed(log, len(history), root_of(history))))

    racers = [threading.Thread(target=race, args=[history]) for history in histories]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    size = seen_by(witness, checkpoint.origin).size
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {answer.text for answer in answers if answer.status_code == 409} == {f"{size}\n"}
    witness.kill()
    witness.start()
    assert seen_by(witness, checkpoint.origin).size == size


# ---- drills


def forked(street):
    """A log with two histories, and a witness that has seen the beginning: (hub, its copy that goes on by itself, witness)."""
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    witness.start(), hub.start()
    alice = person_at(hub)
    repo = alice.new_repo()
    until(lambda: all_cosigned(hub))
    hub.stop()
    copy = street("copy")
    shutil.copytree(hub.data, copy.data)
    return hub, copy, witness, alice, repo


def test_a_forked_log_raises_the_alarm_and_takes_nothing_more(street):
    hub, copy, witness, alice, repo = forked(street)
    copy.start()  # without a policy nobody asks the witness
    elsewhere = type(alice)(copy, "alice", alice.token)
    for number in range(5):
        elsewhere.commit_files(repo, {"b.txt": b"%d" % number})
    origin = log_of(copy).key.name
    answer, size = show(witness, copy, seen_by(witness, origin).size)
    assert answer.status_code == 200, "the first history that it sees"

    witness.stop()
    hub.start()  # the witness cannot be reached, so nothing is known yet, and commits do not wait for it
    alice.commit_files(repo, {"a.txt": b"a"})
    while log_of(hub).checkpoint().size <= size:
        alice.commit_files(repo, {"a.txt": b"%d" % log_of(hub).checkpoint().size})
    assert metric(hub, "cairn_witness_alarm") == 0
    witness.start()
    until(lambda: metric(hub, "cairn_witness_alarm") == 1)
    with pytest.raises(HfHubHTTPError) as refused:
        alice.commit_files(repo, {"a.txt": b"c"})
    assert refused.value.response.status_code == 503
    assert "two histories" in refused.value.response.json()["error"]
    assert re.search(r'"level":"alert".*two histories', hub.log_text())
    before = log_of(hub).checkpoint().size
    assert alice.read(repo, "a.txt"), "reading goes on"
    hub.person("latecomer")  # made beside the hub, whose job then tries to log the key
    until(lambda: re.search(r'"event":"job".*catching up.*two histories', hub.log_text()))
    assert log_of(hub).checkpoint().size == before
    assert seen_by(witness, origin).size == size

    hub.stop()
    assert "two histories" in refuses_to_start(hub), "and now it is known from the start"
    copy.stop()
    policy_file(copy, ("friend", line_of(witness, "/witness/vkey"), f"{witness.url}/witness"))
    copy.start()  # while the history that was seen goes on
    elsewhere.commit_files(repo, {"b.txt": b"goes on"})
    until(lambda: all_cosigned(copy))


def test_a_second_history_is_never_cosigned(street):
    hub, copy, witness, alice, repo = forked(street)
    hub.start(), copy.start()
    alice.commit_files(repo, {"a.txt": b"a"})
    until(lambda: all_cosigned(hub))
    hub.stop()
    origin, elsewhere = log_of(copy).key.name, type(alice)(copy, "alice", alice.token)
    while log_of(copy).checkpoint().size <= seen_by(witness, origin).size:
        elsewhere.commit_files(repo, {"b.txt": b"%d" % log_of(copy).checkpoint().size})
    answer, size = show(witness, copy, seen_by(witness, origin).size)
    assert answer.status_code == 422
    assert seen_by(witness, origin).size < size


def test_a_restored_backup_of_the_whole_data_folder_does_not_start(street, tmp_path):
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    witness.start(), hub.start()
    alice = person_at(hub)
    repo = alice.new_repo()
    until(lambda: all_cosigned(hub))
    hub.stop()
    shutil.copytree(hub.data, tmp_path / "backup")
    hub.start()
    for number in range(3):
        alice.commit_files(repo, {"a.txt": b"%d" % number})
    until(lambda: all_cosigned(hub))
    hub.stop()
    newest = tmp_path / "newest"
    hub.data.rename(newest)

    shutil.copytree(tmp_path / "backup", hub.data)
    seen = seen_by(witness, Key((hub.data / "log/vkey").read_text()).name).size
    said = refuses_to_start(hub)
    assert f"has cosigned a tree of {seen} entries, and this log has only" in said and "Restore the newest copy" in said

    shutil.rmtree(hub.data)
    newest.rename(hub.data)
    hub.start()
    assert alice.read(repo, "a.txt") == b"2"
    alice.commit_files(repo, {"a.txt": b"goes on"})
    until(lambda: all_cosigned(hub))


def test_a_witness_that_is_away_stops_no_commit(street):
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    hub.start()
    alice = person_at(hub)
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    assert alice.read(repo, "a.txt") == b"a"
    assert metric(hub, "cairn_witness_alarm") == 0 and metric(hub, "cairn_witness_cosigned_size") == 0
    until(lambda: metric(hub, "cairn_witness_lag_seconds") > 0 and "did not cosign" in hub.log_text())
    witness.start()
    until(lambda: all_cosigned(hub) and "answers again" in hub.log_text())


def test_what_was_just_done_is_proved_with_the_quorum(street, tmp_path):
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    witness.start(), hub.start()
    alice = person_at(hub)
    repo, log, friend = alice.new_repo(), log_of(hub).key, Key((hub.folder / "policy").read_text().split()[2])
    policy = tmp_path / "policy"
    policy.write_text(f"log {line_of(hub, '/log/vkey')}\n" + (hub.folder / "policy").read_text())

    def verify(*what):
        return hub.cairn("verify", *what, "--policy", policy, "--state", tmp_path / "state", check=False)

    (tmp_path / "m").mkdir()
    for number in range(5):
        (tmp_path / "m/n.txt").write_text(str(number))
        alice.commit_files(repo, {"n.txt": (tmp_path / "m/n.txt").read_bytes()})
        assert verify("--log", f"{hub.url}/log").returncode == 0
        alice.commit_files(repo, {"n.txt": b"-"})
        alice.commit_files(repo, {"n.txt": (tmp_path / "m/n.txt").read_bytes()})
        done = verify(tmp_path / "m", "--hub", hub.url, "--repo", repo)
        assert done.returncode == 0 and "1 witnesses of the policy confirm" in done.stdout, done.stdout + done.stderr
    witness.stop()
    alice.commit_files(repo, {"n.txt": b"later"})
    proof = Proof(alice.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").text)
    assert proof.holds(log) and not proof.checkpoint.signed_by(friend)
    for what in (["--log", f"{hub.url}/log"], [tmp_path / "m", "--hub", hub.url, "--repo", repo]):
        refused = verify(*what)
        assert refused.returncode == 1 and "quorum" in refused.stderr, refused.stdout + refused.stderr


def test_a_release_is_proved_with_the_quorum_or_not_at_all(street):
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    hub.start()  # the witness is away
    alice = person_at(hub)
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    index = say(alice, register(alice), repo, release(alice.head(repo), "1.0"))["index"]
    log, friend = log_of(hub).key, Key((hub.folder / "policy").read_text().split()[2])

    commit = Proof(alice.http.get(f"/api/models/{repo}/provenance/main.tlog-proof").text)
    assert commit.holds(log) and not commit.checkpoint.signed_by(friend), "commits do not wait for witnesses"
    refused = alice.http.get(f"/api/models/{repo}/provenance/leaf/{index}.tlog-proof")
    assert refused.status_code == 503 and "witness" in refused.text
    (key,) = alice.http.get("/api/settings/signing-keys").json()
    key_refused = alice.http.get(f"/api/settings/log/{key['index']}.tlog-proof")
    assert key_refused.status_code == 503 and "witness" in key_refused.text
    witness.start()
    answer = until(lambda: (found := alice.http.get(str(refused.url))).status_code == 200 and found)
    proof = Proof(answer.text)
    assert proof.holds(log) and proof.checkpoint.signed_by(friend) and proof.leaf["type"] == "release"
    proof = Proof(alice.http.get(str(key_refused.url)).raise_for_status().text)
    assert proof.holds(log) and proof.checkpoint.signed_by(friend) and proof.leaf["type"] == "key"


# ---- liars


class Liar:
    """A witness whose answers are (status, type, body); a function makes them from the request's body."""

    def __init__(self, answer):
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                liar.asked.append(body)
                status, kind, text = liar.answer(body)
                try:
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except ConnectionError:
                    pass  # whoever asked has waited long enough

            def log_message(self, *_):
                pass

        self.answer, self.asked, self.over = answer, [], threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.private = Ed25519PrivateKey.generate()
        self.name, raw = "liar.example/w", b"\4" + self.private.public_key().public_bytes_raw()
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        self.vkey = f"{self.name}+{self.id.hex()}+{base64.b64encode(raw).decode()}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def line(self, text, stamp=None):
        """What an honest witness answers to the text."""
        stamp = int(time.time()) if stamp is None else stamp
        signature = self.private.sign(b"cosignature/v1\ntime %d\n" % stamp + text.encode())
        blob = base64.b64encode(self.id + stamp.to_bytes(8, "big") + signature).decode()
        return f"\u2014 {self.name} {blob}\n".encode()


def text_of(body):
    """The checkpoint's text in what is submitted."""
    return Checkpoint(body.split("\n\n", 1)[1]).text


@pytest.fixture
def liar():
    liars = []

    def make(answer=None):
        liars.append(Liar(answer))
        return liars[-1]

    yield make
    for one in liars:
        one.over.set()
        one.server.shutdown()
        one.server.server_close()


LIES = {
    "another tree": lambda liar: lambda body: (200, "text/plain", liar.line("another text\n")),
    "garbage": lambda liar: lambda body: (200, "text/html", b"<html>\0\xff"),
    "nothing": lambda liar: lambda body: (200, "text/plain", b""),
    "a line of somebody else": lambda liar: lambda body: (200, "text/plain", "\u2014 else.example AAAAAAAAAAA=\n".encode()),
    "no end": lambda liar: lambda body: (200, "text/plain", liar.line(text_of(body)) * 1000),
    "silence": lambda liar: lambda body: (200, "text/plain", b"" if liar.over.wait(600) else b"the test is over by now"),
    "the size it was asked with": lambda liar: lambda body: (409, "text/x.tlog.size", b"0\n"),
    "no size": lambda liar: lambda body: (409, "text/x.tlog.size", b"many\n"),
    "an error": lambda liar: lambda body: (500, "text/plain", b""),
    "a redirect": lambda liar: lambda body: (307, "text/plain", b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_liar_beside_an_honest_witness_changes_nothing(street, liar, lie):
    hub, witness = street("hub"), street("witness")
    introduce(hub, witness)
    one = liar()
    one.answer = LIES[lie](one)
    witness.start()
    policy_file(hub, ("friend", line_of(witness, "/witness/vkey"), f"{witness.url}/witness"),
                ("liar", one.vkey, one.url), quorum="any")
    hub.start()
    alice = person_at(hub)
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})
    until(lambda: all_cosigned(hub) and one.asked)
    kept = until(lambda: Checkpoint((hub.data / "log/cosigned").read_text()))
    assert kept.signed_by(Key(line_of(witness, "/witness/vkey"))) and not kept.signature_of(Key(one.vkey))
    assert metric(hub, "cairn_witness_alarm") == 0


def test_without_the_liar_the_quorum_is_not_met(street, liar):
    """The twin: where its word is needed, nothing is accepted; when it says the truth, it is."""
    hub = street("hub")
    one = liar()
    one.answer = LIES["another tree"](one)
    policy_file(hub, ("liar", one.vkey, one.url))
    hub.start()
    alice = person_at(hub)
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})
    until(lambda: len(one.asked) > 1)
    assert metric(hub, "cairn_witness_cosigned_size") == 0
    one.answer = lambda body: (200, "text/plain", one.line(text_of(body)))
    until(lambda: all_cosigned(hub))


@pytest.mark.parametrize("status, kind, text, words", [
    (409, "text/plain", b"", "two histories"),
    (409, "text/plain", b"1\n", "two histories"),
    (422, "text/plain", b"", "two histories"),
    (409, "text/x.tlog.size", b"1000000\n", "has cosigned a tree of 1000000 entries"),
])
def test_what_speaks_of_another_history_is_an_alarm(street, liar, status, kind, text, words):
    hub = street("hub")
    one = liar(lambda body: (200, "text/plain", one.line(text_of(body))))
    policy_file(hub, ("liar", one.vkey, one.url))
    hub.start()
    alice = person_at(hub)
    repo = alice.new_repo()
    alice.commit_files(repo, {"a.txt": b"a"})
    until(lambda: all_cosigned(hub))
    one.answer = lambda body: (status, kind, text)
    more = alice.commit_lines(repo, ("file", {"path": "a.txt", "content": "Yg==", "encoding": "base64"}))
    assert more.status_code == 200 or words in more.json()["error"]  # something of the hub's own may have been logged before it
    until(lambda: metric(hub, "cairn_witness_alarm") == 1)
    refused = alice.commit_lines(repo, ("file", {"path": "a.txt", "content": "Yw==", "encoding": "base64"}))
    assert refused.status_code == 503 and words in refused.json()["error"]
    assert alice.read(repo, "a.txt") == (b"b" if more.status_code == 200 else b"a")
    hub.stop()
    assert words in refuses_to_start(hub)


def test_a_witness_that_is_taken_out_of_the_policy_stops_nobody(street, liar):
    """What the alarm's own words tell an operator who knows that the witness is wrong."""
    hub = street("hub")
    one, honest = liar(lambda body: (422, "text/plain", b"")), liar()
    honest.answer = lambda body: (200, "text/plain", honest.line(text_of(body)))
    policy_file(hub, ("liar", one.vkey, one.url), ("honest", honest.vkey, honest.url), quorum="any")
    assert "take its line out of the policy" in refuses_to_start(hub)
    policy_file(hub, ("honest", honest.vkey, honest.url))
    hub.start()
    alice = person_at(hub)
    alice.commit_files(alice.new_repo(), {"a.txt": b"a"})
    until(lambda: all_cosigned(hub))


# ---- what is asked of an operator


def test_a_policy_or_list_that_cannot_be_read_is_told_at_start(street):
    hub = street("hub", "--witness-policy", "/nowhere/policy")
    assert "/nowhere/policy" in refuses_to_start(hub)
    bad = hub.folder / "bad"
    bad.write_text("# fine\nlog nonsense\n")
    for flag in "--witness-policy", "--witness-logs":
        hub.flags = [flag, str(bad)]
        said = refuses_to_start(hub)
        assert str(bad) in said and "Line 2" in said


def test_a_damaged_memory_is_not_started_with(street):
    log, witness = street("log"), street("witness")
    introduce(log, witness)
    witness.start(), log.start()
    until(lambda: all_cosigned(log))
    log.stop(), witness.stop()
    (memory,) = [path for path in (witness.data / "witness").iterdir() if path.name != "key"]
    memory.write_text("")
    assert memory.name in refuses_to_start(witness)


def test_the_memory_is_in_no_backup(street, tmp_path):
    log, witness = street("log"), street("witness")
    introduce(log, witness)
    witness.start(), log.start()
    until(lambda: all_cosigned(log))
    witness.cairn("backup", "--data", witness.data, tmp_path / "copy")
    assert not list((tmp_path / "copy").rglob("witness*"))
