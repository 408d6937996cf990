/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What comes from outside, member by member. */
#include "gate/internal.h"

struct str json_str_of(const json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)} : (struct str){0};
}

enum status json_only(const json_t *object, const char *what, const char *const *members, struct error *err)
{
    const char *name;
    const json_t *value;
    if (!json_is_object(object))
        return fail(err, INVALID, NULL, "%s must be a JSON object", what);
    json_object_foreach((json_t *)object, name, value)
    {
        size_t i = 0;
        while (members[i] && strcmp(members[i], name) != 0)
            i++;
        if (!members[i])
            return fail(err, INVALID, NULL, "%s takes no member \"%.100s\"", what, name);
    }
    return OK;
}

bool is_line(struct str text, size_t limit)
{
    if (text.len == 0 || text.len > limit || str_trim(text).len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return true;
}

enum status json_whole(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out,
                       struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return OK;
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return fail(err, INVALID, NULL, "\"%s\" must be a whole number from %lld to %lld", key, (long long)least,
                    (long long)most);
    *out = json_integer_value(value);
    return OK;
}

enum status json_flag(const json_t *object, const char *key, bool *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value))
        return fail(err, INVALID, NULL, "\"%s\" must be true or false", key);
    if (value)
        *out = json_is_true(value);
    return OK;
}

enum status json_text(const json_t *object, const char *key, size_t limit, struct str *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = json_str_of(value);
    bool fits =
        limit > 1000 ? out->len <= limit && !memchr(out->data ? out->data : "", '\0', out->len) : is_line(*out, limit);
    if (value && (!str_given(*out) || (out->len && !fits)))
        return fail(err, INVALID, NULL, "\"%s\" must be a %s of at most %zu bytes", key,
                    limit > 1000 ? "text" : "line of text", limit);
    return OK;
}

enum status json_lines(struct arena *arena, const json_t *object, const char *key, size_t most, struct str **out,
                       size_t *count, struct error *err)
{
    const json_t *list = json_object_get(object, key);
    *count = json_array_size(list);
    *out = arena_array(arena, *count + 1, sizeof **out);
    if (list && (!json_is_array(list) || *count > most))
        return fail(err, INVALID, NULL, "\"%s\" must be a list of at most %zu texts", key, most);
    for (size_t i = 0; i < *count; i++) {
        struct str line = json_str_of(json_array_get(list, i));
        if (!is_line(line, 1000))
            return fail(err, INVALID, NULL, "\"%s\" must be a list of lines of at most 1000 bytes", key);
        (*out)[i] = arena_copy(arena, line);
    }
    return OK;
}
