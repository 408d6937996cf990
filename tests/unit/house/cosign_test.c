/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a house signs of a round that has ended: the record of the model that the rule gives, and of a race its winner. */
#include "fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_model_that_the_rule_gives_is_signed),
        cmocka_unit_test(of_a_race_the_candidate_that_the_scores_make_the_best_is_signed),
        cmocka_unit_test(of_a_race_without_a_judge_the_first_candidate_is_signed_and_no_other),
        cmocka_unit_test(a_sum_that_is_not_what_was_committed_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
