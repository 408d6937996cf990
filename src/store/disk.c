/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_BYTES (8 * MIB)
#define HASH_PIECE ((size_t)MIB) /* mapped at once: 8 MiB are what a process may commonly lock */
#define HASH_COPY (32 << 10)     /* copied at once: stays in the processor's own cache */
#define MAP_LEAST (64 << 10)     /* for less, mapping costs more than copying */

void store_assert(const struct store *store)
{
    assert(store && store->magic == STORE_MAGIC);
}

void hex_name(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

void random_name(char out[NAME_SIZE])
{
    uint8_t random[(NAME_SIZE - 1) / 2];
    random_bytes(random, sizeof(random));
    hex_name(random, sizeof(random), out);
}

bool name_valid(const char *name)
{
    return strlen(name) == NAME_SIZE - 1 && strspn(name, "0123456789abcdef") == NAME_SIZE - 1;
}

void container_path(const char *root, const char *name, char out[STORE_PATH_LIMIT])
{
    int len = snprintf(out, STORE_PATH_LIMIT, "%s/containers/%.2s/%s", root, name, name);
    assert(len > 0 && len < STORE_PATH_LIMIT);
}

void incoming_path(const char *root, const char *name, char out[STORE_PATH_LIMIT])
{
    int len = snprintf(out, STORE_PATH_LIMIT, "%s/incoming/%s", root, name);
    assert(len > 0 && len < STORE_PATH_LIMIT);
}

static void containers_path(const char *root, char out[STORE_PATH_LIMIT])
{
    snprintf(out, STORE_PATH_LIMIT, "%s/containers", root);
}

enum status store_root_make(const char *root, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    if (strlen(root) >= STORE_ROOT_LIMIT)
        return fail(err, INVALID, NULL, "The path of the store folder is longer than %d bytes.", STORE_ROOT_LIMIT - 1);
    snprintf(path, sizeof(path), "%s/incoming", root);
    TRY(folder_make(path, 0700, err));
    containers_path(root, path);
    TRY(folder_make(path, 0700, err));
    return folder_sync(root, err);
}

enum status container_folder_make(const char *root, const char *name, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    snprintf(path, sizeof(path), "%s/containers/%.2s", root, name);
    return folder_make(path, 0700, err);
}

static enum status make_and_sync(const char *root, const char *name, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    TRY(container_folder_make(root, name, err));
    containers_path(root, path);
    return folder_sync(path, err);
}

/*
 * Under a lock: a second thread could find the folder there but not yet synced, and a power failure take it after a file
 * in it has been acknowledged. One that was there before is synced once, too: who made it may have died before he did.
 */
enum status container_folder(struct store *store, const char *name, struct error *err)
{
    unsigned number = 0;
    enum status status = OK;
    sscanf(name, "%2x", &number);
    pthread_mutex_lock(&store->folders_lock);
    if (!store->has_folder[number])
        status = make_and_sync(store->root, name, err);
    store->has_folder[number] = status == OK;
    pthread_mutex_unlock(&store->folders_lock);
    return status;
}

enum status store_open(struct db *db, const char *root, struct store **out, struct error *err)
{
    TRY(store_root_make(root, err));
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        abort();
    store->magic = STORE_MAGIC;
    store->db = db;
    memcpy(store->root, root, strlen(root) + 1);
    pthread_mutex_init(&store->folders_lock, NULL);
    running_init(&store->running);
    store->guess = guess_new(store);
    enum status status = settle_after_crash(store, err);
    if (status != OK) {
        store_close(store);
        return status;
    }
    *out = store;
    return OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_assert(store);
    guess_free(store->guess);
    running_free(&store->running);
    store->magic = 0;
    free(store);
}

static struct flock exclusive(int64_t start, int64_t length)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

bool file_lock(int fd, int64_t start, int64_t length)
{
    struct flock lock = exclusive(start, length);
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

enum status file_lock_wait(int fd, int64_t start, int64_t length, struct error *err)
{
    struct flock lock = exclusive(start, length);
    while (fcntl(fd, F_OFD_SETLKW, &lock) != 0) {
        if (errno != EINTR)
            return disk_fail(err, "lock an incoming file");
    }
    return OK;
}

enum status incoming_new(struct store *store, char name[NAME_SIZE], int *fd, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    random_name(name);
    incoming_path(store->root, name, path);
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0)
        return disk_fail(err, "create an incoming file");
    if (!file_lock(*fd, 0, 0)) {
        enum status status = disk_fail(err, "lock an incoming file");
        unlink(path);
        fd_close(fd);
        return status;
    }
    return OK;
}

enum status store_scratch(struct store *store, int *fd, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    store_assert(store);
    incoming_path(store->root, "", path);
    *fd = open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    return *fd < 0 ? disk_fail(err, "create a temporary file") : OK;
}

void incoming_remove(struct store *store, const char *name)
{
    char path[STORE_PATH_LIMIT];
    incoming_path(store->root, name, path);
    unlink(path);
}

enum status disk_explain(enum status status, struct error *err)
{
    if (status != NO_SPACE)
        return status;
    return fail(
        err, NO_SPACE, NULL,
        "The disk that holds the store is full, so nothing of this upload was kept; what was stored before is safe. "
        "Free space on it, or move the store to a larger disk, then upload again.");
}

enum status disk_fail(struct error *err, const char *what)
{
    int number = errno;
    char text[128];
    if (number == ENOSPC || number == EDQUOT)
        return disk_explain(NO_SPACE, err);
    return fail(err, UNAVAILABLE, NULL, "The store could not %s: %s.", what, strerror_r(number, text, sizeof(text)));
}

void disk_flush(int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void disk_flush_early(int fd, int64_t written, int64_t *flushed)
{
    if (written - *flushed < FLUSH_BYTES)
        return;
    /* A hint: file systems that do not know it are synced at the end all the same. */
    (void)sync_file_range(fd, *flushed, written - *flushed, SYNC_FILE_RANGE_WRITE);
    *flushed = written;
}

/*
 * Where the page cache has the bytes they are hashed: copying what has left the processor's own caches costs half as much as hashing
 * it. The pages are locked, so that a disk that fails says so here, and not by a signal where they are read. False when that is not
 * to be had: processes may lock little, some of them nothing.
 */
static bool hash_mapped(int fd, int64_t offset, size_t len, struct hasher *hasher)
{
    struct stat status;
    size_t skip = (size_t)(offset % sysconf(_SC_PAGESIZE));
    if (len < MAP_LEAST || fstat(fd, &status) != 0 || status.st_size - offset < (int64_t)len)
        return false;
    char *map = mmap(NULL, skip + len, PROT_READ, MAP_SHARED, fd, offset - (int64_t)skip);
    if (map == MAP_FAILED)
        return false;
    bool locked = mlock(map, skip + len) == 0;
    if (locked)
        hasher_add(hasher, map + skip, len);
    munmap(map, skip + len);
    return locked;
}

static enum status hash_copied(int fd, int64_t offset, size_t len, struct hasher *hasher, struct error *err)
{
    char piece[HASH_COPY];
    for (size_t done = 0, got; done < len; done += got) {
        got = len - done < sizeof piece ? len - done : sizeof piece;
        TRY(pread_full(fd, piece, got, offset + (int64_t)done, err));
        hasher_add(hasher, piece, got);
    }
    return OK;
}

enum status disk_hash(int fd, int64_t offset, int64_t length, struct hasher *hasher, struct error *err)
{
    (void)posix_fadvise(fd, offset, length, POSIX_FADV_SEQUENTIAL);
    while (length > 0) {
        size_t len = length < (int64_t)HASH_PIECE ? (size_t)length : HASH_PIECE;
        if (!hash_mapped(fd, offset, len, hasher))
            TRY(hash_copied(fd, offset, len, hasher, err));
        offset += (int64_t)len;
        length -= (int64_t)len;
    }
    return OK;
}
