/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/pattern.h"
#include "base/text.h"

static bool is_special(char c)
{
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

/* Without its backslashes, when they are all that is special in text. False when there is more. */
static bool unescape(struct arena *arena, struct str text, struct str *out)
{
    char *plain = arena_alloc(arena, text.len + 1);
    *out = (struct str){plain, 0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\\' && i + 1 < text.len)
            i++;
        else if (is_special(text.data[i]))
            return false;
        plain[out->len++] = text.data[i];
    }
    return true;
}

/* git takes three stars and more as two, glob_match() as one. */
static struct str fewer_stars(struct arena *arena, struct str text)
{
    char *shorter = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (i < 2 || text.data[i] != '*' || text.data[i - 1] != '*' || text.data[i - 2] != '*')
            shorter[len++] = text.data[i];
    return (struct str){shorter, len};
}

static size_t head_of(struct str text)
{
    size_t head = 0;
    while (head < text.len && !is_special(text.data[head]))
        head++;
    return head;
}

/* A slash ends it, as the one after two stars may stand for nothing; so does what could be the end of a class. */
static size_t tail_of(struct str text)
{
    size_t tail = 0;
    while (tail < text.len) {
        char c = text.data[text.len - 1 - tail];
        if (is_special(c) || c == ']' || c == '/')
            break;
        tail++;
    }
    return tail;
}

bool pattern_parse(struct arena *arena, struct str text, struct pattern *out)
{
    *out = (struct pattern){0};
    if (str_ends(text, STR("/"))) {
        out->folder_only = true;
        text.len--;
    }
    out->any_folder = !str_has(text, STR("/"));
    if (str_starts(text, STR("/")))
        text = str_from(text, 1);
    if (text.len == 0)
        return false;
    out->is_literal = unescape(arena, text, &out->text);
    if (out->is_literal)
        return true;
    out->text = fewer_stars(arena, text);
    out->head = head_of(out->text);
    out->tail = tail_of(str_from(out->text, out->head));
    return true;
}

static struct str last_name(struct str path)
{
    const char *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    return slash ? str_from(path, (size_t)(slash + 1 - path.data)) : path;
}

static bool spend(size_t *steps, size_t cost)
{
    if (cost > *steps) {
        *steps = 0;
        return false;
    }
    *steps -= cost;
    return true;
}

bool pattern_matches(const struct pattern *pattern, struct str path, bool is_folder, size_t *steps)
{
    if (!spend(steps, 1) || (pattern->folder_only && !is_folder))
        return false;
    struct str subject = pattern->any_folder ? last_name(path) : path;
    if (pattern->is_literal)
        return str_eq(pattern->text, subject);
    /* As in git, what follows the plain beginning is a pattern of its own: in "ab**" the stars are at its start. */
    struct str rest = str_from(pattern->text, pattern->head);
    if (!str_starts(subject, str_slice(pattern->text, 0, pattern->head)))
        return false;
    subject = str_from(subject, pattern->head);
    if (!str_ends(subject, str_from(rest, rest.len - pattern->tail)))
        return false;
    if (str_eq(rest, STR("**")))
        return true;
    return spend(steps, rest.len * (subject.len + 1)) && glob_match(rest, subject);
}
