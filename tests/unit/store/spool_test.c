/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files written in blocks: whichever way a block takes to the disk, the file is the bytes that were added, and so is the hash. */
#include "store/internal.h"
#include "store_fixture.h"
#include <fcntl.h>

#define MOST (7 * SPOOL_BLOCK)

static void fill(char *bytes, size_t len)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bytes[i] = (char)x;
    }
}

struct written {
    char *bytes;
    int fd;
    struct spool spool;
    struct hasher *hasher;
    struct error err;
};

static int setup(void **state)
{
    struct written *written = calloc(1, sizeof *written);
    char name[] = "spool-XXXXXX";
    written->bytes = malloc(MOST);
    fill(written->bytes, MOST);
    written->fd = mkstemp(name);
    unlink(name);
    spool_open(&written->spool, written->fd);
    written->hasher = hasher_sha256();
    *state = written;
    return written->fd < 0;
}

static int teardown(void **state)
{
    struct written *written = *state;
    spool_close(&written->spool);
    hasher_free(written->hasher);
    close(written->fd);
    free(written->bytes);
    free(written);
    return 0;
}

static void add(struct written *written, size_t from, size_t to, size_t step)
{
    for (size_t at = from; at < to; at += step)
        assert_int_equal(
            spool_add(&written->spool, written->bytes + at, to - at < step ? to - at : step, &written->err), OK);
}

static void assert_hash(struct written *written, size_t len)
{
    uint8_t expected[SHA256_SIZE], digest[SHA256_SIZE];
    sha256((struct str){written->bytes, len}, expected);
    hasher_end(written->hasher, digest);
    assert_memory_equal(digest, expected, SHA256_SIZE);
}

static void assert_file(struct written *written, size_t len)
{
    int64_t size;
    assert_int_equal(spool_end(&written->spool, &size, &written->err), OK);
    assert_int_equal(size, len);
    assert_int_equal(lseek(written->fd, 0, SEEK_END), len);
    char *read = malloc(len);
    assert_int_equal(pread_full(written->fd, read, len, 0, &written->err), OK);
    assert_memory_equal(read, written->bytes, len);
    free(read);
}

static void what_is_added_is_the_file(void **state)
{
    struct written *written = *state;
    add(written, 0, 3 * SPOOL_BLOCK + 5, 77777);
    assert_file(written, 3 * SPOOL_BLOCK + 5);
}

static void it_may_be_hashed_from_its_first_byte_on(void **state)
{
    struct written *written = *state;
    assert_int_equal(spool_hash(&written->spool, written->hasher, &written->err), OK);
    add(written, 0, MOST, 99991);
    spool_hash_end(&written->spool);
    assert_hash(written, MOST);
    assert_file(written, MOST);
}

static void it_may_be_hashed_from_anywhere_to_anywhere(void **state)
{
    struct written *written = *state;
    size_t from = 2 * SPOOL_BLOCK + 1234, to = 6 * SPOOL_BLOCK - 321;
    add(written, 0, from, 130000);
    assert_int_equal(spool_hash(&written->spool, written->hasher, &written->err), OK);
    add(written, from, to, 130001);
    spool_hash_end(&written->spool);
    spool_hash_end(&written->spool);
    assert_hash(written, to);
    add(written, to, MOST - 1, SPOOL_BLOCK + 1);
    assert_file(written, MOST - 1);
}

static void one_of_no_block_is_a_file_too(void **state)
{
    struct written *written = *state;
    assert_int_equal(spool_hash(&written->spool, written->hasher, &written->err), OK);
    add(written, 0, 3, 2);
    spool_hash_end(&written->spool);
    assert_hash(written, 3);
    assert_file(written, 3);
}

static void a_file_that_takes_nothing_is_an_error_soon(void **state)
{
    struct written *written = *state;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", written->fd);
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    written->spool.fd = fd;
    assert_int_equal(spool_hash(&written->spool, written->hasher, &written->err), OK);
    enum status status = OK;
    for (size_t at = 0; at < MOST && status == OK; at += SPOOL_BLOCK)
        status = spool_add(&written->spool, written->bytes + at, SPOOL_BLOCK, &written->err);
    assert_int_not_equal(status, OK);
    spool_close(&written->spool);
    spool_open(&written->spool, written->fd);
    close(fd);
}

static void a_file_given_up_leaves_nothing_behind(void **state)
{
    struct written *written = *state;
    assert_int_equal(spool_hash(&written->spool, written->hasher, &written->err), OK);
    add(written, 0, 5 * SPOOL_BLOCK, SPOOL_BLOCK); /* teardown closes it while blocks are on their way */
}

#define written_by(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        written_by(what_is_added_is_the_file),
        written_by(it_may_be_hashed_from_its_first_byte_on),
        written_by(it_may_be_hashed_from_anywhere_to_anywhere),
        written_by(one_of_no_block_is_a_file_too),
        written_by(a_file_that_takes_nothing_is_an_error_soon),
        written_by(a_file_given_up_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
