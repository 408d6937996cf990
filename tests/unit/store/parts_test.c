/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/cut.h"
#include "store_fixture.h"
#include <stdatomic.h>

/* Half of what it is outside of tests: the file is still more than a xorb holds, and half the time goes by. */
#define PART (INT64_C(32) << 20)
#define SIZE (2 * PART + 1000) /* three parts, the last one short */

extern int64_t store_part_least; /* store/internal.h */

static struct content file; /* made once: hashing it is what takes time here */
static struct chunk_hash file_hash;

struct upload {
    struct house *house;
    struct arena arena;
    struct parts_plan plan;
    char etags[4][33]; /* of parts 1 to 3 */
};

static struct upload begin_for(struct house *house, int64_t repo)
{
    struct upload upload = {.house = house};
    assert_int_equal(parts_begin(house->store, &upload.arena, repo, file.sha256, SIZE, &upload.plan, &house->err), OK);
    return upload;
}

static struct upload begin(struct house *house)
{
    return begin_for(house, ALICE);
}
static void end(struct upload *upload)
{
    arena_free(&upload->arena);
}
#define auto_upload __attribute__((cleanup(end)))

static int64_t length_of(int64_t number)
{
    return number == 3 ? 1000 : PART;
}

static enum status open_part(struct upload *upload, int64_t number, struct part **part)
{
    return part_open(upload->house->store, upload->plan.id, ALICE, number, length_of(number), part,
                     &upload->house->err);
}

static enum status write_bytes(struct upload *upload, struct part *part, const char *data, int64_t len)
{
    for (int64_t at = 0; at < len;) {
        int64_t piece = len - at < 1000000 ? len - at : 1000000;
        TRY(part_write(part, data + at, (size_t)piece, &upload->house->err));
        at += piece;
    }
    return OK;
}

static enum status send_bytes(struct upload *upload, int64_t number, const char *data)
{
    auto_part struct part *part = NULL;
    TRY(open_part(upload, number, &part));
    TRY(write_bytes(upload, part, data, length_of(number)));
    return part_keep(&part, upload->etags[number], &upload->house->err);
}

static void send(struct upload *upload, int64_t number)
{
    assert_int_equal(send_bytes(upload, number, file.data + (number - 1) * PART), OK);
    assert_int_equal(strlen(upload->etags[number]), 32);
}

/* Sends the part with the byte at an offset changed. */
static void send_changed(struct upload *upload, int64_t number, int64_t offset)
{
    char *byte = file.data + (number - 1) * PART + offset;
    *byte ^= 1;
    enum status status = send_bytes(upload, number, file.data + (number - 1) * PART);
    *byte ^= 1;
    assert_int_equal(status, OK);
}

/* Sends the first len bytes of the part, the last of them changed when asked for, and breaks off. */
static void send_half(struct upload *upload, int64_t number, int64_t len, bool changed)
{
    auto_part struct part *part = NULL;
    char *data = file.data + (number - 1) * PART;
    assert_int_equal(open_part(upload, number, &part), OK);
    data[len - 1] ^= changed;
    enum status status = write_bytes(upload, part, data, len);
    data[len - 1] ^= changed;
    assert_int_equal(status, OK);
}

static enum status finish_with(struct upload *upload, const struct part_claim *claims, size_t count)
{
    return parts_finish(upload->house->store, upload->plan.id, ALICE, claims, count, &upload->house->err);
}

static enum status finish(struct upload *upload)
{
    struct part_claim claims[3];
    for (int64_t i = 1; i <= 3; i++)
        claims[i - 1] = (struct part_claim){i, str_of(upload->etags[i])};
    return finish_with(upload, claims, 3);
}

static void assert_file_hash(struct house *house)
{
    auto_conn struct db_conn *conn = NULL;
    struct chunk_hash hash;
    bool found;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(store_xet_hash(conn, ALICE, file.sha256, &found, &hash, &house->err), OK);
    assert_true(found && chunk_hash_eq(&hash, &file_hash));
}

static void assert_finished(struct upload *upload)
{
    assert_int_equal(finish(upload), OK);
    assert_file_hash(upload->house);
    assert_stored(upload->house, ALICE, &file);
    assert_int_equal(files_in(upload->house, "incoming"), 0);
    assert_int_equal(files_in(upload->house, "containers"), 1);
}

/* Refused because of its content, and nothing of it is left. */
static void assert_spoilt(struct upload *upload)
{
    assert_int_equal(finish(upload), UNPROCESSABLE);
    assert_not_held(upload->house, ALICE, &file);
    assert_int_equal(files_in(upload->house, ""), 0);
    assert_int_equal(finish(upload), NOT_FOUND);
}

static void a_plan_covers_the_file_in_few_parts(void **state)
{
    struct house *house = *state;
    static const int64_t sizes[] = {
        0, 1, PART - 1, PART, PART + 1, 1000 * PART, 1000 * PART + 1, INT64_C(1) << 50, INT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        auto_arena struct arena arena = {0};
        struct parts_plan plan;
        assert_int_equal(parts_begin(house->store, &arena, ALICE, file.sha256, sizes[i], &plan, &house->err), OK);
        assert_int_equal(plan.id.len, 32);
        assert_true(plan.part_size >= 32 << 20);
        assert_true(plan.part_count <= 1000);
        assert_int_equal(plan.part_count, sizes[i] / plan.part_size + (sizes[i] % plan.part_size > 0));
    }
    auto_arena struct arena arena = {0};
    struct parts_plan plan;
    assert_int_equal(parts_begin(house->store, &arena, ALICE, file.sha256, -1, &plan, &house->err), INVALID);
}

static void parts_in_order_make_the_file(void **state)
{
    auto_upload struct upload upload = begin(*state);
    for (int64_t i = 1; i <= 3; i++)
        send(&upload, i);
    assert_finished(&upload);
    assert_int_equal(findings(*state), 0);
}

static void parts_out_of_order_make_the_file(void **state)
{
    auto_upload struct upload upload = begin(*state);
    for (int64_t i = 3; i >= 1; i--)
        send(&upload, i);
    assert_finished(&upload);
}

static void a_part_sent_again_with_the_same_bytes_keeps_its_etag(void **state)
{
    auto_upload struct upload upload = begin(*state);
    char before[33];
    send(&upload, 1);
    send(&upload, 2);
    memcpy(before, upload.etags[1], 33);
    send(&upload, 1);
    assert_string_equal(before, upload.etags[1]);
    send(&upload, 3);
    assert_finished(&upload);
}

static void a_part_sent_again_with_other_bytes_spoils_the_file(void **state)
{
    auto_upload struct upload upload = begin(*state);
    char before[33];
    for (int64_t i = 1; i <= 3; i++)
        send(&upload, i);
    memcpy(before, upload.etags[2], 33);
    send_changed(&upload, 2, 12345678);
    assert_string_not_equal(before, upload.etags[2]);
    assert_spoilt(&upload);
}

static void the_right_bytes_sent_last_make_the_file(void **state)
{
    auto_upload struct upload upload = begin(*state);
    send_changed(&upload, 1, 0);
    send(&upload, 2);
    send_changed(&upload, 3, 999);
    send(&upload, 3);
    send(&upload, 1);
    assert_finished(&upload);
}

static void a_wrong_part_is_caught_when_all_came_in_order(void **state)
{
    auto_upload struct upload upload = begin(*state);
    send(&upload, 1);
    send_changed(&upload, 2, PART - 1);
    send(&upload, 3);
    assert_spoilt(&upload);
}

static void a_part_that_broke_off_can_be_sent_again(void **state)
{
    auto_upload struct upload upload = begin(*state);
    send_half(&upload, 1, 7777777, false);
    send(&upload, 1);
    send_half(&upload, 2, 30000000, true);
    send(&upload, 2);
    send(&upload, 3);
    assert_finished(&upload);
}

static void a_part_that_broke_off_over_a_complete_one_has_to_be_sent_again(void **state)
{
    auto_upload struct upload upload = begin(*state);
    for (int64_t i = 1; i <= 3; i++)
        send(&upload, i);
    send_half(&upload, 2, 5000000, false);
    send_half(&upload, 2, 6000000, true);
    assert_int_equal(finish(&upload), INVALID);
    assert_non_null(strstr(((struct house *)*state)->err.message, "Part 2"));
    send(&upload, 2);
    assert_finished(&upload);
}

static void a_missing_part_is_named(void **state)
{
    struct house *house = *state;
    auto_upload struct upload upload = begin(house);
    send(&upload, 1);
    send(&upload, 3);
    memcpy(upload.etags[2], upload.etags[1], 33);
    assert_int_equal(finish(&upload), INVALID);
    assert_non_null(strstr(house->err.message, "Part 2"));
    send(&upload, 2);
    assert_finished(&upload);
}

static void each_part_must_be_claimed_with_its_etag(void **state)
{
    struct house *house = *state;
    auto_upload struct upload upload = begin(house);
    for (int64_t i = 1; i <= 3; i++)
        send(&upload, i);
    char quoted[3][35];
    struct part_claim claims[3];
    for (int i = 0; i < 3; i++) {
        snprintf(quoted[i], sizeof(quoted[i]), "\"%s\"", upload.etags[i + 1]);
        claims[i] = (struct part_claim){i + 1, str_of(quoted[i])};
    }
    assert_int_equal(finish_with(&upload, claims, 2), INVALID);
    assert_non_null(strstr(house->err.message, "Part 3"));
    assert_int_equal(finish_with(&upload, NULL, 0), INVALID);
    assert_non_null(strstr(house->err.message, "Part 1"));
    claims[1].etag = str_of(quoted[0]);
    assert_int_equal(finish_with(&upload, claims, 3), INVALID);
    assert_non_null(strstr(house->err.message, "Part 2"));
    claims[1] = (struct part_claim){4, str_of(quoted[1])};
    assert_int_equal(finish_with(&upload, claims, 3), INVALID);
    claims[1].number = -1;
    assert_int_equal(finish_with(&upload, claims, 3), INVALID);
    claims[1] = (struct part_claim){2, STR("\"")};
    assert_int_equal(finish_with(&upload, claims, 3), INVALID);
    claims[1] = (struct part_claim){2, str_of(quoted[1])};
    assert_int_equal(finish_with(&upload, claims, 3), OK);
    assert_stored(house, ALICE, &file);
}

static void an_upload_goes_on_after_a_restart(void **state)
{
    struct house *house = *state;
    auto_upload struct upload upload = begin(house);
    send(&upload, 1);
    house_restart(house);
    auto_upload struct upload again = begin(house);
    assert_true(str_eq(upload.plan.id, again.plan.id));
    send(&upload, 2);
    send(&upload, 3);
    assert_finished(&upload);
}

static void a_part_spoilt_before_a_restart_is_caught_after_it(void **state)
{
    auto_upload struct upload upload = begin(*state);
    send(&upload, 1);
    send_changed(&upload, 2, 1);
    house_restart(*state);
    send(&upload, 3);
    assert_spoilt(&upload);
}

static void finishing_again_is_fine(void **state)
{
    auto_upload struct upload upload = begin(*state);
    for (int64_t i = 1; i <= 3; i++)
        send(&upload, i);
    assert_finished(&upload);
    assert_finished(&upload);
    house_restart(*state);
    assert_finished(&upload);
    struct part *part = NULL;
    assert_int_equal(open_part(&upload, 1, &part), CONFLICT);
}

static void only_the_repo_it_was_begun_for_can_use_an_upload(void **state)
{
    struct house *house = *state;
    auto_upload struct upload upload = begin(house), others = begin_for(house, BOB);
    assert_false(str_eq(upload.plan.id, others.plan.id));
    struct part *part = NULL;
    assert_int_equal(part_open(house->store, upload.plan.id, BOB, 1, PART, &part, &house->err), NOT_FOUND);
    assert_int_equal(parts_finish(house->store, upload.plan.id, BOB, NULL, 0, &house->err), NOT_FOUND);
    assert_int_equal(part_open(house->store, upload.plan.id, ALICE, 1, PART, &part, &house->err), OK);
    part_drop(&part);
    assert_int_equal(part_open(house->store, STR("../../cairn.db"), ALICE, 1, PART, &part, &house->err), NOT_FOUND);
    release(house, ALICE);
    assert_int_equal(part_open(house->store, upload.plan.id, ALICE, 1, PART, &part, &house->err), NOT_FOUND);
}

static void a_part_has_the_length_that_the_plan_gives_it(void **state)
{
    struct house *house = *state;
    auto_upload struct upload upload = begin(house);
    static const int64_t wrong[][2] = {{0, PART}, {4, 1000}, {-1, PART},    {INT64_MAX, PART}, {1, PART - 1},
                                       {1, 0},    {1, -1},   {2, PART + 1}, {3, PART},         {3, 999}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct part *part = NULL;
        assert_int_equal(part_open(house->store, upload.plan.id, ALICE, wrong[i][0], wrong[i][1], &part, &house->err),
                         INVALID);
    }
    char etag[33];
    struct part *part = NULL;
    assert_int_equal(open_part(&upload, 3, &part), OK);
    assert_int_equal(part_write(part, file.data, 999, &house->err), OK);
    assert_int_equal(part_write(part, file.data, 2, &house->err), INVALID);
    assert_int_equal(part_keep(&part, etag, &house->err), INVALID);
    assert_null(part);
}

static void a_part_is_received_by_one_at_a_time(void **state)
{
    auto_upload struct upload upload = begin(*state);
    auto_part struct part *first = NULL, *second = NULL, *other = NULL;
    assert_int_equal(open_part(&upload, 1, &first), OK);
    assert_int_equal(open_part(&upload, 1, &second), CONFLICT);
    assert_int_equal(open_part(&upload, 2, &other), OK);
    assert_int_equal(finish(&upload), CONFLICT);
    part_drop(&first);
    assert_int_equal(open_part(&upload, 1, &second), OK);
}

struct sender {
    struct upload *upload;
    int64_t number;
    enum status status;
};

/* The threads share nothing of the upload but what they read. */
static void *send_thread(void *context)
{
    struct sender *sender = context;
    struct upload *upload = sender->upload;
    struct error err;
    auto_part struct part *part = NULL;
    int64_t number = sender->number;
    sender->status = part_open(upload->house->store, upload->plan.id, ALICE, number, length_of(number), &part, &err);
    for (int64_t at = 0, len = length_of(number); at < len && sender->status == OK; at += 1000)
        sender->status =
            part_write(part, file.data + (number - 1) * PART + at, len - at < 1000 ? (size_t)(len - at) : 1000, &err);
    if (sender->status == OK)
        sender->status = part_keep(&part, upload->etags[number], &err);
    return NULL;
}

static void *finish_thread(void *context)
{
    struct sender *sender = context;
    struct upload upload = *sender->upload;
    struct house house = *upload.house; /* for an error of its own */
    upload.house = &house;
    sender->status = finish(&upload);
    return NULL;
}

static void in_three_threads(struct upload *upload, void *(*run)(void *))
{
    pthread_t threads[3];
    struct sender senders[3];
    for (int64_t i = 0; i < 3; i++) {
        senders[i] = (struct sender){upload, i + 1, INTERNAL};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &senders[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(senders[i].status, OK);
}

static void parts_can_be_sent_and_finished_by_several_threads(void **state)
{
    auto_upload struct upload upload = begin(*state);
    in_three_threads(&upload, send_thread);
    in_three_threads(&upload, finish_thread);
    assert_finished(&upload);
}

static void an_upload_that_lost_its_file_begins_anew(void **state)
{
    struct house *house = *state;
    auto_upload struct upload lost = begin(house);
    send(&lost, 3);
    assert_int_equal(files_in(house, "incoming"), 1);
    assert_int_equal(unlink(file_seen), 0);
    assert_int_equal(send_bytes(&lost, 1, file.data), NOT_FOUND);
    assert_int_equal(finish(&lost), NOT_FOUND);
    auto_upload struct upload fresh = begin(house), again = begin(house);
    assert_false(str_eq(lost.plan.id, fresh.plan.id));
    assert_true(str_eq(fresh.plan.id, again.plan.id));
}

/* Sends a content of 1000 bytes as the only part of an upload. */
static void start_small(struct house *house, struct arena *arena, const struct content *small, struct parts_plan *plan,
                        char etag[33])
{
    auto_part struct part *part = NULL;
    assert_int_equal(parts_begin(house->store, arena, ALICE, small->sha256, 1000, plan, &house->err), OK);
    assert_int_equal(part_open(house->store, plan->id, ALICE, 1, 1000, &part, &house->err), OK);
    assert_int_equal(part_write(part, small->data, 1000, &house->err), OK);
    assert_int_equal(part_keep(&part, etag, &house->err), OK);
}

struct meddler {
    struct house *house;
    const struct content *content;
    struct str id;
    atomic_bool stop;
    bool too_late; /* a part could be opened though the upload was finished */
};

/* Begins to send the only part again and again. */
static void *meddle_thread(void *context)
{
    struct meddler *meddler = context;
    struct house house = *meddler->house; /* for an error of its own */
    while (!atomic_load(&meddler->stop)) {
        struct object object;
        auto_part struct part *part = NULL;
        if (part_open(house.store, meddler->id, ALICE, 1, 1000, &part, &house.err) == OK)
            meddler->too_late |= lookup(&house, ALICE, meddler->content, &object) == OK;
    }
    return NULL;
}

static void no_part_can_be_opened_once_the_upload_is_finished(void **state)
{
    struct house *house = *state;
    for (uint64_t round = 0; round < 100; round++) {
        auto_content struct content small = content_of(100 + round, 1000);
        auto_arena struct arena arena = {0};
        struct parts_plan plan;
        char etag[33];
        pthread_t thread;
        start_small(house, &arena, &small, &plan, etag);
        struct part_claim claim = {1, str_of(etag)};
        struct meddler meddler = {.house = house, .content = &small, .id = plan.id};
        assert_int_equal(pthread_create(&thread, NULL, meddle_thread, &meddler), 0);
        enum status status = CONFLICT;
        while (status == CONFLICT)
            status = parts_finish(house->store, plan.id, ALICE, &claim, 1, &house->err);
        atomic_store(&meddler.stop, true);
        pthread_join(thread, NULL);
        assert_int_equal(status, OK);
        assert_false(meddler.too_late);
        assert_stored(house, ALICE, &small);
    }
}

struct finisher {
    struct house *house;
    struct str id;
    struct part_claim claim;
    enum status status;
};

static void *finish_small_thread(void *context)
{
    struct finisher *finisher = context;
    struct error err;
    finisher->status = parts_finish(finisher->house->store, finisher->id, ALICE, &finisher->claim, 1, &err);
    return NULL;
}

static void calls_to_finish_at_the_same_time_all_succeed(void **state)
{
    struct house *house = *state;
    for (uint64_t round = 0; round < 50; round++) {
        auto_content struct content small = content_of(100 + round, 1000);
        auto_arena struct arena arena = {0};
        struct parts_plan plan;
        char etag[33];
        pthread_t threads[4];
        struct finisher finishers[4];
        start_small(house, &arena, &small, &plan, etag);
        for (int i = 0; i < 4; i++) {
            finishers[i] = (struct finisher){house, plan.id, {1, str_of(etag)}, INTERNAL};
            assert_int_equal(pthread_create(&threads[i], NULL, finish_small_thread, &finishers[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 4; i++)
            assert_int_equal(finishers[i].status, OK);
        assert_stored(house, ALICE, &small);
    }
}

static int make_file(void **state)
{
    (void)state;
    struct merkle merkle = {0};
    struct cutter cutter = {0};
    store_part_least = PART;
    file = content_of(7, SIZE);
    for (size_t at = 0, len; at < file.len; at += len) {
        len = cutter_next(&cutter, (const uint8_t *)file.data + at, file.len - at);
        len = len ? len : file.len - at;
        struct chunk_hash hash = chunk_hash_of(file.data + at, len);
        merkle_add(&merkle, &hash, len);
    }
    struct chunk_hash root = merkle_root(&merkle);
    file_hash = file_hash_of(&root);
    return 0;
}

static int free_file(void **state)
{
    (void)state;
    content_free(&file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_plan_covers_the_file_in_few_parts),
        in_a_house(parts_in_order_make_the_file),
        in_a_house(parts_out_of_order_make_the_file),
        in_a_house(a_part_sent_again_with_the_same_bytes_keeps_its_etag),
        in_a_house(a_part_sent_again_with_other_bytes_spoils_the_file),
        in_a_house(the_right_bytes_sent_last_make_the_file),
        in_a_house(a_wrong_part_is_caught_when_all_came_in_order),
        in_a_house(a_part_that_broke_off_can_be_sent_again),
        in_a_house(a_part_that_broke_off_over_a_complete_one_has_to_be_sent_again),
        in_a_house(a_missing_part_is_named),
        in_a_house(each_part_must_be_claimed_with_its_etag),
        in_a_house(an_upload_goes_on_after_a_restart),
        in_a_house(a_part_spoilt_before_a_restart_is_caught_after_it),
        in_a_house(finishing_again_is_fine),
        in_a_house(only_the_repo_it_was_begun_for_can_use_an_upload),
        in_a_house(a_part_has_the_length_that_the_plan_gives_it),
        in_a_house(a_part_is_received_by_one_at_a_time),
        in_a_house(parts_can_be_sent_and_finished_by_several_threads),
        in_a_house(an_upload_that_lost_its_file_begins_anew),
        in_a_house(calls_to_finish_at_the_same_time_all_succeed),
        in_a_house(no_part_can_be_opened_once_the_upload_is_finished),
    };
    return cmocka_run_group_tests(tests, make_file, free_file);
}
