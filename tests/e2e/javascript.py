# SPDX-License-Identifier: GPL-3.0-or-later
"""The stock JavaScript client, with the fetch that Node.js brings."""

import atexit
import functools
import json
import subprocess

from support import ROOT


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.status = error["status"]


@functools.cache
def client():
    """It takes half a second to load, so there is one program for all calls."""
    program = subprocess.Popen(["node", ROOT / "tests/js/roundtrip.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(program.kill)
    return program


def call(person, function, **params):
    """Calls a function of the client as a person."""
    program, params = client(), {"hubUrl": person.hub.url, "accessToken": person.token, **params}
    program.stdin.write(json.dumps([function, params]) + "\n")
    program.stdin.flush()
    answer = json.loads(next(line for line in program.stdout if line.startswith(('{"result"', '{"error"'))))  # it says more than that
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"]
