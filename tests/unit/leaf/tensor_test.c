/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tensors of a file, and the tree over them. The golden root was computed by a few lines of Python. */
#include "base/text.h"
#include "leaf/tensor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T(name, dtype, shape, begin, end)                                                                              \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const char header[] = "{" T("z", "F32", "[2,3]", 0, 24) "," T("a", "U8", "[]", 24, 25) "," T(
    "e", "I8", "[0]", 25, 25) "," T("m", "BF16", "[7]", 25, 39) "," T("x", "BOOL", "[1]", 39, 40) "}";

static struct tensor_list parsed(struct arena *arena, const char *text)
{
    struct tensor_list list;
    struct error err;
    assert_int_equal(OK, tensor_header_parse(arena, str_of(text), &list, &err));
    return list;
}

/* Hashes the bytes 0, 1, 2, … as the file's data, in pieces of that size. */
static bool hash(struct tensor_list *list, size_t len, size_t piece)
{
    struct tensor_hasher hasher;
    uint8_t data[64];
    bool fits = true;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    tensor_hasher_start(&hasher, list);
    for (size_t at = 0; at < len; at += piece)
        fits = tensor_hasher_add(&hasher, data + at, len - at < piece ? len - at : piece) && fits;
    return tensor_hasher_end(&hasher) && fits;
}

static void the_root_is_that_of_another_implementation(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 41; piece++) {
        auto_arena struct arena arena = {0};
        struct tensor_list list = parsed(&arena, header);
        struct error err;
        assert_int_equal(5, list.count);
        assert_int_equal(40, list.bytes);
        assert_true(hash(&list, 40, piece));
        assert_int_equal(OK, tensor_sort(list.items, list.count, &err));
        struct tlog_hash root = tensor_root(list.items, list.count);
        assert_string_equal("72229f1087ab84490a57a25a300c691803e6bd2a3eeba4f451b594e534540ce9",
                            hex_encode(&arena, root.bytes, SHA256_SIZE).data);
    }
}

static void an_entry_has_its_bytes_in_order(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf entry = {0};
    struct tensor_list list = parsed(&arena, header);
    assert_true(hash(&list, 40, 40));
    tensor_entry(&list.items[0], &entry);
    assert_string_equal("000000017a00000003463332000000020000000000000002000000000000000"
                        "31d64add2a6388367c9bc2d1f1b384b069a6ef382cdaaa89771dd103e28613a25",
                        hex_encode(&arena, entry.data, entry.len).data);
}

static void too_few_and_too_many_bytes_are_noticed(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 42; len++) {
        auto_arena struct arena arena = {0};
        struct tensor_list list = parsed(&arena, header);
        assert_int_equal(len == 40, hash(&list, len, 7));
    }
}

static void a_file_without_tensors_has_no_bytes(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct tensor_list list = parsed(&arena, "{}");
    assert_true(hash(&list, 0, 1));
    assert_false(hash(&list, 1, 1));
}

static void names_twice_are_refused_for_what_differs(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct tensor_list list = parsed(&arena, header);
    struct tensor two[2] = {list.items[0], list.items[0]};
    struct error err;
    assert_int_equal(OK, tensor_sort(two, 2, &err)); /* the same again counts once */
    two[1].digest[0] ^= 1;
    assert_int_equal(INVALID, tensor_sort(two, 2, &err));
    assert_non_null(strstr(err.message, "\"z\" is there twice"));
    two[1].name = STR("y");
    assert_int_equal(OK, tensor_sort(two, 2, &err));
    assert_true(str_eq(two[0].name, STR("y")));
}

static void the_length_of_a_header_has_a_limit(void **state)
{
    (void)state;
    const uint8_t small[8] = {0x39, 0x30}, largest[8] = {0, 0, 0x90, 1}, larger[8] = {1, 0, 0x90, 1},
                  huge[8] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    struct error err;
    int64_t size;
    assert_int_equal(OK, tensor_header_size(small, &size, &err));
    assert_int_equal(12345, size);
    assert_int_equal(OK, tensor_header_size(largest, &size, &err));
    assert_int_equal(TENSOR_HEADER_MOST, size);
    assert_int_equal(TOO_LARGE, tensor_header_size(larger, &size, &err));
    assert_int_equal(TOO_LARGE, tensor_header_size(huge, &size, &err));
}

static void a_header_has_a_limit_of_values(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct tensor_list list;
    struct error err;
    buf_str(&text, STR("{\"a\":["));
    for (int i = 0; i < TENSOR_VALUES_MOST; i++)
        buf_str(&text, STR("1,"));
    buf_str(&text, STR("1]}"));
    assert_int_equal(TOO_LARGE, tensor_header_parse(&arena, buf_view(&text), &list, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_is_that_of_another_implementation),
        cmocka_unit_test(an_entry_has_its_bytes_in_order),
        cmocka_unit_test(too_few_and_too_many_bytes_are_noticed),
        cmocka_unit_test(a_file_without_tensors_has_no_bytes),
        cmocka_unit_test(names_twice_are_refused_for_what_differs),
        cmocka_unit_test(the_length_of_a_header_has_a_limit),
        cmocka_unit_test(a_header_has_a_limit_of_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
