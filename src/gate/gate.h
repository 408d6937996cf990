/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_GATE_H
#define CAIRN_GATE_GATE_H

#include "gate/policy.h"
#include "module.h"
#include "repo/repo.h"

/*
 * Gates: who may have the bytes of a repo, and how they come to it. A gate is of one repo (a simple one is made by the
 * settings of stock clients, "gated": "auto" or "manual") or of a group of repos of one name space. A repo has one gate
 * at most. The row of a gate is what the door reads (access/schema.c); what it asks for is a policy (policy.h).
 */
extern const struct module gate_module;

enum gate_state { GATE_OPEN = 1, GATE_PAUSED = 2, GATE_CLOSED = 3 };
const char *gate_state_name(enum gate_state state);

struct gate {
    int64_t id, owner_id;
    struct str slug; /* of a group; absent for the gate of one repo */
    enum gate_state state;
    int64_t version, policy_seq;
    int64_t opens_us, closes_us; /* no bytes before; nobody may ask after; 0: none */
    bool binds_members;
    int64_t terms_epoch;
    int64_t home_repo_id; /* of the gate of one repo: the one it was made for; 0 for a group */
};

/* NOT_FOUND "NoGate" when there is none; the repo is then open to whoever may read it. */
enum status gate_of_repo(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct gate *out,
                         struct error *err);
enum status gate_get(struct db_conn *conn, struct arena *arena, int64_t id, struct gate *out, struct error *err);
enum status gate_of_group(struct db_conn *conn, struct arena *arena, int64_t owner_id, struct str slug,
                          struct gate *out, struct error *err);

/* The policy in force, or that of a number; with the form that the gate's card asks for where the policy has none. */
enum status gate_policy_get(struct db_conn *conn, struct arena *arena, const struct gate *gate, int64_t seq,
                            struct gate_policy *out, struct error *err);

/* A repo of the gate, for what a person is told; NOT_FOUND when none is left. Events about a gate carry home_repo_id. */
enum status gate_any_repo(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct repo *out,
                          struct error *err);
/* Changes, each in a write. by_id: who does it. */

/* A gate with its first policy, and with repo_id (0: none yet) behind it. CONFLICT when the repo has one or the slug is taken. */
enum status gate_make(struct db_conn *tx, int64_t owner_id, struct str slug, int64_t repo_id,
                      const struct gate_policy *policy, int64_t by_id, struct gate *out, struct error *err);
/* A new policy: a row of its own, logged, and what the door reads of it. STALE when somebody was faster. */
enum status gate_set_policy(struct db_conn *tx, struct gate *gate, const struct gate_policy *policy, int64_t by_id,
                            struct error *err);
/* Closing voids what is open (R18); many in batches, by a timer. */
enum status gate_set_state(struct db_conn *tx, struct gate *gate, enum gate_state state, int64_t by_id,
                           struct error *err);
/* Puts a repo behind a gate, or takes it from behind whatever gate it has; repo.gated goes along. */
enum status gate_bind(struct db_conn *tx, const struct gate *gate, int64_t repo_id, int64_t by_id, struct error *err);
enum status gate_unbind(struct db_conn *tx, int64_t repo_id, int64_t by_id, struct error *err);

/* For hub/: each is one write. Settings with "gated": makes, changes or unbinds the simple gate of a repo. */
enum status gate_repo_set(struct db *db, const struct repo *repo, const struct repo_settings *settings, int64_t by_id,
                          struct error *err);
enum status gate_repo_delete(struct db *db, const struct repo *repo, int64_t by_id, struct error *err);
enum status gate_repo_move(struct db *db, const struct repo *repo, int64_t new_owner_id, struct str ns, struct str name,
                           int64_t by_id, struct error *err);
/* In the write that changes a repo's card (its metadata, a JSON object): keeps what it asks applicants. */
enum status gate_card_set(struct db_conn *tx, int64_t repo_id, struct str card, struct error *err);

#endif
