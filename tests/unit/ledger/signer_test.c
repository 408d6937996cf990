/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signer, asked by somebody who has got hold of the hub and would like a second history. */
#include "house.h"
#include "ledger/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct desk {
    struct signing signing;
    struct signed_tree last;
    struct buf vkey;
};

static enum status desk_try_open(struct house *house, struct desk *desk)
{
    *desk = (struct desk){0};
    assert_int_equal(folder_make(house->folder, 0700, NULL), OK);
    assert_int_equal(signing_start(&desk->signing, "/proc/self/exe", house->folder, &house->err), OK);
    return signing_open(&desk->signing, ORIGIN, &desk->last, &desk->vkey, &house->err);
}

static void desk_open(struct house *house, struct desk *desk)
{
    if (desk_try_open(house, desk) != OK)
        fail_msg("%s", house->err.message);
}

static void desk_close(struct desk *desk)
{
    signing_stop(&desk->signing);
    buf_free(&desk->vkey);
}

/* A tree in memory whose entries are of one kind; trees of two kinds have nothing in common. */
struct forest {
    char kind;
};

static enum status forest_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    struct forest *forest = context;
    (void)err;
    if (level == 0) {
        char text[32];
        int len = snprintf(text, sizeof text, "%c%llu", forest->kind, (unsigned long long)index);
        *out = tlog_leaf_hash((struct str){text, (size_t)len});
        return OK;
    }
    struct tlog_hash left, right;
    forest_node(context, level - 1, 2 * index, &left, err);
    forest_node(context, level - 1, 2 * index + 1, &right, err);
    *out = tlog_node_hash(&left, &right);
    return OK;
}

static struct tlog_hash forest_root(char kind, uint64_t size)
{
    struct forest forest = {kind};
    struct tlog_source source = {forest_node, &forest};
    struct tlog_frontier frontier;
    assert_int_equal(tlog_frontier_read(&source, size, &frontier, NULL), OK);
    return tlog_root(&frontier);
}

static struct tlog_path forest_proof(char kind, uint64_t from, uint64_t to)
{
    struct forest forest = {kind};
    struct tlog_source source = {forest_node, &forest};
    struct tlog_path path;
    assert_int_equal(tlog_prove_consistency(&source, from, to, &path, NULL), OK);
    return path;
}

static enum status ask_text(struct house *house, struct desk *desk, struct str text, const struct tlog_path *proof,
                            struct buf *line)
{
    return signing_sign(&desk->signing, text, proof, line, &house->err);
}

/* Asks for the tree of that kind and size with the proof that it continues the first from entries of it. */
static enum status ask(struct house *house, struct desk *desk, char kind, uint64_t from, uint64_t size)
{
    auto_buf struct buf text = {0}, line = {0};
    struct checkpoint checkpoint = {ORIGIN, size, forest_root(kind, size), {0}};
    struct tlog_path proof = forest_proof(kind, from, size);
    checkpoint_write(&text, &checkpoint);
    return ask_text(house, desk, buf_view(&text), &proof, &line);
}

/* A signer of its own asked for one thing, which it must refuse; and then it must not have forgotten anything. */
static void assert_refused(struct house *house, char kind, uint64_t from, uint64_t size, uint64_t remembered)
{
    struct desk desk;
    desk_open(house, &desk);
    assert_int_equal(desk.last.size, remembered);
    assert_int_equal(ask(house, &desk, kind, from, size), CORRUPT);
    assert_int_equal(ask(house, &desk, 'a', remembered, remembered), UNAVAILABLE); /* it has ended */
    desk_close(&desk);
    desk_open(house, &desk);
    assert_int_equal(desk.last.size, remembered);
    struct tlog_hash root = forest_root('a', remembered);
    assert_memory_equal(desk.last.root.bytes, root.bytes, SHA256_SIZE);
    assert_int_equal(ask(house, &desk, 'a', remembered, remembered), OK);
    desk_close(&desk);
}

static void sign_first(struct house *house, uint64_t size)
{
    struct desk desk;
    desk_open(house, &desk);
    assert_int_equal(ask(house, &desk, 'a', 0, size), OK);
    desk_close(&desk);
}

static void a_tree_that_continues_the_last_one_is_signed(void **state)
{
    struct house *house = *state;
    struct desk desk;
    uint64_t size = 0;
    desk_open(house, &desk);
    for (uint64_t next = 0; next < 300; next += 1 + next / 3) {
        assert_int_equal(ask(house, &desk, 'a', size, next), OK);
        size = next;
    }
    desk_close(&desk);
    desk_open(house, &desk);
    assert_int_equal(desk.last.size, size);
    desk_close(&desk);
}

static void the_signature_is_that_of_the_key_it_names(void **state)
{
    struct house *house = *state;
    struct desk desk;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0}, line = {0};
    struct tlog_path none = {0};
    struct note_verifier verifier;
    struct note note;
    struct checkpoint checkpoint = {ORIGIN, 5, forest_root('a', 5), {0}};
    desk_open(house, &desk);
    checkpoint_write(&text, &checkpoint);
    assert_int_equal(ask_text(house, &desk, buf_view(&text), &none, &line), OK);
    buf_byte(&text, '\n');
    buf_str(&text, buf_view(&line));
    assert_int_equal(note_verifier_parse(&arena, buf_view(&desk.vkey), &verifier, &house->err), OK);
    assert_int_equal(checkpoint_open(&arena, buf_view(&text), &verifier, &note, &checkpoint, &house->err), OK);
    desk_close(&desk);
}

static void another_tree_of_the_same_size_is_refused(void **state)
{
    sign_first(*state, 7);
    assert_refused(*state, 'b', 7, 7, 7);
}

static void a_smaller_tree_is_refused_even_a_true_beginning(void **state)
{
    sign_first(*state, 7);
    assert_refused(*state, 'a', 6, 6, 7);
    assert_refused(*state, 'a', 0, 0, 7);
}

static void a_larger_tree_is_refused_without_its_proof(void **state)
{
    sign_first(*state, 7);
    assert_refused(*state, 'a', 0, 20, 7);
    assert_refused(*state, 'a', 6, 20, 7);
    assert_refused(*state, 'b', 7, 20, 7);
}

static void hashes_where_nothing_is_to_be_proved_are_refused(void **state)
{
    struct house *house = *state;
    sign_first(house, 0);
    assert_refused(house, 'a', 3, 20, 0);
}

static void what_is_not_a_plain_checkpoint_of_this_log_is_refused(void **state)
{
    struct house *house = *state;
    static const char *const bad[] = {
        "",
        "x",
        "hub.example.org/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "hub.example.org/log/2\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "hub.example.org/log/1\n00\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "hub.example.org/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n",
        "hub.example.org/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n",
    };
    struct tlog_path none = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct desk desk;
        auto_buf struct buf line = {0};
        desk_open(house, &desk);
        assert_int_equal(ask_text(house, &desk, str_of(bad[i]), &none, &line), INVALID);
        desk_close(&desk);
    }
}

static void assert_answer_refuses(struct house *house, struct str packet, bool open_first)
{
    struct desk desk;
    char answer[SIGNER_PACKET_MOST];
    if (open_first) {
        desk_open(house, &desk);
    } else {
        desk = (struct desk){0};
        assert_int_equal(folder_make(house->folder, 0700, NULL), OK);
        assert_int_equal(signing_start(&desk.signing, "/proc/self/exe", house->folder, &house->err), OK);
    }
    assert_int_equal(send(desk.signing.socket, packet.data, packet.len, MSG_NOSIGNAL), packet.len);
    ssize_t got = recv(desk.signing.socket, answer, sizeof answer, 0);
    assert_true(got > 2 && answer[0] == SIGNER_REFUSED && answer[1] == INVALID);
    desk_close(&desk);
}

static void malformed_requests_are_refused(void **state)
{
    static char large[SIGNER_PACKET_MOST + 100] = {SIGNER_SIGN, 65};
    assert_answer_refuses(*state, STR("?"), false);
    assert_answer_refuses(*state, STR("S"), false);
    assert_answer_refuses(*state, STR("S\0hub.example.org/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"),
                          false);
    assert_answer_refuses(*state, STR("?"), true);
    assert_answer_refuses(*state, STR("Ohub.example.org/log/1"), true);
    assert_answer_refuses(*state, STR("S"), true);
    assert_answer_refuses(*state, STR("S\1too short for a hash"), true);
    assert_answer_refuses(*state, (struct str){large, sizeof large}, true);
}

/* How the signer takes it when the file is as change makes it; it has signed twice before, so both slots are in use. */
static enum status open_after(struct house *house, const char *name, void (*change)(struct buf *content),
                              uint64_t *size)
{
    struct desk desk;
    auto_buf struct buf content = {0};
    desk_open(house, &desk);
    assert_int_equal(ask(house, &desk, 'a', 0, 3), OK);
    assert_int_equal(ask(house, &desk, 'a', 3, 8), OK);
    desk_close(&desk);
    write_file(house, "entries", STR(""));
    read_file(house, name, &content);
    change(&content);
    write_file(house, name, buf_view(&content));
    enum status status = desk_try_open(house, &desk);
    *size = desk.last.size;
    desk_close(&desk);
    return status;
}

static void change_nothing(struct buf *content)
{
    (void)content;
}
static void tear_slots(struct buf *content)
{
    content->data[30] ^= 1;
    content->data[4096 + 30] ^= 1;
}
static void tear_newest_slot(struct buf *content)
{
    content->data[4096 + 30] ^= 1; /* the empty tree is in the second, 3 in the first, 8 in the second */
}
static void clear(struct buf *content)
{
    memset(content->data, 0, content->len);
}
static void empty(struct buf *content)
{
    content->len = 0;
}
static void shorten(struct buf *content)
{
    content->len = 100;
}

static void a_sound_record_is_remembered(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", change_nothing, &size), OK);
    assert_int_equal(size, 8);
}

static void a_torn_slot_gives_the_one_before(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", tear_newest_slot, &size), OK);
    assert_int_equal(size, 3);
}

static void a_damaged_record_is_refused(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", tear_slots, &size), CORRUPT);
}

static void a_cleared_record_is_refused_where_there_is_a_log(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", clear, &size), CORRUPT);
}

static void an_empty_record_is_refused_where_there_is_a_log(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", empty, &size), CORRUPT);
}

static void a_short_record_is_refused(void **state)
{
    uint64_t size;
    assert_int_equal(open_after(*state, "signer", shorten, &size), CORRUPT);
}

static void a_key_that_is_gone_is_not_replaced(void **state)
{
    struct house *house = *state;
    struct desk desk;
    sign_first(house, 3);
    remove_file(house, "key");
    assert_int_equal(desk_try_open(house, &desk), CORRUPT);
    desk_close(&desk);
}

static void another_key_is_refused(void **state)
{
    struct house *house = *state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct note_signer other;
    struct desk desk;
    sign_first(house, 3);
    assert_int_equal(note_signer_make(&arena, NOTE_ED25519, ORIGIN, (uint8_t[NOTE_SEED_SIZE]){1}, &other, NULL), OK);
    note_signer_write(&text, &other);
    write_file(house, "key", buf_view(&text));
    assert_int_equal(desk_try_open(house, &desk), CORRUPT);
    desk_close(&desk);
}

static void the_key_is_for_its_owner_alone(void **state)
{
    struct house *house = *state;
    char path[256];
    struct stat found;
    sign_first(house, 3);
    house_path(house, "key", path);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

/* A hub that is asked to stop still appends what it has begun. */
static void the_signer_ends_with_the_socket_and_not_before(void **state)
{
    struct house *house = *state;
    struct desk desk;
    int how;
    desk_open(house, &desk);
    kill(desk.signing.pid, SIGTERM);
    kill(desk.signing.pid, SIGINT);
    assert_int_equal(ask(house, &desk, 'a', 0, 3), OK);
    close(desk.signing.socket);
    while (waitpid(desk.signing.pid, &how, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    buf_free(&desk.vkey);
}

#define HOUSED(test) cmocka_unit_test_setup_teardown(test, house_make, house_remove)
static const struct CMUnitTest tests[] = {
    HOUSED(a_tree_that_continues_the_last_one_is_signed),
    HOUSED(the_signature_is_that_of_the_key_it_names),
    HOUSED(another_tree_of_the_same_size_is_refused),
    HOUSED(a_smaller_tree_is_refused_even_a_true_beginning),
    HOUSED(a_larger_tree_is_refused_without_its_proof),
    HOUSED(hashes_where_nothing_is_to_be_proved_are_refused),
    HOUSED(what_is_not_a_plain_checkpoint_of_this_log_is_refused),
    HOUSED(malformed_requests_are_refused),
    HOUSED(a_sound_record_is_remembered),
    HOUSED(a_torn_slot_gives_the_one_before),
    HOUSED(a_damaged_record_is_refused),
    HOUSED(a_cleared_record_is_refused_where_there_is_a_log),
    HOUSED(an_empty_record_is_refused_where_there_is_a_log),
    HOUSED(a_short_record_is_refused),
    HOUSED(a_key_that_is_gone_is_not_replaced),
    HOUSED(another_key_is_refused),
    HOUSED(the_key_is_for_its_owner_alone),
    HOUSED(the_signer_ends_with_the_socket_and_not_before),
};

HOUSE_MAIN(tests)
