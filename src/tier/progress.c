/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Up and down by rule: an account at a time, each in a write of its own. */
#include "base/log.h"
#include "base/time.h"
#include "tier/assign.h"
#include "tier/rule.h"

#define CANDIDATES_MOST 16

/* Tiers that rules alone decide on, without an application, the most first. */
struct candidate {
    int64_t order;
    char slug[64];
    json_t *rules;
};
struct progress {
    struct candidate candidates[CANDIDATES_MOST];
    size_t count;
    int64_t account_id;
};

static enum status take_candidate(void *context, const struct tier *tier, struct error *err)
{
    struct progress *progress = context;
    (void)err;
    if (!tier->doc.decided_by_rule || !json_array_size(tier->doc.rules) || progress->count == CANDIDATES_MOST)
        return OK;
    memmove(progress->candidates + 1, progress->candidates, progress->count++ * sizeof *progress->candidates);
    struct candidate *candidate = progress->candidates;
    *candidate = (struct candidate){.order = tier->doc.order, .rules = json_deep_copy(tier->doc.rules)};
    memcpy(candidate->slug, tier->doc.limits.slug, sizeof candidate->slug);
    return OK;
}

static enum status order_of(struct db_conn *tx, struct arena *arena, const struct assign *assign, int64_t *order,
                            struct error *err)
{
    struct tier tier;
    TRY(tier_load(tx, arena, tier_slug(tx, arena, assign->tier_id, err), &tier, err));
    *order = tier.doc.order;
    json_release(&tier.json);
    return OK;
}

/* What stands against a move is no failure: it is tried again another day. */
static enum status step(struct db_conn *tx, struct assign *assign, enum assign_event event, struct error *err)
{
    const struct assign_step what = {.event = event, .by = BY_RULE, .basis = "rule"};
    return assign_do(tx, assign, &what, err);
}

static enum status go_up(struct db_conn *tx, const struct progress *progress, const struct rule_facts *facts,
                         int64_t order, struct error *err)
{
    for (size_t i = 0; i < progress->count && progress->candidates[i].order > order; i++) {
        const struct candidate *candidate = &progress->candidates[i];
        struct assign assign;
        int64_t tier_id, moved;
        bool met;
        TRY(rules_met(tx, candidate->rules, facts, &met, err));
        TRY(assign_moved(tx, facts->account.id, &moved, err));
        if (!met || (moved && facts->now_us < moved + ASSIGN_CALM_US))
            continue;
        TRY(tier_make_id(tx, str_of(candidate->slug), &tier_id, err));
        TRY(assign_new(tx, facts->account.id, tier_id, STR("rule"), &assign, err));
        return step(tx, &assign, ASSIGN_ACTIVATE, err);
    }
    return OK;
}

/* Who came by rule stays by rule. Grace begins when the rules are not met, and ends when they are again. */
static enum status keep_or_warn(struct db_conn *tx, struct arena *arena, struct assign *assign,
                                const struct rule_facts *facts, bool *keeps, struct error *err)
{
    struct tier tier;
    TRY(tier_load(tx, arena, tier_slug(tx, arena, assign->tier_id, err), &tier, err));
    enum status status = rules_met(tx, tier.doc.rules, facts, keeps, err);
    json_release(&tier.json);
    TRY(status);
    if (!*keeps && assign->state == ASSIGN_ACTIVE)
        return step(tx, assign, ASSIGN_WARN, err);
    return *keeps && assign->state == ASSIGN_GRACE ? step(tx, assign, ASSIGN_ACTIVATE, err) : OK;
}

static enum status progress_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct progress *progress = context;
    auto_arena struct arena arena = {0};
    struct rule_facts facts = {.now_us = now_us()};
    struct assign assign;
    int64_t order = -1;
    bool keeps = true;
    TRY(account_get(tx, &arena, progress->account_id, &facts.account, err));
    enum status found = assign_find(tx, &arena, progress->account_id, &assign, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (facts.account.erased || (found == OK && assign.state == ASSIGN_SUSPENDED))
        return OK;
    if (found == OK && str_eq(assign.source, STR("rule")))
        TRY(keep_or_warn(tx, &arena, &assign, &facts, &keeps, err));
    if (found == OK)
        TRY(order_of(tx, &arena, &assign, &order, err));
    return go_up(tx, progress, &facts, order, err);
}

static enum status next_account(struct db *db, int64_t *id, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "SELECT id FROM account WHERE id > ? ORDER BY id LIMIT 1", &row, err));
    stmt_bind_int(row, 1, *id);
    *found = stmt_next(row);
    *id = *found ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status candidates_of(struct db *db, struct progress *progress, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(db, &conn, err));
    return tier_each(conn, take_candidate, progress, err);
}

static enum status go_through(struct db *db, struct progress *progress, struct error *err)
{
    bool found;
    for (;;) {
        struct error why = {0};
        TRY(next_account(db, &progress->account_id, &found, err));
        if (!found)
            return OK;
        if (db_write(db, progress_in_write, progress, &why) != OK)
            log_line("error", "tier", "The tier of account %lld: %s", (long long)progress->account_id, why.message);
    }
}

enum status assign_by_rules(struct db *db, struct error *err)
{
    struct progress progress = {0};
    enum status status = candidates_of(db, &progress, err);
    if (status == OK && progress.count)
        status = go_through(db, &progress, err);
    for (size_t i = 0; i < progress.count; i++)
        json_release(&progress.candidates[i].rules);
    return status;
}
