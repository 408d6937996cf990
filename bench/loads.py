# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clients do: plain HTTP over sockets, so that the load costs little beside the servers."""

import base64
import json
import re
import socket
import subprocess
import threading

MIB = 1 << 20
SINK = bytearray(4 * MIB)  # never written: with MSG_TRUNC the kernel drops what is received


class Http:
    """One keep-alive connection."""

    def __init__(self, port, token=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token = token
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_head(self, method, path, length=None, headers=None):
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def read_head(self):
        """(status, headers by lower-case name); what came of the body already stays in self.pending."""
        while b"\r\n\r\n" not in self.pending:
            self.receive()
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        return int(status.split()[1]), {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}

    def receive(self):
        got = self.socket.recv(256 << 10)
        if not got:
            raise ConnectionError("the server closed the connection")
        self.pending += got

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        self.socket.sendall(self.send_head(method, path, None if body is None else len(body), headers) + (body or b""))
        status, fields = self.read_head()
        length = int(fields.get("content-length", 0)) if method != "HEAD" else 0
        while len(self.pending) < length:
            self.receive()
        content, self.pending = self.pending[:length], self.pending[length:]
        return status, fields, content

    def ask_json(self, method, path, body=None):
        text = None if body is None else json.dumps(body).encode()
        status, _, content = self.ask(method, path, text, {"Content-Type": "application/json"})
        assert status < 300, (status, content)
        return json.loads(content or b"null")

    def put(self, path, size, pieces):
        self.socket.sendall(self.send_head("PUT", path, size))
        for piece in pieces:
            self.socket.sendall(piece)
        status, fields = self.read_head()
        assert status == 200, status
        return fields

    def drop(self, path, first=None, last=None, after_piece=lambda got: None):
        """GET of the whole or of a range; the body is thrown away by the kernel. The number of bytes that came."""
        headers = {} if first is None else {"Range": f"bytes={first}-{last}"}
        self.socket.sendall(self.send_head("GET", path, headers=headers))
        status, fields = self.read_head()
        assert status in (200, 206), status
        length = int(fields["content-length"])
        left = length - len(self.pending)
        self.pending = b""
        while left > 0:
            got = self.socket.recv_into(SINK, min(left, len(SINK)), socket.MSG_TRUNC)
            if not got:
                raise ConnectionError("the server closed the connection")
            left -= got
            after_piece(got)
        return length


def in_threads(jobs):
    """Runs the jobs at once and fails when one of them fails."""
    failures = []

    def run(job):
        try:
            job()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def path_of(href):
    return "/" + href.split("/", 3)[3]


def commit_body(files):
    """An NDJSON commit of small files, {path: bytes}, or of objects that were uploaded, {path: (sha256, size)}."""
    lines = [{"key": "header", "value": {"summary": "bench", "description": ""}}]
    for path, content in files.items():
        if isinstance(content, tuple):
            value = {"path": path, "algo": "sha256", "oid": content[0], "size": content[1]}
            lines.append({"key": "lfsFile", "value": value})
        else:
            value = {"content": base64.b64encode(content).decode(), "path": path, "encoding": "base64"}
            lines.append({"key": "file", "value": value})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def commit(http, repo, body):
    status, _, answer = http.ask("POST", f"/api/models/{repo}/commit/main", body, {"Content-Type": "application/x-ndjson"})
    assert status == 200, (status, answer)


def batch(http, repo, oid, size, transfer):
    """Where the object goes: the actions of the LFS batch's answer."""
    body = {"operation": "upload", "transfers": [transfer], "hash_algo": "sha256", "objects": [{"oid": oid, "size": size}]}
    return http.ask_json("POST", f"/{repo}.git/info/lfs/objects/batch", body)["objects"][0]["actions"]["upload"]


def list_tree(http, repo):
    """The number of entries over all pages."""
    count, path = 0, f"/api/models/{repo}/tree/main?recursive=true&expand=false"
    while path:
        status, fields, content = http.ask("GET", path)
        assert status == 200, (status, content)
        count += content.count(b'"type":')
        following = re.match(r'<([^>]*)>; rel="next"', fields.get("link", ""))
        path = path_of(following[1]) if following else None
    return count


def wrk(cores, port, path, seconds, token=None):
    """64 keep-alive connections: {"rate": requests/s, "p99": ms, "count": requests}."""
    command = ["taskset", "-c", ",".join(map(str, cores)), "wrk", "-t", str(len(cores)), "-c", "64", "-d", f"{seconds}s", "--latency"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", done).groups()
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),
        "p99": float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        "count": int(re.search(r"(\d+) requests in", done)[1]),
    }
