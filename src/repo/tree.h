/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_TREE_H
#define CAIRN_REPO_TREE_H

#include "repo/ref.h"

/* What a revision holds, and how it came to be. Paths are repo-relative, decoded, without slash at either end; "" is
 * the root. */

struct commit {
    struct oid id, tree;
    struct str title, message; /* the first line; what follows it after the blank line */
    struct str author_name, author_email;
    int64_t at_us;
    struct oid *parents;
    size_t parent_count;
};

struct entry {
    struct str path;
    bool is_folder;
    struct oid oid; /* of the git blob (for a large file: of its pointer) or tree */
    int64_t size;   /* of the file itself, large or not; 0 for a folder */
    bool is_lfs;    /* the blob is a git-lfs pointer (by content, never by .gitattributes: hub-protocol trap 15) */
    bool has_sha256;
    uint8_t sha256[SHA256_SIZE]; /* of the file's bytes, of a large file always; entry_sha256() for all */
    int64_t pointer_size;
    const struct commit
        *last_commit; /* newest commit that changed this path or something below it; NULL when not asked for */
};

enum status commit_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *id,
                       struct commit *out, struct error *err);

/* Newest first, starting skip commits below from; *total (may be NULL) counts all of them. */
enum status commit_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *from,
                        int64_t skip, int64_t limit, struct commit **out, size_t *count, int64_t *total,
                        struct error *err);

/* One path. NOT_FOUND "EntryNotFound" when the revision has no such path. "" is the root folder. */
enum status entry_find(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                       struct str path, bool last_commit, struct entry *out, struct error *err);

struct listing {
    bool recursive; /* everything below, folders included, in the order of git's trees */
    bool last_commit;
    bool names_only;  /* of each entry only path, is_folder and oid: saves a look-up for each */
    struct str after; /* go on behind this path; absent: from the start */
    int64_t limit;
};
/* A folder's entries. *more tells that the limit cut it. Costs grow with the page, not with the tree. NOT_FOUND as
 * entry_find(). */
enum status entry_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                       struct str folder, const struct listing *how, struct entry **out, size_t *count, bool *more,
                       struct error *err);

/* The SHA-256 of a file's bytes; of a small one that was stored before they were kept, it is computed. */
enum status entry_sha256(struct db_conn *conn, int64_t repo_id, const struct entry *entry, uint8_t out[SHA256_SIZE],
                         struct error *err);

/* A blob's bytes, in arena. */
enum status blob_read(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *blob,
                      struct str *out, struct error *err);

/* Parses a git-lfs pointer, canonical form only (hub-protocol trap 5). False for anything else. */
bool pointer_parse(struct str blob, uint8_t sha256[SHA256_SIZE], int64_t *size);
struct str pointer_format(struct arena *arena, const uint8_t sha256[SHA256_SIZE], int64_t size);

#endif
