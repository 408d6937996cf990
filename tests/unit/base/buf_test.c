/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include "check.h"

static void an_empty_buffer_has_an_empty_view(void **state)
{
    (void)state;
    auto_buf struct buf buf = {0};
    assert_str(buf_view(&buf), "");
    buf_add(&buf, NULL, 0);
    buf_str(&buf, (struct str){NULL, 0});
    assert_str(buf_view(&buf), "");
}

static void what_is_added_stands_in_order(void **state)
{
    (void)state;
    auto_buf struct buf buf = {0};
    buf_str(&buf, STR("one "));
    buf_byte(&buf, '2');
    buf_add(&buf, " three", 6);
    buf_printf(&buf, " %d %s", 4, "five");
    assert_str(buf_view(&buf), "one 2 three 4 five");
}

static void it_grows_byte_by_byte_without_loss(void **state)
{
    (void)state;
    auto_buf struct buf buf = {0};
    for (int i = 0; i < 100000; i++)
        buf_byte(&buf, (char)i);
    assert_int_equal(buf.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], (char)i);
}

static void reserved_room_is_there_and_the_data_does_not_move_within_it(void **state)
{
    (void)state;
    auto_buf struct buf buf = {0};
    buf_str(&buf, STR("x"));
    buf_reserve(&buf, 5000);
    assert_true(buf.capacity - buf.len >= 5000);
    const char *before = buf.data;
    for (int i = 0; i < 5000; i++)
        buf_byte(&buf, 'y');
    assert_ptr_equal(buf.data, before);
    assert_int_equal(buf.data[0], 'x');
}

static void printf_takes_results_of_any_length(void **state)
{
    (void)state;
    for (int width = 120; width <= 135; width++) {
        auto_buf struct buf buf = {0};
        buf_printf(&buf, "%*d", width, 1);
        buf_printf(&buf, "%*d", 1000, 2);
        assert_int_equal(buf.len, width + 1000);
        assert_int_equal(buf.data[width - 1], '1');
        assert_int_equal(buf.data[buf.len - 1], '2');
    }
}

static void a_freed_buffer_can_be_used_again(void **state)
{
    (void)state;
    auto_buf struct buf buf = {0};
    buf_str(&buf, STR("first"));
    buf_free(&buf);
    assert_int_equal(buf.capacity, 0);
    buf_str(&buf, STR("second"));
    assert_str(buf_view(&buf), "second");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_has_an_empty_view),
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(it_grows_byte_by_byte_without_loss),
        cmocka_unit_test(reserved_room_is_there_and_the_data_does_not_move_within_it),
        cmocka_unit_test(printf_takes_results_of_any_length),
        cmocka_unit_test(a_freed_buffer_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
