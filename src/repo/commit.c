/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commits: the git object, and a row beside it for what lists ask. A row is inserted after those of its parents, so ids
 * of rows fall along every line of history: "is this commit an ancestor" needs to look no further down than its own id.
 */
#include "base/text.h"
#include "base/time.h"
#include "repo/internal.h"

/* The object. */

/* Git forbids NUL everywhere and, in names, what would end them early; other control characters deceive terminals. */
static void text_add(struct buf *out, struct str text, bool is_name)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool control = c < 0x20 || c == 0x7f, layout = c == '\n' || c == '\t';
        if (is_name && (control || c == '<' || c == '>'))
            continue;
        buf_byte(out, control && !layout ? ' ' : (char)c);
    }
}

void signature_add(struct buf *out, const char *role, const struct signature *who)
{
    struct str name = str_trim(who->name);
    size_t before = out->len + strlen(role) + 1;
    buf_printf(out, "%s ", role);
    text_add(out, name, true);
    if (out->len == before)
        buf_str(out, STR("unknown"));
    buf_str(out, STR(" <"));
    text_add(out, str_trim(who->email), true);
    buf_printf(out, "> %lld +0000\n", (long long)(who->at_us > 0 ? who->at_us / SECOND_US : 0));
}

void message_add(struct buf *out, struct str title, struct str message)
{
    text_add(out, str_trim(title), false);
    buf_byte(out, '\n');
    message = str_trim(message);
    if (message.len) {
        buf_byte(out, '\n');
        text_add(out, message, false);
        buf_byte(out, '\n');
    }
}

static bool take_line(struct str *rest, struct str key, struct str *value)
{
    struct str tail = *rest, line;
    if (!str_starts(tail, key) || !str_cut(&tail, '\n', &line) || !str_given(tail))
        return false;
    *value = str_from(line, key.len);
    *rest = tail;
    return true;
}

static bool take_oid(struct str *rest, struct str key, struct oid *out)
{
    struct str hex;
    return take_line(rest, key, &hex) && hex_decode(hex, out->bytes, sizeof out->bytes);
}

/* "Name <email> seconds zone" */
static bool read_signature(struct str line, struct commit *out)
{
    struct str rest = line, seconds;
    if (!str_cut(&rest, '<', &out->author_name) || !str_given(rest) || !str_cut(&rest, '>', &out->author_email) ||
        !str_given(rest))
        return false;
    out->author_name = str_trim(out->author_name);
    rest = str_trim(rest);
    str_cut(&rest, ' ', &seconds);
    return str_to_i64(seconds, &out->at_us) && !__builtin_mul_overflow(out->at_us, SECOND_US, &out->at_us);
}

bool commit_parse(struct arena *arena, struct str content, struct commit *out)
{
    struct str rest = content, line;
    size_t capacity = 0;
    struct oid parent;
    *out = (struct commit){0};
    if (!take_oid(&rest, STR("tree "), &out->tree))
        return false;
    while (take_oid(&rest, STR("parent "), &parent)) {
        out->parents = array_room(arena, out->parents, out->parent_count, &capacity, sizeof parent);
        out->parents[out->parent_count++] = parent;
    }
    if (!take_line(&rest, STR("author "), &line) || !read_signature(line, out))
        return false;
    /* The committer, and headers that we do not use; the blank line ends them. */
    while (str_cut(&rest, '\n', &line) && line.len)
        continue;
    if (!str_given(rest))
        return line.len == 0;
    str_cut(&rest, '\n', &out->title);
    out->message = str_trim(rest);
    return true;
}

/* Rows. */

static const char find_sql[] = "SELECT id, history FROM commit_row WHERE repo_id = ? AND oid = ?";

static enum status find_row(struct db_conn *conn, int64_t repo_id, const struct oid *oid, int64_t *id, int64_t *history,
                            struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_blob(find, 2, oid->bytes, sizeof oid->bytes);
    *id = 0;
    if (stmt_next(find)) {
        *id = stmt_int(find, 0);
        *history = stmt_int(find, 1);
    }
    return stmt_end(find, err);
}

static enum status no_commit(struct error *err, const struct oid *oid)
{
    auto_arena struct arena arena = {0};
    return no_revision(err, oid_hex(&arena, oid));
}

static const char touch_sql[] = "INSERT INTO path_touch (repo_id, path, commit_id) VALUES (?, ?, ?) "
                                "ON CONFLICT (repo_id, path, commit_id) DO NOTHING";

/* A path can be there twice: as the file that went and the folder that came. */
static enum status insert_touches(struct db_conn *tx, int64_t repo_id, int64_t commit_id,
                                  const struct tree_changes *changes, struct error *err)
{
    auto_stmt struct stmt *touch = NULL;
    TRY(db_prepare(tx, touch_sql, &touch, err));
    for (size_t i = 0; i < changes->count; i++) {
        stmt_bind_int(touch, 1, repo_id);
        stmt_bind_str(touch, 2, changes->paths[i]);
        stmt_bind_int(touch, 3, commit_id);
        TRY(stmt_run(touch, err));
    }
    return OK;
}

static const char insert_sql[] = "INSERT INTO commit_row (repo_id, oid, tree, parents, history, at_us, author_name, "
                                 "author_email, title, message, by_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum status insert_row(struct db_conn *tx, int64_t repo_id, const struct commit *commit, int64_t history,
                              int64_t by_id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, repo_id);
    stmt_bind_blob(insert, 2, commit->id.bytes, sizeof commit->id.bytes);
    stmt_bind_blob(insert, 3, commit->tree.bytes, sizeof commit->tree.bytes);
    stmt_bind_blob(insert, 4, commit->parents, commit->parent_count * sizeof *commit->parents);
    stmt_bind_int(insert, 5, history);
    stmt_bind_int(insert, 6, commit->at_us);
    stmt_bind_str(insert, 7, commit->author_name);
    stmt_bind_str(insert, 8, commit->author_email);
    stmt_bind_str(insert, 9, commit->title);
    stmt_bind_str(insert, 10, commit->message.len ? commit->message : STR(""));
    stmt_bind_int(insert, 11, by_id);
    return stmt_run(insert, err);
}

enum status commit_insert(struct db_conn *tx, int64_t repo_id, const struct commit_new *what, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct commit commit;
    int64_t id, history = 0, parent;
    TRY(find_row(tx, repo_id, &what->id, &id, &history, err));
    if (id) /* the same change, made twice within a second, is one commit */
        return OK;
    if (what->parent) {
        TRY(find_row(tx, repo_id, what->parent, &parent, &history, err));
        if (!parent)
            return no_commit(err, what->parent);
    }
    if (!commit_parse(&arena, what->content, &commit))
        return fail(err, INTERNAL, NULL, "A commit came out malformed");
    commit.id = what->id;
    TRY(insert_row(tx, repo_id, &commit, history + 1, what->by_id, err));
    return insert_touches(tx, repo_id, db_last_id(tx), what->changes, err);
}

static void copy_parents(struct arena *arena, struct str parents, struct commit *out)
{
    out->parent_count = parents.len / sizeof *out->parents;
    out->parents = arena_array(arena, out->parent_count + 1, sizeof *out->parents);
    memcpy(out->parents, parents.data, out->parent_count * sizeof *out->parents);
}

/* Columns of get_sql, which stands on a row. */
static void read_commit(struct stmt *row, struct arena *arena, struct commit *out)
{
    *out = (struct commit){
        .title = arena_copy(arena, stmt_str(row, 4)),
        .message = arena_copy(arena, stmt_str(row, 5)),
        .author_name = arena_copy(arena, stmt_str(row, 6)),
        .author_email = arena_copy(arena, stmt_str(row, 7)),
        .at_us = stmt_int(row, 3),
    };
    oid_from(&out->id, stmt_str(row, 0));
    oid_from(&out->tree, stmt_str(row, 1));
    copy_parents(arena, stmt_str(row, 2), out);
}

static const char get_sql[] = "SELECT oid, tree, parents, at_us, title, message, author_name, author_email "
                              "FROM commit_row WHERE id = ?";

enum status commit_by_row(struct db_conn *conn, struct arena *arena, int64_t row, struct commit *out, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, row);
    bool found = stmt_next(get);
    if (found)
        read_commit(get, arena, out);
    TRY(stmt_end(get, err));
    return found ? OK : fail(err, CORRUPT, NULL, "Commit row %lld is missing", (long long)row);
}

enum status commit_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *id,
                       struct commit *out, struct error *err)
{
    int64_t row, history;
    TRY(find_row(conn, repo_id, id, &row, &history, err));
    return row ? commit_by_row(conn, arena, row, out, err) : no_commit(err, id);
}

enum status commit_history(struct db_conn *conn, int64_t repo_id, const struct oid *oid, int64_t *out,
                           struct error *err)
{
    int64_t row, history = 0;
    TRY(find_row(conn, repo_id, oid, &row, &history, err));
    if (out)
        *out = history;
    return row ? OK : no_commit(err, oid);
}

static const char tree_sql[] = "SELECT tree FROM commit_row WHERE repo_id = ? AND oid = ?";

enum status commit_hold(struct db_conn *conn, int64_t repo_id, const struct oid *commit, struct stmt **hold,
                        struct oid *tree, struct error *err)
{
    TRY(db_prepare(conn, tree_sql, hold, err));
    stmt_bind_int(*hold, 1, repo_id);
    stmt_bind_blob(*hold, 2, commit->bytes, sizeof commit->bytes);
    if (stmt_next(*hold)) {
        oid_from(tree, stmt_str(*hold, 0));
        return OK;
    }
    TRY(stmt_end(*hold, err));
    return no_commit(err, commit);
}

enum status commit_tree(struct db_conn *conn, int64_t repo_id, const struct oid *commit, struct oid *tree,
                        struct error *err)
{
    auto_stmt struct stmt *hold = NULL;
    return commit_hold(conn, repo_id, commit, &hold, tree, err);
}

/* What a line has above a commit. */

static void add_author(struct arena *arena, struct ahead *ahead, int64_t account)
{
    ahead->has_unknown |= account == 0;
    for (size_t i = 0; i < ahead->count; i++)
        if (ahead->authors[i] == account)
            return;
    ahead->authors = array_room(arena, ahead->authors, ahead->count, &ahead->capacity, sizeof *ahead->authors);
    ahead->authors[ahead->count++] = account;
}

static const char step_sql[] = "SELECT id, by_id, parents FROM commit_row WHERE repo_id = ? AND oid = ?";

struct step {
    int64_t id, by_id;
    bool has_parent;
    struct oid parent;
};

static enum status step_at(struct stmt *row, int64_t repo_id, const struct oid *commit, struct step *out,
                           struct error *err)
{
    stmt_bind_int(row, 1, repo_id);
    stmt_bind_blob(row, 2, commit->bytes, sizeof commit->bytes);
    bool found = stmt_next(row);
    if (found) {
        struct str parents = stmt_str(row, 2);
        *out = (struct step){stmt_int(row, 0), stmt_int(row, 1), parents.len >= SHA1_SIZE};
        if (out->has_parent)
            oid_from(&out->parent, str_slice(parents, 0, SHA1_SIZE));
    }
    TRY(stmt_end(row, err));
    return found ? OK : no_commit(err, commit);
}

/* Ids of rows fall along the line, so it need not be walked below base's own. */
enum status commits_ahead(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *base,
                          const struct oid *tip, struct ahead *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct step bottom, at;
    *out = (struct ahead){0};
    TRY(db_prepare(conn, step_sql, &row, err));
    TRY(step_at(row, repo_id, base, &bottom, err));
    TRY(step_at(row, repo_id, tip, &at, err));
    add_author(arena, out, at.by_id);
    for (int count = 1; at.has_parent; count++) {
        struct oid parent = at.parent;
        TRY(step_at(row, repo_id, &parent, &at, err));
        if (at.id <= bottom.id)
            break;
        if (count == AHEAD_MOST)
            return fail(err, UNPROCESSABLE, NULL,
                        "There are more than %d commits between the branch and this one: make the change in fewer.",
                        AHEAD_MOST);
        add_author(arena, out, at.by_id);
    }
    out->on_base = at.id == bottom.id;
    return OK;
}
