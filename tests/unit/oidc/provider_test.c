/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the documents of a provider may lead. */
#include "../base/check.h"
#include "oidc/provider.h"

const struct module *const modules[] = {NULL};

static bool may(const char *issuer, const char *url)
{
    return provider_may_ask(str_of(issuer), str_of(url));
}

static void https_leads_anywhere(void **state)
{
    (void)state;
    assert_true(may("https://accounts.example", "https://accounts.example/token"));
    assert_true(may("https://accounts.example", "https://oauth2.elsewhere.example/token"));
    assert_true(may("http://localhost:4000", "https://oauth2.elsewhere.example/token"));
    assert_false(may("https://accounts.example", "https://"));
    assert_false(may("https://accounts.example", "https://a.example/to ken"));
    assert_false(may("https://accounts.example", "https://a.example/\r\nHost: b"));
    assert_false(may("https://accounts.example", "https://a.example/\xc3\xa4"));
}

static void http_leads_to_this_machine_alone_and_only_from_it(void **state)
{
    (void)state;
    assert_true(may("http://localhost:4000", "http://localhost:4000/token"));
    assert_true(may("http://localhost:4000", "http://127.0.0.1:4001/token"));
    static const char *const urls[] = {"http://127.0.0.1:4001/token",   "http://localhost/token",
                                       "http://accounts.example/token", "http://169.254.169.254/latest",
                                       "ftp://accounts.example/",       "file:///etc/passwd",
                                       "HTTP://localhost:1/",           "//accounts.example/token",
                                       "javascript:alert(1)",           ""};
    for (size_t i = 0; i < COUNT(urls); i++)
        assert_false(may("https://accounts.example", urls[i]));
    for (size_t i = 1; i < COUNT(urls); i++)
        assert_false(may("http://localhost:4000", urls[i]));
    static const char *const tricks[] = {"http://localhost:1@elsewhere.example/",
                                         "http://localhost:4000@elsewhere.example/",
                                         "http://localhost:/token",
                                         "http://127.0.0.1:80.elsewhere.example/",
                                         "http://localhost:80?@elsewhere.example/",
                                         "http://127.0.0.1.example:1/"};
    for (size_t i = 0; i < COUNT(tricks); i++)
        assert_false(may("http://localhost:4000", tricks[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(https_leads_anywhere),
        cmocka_unit_test(http_leads_to_this_machine_alone_and_only_from_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
