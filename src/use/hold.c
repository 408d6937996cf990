/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gated weights that come back in by another repo, recognised from the object; from its chunks, in chunks.c. */
#include "use/hold.h"
#include "access/log.h"
#include "base/time.h"
#include "notice/notice.h"

/* Holding. */

static const char known_sql[] = "SELECT 1 FROM access_hold WHERE repo_id = ? AND gate_id = ? LIMIT 1";
static const char put_sql[] =
    "INSERT INTO access_hold (repo_id, gate_id, kind, state, share_ppm, commit_id, path, uploader_id, created_us, "
    "changed_us) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)";

/* Once for each repo and gate: what has been allowed once stays so, and what is held is held. */
static enum status is_known(struct db_conn *tx, const struct held *held, bool *known, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, known_sql, &row, err));
    stmt_bind_int(row, 1, held->repo_id);
    stmt_bind_int(row, 2, held->gate_id);
    *known = stmt_next(row);
    return stmt_end(row, err);
}

enum status hold_put(struct db_conn *tx, const struct held *held, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    bool known = false;
    if (held->gate_id)
        TRY(is_known(tx, held, &known, err));
    if (known)
        return OK;
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, held->repo_id);
    stmt_bind_int(put, 2, held->gate_id);
    stmt_bind_str(put, 3, str_of(held->kind));
    stmt_bind_int(put, 4, held->share_ppm);
    stmt_bind_blob(put, 5, held->commit.bytes, held->has_commit ? SHA1_SIZE : 0);
    stmt_bind_str(put, 6, str_given(held->path) ? held->path : STR(""));
    stmt_bind_int(put, 7, held->uploader_id);
    stmt_bind_int(put, 8, now_us());
    stmt_bind_int(put, 9, now_us());
    return stmt_run(put, err);
}

static const char any_sql[] = "SELECT 1 FROM gate_repo LIMIT 1";

static enum status any_gate(struct db_conn *tx, bool *any, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, any_sql, &row, err));
    *any = stmt_next(row);
    return stmt_end(row, err);
}

/* Gates that have the object, and had it before any open repo. */
static const char object_sql[] =
    "SELECT g.id FROM object_hold h JOIN gate_repo r ON r.repo_id = h.repo_id JOIN gate g ON g.id = r.gate_id "
    "WHERE h.object_id = ? AND h.repo_id <> ? AND " FOREIGN_GATE(
        "?") "AND NOT EXISTS "
             "(SELECT 1 FROM object_hold q JOIN repo p ON p.id = q.repo_id WHERE q.object_id = h.object_id AND "
             "q.repo_id <> ? AND "
             "(q.created_us < h.created_us OR q.created_us < g.created_us) AND " OPEN_REPO ") LIMIT 1";

static enum status match_object(struct db_conn *tx, int64_t repo_id, int64_t object_id, int64_t *gate_id,
                                struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, object_sql, &row, err));
    stmt_bind_int(row, 1, object_id);
    for (int i = 2; i <= 6; i++)
        stmt_bind_int(row, i, repo_id);
    *gate_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/*
 * Whether an object is large enough to be somebody's weights. Smaller ones are alike in repos that have nothing to do with each
 * other (a configuration, a stub, an empty file), and whoever would bring weights back in such pieces needs 250,000 files a GiB.
 */
#define SIZE_LEAST 4096
static const char size_sql[] = "SELECT size FROM object WHERE id = ?";

static enum status is_large(struct db_conn *tx, int64_t object_id, bool *large, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, size_sql, &row, err));
    stmt_bind_int(row, 1, object_id);
    *large = stmt_next(row) && stmt_int(row, 0) >= SIZE_LEAST;
    return stmt_end(row, err);
}

enum status hold_watch(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err)
{
    struct held held = {.repo_id = repo_id, .kind = "object", .share_ppm = 1000000};
    bool any, large = false;
    TRY(any_gate(tx, &any, err));
    if (any)
        TRY(is_large(tx, object_id, &large, err));
    if (!large)
        return OK;
    TRY(match_object(tx, repo_id, object_id, &held.gate_id, err));
    if (!held.gate_id) {
        held = (struct held){.repo_id = repo_id, .kind = "chunks"};
        TRY(hold_match_chunks(tx, repo_id, object_id, &held, err));
    }
    return held.gate_id ? hold_put(tx, &held, err) : OK;
}

/* The commit, which tells who it was. */

static const char unknown_sql[] =
    "SELECT h.id, h.gate_id, g.owner_id FROM access_hold h JOIN gate g ON g.id = h.gate_id "
    "WHERE h.repo_id = ? AND h.uploader_id = 0 AND h.state = 1";
static const char uploader_sql[] =
    "UPDATE access_hold SET uploader_id = ?, commit_id = ?, state = ?, changed_us = ? WHERE id = ?";

static enum status settle_one(struct db_conn *tx, const struct repo *repo, const struct held *held, int64_t id,
                              int64_t owner_id, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    enum role role;
    TRY(account_role_in(tx, held->uploader_id, owner_id, &role, err));
    TRY(db_prepare(tx, uploader_sql, &update, err));
    stmt_bind_int(update, 1, held->uploader_id);
    stmt_bind_blob(update, 2, held->commit.bytes, held->has_commit ? SHA1_SIZE : 0);
    stmt_bind_int(update, 3, role >= ROLE_READ ? HOLD_RELEASED : HOLD_OPEN);
    stmt_bind_int(update, 4, now_us());
    stmt_bind_int(update, 5, id);
    TRY(stmt_run(update, err));
    return role >= ROLE_READ ? OK : hold_tell(tx, repo, owner_id, held->uploader_id, id, err);
}

/* A private repo is not named to others; they are told when they ask what is held, once it is public. */
enum status hold_tell(struct db_conn *tx, const struct repo *repo, int64_t owner_id, int64_t uploader_id, int64_t id,
                      struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str text =
        arena_printf(&arena,
                     "The files of %.*s are held, because some of them look like those of a gated repo. If you "
                     "think that this is wrong, say why: POST /api/holds/%lld {\"decision\": \"dispute\", "
                     "\"text\"}.",
                     STR_ARG(repo->full_name), (long long)id);
    const struct notice notice = {uploader_id, repo->id, "hold", text};
    TRY(notice_add(tx, &notice, err));
    if (repo->visibility != VISIBILITY_PUBLIC)
        return OK;
    text = arena_printf(&arena,
                        "Files of %.*s look like those of a gated repo of yours, and are held. POST /api/holds/%lld "
                        "{\"decision\": \"allow\"} lets them be; the board of the hub can confirm the hold.",
                        STR_ARG(repo->full_name), (long long)id);
    return notice_owners(tx, owner_id, repo->id, "hold", text, err);
}

static enum status settle_all(struct db_conn *tx, const struct repo *repo, const struct held *held, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, unknown_sql, &row, err));
    stmt_bind_int(row, 1, repo->id);
    while (stmt_next(row))
        TRY(settle_one(tx, repo, held, stmt_int(row, 0), stmt_int(row, 2), err));
    return stmt_end(row, err);
}

static const char gated_tensors_sql[] =
    "SELECT 1 FROM gate_repo r JOIN tensor_seen s ON s.repo_id = r.repo_id JOIN tensor t ON t.file_id = s.file_id "
    "WHERE t.content IS NOT NULL AND r.gate_id NOT IN (SELECT gate_id FROM gate_repo WHERE repo_id = ?) LIMIT 1";

static enum status needs_look(struct db_conn *tx, int64_t repo_id, bool *needs, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, gated_tensors_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    *needs = stmt_next(row);
    return stmt_end(row, err);
}

enum status hold_if_gated(struct db_conn *tx, const struct repo *repo, int64_t uploader_id, const struct oid *commit,
                          bool has_tensors, struct error *err)
{
    struct held held = {
        .repo_id = repo->id, .kind = "pending", .uploader_id = uploader_id, .has_commit = true, .commit = *commit};
    bool any, needs = false;
    TRY(any_gate(tx, &any, err));
    if (!any)
        return OK;
    TRY(settle_all(tx, repo, &held, err));
    if (has_tensors)
        TRY(needs_look(tx, repo->id, &needs, err));
    return needs ? hold_put(tx, &held, err) : OK;
}
