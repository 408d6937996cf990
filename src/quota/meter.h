/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_METER_H
#define CAIRN_QUOTA_METER_H

#include "quota/unit.h"

/*
 * Bytes downloaded, of accounts in spans of time and of keys in days of their own (access.md C12, C13). What is about to be sent
 * is promised first, so that no number of downloads at once gets a byte too much; what was sent is written down every few
 * seconds. Memory has what counts: the database is read when somebody comes who has not been here for a while. A hub that is
 * killed forgets what it had sent of replies that were on their way, and of the last five seconds.
 *
 * On any thread. Memory is of fixed size: who has nothing that waits to be written makes room.
 */
struct meters;
struct meters *meters_new(struct db *db);
void meters_free(struct meters *meters); /* what is not written yet is written; nothing when NULL */

struct meter {
    enum { METER_ACCOUNT, METER_KEY } kind;
    int64_t id;
    int64_t per_s; /* of an account's spans; a key's day begins with its first byte */
};
struct metered {
    int64_t bytes;    /* sent and promised */
    int64_t again_us; /* when it starts anew; 0: nothing has begun */
};

/* conn may be NULL: a reader is borrowed where one is needed. */
enum status meter_read(struct meters *meters, struct db_conn *conn, const struct meter *of, struct metered *out,
                       struct error *err);
/* Promises bytes where that makes no more than most; *out is as it was before. */
enum status meter_promise(struct meters *meters, struct db_conn *conn, const struct meter *of, int64_t bytes,
                          int64_t most, bool *fits, struct metered *out, struct error *err);
/* What was promised is over, and so much was sent. */
void meter_settle(struct meters *meters, const struct meter *of, int64_t promised, int64_t sent);

/* Writes what was sent, when it is time (5 s, or 64 MiB) or when now is true. */
enum status meters_flush(struct meters *meters, bool now, struct error *err);
/* In a write: days of keys that are over. */
enum status meters_forget(struct db_conn *tx, void *ignored, struct error *err);

#endif
