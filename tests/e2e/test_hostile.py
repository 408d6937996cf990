# SPDX-License-Identifier: GPL-3.0-or-later
"""What people send who mean harm, or whose line broke: a clear refusal, and nothing lost."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support import add, answered, sha256, until

TRICKS = ["../up.txt", "a/../../up.txt", "..", ".", "a/./b", "/absolute", "//x", "a//b", "a/..", ".git/config", "a/.git/x", ".GIT/x",
          "git~1/x", ".git./x", ".gi\u200ct/x", "back\\slash", "..\\ddd", "nul\0byte", "new\nline", "tab\tab", "del\x7f", "", " /../x",
          "x" * 256, "a/" * 2048 + "x", "x" * 4096]


def file_line(path):
    return "file", {"path": path, "content": "YQ==", "encoding": "base64"}


def unchanged(alice, repo):
    return alice.files(repo) == [".gitattributes"] and alice.titles(repo) == ["initial commit"]


@pytest.mark.parametrize("path", TRICKS, ids=[ascii(path)[:24] for path in TRICKS])
def test_a_path_with_a_trick_is_refused(alice, repo, path):
    for line in file_line(path), ("lfsFile", {"path": path, "algo": "sha256", "oid": sha256(b"x"), "size": 1}), \
            ("deletedFile", {"path": path}):
        refused = alice.commit_lines(repo, file_line("good.txt"), line)
        assert 400 <= refused.status_code < 500, line[0]
        assert refused.json()["error"]
    assert unchanged(alice, repo)


def test_a_backslash_is_422(alice, repo):
    assert alice.commit_lines(repo, file_line("..\\ddd")).status_code == 422


def test_a_path_that_is_not_utf8_is_refused(alice, repo):
    body = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"\xff\xfe","content":""}}\n'
    refused = alice.http.post(f"/api/models/{repo}/commit/main", content=body, headers={"content-type": "application/x-ndjson"})
    assert 400 <= refused.status_code < 500 and unchanged(alice, repo)


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "%2e%2e/x", "%00", "a%00b", "%ff", "%", "%zz", "%2", ".git/config", "a" * 4096,
                                  "%2e", "a%2f%2e%2e%2fb", "%5c..%5c", "../" * 30 + "etc/passwd"])
@pytest.mark.parametrize("route", ["/{repo}/resolve/main/", "/{repo}/raw/main/", "/api/models/{repo}/tree/main/"])
def test_reading_by_a_trick_finds_nothing(hub, repo, route, path):
    status, _, body = raw_request(hub, f"GET {route.format(repo=repo)}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    assert 400 <= status < 500
    assert b"root:" not in body


def raw_request(hub, data, wait=60):
    """Sends bytes as they are and reads until the hub closes; returns status, head and body."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=wait) as line:
        line.sendall(data)
        answer = b""
        try:
            while piece := line.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionResetError):
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else None, head, body


SMUGGLED = {
    "both lengths": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "length is no number": b"content-length: 5x\r\n\r\nhello",
    "negative length": b"content-length: -5\r\n\r\nhello",
    "length with plus": b"content-length: +5\r\n\r\nhello",
    "huge length": b"content-length: 99999999999999999999\r\n\r\nhello",
    "space before colon": b"content-length : 5\r\n\r\nhello",
    "folded header": b"x-a: b\r\n folded\r\n\r\n",
    "bare line feed": b"x-a: b\nx-c: d\r\n\r\n",
    "nul in value": b"x-a: b\0c\r\n\r\n",
    "unknown coding": b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "odd coding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "second host": b"host: y\r\n\r\n",
    "bad chunk size": b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "huge chunk size": b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("tail", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_smuggling_is_refused_and_the_line_closed(hub, tail):
    second = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    status, _, rest = raw_request(hub, b"POST /api/validate-yaml HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" + tail + second)
    assert status in (400, 413, 501)
    assert b"HTTP/1.1 200" not in rest, "what followed was not taken for a request"


MALFORMED = {
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "absolute form": b"GET http://x/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "version 2": b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
    "unknown method": b"BREW /pot HTTP/1.1\r\nhost: x\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 9000 + b"\r\n",
    "long target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("first", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_head_gets_a_clean_no(hub, first):
    status, _, body = raw_request(hub, first)
    assert status in (400, 405, 414, 431, 501, 505)
    assert b"\r\n" not in body and hub.answers()


BOMBS = {
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a long number": b"1" * 500_000,
    "nothing": b"",
    "no json": b"hello",
    "a list": b"[]",
    "null": b"null",
    "double keys": b'{"key":"header","key":"file","value":{}}',
    "bad utf8": b'{"key":"\xff"}',
    "a nul": b'{"key":"header","value":{"summary":"a\\u0000b"}}',
    "nan": b'{"key":NaN}',
    "half a pair": b'{"key":"header","value":{"summary":"\\ud800"}}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_json_bombs_fizzle(alice, repo, bomb):
    header = b'{"key":"header","value":{"summary":"s"}}\n'
    posts = [(f"/api/models/{repo}/commit/main", bomb), (f"/api/models/{repo}/commit/main", header + bomb + b"\n" + bomb),
             ("/api/repos/create", bomb), (f"/api/models/{repo}/preupload/main", bomb), (f"/api/models/{repo}/tag/main", bomb),
             (f"/{repo}.git/info/lfs/objects/batch", bomb), ("/api/validate-yaml", bomb), (f"/api/models/{repo}/paths-info/main", bomb)]
    for path, body in posts:
        answer = alice.http.post(path, content=body, headers={"content-type": "application/json"})
        fine = (path.endswith("/commit/main") and body == header + b"\n") or path.endswith(("validate-yaml", "paths-info/main"))
        assert answer.status_code < 500, path
        assert fine or answer.status_code >= 400, path
    assert alice.files(repo) == [".gitattributes"]


def test_a_yaml_bomb_does_not_grow(anyone):
    bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)) + "---\n"
    started = time.monotonic()
    assert anyone.http.post("/api/validate-yaml", json={"content": bomb, "repoType": "model"}).status_code in (200, 400, 413)
    assert time.monotonic() - started < 20


def test_a_body_without_end_is_cut_off(hub, alice):
    def endless():
        for _ in range(200):
            yield b" " * (1 << 20)

    try:
        assert alice.http.post("/api/repos/create", content=endless()).status_code == 413
    except httpx.TransportError:
        pass  # the hub hung up while we were still sending: as good
    assert hub.answers()


def test_one_endless_line_of_a_commit_is_cut_off(hub, alice, repo):
    def endless():
        yield b'{"key":"header","value":{"summary":"'
        for _ in range(100):
            yield b"x" * (1 << 20)

    try:
        assert alice.http.post(f"/api/models/{repo}/commit/main", content=endless()).status_code in (400, 413)
    except httpx.TransportError:
        pass
    assert hub.answers() and unchanged(alice, repo)


def test_100000_lines_in_one_commit(alice, repo):
    lines = [json.dumps({"key": "header", "value": {"summary": "many"}})]
    lines += [f'{{"key":"file","value":{{"path":"d{n % 100}/{n}.txt","content":"YQ==","encoding":"base64"}}}}' for n in range(100_000)]
    answer = alice.http.post(f"/api/models/{repo}/commit/main", content="\n".join(lines).encode(), timeout=300,
                             headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    assert len(list(alice.api.list_repo_tree(repo, "d99"))) == 1000
    assert alice.read(repo, "d0/99900.txt") == b"a"


def test_a_commit_that_breaks_off_changes_nothing(hub, alice, repo):
    whole = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"a","content":"YQ==","encoding":"base64"}}\n'
    head = (f"POST /api/models/{repo}/commit/main HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {alice.token}\r\n"
            f"content-type: application/x-ndjson\r\ncontent-length: {len(whole) + 500}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", hub.port)) as line:
        line.sendall(head + whole)
    time.sleep(0.3)
    assert unchanged(alice, repo)


def test_an_upload_that_breaks_off_leaves_nothing(hub, alice, repo):
    data = b"\0half" * 100_000
    href = alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]["actions"]["upload"]["href"]
    head = f"PUT {href.removeprefix(hub.url)} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", hub.port)) as line:
            line.sendall(head + data[:len(data) // 2])
    assert "actions" in alice.batch(repo, (sha256(data), len(data))).json()["objects"][0]
    assert httpx.put(href, content=data).is_success
    alice.commit(repo, add("w.bin", data))
    assert alice.read(repo, "w.bin") == data


def test_two_commits_race_and_one_wins(alice, repo):
    for number in range(10):
        head = alice.head(repo)

        def race(name):
            return alice.commit_lines(repo, file_line(f"{number}-{name}.txt"), header={"summary": name, "parentCommit": head})

        with ThreadPoolExecutor(4) as runners:
            answers = sorted(answer.status_code for answer in runners.map(race, "abcd"))
        assert answers == [200, 412, 412, 412]
    assert len(alice.files(repo)) == 11 and len(alice.titles(repo)) == 11


def test_a_race_to_create_has_one_winner(alice, bob, hub):
    org = hub.org("race-course", alice="write", bob="write")

    def create(person):
        return person.http.post("/api/repos/create", json={"name": "prize", "organization": org}).status_code

    with ThreadPoolExecutor(8) as runners:
        assert sorted(runners.map(create, [alice, bob] * 4)) == [200] + [409] * 7


def test_slow_clients_do_not_stop_the_others(hub, alice, repo):
    lines = [socket.create_connection(("127.0.0.1", hub.port)) for _ in range(200)]
    try:
        for line in lines:
            line.sendall(b"POST /api/validate-yaml HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert alice.api.model_info(repo).id == repo
        alice.commit_files(repo, {"a.txt": b"a"})
        assert not answered(lines), "while the hub still waits for all of them"
    finally:
        for line in lines:
            line.close()


def test_a_head_that_never_ends_is_cut_off(hub):
    with socket.create_connection(("127.0.0.1", hub.port), timeout=60) as line:
        line.settimeout(1)
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")

        def is_cut_off():
            try:
                line.sendall(b"x-drip: 1\r\n")
                line.recv(1000)
            except TimeoutError:
                return False
            except OSError:
                pass
            return True

        until(is_cut_off)


def test_a_pipelined_line_answers_in_order(hub):
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    two = b"GET /api/agent-harnesses HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    _, _, rest = raw_request(hub, one + two)
    assert b"HTTP/1.1 200" in rest and b"harnesses" in rest


def test_control_characters_in_titles_do_no_harm(alice, repo):
    answer = alice.commit_lines(repo, file_line("a.txt"), header={"summary": "a\u001b[31mred\r\nX-Evil: 1", "description": "d\u0007"})
    assert answer.status_code in (200, 400, 422)
    assert "x-evil" not in answer.headers
    assert alice.http.get(f"/api/models/{repo}/commits/main").status_code == 200


@pytest.mark.parametrize("header", [{}, {"summary": ""}, {"summary": None}, {"summary": "s", "parentCommit": "main"},
                                    {"summary": "s", "parentCommit": "abc"}, {"summary": "s", "parentCommit": "0" * 41}])
def test_a_bad_header_is_refused(alice, repo, header):
    assert 400 <= alice.commit_lines(repo, file_line("a.txt"), header=header).status_code < 500
    assert unchanged(alice, repo)


def test_a_file_and_a_folder_of_one_name_cannot_be(alice, repo):
    answer = alice.commit_lines(repo, file_line("x"), file_line("x/y"))
    assert answer.status_code < 500
    paths = alice.files(repo)
    assert not ("x" in paths and "x/y" in paths)
