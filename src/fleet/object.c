/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fleet/object.h"
#include "base/text.h"

enum status object_id(struct request *rq, const struct proto *message, uint8_t out[SHA256_SIZE], struct error *err)
{
    struct proto_field field;
    struct str hex = {0};
    bool found;
    TRY(proto_find(message, 3, &field, &found, err));
    if (found)
        TRY(proto_text(message, &field, 2 * SHA256_SIZE, rq->arena, &hex, err));
    return hex_decode(hex, out, SHA256_SIZE) ? OK : fail(err, INVALID, NULL, "An object is named by 64 hex digits.");
}

enum status object_read(struct str bytes, int64_t size, struct object_head *out, struct error *err)
{
    const char *zero = memchr(bytes.data, 0, bytes.len);
    int64_t length;
    if (!zero)
        return fail(err, INVALID, NULL, "An object has no head, or one that is too long.");
    struct str rest = {bytes.data, (size_t)(zero - bytes.data)};
    out->head = rest.len + 1;
    if (!str_cut(&rest, ' ', &out->type) || !str_given(rest) || !str_cut(&rest, ' ', &out->children) ||
        !str_to_i64(rest, &length) || length != size - (int64_t)out->head)
        return fail(err, INVALID, NULL, "The head of an object does not fit it.");
    return OK;
}
