/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_ACCESS_H
#define CAIRN_ACCESS_ACCESS_H

#include "db/db.h"
#include "identity/identity.h"

extern const struct migration_set access_migrations;

/*
 * The one door (rule 2): whether an actor may do an action on an object is decided here and nowhere else. A route names
 * its action; the dispatcher asks before the handler runs.
 *
 * The first that matches answers: a hidden repo is not there; a disabled one; bytes that are held (access_hold); and for
 * the bytes of a gated repo, a block of the person, the gate's opening date, its territory, no grant, what the grant
 * stands at by now, and texts that were not accepted (access C4). Then roles and keys, and whether it is archived.
 *
 * A hub administrator acts as one only with a key of role admin: on every repo, but not to create in a name space of
 * others, and not to get the bytes of a gated one.
 */
enum action {
    ACT_PUBLIC,      /* reads nothing that anybody may not know: health, metrics, validate-yaml */
    ACT_LIST,        /* lists: each item is asked for with ACT_SEE */
    ACT_APPEAL,      /* what the hub has done about the actor: also with a key that is suspended for it */
    ACT_SELF,        /* about the actor itself: needs a key */
    ACT_SELF_CHANGE, /* how others know the actor, as by signing keys: needs a key that may write */
    ACT_CREATE,      /* a repo in a name space */
    ACT_GOVERN,      /* what a name space asks of others: its terms, its groups */
    ACT_COUNTERSIGN, /* the same, as the second person: hub administrators too */
    ACT_SEE,         /* a repo's metadata */
    ACT_READ,        /* a repo's bytes */
    ACT_APPLY,       /* ask for a repo's bytes: whoever may see it */
    ACT_ATTEST,      /* statements about a repo's commits, signed by whoever may read them */
    ACT_TAKE_PART,   /* federated training of a repo's model, by whoever may read it */
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
    bool archived;        /* may be read, not changed */
    bool gated;           /* it says that it is; one that has no gate opens to members of the owner alone */
    struct str kind_name; /* "model": for the sentence that a refusal carries */
    struct str full_name; /* "ns/name" */
};

/*
 * OK, or the refusal with the status, code and words of hub-protocol 0.4: a repo that the actor may not see is answered
 * like one that does not exist (401 or 404 RepoNotFound). conn is read from; nothing is written.
 */
enum status access_decide(struct db_conn *conn, const struct actor *actor, enum action action,
                          const struct access_object *object, struct error *err);

/* On what a yes to ACT_READ, ACT_ATTEST or ACT_TAKE_PART rests. All zero where no gate stands before the bytes. */
struct access_answer {
    int64_t gate_id, grant_id; /* grant 0: a member of the owner, whom the gate does not bind */
    int64_t terms_due_us;      /* until then some text of the gate has to be accepted; 0: nothing is missing */
    int64_t slowed_until_us;   /* until then the owner has slowed the person to the floor rate; 0: no */
};

/* access_decide(), and why. answer is filled on OK. */
enum status access_explain(struct db_conn *conn, const struct actor *actor, enum action action,
                           const struct access_object *object, struct access_answer *answer, struct error *err);

/* The refusal for a repo that is not there, the same words as for one that may not be seen. */
enum status access_hidden(const struct actor *actor, struct error *err);

#endif
