/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bills that the hub has signed. A bill is logged once for what it says; its evidence is the envelope from that time. */
#include "attest/evidence.h"
#include "attest/hub_key.h"
#include "base/text.h"
#include "bom/internal.h"
#include "oms/intoto.h"
#include "prov/find.h"

#define TEXT_MOST (16 * 1024 * 1024) /* so that the envelope is no larger than evidence may be */

static const char create_sql[] = "CREATE TABLE bom ("
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  format TEXT NOT NULL,"
                                 "  digest TEXT NOT NULL," /* of the document */
                                 "  evidence BLOB NOT NULL,"
                                 "  event_id BIGINT NOT NULL,"
                                 "  PRIMARY KEY (repo_id, commit_oid, format, digest));";
const struct migration_set bom_migrations = {"bom", (const char *const[]){create_sql, NULL}};
const struct event_kind bom_events[] = {{"bom", 1}, {0}};

void bom_free(struct bom *bom)
{
    buf_free(&bom->text);
}

static enum status make_envelope(struct request *rq, const struct bom *bom, struct str *out, struct error *err)
{
    auto_buf struct buf statement = {0}, text = {0};
    const struct bom_facts *facts = &bom->facts;
    const struct intoto_subject subjects[] = {{facts->repo->full_name, "gitCommit", facts->commit},
                                              {facts->repo->full_name, "dirHash1", facts->dir_hash}};
    struct dsse_envelope envelope;
    if (bom->text.len > TEXT_MOST)
        return fail(err, TOO_LARGE, NULL, "This bill of material has %zu bytes; up to %d are signed.", bom->text.len,
                    TEXT_MOST);
    intoto_write(&statement, bom->format->predicate_type, subjects, sizeof subjects / sizeof *subjects,
                 buf_view(&bom->text));
    TRY(hub_sign(rq->hub, rq->arena, STR(INTOTO_MEDIA_TYPE), buf_view(&statement), &envelope, err));
    struct json_writer w = jw_to(&text);
    dsse_write(rq->arena, &envelope, &w);
    *out = arena_copy(rq->arena, buf_view(&text));
    return OK;
}

/* Logged. */

struct logged_bom {
    const struct bom *bom;
    int64_t repo_id;
    struct str envelope;
    uint8_t evidence[SHA256_SIZE];
    int64_t event_id;
    bool found;
};

static const char find_sql[] =
    "SELECT evidence, event_id FROM bom WHERE repo_id = ? AND commit_oid = ? AND format = ? AND digest = ?";

static enum status find(struct db_conn *conn, struct logged_bom *logged, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_int(find, 1, logged->repo_id);
    stmt_bind_blob(find, 2, logged->bom->facts.commit_id.bytes, SHA1_SIZE);
    stmt_bind_str(find, 3, str_of(logged->bom->format->name));
    stmt_bind_str(find, 4, logged->bom->digest);
    logged->found = stmt_next(find);
    if (logged->found) {
        struct str evidence = stmt_str(find, 0);
        logged->event_id = stmt_int(find, 1);
        memcpy(logged->evidence, evidence.data, evidence.len == SHA256_SIZE ? SHA256_SIZE : 0);
    }
    return stmt_end(find, err);
}

static enum status read_logged(struct request *rq, const struct logged_bom *logged, struct str *envelope,
                               int64_t *index, struct error *err)
{
    uint64_t at;
    TRY(evidence_get(rq->db, rq->arena, logged->repo_id, logged->evidence, envelope, err));
    TRY(prov_event_leaf(rq->db, logged->event_id, &at, err));
    *index = (int64_t)at;
    return OK;
}

enum status bom_envelope(struct request *rq, const struct bom *bom, struct str *envelope, int64_t *index,
                         struct error *err)
{
    struct logged_bom logged = {.bom = bom, .repo_id = rq->repo.id};
    *index = -1;
    TRY(find(rq->db, &logged, err));
    enum status status = logged.found ? read_logged(rq, &logged, envelope, index, err) : NOT_FOUND;
    return status == NOT_FOUND ? make_envelope(rq, bom, envelope, err) : status; /* it may have been erased */
}

static const char keep_sql[] =
    "INSERT INTO bom (repo_id, commit_oid, format, digest, evidence, event_id) VALUES (?, ?, ?, ?, ?, ?)";

static enum status keep(struct db_conn *tx, const struct logged_bom *logged, struct error *err)
{
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_int(keep, 1, logged->repo_id);
    stmt_bind_blob(keep, 2, logged->bom->facts.commit_id.bytes, SHA1_SIZE);
    stmt_bind_str(keep, 3, str_of(logged->bom->format->name));
    stmt_bind_str(keep, 4, logged->bom->digest);
    stmt_bind_blob(keep, 5, logged->evidence, SHA256_SIZE);
    stmt_bind_int(keep, 6, logged->event_id);
    return stmt_run(keep, err);
}

/* By the hub, whoever asked for it: nobody else says anything in it. But it names the repo's owner, and goes when they do. */
static enum status log_bom(struct db_conn *tx, void *context, struct error *err)
{
    struct logged_bom *logged = context;
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    TRY(find(tx, logged, err));
    if (logged->found)
        return OK;
    TRY(evidence_put(tx, logged->repo_id, logged->bom->facts.repo->owner_id, logged->envelope, logged->evidence, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "commit", logged->bom->facts.commit);
    jw_key_str(&w, "digest", logged->bom->digest);
    jw_key_str(&w, "evidence", hex_encode(&arena, logged->evidence, SHA256_SIZE));
    jw_key_str(&w, "format", str_of(logged->bom->format->name));
    jw_end(&w);
    struct event event = {.kind = &bom_events[0], .repo_id = logged->repo_id, .body = buf_view(&body)};
    TRY(event_append(tx, &event, err));
    logged->event_id = db_last_id(tx);
    return keep(tx, logged, err);
}

enum status bom_log(struct request *rq, const struct bom *bom, struct str *envelope, int64_t *index, bool *fresh,
                    struct error *err)
{
    struct logged_bom logged = {.bom = bom, .repo_id = rq->repo.id};
    TRY(find(rq->db, &logged, err));
    *fresh = !logged.found;
    if (logged.found)
        return read_logged(rq, &logged, envelope, index, err);
    TRY(make_envelope(rq, bom, &logged.envelope, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, log_bom, &logged, err));
    TRY(request_read(rq, err));
    return read_logged(rq, &logged, envelope, index, err);
}
