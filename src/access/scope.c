/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys that are limited to some repos and name spaces (access C13). Beyond its limits such a key is worth as much as no
 * key, and never less (access B57): what anybody may do, its holder may do with it.
 */
#include "access/scope.h"

/* What a scope has to say for an action; a new action wants the most until somebody has thought about it. */
static enum role role_needed(enum action action)
{
    switch (action) {
    case ACT_SEE:
    case ACT_READ:
    case ACT_ATTEST:
        return ROLE_READ;
    case ACT_CREATE:
    case ACT_TAKE_PART:
    case ACT_PROPOSE:
    case ACT_WRITE:
        return ROLE_WRITE;
    default:
        return ROLE_ADMIN;
    }
}

static bool covers(const struct actor *actor, enum role needed, const struct access_object *object)
{
    for (size_t i = 0; i < actor->scope_count; i++) {
        const struct key_scope *scope = &actor->scopes[i];
        bool is_it =
            scope->repo_id ? scope->repo_id == object->repo_id : scope->owner_id && scope->owner_id == object->owner_id;
        if (is_it && scope->role >= needed)
            return true;
    }
    return false;
}

static enum status refuse(const struct actor *actor, enum action action, const struct access_object *object,
                          struct error *err)
{
    if (object->visibility == VISIBILITY_PRIVATE && !covers(actor, ROLE_READ, object))
        return access_hidden(actor, err);
    return fail(err, FORBIDDEN, "TokenScope",
                "This token is limited to some repos and deeds, and \"%s\" here is not among them. Use another one.",
                action_name(action));
}

/* What a misused key may not do. It makes no other key either, which would be free of its hold. */
static enum status check_hold(struct db_conn *conn, const struct actor *actor, enum action action,
                              const struct access_object *object, struct error *err)
{
    const struct actor nobody = {.country = actor->country};
    if (actor->hold < KEY_SUSPENDED && action != ACT_SELF_CHANGE)
        return OK;
    if (access_decide(conn, &nobody, action, object, NULL) == OK)
        return OK;
    if (object && object->repo_id && object->visibility == VISIBILITY_PRIVATE)
        return access_hidden(actor, err);
    enum status status =
        fail(err, FORBIDDEN, "TokenHeld",
             "This token is %s, because it looked misused. GET /api/misuse tells why, and how to appeal.",
             actor->hold == KEY_SUSPENDED ? "suspended" : "held");
    error_explain(err, "misuse", 0, "/api/misuse");
    return status;
}

enum status access_scope(struct db_conn *conn, const struct actor *actor, enum action action,
                         const struct access_object *object, struct error *err)
{
    const struct actor nobody = {.country = actor->country};
    if (actor->hold && action != ACT_APPEAL)
        TRY(check_hold(conn, actor, action, object, err));
    if (!actor->is_scoped)
        return OK;
    if (action == ACT_SELF_CHANGE)
        return fail(err, FORBIDDEN, "TokenScope",
                    "This token is limited to some repos, and cannot change its owner's settings. Use another one.");
    if (!object || covers(actor, role_needed(action), object) ||
        access_decide(conn, &nobody, action, object, NULL) == OK)
        return OK;
    return refuse(actor, action, object, err);
}
