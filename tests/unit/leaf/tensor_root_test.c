/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The entries of tensors and the tree over them. The golden values are tensor_root.py's, which knows nothing of this
 * code. */
#include "base/text.h"
#include "leaf/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#undef fail

#define MOST 20

static const struct {
    size_t count;
    const char *root;
} golden[] = {
    {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1, "315a6f247d42fb9794982d78e675d0435e2b139fb9e634a8297b3da19024cce9"},
    {2, "1bd60207959b4be3b6aea5df73c19b812890afe38d094cf468d6682150ba71da"},
    {3, "7e663ae3786f228379c731caa71c59ea7684d47df4780022fcd9701afe98aa89"},
    {4, "2cfdcd75c9c21a0745a2f7904d245562b4907772ee1c0961358036d18d9f1b49"},
    {5, "dda6a8382770cc0efc840ae842c777eb7806d4027eea84baecee2729b087e6a8"},
    {8, "765e1755f9f1ac06e31d024bbe4d645f0c4e2237b02b9d6c29c6da82face689a"},
    {13, "8a0cb07fbd0316d188be3d0e73ad11550103b7ae03faef5a300df73ac6b55828"},
    {20, "0036408d3af09881157cf6aefa468c92445ac9838aec0fdd14f63ea7af3e999c"},
};

/* Tensor number of tensor_root.py. */
static struct tensor make(struct arena *arena, int64_t number)
{
    const int64_t shapes[4][3] = {{0}, {number}, {2, number}, {1, number, 3}};
    int64_t *shape = arena_array(arena, 3, sizeof *shape);
    struct tensor tensor = {.shape = shape, .dimensions = number % 4, .elements = 1};
    assert_true(tensor_dtype_find(STR("U8"), &tensor.dtype));
    tensor.name = arena_printf(arena, "layer.%d.weight", (int)(number * 7 % 20));
    for (uint32_t i = 0; i < tensor.dimensions; i++)
        tensor.elements *= shape[i] = shapes[number % 4][i];
    char *raw = arena_alloc(arena, (size_t)tensor.elements + 1);
    memset(raw, (int)number, (size_t)tensor.elements);
    sha256((struct str){raw, (size_t)tensor.elements}, tensor.digest);
    return tensor;
}

static void assert_root(const struct tensor *sorted, size_t count, const char *expected)
{
    auto_arena struct arena arena = {0};
    struct tlog_hash root = tensor_root(sorted, count);
    struct str hex = hex_encode(&arena, root.bytes, SHA256_SIZE);
    assert_string_equal(expected, arena_cstr(&arena, hex));
}

static void an_entry_is_what_the_specification_says(void **state)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf entry = {0};
    const int64_t shape[] = {2, INT64_C(1) << 40};
    struct tensor tensor = {.name = STR("\xc3\xa9"), .shape = shape, .dimensions = 2};
    (void)state;
    assert_true(tensor_dtype_find(STR("BF16"), &tensor.dtype));
    sha256(STR(""), tensor.digest);
    tensor_entry(&tensor, &entry);
    assert_string_equal("00000002c3a90000000442463136000000020000000000000002000001000000000"
                        "0e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                        arena_cstr(&arena, hex_encode(&arena, entry.data, entry.len)));
}

static void roots_are_those_of_another_program(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        auto_arena struct arena arena = {0};
        struct tensor tensors[MOST];
        for (size_t number = 0; number < golden[i].count; number++)
            tensors[number] = make(&arena, (int64_t)number);
        assert_int_equal(OK, tensor_sort(tensors, golden[i].count, NULL));
        assert_root(tensors, golden[i].count, golden[i].root);
    }
}

static void any_difference_gives_another_root(void **state)
{
    auto_arena struct arena arena = {0};
    struct tensor one = make(&arena, 2), two;
    const int64_t turned[] = {2, 2};
    struct tlog_hash root = tensor_root(&one, 1), other;
    (void)state;
    for (int change = 0; change < 4; change++) {
        two = one;
        if (change == 0)
            two.name = STR("layer.14.weighs");
        if (change == 1)
            assert_true(tensor_dtype_find(STR("I8"), &two.dtype));
        if (change == 2)
            two.shape = turned + 1, two.dimensions = 1;
        if (change == 3)
            two.digest[31] ^= 1;
        other = tensor_root(&two, 1);
        assert_false(tlog_hash_eq(&root, &other));
    }
}

static void a_tensor_that_is_there_again_counts_once(void **state)
{
    auto_arena struct arena arena = {0};
    struct tensor tensors[5];
    (void)state;
    for (int number = 0; number < 4; number++)
        tensors[number] = make(&arena, number);
    tensors[4] = make(&arena, 1);
    assert_int_equal(OK, tensor_sort(tensors, 5, NULL));
    assert_root(tensors, 5, golden[4].root);
}

static void one_name_for_two_tensors_is_an_error(void **state)
{
    auto_arena struct arena arena = {0};
    struct tensor tensors[] = {make(&arena, 1), make(&arena, 2)};
    struct error err;
    (void)state;
    tensors[1].name = tensors[0].name;
    assert_int_equal(INVALID, tensor_sort(tensors, 2, &err));
    assert_true(str_has(str_of(err.message), STR("there twice")));
    tensors[1] = tensors[0];
    tensors[1].digest[0] ^= 1;
    assert_int_equal(INVALID, tensor_sort(tensors, 2, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_what_the_specification_says),
        cmocka_unit_test(roots_are_those_of_another_program),
        cmocka_unit_test(any_difference_gives_another_root),
        cmocka_unit_test(a_tensor_that_is_there_again_counts_once),
        cmocka_unit_test(one_name_for_two_tensors_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
