/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mode "plain": the hub sees each update, as a model of its own. */
#include "federate/internal.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>

static enum status thaw(struct db_conn *tx, void *context, struct error *err)
{
    const struct closing *c = context;
    int64_t *missing = arena_array(c->arena, c->count, sizeof *missing);
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->rows.fds[i] < 0)
            missing[count++] = c->updates[i].account_id;
    return round_thaw(tx, &c->run, missing, count, err);
}

/* The models that buffered updates were trained from, each once; what is older counts for less. */
static enum status find_origins(struct closing *c, struct error *err)
{
    const struct run *run = &c->run;
    struct run from;
    auto_conn struct db_conn *conn = NULL;
    rows_from_origins(&c->rows, c->arena, STALENESS_MOST + 1);
    for (size_t i = 0; i < c->count; i++) {
        int64_t behind = run->round - c->updates[i].based;
        struct model *origin = &c->rows.origins[behind];
        c->rows.origin_of[i] = (size_t)behind;
        c->rows.scales[i] = 1 / sqrt(1 + (double)behind);
        c->rows.weights[i] = 1;
        if (origin->fd >= 0)
            continue;
        TRY(db_reader(c->hub->db, &conn, err));
        TRY(run_as_of(conn, run, c->updates[i].based, &from, err));
        db_release(&conn);
        TRY(model_open(c->hub, c->arena, &from, false, origin, err));
    }
    return OK;
}

/* Of a hub put together from a backup, files of a round under way are not there: who sent them sends them again. */
static enum status gather(struct closing *c, struct error *err)
{
    char path[4096];
    bool missing = false;
    struct run from = c->run;
    rows_make(&c->rows, c->arena, c->count);
    c->rows.hub_adds_noise = c->run.settings.noise > 0;
    for (size_t i = 0; i < c->count; i++) {
        from.round = c->updates[i].based;
        update_path(c->hub->federate, &from, c->updates[i].account_id, path);
        c->rows.fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        c->rows.at[i] = c->updates[i].data_at;
        int64_t most = c->run.settings.most_examples, examples = c->updates[i].examples;
        c->rows.weights[i] = (double)(most && examples > most ? most : examples);
        missing |= c->rows.fds[i] < 0;
    }
    if (!missing)
        return c->run.settings.buffers ? find_origins(c, err) : OK;
    TRY(db_write(c->hub->db, thaw, c, err));
    return fail(err, UNAVAILABLE, NULL, "Updates of round %lld are not there any more; they are asked for again.",
                (long long)c->run.round);
}

/* What was sent is there by its BLAKE3, in the order in which it was summed. */
static void record(const struct closing *c, struct json_writer *w)
{
    char norm[40];
    jw_key(w, "updates");
    jw_array(w);
    for (size_t i = 0; i < c->count; i++) {
        jw_object(w);
        jw_key_hex(w, "blake3", c->updates[i].digest, BLAKE3_SIZE);
        jw_key_int(w, "examples", c->updates[i].examples);
        if (c->run.settings.buffers)
            jw_key_int(w, "from", c->updates[i].based);
        snprintf(norm, sizeof norm, "%.9g", c->updates[i].norm);
        jw_key(w, "norm");
        jw_raw(w, str_of(norm));
        jw_end(w);
    }
    jw_end(w);
}

/* What one participant can change of the sum is known for the plain mean alone, and only with a bound. */
static enum status check(struct settings *settings, struct error *err)
{
    if (str_given(settings->house))
        return fail(err, INVALID, NULL, "The mode plain has no second house.");
    if (settings->noise <= 0 || (settings->bound > 0 && settings->how.rule == ROBUST_MEAN && !settings->how.mix &&
                                 !settings->how.bucket && !settings->candidate_count))
        return OK;
    return fail(err, INVALID, NULL,
                "\"noise\" needs a \"bound\", and the rule mean: only then is it known what it hides.");
}

const struct mode plain_mode = {
    .name = {"plain", 5}, .sees_updates = true, .check = check, .gather = gather, .record = record};
