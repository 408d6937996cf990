# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's validators of bills of material, as a program of its own: their packages are not those of the other tests.

    python bomtool.py cyclonedx|spdx

Reads a document as a JSON string a line, and prints for each what is wrong with it, in the same form; "" for a valid one.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def validator(kind):
    """Its packages take seconds to load, so there is one program for all documents."""
    program = subprocess.Popen([sys.executable, __file__, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "bom")})
    atexit.register(program.kill)
    return program


def complaint(kind, text):
    """What the field's validator has to say against a document; "" for nothing."""
    program = validator(kind)
    program.stdin.write(json.dumps(text) + "\n")
    program.stdin.flush()
    return json.loads(program.stdout.readline())


def check_cyclonedx(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return f"invalid: {error}" if error else ""


def check_spdx(text):
    """
    The classes that the SPDX project generates from its SHACL model: they refuse unknown properties, wrong types and unknown
    words when they read, missing or superfluous values when they write, and tell which references lead nowhere.
    """
    import io

    import spdx_python_model

    try:
        model, found = spdx_python_model.load_data(json.loads(text))
        model.JSONLDSerializer().write(found, io.BytesIO())
        missing = found.link()
    except Exception as error:  # every kind of refusal is one
        return f"invalid: {type(error).__name__}: {error}"
    return f"references lead nowhere: {sorted(missing)}" if missing else ""


if __name__ == "__main__":
    check = {"cyclonedx": check_cyclonedx, "spdx": check_spdx}[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(check(json.loads(line))), flush=True)
