/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many readers beside one who appends: each sees whole states only. For the thread sanitizer above all. */
#include "house.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS 4
#define GROUPS 60

struct reading {
    struct ledger *ledger;
    atomic_bool *done;
    uint64_t seed, rounds;
    const char *wrong; /* what was not as it must be */
};

static uint64_t next_random(struct reading *reading)
{
    reading->seed = reading->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return reading->seed >> 33;
}

static struct tlog_path to_path(struct str hashes)
{
    struct tlog_path path = {.count = hashes.len / SHA256_SIZE};
    if (hashes.len)
        memcpy(path.hashes, hashes.data, hashes.len);
    return path;
}

static const char *look_at_entry(struct reading *reading, const struct ledger_state *state)
{
    auto_buf struct buf entry = {0}, proof = {0};
    char room[ENTRY_MOST];
    uint64_t index = next_random(reading) % state->size;
    struct str expected = entry_of(index, room);
    struct tlog_hash leaf = tlog_leaf_hash(expected), root;
    memcpy(root.bytes, state->root, SHA256_SIZE);
    if (ledger_entry(reading->ledger, index, &entry, NULL) != OK || !str_eq(buf_view(&entry), expected))
        return "entry";
    if (ledger_inclusion(reading->ledger, index, state->size, &proof, NULL) != OK)
        return "inclusion proof";
    struct tlog_path path = to_path(buf_view(&proof));
    return tlog_includes(index, state->size, &leaf, &root, &path) ? NULL : "inclusion";
}

static const char *look_at_growth(struct reading *reading, const struct ledger_state *old,
                                  const struct ledger_state *new)
{
    auto_buf struct buf proof = {0};
    struct tlog_hash old_root, new_root;
    memcpy(old_root.bytes, old->root, SHA256_SIZE);
    memcpy(new_root.bytes, new->root, SHA256_SIZE);
    if (new->size < old->size || ledger_consistency(reading->ledger, old->size, new->size, &proof, NULL) != OK)
        return "consistency proof";
    struct tlog_path path = to_path(buf_view(&proof));
    return old->size == 0 || tlog_extends(old->size, &old_root, new->size, &new_root, &path) ? NULL : "consistency";
}

static const char *look_at_files(struct reading *reading, const struct ledger_state *state)
{
    auto_buf struct buf tile = {0}, bundle = {0}, note = {0};
    struct str entries[TILE_WIDTH];
    unsigned count;
    uint64_t number = next_random(reading) % ((state->size + TILE_WIDTH - 1) / TILE_WIDTH);
    unsigned width = tile_width(state->size, 0, number);
    if (ledger_tile(reading->ledger, 0, number, width, &tile, NULL) != OK)
        return "tile";
    if (ledger_bundle(reading->ledger, number, width, &bundle, NULL) != OK ||
        bundle_parse(buf_view(&bundle), entries, &count, NULL) != OK || count != width)
        return "bundle";
    for (unsigned i = 0; i < width; i++) {
        struct tlog_hash leaf = tlog_leaf_hash(entries[i]);
        if (memcmp(tile.data + i * SHA256_SIZE, leaf.bytes, SHA256_SIZE) != 0)
            return "bundle and tile";
    }
    ledger_checkpoint(reading->ledger, &note);
    return str_starts(buf_view(&note), ORIGIN) ? NULL : "checkpoint";
}

static void *read_until_done(void *context)
{
    struct reading *reading = context;
    struct ledger_state old = {0}, now;
    while (!reading->wrong && (!atomic_load(reading->done) || reading->rounds < 20)) {
        ledger_state(reading->ledger, &now);
        if (now.size == 0)
            continue;
        reading->rounds++;
        reading->wrong = look_at_entry(reading, &now);
        if (!reading->wrong)
            reading->wrong = look_at_growth(reading, &old, &now);
        if (!reading->wrong)
            reading->wrong = look_at_files(reading, &now);
        old = now;
    }
    return NULL;
}

static void readers_see_whole_states_while_the_log_grows(void **state)
{
    struct house *house = *state;
    struct reading readings[READERS];
    pthread_t threads[READERS];
    atomic_bool done = false;
    house_open(house);
    for (size_t i = 0; i < READERS; i++) {
        readings[i] = (struct reading){house->ledger, &done, i + 1, 0, NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_done, &readings[i]), 0);
    }
    for (size_t i = 0; i < GROUPS; i++)
        house_append(house, 1 + i * 37 % 700);
    atomic_store(&done, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        if (readings[i].wrong)
            fail_msg("%s", readings[i].wrong);
    }
    assert_no_findings(house->ledger);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(readers_see_whole_states_while_the_log_grows, house_make, house_remove),
};

HOUSE_MAIN(tests)
