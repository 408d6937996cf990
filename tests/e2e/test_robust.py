# SPDX-License-Identifier: GPL-3.0-or-later
"""Our aggregation rules and our accounting of privacy against those of others, on random input (federated 3.3, 3.5): ten of each,
1,000 in `make soak`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from support import BINARY, ROOT

HERE = Path(__file__).parent
COUNT = 1000 if os.environ.get("CAIRN_SOAK") else 10


def ask_others(script, program, *arguments):
    done = subprocess.run([sys.executable, HERE / script, BINARY.resolve().parent / program, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "federated"), "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_flowers_rules_and_byzfls_give_what_ours_give(tmp_path):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    counts, different = ask_others("rules_of_others.py", "bench_robust", tmp_path, seed, COUNT)
    assert len(counts) == 22 and set(counts.values()) == {COUNT}
    assert different == []


def test_dp_accounting_finds_the_same_privacy_spent():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    count, different = ask_others("accountant_of_others.py", "bench_privacy", seed, COUNT)
    assert count == COUNT and different == []
