/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xorbs are answered before their bytes are durable; files that are made of them are not. */
#include "xorb_fixture.h"
#include <errno.h>
#include <sys/syscall.h>

#define CHUNK 50000

/* In the place of libc's: counts those of containers, and fails for them when the disk shall be broken. */
static _Atomic int syncs;
static bool broken_disk;

static bool is_of_container(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return strstr(path, "/containers/") || strstr(path, "/incoming/");
}

int fdatasync(int fd)
{
    if (!is_of_container(fd))
        return (int)syscall(SYS_fdatasync, fd);
    syncs++;
    errno = EIO;
    return broken_disk ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* What a client does that uploads one file: a xorb, and a file that is the whole of it. */
struct sent {
    struct content content;
    struct wire wire;
};

static struct sent upload_of(uint64_t seed)
{
    struct sent upload = {.content = content_of(seed, 4 * CHUNK)};
    upload.wire = wire_of(&upload.content, CHUNK, SCHEME_NONE);
    return upload;
}

static void upload_free(struct sent *upload)
{
    content_free(&upload->content);
    wire_free(&upload->wire);
}
#define auto_upload __attribute__((cleanup(upload_free)))

static struct chunk_hash proof_of(const struct sent *upload)
{
    struct term_proof *proof = term_proof_new();
    for (size_t at = 0; at < upload->content.len; at += CHUNK) {
        struct chunk_hash hash = chunk_hash_of(upload->content.data + at, CHUNK);
        term_proof_add(proof, &hash);
    }
    struct chunk_hash hash = term_proof_end(proof);
    term_proof_free(proof);
    return hash;
}

static enum status register_draft(struct house *house, struct file_draft *draft, const struct sent *upload,
                                  int64_t repo, const struct xorb *xorb)
{
    struct chunk_hash proof = proof_of(upload);
    TRY(file_draft_add(draft, xorb, 0, xorb->chunks, xorb->length, &proof, &house->err));
    TRY(file_draft_verify(draft, repo, upload->content.sha256, NULL, NULL, &house->err));
    return file_drafts_keep(house->store, repo, &draft, 1, &house->err);
}

static enum status register_file(struct house *house, const struct sent *upload, int64_t repo)
{
    struct xorb xorb = stored_xorb(house, &upload->wire.hash);
    struct file_draft *draft = file_draft_new(house->store, file_hash_of(&upload->wire.hash));
    enum status status = register_draft(house, draft, upload, repo, &xorb);
    file_draft_free(&draft);
    return status;
}

static int64_t rows_of(struct house *house, const char *sql)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(db_prepare(conn, sql, &row, &house->err), OK);
    assert_true(stmt_next(row));
    return stmt_int(row, 0);
}

static int64_t count_marks(struct house *house)
{
    return rows_of(house, "SELECT count(*) FROM container WHERE boot IS NOT NULL");
}

/* As if the machine had gone down and come up again, and what it had not written was lost. */
static void reboot(struct house *house)
{
    house_stop(house);
    house_start(house);
    run_sql(house, "UPDATE container SET boot = 'an earlier one' WHERE boot IS NOT NULL");
    house_restart(house);
}

static void a_xorb_is_answered_without_a_sync_and_a_file_with_one(void **state)
{
    struct house *house = *state;
    auto_upload struct sent upload = upload_of(1);
    syncs = 0;
    send_xorb(house, ALICE, &upload.wire);
    assert_int_equal(count_marks(house), 1);
    int before = syncs;
    assert_int_equal(before, 0);
    assert_int_equal(register_file(house, &upload, 1), OK);
    assert_true(syncs > before);
    assert_int_equal(count_marks(house), 0);
    assert_stored(house, 1, &upload.content);
}

static void what_an_object_is_made_of_survives_the_machine(void **state)
{
    struct house *house = *state;
    auto_upload struct sent upload = upload_of(2), never = upload_of(3);
    send_xorb(house, ALICE, &upload.wire);
    send_xorb(house, ALICE, &never.wire);
    assert_int_equal(register_file(house, &upload, 1), OK);
    reboot(house);
    assert_stored(house, 1, &upload.content);
    assert_int_equal(rows_of(house, "SELECT count(*) FROM xorb"), 1);
    assert_int_equal(rows_of(house, "SELECT count(*) FROM container"), 1);
    assert_int_equal(rows_of(house, "SELECT count(*) FROM xorb_sender"), 1);
}

static void a_xorb_that_may_be_torn_is_new_again(void **state)
{
    struct house *house = *state;
    auto_upload struct sent upload = upload_of(4);
    assert_true(send_xorb(house, ALICE, &upload.wire));
    assert_false(send_xorb(house, ALICE, &upload.wire));
    reboot(house);
    assert_true(send_xorb(house, ALICE, &upload.wire));
    assert_int_equal(register_file(house, &upload, 1), OK);
    assert_stored(house, 1, &upload.content);
}

static void a_restart_of_the_program_alone_forgets_nothing(void **state)
{
    struct house *house = *state;
    auto_upload struct sent upload = upload_of(5);
    send_xorb(house, ALICE, &upload.wire);
    house_restart(house);
    assert_int_equal(count_marks(house), 1);
    assert_false(send_xorb(house, ALICE, &upload.wire));
    assert_int_equal(register_file(house, &upload, 1), OK);
    assert_stored(house, 1, &upload.content);
}

static void a_plain_upload_of_the_same_bytes_makes_them_durable(void **state)
{
    struct house *house = *state;
    auto_content struct content content = content_of(6, 300000);
    assert_int_equal(put(house, 1, &content), OK);
    int64_t containers = rows_of(house, "SELECT count(*) FROM container");
    /* The plain upload's own xorb, as if a Xet client had just sent it. */
    run_sql(house, "DELETE FROM extent; DELETE FROM object_hold; DELETE FROM object");
    run_sql(house, "UPDATE container SET boot = 'now'");
    assert_int_equal(put(house, 2, &content), OK);
    assert_int_equal(count_marks(house), 0);
    assert_int_equal(rows_of(house, "SELECT count(*) FROM container"), containers);
    assert_stored(house, 2, &content);
}

static void a_disk_that_cannot_write_it_down_costs_the_upload_and_is_not_asked_twice(void **state)
{
    struct house *house = *state;
    auto_upload struct sent upload = upload_of(7);
    send_xorb(house, ALICE, &upload.wire);
    broken_disk = true;
    assert_int_not_equal(register_file(house, &upload, 1), OK);
    broken_disk = false;
    assert_not_held(house, 1, &upload.content);
    assert_int_equal(rows_of(house, "SELECT count(*) FROM xorb"), 0);
    assert_true(send_xorb(house, ALICE, &upload.wire));
    assert_int_equal(register_file(house, &upload, 1), OK);
    assert_stored(house, 1, &upload.content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_xorb_is_answered_without_a_sync_and_a_file_with_one),
        in_a_house(what_an_object_is_made_of_survives_the_machine),
        in_a_house(a_xorb_that_may_be_torn_is_new_again),
        in_a_house(a_restart_of_the_program_alone_forgets_nothing),
        in_a_house(a_plain_upload_of_the_same_bytes_makes_them_durable),
        in_a_house(a_disk_that_cannot_write_it_down_costs_the_upload_and_is_not_asked_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
