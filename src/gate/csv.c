/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/csv.h"
#include "base/buf.h"

struct csv csv_open(struct str text)
{
    bool marked = str_starts(text, STR("\xef\xbb\xbf"));
    return (struct csv){marked ? str_from(text, 3) : text, 1};
}

static bool take(struct csv *csv, char c)
{
    if (csv->rest.len == 0 || csv->rest.data[0] != c)
        return false;
    csv->rest = str_from(csv->rest, 1);
    csv->line += c == '\n';
    return true;
}

static bool take_line_end(struct csv *csv)
{
    if (str_starts(csv->rest, STR("\r\n")))
        csv->rest = str_from(csv->rest, 1);
    return take(csv, '\n');
}

static enum status wrong(const struct csv *csv, const char *what, struct error *err)
{
    return fail(err, INVALID, "BadCsv", "Line %lld: %s", (long long)csv->line, what);
}

/* Behind the first quote; two quotes stand for one. */
static enum status read_quoted(struct csv *csv, struct buf *out, struct error *err)
{
    while (csv->rest.len && out->len <= CSV_FIELD_LIMIT) {
        char c = csv->rest.data[0];
        take(csv, c);
        if (c == '"' && !take(csv, '"'))
            return OK;
        buf_byte(out, c);
    }
    return wrong(csv, csv->rest.len ? "a field is longer than 64 KiB" : "a quote is opened and never closed", err);
}

static enum status read_field(struct csv *csv, struct arena *arena, struct str *out, struct error *err)
{
    auto_buf struct buf text = {0};
    if (take(csv, '"')) {
        TRY(read_quoted(csv, &text, err));
        if (csv->rest.len && csv->rest.data[0] != ',' && csv->rest.data[0] != '\n' && csv->rest.data[0] != '\r')
            return wrong(csv, "something stands behind a closing quote", err);
    } else {
        size_t len = 0;
        while (len < csv->rest.len && !memchr(",\r\n\"", csv->rest.data[len], 4))
            len++;
        if (len < csv->rest.len && csv->rest.data[len] == '"')
            return wrong(csv, "a quote stands within a field that does not begin with one", err);
        if (len > CSV_FIELD_LIMIT)
            return wrong(csv, "a field is longer than 64 KiB", err);
        buf_add(&text, csv->rest.data, len);
        csv->rest = str_from(csv->rest, len);
    }
    if (!str_is_utf8(buf_view(&text)) || memchr(buf_view(&text).data, '\0', text.len))
        return wrong(csv, "it is not text in UTF-8", err);
    *out = arena_copy(arena, buf_view(&text));
    return OK;
}

static enum status read_record(struct csv *csv, struct arena *arena, struct str *fields, size_t *count,
                               struct error *err)
{
    for (*count = 0;;) {
        if (*count == CSV_COLUMNS_MOST)
            return wrong(csv, "there are more than 64 columns", err);
        TRY(read_field(csv, arena, &fields[(*count)++], err));
        if (take(csv, ','))
            continue;
        if (take_line_end(csv) || csv->rest.len == 0)
            return OK;
        return wrong(csv, "a carriage return stands alone", err);
    }
}

bool csv_next(struct csv *csv, struct arena *arena, struct str *fields, size_t *count, struct error *err)
{
    while (take_line_end(csv))
        continue;
    return csv->rest.len && read_record(csv, arena, fields, count, err) == OK;
}
