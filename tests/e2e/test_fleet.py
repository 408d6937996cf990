# SPDX-License-Identifier: GPL-3.0-or-later
"""Flower's Fleet API by hand: what its clients send, and what no client of Flower's would."""

import io
import json
import struct

import httpx
import numpy
import pytest
from safetensors.numpy import load

from support import new_name, sha256, until
from test_federate import federate, new_model, open_run, same, start_model


@pytest.fixture(scope="module")
def crowd(hub):
    return [hub.person(new_name("part")) for _ in range(2)]


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """A message as {number: [values]}."""
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if message[at - 1] < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            length = number() if key & 7 == 2 else 8
            value, at = message[at:at + length], at + length
        out.setdefault(key >> 3, []).append(value)
    return out


def npy(array):
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


class Node:
    """A node of Flower 1.8, and of today, by plain HTTP."""

    def __init__(self, person, repo):
        self.url, self.http = person.hub.url, httpx.Client(auth=(repo, person.token), timeout=60)
        answer = self.post("create-node")
        self.number = fields(fields(answer.content)[1][0])[1][0]
        self.old, self.new = field(1, field(1, self.number)), field(1, field(1, self.number >> 1))

    def post(self, name, body=b"", prefix="/api/v0/fleet/"):
        return self.http.post(self.url + prefix + name, content=body, headers={"content-type": "application/protobuf"})

    def pull(self):
        """The task's id and records; None when there is none."""
        tasks = fields(self.post("pull-task-ins", self.old).content).get(2)
        task = fields(tasks[0]) if tasks else None
        return task and (task[1][0].decode(), fields(fields(task[4][0])[9][0]))

    def push(self, task, arrays, examples=10, keys=None, more=b""):
        keys = keys or [str(place) for place in range(len(arrays))]
        record = b"".join(field(1, key) for key in keys)
        record += b"".join(field(2, field(1, "float32") + field(3, "numpy.ndarray") + field(4, array)) for array in arrays)
        count = field(2, field(1, "fitres.num_examples") + field(2, field(1, field(1, "num_examples") + field(2, field(2, 2 * examples)))))
        records = field(1, field(1, "fitres.parameters") + field(2, record)) + count + more
        return self.post("push-task-res", field(1, field(4, field(7, task) + field(8, "train") + field(9, records))))


@pytest.fixture
def training(alice, crowd):
    """A repo in training, a node, and its task."""
    repo = new_model(alice)
    open_run(alice, repo, 2, 1, "--bound", 5)
    node = Node(crowd[0], repo)
    return alice, repo, node, node.pull()[0]


GOOD = [npy(numpy.full(1, 0.5, numpy.float32)), npy(numpy.full(5, 0.25, numpy.float32))]


def rejected(training):
    owner, repo, *_ = training
    return federate(owner, "status", repo)["rejected"]


def test_a_task_holds_the_model_in_the_order_of_its_file_and_what_the_run_asks_for(training):
    _, _, node, _ = training
    name, records = node.pull()
    entry = fields(records[1][0])
    assert entry[1] == [b"fitins.parameters"]
    record = fields(entry[2][0])
    assert record[1] == [b"b", b"w"]
    arrays = [numpy.load(io.BytesIO(fields(value)[4][0])) for value in record[2]]
    assert arrays[0].tobytes() == start_model()["b"].tobytes() and arrays[1].tobytes() == start_model()["w"].tobytes()
    config = dict((fields(item)[1][0], fields(fields(item)[2][0])) for item in fields(fields(records[3][0])[2][0])[1])
    assert config[b"round"] == config[b"server_round"] == {2: [2]} and config[b"rounds"] == {2: [4]}
    assert config[b"bound"] == {1: [struct.pack("<d", 5)]}


def test_a_result_that_is_good_is_taken_once_and_makes_the_round(training):
    owner, repo, node, task = training
    assert node.push(task, GOOD).status_code == 200
    until(lambda: federate(owner, "status", repo)["round"] == 2)
    assert same(load(owner.read(repo, "model.safetensors")), {"b": numpy.full(1, 0.5, numpy.float32), "w": numpy.full(5, 0.25, numpy.float32)})
    again = node.push(task, GOOD)
    assert again.status_code == 409 and "another round" in again.text
    assert federate(owner, "status", repo) == {"state": "open", "round": 2, "participants": 1, "accepted": 1, "rejected": 0, "epsilon": None}


def test_arrays_are_known_by_name_or_by_place(training):
    owner, repo, node, task = training
    assert node.push(task, GOOD[::-1], keys=["w", "b"]).status_code == 200
    until(lambda: load(owner.read(repo, "model.safetensors"))["b"][0] == 0.5)


BAD = {
    "cut off": [GOOD[0], GOOD[1][:-1]],
    "longer than its shape": [GOOD[0], GOOD[1] + b"\0"],
    "another shape": [GOOD[0], npy(numpy.zeros(6, numpy.float32))],
    "arrays, the model has": [GOOD[0]],
    "not a number": [GOOD[0], npy(numpy.full(5, numpy.nan, numpy.float32))],
    "infinite": [npy(numpy.full(1, 1e300)), GOOD[1]],
    "bound": [GOOD[0], npy(numpy.full(5, 9, numpy.float32))],
    "float32 nor float64": [GOOD[0], npy(numpy.zeros(5, numpy.int32))],
    "does not begin like one": [GOOD[0], b"no array at all"],
    "neither": [GOOD[0], npy(numpy.array([None] * 5, object))],
}


@pytest.mark.parametrize("word", BAD)
def test_a_result_that_is_no_update_is_rejected_with_the_reason_and_changes_nothing(training, word):
    owner, repo, node, task = training
    before = owner.head(repo)
    answer = node.push(task, BAD[word])
    assert answer.status_code == 422 and word in answer.text
    assert rejected(training) == 1 and owner.head(repo) == before
    assert node.push(task, GOOD).status_code == 200
    until(lambda: owner.head(repo) != before)


@pytest.mark.parametrize("examples", [0, 1 << 40])
def test_a_result_says_with_how_many_examples(training, examples):
    answer = training[2].push(training[3], GOOD, examples)
    assert answer.status_code == 422 and "num-examples" in answer.text


def test_the_same_array_twice_is_no_model(training):
    answer = training[2].push(training[3], [GOOD[0], GOOD[0]], keys=["b", "b"])
    assert answer.status_code == 422 and "twice" in answer.text


@pytest.mark.parametrize("body", [b"\xff" * 100, field(1, field(4, b"\x0a\x7f")), field(1, 5), b"\x0b", field(1, b""), b"\0\0"])
@pytest.mark.parametrize("name", ["pull-task-ins", "push-task-res", "pull-messages", "push-messages", "push-object", "pull-object"])
def test_what_is_no_message_is_refused_and_counts_for_nothing(training, name, body):
    node = training[2]
    prefix = "/api/v0/fleet/" if "task" in name else "/v1/fleet/"
    assert node.post(name, body, prefix).status_code in (400, 404)
    assert rejected(training) == 0


def test_a_result_longer_than_any_update_is_cut(training):
    answer = training[2].push(training[3], [GOOD[0], GOOD[1] + bytes(3 << 20)])
    assert answer.status_code == 413 and rejected(training) == 0


def test_a_node_has_one_number_and_it_is_no_one_elses(training, alice, crowd):
    _, repo, node, _ = training
    other = Node(crowd[1], repo)
    assert other.number != node.number == Node(crowd[0], repo).number
    for answer in other.post("pull-task-ins", node.old), other.post("pull-messages", node.new, "/v1/fleet/"):
        assert answer.status_code == 404 and "your node" in answer.text


def test_a_wrong_key_or_none_opens_nothing(training):
    _, repo, node, _ = training
    for auth in (repo, "hf_nobodys"), (repo, ""), None:
        answer = httpx.post(f"{node.url}/api/v0/fleet/pull-task-ins", content=node.old, auth=auth)
        assert answer.status_code == 401


def test_a_stranger_to_a_gated_repo_does_not_take_part_and_who_is_let_in_does(alice, crowd):
    repo = new_model(alice)
    open_run(alice, repo, 1, 1)
    assert alice.http.put(f"/api/models/{repo}/gate", json={"mode": "manual", "form": []}).is_success
    stranger = httpx.Client(auth=(repo, crowd[0].token))
    answer = stranger.post(f"{alice.hub.url}/api/v0/fleet/create-node")
    assert answer.status_code == 403 and answer.headers["x-error-code"] == "GatedRepo"
    assert Node(alice, repo).pull() and federate(alice, "status", repo)["participants"] == 1


def test_a_client_that_comes_before_the_run_waits_for_it(alice, crowd):
    repo = new_model(alice)
    node = Node(crowd[0], repo)
    assert node.pull() is None
    open_run(alice, repo, 1, 1)
    assert node.push(node.pull()[0], GOOD).status_code == 200
    until(lambda: federate(alice, "status", repo)["state"] == "finished")
    assert node.pull()[1].keys() == {3}, "told to leave"


# Objects of today's clients.


def entity(kind, body, *children):
    data = f"{kind} {','.join(children)} {len(body)}".encode() + b"\0" + body
    return sha256(data), data


def message_of(arrays, examples=10, cut=0):
    """The objects of a reply: {id: bytes} with the message first, and its tree."""
    objects, trees, names = {}, [], {}
    for name, array in arrays.items():
        chunk, data = entity("ArrayChunk", npy(array)[:-cut or None])
        inner, body = entity("Array", json.dumps({"dtype": str(array.dtype), "shape": array.shape, "stype": "numpy.ndarray", "arraychunk_ids": [0]}).encode(), chunk)
        objects |= {chunk: data, inner: body}
        names[name] = inner
        trees.append(field(2, field(1, inner) + field(2, field(1, chunk))))
    record, body = entity("ArrayRecord", json.dumps(names).encode(), *names.values())
    metrics, count = entity("MetricRecord", field(1, field(1, "num-examples") + field(2, field(2, 2 * examples))))
    content, both = entity("RecordDict", json.dumps({"arrays": record, "metrics": metrics}).encode(), record, metrics)
    root, message = entity("Message", b"", content)
    objects |= {record: body, metrics: count, content: both}
    tree = field(1, root) + field(2, field(1, content) + field(2, field(1, record) + b"".join(trees)) + field(2, field(1, metrics)))
    return {root: message, **objects}, tree


class Today:
    """What a SuperNode does in a round, by hand."""

    def __init__(self, node, prefix="//api/v0/fleet/"):
        self.node, self.prefix = node, prefix

    def post(self, name, body=b""):
        return self.node.post(name, self.node.new + body, self.prefix)

    def pull(self):
        answer = fields(self.post("pull-messages").content)
        return answer.get(2) and fields(fields(answer[2][0])[1][0])[2][0].decode()

    def begin(self, to, tree):
        return self.post("push-messages", field(2, field(1, field(5, to))) + field(3, tree))

    def send(self, name, data):
        return self.post("push-object", field(3, name) + field(4, data))


@pytest.fixture
def today(training):
    node = Today(training[2])
    return training, node, node.pull()


CHANGED = {"b": numpy.full(1, 0.5, numpy.float32), "w": numpy.full(5, 0.25, numpy.float32)}


def test_objects_come_in_any_order_and_what_is_there_need_not_come_again(today):
    (owner, repo, *_), node, to = today
    objects, tree = message_of(CHANGED)
    assert set(value.decode() for value in fields(node.begin(to, tree).content)[3]) == set(objects)
    names = sorted(objects)
    for name in names[:3]:
        assert node.send(name, objects[name]).status_code == 200
    missing = [value.decode() for value in fields(node.begin(to, tree).content)[3]]
    assert set(missing) == set(names[3:])
    for name in missing:
        assert node.send(name, objects[name]).status_code == 200
    until(lambda: federate(owner, "status", repo)["round"] == 2)
    assert same(load(owner.read(repo, "model.safetensors")), CHANGED)
    assert node.begin(to, tree).status_code == 409, "the round that it answers is over"


def test_the_model_is_pulled_by_objects_whose_names_are_their_digests(today):
    (_, _, node, _), modern, to = today
    found = {}
    seen = [to]
    while seen:
        name = seen.pop()
        answer = fields(modern.post("pull-object", field(3, name)).content)
        assert answer[1] == answer[2] == [1] and sha256(answer[3][0]) == name
        head, _, found[name] = answer[3][0].partition(b"\0")
        seen += [child for child in head.decode().split(" ")[1].split(",") if child]
    assert sorted(numpy.load(io.BytesIO(body)).tobytes() for body in found.values() if body.startswith(b"\x93NUMPY")) == sorted(
        array.tobytes() for array in start_model().values())
    assert modern.post("pull-object", field(3, "0" * 64)).content == b""


@pytest.mark.parametrize("word, arrays, cut", [
    ("another shape", {**CHANGED, "w": numpy.zeros(6, numpy.float32)}, 0),
    ("not a number", {**CHANGED, "w": numpy.full(5, numpy.nan, numpy.float32)}, 0),
    ("bound", {**CHANGED, "w": numpy.full(5, 9, numpy.float32)}, 0),
    ("cut off", CHANGED, 1),
    ("none of the model's", {"b": CHANGED["b"], "v": CHANGED["w"]}, 0),
])
def test_a_message_that_is_no_update_is_rejected_and_leaves_nothing(today, word, arrays, cut):
    (owner, repo, *_), node, to = today
    objects, tree = message_of(arrays, cut=cut)
    node.begin(to, tree)
    answers = [node.send(name, data) for name, data in objects.items()]
    assert answers[-1].status_code == 422 and word in answers[-1].text
    assert rejected(today[0]) == 1 and federate(owner, "status", repo)["round"] == 1
    assert len(fields(node.begin(to, tree).content)[3]) == len(objects), "all has to come again"


def test_an_object_with_another_digest_or_of_no_message_is_refused(today):
    training, node, to = today
    objects, tree = message_of(CHANGED)
    node.begin(to, tree)
    name, data = next(iter(objects.items()))
    assert node.send(name, data + b"x").status_code == 400
    assert node.send(sha256(b"other"), b"other").status_code == 404
    assert len(fields(node.begin(to, tree).content)[3]) == len(objects) and rejected(training) == 0


def test_objects_that_do_not_fit_together_are_rejected(today):
    training, node, to = today
    root, message = entity("Message", b"", "0" * 64)
    node.begin(to, field(1, root))
    answer = node.send(root, message)
    assert answer.status_code == 422 and "not in the message's tree" in answer.text and rejected(training) == 1


def test_a_reply_to_another_message_is_refused(today):
    training, node, _ = today
    answer = node.begin("0" * 64, message_of(CHANGED)[1])
    assert answer.status_code == 409 and rejected(training) == 0


def test_a_tree_without_end_is_refused(today):
    training, node, to = today
    tree = field(1, "0" * 64)
    for _ in range(20):
        tree = field(1, "0" * 64) + field(2, tree)
    assert node.begin(to, tree).status_code == 400
