/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_WATCH_H
#define CAIRN_MISUSE_WATCH_H

#include "misuse/trail.h"

/*
 * The trails of all keys in use: a table of fixed size (256 bytes a key), on any thread. Where it is full, the key that
 * was used the longest ago makes room: what it loses are its sketches, not its points, which are in the database.
 */
#define WATCH_SLOTS (1 << 17) /* 32 MiB, of which only what is used takes memory */

struct watch;
struct watch *watch_new(size_t slots); /* a power of two, of at least 1024 */
void watch_free(struct watch *watch);

struct seen {
    struct found found;
    unsigned raised; /* signals that were not there in the last hours: to be written down */
    bool is_new;     /* the key was not in the table */
};
struct seen watch_see(struct watch *watch, const struct sight *sight);

/* Clients that a key had before it was in the table, as written down: the bits of woke that are not among them are new. */
bool watch_remember(struct watch *watch, int64_t key_id, uint32_t clients, uint32_t woke);
void watch_forget(struct watch *watch, int64_t key_id); /* as if it had never been used */

/* The next trail after *cursor (0 at first) whose clients are to be written down; they count as written. */
bool watch_unwritten(struct watch *watch, size_t *cursor, int64_t *key_id, uint32_t *clients);

size_t watch_count(struct watch *watch);
size_t watch_bytes(const struct watch *watch); /* the most memory that it can take */

#endif
