/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/machine.h"
#include <assert.h>

static bool starts_at(const struct machine *machine, const struct move *move, int state)
{
    return move->from == state || (move->from == FROM_ANY_OPEN && !machine->states[state].ends);
}

static enum status wrong_state(const struct step *step, struct error *err)
{
    const struct machine *machine = step->machine;
    return fail(err, CONFLICT, "WrongState", "This %s is \"%s\", where \"%s\" means nothing. Look at it again.",
                machine->name, machine->states[step->from].name, machine->events[step->event]);
}

static enum status wrong_mover(const struct step *step, struct error *err)
{
    return fail(err, FORBIDDEN, NULL, "You may not do \"%s\" to this %s.", step->machine->events[step->event],
                step->machine->name);
}

static enum status find_move(struct step *step, const struct move **out, struct error *err)
{
    const struct machine *machine = step->machine;
    bool known = false, allowed = false;
    for (const struct move *move = machine->moves; move < machine->moves + machine->move_count; move++) {
        if (move->event != step->event || !starts_at(machine, move, step->from))
            continue;
        known = true;
        if (!(move->by & step->by))
            continue;
        allowed = true;
        step->to = move->to == TO_SAME ? step->from : move->to == TO_BACK ? step->back : move->to;
        enum answer answer = move->guard ? move->guard(step, err) : YES;
        if (answer == REFUSED)
            return err->status;
        *out = move;
        if (answer == YES)
            return OK;
    }
    return known && !allowed ? wrong_mover(step, err) : wrong_state(step, err);
}

enum status machine_do(struct step *step, struct error *err)
{
    const struct machine *machine = step->machine;
    const struct move *move = NULL;
    struct error unread = {0}; /* timers do not care why; guards say REFUSED, and leave the status in it */
    if (!err)
        err = &unread;
    assert(step->from >= 0 && (size_t)step->from < machine->state_count);
    assert(step->event >= 0 && (size_t)step->event < machine->event_count);
    TRY(find_move(step, &move, err));
    assert(step->to >= 0 && (size_t)step->to < machine->state_count);
    TRY(machine->save(step, err));
    return move->effect ? move->effect(step, err) : OK;
}

bool machine_offers(const struct machine *machine, int state, int event, enum mover by)
{
    for (size_t i = 0; i < machine->move_count; i++)
        if (machine->moves[i].event == event && (machine->moves[i].by & by) &&
            starts_at(machine, &machine->moves[i], state))
            return true;
    return false;
}

int machine_state_named(const struct machine *machine, struct str name)
{
    for (size_t i = 0; i < machine->state_count; i++)
        if (str_eq(name, str_of(machine->states[i].name)))
            return (int)i;
    return -1;
}

int machine_event_named(const struct machine *machine, struct str name)
{
    for (size_t i = 0; i < machine->event_count; i++)
        if (str_eq(name, str_of(machine->events[i])))
            return (int)i;
    return -1;
}

/* For people. */

static void print_movers(unsigned by, struct buf *out)
{
    static const char *const names[] = {"holder", "reviewer", "owner", "board", "rule"};
    const char *between = "";
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (by & (1u << i)) {
            buf_printf(out, "%s%s", between, names[i]);
            between = ", ";
        }
}

static const char *to_name(const struct machine *machine, int to)
{
    return to == TO_SAME ? "the same" : to == TO_BACK ? "where it came from" : machine->states[to].name;
}

void machine_print(const struct machine *machine, struct buf *out)
{
    buf_printf(out, "## %s\n\n%s\n\n| State | Shown as | Clock |\n|---|---|---|\n", machine->name, machine->purpose);
    for (size_t i = 0; i < machine->state_count; i++)
        buf_printf(out, "| %s | %s | %s |\n", machine->states[i].name, machine->states[i].shown,
                   machine->states[i].ends         ? "over"
                   : machine->states[i].clock_runs ? "runs"
                                                   : "");
    buf_printf(out, "\n| Event | From | To | By | When | Then |\n|---|---|---|---|---|---|\n");
    for (const struct move *move = machine->moves; move < machine->moves + machine->move_count; move++) {
        buf_printf(out, "| %s | %s | %s | ", machine->events[move->event],
                   move->from == FROM_ANY_OPEN ? "any that is not over" : machine->states[move->from].name,
                   to_name(machine, move->to));
        print_movers(move->by, out);
        buf_printf(out, " | %s | %s |\n", move->when ? move->when : "", move->then ? move->then : "");
    }
    buf_printf(out, "\n");
}
