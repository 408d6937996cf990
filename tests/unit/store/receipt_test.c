/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

static void a_file_reads_back_as_it_was_uploaded(void **state)
{
    struct house *house = *state;
    static const size_t sizes[] = {0, 1, 4096, 299999, 300000, 10000001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        auto_content struct content file = content_of(i, sizes[i]);
        assert_int_equal(put(house, ALICE, &file), OK);
        assert_stored(house, ALICE, &file);
    }
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(findings(house), 0);
}

static void a_file_is_there_after_a_restart(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 5000);
    assert_int_equal(put(house, ALICE, &file), OK);
    house_restart(house);
    assert_stored(house, ALICE, &file);
}

static void a_file_of_another_size_than_announced_is_refused(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 5000);
    assert_int_equal(put_as(house, ALICE, &file, file.sha256, 5001, &house->err), UNPROCESSABLE);
    assert_non_null(strstr(house->err.message, "5001"));
    assert_non_null(strstr(house->err.message, "5000"));
    assert_int_equal(put_as(house, ALICE, &file, file.sha256, 4999, &house->err), UNPROCESSABLE);
    assert_int_equal(put_as(house, ALICE, &file, file.sha256, -1, &house->err), UNPROCESSABLE);
    assert_not_held(house, ALICE, &file);
    assert_int_equal(files_in(house, ""), 0);
}

static void a_file_of_another_digest_than_announced_is_refused(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 5000), other = content_of(2, 5000);
    assert_int_equal(put_as(house, ALICE, &file, other.sha256, 5000, &house->err), UNPROCESSABLE);
    assert_non_null(strstr(house->err.message, "SHA-256"));
    assert_not_held(house, ALICE, &file);
    assert_not_held(house, ALICE, &other);
    assert_int_equal(files_in(house, ""), 0);
}

static void an_upload_that_is_dropped_leaves_nothing(void **state)
{
    struct house *house = *state;
    struct receipt *receipt = NULL;
    assert_int_equal(receipt_open(house->store, &receipt, &house->err), OK);
    assert_int_equal(receipt_write(receipt, "half", 4, &house->err), OK);
    assert_int_equal(files_in(house, "incoming"), 1);
    receipt_drop(&receipt);
    assert_null(receipt);
    assert_int_equal(files_in(house, ""), 0);
}

static void files_are_for_the_server_alone(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 100);
    struct stat status;
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(stat(file_seen, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(house->root, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void a_second_copy_costs_no_container(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 70000), other = content_of(2, 70000);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(put(house, BOB, &file), OK);
    assert_stored(house, ALICE, &file);
    assert_stored(house, BOB, &file);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 1);
    assert_int_equal(put(house, BOB, &other), OK);
    assert_int_equal(files_in(house, "containers"), 2);
}

static void a_repo_finds_only_what_was_uploaded_to_it(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 70000), nowhere = content_of(2, 10);
    assert_int_equal(put(house, ALICE, &file), OK);
    struct error strangers, nobodys;
    struct object object;
    assert_int_equal(lookup(house, BOB, &file, &object), NOT_FOUND);
    strangers = house->err;
    assert_int_equal(lookup(house, BOB, &nowhere, &object), NOT_FOUND);
    nobodys = house->err;
    /* But for the digest that was asked for, the two answers are the same. */
    char hex[65];
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", nowhere.sha256[i]);
    char *asked = strstr(nobodys.message, hex);
    assert_non_null(asked);
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        snprintf(hex, 3, "%02x", file.sha256[i]);
        memcpy(asked + 2 * i, hex, 2);
    }
    assert_string_equal(strangers.message, nobodys.message);
    assert_string_equal(strangers.code, nobodys.code);
    assert_int_equal(put_as(house, BOB, &nowhere, file.sha256, 70000, &house->err), UNPROCESSABLE);
    assert_not_held(house, BOB, &file);
}

struct hold {
    int64_t repo, object;
};

static enum status hold_write(struct db_conn *tx, void *context, struct error *err)
{
    struct hold *hold = context;
    return store_hold(tx, hold->repo, hold->object, err);
}

static void a_hold_can_be_given_on_and_released(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 100);
    struct object object;
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(lookup(house, ALICE, &file, &object), OK);
    struct hold hold = {BOB, object.id}, nothing = {BOB, object.id + 1};
    assert_int_equal(db_write(house->db, hold_write, &hold, &house->err), OK);
    assert_int_equal(db_write(house->db, hold_write, &hold, &house->err), OK);
    assert_int_equal(db_write(house->db, hold_write, &nothing, &house->err), NOT_FOUND);
    release(house, ALICE);
    assert_not_held(house, ALICE, &file);
    assert_stored(house, BOB, &file);
}

static void a_view_is_clipped_to_the_range_asked_for(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 10000);
    struct object object;
    char back[10000];
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(lookup(house, ALICE, &file, &object), OK);
    static const int64_t ranges[][2] = {{0, 1}, {9999, 1}, {5, 777}, {0, 10000}, {10000, 0}, {0, 0}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        assert_int_equal(read_range(house, object.id, ranges[i][0], ranges[i][1], back), OK);
        assert_memory_equal(back, file.data + ranges[i][0], (size_t)ranges[i][1]);
    }
    static const int64_t outside[][2] = {{0, 10001}, {10001, 0}, {9999, 2}, {-1, 1}, {0, -1}, {1, INT64_MAX}};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        assert_int_equal(read_range(house, object.id, outside[i][0], outside[i][1], back), BAD_RANGE);
    assert_int_equal(read_range(house, object.id + 1, 0, 1, back), NOT_FOUND);
}

static void a_view_outlives_the_container_s_name(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 1000);
    struct object object;
    struct store_view *view;
    struct db_conn *conn;
    char back[1000];
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(lookup(house, ALICE, &file, &object), OK);
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_view_open(house->store, conn, object.id, 0, 1000, &view, &house->err), OK);
    db_release(&conn);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(read_view(view, back, 1000, &house->err), OK);
    assert_memory_equal(back, file.data, 1000);
    store_view_close(view);
}

static void a_missing_or_short_container_is_damage(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 10000);
    struct object object;
    char back[10000];
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(lookup(house, ALICE, &file, &object), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(truncate(file_seen, 10000), 0); /* only the table has gone */
    assert_int_equal(read_range(house, object.id, 0, 10000, back), OK);
    assert_int_equal(truncate(file_seen, 9999), 0);
    assert_int_equal(read_range(house, object.id, 0, 10000, back), CORRUPT);
    assert_non_null(strstr(house->err.message, "9999"));
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(read_range(house, object.id, 0, 1, back), CORRUPT);
    assert_non_null(strstr(house->err.message, "missing"));
}

struct uploader {
    struct house *house;
    const struct content *content;
    int64_t repo;
    enum status status;
};

static void *upload_thread(void *context)
{
    struct uploader *uploader = context;
    struct error err;
    uploader->status = put_as(uploader->house, uploader->repo, uploader->content, uploader->content->sha256,
                              (int64_t)uploader->content->len, &err);
    return NULL;
}

static void eight_uploads_of_the_same_content_make_one_container(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000000);
    pthread_t threads[8];
    struct uploader uploaders[8];
    for (int i = 0; i < 8; i++) {
        uploaders[i] = (struct uploader){house, &file, 1 + i / 2, INTERNAL};
        assert_int_equal(pthread_create(&threads[i], NULL, upload_thread, &uploaders[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(uploaders[i].status, OK);
        assert_stored(house, uploaders[i].repo, &file);
    }
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(files_in(house, "incoming"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_file_reads_back_as_it_was_uploaded),
        in_a_house(a_file_is_there_after_a_restart),
        in_a_house(a_file_of_another_size_than_announced_is_refused),
        in_a_house(a_file_of_another_digest_than_announced_is_refused),
        in_a_house(an_upload_that_is_dropped_leaves_nothing),
        in_a_house(files_are_for_the_server_alone),
        in_a_house(a_second_copy_costs_no_container),
        in_a_house(a_repo_finds_only_what_was_uploaded_to_it),
        in_a_house(a_hold_can_be_given_on_and_released),
        in_a_house(a_view_is_clipped_to_the_range_asked_for),
        in_a_house(a_view_outlives_the_container_s_name),
        in_a_house(a_missing_or_short_container_is_damage),
        in_a_house(eight_uploads_of_the_same_content_make_one_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
