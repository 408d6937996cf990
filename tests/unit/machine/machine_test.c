/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/machine.h"

#include "../base/check.h"

/* A door that is locked with a key: small enough to see every pair of state and event. */
enum { SHUT, LOCKED, OPEN, GONE, STATES };
enum { PUSH, PULL, TURN, BURN, UNDO, EVENTS };

struct door {
    int state, saves, effects;
    bool has_key, stuck;
};

static enum answer with_key(struct step *step, struct error *err)
{
    struct door *door = step->subject;
    return door->has_key ? YES : (fail(err, UNPROCESSABLE, "NoKey", "You need the key."), REFUSED);
}

static enum answer if_stuck(struct step *step, struct error *err)
{
    (void)err;
    return ((struct door *)step->subject)->stuck ? YES : NO;
}

static enum status save(struct step *step, struct error *err)
{
    struct door *door = step->subject;
    if (door->state != step->from)
        return fail(err, STALE, NULL, "Somebody was faster.");
    door->state = step->to;
    door->saves++;
    return OK;
}

static enum status creak(struct step *step, struct error *err)
{
    (void)err;
    ((struct door *)step->subject)->effects++;
    return OK;
}

static const struct machine_state states[STATES] = {{"shut", "shut", false, true},
                                                    {"locked", "shut", false, false},
                                                    {"open", "open", false, false},
                                                    {"gone", "gone", true, false}};
static const char *const events[EVENTS] = {"push", "pull", "turn", "burn", "undo"};
static const struct move moves[] = {
    {PUSH, SHUT, TO_SAME, BY_HOLDER, if_stuck, NULL, "it sticks", ""},
    {PUSH, SHUT, OPEN, BY_HOLDER | BY_OWNER, NULL, creak, "", "it creaks"},
    {PULL, OPEN, SHUT, BY_HOLDER, NULL, NULL, "", ""},
    {TURN, SHUT, LOCKED, BY_HOLDER, with_key, NULL, "with the key", ""},
    {BURN, FROM_ANY_OPEN, GONE, BY_RULE, NULL, NULL, "", ""},
    {UNDO, GONE, TO_BACK, BY_BOARD, NULL, NULL, "", ""},
};
static const struct machine machine = {
    "door", "Lets people in.", states, STATES, events, EVENTS, moves, sizeof moves / sizeof *moves, save};

static enum status act(struct door *door, int event, enum mover by, struct error *err)
{
    struct step step = {
        .machine = &machine, .subject = door, .from = door->state, .event = event, .by = by, .back = OPEN};
    return machine_do(&step, err);
}

static void every_pair_of_state_and_event_moves_as_the_table_says_or_is_refused(void **unused)
{
    (void)unused;
    /* by the holder with a key: where each event leads from each state; -1 is refused */
    static const int wanted[STATES][EVENTS] = {
        {OPEN, -1, LOCKED, -1, -1}, {-1, -1, -1, -1, -1}, {-1, SHUT, -1, -1, -1}, {-1, -1, -1, -1, -1}};
    for (int state = 0; state < STATES; state++)
        for (int event = 0; event < EVENTS; event++) {
            struct door door = {.state = state, .has_key = true};
            struct error err = {0};
            enum status status = act(&door, event, BY_HOLDER, &err);
            assert_int_equal(status == OK, wanted[state][event] >= 0);
            assert_int_equal(door.state, status == OK ? wanted[state][event] : state);
            assert_int_equal(door.saves, status == OK);
            assert_true(status == OK || status == CONFLICT || status == FORBIDDEN);
        }
}

static void the_first_row_whose_guard_fits_counts(void **unused)
{
    (void)unused;
    struct error err = {0};
    struct door door = {.state = SHUT, .stuck = true};
    assert_int_equal(OK, act(&door, PUSH, BY_HOLDER, &err));
    assert_int_equal(SHUT, door.state);
    assert_int_equal(0, door.effects);
    assert_int_equal(OK, act(&door, PUSH, BY_OWNER, &err)); /* the first row is not for owners */
    assert_int_equal(OPEN, door.state);
    assert_int_equal(1, door.effects);
}

static void a_guard_that_refuses_says_why_and_nothing_changes(void **unused)
{
    (void)unused;
    struct error err = {0};
    struct door door = {.state = SHUT};
    assert_int_equal(UNPROCESSABLE, act(&door, TURN, BY_HOLDER, &err));
    assert_string_equal("NoKey", err.code);
    assert_int_equal(SHUT, door.state);
    assert_int_equal(0, door.saves);
}

static void who_may_not_is_told_apart_from_what_cannot_be(void **unused)
{
    (void)unused;
    struct error err = {0};
    struct door door = {.state = OPEN};
    assert_int_equal(FORBIDDEN, act(&door, PULL, BY_OWNER, &err));
    assert_int_equal(CONFLICT, act(&door, TURN, BY_HOLDER, &err));
    assert_string_equal("WrongState", err.code);
}

static void a_state_that_is_over_is_left_by_a_named_move_only(void **unused)
{
    (void)unused;
    struct error err = {0};
    struct door door = {.state = LOCKED};
    assert_int_equal(OK, act(&door, BURN, BY_RULE, &err));
    assert_int_equal(CONFLICT, act(&door, BURN, BY_RULE, &err));
    assert_int_equal(OK, act(&door, UNDO, BY_BOARD, &err));
    assert_int_equal(OPEN, door.state);
    assert_true(machine_offers(&machine, LOCKED, BURN, BY_RULE));
    assert_false(machine_offers(&machine, GONE, BURN, BY_RULE));
    assert_false(machine_offers(&machine, LOCKED, BURN, BY_HOLDER));
}

static void who_was_slower_changes_nothing(void **unused)
{
    (void)unused;
    struct error err = {0};
    struct door door = {.state = OPEN};
    struct step late = {.machine = &machine, .subject = &door, .from = SHUT, .event = PUSH, .by = BY_OWNER};
    assert_int_equal(STALE, machine_do(&late, &err));
    assert_int_equal(0, door.effects);
}

static void it_is_printed_for_people(void **unused)
{
    (void)unused;
    auto_buf struct buf out = {0};
    machine_print(&machine, &out);
    assert_true(str_has(buf_view(&out), STR("| push | shut | open | holder, owner |  | it creaks |\n")));
    assert_true(str_has(buf_view(&out), STR("| burn | any that is not over | gone | rule |  |  |\n")));
    assert_int_equal(LOCKED, machine_state_named(&machine, STR("locked")));
    assert_int_equal(-1, machine_event_named(&machine, STR("kick")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event_moves_as_the_table_says_or_is_refused),
        cmocka_unit_test(the_first_row_whose_guard_fits_counts),
        cmocka_unit_test(a_guard_that_refuses_says_why_and_nothing_changes),
        cmocka_unit_test(who_may_not_is_told_apart_from_what_cannot_be),
        cmocka_unit_test(a_state_that_is_over_is_left_by_a_named_move_only),
        cmocka_unit_test(who_was_slower_changes_nothing),
        cmocka_unit_test(it_is_printed_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
