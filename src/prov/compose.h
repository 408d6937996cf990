/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_COMPOSE_H
#define CAIRN_PROV_COMPOSE_H

#include "db/db.h"
#include "prov/private.h"

/* From an event to its leaf. */

struct change { /* an event, as its row has it */
    int64_t id, at_us, version, repo_id, actor_id;
    struct str kind, body;
};

/* What a SELECT from "event e" begins with whose rows change_read() takes; the texts last as long as the row. */
#define CHANGE_COLUMNS "e.id, e.at_us, e.kind, e.version, e.repo_id, e.actor_id, e.body"
struct change change_read(struct stmt *row);

struct composition {
    bool wanted; /* kinds of events that change nothing that others rely on get no leaf */
    struct leaf leaf;
    int64_t event_id, at_us, repo_id, actor_id;
    int64_t owner_id; /* whose key commits: the owner, where the event names one, or else the actor */
    struct {
        const char *field;
        struct str value;
    } secrets[3]; /* to be committed to */
    size_t secret_count;
    struct str token_id; /* of a key's leaf: what its digest stands for; absent otherwise */
};

/*
 * Composes all but the leaf's place in its repo's chain and what compose_private() adds. INTERNAL for a kind of event
 * that is not in the table, so that no change escapes the log because somebody forgot it there; and for a body that is
 * not as its kind's. Texts are copied into the arena.
 */
enum status compose(struct arena *arena, const struct change *change, struct composition *out, struct error *err);

/* Adds what hangs on people's keys: the actor, commitments, the digest of a token. The leaf must have its place. */
void compose_private(struct composition *composition, struct arena *arena, const uint8_t actor_key[PERSON_KEY_SIZE],
                     const uint8_t owner_key[PERSON_KEY_SIZE]);

#endif
