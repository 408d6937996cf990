/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/range.h"

/* Takes the digits off the front of *s. A number beyond int64_t counts as the largest: it is past the end of any file.
 */
static bool take_number(struct str *s, int64_t *out)
{
    size_t digits = 0;
    while (digits < s->len && s->data[digits] >= '0' && s->data[digits] <= '9')
        digits++;
    if (digits == 0)
        return false;
    if (!str_to_i64((struct str){s->data, digits}, out))
        *out = INT64_MAX;
    *s = str_from(*s, digits);
    return true;
}

enum status range_parse(struct str header, int64_t size, bool *partial, int64_t *offset, int64_t *length,
                        struct error *err)
{
    *partial = false;
    *offset = 0;
    *length = size;
    if (!str_eq_nocase(str_slice(header, 0, 6), STR("bytes=")))
        return OK;
    struct str rest = str_from(header, 6);
    int64_t first = 0, last = INT64_MAX;
    bool has_first = take_number(&rest, &first);
    if (rest.len == 0 || rest.data[0] != '-')
        return OK;
    rest = str_from(rest, 1);
    bool has_last = take_number(&rest, &last);
    if (rest.len != 0 || (!has_first && !has_last) || (has_first && last < first))
        return OK;
    if (!has_first) { /* the last so many bytes */
        first = last < size ? size - last : 0;
        last = INT64_MAX;
    }
    if (first >= size)
        return fail(err, BAD_RANGE, NULL, "The range starts after the end: the file has %lld bytes", (long long)size);
    if (last > size - 1)
        last = size - 1;
    *partial = true;
    *offset = first;
    *length = last - first + 1;
    return OK;
}

static bool parse_closed(struct str s, int64_t *first, int64_t *last)
{
    if (!take_number(&s, first) || s.len == 0 || s.data[0] != '-')
        return false;
    s = str_from(s, 1);
    return take_number(&s, last) && s.len == 0 && *first <= *last;
}

enum status ranges_parse(struct str header, int64_t size, struct range *out, size_t most, size_t *count,
                         struct error *err)
{
    *count = 0;
    if (!str_eq_nocase(str_slice(header, 0, 6), STR("bytes=")))
        return fail(err, INVALID, NULL, "A Range header in bytes is needed here.");
    size_t found = 0;
    for (struct str rest = str_from(header, 6), item; str_cut(&rest, ',', &item); found++) {
        int64_t first, last;
        if (found == most)
            return fail(err, INVALID, NULL, "There are too many ranges; ask for at most %zu at once.", most);
        if (!parse_closed(item, &first, &last))
            return fail(err, INVALID, NULL, "A range is malformed; each must read first-last.");
        if (last >= size)
            return fail(err, BAD_RANGE, NULL, "The range ends after the end: there are %lld bytes", (long long)size);
        out[found] = (struct range){first, last - first + 1};
    }
    *count = found;
    return OK;
}
