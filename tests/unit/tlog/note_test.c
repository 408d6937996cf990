/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/note.h"

#include "fixture.h"

#define DASH "\xE2\x80\x94 "
#define VKEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define TEXT "This is an example message.\n"
#define VALUE "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
#define LINE DASH "example.com/foo " VALUE "\n"

static struct note_verifier verifier_of(struct arena *arena, const char *text)
{
    struct note_verifier verifier;
    assert_int_equal(note_verifier_parse(arena, str_of(text), &verifier, NULL), OK);
    return verifier;
}

static enum status parse(struct arena *arena, struct str bytes)
{
    struct note note;
    struct error err = {0};
    enum status status = note_parse(arena, bytes, &note, &err);
    assert_true(status == OK || err.message[0]);
    return status;
}

/* Parses and verifies with the key of the specification's example. */
static enum status verify(struct str bytes)
{
    auto_arena struct arena arena = {0};
    struct note_verifier verifier = verifier_of(&arena, VKEY);
    struct note note;
    TRY(note_parse(&arena, bytes, &note, NULL));
    return note_verify(&note, &verifier, 1, NULL);
}

static void the_published_note_is_verified(void **state)
{
    (void)state;
    assert_int_equal(verify(STR(TEXT "\n" LINE)), OK);
}

static void a_note_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str good = STR(TEXT "\n" LINE);
    for (size_t i = 0; i < good.len; i++)
        assert_int_not_equal(verify(with_flipped_bit(&arena, good, i)), OK);
}

static void a_note_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct str good = STR(TEXT "\n" LINE);
    for (size_t len = 0; len < good.len; len++)
        assert_int_not_equal(verify(str_slice(good, 0, len)), OK);
}

static void the_parts_of_a_note_are_found(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf line = {0};
    struct note note;
    assert_int_equal(note_parse(&arena, STR(TEXT "\n" LINE DASH "\xC3\xA9 AAAAAQI=\n"), &note, NULL), OK);
    assert_str(note.text, STR(TEXT));
    assert_int_equal(note.count, 2);
    assert_int_equal(note.lines[0].id, 0x530d903a);
    assert_int_equal(note.lines[0].signature.len, 64);
    assert_str(note.lines[1].name, STR("\xC3\xA9"));
    assert_int_equal(note.lines[1].id, 1);
    assert_str(note.lines[1].signature, STR("\2"));
    note_line_write(&line, &note.lines[0]);
    assert_str(buf_view(&line), STR(LINE));
}

static void the_last_empty_line_ends_the_text(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    assert_int_equal(note_parse(&arena, STR("a\n\nb\n\n" LINE), &note, NULL), OK);
    assert_str(note.text, STR("a\n\nb\n"));
    assert_int_equal(parse(&arena, STR("a\n\n" LINE "\nb\n")), INVALID);
}

static void what_is_no_note_in_every_byte_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),
        STR("\n"),
        STR("\n\n"),
        STR("a\n"),
        STR("a\n\n"),
        STR("a\n" LINE),
        STR(LINE),
        STR("a\n\nb\n"),
        STR("a\r\n\r\n" LINE),
        STR("a\tb\n\n" LINE),
        STR("a\0b\n\n" LINE),
        STR("a\x1F\n\n" LINE),
        STR("\xFF\n\n" LINE),
        STR("\xC0\x80\n\n" LINE),
        STR("\xED\xA0\x80\n\n" LINE),
        STR("a\n\n" LINE "\n"),
        STR("a\n\n" LINE "x"),
        STR("a\n\n" LINE "x\n"),
        STR("a\n\n-- x AAAAAQI=\n"),
        STR("a\n\n\xE2\x80\x93 x AAAAAQI=\n"),
        STR("a\n\n\xE2\x80\x94x AAAAAQI=\n"),
        STR("a\n\n " DASH "x AAAAAQI=\n"),
        STR("a\n\n" DASH "x  AAAAAQI=\n"),
        STR("a\n\n" DASH "x AAAAAQI= \n"),
        STR("a\n\n" DASH "x\n"),
        STR("a\n\n" DASH "x \n"),
        STR("a\n\n" DASH " AAAAAQI=\n"),
        STR("a\n\n" DASH "x+y AAAAAQI=\n"),
        STR("a\n\n" DASH "x\xC2\xA0y AAAAAQI=\n"),
        STR("a\n\n" DASH "x AAAAAQ==\n"), /* an id and nothing more */
        STR("a\n\n" DASH "x AAAAAQJ=\n"), /* a bit that stands for nothing */
        STR("a\n\n" DASH "x AAAAAQI\n"),
        STR("a\n\n" DASH "x AAAAAQ*=\n"),
        STR("a\n\n" DASH "x AAAA\nAQI=\n"), /* Go's decoder would skip this newline */
    };
    auto_arena struct arena arena = {0};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(&arena, bad[i]) != INVALID)
            fail_msg("number %zu", i);
    assert_int_equal(parse(&arena, STR("a\n\n" DASH "x AAAAAQI=\n")), OK);
}

static void a_hundred_signatures_are_read_and_not_one_more(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf note = {0};
    buf_str(&note, STR("a\n\n"));
    for (int i = 0; i < NOTE_LINES_MOST; i++)
        buf_str(&note, STR(DASH "x AAAAAQI=\n"));
    assert_int_equal(parse(&arena, buf_view(&note)), OK);
    buf_str(&note, STR(DASH "x AAAAAQI=\n"));
    assert_int_equal(parse(&arena, buf_view(&note)), INVALID);
}

static void a_note_over_a_mebibyte_is_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf note = {0};
    while (note.len < NOTE_MOST - strlen("\n\n" LINE))
        buf_byte(&note, 'a');
    buf_str(&note, STR("\n\n" LINE));
    assert_int_equal(parse(&arena, buf_view(&note)), OK);
    assert_int_equal(parse(&arena, joined(&arena, STR("a"), buf_view(&note))), TOO_LARGE);
}

static void lines_of_unknown_keys_are_passed_over(void **state)
{
    (void)state;
    /* The same name with another id, the same id with another name, and quite another key. */
    assert_int_equal(verify(STR(TEXT "\n" DASH "example.com/foo Uw2QOwEC\n" DASH "example.com/bar Uw2QOgEC\n" DASH
                                     "x AAAAAQI=\n" LINE)),
                     OK);
    assert_int_equal(verify(STR(TEXT "\n" DASH "example.com/foo Uw2QOwEC\n" DASH "x AAAAAQI=\n")), UNPROCESSABLE);
}

static void a_bad_line_of_a_known_key_spoils_the_note(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer other = signer_of(&arena, NOTE_ED25519, "other", 9);
    struct note_verifier known[] = {verifier_of(&arena, VKEY), other.verifier};
    auto_buf struct buf bytes = {0};
    buf_str(&bytes, STR(TEXT "\n" LINE));
    assert_int_equal(note_sign(STR("Another text.\n"), &other, &bytes, NULL), OK);
    struct note note;
    struct error err;
    assert_int_equal(note_parse(&arena, buf_view(&bytes), &note, NULL), OK);
    assert_int_equal(note_verify(&note, known, 1, NULL), OK);
    assert_int_equal(note_verify(&note, known, 2, &err), UNPROCESSABLE);
    assert_non_null(strstr(err.message, "other"));
    assert_int_equal(note_check(&note, &known[0]), NOTE_SIGNED);
    assert_int_equal(note_check(&note, &known[1]), NOTE_FORGED);
}

static void of_two_lines_of_one_key_the_first_counts(void **state)
{
    (void)state;
    assert_int_equal(verify(STR(TEXT "\n" LINE DASH "example.com/foo Uw2QOgEC\n")), OK);
    assert_int_equal(verify(STR(TEXT "\n" DASH "example.com/foo Uw2QOgEC\n" LINE)), UNPROCESSABLE);
}

static void nobody_signed_when_nobody_is_known(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    assert_int_equal(note_parse(&arena, STR(TEXT "\n" LINE), &note, NULL), OK);
    assert_int_equal(note_verify(&note, NULL, 0, NULL), UNPROCESSABLE);
}

static void what_we_sign_is_verified(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = signer_of(&arena, NOTE_ED25519, "hub.example/log/1", 7);
    struct note_signer other = signer_of(&arena, NOTE_ED25519, "hub.example/log/1", 8);
    auto_buf struct buf bytes = {0};
    buf_str(&bytes, STR("a\n\nb\n\n"));
    assert_int_equal(note_sign(STR("a\n\nb\n"), &signer, &bytes, NULL), OK);
    struct note note;
    assert_int_equal(note_parse(&arena, buf_view(&bytes), &note, NULL), OK);
    assert_int_equal(note_verify(&note, &signer.verifier, 1, NULL), OK);
    assert_int_equal(note_verify(&note, &other.verifier, 1, NULL), UNPROCESSABLE);
    other.verifier.id = signer.verifier.id; /* a collision of ids gives a bad signature, not a good one */
    assert_int_equal(note_check(&note, &other.verifier), NOTE_FORGED);
}

static void a_text_that_is_unfit_for_a_note_is_not_signed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = signer_of(&arena, NOTE_ED25519, "x", 7);
    static const struct str bad[] = {STR(""), STR("a"), STR("a\r\n"), STR("\xFF\n"), STR("a\0\n")};
    auto_buf struct buf out = {0};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(note_sign(bad[i], &signer, &out, NULL), INVALID);
    assert_int_equal(out.len, 0);
    assert_int_equal(note_sign(STR("a\n"), &signer, &out, NULL), OK);
}

static void a_public_key_is_read_from_its_one_text_only(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_verifier verifier = verifier_of(&arena, VKEY);
    assert_int_equal(verifier.kind, NOTE_ED25519);
    assert_int_equal(verifier.id, 0x530d903a);
    assert_str(verifier.name, STR("example.com/foo"));
    assert_str(vkey_of(&arena, &(struct note_signer){verifier, {0}}), STR(VKEY));
    struct str good = STR(VKEY);
    for (size_t i = 0; i < good.len; i++) {
        assert_int_not_equal(note_verifier_parse(&arena, with_flipped_bit(&arena, good, i), &verifier, NULL), OK);
        assert_int_not_equal(note_verifier_parse(&arena, str_slice(good, 0, i), &verifier, NULL), OK);
    }
    static const char *const bad[] = {
        "",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAAAA",
        "example.com/foo+530d903a+AQ==",
        "example.com/foo+530d903a+",
        "example.com/foo+530d903a",
        "example.com/foo",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(note_verifier_parse(&arena, str_of(bad[i]), &verifier, NULL), INVALID);
}

/* The text of a key of any kind, its id as the specification has it. */
static struct str vkey_of_kind(struct arena *arena, unsigned char kind, size_t size)
{
    char *key = arena_alloc(arena, size + 1);
    key[0] = (char)kind;
    uint8_t digest[SHA256_SIZE];
    sha256(joined(arena, STR("w\n"), (struct str){key, size + 1}), digest);
    return arena_printf(arena, "w+%.*s+%.*s", STR_ARG(hex_encode(arena, digest, 4)),
                        STR_ARG(base64_encode(arena, (struct str){key, size + 1})));
}

static void kinds_of_keys_that_we_do_not_know_are_named(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_verifier verifier;
    struct error err;
    assert_int_equal(note_verifier_parse(&arena, vkey_of_kind(&arena, 4, 32), &verifier, NULL), OK);
    assert_int_equal(note_verifier_parse(&arena, vkey_of_kind(&arena, 4, 31), &verifier, NULL), INVALID);
    assert_int_equal(note_verifier_parse(&arena, vkey_of_kind(&arena, 6, 1312), &verifier, NULL), OK);
    assert_int_equal(verifier.kind, NOTE_ML_DSA);
    assert_int_equal(note_verifier_parse(&arena, vkey_of_kind(&arena, 6, 32), &verifier, NULL), INVALID);
    static const unsigned char kinds[] = {0, 2, 3, 5, 0xFA, 0xFF};
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_int_equal(note_verifier_parse(&arena, vkey_of_kind(&arena, kinds[i], 32), &verifier, &err), UNSUPPORTED);
    assert_non_null(strstr(err.message, "kind 255"));
}

static void a_private_key_comes_back_from_its_text(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = tessera_signer(&arena), back;
    auto_buf struct buf text = {0};
    note_signer_write(&text, &signer);
    assert_true(str_starts(buf_view(&text), STR("PRIVATE+KEY+example.com/log/testdata+33d7b496+")));
    assert_int_equal(note_signer_parse(&arena, buf_view(&text), &back, NULL), OK);
    assert_memory_equal(back.seed, signer.seed, NOTE_SEED_SIZE);
    assert_str(vkey_of(&arena, &back), STR(TESSERA_VKEY));
    note_signer_clear(&back);
    static const uint8_t nothing[NOTE_SEED_SIZE];
    assert_memory_equal(back.seed, nothing, NOTE_SEED_SIZE);
}

static void a_changed_private_key_is_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = tessera_signer(&arena), back;
    auto_buf struct buf text = {0};
    note_signer_write(&text, &signer);
    struct str good = buf_view(&text);
    for (size_t i = 0; i < good.len; i++)
        assert_int_equal(note_signer_parse(&arena, with_flipped_bit(&arena, good, i), &back, NULL), INVALID);
    assert_int_equal(note_signer_parse(&arena, STR(TESSERA_VKEY), &back, NULL), INVALID);
    assert_int_equal(note_signer_parse(&arena, STR("PRIVATE+KEY+" TESSERA_VKEY), &back, NULL), INVALID);
}

static void names_of_keys_have_no_white_space_and_no_plus(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),
        STR("a b"),
        STR("a+b"),
        STR("a\tb"),
        STR("a\n"),
        STR("a\0b"),
        STR("a\xC2\x85"),
        STR("a\xC2\xA0"),
        STR("\xE1\x9A\x80"),
        STR("\xE2\x80\x80"),
        STR("\xE2\x80\x8A"),
        STR("\xE2\x80\xA8"),
        STR("\xE2\x80\xAF"),
        STR("\xE2\x81\x9F"),
        STR("\xE3\x80\x80"),
        STR("\xFF"),
        STR("a\xC2"),
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (note_name_valid(bad[i]))
            fail_msg("number %zu", i);
    assert_true(note_name_valid(STR("hub.example.org/log/1")));
    assert_true(note_name_valid(STR("\xE2\x80\x8B\xC3\xA9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_note_is_verified),
        cmocka_unit_test(a_note_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_note_cut_anywhere_is_refused),
        cmocka_unit_test(the_parts_of_a_note_are_found),
        cmocka_unit_test(the_last_empty_line_ends_the_text),
        cmocka_unit_test(what_is_no_note_in_every_byte_is_refused),
        cmocka_unit_test(a_hundred_signatures_are_read_and_not_one_more),
        cmocka_unit_test(a_note_over_a_mebibyte_is_refused),
        cmocka_unit_test(lines_of_unknown_keys_are_passed_over),
        cmocka_unit_test(a_bad_line_of_a_known_key_spoils_the_note),
        cmocka_unit_test(of_two_lines_of_one_key_the_first_counts),
        cmocka_unit_test(nobody_signed_when_nobody_is_known),
        cmocka_unit_test(what_we_sign_is_verified),
        cmocka_unit_test(a_text_that_is_unfit_for_a_note_is_not_signed),
        cmocka_unit_test(a_public_key_is_read_from_its_one_text_only),
        cmocka_unit_test(kinds_of_keys_that_we_do_not_know_are_named),
        cmocka_unit_test(a_private_key_comes_back_from_its_text),
        cmocka_unit_test(a_changed_private_key_is_refused),
        cmocka_unit_test(names_of_keys_have_no_white_space_and_no_plus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
