/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Deployments: which commit runs where, said by whoever runs it. A heartbeat tells that one still does; at most one an
 * hour gets a leaf, the others only move the time in the list.
 */
#include "attest/deployment_step.h"
#include "attest/internal.h"
#include "base/text.h"
#include "base/time.h"
#include "leaf/leaf_type.h"

#define HEARTBEAT_LOG_US (3600 * SECOND_US)
#define ID_SIZE 16

struct deployment {
    enum deployment_phase phase;
    struct str id, env, dir_hash;
    struct str region, hardware, runtime, config, tee; /* absent where nothing is said */
    int64_t approval;                                  /* -1: none */

    /* The row, as it was found and as it is going to be. */
    int64_t row;
    enum deployment_state state;
    int64_t now_us, logged_us;
};

/* The predicate. */

static enum status digest_of(const struct said *said, const char *member, struct str *out, struct error *err)
{
    TRY(said_text(said, member, out, err));
    if (!str_given(*out) || leaf_is_hex(*out, 2 * SHA256_SIZE))
        return OK;
    return fail(err, UNPROCESSABLE, NULL, "The predicate's \"%s\" should be a SHA-256: 64 hex digits in small letters.",
                member);
}

static enum status read_predicate(const struct said *said, struct deployment *own, struct error *err)
{
    struct str phase;
    TRY(said_word(said, "phase", DEPLOYMENT_PHASE_WORDS, &phase, err));
    if (!str_given(phase) || !deployment_phase_parse(phase, &own->phase))
        return fail(err, UNPROCESSABLE, NULL, "The predicate needs a \"phase\": start, heartbeat or stop.");
    TRY(said_word(said, "env", DEPLOYMENT_PLACES, &own->env, err));
    TRY(said_word(said, "hardware", DEPLOYMENT_HARDWARE, &own->hardware, err));
    TRY(said_text(said, "region", &own->region, err));
    TRY(digest_of(said, "runtime", &own->runtime, err));
    TRY(digest_of(said, "config", &own->config, err));
    TRY(digest_of(said, "tee", &own->tee, err));
    TRY(said_index(said, "approval", &own->approval, err));
    TRY(said_text(said, "id", &own->id, err));
    if (str_given(own->region) && !leaf_is_code(own->region, 2))
        return fail(err, UNPROCESSABLE, NULL,
                    "The predicate's \"region\" should be a country of ISO 3166-1, such as NL.");
    if (own->phase == PHASE_START && !str_given(own->env))
        return fail(err, UNPROCESSABLE, NULL, "A start needs \"env\", one of: %s.", DEPLOYMENT_PLACES);
    if (own->phase != PHASE_START && !str_given(own->id))
        return fail(err, UNPROCESSABLE, NULL, "A %.*s needs the \"id\" that the answer to the start gave.",
                    STR_ARG(phase));
    return OK;
}

/* The approver's newest word on the commit; an approval that was taken back does not let anything run. */
static const char newest_sql[] =
    "SELECT max(s.event_id) FROM statement s JOIN event e ON e.id = s.event_id "
    "WHERE s.repo_id = ? AND s.commit_oid = ? AND s.account_id = ? AND e.kind = 'approval'";

static enum status still_stands(const struct said *said, const struct prov_entry *entry, bool *out, struct error *err)
{
    auto_json json_t *body = NULL;
    auto_stmt struct stmt *newest = NULL;
    TRY(json_read(entry->body, entry->body.len, &body, err));
    bool approves = str_eq(json_get_str(body, "decision"), STR("approve")) &&
                    str_eq(json_get_str(body, "commit"), oid_hex(said->rq->arena, &said->commit));
    TRY(db_prepare(said->rq->db, newest_sql, &newest, err));
    stmt_bind_int(newest, 1, said->rq->repo.id);
    stmt_bind_blob(newest, 2, said->commit.bytes, SHA1_SIZE);
    stmt_bind_int(newest, 3, entry->actor_id);
    *out = stmt_next(newest) && approves && stmt_int(newest, 0) == entry->event_id;
    return stmt_end(newest, err);
}

static enum status check_approval(const struct said *said, int64_t index, struct error *err)
{
    struct prov_entry entry;
    bool stands = false;
    if (index < 0)
        return OK;
    enum status status = prov_entry_at(said->rq->db, said->rq->arena, said->rq->repo.id, (uint64_t)index, &entry, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    if (status == OK && entry.has_event && str_eq(entry.kind, STR("approval")))
        TRY(still_stands(said, &entry, &stands, err));
    return stands
               ? OK
               : fail(
                     err, UNPROCESSABLE, NULL,
                     "\"approval\" names entry %lld of the log, which does not approve this commit, or was taken back.",
                     (long long)index);
}

static enum status check(struct said *said, struct error *err)
{
    struct deployment *own = said->own = arena_alloc(said->rq->arena, sizeof *own);
    uint64_t manifest;
    TRY(read_predicate(said, own, err));
    TRY(check_approval(said, own->approval, err));
    /* The others go on with what the start has found. */
    return own->phase == PHASE_START ? said_manifest(said, &manifest, &own->dir_hash, err) : OK;
}

/* The write. */

static const char find_sql[] = "SELECT id, account_id, commit_oid, env, state, logged_us, last_event, dir_hash "
                               "FROM deployment WHERE repo_id = ? AND public_id = ?";

static enum status mismatch(const struct said *said, struct stmt *row, struct error *err)
{
    const struct deployment *own = said->own;
    struct str commit = stmt_str(row, 2);
    if (stmt_int(row, 1) != said->signer.account_id)
        return fail(err, FORBIDDEN, NULL, "Another person started this deployment; only they can say how it is.");
    if (commit.len != SHA1_SIZE || memcmp(commit.data, said->commit.bytes, SHA1_SIZE) != 0)
        return fail(err, UNPROCESSABLE, NULL,
                    "This deployment runs another commit. Stop it, and start one of the commit that runs now.");
    if (str_given(own->env) && !str_eq(own->env, stmt_str(row, 3)))
        return fail(err, UNPROCESSABLE, NULL, "This deployment was started in another environment: %.*s.",
                    STR_ARG(stmt_str(row, 3)));
    return OK;
}

/* The deployment that the statement goes on with; state stays DEPLOYMENT_NONE when there is none. */
static enum status find(struct said *said, struct db_conn *tx, struct error *err)
{
    struct deployment *own = said->own;
    enum status status = OK;
    auto_stmt struct stmt *row = NULL;
    own->state = DEPLOYMENT_NONE;
    if (!str_given(own->id))
        return OK;
    TRY(db_prepare(tx, find_sql, &row, err));
    stmt_bind_int(row, 1, said->rq->repo.id);
    stmt_bind_str(row, 2, own->id);
    if (stmt_next(row)) {
        status = mismatch(said, row, err);
        own->row = stmt_int(row, 0);
        own->env = arena_copy(said->rq->arena, stmt_str(row, 3));
        own->state = (enum deployment_state)stmt_int(row, 4);
        own->logged_us = stmt_int(row, 5);
        said->event_id = stmt_int(row, 6);
        own->dir_hash = arena_copy(said->rq->arena, stmt_str(row, 7));
    }
    TRY(status);
    return stmt_end(row, err);
}

static enum status new_id(struct said *said, struct error *err)
{
    struct deployment *own = said->own;
    uint8_t random[ID_SIZE];
    if (str_given(own->id))
        return fail(err, UNPROCESSABLE, NULL, "A start has no \"id\": the answer gives it.");
    random_bytes(random, sizeof random);
    own->id = hex_encode(said->rq->arena, random, sizeof random);
    return OK;
}

static const char heard_sql[] = "UPDATE deployment SET heard_us = ? WHERE id = ?";

static enum status hear(const struct deployment *own, struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *heard = NULL;
    TRY(db_prepare(tx, heard_sql, &heard, err));
    stmt_bind_int(heard, 1, own->now_us);
    stmt_bind_int(heard, 2, own->row);
    return stmt_run(heard, err);
}

static enum status write(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err)
{
    struct deployment *own = said->own;
    own->now_us = now_us();
    TRY(find(said, tx, err));
    TRY(deployment_step(own->state, own->phase, &own->state, err));
    if (own->phase == PHASE_START)
        TRY(new_id(said, err));
    said->quiet = own->phase == PHASE_HEARTBEAT && own->now_us - own->logged_us < HEARTBEAT_LOG_US;
    if (said->quiet)
        return hear(own, tx, err);
    jw_key_str(w, "phase", deployment_phase_name(own->phase));
    jw_key_str(w, "id", own->id);
    jw_key_str(w, "env", own->env);
    jw_key_str(w, "manifest", own->dir_hash);
    const struct {
        const char *name;
        struct str value;
    } said_more[] = {{"region", own->region},
                     {"hardware", own->hardware},
                     {"runtime", own->runtime},
                     {"config", own->config},
                     {"tee", own->tee}};
    for (size_t i = 0; i < sizeof said_more / sizeof *said_more; i++)
        if (str_given(said_more[i].value))
            jw_key_str(w, said_more[i].name, said_more[i].value);
    if (own->approval >= 0)
        jw_key_int(w, "approval", own->approval);
    return OK;
}

static const char start_sql[] =
    "INSERT INTO deployment (repo_id, public_id, account_id, commit_oid, dir_hash, env, state, started_us, heard_us, "
    "logged_us, start_event, last_event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char go_on_sql[] =
    "UPDATE deployment SET state = ?, heard_us = ?, logged_us = ?, last_event = ? WHERE id = ?";

static enum status start(const struct said *said, struct db_conn *tx, struct error *err)
{
    const struct deployment *own = said->own;
    auto_stmt struct stmt *start = NULL;
    TRY(db_prepare(tx, start_sql, &start, err));
    stmt_bind_int(start, 1, said->rq->repo.id);
    stmt_bind_str(start, 2, own->id);
    stmt_bind_int(start, 3, said->signer.account_id);
    stmt_bind_blob(start, 4, said->commit.bytes, SHA1_SIZE);
    stmt_bind_str(start, 5, own->dir_hash);
    stmt_bind_str(start, 6, own->env);
    stmt_bind_int(start, 7, own->state);
    for (int at = 8; at <= 10; at++) /* started, heard of, logged */
        stmt_bind_int(start, at, own->now_us);
    stmt_bind_int(start, 11, said->event_id);
    stmt_bind_int(start, 12, said->event_id);
    return stmt_run(start, err);
}

static enum status after(struct said *said, struct db_conn *tx, struct error *err)
{
    const struct deployment *own = said->own;
    auto_stmt struct stmt *go_on = NULL;
    if (own->phase == PHASE_START)
        return start(said, tx, err);
    TRY(db_prepare(tx, go_on_sql, &go_on, err));
    stmt_bind_int(go_on, 1, own->state);
    stmt_bind_int(go_on, 2, own->now_us);
    stmt_bind_int(go_on, 3, own->now_us);
    stmt_bind_int(go_on, 4, said->event_id);
    stmt_bind_int(go_on, 5, own->row);
    return stmt_run(go_on, err);
}

const struct statement_kind deployment_kind = {
    .predicate_types = {DEPLOYMENT_PREDICATE},
    .event = &attest_events[EVENT_DEPLOYMENT],
    .action = ACT_ATTEST,
    .most = 64 * 1024,
    .repo_name = "repo",
    .shown = "phase id env region hardware approval",
    .check = check,
    .write = write,
    .after = after,
};
