/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/internal.h"

const struct event_kind federate_events[] = {[EVENT_OPEN] = {"federate.open", 1},
                                             [EVENT_ROUND] = {"federate.round", 1},
                                             [EVENT_STOP] = {"federate.stop", 1},
                                             [EVENT_DECISION] = {"federate.decision", 1},
                                             {0}};

static const struct route routes[] = {
    {HTTP_POST, "/api/{api}/federate", ACT_ADMINISTER, run_open},
    {HTTP_DELETE, "/api/{api}/federate", ACT_ADMINISTER, run_stop},
    {HTTP_GET, "/api/{api}/federate", ACT_SEE, run_status},
    {HTTP_POST, "/api/{api}/federate/join", ACT_TAKE_PART, run_join},
    {HTTP_GET, "/api/{api}/federate/round", ACT_TAKE_PART, round_get},
    {HTTP_GET, "/api/{api}/federate/proof", ACT_TAKE_PART, proof_of_round_get},
    {HTTP_GET, "/api/{api}/federate/reports", ACT_TAKE_PART, reports_get},
    {HTTP_GET, "/api/{api}/federate/control", ACT_TAKE_PART, control_get},
    {HTTP_GET, "/api/{api}/federate/suspects", ACT_ADMINISTER, suspects_get},
    {HTTP_POST, "/api/{api}/federate/suspects", ACT_ADMINISTER, suspects_post},
    {HTTP_GET, "/api/{api}/federate/candidates", ACT_TAKE_PART, candidates_get},
    {HTTP_GET, "/api/{api}/federate/candidate", ACT_TAKE_PART, candidate_get},
    {HTTP_POST, "/api/{api}/federate/scores", ACT_TAKE_PART, scores_post},
    {HTTP_PUT, "/api/{api}/federate/update", ACT_TAKE_PART, update_put},
    {HTTP_POST, "/api/{api}/federate/update", ACT_TAKE_PART, update_finish},
    {HTTP_GET, "/api/{api}/federate/cohort", ACT_TAKE_PART, cohort_get},
    {HTTP_POST, "/api/{api}/federate/cohort", ACT_TAKE_PART, cohort_post},
    {0},
};

static const struct job jobs[] = {{"federated rounds", 1, rounds_job, .slow = true},
                                  {"federated cohorts", 1, cohorts_job, .soon = true},
                                  {"federated folders", 3600, folders_job, .slow = true},
                                  {0}};

/* An update that was accepted stays until its round is over, under a number that is nobody's any more. */
static const char *const forgets[] = {
    "DELETE FROM federate_participant WHERE account_id = ?",
    "DELETE FROM federate_suspicion WHERE account_id = ?",
    "DELETE FROM federate_update WHERE account_id = ? AND state <> 1",
    "DELETE FROM federate_member WHERE account_id = ? AND run_id IN (SELECT run_id FROM federate_attempt WHERE drawn = "
    "0)",
    "UPDATE federate_report SET account_id = 0 WHERE account_id = ? AND body IS NULL",
    NULL,
};

const struct module federate_module = {.name = "federate",
                                       .migrations = &federate_migrations,
                                       .events = federate_events,
                                       .routes = routes,
                                       .jobs = jobs,
                                       .forgets = forgets};
