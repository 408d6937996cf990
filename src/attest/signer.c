/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/signer.h"

#define SIGNER_SQL(condition)                                                                                          \
    "SELECT s.id, s.account_id, a.name, s.hint, s.pem, s.name, s.created_us, s.revoked_us FROM signer s "              \
    "JOIN account a ON a.id = s.account_id WHERE " condition

static void read_signer(struct stmt *row, struct arena *arena, struct signer *out)
{
    *out = (struct signer){
        .id = stmt_int(row, 0),
        .account_id = stmt_int(row, 1),
        .account = arena_copy(arena, stmt_str(row, 2)),
        .hint = arena_copy(arena, stmt_str(row, 3)),
        .pem = arena_copy(arena, stmt_str(row, 4)),
        .name = arena_copy(arena, stmt_str(row, 5)),
        .created_us = stmt_int(row, 6),
        .revoked_us = stmt_int(row, 7),
    };
}

static const char find_sql[] = SIGNER_SQL("s.hint = ?");

enum status signer_find(struct db_conn *conn, struct arena *arena, struct str hint, struct signer *out,
                        struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_str(find, 1, hint);
    bool found = stmt_next(find);
    if (found)
        read_signer(find, arena, out);
    TRY(stmt_end(find, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "No signing key of that name is registered here.");
}

static const char list_sql[] = SIGNER_SQL("s.account_id = ? ORDER BY s.id DESC");

enum status signer_list(struct db_conn *conn, struct arena *arena, int64_t account_id, struct signer **out,
                        size_t *count, struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    struct signer *signers = NULL;
    size_t capacity = 0;
    *count = 0;
    TRY(db_prepare(conn, list_sql, &list, err));
    stmt_bind_int(list, 1, account_id);
    while (stmt_next(list)) {
        signers = array_room(arena, signers, *count, &capacity, sizeof *signers);
        read_signer(list, arena, &signers[(*count)++]);
    }
    *out = signers;
    return stmt_end(list, err);
}

static enum status fits(const struct signer *signer, const struct dsse_envelope *envelope, struct error *err)
{
    auto_key EVP_PKEY *key = NULL;
    TRY(oms_key_read_public(signer->pem, &key, err));
    return dsse_verify(envelope, key, err);
}

enum status signer_verify(struct db_conn *conn, struct arena *arena, int64_t account_id,
                          const struct dsse_envelope *envelope, struct signer *out, struct error *err)
{
    struct signer *signers;
    size_t count, tried = 0, revoked = 0;
    if (envelope->count != 1)
        return fail(err, INVALID, NULL, "The envelope has %zu signatures; it should have one, yours.", envelope->count);
    struct str keyid = envelope->signatures[0].keyid;
    TRY(signer_list(conn, arena, account_id, &signers, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (keyid.len && !str_eq(keyid, signers[i].hint))
            continue;
        if (signers[i].revoked_us) {
            revoked++;
            continue;
        }
        tried++;
        enum status status = fits(&signers[i], envelope, err);
        if (status == OK)
            *out = signers[i];
        if (status != UNPROCESSABLE)
            return status;
    }
    if (tried)
        return fail(
            err, UNPROCESSABLE, NULL,
            "The signature does not fit: what was signed has been changed, or it was not one of your registered "
            "keys that signed it.");
    if (keyid.len && revoked)
        return fail(err, FORBIDDEN, NULL, "You have revoked the key that signed this. Sign with another one.");
    return fail(err, FORBIDDEN, NULL,
                "The key that signed this is not registered as yours. Register it first: cairn attest key register.");
}

static const char still_sql[] = "SELECT 1 FROM signer WHERE id = ? AND revoked_us = 0";

enum status signer_still(struct db_conn *tx, const struct signer *signer, struct error *err)
{
    auto_stmt struct stmt *still = NULL;
    TRY(db_prepare(tx, still_sql, &still, err));
    stmt_bind_int(still, 1, signer->id);
    bool found = stmt_next(still);
    TRY(stmt_end(still, err));
    return found ? OK : fail(err, FORBIDDEN, NULL, "You have revoked the key that signed this. Sign with another one.");
}
