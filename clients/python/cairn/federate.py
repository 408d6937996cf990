# SPDX-License-Identifier: LGPL-3.0-or-later
"""Takes part in federated training: your data stay with you, what they teach the model goes to the hub.

    import cairn.federate

    def train(model, config):
        for epoch in range(2):
            ...                       # model: a dict of numpy arrays, yours to change
        return model, len(examples)   # and with how many examples it was trained

    cairn.federate.join("https://hub.example.org", token, "clinic/flora", train)

A thin binding of libcairn (include/cairn/federate.h). Needs numpy.
"""

import ctypes
import json
import os
import sys

import numpy

from . import _load

__all__ = ["NotAccepted", "identity", "join", "judge"]


class NotAccepted(Exception):
    """The hub does not let you take part, has rejected an update, or has stopped the training."""


class _Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_int64)), ("dimensions", ctypes.c_size_t),
                ("values", ctypes.POINTER(ctypes.c_float)), ("count", ctypes.c_size_t)]


class _Trained(ctypes.Structure):
    _fields_ = [("tensors", ctypes.POINTER(_Tensor)), ("count", ctypes.c_size_t), ("examples", ctypes.c_int64),
                ("correction", ctypes.POINTER(_Tensor)), ("steps", ctypes.c_int64), ("rate", ctypes.c_double)]


class _Score(ctypes.Structure):
    _fields_ = [("loss", ctypes.c_double), ("metrics", ctypes.c_char_p)]


_Train = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Trained))
_Judge = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Tensor), ctypes.c_size_t,
                          ctypes.POINTER(_Score))
_Progress = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
_TRAINED, _REFUSED, _MISUSED, _UNABLE, _GIVEN_UP = range(5)
_ready = None


def _library():
    global _ready
    if _ready is None:
        library = _load()
        for name, result, arguments in (
            ("cairn_federate_new", ctypes.c_void_p, []),
            ("cairn_federate_free", None, [ctypes.c_void_p]),
            ("cairn_federate_set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]),
            ("cairn_federate_identity", ctypes.c_char_p, [ctypes.c_void_p]),
            ("cairn_federate_on_progress", None, [ctypes.c_void_p, _Progress, ctypes.c_void_p]),
            ("cairn_federate_run", ctypes.c_int, [ctypes.c_void_p, _Train, ctypes.c_void_p]),
            ("cairn_federate_judge", ctypes.c_int, [ctypes.c_void_p, _Judge, ctypes.c_void_p]),
            ("cairn_federate_why", ctypes.c_char_p, [ctypes.c_void_p]),
        ):
            getattr(library, name).restype = result
            getattr(library, name).argtypes = arguments
        _ready = library
    return _ready


def _take(spare, name):
    """An array of the round before, and how many have it."""
    array = spare.pop(name, None)
    return array, sys.getrefcount(array) if array is not None else 0


_ALONE = _take({"": numpy.empty(0)}, "")[1]
_SPARE_MOST = 64 << 20


def _arrays(tensors, count, spare=None):
    """Arrays of the round before that nobody has kept, nor changed but for their numbers, are used again: memory that is new costs more than
    what is copied into it."""
    spare, arrays = {} if spare is None else spare, {}
    for tensor in tensors[:count]:
        name, shape = tensor.name.decode(), tuple(tensor.shape[:tensor.dimensions])
        array, users = _take(spare, name)
        if users != _ALONE or array.shape != shape or array.dtype != numpy.float32 or not array.flags.carray:
            array = numpy.empty(shape, numpy.float32)
        arrays[name] = array
        ctypes.memmove(array.ctypes.data, tensor.values, array.nbytes)
    spare.clear()
    if sum(array.nbytes for array in arrays.values()) <= _SPARE_MOST:
        spare.update(arrays)
    return arrays


class _Result:
    """What training gave, kept in place while libcairn reads it. Tensors stand in the model's order; the hub judges them."""

    def __init__(self, arrays, order):
        names = [name for name in order if name in arrays] + [name for name in arrays if name not in order]
        self.arrays = [numpy.ascontiguousarray(arrays[name], numpy.float32).reshape(numpy.shape(arrays[name])) for name in names]
        self.shapes = [(ctypes.c_int64 * max(1, array.ndim))(*array.shape) for array in self.arrays]
        self.tensors = (_Tensor * max(1, len(names)))()
        for tensor, name, array, shape in zip(self.tensors, names, self.arrays, self.shapes):
            tensor.name, tensor.shape, tensor.dimensions = name.encode(), shape, array.ndim
            tensor.values, tensor.count = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), array.size
        self.count = len(names)


def _set(library, handle, **settings):
    for name, value in settings.items():
        library.cairn_federate_set(handle, name.encode(), None if value is None else os.fsencode(str(value)))


def identity(state=None):
    """The key, as 64 hex digits, that others put into their file of `peers`; `state` is the folder in which it is kept."""
    library = _library()
    handle = library.cairn_federate_new()
    try:
        _set(library, handle, state=state)
        found = library.cairn_federate_identity(handle)
        if found is None:
            raise OSError(library.cairn_federate_why(handle).decode(errors="replace"))
        return found.decode()
    finally:
        library.cairn_federate_free(handle)


def join(url, token, repo, train, *, progress=None, patience=None, state=None, peers=None, house=None):
    """Joins the federated training of `repo` at the hub at `url`, and returns when its last round is over.

    train(model, config) is called for each round: model is a dict of numpy arrays (float32), config a dict with "round",
    "rounds" and the other settings of the training. It returns what became of the model, and with how many examples it
    was trained. Where the training has a bound, what goes farther from the model is drawn back to it.

    Where the rule is scaffold, config has a "correction", a dict of arrays that is to be added to the gradient in each step;
    train sets config["steps"] and config["rate"], in how many steps and at which rate it trained. What belongs to the
    participant is kept in the folder `state`, if there is one; otherwise as long as the program runs.

    Before each round the model is compared with what the hub's log says of it. The log's key, trusted the first time, and
    how far the log had grown are remembered in `state`, too; nothing is trained when the log contradicts that.

    progress is called with a line of text now and then; patience says for how many seconds a hub that does not answer is
    asked again, and a training that is not open yet is waited for (600). In the mode one-house, state is a folder for what
    must not be forgotten, and peers a file with the identity() of each participant, one a line: nobody else is then taken
    into one's cohort. Where the hub trains together with a second house, house may say which, by its key id or key: nothing is
    sent when it is another.

    Raises what train raises; NotAccepted; ConnectionError; ValueError for settings that cannot be.
    """
    library, kept, raised, spare = _library(), [None], [], {}

    def call(context, config, trained):
        try:
            kept[0] = None
            told, given = json.loads(config), trained.contents
            model = _arrays(given.tensors, given.count, spare)
            order = list(model)
            if given.correction:
                told["correction"] = _arrays(given.correction, given.count)
            arrays, examples = train(model, told)
            given.steps, given.rate = int(told.get("steps", 0)), float(told.get("rate", 0))
            kept[0] = result = _Result(arrays, order)
            trained.contents.tensors = ctypes.cast(result.tensors, ctypes.POINTER(_Tensor))
            trained.contents.count, trained.contents.examples = result.count, int(examples)
            return 0
        except BaseException as problem:  # it must not go through libcairn
            raised.append(problem)
            return 1

    _run(library.cairn_federate_run, _Train(call), raised, progress, url=url, token=token, repo=repo, patience=patience, state=state,
         peers=peers, house=house)


def judge(url, token, repo, evaluate, *, progress=None, patience=None):
    """Judges the candidates of a federated training whose rule is a race, and returns when its last round is over.

    evaluate(model, config) is called for each candidate of each round: model is a dict of numpy arrays (float32), config a
    dict with "round", "rounds", "candidates" (their rules) and "number" (which of them it is). It returns the loss on data
    that nobody trains with, the lower the better; or a dict of numbers with "loss" and whatever else the record is to have.

    progress, patience and what is raised are those of join(). For who administers the repo, or was named as the judge.
    """
    library, kept, raised = _library(), [None], []

    def call(context, config, tensors, count, score):
        try:
            verdict = evaluate(_arrays(tensors, count), json.loads(config))
            metrics = dict(verdict) if isinstance(verdict, dict) else {"loss": verdict}
            score.contents.loss = float(metrics.pop("loss"))
            kept[0] = json.dumps({name: float(value) for name, value in metrics.items()}, allow_nan=False).encode()
            score.contents.metrics = kept[0]
            return 0
        except BaseException as problem:  # it must not go through libcairn
            raised.append(problem)
            return 1

    _run(library.cairn_federate_judge, _Judge(call), raised, progress, url=url, token=token, repo=repo, patience=patience)


def _run(run, function, raised, progress, **settings):
    library = _library()
    handle = library.cairn_federate_new()
    try:
        _set(library, handle, **settings)
        line = _Progress(lambda context, text: progress(text.decode(errors="replace")) if progress else None)
        library.cairn_federate_on_progress(handle, line, None)
        verdict, why = run(handle, function, None), library.cairn_federate_why(handle).decode(errors="replace")
    finally:
        library.cairn_federate_free(handle)
    if raised:
        raise raised[0]
    if verdict != _TRAINED:
        raise {_MISUSED: ValueError, _UNABLE: ConnectionError}.get(verdict, NotAccepted)(why)


if __name__ == "__main__":
    from cairn import _runner  # the module proper, not this copy of it that was run by its name

    _runner.main()
