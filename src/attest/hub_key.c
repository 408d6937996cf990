/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/hub_key.h"
#include "attest/internal.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>

struct hub_key {
    EVP_PKEY *key;
    struct buf pem;
    char hint[OMS_HINT_SIZE];
};

/* The log must know the key before anybody can meet its signatures. */

static const char add_sql[] =
    "INSERT INTO hub_key (hint, pem, added_us) VALUES (?, ?, ?) ON CONFLICT (hint) DO NOTHING";

static enum status make_known(struct db_conn *tx, void *context, struct error *err)
{
    const struct hub_key *key = context;
    auto_stmt struct stmt *add = NULL;
    auto_buf struct buf body = {0};
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_str(add, 1, hub_key_hint(key));
    stmt_bind_str(add, 2, hub_key_pem(key));
    stmt_bind_int(add, 3, now_us());
    TRY(stmt_run(add, err));
    if (db_changes(tx) == 0)
        return OK;
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "hint", hub_key_hint(key));
    jw_key_bool(&w, "hub", true);
    jw_end(&w);
    return event_append(tx, &(struct event){.kind = &attest_events[EVENT_SIGNER_ADD], .body = buf_view(&body)}, err);
}

/* The file. */

static enum status read_key(const char *path, struct hub_key *key, struct error *err)
{
    auto_buf struct buf text = {0};
    struct error why = {0};
    TRY(file_read_all(path, OMS_PEM_MOST, &text, err));
    enum status status = oms_key_read_private(buf_view(&text), &key->key, &why);
    OPENSSL_cleanse(text.data, text.len);
    if (status != OK || !oms_key_is_ecdsa(key->key))
        return fail(err, CORRUPT, NULL,
                    "%s does not hold the hub's attestation key: restore it, or remove it to make a new one. %s", path,
                    why.message);
    return OK;
}

static enum status make_key(const char *path, struct hub_key *key, struct error *err)
{
    auto_buf struct buf text = {0};
    key->key = EVP_EC_gen("P-256");
    if (!key->key)
        return fail(err, INTERNAL, NULL, "OpenSSL cannot make a key on P-256.");
    oms_key_write_private(key->key, &text);
    enum status status = file_write_durable(path, buf_view(&text), 0600, err);
    OPENSSL_cleanse(text.data, text.len);
    return status;
}

static enum status open_key(const char *dir, struct db *db, struct hub_key *key, struct error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/attest.pem", dir) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    enum status status = read_key(path, key, err);
    if (status == NOT_FOUND)
        status = make_key(path, key, err);
    TRY(status);
    oms_key_write_public(key->key, &key->pem);
    oms_key_hint(key->key, key->hint);
    return db_write(db, make_known, key, err);
}

enum status hub_key_open(const char *dir, struct db *db, struct hub_key **out, struct error *err)
{
    struct hub_key *key = calloc(1, sizeof *key);
    if (!key)
        abort();
    enum status status = open_key(dir, db, key, err);
    if (status != OK) {
        hub_key_close(key);
        return status;
    }
    *out = key;
    return OK;
}

void hub_key_close(struct hub_key *key)
{
    if (!key)
        return;
    oms_key_free(&key->key);
    buf_free(&key->pem);
    free(key);
}

struct str hub_key_pem(const struct hub_key *key)
{
    return buf_view(&key->pem);
}

struct str hub_key_hint(const struct hub_key *key)
{
    return str_of(key->hint);
}

enum status hub_sign(struct hub *hub, struct arena *arena, struct str type, struct str payload,
                     struct dsse_envelope *out, struct error *err)
{
    struct dsse_signature *signature = arena_alloc(arena, sizeof *signature);
    signature->keyid = hub_key_hint(hub->hub_key);
    *out = (struct dsse_envelope){type, payload, signature, 1};
    return dsse_sign(arena, type, payload, hub->hub_key->key, &signature->sig, err);
}

/* GET /log/attestation-key.pem: for whoever wants to check what the hub says. Like the log's own key, it had better be
 * known from elsewhere too. */
enum status attestation_key_get(struct request *rq, struct error *err)
{
    (void)err;
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    reply_header(rq->http, "Cache-Control", "max-age=300");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_bytes(rq->http, 200, STR("application/x-pem-file"), hub_key_pem(rq->hub->hub_key));
    return OK;
}
