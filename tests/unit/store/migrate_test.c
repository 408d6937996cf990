/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store from before there were xorbs. */
#include "box_fixture.h"

#define OLD_SIZE 3000000

/* The database as the first release left it. */
static void old_start(struct house *house)
{
    const char *const first[] = {store_migrations.sql[0], NULL};
    const struct migration_set old = {.part = store_migrations.part, .sql = first};
    char path[160];
    snprintf(path, sizeof(path), "%s/cairn.db", house->dir);
    assert_int_equal(db_open(path, &house->db, &house->err), OK);
    assert_int_equal(db_migrate(house->db, &old, 1, &house->err), OK);
}

/* A file, its container and its one extent, as the first release wrote them. */
static void old_put(struct house *house, int64_t repo, int64_t id, const struct content *content)
{
    char name[NAME_SIZE], path[STORE_PATH_LIMIT], hex[2 * SHA256_SIZE + 1], sql[1024];
    random_name(name);
    hex_name(content->sha256, SHA256_SIZE, hex);
    snprintf(house->root, sizeof(house->root), "%s/store", house->dir);
    assert_int_equal(store_root_make(house->root, &house->err), OK);
    house_folder_for(house, name);
    container_path(house->root, name, path);
    assert_int_equal(file_write_durable(path, (struct str){content->data, content->len}, 0600, &house->err), OK);
    snprintf(sql, sizeof(sql),
             "INSERT INTO container VALUES (%d, '%s', 0, %d, 1); INSERT INTO object VALUES (%d, X'%s', %d, 1);"
             "INSERT INTO extent VALUES (%d, 0, %d, 0, %d, 0); INSERT INTO object_hold VALUES (%d, %d, 1)",
             (int)id, name, (int)content->len, (int)id, hex, (int)content->len, (int)id, (int)id, (int)content->len,
             (int)repo, (int)id);
    run_sql(house, sql);
}

/* Stops the old program and starts this one. */
static void upgrade(struct house *house)
{
    db_close(house->db);
    house_start(house);
}

static int old_open(void **state)
{
    if (house_make(state) != 0)
        return -1;
    old_start(*state);
    return 0;
}

#define in_an_old_house(test) cmocka_unit_test_setup_teardown(test, old_open, house_close)

static void an_old_file_is_found_and_reads_back_byte_for_byte(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, OLD_SIZE), empty = content_of(2, 0);
    old_put(house, ALICE, 1, &file);
    old_put(house, ALICE, 2, &empty);
    upgrade(house);
    struct object object;
    char middle[1000];
    assert_stored(house, ALICE, &file);
    assert_stored(house, ALICE, &empty);
    assert_not_held(house, BOB, &file);
    assert_int_equal(lookup(house, ALICE, &file, &object), OK);
    assert_int_equal(read_range(house, object.id, 1234567, sizeof(middle), middle), OK);
    assert_memory_equal(middle, file.data + 1234567, sizeof(middle));
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_a_flipped_byte_in_an_old_file(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, OLD_SIZE);
    old_put(house, ALICE, 1, &file);
    upgrade(house);
    assert_int_equal(files_in(house, "containers"), 1);
    flip_byte(file_seen, OLD_SIZE / 2);
    assert_int_equal(findings(house), 1);
    assert_int_equal(truncate(file_seen, OLD_SIZE - 1), 0);
    assert_int_equal(findings(house), 2); /* the container and the file */
}

static void a_sweep_keeps_an_old_file_until_it_is_released(void **state)
{
    struct house *house = *state;
    struct store_freed freed;
    auto_content struct content file = content_of(1, OLD_SIZE), empty = content_of(2, 0);
    old_put(house, ALICE, 1, &file);
    old_put(house, ALICE, 2, &empty);
    upgrade(house);
    /* an empty file needs no container any more */
    assert_int_equal(store_sweep(house->store, now_us(), false, &freed, &house->err), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_stored(house, ALICE, &file);
    assert_stored(house, ALICE, &empty);
    release(house, ALICE);
    assert_int_equal(store_sweep(house->store, now_us(), false, &freed, &house->err), OK);
    assert_true(freed.objects == 2 && freed.xorbs == 1 && freed.files == 1 && freed.bytes >= OLD_SIZE);
    assert_int_equal(files_in(house, ""), 0);
    assert_int_equal(findings(house), 0);
}

static void an_old_file_that_is_uploaded_again_is_still_stored_once(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, OLD_SIZE);
    old_put(house, ALICE, 1, &file);
    upgrade(house);
    assert_int_equal(put(house, BOB, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    release(house, ALICE);
    assert_stored(house, BOB, &file);
    assert_int_equal(findings(house), 0);
}

static void an_old_file_counts_in_full(void **state)
{
    struct house *house = *state;
    struct store_usage usage;
    auto_content struct content file = content_of(1, OLD_SIZE);
    old_put(house, ALICE, 1, &file);
    old_put(house, ALICE, 2, &(struct content){.data = file.data, .len = 1000});
    upgrade(house);
    auto_conn struct db_conn *conn = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_usage(house->store, conn, ALICE, &usage, &house->err), OK);
    assert_true(usage.objects == 2 && usage.logical == OLD_SIZE + 1000 && usage.unique == OLD_SIZE + 1000);
    assert_true(usage.stored == OLD_SIZE + 1000 && usage.shared == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_an_old_house(an_old_file_is_found_and_reads_back_byte_for_byte),
        in_an_old_house(a_check_finds_a_flipped_byte_in_an_old_file),
        in_an_old_house(a_sweep_keeps_an_old_file_until_it_is_released),
        in_an_old_house(an_old_file_that_is_uploaded_again_is_still_stored_once),
        in_an_old_house(an_old_file_counts_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
