/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commits and trees: what is taken for well-formed can be written again and is then the same. */
#include "repo/internal.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_tree(struct str content)
{
    auto_buf struct buf again = {0};
    struct str rest = content, second;
    struct tree_item item, same;
    while (tree_next(&rest, &item))
        tree_item_add(&again, item.mode, item.name, &item.oid);
    /* A mode may come with a leading zero and goes without; so the copy is compared item by item. */
    second = buf_view(&again);
    for (rest = content; tree_next(&rest, &item);)
        if (!tree_next(&second, &same) || same.mode != item.mode || !str_eq(same.name, item.name) ||
            !oid_eq(&same.oid, &item.oid))
            abort();
    if (second.len)
        abort();
}

static void check_commit(struct str content)
{
    auto_arena struct arena arena = {0};
    struct commit commit;
    if (!commit_parse(&arena, content, &commit))
        return;
    for (size_t i = 0; i < commit.title.len; i++)
        if (commit.title.data[i] == '\n')
            abort();
    if (commit.parent_count * 48 > content.len || commit.message.len + commit.title.len > content.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct str content = {(const char *)data, len};
    if (str_starts(content, STR("tree ")))
        check_commit(content);
    else
        check_tree(content);
    return 0;
}
