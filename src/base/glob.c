/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/text.h"

#include <ctype.h>

/* [:name:] in a set; false for an unknown name too. */
static bool in_class(struct str name, unsigned char c)
{
    static const struct {
        const char *name;
        int (*test)(int);
    } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
                   {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
                   {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (str_eq(name, str_of(classes[i].name)))
            return c < 0x80 && classes[i].test(c);
    return false;
}

/* One character of a set, which a backslash may stand before. False at the end of the pattern. */
static bool set_character(struct str pattern, size_t *at, unsigned char *out)
{
    if (*at < pattern.len && pattern.data[*at] == '\\')
        ++*at;
    if (*at >= pattern.len)
        return false;
    *out = (unsigned char)pattern.data[(*at)++];
    return true;
}

/* Matches c with the set that starts after the '[' at *at and moves *at behind its ']'. A set without ']' matches
 * nothing. */
static bool in_set(struct str pattern, size_t *at, unsigned char c)
{
    bool negated = *at < pattern.len && (pattern.data[*at] == '!' || pattern.data[*at] == '^');
    bool found = false;
    *at += negated;
    for (size_t first = *at; *at == first || (*at < pattern.len && pattern.data[*at] != ']');) {
        struct str rest = str_from(pattern, *at), name;
        if (str_starts(rest, STR("[:"))) {
            rest = str_from(rest, 2);
            if (str_cut(&rest, ':', &name) && rest.len && rest.data[0] == ']') {
                found |= in_class(name, c);
                *at = (size_t)(rest.data + 1 - pattern.data);
                continue;
            }
        }
        unsigned char low, high;
        if (!set_character(pattern, at, &low))
            return false;
        high = low;
        if (*at + 1 < pattern.len && pattern.data[*at] == '-' && pattern.data[*at + 1] != ']') {
            ++*at;
            if (!set_character(pattern, at, &high))
                return false;
        }
        found |= c >= low && c <= high;
    }
    if (*at >= pattern.len)
        return false;
    ++*at;
    return found != negated && c != '/';
}

/* Matches one character with the pattern at *at, which is not a '*', and moves *at behind what it used. */
static bool one_matches(struct str pattern, size_t *at, char c)
{
    char p = pattern.data[(*at)++];
    if (p == '?')
        return c != '/';
    if (p == '[')
        return in_set(pattern, at, (unsigned char)c);
    if (p == '\\') {
        if (*at == pattern.len)
            return false;
        p = pattern.data[(*at)++];
    }
    return p == c;
}

/* Where to go on when a match fails: the pattern behind a wildcard, and the text that the wildcard has not taken yet.
 */
struct retry {
    bool set;
    size_t pattern, path;
};

/*
 * A '*' takes more of its name, a "**" takes whole names. Only the last of each can need another try: what stands
 * before it has matched as early as possible, which leaves it every choice that a later match would. So the time is at
 * most pattern times path, whatever the pattern.
 */
bool glob_match(struct str pattern, struct str path)
{
    struct retry star = {0}, deep = {0};
    size_t p = 0, t = 0;
    for (;;) {
        if (p < pattern.len && pattern.data[p] == '*') {
            size_t end = p;
            while (end < pattern.len && pattern.data[end] == '*')
                end++;
            bool whole_name =
                (p == 0 || pattern.data[p - 1] == '/') && (end == pattern.len || pattern.data[end] == '/');
            if (end - p >= 2 && whole_name) {
                if (end == pattern.len)
                    return true;
                p = end + 1;
                deep = (struct retry){true, p, t};
                star.set = false;
            } else {
                p = end;
                star = (struct retry){true, p, t};
            }
            continue;
        }
        if (p == pattern.len && t == path.len)
            return true;
        if (p < pattern.len && t < path.len && one_matches(pattern, &p, path.data[t])) {
            t++;
            continue;
        }
        if (star.set && star.path < path.len && path.data[star.path] != '/') {
            t = ++star.path;
            p = star.pattern;
            continue;
        }
        struct str name, behind = str_from(path, deep.path);
        if (!deep.set || !str_cut(&behind, '/', &name) || !str_given(behind))
            return false;
        t = deep.path += name.len + 1;
        p = deep.pattern;
        star.set = false;
    }
}
