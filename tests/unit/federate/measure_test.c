/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is seen of an update as it comes is what its file says, to the bit, wherever the line has cut it. */
#include "../base/check.h"
#include "base/buf.h"
#include "base/file.h"
#include "federate/measure.h"
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WIDTH 100003 /* some pieces, and a rest */
#define HEAD 24

static float dice(unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(*state >> 8) / (1 << 24) - 0.5F;
}

static int file_of(unsigned seed, struct buf *bytes)
{
    struct error err;
    int fd = memfd_create("model", MFD_CLOEXEC);
    buf_add(bytes, "head of 24 bytes, padded", HEAD);
    for (int i = 0; i < WIDTH; i++) {
        float number = dice(&seed);
        buf_add(bytes, &number, sizeof number);
    }
    assert_int_equal(pwrite_full(fd, bytes->data, bytes->len, 0, &err), OK);
    return fd;
}

/* In pieces of so many bytes at most, of which each begins at another place of memory. */
static bool see(int model, struct str head, struct str all, size_t most, unsigned seed, struct sighting *out)
{
    struct error err;
    auto_sight struct sight *sight = sight_begin(model, head, HEAD + WIDTH * (int64_t)sizeof(float));
    char *room = malloc(most + 64);
    while (all.len > 0) {
        size_t len = most > 1 ? 1 + (size_t)((dice(&seed) + 0.5F) * (float)(most - 1)) : 1;
        struct str piece = str_slice(all, 0, len);
        char *at = room + (size_t)((dice(&seed) + 0.5F) * 63);
        memcpy(at, piece.data, piece.len);
        assert_int_equal(sight_add(sight, at, piece.len, &err), OK);
        all = str_from(all, piece.len);
    }
    free(room);
    return sight_end(sight, out);
}

static void as_it_comes_it_is_what_the_file_has(void **state)
{
    (void)state;
    auto_buf struct buf base = {0}, update = {0};
    auto_fd int model = file_of(1, &base), fd = file_of(2, &update);
    struct error err;
    uint8_t digest[BLAKE3_SIZE];
    double norm = 0;
    blake3(buf_view(&update), digest);
    assert_int_equal(measure(fd, HEAD, model, HEAD, WIDTH, &norm, &err), OK);
    assert_true(norm > 1);
    static const size_t most[] = {1, 7, 4096, 65535, 65536, 65537, 200000, 1 << 20};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        struct sighting seen;
        assert_true(see(model, str_slice(buf_view(&base), 0, HEAD), buf_view(&update), most[i], (unsigned)i, &seen));
        assert_memory_equal(&seen.norm, &norm, sizeof norm);
        assert_memory_equal(seen.digest, digest, sizeof digest);
        assert_int_equal(seen.data_at, HEAD);
    }
}

static void what_is_no_update_of_the_model_is_not_taken_for_one(void **state)
{
    (void)state;
    auto_buf struct buf base = {0}, update = {0};
    auto_fd int model = file_of(1, &base), fd = file_of(2, &update);
    struct str head = str_slice(buf_view(&base), 0, HEAD), all = buf_view(&update);
    struct sighting seen;
    static const size_t most[] = {1, 4096, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        assert_false(see(model, head, STR(""), most[i], 1, &seen));
        assert_false(see(model, head, str_slice(all, 0, 10), most[i], 1, &seen));
        assert_false(see(model, head, str_slice(all, 0, HEAD), most[i], 1, &seen));
        assert_false(see(model, head, str_slice(all, 0, all.len - 1), most[i], 1, &seen));
        update.data[3] ^= 1;
        assert_false(see(model, head, all, most[i], 1, &seen));
        update.data[3] ^= 1;
        assert_true(see(model, head, all, most[i], 1, &seen));
    }
    buf_byte(&update, 0);
    for (size_t i = 0; i < 3; i++)
        assert_false(see(model, head, buf_view(&update), most[i], 1, &seen));
}

static void numbers_that_are_none_are_seen(void **state)
{
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        auto_buf struct buf base = {0}, update = {0};
        auto_fd int model = file_of(1, &base), fd = file_of(2, &update);
        struct sighting seen;
        memcpy(update.data + HEAD + 70001 * sizeof(float), &odd[i], sizeof odd[i]);
        assert_true(see(model, str_slice(buf_view(&base), 0, HEAD), buf_view(&update), 5000, 1, &seen));
        assert_false(isfinite(seen.norm));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_comes_it_is_what_the_file_has),
        cmocka_unit_test(what_is_no_update_of_the_model_is_not_taken_for_one),
        cmocka_unit_test(numbers_that_are_none_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
