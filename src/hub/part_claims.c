/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/part_claims.h"
#include "base/json.h"

static enum status read_claim(struct arena *arena, const json_t *part, struct part_claim *out, struct error *err)
{
    struct str etag = json_get_str(part, "etag");
    out->number = json_get_int(part, "partNumber", -1);
    if (out->number < 1 || out->number > PART_CLAIMS_LIMIT || etag.len == 0)
        return fail(err, INVALID, NULL, "Every part needs its \"partNumber\", from 1 to %d, and its \"etag\"",
                    PART_CLAIMS_LIMIT);
    out->etag = arena_copy(arena, etag);
    return OK;
}

enum status part_claims_parse(struct arena *arena, struct str body, struct part_claim **out, size_t *count,
                              struct error *err)
{
    auto_json json_t *json = NULL;
    TRY(json_read(body, body.len, &json, err));
    const json_t *parts = json_object_get(json, "parts");
    *count = json_array_size(parts);
    if (!json_is_array(parts) || *count > PART_CLAIMS_LIMIT)
        return fail(err, INVALID, NULL, "\"parts\" must be a list of at most %d parts", PART_CLAIMS_LIMIT);
    *out = arena_array(arena, *count + 1, sizeof **out);
    for (size_t i = 0; i < *count; i++)
        TRY(read_claim(arena, json_array_get(parts, i), &(*out)[i], err));
    return OK;
}
