/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_XET_TOKEN_H
#define CAIRN_XET_TOKEN_H

#include "router/request.h"

/*
 * What a client needs to speak to the CAS about one repo (xet-protocol 1.1). The token names a key, a repo, a scope and an end, and is
 * signed; the door is asked again whenever it is used, so that a revoked key or a lost right ends it at once.
 */
struct xet_grant {
    struct str cas_url; /* without trailing slash */
    struct str token;
    int64_t expires_s; /* Unix time */
};

/* For rq->repo and rq->actor; the caller has asked the door for ACT_READ, or ACT_PROPOSE when write. Lives in rq->arena. */
struct xet_grant xet_grant(struct request *rq, bool write);

/* What a token says; whether the hub has signed it is another question. False, and out is left alone, for what is none. */
struct xet_token {
    bool write;
    int64_t key_id, repo_id, until_s;
};
bool xet_token_read(struct str token, struct xet_token *out);

#endif
