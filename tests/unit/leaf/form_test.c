/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Models in the form in which they are trained, and their numbers back from it. */
#include "leaf/form.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static unsigned dtype(const char *name)
{
    unsigned out = 0;
    assert_true(tensor_dtype_find(str_of(name), &out));
    return out;
}

static float widen(unsigned of, uint16_t half)
{
    float out;
    form_widen(of, &half, &out, 1);
    return out;
}

static uint16_t narrow(unsigned of, float value)
{
    uint16_t out;
    form_narrow(of, &value, &out, 1);
    return out;
}

/* The neighbours of a number above zero. */
static float beside(float value, int step)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint32_t)step;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

static float to_zero(float value)
{
    return beside(value, -1);
}

static float from_zero(float value)
{
    return beside(value, 1);
}

static void every_number_of_two_bytes_comes_back(void **state)
{
    (void)state;
    const unsigned kinds[] = {dtype("F16"), dtype("BF16")};
    for (size_t k = 0; k < 2; k++)
        for (uint32_t bits = 0; bits < 65536; bits++) {
            float wide = widen(kinds[k], (uint16_t)bits);
            if (isnan(wide))
                assert_true(isnan(widen(kinds[k], narrow(kinds[k], wide))));
            else
                assert_int_equal(bits, narrow(kinds[k], wide));
        }
    assert_true(widen(kinds[0], 0x3c00) == 1 && widen(kinds[0], 0xc000) == -2 && widen(kinds[0], 0x7bff) == 65504);
    assert_true(widen(kinds[0], 1) == 0x1p-24f && widen(kinds[0], 0x0400) == 0x1p-14f);
    assert_true(widen(kinds[1], 0x3f80) == 1 && widen(kinds[1], 0x4049) == 3.140625f);
}

/* Between any two neighbours: to the nearest, and in the middle to the even one. */
static void numbers_go_to_the_nearest_and_from_the_middle_to_the_even_one(void **state)
{
    (void)state;
    const unsigned kinds[] = {dtype("F16"), dtype("BF16")};
    for (size_t k = 0; k < 2; k++)
        for (uint32_t bits = 0; bits < (k ? 0x7f7f : 0x7bff); bits++) {
            float low = widen(kinds[k], (uint16_t)bits), high = widen(kinds[k], (uint16_t)(bits + 1));
            float middle = (float)(((double)low + (double)high) / 2);
            assert_int_equal(bits & 1 ? bits + 1 : bits, narrow(kinds[k], middle));
            if (middle > low && middle < high && to_zero(middle) < middle) {
                assert_int_equal(bits, narrow(kinds[k], to_zero(middle)));
                assert_int_equal(bits + 1, narrow(kinds[k], from_zero(middle)));
                assert_int_equal(bits | 0x8000, narrow(kinds[k], -to_zero(middle)));
            }
        }
    assert_int_equal(0x7bff, narrow(kinds[0], to_zero(65520)));
    assert_int_equal(0x7c00, narrow(kinds[0], 65520));
    assert_int_equal(0xfc00, narrow(kinds[0], -1e30f));
    assert_int_equal(0, narrow(kinds[0], 0x1p-25f));
    assert_int_equal(1, narrow(kinds[0], from_zero(0x1p-25f)));
    assert_int_equal(0, narrow(kinds[0], 0x1p-30f));
}

static void doubles_lose_what_float_does_not_hold(void **state)
{
    (void)state;
    const double from[2] = {0.1, -1e300};
    float to[2];
    double back[2];
    form_widen(dtype("F64"), from, to, 2);
    assert_true(to[0] == 0.1f && isinf(to[1]));
    form_narrow(dtype("F64"), to, back, 1);
    assert_true(back[0] == (double)0.1f && form_size(dtype("F64")) == 8 && form_size(dtype("BF16")) == 2);
}

static void whole_numbers_are_left_out_and_others_refused(void **state)
{
    (void)state;
    static const char *const trained[] = {"F16", "BF16", "F32", "F64"};
    static const char *const left[] = {"I64", "I8", "U8", "U64", "BOOL"};
    static const char *const neither[] = {"F8_E4M3", "F8_E8M0", "F4", "C64"};
    for (size_t i = 0; i < 4; i++)
        assert_true(form_has(dtype(trained[i])) && !form_leaves_out(dtype(trained[i])));
    for (size_t i = 0; i < 5; i++)
        assert_true(!form_has(dtype(left[i])) && form_leaves_out(dtype(left[i])));
    for (size_t i = 0; i < 4; i++)
        assert_true(!form_has(dtype(neither[i])) && !form_leaves_out(dtype(neither[i])));
}

static void a_form_is_read_as_the_same_tensors_of_f32(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf head = {0};
    struct tensor_list list, again;
    const char *text =
        "{\"a\\\"\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},\"n\":{\"dtype\":\"I64\",\"shape\":[],"
        "\"data_offsets\":[12,20]},\"z\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[20,28]}}";
    int64_t len;
    assert_int_equal(OK, tensor_header_parse(&arena, str_of(text), &list, NULL));
    assert_true(form_is_needed(&list));
    form_head(&list, &head);
    assert_int_equal(OK, tensor_header_size((const uint8_t *)head.data, &len, NULL));
    assert_true((size_t)len + 8 == head.len && head.len % 8 == 0);
    assert_int_equal(OK, tensor_header_parse(&arena, str_from(buf_view(&head), 8), &again, NULL));
    assert_true(again.count == 2 && again.bytes == 28 && !form_is_needed(&again));
    assert_true(str_eq(again.items[0].name, STR("a\"")) && again.items[0].dimensions == 2 &&
                again.items[0].shape[1] == 3);
    assert_true(str_eq(again.items[1].name, STR("z")) && again.items[1].begin == 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_two_bytes_comes_back),
        cmocka_unit_test(numbers_go_to_the_nearest_and_from_the_middle_to_the_even_one),
        cmocka_unit_test(doubles_lose_what_float_does_not_hold),
        cmocka_unit_test(whole_numbers_are_left_out_and_others_refused),
        cmocka_unit_test(a_form_is_read_as_the_same_tensors_of_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
