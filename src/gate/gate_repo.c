/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens to gates when repos are set, deleted and moved by the Hub protocol: each is one write. */
#include "base/time.h"
#include "gate/internal.h"

struct repo_call {
    const struct repo *repo;
    const struct repo_settings *settings;
    const struct repo_move_to *to;
    int64_t by_id;
};

static enum status in_group(struct db_conn *tx, struct arena *arena, const struct gate *gate, struct error *err)
{
    struct account owner;
    TRY(account_get(tx, arena, gate->owner_id, &owner, err));
    return fail(err, CONFLICT, "InGroup",
                "This repo is behind the gate %.*s/%.*s together with others. Take it out of there first: DELETE "
                "/api/gates/%.*s/%.*s/repos.",
                STR_ARG(owner.name), STR_ARG(gate->slug), STR_ARG(owner.name), STR_ARG(gate->slug));
}

/* The same policy with another mode. */
static enum status change_mode(struct db_conn *tx, struct arena *arena, struct gate *gate, enum gate_mode mode,
                               int64_t by_id, struct error *err)
{
    auto_json json_t *json = NULL;
    auto_buf struct buf text = {0};
    struct gate_policy policy;
    TRY(gate_policy_get(tx, arena, gate, 0, &policy, err));
    if (str_eq(gate_mode_gated(policy.mode), gate_mode_gated(mode)))
        return OK;
    TRY(json_read(policy.text, POLICY_LIMIT, &json, err));
    json_object_set_new(json, "mode", json_string(gate_mode_name(mode)));
    json_object_del(json, "rules");
    json_dump(json, &text);
    TRY(policy_read(arena, buf_view(&text), &policy, err));
    return gate_set_policy(tx, gate, &policy, by_id, err);
}

static enum status set_gate(struct db_conn *tx, const struct repo_call *call, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct gate gate;
    struct gate_policy policy;
    struct str gated = call->settings->gated;
    enum gate_mode mode = str_eq(gated, STR("auto")) ? MODE_CLICK : MODE_MANUAL;
    enum status found = gate_of_repo(tx, &arena, call->repo->id, &gate, err);
    if (found == OK && str_given(gate.slug))
        return str_eq(gated, call->repo->gated) ? OK : in_group(tx, &arena, &gate, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (gated.len == 0)
        return found == OK ? gate_unbind(tx, call->repo->id, call->by_id, err) : OK;
    if (found == OK)
        return change_mode(tx, &arena, &gate, mode, call->by_id, err);
    /* It may have had one before, with people who had been let in. */
    found = gate_of_home(tx, &arena, call->repo->id, &gate, err);
    if (found == OK) {
        TRY(gate_bind(tx, &gate, call->repo->id, call->by_id, err));
        return change_mode(tx, &arena, &gate, mode, call->by_id, err);
    }
    if (found != NOT_FOUND)
        return found;
    struct str text = mode == MODE_CLICK ? STR("{\"mode\":\"click\"}") : STR("{\"mode\":\"manual\"}");
    TRY(policy_read(&arena, text, &policy, err));
    return gate_make(tx, call->repo->owner_id, (struct str){0}, call->repo->id, &policy, call->by_id, &gate, err);
}

static enum status set_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct repo_call *call = context;
    struct repo_settings settings = *call->settings;
    if (str_given(settings.gated))
        TRY(set_gate(tx, call, err)); /* which sets repo.gated */
    settings.gated = (struct str){0};
    if (!settings.visibility && !settings.xet_enabled && str_given(call->settings->gated))
        return OK;
    return repo_set_in_write(tx, call->repo->id, &settings, call->by_id, err);
}

enum status gate_repo_set(struct db *db, const struct repo *repo, const struct repo_settings *settings, int64_t by_id,
                          struct error *err)
{
    struct repo_call call = {.repo = repo, .settings = settings, .by_id = by_id};
    return db_write(db, set_in_write, &call, err);
}

/* The row of gate_repo goes with the repo's own; whoever waits for it is told. */
static enum status delete_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct repo_call *call = context;
    auto_arena struct arena arena = {0};
    struct gate gate;
    enum status found = gate_of_repo(tx, &arena, call->repo->id, &gate, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK)
        TRY(gate_unbind(tx, call->repo->id, call->by_id, err));
    return repo_delete_in_write(tx, call->repo->id, call->by_id, err);
}

enum status gate_repo_delete(struct db *db, const struct repo *repo, int64_t by_id, struct error *err)
{
    struct repo_call call = {.repo = repo, .by_id = by_id};
    return db_write(db, delete_in_write, &call, err);
}

static const char move_sql[] = "UPDATE gate SET owner_id = ?, version = version + 1 WHERE home_repo_id = ?";

/* A repo takes its own gate along. That of a group belongs to a name space, so nobody may carry it out of there: it
 * would be open, or closed to those who were let in. */
static enum status move_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct repo_call *call = context;
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *move = NULL;
    struct gate gate;
    enum status found = gate_of_repo(tx, &arena, call->repo->id, &gate, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK && str_given(gate.slug) && gate.owner_id != call->to->new_owner_id)
        return in_group(tx, &arena, &gate, err);
    TRY(db_prepare(tx, move_sql, &move, err));
    stmt_bind_int(move, 1, call->to->new_owner_id);
    stmt_bind_int(move, 2, call->repo->id);
    TRY(stmt_run(move, err));
    return repo_move_in_write(tx, call->to, err);
}

enum status gate_repo_move(struct db *db, const struct repo *repo, int64_t new_owner_id, struct str ns, struct str name,
                           int64_t by_id, struct error *err)
{
    const struct repo_move_to to = {.repo = repo, .new_owner_id = new_owner_id, .by_id = by_id, .ns = ns, .name = name};
    struct repo_call call = {.repo = repo, .to = &to};
    return db_write(db, move_in_write, &call, err);
}
