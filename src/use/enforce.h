/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_USE_ENFORCE_H
#define CAIRN_USE_ENFORCE_H

#include "use/internal.h"

/*
 * Broken terms (access C15): a ladder for each owner and person. A higher step follows the one below it, unless it is a
 * matter of safety and a second person has signed. Each step has a ground in words; the person is told it and how to appeal.
 */
enum ladder_state { CLEAR, NOTICED, SLOWED, SUSPENDED, REVOKED, STRUCK, BLOCKED, SITE_BLOCKED };
enum ladder_event { GIVE_NOTICE, SLOW, SUSPEND, REVOKE, STRIKE, BLOCK, SITE_BLOCK, LIFT, LAPSE, OVERTURN };

#define SUSPENSION_MOST_US (14 * DAY_US) /* and as long one may be slowed */
#define STRIKE_LIFE_US (90 * DAY_US)
#define BOARD_POINTS 3
#define BOARD_LOOK_US (7 * DAY_US)

struct ground {
    const char *code;
    bool is_safety, strikes; /* what people say to one another is no strike */
};
const struct ground *ground_named(struct str code); /* NULL for none */
void grounds_list(struct buf *out);

/* One step on its way, in a write. */
struct enforcing {
    struct db_conn *tx;
    struct arena *arena;
    int64_t id, owner_id, account_id, repo_id;
    enum ladder_state state;
    int64_t version;
    struct str repo_name;
    /* What is to be done. */
    enum ladder_event event;
    enum mover by;
    int64_t actor_id, second_id;
    struct str code, text;
    int64_t points, until_us;
    int64_t step_id;        /* filled in; or of a step that has waited for its second signature, or is taken back */
    enum ladder_state left; /* of OVERTURN: where the steps that still stand lead */
};

/* The person's place on the owner's ladder, made when there is none. */
enum status ladder_load(struct enforcing *e, struct error *err);
/* Does the step; or, when it waits for a second signature, puts it down and tells those who may sign. *waits says which. */
enum status ladder_do(struct enforcing *e, bool *waits, struct error *err);
/* What a step did is done no more; or, with days, only for so many (overturn.c). */
enum status step_undo(struct enforcing *e, int64_t days, struct error *err);
/* The board is to look at the step within seven days, and is told why (look.c). */
enum status look_ask(struct enforcing *e, const char *kind, struct str why, struct error *err);
/* Points of the strikes that have not lapsed by now. */
enum status live_points(struct db_conn *conn, int64_t enforcement_id, int64_t *points, struct error *err);

#endif
