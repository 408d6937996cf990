/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What cards say. The write that moves main keeps it; a job puts it into the log, as soon as the parent has a manifest. */
#include "base/text.h"
#include "leaf/leaf_type.h"
#include "lineage/internal.h"

#define NAME_MOST 256

/* The card. */

static void add_name(struct arena *arena, const json_t *value, struct lineage_declared *out)
{
    if (!json_is_string(value) || out->count == LINEAGE_PARENTS_MOST)
        return;
    struct str name = str_trim((struct str){json_string_value(value), json_string_length(value)});
    if (name.len == 0 || name.len > NAME_MOST)
        return;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < 0x20 || name.data[i] == 0x7f)
            return;
    for (size_t i = 0; i < out->count; i++)
        if (str_eq(out->names[i], name))
            return;
    out->names[out->count++] = arena_copy(arena, name);
}

void lineage_read_card(struct arena *arena, const json_t *card, struct lineage_declared *out)
{
    const json_t *base = json_object_get(card, "base_model");
    struct str rel = json_get_str(card, "base_model_relation"), words = STR(LINEAGE_RELATIONS), word;
    *out = (struct lineage_declared){0};
    add_name(arena, base, out);
    for (size_t i = 0; i < json_array_size(base); i++)
        add_name(arena, json_array_get(base, i), out);
    while (str_given(rel) && str_cut(&words, ' ', &word))
        if (str_eq(word, rel))
            out->rel = word; /* lives as long as the program */
}

/* Keeping. */

/* A repo that anybody may see, other than the child, with the commit that its main is at. */
static enum status find_public(struct db_conn *tx, struct arena *arena, int64_t child_id, struct str name,
                               struct repo *parent, struct revision *main, bool *found, struct error *err)
{
    const struct actor nobody = {0};
    struct error no = {0};
    struct str rest = name, ns;
    bool moved;
    *found = false;
    str_cut(&rest, '/', &ns);
    if (!str_given(rest) || repo_find(tx, arena, KIND_MODEL, ns, rest, parent, &moved, &no) != OK ||
        parent->id == child_id)
        return OK;
    struct access_object object = repo_access(parent);
    if (access_decide(tx, &nobody, ACT_SEE, &object, &no) != OK)
        return OK;
    enum status status = revision_resolve(tx, arena, parent->id, STR("refs/heads/main"), main, err);
    *found = status == OK;
    return status == NOT_FOUND ? OK : status;
}

static const char keep_sql[] =
    "INSERT INTO lineage_edge (child_id, commit_oid, grade, rel, weight, parent_hash, parent_id, parent_commit, "
    "parent_name, "
    "parent_key, evidence, event_id, pending) VALUES (?, ?, '" GRADE_DECLARED "', ?, -1, '', ?, ?, ?, ?, '', 0, ?)";
static const char there_sql[] =
    "SELECT 1 FROM lineage_edge WHERE child_id = ? AND commit_oid = ? AND grade = '" GRADE_DECLARED
    "' AND parent_name = ?";

/* main may come back to a commit: what its card says is known then. */
static enum status is_there(struct db_conn *tx, int64_t repo_id, const struct oid *commit, struct str name, bool *there,
                            struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, there_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_blob(find, 2, commit->bytes, SHA1_SIZE);
    stmt_bind_str(find, 3, name);
    *there = stmt_next(find);
    return stmt_end(find, err);
}

static enum status keep_declared(struct db_conn *tx, int64_t repo_id, const struct oid *commit, struct str name,
                                 struct str rel, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *keep = NULL;
    struct repo parent;
    struct revision main;
    bool there, found;
    TRY(is_there(tx, repo_id, commit, name, &there, err));
    if (there)
        return OK;
    TRY(find_public(tx, &arena, repo_id, name, &parent, &main, &found, err));
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_int(keep, 1, repo_id);
    stmt_bind_blob(keep, 2, commit->bytes, SHA1_SIZE);
    stmt_bind_str(keep, 3, str_given(rel) ? rel : STR(""));
    stmt_bind_null(keep, 4);
    stmt_bind_null(keep, 5);
    if (found) {
        stmt_bind_int(keep, 4, parent.id);
        stmt_bind_blob(keep, 5, main.commit.bytes, SHA1_SIZE);
    }
    stmt_bind_str(keep, 6, name);
    stmt_bind_str(keep, 7, str_lower(&arena, name));
    stmt_bind_int(keep, 8, found);
    return stmt_run(keep, err);
}

enum status lineage_declare(struct db_conn *tx, int64_t repo_id, const struct lineage_declared *declared,
                            struct error *err)
{
    auto_arena struct arena arena = {0};
    struct revision main;
    if (declared->count == 0)
        return OK;
    TRY(revision_resolve(tx, &arena, repo_id, STR("refs/heads/main"), &main, err));
    for (size_t i = 0; i < declared->count; i++)
        TRY(keep_declared(tx, repo_id, &main.commit, declared->names[i], declared->rel, err));
    return OK;
}

/* Logging. */

struct pending {
    int64_t id, child_id, parent_id;
    struct oid commit, parent_commit;
    struct str rel, dir_hash;
};

static const char next_sql[] =
    "SELECT id, child_id, commit_oid, rel, COALESCE(parent_id, 0), parent_commit FROM lineage_edge "
    "WHERE pending = 1 AND id > ? ORDER BY id LIMIT 1";

static enum status next_pending(struct db *db, struct arena *arena, int64_t after, struct pending *out, bool *found,
                                struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *next = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, next_sql, &next, err));
    stmt_bind_int(next, 1, after);
    *found = stmt_next(next);
    if (*found) {
        struct str rel = stmt_str(next, 3);
        *out = (struct pending){.id = stmt_int(next, 0), .child_id = stmt_int(next, 1), .parent_id = stmt_int(next, 4)};
        memcpy(out->commit.bytes, stmt_str(next, 2).data, SHA1_SIZE);
        memcpy(out->parent_commit.bytes, stmt_str(next, 5).data, SHA1_SIZE);
        out->rel = rel.len > 0 ? arena_copy(arena, rel) : (struct str){0};
    }
    return stmt_end(next, err);
}

static const char settle_sql[] =
    "UPDATE lineage_edge SET pending = 0, parent_hash = ?, event_id = ? WHERE id = ? AND pending = 1";

/* With a digest it becomes a leaf; without one it stays what a card says. Its repo may have gone meanwhile. */
static enum status settle(struct db_conn *tx, void *context, struct error *err)
{
    const struct pending *pending = context;
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    auto_stmt struct stmt *update = NULL;
    struct repo child;
    struct error no = {0};
    int64_t event_id = 0;
    if (repo_get(tx, &arena, pending->child_id, &child, &no) != OK)
        return OK;
    if (str_given(pending->dir_hash)) {
        struct lineage_edge edge = {
            .grade = STR(GRADE_DECLARED), .rel = pending->rel, .parent = pending->dir_hash, .weight = -1};
        struct json_writer w = jw_to(&body);
        jw_object(&w);
        jw_key_str(&w, "commit", oid_hex(&arena, &pending->commit));
        lineage_members(&w, &edge);
        jw_end(&w);
        struct event event = {.kind = &lineage_events[0], .repo_id = pending->child_id, .body = buf_view(&body)};
        TRY(event_append(tx, &event, err));
        event_id = db_last_id(tx);
    }
    TRY(db_prepare(tx, settle_sql, &update, err));
    stmt_bind_str(update, 1, event_id ? pending->dir_hash : STR(""));
    stmt_bind_int(update, 2, event_id);
    stmt_bind_int(update, 3, pending->id);
    return stmt_run(update, err);
}

/* Only names that a manifest cannot have, or none in it, stand in its way for good. */
static enum status find_digest(struct hub *hub, struct arena *arena, struct pending *pending, bool *later,
                               struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct repo parent = {.id = pending->parent_id};
    struct error why = {0};
    uint64_t index;
    *later = false;
    if (!parent.id)
        return OK;
    enum status status = record_manifest(hub, &parent, &pending->parent_commit, &index, &why);
    *later = status == UNAVAILABLE;
    if (status == UNPROCESSABLE || status == TOO_LARGE || status == NOT_FOUND || status == UNAVAILABLE)
        return OK;
    if (status != OK)
        return fail(err, status, why.code, "%s", why.message);
    TRY(db_reader(hub->db, &conn, err));
    return record_dir_hash(conn, arena, parent.id, &pending->parent_commit, &pending->dir_hash, err);
}

enum status declared_job(struct hub *hub, struct error *err)
{
    int64_t after = 0;
    for (;;) {
        auto_arena struct arena arena = {0};
        struct pending pending;
        bool found, later;
        TRY(next_pending(hub->db, &arena, after, &pending, &found, err));
        if (!found)
            return OK;
        after = pending.id;
        TRY(find_digest(hub, &arena, &pending, &later, err));
        if (!later)
            TRY(db_write(hub->db, settle, &pending, err));
    }
}
