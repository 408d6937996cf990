/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/network.h"
#include "check.h"

static struct network net(const char *text)
{
    struct network network;
    if (!network_parse(str_of(text), &network))
        broken("%s is refused", text);
    return network;
}

static bool has(const char *range, const char *address)
{
    struct network r = net(range), a = net(address);
    return network_has(&r, &a);
}

static void addresses_are_in_the_ranges_that_hold_them(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.8/29", "192.0.2.15"));
    assert_false(has("192.0.2.8/29", "192.0.2.16"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::"));
    assert_true(has("192.0.2.1", "192.0.2.1"));
    assert_false(has("192.0.2.1", "192.0.2.2"));
    assert_false(has("192.0.2.1", "192.0.2.0/24")); /* no range fits into a smaller one */
}

static void a_dual_stack_socket_sees_the_same_client(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "::ffff:192.0.2.9"));
    assert_true(has("::ffff:192.0.2.0/120", "192.0.2.9"));
    assert_false(has("192.0.2.0/24", "::192.0.2.9"));
}

static void what_is_no_address_or_range_is_refused(void **state)
{
    (void)state;
    static const struct str texts[] = {
        {NULL, 0},
        {"", 0},
        {"/8", 2},
        {"192.0.2", 7},
        {"192.0.2.1/33", 12},
        {"10.0.0.1/8", 10},
        {"10.0.0.0/", 9},
        {"10.0.0.0/ 8", 11},
        {"10.0.0.0/+8", 11},
        {"10.0.0.0/8/8", 12},
        {"10.0.0.0\0", 9},
        {"::1/129", 7},
        {"fe80::1%eth0", 12},
        {"[::1]", 5},
        {"10.0.0.0/0008", 13},
        {"example.org", 11},
        {" 10.0.0.1", 9},
        {"010.0.0.1", 9},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct network ignored;
        struct str copy = exact(texts[i]);
        if (network_parse(copy, &ignored))
            broken("number %zu is accepted", i);
        done(copy);
    }
}

static void the_text_of_a_range_reads_back_as_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[NETWORK_TEXT];
        struct network network = net(texts[i]);
        assert_str(network_text(&network, text), texts[i]);
    }
    char text[NETWORK_TEXT];
    struct network longest = net("2001:1db8:1111:1111:1111:1111:1111:1110/127");
    assert_int_equal(43, network_text(&longest, text).len);
}

static void neighbours_share_what_is_around_them(void **state)
{
    (void)state;
    char text[NETWORK_TEXT];
    struct network v4 = net("192.0.2.77"), v6 = net("2001:db8:1:2ff:1::9");
    v4 = network_around(&v4);
    v6 = network_around(&v6);
    assert_str(network_text(&v4, text), "192.0.2.0/24");
    assert_str(network_text(&v6, text), "2001:db8:1:200::/56");
}

static void a_range_has_room_for_so_many_parties(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        int64_t parties;
    } ranges[] = {{"192.0.2.77", 1},          {"192.0.2.0/24", 1},       {"10.0.0.0/16", 256}, {"10.0.0.0/8", 65536},
                  {"0.0.0.0/0", 1 << 24},     {"2001:db8::/56", 1},      {"::1", 1},           {"2001:db8::/48", 256},
                  {"::/0", INT64_C(1) << 56}, {"::ffff:0:0/96", 1 << 24}};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct network range = net(ranges[i].range);
        assert_true(network_parties(&range) == ranges[i].parties);
    }
}

static bool is_public(const char *text)
{
    struct network address;
    assert_true(network_address(str_of(text), &address));
    return network_is_public(&address);
}

static void what_is_not_on_the_public_internet_is_known(void **state)
{
    (void)state;
    static const char *const inside[] = {
        "127.0.0.1",     "127.255.255.255", "0.0.0.0",     "10.0.0.1",  "100.64.0.1",      "169.254.169.254",
        "172.16.0.1",    "172.31.255.255",  "192.168.1.1", "192.0.0.1", "192.0.2.1",       "198.19.255.255",
        "224.0.0.1",     "255.255.255.255", "::",          "::1",       "::ffff:10.0.0.1", "::ffff:127.0.0.1",
        "::127.0.0.1",   "64:ff9b::7f00:1", "fe80::1",     "fc00::1",   "fd12::1",         "ff02::1",
        "2002:7f00:1::", "2001:0:1::",      "2001:db8::1", "fec0::1"};
    static const char *const outside[] = {"8.8.8.8",      "172.15.255.255", "172.32.0.0",     "100.63.255.255",
                                          "11.0.0.0",     "223.1.1.1",      "198.17.255.255", "1.1.1.1",
                                          "2606:4700::1", "2a00:1450::1",   "192.167.0.1",    "::ffff:8.8.8.8"};
    for (size_t i = 0; i < COUNT(inside); i++)
        if (is_public(inside[i]))
            broken("%s is taken for public", inside[i]);
    for (size_t i = 0; i < COUNT(outside); i++)
        if (!is_public(outside[i]))
            broken("%s is taken for private", outside[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_in_the_ranges_that_hold_them),
        cmocka_unit_test(a_dual_stack_socket_sees_the_same_client),
        cmocka_unit_test(what_is_no_address_or_range_is_refused),
        cmocka_unit_test(the_text_of_a_range_reads_back_as_the_same),
        cmocka_unit_test(neighbours_share_what_is_around_them),
        cmocka_unit_test(a_range_has_room_for_so_many_parties),
        cmocka_unit_test(what_is_not_on_the_public_internet_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
