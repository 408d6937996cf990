/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the operator knows of networks and mail domains. */
#include "base/file.h"
#include "misuse/places.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail

static char path[] = "/tmp/cairn-places-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static enum status open_with(const char *text, bool countries, struct places **out, struct error *err)
{
    *err = (struct error){0};
    assert_int_equal(OK, file_write_durable(path, str_of(text), 0600, NULL));
    return places_open(countries ? path : NULL, countries ? NULL : path, out, err);
}

static const char *country(const struct places *places, const char *address)
{
    static char text[3];
    struct network network;
    assert_true(network_address(str_of(address), &network));
    const struct place *place = place_of(places, &network);
    memcpy(text, place ? place->country : "--", 2);
    return text;
}

static void an_address_is_where_its_range_is(void **state)
{
    struct places *places;
    struct error err;
    (void)state;
    assert_int_equal(OK, open_with("# ranges\n\n198.51.100.0/24 NZ -36.8 174.8\n192.0.2.0/25   NL 52.4 4.9 # here\n"
                                   "2001:db8::/32 BE 50.8 4.4\n192.0.2.200 FR 48.8 2.3",
                                   true, &places, &err));
    assert_string_equal("NL", country(places, "192.0.2.0"));
    assert_string_equal("NL", country(places, "192.0.2.127"));
    assert_string_equal("--", country(places, "192.0.2.128"));
    assert_string_equal("FR", country(places, "192.0.2.200"));
    assert_string_equal("--", country(places, "192.0.1.255"));
    assert_string_equal("NZ", country(places, "198.51.100.255"));
    assert_string_equal("--", country(places, "203.0.113.1"));
    assert_string_equal("BE", country(places, "2001:db8:ffff::1"));
    assert_string_equal("--", country(places, "2001:db9::1"));
    assert_string_equal("NL", country(places, "::ffff:192.0.2.1"));
    places_free(places);
}

static void a_file_of_ranges_that_is_wrong_is_refused_with_its_line(void **state)
{
    static const char *const wrong[] = {"192.0.2.0/24 NL 52.4",      "192.0.2.0/24 NL 52.4 4.9 x",
                                        "192.0.2.1/24 NL 52.4 4.9",  "192.0.2.0/24 nl 52.4 4.9",
                                        "192.0.2.0/24 NLD 52.4 4.9", "192.0.2.0/24 NL 90.1 4.9",
                                        "192.0.2.0/24 NL 52.4 181",  "192.0.2.0/24 NL 52,4 4.9",
                                        "192.0.2.0/24 NL nan 4.9",   "x NL 52.4 4.9",
                                        "192.0.2.0/24 NL 52.4 -"};
    struct places *places;
    struct error err;
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text, "198.51.100.0/24 NZ -36.8 174.8\n%s\n", wrong[i]);
        assert_int_equal(INVALID, open_with(text, true, &places, &err));
        assert_non_null(strstr(err.message, "line 2"));
    }
    assert_int_equal(INVALID, open_with("10.0.0.0/8 NL 1 1\n10.1.0.0/16 BE 1 1\n", true, &places, &err));
    assert_non_null(strstr(err.message, "10.1.0.0/16"));
    assert_int_equal(NOT_FOUND, places_open("/nowhere/at/all", NULL, &places, &err));
}

static void a_mail_domain_is_on_the_list_with_those_below_it(void **state)
{
    struct places *places;
    struct error err;
    (void)state;
    assert_int_equal(OK, open_with("trash.example\nMail.Gone.example # a note\n", false, &places, &err));
    assert_true(is_throwaway(places, STR("a@trash.example")) && is_throwaway(places, STR("a@TRASH.Example")));
    assert_true(is_throwaway(places, STR("a@x.y.trash.example")) && is_throwaway(places, STR("a@mail.gone.example")));
    assert_false(is_throwaway(places, STR("a@gone.example")) || is_throwaway(places, STR("a@nottrash.example")));
    assert_false(is_throwaway(places, STR("trash.example@good.example")) || is_throwaway(places, STR("")));
    assert_false(is_throwaway(places, (struct str){0}) || is_throwaway(places, STR("trash.example")));
    places_free(places);
    assert_int_equal(INVALID, open_with("a@trash.example\n", false, &places, &err));
}

static void without_files_nobody_is_anywhere(void **state)
{
    struct places *places;
    (void)state;
    assert_int_equal(OK, places_open(NULL, NULL, &places, NULL));
    assert_string_equal("--", country(places, "192.0.2.1"));
    assert_false(is_throwaway(places, STR("a@trash.example")));
    places_free(places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_where_its_range_is),
        cmocka_unit_test(a_file_of_ranges_that_is_wrong_is_refused_with_its_line),
        cmocka_unit_test(a_mail_domain_is_on_the_list_with_those_below_it),
        cmocka_unit_test(without_files_nobody_is_anywhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
