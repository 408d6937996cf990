/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report CONFIG KIND NUMBERS OUT [NONCE]: a participant's report for the round's configuration in the file CONFIG, honest or evil
 * (tests/unit/house/reports.h). NUMBERS is a file of float32, the change of the model, which is rounded to the nearest. OUT gets what is
 * sent of the leader's share, standard output the rest in base64.
 */
#include "../unit/house/reports.h"
#include "base/file.h"
#include "base/text.h"

static void read_file(const char *path, struct buf *out)
{
    struct error err;
    if (file_read_all(path, (size_t)1 << 30, out, &err) != OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

static enum evil find(const char *name)
{
    for (int i = 0; i < EVILS; i++)
        if (strcmp(name, evil_names[i]) == 0)
            return (enum evil)i;
    fprintf(stderr, "no such kind: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf config = {0}, numbers = {0}, leader = {0};
    struct error err;
    struct pact pact;
    struct report report;
    uint8_t ctx[SHA256_SIZE], nonce[PINE_NONCE_SIZE];
    if (argc < 5)
        return 2;
    read_file(argv[1], &config);
    read_file(argv[3], &numbers);
    if (pact_read(&arena, buf_view(&config), &pact, &err) != OK)
        return 1;
    pact_ctx(buf_view(&config), ctx);
    int32_t *x = arena_array(&arena, (size_t)pact.dimension, sizeof *x);
    if (numbers.len != (size_t)pact.dimension * sizeof(float))
        return 1;
    for (int64_t i = 0; i < pact.dimension; i++) {
        float value;
        memcpy(&value, numbers.data + (size_t)i * sizeof value, sizeof value);
        x[i] = (int32_t)llround(ldexp(value, (int)pact.fraction_bits));
    }
    bool given = argc > 5 && hex_decode(str_of(argv[5]), nonce, sizeof nonce);
    make_report(&pact, ctx, find(argv[2]), x, given ? nonce : NULL, NULL, &report, &leader);
    struct str text = base64_encode(&arena, (struct str){(const char *)&report, sizeof report});
    printf("%.*s\n", STR_ARG(text));
    return file_write_durable(argv[4], buf_view(&leader), 0600, &err) == OK ? 0 : 1;
}
