/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HOUSE_HOUSE_H
#define CAIRN_HOUSE_HOUSE_H

#include "base/arena.h"
#include "base/buf.h"
#include "pact/key.h"

/*
 * The second house of federated training (federated 2.2): what `cairn house` runs. Hubs ask it, one step of a round after the other
 * (pact/wire.h); by itself it does nothing. It sees no update, only its shares, which say nothing without the hub's; it holds nothing
 * back from a hub but its noise, its keys and the sums, until both have committed to them.
 *
 * What it promises a hub it keeps in a database before it answers: one configuration for each round, one verdict for each report, one
 * list and one draw. So it can be killed anywhere, and answers as before.
 */
struct house_limits {
    int64_t parameters;                   /* of a model */
    int64_t runs;                         /* that something was asked for within 30 days */
    const uint8_t (*hubs)[PACT_KEY_SIZE]; /* that may ask; NULL: any */
    const char (*hub_ids)[KEY_ID_SIZE];   /* the same by key id */
    size_t hub_count, hub_id_count;
};

struct house;
enum status house_open(const char *dir, const struct house_limits *limits, struct house **out, struct error *err);
void house_close(struct house *house); /* nothing when it is NULL */
const uint8_t *house_key(const struct house *house);

/* The answer to a request to /v1/OP, which body is; from any thread. Always gives one, a refusal too. */
void house_answer(struct house *house, struct str op, struct str body, struct buf *out);
/* What GET /v1/keys says: a JSON object. */
void house_tell_keys(struct house *house, struct buf *out);

#endif
