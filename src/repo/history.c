/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walking history by the ids of commit rows, which fall from child to parent (commit.c). */
#include "repo/internal.h"

static const char step_sql[] = "SELECT id, parents FROM commit_row WHERE repo_id = ? AND oid = ?";

/* A commit that is known by its row; parents are read with it. */
struct step {
    int64_t row;
    struct str parents; /* 20 bytes each */
};

static enum status step_to(struct db_conn *conn, struct arena *arena, int64_t repo_id, const void *oid,
                           struct step *out, struct error *err)
{
    auto_stmt struct stmt *step = NULL;
    TRY(db_prepare(conn, step_sql, &step, err));
    stmt_bind_int(step, 1, repo_id);
    stmt_bind_blob(step, 2, oid, SHA1_SIZE);
    bool found = stmt_next(step);
    if (found)
        *out = (struct step){stmt_int(step, 0), arena_copy(arena, stmt_str(step, 1))};
    TRY(stmt_end(step, err));
    return found ? OK : fail(err, CORRUPT, NULL, "A commit of repo %lld is missing", (long long)repo_id);
}

/* All ancestors, newest first. */

/* Commits that were reached and not yet passed, highest row last. Short: as long as history is wide. */
struct front {
    struct step *steps;
    size_t count, capacity;
};

static enum status front_add(struct db_conn *conn, struct arena *arena, int64_t repo_id, const void *oid,
                             struct front *front, struct error *err)
{
    struct step step;
    TRY(step_to(conn, arena, repo_id, oid, &step, err));
    size_t i = front->count;
    while (i > 0 && front->steps[i - 1].row > step.row)
        i--;
    if (i > 0 && front->steps[i - 1].row == step.row)
        return OK; /* reached by two ways */
    front->steps = array_room(arena, front->steps, front->count, &front->capacity, sizeof step);
    memmove(&front->steps[i + 1], &front->steps[i], (front->count - i) * sizeof step);
    front->steps[i] = step;
    front->count++;
    return OK;
}

enum status commit_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *from,
                        int64_t skip, int64_t limit, struct commit **out, size_t *count, int64_t *total,
                        struct error *err)
{
    auto_arena struct arena scratch = {0};
    auto_stmt struct stmt *hold = NULL;
    struct front front = {0};
    struct oid tree;
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    TRY(commit_hold(conn, repo_id, from, &hold, &tree, err));
    TRY(commit_history(conn, repo_id, from, total, err));
    TRY(front_add(conn, &scratch, repo_id, from->bytes, &front, err));
    for (int64_t passed = 0; front.count && (int64_t)*count < limit; passed++) {
        struct step newest = front.steps[--front.count];
        if (passed >= skip) {
            *out = array_room(arena, *out, *count, &capacity, sizeof **out);
            TRY(commit_by_row(conn, arena, newest.row, &(*out)[(*count)++], err));
        }
        for (size_t at = 0; at < newest.parents.len; at += SHA1_SIZE)
            TRY(front_add(conn, &scratch, repo_id, newest.parents.data + at, &front, err));
    }
    return OK;
}

/* The line of first parents. */

/*
 * A commit touches the paths in which it differs from its first parent. So along the line of first parents the newest
 * commit that touched a path is the one that gave it its present content; a merge is where the changes that it brings
 * arrive.
 */
struct lineage {
    struct db_conn *conn;
    struct arena *arena;
    int64_t repo_id;
    struct oid next; /* the commit to go on with, unless the line has ended */
    bool ended;
    int64_t *rows;                 /* falling */
    const struct commit **commits; /* of the rows; NULL while nobody asked */
    size_t count, capacity, commits_capacity;
};

struct lineage *lineage_new(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *from)
{
    struct lineage *line = arena_alloc(arena, sizeof *line);
    *line = (struct lineage){.conn = conn, .arena = arena, .repo_id = repo_id, .next = *from};
    return line;
}

static enum status extend(struct lineage *line, struct error *err)
{
    auto_arena struct arena scratch = {0};
    struct step step;
    TRY(step_to(line->conn, &scratch, line->repo_id, line->next.bytes, &step, err));
    line->rows = array_room(line->arena, line->rows, line->count, &line->capacity, sizeof *line->rows);
    line->commits = array_room(line->arena, line->commits, line->count, &line->commits_capacity, sizeof *line->commits);
    line->rows[line->count] = step.row;
    line->commits[line->count++] = NULL;
    line->ended = step.parents.len == 0;
    if (!line->ended)
        oid_from(&line->next, str_slice(step.parents, 0, SHA1_SIZE));
    return OK;
}

/* Finds the row in the line; *at is its place. */
static enum status find_in_line(struct lineage *line, int64_t row, bool *found, size_t *at, struct error *err)
{
    while (!line->ended && (!line->count || line->rows[line->count - 1] > row))
        TRY(extend(line, err));
    size_t low = 0, high = line->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (line->rows[middle] > row)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < line->count && line->rows[low] == row;
    *at = low;
    return OK;
}

static enum status commit_at(struct lineage *line, size_t at, const struct commit **out, struct error *err)
{
    if (!line->commits[at]) {
        struct commit *commit = arena_alloc(line->arena, sizeof *commit);
        TRY(commit_by_row(line->conn, line->arena, line->rows[at], commit, err));
        line->commits[at] = commit;
    }
    *out = line->commits[at];
    return OK;
}

static const char touches_sql[] = "SELECT commit_id FROM path_touch WHERE repo_id = ? AND path = ? "
                                  "ORDER BY commit_id DESC";

enum status lineage_last(struct lineage *line, struct str path, const struct commit **out, struct error *err)
{
    auto_stmt struct stmt *touches = NULL;
    bool found = path.len == 0;
    size_t at = 0;
    if (!line->count)
        TRY(extend(line, err));
    TRY(db_prepare(line->conn, touches_sql, &touches, err));
    stmt_bind_int(touches, 1, line->repo_id);
    stmt_bind_str(touches, 2, path);
    while (!found && stmt_next(touches))
        TRY(find_in_line(line, stmt_int(touches, 0), &found, &at, err));
    TRY(stmt_end(touches, err));
    if (!found)
        return fail(err, CORRUPT, NULL, "No commit is known to have made \"%.*s\"", STR_ARG(str_slice(path, 0, 300)));
    return commit_at(line, at, out, err);
}
