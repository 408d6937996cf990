/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xorbs that accounts send. */
#include "base/time.h"
#include "xorb_fixture.h"
#include <signal.h>
#include <sys/resource.h>

#define CHUNK 60000

/* Bytes that can be packed. */
static struct content packable(uint64_t seed, size_t len)
{
    struct content content = content_of(seed, len);
    for (size_t i = 0; i < len; i++)
        content.data[i] &= 0x11;
    return content;
}

/* That the store gives the wire form back as it was sent. */
static void assert_comes_back(struct house *house, const struct wire *wire)
{
    struct xorb xorb = stored_xorb(house, &wire->hash);
    struct store_range all = {.length = store_xorb_wire_length(&xorb)};
    struct store_view *view;
    assert_int_equal(all.length, wire->bytes.len);
    assert_int_equal(store_xorb_view_open(house->store, &xorb, &all, 1, &view, &house->err), OK);
    char *back = malloc(wire->bytes.len);
    assert_int_equal(read_view(view, back, all.length, &house->err), OK);
    store_view_close(view);
    assert_memory_equal(back, wire->bytes.data, wire->bytes.len);
    free(back);
}

static void assert_nothing_kept(struct house *house)
{
    assert_int_equal(files_in(house, ""), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 0);
}

static void a_xorb_that_was_sent_is_stored_with_its_chunks(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(1, 4 * CHUNK + 7);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    struct chunk before, rows[5];
    assert_true(send_xorb(house, ALICE, &wire));
    struct xorb xorb = stored_xorb(house, &wire.hash);
    assert_true(xorb.chunks == 5 && xorb.length == content.len && xorb.stored == (int64_t)content.len);
    assert_int_equal(store_chunks(house->store, &xorb, 0, 5, &before, rows, &house->err), OK);
    for (size_t i = 0; i < 5; i++) {
        size_t end = i < 4 ? (i + 1) * CHUNK : content.len;
        struct chunk_hash hash = chunk_hash_of(content.data + i * CHUNK, end - i * CHUNK);
        assert_true(chunk_hash_eq(&rows[i].hash, &hash));
        assert_true(rows[i].end == end && rows[i].stored_end == end && rows[i].scheme == SCHEME_NONE);
        assert_int_equal(rows[i].is_key, chunk_hash_is_key(&hash));
    }
    assert_int_equal(findings(house), 0);
    assert_int_equal(files_in(house, "incoming"), 0);
}

static void a_xorb_larger_than_what_is_written_at_once_comes_back(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(2, 3 * MIB + 12345);
    auto_wire struct wire wire = wire_of(&content, CHUNK_MAX, SCHEME_NONE);
    send_xorb(house, ALICE, &wire);
    assert_comes_back(house, &wire);
    assert_int_equal(findings(house), 0);
}

static void a_xorb_takes_no_more_room_than_its_bytes_need(void **state)
{
    struct house *house = *state;
    struct stat status;
    auto_content struct content content = content_of(15, 9 * MIB + 12345);
    auto_wire struct wire wire = wire_of(&content, CHUNK_MAX, SCHEME_NONE);
    send_xorb(house, ALICE, &wire);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(stat(file_seen, &status), 0);
    assert_in_range(status.st_size, content.len, content.len + 65536); /* with its table */
    assert_true(status.st_blocks * 512 <= status.st_size + 65536);     /* file systems round up */
}

static void a_xorb_is_still_there_after_a_restart(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(2, 2 * CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    send_xorb(house, ALICE, &wire);
    house_restart(house);
    assert_comes_back(house, &wire);
}

static void chunks_that_compression_helps_stay_packed(void **state)
{
    struct house *house = *state;
    auto_content struct content content = packable(3, 40 * CHUNK_MAX);
    auto_wire struct wire wire = {0};
    for (size_t i = 0; i < 40; i++)
        wire_add(&wire, (enum scheme)(i % 2 + 1), content.data + i * CHUNK_MAX, CHUNK_MAX);
    send_xorb(house, ALICE, &wire);
    assert_true(stored_xorb(house, &wire.hash).stored < 40 * CHUNK_MAX * 15 / 16);
    assert_comes_back(house, &wire);
    assert_int_equal(findings(house), 0);
}

static void chunks_of_all_sizes_packed_and_not_come_back_in_their_order(void **state)
{
    struct house *house = *state;
    auto_content struct content noise = content_of(3, 40 * CHUNK_MAX), soft = packable(3, CHUNK_MAX);
    auto_wire struct wire wire = {0};
    for (size_t i = 0; i < 40; i++) {
        for (size_t small = 0; small < 3 * i; small++)
            wire_add(&wire, SCHEME_NONE, noise.data + i * CHUNK_MAX + 11 * small, 1 + small % 11);
        wire_add(&wire, SCHEME_NONE, noise.data + i * CHUNK_MAX, CHUNK_MAX - 1000 * i);
        if (i % 3 == 0)
            wire_add(&wire, SCHEME_LZ4, soft.data + i, CHUNK_MAX - i);
    }
    send_xorb(house, ALICE, &wire);
    assert_comes_back(house, &wire);
    assert_int_equal(findings(house), 0);
}

static void chunks_that_compression_hardly_helps_are_stored_unpacked(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(4, 3 * CHUNK);
    auto_wire struct wire packed = wire_of(&content, CHUNK, SCHEME_LZ4), plain = wire_of(&content, CHUNK, SCHEME_NONE);
    assert_int_not_equal(packed.bytes.len, plain.bytes.len);
    send_xorb(house, ALICE, &packed);
    assert_int_equal(stored_xorb(house, &packed.hash).stored, content.len);
    assert_comes_back(house, &plain);
    assert_int_equal(findings(house), 0);
}

/* A chunk of which about so many bytes are random, the others zero. */
static struct content partly_random(size_t len, size_t random)
{
    struct content content = content_of(5, len);
    memset(content.data + random, 0, len - random);
    return content;
}

static void a_sixteenth_saved_is_where_packing_begins(void **state)
{
    struct house *house = *state;
    auto_content struct content hardly = partly_random(64000, 61000), enough = partly_random(64000, 58000);
    auto_wire struct wire unpacked = wire_of(&hardly, 64000, SCHEME_LZ4), packed = wire_of(&enough, 64000, SCHEME_LZ4);
    assert_true(unpacked.bytes.len < 64000);
    send_xorb(house, ALICE, &unpacked);
    send_xorb(house, ALICE, &packed);
    assert_int_equal(stored_xorb(house, &unpacked.hash).stored, 64000);
    assert_int_equal(stored_xorb(house, &packed.hash).stored, packed.bytes.len - XORB_CHUNK_HEADER);
}

static void a_xorb_with_another_hash_than_announced_is_refused(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(6, 2 * CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    struct chunk_hash other = chunk_hash_of("other", 5);
    bool was_new;
    assert_int_equal(send_as(house, ALICE, &wire, wire.bytes.len, &other, &was_new, &house->err), INVALID);
    assert_non_null(strstr(house->err.message, "announced"));
    assert_nothing_kept(house);
    assert_true(send_xorb(house, ALICE, &wire));
}

static void a_known_xorb_announced_as_another_is_refused_too(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(6, CHUNK), others = content_of(7, CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE), known = wire_of(&others, CHUNK, SCHEME_NONE);
    bool was_new;
    send_xorb(house, ALICE, &known);
    assert_int_equal(send_as(house, BOB, &wire, wire.bytes.len, &known.hash, &was_new, &house->err), INVALID);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender"), 1);
}

static void a_xorb_that_is_cut_short_is_refused(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(8, 2 * CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    bool was_new;
    const size_t lengths[] = {0, 5, CHUNK, wire.bytes.len - 1, CHUNK + XORB_CHUNK_HEADER};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        assert_int_equal(send_as(house, ALICE, &wire, lengths[i], &wire.hash, &was_new, &house->err), INVALID);
    assert_nothing_kept(house);
    assert_true(send_xorb(house, ALICE, &wire));
}

static void a_damaged_xorb_cannot_be_kept_after_all(void **state)
{
    struct house *house = *state;
    auto_xorb_receipt struct xorb_receipt *receipt = NULL;
    auto_content struct content content = content_of(9, CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    bool was_new;
    assert_int_equal(xorb_receipt_open(house->store, &receipt, &house->err), OK);
    assert_int_equal(xorb_receipt_write(receipt, wire.bytes.data, wire.bytes.len, &house->err), OK);
    assert_int_equal(xorb_receipt_write(receipt, "\x01 is no version", 8, &house->err), INVALID);
    assert_int_equal(xorb_receipt_keep(&receipt, ALICE, &wire.hash, &was_new, &house->err), INVALID);
    assert_null(receipt);
    assert_nothing_kept(house);
}

static void a_xorb_that_is_dropped_leaves_nothing(void **state)
{
    struct house *house = *state;
    struct xorb_receipt *receipt = NULL;
    auto_content struct content content = content_of(9, 2 * MIB);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    assert_int_equal(xorb_receipt_open(house->store, &receipt, &house->err), OK);
    assert_int_equal(xorb_receipt_write(receipt, wire.bytes.data, wire.bytes.len, &house->err), OK);
    assert_int_equal(files_in(house, "incoming"), 1);
    xorb_receipt_drop(&receipt);
    xorb_receipt_drop(&receipt);
    assert_nothing_kept(house);
}

static void the_second_time_is_not_new_to_the_same_account(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(10, 2 * CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    assert_true(send_xorb(house, ALICE, &wire));
    assert_false(send_xorb(house, ALICE, &wire));
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 1);
}

static void another_account_that_sends_the_same_learns_nothing(void **state)
{
    struct house *house = *state;
    auto_content struct content content = packable(10, 2 * CHUNK);
    auto_wire struct wire packed = wire_of(&content, CHUNK, SCHEME_LZ4), plain = wire_of(&content, CHUNK, SCHEME_NONE);
    assert_true(send_xorb(house, ALICE, &packed));
    assert_true(send_xorb(house, BOB, &plain));
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender"), 2);
    assert_comes_back(house, &packed);
}

struct sender {
    struct house *house;
    const struct wire *wire;
    int64_t account;
};

static void *send_in_a_thread(void *context)
{
    const struct sender *sender = context;
    struct error err;
    bool was_new = false;
    enum status status = send_as(sender->house, sender->account, sender->wire, sender->wire->bytes.len,
                                 &sender->wire->hash, &was_new, &err);
    return status == OK && was_new ? context : NULL;
}

static void many_who_send_the_same_at_once_fill_one_container(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(11, 2 * MIB);
    auto_wire struct wire wire = wire_of(&content, CHUNK_MAX, SCHEME_NONE);
    struct sender senders[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        senders[i] = (struct sender){house, &wire, ALICE + i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_in_a_thread, &senders[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        void *sent;
        pthread_join(threads[i], &sent);
        assert_non_null(sent);
    }
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender"), 8);
    assert_int_equal(findings(house), 0);
}

static void sending_a_xorb_again_mentions_it(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(12, CHUNK), others = content_of(13, CHUNK);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE), other = wire_of(&others, CHUNK, SCHEME_NONE);
    int64_t start = now_us();
    send_xorb(house, ALICE, &wire);
    send_xorb(house, ALICE, &other);
    assert_true(count_rows(house, "SELECT min(mentioned_us) FROM xorb") >= start);
    run_sql(house, "UPDATE xorb SET mentioned_us = 1");
    send_xorb(house, BOB, &wire);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb WHERE mentioned_us = 1"), 1);
    assert_true(count_rows(house, "SELECT max(mentioned_us) FROM xorb") >= start);
}

/* Adds so many chunks that are keys, and as many that are none. */
static void add_keys(struct wire *wire, size_t count)
{
    size_t keys = 0, others = 0;
    for (uint64_t i = 0; keys < count; i++) {
        struct chunk_hash hash = chunk_hash_of(&i, sizeof(i));
        bool is_key = chunk_hash_is_key(&hash);
        if (is_key || others < count)
            wire_add(wire, SCHEME_NONE, (const char *)&i, sizeof(i));
        keys += is_key;
        others += !is_key;
    }
}

static void chunks_that_are_keys_can_be_asked_for(void **state)
{
    struct house *house = *state;
    auto_wire struct wire wire = {0};
    struct chunk before, rows[6];
    size_t keys = 0;
    add_keys(&wire, 3);
    send_xorb(house, ALICE, &wire);
    struct xorb xorb = stored_xorb(house, &wire.hash);
    assert_int_equal(xorb.chunks, 6);
    assert_int_equal(store_chunks(house->store, &xorb, 0, 6, &before, rows, &house->err), OK);
    for (size_t i = 0; i < 6; i++)
        keys += rows[i].is_key;
    assert_int_equal(keys, 3);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM dedup_key JOIN xorb ON xorb.id = xorb_id"), 3);
}

static void a_xorb_of_nothing_but_keys_does_not_fill_the_database(void **state)
{
    struct house *house = *state;
    auto_wire struct wire wire = {0};
    add_keys(&wire, 80);
    send_xorb(house, ALICE, &wire);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM dedup_key"), 64);
    assert_comes_back(house, &wire);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_xorb_that_the_disk_does_not_take_leaves_nothing(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(14, 5 * MIB);
    auto_wire struct wire wire = wire_of(&content, CHUNK, SCHEME_NONE);
    const rlim_t rooms[] = {3000000, 5 * MIB, 5 * MIB + 100}; /* ends in the payloads, and in the table */
    bool was_new;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        limit_file_size(rooms[i]);
        enum status status = send_as(house, ALICE, &wire, wire.bytes.len, &wire.hash, &was_new, &house->err);
        limit_file_size(RLIM_INFINITY);
        assert_int_not_equal(status, OK);
        assert_int_not_equal(status, INVALID); /* it is not the client's mistake */
        assert_nothing_kept(house);
    }
    assert_true(send_xorb(house, ALICE, &wire));
    assert_comes_back(house, &wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_xorb_that_was_sent_is_stored_with_its_chunks),
        in_a_house(a_xorb_larger_than_what_is_written_at_once_comes_back),
        in_a_house(chunks_of_all_sizes_packed_and_not_come_back_in_their_order),
        in_a_house(a_xorb_takes_no_more_room_than_its_bytes_need),
        in_a_house(a_xorb_is_still_there_after_a_restart),
        in_a_house(chunks_that_compression_helps_stay_packed),
        in_a_house(chunks_that_compression_hardly_helps_are_stored_unpacked),
        in_a_house(a_sixteenth_saved_is_where_packing_begins),
        in_a_house(a_xorb_with_another_hash_than_announced_is_refused),
        in_a_house(a_known_xorb_announced_as_another_is_refused_too),
        in_a_house(a_xorb_that_is_cut_short_is_refused),
        in_a_house(a_damaged_xorb_cannot_be_kept_after_all),
        in_a_house(a_xorb_that_is_dropped_leaves_nothing),
        in_a_house(the_second_time_is_not_new_to_the_same_account),
        in_a_house(another_account_that_sends_the_same_learns_nothing),
        in_a_house(many_who_send_the_same_at_once_fill_one_container),
        in_a_house(sending_a_xorb_again_mentions_it),
        in_a_house(chunks_that_are_keys_can_be_asked_for),
        in_a_house(a_xorb_of_nothing_but_keys_does_not_fill_the_database),
        in_a_house(a_xorb_that_the_disk_does_not_take_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
