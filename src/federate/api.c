/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a run, seeing how it stands, and what a participant is told. */
#include "federate/internal.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_US (20 * SECOND_US) /* shorter than what proxies bear */

/* Opening. */

static enum status insert_run(struct db_conn *tx, void *context, struct error *err)
{
    return run_insert(tx, context, err);
}

static enum status check_none_open(struct request *rq, struct error *err)
{
    struct run now;
    enum status found = run_of_repo(rq->db, rq->arena, rq->repo.id, &now, err);
    if (found == OK && now.state == RUN_OPEN)
        return fail(err, CONFLICT, "RunIsOpen", "Federated training of this repo is under way already.");
    return found == NOT_FOUND ? OK : found;
}

static void write_run(struct request *rq, const struct run *run)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "run", run->public_id);
    jw_key_str(&w, "base", oid_hex(rq->arena, &run->base));
    settings_write(&run->settings, &w);
    jw_end(&w);
    request_reply_json(rq, &body);
}

static enum status find_judge(struct request *rq, struct settings *settings, struct error *err)
{
    struct account account;
    if (!settings->judge.len)
        return OK;
    if (account_find(rq->db, rq->arena, settings->judge, &account, err) != OK)
        return fail(err, INVALID, NULL, "There is no account \"%.*s\" to be the judge.",
                    STR_ARG(str_slice(settings->judge, 0, 96)));
    settings->judge_id = account.id;
    return OK;
}

/* POST /api/{api}/federate */
enum status run_open(struct request *rq, struct error *err)
{
    json_t *body;
    uint8_t id[16];
    struct revision main_branch;
    auto_model struct model model = {0};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_read(rq, err));
    random_bytes(id, sizeof id);
    struct run run = {.repo_id = rq->repo.id,
                      .by_id = rq->actor.account.id,
                      .public_id = hex_encode(rq->arena, id, sizeof id),
                      .state = RUN_OPEN,
                      .round = 1};
    TRY(settings_read(body, &run.settings, err));
    TRY(find_judge(rq, &run.settings, err));
    TRY(check_none_open(rq, err));
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, STR("refs/heads/main"), &main_branch, err));
    run.base = main_branch.commit;
    request_done_reading(rq);
    enum status status = model_open(rq->hub, rq->arena, &run, true, &model, err);
    if (status == OK && str_given(model.original) && run.settings.mode->cosign)
        status = fail(err, UNPROCESSABLE, "NoModel",
                      "The second house computes the model in float32: in this mode every tensor must be F32.");
    if (status == OK && run.settings.mode->prepare)
        status = run.settings.mode->prepare(rq->hub, rq->arena, &run, err);
    if (status == OK)
        status = db_write(rq->hub->db, insert_run, &run, err);
    if (status != OK) {
        run_files_remove(rq->hub->federate, &run);
        return status;
    }
    write_run(rq, &run);
    return OK;
}

static enum status stop_run(struct db_conn *tx, void *context, struct error *err)
{
    const struct run *run = context;
    return run_end(tx, run, RUN_STOPPED, STR("It was stopped by who administers the repo."), run->by_id, err);
}

/* DELETE /api/{api}/federate */
enum status run_stop(struct request *rq, struct error *err)
{
    struct run run;
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    run.by_id = rq->actor.account.id;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, stop_run, &run, err));
    waits_changed(&rq->hub->federate->waits);
    run.round = INT64_MAX; /* all that is there */
    run_files_remove(rq->hub->federate, &run);
    request_reply_empty(rq);
    return OK;
}

/* GET /api/{api}/federate */
enum status run_status(struct request *rq, struct error *err)
{
    struct run run;
    int64_t participants;
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    TRY(participant_count(rq->db, run.id, &participants, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "state", run_state_name(run.state));
    jw_key_int(&w, "round", run.round);
    jw_key_int(&w, "participants", participants);
    jw_key_int(&w, "accepted", run.accepted);
    jw_key_int(&w, "rejected", run.rejected);
    jw_key(&w, "epsilon");
    if (run.settings.noise > 0)
        jw_raw(&w, arena_printf(rq->arena, "%.6f", settings_epsilon(&run.settings, run_rounds_done(&run))));
    else
        jw_null(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Participants. */

struct joining {
    const struct run *run;
    int64_t account_id;
};

static enum status join(struct db_conn *tx, void *context, struct error *err)
{
    const struct joining *joining = context;
    return participant_add(tx, joining->run->id, joining->account_id, err);
}

enum status run_join_as(struct request *rq, const struct run *run, struct error *err)
{
    struct joining joining = {run, rq->actor.account.id};
    return db_write(rq->hub->db, join, &joining, err);
}

/* POST /api/{api}/federate/join: again as often as one likes. */
enum status run_join(struct request *rq, struct error *err)
{
    struct run run;
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    if (run.state != RUN_OPEN)
        return fail(err, CONFLICT, "RunIsOver", "This federated training is over.");
    request_done_reading(rq);
    TRY(run_join_as(rq, &run, err));
    write_run(rq, &run);
    return OK;
}

/* How a round stands for a participant. */
struct standing {
    struct run run;
    struct participant who;
    struct update update;
    bool closing; /* nothing can be sent now */
};

static enum status find_standing(struct request *rq, struct standing *out, struct error *err)
{
    const struct run *run = &out->run;
    bool ready = true;
    TRY(request_read(rq, err));
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &out->run, err));
    TRY(update_find(rq->db, run, rq->actor.account.id, &out->update, err));
    TRY(participant_find(rq->db, run->id, rq->actor.account.id, &out->who, err));
    if (run->settings.mode->is_ready)
        TRY(run->settings.mode->is_ready(rq->db, run, &ready, err));
    out->closing = run->frozen_us != 0 || !ready;
    return OK;
}

/* Where nobody is waited for, whoever has trained this model waits for the next. */
static bool has_nothing_to_do(const struct standing *s)
{
    bool has_sent = s->run.settings.buffers ? s->who.based >= s->run.round : s->update.state == UPDATE_ACCEPTED;
    return s->run.state == RUN_OPEN && (s->closing || has_sent);
}

/* With wait=true, as it is once there is something to do, or after some time; of one moment in any case. */
static enum status await_standing(struct request *rq, struct standing *out, struct error *err)
{
    struct waits *others = &rq->hub->federate->waits;
    int64_t until = monotonic_us() + WAIT_US;
    bool waits = request_query_true(rq, "wait");
    for (;;) {
        uint64_t seen = waits_seen(others);
        TRY(find_standing(rq, out, err));
        if (!waits || !has_nothing_to_do(out))
            return OK;
        request_done_reading(rq);
        waits = waits_for_change(others, rq->http, seen, until);
    }
}

static void write_own(struct request *rq, const struct standing *s, struct json_writer *w)
{
    struct run from = s->run;
    struct stat about;
    char path[4096];
    bool buffers = from.settings.buffers;
    enum update_state state = s->update.state;
    if (buffers && !str_to_i64(request_query(rq, "from", 0), &from.round))
        from.round = s->run.round;
    update_path(rq->hub->federate, &from, rq->actor.account.id, path);
    bool there = (buffers ? s->who.based < from.round : state != UPDATE_ACCEPTED) && stat(path, &about) == 0;
    jw_key(w, "update");
    jw_object(w);
    jw_key_str(w, "state",
               state == UPDATE_ACCEPTED   ? STR("accepted")
               : state == UPDATE_REJECTED ? STR("rejected")
                                          : STR("awaited"));
    jw_key_int(w, "received", there ? about.st_size : 0);
    if (buffers)
        jw_key_int(w, "from", s->who.based);
    jw_end(w);
}

/* GET /api/{api}/federate/round: the round under way, and what the participant has sent for it; with buffers and from=N, of the update
 * that is made of round N's model. With wait=true it is answered when there is something to do for the participant. */
enum status round_get(struct request *rq, struct error *err)
{
    struct standing standing;
    const struct run *run = &standing.run;
    char path[4096];
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(await_standing(rq, &standing, err));
    jw_object(&w);
    jw_key_str(&w, "run", run->public_id);
    jw_key_str(&w, "state", run_state_name(run->state));
    if (run->why.len)
        jw_key_str(&w, "why", run->why);
    jw_key_int(&w, "round", run->round);
    jw_key_str(&w, "base", oid_hex(rq->arena, &run->base));
    jw_key_str(&w, "model", STR(MODEL_PATH));
    jw_key_bool(&w, "closing", standing.closing);
    settings_write(&run->settings, &w);
    if (run->settings.buffers)
        jw_key_bool(&w, "buffered", true);
    if (run->settings.scaffold) {
        jw_key_bool(&w, "scaffold", true);
        kept_path(rq->hub->federate, run, run->round, KEPT_CONTROL, path);
        jw_key_bool(&w, "control", access(path, R_OK) == 0); /* otherwise it is zero */
    }
    if (run->settings.mode->tell)
        TRY(run->settings.mode->tell(rq, run, &w, err));
    write_own(rq, &standing, &w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
