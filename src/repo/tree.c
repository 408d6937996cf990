/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a revision holds: entries and listings. */
#include "repo/internal.h"

static enum status no_entry(struct error *err, struct str path)
{
    return fail(err, NOT_FOUND, "EntryNotFound", "Entry not found: %.*s", STR_ARG(str_slice(path, 0, 400)));
}

/* path must live as long as the entry. */
static enum status fill_entry(const struct git_source *from, const struct tree_item *item, struct str path,
                              struct lineage *line, struct entry *out, struct error *err)
{
    *out = (struct entry){.path = path, .is_folder = tree_is_folder(item), .oid = item->oid};
    if (!out->is_folder) {
        struct git_row row;
        TRY(git_blob_row(from, &item->oid, &row, err));
        out->is_lfs = row.is_lfs;
        out->size = row.is_lfs ? row.lfs_size : row.size;
        out->pointer_size = row.is_lfs ? row.size : 0;
        out->has_sha256 = row.has_sha256;
        memcpy(out->sha256, row.sha256, sizeof out->sha256);
    }
    return line ? lineage_last(line, path, &out->last_commit, err) : OK;
}

enum status find_entry(const struct git_source *from, struct arena *arena, const struct oid *root, struct str path,
                       struct lineage *line, struct entry *out, struct error *err)
{
    struct tree_item item;
    bool found;
    TRY(tree_walk(from, root, path, &item, &found, err));
    if (!found || item.mode == MODE_SUBMODULE)
        return no_entry(err, path);
    return fill_entry(from, &item, arena_copy(arena, path), line, out, err);
}

/* Listings. */

struct lister {
    const struct git_source *from;
    struct arena *arena;
    const struct listing *how;
    struct lineage *line;
    struct entry *entries;
    size_t count, capacity;
    bool more;
};

static enum status list_folder(struct lister *l, const struct oid *oid, struct str prefix, struct str after,
                               struct error *err);

static struct str join(struct arena *arena, struct str prefix, struct str name)
{
    size_t start = prefix.len ? prefix.len + 1 : 0;
    char *path = arena_alloc(arena, start + name.len + 1);
    if (prefix.len) {
        memcpy(path, prefix.data, prefix.len);
        path[prefix.len] = '/';
    }
    memcpy(path + start, name.data, name.len);
    return (struct str){path, start + name.len};
}

/* One item that comes after what was listed before, with what is below it. */
static enum status list_item(struct lister *l, const struct tree_item *item, struct str prefix, struct error *err)
{
    if (item->mode == MODE_SUBMODULE)
        return OK;
    if (l->how->limit <= 0 || l->count >= (uint64_t)l->how->limit) {
        l->more = true;
        return OK;
    }
    struct str path = join(l->arena, prefix, item->name);
    l->entries = array_room(l->arena, l->entries, l->count, &l->capacity, sizeof *l->entries);
    if (l->how->names_only)
        l->entries[l->count] = (struct entry){.path = path, .is_folder = tree_is_folder(item), .oid = item->oid};
    else
        TRY(fill_entry(l->from, item, path, l->line, &l->entries[l->count], err));
    l->count++;
    return l->how->recursive && tree_is_folder(item) ? list_folder(l, &item->oid, path, (struct str){0}, err) : OK;
}

/*
 * after is the last path of the page before, seen from this folder; absent when all of the folder is to be listed. What
 * stands before its first name is passed over; a folder of that name is entered, because the page may have ended inside
 * it.
 */
static enum status list_folder(struct lister *l, const struct oid *oid, struct str prefix, struct str after,
                               struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str rest, below = after, first = STR("");
    struct tree_item item, at = {0};
    TRY(git_read(l->from, &arena, GIT_TREE, oid, &rest, err));
    bool skipping = str_given(after);
    if (skipping)
        str_cut(&below, '/', &first);
    /* A name alone does not tell its place: "a" as a folder comes behind "a.txt". When it is gone, "a/b" was a folder.
     */
    bool first_is_folder = skipping && (tree_find(rest, first, &at) ? tree_is_folder(&at) : str_given(below));
    while (!l->more && tree_next(&rest, &item)) {
        int order = skipping ? tree_order(item.name, tree_is_folder(&item), first, first_is_folder) : 1;
        if (order > 0)
            TRY(list_item(l, &item, prefix, err));
        else if (order == 0 && l->how->recursive && tree_is_folder(&item))
            TRY(list_folder(l, &item.oid, join(l->arena, prefix, item.name), below, err));
    }
    return l->more ? OK : tree_end(rest, err);
}

enum status list_entries(const struct git_source *from, struct arena *arena, const struct oid *root, struct str folder,
                         const struct listing *how, struct lineage *line, struct entry **out, size_t *count, bool *more,
                         struct error *err)
{
    struct lister l = {.from = from, .arena = arena, .how = how, .line = line};
    struct tree_item item;
    bool found;
    TRY(tree_walk(from, root, folder, &item, &found, err));
    if (!found || !tree_is_folder(&item))
        return no_entry(err, folder);
    /* What was listed before lies in this folder, or the page starts anew. */
    struct str after = how->after;
    if (str_given(after) && folder.len)
        after = str_starts(after, folder) && after.len > folder.len && after.data[folder.len] == '/'
                    ? str_from(after, folder.len + 1)
                    : (struct str){0};
    TRY(list_folder(&l, &item.oid, folder, after, err));
    *out = l.entries;
    *count = l.count;
    *more = l.more;
    return OK;
}

/* Of a commit. */

enum status entry_find(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                       struct str path, bool last_commit, struct entry *out, struct error *err)
{
    struct git_source from = {.conn = conn, .repo_id = repo_id};
    auto_stmt struct stmt *hold = NULL;
    struct oid root;
    TRY(commit_hold(conn, repo_id, commit, &hold, &root, err));
    struct lineage *line = last_commit ? lineage_new(conn, arena, repo_id, commit) : NULL;
    return find_entry(&from, arena, &root, path, line, out, err);
}

enum status entry_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                       struct str folder, const struct listing *how, struct entry **out, size_t *count, bool *more,
                       struct error *err)
{
    struct git_source from = {.conn = conn, .repo_id = repo_id};
    auto_stmt struct stmt *hold = NULL;
    struct oid root;
    TRY(commit_hold(conn, repo_id, commit, &hold, &root, err));
    struct lineage *line = how->last_commit ? lineage_new(conn, arena, repo_id, commit) : NULL;
    return list_entries(&from, arena, &root, folder, how, line, out, count, more, err);
}

enum status entry_sha256(struct db_conn *conn, int64_t repo_id, const struct entry *entry, uint8_t out[SHA256_SIZE],
                         struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str bytes;
    memcpy(out, entry->sha256, SHA256_SIZE);
    if (entry->has_sha256)
        return OK;
    TRY(blob_read(conn, &arena, repo_id, &entry->oid, &bytes, err));
    sha256(bytes, out);
    return OK;
}

enum status blob_read(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *blob,
                      struct str *out, struct error *err)
{
    struct git_source from = {.conn = conn, .repo_id = repo_id};
    return git_read(&from, arena, GIT_BLOB, blob, out, err);
}
