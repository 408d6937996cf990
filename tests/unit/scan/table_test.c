/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of tensors between the sandboxed child and the server, which believes nothing of it. */
#include "scan/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T(dtype, shape, begin, end) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static enum status pass_on(struct arena *arena, struct str header, struct tensor_list *out, struct error *err)
{
    auto_buf struct buf table = {0};
    tensor_table_write(header, &table);
    return tensor_table_read(arena, buf_view(&table), out, err);
}

static void what_the_child_found_arrives(void **state)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    struct error err = {0};
    (void)state;
    if (pass_on(&arena, STR("{\"b\":" T("F16", "[3,1]", "4", "10") ",\"a\":" T("F32", "[]", "0", "4") "}"), &list,
                &err) != OK)
        fail_msg("%s", err.message);
    assert_int_equal(2, list.count);
    assert_int_equal(10, list.bytes);
    assert_string_equal("a", list.items[0].name.data); /* in the order of their places */
    assert_string_equal("b", list.items[1].name.data);
    assert_string_equal("F16", tensor_dtype_name(list.items[1].dtype));
    assert_int_equal(2, list.items[1].dimensions);
    assert_int_equal(3, list.items[1].shape[0]);
    assert_int_equal(4, list.items[1].begin);
    assert_int_equal(10, list.items[1].end);
    assert_int_equal(0, list.items[0].dimensions);
    assert_int_equal(OK, pass_on(&arena, STR("{}"), &list, &err));
    assert_int_equal(0, list.count);
}

static void what_it_refused_arrives_with_the_reason(void **state)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    struct error err = {0};
    (void)state;
    assert_int_equal(INVALID, pass_on(&arena, STR("{\"a\":" T("U8", "[4]", "1", "5") "}"), &list, &err));
    assert_true(str_has(str_of(err.message), STR("leave a gap")));
    assert_int_equal(INVALID,
                     pass_on(&arena, STR("{\"a\":" T("U8", "[9223372036854775807,3]", "0", "5") "}"), &list, &err));
    assert_int_equal(INVALID, pass_on(&arena, STR(""), &list, &err));
}

static struct str repeated(struct buf *out, const char *first, const char *format, int count, const char *last)
{
    buf_str(out, str_of(first));
    for (int i = 0; i < count; i++)
        buf_printf(out, format, i ? "," : "", i);
    buf_str(out, str_of(last));
    return buf_view(out);
}

#define NAMED "%s\"%d\":" T("U8", "[0]", "0", "0")

static void the_limits_are_those_that_are_told(void **state)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf enough = {0}, many = {0}, wide = {0};
    struct tensor_list list;
    struct error err = {0};
    (void)state;
    assert_int_equal(OK, pass_on(&arena, repeated(&enough, "{", NAMED, TENSORS_MOST, "}"), &list, &err));
    assert_int_equal(TENSORS_MOST, list.count);
    assert_int_equal(TOO_LARGE, pass_on(&arena, repeated(&many, "{", NAMED, TENSORS_MOST + 1, "}"), &list, &err));
    /* Dimensions of two characters each become eight bytes in the table. */
    repeated(&wide, "{\"a\":{\"dtype\":\"U8\",\"shape\":[", "%s1", TENSOR_VALUES_MOST - 100,
             "],\"data_offsets\":[0,1]}}");
    assert_int_equal(OK, pass_on(&arena, buf_view(&wide), &list, &err));
    wide.len = 0;
    repeated(&wide, "{\"a\":{\"dtype\":\"U8\",\"shape\":[", "%s1", TENSOR_VALUES_MOST + 1,
             "],\"data_offsets\":[0,1]}}");
    assert_int_equal(TOO_LARGE, pass_on(&arena, buf_view(&wide), &list, &err));
}

/* A child in wrong hands. */

static void answers_that_cannot_be_are_no_answers(void **state)
{
#define LEN(n) "\0\0\0" n
#define HEAD LEN("\1") "a" LEN("\2") "U8"
    static const struct str lies[] = {
        STR(""),
        STR("X"),
        STR("t"),
        STR("T\0"),
        STR("T\0\0\0"),
        STR("T\xff\xff\xff\xff"
            "a"),                                           /* a name beyond the end */
        STR("T" LEN("\1") "\xff" LEN("\2") "U8" LEN("\0")), /* not UTF-8 */
        STR("T" LEN("\1") "\0" LEN("\2") "U8" LEN("\0")),   /* NUL */
        STR("T" LEN("\1") "a" LEN("\2") "u8" LEN("\0")),    /* an unknown type */
        STR("T" HEAD),
        STR("T" HEAD LEN("\1") "\0\0\0\0\0\0\0"), /* cut off */
        STR("T" HEAD "\xff\xff\xff\xff"
            "\0\0\0\0\0\0\0\1"),                      /* more dimensions than bytes */
        STR("T" HEAD LEN("\1") "\x80\0\0\0\0\0\0\0"), /* a negative one */
        STR("T" HEAD LEN("\2") "\0\0\0\1\0\0\0\0"
                               "\0\0\0\1\0\0\0\0"),                                       /* 2^64 elements */
        STR("T" LEN("\1") "a" LEN("\3") "F64" LEN("\1") "\x20\0\0\0\0\0\0\0"),            /* 2^64 bytes */
        STR("T" LEN("\1") "a" LEN("\2") "F4" LEN("\1") "\0\0\0\0\0\0\0\3"),               /* a byte and a half */
        STR("T" HEAD LEN("\1") "\x40\0\0\0\0\0\0\0" HEAD LEN("\1") "\x40\0\0\0\0\0\0\0"), /* 2^63 bytes together */
        STR("T" HEAD LEN("\0") "x"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        auto_arena struct arena arena = {0};
        struct tensor_list list;
        struct error err = {0};
        if (tensor_table_read(&arena, lies[i], &list, &err) != UNAVAILABLE)
            fail_msg("lie %zu was believed", i);
    }
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    assert_int_equal(
        OK, tensor_table_read(&arena, STR("T" HEAD LEN("\0")), &list, NULL)); /* so that the lies are what was wrong */
}

static void reasons_are_cut_to_what_can_be_shown(void **state)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf endless = {0};
    struct tensor_list list;
    struct error err = {0};
    (void)state;
    assert_int_equal(INVALID, tensor_table_read(&arena, STR("I\xff\xfe"), &list, &err));
    assert_string_equal("The header is not valid", err.message);
    assert_int_equal(INVALID, tensor_table_read(&arena, STR("I\0hidden"), &list, &err));
    assert_string_equal("The header is not valid", err.message);
    assert_int_equal(TOO_LARGE, tensor_table_read(&arena, STR("L"), &list, &err));
    buf_byte(&endless, 'I');
    for (int i = 0; i < 5000; i++)
        buf_byte(&endless, 'x');
    assert_int_equal(UNAVAILABLE, tensor_table_read(&arena, buf_view(&endless), &list, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_child_found_arrives),
        cmocka_unit_test(what_it_refused_arrives_with_the_reason),
        cmocka_unit_test(the_limits_are_those_that_are_told),
        cmocka_unit_test(answers_that_cannot_be_are_no_answers),
        cmocka_unit_test(reasons_are_cut_to_what_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
