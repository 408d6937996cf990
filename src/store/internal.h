/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_INTERNAL_H
#define CAIRN_STORE_INTERNAL_H

#include "base/file.h"
#include "base/task.h"
#include "store/store.h"
#include <aio.h>
#include <pthread.h>

/* What the files of this part share; nobody else includes it. */

#define STORE_MAGIC 0x5ca14e5u
#define STORE_ROOT_LIMIT 3072
#define STORE_PATH_LIMIT (STORE_ROOT_LIMIT + 64)
#define NAME_SIZE 33 /* 32 hex digits and the NUL: names of containers, incoming files, uploads, etags */
#define MIB INT64_C(1048576)

enum upload_state { UPLOAD_OPEN = 0, UPLOAD_FINISHED = 1 };

/* ingest.c: the bytes of a file, in order, become its digest, chunks and xorbs */

struct ingest_xorb { /* consecutive chunks of the file, uncompressed */
    struct chunk_hash hash;
    int64_t start; /* in the file */
    uint32_t length, chunks;
};
struct ingest_key {
    struct chunk_hash chunk;
    size_t xorb; /* index of the one it is in */
};
struct ingested {
    int64_t size, chunks;
    uint8_t sha256[SHA256_SIZE];
    struct chunk_hash hash; /* zero for an empty file */
    const struct ingest_xorb *xorbs;
    size_t xorb_count;
    const struct ingest_key
        *keys; /* chunks that may be asked for: in the order of the file, so the first is its first */
    size_t key_count;
};
struct ingest;
struct ingest *ingest_new(struct store *store);
void ingest_free(struct ingest **ingest); /* nothing when *ingest is NULL */
#define auto_ingest __attribute__((cleanup(ingest_free)))
/*
 * The next bytes; between begin and end, while they stay where they are, other threads may cut and hash them, and the caller does
 * something else. When end or add fails, for want of a temporary file, the ingest can only be freed.
 */
void ingest_begin(struct ingest *ingest, const void *data, size_t len);
enum status ingest_end(struct ingest *ingest, struct error *err);
enum status ingest_add(struct ingest *ingest, const void *data, size_t len, struct error *err); /* both at once */
/* Adds length bytes of the file at offset. CORRUPT when the file is shorter. */
enum status ingest_file(struct ingest *ingest, int fd, int64_t offset, int64_t length, struct error *err);
/* Once, behind the last byte. What it gives lives as long as the ingest. */
const struct ingested *ingest_result(struct ingest *ingest);
/* After that: writes the tables of the xorbs one after the other to the file, behind its size bytes. */
enum status ingest_write_tables(const struct ingest *ingest, int fd, struct error *err);

/* running.c: uploads in parts, ingested as they come in; kept in memory while the server runs */

#define RUNNING_LIMIT 64 /* each may take over a MiB */

struct running {
    struct ingest *ingest; /* NULL: the slot is free */
    char upload[NAME_SIZE];
    int64_t position; /* the ingest has taken exactly what the file holds before this offset */
    int64_t used;     /* when, on the table's own clock */
    bool busy;        /* a thread is adding to it outside the mutex */
    bool stale;       /* forgotten while busy: that thread frees it */
};

struct running_table {
    pthread_mutex_t mutex;
    int64_t clock;
    struct running slots[RUNNING_LIMIT];
};

void running_init(struct running_table *table);
void running_free(struct running_table *table);
/* The file holds data at offset: adds what of it continues the running ingest, or starts one at offset 0. */
void running_wrote(struct store *store, const char *upload, int64_t offset, const void *data, size_t len);
int64_t running_position(struct running_table *table, const char *upload); /* 0 when there is none */
/* Call it before changing bytes in front of the position, and only after the row of their part has gone. */
void running_forget(struct running_table *table, const char *upload);
/* Hands the ingest over to the caller, at *position; a new one at 0 when there is none. */
struct ingest *running_take(struct store *store, const char *upload, int64_t *position);
/* Claims the ingest to bring it forward by reading the file; NULL when there is none or it is in use. */
struct running *running_claim(struct running_table *table, const char *upload);
void running_unclaim(struct running_table *table, struct running *slot, int64_t position);

/* disk.c */

struct store {
    unsigned magic;
    struct db *db;
    char root[STORE_ROOT_LIMIT];
    pthread_mutex_t folders_lock;
    bool has_folder[256];
    struct running_table running;
    struct guess *guess;
};

void store_assert(const struct store *store);
void hex_name(const void *data, size_t len, char *out); /* 2*len lower case digits and a NUL */
void random_name(char out[NAME_SIZE]);
bool name_valid(const char *name);
void container_path(const char *root, const char *name, char out[STORE_PATH_LIMIT]);
void incoming_path(const char *root, const char *name, char out[STORE_PATH_LIMIT]);
enum status store_root_make(const char *root, struct error *err); /* all but the folders that containers are in */
enum status container_folder_make(const char *root, const char *name, struct error *err);
enum status container_folder(struct store *store, const char *name, struct error *err); /* that it is there, durably */

/*
 * Who works on a file in the store holds a lock on it, or on his part of it, through his own descriptor. So nobody
 * interleaves with him, a sweep leaves the file alone (in another process too), and the kernel takes the lock back
 * whatever happens to us.
 */
bool file_lock(int fd, int64_t start, int64_t length); /* exclusive, at once or not at all; length 0: to the end */
enum status file_lock_wait(int fd, int64_t start, int64_t length, struct error *err);

extern int64_t store_part_least; /* of an upload in parts; a test makes it smaller */

/* Creates and locks an incoming file. */
enum status incoming_new(struct store *store, char name[NAME_SIZE], int *fd, struct error *err);
void incoming_remove(struct store *store, const char *name);

/* Gives a full disk its sentence; other failures stay as they are. */
enum status disk_explain(enum status status, struct error *err);
/* For a failed system call: "The store could not <what>". Never NOT_FOUND or FORBIDDEN, which would be about the repo.
 */
enum status disk_fail(struct error *err, const char *what);

/* Starts write-back of what came since *flushed, once it is worth it, so that the sync at the end has little left to
 * do. */
void disk_flush_early(int fd, int64_t written, int64_t *flushed);
void disk_flush(int fd); /* starts write-back of all that is left, and does not wait for it */

/* spool.c: a new file, written in blocks */

#define SPOOL_BLOCK ((size_t)2 << 20) /* a huge page */
#define SPOOL_BLOCKS 3

struct spool {
    int fd;
    bool direct;
    char *memory;
    size_t at, filled;               /* the block that fills; how far */
    int64_t written, flushed;        /* bytes of the file, but for that block; those on their way to the disk */
    int64_t room;                    /* where what is set aside on the disk ends */
    struct aiocb ways[SPOOL_BLOCKS]; /* of blocks that go straight to the disk; aio_nbytes 0: of none */
    struct hasher *hasher;           /* of all bytes; NULL: nobody wants it */
    size_t hashed;                   /* of the block that fills */
    struct task hashing;
    const char *unhashed;
    size_t unhashed_len;
};

void spool_open(struct spool *spool, int fd); /* which stays the caller's */
enum status spool_add(struct spool *spool, const void *data, size_t len, struct error *err);
/* Adds all bytes so far to the hasher, and those to come until spool_hash_end(). As nobody needs to read them soon, they go straight
 * to the disk from now on. */
enum status spool_hash(struct spool *spool, struct hasher *hasher, struct error *err);
void spool_hash_end(
    struct spool *spool); /* all so far is in the hasher, which is the caller's again; nothing when it was */
/* All is in the file, as after write(): not durable yet. */
enum status spool_end(struct spool *spool, int64_t *size, struct error *err);
void spool_close(struct spool *spool);

/* Feeds length bytes of the file at offset to the hasher. CORRUPT when the file is shorter. */
enum status disk_hash(int fd, int64_t offset, int64_t length, struct hasher *hasher, struct error *err);

/* Does [start, start + length) lie in [0, whole)? */
static inline bool within(int64_t start, int64_t length, int64_t whole)
{
    return start >= 0 && length >= 0 && start <= whole && length <= whole - start;
}

/* table.c: the table of a xorb's chunks, as it stands in a container behind the payloads. One row a chunk: hash, stored_end and
 * end as u32 little-endian, scheme, is_key, two zero bytes. */
#define CHUNK_ROW 44
void chunk_row_write(uint8_t out[CHUNK_ROW], const struct chunk *chunk);
enum status container_open(struct store *store, struct db_conn *conn, int64_t container_id, int *fd, struct error *err);
/* store_chunks() for who has the container open. */
enum status chunks_read(int fd, const struct xorb *xorb, uint32_t from, uint32_t to, struct chunk *before,
                        struct chunk *out, struct error *err);

/* find.c */

/* In a write: as store_mention(). */
enum status xorb_mention(struct db_conn *tx, int64_t xorb_id, int64_t now, struct error *err);
enum status xorb_has_sent(struct db_conn *conn, int64_t account_id, int64_t xorb_id, bool *sent, struct error *err);

/* file.c */

/* Adds the bytes of the extents to the hasher, in order. progress as in file_draft_verify(). */
enum status extents_hash(struct store *store, const struct extent *extents, size_t count, struct hasher *hasher,
                         hash_progress_fn *progress, void *context, struct error *err);

/* guess.c: the SHA-256 of a file is begun while its xorbs still come. An account of 0 is nobody, and nothing is guessed for it. */

struct guess *guess_new(struct store *store);
void guess_free(struct guess *guess);
/* A xorb begins to come; what this gives goes to guess_came() once it is kept, or lost (0). 0: it is not guessed with. */
int64_t guess_begin(struct guess *guess, int64_t account_id, int64_t repo_id, int64_t since);
void guess_came(struct guess *guess, int64_t place, int64_t xorb_id);
/* The SHA-256 behind all xorbs before this one, once it is known, and while it comes: its receiver then goes on with it, and gives it
 * back once the xorb is verified. NULL when it is not. */
struct hasher *guess_front(struct guess *guess, int64_t place);
void guess_hashed(struct guess *guess, int64_t place, struct hasher *hasher);
/* Around the work on a piece of a xorb: waits while the processors are busy with xorbs that go first; says whether this one does.
 * more: its sender is ahead of us, so that the next piece is there already. */
int processors(void); /* that this program may use now */
bool guess_turn(struct guess *guess, int64_t place);
void guess_turn_end(struct guess *guess, int64_t place, bool first, bool more);
/* The caller's SHA-256 over the first *done of the extents: as many as were hashed ahead, or none. What has not been, nobody hashes
 * ahead any more. */
struct hasher *guess_take(struct guess *guess, int64_t account_id, int64_t repo_id, const struct extent *extents,
                          size_t count, size_t *done);
/* The shard is kept: the next xorb begins a file, and how well this guess did says whether there is another. */
void guess_end(struct guess *guess, int64_t account_id, int64_t repo_id);
/* For tests: waits until all that came has been hashed. */
void guess_settle(struct guess *guess);

/* object.c */

/* NOT_FOUND when the object is not there. */
enum status object_size(struct db_conn *conn, int64_t object_id, int64_t *size, struct error *err);

/* rows.c: single rows, in writes and reads of others. */

struct xorb_new {
    struct chunk_hash hash;
    int64_t container, start, stored, table_at;
    uint32_t length, chunks;
    int64_t mentioned_us; /* 0: no client knows of it */
};
enum status container_insert(struct db_conn *tx, const char *name, int64_t size, int64_t *id, struct error *err);
enum status xorb_insert(struct db_conn *tx, const struct xorb_new *new, int64_t *id, struct error *err);
/* *found says whether the store has it, for whomever. */
enum status xorb_by_hash(struct db_conn *conn, const struct chunk_hash *hash, bool *found, struct xorb *out,
                         struct error *err);
/* The columns of XORB_COLUMNS, from column on, of the row at hand. */
#define XORB_COLUMNS                                                                                                   \
    "xorb.id, xorb.hash, xorb.container_id, xorb.start, xorb.stored, xorb.table_at, xorb.length, xorb.chunks"
#define XORB_COLUMN_COUNT 8
void xorb_of_row(struct stmt *row, int column, struct xorb *out);
enum status dedup_key_insert(struct db_conn *tx, const struct chunk_hash *chunk, int64_t xorb_id, struct error *err);
/* *id is that of the object that has the digest, made when there is none (then *made is true, and it has no extents yet).
 * xet_hash may be NULL (an empty file). What an object is made of never changes, and so neither does its Xet hash. */
enum status object_insert(struct db_conn *tx, const uint8_t sha256[SHA256_SIZE], int64_t size,
                          const struct chunk_hash *xet_hash, int64_t *id, bool *made, struct error *err);
/* extent->xorb.id, at, length, start, end, stored_at, stored and packed count. */
enum status extent_insert(struct db_conn *tx, int64_t object_id, const struct extent *extent, struct error *err);

/* sweep.c */

struct sweep {
    struct store *store;
    struct db_conn *conn;
    int64_t now;
    int64_t before_us; /* files touched later stay */
    bool dry_run;
    struct store_freed *freed;
};

/* Does some xorb of the container stay? Objects without a hold count as gone. */
enum status container_stays(const struct sweep *sweep, int64_t container_id, bool *stays, struct error *err);

/* freed.c: ranges of containers that stay, whose xorbs have gone */

struct freed_range {
    int64_t container, start, length;
};
enum status freed_range_insert(struct db_conn *tx, const struct freed_range *range, int64_t now_us, struct error *err);
enum status freed_ranges_forget(struct db_conn *tx, int64_t container_id, struct error *err);
/* Punches those out that are due, after the sweep of xorbs. */
enum status sweep_freed_ranges(const struct sweep *sweep, struct error *err);

/* care.c */

/* CORRUPT, with half a sentence, unless the container is a file of that size in the folder. */
enum status container_check(const char *root, struct str name, int64_t size, struct error *err);

/* commit.c */

/* A whole file that has come in, with its digest verified. */
struct arrival {
    const char *name; /* of the incoming file, and of the container it becomes */
    int64_t repo_id;
    const char *upload;          /* finished by the same write; NULL when it did not come in parts */
    const struct ingest *ingest; /* over all bytes of the file */
    const struct ingested *file; /* its result */
};

/*
 * Makes the file durable as a container, with the tables of its xorbs, and then, in one write, the object and the hold. What
 * the store has already takes no room in the container; when that is everything, it goes. The caller keeps fd open (and with
 * it the lock) and removes the incoming name, if it is still there, in every case.
 */
enum status commit_arrival(struct store *store, int fd, const struct arrival *arrival, struct error *err);

/* The incoming file becomes a container, whose path is told: durable under that name, or on its way to the disk (settle.c). */
enum status container_make(struct store *store, const char *name, int fd, bool durable, char path[STORE_PATH_LIMIT],
                           struct error *err);

/* settle.c: containers whose bytes are on their way to the disk */

enum status container_unsettled(struct db_conn *tx, int64_t container_id, struct error *err); /* marks it, in a write */
/* In a write that makes an object of the container: notes it when it is not durable yet. */
enum status unsettled_note(struct db_conn *tx, int64_t container_id, struct buf *unsettled, struct error *err);
/* At the end of such a write: STALE when something was noted, so that all of it is undone. */
enum status unsettled_check(const struct buf *unsettled, struct error *err);
/* Runs such a write; makes durable what it has noted, and runs it again. A xorb whose bytes cannot be made durable is forgotten. */
enum status settled_write(struct store *store, db_write_fn *fn, void *context, struct buf *unsettled,
                          struct error *err);
/* Forgets what may have been torn when the machine went down. */
enum status settle_after_crash(struct store *store, struct error *err);

/* UNPROCESSABLE with both digests when they differ. */
enum status digest_check(const uint8_t expected[SHA256_SIZE], const uint8_t actual[SHA256_SIZE], struct error *err);

/* upload.c: what parts need of their upload */

struct upload {
    char id[NAME_SIZE];
    int state;
    int64_t size, part_size, part_count;
    uint8_t sha256[SHA256_SIZE];
};

enum status upload_read(struct db_conn *conn, struct str id, int64_t repo_id, struct upload *upload, struct error *err);
enum status upload_open_file(struct store *store, const struct upload *upload, int *fd, struct error *err);
/* Ends an upload that came to nothing, with its file and rows. */
void upload_discard(struct store *store, const char *id);

#endif
