/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How people register the keys that they sign with. What is sent is signed by that very key and names the hub's log and
 * the person: otherwise somebody could register another one's public key and pass that one's signatures off as theirs.
 */
#include "attest/internal.h"
#include "base/text.h"
#include "base/time.h"

#define BODY_MOST (64 * 1024)
#define NAME_MOST 100
#define EVER_MOST 256 /* keys of a person, those revoked too */

/* Adding. */

struct adding {
    int64_t account_id;
    struct str proof, pem, name;
    char hint[OMS_HINT_SIZE];
    int64_t event_id;
    bool known; /* it is registered as the caller's already */
};

static const char there_sql[] = "SELECT account_id, event_id, revoked_us FROM signer WHERE hint = ?";

static enum status find_there(struct db_conn *tx, struct adding *adding, struct error *err)
{
    auto_stmt struct stmt *there = NULL;
    TRY(db_prepare(tx, there_sql, &there, err));
    stmt_bind_str(there, 1, str_of(adding->hint));
    bool found = stmt_next(there), usable = false;
    if (found) {
        usable = stmt_int(there, 0) == adding->account_id && stmt_int(there, 2) == 0;
        adding->event_id = stmt_int(there, 1);
        adding->known = usable;
    }
    TRY(stmt_end(there, err));
    if (found && !usable)
        return fail(
            err, CONFLICT, NULL,
            "This key is registered already, or was until it was revoked. Make a new one: cairn attest key new.");
    return OK;
}

static const char count_sql[] = "SELECT count(*), coalesce(sum(revoked_us = 0), 0) FROM signer WHERE account_id = ?";

static enum status check_room(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *count = NULL;
    TRY(db_prepare(tx, count_sql, &count, err));
    stmt_bind_int(count, 1, account_id);
    int64_t ever = 0, now = 0;
    if (stmt_next(count)) {
        ever = stmt_int(count, 0);
        now = stmt_int(count, 1);
    }
    TRY(stmt_end(count, err));
    if (now >= SIGNERS_MOST)
        return fail(err, TOO_MANY, NULL, "You have %d signing keys, which is all that a person may have. Revoke one.",
                    SIGNERS_MOST);
    if (ever >= EVER_MOST)
        return fail(err, TOO_MANY, NULL, "You have had %d signing keys, which is all that a person may ever have.",
                    EVER_MOST);
    return OK;
}

static enum status append_event(struct db_conn *tx, enum attest_event kind, int64_t account_id, struct str hint,
                                const uint8_t *proof_digest, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "hint", hint);
    jw_key_int(&w, "user", account_id);
    if (proof_digest) {
        jw_key_str(&w, "evidence", hex_encode(&arena, proof_digest, SHA256_SIZE));
        jw_key_bool(&w, "signed", true);
    }
    jw_end(&w);
    struct event event = {.kind = &attest_events[kind], .actor_id = account_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static const char add_sql[] = "INSERT INTO signer (account_id, hint, pem, name, proof, event_id, created_us) "
                              "VALUES (?, ?, ?, ?, ?, ?, ?)";

static enum status write_signer(struct db_conn *tx, void *context, struct error *err)
{
    struct adding *adding = context;
    uint8_t digest[SHA256_SIZE];
    auto_stmt struct stmt *add = NULL;
    TRY(find_there(tx, adding, err));
    if (adding->known)
        return OK;
    TRY(check_room(tx, adding->account_id, err));
    sha256(adding->proof, digest);
    TRY(append_event(tx, EVENT_SIGNER_ADD, adding->account_id, str_of(adding->hint), digest, err));
    adding->event_id = db_last_id(tx);
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, adding->account_id);
    stmt_bind_str(add, 2, str_of(adding->hint));
    stmt_bind_str(add, 3, adding->pem);
    stmt_bind_str(add, 4, adding->name);
    stmt_bind_blob(add, 5, adding->proof.data, adding->proof.len);
    stmt_bind_int(add, 6, adding->event_id);
    stmt_bind_int(add, 7, now_us());
    return stmt_run(add, err);
}

static struct str log_origin(struct request *rq)
{
    struct str line = ledger_vkey(rq->hub->record->ledger), origin = line;
    str_cut(&line, '+', &origin);
    return origin;
}

static enum status check_name(struct str name, struct error *err)
{
    bool good = name.len >= 1 && name.len <= NAME_MOST && str_is_utf8(name);
    for (size_t i = 0; good && i < name.len; i++)
        good = (unsigned char)name.data[i] >= ' ' && name.data[i] != 0x7f;
    return good ? OK
                : fail(err, INVALID, NULL, "The \"name\" of a signing key is one line of 1 to %d bytes.", NAME_MOST);
}

/* What the key is read from comes out of what it has signed; it counts for nothing until dsse_verify() has said yes. */
static enum status read_proof(struct request *rq, const struct dsse_envelope *envelope, struct adding *adding,
                              struct error *err)
{
    auto_json json_t *claim = NULL;
    auto_key EVP_PKEY *key = NULL;
    auto_buf struct buf pem = {0};
    if (!str_eq(envelope->type, STR(SIGNER_MEDIA_TYPE)))
        return fail(err, INVALID, NULL, "The envelope's \"payloadType\" should be \"%s\".", SIGNER_MEDIA_TYPE);
    TRY(json_read(envelope->payload, BODY_MOST, &claim, err));
    TRY(oms_key_read_public(json_get_str(claim, "publicKey"), &key, err));
    TRY(dsse_verify(envelope, key, err));
    if (!str_eq(json_get_str(claim, "origin"), log_origin(rq)))
        return fail(err, UNPROCESSABLE, NULL, "This registers a key at another hub: \"origin\" should be \"%.*s\".",
                    STR_ARG(log_origin(rq)));
    if (!str_eq(json_get_str(claim, "user"), rq->actor.account.name))
        return fail(err, UNPROCESSABLE, NULL, "This registers a key for somebody else: \"user\" should be \"%.*s\".",
                    STR_ARG(rq->actor.account.name));
    TRY(check_name(json_get_str(claim, "name"), err));
    adding->name = arena_copy(rq->arena, json_get_str(claim, "name"));
    oms_key_write_public(key, &pem);
    adding->pem = arena_copy(rq->arena, buf_view(&pem));
    oms_key_hint(key, adding->hint);
    return OK;
}

static void write_key(struct request *rq, struct json_writer *w, const struct signer *signer)
{
    jw_key_str(w, "hint", signer->hint);
    jw_key_str(w, "name", signer->name);
    jw_key_str(w, "publicKey", signer->pem);
    jw_key_str(w, "createdAt", time_iso(rq->arena, signer->created_us));
    if (signer->revoked_us)
        jw_key_str(w, "revokedAt", time_iso(rq->arena, signer->revoked_us));
}

/* POST /api/settings/signing-keys: 201, or 200 when it was there already. */
enum status signer_add(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct adding adding = {.account_id = rq->actor.account.id};
    struct dsse_envelope envelope;
    struct signer signer;
    uint64_t index;
    TRY(request_body(rq, BODY_MOST, &adding.proof, err));
    TRY(dsse_read(rq->arena, adding.proof, &envelope, err));
    TRY(read_proof(rq, &envelope, &adding, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_signer, &adding, err));
    TRY(request_read(rq, err));
    TRY(signer_find(rq->db, rq->arena, str_of(adding.hint), &signer, err));
    TRY(prov_event_leaf(rq->db, adding.event_id, &index, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_key(rq, &w, &signer);
    jw_key_int(&w, "index", (int64_t)index);
    jw_end(&w);
    reply_buf(rq->http, adding.known ? 200 : 201, STR("application/json; charset=utf-8"), &body);
    return OK;
}

/* Mine. */

static const char proof_sql[] =
    "SELECT proof, (SELECT idx FROM leaf WHERE leaf.event_id = signer.event_id) FROM signer "
    "WHERE id = ?";

/* The proof stands there as it was sent, to the byte: its hash is the "ev" of the leaf. */
static enum status write_proof(struct request *rq, struct json_writer *w, const struct signer *signer,
                               struct error *err)
{
    auto_stmt struct stmt *proof = NULL;
    TRY(db_prepare(rq->db, proof_sql, &proof, err));
    stmt_bind_int(proof, 1, signer->id);
    if (stmt_next(proof)) {
        jw_key_int(w, "index", stmt_int(proof, 1));
        jw_key_str(w, "proof", stmt_str(proof, 0));
    }
    return stmt_end(proof, err);
}

/* GET /api/settings/signing-keys */
enum status signer_mine(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct signer *signers;
    size_t count;
    TRY(signer_list(rq->db, rq->arena, rq->actor.account.id, &signers, &count, err));
    struct json_writer w = jw_to(&body);
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        jw_object(&w);
        write_key(rq, &w, &signers[i]);
        TRY(write_proof(rq, &w, &signers[i], err));
        jw_end(&w);
    }
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Revoking. */

struct revoking {
    int64_t account_id;
    struct str hint;
};

static const char revoke_sql[] =
    "UPDATE signer SET revoked_us = ? WHERE hint = ? AND account_id = ? AND revoked_us = 0";

enum status signer_revoke_in(struct db_conn *tx, int64_t account_id, struct str hint, struct error *err)
{
    auto_stmt struct stmt *revoke = NULL;
    TRY(db_prepare(tx, revoke_sql, &revoke, err));
    stmt_bind_int(revoke, 1, now_us());
    stmt_bind_str(revoke, 2, hint);
    stmt_bind_int(revoke, 3, account_id);
    TRY(stmt_run(revoke, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "You have no signing key of that name.");
    return append_event(tx, EVENT_SIGNER_REVOKE, account_id, hint, NULL, err);
}

static enum status write_revocation(struct db_conn *tx, void *context, struct error *err)
{
    const struct revoking *revoking = context;
    return signer_revoke_in(tx, revoking->account_id, revoking->hint, err);
}

/* DELETE /api/settings/signing-keys/{name}: by the hint. What the key has signed stays said. */
enum status signer_revoke(struct request *rq, struct error *err)
{
    struct revoking revoking = {rq->actor.account.id, rq->params[0]};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_revocation, &revoking, err));
    request_reply_empty(rq);
    return OK;
}
