# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a program of its own, with the packages of requirements-federated.txt: random updates through our rules (bench/robust.c) and
through those of Flower and byzfl. Prints a JSON list of what differs.

    rules_of_others.py PROGRAM FOLDER SEED COUNT
"""

import importlib.util
import itertools
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy


def load_byzfl():
    """Its rules on numpy arrays. Its packages' own __init__ want torch and torchvision, which nothing that is used here needs."""
    torch, linalg = types.ModuleType("torch"), types.ModuleType("torch.linalg")
    torch.__path__, torch.linalg, torch.Tensor = [], linalg, type("Tensor", (), {})
    sys.modules.update({"torch": torch, "torch.linalg": linalg})
    root = Path(importlib.util.find_spec("byzfl").origin).parent
    for name in "byzfl", "byzfl.utils", "byzfl.aggregators":
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    from byzfl.aggregators import aggregators, preaggregators
    return aggregators, preaggregators


BYZFL, PRE = load_byzfl()
import flwr.common as COMMON  # noqa: E402
import flwr.server.strategy as STRATEGY  # noqa: E402
from flwr.server.strategy import aggregate as FLOWER  # noqa: E402

PROGRAM, FOLDER, SEED, COUNT = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def ours(values, rule, **settings):
    rows, width = values.shape
    values.astype("<f4").tofile(FOLDER / "rows")
    words = [f"{name}={value}" for name, value in ({"rule": rule} | settings).items()]
    done = subprocess.run([PROGRAM, f"n={rows}", f"d={width}", f"rows={FOLDER}/rows", f"out={FOLDER}/out", *words],
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.args}: {done.stderr}")
    return numpy.fromfile(FOLDER / "out", "<f8")[:width]


def listed(numbers):
    return ",".join(map(str, numbers))


def flower_rounds(strategy, changes):
    """The model after a round for each change, from zero, by one of Flower's strategies."""
    for number, change in enumerate(changes, 1):
        sent = COMMON.ndarrays_to_parameters([strategy.current_weights[0] + change])
        strategy.aggregate_fit(number, [(None, COMMON.FitRes(COMMON.Status(COMMON.Code.OK, ""), sent, 1, {}))], [])
    return strategy.current_weights[0]


def optimisers(dice, changes):
    start = COMMON.ndarrays_to_parameters([numpy.zeros(changes.shape[1])])
    rate, beta1, beta2, tau = (float(dice.uniform(*ends)) for ends in ((0.001, 1), (0, 0.99), (0.5, 0.999), (1e-4, 1e-1)))
    rounds, few = changes.astype(float), {"eta": rate, "tau": tau, "initial_parameters": start}
    betas = {"beta_1": beta1, "beta_2": beta2}
    for name, strategy in ("fedadagrad", STRATEGY.FedAdagrad(**few)), ("fedadam", STRATEGY.FedAdam(**few, **betas)), \
            ("fedyogi", STRATEGY.FedYogi(**few, **betas)):
        settings = {"rate": rate, "tau": tau, "flower": 1, **({"beta1": beta1, "beta2": beta2} if name != "fedadagrad" else {})}
        yield f"flower {name}", ours(changes, None, optimiser=name, **settings), flower_rounds(strategy, rounds)


def keep_without_tie(values, bad, keep):
    """How many rows Multi-Krum is to keep so that no tie decides which: two rows that are nearest to each other score the same, and
    who sorts first among them is nobody's rule."""
    distances = ((values[:, None] - values[None]) ** 2).sum(axis=2)
    scores = numpy.sort(numpy.sort(distances, axis=1)[:, 1:max(1, len(values) - bad - 2) + 1].sum(axis=1))
    while keep < len(values) and scores[keep] - scores[keep - 1] <= 1e-9 * scores[keep]:
        keep += 1
    return keep


def updates(dice):
    """A table of updates, and how many of them are bad."""
    rows, width = int(dice.integers(3, 25)), int(dice.integers(1, 300))
    bad = int(dice.integers(0, (rows - 1) // 2 + 1))
    values = (dice.normal(size=(rows, width)) * dice.choice([0.01, 1, 100]) + dice.normal(size=width)).astype(numpy.float32)
    values[:bad] *= numpy.float32(dice.choice([1, -10, 3]))
    return values, bad


def cases(dice):
    """(name, ours, theirs) of one table of updates. Theirs is computed in float64, so that their rounding decides nothing; of several,
    each number of ours must be one of theirs."""
    values, bad = updates(dice)
    rows = len(values)
    exact, examples = values.astype(float), [int(number) for number in dice.integers(1, 1000, rows)]
    keep, few = keep_without_tie(exact, bad, int(dice.integers(1, rows + 1))), (rows - 3) // 4
    radius, steps = float(dice.choice([0.1, 1, 10, 100])), int(dice.integers(1, 4))
    size, seed = int(dice.integers(1, 4)), int(dice.integers(1 << 30))
    shaker = numpy.random.default_rng(seed)

    def results(table=exact):
        return [([table[row]], examples[row]) for row in range(rows)]

    def shaken(rule):
        return [rule(exact * (1 + 1e-12 * shaker.normal(size=exact.shape))) for _ in range(8)]

    def bulyan(table):
        return FLOWER.aggregate_bulyan(results(table), few, FLOWER.aggregate_krum, to_keep=0)[0]

    yield "flower mean", ours(values, "mean", weights=listed(examples)), FLOWER.aggregate(results())[0]
    yield "flower median", ours(values, "median"), FLOWER.aggregate_median(results())[0]
    yield "flower trimmed", ours(values, "trimmed-mean", f=int(bad / rows * rows)), FLOWER.aggregate_trimmed_avg(results(), bad / rows)[0]
    yield "flower krum", ours(values, "krum", f=bad), FLOWER.aggregate_krum(results(), bad, 0)[0]
    yield ("flower multi-krum", ours(values, "multi-krum", f=bad, keep=keep, weights=listed(examples)),
           FLOWER.aggregate_krum(results(), bad, keep)[0])
    # Two values on either side of the median may be equally near: who is taken is nobody's rule, so the table is shaken, and ours is one of these.
    yield "flower bulyan", ours(values, "bulyan", f=few), shaken(bulyan)
    yield "byzfl mean", ours(values, "mean"), BYZFL.Average()(exact)
    yield "byzfl median", ours(values, "median"), BYZFL.Median()(exact)
    yield "byzfl trimmed", ours(values, "trimmed-mean", f=bad), BYZFL.TrMean(bad)(exact)
    yield "byzfl geometric median", ours(values, "geometric-median", nu=0.1, steps=3), BYZFL.GeometricMedian()(exact)
    yield "byzfl krum", ours(values, "krum", f=bad, byzfl=1), BYZFL.Krum(bad)(exact)
    yield "byzfl multi-krum", ours(values, "multi-krum", f=bad, byzfl=1), BYZFL.MultiKrum(bad)(exact)
    yield "byzfl meamed", ours(values, "meamed", f=bad), shaken(BYZFL.Meamed(bad))
    yield ("byzfl clipping", ours(values, "centred-clipping", radius=radius, steps=steps),
           BYZFL.CenteredClipping(L=steps, tau=radius)(exact))
    mixed = PRE.NNM(bad)(exact)
    yield "nnm, mean", ours(values, "mean", f=bad, mix=1), BYZFL.Average()(mixed)
    yield "nnm, trimmed", ours(values, "trimmed-mean", f=bad, mix=1), BYZFL.TrMean(bad)(mixed)
    yield "nnm, geometric median", ours(values, "geometric-median", f=bad, mix=1, nu=0.1, steps=3), BYZFL.GeometricMedian()(mixed)
    numpy.random.seed(seed)
    bucketed = PRE.Bucketing(size)(exact)
    numpy.random.seed(seed)
    order, half = listed(numpy.random.permutation(rows)), (len(bucketed) - 1) // 2
    yield "buckets, median", ours(values, "median", bucket=size, order=order), BYZFL.Median()(bucketed)
    yield ("buckets, nnm, trimmed", ours(values, "trimmed-mean", f=half, mix=1, bucket=size, order=order),
           BYZFL.TrMean(half)(PRE.NNM(half)(bucketed)))


def main():
    dice, counts, different = numpy.random.default_rng(SEED), {}, []
    for number in range(COUNT):
        for name, mine, theirs in itertools.chain(cases(dice), optimisers(dice, updates(dice)[0][:8])):
            counts[name] = counts.get(name, 0) + 1
            theirs = numpy.atleast_2d(theirs)
            scale = max(1e-30, numpy.abs(theirs).max())
            if not numpy.isclose(mine, theirs, rtol=1e-5, atol=1e-6 * scale).any(axis=0).all():
                different.append(f"{name}, table {number}: off by {numpy.abs(mine - theirs).min(axis=0).max():.3g} of {scale:.3g}")
    print(json.dumps([counts, different]))


main()
