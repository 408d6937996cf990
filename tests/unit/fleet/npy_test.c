/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Heads of numpy's arrays. */
#include "../base/check.h"
#include "fleet/npy.h"

static struct str head_of(struct buf *room, const char *text)
{
    size_t len = strlen(text);
    room->len = 0;
    buf_add(room, "\x93NUMPY\1\0", 8);
    buf_byte(room, (char)len);
    buf_byte(room, (char)(len >> 8));
    buf_add(room, text, len);
    return buf_view(room);
}

static enum status read_text(const char *text, struct npy *out)
{
    auto_buf struct buf room = {0};
    struct error err = {0};
    enum status status = npy_read(head_of(&room, text), out, &err);
    assert_true(status == OK || err.message[0]);
    return status;
}

static void what_numpy_writes_is_understood(void **state)
{
    (void)state;
    struct npy npy;
    assert_int_equal(read_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n", &npy), OK);
    assert_true(npy.width == 4 && !npy.columns && npy.dimensions == 2 && npy.shape[0] == 3 && npy.shape[1] == 4);
    assert_int_equal(read_text("{'descr': '<f8', 'fortran_order': True, 'shape': (5,), }\n", &npy), OK);
    assert_true(npy.width == 8 && npy.columns && npy.dimensions == 1 && npy.shape[0] == 5);
    assert_int_equal(read_text("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", &npy), OK);
    assert_int_equal(npy.dimensions, 0);
}

static void what_it_does_not_write_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': Perhaps, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), } and more",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1), }",
    };
    struct npy npy;
    struct error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_text(bad[i], &npy), INVALID);
    assert_int_equal(npy_read(STR("no array at all"), &npy, &err), INVALID);
    assert_int_equal(npy_read((struct str){"\x93NUMPY\1\0\x10\0{}", 12}, &npy, &err), INVALID); /* cut off */
    assert_int_equal(npy_read((struct str){"\x93NUMPY\4\0\1\0{}", 12}, &npy, &err), INVALID); /* of a version to come */
    assert_int_equal(npy_read((struct str){"\x93NUMPY\2\0\xff\xff\xff\xff", 12}, &npy, &err), INVALID);
}

static void what_is_written_is_read_again_and_the_numbers_begin_at_a_multiple_of_64(void **state)
{
    (void)state;
    const int64_t shape[] = {2, 3, INT64_C(1) << 40};
    for (uint32_t dimensions = 0; dimensions <= 3; dimensions++) {
        const struct tensor tensor = {.shape = shape, .dimensions = dimensions};
        auto_buf struct buf out = {0};
        struct npy npy;
        struct error err = {0};
        buf_add(&out, "before", 6);
        npy_write(&tensor, &out);
        assert_int_equal(npy_read(str_from(buf_view(&out), 6), &npy, &err), OK);
        assert_true(npy.width == 4 && !npy.columns && npy.dimensions == dimensions && npy.head == out.len - 6);
        assert_int_equal(npy.head % 64, 0);
        assert_memory_equal(npy.shape, shape, dimensions * sizeof *shape);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_numpy_writes_is_understood),
        cmocka_unit_test(what_it_does_not_write_is_refused),
        cmocka_unit_test(what_is_written_is_read_again_and_the_numbers_begin_at_a_multiple_of_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
