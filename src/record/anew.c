/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A new log, after one that cannot go on: its key is lost, or all copies of it are behind what was signed. The old one is kept
 * beside it as log.N and goes on being served; nothing is ever added to it. The new one has a name and a key of its own.
 */
#include "prov/anew.h"
#include "base/file.h"
#include "base/text.h"
#include "record/internal.h"
#include "tlog/note.h"
#include <stdio.h>
#include <unistd.h>

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void old_folder(const char *dir, int64_t number, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/log.%lld", dir, (long long)number);
}

bool record_exists(const char *dir)
{
    char path[PATH_MAX];
    return record_folder(dir, path, NULL) == OK && is_there(path);
}

int64_t record_old_logs(const char *dir)
{
    char path[PATH_MAX];
    int64_t number = 0;
    do
        old_folder(dir, ++number, path);
    while (is_there(path));
    return number - 1;
}

enum status record_old_open(const char *dir, int64_t number, struct ledger **out, struct error *err)
{
    char path[PATH_MAX];
    old_folder(dir, number, path);
    return ledger_open_reader(path, out, err);
}

/* Of the last state that the old log has published; zeros when it has been lost. */
static enum status digest_of_checkpoint(const char *dir, int64_t number, uint8_t out[SHA256_SIZE], struct error *err)
{
    char folder[PATH_MAX - 32], path[PATH_MAX];
    auto_buf struct buf note = {0};
    memset(out, 0, SHA256_SIZE);
    snprintf(folder, sizeof folder, "%s/log.%lld", dir, (long long)number);
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    enum status status = number ? file_read_all(path, 65536, &note, err) : NOT_FOUND;
    if (status == OK)
        sha256(buf_view(&note), out);
    return status == NOT_FOUND ? OK : status;
}

static enum status make_new(const char *folder, struct str origin, const char *program, struct error *err)
{
    struct ledger *ledger;
    TRY(ledger_open(folder, origin, program, &ledger, err));
    ledger_close(ledger);
    return OK;
}

static enum status move(const char *from, const char *to, const char *dir, struct error *err)
{
    return rename(from, to) ? fail_errno(err, from) : folder_sync(dir, err);
}

static enum status log_epoch(const char *dir, int64_t number, struct db *db, struct error *err)
{
    auto_arena struct arena arena = {0};
    uint8_t program[SHA256_SIZE], checkpoint[SHA256_SIZE];
    TRY(record_program_digest(program, err));
    TRY(digest_of_checkpoint(dir, number, checkpoint, err));
    struct prov_epoch epoch = {.build = hex_encode(&arena, program, sizeof program),
                               .checkpoint = hex_encode(&arena, checkpoint, sizeof checkpoint)};
    return prov_begin_anew(db, &epoch, err);
}

/* The folder log.new tells that this has been begun; each step can be made again, and the last one renames it. */
enum status record_begin_anew(const char *dir, struct str origin, const char *program, struct db *db, int64_t *number,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    char log[PATH_MAX], next[PATH_MAX], old[PATH_MAX];
    struct str before;
    TRY(record_folder(dir, log, err));
    snprintf(next, sizeof next, "%s/log.new", dir);
    if (record_origin(&arena, log, &before) && str_eq(before, origin))
        return fail(
            err, CONFLICT, NULL,
            "The log is called %.*s already. A new one needs another name, because two logs of one name are a fork.",
            STR_ARG(origin));
    TRY(make_new(next, origin, program, err));
    *number = record_old_logs(dir);
    if (is_there(log)) {
        old_folder(dir, ++*number, old);
        TRY(move(log, old, dir, err));
    }
    TRY(log_epoch(dir, *number, db, err));
    return move(next, log, dir, err);
}

enum status record_check_folder(const char *dir, struct db *db, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    char log[PATH_MAX], next[PATH_MAX];
    bool any;
    TRY(record_folder(dir, log, err));
    snprintf(next, sizeof next, "%s/log.new", dir);
    if (is_there(next))
        return fail(err, CORRUPT, NULL,
                    "A new log was being begun in %s when something broke off. Run cairn admin log begin-anew again.",
                    dir);
    TRY(db_reader(db, &conn, err));
    TRY(prov_any_leaf(conn, &any, err));
    if (any && !is_there(log))
        return fail(
            err, CORRUPT, NULL,
            "The log %s is gone, and the database knows leaves of it. Restore its newest copy with the signer's key "
            "and record, or begin a new log: cairn admin log begin-anew --origin NAME.",
            log);
    return OK;
}
