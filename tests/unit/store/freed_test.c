/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes of xorbs that went from a container that stays: readers never meet the hole. */
#include "box_fixture.h"
#include "cas/xorb.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>

#undef fail /* is the function of base/error.h here */

#define HOUR_US (3600 * SECOND_US)
#define XORB_BYTES (BOX_CHUNKS * BOX_CHUNK)

static struct store_freed sweep_in(struct house *house, int64_t time_us, bool dry_run)
{
    struct store_freed freed;
    assert_int_equal(store_sweep(house->store, now_us() + time_us, dry_run, &freed, &house->err), OK);
    assert_false(freed.busy);
    return freed;
}

/* Takes the rows of spare xorbs away. */
static void sweep_rows(struct house *house)
{
    sweep_in(house, 2 * HOUR_US, false);
}

/* Gives their bytes back; tells how many. */
static int64_t sweep_bytes(struct house *house)
{
    return sweep_in(house, 4 * HOUR_US, false).bytes;
}

static int64_t ranges_left(struct house *house)
{
    return count_rows(house, "SELECT count(*) FROM freed_range");
}

/* A container in which only the first xorb stays, as long as Bob has his file. */
static struct box box_with_bob(struct house *house, uint64_t seed, enum scheme scheme)
{
    struct box box = box_of(house, seed, 3, scheme, 1);
    assert_int_equal(give(house, BOB, &box, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    return box;
}

static struct store_view *view_of(struct house *house, int64_t object_id, int64_t size)
{
    auto_conn struct db_conn *conn = NULL;
    struct store_view *view;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_view_open(house->store, conn, object_id, 0, size, &view, &house->err), OK);
    return view;
}

static struct store_view *view_of_alice(struct house *house, const struct content *content)
{
    struct object object;
    assert_int_equal(lookup(house, ALICE, content, &object), OK);
    return view_of(house, object.id, object.size);
}

static void assert_reads_on(struct house *house, struct store_view *view, const char *bytes, size_t len)
{
    char *back = malloc(len);
    assert_int_equal(read_view(view, back, (int64_t)len, &house->err), OK);
    assert_memory_equal(back, bytes, len);
    free(back);
}

static void what_a_view_reads_stays_until_it_is_closed(void **state)
{
    struct house *house = *state;
    static const enum scheme schemes[] = {SCHEME_NONE, SCHEME_LZ4};
    for (size_t i = 0; i < 2; i++) {
        auto_content struct content file = {0};
        auto_box struct box box = box_with_bob(house, i + 1, schemes[i]);
        assert_int_equal(give(house, ALICE, &box, (struct slice){1, 0, 4}, NONE, &file, &house->err), OK);
        assert_int_equal(give(house, BOB, &box, (struct slice){2, 0, 4}, NONE, NULL, &house->err), OK);
        int64_t blocks = box_blocks(&box);
        struct store_view *view = view_of_alice(house, &file);
        release(house, ALICE);
        sweep_rows(house);
        assert_not_held(house, ALICE, &file);
        assert_int_equal(sweep_bytes(house), 0);
        assert_int_equal(box_blocks(&box), blocks);
        assert_int_equal(ranges_left(house), 1);
        assert_reads_on(house, view, file.data, file.len);
        store_view_close(view);
        assert_int_equal(sweep_bytes(house), box.new[1].stored);
        assert_true(box_blocks(&box) < blocks);
        assert_int_equal(ranges_left(house), 0);
        assert_int_equal(findings(house), 0);
    }
}

static void bytes_wait_an_hour_after_their_rows(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    sweep_in(house, 2 * HOUR_US, false);
    assert_int_equal(sweep_in(house, 3 * HOUR_US - 60 * SECOND_US, false).bytes, 0);
    assert_int_equal(ranges_left(house), 2);
    assert_int_equal(sweep_in(house, 3 * HOUR_US + 60 * SECOND_US, false).bytes, 2 * XORB_BYTES);
    assert_int_equal(ranges_left(house), 0);
}

static void a_reader_of_the_rest_of_a_container_does_not_keep_freed_bytes(void **state)
{
    struct house *house = *state;
    auto_content struct content file = {0};
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    assert_int_equal(give(house, ALICE, &box, (struct slice){1, 1, 3}, NONE, &file, &house->err), OK);
    sweep_rows(house);
    struct store_view *view = view_of_alice(house, &file);
    assert_int_equal(sweep_bytes(house), XORB_BYTES);
    assert_reads_on(house, view, file.data, file.len);
    store_view_close(view);
    assert_int_equal(findings(house), 0);
}

/* Of a file in two pieces: lets its rows go and perhaps its bytes, and tells how reading the second one
 * ends. */
static enum status read_second_piece(struct house *house, struct store_view *view, bool released, const char *second)
{
    struct store_piece piece;
    bool found;
    char back[BOX_CHUNK];
    if (released)
        release(house, ALICE);
    sweep_rows(house);
    sweep_bytes(house);
    assert_int_equal(store_view_next(view, &piece, &found, &house->err), OK);
    enum status status = store_view_next(view, &piece, &found, &house->err);
    if (status == OK) {
        assert_int_equal(pread(piece.fd, back, BOX_CHUNK, piece.offset), BOX_CHUNK);
        assert_memory_equal(back, second, BOX_CHUNK);
    } else {
        assert_int_equal(store_view_next(view, &piece, &found, &house->err), status); /* and stays so */
    }
    store_view_close(view);
    return status;
}

static void a_later_place_in_a_container_is_not_found_once_it_was_swept(void **state)
{
    struct house *house = *state;
    for (int released = 0; released < 2; released++) {
        auto_content struct content file = {0};
        auto_box struct box box = box_with_bob(house, 1 + (uint64_t)released, SCHEME_NONE);
        assert_int_equal(give(house, ALICE, &box, (struct slice){2, 0, 4}, (struct slice){1, 0, 4}, &file, &house->err),
                         OK);
        struct store_view *view = view_of_alice(house, &file);
        assert_int_equal(read_second_piece(house, view, released, box_chunk(&box, 1, 0)), released ? NOT_FOUND : OK);
    }
}

struct mixture {
    const struct xorb *xorbs[2];
    int64_t object_id;
};

static enum status write_mixture(struct db_conn *tx, void *context, struct error *err)
{
    struct mixture *mixture = context;
    uint8_t sha256[SHA256_SIZE];
    bool made;
    random_bytes(sha256, sizeof(sha256));
    TRY(object_insert(tx, sha256, 2 * XORB_BYTES, NULL, &mixture->object_id, &made, err));
    for (int i = 0; i < 2; i++) {
        struct extent extent = {
            .xorb = *mixture->xorbs[i], .at = i * XORB_BYTES, .length = XORB_BYTES, .end = BOX_CHUNKS};
        extent.stored = XORB_BYTES;
        TRY(extent_insert(tx, mixture->object_id, &extent, err));
    }
    return store_hold(tx, ALICE, mixture->object_id, err);
}

static void a_container_opened_later_is_not_found_once_its_xorb_was_swept(void **state)
{
    struct house *house = *state;
    for (int released = 0; released < 2; released++) {
        auto_box struct box first = box_with_bob(house, 1 + 2 * (uint64_t)released, SCHEME_NONE);
        auto_box struct box second = box_with_bob(house, 2 + 2 * (uint64_t)released, SCHEME_NONE);
        struct mixture mixture = {.xorbs = {&first.xorbs[1], &second.xorbs[1]}};
        assert_int_equal(db_write(house->db, write_mixture, &mixture, &house->err), OK);
        struct store_view *view = view_of(house, mixture.object_id, 2 * XORB_BYTES);
        assert_int_equal(read_second_piece(house, view, released, box_chunk(&second, 1, 0)), released ? NOT_FOUND : OK);
    }
}

/* Views of xorbs. */

/* The bytes of all chunks, without the headers of the wire form. */
static enum status read_xorb(struct house *house, const struct xorb *xorb, char *out, struct error *err)
{
    struct store_range whole = {0, store_xorb_wire_length(xorb)};
    struct store_view *view;
    struct store_piece piece;
    bool found;
    TRY(store_xorb_view_open(house->store, xorb, &whole, 1, &view, err));
    enum status status;
    while ((status = store_view_next(view, &piece, &found, err)) == OK && found) {
        if (piece.fd < 0)
            continue;
        assert_int_equal(pread(piece.fd, out, (size_t)piece.length, piece.offset), piece.length);
        out += piece.length;
    }
    store_view_close(view);
    return status;
}

static void a_swept_xorb_is_not_found_by_who_saw_its_row_long_ago(void **state)
{
    struct house *house = *state;
    char bytes[XORB_BYTES];
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    assert_int_equal(read_xorb(house, &box.xorbs[1], bytes, &house->err), OK);
    assert_memory_equal(bytes, box_chunk(&box, 1, 0), sizeof(bytes));
    sweep_rows(house);
    assert_int_equal(read_xorb(house, &box.xorbs[1], bytes, &house->err), NOT_FOUND);
    sweep_bytes(house);
    assert_int_equal(read_xorb(house, &box.xorbs[1], bytes, &house->err), NOT_FOUND);
    assert_int_equal(read_xorb(house, &box.xorbs[0], bytes, &house->err), OK);
    assert_memory_equal(bytes, box_chunk(&box, 0, 0), sizeof(bytes));
}

static void a_swept_xorb_does_not_lead_into_a_container_with_the_same_number(void **state)
{
    struct house *house = *state;
    char bytes[XORB_BYTES];
    auto_box struct box gone = box_of(house, 1, 1, SCHEME_NONE, 1);
    sweep_rows(house);
    auto_box struct box other = box_of(house, 2, 1, SCHEME_NONE, 1);
    assert_int_equal(gone.container, other.container);
    assert_int_equal(read_xorb(house, &gone.xorbs[0], bytes, &house->err), NOT_FOUND);
    assert_int_equal(read_xorb(house, &other.xorbs[0], bytes, &house->err), OK);
}

static void a_view_of_a_xorb_keeps_its_bytes(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    struct store_range last = {3 * (XORB_CHUNK_HEADER + BOX_CHUNK), XORB_CHUNK_HEADER + BOX_CHUNK};
    struct store_view *view;
    struct store_piece piece;
    char bytes[BOX_CHUNK];
    bool found;
    assert_int_equal(store_xorb_view_open(house->store, &box.xorbs[1], &last, 1, &view, &house->err), OK);
    sweep_rows(house);
    assert_int_equal(sweep_bytes(house), XORB_BYTES); /* of the other one */
    assert_int_equal(store_view_next(view, &piece, &found, &house->err), OK);
    assert_int_equal(store_view_next(view, &piece, &found, &house->err), OK);
    assert_int_equal(pread(piece.fd, bytes, BOX_CHUNK, piece.offset), BOX_CHUNK);
    assert_memory_equal(bytes, box_chunk(&box, 1, 3), BOX_CHUNK);
    store_view_close(view);
    assert_int_equal(sweep_bytes(house), XORB_BYTES);
}

struct reading {
    struct house house; /* with an error of its own */
    const struct box *box;
    int right, gone, other;
};

static void *read_thread(void *context)
{
    struct reading *reading = context;
    char *bytes = malloc(XORB_BYTES);
    for (size_t i = 0; i < 120; i++) {
        size_t xorb = i % BOX_XORBS;
        enum status status = read_xorb(&reading->house, &reading->box->xorbs[xorb], bytes, &reading->house.err);
        if (status == OK && memcmp(bytes, box_chunk(reading->box, xorb, 0), XORB_BYTES) == 0)
            reading->right++;
        else if (status == NOT_FOUND)
            reading->gone++;
        else
            reading->other++;
    }
    free(bytes);
    return NULL;
}

static void readers_beside_sweeps_get_right_bytes_or_none(void **state)
{
    struct house *house = *state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        auto_box struct box box = box_with_bob(house, seed, SCHEME_NONE);
        struct reading readings[2];
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            readings[i] = (struct reading){.house = *house, .box = &box};
            assert_int_equal(pthread_create(&threads[i], NULL, read_thread, &readings[i]), 0);
        }
        for (uint64_t i = 0; i < seed; i++)
            sched_yield();
        sweep_rows(house);
        while (ranges_left(house) > 0)
            sweep_bytes(house);
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(readings[i].other, 0);
            assert_int_equal(readings[i].right + readings[i].gone, 120);
            assert_true(readings[i].right >= 40); /* the xorb that stays */
        }
    }
}

/* Sweeps. */

static void a_restart_between_rows_and_bytes_loses_nothing(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    int64_t blocks = box_blocks(&box);
    sweep_rows(house);
    house_restart(house);
    assert_int_equal(sweep_bytes(house), 2 * XORB_BYTES);
    assert_true(box_blocks(&box) <= blocks - 2 * XORB_BYTES);
    assert_int_equal(findings(house), 0);
}

static void bytes_that_a_crash_left_punched_out_with_their_row_are_punched_out_again(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    sweep_rows(house);
    auto_fd int fd = open(box.path, O_RDWR);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, box.new[1].start, box.new[1].stored), 0);
    sweep_bytes(house);
    assert_int_equal(ranges_left(house), 0);
    assert_int_equal(findings(house), 0);
}

static void freed_ranges_go_with_their_container(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    sweep_rows(house);
    assert_int_equal(ranges_left(house), 2);
    release(house, BOB);
    sweep_rows(house);
    assert_int_equal(ranges_left(house), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 0);
    assert_int_equal(files_in(house, "containers"), 0);
}

static void freed_ranges_of_a_lost_container_do_not_stop_a_sweep(void **state)
{
    struct house *house = *state;
    auto_box struct box lost = box_with_bob(house, 1, SCHEME_NONE), other = box_with_bob(house, 2, SCHEME_NONE);
    sweep_rows(house);
    assert_int_equal(unlink(lost.path), 0);
    assert_int_equal(sweep_bytes(house), 2 * XORB_BYTES);
    assert_int_equal(ranges_left(house), 2);
}

static void an_empty_xorb_leaves_no_range(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    run_sql(house, "UPDATE xorb SET stored = 0 WHERE id > 1");
    sweep_rows(house);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 1);
    assert_int_equal(ranges_left(house), 0);
}

static void assert_told_right(struct house *house, int64_t time_us, struct store_freed expected)
{
    struct store_freed told = sweep_in(house, time_us, true), done = sweep_in(house, time_us, false);
    assert_true(told.objects == done.objects && told.xorbs == done.xorbs);
    assert_true(told.files == done.files && told.bytes == done.bytes);
    assert_true(done.xorbs == expected.xorbs && done.files == expected.files && done.bytes == expected.bytes);
}

static void a_dry_run_counts_bytes_when_they_go(void **state)
{
    struct house *house = *state;
    char copy[512];
    struct store_freed none = {0};
    auto_content struct content file = {0};
    auto_box struct box read = box_with_bob(house, 1, SCHEME_NONE), shared = box_with_bob(house, 2, SCHEME_NONE);
    auto_box struct box whole = box_of(house, 3, 3, SCHEME_NONE, 1);
    assert_int_equal(give(house, ALICE, &read, (struct slice){1, 0, 4}, NONE, &file, &house->err), OK);
    struct store_view *view = view_of_alice(house, &file);
    release(house, ALICE);
    assert_int_equal(give(house, ALICE, &whole, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    snprintf(copy, sizeof(copy), "%s/copy", house->dir);
    assert_int_equal(link(shared.path, copy), 0);

    assert_told_right(house, 2 * HOUR_US, (struct store_freed){.xorbs = 6});
    release(house, ALICE);
    int64_t blocks = box_blocks(&whole);
    /* whole goes as a file, which its ranges do not add to; of read the other xorb goes; of shared nothing */
    assert_told_right(house, 4 * HOUR_US, (struct store_freed){.xorbs = 1, .files = 1, .bytes = blocks + XORB_BYTES});
    assert_told_right(house, 4 * HOUR_US, none);
    store_view_close(view);
    assert_int_equal(unlink(copy), 0);
    assert_told_right(house, 4 * HOUR_US, (struct store_freed){.bytes = 3 * XORB_BYTES});
    assert_told_right(house, 6 * HOUR_US, none);
}

/* Backups. */

static void a_sweep_does_nothing_while_a_backup_holds_it(void **state)
{
    struct house *house = *state;
    auto_fd int hold = -1, another = -1;
    struct store_freed freed;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    assert_int_equal(store_hold_sweep(house->store, &hold, &house->err), OK);
    assert_int_equal(store_hold_sweep(house->store, &another, &house->err), OK);
    for (int *held = &hold; held; held = held == &hold ? &another : NULL) {
        assert_int_equal(store_sweep(house->store, now_us() + 2 * HOUR_US, false, &freed, &house->err), OK);
        assert_true(freed.busy && freed.xorbs == 0);
        assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb"), 3);
        assert_int_equal(sweep_in(house, 2 * HOUR_US, true).xorbs, 2);
        fd_close(held);
    }
    assert_int_equal(sweep_in(house, 2 * HOUR_US, false).xorbs, 2);
}

static int sweep_lock_of(struct house *house)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/sweep.lock", house->root);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

static void a_sweep_does_nothing_while_another_one_runs(void **state)
{
    struct house *house = *state;
    struct store_freed freed;
    auto_box struct box box = box_with_bob(house, 1, SCHEME_NONE);
    int other = sweep_lock_of(house);
    assert_int_equal(store_sweep(house->store, now_us() + 2 * HOUR_US, false, &freed, &house->err), OK);
    assert_true(freed.busy && freed.xorbs == 0);
    close(other);
    assert_int_equal(sweep_in(house, 2 * HOUR_US, false).xorbs, 2);
}

struct holding {
    struct house house;
    atomic_bool sweep_ended, held_too_early;
};

static void *hold_thread(void *context)
{
    struct holding *holding = context;
    auto_fd int hold = -1;
    enum status status = store_hold_sweep(holding->house.store, &hold, &holding->house.err);
    holding->held_too_early = status != OK || !holding->sweep_ended;
    return NULL;
}

static void a_backup_waits_for_a_sweep_to_end(void **state)
{
    struct holding holding = {.house = *(struct house *)*state};
    pthread_t thread;
    int sweep = sweep_lock_of(&holding.house);
    assert_int_equal(pthread_create(&thread, NULL, hold_thread, &holding), 0);
    usleep(20000); /* only makes it likelier that a wrong program is caught */
    holding.sweep_ended = true;
    close(sweep);
    pthread_join(thread, NULL);
    assert_false(holding.held_too_early);
}

struct sweeping {
    struct house house;
    atomic_bool stop, failed;
    pthread_mutex_t coming; /* to a clock that runs ahead by days, what is just coming in looks left behind */
};

static void *sweep_thread(void *context)
{
    struct sweeping *sweeping = context;
    struct house *house = &sweeping->house;
    struct store_freed freed;
    for (int64_t hours = 2; !sweeping->stop; hours += 2) {
        pthread_mutex_lock(&sweeping->coming);
        if (store_sweep(house->store, now_us() + hours * HOUR_US, false, &freed, &house->err) != OK)
            sweeping->failed = true;
        pthread_mutex_unlock(&sweeping->coming);
        sched_yield();
    }
    return NULL;
}

/* As src/care.c does it. */
static enum status back_up(struct house *house, const char *folder, bool hold_sweep)
{
    auto_fd int hold = -1;
    auto_conn struct db_conn *snapshot = NULL;
    char path[512];
    struct db *copied;
    if (hold_sweep)
        TRY(store_hold_sweep(house->store, &hold, &house->err));
    snprintf(path, sizeof(path), "%s.db", folder);
    TRY(db_backup(house->db, path, &house->err));
    TRY(db_open(path, &copied, &house->err));
    release(house, ALICE);
    if (!hold_sweep) {
        sweep_rows(house);
        sweep_bytes(house);
    }
    enum status status = db_reader(copied, &snapshot, &house->err);
    if (status == OK)
        status = store_backup(house->store, snapshot, folder, &house->err);
    db_release(&snapshot);
    db_close(copied);
    return status;
}

static void a_backup_of_a_busy_hub_is_complete(void **state)
{
    struct house *house = *state;
    struct sweeping sweeping = {.house = *house, .coming = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    char folder[256];
    assert_int_equal(pthread_create(&thread, NULL, sweep_thread, &sweeping), 0);
    for (uint64_t i = 1; i <= 6; i++) {
        auto_content struct content file = content_of(i, 100000);
        pthread_mutex_lock(&sweeping.coming);
        assert_int_equal(put(house, ALICE, &file), OK);
        pthread_mutex_unlock(&sweeping.coming);
        snprintf(folder, sizeof(folder), "%s/backup%d", house->dir, (int)i);
        assert_int_equal(back_up(house, folder, true), OK);
    }
    sweeping.stop = true;
    pthread_join(thread, NULL);
    assert_false(sweeping.failed);

    auto_content struct content file = content_of(7, 100000);
    assert_int_equal(put(house, ALICE, &file), OK);
    snprintf(folder, sizeof(folder), "%s/unheld", house->dir);
    assert_int_equal(back_up(house, folder, false), STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(what_a_view_reads_stays_until_it_is_closed),
        in_a_house(bytes_wait_an_hour_after_their_rows),
        in_a_house(a_reader_of_the_rest_of_a_container_does_not_keep_freed_bytes),
        in_a_house(a_later_place_in_a_container_is_not_found_once_it_was_swept),
        in_a_house(a_container_opened_later_is_not_found_once_its_xorb_was_swept),
        in_a_house(a_swept_xorb_is_not_found_by_who_saw_its_row_long_ago),
        in_a_house(a_swept_xorb_does_not_lead_into_a_container_with_the_same_number),
        in_a_house(a_view_of_a_xorb_keeps_its_bytes),
        in_a_house(readers_beside_sweeps_get_right_bytes_or_none),
        in_a_house(a_restart_between_rows_and_bytes_loses_nothing),
        in_a_house(bytes_that_a_crash_left_punched_out_with_their_row_are_punched_out_again),
        in_a_house(freed_ranges_go_with_their_container),
        in_a_house(freed_ranges_of_a_lost_container_do_not_stop_a_sweep),
        in_a_house(an_empty_xorb_leaves_no_range),
        in_a_house(a_dry_run_counts_bytes_when_they_go),
        in_a_house(a_sweep_does_nothing_while_a_backup_holds_it),
        in_a_house(a_sweep_does_nothing_while_another_one_runs),
        in_a_house(a_backup_waits_for_a_sweep_to_end),
        in_a_house(a_backup_of_a_busy_hub_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
