/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/str.h"

#include "check.h"

static const struct str absent = {NULL, 0};

static void absent_and_empty_are_told_apart_but_compare_equal(void **state)
{
    (void)state;
    assert_false(str_given(str_of(NULL)));
    assert_true(str_given(str_of("")));
    assert_true(str_eq(absent, STR("")));
    assert_true(str_eq_nocase(absent, STR("")));
    assert_int_equal(str_cmp(absent, STR("")), 0);
    assert_true(str_starts(absent, absent));
    assert_true(str_has(absent, absent));
    assert_false(str_has(absent, STR("a")));
    assert_false(str_given(str_from(absent, 3)));
}

static void comparison_is_bytewise_and_sees_every_byte(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("\xC3\x84"), STR("\xC3\xA4"))); /* letters beyond ASCII keep their case */
    assert_false(str_eq_nocase(STR("@["), STR("`{")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("b"), STR("ab")) > 0);
    assert_true(str_cmp(STR("\xFF"), STR("a")) > 0);
}

static void prefixes_suffixes_and_parts_are_found(void **state)
{
    (void)state;
    assert_true(str_starts(STR("refs/heads/x"), STR("refs/")));
    assert_false(str_starts(STR("ref"), STR("refs/")));
    assert_true(str_ends(STR("a.lock"), STR(".lock")));
    assert_false(str_ends(STR("lock"), STR(".lock")));
    assert_true(str_has(STR("a..b"), STR("..")));
    assert_false(str_has(STR("a.b"), STR("..")));
}

static void trimming_takes_ascii_space_off_both_ends_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t\r\n a b \v\f")), "a b");
    assert_str(str_trim(STR("  ")), "");
    assert_str(str_trim(STR("\xC2\xA0x")), "\xC2\xA0x");
}

static void slices_stay_within_the_string(void **state)
{
    (void)state;
    assert_str(str_from(STR("abc"), 1), "bc");
    assert_str(str_from(STR("abc"), 9), "");
    assert_str(str_slice(STR("abc"), 1, 1), "b");
    assert_str(str_slice(STR("abc"), 1, SIZE_MAX), "bc");
    assert_str(str_slice(STR("abc"), SIZE_MAX, SIZE_MAX), "");
}

static void cutting_gives_every_piece_once(void **state)
{
    (void)state;
    const struct {
        const char *text, *pieces[4];
    } table[] = {{"a,b", {"a", "b"}}, {"a,", {"a", ""}}, {"", {""}}, {",,", {"", "", ""}}};
    for (size_t i = 0; i < COUNT(table); i++) {
        struct str rest = str_of(table[i].text), piece;
        size_t n = 0;
        for (; str_cut(&rest, ',', &piece); n++)
            assert_str(piece, table[i].pieces[n]);
        assert_null(table[i].pieces[n]);
        assert_false(str_given(rest));
    }
}

static void whole_numbers_are_read_to_the_last_digit(void **state)
{
    (void)state;
    int64_t n;
    assert_true(str_to_i64(STR("0"), &n) && n == 0);
    assert_true(str_to_i64(STR("0042"), &n) && n == 42);
    assert_true(str_to_i64(STR("9223372036854775807"), &n) && n == INT64_MAX);
}

static void what_is_not_a_whole_number_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "99999999999999999999",
                               "a"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t n = 7;
        assert_false(str_to_i64(str_of(bad[i]), &n));
        assert_int_equal(n, 7);
    }
    int64_t n;
    assert_false(str_to_i64(absent, &n));
    assert_false(str_to_i64(STR("1\0"), &n));
}

static void well_formed_utf8_is_accepted(void **state)
{
    (void)state;
    const struct str good[] = {STR(""),
                               STR("a\0b"),
                               STR("\xC2\x80"),
                               STR("\xDF\xBF"),
                               STR("\xE0\xA0\x80"),
                               STR("\xED\x9F\xBF"),
                               STR("\xEE\x80\x80"),
                               STR("\xEF\xBF\xBF"),
                               STR("\xF0\x90\x80\x80"),
                               STR("\xF4\x8F\xBF\xBF"),
                               STR("12345678\xC3\xA9 12345678")};
    for (size_t i = 0; i < COUNT(good); i++) {
        struct str copy = exact(good[i]);
        assert_true(str_is_utf8(copy));
        done(copy);
    }
    assert_true(str_is_utf8(absent));
}

static void malformed_utf8_is_refused(void **state)
{
    (void)state;
    const struct str bad[] = {STR("\x80"),
                              STR("\xC0\x80"),
                              STR("\xC1\xBF"),
                              STR("\xC3"),
                              STR("\xC3("),
                              STR("\xE0\x9F\xBF"),
                              STR("\xE2\x82"),
                              STR("\xED\xA0\x80"),
                              STR("\xED\xBF\xBF"),
                              STR("\xF0\x8F\xBF\xBF"),
                              STR("\xF0\x9F\x97"),
                              STR("\xF4\x90\x80\x80"),
                              STR("\xF5\x80\x80\x80"),
                              STR("\xFF"),
                              STR("12345678\xFE"),
                              STR("1234567\xC3")};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct str copy = exact(bad[i]);
        assert_false(str_is_utf8(copy));
        done(copy);
    }
}

static void one_character_is_decoded_with_its_length(void **state)
{
    (void)state;
    uint32_t c;
    assert_true(str_utf8_char(STR("az"), &c) == 1 && c == 'a');
    assert_true(str_utf8_char(STR("\xC3\xA9z"), &c) == 2 && c == 0xE9);
    assert_true(str_utf8_char(STR("\xE2\x80\x8Cz"), &c) == 3 && c == 0x200C);
    assert_true(str_utf8_char(STR("\xF0\x9F\x97\xBBz"), &c) == 4 && c == 0x1F5FB);
    assert_int_equal(str_utf8_char(absent, &c), 0);
    assert_int_equal(str_utf8_char(STR("\xE2\x80"), &c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_and_empty_are_told_apart_but_compare_equal),
        cmocka_unit_test(comparison_is_bytewise_and_sees_every_byte),
        cmocka_unit_test(prefixes_suffixes_and_parts_are_found),
        cmocka_unit_test(trimming_takes_ascii_space_off_both_ends_only),
        cmocka_unit_test(slices_stay_within_the_string),
        cmocka_unit_test(cutting_gives_every_piece_once),
        cmocka_unit_test(whole_numbers_are_read_to_the_last_digit),
        cmocka_unit_test(what_is_not_a_whole_number_is_refused_and_changes_nothing),
        cmocka_unit_test(well_formed_utf8_is_accepted),
        cmocka_unit_test(malformed_utf8_is_refused),
        cmocka_unit_test(one_character_is_decoded_with_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
