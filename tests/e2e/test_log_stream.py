# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wants to know of each new state of the log need not ask again and again: GET /log/stream."""

import asyncio
import contextlib
import re
import socket

import httpx
import pytest

from support import add, until
from tlog import Checkpoint, Log


def events(lines):
    """Reads server-sent events as the HTML standard has them: (event, id, data)."""
    name, id_, data = None, None, []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield name, id_, "\n".join(data)
            name, data = None, []
        elif field == "event":
            name = value
        elif field == "id":
            id_ = value
        elif field == "data":
            data.append(value)
        else:
            assert field == "", line  # a comment


@contextlib.contextmanager
def listening(hub):
    """Somebody without an account who listens; gives checkpoints whose signatures hold."""
    with httpx.Client(base_url=hub.url, timeout=60) as client:
        key = Log(client).key
        with client.stream("GET", "/log/stream") as answer:
            assert answer.status_code == 200, answer.read()
            yield answer, checked(events(answer.iter_lines()), key)


def checked(stream, key):
    for name, id_, data in stream:
        checkpoint = Checkpoint(data)
        assert name == "checkpoint" and id_ == str(checkpoint.size)
        assert checkpoint.origin == key.name and checkpoint.signed_by(key)
        yield checkpoint


def up_to(stream, size):
    """Listens until the log is that large; sizes only grow."""
    sizes = [next(stream).size]
    while sizes[-1] < size:
        sizes.append(next(stream).size)
        assert sizes[-1] > sizes[-2]
    return sizes


def metric(person, name):
    return int(re.search(rf"^{name} (\d+)$", person.http.get("/metrics").text, re.M)[1])


def test_a_listener_gets_the_newest_checkpoint_at_once_exactly_as_it_is_published(own_hub):
    alice = own_hub.person("alice")
    alice.new_repo()
    with listening(own_hub) as (answer, stream):
        first = next(stream)
        while first.note != (published := Log(alice.http).checkpoint()).note:  # a job has logged something meanwhile
            assert first.size < published.size
            first = next(stream)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_listener_sees_the_log_grow_with_each_commit(hub, alice, repo):
    log = Log(alice.http)
    with listening(hub) as (_, stream):
        up_to(stream, log.checkpoint().size)
        for number in range(5):
            alice.commit(repo, add("a.txt", b"%d" % number))
            up_to(stream, log.checkpoint().size)


def test_what_is_announced_is_there_to_be_read(hub, alice, repo):
    log = Log(alice.http)
    with listening(hub) as (_, stream):
        up_to(stream, log.checkpoint().size)
        alice.commit(repo, add("a.txt", b"a"))
        announced = next(stream)
        assert log.checkpoint().size >= announced.size
        assert len(log.entries(announced.size)) == announced.size


def test_an_announcement_that_somebody_changed_on_its_way_is_known_as_such(hub, repo):
    with listening(hub) as (_, stream):
        honest = next(stream)
    with httpx.Client(base_url=hub.url) as client:
        key = Log(client).key
    forged = Checkpoint(honest.note.replace(f"\n{honest.size}\n", f"\n{honest.size + 1}\n", 1))
    assert forged.size == honest.size + 1 and not forged.signed_by(key)


def test_two_hundred_listeners_cost_no_threads(own_hub):
    alice = own_hub.person("alice")
    repo = alice.new_repo()
    threads = metric(alice, "cairn_threads")

    async def everybody():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=own_hub.url, timeout=120, limits=limits) as client, contextlib.AsyncExitStack() as stack:
            answers = [await stack.enter_async_context(client.stream("GET", "/log/stream")) for _ in range(200)]
            assert all(answer.status_code == 200 for answer in answers)
            assert metric(alice, "cairn_connections") >= 200
            # Threads are added when all are busy, whoever keeps them so, and leave again; a thread a listener would be 200 more, and stay.
            await asyncio.to_thread(until, lambda: metric(alice, "cairn_threads") <= threads + 20)
            await asyncio.to_thread(alice.commit, repo, add("a.txt", b"a"))
            size = Log(alice.http).checkpoint().size
            await asyncio.gather(*(hears(answer, size) for answer in answers))

    async def hears(answer, size):
        async for line in answer.aiter_lines():
            if line.startswith("id: ") and int(line[4:]) >= size:
                return

    asyncio.run(everybody())


def test_a_listener_comes_back_after_a_restart_and_gets_the_new_state(own_hub):
    alice = own_hub.person("alice")
    repo = alice.new_repo()
    with listening(own_hub) as (_, stream):
        before = next(stream)
        own_hub.stop()  # which does not wait for those who listen
        assert all(later.size > before.size for later in stream)  # and the stream ends as a whole answer does
    own_hub.start()
    alice.commit(repo, add("a.txt", b"a"))
    with listening(own_hub) as (_, stream):
        assert next(stream).size > before.size


def test_a_listener_of_a_killed_hub_notices(own_hub):
    own_hub.person("alice").new_repo()
    with listening(own_hub) as (_, stream):
        next(stream)
        own_hub.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(stream)
    own_hub.start()


def test_the_head_can_be_asked_for_and_other_methods_are_refused(hub, anyone):
    answer = anyone.http.head("/log/stream")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/event-stream"
    refused = anyone.http.post("/log/stream", content=b"")
    assert refused.status_code == 405 and refused.headers["allow"] == "GET, HEAD"


def test_an_old_client_gets_the_events_without_chunks(hub):
    with socket.create_connection(("127.0.0.1", hub.port), timeout=60) as client:
        client.sendall(b"GET /log/stream HTTP/1.0\r\n\r\n")
        heard = b""
        while b"\n\n" not in heard.partition(b"\r\n\r\n")[2]:
            more = client.recv(65536)
            assert more
            heard += more
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"chunked" not in head and body.startswith(b"event: checkpoint\nid: ")
