/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"

#include "check.h"

#include <limits.h>

static void dates_are_written_in_the_form_that_clients_read(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct {
        int64_t us;
        const char *expected;
    } table[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {INT64_C(1741350258657000), "2025-03-07T12:24:18.657Z"},
        {INT64_C(1741350258657999), "2025-03-07T12:24:18.657Z"}, /* cut, never rounded into the future */
        {INT64_C(951782400) * SECOND_US, "2000-02-29T00:00:00.000Z"},
        {INT64_C(1709251199) * SECOND_US + 999000, "2024-02-29T23:59:59.999Z"},
        {INT64_C(1709251200) * SECOND_US, "2024-03-01T00:00:00.000Z"},
        {INT64_C(4107542400) * SECOND_US, "2100-03-01T00:00:00.000Z"}, /* 2100 has no leap day */
        {INT64_C(4107542400) * SECOND_US - 1, "2100-02-28T23:59:59.999Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-SECOND_US, "1969-12-31T23:59:59.000Z"},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        assert_str(time_iso(&arena, table[i].us), table[i].expected);
}

static void dates_beyond_what_clients_read_are_moved_to_the_edge(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    assert_str(time_iso(&arena, INT64_MAX), "9999-12-31T23:59:59.999Z");
    assert_str(time_iso(&arena, INT64_MIN), "0001-01-01T00:00:00.000Z");
    char http[30];
    time_http(INT64_MAX, http);
    assert_string_equal(http, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void http_dates_are_those_of_rfc_9110(void **state)
{
    (void)state;
    char http[30];
    time_http(INT64_C(784111777) * SECOND_US + 999999, http);
    assert_string_equal(http, "Sun, 06 Nov 1994 08:49:37 GMT");
    time_http(INT64_C(1709164800) * SECOND_US, http);
    assert_string_equal(http, "Thu, 29 Feb 2024 00:00:00 GMT");
}

static void times_are_read_as_they_are_written_and_nothing_else_is(void **state)
{
    (void)state;
    int64_t us;
    assert_true(time_read(STR("1970-01-01"), &us));
    assert_int_equal(0, us);
    assert_true(time_read(STR("2024-02-29T00:00:00Z"), &us));
    assert_int_equal(INT64_C(1709164800) * SECOND_US, us);
    assert_true(time_read(STR("2024-02-29T00:00:01.999Z"), &us));
    assert_int_equal(INT64_C(1709164801) * SECOND_US, us);
    assert_true(time_read(STR("9999-12-31T23:59:59Z"), &us));
    assert_true(time_read(STR("1969-12-31T23:59:59Z"), &us)); /* as people are born */
    assert_int_equal(-SECOND_US, us);
    static const char *const bad[] = {"",
                                      "2023-02-29",
                                      "2023-13-01",
                                      "2023-00-10",
                                      "1899-12-31",
                                      "2024-2-29",
                                      "2024-02-29T24:00:00Z",
                                      "2024-02-29T00:60:00Z",
                                      "2024-02-29T00:00:60Z",
                                      "2024-02-29T00:00:00",
                                      "2024-02-29T00:00:00+01:00",
                                      "2024-02-29T00:00:00.Z",
                                      "2024-02-29T00:00:00.xZ",
                                      "2024-02-29T00:00:00,5Z",
                                      "2024-02-29T00:00:00.1234567890Z",
                                      "2024-02-29 00:00:00Z",
                                      " 2024-02-29",
                                      "tomorrow"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(time_read(str_of(bad[i]), &us));
}

static void the_clocks_run_forward(void **state)
{
    (void)state;
    int64_t before = monotonic_us();
    assert_true(monotonic_us() >= before);
    assert_true(now_us() > INT64_C(1700000000) * SECOND_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_written_in_the_form_that_clients_read),
        cmocka_unit_test(dates_beyond_what_clients_read_are_moved_to_the_edge),
        cmocka_unit_test(http_dates_are_those_of_rfc_9110),
        cmocka_unit_test(times_are_read_as_they_are_written_and_nothing_else_is),
        cmocka_unit_test(the_clocks_run_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
