# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what bench/fashion.py measured.

  bench/fashion_plot.py docs/fashion.jsonl docs/fashion.svg
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / ".venv/plots"))

import matplotlib  # noqa: E402

matplotlib.use("svg")
matplotlib.rcParams.update({"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "cairn", "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plot  # noqa: E402

COLOURS = {"plain, mean": "#9a9a9a", "plain, mean, bound": "#6baed6", "plain, nnm+trimmed-mean, bound": "#08519c",
           "two houses, mean, bound": "#fdae6b", "two houses, trimmed-mean of fours, bound": "#d94801",
           "one house, mean, bound": "#a1d99b", "one house, trimmed-mean of fours, bound": "#238b45"}


def last(line):
    """The mean of the last three rounds."""
    return 100 * sum(line["accuracy"][-3:]) / 3


def bars(axes, lines, attacks, value, title):
    ways = [way for way in COLOURS if any(line["way"] == way for line in lines)]
    width = 0.84 / max(1, len(ways))
    for i, way in enumerate(ways):
        found = {line["attack"]: value(line) for line in lines if line["way"] == way}
        places = [j + (i - (len(ways) - 1) / 2) * width for j, attack in enumerate(attacks) if attack in found]
        heights = [found[attack] for attack in attacks if attack in found]
        drawn = axes.bar(places, heights, width * 0.92, color=COLOURS[way], label=way)
        axes.bar_label(drawn, fmt="%.0f", fontsize=5, padding=1)
    axes.set_xticks(range(len(attacks)), attacks)
    axes.set_ylim(0, 100)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_ylabel("%")


def curves(axes, lines, title):
    for way, colour in COLOURS.items():
        for line in lines:
            if line["way"] == way:
                axes.plot([100 * a for a in line["accuracy"]], color=colour, label=way, linewidth=1.2)
    axes.set_ylim(0, 100)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("round")
    axes.set_ylabel("accuracy, %")
    axes.set_title(title, fontsize=9, loc="left")


def main(source, target):
    lines = [json.loads(line) for line in Path(source).read_text().splitlines()]
    attacks = list(dict.fromkeys(line["attack"] for line in lines))
    shapes = [["ten", "ten", "ten"], ["forty", "forty", "forty"], ["free", "flip", "door"]]
    figure, axes = plot.subplot_mosaic(shapes, figsize=(10.5, 8.4), layout="constrained")
    of = {people: [line for line in lines if line["participants"] == people] for people in (10, 40)}
    rounds = max(line["rounds"] for line in lines)
    for name, people, bad in ("ten", 10, "one attacker"), ("forty", 40, "four attackers"):
        bars(axes[name], of[people], attacks, last, f"{people} participants, {bad}: accuracy after {rounds} rounds")
    curves(axes["free"], [line for line in of[40] if line["attack"] == "none"], "40 participants, no attack")
    curves(axes["flip"], [line for line in of[40] if line["attack"] == "sign flip"], "40 participants, sign flip")
    bars(axes["door"], [line for line in of[40] if line["attack"] == "backdoor"], ["backdoor"], lambda line: 100 * line["backdoor"],
         "40 participants: the backdoor's success")
    handles, names = axes["forty"].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(target, metadata={"Date": None})


main(*sys.argv[1:])
