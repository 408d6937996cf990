/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a house keeps: rows of rounds and reports, and files. */
#include "house/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * - house_run: whose it is; a run's rounds are all of one hub.
 * - house_round: config, signature: what was signed. seed: of the noise, until the record is signed. draw: the house's random bytes.
 *   promise, list: the hub's commitment, and the sorted nonces. record, cosignature, model: what came of it.
 * - house_report: digest: of all that the hub has sent of it. body: struct report, until the next round. A nonce counts once in a run.
 */
static const char create_sql[] =
    "CREATE TABLE house_run (run BLOB PRIMARY KEY, hub BLOB NOT NULL, touched_us BIGINT NOT NULL);"
    "CREATE TABLE house_round ("
    "  run BLOB NOT NULL REFERENCES house_run (run) ON DELETE CASCADE,"
    "  round BIGINT NOT NULL,"
    "  config TEXT NOT NULL,"
    "  signature BLOB NOT NULL,"
    "  seed BLOB, draw BLOB NOT NULL, promise BLOB, list BLOB, hub_random BLOB, hub_sums BLOB, own_sums BLOB,"
    "  record TEXT, cosignature BLOB, model BLOB,"
    "  PRIMARY KEY (run, round));"
    "CREATE TABLE house_report ("
    "  run BLOB NOT NULL REFERENCES house_run (run) ON DELETE CASCADE,"
    "  nonce BLOB NOT NULL,"
    "  round BIGINT NOT NULL,"
    "  key BLOB NOT NULL,"
    "  digest BLOB NOT NULL,"
    "  verdict BIGINT NOT NULL,"
    "  body BLOB,"
    "  PRIMARY KEY (run, nonce));"
    "CREATE INDEX house_report_key ON house_report (run, round, key);";

const struct migration_set house_migrations = {"house", (const char *const[]){create_sql, NULL}};

static const char find_sql[] = "SELECT config, signature, seed, draw, promise, list, hub_random, hub_sums, own_sums, "
                               "record, cosignature, model FROM house_round WHERE run = ? AND round = ?";

static struct str column(struct stmt *row, struct arena *arena, int at)
{
    return stmt_is_null(row, at) ? (struct str){0} : arena_copy(arena, stmt_str(row, at));
}

enum status round_find(struct db_conn *conn, struct arena *arena, const uint8_t run[WIRE_RUN_SIZE], int64_t round,
                       struct round_row *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct round_row){0};
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_blob(row, 1, run, WIRE_RUN_SIZE);
    stmt_bind_int(row, 2, round);
    *found = stmt_next(row);
    if (*found) {
        struct str *const columns[] = {&out->config,   NULL,         &out->seed,       &out->draw,
                                       &out->promise,  &out->list,   &out->hub_random, &out->hub_sums,
                                       &out->own_sums, &out->record, &out->cosignature};
        for (int i = 0; i < (int)(sizeof columns / sizeof *columns); i++)
            if (columns[i])
                *columns[i] = column(row, arena, i);
        memcpy(out->signature, stmt_str(row, 1).data, PACT_SIGNATURE_SIZE);
        if (!stmt_is_null(row, 11))
            memcpy(out->model, stmt_str(row, 11).data, SHA256_SIZE);
    }
    return stmt_end(row, err);
}

static const char list_sql[] =
    "UPDATE house_round SET promise = ?, list = ? WHERE run = ? AND round = ? AND list IS NULL";
static const char random_sql[] = "UPDATE house_round SET hub_random = ? WHERE run = ? AND round = ?";
static const char sums_sql[] =
    "UPDATE house_round SET hub_sums = ?, own_sums = ? WHERE run = ? AND round = ? AND hub_sums IS NULL";
static const char record_sql[] = "UPDATE house_round SET record = ?, cosignature = ?, model = ?, seed = NULL WHERE run "
                                 "= ? AND round = ? AND record IS NULL";
static const char *const set_sql[] = {
    [ROUND_LIST] = list_sql, [ROUND_RANDOM] = random_sql, [ROUND_SUMS] = sums_sql, [ROUND_RECORD] = record_sql};

static enum status set_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct round_change *change = context;
    auto_stmt struct stmt *row = NULL;
    int at = 1;
    TRY(db_prepare(tx, set_sql[change->column], &row, err));
    if (change->column == ROUND_RECORD)
        stmt_bind_str(row, at++, change->a);
    else
        stmt_bind_blob(row, at++, change->a.data, change->a.len);
    if (str_given(change->b))
        stmt_bind_blob(row, at++, change->b.data, change->b.len);
    if (str_given(change->c))
        stmt_bind_blob(row, at++, change->c.data, change->c.len);
    stmt_bind_blob(row, at++, change->asked->request->run, WIRE_RUN_SIZE);
    stmt_bind_int(row, at, change->asked->request->round);
    TRY(stmt_run(row, err));
    return db_changes(tx) ? OK : fail(err, CONFLICT, NULL, "This step of the round has been done otherwise.");
}

enum status round_set(struct house *house, struct round_change *change, struct error *err)
{
    return db_write(house->db, set_in_write, change, err);
}

/* Files. */

void house_path(const struct asked *asked, int64_t round, const char *name, char out[4096])
{
    snprintf(out, 4096, "%s/runs/%.*s/%lld-%s", asked->house->folder, STR_ARG(asked->run), (long long)round, name);
}

enum status house_file(const struct asked *asked, const char *name, int *fd, struct error *err)
{
    char path[4096];
    house_path(asked, asked->request->round, name, path);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return *fd < 0 ? fail_errno(err, path) : OK;
}

void house_files_remove(const struct house *house, struct str run, int64_t below)
{
    char folder[4096], path[4096 + 300];
    snprintf(folder, sizeof folder, "%s/runs/%.*s", house->folder, STR_ARG(run));
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && atoll(entry->d_name) < below)
            unlink(path);
    }
    closedir(entries);
    rmdir(folder); /* when it is empty */
}

#define LEFT_SECONDS (30 * 86400) /* of the machine's clock, which dates files */

void house_sweep(struct house *house)
{
    char runs[4096], path[4096 + 300];
    struct stat about;
    snprintf(runs, sizeof runs, "%s/runs", house->folder);
    DIR *entries = opendir(runs);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", runs, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &about) == 0 && about.st_mtime < time(NULL) - LEFT_SECONDS)
            house_files_remove(house, str_of(entry->d_name), INT64_MAX);
    }
    closedir(entries);
}
