/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GRANT_GRANT_H
#define CAIRN_GRANT_GRANT_H

#include "base/arena.h"
#include "module.h"

/*
 * A grant: one person's right to the bytes behind one gate, with an end (access C4, C6). Its machine is in machine.c. The
 * door compares a grant's times with the clock itself; timers write down what has come true and tell the holder.
 *
 * Of one gate, account and purpose at most one grant is live. What is over never comes back: who is let in again gets
 * another grant.
 */
extern const struct module grant_module;
extern const struct machine grant_machine;

/* GRANT_ACTIVE to GRANT_SUSPENDED are live; access/schema.c relies on the numbers. */
enum grant_state {
    GRANT_NEW, /* never stored: where the machine begins */
    GRANT_ACTIVE,
    GRANT_REACCEPT_DUE, /* works until the grace is over */
    GRANT_SUSPENDED,    /* while any cause stands */
    GRANT_EXPIRED,
    GRANT_SUPERSEDED,
    GRANT_REVOKED,
    GRANT_SURRENDERED,
    GRANT_STATES
};

enum grant_event {
    GRANT_OPEN,        /* by grant_open() and grant_renew() only */
    GRANT_TERMS_MOVED, /* rule: the gate has a new epoch */
    GRANT_ACCEPT,      /* holder: some texts were accepted (terms_accept() does this itself) */
    GRANT_GRACE_OVER,  /* rule */
    GRANT_SUSPEND,     /* owner, board, rule: another cause; with a code, a text, and an end or 0 */
    GRANT_RESUME,      /* the cause with this code is removed, by whom it was set or above */
    GRANT_EXPIRE,      /* rule */
    GRANT_RENEW,       /* by grant_renew() only */
    GRANT_REVOKE,      /* owner, board, rule: with code and text */
    GRANT_SURRENDER,   /* holder */
    GRANT_APPEAL,      /* rule: its revocation is under appeal, and a suspension until that is decided (C8) */
    GRANT_EVENTS
};

struct grant {
    int64_t id, gate_id, account_id;
    struct str purpose;
    int64_t request_id; /* 0: added by the owner */
    enum grant_state state;
    int64_t version, not_before_us, expires_us; /* expires_us 0: never */
    int64_t terms_epoch;
    struct str code, text; /* why it is suspended or revoked */
    int64_t until_us;      /* of the suspension; 0: open */
    int64_t by_id, created_us, changed_us;
};

/* The grant with that id; NOT_FOUND otherwise. Strings are copied into arena. */
enum status grant_get(struct db_conn *conn, struct arena *arena, int64_t id, struct grant *out, struct error *err);
/* The live one of a person at a gate, the newest when there are several purposes; NOT_FOUND when there is none. */
enum status grant_find(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t account_id,
                       struct grant *out, struct error *err);

/* In a write, all of the following. */

struct grant_new {
    int64_t gate_id, account_id;
    struct str purpose;    /* "" where the gate has no purposes; at most 128 bytes */
    int64_t request_id;    /* 0: the owner adds a person */
    int64_t not_before_us; /* 0: at once */
    int64_t expires_us;    /* 0: never; the caller knows the lives by risk (C6) */
    int64_t by_id;         /* who decided; 0: a rule */
    const char *basis;     /* one of ACCESS_BASES (access/log.h) */
    const uint8_t *policy; /* SHA-256 of the policy in force, or NULL */
    int64_t renew_us;      /* grant_renew(): how long after its end the old one may still be renewed */
};
/*
 * CONFLICT "GrantExists" when a live one is there. It begins at the epoch that the person has accepted: when some text
 * was never accepted (the owner adds a person), that is -1, the door lets nobody in, and the person is told.
 */
enum status grant_open(struct db_conn *tx, const struct grant_new *what, int64_t *id, struct error *err);

/*
 * A new grant in the place of an old one, which is superseded: gate, account and purpose are those of the old one. An
 * active one can be renewed at any time, an expired one for renew_us after its end (UNPROCESSABLE "RenewalOver"); one
 * that is suspended, revoked, surrendered or superseded cannot (CONFLICT).
 */
enum status grant_renew(struct db_conn *tx, int64_t old_id, const struct grant_new *how, int64_t *new_id,
                        struct error *err);

#define GRANT_REOPENED "reopened" /* the code of a suspension while the case of a grant is open again */

/*
 * One event of the machine, other than GRANT_OPEN and GRANT_RENEW; by and actor_id: who does it. code and text: for machines and for
 * the person, needed for GRANT_SUSPEND and GRANT_REVOKE; GRANT_RESUME without a code removes all causes that this mover
 * may remove. until_us: of a suspension, 0 for an open one. CONFLICT "WrongState", FORBIDDEN, STALE.
 */
enum status grant_do(struct db_conn *tx, int64_t id, enum grant_event event, enum mover by, int64_t actor_id,
                     struct str code, struct str text, int64_t until_us, struct error *err);

#endif
