/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"

static const char *const stones_1[] = {"CREATE TABLE stone (id INTEGER PRIMARY KEY)", NULL};
static const char *const stones_3[] = {
    "CREATE TABLE stone (id INTEGER PRIMARY KEY)",
    "ALTER TABLE stone ADD COLUMN weight BIGINT NOT NULL DEFAULT 1; INSERT INTO stone (id) VALUES (1)",
    "INSERT INTO stone (weight) VALUES (5)",
    NULL,
};
static const char *const stones_broken[] = {
    "CREATE TABLE stone (id INTEGER PRIMARY KEY)",
    "INSERT INTO stone VALUES (8)",
    "INSERT INTO pebble VALUES (8)",
    NULL,
};
static const char *const moss_1[] = {"CREATE TABLE moss (stone BIGINT NOT NULL REFERENCES stone)", NULL};

static struct db *open_new(struct folder *folder)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    return db;
}

static int64_t version_of_stones(struct db *db)
{
    return number(db, "SELECT version FROM schema_version WHERE part = 'stones'");
}

static void test_each_migration_runs_once_and_in_order(void **state)
{
    struct db *db = open_new(*state);
    const struct migration_set sets[] = {{"stones", stones_3}, {"moss", moss_1}};
    GOOD(db_migrate(db, sets, 2, err));
    GOOD(db_migrate(db, sets, 2, err));
    assert_int_equal(number(db, "SELECT sum(weight) FROM stone"), 6);
    assert_int_equal(version_of_stones(db), 3);
    assert_int_equal(number(db, "SELECT count(*) FROM schema_version"), 2);
    db_close(db);

    db = open_new(*state);
    GOOD(db_migrate(db, sets, 2, err));
    assert_int_equal(number(db, "SELECT sum(weight) FROM stone"), 6);
    db_close(db);
}

static void test_a_newer_program_runs_only_what_is_missing(void **state)
{
    struct db *db = open_new(*state);
    GOOD(db_migrate(db, &(struct migration_set){"stones", stones_1}, 1, err));
    assert_int_equal(version_of_stones(db), 1);
    GOOD(script(db, "INSERT INTO stone VALUES (100)", err));
    GOOD(db_migrate(db, &(struct migration_set){"stones", stones_3}, 1, err));
    assert_int_equal(version_of_stones(db), 3);
    assert_int_equal(number(db, "SELECT sum(weight) FROM stone"), 7);
    db_close(db);
}

static void test_an_older_program_leaves_a_newer_database_alone(void **state)
{
    struct db *db = open_new(*state);
    GOOD(db_migrate(db, &(struct migration_set){"stones", stones_3}, 1, err));
    const struct migration_set older[] = {{"moss", moss_1}, {"stones", stones_1}};
    struct error reason = {0};
    assert_int_equal(db_migrate(db, older, 2, &reason), UNAVAILABLE);
    assert_string_equal(reason.code, "DatabaseTooNew");
    assert_non_null(strstr(reason.message, "newer Cairn"));
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'moss'"), 0);
    assert_int_equal(version_of_stones(db), 3);
    db_close(db);
}

static void test_a_failing_migration_leaves_its_part_as_it_was(void **state)
{
    struct db *db = open_new(*state);
    GOOD(db_migrate(db, &(struct migration_set){"stones", stones_1}, 1, err));
    EXPECT(INTERNAL, db_migrate(db, &(struct migration_set){"stones", stones_broken}, 1, err));
    assert_int_equal(version_of_stones(db), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM stone"), 0);
    GOOD(db_migrate(db, &(struct migration_set){"stones", stones_3}, 1, err));
    assert_int_equal(number(db, "SELECT count(*) FROM stone"), 2);
    db_close(db);
}

static void migrate_in_a_process(void *context)
{
    struct folder *folder = context;
    struct db *db = NULL;
    const struct migration_set sets[] = {{"stones", stones_3}, {"moss", moss_1}};
    if (db_open(folder->db, &db, NULL) != OK || db_migrate(db, sets, 2, NULL) != OK)
        _exit(1);
    db_close(db);
}

static void test_processes_that_migrate_at_the_same_time_do_it_once(void **state)
{
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            migrate_in_a_process(*state);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    struct db *db = open_new(*state);
    assert_int_equal(number(db, "SELECT sum(weight) FROM stone"), 6);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_processes_that_migrate_at_the_same_time_do_it_once),
        in_folder(test_each_migration_runs_once_and_in_order),
        in_folder(test_a_newer_program_runs_only_what_is_missing),
        in_folder(test_an_older_program_leaves_a_newer_database_alone),
        in_folder(test_a_failing_migration_leaves_its_part_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
