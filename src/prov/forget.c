/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/forget.h"
#include "base/json.h"
#include "base/text.h"
#include "prov/compose.h"

#define BODY_MOST (1024 * 1024)

/* Leaves. */

static const char logged_sql[] = "SELECT " CHANGE_COLUMNS ", l.idx FROM leaf l JOIN event e "
                                 "ON e.id = l.event_id WHERE l.event_id > ? ORDER BY l.event_id";

enum status prov_person_leaves(struct db_conn *conn, struct person_leaves *leaves, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, logged_sql, &row, err));
    stmt_bind_int(row, 1, leaves->looked);
    while (stmt_next(row)) {
        struct composition composed;
        struct change change = change_read(row);
        arena_reset(&arena);
        TRY(compose(&arena, &change, &composed, err));
        leaves->looked = change.id;
        if (composed.actor_id != leaves->account_id && composed.owner_id != leaves->account_id)
            continue;
        leaves->indices =
            array_room(&leaves->arena, leaves->indices, leaves->count, &leaves->capacity, sizeof *leaves->indices);
        leaves->indices[leaves->count++] = (uint64_t)stmt_int(row, 7);
    }
    return stmt_end(row, err);
}

static const char behind_sql[] = "SELECT 1 FROM event WHERE id > (SELECT event_id FROM leaf_cursor) LIMIT 1";

enum status prov_caught_up(struct db_conn *conn, bool *out, struct error *err)
{
    auto_stmt struct stmt *behind = NULL;
    TRY(db_prepare(conn, behind_sql, &behind, err));
    *out = !stmt_next(behind);
    return stmt_end(behind, err);
}

/* Names. */

#define EVENTS_AT_ONCE 256

struct forgetting {
    int64_t account_id, looked;
    struct str name;
    struct arena arena; /* of one round */
    struct {
        int64_t id;
        struct str body;
    } changed[EVENTS_AT_ONCE];
    size_t read, count;
};

static bool names_account(const json_t *body, const char *member, struct str name)
{
    struct str value = json_get_str(body, member);
    return value.len >= name.len && str_eq_nocase(str_slice(value, 0, name.len), name) &&
           (value.len == name.len || value.data[name.len] == '/');
}

/* Events that are about the person have the number under "user" or "account"; what is called "name" there is the person's own
 * text, such as the name of a token, and "hint" tells a public key. */
static bool forget_in_body(const struct forgetting *forgetting, json_t *body)
{
    static const char *const members[] = {"name", "from", "to", "user_name", "hint"};
    bool about = json_get_int(body, "user", 0) == forgetting->account_id ||
                 json_get_int(body, "account", 0) == forgetting->account_id;
    bool any = false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(body, members[i]) && (about || names_account(body, members[i], forgetting->name)))
            any = json_object_del(body, members[i]) == 0 || any;
    return any;
}

static const char bodies_sql[] = "SELECT id, body FROM event WHERE id > ? AND id <= (SELECT event_id FROM leaf_cursor) "
                                 "ORDER BY id LIMIT 256";

static enum status read_round(struct db_conn *conn, struct forgetting *forgetting, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, bodies_sql, &row, err));
    stmt_bind_int(row, 1, forgetting->looked);
    forgetting->read = forgetting->count = 0;
    while (forgetting->read < EVENTS_AT_ONCE && stmt_next(row)) {
        auto_json json_t *body = NULL;
        auto_buf struct buf text = {0};
        forgetting->read++;
        forgetting->looked = stmt_int(row, 0);
        if (json_read(stmt_str(row, 1), BODY_MOST, &body, NULL) != OK || !json_is_object(body) ||
            !forget_in_body(forgetting, body))
            continue;
        json_dump(body, &text);
        forgetting->changed[forgetting->count].id = forgetting->looked;
        forgetting->changed[forgetting->count++].body = arena_copy(&forgetting->arena, buf_view(&text));
    }
    return stmt_end(row, err);
}

static enum status write_round(struct db_conn *tx, void *context, struct error *err)
{
    const struct forgetting *forgetting = context;
    for (size_t i = 0; i < forgetting->count; i++) {
        auto_stmt struct stmt *put = NULL;
        TRY(db_prepare(tx, "UPDATE event SET body = ? WHERE id = ?", &put, err));
        stmt_bind_str(put, 1, forgetting->changed[i].body);
        stmt_bind_int(put, 2, forgetting->changed[i].id);
        TRY(stmt_run(put, err));
    }
    return OK;
}

static enum status forget_round(struct db *db, struct forgetting *forgetting, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    arena_reset(&forgetting->arena);
    TRY(db_reader(db, &conn, err));
    TRY(read_round(conn, forgetting, err));
    db_release(&conn);
    return forgetting->count ? db_write(db, write_round, forgetting, err) : OK;
}

enum status prov_forget_names(struct db *db, int64_t account_id, struct str name, struct error *err)
{
    struct forgetting forgetting = {.account_id = account_id, .name = name};
    enum status status;
    do
        status = forget_round(db, &forgetting, err);
    while (status == OK && forgetting.read == EVENTS_AT_ONCE);
    arena_free(&forgetting.arena);
    return status;
}

/* At the start. */

enum status prov_forget_erased(struct db *db, struct persons *persons, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *erased = NULL;
    int64_t *ids = NULL;
    size_t count = 0, capacity = 0;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "SELECT id FROM account WHERE erased_us IS NOT NULL", &erased, err));
    while (stmt_next(erased)) {
        ids = array_room(&arena, ids, count, &capacity, sizeof *ids);
        ids[count++] = stmt_int(erased, 0);
    }
    TRY(stmt_end(erased, err));
    return persons_prune(persons, ids, count, err);
}
