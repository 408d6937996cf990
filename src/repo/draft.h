/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_DRAFT_H
#define CAIRN_REPO_DRAFT_H

#include "repo/tree.h"

/*
 * A commit in the making. Changes are collected first (large inline contents are flushed to the database as they come:
 * a blob that no tree names harms nobody); draft_build() makes the trees and the commit on a given head, in memory;
 * draft_apply() stores them and moves the ref in one write, if it still stands where the draft was built. After STALE,
 * build on the new head and apply again.
 */
struct draft;
#define auto_draft __attribute__((cleanup(draft_free)))

enum status draft_new(struct db *db, int64_t repo_id, struct draft **out, struct error *err);
void draft_free(struct draft **draft);

/* Changes apply in the order in which they are made. Paths have been through path_check() and are copied. */
enum status draft_put(struct draft *draft, struct str path, struct str content, struct error *err); /* a plain file */
enum status draft_put_pointer(struct draft *draft, struct str path, const uint8_t sha256[SHA256_SIZE], int64_t size,
                              struct error *err);
/* Takes over what another revision of the same repo has at a path: a file or a whole folder. */
enum status draft_put_entry(struct draft *draft, struct str path, const struct entry *entry, struct error *err);
/* A file or a folder. Building fails with NOT_FOUND "EntryNotFound" "A file with this name doesn't exist…" when it is
 * not there. */
enum status draft_remove(struct draft *draft, struct str path, struct error *err);

struct draft_commit {
    struct str title, message; /* message may be absent */
    struct signature author;
    const struct oid *parent; /* head to build on; NULL makes a first commit */
    bool squash;              /* no parent and no changes: the parent's tree as a first commit (super-squash) */
};
/*
 * Builds against parent. *unchanged is true when the tree is the parent's own: there is nothing to apply, *commit is
 * the parent. UNPROCESSABLE when a file stands where a folder is needed, or a folder where a file is to be written: who
 * means it removes the one first, in the same draft.
 */
enum status draft_build(struct draft *draft, struct arena *arena, const struct draft_commit *how, struct oid *commit,
                        bool *unchanged, struct error *err);

/* Reads from the tree just built, stored or not: one path, or a blob's bytes. As entry_find() and blob_read(). */
enum status draft_entry(struct draft *draft, struct arena *arena, struct str path, struct entry *out,
                        struct error *err);
enum status draft_blob(struct draft *draft, struct arena *arena, const struct oid *blob, struct str *out,
                       struct error *err);
/* The root folder of the tree just built, or any other. */
enum status draft_list(struct draft *draft, struct arena *arena, struct str folder, struct entry **out, size_t *count,
                       struct error *err);

/*
 * Stores what was built and moves ref from the head it was built on to the new commit; also appends the event "commit".
 * STALE when ref stands elsewhere, FORBIDDEN when it is protected (protect.h). When expected is NULL it creates ref (a pull request's, say): CONFLICT when it
 * exists, INVALID when it is no name. also (may be NULL) runs in the same write: what the hub keeps per repo, such as
 * its card. Not to be called after *unchanged.
 */
enum status draft_apply(struct draft *draft, const struct repo *repo, struct str ref, const struct oid *expected,
                        int64_t by_id, db_write_fn *also, void *also_context, struct error *err);

#endif
