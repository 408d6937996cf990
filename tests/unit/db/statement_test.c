/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"

static struct db *open_with_accounts(struct folder *folder)
{
    struct db *db = NULL;
    GOOD(db_open(folder->db, &db, err));
    GOOD(script(db,
                "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT UNIQUE, avatar BLOB,"
                "                      age BIGINT NOT NULL DEFAULT 1 CHECK (age > 0));"
                "CREATE TABLE token (id INTEGER PRIMARY KEY, account BIGINT REFERENCES account);",
                err));
    return db;
}

static const char add_account[] = "INSERT INTO account (name, avatar) VALUES (?, ?)";

struct account {
    struct str name, avatar;
    int64_t id;
};

static enum status account_add(struct db_conn *tx, void *context, struct error *err)
{
    struct account *account = context;
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, add_account, &add, err));
    stmt_bind_str(add, 1, account->name);
    if (str_given(account->avatar))
        stmt_bind_blob(add, 2, account->avatar.data, account->avatar.len);
    else
        stmt_bind_null(add, 2);
    TRY(stmt_run(add, err));
    account->id = db_last_id(tx);
    return OK;
}

static void test_values_come_back_as_they_were_bound(void **state)
{
    struct db *db = open_with_accounts(*state);
    struct account accounts[] = {
        {.name = STR("ana\0b"), .avatar = {"\0\xff", 2}},
        {.name = STR(""), .avatar = STR("")},
        {.name = {0}, .avatar = {0}},
    };
    for (int i = 0; i < 3; i++) {
        GOOD(db_write(db, account_add, &accounts[i], err));
        assert_int_equal(accounts[i].id, i + 1);
    }
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    auto_stmt struct stmt *list = NULL;
    GOOD(db_prepare(conn, "SELECT id, name, avatar FROM account ORDER BY id", &list, err));
    for (int i = 0; i < 3; i++) {
        assert_true(stmt_next(list));
        assert_int_equal(stmt_int(list, 0), i + 1);
        assert_int_equal(str_given(stmt_str(list, 1)), i < 2);
        assert_int_equal(stmt_is_null(list, 1), i == 2);
        assert_true(str_eq(stmt_str(list, 1), accounts[i].name));
        assert_int_equal(str_given(stmt_str(list, 2)), i < 2);
        assert_true(str_eq(stmt_str(list, 2), accounts[i].avatar));
    }
    assert_false(stmt_next(list));
    assert_false(stmt_next(list)); /* and does not start again */
    GOOD(stmt_end(list, err));
    stmt_release(&list);
    assert_null(list);
    stmt_release(&list); /* nothing */
    db_release(&conn);
    db_close(db);
}

static void test_numbers_keep_all_their_bits(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    auto_stmt struct stmt *echo = NULL;
    GOOD(db_prepare(conn, "SELECT ?", &echo, err));
    static const int64_t values[] = {0, -1, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        stmt_bind_int(echo, 1, values[i]);
        assert_true(stmt_next(echo));
        assert_true(stmt_int(echo, 0) == values[i]);
        GOOD(stmt_end(echo, err));
    }
    stmt_release(&echo);
    db_release(&conn);
    db_close(db);
}

static void test_a_statement_is_prepared_once_for_each_of_its_uses_at_a_time(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    static const char sql[] = "SELECT ?";
    struct stmt *first = NULL, *second = NULL, *third = NULL;
    GOOD(db_prepare(conn, sql, &first, err));
    const struct stmt *remembered = first;
    stmt_release(&first);
    GOOD(db_prepare(conn, sql, &second, err));
    assert_ptr_equal(second, remembered);
    GOOD(db_prepare(conn, sql, &third, err)); /* while the second is in use */
    assert_ptr_not_equal(third, second);
    stmt_bind_int(second, 1, 2);
    stmt_bind_int(third, 1, 3);
    assert_true(stmt_next(second) && stmt_next(third));
    assert_int_equal(stmt_int(second, 0), 2);
    assert_int_equal(stmt_int(third, 0), 3);
    stmt_release(&second);
    stmt_release(&third);
    db_release(&conn);
    db_close(db);
}

static void test_a_connection_remembers_hundreds_of_statements(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    static char sql[500][24];
    const struct stmt *known[500];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
            auto_stmt struct stmt *stmt = NULL;
            GOOD(db_prepare(conn, sql[i], &stmt, err));
            assert_true(stmt_next(stmt));
            assert_int_equal(stmt_int(stmt, 0), i);
            if (round == 0)
                known[i] = stmt;
            assert_ptr_equal(known[i], stmt);
        }
    }
    db_release(&conn);
    db_close(db);
}

static void test_a_forgotten_parameter_is_an_error_and_a_null_is_not(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    auto_stmt struct stmt *pair = NULL;
    GOOD(db_prepare(conn, "SELECT ?, ?", &pair, err));
    stmt_bind_int(pair, 1, 1);
    EXPECT(INTERNAL, stmt_run(pair, err));
    stmt_bind_int(pair, 2, 1); /* the first has been forgotten */
    EXPECT(INTERNAL, stmt_run(pair, err));
    stmt_bind_int(pair, 1, 1);
    stmt_bind_null(pair, 2);
    GOOD(stmt_run(pair, err));
    stmt_bind_int(pair, 1, 1);
    stmt_bind_int(pair, 2, 1);
    stmt_bind_int(pair, 3, 1); /* there is none */
    EXPECT(INTERNAL, stmt_run(pair, err));
    stmt_release(&pair);
    db_release(&conn);
    db_close(db);
}

static void test_constraints_are_told_apart(void **state)
{
    struct db *db = open_with_accounts(*state);
    GOOD(script(db, "INSERT INTO account (id, name) VALUES (1, 'ana')", err));
    GOOD(script(db, "INSERT INTO token VALUES (1, 1)", err));
    EXPECT(CONFLICT, script(db, "INSERT INTO account (name) VALUES ('ana')", err));
    EXPECT(CONFLICT, script(db, "INSERT INTO account (id, name) VALUES (1, 'bo')", err));
    EXPECT(CONFLICT, script(db, "INSERT INTO token VALUES (2, 99)", err));
    EXPECT(CONFLICT, script(db, "DELETE FROM account WHERE id = 1", err));
    EXPECT(INTERNAL, script(db, "INSERT INTO account (name, age) VALUES ('bo', 0)", err));
    EXPECT(INTERNAL, script(db, "INSERT INTO account (name, age) VALUES ('bo', NULL)", err));
    EXPECT(INTERNAL, script(db, "INSERT INTO nowhere VALUES (1)", err));
    EXPECT(INTERNAL, script(db, "INSERT gibberish", err));

    struct account again = {.name = STR("ana"), .avatar = STR("x")};
    EXPECT(CONFLICT, db_write(db, account_add, &again, err));
    struct account other = {.name = STR("bo"), .avatar = STR("x")};
    GOOD(db_write(db, account_add, &other, err));
    db_close(db);
}

static void test_only_one_statement_is_prepared_at_a_time(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    struct stmt *stmt = NULL;
    EXPECT(INTERNAL, db_prepare(conn, "SELECT 1; SELECT 2", &stmt, err));
    EXPECT(INTERNAL, db_prepare(conn, "", &stmt, err));
    assert_null(stmt);
    GOOD(db_prepare(conn, "SELECT 1;\n", &stmt, err));
    stmt_release(&stmt);
    db_release(&conn);
    db_close(db);
}

static void test_a_reader_cannot_write(void **state)
{
    struct db *db = open_with_accounts(*state);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    EXPECT(UNAVAILABLE, db_exec(conn, "INSERT INTO account (name) VALUES ('ana')", err));
    db_release(&conn);
    assert_int_equal(number(db, "SELECT count(*) FROM account"), 0);
    GOOD(script(db, "INSERT INTO account (name) VALUES ('ana')", err));
    db_close(db);
}

static void test_a_script_may_hold_comments_and_several_statements(void **state)
{
    struct db *db = open_with_accounts(*state);
    GOOD(script(db,
                "-- two\nINSERT INTO account (name) VALUES ('a;b');\n; /* and */ INSERT INTO account (name) VALUES "
                "('c'); -- end",
                err));
    assert_int_equal(number(db, "SELECT count(*) FROM account"), 2);
    EXPECT(CONFLICT,
           script(db, "INSERT INTO account (name) VALUES ('d'); INSERT INTO account (name) VALUES ('c')", err));
    assert_int_equal(number(db, "SELECT count(*) FROM account"), 2);
    db_close(db);
}

/* ---- readers */

static void test_the_reader_given_back_last_is_lent_first(void **state)
{
    struct db *db = open_with_accounts(*state);
    struct db_conn *one = NULL, *two = NULL, *next = NULL;
    GOOD(db_reader(db, &one, err));
    GOOD(db_reader(db, &two, err)); /* by the same thread */
    assert_ptr_not_equal(one, two);
    const struct db_conn *last = one;
    db_release(&two);
    db_release(&one);
    assert_null(one);
    db_release(&one); /* nothing */
    GOOD(db_reader(db, &next, err));
    assert_ptr_equal(next, last);
    struct db_stats stats;
    db_stats(db, &stats);
    assert_int_equal(stats.readers_open, 2);
    assert_int_equal(stats.readers_lent, 1);
    db_release(&next);
    db_close(db);
}

static void test_a_running_statement_keeps_its_view_and_the_next_sees_what_is_new(void **state)
{
    struct db *db = open_with_accounts(*state);
    GOOD(script(db, "INSERT INTO account (name) VALUES ('a'), ('b')", err));
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(db, &conn, err));
    auto_stmt struct stmt *list = NULL;
    GOOD(db_prepare(conn, "SELECT name FROM account ORDER BY id", &list, err));
    assert_true(stmt_next(list));
    GOOD(script(db, "INSERT INTO account (name) VALUES ('c')", err));
    int rows = 1;
    while (stmt_next(list))
        rows++;
    GOOD(stmt_end(list, err));
    assert_int_equal(rows, 2);
    rows = 0;
    while (stmt_next(list))
        rows++;
    assert_int_equal(rows, 3);
    stmt_release(&list);
    db_release(&conn);
    db_close(db);
}

struct late_reader {
    struct db *db;
    enum status status;
};

static void *read_late(void *context)
{
    struct late_reader *reader = context;
    auto_conn struct db_conn *conn = NULL;
    reader->status = db_reader(reader->db, &conn, NULL);
    return NULL;
}

static void test_who_finds_all_readers_lent_waits_for_one(void **state)
{
    struct db *db = open_with_accounts(*state);
    struct db_conn *lent[128] = {0};
    for (int i = 0; i < 128; i++)
        GOOD(db_reader(db, &lent[i], err));
    struct late_reader late = {.db = db, .status = INTERNAL};
    pthread_t thread;
    pthread_create(&thread, NULL, read_late, &late);
    db_release(&lent[5]);
    pthread_join(thread, NULL);
    assert_int_equal(late.status, OK);
    struct db_stats stats;
    db_stats(db, &stats);
    assert_int_equal(stats.readers_open, 128);
    for (int i = 0; i < 128; i++)
        db_release(&lent[i]);
    db_close(db);
}

static void test_a_reader_that_cannot_be_opened_is_an_error_for_the_moment(void **state)
{
    struct db *db = open_with_accounts(*state);
    struct db_conn *conn = NULL;
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    EXPECT(UNAVAILABLE, db_reader(db, &conn, err));
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_null(conn);
    GOOD(db_reader(db, &conn, err));
    struct db_stats stats;
    db_stats(db, &stats);
    assert_int_equal(stats.readers_open, 1);
    assert_int_equal(stats.readers_lent, 1);
    db_release(&conn);
    db_close(db);
}

/* ---- bugs of the caller */

static void use_after_release(void *context)
{
    struct db *db = open_with_accounts(context);
    struct db_conn *conn = NULL;
    struct stmt *stmt = NULL;
    db_reader(db, &conn, NULL);
    db_prepare(conn, "SELECT 1", &stmt, NULL);
    struct stmt *copy = stmt;
    stmt_release(&stmt);
    stmt_next(copy);
}

static void release_reader_first(void *context)
{
    struct db *db = open_with_accounts(context);
    struct db_conn *conn = NULL;
    struct stmt *stmt = NULL;
    db_reader(db, &conn, NULL);
    db_prepare(conn, "SELECT 1", &stmt, NULL);
    db_release(&conn);
}

static void read_a_column_after_the_last_row(void *context)
{
    struct db *db = open_with_accounts(context);
    struct db_conn *conn = NULL;
    struct stmt *stmt = NULL;
    db_reader(db, &conn, NULL);
    db_prepare(conn, "SELECT 1", &stmt, NULL);
    while (stmt_next(stmt))
        stmt_int(stmt, 0);
    stmt_int(stmt, 0);
}

static void reuse_a_buffer_for_other_sql(void *context)
{
    struct db *db = open_with_accounts(context);
    struct db_conn *conn = NULL;
    struct stmt *stmt = NULL;
    char sql[] = "SELECT 1";
    db_reader(db, &conn, NULL);
    db_prepare(conn, sql, &stmt, NULL);
    stmt_release(&stmt);
    sql[7] = '2';
    db_prepare(conn, sql, &stmt, NULL);
}

static void read_properly(void *context)
{
    struct db *db = open_with_accounts(context);
    struct db_conn *conn = NULL;
    struct stmt *stmt = NULL;
    db_reader(db, &conn, NULL);
    db_prepare(conn, "SELECT 1", &stmt, NULL);
    while (stmt_next(stmt))
        stmt_int(stmt, 0);
    stmt_end(stmt, NULL);
    stmt_release(&stmt);
    db_release(&conn);
    db_close(db);
}

static void test_misuse_is_a_bug_and_use_is_not(void **state)
{
    assert_true(is_refused_as_a_bug(use_after_release, *state));
    folder_empty(*state);
    assert_true(is_refused_as_a_bug(release_reader_first, *state));
    folder_empty(*state);
    assert_true(is_refused_as_a_bug(read_a_column_after_the_last_row, *state));
    folder_empty(*state);
    assert_true(is_refused_as_a_bug(reuse_a_buffer_for_other_sql, *state));
    folder_empty(*state);
    assert_false(is_refused_as_a_bug(read_properly, *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_misuse_is_a_bug_and_use_is_not),
        in_folder(test_values_come_back_as_they_were_bound),
        in_folder(test_numbers_keep_all_their_bits),
        in_folder(test_a_statement_is_prepared_once_for_each_of_its_uses_at_a_time),
        in_folder(test_a_connection_remembers_hundreds_of_statements),
        in_folder(test_a_forgotten_parameter_is_an_error_and_a_null_is_not),
        in_folder(test_constraints_are_told_apart),
        in_folder(test_only_one_statement_is_prepared_at_a_time),
        in_folder(test_a_reader_cannot_write),
        in_folder(test_a_script_may_hold_comments_and_several_statements),
        in_folder(test_the_reader_given_back_last_is_lent_first),
        in_folder(test_a_running_statement_keeps_its_view_and_the_next_sees_what_is_new),
        in_folder(test_a_reader_that_cannot_be_opened_is_an_error_for_the_moment),
        in_folder(test_who_finds_all_readers_lent_waits_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
