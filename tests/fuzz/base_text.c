/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decoders of base/text.h: what they accept must be what the encoder makes, and encoding must always be undone exactly.
 */
#include "base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void base64(struct arena *arena, struct str s)
{
    struct str out = {0};
    auto_buf struct buf buf = {0};
    bool good = base64_decode(arena, s, &out);
    assert(base64_decode_into(s, &buf) == good);
    if (good) {
        assert(str_eq(out, buf_view(&buf)));
        assert(str_eq(base64_encode(arena, out), s)); /* each text has one encoding only */
    } else {
        assert(buf.len == 0);
    }
    assert(base64_decode(arena, base64_encode(arena, s), &out) && str_eq(out, s));
}

static void hex(struct arena *arena, struct str s)
{
    uint8_t *out = arena_alloc(arena, s.len);
    if (hex_decode(s, out, s.len / 2))
        assert(str_eq(hex_encode(arena, out, s.len / 2), str_lower(arena, s)));
    struct str text = hex_encode(arena, s.data, s.len);
    assert(hex_decode(text, out, s.len) && (s.len == 0 || memcmp(out, s.data, s.len) == 0));
}

static void form(struct arena *arena, struct str s)
{
    struct str rest = s, name, value;
    while (form_next(arena, &rest, &name, &value)) {
        assert(!memchr(name.data, '\0', name.len) && !memchr(value.data, '\0', value.len));
        struct str pair = arena_printf(arena, "%.*s=%.*s", STR_ARG(percent_encode(arena, name, false)),
                                       STR_ARG(percent_encode(arena, value, false)));
        struct str name_again, value_again;
        assert(form_next(arena, &pair, &name_again, &value_again));
        assert(str_eq(name, name_again) && str_eq(value, value_again));
    }
}

/* The first line is the pattern, the rest the path. */
static void glob(struct arena *arena, struct str s)
{
    struct str path = s, pattern;
    if (!str_cut(&path, '\n', &pattern) || !str_given(path) || s.len > 1024)
        return;
    glob_match(pattern, path);
    auto_buf struct buf literal = {0};
    for (size_t i = 0; i < path.len; i++) {
        if (strchr("*?[\\", path.data[i]))
            buf_byte(&literal, '\\');
        buf_byte(&literal, path.data[i]);
    }
    if (literal.len > 1024)
        return;
    assert(glob_match(buf_view(&literal), path)); /* escaped, a path matches itself */
    assert(glob_match(STR("**"), path) || path.len == 0);
    struct str below = arena_printf(arena, "%.*s/x", STR_ARG(path));
    if (literal.len < 1000 && !memchr(path.data, '\0', path.len)) {
        assert(!glob_match(buf_view(&literal), below));
        buf_str(&literal, STR("/**"));
        assert(glob_match(buf_view(&literal), below));
    }
}

static void utf8(struct str s)
{
    size_t at = 0, step;
    uint32_t code_point;
    while ((step = str_utf8_char(str_from(s, at), &code_point))) {
        assert(code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF));
        at += step;
    }
    assert(str_is_utf8(s) == (at == s.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct str s = {data ? (const char *)data : "", size};
    base64(&arena, s);
    hex(&arena, s);
    form(&arena, s);
    glob(&arena, s);
    utf8(s);
    int64_t number;
    if (str_to_i64(s, &number))
        assert(number >= 0);
    return 0;
}
