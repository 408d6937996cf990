/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A path on the first line, then the rules: both readers stand it, and a rule that is added takes effect. */
#include "scan/attributes.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct str rest = {(const char *)data, size}, path;
    struct attributes *attributes;
    struct ignore *ignore;
    if (!size || !str_cut(&rest, '\n', &path))
        return 0;
    if (attributes_parse(&arena, rest, &attributes, NULL) == OK)
        attributes_is_lfs(attributes, path);
    if (ignore_parse(&arena, rest, &ignore, NULL) == OK)
        ignore_matches(ignore, path);
    if (path.len == 0 || path.len > 500 || memchr(path.data, 0, path.len) || path.data[0] == '/' ||
        path.data[path.len - 1] == '/')
        return 0;
    struct str added = attributes_add_lfs(&arena, STR("* -filter"), path);
    assert(attributes_parse(&arena, added, &attributes, NULL) == OK);
    assert(attributes_is_lfs(attributes, path));
    assert(!attributes_is_lfs(attributes, arena_printf(&arena, "%.*sx", STR_ARG(path))));
    return 0;
}
