/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_INTERNAL_H
#define CAIRN_REPO_INTERNAL_H

#include "base/buf.h"
#include "event/event.h"
#include "repo/draft.h"

/* What the files of this part share. Other parts include repo.h, ref.h, tree.h and draft.h. */

/* Git objects (object.c). */

enum git_kind { GIT_COMMIT = 1, GIT_TREE = 2, GIT_BLOB = 3, GIT_TAG = 4 }; /* git's own numbers */

#define GIT_OBJECT_LIMIT (INT64_C(512) << 20) /* bytes of one object; large files are not git objects */

/* A row of git_object. */
struct git_row {
    struct oid oid;
    enum git_kind kind;
    bool deflated;   /* bytes are a zlib stream */
    bool is_lfs;     /* a blob that is a pointer; sha256 and lfs_size say to what */
    bool has_sha256; /* of a blob: its own, or what it points to; older rows of plain ones lack it */
    int64_t size;    /* of the object, inflated */
    int64_t lfs_size;
    uint8_t sha256[SHA256_SIZE];
    struct str bytes; /* as stored */
};

/* Objects that are not stored yet, by id. {0} is an empty set. */
struct git_set {
    struct arena arena;
    struct git_row *rows;
    size_t count, capacity;
    uint32_t *slots; /* open addressing: position in rows plus one */
    size_t slot_count;
    uint64_t seed;
    size_t bytes; /* what the rows hold */
};
void git_set_free(struct git_set *set); /* empties it; it can be used again */
const struct git_row *git_set_find(const struct git_set *set, const struct oid *oid);
/* Adds an object (nothing when the set has it) and tells its id. TOO_LARGE; UNPROCESSABLE when content attacks SHA-1.
 */
enum status git_set_add(struct git_set *set, enum git_kind kind, struct str content, struct oid *oid,
                        struct error *err);
/* Stores all of a set; objects that the repo has already stay as they are. */
enum status git_set_store(const struct git_set *set, struct db_conn *tx, int64_t repo_id, struct error *err);

enum status git_oid_of(enum git_kind kind, struct str content, struct oid *out, struct error *err);

/* Where objects are read from: a repo's rows, and what a draft has made beside them. */
struct git_source {
    struct db_conn *conn;
    int64_t repo_id;
    const struct git_set *made[2]; /* either may be NULL */
};
/* CORRUPT when the object is missing, is of another kind or does not inflate to its size. */
enum status git_read(const struct git_source *from, struct arena *arena, enum git_kind kind, const struct oid *oid,
                     struct str *out, struct error *err);
/* Fills all of a blob's row but its bytes. CORRUPT as above. */
enum status git_blob_row(const struct git_source *from, const struct oid *oid, struct git_row *out, struct error *err);
enum status git_inflate(struct str bytes, bool deflated, int64_t size, struct arena *arena, struct str *out,
                        struct error *err);

void oid_from(struct oid *out, struct str bytes); /* 20 bytes (asserted) */

/* Tree objects (treefile.c). */

#define MODE_FOLDER 040000u
#define MODE_FILE 0100644u
#define MODE_RUNNABLE 0100755u
#define MODE_SUBMODULE 0160000u /* names a commit of another repo: not an object of ours */

struct tree_item {
    unsigned mode;
    struct str name;
    struct oid oid;
};
static inline bool tree_is_folder(const struct tree_item *item)
{
    return item->mode == MODE_FOLDER;
}

/* Takes the next item off the front of a tree object. False at the end, and at bytes that are no item: rest is not
 * empty then. */
bool tree_next(struct str *rest, struct tree_item *out);
/* OK when the tree was read to its end, CORRUPT otherwise. */
enum status tree_end(struct str rest, struct error *err);
void tree_item_add(struct buf *tree, unsigned mode, struct str name, const struct oid *oid);
/* Git's order of a tree's items: a folder counts as if its name ended in a slash. */
int tree_order(struct str a, bool a_folder, struct str b, bool b_folder);
/* The item of that name; false when there is none. */
bool tree_find(struct str tree, struct str name, struct tree_item *out);

/* The item at path below the folder root; "" is root itself. *found is false when there is none. */
enum status tree_walk(const struct git_source *from, const struct oid *root, struct str path, struct tree_item *out,
                      bool *found, struct error *err);

/* Paths (folders too, without the root) that differ between two trees; before may be NULL for "nothing". */
struct tree_changes {
    struct str *paths;
    size_t count, capacity;
    int64_t added, changed, removed; /* files */
};
enum status tree_diff(const struct git_source *from, struct arena *arena, const struct oid *before,
                      const struct oid *after, struct tree_changes *out, struct error *err);

/* Editing (edit.c). */

enum edit_kind { EDIT_PUT, EDIT_PUT_ENTRY, EDIT_REMOVE };
struct edit {
    enum edit_kind kind;
    bool is_folder; /* EDIT_PUT_ENTRY */
    struct str path;
    struct oid oid;
};
/* Applies edits in their order to the tree root (NULL: an empty one) and adds the trees that come out to made. */
enum status edit_apply(const struct git_source *from, const struct oid *root, const struct edit *edits, size_t count,
                       struct git_set *made, struct oid *out, struct error *err);

/* Commits (commit.c). */

/* Text of a person or a commit as git can hold it: no control characters, and for names no angle brackets. */
void signature_add(struct buf *out, const char *role, const struct signature *who);
void message_add(struct buf *out, struct str title, struct str message);

struct commit_new {
    struct oid id, tree;
    const struct oid *parent; /* NULL for a first commit */
    struct str content;       /* the commit object */
    const struct tree_changes *changes;
    int64_t by_id; /* account */
};
/* Adds the commit's row and its touched paths, in a write; its object is stored by git_set_store(). */
enum status commit_insert(struct db_conn *tx, int64_t repo_id, const struct commit_new *what, struct error *err);
/* Reads a commit object; views point into content. False when it is malformed. */
bool commit_parse(struct arena *arena, struct str content, struct commit *out);
enum status commit_tree(struct db_conn *conn, int64_t repo_id, const struct oid *commit, struct oid *tree,
                        struct error *err);
/*
 * As commit_tree(), and leaves the statement standing on its row until the caller releases it. An open statement keeps
 * its connection in one read transaction, so that what is read meanwhile is of one state, and SQLite does not take and
 * drop its locks for each of thousands of look-ups (they were more than half of a listing's time).
 */
enum status commit_hold(struct db_conn *conn, int64_t repo_id, const struct oid *commit, struct stmt **hold,
                        struct oid *tree, struct error *err);

enum status commit_by_row(struct db_conn *conn, struct arena *arena, int64_t row, struct commit *out,
                          struct error *err);
/* How many commits are reachable from one, itself included; out may be NULL. */
enum status commit_history(struct db_conn *conn, int64_t repo_id, const struct oid *oid, int64_t *out,
                           struct error *err);

/* The commits that the line of first parents from tip has above base, and who made them. */
#define AHEAD_MOST 10000
struct ahead {
    bool on_base;     /* the line comes down to base: the branch can be moved along it */
    bool has_unknown; /* of one of them it is not known who made it */
    int64_t *authors; /* accounts, each once */
    size_t count, capacity;
};
/* tip itself always counts. UNPROCESSABLE when there are more than AHEAD_MOST. */
enum status commits_ahead(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *base,
                          const struct oid *tip, struct ahead *out, struct error *err);

/* History (history.c). */

/* The line of first parents from a commit on, walked only as far as it is asked about; for last_commit. */
struct lineage;
struct lineage *lineage_new(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *from);
/* The newest commit of the line that changed path; "" is the start of the line. */
enum status lineage_last(struct lineage *line, struct str path, const struct commit **out, struct error *err);

/* Listing (tree.c). */

enum status find_entry(const struct git_source *from, struct arena *arena, const struct oid *root, struct str path,
                       struct lineage *line, struct entry *out, struct error *err);
enum status list_entries(const struct git_source *from, struct arena *arena, const struct oid *root, struct str folder,
                         const struct listing *how, struct lineage *line, struct entry **out, size_t *count, bool *more,
                         struct error *err);

/* Refs and events. */

enum status no_revision(struct error *err, struct str revision); /* NOT_FOUND "Invalid rev id: X" */
enum status no_repo(struct error *err);
/* A new ref; CONFLICT when it exists or when another stands where it needs a folder. commit is target, followed to its
 * commit. */
enum status ref_insert(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *target,
                       const struct oid *commit, struct error *err);
/* Where a branch stands; *found is false when it is not there. */
enum status ref_commit(struct db_conn *conn, int64_t repo_id, struct str name, struct oid *out, bool *found,
                       struct error *err);
enum ref_way { REF_BY_COMMIT, REF_BY_MERGE };
/* Moves a branch. STALE when it does not stand at from. */
enum status ref_move(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *from, const struct oid *to,
                     enum ref_way way, struct error *err);
/*
 * What every statement that changes a ref asks first (all of them are in ref.c): FORBIDDEN for a protected branch,
 * unless merge (NULL for everything but merges) is the commit that the branch is to move to, and has the approvals.
 */
enum status ref_guard(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *merge, struct error *err);
enum status repo_exists(struct db_conn *conn, int64_t repo_id, struct error *err); /* NOT_FOUND when it does not */
struct str repo_visibility_name(enum visibility visibility);
/* Sets updated_us; NOT_FOUND when the repo is gone. */
enum status repo_touch(struct db_conn *tx, int64_t repo_id, struct error *err);

enum repo_event {
    EVENT_CREATE,
    EVENT_DELETE,
    EVENT_MOVE,
    EVENT_SETTINGS,
    EVENT_REF_CREATE,
    EVENT_REF_DELETE,
    EVENT_COMMIT,
    EVENT_PROTECT
};
/* Appends an event; body is taken as finished. */
enum status repo_event_append(struct db_conn *tx, enum repo_event kind, int64_t repo_id, int64_t by_id,
                              const struct buf *body, struct error *err);

/* Stores what a draft has built and its ref (from expected, or new) within a write; draft_apply() without the event. */
enum status draft_store(struct draft *draft, struct db_conn *tx, int64_t repo_id, struct str ref,
                        const struct oid *expected, int64_t by_id, struct error *err);

#endif
