/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/rule.h"
#include "base/text.h"
#include "base/time.h"
#include "tier/internal.h"
#include "tier/used.h"

typedef enum status rule_fn(struct db_conn *conn, struct arena *arena, const json_t *rule,
                            const struct rule_facts *facts, struct rule_state *out, struct error *err);

static enum status ask_address(struct db_conn *conn, struct arena *arena, const json_t *rule,
                               const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    (void)conn, (void)err;
    struct str pattern = json_get_str(rule, "pattern"), address = facts->account.email;
    out->met = str_given(address) && glob_match(str_lower(arena, pattern), str_lower(arena, address));
    out->what = arena_printf(arena, "your address is like %.*s", STR_ARG(pattern));
    out->how = STR("Have such an address put into your account.");
    return OK;
}

static enum status ask_age(struct db_conn *conn, struct arena *arena, const json_t *rule,
                           const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    (void)conn, (void)err;
    int64_t from = facts->account.created_us + json_get_int(rule, "days", 0) * DAY_US;
    out->met = facts->now_us >= from;
    out->what = arena_printf(arena, "your account is %lld days old", (long long)json_get_int(rule, "days", 0));
    out->how = arena_printf(arena, "Wait until %.*s.", STR_ARG(time_iso(arena, from)));
    return OK;
}

/* What the door and the tier machine have on record. */
static const char unclean_sql[] =
    "SELECT max(at) FROM (SELECT max(from_us) AS at FROM access_block WHERE account_id = ? UNION ALL "
    "SELECT max(from_us) FROM tier_assign WHERE account_id = ? AND state = 5)";

static enum status ask_clean(struct db_conn *conn, struct arena *arena, const json_t *rule,
                             const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, unclean_sql, &row, err));
    stmt_bind_int(row, 1, facts->account.id);
    stmt_bind_int(row, 2, facts->account.id);
    int64_t last = stmt_next(row) && !stmt_is_null(row, 0) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    int64_t days = json_get_int(rule, "days", 0), from = (last ? last : facts->account.created_us) + days * DAY_US;
    out->met = facts->now_us >= from;
    out->what = arena_printf(arena, "nothing was held against you for %lld days", (long long)days);
    out->how = arena_printf(arena, "Wait until %.*s, and keep to the rules.", STR_ARG(time_iso(arena, from)));
    return OK;
}

static int64_t used_days(const json_t *rule)
{
    return json_get_int(rule, "days", 30);
}

/* A way up only: whoever has moved up has more, and uses less of it. */
static enum status ask_used(struct db_conn *conn, struct arena *arena, const json_t *rule,
                            const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    int64_t percent = json_get_int(rule, "percent", 0), days = used_days(rule);
    enum unit unit = unit_named(json_get_str(rule, "unit"));
    out->met = facts->holds;
    if (!out->met)
        TRY(used_for(conn, facts->account.id, unit, percent, days, facts->now_us, &out->met, err));
    out->what = arena_printf(arena, "you have used %lld %% of the %s that you have, for %lld days", (long long)percent,
                             unit_specs[unit].what, (long long)days);
    out->how = STR("There is more for those who need it: use what you have first.");
    return OK;
}

static enum status ask_answered(struct db_conn *conn, struct arena *arena, const json_t *rule,
                                const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    (void)conn, (void)arena, (void)rule, (void)err;
    *out = (struct rule_state){facts->answered, STR("you have answered the questions and named your evidence"),
                               STR("Apply: POST /api/tiers/{slug}/applications.")};
    return OK;
}

static enum status ask_board(struct db_conn *conn, struct arena *arena, const json_t *rule,
                             const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    (void)conn, (void)arena, (void)rule, (void)err;
    *out = (struct rule_state){facts->looked_at, STR("an administrator of the hub has looked at it"),
                               STR("Apply, and wait for the decision.")};
    return OK;
}

static enum status ask_sign_in(struct db_conn *conn, struct arena *arena, const json_t *rule,
                               const struct rule_facts *facts, struct rule_state *out, struct error *err)
{
    enum auth_level wanted = AUTH_NONE, has;
    sign_in_parse(json_get_str(rule, "level"), &wanted);
    TRY(account_strength(conn, facts->account.id, &has, err));
    out->met = has >= wanted;
    out->what = arena_printf(arena, "you can sign in by %.*s", STR_ARG(sign_in_name(wanted)));
    out->how = wanted == AUTH_PASSKEY ? STR("Register a passkey on your account page, /signin.")
                                      : STR("Set up one-time codes or a passkey on your account page, /signin.");
    return OK;
}

static const struct rule_kind {
    const char *name;
    rule_fn *ask;
    const char *members[5];
} rule_kinds[] = {
    {"address", ask_address, {"rule", "pattern"}}, {"age", ask_age, {"rule", "days"}},
    {"answered", ask_answered, {"rule"}},          {"board", ask_board, {"rule"}},
    {"clean", ask_clean, {"rule", "days"}},        {"used", ask_used, {"rule", "unit", "percent", "days"}},
    {"sign-in", ask_sign_in, {"rule", "level"}},
};

static const struct rule_kind *kind_of(const json_t *rule)
{
    struct str name = json_get_str(rule, "rule");
    for (size_t i = 0; i < sizeof rule_kinds / sizeof *rule_kinds; i++)
        if (str_eq(name, str_of(rule_kinds[i].name)))
            return &rule_kinds[i];
    return NULL;
}

static enum status check(const json_t *rule, struct error *err)
{
    const struct rule_kind *kind = kind_of(rule);
    if (!kind)
        return fail(err, INVALID, NULL, "\"rule\" of a tier is address, age, answered, board, clean, sign-in or used");
    TRY(doc_only(rule, "A rule", kind->members, err));
    int64_t days = json_get_int(rule, "days", 0), percent = json_get_int(rule, "percent", 0);
    if (days < 0 || days > 36600 || percent < 0 || percent > 100)
        return fail(err, INVALID, NULL, "The rule %s needs \"days\" of 0 to 36600, or \"percent\" of 0 to 100",
                    kind->name);
    if (kind->ask == ask_address &&
        (!str_given(json_get_str(rule, "pattern")) || json_get_str(rule, "pattern").len > 200))
        return fail(err, INVALID, NULL, "The rule address needs a \"pattern\" of at most 200 bytes");
    enum auth_level level = AUTH_NONE;
    if (kind->ask == ask_sign_in && (!sign_in_parse(json_get_str(rule, "level"), &level) || level < AUTH_TOTP))
        return fail(err, INVALID, NULL, "The rule sign-in needs a \"level\": two-factor or passkey");
    enum measure measure = unit_specs[unit_named(json_get_str(rule, "unit"))].measure;
    if (kind->ask == ask_used && ((measure != MEASURE_HELD && measure != MEASURE_SPAN) || used_days(rule) < 1))
        return fail(err, INVALID, NULL,
                    "The rule used needs a \"unit\" of bytes or repos, and \"days\" of at least 1 where it has them");
    return OK;
}

enum status rules_check(const json_t *rules, struct error *err)
{
    for (size_t i = 0; i < json_array_size(rules); i++)
        TRY(check(json_array_get(rules, i), err));
    return OK;
}

enum status rule_ask(struct db_conn *conn, struct arena *arena, const json_t *rule, const struct rule_facts *facts,
                     struct rule_state *out, struct error *err)
{
    const struct rule_kind *kind = kind_of(rule);
    *out = (struct rule_state){0};
    return kind ? kind->ask(conn, arena, rule, facts, out, err)
                : fail(err, CORRUPT, NULL, "A published tier has a rule that this hub does not know");
}

enum status rules_met(struct db_conn *conn, const json_t *rules, const struct rule_facts *facts, bool *met,
                      struct error *err)
{
    auto_arena struct arena arena = {0};
    struct rule_state state;
    *met = true;
    for (size_t i = 0; i < json_array_size(rules) && *met; i++) {
        TRY(rule_ask(conn, &arena, json_array_get(rules, i), facts, &state, err));
        *met = state.met;
    }
    return OK;
}
