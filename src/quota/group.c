/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups of the repos of one account, by their names, that its tier limits besides the account as a whole. */
#include "base/text.h"
#include "base/time.h"
#include "quota/internal.h"

/*
 * What is kept is asked of the repos themselves, so that a repo that is renamed, or a tier that is published anew, needs no counting. A
 * span has a counter of its own, under a number made of the account and the pattern; below 0, where no account is.
 */
static int64_t counter_of(int64_t account_id, const struct group_limit *group)
{
    uint8_t digest[SHA256_SIZE];
    uint64_t number;
    auto_arena struct arena arena = {0};
    sha256(arena_printf(&arena, "%lld:%s", (long long)account_id, group->repos), digest);
    memcpy(&number, digest, sizeof number);
    return -1 - (int64_t)(number >> 1);
}

static int64_t span_of(const struct group_limit *group)
{
    return unit_specs[group->unit].measure == MEASURE_SPAN ? quota_span(group->limit.per_s, now_us()) : 0;
}

static const char repos_sql[] = "SELECT name_key, 1, 0 FROM repo WHERE owner_id = ? AND id <> ?";
static const char bytes_sql[] =
    "SELECT r.name_key, q.bytes, 0 FROM quota_repo q JOIN repo r ON r.id = q.repo_id "
    "WHERE q.account_id = ? AND q.unit = ? "
    "UNION ALL SELECT r.name_key, 0, v.amount FROM quota_reservation v JOIN repo r ON r.id = v.repo_id "
    "WHERE v.account_id = ? AND v.unit = ?";

/* but_id: a repo that does not count yet, though it is there; 0 for none. Costs grow with the repos of the account. */
static enum status use_of(struct db_conn *conn, int64_t account_id, const struct group_limit *group, int64_t but_id,
                          struct quota_use *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    bool repos = group->unit == UNIT_REPOS;
    if (unit_specs[group->unit].measure == MEASURE_SPAN)
        return quota_used(conn, counter_of(account_id, group), group->unit, span_of(group), out, err);
    *out = (struct quota_use){0};
    TRY(db_prepare(conn, repos ? repos_sql : bytes_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, repos ? but_id : (int64_t)group->unit);
    if (!repos) {
        stmt_bind_int(row, 3, account_id);
        stmt_bind_int(row, 4, group->unit);
    }
    while (stmt_next(row))
        if (glob_match(str_of(group->repos), stmt_str(row, 0))) {
            out->used += stmt_int(row, 1);
            out->reserved += stmt_int(row, 2);
        }
    return stmt_end(row, err);
}

enum status quota_group_used(struct db_conn *conn, int64_t account_id, const struct group_limit *group,
                             struct quota_use *out, struct error *err)
{
    return use_of(conn, account_id, group, 0, out, err);
}

/* Absent when no group can match. */
static enum status name_of(struct db_conn *conn, struct arena *arena, const struct limits *limits, int64_t repo_id,
                           struct str *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct str){0};
    if (!limits->group_count || !repo_id)
        return OK;
    TRY(db_prepare(conn, "SELECT name_key FROM repo WHERE id = ?", &row, err));
    stmt_bind_int(row, 1, repo_id);
    if (stmt_next(row))
        *out = arena_copy(arena, stmt_str(row, 0));
    return stmt_end(row, err);
}

static enum status refuse(const struct limits *limits, const struct group_limit *group, int64_t would,
                          struct error *err)
{
    const struct unit_spec *spec = &unit_specs[group->unit];
    int64_t again_us = spec->relief ? 0 : (span_of(group) + 1) * group->limit.per_s * SECOND_US;
    fail(err, spec->full, "QuotaExceeded",
         "There is no room for this in the repos whose names match %s: with it they would come to %lld %s, and the "
         "tier %s allows %lld there. %s: GET /api/usage says what is used.",
         group->repos, quota_shown(spec, would), spec->what, limits->slug, quota_shown(spec, group->limit.hard),
         spec->relief ? spec->relief : "Wait until it begins anew");
    if (err)
        err->until_us = again_us;
    return spec->full;
}

enum status groups_room(struct db_conn *conn, const struct limits *limits, const struct quota_ask *ask,
                        struct str old_name, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct quota_use use;
    struct str name;
    TRY(name_of(conn, &arena, limits, ask->repo_id, &name, err));
    for (const struct group_limit *group = limits->groups; group < limits->groups + limits->group_count; group++) {
        struct str repos = str_of(group->repos);
        if (group->unit != ask->unit || !str_given(name) || !glob_match(repos, name) ||
            (str_given(old_name) && glob_match(repos, old_name)))
            continue;
        TRY(use_of(conn, ask->account_id, group, ask->amount ? ask->repo_id : 0, &use, err));
        if (ask->amount > group->limit.hard || use.used + use.reserved > group->limit.hard - ask->amount)
            return refuse(limits, group, use.used + use.reserved + ask->amount, err);
    }
    return OK;
}

enum status groups_add(struct db_conn *tx, const struct limits *limits, const struct quota_ask *ask, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str name;
    if (unit_specs[ask->unit].measure != MEASURE_SPAN)
        return OK;
    TRY(name_of(tx, &arena, limits, ask->repo_id, &name, err));
    for (const struct group_limit *group = limits->groups; group < limits->groups + limits->group_count; group++)
        if (group->unit == ask->unit && str_given(name) && glob_match(str_of(group->repos), name))
            TRY(quota_add(tx, counter_of(ask->account_id, group), ask->unit, span_of(group), ask->amount, err));
    return OK;
}
