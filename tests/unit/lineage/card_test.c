/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a card declares. */
#include "lineage/lineage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct lineage_declared read(struct arena *arena, const char *text)
{
    auto_json json_t *card = NULL;
    struct lineage_declared declared;
    assert_int_equal(OK, json_read(str_of(text), 1 << 20, &card, NULL));
    lineage_read_card(arena, card, &declared);
    return declared;
}

static void a_name_or_a_list_of_names_is_declared(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct lineage_declared one = read(&arena, "{\"base_model\":\" a/b \",\"base_model_relation\":\"adapter\"}");
    assert_int_equal(1, one.count);
    assert_true(str_eq(one.names[0], STR("a/b")));
    assert_true(str_eq(one.rel, STR("adapter")));
    struct lineage_declared two = read(&arena, "{\"base_model\":[\"a/b\",\"c/d\",\"a/b\"]}");
    assert_int_equal(2, two.count);
    assert_true(str_eq(two.names[1], STR("c/d")));
    assert_false(str_given(two.rel));
}

static void what_is_no_name_and_no_relation_is_left_out(void **state)
{
    (void)state;
    static const char *const cards[] = {
        "{}",
        "{\"base_model\":null}",
        "{\"base_model\":5}",
        "{\"base_model\":{\"a/b\":1}}",
        "{\"base_model\":[[\"a/b\"],true,\"\",\" \",\"a\\nb\",\"a\\u007fb\"]}",
        "[\"base_model\"]",
    };
    auto_arena struct arena arena = {0};
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        assert_int_equal(0, read(&arena, cards[i]).count);
    static const char *const relations[] = {"\"\"",       "\"Adapter\"", "\"adapter merge\"",
                                            "\"cousin\"", "[\"merge\"]", "5"};
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++) {
        struct str card = arena_printf(&arena, "{\"base_model\":\"a/b\",\"base_model_relation\":%s}", relations[i]);
        struct lineage_declared declared = read(&arena, card.data);
        assert_int_equal(1, declared.count);
        assert_false(str_given(declared.rel));
    }
}

static void a_card_declares_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    buf_printf(&text, "{\"base_model\":[");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%s\"a/%d\"", i ? "," : "", i);
    buf_printf(&text, "]}");
    struct str copy = arena_copy(&arena, buf_view(&text));
    assert_int_equal(LINEAGE_PARENTS_MOST, read(&arena, copy.data).count);
    char *long_name = arena_alloc(&arena, 400);
    memset(long_name, 'n', 300);
    copy = arena_printf(&arena, "{\"base_model\":\"%s\"}", long_name);
    assert_int_equal(0, read(&arena, copy.data).count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_or_a_list_of_names_is_declared),
        cmocka_unit_test(what_is_no_name_and_no_relation_is_left_out),
        cmocka_unit_test(a_card_declares_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
