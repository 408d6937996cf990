# SPDX-License-Identifier: LGPL-3.0-or-later
"""Flower's names without Flower: apps that were written for it take part in Cairn's federated training when one import line changes.

    from cairn.flower import ArrayRecord, ClientApp, Context, Message, MetricRecord, RecordDict   # instead of flwr.app, flwr.clientapp
    import cairn.flower as fl                                                                     # instead of flwr: fl.client.NumPyClient…

Needs numpy, and torch only where to_torch_state_dict() is called. What is here is what clients need; there is no server. A ClientApp is
run by `python -m cairn.federate run`, a NumPyClient also by start_client(). Tensors have the model's names; a NumPyClient's list
has them in the order of model.safetensors.
"""

import io
import os
import sys
import time
from collections import OrderedDict
from urllib.parse import unquote, urlsplit

import numpy

from . import _runner

__all__ = ["Array", "ArrayRecord", "Client", "ClientApp", "ConfigRecord", "Context", "Error", "Message", "Metadata", "MetricRecord",
           "NumPyClient", "RecordDict", "ndarrays_to_parameters", "parameters_to_ndarrays", "start_client", "start_numpy_client"]


class Array:
    """An array with its type and shape; `data` is what numpy.save() writes."""

    def __init__(self, ndarray=None, *, dtype=None, shape=None, stype="numpy.ndarray", data=None):
        if ndarray is not None:
            file = io.BytesIO()
            ndarray = _plain(ndarray)
            numpy.save(file, ndarray, allow_pickle=False)
            dtype, shape, data = str(ndarray.dtype), ndarray.shape, file.getvalue()
        self.dtype, self.shape, self.stype, self.data = dtype, tuple(shape), stype, data

    @classmethod
    def from_numpy_ndarray(cls, ndarray):
        return cls(ndarray)

    from_torch_tensor = from_numpy_ndarray

    def numpy(self):
        if self.stype != "numpy.ndarray":
            raise TypeError(f"an array of type {self.stype} is not understood here")
        return numpy.load(io.BytesIO(self.data), allow_pickle=False)


def _plain(value):
    """A numpy array of what may be a tensor of torch's, without knowing torch."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return numpy.asarray(value)


class ArrayRecord(OrderedDict):
    """Arrays by name: from a list of numpy arrays, a dict of Array or of numpy arrays, or a state dict of torch's."""

    def __init__(self, arrays=None, *, keep_input=True, numpy_ndarrays=None, torch_state_dict=None, array_dict=None):
        for given in (numpy_ndarrays, torch_state_dict, array_dict):
            arrays = given if given is not None else arrays
        items = arrays.items() if hasattr(arrays, "items") else ((str(place), array) for place, array in enumerate(arrays or ()))
        super().__init__((name, array if isinstance(array, Array) else Array(array)) for name, array in items)

    @classmethod
    def from_numpy_ndarrays(cls, ndarrays, *, keep_input=True):
        return cls(ndarrays)

    @classmethod
    def from_torch_state_dict(cls, state_dict, *, keep_input=True):
        return cls(state_dict)

    from_array_dict = from_torch_state_dict

    def to_numpy_ndarrays(self, *, keep_input=True):
        return [array.numpy() for array in self.values()]

    def to_torch_state_dict(self, *, keep_input=True):
        import torch  # pylint: disable=import-outside-toplevel

        return OrderedDict((name, torch.from_numpy(array.numpy())) for name, array in self.items())


class MetricRecord(dict):
    """Numbers by name, and lists of them."""

    def __init__(self, metrics=None, keep_input=True):
        super().__init__(metrics or {})


class ConfigRecord(MetricRecord):
    """The same with texts, bytes and truth values."""


class RecordDict(dict):
    """Records by name."""

    def __init__(self, records=None):
        super().__init__(records or {})

    def _of(self, kind):
        return {name: record for name, record in self.items() if type(record) is kind}  # pylint: disable=unidiomatic-typecheck

    array_records = parameters_records = property(lambda self: self._of(ArrayRecord))
    metric_records = metrics_records = property(lambda self: self._of(MetricRecord))
    config_records = configs_records = property(lambda self: self._of(ConfigRecord))


class Error:
    def __init__(self, code, reason=None):
        self.code, self.reason = code, reason


class Metadata:
    def __init__(self, run_id, message_id, src_node_id, dst_node_id, reply_to_message_id, group_id, created_at, ttl, message_type):
        self.run_id, self.message_id, self.src_node_id, self.dst_node_id = run_id, message_id, src_node_id, dst_node_id
        self.reply_to_message_id, self.reply_to_message, self.group_id = reply_to_message_id, reply_to_message_id, group_id
        self.created_at, self.ttl, self.message_type = created_at, ttl, message_type


class Message:
    """Content or an error, and where it goes: made as Message(content, reply_to=message)."""

    def __init__(self, content=None, dst_node_id=None, message_type=None, *, error=None, ttl=None, group_id=None, reply_to=None, metadata=None):
        if isinstance(content, Error):
            content, error = None, content
        if reply_to is not None:
            asked = reply_to.metadata
            metadata = Metadata(asked.run_id, "", asked.dst_node_id, asked.src_node_id, asked.message_id, asked.group_id, time.time(),
                                ttl or asked.ttl, asked.message_type)
        self.metadata = metadata or Metadata(0, "", 0, dst_node_id, "", group_id or "", time.time(), ttl or 0, message_type)
        self.content, self.error = content, error

    def has_content(self):
        return self.content is not None

    def has_error(self):
        return self.error is not None

    def create_reply(self, content, ttl=None):
        return Message(content, reply_to=self, ttl=ttl)

    def create_error_reply(self, error, ttl=None):
        return Message(error=error, reply_to=self, ttl=ttl)


class Context:
    def __init__(self, run_id=0, node_id=0, node_config=None, state=None, run_config=None):
        self.run_id, self.node_id, self.node_config, self.run_config = run_id, node_id, node_config or {}, run_config or {}
        self.state = state if state is not None else RecordDict()


class NumPyClient:
    """Arrays in, arrays out: fit(parameters, config) -> (list of arrays, number of examples, metrics)."""

    context = None

    def get_properties(self, config):
        return {}

    def get_parameters(self, config):
        return []

    def fit(self, parameters, config):
        raise NotImplementedError("fit() says how your client trains")

    def evaluate(self, parameters, config):
        return 0.0, 0, {}

    def get_context(self):
        return self.context

    def set_context(self, context):
        self.context = context

    def to_client(self):
        return self


Client = NumPyClient


def ndarrays_to_parameters(ndarrays):
    return list(ndarrays)


def parameters_to_ndarrays(parameters):
    return list(parameters)


class ClientApp:
    """Functions by what they are for: @app.train(), @app.evaluate(), @app.query(). Or a client, made by client_fn(context)."""

    def __init__(self, client_fn=None, mods=None):
        self._functions, self._mods, self._client_fn = {}, list(mods or ()), client_fn
        if client_fn:
            self._functions["train"] = self._fit

    def _register(self, kind, action="default", mods=None):
        def keep(function):
            for mod in reversed(self._mods + list(mods or ())):
                function = _behind(mod, function)
            self._functions[kind if action == "default" else f"{kind}.{action}"] = function
            return function
        return keep

    def train(self, action="default", *, mods=None):
        return self._register("train", action, mods)

    def evaluate(self, action="default", *, mods=None):
        return self._register("evaluate", action, mods)

    def query(self, action="default", *, mods=None):
        return self._register("query", action, mods)

    def _fit(self, message, context):
        client = self._client_fn(context).to_client()
        client.set_context(context)
        arrays = message.content["fitins.parameters"].to_numpy_ndarrays()
        trained, examples, metrics = client.fit(arrays, dict(message.content["fitins.config"]))
        return Message(RecordDict({"fitres.parameters": ArrayRecord(trained), "fitres.metrics": ConfigRecord(metrics),
                                   "fitres.num_examples": MetricRecord({"num_examples": examples})}), reply_to=message)

    def __call__(self, message, context):
        function = self._functions.get(message.metadata.message_type)
        if function is None:
            raise ValueError(f"this app has no function for {message.metadata.message_type}")
        return function(message, context)


def _behind(mod, function):
    return lambda message, context: mod(message, context, function)


def start_client(*, server_address=None, client=None, client_fn=None, insecure=None, **others):
    """Takes part in the training of a repo until its last round. What else Flower's function knows (transport…) is of no matter here.

    server_address is http://ns%2Fname:KEY@host:port, or without what CAIRN_REPO, CAIRN_TOKEN and CAIRN_URL say.
    """
    url, token, repo = _place(server_address or os.environ.get("CAIRN_URL", ""), insecure)
    if (client is None) == (client_fn is None):
        raise ValueError("one of client and client_fn says who trains")
    _runner.join(url, token, repo, ClientApp(client_fn or (lambda context: client)))


start_numpy_client = start_client


def _place(address, insecure):
    """Who is asked, with which key, for which repo."""
    if "://" not in address:
        near = address.rpartition("@")[2].rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
        address = f"{'http' if insecure or (near and insecure is None) else 'https'}://{address}"
    parts = urlsplit(address)
    repo = unquote(parts.username or "") or os.environ.get("CAIRN_REPO")
    token = unquote(parts.password or "") or os.environ.get("CAIRN_TOKEN")
    if not repo or not token:
        raise ValueError("the address must be http://ns%2Fname:KEY@host:port, or CAIRN_REPO and CAIRN_TOKEN say which repo, with which key")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}", token, repo


# So that "import cairn.flower as fl" goes on with fl.client.NumPyClient, fl.common.Context…
client = common = app = clientapp = sys.modules[__name__]
