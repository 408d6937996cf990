/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/usage: what one has, what is used, when it comes back, and how to have more. */
#include "base/time.h"
#include "quota/limiter.h"
#include "tier/api.h"
#include "tier/assign.h"
#include "tier/over.h"
#include "tier/rule.h"

struct usage {
    struct request *rq;
    struct json_writer w;
    struct account account;
    const struct limits *limits;
    int64_t order; /* of the tier at hand */
    struct rule_facts facts;
};

static void write_rate(struct usage *usage, enum scope scope, enum unit unit, const struct limit *limit)
{
    struct rate_answer answer;
    int64_t per_s = limit->per_s;
    jw_key_int(&usage->w, "per", per_s);
    jw_key_int(&usage->w, "rate", per_s * INT64_C(1000000000) / limit->rate.each_ns);
    jw_key_int(&usage->w, "burst", limit->rate.most);
    if (scope != SCOPE_PERSON || !usage->rq->hub->limiter ||
        !limiter_peek(usage->rq->hub->limiter, usage->limits, usage->account.id, unit, &answer))
        return;
    jw_key_int(&usage->w, "remaining", answer.remaining);
    jw_key_str(&usage->w, "refills", time_iso(usage->rq->arena, now_us() + answer.full_ns / 1000));
}

/* As it is limited, to a thousandth where it is counted in parts. */
static void write_number(struct usage *usage, const char *key, enum unit unit, int64_t value)
{
    long long each = unit_specs[unit].each, thousandths = value % each * 1000 / each;
    jw_key(&usage->w, key);
    if (each == 1)
        jw_int(&usage->w, value);
    else
        jw_raw(&usage->w, arena_printf(usage->rq->arena, "%lld.%03lld", value / each, thousandths));
}

/* Of a group of repos, or of the account when it is NULL. */
static enum status write_amount(struct usage *usage, enum unit unit, const struct limit *limit,
                                const struct group_limit *group, struct error *err)
{
    bool spans = unit_specs[unit].measure == MEASURE_SPAN;
    int64_t now = now_us(), per_s = limit->given ? limit->per_s : 86400, span = spans ? quota_span(per_s, now) : 0;
    struct quota_use use;
    TRY(group ? quota_group_used(usage->rq->db, usage->account.id, group, &use, err)
              : quota_used(usage->rq->db, usage->account.id, unit, span, &use, err));
    write_number(usage, "used", unit, use.used);
    if (!spans)
        jw_key_int(&usage->w, "reserved", use.reserved);
    if (limit->given && limit->soft < INT64_MAX)
        write_number(usage, "soft", unit, limit->soft);
    if (limit->given && limit->hard < INT64_MAX) {
        int64_t left = limit->hard - use.used - use.reserved;
        write_number(usage, "hard", unit, limit->hard);
        write_number(usage, "remaining", unit, left > 0 ? left : 0);
    }
    if (spans)
        jw_key_str(&usage->w, "refills", time_iso(usage->rq->arena, (span + 1) * per_s * SECOND_US));
    if (limit->given)
        jw_key_str(&usage->w, "over", str_of(over_names[limit->over]));
    return OK;
}

static void write_head(struct usage *usage, enum scope scope, enum unit unit)
{
    jw_object(&usage->w);
    jw_key_str(&usage->w, "unit", str_of(unit_specs[unit].name));
    jw_key_str(&usage->w, "what", str_of(unit_specs[unit].what));
    jw_key_str(&usage->w, "scope", str_of(scope_names[scope]));
}

static enum status write_groups(struct usage *usage, struct error *err)
{
    for (size_t i = 0; i < usage->limits->group_count; i++) {
        const struct group_limit *group = &usage->limits->groups[i];
        write_head(usage, SCOPE_REPOS, group->unit);
        jw_key_str(&usage->w, "repos", str_of(group->repos));
        TRY(write_amount(usage, group->unit, &group->limit, group, err));
        jw_end(&usage->w);
    }
    return OK;
}

/* Limits, and what is used where nothing is limited. */
static enum status write_unit(struct usage *usage, enum scope scope, enum unit unit, struct error *err)
{
    const struct limit *limit = &usage->limits->of[scope][unit];
    enum measure measure = unit_specs[unit].measure;
    bool counted = measure == MEASURE_HELD || measure == MEASURE_SPAN;
    if (!limit->given && !(counted && scope == SCOPE_PERSON))
        return OK;
    write_head(usage, scope, unit);
    if (measure == MEASURE_RATE)
        write_rate(usage, scope, unit, limit);
    else if (measure == MEASURE_NOW)
        jw_key_int(&usage->w, "hard", limit->hard);
    else
        TRY(write_amount(usage, unit, limit, NULL, err));
    jw_end(&usage->w);
    return OK;
}

static enum status write_tier_now(struct usage *usage, struct error *err)
{
    struct request *rq = usage->rq;
    struct assign assign;
    struct tier tier;
    enum status found = assign_find(rq->db, rq->arena, usage->account.id, &assign, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    TRY(tier_load(rq->db, rq->arena, str_of(usage->limits->slug), &tier, err));
    usage->order = tier.doc.order;
    jw_key(&usage->w, "tier");
    jw_object(&usage->w);
    jw_key_str(&usage->w, "slug", tier.doc.slug);
    jw_key_str(&usage->w, "name", tier.doc.name);
    jw_key_int(&usage->w, "version", tier.now.seq);
    if (found == OK) {
        jw_key_str(&usage->w, "state", str_of(assign_machine.states[assign.state].name));
        if (assign.until_us)
            jw_key_str(&usage->w, "until", time_iso(rq->arena, assign.until_us));
    }
    jw_end(&usage->w);
    json_release(&tier.json);
    return OK;
}

/* Only where more is kept than the tier allows. */
static enum status write_over(struct usage *usage, struct error *err)
{
    struct over_state over;
    enum status found = over_get(usage->rq->db, usage->account.id, &over, err);
    if (found != OK)
        return found == NOT_FOUND ? OK : found;
    jw_key(&usage->w, "archive");
    jw_object(&usage->w);
    jw_key_bool(&usage->w, "archived", over.archived);
    if (!over.archived)
        jw_key_str(&usage->w, "at", time_iso(usage->rq->arena, over.archive_us));
    jw_end(&usage->w);
    return OK;
}

static enum status write_rule(struct usage *usage, const json_t *rule, struct error *err)
{
    struct rule_state state;
    TRY(rule_ask(usage->rq->db, usage->rq->arena, rule, &usage->facts, &state, err));
    jw_object(&usage->w);
    jw_key_str(&usage->w, "rule", json_get_str(rule, "rule"));
    jw_key_bool(&usage->w, "met", state.met);
    jw_key_str(&usage->w, "what", state.what);
    jw_key_str(&usage->w, "how", state.met ? STR("") : state.how);
    jw_end(&usage->w);
    return OK;
}

static enum status write_way_up(void *context, const struct tier *tier, struct error *err)
{
    struct usage *usage = context;
    if (tier->doc.order <= usage->order || str_eq(tier->doc.slug, STR(TIER_STRANGERS)))
        return OK;
    jw_object(&usage->w);
    jw_key_str(&usage->w, "slug", tier->doc.slug);
    jw_key_str(&usage->w, "name", tier->doc.name);
    jw_key_str(&usage->w, "purpose", tier->doc.purpose);
    jw_key_str(&usage->w, "decides", tier->doc.decided_by_rule ? STR("rule") : STR("board"));
    jw_key_str(&usage->w, "apply",
               arena_printf(usage->rq->arena, "/api/tiers/%.*s/applications", STR_ARG(tier->doc.slug)));
    jw_key(&usage->w, "rules");
    jw_array(&usage->w);
    for (size_t i = 0; i < json_array_size(tier->doc.rules); i++)
        TRY(write_rule(usage, json_array_get(tier->doc.rules, i), err));
    jw_end(&usage->w);
    jw_end(&usage->w);
    return OK;
}

/* GET /api/usage[?account=ORG] */
enum status usage_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct usage usage = {.rq = rq, .w = jw_to(&body)};
    request_done_reading(rq);
    if (rq->hub->limiter)
        TRY(limiter_flush(rq->hub->limiter, true, err));
    TRY(request_read(rq, err));
    TRY(tier_admit_account(rq, request_query(rq, "account", 0), &usage.account, err));
    TRY(limits_of(rq->db, usage.account.id, &usage.limits, err));
    usage.facts = (struct rule_facts){.account = usage.account, .now_us = now_us()};
    jw_object(&usage.w);
    jw_key_str(&usage.w, "account", usage.account.name);
    TRY(write_tier_now(&usage, err));
    TRY(write_over(&usage, err));
    jw_key(&usage.w, "limits");
    jw_array(&usage.w);
    for (enum unit unit = 1; unit < UNITS; unit++)
        for (enum scope scope = SCOPE_KEY; scope <= SCOPE_PERSON; scope++)
            TRY(write_unit(&usage, scope, unit, err));
    TRY(write_groups(&usage, err));
    jw_end(&usage.w);
    jw_key(&usage.w, "moveUp");
    jw_array(&usage.w);
    TRY(tier_each(rq->db, write_way_up, &usage, err));
    jw_end(&usage.w);
    jw_key(&usage.w, "shares");
    TRY(pool_write_shares(rq, usage.account.id, &usage.w, err));
    jw_end(&usage.w);
    request_reply_json(rq, &body);
    return OK;
}
