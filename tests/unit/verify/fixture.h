/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A log of our own: a few leaves, three witnesses, and a proof of one of them. */
#ifndef CAIRN_TEST_VERIFY_FIXTURE_H
#define CAIRN_TEST_VERIFY_FIXTURE_H

#include "../tlog/fixture.h"
#include "verify/run.h"

#define ORIGIN STR("hub.example.org/log")
#define LEAVES 300
#define PROVED 77
#define WITNESSES 3

static const char manifest_text[] =
    "{\"actor\":\"hub\",\"auth\":\"hub-asserted\",\"b\":{\"bytes\":3,\"dirHash1\":"
    "\"24d37fb6e1b9ddaecab0e9ec59a7e3fbda77d1fb99ebb4ddbd0dd8cdb8a18dc2\",\"files\":1,\"omsRoot\":"
    "\"24d37fb6e1b9ddaecab0e9ec59a7e3fbda77d1fb99ebb4ddbd0dd8cdb8a18dc2\"},\"repo\":"
    "\"00112233445566778899aabbccddeeff\","
    "\"rprev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"rseq\":0,"
    "\"ts\":\"2026-11-24T04:09:00Z\",\"type\":\"manifest\",\"v\":1}";

/* The proof file, and in *trust the policy that asks for all witnesses. Everything lives in the arena. */
static inline struct str make_proof(struct arena *arena, struct trust *trust)
{
    auto_buf struct buf note = {0}, policy = {0}, extra_text = {0}, file = {0};
    struct forest *forest = calloc(1, sizeof *forest);
    struct note_signer log, witness;
    struct error err;
    uint8_t seed[NOTE_SEED_SIZE] = {1};
    assert_non_null(forest);
    for (unsigned i = 0; i < LEAVES; i++)
        forest_add(forest, tlog_leaf_hash(i == PROVED ? str_of(manifest_text) : arena_printf(arena, "entry %u", i)));
    struct checkpoint checkpoint = {.origin = ORIGIN, .size = LEAVES, .root = tlog_root(&forest->frontier)};
    assert_int_equal(OK, note_signer_make(arena, NOTE_ED25519, ORIGIN, seed, &log, &err));
    assert_int_equal(OK, checkpoint_sign(&checkpoint, &log, &note, &err));
    buf_str(&policy, STR("log "));
    note_verifier_write(&policy, &log.verifier);
    struct str text = arena_copy(arena, str_slice(buf_view(&note), 0, note.len));
    text.len = (size_t)(strstr(text.data, "\n\n") - text.data) + 1;
    for (unsigned i = 0; i < WITNESSES; i++) {
        seed[0] = (uint8_t)(i + 2);
        assert_int_equal(
            OK, note_signer_make(arena, NOTE_COSIGNATURE, arena_printf(arena, "w%u", i), seed, &witness, &err));
        cosignature_sign(text, &witness, 1700000000 + i, &note);
        buf_printf(&policy, "\nwitness w%u ", i);
        note_verifier_write(&policy, &witness.verifier);
    }
    buf_str(&policy, STR("\ngroup all all w0 w1 w2\nquorum all\n"));
    assert_int_equal(OK, policy_parse(arena, buf_view(&policy), &trust->policy, &err));
    extra_write(arena, &(struct extra){.leaf = str_of(manifest_text)}, &extra_text);
    struct proof proof = {.extra = buf_view(&extra_text), .index = PROVED, .checkpoint = buf_view(&note)};
    const struct tlog_source source = forest_source(forest);
    assert_int_equal(OK, tlog_prove_inclusion(&source, PROVED, LEAVES, &proof.path, &err));
    assert_int_equal(OK, proof_write(&file, &proof, &err));
    free(forest);
    return arena_copy(arena, buf_view(&file));
}

/* Whether a proof file verifies, and that the verdict says the same. */
static inline bool verifies(const struct trust *trust, struct str bytes)
{
    struct run run = {.trust = *trust, .folder.fd = -1};
    bool good = proof_check(&run, bytes);
    assert_int_equal(good, report_verdict(&run.report) == CAIRN_VERIFIED);
    if (!good && run.report.counts[FAILED] == 0)
        fail_msg("nothing failed, and yet it was refused");
    arena_free(&run.report.arena);
    return good;
}

#endif
