/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Digests of the files in a folder. Each is read once for all that is wanted of it, by as many threads as there are
 * processors: models come in several files of gigabytes. */
#include "base/file.h"
#include "base/time.h"
#include "verify/folder.h"
#include <blake3.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_PIECE ((size_t)1024 * 1024)
#define THREADS_MOST 16

void progress_say(struct progress *progress, bool now, const char *format, ...)
{
    char line[256];
    int64_t time = monotonic_us();
    if (!progress->call || (!now && time - progress->last_us < SECOND_US))
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    progress->last_us = time;
    progress->call(progress->context, line);
}

/* Tensors of a file that comes in pieces. */

struct tensor_reading {
    struct folder_file *file;
    struct buf head; /* the length and the header, as far as they have come */
    int64_t head_size;
    bool hashing, over;
    struct tensor_hasher hasher;
};

static bool read_head(struct tensor_reading *reading)
{
    struct folder_file *file = reading->file;
    struct str header = str_from(buf_view(&reading->head), 8);
    if (reading->head_size == 8) {
        int64_t size;
        if (tensor_header_size((const uint8_t *)reading->head.data, &size, &file->tensors_error) != OK)
            return false;
        reading->head_size += size;
        if (size > 0)
            return true;
    }
    if (tensor_header_parse(&file->arena, header, &file->tensors, &file->tensors_error) != OK)
        return false;
    reading->hashing = true;
    tensor_hasher_start(&reading->hasher, &file->tensors);
    return true;
}

static void read_tensors(struct tensor_reading *reading, const char *data, size_t len)
{
    while (!reading->over && !reading->hashing && len > 0) {
        size_t missing = (size_t)reading->head_size - reading->head.len, take = len < missing ? len : missing;
        buf_add(&reading->head, data, take);
        data += take;
        len -= take;
        if (take == missing)
            reading->over = !read_head(reading);
    }
    if (reading->hashing && !reading->over && !tensor_hasher_add(&reading->hasher, data, len)) {
        fail(&reading->file->tensors_error, INVALID, NULL, "The file goes on behind its last tensor");
        reading->over = true;
    }
}

static void end_tensors(struct tensor_reading *reading)
{
    bool whole = reading->hashing && tensor_hasher_end(&reading->hasher);
    if (!whole && reading->file->tensors_error.status == OK)
        fail(&reading->file->tensors_error, INVALID, NULL, "The file ends before its last tensor");
    buf_free(&reading->head);
}

/* Whole files. */

struct hashing {
    struct folder *folder;
    struct folder_choice choice;
    struct progress *progress;
    atomic_size_t next;
    atomic_llong bytes;
};

static bool is_chosen(const struct hashing *hashing, const struct folder_file *file)
{
    return !file->hashed && (!file->aside || hashing->choice.aside);
}

static int open_file(const struct folder *folder, struct str name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s", STR_ARG(name)); /* names are no longer than 1024 bytes */
    return openat(folder->fd, path, O_RDONLY | O_CLOEXEC | (folder->follow ? 0 : O_NOFOLLOW));
}

static enum status read_pieces(struct hashing *hashing, struct folder_file *file, int fd, char *piece, bool is_main)
{
    bool with_tensors = hashing->choice.tensors && tensor_file_name(file->file.name);
    struct tensor_reading tensors = {.file = file, .head_size = 8};
    struct hasher *sha = hasher_sha256();
    ssize_t got;
    file->file.size = 0;
    while ((got = read(fd, piece, READ_PIECE)) != 0 && (got > 0 || errno == EINTR)) {
        if (got < 0)
            continue;
        hasher_add(sha, piece, (size_t)got);
        if (with_tensors)
            read_tensors(&tensors, piece, (size_t)got);
        file->file.size += got;
        atomic_fetch_add(&hashing->bytes, got);
        if (is_main)
            progress_say(hashing->progress, false, "files: %lld MiB read", atomic_load(&hashing->bytes) >> 20);
    }
    int saved_errno = errno;
    hasher_end(sha, file->file.sha256);
    hasher_free(sha);
    if (with_tensors)
        end_tensors(&tensors);
    errno = saved_errno;
    return got < 0 ? fail_errno(&file->error, arena_cstr(&file->arena, file->file.name)) : OK;
}

static void *hash_files(struct hashing *hashing, bool is_main)
{
    struct folder *folder = hashing->folder;
    char *piece = malloc(READ_PIECE);
    if (!piece)
        abort();
    for (size_t i; (i = atomic_fetch_add(&hashing->next, 1)) < folder->count;) {
        struct folder_file *file = &folder->files[i];
        if (!is_chosen(hashing, file))
            continue;
        auto_fd int fd = open_file(folder, file->file.name);
        if (fd < 0)
            fail_errno(&file->error, arena_cstr(&file->arena, file->file.name));
        else
            file->hashed = read_pieces(hashing, file, fd, piece, is_main) == OK;
    }
    free(piece);
    return NULL;
}

static void *hash_beside(void *context)
{
    return hash_files(context, false);
}

bool folder_hash(struct folder *folder, struct folder_choice choice, struct progress *progress, struct report *report)
{
    struct hashing hashing = {.folder = folder, .choice = choice, .progress = progress};
    pthread_t threads[THREADS_MOST];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = 0;
    bool good = true;
    while (count < THREADS_MOST && (long)count + 1 < processors && count + 1 < folder->count &&
           pthread_create(&threads[count], NULL, hash_beside, &hashing) == 0)
        count++;
    hash_files(&hashing, true);
    while (count > 0)
        pthread_join(threads[--count], NULL);
    for (size_t i = 0; i < folder->count; i++)
        if (folder->files[i].error.status != OK)
            good = found(report, UNABLE, "files", "%s", folder->files[i].error.message);
    return good;
}

/* Ranges, with the hashes that foreign signatures use. */

struct any_hash {
    EVP_MD_CTX *evp; /* NULL: BLAKE3 */
    blake3_hasher blake3;
};

static void any_add(struct any_hash *hash, const void *data, size_t len)
{
    if (!hash->evp)
        blake3_hasher_update(&hash->blake3, data, len);
    else if (EVP_DigestUpdate(hash->evp, data, len) != 1)
        abort();
}

static void any_start(struct any_hash *hash, enum oms_hash kind)
{
    *hash = (struct any_hash){0};
    blake3_hasher_init(&hash->blake3);
    if (kind == OMS_BLAKE3)
        return;
    hash->evp = EVP_MD_CTX_new();
    if (!hash->evp || EVP_DigestInit_ex(hash->evp, kind == OMS_SHA256 ? EVP_sha256() : EVP_blake2b512(), NULL) != 1)
        abort();
}

static void any_end(struct any_hash *hash, uint8_t *out)
{
    if (!hash->evp)
        blake3_hasher_finalize(&hash->blake3, out, BLAKE3_OUT_LEN);
    else if (EVP_DigestFinal_ex(hash->evp, out, NULL) != 1)
        abort();
    EVP_MD_CTX_free(hash->evp);
}

enum status folder_digest(void *context, const struct manifest_file *file, enum oms_hash hash, int64_t start,
                          int64_t end, uint8_t *out, struct error *err)
{
    auto_fd int fd = open_file(context, file->name);
    auto_buf struct buf piece = {0};
    struct any_hash running;
    if (fd < 0 || lseek(fd, start, SEEK_SET) < 0)
        return fail_errno(err, "a file of the folder");
    any_start(&running, hash);
    buf_reserve(&piece, READ_PIECE);
    ssize_t got = 1;
    for (int64_t left = end < 0 ? INT64_MAX : end - start; left > 0 && got != 0; left -= got > 0 ? got : 0) {
        got = read(fd, piece.data, (uint64_t)left < READ_PIECE ? (size_t)left : READ_PIECE);
        if (got < 0 && errno != EINTR)
            break;
        any_add(&running, piece.data, got > 0 ? (size_t)got : 0);
    }
    int saved_errno = errno;
    any_end(&running, out);
    errno = saved_errno;
    return got < 0 ? fail_errno(err, "a file of the folder") : OK;
}
