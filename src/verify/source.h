/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_SOURCE_H
#define CAIRN_VERIFY_SOURCE_H

#include "tlog/checkpoint.h"
#include "tlog/tile.h"

/* Where the files of a log come from (provenance 1.5): an address, or a folder. */
struct source {
    struct str base; /* without a slash at its end */
    bool is_web;
};

struct source source_of(struct arena *arena, const char *text); /* http:// and https:// are addresses */

/*
 * A file of the log; *out lives in the arena. NOT_FOUND when the log has none of that path, UNAVAILABLE and others when
 * it cannot be had now. Different threads may read at once.
 */
enum status source_read(const struct source *source, struct arena *arena, struct str path, size_t limit,
                        struct str *out, struct error *err);

/* A tile's bytes, or a bundle's; where a log has a wider one instead, its first part. INVALID when it is too narrow. */
enum status source_tile(const struct source *source, struct arena *arena, const struct tile *tile, struct str *out,
                        struct error *err);

/* Whether the smaller tree is the beginning of the larger, shown by hashes that the source has for the larger one.
 * False with OK is proof of a fork. Errors: those of source_tile. */
enum status source_consistent(const struct source *source, const struct checkpoint *smaller,
                              const struct checkpoint *larger, bool *out, struct error *err);

#endif
