/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers to a form, field by field. They come as JSON, or as texts from a web form: both are read by one rule. */
#include "base/time.h"
#include "gate/form.h"
#include "gate/internal.h"
#include <stdlib.h>

#define TEXT_LIMIT 1000
#define LONGTEXT_LIMIT 20000

/* ISO 3166-1, alpha-2, as assigned in 2024. */
static const char countries[] =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

bool country_known(struct str code)
{
    for (const char *at = countries; code.len == 2 && *at; at += at[2] ? 3 : 2)
        if (memcmp(at, code.data, 2) == 0)
            return true;
    return false;
}

/* Each returns what is wrong with a value, or NULL; *value may be put into its usual form. */

static const char *check_text(struct str value, size_t limit, const struct form_field *field)
{
    static _Thread_local char why[64];
    if (field->max && (size_t)field->max < limit)
        limit = (size_t)field->max;
    snprintf(why, sizeof why, "it is longer than %zu bytes", limit);
    return value.len > limit ? why : NULL;
}

static const char *check_line(struct str value, const struct form_field *field)
{
    return is_line(value, value.len) ? check_text(value, TEXT_LIMIT, field) : "it must be one line of text";
}

static const char *check_email(struct str value)
{
    struct str domain = value, local;
    str_cut(&domain, '@', &local);
    bool plain = value.len <= 254 && local.len >= 1 && local.len <= 64 && domain.len >= 3;
    for (size_t i = 0; i < value.len; i++)
        plain &= (unsigned char)value.data[i] > ' ' && value.data[i] != 0x7f && !strchr("<>()[],;:\\\"", value.data[i]);
    plain = plain && !str_has(domain, STR("@")) && str_has(domain, STR(".")) && !str_has(domain, STR("..")) &&
            domain.data[0] != '.' && domain.data[domain.len - 1] != '.';
    return plain ? NULL : "it must be an address such as name@example.org";
}

static const char *check_url(struct str value)
{
    size_t scheme = str_starts(value, STR("https://")) ? 8 : str_starts(value, STR("http://")) ? 7 : 0;
    bool plain = scheme && value.len > scheme && value.len <= 2000 && value.data[scheme] != '/';
    for (size_t i = 0; i < value.len; i++)
        plain &= (unsigned char)value.data[i] > ' ' && value.data[i] != 0x7f && !strchr("<>\"", value.data[i]);
    return plain ? NULL : "it must be an address that begins with https:// or http://";
}

static const char *check_country(struct arena *arena, struct str *value)
{
    char *code = arena_cstr(arena, *value);
    for (size_t i = 0; i < value->len; i++)
        if (code[i] >= 'a' && code[i] <= 'z')
            code[i] -= 'a' - 'A';
    value->data = code;
    return country_known(*value) ? NULL : "it must be a country as two letters of ISO 3166, such as CH";
}

static const char *check_date(struct str value)
{
    int64_t unused;
    return time_read(value, &unused) && value.len == 10 ? NULL : "it must be a date such as 2026-12-31";
}

/* ISO 7064 MOD 11-2, as ORCID has it. */
static const char *check_orcid(struct str *value)
{
    static const char why[] = "it must be an ORCID iD such as 0000-0002-1825-0097, with its check digit";
    unsigned total = 0;
    if (str_starts(*value, STR("https://orcid.org/")))
        *value = str_from(*value, 18);
    if (value->len != 19)
        return why;
    for (size_t i = 0; i < 19; i++) {
        char c = value->data[i];
        if (i % 5 == 4 ? c != '-' : !((c >= '0' && c <= '9') || (c == 'X' && i == 18)))
            return why;
        if (i % 5 != 4 && i < 18)
            total = (total + (unsigned)(c - '0')) * 2;
    }
    unsigned check = (12 - total % 11) % 11;
    return value->data[18] == (check == 10 ? 'X' : (char)('0' + check)) ? NULL : why;
}

static const char *check_choice(struct str value, const struct form_field *field)
{
    for (size_t i = 0; i < field->option_count; i++)
        if (str_eq(value, field->options[i]))
            return NULL;
    return "it must be one of the options";
}

static const char *check_string(struct arena *arena, const struct form_field *field, struct str *value)
{
    switch (field->type) {
    case FIELD_LONGTEXT:
        return check_text(*value, LONGTEXT_LIMIT, field);
    case FIELD_EMAIL:
        return check_email(*value);
    case FIELD_URL:
        return check_url(*value);
    case FIELD_COUNTRY:
        return check_country(arena, value);
    case FIELD_DATE:
        return check_date(*value);
    case FIELD_CHOICE:
        return check_choice(*value, field);
    case FIELD_ORCID:
        return check_orcid(value);
    default:
        return check_line(*value, field);
    }
}

/* Writing the answer when it is right; or why it is wrong. */

static const char *write_number(const struct form_field *field, const json_t *value, struct json_writer *w)
{
    auto_json json_t *parsed = NULL;
    if (json_is_string(value) && json_read(str_trim(json_str_of(value)), 40, &parsed, NULL) == OK)
        value = parsed;
    if (!json_is_number(value))
        return "it must be a number";
    if (field->max && json_number_value(value) > (double)field->max)
        return "it is greater than the form allows";
    jw_key(w, field->name.data);
    jw_value(w, value);
    return NULL;
}

static const char *write_checkbox(const struct form_field *field, const json_t *value, struct json_writer *w)
{
    struct str text = json_str_of(value);
    bool on = json_is_true(value) || str_eq(text, STR("on")) || str_eq(text, STR("true")) || str_eq(text, STR("1"));
    if (!on && !json_is_false(value) && !str_eq(text, STR("false")) && !str_eq(text, STR("0")))
        return "it must be true or false";
    if (!on && field->required)
        return "it has to be ticked";
    jw_key_bool(w, field->name.data, on);
    return NULL;
}

static const char *write_answer(struct arena *arena, const struct form_field *field, const json_t *value,
                                struct json_writer *w)
{
    if (field->type == FIELD_NUMBER)
        return write_number(field, value, w);
    if (field->type == FIELD_CHECKBOX)
        return write_checkbox(field, value, w);
    struct str text = json_str_of(value);
    if (!str_given(text))
        return "it must be a text";
    const char *wrong = check_string(arena, field, &text);
    if (!wrong)
        jw_key_str(w, field->name.data, text);
    return wrong;
}

static bool is_blank(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_string(value) && str_trim(json_str_of(value)).len == 0);
}

static void complain(struct buf *wrong, struct str name, const char *why)
{
    buf_printf(wrong, "%s%.*s: %s", wrong->len ? "; " : "", STR_ARG(str_slice(name, 0, 100)), why);
}

enum status form_check(struct arena *arena, const struct form *form, const json_t *answers, bool complete,
                       struct str *out, struct error *err)
{
    auto_buf struct buf text = {0}, wrong = {0};
    struct json_writer w = jw_to(&text);
    const char *name, *why;
    const json_t *value;
    if (answers && !json_is_object(answers))
        return fail(err, INVALID, "FormInvalid",
                    "\"answers\" must be an object: the name of each field, and its answer");
    json_object_foreach((json_t *)answers, name, value) if (!form_field(form, str_of(name)))
        complain(&wrong, str_of(name), "the form has no such field");
    jw_object(&w);
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        value = json_object_get(answers, field->name.data);
        if (is_blank(value))
            why = field->required && complete ? "it is missing" : NULL;
        else
            why = write_answer(arena, field, value, &w);
        if (why)
            complain(&wrong, field->name, why);
    }
    jw_end(&w);
    if (wrong.len)
        return fail(err, INVALID, "FormInvalid", "These answers cannot be taken: %.*s", STR_ARG(buf_view(&wrong)));
    if (text.len > FORM_ANSWERS_LIMIT)
        return fail(err, TOO_LARGE, "FormInvalid", "All answers together are longer than %d bytes", FORM_ANSWERS_LIMIT);
    *out = arena_copy(arena, buf_view(&text));
    return OK;
}
