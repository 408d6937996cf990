/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/meter.h"
#include "base/hash.h"
#include "base/time.h"
#include "quota/quota.h"
#include "quota/rate.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS 4096 /* with WAYS: 32,768 accounts and keys that download at once, 2 MiB */
#define WAYS 8
#define LOCKS 64
#define FLUSH_NS INT64_C(5000000000)
#define FLUSH_BYTES (INT64_C(64) << 20)
#define KEY_DAY_US (INT64_C(86400) * SECOND_US)

struct entry {
    struct meter of; /* id and kind; id of an account 1 more, so that 0 is a free place */
    int64_t began;   /* an account's span; when a key's day began, 0: it has not */
    int64_t written; /* of that time, in the database */
    int64_t writing; /* on its way there */
    int64_t unwritten, promised;
    int64_t touched_ns;
};

struct meters {
    struct db *db;
    uint64_t secret; /* nobody can choose accounts that fall into one bucket */
    pthread_mutex_t locks[LOCKS];
    struct entry entries[BUCKETS][WAYS];
    uint32_t gone[BUCKETS]; /* how many have made room: what was read before such a one went may be old */
    atomic_int_fast64_t unwritten, flushed_ns;
};

struct meters *meters_new(struct db *db)
{
    struct meters *meters = calloc(1, sizeof *meters);
    if (!meters)
        abort();
    meters->db = db;
    meters->flushed_ns = rate_now_ns();
    random_bytes(&meters->secret, sizeof meters->secret);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&meters->locks[i], NULL);
    return meters;
}

void meters_free(struct meters *meters)
{
    if (!meters)
        return;
    meters_flush(meters, true, NULL);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&meters->locks[i]);
    free(meters);
}

/* Places. */

static int64_t id_in_place(const struct meter *of)
{
    return of->id + (of->kind == METER_ACCOUNT);
}

static size_t bucket_of(const struct meters *meters, const struct meter *of)
{
    uint64_t mixed = ((uint64_t)id_in_place(of) * 2 + (of->kind == METER_KEY)) ^ meters->secret;
    mixed = (mixed ^ mixed >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)((mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 52) % BUCKETS;
}

static struct entry *find(struct meters *meters, size_t bucket, const struct meter *of)
{
    for (struct entry *e = meters->entries[bucket]; e < meters->entries[bucket] + WAYS; e++)
        if (e->of.id == id_in_place(of) && e->of.kind == of->kind)
            return e;
    return NULL;
}

/* A free place, or that of whoever has nothing to be written and was here the longest ago. NULL: there is none. */
static struct entry *make_room(struct meters *meters, size_t bucket)
{
    struct entry *place = NULL;
    for (struct entry *e = meters->entries[bucket]; e < meters->entries[bucket] + WAYS; e++)
        if (!e->unwritten && !e->writing && !e->promised && (!place || e->touched_ns < place->touched_ns))
            place = e;
    if (place && place->of.id)
        meters->gone[bucket]++;
    return place;
}

/* Time. */

static bool is_current(const struct entry *e, const struct meter *of, int64_t now)
{
    if (of->kind == METER_ACCOUNT)
        return e->of.per_s == of->per_s && e->began == quota_span(of->per_s, now);
    return !e->began || now < e->began + KEY_DAY_US;
}

/* What was promised before and is still on its way counts for the new time. */
static void begin(struct entry *e, const struct meter *of, int64_t began, int64_t written)
{
    e->of = (struct meter){of->kind, id_in_place(of), of->per_s};
    e->began = of->kind == METER_KEY && !began && e->promised ? now_us() : began;
    e->written = written;
    e->writing = 0; /* of the time before */
}

/* The database. */

static const char day_sql[] = "SELECT began_us, bytes FROM quota_key_day WHERE key_id = ?";

static enum status load(struct meters *meters, struct db_conn *conn, const struct meter *of, int64_t now,
                        int64_t *began, int64_t *bytes, struct error *err)
{
    auto_conn struct db_conn *own = NULL;
    auto_stmt struct stmt *row = NULL;
    struct quota_use use;
    if (!conn)
        TRY(db_reader(meters->db, &own, err));
    conn = conn ? conn : own;
    if (of->kind == METER_ACCOUNT) {
        *began = quota_span(of->per_s, now);
        TRY(quota_used(conn, of->id, UNIT_EGRESS, *began, &use, err));
        *bytes = use.used;
        return OK;
    }
    TRY(db_prepare(conn, day_sql, &row, err));
    stmt_bind_int(row, 1, of->id);
    bool found = stmt_next(row) && now < stmt_int(row, 0) + KEY_DAY_US;
    *began = found ? stmt_int(row, 0) : 0;
    *bytes = found ? stmt_int(row, 1) : 0;
    return stmt_end(row, err);
}

/* The entry as it is now, with its bucket locked: after OK the caller unlocks. */
static enum status lock_entry(struct meters *meters, struct db_conn *conn, const struct meter *of, struct entry **out,
                              pthread_mutex_t **lock, struct error *err)
{
    size_t bucket = bucket_of(meters, of);
    int64_t now = now_us(), began = 0, written = 0;
    uint32_t gone = 0;
    bool loaded = false;
    *lock = &meters->locks[bucket % LOCKS];
    for (;;) {
        pthread_mutex_lock(*lock);
        struct entry *e = find(meters, bucket, of);
        bool fresh = loaded && gone == meters->gone[bucket];
        if (e && is_current(e, of, now))
            break;
        if (fresh && !e)
            e = make_room(meters, bucket);
        bool must_flush = e ? e->unwritten != 0 : fresh; /* of the time before; or all that could make room waits */
        if (fresh && e && !must_flush) {
            begin(e, of, began, written);
            break;
        }
        gone = meters->gone[bucket];
        pthread_mutex_unlock(*lock);
        if (must_flush)
            TRY(meters_flush(meters, true, err));
        TRY(load(meters, conn, of, now, &began, &written, err));
        loaded = true;
    }
    *out = find(meters, bucket, of);
    (*out)->touched_ns = rate_now_ns();
    return OK;
}

/* Counting. */

static struct metered metered_of(const struct entry *e)
{
    int64_t again = e->of.kind == METER_ACCOUNT ? (e->began + 1) * e->of.per_s * SECOND_US
                    : e->began                  ? e->began + KEY_DAY_US
                                                : 0;
    return (struct metered){e->written + e->writing + e->unwritten + e->promised, again};
}

enum status meter_read(struct meters *meters, struct db_conn *conn, const struct meter *of, struct metered *out,
                       struct error *err)
{
    struct entry *e;
    pthread_mutex_t *lock;
    TRY(lock_entry(meters, conn, of, &e, &lock, err));
    *out = metered_of(e);
    pthread_mutex_unlock(lock);
    return OK;
}

static void begin_day(struct entry *e)
{
    if (e->of.kind == METER_KEY && !e->began)
        e->began = now_us();
}

enum status meter_promise(struct meters *meters, struct db_conn *conn, const struct meter *of, int64_t bytes,
                          int64_t most, bool *fits, struct metered *out, struct error *err)
{
    struct entry *e;
    pthread_mutex_t *lock;
    assert(bytes >= 0);
    TRY(lock_entry(meters, conn, of, &e, &lock, err));
    *out = metered_of(e);
    *fits = bytes <= most && out->bytes <= most - bytes;
    if (*fits && bytes) {
        begin_day(e);
        e->promised += bytes;
    }
    pthread_mutex_unlock(lock);
    return OK;
}

void meter_settle(struct meters *meters, const struct meter *of, int64_t promised, int64_t sent)
{
    size_t bucket = bucket_of(meters, of);
    struct entry *e;
    pthread_mutex_t *lock;
    if (!promised && !sent)
        return;
    /* Without a database nothing is known of before; whoever was promised something is there all the same. */
    if (lock_entry(meters, NULL, of, &e, &lock, NULL) != OK) {
        lock = &meters->locks[bucket % LOCKS];
        pthread_mutex_lock(lock);
        e = find(meters, bucket, of);
    }
    if (e) {
        e->promised -= promised;
        e->unwritten += sent;
        if (sent)
            begin_day(e);
        atomic_fetch_add(&meters->unwritten, sent);
    }
    pthread_mutex_unlock(lock);
}

/* Writing down. */

struct line {
    struct meter of;
    int64_t began, bytes;
};
struct flush {
    struct line *lines;
    size_t count, room;
};

static void take(struct meters *meters, struct flush *flush)
{
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        pthread_mutex_lock(&meters->locks[bucket % LOCKS]);
        for (struct entry *e = meters->entries[bucket]; e < meters->entries[bucket] + WAYS; e++) {
            if (!e->unwritten)
                continue;
            if (flush->count == flush->room) {
                flush->room = flush->room ? flush->room * 2 : 64;
                flush->lines = realloc(flush->lines, flush->room * sizeof *flush->lines);
                if (!flush->lines)
                    abort();
            }
            struct line *line = &flush->lines[flush->count++];
            *line = (struct line){e->of, e->began, e->unwritten};
            line->of.id -= e->of.kind == METER_ACCOUNT;
            atomic_fetch_sub(&meters->unwritten, e->unwritten);
            e->writing += e->unwritten;
            e->unwritten = 0;
        }
        pthread_mutex_unlock(&meters->locks[bucket % LOCKS]);
    }
}

/* What was written belongs to the entry as long as its time is the same. */
static void settle_flush(struct meters *meters, const struct flush *flush, bool written)
{
    for (const struct line *line = flush->lines; line < flush->lines + flush->count; line++) {
        size_t bucket = bucket_of(meters, &line->of);
        pthread_mutex_lock(&meters->locks[bucket % LOCKS]);
        struct entry *e = find(meters, bucket, &line->of);
        bool same = e && e->began == line->began && e->of.per_s == line->of.per_s && e->writing >= line->bytes;
        if (same)
            e->writing -= line->bytes;
        if (same && written)
            e->written += line->bytes;
        if (e && !written) {
            e->unwritten += line->bytes;
            atomic_fetch_add(&meters->unwritten, line->bytes);
        }
        pthread_mutex_unlock(&meters->locks[bucket % LOCKS]);
    }
}

static const char put_day_sql[] =
    "INSERT INTO quota_key_day (key_id, began_us, bytes) VALUES (?, ?, ?) ON CONFLICT (key_id) DO UPDATE SET "
    "bytes = excluded.bytes + CASE WHEN quota_key_day.began_us = excluded.began_us THEN quota_key_day.bytes ELSE 0 END,"
    " began_us = excluded.began_us";

static enum status write_line(struct db_conn *tx, const struct line *line, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    if (line->of.kind == METER_ACCOUNT)
        return quota_add(tx, line->of.id, UNIT_EGRESS, line->began, line->bytes, err);
    TRY(db_prepare(tx, put_day_sql, &put, err));
    stmt_bind_int(put, 1, line->of.id);
    stmt_bind_int(put, 2, line->began);
    stmt_bind_int(put, 3, line->bytes);
    return stmt_run(put, err);
}

static enum status write_flush(struct db_conn *tx, void *context, struct error *err)
{
    const struct flush *flush = context;
    for (size_t i = 0; i < flush->count; i++)
        TRY(write_line(tx, &flush->lines[i], err));
    return OK;
}

enum status meters_flush(struct meters *meters, bool now, struct error *err)
{
    struct flush flush = {0};
    int64_t at = rate_now_ns(), unwritten = atomic_load(&meters->unwritten);
    if (!now && unwritten < FLUSH_BYTES && at - atomic_load(&meters->flushed_ns) < FLUSH_NS)
        return OK;
    atomic_store(&meters->flushed_ns, at);
    if (!unwritten)
        return OK;
    take(meters, &flush);
    enum status status = flush.count ? db_write(meters->db, write_flush, &flush, err) : OK;
    settle_flush(meters, &flush, status == OK);
    free(flush.lines);
    return status;
}

enum status meters_forget(struct db_conn *tx, void *ignored, struct error *err)
{
    auto_stmt struct stmt *forget = NULL;
    (void)ignored;
    TRY(db_prepare(tx, "DELETE FROM quota_key_day WHERE began_us <= ?", &forget, err));
    stmt_bind_int(forget, 1, now_us() - KEY_DAY_US);
    return stmt_run(forget, err);
}
