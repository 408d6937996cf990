/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_LEAF_EXTRA_H
#define CAIRN_LEAF_EXTRA_H

#include "leaf/leaf.h"
#include "oms/manifest.h"

/*
 * What goes with a proof (provenance 1.9, 3.4), so that the file is enough by itself: the leaf's own text, openings of its
 * commitments, and the files that it is about. One JSON object:
 *   {"leaf":"…","openings":[{"field":"ref","secret":"<64 hex>","value":"refs/heads/main"}],
 *    "files":[{"name":"config.json","size":1234,"sha256":"<64 hex>"}]}
 * Nothing vouches for it as such: the leaf is checked by its hash, an opening by its commitment, and the files by the leaf's
 * dirHash1.
 */
struct opening {
    struct str field; /* of the leaf's commitments */
    uint8_t secret[SHA256_SIZE];
    struct str value;
};

struct extra {
    struct str leaf; /* exact bytes; ASCII */
    const struct opening *openings;
    size_t opening_count;
    const struct manifest_file *files;
    size_t file_count; /* 0: not told */
};

/* Appends the JSON. */
void extra_write(struct arena *arena, const struct extra *extra, struct buf *out);

/* Reads what may come from anywhere; *out lives in the arena. INVALID, TOO_LARGE. Nothing is verified. */
enum status extra_parse(struct arena *arena, struct str text, struct extra *out, struct error *err);

#endif
