/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/path.h"

/* Code points that HFS+ ignores in names, so that ".g\u200Cit" is ".git" there. */
static bool hfs_ignores(uint32_t c)
{
    return (c >= 0x200C && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF;
}

/*
 * True for what some file system takes for ".git": any case; HFS+ ignorables anywhere; on NTFS also the short name
 * "git~1", dots and spaces at the end, and a stream after a colon. The name is UTF-8 of at most PATH_NAME_LIMIT bytes.
 */
static bool folds_to_dot_git(struct str name)
{
    char folded[PATH_NAME_LIMIT];
    size_t len = 0;
    for (size_t at = 0, step; at < name.len; at += step) {
        uint32_t c = 0;
        step = str_utf8_char(str_from(name, at), &c);
        if (step == 0)
            return true; /* cannot be: the caller has checked; refuse rather than loop */
        if (!hfs_ignores(c))
            folded[len++] = c < 0x80 ? (char)c : '?';
    }
    struct str rest = {folded, len};
    if (str_eq_nocase(str_slice(rest, 0, 4), STR(".git")))
        rest = str_from(rest, 4);
    else if (str_eq_nocase(str_slice(rest, 0, 5), STR("git~1")))
        rest = str_from(rest, 5);
    else
        return false;
    while (rest.len && (rest.data[0] == '.' || rest.data[0] == ' '))
        rest = str_from(rest, 1);
    return rest.len == 0 || rest.data[0] == ':';
}

static bool has_control_or_backslash(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c < 0x20 || c == 0x7F || c == '\\')
            return true;
        if (c == 0xC2 && i + 1 < s.len && (unsigned char)s.data[i + 1] < 0xA0)
            return true; /* U+0080 to U+009F, which steer terminals as ESC does */
    }
    return false;
}

/* At most limit bytes of UTF-8, without a cut character at the end. */
static struct str front(struct str s, size_t limit)
{
    size_t len = s.len < limit ? s.len : limit;
    while (len && len < s.len && ((unsigned char)s.data[len] & 0xC0) == 0x80)
        len--;
    return str_slice(s, 0, len);
}

/* Messages quote the path only after it is known to be UTF-8 without controls: they also travel in HTTP headers. */
enum status path_check(struct str path, struct error *err)
{
    if (path.len == 0)
        return fail(err, UNPROCESSABLE, NULL, "A file needs a path; this one is empty.");
    if (path.len > PATH_LIMIT)
        return fail(err, UNPROCESSABLE, NULL, "A path may have at most %d bytes; this one has %zu.", PATH_LIMIT,
                    path.len);
    if (!str_is_utf8(path))
        return fail(err, UNPROCESSABLE, NULL, "A path must be UTF-8.");
    if (has_control_or_backslash(path))
        return fail(err, UNPROCESSABLE, NULL, "A path may not have backslashes or control characters.");

    struct str rest = path, name;
    while (str_cut(&rest, '/', &name)) {
        const char *reason = NULL;
        if (name.len == 0)
            reason = "it may not start or end with a slash, or have two in a row";
        else if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
            reason = "\".\" and \"..\" are not names of files or folders";
        else if (name.len > PATH_NAME_LIMIT)
            reason = "the name of a file or folder may have at most 255 bytes";
        else if (folds_to_dot_git(name))
            reason = "a name in it means \".git\" on some file system, and git keeps that for itself";
        if (reason) {
            struct str quoted = front(path, 300);
            return fail(err, UNPROCESSABLE, NULL, "The path \"%.*s\" cannot be stored: %s.", STR_ARG(quoted), reason);
        }
    }
    return OK;
}

static bool ref_character(unsigned char c)
{
    return c > ' ' && c != 0x7F && !strchr("~^:?*[\\", c);
}

static bool ref_name_fits(struct str name)
{
    if (name.len == 0 || name.len > 255 || !str_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!ref_character((unsigned char)name.data[i]))
            return false;
    if (name.data[0] == '-' || name.data[name.len - 1] == '.' || str_has(name, STR("..")) || str_has(name, STR("@{")) ||
        str_eq(name, STR("@")) || str_eq(name, STR("HEAD")))
        return false;
    struct str rest = name, part;
    while (str_cut(&rest, '/', &part))
        if (part.len == 0 || part.data[0] == '.' || str_ends(part, STR(".lock")))
            return false;
    return true;
}

enum status ref_name_check(struct str name, struct error *err)
{
    if (ref_name_fits(name))
        return OK;
    return fail(
        err, INVALID, NULL,
        "This is not a name that git accepts for a branch or tag: use 1 to 255 bytes of UTF-8 without spaces, "
        "control characters, \"..\", \"@{\" or any of ~^:?*[\\, and no part that is empty, starts with a dot or "
        "ends with \".lock\".");
}
