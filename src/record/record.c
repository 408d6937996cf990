/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "prov/forget.h"
#include "record/internal.h"
#include "tlog/policy.h"
#include "witness/witness.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* What prov_hook() asks of the ledger, on the writer's thread. */

static enum status append(void *context, const struct str *entries, size_t count, uint64_t *first, struct error *err)
{
    struct record *record = context;
    TRY(witness_may_append(record->witness, err));
    TRY(ledger_append(record->ledger, entries, count, first, err));
    log_tell(record);
    witness_notice(record->witness);
    return OK;
}

static uint64_t size(void *context)
{
    struct record *record = context;
    struct ledger_state state;
    ledger_state(record->ledger, &state);
    return state.size;
}

static enum status entry(void *context, uint64_t index, struct buf *out, struct error *err)
{
    struct record *record = context;
    return ledger_entry(record->ledger, index, out, err);
}

/* Opening. */

enum status record_folder(const char *dir, char out[PATH_MAX], struct error *err)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/log", dir) >= PATH_MAX - 64)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    return OK;
}

/* The part of its key's line before the '+'. */
bool record_origin(struct arena *arena, const char *folder, struct str *origin)
{
    char path[PATH_MAX + 8];
    auto_buf struct buf line = {0};
    struct str rest;
    snprintf(path, sizeof path, "%s/vkey", folder);
    if (file_read_all(path, 4096, &line, NULL) != OK)
        return false;
    rest = arena_copy(arena, buf_view(&line));
    return str_cut(&rest, '+', origin) && str_given(rest);
}

static struct str new_origin(struct arena *arena, struct str wanted)
{
    uint8_t name[8];
    random_bytes(name, sizeof name);
    return str_given(wanted) ? wanted
                             : arena_printf(arena, "cairn-%.*s/log", STR_ARG(hex_encode(arena, name, sizeof name)));
}

/* Logs that are over are shown while they can be read. */
static void open_old(struct record *record, const char *dir)
{
    int64_t count = record_old_logs(dir);
    record->old_count = count < OLD_LOGS_MOST ? (size_t)count : OLD_LOGS_MOST;
    for (size_t i = 0; i < record->old_count; i++) {
        struct error err = {0};
        if (record_old_open(dir, (int64_t)i + 1, &record->old[i], &err) != OK)
            log_line("error", "old_log", "log.%zu: %s", i + 1, err.message);
    }
}

/* What one group of writes can leave behind in the log when it is killed before anything was ever committed. */
#define FIRST_LEAVES_MOST 256

/* A hub that is started without its database, in the wrong folder say, must not tell the world that all is gone. */
static enum status check_database(struct record *record, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *find = NULL;
    uint64_t leaves = size(record);
    TRY(db_reader(record->db, &conn, err));
    TRY(db_prepare(conn, "SELECT 1 FROM event LIMIT 1", &find, err));
    bool any = stmt_next(find);
    TRY(stmt_end(find, err));
    if (any || leaves <= FIRST_LEAVES_MOST)
        return OK;
    return fail(
        err, CORRUPT, NULL,
        "The database is empty, and the log has %llu entries, of all of which it would have to say that they are not "
        "in the hub. Restore the database. If it is lost, begin a new log: cairn admin log begin-anew --origin NAME.",
        (unsigned long long)leaves);
}

static enum status open_all(struct record *record, const char *dir, struct str wanted, const char *program,
                            struct error *err)
{
    auto_arena struct arena arena = {0};
    char folder[PATH_MAX], persons[PATH_MAX];
    struct str origin;
    TRY(record_folder(dir, folder, err));
    TRY(record_check_folder(dir, record->db, err));
    snprintf(persons, sizeof persons, "%s/persons.db", dir);
    if (!record_origin(&arena, folder, &origin))
        origin = new_origin(&arena, wanted);
    TRY(ledger_open(folder, origin, program, &record->ledger, err));
    TRY(check_database(record, err));
    TRY(persons_open(persons, &record->persons, err));
    TRY(prov_forget_erased(record->db, record->persons, err));
    open_old(record, dir);
    return OK;
}

static enum status open_witnesses(struct record *record, const char *dir, const char *policy, struct error *err)
{
    char kept[PATH_MAX];
    auto_buf struct buf text = {0};
    snprintf(kept, sizeof kept, "%s/log/cosigned", dir);
    TRY(witness_open(record->ledger, policy, kept, &record->witness, err));
    TRY(file_read_all(policy, POLICY_MOST, &text, err));
    sha256(buf_view(&text), record->policy);
    record->has_policy = true;
    return witness_start_check(record->witness, err);
}

/* Nothing to do by itself: before it is committed, prov_hook() takes over what was written without a log, by a command
 * say, and leaves without a change. */
static enum status no_change(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx, (void)context, (void)err;
    return OK;
}

enum status record_catch_up(struct record *record, struct error *err)
{
    return db_write(record->db, no_change, NULL, err);
}

enum status record_start(const char *dir, struct str origin, const char *program, const char *witness_policy,
                         struct db *db, struct record **out, struct error *err)
{
    struct record *record = calloc(1, sizeof *record);
    if (!record)
        abort();
    record->db = db;
    record->checkpoints = http_topic_new();
    enum status status = open_all(record, dir, origin, program, err);
    if (status == OK && witness_policy)
        status = open_witnesses(record, dir, witness_policy, err);
    if (status == OK) {
        log_tell(record);
        record->prov = (struct prov){.ledger = {append, size, entry, record}, .persons = record->persons};
        db_before_commit(db, prov_hook, &record->prov);
        status = record_catch_up(record, err);
    }
    if (status != OK) {
        record_stop(record);
        return status;
    }
    if (record->witness)
        witness_start(record->witness);
    *out = record;
    return OK;
}

void record_stop(struct record *record)
{
    if (!record)
        return;
    db_before_commit(record->db, NULL, NULL);
    if (record->persons)
        persons_close(record->persons);
    for (size_t i = 0; i < record->old_count; i++)
        ledger_close(record->old[i]);
    witness_close(record->witness);
    ledger_close(record->ledger);
    http_topic_free(record->checkpoints);
    free(record);
}
