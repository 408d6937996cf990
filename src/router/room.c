/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/room.h"
#include "base/time.h"
#include "quota/quota.h"

struct reserving {
    int64_t repo_id;
    const struct room *rooms;
    size_t count;
    int64_t verify;
};

static enum status reserve_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct reserving *reserving = context;
    auto_arena struct arena arena = {0};
    int64_t account_id, until = now_us() + QUOTA_LEASE_US;
    enum unit unit;
    TRY(quota_of_repo(tx, reserving->repo_id, &account_id, &unit, err));
    for (size_t i = 0; i < reserving->count; i++) {
        const struct room *room = &reserving->rooms[i];
        struct object held;
        /* It may have come meanwhile; then nothing would ever take the reservation's place. */
        if (store_lookup(tx, reserving->repo_id, room->sha256, &held, NULL) == OK)
            continue;
        const struct quota_ask ask = {.key = quota_key(&arena, reserving->repo_id, room->sha256),
                                      .account_id = account_id,
                                      .repo_id = reserving->repo_id,
                                      .unit = unit,
                                      .amount = room->size,
                                      .until_us = until};
        TRY(quota_reserve(tx, &ask, err));
    }
    return reserving->verify ? quota_take(tx, account_id, reserving->repo_id, UNIT_VERIFY, reserving->verify, err) : OK;
}

enum status request_reserve(struct request *rq, const struct room *rooms, size_t count, int64_t verify,
                            struct error *err)
{
    struct reserving reserving = {rq->repo.id, rooms, count, verify};
    request_done_reading(rq);
    return count || verify ? db_write(rq->hub->db, reserve_in_write, &reserving, err) : OK;
}

enum status request_has_room(struct request *rq, struct error *err)
{
    int64_t account_id;
    enum unit unit;
    TRY(request_read(rq, err));
    TRY(quota_of_repo(rq->db, rq->repo.id, &account_id, &unit, err));
    return quota_room(rq->db, account_id, rq->repo.id, unit, 1, err);
}

/* Most of what comes needs no write for this: a lease is 24 hours, and an hour of it may pass. */
#define RENEW_AFTER_US (3600 * SECOND_US)

struct renewal {
    int64_t repo_id, until_us;
};

static enum status renew_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct renewal *renewal = context;
    return quota_renew(tx, renewal->repo_id, renewal->until_us, err);
}

enum status request_renew(struct request *rq, struct error *err)
{
    struct renewal renewal = {rq->repo.id, now_us() + QUOTA_LEASE_US};
    bool due;
    TRY(request_read(rq, err));
    enum status status = quota_renewal_due(rq->db, rq->repo.id, renewal.until_us - RENEW_AFTER_US, &due, err);
    request_done_reading(rq);
    TRY(status);
    return due ? db_write(rq->hub->db, renew_in_write, &renewal, err) : OK;
}
