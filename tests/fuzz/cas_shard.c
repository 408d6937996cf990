/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shards: what the reader finds lies within the bytes, and xorbs are found alike whether the files were asked for or
 * not. */
#include "cas/shard.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum status read_files(struct shard_reader *reader, struct error *err)
{
    struct shard_file file;
    struct shard_segment segment;
    for (bool found = true; found;) {
        TRY(shard_next_file(reader, &file, &found, err));
        for (uint32_t i = 0; found && i < file.count; i++)
            shard_segment(&file, i, &segment);
    }
    return OK;
}

static enum status read_xorbs(struct shard_reader *reader, uint64_t *chunks, struct error *err)
{
    struct shard_xorb xorb;
    struct shard_chunk chunk;
    for (bool found = true; found;) {
        TRY(shard_next_xorb(reader, &xorb, &found, err));
        for (uint32_t i = 0; found && i < xorb.count; i++, ++*chunks)
            shard_chunk(&xorb, i, &chunk);
    }
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct shard_reader reader, again;
    struct error err = {0};
    uint64_t chunks = 0, chunks_again = 0;
    if (shard_open((struct str){(const char *)data, len}, &reader, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    again = reader;
    enum status status = read_files(&reader, &err);
    if (status == OK)
        status = read_xorbs(&reader, &chunks, &err);
    assert(status == OK || (status == INVALID && err.message[0]));
    assert(read_xorbs(&again, &chunks_again, &err) == status && chunks == chunks_again);
    assert(chunks * 48 <= len);
    return 0;
}
