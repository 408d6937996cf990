/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Step "verify": the house's half of looking at reports. */
#include "house/internal.h"
#include "pine/seal.h"

struct seen { /* a report that is being looked at */
    const struct report *report;
    const uint8_t *hub_prep;
    uint8_t *prep; /* what is answered */
    uint8_t digest[SHA256_SIZE];
    enum verdict verdict;
    bool is_new;
};

struct batch {
    struct asked *asked;
    struct seen *seen;
    size_t count;
};

enum status own_share(const struct asked *asked, const struct report *report, uint8_t share[4 * SEED_SIZE_MAX],
                      struct error *err)
{
    uint8_t aad[REPORT_AAD_SIZE];
    struct str sealed = {(const char *)report->helper, sizeof report->helper};
    struct unseal unseal = {0};
    const struct identity_seal *seal = identity_seal(asked->house->identity, asked->pact.house.seal);
    if (!seal)
        return fail(err, UNPROCESSABLE, NULL, "The house no longer has the key that shares were sealed to.");
    enum status status = unseal_begin(&unseal, seal->private_key, (struct str){(const char *)asked->ctx, SHA256_SIZE},
                                      report_aad(report, 1, aad), pine_source_memory(&sealed), sealed.len, err);
    if (status == OK && unseal.plain != asked->pine.helper_share)
        status = fail(err, INVALID, NULL, "A share has another length.");
    if (status == OK) {
        struct pine_source source = unseal_source(&unseal);
        status = source.read(source.context, 0, share, asked->pine.helper_share, err);
    }
    unseal_end(&unseal);
    return status;
}

static uint8_t *verify_key(const struct asked *asked, uint8_t out[SEED_SIZE_MAX])
{
    uint8_t shared[32];
    const struct identity_seal *seal = identity_seal(asked->house->identity, asked->pact.house.seal);
    if (!seal || x25519(seal->private_key, asked->pact.hub.seal, shared, NULL) != OK)
        return NULL;
    hkdf_sha256((struct str){(char *)shared, sizeof shared},
                (struct str){(const char *)asked->request->run, WIRE_RUN_SIZE}, STR("verify"), out, SEED_SIZE_MAX);
    return out;
}

/* What was decided before stands; the prep share is computed again, which gives the same. */
static enum status look(const struct asked *asked, const uint8_t *key, struct seen *seen, struct error *err)
{
    uint8_t share[4 * SEED_SIZE_MAX], message[2 * SEED_SIZE_MAX];
    struct str bytes = {(char *)share, asked->pine.helper_share};
    struct pine_state state;
    struct error why = {0};
    enum status status = own_share(asked, seen->report, share, &why);
    if (status == FORBIDDEN || status == INVALID) {
        seen->verdict = seen->is_new ? VERDICT_SEAL : seen->verdict;
        return OK;
    }
    if (status == OK)
        status = pine_prep_init(&asked->pine, key, 1, seen->report->nonce, seen->report->public_share,
                                pine_source_memory(&bytes), &state, seen->prep, &why);
    if (status == OK && seen->is_new)
        status = pine_prep_decide(&asked->pine, seen->hub_prep, seen->prep, message, &why);
    if (status == OK && seen->is_new)
        status = pine_prep_next(&asked->pine, &state, message, &why);
    if (seen->is_new)
        seen->verdict = status == OK ? VERDICT_GOOD : VERDICT_PROOF;
    if (status == OK || status == FORBIDDEN || status == INVALID)
        return OK;
    *err = why;
    return status;
}

/* Rows. */

static const char find_sql[] = "SELECT digest, verdict FROM house_report WHERE run = ? AND nonce = ?";
static const char key_sql[] =
    "SELECT 1 FROM house_report WHERE run = ? AND round = ? AND key = ? AND verdict = 1 LIMIT 1";

static enum status has_row(struct stmt *row, bool *out, struct error *err)
{
    *out = stmt_next(row);
    return stmt_end(row, err);
}

static enum status find_before(const struct asked *asked, struct db_conn *conn, struct seen *seen, struct error *err)
{
    auto_stmt struct stmt *row = NULL, *key = NULL;
    bool taken;
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_blob(row, 1, asked->request->run, WIRE_RUN_SIZE);
    stmt_bind_blob(row, 2, seen->report->nonce, PINE_NONCE_SIZE);
    if (stmt_next(row)) {
        bool same = memcmp(stmt_str(row, 0).data, seen->digest, SHA256_SIZE) == 0;
        seen->is_new = false;
        seen->verdict = same ? (enum verdict)stmt_int(row, 1) : VERDICT_NONCE;
        return stmt_end(row, err);
    }
    TRY(stmt_end(row, err));
    seen->is_new = true;
    TRY(db_prepare(conn, key_sql, &key, err));
    stmt_bind_blob(key, 1, asked->request->run, WIRE_RUN_SIZE);
    stmt_bind_int(key, 2, asked->request->round);
    stmt_bind_blob(key, 3, seen->report->key, PACT_KEY_SIZE);
    TRY(has_row(key, &taken, err));
    if (taken)
        seen->verdict = VERDICT_NONCE;
    return OK;
}

static const char insert_sql[] =
    "INSERT INTO house_report (run, nonce, round, key, digest, verdict, body) VALUES (?, ?, ?, ?, ?, ?, ?)";

static enum status store(struct db_conn *tx, void *context, struct error *err)
{
    const struct batch *batch = context;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, insert_sql, &row, err));
    for (size_t i = 0; i < batch->count; i++) {
        const struct seen *seen = &batch->seen[i];
        if (!seen->is_new)
            continue;
        stmt_bind_blob(row, 1, batch->asked->request->run, WIRE_RUN_SIZE);
        stmt_bind_blob(row, 2, seen->report->nonce, PINE_NONCE_SIZE);
        stmt_bind_int(row, 3, batch->asked->request->round);
        stmt_bind_blob(row, 4, seen->report->key, PACT_KEY_SIZE);
        stmt_bind_blob(row, 5, seen->digest, SHA256_SIZE);
        stmt_bind_int(row, 6, seen->verdict);
        stmt_bind_blob(row, 7, seen->report, sizeof *seen->report);
        TRY(stmt_run(row, err));
    }
    return OK;
}

/* Twice in one batch: the second is no report. */
static bool is_repeated(const struct batch *batch, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        const struct report *a = batch->seen[i].report, *b = batch->seen[at].report;
        if (memcmp(a->nonce, b->nonce, PINE_NONCE_SIZE) == 0)
            return true;
        if (batch->seen[i].verdict == VERDICT_GOOD && memcmp(a->key, b->key, PACT_KEY_SIZE) == 0)
            return true;
    }
    return false;
}

static enum status look_at_all(struct batch *batch, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    const struct asked *asked = batch->asked;
    uint8_t room[SEED_SIZE_MAX], *key = verify_key(asked, room);
    if (!key)
        return fail(err, UNPROCESSABLE, NULL, "The house no longer has the key of this round.");
    TRY(db_reader(asked->house->db, &conn, err));
    for (size_t i = 0; i < batch->count; i++) {
        struct seen *seen = &batch->seen[i];
        TRY(find_before(asked, conn, seen, err));
        if (seen->is_new && is_repeated(batch, i)) {
            seen->is_new = false;
            seen->verdict = VERDICT_NONCE;
        } else if (seen->is_new && seen->verdict == VERDICT_NONE && !report_signed(seen->report, asked->ctx)) {
            seen->verdict = VERDICT_SIGNATURE;
        }
        if (seen->is_new && str_given(asked->row.list))
            return fail(err, CONFLICT, NULL, "The round's list has been signed: no report comes after it.");
        if (seen->verdict == VERDICT_NONE || seen->verdict == VERDICT_GOOD)
            TRY(look(asked, key, seen, err));
    }
    return OK;
}

enum status step_verify(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    size_t prep = asked->pine.prep_share, each = sizeof(struct report) + prep, count = payload.len / each;
    struct batch batch = {.asked = asked, .count = count};
    if (count == 0 || count > WIRE_BATCH || payload.len != count * each)
        return fail(err, INVALID, NULL, "A batch has 1 to %d reports, whole ones.", WIRE_BATCH);
    batch.seen = arena_array(asked->arena, count, sizeof *batch.seen);
    uint8_t *answer = arena_array(asked->arena, count, 1 + prep);
    for (size_t i = 0; i < count; i++) {
        const char *at = payload.data + i * each;
        batch.seen[i] = (struct seen){.report = (const struct report *)at,
                                      .hub_prep = (const uint8_t *)at + sizeof(struct report),
                                      .prep = answer + i * (1 + prep) + 1};
        struct hasher *hasher = hasher_sha256();
        hasher_add(hasher, asked->ctx, SHA256_SIZE);
        hasher_add(hasher, at, sizeof(struct report));
        hasher_end(hasher, batch.seen[i].digest);
        hasher_free(hasher);
    }
    TRY(look_at_all(&batch, err));
    TRY(db_write(asked->house->db, store, &batch, err));
    for (size_t i = 0; i < count; i++)
        answer[i * (1 + prep)] = (uint8_t)batch.seen[i].verdict;
    buf_add(out, answer, count * (1 + prep));
    return OK;
}
