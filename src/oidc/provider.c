/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oidc/provider.h"
#include "base/text.h"
#include "base/time.h"
#include "fetch/fetch.h"
#include "oidc/jose.h"
#include <openssl/crypto.h>
#include <stdatomic.h>

#define DOCUMENT_MOST (256 * 1024)
#define TIMEOUT_MS 10000
#define KEEP_US (3600 * SECOND_US)
#define AGAIN_US (60 * SECOND_US) /* keys that lack one are fetched anew, but no more often than that */
#define ASKING_MOST 8
#define FOREIGN_MOST 4 /* of those that the operator has not named there can be many: */
#define FOREIGN_ALL 8  /* of all of them together */
#define REST_US (5 * SECOND_US)
#define SKEW_SECONDS 60
#define TOKEN_AGE_SECONDS 600
#define SUB_MOST 255 /* OpenID Connect Core section 2 */

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, UNAUTHENTICATED, "TokenRefused", "The token of the provider was refused: %s", why);
}

/* Its documents. */

static struct str origin_of(struct str url)
{
    struct str rest = url, piece;
    for (int slashes = 0; slashes < 3 && str_given(rest); slashes++)
        str_cut(&rest, '/', &piece);
    return str_given(rest) ? str_slice(url, 0, (size_t)(rest.data - url.data) - 1) : url;
}

bool provider_is_local(struct str url)
{
    static const struct str starts[] = {{"http://127.0.0.1:", 17}, {"http://localhost:", 17}};
    if (!str_starts(url, starts[0]) && !str_starts(url, starts[1]))
        return false;
    size_t at = starts[0].len;
    while (at < url.len && url.data[at] >= '0' && url.data[at] <= '9')
        at++;
    return at > starts[0].len && (at == url.len || url.data[at] == '/'); /* not "http://localhost:1@elsewhere" */
}

/* "https://a.example" is the start of "https://a.example.evil" and "https://a.example@evil", but not with its slash. */
static bool is_at(struct str url, struct str origin)
{
    return str_starts(url, origin) && url.len > origin.len && url.data[origin.len] == '/';
}

bool provider_may_ask(struct str issuer, struct str url)
{
    for (size_t i = 0; i < url.len; i++)
        if (url.data[i] <= ' ' || url.data[i] >= 0x7f)
            return false;
    return (str_starts(url, STR("https://")) && url.len > 8) || is_at(url, origin_of(issuer)) ||
           (provider_is_local(issuer) && provider_is_local(url));
}

/* Strangers can make the hub ask: few at once, and after a failure nobody for a moment, or one slow provider would take
 * all threads of the hub. */
static atomic_int foreign_asking;

static bool ask_begin(struct provider *provider)
{
    bool room = !provider->is_foreign || atomic_fetch_add(&foreign_asking, 1) < FOREIGN_ALL;
    int most = provider->is_foreign ? FOREIGN_MOST : ASKING_MOST;
    pthread_mutex_lock(&provider->lock);
    bool go =
        room && provider->asking < most && (!provider->failed_us || monotonic_us() - provider->failed_us > REST_US);
    provider->asking += go;
    pthread_mutex_unlock(&provider->lock);
    if (!go && provider->is_foreign)
        atomic_fetch_sub(&foreign_asking, 1);
    return go;
}

static void ask_end(struct provider *provider, bool reached)
{
    pthread_mutex_lock(&provider->lock);
    provider->asking--;
    provider->failed_us = reached ? 0 : monotonic_us();
    pthread_mutex_unlock(&provider->lock);
    if (provider->is_foreign)
        atomic_fetch_sub(&foreign_asking, 1);
}

static enum status ask(struct arena *arena, struct provider *provider, const struct fetch *what,
                       struct fetch_answer *answer, struct error *err)
{
    if (!provider_may_ask(provider->issuer, what->url))
        return fail(err, INVALID, NULL,
                    "The provider's documents lead to an address without https, which is not asked");
    struct fetch guarded = *what;
    guarded.public_only = provider->is_foreign;
    if (!ask_begin(provider))
        return fail(err, UNAVAILABLE, NULL, "The provider cannot be asked just now: try again in a moment");
    enum status status = fetch(arena, &guarded, answer, err);
    ask_end(provider, status == OK);
    if (status != OK)
        return fail(err, UNAVAILABLE, NULL, "The provider %.*s does not answer: try again in a moment",
                    STR_ARG(provider->issuer));
    return OK;
}

static enum status need_200(const struct fetch_answer *answer, struct str url, struct error *err)
{
    return answer->status == 200
               ? OK
               : fail(err, UNAVAILABLE, NULL, "The provider answers %d at %.*s", answer->status, STR_ARG(url));
}

/* A document as it was kept, if it is younger than most_us; else as it is now. */
static enum status document(struct provider *provider, struct arena *arena, struct buf *kept, int64_t *kept_us,
                            int64_t most_us, struct str url, struct str *out, struct error *err)
{
    const struct fetch what = {.url = url, .limit = DOCUMENT_MOST, .timeout_ms = TIMEOUT_MS};
    struct fetch_answer answer;
    pthread_mutex_lock(&provider->lock);
    bool fresh = *kept_us && monotonic_us() - *kept_us < most_us;
    if (fresh)
        *out = arena_copy(arena, buf_view(kept));
    pthread_mutex_unlock(&provider->lock);
    if (fresh)
        return OK;
    TRY(ask(arena, provider, &what, &answer, err));
    TRY(need_200(&answer, url, err));
    *out = answer.body;
    pthread_mutex_lock(&provider->lock);
    kept->len = 0;
    buf_str(kept, *out);
    *kept_us = monotonic_us();
    pthread_mutex_unlock(&provider->lock);
    return OK;
}

static enum status read_configuration(struct provider *provider, struct arena *arena, json_t **out, struct error *err)
{
    struct str text, base = provider->issuer;
    if (str_ends(base, STR("/")))
        base.len--;
    TRY(document(provider, arena, &provider->discovery, &provider->discovery_us, KEEP_US,
                 arena_printf(arena, "%.*s/.well-known/openid-configuration", STR_ARG(base)), &text, err));
    if (json_read(text, DOCUMENT_MOST, out, NULL) == OK && str_eq(json_get_str(*out, "issuer"), provider->issuer))
        return OK;
    return fail(err, INVALID, NULL, "The provider's configuration is not that of %.*s", STR_ARG(provider->issuer));
}

static enum status endpoint(struct provider *provider, struct arena *arena, const char *name, struct str *out,
                            struct error *err)
{
    auto_json json_t *configuration = NULL;
    TRY(read_configuration(provider, arena, &configuration, err));
    *out = arena_copy(arena, json_get_str(configuration, name));
    if (!out->len)
        return fail(err, INVALID, NULL, "The provider's configuration has no %s", name);
    return OK;
}

enum status provider_authorization(struct provider *provider, struct arena *arena, struct str *url, struct error *err)
{
    TRY(endpoint(provider, arena, "authorization_endpoint", url, err));
    if (provider_may_ask(provider->issuer, *url))
        return OK;
    return fail(err, INVALID, NULL, "The provider's configuration sends people to an address without https");
}

/* The token. */

static bool is_for(const json_t *aud, const json_t *claims, struct str client_id)
{
    size_t i;
    json_t *item;
    bool found = false;
    if (json_is_string(aud))
        found = str_eq(json_get_str(claims, "aud"), client_id);
    json_array_foreach((json_t *)aud, i, item)
    {
        found = found || str_eq((struct str){json_string_value(item), json_string_length(item)}, client_id);
    }
    bool named = json_object_get(claims, "azp") != NULL;
    if (named || json_array_size(aud) > 1)
        found = found && str_eq(json_get_str(claims, "azp"), client_id);
    return found;
}

enum status provider_check_claims(struct str issuer, struct str client_id, struct str nonce, const json_t *claims,
                                  struct error *err)
{
    int64_t now = now_us() / SECOND_US, exp = json_get_int(claims, "exp", -1), iat = json_get_int(claims, "iat", -1);
    struct str sub = json_get_str(claims, "sub"), said = json_get_str(claims, "nonce");
    bool plain = sub.len >= 1 && sub.len <= SUB_MOST;
    for (size_t i = 0; plain && i < sub.len; i++)
        plain = sub.data[i] >= ' ' && sub.data[i] < 0x7f;
    if (!str_eq(json_get_str(claims, "iss"), issuer))
        return refuse(err, "it is by another issuer");
    if (!is_for(json_object_get(claims, "aud"), claims, client_id))
        return refuse(err, "it is for somebody else");
    if (exp < now - SKEW_SECONDS)
        return refuse(err, "it has ended");
    if (iat > now + SKEW_SECONDS || iat < now - TOKEN_AGE_SECONDS)
        return refuse(err, "it was not made just now; do both clocks go right?");
    if (said.len != nonce.len || !equal_secret(said.data, nonce.data, nonce.len))
        return refuse(err, "it was not made for this browser");
    return plain ? OK : refuse(err, "it does not say for whom it is");
}

enum status provider_verify(struct provider *provider, struct arena *arena, struct str token, json_t **claims,
                            struct error *err)
{
    struct str url, keys;
    TRY(endpoint(provider, arena, "jwks_uri", &url, err));
    TRY(document(provider, arena, &provider->keys, &provider->keys_us, KEEP_US, url, &keys, err));
    enum status status = jose_verify(arena, token, keys, claims, err);
    if (status != NOT_FOUND)
        return status;
    TRY(document(provider, arena, &provider->keys, &provider->keys_us, AGAIN_US, url, &keys, err));
    status = jose_verify(arena, token, keys, claims, err);
    return status == NOT_FOUND ? refuse(err, "it is signed with a key that the provider does not have") : status;
}

static void put(struct buf *form, struct arena *arena, const char *name, struct str value)
{
    if (str_given(value))
        buf_printf(form, "%s%s=%.*s", form->len ? "&" : "", name, STR_ARG(percent_encode(arena, value, false)));
}

/* How the hub proves to the provider who it is. */
enum way { BY_BASIC, BY_POST, BY_NOTHING, WAYS };

/* By what the provider says that it takes, the better first. Where it says nothing, that is client_secret_basic (OpenID Connect
 * Discovery section 3). Of a public client there is nothing to prove. */
static enum status find_ways(struct oidc *oidc, struct arena *arena, enum way out[WAYS], size_t *count,
                             struct error *err)
{
    static const char *const names[] = {[BY_BASIC] = "client_secret_basic", [BY_POST] = "client_secret_post"};
    auto_json json_t *configuration = NULL;
    TRY(read_configuration(&oidc->outside, arena, &configuration, err));
    const json_t *taken = json_object_get(configuration, "token_endpoint_auth_methods_supported");
    *count = 0;
    for (enum way way = BY_BASIC; way <= BY_POST && str_given(oidc->client_secret); way++) {
        bool named = !taken && way == BY_BASIC;
        for (size_t i = 0; i < json_array_size(taken); i++)
            named = named || str_eq(str_of(json_string_value(json_array_get(taken, i))), str_of(names[way]));
        if (named)
            out[(*count)++] = way;
    }
    if (!str_given(oidc->client_secret))
        out[(*count)++] = BY_NOTHING;
    return *count
               ? OK
               : fail(
                     err, INVALID, NULL,
                     "The provider takes neither client_secret_basic nor client_secret_post, and this hub has no other "
                     "way to prove who it is");
}

static enum status ask_token(struct oidc *oidc, struct arena *arena, const struct provider_code *what, struct str url,
                             enum way way, struct fetch_answer *out, struct error *err)
{
    auto_buf struct buf form = {0};
    put(&form, arena, "grant_type", STR("authorization_code"));
    put(&form, arena, "code", what->code);
    put(&form, arena, "redirect_uri", what->redirect_uri);
    put(&form, arena, "code_verifier", what->verifier);
    put(&form, arena, "client_id", oidc->client_id);
    if (way == BY_POST)
        put(&form, arena, "client_secret", oidc->client_secret);
    struct fetch asked = {.url = url,
                          .type = STR("application/x-www-form-urlencoded"),
                          .body = buf_view(&form),
                          .limit = DOCUMENT_MOST,
                          .timeout_ms = TIMEOUT_MS};
    if (way == BY_BASIC) /* both encoded as in a form (RFC 6749 section 2.3.1) */
        asked.basic = arena_printf(arena, "%.*s:%.*s", STR_ARG(percent_encode(arena, oidc->client_id, false)),
                                   STR_ARG(percent_encode(arena, oidc->client_secret, false)));
    enum status status = ask(arena, &oidc->outside, &asked, out, err);
    OPENSSL_cleanse(form.data, form.len);
    return status;
}

/* The document says what the provider takes from some client; from this one it may take one of them alone. It looks at the client
 * before it looks at the code, which is still good for another try. */
static bool is_wrong_way(const struct fetch_answer *answer)
{
    auto_json json_t *said = NULL;
    if (answer->status != 400 && answer->status != 401)
        return false;
    return json_read(answer->body, DOCUMENT_MOST, &said, NULL) == OK &&
           str_eq(json_get_str(said, "error"), STR("invalid_client"));
}

/* What the provider says against a code stays between it and us: it may quote the code. */
static enum status fetch_token(struct oidc *oidc, struct arena *arena, const struct provider_code *what,
                               struct str *out, struct error *err)
{
    auto_json json_t *said = NULL;
    struct fetch_answer answer;
    struct str url;
    enum way ways[WAYS];
    size_t count, i = 0;
    TRY(endpoint(&oidc->outside, arena, "token_endpoint", &url, err));
    TRY(find_ways(oidc, arena, ways, &count, err));
    do
        TRY(ask_token(oidc, arena, what, url, ways[i], &answer, err));
    while (is_wrong_way(&answer) && ++i < count);
    TRY(need_200(&answer, url, err));
    if (json_read(answer.body, DOCUMENT_MOST, &said, NULL) != OK || !json_get_str(said, "id_token").len)
        return refuse(err, "there is no ID token");
    *out = arena_copy(arena, json_get_str(said, "id_token"));
    return OK;
}

enum status provider_exchange(struct oidc *oidc, struct arena *arena, const struct provider_code *what, json_t **claims,
                              struct error *err)
{
    struct str token;
    TRY(fetch_token(oidc, arena, what, &token, err));
    TRY(provider_verify(&oidc->outside, arena, token, claims, err));
    enum status status = provider_check_claims(oidc->outside.issuer, oidc->client_id, what->nonce, *claims, err);
    if (status != OK)
        json_release(claims);
    return status;
}
