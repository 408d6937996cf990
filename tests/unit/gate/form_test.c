/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../base/check.h"
#include "gate/policy.h"
#include "identity/identity.h"
#include "module.h"

const struct module *const modules[] = {NULL};

struct sheet {
    struct arena arena;
    struct form form;
    struct error err;
};

static int begin(void **state)
{
    *state = test_calloc(1, sizeof(struct sheet));
    return 0;
}

static int end(void **state)
{
    struct sheet *s = *state;
    arena_free(&s->arena);
    test_free(s);
    return 0;
}
#define with_sheet(test) cmocka_unit_test_setup_teardown(test, begin, end)

static enum status read_form(struct sheet *s, const char *text)
{
    auto_json json_t *json = NULL;
    assert_int_equal(json_read(str_of(text), SIZE_MAX, &json, &s->err), OK);
    return form_read(&s->arena, json, &s->form, &s->err);
}

static enum status check(struct sheet *s, const char *answers, bool complete, struct str *out)
{
    auto_json json_t *json = NULL;
    assert_int_equal(json_read(str_of(answers), SIZE_MAX, &json, &s->err), OK);
    return form_check(&s->arena, &s->form, json, complete, out, &s->err);
}

/* A value of each type that is taken, as it is kept, and some that are not. */
static void each_type_takes_its_own_values_and_no_others(void **state)
{
    static const struct {
        const char *type, *given, *kept; /* kept NULL: refused */
    } cases[] = {
        {"text", "\"Institute\"", "\"Institute\""},
        {"text", "\"two\\nlines\"", NULL},
        {"text", "3", NULL},
        {"longtext", "\"two\\nlines\"", "\"two\\nlines\""},
        {"email", "\"a.b@uni.example\"", "\"a.b@uni.example\""},
        {"email", "\"a@b\"", NULL},
        {"email", "\"a b@c.de\"", NULL},
        {"email", "\"@c.de\"", NULL},
        {"email", "\"a@c..de\"", NULL},
        {"url", "\"https://uni.example/x\"", "\"https://uni.example/x\""},
        {"url", "\"javascript:alert(1)\"", NULL},
        {"url", "\"https://\"", NULL},
        {"country", "\"ch\"", "\"CH\""},
        {"country", "\"XX\"", NULL},
        {"country", "\"CHE\"", NULL},
        {"date", "\"2024-02-29\"", "\"2024-02-29\""},
        {"date", "\"2023-02-29\"", NULL},
        {"date", "\"29.2.2024\"", NULL},
        {"number", "12", "12"},
        {"number", "\"12.5\"", "12.5"},
        {"number", "\"twelve\"", NULL},
        {"checkbox", "true", "true"},
        {"checkbox", "\"on\"", "true"},
        {"checkbox", "false", "false"},
        {"checkbox", "\"maybe\"", NULL},
        {"orcid", "\"0000-0002-1825-0097\"", "\"0000-0002-1825-0097\""},
        {"orcid", "\"https://orcid.org/0000-0002-1694-233X\"", "\"0000-0002-1694-233X\""},
        {"orcid", "\"0000-0002-1825-0098\"", NULL},
        {"orcid", "\"0000-0002-1825-009\"", NULL},
    };
    struct sheet *s = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str form = arena_printf(&s->arena, "[{\"name\":\"x\",\"type\":\"%s\"}]", cases[i].type), out;
        struct str answers = arena_printf(&s->arena, "{\"x\":%s}", cases[i].given);
        assert_int_equal(read_form(s, form.data), OK);
        enum status status = check(s, answers.data, true, &out);
        if ((status == OK) != (cases[i].kept != NULL))
            broken("%s %s: %s", cases[i].type, cases[i].given, status == OK ? "taken" : s->err.message);
        if (status == OK)
            assert_str(out, arena_printf(&s->arena, "{\"x\":%s}", cases[i].kept).data);
    }
}

static void a_choice_takes_one_of_its_options(void **state)
{
    struct sheet *s = *state;
    struct str out;
    assert_int_equal(read_form(s, "[{\"name\":\"x\",\"type\":\"choice\",\"options\":[\"a\",\"b\"]}]"), OK);
    assert_int_equal(check(s, "{\"x\":\"b\"}", true, &out), OK);
    assert_int_equal(check(s, "{\"x\":\"c\"}", true, &out), INVALID);
}

static void what_is_required_is_asked_of_a_submission_and_not_of_a_draft(void **state)
{
    struct sheet *s = *state;
    struct str out;
    assert_int_equal(read_form(s, "[{\"name\":\"x\",\"type\":\"text\",\"required\":true},"
                                  "{\"name\":\"y\",\"type\":\"checkbox\",\"required\":true}]"),
                     OK);
    assert_int_equal(check(s, "{}", false, &out), OK);
    assert_int_equal(check(s, "{\"x\":\" \",\"y\":false}", true, &out), INVALID);
    assert_non_null(strstr(s->err.message, "x: it is missing"));
    assert_non_null(strstr(s->err.message, "y: it has to be ticked"));
    assert_int_equal(check(s, "{\"x\":\"me\",\"y\":true}", true, &out), OK);
    assert_str(out, "{\"x\":\"me\",\"y\":true}");
}

static void answers_to_what_was_not_asked_are_refused_by_name(void **state)
{
    struct sheet *s = *state;
    struct str out;
    assert_int_equal(read_form(s, "[]"), OK);
    assert_int_equal(check(s, "{\"shoe size\":\"44\"}", true, &out), INVALID);
    assert_non_null(strstr(s->err.message, "shoe size: the form has no such field"));
    assert_int_equal(check(s, "{}", true, &out), OK);
}

static void texts_have_limits_and_a_form_can_set_narrower_ones(void **state)
{
    struct sheet *s = *state;
    struct str out;
    assert_int_equal(read_form(s, "[{\"name\":\"x\",\"type\":\"text\",\"max\":3},{\"name\":\"n\",\"type\":\"number\","
                                  "\"max\":3}]"),
                     OK);
    assert_int_equal(check(s, "{\"x\":\"abc\",\"n\":3}", true, &out), OK);
    assert_int_equal(check(s, "{\"x\":\"abcd\"}", true, &out), INVALID);
    assert_int_equal(check(s, "{\"n\":4}", true, &out), INVALID);
}

static void a_form_that_is_wrong_is_refused_with_the_field_s_name(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "[{\"name\":\"x\"}]",
        "[{\"type\":\"text\"}]",
        "[{\"name\":\"x\",\"type\":\"colour\"}]",
        "[{\"name\":\"x\",\"type\":\"text\",\"max\":0}]",
        "[{\"name\":\"x\",\"type\":\"text\",\"must\":1}]",
        "[{\"name\":\"x\",\"type\":\"choice\"}]",
        "[{\"name\":\"x\",\"type\":\"choice\",\"options\":[1]}]",
        "[{\"name\":\"x\",\"type\":\"text\",\"options\":[\"a\"]}]",
        "[{\"name\":\"x\",\"type\":\"text\"},{\"name\":\"x\",\"type\":\"url\"}]",
        "[3]",
    };
    struct sheet *s = *state;
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (read_form(s, wrong[i]) != INVALID)
            broken("taken: %s", wrong[i]);
}

static void a_card_of_another_hub_becomes_a_form(void **state)
{
    struct sheet *s = *state;
    auto_json json_t *card = NULL;
    assert_int_equal(
        json_read(STR("{\"extra_gated_fields\":{\"Company\":\"text\",\"Where\":\"country\",\"IP\":"
                      "\"ip_location\",\"When\":{\"type\":\"date_picker\"},\"Odd\":{\"type\":\"hologram\"},"
                      "\"Use\":{\"type\":\"select\",\"options\":[\"a\",{\"label\":\"B\",\"value\":\"b\"},3]},"
                      "\"OK\":\"checkbox\"},\"extra_gated_prompt\":\"Be good\"}"),
                  SIZE_MAX, &card, &s->err),
        OK);
    form_read_card(&s->arena, card, &s->form);
    static const enum field_type types[] = {FIELD_TEXT, FIELD_COUNTRY, FIELD_DATE,
                                            FIELD_TEXT, FIELD_CHOICE,  FIELD_CHECKBOX};
    assert_int_equal(s->form.count, COUNT(types));
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_int_equal(s->form.fields[i].type, types[i]);
        assert_true(s->form.fields[i].required);
    }
    assert_int_equal(s->form.fields[4].option_count, 2);
    assert_str(s->form.prompt, "Be good");
    form_read_card(&s->arena, NULL, &s->form);
    assert_int_equal(s->form.count, 0);
}

/* Policies. */

static void a_policy_that_is_wrong_is_refused_and_its_twin_is_taken(void **state)
{
    static const struct {
        const char *wrong, *right;
    } cases[] = {
        {"{}", "{\"mode\":\"manual\"}"},
        {"{\"mode\":\"maybe\"}", "{\"mode\":\"click\"}"},
        {"{\"mode\":\"manual\",\"colour\":1}", "{\"mode\":\"manual\",\"risk\":4}"},
        {"{\"mode\":\"manual\",\"risk\":5}", "{\"mode\":\"manual\",\"risk\":0}"},
        {"{\"mode\":\"click\",\"risk\":2}", "{\"mode\":\"click\",\"risk\":1}"},
        {"{\"mode\":\"manual\",\"terms\":[\"x\"]}", "{\"mode\":\"manual\",\"terms\":[\"ns/x\"]}"},
        {"{\"mode\":\"manual\",\"terms\":[\"ns/x\",\"NS/x\"]}", "{\"mode\":\"manual\",\"terms\":[\"ns/x\",\"ns/y\"]}"},
        {"{\"mode\":\"rule\"}", "{\"mode\":\"rule\",\"rules\":[{\"accountDays\":3}]}"},
        {"{\"mode\":\"click\",\"rules\":[{\"accountDays\":3}]}",
         "{\"mode\":\"rule\",\"rules\":[{\"emailDomain\":[\"a.b\"]}]}"},
        {"{\"mode\":\"rule\",\"rules\":[{\"answer\":\"x\",\"in\":[true]}]}",
         "{\"mode\":\"rule\",\"form\":[{\"name\":\"x\",\"type\":\"checkbox\"}],\"rules\":[{\"answer\":\"x\",\"in\":["
         "true]}]}"},
        {"{\"mode\":\"manual\",\"territory\":{\"allow\":[\"CH\"]}}",
         "{\"mode\":\"manual\",\"territory\":{\"allow\":[\"CH\"]},\"form\":[{\"name\":\"country\",\"type\":\"country\","
         "\"required\":true}]}"},
        {"{\"mode\":\"manual\",\"checks\":[\"mood\"]}", "{\"mode\":\"manual\",\"checks\":[\"members\",\"email\"]}"},
        {"{\"mode\":\"manual\",\"opens\":\"tomorrow\"}", "{\"mode\":\"manual\",\"opens\":\"2027-01-31\"}"},
        {"{\"mode\":\"manual\",\"closes\":\"2027-02-30\"}",
         "{\"mode\":\"manual\",\"closes\":\"2027-02-28T23:59:59Z\"}"},
        {"{\"mode\":\"manual\",\"risk\":2,\"silenceApproves\":true}", "{\"mode\":\"manual\",\"silenceApproves\":true}"},
        {"{\"mode\":\"manual\",\"grantDays\":-1}", "{\"mode\":\"manual\",\"grantDays\":0}"},
        {"{\"mode\":\"manual\",\"secondRatePpm\":1000001}", "{\"mode\":\"manual\",\"secondRatePpm\":1000000}"},
        {"{\"mode\":\"manual\",\"bindsMembers\":1}", "{\"mode\":\"manual\",\"bindsMembers\":true}"},
        {"{\"mode\":\"manual\",\"mode\":\"manual\"}", "{\"mode\":\"manual\",\"form\":[]}"},
    };
    struct sheet *s = *state;
    struct gate_policy policy;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (policy_read(&s->arena, str_of(cases[i].wrong), &policy, &s->err) != INVALID)
            broken("taken: %s", cases[i].wrong);
        if (policy_read(&s->arena, str_of(cases[i].right), &policy, &s->err) != OK)
            broken("%s: %s", cases[i].right, s->err.message);
    }
}

static void a_grant_lives_by_risk_unless_the_policy_says_otherwise(void **state)
{
    static const int days[] = {0, 730, 365, 182, 91};
    struct sheet *s = *state;
    struct gate_policy policy;
    for (int risk = 0; risk <= 4; risk++) {
        struct str text = arena_printf(&s->arena, "{\"mode\":\"manual\",\"risk\":%d}", risk);
        assert_int_equal(policy_read(&s->arena, text, &policy, &s->err), OK);
        assert_int_equal(policy.grant_us, days[risk] * DAY_US);
    }
    assert_int_equal(policy_read(&s->arena, STR("{\"mode\":\"manual\",\"risk\":4,\"grantDays\":7}"), &policy, &s->err),
                     OK);
    assert_int_equal(policy.grant_us, 7 * DAY_US);
}

static bool holds(struct sheet *s, const char *rules, const char *answers, const char *email, int64_t age_days)
{
    auto_json json_t *json = NULL;
    struct gate_policy policy;
    struct account account = {.email = str_of(email), .created_us = 0};
    struct str text =
        arena_printf(&s->arena,
                     "{\"mode\":\"rule\",\"rules\":%s,\"form\":[{\"name\":\"country\",\"type\":\"country\","
                     "\"required\":true},{\"name\":\"ok\",\"type\":\"checkbox\"}]}",
                     rules);
    assert_int_equal(json_read(str_of(answers), SIZE_MAX, &json, &s->err), OK);
    if (policy_read(&s->arena, text, &policy, &s->err) != OK)
        broken("%s", s->err.message);
    return policy_rules_hold(&policy, json, &account, age_days * DAY_US);
}

static void a_rule_holds_when_all_its_conditions_do(void **state)
{
    struct sheet *s = *state;
    static const char domain[] = "[{\"emailDomain\":[\"uni.example\"]}]";
    assert_true(holds(s, domain, "{}", "me@uni.example", 0));
    assert_true(holds(s, domain, "{}", "me@cs.Uni.Example", 0));
    assert_false(holds(s, domain, "{}", "me@notuni.example", 0));
    assert_false(holds(s, domain, "{}", NULL, 0));
    static const char all[] = "[{\"country\":[\"CH\"]},{\"accountDays\":10},{\"answer\":\"ok\",\"in\":[true]}]";
    assert_true(holds(s, all, "{\"country\":\"CH\",\"ok\":true}", NULL, 10));
    assert_false(holds(s, all, "{\"country\":\"CH\",\"ok\":true}", NULL, 9));
    assert_false(holds(s, all, "{\"country\":\"FR\",\"ok\":true}", NULL, 10));
    assert_false(holds(s, all, "{\"country\":\"CH\",\"ok\":false}", NULL, 10));
    assert_false(holds(s, all, "{\"country\":\"CH\"}", NULL, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_sheet(each_type_takes_its_own_values_and_no_others),
        with_sheet(a_choice_takes_one_of_its_options),
        with_sheet(what_is_required_is_asked_of_a_submission_and_not_of_a_draft),
        with_sheet(answers_to_what_was_not_asked_are_refused_by_name),
        with_sheet(texts_have_limits_and_a_form_can_set_narrower_ones),
        with_sheet(a_form_that_is_wrong_is_refused_with_the_field_s_name),
        with_sheet(a_card_of_another_hub_becomes_a_form),
        with_sheet(a_policy_that_is_wrong_is_refused_and_its_twin_is_taken),
        with_sheet(a_grant_lives_by_risk_unless_the_policy_says_otherwise),
        with_sheet(a_rule_holds_when_all_its_conditions_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
