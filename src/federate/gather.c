/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mode "two-houses" once a round is frozen: the hub's half of the protocol, step by step with the other house. Each step is asked again
 * after a crash of either, and gives the same: what is random comes of the seed that the agreement has.
 */
#include "federate/houses.h"
#include "oms/dsse.h"
#include "pine/seal.h"
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_NUMBERS 300000000 /* coordinates that are verified in one request, so that it takes half a minute */

struct entry_of {
    int64_t account_id;
    enum verdict verdict, before;
    struct report report;
    struct pine_state state;
};

struct gathering {
    struct closing *c;
    struct agreement of;
    uint8_t verify_key[SEED_SIZE_MAX];
    struct entry_of *entries; /* by nonce */
    size_t count;
    bool is_missing; /* some file is not there any more */
};

static enum status ask(struct gathering *g, enum wire_op op, struct str payload, size_t limit, struct str *answer,
                       struct error *err)
{
    return house_ask(g->c->hub, g->c->arena, &g->c->run, &g->of.pact, op, payload, limit, answer, err);
}

static enum status broken_answer(enum wire_op op, struct error *err)
{
    return fail(err, UNPROCESSABLE, NULL, "The other house's answer to \"%s\" cannot be.", wire_op_name(op));
}

/* Before anything. */

static const char entries_sql[] =
    "SELECT r.account_id, r.verdict, r.body FROM federate_report r JOIN federate_update u ON u.run_id = r.run_id AND "
    "u.account_id = r.account_id WHERE r.run_id = ? AND r.round = ? AND r.body IS NOT NULL AND u.state = 1 ORDER BY "
    "r.nonce";

static enum status load_entries(struct gathering *g, struct db_conn *conn, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    g->entries = arena_array(g->c->arena, PARTICIPANTS_MOST, sizeof *g->entries);
    g->count = 0;
    TRY(db_prepare(conn, entries_sql, &row, err));
    stmt_bind_int(row, 1, g->c->run.id);
    stmt_bind_int(row, 2, g->c->run.round);
    while (g->count < PARTICIPANTS_MOST && stmt_next(row)) {
        struct entry_of *entry = &g->entries[g->count++];
        entry->account_id = stmt_int(row, 0);
        entry->verdict = entry->before = (enum verdict)stmt_int(row, 1);
        if (stmt_str(row, 2).len == sizeof entry->report)
            memcpy(&entry->report, stmt_str(row, 2).data, sizeof entry->report);
    }
    return stmt_end(row, err);
}

static enum status load(struct gathering *g, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    uint8_t shared[32], run[WIRE_RUN_SIZE];
    TRY(db_reader(g->c->hub->db, &conn, err));
    TRY(agreement_load(conn, g->c->arena, &g->c->run, &g->of, err));
    TRY(load_entries(g, conn, err));
    const struct identity_seal *seal = identity_seal(g->c->hub->federate->identity, g->of.pact.hub.seal);
    if (!seal)
        return fail(err, UNPROCESSABLE, NULL,
                    "The hub no longer has the key that this round's shares are sealed to: its keys were lost.");
    TRY(x25519(seal->private_key, g->of.pact.house.seal, shared, err));
    hex_decode(g->c->run.public_id, run, sizeof run);
    hkdf_sha256((struct str){(char *)shared, sizeof shared}, (struct str){(char *)run, sizeof run}, STR("verify"),
                g->verify_key, sizeof g->verify_key);
    return OK;
}

/* The other house computes the new model, too: the first round's it gets from here, the next ones it has. */
static enum status send_model(struct gathering *g, struct error *err)
{
    auto_buf struct buf payload = {0};
    const struct model *base = &g->c->base;
    int64_t at = 0;
    for (bool first = true;; first = false) {
        int64_t left = base->size - at;
        size_t len = first ? 0 : (uint64_t)left < WIRE_PIECE ? (size_t)left : WIRE_PIECE;
        struct str answer;
        payload.len = 0;
        wire_int(&payload, at);
        buf_reserve(&payload, len);
        TRY(pread_full(base->fd, payload.data + payload.len, len, at, err));
        payload.len += len;
        TRY(ask(g, WIRE_MODEL, buf_view(&payload), 8, &answer, err));
        if (!wire_take_int(&answer, &at) || at > base->size)
            return broken_answer(WIRE_MODEL, err);
        if (at == base->size)
            return OK;
    }
}

/* Verifying. */

struct sealed {
    int fd;
    struct unseal unseal;
    uint8_t aad[REPORT_AAD_SIZE];
};

static enum status read_file(void *context, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    return pread_full(*(int *)context, out, len, (int64_t)offset, err);
}

static void sealed_close(struct sealed *sealed)
{
    unseal_end(&sealed->unseal);
    fd_close(&sealed->fd);
}

/* The leader's share of a report, in its file. NOT_FOUND when that is gone. Close it in any case. */
static enum status sealed_open(struct gathering *g, const struct entry_of *entry, struct sealed *out, struct error *err)
{
    char path[4096];
    struct stat about;
    *out = (struct sealed){0};
    update_path(g->c->hub->federate, &g->c->run, entry->account_id, path);
    out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0 || fstat(out->fd, &about) != 0)
        return fail_errno(err, path);
    const struct identity_seal *seal = identity_seal(g->c->hub->federate->identity, g->of.pact.hub.seal);
    TRY(unseal_begin(&out->unseal, seal->private_key, (struct str){(char *)g->of.ctx, SHA256_SIZE},
                     report_aad(&entry->report, 0, out->aad), (struct pine_source){read_file, &out->fd},
                     (uint64_t)about.st_size, err));
    return out->unseal.plain == g->of.pine.leader_share ? OK : fail(err, INVALID, NULL, "A share has another length.");
}

static enum status prepare_one(struct gathering *g, struct entry_of *entry, uint8_t *prep, struct error *err)
{
    struct sealed sealed;
    struct error why = {0};
    enum status status = sealed_open(g, entry, &sealed, &why);
    if (status == OK)
        status = pine_prep_init(&g->of.pine, g->verify_key, 0, entry->report.nonce, entry->report.public_share,
                                unseal_source(&sealed.unseal), &entry->state, prep, &why);
    sealed_close(&sealed);
    if (status == NOT_FOUND)
        g->is_missing = true;
    else if (status == FORBIDDEN)
        entry->verdict = VERDICT_SEAL;
    else if (status == INVALID)
        entry->verdict = VERDICT_PROOF;
    else if (status != OK)
        *err = why;
    return status == NOT_FOUND || status == FORBIDDEN || status == INVALID ? OK : status;
}

struct batch {
    struct entry_of *of[WIRE_BATCH];
    size_t count;
    struct buf payload;
};

static enum status decide(struct gathering *g, const struct batch *batch, struct str answer, struct error *err)
{
    size_t prep = g->of.pine.prep_share, ours = sizeof(struct report) + prep;
    uint8_t message[2 * SEED_SIZE_MAX];
    if (answer.len != batch->count * (1 + prep))
        return broken_answer(WIRE_VERIFY, err);
    for (size_t i = 0; i < batch->count; i++) {
        struct entry_of *entry = batch->of[i];
        const uint8_t *theirs = (const uint8_t *)answer.data + i * (1 + prep);
        const uint8_t *mine = (const uint8_t *)batch->payload.data + i * ours + sizeof(struct report);
        struct error why;
        if (theirs[0] >= VERDICTS || theirs[0] == VERDICT_NONE)
            return broken_answer(WIRE_VERIFY, err);
        entry->verdict = (enum verdict)theirs[0];
        if (entry->verdict == VERDICT_GOOD && (pine_prep_decide(&g->of.pine, mine, theirs + 1, message, &why) != OK ||
                                               pine_prep_next(&g->of.pine, &entry->state, message, &why) != OK))
            entry->verdict = VERDICT_PROOF;
    }
    return OK;
}

static enum status verify_batch(struct gathering *g, struct batch *batch, struct error *err)
{
    struct str answer;
    if (batch->count == 0)
        return OK;
    TRY(ask(g, WIRE_VERIFY, buf_view(&batch->payload), batch->count * (1 + g->of.pine.prep_share), &answer, err));
    TRY(decide(g, batch, answer, err));
    batch->count = batch->payload.len = 0;
    return OK;
}

static size_t batch_most(const struct pine *pine)
{
    size_t by_bytes = WIRE_PAYLOAD_MOST / (sizeof(struct report) + pine->prep_share);
    size_t by_work = BATCH_NUMBERS / pine->config.dimension + 1, most = by_bytes < by_work ? by_bytes : by_work;
    return most < WIRE_BATCH ? most : WIRE_BATCH;
}

/* Of a hub put together from a backup, files of a round under way are not there. */
static bool has_file(const struct gathering *g, const struct entry_of *entry)
{
    char path[4096];
    update_path(g->c->hub->federate, &g->c->run, entry->account_id, path);
    return access(path, R_OK) == 0;
}

static enum status verify_into(struct gathering *g, struct batch *batch, struct error *err)
{
    size_t prep = g->of.pine.prep_share, most = batch_most(&g->of.pine);
    for (size_t i = 0; i < g->count; i++) {
        struct entry_of *entry = &g->entries[i];
        g->is_missing = g->is_missing || !has_file(g, entry);
        if (entry->verdict != VERDICT_NONE || g->is_missing)
            continue;
        buf_reserve(&batch->payload, sizeof entry->report + prep);
        uint8_t *room = (uint8_t *)batch->payload.data + batch->payload.len;
        memcpy(room, &entry->report, sizeof entry->report);
        TRY(prepare_one(g, entry, room + sizeof entry->report, err));
        if (entry->verdict != VERDICT_NONE || g->is_missing)
            continue;
        batch->payload.len += sizeof entry->report + prep;
        batch->of[batch->count++] = entry;
        if (batch->count == most)
            TRY(verify_batch(g, batch, err));
    }
    return g->is_missing ? OK : verify_batch(g, batch, err);
}

/* Settling: what was rejected is no update any more, and with too few left the round goes on waiting. */

static const char verdict_sql[] = "UPDATE federate_report SET verdict = ? WHERE run_id = ? AND nonce = ?";
static enum status settle_one(struct db_conn *tx, const struct gathering *g, const struct entry_of *entry,
                              struct error *err)
{
    auto_stmt struct stmt *verdict = NULL;
    TRY(db_prepare(tx, verdict_sql, &verdict, err));
    stmt_bind_int(verdict, 1, entry->verdict);
    stmt_bind_int(verdict, 2, g->c->run.id);
    stmt_bind_blob(verdict, 3, entry->report.nonce, PINE_NONCE_SIZE);
    TRY(stmt_run(verdict, err));
    return entry->verdict == VERDICT_GOOD ? OK : update_reject(tx, &g->c->run, entry->account_id, err);
}

static size_t good_count(const struct gathering *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->count; i++)
        count += g->entries[i].verdict == VERDICT_GOOD;
    return count;
}

static enum status settle(struct db_conn *tx, void *context, struct error *err)
{
    const struct gathering *g = context;
    for (size_t i = 0; i < g->count; i++)
        if (g->entries[i].verdict != g->entries[i].before)
            TRY(settle_one(tx, g, &g->entries[i], err));
    if (good_count(g) >= (size_t)g->of.pact.minimum)
        return OK;
    return round_thaw(tx, &g->c->run, NULL, 0, err);
}

static enum status thaw_missing(struct db_conn *tx, void *context, struct error *err)
{
    struct gathering *g = context;
    int64_t missing[PARTICIPANTS_MOST];
    size_t count = 0;
    for (size_t i = 0; i < g->count; i++)
        if (!has_file(g, &g->entries[i]))
            missing[count++] = g->entries[i].account_id;
    return round_thaw(tx, &g->c->run, missing, count, err);
}

static void remove_rejected(const struct gathering *g)
{
    char path[4096];
    for (size_t i = 0; i < g->count; i++)
        if (g->entries[i].verdict > VERDICT_GOOD) {
            update_path(g->c->hub->federate, &g->c->run, g->entries[i].account_id, path);
            unlink(path);
        }
}

/* Those that were accepted, and no others. */
static enum status keep_good(struct gathering *g, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct closing *c = g->c;
    size_t kept = 0;
    for (size_t i = 0; i < g->count; i++)
        if (g->entries[i].verdict == VERDICT_GOOD)
            g->entries[kept++] = g->entries[i];
    g->count = kept;
    TRY(db_reader(c->hub->db, &conn, err));
    TRY(run_get(conn, c->arena, c->run.id, &c->run, err));
    return update_list(conn, c->arena, &c->run, &c->updates, &c->count, err);
}

static enum status verify(struct gathering *g, struct error *err)
{
    struct batch batch = {0};
    enum status status = verify_into(g, &batch, err);
    buf_free(&batch.payload);
    TRY(status);
    if (g->is_missing) {
        TRY(db_write(g->c->hub->db, thaw_missing, g, err));
        return fail(err, STALE, NULL, "Updates are not there any more; they are asked for again.");
    }
    TRY(db_write(g->c->hub->db, settle, g, err));
    remove_rejected(g);
    TRY(keep_good(g, err));
    return g->count >= (size_t)g->of.pact.minimum
               ? OK
               : fail(err, STALE, NULL, "Too few updates are left; the round waits for more.");
}

/* Drawing. */

static enum status freeze_and_draw(struct gathering *g, size_t **bucket_of, struct error *err)
{
    auto_buf struct buf nonces = {0}, payload = {0};
    struct house_facts *facts = g->c->facts;
    uint8_t promise[SHA256_SIZE], theirs[SHA256_SIZE], again[SHA256_SIZE], seed[32];
    facts->signatures = arena_array(g->c->arena, g->count, sizeof *facts->signatures);
    facts->signature_count = g->count;
    struct str answer;
    for (size_t i = 0; i < g->count; i++) {
        buf_add(&nonces, g->entries[i].report.nonce, PINE_NONCE_SIZE);
        memcpy(facts->signatures[i], g->entries[i].report.signature, PACT_SIGNATURE_SIZE);
    }
    sha256(buf_view(&nonces), facts->list);
    reports_root(facts->signatures, g->count, facts->reports);
    round_secret(g->of.seed, "draw", facts->randoms[0]);
    sha256((struct str){(char *)facts->randoms[0], 32}, promise);
    buf_add(&payload, promise, sizeof promise);
    buf_str(&payload, buf_view(&nonces));
    TRY(ask(g, WIRE_FREEZE, buf_view(&payload), SHA256_SIZE, &answer, err));
    if (answer.len != SHA256_SIZE)
        return broken_answer(WIRE_FREEZE, err);
    memcpy(theirs, answer.data, SHA256_SIZE);
    TRY(ask(g, WIRE_DRAW, (struct str){(char *)facts->randoms[0], 32}, 32, &answer, err));
    sha256(answer, again);
    if (answer.len != 32 || memcmp(again, theirs, SHA256_SIZE) != 0)
        return fail(err, UNPROCESSABLE, NULL, "The other house has drawn something else than it had promised.");
    memcpy(facts->randoms[1], answer.data, 32);
    draw_seed(facts->randoms[0], facts->randoms[1], g->of.ctx, facts->list, seed);
    *bucket_of = arena_array(g->c->arena, g->count, sizeof **bucket_of);
    draw_buckets(seed, g->count, (size_t)g->of.pact.bucket, *bucket_of);
    facts->buckets = draw_count(g->count, (size_t)g->of.pact.bucket);
    facts->members = arena_array(g->c->arena, facts->buckets, sizeof *facts->members);
    facts->sums = arena_array(g->c->arena, facts->buckets, sizeof *facts->sums);
    facts->norms = arena_array(g->c->arena, facts->buckets, sizeof *facts->norms);
    for (size_t i = 0; i < g->count; i++)
        facts->members[(*bucket_of)[i]]++;
    return OK;
}

/* Summing. */

struct members {
    struct gathering *g;
    const size_t *bucket_of;
    size_t bucket, at;
    bool is_open;
    struct sealed sealed;
};

static enum status next_member(void *context, struct pine_source *out, bool *found, struct error *err)
{
    struct members *m = context;
    if (m->is_open)
        sealed_close(&m->sealed);
    m->is_open = false;
    while (m->at < m->g->count && m->bucket_of[m->at] != m->bucket)
        m->at++;
    *found = m->at < m->g->count;
    if (!*found)
        return OK;
    m->is_open = true;
    TRY(sealed_open(m->g, &m->g->entries[m->at++], &m->sealed, err));
    *out = unseal_source(&m->sealed.unseal);
    return OK;
}

static enum status sum_all(struct gathering *g, const size_t *bucket_of, int fd, struct error *err)
{
    uint8_t noise[32];
    struct house_facts *facts = g->c->facts;
    round_secret(g->of.seed, "noise", noise);
    enum status status = OK;
    for (size_t i = 0; i < facts->buckets && status == OK; i++) {
        struct members members = {.g = g, .bucket_of = bucket_of, .bucket = i};
        const struct shares shares = {next_member, &members};
        status = sum_bucket(&g->of.pine, 0, &shares, noise, g->of.pact.noise, i, fd,
                            (int64_t)(i * g->of.pine.agg_share), facts->sums[i][0], err);
        if (members.is_open)
            sealed_close(&members.sealed);
    }
    OPENSSL_cleanse(noise, sizeof noise);
    return status;
}

static enum status commit_sums(struct gathering *g, struct error *err)
{
    auto_buf struct buf payload = {0};
    struct house_facts *facts = g->c->facts;
    struct str answer;
    for (size_t i = 0; i < facts->buckets; i++)
        buf_add(&payload, facts->sums[i][0], SHA256_SIZE);
    TRY(ask(g, WIRE_COMMIT, buf_view(&payload), payload.len, &answer, err));
    if (answer.len != payload.len)
        return broken_answer(WIRE_COMMIT, err);
    for (size_t i = 0; i < facts->buckets; i++)
        wire_take(&answer, facts->sums[i][1], SHA256_SIZE);
    return OK;
}

static enum status exchange_bucket(struct gathering *g, size_t bucket, int ours, int theirs, struct error *err)
{
    auto_buf struct buf payload = {0};
    uint8_t digest[SHA256_SIZE];
    int64_t size = (int64_t)g->of.pine.agg_share, start = (int64_t)bucket * size;
    for (int64_t at = 0; at < size; at += (int64_t)WIRE_PIECE) {
        size_t len = (uint64_t)(size - at) < WIRE_PIECE ? (size_t)(size - at) : WIRE_PIECE;
        struct str answer;
        payload.len = 0;
        wire_int(&payload, (int64_t)bucket);
        wire_int(&payload, at);
        buf_reserve(&payload, len);
        TRY(pread_full(ours, payload.data + payload.len, len, start + at, err));
        payload.len += len;
        /* Pieces of a sum of any size pass through the arena of one request each. */
        auto_arena struct arena arena = {0};
        TRY(house_ask(g->c->hub, &arena, &g->c->run, &g->of.pact, WIRE_EXCHANGE, buf_view(&payload), len, &answer,
                      err));
        if (answer.len != len)
            return broken_answer(WIRE_EXCHANGE, err);
        TRY(pwrite_full(theirs, answer.data, len, start + at, err));
    }
    TRY(file_digest(theirs, start, size, digest, err));
    if (memcmp(digest, g->c->facts->sums[bucket][1], SHA256_SIZE) != 0)
        return fail(err, UNPROCESSABLE, NULL, "The other house's sum is not the one that it had committed to.");
    return OK;
}

static enum status open_file(const struct closing *c, const char *name, int *out, struct error *err)
{
    struct str path = arena_printf(c->arena, "%s/%.*s/%lld-%s", c->hub->federate->folder, STR_ARG(c->run.public_id),
                                   (long long)c->run.round, name);
    *out = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return *out < 0 ? fail_errno(err, path.data) : OK;
}

/* Rows of the means, which the rule goes over. Whose updates are in which of them, this house alone knows. */
static enum status make_rows(struct gathering *g, const size_t *bucket_of, int ours, int theirs, struct error *err)
{
    struct closing *c = g->c;
    auto_fd int means = -1;
    int64_t width = g->of.pact.dimension * (int64_t)sizeof(float);
    TRY(open_file(c, "means", &means, err));
    rows_make(&c->rows, c->arena, c->facts->buckets);
    c->rows.are_changes = true;
    c->rows.row_of = arena_array(c->arena, c->count, sizeof *c->rows.row_of);
    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < c->count; k++)
            if (c->updates[k].account_id == g->entries[i].account_id)
                c->rows.row_of[k] = bucket_of[i];
    for (size_t i = 0; i < c->facts->buckets; i++) {
        c->rows.at[i] = (int64_t)i * width;
        TRY(sum_mean(&g->of.pine, ours, theirs, (int64_t)(i * g->of.pine.agg_share), c->facts->members[i],
                     (int)g->of.pact.fraction_bits, means, c->rows.at[i], &c->facts->norms[i], err));
        TRY(open_file(c, "means", &c->rows.fds[i], err));
    }
    return OK;
}

static enum status sum(struct gathering *g, const size_t *bucket_of, struct error *err)
{
    auto_fd int ours = -1, theirs = -1;
    TRY(open_file(g->c, "sums-hub", &ours, err));
    TRY(open_file(g->c, "sums-house", &theirs, err));
    TRY(sum_all(g, bucket_of, ours, err));
    TRY(commit_sums(g, err));
    for (size_t i = 0; i < g->c->facts->buckets; i++)
        TRY(exchange_bucket(g, i, ours, theirs, err));
    return make_rows(g, bucket_of, ours, theirs, err);
}

static const char reasons_sql[] = "SELECT verdict, count(*) FROM federate_report WHERE run_id = ? AND round = ? AND "
                                  "verdict > 1 GROUP BY verdict";

static enum status count_reasons(struct gathering *g, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(g->c->hub->db, &conn, err));
    TRY(db_prepare(conn, reasons_sql, &row, err));
    stmt_bind_int(row, 1, g->c->run.id);
    stmt_bind_int(row, 2, g->c->run.round);
    while (stmt_next(row))
        if (stmt_int(row, 0) < VERDICTS)
            g->c->facts->reasons[stmt_int(row, 0)] = stmt_int(row, 1);
    return stmt_end(row, err);
}

enum status houses_gather(struct closing *c, struct error *err)
{
    struct gathering g = {.c = c};
    size_t *bucket_of = NULL;
    TRY(load(&g, err));
    c->facts = arena_alloc(c->arena, sizeof *c->facts);
    memcpy(c->facts->ctx, g.of.ctx, SHA256_SIZE);
    TRY(send_model(&g, err));
    TRY(verify(&g, err));
    TRY(count_reasons(&g, err));
    TRY(freeze_and_draw(&g, &bucket_of, err));
    return sum(&g, bucket_of, err);
}

/* Signing. */

static void write_envelope(struct arena *arena, const char *type, struct str text, const struct pact *pact,
                           const uint8_t hub[PACT_SIGNATURE_SIZE], const uint8_t house[PACT_SIGNATURE_SIZE],
                           struct json_writer *w)
{
    struct dsse_signature signatures[2] = {
        {{(const char *)hub, PACT_SIGNATURE_SIZE}, hex_encode(arena, pact->hub.key, PACT_KEY_SIZE)},
        {{(const char *)house, PACT_SIGNATURE_SIZE}, hex_encode(arena, pact->house.key, PACT_KEY_SIZE)}};
    const struct dsse_envelope envelope = {str_of(type), text, signatures, 2};
    dsse_write(arena, &envelope, w);
}

enum status houses_cosign(struct closing *c, struct error *err)
{
    struct gathering g = {.c = c};
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    uint8_t ours[PACT_SIGNATURE_SIZE];
    struct str theirs;
    TRY(load(&g, err));
    TRY(ask(&g, WIRE_COSIGN, c->record, PACT_SIGNATURE_SIZE, &theirs, err));
    if (theirs.len != PACT_SIGNATURE_SIZE ||
        !pact_text_signed(g.of.pact.house.key, RECORD_TYPE, c->record, (const uint8_t *)theirs.data))
        return fail(err, UNPROCESSABLE, NULL, "The other house has not signed the round's record.");
    pact_sign_text(&c->hub->federate->identity->sign, RECORD_TYPE, c->record, ours);
    jw_object(&w);
    jw_key(&w, "config");
    write_envelope(c->arena, PACT_TYPE, g.of.text, &g.of.pact, g.of.hub_signature, g.of.house_signature, &w);
    jw_key(&w, "record");
    write_envelope(c->arena, RECORD_TYPE, c->record, &g.of.pact, ours, (const uint8_t *)theirs.data, &w);
    jw_end(&w);
    buf_byte(&text, '\n');
    c->signatures = arena_copy(c->arena, buf_view(&text));
    return OK;
}
