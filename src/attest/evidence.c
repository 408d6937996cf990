/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/evidence.h"
#include "attest/internal.h"
#include "base/text.h"
#include "base/time.h"

static const char put_sql[] =
    "INSERT INTO evidence (repo_id, digest, account_id, created_us, bytes) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (repo_id, digest) DO NOTHING";

enum status evidence_put(struct db_conn *tx, int64_t repo_id, int64_t account_id, struct str bytes,
                         uint8_t digest[SHA256_SIZE], struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    if (bytes.len > EVIDENCE_BUNDLE_MOST)
        return fail(err, TOO_LARGE, NULL, "A piece of evidence has %zu bytes; %d are allowed.", bytes.len,
                    EVIDENCE_BUNDLE_MOST);
    sha256(bytes, digest);
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, repo_id);
    stmt_bind_blob(put, 2, digest, SHA256_SIZE);
    stmt_bind_int(put, 3, account_id);
    stmt_bind_int(put, 4, now_us());
    stmt_bind_blob(put, 5, bytes.data, bytes.len);
    return stmt_run(put, err);
}

static const char get_sql[] = "SELECT bytes FROM evidence WHERE repo_id = ? AND digest = ?";

enum status evidence_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, const uint8_t digest[SHA256_SIZE],
                         struct str *bytes, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, repo_id);
    stmt_bind_blob(get, 2, digest, SHA256_SIZE);
    bool found = stmt_next(get);
    if (found)
        *bytes = arena_copy(arena, stmt_str(get, 0));
    TRY(stmt_end(get, err));
    return found
               ? OK
               : fail(err, NOT_FOUND, NULL,
                      "This repo has no such evidence. It may have been erased at the request of the person it names.");
}

/* GET /api/{api}/evidence/{name}: the bytes as they were sent, since their hash is what the log has. */
enum status evidence_read(struct request *rq, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    struct str bytes;
    if (!hex_decode(rq->params[0], digest, sizeof digest))
        return fail(err, INVALID, NULL, "Evidence is named by its SHA-256: 64 hex digits.");
    TRY(evidence_get(rq->db, rq->arena, rq->repo.id, digest, &bytes, err));
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_bytes(rq->http, 200, STR("application/json; charset=utf-8"), bytes);
    return OK;
}
