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

import numpy

from . import _load

__all__ = ["NotAccepted", "join"]


class NotAccepted(Exception):
    """The hub does not let you take part, has rejected an update, or has stopped the training."""


class _Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_int64)), ("dimensions", ctypes.c_size_t),
                ("values", ctypes.POINTER(ctypes.c_float)), ("count", ctypes.c_size_t)]


class _Trained(ctypes.Structure):
    _fields_ = [("tensors", ctypes.POINTER(_Tensor)), ("count", ctypes.c_size_t), ("examples", ctypes.c_int64)]


_Train = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Trained))
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
            ("cairn_federate_on_progress", None, [ctypes.c_void_p, _Progress, ctypes.c_void_p]),
            ("cairn_federate_run", ctypes.c_int, [ctypes.c_void_p, _Train, ctypes.c_void_p]),
            ("cairn_federate_why", ctypes.c_char_p, [ctypes.c_void_p]),
        ):
            getattr(library, name).restype = result
            getattr(library, name).argtypes = arguments
        _ready = library
    return _ready


def _arrays(trained):
    arrays = {}
    for tensor in trained.tensors[:trained.count]:
        flat = numpy.ctypeslib.as_array(tensor.values, (tensor.count,)) if tensor.count else numpy.empty(0, numpy.float32)
        arrays[tensor.name.decode()] = flat.copy().reshape(tensor.shape[:tensor.dimensions])
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


def join(url, token, repo, train, *, progress=None, patience=None):
    """Joins the federated training of `repo` at the hub at `url`, and returns when its last round is over.

    train(model, config) is called for each round: model is a dict of numpy arrays (float32), config a dict with "round",
    "rounds" and the other settings of the training. It returns what became of the model, and with how many examples it
    was trained. Where the training has a bound, what goes farther from the model is drawn back to it.

    progress is called with a line of text now and then; patience says for how many seconds a hub that does not answer is
    asked again (600).

    Raises what train raises; NotAccepted; ConnectionError; ValueError for settings that cannot be.
    """
    library, kept, raised = _library(), [None], []

    def call(context, config, trained):
        try:
            told, model = json.loads(config), _arrays(trained.contents)
            order = list(model)
            arrays, examples = train(model, told)
            kept[0] = result = _Result(arrays, order)
            trained.contents.tensors = ctypes.cast(result.tensors, ctypes.POINTER(_Tensor))
            trained.contents.count, trained.contents.examples = result.count, int(examples)
            return 0
        except BaseException as problem:  # it must not go through libcairn
            raised.append(problem)
            return 1

    handle = library.cairn_federate_new()
    try:
        for name, value in ("url", url), ("token", token), ("repo", repo), ("patience", patience):
            library.cairn_federate_set(handle, name.encode(), None if value is None else os.fsencode(str(value)))
        function, line = _Train(call), _Progress(lambda context, text: progress(text.decode(errors="replace")) if progress else None)
        library.cairn_federate_on_progress(handle, line, None)
        verdict, why = library.cairn_federate_run(handle, function, None), library.cairn_federate_why(handle).decode(errors="replace")
    finally:
        library.cairn_federate_free(handle)
    if raised:
        raise raised[0]
    if verdict != _TRAINED:
        raise {_MISUSED: ValueError, _UNABLE: ConnectionError}.get(verdict, NotAccepted)(why)


if __name__ == "__main__":
    from cairn import _runner  # the module proper, not this copy of it that was run by its name

    _runner.main()
