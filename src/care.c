/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "care.h"
#include "base/file.h"
#include "modules.h"
#include "options.h"
#include "quota/quota.h"
#include "record/record.h"
#include "repo/repo.h"
#include "store/store.h"
#include <stdio.h>

static void print_finding(void *context, const char *finding)
{
    (void)context;
    printf("damage: %s\n", finding);
}

static void print_correction(void *context, const char *what)
{
    (void)context;
    printf("corrected: %s\n", what);
}

static enum status open_store(const char *data, struct db *db, struct store **store, struct error *err)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/store", data) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    return store_open(db, path, store, err);
}

static int wants_help(int argc, char **argv, const char *help)
{
    bool wanted = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (wanted)
        fputs(help, stdout);
    return wanted;
}

/* Fsck. */

/* What is being looked at goes to standard error, for who waits; findings go to standard output. */
static void print_progress(int64_t done, int64_t of)
{
    if (done % (1 << 18) == 0 && done < of)
        fprintf(stderr, "cairn fsck: %lld of %lld entries of the log\n", (long long)done, (long long)of);
}

static enum status check_all(const char *data, struct db *db, struct store *store, struct findings *findings,
                             struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct error damage = {0};
    fputs("cairn fsck: the database\n", stderr);
    if (db_check(db, &damage) != OK) /* go on: a person wants to know what else is hurt */
        findings_add(findings, "%s", damage.message);
    TRY(db_reader(db, &conn, err));
    fputs("cairn fsck: the log\n", stderr);
    TRY(record_check(data, conn, findings, print_progress, err));
    fputs("cairn fsck: the repos\n", stderr);
    TRY(repo_check(conn, findings, err));
    fputs("cairn fsck: the large files\n", stderr);
    TRY(store_check(store, findings, err));
    /* What is damaged is not written to. */
    if (findings->count)
        return OK;
    fputs("cairn fsck: what counts against quotas\n", stderr);
    return quota_recount(db, print_correction, NULL, err);
}

int fsck_main(int argc, char **argv)
{
    static const char help[] =
        "cairn fsck - check everything that is kept\n\n"
        "  cairn fsck [--data DIR]\n\n"
        "Reads every database page, entry of the log, git object, ref and stored byte, and "
        "prints each damage on a line.\n"
        "The hub may go on working. Changes nothing, but counters of quotas that are wrong, when all else is "
        "well. Exit status 0: all is well; 1: damage was "
        "found; 2: it could not look.\n";
    const char *data = "data";
    const struct option_spec specs[] = {{"data", &data}};
    struct error err = {0};
    struct db *db = NULL;
    struct store *store = NULL;
    struct findings findings = {print_finding};
    size_t rest;
    if (wants_help(argc, argv, help))
        return 0;
    enum status status = options_read(argc, argv, specs, 1, NULL, 0, &rest, &err);
    if (status == OK)
        status = hub_data_open(data, &db, &err);
    if (status == OK)
        status = open_store(data, db, &store, &err);
    if (status == OK)
        status = check_all(data, db, store, &findings, &err);
    if (store)
        store_close(store);
    if (db)
        db_close(db);
    if (status == CORRUPT) {
        findings_add(&findings, "%s", err.message);
    } else if (status != OK) {
        fprintf(stderr, "cairn fsck: %s\n", err.message);
        return 2;
    }
    printf(findings.count ? "%lld damages found\n" : "all is well\n", (long long)findings.count);
    return findings.count ? 1 : 0;
}

/* Backup. */

struct backup {
    const char *data, *to, *keys; /* keys may be NULL */
    struct db *db, *copied;
    struct store *store;
};

static enum status backup_secret(const struct backup *backup, struct error *err)
{
    char path[4096];
    auto_buf struct buf secret = {0};
    snprintf(path, sizeof path, "%s/secret", backup->data);
    if (file_read_all(path, 4096, &secret, NULL) != OK)
        return OK; /* a hub that never ran */
    snprintf(path, sizeof path, "%s/secret", backup->to);
    return file_write_durable(path, buf_view(&secret), 0600, err);
}

/* What the hub signs statements with, and what it is a house of federated training by; it makes others when they are gone. */
static enum status backup_key(const struct backup *backup, const char *name, struct error *err)
{
    char path[4096];
    auto_buf struct buf key = {0};
    snprintf(path, sizeof path, "%s/%s", backup->data, name);
    enum status status = file_read_all(path, 65536, &key, err);
    if (status != OK)
        return status == NOT_FOUND ? OK : status;
    snprintf(path, sizeof path, "%s/%s", backup->keys, name);
    return file_write_durable(path, buf_view(&key), 0600, err);
}

/* The keys of people, where the database cannot be ahead of them. */
static enum status backup_persons(const struct backup *backup, struct error *err)
{
    char path[4096];
    struct persons *persons;
    snprintf(path, sizeof path, "%s/persons.db", backup->data);
    TRY(persons_open(path, &persons, err));
    snprintf(path, sizeof path, "%s/persons.db", backup->keys);
    enum status status = persons_backup(persons, path, err);
    persons_close(persons);
    return status;
}

static enum status backup_log(const struct backup *backup, struct error *err)
{
    char from[4096], to[4096], keys[4096];
    snprintf(from, sizeof from, "%s/log", backup->data);
    snprintf(to, sizeof to, "%s/log", backup->to);
    snprintf(keys, sizeof keys, "%s/log", backup->keys ? backup->keys : "");
    if (!record_exists(backup->data))
        return OK;
    TRY(ledger_backup(from, to, backup->keys ? keys : NULL, err));
    if (!backup->keys)
        return OK;
    TRY(backup_key(backup, "attest.pem", err));
    TRY(backup_key(backup, "house.json", err));
    return backup_persons(backup, err);
}

/*
 * The database first. What its copy names exists already and, while sweeps are held, stays as it is, so the store can be copied
 * afterwards; and what it has was logged before, so the copy of the log cannot lack any of it. The log may be ahead: then the hub
 * that runs on the copy says in the log that those changes are not in it.
 */
static enum status backup_all(struct backup *backup, struct error *err)
{
    auto_conn struct db_conn *snapshot = NULL;
    auto_fd int hold = -1;
    char path[4096];
    TRY(hub_data_open(backup->data, &backup->db, err));
    TRY(folder_make(backup->to, 0700, err));
    if (backup->keys)
        TRY(folder_make(backup->keys, 0700, err));
    TRY(open_store(backup->data, backup->db, &backup->store, err));
    TRY(store_hold_sweep(backup->store, &hold, err));
    snprintf(path, sizeof path, "%s/cairn.db", backup->to);
    TRY(db_backup(backup->db, path, err));
    TRY(backup_log(backup, err));
    TRY(db_open(path, &backup->copied, err));
    TRY(db_reader(backup->copied, &snapshot, err));
    snprintf(path, sizeof path, "%s/store", backup->to);
    TRY(store_backup(backup->store, snapshot, path, err));
    return backup_secret(backup, err);
}

static void backup_close(struct backup *backup)
{
    if (backup->copied)
        db_close(backup->copied);
    if (backup->store)
        store_close(backup->store);
    if (backup->db)
        db_close(backup->db);
}

static const char keys_advice[] = "The keys are not in it: those of the log (log/key, log/signer), of people "
                                  "(persons.db), attest.pem and house.json. They belong\n"
                                  "elsewhere, for a short time only, so that a person who was erased is soon gone from "
                                  "there too: --keys DIR copies them.\n";

int backup_main(int argc, char **argv)
{
    static const char help[] =
        "cairn backup - copy everything that is kept\n\n"
        "  cairn backup [--data DIR] [--keys DIR] TO\n\n"
        "Makes in the folder TO a data folder, but for the keys. The server may go on working. On the same file "
        "system\n"
        "stored bytes are linked, so the copy is quick and takes no space.\n\n"
        "  --keys DIR  also copy, into a folder of their own, the key of the log, what was signed with it last, and "
        "the keys\n"
        "              of people. Put together with TO they are a hub again: cp -a DIR/. TO/. Without them the copy "
        "cannot\n"
        "              add to the log. Whoever has them can sign in the hub's name and open what the log keeps closed, "
        "so keep\n"
        "              them apart from TO, and no longer than a person who is erased should have to wait.\n\n"
        "A restored copy goes on with the log only if nothing was signed since: see docs/backup.md before you need "
        "it.\n";
    struct backup backup = {.data = "data"};
    const struct option_spec specs[] = {{"data", &backup.data}, {"keys", &backup.keys}};
    struct error err = {0};
    size_t rest;
    if (wants_help(argc, argv, help))
        return 0;
    enum status status = options_read(argc, argv, specs, 2, &backup.to, 1, &rest, &err);
    if (status == OK && !backup.to)
        status = fail(&err, INVALID, NULL, "say where to: cairn backup --data DIR TO");
    if (status == OK &&
        (strlen(backup.data) > 3800 || strlen(backup.to) > 3800 || (backup.keys && strlen(backup.keys) > 3800)))
        status = fail(&err, INVALID, NULL, "the name of a folder is too long");
    if (status == OK)
        status = backup_all(&backup, &err);
    backup_close(&backup);
    if (status != OK)
        fprintf(stderr, "cairn backup: %s\n", err.message);
    else if (!backup.keys && record_exists(backup.data))
        fputs(keys_advice, stdout);
    return status == OK ? 0 : status == INVALID ? 2 : 1;
}
