/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "gate/review_internal.h"

#define CANDIDATES_MOST 1000

uint64_t draw_random(void)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    return random;
}

/*
 * Who could judge this case: those of the pool who are not the applicant, have not touched this cycle of it, and have no
 * tie, declared or visible: to the applicant, an organisation of theirs, the owner, or a repo of the gate. That both are
 * in one organisation is a tie without being declared, unless it is the gate's own.
 *
 * For an appeal (panel 1) it must be somebody who never touched the case, in no cycle and no earlier appeal, and who does
 * not administer the gate: that is the other side.
 */
static const char candidates_sql[] =
    "WITH k (request_id, cycle, gate_id, applicant_id, pool, panel) AS (SELECT ?, ?, ?, ?, ?, ?), "
    "owners (id) AS ("
    "  SELECT a.id FROM k JOIN gate g ON g.id = k.gate_id JOIN account a ON a.id = g.owner_id AND a.kind = 1 "
    "  UNION SELECT m.user_id FROM k JOIN gate g ON g.id = k.gate_id JOIN member m ON m.org_id = g.owner_id AND m.role "
    "= "
    "3), "
    "pool (account_id, cap) AS ("
    "  SELECT r.account_id, r.cap FROM k JOIN gate_reviewer r ON r.gate_id = k.gate_id AND r.role = k.pool "
    "  UNION ALL SELECT o.id, 1000 FROM owners o JOIN k ON k.pool = 'owner' "
    "  UNION ALL SELECT a.id, 1000 FROM k JOIN account a ON a.is_admin = 1 AND a.kind = 1 WHERE k.pool = 'board') "
    "SELECT p.account_id, p.cap - (SELECT count(*) FROM review_assignment a WHERE a.account_id = p.account_id "
    "  AND a.state = 1 AND a.gate_id = k.gate_id AND a.slot <> 5), "
    "EXISTS (SELECT 1 FROM review_verdict v JOIN access_request q ON q.id = v.request_id "
    "  WHERE v.account_id = p.account_id AND q.applicant_id = k.applicant_id) "
    "FROM k JOIN gate g ON g.id = k.gate_id JOIN pool p JOIN account c ON c.id = p.account_id "
    "WHERE c.erased_us IS NULL AND p.account_id <> k.applicant_id "
    "AND NOT EXISTS (SELECT 1 FROM review_assignment a WHERE a.request_id = k.request_id AND a.account_id = "
    "p.account_id "
    "  AND (k.panel = 1 OR a.cycle = k.cycle)) "
    "AND (k.panel = 0 OR (p.account_id NOT IN (SELECT id FROM owners) "
    "  AND NOT EXISTS (SELECT 1 FROM access_request_text t WHERE t.request_id = k.request_id AND t.by_id = "
    "p.account_id) "
    "  AND NOT EXISTS (SELECT 1 FROM appeal_seat s JOIN appeal l ON l.id = s.appeal_id WHERE s.account_id = "
    "p.account_id "
    "    AND l.gate_id = k.gate_id AND l.appellant_id = k.applicant_id))) "
    "AND NOT EXISTS (SELECT 1 FROM review_conflict f WHERE f.account_id = p.account_id AND "
    "  ((f.scope = 'account' AND (f.scope_id IN (k.applicant_id, g.owner_id) OR f.scope_id IN "
    "    (SELECT org_id FROM member WHERE user_id = k.applicant_id))) OR (f.scope = 'repo' AND f.scope_id IN "
    "    (SELECT repo_id FROM gate_repo WHERE gate_id = k.gate_id)))) "
    "AND NOT EXISTS (SELECT 1 FROM member a JOIN member b ON a.org_id = b.org_id WHERE a.user_id = p.account_id "
    "  AND b.user_id = k.applicant_id AND a.org_id <> g.owner_id) "
    "ORDER BY p.account_id LIMIT 1000";

static enum status prepare(struct db_conn *conn, const struct access_request *request, const char *pool, bool panel,
                           struct stmt **out, struct error *err)
{
    TRY(db_prepare(conn, candidates_sql, out, err));
    stmt_bind_int(*out, 1, request->id);
    stmt_bind_int(*out, 2, request->cycle);
    stmt_bind_int(*out, 3, request->gate_id);
    stmt_bind_int(*out, 4, request->applicant_id);
    stmt_bind_str(*out, 5, str_of(pool));
    stmt_bind_int(*out, 6, panel);
    return OK;
}

static enum status draw(struct db_conn *conn, const struct access_request *request, const char *pool, bool panel,
                        int64_t *account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct candidate candidates[CANDIDATES_MOST];
    size_t count = 0;
    TRY(prepare(conn, request, pool, panel, &row, err));
    for (; stmt_next(row); count++)
        candidates[count] = (struct candidate){stmt_int(row, 0), stmt_int(row, 1), stmt_int(row, 2)};
    TRY(stmt_end(row, err));
    size_t found = draw_pick(candidates, count, draw_random());
    *account_id = found < count ? candidates[found].account_id : 0;
    return OK;
}

enum status draw_from(struct db_conn *conn, const struct access_request *request, const char *pool, int64_t *account_id,
                      struct error *err)
{
    return draw(conn, request, pool, false, account_id, err);
}

enum status draw_panel(struct db_conn *conn, const struct access_request *request, const char *pool,
                       int64_t *account_id, struct error *err)
{
    return draw(conn, request, pool, true, account_id, err);
}

enum status draw_exists(struct db_conn *conn, const struct access_request *request, const char *pool, bool *out,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(prepare(conn, request, pool, false, &row, err));
    *out = stmt_next(row);
    return stmt_end(row, err);
}

static const char reviewers_sql[] =
    "SELECT 1 FROM gate_reviewer r JOIN account a ON a.id = r.account_id AND a.erased_us IS NULL "
    "WHERE r.gate_id = ? AND r.role IN ('reviewer', 'lead') LIMIT 1";

enum status gate_has_reviewers(struct db_conn *conn, int64_t gate_id, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, reviewers_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

/* Assignments. */

static const char assign_sql[] = "INSERT INTO review_assignment (key, gate_id, request_id, cycle, slot, account_id, "
                                 "alias, state, assigned_us) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)";

static const char assigned_text[] = "A case has been drawn for you: GET /api/reviews/%.*s. Look at it within two "
                                    "working days. When you have any tie to "
                                    "what it is about, or cannot judge it, POST /api/reviews/%.*s/recuse.";

enum status assignment_make(struct db_conn *tx, struct arena *arena, const struct access_request *request,
                            int64_t cycle, enum slot slot, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    uint8_t random[10];
    random_bytes(random, sizeof random);
    struct str key = hex_encode(arena, random, 8);
    TRY(db_prepare(tx, assign_sql, &add, err));
    stmt_bind_str(add, 1, key);
    stmt_bind_int(add, 2, request->gate_id);
    stmt_bind_int(add, 3, request->id);
    stmt_bind_int(add, 4, cycle);
    stmt_bind_int(add, 5, slot);
    stmt_bind_int(add, 6, account_id);
    stmt_bind_str(add, 7, arena_printf(arena, "reviewer-%02x%02x", random[8], random[9]));
    stmt_bind_int(add, 8, now_us());
    TRY(stmt_run(add, err));
    return gate_tell(tx, account_id, request->gate_id, "review.assigned",
                     arena_printf(arena, assigned_text, STR_ARG(key), STR_ARG(key)), 0, err);
}

#define ASSIGNMENT_COLUMNS                                                                                             \
    "id, gate_id, request_id, cycle, account_id, slot, state, key, alias, scores, assigned_us, touched_us, ended_us"

static void read_assignment(struct stmt *row, struct arena *arena, struct assignment *out)
{
    *out = (struct assignment){
        .id = stmt_int(row, 0),
        .gate_id = stmt_int(row, 1),
        .request_id = stmt_int(row, 2),
        .cycle = stmt_int(row, 3),
        .account_id = stmt_int(row, 4),
        .slot = (enum slot)stmt_int(row, 5),
        .state = (enum assignment_state)stmt_int(row, 6),
        .key = arena_copy(arena, stmt_str(row, 7)),
        .alias = arena_copy(arena, stmt_str(row, 8)),
        .assigned_us = stmt_int(row, 10),
        .touched_us = stmt_int(row, 11),
        .ended_us = stmt_int(row, 12),
    };
    if (!stmt_is_null(row, 9))
        out->scores = arena_copy(arena, stmt_str(row, 9));
}

static const char find_sql[] = "SELECT " ASSIGNMENT_COLUMNS " FROM review_assignment WHERE key = ? AND account_id = ?";

enum status assignment_find(struct db_conn *conn, struct arena *arena, struct str key, int64_t account_id,
                            struct assignment *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_str(row, 1, key);
    stmt_bind_int(row, 2, account_id);
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, "NoAssignment", "No such case is yours to review. GET /api/reviews lists yours.");
    }
    read_assignment(row, arena, out);
    return stmt_end(row, err);
}

static const char of_sql[] = "SELECT " ASSIGNMENT_COLUMNS " FROM review_assignment WHERE request_id = ? AND cycle = ? "
                             "AND slot = ? AND state = ? ORDER BY id DESC LIMIT 1";

enum status assignment_of(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                          enum slot slot, enum assignment_state state, struct assignment *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, of_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    stmt_bind_int(row, 3, slot);
    stmt_bind_int(row, 4, state);
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, NULL, "Nobody has this case.");
    }
    read_assignment(row, arena, out);
    return stmt_end(row, err);
}

static const char end_sql[] = "UPDATE review_assignment SET state = ?, ended_us = ? WHERE id = ? AND state = 1";

enum status assignment_end(struct db_conn *tx, int64_t id, enum assignment_state state, struct error *err)
{
    auto_stmt struct stmt *end = NULL;
    TRY(db_prepare(tx, end_sql, &end, err));
    stmt_bind_int(end, 1, state);
    stmt_bind_int(end, 2, now_us());
    stmt_bind_int(end, 3, id);
    TRY(stmt_run(end, err));
    return db_changes(tx) ? OK : fail(err, CONFLICT, "AlreadyFiled", "This assignment has ended already.");
}

/* Telling. */

static const char any_repo_sql[] = "SELECT repo_id FROM gate_repo WHERE gate_id = ? ORDER BY repo_id LIMIT 1";

enum status gate_tell(struct db_conn *tx, int64_t account_id, int64_t gate_id, const char *kind, struct str text,
                      int64_t due_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, any_repo_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    int64_t repo_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    const struct notice notice = {account_id, repo_id, kind, text, due_us};
    return notice_add(tx, &notice, err);
}

static const char pool_sql[] =
    "WITH k (gate_id, pool) AS (SELECT ?, ?), "
    "leads (id) AS (SELECT r.account_id FROM k JOIN gate_reviewer r ON r.gate_id = k.gate_id AND r.role = 'lead'), "
    "owners (id) AS (SELECT a.id FROM k JOIN gate g ON g.id = k.gate_id JOIN account a ON a.id = g.owner_id AND a.kind "
    "= 1 UNION SELECT m.user_id FROM k JOIN gate g ON g.id = k.gate_id JOIN member m ON m.org_id = g.owner_id AND "
    "m.role = 3) "
    "SELECT id FROM leads, k WHERE k.pool = 'lead' "
    "UNION SELECT id FROM owners, k WHERE k.pool = 'owner' OR (k.pool = 'lead' AND NOT EXISTS (SELECT 1 FROM leads)) "
    "UNION SELECT a.id FROM account a, k WHERE k.pool = 'board' AND a.is_admin = 1 AND a.kind = 1 AND a.erased_us IS "
    "NULL LIMIT 100";

enum status gate_tell_pool(struct db_conn *tx, int64_t gate_id, const char *pool, const char *kind, struct str text,
                           int64_t due_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t ids[100];
    size_t count = 0;
    TRY(db_prepare(tx, pool_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_str(row, 2, str_of(pool));
    while (stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(gate_tell(tx, ids[i], gate_id, kind, text, due_us, err));
    return OK;
}
