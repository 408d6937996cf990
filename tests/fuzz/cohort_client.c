/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a hub may say to a member at any step: the first byte is the step, the rest the message. Whatever it is, it is taken or it ends the
 * attempt, and where it ends it nothing is given. */
#include "cohort/client.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMBERS = 4, WIDTH = 3 };

static enum status remember(void *context, const char *what, const uint8_t *pairs, size_t count, struct error *err)
{
    (void)context, (void)what, (void)pairs, (void)count, (void)err;
    return OK;
}

struct world {
    struct cohort_client *clients[MEMBERS];
    struct cohort_member roster[MEMBERS];
    uint8_t nonce[32];
};

static void begin(struct world *w)
{
    struct cohort_round round = {.run = STR("run"),
                                 .base = STR("base"),
                                 .model = STR("model"),
                                 .number = 1,
                                 .attempt = 1,
                                 .width = WIDTH,
                                 .bound = 1,
                                 .rule = STR("mean"),
                                 .least = 3};
    sha256((struct str){(char *)w->nonce, 32}, round.nonce_sha256);
    for (uint8_t i = 0; i < MEMBERS; i++) {
        const uint8_t name[COHORT_NAME_SIZE] = {i}, seed[32] = {i};
        w->clients[i] = cohort_client_new(&round, name, seed, (struct cohort_memory){remember, NULL});
        if (cohort_client_keys(w->clients[i], &w->roster[i], NULL) != OK)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    struct buf out = {0};
    uint8_t signature[COHORT_SIGNATURE_SIZE];
    const int32_t values[WIDTH] = {1, -1, 0};
    struct error err = {0};
    enum status status;
    if (size < 1)
        return 0;
    struct str message = {(const char *)data + 1, size - 1}, roster = {(char *)w.roster, sizeof w.roster},
               nonce = {(char *)w.nonce, 32};
    begin(&w);
    if (data[0] % 4) { /* the steps before it, as an honest hub has them */
        struct buf ignored = {0};
        status = cohort_client_deal(w.clients[0], roster, nonce, &ignored, NULL);
        assert(status == OK);
        buf_free(&ignored);
    } else {
        message.len -= message.len % sizeof *w.roster; /* as bytes that came by hex do: aligned for bytes alone */
    }
    switch (data[0] % 4) {
    case 0:
        status = cohort_client_deal(w.clients[0], message, nonce, &out, &err);
        break;
    case 1:
        status = cohort_client_mask(w.clients[0], message, values, &out, &err);
        break;
    case 2:
        status = cohort_client_sign(w.clients[0], message, signature, &err);
        break;
    default:
        status = cohort_client_unmask(w.clients[0], message, &out, &err);
    }
    assert(status == OK || (err.message[0] && out.len == 0));
    if (status != OK) /* and after it there is nothing */
        assert(cohort_client_unmask(w.clients[0], message, &out, NULL) != OK && out.len == 0);
    for (int i = 0; i < MEMBERS; i++)
        cohort_client_free(w.clients[i]);
    buf_free(&out);
    return 0;
}
