/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../base/check.h"
#include "webauthn/cbor.h"

#define BYTES(...) ((struct str){(const char[]){__VA_ARGS__}, sizeof((const char[]){__VA_ARGS__})})

static bool next(struct str data, struct cbor_item *out)
{
    struct str copy = exact(data);
    struct cbor from = cbor_of(copy);
    bool good = cbor_next(&from, out);
    done(copy);
    return good;
}

static bool skips(struct str data)
{
    struct str copy = exact(data);
    struct cbor from = cbor_of(copy);
    bool good = cbor_skip(&from) && cbor_ends(&from);
    done(copy);
    return good;
}

/* RFC 8949, appendix A. */
static void numbers_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        int64_t number;
    } rows[] = {{"00", 0},
                {"17", 23},
                {"1818", 24},
                {"1864", 100},
                {"1903e8", 1000},
                {"1a000f4240", 1000000},
                {"1b000000e8d4a51000", 1000000000000},
                {"20", -1},
                {"29", -10},
                {"3863", -100},
                {"3903e7", -1000}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[9];
        struct cbor_item item;
        size_t len = strlen(rows[i].hex) / 2;
        assert_true(hex_decode(str_of(rows[i].hex), bytes, len));
        assert_true(next((struct str){(const char *)bytes, len}, &item));
        assert_int_equal(rows[i].number, item.number);
        for (size_t cut = 0; cut < len; cut++)
            assert_false(next((struct str){(const char *)bytes, cut}, &item));
    }
}

static void a_number_has_one_form(void **state)
{
    (void)state;
    struct cbor_item item;
    assert_false(next(BYTES(0x18, 23), &item));
    assert_false(next(BYTES(0x19, 0, 255), &item));
    assert_false(next(BYTES(0x1a, 0, 0, 255, 255), &item));
    assert_false(next(BYTES(0x1b, 0, 0, 0, 0, 255, 255, 255, 255), &item));
    assert_false(next(BYTES(0x1b, 128, 0, 0, 0, 0, 0, 0, 0), &item)); /* more than an int64_t holds */
    assert_false(next(BYTES(0x3b, 255, 255, 255, 255, 255, 255, 255, 255), &item));
    assert_false(next(BYTES(0x1c), &item));
    assert_false(next(BYTES(0x1f), &item));
}

static void texts_and_bytes_are_views_within_what_was_given(void **state)
{
    (void)state;
    struct str data = BYTES(0x64, 'I', 'E', 'T', 'F', 0x44, 1, 2, 3, 4);
    struct cbor from = cbor_of(data);
    struct cbor_item item;
    assert_true(cbor_next(&from, &item) && item.kind == CBOR_TEXT);
    assert_str(item.bytes, "IETF");
    assert_ptr_equal(data.data + 1, item.bytes.data);
    assert_true(cbor_next(&from, &item) && item.kind == CBOR_BYTES && item.bytes.len == 4 && cbor_ends(&from));
    assert_false(next(BYTES(0x64, 'I', 'E', 'T'), &item));
    assert_false(next(BYTES(0x5b, 127, 255, 255, 255, 255, 255, 255, 255, 0), &item));
    assert_false(next(BYTES(0x62, (char)0xc3, 0x28), &item)); /* no UTF-8 */
}

static void what_authenticators_do_not_write_is_refused(void **state)
{
    (void)state;
    struct cbor_item item;
    static const uint8_t first[] = {0x5f, 0x7f, 0x9f, 0xbf, 0xc0, 0xd8, 0xf8, 0xf9, 0xfa, 0xfb, 0xff, 0xe0, 0xf3};
    for (size_t i = 0; i < sizeof first; i++) {
        const char bytes[9] = {(char)first[i]};
        assert_false(next((struct str){bytes, sizeof bytes}, &item));
    }
    for (int simple = 0xf4; simple <= 0xf7; simple++)
        assert_true(next(BYTES((char)simple), &item));
}

static void whole_items_are_passed_over_to_a_depth(void **state)
{
    (void)state;
    assert_true(skips(BYTES((char)0xa2, 1, 2, 3, (char)0x82, 4, (char)0xf5)));
    assert_true(skips(BYTES((char)0x81, (char)0x81, (char)0x81, (char)0x80)));
    assert_false(skips(BYTES((char)0x81, (char)0x81, (char)0x81, (char)0x81, 0)));
    assert_false(skips(BYTES((char)0xa2, 1, 2, 3)));
    assert_false(skips(BYTES((char)0x9b, 127, 255, 255, 255, 255, 255, 255, 255)));
    assert_false(skips(BYTES((char)0xbb, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0)));
    assert_false(skips(STR("")));
    auto_buf struct buf deep = {0};
    for (int i = 0; i < 100000; i++)
        buf_byte(&deep, (char)0x81);
    assert_false(skips(buf_view(&deep)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_standard),
        cmocka_unit_test(a_number_has_one_form),
        cmocka_unit_test(texts_and_bytes_are_views_within_what_was_given),
        cmocka_unit_test(what_authenticators_do_not_write_is_refused),
        cmocka_unit_test(whole_items_are_passed_over_to_a_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
