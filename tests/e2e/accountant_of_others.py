# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a program of its own, with the packages of requirements-federated.txt: our accounting of privacy (bench/privacy.c) beside
dp_accounting's. Prints a JSON list of what differs.

    accountant_of_others.py PROGRAM SEED COUNT
"""

import json
import logging
import subprocess
import sys

import numpy
from dp_accounting import dp_event
from dp_accounting.rdp import rdp_privacy_accountant as theirs


def draw(dice):
    return (float(dice.choice([1, dice.uniform(0.001, 0.9)])), float(numpy.exp(dice.uniform(numpy.log(0.4), numpy.log(20)))),
            int(dice.integers(1, 2000)), float(10 ** -dice.uniform(3, 9)), float(dice.choice(theirs.DEFAULT_RDP_ORDERS)))


def ask_them(sampling, sigma, rounds, delta, order):
    event, accountant = dp_event.GaussianDpEvent(sigma), theirs.RdpAccountant()
    accountant.compose(dp_event.PoissonSampledDpEvent(sampling, event) if sampling < 1 else event, rounds)
    return accountant.get_epsilon(delta), theirs._compute_rdp_poisson_subsampled_gaussian(sampling, sigma, [order])[0]


def close(mine, other):
    return mine == other or abs(mine - other) <= 1e-6 * max(1e-3, abs(other))


def main():
    program, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.CRITICAL)  # it tells of each order whose series does not converge
    dice = numpy.random.default_rng(seed)
    inputs = [draw(dice) for _ in range(count)]
    text = "".join(" ".join(map(repr, values)) + "\n" for values in inputs)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    answers = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    different = [f"{values}: {mine}, they say {other}" for values, mine, other in
                 zip(inputs, answers, (ask_them(*values) for values in inputs), strict=True) if not all(map(close, mine, other))]
    print(json.dumps([len(answers), different]))


main()
