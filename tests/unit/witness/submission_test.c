/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness/submission.h"

#include "../tlog/fixture.h"

static enum status parse(struct arena *arena, struct str body, struct submission *out)
{
    struct error err = {0};
    enum status status = submission_parse(arena, body, out, &err);
    assert_true((status == OK) == (err.message[0] == '\0'));
    return status;
}

static struct str body_of(struct arena *arena, uint64_t old, size_t hashes, struct str note)
{
    auto_buf struct buf body = {0};
    struct tlog_path proof = {.count = hashes};
    for (size_t i = 0; i < hashes; i++)
        memset(proof.hashes[i].bytes, (int)i + 1, sizeof proof.hashes[i].bytes);
    submission_write(&body, old, &proof, note);
    return arena_copy(arena, buf_view(&body));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct submission what;
    const size_t counts[] = {0, 1, 5, TLOG_LINES_MOST};
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct str body = body_of(&arena, 7 + i, counts[i], tessera_checkpoint(&arena, 15));
        assert_int_equal(parse(&arena, body, &what), OK);
        assert_int_equal(what.old, 7 + i);
        assert_int_equal(what.proof.count, counts[i]);
        for (size_t j = 0; j < counts[i]; j++)
            assert_int_equal(what.proof.hashes[j].bytes[31], j + 1);
        assert_int_equal(what.checkpoint.size, 15);
        assert_str(what.checkpoint.origin, STR(TESSERA_ORIGIN));
        assert_int_equal(what.note.count, 1);
    }
}

static void the_form_is_that_of_the_specification(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str note = tessera_checkpoint(&arena, 15);
    assert_str(body_of(&arena, 0, 0, note), joined(&arena, STR("old 0\n\n"), note));
    assert_str(body_of(&arena, 20, 1, note),
               joined(&arena, STR("old 20\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\n"), note));
}

static void any_other_first_part_is_malformed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct submission what;
#define HASH "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
    const char *const bad[] = {
        "",
        "\n",
        "old\n\n",
        "old \n\n",
        "old  1\n\n",
        "old 1 \n\n",
        "Old 1\n\n",
        "old 01\n\n",
        "old +1\n\n",
        "old -1\n\n",
        "old 0x1\n\n",
        "old 9223372036854775808\n\n",
        "old 18446744073709551617\n\n",
        "old 1\r\n\r\n",
        "old 1\n",
        "old 1\n" HASH,
        "old 1\n" HASH "x\n\n",
        "old 1\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n\n",
        "old 1\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQF=\n\n",
        "old 1\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= \n\n",
        "old 1\nAQEB\n\n",
        "old 1\n\n\n",
        " old 1\n\n",
    };
    struct str note = tessera_checkpoint(&arena, 15);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(&arena, joined(&arena, str_of(bad[i]), note), &what) != INVALID)
            fail_msg("%zu: %s", i, bad[i]);
    auto_buf struct buf many = {0};
    buf_str(&many, STR("old 1\n"));
    for (int i = 0; i <= TLOG_LINES_MOST; i++)
        buf_str(&many, STR(HASH));
    buf_str(&many, STR("\n"));
    buf_str(&many, note);
    assert_int_equal(parse(&arena, buf_view(&many), &what), INVALID);
    assert_int_equal(parse(&arena, joined(&arena, STR("old 9223372036854775807\n" HASH "\n"), note), &what), OK);
}

static void what_is_no_checkpoint_is_malformed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct submission what;
    struct str note = tessera_checkpoint(&arena, 15);
    const struct str bad[] = {STR(""),
                              STR("\n"),
                              str_slice(note, 0, note.len - 1),
                              joined(&arena, note, STR("x")),
                              STR("not a checkpoint\n\n\xE2\x80\x94 a AAAAAAAAAAA=\n"),
                              STR("a\n1\nAQEB\n\n\xE2\x80\x94 a AAAAAAAAAAA=\n")};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(&arena, joined(&arena, STR("old 0\n\n"), bad[i]), &what) != INVALID)
            fail_msg("%zu", i);
}

/* Whether its log may say so is not for the reader to judge. */
static void an_empty_tree_with_another_root_is_read(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct submission what;
    struct str body =
        STR("old 0\n\na\n0\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\n\xE2\x80\x94 a AAAAAAAAAAA=\n");
    assert_int_equal(parse(&arena, body, &what), OK);
    assert_int_equal(what.checkpoint.size, 0);
    assert_int_equal(what.checkpoint.root.bytes[0], 1);
}

static void nothing_is_longer_than_is_allowed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct submission what;
    buf_str(&body, body_of(&arena, 0, 0, tessera_checkpoint(&arena, 15)));
    while (body.len <= SUBMISSION_MOST)
        buf_byte(&body, 'x');
    assert_int_equal(parse(&arena, buf_view(&body), &what), TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(the_form_is_that_of_the_specification),
        cmocka_unit_test(any_other_first_part_is_malformed),
        cmocka_unit_test(what_is_no_checkpoint_is_malformed),
        cmocka_unit_test(an_empty_tree_with_another_root_is_read),
        cmocka_unit_test(nothing_is_longer_than_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
