# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machines as the program prints them: read back, and searched through whole."""

import re
import subprocess
from collections import defaultdict

import pytest

from support import BINARY, ROOT

PRINTED = subprocess.run([BINARY, "machines"], capture_output=True, text=True, check=True).stdout


class Machine:
    """One section of what `cairn machines` prints."""

    def __init__(self, text):
        self.name = text.split("\n", 1)[0].strip()
        states, moves = (re.findall(r"^\| (.*) \|$", "| " + table, re.M)[1:] for table in text.split("\n\n| ")[1:3])
        self.over = {}  # state: is it over?
        for row in states:
            state, _, clock = (cell.strip() for cell in row.split(" | "))
            self.over[state] = clock == "over"
        self.moves = []  # (event, from, to, by, when)
        for row in moves:
            cells = [cell.strip() for cell in f"{row} ".split(" | ")]
            self.moves.append((cells[0], cells[1], cells[2], set(cells[3].split(", ")), cells[4]))

    def starts(self, source):
        return [state for state in self.over if not self.over[state]] if source == "any that is not over" else [source]

    def leads(self):
        """For each state, where its moves lead."""
        found = defaultdict(set)
        came_from = {state: set() for state in self.over}
        for _, source, to, _, _ in self.moves:
            for state in self.starts(source):
                if to not in ("the same", "where it came from"):
                    found[state].add(to)
                    came_from[to].add(state)
        for _, source, to, _, _ in self.moves:
            if to == "where it came from":
                for state in self.starts(source):
                    found[state] |= came_from[state]
        return found


MACHINES = [Machine(text) for text in ("\n" + PRINTED).split("\n## ")[1:]]
each = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


def reach(leads, start):
    seen, todo = {start}, [start]
    while todo:
        for state in leads[todo.pop()] - seen:
            seen.add(state)
            todo.append(state)
    return seen


def test_all_of_them_are_there():
    assert {machine.name for machine in MACHINES} >= {"request", "grant", "appeal", "enforcement"}


def test_the_document_is_what_the_program_runs_on():
    assert (ROOT / "docs" / "machines.md").read_text() == PRINTED


@each
def test_every_state_is_reached_from_the_first_and_none_is_a_trap(machine):
    """What has an end can always be ended; what has none, as how a person stands with an owner, can always be mended."""
    leads = machine.leads()
    states = list(machine.over)
    assert reach(leads, states[0]) == set(states)
    goals = {state for state in states if machine.over[state]} or {states[1]}
    for state in states:
        assert reach(leads, state) & goals, f"nothing leads out of {state}"


@each
def test_no_row_hides_another(machine):
    """A row without a condition takes its movers for good, so a later one for the same state, event and mover is dead."""
    taken = defaultdict(set)
    for event, source, _, by, when in machine.moves:
        alive = [state for state in machine.starts(source) if by - taken[state, event]]
        assert alive, f"the row {event} from {source} by {by} can never be the first that fits"
        if not when:
            for state in alive:
                taken[state, event] |= by


@each
def test_what_is_over_is_left_by_nobody_that_it_is_about(machine):
    """Who was refused or revoked cannot undo it alone: a holder leaves what is over by no move."""
    for event, source, to, by, _ in machine.moves:
        if machine.over.get(source) and to != "the same":
            assert by != {"holder"}, f"{event} lets a holder out of {source}"
