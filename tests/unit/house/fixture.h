/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hub that is honest but for one step at a time, and short words for what it asks of its house. */
#ifndef CAIRN_TESTS_HOUSE_FIXTURE_H
#define CAIRN_TESTS_HOUSE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>
#undef fail /* cmocka's; ours is base/error.h's */

#include "house/internal.h"
#include "reports.h"
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

const struct module *const modules[] = {NULL};

enum { D = 24, MOST = 16 };

struct hub_of { /* the other side of the tests */
    char folder[64];
    struct house *house;
    struct identity keys;
    struct arena arena;
    struct buf model, config;
    struct str base;
    struct pact pact;
    uint8_t run[WIRE_RUN_SIZE], ctx[SHA256_SIZE], verify_key[32], random[32];
    int64_t round, last_us;
    struct pine pine;
    struct report reports[MOST];
    struct buf leaders[MOST];
    uint8_t verdicts[MOST];
    size_t count;
    struct buf list, sums, theirs;   /* sums: bucket by bucket */
    size_t buckets, bucket_of[MOST]; /* by place in the list */
    int64_t chosen;                  /* of a race: what the record says */
    struct str scores;
    struct error err;
};

#define expect(want, call) check_status(h, (want), (call), __FILE__, __LINE__)
static inline void check_status(const struct hub_of *h, enum status want, enum status got, const char *file, int line)
{
    if (want == got)
        return;
    print_error("status %d instead of %d: %s\n", got, want, got ? h->err.message : "");
    _fail(file, line);
}

static inline enum status ask(struct hub_of *h, enum wire_op op, struct str payload, struct str *answer)
{
    auto_buf struct buf body = {0}, out = {0};
    struct wire_request request = {.op = op, .round = h->round, .payload = payload};
    struct str got;
    request.at_us = h->last_us = now_us() > h->last_us ? now_us() : h->last_us + 1;
    memcpy(request.to, house_key(h->house), PACT_KEY_SIZE);
    memcpy(request.run, h->run, sizeof h->run);
    wire_request_write(&request, &h->keys.sign, &body);
    house_answer(h->house, str_of(wire_op_name(op)), buf_view(&body), &out);
    enum status status = wire_answer_read(buf_view(&body), house_key(h->house), buf_view(&out), &got, &h->err);
    *answer = status == OK ? arena_copy(&h->arena, got) : STR("");
    return status;
}

/* Setting up. */

static const struct house_limits wide = {.parameters = 1000000, .runs = 100};

static inline struct hub_of *hub_new(const struct house_limits *limits)
{
    struct hub_of *h = calloc(1, sizeof *h);
    char path[128];
    snprintf(h->folder, sizeof h->folder, "/tmp/cairn-house-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    expect(OK, house_open(h->folder, limits, &h->house, &h->err));
    snprintf(path, sizeof path, "%s/hub.json", h->folder);
    expect(OK, identity_open(path, now_us(), &h->keys, &h->err));
    random_bytes(h->run, sizeof h->run);
    h->round = 1;
    uint64_t head = 56;
    const char *text = "{\"w\":{\"dtype\":\"F32\",\"shape\":[24],\"data_offsets\":[0,96]}} ";
    head = strlen(text);
    buf_add(&h->model, &head, 8);
    buf_str(&h->model, str_of(text));
    for (int i = 0; i < D; i++) {
        float value = (float)i / 8;
        buf_add(&h->model, &value, sizeof value);
    }
    return h;
}

static inline int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static inline void hub_free(struct hub_of *h)
{
    house_close(h->house);
    nftw(h->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < MOST; i++)
        buf_free(&h->leaders[i]);
    buf_free(&h->model);
    buf_free(&h->config);
    buf_free(&h->list);
    buf_free(&h->sums);
    buf_free(&h->theirs);
    arena_free(&h->arena);
    free(h);
}

static inline void reopen(struct hub_of *h, const struct house_limits *limits)
{
    house_close(h->house);
    h->house = NULL;
    expect(OK, house_open(h->folder, limits, &h->house, &h->err));
}

static inline void make_config(struct hub_of *h, const char *settings)
{
    auto_json json_t *body = NULL;
    struct settings read;
    struct pact *pact = &h->pact;
    *pact = (struct pact){.run = hex_encode(&h->arena, h->run, sizeof h->run), .round = h->round, .dimension = D};
    pact->base = STR("0123456789012345678901234567890123456789");
    sha256(buf_view(&h->model), pact->model);
    sha256(str_slice(buf_view(&h->model), 0, h->model.len - D * sizeof(float)), pact->manifest);
    expect(OK, json_read(str_of(settings), 10000, &body, &h->err));
    expect(OK, settings_read(body, &read, &h->err));
    expect(OK, pact_of_settings(&h->arena, &read, pact, &h->err));
    memcpy(pact->hub.key, h->keys.sign.public_key, 32);
    memcpy(pact->hub.seal, h->keys.seals[0].public_key, 32);
    pact->hub.until_us = h->keys.seals[0].until_us;
    memcpy(pact->house.key, house_key(h->house), 32);
    memcpy(pact->house.seal, h->house->identity->seals[0].public_key, 32);
    pact->house.until_us = h->house->identity->seals[0].until_us;
    h->config.len = 0;
    pact_write(pact, &h->config);
    pact_ctx(buf_view(&h->config), h->ctx);
    expect(OK, pact_pine(pact, h->ctx, &h->pine, &h->err));
    uint8_t shared[32];
    expect(OK, x25519(h->keys.seals[0].private_key, pact->house.seal, shared, &h->err));
    hkdf_sha256((struct str){(char *)shared, 32}, (struct str){(char *)h->run, sizeof h->run}, STR("verify"),
                h->verify_key, 32);
}

#define MEAN "{\"mode\":\"two-houses\",\"rounds\":3,\"minParticipants\":3,\"house\":\"http://house\"}"
#define ROBUST                                                                                                         \
    "{\"mode\":\"two-houses\",\"rounds\":3,\"minParticipants\":12,\"rule\":\"median\",\"house\":\"http://house\"}"

static inline enum status send_config(struct hub_of *h)
{
    struct str answer;
    enum status status = ask(h, WIRE_CONFIG, buf_view(&h->config), &answer);
    if (status == OK)
        assert_true(
            answer.len == PACT_SIGNATURE_SIZE &&
            pact_text_signed(house_key(h->house), PACT_TYPE, buf_view(&h->config), (const uint8_t *)answer.data));
    return status;
}

static inline enum status send_model(struct hub_of *h, struct str bytes)
{
    auto_buf struct buf payload = {0};
    struct str answer;
    wire_int(&payload, 0);
    buf_str(&payload, bytes);
    return ask(h, WIRE_MODEL, buf_view(&payload), &answer);
}

static inline void begin(struct hub_of *h, const char *settings)
{
    make_config(h, settings);
    expect(OK, send_config(h));
    expect(OK, send_model(h, buf_view(&h->model)));
}

/* Reports. */

static inline void fill(int32_t *x, int seed)
{
    for (int i = 0; i < D; i++)
        x[i] = (seed * 7919 + i * 104729) % 20001 * 100 - 1000000;
}

static inline void add_report(struct hub_of *h, enum evil evil, int seed)
{
    int32_t x[D];
    fill(x, seed);
    if (evil == OVER) {
        memset(x, 0, sizeof x);
        x[3] = (int32_t)((double)h->pact.norm_bound * 1.001);
    }
    make_report(&h->pact, h->ctx, evil, x, NULL, NULL, &h->reports[h->count], &h->leaders[h->count]);
    h->count++;
}

static inline enum status leader_prep(struct hub_of *h, size_t i, uint8_t *prep)
{
    uint8_t aad[REPORT_AAD_SIZE];
    struct str sealed = buf_view(&h->leaders[i]);
    struct unseal unseal = {0};
    struct pine_state state;
    enum status status =
        unseal_begin(&unseal, h->keys.seals[0].private_key, (struct str){(char *)h->ctx, SHA256_SIZE},
                     report_aad(&h->reports[i], 0, aad), pine_source_memory(&sealed), sealed.len, &h->err);
    if (status == OK)
        status = pine_prep_init(&h->pine, h->verify_key, 0, h->reports[i].nonce, h->reports[i].public_share,
                                unseal_source(&unseal), &state, prep, &h->err);
    unseal_end(&unseal);
    return status;
}

/* Reports from `from` on, with the hub's prep shares; h->verdicts gets the house's words. */
static inline enum status verify_from(struct hub_of *h, size_t from)
{
    auto_buf struct buf payload = {0};
    struct str answer;
    uint8_t *prep = calloc(1, h->pine.prep_share);
    for (size_t i = from; i < h->count; i++) {
        memset(prep, 0, h->pine.prep_share);
        leader_prep(h, i, prep);
        buf_add(&payload, &h->reports[i], sizeof h->reports[i]);
        buf_add(&payload, prep, h->pine.prep_share);
    }
    free(prep);
    enum status status = ask(h, WIRE_VERIFY, buf_view(&payload), &answer);
    for (size_t i = from; i < h->count && status == OK; i++)
        h->verdicts[i] = (uint8_t)answer.data[(i - from) * (1 + h->pine.prep_share)];
    return status;
}

static inline int by_nonce(const void *a, const void *b)
{
    return memcmp(a, b, PINE_NONCE_SIZE);
}

static inline enum status freeze(struct hub_of *h)
{
    auto_buf struct buf payload = {0};
    struct str answer;
    uint8_t promise[32];
    h->list.len = 0;
    for (size_t i = 0; i < h->count; i++)
        if (h->verdicts[i] == VERDICT_GOOD)
            buf_add(&h->list, h->reports[i].nonce, PINE_NONCE_SIZE);
    qsort(h->list.data, h->list.len / PINE_NONCE_SIZE, PINE_NONCE_SIZE, by_nonce);
    sha256((struct str){(char *)h->random, 32}, promise);
    buf_add(&payload, promise, 32);
    buf_str(&payload, buf_view(&h->list));
    return ask(h, WIRE_FREEZE, buf_view(&payload), &answer);
}

static inline enum status draw(struct hub_of *h)
{
    struct str answer;
    uint8_t list[32], seed[32];
    size_t count = h->list.len / PINE_NONCE_SIZE;
    TRY(ask(h, WIRE_DRAW, (struct str){(char *)h->random, 32}, &answer));
    sha256(buf_view(&h->list), list);
    draw_seed(h->random, (const uint8_t *)answer.data, h->ctx, list, seed);
    draw_buckets(seed, count, (size_t)h->pact.bucket, h->bucket_of);
    h->buckets = draw_count(count, (size_t)h->pact.bucket);
    return OK;
}

static inline bool is_in(const struct hub_of *h, size_t report, size_t bucket)
{
    for (size_t i = 0; i < h->list.len / PINE_NONCE_SIZE; i++)
        if (memcmp(h->list.data + i * PINE_NONCE_SIZE, h->reports[report].nonce, PINE_NONCE_SIZE) == 0)
            return h->bucket_of[i] == bucket;
    return false;
}

/* The hub's sum of a bucket. */
struct members {
    struct hub_of *h;
    size_t bucket, at;
    struct str sealed;
    struct unseal unseal;
    uint8_t aad[REPORT_AAD_SIZE];
    bool is_open;
};

static inline enum status next_member(void *context, struct pine_source *out, bool *found, struct error *err)
{
    struct members *a = context;
    if (a->is_open)
        unseal_end(&a->unseal);
    a->is_open = false;
    while (a->at < a->h->count && !is_in(a->h, a->at, a->bucket))
        a->at++;
    *found = a->at < a->h->count;
    if (!*found)
        return OK;
    a->sealed = buf_view(&a->h->leaders[a->at]);
    a->is_open = true;
    TRY(unseal_begin(&a->unseal, a->h->keys.seals[0].private_key, (struct str){(char *)a->h->ctx, SHA256_SIZE},
                     report_aad(&a->h->reports[a->at], 0, a->aad), pine_source_memory(&a->sealed), a->sealed.len, err));
    *out = unseal_source(&a->unseal);
    a->at++;
    return OK;
}

static inline int scratch(void)
{
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static inline void sum(struct hub_of *h, struct buf *digests)
{
    size_t size = h->pine.agg_share;
    uint8_t digest[32];
    int fd = scratch();
    for (size_t i = 0; i < h->buckets; i++) {
        struct members members = {.h = h, .bucket = i};
        const struct shares shares = {next_member, &members};
        expect(OK, sum_bucket(&h->pine, 0, &shares, h->random, 0, i, fd, (int64_t)(i * size), digest, &h->err));
        buf_add(digests, digest, sizeof digest);
    }
    h->sums.len = 0;
    buf_reserve(&h->sums, h->buckets * size);
    h->sums.len = h->buckets * size;
    expect(OK, pread_full(fd, h->sums.data, h->sums.len, 0, &h->err));
    close(fd);
}

static inline struct str sum_of(const struct hub_of *h, const struct buf *sums, size_t bucket)
{
    return str_slice(buf_view(sums), bucket * h->pine.agg_share, h->pine.agg_share);
}

static inline enum status exchange(struct hub_of *h, size_t bucket, struct str sum, bool tampers)
{
    auto_buf struct buf payload = {0};
    struct str answer;
    wire_int(&payload, (int64_t)bucket);
    wire_int(&payload, 0);
    buf_str(&payload, sum);
    payload.data[20] ^= tampers;
    TRY(ask(h, WIRE_EXCHANGE, buf_view(&payload), &answer));
    buf_str(&h->theirs, answer);
    return OK;
}

static inline void exchange_all(struct hub_of *h, bool tampers)
{
    auto_buf struct buf digests = {0};
    uint8_t theirs[32];
    struct str answer;
    expect(OK, draw(h));
    sum(h, &digests);
    expect(OK, ask(h, WIRE_COMMIT, buf_view(&digests), &answer));
    h->theirs.len = 0;
    for (size_t i = 0; i < h->buckets; i++) {
        expect(OK, exchange(h, i, sum_of(h, &h->sums, i), tampers));
        sha256(sum_of(h, &h->theirs, i), theirs);
        assert_memory_equal(answer.data + i * 32, theirs, 32);
    }
}

/* What is in a bucket, as it comes of both sums. */
static inline void result(struct hub_of *h, size_t bucket, double *out)
{
    int64_t sums[D];
    expect(OK, pine_unshard(&h->pine, (const uint8_t *)sum_of(h, &h->sums, bucket).data,
                            (const uint8_t *)sum_of(h, &h->theirs, bucket).data, D, sums, &h->err));
    for (int i = 0; i < D; i++)
        out[i] = ldexp((double)sums[i], -(int)h->pact.fraction_bits);
}

static inline void begin_and_report(struct hub_of *h, const char *settings, size_t count)
{
    begin(h, settings);
    for (size_t i = 0; i < count; i++)
        add_report(h, HONEST, (int)i);
    expect(OK, verify_from(h, 0));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(h->verdicts[i], VERDICT_GOOD);
}

static inline struct str replaced(struct hub_of *h, struct str text, const char *from, const char *to)
{
    auto_buf struct buf out = {0};
    struct str whole = arena_copy(&h->arena, text);
    const char *at = strstr(whole.data, from);
    assert_non_null(at);
    buf_add(&out, whole.data, (size_t)(at - whole.data));
    buf_str(&out, str_of(to));
    buf_str(&out, str_of(at + strlen(from)));
    return arena_copy(&h->arena, buf_view(&out));
}

#endif
