/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "gate/handlers.h"

/* The applicant has not answered in time (R9). */
static enum status answer_over(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct access_request request;
    (void)due_us;
    TRY(request_get(tx, &arena, ref, &request, err));
    if (request.state != REQUEST_INFO_WAIT && request.state != REQUEST_VERIFY_WAIT)
        return OK;
    return request_do(tx, &arena, &request, REQUEST_NO_ANSWER, BY_RULE, 0, STR("no-answer"), STR(""), err);
}

static enum status close_more(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err)
{
    (void)due_us;
    return requests_close(tx, ref, err);
}

static const struct timer_kind timers[] = {
    {"request.answer", answer_over},
    {"gate.close", close_more},
    {REQUESTS_TERMS, requests_terms_moved},
    {0},
};

static const struct machine *const machines[] = {&request_machine, NULL};

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/gate", ACT_SEE, gate_show},
    {HTTP_PUT, "/api/{api}/gate", ACT_ADMINISTER, gate_put},
    {HTTP_POST, "/api/{api}/gate/state", ACT_ADMINISTER, gate_state_post},
    {HTTP_GET, "/api/gates/{name}", ACT_GOVERN, group_list, .object_in_body = true},
    {HTTP_GET, "/api/gates/{name}/{name}", ACT_GOVERN, group_show, .object_in_body = true},
    {HTTP_PUT, "/api/gates/{name}/{name}", ACT_GOVERN, group_put, .object_in_body = true},
    {HTTP_POST, "/api/gates/{name}/{name}/state", ACT_GOVERN, group_state_post, .object_in_body = true},
    {HTTP_GET, "/api/gates/{name}/{name}/repos", ACT_GOVERN, group_repos, .object_in_body = true},
    {HTTP_POST, "/api/gates/{name}/{name}/repos", ACT_GOVERN, group_repo_add, .object_in_body = true},
    {HTTP_DELETE, "/api/gates/{name}/{name}/repos", ACT_GOVERN, group_repo_remove, .object_in_body = true},

    {HTTP_POST, "/api/{api}/access-request", ACT_APPLY, access_request_post},
    {HTTP_GET, "/api/{api}/access-request", ACT_APPLY, access_request_get},
    {HTTP_POST, "/api/{api}/access-request/withdraw", ACT_APPLY, access_request_withdraw},
    {HTTP_POST, "/api/{api}/access-request/check", ACT_APPLY, access_request_check},
    {HTTP_POST, "/api/{api}/access-request/answer", ACT_APPLY, access_request_answer},
    {HTTP_POST, "/api/{api}/access-request/join", ACT_APPLY, access_request_join},
    {HTTP_POST, "/api/{api}/access-request/member", ACT_APPLY, access_request_member},
    {HTTP_GET, "/{web}/ask-access", ACT_SEE, ask_get},
    {HTTP_POST, "/{web}/ask-access", ACT_APPLY, ask_post},
    {HTTP_GET, "/api/access-requests", ACT_SELF, access_requests_mine},

    {HTTP_GET, "/api/{api}/access-requests", ACT_ADMINISTER, access_requests_get},
    {HTTP_GET, "/api/{api}/access-requests/{id}", ACT_ADMINISTER, access_request_one},
    {HTTP_POST, "/api/{api}/access-requests/{id}/ask", ACT_ADMINISTER, access_request_ask},
    {HTTP_POST, "/api/{api}/access-requests/{id}/decide", ACT_ADMINISTER, access_request_decide},

    {HTTP_POST, "/api/{api}/user-access-request/handle", ACT_ADMINISTER, hub_request_handle},
    {HTTP_POST, "/api/{api}/user-access-request/grant", ACT_ADMINISTER, hub_grant},
    {HTTP_GET, "/api/{api}/user-access-request/{status}", ACT_ADMINISTER, hub_requests_get},
    {0},
};

const struct module gate_module = {
    .name = "gate",
    .migrations = &gate_migrations,
    .routes = routes,
    .timers = timers,
    .machines = machines,
    .erase = requests_erase,
    .forgets = request_forgets,
};
