/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_XET_HANDLERS_H
#define CAIRN_XET_HANDLERS_H

#include "router/request.h"

/* Handlers, file by file; module.c has their addresses. */
/* token.c */ route_handler xet_read_token, xet_write_token, xet_token_check;
/* xorb.c */ route_handler xorb_post;
/* shard.c */ route_handler shard_post, shard_post_stream;
/* chunk.c */ route_handler chunk_get;
/* reconstruction.c */ route_handler reconstruction_get_v1, reconstruction_get_v2;
/* data.c */ route_handler data_signed, data_get;
/* module.c */ route_handler xet_telemetry;

/* What these files share. */

/* Pieces that a file may be made of, so that a plan for all of it stays small enough: 50 GB at the shortest runs that clients make. */
#define PIECES_MOST 100000

/* The hash in params[index]; INVALID when it is none. */
enum status xet_hash_param(struct request *rq, size_t index, struct chunk_hash *out, struct error *err);

/* Who asks the store for xorbs by their hash: this request's actor, through the repo of its token. */
struct asker xet_asker(struct request *rq);

/* An address under which ranges of a xorb's wire form can be fetched without a key; the text of ranges is "a-b,c-d", ends inclusive. */
struct str data_url(struct request *rq, int64_t xorb_id, struct str ranges);

#endif
