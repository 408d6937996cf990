/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The race of candidates (federated 2.6): of a frozen round several models are made, one by each rule; a judge, who has data that nobody
 * trains with, says how good each is, and the best is committed. What was decided stands in the database before it is.
 */
#include "base/time.h"
#include "federate/internal.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define METRICS_MOST 16
#define METRIC_NAME_MOST 64

bool run_is_race(const struct run *run)
{
    return run->settings.candidate_count > 0;
}

bool run_awaits_judge(const struct run *run)
{
    return run_is_race(run) && run->frozen_us && run->judging_us && !run->chosen &&
           now_us() < run->judging_us + run->settings.judge_us;
}

static struct str candidate_path(const struct federate *federate, struct arena *arena, const struct run *run,
                                 size_t number)
{
    return arena_printf(arena, "%s/%.*s/%lld-candidate-%zu", federate->folder, STR_ARG(run->public_id),
                        (long long)run->round, number);
}

/* Candidates. */

static enum status make_candidate(struct closing *c, size_t number, struct error *err)
{
    struct str path = candidate_path(c->hub->federate, c->arena, &c->run, number);
    struct str temporary = arena_printf(c->arena, "%.*s.new", STR_ARG(path));
    auto_fd int out = open(temporary.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return fail_errno(err, temporary.data);
    TRY(closing_aggregate(c, number, out, false, err));
    return rename(temporary.data, path.data) == 0 ? OK : fail_errno(err, path.data);
}

static const char show_sql[] =
    "UPDATE federate_run SET judging_us = ? WHERE id = ? AND state = 1 AND round = ? AND frozen_us <> 0";

static enum status show(struct db_conn *tx, void *context, struct error *err)
{
    const struct closing *c = context;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, show_sql, &row, err));
    stmt_bind_int(row, 1, now_us());
    stmt_bind_int(row, 2, c->run.id);
    stmt_bind_int(row, 3, c->run.round);
    return stmt_run(row, err);
}

/* In a write: what is decided stays so. */
static const char choose_sql[] =
    "UPDATE federate_run SET chosen = ?, scores = ? WHERE id = ? AND state = 1 AND round = "
    "? AND judging_us <> 0 AND chosen = 0";

struct choice {
    const struct run *run;
    int64_t chosen;
    struct str scores;
    bool made;
};

static enum status choose(struct db_conn *tx, void *context, struct error *err)
{
    struct choice *choice = context;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, choose_sql, &row, err));
    stmt_bind_int(row, 1, choice->chosen);
    stmt_bind_str(row, 2, choice->scores);
    stmt_bind_int(row, 3, choice->run->id);
    stmt_bind_int(row, 4, choice->run->round);
    TRY(stmt_run(row, err));
    choice->made = db_changes(tx) > 0;
    return OK;
}

static enum status reload(struct closing *c, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(c->hub->db, &conn, err));
    return run_get(conn, c->arena, c->run.id, &c->run, err);
}

enum status race_run(struct closing *c, bool *waits, struct error *err)
{
    *waits = false;
    if (!run_is_race(&c->run) || c->run.chosen)
        return OK;
    if (c->run.judging_us == 0) {
        for (size_t i = 0; i < c->run.settings.candidate_count; i++)
            TRY(make_candidate(c, i, err));
        *waits = true;
        return db_write(c->hub->db, show, c, err);
    }
    struct choice first = {.run = &c->run, .chosen = 1, .scores = STR("")};
    TRY(db_write(c->hub->db, choose, &first, err));
    return reload(c, err);
}

void race_record(const struct closing *c, struct json_writer *w)
{
    auto_json json_t *scores = NULL;
    if (!run_is_race(&c->run))
        return;
    bool judged =
        str_given(c->run.scores) && c->run.scores.len && json_read(c->run.scores, BODY_LIMIT, &scores, NULL) == OK;
    jw_key_bool(w, "judged", judged);
    jw_key(w, "candidates");
    jw_array(w);
    for (size_t i = 0; i < c->run.settings.candidate_count; i++) {
        jw_object(w);
        jw_key_str(w, "rule", str_of(c->run.settings.candidates[i].name));
        if (judged) {
            auto_buf struct buf text = {0};
            json_dump(json_array_get(scores, i), &text);
            jw_key(w, "scores");
            jw_raw(w, buf_view(&text));
        }
        jw_end(w);
    }
    jw_end(w);
    jw_key_str(w, "chosen", str_of(c->run.settings.candidates[c->run.chosen - 1].name));
}

/* Scores. */

static enum status read_score(const json_t *score, double *loss, struct error *err)
{
    const char *name;
    json_t *value;
    const json_t *given = json_object_get(score, "loss");
    if (!json_is_object(score) || json_object_size(score) > METRICS_MOST || !given)
        return fail(err, INVALID, NULL, "Each of the \"scores\" is an object with \"loss\" and at most %d members.",
                    METRICS_MOST);
    json_object_foreach((json_t *)score, name, value)
    {
        if (strlen(name) > METRIC_NAME_MOST || !(json_is_number(value) || json_is_null(value)))
            return fail(err, INVALID, NULL, "Scores are numbers, or null, with names of at most %d bytes.",
                        METRIC_NAME_MOST);
    }
    *loss = json_is_number(given) ? json_number_value(given) : INFINITY;
    return OK;
}

/* The lowest loss; of equals the first. */
static enum status find_best(const json_t *scores, size_t count, int64_t *best, struct error *err)
{
    double lowest = INFINITY, loss = INFINITY;
    *best = 1;
    if (!json_is_array(scores) || json_array_size(scores) != count)
        return fail(err, INVALID, NULL, "\"scores\" must be a list of %zu, one for each candidate.", count);
    for (size_t i = 0; i < count; i++) {
        TRY(read_score(json_array_get(scores, i), &loss, err));
        if (loss < lowest) {
            lowest = loss;
            *best = (int64_t)i + 1;
        }
    }
    return OK;
}

/* A list of the candidates' scores, as the judge has sent it. */
static enum status scores_of_record(struct closing *c, const json_t *candidates, struct error *err)
{
    auto_json json_t *scores = json_array();
    auto_buf struct buf text = {0};
    for (size_t i = 0; i < json_array_size(candidates); i++)
        json_array_append(scores, json_object_get(json_array_get(candidates, i), "scores"));
    TRY(find_best(scores, c->run.settings.candidate_count, &c->run.chosen, err));
    json_dump(scores, &text);
    c->run.scores = arena_copy(c->arena, buf_view(&text));
    return OK;
}

enum status race_of_record(struct closing *c, const json_t *record, struct error *err)
{
    if (!run_is_race(&c->run))
        return OK;
    c->run.chosen = 1;
    if (json_get_bool(record, "judged", false))
        TRY(scores_of_record(c, json_object_get(record, "candidates"), err));
    if (str_eq(json_get_str(record, "chosen"), str_of(c->run.settings.candidates[closing_chosen(c)].name)))
        return OK;
    return fail(err, FORBIDDEN, "OtherChoice",
                "The chosen rule is not the candidate of the round's configuration that the scores make the best.");
}

/* The judge. */

/* Whoever administers the repo, and who was named when the run was opened; both may read its bytes. */
static enum status find_race(struct request *rq, struct run *run, struct error *err)
{
    const struct access_object object = repo_access(&rq->repo);
    TRY(request_read(rq, err));
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, run, err));
    if (!run_is_race(run))
        return fail(err, NOT_FOUND, "NoRace", "No candidates are judged in this training.");
    if (run->settings.judge_id == rq->actor.account.id)
        return OK;
    return access_decide(rq->db, &rq->actor, ACT_ADMINISTER, &object, err);
}

/* GET /api/{api}/federate/candidates */
enum status candidates_get(struct request *rq, struct error *err)
{
    struct run run;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(find_race(rq, &run, err));
    jw_object(&w);
    jw_key_str(&w, "run", run.public_id);
    jw_key_str(&w, "state", run_state_name(run.state));
    if (run.why.len)
        jw_key_str(&w, "why", run.why);
    jw_key_int(&w, "round", run.round);
    jw_key_int(&w, "rounds", run.settings.rounds);
    jw_key_bool(&w, "judging", run_awaits_judge(&run));
    jw_key(&w, "candidates");
    jw_array(&w);
    for (size_t i = 0; i < run.settings.candidate_count; i++)
        jw_str(&w, str_of(run.settings.candidates[i].name));
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status check_judging(const struct run *run, int64_t round, struct error *err)
{
    if (run->state == RUN_OPEN && run->round == round && run->frozen_us && run->judging_us && !run->chosen)
        return OK;
    return fail(err, CONFLICT, "NotJudging", "No candidates of round %lld are to be judged now.", (long long)round);
}

/* GET /api/{api}/federate/candidate?round=N&number=I&offset=N: a piece of a candidate, a safetensors file. Numbers count from 0. */
enum status candidate_get(struct request *rq, struct error *err)
{
    struct run run;
    int64_t round, number;
    TRY(find_race(rq, &run, err));
    if (!str_to_i64(request_query(rq, "round", 0), &round) || !str_to_i64(request_query(rq, "number", 0), &number) ||
        number < 0 || number >= (int64_t)run.settings.candidate_count)
        return fail(err, INVALID, NULL, "The address must say \"round\", and \"number\" of a candidate, from 0 to %zu.",
                    run.settings.candidate_count - 1);
    TRY(check_judging(&run, round, err));
    return reply_piece(rq, candidate_path(rq->hub->federate, rq->arena, &run, (size_t)number).data, err);
}

/* POST /api/{api}/federate/scores: {"round": n, "scores": [{"loss": x, …}, …]}, in the order of the candidates. */
enum status scores_post(struct request *rq, struct error *err)
{
    struct run run;
    json_t *body;
    auto_buf struct buf text = {0};
    struct error later = {0};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(find_race(rq, &run, err));
    TRY(check_judging(&run, json_get_int(body, "round", -1), err));
    struct choice choice = {.run = &run};
    const json_t *scores = json_object_get(body, "scores");
    TRY(find_best(scores, run.settings.candidate_count, &choice.chosen, err));
    json_dump(scores, &text);
    choice.scores = buf_view(&text);
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, choose, &choice, err));
    if (!choice.made)
        return fail(err, CONFLICT, "NotJudging", "The candidates of round %lld have been judged already.",
                    (long long)run.round);
    round_close(rq->hub, run.id, &later); /* what becomes of the round, the judge need not know */
    request_reply_empty(rq);
    return OK;
}
