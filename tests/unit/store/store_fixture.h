/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_FIXTURE_H
#define CAIRN_STORE_FIXTURE_H

#include "base/file.h"
#include "base/hash.h"
#include "db/db.h"
#include "store/store.h"
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A store with its database in a folder of its own, and small words for what the tests do with it. */

#define ALICE 1
#define BOB 2
#define DAY_US (24 * 3600 * INT64_C(1000000))

struct house {
    char dir[128], root[256];
    struct db *db;
    struct store *store;
    struct error err;
};

__attribute__((unused)) static void house_start(struct house *house)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/cairn.db", house->dir);
    snprintf(house->root, sizeof(house->root), "%s/store", house->dir);
    assert_int_equal(db_open(path, &house->db, &house->err), OK);
    assert_int_equal(db_migrate(house->db, &store_migrations, 1, &house->err), OK);
    assert_int_equal(store_open(house->db, house->root, &house->store, &house->err), OK);
}

/* For a container that a test puts there by itself. */
__attribute__((unused)) static void house_folder_for(const struct house *house, const char *name)
{
    char folder[sizeof(house->root) + 16];
    snprintf(folder, sizeof(folder), "%s/containers/%.2s", house->root, name);
    assert_int_equal(folder_make(folder, 0700, NULL), OK);
}

__attribute__((unused)) static void house_stop(struct house *house)
{
    store_close(house->store);
    db_close(house->db);
}

__attribute__((unused)) static void house_restart(struct house *house)
{
    house_stop(house);
    house_start(house);
}

__attribute__((unused)) static int house_make(void **state)
{
    struct house *house = calloc(1, sizeof(*house));
    const char *base = getenv("TMPDIR");
    snprintf(house->dir, sizeof(house->dir), "%s/cairn-store-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(house->dir))
        return -1;
    *state = house;
    return 0;
}

__attribute__((unused)) static int house_open(void **state)
{
    if (house_make(state) != 0)
        return -1;
    house_start(*state);
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

__attribute__((unused)) static int house_remove(void **state)
{
    struct house *house = *state;
    nftw(house->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(house);
    return 0;
}

__attribute__((unused)) static int house_close(void **state)
{
    house_stop(*state);
    return house_remove(state);
}

#define in_a_house(test) cmocka_unit_test_setup_teardown(test, house_open, house_close)

struct content {
    char *data;
    size_t len;
    uint8_t sha256[SHA256_SIZE];
};

/* len bytes that look random and depend on seed alone. */
__attribute__((unused)) static struct content content_of(uint64_t seed, size_t len)
{
    struct content content = {.data = malloc(len + 8), .len = len};
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < len; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(content.data + i, &x, 8);
    }
    sha256((struct str){content.data, len}, content.sha256);
    return content;
}

__attribute__((unused)) static void content_free(struct content *content)
{
    free(content->data);
}
#define auto_content __attribute__((cleanup(content_free)))

/* Uploads the content in pieces, announced with the given digest and size. */
__attribute__((unused)) static enum status put_as(struct house *house, int64_t repo, const struct content *content,
                                                  const uint8_t *sha256, int64_t size, struct error *err)
{
    auto_receipt struct receipt *receipt = NULL;
    TRY(receipt_open(house->store, &receipt, err));
    for (size_t at = 0; at < content->len;) {
        size_t len = content->len - at < 300000 ? content->len - at : 300000;
        TRY(receipt_write(receipt, content->data + at, len, err));
        at += len;
    }
    return receipt_keep(&receipt, repo, sha256, size, err);
}

__attribute__((unused)) static enum status put(struct house *house, int64_t repo, const struct content *content)
{
    return put_as(house, repo, content, content->sha256, (int64_t)content->len, &house->err);
}

__attribute__((unused)) static enum status lookup(struct house *house, int64_t repo, const struct content *content,
                                                  struct object *object)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(house->db, &conn, &house->err));
    return store_lookup(conn, repo, content->sha256, object, &house->err);
}

/* Reads all pieces of a view into out, which has room for length bytes. */
__attribute__((unused)) static enum status read_view(struct store_view *view, char *out, int64_t length,
                                                     struct error *err)
{
    struct store_piece piece;
    int64_t got = 0;
    for (bool found;; got += piece.length) {
        TRY(store_view_next(view, &piece, &found, err));
        if (!found)
            break;
        assert_true(piece.length > 0 && piece.length <= length - got);
        if (piece.fd < 0)
            memcpy(out + got, piece.data, (size_t)piece.length);
        else
            assert_int_equal(pread(piece.fd, out + got, (size_t)piece.length, piece.offset), piece.length);
    }
    assert_int_equal(got, length);
    return OK;
}

/* Reads a range of an object into out, which has room for it. */
__attribute__((unused)) static enum status read_range(struct house *house, int64_t object_id, int64_t offset,
                                                      int64_t length, char *out)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(house->db, &conn, &house->err));
    struct store_view *view;
    TRY(store_view_open(house->store, conn, object_id, offset, length, &view, &house->err));
    db_release(&conn);
    enum status status = read_view(view, out, length, &house->err);
    store_view_close(view);
    return status;
}

/* That repo holds the content and reads back exactly it. */
__attribute__((unused)) static void assert_stored(struct house *house, int64_t repo, const struct content *content)
{
    struct object object;
    assert_int_equal(lookup(house, repo, content, &object), OK);
    assert_int_equal(object.size, content->len);
    char *back = malloc(content->len + 1);
    assert_int_equal(read_range(house, object.id, 0, object.size, back), OK);
    assert_memory_equal(back, content->data, content->len);
    free(back);
}

__attribute__((unused)) static void assert_not_held(struct house *house, int64_t repo, const struct content *content)
{
    struct object object;
    assert_int_equal(lookup(house, repo, content, &object), NOT_FOUND);
}

static enum status release_write(struct db_conn *tx, void *context, struct error *err)
{
    return store_release_repo(tx, *(int64_t *)context, err);
}

__attribute__((unused)) static void release(struct house *house, int64_t repo)
{
    assert_int_equal(db_write(house->db, release_write, &repo, &house->err), OK);
}

static int files_counted;
static char file_seen[512];

static int count_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)where;
    if (kind == FTW_F && !strstr(path, "/sweep.lock")) {
        files_counted++;
        snprintf(file_seen, sizeof(file_seen), "%s", path);
    }
    return 0;
}

/* Counts the files below a folder of the store, but for its lock; file_seen is the path of one of them. */
__attribute__((unused)) static int files_in(const struct house *house, const char *folder)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", house->root, folder);
    files_counted = 0;
    nftw(path, count_entry, 16, FTW_PHYS);
    return files_counted;
}

static enum status count_rows_in(struct db_conn *conn, const char *sql, int64_t *count, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    assert_true(stmt_next(stmt));
    *count = stmt_int(stmt, 0);
    return stmt_end(stmt, err);
}

__attribute__((unused)) static int64_t count_rows(struct house *house, const char *sql)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t count = 0;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(count_rows_in(conn, sql, &count, &house->err), OK);
    return count;
}

static char last_finding[1024];

static void note_finding(void *context, const char *finding)
{
    (void)context;
    snprintf(last_finding, sizeof(last_finding), "%s", finding);
}

/* The number of findings of store_check(); the last is in last_finding. */
__attribute__((unused)) static int64_t findings(struct house *house)
{
    struct findings findings = {note_finding};
    last_finding[0] = '\0';
    assert_int_equal(store_check(house->store, &findings, &house->err), OK);
    return findings.count;
}

#endif
