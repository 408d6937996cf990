/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rows of gates: finding them, and changing them together with what the door and stock clients are told. */
#include "gate/gate.h"
#include "access/log.h"
#include "base/time.h"
#include "gate/internal.h"
#include "terms/terms.h"

static const char *const state_names[] = {[GATE_OPEN] = "open", [GATE_PAUSED] = "paused", [GATE_CLOSED] = "closed"};

const char *gate_state_name(enum gate_state state)
{
    return state_names[state];
}

/* Finding. */

#define COLUMNS                                                                                                        \
    "g.id, g.owner_id, g.slug, g.state, g.version, g.policy_seq, g.opens_us, g.closes_us, g.binds_members, "           \
    "g.terms_epoch, g.home_repo_id"

static enum status read_gate(struct stmt *row, struct arena *arena, struct gate *out, struct error *err)
{
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, "NoGate", "There is no such gate.");
    }
    *out = (struct gate){
        .id = stmt_int(row, 0),
        .owner_id = stmt_int(row, 1),
        .slug = stmt_is_null(row, 2) ? (struct str){0} : arena_copy(arena, stmt_str(row, 2)),
        .state = (enum gate_state)stmt_int(row, 3),
        .version = stmt_int(row, 4),
        .policy_seq = stmt_int(row, 5),
        .opens_us = stmt_int(row, 6),
        .closes_us = stmt_int(row, 7),
        .binds_members = stmt_int(row, 8) != 0,
        .terms_epoch = stmt_int(row, 9),
        .home_repo_id = stmt_int(row, 10),
    };
    return stmt_end(row, err);
}

static enum status find_gate(struct db_conn *conn, const char *sql, struct arena *arena, int64_t id, struct gate *out,
                             struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, id);
    return read_gate(row, arena, out, err);
}

static const char of_repo_sql[] =
    "SELECT " COLUMNS " FROM gate_repo b JOIN gate g ON g.id = b.gate_id WHERE b.repo_id = ?";
static const char by_id_sql[] = "SELECT " COLUMNS " FROM gate g WHERE g.id = ?";
static const char of_home_sql[] = "SELECT " COLUMNS " FROM gate g WHERE g.home_repo_id = ? AND g.home_repo_id > 0";
static const char of_group_sql[] = "SELECT " COLUMNS " FROM gate g WHERE g.owner_id = ? AND g.slug = ?";

enum status gate_of_repo(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct gate *out,
                         struct error *err)
{
    return find_gate(conn, of_repo_sql, arena, repo_id, out, err);
}

enum status gate_get(struct db_conn *conn, struct arena *arena, int64_t id, struct gate *out, struct error *err)
{
    return find_gate(conn, by_id_sql, arena, id, out, err);
}

enum status gate_of_group(struct db_conn *conn, struct arena *arena, int64_t owner_id, struct str slug,
                          struct gate *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, of_group_sql, &row, err));
    stmt_bind_int(row, 1, owner_id);
    stmt_bind_str(row, 2, slug);
    return read_gate(row, arena, out, err);
}

static const char any_repo_sql[] = "SELECT min(repo_id) FROM gate_repo WHERE gate_id = ?";

enum status gate_any_repo(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct repo *out,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, any_repo_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    int64_t repo_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    return repo_get(conn, arena, repo_id, out, err);
}

/* Policies. */

static const char card_sql[] = "SELECT body FROM gate_card WHERE repo_id = ?";

static enum status read_card_form(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct form *out,
                                  struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_json json_t *card = NULL;
    TRY(db_prepare(conn, card_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    if (stmt_next(row))
        TRY(json_read(stmt_str(row, 0), SIZE_MAX, &card, err));
    form_read_card(arena, card, out);
    return stmt_end(row, err);
}

static const char policy_sql[] = "SELECT body FROM gate_policy WHERE gate_id = ? AND seq = ?";

enum status gate_policy_get(struct db_conn *conn, struct arena *arena, const struct gate *gate, int64_t seq,
                            struct gate_policy *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, policy_sql, &row, err));
    stmt_bind_int(row, 1, gate->id);
    stmt_bind_int(row, 2, seq ? seq : gate->policy_seq);
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, CORRUPT, NULL, "The policy of a gate is gone");
    }
    struct str text = arena_copy(arena, stmt_str(row, 0));
    TRY(stmt_end(row, err));
    TRY(policy_read(arena, text, out, err));
    return out->has_form ? OK : read_card_form(conn, arena, gate->home_repo_id, &out->form, err);
}

static const char put_policy_sql[] =
    "INSERT INTO gate_policy (gate_id, seq, body, sha256, by_id, at_us) VALUES (?, ?, ?, ?, ?, ?)";

static enum status put_policy(struct db_conn *tx, const struct gate *gate, const struct gate_policy *policy,
                              int64_t by_id, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, put_policy_sql, &put, err));
    stmt_bind_int(put, 1, gate->id);
    stmt_bind_int(put, 2, gate->policy_seq);
    stmt_bind_str(put, 3, policy->text);
    stmt_bind_blob(put, 4, policy->sha256, SHA256_SIZE);
    stmt_bind_int(put, 5, by_id);
    stmt_bind_int(put, 6, now_us());
    return stmt_run(put, err);
}

static enum status bind_terms(struct db_conn *tx, const struct gate *gate, const struct gate_policy *policy,
                              struct error *err)
{
    int64_t docs[POLICY_TERMS_MOST];
    for (size_t i = 0; i < policy->term_count; i++)
        TRY(terms_doc_find(tx, policy->terms[i], &docs[i], err));
    return terms_bind(tx, gate->id, policy->risk, docs, policy->term_count, err);
}

static enum status log_change(struct db_conn *tx, const struct gate *gate, const char *what, const uint8_t *before,
                              const uint8_t *after, int64_t by_id, struct error *err)
{
    const struct policy_change change = {.repo_id = gate->home_repo_id,
                                         .owner_id = gate->owner_id,
                                         .actor_id = by_id,
                                         .what = what,
                                         .before = before,
                                         .after = after,
                                         .gated = gate->state != GATE_CLOSED || after};
    return access_log_policy(tx, &change, err);
}

/* Repos behind a gate. */

static enum status set_gated(struct db_conn *tx, int64_t repo_id, struct str gated, int64_t by_id, struct error *err)
{
    const struct repo_settings settings = {.gated = gated};
    return repo_set_in_write(tx, repo_id, &settings, by_id, err);
}

static const char repos_sql[] = "SELECT b.repo_id FROM gate_repo b JOIN repo r ON r.id = b.repo_id "
                                "WHERE b.gate_id = ? AND r.gated <> ?";

/* What stock clients are told of each repo goes along with the policy. */
static enum status set_all_gated(struct db_conn *tx, const struct gate *gate, struct str gated, int64_t by_id,
                                 struct error *err)
{
    int64_t ids[GATE_REPOS_MOST];
    size_t count = 0;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, repos_sql, &row, err));
    stmt_bind_int(row, 1, gate->id);
    stmt_bind_str(row, 2, gated);
    while (count < GATE_REPOS_MOST && stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(set_gated(tx, ids[i], gated, by_id, err));
    return OK;
}

static enum status count_repos(struct db_conn *conn, int64_t gate_id, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, "SELECT count(*) FROM gate_repo WHERE gate_id = ?", &row, err));
    stmt_bind_int(row, 1, gate_id);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static const char bind_sql[] = "INSERT INTO gate_repo (repo_id, gate_id) VALUES (?, ?)";

enum status gate_bind(struct db_conn *tx, const struct gate *gate, int64_t repo_id, int64_t by_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *bind = NULL;
    struct gate_policy policy;
    int64_t count;
    TRY(gate_policy_get(tx, &arena, gate, 0, &policy, err));
    TRY(count_repos(tx, gate->id, &count, err));
    if (count >= GATE_REPOS_MOST)
        return fail(err, CONFLICT, NULL, "A gate stands before at most %d repos", GATE_REPOS_MOST);
    TRY(db_prepare(tx, bind_sql, &bind, err));
    stmt_bind_int(bind, 1, repo_id);
    stmt_bind_int(bind, 2, gate->id);
    enum status status = stmt_run(bind, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, "HasGate", "This repo has a gate already; a repo is behind one gate only.");
    TRY(status);
    return set_gated(tx, repo_id, gate_mode_gated(policy.mode), by_id, err);
}

static const char unbind_sql[] = "DELETE FROM gate_repo WHERE repo_id = ?";

enum status gate_unbind(struct db_conn *tx, int64_t repo_id, int64_t by_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *unbind = NULL;
    struct gate gate;
    TRY(gate_of_repo(tx, &arena, repo_id, &gate, err));
    TRY(db_prepare(tx, unbind_sql, &unbind, err));
    stmt_bind_int(unbind, 1, repo_id);
    TRY(stmt_run(unbind, err));
    TRY(set_gated(tx, repo_id, STR(""), by_id, err));
    return requests_close(tx, gate.id, err);
}

/* Making and changing. */

static const char for_door_sql[] = "UPDATE gate SET territory = ?, sign_in = ? WHERE id = ?";

/* What of the policy only the door reads, as it reads it (access/schema.c). */
static enum status put_for_door(struct db_conn *tx, int64_t gate_id, const struct gate_policy *policy,
                                struct error *err)
{
    auto_buf struct buf text = {0};
    auto_stmt struct stmt *put = NULL;
    if (policy->has_territory)
        buf_str(&text, policy->territory_allow ? STR("+") : STR("-"));
    for (size_t i = 0; policy->has_territory && i < policy->country_count; i++)
        buf_printf(&text, " %.*s", STR_ARG(policy->countries[i]));
    TRY(db_prepare(tx, for_door_sql, &put, err));
    stmt_bind_str(put, 1, buf_view(&text));
    stmt_bind_int(put, 2, policy->sign_in);
    stmt_bind_int(put, 3, gate_id);
    return stmt_run(put, err);
}

static const char make_sql[] = "INSERT INTO gate (owner_id, slug, state, version, policy_seq, opens_us, closes_us, "
                               "binds_members, created_us, home_repo_id) VALUES (?, ?, 1, 1, 1, ?, ?, ?, ?, ?)";

enum status gate_make(struct db_conn *tx, int64_t owner_id, struct str slug, int64_t repo_id,
                      const struct gate_policy *policy, int64_t by_id, struct gate *out, struct error *err)
{
    auto_stmt struct stmt *make = NULL;
    TRY(db_prepare(tx, make_sql, &make, err));
    stmt_bind_int(make, 1, owner_id);
    stmt_bind_str(make, 2, slug);
    stmt_bind_int(make, 3, policy->opens_us);
    stmt_bind_int(make, 4, policy->closes_us);
    stmt_bind_int(make, 5, policy->binds_members);
    stmt_bind_int(make, 6, now_us());
    stmt_bind_int(make, 7, str_given(slug) ? 0 : repo_id);
    enum status status = stmt_run(make, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, NULL, "This name space has a gate of that name already.");
    TRY(status);
    *out = (struct gate){
        .id = db_last_id(tx),
        .owner_id = owner_id,
        .slug = slug,
        .state = GATE_OPEN,
        .version = 1,
        .policy_seq = 1,
        .opens_us = policy->opens_us,
        .closes_us = policy->closes_us,
        .binds_members = policy->binds_members,
        .home_repo_id = str_given(slug) ? 0 : repo_id,
    };
    TRY(put_policy(tx, out, policy, by_id, err));
    TRY(put_for_door(tx, out->id, policy, err));
    TRY(bind_terms(tx, out, policy, err));
    if (repo_id)
        TRY(gate_bind(tx, out, repo_id, by_id, err));
    return log_change(tx, out, "policy", NULL, policy->sha256, by_id, err);
}

static enum status was_changed(struct db_conn *tx, struct error *err)
{
    return db_changes(tx) ? OK : fail(err, STALE, NULL, "The gate was changed meanwhile. Look at it again.");
}

static const char change_sql[] = "UPDATE gate SET policy_seq = ?, opens_us = ?, closes_us = ?, binds_members = ?, "
                                 "version = version + 1 WHERE id = ? AND version = ?";

enum status gate_set_policy(struct db_conn *tx, struct gate *gate, const struct gate_policy *policy, int64_t by_id,
                            struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *change = NULL;
    struct gate_policy before;
    TRY(gate_policy_get(tx, &arena, gate, 0, &before, err));
    if (memcmp(before.sha256, policy->sha256, SHA256_SIZE) == 0)
        return OK;
    gate->policy_seq++;
    TRY(put_policy(tx, gate, policy, by_id, err));
    TRY(db_prepare(tx, change_sql, &change, err));
    stmt_bind_int(change, 1, gate->policy_seq);
    stmt_bind_int(change, 2, gate->opens_us = policy->opens_us);
    stmt_bind_int(change, 3, gate->closes_us = policy->closes_us);
    stmt_bind_int(change, 4, gate->binds_members = policy->binds_members);
    stmt_bind_int(change, 5, gate->id);
    stmt_bind_int(change, 6, gate->version++);
    TRY(stmt_run(change, err));
    TRY(was_changed(tx, err));
    TRY(put_for_door(tx, gate->id, policy, err));
    TRY(bind_terms(tx, gate, policy, err));
    TRY(set_all_gated(tx, gate, gate_mode_gated(policy->mode), by_id, err));
    return log_change(tx, gate, "policy", before.sha256, policy->sha256, by_id, err);
}

static const char state_sql[] = "UPDATE gate SET state = ?, version = version + 1 WHERE id = ? AND version = ?";

enum status gate_set_state(struct db_conn *tx, struct gate *gate, enum gate_state state, int64_t by_id,
                           struct error *err)
{
    auto_stmt struct stmt *change = NULL;
    if (gate->state == state)
        return OK;
    TRY(db_prepare(tx, state_sql, &change, err));
    stmt_bind_int(change, 1, state);
    stmt_bind_int(change, 2, gate->id);
    stmt_bind_int(change, 3, gate->version++);
    TRY(stmt_run(change, err));
    TRY(was_changed(tx, err));
    gate->state = state;
    TRY(log_change(tx, gate, "state", NULL, NULL, by_id, err));
    return state == GATE_CLOSED ? requests_close(tx, gate->id, err) : OK;
}

enum status gate_of_home(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct gate *out,
                         struct error *err)
{
    return find_gate(conn, of_home_sql, arena, repo_id, out, err);
}

/* What the card of a repo asks. */

static const char forget_card_sql[] = "DELETE FROM gate_card WHERE repo_id = ?";
static const char put_card_sql[] = "INSERT INTO gate_card (repo_id, body) VALUES (?, ?) "
                                   "ON CONFLICT (repo_id) DO UPDATE SET body = excluded.body";

enum status gate_card_set(struct db_conn *tx, int64_t repo_id, struct str text, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    auto_json json_t *card = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    const char *name;
    const json_t *value;
    size_t count = 0;
    if (str_has(text, STR("\"extra_gated_"))) /* few cards do */
        TRY(json_read(text, SIZE_MAX, &card, err));
    jw_object(&w);
    json_object_foreach(card, name, value)
    {
        if (!str_starts(str_of(name), STR("extra_gated_")))
            continue;
        jw_key(&w, name);
        jw_value(&w, value);
        count++;
    }
    jw_end(&w);
    TRY(db_prepare(tx, count ? put_card_sql : forget_card_sql, &put, err));
    stmt_bind_int(put, 1, repo_id);
    if (count)
        stmt_bind_str(put, 2, buf_view(&body));
    return stmt_run(put, err);
}
