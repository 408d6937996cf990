/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/json.h"
#include "base/text.h"

#include <assert.h>
#include <pthread.h>

void json_release(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

/* A random seed for jansson's hash tables, so that nobody can choose keys that all collide. */
static void seed(void)
{
    json_object_seed(0);
}

/* jansson's own text quotes the input, which may be a secret; these do not. */
static const char *reason(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input:
        return "it ends too early";
    case json_error_end_of_input_expected:
        return "something follows the end of the value";
    case json_error_invalid_utf8:
        return "it is not UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a string has a NUL character";
    case json_error_duplicate_key:
        return "an object has the same key twice";
    case json_error_numeric_overflow:
        return "a number is too large";
    case json_error_stack_overflow:
        return "it is nested too deeply";
    default:
        return "a value, a key or a punctuation mark is not as it should be";
    }
}

enum status json_read(struct str text, size_t limit, json_t **out, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, seed);
    *out = NULL;
    if (text.len > limit)
        return fail(err, TOO_LARGE, NULL, "This JSON has %zu bytes; at most %zu are accepted.", text.len, limit);
    json_error_t found;
    *out = json_loadb(str_given(text) ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &found);
    if (*out)
        return OK;
    return fail(err, INVALID, NULL, "This is not valid JSON: %s (at line %d, byte %d).",
                reason(json_error_code(&found)), found.line, found.position);
}

struct str json_get_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : (struct str){NULL, 0};
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
    int refused = json_dump_callback(value, dump_piece, out, JSON_COMPACT | JSON_ENCODE_ANY);
    assert(!refused); /* only for values that contain themselves */
    (void)refused;
}

struct json_writer jw_to(struct buf *out)
{
    return (struct json_writer){.out = out};
}

/* Puts the comma before a value, and checks that a value may stand here. */
static void before_value(struct json_writer *w)
{
    bool in_object = w->depth && w->stack[w->depth - 1] == '}';
    assert(in_object == w->after_key);
    assert(w->depth || !w->comma); /* one value only at the top */
    if (w->comma && !w->after_key)
        buf_byte(w->out, ',');
    w->comma = true;
    w->after_key = false;
}

static void open_container(struct json_writer *w, char opening, char closing)
{
    assert(w->depth < sizeof w->stack);
    before_value(w);
    buf_byte(w->out, opening);
    w->stack[w->depth++] = closing;
    w->comma = false;
}

void jw_object(struct json_writer *w)
{
    open_container(w, '{', '}');
}

void jw_array(struct json_writer *w)
{
    open_container(w, '[', ']');
}

void jw_end(struct json_writer *w)
{
    assert(w->depth && !w->after_key);
    buf_byte(w->out, w->stack[--w->depth]);
    w->comma = true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many of the first bytes of s are ASCII that needs no escape; may stop up to seven bytes early. */
static size_t plain_words(struct str s)
{
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, s.data + at, 8);
        uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');
        /* Subtracting 1 (or 32) sets the top bit of a byte that was 0 (or a control); bytes of 0x80 and up have it. */
        if ((word | (word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1))) & EACH(0x80))
            break;
    }
    return at;
}

static void add_escape(struct buf *out, unsigned char c)
{
    static const char short_forms[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char escape = c < 0x20 ? short_forms[c] : (char)c;
    if (escape)
        buf_add(out, (char[]){'\\', escape}, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

static void add_string(struct buf *out, struct str s)
{
    buf_reserve(out, s.len + 2 > s.len ? s.len + 2 : s.len);
    buf_byte(out, '"');
    size_t done = 0, at = plain_words(s); /* done: written so far; at: looked at so far */
    while (at < s.len) {
        unsigned char c = (unsigned char)s.data[at];
        uint32_t code_point;
        size_t len = c < 0x80 ? 1 : str_utf8_char(str_from(s, at), &code_point);
        if (len == 0 || c < 0x20 || c == '"' || c == '\\') {
            buf_add(out, s.data + done, at - done);
            if (len == 0)
                buf_str(out, STR("\xEF\xBF\xBD")); /* U+FFFD */
            else
                add_escape(out, c);
            done = ++at;
            at += plain_words(str_from(s, at));
        } else {
            at += len;
        }
    }
    if (at > done)
        buf_add(out, s.data + done, at - done);
    buf_byte(out, '"');
}

void jw_key(struct json_writer *w, const char *key)
{
    assert(w->depth && w->stack[w->depth - 1] == '}' && !w->after_key);
    if (w->comma)
        buf_byte(w->out, ',');
    add_string(w->out, str_of(key));
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
    add_string(w->out, value);
}

void jw_int(struct json_writer *w, int64_t value)
{
    before_value(w);
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    buf_add(w->out, digits + at, sizeof digits - at);
}

void jw_bool(struct json_writer *w, bool value)
{
    jw_raw(w, value ? STR("true") : STR("false"));
}

void jw_null(struct json_writer *w)
{
    jw_raw(w, STR("null"));
}

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

void jw_key_hex(struct json_writer *w, const char *key, const void *bytes, size_t len)
{
    jw_key(w, key);
    before_value(w);
    buf_byte(w->out, '"');
    hex_add(w->out, bytes, len);
    buf_byte(w->out, '"');
}
