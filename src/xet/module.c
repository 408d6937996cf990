/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "xet/handlers.h"
#include "xet/xet.h"

/* Clients tell how a transfer went and wait up to two seconds for the answer (xet-protocol 3, row 11). */
enum status xet_telemetry(struct request *rq, struct error *err)
{
    (void)err;
    request_reply_empty(rq);
    return OK;
}

/*
 * The CAS (xet-protocol 3). Its addresses without a version are those of clients before 1.5; {prefix} names a space of hashes, of
 * which there is one.
 */
#define WITH_TOKEN .signed_by = xet_token_check
static const struct route xet_routes[] = {
    {HTTP_GET, "/api/{api}/xet-read-token/{rev}", ACT_READ, xet_read_token},
    {HTTP_GET, "/api/{api}/xet-write-token/{rev}", ACT_PROPOSE, xet_write_token},

    {HTTP_GET, "/xet/data/{xorb}", ACT_READ, data_get, .signed_by = data_signed},
    {HTTP_POST, "/xet/v1/xorbs/{prefix}/{hash}", ACT_PROPOSE, xorb_post, WITH_TOKEN},
    {HTTP_POST, "/xet/xorbs/{prefix}/{hash}", ACT_PROPOSE, xorb_post, WITH_TOKEN},
    {HTTP_POST, "/xet/v2/shards", ACT_PROPOSE, shard_post_stream, WITH_TOKEN},
    {HTTP_POST, "/xet/v1/shards", ACT_PROPOSE, shard_post, WITH_TOKEN},
    {HTTP_POST, "/xet/shards", ACT_PROPOSE, shard_post, WITH_TOKEN},
    {HTTP_GET, "/xet/v1/chunks/{prefix}/{hash}", ACT_READ, chunk_get, WITH_TOKEN},
    {HTTP_GET, "/xet/chunks/{prefix}/{hash}", ACT_READ, chunk_get, WITH_TOKEN},
    {HTTP_GET, "/xet/v2/reconstructions/{hash}", ACT_READ, reconstruction_get_v2, WITH_TOKEN},
    {HTTP_GET, "/xet/v1/reconstructions/{hash}", ACT_READ, reconstruction_get_v1, WITH_TOKEN},
    {HTTP_GET, "/xet/reconstructions/{hash}", ACT_READ, reconstruction_get_v1, WITH_TOKEN},
    {HTTP_POST, "/v1/telemetry", ACT_PUBLIC, xet_telemetry},
    {0},
};

const struct module xet_module = {.name = "xet", .routes = xet_routes};
