/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a house does up to the sums: reports, the list of them, the draw, and each step in its turn. */
#include "fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_honest_reports_is_the_sum),
        cmocka_unit_test(malicious_reports_are_refused_and_change_no_bit_of_the_sum),
        cmocka_unit_test(a_nonce_or_a_key_counts_once),
        cmocka_unit_test(a_report_that_is_asked_about_again_is_answered_as_before),
        cmocka_unit_test(a_list_with_too_few_or_foreign_reports_is_refused),
        cmocka_unit_test(steps_out_of_their_order_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
