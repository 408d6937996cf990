/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/proof.h"

#include "fixture.h"

#define HEAD "c2sp.org/tlog-proof@v1\n"
#define HASH "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="
#define INDEX 6 /* of the entry "seven" */

/* A proof for "seven" in the fixture log, cosigned, and the policy that asks for just that. */
struct world {
    struct arena arena;
    struct proof proof;
    struct policy policy;
    struct note_signer witness;
};

static void world_make(struct world *world)
{
    *world = (struct world){0};
    struct arena *arena = &world->arena;
    struct forest *forest = forest_of(0);
    for (unsigned i = 0; i < TESSERA_SIZE; i++)
        forest_add(forest, tlog_leaf_hash(str_of(tessera_entries[i])));
    struct tlog_source source = forest_source(forest);
    assert_int_equal(tlog_prove_inclusion(&source, INDEX, TESSERA_SIZE, &world->proof.path, NULL), OK);
    free(forest);
    auto_buf struct buf bytes = {0};
    struct note note;
    buf_str(&bytes, tessera_checkpoint(arena, TESSERA_SIZE));
    assert_int_equal(note_parse(arena, buf_view(&bytes), &note, NULL), OK);
    world->witness = signer_of(arena, NOTE_COSIGNATURE, "witness.example/w1", 1);
    cosignature_sign(note.text, &world->witness, 1700000000, &bytes);
    world->proof.extra = STR("seven");
    world->proof.index = INDEX;
    world->proof.checkpoint = arena_copy(arena, buf_view(&bytes));
    struct str policy = arena_printf(arena, "log " TESSERA_VKEY "\nwitness w1 %.*s\nquorum w1\n",
                                     STR_ARG(vkey_of(arena, &world->witness)));
    assert_int_equal(policy_parse(arena, policy, &world->policy, NULL), OK);
}

static struct str file_of(struct world *world)
{
    auto_buf struct buf file = {0};
    assert_int_equal(proof_write(&file, &world->proof, NULL), OK);
    return arena_copy(&world->arena, buf_view(&file));
}

static enum status parse(struct str bytes)
{
    auto_arena struct arena arena = {0};
    struct proof proof;
    struct error err = {0};
    enum status status = proof_parse(&arena, bytes, &proof, &err);
    assert_true(status == OK || err.message[0]);
    return status;
}

/* Reads a file and proves the entry in its extra data, as a person would who was handed both in one. */
static enum status verify(struct world *world, struct str file, struct policy_verdict *out)
{
    struct proof proof;
    TRY(proof_parse(&world->arena, file, &proof, NULL));
    return proof_verify(&world->arena, &proof, proof.extra, &world->policy, NULL, out, NULL);
}

static void a_proof_file_proves_its_entry(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    assert_int_equal(verify(&world, file_of(&world), &verdict), OK);
    assert_str(verdict.checkpoint.origin, STR(TESSERA_ORIGIN));
    assert_int_equal(verdict.checkpoint.size, TESSERA_SIZE);
    assert_int_equal(verdict.seen_by, 1700000000);
    arena_free(&world.arena);
}

static void a_proof_file_with_any_bit_flipped_proves_nothing(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    struct str file = file_of(&world);
    for (size_t i = 0; i < file.len; i++) {
        if (verify(&world, with_flipped_bit(&world.arena, file, i), &verdict) == OK)
            fail_msg("byte %zu", i);
        if (verify(&world, str_slice(file, 0, i), &verdict) == OK)
            fail_msg("cut at %zu", i);
    }
    arena_free(&world.arena);
}

static void another_entry_or_place_is_not_proved(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    struct proof proof = world.proof;
    assert_int_equal(proof_verify(&world.arena, &proof, STR("seven"), &world.policy, NULL, &verdict, NULL), OK);
    assert_int_equal(proof_verify(&world.arena, &proof, STR("eit"), &world.policy, NULL, &verdict, NULL),
                     UNPROCESSABLE);
    proof.index = INDEX + 1;
    assert_int_equal(proof_verify(&world.arena, &proof, STR("seven"), &world.policy, NULL, &verdict, NULL),
                     UNPROCESSABLE);
    proof.index = TESSERA_SIZE;
    assert_int_equal(proof_verify(&world.arena, &proof, STR("seven"), &world.policy, NULL, &verdict, NULL),
                     UNPROCESSABLE);
    arena_free(&world.arena);
}

static void a_proof_without_the_quorum_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    struct policy none = {0};
    world_make(&world);
    struct note_verifier log = tessera_signer(&world.arena).verifier;
    world.proof.checkpoint = tessera_checkpoint(&world.arena, TESSERA_SIZE);
    assert_int_equal(verify(&world, file_of(&world), &verdict), UNPROCESSABLE);
    assert_int_equal(proof_verify(&world.arena, &world.proof, STR("seven"), &none, &log, &verdict, NULL), OK);
    arena_free(&world.arena);
}

static void the_checkpoint_of_another_size_does_not_fit(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    struct policy none = {0};
    world_make(&world);
    struct note_verifier log = tessera_signer(&world.arena).verifier;
    world.proof.checkpoint = tessera_checkpoint(&world.arena, TESSERA_SIZE - 1);
    assert_int_equal(proof_verify(&world.arena, &world.proof, STR("seven"), &none, &log, &verdict, NULL),
                     UNPROCESSABLE);
    arena_free(&world.arena);
}

static void a_proof_file_is_read_and_written_alike(void **state)
{
    (void)state;
    static const char *const good[] = {
        HEAD "index 0\n\nx",
        HEAD "index 73894\n" HASH "\n" HASH "\n\nx\n1\n\ny\n",
        HEAD "extra AA==\nindex 9223372036854775807\n" HASH "\n\nx",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        auto_arena struct arena arena = {0};
        auto_buf struct buf again = {0};
        struct proof proof;
        assert_int_equal(proof_parse(&arena, str_of(good[i]), &proof, NULL), OK);
        assert_int_equal(proof_write(&again, &proof, NULL), OK);
        assert_str(buf_view(&again), str_of(good[i]));
    }
}

static void other_files_are_no_proofs(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        HEAD,
        "index 0\n\nx", /* the form that had no first line */
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx",
        "c2sp.org/tlog-proof@v1\r\nindex 0\n\nx",
        "\n" HEAD "index 0\n\nx",
        HEAD "index 0\n\n",
        HEAD "index 0\n",
        HEAD "index 0",
        HEAD "\nx",
        HEAD "index\n\nx",
        HEAD "index \n\nx",
        HEAD "index 00\n\nx",
        HEAD "index +1\n\nx",
        HEAD "index -1\n\nx",
        HEAD "index  1\n\nx",
        HEAD "index 1 \n\nx",
        HEAD "index 9223372036854775808\n\nx",
        HEAD "Index 1\n\nx",
        HEAD "index 1\nindex 1\n\nx",
        HEAD "extra\nindex 1\n\nx",
        HEAD "extra \nindex 1\n\nx",
        HEAD "extra AB==\nindex 1\n\nx",
        HEAD "extra AA\nindex 1\n\nx",
        HEAD "extra AA==\nextra AA==\nindex 1\n\nx",
        HEAD "index 1\nextra AA==\n\nx",
        HEAD "extra AA==\n",
        HEAD "extra AA==\n\nx",
        HEAD "index 1\n" HASH " \n\nx",
        HEAD "index 1\nAA==\n\nx",
        HEAD "index 1\n" HASH,
        HEAD "index 1\n" HASH "\n",
        HEAD "index 1\n" HASH HASH "\n\nx",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(str_of(bad[i])) != INVALID)
            fail_msg("%s", bad[i]);
}

static void sixty_three_hashes_are_read_and_not_one_more(void **state)
{
    (void)state;
    for (int count = TLOG_LINES_MOST; count <= TLOG_LINES_MOST + 1; count++) {
        auto_buf struct buf file = {0};
        buf_str(&file, STR(HEAD "index 1\n"));
        for (int i = 0; i < count; i++)
            buf_str(&file, STR(HASH "\n"));
        buf_str(&file, STR("\nx"));
        assert_int_equal(parse(buf_view(&file)), count == TLOG_LINES_MOST ? OK : INVALID);
    }
}

static void a_proof_over_a_mebibyte_is_neither_written_nor_read(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf file = {0};
    struct str large = {arena_alloc(&arena, PROOF_MOST), PROOF_MOST};
    struct proof proof = {.extra = {large.data, 3}, .checkpoint = large};
    assert_int_equal(proof_write(&file, &proof, NULL), TOO_LARGE);
    proof = (struct proof){.extra = {large.data, PROOF_MOST - 1000}, .checkpoint = STR("x")};
    assert_int_equal(proof_write(&file, &proof, NULL), TOO_LARGE);
    assert_int_equal(file.len, 0);
    proof.extra.len = PROOF_MOST / 4 * 3 - 99;
    assert_int_equal(proof_write(&file, &proof, NULL), OK);
    assert_int_equal(parse(buf_view(&file)), OK);
    while (file.len <= PROOF_MOST)
        buf_byte(&file, 'x');
    assert_int_equal(parse(buf_view(&file)), TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_file_proves_its_entry),
        cmocka_unit_test(a_proof_file_with_any_bit_flipped_proves_nothing),
        cmocka_unit_test(another_entry_or_place_is_not_proved),
        cmocka_unit_test(a_proof_without_the_quorum_is_refused),
        cmocka_unit_test(the_checkpoint_of_another_size_does_not_fit),
        cmocka_unit_test(a_proof_file_is_read_and_written_alike),
        cmocka_unit_test(other_files_are_no_proofs),
        cmocka_unit_test(sixty_three_hashes_are_read_and_not_one_more),
        cmocka_unit_test(a_proof_over_a_mebibyte_is_neither_written_nor_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
