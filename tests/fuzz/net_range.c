/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever the header, the answer lies inside the file. */
#include "net/range.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 8

static void parse_several(struct str header, int64_t file_size)
{
    struct range ranges[MOST];
    size_t count;
    enum status status = ranges_parse(header, file_size, ranges, MOST, &count, NULL);
    assert(status == OK ? count > 0 && count <= MOST : (status == INVALID || status == BAD_RANGE) && count == 0);
    for (size_t i = 0; i < count; i++)
        assert(ranges[i].offset >= 0 && ranges[i].length > 0 && ranges[i].offset < file_size &&
               ranges[i].length <= file_size - ranges[i].offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t file_size;
    if (size < sizeof file_size)
        return 0;
    memcpy(&file_size, data, sizeof file_size);
    file_size &= INT64_MAX;
    bool partial;
    int64_t offset, length;
    struct str header = {(const char *)data + sizeof file_size, size - sizeof file_size};
    struct error err = {0};
    enum status status = range_parse(header, file_size, &partial, &offset, &length, &err);
    assert(status == OK || status == BAD_RANGE);
    if (status == OK && partial)
        assert(offset >= 0 && length > 0 && offset < file_size && length <= file_size - offset);
    if (status == OK && !partial)
        assert(offset == 0 && length == file_size);
    parse_several(header, file_size);
    return 0;
}
