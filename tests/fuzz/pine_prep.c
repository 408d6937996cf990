/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the other house answers, for both houses at once: two prep shares one after the other, whatever they are. */
#include "pine/pine.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned fields[] = {32, 40, 64, 128};
    struct pine pine;
    struct error err = {0};
    uint8_t message[2 * SEED_SIZE_MAX];
    if (size == 0)
        return 0;
    struct pine_config config = pine_config_cairn(fields[data[0] % 4], 20, 1000, STR("fuzz"));
    if (pine_make(&config, &pine, NULL) != OK)
        abort();
    /* Exact sizes are the caller's to check; short input is taken as zeros behind it. */
    uint8_t *preps[2] = {calloc(1, pine.prep_share), calloc(1, pine.prep_share)};
    struct str rest = {(const char *)data + 1, size - 1};
    for (int house = 0; house < 2; house++) {
        struct str own = str_slice(rest, 0, pine.prep_share);
        memcpy(preps[house], own.data, own.len);
        rest = str_from(rest, own.len);
    }
    enum status status = pine_prep_decide(&pine, preps[0], preps[1], message, &err);
    assert(status == OK || ((status == INVALID || status == FORBIDDEN) && err.message[0]));
    /* Sums come from the other house too. */
    int64_t out[20];
    size_t count = (size - 1) / 2 / pine.element;
    if (count > 20)
        count = 20;
    status = pine_unshard(&pine, data + 1, data + 1 + count * pine.element, count, out, &err);
    assert(status == OK || (status == INVALID && err.message[0]));
    free(preps[0]);
    free(preps[1]);
    return 0;
}
