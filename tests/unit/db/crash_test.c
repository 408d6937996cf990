/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"
#include <sqlite3.h>

#define CREATE                                                                                                         \
    "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, filler TEXT NOT NULL);"                                  \
    "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, item BIGINT NOT NULL REFERENCES item)"

/* Adds a row to both tables: after a crash they must agree. */
static enum status add_pair(struct db_conn *tx, void *context, struct error *err)
{
    int64_t *id = context;
    auto_stmt struct stmt *item = NULL, *journal = NULL;
    TRY(db_prepare(tx, "INSERT INTO item (filler) VALUES (?)", &item, err));
    char filler[900];
    memset(filler, 'x', sizeof(filler));
    stmt_bind_str(item, 1, (struct str){filler, sizeof(filler)});
    TRY(stmt_run(item, err));
    *id = db_last_id(tx);
    TRY(db_prepare(tx, "INSERT INTO journal (id, item) VALUES (?, ?)", &journal, err));
    stmt_bind_int(journal, 1, *id);
    stmt_bind_int(journal, 2, *id);
    return stmt_run(journal, err);
}

static void expect_whole(struct db *db)
{
    assert_int_equal(number(db, "SELECT count(*) FROM item"), number(db, "SELECT count(*) FROM journal"));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), number(db, "SELECT coalesce(max(id), 0) FROM item"));
    GOOD(db_check(db, err));
}

/* ---- kill -9 */

struct victim {
    const char *path;
    struct db *db;
    int report; /* the pipe that takes the ids of acknowledged writes */
};

static void *write_and_report(void *context)
{
    struct victim *victim = context;
    for (;;) {
        int64_t id;
        if (db_write(victim->db, add_pair, &id, NULL) != OK || write(victim->report, &id, sizeof(id)) != sizeof(id))
            _exit(1);
    }
}

static void victim_main(struct victim *victim)
{
    if (db_open(victim->path, &victim->db, NULL) != OK || script(victim->db, CREATE, NULL) != OK)
        _exit(2);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_and_report, victim);
    pthread_join(threads[0], NULL);
}

/* Lets a process write, kills it after some reports, and gives the highest id that it reported. */
static int64_t killed_after(const char *path, int reports, unsigned pause_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        victim_main(&(struct victim){.path = path, .report = ends[1]});
        _exit(3);
    }
    close(ends[1]);
    int64_t id, highest = 0;
    for (int i = 0; read(ends[0], &id, sizeof(id)) == sizeof(id); i++) {
        highest = id > highest ? id : highest;
        if (i == reports) {
            usleep(pause_us);
            kill(child, SIGKILL); /* and read what was reported until then */
        }
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return highest;
}

static void test_what_was_acknowledged_survives_kill_9(void **state)
{
    struct folder *folder = *state;
    unsigned seed = 20;
    for (int round = 0; round < 30; round++) {
        int reports = rand_r(&seed) % 60;
        int64_t highest = killed_after(folder->db, reports, (unsigned)rand_r(&seed) % 1500);
        struct db *db = NULL;
        GOOD(db_open(folder->db, &db, err));
        /* Ids have no gaps, so all up to the highest are there when there are that many. */
        assert_true(number(db, "SELECT count(*) FROM item") >= highest);
        expect_whole(db);
        if (round % 2 == 0) { /* the other half starts from the log that the killed process left */
            db_close(db);
            continue;
        }
        int64_t id;
        GOOD(db_write(db, add_pair, &id, err));
        assert_true(id > highest);
        db_close(db);
    }
}

/* ---- loss of power: only what was synced remains */

struct watched {
    sqlite3_file *file;
    char name[300];
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;
};

static struct {
    sqlite3_vfs vfs, *real;
    pthread_mutex_t lock;
    struct watched files[16];
    int syncs;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The place of a file that is open, or a free one. */
static struct watched *watched(sqlite3_file *file)
{
    struct watched *slot = power.files;
    while (slot->file != NULL && slot->file != file)
        slot++;
    assert_true(slot < power.files + 16);
    return slot;
}

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    char chunk[65536];
    for (ssize_t n; in >= 0 && (n = read(in, chunk, sizeof(chunk))) > 0;)
        assert_int_equal(write(out, chunk, (size_t)n), n);
    close(in);
    close(out);
}

/*
 * Keeps what the file holds at each sync, in "….synced". Another process does the copying, because a process that
 * closes a file drops all its own locks on it.
 */
static void keep_synced(const char *name)
{
    char command[1000];
    snprintf(command, sizeof(command), "cp '%s' '%s.synced'", name, name);
    assert_int_equal(system(command), 0);
}

static int watched_sync(sqlite3_file *file, int flags)
{
    pthread_mutex_lock(&power.lock);
    struct watched *slot = watched(file);
    int code = slot->real->xSync(file, flags);
    keep_synced(slot->name);
    power.syncs++;
    pthread_mutex_unlock(&power.lock);
    return code;
}

static int watched_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *flags_out)
{
    (void)vfs;
    int code = power.real->xOpen(power.real, name, file, flags, flags_out);
    if (code != SQLITE_OK || file->pMethods == NULL || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return code;
    pthread_mutex_lock(&power.lock);
    struct watched *slot = watched(file);
    slot->file = file;
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    slot->real = file->pMethods;
    slot->methods = *slot->real;
    slot->methods.xSync = watched_sync;
    file->pMethods = &slot->methods;
    pthread_mutex_unlock(&power.lock);
    return code;
}

/* The number of rows that the machine would find after losing its power now. */
static int64_t rows_after_power_loss(struct folder *folder)
{
    char from[400], to[400];
    snprintf(from, sizeof(from), "%s.synced", folder->db);
    copy_file(from, folder->other);
    snprintf(from, sizeof(from), "%s-wal.synced", folder->db);
    snprintf(to, sizeof(to), "%s-wal", folder->other);
    copy_file(from, to);
    struct db *db = NULL;
    GOOD(db_open(folder->other, &db, err));
    expect_whole(db);
    int64_t rows = number(db, "SELECT count(*) FROM item");
    db_close(db);
    return rows;
}

static void test_what_was_acknowledged_survives_a_loss_of_power(void **state)
{
    struct folder *folder = *state;
    power.real = sqlite3_vfs_find(NULL);
    power.vfs = *power.real;
    power.vfs.zName = "watched";
    power.vfs.xOpen = watched_open;
    sqlite3_vfs_register(&power.vfs, 1);
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(script(db, CREATE, err));
    for (int i = 0; i < 12; i++) {
        int64_t id;
        int before = power.syncs;
        GOOD(db_write(db, add_pair, &id, err));
        assert_true(power.syncs > before);
        sqlite3_vfs_register(power.real, 1);
        assert_int_equal(rows_after_power_loss(folder), id);
        sqlite3_vfs_register(&power.vfs, 1);
        /* Enough at once for the log to be moved into the file and begun anew. */
        GOOD(script(
            db, i % 4 == 3 ? "CREATE TABLE big AS SELECT hex(zeroblob(1000000)) x FROM journal; DROP TABLE big" : "",
            err));
    }
    db_close(db);
    sqlite3_vfs_register(power.real, 1);
    sqlite3_vfs_unregister(&power.vfs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_what_was_acknowledged_survives_kill_9),
        in_folder(test_what_was_acknowledged_survives_a_loss_of_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
