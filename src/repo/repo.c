/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and settings of repos. Names are found by their lower-case form, which is stored beside them. */
#include "repo/repo.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "repo/internal.h"
#include <assert.h>

/* Kinds. */

static const struct {
    struct str name, plural, prefix;
} kinds[] = {
    [KIND_MODEL] = {{"model", 5}, {"models", 6}, {"", 0}},
    [KIND_DATASET] = {{"dataset", 7}, {"datasets", 8}, {"datasets/", 9}},
    [KIND_SPACE] = {{"space", 5}, {"spaces", 6}, {"spaces/", 7}},
};

struct str repo_kind_name(enum repo_kind kind)
{
    assert(kind >= KIND_MODEL && kind <= KIND_SPACE);
    return kinds[kind].name;
}

struct str repo_kind_plural(enum repo_kind kind)
{
    assert(kind >= KIND_MODEL && kind <= KIND_SPACE);
    return kinds[kind].plural;
}

struct str repo_kind_prefix(enum repo_kind kind)
{
    assert(kind >= KIND_MODEL && kind <= KIND_SPACE);
    return kinds[kind].prefix;
}

bool repo_kind_parse(struct str name, enum repo_kind *out)
{
    for (enum repo_kind kind = KIND_MODEL; kind <= KIND_SPACE; kind++)
        if (str_eq(name, kinds[kind].name) || str_eq(name, kinds[kind].plural)) {
            *out = kind;
            return true;
        }
    return false;
}

/* Finding. */

enum status no_repo(struct error *err)
{
    return fail(err, NOT_FOUND, "RepoNotFound", "Repository not found");
}

#define COLUMNS                                                                                                        \
    "id, owner_id, public_id, kind, ns, name, visibility, disabled, gated, sdk, created_us, updated_us, xet_enabled, " \
    "archived"

static const char by_name_sql[] = "SELECT " COLUMNS " FROM repo WHERE kind = ? AND ns_key = ? AND name_key = ?";
static const char by_id_sql[] = "SELECT " COLUMNS " FROM repo WHERE id = ?";
static const char by_alias_sql[] = "SELECT repo_id FROM repo_alias WHERE kind = ? AND ns_key = ? AND name_key = ?";

static enum status read_repo(struct stmt *row, struct arena *arena, struct repo *out, struct error *err)
{
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return no_repo(err);
    }
    *out = (struct repo){
        .id = stmt_int(row, 0),
        .owner_id = stmt_int(row, 1),
        .public_id = arena_copy(arena, stmt_str(row, 2)),
        .kind = (enum repo_kind)stmt_int(row, 3),
        .ns = arena_copy(arena, stmt_str(row, 4)),
        .name = arena_copy(arena, stmt_str(row, 5)),
        .visibility = (enum visibility)stmt_int(row, 6),
        .disabled = stmt_int(row, 7) != 0,
        .gated = arena_copy(arena, stmt_str(row, 8)),
        .sdk = arena_copy(arena, stmt_str(row, 9)),
        .created_us = stmt_int(row, 10),
        .updated_us = stmt_int(row, 11),
        .xet_enabled = stmt_int(row, 12) != 0,
        .archived = stmt_int(row, 13) != 0,
    };
    out->full_name = arena_printf(arena, "%.*s/%.*s", STR_ARG(out->ns), STR_ARG(out->name));
    return stmt_end(row, err);
}

static void bind_name(struct stmt *stmt, struct arena *arena, enum repo_kind kind, struct str ns, struct str name)
{
    stmt_bind_int(stmt, 1, kind);
    stmt_bind_str(stmt, 2, str_lower(arena, ns));
    stmt_bind_str(stmt, 3, str_lower(arena, name));
}

enum status repo_find(struct db_conn *conn, struct arena *arena, enum repo_kind kind, struct str ns, struct str name,
                      struct repo *out, bool *moved, struct error *err)
{
    auto_stmt struct stmt *find = NULL, *alias = NULL;
    *moved = false;
    TRY(db_prepare(conn, by_name_sql, &find, err));
    bind_name(find, arena, kind, ns, name);
    enum status status = read_repo(find, arena, out, err);
    if (status != NOT_FOUND)
        return status;
    TRY(db_prepare(conn, by_alias_sql, &alias, err));
    bind_name(alias, arena, kind, ns, name);
    *moved = stmt_next(alias);
    int64_t id = *moved ? stmt_int(alias, 0) : 0;
    TRY(stmt_end(alias, err));
    return *moved ? repo_get(conn, arena, id, out, err) : no_repo(err);
}

enum status repo_get(struct db_conn *conn, struct arena *arena, int64_t id, struct repo *out, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, by_id_sql, &get, err));
    stmt_bind_int(get, 1, id);
    return read_repo(get, arena, out, err);
}

struct access_object repo_access(const struct repo *repo)
{
    return (struct access_object){
        .repo_id = repo->id,
        .owner_id = repo->owner_id,
        .visibility = repo->visibility,
        .disabled = repo->disabled,
        .archived = repo->archived,
        .gated = repo->gated.len > 0,
        .kind_name = repo_kind_name(repo->kind),
        .full_name = repo->full_name,
    };
}

enum status repo_name_check(struct str name, struct error *err)
{
    TRY(account_name_check(name, err));
    if (name.len >= 4 && str_eq_nocase(str_from(name, name.len - 4), STR(".git")))
        return fail(err, INVALID, NULL, "A repo's name cannot end in \".git\"");
    return OK;
}

/* Small writes that others build on. */

static const char exists_sql[] = "SELECT 1 FROM repo WHERE id = ?";

enum status repo_exists(struct db_conn *conn, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *exists = NULL;
    TRY(db_prepare(conn, exists_sql, &exists, err));
    stmt_bind_int(exists, 1, repo_id);
    bool found = stmt_next(exists);
    TRY(stmt_end(exists, err));
    return found ? OK : no_repo(err);
}

static const char updated_sql[] = "UPDATE repo SET updated_us = ? WHERE id = ?";

enum status repo_touch(struct db_conn *tx, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    TRY(db_prepare(tx, updated_sql, &update, err));
    stmt_bind_int(update, 1, now_us());
    stmt_bind_int(update, 2, repo_id);
    TRY(stmt_run(update, err));
    return db_changes(tx) ? OK : no_repo(err);
}

enum status repo_event_append(struct db_conn *tx, enum repo_event kind, int64_t repo_id, int64_t by_id,
                              const struct buf *body, struct error *err)
{
    struct event event = {.kind = &repo_events[kind], .repo_id = repo_id, .actor_id = by_id, .body = buf_view(body)};
    return event_append(tx, &event, err);
}

/* Settings. */

static const char set_sql[] = "UPDATE repo SET visibility = coalesce(?, visibility), gated = coalesce(?, gated), "
                              "xet_enabled = coalesce(?, xet_enabled), archived = coalesce(?, archived) WHERE id = ?";

static void bind_flag(struct stmt *set, int position, const bool *flag)
{
    if (flag)
        stmt_bind_int(set, position, *flag);
    else
        stmt_bind_null(set, position);
}

enum status repo_set_in_write(struct db_conn *tx, int64_t repo_id, const struct repo_settings *settings, int64_t by_id,
                              struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, set_sql, &set, err));
    if (settings->visibility)
        stmt_bind_int(set, 1, *settings->visibility);
    else
        stmt_bind_null(set, 1);
    stmt_bind_str(set, 2, settings->gated);
    bind_flag(set, 3, settings->xet_enabled);
    bind_flag(set, 4, settings->archived);
    stmt_bind_int(set, 5, repo_id);
    TRY(stmt_run(set, err));
    if (!db_changes(tx))
        return no_repo(err);

    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    if (settings->visibility)
        jw_key_str(&w, "visibility", repo_visibility_name(*settings->visibility));
    if (str_given(settings->gated))
        jw_key_str(&w, "gated", settings->gated);
    if (settings->xet_enabled)
        jw_key_bool(&w, "xetEnabled", *settings->xet_enabled);
    if (settings->archived)
        jw_key_bool(&w, "archived", *settings->archived);
    jw_end(&w);
    return repo_event_append(tx, EVENT_SETTINGS, repo_id, by_id, &body, err);
}

struct set_call {
    const struct repo *repo;
    const struct repo_settings *settings;
    int64_t by_id;
};

static enum status set_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct set_call *call = context;
    return repo_set_in_write(tx, call->repo->id, call->settings, call->by_id, err);
}

struct str repo_visibility_name(enum visibility visibility)
{
    return visibility == VISIBILITY_PUBLIC ? STR("public") : STR("private");
}

enum status repo_set(struct db *db, const struct repo *repo, const struct repo_settings *settings, int64_t by_id,
                     struct error *err)
{
    struct str gated = settings->gated;
    if (str_given(gated) && !str_eq(gated, STR("")) && !str_eq(gated, STR("auto")) && !str_eq(gated, STR("manual")))
        return fail(err, INVALID, NULL, "\"gated\" must be one of [auto, manual, false]");
    struct set_call call = {repo, settings, by_id};
    return db_write(db, set_in_write, &call, err);
}
