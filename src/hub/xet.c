/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Hub tells its clients of Xet (xet-protocol 1); the CAS itself is src/xet. */
#include "base/text.h"
#include "hub/handlers.h"

bool xet_advertised(const struct request *rq, const struct repo *repo)
{
    return rq->hub->xet && repo->xet_enabled;
}

enum status xet_hash_told(struct request *rq, const uint8_t sha256[SHA256_SIZE], struct str *out, struct error *err)
{
    struct chunk_hash hash;
    char text[CHUNK_HASH_TEXT];
    bool found = false;
    if (xet_advertised(rq, &rq->repo))
        TRY(store_xet_hash(rq->db, rq->repo.id, sha256, &found, &hash, err));
    *out = (struct str){0};
    if (found) {
        chunk_hash_text(&hash, text);
        *out = arena_copy(rq->arena, str_of(text));
    }
    return OK;
}

struct str xet_token_url(struct request *rq, const char *scope, struct str revision)
{
    return arena_printf(rq->arena, "%.*s/api/%.*s/%.*s/xet-%s-token/%.*s", STR_ARG(request_base_url(rq)),
                        STR_ARG(repo_kind_plural(rq->repo.kind)), STR_ARG(rq->repo.full_name), scope,
                        STR_ARG(percent_encode(rq->arena, revision, false)));
}
