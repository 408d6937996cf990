/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/xorb.h"
#include "xet/handlers.h"

#define PIECE (1 << 20)

enum status xet_hash_param(struct request *rq, size_t index, struct chunk_hash *out, struct error *err)
{
    return chunk_hash_parse(rq->params[index], out)
               ? OK
               : fail(err, INVALID, NULL, "A hash has 64 hex digits; this is none: %.*s",
                      STR_ARG(str_slice(rq->params[index], 0, 80)));
}

static enum status receive(struct request *rq, struct xorb_receipt *receipt, struct error *err)
{
    auto_buf struct buf piece = {0};
    buf_reserve(&piece, PIECE);
    for (;;) {
        size_t got;
        TRY(body_read(rq->http, piece.data, PIECE, &got, err));
        if (got == 0)
            return OK;
        TRY(xorb_receipt_write(receipt, piece.data, got, err));
    }
}

/* POST /xet/v1/xorbs/{prefix}/{hash}. A xorb that the store has already is read and verified all the same: what counts afterwards is
 * that this account has its bytes. */
enum status xorb_post(struct request *rq, struct error *err)
{
    auto_xorb_receipt struct xorb_receipt *receipt = NULL;
    struct chunk_hash announced;
    bool was_new;
    TRY(xet_hash_param(rq, 1, &announced, err));
    if (rq->http->content_length > XORB_WIRE_MOST)
        return fail(err, TOO_LARGE, NULL, "A xorb has at most %d bytes.", XORB_WIRE_MOST);
    request_done_reading(rq);
    TRY(xorb_receipt_open(rq->hub->store, &receipt, err));
    xorb_receipt_sender(receipt, rq->actor.account.id, rq->repo.id, rq->http->started_us);
    TRY(receive(rq, receipt, err));
    TRY(xorb_receipt_keep(&receipt, rq->actor.account.id, &announced, &was_new, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_bool(&w, "was_inserted", was_new);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
