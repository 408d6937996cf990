# SPDX-License-Identifier: LGPL-3.0-or-later
"""Runs a Flower ClientApp, unmodified, in the federated training of a repo: python -m cairn.federate run REPO [--app pkg.client_app:app]"""

import argparse
import importlib
import os
import sys
import time

from . import federate

_FOREVER = 10 * 365 * 86400


def join(url, token, repo, app, *, node_config=None, run_config=None, **how):
    """As federate.join(), with a ClientApp of Flower's or of cairn.flower in the place of train."""
    words = _words_of(app)
    context = words.Context(run_id=1, node_id=1, node_config=dict(node_config or {}), state=words.RecordDict(), run_config=dict(run_config or {}))
    federate.join(url, token, repo, lambda model, told: _train(app, words, context, model, told), **how)


def _words_of(app):
    """The module with the classes that the app's messages are made of."""
    return importlib.import_module("flwr.app" if type(app).__module__.partition(".")[0] == "flwr" else "cairn.flower")


def _train(app, words, context, model, told):
    arrays = words.ArrayRecord({name: words.Array.from_numpy_ndarray(array) for name, array in model.items()})
    config = words.ConfigRecord(_config(told))
    # Under the names that apps of today look for, and those of a NumPyClient's messages.
    content = words.RecordDict({"arrays": arrays, "config": config, "fitins.parameters": arrays, "fitins.config": config})
    metadata = words.Metadata(run_id=1, message_id=f"round-{told['round']}", src_node_id=1, dst_node_id=1, reply_to_message_id="",
                              group_id=str(told["round"]), created_at=time.time(), ttl=_FOREVER, message_type="train")
    reply = app(message=words.Message(content=content, metadata=metadata), context=context)
    if reply.has_error():
        raise RuntimeError(f"the app could not train: {reply.error.reason}")
    return _arrays(reply, list(model)), _examples(reply)


def _config(told):
    """What Flower's strategies tell stands beside what the hub does: the round, and FedProx's mu, by their names."""
    config = {name: value for name, value in told.items() if isinstance(value, (bool, int, float, str))}
    config |= {"server-round": told["round"], "server_round": told["round"]}
    if told.get("mu"):
        config |= {"proximal-mu": told["mu"], "proximal_mu": told["mu"]}
    return config


def _arrays(reply, names):
    """By their names; those of a list have their places, from 0, for names."""
    records = list(reply.content.array_records.values())
    if len(records) != 1:
        raise ValueError(f"the app answered with {len(records)} records of arrays; one is the model")
    found = {}
    for key, array in records[0].items():
        place = int(key) if key not in names and key.isdecimal() and int(key) < len(names) else None
        found[key if place is None else names[place]] = array.numpy()
    return found


def _examples(reply):
    for record in reply.content.metric_records.values():
        for name in "num-examples", "num_examples":
            if name in record:
                return int(record[name])
    raise ValueError('the app did not say with how many examples it trained: "num-examples" in a MetricRecord')


# The command.


def _toml():
    for name in "tomllib", "tomli":
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit("reading TOML needs Python 3.11 or newer, or the package tomli")


def _flat(values, before=""):
    out = {}
    for name, value in values.items():
        out |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return out


def _pairs(texts):
    """Flower's notation: --run-config 'lr=0.1 name="x"'; each value is one of TOML's."""
    return _flat(_toml().loads("\n".join(_lines(" ".join(texts)))))


def _lines(text):
    """One pair a line: spaces within quotes stay."""
    quote, start = None, 0
    for place, sign in enumerate(text):
        if quote is None and sign in "\"'":
            quote = sign
        elif sign == quote:
            quote = None
        elif sign == " " and quote is None:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _project(folder):
    path = os.path.join(folder, "pyproject.toml")
    if not os.path.exists(path):
        return None, {}
    with open(path, "rb") as file:
        settings = _toml().load(file).get("tool", {}).get("flwr", {}).get("app", {})
    return settings.get("components", {}).get("clientapp"), _flat(settings.get("config", {}))


def load(name):
    """The object that "pkg.client_app:app" names."""
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    for part in (attribute or "app").split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is no ClientApp")
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m cairn.federate", description="Takes part in the federated training of a repo.")
    run = parser.add_subparsers(required=True, metavar="run").add_parser("run", help="with a Flower ClientApp, as it is",
                                                                        description="Runs a Flower ClientApp in every round of a repo's training.")
    run.add_argument("repo", help="ns/name")
    run.add_argument("--app", help="pkg.client_app:app; otherwise what the pyproject.toml of --dir says")
    run.add_argument("--dir", default=".", help="the app's folder (this one)")
    run.add_argument("--url", default=os.environ.get("CAIRN_URL"), help="of the hub (CAIRN_URL)")
    run.add_argument("--node-config", nargs="+", default=[], metavar="KEY=VALUE")
    run.add_argument("--run-config", nargs="+", default=[], metavar="KEY=VALUE", help="in place of those of pyproject.toml")
    asked = parser.parse_args(arguments)
    token = os.environ.get("CAIRN_TOKEN")
    if not asked.url or not token:
        parser.error("CAIRN_URL says where the hub is, CAIRN_TOKEN has the key")
    named, config = _project(asked.dir)
    if not (asked.app or named):
        parser.error("there is no [tool.flwr.app.components] clientapp in pyproject.toml: say --app pkg.client_app:app")
    sys.path.insert(0, os.path.abspath(asked.dir))
    try:
        join(asked.url, token, asked.repo, load(asked.app or named), node_config=_pairs(asked.node_config),
             run_config=config | _pairs(asked.run_config), progress=lambda line: print(line, file=sys.stderr))
    except (federate.NotAccepted, ConnectionError) as problem:
        sys.exit(str(problem))
