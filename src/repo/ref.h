/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_REF_H
#define CAIRN_REPO_REF_H

#include "repo/repo.h"

struct oid {
    uint8_t bytes[SHA1_SIZE]; /* a git object id */
};
struct str oid_hex(struct arena *arena, const struct oid *oid);
bool oid_eq(const struct oid *a, const struct oid *b);

struct revision {
    struct oid commit;
    struct str ref; /* full name of the branch, tag or refs/… it was named by; absent when named by commit id */
    bool is_branch; /* refs/heads/…, refs/pr/N or refs/convert/…: something that commits can move */
};

/*
 * Resolves a decoded revision: branch, tag (an annotated one is followed to its commit), full ref name, commit id of 40
 * or 7 to 39 hex digits (unambiguous within the repo). A branch wins over a tag of the same name; a commit id of 40
 * digits and a full ref name win over both, so that nobody can take over what others have pinned. A short id comes
 * last. NOT_FOUND "RevisionNotFound", "Invalid rev id: X" otherwise. A commit id of this repo is accepted whether or
 * not a ref reaches it.
 */
enum status revision_resolve(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct str revision,
                             struct revision *out, struct error *err);

struct ref {
    struct str name;   /* "refs/heads/main" */
    struct oid target; /* the commit, also for annotated tags */
};
/* All refs in the order of their names. */
enum status ref_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct ref **out, size_t *count,
                     struct error *err);

/*
 * name is the full ref name. CONFLICT "Reference refs/heads/x already exists" unless overwrite, and when a ref "x/y" or
 * "x" is in the way of "x" or "x/y": git could not hold both. NOT_FOUND "RevisionNotFound" when the repo has no such
 * commit. FORBIDDEN when the ref is protected (protect.h).
 */
enum status ref_create(struct db *db, const struct repo *repo, struct str name, const struct oid *target,
                       bool overwrite, int64_t by_id, struct error *err);
/* NOT_FOUND "RevisionNotFound" when it is not there, FORBIDDEN when it is protected. */
enum status ref_delete(struct db *db, const struct repo *repo, struct str name, int64_t by_id, struct error *err);

struct signature {
    struct str name, email;
    int64_t at_us;
};
/* A tag with a message is a git tag object; without one (absent message) just a ref. Errors as ref_create(). */
enum status tag_create(struct db *db, const struct repo *repo, struct str tag, struct str message,
                       const struct oid *target, const struct signature *tagger, int64_t by_id, struct error *err);

#endif
