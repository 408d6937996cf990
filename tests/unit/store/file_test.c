/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files made of ranges of xorbs. The xorbs are made by hand here, so that a file needs nothing but rows and a
 * container. */
#include "cas/xorb.h"
#include "store/internal.h"
#include "store_fixture.h"
#include <fcntl.h>
#include <lz4frame.h>
#undef fail /* is the function of base/error.h here */

#define CHUNK 20000
#define PREFIX 100 /* a container may have something in front of a xorb */

struct made {
    struct xorb xorb;
    struct content content;
    struct chunk *rows;
    char path[STORE_PATH_LIMIT];
};

static void made_free(struct made *made)
{
    content_free(&made->content);
    free(made->rows);
}
#define auto_made __attribute__((cleanup(made_free)))

/* Writes the payload of a chunk as the scheme has it. */
static size_t pack(enum scheme scheme, const uint8_t *data, size_t len, uint8_t *out, size_t room)
{
    uint8_t grouped[CHUNK], *to = grouped;
    if (scheme == SCHEME_NONE) {
        memcpy(out, data, len);
        return len;
    }
    for (size_t lane = 0; lane < 4; lane++)
        for (size_t i = lane; i < len; i += 4)
            *to++ = data[i];
    size_t packed = LZ4F_compressFrame(out, room, scheme == SCHEME_LZ4 ? data : grouped, len, NULL);
    assert_false(LZ4F_isError(packed));
    return packed;
}

struct rows_new {
    struct xorb_new xorb;
    const char *name;
    int64_t size, id;
};

static enum status write_rows(struct db_conn *tx, void *context, struct error *err)
{
    struct rows_new *new = context;
    TRY(container_insert(tx, new->name, new->size, &new->xorb.container, err));
    return xorb_insert(tx, &new->xorb, &new->id, err);
}

static void keep_xorb(struct house *house, struct made *made, const struct buf *bytes, const struct xorb_new *xorb)
{
    char name[NAME_SIZE];
    auto_conn struct db_conn *conn = NULL;
    random_name(name);
    house_folder_for(house, name);
    container_path(house->root, name, made->path);
    assert_int_equal(file_write_durable(made->path, buf_view(bytes), 0600, &house->err), OK);
    struct rows_new new = {.xorb = *xorb, .name = name, .size = (int64_t)bytes->len};
    assert_int_equal(db_write(house->db, write_rows, &new, &house->err), OK);
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xorb_get(conn, new.id, &made->xorb, &house->err), OK);
}

/* A xorb of count chunks; schemes are used in turn, as many as stand in the string ("0", "012", …). */
static struct made made_of(struct house *house, uint64_t seed, uint32_t count, const char *schemes)
{
    struct made made = {.content = content_of(seed, (size_t)count * CHUNK)};
    auto_buf struct buf bytes = {0};
    struct merkle merkle = {0};
    uint8_t payload[2 * CHUNK];
    uint32_t stored = 0;
    made.rows = calloc(count, sizeof(*made.rows));
    for (size_t i = 0; strcmp(schemes, "0") != 0 && i < made.content.len; i++)
        made.content.data[i] &= 0x11; /* so that it can be packed */
    sha256((struct str){made.content.data, made.content.len}, made.content.sha256);
    for (int i = 0; i < PREFIX; i++)
        buf_byte(&bytes, 'x');
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *data = (uint8_t *)made.content.data + (size_t)i * CHUNK;
        enum scheme scheme = (enum scheme)(schemes[i % strlen(schemes)] - '0');
        size_t len = pack(scheme, data, CHUNK, payload, sizeof(payload));
        buf_add(&bytes, payload, len);
        stored += (uint32_t)len;
        made.rows[i] = (struct chunk){
            .hash = chunk_hash_of(data, CHUNK), .stored_end = stored, .end = (i + 1) * CHUNK, .scheme = scheme};
        merkle_add(&merkle, &made.rows[i].hash, CHUNK);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t row[CHUNK_ROW];
        chunk_row_write(row, &made.rows[i]);
        buf_add(&bytes, row, sizeof(row));
    }
    keep_xorb(house, &made, &bytes,
              &(struct xorb_new){.hash = merkle_root(&merkle),
                                 .start = PREFIX,
                                 .stored = stored,
                                 .table_at = PREFIX + stored,
                                 .length = count * CHUNK,
                                 .chunks = count});
    return made;
}

struct range {
    const struct made *made;
    uint32_t start, end;
};
#define RANGES(...) (const struct range[]){__VA_ARGS__}, sizeof((struct range[]){__VA_ARGS__}) / sizeof(struct range)

static struct chunk_hash proof_of(const struct range *range)
{
    struct term_proof *proof = term_proof_new();
    for (uint32_t i = range->start; i < range->end; i++)
        term_proof_add(proof, &range->made->rows[i].hash);
    struct chunk_hash hash = term_proof_end(proof);
    term_proof_free(proof);
    return hash;
}

static struct chunk_hash hash_of(const struct range *ranges, size_t count)
{
    struct merkle merkle = {0};
    for (size_t i = 0; i < count; i++)
        for (uint32_t chunk = ranges[i].start; chunk < ranges[i].end; chunk++)
            merkle_add(&merkle, &ranges[i].made->rows[chunk].hash, CHUNK);
    struct chunk_hash root = merkle_root(&merkle);
    return file_hash_of(&root);
}

static struct content content_of_ranges(const struct range *ranges, size_t count)
{
    auto_buf struct buf bytes = {0};
    for (size_t i = 0; i < count; i++)
        buf_add(&bytes, ranges[i].made->content.data + (size_t)ranges[i].start * CHUNK,
                (size_t)(ranges[i].end - ranges[i].start) * CHUNK);
    struct content content = {.data = bytes.data, .len = bytes.len};
    sha256(buf_view(&bytes), content.sha256);
    bytes = (struct buf){0}; /* the content has them now */
    return content;
}

#define auto_draft __attribute__((cleanup(file_draft_free)))

static enum status add(struct house *house, struct file_draft *draft, const struct range *range)
{
    struct chunk_hash proof = proof_of(range);
    return file_draft_add(draft, &range->made->xorb, range->start, range->end, (range->end - range->start) * CHUNK,
                          &proof, &house->err);
}

/* A draft of the ranges, announced with its right hash. */
static struct file_draft *draft_of(struct house *house, const struct range *ranges, size_t count)
{
    struct file_draft *draft = file_draft_new(house->store, hash_of(ranges, count));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(add(house, draft, &ranges[i]), OK);
    return draft;
}

struct progress {
    int calls, stop_at;
    int64_t bytes;
};

static enum status note_progress(void *context, int64_t bytes, struct error *err)
{
    struct progress *progress = context;
    assert_true(bytes > progress->bytes);
    progress->bytes = bytes;
    if (++progress->calls == progress->stop_at)
        return fail(err, TIMED_OUT, NULL, "The peer has left.");
    return OK;
}

static enum status verify(struct house *house, struct file_draft *draft, const uint8_t *sha256)
{
    return file_draft_verify(draft, ALICE, sha256, NULL, NULL, &house->err);
}

static enum status keep(struct house *house, int64_t repo, struct file_draft *draft)
{
    return file_drafts_keep(house->store, repo, &draft, 1, &house->err);
}

/* Drafts, verifies and keeps a file of ranges, and finds it again with its bytes. */
static void assert_file(struct house *house, const struct range *ranges, size_t count)
{
    auto_content struct content content = content_of_ranges(ranges, count);
    auto_draft struct file_draft *draft = draft_of(house, ranges, count);
    assert_int_equal(file_draft_size(draft), content.len);
    assert_int_equal(verify(house, draft, content.sha256), OK);
    assert_int_equal(keep(house, ALICE, draft), OK);
    assert_stored(house, ALICE, &content);
    assert_not_held(house, BOB, &content);
}

static void assert_nothing_kept(struct house *house)
{
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object_hold"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM dedup_key"), 0);
}

static enum status run_sql(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

static void change(struct house *house, const char *sql)
{
    assert_int_equal(db_write(house->db, run_sql, (void *)sql, &house->err), OK);
}

static void a_file_of_one_xorb_is_kept(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    assert_file(house, RANGES({&a, 0, 5}));
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent WHERE packed = 0 AND stored = length AND at = 0"),
                     1);
}

static void a_file_of_ranges_of_several_xorbs_is_kept(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 90, "0"), b = made_of(house, 2, 7, "0");
    assert_file(house, RANGES({&a, 3, 80}, {&b, 6, 7}, {&a, 0, 1}, {&a, 0, 1}, {&b, 0, 7}));
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 5);
    assert_int_equal(count_rows(house, "SELECT stored_at FROM extent WHERE at = 0"), 3 * CHUNK);
    assert_int_equal(count_rows(house, "SELECT sum(chunk_end - chunk_start) FROM extent"), 87);
}

static void adjacent_ranges_stay_as_they_were_sent(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 4, "0");
    assert_file(house, RANGES({&a, 0, 2}, {&a, 2, 4}));
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 2);
}

static void packed_chunks_are_unpacked_for_the_digest(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 600, "1"), b = made_of(house, 2, 10, "2"),
                          c = made_of(house, 3, 9, "001");
    assert_file(house, RANGES({&a, 5, 598}));
    assert_file(house, RANGES({&b, 1, 9}, {&a, 100, 357}, {&c, 0, 9}, {&c, 3, 5}));
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent WHERE packed AND stored < length"), 4);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent WHERE NOT packed AND stored = length"), 1);
}

static void a_chunk_of_the_specification_has_the_hashes_of_it(void **state)
{
    struct house *house = *state;
    struct made hello = {.content = {.data = strdup("Hello World!"), .len = 12},
                         .rows = calloc(1, sizeof(struct chunk))};
    auto_buf struct buf bytes = {0};
    uint8_t row[CHUNK_ROW];
    struct chunk_hash name, proof;
    *hello.rows = (struct chunk){.hash = chunk_hash_of("Hello World!", 12), .stored_end = 12, .end = 12};
    sha256(STR("Hello World!"), hello.content.sha256);
    chunk_row_write(row, hello.rows);
    buf_str(&bytes, STR("Hello World!"));
    buf_add(&bytes, row, sizeof(row));
    keep_xorb(house, &hello, &bytes,
              &(struct xorb_new){.hash = hello.rows->hash, .stored = 12, .table_at = 12, .length = 12, .chunks = 1});
    assert_true(chunk_hash_parse(STR("a9dae0ad88b060bdd7e7c87abdcf95b132c95a0414b06d4f6beb68d287b87165"), &name));
    assert_true(chunk_hash_parse(STR("89cb63458e98cb4c75be6b50a5a7b7234b82f05d5348e6925fb71aaf5dc3862b"), &proof));
    auto_draft struct file_draft *draft = file_draft_new(house->store, name);
    assert_int_equal(file_draft_add(draft, &hello.xorb, 0, 1, 12, &proof, &house->err), OK);
    assert_int_equal(verify(house, draft, hello.content.sha256), OK);
    assert_int_equal(keep(house, ALICE, draft), OK);
    assert_stored(house, ALICE, &hello.content);
    made_free(&hello);
}

static void a_file_is_found_by_its_xet_hash(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    struct chunk_hash hash = hash_of(RANGES({&a, 1, 3})), found;
    auto_conn struct db_conn *conn = NULL;
    auto_content struct content content = content_of_ranges(RANGES({&a, 1, 3}));
    bool is_there;
    assert_file(house, RANGES({&a, 1, 3}));
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xet_hash(conn, ALICE, content.sha256, &is_there, &found, &house->err), OK);
    assert_true(is_there && chunk_hash_eq(&hash, &found));
}

static void the_first_chunk_of_a_file_can_be_asked_for(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0"), b = made_of(house, 2, 5, "0");
    assert_file(house, RANGES({&b, 2, 3}, {&a, 0, 5}));
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *keys = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(db_prepare(conn, "SELECT chunk, xorb_id FROM dedup_key", &keys, &house->err), OK);
    assert_true(stmt_next(keys));
    assert_memory_equal(stmt_str(keys, 0).data, b.rows[2].hash.bytes, CHUNK_HASH_SIZE);
    assert_int_equal(stmt_int(keys, 1), b.xorb.id);
    assert_false(stmt_next(keys));
    assert_int_equal(stmt_end(keys, &house->err), OK);
}

static void a_digest_that_was_not_announced_is_computed(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 70, "12");
    auto_content struct content content = content_of_ranges(RANGES({&a, 1, 70}));
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 1, 70}));
    assert_int_equal(verify(house, draft, NULL), OK);
    assert_int_equal(keep(house, ALICE, draft), OK);
    assert_stored(house, ALICE, &content);
}

static void progress_tells_of_every_byte(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 200, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 200}));
    struct progress progress = {0};
    assert_int_equal(file_draft_verify(draft, ALICE, NULL, note_progress, &progress, &house->err), OK);
    assert_int_equal(progress.bytes, 200 * CHUNK);
    assert_in_range(progress.calls, 200 * CHUNK / MIB, 200); /* once a MiB or oftener, but not oftener than a chunk */
}

static void progress_can_end_the_work(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 200, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 200}));
    struct progress progress = {.stop_at = 2};
    assert_int_equal(file_draft_verify(draft, ALICE, NULL, note_progress, &progress, &house->err), TIMED_OUT);
    assert_int_equal(progress.calls, 2);
    assert_nothing_kept(house);
}

static void an_empty_file_needs_no_xorb(void **state)
{
    struct house *house = *state;
    auto_content struct content nothing = content_of(1, 0);
    auto_draft struct file_draft *draft = file_draft_new(house->store, (struct chunk_hash){0});
    auto_draft struct file_draft *again = file_draft_new(house->store, (struct chunk_hash){0});
    assert_int_equal(verify(house, draft, nothing.sha256), OK);
    assert_int_equal(keep(house, ALICE, draft), OK);
    assert_stored(house, ALICE, &nothing);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object WHERE xet_hash IS NULL AND size = 0"), 1);
    assert_int_equal(verify(house, again, NULL), OK);
    assert_int_equal(keep(house, BOB, again), OK);
    assert_stored(house, BOB, &nothing);
}

static void an_empty_file_with_a_hash_is_refused(void **state)
{
    struct house *house = *state;
    auto_draft struct file_draft *draft = file_draft_new(house->store, chunk_hash_of("", 0));
    assert_int_equal(verify(house, draft, NULL), INVALID);
}

static void a_wrong_proof_is_refused(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = file_draft_new(house->store, hash_of(RANGES({&a, 0, 5})));
    struct chunk_hash proof = proof_of(&(struct range){&a, 0, 5}), other = proof_of(&(struct range){&a, 1, 5});
    for (size_t i = 0; i < CHUNK_HASH_SIZE; i++) {
        proof.bytes[i] ^= 1;
        assert_int_equal(file_draft_add(draft, &a.xorb, 0, 5, 5 * CHUNK, &proof, &house->err), INVALID);
        proof.bytes[i] ^= 1;
    }
    assert_non_null(strstr(house->err.message, "verification hash"));
    assert_int_equal(file_draft_add(draft, &a.xorb, 0, 5, 5 * CHUNK, &other, &house->err), INVALID);
    assert_int_equal(file_draft_size(draft), 0);
    assert_int_equal(file_draft_add(draft, &a.xorb, 0, 5, 5 * CHUNK, &proof, &house->err), OK);
}

static void a_wrong_length_is_refused(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "1");
    auto_draft struct file_draft *draft = file_draft_new(house->store, hash_of(RANGES({&a, 1, 5})));
    struct chunk_hash proof = proof_of(&(struct range){&a, 1, 5});
    static const uint32_t lengths[] = {0, 1, 4 * CHUNK - 1, 4 * CHUNK + 1, 5 * CHUNK, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
        assert_int_equal(file_draft_add(draft, &a.xorb, 1, 5, lengths[i], &proof, &house->err), INVALID);
    assert_non_null(strstr(house->err.message, "80000 bytes, not 4294967295"));
    assert_int_equal(file_draft_add(draft, &a.xorb, 1, 5, 4 * CHUNK, &proof, &house->err), OK);
}

static void ranges_that_cannot_be_are_refused(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = file_draft_new(house->store, hash_of(RANGES({&a, 0, 5})));
    struct chunk_hash proof = proof_of(&(struct range){&a, 0, 5});
    static const uint32_t ranges[][2] = {{0, 0}, {5, 5},          {3, 2},          {0, 6},
                                         {5, 6}, {6, 7},          {0, UINT32_MAX}, {UINT32_MAX, 0},
                                         {4, 0}, {UINT32_MAX, 1}, {0, 0x80000000}, {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
        assert_int_equal(file_draft_add(draft, &a.xorb, ranges[i][0], ranges[i][1], 5 * CHUNK, &proof, &house->err),
                         INVALID);
    assert_int_equal(file_draft_add(draft, &a.xorb, 0, 5, 5 * CHUNK, &proof, &house->err), OK);
}

static void a_xorb_from_before_chunks_has_no_ranges(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = file_draft_new(house->store, hash_of(RANGES({&a, 0, 1})));
    change(house, "UPDATE xorb SET hash = NULL, chunks = 0");
    a.xorb.chunks = 0;
    assert_int_equal(add(house, draft, &(struct range){&a, 0, 1}), INVALID);
}

static void a_wrong_file_hash_is_refused(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_content struct content content = content_of_ranges(RANGES({&a, 0, 4}));
    auto_draft struct file_draft *draft = file_draft_new(house->store, hash_of(RANGES({&a, 0, 5})));
    struct progress progress = {0};
    assert_int_equal(add(house, draft, &(struct range){&a, 0, 4}), OK);
    assert_int_equal(file_draft_verify(draft, ALICE, content.sha256, note_progress, &progress, &house->err), INVALID);
    assert_non_null(strstr(house->err.message, "Xet hash"));
    assert_int_equal(progress.calls, 0);
}

static void a_wrong_sha256_is_refused(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 4}));
    assert_int_equal(verify(house, draft, a.content.sha256), INVALID);
    assert_non_null(strstr(house->err.message, "SHA-256"));
    assert_nothing_kept(house);
}

static void a_xorb_that_went_before_it_was_verified_is_named(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 5})),
                                 *other = draft_of(house, RANGES({&a, 0, 4}));
    change(house, "DELETE FROM xorb; DELETE FROM container");
    assert_int_equal(add(house, other, &(struct range){&a, 4, 5}), UNPROCESSABLE);
    assert_int_equal(verify(house, draft, a.content.sha256), UNPROCESSABLE);
    assert_non_null(strstr(house->err.message, "no longer in the store"));
}

static void a_xorb_that_went_before_the_write_is_missed(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0"), b = made_of(house, 2, 5, "0");
    auto_draft struct file_draft *good = draft_of(house, RANGES({&a, 0, 5})),
                                 *bad = draft_of(house, RANGES({&b, 0, 5}));
    assert_int_equal(verify(house, good, NULL), OK);
    assert_int_equal(verify(house, bad, NULL), OK);
    change(house, "DELETE FROM xorb WHERE id = (SELECT max(id) FROM xorb)");
    struct file_draft *drafts[] = {good, bad};
    assert_int_equal(file_drafts_keep(house->store, ALICE, drafts, 2, &house->err), UNPROCESSABLE);
    assert_nothing_kept(house); /* not even the good one */
    assert_int_equal(file_drafts_keep(house->store, ALICE, drafts, 1, &house->err), OK);
    assert_stored(house, ALICE, &a.content);
}

static void a_xorb_of_another_hash_is_not_taken_for_it(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 5}));
    assert_int_equal(verify(house, draft, NULL), OK);
    change(house, "UPDATE xorb SET hash = zeroblob(32)");
    assert_int_equal(keep(house, ALICE, draft), UNPROCESSABLE);
    assert_nothing_kept(house);
}

static void several_files_are_kept_in_one_write(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *one = draft_of(house, RANGES({&a, 0, 5})), *two = draft_of(house, RANGES({&a, 1, 2}));
    auto_draft struct file_draft *same = draft_of(house, RANGES({&a, 0, 2}, {&a, 2, 5}));
    auto_content struct content small = content_of_ranges(RANGES({&a, 1, 2}));
    struct file_draft *drafts[] = {one, two, same};
    for (int i = 0; i < 3; i++)
        assert_int_equal(verify(house, drafts[i], NULL), OK);
    assert_int_equal(file_drafts_keep(house->store, ALICE, drafts, 3, &house->err), OK);
    assert_stored(house, ALICE, &a.content);
    assert_stored(house, ALICE, &small);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 2);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 2);
}

static void content_that_the_repo_has_is_not_read(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *again = draft_of(house, RANGES({&a, 0, 2}, {&a, 2, 5}));
    auto_draft struct file_draft *without = draft_of(house, RANGES({&a, 0, 5}));
    auto_draft struct file_draft *lying = draft_of(house, RANGES({&a, 0, 5})),
                                 *new = draft_of(house, RANGES({&a, 0, 4}));
    auto_content struct content other = content_of(2, 10);
    assert_file(house, RANGES({&a, 0, 5}));
    assert_int_equal(unlink(a.path), 0); /* so nobody can read it */
    assert_int_equal(verify(house, again, a.content.sha256), OK);
    assert_int_equal(keep(house, ALICE, again), OK);
    assert_int_equal(verify(house, without, NULL), OK);
    assert_int_equal(keep(house, ALICE, without), OK);
    assert_int_equal(verify(house, lying, other.sha256), CORRUPT);
    assert_int_equal(verify(house, new, NULL), CORRUPT);
}

static void content_that_only_others_have_is_read(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *again = draft_of(house, RANGES({&a, 0, 5})),
                                 *lost = draft_of(house, RANGES({&a, 0, 5}));
    assert_file(house, RANGES({&a, 0, 5}));
    assert_int_equal(file_draft_verify(again, BOB, NULL, NULL, NULL, &house->err), OK);
    assert_int_equal(keep(house, BOB, again), OK);
    release(house, BOB);
    assert_int_equal(unlink(a.path), 0);
    assert_int_equal(file_draft_verify(lost, BOB, NULL, NULL, NULL, &house->err), CORRUPT);
}

static void an_object_keeps_what_it_is_made_of(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    assert_file(house, RANGES({&a, 0, 5}));
    int64_t before = count_rows(house, "SELECT xorb_id FROM extent");

    /* The same bytes as one chunk of another xorb: another Xet hash. */
    struct made whole = {.content = content_of(1, 5 * CHUNK), .rows = calloc(1, sizeof(struct chunk))};
    auto_buf struct buf bytes = {0};
    uint8_t row[CHUNK_ROW];
    *whole.rows =
        (struct chunk){.hash = chunk_hash_of(whole.content.data, 5 * CHUNK), .stored_end = 5 * CHUNK, .end = 5 * CHUNK};
    chunk_row_write(row, whole.rows);
    buf_add(&bytes, whole.content.data, 5 * CHUNK);
    buf_add(&bytes, row, sizeof(row));
    keep_xorb(
        house, &whole, &bytes,
        &(struct xorb_new){
            .hash = whole.rows->hash, .stored = 5 * CHUNK, .table_at = 5 * CHUNK, .length = 5 * CHUNK, .chunks = 1});
    struct chunk_hash proof = proof_of(&(struct range){&whole, 0, 1});
    auto_draft struct file_draft *draft = file_draft_new(house->store, file_hash_of(&whole.rows->hash));
    assert_int_equal(file_draft_add(draft, &whole.xorb, 0, 1, 5 * CHUNK, &proof, &house->err), OK);
    assert_int_equal(verify(house, draft, a.content.sha256), OK);
    assert_int_equal(keep(house, BOB, draft), OK);
    assert_stored(house, BOB, &a.content);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 1);
    assert_int_equal(count_rows(house, "SELECT xorb_id FROM extent"), before);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM dedup_key"), 1);
    made_free(&whole);
}

/* Writes bytes into the container of a xorb, offset bytes behind the start of the xorb. */
static void damage(struct house *house, const struct made *made, int64_t offset, const void *bytes, size_t len)
{
    auto_fd int fd = open(made->path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite_full(fd, bytes, len, made->xorb.start + offset, &house->err), OK);
}

static void a_damaged_chunk_is_the_stores_fault(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "1");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 1, 3}));
    damage(house, &a, a.rows[1].stored_end, "\0\0\0\0", 4); /* the magic of the third frame */
    assert_int_equal(verify(house, draft, NULL), CORRUPT);
}

static void a_container_that_was_cut_is_the_stores_fault(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "0");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 1, 5}));
    assert_int_equal(truncate(a.path, PREFIX + 3 * CHUNK), 0);
    assert_int_equal(verify(house, draft, NULL), CORRUPT);
}

/* A table that changes between the checks must not lead anybody out of his memory. */
static void a_table_that_changed_is_the_stores_fault(void **state)
{
    struct house *house = *state;
    auto_made struct made a = made_of(house, 1, 5, "1");
    auto_draft struct file_draft *draft = draft_of(house, RANGES({&a, 0, 5}));
    uint8_t row[CHUNK_ROW];
    for (uint32_t i = 0; i < 5; i++) { /* still a table, but of fewer bytes */
        chunk_row_write(row, &(struct chunk){.stored_end = (i + 1) * 10, .end = (i + 1) * 10});
        damage(house, &a, a.xorb.stored + (int64_t)i * CHUNK_ROW, row, sizeof(row));
    }
    assert_int_equal(verify(house, draft, NULL), CORRUPT);
    assert_non_null(strstr(house->err.message, "has changed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_file_of_one_xorb_is_kept),
        in_a_house(a_file_of_ranges_of_several_xorbs_is_kept),
        in_a_house(adjacent_ranges_stay_as_they_were_sent),
        in_a_house(packed_chunks_are_unpacked_for_the_digest),
        in_a_house(a_chunk_of_the_specification_has_the_hashes_of_it),
        in_a_house(a_file_is_found_by_its_xet_hash),
        in_a_house(the_first_chunk_of_a_file_can_be_asked_for),
        in_a_house(a_digest_that_was_not_announced_is_computed),
        in_a_house(progress_tells_of_every_byte),
        in_a_house(progress_can_end_the_work),
        in_a_house(an_empty_file_needs_no_xorb),
        in_a_house(an_empty_file_with_a_hash_is_refused),
        in_a_house(a_wrong_proof_is_refused),
        in_a_house(a_wrong_length_is_refused),
        in_a_house(ranges_that_cannot_be_are_refused),
        in_a_house(a_xorb_from_before_chunks_has_no_ranges),
        in_a_house(a_wrong_file_hash_is_refused),
        in_a_house(a_wrong_sha256_is_refused),
        in_a_house(a_xorb_that_went_before_it_was_verified_is_named),
        in_a_house(a_xorb_that_went_before_the_write_is_missed),
        in_a_house(a_xorb_of_another_hash_is_not_taken_for_it),
        in_a_house(several_files_are_kept_in_one_write),
        in_a_house(content_that_the_repo_has_is_not_read),
        in_a_house(content_that_only_others_have_is_read),
        in_a_house(an_object_keeps_what_it_is_made_of),
        in_a_house(a_damaged_chunk_is_the_stores_fault),
        in_a_house(a_container_that_was_cut_is_the_stores_fault),
        in_a_house(a_table_that_changed_is_the_stores_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
