/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may follow what in the life of a deployment, by enumeration: every state with every phase. */
#include "attest/deployment_step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A row a state, a column a phase (start, heartbeat, stop): the state that follows, or why none does. */
static const struct {
    enum status status;
    enum deployment_state next;
} expected[DEPLOYMENT_STATES][DEPLOYMENT_PHASES] = {
    [DEPLOYMENT_NONE] = {{OK, DEPLOYMENT_RUNNING}, {NOT_FOUND}, {NOT_FOUND}},
    [DEPLOYMENT_RUNNING] = {{CONFLICT}, {OK, DEPLOYMENT_RUNNING}, {OK, DEPLOYMENT_STOPPED}},
    [DEPLOYMENT_STOPPED] = {{CONFLICT}, {CONFLICT}, {CONFLICT}},
};

static void every_phase_follows_where_it_may_and_nowhere_else(void **state)
{
    (void)state;
    for (enum deployment_state from = 0; from < DEPLOYMENT_STATES; from++)
        for (enum deployment_phase phase = 0; phase < DEPLOYMENT_PHASES; phase++) {
            struct error err = {0};
            enum deployment_state next = DEPLOYMENT_STATES;
            enum status status = deployment_step(from, phase, &next, &err);
            assert_int_equal(expected[from][phase].status, status);
            assert_int_equal(status == OK ? expected[from][phase].next : DEPLOYMENT_STATES, next);
            assert_true(status == OK || err.message[0] != '\0');
        }
}

static void nothing_leads_back_to_where_it_was_not_there(void **state)
{
    (void)state;
    for (enum deployment_state from = 0; from < DEPLOYMENT_STATES; from++)
        for (enum deployment_phase phase = 0; phase < DEPLOYMENT_PHASES; phase++) {
            enum deployment_state next;
            if (deployment_step(from, phase, &next, NULL) == OK)
                assert_int_not_equal(DEPLOYMENT_NONE, next);
        }
}

static void phases_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (enum deployment_phase phase = 0; phase < DEPLOYMENT_PHASES; phase++) {
        enum deployment_phase read = DEPLOYMENT_PHASES;
        assert_true(deployment_phase_parse(deployment_phase_name(phase), &read));
        assert_int_equal(phase, read);
    }
    enum deployment_phase read;
    assert_false(deployment_phase_parse(STR("Start"), &read));
    assert_false(deployment_phase_parse(STR("pause"), &read));
    assert_false(deployment_phase_parse(STR(""), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_follows_where_it_may_and_nowhere_else),
        cmocka_unit_test(nothing_leads_back_to_where_it_was_not_there),
        cmocka_unit_test(phases_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
