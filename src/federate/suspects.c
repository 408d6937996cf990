/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may have spoiled what: in each round the groups whose sums the hub sees are marked (robust/suspicion.h), and what that says of their members
 * adds up. Beyond the threshold of the run somebody is proposed to who administers the repo; nobody is removed but by a person, and the decision
 * is logged.
 */
#include "access/log.h"
#include "federate/internal.h"
#include "notice/notice.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Who is in a group with whom. */

/* Whole numbers below `below`, all as likely, from a seed. */
struct draw {
    uint8_t block[32 + 8], digest[SHA256_SIZE];
    uint64_t next;
};

static uint64_t draw_below(struct draw *draw, uint64_t below)
{
    for (;;) {
        uint64_t number = 0;
        for (int i = 0; i < 8; i++)
            draw->block[32 + i] = (uint8_t)(draw->next >> (8 * i));
        draw->next++;
        sha256((struct str){(const char *)draw->block, sizeof draw->block}, draw->digest);
        for (int i = 0; i < 8; i++)
            number |= (uint64_t)draw->digest[i] << (8 * i);
        if (number < UINT64_MAX - UINT64_MAX % below)
            return number % below;
    }
}

void order_draw(const uint8_t seed[32], size_t count, size_t *out)
{
    struct draw draw = {0};
    memcpy(draw.block, seed, 32);
    for (size_t i = 0; i < count; i++)
        out[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)draw_below(&draw, i), kept = out[i - 1];
        out[i - 1] = out[j];
        out[j] = kept;
    }
}

/* By update: its row, or the bucket that its row is averaged into. */
static size_t find_groups(const struct closing *c, const struct robust_how *how, size_t *group_of)
{
    size_t n = c->rows.count;
    for (size_t place = 0; place < n; place++)
        group_of[how->bucket ? c->order[place] : place] = how->bucket ? place / how->bucket : place;
    return how->bucket ? (n + how->bucket - 1) / how->bucket : n;
}

static void weigh_members(struct closing *c, const size_t *group_of)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t row = c->rows.row_of ? c->rows.row_of[i] : i;
        c->group_of[i] = group_of[row];
        c->group_sizes[group_of[row]]++;
    }
}

enum status suspicion_weigh(struct closing *c, size_t candidate, struct error *err)
{
    const struct robust_how how = settings_how_of(&c->run.settings, candidate, c->rows.count);
    size_t n = c->rows.count;
    if (c->run.settings.suspicion <= 0)
        return OK;
    double *gram = arena_array(c->arena, n * n, sizeof *gram);
    size_t *group_of = arena_array(c->arena, n, sizeof *group_of);
    c->groups = find_groups(c, &how, group_of);
    double *of_groups = arena_array(c->arena, c->groups * c->groups, sizeof *of_groups);
    c->marks = arena_array(c->arena, c->groups, sizeof *c->marks);
    c->group_sizes = arena_array(c->arena, c->groups, sizeof *c->group_sizes);
    c->group_of = arena_array(c->arena, c->count, sizeof *c->group_of);
    TRY(aggregate_gram(&c->rows, &c->base, gram, err));
    groups_gram(gram, n, group_of, c->groups, of_groups);
    groups_mark(of_groups, c->groups, c->marks);
    for (size_t row = 0; c->rows.too_long && row < n; row++)
        c->marks[group_of[row]].flagged |= c->rows.too_long[row];
    weigh_members(c, group_of);
    return OK;
}

static void write_number(struct json_writer *w, const char *name, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", isfinite(value) ? value : 1e300);
    jw_key(w, name);
    jw_raw(w, str_of(text));
}

void suspicion_record(const struct closing *c, struct json_writer *w)
{
    if (!c->marks)
        return;
    jw_key(w, "groups");
    jw_array(w);
    for (size_t i = 0; i < c->groups; i++) {
        jw_object(w);
        jw_key_int(w, "size", (int64_t)c->group_sizes[i]);
        write_number(w, "norm", c->marks[i].norm);
        write_number(w, "distance", c->marks[i].distance);
        write_number(w, "along", c->marks[i].along);
        jw_key_bool(w, "flagged", c->marks[i].flagged);
        jw_end(w);
    }
    jw_end(w);
}

/* What is known of a participant. */

enum suspect_state { SUSPECT_WATCHED = 1, SUSPECT_PROPOSED = 2, SUSPECT_REMOVED = 3 };

static const char score_sql[] = "SELECT score, state FROM federate_suspicion WHERE run_id = ? AND account_id = ?";
static const char put_sql[] =
    "INSERT INTO federate_suspicion (run_id, account_id, score, rounds, flags, state) VALUES (?, ?, ?, 1, ?, ?) ON "
    "CONFLICT (run_id, account_id) DO UPDATE SET score = excluded.score, rounds = federate_suspicion.rounds + 1, flags "
    "= federate_suspicion.flags + excluded.flags, state = excluded.state";

static enum status find_score(struct db_conn *tx, int64_t run_id, int64_t account_id, double *score, int64_t *state,
                              struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    char text[40] = "0";
    *state = SUSPECT_WATCHED;
    TRY(db_prepare(tx, score_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, account_id);
    if (stmt_next(row)) {
        snprintf(text, sizeof text, "%.*s", STR_ARG(stmt_str(row, 0)));
        *state = stmt_int(row, 1);
    }
    *score = strtod(text, NULL);
    return stmt_end(row, err);
}

static enum status propose(struct db_conn *tx, const struct closing *c, int64_t account_id, struct error *err)
{
    struct account account;
    TRY(account_get(tx, c->arena, account_id, &account, err));
    struct str text =
        arena_printf(c->arena,
                     "What %.*s has sent to the federated training of %.*s may spoil it: the groups that it was in "
                     "were conspicuous again and "
                     "again. That proves nothing. See GET /api/models/%.*s/federate/suspects, and decide there.",
                     STR_ARG(account.name), STR_ARG(c->repo.full_name), STR_ARG(c->repo.full_name));
    return notice_owners(tx, c->repo.owner_id, c->repo.id, "federate.suspect", text, err);
}

static enum status store_one(struct db_conn *tx, const struct closing *c, size_t update, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    int64_t account_id = c->updates[update].account_id, state;
    size_t group = c->group_of[update];
    double score, threshold = c->run.settings.suspicion;
    bool flagged = c->marks[group].flagged;
    struct participant who;
    char text[40];
    TRY(participant_find(tx, c->run.id, account_id, &who, err));
    if (!who.joined) /* it was erased meanwhile */
        return OK;
    TRY(find_score(tx, c->run.id, account_id, &score, &state, err));
    score = evidence_add(score, group_evidence(flagged, c->group_sizes[group]), threshold);
    bool is_new = score >= threshold && state == SUSPECT_WATCHED;
    snprintf(text, sizeof text, "%.17g", score);
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, c->run.id);
    stmt_bind_int(put, 2, account_id);
    stmt_bind_str(put, 3, str_of(text));
    stmt_bind_int(put, 4, flagged);
    stmt_bind_int(put, 5, is_new ? SUSPECT_PROPOSED : state);
    TRY(stmt_run(put, err));
    return is_new ? propose(tx, c, account_id, err) : OK;
}

enum status suspicion_store(struct db_conn *tx, const struct closing *c, struct error *err)
{
    for (size_t i = 0; c->marks && i < c->count; i++)
        TRY(store_one(tx, c, i, err));
    return OK;
}

/* Proposals, and what people make of them. */

static const char list_sql[] =
    "SELECT a.name, s.score, s.rounds, s.flags, s.state FROM federate_suspicion s JOIN account a ON a.id = "
    "s.account_id WHERE s.run_id = ? AND s.state >= 2 ORDER BY s.account_id";

/* GET /api/{api}/federate/suspects: those who are proposed, and those who were removed. */
enum status suspects_get(struct request *rq, struct error *err)
{
    struct run run;
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, run.id);
    jw_object(&w);
    jw_key_str(&w, "run", run.public_id);
    write_number(&w, "threshold", run.settings.suspicion);
    jw_key(&w, "suspects");
    jw_array(&w);
    while (stmt_next(row)) {
        jw_object(&w);
        jw_key_str(&w, "user", stmt_str(row, 0));
        jw_key(&w, "score");
        jw_raw(&w, stmt_str(row, 1));
        jw_key_int(&w, "rounds", stmt_int(row, 2));
        jw_key_int(&w, "flags", stmt_int(row, 3));
        jw_key_str(&w, "state", stmt_int(row, 4) == SUSPECT_REMOVED ? STR("removed") : STR("proposed"));
        jw_end(&w);
    }
    TRY(stmt_end(row, err));
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

struct decision {
    const struct run *run;
    int64_t account_id, by_id;
    bool removes;
};

/* Who is dismissed begins anew. */
static const char decide_sql[] =
    "UPDATE federate_suspicion SET state = ?, score = CASE WHEN ? = 1 THEN '0' ELSE score END "
    "WHERE run_id = ? AND account_id = ? AND state = 2";

static enum status append_decision(struct db_conn *tx, const struct decision *decision, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "account", decision->account_id);
    jw_key_str(&w, "decision", decision->removes ? STR("remove") : STR("dismiss"));
    jw_key_int(&w, "round", decision->run->round);
    jw_key_str(&w, "run", decision->run->public_id);
    jw_end(&w);
    const struct event event = {&federate_events[EVENT_DECISION], decision->run->repo_id, decision->by_id,
                                buf_view(&body)};
    TRY(event_append(tx, &event, err));
    if (!decision->removes)
        return OK;
    struct decision_made made = {.repo_id = decision->run->repo_id,
                                 .account_id = decision->account_id,
                                 .actor_id = decision->by_id,
                                 .decision = "withdraw",
                                 .basis = "owner"};
    return access_log_decision(tx, &made, err);
}

static enum status decide(struct db_conn *tx, void *context, struct error *err)
{
    const struct decision *decision = context;
    auto_stmt struct stmt *row = NULL;
    int64_t state = decision->removes ? SUSPECT_REMOVED : SUSPECT_WATCHED;
    TRY(db_prepare(tx, decide_sql, &row, err));
    stmt_bind_int(row, 1, state);
    stmt_bind_int(row, 2, state);
    stmt_bind_int(row, 3, decision->run->id);
    stmt_bind_int(row, 4, decision->account_id);
    TRY(stmt_run(row, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, "NoProposal", "That account is not proposed, or was decided about already.");
    if (decision->removes)
        TRY(participant_remove(tx, decision->run->id, decision->account_id, now_us(), err));
    if (decision->removes && decision->run->settings.mode->removed)
        TRY(decision->run->settings.mode->removed(tx, decision->run, decision->account_id, err));
    return append_decision(tx, decision, err);
}

/* POST /api/{api}/federate/suspects: {"user": name, "decision": "dismiss" or "remove"} */
enum status suspects_post(struct request *rq, struct error *err)
{
    struct run run;
    struct account account;
    struct error later = {0};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    struct str word = json_get_str(body, "decision");
    TRY(request_read(rq, err));
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    if (!str_eq(word, STR("dismiss")) && !str_eq(word, STR("remove")))
        return fail(err, INVALID, NULL, "\"decision\" must be \"dismiss\" or \"remove\".");
    if (account_find(rq->db, rq->arena, json_get_str(body, "user"), &account, err) != OK)
        return fail(err, NOT_FOUND, "NoProposal", "That account is not proposed, or was decided about already.");
    request_done_reading(rq);
    struct decision decision = {&run, account.id, rq->actor.account.id, str_eq(word, STR("remove"))};
    TRY(db_write(rq->hub->db, decide, &decision, err));
    waits_changed(&rq->hub->federate->waits);
    round_close(rq->hub, run.id, &later); /* it may have waited for that one alone */
    request_reply_empty(rq);
    return OK;
}
