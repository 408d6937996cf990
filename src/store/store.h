/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_STORE_H
#define CAIRN_STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "db/db.h"

/*
 * Large files, content-addressed, as extents of containers. A container is a file in the store folder: today a raw file
 * as received (later also an uploaded xorb). An object is one content, named by its SHA-256, made of extents. A repo
 * holds an object once it has proved possession by uploading the bytes: object_hold. Rule 3: a hash selects only among
 * what the repo holds; store_lookup() takes the repo for that reason.
 *
 * Folders:  ROOT/containers/ab/<32 hex>   complete, immutable    ROOT/incoming/<32 hex>   being received
 * A container is durable on disk before the row that names it is committed; a crash between the two leaves a file that
 * no row names, which store_sweep() removes after a day.
 */
struct store;
extern const struct migration_set store_migrations;

enum status store_open(struct db *db, const char *root, struct store **out, struct error *err);
void store_close(struct store *store);

enum encoding { ENCODING_NONE = 0 };

struct extent {
    int64_t container;
    int64_t offset, length; /* within the container, bytes */
    enum encoding encoding;
};

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
/* The bytes of all objects that a repo holds, each counted whole. Costs grow with their number. */
enum status store_repo_bytes(struct db_conn *conn, int64_t repo_id, int64_t *bytes, struct error *err);
/* Drops all holds of a repo (it is being deleted), in a write. Bytes go later, by store_sweep(). */
enum status store_release_repo(struct db_conn *tx, int64_t repo_id, struct error *err);

/* A range of an object as open files. Pieces stay valid until store_view_close(), which may run on any thread.
 * BAD_RANGE when it ends behind the object, NOT_FOUND when the object was swept, CORRUPT when a container is missing or
 * too short. */
struct store_piece {
    int fd;
    int64_t offset, length;
};
struct store_view {
    struct store_piece *pieces; /* on the heap, owned by the view, fds too */
    size_t count;
};
enum status store_view_open(struct store *store, struct db_conn *conn, int64_t object_id, int64_t offset,
                            int64_t length, struct store_view **out, struct error *err);
void store_view_close(struct store_view *view);

/* Care. */

/* Removes incoming files and unfinished uploads older than a day, containers without rows, and objects that no repo
 * holds. */
enum status store_sweep(struct store *store, int64_t now_us, struct error *err);

/*
 * Checks every object: its extents cover it exactly, its containers exist with their size, its bytes have its SHA-256.
 * Calls report for each finding and goes on; *findings counts them. Only damage counts, not leftovers that a sweep
 * would remove.
 */
enum status store_check(struct store *store, void (*report)(void *context, const char *finding), void *context,
                        int64_t *findings, struct error *err);

/* Copies (or links, on the same file system) into root every container that the database at hand names. */
enum status store_backup(struct store *store, struct db_conn *snapshot, const char *root, struct error *err);

#endif
