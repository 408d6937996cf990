/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the addresses of OAuth share: how they are asked, how they refuse, and which grants there are. */
#include "base/text.h"
#include "oidc/handlers.h"

#define FORM_LIMIT (16 * 1024)

enum status oauth_form_read(struct request *rq, struct oauth_form *out, struct error *err)
{
    struct str rest = http_header(rq->http, "content-type"), type = {0};
    *out = (struct oauth_form){0};
    str_cut(&rest, ';', &type);
    if (str_eq_nocase(str_trim(type), STR("application/json")))
        return request_json(rq, FORM_LIMIT, &out->json, err);
    return request_body(rq, FORM_LIMIT, &out->body, err);
}

struct str oauth_form_get(struct request *rq, const struct oauth_form *form, const char *name)
{
    struct str rest = form->body, key, value, found = {0};
    if (form->json)
        return json_get_str(form->json, name);
    while (form_next(rq->arena, &rest, &key, &value))
        if (str_eq(key, str_of(name))) {
            if (str_given(found))
                return (struct str){0};
            found = value;
        }
    return found;
}

void oauth_refuse(struct request *rq, const char *code, const char *why)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    bool client = strcmp(code, "invalid_client") == 0;
    jw_object(&w);
    jw_key_str(&w, "error", str_of(code));
    jw_key_str(&w, "error_description", str_of(why));
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    if (client)
        reply_header(rq->http, "WWW-Authenticate", "Basic realm=\"Cairn\"");
    reply_buf(rq->http, client ? 401 : 400, STR("application/json; charset=utf-8"), &body);
}

struct str oauth_secret(struct arena *arena, uint8_t digest[SHA256_SIZE])
{
    char random[24];
    random_bytes(random, sizeof random);
    struct str secret = base64url_encode(arena, (struct str){random, sizeof random});
    sha256(secret, digest);
    return secret;
}

void ask_to_sign_in(struct request *rq, const char *path, struct str query)
{
    struct str next = arena_printf(rq->arena, "%s%s%.*s", path, str_given(query) ? "?" : "", STR_ARG(query));
    reply_header(rq->http, "Location", "%.*s/signin?next=%.*s", STR_ARG(request_base_url(rq)),
                 STR_ARG(percent_encode(rq->arena, next, false)));
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_bytes(rq->http, 303, STR("text/plain"), STR(""));
}

/* POST /oauth/token */
enum status token_post(struct request *rq, struct error *err)
{
    struct oauth_form form;
    TRY(oauth_form_read(rq, &form, err));
    struct str grant = oauth_form_get(rq, &form, "grant_type");
    if (str_eq(grant, STR("urn:ietf:params:oauth:grant-type:device_code")))
        return device_token(rq, &form, err);
    if (str_eq(grant, STR("authorization_code")))
        return code_token(rq, &form, err);
    if (str_eq(grant, STR("urn:ietf:params:oauth:grant-type:token-exchange")))
        return ci_token(rq, &form, err);
    oauth_refuse(rq, "unsupported_grant_type", "The grants are authorization_code, device_code and token-exchange");
    return OK;
}
