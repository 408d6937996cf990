/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../base/check.h"
#include "base/hash.h"
#include "mask/shamir.h"

enum { LEN = 32, HOLDERS = 9, THRESHOLD = 4 };

/* Shares of the line 0x57 + 0x57 x, made by hand: FIPS 197 section 4.2 multiplies 0x57 by 0x83 to 0xc1, and by 0x13 to 0xfe. */
static void the_field_is_that_of_aes(void **state)
{
    (void)state;
    uint8_t secret;
    const uint8_t xs[] = {1, 0x83}, shares[] = {0x57 ^ 0x57, 0x57 ^ 0xc1}, other[] = {1, 0x13},
                  more[] = {0, 0x57 ^ 0xfe};
    assert_int_equal(shamir_combine(shares, xs, 2, 1, &secret, NULL), OK);
    assert_int_equal(secret, 0x57);
    assert_int_equal(shamir_combine(more, other, 2, 1, &secret, NULL), OK);
    assert_int_equal(secret, 0x57);
}

static void any_threshold_of_shares_gives_the_secret(void **state)
{
    (void)state;
    uint8_t secret[LEN], shares[HOLDERS * LEN], some[HOLDERS * LEN], xs[HOLDERS], got[LEN];
    random_bytes(secret, sizeof secret);
    shamir_split(secret, LEN, THRESHOLD, HOLDERS, shares);
    for (unsigned set = 1; set < 1u << HOLDERS; set++) {
        unsigned n = 0;
        for (unsigned i = 0; i < HOLDERS; i++)
            if (set >> i & 1) {
                xs[n] = (uint8_t)(i + 1);
                memcpy(some + n++ * LEN, shares + i * LEN, LEN);
            }
        assert_int_equal(shamir_combine(some, xs, n, LEN, got, NULL), OK);
        assert_int_equal(memcmp(got, secret, LEN) == 0, n >= THRESHOLD);
    }
}

static void the_largest_sharing_works(void **state)
{
    (void)state;
    uint8_t secret[2] = {0, 255}, shares[SHAMIR_SHARES_MAX * 2], xs[SHAMIR_SHARES_MAX], got[2];
    for (unsigned i = 0; i < SHAMIR_SHARES_MAX; i++)
        xs[i] = (uint8_t)(i + 1);
    shamir_split(secret, 2, SHAMIR_SHARES_MAX, SHAMIR_SHARES_MAX, shares);
    assert_int_equal(shamir_combine(shares, xs, SHAMIR_SHARES_MAX, 2, got, NULL), OK);
    assert_memory_equal(got, secret, 2);
}

static void a_changed_share_gives_another_secret(void **state)
{
    (void)state;
    uint8_t secret[LEN] = {7}, shares[HOLDERS * LEN], got[LEN];
    const uint8_t xs[] = {1, 2, 3, 4};
    shamir_split(secret, LEN, THRESHOLD, HOLDERS, shares);
    shares[LEN + 3] ^= 1;
    assert_int_equal(shamir_combine(shares, xs, THRESHOLD, LEN, got, NULL), OK);
    assert_memory_not_equal(got, secret, LEN);
}

static void shares_that_come_twice_or_are_none_are_refused(void **state)
{
    (void)state;
    uint8_t shares[3 * LEN] = {0}, got[LEN];
    assert_int_equal(shamir_combine(shares, (const uint8_t[]){1, 2, 1}, 3, LEN, got, NULL), INVALID);
    assert_int_equal(shamir_combine(shares, (const uint8_t[]){1, 0, 3}, 3, LEN, got, NULL), INVALID);
    assert_int_equal(shamir_combine(shares, (const uint8_t[]){1}, 0, LEN, got, NULL), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_field_is_that_of_aes),
        cmocka_unit_test(any_threshold_of_shares_gives_the_secret),
        cmocka_unit_test(the_largest_sharing_works),
        cmocka_unit_test(a_changed_share_gives_another_secret),
        cmocka_unit_test(shares_that_come_twice_or_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
