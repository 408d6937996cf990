/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_hashes FILE: what verifying bytes that come by Xet must cost. The BLAKE3 of each 64 KiB, and one SHA-256 over all, on one
 * core, from memory. Prints wall and CPU seconds; reading the file is not counted.
 */
#include "base/hash.h"
#include "cas/hash.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint8_t *read_all(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return NULL;
    uint8_t *bytes = malloc((size_t)status.st_size);
    ssize_t got = 1;
    for (*size = 0; bytes && got > 0; *size += (size_t)got)
        got = read(fd, bytes + *size, (size_t)status.st_size - *size);
    close(fd);
    return got == 0 ? bytes : NULL;
}

int main(int argc, char **argv)
{
    size_t size;
    uint8_t *bytes = argc == 2 ? read_all(argv[1], &size) : NULL, digest[SHA256_SIZE], sum = 0;
    if (!bytes) {
        fprintf(stderr, "bench_hashes: say of which file, one that can be read\n");
        return 2;
    }
    struct hasher *hasher = hasher_sha256();
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t at = 0; at < size; at += CHUNK) {
        size_t len = size - at < CHUNK ? size - at : CHUNK;
        sum ^= chunk_hash_of(bytes + at, len).bytes[0]; /* used, so that no compiler leaves the work out */
        hasher_add(hasher, bytes + at, len);
    }
    hasher_end(hasher, digest);
    printf("%f %f %02x\n", seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, sum ^ digest[0]);
    hasher_free(hasher);
    free(bytes);
    return 0;
}
