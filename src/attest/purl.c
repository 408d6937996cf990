/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/purl.h"
#include "base/text.h"

/* The version stands behind the last '@' of what is left when "#…" and "?…" are off. */
bool purl_version(struct arena *arena, struct str purl, struct str *version)
{
    struct str path = purl, rest;
    if (!str_starts(purl, STR("pkg:")))
        return false;
    rest = purl;
    str_cut(&rest, '#', &path);
    rest = path;
    str_cut(&rest, '?', &path);
    size_t at = path.len;
    while (at > 0 && path.data[at - 1] != '@' && path.data[at - 1] != '/')
        at--;
    if (at == 0 || path.data[at - 1] != '@' || !percent_decode(arena, str_from(path, at), version))
        return false;
    for (size_t i = 0; i < version->len; i++)
        if (version->data[i] <= ' ' || version->data[i] > '~')
            return false;
    return version->len > 0;
}
