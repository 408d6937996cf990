/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the policy of a gate: each member has its own small reader, and nothing unknown is let through. */
#include "gate/policy.h"
#include "gate/internal.h"

static const char *const mode_names[] = {[MODE_CLICK] = "click", [MODE_RULE] = "rule", [MODE_MANUAL] = "manual"};

const char *gate_mode_name(enum gate_mode mode)
{
    return mode_names[mode];
}

struct str gate_mode_gated(enum gate_mode mode)
{
    return mode == MODE_MANUAL ? STR("manual") : STR("auto");
}

struct reading {
    struct arena *arena;
    const json_t *json;
    struct gate_policy *out;
};

static enum status read_mode(struct reading *r, struct error *err)
{
    struct str name = json_get_str(r->json, "mode");
    int64_t risk = 0;
    for (enum gate_mode mode = MODE_CLICK; mode <= MODE_MANUAL; mode++)
        if (str_eq(name, str_of(mode_names[mode])))
            r->out->mode = mode;
    if (!r->out->mode)
        return fail(err, INVALID, NULL, "\"mode\" must be one of click, rule, manual");
    TRY(json_whole(r->json, "risk", 0, 4, &risk, err));
    r->out->risk = (int)risk;
    if (r->out->mode == MODE_CLICK && risk > 1)
        return fail(err, INVALID, NULL, "At risk %d people decide: \"mode\" can be manual or rule, not click",
                    (int)risk);
    return OK;
}

static enum status read_terms(struct reading *r, struct error *err)
{
    struct str *names;
    TRY(json_lines(r->arena, r->json, "terms", POLICY_TERMS_MOST, &names, &r->out->term_count, err));
    for (size_t i = 0; i < r->out->term_count; i++) {
        struct str slug = names[i], ns;
        if (!str_cut(&slug, '/', &ns) || !ns.len || !slug.len)
            return fail(err, INVALID, NULL, "\"terms\" names texts as \"name-space/slug\"");
        r->out->terms[i] = names[i];
        for (size_t k = 0; k < i; k++)
            if (str_eq_nocase(names[i], names[k]))
                return fail(err, INVALID, NULL, "\"terms\" names \"%.*s\" twice", STR_ARG(names[i]));
    }
    return OK;
}

static enum status read_form(struct reading *r, struct error *err)
{
    const json_t *form = json_object_get(r->json, "form");
    r->out->has_form = form != NULL;
    return form ? form_read(r->arena, form, &r->out->form, err) : OK;
}

static enum status read_countries(struct arena *arena, const json_t *object, const char *key, struct str **out,
                                  size_t *count, struct error *err)
{
    TRY(json_lines(arena, object, key, 300, out, count, err));
    if (*count == 0)
        return fail(err, INVALID, NULL, "\"%s\" must name at least one country", key);
    for (size_t i = 0; i < *count; i++)
        if (!country_known((*out)[i]))
            return fail(err, INVALID, NULL, "\"%.*s\" is not a country of ISO 3166: two capital letters, such as CH",
                        STR_ARG(str_slice((*out)[i], 0, 20)));
    return OK;
}

/* Where the country counts, the form has to ask for it. */
static enum status need_country(const struct reading *r, const char *member, struct error *err)
{
    const struct form_field *field = form_field(&r->out->form, STR("country"));
    if (!field || field->type != FIELD_COUNTRY || !field->required)
        return fail(err, INVALID, NULL,
                    "\"%s\" goes by the country that applicants declare: the form needs a required field \"country\" "
                    "of type country",
                    member);
    return OK;
}

static enum status read_territory(struct reading *r, struct error *err)
{
    static const char *const members[] = {"allow", "deny", NULL};
    const json_t *territory = json_object_get(r->json, "territory");
    if (!territory)
        return OK;
    TRY(json_only(territory, "\"territory\"", members, err));
    r->out->has_territory = true;
    r->out->territory_allow = json_object_get(territory, "allow") != NULL;
    if (json_object_size(territory) != 1)
        return fail(err, INVALID, NULL, "\"territory\" has either \"allow\" or \"deny\"");
    TRY(read_countries(r->arena, territory, r->out->territory_allow ? "allow" : "deny", &r->out->countries,
                       &r->out->country_count, err));
    return need_country(r, "territory", err);
}

/* Values are compared as text: a ticked box is "true". */
static enum status read_values(struct reading *r, const json_t *rule, struct gate_rule *out, struct error *err)
{
    const json_t *list = json_object_get(rule, "in");
    size_t count = json_array_size(list);
    if (count == 0 || count > FORM_OPTIONS_MOST)
        return fail(err, INVALID, NULL, "A rule about an answer needs \"in\": a list of 1 to %d values",
                    FORM_OPTIONS_MOST);
    out->values = arena_array(r->arena, count, sizeof *out->values);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        auto_buf struct buf text = {0};
        if (json_is_object(value) || json_is_array(value) || json_is_null(value))
            return fail(err, INVALID, NULL, "The values of a rule are texts, numbers, true or false");
        if (!json_is_string(value))
            json_dump(value, &text);
        out->values[out->value_count++] =
            arena_copy(r->arena, json_is_string(value) ? json_str_of(value) : buf_view(&text));
    }
    return OK;
}

static enum status read_answer_rule(struct reading *r, const json_t *rule, struct gate_rule *out, struct error *err)
{
    static const char *const members[] = {"answer", "in", NULL};
    TRY(json_only(rule, "A rule about an answer", members, err));
    out->kind = RULE_ANSWER;
    out->name = arena_copy(r->arena, json_get_str(rule, "answer"));
    if (!form_field(&r->out->form, out->name))
        return fail(err, INVALID, NULL, "A rule asks for the answer \"%.*s\", which the form does not have",
                    STR_ARG(str_slice(out->name, 0, 100)));
    return read_values(r, rule, out, err);
}

static enum status read_rule(struct reading *r, const json_t *rule, struct gate_rule *out, struct error *err)
{
    int64_t days = 0;
    if (json_object_get(rule, "answer"))
        return read_answer_rule(r, rule, out, err);
    if (!json_is_object(rule) || json_object_size(rule) != 1)
        return fail(err, INVALID, NULL,
                    "A rule is one of {\"answer\", \"in\"}, {\"emailDomain\"}, {\"country\"}, {\"accountDays\"}");
    if (json_object_get(rule, "emailDomain")) {
        out->kind = RULE_DOMAIN;
        TRY(json_lines(r->arena, rule, "emailDomain", FORM_OPTIONS_MOST, &out->values, &out->value_count, err));
        return out->value_count ? OK : fail(err, INVALID, NULL, "\"emailDomain\" must name at least one domain");
    }
    if (json_object_get(rule, "country")) {
        out->kind = RULE_COUNTRY;
        TRY(read_countries(r->arena, rule, "country", &out->values, &out->value_count, err));
        return need_country(r, "country", err);
    }
    static const char *const members[] = {"accountDays", NULL};
    TRY(json_only(rule, "A rule", members, err));
    TRY(json_whole(rule, "accountDays", 0, 36500, &days, err));
    out->kind = RULE_AGE;
    out->age_us = days * DAY_US;
    return OK;
}

static enum status read_rules(struct reading *r, struct error *err)
{
    const json_t *rules = json_object_get(r->json, "rules");
    size_t count = json_array_size(rules);
    if (rules && (!json_is_array(rules) || count > POLICY_RULES_MOST))
        return fail(err, INVALID, NULL, "\"rules\" must be a list of at most %d conditions", POLICY_RULES_MOST);
    if ((r->out->mode == MODE_RULE) != (count > 0))
        return fail(err, INVALID, NULL, "\"rules\" and \"mode\": \"rule\" go together: a gate has both or neither");
    for (size_t i = 0; i < count; i++)
        TRY(read_rule(r, json_array_get(rules, i), &r->out->rules[i], err));
    r->out->rule_count = count;
    return OK;
}

static enum status read_checks(struct reading *r, struct error *err)
{
    struct str *names;
    size_t count;
    TRY(json_lines(r->arena, r->json, "checks", 8, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        unsigned bit = str_eq(names[i], STR("email"))     ? CHECK_EMAIL
                       : str_eq(names[i], STR("members")) ? CHECK_MEMBERS
                                                          : 0;
        if (!bit)
            return fail(err, INVALID, NULL, "\"checks\" can name email and members");
        r->out->checks |= bit;
    }
    return OK;
}

static enum status read_days(struct reading *r, const char *key, int64_t otherwise, int64_t *out_us, struct error *err)
{
    int64_t days = otherwise;
    TRY(json_whole(r->json, key, 0, 36500, &days, err));
    *out_us = days * DAY_US;
    return OK;
}

static enum status read_date(struct reading *r, const char *key, int64_t *out_us, struct error *err)
{
    const json_t *value = json_object_get(r->json, key);
    if (value && !time_read(json_str_of(value), out_us))
        return fail(err, INVALID, NULL, "\"%s\" must be a date (2026-12-31) or a time (2026-12-31T12:00:00Z)", key);
    return OK;
}

static enum status read_times(struct reading *r, struct error *err)
{
    static const int grant_days[] = {0, 730, 365, 182, 91}; /* by risk, access.md C6 */
    struct gate_policy *out = r->out;
    TRY(read_days(r, "grantDays", grant_days[out->risk], &out->grant_us, err));
    TRY(read_days(r, "renewDays", 30, &out->renew_us, err));
    TRY(read_days(r, "reapplyDays", 30, &out->reapply_us, err));
    TRY(read_days(r, "appealDays", 30, &out->appeal_us, err));
    TRY(read_date(r, "opens", &out->opens_us, err));
    return read_date(r, "closes", &out->closes_us, err);
}

static enum status read_second(struct reading *r, struct error *err)
{
    struct gate_policy *out = r->out;
    out->second_rate_ppm = out->mode == MODE_CLICK ? 0 : 100000;
    out->calibration_ppm = 30000;
    out->reapply_most = 3;
    TRY(json_whole(r->json, "secondRatePpm", 0, 1000000, &out->second_rate_ppm, err));
    TRY(json_whole(r->json, "calibrationPpm", 20000, 50000, &out->calibration_ppm, err));
    TRY(json_whole(r->json, "reapplyMost", 0, 100, &out->reapply_most, err));
    TRY(json_flag(r->json, "secondOnRefuse", &out->second_on_refuse, err));
    TRY(json_flag(r->json, "silenceApproves", &out->silence_approves, err));
    TRY(json_flag(r->json, "bindsMembers", &out->binds_members, err));
    if (out->silence_approves && out->risk > 1)
        return fail(err, INVALID, NULL, "Silence never approves at risk 2 or more: leave out \"silenceApproves\"");
    return rubric_parse(r->arena, json_object_get(r->json, "rubric"), &out->rubric, err);
}

static enum status read_sign_in(struct reading *r, struct error *err)
{
    const json_t *value = json_object_get(r->json, "signIn");
    if (value && !sign_in_parse(json_str_of(value), &r->out->sign_in))
        return fail(err, INVALID, NULL, "\"signIn\" must be one of password, two-factor, passkey");
    return OK;
}

static enum status read_all(struct reading *r, struct error *err)
{
    static const char *const members[] = {"mode",          "risk",
                                          "terms",         "form",
                                          "rules",         "rubric",
                                          "grantDays",     "renewDays",
                                          "secondRatePpm", "secondOnRefuse",
                                          "territory",     "checks",
                                          "reapplyDays",   "reapplyMost",
                                          "appealDays",    "silenceApproves",
                                          "bindsMembers",  "opens",
                                          "closes",        "calibrationPpm",
                                          "signIn",        NULL};
    TRY(json_only(r->json, "The policy of a gate", members, err));
    TRY(read_mode(r, err));
    TRY(read_terms(r, err));
    TRY(read_form(r, err));
    TRY(read_territory(r, err));
    TRY(read_rules(r, err));
    TRY(read_checks(r, err));
    TRY(read_times(r, err));
    TRY(read_sign_in(r, err));
    return read_second(r, err);
}

enum status policy_read(struct arena *arena, struct str text, struct gate_policy *out, struct error *err)
{
    auto_json json_t *json = NULL;
    auto_buf struct buf kept = {0};
    struct reading r = {arena, NULL, out};
    *out = (struct gate_policy){0};
    TRY(json_read(text, POLICY_LIMIT, &json, err));
    r.json = json;
    TRY(read_all(&r, err));
    json_dump(json, &kept);
    out->text = arena_copy(arena, buf_view(&kept));
    sha256(out->text, out->sha256);
    return OK;
}

/* Judging. */

static bool among(struct str value, struct str *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(value, values[i]))
            return true;
    return false;
}

bool policy_admits_country(const struct gate_policy *policy, struct str country)
{
    return !policy->has_territory ||
           among(country, policy->countries, policy->country_count) == policy->territory_allow;
}

static bool answer_among(const struct gate_rule *rule, const json_t *answers)
{
    const json_t *value = json_object_get(answers, rule->name.data);
    auto_buf struct buf text = {0};
    if (!value)
        return false;
    if (!json_is_string(value))
        json_dump(value, &text);
    return among(json_is_string(value) ? json_str_of(value) : buf_view(&text), rule->values, rule->value_count);
}

/* "cs.example.edu" is below "example.edu"; "badexample.edu" is not. */
static bool domain_among(const struct gate_rule *rule, struct str email)
{
    struct str domain = email, local;
    if (!str_given(email) || !str_cut(&domain, '@', &local) || !str_given(domain))
        return false;
    for (size_t i = 0; i < rule->value_count; i++) {
        struct str wanted = rule->values[i];
        if (domain.len < wanted.len || !str_eq_nocase(str_from(domain, domain.len - wanted.len), wanted))
            continue;
        if (domain.len == wanted.len || domain.data[domain.len - wanted.len - 1] == '.')
            return true;
    }
    return false;
}

static bool rule_holds(const struct gate_rule *rule, const json_t *answers, const struct account *account,
                       int64_t now_us)
{
    switch (rule->kind) {
    case RULE_ANSWER:
        return answer_among(rule, answers);
    case RULE_DOMAIN:
        return domain_among(rule, account->email);
    case RULE_COUNTRY:
        return among(json_get_str(answers, "country"), rule->values, rule->value_count);
    case RULE_AGE:
        return now_us - account->created_us >= rule->age_us;
    }
    return false;
}

bool policy_rules_hold(const struct gate_policy *policy, const json_t *answers, const struct account *account,
                       int64_t at_us)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (!rule_holds(&policy->rules[i], answers, account, at_us))
            return false;
    return policy->rule_count > 0;
}
