/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Editing a tree. git_tree_create_updated() leaves open what happens when one path is removed and added in one call,
 * and cannot turn a file into a folder; people do both. So the tree is edited as one would edit folders on a disk:
 * edits are done one after the other on an overlay that loads a folder when an edit first enters it, and in the end the
 * changed folders are written.
 */
#include "repo/internal.h"
#include <stdlib.h>

struct node {
    struct str name;
    unsigned mode;
    bool gone;      /* stays in its folder so that a later edit can bring it back */
    struct oid oid; /* out of date while the folder is changed */
    struct node *parent;
    struct folder *folder; /* what is in a folder; NULL while nobody has looked */
};

struct folder {
    struct node **children;
    size_t count, capacity, alive;
    uint32_t *slots; /* by name, open addressing: position in children plus one */
    size_t slot_count;
    bool changed;
};

struct editor {
    struct arena arena;
    const struct git_source *from;
    struct git_set *made;
    uint64_t seed; /* people choose names, but not this */
};

/* Folders in memory. */

static uint32_t *slot_of(const struct editor *e, const struct folder *folder, struct str name)
{
    uint64_t hash = e->seed;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * UINT64_C(0x100000001b3) + (hash >> 47);
    size_t i = (size_t)(hash ^ hash >> 32) & (folder->slot_count - 1);
    while (folder->slots[i] && !str_eq(folder->children[folder->slots[i] - 1]->name, name))
        i = (i + 1) & (folder->slot_count - 1);
    return &folder->slots[i];
}

static struct node *child_find(const struct editor *e, const struct folder *folder, struct str name)
{
    uint32_t position = folder->slot_count ? *slot_of(e, folder, name) : 0;
    return position ? folder->children[position - 1] : NULL;
}

static void grow_slots(struct editor *e, struct folder *folder)
{
    folder->slot_count = folder->slot_count ? 2 * folder->slot_count : 16;
    folder->slots = arena_array(&e->arena, folder->slot_count, sizeof *folder->slots);
    for (size_t i = 0; i < folder->count; i++)
        *slot_of(e, folder, folder->children[i]->name) = (uint32_t)i + 1;
}

/* The name must not be in the folder yet, and must live as long as the editor. */
static struct node *child_add(struct editor *e, struct node *parent, struct str name)
{
    struct folder *folder = parent->folder;
    if (2 * (folder->count + 1) > folder->slot_count)
        grow_slots(e, folder);
    struct node *node = arena_alloc(&e->arena, sizeof *node);
    *node = (struct node){.name = name, .parent = parent, .gone = true};
    folder->children =
        array_room(&e->arena, folder->children, folder->count, &folder->capacity, sizeof *folder->children);
    *slot_of(e, folder, name) = (uint32_t)folder->count + 1;
    folder->children[folder->count++] = node;
    return node;
}

static enum status load(struct editor *e, struct node *node, struct error *err)
{
    struct str tree;
    struct tree_item item;
    if (node->folder)
        return OK;
    TRY(git_read(e->from, &e->arena, GIT_TREE, &node->oid, &tree, err));
    node->folder = arena_alloc(&e->arena, sizeof *node->folder);
    while (tree_next(&tree, &item)) {
        if (child_find(e, node->folder, item.name))
            return fail(err, CORRUPT, NULL, "A stored git tree names one file twice");
        struct node *child = child_add(e, node, item.name);
        child->mode = item.mode;
        child->oid = item.oid;
        child->gone = false;
        node->folder->alive++;
    }
    return tree_end(tree, err);
}

static void mark_changed(struct node *node)
{
    for (; node && !node->folder->changed; node = node->parent)
        node->folder->changed = true;
}

static void revive(struct node *node)
{
    if (node->gone)
        node->parent->folder->alive++;
    node->gone = false;
}

/* Git has no empty folders: with the last file its folder goes, and so on up to the root. */
static void drop(struct node *node)
{
    mark_changed(node->parent);
    do {
        node->gone = true;
        node->folder = NULL;
        node = node->parent;
        node->folder->alive--;
    } while (node->folder->alive == 0 && node->parent);
}

/* Edits. */

static enum status file_in_the_way(struct str path, const struct node *node, struct error *err)
{
    return fail(err, UNPROCESSABLE, NULL, "Cannot write \"%.*s\": \"%.*s\" is a file where a folder is needed",
                STR_ARG(str_slice(path, 0, 200)), STR_ARG(str_slice(node->name, 0, 200)));
}

static enum status not_there(struct str path, struct error *err)
{
    return fail(err, NOT_FOUND, "EntryNotFound", "A file with this name doesn't exist: %.*s",
                STR_ARG(str_slice(path, 0, 400)));
}

/* Makes node an empty folder that nobody has stored. */
static void begin_folder(struct editor *e, struct node *node)
{
    revive(node);
    node->mode = MODE_FOLDER;
    node->folder = arena_alloc(&e->arena, sizeof *node->folder);
}

/* From the root to the node of a path that is to be written, making folders on the way. It may be new: gone, and mode
 * 0. */
static enum status reach(struct editor *e, struct str path, struct node **at, struct error *err)
{
    struct node *node = *at;
    struct str rest = path, name;
    while (str_cut(&rest, '/', &name)) {
        if (node->gone)
            begin_folder(e, node);
        else if (node->mode != MODE_FOLDER)
            return file_in_the_way(path, node, err);
        TRY(load(e, node, err));
        struct node *child = child_find(e, node->folder, name);
        node = child ? child : child_add(e, node, name);
    }
    *at = node;
    return OK;
}

static enum status put(struct editor *e, struct node *root, const struct edit *edit, struct error *err)
{
    struct node *node = root;
    TRY(reach(e, edit->path, &node, err));
    struct git_row blob;
    if (edit->kind == EDIT_PUT_ENTRY && !edit->is_folder)
        TRY(git_blob_row(e->from, &edit->oid, &blob, err)); /* another repo's would be missing in this one */
    bool was_folder = !node->gone && node->mode == MODE_FOLDER;
    if (edit->is_folder && !node->gone && !was_folder)
        return file_in_the_way(edit->path, node, err);
    /* To lose a folder to a file of its name by mistake is too easy; who wants it removes the folder first. */
    if (!edit->is_folder && was_folder)
        return fail(err, UNPROCESSABLE, NULL, "Cannot write \"%.*s\": a folder of this name stands there",
                    STR_ARG(str_slice(edit->path, 0, 400)));
    bool runnable = !node->gone && node->mode == MODE_RUNNABLE;
    node->mode = edit->is_folder ? MODE_FOLDER : runnable ? MODE_RUNNABLE : MODE_FILE;
    node->oid = edit->oid;
    node->folder = NULL;
    revive(node);
    mark_changed(node->parent);
    return OK;
}

static enum status take_away(struct editor *e, struct node *root, struct str path, struct error *err)
{
    struct node *node = root;
    struct str rest = path, name;
    while (str_cut(&rest, '/', &name)) {
        if (node->mode != MODE_FOLDER)
            return not_there(path, err);
        TRY(load(e, node, err));
        node = child_find(e, node->folder, name);
        if (!node || node->gone)
            return not_there(path, err);
    }
    drop(node);
    return OK;
}

/* Writing. */

static int by_tree_order(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    return tree_order(x->name, x->mode == MODE_FOLDER, y->name, y->mode == MODE_FOLDER);
}

static enum status write_folder(struct editor *e, struct node *node, struct error *err)
{
    struct folder *folder = node->folder;
    auto_buf struct buf tree = {0};
    /* The slots are out of step with the children from here on: nobody looks names up any more. */
    if (folder->count)
        qsort(folder->children, folder->count, sizeof *folder->children, by_tree_order);
    for (size_t i = 0; i < folder->count; i++) {
        struct node *child = folder->children[i];
        if (child->gone)
            continue;
        if (child->folder && child->folder->changed)
            TRY(write_folder(e, child, err));
        tree_item_add(&tree, child->mode, child->name, &child->oid);
    }
    return git_set_add(e->made, GIT_TREE, buf_view(&tree), &node->oid, err);
}

static enum status edit_all(struct editor *e, struct node *root, const struct edit *edits, size_t count,
                            struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (edits[i].kind == EDIT_REMOVE)
            TRY(take_away(e, root, edits[i].path, err));
        else
            TRY(put(e, root, &edits[i], err));
    }
    return root->folder && root->folder->changed ? write_folder(e, root, err) : OK;
}

enum status edit_apply(const struct git_source *from, const struct oid *root, const struct edit *edits, size_t count,
                       struct git_set *made, struct oid *out, struct error *err)
{
    struct editor e = {.from = from, .made = made};
    struct node top = {.mode = MODE_FOLDER, .name = STR("")};
    random_bytes(&e.seed, sizeof e.seed);
    if (root)
        top.oid = *root;
    else {
        top.folder = arena_alloc(&e.arena, sizeof *top.folder);
        top.folder->changed = true;
    }
    enum status status = edit_all(&e, &top, edits, count, err);
    arena_free(&e.arena);
    *out = top.oid;
    return status;
}
