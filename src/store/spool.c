/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing a new file in large blocks. What nobody reads again soon goes from its block straight to the disk, while the next
 * block fills: the page cache takes a copy, and for each page the file system's notes about it, which for a xorb is as much work
 * as a third of its SHA-256. Where the file system has no such way, or for what is read again, it is written as ever.
 */
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM (8 * MIB) /* set aside on the disk at once */

/* Memory of the latest ones. Uploads follow each other, and new memory costs more than what fills it. */
#define SPARES 2
static struct {
    pthread_mutex_t lock;
    char *memory[SPARES];
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Puts memory, or NULL, where something else is kept, and gives that; memory itself when there is no such place. */
static char *spare_swap(char *memory)
{
    pthread_mutex_lock(&spare.lock);
    for (size_t i = 0; i < SPARES; i++)
        if (!spare.memory[i] != !memory) {
            char *other = spare.memory[i];
            spare.memory[i] = memory;
            memory = other;
            break;
        }
    pthread_mutex_unlock(&spare.lock);
    return memory;
}

void spool_open(struct spool *spool, int fd)
{
    char *memory = spare_swap(NULL);
    if (!memory && !(memory = aligned_alloc(SPOOL_BLOCK, SPOOL_BLOCKS * SPOOL_BLOCK)))
        abort();
    *spool = (struct spool){.fd = fd, .memory = memory};
}

static char *block(const struct spool *spool, size_t index)
{
    return spool->memory + index * SPOOL_BLOCK;
}

/* Into room that is there already the file system writes with a third less work, a tenth of all that a large xorb costs. It is a
 * hint: a disk that is full fails the write. What is left of it spool_end() gives back. */
static void room_ahead(struct spool *spool)
{
    if (spool->written + (int64_t)SPOOL_BLOCK <= spool->room)
        return;
    (void)fallocate(spool->fd, FALLOC_FL_KEEP_SIZE, spool->room, ROOM);
    spool->room += ROOM;
}

static void set_direct(const struct spool *spool, bool direct)
{
    int flags = fcntl(spool->fd, F_GETFL);
    (void)fcntl(spool->fd, F_SETFL,
                direct ? flags | O_DIRECT : flags & ~O_DIRECT); /* refused: through the page cache */
}

/* Waits for a block that is on its way. What the disk did not take straight it gets as ever, or says why not. */
static enum status await(struct spool *spool, size_t index, struct error *err)
{
    struct aiocb *way = &spool->ways[index];
    const struct aiocb *const ways[] = {way};
    if (way->aio_nbytes == 0)
        return OK;
    while (aio_error(way) == EINPROGRESS)
        (void)aio_suspend(ways, 1, NULL);
    way->aio_nbytes = 0;
    ssize_t wrote = aio_return(way);
    size_t done = wrote > 0 ? (size_t)wrote : 0;
    if (done == SPOOL_BLOCK)
        return OK;
    set_direct(spool, false);
    return pwrite_full(spool->fd, block(spool, index) + done, SPOOL_BLOCK - done, way->aio_offset + (int64_t)done, err);
}

static enum status await_all(struct spool *spool, struct error *err)
{
    enum status first = OK;
    for (size_t i = 0; i < SPOOL_BLOCKS; i++) {
        enum status status = await(spool, i, first == OK ? err : NULL);
        first = first == OK ? status : first;
    }
    return first;
}

/* False: it can only be done as ever. */
static bool begin_direct(struct spool *spool)
{
    struct aiocb *way = &spool->ways[spool->at];
    *way = (struct aiocb){.aio_fildes = spool->fd,
                          .aio_buf = block(spool, spool->at),
                          .aio_nbytes = SPOOL_BLOCK,
                          .aio_offset = spool->written,
                          .aio_sigevent.sigev_notify = SIGEV_NONE};
    /* So that the blocks to come are one piece for the disk, each. Not before one is full: many slow senders would each fill a
     * whole page with a few bytes. */
    (void)madvise(spool->memory, SPOOL_BLOCKS * SPOOL_BLOCK, MADV_HUGEPAGE);
    if (aio_write(way) == 0)
        return true;
    way->aio_nbytes = 0;
    spool->direct = false;
    set_direct(spool, false);
    return false;
}

/* Hashing beside the work on the next block. */

static void hash_block(void *context)
{
    struct spool *spool = context;
    hasher_add(spool->hasher, spool->unhashed, spool->unhashed_len);
}

static void hash_await(struct spool *spool)
{
    if (spool->hashing.run)
        task_finish(&spool->hashing);
    spool->hashing.run = NULL;
}

/* What the block has since. */
static void hash_begin(struct spool *spool)
{
    hash_await(spool);
    spool->unhashed = block(spool, spool->at) + spool->hashed;
    spool->unhashed_len = spool->filled - spool->hashed;
    spool->hashed = spool->filled;
    spool->hashing = (struct task){.run = hash_block, .context = spool};
    task_start(&spool->hashing);
}

enum status spool_hash(struct spool *spool, struct hasher *hasher, struct error *err)
{
    TRY(disk_hash(spool->fd, 0, spool->written, hasher, err));
    spool->hasher = hasher;
    spool->hashed = 0;
    spool->direct = true;
    set_direct(spool, true);
    return OK;
}

void spool_hash_end(struct spool *spool)
{
    if (!spool->hasher)
        return;
    hash_begin(spool);
    hash_await(spool);
    spool->hasher = NULL;
}

/* The block at hand is full. */
static enum status block_write(struct spool *spool, struct error *err)
{
    room_ahead(spool);
    if (spool->hasher)
        hash_begin(spool);
    bool direct = spool->direct && begin_direct(spool);
    for (size_t at = 0; !direct && at < SPOOL_BLOCK; at += MIB)
        TRY(pwrite_full(spool->fd, block(spool, spool->at) + at, MIB, spool->written + (int64_t)at, err));
    spool->written += (int64_t)SPOOL_BLOCK;
    spool->filled = spool->hashed = 0;
    if (!direct) {
        hash_await(spool);
        disk_flush_early(spool->fd, spool->written, &spool->flushed);
        return OK;
    }
    spool->at = (spool->at + 1) % SPOOL_BLOCKS;
    return await(spool, spool->at, err);
}

enum status spool_add(struct spool *spool, const void *data, size_t len, struct error *err)
{
    for (size_t taken; len > 0; data = (const char *)data + taken, len -= taken) {
        taken = len < SPOOL_BLOCK - spool->filled ? len : SPOOL_BLOCK - spool->filled;
        memcpy(block(spool, spool->at) + spool->filled, data, taken);
        spool->filled += taken;
        if (spool->filled == SPOOL_BLOCK)
            TRY(disk_explain(block_write(spool, err), err));
    }
    return OK;
}

enum status spool_end(struct spool *spool, int64_t *size, struct error *err)
{
    TRY(await_all(spool, err));
    set_direct(spool, false);
    TRY(pwrite_full(spool->fd, block(spool, spool->at), spool->filled, spool->written, err));
    *size = spool->written + (int64_t)spool->filled;
    if (spool->room > 0 && ftruncate(spool->fd, *size) != 0)
        return disk_fail(err, "trim an incoming file");
    disk_flush(spool->fd);
    return OK;
}

void spool_close(struct spool *spool)
{
    hash_await(spool);
    (void)await_all(spool, NULL);
    free(spare_swap(spool->memory));
}
