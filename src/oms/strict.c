/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* JSON from strangers: small in memory, and with nothing in it that we would have to guess about. */
#include "base/text.h"
#include "oms/internal.h"

#define DEPTH_MOST 16

/* Counts by punctuation alone; jansson then finds out whether this is JSON. False when nested too deeply. */
static bool count_values(struct str text, size_t *values)
{
    size_t depth = 0;
    bool in_string = false;
    *values = 1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++*values;
            if (++depth > DEPTH_MOST)
                return false;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            ++*values;
        }
    }
    return true;
}

enum status strict_json(struct str text, const char *what, size_t values_most, json_t **out, struct error *err)
{
    size_t values;
    *out = NULL;
    if (!count_values(text, &values))
        return fail(err, INVALID, NULL, "%s is nested more than %d levels deep.", what, DEPTH_MOST);
    if (values > values_most)
        return fail(err, TOO_LARGE, NULL, "%s has about %zu values; %zu are allowed.", what, values, values_most);
    struct error reason;
    if (json_read(text, text.len, out, &reason) != OK)
        return fail(err, INVALID, NULL, "%s cannot be read. %s", what, reason.message);
    if (json_is_object(*out))
        return OK;
    json_release(out);
    return fail(err, INVALID, NULL, "%s should be a JSON object.", what);
}

enum status members_only(const json_t *object, const char *what, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return fail(err, INVALID, NULL, "%s is missing, or is not a JSON object.", what);
    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;
        for (const char *const *name = names; *name && !known; name++)
            known = strcmp(*name, key) == 0;
        if (!known) {
            auto_buf struct buf shown = {0};
            name_show(&shown, str_slice(str_of(key), 0, 64));
            return fail(err, INVALID, NULL, "%s has a member \"%.*s\" that it may not have.", what,
                        STR_ARG(buf_view(&shown)));
        }
    }
    return OK;
}

enum status member_base64(struct arena *arena, const json_t *object, const char *key, const char *what, struct str *out,
                          struct error *err)
{
    struct str text = json_get_str(object, key);
    if (!str_given(text) || text.len == 0 || !base64_decode(arena, text, out))
        return fail(err, INVALID, NULL, "%s is missing, or is not base64 with its padding.", what);
    return OK;
}

bool hex_exact(struct str hex, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < hex.len; i++)
        if (hex.data[i] >= 'A' && hex.data[i] <= 'F')
            return false;
    return hex_decode(hex, out, size);
}

void name_show(struct buf *out, struct str name)
{
    while (name.len) {
        uint32_t c;
        size_t len = str_utf8_char(name, &c);
        bool plain = len && c >= ' ' && c != 0x7F && !(c >= 0x80 && c < 0xA0);
        if (plain)
            buf_add(out, name.data, len);
        else
            buf_byte(out, '?');
        name = str_from(name, len ? len : 1);
    }
}
