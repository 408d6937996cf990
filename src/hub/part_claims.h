/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_PART_CLAIMS_H
#define CAIRN_HUB_PART_CLAIMS_H

#include "base/arena.h"
#include "store/store.h"

#define PART_CLAIMS_LIMIT 10000 /* parts of one upload */

/*
 * Reads the body that ends an upload in parts: {"oid", "parts": [{"partNumber", "etag"}, …]} (hub-protocol 1.6). oid is
 * not looked at: the address says which upload it is. The claims live in arena. INVALID names what is wrong; whether
 * the claims are true is for parts_finish() to say.
 */
enum status part_claims_parse(struct arena *arena, struct str body, struct part_claim **out, size_t *count,
                              struct error *err);

#endif
