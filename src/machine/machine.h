/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MACHINE_MACHINE_H
#define CAIRN_MACHINE_MACHINE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/*
 * The one engine of state machines: requests, grants, appeals and whatever has states is a table of moves (state, event,
 * who, guard, next state, effect), which is what a newcomer reads, what the tests enumerate, and what `cairn machines`
 * prints. The engine knows nothing of databases: a machine's save() stores the new state, by compare-and-swap.
 */

/* Who causes an event; a move lists those who may. */
enum mover {
    BY_HOLDER = 1,   /* the person whom it is about: applicant, holder of the grant, appellant */
    BY_REVIEWER = 2, /* who was drawn for it */
    BY_OWNER = 4,    /* who administers the gate */
    BY_BOARD = 8,    /* an administrator of the hub */
    BY_RULE = 16,    /* the hub, by a published rule or a clock */
};

enum answer {
    NO,      /* this row does not fit: try the next one */
    YES,     /* this row it is */
    REFUSED, /* the event is not possible, and err says why */
};

/* A step on its way. Guards, save and effects read it; the engine fills `to`. */
struct step {
    const struct machine *machine;
    void *subject; /* what it is about: the machine's own struct */
    int from, event, to;
    int back; /* the state that TO_BACK leads to; -1 for none */
    enum mover by;
    int64_t actor_id; /* account; 0 for the hub */
    int64_t now_us;
    struct str code, text; /* of a refusal, a revocation...: for machines, and for the person; may be absent */
};

typedef enum answer machine_guard(struct step *step, struct error *err);
typedef enum status machine_effect(struct step *step, struct error *err);

#define FROM_ANY_OPEN (-1) /* any state that does not end */
#define TO_SAME (-1)
#define TO_BACK (-2)

struct move {
    int event, from, to;
    unsigned by;
    machine_guard *guard;    /* NULL: always */
    machine_effect *effect;  /* runs after the state is saved; NULL: none */
    const char *when, *then; /* guard and effect in words; "" where there is none */
};

struct machine_state {
    const char *name;
    const char *shown; /* what the person concerned is told */
    bool ends;         /* nothing but a named move leads out */
    bool clock_runs;   /* working time counts against whoever has to decide */
};

struct machine {
    const char *name, *purpose;
    const struct machine_state *states;
    size_t state_count;
    const char *const *events;
    size_t event_count;
    const struct move *moves; /* the first that fits counts */
    size_t move_count;
    machine_effect *save; /* stores step->to; STALE when somebody was faster */
};

/*
 * Does step->event on a subject in state step->from: finds the first move whose state, mover and guard fit, saves, and
 * runs its effect; step->to is the new state. machine, subject, from, event, by, actor_id, now_us and back are given.
 *
 * CONFLICT "WrongState" when the event means nothing in this state, FORBIDDEN when it is not for this mover; what the
 * guard refused with; errors of save and effect. The caller is in a write, so that an error undoes all of it.
 */
enum status machine_do(struct step *step, struct error *err);

/* Whether some move of this event starts here for this mover, guards aside: what a page may offer. */
bool machine_offers(const struct machine *machine, int state, int event, enum mover by);

int machine_state_named(const struct machine *machine, struct str name); /* -1 when there is none */
int machine_event_named(const struct machine *machine, struct str name);

/* Appends the machine as a Markdown section with its two tables. */
void machine_print(const struct machine *machine, struct buf *out);

#endif
