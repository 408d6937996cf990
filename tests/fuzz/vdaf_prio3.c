/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A Prio3 report, whatever it is: task, nonce, public share, helper's share, leader's share. The aggregators come to a verdict, and
 * a histogram that they accept counts one.
 */
#include "vdaf/prio3.h"
#include <assert.h>
#include <stdlib.h>

static const struct prio3_config tasks[] = {
    {PRIO3_COUNT, 1, 64, 2, 1, 0, 0, 0, {"fuzz", 4}},     {PRIO3_SUM, 2, 64, 2, 1, 0, 1337, 0, {"fuzz", 4}},
    {PRIO3_SUM_VEC, 3, 128, 2, 1, 4, 9, 3, {"fuzz", 4}},  {PRIO3_HISTOGRAM, 4, 128, 2, 1, 5, 0, 2, {"fuzz", 4}},
    {PRIO3_MULTIHOT, 5, 128, 2, 1, 4, 2, 2, {"fuzz", 4}},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[PRIO3_SEED_SIZE];
    struct prio3 prio3;
    struct error err = {0};
    if (size < 1 + PRIO3_NONCE_SIZE || prio3_make(&tasks[data[0] % 5], &prio3, NULL) != OK)
        return 0;
    struct str rest = {(const char *)data + 1 + PRIO3_NONCE_SIZE, size - 1 - PRIO3_NONCE_SIZE};
    struct str public_share = str_slice(rest, 0, prio3.public_share), after = str_from(rest, public_share.len);
    struct str helper = str_slice(after, 0, prio3.helper_share), shares[2] = {str_from(after, helper.len), helper};
    struct prio3_state states[2] = {0};
    struct buf verifiers[2] = {0}, message = {0};
    enum status status = OK;
    for (unsigned a = 0; a < 2 && status == OK; a++)
        status = prio3_verify_init(&prio3, key, a, data + 1, public_share, shares[a], &states[a], &verifiers[a], &err);
    if (status == OK)
        status = prio3_verifier_message(&prio3, (const struct str[]){buf_view(&verifiers[0]), buf_view(&verifiers[1])},
                                        &message, &err);
    for (unsigned a = 0; a < 2 && status == OK; a++)
        status = prio3_verify_next(&prio3, &states[a], buf_view(&message), &err);
    assert(status == OK || ((status == INVALID || status == FORBIDDEN) && err.message[0]));
    if (status == OK) {
        uint64_t out[16], sum = 0;
        assert(prio3_unshard(&prio3,
                             (const struct str[]){buf_view(&states[0].out_share), buf_view(&states[1].out_share)}, out,
                             NULL) == OK);
        for (size_t i = 0; i < prio3.sums; i++)
            sum += out[i];
        assert(data[0] % 5 != 3 || sum == 1);
    }
    for (int a = 0; a < 2; a++) {
        buf_free(&states[a].out_share);
        buf_free(&verifiers[a]);
    }
    buf_free(&message);
    return 0;
}
