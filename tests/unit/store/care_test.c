/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "box_fixture.h"
#include <fcntl.h>

static void sweep_at(struct house *house, int64_t when)
{
    struct store_freed freed;
    assert_int_equal(store_sweep(house->store, when, false, &freed, &house->err), OK);
}
static void sweep_now(struct house *house)
{
    sweep_at(house, now_us());
}
/* When files that were released may go. */
static void sweep_soon(struct house *house)
{
    sweep_at(house, now_us() + 2 * 3600 * SECOND_US);
}
static void sweep_later(struct house *house)
{
    sweep_at(house, now_us() + 2 * DAY_US);
}

/* Puts a file into a folder of the store, as a crash might leave it there. */
static void leave_file(struct house *house, const char *folder, const char *name)
{
    char path[512];
    house_folder_for(house, name);
    snprintf(path, sizeof(path), "%s/%s/%s", house->root, folder, name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void a_sweep_removes_old_leftovers_and_nothing_else(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 1000);
    assert_int_equal(put(house, ALICE, &file), OK);
    leave_file(house, "containers/ab", "ab0123456789abcdef0123456789abcd");
    leave_file(house, "incoming", "cd0123456789abcdef0123456789abcd");
    leave_file(house, "incoming", "a-note-by-the-operator");
    sweep_now(house);
    assert_int_equal(files_in(house, "containers"), 2);
    assert_int_equal(files_in(house, "incoming"), 2);
    sweep_later(house);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(files_in(house, "incoming"), 1);
    assert_non_null(strstr(file_seen, "a-note-by-the-operator"));
    assert_stored(house, ALICE, &file);
}

static void a_sweep_leaves_uploads_in_progress_alone(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 1000);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    struct part *part = NULL;
    struct receipt *receipt = NULL;
    char etag[33];
    assert_int_equal(receipt_open(house->store, &receipt, &house->err), OK);
    assert_int_equal(receipt_write(receipt, file.data, 500, &house->err), OK);
    assert_int_equal(parts_begin(house->store, &arena, BOB, file.sha256, 1000, &plan, &house->err), OK);
    assert_int_equal(part_open(house->store, plan.id, BOB, 1, 1000, &part, &house->err), OK);
    sweep_later(house);
    assert_int_equal(part_write(part, file.data, 1000, &house->err), OK);
    assert_int_equal(part_keep(&part, etag, &house->err), OK);
    sweep_now(house);
    struct part_claim claim = {1, str_of(etag)};
    assert_int_equal(parts_finish(house->store, plan.id, BOB, &claim, 1, &house->err), OK);
    assert_stored(house, BOB, &file);
    assert_int_equal(receipt_write(receipt, file.data + 500, 500, &house->err), OK);
    assert_int_equal(receipt_keep(&receipt, ALICE, file.sha256, 1000, &house->err), OK);
    assert_stored(house, ALICE, &file);
}

static void a_sweep_ends_uploads_that_nobody_goes_on_with(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 1000);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    struct part *part = NULL;
    assert_int_equal(parts_begin(house->store, &arena, ALICE, file.sha256, 1000, &plan, &house->err), OK);
    sweep_now(house);
    assert_int_equal(files_in(house, "incoming"), 1);
    assert_int_equal(part_open(house->store, plan.id, ALICE, 1, 1000, &part, &house->err), OK);
    part_drop(&part);
    sweep_later(house);
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM upload"), 0);
    assert_int_equal(part_open(house->store, plan.id, ALICE, 1, 1000, &part, &house->err), NOT_FOUND);
}

static void a_sweep_forgets_finished_uploads_but_keeps_their_files(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 0);
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    assert_int_equal(parts_begin(house->store, &arena, ALICE, file.sha256, 0, &plan, &house->err), OK);
    assert_int_equal(parts_finish(house->store, plan.id, ALICE, NULL, 0, &house->err), OK);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM upload"), 1);
    sweep_later(house);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM upload"), 0);
    assert_stored(house, ALICE, &file);
}

static void an_object_goes_when_no_repo_holds_it_any_more(void **state)
{
    struct house *house = *state;
    auto_content struct content shared = content_of(1, 1000), own = content_of(2, 1000);
    assert_int_equal(put(house, ALICE, &shared), OK);
    assert_int_equal(put(house, BOB, &shared), OK);
    assert_int_equal(put(house, ALICE, &own), OK);
    release(house, ALICE);
    sweep_soon(house);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 1);
    assert_stored(house, BOB, &shared);
    release(house, BOB);
    sweep_soon(house);
    assert_int_equal(files_in(house, "containers"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM extent"), 0);
    assert_int_equal(findings(house), 0);
}

static void the_number_of_a_swept_object_is_never_given_to_another(void **state)
{
    struct house *house = *state;
    auto_content struct content gone = content_of(1, 1000), other = content_of(2, 1000);
    struct object before, after;
    char byte;
    assert_int_equal(put(house, ALICE, &gone), OK);
    assert_int_equal(lookup(house, ALICE, &gone, &before), OK);
    release(house, ALICE);
    sweep_soon(house);
    assert_int_equal(put(house, BOB, &other), OK);
    assert_int_equal(lookup(house, BOB, &other, &after), OK);
    assert_int_not_equal(before.id, after.id);
    assert_int_equal(read_range(house, before.id, 0, 1, &byte), NOT_FOUND);
}

struct churn {
    struct house *house;
    int64_t repo;
    enum status failed;
};

/* Uploads, reads back and releases the same content over and over. */
static void *churn_thread(void *context)
{
    struct churn *churn = context;
    auto_content struct content file = content_of(1, 5000);
    struct house house = *churn->house; /* for an error of its own */
    for (int i = 0; i < 40 && churn->failed == OK; i++) {
        struct object object;
        char back[5000];
        churn->failed = put(&house, churn->repo, &file);
        if (churn->failed == OK)
            churn->failed = lookup(&house, churn->repo, &file, &object);
        if (churn->failed == OK)
            churn->failed = read_range(&house, object.id, 0, 5000, back);
        if (churn->failed == OK)
            churn->failed = db_write(house.db, release_write, &churn->repo, &house.err);
    }
    return NULL;
}

static void a_sweep_never_takes_what_is_being_uploaded(void **state)
{
    struct house *house = *state;
    pthread_t threads[4];
    struct churn churns[4];
    for (int i = 0; i < 4; i++) {
        churns[i] = (struct churn){house, i + 1, OK};
        assert_int_equal(pthread_create(&threads[i], NULL, churn_thread, &churns[i]), 0);
    }
    for (int i = 0; i < 40; i++)
        sweep_soon(house);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(churns[i].failed, OK);
    sweep_later(house);
    assert_int_equal(files_in(house, ""), 0);
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_a_flipped_byte(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000000), sound = content_of(2, 1000);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    char path[512];
    memcpy(path, file_seen, sizeof(path));
    assert_int_equal(put(house, ALICE, &sound), OK);
    assert_int_equal(findings(house), 0);
    flip_byte(path, 2999999);
    assert_int_equal(findings(house), 2); /* the xorb, and the file that is made of it */
    char hex[65];
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", file.sha256[i]);
    assert_non_null(strstr(last_finding, hex));
    flip_byte(path, 2999999);
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_a_flipped_byte_in_what_no_file_uses(void **state)
{
    struct house *house = *state;
    for (int packed = 0; packed < 2; packed++) {
        auto_box struct box box = box_of(house, 1 + (uint64_t)packed, 2, packed ? SCHEME_LZ4 : SCHEME_NONE, 1);
        assert_int_equal(findings(house), 0);
        const int64_t places[] = {0, box.new[1].start, box.new[1].start + box.new[1].stored - 1};
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            flip_byte(box.path, places[i]);
            assert_int_equal(findings(house), 1);
            assert_non_null(strstr(last_finding, "xorb"));
            flip_byte(box.path, places[i]);
        }
        assert_int_equal(findings(house), 0);
    }
}

static void a_check_finds_a_flipped_bit_in_a_table(void **state)
{
    struct house *house = *state;
    auto_box struct box box = box_of(house, 1, 1, SCHEME_NONE, 1);
    for (int64_t at = 0; at < BOX_CHUNKS * CHUNK_ROW; at++) {
        if (at % CHUNK_ROW > 40) /* a mark that any chunk may have, and two bytes that say nothing */
            continue;
        flip_byte(box.path, box.new[0].table_at + at);
        assert_int_equal(findings(house), 1);
        flip_byte(box.path, box.new[0].table_at + at);
    }
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_a_container_that_is_missing_or_of_the_wrong_size(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(truncate(file_seen, 3000 + CHUNK_ROW + 1), 0);
    assert_int_equal(findings(house), 1);
    assert_non_null(strstr(last_finding, "container"));
    assert_int_equal(truncate(file_seen, 3000 + CHUNK_ROW), 0);
    assert_int_equal(findings(house), 0);
    assert_int_equal(truncate(file_seen, 2999), 0);
    assert_int_equal(findings(house), 3); /* the container, its xorb, the file */
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(findings(house), 3);
    assert_non_null(strstr(last_finding, "missing"));
}

struct damage {
    const char *what, *undo;
};

/* Each one is found, and nothing is left to find when it is undone. */
static void assert_found(struct house *house, const struct damage *damages, size_t count)
{
    assert_int_equal(findings(house), 0);
    for (size_t i = 0; i < count; i++) {
        run_sql(house, damages[i].what);
        if (findings(house) == 0)
            print_error("not found: %s\n", damages[i].what);
        assert_true(findings(house) > 0);
        run_sql(house, damages[i].undo);
    }
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_rows_that_do_not_say_where_the_bytes_are(void **state)
{
    struct house *house = *state;
    static const struct damage damages[] = {
        {"UPDATE extent SET length = 2999", "UPDATE extent SET length = 3000"},
        {"UPDATE extent SET length = 3001", "UPDATE extent SET length = 3000"},
        {"UPDATE extent SET length = -5", "UPDATE extent SET length = 3000"},
        {"UPDATE extent SET at = 1", "UPDATE extent SET at = 0"},
        {"UPDATE extent SET at = -1", "UPDATE extent SET at = 0"},
        {"UPDATE extent SET stored_at = 1", "UPDATE extent SET stored_at = 0"},
        {"UPDATE extent SET stored_at = -1", "UPDATE extent SET stored_at = 0"},
        {"UPDATE extent SET stored_at = 9000000000000000000", "UPDATE extent SET stored_at = 0"},
        {"UPDATE extent SET stored = 2999", "UPDATE extent SET stored = 3000"},
        {"UPDATE extent SET chunk_start = 1", "UPDATE extent SET chunk_start = 0"},
        {"UPDATE extent SET chunk_start = -4294967296", "UPDATE extent SET chunk_start = 0"},
        {"UPDATE extent SET chunk_end = 0", "UPDATE extent SET chunk_end = 1"},
        {"UPDATE extent SET chunk_end = 2", "UPDATE extent SET chunk_end = 1"},
        {"UPDATE extent SET chunk_end = 4294967297", "UPDATE extent SET chunk_end = 1"},
        {"UPDATE object SET size = 9000000000000000000", "UPDATE object SET size = 3000"},
        {"UPDATE object SET size = 2999", "UPDATE object SET size = 3000"},
        {"UPDATE object SET xet_hash = zeroblob(32)", "UPDATE object SET xet_hash = (SELECT kept FROM before_damage)"},
        {"UPDATE container SET size = 1", "UPDATE container SET size = 3044"},
        {"UPDATE container SET name = '../'", "UPDATE container SET name = (SELECT name FROM before_damage)"},
    };
    auto_content struct content file = content_of(1, 3000);
    assert_int_equal(put(house, ALICE, &file), OK);
    run_sql(house, "CREATE TABLE before_damage AS"
                   " SELECT object.xet_hash AS kept, container.name AS name FROM object, container");
    assert_found(house, damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_check_finds_rows_of_xorbs_that_cannot_be(void **state)
{
    struct house *house = *state;
    static const struct damage damages[] = {
        {"UPDATE xorb SET start = start + 1", "UPDATE xorb SET start = start - 1"},
        {"UPDATE xorb SET start = start - 1", "UPDATE xorb SET start = start + 1"},
        {"UPDATE xorb SET stored = stored + 1", "UPDATE xorb SET stored = stored - 1"},
        {"UPDATE xorb SET stored = 9000000000000000000", "UPDATE xorb SET stored = 262144"},
        {"UPDATE xorb SET table_at = table_at + 1", "UPDATE xorb SET table_at = table_at - 1"},
        {"UPDATE xorb SET table_at = 9000000000000000000", "UPDATE xorb SET table_at = 262144"},
        {"UPDATE xorb SET length = length + 1", "UPDATE xorb SET length = length - 1"},
        {"UPDATE xorb SET chunks = 3", "UPDATE xorb SET chunks = 4"},
        {"UPDATE xorb SET chunks = 5", "UPDATE xorb SET chunks = 4"},
        {"UPDATE xorb SET chunks = 0", "UPDATE xorb SET chunks = 4"},
        {"UPDATE xorb SET chunks = 4294967295", "UPDATE xorb SET chunks = 4"},
        {"UPDATE xorb SET hash = X'00'", "UPDATE xorb SET hash = (SELECT hash FROM before_damage)"},
        {"UPDATE xorb SET hash = NULL", "UPDATE xorb SET hash = (SELECT hash FROM before_damage)"},
    };
    auto_box struct box box = box_of(house, 1, 1, SCHEME_NONE, 1);
    run_sql(house, "CREATE TABLE before_damage AS SELECT hash FROM xorb");
    assert_found(house, damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_check_reads_files_made_of_packed_ranges(void **state)
{
    struct house *house = *state;
    static const struct damage damages[] = {
        {"UPDATE extent SET packed = 0", "UPDATE extent SET packed = 1"},
        {"UPDATE object SET sha256 = zeroblob(32)", "UPDATE object SET sha256 = (SELECT sha256 FROM before_damage)"},
    };
    auto_box struct box box = box_of(house, 1, 3, SCHEME_LZ4, 1);
    assert_int_equal(give(house, ALICE, &box, (struct slice){2, 1, 4}, (struct slice){0, 2, 3}, NULL, &house->err), OK);
    run_sql(house, "CREATE TABLE before_damage AS SELECT sha256 FROM object");
    assert_found(house, damages, sizeof(damages) / sizeof(damages[0]));
}

/* Backs the store up into a folder, by the rows of the live database. */
static enum status back_up(struct house *house, const char *root)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(house->db, &conn, &house->err));
    return store_backup(house->store, conn, root, &house->err);
}

static void a_backup_is_a_store(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000000), empty = content_of(2, 0);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(put(house, ALICE, &empty), OK);
    leave_file(house, "containers/ab", "ab0123456789abcdef0123456789abcd");
    char root[256];
    snprintf(root, sizeof(root), "%s/backup", house->dir);
    assert_int_equal(back_up(house, root), OK);
    assert_int_equal(back_up(house, root), OK);
    release(house, ALICE);
    assert_int_equal(put(house, BOB, &file), OK);
    assert_int_equal(put(house, BOB, &empty), OK);
    store_close(house->store);
    assert_int_equal(store_open(house->db, root, &house->store, &house->err), OK);
    snprintf(house->root, sizeof(house->root), "%s", root);
    assert_int_equal(files_in(house, "containers"), 1); /* an empty file has none */
    assert_stored(house, BOB, &file);
    assert_int_equal(findings(house), 0);
}

static void a_backup_to_another_file_system_is_a_copy(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 20000000);
    char root[] = "/dev/shm/cairn-backup-XXXXXX";
    if (!mkdtemp(root))
        return; /* a machine without one */
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(back_up(house, root), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(unlink(file_seen), 0);
    assert_true(findings(house) > 1);
    store_close(house->store);
    assert_int_equal(store_open(house->db, root, &house->store, &house->err), OK);
    assert_int_equal(findings(house), 0);
    assert_stored(house, ALICE, &file);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_backup_to_another_file_system_keeps_holes(void **state)
{
    struct house *house = *state;
    auto_content struct content file = {0};
    auto_box struct box box = box_of(house, 1, 3, SCHEME_NONE, 1);
    char root[] = "/dev/shm/cairn-backup-XXXXXX";
    struct stat copy;
    if (!mkdtemp(root))
        return; /* a machine without one */
    assert_int_equal(give(house, ALICE, &box, (struct slice){1, 0, 4}, NONE, &file, &house->err), OK);
    sweep_soon(house);
    sweep_later(house);
    assert_int_equal(back_up(house, root), OK);
    store_close(house->store);
    assert_int_equal(store_open(house->db, root, &house->store, &house->err), OK);
    snprintf(house->root, sizeof(house->root), "%s", root);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(stat(file_seen, &copy), 0);
    assert_int_equal(copy.st_size, box.size);
    assert_true(copy.st_blocks * 512 < 2 * BOX_CHUNKS * BOX_CHUNK);
    assert_stored(house, ALICE, &file);
    assert_int_equal(findings(house), 0);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_backup_during_which_something_was_swept_says_so(void **state)
{
    struct house *house = *state;
    auto_box struct box partly = box_of(house, 1, 2, SCHEME_NONE, 1),
                        whole = box_of(house, 2, 1, SCHEME_NONE, now_us());
    char path[256], root[256];
    struct db *db;
    assert_int_equal(give(house, ALICE, &partly, (struct slice){1, 0, 4}, NONE, NULL, &house->err), OK);
    snprintf(path, sizeof(path), "%s/backup.db", house->dir);
    snprintf(root, sizeof(root), "%s/backup", house->dir);
    assert_int_equal(db_backup(house->db, path, &house->err), OK);
    assert_int_equal(db_open(path, &db, &house->err), OK);
    struct db_conn *snapshot;
    assert_int_equal(db_reader(db, &snapshot, &house->err), OK);
    assert_int_equal(store_backup(house->store, snapshot, root, &house->err), OK);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    sweep_soon(house); /* takes a xorb out of a container */
    assert_int_equal(store_backup(house->store, snapshot, root, &house->err), STALE);
    db_release(&snapshot);
    db_close(db);
    assert_int_equal(unlink(path), 0);

    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(db_backup(house->db, path, &house->err), OK);
    assert_int_equal(db_open(path, &db, &house->err), OK);
    assert_int_equal(db_reader(db, &snapshot, &house->err), OK);
    sweep_at(house, now_us() + 30 * DAY_US); /* removes a container */
    assert_int_equal(store_backup(house->store, snapshot, root, &house->err), STALE);
    db_release(&snapshot);
    db_close(db);
}

static void a_backup_of_a_damaged_store_says_so(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000);
    char root[256];
    snprintf(root, sizeof(root), "%s/backup", house->dir);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(truncate(file_seen, 2999), 0);
    assert_int_equal(back_up(house, root), CORRUPT);
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(back_up(house, root), CORRUPT);
    assert_non_null(strstr(house->err.message, "missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_sweep_removes_old_leftovers_and_nothing_else),
        in_a_house(a_sweep_leaves_uploads_in_progress_alone),
        in_a_house(a_sweep_ends_uploads_that_nobody_goes_on_with),
        in_a_house(a_sweep_forgets_finished_uploads_but_keeps_their_files),
        in_a_house(an_object_goes_when_no_repo_holds_it_any_more),
        in_a_house(the_number_of_a_swept_object_is_never_given_to_another),
        in_a_house(a_sweep_never_takes_what_is_being_uploaded),
        in_a_house(a_check_finds_a_flipped_byte),
        in_a_house(a_check_finds_a_container_that_is_missing_or_of_the_wrong_size),
        in_a_house(a_check_finds_a_flipped_byte_in_what_no_file_uses),
        in_a_house(a_check_finds_a_flipped_bit_in_a_table),
        in_a_house(a_check_finds_rows_that_do_not_say_where_the_bytes_are),
        in_a_house(a_check_finds_rows_of_xorbs_that_cannot_be),
        in_a_house(a_check_reads_files_made_of_packed_ranges),
        in_a_house(a_backup_is_a_store),
        in_a_house(a_backup_to_another_file_system_is_a_copy),
        in_a_house(a_backup_to_another_file_system_keeps_holes),
        in_a_house(a_backup_during_which_something_was_swept_says_so),
        in_a_house(a_backup_of_a_damaged_store_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
