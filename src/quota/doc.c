/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/doc.h"
#include "base/text.h"

const char *const scope_names[SCOPES + 1] = {"key", "person", "network", "repos"};
const char *const over_names[4] = {"refuse", "slow", "charge", "sponsor"};

/*
 * Far above what one person's ordinary work needs, a folder of 10,000 files up or down included; they are there so that one
 * client cannot take the hub from all others. Bytes and repos are not limited until somebody says so.
 */
const char *const builtin_tiers[] = {
    "{\"slug\":\"anon\",\"name\":\"Visitors\",\"purpose\":\"Everybody who is not signed in, by network address.\","
    "\"order\":0,\"local\":true,\"limits\":["
    "{\"unit\":\"req.api\",\"scope\":\"network\",\"rate\":6000,\"per\":300,\"burst\":6000},"
    "{\"unit\":\"req.resolve\",\"scope\":\"network\",\"rate\":30000,\"per\":300,\"burst\":30000},"
    "{\"unit\":\"req.page\",\"scope\":\"network\",\"rate\":30000,\"per\":300,\"burst\":30000},"
    "{\"unit\":\"req.write\",\"scope\":\"network\",\"rate\":3000,\"per\":300,\"burst\":3000},"
    "{\"unit\":\"conn.parallel\",\"scope\":\"network\",\"hard\":1024}]}",
    "{\"slug\":\"basic\",\"name\":\"Basic\",\"purpose\":\"Everybody who has an account.\","
    "\"order\":10,\"local\":true,\"limits\":["
    "{\"unit\":\"req.api\",\"scope\":\"person\",\"rate\":60000,\"per\":300,\"burst\":60000},"
    "{\"unit\":\"req.resolve\",\"scope\":\"person\",\"rate\":150000,\"per\":300,\"burst\":150000},"
    "{\"unit\":\"req.page\",\"scope\":\"person\",\"rate\":60000,\"per\":300,\"burst\":60000},"
    "{\"unit\":\"req.write\",\"scope\":\"person\",\"rate\":60000,\"per\":300,\"burst\":60000},"
    "{\"unit\":\"conn.parallel\",\"scope\":\"person\",\"hard\":2048}]}",
    NULL,
};

enum status doc_only(const json_t *object, const char *where, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return fail(err, INVALID, NULL, "%s must be an object", where);
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(key, names[i]) != 0)
            i++;
        if (!names[i])
            return fail(err, INVALID, NULL, "%s has no member \"%.64s\"", where, key);
    }
    return OK;
}

static enum status take_text(const json_t *object, const char *key, size_t most, struct str *out, struct error *err)
{
    *out = json_get_str(object, key);
    if (out->len == 0 || out->len > most)
        return fail(err, INVALID, NULL, "\"%s\" of a tier must be a text of 1 to %zu bytes", key, most);
    return OK;
}

static enum status take_slug(const json_t *object, struct tier_doc *out, struct error *err)
{
    TRY(take_text(object, "slug", sizeof out->limits.slug - 1, &out->slug, err));
    for (size_t i = 0; i < out->slug.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", out->slug.data[i]))
            return fail(err, INVALID, NULL, "\"slug\" of a tier is made of a to z, 0 to 9 and '-'");
    if (str_eq(out->slug, STR("applications")) || str_eq(out->slug, STR("holders")))
        return fail(err, INVALID, NULL, "\"slug\" of a tier cannot be %.*s, which is an address of its own",
                    STR_ARG(out->slug));
    memcpy(out->limits.slug, out->slug.data, out->slug.len);
    return OK;
}

static int find_word(struct str word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(word, str_of(words[i])))
            return (int)i;
    return -1;
}

/* A number of a limit; otherwise when it is not there, -1 when it is none that can be. */
static int64_t number(const json_t *object, const char *key, int64_t least, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return otherwise;
    int64_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    return n >= least && n <= INT64_C(1) << 60 ? n : -1;
}

#define SPAN_MOST (366 * 86400)

static enum status take_rate(const json_t *object, const char *unit, struct limit *out, struct error *err)
{
    int64_t rate = number(object, "rate", 1, -1), burst = number(object, "burst", 1, rate);
    if (rate < 1 || rate > 1000000000 || burst < 1)
        return fail(err, INVALID, NULL, "The limit of %s needs \"rate\", 1 to 1000000000 requests", unit);
    if (out->per_s < 1 || burst > rate * (SPAN_MOST / out->per_s))
        return fail(err, INVALID, NULL,
                    "The limit of %s needs \"per\", 1 to %d seconds, in which \"burst\" comes back, too", unit,
                    SPAN_MOST);
    out->rate = rate_of(rate, out->per_s, burst);
    return OK;
}

/* As it is counted. */
static int64_t amount(const json_t *object, const char *key, const struct unit_spec *unit, int64_t otherwise)
{
    int64_t n = number(object, key, 0, -1);
    if (!json_object_get(object, key))
        return otherwise;
    return n < 0 || n > (INT64_C(1) << 60) / unit->each ? -1 : n * unit->each;
}

static enum status take_amounts(const json_t *object, const struct unit_spec *unit, struct limit *out,
                                struct error *err)
{
    out->hard = amount(object, "hard", unit, INT64_MAX);
    out->soft = amount(object, "soft", unit, out->hard);
    if (out->hard < 0 || out->soft < 0 || out->soft > out->hard)
        return fail(err, INVALID, NULL, "The limit of %s needs \"hard\", and \"soft\" is not above it", unit->name);
    if (unit->measure == MEASURE_SPAN && out->per_s < 1)
        return fail(err, INVALID, NULL, "The limit of %s needs \"per\", 1 to %d seconds", unit->name, SPAN_MOST);
    return OK;
}

static enum status refuse_unit(struct error *err)
{
    auto_buf struct buf names = {0};
    for (enum unit unit = 1; unit < UNITS; unit++)
        buf_printf(&names, "%s%s", unit == 1 ? "" : unit == UNITS - 1 ? " or " : ", ", unit_specs[unit].name);
    return fail(err, INVALID, NULL, "\"unit\" of a limit is %.*s", STR_ARG(buf_view(&names)));
}

/* A place for one more group. */
static enum status take_group(const json_t *object, struct limits *limits, enum unit unit, struct limit **out,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    struct group_limit *group = &limits->groups[limits->group_count];
    struct str repos = str_lower(&arena, json_get_str(object, "repos"));
    const struct unit_spec *spec = &unit_specs[unit];
    if (!spec->of_repo)
        return fail(err, INVALID, NULL,
                    "%s does not count against the owner of a repo: no \"repos\" have a limit of it", spec->name);
    if (!repos.len || repos.len >= sizeof group->repos || memchr(repos.data, '/', repos.len))
        return fail(err, INVALID, NULL,
                    "The limit of %s needs \"repos\", a pattern such as nightly-* for names without "
                    "their owner, of 1 to %zu bytes",
                    spec->name, sizeof group->repos - 1);
    if (json_object_get(object, "over"))
        return fail(err, INVALID, NULL, "The limit of %s for \"repos\" takes no \"over\": it refuses", spec->name);
    if (limits->group_count == GROUPS_MOST)
        return fail(err, INVALID, NULL, "A tier limits at most %d groups of repos", GROUPS_MOST);
    for (size_t i = 0; i < limits->group_count; i++)
        if (limits->groups[i].unit == unit && str_eq(repos, str_of(limits->groups[i].repos)))
            return fail(err, INVALID, NULL, "%s is limited twice for %.*s", spec->name, STR_ARG(repos));
    group->unit = unit;
    memcpy(group->repos, repos.data, repos.len);
    group->repos[repos.len] = '\0';
    limits->group_count++;
    *out = &group->limit;
    return OK;
}

static enum status take_place(const json_t *object, struct limits *limits, enum unit unit, int scope,
                              struct limit **out, struct error *err)
{
    const struct unit_spec *spec = &unit_specs[unit];
    if (scope == SCOPE_REPOS)
        return take_group(object, limits, unit, out, err);
    if (json_object_get(object, "repos"))
        return fail(err, INVALID, NULL, "\"repos\" of %s goes with the scope repos", spec->name);
    if (scope != SCOPE_PERSON && (spec->measure == MEASURE_HELD || spec->measure == MEASURE_SPAN))
        return fail(err, INVALID, NULL, "%s can be limited for a person%s only", spec->name,
                    spec->of_repo ? " and for repos" : "");
    *out = &limits->of[scope][unit];
    return (*out)->given ? fail(err, INVALID, NULL, "%s is limited twice for one scope", spec->name) : OK;
}

static enum status take_limit(const json_t *object, struct limits *limits, struct error *err)
{
    static const char *const members[] = {"unit",  "scope", "repos", "rate", "per",
                                          "burst", "soft",  "hard",  "over", NULL};
    struct limit *out = NULL;
    TRY(doc_only(object, "A limit", members, err));
    enum unit unit = unit_named(json_get_str(object, "unit"));
    int scope = find_word(json_get_str(object, "scope"), scope_names, SCOPES + 1);
    struct str over = json_get_str(object, "over");
    int over_is = str_given(over) ? find_word(over, over_names, 4) : OVER_REFUSE;
    if (unit == UNIT_NONE)
        return refuse_unit(err);
    const struct unit_spec *spec = &unit_specs[unit];
    if (scope < 0 || over_is < 0)
        return fail(err, INVALID, NULL,
                    "The limit of %s needs \"scope\" key, person, network or repos, and \"over\" is "
                    "refuse, slow, charge or sponsor",
                    spec->name);
    TRY(take_place(object, limits, unit, scope, &out, err));
    *out = (struct limit){.given = true, .over = (enum over)over_is, .per_s = number(object, "per", 1, 0)};
    if (out->per_s < 0 || out->per_s > SPAN_MOST)
        return fail(err, INVALID, NULL, "\"per\" of %s is 1 to %d seconds", spec->name, SPAN_MOST);
    return spec->measure == MEASURE_RATE ? take_rate(object, spec->name, out, err)
                                         : take_amounts(object, spec, out, err);
}

static enum status take_array(const json_t *object, const char *key, size_t most, const json_t **out, struct error *err)
{
    *out = json_object_get(object, key);
    if (*out && (!json_is_array(*out) || json_array_size(*out) > most))
        return fail(err, INVALID, NULL, "\"%s\" of a tier must be a list of at most %zu", key, most);
    return OK;
}

static enum status take_doc(const json_t *json, struct tier_doc *out, struct error *err)
{
    static const char *const members[] = {"slug",   "name",  "purpose",   "order",   "local",
                                          "limits", "rules", "questions", "decides", NULL};
    const json_t *limits;
    TRY(doc_only(json, "A tier", members, err));
    TRY(take_slug(json, out, err));
    TRY(take_text(json, "name", 128, &out->name, err));
    TRY(take_text(json, "purpose", 1000, &out->purpose, err));
    TRY(take_array(json, "limits", SCOPES * UNITS + GROUPS_MOST, &limits, err));
    TRY(take_array(json, "rules", TIER_RULES_MOST, &out->rules, err));
    TRY(take_array(json, "questions", TIER_QUESTIONS_MOST, &out->questions, err));
    struct str decides = json_get_str(json, "decides");
    out->decided_by_rule = str_eq(decides, STR("rule"));
    if (json_object_get(json, "decides") && !out->decided_by_rule && !str_eq(decides, STR("board")))
        return fail(err, INVALID, NULL, "\"decides\" of a tier is rule or board");
    out->order = number(json, "order", 0, -1);
    if (out->order < 0)
        return fail(err, INVALID, NULL, "\"order\" of a tier must be a number: a tier with a higher one is more");
    out->limits.local_free = json_get_bool(json, "local", false);
    for (size_t i = 0; i < json_array_size(limits); i++)
        TRY(take_limit(json_array_get(limits, i), &out->limits, err));
    return OK;
}

enum status tier_doc_read(struct str text, json_t **json, struct tier_doc *out, struct error *err)
{
    *out = (struct tier_doc){0};
    *json = NULL;
    TRY(json_read(text, TIER_BODY_LIMIT, json, err));
    enum status status = take_doc(*json, out, err);
    if (status != OK)
        json_release(json);
    return status;
}
