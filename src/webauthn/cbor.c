/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "webauthn/cbor.h"

struct cbor cbor_of(struct str data)
{
    const uint8_t *at = (const uint8_t *)data.data;
    return (struct cbor){at, at ? at + data.len : at};
}

bool cbor_ends(const struct cbor *from)
{
    return from->at == from->end;
}

static size_t left(const struct cbor *from)
{
    return (size_t)(from->end - from->at);
}

/* The number behind the first byte. The shortest form alone, and nothing beyond what an int64_t holds. */
static bool read_number(struct cbor *from, unsigned info, int64_t *out)
{
    static const uint64_t least[] = {24, 0x100, 0x10000, 0x100000000};
    if (info < 24) {
        *out = info;
        return true;
    }
    if (info > 27 || left(from) < (size_t)1 << (info - 24))
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < (size_t)1 << (info - 24); i++)
        number = number << 8 | *from->at++;
    *out = (int64_t)number;
    return number >= least[info - 24] && number <= INT64_MAX;
}

bool cbor_next(struct cbor *from, struct cbor_item *out)
{
    if (cbor_ends(from))
        return false;
    unsigned first = *from->at++;
    *out = (struct cbor_item){.kind = (enum cbor_kind)(first >> 5)};
    if (out->kind == CBOR_SIMPLE) {
        out->number = first & 31;
        return out->number >= 20 && out->number <= 23;
    }
    if (first >> 5 == 6 || !read_number(from, first & 31, &out->number)) /* 6: tags, which nobody needs here */
        return false;
    switch (out->kind) {
    case CBOR_NEGATIVE:
        out->number = -1 - out->number;
        return true;
    case CBOR_BYTES:
    case CBOR_TEXT:
        if ((uint64_t)out->number > left(from))
            return false;
        out->bytes = (struct str){(const char *)from->at, (size_t)out->number};
        from->at += out->number;
        return out->kind == CBOR_BYTES || str_is_utf8(out->bytes);
    case CBOR_ARRAY:
    case CBOR_MAP: /* each member takes a byte at least: no count is believed that could not be there */
        return (uint64_t)out->number <= left(from) / (out->kind == CBOR_MAP ? 2 : 1);
    default:
        return true;
    }
}

static bool skip(struct cbor *from, unsigned depth)
{
    struct cbor_item item;
    if (!cbor_next(from, &item))
        return false;
    int64_t members = item.kind == CBOR_ARRAY ? item.number : item.kind == CBOR_MAP ? item.number * 2 : 0;
    if (members && depth == CBOR_DEPTH)
        return false;
    while (members-- > 0)
        if (!skip(from, depth + 1))
            return false;
    return true;
}

bool cbor_skip(struct cbor *from)
{
    return skip(from, 1);
}
