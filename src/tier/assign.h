/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_ASSIGN_H
#define CAIRN_TIER_ASSIGN_H

#include "tier/internal.h"

/* Who has which tier: the machine of specs/access.md C12. The numbers stand in the database, and quota/limits.c knows 3 to 5. */
enum assign_state {
    ASSIGN_NONE,
    ASSIGN_APPLIED,
    ASSIGN_VERIFYING,
    ASSIGN_ACTIVE,
    ASSIGN_GRACE,
    ASSIGN_SUSPENDED,
    ASSIGN_DOWNGRADED,
    ASSIGN_REFUSED,
    ASSIGN_WITHDRAWN,
    ASSIGN_STATES,
};
enum assign_event {
    ASSIGN_APPLY,
    ASSIGN_VERIFY,
    ASSIGN_ACTIVATE,
    ASSIGN_REFUSE,
    ASSIGN_WITHDRAW,
    ASSIGN_WARN,      /* what the tier asks for is not met any more: grace begins */
    ASSIGN_DOWNGRADE, /* grace is over, or another tier takes this one's place */
    ASSIGN_SUSPEND,
    ASSIGN_LIFT,
    ASSIGN_APPEAL, /* against a suspension, once */
    ASSIGN_UPHOLD, /* it stands */
    ASSIGN_EVENTS,
};
extern const struct machine assign_machine;

/* Grace, and no more than one move by rule in that time; the notice of a downgrade comes with the first day of grace and again
 * that long before its end. */
#define ASSIGN_GRACE_US (30 * DAY_US)
#define ASSIGN_CALM_US (30 * DAY_US)
#define ASSIGN_NOTICE_US (14 * DAY_US)

struct assign {
    int64_t id, account_id, tier_id, version, until_us, moved_us;
    int64_t suspended_by, appealed_us; /* of a suspension */
    enum assign_state state;
    int back;
    struct str source; /* application, board, payment or rule: on what it rests */
};

/* A new row in state none, in a write; the next thing is an event. */
enum status assign_new(struct db_conn *tx, int64_t account_id, int64_t tier_id, struct str source, struct assign *out,
                       struct error *err);
enum status assign_get(struct db_conn *conn, struct arena *arena, int64_t id, struct assign *out, struct error *err);
/* What the account has now (active, grace or suspended); NOT_FOUND when that is what everybody has. */
enum status assign_find(struct db_conn *conn, struct arena *arena, int64_t account_id, struct assign *out,
                        struct error *err);

struct assign_step {
    enum assign_event event;
    enum mover by;
    int64_t actor_id;
    const char *basis;     /* of the leaf: application board clock holder payment rule */
    struct str code, text; /* why, for machines and for the person */
    bool quiet;            /* the person learns of it in another way */
};
/* In a write: the step, its event, and the notice to the person. */
enum status assign_do(struct db_conn *tx, struct assign *assign, const struct assign_step *step, struct error *err);
extern const struct timer_kind tier_timers[];

/* When the account came last from one tier to another; 0: never. */
enum status assign_moved(struct db_conn *conn, int64_t account_id, int64_t *us, struct error *err);

/* Goes by the rules: who meets those of a tier that rules decide on gets it, who does not any more is warned; and who keeps more
 * than the tier allows for too long has it archived (over.h). */
enum status assign_by_rules(struct db *db, struct error *err);

#endif
