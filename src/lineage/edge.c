/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edges as rows and as events. */
#include "base/json.h"
#include "base/text.h"
#include "lineage/internal.h"

/*
 * - parent_commit: of parent_id; waits there until the manifest gives parent_hash (pending = 1).
 * - parent_key: parent_name in small letters, by which names are matched.
 * - event_id: 0 for an edge that is not in the log.
 */
static const char create_sql[] = "CREATE TABLE lineage_edge ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  child_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  grade TEXT NOT NULL,"
                                 "  rel TEXT NOT NULL,"
                                 "  weight BIGINT NOT NULL,"
                                 "  parent_hash TEXT NOT NULL,"
                                 "  parent_id BIGINT REFERENCES repo (id) ON DELETE SET NULL,"
                                 "  parent_commit BLOB,"
                                 "  parent_name TEXT NOT NULL,"
                                 "  parent_key TEXT NOT NULL,"
                                 "  evidence TEXT NOT NULL,"
                                 "  event_id BIGINT NOT NULL,"
                                 "  pending BIGINT NOT NULL DEFAULT 0,"
                                 "  UNIQUE (child_id, commit_oid, grade, rel, parent_name, parent_hash, evidence));"
                                 "CREATE INDEX lineage_edge_parent ON lineage_edge (parent_id);"
                                 "CREATE INDEX lineage_edge_hash ON lineage_edge (parent_hash);"
                                 "CREATE INDEX lineage_edge_key ON lineage_edge (parent_key);"
                                 "CREATE INDEX lineage_edge_evidence ON lineage_edge (evidence);"
                                 "CREATE INDEX lineage_edge_pending ON lineage_edge (pending, id);";

const struct migration_set lineage_migrations = {"lineage", (const char *const[]){create_sql, NULL}};
const struct event_kind lineage_events[] = {{"lineage", 1}, {0}};

void lineage_members(struct json_writer *w, const struct lineage_edge *edge)
{
    jw_key_str(w, "grade", edge->grade);
    jw_key_str(w, "parent", edge->parent);
    if (str_given(edge->rel))
        jw_key_str(w, "rel", edge->rel);
    if (edge->weight >= 0)
        jw_key_int(w, "weight", edge->weight);
}

static struct str or_empty(struct str s)
{
    return str_given(s) ? s : STR("");
}

static const char keep_sql[] =
    "INSERT INTO lineage_edge (child_id, commit_oid, grade, rel, weight, parent_hash, parent_name, "
    "parent_key, evidence, event_id) VALUES (?, ?, ?, ?, ?, ?, '', '', ?, ?) "
    "ON CONFLICT DO NOTHING";

enum status lineage_keep(struct db_conn *tx, const struct lineage_edge *edge, int64_t event_id, struct error *err)
{
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_int(keep, 1, edge->child_id);
    stmt_bind_blob(keep, 2, edge->commit.bytes, SHA1_SIZE);
    stmt_bind_str(keep, 3, edge->grade);
    stmt_bind_str(keep, 4, or_empty(edge->rel));
    stmt_bind_int(keep, 5, edge->weight);
    stmt_bind_str(keep, 6, or_empty(edge->parent));
    stmt_bind_str(keep, 7, or_empty(edge->evidence));
    stmt_bind_int(keep, 8, event_id);
    return stmt_run(keep, err);
}

enum status lineage_log(struct db_conn *tx, const struct lineage_edge *edge, int64_t actor_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "commit", oid_hex(&arena, &edge->commit));
    if (str_given(edge->evidence)) {
        jw_key_str(&w, "evidence", edge->evidence);
        jw_key_bool(&w, "signed", true);
    }
    lineage_members(&w, edge);
    jw_end(&w);
    struct event event = {
        .kind = &lineage_events[0], .repo_id = edge->child_id, .actor_id = actor_id, .body = buf_view(&body)};
    TRY(event_append(tx, &event, err));
    return lineage_keep(tx, edge, db_last_id(tx), err);
}

static struct str given_copy(struct arena *arena, struct str s)
{
    return s.len > 0 ? arena_copy(arena, s) : (struct str){0};
}

void read_edge(struct stmt *row, struct arena *arena, struct lineage_edge *out)
{
    struct str commit = stmt_str(row, 1);
    *out = (struct lineage_edge){.child_id = stmt_int(row, 0),
                                 .grade = given_copy(arena, stmt_str(row, 2)),
                                 .rel = given_copy(arena, stmt_str(row, 3)),
                                 .weight = stmt_int(row, 4),
                                 .parent = given_copy(arena, stmt_str(row, 5)),
                                 .parent_id = stmt_int(row, 6),
                                 .name = given_copy(arena, stmt_str(row, 7)),
                                 .evidence = given_copy(arena, stmt_str(row, 8)),
                                 .index = stmt_int(row, 9)};
    if (commit.len == SHA1_SIZE)
        memcpy(out->commit.bytes, commit.data, SHA1_SIZE);
}

enum status read_edges(struct stmt *rows, struct arena *arena, struct lineage_edge **out, size_t *count,
                       struct error *err)
{
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    while (stmt_next(rows)) {
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        read_edge(rows, arena, &(*out)[(*count)++]);
    }
    return stmt_end(rows, err);
}

static const char parents_sql[] = "SELECT " EDGE_COLUMNS "WHERE e.child_id = ? AND e.commit_oid = ? ORDER BY e.id";

enum status lineage_parents(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                            struct lineage_edge **out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *rows = NULL;
    TRY(db_prepare(conn, parents_sql, &rows, err));
    stmt_bind_int(rows, 1, repo_id);
    stmt_bind_blob(rows, 2, commit->bytes, SHA1_SIZE);
    return read_edges(rows, arena, out, count, err);
}

static const char holder_sql[] = "SELECT repo_id FROM manifest_digest WHERE dir_hash = ? ORDER BY id LIMIT 1";

enum status lineage_first_holder(struct db_conn *conn, struct arena *arena, struct str dir_hash, struct repo *out,
                                 bool *found, struct error *err)
{
    auto_stmt struct stmt *holder = NULL;
    TRY(db_prepare(conn, holder_sql, &holder, err));
    stmt_bind_str(holder, 1, dir_hash);
    *found = stmt_next(holder);
    int64_t repo_id = *found ? stmt_int(holder, 0) : 0;
    TRY(stmt_end(holder, err));
    return *found ? repo_get(conn, arena, repo_id, out, err) : OK;
}
