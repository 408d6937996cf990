/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/signature.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"

#define TOLERANCE_S 300
#define PARTS_MOST 16

bool signature_matches(struct str header, struct str body, struct str secret, int64_t now_s)
{
    auto_buf struct buf text = {0};
    struct str rest = header, part, name, time = {0};
    uint8_t wanted[SHA256_SIZE], given[SHA256_SIZE];
    int64_t at;
    bool fits = false;
    for (int i = 0; i < PARTS_MOST && str_cut(&rest, ',', &part); i++)
        if (str_cut(&part, '=', &name) && str_eq(str_trim(name), STR("t")))
            time = str_trim(part);
    if (!str_given(time) || time.len > 15 || !str_to_i64(time, &at) || at < now_s - TOLERANCE_S ||
        at > now_s + TOLERANCE_S)
        return false;
    buf_str(&text, time);
    buf_byte(&text, '.');
    buf_str(&text, body);
    hmac_sha256(secret, buf_view(&text), wanted);
    rest = header;
    for (int i = 0; i < PARTS_MOST && str_cut(&rest, ',', &part); i++)
        if (str_cut(&part, '=', &name) && str_eq(str_trim(name), STR("v1")) &&
            hex_decode(str_trim(part), given, sizeof given))
            fits |= equal_secret(given, wanted, sizeof wanted);
    return fits;
}
