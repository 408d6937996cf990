/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_CASES_H
#define CAIRN_MISUSE_CASES_H

#include "misuse/signals.h"
#include "module.h"

/*
 * What is done about a key that looks misused: a case, which climbs with the points, fades with them, and ends by what its
 * person or an administrator says. The points are rows of misuse_signal; key_id 0 stands for all keys of the account. At
 * most one case of a key is open.
 */
enum case_state {
    CASE_WATCHED,
    CASE_ASKED, /* as in enum level, and what api_key.hold is made from */
    CASE_SLOWED,
    CASE_SUSPENDED,
    CASE_BARRED,
    CASE_ANSWERED,
    CASE_FADED,
    CASE_LIFTED,
    CASE_UPHELD,
    CASE_STATES,
};
enum case_event {
    CASE_ASK,
    CASE_SLOW,
    CASE_SUSPEND,
    CASE_BAR,
    CASE_FADE,
    CASE_CONFIRM, /* its person has signed in, and says that it was no misuse */
    CASE_APPEAL,
    CASE_LIFT,
    CASE_UPHOLD,
    CASE_EVENTS,
};
extern const struct machine misuse_machine;
extern const struct migration_set misuse_migrations;

struct misuse_case {
    int64_t id, account_id, key_id, version;
    enum case_state state;
    struct str signals; /* codes, with a comma between */
    int64_t points, opened_us, changed_us, due_us, appealed_us, looked_by;
    struct str appeal, answer;
    struct str user, key_name; /* key_name: of a key; absent for all keys, and of one that is gone */
};
enum status case_get(struct db_conn *conn, struct arena *arena, int64_t id, struct misuse_case *out, struct error *err);

/* The one that is open; NOT_FOUND. */
enum status case_find_open(struct db_conn *conn, struct arena *arena, int64_t account_id, int64_t key_id,
                           struct misuse_case *out, struct error *err);

/* In a write, all of the following. */

/* Puts down signals (a bit each) of a key, those of the account with key 0, and does what follows. */
enum status cases_raise(struct db_conn *tx, int64_t account_id, int64_t key_id, unsigned signals, struct error *err);
/* One event by a person; text: of an appeal or a decision. */
enum status case_do(struct db_conn *tx, struct misuse_case *of, enum case_event event, enum mover by, int64_t actor_id,
                    struct str text, struct error *err);
/* Cases whose points have gone down. */
enum status cases_fade(struct db_conn *tx, struct error *err);
/* A timer: nobody has looked within 24 hours. */
enum status case_late(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err);

#endif
