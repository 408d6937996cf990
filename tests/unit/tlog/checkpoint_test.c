/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/checkpoint.h"

#include "fixture.h"

#define ROOT "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="
#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define DASH "\xE2\x80\x94 "
#define TIME 1700000000
#define WITNESS "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define COSIGNATURE                                                                                                    \
    DASH "witness.example/w1 "                                                                                         \
         "519lMgAAAABlU/EA8Ksalh7kTmlIFPRO/50jC8JyWktgWjbjpb8ZCaY7/1Pyo/Js5iv0m/SL/Pgn8ExkAr34GAbhHPwm6x2I0VpoBA==\n"

/* The witness of the specification's vector: its seed counts from 0. */
static struct note_signer witness_signer(struct arena *arena, enum note_kind kind)
{
    uint8_t seed[NOTE_SEED_SIZE];
    struct note_signer signer;
    for (uint8_t i = 0; i < sizeof seed; i++)
        seed[i] = i;
    assert_int_equal(note_signer_make(arena, kind, STR("witness.example/w1"), seed, &signer, NULL), OK);
    return signer;
}

static struct note_verifier witness_verifier(struct arena *arena)
{
    struct note_verifier verifier;
    assert_int_equal(note_verifier_parse(arena, STR(WITNESS), &verifier, NULL), OK);
    return verifier;
}

static enum status parse(struct str text)
{
    struct checkpoint checkpoint;
    struct error err = {0};
    enum status status = checkpoint_parse(text, &checkpoint, &err);
    assert_true(status == OK || err.message[0]);
    return status;
}

/* What the witness of the vector says to that note. */
static enum note_verdict cosigned(struct str bytes, uint64_t *time)
{
    auto_arena struct arena arena = {0};
    struct note_verifier witness = witness_verifier(&arena);
    struct note note;
    assert_int_equal(note_parse(&arena, bytes, &note, NULL), OK);
    return cosignature_check(&note, &witness, time);
}

static void a_checkpoint_is_read_and_written_alike(void **state)
{
    (void)state;
    auto_buf struct buf text = {0};
    struct checkpoint checkpoint;
    struct str given = STR(TESSERA_ORIGIN "\n15\n" ROOT "\n");
    assert_int_equal(checkpoint_parse(given, &checkpoint, NULL), OK);
    assert_str(checkpoint.origin, STR(TESSERA_ORIGIN));
    assert_int_equal(checkpoint.size, 15);
    assert_int_equal(checkpoint.extensions.len, 0);
    checkpoint_write(&text, &checkpoint);
    assert_str(buf_view(&text), given);
}

static void further_lines_are_kept_for_who_wants_them(void **state)
{
    (void)state;
    struct checkpoint checkpoint;
    assert_int_equal(checkpoint_parse(STR("log\n15\n" ROOT "\nmore\nand more\n"), &checkpoint, NULL), OK);
    assert_str(checkpoint.extensions, STR("more\nand more\n"));
}

static void other_texts_are_no_checkpoints(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "log",
        "log\n",
        "log\n15\n",
        "log\n15\n" ROOT,
        "\n15\n" ROOT "\n",
        "log\n\n" ROOT "\n",
        "log\n15\n\n",
        "log\n015\n" ROOT "\n",
        "log\n+15\n" ROOT "\n",
        "log\n-15\n" ROOT "\n",
        "log\n 15\n" ROOT "\n",
        "log\n15 \n" ROOT "\n",
        "log\n0xF\n" ROOT "\n",
        "log\n9223372036854775808\n" ROOT "\n",
        "log\n18446744073709551631\n" ROOT "\n",
        "log\n15\n" ROOT "\n\n",
        "log\n15\n" ROOT "\na\n\nb\n",
        "log\n15\n" ROOT "\na",
        "log\n15\n" ROOT " \n",
        "log\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs\n",
        "log\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383ct=\n",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(str_of(bad[i])) != INVALID)
            fail_msg("%s", bad[i]);
    assert_int_equal(parse(STR("log\n0\n" ROOT "\n")), UNPROCESSABLE);
    assert_int_equal(parse(STR("log\n0\n" EMPTY "\n")), OK);
    assert_int_equal(parse(STR("log\n9223372036854775807\n" ROOT "\n")), OK);
}

static void a_checkpoint_is_not_long(void **state)
{
    (void)state;
    auto_buf struct buf text = {0};
    buf_str(&text, STR("log\n15\n" ROOT "\n"));
    while (text.len < CHECKPOINT_TEXT_MOST - 1)
        buf_byte(&text, 'x');
    buf_byte(&text, '\n');
    assert_int_equal(parse(buf_view(&text)), OK);
    buf_str(&text, STR("x\n"));
    assert_int_equal(parse(buf_view(&text)), TOO_LARGE);
}

static void a_checkpoint_opens_for_its_own_log_only(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    struct checkpoint checkpoint;
    struct note_verifier log = tessera_signer(&arena).verifier;
    struct note_verifier other_key = signer_of(&arena, NOTE_ED25519, TESSERA_ORIGIN, 1).verifier;
    struct note_verifier other_name = signer_of(&arena, NOTE_ED25519, "example.com/log/other", 1).verifier;
    struct str bytes = tessera_checkpoint(&arena, 15);
    assert_int_equal(checkpoint_open(&arena, bytes, &log, &note, &checkpoint, NULL), OK);
    assert_int_equal(checkpoint.size, 15);
    assert_int_equal(checkpoint_open(&arena, bytes, &other_key, &note, &checkpoint, NULL), UNPROCESSABLE);
    assert_int_equal(checkpoint_open(&arena, bytes, &other_name, &note, &checkpoint, NULL), UNPROCESSABLE);
    for (size_t i = 0; i < bytes.len; i++)
        assert_int_not_equal(
            checkpoint_open(&arena, with_flipped_bit(&arena, bytes, i), &log, &note, &checkpoint, NULL), OK);
}

static void a_key_signs_no_other_origin(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf out = {0};
    struct note_signer signer = tessera_signer(&arena);
    struct checkpoint checkpoint = {STR("example.com/log/other"), 0, tlog_root(&(struct tlog_frontier){0}), STR("")};
    assert_int_equal(checkpoint_sign(&checkpoint, &signer, &out, NULL), INVALID);
    assert_int_equal(out.len, 0);
    checkpoint.origin = STR(TESSERA_ORIGIN);
    assert_int_equal(checkpoint_sign(&checkpoint, &signer, &out, NULL), OK);
    assert_str(buf_view(&out), tessera_checkpoint(&arena, 0));
}

static void the_cosignature_of_the_specification_is_made(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf line = {0};
    struct note_signer witness = witness_signer(&arena, NOTE_COSIGNATURE);
    assert_str(vkey_of(&arena, &witness), STR(WITNESS));
    cosignature_sign(STR(TESSERA_ORIGIN "\n15\n" ROOT "\n"), &witness, TIME, &line);
    assert_str(buf_view(&line), STR(COSIGNATURE));
}

static void a_cosignature_holds_and_tells_its_time(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    uint64_t time = 0;
    assert_int_equal(cosigned(joined(&arena, tessera_checkpoint(&arena, 15), STR(COSIGNATURE)), &time), NOTE_SIGNED);
    assert_int_equal(time, TIME);
}

static void a_cosignature_holds_for_its_own_checkpoint_only(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    uint64_t time;
    assert_int_equal(cosigned(tessera_checkpoint(&arena, 15), &time), NOTE_UNSIGNED);
    assert_int_equal(cosigned(joined(&arena, tessera_checkpoint(&arena, 14), STR(COSIGNATURE)), &time), NOTE_FORGED);
}

/* Every byte of the blob is flipped behind the id: those of the time, first byte first, and those of the signature. */
static void a_changed_cosignature_is_forged(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    struct note_verifier witness = witness_verifier(&arena);
    struct str bytes = joined(&arena, tessera_checkpoint(&arena, 15), STR(COSIGNATURE));
    assert_int_equal(note_parse(&arena, bytes, &note, NULL), OK);
    struct str whole = note.lines[1].signature;
    assert_int_equal(whole.len, 72);
    uint64_t time;
    for (size_t i = 0; i < whole.len; i++) {
        note.lines[1].signature = with_flipped_bit(&arena, whole, i);
        assert_int_equal(cosignature_check(&note, &witness, &time), NOTE_FORGED);
    }
    for (size_t len = 1; len < whole.len; len++) {
        note.lines[1].signature = str_slice(whole, 0, len);
        assert_int_equal(cosignature_check(&note, &witness, &time), NOTE_FORGED);
    }
}

/* A witness that once wrote its time with the least byte first signed the right message, but shows another time. */
static void a_time_with_its_bytes_turned_is_forged(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    struct note_verifier witness = witness_verifier(&arena);
    struct str bytes = joined(&arena, tessera_checkpoint(&arena, 15), STR(COSIGNATURE));
    assert_int_equal(note_parse(&arena, bytes, &note, NULL), OK);
    char *blob = arena_cstr(&arena, note.lines[1].signature);
    for (int i = 0; i < 4; i++) {
        char byte = blob[i];
        blob[i] = blob[7 - i];
        blob[7 - i] = byte;
    }
    note.lines[1].signature.data = blob;
    uint64_t time;
    assert_int_equal(cosignature_check(&note, &witness, &time), NOTE_FORGED);
}

static void a_time_beyond_the_largest_is_forged_even_when_signed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = witness_signer(&arena, NOTE_COSIGNATURE);
    struct note note;
    assert_int_equal(note_parse(&arena, tessera_checkpoint(&arena, 15), &note, NULL), OK);
    struct str message = arena_printf(&arena, "cosignature/v1\ntime 9223372036854775808\n%.*s", STR_ARG(note.text));
    uint8_t blob[8 + NOTE_SIGNATURE_SIZE] = {0x80};
    note_signature_make(&signer, message, blob + 8);
    struct note_line line = {signer.verifier.name, signer.verifier.id, {(const char *)blob, sizeof blob}};
    uint64_t time;
    note.lines = &line;
    note.count = 1;
    assert_int_equal(cosignature_check(&note, &signer.verifier, &time), NOTE_FORGED);
}

static void the_same_key_has_another_id_as_a_log(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note note;
    struct note_signer as_log = witness_signer(&arena, NOTE_ED25519);
    struct str bytes = joined(&arena, tessera_checkpoint(&arena, 15), STR(COSIGNATURE));
    assert_int_equal(as_log.verifier.id, 0x3218362d);
    assert_int_equal(note_parse(&arena, bytes, &note, NULL), OK);
    assert_int_equal(note_check(&note, &as_log.verifier), NOTE_UNSIGNED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_read_and_written_alike),
        cmocka_unit_test(further_lines_are_kept_for_who_wants_them),
        cmocka_unit_test(other_texts_are_no_checkpoints),
        cmocka_unit_test(a_checkpoint_is_not_long),
        cmocka_unit_test(a_checkpoint_opens_for_its_own_log_only),
        cmocka_unit_test(a_key_signs_no_other_origin),
        cmocka_unit_test(the_cosignature_of_the_specification_is_made),
        cmocka_unit_test(a_cosignature_holds_and_tells_its_time),
        cmocka_unit_test(a_cosignature_holds_for_its_own_checkpoint_only),
        cmocka_unit_test(a_changed_cosignature_is_forged),
        cmocka_unit_test(a_time_with_its_bytes_turned_is_forged),
        cmocka_unit_test(a_time_beyond_the_largest_is_forged_even_when_signed),
        cmocka_unit_test(the_same_key_has_another_id_as_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
