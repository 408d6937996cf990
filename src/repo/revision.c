/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "repo/internal.h"

struct str oid_hex(struct arena *arena, const struct oid *oid)
{
    return hex_encode(arena, oid->bytes, sizeof oid->bytes);
}

bool oid_eq(const struct oid *a, const struct oid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

enum status no_revision(struct error *err, struct str revision)
{
    return fail(err, NOT_FOUND, "RevisionNotFound", "Invalid rev id: %.*s", STR_ARG(str_slice(revision, 0, 255)));
}

static const char ref_sql[] = "SELECT commit_oid FROM ref WHERE repo_id = ? AND name = ?";

static enum status find_ref(struct db_conn *conn, int64_t repo_id, struct str name, struct revision *out, bool *found,
                            struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, ref_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_str(find, 2, name);
    *found = stmt_next(find);
    if (*found) {
        oid_from(&out->commit, stmt_str(find, 0));
        out->ref = name;
        out->is_branch = str_starts(name, STR("refs/heads/")) || str_starts(name, STR("refs/pr/")) ||
                         str_starts(name, STR("refs/convert/"));
    }
    return stmt_end(find, err);
}

static enum status find_short_ref(struct db_conn *conn, struct arena *arena, int64_t repo_id, const char *prefix,
                                  struct str name, struct revision *out, bool *found, struct error *err)
{
    return find_ref(conn, repo_id, arena_printf(arena, "%s%.*s", prefix, STR_ARG(name)), out, found, err);
}

/* The lowest and the highest id that begin with the digits. */
static bool id_range(struct str digits, struct oid *low, struct oid *high)
{
    if (digits.len < 7 || digits.len > 2 * SHA1_SIZE)
        return false;
    char hex[2 * SHA1_SIZE];
    memset(hex, '0', sizeof hex);
    memcpy(hex, digits.data, digits.len);
    bool valid = hex_decode((struct str){hex, sizeof hex}, low->bytes, sizeof low->bytes);
    memset(hex + digits.len, 'f', sizeof hex - digits.len);
    return valid && hex_decode((struct str){hex, sizeof hex}, high->bytes, sizeof high->bytes);
}

static const char range_sql[] = "SELECT oid FROM commit_row WHERE repo_id = ? AND oid BETWEEN ? AND ? LIMIT 2";

static enum status find_commit(struct db_conn *conn, int64_t repo_id, struct str digits, struct revision *out,
                               bool *found, struct error *err)
{
    struct oid low, high;
    int matches = 0;
    *found = false;
    if (!id_range(digits, &low, &high))
        return OK;
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, range_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_blob(find, 2, low.bytes, sizeof low.bytes);
    stmt_bind_blob(find, 3, high.bytes, sizeof high.bytes);
    for (; stmt_next(find); matches++)
        oid_from(&out->commit, stmt_str(find, 0));
    out->ref = (struct str){0};
    out->is_branch = false;
    *found = matches == 1;
    return stmt_end(find, err);
}

/*
 * A full commit id comes first: who pins one must not be given the branch that somebody called so. The same holds for
 * full ref names. A short id comes last: "deadbeef" may well be a branch.
 */
enum status revision_resolve(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct str revision,
                             struct revision *out, struct error *err)
{
    bool found = false;
    *out = (struct revision){0};
    if (!revision.len || revision.len > 1024 || memchr(revision.data, '\0', revision.len))
        return no_revision(err, revision);
    if (revision.len == 2 * SHA1_SIZE)
        TRY(find_commit(conn, repo_id, revision, out, &found, err));
    if (!found && str_starts(revision, STR("refs/")))
        TRY(find_ref(conn, repo_id, arena_copy(arena, revision), out, &found, err));
    if (!found)
        TRY(find_short_ref(conn, arena, repo_id, "refs/heads/", revision, out, &found, err));
    if (!found)
        TRY(find_short_ref(conn, arena, repo_id, "refs/tags/", revision, out, &found, err));
    if (!found)
        TRY(find_commit(conn, repo_id, revision, out, &found, err));
    return found ? OK : no_revision(err, revision);
}
