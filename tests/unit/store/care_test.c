/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store_fixture.h"
#include <fcntl.h>

static void sweep_at(struct house *house, int64_t when)
{
    assert_int_equal(store_sweep(house->store, when, &house->err), OK);
}
static void sweep_now(struct house *house)
{
    sweep_at(house, now_us());
}
static void sweep_later(struct house *house)
{
    sweep_at(house, now_us() + 2 * DAY_US);
}

/* Puts a file into a folder of the store, as a crash might leave it there. */
static void leave_file(struct house *house, const char *folder, const char *name)
{
    char path[512];
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
    sweep_now(house);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM container"), 1);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM object"), 1);
    assert_stored(house, BOB, &shared);
    release(house, BOB);
    sweep_now(house);
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
    sweep_now(house);
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
        sweep_now(house);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(churns[i].failed, OK);
    sweep_later(house);
    assert_int_equal(files_in(house, ""), 0);
    assert_int_equal(findings(house), 0);
}

static void flip_byte(const char *path, int64_t offset)
{
    char byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
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
    assert_int_equal(findings(house), 1);
    char hex[65];
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", file.sha256[i]);
    assert_non_null(strstr(last_finding, hex));
    flip_byte(path, 2999999);
    assert_int_equal(findings(house), 0);
}

static void a_check_finds_a_container_that_is_missing_or_of_the_wrong_size(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000);
    assert_int_equal(put(house, ALICE, &file), OK);
    assert_int_equal(files_in(house, "containers"), 1);
    assert_int_equal(truncate(file_seen, 3001), 0);
    assert_int_equal(findings(house), 1);
    assert_int_equal(truncate(file_seen, 2999), 0);
    assert_int_equal(findings(house), 1);
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(findings(house), 1);
    assert_non_null(strstr(last_finding, "missing"));
}

static enum status break_write(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

static void a_check_finds_extents_that_do_not_cover_the_object(void **state)
{
    struct house *house = *state;
    auto_content struct content file = content_of(1, 3000);
    assert_int_equal(put(house, ALICE, &file), OK);
    static char *const damages[] = {
        "UPDATE extent SET length = 2999",
        "UPDATE extent SET length = 3001",
        "UPDATE extent SET start = 1",
        "UPDATE extent SET start = -1",
        "UPDATE extent SET encoding = 9",
        "UPDATE extent SET seq = 1",
        "UPDATE container SET name = '../'",
        "UPDATE extent SET length = -5",
        "UPDATE object SET size = 9000000000000000000",
        "UPDATE container SET size = 1",
        "UPDATE extent SET start = 9000000000000000000",
    };
    static char *const repairs[] = {
        "UPDATE extent SET length = 3000, start = 0, encoding = 0, seq = 0",
        "UPDATE object SET size = 3000",
        "UPDATE container SET size = 3000",
    };
    struct str name;
    char rename[128];
    assert_int_equal(files_in(house, "containers"), 1);
    name = str_of(strrchr(file_seen, '/') + 1);
    snprintf(rename, sizeof(rename), "UPDATE container SET name = '%.*s'", STR_ARG(name));
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        assert_int_equal(db_write(house->db, break_write, damages[i], &house->err), OK);
        assert_int_equal(findings(house), 1);
        for (size_t k = 0; k < sizeof(repairs) / sizeof(repairs[0]); k++)
            assert_int_equal(db_write(house->db, break_write, repairs[k], &house->err), OK);
        assert_int_equal(db_write(house->db, break_write, rename, &house->err), OK);
        assert_int_equal(findings(house), 0);
    }
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
    assert_int_equal(files_in(house, "containers"), 2);
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
    assert_int_equal(findings(house), 1);
    store_close(house->store);
    assert_int_equal(store_open(house->db, root, &house->store, &house->err), OK);
    assert_int_equal(findings(house), 0);
    assert_stored(house, ALICE, &file);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
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
        in_a_house(a_check_finds_extents_that_do_not_cover_the_object),
        in_a_house(a_backup_is_a_store),
        in_a_house(a_backup_to_another_file_system_is_a_copy),
        in_a_house(a_backup_of_a_damaged_store_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
