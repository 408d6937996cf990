# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of results: printed, and written as Markdown for the README to quote."""

from statistics import median


def spread(values, digits):
    """The median, and between which values it lies."""
    text = f"{median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def limit(values, below=None, above=None):
    """(bar, verdict) of what is bounded by itself; each round counts."""
    if below is not None:
        return f"< {below:,}", "met" if max(values) < below else "NOT met"
    if above is not None:
        return f">= {above:,}", "met" if min(values) >= above else "NOT met"
    return "", ""


class Table:
    head = ["what", "ours", "peer", "ratio", "bar", "verdict"]

    def __init__(self):
        self.rows = []

    def pair(self, what, ours, peer, digits=2, at_most=None, at_least=None, **bounds):
        """Values of rounds measured in turn. The ratio is the median of the rounds' ratios, since what else the machine
        does weighs on both halves of a round."""
        ratios = [a / b for a, b in zip(ours, peer, strict=True)]
        bar, verdict = limit(ours, **bounds)
        if at_most is not None:
            bar, verdict = f"<= {at_most:.2f}", "met" if median(ratios) <= at_most else "NOT met"
        if at_least is not None:
            bar, verdict = f">= {at_least:.2f}", "met" if median(ratios) >= at_least else "NOT met"
        self.add(what, spread(ours, digits), spread(peer, digits), spread(ratios, 2), bar, verdict)

    def alone(self, what, values, digits=2, peer="", **bounds):
        self.add(what, spread(values, digits), peer, "", *limit(values, **bounds))

    def add(self, *cells):
        self.rows.append(cells)
        print("  " + " | ".join(cell for cell in cells if cell), flush=True)

    def text(self):
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)

    def markdown(self):
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
