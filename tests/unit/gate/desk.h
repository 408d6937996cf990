/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A desk with a gate before one repo of `owner`, and people who come to it. */
#ifndef CAIRN_TESTS_GATE_DESK_H
#define CAIRN_TESTS_GATE_DESK_H

#include "../identity/helper.h"
#include "base/time.h"
#include "gate/apply.h"
#include "gate/review.h"
#include "grant/grant.h"
#include "notice/notice.h"
#include "quota/quota.h"
#include "terms/terms.h"

const struct module *const modules[] = {&notice_module, &terms_module,  &grant_module,
                                        &gate_module,   &review_module, NULL};

#define PEOPLE 6

struct desk {
    struct town *town;
    struct db *db;
    struct arena arena;
    int64_t owner, people[PEOPLE];
    struct repo repo;
    struct gate gate;
};

static inline enum status run_sql(struct db_conn *tx, void *sql, struct error *err)
{
    return db_exec(tx, sql, err);
}

/* One number out of the database. */
static inline int64_t number_of(struct desk *desk, const char *sql)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *stmt = NULL;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(db_prepare(conn, sql, &stmt, err));
    assert_true(stmt_next(stmt));
    return stmt_int(stmt, 0);
}

struct gate_call {
    struct desk *desk;
    const struct gate_policy *policy;
    enum gate_state state;
};

static inline enum status set_policy_in(struct db_conn *tx, void *context, struct error *err)
{
    struct gate_call *call = context;
    struct desk *desk = call->desk;
    if (!desk->gate.id)
        return gate_make(tx, desk->owner, (struct str){0}, desk->repo.id, call->policy, desk->owner, &desk->gate, err);
    return gate_set_policy(tx, &desk->gate, call->policy, desk->owner, err);
}

static inline enum status set_policy(struct desk *desk, const char *text, struct error *err)
{
    struct gate_policy policy;
    struct gate_call call = {.desk = desk, .policy = &policy};
    TRY(policy_read(&desk->arena, str_of(text), &policy, err));
    return db_write(desk->db, set_policy_in, &call, err);
}

static inline enum status set_state_in(struct db_conn *tx, void *context, struct error *err)
{
    struct gate_call *call = context;
    TRY(gate_get(tx, &call->desk->arena, call->desk->gate.id, &call->desk->gate, err));
    return gate_set_state(tx, &call->desk->gate, call->state, call->desk->owner, err);
}

static inline void set_state(struct desk *desk, enum gate_state state)
{
    struct gate_call call = {.desk = desk, .state = state};
    GOOD(db_write(desk->db, set_state_in, &call, err));
}

static inline int desk_setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    struct repo_new what = {.kind = KIND_MODEL,
                            .name = STR("flora"),
                            .visibility = VISIBILITY_PUBLIC,
                            .by_name = STR("owner"),
                            .by_email = STR("owner@example.org"),
                            .sdk = STR("")};
    if (town_setup((void **)&desk->town) != 0)
        return -1;
    const struct migration_set sets[] = {
        timer_migrations,         store_migrations,          repo_migrations,
        access_migrations,        quota_migrations,          *notice_module.migrations,
        *terms_module.migrations, *grant_module.migrations,  *gate_module.migrations,
        *review_module.migrations};
    *state = desk;
    desk->db = desk->town->db;
    GOOD(db_migrate(desk->db, sets, sizeof sets / sizeof *sets, err));
    desk->owner = add_user(desk->town, "owner");
    for (int i = 0; i < PEOPLE; i++) {
        char name[24];
        snprintf(name, sizeof name, "person%d", i);
        desk->people[i] = add_user(desk->town, name);
    }
    what.owner_id = what.by_id = desk->owner;
    what.ns = STR("owner");
    GOOD(repo_create(desk->db, &desk->arena, &what, &desk->repo, err));
    GOOD(set_policy(desk, "{\"mode\":\"manual\"}", err));
    return 0;
}

static inline int desk_teardown(void **state)
{
    struct desk *desk = *state;
    clock_travel(0);
    town_teardown((void **)&desk->town);
    arena_free(&desk->arena);
    free(desk);
    return 0;
}
#define at_desk(test) cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)

/* What people do. */

struct doing {
    struct desk *desk;
    const char *body;
    int64_t account_id;
    struct access_request request;
    enum request_event event;
    enum mover by;
    int64_t actor_id;
    const char *code, *text;
};

static inline enum status apply_in(struct db_conn *tx, void *context, struct error *err)
{
    struct doing *doing = context;
    auto_json json_t *body = NULL;
    struct application how;
    TRY(json_read(str_of(doing->body), SIZE_MAX, &body, err));
    TRY(application_read(&doing->desk->arena, body, &how, err));
    how.repo_id = doing->desk->repo.id;
    how.account_id = doing->account_id;
    how.account_name = STR("somebody");
    how.purpose = str_given(how.purpose) ? arena_copy(&doing->desk->arena, how.purpose) : how.purpose;
    return application_apply(tx, &doing->desk->arena, &how, &doing->request, err);
}

static inline enum status ask(struct desk *desk, int64_t who, const char *body, struct access_request *out,
                              struct error *err)
{
    struct doing doing = {.desk = desk, .body = body, .account_id = who};
    enum status status = db_write(desk->db, apply_in, &doing, err);
    if (out)
        *out = doing.request;
    return status;
}

static inline struct access_request asked(struct desk *desk, int64_t who, const char *body)
{
    struct access_request out;
    GOOD(ask(desk, who, body, &out, err));
    return out;
}

static inline enum status do_in(struct db_conn *tx, void *context, struct error *err)
{
    struct doing *doing = context;
    return request_do(tx, &doing->desk->arena, &doing->request, doing->event, doing->by, doing->actor_id,
                      str_of(doing->code), str_of(doing->text), err);
}

static inline enum status act(struct desk *desk, struct access_request *request, enum request_event event,
                              enum mover by, const char *text, struct error *err)
{
    struct doing doing = {.desk = desk,
                          .request = *request,
                          .event = event,
                          .by = by,
                          .actor_id = by == BY_HOLDER  ? request->applicant_id
                                      : by == BY_OWNER ? desk->owner
                                                       : 0,
                          .code = "because",
                          .text = text};
    enum status status = db_write(desk->db, do_in, &doing, err);
    if (status == OK)
        *request = doing.request;
    return status;
}

static inline enum status judge(struct desk *desk, struct access_request *request, enum outcome outcome,
                                struct error *err)
{
    request->outcome = outcome;
    return act(desk, request, REQUEST_VERDICT, BY_OWNER, "so it is", err);
}

static inline struct access_request read_request(struct desk *desk, int64_t id)
{
    auto_conn struct db_conn *conn = NULL;
    struct access_request out;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(request_get(conn, &desk->arena, id, &out, err));
    return out;
}

static inline void later(struct desk *desk, int64_t ahead_us)
{
    clock_travel(ahead_us);
    GOOD(timers_run(desk->db, err));
}

#endif
