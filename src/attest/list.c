/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was said of a repo's commits. Lists are newest first, in pages that the Link header joins. */
#include "attest/deployment_step.h"
#include "attest/internal.h"
#include "base/text.h"
#include "base/time.h"
#include "router/page.h"

/* Statements. */

/* The author's name stands here as it stands at commits. Keys are gone once a person is erased. */
#define STATEMENT_SQL(condition)                                                                                       \
    "SELECT s.id, e.kind, e.at_us, e.body, l.idx, a.name, k.hint, k.pem FROM statement s "                             \
    "JOIN event e ON e.id = s.event_id JOIN leaf l ON l.event_id = s.event_id "                                        \
    "JOIN account a ON a.id = s.account_id LEFT JOIN signer k ON k.id = s.signer_id WHERE " condition

/* Members that are only committed to in the log may be shown to whoever may see the repo. */
static const json_t *shown_member(const json_t *body, struct str name)
{
    char key[32] = {0};
    memcpy(key, name.data, name.len < sizeof key ? name.len : 0);
    const json_t *value = json_object_get(body, key);
    return value ? value : json_object_get(json_object_get(body, "secrets"), key);
}

static void write_shown(struct json_writer *w, const char *shown, const json_t *body)
{
    struct str rest = str_of(shown), name;
    while (str_cut(&rest, ' ', &name)) {
        const json_t *value = shown_member(body, name);
        char key[32] = {0};
        if (!value || name.len >= sizeof key)
            continue;
        memcpy(key, name.data, name.len);
        jw_key(w, key);
        jw_value(w, value);
    }
}

static enum status write_statement(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    auto_json json_t *body = NULL;
    const struct statement_kind *kind = kind_of_event(stmt_str(row, 1));
    struct str text = stmt_str(row, 3);
    TRY(json_read(text, text.len, &body, err));
    jw_object(w);
    jw_key_str(w, "type", stmt_str(row, 1));
    jw_key_str(w, "commit", json_get_str(body, "commit"));
    if (kind)
        write_shown(w, kind->shown, body);
    jw_key_str(w, "actor", stmt_str(row, 5));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 2)));
    jw_key_int(w, "index", stmt_int(row, 4));
    jw_key_str(w, "evidence", json_get_str(body, "evidence"));
    jw_key_str(w, "keyid", stmt_str(row, 6));
    jw_key_str(w, "publicKey", stmt_str(row, 7));
    jw_end(w);
    return OK;
}

static const char one_sql[] = STATEMENT_SQL("s.event_id = ?");

enum status statement_show(struct request *rq, int64_t event_id, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, one_sql, &row, err));
    stmt_bind_int(row, 1, event_id);
    bool found = stmt_next(row);
    enum status status = found ? write_statement(rq, row, w, err) : OK;
    TRY(status);
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "This statement has no entry in the log.");
}

static const char statements_sql[] =
    STATEMENT_SQL("s.repo_id = ? AND s.commit_oid = ? AND s.id < ? ORDER BY s.id DESC LIMIT ?");

/* GET /api/{api}/attestations?revision=…&cursor=… */
enum status statements_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str name = request_query(rq, "revision", 0);
    struct revision revision;
    int64_t before;
    TRY(page_cursor(rq, NEWEST_FIRST, &before, err));
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, str_given(name) ? name : STR("main"), &revision, err));
    TRY(db_prepare(rq->db, statements_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    stmt_bind_blob(row, 2, revision.commit.bytes, SHA1_SIZE);
    stmt_bind_int(row, 3, before);
    stmt_bind_int(row, 4, PAGE);
    return page_reply(rq, row, write_statement, err);
}

/* Releases and deployments. */

static struct str hex_of(struct request *rq, struct str bytes)
{
    return hex_encode(rq->arena, bytes.data, bytes.len);
}

static const char releases_sql[] =
    "SELECT r.id, r.version, r.channel, r.commit_oid, e.at_us, l.idx, s.evidence "
    "FROM release r JOIN event e ON e.id = r.event_id JOIN leaf l ON l.event_id = r.event_id "
    "JOIN statement s ON s.event_id = r.event_id "
    "WHERE r.repo_id = ? AND r.id < ? ORDER BY r.id DESC LIMIT ?";

static enum status write_release(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_str(w, "version", stmt_str(row, 1));
    jw_key_str(w, "channel", stmt_str(row, 2));
    jw_key_str(w, "commit", hex_of(rq, stmt_str(row, 3)));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 4)));
    jw_key_int(w, "index", stmt_int(row, 5));
    jw_key_str(w, "evidence", hex_of(rq, stmt_str(row, 6)));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/releases */
enum status releases_get(struct request *rq, struct error *err)
{
    return page_list(rq, releases_sql, rq->repo.id, NEWEST_FIRST, write_release, err);
}

static const char deployments_sql[] =
    "SELECT d.id, d.public_id, d.commit_oid, d.env, d.state, d.started_us, d.heard_us, a.idx, z.idx, e.body "
    "FROM deployment d JOIN event e ON e.id = d.start_event JOIN leaf a ON a.event_id = d.start_event JOIN leaf z ON "
    "z.event_id = d.last_event "
    "WHERE d.repo_id = ? AND d.id < ? ORDER BY d.id DESC LIMIT ?";

/* Who runs it stands with the statement, not here. */
static enum status write_deployment(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    auto_json json_t *started = NULL;
    struct str body = stmt_str(row, 9);
    bool runs = stmt_int(row, 4) == DEPLOYMENT_RUNNING;
    bool heard = stmt_int(row, 6) != stmt_int(row, 5);
    TRY(json_read(body, body.len, &started, err));
    jw_object(w);
    jw_key_str(w, "id", stmt_str(row, 1));
    jw_key_str(w, "revision", hex_of(rq, stmt_str(row, 2)));
    jw_key_str(w, "env", stmt_str(row, 3));
    if (json_object_get(started, "region"))
        jw_key_str(w, "region", json_get_str(started, "region"));
    if (json_object_get(started, "approval"))
        jw_key_int(w, "approval", json_get_int(started, "approval", -1));
    jw_key_str(w, "phase", deployment_phase_name(!runs ? PHASE_STOP : heard ? PHASE_HEARTBEAT : PHASE_START));
    jw_key_bool(w, "running", runs);
    jw_key_str(w, "since", time_iso(rq->arena, stmt_int(row, 5)));
    jw_key_str(w, "lastHeard", time_iso(rq->arena, stmt_int(row, 6)));
    jw_key_int(w, "index", stmt_int(row, 7));
    jw_key_int(w, "lastIndex", stmt_int(row, 8));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/deployments */
enum status deployments_get(struct request *rq, struct error *err)
{
    return page_list(rq, deployments_sql, rq->repo.id, NEWEST_FIRST, write_deployment, err);
}
