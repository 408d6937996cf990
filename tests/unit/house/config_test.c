/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a house lets begin, and for whom: configurations, models, requests, the keys of hubs, and limits. */
#include "fixture.h"

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
        cmocka_unit_test(a_house_signs_one_configuration_for_a_round),
        cmocka_unit_test(a_configuration_that_is_not_what_the_settings_give_is_refused),
        cmocka_unit_test(buckets_that_say_too_much_are_refused),
        cmocka_unit_test(another_model_than_the_round_s_is_refused),
        cmocka_unit_test(requests_that_are_played_again_or_by_others_are_refused),
        cmocka_unit_test(a_hub_that_is_not_on_the_list_opens_no_run),
        cmocka_unit_test(limits_of_size_and_number_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
