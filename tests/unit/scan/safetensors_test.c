/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the child makes of a safetensors header, called without the child. */
#include "base/arena.h"
#include "scan/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T(dtype, shape, begin, end) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void gives(const char *header, const char *expected)
{
    auto_buf struct buf out = {0};
    struct error err = {0};
    if (safetensors_summary(str_of(header), &out, &err) != OK)
        fail_msg("%s: %s", header, err.message);
    buf_byte(&out, 0);
    assert_string_equal(expected, out.data);
}

static void refuses(const char *header, const char *reason)
{
    auto_buf struct buf out = {0};
    struct error err = {0};
    assert_int_equal(INVALID, safetensors_summary(str_of(header), &out, &err));
    if (!str_has(str_of(err.message), str_of(reason)))
        fail_msg("%s: %s", header, err.message);
    assert_int_equal(0, out.len);
}

static void a_good_header_is_summed_by_dtype(void **state)
{
    (void)state;
    gives("{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T("F32", "[2,3]", "0", "24") ",\"b\":" T(
              "F16", "[4]", "24", "32") ",\"c\":" T("F32", "[]", "32", "36") "}   ",
          "{\"parameters\":{\"F32\":7,\"F16\":4},\"total\":11,\"tensors\":3}");
    gives("{}", "{\"parameters\":{},\"total\":0,\"tensors\":0}");
    gives("{\"b\":" T("I8", "[2]", "3", "5") ",\"a\":" T("U8", "[3]", "0", "3") "}",
          "{\"parameters\":{\"I8\":2,\"U8\":3},\"total\":5,\"tensors\":2}");
}

static void empty_tensors_take_no_space(void **state)
{
    (void)state;
    gives("{\"a\":" T("F32", "[0]", "0", "0") ",\"b\":" T("F32", "[1]", "0", "4") ",\"c\":" T("I8", "[5,0]", "4",
                                                                                              "4") "}",
          "{\"parameters\":{\"F32\":1},\"total\":1,\"tensors\":3}");
    refuses("{\"a\":" T("F32", "[0]", "0", "4") "}", "do not fit");
}

static void small_elements_fill_whole_bytes(void **state)
{
    (void)state;
    gives("{\"a\":" T("F4", "[2,3]", "0", "3") "}", "{\"parameters\":{\"F4\":6},\"total\":6,\"tensors\":1}");
    refuses("{\"a\":" T("F4", "[3]", "0", "1") "}", "do not fit");
}

static void wrong_members_are_refused(void **state)
{
    (void)state;
    refuses("{\"a\":" T("F31", "[1]", "0", "4") "}", "dtype");
    refuses("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype");
    refuses("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "shape");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets");
    refuses("{\"a\":" T("F32", "[-1]", "0", "4") "}", "shape");
    refuses("{\"a\":" T("F32", "[1.0]", "0", "4") "}", "shape");
    refuses("{\"a\":" T("F32", "[\"1\"]", "0", "4") "}", "shape");
    refuses("{\"a\":" T("F32", "{}", "0", "4") "}", "shape");
    refuses("{\"a\":" T("F32", "[1]", "0", "4,5") "}", "data_offsets");
    refuses("{\"a\":" T("F32", "[1]", "-4", "0") "}", "data_offsets");
    refuses("{\"a\":" T("F32", "[1]", "4", "0") "}", "data_offsets");
    refuses("{\"a\":7}", "dtype");
    refuses("{\"__metadata__\":{\"x\":1}}", "__metadata__");
    refuses("{\"__metadata__\":[]}", "__metadata__");
}

static void offsets_must_fit_the_shape_and_each_other(void **state)
{
    (void)state;
    gives("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "4", "8") "}",
          "{\"parameters\":{\"F32\":2},\"total\":2,\"tensors\":2}");
    refuses("{\"a\":" T("F32", "[1]", "0", "5") "}", "do not fit");
    refuses("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "2", "6") "}", "overlap or leave a gap");
    refuses("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "5", "9") "}", "overlap or leave a gap");
    refuses("{\"a\":" T("F32", "[1]", "1", "5") "}", "overlap or leave a gap");
}

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    refuses("{\"a\":" T("F32", "[4294967296,4294967296]", "0", "0") "}", "shape");
    refuses("{\"a\":" T("F64", "[9223372036854775807]", "0", "0") "}", "do not fit");
    refuses("{\"a\":" T("U8", "[9223372036854775808]", "0", "0") "}", "JSON");
    refuses("{\"a\":" T("I8", "[1]", "9223372036854775807", "9223372036854775807") "}", "do not fit");
}

static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    refuses("", "JSON");
    refuses("[]", "not a JSON object");
    refuses("{\"a\":" T("F32", "[1]", "0", "4"), "JSON");
    refuses("{\"a\":" T("F32", "[1]", "0", "4") ",\"a\":" T("F32", "[1]", "4", "8") "}", "JSON");
    refuses("{\"\xff\":" T("F32", "[1]", "0", "4") "}", "JSON");
    refuses("{} x", "JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_header_is_summed_by_dtype),
        cmocka_unit_test(empty_tensors_take_no_space),
        cmocka_unit_test(small_elements_fill_whole_bytes),
        cmocka_unit_test(wrong_members_are_refused),
        cmocka_unit_test(offsets_must_fit_the_shape_and_each_other),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(what_is_no_header_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
