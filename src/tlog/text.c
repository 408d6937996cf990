/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/text.h"

#include <assert.h>
#include <openssl/evp.h>

bool tlog_line(struct str *rest, struct str *line)
{
    struct str tried = *rest;
    if (!str_cut(&tried, '\n', line) || !str_given(tried))
        return false;
    *rest = tried;
    return true;
}

bool tlog_decimal(struct str text, uint64_t *out)
{
    int64_t number;
    if ((text.len > 1 && text.data[0] == '0') || !str_to_i64(text, &number))
        return false;
    *out = (uint64_t)number;
    return true;
}

void tlog_base64(struct buf *out, const void *data, size_t len)
{
    assert(len <= INT32_MAX / 2);
    buf_reserve(out, (len + 2) / 3 * 4 + 1); /* OpenSSL ends its text with a NUL */
    out->len += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->len, data, (int)len);
}
