/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/str.h"

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : (unsigned char)c;
}

struct str str_of(const char *c_string)
{
    return (struct str){c_string, c_string ? strlen(c_string) : 0};
}

/* memcmp() and memmem() may not be given NULL, even for no bytes; hence the tests of len below. */
bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

bool str_has(struct str s, struct str needle)
{
    return needle.len == 0 || (s.len >= needle.len && memmem(s.data, s.len, needle.data, needle.len));
}

int str_cmp(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.data[0]))
        s = str_from(s, 1);
    while (s.len && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct str str_from(struct str s, size_t start)
{
    if (start > s.len)
        start = s.len;
    return (struct str){s.data ? s.data + start : NULL, s.len - start};
}

struct str str_slice(struct str s, size_t start, size_t len)
{
    struct str rest = str_from(s, start);
    if (rest.len > len)
        rest.len = len;
    return rest;
}

bool str_cut(struct str *rest, char separator, struct str *piece)
{
    if (!str_given(*rest))
        return false;
    const char *at = memchr(rest->data, separator, rest->len);
    if (at) {
        *piece = (struct str){rest->data, (size_t)(at - rest->data)};
        *rest = str_from(*rest, piece->len + 1);
    } else {
        *piece = *rest;
        *rest = (struct str){NULL, 0};
    }
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, s.data[i] - '0', &value))
            return false;
    }
    if (s.len == 0)
        return false;
    *out = value;
    return true;
}

size_t str_utf8_char(struct str s, uint32_t *code_point)
{
    if (s.len == 0)
        return 0;
    const unsigned char *at = (const unsigned char *)s.data;
    uint32_t lead = at[0], value;
    size_t len;
    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
        len = 2;
        value = lead & 0x1F;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        len = 3;
        value = lead & 0x0F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        len = 4;
        value = lead & 0x07;
    } else {
        return 0;
    }
    if (s.len < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3F);
    }
    bool overlong = (len == 3 && value < 0x800) || (len == 4 && value < 0x10000);
    if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *code_point = value;
    return len;
}

bool str_is_utf8(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight;
        if (s.len - at >= sizeof eight) {
            memcpy(&eight, s.data + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        uint32_t code_point;
        size_t len = str_utf8_char(str_from(s, at), &code_point);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
