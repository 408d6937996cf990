/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/private.h"
#include "db/db.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static const char create_sql[] = "CREATE TABLE person ("
                                 "  account_id INTEGER PRIMARY KEY,"
                                 "  secret BLOB NOT NULL);";
static const struct migration_set migrations = {"person", (const char *const[]){create_sql, NULL}};

struct persons {
    struct db *db;
};

enum status persons_open(const char *path, struct persons **out, struct error *err)
{
    struct db *db;
    TRY(db_open(path, &db, err));
    enum status status = db_migrate(db, &migrations, 1, err);
    if (status != OK) {
        db_close(db);
        return status;
    }
    *out = malloc(sizeof **out);
    if (!*out)
        abort();
    (*out)->db = db;
    return OK;
}

void persons_close(struct persons *persons)
{
    db_close(persons->db);
    free(persons);
}

/* Keys. */

static const char get_sql[] = "SELECT secret FROM person WHERE account_id = ?";

static enum status find_key(struct db_conn *conn, struct person *person, bool *found, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, person->account_id);
    *found = stmt_next(get);
    if (*found) {
        struct str key = stmt_str(get, 0);
        if (key.len != PERSON_KEY_SIZE)
            return fail(err, CORRUPT, NULL, "The key of account %lld is damaged. Restore persons.db from its backup.",
                        (long long)person->account_id);
        memcpy(person->key, key.data, PERSON_KEY_SIZE);
    }
    return stmt_end(get, err);
}

/* Events come with their actor and their owner, who are mostly the same. */
static enum status find_next_key(struct db_conn *conn, struct person *items, size_t at, bool *found, struct error *err)
{
    if (at == 0 || items[at].account_id != items[at - 1].account_id)
        return find_key(conn, &items[at], found, err);
    memcpy(items[at].key, items[at - 1].key, PERSON_KEY_SIZE);
    *found = true;
    return OK;
}

struct people {
    struct person *items;
    size_t count;
};

static const char add_sql[] = "INSERT INTO person (account_id, secret) VALUES (?, ?)";

static enum status make_missing(struct db_conn *tx, void *context, struct error *err)
{
    const struct people *people = context;
    for (size_t i = 0; i < people->count; i++) {
        bool found;
        TRY(find_next_key(tx, people->items, i, &found, err));
        if (found)
            continue;
        auto_stmt struct stmt *add = NULL;
        random_bytes(people->items[i].key, PERSON_KEY_SIZE);
        TRY(db_prepare(tx, add_sql, &add, err));
        stmt_bind_int(add, 1, people->items[i].account_id);
        stmt_bind_blob(add, 2, people->items[i].key, PERSON_KEY_SIZE);
        TRY(stmt_run(add, err));
    }
    return OK;
}

enum status persons_keys(struct persons *persons, struct person *items, size_t count, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct people people = {items, count};
    bool found = true;
    TRY(db_reader(persons->db, &conn, err));
    TRY(db_snapshot(conn, err));
    for (size_t i = 0; i < count && found; i++)
        TRY(find_next_key(conn, items, i, &found, err));
    db_release(&conn);
    return found ? OK : db_write(persons->db, make_missing, &people, err);
}

static enum status delete_key(struct db_conn *tx, void *context, struct error *err)
{
    auto_stmt struct stmt *erase = NULL;
    TRY(db_prepare(tx, "DELETE FROM person WHERE account_id = ?", &erase, err));
    stmt_bind_int(erase, 1, *(const int64_t *)context);
    return stmt_run(erase, err);
}

enum status persons_erase(struct persons *persons, int64_t account_id, struct error *err)
{
    if (account_id <= 0)
        return fail(err, INVALID, NULL, "The hub's own key is nobody's to erase.");
    TRY(db_write(persons->db, delete_key, &account_id, err));
    return db_forget(persons->db, err);
}

struct pruning {
    const int64_t *account_ids;
    size_t count;
    int64_t pruned;
};

static enum status prune(struct db_conn *tx, void *context, struct error *err)
{
    struct pruning *pruning = context;
    for (size_t i = 0; i < pruning->count; i++) {
        int64_t account_id = pruning->account_ids[i];
        TRY(delete_key(tx, &account_id, err));
        pruning->pruned += db_changes(tx);
    }
    return OK;
}

enum status persons_prune(struct persons *persons, const int64_t *account_ids, size_t count, struct error *err)
{
    struct pruning pruning = {account_ids, count, 0};
    if (count == 0)
        return OK;
    TRY(db_write(persons->db, prune, &pruning, err));
    enum status status = pruning.pruned ? db_forget(persons->db, err) : OK;
    return status == UNAVAILABLE ? OK : status;
}

enum status persons_backup(struct persons *persons, const char *path, struct error *err)
{
    return db_backup(persons->db, path, err);
}

enum status persons_opening(struct persons *persons, int64_t account_id, const struct commitment_place *place,
                            struct str value, const uint8_t commitment[SHA256_SIZE], uint8_t secret[SHA256_SIZE],
                            struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct person person = {.account_id = account_id};
    bool found;
    TRY(db_reader(persons->db, &conn, err));
    TRY(find_key(conn, &person, &found, err));
    if (found)
        commitment_secret(person.key, place, secret);
    OPENSSL_cleanse(person.key, sizeof person.key);
    if (found && commitment_opens(commitment, secret, place, value))
        return OK;
    memset(secret, 0, SHA256_SIZE);
    return fail(err, NOT_FOUND, NULL,
                "This commitment cannot be opened: the person's key was erased, or it is to something else.");
}
