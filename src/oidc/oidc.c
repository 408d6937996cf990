/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oidc/oidc.h"
#include "base/file.h"
#include "oidc/handlers.h"
#include "oidc/jose.h"
#include "oidc/provider.h"
#include "oms/key.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>

/* The key. */

static enum status read_key(const char *path, EVP_PKEY **key, struct error *err)
{
    auto_buf struct buf text = {0};
    struct error why = {0};
    TRY(file_read_all(path, OMS_PEM_MOST, &text, err));
    enum status status = oms_key_read_private(buf_view(&text), key, &why);
    OPENSSL_cleanse(text.data, text.len);
    if (status == OK && EVP_PKEY_get_bits(*key) == 256 && oms_key_is_ecdsa(*key))
        return OK;
    return fail(err, CORRUPT, NULL,
                "%s does not hold the hub's key for ID tokens: restore it, or remove it to make a new one. %s", path,
                why.message);
}

static enum status make_key(const char *path, EVP_PKEY **key, struct error *err)
{
    auto_buf struct buf text = {0};
    *key = EVP_EC_gen("P-256");
    if (!*key)
        return fail(err, INTERNAL, NULL, "OpenSSL cannot make a key on P-256.");
    oms_key_write_private(*key, &text);
    enum status status = file_write_durable(path, buf_view(&text), 0600, err);
    OPENSSL_cleanse(text.data, text.len);
    return status;
}

static enum status open_key(const char *dir, struct oidc *oidc, struct error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/oidc.pem", dir) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    enum status status = read_key(path, &oidc->key, err);
    if (status == NOT_FOUND)
        status = make_key(path, &oidc->key, err);
    TRY(status);
    struct str kid = jose_thumbprint(&oidc->arena, oidc->key);
    memcpy(oidc->kid, kid.data, kid.len); /* 43 digits for 32 bytes */
    return OK;
}

/* The outside provider. */

static enum status read_secret(const char *path, struct oidc *oidc, struct error *err)
{
    auto_buf struct buf text = {0};
    TRY(file_read_all(path, 4096, &text, err));
    oidc->client_secret = arena_copy(&oidc->arena, str_trim(buf_view(&text)));
    OPENSSL_cleanse(text.data, text.len);
    return oidc->client_secret.len ? OK : fail(err, INVALID, NULL, "--oidc-client-secret-file %s is empty", path);
}

static enum status set_outside(const struct oidc_outside *outside, struct oidc *oidc, struct hub *hub,
                               struct error *err)
{
    struct str issuer = str_of(outside->issuer), rest = issuer, piece;
    if (!outside->issuer)
        return OK;
    if (!str_starts(issuer, STR("https://")) && !provider_is_local(issuer))
        return fail(err, INVALID, NULL, "--oidc-issuer is an address that begins with https://");
    if (!outside->client_id)
        return fail(err, INVALID, NULL, "--oidc-issuer needs --oidc-client-id: what the provider calls this hub");
    if (outside->secret_file)
        TRY(read_secret(outside->secret_file, oidc, err));
    oidc->outside.issuer = issuer;
    oidc->client_id = str_of(outside->client_id);
    oidc->sign_up = outside->sign_up;
    for (int slashes = 0; slashes < 3 && str_given(rest); slashes++)
        str_cut(&rest, '/', &piece);
    hub->outside_name = piece;
    return OK;
}

enum status oidc_open(const char *dir, const struct oidc_outside *outside, struct hub *hub, struct error *err)
{
    struct oidc *oidc = calloc(1, sizeof *oidc);
    if (!oidc)
        abort();
    hub->oidc = oidc;
    pthread_mutex_init(&oidc->outside.lock, NULL);
    pthread_mutex_init(&oidc->issuers_lock, NULL);
    for (size_t i = 0; i < ISSUERS_MOST; i++)
        pthread_mutex_init(&oidc->issuers[i].provider.lock, NULL);
    oidc->ci_issuers = outside->ci_issuers;
    TRY(open_key(dir, oidc, err));
    return set_outside(outside, oidc, hub, err);
}

static void provider_forget(struct provider *provider)
{
    buf_free(&provider->discovery);
    buf_free(&provider->keys);
    pthread_mutex_destroy(&provider->lock);
}

void oidc_close(struct oidc *oidc)
{
    if (!oidc)
        return;
    EVP_PKEY_free(oidc->key);
    if (oidc->client_secret.len)
        OPENSSL_cleanse((char *)oidc->client_secret.data, oidc->client_secret.len);
    arena_free(&oidc->arena);
    provider_forget(&oidc->outside);
    for (size_t i = 0; i < ISSUERS_MOST; i++)
        provider_forget(&oidc->issuers[i].provider);
    pthread_mutex_destroy(&oidc->issuers_lock);
    free(oidc);
}
