/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TENSOR_INTERNAL_H
#define CAIRN_TENSOR_INTERNAL_H

#include "repo/tree.h"
#include "tensor/tensors.h"

/* Handlers, file by file; module.c has their addresses. */
/* api.c */ route_handler tensors_get, tensor_proof_get;
/* shared.c */ route_handler shared_get;

/* Jobs. */
/* pass.c */ enum status pass_job(struct hub *hub, struct error *err);
/* rows.c */ enum status rows_job(struct hub *hub, struct error *err);

/* The columns tensor_file.state and tensor_seen.state. */
enum file_state { FILE_UNKNOWN, FILE_DONE, FILE_REFUSED };
enum seen_state { SEEN_PENDING, SEEN_READY };

/* rows.c: what has been found out about a content. */

/* A tensor with what the database has beside it. */
struct tensor_row {
    struct tensor tensor; /* begin and end count from the start of the file here */
    bool trivial;         /* too small or too even to tell anything by being shared */
};
#define TENSOR_TRIVIAL 256 /* bytes */

/* In a write. */
enum status rows_insert(struct db_conn *tx, int64_t file_id, int64_t position, const struct tensor_row *row,
                        struct error *err);
/* How many tensors of a file have rows, from the first on. */
enum status rows_count(struct db_conn *conn, int64_t file_id, int64_t *count, struct error *err);
/* At most limit rows of a file from a position on, in the order in which they lie in it. */
enum status rows_read(struct db_conn *conn, struct arena *arena, int64_t file_id, int64_t position, int64_t limit,
                      struct tensor *out, size_t *count, struct error *err);

/* source.c: the bytes of a file that a repo's commit names, in order. */

struct source;
/* sha256 of a large file, or else the blob of a small one. NOT_FOUND when the repo does not have it any more. */
enum status source_open(struct hub *hub, int64_t repo_id, bool is_lfs, const uint8_t sha256[SHA256_SIZE],
                        const struct oid *blob, struct source **out, struct error *err);
int64_t source_size(const struct source *source);
enum status source_seek(struct source *source, int64_t offset, struct error *err);
/* The next bytes, at most most of them and at least one, valid until the next call. CORRUPT at the end. */
enum status source_next(struct source *source, size_t most, const uint8_t **data, size_t *len, struct error *err);
void source_close(struct source **source);
#define auto_source __attribute__((cleanup(source_close)))

/* api.c: of the route's revision. The request's reader has been given back. */
enum status revision_files(struct request *rq, struct oid *commit, struct tensor_files *files, struct error *err);
void write_state(struct request *rq, struct json_writer *w, const struct oid *commit, const struct tensor_files *files);

/*
 * Questions that may cost much memory or time are answered a few at a time. UNAVAILABLE when none has come to its end
 * for ten seconds. Whoever asks must not hold a reader.
 */
enum status turn_take(struct error *err);
void turn_give(bool *taken); /* nothing when it is false */
#define auto_turn __attribute__((cleanup(turn_give)))

#endif
