/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A report in memory, and the steps that two houses take with it. */
#ifndef CAIRN_TESTS_PINE_REPORT_H
#define CAIRN_TESTS_PINE_REPORT_H

#include "../vdaf/vectors.h"
#include "base/hash.h"
#include "pine/pine.h"

#define expect(want, call) check_status((want), (call), &err, __FILE__, __LINE__)
static inline void check_status(enum status want, enum status got, const struct error *err, const char *file, int line)
{
    if (want == got)
        return;
    print_error("status %d instead of %d: %s\n", got, want, got ? err->message : "");
    _fail(file, line);
}

struct report {
    struct pine pine;
    uint8_t nonce[PINE_NONCE_SIZE];
    uint8_t public_share[4 * SEED_SIZE_MAX], helper[4 * SEED_SIZE_MAX];
    struct buf leader, prep[2];
    uint8_t message[2 * SEED_SIZE_MAX], key[SEED_SIZE_MAX];
    struct pine_state states[2];
};
#define auto_report __attribute__((cleanup(report_free)))

static inline void report_free(struct report *r)
{
    buf_free(&r->leader);
    buf_free(&r->prep[0]);
    buf_free(&r->prep[1]);
}

static inline enum status into_buf(void *context, const uint8_t *data, size_t len, struct error *err)
{
    (void)err;
    buf_add(context, data, len);
    return OK;
}

static inline enum status report_shard(struct report *r, const int32_t *vector, const uint8_t *rand, struct error *err)
{
    r->leader.len = 0;
    return pine_shard(&r->pine, vector, r->nonce, rand, (struct pine_sink){into_buf, &r->leader}, r->helper,
                      r->public_share, err);
}

static inline struct str report_share(const struct report *r, int house)
{
    return house == 0 ? buf_view(&r->leader) : (struct str){(const char *)r->helper, r->pine.helper_share};
}

static inline enum status report_init(struct report *r, int house, struct error *err)
{
    struct str share = report_share(r, house);
    buf_reserve(&r->prep[house], r->pine.prep_share);
    r->prep[house].len = r->pine.prep_share;
    return pine_prep_init(&r->pine, r->key, house, r->nonce, r->public_share, pine_source_memory(&share),
                          &r->states[house], (uint8_t *)r->prep[house].data, err);
}

static inline enum status report_decide(struct report *r, struct error *err)
{
    return pine_prep_decide(&r->pine, (uint8_t *)r->prep[0].data, (uint8_t *)r->prep[1].data, r->message, err);
}

/* Everything that houses do with a report, to the first refusal. */
static inline enum status report_check(struct report *r, struct error *err)
{
    TRY(report_init(r, 0, err));
    TRY(report_init(r, 1, err));
    TRY(report_decide(r, err));
    TRY(pine_prep_next(&r->pine, &r->states[0], r->message, err));
    return pine_prep_next(&r->pine, &r->states[1], r->message, err);
}

/* Adds a house's output share to sum (pine.agg_share bytes), in uneven steps. */
static inline enum status report_sum(const struct report *r, int house, uint8_t *sum, struct error *err)
{
    struct pine_out *out;
    struct str share = report_share(r, house);
    TRY(pine_out_open(&r->pine, house, pine_source_memory(&share), &out, err));
    enum status status = OK;
    for (size_t at = 0, step = 1, d = r->pine.config.dimension; at < d && status == OK;
         at += step, step = 3 * step + 1) {
        if (step > d - at)
            step = d - at;
        status = pine_out_add(out, sum + at * r->pine.element, step, err);
    }
    pine_out_free(out);
    return status;
}

#endif
