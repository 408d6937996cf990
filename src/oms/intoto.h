/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_INTOTO_H
#define CAIRN_OMS_INTOTO_H

#include "base/json.h"

/* in-toto statements v1: who signs one says something (the predicate) about things named by their digests (the
 * subjects). */
#define INTOTO_MEDIA_TYPE "application/vnd.in-toto+json"
#define INTOTO_MOST (32 * 1024 * 1024)
#define INTOTO_VALUES_MOST (1024 * 1024) /* JSON values in one statement: 250,000 files of a model */

struct intoto_subject {
    struct str name;
    const char *algorithm; /* "sha256", "gitCommit", "dirHash1", … */
    struct str digest;     /* lower case hex */
};

/* Appends a statement; predicate is one finished JSON object. */
void intoto_write(struct buf *out, const char *predicate_type, const struct intoto_subject *subjects, size_t count,
                  struct str predicate);

/* Everything in it lives in root: release it with json_decref(). */
struct intoto_statement {
    json_t *root;
    struct str predicate_type;
    const json_t *subjects;  /* an array, not empty, of objects that each have a "digest" of at least one hex string */
    const json_t *predicate; /* an object */
};

/*
 * Reads a payload whose signature has been verified. INVALID for what is not a statement v1 or has members that do not
 * belong there, TOO_LARGE over the limits above. What the predicate says is for the caller to check.
 */
enum status intoto_read(struct str payload, struct intoto_statement *out, struct error *err);

/* True when a subject has that digest; "dirHash" and "dirHash1" are one algorithm (provenance 2.3). */
bool intoto_is_about(const struct intoto_statement *statement, const char *algorithm, struct str digest);

#endif
