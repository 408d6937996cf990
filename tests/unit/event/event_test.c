/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "base/time.h"
#include "event/event.h"

static const struct event_kind push = {"repo.push", 2};

static struct db *open_with_events(struct folder *folder)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(db_migrate(db, &event_migrations, 1, err));
    return db;
}

static enum status append(struct db_conn *tx, void *context, struct error *err)
{
    return event_append(tx, context, err);
}

static enum status append_then_refuse(struct db_conn *tx, void *context, struct error *err)
{
    TRY(event_append(tx, context, err));
    return fail(err, STALE, NULL, "The branch moved.");
}

static struct event about(int64_t repo_id)
{
    return (struct event){.kind = &push, .repo_id = repo_id, .actor_id = 3, .body = STR("{\"ref\":\"main\"}")};
}

/* ids and sequence numbers without a gap: of count different numbers from first, the highest is known */
#define GAPLESS_IDS "SELECT count(*) = coalesce(max(id), 0) AND coalesce(min(id), 1) = 1 FROM event"
#define REPOS_WITH_GAPS                                                                                                \
    "SELECT count(*) FROM (SELECT repo_id FROM event WHERE repo_id <> 0 GROUP BY repo_id "                             \
    "HAVING min(repo_seq) <> 0 OR max(repo_seq) <> count(*) - 1 OR count(DISTINCT repo_seq) <> count(*))"

static void test_an_event_is_kept_as_it_was_told(void **state)
{
    struct db *db = open_with_events(*state);
    struct event event = about(12);
    int64_t before = now_us();
    GOOD(db_write(db, append, &event, err));
    int64_t after = now_us();
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(db, &conn, err));
    GOOD(db_prepare(conn, "SELECT id, at_us, kind, version, repo_id, repo_seq, actor_id, body FROM event", &row, err));
    assert_true(stmt_next(row));
    assert_int_equal(stmt_int(row, 0), 1);
    assert_in_range(stmt_int(row, 1), before, after);
    assert_true(str_eq(stmt_str(row, 2), STR("repo.push")));
    assert_int_equal(stmt_int(row, 3), 2);
    assert_int_equal(stmt_int(row, 4), 12);
    assert_int_equal(stmt_int(row, 5), 0);
    assert_int_equal(stmt_int(row, 6), 3);
    assert_true(str_eq(stmt_str(row, 7), event.body));
    assert_false(stmt_next(row));
    stmt_release(&row);
    db_release(&conn);
    db_close(db);
}

static void test_each_repo_counts_its_own_events_from_zero(void **state)
{
    struct db *db = open_with_events(*state);
    static const int64_t repos[] = {5, 9, 5, 0, 5, 9, 0};
    static const int64_t numbers[] = {0, 0, 1, 0, 2, 1, 0};
    for (int i = 0; i < 7; i++) {
        struct event event = about(repos[i]);
        GOOD(db_write(db, append, &event, err));
        assert_int_equal(number(db, "SELECT max(id) FROM event"), i + 1);
        assert_int_equal(number(db, "SELECT repo_seq FROM event ORDER BY id DESC LIMIT 1"), numbers[i]);
    }
    assert_int_equal(number(db, REPOS_WITH_GAPS), 0);
    db_close(db);
}

static void test_an_event_of_a_refused_write_leaves_no_gap(void **state)
{
    struct db *db = open_with_events(*state);
    struct event events[] = {about(1), about(1), about(2), about(1), about(0)};
    struct task tasks[] = {{.fn = append, .context = &events[0]},
                           {.fn = append_then_refuse, .context = &events[1]},
                           {.fn = append_then_refuse, .context = &events[2]},
                           {.fn = append, .context = &events[3]},
                           {.fn = append, .context = &events[4]}};
    run_as_one_group(db, tasks, 5);
    assert_int_equal(tasks[1].status, STALE);
    assert_int_equal(number(db, "SELECT count(*) FROM event"), 3);
    assert_int_equal(number(db, GAPLESS_IDS), 1);
    assert_int_equal(number(db, REPOS_WITH_GAPS), 0);
    assert_int_equal(number(db, "SELECT max(repo_seq) FROM event WHERE repo_id = 1"), 1);
    db_close(db);
}

static enum status append_three(struct db_conn *tx, void *context, struct error *err)
{
    for (int i = 0; i < 3; i++)
        TRY(event_append(tx, context, err));
    return OK;
}

static void *append_many(void *context)
{
    for (int64_t i = 0; i < 30; i++) {
        struct event event = about(i % 4);
        db_write(context, i % 5 == 0 ? append_then_refuse : append_three, &event, NULL);
    }
    return NULL;
}

static void test_many_threads_leave_no_gap(void **state)
{
    struct db *db = open_with_events(*state);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, append_many, db);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(number(db, "SELECT count(*) FROM event"), 8 * 24 * 3);
    assert_int_equal(number(db, GAPLESS_IDS), 1);
    assert_int_equal(number(db, REPOS_WITH_GAPS), 0);
    db_close(db);
}

static void test_a_repo_cannot_have_one_number_twice_but_the_hub_can(void **state)
{
    struct db *db = open_with_events(*state);
#define INSERT(repo, seq) "INSERT INTO event VALUES (NULL, 1, 'x', 1, " #repo ", " #seq ", 0, '{}')"
    GOOD(script(db, INSERT(4, 0), err));
    GOOD(script(db, INSERT(4, 1), err));
    EXPECT(CONFLICT, script(db, INSERT(4, 1), err));
    GOOD(script(db, INSERT(0, 0), err));
    GOOD(script(db, INSERT(0, 0), err));
    db_close(db);
}

/* Each write appends, so an append that reads all events of its repo would slow the hub down as it grows. */
static void test_the_next_number_is_found_by_the_index(void **state)
{
    struct db *db = open_with_events(*state);
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *plan = NULL;
    GOOD(db_reader(db, &conn, err));
    GOOD(db_prepare(conn, "EXPLAIN QUERY PLAN SELECT max(repo_seq) FROM event WHERE repo_id = ? AND repo_id <> 0",
                    &plan, err));
    stmt_bind_int(plan, 1, 1);
    assert_true(stmt_next(plan));
    assert_true(str_eq(stmt_str(plan, 3), STR("SEARCH event USING COVERING INDEX event_repo (repo_id=?)")));
    stmt_release(&plan);
    db_release(&conn);
    db_close(db);
}

/* ---- bugs of the caller */

static void append_text(void *context)
{
    struct db *db = open_with_events(context);
    struct event event = about(1);
    event.body = STR("ref=main");
    db_write(db, append, &event, NULL);
}

static void append_object(void *context)
{
    struct db *db = open_with_events(context);
    struct event event = about(1);
    db_write(db, append, &event, NULL);
    db_close(db);
}

static void test_a_body_that_is_no_object_is_a_bug(void **state)
{
    assert_true(is_refused_as_a_bug(append_text, *state));
    folder_empty(*state);
    assert_false(is_refused_as_a_bug(append_object, *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_a_body_that_is_no_object_is_a_bug),
        in_folder(test_an_event_is_kept_as_it_was_told),
        in_folder(test_each_repo_counts_its_own_events_from_zero),
        in_folder(test_an_event_of_a_refused_write_leaves_no_gap),
        in_folder(test_many_threads_leave_no_gap),
        in_folder(test_a_repo_cannot_have_one_number_twice_but_the_hub_can),
        in_folder(test_the_next_number_is_found_by_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
