/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Up and down by rule: an account at a time, each in a write of its own. */
#include "base/log.h"
#include "base/time.h"
#include "tier/assign.h"
#include "tier/over.h"
#include "tier/rule.h"
#include "tier/used.h"

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
    struct used_watch watch;
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

/* What the rules want for an account now. Asked of a reader first, as nothing is to be done for nearly all of them. */
struct wanted {
    bool any;
    enum assign_event event;
    struct assign assign; /* that the event is for; a new one to candidate where there is one */
    const struct candidate *candidate;
};

/* The highest tier above order whose rules are met; moves are 30 days apart. */
static enum status look_up(struct db_conn *conn, const struct progress *progress, const struct rule_facts *facts,
                           int64_t order, struct wanted *out, struct error *err)
{
    int64_t moved;
    TRY(assign_moved(conn, facts->account.id, &moved, err));
    if (moved && facts->now_us < moved + ASSIGN_CALM_US)
        return OK;
    for (size_t i = 0; i < progress->count && progress->candidates[i].order > order && !out->any; i++) {
        TRY(rules_met(conn, progress->candidates[i].rules, facts, &out->any, err));
        out->event = ASSIGN_ACTIVATE;
        out->candidate = &progress->candidates[i];
    }
    return OK;
}

/* Who came by rule stays by rule. Grace begins when the rules are not met, and ends when they are again. */
static enum status look_down(struct db_conn *conn, struct arena *arena, const struct rule_facts *facts,
                             struct wanted *out, struct error *err)
{
    struct rule_facts holder = *facts;
    struct tier tier;
    bool keeps;
    TRY(tier_load(conn, arena, tier_slug(conn, arena, out->assign.tier_id, err), &tier, err));
    holder.holds = true;
    enum status status = rules_met(conn, tier.doc.rules, &holder, &keeps, err);
    json_release(&tier.json);
    TRY(status);
    out->any = keeps ? out->assign.state == ASSIGN_GRACE : out->assign.state == ASSIGN_ACTIVE;
    out->event = keeps ? ASSIGN_ACTIVATE : ASSIGN_WARN;
    return OK;
}

static enum status look(struct db_conn *conn, struct arena *arena, const struct progress *progress, struct wanted *out,
                        struct error *err)
{
    struct rule_facts facts = {.now_us = now_us()};
    int64_t order = -1;
    *out = (struct wanted){0};
    TRY(account_get(conn, arena, progress->account_id, &facts.account, err));
    enum status found = assign_find(conn, arena, progress->account_id, &out->assign, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (facts.account.erased || (found == OK && out->assign.state == ASSIGN_SUSPENDED))
        return OK;
    if (found == OK)
        TRY(order_of(conn, arena, &out->assign, &order, err));
    TRY(look_up(conn, progress, &facts, order, out, err));
    return !out->any && found == OK && str_eq(out->assign.source, STR("rule"))
               ? look_down(conn, arena, &facts, out, err)
               : OK;
}

static enum status progress_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct progress *progress = context;
    auto_arena struct arena arena = {0};
    struct wanted wanted;
    int64_t tier_id;
    TRY(look(tx, &arena, progress, &wanted, err));
    if (!wanted.any)
        return OK;
    const struct assign_step step = {.event = wanted.event, .by = BY_RULE, .basis = "rule"};
    if (wanted.candidate) {
        TRY(tier_make_id(tx, str_of(wanted.candidate->slug), &tier_id, err));
        TRY(assign_new(tx, progress->account_id, tier_id, STR("rule"), &wanted.assign, err));
    }
    return assign_do(tx, &wanted.assign, &step, err);
}

static enum status progress_one(struct db *db, struct progress *progress, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct wanted wanted;
    TRY(db_reader(db, &conn, err));
    TRY(look(conn, &arena, progress, &wanted, err));
    db_release(&conn);
    return wanted.any ? db_write(db, progress_in_write, progress, err) : OK;
}

static enum status next_account(struct db *db, int64_t *id, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "SELECT id FROM account WHERE id > ? AND erased_us IS NULL ORDER BY id LIMIT 1", &row, err));
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
        if (over_look(db, progress->account_id, &why) != OK ||
            used_note(db, &progress->watch, progress->account_id, &why) != OK ||
            (progress->count && progress_one(db, progress, &why) != OK))
            log_line("error", "tier", "The tier of account %lld: %s", (long long)progress->account_id, why.message);
    }
}

enum status assign_by_rules(struct db *db, struct error *err)
{
    struct progress progress = {0};
    enum status status = candidates_of(db, &progress, err);
    if (status == OK)
        status = used_watch_read(db, &progress.watch, err);
    if (status == OK)
        status = go_through(db, &progress, err);
    for (size_t i = 0; i < progress.count; i++)
        json_release(&progress.candidates[i].rules);
    return status;
}
