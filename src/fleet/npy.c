/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fleet/npy.h"
#include <string.h>

static enum status bad(struct error *err, const char *what)
{
    return fail(err, INVALID, NULL, "It is no array as numpy saves it: %s.", what);
}

/* Takes a word off the front; white space before it does not count. */
static bool take(struct str *rest, const char *word)
{
    struct str want = str_of(word);
    while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\n'))
        *rest = str_from(*rest, 1);
    bool there = str_starts(*rest, want);
    if (there)
        *rest = str_from(*rest, want.len);
    return there;
}

static bool take_number(struct str *rest, int64_t *out)
{
    size_t len = 0;
    take(rest, "");
    while (len < rest->len && rest->data[len] >= '0' && rest->data[len] <= '9')
        len++;
    bool is_one = str_to_i64(str_slice(*rest, 0, len), out);
    *rest = str_from(*rest, len);
    return is_one;
}

static enum status read_shape(struct str *rest, struct npy *out, struct error *err)
{
    if (!take(rest, "("))
        return bad(err, "its shape is no tuple");
    while (!take(rest, ")")) {
        if (out->dimensions == NPY_DIMENSIONS)
            return bad(err, "it has too many dimensions");
        if (!take_number(rest, &out->shape[out->dimensions++]))
            return bad(err, "its shape is not made of numbers");
        if (!take(rest, ",") && !str_starts(*rest, STR(")")))
            return bad(err, "its shape is no tuple");
    }
    return OK;
}

static enum status read_member(struct str *rest, struct npy *out, unsigned *seen, struct error *err)
{
    if (take(rest, "'descr'") && take(rest, ":")) {
        *seen |= 1;
        out->width = take(rest, "'<f4'") ? 4 : take(rest, "'<f8'") ? 8 : 0;
        return out->width ? OK : bad(err, "its numbers are neither float32 nor float64");
    }
    if (take(rest, "'fortran_order'") && take(rest, ":")) {
        *seen |= 2;
        out->columns = take(rest, "True");
        return out->columns || take(rest, "False") ? OK : bad(err, "its order is neither of the two");
    }
    if (take(rest, "'shape'") && take(rest, ":") && !(*seen & 4)) {
        *seen |= 4;
        return read_shape(rest, out, err);
    }
    return bad(err, "its head says what no head says");
}

enum status npy_read(struct str bytes, struct npy *out, struct error *err)
{
    const uint8_t *first = (const uint8_t *)bytes.data;
    *out = (struct npy){0};
    if (bytes.len < 12 || !str_starts(bytes, STR("\x93NUMPY")))
        return bad(err, "it does not begin like one");
    size_t start = first[6] == 1 ? 10 : 12;
    size_t len = first[8] | (size_t)first[9] << 8;
    if (start == 12)
        len |= (size_t)first[10] << 16 | (size_t)first[11] << 24;
    if (first[6] < 1 || first[6] > 3 || len > bytes.len - start)
        return bad(err, "its head is cut off, or too long");
    struct str rest = str_slice(bytes, start, len);
    unsigned seen = 0;
    if (!take(&rest, "{"))
        return bad(err, "its head is no dictionary");
    while (!take(&rest, "}")) {
        TRY(read_member(&rest, out, &seen, err));
        if (!take(&rest, ",") && !str_starts(rest, STR("}")))
            return bad(err, "its head is no dictionary");
    }
    if (seen != 7 || (take(&rest, ""), rest.len > 0))
        return bad(err, "its head says too little, or too much");
    out->head = start + len;
    return OK;
}

void npy_write(const struct tensor *tensor, struct buf *out)
{
    size_t start = out->len;
    buf_add(out, "\x93NUMPY\1\0\0\0", 10);
    buf_printf(out, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        buf_printf(out, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    buf_printf(out, "%s), }", tensor->dimensions == 1 ? "," : "");
    /* The numbers begin at a multiple of 64, and a line's end stands before them. */
    while ((out->len - start) % 64 != 63)
        buf_byte(out, ' ');
    buf_byte(out, '\n');
    size_t len = out->len - start - 10;
    out->data[start + 8] = (char)(len & 255);
    out->data[start + 9] = (char)(len >> 8);
}
