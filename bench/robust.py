# SPDX-License-Identifier: GPL-3.0-or-later
"""Aggregation of n = 20 updates of 10^6 numbers, beside Flower's on the same cores, by turns. Ours reads them from files, as a hub does;
Flower's are in memory; both keep the output there. Each time is the best of three.

  python bench/robust.py [--quick]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from table import Table

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "release" / "bench_robust"
ROWS, WIDTH, BAD = 20, 1_000_000, 4

FLOWER = """
import json, sys, time
import numpy
from flwr.server.strategy import aggregate as flower

rows, width, bad = map(int, sys.argv[2:])
values = numpy.fromfile(sys.argv[1], "<f4").reshape(rows, width)
rules = {"mean": lambda given: flower.aggregate(given), "median": lambda given: flower.aggregate_median(given),
         "trimmed-mean": lambda given: flower.aggregate_trimmed_avg(given, bad / rows),
         "krum": lambda given: flower.aggregate_krum(given, bad, 0)}
for line in sys.stdin:
    given = [([values[row]], 100 + row) for row in range(rows)]
    best = 1e9
    for _ in range(3):
        start = time.perf_counter()
        rules[line.strip()](list(given))
        best = min(best, time.perf_counter() - start)
    print(json.dumps(1000 * best), flush=True)
"""
# Times of Flower's that ours must be faster by.
BARS = {"mean": 8, "median": 20, "trimmed-mean": None, "krum": 15}


class Flower:
    """Its rules in a program that stays, so that only the rule is measured."""

    def __init__(self, rows):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "federated")}
        self.process = subprocess.Popen([sys.executable, "-c", FLOWER, rows, *map(str, (ROWS, WIDTH, BAD))], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)

    def run(self, rule):
        self.process.stdin.write(rule + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def ours(rule, folder):
    words = f"rule={rule} n={ROWS} d={WIDTH} f={BAD} times=3 rows={folder}/rows".split()
    return float(subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True).stdout)


def main():
    rounds, table = 2 if "--quick" in sys.argv else 5, Table()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        import numpy
        numpy.random.default_rng(1).normal(size=ROWS * WIDTH).astype("<f4").tofile(f"{folder}/rows")
        flower = Flower(f"{folder}/rows")
        for rule, bar in BARS.items():
            flower.run(rule)
            taken = [(ours(rule, folder), flower.run(rule)) for _ in range(rounds)]
            table.pair(f"{rule} of {ROWS} updates of 10^6, Flower beside it (ms; ratio: Flower's by ours)", [theirs for _, theirs in taken],
                       [mine for mine, _ in taken], 1, at_least=bar)
        for rule in "multi-krum", "geometric-median", "meamed", "bulyan":
            table.alone(f"{rule} of {ROWS} updates of 10^6 (ms)", [ours(rule, folder) for _ in range(rounds)], 1)
        flower.process.stdin.close()
        flower.process.wait()


main()
