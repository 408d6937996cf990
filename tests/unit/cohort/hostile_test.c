/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hub that lies (federated.md 1.3, 2.5 and section 6 row 10). A member gives nothing that the lie is after, and after it nothing at all. */
#include "world.h"
#include <stdlib.h>

/* Whatever the hub asks for after its lie: nothing comes any more. */
static void check_broken(struct world *w, size_t member)
{
    auto_buf struct buf out = {0};
    uint8_t signature[COHORT_SIGNATURE_SIZE];
    struct cohort_member keys;
    auto_buf struct buf dealt = {0}, signatures = {0};
    bring_dealt(w, member, &dealt);
    bring_signatures(w, member, &signatures);
    assert_int_equal(cohort_client_keys(w->clients[member], &keys, NULL), CONFLICT);
    assert_int_equal(deal(w, member, NULL), CONFLICT);
    assert_int_equal(cohort_client_mask(w->clients[member], buf_view(&dealt), w->values[member], &out, NULL), CONFLICT);
    assert_int_equal(
        cohort_client_sign(w->clients[member], bytes(w->survivors, cohort_list_size(w->size)), signature, NULL),
        CONFLICT);
    assert_int_equal(cohort_client_unmask(w->clients[member], buf_view(&signatures), &out, NULL), CONFLICT);
    assert_int_equal(out.len, 0);
}

static void check_code(const struct error *err, const char *code)
{
    if (!error_is(err, code))
        broken("it is \"%s\" (%s), not %s", err->message, err->code, code);
}

/* Keys. */

static size_t in_roster(const struct world *w, size_t place)
{
    return w->draw.order[place];
}

/* The hub puts keys of its own in the place of a member's. */
static void swapped_keys_are_noticed(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct world *w = world_new(5);
        struct error err = {0};
        struct cohort_member *other = &w->roster[in_roster(w, 1)];
        uint8_t secret[32];
        if (which < 2)
            hpke_key_make(secret, which ? other->channel : other->mask);
        else /* with an identity of its own it can sign, but that identity was another one's in the attempt before */
            cohort_member_sign(other, w->seeds[MEMBERS_MOST - 1], (uint8_t[32]){0});
        assert_true(deal(w, 0, &err) != OK);
        check_code(&err, "KeysUnsigned");
        check_broken(w, 0);
        assert_int_equal(w->dealings[0].len, 0);
        world_free(w);
    }
}

static void an_identity_that_was_another_before_is_noticed(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    uint8_t ctx[COHORT_CONTEXT_SIZE];
    struct error err = {0};
    run_to(w, UNMASK, everybody);
    begin(w, 2);
    struct cohort_member *other = &w->roster[in_roster(w, 1)];
    cohort_round_context(&w->round, ctx);
    cohort_member_sign(other, w->seeds[MEMBERS_MOST - 1], ctx);
    assert_int_equal(deal(w, 0, &err), CONFLICT);
    check_code(&err, "Remembered");
    check_broken(w, 0);
    world_free(w);
}

static void keys_of_another_attempt_or_round_are_noticed(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which++) {
        struct world *w = world_new(5);
        struct cohort_round other = w->round;
        struct error err = {0};
        uint8_t ctx[COHORT_CONTEXT_SIZE];
        other.attempt += which == 0;
        other.number += which == 1;
        other.base = which == 2 ? STR("0ther") : other.base;
        other.model = which == 3 ? STR("0ther") : other.model;
        other.bound += which == 4;
        other.rule = which == 5 ? STR("median") : other.rule;
        cohort_round_context(&other, ctx);
        size_t member = in_roster(w, 1);
        cohort_member_sign(&w->roster[member], w->seeds[member], ctx);
        assert_int_equal(deal(w, 0, &err), FORBIDDEN);
        check_code(&err, "KeysUnsigned");
        world_free(w);
    }
}

/* A member's own keys must be among those that all others see. */
static void a_roster_without_ones_own_keys_is_noticed(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    struct error err = {0};
    uint8_t ctx[COHORT_CONTEXT_SIZE], secret[32];
    size_t self = in_roster(w, 0);
    hpke_key_make(secret, w->roster[self].mask);
    cohort_round_context(&w->round, ctx);
    cohort_member_sign(&w->roster[self], w->seeds[self], ctx); /* even with a signature of its own */
    assert_int_equal(deal(w, 0, &err), FORBIDDEN);
    check_code(&err, "KeysSwapped");
    check_broken(w, 0);
    world_free(w);
}

static void keys_that_are_no_keys_are_refused(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    uint8_t ctx[COHORT_CONTEXT_SIZE];
    size_t member = in_roster(w, 1);
    memset(w->roster[member].mask, 0, 32); /* a point of small order: every mask with it would be the same */
    cohort_round_context(&w->round, ctx);
    cohort_member_sign(&w->roster[member], w->seeds[member], ctx);
    assert_false(cohort_member_holds(&w->roster[member], ctx));
    assert_int_equal(deal(w, 0, NULL), FORBIDDEN);
    world_free(w);
}

static void rosters_of_another_form_are_refused(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which++) {
        struct world *w = world_new(5);
        auto_buf struct buf out = {0};
        size_t len = w->size * sizeof *w->roster;
        struct str nonce = bytes(w->nonce, 32);
        if (which == 0)
            len--;
        else if (which == 1)
            len = 0;
        else if (which == 2)
            nonce.len--;
        else if (which == 3)
            w->nonce[31] ^= 1; /* not the number that the hub had promised */
        else if (which == 4)
            memcpy(w->roster[2].name, w->roster[3].name, COHORT_NAME_SIZE);
        else
            memcpy(w->roster[2].identity, w->roster[3].identity, 32);
        assert_int_equal(cohort_client_deal(w->clients[0], bytes(w->roster, len), nonce, &out, NULL), INVALID);
        assert_int_equal(out.len, 0);
        check_broken(w, 0);
        world_free(w);
    }
}

static void a_cohort_of_two_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new(3);
    auto_buf struct buf out = {0};
    assert_int_equal(
        cohort_client_deal(w->clients[0], bytes(w->roster, 2 * sizeof *w->roster), bytes(w->nonce, 32), &out, NULL),
        INVALID);
    world_free(w);
}

static void fewer_members_than_the_run_promises_are_refused(void **state)
{
    (void)state;
    struct world *w = world_new(6);
    auto_buf struct buf out = {0};
    w->round.least = 6;
    begin(w, 2);
    size_t self = in_roster(w, 0);
    const struct cohort_member *five = self == 0 ? w->roster : w->roster + 1;
    assert_int_equal(cohort_client_deal(w->clients[0], bytes(five, 5 * sizeof *five), bytes(w->nonce, 32), &out, NULL),
                     INVALID);
    assert_int_equal(out.len, 0);
    check_broken(w, 0);
    world_free(w);
}

/* Each sees another roster: then nothing that they seal for each other opens, and no masks vanish. */
static void members_who_are_shown_different_rosters_give_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    uint8_t ctx[COHORT_CONTEXT_SIZE], secret[32];
    struct cohort_member kept = w->roster[4];
    struct error err = {0};
    for (size_t i = 0; i < 5; i++) {
        size_t member = in_roster(w, i);
        if (member == 4)
            continue;
        if (i % 2) { /* the fifth member works with the hub, and has signed two pairs of keys */
            hpke_key_make(secret, w->roster[4].mask);
            cohort_round_context(&w->round, ctx);
            cohort_member_sign(&w->roster[4], w->seeds[4], ctx);
        } else {
            w->roster[4] = kept;
        }
        assert_int_equal(deal(w, i, &err), OK);
        list_set(w->dealt, i, true);
    }
    size_t refused = 0, asked = 0;
    for (size_t i = 0; i < 5; i++)
        if (in_roster(w, i) != 4) {
            enum status status = mask(w, i, &err);
            asked++;
            refused += status == FORBIDDEN;
        }
    assert_int_equal(refused, asked);
    world_free(w);
}

/* Shares. */

static void a_changed_or_exchanged_message_of_neighbours_is_not_opened(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct world *w = world_new(5);
        auto_buf struct buf dealt = {0}, out = {0};
        struct error err = {0};
        size_t row = 1 + COHORT_SEALED_SIZE;
        run_to(w, DEAL, everybody);
        bring_dealt(w, 0, &dealt);
        for (size_t k = 0; k < 4; k++)
            if (which == 0) /* a bit */
                dealt.data[k * row + 9] ^= 4;
            else if (which == 1) /* what it has sealed for others */
                memcpy(dealt.data + k * row + 1, w->dealings[0].data + SHA256_SIZE, COHORT_SEALED_SIZE);
        if (which == 2) { /* one neighbour's for another's */
            char first[COHORT_SEALED_SIZE];
            memcpy(first, dealt.data + 1, sizeof first);
            memmove(dealt.data + 1, dealt.data + row + 1, sizeof first);
            memmove(dealt.data + row + 1, dealt.data + 2 * row + 1, sizeof first);
            memcpy(dealt.data + 2 * row + 1, first, sizeof first);
        }
        assert_int_equal(cohort_client_mask(w->clients[0], buf_view(&dealt), w->values[0], &out, &err), FORBIDDEN);
        check_code(&err, "SealBroken");
        assert_int_equal(out.len, 0);
        check_broken(w, 0);
        world_free(w);
    }
}

/* One neighbour who seals nonsense cannot throw others out. */
static void one_neighbour_who_deals_badly_is_borne(void **state)
{
    (void)state;
    struct world *w = world_new(7);
    run_to(w, DEAL, everybody);
    for (size_t i = SHA256_SIZE; i < w->dealings[3].len; i++)
        w->dealings[3].data[i] ^= 1;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(mask(w, i, NULL), OK);
        list_set(w->survivors, i, true);
    }
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(sign(w, i, w->survivors, NULL), OK);
        list_set(w->signers, i, true);
    }
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(unmask(w, i, NULL), OK);
    int32_t found[WIDTH];
    assert_int_equal(sum(w, found, NULL), UNPROCESSABLE); /* but its cohort is lost */
    world_free(w);
}

static void with_too_few_neighbours_nothing_is_masked(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    struct error err = {0};
    run_to(w, DEAL, everybody);
    for (size_t i = 1; i < 10; i++)
        list_set(w->dealt, i, i < w->graph.threshold);
    assert_int_equal(mask(w, 0, &err), FORBIDDEN);
    check_code(&err, "TooFewNeighbours");
    check_broken(w, 0);
    world_free(w);
}

static void messages_of_another_form_are_refused(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct world *w = world_new(5);
        auto_buf struct buf dealt = {0}, out = {0};
        run_to(w, DEAL, everybody);
        bring_dealt(w, 0, &dealt);
        if (which == 0)
            dealt.len--;
        else if (which == 1)
            dealt.data[0] = 2;
        else
            dealt.len = 0;
        assert_int_equal(cohort_client_mask(w->clients[0], buf_view(&dealt), w->values[0], &out, NULL), INVALID);
        assert_int_equal(out.len, 0);
        world_free(w);
    }
}

static void a_number_that_has_no_room_is_refused_and_not_cut(void **state)
{
    (void)state;
    static const int32_t bad[] = {COHORT_VALUES + 1, -COHORT_VALUES - 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct world *w = world_new(3);
        struct error err = {0};
        run_to(w, DEAL, everybody);
        w->values[0][WIDTH - 1] = bad[i];
        assert_int_equal(mask(w, 0, &err), INVALID);
        check_code(&err, "ValueOutOfRange");
        world_free(w);
    }
}

/* Lists. */

static void lists_that_must_not_be_are_not_signed(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which++) {
        struct world *w = world_new(10);
        uint8_t list[COHORT_LIST_MOST] = {0xff, 3}, signature[COHORT_SIGNATURE_SIZE];
        struct error err = {0};
        size_t len = 2;
        run_to(w, DEAL, everybody);
        if (which == 5)
            list_set(w->dealt, 9, false); /* member 9 has not dealt, as member 0 sees it */
        assert_int_equal(mask(w, 0, NULL), OK);
        if (which == 0)
            list_set(list, 0,
                     false); /* without the member itself: its vector is not to be counted, only to be unmasked */
        else if (which == 1)
            for (size_t i = w->graph.survivors - 1; i < 10; i++)
                list_set(list, i, false);
        else if (which == 2)
            list[1] |= 4; /* a member that there is not */
        else if (which == 3)
            len = 1;
        else if (which == 4)
            len = 0;
        assert_true(cohort_client_sign(w->clients[0], bytes(list, len), signature, &err) != OK);
        if (which == 1)
            check_code(&err, "TooFewSurvivors");
        check_broken(w, 0);
        world_free(w);
    }
}

/* The hub tells half of the members that number 1 has fallen away, and the others that it has not: to have both of its secrets. */
static void two_lists_do_not_give_both_secrets_of_a_member(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    uint8_t other[COHORT_LIST_MOST];
    size_t given[3] = {0};
    run_to(w, MASK, everybody);
    memcpy(other, w->survivors, sizeof other);
    list_set(other, 1, false);
    for (size_t i = 0; i < 10; i++)
        if (i != 1)
            assert_int_equal(sign(w, i, i % 2 ? other : w->survivors, NULL), OK);
    for (size_t i = 0; i < 10; i++) {
        auto_buf struct buf out = {0};
        if (i == 1)
            continue;
        memset(w->signers, 0, sizeof w->signers);
        for (size_t k = 0; k < 10; k++) /* each is shown those who have signed its own list */
            list_set(w->signers, k, k != 1 && k % 2 == i % 2);
        auto_buf struct buf signatures = {0};
        bring_signatures(w, i, &signatures);
        assert_int_equal(cohort_client_unmask(w->clients[i], buf_view(&signatures), &out, NULL), FORBIDDEN);
        given[0] += out.len;
    }
    assert_int_equal(given[0], 0);
    world_free(w);
}

static void a_signature_of_another_list_is_noticed(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    uint8_t other[COHORT_LIST_MOST];
    struct error err = {0};
    run_to(w, MASK, everybody);
    memcpy(other, w->survivors, sizeof other);
    list_set(other, 1, false);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(sign(w, i, i == 2 ? other : w->survivors, NULL), OK);
        list_set(w->signers, i, true);
    }
    assert_int_equal(unmask(w, 0, &err), FORBIDDEN);
    check_code(&err, "ListUnsigned");
    check_broken(w, 0);
    world_free(w);
}

static void with_too_few_signatures_no_share_is_given(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    struct error err = {0};
    run_to(w, SIGN, everybody);
    for (size_t i = w->graph.threshold; i < 10; i++)
        list_set(w->signers, i, false);
    assert_int_equal(unmask(w, 0, &err), FORBIDDEN);
    check_code(&err, "TooFewNeighbours");
    check_broken(w, 0);
    world_free(w);
}

/* For each neighbour one share of one secret: never both, whatever comes. */
static void each_answer_has_one_share_of_a_neighbour(void **state)
{
    (void)state;
    struct world *w = world_new(10);
    run_to(w, MASK, everybody);
    list_set(w->survivors, 3, false); /* its vector came too late */
    for (size_t i = 0; i < 10; i++)
        if (i != 3) {
            assert_int_equal(sign(w, i, w->survivors, NULL), OK);
            list_set(w->signers, i, true);
        }
    for (size_t i = 0; i < 10; i++)
        if (i != 3) {
            assert_int_equal(unmask(w, i, NULL), OK);
            assert_int_equal(unmask(w, i, NULL), CONFLICT); /* and it answers once */
        }
    for (size_t i = 0; i < 10; i++) {
        uint16_t neighbours[COHORT_MOST];
        cohort_neighbours(&w->graph, i, neighbours);
        for (size_t k = 0; i != 3 && k < 9; k++)
            assert_int_equal(w->answers[i].data[k * (1 + COHORT_SECRET_SIZE)],
                             neighbours[k] == 3 ? COHORT_MASK_KEY : COHORT_OWN_MASK);
    }
    check_sum(w);
    world_free(w);
}

/* Restarts and replays. */

/* A machine that is set back to before it had signed (a snapshot, a second process) signs no other list. */
static void who_is_set_back_signs_the_same_list_or_none(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct world *w = world_new(10);
        struct error err = {0};
        uint8_t list[COHORT_LIST_MOST], pair[COHORT_PAIR_SIZE];
        run_to(w, MASK, everybody);
        memcpy(list, w->survivors, sizeof list);
        memcpy(pair, w->draw.context, 32);
        sha256(bytes(list, cohort_list_size(10)), pair + 32);
        /* What is remembered of the time after the snapshot: */
        size_t member = in_roster(w, 0);
        assert_int_equal(remember(&w->notes[member], "list", pair, 1, NULL), OK);
        list_set(list, 1, same);
        enum status status = sign(w, 0, list, &err);
        assert_int_equal(status, same ? OK : CONFLICT);
        if (!same)
            check_broken(w, 0);
        world_free(w);
    }
}

/* Between any two steps a restart loses the keys: the hub's later questions of that attempt get nothing. */
static void after_a_restart_an_attempt_gives_nothing(void **state)
{
    (void)state;
    for (int last = -1; last < UNMASK; last++) {
        struct world *w = world_new(5);
        if (last >= 0)
            run_to(w, (enum step)last, everybody);
        size_t member = in_roster(w, 0);
        struct cohort_member keys;
        cohort_client_free(w->clients[0]);
        w->clients[0] = new_client(w, &w->round, member);
        auto_buf struct buf dealt = {0}, signatures = {0}, out = {0};
        bring_dealt(w, 0, &dealt);
        bring_signatures(w, 0, &signatures);
        assert_int_equal(cohort_client_mask(w->clients[0], buf_view(&dealt), w->values[0], &out, NULL), CONFLICT);
        assert_int_equal(sign(w, 0, w->survivors, NULL), CONFLICT);
        assert_int_equal(cohort_client_unmask(w->clients[0], buf_view(&signatures), &out, NULL), CONFLICT);
        /* With new keys it is not whom the others have seen. */
        assert_int_equal(cohort_client_keys(w->clients[0], &keys, NULL), OK);
        assert_memory_not_equal(keys.mask, w->members[0].mask, 32);
        assert_memory_not_equal(keys.channel, w->members[0].channel, 32);
        assert_true(deal(w, 0, NULL) != OK);
        assert_int_equal(out.len, 0);
        world_free(w);
    }
}

/* Everything of attempt 1 is shown again in attempt 2. */
static void nothing_of_an_attempt_is_good_in_another(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    struct cohort_member *before = w->roster;
    struct buf dealt = {0}, signatures = {0};
    auto_buf struct buf out = {0};
    run_to(w, SIGN, everybody);
    bring_dealt(w, 0, &dealt);
    bring_signatures(w, 0, &signatures);
    begin(w, 2);
    assert_true(cohort_client_deal(w->clients[0], bytes(before, 5 * sizeof *before), bytes(w->nonce, 32), &out, NULL) !=
                OK);
    begin(w, 3);
    run_to(w, DEAL, everybody);
    assert_int_equal(cohort_client_mask(w->clients[0], buf_view(&dealt), w->values[0], &out, NULL), FORBIDDEN);
    begin(w, 4);
    run_to(w, SIGN, everybody);
    assert_int_equal(cohort_client_unmask(w->clients[0], buf_view(&signatures), &out, NULL), FORBIDDEN);
    assert_int_equal(out.len, 0);
    buf_free(&dealt);
    buf_free(&signatures);
    world_free(w);
}

/* The hub says that attempt 1 came to nothing, and has the round done again without one of the members: the difference would be that
 * member's update. */
static void a_round_gets_one_sum_alone(void **state)
{
    (void)state;
    struct world *w = world_new(5);
    struct error err = {0};
    run_to(w, UNMASK, everybody);
    check_sum(w);
    begin(w, 2);
    run_to(w, SIGN, everybody);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(unmask(w, i, &err), CONFLICT);
        check_code(&err, "Remembered");
        assert_int_equal(w->answers[i].len, 0);
    }
    w->round.number = 2;
    begin(w, 3);
    run_to(w, UNMASK, everybody);
    check_sum(w);
    world_free(w);
}

/* Each step after each: only the next one is taken, and asking for another changes nothing. */
static void steps_are_taken_in_their_order_alone(void **state)
{
    (void)state;
    for (int from = -1; from < STEPS; from++)
        for (int to = DEAL; to < STEPS; to++) {
            struct world *w = world_new(5);
            if (from >= 0)
                run_to(w, (enum step)from, everybody);
            if (to == from + 1) {
                world_free(w);
                continue;
            }
            auto_buf struct buf dealt = {0}, signatures = {0}, out = {0};
            uint8_t signature[COHORT_SIGNATURE_SIZE];
            bring_dealt(w, 0, &dealt);
            bring_signatures(w, 0, &signatures);
            enum status status =
                to == DEAL   ? cohort_client_deal(w->clients[0], bytes(w->roster, 5 * sizeof *w->roster),
                                                  bytes(w->nonce, 32), &out, NULL)
                : to == MASK ? cohort_client_mask(w->clients[0], buf_view(&dealt), w->values[0], &out, NULL)
                : to == SIGN ? cohort_client_sign(w->clients[0], bytes(w->survivors, 1), signature, NULL)
                             : cohort_client_unmask(w->clients[0], buf_view(&signatures), &out, NULL);
            assert_int_equal(status, CONFLICT);
            assert_int_equal(out.len, 0);
            /* The step that is due is still taken. */
            status = from == -1     ? deal(w, 0, NULL)
                     : from == DEAL ? mask(w, 0, NULL)
                     : from == MASK ? sign(w, 0, w->survivors, NULL)
                     : from == SIGN ? unmask(w, 0, NULL)
                                    : OK;
            assert_int_equal(status, OK);
            world_free(w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swapped_keys_are_noticed),
        cmocka_unit_test(an_identity_that_was_another_before_is_noticed),
        cmocka_unit_test(keys_of_another_attempt_or_round_are_noticed),
        cmocka_unit_test(a_roster_without_ones_own_keys_is_noticed),
        cmocka_unit_test(keys_that_are_no_keys_are_refused),
        cmocka_unit_test(rosters_of_another_form_are_refused),
        cmocka_unit_test(a_cohort_of_two_is_refused),
        cmocka_unit_test(fewer_members_than_the_run_promises_are_refused),
        cmocka_unit_test(members_who_are_shown_different_rosters_give_nothing),
        cmocka_unit_test(a_changed_or_exchanged_message_of_neighbours_is_not_opened),
        cmocka_unit_test(one_neighbour_who_deals_badly_is_borne),
        cmocka_unit_test(with_too_few_neighbours_nothing_is_masked),
        cmocka_unit_test(messages_of_another_form_are_refused),
        cmocka_unit_test(a_number_that_has_no_room_is_refused_and_not_cut),
        cmocka_unit_test(lists_that_must_not_be_are_not_signed),
        cmocka_unit_test(two_lists_do_not_give_both_secrets_of_a_member),
        cmocka_unit_test(a_signature_of_another_list_is_noticed),
        cmocka_unit_test(with_too_few_signatures_no_share_is_given),
        cmocka_unit_test(each_answer_has_one_share_of_a_neighbour),
        cmocka_unit_test(who_is_set_back_signs_the_same_list_or_none),
        cmocka_unit_test(after_a_restart_an_attempt_gives_nothing),
        cmocka_unit_test(nothing_of_an_attempt_is_good_in_another),
        cmocka_unit_test(a_round_gets_one_sum_alone),
        cmocka_unit_test(steps_are_taken_in_their_order_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
