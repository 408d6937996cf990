/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_KEY_SCOPES_H
#define CAIRN_SIGNIN_KEY_SCOPES_H

#include "base/json.h"
#include "identity/key.h"

/*
 * What a limited key may touch, as people write it: "alice/flora" (a model), "datasets/alice/birds", "spaces/alice/demo"
 * or "alice" (all of a name space), with ":read", ":write" or ":admin" behind it where it is not as otherwise says.
 *
 * Adds one to scopes. A repo that the actor may not see is answered like one that is not there; actor is NULL for the
 * command line, which may see all. INVALID with a sentence.
 */
enum status key_scope_add(struct db_conn *conn, struct arena *arena, const struct actor *actor, struct str text,
                          enum role otherwise, struct key_scope scopes[KEY_SCOPES_MOST], size_t *count,
                          struct error *err);

/* A scope with the names of today, for whoever holds the key. */
struct key_scope_shown {
    struct str text;     /* as above; absent for a repo that is gone, or that the actor may not see any more */
    struct str type, id; /* "user", "org", "model", "dataset" or "space"; 24 hex digits */
    struct str name;     /* "alice" or "alice/flora" */
};
enum status key_scope_show(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                           const struct key_scope *scope, struct key_scope_shown *out, struct error *err);

/* The member "accessToken" of whoami-v2, in the public hub's form of a fine-grained token. */
enum status key_access_token(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                             struct json_writer *w, struct error *err);

#endif
