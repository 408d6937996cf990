/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_QUOTA_H
#define CAIRN_QUOTA_QUOTA_H

#include "quota/limits.h"
#include "timer/timer.h"

/*
 * What counts against a limit, and room that is promised before it is used: reserve, then commit, release or let expire
 * (specs/access.md C12). used + reserved <= hard is one conditional update in a write, so no two can take the same room, and
 * what was committed is as durable as the write it is in. What a person or organisation keeps counts against the owner of the
 * repo, whoever sent it.
 */
extern const struct migration_set quota_migrations;

/* Counters. */

struct quota_use {
    int64_t used, reserved;
};
/* The number of the span that now_us is in. Of what is held the span is 0. */
int64_t quota_span(int64_t per_s, int64_t now_us);
enum status quota_used(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t span, struct quota_use *out,
                       struct error *err);
/* In a write: whatever the limit is; amount may be negative. */
enum status quota_add(struct db_conn *tx, int64_t account_id, enum unit unit, int64_t span, int64_t amount,
                      struct error *err);
/* In a write: adds to what is used when there is room, for the account and for the groups that the repo is in (0: it is of none); "QuotaExceeded" otherwise, TOO_LARGE or what the unit says (unit_specs), with
 * what is full, how much is used, and how to move up; until_us of the error is when a span begins anew. Not for units that are asked of rows. */
enum status quota_take(struct db_conn *tx, int64_t account_id, int64_t repo_id, enum unit unit, int64_t amount,
                       struct error *err);

/* What the repos of an account have that a limit is for. */
enum status quota_group_used(struct db_conn *conn, int64_t account_id, const struct group_limit *group,
                             struct quota_use *out, struct error *err);

/* What sponsors add to what the tier of an account allows, now. */
enum status quota_shares(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t *amount, struct error *err);
/* In a write: so much has been done for a repo, which counts against its owner whatever the limit is. Nothing when the repo is gone. */
enum status quota_spend(struct db_conn *tx, int64_t repo_id, enum unit unit, int64_t amount, struct error *err);
/* Is there room for amount more? The refusal of quota_take(), without taking. */
enum status quota_room(struct db_conn *conn, int64_t account_id, int64_t repo_id, enum unit unit, int64_t amount,
                       struct error *err);

/* The same for the owner of a repo. */
enum status quota_room_of_repo(struct db_conn *conn, int64_t repo_id, enum unit unit, int64_t amount,
                               struct error *err);

/* Reservations, each in a write. */

#define QUOTA_LEASE_US (INT64_C(86400) * 1000000)

struct quota_ask {
    struct str key; /* what is reserved for; asking again with the same key changes the amount and renews the lease */
    int64_t account_id, repo_id;
    enum unit unit;
    int64_t amount;
    int64_t until_us;
};
enum status quota_reserve(struct db_conn *tx, const struct quota_ask *ask, struct error *err);
/* What came took amount, which may be less than what was reserved, or more where there is room. Without a reservation it is
 * quota_take(). */
enum status quota_commit(struct db_conn *tx, const struct quota_ask *ask, struct error *err);
/* Nothing when there is none. */
enum status quota_release(struct db_conn *tx, struct str key, struct error *err);
/* The leases of what is on its way to a repo go on: something has come. */
enum status quota_renew(struct db_conn *tx, int64_t repo_id, int64_t until_us, struct error *err);
/* Does one of them end before that time? */
enum status quota_renewal_due(struct db_conn *conn, int64_t repo_id, int64_t before_us, bool *due, struct error *err);
/* Gives back what has run out, at most 1,000; *more: there are others. */
enum status quota_expire(struct db_conn *tx, int64_t now_us, bool *more, struct error *err);
extern const struct timer_kind quota_timers[];

/* Repos. */

/* What the bytes of a repo count as, and against whom, as it is now. NOT_FOUND when it is not there. */
enum status quota_of_repo(struct db_conn *conn, int64_t repo_id, int64_t *account_id, enum unit *unit,
                          struct error *err);
/* The key of the room for a large file that is to come to a repo. */
struct str quota_key(struct arena *arena, int64_t repo_id, const uint8_t sha256[SHA256_SIZE]);
/* From now on repos that grow, move, change or go count: asks the store and the events to tell. */
void quota_watch(void);
/*
 * Counts anew what every repo and account takes, and corrects what differs: report() is called with a sentence for each. In
 * writes of their own, a repo at a time, so that the hub may go on working.
 */
enum status quota_recount(struct db *db, void (*report)(void *context, const char *what), void *context,
                          struct error *err);

/* The ledger. */

struct quota_line {
    int64_t account_id, amount, pool_id;
    enum unit unit;
    const char *cause;
    struct str key; /* once only: *again is true, and nothing is done, when it stands there already */
};
enum status quota_line_add(struct db_conn *tx, const struct quota_line *line, bool *again, struct error *err);

#endif
