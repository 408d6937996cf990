/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a round: from the updates that were accepted to the commit. All that goes into it stands in the database and in
 * files before it begins, so that it can be broken off anywhere and done again with the same commit at its end.
 */
#include "base/log.h"
#include "federate/internal.h"
#include "privacy/gauss.h"
#include "use/use.h"
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

struct closing {
    struct hub *hub;
    struct arena *arena;
    struct run run;
    struct repo repo;
    struct model base;
    struct update *updates;
    size_t count;
    int *fds; /* of the updates */
    struct robust_how how;
    double step;               /* of the grid on which noise is added; 0: none is */
    int64_t noise_sigma;       /* in such steps */
    int moments, next_moments; /* of the optimiser: from the round before, and for the next one; -1: none */
    int out;                   /* the new model */
    uint8_t sha256[SHA256_SIZE];
    struct str record;
    struct oid commit, head;
};

/* The files. */

void round_files_remove(const struct federate *federate, const struct run *run)
{
    char folder[4096], path[4096 + 300];
    snprintf(folder, sizeof folder, "%s/%.*s", federate->folder, STR_ARG(run->public_id));
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (atoll(entry->d_name) <= run->round)
            unlink(path);
    }
    closedir(entries);
    rmdir(folder); /* when it is empty */
}

static enum status thaw(struct db_conn *tx, void *context, struct error *err)
{
    const struct closing *c = context;
    int64_t *missing = arena_array(c->arena, c->count, sizeof *missing);
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->fds[i] < 0)
            missing[count++] = c->updates[i].account_id;
    return round_thaw(tx, &c->run, missing, count, err);
}

/* Of a hub put together from a backup, files of a round under way are not there: who sent them sends them again. */
static enum status open_updates(struct closing *c, struct error *err)
{
    char path[4096];
    bool missing = false;
    c->fds = arena_array(c->arena, c->count, sizeof *c->fds);
    for (size_t i = 0; i < c->count; i++) {
        update_path(c->hub->federate, &c->run, c->updates[i].account_id, path);
        c->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        missing |= c->fds[i] < 0;
    }
    if (!missing)
        return OK;
    TRY(db_write(c->hub->db, thaw, c, err));
    return fail(err, UNAVAILABLE, NULL, "Updates of round %lld are not there any more; they are asked for again.",
                (long long)c->run.round);
}

/* The new model. */

static enum status read_row(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct closing *c = context;
    bool is_base = row == c->count;
    int64_t start = is_base ? c->base.data_at : c->updates[row].data_at;
    return pread_full(is_base ? c->base.fd : c->fds[row], out, count * sizeof *out, start + at * (int64_t)sizeof *out,
                      err);
}

/*
 * Noise is added on a grid of steps so fine that its standard deviation is some 2^20 of them. The differences are rounded to
 * it, which makes them longer by half a step in each number at most; the noise is larger by as much. Sums of whole
 * numbers are exact, so nothing but the noise decides the last bits.
 */
#define NOISE_STEPS (1 << 20)

static void plan_noise(struct closing *c)
{
    const struct settings *settings = &c->run.settings;
    if (settings->noise <= 0)
        return;
    c->step = settings->bound * settings->noise / NOISE_STEPS;
    double reach = settings->bound * BOUND_SLACK / c->step + sqrt((double)c->base.width) / 2;
    c->noise_sigma = (int64_t)ceil(settings->noise * reach);
}

/* A row as whole steps. */
static enum status read_steps(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct closing *c = context;
    float base[ROBUST_PIECE_MOST];
    TRY(read_row(context, row, at, count, out, err));
    TRY(read_row(context, c->count, at, count, base, err));
    for (size_t i = 0; i < count; i++)
        out[i] = (float)rint((double)(out[i] - base[i]) / c->step);
    return OK;
}

/* From the mean of the steps to that of the differences, with noise on the sum. Each piece has a stream of noise of its own,
 * called by where it begins. */
static void add_noise(const struct closing *c, int64_t at, size_t count, const double *steps, double *out)
{
    int64_t noise[ROBUST_PIECE_MOST];
    double updates = (double)c->count;
    gauss_fill(c->run.noise_seed, (uint64_t)at, c->noise_sigma, noise, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (double)(llround(steps[i] * updates) + noise[i]) * c->step / updates;
}

/*
 * The moments of an adaptive optimiser are two doubles for each number, in a file that is called by the round which goes on from it:
 * so a round that is computed again goes on from the same. Of a hub put together from a backup they begin anew.
 */
static struct str moments_path(const struct closing *c, int64_t round)
{
    return arena_printf(c->arena, "%s/%.*s/%lld-moments", c->hub->federate->folder, STR_ARG(c->run.public_id),
                        (long long)round);
}

static enum status open_moments(struct closing *c, struct error *err)
{
    if (!optimiser_keeps_moments(&c->run.settings.optimiser))
        return OK;
    struct str path = arena_printf(c->arena, "%.*s.new", STR_ARG(moments_path(c, c->run.round + 1)));
    c->moments = open(moments_path(c, c->run.round).data, O_RDONLY | O_CLOEXEC);
    c->next_moments = open(path.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return c->next_moments < 0 ? fail_errno(err, path.data) : OK;
}

static enum status keep_moments(struct closing *c, struct error *err)
{
    struct str path = moments_path(c, c->run.round + 1);
    if (c->next_moments < 0)
        return OK;
    if (fdatasync(c->next_moments) != 0 ||
        rename(arena_printf(c->arena, "%.*s.new", STR_ARG(path)).data, path.data) != 0)
        return fail_errno(err, path.data);
    return OK;
}

static enum status optimise(const struct closing *c, int64_t at, size_t count, double *change, struct error *err)
{
    const struct optimiser *optimiser = &c->run.settings.optimiser;
    double moments[2][ROBUST_PIECE_MOST];
    int64_t start = 2 * at * (int64_t)sizeof(double), size = (int64_t)(count * sizeof(double));
    if (!optimiser_keeps_moments(optimiser)) {
        optimiser_step(optimiser, c->run.round, count, change, NULL, NULL);
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        moments[0][i] = 0;
        moments[1][i] = optimiser_first_moment(optimiser);
    }
    for (int i = 0; i < 2 && c->moments >= 0; i++)
        TRY(pread_full(c->moments, moments[i], (size_t)size, start + i * size, err));
    optimiser_step(optimiser, c->run.round, count, change, moments[0], moments[1]);
    for (int i = 0; i < 2; i++)
        TRY(pwrite_full(c->next_moments, moments[i], (size_t)size, start + i * size, err));
    return OK;
}

static enum status write_row(void *context, int64_t at, size_t count, const double *values, struct error *err)
{
    const struct closing *c = context;
    float model[ROBUST_PIECE_MOST];
    double change[ROBUST_PIECE_MOST];
    TRY(read_row(context, c->count, at, count, model, err));
    if (c->noise_sigma)
        add_noise(c, at, count, values, change);
    else
        memcpy(change, values, count * sizeof *change);
    TRY(optimise(c, at, count, change, err));
    for (size_t i = 0; i < count; i++)
        model[i] = (float)((double)model[i] + change[i]);
    return pwrite_full(c->out, model, count * sizeof *model, c->base.data_at + at * (int64_t)sizeof *model, err);
}

static enum status aggregate(struct closing *c, struct error *err)
{
    double *weights = arena_array(c->arena, c->count, sizeof *weights);
    for (size_t i = 0; i < c->count; i++)
        weights[i] = (double)c->updates[i].examples;
    plan_noise(c);
    /* With noise, each weighs the same: what one can change of the sum must not hang on what it says of itself. */
    const struct robust_rows rows = {.count = c->count,
                                     .width = c->base.width,
                                     .weights = c->noise_sigma ? NULL : weights,
                                     .read = c->noise_sigma ? read_steps : read_row,
                                     .context = c,
                                     .has_origin = c->noise_sigma == 0};
    const struct robust_sink sink = {write_row, c};
    c->how = settings_how(&c->run.settings, c->count);
    TRY(open_moments(c, err));
    TRY(store_scratch(c->hub->store, &c->out, err));
    TRY(pwrite_full(c->out, c->base.head.data, c->base.head.len, 0, err));
    return robust_aggregate(&rows, &c->how, &sink, err);
}

typedef enum status piece_fn(void *context, const void *data, size_t len, struct error *err);

static enum status each_piece(int fd, int64_t size, piece_fn *fn, void *context, struct error *err)
{
    auto_buf struct buf piece = {0};
    buf_reserve(&piece, PIECE);
    for (int64_t at = 0; at < size; at += (int64_t)PIECE) {
        size_t len = (uint64_t)(size - at) < PIECE ? (size_t)(size - at) : PIECE;
        TRY(pread_full(fd, piece.data, len, at, err));
        TRY(fn(context, piece.data, len, err));
    }
    return OK;
}

static enum status hash_piece(void *context, const void *data, size_t len, struct error *err)
{
    (void)err;
    hasher_add(context, data, len);
    return OK;
}

static enum status keep_piece(void *context, const void *data, size_t len, struct error *err)
{
    return receipt_write(context, data, len, err);
}

static enum status keep_model(struct closing *c, struct error *err)
{
    auto_receipt struct receipt *receipt = NULL;
    struct hasher *hasher = hasher_sha256();
    enum status status = each_piece(c->out, c->base.size, hash_piece, hasher, err);
    hasher_end(hasher, c->sha256);
    hasher_free(hasher);
    TRY(status);
    TRY(receipt_open(c->hub->store, &receipt, err));
    TRY(each_piece(c->out, c->base.size, keep_piece, receipt, err));
    return receipt_keep(&receipt, c->run.repo_id, c->sha256, c->base.size, err);
}

/* The record. It names nobody: what was sent is there by its SHA-256, in the order in which it was summed. */
static void write_record(struct closing *c)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    char norm[40];
    jw_object(&w);
    jw_key_str(&w, "run", c->run.public_id);
    jw_key_int(&w, "round", c->run.round);
    jw_key_str(&w, "base", oid_hex(c->arena, &c->run.base));
    jw_key_str(&w, "baseModel", c->base.sha256);
    jw_key_hex(&w, "model", c->sha256, SHA256_SIZE);
    settings_write(&c->run.settings, &w);
    jw_key_int(&w, "suspects", (int64_t)c->how.suspects);
    if (c->noise_sigma) {
        jw_key(&w, "epsilon");
        jw_raw(&w, arena_printf(c->arena, "%.6f", settings_epsilon(&c->run.settings, c->run.round)));
    }
    jw_key_int(&w, "accepted", (int64_t)c->count);
    jw_key_int(&w, "rejected", c->run.round_rejected);
    jw_key(&w, "updates");
    jw_array(&w);
    for (size_t i = 0; i < c->count; i++) {
        jw_object(&w);
        jw_key_hex(&w, "sha256", c->updates[i].sha256, SHA256_SIZE);
        jw_key_int(&w, "examples", c->updates[i].examples);
        snprintf(norm, sizeof norm, "%.9g", c->updates[i].norm);
        jw_key(&w, "norm");
        jw_raw(&w, str_of(norm));
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    buf_byte(&body, '\n');
    c->record = arena_copy(c->arena, buf_view(&body));
}

/* The commit. */

static enum status append_round(struct db_conn *tx, const struct closing *c, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    uint8_t digest[SHA256_SIZE];
    sha256(c->record, digest);
    jw_object(&w);
    jw_key_int(&w, "accepted", (int64_t)c->count);
    jw_key_str(&w, "base", c->base.sha256);
    jw_key_str(&w, "commit", oid_hex(c->arena, &c->commit));
    jw_key_str(&w, "mode", STR("plain"));
    if (c->noise_sigma)
        jw_key_int(&w, "noise", llround(c->run.settings.noise * 1e6));
    jw_key_hex(&w, "record", digest, SHA256_SIZE);
    jw_key_int(&w, "rejected", c->run.round_rejected);
    jw_key_hex(&w, "result", c->sha256, SHA256_SIZE);
    jw_key_int(&w, "round", c->run.round);
    jw_key_str(&w, "rule", str_of(robust_rule_name(c->how.rule)));
    jw_key_str(&w, "run", c->run.public_id);
    jw_end(&w);
    const struct event event = {&federate_events[EVENT_ROUND], c->run.repo_id, c->run.by_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

/* In the write that moves main. */
static enum status also(struct db_conn *tx, void *context, struct error *err)
{
    const struct closing *c = context;
    TRY(append_round(tx, c, err));
    TRY(hold_if_gated(tx, &c->repo, c->run.by_id, &c->commit, true, err));
    return round_next(tx, &c->run, &c->commit, err);
}

/* Others may have committed other files to main meanwhile; another model there is not the one that was trained. */
static enum status find_head(struct closing *c, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct revision now;
    struct entry entry;
    uint8_t digest[SHA256_SIZE];
    TRY(db_reader(c->hub->db, &conn, err));
    TRY(revision_resolve(conn, c->arena, c->run.repo_id, STR("refs/heads/main"), &now, err));
    c->head = now.commit;
    enum status found = entry_find(conn, c->arena, c->run.repo_id, &c->head, STR(MODEL_PATH), false, &entry, err);
    if (found == OK && !entry.is_folder) {
        TRY(entry_sha256(conn, c->run.repo_id, &entry, digest, err));
        if (str_eq(hex_encode(c->arena, digest, sizeof digest), c->base.sha256))
            return OK;
    } else if (found != OK && found != NOT_FOUND) {
        return found;
    }
    return fail(err, UNPROCESSABLE, NULL,
                "Somebody has put another %s on main: what was trained does not belong to it.", MODEL_PATH);
}

static enum status commit_once(struct closing *c, struct error *err)
{
    auto_draft struct draft *draft = NULL;
    bool unchanged;
    TRY(find_head(c, err));
    struct draft_commit how = {
        .title = arena_printf(c->arena, "Federated round %lld", (long long)c->run.round),
        .author = {.name = STR("cairn"), .email = STR("cairn@users.noreply.cairn.invalid"), .at_us = c->run.frozen_us},
        .parent = &c->head};
    TRY(draft_new(c->hub->db, c->run.repo_id, &draft, err));
    TRY(draft_put_pointer(draft, STR(MODEL_PATH), c->sha256, c->base.size, err));
    TRY(draft_put(draft, arena_printf(c->arena, "fl/rounds/%06lld.json", (long long)c->run.round), c->record, err));
    TRY(draft_build(draft, c->arena, &how, &c->commit, &unchanged, err));
    if (unchanged) /* the record is new, unless somebody has foreseen it */
        return fail(err, UNPROCESSABLE, NULL, "The record of round %lld is on main already.", (long long)c->run.round);
    return draft_apply(draft, &c->repo, STR("refs/heads/main"), &c->head, c->run.by_id, also, c, err);
}

static enum status load(struct closing *c, int64_t run_id, bool *due, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(c->hub->db, &conn, err));
    TRY(run_get(conn, c->arena, run_id, &c->run, err));
    *due = c->run.state == RUN_OPEN && c->run.frozen_us != 0;
    if (!*due)
        return OK;
    TRY(repo_get(conn, c->arena, c->run.repo_id, &c->repo, err));
    return update_list(conn, c->arena, &c->run, &c->updates, &c->count, err);
}

static enum status make(struct closing *c, struct error *err)
{
    TRY(model_open(c->hub, c->arena, &c->run, false, &c->base, err));
    TRY(open_updates(c, err));
    TRY(aggregate(c, err));
    TRY(keep_moments(c, err));
    TRY(keep_model(c, err));
    write_record(c);
    enum status status = commit_once(c, err);
    for (int again = 0; status == STALE && again < 20; again++)
        status = commit_once(c, err);
    return status;
}

/* A round that can never be committed ends its run: participants are not kept working for nothing. */
struct ending {
    const struct run *run;
    struct str why;
};

static enum status end_run(struct db_conn *tx, void *context, struct error *err)
{
    const struct ending *ending = context;
    return run_end(tx, ending->run, RUN_STOPPED, ending->why, 0, err);
}

/* Those that no round goes on from. */
static void forget_last_moments(struct closing *c)
{
    auto_conn struct db_conn *conn = NULL;
    struct run after = {0};
    if (db_reader(c->hub->db, &conn, NULL) != OK || run_get(conn, c->arena, c->run.id, &after, NULL) != OK ||
        after.state == RUN_OPEN)
        return;
    c->run.round++;
    round_files_remove(c->hub->federate, &c->run);
}

static bool is_lasting(enum status status)
{
    return status == UNPROCESSABLE || status == FORBIDDEN || status == INVALID || status == NOT_FOUND;
}

static enum status close_run(struct hub *hub, int64_t run_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct closing c = {.hub = hub, .arena = &arena, .out = -1, .moments = -1, .next_moments = -1};
    struct error why = {0};
    bool due;
    TRY(load(&c, run_id, &due, err));
    if (!due)
        return OK;
    enum status status = make(&c, &why);
    for (size_t i = 0; c.fds && i < c.count; i++)
        fd_close(&c.fds[i]);
    fd_close(&c.out);
    fd_close(&c.moments);
    fd_close(&c.next_moments);
    model_close(&c.base);
    if (status == OK) {
        round_files_remove(hub->federate, &c.run);
        forget_last_moments(&c);
        return OK;
    }
    log_line("error", "federate", "Round %lld of %.*s: %s", (long long)c.run.round, STR_ARG(c.repo.full_name),
             why.message);
    if (is_lasting(status)) {
        const struct ending ending = {&c.run, str_of(why.message)};
        TRY(db_write(hub->db, end_run, (void *)&ending, err));
        round_files_remove(hub->federate, &c.run);
        return OK;
    }
    *err = why;
    return status;
}

static enum status is_due(struct hub *hub, int64_t run_id, bool *due, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct run run;
    TRY(db_reader(hub->db, &conn, err));
    TRY(run_get(conn, &arena, run_id, &run, err));
    *due = run.state == RUN_OPEN && run.frozen_us != 0;
    return OK;
}

enum status round_close(struct hub *hub, int64_t run_id, struct error *err)
{
    bool due;
    TRY(is_due(hub, run_id, &due, err));
    if (!due)
        return OK;
    pthread_mutex_lock(&hub->federate->closing);
    enum status status = close_run(hub, run_id, err);
    pthread_mutex_unlock(&hub->federate->closing);
    return status;
}

/* Folders that a crash has left behind: those of runs that are over, once nobody has touched them for an hour. */

#define LEFT_US (INT64_C(3600) * SECOND_US)

static const char open_sql[] = "SELECT 1 FROM federate_run WHERE public_id = ? AND state = 1";

static enum status sweep_one(struct hub *hub, struct str name, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    const struct run all = {.public_id = name, .round = INT64_MAX};
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_prepare(conn, open_sql, &row, err));
    stmt_bind_str(row, 1, name);
    bool is_open = stmt_next(row);
    TRY(stmt_end(row, err));
    if (!is_open)
        round_files_remove(hub->federate, &all);
    return OK;
}

enum status folders_job(struct hub *hub, struct error *err)
{
    enum status status = OK;
    char path[4096];
    struct stat about;
    DIR *entries = opendir(hub->federate->folder);
    if (!entries)
        return fail_errno(err, hub->federate->folder);
    for (struct dirent *entry; status == OK && (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", hub->federate->folder, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &about) == 0 && about.st_mtime * SECOND_US < now_us() - LEFT_US)
            status = sweep_one(hub, str_of(entry->d_name), err);
    }
    closedir(entries);
    return status;
}

/* The job. */

static const char waiting_sql[] = "SELECT id FROM federate_run WHERE state = 1 AND (frozen_us <> 0 OR (due_us <> 0 AND "
                                  "due_us <= ?)) AND id > ? ORDER BY "
                                  "id LIMIT 1";

static enum status next_waiting(struct db *db, int64_t after, int64_t *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, waiting_sql, &row, err));
    stmt_bind_int(row, 1, now_us());
    stmt_bind_int(row, 2, after);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status freeze(struct db_conn *tx, void *context, struct error *err)
{
    return round_freeze_if_due(tx, *(const int64_t *)context, now_us(), err);
}

enum status rounds_job(struct hub *hub, struct error *err)
{
    for (int64_t id = 0; !hub->stopping;) {
        struct error why = {0};
        TRY(next_waiting(hub->db, id, &id, err));
        if (id == 0)
            return OK;
        TRY(db_write(hub->db, freeze, &id, err));
        if (round_close(hub, id, &why) != OK)
            log_line("error", "federate", "A round is not closed yet: %s", why.message);
    }
    return OK;
}
