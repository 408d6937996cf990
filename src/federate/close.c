/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a round: from the updates that were accepted to the commit. All that goes into it stands in the database and in
 * files before it begins, so that it can be broken off anywhere and done again with the same commit at its end.
 */
#include "base/log.h"
#include "federate/internal.h"
#include "use/use.h"
#include <blake3.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

/* The files. */

static void files_remove(const char *folder, int64_t last_round)
{
    char path[4096 + 300];
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (atoll(entry->d_name) <= last_round)
            unlink(path);
    }
    closedir(entries);
}

static void folder_of(const struct federate *federate, const struct run *run, char out[4096])
{
    snprintf(out, 4096, "%s/%.*s", federate->folder, STR_ARG(run->public_id));
}

void round_files_remove(const struct federate *federate, const struct run *run)
{
    char folder[4096];
    folder_of(federate, run, folder);
    files_remove(folder, run->round);
}

void run_files_remove(const struct federate *federate, const struct run *run)
{
    char folder[4096];
    folder_of(federate, run, folder);
    files_remove(folder, INT64_MAX);
    rmdir(folder);
}

enum status run_check_files(const struct federate *federate, struct db_conn *conn, const struct run *run,
                            struct error *err)
{
    auto_arena struct arena arena = {0};
    struct run now;
    TRY(run_get(conn, &arena, run->id, &now, err));
    if (now.state == RUN_OPEN)
        return OK;
    run_files_remove(federate, run);
    return fail(err, CONFLICT, "RoundOver", "The training is over: it takes no updates any more.");
}

/* The new model. */

static enum status run_aggregation(struct closing *c, struct aggregation *of, bool keeps, struct error *err)
{
    TRY(kept_open(c, of, err));
    TRY(aggregate(of, err));
    return keeps ? kept_keep(c, of, err) : OK;
}

enum status closing_aggregate(struct closing *c, size_t candidate, int out, bool keeps, struct error *err)
{
    struct aggregation of = {.settings = &c->run.settings,
                             .candidate = candidate,
                             .round = c->run.round,
                             .rows = &c->rows,
                             .base = &c->base,
                             .noise_seed = c->rows.hub_adds_noise ? c->run.noise_seed : NULL,
                             .order = c->order,
                             .share = (double)c->count / (double)(c->participants ? c->participants : 1),
                             .out = out};
    enum status status = run_aggregation(c, &of, keeps, err);
    kept_close(&of);
    return status;
}

size_t closing_chosen(const struct closing *c)
{
    return c->run.chosen ? (size_t)c->run.chosen - 1 : 0;
}

/* Numbers that were trained as F32 go back to what they are on main. */
static enum status restore_model(struct closing *c, struct error *err)
{
    auto_fd int form = c->out;
    c->out = -1;
    TRY(store_scratch(c->hub->store, &c->out, err));
    return model_restore(&c->base, form, c->out, &c->size, err);
}

static enum status make_model(struct closing *c, struct error *err)
{
    TRY(store_scratch(c->hub->store, &c->out, err));
    TRY(closing_aggregate(c, closing_chosen(c), c->out, true, err));
    c->size = c->base.size;
    return str_given(c->base.original) ? restore_model(c, err) : OK;
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

struct digests {
    struct hasher *sha256;
    blake3_hasher blake3;
};

static enum status hash_piece(void *context, const void *data, size_t len, struct error *err)
{
    struct digests *digests = context;
    (void)err;
    hasher_add(digests->sha256, data, len);
    blake3_hasher_update(&digests->blake3, data, len);
    return OK;
}

static enum status keep_piece(void *context, const void *data, size_t len, struct error *err)
{
    return receipt_write(context, data, len, err);
}

static enum status keep_model(struct closing *c, struct error *err)
{
    auto_receipt struct receipt *receipt = NULL;
    struct digests digests = {.sha256 = hasher_sha256()};
    blake3_hasher_init(&digests.blake3);
    enum status status = each_piece(c->out, c->size, hash_piece, &digests, err);
    hasher_end(digests.sha256, c->sha256);
    hasher_free(digests.sha256);
    blake3_hasher_finalize(&digests.blake3, c->blake3, BLAKE3_SIZE);
    TRY(status);
    TRY(receipt_open(c->hub->store, &receipt, err));
    TRY(each_piece(c->out, c->size, keep_piece, receipt, err));
    return receipt_keep(&receipt, c->run.repo_id, c->sha256, c->size, err);
}

/* The record. It names nobody. */
void round_write_record(struct closing *c)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "run", c->run.public_id);
    jw_key_int(&w, "round", c->run.round);
    jw_key_str(&w, "base", oid_hex(c->arena, &c->run.base));
    jw_key_str(&w, "baseModel", c->base.sha256);
    jw_key_hex(&w, "model", c->sha256, SHA256_SIZE);
    settings_write(&c->run.settings, &w);
    jw_key_int(&w, "suspects", (int64_t)settings_how_of(&c->run.settings, closing_chosen(c), c->rows.count).suspects);
    if (c->run.settings.noise > 0) {
        jw_key(&w, "epsilon");
        jw_raw(&w, arena_printf(c->arena, "%.6f", settings_epsilon(&c->run.settings, c->run.round)));
    }
    if (c->run.settings.scaffold)
        jw_key_int(&w, "participants", c->participants);
    jw_key_int(&w, "accepted", (int64_t)c->count);
    jw_key_int(&w, "rejected", c->run.round_rejected);
    if (settings_how_of(&c->run.settings, closing_chosen(c), c->rows.count).bucket && c->order)
        jw_key_hex(&w, "orderSeed", c->run.order_seed, sizeof c->run.order_seed);
    race_record(c, &w);
    suspicion_record(c, &w);
    c->run.settings.mode->record(c, &w);
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
    jw_key_hex(&w, "blake3", c->blake3, BLAKE3_SIZE);
    jw_key_str(&w, "commit", oid_hex(c->arena, &c->commit));
    jw_key_str(&w, "mode", c->run.settings.mode->name);
    if (c->run.settings.noise > 0)
        jw_key_int(&w, "noise", llround(c->run.settings.noise * 1e6));
    jw_key_hex(&w, "record", digest, SHA256_SIZE);
    jw_key_int(&w, "rejected", c->run.round_rejected);
    jw_key_hex(&w, "result", c->sha256, SHA256_SIZE);
    jw_key_int(&w, "round", c->run.round);
    jw_key_str(&w, "rule",
               str_of(robust_rule_name(settings_how_of(&c->run.settings, closing_chosen(c), c->rows.count).rule)));
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
    TRY(suspicion_store(tx, c, err));
    if (c->run.settings.mode->also)
        TRY(c->run.settings.mode->also(tx, c, err));
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
    TRY(draft_put_pointer(draft, STR(MODEL_PATH), c->sha256, c->size, err));
    TRY(draft_put(draft, arena_printf(c->arena, "fl/rounds/%06lld.json", (long long)c->run.round), c->record, err));
    if (str_given(c->signatures))
        TRY(draft_put(draft, arena_printf(c->arena, "fl/rounds/%06lld.signatures.json", (long long)c->run.round),
                      c->signatures, err));
    TRY(draft_build(draft, c->arena, &how, &c->commit, &unchanged, err));
    if (unchanged) /* the record is new, unless somebody has foreseen it */
        return fail(err, UNPROCESSABLE, NULL, "The record of round %lld is on main already.", (long long)c->run.round);
    return draft_apply(draft, &c->repo, STR("refs/heads/main"), &c->head, c->run.by_id, also, c, err);
}

static bool run_is_due(const struct run *run)
{
    return run->state == RUN_OPEN && run->frozen_us != 0 && !run_awaits_judge(run);
}

static enum status load(struct closing *c, int64_t run_id, bool *due, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(c->hub->db, &conn, err));
    TRY(run_get(conn, c->arena, run_id, &c->run, err));
    *due = run_is_due(&c->run);
    if (!*due)
        return OK;
    TRY(repo_get(conn, c->arena, c->run.repo_id, &c->repo, err));
    TRY(participant_count_at(conn, &c->run, &c->participants, err));
    return update_list(conn, c->arena, &c->run, &c->updates, &c->count, err);
}

static enum status compute(struct closing *c, bool *waits, struct error *err)
{
    TRY(race_run(c, waits, err));
    if (*waits)
        return OK;
    TRY(make_model(c, err));
    TRY(suspicion_weigh(c, closing_chosen(c), err));
    return keep_model(c, err);
}

/* That takes both processors, so it is done for one run at a time; modes that do not work apart hold the lock all along (round_close). */
static enum status compute_alone(struct closing *c, bool *waits, struct error *err)
{
    bool apart = c->run.settings.mode->apart;
    if (apart)
        pthread_mutex_lock(&c->hub->federate->closing);
    enum status status = compute(c, waits, err);
    if (apart)
        pthread_mutex_unlock(&c->hub->federate->closing);
    return status;
}

static enum status make(struct closing *c, bool *waits, struct error *err)
{
    const struct mode *mode = c->run.settings.mode;
    TRY(model_open(c->hub, c->arena, &c->run, false, &c->base, err));
    TRY(mode->gather(c, err));
    if (mode->sees_updates) {
        c->order = arena_array(c->arena, c->rows.count, sizeof *c->order);
        order_draw(c->run.order_seed, c->rows.count, c->order);
    }
    TRY(compute_alone(c, waits, err));
    if (*waits)
        return OK;
    round_write_record(c);
    if (mode->cosign)
        TRY(mode->cosign(c, err));
    enum status status = commit_once(c, err);
    for (int again = 0; status == STALE && again < 20; again++)
        status = commit_once(c, err);
    return status;
}

/* A round that can never be committed ends its run: participants are not kept working for nothing. */
struct ending {
    const struct run *run;
    const char *why;
};

static enum status end_run(struct db_conn *tx, void *context, struct error *err)
{
    const struct ending *ending = context;
    return run_end(tx, ending->run, RUN_STOPPED, str_of(ending->why), 0, err);
}

bool round_ends_run(struct hub *hub, const struct run *run, const struct error *why, enum status *status,
                    struct error *err)
{
    const struct ending ending = {run, why->message};
    if (why->status != UNPROCESSABLE && why->status != FORBIDDEN && why->status != INVALID && why->status != NOT_FOUND)
        return false;
    log_line("error", "federate", "Round %lld of the run %.*s: %s", (long long)run->round, STR_ARG(run->public_id),
             why->message);
    *status = db_write(hub->db, end_run, (void *)&ending, err);
    waits_changed(&hub->federate->waits);
    return true;
}

/* Files of a buffer's updates are called by the last round that could have taken them. */
static void remove_buffered(const struct closing *c)
{
    struct run from = c->run;
    char path[4096];
    for (size_t i = 0; c->run.settings.buffers && i < c->count; i++) {
        from.round = c->updates[i].based;
        update_path(c->hub->federate, &from, c->updates[i].account_id, path);
        unlink(path);
    }
}

/* Of a run that is over, nothing is needed any more. */
static void forget_run(struct closing *c)
{
    auto_conn struct db_conn *conn = NULL;
    struct run after = {0};
    if (db_reader(c->hub->db, &conn, NULL) != OK || run_get(conn, c->arena, c->run.id, &after, NULL) != OK ||
        after.state == RUN_OPEN)
        return;
    run_files_remove(c->hub->federate, &c->run);
}

enum status round_close_now(struct hub *hub, int64_t run_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct closing c = {.hub = hub, .arena = &arena, .out = -1};
    struct error why = {0};
    bool due, waits = false;
    TRY(load(&c, run_id, &due, err));
    if (!due)
        return OK;
    enum status status = make(&c, &waits, &why);
    waits_changed(&hub->federate->waits);
    rows_close(&c.rows);
    fd_close(&c.out);
    model_close(&c.base);
    if (status == OK && waits)
        return OK;
    if (status == OK) {
        remove_buffered(&c);
        round_files_remove(hub->federate, &c.run);
        forget_run(&c);
        return OK;
    }
    if (round_ends_run(hub, &c.run, &why, &status, err)) {
        TRY(status);
        forget_run(&c);
        return OK;
    }
    *err = why;
    return status;
}

static enum status is_due(struct hub *hub, int64_t run_id, bool *due, bool *apart, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct run run;
    TRY(db_reader(hub->db, &conn, err));
    TRY(run_get(conn, &arena, run_id, &run, err));
    bool ready = true;
    *apart = run.settings.mode->apart;
    if (*apart)
        TRY(run.settings.mode->is_ready(conn, &run, &ready, err));
    *due = run_is_due(&run) || (run.state == RUN_OPEN && !ready);
    return OK;
}

enum status round_close(struct hub *hub, int64_t run_id, struct error *err)
{
    bool due, apart;
    TRY(is_due(hub, run_id, &due, &apart, err));
    if (!due)
        return OK;
    if (apart) {
        rounds_start_apart(hub, run_id);
        return OK;
    }
    pthread_mutex_lock(&hub->federate->closing);
    enum status status = round_close_now(hub, run_id, err);
    pthread_mutex_unlock(&hub->federate->closing);
    return status;
}

/* Folders that a crash has left behind: those of runs that are over, once nobody has touched them for an hour of the machine's clock, which
 * dates files and does not travel. */

#define LEFT_SECONDS 3600

static const char open_sql[] = "SELECT 1 FROM federate_run WHERE public_id = ? AND state = 1";

static enum status sweep_one(struct hub *hub, struct str name, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    const struct run run = {.public_id = name};
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_prepare(conn, open_sql, &row, err));
    stmt_bind_str(row, 1, name);
    bool is_open = stmt_next(row);
    TRY(stmt_end(row, err));
    if (!is_open)
        run_files_remove(hub->federate, &run);
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
        if (entry->d_name[0] != '.' && stat(path, &about) == 0 && about.st_mtime < time(NULL) - LEFT_SECONDS)
            status = sweep_one(hub, str_of(entry->d_name), err);
    }
    closedir(entries);
    return status;
}

/* The job. */

static const char waiting_sql[] =
    "SELECT id FROM federate_run r WHERE state = 1 AND (frozen_us <> 0 OR (due_us <> 0 AND due_us <= ?) OR (EXISTS "
    "(SELECT 1 FROM federate_config c WHERE c.run_id = r.id) AND NOT EXISTS (SELECT 1 FROM federate_config c WHERE "
    "c.run_id = r.id AND c.round = r.round AND c.house_signature IS NOT NULL))) AND id > ? ORDER BY id LIMIT 1";

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
