/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is hashed ahead of a shard: only what is the file's own beginning counts, and the SHA-256 is the same with it or without. */
#include "xorb_fixture.h"

#define CHUNK 50000
#define CHUNKS 4
#define LENGTH (CHUNKS * CHUNK)
#define REPO 7

struct sent {
    struct content content;
    struct wire wire;
};

static struct sent xorb_of(uint64_t seed, enum scheme scheme)
{
    struct sent sent = {.content = content_of(seed, LENGTH)};
    for (size_t i = 0; scheme != SCHEME_NONE && i < sent.content.len; i++)
        sent.content.data[i] &= 0x11; /* so that it can be packed */
    sent.wire = wire_of(&sent.content, CHUNK, scheme);
    return sent;
}

static void sent_free(struct sent *sent)
{
    content_free(&sent->content);
    wire_free(&sent->wire);
}
#define auto_sent __attribute__((cleanup(sent_free)))

static struct xorb_receipt *begin_since(struct house *house, int64_t account, int64_t repo, int64_t since)
{
    struct xorb_receipt *receipt;
    assert_int_equal(xorb_receipt_open(house->store, &receipt, &house->err), OK);
    xorb_receipt_sender(receipt, account, repo, since);
    return receipt;
}

static struct xorb_receipt *begin(struct house *house, int64_t account, int64_t repo)
{
    return begin_since(house, account, repo, 0);
}

static void finish(struct house *house, struct xorb_receipt *receipt, int64_t account, const struct sent *sent)
{
    bool was_new;
    assert_int_equal(xorb_receipt_write(receipt, sent->wire.bytes.data, sent->wire.bytes.len, &house->err), OK);
    assert_int_equal(xorb_receipt_keep(&receipt, account, &sent->wire.hash, &was_new, &house->err), OK);
}

static void send_one(struct house *house, int64_t account, int64_t repo, const struct sent *sent)
{
    finish(house, begin(house, account, repo), account, sent);
}

/* A file made of ranges of chunks. */
struct range {
    const struct sent *sent;
    uint32_t start, end;
};
#define RANGES(...) (const struct range[]){__VA_ARGS__}, sizeof((struct range[]){__VA_ARGS__}) / sizeof(struct range)
#define WHOLE(sent)                                                                                                    \
    {                                                                                                                  \
        &(sent), 0, CHUNKS                                                                                             \
    }

static const char *data_of(const struct range *range, uint32_t chunk)
{
    return range->sent->content.data + (size_t)chunk * CHUNK;
}

static void add(struct house *house, struct file_draft *draft, const struct range *range)
{
    struct xorb xorb = stored_xorb(house, &range->sent->wire.hash);
    struct term_proof *proof = term_proof_new();
    for (uint32_t i = range->start; i < range->end; i++) {
        struct chunk_hash hash = chunk_hash_of(data_of(range, i), CHUNK);
        term_proof_add(proof, &hash);
    }
    struct chunk_hash proven = term_proof_end(proof);
    term_proof_free(proof);
    assert_int_equal(file_draft_add(draft, &xorb, range->start, range->end, (range->end - range->start) * CHUNK,
                                    &proven, &house->err),
                     OK);
}

static struct file_draft *draft_of(struct house *house, const struct range *ranges, size_t count,
                                   uint8_t digest[SHA256_SIZE])
{
    struct merkle merkle = {0};
    struct hasher *hasher = hasher_sha256();
    for (size_t i = 0; i < count; i++)
        for (uint32_t chunk = ranges[i].start; chunk < ranges[i].end; chunk++) {
            struct chunk_hash hash = chunk_hash_of(data_of(&ranges[i], chunk), CHUNK);
            merkle_add(&merkle, &hash, CHUNK);
            hasher_add(hasher, data_of(&ranges[i], chunk), CHUNK);
        }
    hasher_end(hasher, digest);
    hasher_free(hasher);
    struct chunk_hash root = merkle_root(&merkle);
    struct file_draft *draft = file_draft_new(house->store, file_hash_of(&root));
    for (size_t i = 0; i < count; i++)
        add(house, draft, &ranges[i]);
    return draft;
}

static enum status note_bytes(void *context, int64_t bytes, struct error *err)
{
    (void)err;
    *(int64_t *)context = bytes;
    return OK;
}

/* The shard of a file. Returns how many of its bytes had to be read then; the SHA-256 is checked beside. */
static int64_t register_file(struct house *house, int64_t account, int64_t repo, const struct range *ranges,
                             size_t count)
{
    int64_t read = 0;
    uint8_t digest[SHA256_SIZE];
    guess_settle(house->store->guess);
    struct file_draft *draft = draft_of(house, ranges, count, digest);
    file_draft_sender(draft, account, repo);
    assert_int_equal(file_draft_verify(draft, repo, digest, note_bytes, &read, &house->err), OK);
    assert_int_equal(file_drafts_keep(house->store, repo, &draft, 1, &house->err), OK);
    file_draft_free(&draft);
    return read;
}

static void xorbs_that_begin_in_the_order_of_the_file_are_hashed_ahead(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_LZ4), c = xorb_of(3, SCHEME_GROUP4_LZ4);
    send_one(house, ALICE, REPO, &a);
    send_one(house, ALICE, REPO, &b);
    send_one(house, ALICE, REPO, &c);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b), WHOLE(c))), 0);
}

static void xorbs_that_end_in_another_order_are_hashed_ahead_too(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    struct xorb_receipt *first = begin(house, ALICE, REPO), *second = begin(house, ALICE, REPO);
    finish(house, second, ALICE, &b);
    finish(house, first, ALICE, &a);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), 0);
}

static void a_request_that_was_overtaken_on_its_way_is_where_it_began(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    struct xorb_receipt *second = begin_since(house, ALICE, REPO, 20), *first = begin_since(house, ALICE, REPO, 10);
    finish(house, second, ALICE, &b);
    finish(house, first, ALICE, &a);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), 0);
}

static void a_xorb_that_was_verified_and_not_kept_ends_the_guess(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    bool was_new;
    struct xorb_receipt *lost = begin(house, ALICE, REPO);
    assert_int_equal(xorb_receipt_write(lost, a.wire.bytes.data, a.wire.bytes.len, &house->err), OK);
    run_sql(house, "CREATE TRIGGER full BEFORE INSERT ON container BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_int_not_equal(xorb_receipt_keep(&lost, ALICE, &a.wire.hash, &was_new, &house->err), OK);
    run_sql(house, "DROP TRIGGER full");
    send_one(house, ALICE, REPO, &b);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(b))), LENGTH);
}

static void xorbs_that_begin_in_another_order_are_not_used(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    send_one(house, ALICE, REPO, &b);
    send_one(house, ALICE, REPO, &a);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), 2 * LENGTH);
}

static void a_xorb_that_is_used_in_part_ends_what_is_used(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE), c = xorb_of(3, SCHEME_NONE);
    send_one(house, ALICE, REPO, &a);
    send_one(house, ALICE, REPO, &b);
    send_one(house, ALICE, REPO, &c);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), {&b, 0, 3}, WHOLE(c))), LENGTH + 3 * CHUNK);
}

static void a_xorb_used_from_its_second_chunk_on_is_not_used(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE);
    send_one(house, ALICE, REPO, &a);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES({&a, 1, CHUNKS})), LENGTH - CHUNK);
}

static void what_somebody_else_sent_or_for_another_repo_is_not_used(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE);
    send_one(house, ALICE, REPO, &a);
    assert_int_equal(register_file(house, BOB, REPO, RANGES(WHOLE(a))), LENGTH);
    assert_int_equal(register_file(house, ALICE, REPO + 1, RANGES(WHOLE(a))), LENGTH);
    assert_int_equal(register_file(house, 0, REPO + 2, RANGES(WHOLE(a))), LENGTH);
}

static void a_xorb_that_was_forgotten_and_sent_again_is_not_used(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE);
    send_one(house, ALICE, REPO, &a);
    guess_settle(house->store->guess);
    run_sql(house, "DELETE FROM xorb_sender; DELETE FROM dedup_key; DELETE FROM xorb; DELETE FROM container");
    send_xorb(house, ALICE, &a.wire);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a))), LENGTH);
}

static void a_xorb_that_was_refused_is_left_out(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    struct xorb_receipt *refused = begin(house, ALICE, REPO);
    send_one(house, ALICE, REPO, &a);
    send_one(house, ALICE, REPO, &b);
    assert_int_equal(xorb_receipt_write(refused, "\x01 is no version", 16, &house->err), INVALID);
    xorb_receipt_drop(&refused);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), 0);
}

static void a_xorb_that_still_comes_is_not_jumped_over(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    auto_xorb_receipt struct xorb_receipt *coming = begin(house, ALICE, REPO);
    send_one(house, ALICE, REPO, &a);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a))), LENGTH);
    send_one(house, ALICE, REPO, &b); /* of the next file, which the one that still comes does not belong to */
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(b))), 0);
}

static void the_announced_sha256_is_compared_with_what_was_hashed_ahead(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE);
    uint8_t digest[SHA256_SIZE];
    send_one(house, ALICE, REPO, &a);
    guess_settle(house->store->guess);
    struct file_draft *draft = draft_of(house, RANGES(WHOLE(a)), digest);
    file_draft_sender(draft, ALICE, REPO);
    digest[0] ^= 1;
    assert_int_equal(file_draft_verify(draft, REPO, digest, NULL, NULL, &house->err), INVALID);
    file_draft_free(&draft);
    /* The client says it again, rightly: what was hashed is still there. */
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a))), 0);
}

static void the_bytes_are_those_in_the_store(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    uint8_t digest[SHA256_SIZE];
    struct xorb_receipt *first = begin(house, ALICE, REPO);
    send_one(house, ALICE, REPO, &b);
    struct xorb stored = stored_xorb(house, &b.wire.hash);
    auto_conn struct db_conn *conn = NULL;
    auto_fd int fd = -1;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(container_open(house->store, conn, stored.container, &fd, &house->err), OK);
    db_release(&conn);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    FILE *damaged = fopen(link, "r+");
    fputc(a.content.data[0] ^ 1, damaged);
    fclose(damaged);
    finish(house, first, ALICE, &a);
    guess_settle(house->store->guess);
    struct file_draft *draft = draft_of(house, RANGES(WHOLE(a), WHOLE(b)), digest);
    file_draft_sender(draft, ALICE, REPO);
    assert_int_equal(file_draft_verify(draft, REPO, digest, NULL, NULL, &house->err), INVALID);
    file_draft_free(&draft);
}

static void after_a_right_guess_there_is_another_and_after_a_wrong_one_not_for_a_while(void **state)
{
    struct house *house = *state;
    for (uint64_t i = 0; i < 3; i++) {
        auto_sent struct sent a = xorb_of(10 + i, SCHEME_NONE);
        send_one(house, ALICE, REPO, &a);
        assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a))), 0);
    }
    for (uint64_t i = 0; i < 10; i++) {
        auto_sent struct sent a = xorb_of(20 + 2 * i, SCHEME_NONE), b = xorb_of(21 + 2 * i, SCHEME_NONE);
        send_one(house, ALICE, REPO, &a);
        send_one(house, ALICE, REPO, &b);
        if (i == 0) /* two files that come beside each other would do the same */
            assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(b), WHOLE(a))), 2 * LENGTH);
        else
            assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), i < 9 ? 2 * LENGTH : 0);
    }
}

static void who_began_longest_ago_makes_room(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE);
    for (int64_t account = 1; account <= 9; account++)
        send_one(house, account, REPO, &a);
    assert_int_equal(register_file(house, 2, REPO, RANGES(WHOLE(a))), 0);
    assert_int_equal(register_file(house, 1, REPO, RANGES(WHOLE(a), WHOLE(a))), 2 * LENGTH);
}

static void of_many_xorbs_only_the_last_states_are_kept(void **state)
{
    struct house *house = *state;
    struct sent xorbs[40];
    struct range ranges[40];
    for (uint64_t i = 0; i < 40; i++) {
        xorbs[i] = xorb_of(100 + i, SCHEME_NONE);
        ranges[i] = (struct range)WHOLE(xorbs[i]);
        send_one(house, ALICE, REPO, &xorbs[i]);
    }
    guess_settle(house->store->guess);
    uint8_t digest[SHA256_SIZE];
    int64_t read = 0;
    for (size_t count = 40; count > 0; count--) {
        struct file_draft *draft = draft_of(house, ranges, count, digest);
        file_draft_sender(draft, ALICE, REPO);
        assert_int_equal(file_draft_verify(draft, REPO, digest, note_bytes, &read, &house->err), OK);
        assert_int_equal(read, count > 8 ? 0 : (int64_t)count * LENGTH);
        file_draft_free(&draft);
    }
    for (size_t i = 0; i < 40; i++)
        sent_free(&xorbs[i]);
}

static void a_store_may_close_at_any_time(void **state)
{
    struct house *house = *state;
    auto_sent struct sent a = xorb_of(1, SCHEME_NONE), b = xorb_of(2, SCHEME_NONE);
    send_one(house, ALICE, REPO, &a);
    send_one(house, ALICE, REPO, &b);
    house_restart(house);
    assert_int_equal(register_file(house, ALICE, REPO, RANGES(WHOLE(a), WHOLE(b))), 2 * LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(xorbs_that_begin_in_the_order_of_the_file_are_hashed_ahead),
        in_a_house(xorbs_that_end_in_another_order_are_hashed_ahead_too),
        in_a_house(a_request_that_was_overtaken_on_its_way_is_where_it_began),
        in_a_house(a_xorb_that_was_verified_and_not_kept_ends_the_guess),
        in_a_house(xorbs_that_begin_in_another_order_are_not_used),
        in_a_house(a_xorb_that_is_used_in_part_ends_what_is_used),
        in_a_house(a_xorb_used_from_its_second_chunk_on_is_not_used),
        in_a_house(what_somebody_else_sent_or_for_another_repo_is_not_used),
        in_a_house(a_xorb_that_was_forgotten_and_sent_again_is_not_used),
        in_a_house(a_xorb_that_was_refused_is_left_out),
        in_a_house(a_xorb_that_still_comes_is_not_jumped_over),
        in_a_house(the_announced_sha256_is_compared_with_what_was_hashed_ahead),
        in_a_house(the_bytes_are_those_in_the_store),
        in_a_house(after_a_right_guess_there_is_another_and_after_a_wrong_one_not_for_a_while),
        in_a_house(who_began_longest_ago_makes_room),
        in_a_house(of_many_xorbs_only_the_last_states_are_kept),
        in_a_house(a_store_may_close_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
