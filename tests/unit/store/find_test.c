/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xorbs and chunks that are asked for by their hash. */
#include "base/time.h"
#include "xorb_fixture.h"

#define REPO 10 /* of Alice, and not for everybody */
#define OTHER_REPO 11
#define XORBS 6

/* Xorbs of one chunk each, which is a key; all of the same length. */
#define LENGTH 8
struct series {
    struct chunk_hash hash[XORBS]; /* of the chunk, and so of the xorb */
    int64_t id[XORBS];
};

static struct series send_series(struct house *house, int64_t account)
{
    struct series series;
    size_t count = 0;
    for (uint64_t i = 0; count < XORBS; i++) {
        struct chunk_hash hash = chunk_hash_of(&i, LENGTH);
        if (!chunk_hash_is_key(&hash))
            continue;
        auto_wire struct wire wire = {0};
        wire_add(&wire, SCHEME_NONE, (const char *)&i, LENGTH);
        send_xorb(house, account, &wire);
        series.hash[count] = wire.hash;
        series.id[count++] = stored_xorb(house, &wire.hash).id;
    }
    return series;
}

/* Gives repo an object, named by its number, that is made of so many of these xorbs, in that order. */
struct giving {
    int64_t repo, number, object;
    const int64_t *xorbs;
    size_t count;
};

static void name_object(int64_t number, uint8_t sha256[SHA256_SIZE], struct chunk_hash *hash)
{
    memset(sha256, 0, SHA256_SIZE);
    memcpy(sha256, &number, sizeof(number));
    *hash = chunk_hash_of(&number, sizeof(number));
}

static enum status write_giving(struct db_conn *tx, void *context, struct error *err)
{
    struct giving *giving = context;
    uint8_t sha256[SHA256_SIZE];
    struct chunk_hash hash;
    bool made;
    name_object(giving->number, sha256, &hash);
    TRY(object_insert(tx, sha256, (int64_t)giving->count * LENGTH, &hash, &giving->object, &made, err));
    for (size_t i = 0; made && i < giving->count; i++) {
        struct extent extent = {
            .xorb.id = giving->xorbs[i], .at = (int64_t)i * LENGTH, .length = LENGTH, .end = 1, .stored = LENGTH};
        TRY(extent_insert(tx, giving->object, &extent, err));
    }
    return store_hold(tx, giving->repo, giving->object, err);
}

static int64_t give(struct house *house, int64_t repo, int64_t number, const int64_t *xorbs, size_t count)
{
    struct giving giving = {.repo = repo, .number = number, .xorbs = xorbs, .count = count};
    assert_int_equal(db_write(house->db, write_giving, &giving, &house->err), OK);
    return giving.object;
}

/* Somebody who may read the repos in between. */
struct reader {
    int64_t first, last;
    int asked; /* how often */
};

static bool may_read(void *context, struct db_conn *conn, int64_t repo_id)
{
    struct reader *reader = context;
    /* Who asks the door uses the connection. */
    auto_stmt struct stmt *stmt = NULL;
    assert_int_equal(db_prepare(conn, "SELECT count(*) FROM object_hold WHERE repo_id = ?", &stmt, NULL), OK);
    stmt_bind_int(stmt, 1, repo_id);
    assert_true(stmt_next(stmt));
    reader->asked++;
    return repo_id >= reader->first && repo_id <= reader->last;
}

static struct asker asker_of(int64_t account, int64_t repo, struct reader *reader)
{
    return (struct asker){.account_id = account, .repo_id = repo, .may_read = may_read, .context = reader};
}

static enum status find(struct house *house, int64_t account, int64_t repo, struct reader *reader,
                        const struct chunk_hash *hash)
{
    auto_conn struct db_conn *conn = NULL;
    struct reader nothing = {0};
    struct asker asker = asker_of(account, repo, reader ? reader : &nothing);
    struct usable_xorb found;
    TRY(db_reader(house->db, &conn, &house->err));
    TRY(store_xorb_find(conn, &asker, hash, &found, &house->err));
    assert_true(chunk_hash_eq(&found.xorb.hash, hash));
    assert_int_equal(found.xorb.id, stored_xorb(house, hash).id);
    assert_true(xorb_usable(&found, 0, found.xorb.chunks));
    return OK;
}

/* The ids that are named, and how many; with room for most. */
static enum status find_chunk(struct house *house, int64_t account, int64_t repo, struct reader *reader,
                              const struct chunk_hash *chunk, size_t most, int64_t ids[], size_t *count)
{
    auto_conn struct db_conn *conn = NULL;
    struct reader nothing = {0};
    struct asker asker = asker_of(account, repo, reader ? reader : &nothing);
    struct usable_xorb *xorbs = malloc(most * sizeof(*xorbs)); /* so that going over it is noticed */
    enum status status = db_reader(house->db, &conn, &house->err);
    if (status == OK)
        status = store_chunk_find(conn, &asker, chunk, xorbs, most, count, &house->err);
    for (size_t i = 0; status == OK && i < *count; i++)
        ids[i] = xorbs[i].xorb.id;
    free(xorbs);
    return status;
}

#define assert_named(ids, count, ...)                                                                                  \
    do {                                                                                                               \
        const int64_t expected_[] = {__VA_ARGS__};                                                                     \
        assert_int_equal(count, sizeof(expected_) / sizeof(expected_[0]));                                             \
        assert_memory_equal(ids, expected_, sizeof(expected_));                                                        \
    } while (0)

/* Xorbs. */

static void who_has_sent_a_xorb_finds_it(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    assert_int_equal(find(house, ALICE, 0, NULL, &series.hash[0]), OK);
    assert_int_equal(find(house, BOB, 0, NULL, &series.hash[0]), NOT_FOUND);
    struct chunk_hash never = chunk_hash_of("never sent", 10);
    assert_int_equal(find(house, ALICE, 0, NULL, &never), NOT_FOUND);
}

static void what_may_not_be_used_looks_like_what_does_not_exist(void **state)
{
    struct house *house = *state;
    struct house elsewhere = *house;
    struct error missing;
    struct chunk_hash chunk = {0};
    /* The hash of the first of a series is the same in every house: ask for it before it is there. */
    for (uint64_t i = 0; i == 0 || !chunk_hash_is_key(&chunk); i++)
        chunk = chunk_hash_of(&i, LENGTH);
    int64_t ids[16];
    size_t count;
    assert_int_equal(find(house, BOB, REPO, NULL, &chunk), NOT_FOUND);
    missing = house->err;
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &chunk, 16, ids, &count), NOT_FOUND);
    elsewhere.err = house->err;
    struct series series = send_series(house, ALICE);
    assert_true(chunk_hash_eq(&series.hash[0], &chunk));
    give(house, OTHER_REPO, 1, series.id, XORBS);
    assert_int_equal(find(house, BOB, REPO, NULL, &chunk), NOT_FOUND);
    assert_string_equal(house->err.message, missing.message);
    assert_string_equal(house->err.code, missing.code);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &chunk, 16, ids, &count), NOT_FOUND);
    assert_string_equal(house->err.message, elsewhere.err.message);
    assert_string_equal(house->err.code, elsewhere.err.code);
}

static void nobody_has_sent_anything(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    run_sql(house, "INSERT INTO xorb_sender (xorb_id, account_id) SELECT id, 0 FROM xorb");
    assert_int_equal(find(house, 0, 0, NULL, &series.hash[0]), NOT_FOUND);
}

static void a_xorb_is_found_through_the_repo_that_holds_it(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {0};
    give(house, REPO, 1, series.id, 2);
    assert_int_equal(find(house, BOB, REPO, &reader, &series.hash[1]), OK);
    assert_int_equal(find(house, 0, REPO, &reader, &series.hash[1]), OK);
    assert_int_equal(reader.asked, 0); /* it is known to be readable */
    assert_int_equal(find(house, BOB, OTHER_REPO, &reader, &series.hash[1]), NOT_FOUND);
    assert_int_equal(find(house, BOB, REPO, &reader, &series.hash[2]), NOT_FOUND);
}

static void a_xorb_is_found_through_another_repo_that_may_be_read(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {.first = REPO, .last = REPO}, stranger = {0};
    give(house, OTHER_REPO, 1, series.id, 1);
    give(house, REPO, 2, series.id, 2);
    assert_int_equal(find(house, BOB, 0, &reader, &series.hash[0]), OK);
    assert_int_equal(find(house, BOB, 0, &stranger, &series.hash[0]), NOT_FOUND);
}

static void a_repo_that_was_deleted_opens_nothing(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {.first = REPO, .last = OTHER_REPO};
    give(house, REPO, 1, series.id, 1);
    assert_int_equal(find(house, BOB, 0, &reader, &series.hash[0]), OK);
    release(house, REPO);
    assert_int_equal(find(house, BOB, 0, &reader, &series.hash[0]), NOT_FOUND);
    assert_int_equal(find(house, BOB, REPO, &reader, &series.hash[0]), NOT_FOUND);
}

static void no_more_than_64_repos_are_asked_about(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader last = {.first = 163, .last = 163}, beyond = {.first = 164, .last = 164};
    for (int64_t repo = 100; repo < 165; repo++)
        give(house, repo, 1, series.id, 1);
    assert_int_equal(find(house, BOB, 0, &last, &series.hash[0]), OK);
    assert_int_equal(find(house, BOB, 0, &beyond, &series.hash[0]), NOT_FOUND);
    assert_int_equal(beyond.asked, 64);
    assert_int_equal(find(house, BOB, 164, &beyond, &series.hash[0]), OK);
}

static void a_repo_is_asked_about_once(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {0};
    for (int64_t number = 1; number < 100; number++)
        give(house, OTHER_REPO, number, series.id, 1);
    assert_int_equal(find(house, BOB, 0, &reader, &series.hash[0]), NOT_FOUND);
    assert_int_equal(reader.asked, 1);
}

static void a_xorb_from_before_the_store_knew_chunks_is_never_found(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    int64_t ids[16];
    size_t count;
    give(house, REPO, 1, series.id, 3);
    run_sql(house, "UPDATE xorb SET hash = NULL, chunks = 0 WHERE id = (SELECT min(id) + 1 FROM xorb)");
    struct chunk_hash zero = {0};
    assert_int_equal(find(house, ALICE, REPO, NULL, &zero), NOT_FOUND);
    assert_int_equal(find(house, ALICE, REPO, NULL, &series.hash[1]), NOT_FOUND);
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &series.hash[1], 16, ids, &count), NOT_FOUND);
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &series.hash[0], 16, ids, &count), OK);
    assert_named(ids, count, series.id[0], series.id[2]);
}

/* Parts of xorbs. */

#define MANY 200 /* chunks of a xorb, of 8 bytes each */

static struct chunk_hash send_many(struct house *house, int64_t account)
{
    auto_content struct content content = content_of(5, MANY * LENGTH);
    auto_wire struct wire wire = wire_of(&content, LENGTH, SCHEME_NONE);
    send_xorb(house, account, &wire);
    return wire.hash;
}

struct part {
    int64_t repo, object;
    uint32_t start, end;
    struct xorb xorb;
};

static enum status write_part(struct db_conn *tx, void *context, struct error *err)
{
    const struct part *part = context;
    uint8_t sha256[SHA256_SIZE];
    struct chunk_hash hash;
    int64_t id, length = (part->end - part->start) * LENGTH;
    bool made;
    name_object(part->object, sha256, &hash);
    TRY(object_insert(tx, sha256, length, &hash, &id, &made, err));
    struct extent extent = {.xorb = part->xorb,
                            .length = length,
                            .start = part->start,
                            .end = part->end,
                            .stored_at = part->start * LENGTH,
                            .stored = length};
    TRY(extent_insert(tx, id, &extent, err));
    return store_hold(tx, part->repo, id, err);
}

/* Repo has a file, named by its number, that is made of the chunks [start, end). */
static void give_part(struct house *house, int64_t repo, int64_t object, const struct chunk_hash *hash, uint32_t start,
                      uint32_t end)
{
    struct part part = {repo, object, start, end, stored_xorb(house, hash)};
    assert_int_equal(db_write(house->db, write_part, &part, &house->err), OK);
}

/* What Bob, who may read the repos of reader, may use of the xorb. */
static struct usable_xorb usable_to_bob(struct house *house, int64_t repo, struct reader *reader,
                                        const struct chunk_hash *hash)
{
    auto_conn struct db_conn *conn = NULL;
    struct asker asker = asker_of(BOB, repo, reader);
    struct usable_xorb found;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xorb_find(conn, &asker, hash, &found, &house->err), OK);
    return found;
}

static void only_the_chunks_of_readable_files_may_be_used(void **state)
{
    struct house *house = *state;
    struct reader reader = {.first = REPO, .last = REPO};
    struct chunk_hash hash = send_many(house, ALICE);
    give_part(house, OTHER_REPO, 1, &hash, 0, MANY);
    give_part(house, REPO, 2, &hash, 3, 70);
    give_part(house, REPO, 3, &hash, 70, 129);
    give_part(house, REPO, 4, &hash, 191, 192);
    struct usable_xorb found = usable_to_bob(house, 0, &reader, &hash);
    for (uint32_t start = 0; start < MANY; start++)
        for (uint32_t end = start + 1; end <= MANY; end++)
            assert_int_equal(xorb_usable(&found, start, end),
                             (start >= 3 && end <= 129) || (start == 191 && end == 192));
}

static void chunks_of_the_repo_asked_through_and_of_others_add_up(void **state)
{
    struct house *house = *state;
    struct reader reader = {.first = OTHER_REPO, .last = OTHER_REPO}, stranger = {0};
    struct chunk_hash hash = send_many(house, ALICE);
    give_part(house, REPO, 1, &hash, 0, 64);
    give_part(house, OTHER_REPO, 2, &hash, 64, MANY);
    struct usable_xorb all = usable_to_bob(house, REPO, &reader, &hash);
    struct usable_xorb some = usable_to_bob(house, REPO, &stranger, &hash);
    assert_true(xorb_usable(&all, 0, MANY));
    assert_true(xorb_usable(&some, 0, 64));
    assert_false(xorb_usable(&some, 63, 65) || xorb_usable(&some, 64, 65) || xorb_usable(&some, 0, MANY));
}

static void what_is_behind_the_end_of_a_xorb_does_not_count(void **state)
{
    struct house *house = *state;
    struct reader nothing = {0};
    struct chunk_hash hash = send_many(house, BOB);
    struct usable_xorb found = usable_to_bob(house, 0, &nothing, &hash);
    assert_true(xorb_usable(&found, 0, MANY + 1));
    assert_true(xorb_usable(&found, 0, UINT32_MAX));
    assert_true(xorb_usable(&found, UINT32_MAX - 1, UINT32_MAX));
    assert_true(xorb_usable(&found, 5, 5) && xorb_usable(&found, 5, 3));
}

static void an_extent_that_cannot_be_opens_nothing(void **state)
{
    struct house *house = *state;
    struct chunk_hash hash = send_many(house, ALICE);
    give_part(house, REPO, 1, &hash, 0, 5);
    static const char *const damage[] = {"chunk_start = -1", "chunk_end = 9000", "chunk_start = 5",
                                         "chunk_start = -9223372036854775807, chunk_end = 9223372036854775807"};
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        char sql[160];
        run_sql(house, "UPDATE extent SET chunk_start = 0, chunk_end = 5");
        assert_int_equal(usable_to_bob(house, REPO, &(struct reader){0}, &hash).usable[0], 31);
        snprintf(sql, sizeof(sql), "UPDATE extent SET %s", damage[i]);
        run_sql(house, sql);
        assert_int_equal(find(house, BOB, REPO, NULL, &hash), NOT_FOUND);
    }
}

/* Chunks. */

static void who_has_sent_a_chunk_is_told_its_xorb(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    int64_t ids[16];
    size_t count;
    give(house, OTHER_REPO, 1, series.id, XORBS);
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &series.hash[2], 16, ids, &count), OK);
    assert_named(ids, count, series.id[2]); /* what stands around it in a repo that she may not read is not hers */
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[2], 16, ids, &count), NOT_FOUND);
}

static void who_may_read_a_file_is_told_the_xorbs_around_a_chunk(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {.first = OTHER_REPO, .last = OTHER_REPO}, stranger = {0};
    const int64_t *x = series.id;
    int64_t ids[16];
    size_t count;
    give(house, OTHER_REPO, 1, series.id, XORBS);
    assert_int_equal(find_chunk(house, BOB, OTHER_REPO, NULL, &series.hash[2], 16, ids, &count), OK);
    assert_named(ids, count, x[2], x[1], x[0], x[3], x[4], x[5]);
    assert_int_equal(find_chunk(house, BOB, REPO, &reader, &series.hash[2], 16, ids, &count), OK);
    assert_named(ids, count, x[2], x[1], x[0], x[3], x[4], x[5]);
    assert_int_equal(find_chunk(house, BOB, REPO, &stranger, &series.hash[2], 16, ids, &count), NOT_FOUND);
}

static void what_follows_a_chunk_has_more_room_than_what_is_before_it(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    const int64_t *x = series.id;
    int64_t ids[5];
    size_t count;
    give(house, REPO, 1, series.id, XORBS);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[2], 1, ids, &count), OK);
    assert_named(ids, count, x[2]);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[2], 3, ids, &count), OK);
    assert_named(ids, count, x[2], x[3], x[4]);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[2], 5, ids, &count), OK);
    assert_named(ids, count, x[2], x[1], x[3], x[4], x[5]);
    /* Where nothing follows, the room is for what is before it. */
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[5], 4, ids, &count), OK);
    assert_named(ids, count, x[5], x[4], x[3], x[2]);
}

static void a_xorb_that_stands_in_a_file_twice_is_named_once(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    const int64_t *x = series.id;
    int64_t ids[16];
    size_t count;
    give(house, REPO, 1, (int64_t[]){x[0], x[1], x[0], x[1], x[2], x[1]}, 6);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[0], 16, ids, &count), OK);
    assert_named(ids, count, x[0], x[1], x[2]);
}

/* Adds the key of the first of the series to all others, as if these had the chunk too. */
static void share_first_chunk(struct house *house, const struct series *series)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "INSERT INTO dedup_key SELECT k.chunk, x.id FROM dedup_key k, xorb x WHERE k.xorb_id = %lld"
             " AND x.id <> k.xorb_id",
             (long long)series->id[0]);
    run_sql(house, sql);
}

static void of_several_xorbs_with_a_chunk_those_are_named_that_may_be_used(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    const int64_t *x = series.id;
    int64_t ids[16];
    size_t count;
    share_first_chunk(house, &series);
    give(house, REPO, 1, (int64_t[]){x[1]}, 1);
    give(house, REPO, 2, (int64_t[]){x[3], x[2]}, 2);
    give(house, OTHER_REPO, 3, (int64_t[]){x[4], x[5], x[0]}, 3);
    assert_int_equal(find_chunk(house, BOB, REPO, NULL, &series.hash[0], 16, ids, &count), OK);
    assert_named(ids, count, x[3], x[2], x[1]); /* the newest first, with its neighbours */
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &series.hash[0], 16, ids, &count), OK);
    assert_named(ids, count, x[5], x[4], x[3], x[2], x[1], x[0]);
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &series.hash[0], 2, ids, &count), OK);
    assert_named(ids, count, x[5], x[4]);
}

static void a_chunk_that_is_no_key_is_not_found(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(1, 10000);
    auto_wire struct wire wire = wire_of(&content, 5000, SCHEME_NONE);
    int64_t ids[16];
    size_t count;
    send_xorb(house, ALICE, &wire);
    assert_false(chunk_hash_is_key(&wire.first));
    assert_int_equal(find_chunk(house, ALICE, REPO, NULL, &wire.first, 16, ids, &count), NOT_FOUND);
}

static void all_that_is_named_for_a_chunk_is_found_by_its_hash(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct reader reader = {.first = 200, .last = 200};
    int64_t ids[16];
    size_t count;
    /* One xorb of the file stands in so many others that the look-up does not get as far as this one. */
    for (int64_t repo = 100; repo < 164; repo++)
        give(house, repo, 1, &series.id[1], 1);
    give(house, 200, 2, series.id, 3);
    assert_int_equal(find(house, BOB, 0, &reader, &series.hash[1]), NOT_FOUND);
    assert_int_equal(find_chunk(house, BOB, 0, &reader, &series.hash[0], 16, ids, &count), OK);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(ids[i], series.id[1]);
    assert_true(count >= 1 && ids[0] == series.id[0]);
}

/* Mentions. */

static int64_t mentioned(struct house *house, int64_t id)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *stmt = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(db_prepare(conn, "SELECT mentioned_us FROM xorb WHERE id = ?", &stmt, &house->err), OK);
    stmt_bind_int(stmt, 1, id);
    assert_true(stmt_next(stmt));
    return stmt_int(stmt, 0);
}

static int64_t writes(struct house *house)
{
    struct db_stats stats;
    db_stats(house->db, &stats);
    return stats.writes;
}

static void what_was_mentioned_long_ago_is_mentioned_again(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    const int64_t *x = series.id;
    int64_t start = now_us(), before = writes(house);
    run_sql(house, "UPDATE xorb SET mentioned_us = 1");
    assert_int_equal(store_mention(house->store, (int64_t[]){x[3], x[0], x[3], 999999, x[0]}, 5, &house->err), OK);
    assert_int_equal(writes(house), before + 2);
    assert_true(mentioned(house, x[0]) >= start && mentioned(house, x[3]) >= start);
    assert_int_equal(mentioned(house, x[1]), 1);
}

static void what_was_mentioned_today_costs_no_write(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    int64_t before = writes(house), fresh = mentioned(house, series.id[0]);
    assert_int_equal(store_mention(house->store, series.id, XORBS, &house->err), OK);
    assert_int_equal(store_mention(house->store, NULL, 0, &house->err), OK);
    assert_int_equal(store_mention(house->store, (int64_t[]){999999}, 1, &house->err), OK);
    assert_int_equal(writes(house), before);
    assert_int_equal(mentioned(house, series.id[0]), fresh);
}

static void a_xorb_that_was_mentioned_survives_the_sweep(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    struct store_freed freed;
    run_sql(house, "UPDATE xorb SET mentioned_us = 1");
    assert_int_equal(store_mention(house->store, &series.id[2], 1, &house->err), OK);
    assert_int_equal(store_sweep(house->store, now_us() + 20 * DAY_US, false, &freed, &house->err), OK);
    assert_int_equal(freed.xorbs, XORBS - 1);
    assert_int_equal(find(house, ALICE, 0, NULL, &series.hash[2]), OK);
    assert_int_equal(find(house, ALICE, 0, NULL, &series.hash[1]), NOT_FOUND);
}

/* Objects by their Xet hash. */

static void an_object_has_its_xet_hash_only_for_the_repos_that_hold_it(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    auto_conn struct db_conn *conn = NULL;
    uint8_t sha256[SHA256_SIZE];
    struct chunk_hash hash, told;
    struct object object;
    bool found;
    int64_t id = give(house, REPO, 1, series.id, 2);
    name_object(1, sha256, &hash);
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xet_hash(conn, REPO, sha256, &found, &told, &house->err), OK);
    assert_true(found && chunk_hash_eq(&told, &hash));
    assert_int_equal(store_lookup_xet(conn, REPO, &hash, &object, &house->err), OK);
    assert_true(object.id == id && object.size == 2 * LENGTH && memcmp(object.sha256, sha256, SHA256_SIZE) == 0);
    assert_int_equal(store_xet_hash(conn, OTHER_REPO, sha256, &found, &told, &house->err), OK);
    assert_false(found);
    assert_int_equal(store_lookup_xet(conn, OTHER_REPO, &hash, &object, &house->err), NOT_FOUND);
}

static void an_object_from_before_the_store_knew_chunks_has_no_xet_hash(void **state)
{
    struct house *house = *state;
    struct series series = send_series(house, ALICE);
    auto_conn struct db_conn *conn = NULL;
    uint8_t sha256[SHA256_SIZE];
    struct chunk_hash hash, told;
    struct object object;
    bool found;
    give(house, REPO, 1, series.id, 1);
    run_sql(house, "UPDATE object SET xet_hash = NULL");
    name_object(1, sha256, &hash);
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xet_hash(conn, REPO, sha256, &found, &told, &house->err), OK);
    assert_false(found);
    assert_int_equal(store_lookup(conn, REPO, sha256, &object, &house->err), OK);
    assert_int_equal(store_lookup_xet(conn, REPO, &hash, &object, &house->err), NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(who_has_sent_a_xorb_finds_it),
        in_a_house(what_may_not_be_used_looks_like_what_does_not_exist),
        in_a_house(nobody_has_sent_anything),
        in_a_house(a_xorb_is_found_through_the_repo_that_holds_it),
        in_a_house(a_xorb_is_found_through_another_repo_that_may_be_read),
        in_a_house(a_repo_that_was_deleted_opens_nothing),
        in_a_house(no_more_than_64_repos_are_asked_about),
        in_a_house(a_repo_is_asked_about_once),
        in_a_house(a_xorb_from_before_the_store_knew_chunks_is_never_found),
        in_a_house(only_the_chunks_of_readable_files_may_be_used),
        in_a_house(chunks_of_the_repo_asked_through_and_of_others_add_up),
        in_a_house(what_is_behind_the_end_of_a_xorb_does_not_count),
        in_a_house(an_extent_that_cannot_be_opens_nothing),
        in_a_house(who_has_sent_a_chunk_is_told_its_xorb),
        in_a_house(who_may_read_a_file_is_told_the_xorbs_around_a_chunk),
        in_a_house(what_follows_a_chunk_has_more_room_than_what_is_before_it),
        in_a_house(a_xorb_that_stands_in_a_file_twice_is_named_once),
        in_a_house(of_several_xorbs_with_a_chunk_those_are_named_that_may_be_used),
        in_a_house(a_chunk_that_is_no_key_is_not_found),
        in_a_house(all_that_is_named_for_a_chunk_is_found_by_its_hash),
        in_a_house(what_was_mentioned_long_ago_is_mentioned_again),
        in_a_house(what_was_mentioned_today_costs_no_write),
        in_a_house(a_xorb_that_was_mentioned_survives_the_sweep),
        in_a_house(an_object_has_its_xet_hash_only_for_the_repos_that_hold_it),
        in_a_house(an_object_from_before_the_store_knew_chunks_has_no_xet_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
