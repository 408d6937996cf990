/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which tokens of CI jobs are taken, as far as their claims say. */
#include "../base/check.h"
#include "base/time.h"
#include "oidc/ci.h"
#include <string.h>

const struct module *const modules[] = {NULL};

#define ISSUER "https://ci.example"

/* In the text, ' stands for ", and N for the time of now, as far as it is followed by a difference: N-60. */
static json_t *claims(const char *text)
{
    auto_buf struct buf json = {0};
    json_t *read = NULL;
    for (const char *c = text; *c; c++) {
        char *end = NULL;
        if (*c == 'N' && (c[1] == '+' || c[1] == '-')) {
            long long at = now_us() / SECOND_US + strtoll(c + 1, &end, 10);
            buf_printf(&json, "%lld", at);
            c = end - 1;
        } else {
            buf_byte(&json, *c == '\'' ? '"' : *c);
        }
    }
    if (json_read(buf_view(&json), json.len, &read, NULL) != OK)
        broken("%s is no JSON", text);
    return read;
}

static bool takes(const char *text)
{
    auto_json json_t *said = claims(text);
    return ci_check_claims(STR(ISSUER), STR("hub"), said, NULL) == OK;
}

static void a_token_is_for_this_hub_alone_and_for_now(void **state)
{
    (void)state;
    assert_true(takes("{'iss':'" ISSUER "','aud':'hub','exp':N+300,'iat':N-1}"));
    assert_true(takes("{'iss':'" ISSUER "','aud':['hub'],'exp':N-30,'iat':N+30,'nbf':N+30}"));
    static const char *const wrong[] = {
        "{'iss':'" ISSUER "/','aud':'hub','exp':N+300,'iat':N-1}",
        "{'aud':'hub','exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':'hub2','exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':['hub','other'],'exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':[],'exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':[['hub']],'exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':{'0':'hub'},'exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','exp':N+300,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':'hub','exp':N-90,'iat':N-400}",
        "{'iss':'" ISSUER "','aud':'hub','iat':N-1}",
        "{'iss':'" ISSUER "','aud':'hub','exp':'N+300','iat':N-1}",
        "{'iss':'" ISSUER "','aud':'hub','exp':N+90000,'iat':N-1}",
        "{'iss':'" ISSUER "','aud':'hub','exp':N+300}",
        "{'iss':'" ISSUER "','aud':'hub','exp':N+300,'iat':N+90}",
        "{'iss':'" ISSUER "','aud':'hub','exp':N+300,'iat':N-1,'nbf':N+90}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (takes(wrong[i]))
            broken("%s is taken", wrong[i]);
}

static bool matches(const char *wanted_text, const char *said_text)
{
    auto_json json_t *wanted = claims(wanted_text), *said = claims(said_text);
    return ci_claims_match(wanted, said);
}

static void every_claim_that_is_wanted_is_there_to_the_letter(void **state)
{
    (void)state;
    assert_true(matches("{'sub':'a'}", "{'sub':'a','more':'b'}"));
    assert_true(matches("{'sub':'a','ref':'main'}", "{'ref':'main','sub':'a'}"));
    assert_false(matches("{}", "{'sub':'a'}"));
    assert_false(matches("{'sub':'a','ref':'main'}", "{'sub':'a'}"));
    assert_false(matches("{'sub':'a'}", "{'sub':'A'}"));
    assert_false(matches("{'sub':'a'}", "{'sub':'ab'}"));
    assert_false(matches("{'sub':'a'}", "{'sub':['a']}"));
    assert_false(matches("{'sub':'1'}", "{'sub':1}"));
    assert_false(matches("{'sub':1}", "{'sub':1}"));
    assert_false(matches("{'sub':'*'}", "{'sub':'a'}"));
}

static void only_what_the_operator_has_named_to_the_letter_is_named(void **state)
{
    (void)state;
    static struct oidc oidc;
    assert_false(ci_issuer_is_named(&oidc, STR("https://a.example")));
    oidc.ci_issuers = "http://10.0.0.1:80, https://a.example";
    assert_true(ci_issuer_is_named(&oidc, STR("https://a.example")));
    assert_true(ci_issuer_is_named(&oidc, STR("http://10.0.0.1:80")));
    static const char *const others[] = {"", "https://a.example/", "https://a.exampl", "http://10.0.0.1:8",
                                         "http://a.example"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(ci_issuer_is_named(&oidc, str_of(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_for_this_hub_alone_and_for_now),
        cmocka_unit_test(every_claim_that_is_wanted_is_there_to_the_letter),
        cmocka_unit_test(only_what_the_operator_has_named_to_the_letter_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
