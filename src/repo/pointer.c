/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "repo/tree.h"

/* The longest: 19 digits of size. A blob that is longer need not be looked at. */
#define POINTER_LIMIT 150

static bool take(struct str *rest, struct str expected)
{
    if (!str_starts(*rest, expected))
        return false;
    *rest = str_from(*rest, expected.len);
    return true;
}

/* Lower case only: hex_decode() takes both cases, but a pointer with capitals would have another blob id. */
static bool take_sha256(struct str *rest, uint8_t sha256[SHA256_SIZE])
{
    struct str hex = str_slice(*rest, 0, 2 * SHA256_SIZE);
    for (size_t i = 0; i < hex.len; i++)
        if (hex.data[i] >= 'A' && hex.data[i] <= 'F')
            return false;
    if (!hex_decode(hex, sha256, SHA256_SIZE))
        return false;
    *rest = str_from(*rest, 2 * SHA256_SIZE);
    return true;
}

bool pointer_parse(struct str blob, uint8_t sha256[SHA256_SIZE], int64_t *size)
{
    struct str digits;
    if (blob.len > POINTER_LIMIT || !take(&blob, STR("version https://git-lfs.github.com/spec/v1\noid sha256:")) ||
        !take_sha256(&blob, sha256) || !take(&blob, STR("\nsize ")) || !str_cut(&blob, '\n', &digits))
        return false;
    /* The newline was there if something, even nothing, is left behind it. */
    bool leading_zero = digits.len > 1 && digits.data[0] == '0';
    return str_given(blob) && blob.len == 0 && !leading_zero && str_to_i64(digits, size);
}

struct str pointer_format(struct arena *arena, const uint8_t sha256[SHA256_SIZE], int64_t size)
{
    return arena_printf(arena, "version https://git-lfs.github.com/spec/v1\noid sha256:%.*s\nsize %lld\n",
                        STR_ARG(hex_encode(arena, sha256, SHA256_SIZE)), (long long)size);
}
