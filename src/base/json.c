/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"
#include <assert.h>
#include <inttypes.h>

void json_release(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

enum status json_read(struct str text, size_t limit, json_t **out, struct error *err)
{
    json_error_t at;
    if (text.len > limit)
        return fail(err, TOO_LARGE, NULL, "The JSON has %zu bytes; at most %zu are accepted.", text.len, limit);
    *out = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
    if (*out)
        return OK;
    /* Only the position: the text around it may hold a secret. */
    return fail(err, INVALID, NULL, "The JSON is malformed at line %d, column %d.", at.line, at.column);
}

struct str json_get_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return (struct str){0};
    return (struct str){json_string_value(value), json_string_length(value)};
}

bool json_get_bool(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static int dump_piece(const char *data, size_t len, void *out)
{
    buf_add(out, data, len);
    return 0;
}

void json_dump(const json_t *value, struct buf *out)
{
    json_dump_callback(value, dump_piece, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
}

/* ---- the writer ------------------------------------------------------------------------------------------------------------- */

struct json_writer jw_to(struct buf *out) { return (struct json_writer){.out = out}; }

/* A value is due: after a key, in an array, or as the whole text. */
static void before_value(struct json_writer *w)
{
    assert(w->depth == 0 || w->stack[w->depth - 1] == ']' || w->after_key);
    if (w->comma && !w->after_key)
        buf_byte(w->out, ',');
    w->comma = true;
    w->after_key = false;
}

static void open_level(struct json_writer *w, char opening, char closing)
{
    before_value(w);
    assert(w->depth < sizeof w->stack);
    buf_byte(w->out, opening);
    w->stack[w->depth++] = closing;
    w->comma = false;
}

void jw_object(struct json_writer *w) { open_level(w, '{', '}'); }
void jw_array(struct json_writer *w) { open_level(w, '[', ']'); }

void jw_end(struct json_writer *w)
{
    assert(w->depth > 0 && !w->after_key);
    buf_byte(w->out, w->stack[--w->depth]);
    w->comma = true;
}

static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

static size_t sequence_len(const unsigned char *p, size_t left)
{
    for (size_t len = 2; len <= 4 && len <= left; len++)
        if (str_is_utf8((struct str){(const char *)p, len}))
            return len;
    return 0;
}

/* Escapes the character at p, which is not plain, and returns how many bytes it took. */
static size_t write_special(struct buf *out, const unsigned char *p, size_t left)
{
    static const char named[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    if (*p >= 0x80) {
        size_t len = sequence_len(p, left);
        if (len)
            buf_add(out, p, len);
        else
            buf_add(out, "\xef\xbf\xbd", 3);
        return len ? len : 1;
    }
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (named[i] == (char)*p) {
            buf_byte(out, '\\');
            buf_byte(out, named[i + 1]);
            return 1;
        }
    }
    buf_printf(out, "\\u%04x", *p);
    return 1;
}

static void write_string(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.data, *end = p + s.len;
    buf_reserve(out, s.len + 2);
    buf_byte(out, '"');
    while (p < end) {
        const unsigned char *run = p;
        while (p < end && is_plain(*p))
            p++;
        buf_add(out, run, (size_t)(p - run));
        if (p < end)
            p += write_special(out, p, (size_t)(end - p));
    }
    buf_byte(out, '"');
}

void jw_key(struct json_writer *w, const char *key)
{
    assert(w->depth > 0 && w->stack[w->depth - 1] == '}' && !w->after_key);
    if (w->comma)
        buf_byte(w->out, ',');
    write_string(w->out, str_of(key));
    buf_byte(w->out, ':');
    w->after_key = true;
}

void jw_str(struct json_writer *w, struct str value)
{
    if (!str_given(value)) {
        jw_null(w);
        return;
    }
    before_value(w);
    write_string(w->out, value);
}

void jw_int(struct json_writer *w, int64_t value)
{
    before_value(w);
    buf_printf(w->out, "%" PRId64, value);
}

void jw_bool(struct json_writer *w, bool value) { jw_raw(w, value ? STR("true") : STR("false")); }
void jw_null(struct json_writer *w) { jw_raw(w, STR("null")); }

void jw_raw(struct json_writer *w, struct str json)
{
    before_value(w);
    buf_str(w->out, json);
}

void jw_value(struct json_writer *w, const json_t *value)
{
    before_value(w);
    json_dump(value, w->out);
}

void jw_key_str(struct json_writer *w, const char *key, struct str value)
{
    jw_key(w, key);
    jw_str(w, value);
}

void jw_key_int(struct json_writer *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_int(w, value);
}

void jw_key_bool(struct json_writer *w, const char *key, bool value)
{
    jw_key(w, key);
    jw_bool(w, value);
}
