/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/sign.h"
#include "base/hash.h"
#include "base/text.h"

static const char mark[] = "&sig=";

struct str sign_text(struct request *rq, struct str text)
{
    uint8_t digest[SHA256_SIZE];
    struct str secret = {(const char *)rq->hub->signing_secret, sizeof rq->hub->signing_secret};
    hmac_sha256(secret, text, digest);
    return hex_encode(rq->arena, digest, sizeof digest);
}

bool sign_matches(struct request *rq, struct str text, struct str signature)
{
    struct str wanted = sign_text(rq, text);
    return signature.len == wanted.len && equal_secret(signature.data, wanted.data, wanted.len);
}

struct str sign_target(struct request *rq, struct str target)
{
    return arena_printf(rq->arena, "%.*s%.*s%s%.*s", STR_ARG(request_base_url(rq)), STR_ARG(target), mark,
                        STR_ARG(sign_text(rq, target)));
}

enum status sign_check_target(struct request *rq, struct error *err)
{
    struct str target = rq->http->target;
    const char *at = memmem(target.data, target.len, mark, sizeof mark - 1);
    size_t signed_len = at ? (size_t)(at - target.data) : 0;
    if (at && sign_matches(rq, str_slice(target, 0, signed_len), str_from(target, signed_len + sizeof mark - 1)))
        return OK;
    return fail(err, FORBIDDEN, NULL,
                "This address is not valid: its signature does not match. Ask the hub for a new one.");
}

int64_t query_number(struct request *rq, const char *name)
{
    int64_t value;
    return str_to_i64(request_query(rq, name, 0), &value) ? value : -1;
}

enum status sign_admit(struct request *rq, int64_t key_id, int64_t repo_id, struct error *err)
{
    if (key_id > 0)
        TRY(actor_of_key(rq->db, rq->arena, key_id, request_remote(rq), &rq->actor, err));
    enum status found = repo_get(rq->db, rq->arena, repo_id, &rq->repo, err);
    return found == NOT_FOUND ? access_hidden(&rq->actor, err) : found;
}
