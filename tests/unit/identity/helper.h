/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_UNIT_IDENTITY_HELPER_H
#define CAIRN_TESTS_UNIT_IDENTITY_HELPER_H

#include "../db/helper.h"
#include "base/arena.h"
#include "identity/key.h"

/* A database with the tables of this part, in a folder for one test, and shorthands for what every test does with it.
 */
struct town {
    struct folder *folder;
    struct db *db;
    struct arena arena;
};

static inline int town_setup(void **state)
{
    struct town *town = calloc(1, sizeof *town);
    const struct migration_set sets[] = {event_migrations, identity_migrations};
    *state = town;
    return folder_setup((void **)&town->folder) == 0 && db_open(town->folder->db, &town->db, NULL) == OK &&
                   db_migrate(town->db, sets, 2, NULL) == OK
               ? 0
               : -1;
}

static inline int town_teardown(void **state)
{
    struct town *town = *state;
    db_close(town->db);
    folder_teardown((void **)&town->folder);
    arena_free(&town->arena);
    free(town);
    return 0;
}

#define in_town(test) cmocka_unit_test_setup_teardown(test, town_setup, town_teardown)

static inline enum status make(struct town *town, enum account_kind kind, const char *name, int64_t *id,
                               struct error *err)
{
    struct account_new new = {.kind = kind, .name = str_of(name)};
    return account_create(town->db, &new, 0, id, err);
}

static inline int64_t add_user(struct town *town, const char *name)
{
    int64_t id = 0;
    GOOD(make(town, ACCOUNT_USER, name, &id, err));
    return id;
}

static inline int64_t add_org(struct town *town, const char *name)
{
    int64_t id = 0;
    GOOD(make(town, ACCOUNT_ORG, name, &id, err));
    return id;
}

static inline enum status find(struct town *town, const char *name, struct account *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(town->db, &conn, err));
    return account_find(conn, &town->arena, str_of(name), out, err);
}

static inline enum status join(struct town *town, const char *org, const char *user, enum role role, struct error *err)
{
    return member_set(town->db, str_of(org), str_of(user), role, 0, err);
}

static inline enum role role_in(struct town *town, int64_t account_id, int64_t owner_id)
{
    auto_conn struct db_conn *conn = NULL;
    enum role role = ROLE_NONE;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(account_role_in(conn, account_id, owner_id, &role, err));
    return role;
}

/* value absent makes a token. */
static inline enum status add_key_by(struct town *town, const char *user, const char *name, enum role role,
                                     struct str value, int64_t by_id, struct str *token, struct error *err)
{
    const struct key_new new = {
        .user = str_of(user), .name = str_of(name), .role = role, .value = value, .days = KEY_DAYS, .by_id = by_id};
    return key_create(town->db, &town->arena, &new, token, err);
}

static inline enum status add_key(struct town *town, const char *user, const char *name, const char *value,
                                  struct str *token, struct error *err)
{
    return add_key_by(town, user, name, ROLE_WRITE, str_of(value), 0, token, err);
}

static inline struct str new_token(struct town *town, const char *user, const char *name)
{
    struct str token = {0};
    GOOD(add_key(town, user, name, NULL, &token, err));
    return token;
}

static inline enum status revoke_key(struct town *town, const char *user, const char *name, struct error *err)
{
    return key_revoke(town->db, str_of(user), str_of(name), 0, err);
}

static inline enum status authenticate(struct town *town, struct str token, struct actor *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(town->db, &conn, err));
    return actor_authenticate(conn, &town->arena, token, STR("192.0.2.7"), out, err);
}

static inline int64_t event_count(struct town *town)
{
    return number(town->db, "SELECT count(*) FROM event");
}

/* "kind body" of the last event. */
static inline struct str last_event(struct town *town)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *last = NULL;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(db_prepare(conn, "SELECT kind || ' ' || body FROM event ORDER BY id DESC LIMIT 1", &last, err));
    struct str text = stmt_next(last) ? arena_copy(&town->arena, stmt_str(last, 0)) : STR("");
    GOOD(stmt_end(last, err));
    return text;
}

#define assert_text(want, got)                                                                                         \
    do {                                                                                                               \
        struct str text_ = (got);                                                                                      \
        assert_int_equal(strlen(want), text_.len);                                                                     \
        assert_memory_equal(want, text_.data, text_.len);                                                              \
    } while (0)

#define assert_has(text, part) assert_true(str_has(text, str_of(part)))
#define assert_lacks(text, part) assert_false(str_has(text, str_of(part)))

#endif
