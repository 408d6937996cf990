/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/review_internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/gate/reviewers", ACT_ADMINISTER, reviewers_get},
    {HTTP_PUT, "/api/{api}/gate/reviewers", ACT_ADMINISTER, reviewers_put},
    {HTTP_DELETE, "/api/{api}/gate/reviewers", ACT_ADMINISTER, reviewers_delete},
    {HTTP_GET, "/api/{api}/gate/figures", ACT_SEE, figures_get},
    {HTTP_POST, "/api/{api}/gate/cases/{request}/reopen", ACT_ADMINISTER, case_reopen_post},

    {HTTP_GET, "/api/settings/conflicts", ACT_SELF, conflicts_get},
    {HTTP_POST, "/api/settings/conflicts", ACT_SELF, conflicts_post},
    {HTTP_DELETE, "/api/settings/conflicts/{id}", ACT_SELF, conflicts_delete},

    {HTTP_GET, "/api/reviews", ACT_SELF, reviews_get},
    {HTTP_GET, "/api/reviews/seeds", ACT_LIST, seeds_get},
    {HTTP_GET, "/api/reviews/{assignment}", ACT_SELF, review_get},
    {HTTP_POST, "/api/reviews/{assignment}", ACT_SELF, review_verdict_post},
    {HTTP_POST, "/api/reviews/{assignment}/scores", ACT_SELF, review_scores_post},
    {HTTP_POST, "/api/reviews/{assignment}/ask", ACT_SELF, review_ask_post},
    {HTTP_POST, "/api/reviews/{assignment}/recuse", ACT_SELF, review_recuse_post},
    {HTTP_POST, "/api/reviews/{assignment}/identity", ACT_SELF, review_identity_post},

    {HTTP_POST, "/api/{api}/access-request/appeal", ACT_APPLY, appeal_post},
    {HTTP_POST, "/api/grants/{grant}/appeal", ACT_SELF, grant_appeal_post},
    {HTTP_GET, "/api/appeals", ACT_SELF, appeals_get},
    {HTTP_GET, "/api/appeals/{appeal}", ACT_SELF, appeal_get},
    {HTTP_POST, "/api/appeals/{appeal}", ACT_SELF, appeal_vote_post},
    {HTTP_POST, "/api/appeals/{appeal}/first-look", ACT_SELF, appeal_look_post},
    {HTTP_POST, "/api/appeals/{appeal}/recuse", ACT_SELF, appeal_recuse_post},
    {HTTP_POST, "/api/appeals/{appeal}/withdraw", ACT_SELF, appeal_withdraw_post},
    {HTTP_POST, "/api/appeals/{appeal}/board", ACT_SELF, appeal_board_post},
    {0},
};

/* The seeds of this month and the next, so that the hash is out before the first case of a month. */
static enum status make_seeds(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    auto_arena struct arena arena = {0};
    return seeds_make(tx, &arena, now_us(), err);
}

static enum status seeds(struct hub *hub, struct error *err)
{
    return db_write(hub->db, make_seeds, NULL, err);
}

static enum status ties(struct hub *hub, struct error *err)
{
    return conflicts_find(hub->db, err);
}

static const struct job jobs[] = {{"review seeds", 3600, seeds}, {"review conflicts", 3600, ties}, {0}};

static const struct timer_kind timers[] = {
    {"review.clock", review_clock_fire}, {"review.figures", figures_fire}, {"appeal.clock", appeal_clock_fire}, {0}};

static const struct machine *const machines[] = {&appeal_machine, NULL};

const struct module review_module = {.name = "review",
                                     .migrations = &review_migrations,
                                     .routes = routes,
                                     .jobs = jobs,
                                     .timers = timers,
                                     .machines = machines,
                                     .erase = review_erase,
                                     .forgets = review_forgets};
