/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bounds of the chunk decoder; its grammar is tested over a socket in smuggling_test.c and in pieces by the fuzz
 * target. */
#include "base/buf.h"
#include "net/chunk.h"
#include <setjmp.h>
#include <stdarg.h>

/* Last: it needs what the standard headers define. */
#include <cmocka.h>

static enum chunk_found decode(struct str text, size_t *body, size_t *consumed)
{
    struct chunk_decoder decoder = {0};
    enum chunk_found found = CHUNK_MORE;
    size_t at = 0;
    *body = 0;
    while (at < text.len && found <= CHUNK_DATA) {
        size_t used;
        found = chunk_next(&decoder, text.data + at, text.len - at, &used);
        at += used;
        if (found == CHUNK_DATA) {
            size_t take = (uint64_t)decoder.left < text.len - at ? (size_t)decoder.left : text.len - at;
            decoder.left -= (int64_t)take;
            at += take;
            *body += take;
        }
    }
    *consumed = at;
    return found;
}

static void what_stands_behind_the_body_is_not_consumed(void **state)
{
    (void)state;
    size_t body, consumed;
    struct str text = STR("3\r\nabc\r\n0\r\n\r\nGET /");
    assert_int_equal(decode(text, &body, &consumed), CHUNK_END);
    assert_int_equal(body, 3);
    assert_int_equal(consumed, text.len - 5);
}

static void every_beginning_of_a_body_asks_for_more(void **state)
{
    (void)state;
    struct str text = STR("3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n");
    for (size_t len = 0; len < text.len; len++) {
        size_t body, consumed;
        assert_true(decode(str_slice(text, 0, len), &body, &consumed) <= CHUNK_DATA);
    }
}

static enum chunk_found decode_with_extras(size_t each, size_t times, bool as_trailers)
{
    auto_buf struct buf text = {0};
    buf_str(&text, as_trailers ? STR("0\r\n") : STR(""));
    for (size_t i = 0; i < times; i++) {
        buf_str(&text, as_trailers ? STR("") : STR("1;"));
        for (size_t j = 0; j < each; j++)
            buf_byte(&text, 'x');
        buf_str(&text, as_trailers ? STR("\r\n") : STR("\r\n.\r\n"));
    }
    buf_str(&text, as_trailers ? STR("\r\n") : STR("0\r\n\r\n"));
    size_t body, consumed;
    return decode(buf_view(&text), &body, &consumed);
}

static void extensions_and_trailers_are_bounded_over_the_whole_body(void **state)
{
    (void)state;
    for (int as_trailers = 0; as_trailers <= 1; as_trailers++) {
        assert_int_equal(decode_with_extras(16384, 1, as_trailers), CHUNK_END);
        assert_int_equal(decode_with_extras(16385, 1, as_trailers), CHUNK_BAD);
        assert_int_equal(decode_with_extras(128, 128, as_trailers), CHUNK_END);
        assert_int_equal(decode_with_extras(128, 129, as_trailers), CHUNK_BAD);
    }
}

static void the_largest_size_does_not_overflow(void **state)
{
    (void)state;
    struct chunk_decoder decoder = {0};
    size_t used;
    assert_int_equal(chunk_next(&decoder, "fffffffffffffff\r\n", 17, &used), CHUNK_DATA);
    assert_int_equal(decoder.left, INT64_C(0xfffffffffffffff));
    decoder = (struct chunk_decoder){0};
    assert_int_equal(chunk_next(&decoder, "ffffffffffffffff\r\n", 18, &used), CHUNK_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_behind_the_body_is_not_consumed),
        cmocka_unit_test(every_beginning_of_a_body_asks_for_more),
        cmocka_unit_test(extensions_and_trailers_are_bounded_over_the_whole_body),
        cmocka_unit_test(the_largest_size_does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
