/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sweep does with xorbs. */
#include "box_fixture.h"
#include <fcntl.h>

#define HOUR_US (3600 * SECOND_US)

static struct store_freed sweep_in(struct house *house, int64_t time_us)
{
    struct store_freed freed;
    assert_int_equal(store_sweep(house->store, now_us() + time_us, false, &freed, &house->err), OK);
    return freed;
}

static int64_t xorbs_left(struct house *house)
{
    return count_rows(house, "SELECT count(*) FROM xorb");
}

static void a_xorb_that_nothing_uses_goes_22_days_after_its_last_mention(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 1, SCHEME_NONE, now_us());
    int64_t blocks = box_blocks(&box);
    assert_int_equal(sweep_in(house, 22 * DAY_US - HOUR_US).xorbs, 0);
    assert_int_equal(xorbs_left(house), 1);
    assert_int_equal(findings(house), 0);
    struct store_freed freed = sweep_in(house, 22 * DAY_US + HOUR_US);
    assert_int_equal(freed.xorbs, 1);
    assert_int_equal(freed.files, 1);
    assert_int_equal(freed.bytes, blocks);
    assert_int_equal(xorbs_left(house), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 0);
    assert_int_equal(files_in(house, "containers"), 0);
}

static void a_xorb_that_no_client_was_told_of_goes_after_an_hour(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 2, SCHEME_NONE, 0);
    sweep_in(house, HOUR_US - 60 * SECOND_US);
    assert_int_equal(xorbs_left(house), 2);
    sweep_in(house, HOUR_US + 60 * SECOND_US);
    assert_int_equal(xorbs_left(house), 0);
    assert_int_equal(files_in(house, "containers"), 0);
}

static void a_xorb_that_a_file_uses_stays_until_no_repo_holds_the_file(void **state)
{
    struct house *house = *state;
    auto_content struct content file = {0};
    auto_box struct box box = box_of(house, 1, 1, SCHEME_LZ4, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 1, 3}, NONE, &file, &house->err), OK);
    assert_int_equal(give(house, BOB, &box, (struct slice){0, 1, 3}, NONE, NULL, &house->err), OK);
    release(house, ALICE);
    struct store_freed freed = sweep_in(house, 30 * DAY_US);
    assert_true(freed.objects == 0 && freed.xorbs == 0 && freed.files == 0 && freed.bytes == 0);
    assert_stored(house, BOB, &file);
    release(house, BOB);
    freed = sweep_in(house, 30 * DAY_US);
    assert_true(freed.objects == 1 && freed.xorbs == 1 && freed.files == 1 && freed.bytes > 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 0);
    assert_int_equal(files_in(house, ""), 0);
}

static void a_xorb_outlives_its_last_file_while_clients_may_name_it(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 1, SCHEME_NONE, now_us());
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    release(house, ALICE);
    assert_int_equal(sweep_in(house, 10 * DAY_US).objects, 1);
    assert_int_equal(xorbs_left(house), 1);
    assert_int_equal(give(house, BOB, &box, (struct slice){0, 0, 4}, NONE, NULL, &house->err), OK);
    sweep_in(house, 30 * DAY_US);
    assert_int_equal(xorbs_left(house), 1);
    assert_int_equal(findings(house), 0);
}

static void what_hangs_on_a_xorb_goes_with_it(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 2, SCHEME_NONE, 1);
    run_sql(house, "INSERT INTO dedup_key SELECT hash, id FROM xorb;"
                   "INSERT INTO dedup_key SELECT X'00', id FROM xorb;"
                   "INSERT INTO xorb_sender SELECT id, 7 FROM xorb; INSERT INTO xorb_sender SELECT id, 8 FROM xorb");
    assert_int_equal(give(house, ALICE, &box, (struct slice){1, 0, 1}, NONE, NULL, &house->err), OK);
    assert_int_equal(sweep_in(house, 2 * HOUR_US).xorbs, 1);
    assert_int_equal(count_rows(house, "SELECT count(DISTINCT xorb_id) FROM dedup_key"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender"), 2);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM xorb_sender WHERE xorb_id IN (SELECT id FROM xorb)"), 2);
}

static void the_bytes_of_a_xorb_go_from_a_container_that_stays(void **state)
{
    struct house *house = *state;
    auto_content struct content first = {0}, last = {0};
    auto_box struct box box = box_of(house, 1, 3, SCHEME_NONE, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 4}, NONE, &first, &house->err), OK);
    assert_int_equal(give(house, ALICE, &box, (struct slice){2, 3, 4}, NONE, &last, &house->err), OK);
    int64_t blocks = box_blocks(&box);
    struct store_freed freed = sweep_in(house, 2 * HOUR_US);
    assert_true(freed.objects == 0 && freed.xorbs == 1 && freed.files == 0 && freed.bytes == 0);
    assert_int_equal(box_blocks(&box), blocks);
    freed = sweep_in(house, 4 * HOUR_US);
    assert_true(freed.objects == 0 && freed.xorbs == 0 && freed.files == 0);
    assert_int_equal(freed.bytes, BOX_CHUNKS * BOX_CHUNK);
    assert_true(box_blocks(&box) <= blocks - BOX_CHUNKS * BOX_CHUNK);
    assert_stored(house, ALICE, &first);
    assert_stored(house, ALICE, &last);
    assert_int_equal(findings(house), 0);
}

static void a_backup_that_shares_a_container_keeps_its_bytes(void **state)
{
    struct house *house = *state;
    char copy[512];
    auto_content struct content file = {0};
    auto_box struct box box = box_of(house, 1, 2, SCHEME_NONE, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){0, 0, 4}, NONE, &file, &house->err), OK);
    snprintf(copy, sizeof(copy), "%s/copy", house->dir);
    assert_int_equal(link(box.path, copy), 0);
    int64_t blocks = box_blocks(&box);
    assert_int_equal(sweep_in(house, 2 * HOUR_US).xorbs, 1);
    assert_int_equal(sweep_in(house, 4 * HOUR_US).bytes, 0);
    assert_int_equal(box_blocks(&box), blocks);
    assert_int_equal(unlink(copy), 0);
    assert_int_equal(sweep_in(house, 4 * HOUR_US).bytes, BOX_CHUNKS * BOX_CHUNK);
    assert_true(box_blocks(&box) < blocks);
    assert_stored(house, ALICE, &file);

    assert_int_equal(link(box.path, copy), 0);
    release(house, ALICE);
    struct store_freed freed = sweep_in(house, 2 * HOUR_US);
    assert_true(freed.objects == 1 && freed.xorbs == 1 && freed.files == 1);
    assert_int_equal(freed.bytes, 0); /* the backup has them still */
    assert_int_equal(files_in(house, "containers"), 0);
    assert_int_equal(access(copy, R_OK), 0);
}

static void a_container_without_its_file_does_not_stop_a_sweep(void **state)
{
    struct house *house = *state;
    auto_box struct box lost = box_of(house, 1, 2, SCHEME_NONE, 1), other = box_of(house, 2, 1, SCHEME_NONE, 1);
    assert_int_equal(unlink(lost.path), 0);
    struct store_freed freed = sweep_in(house, 2 * HOUR_US);
    assert_true(freed.xorbs == 3 && freed.files == 1);
    assert_int_equal(files_in(house, "containers"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 0);
}

static void the_number_of_a_swept_xorb_is_never_given_to_another(void **state)
{
    struct house *house = *state;
    auto_box struct box gone = box_of(house, 1, 1, SCHEME_NONE, 1);
    sweep_in(house, 2 * HOUR_US);
    auto_box struct box other = box_of(house, 2, 1, SCHEME_NONE, 1);
    assert_int_not_equal(gone.xorbs[0].id, other.xorbs[0].id);
}

static void leave_behind(struct house *house, const char *folder, const char *name)
{
    char path[512];
    house_folder_for(house, name);
    snprintf(path, sizeof(path), "%s/%s/%s", house->root, folder, name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, path, sizeof(path)), sizeof(path));
    close(fd);
}

static int64_t all_rows(struct house *house)
{
    return count_rows(house, "SELECT (SELECT count(*) FROM object) + (SELECT count(*) FROM extent)"
                             " + (SELECT count(*) FROM xorb) + (SELECT count(*) FROM container)"
                             " + (SELECT count(*) FROM upload)");
}

static void a_dry_run_counts_what_a_sweep_then_frees_and_changes_nothing(void **state)
{
    struct house *house = *state;
    auto_arena struct arena arena = {0};
    auto_content struct content plain = content_of(9, 100000), begun = content_of(10, 1000);
    auto_box struct box partly = box_of(house, 1, 3, SCHEME_LZ4, 1), whole = box_of(house, 2, 2, SCHEME_NONE, 0);
    auto_box struct box told = box_of(house, 3, 1, SCHEME_NONE, now_us());
    struct store_freed expected, freed;
    struct parts_plan plan;
    assert_int_equal(put(house, ALICE, &plain), OK);
    assert_int_equal(give(house, BOB, &partly, (struct slice){0, 0, 2}, NONE, NULL, &house->err), OK);
    assert_int_equal(give(house, ALICE, &partly, (struct slice){1, 0, 2}, NONE, NULL, &house->err), OK);
    assert_int_equal(give(house, ALICE, &whole, (struct slice){0, 0, 2}, (struct slice){1, 3, 4}, NULL, &house->err),
                     OK);
    assert_int_equal(give(house, ALICE, &told, (struct slice){0, 0, 2}, NONE, NULL, &house->err), OK);
    assert_int_equal(parts_begin(house->store, &arena, BOB, begun.sha256, 1000, &plan, &house->err), OK);
    leave_behind(house, "incoming", "cd0123456789abcdef0123456789abcd");
    leave_behind(house, "containers/ab", "ab0123456789abcdef0123456789abcd");
    release(house, ALICE);

    int64_t rows = all_rows(house), when = now_us() + 2 * DAY_US;
    int files = files_in(house, ""), blocks = (int)box_blocks(&partly);
    assert_int_equal(store_sweep(house->store, when, true, &expected, &house->err), OK);
    assert_int_equal(all_rows(house), rows);
    assert_int_equal(files_in(house, ""), files);
    assert_int_equal(box_blocks(&partly), blocks);
    assert_int_equal(store_sweep(house->store, when, false, &freed, &house->err), OK);
    assert_true(freed.objects == expected.objects && freed.xorbs == expected.xorbs);
    assert_true(freed.files == expected.files && freed.bytes == expected.bytes);
    assert_int_equal(freed.objects, 4);
    assert_int_equal(freed.xorbs, 5); /* two of partly, two of whole, one of plain */
    assert_int_equal(freed.files, 5); /* whole, plain, the upload, two leftovers */
    assert_int_equal(files_in(house, ""), files - 5);
    assert_int_equal(findings(house), 0);
    assert_int_equal(store_sweep(house->store, when, true, &expected, &house->err), OK);
    assert_true(expected.objects + expected.xorbs + expected.files + expected.bytes == 0);
}

struct registration {
    struct house house; /* with an error of its own */
    struct box box;
    int kept, refused, other;
};

/* Registers files of a xorb that a sweep may take at any time, as a client with an old mention would. */
static void *register_thread(void *context)
{
    struct registration *registration = context;
    struct house *house = &registration->house;
    for (uint32_t i = 0; i < BOX_XORBS * BOX_CHUNKS; i++) {
        struct slice slice = {i / BOX_CHUNKS, i % BOX_CHUNKS, i % BOX_CHUNKS + 1};
        enum status status = give(house, BOB, &registration->box, slice, NONE, NULL, &house->err);
        if (status == OK)
            registration->kept++;
        else if (status == UNPROCESSABLE || status == NOT_FOUND || status == CORRUPT || status == INVALID)
            registration->refused++;
        else
            registration->other++;
    }
    return NULL;
}

static void a_file_that_is_being_registered_has_its_xorbs_or_is_refused(void **state)
{
    struct house *house = *state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct registration registration = {.house = *house, .box = box_of(house, seed, 3, SCHEME_NONE, 1)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, register_thread, &registration), 0);
        for (uint64_t i = 0; i <= seed % 4; i++)
            sweep_in(house, 2 * HOUR_US);
        pthread_join(thread, NULL);
        assert_int_equal(registration.other, 0);
        assert_int_equal(registration.kept + registration.refused, BOX_XORBS * BOX_CHUNKS);
        assert_int_equal(findings(house), 0);
        box_free(&registration.box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_xorb_that_nothing_uses_goes_22_days_after_its_last_mention),
        in_a_house(a_xorb_that_no_client_was_told_of_goes_after_an_hour),
        in_a_house(a_xorb_that_a_file_uses_stays_until_no_repo_holds_the_file),
        in_a_house(a_xorb_outlives_its_last_file_while_clients_may_name_it),
        in_a_house(what_hangs_on_a_xorb_goes_with_it),
        in_a_house(the_bytes_of_a_xorb_go_from_a_container_that_stays),
        in_a_house(a_backup_that_shares_a_container_keeps_its_bytes),
        in_a_house(a_container_without_its_file_does_not_stop_a_sweep),
        in_a_house(the_number_of_a_swept_xorb_is_never_given_to_another),
        in_a_house(a_dry_run_counts_what_a_sweep_then_frees_and_changes_nothing),
        in_a_house(a_file_that_is_being_registered_has_its_xorbs_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
