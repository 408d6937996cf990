/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <assert.h>
#include <stdlib.h>

struct receipt {
    struct store *store;
    struct ingest *ingest;
    int fd;
    bool failed;
    char name[NAME_SIZE];
    int64_t size, flushed; /* bytes; those for which write-back was started */
};

enum status receipt_open(struct store *store, struct receipt **out, struct error *err)
{
    store_assert(store);
    struct receipt *receipt = calloc(1, sizeof(*receipt));
    if (!receipt)
        abort();
    enum status status = incoming_new(store, receipt->name, &receipt->fd, err);
    if (status != OK) {
        free(receipt);
        return status;
    }
    receipt->store = store;
    receipt->ingest = ingest_new(store);
    *out = receipt;
    return OK;
}

enum status receipt_write(struct receipt *receipt, const void *data, size_t len, struct error *err)
{
    ingest_begin(receipt->ingest, data, len);
    enum status status = pwrite_full(receipt->fd, data, len, receipt->size, err);
    enum status ingested = ingest_end(receipt->ingest, status == OK ? err : NULL);
    if (status == OK)
        status = ingested;
    receipt->failed |= status != OK;
    receipt->size += (int64_t)len;
    disk_flush_early(receipt->fd, receipt->size, &receipt->flushed);
    return disk_explain(status, err);
}

enum status receipt_keep(struct receipt **receipt, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], int64_t size,
                         struct error *err)
{
    auto_receipt struct receipt *mine = *receipt;
    *receipt = NULL;
    /* A failed write may have left out some of the bytes that were hashed. */
    assert(!mine->failed);
    if (mine->size != size)
        return fail(err, UNPROCESSABLE, NULL,
                    "The file was announced with %lld bytes, but %lld arrived. Nothing was kept; upload it again.",
                    (long long)size, (long long)mine->size);
    const struct ingested *file = ingest_result(mine->ingest);
    TRY(digest_check(sha256, file->sha256, err));
    struct arrival arrival = {.name = mine->name, .repo_id = repo_id, .ingest = mine->ingest, .file = file};
    return commit_arrival(mine->store, mine->fd, &arrival, err);
}

void receipt_drop(struct receipt **receipt)
{
    struct receipt *mine = *receipt;
    if (!mine)
        return;
    /* After receipt_keep() the file has another name, and this finds nothing. */
    incoming_remove(mine->store, mine->name);
    fd_close(&mine->fd);
    ingest_free(&mine->ingest);
    free(mine);
    *receipt = NULL;
}
