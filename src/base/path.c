/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/path.h"
#include "base/text.h"

/* Code points that HFS+ ignores when it compares names, so that ".g\u200cit" is ".git" there (git's own list, by its release notes). */
static size_t hfs_ignored(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.data;
    if (s.len < 3)
        return 0;
    if (p[0] == 0xe2 && p[1] == 0x80 && ((p[2] >= 0x8c && p[2] <= 0x8f) || (p[2] >= 0xaa && p[2] <= 0xae)))
        return 3; /* U+200C..200F, U+202A..202E */
    if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf)
        return 3; /* U+206A..206F */
    return p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf ? 3 : 0; /* U+FEFF */
}

static bool is_git_on_hfs(struct str name)
{
    char plain[5];
    size_t len = 0;
    while (name.len) {
        size_t ignored = hfs_ignored(name);
        if (!ignored && len == sizeof plain)
            return false;
        if (!ignored)
            plain[len++] = name.data[0];
        name = str_from(name, ignored ? ignored : 1);
    }
    return str_eq_nocase((struct str){plain, len}, STR(".git"));
}

/* NTFS drops dots and spaces at the end, knows ".git" as "git~1" too, and takes what follows a colon for a stream. */
static bool is_git_on_ntfs(struct str name)
{
    struct str rest = name, head;
    str_cut(&rest, ':', &head);
    while (head.len && (head.data[head.len - 1] == '.' || head.data[head.len - 1] == ' '))
        head.len--;
    return str_eq_nocase(head, STR(".git")) || str_eq_nocase(head, STR("git~1"));
}

static enum status name_check(struct str name, struct error *err)
{
    if (name.len == 0)
        return fail(err, UNPROCESSABLE, NULL, "The path has an empty name in it.");
    if (name.len > PATH_NAME_LIMIT)
        return fail(err, UNPROCESSABLE, NULL, "A name in the path is over %d bytes.", PATH_NAME_LIMIT);
    if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
        return fail(err, UNPROCESSABLE, NULL, "The path must not have \".\" or \"..\" in it.");
    if (is_git_on_hfs(name) || is_git_on_ntfs(name))
        return fail(err, UNPROCESSABLE, NULL, "The path must not have \".git\" in it.");
    return OK;
}

enum status path_check(struct str path, struct error *err)
{
    if (path.len == 0)
        return fail(err, UNPROCESSABLE, NULL, "The path is empty.");
    if (path.len > PATH_LIMIT)
        return fail(err, UNPROCESSABLE, NULL, "The path is over %d bytes.", PATH_LIMIT);
    if (!str_is_utf8(path))
        return fail(err, UNPROCESSABLE, NULL, "The path is not UTF-8.");
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = (uint8_t)path.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            return fail(err, UNPROCESSABLE, NULL, "The path must not have control characters or backslashes in it.");
    }
    for (struct str rest = path, name; str_cut(&rest, '/', &name);)
        TRY(name_check(name, err));
    return OK;
}

enum status ref_name_check(struct str name, struct error *err)
{
    bool bad = name.len == 0 || name.len > 255 || !str_is_utf8(name) || str_has(name, STR("..")) || str_has(name, STR("@{")) ||
               str_has(name, STR("//")) || str_eq(name, STR("@")) || name.data[0] == '-' || name.data[0] == '/' ||
               str_ends(name, STR("/")) || str_ends(name, STR("."));
    for (size_t i = 0; !bad && i < name.len; i++)
        bad = (uint8_t)name.data[i] <= ' ' || name.data[i] == 0x7f || strchr("~^:?*[\\", name.data[i]);
    for (struct str rest = name, part; !bad && str_cut(&rest, '/', &part);)
        bad = str_starts(part, STR(".")) || str_ends(part, STR(".lock"));
    if (bad)
        return fail(err, INVALID, NULL, "This is not a valid name for a branch or tag.");
    return OK;
}
