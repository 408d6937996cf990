/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as a device's answer: the first says where the client data ends (in units of four bytes), the rest is an
 * attestation object, and authenticator data. A key that is taken can be read again; no assertion of it is ever right
 * with a signature of zeros.
 */
#include "webauthn/webauthn.h"
#include <assert.h>

static const struct webauthn_expected expected = {{"AAAA", 4}, {"http://localhost", 16}, {"localhost", 9}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {data ? (const char *)data : "", size};
    size_t cut = size ? (size_t)data[0] * 4 : 0;
    struct str client_data = str_slice(str_from(all, 1), 0, cut), rest = str_from(str_from(all, 1), cut);
    struct webauthn_credential credential;
    struct cose_key key;
    size_t used;
    uint32_t count;
    char challenge[64];
    if (cose_key_read(rest, &key, &used, NULL) == OK) {
        assert(used <= rest.len && key.x.data >= rest.data && key.x.data + key.x.len <= rest.data + used);
        assert(!cose_verify(&key, client_data, STR("\0\0\0\0\0\0\0\0")));
    }
    webauthn_challenge(client_data, challenge, sizeof challenge);
    if (webauthn_register(&expected, client_data, rest, &credential, NULL) != OK)
        return 0;
    assert(credential.id.len >= 1 && credential.id.len <= WEBAUTHN_CREDENTIAL_MOST);
    assert(cose_key_read(credential.public_key, &key, &used, NULL) == OK && used == credential.public_key.len);
    const struct webauthn_assertion assertion = {client_data, rest, STR("\0\0\0\0")};
    assert(webauthn_assert(&expected, &assertion, &credential, &count, NULL) != OK);
    return 0;
}
