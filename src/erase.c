/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "erase.h"
#include "attest/erase.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/identity.h"
#include "module.h"
#include "prov/forget.h"
#include "record/record.h"
#include "repo/repo.h"
#include <stdio.h>
#include <time.h>

#define PATIENCE_US (60 * SECOND_US) /* the hub catches up every second */

struct erasing {
    struct db *db;
    struct record *record;   /* NULL while a hub has the log */
    struct persons *persons; /* the record's, or opened beside the hub */
    struct account account;
    struct str name, reason; /* name: that the person had */
    struct person_leaves leaves;
    struct person_erased *out;
    int64_t event_id;
};

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
}

static enum status check_owns_nothing(struct db_conn *conn, const struct account *account, struct error *err)
{
    int64_t count;
    TRY(repo_owned(conn, account->id, &count, err));
    if (count == 0)
        return OK;
    return fail(
        err, CONFLICT, NULL,
        "%.*s still owns %lld repos. Delete them, or move them to another name space, first: their names say whose "
        "they are",
        STR_ARG(account->name), (long long)count);
}

/* The log. */

/* Opens it, or notes that a running hub has it, which then does what is asked here of the record. */
static enum status open_log(const char *data, struct erasing *erasing, struct error *err)
{
    char path[4096];
    struct error why = {0};
    if (!record_exists(data))
        return fail(err, NOT_FOUND, NULL,
                    "The hub in %s has no log yet, so what is written has not got there. Start it once, then erase",
                    data);
    enum status status =
        record_start(data, (struct str){0}, "/proc/self/exe", NULL, erasing->db, &erasing->record, &why);
    if (status == OK) {
        erasing->persons = erasing->record->persons;
        return OK;
    }
    if (status != CONFLICT)
        return fail(err, status, why.code, "%s", why.message);
    snprintf(path, sizeof path, "%s/persons.db", data);
    return persons_open(path, &erasing->persons, err);
}

static void close_log(struct erasing *erasing)
{
    if (erasing->record)
        record_stop(erasing->record);
    else if (erasing->persons)
        persons_close(erasing->persons);
    arena_free(&erasing->leaves.arena);
}

/* Until the log has what was written: leaves that are made later would be made with a key that is gone. */
static enum status catch_up(const struct erasing *erasing, struct error *err)
{
    if (erasing->record)
        return record_catch_up(erasing->record, err);
    for (int64_t end = monotonic_us() + PATIENCE_US; monotonic_us() < end; wait_a_little()) {
        auto_conn struct db_conn *conn = NULL;
        bool done;
        TRY(db_reader(erasing->db, &conn, err));
        TRY(prov_caught_up(conn, &done, err));
        if (done)
            return OK;
    }
    return fail(err, UNAVAILABLE, NULL,
                "The running hub does not put what was written into its log; see its messages for why. Once it does, "
                "run this again");
}

/* The last step. */

static void put_digest(struct erasing *erasing, struct erasure *erasure)
{
    auto_buf struct buf text = {0};
    for (size_t i = 0; i < erasing->leaves.count; i++)
        buf_printf(&text, "%llu\n", (unsigned long long)erasing->leaves.indices[i]);
    erasure->count = erasing->out->count = erasing->leaves.count;
    hmac_sha256((struct str){(const char *)erasing->out->nonce, SHA256_SIZE}, buf_view(&text), erasure->digest);
}

static enum status forget_in(const struct module *module, struct db_conn *tx, int64_t account_id, struct error *err)
{
    if (module->erase)
        TRY(module->erase(tx, account_id, err));
    return db_run_each(tx, module->forgets, account_id, err);
}

static const char newest_sql[] = "SELECT max(id) FROM event";

static enum status erase_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct erasing *erasing = context;
    struct erasure erasure = {.reason = erasing->reason};
    auto_stmt struct stmt *newest = NULL;
    TRY(check_owns_nothing(tx, &erasing->account, err));
    TRY(prov_person_leaves(tx, &erasing->leaves, err));
    put_digest(erasing, &erasure);
    TRY(repo_forget_space(tx, erasing->name, err));
    for (const struct module *const *module = modules; *module; module++)
        TRY(forget_in(*module, tx, erasing->account.id, err));
    TRY(account_erase(tx, erasing->account.id, &erasure, 0, err));
    TRY(db_prepare(tx, newest_sql, &newest, err));
    erasing->event_id = stmt_next(newest) ? stmt_int(newest, 0) : 0;
    return stmt_end(newest, err);
}

/* Most of the leaves are looked for before the write, which others wait for. */
static enum status erase_account(struct erasing *erasing, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    erasing->leaves.account_id = erasing->account.id;
    random_bytes(erasing->out->nonce, sizeof erasing->out->nonce);
    TRY(db_reader(erasing->db, &conn, err));
    TRY(prov_person_leaves(conn, &erasing->leaves, err));
    db_release(&conn);
    return db_write(erasing->db, erase_in_write, erasing, err);
}

static enum status find_leaf(struct erasing *erasing, struct error *err)
{
    for (int64_t end = monotonic_us() + PATIENCE_US; monotonic_us() < end; wait_a_little()) {
        auto_conn struct db_conn *conn = NULL;
        TRY(db_reader(erasing->db, &conn, err));
        enum status status = prov_event_leaf(conn, erasing->event_id, &erasing->out->index, err);
        erasing->out->logged = status == OK;
        if (status != NOT_FOUND)
            return status;
    }
    return OK; /* it is done all the same, and the log follows */
}

/* Files. */

static enum status until_free(enum status (*forget)(const struct erasing *erasing, struct error *err),
                              const struct erasing *erasing, struct error *err)
{
    enum status status;
    int64_t end = monotonic_us() + PATIENCE_US / 4;
    while ((status = forget(erasing, err)) == UNAVAILABLE && monotonic_us() < end)
        wait_a_little();
    return status;
}

static enum status forget_key(const struct erasing *erasing, struct error *err)
{
    return persons_erase(erasing->persons, erasing->account.id, err);
}

static enum status forget_rows(const struct erasing *erasing, struct error *err)
{
    return db_forget(erasing->db, err);
}

/* In this order: whoever has no token can add nothing, then nothing waits for the key, then the key can go, and the name by which
 * this is called again goes last. */
static enum status erase_all(struct erasing *erasing, struct error *err)
{
    TRY(account_close(erasing->db, erasing->name, 0, err));
    TRY(attest_close(erasing->db, erasing->account.id, err));
    TRY(catch_up(erasing, err));
    TRY(until_free(forget_key, erasing, err));
    TRY(prov_forget_names(erasing->db, erasing->account.id, erasing->name, err));
    TRY(erase_account(erasing, err));
    TRY(until_free(forget_rows, erasing, err));
    return find_leaf(erasing, err);
}

static enum status erase_files(struct erasing *erasing, struct error *err)
{
    TRY(until_free(forget_key, erasing, err));
    return until_free(forget_rows, erasing, err);
}

static enum status find_person(struct erasing *erasing, struct arena *arena, struct str name, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(erasing->db, &conn, err));
    TRY(account_find(conn, arena, name, &erasing->account, err));
    erasing->name = erasing->account.name;
    snprintf(erasing->out->name, sizeof erasing->out->name, "%.*s",
             STR_ARG(account_erased_name(arena, erasing->account.id)));
    if (erasing->account.kind != ACCOUNT_USER)
        return fail(err, INVALID, NULL, "%.*s is an organisation, not a person", STR_ARG(erasing->account.name));
    return check_owns_nothing(conn, &erasing->account, err);
}

enum status erase_person(const char *data, struct db *db, struct str name, struct str reason, struct person_erased *out,
                         struct error *err)
{
    auto_arena struct arena arena = {0};
    struct erasing erasing = {.db = db, .reason = reason, .out = out};
    *out = (struct person_erased){0};
    TRY(find_person(&erasing, &arena, name, err));
    enum status status = open_log(data, &erasing, err);
    out->before = erasing.account.erased;
    if (status == OK)
        status = out->before ? erase_files(&erasing, err) : erase_all(&erasing, err);
    close_log(&erasing);
    return status;
}
