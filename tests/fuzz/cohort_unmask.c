/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What members may answer in the last step: five answers one after the other. Nothing that they say is taken for a secret that was not
 * promised. */
#include "cohort/unmask.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMBERS = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cohort_graph graph = cohort_graph(MEMBERS);
    static const struct cohort_member members[MEMBERS];
    static const uint8_t context[COHORT_CONTEXT_SIZE], promised[SHA256_SIZE];
    struct str commitments[MEMBERS], answers[MEMBERS];
    uint8_t secrets[MEMBERS * COHORT_SECRET_SIZE];
    struct error err = {0};
    if (size < 2)
        return 0;
    const uint8_t dealt = data[0] & 31, survivors = data[1] & dealt;
    size_t each = (size - 2) / MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++) {
        commitments[i] = (struct str){(const char *)promised, SHA256_SIZE};
        answers[i] = (struct str){(const char *)data + 2 + i * each, each};
        if (cohort_answer_check(&graph, answers[i], &err) != OK)
            answers[i] = (struct str){0};
    }
    const struct cohort_end end = {&graph, members, context, &dealt, &survivors, commitments, answers};
    assert(cohort_recover(&end, secrets, &err) != OK || dealt == 0);
    return 0;
}
