/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TENSOR_TENSORS_H
#define CAIRN_TENSOR_TENSORS_H

#include "leaf/tensor.h"
#include "router/request.h"

/*
 * Lineage to the byte (provenance 3.5, grade 4): the SHA-256 of each tensor of the safetensors files that commits name,
 * the tree over all tensors of a revision, and who else on the hub has the same ones.
 *
 * Files are looked at in the background, once they are named by a commit: a sandboxed child reads the header, then one
 * pass over the stored bytes makes the digests (pass.c). What is found belongs to the content and is kept once; that a
 * repo's commit names a content is a row of its own, and only through such a row does anybody get to see the digests.
 */
extern const struct module tensor_module;

#define TENSOR_FILES_MOST 10000      /* safetensors files in one revision; with more, none is looked at */
#define REVISION_TENSORS_MOST 300000 /* with more there is no tree */

enum tensors_state {
    TENSORS_NONE,    /* no safetensors file, or too many */
    TENSORS_PENDING, /* not all have been looked at yet */
    TENSORS_REFUSED, /* all have, and at least one is not valid */
    TENSORS_READY,
};

struct tensor_file {
    struct str path;
    int64_t id; /* of the content, in table tensor_file */
    uint8_t sha256[SHA256_SIZE];
    enum tensors_state state; /* PENDING, REFUSED or READY */
    struct str why;           /* for people, when it was refused */
};

struct tensor_files {
    struct tensor_file *items; /* by path */
    size_t count;
    enum tensors_state state; /* of all */
};

/*
 * The safetensors files of a commit, and how far the look at them has come. Those that nobody has asked for yet are put
 * down to be looked at, within seconds where the machine has nothing else to do. Everything lives in the arena. The
 * calling thread must not hold a reader of the database.
 */
enum status tensors_of_revision(struct hub *hub, struct arena *arena, int64_t repo_id, const struct oid *commit,
                                struct tensor_files *out, struct error *err);

/*
 * The tensors of files that are all READY, sorted as the tree has them; *count is 0 when there is no tree: no tensors,
 * a name twice for what is not the same, or more than REVISION_TENSORS_MOST. Costs memory by their number.
 */
enum status tensors_load(struct db_conn *conn, struct arena *arena, const struct tensor_files *files,
                         struct tensor **out, size_t *count, struct error *err);

/* Does any file of the repo still wait to be looked at? Cheap. */
enum status tensors_pending(struct db *db, int64_t repo_id, bool *pending, struct error *err);

/*
 * Waits until none does, for ten seconds at most: with most models it is a moment after the commit, and whoever has just
 * uploaded one asks next for what depends on its tensors. Only so many wait at a time; the others go on at once. What is
 * pending has to be asked again afterwards. The calling thread must not hold a reader of the database.
 */
enum status tensors_await(struct hub *hub, int64_t repo_id, struct error *err);

/* Other repos that the actor may read and that have tensors of the revision, byte for byte; the largest share first, 50 at most. */
struct tensor_sharer {
    struct repo repo;
    int64_t tensors, bytes; /* of the revision's, each content once */
    int64_t first;          /* index of the oldest leaf that brought one of them; -1: none has one yet */
};
struct tensor_sharing {
    struct tensor_sharer *items;
    size_t count;
    int64_t bytes; /* of the revision's tensors that can be shared */
    int64_t first; /* as above, of the revision's own repo */
    bool complete; /* false: not all tensors are known yet, or the time did not suffice */
};
/* For somebody who may read rq->repo. Takes seconds for large models; rq->db is given back and taken again meanwhile. */
enum status tensors_shared(struct request *rq, const struct oid *commit, struct tensor_sharing *out, struct error *err);

/* tensorRoot of a revision, when it has one. As tensors_of_revision(); *pending: ask again later. */
enum status tensors_root(struct hub *hub, int64_t repo_id, const struct oid *commit, bool *pending, bool *found,
                         struct tlog_hash *root, struct error *err);

#endif
