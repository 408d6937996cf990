/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIMER_TIMER_H
#define CAIRN_TIMER_TIMER_H

#include "db/db.h"

/*
 * What is due at some time: expiry, reminders, escalation. A timer is one row per (kind, ref), set and cleared in the
 * write that makes it due, and gone in the write that does what was due: so it happens once, whatever breaks off.
 *
 * Nothing may hang on a timer firing in time: the door reads the clock itself; timers write down what has come true.
 */
extern const struct migration_set timer_migrations;

struct hub;

/* A kind that a part answers to; each part lists its own in its module.c. */
struct timer_kind {
    const char *name; /* "grant.expiry" */
    /* In a write; the timer has been removed already, and may be set again. due_us is when it was due. An error undoes
     * all of it: it is logged, and tried again a minute later. */
    enum status (*fire)(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err);
};

/* In a write. Sets the timer of that kind for ref, or moves it when there is one. */
enum status timer_set(struct db_conn *tx, const char *kind, int64_t ref, int64_t due_us, struct error *err);
/* In a write; nothing when there is none. */
enum status timer_clear(struct db_conn *tx, const char *kind, int64_t ref, struct error *err);

/* Fires what is due, the oldest first, until nothing more is but what keeps setting itself again; those of a kind that
 * no part knows stay. */
enum status timers_run(struct db *db, struct error *err);

#endif
