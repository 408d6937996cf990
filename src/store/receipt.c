/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <assert.h>
#include <stdlib.h>

struct receipt {
    struct store *store;
    struct hasher *hasher;
    int fd;
    bool failed;
    char name[NAME_SIZE];
    int64_t size, flushed;
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
    receipt->hasher = hasher_sha256();
    *out = receipt;
    return OK;
}

enum status receipt_write(struct receipt *receipt, const void *data, size_t len, struct error *err)
{
    enum status status = pwrite_full(receipt->fd, data, len, receipt->size, err);
    if (status != OK) {
        receipt->failed = true;
        return disk_explain(status, err);
    }
    receipt->size += (int64_t)len;
    disk_flush_early(receipt->fd, receipt->size, &receipt->flushed);
    hasher_add(receipt->hasher, data, len);
    return OK;
}

enum status receipt_keep(struct receipt **receipt, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], int64_t size,
                         struct error *err)
{
    auto_receipt struct receipt *mine = *receipt;
    *receipt = NULL;
    /* A failed write may have left bytes behind the ones that were hashed. */
    assert(!mine->failed);
    if (mine->size != size)
        return fail(err, UNPROCESSABLE, NULL,
                    "The file was announced with %lld bytes, but %lld arrived. Nothing was kept; upload it again.",
                    (long long)size, (long long)mine->size);
    uint8_t digest[SHA256_SIZE];
    hasher_end(mine->hasher, digest);
    TRY(digest_check(sha256, digest, err));
    struct arrival arrival = {.name = mine->name, .sha256 = digest, .size = size, .repo_id = repo_id};
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
    hasher_free(mine->hasher);
    free(mine);
    *receipt = NULL;
}
