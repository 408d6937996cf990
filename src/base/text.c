/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/text.h"

#include <sys/types.h>

static const char hex_digits[] = "0123456789abcdef";

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void write_hex(char *text, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = hex_digits[bytes[i] >> 4];
        text[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
}

struct str hex_encode(struct arena *arena, const void *data, size_t len)
{
    char *text = arena_array(arena, len + 1, 2); /* the last two hold the NUL */
    write_hex(text, data, len);
    return (struct str){text, 2 * len};
}

void hex_add(struct buf *out, const void *data, size_t len)
{
    buf_reserve(out, 2 * len);
    write_hex(out->data + out->len, data, len);
    out->len += 2 * len;
}

bool hex_decode(struct str hex, uint8_t *out, size_t out_len)
{
    if (hex.len % 2 || hex.len / 2 != out_len)
        return false;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_value(hex.data[2 * i]), low = hex_value(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str base64_encode(struct arena *arena, struct str data)
{
    const unsigned char *in = (const unsigned char *)data.data;
    char *text = arena_array(arena, data.len / 3 + 2, 4), *at = text; /* one group for a rest, one for the NUL */
    size_t left = data.len;
    for (; left >= 3; left -= 3, in += 3) {
        *at++ = base64_digits[in[0] >> 2];
        *at++ = base64_digits[(in[0] & 3) << 4 | in[1] >> 4];
        *at++ = base64_digits[(in[1] & 15) << 2 | in[2] >> 6];
        *at++ = base64_digits[in[2] & 63];
    }
    if (left) {
        unsigned second = left == 2 ? in[1] : 0;
        *at++ = base64_digits[in[0] >> 2];
        *at++ = base64_digits[(in[0] & 3) << 4 | second >> 4];
        *at++ = left == 2 ? base64_digits[(second & 15) << 2] : '=';
        *at++ = '=';
    }
    return (struct str){text, (size_t)(at - text)};
}

/* The values of the digits, BAD for all other bytes. A table, because commits carry many megabytes of base64. */
#define BAD 0xFF
#define TEN(first)                                                                                                     \
    first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6, first + 7, first + 8, first + 9
#define LETTERS(first)                                                                                                 \
    TEN(first), TEN(first + 10), first + 20, first + 21, first + 22, first + 23, first + 24, first + 25
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint8_t base64_values[256] = {
    [0 ... 255] = BAD, ['A'] = LETTERS(0), ['a'] = LETTERS(26), ['0'] = TEN(52), ['+'] = 62, ['/'] = 63,
};
#pragma GCC diagnostic pop

/* Decodes the whole groups of text (not empty, a multiple of 4 long) and returns how many bytes there are, or -1. */
static ssize_t base64_groups(struct str text, uint8_t *out)
{
    const unsigned char *in = (const unsigned char *)text.data;
    uint8_t *at = out;
    for (size_t left = text.len; left > 4; left -= 4, in += 4) {
        unsigned a = base64_values[in[0]], b = base64_values[in[1]], c = base64_values[in[2]], d = base64_values[in[3]];
        if ((a | b | c | d) > 63)
            return -1;
        *at++ = (uint8_t)(a << 2 | b >> 4);
        *at++ = (uint8_t)(b << 4 | c >> 2);
        *at++ = (uint8_t)(c << 6 | d);
    }
    /* Only the last group may be padded, and then the bits that stand for nothing must be zero. */
    unsigned padding = in[3] != '=' ? 0 : in[2] != '=' ? 1 : 2;
    unsigned a = base64_values[in[0]], b = base64_values[in[1]];
    unsigned c = padding > 1 ? 0 : base64_values[in[2]], d = padding ? 0 : base64_values[in[3]];
    if ((a | b | c | d) > 63 || (padding == 1 && c & 3) || (padding == 2 && b & 15))
        return -1;
    *at++ = (uint8_t)(a << 2 | b >> 4);
    if (padding < 2)
        *at++ = (uint8_t)(b << 4 | c >> 2);
    if (padding < 1)
        *at++ = (uint8_t)(c << 6 | d);
    return at - out;
}

bool base64_decode(struct arena *arena, struct str text, struct str *out)
{
    if (text.len % 4)
        return false;
    char *data = arena_alloc(arena, text.len / 4 * 3 + 1);
    ssize_t len = text.len ? base64_groups(text, (uint8_t *)data) : 0;
    if (len < 0)
        return false;
    *out = (struct str){data, (size_t)len};
    return true;
}

bool base64_decode_into(struct str text, struct buf *out)
{
    if (text.len == 0 || text.len % 4)
        return text.len == 0;
    buf_reserve(out, text.len / 4 * 3);
    ssize_t len = base64_groups(text, (uint8_t *)out->data + out->len);
    if (len < 0)
        return false;
    out->len += (size_t)len;
    return true;
}

struct str base64url_encode(struct arena *arena, struct str data)
{
    struct str text = base64_encode(arena, data);
    char *at = (char *)text.data;
    while (text.len && at[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    return text;
}

bool base64url_decode(struct arena *arena, struct str text, struct str *out)
{
    char *padded = arena_alloc(arena, text.len + 3);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '+' || c == '/' || c == '=')
            return false;
        padded[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    while (text.len % 4)
        padded[text.len++] = '=';
    return base64_decode(arena, (struct str){padded, text.len}, out);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool unreserved(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

struct str percent_encode(struct arena *arena, struct str s, bool keep_slash)
{
    char *text = arena_array(arena, s.len + 1, 3), *at = text;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (unreserved(s.data[i]) || (c == '/' && keep_slash)) {
            *at++ = s.data[i];
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    return (struct str){text, (size_t)(at - text)};
}

static bool decode(struct arena *arena, struct str s, bool plus_is_space, struct str *out)
{
    char *text = arena_alloc(arena, s.len + 1), *at = text;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '%') {
            int high = s.len - i > 2 ? hex_value(s.data[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_value(s.data[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') /* would cut the text short wherever it becomes a C string */
            return false;
        *at++ = c;
    }
    *out = (struct str){text, (size_t)(at - text)};
    return true;
}

bool percent_decode(struct arena *arena, struct str s, struct str *out)
{
    return decode(arena, s, false, out);
}

bool form_next(struct arena *arena, struct str *rest, struct str *name, struct str *value)
{
    struct str pair, left = *rest;
    do
        if (!str_cut(&left, '&', &pair)) {
            *rest = left;
            return false;
        }
    while (pair.len == 0);
    struct str raw_name, raw_value = pair;
    str_cut(&raw_value, '=', &raw_name);
    if (!decode(arena, raw_name, true, name) || !decode(arena, raw_value, true, value))
        return false;
    *rest = left;
    return true;
}

struct str str_lower(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; i < s.len; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] + 32);
    return (struct str){copy, s.len};
}
