/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"

/* Who reviews for a gate, as its owner sets it. */

#define NAME_MOST 128
#define CAP_MOST 1000

static bool role_known(struct str role)
{
    return str_eq(role, STR("reviewer")) || str_eq(role, STR("screener")) || str_eq(role, STR("lead")) ||
           str_eq(role, STR("appeal"));
}

enum status body_only(const json_t *body, const char *words, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        struct str rest = str_of(words), word;
        bool known = false;
        while (str_cut(&rest, ' ', &word))
            known |= str_eq(word, str_of(key));
        if (!known)
            return fail(err, INVALID, "UnknownMember", "\"%.64s\" means nothing here. Known are: %s.", key, words);
    }
    return OK;
}

enum status body_text(const json_t *body, const char *key, size_t most, bool wanted, struct str *out, struct error *err)
{
    const json_t *value = json_object_get(body, key);
    *out = json_get_str(body, key);
    if (!value && !wanted)
        return OK;
    if (!json_is_string(value) || out->len > most || (wanted && out->len == 0))
        return fail(err, INVALID, "BadText", "\"%s\" should be a text of %d to %zu bytes.", key, wanted ? 1 : 0, most);
    return OK;
}

static const char list_sql[] =
    "SELECT a.name, r.role, r.cap, r.since_us, (SELECT count(*) FROM review_assignment s WHERE s.account_id = "
    "r.account_id AND s.gate_id = r.gate_id AND s.state = 1) FROM gate_reviewer r JOIN account a ON a.id = "
    "r.account_id "
    "WHERE r.gate_id = ? ORDER BY a.name, r.role LIMIT 1000";

/* GET /api/{api}/gate/reviewers */
enum status reviewers_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct gate gate;
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, gate.id);
    jw_array(&w);
    while (stmt_next(row)) {
        jw_object(&w);
        jw_key_str(&w, "user", stmt_str(row, 0));
        jw_key_str(&w, "role", stmt_str(row, 1));
        jw_key_int(&w, "cap", stmt_int(row, 2));
        jw_key_str(&w, "since", time_iso(rq->arena, stmt_int(row, 3)));
        jw_key_int(&w, "open", stmt_int(row, 4));
        jw_end(&w);
    }
    TRY(stmt_end(row, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

struct change {
    struct arena *arena;
    int64_t gate_id, account_id, by_id, cap;
    struct str role;
};

/* The body names a person and a role. */
static enum status read_change(struct request *rq, struct change *out, struct error *err)
{
    json_t *body;
    struct gate gate;
    struct account account;
    struct str user;
    TRY(request_json(rq, 4096, &body, err));
    TRY(body_only(body, "user role cap", err));
    TRY(body_text(body, "user", NAME_MOST, true, &user, err));
    TRY(body_text(body, "role", NAME_MOST, true, &out->role, err));
    if (!role_known(out->role))
        return fail(err, INVALID, "BadRole", "\"role\" should be reviewer, screener, lead or appeal.");
    const json_t *cap = json_object_get(body, "cap");
    if (cap && (!json_is_integer(cap) || json_integer_value(cap) < 1 || json_integer_value(cap) > CAP_MOST))
        return fail(err, INVALID, "BadCap", "\"cap\" should be a whole number from 1 to %d.", CAP_MOST);
    out->cap = cap ? json_integer_value(cap) : DEFAULT_CAP;
    TRY(request_read(rq, err));
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    TRY(account_find(rq->db, rq->arena, user, &account, err));
    if (account.kind != ACCOUNT_USER)
        return fail(err, INVALID, NULL, "%.*s is an organisation. Name the people who review.", STR_ARG(user));
    out->arena = rq->arena;
    out->gate_id = gate.id;
    out->account_id = account.id;
    out->by_id = rq->actor.account.id;
    return OK;
}

static const char put_sql[] =
    "INSERT INTO gate_reviewer (gate_id, account_id, role, cap, by_id, since_us) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (gate_id, account_id, role) DO UPDATE SET cap = excluded.cap, by_id = excluded.by_id";

static enum status put(struct db_conn *tx, void *context, struct error *err)
{
    const struct change *change = context;
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, put_sql, &add, err));
    stmt_bind_int(add, 1, change->gate_id);
    stmt_bind_int(add, 2, change->account_id);
    stmt_bind_str(add, 3, change->role);
    stmt_bind_int(add, 4, change->cap);
    stmt_bind_int(add, 5, change->by_id);
    stmt_bind_int(add, 6, now_us());
    TRY(stmt_run(add, err));
    TRY(seeds_make(tx, change->arena, now_us(), err));
    return review_fill(tx, change->arena, change->gate_id, err);
}

/* PUT /api/{api}/gate/reviewers {"user", "role", "cap"?} */
enum status reviewers_put(struct request *rq, struct error *err)
{
    struct change change;
    TRY(read_change(rq, &change, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, put, &change, err));
    request_reply_empty(rq);
    return OK;
}

static const char remove_sql[] = "DELETE FROM gate_reviewer WHERE gate_id = ? AND account_id = ? AND role = ?";

static const char held_sql[] =
    "SELECT a.id, a.request_id FROM review_assignment a WHERE a.gate_id = ? AND a.account_id = ? AND a.state = 1 AND "
    "a.slot <= 4 AND NOT EXISTS (SELECT 1 FROM gate_reviewer r WHERE r.gate_id = a.gate_id AND r.account_id = "
    "a.account_id AND r.role IN ('reviewer', 'lead', 'screener')) LIMIT 1";

/* What somebody who reviews no more still holds goes to others. */
static enum status hand_over(struct db_conn *tx, struct arena *arena, int64_t gate_id, int64_t account_id,
                             struct error *err)
{
    for (;;) {
        auto_stmt struct stmt *row = NULL;
        struct access_request request;
        TRY(db_prepare(tx, held_sql, &row, err));
        stmt_bind_int(row, 1, gate_id);
        stmt_bind_int(row, 2, account_id);
        int64_t id = stmt_next(row) ? stmt_int(row, 0) : 0, request_id = id ? stmt_int(row, 1) : 0;
        TRY(stmt_end(row, err));
        if (!id)
            return OK;
        TRY(assignment_end(tx, id, RECUSED, err));
        TRY(request_get(tx, arena, request_id, &request, err));
        TRY(request_do(tx, arena, &request, REQUEST_RECUSE, BY_REVIEWER, account_id, STR("left"), (struct str){0},
                       err));
    }
}

static enum status take_off(struct db_conn *tx, void *context, struct error *err)
{
    const struct change *change = context;
    auto_stmt struct stmt *remove = NULL;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, change->gate_id);
    stmt_bind_int(remove, 2, change->account_id);
    stmt_bind_str(remove, 3, change->role);
    TRY(stmt_run(remove, err));
    if (!db_changes(tx))
        return fail(err, NOT_FOUND, NULL, "They have no such role at this gate.");
    return hand_over(tx, change->arena, change->gate_id, change->account_id, err);
}

/* DELETE /api/{api}/gate/reviewers {"user", "role"} */
enum status reviewers_delete(struct request *rq, struct error *err)
{
    struct change change;
    TRY(read_change(rq, &change, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, take_off, &change, err));
    request_reply_empty(rq);
    return OK;
}
