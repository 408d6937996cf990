/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any path against every pattern that the hub has. */
#include "../../src/modules.c"
#include "router/pattern.h"
#include <assert.h>

static void check_text(struct str text)
{
    assert(!text.len || (text.data && !memchr(text.data, 0, text.len)));
}

static void check_match(struct str path, const char *pattern, const struct pattern_match *m)
{
    bool names_repo = strstr(pattern, "{api}") || strstr(pattern, "{web}");
    assert(m->has_repo == names_repo);
    for (size_t i = 0; i < PATTERN_PARAMS; i++)
        check_text(m->params[i]);
    if (!names_repo)
        return;
    assert(m->kind >= KIND_MODEL && m->kind <= KIND_SPACE && m->ns.len > 0);
    check_text(m->ns);
    check_text(m->name);
    /* The redirect of a moved repo puts another name between these two. */
    assert(m->repo_start > 0 && path.data[m->repo_start - 1] == '/');
    assert(m->repo_start < m->repo_end && m->repo_end <= path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct str path = {(const char *)data, size};
    for (const struct module *const *module = modules; *module; module++) {
        for (const struct route *route = (*module)->routes; route && route->pattern; route++) {
            struct pattern_match m;
            if (pattern_match(&arena, route->pattern, path, &m))
                check_match(path, route->pattern, &m);
        }
    }
    return 0;
}
