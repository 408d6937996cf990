/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_pine FIELD_BITS DIMENSION RUNS: what a report costs in CPU time of one thread, the least of RUNS. Prints "name value" a line:
 *
 *   quantise_ms   clipping and rounding the update
 *   client_ms     from the integers to both shares and the proofs (the leader's share is written into memory)
 *   leader_ms     the hub's first step with its share
 *   helper_ms     the second house's, which expands seeds
 *   sum_ms        adding a house's output share to a sum (the helper's, which expands again)
 *   upload_bytes, upload_of_float32
 *   peak_kb       of which 16 to 32 bytes a coordinate are what this program itself keeps: update, integers, share and sum
 */
#include "pine/pine.h"
#include "base/hash.h"
#include "base/time.h"
#include "pine/quantise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static void check(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench_pine: %s\n", err->message);
    exit(1);
}
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        struct error must_ = {0}, *err = &must_;                                                                       \
        check(call, err);                                                                                              \
    } while (0)

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* one thread that never waits: other work beside it should not count */
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The leader's share, kept in memory so that no disk is measured. */
static uint8_t *share;
static size_t share_len;

static enum status keep(void *context, const uint8_t *data, size_t len, struct error *err)
{
    (void)context;
    (void)err;
    memcpy(share + share_len, data, len);
    share_len += len;
    return OK;
}

/* Flat noise, as an update of norm 1 or so. */
static float *update_make(size_t d)
{
    float *update = calloc(d, sizeof *update);
    int32_t noise[1024];
    if (!update)
        abort();
    for (size_t at = 0; at < d; at++) {
        if (at % 1024 == 0)
            random_bytes(noise, sizeof noise);
        update[at] = (float)(noise[at % 1024] / 2147483648.0 * sqrt(3 / (double)d));
    }
    return update;
}

static double least(double best, double start)
{
    double spent = now_ms() - start;
    return best == 0 || spent < best ? spent : best;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_pine FIELD_BITS DIMENSION RUNS\n");
        return 2;
    }
    unsigned bits = (unsigned)atoi(argv[1]);
    size_t d = (size_t)atoll(argv[2]);
    struct pine pine;
    struct pine_config config =
        pine_config_cairn(bits, d, bits == 32 ? 1 << 15 : 1 << 24, STR("0123456789abcdef0123456789abcdef"));
    MUST(pine_make(&config, &pine, err));
    uint8_t rand[7 * SEED_SIZE_MAX], nonce[PINE_NONCE_SIZE], key[SEED_SIZE_MAX], helper[4 * SEED_SIZE_MAX],
        public_share[4 * SEED_SIZE_MAX], message[2 * SEED_SIZE_MAX];
    uint8_t *prep[2] = {malloc(pine.prep_share), malloc(pine.prep_share)}, *sum = calloc(1, pine.agg_share);
    struct pine_state states[2];
    int32_t *x = calloc(d, sizeof *x);
    float *update = update_make(d);
    share = malloc(pine.leader_share);
    if (!x || !share || !prep[0] || !prep[1] || !sum)
        abort();
    double client = 0, quantise = 0, house[2] = {0}, summing = 0;
    for (int run = atoi(argv[3]); run > 0; run--) {
        random_bytes(rand, sizeof rand);
        random_bytes(nonce, sizeof nonce);
        random_bytes(key, sizeof key);
        share_len = 0;
        double start = now_ms();
        MUST(pine_quantise(update, d, 0.9 * (double)config.norm_bound, config.norm_bound, rand, x, err));
        quantise = least(quantise, start);
        start = now_ms();
        MUST(pine_shard(&pine, x, nonce, rand, (struct pine_sink){keep, NULL}, helper, public_share, err));
        client = least(client, start);
        struct str shares[2] = {{(char *)share, share_len}, {(char *)helper, pine.helper_share}};
        for (int i = 0; i < 2; i++) {
            start = now_ms();
            MUST(pine_prep_init(&pine, key, i, nonce, public_share, pine_source_memory(&shares[i]), &states[i], prep[i],
                                err));
            house[i] = least(house[i], start);
        }
        MUST(pine_prep_decide(&pine, prep[0], prep[1], message, err));
        for (int i = 0; i < 2; i++)
            MUST(pine_prep_next(&pine, &states[i], message, err));
        struct pine_out *out;
        start = now_ms();
        MUST(pine_out_open(&pine, 1, pine_source_memory(&shares[1]), &out, err));
        MUST(pine_out_add(out, sum, d, err));
        pine_out_free(out);
        summing = least(summing, start);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("quantise_ms %.1f\nclient_ms %.1f\nleader_ms %.1f\nhelper_ms %.1f\nsum_ms %.1f\nupload_bytes "
           "%zu\nupload_of_float32 %.4f\n"
           "peak_kb %ld\n",
           quantise, client, house[0], house[1], summing, pine.leader_share,
           (double)pine.leader_share / (4.0 * (double)d), used.ru_maxrss);
    return 0;
}
