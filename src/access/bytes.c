/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/internal.h"
#include "base/time.h"
#include <stdarg.h>
#include <stdio.h>

/* Those of the grant machine (grant/grant.h) that say something here. A live one is whatever is up to SUSPENDED. */
enum { SUSPENDED = 3, EXPIRED = 4, REVOKED = 6 };
/* Those of the request machine (gate/request.h). An open one is whatever is up to LAST_OPEN. */
enum { DRAFT = 0, VERIFY_WAIT = 2, INFO_WAIT = 4, LAST_OPEN = 6, REFUSED = 8, NOT_ASKED = -1 };

/* What a grant comes to. The better outcome comes first: somebody with several, for several purposes, is told of the one that lacks
 * least. */
enum outcome { ADMITTED, TERMS, NOT_YET, PAUSED, OVER, NONE };

struct finding {
    enum outcome outcome;
    int64_t grant_id, until_us;
    bool never_accepted;
    struct str code, text; /* of a suspension or revocation; in the barrier's arena */
};

/* What stands before the bytes. Nothing of it is kept from one question to the next: what has been taken back holds from
 * the write on that says so. */
struct barrier {
    struct db_conn *conn;
    const struct actor *actor;
    const struct access_object *object;
    int64_t now_us;
    bool held, pending;
    int64_t gate_id, opens_us, terms_epoch; /* gate 0: none */
    bool binds_members, is_blocked, is_slowed;
    bool had_one;            /* a grant that is over */
    enum auth_level sign_in; /* what the gate asks for */
    enum role role;          /* the actor's, in the name space that owns the repo */
    struct finding best;
    char territory[1024];
    struct arena arena; /* of the words of a refusal */
};

static void free_words(struct barrier *b)
{
    arena_free(&b->arena);
}

#define BLOCKS                                                                                                         \
    "FROM access_block WHERE account_id = ? AND +owner_id IN (0, ?) AND lifted_us = 0 AND from_us <= ? "               \
    "AND (until_us = 0 OR until_us > ?)"
/* Why it is suspended stands in the row alone, which is not looked up for the sake of a grant that is not. */
#define GRANT_COLUMNS                                                                                                  \
    "a.id, a.state, a.not_before_us, a.expires_us, a.terms_epoch, CASE WHEN a.state = 3 THEN a.code END, "             \
    "CASE WHEN a.state = 3 THEN a.text END, CASE WHEN a.state = 3 THEN a.until_us END"
#define GRANT_AT 9 /* the first of them */

/*
 * All of it in one statement, since a statement costs more than a look-up: a row for each grant that the actor has or had, and
 * one when there is none. Nothing in it may need a table of its own (ORDER BY with LIMIT, IN for an index, hence the plus):
 * SQLite opens a whole database for one, which cost more than all the rest together (bench/access.c).
 */
static const char barrier_sql[] =
    "SELECT "
    "(SELECT max(CASE kind WHEN 'pending' THEN 1 ELSE 2 END) FROM access_hold WHERE repo_id = ? AND state <> 2), "
    "g.id, g.opens_us, g.terms_epoch, g.binds_members, g.territory, "
    "CASE WHEN g.id IS NULL THEN 0 ELSE (SELECT role FROM member WHERE org_id = ? AND user_id = ?) END, "
    "CASE WHEN g.id IS NULL THEN NULL ELSE (SELECT min(slow) " BLOCKS ") END, g.sign_in, " GRANT_COLUMNS
    " FROM (SELECT 1) AS one LEFT JOIN gate_repo r ON r.repo_id = ? LEFT JOIN gate g ON g.id = r.gate_id "
    "LEFT JOIN access_grant a ON a.account_id = ? AND a.gate_id = g.id";

static void bind_barrier(struct barrier *b, struct stmt *row)
{
    int64_t account_id = b->actor->account.id, owner_id = b->object->owner_id;
    stmt_bind_int(row, 1, b->object->repo_id);
    stmt_bind_int(row, 2, owner_id);
    stmt_bind_int(row, 3, account_id);
    stmt_bind_int(row, 4, account_id);
    stmt_bind_int(row, 5, owner_id);
    stmt_bind_int(row, 6, b->now_us);
    stmt_bind_int(row, 7, b->now_us);
    stmt_bind_int(row, 8, b->object->repo_id);
    stmt_bind_int(row, 9, account_id);
}

static enum status weigh(struct barrier *b, struct stmt *row, struct finding *out, struct error *err);

static enum status take_grant(struct barrier *b, struct stmt *row, struct error *err)
{
    struct finding one;
    if (stmt_int(row, GRANT_AT + 1) > SUSPENDED) {
        b->had_one = true;
        return OK;
    }
    TRY(weigh(b, row, &one, err));
    /* Of two that admit, the one for which nothing is missing. */
    if (one.outcome < b->best.outcome || (one.outcome == ADMITTED && one.until_us == 0))
        b->best = one;
    return OK;
}

static enum status read_barrier(struct barrier *b, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(b->conn, barrier_sql, &row, err));
    bind_barrier(b, row);
    for (bool first = true; stmt_next(row); first = false) {
        if (first) {
            struct str territory = stmt_str(row, 5);
            b->held = !stmt_is_null(row, 0);
            b->pending = stmt_int(row, 0) == 1; /* and there is no other hold */
            b->gate_id = stmt_int(row, 1);
            b->opens_us = stmt_int(row, 2);
            b->terms_epoch = stmt_int(row, 3);
            b->binds_members = stmt_int(row, 4) != 0;
            if (territory.len > 0)
                snprintf(b->territory, sizeof b->territory, "%.*s", STR_ARG(territory));
            b->role = (enum role)stmt_int(row, 6);
            b->is_blocked = !stmt_is_null(row, 7) && stmt_int(row, 7) == 0;
            b->is_slowed = !stmt_is_null(row, 7) && stmt_int(row, 7) == 1;
            b->sign_in = (enum auth_level)stmt_int(row, 8);
        }
        if (!stmt_is_null(row, GRANT_AT))
            TRY(take_grant(b, row, err));
    }
    return stmt_end(row, err);
}

/* Refusals. All that a gate says has the code and the words by which stock clients know a gated repo (hub-protocol 0.4);
 * what is particular follows them. */

static const char *day_of(struct barrier *b, int64_t us)
{
    return str_slice(time_iso(&b->arena, us), 0, 10).data;
}

static const char *prefix_of(const struct access_object *object)
{
    return str_eq(object->kind_name, STR("dataset")) ? "datasets/"
           : str_eq(object->kind_name, STR("space")) ? "spaces/"
                                                     : "";
}

static enum status refuse(struct barrier *b, const char *reason, int64_t until_us, struct error *err,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

static enum status refuse(struct barrier *b, const char *reason, int64_t until_us, struct error *err,
                          const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    enum status status = fail(err, b->actor->account.id ? FORBIDDEN : UNAUTHENTICATED, "GatedRepo",
                              "Access to %.*s %.*s is restricted and you are not in the authorized list. %s",
                              STR_ARG(b->object->kind_name), STR_ARG(b->object->full_name), text);
    error_explain(err, reason, until_us, "/api/%.*ss/%.*s/access", STR_ARG(b->object->kind_name),
                  STR_ARG(b->object->full_name));
    return status;
}

/* Who has none yet, or no more, may ask. */
static enum status refuse_and_invite(struct barrier *b, const char *reason, struct error *err, const char *text)
{
    enum status status = refuse(b, reason, 0, err, "%s", text);
    if (b->gate_id)
        error_explain(err, reason, 0, "/%s%.*s/ask-access", prefix_of(b->object), STR_ARG(b->object->full_name));
    return status;
}

static enum status refuse_held(struct barrier *b, struct error *err)
{
    enum status status;
    if (b->pending)
        status = fail(err, UNAVAILABLE, "PendingCheck",
                      "The files of %.*s are held until the hub has looked at what was committed last. Ask again in a "
                      "minute.",
                      STR_ARG(b->object->full_name));
    else
        status =
            fail(err, FORBIDDEN, "HeldReupload",
                 "The files of %.*s are held: some of them are those of a gated repo, and its owner or the board of "
                 "this hub has not said yet that they may be here.",
                 STR_ARG(b->object->full_name));
    error_explain(err, b->pending ? "pending-check" : "held-reupload", 0, "/api/%.*ss/%.*s/access",
                  STR_ARG(b->object->kind_name), STR_ARG(b->object->full_name));
    return status;
}

/* Blocks. */

static const char block_sql[] =
    "SELECT owner_id, until_us, code, text " BLOCKS " AND slow = 0 ORDER BY until_us LIMIT 1";
static const char slow_sql[] = "SELECT max(until_us) " BLOCKS;

static enum status check_block(struct barrier *b, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    if (!b->is_blocked)
        return OK;
    TRY(db_prepare(b->conn, block_sql, &row, err));
    stmt_bind_int(row, 1, b->actor->account.id);
    stmt_bind_int(row, 2, b->object->owner_id);
    stmt_bind_int(row, 3, b->now_us);
    stmt_bind_int(row, 4, b->now_us);
    if (!stmt_next(row))
        return stmt_end(row, err);
    int64_t until_us = stmt_int(row, 1);
    struct str code = stmt_str(row, 2), text = stmt_str(row, 3);
    return refuse(b, "blocked", until_us, err, "You are blocked from %s%s%.10s (%.*s): %.*s",
                  stmt_int(row, 0) ? "the gated repos of its owner" : "all gated repos of this hub",
                  until_us ? " until " : "", until_us ? day_of(b, until_us) : "", STR_ARG(code), STR_ARG(text));
}

/* Only of who is not blocked, and has the right to the bytes. */
static enum status read_slowed(struct barrier *b, int64_t *until_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    if (!b->is_slowed)
        return OK;
    TRY(db_prepare(b->conn, slow_sql, &row, err));
    stmt_bind_int(row, 1, b->actor->account.id);
    stmt_bind_int(row, 2, b->object->owner_id);
    stmt_bind_int(row, 3, b->now_us);
    stmt_bind_int(row, 4, b->now_us);
    *until_us = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* Territory. Only where the operator has a proxy in front that says where requests come from. */

static enum status check_territory(struct barrier *b, struct error *err)
{
    struct str country = b->actor->country;
    if (!b->territory[0] || !str_given(country))
        return OK;
    char wanted[8];
    snprintf(wanted, sizeof wanted, " %.*s", (int)(country.len < 6 ? country.len : 6), country.data);
    bool known = country.len == 2 && !str_eq(country, STR("XX")), listed = strstr(b->territory, wanted) != NULL;
    if (known && listed == (b->territory[0] == '+'))
        return OK;
    if (!known) /* where it matters from which, a request from nowhere is one from where it must not come */
        return refuse(b, "territory", 0, err,
                      "Its owner gives access by country, and this hub cannot tell from which you ask.");
    return refuse(b, "territory", 0, err, "Its owner does not give access to requests from %.2s.", country.data);
}

/* Grants. */

static const char due_sql[] = "SELECT min(due_us) FROM gate_epoch WHERE gate_id = ? AND epoch > ?";

/* By when the first of the texts that a grant lacks must be accepted; 0 where that is not written: at once. */
static enum status terms_due(struct barrier *b, int64_t epoch, int64_t *due_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *due_us = 0;
    if (epoch < 0)
        return OK;
    TRY(db_prepare(b->conn, due_sql, &row, err));
    stmt_bind_int(row, 1, b->gate_id);
    stmt_bind_int(row, 2, epoch);
    if (stmt_next(row))
        *due_us = stmt_int(row, 0);
    return stmt_end(row, err);
}

/* By the clock, whatever the timers have written down by now. */
static enum status weigh(struct barrier *b, struct stmt *row, struct finding *out, struct error *err)
{
    int64_t state = stmt_int(row, GRANT_AT + 1), not_before_us = stmt_int(row, GRANT_AT + 2);
    int64_t expires_us = stmt_int(row, GRANT_AT + 3), epoch = stmt_int(row, GRANT_AT + 4);
    int64_t until_us = stmt_int(row, GRANT_AT + 7);
    struct str code = stmt_str(row, GRANT_AT + 5);
    *out = (struct finding){ADMITTED, .grant_id = stmt_int(row, GRANT_AT)};
    if (expires_us && expires_us <= b->now_us) {
        out->outcome = OVER;
        out->until_us = expires_us;
    } else if (state == SUSPENDED && str_eq(code, STR("terms"))) {
        out->outcome = TERMS;
    } else if (state == SUSPENDED && (until_us == 0 || until_us > b->now_us)) {
        out->outcome = PAUSED;
        out->until_us = until_us;
        out->code = arena_copy(&b->arena, code);
        out->text = arena_copy(&b->arena, str_slice(stmt_str(row, GRANT_AT + 6), 0, 400));
    } else if (not_before_us > b->now_us) {
        out->outcome = NOT_YET;
        out->until_us = not_before_us;
    } else if (epoch < b->terms_epoch) {
        TRY(terms_due(b, epoch, &out->until_us, err));
        out->outcome = out->until_us > b->now_us ? ADMITTED : TERMS;
        if (out->until_us == INT64_MAX) /* of a text that the gate does not ask for any more */
            out->until_us = 0;
        out->never_accepted = epoch < 0;
    }
    return OK;
}

/* What an owner has done to a grant can be appealed. done: "was revoked". */
static enum status refuse_grant(struct barrier *b, const char *reason, const struct finding *found, const char *done,
                                struct error *err)
{
    enum status status = refuse(b, reason, found->until_us, err, "Your access %s%s%.10s (%.*s): %.*s", done,
                                found->until_us ? " until " : "", found->until_us ? day_of(b, found->until_us) : "",
                                STR_ARG(found->code), STR_ARG(found->text));
    error_explain(err, reason, found->until_us, "/api/grants/%lld/appeal", (long long)found->grant_id);
    return status;
}

static enum status refuse_terms(struct barrier *b, bool never_accepted, struct error *err)
{
    enum status status =
        refuse(b, "terms", 0, err, "%s",
               never_accepted ? "Read and accept its terms first."
                              : "Its terms have changed: read and accept those that are in force now.");
    error_explain(err, "terms", 0, "/api/%.*ss/%.*s/terms", STR_ARG(b->object->kind_name),
                  STR_ARG(b->object->full_name));
    return status;
}

static const char last_sql[] = "SELECT state, id, code, text FROM access_grant WHERE id = "
                               "(SELECT max(id) FROM access_grant WHERE account_id = ? AND gate_id = ?)";

/* Who has asked is told where that stands. */

struct asked {
    int64_t state, due_us; /* by when it is decided, or answered; from when on one may ask again */
    struct str code;       /* of a refusal; in the barrier's arena */
};

static const char asked_sql[] = "SELECT state, due_us, code FROM access_request WHERE id = "
                                "(SELECT max(id) FROM access_request WHERE applicant_id = ? AND gate_id = ?)";

static enum status read_asked(struct barrier *b, struct asked *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(b->conn, asked_sql, &row, err));
    stmt_bind_int(row, 1, b->actor->account.id);
    stmt_bind_int(row, 2, b->gate_id);
    *out = (struct asked){.state = NOT_ASKED};
    if (stmt_next(row))
        *out = (struct asked){stmt_int(row, 0), stmt_int(row, 1), arena_copy(&b->arena, stmt_str(row, 2))};
    return stmt_end(row, err);
}

static enum status refuse_asked(struct barrier *b, const struct asked *asked, struct error *err)
{
    bool waits = asked->state == VERIFY_WAIT || asked->state == INFO_WAIT;
    const char *reason = asked->state == REFUSED ? "refused" : waits ? "waits-for-you" : "under-review";
    enum status status;
    if (asked->state == REFUSED)
        status = refuse(b, reason, asked->due_us, err,
                        "Your request was refused (%.*s). You can ask again from %.10s on, or appeal.",
                        STR_ARG(asked->code), day_of(b, asked->due_us));
    else
        status = refuse(b, reason, asked->due_us, err,
                        waits ? "Your request waits for your answer, which has to come by %.10s."
                              : "Your request is under review, and is to be decided by %.10s.",
                        day_of(b, asked->due_us));
    error_explain(err, reason, asked->due_us, "/api/%.*ss/%.*s/access-request", STR_ARG(b->object->kind_name),
                  STR_ARG(b->object->full_name));
    return status;
}

/* No live one: where a request stands, or what became of the last grant. */
static enum status refuse_ended(struct barrier *b, bool is_over, struct error *err)
{
    struct asked asked;
    TRY(read_asked(b, &asked, err));
    if (asked.state > DRAFT && asked.state <= LAST_OPEN)
        return refuse_asked(b, &asked, err);
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(b->conn, last_sql, &row, err));
    stmt_bind_int(row, 1, b->actor->account.id);
    stmt_bind_int(row, 2, b->gate_id);
    int64_t state = is_over ? EXPIRED : b->had_one && stmt_next(row) ? stmt_int(row, 0) : 0;
    if (state == REVOKED) {
        const struct finding last = {NONE, stmt_int(row, 1), .code = stmt_str(row, 2), .text = stmt_str(row, 3)};
        return refuse_grant(b, "revoked", &last, "was revoked", err);
    }
    if (state == EXPIRED)
        return refuse_and_invite(b, "expired", err, "Your access has expired: ask for it to be renewed.");
    TRY(stmt_end(row, err));
    if (asked.state == REFUSED && asked.due_us > b->now_us)
        return refuse_asked(b, &asked, err);
    return refuse_and_invite(b, "no-grant", err,
                             asked.state == DRAFT ? "Your request is a draft, which was not sent yet."
                                                  : "Ask for access.");
}

static enum status refuse_finding(struct barrier *b, const struct finding *found, struct error *err)
{
    switch (found->outcome) {
    case TERMS:
        return refuse_terms(b, found->never_accepted, err);
    case NOT_YET:
        return refuse(b, "not-yet", found->until_us, err, "Your access begins on %.10s.", day_of(b, found->until_us));
    case PAUSED:
        return refuse_grant(b, "suspended", found, "is suspended", err);
    default:
        return refuse_ended(b, found->outcome == OVER, err);
    }
}

/* How people sign in. A key counts as what was shown in the session that gave it its secret, so that programs need nothing new;
 * and what the account has given up since does not count any more. */
static enum status check_sign_in(struct barrier *b, struct error *err)
{
    static const char *const wants[] = {[AUTH_PASSWORD] = "people who have signed in",
                                        [AUTH_TOTP] = "two-factor sign-in",
                                        [AUTH_PASSKEY] = "a passkey"};
    enum auth_level strength = AUTH_PASSWORD;
    if (b->sign_in > AUTH_PASSWORD)
        TRY(account_strength(b->conn, b->actor->account.id, &strength, err));
    if (b->actor->shown >= b->sign_in && strength >= b->sign_in)
        return OK;
    const char *missing = strength >= b->sign_in       ? ""
                          : b->sign_in == AUTH_PASSKEY ? "Register a passkey on your account page. "
                                                       : "Set up one-time codes or a passkey on your account page. ";
    const char *then = b->actor->shown >= b->sign_in ? ""
                       : b->actor->is_session        ? "Show it there for this session."
                                              : "Sign in that way, and give this token a new secret there, or make "
                                                "a new one: a token counts as the session in which it was made.";
    enum status status =
        refuse(b, "sign-in-level", 0, err, "Its owner asks for %s. %s%s", wants[b->sign_in], missing, then);
    error_explain(err, "sign-in-level", 0, "/signin");
    return status;
}

static enum status check_grants(struct barrier *b, struct access_answer *answer, struct error *err)
{
    if (b->actor->account.id == 0)
        return refuse_and_invite(b, "sign-in", err, "Sign in, and ask for access.");
    if (b->best.outcome != ADMITTED)
        return refuse_finding(b, &b->best, err);
    TRY(check_sign_in(b, err));
    TRY(read_slowed(b, &answer->slowed_until_us, err));
    answer->grant_id = b->best.grant_id;
    answer->terms_due_us =
        b->best.until_us == INT64_MAX ? 0 : b->best.until_us; /* a text that is no longer asked for */
    return OK;
}

/* The gate. */

static enum status check_gate(struct barrier *b, struct access_answer *answer, struct error *err)
{
    if (!b->gate_id)
        return refuse_and_invite(b, "no-grant", err, "Ask its owner for access.");
    TRY(check_block(b, err));
    if (b->opens_us > b->now_us)
        return refuse(b, "embargo", b->opens_us, err, "Nobody is let in before %.10s.", day_of(b, b->opens_us));
    TRY(check_territory(b, err));
    return check_grants(b, answer, err);
}

/* A key that looks misused. Members' keys are stolen like others. */
static enum status refuse_held_key(struct barrier *b, struct error *err)
{
    enum status status =
        refuse(b, "step-up", 0, err,
               "This token looked misused. Say on the page /misuse that it was you; GET /api/misuse tells programs more.");
    error_explain(err, "step-up", 0, "/misuse");
    return status;
}

enum status access_bytes(struct db_conn *conn, const struct actor *actor, const struct access_object *object,
                         bool is_board, struct access_answer *answer, struct error *err)
{
    __attribute__((cleanup(free_words))) struct barrier b = {
        .conn = conn, .actor = actor, .object = object, .now_us = now_us(), .best = {.outcome = NONE}};
    TRY(read_barrier(&b, err));
    bool gated = b.gate_id || object->gated;
    if (!gated && !b.held)
        return OK;
    if (!b.gate_id || actor->account.id == object->owner_id)
        TRY(account_role_in(conn, actor->account.id, object->owner_id, &b.role, err));
    bool is_member = b.role >= ROLE_READ;
    if (b.held && !is_member && !is_board)
        return refuse_held(&b, err);
    if (!gated)
        return OK;
    answer->gate_id = b.gate_id;
    if (actor->hold)
        return refuse_held_key(&b, err);
    return is_member && !b.binds_members ? OK : check_gate(&b, answer, err);
}
