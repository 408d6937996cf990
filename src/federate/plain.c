/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mode "plain": the hub sees each update, as a model of its own. */
#include "federate/internal.h"
#include <fcntl.h>
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

/* Of a hub put together from a backup, files of a round under way are not there: who sent them sends them again. */
static enum status gather(struct closing *c, struct error *err)
{
    char path[4096];
    bool missing = false;
    rows_make(&c->rows, c->arena, c->count);
    c->rows.hub_adds_noise = c->run.settings.noise > 0;
    for (size_t i = 0; i < c->count; i++) {
        update_path(c->hub->federate, &c->run, c->updates[i].account_id, path);
        c->rows.fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        c->rows.at[i] = c->updates[i].data_at;
        c->rows.weights[i] = (double)c->updates[i].examples;
        missing |= c->rows.fds[i] < 0;
    }
    if (!missing)
        return OK;
    TRY(db_write(c->hub->db, thaw, c, err));
    return fail(err, UNAVAILABLE, NULL, "Updates of round %lld are not there any more; they are asked for again.",
                (long long)c->run.round);
}

/* What was sent is there by its SHA-256, in the order in which it was summed. */
static void record(const struct closing *c, struct json_writer *w)
{
    char norm[40];
    jw_key(w, "updates");
    jw_array(w);
    for (size_t i = 0; i < c->count; i++) {
        jw_object(w);
        jw_key_hex(w, "sha256", c->updates[i].sha256, SHA256_SIZE);
        jw_key_int(w, "examples", c->updates[i].examples);
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
    if (settings->noise <= 0 ||
        (settings->bound > 0 && settings->how.rule == ROBUST_MEAN && !settings->how.mix && !settings->how.bucket))
        return OK;
    return fail(err, INVALID, NULL,
                "\"noise\" needs a \"bound\", and the rule mean: only then is it known what it hides.");
}

const struct mode plain_mode = {.name = {"plain", 5}, .check = check, .gather = gather, .record = record};
