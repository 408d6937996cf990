/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a statement comes in. The order matters: nobody reads what an envelope holds before its signature is known to be
 * that of the person who sends it, and nothing is kept before it is known to be about a commit of this repo.
 */
#include "attest/internal.h"
#include "base/text.h"

/* The envelope. */

static enum status verify(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    struct dsse_envelope envelope;
    TRY(dsse_read(rq->arena, said->envelope, &envelope, err));
    if (!str_eq(envelope.type, STR(INTOTO_MEDIA_TYPE)))
        return fail(err, INVALID, NULL, "The envelope's \"payloadType\" should be \"%s\".", INTOTO_MEDIA_TYPE);
    TRY(signer_verify(rq->db, rq->arena, rq->actor.account.id, &envelope, &said->signer, err));
    said->payload = envelope.payload;
    return OK;
}

/* What it is about. */

/* The one commit that the subjects name; a statement about several would leave open which one a leaf is about. */
static enum status named_commit(const struct said *said, struct str *out, struct error *err)
{
    *out = (struct str){0};
    for (size_t i = 0; i < json_array_size(said->statement.subjects); i++) {
        const json_t *digests = json_object_get(json_array_get(said->statement.subjects, i), "digest");
        struct str commit = json_get_str(digests, "gitCommit");
        if (!str_given(commit))
            continue;
        if (str_given(*out) && !str_eq(*out, commit))
            return fail(err, UNPROCESSABLE, NULL,
                        "The statement's subjects name more than one commit; sign one for each.");
        *out = commit;
    }
    if (str_given(*out) && out->len == 2 * SHA1_SIZE)
        return OK;
    return fail(err, UNPROCESSABLE, NULL,
                "The statement's subject names no commit: it should have the digest \"gitCommit\" of 40 hex digits.");
}

static enum status find_commit(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    struct str name;
    struct revision revision;
    TRY(named_commit(said, &name, err));
    enum status status = revision_resolve(rq->db, rq->arena, rq->repo.id, name, &revision, err);
    /* A branch may be called like a commit that is not there. */
    bool found = status == OK && str_eq(oid_hex(rq->arena, &revision.commit), name);
    if (status != OK && status != NOT_FOUND)
        return status;
    if (!found)
        return fail(err, UNPROCESSABLE, NULL, "The statement is not about this repo: it has no commit %.*s.",
                    STR_ARG(name));
    said->commit = revision.commit;
    return OK;
}

/* Who names what the files are, too, must have them right. */
static enum status check_dir_hash(struct said *said, struct error *err)
{
    static const char *const names[] = {"dirHash1", "dirHash"};
    struct str dir_hash = {0};
    uint64_t index;
    for (size_t i = 0; i < json_array_size(said->statement.subjects); i++)
        for (size_t n = 0; n < 2; n++) {
            const json_t *digests = json_object_get(json_array_get(said->statement.subjects, i), "digest");
            struct str named = json_get_str(digests, names[n]);
            if (!str_given(named))
                continue;
            if (!str_given(dir_hash))
                TRY(said_manifest(said, &index, &dir_hash, err));
            if (!str_eq(named, dir_hash))
                return fail(err, UNPROCESSABLE, NULL,
                            "The commit's files are not those that the statement names: their %s is %.*s.", names[n],
                            STR_ARG(dir_hash));
        }
    return OK;
}

/* Copies of a repo have the same commits. With the repo's own id, a statement about one does not hold in the other. */
static enum status check_repo(const struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    uint8_t log_id[LEAF_REPO_SIZE];
    struct str named;
    if (!said->kind->repo_name)
        return OK;
    TRY(said_text(said, said->kind->repo_name, &named, err));
    TRY(prov_repo_log(rq->db, rq->repo.id, log_id, err));
    if (!str_given(named) || str_eq(named, hex_encode(rq->arena, log_id, sizeof log_id)))
        return OK;
    return fail(err, UNPROCESSABLE, NULL, "The statement is about another repo: \"%s\" should be %.*s.",
                said->kind->repo_name, STR_ARG(hex_encode(rq->arena, log_id, sizeof log_id)));
}

static enum status find_kind(struct said *said, const struct statement_kind *only, struct error *err)
{
    struct request *rq = said->rq;
    struct access_object object = repo_access(&rq->repo);
    const struct statement_kind *kind = kind_of_predicate(said->statement.predicate_type);
    if (!kind || (only && kind != only))
        return fail(err, UNSUPPORTED, NULL, "Statements of this \"predicateType\" are not taken here. Known are: %s.",
                    only ? only->predicate_types[0]
                         : APPROVAL_PREDICATE ", " DEPLOYMENT_PREDICATE ", " LINEAGE_PREDICATE ", " RELEASE_PREDICATE
                                              ", " TEST_RESULT_PREDICATE);
    if (said->envelope.len > kind->most)
        return fail(err, TOO_LARGE, NULL, "A statement of this kind may have %zu bytes; this one has %zu.", kind->most,
                    said->envelope.len);
    TRY(access_decide(rq->db, &rq->actor, kind->action, &object, err));
    said->kind = kind;
    return OK;
}

/* Into the log. */

static const char there_sql[] = "SELECT event_id FROM statement WHERE repo_id = ? AND evidence = ?";

static enum status find_there(struct db_conn *conn, struct said *said, bool *found, struct error *err)
{
    auto_stmt struct stmt *there = NULL;
    TRY(db_prepare(conn, there_sql, &there, err));
    stmt_bind_int(there, 1, said->rq->repo.id);
    stmt_bind_blob(there, 2, said->digest, SHA256_SIZE);
    *found = stmt_next(there);
    if (*found)
        said->event_id = stmt_int(there, 0);
    return stmt_end(there, err);
}

static const char keep_sql[] = "INSERT INTO statement (repo_id, commit_oid, account_id, signer_id, evidence, event_id) "
                               "VALUES (?, ?, ?, ?, ?, ?)";

static enum status keep(struct db_conn *tx, const struct said *said, struct error *err)
{
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_int(keep, 1, said->rq->repo.id);
    stmt_bind_blob(keep, 2, said->commit.bytes, SHA1_SIZE);
    stmt_bind_int(keep, 3, said->signer.account_id);
    stmt_bind_int(keep, 4, said->signer.id);
    stmt_bind_blob(keep, 5, said->digest, SHA256_SIZE);
    stmt_bind_int(keep, 6, said->event_id);
    return stmt_run(keep, err);
}

static enum status compose_body(struct db_conn *tx, struct said *said, struct buf *body, struct error *err)
{
    struct arena *arena = said->rq->arena;
    struct json_writer w = jw_to(body);
    jw_object(&w);
    jw_key_str(&w, "commit", oid_hex(arena, &said->commit));
    jw_key_str(&w, "evidence", hex_encode(arena, said->digest, SHA256_SIZE));
    jw_key_bool(&w, "signed", true);
    TRY(said->kind->write(said, tx, &w, err));
    jw_end(&w);
    return OK;
}

/* The evidence, the event and what follows from it, or nothing. The same envelope once more changes nothing. */
static enum status write_said(struct db_conn *tx, void *context, struct error *err)
{
    struct said *said = context;
    const struct statement_kind *kind = said->kind;
    auto_buf struct buf body = {0};
    bool found;
    TRY(find_there(tx, said, &found, err));
    if (found) {
        said->quiet = true;
        return OK;
    }
    TRY(signer_still(tx, &said->signer, err));
    TRY(compose_body(tx, said, &body, err));
    if (said->quiet)
        return OK;
    struct event event = {.kind = kind->event,
                          .repo_id = said->rq->repo.id,
                          .actor_id = said->signer.account_id,
                          .body = buf_view(&body)};
    TRY(evidence_put(tx, event.repo_id, event.actor_id, said->envelope, said->digest, err));
    TRY(event_append(tx, &event, err));
    said->event_id = db_last_id(tx);
    TRY(keep(tx, said, err));
    return kind->after ? kind->after(said, tx, err) : OK;
}

static enum status log_said(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    TRY(find_commit(said, err));
    TRY(check_repo(said, err));
    TRY(check_dir_hash(said, err));
    TRY(said->kind->check(said, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_said, said, err));
    return request_read(rq, err);
}

static enum status reply(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(statement_show(rq, said->event_id, &w, err));
    reply_buf(rq->http, said->quiet ? 200 : 201, STR("application/json; charset=utf-8"), &body);
    return OK;
}

static enum status take(struct said *said, const struct statement_kind *only, struct error *err)
{
    TRY(request_body(said->rq, EVIDENCE_STATEMENT_MOST, &said->envelope, err));
    sha256(said->envelope, said->digest);
    TRY(verify(said, err));
    TRY(intoto_read(said->payload, &said->statement, err));
    TRY(find_kind(said, only, err));
    /* Before anything is checked that may have changed since it was said. */
    TRY(find_there(said->rq->db, said, &said->quiet, err));
    if (!said->quiet)
        TRY(log_said(said, err));
    return reply(said, err);
}

static enum status post(struct request *rq, const struct statement_kind *only, struct error *err)
{
    struct said said = {.rq = rq};
    enum status status = take(&said, only, err);
    json_decref(said.statement.root);
    return status;
}

/* POST /api/{api}/attestations: 201, or 200 when nothing new was logged. */
enum status statement_post(struct request *rq, struct error *err)
{
    return post(rq, NULL, err);
}

/* POST /api/{api}/deployments: the same for statements about deployments only. */
enum status deployment_post(struct request *rq, struct error *err)
{
    return post(rq, &deployment_kind, err);
}
