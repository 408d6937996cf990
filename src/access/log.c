/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/json.h"
#include "base/time.h"

enum { POLICY, DECISION, BATCH, STEP };
const struct event_kind access_events[] = {[POLICY] = {"access.policy", 1},
                                           [DECISION] = {"access.decision", 1},
                                           [BATCH] = {"access.batch", 1},
                                           [STEP] = {"access.step", 1},
                                           {0}};

enum status access_log_policy(struct db_conn *tx, const struct policy_change *change, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "what", str_of(change->what));
    jw_key_bool(&w, "gated", change->gated);
    if (change->before)
        jw_key_hex(&w, "before", change->before, SHA256_SIZE);
    if (change->after)
        jw_key_hex(&w, "after", change->after, SHA256_SIZE);
    jw_key_int(&w, "owner", change->owner_id);
    jw_end(&w);
    const struct event event = {&access_events[POLICY], change->repo_id, change->actor_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

/* "owner" is whose key commits to the person: the person's own, so that forgetting the person closes it for good. */
enum status access_log_decision(struct db_conn *tx, struct decision_made *made, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    char person[24];
    snprintf(person, sizeof person, "%lld", (long long)made->account_id);
    jw_object(&w);
    jw_key_str(&w, "decision", str_of(made->decision));
    jw_key_str(&w, "basis", str_of(made->basis));
    if (made->policy)
        jw_key_hex(&w, "policy", made->policy, SHA256_SIZE);
    if (made->expires_us)
        jw_key_int(&w, "expires", made->expires_us / SECOND_US);
    jw_key_int(&w, "owner", made->account_id);
    jw_key(&w, "secrets");
    jw_object(&w);
    jw_key_str(&w, "person", str_of(person));
    jw_end(&w);
    jw_end(&w);
    const struct event event = {&access_events[DECISION], made->repo_id, made->actor_id, buf_view(&body)};
    TRY(event_append(tx, &event, err));
    made->event_id = db_last_id(tx);
    return OK;
}

enum status access_log_batch(struct db_conn *tx, struct batch_made *made, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "count", made->count);
    jw_key_int(&w, "denied", made->denied);
    jw_key_int(&w, "first", made->first_s);
    jw_key_int(&w, "last", made->last_s);
    jw_key_hex(&w, "root", made->root, SHA256_SIZE);
    jw_end(&w);
    const struct event event = {&access_events[BATCH], 0, 0, buf_view(&body)};
    TRY(event_append(tx, &event, err));
    made->event_id = db_last_id(tx);
    return OK;
}

enum status access_log_step(struct db_conn *tx, const struct step_made *made, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "machine", str_of(made->machine));
    jw_key_int(&w, "id", made->id);
    jw_key_str(&w, "event", str_of(made->event));
    jw_key_str(&w, "from", str_of(made->from));
    jw_key_str(&w, "to", str_of(made->to));
    jw_end(&w);
    const struct event event = {&access_events[STEP], made->repo_id, made->actor_id, buf_view(&body)};
    return event_append(tx, &event, err);
}
