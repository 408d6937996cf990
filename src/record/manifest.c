/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Manifests: what a commit holds, by SHA-256 (provenance 2.3, 3.2). The leaf of the commit itself comes before anybody
 * sees it and binds its content by git's ids; the manifest follows in the background, since it costs a look at every
 * file of the commit, and a commit must not wait for files that it did not touch.
 */
#include "oms/manifest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "record/internal.h"
#include "repo/tree.h"
#include "tensor/tensors.h"

#define FILES_MOST 1000000

static enum status to_manifest_file(struct db_conn *conn, int64_t repo_id, const struct entry *entry,
                                    struct manifest_file *out, struct error *err)
{
    out->name = entry->path;
    out->size = entry->size;
    return entry_sha256(conn, repo_id, entry, out->sha256, err);
}

enum status record_manifest_files(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                                  struct manifest *out, struct error *err)
{
    struct listing how = {.recursive = true, .limit = FILES_MOST};
    struct manifest_rules rules;
    struct entry *entries;
    size_t count, files = 0;
    bool more;
    TRY(entry_list(conn, arena, repo_id, commit, STR(""), &how, &entries, &count, &more, err));
    if (more)
        return fail(err, TOO_LARGE, NULL, "A revision of more than %d files gets no manifest.", FILES_MOST);
    struct manifest_file *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_folder)
            TRY(to_manifest_file(conn, repo_id, &entries[i], &list[files++], err));
    TRY(manifest_rules_make(arena, NULL, 0, &rules, err));
    return manifest_make(arena, list, files, &rules, out, err);
}

/* The event. */

const struct event_kind record_events[] = {{"manifest", 1}, {0}};

/* An index over manifests, by what they say that a revision holds. */
static const char digests_sql[] = "CREATE TABLE manifest_digest ("
                                  "  id INTEGER PRIMARY KEY,"
                                  "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                  "  commit_oid BLOB NOT NULL,"
                                  "  dir_hash TEXT NOT NULL,"
                                  "  UNIQUE (repo_id, commit_oid));"
                                  "CREATE INDEX manifest_digest_hash ON manifest_digest (dir_hash, id);";
const struct migration_set record_migrations = {"record", (const char *const[]){digests_sql, NULL}};

static const char keep_digest_sql[] = "INSERT INTO manifest_digest (repo_id, commit_oid, dir_hash) VALUES (?, ?, ?) "
                                      "ON CONFLICT (repo_id, commit_oid) DO NOTHING";

static enum status keep_digest(struct db_conn *tx, const struct record_manifest_event *what, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_digest_sql, &keep, err));
    stmt_bind_int(keep, 1, what->repo_id);
    stmt_bind_blob(keep, 2, what->commit->bytes, SHA1_SIZE);
    stmt_bind_str(keep, 3, hex_encode(&arena, what->manifest->dir_hash, SHA256_SIZE));
    return stmt_run(keep, err);
}

static const char dir_hash_sql[] = "SELECT dir_hash FROM manifest_digest WHERE repo_id = ? AND commit_oid = ?";

enum status record_dir_hash(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                            struct str *out, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, dir_hash_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_blob(find, 2, commit->bytes, SHA1_SIZE);
    *out = stmt_next(find) ? arena_copy(arena, stmt_str(find, 0)) : (struct str){0};
    return stmt_end(find, err);
}

enum status record_manifest_append(struct db_conn *tx, const struct record_manifest_event *what, struct error *err)
{
    const struct manifest *manifest = what->manifest;
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "commit", oid_hex(&arena, what->commit));
    jw_key_int(&w, "files", (int64_t)manifest->count);
    jw_key_int(&w, "bytes", manifest->bytes);
    jw_key_str(&w, "dirHash1", hex_encode(&arena, manifest->dir_hash, SHA256_SIZE));
    jw_key_str(&w, "omsRoot", hex_encode(&arena, manifest->root, SHA256_SIZE));
    if (memcmp(manifest->root, manifest->tool_root, SHA256_SIZE) != 0)
        jw_key_str(&w, "omsRootAlt", hex_encode(&arena, manifest->tool_root, SHA256_SIZE));
    if (str_given(what->evidence)) {
        jw_key_str(&w, "evidence", what->evidence);
        jw_key_bool(&w, "signed", what->is_signed);
    }
    if (what->tensor_root)
        jw_key_str(&w, "tensorRoot", hex_encode(&arena, what->tensor_root->bytes, SHA256_SIZE));
    jw_end(&w);
    struct event event = {
        .kind = &record_events[0], .repo_id = what->repo_id, .actor_id = what->actor_id, .body = buf_view(&body)};
    TRY(keep_digest(tx, what, err));
    return event_append(tx, &event, err); /* last, for callers that ask for db_last_id() */
}

static enum status say_once(struct db_conn *tx, void *context, struct error *err)
{
    const struct record_manifest_event *what = context;
    bool done;
    uint64_t index;
    TRY(prov_revision_leaf(tx, what->repo_id, what->commit->bytes, REVISION_MANIFEST, &index, &done, err));
    return done ? OK : record_manifest_append(tx, what, err);
}

enum status record_manifest(struct hub *hub, const struct repo *repo, const struct oid *commit, uint64_t *index,
                            struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct manifest manifest;
    struct tlog_hash root;
    bool found, pending, has_root;
    TRY(db_reader(hub->db, &conn, err));
    TRY(prov_revision_leaf(conn, repo->id, commit->bytes, REVISION_MANIFEST, index, &found, err));
    if (found)
        return OK;
    db_release(&conn);
    TRY(tensors_root(hub, repo->id, commit, &pending, &has_root, &root, err));
    if (pending)
        return fail(err, UNAVAILABLE, RECORD_WAITS_FOR_TENSORS,
                    "The revision's manifest follows when its tensors have been looked at. Try again in a moment.");
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_snapshot(conn, err));
    TRY(record_manifest_files(conn, &arena, repo->id, commit, &manifest, err));
    db_release(&conn);
    struct record_manifest_event what = {
        .repo_id = repo->id, .commit = commit, .manifest = &manifest, .tensor_root = has_root ? &root : NULL};
    TRY(db_write(hub->db, say_once, &what, err));
    TRY(db_reader(hub->db, &conn, err));
    TRY(prov_revision_leaf(conn, repo->id, commit->bytes, REVISION_MANIFEST, index, &found, err));
    return found ? OK
                 : fail(err, UNAVAILABLE, NULL, "The revision's manifest is not logged yet. Try again in a moment.");
}

enum status record_manifest_soon(struct hub *hub, const struct repo *repo, const struct oid *commit, uint64_t *index,
                                 struct error *err)
{
    enum status status = record_manifest(hub, repo, commit, index, err);
    if (status != UNAVAILABLE || !str_eq(str_of(err->code), STR(RECORD_WAITS_FOR_TENSORS)))
        return status;
    TRY(tensors_await(hub, repo->id, err));
    return record_manifest(hub, repo, commit, index, err);
}

enum status record_revision_leaf(struct db_conn *conn, int64_t repo_id, const struct oid *commit, uint64_t *index,
                                 bool *found, struct error *err)
{
    TRY(prov_revision_leaf(conn, repo_id, commit->bytes, REVISION_MANIFEST, index, found, err));
    return *found ? OK : prov_revision_leaf(conn, repo_id, commit->bytes, REVISION_MOVED, index, found, err);
}

/* The job: commits that refs moved to since it looked last. Those that no ref names any more get theirs when somebody asks. */

static const char moved_sql[] =
    "SELECT m.idx, m.repo_id, m.commit_oid, "
    "EXISTS (SELECT 1 FROM ref WHERE ref.repo_id = m.repo_id AND ref.commit_oid = m.commit_oid) "
    "FROM revision_leaf m WHERE m.kind = 1 AND m.idx >= ? ORDER BY m.idx LIMIT 1";

struct moved {
    uint64_t index;
    int64_t repo_id;
    struct oid commit;
    bool current;
};

static enum status next_moved(struct db *db, uint64_t from, struct moved *out, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *next = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, moved_sql, &next, err));
    stmt_bind_int(next, 1, (int64_t)from);
    *found = stmt_next(next);
    if (*found) {
        out->index = (uint64_t)stmt_int(next, 0);
        out->repo_id = stmt_int(next, 1);
        memcpy(out->commit.bytes, stmt_str(next, 2).data, SHA1_SIZE);
        out->current = stmt_int(next, 3) != 0;
    }
    return stmt_end(next, err);
}

/*
 * *waits: for the tensors of the commit. Otherwise it has been dealt with: names that a manifest cannot have, nothing in it, gone
 * meanwhile: no manifest then, and the commit's own leaf stands.
 */
static enum status log_moved(struct hub *hub, const struct moved *moved, bool *waits, struct error *err)
{
    struct repo repo = {.id = moved->repo_id};
    struct error why = {0};
    uint64_t index;
    enum status status = moved->current ? record_manifest(hub, &repo, &moved->commit, &index, &why) : OK;
    *waits = status == UNAVAILABLE && str_eq(str_of(why.code), STR(RECORD_WAITS_FOR_TENSORS));
    if (status == CORRUPT) /* one damaged repo must not keep all others waiting; fsck tells more */
        log_line("error", "manifest", "%s", why.message);
    bool never = status == UNPROCESSABLE || status == TOO_LARGE || status == NOT_FOUND || status == CORRUPT;
    return status == OK || never || *waits ? OK : fail(err, status, why.code, "%s", why.message);
}

/* Those that wait, again: they must not hold up the others, as a pass over many gigabytes may take minutes. */
static enum status log_waiting(struct hub *hub, struct error *err)
{
    struct record *record = hub->record;
    size_t kept = 0;
    enum status status = OK;
    for (size_t i = 0; i < record->waiting_count; i++) {
        struct moved moved;
        bool found, waits = true;
        if (status == OK)
            status = next_moved(hub->db, record->waiting[i], &moved, &found, err);
        if (status == OK && (!found || moved.index != record->waiting[i]))
            continue; /* its repo is gone, or its ref was moved to it again */
        if (status == OK)
            status = tensors_pending(hub->db, moved.repo_id, &waits, err);
        if (status == OK && !waits)
            status = log_moved(hub, &moved, &waits, err);
        if (status != OK || waits)
            record->waiting[kept++] = record->waiting[i];
    }
    record->waiting_count = kept;
    return status;
}

enum status manifest_job(struct hub *hub, struct error *err)
{
    struct record *record = hub->record;
    struct moved moved;
    bool found, waits;
    TRY(log_waiting(hub, err));
    while (record->waiting_count < RECORD_WAITING_MOST) {
        TRY(next_moved(hub->db, record->manifests_from, &moved, &found, err));
        if (!found)
            return OK;
        TRY(log_moved(hub, &moved, &waits, err));
        if (waits)
            record->waiting[record->waiting_count++] = moved.index;
        record->manifests_from = moved.index + 1;
    }
    return OK;
}
