/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fleet/proto.h"
#include "base/file.h"
#include <stdlib.h>

/* Reading. */

void proto_source_memory(struct proto_source *source, struct str bytes)
{
    *source = (struct proto_source){
        .fd = -1, .size = (int64_t)bytes.len, .bytes = (const uint8_t *)bytes.data, .len = (int64_t)bytes.len};
}

void proto_source_file(struct proto_source *source, int fd, int64_t size)
{
    source->fd = fd;
    source->read = NULL;
    source->size = size;
    source->bytes = source->window;
    source->from = source->len = 0;
}

void proto_source_stream(struct proto_source *source, proto_read_fn *read, void *context, int64_t size)
{
    proto_source_file(source, -1, size);
    source->read = read;
    source->context = context;
}

struct proto proto_whole(struct proto_source *source)
{
    return (struct proto){source, 0, source->size};
}

static enum status bad(struct error *err, const char *what)
{
    return fail(err, INVALID, "BadMessage", "This is no message of Flower's: %s.", what);
}

/* The next bytes that arrive, into the window. */
static enum status arrive(struct proto_source *source, struct error *err)
{
    size_t got;
    TRY(source->read(source->context, source->window, sizeof source->window, &got, err));
    source->from += source->len;
    source->len = (int64_t)got;
    return got ? OK : bad(err, "it is cut off");
}

/* Has the byte there in the window. */
static enum status fill(struct proto_source *source, int64_t at, struct error *err)
{
    if (!source->read) {
        int64_t left = source->size - at;
        source->from = at;
        source->len = left < (int64_t)sizeof source->window ? left : (int64_t)sizeof source->window;
        return pread_full(source->fd, source->window, (size_t)source->len, source->from, err);
    }
    if (at < source->from)
        return bad(err, "its fields are not in order");
    while (at >= source->from + source->len)
        TRY(arrive(source, err));
    return OK;
}

/* Long fields go by the window. */
static enum status read_direct(struct proto_source *source, int64_t at, void *into, size_t len, size_t *got,
                               struct error *err)
{
    if (source->fd >= 0) {
        *got = len;
        return pread_full(source->fd, into, len, at, err);
    }
    TRY(source->read(source->context, into, len, got, err));
    source->from = at + (int64_t)*got;
    source->len = 0;
    return *got ? OK : bad(err, "it is cut off");
}

enum status proto_source_read(struct proto_source *source, int64_t at, void *into, size_t len, struct error *err)
{
    for (char *to = into; len > 0;) {
        size_t got;
        int64_t there = source->from + source->len - at;
        if (at >= source->from && there > 0) {
            got = len < (uint64_t)there ? len : (size_t)there;
            memcpy(to, source->bytes + (at - source->from), got);
        } else if (len >= sizeof source->window && (!source->read || there == 0)) {
            TRY(read_direct(source, at, to, len, &got, err));
        } else {
            TRY(fill(source, at, err));
            continue;
        }
        to += got;
        at += (int64_t)got;
        len -= got;
    }
    return OK;
}

/* One byte at a time, of which most are in the window. */
static enum status read_byte(struct proto *m, uint8_t *out, struct error *err)
{
    struct proto_source *source = m->source;
    if (m->at >= m->end)
        return bad(err, "a field is cut off");
    if (m->at < source->from || m->at >= source->from + source->len)
        TRY(fill(source, m->at, err));
    *out = source->bytes[m->at++ - source->from];
    return OK;
}

static enum status read_varint(struct proto *m, uint64_t *out, struct error *err)
{
    *out = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = 0;
        TRY(read_byte(m, &byte, err));
        if (shift == 63 && byte > 1)
            break;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return OK;
    }
    return bad(err, "a number is too long");
}

static enum status read_fixed(struct proto *m, unsigned width, uint64_t *out, struct error *err)
{
    *out = 0;
    for (unsigned i = 0; i < width; i++) {
        uint8_t byte = 0;
        TRY(read_byte(m, &byte, err));
        *out |= (uint64_t)byte << 8 * i;
    }
    return OK;
}

enum status proto_next(struct proto *m, struct proto_field *out, bool *found, struct error *err)
{
    uint64_t key;
    *out = (struct proto_field){0};
    *found = m->at < m->end;
    if (!*found)
        return OK;
    TRY(read_varint(m, &key, err));
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return bad(err, "a field has no number");
    out->number = (uint32_t)(key >> 3);
    out->wire = (enum proto_wire)(key & 7);
    switch (out->wire) {
    case PROTO_VARINT:
        return read_varint(m, &out->value, err);
    case PROTO_64:
        return read_fixed(m, 8, &out->value, err);
    case PROTO_32:
        return read_fixed(m, 4, &out->value, err);
    case PROTO_BYTES:
        TRY(read_varint(m, &out->value, err));
        if (out->value > (uint64_t)(m->end - m->at))
            return bad(err, "a field reaches beyond its message");
        out->begin = m->at;
        m->at = out->end = m->at + (int64_t)out->value;
        return OK;
    }
    return bad(err, "a field is of no kind that there is");
}

enum status proto_inside(const struct proto *m, const struct proto_field *field, struct proto *out, struct error *err)
{
    if (field->wire != PROTO_BYTES)
        return bad(err, "a message was expected where a number is");
    *out = (struct proto){m->source, field->begin, field->end};
    return OK;
}

enum status proto_text(const struct proto *m, const struct proto_field *field, size_t most, struct arena *arena,
                       struct str *out, struct error *err)
{
    int64_t length = field->end - field->begin;
    if (field->wire != PROTO_BYTES)
        return bad(err, "a text was expected where a number is");
    if ((uint64_t)length > most)
        return fail(err, TOO_LARGE, "BadMessage", "A text in the message has %lld bytes; %zu are the most.",
                    (long long)length, most);
    char *copy = arena_alloc(arena, (size_t)length + 1);
    *out = (struct str){copy, (size_t)length};
    return proto_source_read(m->source, field->begin, copy, (size_t)length, err);
}

enum status proto_find(const struct proto *message, uint32_t number, struct proto_field *out, bool *found,
                       struct error *err)
{
    struct proto m = *message;
    do
        TRY(proto_next(&m, out, found, err));
    while (*found && out->number != number);
    return OK;
}

int64_t proto_signed(uint64_t zigzag)
{
    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

/* Writing. */

void proto_out_free(struct proto_out *out)
{
    buf_free(&out->bytes);
    free(out->holes);
}

int64_t proto_mark(const struct proto_out *out)
{
    return (int64_t)out->bytes.len + out->held;
}

void proto_raw(struct proto_out *out, struct str bytes)
{
    buf_reserve(&out->bytes, bytes.len);
    for (size_t i = bytes.len; i-- > 0;)
        buf_byte(&out->bytes, bytes.data[i]);
}

void proto_number(struct proto_out *out, uint64_t value)
{
    char bytes[10];
    size_t len = 0;
    for (; value > 127; value >>= 7)
        bytes[len++] = (char)(value | 128);
    bytes[len++] = (char)value;
    proto_raw(out, (struct str){bytes, len});
}

static void put_key(struct proto_out *out, uint32_t field, enum proto_wire wire)
{
    proto_number(out, (uint64_t)field << 3 | wire);
}

void proto_close(struct proto_out *out, uint32_t field, int64_t mark)
{
    proto_number(out, (uint64_t)(proto_mark(out) - mark));
    put_key(out, field, PROTO_BYTES);
}

void proto_put(struct proto_out *out, uint32_t field, uint64_t value)
{
    proto_number(out, value);
    put_key(out, field, PROTO_VARINT);
}

void proto_put_signed(struct proto_out *out, uint32_t field, int64_t value)
{
    proto_put(out, field, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void proto_put_double(struct proto_out *out, uint32_t field, double value)
{
    char bytes[sizeof value]; /* little-endian, as the machines that this runs on */
    memcpy(bytes, &value, sizeof value);
    proto_raw(out, (struct str){bytes, sizeof bytes});
    put_key(out, field, PROTO_64);
}

void proto_put_text(struct proto_out *out, uint32_t field, struct str value)
{
    int64_t mark = proto_mark(out);
    proto_raw(out, value);
    proto_close(out, field, mark);
}

void proto_hole(struct proto_out *out, uint32_t number, int64_t length)
{
    if (length == 0)
        return;
    if (out->hole_count == out->hole_room) {
        out->hole_room = out->hole_room ? 2 * out->hole_room : 64;
        out->holes = realloc(out->holes, out->hole_room * sizeof *out->holes);
        if (!out->holes)
            abort();
    }
    out->holes[out->hole_count++] = (struct proto_hole){out->bytes.len, number, length};
    out->held += length;
}

void proto_finish(struct proto_out *out)
{
    char *bytes = out->bytes.data;
    for (size_t i = 0, j = out->bytes.len; i + 1 < j; i++) {
        char byte = bytes[i];
        bytes[i] = bytes[--j];
        bytes[j] = byte;
    }
    for (size_t i = 0; i < out->hole_count; i++)
        out->holes[i].at = out->bytes.len - out->holes[i].at;
    for (size_t i = 0, j = out->hole_count; i + 1 < j; i++) {
        struct proto_hole hole = out->holes[i];
        out->holes[i] = out->holes[--j];
        out->holes[j] = hole;
    }
}
