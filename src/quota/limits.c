/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limits.h"
#include "base/time.h"
#include <pthread.h>
#include <stdlib.h>

/* Versions of tiers that have been read, by their hash. There are a few, and they stay. */
struct known {
    uint8_t sha256[SHA256_SIZE];
    struct limits limits;
    struct known *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *all_known;

static const struct limits *find_known(const uint8_t hash[SHA256_SIZE])
{
    pthread_mutex_lock(&lock);
    const struct known *known = all_known;
    while (known && memcmp(known->sha256, hash, SHA256_SIZE) != 0)
        known = known->next;
    pthread_mutex_unlock(&lock);
    return known ? &known->limits : NULL;
}

/* Two threads may come with the same: both stay, and the newer is found. */
static enum status learn(struct str body, const uint8_t hash[SHA256_SIZE], const struct limits **out, struct error *err)
{
    auto_json json_t *json = NULL;
    struct tier_doc doc;
    TRY(tier_doc_read(body, &json, &doc, err));
    struct known *known = calloc(1, sizeof *known);
    if (!known)
        abort();
    known->limits = doc.limits;
    memcpy(known->sha256, hash, SHA256_SIZE);
    pthread_mutex_lock(&lock);
    known->next = all_known;
    all_known = known;
    pthread_mutex_unlock(&lock);
    *out = &known->limits;
    return OK;
}

/* Slugs of built-in tiers stand at the start of their text. */
static const char *builtin(struct str slug)
{
    static const char before[] = "{\"slug\":\"";
    for (size_t i = 0; builtin_tiers[i]; i++) {
        struct str rest = str_from(str_of(builtin_tiers[i]), sizeof before - 1);
        if (str_starts(rest, slug) && str_starts(str_from(rest, slug.len), STR("\"")))
            return builtin_tiers[i];
    }
    return NULL;
}

static const char in_force_sql[] = "SELECT v.seq, v.effective_us, v.sha256, v.body FROM tier t "
                                   "JOIN tier_version v ON v.tier_id = t.id WHERE t.slug = ? AND v.effective_us <= ? "
                                   "ORDER BY v.seq DESC LIMIT 1";

enum status tier_in_force(struct db_conn *conn, struct arena *arena, struct str slug, int64_t now_us,
                          struct tier_in_force *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, in_force_sql, &row, err));
    stmt_bind_str(row, 1, slug);
    stmt_bind_int(row, 2, now_us);
    *out = (struct tier_in_force){0};
    bool found = stmt_next(row) && stmt_str(row, 2).len == SHA256_SIZE;
    if (found) {
        *out = (struct tier_in_force){stmt_int(row, 0), stmt_int(row, 1), arena_copy(arena, stmt_str(row, 3)), {0}};
        memcpy(out->sha256, stmt_str(row, 2).data, SHA256_SIZE);
    }
    TRY(stmt_end(row, err));
    if (found)
        return OK;
    out->body = str_of(builtin(slug));
    if (!str_given(out->body))
        return fail(err, NOT_FOUND, NULL, "There is no tier called %.*s", STR_ARG(str_slice(slug, 0, 64)));
    sha256(out->body, out->sha256);
    return OK;
}

/* Grace ends by the clock, whenever somebody writes it down. A suspended account has what "restricted" gives, where there is such a tier. */
static const char slug_sql[] = "SELECT t.slug, a.state FROM tier_assign a JOIN tier t ON t.id = a.tier_id "
                               "WHERE a.account_id = ? AND (a.state IN (3, 5) OR (a.state = 4 AND a.until_us > ?))";
#define STATE_SUSPENDED 5

static enum status slug_of(struct db_conn *conn, struct arena *arena, int64_t account_id, struct str *out,
                           struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = account_id ? STR(TIER_EVERYBODY) : STR(TIER_STRANGERS);
    if (!account_id)
        return OK;
    TRY(db_prepare(conn, slug_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, now_us());
    if (stmt_next(row))
        *out = stmt_int(row, 1) == STATE_SUSPENDED ? STR("restricted") : arena_copy(arena, stmt_str(row, 0));
    return stmt_end(row, err);
}

enum status limits_of(struct db_conn *conn, int64_t account_id, const struct limits **out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tier_in_force tier;
    struct str slug;
    TRY(slug_of(conn, &arena, account_id, &slug, err));
    enum status found = tier_in_force(conn, &arena, slug, now_us(), &tier, err);
    if (found == NOT_FOUND)
        found = tier_in_force(conn, &arena, STR(TIER_EVERYBODY), now_us(), &tier, err);
    TRY(found);
    *out = find_known(tier.sha256);
    return *out ? OK : learn(tier.body, tier.sha256, out, err);
}
