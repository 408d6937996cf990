/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sealed share, whatever it is: its size is one or is not, and only what was sealed to this key opens. */
#include "pine/seal.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[HPKE_KEY_SIZE] = {1, 2, 3};
    auto_unseal struct unseal unseal = {0};
    struct str sealed = {(const char *)data, size};
    struct error err = {0};
    enum status status = unseal_begin(&unseal, key, STR("info"), STR("aad"), pine_source_memory(&sealed), size, &err);
    if (status != OK) {
        assert(status == INVALID && err.message[0]);
        return 0;
    }
    assert(unseal.plain < size && seal_size(unseal.plain) == size);
    struct pine_source source = unseal_source(&unseal);
    uint8_t *out = malloc(unseal.plain + 1);
    status = source.read(source.context, 0, out, unseal.plain, &err);
    assert(status == OK || (status == FORBIDDEN && err.message[0]));
    assert(source.read(source.context, unseal.plain, out, 1, &err) == INVALID);
    free(out);
    return 0;
}
