# SPDX-License-Identifier: GPL-3.0-or-later
"""Our aggregation rules against those of others, on random updates (federated 3.3): 30 tables of updates for each rule, 1,000 in
`make soak`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from support import BINARY, ROOT

COUNT = 1000 if os.environ.get("CAIRN_SOAK") else 30
PROGRAM = BINARY.resolve().parent / "bench_robust"
OTHERS = ROOT / ".venv" / "federated"


def test_flowers_rules_and_byzfls_give_what_ours_give(tmp_path):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    done = subprocess.run([sys.executable, Path(__file__).with_name("rules_of_others.py"), PROGRAM, tmp_path, str(seed), str(COUNT)],
                          env={**os.environ, "PYTHONPATH": str(OTHERS), "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts, different = json.loads(done.stdout)
    assert len(counts) == 19 and set(counts.values()) == {COUNT}
    assert different == []
