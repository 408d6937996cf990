/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_INTERNAL_H
#define CAIRN_STORE_INTERNAL_H

#include "base/file.h"
#include "store/store.h"
#include <pthread.h>

/* What the files of this part share; nobody else includes it. */

#define STORE_MAGIC 0x5ca14e5u
#define STORE_ROOT_LIMIT 3072
#define STORE_PATH_LIMIT (STORE_ROOT_LIMIT + 64)
#define NAME_SIZE 33 /* 32 hex digits and the NUL: names of containers, incoming files, uploads, etags */
#define MIB INT64_C(1048576)

enum container_kind { CONTAINER_RAW = 0 }; /* the bytes of one file as received */
enum upload_state { UPLOAD_OPEN = 0, UPLOAD_FINISHED = 1 };

/* running.c: SHA-256 of uploads in parts, kept in memory while the server runs */

#define RUNNING_LIMIT 256

struct running {
    struct hasher *hasher; /* NULL: the slot is free */
    char upload[NAME_SIZE];
    int64_t position; /* the hasher has taken exactly what the file holds before this offset */
    int64_t used;     /* when, on the table's own clock */
    bool busy;        /* a thread is hashing outside the mutex */
    bool stale;       /* forgotten while busy: whoever is hashing frees it */
};

struct running_table {
    pthread_mutex_t mutex;
    int64_t clock;
    struct running slots[RUNNING_LIMIT];
};

void running_init(struct running_table *table);
void running_free(struct running_table *table);
/* The file holds data at offset: hashes what of it continues the running hash, or starts one at offset 0. */
void running_wrote(struct running_table *table, const char *upload, int64_t offset, const void *data, size_t len);
int64_t running_position(struct running_table *table, const char *upload); /* 0 when there is none */
/* Call it before changing bytes in front of the position, and only after the row of their part has gone. */
void running_forget(struct running_table *table, const char *upload);
/* Hands the hash over to the caller, at *position; a new one at 0 when there is none. */
struct hasher *running_take(struct running_table *table, const char *upload, int64_t *position);
/* Claims the hash to bring it forward by reading the file; NULL when there is none or it is in use. */
struct running *running_claim(struct running_table *table, const char *upload);
void running_unclaim(struct running_table *table, struct running *slot, int64_t position);

/* disk.c */

struct store {
    unsigned magic;
    struct db *db;
    char root[STORE_ROOT_LIMIT];
    struct running_table running;
};

void store_assert(const struct store *store);
void hex_name(const void *data, size_t len, char *out); /* 2*len lower case digits and a NUL */
void random_name(char out[NAME_SIZE]);
bool name_valid(const char *name);
void container_path(const char *root, const char *name, char out[STORE_PATH_LIMIT]);
void incoming_path(const char *root, const char *name, char out[STORE_PATH_LIMIT]);
enum status store_folders(const char *root, struct error *err);

/*
 * Who works on a file in the store holds a lock on it, or on his part of it, through his own descriptor. So nobody
 * interleaves with him, a sweep leaves the file alone (in another process too), and the kernel takes the lock back
 * whatever happens to us.
 */
bool file_lock(int fd, int64_t start, int64_t length); /* exclusive, at once or not at all; length 0: to the end */
enum status file_lock_wait(int fd, int64_t start, int64_t length, struct error *err);

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

/* Feeds length bytes of the file at offset to the hasher. CORRUPT when the file is shorter. */
enum status disk_hash(int fd, int64_t offset, int64_t length, struct hasher *hasher, struct error *err);

/* commit.c */

/* A whole file that has come in, with its digest verified. */
struct arrival {
    const char *name; /* of the incoming file, and of the container it becomes */
    const uint8_t *sha256;
    int64_t size, repo_id;
    const char *upload; /* finished by the same write; NULL when it did not come in parts */
};

/*
 * Makes the file durable as a container and then, in one write, the object and the hold. The caller keeps fd open (and
 * with it the lock) and removes the incoming name, if it is still there, in every case.
 */
enum status commit_arrival(struct store *store, int fd, const struct arrival *arrival, struct error *err);

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
