/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CREATE "CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB NOT NULL)"

struct item {
    int64_t id;
    size_t size;
};

static enum status add_item(struct db_conn *tx, void *context, struct error *err)
{
    const struct item *item = context;
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, "INSERT INTO item (id, data) VALUES (?, ?)", &add, err));
    char *data = calloc(1, item->size);
    stmt_bind_int(add, 1, item->id);
    stmt_bind_blob(add, 2, data, item->size);
    enum status status = stmt_run(add, err);
    free(data);
    return status;
}

static struct db *open_with_items(struct folder *folder)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(script(db, CREATE, err));
    return db;
}

/* ---- a full disk */

/* Adds items until one is refused, then checks that the database holds exactly those that were not. */
static int64_t fill(struct db *db, size_t size)
{
    enum status status = OK;
    struct error reason = {0};
    struct item item = {.size = size};
    while (status == OK && item.id < 10000) {
        item.id++;
        status = db_write(db, add_item, &item, &reason);
    }
    expect(NO_SPACE, status, &reason, __FILE__, __LINE__);
    assert_non_null(strstr(reason.message, "full"));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), item.id - 1);
    GOOD(db_check(db, err));
    return item.id;
}

static void test_a_full_disk_refuses_the_write_and_keeps_the_rest(void **state)
{
    struct db *db = open_with_items(*state);
    limit_file_size(1 << 20);
    struct item refused = {.id = fill(db, 30000), .size = 30000};
    EXPECT(NO_SPACE, db_write(db, add_item, &refused, err));
    limit_file_size(RLIM_INFINITY);
    GOOD(db_write(db, add_item, &refused, err)); /* as soon as there is room */
    assert_int_equal(number(db, "SELECT count(*) FROM item"), refused.id);
    GOOD(db_check(db, err));
    db_close(db);
}

static void test_nobody_of_a_group_is_told_ok_when_its_commit_finds_the_disk_full(void **state)
{
    struct db *db = open_with_items(*state);
    struct item items[] = {{1, 10}, {2, 200000}, {3, 10}};
    struct task tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = (struct task){.fn = add_item, .context = &items[i]};
    limit_file_size(150000);
    run_as_one_group(db, tasks, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].status, NO_SPACE);
        assert_int_equal(tasks[i].err.status, NO_SPACE);
    }
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 0);
    limit_file_size(RLIM_INFINITY);
    run_as_one_group(db, tasks, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tasks[i].status, OK);
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 3);
    db_close(db);
}

/* More than the cache takes, so that the disk is found full in the middle and not at the commit. */
static void test_a_disk_that_fills_up_within_a_write_fails_its_whole_group(void **state)
{
    struct db *db = open_with_items(*state);
    struct item items[] = {{1, 10}, {2, 40 << 20}, {3, 10}};
    struct task tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = (struct task){.fn = add_item, .context = &items[i]};
    limit_file_size(2 << 20);
    run_as_one_group(db, tasks, 3);
    limit_file_size(RLIM_INFINITY);
    int64_t told_ok = 0;
    for (int i = 0; i < 3; i++)
        told_ok += tasks[i].status == OK;
    assert_int_equal(tasks[1].status, NO_SPACE);
    assert_int_equal(number(db, "SELECT count(*) FROM item"), told_ok);
    GOOD(db_write(db, add_item, &(struct item){4, 10}, err));
    GOOD(db_check(db, err));
    db_close(db);
}

#define CANNOT_MOUNT 77

static void fill_a_small_disk(void *context)
{
    struct folder *folder = context;
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder->path, "tmpfs", 0, "size=2m") != 0)
        _exit(CANNOT_MOUNT);
    struct db *db = open_with_items(folder);
    int ballast = open(folder->other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(ballast, 0, 500000), 0);
    struct item refused = {.id = fill(db, 20000), .size = 20000};
    assert_int_equal(ftruncate(ballast, 0), 0);
    close(ballast);
    GOOD(db_write(db, add_item, &refused, err));
    db_close(db);
    GOOD(db_open(folder->db, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), refused.id);
    GOOD(db_check(db, err));
    db_close(db);
}

static void test_a_small_file_system_fills_up_and_recovers(void **state)
{
    int status = child_status(fill_a_small_disk, *state);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT)
        skip();
    assert_int_equal(status, 0);
}

/* ---- files */

static unsigned mode_of(const char *path, const char *suffix)
{
    char name[400];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    struct stat info;
    return stat(name, &info) == 0 ? info.st_mode & 0777 : 0;
}

static void test_only_the_owner_can_read_the_files_whatever_the_umask(void **state)
{
    struct folder *folder = *state;
    mode_t before = umask(0);
    struct db *db = open_with_items(folder);
    umask(before);
    assert_int_equal(mode_of(folder->db, ""), 0600);
    assert_int_equal(mode_of(folder->db, "-wal"), 0600);
    assert_int_equal(mode_of(folder->db, "-shm"), 0600);
    db_close(db);
    assert_int_equal(mode_of(folder->db, "-wal"), 0); /* closing tidies up */
}

static void test_a_place_without_a_folder_is_unavailable(void **state)
{
    struct folder *folder = *state;
    struct db *db = NULL;
    char path[400];
    snprintf(path, sizeof(path), "%s/missing/test.db", folder->path);
    EXPECT(UNAVAILABLE, db_open(path, &db, err));
    EXPECT(UNAVAILABLE, db_open(folder->path, &db, err)); /* a folder itself */
    assert_null(db);
}

static void open_as_nobody(void *context)
{
    struct folder *folder = context;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        _exit(2);
    struct db *db = NULL;
    if (access(folder->path, W_OK) != 0 || access(folder->db, R_OK) != 0)
        _exit(3);
    struct error refusal = {0};
    _exit(db_open(folder->db, &db, &refusal) == UNAVAILABLE && strstr(refusal.message, "this user") != NULL ? 0 : 1);
}

static void test_a_file_that_may_only_be_read_is_unavailable(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_items(folder);
    db_close(db);
    assert_int_equal(chmod(folder->path, 0777), 0);
    assert_int_equal(chmod(folder->db, 0444), 0);
    int status = child_status(open_as_nobody, folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
        skip(); /* the folder above keeps strangers out */
    assert_int_equal(status, 0);
}

static void test_names_that_mean_something_to_sqlite_are_plain_files(void **state)
{
    struct folder *folder = *state;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder->path), 0);
    static const char *const names[] = {":memory:", "file:x?mode=memory"};
    for (int i = 0; i < 2; i++) {
        struct db *db = NULL;
        GOOD(db_open(names[i], &db, err));
        GOOD(script(db, CREATE, err));
        db_close(db);
        assert_int_equal(mode_of(names[i], ""), 0600);
        GOOD(db_open(names[i], &db, err));
        assert_int_equal(number(db, "SELECT count(*) FROM item"), 0);
        db_close(db);
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
}

/* ---- damage */

static void overwrite(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), len);
    close(fd);
}

static off_t size_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

static void make_closed(struct folder *folder, int items)
{
    folder_empty(folder);
    struct db *db = open_with_items(folder);
    GOOD(script(db, "CREATE INDEX item_data ON item (data)", err));
    for (int64_t i = 1; i <= items; i++)
        GOOD(db_write(db, add_item, &(struct item){i, 500}, err));
    db_close(db);
}

static const char read_all[] = "SELECT sum(length(data)) FROM item NOT INDEXED";

static void test_damaged_pages_are_told_and_never_crash(void **state)
{
    struct folder *folder = *state;
    make_closed(folder, 600);
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(db_check(db, err));
    assert_int_equal(number(db, read_all), 600 * 500);
    db_close(db);

    char garbage[8192];
    memset(garbage, 0xa5, sizeof(garbage));
    off_t size = size_of(folder->db);
    for (off_t at = 2 * 8192; at < size; at += 2 * 8192)
        overwrite(folder->db, at, garbage, sizeof(garbage));
    GOOD(db_open(folder->db, &db, err));
    EXPECT(CORRUPT, db_check(db, err));
    int64_t sum;
    EXPECT(CORRUPT, read_number(db, read_all, &sum, err));
    EXPECT(CORRUPT, script(db, "DELETE FROM item", err));
    assert_int_equal(number(db, "SELECT 5"), 5);
    db_close(db);
}

static void test_a_missing_row_behind_a_foreign_key_is_damage(void **state)
{
    struct db *db = open_with_items(*state);
    GOOD(script(db,
                "CREATE TABLE part (item BIGINT REFERENCES item); INSERT INTO item VALUES (1, x'00');"
                "INSERT INTO part VALUES (1)",
                err));
    GOOD(db_check(db, err));
    db_close(db);
    /* SQLite itself does not check keys unless it is told to. */
    struct folder *folder = *state;
    sqlite3 *careless = NULL;
    assert_int_equal(sqlite3_open(folder->db, &careless), SQLITE_OK);
    assert_int_equal(sqlite3_exec(careless, "DELETE FROM item", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(careless);
    GOOD(db_open(folder->db, &db, err));
    struct error found = {0};
    assert_int_equal(db_check(db, &found), CORRUPT);
    assert_non_null(strstr(found.message, "part"));
    db_close(db);
}

static void test_what_is_not_a_database_is_told_at_once(void **state)
{
    struct folder *folder = *state;
    struct db *db = NULL;
    static const char text[] = "Dear reader, this is a letter and not a database at all.";
    int fd = open(folder->db, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    EXPECT(CORRUPT, db_open(folder->db, &db, err));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    close(fd);
    EXPECT(CORRUPT, db_open(folder->db, &db, err));

    make_closed(folder, 10);
    overwrite(folder->db, 0, "SQLite form@t 3", 16);
    EXPECT(CORRUPT, db_open(folder->db, &db, err));
    assert_null(db);
}

/* Every outcome but a crash, a hang or a false "whole" is fine: SQLite has no checksums, so not all damage can be seen.
 */
static void try_everything(struct folder *folder)
{
    struct db *db = NULL;
    if (db_open(folder->db, &db, NULL) != OK)
        return;
    int64_t sum = 0;
    db_check(db, NULL);
    read_number(db, read_all, &sum, NULL);
    read_number(db, "SELECT count(*) FROM item INDEXED BY item_data WHERE data >= x'00'", &sum, NULL);
    db_write(db, add_item, &(struct item){100000, 500}, NULL);
    script(db, "DELETE FROM item WHERE id % 3 = 0", NULL);
    db_close(db);
}

static void test_random_damage_never_crashes(void **state)
{
    struct folder *folder = *state;
    make_closed(folder, 60);
    unsigned seed = 4;
    off_t size = size_of(folder->db);
    char *good = malloc((size_t)size);
    int fd = open(folder->db, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, good, (size_t)size), size);
    close(fd);
    for (int round = 0; round < 150; round++) {
        assert_int_equal(truncate(folder->db, 0), 0);
        overwrite(folder->db, 0, good, (size_t)size);
        for (int i = rand_r(&seed) % 40; i >= 0; i--) {
            /* Half of it in the first bytes of a page, where its structure is. */
            off_t at = rand_r(&seed) % size;
            at = i % 2 == 0 ? at / 8192 * 8192 + rand_r(&seed) % 64 : at;
            overwrite(folder->db, at < size ? at : 0, &(char){(char)rand_r(&seed)}, 1);
        }
        if (round % 5 == 0)
            assert_int_equal(truncate(folder->db, rand_r(&seed) % size), 0);
        try_everything(folder);
    }
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_a_small_file_system_fills_up_and_recovers),
        in_folder(test_a_full_disk_refuses_the_write_and_keeps_the_rest),
        in_folder(test_nobody_of_a_group_is_told_ok_when_its_commit_finds_the_disk_full),
        in_folder(test_a_disk_that_fills_up_within_a_write_fails_its_whole_group),
        in_folder(test_only_the_owner_can_read_the_files_whatever_the_umask),
        in_folder(test_a_place_without_a_folder_is_unavailable),
        in_folder(test_a_file_that_may_only_be_read_is_unavailable),
        in_folder(test_names_that_mean_something_to_sqlite_are_plain_files),
        in_folder(test_damaged_pages_are_told_and_never_crash),
        in_folder(test_a_missing_row_behind_a_foreign_key_is_damage),
        in_folder(test_what_is_not_a_database_is_told_at_once),
        in_folder(test_random_damage_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
