/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_RECORD_INTERNAL_H
#define CAIRN_RECORD_INTERNAL_H

#include "record/record.h"
#include "witness/witness.h"
#include <limits.h>

/* Handlers, file by file; module.c has their addresses. */
/* log.c */ route_handler log_checkpoint, log_stream, log_vkey, log_tile;
/* history.c */ route_handler history_get, head_get;
/* proof.c */ route_handler proof_get, leaf_proof_get;
/* pseudonyms.c */ route_handler pseudonyms_get;

/* epoch.c */ enum status epoch_job(struct hub *hub, struct error *err);
extern const struct migration_set record_migrations;
enum status record_program_digest(uint8_t out[SHA256_SIZE], struct error *err);
/* manifest.c */ enum status manifest_job(struct hub *hub, struct error *err);
extern const struct event_kind record_events[]; /* ends with a NULL name */

/* A leaf of a repo with what opens it, for somebody who may see the repo. */
struct logged {
    struct prov_entry entry;
    struct str text;
    struct leaf leaf;
    const struct opening *openings;
    size_t opening_count;
};
/* Reads the leaf from the ledger; everything lives in rq's arena. */
enum status logged_read(struct request *rq, const struct prov_entry *entry, struct logged *out, struct error *err);

/*
 * The proof file of a leaf; extra may be absent. The checkpoint is one that the hub's witnesses have accepted where there is one
 * that covers the leaf, and the newest otherwise; with_quorum: UNAVAILABLE otherwise. Without a witness policy it is the newest.
 */
enum status proof_of(struct hub *hub, struct arena *arena, uint64_t index, struct str extra, bool with_quorum,
                     struct buf *out, struct error *err);
/* The newest signed checkpoint, with the cosignatures that it has by now. */
void newest_checkpoint(struct record *record, struct buf *out);

/* dir/log; INVALID when that is too long. */
enum status record_folder(const char *dir, char out[PATH_MAX], struct error *err);
/* The name of the log that is in folder; false when there is none. */
bool record_origin(struct arena *arena, const char *folder, struct str *origin);

/* Logs that are over: how many, numbered from 1, and one of them. */
int64_t record_old_logs(const char *dir);
enum status record_old_open(const char *dir, int64_t number, struct ledger **out, struct error *err);
/* CORRUPT when the log is gone or the beginning of a new one was broken off. */
enum status record_check_folder(const char *dir, struct db *db, struct error *err);

/* Tells those who listen of the newest checkpoint. */
void log_tell(struct record *record);

#endif
