/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/pattern.h"
#include "base/text.h"

struct cursor {
    struct str path;
    size_t at; /* of the next segment's first byte; path.len + 1 when there is none */
};

static bool next_raw(struct cursor *c, struct str *segment)
{
    if (c->at > c->path.len)
        return false;
    const char *start = c->path.data + c->at;
    const char *slash = memchr(start, '/', c->path.len - c->at);
    segment->data = start;
    segment->len = slash ? (size_t)(slash - start) : c->path.len - c->at;
    c->at += segment->len + 1;
    return true;
}

static bool next_filled(struct cursor *c, struct str *segment)
{
    return next_raw(c, segment) && segment->len > 0;
}

/* Clients write refs/pr/1 and refs/convert/parquet as one quoted segment or as three plain ones (hub-protocol 0.1). */
static bool next_revision(struct cursor *c, struct str *revision)
{
    size_t start = c->at;
    if (!next_filled(c, revision))
        return false;
    struct cursor ahead = *c;
    struct str family, name;
    if (str_eq(*revision, STR("refs")) && next_raw(&ahead, &family) &&
        (str_eq(family, STR("pr")) || str_eq(family, STR("convert"))) && next_raw(&ahead, &name) && name.len > 0) {
        *c = ahead;
        *revision = str_slice(c->path, start, ahead.at - 1 - start);
    }
    return true;
}

/* Two segments, or one where the caller tries whether the rest of the pattern fits a one-segment id. */
static bool next_repo(struct cursor *c, bool one_segment, struct str suffix, struct pattern_match *m)
{
    m->repo_start = c->at;
    m->has_repo = true;
    struct str last;
    if (one_segment) {
        if (!next_filled(c, &m->ns))
            return false;
        m->name = (struct str){0};
        last = m->ns;
    } else {
        if (!next_filled(c, &m->ns) || !next_filled(c, &m->name))
            return false;
        last = m->name;
    }
    if (last.len <= suffix.len || !str_ends(last, suffix))
        return false;
    m->repo_end = c->at - 1 - suffix.len;
    if (!one_segment)
        m->name.len -= suffix.len;
    return true;
}

static bool match_web(struct cursor *c, bool one_segment, struct str suffix, struct pattern_match *m)
{
    struct cursor ahead = *c;
    struct str first;
    m->kind = KIND_MODEL;
    if (next_raw(&ahead, &first) && (str_eq(first, STR("datasets")) || str_eq(first, STR("spaces")))) {
        repo_kind_parse(first, &m->kind);
        *c = ahead;
    }
    return next_repo(c, one_segment, suffix, m);
}

static bool match_api(struct cursor *c, bool one_segment, struct pattern_match *m)
{
    struct str kind;
    return next_raw(c, &kind) && str_ends(kind, STR("s")) && repo_kind_parse(kind, &m->kind) &&
           next_repo(c, one_segment, STR(""), m);
}

/* Takes off what stands behind a parameter in its segment; one that is nothing else does not fit. */
static bool strip(struct str *param, struct str suffix)
{
    bool fits = param->len > suffix.len && str_ends(*param, suffix);
    if (fits)
        param->len -= suffix.len;
    return fits;
}

static bool match_segment(struct cursor *c, struct str want, bool one_segment, struct pattern_match *m, size_t *params)
{
    if (str_eq(want, STR("{api}")))
        return match_api(c, one_segment, m);
    if (str_starts(want, STR("{web}")))
        return match_web(c, one_segment, str_from(want, 5), m);
    if (want.data[0] != '{') {
        struct str got;
        return next_raw(c, &got) && str_eq(got, want);
    }
    struct str *param = &m->params[(*params)++];
    size_t end = (size_t)((const char *)memchr(want.data, '}', want.len) - want.data) + 1;
    struct str suffix = str_from(want, end);
    want.len = end;
    if (str_eq(want, STR("{rev}")))
        return next_revision(c, param) && strip(param, suffix);
    if (str_eq(want, STR("{path*}"))) {
        *param = str_from(c->path, c->at);
        c->at = c->path.len + 1;
        return true;
    }
    if (!next_filled(c, param) || !strip(param, suffix))
        return false;
    enum repo_kind kind;
    return !str_eq(want, STR("{kind}")) || (str_ends(*param, STR("s")) && repo_kind_parse(*param, &kind));
}

/* Whether the shape fits; what is found is not decoded yet, since most patterns that are tried fail. */
static bool match_with(struct str pattern, struct str path, bool one_segment, struct pattern_match *m, size_t *params)
{
    struct cursor c = {.path = path, .at = 1};
    struct str want;
    *params = 0;
    *m = (struct pattern_match){0};
    for (struct str rest = str_from(pattern, 1); str_cut(&rest, '/', &want);)
        if (!match_segment(&c, want, one_segment, m, params))
            return false;
    return c.at > path.len;
}

static bool decode_found(struct arena *arena, struct pattern_match *m, size_t params)
{
    for (size_t i = 0; i < params; i++)
        if (!percent_decode(arena, m->params[i], &m->params[i]))
            return false;
    return !m->has_repo ||
           (percent_decode(arena, m->ns, &m->ns) && (!str_given(m->name) || percent_decode(arena, m->name, &m->name)));
}

bool pattern_match(struct arena *arena, const char *pattern, struct str path, struct pattern_match *out)
{
    size_t params;
    if (path.len == 0 || path.data[0] != '/')
        return false;
    struct str text = str_of(pattern);
    /* has_repo: the walk came as far as a repo's name, so a one-segment id may fit where two segments did not. */
    return (match_with(text, path, false, out, &params) ||
            (out->has_repo && match_with(text, path, true, out, &params))) &&
           decode_found(arena, out, params);
}
