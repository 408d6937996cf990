/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_TILE_H
#define CAIRN_TLOG_TILE_H

#include "tlog/tree.h"

/*
 * Tiles (provenance 1.5): the files in which a log's tree and entries are served. A hash tile of level l holds up to
 * 256 nodes of tree level 8 * l, side by side; a bundle holds the entries below a hash tile of level 0.
 */
#define TILE_WIDTH 256
#define TILE_HEIGHT 8
#define TILE_LEVELS 64        /* that paths can name; trees of ours have 8 */
#define TILE_ENTRIES 64       /* in place of a level: a bundle of entries */
#define TILE_ENTRY_MOST 65535 /* bytes of an entry */

struct tile {
    unsigned level;
    uint64_t number; /* at most INT64_MAX */
    unsigned width;  /* 1 to TILE_WIDTH; less than that is a partial tile */
};

/* Appends the path below the log's prefix: "tile/0/x001/234.p/7", "tile/entries/000". */
void tile_path_write(struct buf *out, const struct tile *tile);

/* True for a path in the one form in which tile_path_write() gives it; whether a log has that tile is another question.
 */
bool tile_path_parse(struct str path, struct tile *out);

/* The width of a tile in a tree of size leaves; 0 when the tree has nothing there. A log serves a tile when its width
 * is not larger than this; of a level from TILE_LEVELS, TILE_ENTRIES counts as 0 does. */
unsigned tile_width(uint64_t size, unsigned level, uint64_t number);

/*
 * Steps through the hash tiles that a tree has after it grew and did not have before, partial ones too, by level and
 * number. Begin with {0}; false behind the last one. Bundles are to be written for those of level 0.
 */
bool tile_next(uint64_t old_size, uint64_t new_size, struct tile *tile);

/* Where a node is: it is the root over count hashes, a power of two, from first on, of that tile. */
struct tile_place {
    unsigned level;
    uint64_t number;
    unsigned first, count;
};
struct tile_place tile_place(unsigned level, uint64_t index);

/* The node at that place, from the tile's bytes. False when the tile is too narrow or not whole hashes. */
bool tile_node(struct str tile, const struct tile_place *place, struct tlog_hash *out);

/* Appends an entry to a bundle. TOO_LARGE over TILE_ENTRY_MOST bytes. */
enum status bundle_add(struct buf *bundle, struct str entry, struct error *err);

/*
 * Divides a bundle into its entries, which point into bytes; there are as many as the bundle is wide. INVALID when it
 * ends within an entry or has none or more than TILE_WIDTH.
 */
enum status bundle_parse(struct str bytes, struct str entries[TILE_WIDTH], unsigned *width, struct error *err);

#endif
