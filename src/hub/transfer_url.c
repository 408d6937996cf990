/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/transfer_url.h"
#include "base/text.h"
#include "base/time.h"
#include "hub/handlers.h"

#define VALID_SECONDS (24 * 3600)

static struct str signature_of(struct request *rq, struct str signed_part)
{
    uint8_t digest[SHA256_SIZE];
    struct str secret = {(const char *)rq->hub->signing_secret, sizeof rq->hub->signing_secret};
    hmac_sha256(secret, signed_part, digest);
    return hex_encode(rq->arena, digest, sizeof digest);
}

struct str transfer_url(struct request *rq, struct str path, int64_t size)
{
    struct str signed_part =
        arena_printf(rq->arena, "%.*s?k=%lld&r=%lld&s=%lld&u=%lld", STR_ARG(path), (long long)rq->actor.key_id,
                     (long long)rq->repo.id, (long long)size, (long long)(now_us() / SECOND_US + VALID_SECONDS));
    return arena_printf(rq->arena, "%.*s%.*s&sig=%.*s", STR_ARG(request_base_url(rq)), STR_ARG(signed_part),
                        STR_ARG(signature_of(rq, signed_part)));
}

static int64_t signed_number(struct request *rq, const char *name)
{
    int64_t value;
    return str_to_i64(request_query(rq, name, 0), &value) ? value : -1;
}

int64_t transfer_size(struct request *rq)
{
    return signed_number(rq, "s");
}

enum status transfer_signed(struct request *rq, struct error *err)
{
    static const char mark[] = "&sig=";
    struct str target = rq->http->target;
    const char *at = memmem(target.data, target.len, mark, sizeof mark - 1);
    struct str given = at ? str_from(target, (size_t)(at - target.data) + sizeof mark - 1) : STR("");
    struct str wanted = at ? signature_of(rq, str_slice(target, 0, (size_t)(at - target.data))) : STR("");
    if (!at || given.len != wanted.len || !equal_secret(given.data, wanted.data, given.len))
        return fail(err, FORBIDDEN, NULL,
                    "This address is not valid: its signature does not match. Ask the hub for a new one.");
    if (signed_number(rq, "u") < now_us() / SECOND_US)
        return fail(err, FORBIDDEN, NULL, "This address has expired. Ask the hub for a new one.");
    if (signed_number(rq, "k") > 0)
        TRY(actor_of_key(rq->db, rq->arena, signed_number(rq, "k"), &rq->actor, err));
    enum status found = repo_get(rq->db, rq->arena, signed_number(rq, "r"), &rq->repo, err);
    return found == NOT_FOUND ? access_hidden(&rq->actor, err) : found;
}
