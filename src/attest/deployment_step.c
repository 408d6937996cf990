/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/deployment_step.h"
#include <assert.h>

static const struct step {
    enum deployment_state next;
    enum status refusal; /* OK: it may follow */
    const char *reason;
} steps[DEPLOYMENT_STATES][DEPLOYMENT_PHASES] = {
    [DEPLOYMENT_NONE] =
        {
            [PHASE_START] = {.next = DEPLOYMENT_RUNNING},
            [PHASE_HEARTBEAT] = {.refusal = NOT_FOUND, .reason = "There is no deployment of that \"id\" to hear of."},
            [PHASE_STOP] = {.refusal = NOT_FOUND, .reason = "There is no deployment of that \"id\" to stop."},
        },
    [DEPLOYMENT_RUNNING] =
        {
            [PHASE_START] = {.refusal = CONFLICT,
                             .reason = "This deployment runs already. Start another without \"id\"."},
            [PHASE_HEARTBEAT] = {.next = DEPLOYMENT_RUNNING},
            [PHASE_STOP] = {.next = DEPLOYMENT_STOPPED},
        },
    [DEPLOYMENT_STOPPED] =
        {
            [PHASE_START] = {.refusal = CONFLICT,
                             .reason = "This deployment has stopped. Start another without \"id\"."},
            [PHASE_HEARTBEAT] = {.refusal = CONFLICT, .reason = "This deployment has stopped. Start another one."},
            [PHASE_STOP] = {.refusal = CONFLICT, .reason = "This deployment has stopped already."},
        },
};

static const struct str names[DEPLOYMENT_PHASES] = {
    [PHASE_START] = {"start", 5}, [PHASE_HEARTBEAT] = {"heartbeat", 9}, [PHASE_STOP] = {"stop", 4}};

struct str deployment_phase_name(enum deployment_phase phase)
{
    assert((unsigned)phase < DEPLOYMENT_PHASES);
    return names[phase];
}

bool deployment_phase_parse(struct str name, enum deployment_phase *out)
{
    for (enum deployment_phase phase = 0; phase < DEPLOYMENT_PHASES; phase++)
        if (str_eq(name, names[phase])) {
            *out = phase;
            return true;
        }
    return false;
}

enum status deployment_step(enum deployment_state state, enum deployment_phase phase, enum deployment_state *next,
                            struct error *err)
{
    assert((unsigned)state < DEPLOYMENT_STATES && (unsigned)phase < DEPLOYMENT_PHASES);
    const struct step *step = &steps[state][phase];
    if (step->refusal != OK)
        return fail(err, step->refusal, NULL, "%s", step->reason);
    *next = step->next;
    return OK;
}
