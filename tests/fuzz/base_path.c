/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a client sends as a path is decoded and checked; what comes through must hold nothing that a path may not hold.
 */
#include "base/path.h"
#include "base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void an_accepted_path_is_harmless(struct str path)
{
    assert(path.len > 0 && path.len <= PATH_LIMIT && str_is_utf8(path));
    assert(path.data[0] != '/' && path.data[path.len - 1] != '/');
    for (size_t i = 0; i < path.len; i++)
        assert((unsigned char)path.data[i] >= 0x20 && path.data[i] != 0x7F && path.data[i] != '\\');
    struct str rest = path, name;
    while (str_cut(&rest, '/', &name)) {
        assert(name.len > 0 && name.len <= PATH_NAME_LIMIT);
        assert(!str_eq(name, STR(".")) && !str_eq(name, STR("..")));
        assert(!str_eq_nocase(name, STR(".git")) && !str_eq_nocase(name, STR("git~1")));
        assert(!str_eq_nocase(str_slice(name, 0, 5), STR(".git:")));
    }
}

static void check(struct arena *arena, struct str path)
{
    struct error err = {0};
    if (path_check(path, &err) == OK) {
        an_accepted_path_is_harmless(path);
        struct str back = {0};
        assert(percent_decode(arena, percent_encode(arena, path, true), &back) && str_eq(back, path));
        struct str longer = arena_printf(arena, "%.*s/.git", STR_ARG(path));
        assert(path_check(longer, NULL) == UNPROCESSABLE);
    } else {
        assert(err.status == UNPROCESSABLE && err.message[0] && str_is_utf8(str_of(err.message)));
        for (const char *c = err.message; *c; c++)
            assert((unsigned char)*c >= 0x20 && *c != 0x7F); /* the message travels in a header */
    }
    if (ref_name_check(path, &err) == OK)
        assert(path.len <= 255 && !str_has(path, STR("..")) && !str_has(path, STR("//")) && path.data[0] != '-' &&
               !memchr(path.data, ' ', path.len) && !memchr(path.data, '\0', path.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct str raw = {data ? (const char *)data : "", size}, decoded = {0};
    check(&arena, raw);
    if (percent_decode(&arena, raw, &decoded)) {
        assert(decoded.len <= raw.len && !memchr(decoded.data, '\0', decoded.len));
        check(&arena, decoded);
    }
    return 0;
}
