/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a run keeps from round to round beside its model, each in a file that is called by the round which goes on from it: so a round that
 * is computed again goes on from the same. Of a hub put together from a backup all of it begins anew.
 */
#include "federate/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static bool keeps_moments(const struct settings *settings)
{
    return optimiser_keeps_moments(&settings->optimiser);
}

static bool keeps_centre(const struct settings *settings)
{
    for (size_t i = 0; i < settings->candidate_count; i++)
        if (settings->candidates[i].how.rule == ROBUST_CENTRED_CLIPPING)
            return true;
    return settings->how.rule == ROBUST_CENTRED_CLIPPING;
}

static bool keeps_control(const struct settings *settings)
{
    return settings->scaffold;
}

static const struct {
    const char *name;
    bool (*is_kept)(const struct settings *settings);
} kinds[KEPT_KINDS] = {
    [KEPT_MOMENTS] = {"moments", keeps_moments},
    [KEPT_CENTRE] = {"centre", keeps_centre},
    [KEPT_CONTROL] = {"control", keeps_control},
};

void kept_path(const struct federate *federate, const struct run *run, int64_t round, enum kept kind, char out[4096])
{
    snprintf(out, 4096, "%s/%.*s/%lld-%s", federate->folder, STR_ARG(run->public_id), (long long)round,
             kinds[kind].name);
}

static struct str path_of(const struct closing *c, int64_t round, enum kept kind, const char *suffix)
{
    char path[4096];
    kept_path(c->hub->federate, &c->run, round, kind, path);
    return arena_printf(c->arena, "%s%s", path, suffix);
}

enum status kept_open(const struct closing *c, struct aggregation *of, struct error *err)
{
    for (int kind = 0; kind < KEPT_KINDS; kind++) {
        of->kept[kind].now = of->kept[kind].next = -1;
        if (!kinds[kind].is_kept(&c->run.settings))
            continue;
        struct str next = path_of(c, c->run.round + 1, (enum kept)kind, ".new");
        of->kept[kind].now = open(path_of(c, c->run.round, (enum kept)kind, "").data, O_RDONLY | O_CLOEXEC);
        of->kept[kind].next = open(next.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (of->kept[kind].next < 0)
            return fail_errno(err, next.data);
    }
    return OK;
}

enum status kept_keep(const struct closing *c, const struct aggregation *of, struct error *err)
{
    for (int kind = 0; kind < KEPT_KINDS; kind++) {
        struct str path = path_of(c, c->run.round + 1, (enum kept)kind, "");
        if (of->kept[kind].next < 0)
            continue;
        if (fdatasync(of->kept[kind].next) != 0 ||
            rename(path_of(c, c->run.round + 1, (enum kept)kind, ".new").data, path.data) != 0)
            return fail_errno(err, path.data);
    }
    return OK;
}

void kept_close(struct aggregation *of)
{
    for (int kind = 0; kind < KEPT_KINDS; kind++) {
        fd_close(&of->kept[kind].now);
        fd_close(&of->kept[kind].next);
    }
}

/* GET /api/{api}/federate/control?round=N&offset=N: SCAFFOLD's control variate of the run, a safetensors file like the model. */
enum status control_get(struct request *rq, struct error *err)
{
    struct run run;
    char path[4096];
    int64_t round;
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    if (!str_to_i64(request_query(rq, "round", 0), &round) || round != run.round || run.state != RUN_OPEN)
        return fail(err, CONFLICT, "RoundOver", "Say in the address which round it is, \"round\"; it is %lld now.",
                    (long long)run.round);
    kept_path(rq->hub->federate, &run, round, KEPT_CONTROL, path);
    return reply_piece(rq, path, err);
}
