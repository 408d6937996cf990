/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_ACCESS_H
#define CAIRN_ACCESS_ACCESS_H

#include "db/db.h"
#include "identity/identity.h"

extern const struct migration_set access_migrations;

/*
 * The one door (rule 2): whether an actor may do an action on an object is decided here and nowhere else. A route names
 * its action; the dispatcher asks before the handler runs. Visibility and roles today; gates, grants and tiers will be
 * further rows of the same decision.
 *
 * A hub administrator acts as one only with a key of role admin: on every repo, but not to create in a name space of
 * others.
 */
enum action {
    ACT_PUBLIC,      /* reads nothing that anybody may not know: health, metrics, validate-yaml */
    ACT_LIST,        /* lists: each item is asked for with ACT_SEE */
    ACT_SELF,        /* about the actor itself: needs a key */
    ACT_SELF_CHANGE, /* how others know the actor, as by signing keys: needs a key that may write */
    ACT_CREATE,      /* a repo in a name space */
    ACT_GOVERN,      /* what a name space asks of others: its terms, its groups */
    ACT_COUNTERSIGN, /* the same, as the second person: hub administrators too */
    ACT_SEE,         /* a repo's metadata */
    ACT_READ,        /* a repo's bytes */
    ACT_APPLY,       /* ask for a repo's bytes: whoever may see it */
    ACT_ATTEST,      /* statements about a repo's commits, signed by whoever may read them */
    ACT_PROPOSE,     /* a pull request */
    ACT_WRITE,       /* commits, branches, tags, uploads */
    ACT_ADMINISTER,  /* settings, move, delete */
    ACTIONS,
};
const char *action_name(enum action action);

enum visibility { VISIBILITY_PUBLIC = 1, VISIBILITY_PRIVATE = 2 };

/* What the question is about. For ACT_CREATE, ACT_GOVERN and ACT_COUNTERSIGN only
 * owner_id is used; for those before them nothing is. */
struct access_object {
    int64_t repo_id, owner_id;
    enum visibility visibility;
    bool disabled;
    bool gated;           /* bytes only for members of the owner until the gate's own engine decides */
    struct str kind_name; /* "model": for the sentence that a refusal carries */
    struct str full_name; /* "ns/name" */
};

/*
 * OK, or the refusal with the status, code and words of hub-protocol 0.4: a repo that the actor may not see is answered
 * like one that does not exist (401 or 404 RepoNotFound). conn is read from; nothing is written.
 */
enum status access_decide(struct db_conn *conn, const struct actor *actor, enum action action,
                          const struct access_object *object, struct error *err);

/* The refusal for a repo that is not there, the same words as for one that may not be seen. */
enum status access_hidden(const struct actor *actor, struct error *err);

#endif
