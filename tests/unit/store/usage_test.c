/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What repos take. */
#include "box_fixture.h"

static struct store_usage usage_of(struct house *house, int64_t repo)
{
    struct store_usage usage;
    auto_conn struct db_conn *conn = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_usage(house->store, conn, repo, &usage, &house->err), OK);
    return usage;
}

static void assert_usage(struct store_usage usage, int64_t objects, int64_t logical, int64_t unique, int64_t stored,
                         int64_t shared)
{
    assert_int_equal(usage.objects, objects);
    assert_int_equal(usage.logical, logical);
    assert_int_equal(usage.unique, unique);
    assert_int_equal(usage.stored, stored);
    assert_int_equal(usage.shared, shared);
}

/* Payload bytes of the chunks [start, end) of a xorb. */
static int64_t stored_of(const struct box *box, size_t xorb, uint32_t start, uint32_t end)
{
    return box->chunks[xorb][end - 1].stored_end - (start > 0 ? box->chunks[xorb][start - 1].stored_end : 0);
}

static void a_repo_without_large_files_takes_nothing(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 1, SCHEME_NONE, 1);
    assert_int_equal(give(house, BOB, &box, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    assert_usage(usage_of(house, ALICE), 0, 0, 0, 0, 0);
}

static void files_that_came_in_whole_count_in_full(void **state)
{
    struct house *house = *state;
    auto_content struct content small = content_of(1, 1000), large = content_of(2, 700000), empty = content_of(3, 0);
    assert_int_equal(put(house, ALICE, &small), OK);
    assert_int_equal(put(house, ALICE, &large), OK);
    assert_int_equal(put(house, ALICE, &empty), OK);
    assert_usage(usage_of(house, ALICE), 3, 701000, 701000, 701000, 0);
}

static void what_files_have_in_common_counts_once(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 2, SCHEME_NONE, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 4}, (struct slice){1, 0, 1}, NULL, &house->err), OK);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 1, 2}, NONE, NULL, &house->err), OK);
    assert_usage(usage_of(house, ALICE), 3, 10 * BOX_CHUNK, 5 * BOX_CHUNK, 5 * BOX_CHUNK, 0);
}

static void ranges_that_overlap_in_part_count_their_union(void **state)
{
    static const enum scheme schemes[] = {SCHEME_NONE, SCHEME_LZ4};
    struct house *house = *state;
    for (int64_t i = 0; i < 2; i++) {
        int64_t repo = 100 + i;
        auto_box struct box box = box_of(house, 5 + (uint64_t)i, 1, schemes[i], 1);
        assert_int_equal(give(house, repo, &box, (struct slice){0, 0, 2}, NONE, NULL, &house->err), OK);
        assert_int_equal(give(house, repo, &box, (struct slice){0, 1, 3}, NONE, NULL, &house->err), OK);
        int64_t stored = stored_of(&box, 0, 0, 3);
        assert_usage(usage_of(house, repo), 2, 4 * BOX_CHUNK, 3 * BOX_CHUNK, stored, 0);
        assert_int_equal(give(house, repo, &box, (struct slice){0, 3, 4}, (struct slice){0, 0, 1}, NULL, &house->err),
                         OK);
        stored = stored_of(&box, 0, 0, 4);
        assert_usage(usage_of(house, repo), 3, 6 * BOX_CHUNK, 4 * BOX_CHUNK, stored, 0);
        assert_true(schemes[i] == SCHEME_NONE ? stored == 4 * BOX_CHUNK : stored < 4 * BOX_CHUNK);
    }
}

static void a_gap_between_ranges_does_not_count(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 1, SCHEME_LZ4, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 1}, (struct slice){0, 2, 3}, NULL, &house->err), OK);
    assert_usage(usage_of(house, ALICE), 1, 2 * BOX_CHUNK, 2 * BOX_CHUNK,
                 stored_of(&box, 0, 0, 1) + stored_of(&box, 0, 2, 3), 0);
}

static void what_other_repos_use_too_is_shared(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 2, SCHEME_LZ4, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 2}, (struct slice){1, 0, 4}, NULL, &house->err), OK);
    assert_int_equal(give(house, BOB, &box, (struct slice){0, 1, 2}, NONE, NULL, &house->err), OK);
    int64_t first = stored_of(&box, 0, 0, 2), second = stored_of(&box, 1, 0, 4);
    assert_usage(usage_of(house, ALICE), 1, 6 * BOX_CHUNK, 6 * BOX_CHUNK, first + second, first);
    int64_t only = stored_of(&box, 0, 1, 2);
    assert_usage(usage_of(house, BOB), 1, BOX_CHUNK, BOX_CHUNK, only, only);
    release(house, BOB);
    assert_usage(usage_of(house, ALICE), 1, 6 * BOX_CHUNK, 6 * BOX_CHUNK, first + second, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_repo_without_large_files_takes_nothing), in_a_house(files_that_came_in_whole_count_in_full),
        in_a_house(what_files_have_in_common_counts_once),    in_a_house(ranges_that_overlap_in_part_count_their_union),
        in_a_house(a_gap_between_ranges_does_not_count),      in_a_house(what_other_repos_use_too_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
