/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_MANIFEST_H
#define CAIRN_OMS_MANIFEST_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

/* The files of a model with their digests, and the digests of the whole (provenance 2.1 to 2.3). */
struct manifest_file {
    struct str name; /* relative, '/' between folders */
    int64_t size;    /* bytes */
    uint8_t sha256[SHA256_SIZE];
};

/*
 * Rules name files and folders (with all that is in them) that a signature leaves out: exact relative paths, no
 * patterns. The four defaults count for the top folder only, and always.
 */
struct manifest_rules {
    struct str *paths; /* sorted by bytes, each once */
    size_t count;
};

/*
 * The defaults and more; the paths are copied. The file that the signature will be stored in belongs among them.
 * INVALID for a path that is not relative and plain.
 */
enum status manifest_rules_make(struct arena *arena, const struct str *more, size_t count, struct manifest_rules *out,
                                struct error *err);

/* The rule that leaves the file out; NULL when there is none. */
const struct str *manifest_rule_for(const struct manifest_rules *rules, struct str name);

struct manifest {
    struct manifest_file *files; /* by code points of the whole names, as the specification asks */
    size_t count;                /* at least 1 */
    struct manifest_rules rules;
    int64_t bytes;                  /* of all files */
    uint8_t root[SHA256_SIZE];      /* over the digests in that order; does NOT bind the names */
    uint8_t tool_root[SHA256_SIZE]; /* in the order of model_signing 1.1.1, "a/b" before "a.b"; often the same */
    uint8_t dir_hash[SHA256_SIZE];  /* dirHash1: binds names and contents */
};

/*
 * Makes the manifest of the files that no rule leaves out. The list is copied into the arena; the names and the rules
 * must live as long. UNPROCESSABLE when nothing is left, or a name is not relative, plain UTF-8 of at most
 * PATH_LIMIT bytes (a newline or a backslash would make dirHash1 ambiguous); INVALID for the same name twice.
 */
enum status manifest_make(struct arena *arena, const struct manifest_file *files, size_t count,
                          const struct manifest_rules *rules, struct manifest *out, struct error *err);

/* UNPROCESSABLE unless name is one that a manifest may have. */
enum status manifest_name_check(struct str name, struct error *err);

#endif
