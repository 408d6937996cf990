/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

/*
 * Matching by dynamic programming over (pattern item, path position): time and memory are bounded by their product
 * whatever the pattern, where backtracking would be exponential. The pattern is first cut into items, one row of bits
 * is kept for each.
 */
enum item_kind { ITEM_CHAR, ITEM_ANY, ITEM_CLASS, ITEM_STAR, ITEM_FOLDERS, ITEM_REST };

struct item {
    enum item_kind kind;
    char c;
    struct str class; /* what stands between [ and ] */
};

#define GLOB_LIMIT 1024

/* The end of a class that begins at pattern[at] == '['; 0 when it never ends: then '[' stands for itself. */
static size_t class_end(struct str pattern, size_t at)
{
    size_t i = at + 1;
    if (i < pattern.len && (pattern.data[i] == '!' || pattern.data[i] == '^'))
        i++;
    if (i < pattern.len && pattern.data[i] == ']')
        i++;
    for (; i < pattern.len; i++) {
        if (pattern.data[i] == '\\')
            i++;
        else if (pattern.data[i] == ']')
            return i;
    }
    return 0;
}

static bool class_has(struct str class, char wanted)
{
    bool negated = class.len && (class.data[0] == '!' || class.data[0] == '^'), found = false;
    if (wanted == '/')
        return false;
    for (size_t i = negated; i < class.len; i++) {
        if (class.data[i] == '\\' && i + 1 < class.len)
            i++;
        uint8_t low = (uint8_t) class.data[i], high = low;
        if (i + 2 < class.len && class.data[i + 1] == '-') {
            i += 2;
            if (class.data[i] == '\\' && i + 1 < class.len)
                i++;
            high = (uint8_t) class.data[i];
        }
        found = found || ((uint8_t)wanted >= low && (uint8_t)wanted <= high);
    }
    return found != negated;
}

/* Two stars between slashes (or an end) mean folders; elsewhere they are one star (gitignore(5)). */
static void cut_star(struct str pattern, size_t *at, struct item *item)
{
    size_t start = *at, end = start;
    while (end < pattern.len && pattern.data[end] == '*')
        end++;
    bool left = start == 0 || pattern.data[start - 1] == '/';
    *item = (struct item){.kind = ITEM_STAR};
    if (end - start == 2 && left && end == pattern.len)
        item->kind = ITEM_REST;
    else if (end - start == 2 && left && pattern.data[end] == '/') {
        item->kind = ITEM_FOLDERS;
        end++;
    }
    *at = end;
}

static size_t cut_items(struct str pattern, struct item *items)
{
    size_t count = 0;
    for (size_t i = 0; i < pattern.len;) {
        struct item *item = &items[count++];
        char c = pattern.data[i];
        size_t end;
        if (c == '*') {
            cut_star(pattern, &i, item);
            continue;
        }
        *item = (struct item){.kind = ITEM_CHAR, .c = c};
        if (c == '?') {
            item->kind = ITEM_ANY;
        } else if (c == '[' && (end = class_end(pattern, i))) {
            *item = (struct item){.kind = ITEM_CLASS, .class = str_slice(pattern, i + 1, end - i - 1)};
            i = end;
        } else if (c == '\\' && i + 1 < pattern.len) {
            item->c = pattern.data[++i];
        }
        i++;
    }
    return count;
}

static bool takes(const struct item *item, char c)
{
    return item->kind == ITEM_CHAR ? item->c == c : item->kind == ITEM_ANY ? c != '/' : class_has(item->class, c);
}

/* reached[j]: what came before this item matches the first j bytes of path. Replaced by the same for the item included.
 */
static void apply(const struct item *item, struct str path, bool *reached)
{
    bool open = false;
    switch (item->kind) {
    case ITEM_STAR: /* any bytes but '/' */
        for (size_t j = 0; j <= path.len; j++) {
            open = reached[j] || (open && path.data[j - 1] != '/');
            reached[j] = open;
        }
        break;
    case ITEM_REST: /* at least one byte, of any kind */
        for (size_t j = 0; j <= path.len; j++) {
            bool here = reached[j];
            reached[j] = open;
            open = open || here;
        }
        break;
    case ITEM_FOLDERS: /* nothing, or whole folders with their slash */
        for (size_t j = 0; j <= path.len; j++) {
            bool here = reached[j];
            reached[j] = here || (open && j > 0 && path.data[j - 1] == '/');
            open = open || here;
        }
        break;
    default: /* one byte */
        for (size_t j = path.len; j > 0; j--)
            reached[j] = reached[j - 1] && takes(item, path.data[j - 1]);
        reached[0] = false;
    }
}

bool glob_match(struct str pattern, struct str path)
{
    struct item items[GLOB_LIMIT];
    bool reached[GLOB_LIMIT + 1] = {true};
    if (pattern.len > GLOB_LIMIT || path.len > GLOB_LIMIT)
        return false;
    size_t count = cut_items(pattern, items);
    for (size_t i = 0; i < count; i++)
        apply(&items[i], path, reached);
    return reached[path.len];
}
