/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Global deduplication (xet-protocol 3.4): in which xorbs that the asker may use is a chunk to be found? */
#include "base/time.h"
#include "cas/shard.h"
#include "module.h"
#include "xet/handlers.h"

#define XORBS_MOST 16 /* in one reply: 1 GiB of a file, half a megabyte of hashes */

/*
 * Chunk hashes go out keyed, so that only who knows a chunk can recognise it. Clients try every key that they have seen, so it
 * stays the same for a week; what they were told stays true for at least that long (store_mention).
 */
#define KEY_SECONDS (7 * 24 * 3600)

static void reply_key(struct request *rq, int64_t week, uint8_t key[SHA256_SIZE])
{
    struct str secret = {(const char *)rq->hub->signing_secret, sizeof rq->hub->signing_secret};
    hmac_sha256(secret, arena_printf(rq->arena, "dedup key of week %lld", (long long)week), key);
}

static bool may_read(void *context, struct db_conn *conn, int64_t repo_id)
{
    const struct request *rq = context;
    auto_arena struct arena arena = {0};
    struct repo repo;
    if (repo_get(conn, &arena, repo_id, &repo, NULL) != OK)
        return false;
    struct access_object object = repo_access(&repo);
    return access_decide(conn, &rq->actor, ACT_READ, &object, NULL) == OK;
}

struct asker xet_asker(struct request *rq)
{
    /* The door may have let the request in for this repo, but not to read: who proposes a change to a gated repo may not. */
    return (struct asker){
        .account_id = rq->actor.account.id,
        .repo_id = may_read(rq, rq->db, rq->repo.id) ? rq->repo.id : 0,
        .may_read = may_read,
        .context = rq,
    };
}

/* Chunks that the asker may not use keep their place, but neither their hash nor their length is told. *found becomes true when
 * wanted is among the others. */
static enum status write_xorb(struct request *rq, const struct usable_xorb *usable, const uint8_t key[SHA256_SIZE],
                              const struct chunk_hash *wanted, bool *found, struct buf *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    const struct xorb *xorb = &usable->xorb;
    struct chunk before, *rows = arena_array(&arena, xorb->chunks, sizeof *rows);
    TRY(store_chunks(rq->hub->store, xorb, 0, xorb->chunks, &before, rows, err));
    shard_reply_xorb(out, &xorb->hash, xorb->chunks, xorb->length, (uint32_t)store_xorb_wire_length(xorb));
    for (uint32_t i = 0; i < xorb->chunks; i++) {
        struct chunk_hash hidden;
        if (!xorb_usable(usable, i, i + 1)) {
            random_bytes(hidden.bytes, sizeof hidden.bytes);
            shard_reply_chunk(out, &hidden, 0, 0, false);
            continue;
        }
        uint32_t start = i > 0 ? rows[i - 1].end : 0;
        struct chunk_hash keyed = chunk_hash_keyed(&rows[i].hash, key);
        shard_reply_chunk(out, &keyed, start, rows[i].end - start, rows[i].is_key);
        *found |= chunk_hash_eq(&rows[i].hash, wanted);
    }
    return OK;
}

/* GET /xet/v1/chunks/{prefix}/{hash} */
enum status chunk_get(struct request *rq, struct error *err)
{
    struct chunk_hash chunk;
    struct usable_xorb *xorbs = arena_array(rq->arena, XORBS_MOST, sizeof *xorbs);
    int64_t ids[XORBS_MOST], now_s = now_us() / SECOND_US, week = now_s / KEY_SECONDS;
    uint8_t key[SHA256_SIZE];
    size_t count;
    bool found = false;
    struct asker asker = xet_asker(rq);
    TRY(xet_hash_param(rq, 1, &chunk, err));
    TRY(store_chunk_find(rq->db, &asker, &chunk, xorbs, XORBS_MOST, &count, err));
    request_done_reading(rq);
    for (size_t i = 0; i < count; i++)
        ids[i] = xorbs[i].xorb.id;
    TRY(store_mention(rq->hub->store, ids, count, err));

    auto_buf struct buf body = {0};
    reply_key(rq, week, key);
    shard_reply_begin(&body);
    for (size_t i = 0; i < count; i++)
        TRY(write_xorb(rq, &xorbs[i], key, &chunk, &found, &body, err));
    shard_reply_end(&body, key, now_s, (week + 2) * KEY_SECONDS);
    if (!found)
        return store_chunk_unknown(&chunk, err);
    reply_buf(rq->http, 200, STR("application/octet-stream"), &body);
    return OK;
}
