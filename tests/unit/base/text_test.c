/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include "check.h"

static void hexadecimal_goes_there_and_back(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    uint8_t bytes[256], back[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    struct str text = hex_encode(&arena, bytes, sizeof bytes);
    assert_int_equal(text.len, 512);
    assert_true(str_starts(text, STR("000102030405060708090a0b")));
    assert_true(hex_decode(text, back, sizeof back));
    assert_memory_equal(back, bytes, sizeof bytes);
    auto_buf struct buf added = {0};
    hex_add(&added, bytes, 1);
    hex_add(&added, bytes + 1, 255);
    assert_true(str_eq(buf_view(&added), text));
    assert_true(hex_decode(STR("aBFf"), back, 2));
    assert_memory_equal(back, "\xAB\xFF", 2);
    assert_str(hex_encode(&arena, NULL, 0), "");
    assert_true(hex_decode(STR(""), back, 0));
}

static void hexadecimal_of_another_length_or_alphabet_is_refused(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_false(hex_decode(STR("abc"), out, 1));
    assert_false(hex_decode(STR("abcd"), out, 1));
    assert_false(hex_decode(STR("abcd"), out, 3));
    assert_false(hex_decode(STR("ag"), out, 1));
    assert_false(hex_decode(STR(" a"), out, 1));
    assert_false(hex_decode(STR("0x"), out, 1));
    assert_false(hex_decode(STR("ab"), out, SIZE_MAX / 2 + 2)); /* twice this is 2 again */
}

/* RFC 4648 section 10. */
static const struct {
    struct str plain, encoded;
} base64_table[] = {
    {{"", 0}, {"", 0}},
    {{"f", 1}, {"Zg==", 4}},
    {{"fo", 2}, {"Zm8=", 4}},
    {{"foo", 3}, {"Zm9v", 4}},
    {{"foob", 4}, {"Zm9vYg==", 8}},
    {{"fooba", 5}, {"Zm9vYmE=", 8}},
    {{"foobar", 6}, {"Zm9vYmFy", 8}},
    {{"\xFB\xEF\xBE\x00\xFF", 5}, {"++++AP8=", 8}},
    {{"\xFF\xFF\xFF", 3}, {"////", 4}},
};

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    for (size_t i = 0; i < COUNT(base64_table); i++) {
        struct str plain = exact(base64_table[i].plain), encoded = exact(base64_table[i].encoded), back;
        assert_true(str_eq(base64_encode(&arena, plain), encoded));
        assert_true(base64_decode(&arena, encoded, &back));
        assert_true(str_eq(back, plain));
        auto_buf struct buf out = {0};
        buf_byte(&out, '>');
        assert_true(base64_decode_into(encoded, &out));
        assert_true(str_eq(str_from(buf_view(&out), 1), plain));
        done(plain);
        done(encoded);
    }
}

static void every_byte_survives_base64_at_every_place(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    unsigned char bytes[258];
    for (size_t shift = 0; shift < 3; shift++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(i * 7 + shift);
        struct str all = {(char *)bytes, sizeof bytes - shift}, back;
        assert_true(base64_decode(&arena, base64_encode(&arena, all), &back));
        assert_true(str_eq(all, back));
    }
}

static void base64url_has_two_other_digits_and_no_padding(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str back;
    static const struct {
        struct str plain, encoded;
    } table[] = {{{"", 0}, {"", 0}},
                 {{"\xfb\xff", 2}, {"-_8", 3}},
                 {{"f", 1}, {"Zg", 2}},
                 {{"foob", 4}, {"Zm9vYg", 6}},
                 {{"\xff\xff\xff", 3}, {"____", 4}}};
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_true(str_eq(base64url_encode(&arena, table[i].plain), table[i].encoded));
        struct str copy = exact(table[i].encoded);
        assert_true(base64url_decode(&arena, copy, &back) && str_eq(back, table[i].plain));
        done(copy);
    }
    static const char *const wrong[] = {"Zg==", "+/8", "-_9", "A", "Zm9vY", "Z g", "Zg\n", "Zh"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(base64url_decode(&arena, str_of(wrong[i]), &back));
}

static void malformed_base64_is_refused_and_leaves_the_buffer_alone(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct str bad[] = {
        STR("Z"),        STR("Zg"),      STR("Zg="),  STR("Zg==Zg=="), STR("Zm9v Zm9v"), STR("Zm9v\n"),
        STR("Zm9vZm9-"), STR("===="),    STR("Z==="), STR("=Zg="),     STR("Zg=v"),      STR("Zm9_"),
        STR("Zm\0v"),    STR("Zm9\x80"), STR("Zh=="), STR("Zm9="),     STR("Zm=vZm9v"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct str copy = exact(bad[i]), out;
        auto_buf struct buf buf = {0};
        buf_str(&buf, STR("kept"));
        if (base64_decode(&arena, copy, &out) || base64_decode_into(copy, &buf))
            broken("accepted %s", bad[i].data);
        assert_str(buf_view(&buf), "kept");
        done(copy);
    }
}

static void percent_encoding_keeps_what_it_may(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    assert_str(percent_encode(&arena, STR("aZ09-._~"), false), "aZ09-._~");
    assert_str(percent_encode(&arena, STR("a b/c?d%\xC3\xA9"), false), "a%20b%2Fc%3Fd%25%C3%A9");
    assert_str(percent_encode(&arena, STR("a b/c:d,+"), true), "a%20b/c%3Ad%2C%2B");
    assert_str(percent_encode(&arena, STR(""), true), "");
}

static void percent_decoding_undoes_it_for_every_byte_but_nul(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    char bytes[255];
    for (int i = 0; i < 255; i++)
        bytes[i] = (char)(i + 1);
    struct str all = {bytes, sizeof bytes}, back;
    for (int keep = 0; keep < 2; keep++) {
        assert_true(percent_decode(&arena, percent_encode(&arena, all, keep), &back));
        assert_true(str_eq(back, all));
    }
    assert_true(percent_decode(&arena, STR("%2f+%C3%a9%25zz"), &back)); /* once only; '+' is itself */
    assert_str(back, "/+\xC3\xA9%zz");
}

static void bad_percent_encoding_is_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct str bad[] = {STR("%"),   STR("a%2"), STR("%zz"), STR("%2g"), STR("%%20"),
                              STR("%00"), STR("a\0"), STR("% 1"), STR("%+1"), STR("x%2fx%0")};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct str copy = exact(bad[i]), out;
        if (percent_decode(&arena, copy, &out))
            broken("accepted %s", bad[i].data);
        done(copy);
    }
}

static void a_form_is_read_pair_by_pair(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct {
        const char *form, *pairs[7];
    } table[] = {
        {"", {0}},
        {"a=1&b=2", {"a", "1", "b", "2"}},
        {"a", {"a", ""}},
        {"a=", {"a", ""}},
        {"=v", {"", "v"}},
        {"a=b=c", {"a", "b=c"}},
        {"&&a=1&&", {"a", "1"}},
        {"a=x+y%2B%26z&%C3%A9+=%3D", {"a", "x y+&z", "\xC3\xA9 ", "="}},
        {"a=1&a=2&a=3", {"a", "1", "a", "2", "a", "3"}},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct str rest = str_of(table[i].form), name, value;
        size_t n = 0;
        for (; form_next(&arena, &rest, &name, &value); n += 2) {
            assert_non_null(table[i].pairs[n]);
            assert_str(name, table[i].pairs[n]);
            assert_str(value, table[i].pairs[n + 1]);
        }
        assert_null(table[i].pairs[n]);
        assert_false(str_given(rest));
    }
}

static void a_form_with_bad_encoding_stops_at_the_bad_pair(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str rest = STR("a=1&b=%zz&c=3"), name, value;
    assert_true(form_next(&arena, &rest, &name, &value));
    assert_false(form_next(&arena, &rest, &name, &value));
    assert_str(rest, "b=%zz&c=3");
    rest = STR("%00=1");
    assert_false(form_next(&arena, &rest, &name, &value));
    assert_true(str_given(rest));
}

static void lower_case_is_for_ascii_only(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    assert_str(str_lower(&arena, STR("aBC@[`{\xC3\x84Z9")), "abc@[`{\xC3\x84z9");
    assert_str(str_lower(&arena, STR("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_goes_there_and_back),
        cmocka_unit_test(hexadecimal_of_another_length_or_alphabet_is_refused),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(every_byte_survives_base64_at_every_place),
        cmocka_unit_test(base64url_has_two_other_digits_and_no_padding),
        cmocka_unit_test(malformed_base64_is_refused_and_leaves_the_buffer_alone),
        cmocka_unit_test(percent_encoding_keeps_what_it_may),
        cmocka_unit_test(percent_decoding_undoes_it_for_every_byte_but_nul),
        cmocka_unit_test(bad_percent_encoding_is_refused),
        cmocka_unit_test(a_form_is_read_pair_by_pair),
        cmocka_unit_test(a_form_with_bad_encoding_stops_at_the_bad_pair),
        cmocka_unit_test(lower_case_is_for_ascii_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
