/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/db.h"

static const char version_table_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_version (part TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)";
static const char version_get_sql[] = "SELECT version FROM schema_version WHERE part = ?";
static const char version_set_sql[] = "INSERT INTO schema_version (part, version) VALUES (?, ?) "
                                      "ON CONFLICT (part) DO UPDATE SET version = excluded.version";

/* The version of a part in the database: 0 when it has none yet. UNAVAILABLE when this program is too old for it. */
static enum status version_get(struct db_conn *tx, const struct migration_set *set, int64_t *version, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(tx, version_get_sql, &get, err));
    stmt_bind_str(get, 1, str_of(set->part));
    *version = stmt_next(get) ? stmt_int(get, 0) : 0;
    TRY(stmt_end(get, err));

    int64_t known = 0;
    while (set->sql[known] != NULL)
        known++;
    if (*version < 0)
        return fail(err, CORRUPT, NULL, "The database is damaged: part %s has version %lld.", set->part,
                    (long long)*version);
    if (*version > known)
        return fail(err, UNAVAILABLE, "DatabaseTooNew",
                    "The database was written by a newer Cairn: part %s has version %lld and this program knows %lld. "
                    "Run the newer program, or restore a backup from before the upgrade.",
                    set->part, (long long)*version, (long long)known);
    return OK;
}

static enum status version_set(struct db_conn *tx, const char *part, int64_t version, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, version_set_sql, &set, err));
    stmt_bind_str(set, 1, str_of(part));
    stmt_bind_int(set, 2, version);
    return stmt_run(set, err);
}

struct migration_list {
    const struct migration_set *sets;
    size_t count;
};

/* Before anything is changed, so that an old program leaves a new database alone as a whole. */
static enum status refuse_newer(struct db_conn *tx, void *context, struct error *err)
{
    const struct migration_list *list = context;
    TRY(db_exec(tx, version_table_sql, err));
    for (size_t i = 0; i < list->count; i++) {
        int64_t version;
        TRY(version_get(tx, &list->sets[i], &version, err));
    }
    return OK;
}

/* Reads the version again: another process may have run the same migrations since. */
static enum status migrate_part(struct db_conn *tx, void *context, struct error *err)
{
    const struct migration_set *set = context;
    int64_t before, version;
    TRY(version_get(tx, set, &before, err));
    for (version = before; set->sql[version] != NULL; version++)
        TRY(db_exec(tx, set->sql[version], err));
    return version == before ? OK : version_set(tx, set->part, version, err);
}

enum status db_migrate(struct db *db, const struct migration_set *sets, size_t count, struct error *err)
{
    struct migration_list list = {sets, count};
    TRY(db_write(db, refuse_newer, &list, err));
    for (size_t i = 0; i < count; i++) {
        struct migration_set set = sets[i];
        TRY(db_write(db, migrate_part, &set, err));
    }
    return OK;
}
