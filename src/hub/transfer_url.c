/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/transfer_url.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "router/sign.h"

/* Access C7 wants links to gated bytes to live 60 seconds, where nobody is asked any more when they are used. Here the door is, each
 * time: a right that was taken back ends an address at once, however long it would have lived. git-lfs asks for a hundred files in
 * one go and comes to the last of them late; Xet clients keep theirs (xet/data.c) as long as a download takes. */
#define VALID_SECONDS (24 * 3600)

struct str transfer_url(struct request *rq, struct str path, int64_t size)
{
    return sign_target(rq, arena_printf(rq->arena, "%.*s?k=%lld&r=%lld&s=%lld&u=%lld", STR_ARG(path),
                                        (long long)rq->actor.key_id, (long long)rq->repo.id, (long long)size,
                                        (long long)(now_us() / SECOND_US + VALID_SECONDS)));
}

int64_t transfer_size(struct request *rq)
{
    return query_number(rq, "s");
}

enum status transfer_signed(struct request *rq, struct error *err)
{
    TRY(sign_check_target(rq, err));
    if (query_number(rq, "u") < now_us() / SECOND_US)
        return fail(err, FORBIDDEN, NULL, "This address has expired. Ask the hub for a new one.");
    return sign_admit(rq, query_number(rq, "k"), query_number(rq, "r"), err);
}
