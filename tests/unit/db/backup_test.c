/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"
#include <stdatomic.h>
#include <sys/stat.h>

static enum status add_pair(struct db_conn *tx, void *context, struct error *err)
{
    int64_t *id = context;
    auto_stmt struct stmt *left = NULL, *right = NULL;
    TRY(db_prepare(tx, "INSERT INTO left_hand (filler) VALUES (?)", &left, err));
    char filler[600] = {'x'};
    stmt_bind_blob(left, 1, filler, sizeof(filler));
    TRY(stmt_run(left, err));
    *id = db_last_id(tx);
    TRY(db_prepare(tx, "INSERT INTO right_hand (id) VALUES (?)", &right, err));
    stmt_bind_int(right, 1, *id);
    return stmt_run(right, err);
}

static struct db *open_with_pairs(struct folder *folder, int pairs)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(script(db,
                "CREATE TABLE left_hand (id INTEGER PRIMARY KEY, filler BLOB NOT NULL);"
                "CREATE TABLE right_hand (id INTEGER PRIMARY KEY)",
                err));
    int64_t id;
    for (int i = 0; i < pairs; i++)
        GOOD(db_write(db, add_pair, &id, err));
    return db;
}

static int files_in(struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* The number of pairs in a copy, which must be the first ones and both halves of each. */
static int64_t pairs_in(const char *path)
{
    struct db *db = NULL;
    GOOD(db_open(path, &db, err));
    GOOD(db_check(db, err));
    int64_t count = number(db, "SELECT count(*) FROM left_hand");
    assert_int_equal(number(db, "SELECT coalesce(max(id), 0) FROM left_hand"), count);
    assert_int_equal(number(db, "SELECT coalesce(max(id), 0) FROM right_hand"), count);
    assert_int_equal(number(db, "SELECT count(*) FROM right_hand"), count);
    GOOD(script(db, "DELETE FROM right_hand", err)); /* it is a database to live in */
    db_close(db);
    return count;
}

struct busy {
    struct db *db;
    atomic_llong acknowledged;
    atomic_bool stop;
};

static void *write_on(void *context)
{
    struct busy *busy = context;
    int64_t id;
    while (!atomic_load(&busy->stop) && db_write(busy->db, add_pair, &id, NULL) == OK)
        atomic_store(&busy->acknowledged, id);
    return NULL;
}

static void test_a_backup_taken_while_others_write_is_a_prefix_of_what_they_wrote(void **state)
{
    struct folder *folder = *state;
    struct busy busy = {.db = open_with_pairs(folder, 300), .acknowledged = 300};
    pthread_t thread;
    pthread_create(&thread, NULL, write_on, &busy);
    for (int i = 0; i < 5; i++) {
        int64_t before = atomic_load(&busy.acknowledged);
        GOOD(db_backup(busy.db, folder->other, err));
        assert_true(pairs_in(folder->other) >= before);
        unlink(folder->other);
    }
    atomic_store(&busy.stop, true);
    pthread_join(thread, NULL);
    db_close(busy.db);
}

static void test_a_backup_is_private_and_leaves_nothing_beside_it(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_pairs(folder, 5);
    GOOD(db_backup(db, folder->other, err));
    struct stat info;
    assert_int_equal(stat(folder->other, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(files_in(folder), 4); /* the database, its -wal and -shm, and the backup */
    db_close(db);
    assert_int_equal(pairs_in(folder->other), 5);
}

static void test_a_backup_never_replaces_a_file(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_pairs(folder, 5);
    EXPECT(CONFLICT, db_backup(db, folder->db, err));
    assert_int_equal(symlink("nowhere", folder->other), 0);
    EXPECT(CONFLICT, db_backup(db, folder->other, err));
    unlink(folder->other);
    GOOD(db_backup(db, folder->other, err));
    EXPECT(CONFLICT, db_backup(db, folder->other, err));
    assert_int_equal(files_in(folder), 4);
    db_close(db);
    assert_int_equal(pairs_in(folder->other), 5);
}

static void test_a_backup_that_cannot_be_written_leaves_nothing(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_pairs(folder, 300);
    char path[400];
    snprintf(path, sizeof(path), "%s/missing/backup.db", folder->path);
    EXPECT(NOT_FOUND, db_backup(db, path, err));

    limit_file_size(100000);
    EXPECT(NO_SPACE, db_backup(db, folder->other, err));
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(files_in(folder), 3);
    GOOD(db_backup(db, folder->other, err));
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_a_backup_taken_while_others_write_is_a_prefix_of_what_they_wrote),
        in_folder(test_a_backup_is_private_and_leaves_nothing_beside_it),
        in_folder(test_a_backup_never_replaces_a_file),
        in_folder(test_a_backup_that_cannot_be_written_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
