/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tree objects: "mode name NUL id" in a row, in git's order. */
#include "base/path.h"
#include "repo/internal.h"
#include <assert.h>

/* One tree. */

static bool read_mode(struct str digits, unsigned *mode)
{
    *mode = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '7')
            return false;
        *mode = 8 * *mode + (unsigned)(digits.data[i] - '0');
    }
    unsigned type = *mode & 0170000;
    return digits.len <= 6 && (*mode == MODE_FOLDER || *mode == MODE_SUBMODULE || type == 0100000 || type == 0120000);
}

bool tree_next(struct str *rest, struct tree_item *out)
{
    const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    if (!space || !read_mode((struct str){rest->data, (size_t)(space - rest->data)}, &out->mode))
        return false;
    struct str tail = str_from(*rest, (size_t)(space - rest->data) + 1);
    const char *nul = tail.len ? memchr(tail.data, '\0', tail.len) : NULL;
    if (!nul || nul == tail.data || tail.len - (size_t)(nul - tail.data) - 1 < SHA1_SIZE)
        return false;
    out->name = (struct str){tail.data, (size_t)(nul - tail.data)};
    oid_from(&out->oid, str_slice(tail, out->name.len + 1, SHA1_SIZE));
    *rest = str_from(tail, out->name.len + 1 + SHA1_SIZE);
    return true;
}

enum status tree_end(struct str rest, struct error *err)
{
    return rest.len ? fail(err, CORRUPT, NULL, "A stored git tree is malformed") : OK;
}

void tree_item_add(struct buf *tree, unsigned mode, struct str name, const struct oid *oid)
{
    buf_printf(tree, "%o ", mode);
    buf_str(tree, name);
    buf_byte(tree, '\0');
    buf_add(tree, oid->bytes, sizeof oid->bytes);
}

int tree_order(struct str a, bool a_folder, struct str b, bool b_folder)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    int after_a = a.len > common ? (unsigned char)a.data[common] : a_folder ? '/' : 0;
    int after_b = b.len > common ? (unsigned char)b.data[common] : b_folder ? '/' : 0;
    return after_a - after_b;
}

bool tree_find(struct str tree, struct str name, struct tree_item *out)
{
    while (tree_next(&tree, out))
        if (str_eq(out->name, name))
            return true;
    return false;
}

enum status tree_walk(const struct git_source *from, const struct oid *root, struct str path, struct tree_item *out,
                      bool *found, struct error *err)
{
    *out = (struct tree_item){.mode = MODE_FOLDER, .name = STR(""), .oid = *root};
    *found = true;
    struct str rest = path.len ? path : (struct str){0}, name;
    while (*found && str_cut(&rest, '/', &name)) {
        auto_arena struct arena arena = {0};
        struct str tree;
        *found = tree_is_folder(out);
        if (!*found)
            break;
        TRY(git_read(from, &arena, GIT_TREE, &out->oid, &tree, err));
        *found = tree_find(tree, name, out);
        out->name = name; /* the tree's own bytes go with the arena */
    }
    return OK;
}

/* The difference of two. */

struct differ {
    const struct git_source *from;
    struct arena *arena; /* of the paths */
    struct tree_changes *out;
};

static enum status diff_folder(struct differ *d, const struct oid *before, const struct oid *after, struct str prefix,
                               struct error *err);

static enum status diff_item(struct differ *d, const struct tree_item *before, const struct tree_item *after,
                             struct str prefix, struct error *err)
{
    if (before && after && before->mode == after->mode && oid_eq(&before->oid, &after->oid))
        return OK;
    struct tree_changes *out = d->out;
    struct str path = arena_printf(d->arena, "%.*s%s%.*s", STR_ARG(prefix), prefix.len ? "/" : "",
                                   STR_ARG(after ? after->name : before->name));
    /* Trees that git clients push can be deeper than any path that we take; nothing may recurse without end. */
    if (path.len > PATH_LIMIT)
        return fail(err, UNPROCESSABLE, NULL, "A path in this commit is longer than %d bytes", PATH_LIMIT);
    out->paths = array_room(d->arena, out->paths, out->count, &out->capacity, sizeof *out->paths);
    out->paths[out->count++] = path;

    const struct tree_item *either = after ? after : before;
    if (tree_is_folder(either))
        return diff_folder(d, before ? &before->oid : NULL, after ? &after->oid : NULL, path, err);
    out->added += !before;
    out->removed += !after;
    out->changed += before && after;
    return OK;
}

/* One tree of the two, with the item that is to be looked at next. */
struct side {
    struct str rest;
    struct tree_item item;
    bool there;
};

static enum status open_side(struct differ *d, struct arena *arena, const struct oid *oid, struct side *side,
                             struct error *err)
{
    *side = (struct side){.rest = STR("")};
    if (oid)
        TRY(git_read(d->from, arena, GIT_TREE, oid, &side->rest, err));
    side->there = tree_next(&side->rest, &side->item);
    return OK;
}

static enum status diff_folder(struct differ *d, const struct oid *before, const struct oid *after, struct str prefix,
                               struct error *err)
{
    auto_arena struct arena arena = {0};
    struct side a, b;
    TRY(open_side(d, &arena, before, &a, err));
    TRY(open_side(d, &arena, after, &b, err));
    while (a.there || b.there) {
        int order = !b.there   ? -1
                    : !a.there ? 1
                               : tree_order(a.item.name, tree_is_folder(&a.item), b.item.name, tree_is_folder(&b.item));
        TRY(diff_item(d, order <= 0 ? &a.item : NULL, order >= 0 ? &b.item : NULL, prefix, err));
        if (order <= 0)
            a.there = tree_next(&a.rest, &a.item);
        if (order >= 0)
            b.there = tree_next(&b.rest, &b.item);
    }
    TRY(tree_end(a.rest, err));
    return tree_end(b.rest, err);
}

enum status tree_diff(const struct git_source *from, struct arena *arena, const struct oid *before,
                      const struct oid *after, struct tree_changes *out, struct error *err)
{
    *out = (struct tree_changes){0};
    if (before && oid_eq(before, after))
        return OK;
    struct differ d = {from, arena, out};
    return diff_folder(&d, before, after, STR(""), err);
}
