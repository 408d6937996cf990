/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accepting by HTTP, and receipts: DSSE envelopes signed by the hub's key, which GET /log/attestation-key.pem tells. What
 * a receipt says is frozen in the write that accepts; it is signed outside of it, when somebody asks for it first.
 */
#include "attest/hub_key.h"
#include "router/page.h"
#include "terms/internal.h"

#define RECEIPT_TYPE "application/vnd.cairn.receipt+json"
#define BODY_LIMIT (64 * 1024)

/* Accepting. */

static const char gate_of_repo_sql[] = "SELECT gate_id FROM gate_repo WHERE repo_id = ?";

static enum status find_gate(struct request *rq, int64_t *gate_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, gate_of_repo_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    bool found = stmt_next(row);
    *gate_id = found ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    return found ? OK
                 : fail(err, NOT_FOUND, NULL, "%.*s asks for nothing to be accepted: it has no gate.",
                        STR_ARG(rq->repo.full_name));
}

static enum status accept_in_write(struct db_conn *tx, void *context, struct error *err)
{
    return terms_accept(tx, context, err);
}

/* POST /api/{api}/terms/accept {"terms": [{"terms", "sha256"}], "method"?}: outside of a request, when terms have changed
 * or the owner has added the person. */
enum status terms_accept_post(struct request *rq, struct error *err)
{
    json_t *body;
    auto_buf struct buf reply = {0};
    bool missing;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    struct str method = json_get_str(body, "method");
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value) if (strcmp(key, "terms") != 0 && strcmp(key, "method") != 0) return fail(
        err, INVALID, NULL, "Nothing is known of \"%.40s\" here: send \"terms\", and \"method\".", key);
    if (str_given(method) && !str_eq(method, STR("web")) && !str_eq(method, STR("api")) && !str_eq(method, STR("cli")))
        return fail(err, INVALID, NULL, "\"method\" is web, api or cli: where the text was shown.");
    struct terms_acceptance acceptance = {.account_id = rq->actor.account.id,
                                          .method = str_given(method) ? arena_cstr(rq->arena, method) : "api",
                                          .accepted = json_object_get(body, "terms")};
    TRY(find_gate(rq, &acceptance.gate_id, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, accept_in_write, &acceptance, err));
    TRY(request_read(rq, err));
    TRY(terms_missing(rq->db, acceptance.gate_id, rq->actor.account.id, now_us(), &missing, err));
    struct json_writer w = jw_to(&reply);
    jw_object(&w);
    jw_key_bool(&w, "complete", !missing);
    jw_key(&w, "receipts");
    jw_array(&w);
    for (int64_t id = acceptance.first_id; id < acceptance.first_id + acceptance.count; id++)
        jw_int(&w, id);
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &reply);
    return OK;
}

/* Receipts. */

static const char list_sql[] =
    "SELECT id, payload FROM terms_receipt WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?";

static enum status write_payload(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_raw(w, arena_copy(rq->arena, stmt_str(row, 1)));
    return OK;
}

/* GET /api/receipts: the actor's own, the newest first. */
enum status receipts_list(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, NEWEST_FIRST, write_payload, err);
}

struct receipt {
    int64_t id, account_id;
    struct str payload, envelope; /* envelope absent: not signed yet */
};

static const char one_sql[] = "SELECT payload, envelope FROM terms_receipt WHERE id = ? AND account_id = ?";
static const char keep_sql[] =
    "UPDATE terms_receipt SET envelope = ? WHERE id = ? AND account_id = ? AND envelope IS NULL";

static enum status read_receipt(struct request *rq, struct receipt *receipt, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, one_sql, &row, err));
    stmt_bind_int(row, 1, receipt->id);
    stmt_bind_int(row, 2, receipt->account_id);
    bool found = stmt_next(row);
    if (found) {
        receipt->payload = arena_copy(rq->arena, stmt_str(row, 0));
        receipt->envelope = stmt_is_null(row, 1) ? (struct str){0} : arena_copy(rq->arena, stmt_str(row, 1));
    }
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "You have no such receipt.");
}

static enum status keep_envelope(struct db_conn *tx, void *context, struct error *err)
{
    const struct receipt *receipt = context;
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_str(keep, 1, receipt->envelope);
    stmt_bind_int(keep, 2, receipt->id);
    stmt_bind_int(keep, 3, receipt->account_id);
    return stmt_run(keep, err);
}

/* When two ask at once, the signature that was kept first is the one that both get. */
static enum status sign_receipt(struct request *rq, struct receipt *receipt, struct error *err)
{
    auto_buf struct buf text = {0};
    struct dsse_envelope envelope;
    struct json_writer w = jw_to(&text);
    TRY(hub_sign(rq->hub, rq->arena, STR(RECEIPT_TYPE), receipt->payload, &envelope, err));
    dsse_write(rq->arena, &envelope, &w);
    receipt->envelope = buf_view(&text);
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, keep_envelope, receipt, err));
    request_done_reading(rq);
    TRY(request_read(rq, err));
    return read_receipt(rq, receipt, err);
}

/* GET /api/receipts/{id} */
enum status receipt_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct receipt receipt = {.account_id = rq->actor.account.id};
    if (!str_to_i64(rq->params[0], &receipt.id))
        return fail(err, NOT_FOUND, NULL, "You have no such receipt.");
    TRY(read_receipt(rq, &receipt, err));
    if (!str_given(receipt.envelope))
        TRY(sign_receipt(rq, &receipt, err));
    buf_str(&body, receipt.envelope);
    request_reply_json(rq, &body);
    return OK;
}
