/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_EVENT_EVENT_H
#define CAIRN_EVENT_EVENT_H

#include "db/db.h"

/*
 * The event: every change of state appends one, in the same transaction (rule 1). It is what the log's leaf, the
 * watcher and the boards will be made from; no part keeps an audit table of its own.
 */
extern const struct migration_set event_migrations;

/* A kind of event that a part writes; each part lists its own in its module.c. */
struct event_kind {
    const char *name; /* "repo.create", "commit", "token.revoke" */
    int version;      /* of the body's fields */
};

struct event {
    const struct event_kind *kind;
    int64_t repo_id;  /* 0 when the event is about no repo; otherwise it gets the repo's next sequence number */
    int64_t actor_id; /* account; 0 for the hub itself (jobs, the command line) */
    struct str body;  /* one JSON object, no secret in it */
};

/* Appends within the caller's write. The id grows by one with each event, without gaps among committed ones. */
enum status event_append(struct db_conn *tx, const struct event *event, struct error *err);

/*
 * One part may be told of each event in the write that appends it, behind it; what it fails with undoes the write. For what must
 * be exact, as quotas are; who can wait reads the events afterwards. Set before the first write; one for the program.
 */
typedef enum status event_fn(struct db_conn *tx, const struct event *event, struct error *err);
void event_listen(event_fn *fn);

#endif
