/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_AHEAD_H
#define CAIRN_VERIFY_AHEAD_H

#include "verify/source.h"

/*
 * Reads the bundles of a log in order, each with the hash tile over it, some ahead of the one that is asked for: from a
 * server far away most of the time is waiting.
 */
struct ahead;

struct ahead *ahead_start(const struct source *source, uint64_t size); /* of a log with that many entries; not 0 */
void ahead_end(struct ahead *ahead);                                   /* waits for what is under way */

struct ahead_item {
    struct str bundle, tile;                /* good until the next one is asked for */
    enum status bundle_status, tile_status; /* as of source_tile() */
    struct error bundle_error, tile_error;
};

/* The next bundle; there must be one. */
const struct ahead_item *ahead_next(struct ahead *ahead);

#endif
