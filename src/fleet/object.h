/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FLEET_OBJECT_H
#define CAIRN_FLEET_OBJECT_H

#include "fleet/internal.h"

/* Objects of Flower's later versions: "Type child,child length", a zero byte, a body; named by the SHA-256 of all that. */

/* The id in field 3 of a message, 64 hex digits. INVALID. */
enum status object_id(struct request *rq, const struct proto *message, uint8_t out[SHA256_SIZE], struct error *err);

/* The id of the round's message to this node. */
struct str fleet_message_id(struct request *rq, const struct part *part, const struct plan *plan);

struct object_head {
    struct str type;
    struct str children; /* ids in hex with commas between, or nothing */
    size_t head;         /* bytes before the body */
};
/* Reads what stands before the body, whose length must be what is left of so many bytes; all of that in bytes, or its beginning. INVALID. */
enum status object_read(struct str bytes, int64_t size, struct object_head *out, struct error *err);

#endif
