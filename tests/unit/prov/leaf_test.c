/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "base/text.h"
#include "base/time.h"
#include "golden.h"
#include "prov/compose.h"

static const uint8_t repo[LEAF_REPO_SIZE] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                             0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static struct leaf_value value(const struct leaf *leaf, const char *member)
{
    return leaf_get(leaf, member);
}

static void put_in_place(struct leaf *leaf)
{
    leaf->of_repo = true;
    leaf->rseq = 3;
    memcpy(leaf->repo, repo, sizeof repo);
    memset(leaf->previous, 0xab, sizeof leaf->previous);
}

/* Composes as the hub would, with keys that are known. */
static enum status compose_golden(struct arena *arena, const char *kind, const char *body, struct buf *out,
                                  struct error *err)
{
    uint8_t actor[PERSON_KEY_SIZE], owner[PERSON_KEY_SIZE];
    struct composition made;
    bool of_hub = str_starts(str_of(kind), STR("log.")), of_repo = !of_hub && !str_starts(str_of(kind), STR("key."));
    struct change change = {.id = 7,
                            .at_us = 1700000000 * SECOND_US + 999999,
                            .version = 1,
                            .kind = str_of(kind),
                            .body = str_of(body),
                            .repo_id = of_repo ? 5 : 0,
                            .actor_id = of_hub ? 0 : 2};
    memset(actor, 1, sizeof actor);
    memset(owner, 2, sizeof owner);
    TRY(compose(arena, &change, &made, err));
    if (!made.wanted)
        return OK;
    if (of_repo)
        put_in_place(&made.leaf);
    compose_private(&made, arena, actor, owner);
    return leaf_write(&made.leaf, out, err);
}

#define assert_text(got, want)                                                                                         \
    do {                                                                                                               \
        auto_arena struct arena text_arena = {0};                                                                      \
        assert_string_equal(arena_cstr(&text_arena, got), want);                                                       \
    } while (0)

static void test_each_kind_of_event_is_logged_in_fixed_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        auto_arena struct arena arena = {0};
        auto_buf struct buf out = {0};
        GOOD(compose_golden(&arena, golden[i].kind, golden[i].body, &out, err));
        assert_text(buf_view(&out), golden[i].leaf);
    }
}

static void test_a_void_leaf_has_fixed_bytes(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    struct leaf leaf = {.type = STR("void"), .at = 1700000000};
    leaf_set_number(&leaf, "index", 41);
    put_in_place(&leaf);
    GOOD(leaf_write(&leaf, &out, err));
    assert_text(buf_view(&out), golden_void);
}

static void test_what_is_written_reads_back_and_writes_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        auto_arena struct arena arena = {0};
        auto_buf struct buf out = {0};
        struct leaf leaf;
        GOOD(leaf_parse(&arena, str_of(golden[i].leaf), &leaf, err));
        GOOD(leaf_write(&leaf, &out, err));
        assert_text(buf_view(&out), golden[i].leaf);
    }
}

static void test_a_leaf_is_read_as_it_was_meant(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct leaf leaf;
    GOOD(leaf_parse(&arena, str_of(golden_void), &leaf, err));
    assert_text(leaf.type, "void");
    assert_int_equal(leaf.at, 1700000000);
    assert_true(leaf.of_repo && !leaf.by_person && !leaf.has_evidence);
    assert_int_equal(leaf.rseq, 3);
    assert_memory_equal(leaf.repo, repo, sizeof repo);
    assert_int_equal(leaf.auth, LEAF_HUB_ASSERTED);
    assert_int_equal(value(&leaf, "index").number, 41);
    assert_false(value(&leaf, "covers").given);
}

static void test_no_leaf_tells_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"flora", "Flora", "fauna", "fern", "moss",
                                        "main",  "v1",    "Ann",   "ann",  "laptop"};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        auto_arena struct arena arena = {0};
        auto_buf struct buf out = {0};
        GOOD(compose_golden(&arena, golden[i].kind, golden[i].body, &out, err));
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            assert_false(str_has(buf_view(&out), str_of(names[j])));
    }
}

static void test_events_about_accounts_get_no_leaf(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf out = {0};
    GOOD(compose_golden(&arena, "account.create", "{\"name\":\"ann\"}", &out, err));
    assert_int_equal(out.len, 0);
    GOOD(compose_golden(&arena, "member.set", "{}", &out, err)); /* of the first version */
    assert_int_equal(out.len, 0);
}

static void test_a_kind_of_event_that_nobody_thought_of_is_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf out = {0};
    struct composition made;
    struct change newer = {.version = 2, .kind = STR("commit"), .body = STR("{}"), .repo_id = 5};
    EXPECT(INTERNAL, compose_golden(&arena, "repo.explode", "{}", &out, err));
    EXPECT(INTERNAL, compose(&arena, &newer, &made, err));
    newer.version = 1;
    GOOD(compose(&arena, &newer, &made, err));
}

static void test_an_event_that_would_bring_free_text_into_the_log_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[][2] = {
        {"repo.create", "{\"kind\":\"model of Ann\"}"},  {"repo.settings", "{\"visibility\":\"friends\"}"},
        {"commit", "{\"new\":\"refs/heads/main\"}"},     {"commit", "{\"added\":-5}"},
        {"ref.create", "{\"old\":\"ann@example.org\"}"}, {"key.create", "{\"user\":9}"},
        {"log.heads", "{\"count\":1,\"covers\":1}"},     {"repo.delete", "[]"},
        {"commit", "{\"added\":9007199254740992}"},      {"commit", "not JSON"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        auto_arena struct arena arena = {0};
        auto_buf struct buf out = {0};
        EXPECT(INTERNAL, compose_golden(&arena, bodies[i][0], bodies[i][1], &out, err));
        assert_int_equal(out.len, 0);
    }
}

static void test_leaves_of_types_to_come_are_carried(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct leaf leaf;
    GOOD(leaf_parse(&arena,
                    STR("{\"actor\":\"hub\",\"auth\":\"token\",\"b\":{\"decision\":\"approve\",\"have\":[1,true]},"
                        "\"ev\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
                        "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"moderation\",\"v\":1}"),
                    &leaf, err));
    assert_text(leaf.type, "moderation");
    assert_text(leaf.other_body, "{\"decision\":\"approve\",\"have\":[1,true]}");
    assert_true(leaf.has_evidence && leaf.auth == LEAF_TOKEN);
}

static void test_another_version_of_the_format_is_told_from_rubbish(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct leaf leaf;
    EXPECT(UNSUPPORTED, leaf_parse(&arena, STR("{\"v\":2}"), &leaf, err));
    EXPECT(INVALID, leaf_parse(&arena, STR("{\"v\":0}"), &leaf, err));
    EXPECT(INVALID, leaf_parse(&arena, STR("{\"v\":\"1\"}"), &leaf, err));
}

#define HEX64 "abababababababababababababababababababababababababababababababab"
#define REPO "\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"" HEX64 "\",\"rseq\":3,"
#define HEAD "{\"actor\":\"hub\",\"auth\":\"hub-asserted\","
#define VOID(body) HEAD "\"b\":" body ",\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}"

static void expect_parse(enum status want, const char *bytes)
{
    auto_arena struct arena arena = {0};
    struct leaf leaf;
    struct error failure = {0};
    enum status got = leaf_parse(&arena, str_of(bytes), &leaf, &failure);
    if (got != want)
        print_error("%s\n", bytes);
    expect(want, got, &failure, __FILE__, __LINE__);
}

static void test_only_the_one_form_of_a_leaf_is_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        VOID("{\"index\":41}"),
        HEAD "\"b\":{\"index\":41}," REPO "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":9007199254740991},\"ts\":\"2024-02-29T00:00:00Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{},\"com\":{\"name\":\"" HEX64 "\"},\"ts\":\"9999-12-31T23:59:59Z\",\"type\":\"x\",\"v\":1}",
    };
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "1",
        VOID("{\"index\": 41}"),
        VOID("{\"index\":41}") "\n",
        VOID("{\"index\":41}") VOID("{\"index\":41}"),
        VOID("{\"index\":4.1}"),
        VOID("{\"index\":41.0}"),
        VOID("{\"index\":4e1}"),
        VOID("{\"index\":-0}"),
        VOID("{\"index\":-1}"),
        VOID("{\"index\":9007199254740992}"),
        VOID("{\"index\":\"41\"}"),
        VOID("{\"index\":true}"),
        VOID("{\"index\":null}"),
        VOID("{\"index\":41,\"index\":41}"),
        VOID("{}"),
        VOID("[]"),
        VOID("{\"index\":41,\"why\":\"x\"}"),
        VOID("{\"ind\\u0065x\":41}"),
        /* an order of keys that is another */
        "{\"auth\":\"hub-asserted\",\"actor\":\"hub\",\"b\":{\"index\":41},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":"
        "\"void\",\"v\":1}",
        /* an unknown member */
        HEAD "\"b\":{\"index\":41},\"note\":\"x\",\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        /* a chain that is not whole */
        HEAD "\"b\":{\"index\":41},\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"repo\":\"00112233445566778899aabbccddeeff\",\"rseq\":3,"
             "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"" HEX64 "\",\"rseq\":0,"
             "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"repo\":\"00112233445566778899AABBCCDDEEFF\",\"rprev\":\"" HEX64 "\",\"rseq\":3,"
             "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"void\",\"v\":1}",
        /* times that no calendar has, or written otherwise */
        HEAD "\"b\":{\"index\":41},\"ts\":\"2023-02-29T00:00:00Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"ts\":\"2023-02-28T24:00:00Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"ts\":\"2023-02-28 00:00:00Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"ts\":\"1969-12-31T23:59:59Z\",\"type\":\"void\",\"v\":1}",
        HEAD "\"b\":{\"index\":41},\"ts\":1700000000,\"type\":\"void\",\"v\":1}",
        /* what is of a repo and what is of the hub */
        HEAD "\"b\":{\"op\":\"delete\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}",
        HEAD "\"b\":{\"count\":1,\"covers\":1,\"root\":\"" HEX64 "\"}," REPO
             "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo-heads\",\"v\":1}",
        /* words that are not in the list; prose and names in types to come */
        HEAD "\"b\":{\"op\":\"explode\"}," REPO "\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}",
        HEAD "\"b\":{\"who\":\"Ann Arbor\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{\"who\":\"ann@example\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{\"who\":\"\xc3\xa4\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{\"d\":[[[[[[[[[1]]]]]]]]]},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        /* a claim about a person without evidence */
        "{\"actor\":\"hub\",\"auth\":\"user-signed\",\"b\":{\"index\":41},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":"
        "\"void\",\"v\":1}",
        "{\"actor\":\"ann\",\"auth\":\"hub-asserted\",\"b\":{\"index\":41},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":"
        "\"void\",\"v\":1}",
        /* lists */
        HEAD "\"b\":{},\"com\":{},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{},\"com\":{\"Name\":\"" HEX64 "\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{},\"com\":{\"name\":\"ab\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{},\"subj\":[],\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{},\"subj\":[1],\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}",
        HEAD "\"b\":{},\"subj\":[{\"alg\":\"md5\",\"d\":\"" HEX64 "\"}],\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\","
             "\"v\":1}",
        HEAD "\"b\":{},\"subj\":[{\"alg\":\"gitCommit\",\"d\":\"" HEX64 "\"}],\"ts\":\"2023-11-14T22:13:20Z\","
             "\"type\":\"x\",\"v\":1}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        expect_parse(OK, good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_parse(INVALID, bad[i]);
}

/* A leaf with a body of so many digits. */
static enum status parse_of_size(size_t size, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf bytes = {0};
    struct leaf leaf;
    struct str end = STR("\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"x\",\"v\":1}");
    buf_str(&bytes, STR(HEAD "\"b\":{\"d\":\""));
    while (bytes.len < size - end.len)
        buf_byte(&bytes, '0');
    buf_str(&bytes, end);
    assert_int_equal(bytes.len, size);
    return leaf_parse(&arena, buf_view(&bytes), &leaf, err);
}

static void test_a_leaf_is_at_most_4096_bytes(void **state)
{
    (void)state;
    GOOD(parse_of_size(LEAF_MOST, err));
    EXPECT(TOO_LARGE, parse_of_size(LEAF_MOST + 1, err));
}

static void test_the_fullest_leaf_fits(void **state)
{
    (void)state;
    static const char *const fields[] = {"h", "g", "f", "e", "d", "c", "b", "a"};
    static const char hex[] = HEX64;
    auto_buf struct buf out = {0};
    struct leaf leaf = {.type = STR("commit"), .by_person = true, .has_evidence = true, .auth = LEAF_USER_SIGNED};
    put_in_place(&leaf);
    leaf.rseq = (UINT64_C(1) << 53) - 1;
    leaf_set_text(&leaf, "op", STR("create"));
    leaf_set_text(&leaf, "old", (struct str){hex, 40});
    leaf_set_text(&leaf, "new", (struct str){hex, 40});
    leaf_set_number(&leaf, "files", (INT64_C(1) << 53) - 1);
    leaf_set_number(&leaf, "protected", 0);
    for (int i = 0; i < LEAF_LIST_MOST; i++) {
        leaf_add_subject(&leaf, "sha256", STR(HEX64));
        leaf_commit(&leaf, fields[i], leaf.previous);
    }
    GOOD(leaf_write(&leaf, &out, err));
    assert_in_range(out.len, 1000, LEAF_MOST);
    auto_arena struct arena arena = {0};
    GOOD(leaf_parse(&arena, buf_view(&out), &leaf, err)); /* the commitments came out sorted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_event_is_logged_in_fixed_bytes),
        cmocka_unit_test(test_a_void_leaf_has_fixed_bytes),
        cmocka_unit_test(test_what_is_written_reads_back_and_writes_the_same),
        cmocka_unit_test(test_a_leaf_is_read_as_it_was_meant),
        cmocka_unit_test(test_no_leaf_tells_a_name),
        cmocka_unit_test(test_events_about_accounts_get_no_leaf),
        cmocka_unit_test(test_a_kind_of_event_that_nobody_thought_of_is_refused),
        cmocka_unit_test(test_an_event_that_would_bring_free_text_into_the_log_is_refused),
        cmocka_unit_test(test_leaves_of_types_to_come_are_carried),
        cmocka_unit_test(test_another_version_of_the_format_is_told_from_rubbish),
        cmocka_unit_test(test_only_the_one_form_of_a_leaf_is_read),
        cmocka_unit_test(test_a_leaf_is_at_most_4096_bytes),
        cmocka_unit_test(test_the_fullest_leaf_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
