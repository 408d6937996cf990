/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The house of the texts, with grants: what people and the clock do to them. */
#ifndef CAIRN_TESTS_GRANT_FIXTURE_H
#define CAIRN_TESTS_GRANT_FIXTURE_H

#include "../terms/fixture.h"
#include "grant/internal.h"

const struct module *const modules[] = {&terms_module, &grant_module, NULL};

#define ONE "You may use it.\n"
#define TWO ONE "You must cite it.\n"
#define THREE TWO "You must pay.\n"

struct deed {
    int64_t id, new_id;
    const struct grant_new *new;
    enum grant_event event;
    enum mover by;
    int64_t actor_id, until_us;
    const char *code, *text;
};

static inline enum status open_in(struct db_conn *tx, void *context, struct error *err)
{
    struct deed *deed = context;
    return grant_open(tx, deed->new, &deed->new_id, err);
}

static inline enum status renew_in(struct db_conn *tx, void *context, struct error *err)
{
    struct deed *deed = context;
    return grant_renew(tx, deed->id, deed->new, &deed->new_id, err);
}

static inline enum status do_in(struct db_conn *tx, void *context, struct error *err)
{
    struct deed *deed = context;
    return grant_do(tx, deed->id, deed->event, deed->by, deed->actor_id, str_of(deed->code), str_of(deed->text),
                    deed->until_us, err);
}

static inline enum status open_for(struct house *house, int64_t who, const char *purpose, int64_t life_us, int64_t *id,
                                   struct error *err)
{
    const struct grant_new new = {.gate_id = house->gate,
                                  .account_id = who,
                                  .purpose = str_of(purpose),
                                  .expires_us = life_us ? now_us() + life_us : 0,
                                  .basis = "owner"};
    struct deed deed = {.new = &new};
    enum status status = db_write(house->db, open_in, &deed, err);
    *id = deed.new_id;
    return status;
}

static inline int64_t opened(struct house *house, int64_t who, int64_t life_us)
{
    int64_t id = 0;
    GOOD(open_for(house, who, "", life_us, &id, err));
    return id;
}

static inline enum status renew(struct house *house, int64_t old, int64_t life_us, int64_t window_us, int64_t *id,
                                struct error *err)
{
    const struct grant_new new = {
        .expires_us = life_us ? now_us() + life_us : 0, .basis = "review", .renew_us = window_us};
    struct deed deed = {.id = old, .new = &new};
    enum status status = db_write(house->db, renew_in, &deed, err);
    *id = deed.new_id;
    return status;
}

static inline enum status act(struct house *house, int64_t id, enum grant_event event, enum mover by, const char *code,
                              int64_t until_us, struct error *err)
{
    struct deed deed = {
        .id = id, .event = event, .by = by, .code = code, .text = code ? "because" : NULL, .until_us = until_us};
    return db_write(house->db, do_in, &deed, err);
}

static inline struct grant the_grant(struct house *house, int64_t id)
{
    auto_conn struct db_conn *conn = NULL;
    struct grant grant = {0};
    GOOD(db_reader(house->db, &conn, err));
    GOOD(grant_get(conn, house->arena, id, &grant, err));
    return grant;
}

#define assert_state(want, id)                                                                                         \
    assert_string_equal(grant_machine.states[want].name, grant_machine.states[the_grant(house, id).state].name)

static inline int64_t told(struct house *house, int64_t who)
{
    return count_of(house, "SELECT count(*) FROM notice WHERE account_id = ?", who);
}

/* Whether the door lets somebody read now, whatever is written. */
static inline bool is_let_in(struct house *house, int64_t who, struct error *why)
{
    auto_conn struct db_conn *conn = NULL;
    const struct actor actor = {.account = {.id = who, .kind = ACCOUNT_USER}, .key_role = ROLE_READ};
    const struct access_object object = repo_access(&house->repo);
    *why = (struct error){0};
    GOOD(db_reader(house->db, &conn, err));
    return access_decide(conn, &actor, ACT_READ, &object, why) == OK;
}

/* By when somebody who is let in has to accept something; 0: nothing. */
static inline int64_t due_at_the_door(struct house *house, int64_t who)
{
    auto_conn struct db_conn *conn = NULL;
    const struct actor actor = {.account = {.id = who, .kind = ACCOUNT_USER}, .key_role = ROLE_READ};
    const struct access_object object = repo_access(&house->repo);
    struct access_answer answer;
    GOOD(db_reader(house->db, &conn, err));
    GOOD(access_explain(conn, &actor, ACT_READ, &object, &answer, err));
    return answer.terms_due_us;
}

#endif
