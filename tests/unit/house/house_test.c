/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hub that is honest but for one step at a time, and a house that does not let it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail

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
static void check_status(const struct hub_of *h, enum status want, enum status got, const char *file, int line)
{
    if (want == got)
        return;
    print_error("status %d instead of %d: %s\n", got, want, got ? h->err.message : "");
    _fail(file, line);
}

static enum status ask(struct hub_of *h, enum wire_op op, struct str payload, struct str *answer)
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

static struct hub_of *hub_new(const struct house_limits *limits)
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

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static void hub_free(struct hub_of *h)
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

static void reopen(struct hub_of *h, const struct house_limits *limits)
{
    house_close(h->house);
    h->house = NULL;
    expect(OK, house_open(h->folder, limits, &h->house, &h->err));
}

static void make_config(struct hub_of *h, const char *settings)
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

static enum status send_config(struct hub_of *h)
{
    struct str answer;
    enum status status = ask(h, WIRE_CONFIG, buf_view(&h->config), &answer);
    if (status == OK)
        assert_true(
            answer.len == PACT_SIGNATURE_SIZE &&
            pact_text_signed(house_key(h->house), PACT_TYPE, buf_view(&h->config), (const uint8_t *)answer.data));
    return status;
}

static enum status send_model(struct hub_of *h, struct str bytes)
{
    auto_buf struct buf payload = {0};
    struct str answer;
    wire_int(&payload, 0);
    buf_str(&payload, bytes);
    return ask(h, WIRE_MODEL, buf_view(&payload), &answer);
}

static void begin(struct hub_of *h, const char *settings)
{
    make_config(h, settings);
    expect(OK, send_config(h));
    expect(OK, send_model(h, buf_view(&h->model)));
}

/* Reports. */

static void fill(int32_t *x, int seed)
{
    for (int i = 0; i < D; i++)
        x[i] = (seed * 7919 + i * 104729) % 20001 * 100 - 1000000;
}

static void add_report(struct hub_of *h, enum evil evil, int seed)
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

static enum status leader_prep(struct hub_of *h, size_t i, uint8_t *prep)
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
static enum status verify_from(struct hub_of *h, size_t from)
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

static int by_nonce(const void *a, const void *b)
{
    return memcmp(a, b, PINE_NONCE_SIZE);
}

static enum status freeze(struct hub_of *h)
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

static enum status draw(struct hub_of *h)
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

static bool is_in(const struct hub_of *h, size_t report, size_t bucket)
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

static enum status next_member(void *context, struct pine_source *out, bool *found, struct error *err)
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

static int scratch(void)
{
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static void sum(struct hub_of *h, struct buf *digests)
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

static struct str sum_of(const struct hub_of *h, const struct buf *sums, size_t bucket)
{
    return str_slice(buf_view(sums), bucket * h->pine.agg_share, h->pine.agg_share);
}

static enum status exchange(struct hub_of *h, size_t bucket, struct str sum, bool tampers)
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

static void exchange_all(struct hub_of *h, bool tampers)
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
static void result(struct hub_of *h, size_t bucket, double *out)
{
    int64_t sums[D];
    expect(OK, pine_unshard(&h->pine, (const uint8_t *)sum_of(h, &h->sums, bucket).data,
                            (const uint8_t *)sum_of(h, &h->theirs, bucket).data, D, sums, &h->err));
    for (int i = 0; i < D; i++)
        out[i] = ldexp((double)sums[i], -(int)h->pact.fraction_bits);
}

/* The tests. */

static void begin_and_report(struct hub_of *h, const char *settings, size_t count)
{
    begin(h, settings);
    for (size_t i = 0; i < count; i++)
        add_report(h, HONEST, (int)i);
    expect(OK, verify_from(h, 0));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(h->verdicts[i], VERDICT_GOOD);
}

static void the_sum_of_honest_reports_is_the_sum(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    double found[D];
    begin_and_report(h, MEAN, 3);
    expect(OK, freeze(h));
    exchange_all(h, false);
    result(h, 0, found);
    for (int i = 0; i < D; i++) {
        int32_t x[D];
        double wanted = 0;
        for (int seed = 0; seed < 3; seed++) {
            fill(x, seed);
            wanted += ldexp(x[i], -(int)h->pact.fraction_bits);
        }
        assert_true(found[i] == wanted);
    }
    hub_free(h);
}

/* Each kind by itself beside three honest ones, whose sum is as without it. */
static void malicious_reports_are_refused_and_change_no_bit_of_the_sum(void **state)
{
    (void)state;
    static const enum verdict wanted[EVILS] = {
        [OVER] = VERDICT_PROOF,        [WRAPAROUND] = VERDICT_PROOF,     [NO_BIT] = VERDICT_PROOF,
        [WRONG_NORM] = VERDICT_PROOF,  [SWAPPED_HELPER] = VERDICT_PROOF, [OTHER_ROUND] = VERDICT_SEAL,
        [UNSIGNED] = VERDICT_SIGNATURE};
    struct hub_of *h = hub_new(&wide);
    double found[D], alone[D];
    begin_and_report(h, MEAN, 3);
    for (enum evil evil = OVER; evil < EVILS; evil++) {
        if (evil == CUT) /* the leader's share: the hub's to see */
            continue;
        add_report(h, evil, 9);
        expect(OK, verify_from(h, h->count - 1));
        assert_int_equal(h->verdicts[h->count - 1], wanted[evil]);
    }
    expect(OK, freeze(h));
    exchange_all(h, false);
    result(h, 0, found);
    for (int i = 0; i < D; i++) {
        alone[i] = 0;
        for (int seed = 0; seed < 3; seed++) {
            int32_t x[D];
            fill(x, seed);
            alone[i] += ldexp(x[i], -(int)h->pact.fraction_bits);
        }
    }
    assert_memory_equal(found, alone, sizeof found);
    hub_free(h);
}

static void a_nonce_or_a_key_counts_once(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    int32_t x[D];
    uint8_t seed[32] = {1};
    struct pact_key key;
    begin_and_report(h, MEAN, 3);
    fill(x, 5);
    make_report(&h->pact, h->ctx, HONEST, x, h->reports[0].nonce, NULL, &h->reports[3], &h->leaders[3]);
    h->count = 4;
    expect(OK, verify_from(h, 3));
    assert_int_equal(h->verdicts[3], VERDICT_NONCE);
    pact_key_make(&key, seed);
    for (size_t i = 4; i < 6; i++)
        make_report(&h->pact, h->ctx, HONEST, x, NULL, &key, &h->reports[i], &h->leaders[i]);
    h->count = 6;
    expect(OK, verify_from(h, 4));
    assert_int_equal(h->verdicts[4], VERDICT_GOOD);
    assert_int_equal(h->verdicts[5], VERDICT_NONCE);
    hub_free(h);
}

static void a_report_that_is_asked_about_again_is_answered_as_before(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    begin_and_report(h, MEAN, 3);
    add_report(h, OVER, 1);
    expect(OK, verify_from(h, 0));
    reopen(h, &wide);
    memset(h->verdicts, 0, sizeof h->verdicts);
    expect(OK, verify_from(h, 0));
    assert_int_equal(h->verdicts[0], VERDICT_GOOD);
    assert_int_equal(h->verdicts[3], VERDICT_PROOF);
    hub_free(h);
}

static void a_house_signs_one_configuration_for_a_round(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    begin(h, MEAN);
    expect(OK, send_config(h)); /* the same again */
    h->pact.model[0] ^= 1;
    h->config.len = 0;
    pact_write(&h->pact, &h->config);
    expect(CONFLICT, send_config(h));
    reopen(h, &wide);
    expect(CONFLICT, send_config(h));
    hub_free(h);
}

static void a_configuration_that_is_not_what_the_settings_give_is_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    make_config(h, MEAN);
    h->pact.norm_bound *= 2;
    h->config.len = 0;
    pact_write(&h->pact, &h->config);
    expect(UNPROCESSABLE, send_config(h));
    make_config(h, ROBUST);
    h->pact.bucket = 2;
    h->config.len = 0;
    pact_write(&h->pact, &h->config);
    expect(UNPROCESSABLE, send_config(h));
    make_config(h, MEAN);
    buf_byte(&h->config, ' ');
    expect(UNPROCESSABLE, send_config(h));
    make_config(h, MEAN);
    expect(OK, send_config(h));
    hub_free(h);
}

static struct str replaced(struct hub_of *h, struct str text, const char *from, const char *to)
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

/* A house that is asked by a hub whose own checks are other ones: the sizes are in the settings' text. */
static void buckets_that_say_too_much_are_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    static const char *const replacements[][2] = {
        {"\"minParticipants\":12", "\"minParticipants\":11"},
        {"\"rule\":\"median\"", "\"rule\":\"bucketing:3+median\""},
        {"\"rule\":\"median\"", "\"rule\":\"race:mean,krum:2\""},
        {"\"rule\":\"median\"", "\"rule\":\"race:mean,bucketing:4+median\""},
        {"\"rule\":\"median\"", "\"rule\":\"race:bucketing:3+mean,bucketing:3+median\""},
        {"\"rule\":\"median\"", "\"rule\":\"mean\",\"suspicion\":8"}};
    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++) {
        make_config(h, ROBUST);
        struct str text = replaced(h, buf_view(&h->config), replacements[i][0], replacements[i][1]);
        h->config.len = 0;
        buf_str(&h->config, text);
        expect(INVALID, send_config(h));
    }
    hub_free(h);
}

static void a_list_with_too_few_or_foreign_reports_is_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    begin_and_report(h, MEAN, 4);
    h->verdicts[0] = h->verdicts[1] = VERDICT_PROOF;
    expect(FORBIDDEN, freeze(h));
    assert_string_equal(h->err.code, "TooFewReports");
    h->verdicts[0] = h->verdicts[1] = VERDICT_GOOD;
    add_report(h, OVER, 3);
    expect(OK, verify_from(h, 4));
    h->verdicts[4] = VERDICT_GOOD;
    expect(FORBIDDEN, freeze(h));
    h->verdicts[4] = VERDICT_PROOF;
    expect(OK, freeze(h));
    expect(OK, freeze(h));
    h->verdicts[0] = VERDICT_PROOF; /* another list is not signed, nor another draw */
    expect(CONFLICT, freeze(h));
    h->verdicts[0] = VERDICT_GOOD;
    h->random[0] ^= 1;
    expect(CONFLICT, freeze(h));
    expect(FORBIDDEN, draw(h));
    h->random[0] ^= 1;
    expect(OK, draw(h));
    add_report(h, HONEST, 8);
    expect(CONFLICT, verify_from(h, 5));
    hub_free(h);
}

static void root_of_reports(const struct hub_of *h, uint8_t out[SHA256_SIZE])
{
    uint8_t signatures[MOST][PACT_SIGNATURE_SIZE];
    size_t count = h->list.len / PINE_NONCE_SIZE;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < h->count; j++)
            if (memcmp(h->list.data + i * PINE_NONCE_SIZE, h->reports[j].nonce, PINE_NONCE_SIZE) == 0)
                memcpy(signatures[i], h->reports[j].signature, PACT_SIGNATURE_SIZE);
    reports_root((const uint8_t(*)[PACT_SIGNATURE_SIZE])signatures, count, out);
}

/* Of the buckets' means, in float32: the only one, or the middle one of three. */
static double middle(float means[3][D], size_t buckets, int i)
{
    double a = means[0][i], b = means[1][i], c = means[2][i];
    return buckets == 1 ? a : fmax(fmin(a, b), fmin(fmax(a, b), c));
}

static void make_facts(struct hub_of *h, struct house_facts *facts, float means[3][D])
{
    double sums[D];
    for (size_t i = 0; i < h->list.len / PINE_NONCE_SIZE; i++)
        facts->members[h->bucket_of[i]]++;
    for (size_t bucket = 0; bucket < h->buckets; bucket++) {
        double squares = 0;
        result(h, bucket, sums);
        for (int i = 0; i < D; i++) {
            means[bucket][i] = (float)(sums[i] / (double)facts->members[bucket]);
            squares += (double)means[bucket][i] * (double)means[bucket][i];
        }
        facts->norms[bucket] = sqrt(squares);
        sha256(sum_of(h, &h->sums, bucket), facts->sums[bucket][0]);
        sha256(sum_of(h, &h->theirs, bucket), facts->sums[bucket][1]);
    }
}

/* The record of an honest hub, made by the house's own code over the hub's files. */
static struct str record_of(struct hub_of *h, double wrong)
{
    size_t members[3] = {0};
    double norms[3];
    float means[3][D] = {0};
    uint8_t digests[3][2][SHA256_SIZE];
    struct house_facts facts = {.buckets = h->buckets, .members = members, .norms = norms, .sums = digests};
    struct closing c = {.arena = &h->arena, .facts = &facts, .count = h->list.len / PINE_NONCE_SIZE};
    auto_json json_t *keep = NULL;
    struct str model = arena_copy(&h->arena, buf_view(&h->model)), draw_of;
    expect(OK, settings_of(buf_view(&h->config), &keep, &c.run.settings, &h->err));
    c.run.public_id = h->pact.run;
    c.run.round = h->round;
    hex_decode(h->pact.base, c.run.base.bytes, SHA1_SIZE);
    c.base.sha256 = hex_encode(&h->arena, h->pact.model, SHA256_SIZE);
    make_facts(h, &facts, means);
    for (int i = 0; i < D; i++) {
        float value;
        char *at = (char *)model.data + model.len - (size_t)(D - i) * sizeof value;
        memcpy(&value, at, sizeof value);
        value = (float)((double)value + middle(means, h->buckets, i) + (i == 3 ? wrong : 0));
        memcpy(at, &value, sizeof value);
    }
    sha256(model, c.sha256);
    memcpy(facts.ctx, h->ctx, SHA256_SIZE);
    sha256(buf_view(&h->list), facts.list);
    root_of_reports(h, facts.reports);
    memcpy(facts.randoms[0], h->random, 32);
    expect(OK, ask(h, WIRE_DRAW, (struct str){(char *)h->random, 32}, &draw_of));
    memcpy(facts.randoms[1], draw_of.data, 32);
    c.rows.count = h->buckets;
    c.run.chosen = h->chosen;
    c.run.scores = h->scores;
    round_write_record(&c);
    if (wrong == 0) {
        h->model.len = 0;
        buf_str(&h->model, model);
    }
    return c.record;
}

static void only_the_model_that_the_rule_gives_is_signed(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    struct str signature, again, record;
    begin_and_report(h, MEAN, 3);
    expect(OK, freeze(h));
    exchange_all(h, false);
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record_of(h, 0.5), &signature));
    assert_string_equal(h->err.code, "OtherRecord");
    record = record_of(h, 0);
    char *reports = strstr(record.data, "\"reports\":\"");
    reports[11] ^= 1; /* another digit */
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record, &signature));
    reports[11] ^= 1;
    expect(OK, ask(h, WIRE_COSIGN, record, &signature));
    assert_true(pact_text_signed(house_key(h->house), RECORD_TYPE, record, (const uint8_t *)signature.data));
    expect(OK, ask(h, WIRE_COSIGN, record, &again));
    assert_true(str_eq(signature, again));
    /* The next round begins with that model, which the house has by itself; another one it does not sign. */
    h->round = 2;
    h->model.data[h->model.len - 1] ^= 1;
    make_config(h, MEAN);
    expect(UNPROCESSABLE, send_config(h));
    h->model.data[h->model.len - 1] ^= 1;
    make_config(h, MEAN);
    expect(OK, send_config(h));
    expect(OK, send_model(h, STR("")));
    hub_free(h);
}

#define RACE(rules)                                                                                                    \
    "{\"mode\":\"two-houses\",\"rounds\":3,\"minParticipants\":12,\"rule\":\"race:" rules                              \
    "\",\"house\":\"http://house\"}"
#define LOSER "{\"rule\":\"mean\",\"scores\":{\"loss\":1e308}}"
#define LONG_NAME "a23456789012345678901234567890123456789012345678901234567890123456"

static void run_race(struct hub_of *h, const char *settings, int64_t chosen, const char *scores)
{
    begin_and_report(h, settings, 12);
    expect(OK, freeze(h));
    exchange_all(h, false);
    assert_int_equal(h->buckets, 3);
    h->chosen = chosen;
    h->scores = str_of(scores);
}

/* The record and model of an honest hub, whose judge found the median better, and one lie each. */
static void of_a_race_the_candidate_that_the_scores_make_the_best_is_signed(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        enum status wanted;
        const char *code;
    } lies[] = {{"\"chosen\":\"median\"", "\"chosen\":\"krum\"", FORBIDDEN, "OtherChoice"},
                {"\"chosen\":\"median\"", "\"chosen\":\"mean\"", FORBIDDEN, "OtherChoice"},
                {"\"chosen\":\"median\"", "\"chosen\":2", FORBIDDEN, "OtherChoice"},
                {"1e308", "-1e308", FORBIDDEN, "OtherChoice"},
                {"\"judged\":true", "\"judged\":false", FORBIDDEN, "OtherChoice"},
                {"\"rule\":\"mean\"", "\"rule\":\"krum\"", FORBIDDEN, "OtherRecord"},
                {"\"recall\":null", "\"recall\":01", INVALID, NULL},
                {"1e308", "1e309", INVALID, NULL},
                {"1e308", "NaN", INVALID, NULL},
                {"1e308", "99999999999999999999", INVALID, NULL},
                {"1e308", "\"1e308\"", INVALID, NULL},
                {"1e308", "1e308,\"" LONG_NAME "\":1", INVALID, NULL},
                {"\"loss\":1e308", "\"recall\":1", INVALID, NULL},
                {LOSER ",", "", INVALID, NULL},
                {LOSER, LOSER "," LOSER, INVALID, NULL},
                {LOSER, "null", INVALID, NULL}};
    struct hub_of *h = hub_new(&wide);
    struct str record, signature;
    run_race(h, RACE("mean,median"), 1, "[{\"loss\":0},{\"loss\":1}]");
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record_of(h, 0.5), &signature)); /* not the mean's model */
    assert_string_equal(h->err.code, "OtherRecord");
    h->chosen = 2;
    h->scores = STR("[{\"loss\":1e308},{\"loss\":-0.0,\"recall\":null}]");
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record_of(h, 0.5), &signature));
    record = record_of(h, 0);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        expect(lies[i].wanted, ask(h, WIRE_COSIGN, replaced(h, record, lies[i].from, lies[i].to), &signature));
        if (lies[i].code)
            assert_string_equal(h->err.code, lies[i].code);
    }
    expect(OK, ask(h, WIRE_COSIGN, record, &signature));
    assert_true(pact_text_signed(house_key(h->house), RECORD_TYPE, record, (const uint8_t *)signature.data));
    hub_free(h);
}

static void of_a_race_without_a_judge_the_first_candidate_is_signed_and_no_other(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    struct str signature, record;
    run_race(h, RACE("median,mean"), 2, "");
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record_of(h, 0.5), &signature));
    assert_string_equal(h->err.code, "OtherChoice");
    h->chosen = 1;
    record = record_of(h, 0);
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, replaced(h, record, "\"judged\":false", "\"judged\":0"), &signature));
    assert_string_equal(h->err.code, "OtherRecord");
    expect(OK, ask(h, WIRE_COSIGN, record, &signature));
    hub_free(h);
}

static void a_sum_that_is_not_what_was_committed_to_is_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    struct str signature;
    begin_and_report(h, MEAN, 3);
    expect(OK, freeze(h));
    exchange_all(h, true);
    expect(FORBIDDEN, ask(h, WIRE_COSIGN, record_of(h, 0), &signature));
    assert_string_equal(h->err.code, "OtherSum");
    hub_free(h);
}

static void another_model_than_the_round_s_is_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    make_config(h, MEAN);
    expect(OK, send_config(h));
    struct str wrong = arena_copy(&h->arena, buf_view(&h->model));
    ((char *)wrong.data)[wrong.len - 2] ^= 1;
    expect(UNPROCESSABLE, send_model(h, wrong));
    expect(OK, send_model(h, buf_view(&h->model)));
    hub_free(h);
}

static void steps_out_of_their_order_are_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    struct str answer;
    uint8_t digest[32] = {0};
    expect(NOT_FOUND, ask(h, WIRE_MODEL, STR("12345678"), &answer));
    begin_and_report(h, MEAN, 3);
    expect(CONFLICT, draw(h));
    expect(CONFLICT, ask(h, WIRE_COMMIT, (struct str){(char *)digest, 32}, &answer));
    expect(OK, freeze(h));
    expect(CONFLICT, ask(h, WIRE_COMMIT, (struct str){(char *)digest, 32}, &answer));
    expect(CONFLICT, ask(h, WIRE_COSIGN, STR("{}"), &answer));
    buf_reserve(&h->sums, 10);
    h->sums.len = 10;
    memset(h->sums.data, 0, 10);
    expect(INVALID, exchange(h, 0, buf_view(&h->sums), false));
    hub_free(h);
}

static void requests_that_are_played_again_or_by_others_are_refused(void **state)
{
    (void)state;
    struct hub_of *h = hub_new(&wide);
    auto_buf struct buf body = {0}, out = {0};
    struct wire_request request = {.op = WIRE_CONFIG, .round = 1, .at_us = now_us()};
    struct identity other = h->keys;
    struct str got;
    uint8_t seed[32] = {7};
    make_config(h, MEAN);
    request.payload = buf_view(&h->config);
    memcpy(request.to, house_key(h->house), 32);
    memcpy(request.run, h->run, sizeof h->run);
    wire_request_write(&request, &h->keys.sign, &body);
    for (int times = 0; times < 2; times++) {
        out.len = 0;
        house_answer(h->house, STR("config"), buf_view(&body), &out);
        expect(times ? UNAUTHENTICATED : OK,
               wire_answer_read(buf_view(&body), house_key(h->house), buf_view(&out), &got, &h->err));
    }
    /* The same bytes for another step, and with a bit changed. */
    out.len = 0;
    house_answer(h->house, STR("model"), buf_view(&body), &out);
    expect(UNAUTHENTICATED, wire_answer_read(buf_view(&body), house_key(h->house), buf_view(&out), &got, &h->err));
    body.data[body.len - 1] ^= 1;
    out.len = 0;
    house_answer(h->house, STR("config"), buf_view(&body), &out);
    expect(UNAUTHENTICATED, wire_answer_read(buf_view(&body), house_key(h->house), buf_view(&out), &got, &h->err));
    /* Another hub that knows the run's id. */
    pact_key_make(&other.sign, seed);
    h->keys = other;
    struct str answer;
    expect(FORBIDDEN, ask(h, WIRE_MODEL, STR("\0\0\0\0\0\0\0\0"), &answer));
    hub_free(h);
}

static void a_hub_that_is_not_on_the_list_opens_no_run(void **state)
{
    (void)state;
    static const char nobody[1][KEY_ID_SIZE] = {"0000-0000-0000-0000"};
    const struct house_limits narrow = {.parameters = 1000000, .runs = 100, .hub_ids = nobody, .hub_id_count = 1};
    struct hub_of *h = hub_new(&narrow);
    char own[1][KEY_ID_SIZE];
    make_config(h, MEAN);
    expect(FORBIDDEN, send_config(h));
    key_id(h->keys.sign.public_key, own[0]);
    const struct house_limits open = {
        .parameters = 1000000, .runs = 100, .hub_ids = (const char(*)[KEY_ID_SIZE])own, .hub_id_count = 1};
    reopen(h, &open);
    expect(OK, send_config(h));
    hub_free(h);
}

static void limits_of_size_and_number_hold(void **state)
{
    (void)state;
    const struct house_limits small = {.parameters = D - 1, .runs = 100}, one = {.parameters = D, .runs = 1};
    struct hub_of *h = hub_new(&small);
    make_config(h, MEAN);
    expect(FORBIDDEN, send_config(h));
    reopen(h, &one);
    expect(OK, send_config(h));
    h->run[0] ^= 1;
    make_config(h, MEAN);
    expect(FORBIDDEN, send_config(h));
    hub_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_honest_reports_is_the_sum),
        cmocka_unit_test(malicious_reports_are_refused_and_change_no_bit_of_the_sum),
        cmocka_unit_test(a_nonce_or_a_key_counts_once),
        cmocka_unit_test(a_report_that_is_asked_about_again_is_answered_as_before),
        cmocka_unit_test(a_house_signs_one_configuration_for_a_round),
        cmocka_unit_test(a_configuration_that_is_not_what_the_settings_give_is_refused),
        cmocka_unit_test(buckets_that_say_too_much_are_refused),
        cmocka_unit_test(a_list_with_too_few_or_foreign_reports_is_refused),
        cmocka_unit_test(only_the_model_that_the_rule_gives_is_signed),
        cmocka_unit_test(of_a_race_the_candidate_that_the_scores_make_the_best_is_signed),
        cmocka_unit_test(of_a_race_without_a_judge_the_first_candidate_is_signed_and_no_other),
        cmocka_unit_test(a_sum_that_is_not_what_was_committed_to_is_refused),
        cmocka_unit_test(another_model_than_the_round_s_is_refused),
        cmocka_unit_test(steps_out_of_their_order_are_refused),
        cmocka_unit_test(requests_that_are_played_again_or_by_others_are_refused),
        cmocka_unit_test(a_hub_that_is_not_on_the_list_opens_no_run),
        cmocka_unit_test(limits_of_size_and_number_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
