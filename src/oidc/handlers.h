/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_HANDLERS_H
#define CAIRN_OIDC_HANDLERS_H

#include "router/request.h"
#include <openssl/evp.h>
#include <pthread.h>

/* What the files of this folder share; nobody else includes it. */

enum {
    EVENT_APP_ADD,
    EVENT_APP_REMOVE,
    EVENT_DEVICE,
    EVENT_GRANT,
    EVENT_LINK,
    EVENT_UNLINK,
    EVENT_PUBLISHER_ADD,
    EVENT_PUBLISHER_REMOVE
};
extern const struct event_kind oidc_events[];

/* Who signs ID tokens elsewhere, and what it said of itself. */
struct provider {
    struct str issuer;
    bool is_foreign; /* some owner of a repo has named it, not the operator: it is asked at public addresses only */
    pthread_mutex_t lock; /* of what follows */
    struct buf discovery, keys;
    int asking;                    /* requests to it under way */
    int64_t failed_us;             /* when it did not answer; 0: the last time it did */
    int64_t discovery_us, keys_us; /* when it was fetched; 0: not yet */
};

#define ISSUER_MOST 200
#define ISSUERS_MOST 32
struct issuer {
    struct provider provider;
    char name[ISSUER_MOST + 1]; /* that provider.issuer looks at */
    int users;                  /* threads that look at it now */
    int64_t used_us;
};

struct oidc {
    EVP_PKEY *key; /* ES256: signs ID tokens */
    char kid[44];  /* its thumbprint (RFC 7638) */
    struct arena arena;
    struct provider outside;             /* issuer absent: there is none */
    struct str client_id, client_secret; /* there */
    bool sign_up;
    const char *ci_issuers; /* that the operator has named, with commas between them; NULL: none */
    pthread_mutex_t issuers_lock;
    struct issuer issuers[ISSUERS_MOST]; /* of CI jobs, as far as somebody has come with a token of theirs */
};

/* device.c */ route_handler device_code_post, device_get, device_post;
/* form.c */ route_handler token_post;
/* apps.c */ route_handler apps_get, app_post, app_delete;
/* authorize.c */ route_handler configuration_get, keys_get_public, authorize_get, authorize_post;
/* grant.c */ route_handler userinfo_bearer, userinfo_get;
/* publishers.c */ route_handler publishers_get, publisher_post, publisher_delete;
/* outside.c */ route_handler outside_get, outside_post, outside_callback, outside_delete;

/* form.c */

/* A value of the form in the body, or of the members of a JSON object; absent when it is not there, or there twice. */
struct oauth_form {
    struct str body;
    json_t *json; /* NULL: the body is a form */
};
enum status oauth_form_read(struct request *rq, struct oauth_form *out, struct error *err);
struct str oauth_form_get(struct request *rq, const struct oauth_form *form, const char *name);
/* {"error", "error_description"} with 400, as RFC 6749 section 5.2 has it. */
void oauth_refuse(struct request *rq, const char *code, const char *why);

/* device.c, grant.c and ci.c: the answers to the three kinds of grant. */
enum status device_token(struct request *rq, const struct oauth_form *form, struct error *err);
enum status code_token(struct request *rq, const struct oauth_form *form, struct error *err);
enum status ci_token(struct request *rq, const struct oauth_form *form, struct error *err);

/* 303 to the page for signing in, which leads back here. */
void ask_to_sign_in(struct request *rq, const char *path, struct str query);

/* 32 random digits of base 62, of which the hub keeps only the SHA-256. */
struct str oauth_secret(struct arena *arena, uint8_t digest[SHA256_SIZE]);

#endif
