/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is read as a tier has limits that can be kept to: rates with room for their arithmetic, soft not above hard. */
#include "quota/doc.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void can_be_kept_to(const struct limit *limit, enum measure measure)
{
    if (!limit->given)
        return;
    if (measure != MEASURE_RATE) {
        must(limit->soft >= 0 && limit->soft <= limit->hard);
        must(measure != MEASURE_SPAN || limit->per_s > 0);
        return;
    }
    must(limit->rate.each_ns > 0 && limit->rate.burst_ns >= limit->rate.each_ns);
    must(limit->rate.burst_ns <= INT64_C(366) * 86400 * 1000000000);
    struct rate_table *table = rate_table_new(1);
    struct rate_ask ask = {1, limit->rate};
    struct rate_answer answer = rate_take(table, &ask, 1, RATE_WHOLE, rate_now_ns());
    must(answer.allowed && answer.remaining >= 0 && answer.wait_ns >= 0 && answer.full_ns >= 0);
    rate_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_json json_t *json = NULL;
    struct tier_doc doc;
    struct error err = {0};
    if (tier_doc_read((struct str){(const char *)data, len}, &json, &doc, &err) != OK) {
        must(err.message[0] && !json);
        return 0;
    }
    must(doc.slug.len > 0 && doc.slug.len == strlen(doc.limits.slug) && doc.order >= 0);
    for (enum scope scope = 0; scope < SCOPES; scope++)
        for (enum unit unit = 1; unit < UNITS; unit++)
            can_be_kept_to(&doc.limits.of[scope][unit], unit_specs[unit].measure);
    return 0;
}
