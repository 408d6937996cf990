/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tokens of CI jobs have to say. Pure: claims in, yes or no out. */
#include "base/time.h"
#include "oidc/ci.h"

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, UNAUTHENTICATED, "TokenRefused", "the token of a CI job was refused: %s", why);
}

bool ci_claims_match(const json_t *wanted, const json_t *claims)
{
    const char *name;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)wanted, name, value)
    {
        if (!json_is_string(value) || !json_equal(value, json_object_get(claims, name)))
            return false;
        count++;
    }
    return count > 0;
}

/* A token that is for others, too, is one that they could bring here. */
static bool is_for(const json_t *aud, struct str audience)
{
    const json_t *only = json_array_size(aud) == 1 ? json_array_get(aud, 0) : aud;
    return json_is_string(only) && str_eq((struct str){json_string_value(only), json_string_length(only)}, audience);
}

enum status ci_check_claims(struct str issuer, struct str audience, const json_t *claims, struct error *err)
{
    int64_t now = now_us() / SECOND_US, exp = json_get_int(claims, "exp", -1), iat = json_get_int(claims, "iat", -1);
    int64_t nbf = json_get_int(claims, "nbf", 0);
    if (!str_eq(json_get_str(claims, "iss"), issuer))
        return refuse(err, "it is by another issuer");
    if (!is_for(json_object_get(claims, "aud"), audience))
        return refuse(err, "it is not for this hub alone");
    if (exp < now - CI_SKEW_SECONDS)
        return refuse(err, "it has ended, or never does");
    if (iat < 0 || iat > now + CI_SKEW_SECONDS || nbf > now + CI_SKEW_SECONDS)
        return refuse(err, "it holds from later on only; do both clocks go right?");
    if (exp > now + 86400)
        return refuse(err, "it is good for longer than a day");
    return OK;
}
