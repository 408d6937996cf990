/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/policy.h"

#include "fixture.h"

#define LOG "log " TESSERA_VKEY "\n"

/* A world of six witnesses, w1 to w6, whose lines stand ready to be put into a policy. */
struct world {
    struct arena arena;
    struct note_signer witnesses[6];
    struct str lines; /* "witness w1 …" to "witness w6 …" */
};

static void world_make(struct world *world)
{
    *world = (struct world){0};
    auto_buf struct buf lines = {0};
    for (unsigned i = 0; i < COUNT(world->witnesses); i++) {
        struct str name = arena_printf(&world->arena, "witness.example/w%u", i + 1);
        world->witnesses[i] = signer_of(&world->arena, NOTE_COSIGNATURE, name.data, (uint8_t)(i + 1));
        struct str vkey = vkey_of(&world->arena, &world->witnesses[i]);
        buf_printf(&lines, "witness w%u %.*s\n", i + 1, STR_ARG(vkey));
    }
    world->lines = arena_copy(&world->arena, buf_view(&lines));
}

/* The fixture log's checkpoint of size 15, cosigned by the witnesses whose times are given, in order; 0 for none. */
static struct str cosigned(struct world *world, const uint64_t times[6])
{
    auto_buf struct buf bytes = {0};
    struct note note;
    buf_str(&bytes, tessera_checkpoint(&world->arena, 15));
    assert_int_equal(note_parse(&world->arena, buf_view(&bytes), &note, NULL), OK);
    for (size_t i = 0; i < 6; i++)
        if (times[i])
            cosignature_sign(note.text, &world->witnesses[i], times[i], &bytes);
    return arena_copy(&world->arena, buf_view(&bytes));
}

static enum status parse(struct world *world, const char *before, const char *after, struct policy *out,
                         struct error *err)
{
    auto_buf struct buf text = {0};
    buf_str(&text, str_of(before));
    buf_str(&text, world->lines);
    buf_str(&text, str_of(after));
    return policy_parse(&world->arena, buf_view(&text), out, err);
}

/* Judges that checkpoint by the policy of the fixture log, the six witnesses, and those groups. */
static enum status check(struct world *world, const char *groups, const uint64_t times[6], struct policy_verdict *out)
{
    struct policy policy;
    assert_int_equal(parse(world, LOG, groups, &policy, NULL), OK);
    return policy_check(&world->arena, &policy, NULL, cosigned(world, times), out, NULL);
}

static const char two_houses[] = "group X 2 w1 w2 w3\n"
                                 "group Y any w4 w5\n"
                                 "group both all X Y\n"
                                 "quorum both\n";

static void a_quorum_of_nested_groups_is_met_or_not(void **state)
{
    (void)state;
    static const struct {
        uint64_t times[6];
        enum status status;
    } cases[] = {
        {{1, 2, 0, 3}, OK},
        {{1, 0, 2, 0, 3}, OK},
        {{1, 2, 3, 4, 5, 6}, OK},
        {{0}, UNPROCESSABLE},
        {{1, 2, 3}, UNPROCESSABLE},
        {{1, 0, 0, 2, 3}, UNPROCESSABLE},
        {{0, 0, 0, 1, 2, 3}, UNPROCESSABLE},
        {{1, 0, 0, 0, 0, 3}, UNPROCESSABLE}, /* the sixth is in no group */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        struct policy_verdict verdict;
        world_make(&world);
        if (check(&world, two_houses, cases[i].times, &verdict) != cases[i].status)
            fail_msg("number %zu", i);
        arena_free(&world.arena);
    }
}

static void the_times_are_those_of_the_quorum(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    assert_int_equal(check(&world, two_houses, (uint64_t[6]){100, 500, 300, 200, 900, 50}, &verdict), OK);
    assert_int_equal(verdict.checkpoint.size, 15);
    assert_int_equal(verdict.cosignatures, 6);
    assert_int_equal(verdict.seen_by, 300);  /* w1 at 100 and w3 at 300, w4 at 200 */
    assert_int_equal(verdict.fresh_at, 300); /* w2 at 500 and w3 at 300, w5 at 900 */
    assert_int_equal(check(&world, "quorum w2\n", (uint64_t[6]){100, 500}, &verdict), OK);
    assert_int_equal(verdict.seen_by, 500);
    assert_int_equal(verdict.fresh_at, 500);
    assert_int_equal(check(&world, "group g 2 w1 w2 w3 w4\nquorum g\n", (uint64_t[6]){100, 500, 300, 200}, &verdict),
                     OK);
    assert_int_equal(verdict.seen_by, 200);
    assert_int_equal(verdict.fresh_at, 300);
    arena_free(&world.arena);
}

static void times_at_both_ends_of_their_range_count(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    assert_int_equal(check(&world, "group g all w1 w2\nquorum g\n", (uint64_t[6]){1, INT64_MAX}, &verdict), OK);
    assert_int_equal(verdict.seen_by, INT64_MAX);
    assert_int_equal(verdict.fresh_at, 1);
    arena_free(&world.arena);
}

static void without_a_quorum_the_log_alone_counts(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    assert_int_equal(check(&world, "quorum none\n", (uint64_t[6]){0}, &verdict), OK);
    assert_int_equal(verdict.seen_by, 0);
    assert_int_equal(verdict.fresh_at, 0);
    arena_free(&world.arena);
}

static void a_forged_line_of_any_known_witness_spoils_the_checkpoint(void **state)
{
    (void)state;
    struct world world;
    struct policy policy;
    struct policy_verdict verdict;
    world_make(&world);
    assert_int_equal(parse(&world, LOG, "quorum w1\n", &policy, NULL), OK);
    auto_buf struct buf bytes = {0};
    buf_str(&bytes, cosigned(&world, (uint64_t[6]){5, 0}));
    assert_int_equal(policy_check(&world.arena, &policy, NULL, buf_view(&bytes), &verdict, NULL), OK);
    cosignature_sign(STR("another text\n"), &world.witnesses[5], 5, &bytes);
    assert_int_equal(policy_check(&world.arena, &policy, NULL, buf_view(&bytes), &verdict, NULL), UNPROCESSABLE);
    arena_free(&world.arena);
}

static void a_log_that_the_policy_does_not_list_is_not_believed(void **state)
{
    (void)state;
    struct world world;
    struct policy policy;
    struct policy_verdict verdict;
    world_make(&world);
    struct str bytes = cosigned(&world, (uint64_t[6]){5, 0});
    assert_int_equal(parse(&world, "", "quorum w1\n", &policy, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, NULL, bytes, &verdict, NULL), UNPROCESSABLE);
    struct note_signer namesake = signer_of(&world.arena, NOTE_ED25519, TESSERA_ORIGIN, 40);
    struct str line = arena_printf(&world.arena, "log %.*s\n", STR_ARG(vkey_of(&world.arena, &namesake)));
    assert_int_equal(parse(&world, line.data, "quorum w1\n", &policy, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, NULL, bytes, &verdict, NULL), UNPROCESSABLE);
    line = joined(&world.arena, line, STR(LOG));
    assert_int_equal(parse(&world, line.data, "quorum w1\n", &policy, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, NULL, bytes, &verdict, NULL), OK);
    arena_free(&world.arena);
}

/* The signature is good, but a log speaks under its own name only. */
static void a_listed_log_does_not_speak_for_another_origin(void **state)
{
    (void)state;
    struct world world;
    struct policy policy;
    struct policy_verdict verdict;
    auto_buf struct buf bytes = {0};
    world_make(&world);
    struct note_signer log = tessera_signer(&world.arena);
    struct str text = STR("example.com/log/other\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    buf_str(&bytes, text);
    buf_byte(&bytes, '\n');
    assert_int_equal(note_sign(text, &log, &bytes, NULL), OK);
    assert_int_equal(parse(&world, LOG, "quorum none\n", &policy, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, NULL, buf_view(&bytes), &verdict, NULL), UNPROCESSABLE);
    arena_free(&world.arena);
}

static void a_key_that_is_given_counts_in_place_of_the_logs_of_the_policy(void **state)
{
    (void)state;
    struct world world;
    struct policy policy, nothing = {0};
    struct policy_verdict verdict;
    world_make(&world);
    struct str bytes = cosigned(&world, (uint64_t[6]){0});
    struct note_verifier log = tessera_signer(&world.arena).verifier;
    struct note_verifier other = signer_of(&world.arena, NOTE_ED25519, TESSERA_ORIGIN, 40).verifier;
    assert_int_equal(parse(&world, LOG, "quorum none\n", &policy, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, &log, bytes, &verdict, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &policy, &other, bytes, &verdict, NULL), UNPROCESSABLE);
    assert_int_equal(policy_check(&world.arena, &nothing, &log, bytes, &verdict, NULL), OK);
    assert_int_equal(policy_check(&world.arena, &nothing, NULL, bytes, &verdict, NULL), UNPROCESSABLE);
    arena_free(&world.arena);
}

static void comments_blanks_and_urls_are_read(void **state)
{
    (void)state;
    struct world world;
    struct policy policy;
    world_make(&world);
    struct str vkey = vkey_of(&world.arena, &world.witnesses[0]);
    struct str text = arena_printf(&world.arena,
                                   "# a comment\n\n \t \n\t # another, \xFF\n"
                                   "\tlog  " TESSERA_VKEY "\thttps://log.example/#1 \n"
                                   "witness \xE2\x84\xAA#1 %.*s https://w.example/\n"
                                   "quorum \xE2\x84\xAA#1\n",
                                   STR_ARG(vkey));
    assert_int_equal(policy_parse(&world.arena, text, &policy, NULL), OK);
    assert_int_equal(policy.log_count, 1);
    assert_str(policy.logs[0].url, STR("https://log.example/#1"));
    assert_int_equal(policy.party_count, 1);
    assert_str(policy.parties[0].name, STR("\xE2\x84\xAA#1"));
    assert_str(policy.parties[0].url, STR("https://w.example/"));
    assert_ptr_equal(policy.quorum, &policy.parties[0]);
    assert_int_equal(parse(&world, LOG, "quorum w1\n", &policy, NULL), OK);
    assert_false(str_given(policy.logs[0].url) || str_given(policy.parties[0].url));
    arena_free(&world.arena);
}

static void what_the_format_does_not_allow_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "quorum w1",
        "quorum\n",
        "quorum w1 w2\n",
        "quorum w7\n",
        "quorum W1\n",
        "quorum w1\nquorum w1\n",
        "quorum none\nquorum none\n",
        "Quorum w1\n",
        "quorum w1\r\n",
        "quorum w1\f\n",
        "quorum w1\x7F\n",
        "quorum w1 # comment\n",
        "quorum g\ngroup g any w1\n",
        "group g any\nquorum g\n",
        "group g w1 w2\nquorum g\n",
        "group g 0 w1\nquorum g\n",
        "group g 3 w1 w2\nquorum g\n",
        "group g 01 w1\nquorum g\n",
        "group g +1 w1\nquorum g\n",
        "group g -1 w1\nquorum g\n",
        "group g 18446744073709551617 w1\nquorum g\n",
        "group g ANY w1\nquorum g\n",
        "group g all\nquorum g\n",
        "group g any w1 w1\nquorum g\n",
        "group g any w1\ngroup h any w1\nquorum g\n",
        "group g any g\nquorum g\n",
        "group g any none\nquorum g\n",
        "group g any h\ngroup h any w1\nquorum g\n",
        "group w1 any w2\nquorum w1\n",
        "group g any w1\ngroup g any w2\nquorum g\n",
        "group none any w1\nquorum w1\n",
        LOG "quorum none\n", /* the log once more */
        "log\nquorum none\n",
        "log x\nquorum none\n",
        "log " TESSERA_VKEY " a b\nquorum none\n",
        "witness\nquorum none\n",
        "witness w7\nquorum none\n",
        "witness w7 x\nquorum none\n",
        "witness w7 " TESSERA_VKEY "\nquorum none\n", /* a log's key */
        "nothing\nquorum none\n",
    };
    struct world world;
    struct policy policy;
    world_make(&world);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};
        if (parse(&world, LOG, bad[i], &policy, &err) != INVALID || !err.message[0])
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(policy_parse(&world.arena, STR("quorum none\0\n"), &policy, NULL), INVALID);
    arena_free(&world.arena);
}

static void an_error_names_its_line(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct policy policy;
    struct error err;
    assert_int_equal(policy_parse(&arena, STR("# one\n\ngroup g any nobody\n"), &policy, &err), INVALID);
    assert_string_equal(err.message, "Line 3 of the policy: No line above defines the member nobody.");
}

/* One signature must not be counted twice, under whatever names its key is listed. */
static void a_key_is_listed_once(void **state)
{
    (void)state;
    struct world world;
    struct policy policy;
    world_make(&world);
    struct str again = arena_printf(&world.arena, "witness w7 %.*s\nquorum none\n",
                                    STR_ARG(vkey_of(&world.arena, &world.witnesses[2])));
    assert_int_equal(parse(&world, LOG, again.data, &policy, NULL), INVALID);
    struct note_signer renamed = signer_of(&world.arena, NOTE_COSIGNATURE, "another.example/name", 3);
    again = arena_printf(&world.arena, "witness w7 %.*s\nquorum none\n", STR_ARG(vkey_of(&world.arena, &renamed)));
    assert_int_equal(parse(&world, LOG, again.data, &policy, NULL), INVALID);
    struct note_signer other = signer_of(&world.arena, NOTE_COSIGNATURE, "another.example/name", 7);
    again = arena_printf(&world.arena, "witness w7 %.*s\nquorum none\n", STR_ARG(vkey_of(&world.arena, &other)));
    assert_int_equal(parse(&world, LOG, again.data, &policy, NULL), OK);
    arena_free(&world.arena);
}

/* A witness with an ML-DSA key under that name; its key is size bytes of c. */
static struct str ml_dsa_line(struct arena *arena, const char *name, char c)
{
    char key[1 + 1312];
    uint8_t digest[SHA256_SIZE];
    memset(key, c, sizeof key);
    key[0] = 6;
    sha256(joined(arena, STR("pq.example\n\6"), (struct str){key + 1, 1312}), digest);
    return arena_printf(arena, "witness %s pq.example+%.*s+%.*s\n", name, STR_ARG(hex_encode(arena, digest, 4)),
                        STR_ARG(base64_encode(arena, (struct str){key, sizeof key})));
}

static void a_witness_that_cannot_be_verified_never_counts(void **state)
{
    (void)state;
    struct world world;
    struct policy_verdict verdict;
    world_make(&world);
    struct str lines = joined(&world.arena, ml_dsa_line(&world.arena, "p", 1), ml_dsa_line(&world.arena, "q", 2));
    struct str with_any = joined(&world.arena, lines, STR("group g any p q w1\nquorum g\n"));
    struct str with_all = joined(&world.arena, lines, STR("group g 2 p q w1\nquorum g\n"));
    assert_int_equal(check(&world, with_any.data, (uint64_t[6]){5}, &verdict), OK);
    assert_int_equal(check(&world, with_any.data, (uint64_t[6]){0}, &verdict), UNPROCESSABLE);
    assert_int_equal(check(&world, with_all.data, (uint64_t[6]){5}, &verdict), UNPROCESSABLE);
    arena_free(&world.arena);
}

static void many_logs_witnesses_and_groups_fit(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct policy policy;
    for (unsigned i = 0; i < 200; i++) {
        struct note_signer log = signer_of(&arena, NOTE_ED25519, "log", (uint8_t)i);
        struct note_signer witness = signer_of(&arena, NOTE_COSIGNATURE, "witness", (uint8_t)i);
        buf_printf(&text, "log %.*s\nwitness w%u %.*s\n", STR_ARG(vkey_of(&arena, &log)), i,
                   STR_ARG(vkey_of(&arena, &witness)));
        buf_printf(&text, i ? "group g%u all w%u g%u\n" : "group g%u all w%u\n", i, i, i - 1);
    }
    buf_str(&text, STR("quorum g199\n"));
    assert_int_equal(policy_parse(&arena, buf_view(&text), &policy, NULL), OK);
    assert_int_equal(policy.log_count, 200);
    assert_int_equal(policy.party_count, 400);
}

static void policies_end_somewhere(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct policy policy;
    struct note_signer witness = signer_of(&arena, NOTE_COSIGNATURE, "witness", 1);
    buf_printf(&text, "quorum none\nwitness g0 %.*s\n", STR_ARG(vkey_of(&arena, &witness)));
    for (unsigned i = 1; i < POLICY_PARTIES_MOST; i++)
        buf_printf(&text, "group g%u all g%u\n", i, i - 1);
    assert_int_equal(policy_parse(&arena, buf_view(&text), &policy, NULL), OK);
    buf_str(&text, STR("group more all g1023\n"));
    assert_int_equal(policy_parse(&arena, buf_view(&text), &policy, NULL), INVALID);
    while (text.len <= POLICY_MOST)
        buf_byte(&text, '\n');
    assert_int_equal(policy_parse(&arena, buf_view(&text), &policy, NULL), TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quorum_of_nested_groups_is_met_or_not),
        cmocka_unit_test(the_times_are_those_of_the_quorum),
        cmocka_unit_test(times_at_both_ends_of_their_range_count),
        cmocka_unit_test(without_a_quorum_the_log_alone_counts),
        cmocka_unit_test(a_forged_line_of_any_known_witness_spoils_the_checkpoint),
        cmocka_unit_test(a_log_that_the_policy_does_not_list_is_not_believed),
        cmocka_unit_test(a_listed_log_does_not_speak_for_another_origin),
        cmocka_unit_test(a_key_that_is_given_counts_in_place_of_the_logs_of_the_policy),
        cmocka_unit_test(comments_blanks_and_urls_are_read),
        cmocka_unit_test(what_the_format_does_not_allow_is_refused),
        cmocka_unit_test(an_error_names_its_line),
        cmocka_unit_test(a_key_is_listed_once),
        cmocka_unit_test(a_witness_that_cannot_be_verified_never_counts),
        cmocka_unit_test(many_logs_witnesses_and_groups_fit),
        cmocka_unit_test(policies_end_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
