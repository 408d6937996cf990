/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "use/internal.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Reads are gathered in memory and written once a second, all in one: a write each would cost a download its own fsync.
 * When the hub is killed, the reads of the last second are not known; whatever ends well is flushed (docs/access.md).
 */
#define WAITING_MOST 16384 /* what is over it is counted and said, not kept */
#define KEEP_US (90 * DAY_US)
#define SALT_SIZE 16

struct read {
    int64_t at_us, account_id, key_id, repo_id, grant_id, bytes;
    bool served, has_commit;
    struct oid commit;
    char repo[25], answer[24], path[256];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct read *waiting;
static size_t waiting_count, waiting_room;
static int64_t lost;

static void keep(const struct read *one)
{
    pthread_mutex_lock(&lock);
    if (waiting_count == WAITING_MOST) {
        lost++;
    } else {
        if (waiting_count == waiting_room) {
            waiting_room = waiting_room ? 2 * waiting_room : 64;
            waiting = realloc(waiting, waiting_room * sizeof *waiting);
            if (!waiting)
                abort();
        }
        waiting[waiting_count++] = *one;
    }
    pthread_mutex_unlock(&lock);
}

/* Only what moved bytes, or was refused to somebody who is known: HEAD and 304 say nothing that the file's name does not. */
void read_served(struct request *rq)
{
    const struct http_request *http = rq->http;
    if (!rq->route || rq->route->action != ACT_READ || http->method != HTTP_GET || !rq->access.gate_id ||
        !rq->actor.account.id)
        return;
    bool served = (http->status == 200 || http->status == 206) && http->bytes_sent > 0;
    if (!served && !rq->refusal[0])
        return;
    struct read one = {
        .at_us = now_us(),
        .account_id = rq->actor.account.id,
        .key_id = rq->actor.key_id,
        .repo_id = rq->repo.id,
        .grant_id = rq->access.grant_id,
        .bytes = served ? http->bytes_sent : 0,
        .served = served,
        .has_commit = rq->has_commit,
        .commit = rq->commit,
    };
    snprintf(one.repo, sizeof one.repo, "%.*s", STR_ARG(rq->repo.public_id));
    snprintf(one.answer, sizeof one.answer, "%s", served ? "served" : rq->refusal);
    snprintf(one.path, sizeof one.path, "%.*s", STR_ARG(str_slice(http->path, 0, sizeof one.path - 1)));
    keep(&one);
}

/* Records. */

struct str record_person(struct arena *arena, struct str salt, int64_t account_id)
{
    uint8_t digest[SHA256_SIZE];
    sha256(arena_printf(arena, "%.*s%lld", STR_ARG(hex_encode(arena, salt.data, salt.len)), (long long)account_id),
           digest);
    return hex_encode(arena, digest, sizeof digest);
}

struct person {
    int64_t account_id;
    uint8_t salt[SALT_SIZE];
    struct str commitment;
};

struct batch {
    const struct read *reads;
    size_t count;
    struct person *persons;
    size_t person_count;
    struct buf records;
    struct tlog_frontier tree;
    struct batch_made made;
    struct arena arena;
};

static const struct person *person_of(struct batch *b, int64_t account_id)
{
    for (size_t i = b->person_count; i > 0; i--)
        if (b->persons[i - 1].account_id == account_id)
            return &b->persons[i - 1];
    struct person *one = &b->persons[b->person_count++];
    one->account_id = account_id;
    random_bytes(one->salt, sizeof one->salt);
    one->commitment = record_person(&b->arena, (struct str){(const char *)one->salt, SALT_SIZE}, account_id);
    return one;
}

/* The number of a key leads to its account, so it is hidden like the person. */
static struct str key_mark(struct batch *b, const struct person *person, int64_t key_id)
{
    uint8_t digest[SHA256_SIZE];
    struct str salt = hex_encode(&b->arena, person->salt, SALT_SIZE);
    sha256(arena_printf(&b->arena, "%.*skey%lld", STR_ARG(salt), (long long)key_id), digest);
    return hex_encode(&b->arena, digest, sizeof digest);
}

static void add_record(struct batch *b, const struct read *read)
{
    size_t start = b->records.len;
    const struct person *person = person_of(b, read->account_id);
    struct json_writer w = jw_to(&b->records);
    jw_object(&w);
    jw_key_int(&w, "at", read->at_us);
    jw_key_str(&w, "person", person->commitment);
    jw_key_str(&w, "key", key_mark(b, person, read->key_id));
    jw_key_str(&w, "repo", str_of(read->repo));
    if (read->has_commit)
        jw_key_hex(&w, "commit", read->commit.bytes, SHA1_SIZE);
    jw_key_str(&w, "path", str_of(read->path));
    jw_key_str(&w, "answer", str_of(read->answer));
    jw_key_int(&w, "bytes", read->bytes);
    jw_end(&w);
    struct tlog_hash leaf = tlog_leaf_hash((struct str){b->records.data + start, b->records.len - start});
    tlog_append(&b->tree, &leaf, NULL);
    buf_byte(&b->records, '\n');
    b->made.denied += !read->served;
}

static void make_batch(struct batch *b)
{
    b->persons = arena_array(&b->arena, b->count, sizeof *b->persons);
    for (size_t i = 0; i < b->count; i++)
        add_record(b, &b->reads[i]);
    b->made.count = (int64_t)b->count;
    b->made.first_s = b->reads[0].at_us / SECOND_US;
    b->made.last_s = b->reads[b->count - 1].at_us / SECOND_US;
    struct tlog_hash root = tlog_root(&b->tree);
    memcpy(b->made.root, root.bytes, SHA256_SIZE);
}

/* Writing. */

static const char batch_sql[] =
    "INSERT INTO read_batch (event_id, first_us, last_us, count, root, records) VALUES (?, ?, ?, ?, ?, ?)";
static const char person_sql[] = "INSERT INTO read_person (account_id, batch_id, salt) VALUES (?, ?, ?)";
/* A repo that was deleted meanwhile has no days any more; its records stay. */
static const char day_sql[] =
    "INSERT INTO read_day (repo_id, account_id, commit_id, day, grant_id, reads, bytes, first_us, last_us) "
    "SELECT id, ?, ?, ?, ?, 1, ?, ?, ? FROM repo WHERE id = ? "
    "ON CONFLICT (repo_id, account_id, commit_id, day) DO UPDATE SET reads = reads + 1, bytes = bytes + "
    "excluded.bytes, "
    "grant_id = excluded.grant_id, last_us = excluded.last_us";

static enum status write_day(struct db_conn *tx, const struct read *read, struct error *err)
{
    auto_stmt struct stmt *day = NULL;
    if (!read->served)
        return OK;
    TRY(db_prepare(tx, day_sql, &day, err));
    stmt_bind_int(day, 1, read->account_id);
    stmt_bind_blob(day, 2, read->commit.bytes, read->has_commit ? SHA1_SIZE : 0);
    stmt_bind_int(day, 3, read->at_us / DAY_US);
    stmt_bind_int(day, 4, read->grant_id);
    stmt_bind_int(day, 5, read->bytes);
    stmt_bind_int(day, 6, read->at_us);
    stmt_bind_int(day, 7, read->at_us);
    stmt_bind_int(day, 8, read->repo_id);
    return stmt_run(day, err);
}

static enum status write_person(struct db_conn *tx, int64_t batch_id, const struct person *person, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, person_sql, &insert, err));
    stmt_bind_int(insert, 1, person->account_id);
    stmt_bind_int(insert, 2, batch_id);
    stmt_bind_blob(insert, 3, person->salt, SALT_SIZE);
    return stmt_run(insert, err);
}

static enum status write_batch(struct db_conn *tx, void *context, struct error *err)
{
    struct batch *b = context;
    auto_stmt struct stmt *insert = NULL;
    TRY(access_log_batch(tx, &b->made, err));
    TRY(db_prepare(tx, batch_sql, &insert, err));
    stmt_bind_int(insert, 1, b->made.event_id);
    stmt_bind_int(insert, 2, b->reads[0].at_us);
    stmt_bind_int(insert, 3, b->reads[b->count - 1].at_us);
    stmt_bind_int(insert, 4, b->made.count);
    stmt_bind_blob(insert, 5, b->made.root, SHA256_SIZE);
    stmt_bind_str(insert, 6, buf_view(&b->records));
    TRY(stmt_run(insert, err));
    int64_t id = db_last_id(tx);
    for (size_t i = 0; i < b->person_count; i++)
        TRY(write_person(tx, id, &b->persons[i], err));
    for (size_t i = 0; i < b->count; i++)
        TRY(write_day(tx, &b->reads[i], err));
    return OK;
}

/* Those that could not be written wait on, behind those that came meanwhile. */
static void put_back(const struct read *reads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        keep(&reads[i]);
}

enum status reads_flush(struct hub *hub, struct error *err)
{
    pthread_mutex_lock(&lock);
    struct batch b = {.reads = waiting, .count = waiting_count};
    struct read *taken = waiting;
    int64_t gone = lost;
    waiting = NULL;
    waiting_count = waiting_room = 0;
    lost = 0;
    pthread_mutex_unlock(&lock);
    if (gone)
        log_line("error", "reads", "%lld reads of gated repos came faster than they can be written down, and are not",
                 (long long)gone);
    enum status status = OK;
    if (b.count) {
        make_batch(&b);
        status = db_write(hub->db, write_batch, &b, err);
        if (status != OK)
            put_back(taken, b.count);
    }
    free(taken);
    buf_free(&b.records);
    arena_free(&b.arena);
    return status;
}

/* Forgetting. */

static const char old_persons_sql[] =
    "DELETE FROM read_person WHERE batch_id IN (SELECT id FROM read_batch WHERE records <> '' AND last_us < ?)";
static const char old_records_sql[] = "UPDATE read_batch SET records = '' WHERE records <> '' AND last_us < ?";

static enum status write_forgotten(struct db_conn *tx, void *context, struct error *err)
{
    auto_stmt struct stmt *persons = NULL, *records = NULL;
    (void)context;
    TRY(db_prepare(tx, old_persons_sql, &persons, err));
    stmt_bind_int(persons, 1, now_us() - KEEP_US);
    TRY(stmt_run(persons, err));
    TRY(db_prepare(tx, old_records_sql, &records, err));
    stmt_bind_int(records, 1, now_us() - KEEP_US);
    return stmt_run(records, err);
}

enum status reads_forget(struct hub *hub, struct error *err)
{
    return db_write(hub->db, write_forgotten, NULL, err);
}
