/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "helper.h"
#include <stdatomic.h>

#define CREATE "CREATE TABLE item (id INTEGER PRIMARY KEY, owner BIGINT NOT NULL)"

static enum status add_item(struct db_conn *tx, void *context, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, "INSERT INTO item (id, owner) VALUES (?, 7)", &add, err));
    stmt_bind_int(add, 1, *(int64_t *)context);
    return stmt_run(add, err);
}

static enum status add_then_refuse(struct db_conn *tx, void *context, struct error *err)
{
    TRY(add_item(tx, context, err));
    return fail(err, STALE, "Moved", "The state moved.");
}

static struct db *open_with_items(struct folder *folder)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(script(db, CREATE, err));
    return db;
}

/* ---- many threads */

#define THREADS 64

struct crowd {
    struct db *db;
    int rounds;
    atomic_int next, unseen, failed;
};

static void *crowd_member(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < crowd->rounds; i++) {
        int64_t id = atomic_fetch_add(&crowd->next, 1) + 1, found = 0;
        if (db_write(crowd->db, add_item, &id, NULL) != OK)
            atomic_fetch_add(&crowd->failed, 1);
        auto_conn struct db_conn *conn = NULL;
        auto_stmt struct stmt *find = NULL;
        if (db_reader(crowd->db, &conn, NULL) == OK &&
            db_prepare(conn, "SELECT owner FROM item WHERE id = ?", &find, NULL) == OK) {
            stmt_bind_int(find, 1, id);
            found = stmt_next(find) ? stmt_int(find, 0) : 0;
        }
        if (found != 7)
            atomic_fetch_add(&crowd->unseen, 1);
    }
    return NULL;
}

static double writes_per_second(struct crowd *crowd, int threads, int rounds)
{
    crowd->rounds = rounds;
    pthread_t thread[THREADS];
    int64_t start = monotonic_us();
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, crowd_member, crowd);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    return (double)threads * rounds * 1e6 / (double)(monotonic_us() - start);
}

static void test_each_writer_of_many_sees_its_write_at_once(void **state)
{
    struct crowd crowd = {.db = open_with_items(*state)};
    double alone = writes_per_second(&crowd, 1, 200);
    double together = writes_per_second(&crowd, THREADS, 50);
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(crowd.unseen, 0);
    assert_int_equal(number(crowd.db, "SELECT count(*) FROM item"), 200 + THREADS * 50);

    struct db_stats stats;
    db_stats(crowd.db, &stats);
    print_message("%.0f durable writes/s from 1 thread, %.0f from %d; %lld writes in %lld transactions, %lld readers\n",
                  alone, together, THREADS, (long long)stats.writes, (long long)stats.groups,
                  (long long)stats.readers_open);
    assert_int_equal(stats.writes, 1 + 200 + THREADS * 50);
    assert_int_equal(stats.writes_waiting, 0);
    assert_int_equal(stats.readers_lent, 0);
    assert_true(stats.readers_open <= THREADS);
    db_close(crowd.db);
}

/* ---- groups */

static void test_writes_that_wait_together_share_a_transaction(void **state)
{
    struct db *db = open_with_items(*state);
    struct db_stats before, after;
    db_stats(db, &before);
    int64_t ids[20];
    struct task tasks[20];
    for (int i = 0; i < 20; i++) {
        ids[i] = i + 1;
        tasks[i] = (struct task){.fn = add_item, .context = &ids[i]};
    }
    run_as_one_group(db, tasks, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(tasks[i].status, OK);
    db_stats(db, &after);
    assert_int_equal(after.writes - before.writes, 21);
    assert_int_equal(after.groups - before.groups, 2); /* the gate's and theirs */
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 20);
    db_close(db);
}

static void test_writes_that_do_not_wait_have_a_transaction_each(void **state)
{
    struct db *db = open_with_items(*state);
    struct db_stats before, after;
    db_stats(db, &before);
    for (int64_t id = 1; id <= 20; id++)
        GOOD(db_write(db, add_item, &id, err));
    db_stats(db, &after);
    assert_int_equal(after.groups - before.groups, 20);
    db_close(db);
}

static enum status move_item(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    auto_stmt struct stmt *move = NULL;
    TRY(db_prepare(tx, "UPDATE item SET owner = owner + 1 WHERE id = ?", &move, err));
    stmt_bind_int(move, 1, 1);
    TRY(stmt_run(move, err));
    return db_changes(tx) == 1 ? OK : fail(err, NOT_FOUND, NULL, "No such item.");
}

static void test_a_failing_write_of_a_group_is_undone_and_leaves_the_others_alone(void **state)
{
    struct db *db = open_with_items(*state);
    int64_t one = 1, two = 2, three = 3;
    struct task tasks[] = {{.fn = add_item, .context = &one},
                           {.fn = add_then_refuse, .context = &two},
                           {.fn = add_item, .context = &one},
                           {.fn = add_item, .context = &three},
                           {.fn = move_item}};
    run_as_one_group(db, tasks, 5);
    assert_int_equal(tasks[0].status, OK);
    assert_int_equal(tasks[1].status, STALE);
    assert_string_equal(tasks[1].err.code, "Moved");
    assert_int_equal(tasks[2].status, CONFLICT);
    assert_int_equal(tasks[3].status, OK);
    assert_int_equal(tasks[4].status, OK); /* sees what the first of its group did */
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 2);
    assert_int_equal(number(db, "SELECT owner FROM item WHERE id = 1"), 8);
    assert_int_equal(number(db, "SELECT count(*) FROM item WHERE id = 2"), 0);
    db_close(db);
}

static enum status add_or_move(struct db_conn *tx, void *context, struct error *err)
{
    enum status status = add_item(tx, context, err);
    return status == CONFLICT ? move_item(tx, NULL, err) : status;
}

static void test_a_write_can_go_on_after_a_conflict(void **state)
{
    struct db *db = open_with_items(*state);
    int64_t one = 1;
    GOOD(db_write(db, add_or_move, &one, err));
    GOOD(db_write(db, add_or_move, &one, err));
    assert_int_equal(number(db, "SELECT owner FROM item WHERE id = 1"), 8);
    db_close(db);
}

static void test_a_key_that_is_checked_late_costs_only_its_own_write(void **state)
{
    struct db *db = open_with_items(*state);
    GOOD(script(db, "CREATE TABLE part (item BIGINT NOT NULL REFERENCES item DEFERRABLE INITIALLY DEFERRED)", err));
    int64_t one = 1;
    static char dangling[] = "INSERT INTO part VALUES (99)";
    static char late[] = "INSERT INTO part VALUES (2); INSERT INTO item VALUES (2, 7)";
    struct task tasks[] = {{.fn = add_item, .context = &one},
                           {.fn = run_script, .context = dangling},
                           {.fn = run_script, .context = late}};
    run_as_one_group(db, tasks, 3);
    assert_int_equal(tasks[0].status, OK);
    assert_int_equal(tasks[1].status, CONFLICT);
    assert_int_equal(tasks[2].status, OK);
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 2);
    assert_int_equal(number(db, "SELECT count(*) FROM part"), 1);
    db_close(db);
}

/* SQLite undoes a whole transaction by itself after some errors; ROLLBACK does here what a failing disk would. */
static enum status lose_the_transaction(struct db_conn *tx, void *context, struct error *err)
{
    db_exec(tx, "ROLLBACK", err);
    /* A write that overlooks the error must not commit anything by itself now. */
    assert_int_not_equal(add_item(tx, context, err), OK);
    assert_int_not_equal(db_exec(tx, "INSERT INTO item VALUES (50, 1)", err), OK);
    return OK;
}

static void test_nobody_is_told_ok_when_the_transaction_of_the_group_is_lost(void **state)
{
    struct db *db = open_with_items(*state);
    int64_t one = 1, two = 2, three = 3;
    struct task tasks[] = {{.fn = add_item, .context = &one},
                           {.fn = lose_the_transaction, .context = &two},
                           {.fn = add_item, .context = &three}};
    run_as_one_group(db, tasks, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].status, INTERNAL);
        assert_int_equal(tasks[i].err.status, INTERNAL);
    }
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 0);
    GOOD(db_write(db, add_item, &three, err));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 1);
    db_close(db);
}

/* ---- before the commit */

struct hook {
    int calls;
    int64_t items; /* that it saw */
    bool refuses;
};

static enum status count_items(struct db_conn *tx, void *context, struct error *err)
{
    struct hook *hook = context;
    hook->calls++;
    auto_stmt struct stmt *count = NULL;
    TRY(db_prepare(tx, "SELECT count(*) FROM item", &count, err));
    hook->items = stmt_next(count) ? stmt_int(count, 0) : -1;
    TRY(stmt_end(count, err));
    TRY(db_exec(tx, "INSERT INTO item VALUES (100, 1)", err));
    return hook->refuses ? fail(err, UNAVAILABLE, "Shut", "The ledger is shut.") : OK;
}

/* The gate of run_as_one_group() is a group of its own, so the hook has been called for that before. */
static enum status count_items_again(struct db_conn *tx, void *context, struct error *err)
{
    struct hook *hook = context;
    return hook->calls++ == 0 ? OK : count_items(tx, context, err);
}

static void test_the_hook_sees_what_a_group_wrote_once_and_before_it_is_committed(void **state)
{
    struct db *db = open_with_items(*state);
    struct hook hook = {0};
    int64_t one = 1, two = 2, three = 3;
    struct task tasks[] = {{.fn = add_item, .context = &one},
                           {.fn = add_then_refuse, .context = &two},
                           {.fn = add_item, .context = &three}};
    db_before_commit(db, count_items_again, &hook);
    run_as_one_group(db, tasks, 3);
    assert_int_equal(tasks[0].status, OK);
    assert_int_equal(tasks[1].status, STALE);
    assert_int_equal(tasks[2].status, OK);
    assert_int_equal(hook.calls, 3); /* the gate's; and twice counted for the group */
    assert_int_equal(hook.items, 2);
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 3); /* the hook's own too */
    db_close(db);
}

static void test_when_the_hook_fails_every_write_of_the_group_does(void **state)
{
    struct db *db = open_with_items(*state);
    struct hook hook = {.refuses = true};
    int64_t one = 1, two = 2, three = 3;
    struct task tasks[] = {{.fn = add_item, .context = &one},
                           {.fn = add_then_refuse, .context = &two},
                           {.fn = add_item, .context = &three}};
    db_before_commit(db, count_items_again, &hook);
    run_as_one_group(db, tasks, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].status, UNAVAILABLE);
        assert_string_equal(tasks[i].err.code, "Shut");
    }
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 0);
    db_before_commit(db, NULL, NULL);
    GOOD(db_write(db, add_item, &one, err));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 1);
    db_close(db);
}

static void test_the_hook_is_not_called_for_writes_that_all_failed(void **state)
{
    struct db *db = open_with_items(*state);
    struct hook hook = {.refuses = true};
    int64_t one = 1;
    db_before_commit(db, count_items, &hook);
    EXPECT(STALE, db_write(db, add_then_refuse, &one, err));
    assert_int_equal(hook.calls, 0);
    EXPECT(UNAVAILABLE, db_write(db, add_item, &one, err));
    assert_int_equal(hook.calls, 1);
    db_close(db);
}

static void test_a_hook_that_loses_the_transaction_loses_the_group(void **state)
{
    struct db *db = open_with_items(*state);
    int64_t one = 1, two = 2;
    db_before_commit(db, lose_the_transaction, &two);
    EXPECT(INTERNAL, db_write(db, add_item, &one, err));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 0);
    db_before_commit(db, NULL, NULL);
    GOOD(db_write(db, add_item, &one, err));
    db_close(db);
}

static enum status write_elsewhere(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx;
    return script(context, "INSERT INTO item VALUES (1, 7)", err);
}

static void test_the_hook_may_write_to_another_database(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_items(folder), *other = NULL;
    int64_t one = 1;
    GOOD(db_open(folder->other, &other, err));
    GOOD(script(other, CREATE, err));
    db_before_commit(db, write_elsewhere, other);
    GOOD(db_write(db, add_item, &one, err));
    assert_int_equal(number(other, "SELECT count(*) FROM item"), 1);
    db_close(db);
    db_close(other);
}

static void test_closing_waits_for_what_is_queued(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_with_items(folder);
    struct turnstile gate;
    turnstile_close(&gate, db);
    int64_t ids[8];
    struct task tasks[8];
    for (int i = 0; i < 8; i++) {
        ids[i] = i + 1;
        tasks[i] = (struct task){.db = db, .fn = add_item, .context = &ids[i]};
        pthread_create(&tasks[i].thread, NULL, task_main, &tasks[i]);
    }
    await_queued(db, 8);
    turnstile_open(&gate);
    db_close(db);
    for (int i = 0; i < 8; i++) {
        pthread_join(tasks[i].thread, NULL);
        assert_int_equal(tasks[i].status, OK);
    }
    GOOD(db_open(folder->db, &db, err));
    assert_int_equal(number(db, "SELECT count(*) FROM item"), 8);
    db_close(db);
}

/* ---- bugs of the caller */

static enum status write_within(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx;
    static int64_t one = 1;
    return db_write(context, add_item, &one, err);
}

static void nest_writes(void *context)
{
    struct db *db = open_with_items(context);
    db_write(db, write_within, db, NULL);
}

static enum status keep_statement(struct db_conn *tx, void *context, struct error *err)
{
    return db_prepare(tx, "SELECT 1", context, err);
}

static void take_a_statement_out_of_its_write(void *context)
{
    struct db *db = open_with_items(context);
    struct stmt *stmt = NULL;
    db_write(db, keep_statement, &stmt, NULL);
}

static void write_properly(void *context)
{
    struct db *db = open_with_items(context);
    int64_t one = 1;
    db_write(db, add_item, &one, NULL);
    db_close(db);
}

static void test_a_write_within_a_write_is_a_bug(void **state)
{
    assert_true(is_refused_as_a_bug(nest_writes, *state));
}

static void test_a_statement_that_outlives_its_write_is_a_bug(void **state)
{
    assert_true(is_refused_as_a_bug(take_a_statement_out_of_its_write, *state));
}

static void test_a_proper_write_is_no_bug(void **state)
{
    assert_false(is_refused_as_a_bug(write_properly, *state));
}

/* ---- several processes */

#define SHARED_WRITES 150

static enum status count_up(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return db_exec(tx, "UPDATE counter SET n = n + 1", err);
}

static void write_from_a_process(void *context)
{
    struct folder *folder = context;
    struct db *db = NULL;
    /* The file is new: the processes also meet at its creation. */
    if (db_open(folder->db, &db, NULL) != OK ||
        script(db, "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, n BIGINT NOT NULL)", NULL) != OK ||
        script(db, "INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING", NULL) != OK)
        _exit(1);
    for (int i = 0; i < SHARED_WRITES; i++)
        if (db_write(db, count_up, NULL, NULL) != OK)
            _exit(2);
    db_close(db);
}

static void test_processes_that_write_at_the_same_time_lose_nothing(void **state)
{
    struct folder *folder = *state;
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            write_from_a_process(folder);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    assert_int_equal(number(db, "SELECT n FROM counter"), 3 * SHARED_WRITES);
    GOOD(db_check(db, err));
    db_close(db);
}

int main(void)
{
    /* First those that fork, while the process has no threads. */
    const struct CMUnitTest tests[] = {
        in_folder(test_a_write_within_a_write_is_a_bug),
        in_folder(test_a_statement_that_outlives_its_write_is_a_bug),
        in_folder(test_a_proper_write_is_no_bug),
        in_folder(test_processes_that_write_at_the_same_time_lose_nothing),
        in_folder(test_each_writer_of_many_sees_its_write_at_once),
        in_folder(test_writes_that_wait_together_share_a_transaction),
        in_folder(test_writes_that_do_not_wait_have_a_transaction_each),
        in_folder(test_a_failing_write_of_a_group_is_undone_and_leaves_the_others_alone),
        in_folder(test_a_write_can_go_on_after_a_conflict),
        in_folder(test_a_key_that_is_checked_late_costs_only_its_own_write),
        in_folder(test_nobody_is_told_ok_when_the_transaction_of_the_group_is_lost),
        in_folder(test_the_hook_sees_what_a_group_wrote_once_and_before_it_is_committed),
        in_folder(test_when_the_hook_fails_every_write_of_the_group_does),
        in_folder(test_the_hook_is_not_called_for_writes_that_all_failed),
        in_folder(test_a_hook_that_loses_the_transaction_loses_the_group),
        in_folder(test_the_hook_may_write_to_another_database),
        in_folder(test_closing_waits_for_what_is_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
