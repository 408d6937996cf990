/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps "freeze" to "exchange": who is in which bucket, and the sums. */
#include "house/internal.h"
#include <openssl/crypto.h>
#include <unistd.h>

static const char verdict_sql[] =
    "SELECT 1 FROM house_report WHERE run = ? AND nonce = ? AND round = ? AND verdict = 1";

static enum status check_member(const struct asked *asked, struct stmt *row, const uint8_t *nonce, struct error *err)
{
    stmt_bind_blob(row, 1, asked->request->run, WIRE_RUN_SIZE);
    stmt_bind_blob(row, 2, nonce, PINE_NONCE_SIZE);
    stmt_bind_int(row, 3, asked->request->round);
    bool good = stmt_next(row);
    TRY(stmt_end(row, err));
    return good ? OK : fail(err, FORBIDDEN, NULL, "The list has a report that this house has not accepted.");
}

static enum status check_list(const struct asked *asked, struct str list, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    size_t count = list.len / PINE_NONCE_SIZE;
    const uint8_t *nonces = (const uint8_t *)list.data;
    if (list.len % PINE_NONCE_SIZE || count > PACT_REPORTS_MOST)
        return fail(err, INVALID, NULL, "The list is none.");
    if (count < (size_t)asked->pact.minimum)
        return fail(err, FORBIDDEN, "TooFewReports", "A sum of %zu reports would say too much: the round takes %lld.",
                    count, (long long)asked->pact.minimum);
    TRY(db_reader(asked->house->db, &conn, err));
    TRY(db_prepare(conn, verdict_sql, &row, err));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *nonce = nonces + i * PINE_NONCE_SIZE;
        if (i && memcmp(nonce - PINE_NONCE_SIZE, nonce, PINE_NONCE_SIZE) >= 0)
            return fail(err, INVALID, NULL, "The list is not sorted, or has a report twice.");
        TRY(check_member(asked, row, nonce, err));
    }
    return OK;
}

enum status step_freeze(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    uint8_t promise[SHA256_SIZE];
    struct str list = str_from(payload, SHA256_SIZE), promised = str_slice(payload, 0, SHA256_SIZE);
    if (promised.len != SHA256_SIZE)
        return fail(err, INVALID, NULL, "The list lacks what the hub commits to.");
    if (!str_given(asked->row.list)) {
        struct round_change change = {asked, ROUND_LIST, promised, list, {0}};
        TRY(check_list(asked, list, err));
        TRY(round_set(asked->house, &change, err));
    } else if (!str_eq(asked->row.list, list) || !str_eq(asked->row.promise, promised)) {
        return fail(err, CONFLICT, "OtherList", "This house has signed another list for that round.");
    }
    sha256(asked->row.draw, promise);
    buf_add(out, promise, sizeof promise);
    return OK;
}

enum status step_draw(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    struct round_change change = {asked, ROUND_RANDOM, payload, {0}, {0}};
    if (!str_given(asked->row.list))
        return fail(err, CONFLICT, NULL, "There is no list yet.");
    sha256(payload, digest);
    if (payload.len != 32 || asked->row.promise.len != SHA256_SIZE ||
        memcmp(digest, asked->row.promise.data, SHA256_SIZE) != 0)
        return fail(err, FORBIDDEN, NULL, "The hub has drawn something else than it had promised.");
    if (!str_given(asked->row.hub_random))
        TRY(round_set(asked->house, &change, err));
    buf_str(out, asked->row.draw);
    return OK;
}

/* Sums. */

enum status asked_buckets(const struct asked *asked, size_t *count, size_t **of, size_t *buckets, struct error *err)
{
    uint8_t seed[32], list[SHA256_SIZE];
    if (asked->row.hub_random.len != 32 || asked->row.draw.len != 32)
        return fail(err, CONFLICT, NULL, "Nothing has been drawn yet.");
    *count = asked->row.list.len / PINE_NONCE_SIZE;
    sha256(asked->row.list, list);
    draw_seed((const uint8_t *)asked->row.hub_random.data, (const uint8_t *)asked->row.draw.data, asked->ctx, list,
              seed);
    *of = arena_array(asked->arena, *count, sizeof **of);
    draw_buckets(seed, *count, (size_t)asked->pact.bucket, *of);
    *buckets = draw_count(*count, (size_t)asked->pact.bucket);
    return OK;
}

static const char body_sql[] = "SELECT body FROM house_report WHERE run = ? AND nonce = ?";

struct members {
    const struct asked *asked;
    struct db_conn *conn;
    const size_t *of;
    size_t count, bucket, at;
    uint8_t bytes[4 * SEED_SIZE_MAX];
    struct str share;
};

enum status asked_report(const struct asked *asked, struct db_conn *conn, size_t at, struct report *out,
                         struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, body_sql, &row, err));
    stmt_bind_blob(row, 1, asked->request->run, WIRE_RUN_SIZE);
    stmt_bind_blob(row, 2, asked->row.list.data + at * PINE_NONCE_SIZE, PINE_NONCE_SIZE);
    bool found = stmt_next(row) && stmt_str(row, 0).len == sizeof *out;
    if (found)
        memcpy(out, stmt_str(row, 0).data, sizeof *out);
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, CORRUPT, NULL, "A report of the list is not there any more.");
}

static enum status next_member(void *context, struct pine_source *out, bool *found, struct error *err)
{
    struct members *m = context;
    struct report report;
    while (m->at < m->count && m->of[m->at] != m->bucket)
        m->at++;
    *found = m->at < m->count;
    if (!*found)
        return OK;
    TRY(asked_report(m->asked, m->conn, m->at++, &report, err));
    TRY(own_share(m->asked, &report, m->bytes, err));
    m->share = (struct str){(const char *)m->bytes, m->asked->pine.helper_share};
    *out = pine_source_memory(&m->share);
    return OK;
}

static enum status sum_all(const struct asked *asked, const size_t *of, size_t count, size_t buckets,
                           struct buf *digests, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_fd int fd = -1;
    uint8_t noise[32] = {0}, digest[SHA256_SIZE];
    if (asked->row.seed.len != 32)
        return fail(err, CONFLICT, NULL, "The sums of this round are over and done with.");
    round_secret((const uint8_t *)asked->row.seed.data, "noise", noise);
    TRY(house_file(asked, "sums-house", &fd, err));
    TRY(db_reader(asked->house->db, &conn, err));
    for (size_t i = 0; i < buckets; i++) {
        struct members members = {.asked = asked, .conn = conn, .of = of, .count = count, .bucket = i};
        const struct shares shares = {next_member, &members};
        TRY(sum_bucket(&asked->pine, 1, &shares, noise, asked->pact.noise, i, fd, (int64_t)(i * asked->pine.agg_share),
                       digest, err));
        buf_add(digests, digest, sizeof digest);
    }
    OPENSSL_cleanse(noise, sizeof noise);
    return fdatasync(fd) == 0 ? OK : fail_errno(err, "sums-house");
}

enum status step_commit(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    auto_buf struct buf digests = {0};
    size_t count = 0, buckets = 0, *of = NULL;
    TRY(asked_buckets(asked, &count, &of, &buckets, err));
    if (payload.len != buckets * SHA256_SIZE)
        return fail(err, INVALID, NULL, "There is one digest for each bucket.");
    if (!str_given(asked->row.hub_sums)) {
        TRY(sum_all(asked, of, count, buckets, &digests, err));
        struct round_change change = {asked, ROUND_SUMS, payload, buf_view(&digests), {0}};
        TRY(round_set(asked->house, &change, err));
        buf_str(out, buf_view(&digests));
        return OK;
    }
    if (!str_eq(asked->row.hub_sums, payload))
        return fail(err, CONFLICT, NULL, "The hub had committed to other sums.");
    buf_str(out, asked->row.own_sums);
    return OK;
}

enum status step_exchange(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    auto_fd int ours = -1, theirs = -1;
    int64_t bucket, at, size = (int64_t)asked->pine.agg_share;
    int64_t buckets = (int64_t)(asked->row.hub_sums.len / SHA256_SIZE);
    if (!wire_take_int(&payload, &bucket) || !wire_take_int(&payload, &at) || bucket >= buckets || at >= size ||
        payload.len == 0 || payload.len > WIRE_PIECE || (int64_t)payload.len > size - at)
        return fail(err, INVALID, NULL, "There is no such piece of a sum, or nothing has been committed to yet.");
    TRY(house_file(asked, "sums-house", &ours, err));
    TRY(house_file(asked, "sums-hub", &theirs, err));
    TRY(pwrite_full(theirs, payload.data, payload.len, bucket * size + at, err));
    buf_reserve(out, payload.len);
    TRY(pread_full(ours, out->data + out->len, payload.len, bucket * size + at, err));
    out->len += payload.len;
    return OK;
}
