/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_STORE_H
#define CAIRN_STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/finding.h"
#include "base/hash.h"
#include "cas/xorb.h"
#include "db/db.h"

/*
 * Large files, content-addressed. Four things, each made of the next:
 *
 *   object     one content, named by its SHA-256 (and by its Xet hash); a repo holds it once it has proved possession by
 *              uploading the bytes: object_hold. Rule 3: a hash selects only among what the repo holds
 *   extent     a run of bytes of an object: a range of the chunks of one xorb
 *   xorb       up to 8192 chunks of content, named by their hash; several objects may use parts of one
 *   container  a file in the store folder: the payloads of the chunks of its xorbs one after the other, without the headers of the
 *              wire form, and behind them the tables of its xorbs (table.c). The payload of an uncompressed chunk is its
 *              bytes, so a plain file that came in whole is its own container, and any run of uncompressed chunks is a range of
 *              a file for sendfile. Both Xet and plain clients read this one copy
 *
 * Folders:  ROOT/containers/ab/<32 hex>   complete, immutable    ROOT/incoming/<32 hex>   being received
 * A container is durable on disk before the row that names it is committed; a crash between the two leaves a file that
 * no row names, which store_sweep() removes after a day.
 */
struct store;
extern const struct migration_set store_migrations;

enum status store_open(struct db *db, const char *root, struct store **out, struct error *err);
void store_close(struct store *store);
/* A file without a name on the store's disk, for what is too large for memory. The caller closes it. */
enum status store_scratch(struct store *store, int *fd, struct error *err);

/* Receiving one file. */

struct receipt; /* a file being received: bytes go to disk and through SHA-256 as they arrive */

enum status receipt_open(struct store *store, struct receipt **out, struct error *err);
enum status receipt_write(struct receipt *receipt, const void *data, size_t len, struct error *err);

/*
 * Ends the file: checks that it has exactly size bytes and the digest sha256 (UNPROCESSABLE otherwise, and nothing is
 * kept), makes it durable, and in one write gives repo the hold on the object. When the store has the content already,
 * the new copy is dropped. The receipt is closed in every case.
 */
enum status receipt_keep(struct receipt **receipt, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], int64_t size,
                         struct error *err);
void receipt_drop(struct receipt **receipt); /* forgets it and its bytes; nothing when *receipt is NULL */
#define auto_receipt __attribute__((cleanup(receipt_drop)))

/* Receiving one file in parts. */

/*
 * Parts of part_size bytes (the last may be shorter) may come in any order, again, and over restarts of the server;
 * they are written at their place in one incoming file. SHA-256 runs along while parts come in order, so that finishing
 * a large file does not read it again (clients wait for the answer with a short timeout).
 */
struct parts_plan {
    struct str id;      /* 32 hex, names the upload in addresses */
    int64_t part_size;  /* bytes */
    int64_t part_count; /* ceil(size / part_size), at most 10000 */
};

/* Starts, or finds the unfinished upload of the same content to the same repo. plan->id lives in arena. */
enum status parts_begin(struct store *store, struct arena *arena, int64_t repo_id, const uint8_t sha256[SHA256_SIZE],
                        int64_t size, struct parts_plan *plan, struct error *err);

struct part; /* one part being received */
/* number counts from 1; length is what the client announced and must be the part's size (INVALID otherwise). CONFLICT
 * while the same part is being received by somebody else, and once the upload is finished; NOT_FOUND when the repo has
 * no such upload. */
enum status part_open(struct store *store, struct str upload_id, int64_t repo_id, int64_t number, int64_t length,
                      struct part **out, struct error *err);
enum status part_write(struct part *part, const void *data, size_t len, struct error *err);
/* INVALID when the part is short. etag (32 hex digits and a NUL) goes to the client. The part is closed in every case.
 */
enum status part_keep(struct part **part, char etag[33], struct error *err);
void part_drop(struct part **part);
#define auto_part __attribute__((cleanup(part_drop)))

struct part_claim {
    int64_t number;
    struct str etag; /* with or without quotes */
};
/*
 * Finishes: every part must be there and claimed with its etag (INVALID names the first that is not); then as
 * receipt_keep(). A repeated call after success is OK (clients re-send); one that comes meanwhile waits. CONFLICT while
 * a part is being received.
 */
enum status parts_finish(struct store *store, struct str upload_id, int64_t repo_id, const struct part_claim *claims,
                         size_t count, struct error *err);

/* Finding and reading. */

struct object {
    int64_t id, size;
    uint8_t sha256[SHA256_SIZE];
};

/* Finds an object that repo holds; NOT_FOUND otherwise, whether or not the store has it for somebody else. */
enum status store_lookup(struct db_conn *conn, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], struct object *out,
                         struct error *err);

/* Gives another repo the hold on an object, in a write; the caller has checked that the actor may read it where it is.
 */
enum status store_hold(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err);
/* From now on called in each write in which a repo comes to hold an object, for who has to know before anybody can have it there. One
 * for the program. */
typedef enum status store_watcher(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err);
void store_watch_holds(store_watcher *watcher);
/* The bytes of all objects that a repo holds, each counted whole. Costs grow with their number. */
enum status store_repo_bytes(struct db_conn *conn, int64_t repo_id, int64_t *bytes, struct error *err);
/*
 * Whatever makes a repo larger says so here, in the write that does it: bytes of a large file (sha256 is its content), or of git
 * objects (NULL). Who has asked to be told, quotas, may refuse: then nothing of the write is done. When a repo is deleted nobody is told.
 */
typedef enum status store_gain_fn(struct db_conn *tx, int64_t repo_id, const uint8_t *sha256, int64_t bytes,
                                  struct error *err);
void store_on_gain(store_gain_fn *fn); /* before the first write; one for the program */
enum status store_gain(struct db_conn *tx, int64_t repo_id, const uint8_t *sha256, int64_t bytes, struct error *err);
/* Drops all holds of a repo (it is being deleted), in a write. Bytes go later, by store_sweep(). */
enum status store_release_repo(struct db_conn *tx, int64_t repo_id, struct error *err);

/* The Xet hash of an object that repo holds, as clients are told it; false when there is none: an empty file, or one from before
 * the store knew chunks. */
enum status store_xet_hash(struct db_conn *conn, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], bool *found,
                           struct chunk_hash *out, struct error *err);
/* The other way. NOT_FOUND when repo holds no object of that Xet hash. */
enum status store_lookup_xet(struct db_conn *conn, int64_t repo_id, const struct chunk_hash *hash, struct object *out,
                             struct error *err);

/*
 * A range of bytes, read piece by piece while it is sent; memory does not grow with its length. Of an object: BAD_RANGE when it
 * ends behind it, NOT_FOUND when it was swept. conn is only used during the call; later pieces borrow a reader of their own.
 */
struct store_piece {
    int fd; /* -1: memory */
    int64_t offset, length;
    const char *data;
};
struct store_view;
enum status store_view_open(struct store *store, struct db_conn *conn, int64_t object_id, int64_t offset,
                            int64_t length, struct store_view **out, struct error *err);
/* The next piece, which is valid until the next call; *found is false behind the last one. CORRUPT when the store is damaged,
 * NOT_FOUND when the object was swept in the meantime. On any thread, one at a time. */
enum status store_view_next(struct store_view *view, struct store_piece *out, bool *found, struct error *err);
void store_view_close(struct store_view *view); /* on any thread; nothing when NULL */

/* Xorbs. */

struct xorb {
    int64_t id;
    struct chunk_hash hash;
    int64_t container, start, stored; /* the payloads are [start, start + stored) of the container */
    int64_t table_at;                 /* where its table begins in the container */
    uint32_t length, chunks;          /* bytes unpacked; number of chunks */
};

/* One chunk of a xorb, as its table has it. Ends count from the start of the xorb; a chunk starts where the one before it ends. */
struct chunk {
    struct chunk_hash hash;
    uint32_t stored_end, end; /* of the payload; of the bytes */
    enum scheme scheme;
    bool is_key; /* may be asked for by others (chunk_hash_is_key() and what the client marked) */
};
/* Where chunk i begins in the wire form, with headers: 8 * i + stored_end of the chunk before. */

/* Reads the rows [from, to) of a xorb's table into out; also *before (zeros when from is 0), the row in front of them. CORRUPT
 * when the container lacks them or they cannot be. */
enum status store_chunks(struct store *store, const struct xorb *xorb, uint32_t from, uint32_t to, struct chunk *before,
                         struct chunk *out, struct error *err);

/* Receiving a xorb in its wire form. */
struct xorb_receipt;
enum status xorb_receipt_open(struct store *store, struct xorb_receipt **out, struct error *err);
/* Who sends it, and to where, while it begins: the order in which xorbs begin is a guess at a file's (guess.c).
 * since: when its request began, on any one clock. Once, or not at all. */
void xorb_receipt_sender(struct xorb_receipt *receipt, int64_t account_id, int64_t repo_id, int64_t since);
/* Verifies what has come so far (cas/xorb.h) and writes the payloads; what compression hardly helps is stored unpacked. */
enum status xorb_receipt_write(struct xorb_receipt *receipt, const void *data, size_t len, struct error *err);
/*
 * Ends it: the chunks must have the hash that was announced (INVALID otherwise, and nothing is kept). Afterwards account counts
 * as one that has sent these bytes. *was_new is false when it had done so before. When the store has the xorb already, the new
 * copy is dropped. The receipt is closed in every case.
 */
enum status xorb_receipt_keep(struct xorb_receipt **receipt, int64_t account_id, const struct chunk_hash *announced,
                              bool *was_new, struct error *err);
void xorb_receipt_drop(struct xorb_receipt **receipt);
#define auto_xorb_receipt __attribute__((cleanup(xorb_receipt_drop)))

/*
 * Who asks for a xorb or chunk by its hash. The store is below the door, so it asks back: may the actor read that repo? An
 * account may use a xorb that it has sent itself, and those chunks of any xorb that an object is made of which a repo holds that
 * it may read. To everybody else they do not exist: one xorb may have chunks of a public file and of a private one.
 */
struct asker {
    int64_t account_id; /* 0: nobody */
    int64_t repo_id;    /* the repo asked through; known to be readable */
    bool (*may_read)(void *context, struct db_conn *conn, int64_t repo_id);
    void *context;
};
struct usable_xorb {
    struct xorb xorb;
    uint64_t usable[XORB_CHUNKS_MOST / 64]; /* for xorb_usable() */
};
/* May the asker use the chunks [start, end)? What is behind the end of the xorb does not count. */
bool xorb_usable(const struct usable_xorb *xorb, uint32_t start, uint32_t end);
/* NOT_FOUND unless he may use some of its chunks. */
enum status store_xorb_find(struct db_conn *conn, const struct asker *asker, const struct chunk_hash *hash,
                            struct usable_xorb *out, struct error *err);
/* Xorbs in which a client may find a chunk, for a dedup reply: those that asker may use and that have the chunk, though perhaps
 * not where he may use it; and their neighbours in one object that it may read; at most most of them. NOT_FOUND when there is
 * none. */
enum status store_chunk_find(struct db_conn *conn, const struct asker *asker, const struct chunk_hash *chunk,
                             struct usable_xorb *out, size_t most, size_t *count, struct error *err);
/* That NOT_FOUND, for who finds the chunk only where the asker may not use it. */
enum status store_chunk_unknown(const struct chunk_hash *chunk, struct error *err);
/* Clients have been, or are about to be, told of these xorbs, or have named them: for 21 days from now they stay, used or not.
 * A write only where the last mention is over a day old. */
enum status store_mention(struct store *store, const int64_t *xorb_ids, size_t count, struct error *err);

/*
 * A view of ranges of chunks of a xorb in its wire form, headers included, in the order given. ranges are bytes of the wire form
 * and must begin and end at chunks (BAD_RANGE otherwise). They are copied.
 */
struct store_range {
    int64_t offset, length;
};
enum status store_xorb_view_open(struct store *store, const struct xorb *xorb, const struct store_range *ranges,
                                 size_t count, struct store_view **out, struct error *err);
int64_t store_xorb_wire_length(const struct xorb *xorb);
enum status store_xorb_get(struct db_conn *conn, int64_t xorb_id, struct xorb *out, struct error *err); /* NOT_FOUND */

/* Files made of ranges of xorbs, as shards describe them (xet-protocol 3.5). */

struct file_draft;
struct file_draft *file_draft_new(struct store *store, struct chunk_hash hash); /* as announced */
void file_draft_free(struct file_draft **draft);
/* Who sends it, and to where: what was hashed ahead of his shard (xorb_receipt_sender()) need not be hashed again. */
void file_draft_sender(struct file_draft *draft, int64_t account_id, int64_t repo_id);
/* The next range: chunks [start, end) of xorb have length bytes, and proof shows that the sender knows them. INVALID when not. */
enum status file_draft_add(struct file_draft *draft, const struct xorb *xorb, uint32_t start, uint32_t end,
                           uint32_t length, const struct chunk_hash *proof, struct error *err);
int64_t file_draft_size(const struct file_draft *draft);
/*
 * Behind the last range: the chunks must have the announced hash, and the bytes must have the SHA-256 (NULL: none was announced)
 * (INVALID otherwise). Reads the bytes, except when repo holds an object with both hashes,
 * and those that were hashed ahead. progress(context, bytes) is called now and
 * then with how many have been read; what it returns other than OK ends the work. It may be NULL. UNPROCESSABLE when
 * a xorb has gone meanwhile.
 */
typedef enum status hash_progress_fn(void *context, int64_t bytes, struct error *err);
enum status file_draft_verify(struct file_draft *draft, int64_t repo_id, const uint8_t *sha256,
                              hash_progress_fn *progress, void *context, struct error *err);
/* In one write: repo holds the objects. What an object is made of already stays. UNPROCESSABLE when a xorb has gone meanwhile. */
enum status file_drafts_keep(struct store *store, int64_t repo_id, struct file_draft *const *drafts, size_t count,
                             struct error *err);

/* How an object is put together, for a plan. Fills out with the extents that overlap [offset, offset + length), at most most, in
 * order; more follow behind the last one's end when *count is most. */
struct extent {
    struct xorb xorb;
    int64_t at, length;        /* where in the object, and how many bytes */
    uint32_t start, end;       /* chunks of the xorb */
    int64_t stored_at, stored; /* payload bytes, from the start of the xorb */
    bool packed;               /* some chunk is compressed; otherwise stored == length */
};
enum status store_extents(struct db_conn *conn, int64_t object_id, int64_t offset, int64_t length, struct extent *out,
                          size_t most, size_t *count, struct error *err);

/* Care. */

/*
 * Removes incoming files and unfinished uploads older than a day, containers without rows, objects that no repo holds, and xorbs
 * that no object uses and that no client was told of in the last 21 days (xet-protocol 3.6), with their bytes. dry_run only
 * counts.
 * A container of which nothing stays goes at once. Of others the bytes are given back by a sweep an hour or more after the one
 * that took their xorbs away, once nobody reads them and no backup shares the file; they count then, the xorbs before.
 * While a backup or another sweep is at work, only busy is set; a dry run does not mind them.
 */
struct store_freed {
    int64_t objects, xorbs, files, bytes; /* files in the store folder; bytes of disk */
    bool busy;
};
enum status store_sweep(struct store *store, int64_t now_us, bool dry_run, struct store_freed *out, struct error *err);

/* What a repo takes: the bytes of its objects, each counted whole; those that are different; and what these take on disk, of which
 * part may be used by other repos too. Costs grow with its extents. */
struct store_usage {
    int64_t objects, logical, unique, stored, shared;
};
enum status store_usage(struct store *store, struct db_conn *conn, int64_t repo_id, struct store_usage *out,
                        struct error *err);

/*
 * Checks every container, xorb and object: containers exist with their size, a xorb's chunks have the hashes of its table and that
 * table its hash, extents cover their object exactly, and its bytes have its SHA-256.
 * Goes on after a finding. Only damage counts, not leftovers that a sweep would remove.
 */
enum status store_check(struct store *store, struct findings *findings, struct error *err);

/*
 * Copies (or links, on the same file system) into root every container that the database at hand names. Nothing of it may be swept
 * meanwhile: the caller takes the hold before he copies the database, which waits for a sweep to end, and closes *fd behind all.
 */
enum status store_hold_sweep(struct store *store, int *fd, struct error *err);
enum status store_backup(struct store *store, struct db_conn *snapshot, const char *root, struct error *err);

#endif
