/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/sqlite.h"
#include <assert.h>

#define TABLE_START 64

static struct stmt **table_slot(struct stmt **table, size_t capacity, const char *sql)
{
    size_t i = (size_t)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (capacity - 1);
    while (table[i] != NULL && table[i]->sql != sql)
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

/* The old table stays in the arena: with doubling, all of them together are smaller than the last. */
static void table_grow(struct db_conn *conn)
{
    size_t capacity = conn->capacity == 0 ? TABLE_START : 2 * conn->capacity;
    struct stmt **table = arena_array(&conn->arena, capacity, sizeof(struct stmt *));
    for (size_t i = 0; i < conn->capacity; i++)
        if (conn->table[i] != NULL)
            *table_slot(table, capacity, conn->table[i]->sql) = conn->table[i];
    conn->table = table;
    conn->capacity = capacity;
}

static enum status compile(struct db_conn *conn, const char *sql, sqlite3_stmt **out, struct error *err)
{
    const char *rest = sql;
    int code = sqlite3_prepare_v3(conn->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, &rest);
    if (code != SQLITE_OK)
        return conn_fail(conn, code, err);
    if (*out == NULL || rest[strspn(rest, "; \n\t")] != '\0') {
        sqlite3_finalize(*out);
        return fail(err, INTERNAL, NULL, "db_prepare() takes one statement.");
    }
    return OK;
}

static void lend(struct stmt *stmt, struct stmt **out)
{
    stmt->lent = true;
    stmt->conn->stmts_lent++;
    *out = stmt;
}

enum status db_prepare(struct db_conn *conn, const char *sql, struct stmt **out, struct error *err)
{
    assert(conn->magic == CONN_MAGIC);
    if (4 * (conn->count + 1) > 3 * conn->capacity)
        table_grow(conn);
    struct stmt **slot = table_slot(conn->table, conn->capacity, sql);
    for (struct stmt *stmt = *slot; stmt != NULL; stmt = stmt->twin) {
        if (stmt->lent)
            continue;
        /* Whoever passes a buffer and not a static string would be given the statement of what it held before. */
        const char *known = sqlite3_sql(stmt->handle);
        assert(strncmp(sql, known, strlen(known)) == 0);
        lend(stmt, out);
        return OK;
    }

    sqlite3_stmt *handle = NULL;
    TRY(compile(conn, sql, &handle, err));
    struct stmt *stmt = arena_alloc(&conn->arena, sizeof(*stmt));
    *stmt = (struct stmt){.magic = STMT_MAGIC, .conn = conn, .sql = sql, .handle = handle, .twin = *slot};
    conn->count += *slot == NULL;
    *slot = stmt;
    lend(stmt, out);
    return OK;
}

static void check(const struct stmt *stmt)
{
    assert(stmt->magic == STMT_MAGIC && stmt->lent);
}

/* What was bound is forgotten, because it may be gone: it was not copied. */
static void make_ready(struct stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle);
    stmt->bound = 0;
    stmt->state = STMT_READY;
}

void stmt_release(struct stmt **lent)
{
    struct stmt *stmt = *lent;
    if (stmt == NULL)
        return;
    check(stmt);
    make_ready(stmt);
    stmt->lent = false;
    stmt->conn->stmts_lent--;
    *lent = NULL;
}

void conn_free_statements(struct db_conn *conn)
{
    for (size_t i = 0; i < conn->capacity; i++)
        for (struct stmt *stmt = conn->table[i]; stmt != NULL; stmt = stmt->twin)
            sqlite3_finalize(stmt->handle);
    arena_free(&conn->arena);
}

/* The first error is the one that stmt_end() reports: later ones follow from it. */
static void latch(struct stmt *stmt, int code)
{
    if (code == SQLITE_OK || stmt->state == STMT_FAILED)
        return;
    conn_fail(stmt->conn, code, &stmt->failure);
    stmt->state = STMT_FAILED;
}

static void bound(struct stmt *stmt, int position, int code)
{
    latch(stmt, code);
    if (position >= 1 && position <= 64)
        stmt->bound |= UINT64_C(1) << (position - 1);
}

void stmt_bind_int(struct stmt *stmt, int position, int64_t value)
{
    check(stmt);
    bound(stmt, position, sqlite3_bind_int64(stmt->handle, position, value));
}

void stmt_bind_str(struct stmt *stmt, int position, struct str value)
{
    check(stmt);
    bound(stmt, position,
          sqlite3_bind_text64(stmt->handle, position, value.data, value.len, SQLITE_STATIC, SQLITE_UTF8));
}

void stmt_bind_blob(struct stmt *stmt, int position, const void *data, size_t len)
{
    check(stmt);
    /* SQLite takes a null pointer for NULL, where we mean no bytes. */
    bound(stmt, position, sqlite3_bind_blob64(stmt->handle, position, len > 0 ? data : "", len, SQLITE_STATIC));
}

void stmt_bind_null(struct stmt *stmt, int position)
{
    check(stmt);
    bound(stmt, position, sqlite3_bind_null(stmt->handle, position));
}

/* A forgotten parameter would be NULL and the statement quietly wrong. */
static bool all_bound(const struct stmt *stmt)
{
    int count = sqlite3_bind_parameter_count(stmt->handle);
    uint64_t all = count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    return (stmt->bound & all) == all;
}

static void start(struct stmt *stmt)
{
    struct db_conn *conn = stmt->conn;
    if (!all_bound(stmt)) {
        fail(&stmt->failure, INTERNAL, NULL, "A parameter has no value in: %s", stmt->sql);
        stmt->state = STMT_FAILED;
    } else if (conn->in_job && sqlite3_get_autocommit(conn->handle)) {
        /* An earlier error made SQLite roll the transaction back; from here on each statement would commit by itself.
         */
        latch(stmt, SQLITE_ABORT_ROLLBACK);
    }
}

bool stmt_next(struct stmt *stmt)
{
    check(stmt);
    if (stmt->state == STMT_READY)
        start(stmt);
    /* A statement that is done would start again if it were stepped. */
    if (stmt->state == STMT_DONE || stmt->state == STMT_FAILED)
        return false;
    int code = sqlite3_step(stmt->handle);
    if (code == SQLITE_ROW)
        stmt->state = STMT_ROW;
    else if (code == SQLITE_DONE)
        stmt->state = STMT_DONE;
    else
        latch(stmt, code);
    return code == SQLITE_ROW;
}

enum status stmt_end(struct stmt *stmt, struct error *err)
{
    check(stmt);
    enum status status = stmt->state == STMT_FAILED ? stmt->failure.status : OK;
    if (status != OK && err != NULL)
        *err = stmt->failure;
    make_ready(stmt);
    return status;
}

enum status stmt_run(struct stmt *stmt, struct error *err)
{
    while (stmt_next(stmt))
        continue;
    return stmt_end(stmt, err);
}

enum status conn_run(struct db_conn *conn, const char *sql, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    return stmt_run(stmt, err);
}

static void check_column(const struct stmt *stmt, int column)
{
    check(stmt);
    assert(column >= 0 && column < sqlite3_data_count(stmt->handle));
}

int64_t stmt_int(struct stmt *stmt, int column)
{
    check_column(stmt, column);
    return sqlite3_column_int64(stmt->handle, column);
}

struct str stmt_str(struct stmt *stmt, int column)
{
    check_column(stmt, column);
    if (sqlite3_column_type(stmt->handle, column) == SQLITE_NULL)
        return (struct str){0};
    const char *data = sqlite3_column_blob(stmt->handle, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt->handle, column);
    return data != NULL ? (struct str){data, len} : STR(""); /* SQLite has no address for an empty blob */
}

bool stmt_is_null(struct stmt *stmt, int column)
{
    check_column(stmt, column);
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

enum status db_run_each(struct db_conn *tx, const char *const *sqls, int64_t number, struct error *err)
{
    for (; sqls && *sqls; sqls++) {
        auto_stmt struct stmt *stmt = NULL;
        TRY(db_prepare(tx, *sqls, &stmt, err));
        stmt_bind_int(stmt, 1, number);
        TRY(stmt_run(stmt, err));
    }
    return OK;
}
