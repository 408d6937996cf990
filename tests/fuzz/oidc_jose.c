/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as what a provider says: a token, a newline, and its keys. What verifies is a JSON object, and no longer
 * does with a letter of what is signed changed; its claims can be looked at.
 */
#include "oidc/ci.h"
#include "oidc/jose.h"
#include "oidc/provider.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *payload = NULL;
    auto_json json_t *said = NULL;
    json_t *other = NULL;
    struct str keys = {data ? (const char *)data : "", size}, token = {0};
    str_cut(&keys, '\n', &token);
    if (str_given(token) && jose_peek(&arena, token, &said, NULL) == OK)
        assert(json_is_object(said));
    if (!str_given(keys) || jose_verify(&arena, token, keys, &payload, NULL) != OK)
        return 0;
    assert(json_is_object(payload));
    provider_check_claims(STR("https://issuer.example"), STR("cairn-hub"), STR("n"), payload, NULL);
    ci_check_claims(STR("https://issuer.example"), STR("cairn-hub"), payload, NULL);
    assert(json_equal(said, payload));
    char *changed = arena_cstr(&arena, token), *at = strchr(changed, '.') + 1;
    *at = *at == 'A' ? 'B' : 'A';
    assert(jose_verify(&arena, (struct str){changed, token.len}, keys, &other, NULL) != OK);
    return 0;
}
