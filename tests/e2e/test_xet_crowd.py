# SPDX-License-Identifier: GPL-3.0-or-later
"""Many who upload chunks at once: the same ones, different ones, and files made of each other's."""

import os
import random
import threading

import pytest

import xet
from support import Person
from xet import File, Session, Xorb, cut, shard

THREADS = 8


@pytest.fixture
def crowd(own_hub):
    """People with accounts of their own, and one repo of each."""
    people = [own_hub.person(f"person{number}") for number in range(THREADS)]
    return [(person, person.new_repo()) for person in people]


def all_at_once(work, *argument_lists):
    """Runs work(...) in one thread for each list, all let go in the same moment; returns what they return."""
    gate, results = threading.Barrier(len(argument_lists)), [None] * len(argument_lists)

    def run(number, arguments):
        gate.wait()
        results[number] = work(*arguments)

    threads = [threading.Thread(target=run, args=(number, arguments)) for number, arguments in enumerate(argument_lists)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def some_xorbs(seed, count=6):
    pick = random.Random(seed)
    return [Xorb(cut(pick.randbytes(pick.randrange(100_000, 400_000))), scheme=number % 3) for number in range(count)]


def upload_all(person, repo, xorbs, seed):
    """Sends xorbs in an order of its own, names a file of each as it goes, and one of all of them at the end; returns the files."""
    order, session, files = xorbs[:], Session(person, repo), []
    random.Random(seed).shuffle(order)
    for number, xorb in enumerate(order):
        assert session.post_xorb(xorb).status_code == 200
        files.append(File([(xorb, 0, len(xorb.chunks))]))
        answer = session.post_shard(shard([files[-1]], [xorb]), version=1 + number % 2)
        assert answer.status_code == 200 and "error" not in answer.text
    files.append(File([(xorb, 0, 1) for xorb in xorbs]))
    assert session.post_shard(shard([files[-1]], xorbs)).status_code == 200
    return files


def assert_they_read_back(person, repo, files):
    session = Session(person, repo, write=False)
    for file in files:
        assert xet.read_plan(person.http, session.plan(file.hash).json()) == file.data


def containers(hub):
    return [path for path in (hub.data / "store" / "containers").rglob("*") if path.is_file()]


def sound(hub):
    return hub.cairn("fsck", "--data", hub.data).stdout == "all is well\n"


def test_the_same_xorbs_and_files_by_all_at_once_are_kept_once(own_hub, crowd):
    xorbs = some_xorbs(1)
    uploads = [(person, repo, xorbs, number) for number, (person, repo) in enumerate(crowd)]
    for (person, repo), files in zip(crowd, all_at_once(upload_all, *uploads), strict=True):
        assert_they_read_back(person, repo, files)
    assert len(containers(own_hub)) == len(xorbs)
    assert sound(own_hub)


def test_different_xorbs_by_all_at_once_are_all_kept(own_hub, crowd):
    uploads = [(person, repo, some_xorbs(100 + number), number) for number, (person, repo) in enumerate(crowd)]
    for (person, repo), files in zip(crowd, all_at_once(upload_all, *uploads), strict=True):
        assert_they_read_back(person, repo, files)
    assert len(containers(own_hub)) == sum(len(xorbs) for _, _, xorbs, _ in uploads)
    assert sound(own_hub)


def test_one_person_with_many_lines_gets_one_yes_for_each_xorb(own_hub):
    person = own_hub.person("busy")
    session, xorb = Session(person, person.new_repo()), Xorb(cut(os.urandom(500_000)))
    answers = all_at_once(session.post_xorb, *[[xorb]] * THREADS)
    assert sorted(answer.json()["was_inserted"] for answer in answers) == [False] * (THREADS - 1) + [True]
    file = File([(xorb, 0, len(xorb.chunks))])
    assert {answer.status_code for answer in all_at_once(session.post_shard, *[[shard([file], [xorb])]] * THREADS)} == {200}
    assert session.plan(file.hash).status_code == 200 and len(containers(own_hub)) == 1


def test_liars_among_them_spoil_nothing(own_hub, crowd):
    """Half of them send other bytes, or other claims, under the hashes of the rest."""
    good, bad = some_xorbs(2), some_xorbs(3)
    for true, false in zip(good, bad, strict=True):
        false.hash = true.hash

    def lie(person, repo, xorbs, seed):
        session = Session(person, repo)
        return [session.post_xorb(xorb).status_code for xorb in xorbs] + [
            session.post_shard(shard([File([(xorb, 0, 1)], proof=bytes(32))], [xorb])).status_code for xorb in xorbs]

    def work(number, *arguments):
        return (lie if number % 2 else upload_all)(*arguments)

    results = all_at_once(work, *[(number, person, repo, bad if number % 2 else good, number)
                                  for number, (person, repo) in enumerate(crowd)])
    for number, (person, repo) in enumerate(crowd):
        if number % 2:
            assert set(results[number]) == {400}
        else:
            assert_they_read_back(person, repo, results[number])
    assert sound(own_hub)


def test_plain_uploads_and_xet_uploads_of_the_same_bytes_meet(own_hub, crowd):
    xorbs = some_xorbs(4)

    def send(person, repo, seed):
        for xorb in random.Random(seed).sample(xorbs, len(xorbs)):
            file = File([(xorb, 0, len(xorb.chunks))])
            if seed % 2:
                Session(person, repo).upload(xorb, file)
            else:
                person.put_object(repo, file.data)
            line = ("lfsFile", {"path": file.sha256, "algo": "sha256", "oid": file.sha256, "size": len(file.data)})
            assert person.commit_lines(repo, line).status_code == 200
            assert Person(person.hub, person.name, person.token).read(repo, file.sha256) == file.data
        return True

    assert all(all_at_once(send, *[(person, repo, number) for number, (person, repo) in enumerate(crowd)]))
    assert sound(own_hub)
