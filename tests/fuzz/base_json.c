/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What json_read() accepts must survive json_dump(), and whatever the writer writes jansson must read back. */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT (16u << 20)

static void parsed_text_survives_a_dump(struct str text)
{
    struct error err = {0};
    auto_json json_t *first = NULL, *second = NULL;
    if (json_read(text, LIMIT, &first, &err)) {
        assert(!first && err.status == INVALID && str_is_utf8(str_of(err.message)));
        return;
    }
    auto_buf struct buf once = {0}, twice = {0};
    json_dump(first, &once);
    enum status status = json_read(buf_view(&once), LIMIT, &second, &err);
    assert(status == OK && json_equal(first, second));
    json_dump(second, &twice);
    assert(str_eq(buf_view(&once), buf_view(&twice)));
    (void)status;
}

/* Writes values that the bytes of script choose; strings are pieces of script. */
static void write_values(struct json_writer *w, struct str script)
{
    jw_array(w);
    for (size_t i = 0; i < script.len; i++) {
        struct str piece = str_slice(script, i + 1, (unsigned char)script.data[i] / 8);
        bool in_object = w->stack[w->depth - 1] == '}';
        char key[24] = {0};
        if (script.data[i] % 8 == 0) {
            if (w->depth > 1)
                jw_end(w);
            continue;
        }
        if (in_object) { /* keys must differ: the strict reader refuses the same one twice */
            for (size_t n = i, k = 0; k < sizeof key - 1; n /= 16, k++)
                key[k] = (char)("\"\\\t/aZ \x01\x1F{}[]:,x"[n % 16]);
            jw_key(w, key);
        }
        int64_t number = 0;
        memcpy(&number, piece.data, piece.len < sizeof number ? piece.len : sizeof number);
        switch ((unsigned char)script.data[i] % 8) {
        case 1:
            w->depth < 30 ? jw_object(w) : jw_null(w);
            break;
        case 2:
            w->depth < 30 ? jw_array(w) : jw_bool(w, true);
            break;
        case 3:
            jw_int(w, number);
            break;
        case 4:
            jw_bool(w, piece.len % 2);
            break;
        case 5:
            jw_raw(w, STR("[{}]"));
            break;
        default:
            jw_str(w, piece);
            break;
        }
    }
    while (w->depth)
        jw_end(w);
}

static void the_writer_writes_what_jansson_reads(struct str script)
{
    struct error err = {0};
    auto_buf struct buf written = {0}, dumped = {0};
    struct json_writer w = jw_to(&written);
    write_values(&w, script);
    assert(str_is_utf8(buf_view(&written)));
    if (memmem(written.data, written.len, "\\u0000", 6))
        return; /* jansson refuses NUL in strings, which JSON allows */
    auto_json json_t *value = NULL;
    enum status status = json_read(buf_view(&written), LIMIT, &value, &err);
    assert(status == OK);
    json_dump(value, &dumped);
    auto_json json_t *again = NULL;
    status = json_read(buf_view(&dumped), LIMIT, &again, &err);
    assert(status == OK && json_equal(value, again));
    (void)status;
}

static void a_valid_string_comes_back_unchanged(struct str text)
{
    if (!str_is_utf8(text) || (text.len && memchr(text.data, '\0', text.len)))
        return;
    struct error err = {0};
    auto_buf struct buf written = {0};
    struct json_writer w = jw_to(&written);
    jw_object(&w);
    jw_key_str(&w, "k", text);
    jw_end(&w);
    auto_json json_t *value = NULL;
    enum status status = json_read(buf_view(&written), LIMIT, &value, &err);
    assert(status == OK && str_eq(json_get_str(value, "k"), text));
    (void)status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {data ? (const char *)data : "", size};
    parsed_text_survives_a_dump(text);
    the_writer_writes_what_jansson_reads(text);
    a_valid_string_comes_back_unchanged(text);
    return 0;
}
