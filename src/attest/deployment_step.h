/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_DEPLOYMENT_STEP_H
#define CAIRN_ATTEST_DEPLOYMENT_STEP_H

#include "base/error.h"
#include "base/str.h"

/* What may follow what in the life of a deployment: start, heartbeats, stop. */
enum deployment_state { DEPLOYMENT_NONE, DEPLOYMENT_RUNNING, DEPLOYMENT_STOPPED, DEPLOYMENT_STATES };
enum deployment_phase { PHASE_START, PHASE_HEARTBEAT, PHASE_STOP, DEPLOYMENT_PHASES };

#define DEPLOYMENT_PHASE_WORDS "start heartbeat stop"
struct str deployment_phase_name(enum deployment_phase phase);
bool deployment_phase_parse(struct str name, enum deployment_phase *out);

/* The state that follows; *next is untouched otherwise. NOT_FOUND before a start, CONFLICT where the phase does not
 * fit. */
enum status deployment_step(enum deployment_state state, enum deployment_phase phase, enum deployment_state *next,
                            struct error *err);

#endif
