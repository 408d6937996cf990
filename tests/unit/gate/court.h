/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The desk of desk.h, with reviewers and a panel behind it. */
#ifndef CAIRN_TESTS_GATE_COURT_H
#define CAIRN_TESTS_GATE_COURT_H

#include "desk.h"
#include "gate/appeal.h"
#include "gate/review_internal.h"

#define GOOD_SCORES "{\"purpose\":2,\"safeguards\":2,\"feasible\":2,\"conduct\":2}"
#define BAD_SCORES "{\"purpose\":0,\"safeguards\":1,\"feasible\":1,\"conduct\":1}"
#define APPROVAL "{\"scores\":" GOOD_SCORES ",\"outcome\":\"approve\",\"reasonCodes\":[\"meets-criteria\"]}"
#define REFUSAL "{\"scores\":" BAD_SCORES ",\"outcome\":\"refuse\",\"reasonCodes\":[\"purpose-unclear\"]}"
#define OVERRIDE                                                                                                       \
    "{\"scores\":" GOOD_SCORES ",\"outcome\":\"refuse\",\"reasonCodes\":[\"other\"],\"override\":\"so it is\"}"

static inline void run(struct desk *desk, struct str sql)
{
    GOOD(db_write(desk->db, run_sql, arena_cstr(&desk->arena, sql), err));
}

static inline void appoint(struct desk *desk, int64_t who, const char *role, int cap)
{
    run(desk, arena_printf(&desk->arena, "INSERT INTO gate_reviewer VALUES (%lld, %lld, '%s', %d, 0, 0)",
                           (long long)desk->gate.id, (long long)who, role, cap));
}

struct filed {
    struct desk *desk;
    int64_t account_id;
    struct str key;
    const char *body;
};

static inline enum status file_in(struct db_conn *tx, void *context, struct error *err)
{
    struct filed *filed = context;
    auto_json json_t *body = NULL;
    TRY(json_read(str_of(filed->body), SIZE_MAX, &body, err));
    struct review_filing filing = {
        .arena = &filed->desk->arena, .key = filed->key, .account_id = filed->account_id, .body = body};
    return review_file(tx, &filing, err);
}

/* Who has the case, as a review; 0 for nobody. */
static inline int64_t holder_of(struct desk *desk, int64_t request_id, struct str *key)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(db_prepare(conn,
                    "SELECT account_id, key FROM review_assignment WHERE request_id = ? AND state = 1 AND slot <= 3",
                    &row, err));
    stmt_bind_int(row, 1, request_id);
    int64_t found = stmt_next(row) ? stmt_int(row, 0) : 0;
    *key = found ? arena_copy(&desk->arena, stmt_str(row, 1)) : (struct str){0};
    GOOD(stmt_end(row, err));
    return found;
}

/* Whoever has the case files this. */
static inline enum status verdict(struct desk *desk, int64_t request_id, const char *body, struct error *err)
{
    struct filed filed = {.desk = desk, .body = body};
    filed.account_id = holder_of(desk, request_id, &filed.key);
    assert_true(filed.account_id != 0);
    return db_write(desk->db, file_in, &filed, err);
}

static inline enum request_state state_of(struct desk *desk, int64_t request_id)
{
    return read_request(desk, request_id).state;
}

/* So many verdicts of a person in the past, of cycles that never were: those who are new are checked in any case. */
static inline void give_past(struct desk *desk, int64_t who, int64_t request_id, int count, const char *agreed,
                             int overturned)
{
    run(desk,
        arena_printf(&desk->arena,
                     "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                     "INSERT INTO review_assignment (key, gate_id, request_id, cycle, slot, account_id, alias, "
                     "state, assigned_us) SELECT hex(randomblob(8)), %lld, %lld, 1000 + i, 1, %lld, 'x', 2, 1 FROM n",
                     count, (long long)desk->gate.id, (long long)request_id, (long long)who));
    run(desk,
        arena_printf(&desk->arena,
                     "INSERT INTO review_verdict (assignment_id, gate_id, request_id, cycle, slot, account_id, "
                     "scores, recommended, outcome, codes, note, note_to_applicant, override_reason, filed_us, "
                     "agreed, overturned) SELECT a.id, a.gate_id, a.request_id, a.cycle, 1, a.account_id, '{}', 1, "
                     "1, '[]', '', '', '', 1, %s, %d FROM review_assignment a WHERE a.account_id = %lld AND a.cycle "
                     "> 1000 AND NOT EXISTS (SELECT 1 FROM review_verdict v WHERE v.assignment_id = a.id)",
                     agreed, overturned, (long long)who));
}

#endif
