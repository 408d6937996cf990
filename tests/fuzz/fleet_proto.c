/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A message of Flower's: walked to its depths, every field lies within its message, and what was understood is read the same from a file,
 * and while it arrives in pieces. The same bytes as the head of an object. */
#include "base/file.h"
#include "fleet/object.h"
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t walk(struct proto message, int depth)
{
    struct proto_field field;
    struct proto inner;
    struct error err = {0};
    uint64_t sum = 1;
    bool found = true;
    while (found) {
        int64_t at = message.at;
        if (proto_next(&message, &field, &found, &err) != OK) {
            assert(err.message[0]);
            return sum * 31;
        }
        assert(!found || message.at > at);
        sum = sum * 31 + field.number + field.value;
        if (found && field.wire == PROTO_BYTES) {
            assert(field.begin >= at && field.end <= message.end && field.begin <= field.end);
            if (depth < 8 && proto_inside(&message, &field, &inner, &err) == OK)
                sum = sum * 31 + walk(inner, depth + 1);
        }
    }
    return sum;
}

struct arriving {
    const uint8_t *data;
    size_t left;
};

static enum status read_piece(void *context, void *into, size_t most, size_t *got, struct error *err)
{
    struct arriving *a = context;
    (void)err;
    *got = a->left < 7 ? a->left : 7;
    *got = *got < most ? *got : most;
    if (*got)
        memcpy(into, a->data, *got);
    a->data += *got;
    a->left -= *got;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct proto_source memory, file, stream;
    struct arriving arriving = {data, size};
    struct object_head head;
    struct error err = {0};
    struct str bytes = {(const char *)data, size};
    if (fd < 0)
        fd = memfd_create("fuzz", 0);
    assert(ftruncate(fd, 0) == 0 && pwrite_full(fd, data, size, 0, &err) == OK);
    proto_source_memory(&memory, bytes);
    proto_source_file(&file, fd, (int64_t)size);
    uint64_t sum = walk(proto_whole(&memory), 0);
    assert(sum == walk(proto_whole(&file), 0));
    proto_source_stream(&stream, read_piece, &arriving, (int64_t)size);
    assert(sum == walk(proto_whole(&stream), 0));
    if (size && object_read(bytes, (int64_t)size, &head, &err) == OK)
        assert(head.head <= size && head.type.len < head.head && head.children.len < head.head);
    return 0;
}
