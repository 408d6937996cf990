/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain uploads become chunks and xorbs as they arrive. */
#include "../cas/splitmix.h"
#include "cas/cut.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include "store_fixture.h"
#include <lz4frame.h>

/* The file hash of the first million bytes of SplitMix64 from seed 0, and their xorb (xet-protocol 4). */
#define MILLION 1000000
#define MILLION_FILE "3d17b2d7d64a0e011b6717a52d9a16bd2c3f05b743fa8adf52a7d75dafab6d89"
#define MILLION_XORB "6f2ce16ca5e317f0100ff0e7e5bf40a0de9032e9ee1ad04b6b8ff4e36cdfbf6c"
#define MILLION_CHUNKS 19

#define LARGE (INT64_C(160) << 20) /* several xorbs */

static struct content splitmix_of(uint64_t seed, size_t len)
{
    struct content content = {.data = malloc(len), .len = len};
    splitmix_fill(seed, (uint8_t *)content.data, len);
    sha256((struct str){content.data, len}, content.sha256);
    return content;
}

static void changed(struct content *content)
{
    sha256((struct str){content->data, content->len}, content->sha256);
}

static void assert_hash(const struct chunk_hash *hash, const char *text)
{
    char actual[CHUNK_HASH_TEXT];
    chunk_hash_text(hash, actual);
    assert_string_equal(actual, text);
}

/* Ingests the content in pieces of random length, at most most bytes. */
static struct ingest *ingest_in_pieces(struct house *house, const struct content *content, uint64_t seed, size_t most)
{
    struct ingest *ingest = ingest_new(house->store);
    for (size_t at = 0; at < content->len;) {
        size_t len = splitmix(&seed) % most + 1;
        if (len > content->len - at)
            len = content->len - at;
        /* A copy of just these bytes, so that nothing can be read around or after them. */
        char *piece = malloc(len);
        memcpy(piece, content->data + at, len);
        assert_int_equal(ingest_add(ingest, piece, len, &house->err), OK);
        free(piece);
        at += len;
    }
    return ingest;
}

static void a_file_has_the_hash_that_clients_give_it(void **state)
{
    auto_content struct content file = splitmix_of(0, MILLION);
    auto_ingest struct ingest *ingest = ingest_in_pieces(*state, &file, 1, MILLION * 2);
    const struct ingested *result = ingest_result(ingest);
    assert_hash(&result->hash, MILLION_FILE);
    assert_memory_equal(result->sha256, file.sha256, SHA256_SIZE);
    assert_int_equal(result->size, MILLION);
    assert_int_equal(result->chunks, MILLION_CHUNKS);
    assert_int_equal(result->xorb_count, 1);
    assert_hash(&result->xorbs[0].hash, MILLION_XORB);
    assert_int_equal(result->xorbs[0].length, MILLION);
    assert_int_equal(result->xorbs[0].chunks, MILLION_CHUNKS);
}

static void a_file_with_one_byte_changed_has_another_hash(void **state)
{
    auto_content struct content file = splitmix_of(0, MILLION);
    file.data[MILLION - 1] ^= 1;
    auto_ingest struct ingest *ingest = ingest_in_pieces(*state, &file, 1, MILLION * 2);
    struct chunk_hash million;
    assert_true(chunk_hash_parse(STR(MILLION_FILE), &million));
    assert_false(chunk_hash_eq(&ingest_result(ingest)->hash, &million));
}

static void pieces_of_any_size_give_the_same(void **state)
{
    static const size_t most[] = {3, 100, 8192, 70000, 131072, 400000};
    auto_content struct content file = splitmix_of(0, MILLION);
    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
        auto_ingest struct ingest *ingest = ingest_in_pieces(*state, &file, i, most[i]);
        const struct ingested *result = ingest_result(ingest);
        assert_hash(&result->hash, MILLION_FILE);
        assert_memory_equal(result->sha256, file.sha256, SHA256_SIZE);
        assert_hash(&result->xorbs[0].hash, MILLION_XORB);
    }
}

static void an_empty_file_has_no_xorb(void **state)
{
    struct house *house = *state;
    auto_ingest struct ingest *ingest = ingest_new(house->store);
    assert_int_equal(ingest_add(ingest, "", 0, &house->err), OK);
    const struct ingested *result = ingest_result(ingest);
    assert_true(chunk_hash_is_zero(&result->hash));
    assert_int_equal(result->xorb_count, 0);
    assert_int_equal(result->key_count, 0);
}

/* The same chunk of the least size again and again. */
static struct content many_small_chunks(size_t count)
{
    struct content content = {.data = malloc(count * CHUNK_MIN), .len = count * CHUNK_MIN};
    uint8_t *chunk = (uint8_t *)content.data;
    uint64_t seed = 5;
    splitmix_fill(seed, chunk, CHUNK_MIN);
    while (cutter_next(&(struct cutter){0}, chunk, CHUNK_MIN) == 0) /* only the last 64 bytes count for that */
        splitmix_fill(splitmix(&seed), chunk + CHUNK_MIN - 64, 64);
    for (size_t i = 1; i < count; i++)
        memcpy(content.data + i * CHUNK_MIN, chunk, CHUNK_MIN);
    changed(&content);
    return content;
}

static void no_xorb_has_too_many_chunks_or_bytes(void **state)
{
    auto_content struct content small = many_small_chunks(XORB_CHUNKS_MOST + 1), large = splitmix_of(3, LARGE);
    auto_ingest struct ingest *smalls = ingest_in_pieces(*state, &small, 1, MIB),
                              *larges = ingest_in_pieces(*state, &large, 1, MIB);
    const struct ingested *few = ingest_result(smalls), *many = ingest_result(larges);
    assert_int_equal(few->chunks, XORB_CHUNKS_MOST + 1);
    assert_true(few->xorb_count >= 2);
    assert_true(many->xorb_count >= 3);
    const struct ingested *results[] = {few, many};
    for (int i = 0; i < 2; i++) {
        int64_t at = 0, chunks = 0;
        for (size_t x = 0; x < results[i]->xorb_count; x++) {
            const struct ingest_xorb *xorb = &results[i]->xorbs[x];
            assert_int_equal(xorb->start, at);
            assert_in_range(xorb->length, 1, 64 << 20);
            assert_in_range(xorb->chunks, 1, XORB_CHUNKS_MOST);
            at += xorb->length;
            chunks += xorb->chunks;
        }
        assert_int_equal(at, results[i]->size);
        assert_int_equal(chunks, results[i]->chunks);
    }
}

/* A chunk of the greatest size, again and again, that is a key. */
static struct content many_keys(size_t count)
{
    struct content content = {.data = malloc(count * CHUNK_MAX), .len = count * CHUNK_MAX};
    uint64_t *words = (uint64_t *)content.data;
    bool is_key = false;
    for (uint64_t word = 1; !is_key; word++) {
        for (size_t i = 0; i < CHUNK_MAX / sizeof(word); i++)
            words[i] = htole64(word);
        struct chunk_hash hash = chunk_hash_of(words, CHUNK_MAX);
        is_key = chunk_hash_is_key(&hash) && cutter_next(&(struct cutter){0}, (uint8_t *)words, CHUNK_MAX) == CHUNK_MAX;
    }
    for (size_t i = 1; i < count; i++)
        memcpy(content.data + i * CHUNK_MAX, content.data, CHUNK_MAX);
    changed(&content);
    return content;
}

static void the_keys_of_a_xorb_are_few_even_when_it_is_made_of_them(void **state)
{
    static const size_t counts[][2] = {{10, 10}, {40, 16}};
    for (int i = 0; i < 2; i++) {
        auto_content struct content file = many_keys(counts[i][0]);
        auto_ingest struct ingest *ingest = ingest_in_pieces(*state, &file, 1, MIB);
        const struct ingested *result = ingest_result(ingest);
        assert_int_equal(result->chunks, counts[i][0]);
        assert_int_equal(result->xorb_count, 1);
        assert_int_equal(result->key_count, counts[i][1]);
    }
}

struct stored {
    int64_t size;
    struct chunk_hash hash;
    size_t count;
    struct extent extents[64];
};

/* What the store has made of a content. */
static struct stored stored_of(struct house *house, int64_t repo, const struct content *content)
{
    auto_conn struct db_conn *conn = NULL;
    struct object object;
    struct stored stored = {0};
    bool found;
    assert_int_equal(lookup(house, repo, content, &object), OK);
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xet_hash(conn, repo, content->sha256, &found, &stored.hash, &house->err), OK);
    assert_int_equal(found, content->len > 0);
    assert_int_equal(store_extents(conn, object.id, 0, object.size, stored.extents, 64, &stored.count, &house->err),
                     OK);
    return stored;
}

/* The chunks in the tables of the store have the hashes of the bytes, and together that of the xorb. */
static void assert_tables(struct house *house, const struct stored *stored, const struct content *content)
{
    int64_t at = 0;
    for (size_t i = 0; i < stored->count; i++) {
        const struct extent *extent = &stored->extents[i];
        struct merkle merkle = {0};
        struct chunk before, *chunks = calloc(extent->xorb.chunks, sizeof(*chunks));
        assert_int_equal(extent->start, 0);
        assert_int_equal(extent->end, extent->xorb.chunks);
        assert_int_equal(
            store_chunks(house->store, &extent->xorb, 0, extent->xorb.chunks, &before, chunks, &house->err), OK);
        for (uint32_t c = 0, start = 0; c < extent->xorb.chunks; start = chunks[c++].end) {
            struct chunk_hash hash = chunk_hash_of(content->data + at + start, chunks[c].end - start);
            assert_true(chunk_hash_eq(&hash, &chunks[c].hash));
            if (c > 0) /* the first one may also be the first of a file */
                assert_int_equal(chunks[c].is_key, chunk_hash_is_key(&hash));
            else if (i == 0)
                assert_true(chunks[c].is_key);
            merkle_add(&merkle, &hash, chunks[c].end - start);
        }
        struct chunk_hash root = merkle_root(&merkle);
        assert_true(chunk_hash_eq(&root, &extent->xorb.hash));
        at += extent->length;
        free(chunks);
    }
    assert_int_equal(at, content->len);
}

static void an_upload_is_stored_as_chunks(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(0, MILLION);
    assert_int_equal(put(house, ALICE, &file), OK);
    struct stored stored = stored_of(house, ALICE, &file);
    assert_hash(&stored.hash, MILLION_FILE);
    assert_int_equal(stored.count, 1);
    assert_hash(&stored.extents[0].xorb.hash, MILLION_XORB);
    assert_false(stored.extents[0].packed);
    assert_tables(house, &stored, &file);
    assert_int_equal(count_rows(house, "SELECT mentioned_us FROM xorb"), 0);
    assert_int_equal(findings(house), 0);
}

static void the_first_chunk_of_a_file_is_a_key(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(7, 3000), other = splitmix_of(8, 3000);
    assert_int_equal(put(house, ALICE, &file), OK);
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *find = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(db_prepare(conn, "SELECT count(*) FROM dedup_key WHERE chunk = ?", &find, &house->err), OK);
    for (int i = 0; i < 2; i++) {
        struct chunk_hash first = chunk_hash_of(i ? other.data : file.data, 3000);
        stmt_bind_blob(find, 1, first.bytes, CHUNK_HASH_SIZE);
        assert_true(stmt_next(find));
        assert_int_equal(stmt_int(find, 0), i == 0);
        assert_int_equal(stmt_end(find, &house->err), OK);
    }
}

static void an_empty_upload_needs_no_container(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(1, 0);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(parts_begin(house->store, &arena, BOB, file.sha256, 0, &plan, &house->err), OK);
    assert_int_equal(parts_finish(house->store, plan.id, BOB, NULL, 0, &house->err), OK);
    assert_int_equal(parts_finish(house->store, plan.id, BOB, NULL, 0, &house->err), OK);
    assert_stored(house, ALICE, &file);
    assert_stored(house, BOB, &file);
    assert_int_equal(stored_of(house, BOB, &file).count, 0);
    assert_int_equal(files_in(house, ""), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 0);
    assert_int_equal(findings(house), 0);
}

/* What the container of an extent takes on disk. */
static int64_t disk_bytes(struct house *house, const struct extent *extent)
{
    auto_conn struct db_conn *conn = NULL;
    auto_fd int fd = -1;
    struct stat status;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(container_open(house->store, conn, extent->xorb.container, &fd, &house->err), OK);
    assert_int_equal(fstat(fd, &status), 0);
    return (int64_t)status.st_blocks * 512;
}

/* The content with something inserted. */
static struct content edited_of(const struct content *content, size_t at, const char *insert)
{
    size_t more = strlen(insert);
    struct content edited = {.data = malloc(content->len + more), .len = content->len + more};
    memcpy(edited.data, content->data, at);
    memcpy(edited.data + at, insert, more);
    memcpy(edited.data + at + more, content->data + at, content->len - at);
    changed(&edited);
    return edited;
}

static void a_large_file_reads_back_over_all_its_xorbs(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(3, LARGE);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(put(house, BOB, &file), OK);
    struct stored stored = stored_of(house, ALICE, &file);
    assert_true(stored.count >= 3);
    assert_tables(house, &stored, &file);
    assert_stored(house, BOB, &file);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 1);
    assert_true(disk_bytes(house, &stored.extents[0]) >= LARGE);
    assert_int_equal(findings(house), 0);
}

static void an_edited_copy_shares_the_xorbs_that_stayed_the_same(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(3, LARGE);
    assert_int_equal(put(house, ALICE, &file), OK);
    struct stored before = stored_of(house, ALICE, &file);
    assert_true(before.count >= 3);
    auto_content struct content edited = edited_of(&file, (size_t)before.extents[1].at + 100000, "edits");
    assert_int_equal(put(house, BOB, &edited), OK);
    struct stored after = stored_of(house, BOB, &edited);
    int64_t known = before.extents[0].xorb.container, own = 0;
    assert_int_equal(after.extents[0].xorb.id, before.extents[0].xorb.id);
    assert_int_not_equal(after.extents[1].xorb.container, known);
    assert_int_equal(after.extents[after.count - 1].xorb.id, before.extents[before.count - 1].xorb.id);
    for (size_t i = 0; i < after.count; i++)
        own += after.extents[i].xorb.container == known ? 0 : after.extents[i].length;
    assert_true(own < LARGE / 2);
    assert_in_range(disk_bytes(house, &after.extents[1]), own, own + MIB); /* with its table */
}

static void an_edited_copy_reads_back_and_so_does_what_it_was_made_from(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(3, LARGE), edited = edited_of(&file, LARGE / 2, "more");
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(put(house, BOB, &edited), OK);
    assert_stored(house, ALICE, &file);
    assert_stored(house, BOB, &edited);
    struct stored stored = stored_of(house, BOB, &edited);
    assert_tables(house, &stored, &edited);
    assert_int_equal(files_in(house, "containers"), 2);
    assert_int_equal(findings(house), 0);
}

static void a_file_of_known_xorbs_needs_no_container(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(3, LARGE);
    assert_int_equal(put(house, ALICE, &file), OK);
    struct stored stored = stored_of(house, ALICE, &file);
    /* Its first xorb ends with a chunk, and so may a file. */
    auto_content struct content first = {.data = malloc(stored.extents[0].xorb.length),
                                         .len = stored.extents[0].xorb.length};
    memcpy(first.data, file.data, first.len);
    changed(&first);
    assert_int_equal(put(house, BOB, &first), OK);
    assert_stored(house, BOB, &first);
    assert_int_equal(stored_of(house, BOB, &first).extents[0].xorb.id, stored.extents[0].xorb.id);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 1);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(findings(house), 0);
}

struct packed {
    struct xorb_new xorb;
    char name[NAME_SIZE];
    int64_t size;
};

static enum status write_packed(struct db_conn *tx, void *context, struct error *err)
{
    struct packed *packed = context;
    int64_t id;
    TRY(container_insert(tx, packed->name, packed->size, &packed->xorb.container, err));
    return xorb_insert(tx, &packed->xorb, &id, err);
}

/* Keeps the content as a xorb of compressed chunks, as a client may have sent it. */
static void keep_packed(struct house *house, const struct content *content)
{
    struct packed packed = {.xorb = {.length = (uint32_t)content->len}};
    struct merkle merkle = {0};
    struct cutter cutter = {0};
    auto_buf struct buf payloads = {0}, rows = {0};
    char path[STORE_PATH_LIMIT];
    for (size_t at = 0, len; at < content->len; at += len) {
        const uint8_t *data = (const uint8_t *)content->data + at;
        uint8_t row[CHUNK_ROW];
        len = cutter_next(&cutter, data, content->len - at);
        len = len ? len : content->len - at;
        buf_reserve(&payloads, XORB_PAYLOAD_MOST);
        payloads.len += LZ4F_compressFrame(payloads.data + payloads.len, XORB_PAYLOAD_MOST, data, len, NULL);
        struct chunk chunk = {.hash = chunk_hash_of(data, len),
                              .scheme = SCHEME_LZ4,
                              .stored_end = (uint32_t)payloads.len,
                              .end = (uint32_t)(at + len)};
        chunk_row_write(row, &chunk);
        buf_add(&rows, row, sizeof(row));
        merkle_add(&merkle, &chunk.hash, len);
        packed.xorb.chunks++;
    }
    packed.xorb.hash = merkle_root(&merkle);
    packed.xorb.stored = packed.xorb.table_at = (int64_t)payloads.len;
    buf_add(&payloads, rows.data, rows.len);
    packed.size = (int64_t)payloads.len;
    random_name(packed.name);
    house_folder_for(house, packed.name);
    container_path(house->root, packed.name, path);
    assert_int_equal(file_write_durable(path, buf_view(&payloads), 0600, &house->err), OK);
    assert_int_equal(db_write(house->db, write_packed, &packed, &house->err), OK);
}

static void a_xorb_that_came_compressed_is_used(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(4, MILLION);
    for (size_t i = 0; i < file.len; i++)
        file.data[i] &= 15; /* so that compressing helps */
    changed(&file);
    keep_packed(house, &file);
    assert_int_equal(put(house, ALICE, &file), OK);
    struct stored stored = stored_of(house, ALICE, &file);
    assert_int_equal(stored.count, 1);
    assert_true(stored.extents[0].packed);
    assert_int_equal(stored.extents[0].stored, stored.extents[0].xorb.stored);
    assert_true(stored.extents[0].stored < MILLION);
    assert_stored(house, ALICE, &file);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(findings(house), 0);
}

static void a_file_that_repeats_itself_takes_the_room_of_one_repetition(void **state)
{
    struct house *house = *state;
    auto_content struct content zeros = {.data = calloc(1, (size_t)LARGE + 1000), .len = (size_t)LARGE + 1000};
    changed(&zeros);
    assert_int_equal(put(house, ALICE, &zeros), OK);
    assert_stored(house, ALICE, &zeros);
    struct stored stored = stored_of(house, ALICE, &zeros);
    assert_tables(house, &stored, &zeros);
    assert_int_equal(stored.extents[0].xorb.id, stored.extents[1].xorb.id);
    assert_int_equal(stored.count, 3);
    int64_t own = stored.extents[0].length + stored.extents[2].length;
    assert_in_range(disk_bytes(house, &stored.extents[0]), own, own + MIB);
    assert_int_equal(findings(house), 0);
}

/* Rows of about 200 MiB of the smallest chunks are more than are kept in memory. */
static void tables_too_large_for_memory_go_over_a_temporary_file(void **state)
{
    struct house *house = *state;
    auto_content struct content small = many_small_chunks(3 * XORB_CHUNKS_MOST + 10);
    assert_true(3 * XORB_CHUNKS_MOST * CHUNK_ROW > MIB);
    /* Makes the xorbs differ, so that all their tables are used. */
    for (size_t i = 0; i < 4; i++)
        memcpy(small.data + i * XORB_CHUNKS_MOST * CHUNK_MIN, "0123456789" + i, 4);
    changed(&small);
    assert_int_equal(put(house, ALICE, &small), OK);
    struct stored stored = stored_of(house, ALICE, &small);
    assert_true(stored.count >= 3);
    assert_tables(house, &stored, &small);
    assert_stored(house, ALICE, &small);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(findings(house), 0);
}

/* Sends a content of one part; the upload is not finished. */
static void send_part(struct house *house, struct arena *arena, const struct content *content, struct parts_plan *plan,
                      char etag[33])
{
    auto_part struct part *part = NULL;
    int64_t size = (int64_t)content->len;
    assert_int_equal(parts_begin(house->store, arena, ALICE, content->sha256, size, plan, &house->err), OK);
    assert_int_equal(part_open(house->store, plan->id, ALICE, 1, size, &part, &house->err), OK);
    for (int64_t at = 0; at < size; at += 77777)
        assert_int_equal(
            part_write(part, content->data + at, size - at < 77777 ? (size_t)(size - at) : 77777, &house->err), OK);
    assert_int_equal(part_keep(&part, etag, &house->err), OK);
}

static void a_part_is_ingested_the_same_with_and_without_a_restart(void **state)
{
    struct house *house = *state;
    for (int restart = 0; restart < 2; restart++) {
        auto_content struct content file = splitmix_of(0, MILLION);
        auto_arena struct arena arena = {0};
        struct parts_plan plan;
        char etag[33];
        send_part(house, &arena, &file, &plan, etag);
        if (restart)
            house_restart(house);
        struct part_claim claim = {1, str_of(etag)};
        assert_int_equal(parts_finish(house->store, plan.id, ALICE, &claim, 1, &house->err), OK);
        struct stored stored = stored_of(house, ALICE, &file);
        assert_hash(&stored.hash, MILLION_FILE);
        assert_tables(house, &stored, &file);
        assert_stored(house, ALICE, &file);
        assert_int_equal(findings(house), 0);
        assert_int_equal(files_in(house, "incoming"), 0);
        /* The next round stores it anew. */
        release(house, ALICE);
        struct store_freed freed;
        assert_int_equal(store_sweep(house->store, INT64_C(1) << 60, false, &freed, &house->err), OK);
        assert_int_equal(files_in(house, ""), 0);
    }
}

static void tables_that_a_crash_left_behind_a_file_are_written_anew(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(0, MILLION);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    char etag[33];
    send_part(house, &arena, &file, &plan, etag);
    assert_int_equal(files_in(house, "incoming"), 1);
    assert_int_equal(truncate(file_seen, MILLION + 5000), 0);
    house_restart(house);
    struct part_claim claim = {1, str_of(etag)};
    assert_int_equal(parts_finish(house->store, plan.id, ALICE, &claim, 1, &house->err), OK);
    assert_stored(house, ALICE, &file);
    assert_int_equal(files_in(house, "containers"), 1);
    struct stat status;
    assert_int_equal(stat(file_seen, &status), 0);
    assert_int_equal(status.st_size, MILLION + MILLION_CHUNKS * CHUNK_ROW);
    assert_int_equal(findings(house), 0);
}

static void an_upload_whose_file_is_too_short_is_refused(void **state)
{
    struct house *house = *state;
    auto_content struct content file = splitmix_of(0, MILLION);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    char etag[33];
    send_part(house, &arena, &file, &plan, etag);
    assert_int_equal(files_in(house, "incoming"), 1);
    assert_int_equal(truncate(file_seen, MILLION - 1), 0);
    struct part_claim claim = {1, str_of(etag)};
    assert_int_equal(parts_finish(house->store, plan.id, ALICE, &claim, 1, &house->err), UNPROCESSABLE);
    assert_not_held(house, ALICE, &file);
    assert_int_equal(files_in(house, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_file_has_the_hash_that_clients_give_it),
        in_a_house(a_file_with_one_byte_changed_has_another_hash),
        in_a_house(pieces_of_any_size_give_the_same),
        in_a_house(an_empty_file_has_no_xorb),
        in_a_house(no_xorb_has_too_many_chunks_or_bytes),
        in_a_house(the_keys_of_a_xorb_are_few_even_when_it_is_made_of_them),
        in_a_house(an_upload_is_stored_as_chunks),
        in_a_house(the_first_chunk_of_a_file_is_a_key),
        in_a_house(an_empty_upload_needs_no_container),
        in_a_house(a_large_file_reads_back_over_all_its_xorbs),
        in_a_house(an_edited_copy_shares_the_xorbs_that_stayed_the_same),
        in_a_house(an_edited_copy_reads_back_and_so_does_what_it_was_made_from),
        in_a_house(a_file_of_known_xorbs_needs_no_container),
        in_a_house(a_xorb_that_came_compressed_is_used),
        in_a_house(a_file_that_repeats_itself_takes_the_room_of_one_repetition),
        in_a_house(tables_too_large_for_memory_go_over_a_temporary_file),
        in_a_house(a_part_is_ingested_the_same_with_and_without_a_restart),
        in_a_house(tables_that_a_crash_left_behind_a_file_are_written_anew),
        in_a_house(an_upload_whose_file_is_too_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
