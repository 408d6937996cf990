/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/totp.h"
#include "base/time.h"
#include "identity/internal.h"
#include <sodium.h>

#define SEALED_SIZE (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + TOTP_SECRET_SIZE)
#define RECOVERY_LEN 16 /* base 32: 80 bits, so that its SHA-256 is no use to anybody */

uint32_t totp_code(struct str secret, uint64_t step, unsigned digits)
{
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint8_t counter[8], digest[SHA1_SIZE];
    for (size_t i = sizeof counter; i-- > 0; step >>= 8)
        counter[i] = (uint8_t)step;
    hmac_sha1(secret, (struct str){(const char *)counter, sizeof counter}, digest);
    const uint8_t *at = digest + (digest[SHA1_SIZE - 1] & 15);
    uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return number % powers[digits];
}

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct str totp_secret_text(struct arena *arena, const uint8_t secret[TOTP_SECRET_SIZE])
{
    _Static_assert(TOTP_SECRET_SIZE % 5 == 0, "so that no padding is needed");
    char *text = arena_alloc(arena, TOTP_SECRET_SIZE / 5 * 8 + 1), *at = text;
    for (size_t i = 0; i < TOTP_SECRET_SIZE; i += 5) {
        uint64_t group = 0;
        for (size_t byte = 0; byte < 5; byte++)
            group = group << 8 | secret[i + byte];
        for (int shift = 35; shift >= 0; shift -= 5)
            *at++ = base32[group >> shift & 31];
    }
    return (struct str){text, (size_t)(at - text)};
}

/* The secret at rest. */

static void seal(const uint8_t key[32], const uint8_t secret[TOTP_SECRET_SIZE], uint8_t sealed[SEALED_SIZE])
{
    random_bytes(sealed, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, secret, TOTP_SECRET_SIZE, sealed, key);
}

static bool unseal(const uint8_t key[32], struct str sealed, uint8_t secret[TOTP_SECRET_SIZE])
{
    const uint8_t *at = (const uint8_t *)sealed.data;
    return sealed.len == SEALED_SIZE &&
           crypto_secretbox_open_easy(secret, at + crypto_secretbox_NONCEBYTES,
                                      SEALED_SIZE - crypto_secretbox_NONCEBYTES, at, key) == 0;
}

/* Setting up. */

static const char begin_sql[] =
    "INSERT INTO totp (account_id, secret, confirmed, last_step) VALUES (?, ?, 0, 0) ON CONFLICT (account_id) DO "
    "UPDATE SET secret = excluded.secret, last_step = 0 WHERE totp.confirmed = 0";

enum status totp_begin(struct db_conn *tx, int64_t account_id, const uint8_t seal_key[32],
                       uint8_t secret[TOTP_SECRET_SIZE], struct error *err)
{
    uint8_t sealed[SEALED_SIZE];
    auto_stmt struct stmt *begin = NULL;
    random_bytes(secret, TOTP_SECRET_SIZE);
    seal(seal_key, secret, sealed);
    TRY(db_prepare(tx, begin_sql, &begin, err));
    stmt_bind_int(begin, 1, account_id);
    stmt_bind_blob(begin, 2, sealed, sizeof sealed);
    TRY(stmt_run(begin, err));
    return db_changes(tx)
               ? OK
               : fail(err, CONFLICT, NULL, "You have one-time codes already: turn them off before you set up new ones");
}

/* Codes. */

static const char get_sql[] = "SELECT secret, confirmed, last_step FROM totp WHERE account_id = ?";
static const char use_sql[] = "UPDATE totp SET last_step = ?, confirmed = CASE WHEN ? THEN 1 ELSE confirmed END "
                              "WHERE account_id = ?";
static const char recover_sql[] = "DELETE FROM recovery_code WHERE account_id = ? AND code_sha256 = ?";
static const char add_code_sql[] = "INSERT INTO recovery_code (account_id, code_sha256) VALUES (?, ?)";
static const char drop_codes_sql[] = "DELETE FROM recovery_code WHERE account_id = ?";

struct stored {
    uint8_t secret[TOTP_SECRET_SIZE];
    bool confirmed;
    int64_t last_step;
};

static enum status refuse(struct error *err)
{
    return fail(
        err, UNAUTHENTICATED, "WrongCode",
        "That code is not right, or was used already: wait for the next one, and check the clock of the device");
}

static enum status get(struct db_conn *tx, int64_t account_id, const uint8_t seal_key[32], struct stored *out,
                       struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, get_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    bool found = stmt_next(row), readable = found && unseal(seal_key, stmt_str(row, 0), out->secret);
    out->confirmed = found && stmt_int(row, 1) != 0;
    out->last_step = found ? stmt_int(row, 2) : 0;
    TRY(stmt_end(row, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "You have set up no one-time codes");
    return readable ? OK
                    : fail(err, UNAVAILABLE, NULL,
                           "The hub cannot read your one-time codes any more, as its key was changed: whoever runs it "
                           "can take them off your account");
}

static bool is_code(struct str code)
{
    int64_t ignored;
    return code.len == TOTP_DIGITS && str_to_i64(code, &ignored);
}

/* All three steps are computed, whichever it is. 0: of none that is newer than the last one used. */
static int64_t step_of(const struct stored *stored, struct str code)
{
    int64_t now = now_us() / SECOND_US / TOTP_STEP_SECONDS, found = 0;
    for (int64_t step = now - 1; step <= now + 1; step++) {
        char text[16];
        snprintf(text, sizeof text, "%0*u", TOTP_DIGITS,
                 totp_code((struct str){(const char *)stored->secret, TOTP_SECRET_SIZE}, (uint64_t)step, TOTP_DIGITS));
        if (equal_secret(text, code.data, TOTP_DIGITS) && step > stored->last_step && !found)
            found = step;
    }
    return found;
}

static enum status use_step(struct db_conn *tx, int64_t account_id, int64_t step, bool confirm, struct error *err)
{
    auto_stmt struct stmt *use = NULL;
    TRY(db_prepare(tx, use_sql, &use, err));
    stmt_bind_int(use, 1, step);
    stmt_bind_int(use, 2, confirm);
    stmt_bind_int(use, 3, account_id);
    return stmt_run(use, err);
}

/* People copy them by hand: case and the dashes between do not count. */
static bool code_digest(struct str code, uint8_t digest[SHA256_SIZE])
{
    char plain[RECOVERY_LEN];
    size_t count = 0;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.data[i];
        if (c == '-' || c == ' ')
            continue;
        if (count == RECOVERY_LEN)
            return false;
        plain[count++] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    sha256((struct str){plain, count}, digest);
    return count == RECOVERY_LEN;
}

static enum status recover(struct db_conn *tx, int64_t account_id, struct str code, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    auto_stmt struct stmt *use = NULL;
    if (code.len > 64 || !code_digest(code, digest))
        return refuse(err);
    TRY(db_prepare(tx, recover_sql, &use, err));
    stmt_bind_int(use, 1, account_id);
    stmt_bind_blob(use, 2, digest, sizeof digest);
    TRY(stmt_run(use, err));
    if (db_changes(tx) == 0)
        return refuse(err);
    return signin_event_append(
        tx, &(struct signin_event){.kind = EVENT_RECOVERY_USE, .user_id = account_id, .by_id = account_id}, err);
}

static enum status drop_codes(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *drop = NULL;
    TRY(db_prepare(tx, drop_codes_sql, &drop, err));
    stmt_bind_int(drop, 1, account_id);
    return stmt_run(drop, err);
}

static enum status make_codes(struct db_conn *tx, struct arena *arena, int64_t account_id,
                              struct str codes[RECOVERY_CODES], struct error *err)
{
    TRY(drop_codes(tx, account_id, err));
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        uint8_t random[RECOVERY_LEN], digest[SHA256_SIZE];
        char text[RECOVERY_LEN];
        auto_stmt struct stmt *add = NULL;
        random_bytes(random, sizeof random);
        for (size_t at = 0; at < sizeof text; at++)
            text[at] = base32[random[at] & 31];
        codes[i] = arena_printf(arena, "%.4s-%.4s-%.4s-%.4s", text, text + 4, text + 8, text + 12);
        code_digest(codes[i], digest);
        TRY(db_prepare(tx, add_code_sql, &add, err));
        stmt_bind_int(add, 1, account_id);
        stmt_bind_blob(add, 2, digest, sizeof digest);
        TRY(stmt_run(add, err));
    }
    return OK;
}

enum status totp_take(struct db_conn *tx, struct arena *arena, int64_t account_id, const uint8_t seal_key[32],
                      struct str code, bool confirm, struct str codes[RECOVERY_CODES], struct error *err)
{
    struct stored stored;
    TRY(get(tx, account_id, seal_key, &stored, err));
    if (stored.confirmed == confirm)
        return confirm ? fail(err, CONFLICT, NULL, "You have one-time codes already")
                       : fail(err, NOT_FOUND, NULL, "You have set up no one-time codes");
    if (!is_code(code))
        return confirm ? refuse(err) : recover(tx, account_id, code, err);
    int64_t step = step_of(&stored, code);
    if (!step)
        return refuse(err);
    TRY(use_step(tx, account_id, step, confirm, err));
    if (!confirm)
        return OK;
    TRY(make_codes(tx, arena, account_id, codes, err));
    return signin_event_append(
        tx, &(struct signin_event){.kind = EVENT_TOTP_SET, .user_id = account_id, .by_id = account_id}, err);
}

enum status totp_clear(struct db_conn *tx, int64_t account_id, int64_t by_id, struct error *err)
{
    auto_stmt struct stmt *clear = NULL;
    TRY(db_prepare(tx, "DELETE FROM totp WHERE account_id = ?", &clear, err));
    stmt_bind_int(clear, 1, account_id);
    TRY(stmt_run(clear, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "There are no one-time codes");
    TRY(drop_codes(tx, account_id, err));
    return signin_event_append(
        tx, &(struct signin_event){.kind = EVENT_TOTP_CLEAR, .user_id = account_id, .by_id = by_id}, err);
}
