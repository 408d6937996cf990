/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever the header, the answer lies inside the file. */
#include "net/range.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    return 0;
}
