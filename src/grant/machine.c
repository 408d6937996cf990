/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machine of a grant (access C4): its table is at the end. */
#include "grant/internal.h"

/* Guards. */

static struct granting *subject(struct step *step)
{
    return step->subject;
}

bool is_life_over(const struct granting *g, int64_t at_us)
{
    return g->grant.expires_us && at_us >= g->grant.expires_us;
}

bool cause_ended(const struct cause *cause, int64_t at_us)
{
    return cause->until_us && at_us >= cause->until_us;
}

bool is_terms_only(const struct granting *g)
{
    return g->cause_count == 1 && str_eq(g->causes[0].code, STR(CAUSE_TERMS));
}

static bool is_grace_over(const struct granting *g, int64_t at_us)
{
    return g->terms.reached >= 0 && at_us >= g->terms.due_us;
}

static bool is_terms_due(const struct granting *g)
{
    return g->terms.reached >= 0 && g->terms.due_us < INT64_MAX;
}

static enum answer if_life_over(struct step *step, struct error *err)
{
    (void)err;
    return is_life_over(subject(step), step->now_us) ? YES : NO;
}

static enum answer if_terms_due(struct step *step, struct error *err)
{
    (void)err;
    return is_terms_due(subject(step)) ? YES : NO;
}

static enum answer if_grace_over(struct step *step, struct error *err)
{
    (void)err;
    return is_grace_over(subject(step), step->now_us) ? YES : NO;
}

static enum answer if_all_accepted(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    (void)err;
    return g->terms.reached >= 0 && !is_terms_due(g) ? YES : NO;
}

static enum answer if_within_grace(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    (void)err;
    return g->terms.reached >= 0 && !is_grace_over(g, step->now_us) ? YES : NO;
}

static enum answer if_some_accepted(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    if (g->terms.reached > g->grant.terms_epoch)
        return YES;
    if (g->terms.reached >= 0 && !is_terms_due(g))
        return NO;
    fail(err, UNPROCESSABLE, "TermsMissing", "Some of the terms of %.*s are not accepted yet.", STR_ARG(g->gate_name));
    return REFUSED;
}

static enum answer if_other_causes(struct step *step, struct error *err)
{
    (void)err;
    return is_terms_only(subject(step)) ? NO : YES;
}

static enum answer if_only_terms_and_over(struct step *step, struct error *err)
{
    (void)err;
    return is_terms_only(subject(step)) && is_life_over(subject(step), step->now_us) ? YES : NO;
}

static enum answer if_renewable(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    if (step->now_us < g->grant.expires_us + g->renew_us)
        return YES;
    fail(err, UNPROCESSABLE, "RenewalOver", "This grant ended too long ago to be renewed. Ask for access anew.");
    return REFUSED;
}

static enum answer has_reason(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    bool is_word = step->code.len > 0 && step->code.len <= CODE_MOST;
    for (size_t i = 0; is_word && i < step->code.len; i++) {
        char c = step->code.data[i];
        is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    bool is_text = step->text.len > 0 && step->text.len <= TEXT_MOST && str_is_utf8(step->text);
    if (is_word && is_text && !str_eq(step->code, STR(CAUSE_TERMS)) &&
        (g->until_us == 0 || g->until_us > step->now_us) && g->cause_count < CAUSES_MOST)
        return YES;
    fail(err, INVALID, NULL,
         "To %s a grant takes a \"code\" (letters a to z, digits and '-'; not \"terms\"), a \"text\" that tells the "
         "holder why, and no \"until\" that is over.",
         step->machine->events[step->event]);
    return REFUSED;
}

/* Causes that are removed. */

static bool may_remove(const struct cause *cause, const struct step *step)
{
    static const unsigned movers[] = {
        [BY_RULE] = BY_RULE | BY_OWNER | BY_BOARD, [BY_OWNER] = BY_OWNER | BY_BOARD, [BY_BOARD] = BY_BOARD};
    if (str_eq(cause->code, STR(CAUSE_TERMS)))
        return false;
    if (cause_ended(cause, step->now_us))
        return true;
    if (step->by == BY_REVIEWER)
        return str_eq(cause->code, STR(GRANT_REOPENED));
    /* The clock names no cause; it removes what has ended, and nothing else. */
    return (movers[cause->by] & step->by) && (step->by != BY_RULE || step->code.len);
}

static bool is_removed(const struct cause *cause, const struct step *step)
{
    return (step->code.len == 0 || str_eq(step->code, cause->code)) && may_remove(cause, step);
}

static size_t removed_count(const struct granting *g, const struct step *step)
{
    size_t count = 0;
    for (size_t i = 0; i < g->cause_count; i++)
        count += is_removed(&g->causes[i], step);
    return count;
}

/* The first row of GRANT_RESUME, so it is what refuses, too. */
static enum answer if_causes_stand(struct step *step, struct error *err)
{
    const struct granting *g = subject(step);
    size_t removed = removed_count(g, step);
    if (removed == 0) {
        fail(err, FORBIDDEN, "CauseStands",
             "This grant is suspended for \"%.*s\", which you cannot remove here: it ends by itself, by accepting the "
             "terms, or by whoever set it.",
             STR_ARG(g->grant.code));
        return REFUSED;
    }
    return removed < g->cause_count ? YES : NO;
}

/* Effects. */

static const char add_cause_sql[] =
    "INSERT INTO grant_cause (grant_id, code, mover, until_us, text) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (grant_id, code, mover) DO UPDATE SET until_us = excluded.until_us, text = excluded.text";
/* What is shown is what lasts longest; the terms only when nothing else stands. */
static const char show_sql[] =
    "UPDATE access_grant SET (code, text, until_us) = (SELECT coalesce(max(code), ''), coalesce(max(text), ''), "
    "coalesce(max(until_us), 0) FROM (SELECT code, text, until_us FROM grant_cause WHERE grant_id = ? "
    "ORDER BY code = 'terms', until_us > 0, until_us DESC, code LIMIT 1) AS gravest) WHERE id = ?";
static const char drop_cause_sql[] = "DELETE FROM grant_cause WHERE grant_id = ? AND code = ? AND mover = ?";

static enum status show_cause(struct granting *g, struct error *err)
{
    auto_stmt struct stmt *show = NULL;
    TRY(db_prepare(g->tx, show_sql, &show, err));
    stmt_bind_int(show, 1, g->grant.id);
    stmt_bind_int(show, 2, g->grant.id);
    return stmt_run(show, err);
}

static enum status add_cause(struct granting *g, struct str code, struct str text, enum mover by, int64_t until_us,
                             struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(g->tx, add_cause_sql, &add, err));
    stmt_bind_int(add, 1, g->grant.id);
    stmt_bind_str(add, 2, code);
    stmt_bind_int(add, 3, by);
    stmt_bind_int(add, 4, until_us);
    stmt_bind_str(add, 5, text);
    TRY(stmt_run(add, err));
    return show_cause(g, err);
}

static enum status drop_cause(struct granting *g, struct str code, enum mover by, struct error *err)
{
    auto_stmt struct stmt *drop = NULL;
    TRY(db_prepare(g->tx, drop_cause_sql, &drop, err));
    stmt_bind_int(drop, 1, g->grant.id);
    stmt_bind_str(drop, 2, code);
    stmt_bind_int(drop, 3, by);
    return stmt_run(drop, err);
}

static enum status opened(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    if (g->terms.reached >= 0)
        return OK;
    return tell_holder(g, "grant.accept", 0, err,
                       "You were given access to %.*s. Before you get its files, read and accept its terms.",
                       STR_ARG(g->gate_name));
}

static enum status terms_moved(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    return tell_holder(
        g, "terms.due", g->terms.due_us, err,
        "The terms of %.*s have changed. Read and accept them by %s: after that your access is suspended "
        "until you do.",
        STR_ARG(g->gate_name), day_of(g, g->terms.due_us));
}

static enum status grace_over(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    TRY(add_cause(g, STR(CAUSE_TERMS), STR("Its terms have changed, and you have not accepted them yet."), BY_RULE, 0,
                  err));
    return tell_holder(
        g, "grant.suspended", 0, err,
        "Your access to %.*s is suspended (terms): its terms have changed. It is back as soon as you have "
        "accepted those that are in force now.",
        STR_ARG(g->gate_name));
}

static enum status accepted(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    if (is_grace_over(g, step->now_us) || step->from != GRANT_SUSPENDED)
        return OK;
    TRY(drop_cause(g, STR(CAUSE_TERMS), BY_RULE, err));
    return show_cause(g, err);
}

static enum status suspended(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    TRY(add_cause(g, step->code, step->text, step->by, g->until_us, err));
    return tell_holder(
        g, "grant.suspended", g->until_us, err,
        "Your access to %.*s is suspended%s%s (%.*s): %.*s\nYou can appeal: see /api/grants/%lld/appeal.",
        STR_ARG(g->gate_name), g->until_us ? " until " : "", g->until_us ? day_of(g, g->until_us) : "",
        STR_ARG(step->code), STR_ARG(step->text), (long long)g->grant.id);
}

static enum status cause_removed(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    for (size_t i = 0; i < g->cause_count; i++)
        if (is_removed(&g->causes[i], step))
            TRY(drop_cause(g, g->causes[i].code, g->causes[i].by, err));
    if (step->to == GRANT_SUSPENDED && is_grace_over(g, step->now_us))
        TRY(add_cause(g, STR(CAUSE_TERMS), STR("Its terms have changed, and you have not accepted them yet."), BY_RULE,
                      0, err));
    TRY(show_cause(g, err));
    if (step->to != GRANT_ACTIVE && step->to != GRANT_REACCEPT_DUE)
        return OK;
    return tell_holder(g, "grant.restored", 0, err, "Your access to %.*s is no longer suspended.",
                       STR_ARG(g->gate_name));
}

/* The causes go with it: what is over is not suspended. */
static enum status end_causes(struct granting *g, struct error *err)
{
    auto_stmt struct stmt *drop = NULL;
    TRY(db_prepare(g->tx, "DELETE FROM grant_cause WHERE grant_id = ?", &drop, err));
    stmt_bind_int(drop, 1, g->grant.id);
    return stmt_run(drop, err);
}

static enum status expired(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    TRY(end_causes(g, err));
    return tell_holder(g, "grant.expired", 0, err, "Your access to %.*s has expired. You can ask for it to be renewed.",
                       STR_ARG(g->gate_name));
}

static enum status revoked(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    TRY(end_causes(g, err));
    return tell_holder(g, "grant.revoked", 0, err,
                       "Your access to %.*s was revoked (%.*s): %.*s\nYou can appeal: see /api/grants/%lld/appeal.",
                       STR_ARG(g->gate_name), STR_ARG(step->code), STR_ARG(step->text), (long long)g->grant.id);
}

static enum status surrendered(struct step *step, struct error *err)
{
    return end_causes(subject(step), err);
}

/* Saving. */

static const char insert_sql[] =
    "INSERT INTO access_grant (gate_id, account_id, purpose, request_id, state, version, not_before_us, expires_us, "
    "terms_epoch, by_id, created_us, changed_us) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)";
static const char update_sql[] =
    "UPDATE access_grant SET state = ?, version = version + 1, terms_epoch = ?, code = coalesce(?, code), "
    "text = coalesce(?, text), until_us = CASE WHEN ? THEN 0 ELSE until_us END, changed_us = ? "
    "WHERE id = ? AND version = ?";

static enum status insert(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    struct grant *new = &g->grant;
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(g->tx, insert_sql, &add, err));
    stmt_bind_int(add, 1, new->gate_id);
    stmt_bind_int(add, 2, new->account_id);
    stmt_bind_str(add, 3, new->purpose);
    stmt_bind_int(add, 4, new->request_id);
    stmt_bind_int(add, 5, step->to);
    stmt_bind_int(add, 6, new->not_before_us);
    stmt_bind_int(add, 7, new->expires_us);
    stmt_bind_int(add, 8, g->terms.reached);
    stmt_bind_int(add, 9, new->by_id);
    stmt_bind_int(add, 10, step->now_us);
    stmt_bind_int(add, 11, step->now_us);
    if (stmt_run(add, err) == CONFLICT)
        return fail(err, CONFLICT, "GrantExists", "This person has access to %.*s already.", STR_ARG(g->gate_name));
    new->id = db_last_id(g->tx);
    return OK;
}

/* A grant that ends tells why; one that is suspended, what stands (show_cause()). */
static enum status save(struct step *step, struct error *err)
{
    struct granting *g = subject(step);
    auto_stmt struct stmt *update = NULL;
    bool ends = step->machine->states[step->to].ends;
    if (step->from == GRANT_NEW)
        return insert(step, err);
    TRY(db_prepare(g->tx, update_sql, &update, err));
    stmt_bind_int(update, 1, step->to);
    stmt_bind_int(update, 2, g->terms.reached);
    stmt_bind_str(update, 3, ends ? str_given(step->code) ? step->code : STR("") : (struct str){0});
    stmt_bind_str(update, 4, ends ? str_given(step->text) ? step->text : STR("") : (struct str){0});
    stmt_bind_int(update, 5, ends);
    stmt_bind_int(update, 6, step->now_us);
    stmt_bind_int(update, 7, g->grant.id);
    stmt_bind_int(update, 8, g->grant.version);
    TRY(stmt_run(update, err));
    return db_changes(g->tx) ? OK : fail(err, STALE, NULL, "This grant has changed meanwhile. Look at it again.");
}

/* The table. */

#define ANY_GIVER (BY_OWNER | BY_REVIEWER | BY_BOARD | BY_RULE)
#define ANY_TAKER (BY_OWNER | BY_BOARD | BY_RULE)
#define ANY_JUDGE (ANY_TAKER | BY_REVIEWER) /* reviewers, of a case that is open again */

static const struct machine_state states[GRANT_STATES] = {
    [GRANT_NEW] = {"new", "not there yet", false, false},
    [GRANT_ACTIVE] = {"active", "active", false, false},
    [GRANT_REACCEPT_DUE] = {"reaccept_due", "active, with new terms to accept", false, false},
    [GRANT_SUSPENDED] = {"suspended", "suspended, with the cause", false, false},
    [GRANT_EXPIRED] = {"expired", "expired", true, false},
    [GRANT_SUPERSEDED] = {"superseded", "renewed", true, false},
    [GRANT_REVOKED] = {"revoked", "revoked, with code and text", true, false},
    [GRANT_SURRENDERED] = {"surrendered", "given up", true, false},
};
static const char *const events[GRANT_EVENTS] = {[GRANT_OPEN] = "open",       [GRANT_TERMS_MOVED] = "terms_moved",
                                                 [GRANT_ACCEPT] = "accept",   [GRANT_GRACE_OVER] = "grace_over",
                                                 [GRANT_SUSPEND] = "suspend", [GRANT_RESUME] = "resume",
                                                 [GRANT_EXPIRE] = "expire",   [GRANT_RENEW] = "renew",
                                                 [GRANT_REVOKE] = "revoke",   [GRANT_SURRENDER] = "surrender",
                                                 [GRANT_APPEAL] = "appeal"};

static const struct move moves[] = {
    {GRANT_OPEN, GRANT_NEW, GRANT_ACTIVE, ANY_GIVER, NULL, opened, "", "tells who still has to accept the terms"},

    {GRANT_TERMS_MOVED, GRANT_ACTIVE, GRANT_REACCEPT_DUE, BY_RULE, if_terms_due, terms_moved,
     "an epoch is not accepted", "notice with the date"},
    {GRANT_TERMS_MOVED, GRANT_REACCEPT_DUE, TO_SAME, BY_RULE, if_terms_due, terms_moved, "an epoch is not accepted",
     "notice with the date"},
    {GRANT_ACCEPT, GRANT_ACTIVE, TO_SAME, BY_HOLDER | BY_RULE, if_some_accepted, NULL, "it goes further than before",
     ""},
    {GRANT_ACCEPT, GRANT_REACCEPT_DUE, GRANT_ACTIVE, BY_HOLDER | BY_RULE, if_all_accepted, NULL, "all is accepted", ""},
    {GRANT_ACCEPT, GRANT_REACCEPT_DUE, TO_SAME, BY_HOLDER | BY_RULE, if_some_accepted, NULL,
     "it goes further than before", ""},
    {GRANT_ACCEPT, GRANT_SUSPENDED, TO_SAME, BY_HOLDER | BY_RULE, if_other_causes, accepted, "another cause stands",
     "the terms are a cause no longer when they are within grace"},
    {GRANT_ACCEPT, GRANT_SUSPENDED, GRANT_ACTIVE, BY_HOLDER | BY_RULE, if_all_accepted, accepted, "all is accepted",
     "the cause is removed"},
    {GRANT_ACCEPT, GRANT_SUSPENDED, GRANT_REACCEPT_DUE, BY_HOLDER | BY_RULE, if_within_grace, accepted,
     "what is left is within grace", "the cause is removed"},
    {GRANT_ACCEPT, GRANT_SUSPENDED, TO_SAME, BY_HOLDER | BY_RULE, if_some_accepted, accepted,
     "it goes further than before", ""},
    {GRANT_GRACE_OVER, GRANT_REACCEPT_DUE, GRANT_SUSPENDED, BY_RULE, if_grace_over, grace_over, "the grace is over",
     "cause \"terms\"; notice"},

    {GRANT_SUSPEND, GRANT_ACTIVE, GRANT_SUSPENDED, ANY_TAKER, has_reason, suspended, "with code and text",
     "the cause is added; notice"},
    {GRANT_SUSPEND, GRANT_REACCEPT_DUE, GRANT_SUSPENDED, ANY_TAKER, has_reason, suspended, "with code and text",
     "the cause is added; notice"},
    {GRANT_SUSPEND, GRANT_SUSPENDED, TO_SAME, ANY_TAKER, has_reason, suspended, "with code and text",
     "the cause is added; notice"},
    {GRANT_RESUME, GRANT_SUSPENDED, TO_SAME, ANY_JUDGE, if_causes_stand, cause_removed, "another cause stands",
     "the cause is removed"},
    {GRANT_RESUME, GRANT_SUSPENDED, GRANT_EXPIRED, ANY_JUDGE, if_life_over, expired, "its life is over", "notice"},
    {GRANT_RESUME, GRANT_SUSPENDED, TO_SAME, ANY_JUDGE, if_grace_over, cause_removed, "the grace of new terms is over",
     "cause \"terms\""},
    {GRANT_RESUME, GRANT_SUSPENDED, GRANT_REACCEPT_DUE, ANY_JUDGE, if_terms_due, cause_removed,
     "an epoch is not accepted", "the cause is removed; notice"},
    {GRANT_RESUME, GRANT_SUSPENDED, GRANT_ACTIVE, ANY_JUDGE, NULL, cause_removed, "", "the cause is removed; notice"},

    {GRANT_EXPIRE, GRANT_ACTIVE, GRANT_EXPIRED, BY_RULE, if_life_over, expired, "its life is over", "notice"},
    {GRANT_EXPIRE, GRANT_REACCEPT_DUE, GRANT_EXPIRED, BY_RULE, if_life_over, expired, "its life is over", "notice"},
    /* An inquiry does not end by waiting; terms that nobody accepts do. */
    {GRANT_EXPIRE, GRANT_SUSPENDED, GRANT_EXPIRED, BY_RULE, if_only_terms_and_over, expired,
     "its life is over, and the terms are the only cause", "notice"},
    {GRANT_RENEW, GRANT_ACTIVE, GRANT_SUPERSEDED, ANY_GIVER, NULL, NULL, "", "a new grant, in the same write"},
    {GRANT_RENEW, GRANT_REACCEPT_DUE, GRANT_SUPERSEDED, ANY_GIVER, NULL, NULL, "", "a new grant, in the same write"},
    {GRANT_RENEW, GRANT_EXPIRED, GRANT_SUPERSEDED, ANY_GIVER, if_renewable, NULL, "within the renewal window",
     "a new grant, in the same write"},

    {GRANT_REVOKE, GRANT_ACTIVE, GRANT_REVOKED, ANY_JUDGE, has_reason, revoked, "with code and text", "notice"},
    {GRANT_REVOKE, GRANT_REACCEPT_DUE, GRANT_REVOKED, ANY_JUDGE, has_reason, revoked, "with code and text", "notice"},
    {GRANT_REVOKE, GRANT_SUSPENDED, GRANT_REVOKED, ANY_JUDGE, has_reason, revoked, "with code and text", "notice"},
    {GRANT_SURRENDER, GRANT_ACTIVE, GRANT_SURRENDERED, BY_HOLDER, NULL, surrendered, "", ""},
    {GRANT_SURRENDER, GRANT_REACCEPT_DUE, GRANT_SURRENDERED, BY_HOLDER, NULL, surrendered, "", ""},
    {GRANT_SURRENDER, GRANT_SUSPENDED, GRANT_SURRENDERED, BY_HOLDER, NULL, surrendered, "", ""},
    {GRANT_APPEAL, GRANT_REVOKED, GRANT_SUSPENDED, BY_RULE, has_reason, suspended,
     "the revocation is appealed, not for safety, and no other grant has taken its place", "cause \"appeal\"; notice"},
};

const struct machine grant_machine = {
    "grant",
    "A person's right to what is behind a gate. The door reads the clock itself; these steps are written down after "
    "it.",
    states,
    GRANT_STATES,
    events,
    GRANT_EVENTS,
    moves,
    sizeof moves / sizeof *moves,
    save,
};
