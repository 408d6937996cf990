/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A proof file that is read says, when written again, what it said before, and judging it ends with a verdict. */
#include "tlog/proof.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define LOG STR("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf again = {0};
    struct str bytes = {(const char *)data, len};
    struct proof proof;
    struct error err = {0};
    if (proof_parse(&arena, bytes, &proof, &err) != OK) {
        if (!err.message[0])
            abort();
        return 0;
    }
    if (proof_write(&again, &proof, NULL) != OK || !str_eq(buf_view(&again), bytes))
        abort();
    struct policy policy = {0};
    struct policy_verdict verdict;
    struct note_verifier log;
    if (note_verifier_parse(&arena, LOG, &log, NULL) != OK)
        abort();
    enum status status = proof_verify(&arena, &proof, proof.extra, &policy, &log, &verdict, &err);
    if (status != OK && !err.message[0])
        abort();
    if (status == OK && proof.index >= verdict.checkpoint.size)
        abort();
    return 0;
}
