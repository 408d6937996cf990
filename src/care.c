/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "care.h"
#include "base/file.h"
#include "modules.h"
#include "options.h"
#include "repo/repo.h"
#include "store/store.h"
#include <stdio.h>

static void print_finding(void *context, const char *finding)
{
    (void)context;
    printf("damage: %s\n", finding);
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

static enum status check_all(struct db *db, struct store *store, int64_t *findings, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct error damage = {0};
    if (db_check(db, &damage) != OK) {
        print_finding(NULL, damage.message);
        ++*findings; /* go on: a person wants to know what else is hurt */
    }
    TRY(db_reader(db, &conn, err));
    TRY(repo_check(conn, print_finding, NULL, findings, err));
    return store_check(store, print_finding, NULL, findings, err);
}

int fsck_main(int argc, char **argv)
{
    static const char help[] =
        "cairn fsck - check everything that is kept\n\n"
        "  cairn fsck [--data DIR]\n\n"
        "Reads every database page, git object, ref and stored byte, and prints each damage on a line.\n"
        "Changes nothing. Exit status 0: all is well; 1: damage was found; 2: it could not look.\n";
    const char *data = "data";
    const struct option_spec specs[] = {{"data", &data}};
    struct error err = {0};
    struct db *db = NULL;
    struct store *store = NULL;
    int64_t findings = 0;
    size_t rest;
    if (wants_help(argc, argv, help))
        return 0;
    enum status status = options_read(argc, argv, specs, 1, NULL, 0, &rest, &err);
    if (status == OK)
        status = hub_data_open(data, &db, &err);
    if (status == OK)
        status = open_store(data, db, &store, &err);
    if (status == OK)
        status = check_all(db, store, &findings, &err);
    if (store)
        store_close(store);
    if (db)
        db_close(db);
    if (status == CORRUPT) {
        print_finding(NULL, err.message);
        findings++;
    } else if (status != OK) {
        fprintf(stderr, "cairn fsck: %s\n", err.message);
        return 2;
    }
    printf(findings ? "%lld damages found\n" : "all is well\n", (long long)findings);
    return findings ? 1 : 0;
}

/* Backup. */

/* The database first: what its copy names exists already and, while sweeps are held, stays as it is, so the store can
 * be copied afterwards. */
static enum status backup_all(const char *data, const char *to, struct error *err)
{
    char path[4096], copy[4096];
    auto_conn struct db_conn *snapshot = NULL;
    auto_buf struct buf secret = {0};
    struct db *db, *copied = NULL;
    auto_fd int hold = -1;
    struct store *store = NULL;
    TRY(hub_data_open(data, &db, err));
    enum status status = folder_make(to, 0700, err);
    if (status == OK)
        status = open_store(data, db, &store, err);
    if (status == OK)
        status = store_hold_sweep(store, &hold, err);
    snprintf(copy, sizeof copy, "%s/cairn.db", to);
    if (status == OK)
        status = db_backup(db, copy, err);
    if (status == OK)
        status = db_open(copy, &copied, err);
    if (status == OK)
        status = db_reader(copied, &snapshot, err);
    snprintf(path, sizeof path, "%s/store", to);
    if (status == OK)
        status = store_backup(store, snapshot, path, err);
    snprintf(path, sizeof path, "%s/secret", data);
    if (status == OK && file_read_all(path, 4096, &secret, NULL) == OK) {
        snprintf(path, sizeof path, "%s/secret", to);
        status = file_write_durable(path, buf_view(&secret), 0600, err);
    }
    db_release(&snapshot);
    if (copied)
        db_close(copied);
    if (store)
        store_close(store);
    db_close(db);
    return status;
}

int backup_main(int argc, char **argv)
{
    static const char help[] =
        "cairn backup - copy everything that is kept\n\n"
        "  cairn backup [--data DIR] TO\n\n"
        "Makes in the folder TO a data folder that cairn serve --data TO can run on. The server may go on\n"
        "working. On the same file system stored bytes are linked, so the copy is quick and takes no space.\n";
    const char *data = "data", *to = NULL;
    const struct option_spec specs[] = {{"data", &data}};
    struct error err = {0};
    size_t rest;
    if (wants_help(argc, argv, help))
        return 0;
    enum status status = options_read(argc, argv, specs, 1, &to, 1, &rest, &err);
    if (status == OK && !to)
        status = fail(&err, INVALID, NULL, "say where to: cairn backup --data DIR TO");
    if (status == OK)
        status = backup_all(data, to, &err);
    if (status != OK)
        fprintf(stderr, "cairn backup: %s\n", err.message);
    return status == OK ? 0 : status == INVALID ? 2 : 1;
}
