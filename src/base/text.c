/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include <sys/types.h>

/* ---- hex, base64 ---------------------------------------------------------------------------------------------------------- */

struct str hex_encode(struct arena *arena, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char *text = arena_array(arena, len + 1, 2);
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return (struct str){text, 2 * len};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
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
    const uint8_t *in = (const uint8_t *)data.data;
    char *text = arena_array(arena, data.len / 3 + 2, 4), *out = text;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    return (struct str){text, (size_t)(out - text)};
}

/* The value of each digit, -1 for what is none; a table, because uploads inside commits pass through here byte by byte. */
static int8_t base64_value[256];
static __attribute__((constructor)) void base64_fill(void)
{
    memset(base64_value, -1, sizeof base64_value);
    for (int i = 0; i < 64; i++)
        base64_value[(uint8_t)base64_digits[i]] = (int8_t)i;
}

/* Decodes into out, which has room for text.len / 4 * 3 bytes; returns how many, or -1. Unused bits must be zero. */
static ssize_t decode64(struct str text, uint8_t *out)
{
    const uint8_t *in = (const uint8_t *)text.data;
    if (text.len % 4)
        return -1;
    size_t padding = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0;
    size_t whole = (text.len - (padding ? 4 : 0)) / 4, n = 0;
    unsigned bad = 0; /* its top bit is set once a digit was none: -1 spreads it */
    for (size_t i = 0; i < whole; i++, in += 4) {
        unsigned a = (unsigned)base64_value[in[0]], b = (unsigned)base64_value[in[1]];
        unsigned c = (unsigned)base64_value[in[2]], d = (unsigned)base64_value[in[3]];
        bad |= a | b | c | d;
        out[n++] = (uint8_t)(a << 2 | b >> 4);
        out[n++] = (uint8_t)(b << 4 | c >> 2);
        out[n++] = (uint8_t)(c << 6 | d);
    }
    if (padding) {
        unsigned a = (unsigned)base64_value[in[0]], b = (unsigned)base64_value[in[1]];
        unsigned c = padding == 1 ? (unsigned)base64_value[in[2]] : 0;
        bad |= a | b | c;
        if (bad >> 31 || (padding == 2 ? b & 15 : c & 3))
            return -1;
        out[n++] = (uint8_t)(a << 2 | b >> 4);
        if (padding == 1)
            out[n++] = (uint8_t)(b << 4 | c >> 2);
    }
    return bad >> 31 ? -1 : (ssize_t)n;
}

bool base64_decode(struct arena *arena, struct str text, struct str *out)
{
    uint8_t *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
    ssize_t n = decode64(text, bytes);
    if (n < 0)
        return false;
    *out = (struct str){(const char *)bytes, (size_t)n};
    return true;
}

bool base64_decode_into(struct str text, struct buf *out)
{
    buf_reserve(out, text.len / 4 * 3 + 1);
    ssize_t n = decode64(text, (uint8_t *)out->data + out->len);
    if (n < 0)
        return false;
    out->len += (size_t)n;
    return true;
}

/* ---- percent-encoding ------------------------------------------------------------------------------------------------------- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

struct str percent_encode(struct arena *arena, struct str s, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = arena_array(arena, s.len + 1, 3), *out = text;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.data[i];
        if (is_unreserved(s.data[i]) || (keep_slash && c == '/')) {
            *out++ = s.data[i];
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    return (struct str){text, (size_t)(out - text)};
}

static bool decode_percent(struct arena *arena, struct str s, bool plus_is_space, struct str *out)
{
    if (!memchr(s.data ? s.data : "", '%', s.len) && !(plus_is_space && memchr(s.data ? s.data : "", '+', s.len))) {
        *out = s.data ? s : STR("");
        return true;
    }
    char *text = arena_alloc(arena, s.len + 1), *to = text;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t byte = (uint8_t)s.data[i];
        if (byte == '%') {
            if (!hex_decode(str_slice(s, i + 1, 2), &byte, 1) || byte == 0)
                return false;
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        *to++ = (char)byte;
    }
    *out = (struct str){text, (size_t)(to - text)};
    return true;
}

bool percent_decode(struct arena *arena, struct str s, struct str *out) { return decode_percent(arena, s, false, out); }

bool form_next(struct arena *arena, struct str *rest, struct str *name, struct str *value)
{
    struct str pair, raw;
    do {
        if (!str_cut(rest, '&', &pair))
            return false;
    } while (pair.len == 0);
    *value = STR("");
    if (!str_cut(&pair, '=', &raw) || !decode_percent(arena, raw, true, name))
        return false;
    return !str_given(pair) || decode_percent(arena, pair, true, value);
}

struct str str_lower(struct arena *arena, struct str s)
{
    char *text = arena_alloc(arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        text[i] = (char)(s.data[i] >= 'A' && s.data[i] <= 'Z' ? s.data[i] + ('a' - 'A') : s.data[i]);
    return (struct str){text, s.len};
}
