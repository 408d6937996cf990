/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_STATEMENT_H
#define CAIRN_OMS_STATEMENT_H

#include "base/buf.h"
#include "oms/manifest.h"

/*
 * What a model's signature says (OpenSSF Model Signing v1.0): these files with these digests. Ours are written in the
 * one form that the specification and its reference tool both accept; foreign ones may use other hashes, or digests of
 * ranges.
 */
#define OMS_STATEMENT_MOST (23 * 1024 * 1024) /* bytes that we write; the bundle stays under its limit */
#define OMS_DIGEST_MOST 64

enum oms_hash { OMS_SHA256, OMS_BLAKE2B, OMS_BLAKE3 }; /* of 32, 64 and 32 bytes */
size_t oms_hash_size(enum oms_hash hash);

/*
 * Appends the statement for a manifest: the bytes to be signed are dsse_pae(INTOTO_MEDIA_TYPE, …) of them. model is the
 * name of the model's folder. TOO_LARGE over OMS_STATEMENT_MOST bytes; INVALID for a name that is empty or not UTF-8.
 */
enum status oms_statement_write(struct arena *arena, const struct manifest *manifest, struct str model, struct buf *out,
                                struct error *err);

struct oms_resource {
    struct str name;
    int64_t start, end; /* bytes, end exclusive; 0 and -1 for a whole file */
    uint8_t digest[OMS_DIGEST_MOST];
};

struct oms_statement {
    struct str model;          /* as the signer wrote it: any text without NUL */
    uint8_t root[SHA256_SIZE]; /* the subject's digest: does NOT bind the names, so compare resources */
    enum oms_hash hash;
    int64_t shard_size;             /* 0: resources are whole files */
    struct manifest_rules rules;    /* those recorded and the defaults */
    struct oms_resource *resources; /* sorted by name, then start; the ranges of a file follow on each other from 0 */
    size_t count;
};

/*
 * Reads a payload whose signature has been verified; *out lives in the arena. INVALID for what is not such a statement,
 * or contradicts itself (its root digest, ranges with holes, names twice); UNSUPPORTED for other serializations and for
 * symbolic links that were followed.
 */
enum status oms_statement_read(struct arena *arena, struct str payload, struct oms_statement *out, struct error *err);

/*
 * Gives the digest of the bytes of a file from start to end (exclusive; -1 for all of it). out has oms_hash_size()
 * bytes of room. A status other than OK ends the comparison and is handed on; UNSUPPORTED is right for a hash that the
 * caller lacks.
 */
typedef enum status (*oms_digest_fn)(void *context, const struct manifest_file *file, enum oms_hash hash, int64_t start,
                                     int64_t end, uint8_t *out, struct error *err);

struct oms_found {
    const struct manifest_file
        *files; /* all but the signature's own, in any order; what rules leave out may be among them */
    size_t count;
    oms_digest_fn digest; /* NULL: the files' own sha256, which is enough for whole files with SHA-256 */
    void *context;
    bool extra_allowed; /* files that were not signed are nobody's business */
};

/*
 * Compares files with what was signed. UNPROCESSABLE when they differ; then lines has one line of plain text, ended by
 * a newline, for each file that is missing, extra or changed, and err the count. With ranges, empty files are not
 * signed and cannot be missed: neither their coming nor their going is noticed (provenance 2.2).
 */
enum status oms_statement_compare(struct arena *arena, const struct oms_statement *statement,
                                  const struct oms_found *found, struct buf *lines, struct error *err);

#endif
