/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FLEET_PROTO_H
#define CAIRN_FLEET_PROTO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * Protocol buffers on the wire, as far as Flower's Fleet messages need them: a reader that walks the fields of a message in memory, in
 * a file, or while it arrives, and a writer. A message that arrives can only be walked onwards: its fields must stand in the order of
 * their numbers, as everybody writes them. Groups are refused, as proto3 has none.
 */
typedef enum status proto_read_fn(void *context, void *into, size_t most, size_t *got, struct error *err);

/* Where a message's bytes are. */
struct proto_source {
    int fd;              /* -1: all are in memory, or */
    proto_read_fn *read; /* arrive */
    void *context;
    int64_t size;
    const uint8_t *bytes; /* of them, so many from there on */
    int64_t from, len;
    uint8_t window[4096];
};
void proto_source_memory(struct proto_source *source, struct str bytes);
void proto_source_file(struct proto_source *source, int fd, int64_t size); /* fd stays the caller's */

/* A message, or what is left of it. */
struct proto {
    struct proto_source *source;
    int64_t at, end;
};
void proto_source_stream(struct proto_source *source, proto_read_fn *read, void *context, int64_t size);
struct proto proto_whole(struct proto_source *source);
/* Bytes of the source, which must be there. INVALID where a message that arrives ends early, or has them behind it. */
enum status proto_source_read(struct proto_source *source, int64_t at, void *into, size_t len, struct error *err);

enum proto_wire { PROTO_VARINT, PROTO_64, PROTO_BYTES, PROTO_32 = 5 };
struct proto_field {
    uint32_t number;
    enum proto_wire wire;
    uint64_t value;     /* of all but PROTO_BYTES */
    int64_t begin, end; /* PROTO_BYTES: where they are in the source */
};

/* The next field; *found is false at the end. INVALID for what is no message: nothing of a field reaches beyond its message. */
enum status proto_next(struct proto *message, struct proto_field *out, bool *found, struct error *err);
/* The message that a field of PROTO_BYTES holds. INVALID for another. */
enum status proto_inside(const struct proto *message, const struct proto_field *field, struct proto *out,
                         struct error *err);
/* The bytes of a field, at most so many, copied. INVALID for a field of another kind, TOO_LARGE. */
enum status proto_text(const struct proto *message, const struct proto_field *field, size_t most, struct arena *arena,
                       struct str *out, struct error *err);
/* The first field of that number in a message, *found false when there is none. message stays where it is. */
enum status proto_find(const struct proto *message, uint32_t number, struct proto_field *out, bool *found,
                       struct error *err);
int64_t proto_signed(uint64_t zigzag);

/*
 * The writer works from the end to the beginning, so that the length of a message is known when its head is written: whoever calls it
 * puts the last field first. Ranges of files are not copied: they are holes, by a number of the caller's.
 */
struct proto_hole {
    size_t at; /* in the finished bytes, before which it stands */
    uint32_t number;
    int64_t length;
};
struct proto_out {
    struct buf bytes; /* backwards until proto_finish() */
    struct proto_hole *holes;
    size_t hole_count, hole_room;
    int64_t held; /* bytes in holes */
};
#define auto_proto __attribute__((cleanup(proto_out_free)))
void proto_out_free(struct proto_out *out);

int64_t proto_mark(const struct proto_out *out);                             /* the end of a message to be */
void proto_close(struct proto_out *out, uint32_t field, int64_t mark);       /* its head: all since the mark is in it */
void proto_put(struct proto_out *out, uint32_t field, uint64_t value);       /* a varint, also when it is 0 */
void proto_put_signed(struct proto_out *out, uint32_t field, int64_t value); /* zigzag */
void proto_put_double(struct proto_out *out, uint32_t field, double value);
void proto_put_text(struct proto_out *out, uint32_t field, struct str value);
void proto_raw(struct proto_out *out, struct str bytes);  /* without a head */
void proto_number(struct proto_out *out, uint64_t value); /* the same: of a packed field */
void proto_hole(struct proto_out *out, uint32_t number, int64_t length);
/* Turns the bytes and holes round: both stand in their order then. */
void proto_finish(struct proto_out *out);

#endif
