/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is a header, a NUL, and a body. Nothing but a signature with the secret is believed, and such a one is. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/text.h"
#include "tier/signature.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SECRET STR("0123456789abcdef")
#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str body = {(const char *)data, len}, header;
    uint8_t digest[SHA256_SIZE];
    if (!str_cut(&body, '\0', &header) || !str_given(body))
        return 0;
    /* 256 bits of luck aside. */
    if (signature_matches(header, body, SECRET, NOW))
        abort();
    auto_buf struct buf text = {0};
    buf_str(&text, STR("1700000000."));
    buf_str(&text, body);
    hmac_sha256(SECRET, buf_view(&text), digest);
    struct str good = hex_encode(&arena, digest, sizeof digest);
    auto_buf struct buf signed_header = {0};
    buf_str(&signed_header, STR("v1="));
    buf_str(&signed_header, good);
    buf_str(&signed_header, STR(",t=1700000000"));
    if (!signature_matches(buf_view(&signed_header), body, SECRET, NOW))
        abort();
    return 0;
}
