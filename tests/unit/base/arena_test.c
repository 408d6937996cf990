/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include "check.h"

static void assert_zero(const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 0);
}

static void memory_is_zero_aligned_and_apart(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const size_t sizes[] = {0, 1, 15, 16, 17, 4000, 16 * 1024, 16 * 1024 + 1, 100000, 3};
    unsigned char *made[COUNT(sizes)];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        made[i] = arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)made[i] % _Alignof(max_align_t), 0);
        assert_zero(made[i], sizes[i]);
        memset(made[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(made[i][k], i + 1);
    for (size_t i = 1; i < COUNT(sizes); i++)
        assert_ptr_not_equal(made[i], made[i - 1]);
}

static void small_allocations_share_a_block_and_a_large_one_does_not_end_it(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    arena_alloc(&arena, 100);
    size_t one_block = arena.total;
    arena_alloc(&arena, 100000);
    size_t with_large = arena.total;
    assert_true(with_large >= one_block + 100000);
    arena_alloc(&arena, 100);
    assert_int_equal(arena.total, with_large);
}

static void a_reset_arena_keeps_one_block_and_gives_zeroed_memory_again(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            unsigned char *data = arena_alloc(&arena, 1000);
            assert_zero(data, 1000);
            memset(data, 0xFF, 1000);
        }
        arena_alloc(&arena, 1000000);
        arena_reset(&arena);
        assert_int_equal(arena.total, 16 * 1024);
        assert_int_equal(arena.used, 0);
    }
}

static void an_arena_of_large_blocks_only_is_empty_after_reset(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    arena_alloc(&arena, 1000000);
    arena_reset(&arena);
    assert_int_equal(arena.total, 0);
    arena_alloc(&arena, 10);
    arena_free(&arena);
    assert_null(arena.blocks);
    arena_alloc(&arena, 10); /* usable after arena_free() */
}

static void copies_end_with_nul_and_are_independent(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    char source[] = "ab\0c";
    struct str copy = arena_copy(&arena, (struct str){source, 4});
    source[0] = 'x';
    assert_int_equal(copy.len, 4);
    assert_memory_equal(copy.data, "ab\0c", 5);
    assert_string_equal(arena_cstr(&arena, STR("whole")), "whole");
    struct str of_absent = arena_copy(&arena, (struct str){NULL, 0});
    assert_str(of_absent, "");
}

static void printf_takes_results_of_any_length(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    assert_str(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
    for (int width = 250; width <= 260; width++) {
        struct str made = arena_printf(&arena, "%*d", width, 1);
        assert_int_equal(made.len, width);
        assert_int_equal(made.data[made.len], '\0');
        assert_int_equal(made.data[made.len - 1], '1');
    }
    assert_int_equal(arena_printf(&arena, "%*d", 70000, 1).len, 70000);
}

static void an_array_has_room_for_all_its_items(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    assert_zero(arena_array(&arena, 1000, sizeof(int64_t)), 1000 * sizeof(int64_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zero_aligned_and_apart),
        cmocka_unit_test(small_allocations_share_a_block_and_a_large_one_does_not_end_it),
        cmocka_unit_test(a_reset_arena_keeps_one_block_and_gives_zeroed_memory_again),
        cmocka_unit_test(an_arena_of_large_blocks_only_is_empty_after_reset),
        cmocka_unit_test(copies_end_with_nul_and_are_independent),
        cmocka_unit_test(printf_takes_results_of_any_length),
        cmocka_unit_test(an_array_has_room_for_all_its_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
