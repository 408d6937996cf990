# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's validators of bills of material, as a program of its own: their packages are not those of the other tests.

    python bomtool.py cyclonedx|spdx < document

Prints nothing and exits with 0 for a valid document; otherwise prints what is wrong with it and exits with 1.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def complaint(kind, text):
    """What the field's validator has to say against a document; "" for nothing."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "bom")}
    done = subprocess.run([sys.executable, __file__, kind], input=text, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    assert bool(done.stdout.strip()) == bool(done.returncode), done.stdout + done.stderr
    return done.stdout


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
    import json

    import spdx_python_model

    try:
        model, found = spdx_python_model.load_data(json.loads(text))
        model.JSONLDSerializer().write(found, io.BytesIO())
        missing = found.link()
    except Exception as error:  # every kind of refusal is one
        return f"invalid: {type(error).__name__}: {error}"
    return f"references lead nowhere: {sorted(missing)}" if missing else ""


if __name__ == "__main__":
    answer = {"cyclonedx": check_cyclonedx, "spdx": check_spdx}[sys.argv[1]](sys.stdin.read())
    print(answer, end="")
    sys.exit(1 if answer else 0)
