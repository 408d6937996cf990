/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HEAD "version https://git-lfs.github.com/spec/v1\n"

static void a_pointer_survives_the_round_trip(void **state)
{
    (void)state;
    const int64_t sizes[] = {0, 1, 12345, INT64_C(6000000000), INT64_MAX};
    uint8_t sha256[SHA256_SIZE], got[SHA256_SIZE];
    auto_arena struct arena arena = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t size;
        random_bytes(sha256, sizeof sha256);
        struct str text = pointer_format(&arena, sha256, sizes[i]);
        assert_true(pointer_parse(text, got, &size));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(got, sha256, sizeof got);
    }
}

static void only_the_canonical_form_is_a_pointer(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),
        STR(HEAD),
        STR(HEAD "oid sha256:" HEX "\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 5"),
        STR(HEAD "oid sha256:" HEX "\nsize 5\n\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 5\nx y\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 05\n"),
        STR(HEAD "oid sha256:" HEX "\nsize +5\n"),
        STR(HEAD "oid sha256:" HEX "\nsize -5\n"),
        STR(HEAD "oid sha256:" HEX "\nsize \n"),
        STR(HEAD "oid sha256:" HEX "\nsize 5 \n"),
        STR(HEAD "oid sha256:" HEX "\nsize 0x5\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 9223372036854775808\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 99999999999999999999999999\n"),
        STR(HEAD "oid sha256:" HEX "0\nsize 5\n"),
        STR(HEAD "oid sha256:9F86D081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nsize 5\n"),
        STR(HEAD "oid sha256:gf86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nsize 5\n"),
        STR(HEAD "oid sha256:9f86\nsize 5\n"),
        STR(HEAD "oid md5:" HEX "\nsize 5\n"),
        STR(HEAD "size 5\noid sha256:" HEX "\n"),
        STR(HEAD "ext-0-x sha256:" HEX "\noid sha256:" HEX "\nsize 5\n"),
        STR("version https://hawser.github.com/spec/v1\noid sha256:" HEX "\nsize 5\n"),
        STR("version https://git-lfs.github.com/spec/v2\noid sha256:" HEX "\nsize 5\n"),
        STR(" " HEAD "oid sha256:" HEX "\nsize 5\n"),
        STR("version https://git-lfs.github.com/spec/v1\r\noid sha256:" HEX "\r\nsize 5\r\n"),
        STR(HEAD "oid sha256:" HEX "\nsize 5\0\n"),
    };
    uint8_t sha256[SHA256_SIZE];
    int64_t size;
    assert_true(pointer_parse(STR(HEAD "oid sha256:" HEX "\nsize 5\n"), sha256, &size));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pointer_parse(bad[i], sha256, &size))
            give_up("number %zu was taken for a pointer", i);
}

static void a_file_with_the_text_of_a_pointer_is_a_large_file(void **state)
{
    struct place *p = *state;
    commit_to("main", "by hand", "+w.bin=" HEAD "oid sha256:" HEX "\nsize 5\n",
              "+near.bin=" HEAD "oid sha256:" HEX "\nsize 5");
    struct entry entry = find(p, "main", "w.bin");
    assert_true(entry.is_lfs);
    assert_int_equal(entry.size, 5);
    assert_false(find(p, "main", "near.bin").is_lfs);
    /* Whatever .gitattributes says. */
    commit_to("main", "drop the attributes", "-.gitattributes");
    assert_true(find(p, "main", "w.bin").is_lfs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pointer_survives_the_round_trip),
        cmocka_unit_test(only_the_canonical_form_is_a_pointer),
        test(a_file_with_the_text_of_a_pointer_is_a_large_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
