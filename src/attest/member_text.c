/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/member_text.h"

/* Where a string that starts at from ends: behind its closing quote. */
static size_t string_end(struct str text, size_t from)
{
    size_t at = from + 1;
    while (at < text.len && text.data[at] != '"')
        at += text.data[at] == '\\' ? 2 : 1;
    return at < text.len ? at + 1 : text.len;
}

struct str member_text(struct str object, struct str name)
{
    struct str key = {0};
    size_t depth = 0, value = 0;
    for (size_t at = 0; at < object.len; at++) {
        char c = object.data[at];
        if (c == '"') {
            size_t end = string_end(object, at);
            if (depth == 1 && !value)
                key = str_slice(object, at + 1, end - at - 2);
            at = end - 1;
            continue;
        }
        if (depth == 1 && (c == ',' || c == '}') && value) {
            if (str_eq(key, name))
                return str_trim(str_slice(object, value, at - value));
            value = 0;
        }
        if (depth == 1 && c == ':')
            value = at + 1;
        if (c == '{' || c == '[')
            depth++;
        if ((c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return (struct str){0};
}
