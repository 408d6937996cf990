/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_LOG_H
#define CAIRN_ACCESS_LOG_H

#include "base/hash.h"
#include "event/event.h"

/*
 * What is decided about access, as events that become leaves of the log (provenance 3.2): "access-policy" for what a
 * gate asks for, "access-decision" for each decision about a person, "access-batch" for many reads at once. The person
 * stands in them only as what a commitment opens to, so that the log keeps its shape when somebody is forgotten.
 */
extern const struct event_kind access_events[]; /* ends with a NULL name */

struct policy_change {
    int64_t repo_id, owner_id, actor_id;
    const char *what;              /* "policy", "terms", "state", or "seed": of whom is looked at twice, by no owner */
    const uint8_t *before, *after; /* SHA-256 of the policy, text or seed, NULL for none */
    bool gated;
};
enum status access_log_policy(struct db_conn *tx, const struct policy_change *change, struct error *err);

struct decision_made {
    int64_t repo_id;       /* 0 for a gate of a group */
    int64_t account_id;    /* about whom */
    int64_t actor_id;      /* by whom; 0 for a rule or a clock */
    const char *decision;  /* one of ACCESS_DECISIONS */
    const char *basis;     /* one of ACCESS_BASES */
    const uint8_t *policy; /* SHA-256 of the policy in force; NULL for none */
    int64_t expires_us;    /* of what was granted; 0: never, or nothing was */
    int64_t event_id;      /* filled in */
};
#define ACCESS_DECISIONS                                                                                               \
    "appeal-dismissed appeal-upheld appeal-varied block deny expire grant recall remand renew restore revoke slow "    \
    "strike "                                                                                                          \
    "surrender suspend unblock void warn withdraw"
#define ACCESS_BASES "appeal board clock holder import owner review rule"
enum status access_log_decision(struct db_conn *tx, struct decision_made *made, struct error *err);

struct batch_made {
    int64_t count, denied, first_s, last_s; /* decisions, and those that said no; seconds since 1970 */
    uint8_t root[SHA256_SIZE];              /* RFC 6962 tree over the decisions' records */
    int64_t event_id;                       /* filled in */
};
enum status access_log_batch(struct db_conn *tx, struct batch_made *made, struct error *err);

/* One step of a machine that decides nothing about anybody's access: no leaf, and ids only. */
struct step_made {
    int64_t repo_id, actor_id, id; /* id: of the request, grant... */
    const char *machine, *event, *from, *to;
};
enum status access_log_step(struct db_conn *tx, const struct step_made *made, struct error *err);

#endif
