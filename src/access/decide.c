/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/internal.h"
#include "access/scope.h"
#include <assert.h>

/* How somebody stands towards what an action is about. Ordered: each may do what those before it may. */
enum standing {
    ANYBODY,
    SIGNED_IN,
    READER, /* of the name space that owns it */
    WRITER,
    OWNER, /* also who has role admin in the organisation */
    HUB_ADMIN,
    NOBODY, /* needed for what no standing allows */
};

enum subject { NOTHING, NAME_SPACE, REPO };

/*
 * The whole decision: an action needs a standing, another one when the repo is disabled, and a key of some role. A
 * private repo needs READER besides, for whatever is done with it; stock clients create, change and delete with keys of
 * role write, so that role admin of a key is only asked of hub administrators (find_standing).
 */
static const struct rule {
    const char *name, *deed;
    enum subject subject;
    enum standing standing, when_disabled;
    enum role key;
} rules[ACTIONS] = {
    [ACT_PUBLIC] = {"public", "", NOTHING, ANYBODY, ANYBODY, ROLE_NONE},
    [ACT_LIST] = {"list", "", NOTHING, ANYBODY, ANYBODY, ROLE_NONE},
    [ACT_APPEAL] = {"appeal", "", NOTHING, SIGNED_IN, SIGNED_IN, ROLE_READ},
    [ACT_SELF] = {"self", "", NOTHING, SIGNED_IN, SIGNED_IN, ROLE_READ},
    [ACT_SELF_CHANGE] = {"self-change", "", NOTHING, SIGNED_IN, SIGNED_IN, ROLE_WRITE},
    [ACT_CREATE] = {"create", "create repos in", NAME_SPACE, WRITER, WRITER, ROLE_WRITE},
    [ACT_GOVERN] = {"govern", "set the rules of", NAME_SPACE, OWNER, OWNER, ROLE_WRITE},
    [ACT_COUNTERSIGN] = {"countersign", "countersign the rules of", NAME_SPACE, OWNER, OWNER, ROLE_WRITE},
    [ACT_SEE] = {"see", "see", REPO, ANYBODY, HUB_ADMIN, ROLE_NONE},
    [ACT_READ] = {"read", "read", REPO, ANYBODY, NOBODY, ROLE_NONE},
    [ACT_APPLY] = {"apply", "ask for access to", REPO, SIGNED_IN, NOBODY, ROLE_READ},
    [ACT_ATTEST] = {"attest", "sign statements about", REPO, SIGNED_IN, NOBODY, ROLE_READ},
    [ACT_TAKE_PART] = {"take-part", "take part in the training of", REPO, SIGNED_IN, NOBODY, ROLE_WRITE},
    [ACT_PROPOSE] = {"propose", "propose changes to", REPO, SIGNED_IN, NOBODY, ROLE_WRITE},
    [ACT_WRITE] = {"write", "write to", REPO, WRITER, NOBODY, ROLE_WRITE},
    [ACT_ADMINISTER] = {"administer", "administer", REPO, OWNER, NOBODY, ROLE_WRITE},
};

const char *action_name(enum action action)
{
    return rules[action].name;
}

/* The standing. */

static bool is_hidden_from_strangers(const struct rule *rule, const struct access_object *object)
{
    return rule->subject == REPO && object->visibility != VISIBILITY_PUBLIC;
}

static bool is_about_bytes(const struct rule *rule)
{
    return rule == &rules[ACT_READ] || rule == &rules[ACT_ATTEST] || rule == &rules[ACT_TAKE_PART];
}

static enum status find_standing(struct db_conn *conn, const struct actor *actor, const struct rule *rule,
                                 const struct access_object *object, enum standing *out, struct error *err)
{
    static const enum standing of_role[] = {
        [ROLE_NONE] = SIGNED_IN, [ROLE_READ] = READER, [ROLE_WRITE] = WRITER, [ROLE_ADMIN] = OWNER};
    enum role role;
    *out = actor->account.id ? SIGNED_IN : ANYBODY;
    if (*out == ANYBODY || rule->subject == NOTHING)
        return OK;
    /* Their other keys are those of an ordinary person, so that a key that leaks from a build does not open the whole
     * hub. What is new in a name space is made by its owner alone: it speaks in that name. */
    bool holds_office = rule->subject == REPO || rule == &rules[ACT_COUNTERSIGN];
    if (holds_office && actor->account.is_admin && actor->key_role == ROLE_ADMIN) {
        *out = HUB_ADMIN;
        return OK;
    }
    /* Lists ask for each repo; most are public, and the answer needs no more. */
    if (rule->standing <= SIGNED_IN && !is_hidden_from_strangers(rule, object))
        return OK;
    TRY(account_role_in(conn, actor->account.id, object->owner_id, &role, err));
    *out = of_role[role];
    return OK;
}

/* Refusals. */

enum status access_hidden(const struct actor *actor, struct error *err)
{
    return fail(err, actor->account.id ? NOT_FOUND : UNAUTHENTICATED, "RepoNotFound", "Repository not found");
}

/* To the letter: clients know it by its words (hub-protocol 0.4). */
static enum status refuse_disabled(struct error *err)
{
    return fail(err, FORBIDDEN, NULL, "Access to this resource is disabled.");
}

static enum status refuse_stranger(struct error *err)
{
    return fail(err, UNAUTHENTICATED, NULL,
                "Sign in to do this: send a token of this hub in the Authorization header (hf auth login)");
}

static enum status refuse_standing(const struct rule *rule, const struct access_object *object, struct error *err)
{
    const char *role = rule->standing == OWNER ? "admin" : "write";
    if (rule->subject == NAME_SPACE)
        return fail(err, FORBIDDEN, NULL,
                    "You may not %s this name space: it takes its owner, or a member of the organisation with role %s",
                    rule->deed, role);
    const char *advice = rule->standing == WRITER ? ". Propose the change in a pull request, or ask them" : "";
    return fail(err, FORBIDDEN, NULL,
                "You may not %s the %.*s %.*s: it takes its owner, or a member of the owning organisation with role "
                "%s%s",
                rule->deed, STR_ARG(object->kind_name), STR_ARG(object->full_name), role, advice);
}

static enum status refuse_key(enum role has, enum role needs, struct error *err)
{
    assert(has < needs);
    return fail(err, FORBIDDEN, NULL, "This token may only %.*s. Create one with role %.*s.", STR_ARG(role_name(has)),
                STR_ARG(role_name(needs)));
}

static enum status refuse_archived(const struct access_object *object, struct error *err)
{
    return fail(err, FORBIDDEN, "RepoArchived",
                "The %.*s %.*s is archived: it can be read, but not changed, because its owner keeps more than the "
                "tier allows. It comes back when the owner makes room or moves up: GET /api/usage says how.",
                STR_ARG(object->kind_name), STR_ARG(object->full_name));
}

/* The door. */

enum status access_explain(struct db_conn *conn, const struct actor *actor, enum action action,
                           const struct access_object *object, struct access_answer *answer, struct error *err)
{
    assert((unsigned)action < ACTIONS);
    const struct rule *rule = &rules[action];
    enum standing standing;
    *answer = (struct access_answer){0};
    assert(rule->subject == NOTHING || object != NULL);
    TRY(access_scope(conn, actor, action, object, err));
    TRY(find_standing(conn, actor, rule, object, &standing, err));
    if (is_hidden_from_strangers(rule, object) && standing < READER)
        return access_hidden(actor, err);
    if (rule->subject == REPO && object->disabled)
        return standing >= rule->when_disabled ? OK : refuse_disabled(err);
    if (is_about_bytes(rule))
        TRY(access_bytes(conn, actor, object, standing == HUB_ADMIN, answer, err));
    if (standing == ANYBODY && rule->standing > ANYBODY)
        return refuse_stranger(err);
    if (standing < rule->standing)
        return refuse_standing(rule, object, err);
    if (actor->key_role < rule->key)
        return refuse_key(actor->key_role, rule->key, err);
    /* Its owner still administers it: deleting, or giving it away, is how room is made. */
    return object && object->archived && (action == ACT_WRITE || action == ACT_PROPOSE) ? refuse_archived(object, err)
                                                                                        : OK;
}

enum status access_decide(struct db_conn *conn, const struct actor *actor, enum action action,
                          const struct access_object *object, struct error *err)
{
    struct access_answer answer;
    return access_explain(conn, actor, action, object, &answer, err);
}
