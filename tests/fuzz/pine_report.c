/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client's report as two houses get it: field, nonce, public share, helper's share, leader's share. Whatever it is, the houses come
 * to a verdict; and what they accept has a norm within the bound.
 */
#include "pine/pine.h"
#include <assert.h>
#include <stdlib.h>

#define D 20
#define BOUND 1000
#define HEAD (PINE_NONCE_SIZE + 8 * 32)

static void within_bound(const struct pine *pine, const struct str shares[2])
{
    uint8_t sums[2][D * 16] = {{0}};
    int64_t x[D], norm = 0;
    for (int house = 0; house < 2; house++) {
        struct pine_out *out;
        assert(pine_out_open(pine, house, pine_source_memory(&shares[house]), &out, NULL) == OK);
        assert(pine_out_add(out, sums[house], D, NULL) == OK);
        pine_out_free(out);
    }
    assert(pine_unshard(pine, sums[0], sums[1], D, x, NULL) == OK);
    for (int i = 0; i < D; i++) {
        assert(llabs(x[i]) <= BOUND);
        norm += x[i] * x[i];
    }
    assert(norm <= BOUND * BOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned fields[] = {32, 40, 64, 128};
    static const uint8_t key[SEED_SIZE_MAX];
    struct pine pine;
    struct pine_state states[2];
    struct error err = {0};
    uint8_t message[2 * SEED_SIZE_MAX], *preps[2];
    enum status status = OK;
    if (size < 1 + HEAD)
        return 0;
    struct pine_config config = pine_config_cairn(fields[data[0] % 4], D, BOUND, STR("fuzz"));
    if (pine_make(&config, &pine, NULL) != OK)
        abort();
    const uint8_t *nonce = data + 1, *public_share = nonce + PINE_NONCE_SIZE;
    const struct str shares[2] = {{(const char *)data + 1 + HEAD, size - 1 - HEAD},
                                  {(const char *)public_share + pine.public_share, pine.helper_share}};
    for (int house = 0; house < 2; house++)
        preps[house] = calloc(1, pine.prep_share);
    for (int house = 0; house < 2 && status == OK; house++)
        status = pine_prep_init(&pine, key, house, nonce, public_share, pine_source_memory(&shares[house]),
                                &states[house], preps[house], &err);
    if (status == OK)
        status = pine_prep_decide(&pine, preps[0], preps[1], message, &err);
    for (int house = 0; house < 2 && status == OK; house++)
        status = pine_prep_next(&pine, &states[house], message, &err);
    assert(status == OK || ((status == INVALID || status == FORBIDDEN) && err.message[0]));
    if (status == OK)
        within_bound(&pine, shares);
    free(preps[0]);
    free(preps[1]);
    return 0;
}
