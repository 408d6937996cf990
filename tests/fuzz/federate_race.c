/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a hub's record says of a race, as the other house reads it: what is accepted names a candidate, and is read again as it is written. */
#include "federate/internal.h"
#include <assert.h>

const struct module *const modules[] = {NULL};

static const char opened[] =
    "{\"mode\":\"two-houses\",\"rounds\":1,\"minParticipants\":12,\"rule\":\"race:mean,median,nnm+"
    "trimmed-mean\",\"house\":\"http://h\"}";

static void write_record(const struct closing *c, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    race_record(c, &w);
    jw_end(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *body = NULL, *record = NULL, *again = NULL;
    auto_buf struct buf text = {0}, twice = {0};
    struct closing c = {.arena = &arena};
    struct error err = {0};
    assert(json_read(str_of(opened), BODY_LIMIT, &body, &err) == OK);
    assert(settings_read(body, &c.run.settings, &err) == OK);
    if (json_read((struct str){(const char *)data, size}, 4 << 20, &record, &err) != OK)
        return 0;
    if (race_of_record(&c, record, &err) != OK) {
        assert((err.status == INVALID || err.status == FORBIDDEN) && err.message[0]);
        return 0;
    }
    assert(c.run.chosen >= 1 && c.run.chosen <= (int64_t)c.run.settings.candidate_count);
    write_record(&c, &text);
    assert(json_read(buf_view(&text), 4 << 20, &again, &err) == OK && race_of_record(&c, again, &err) == OK);
    write_record(&c, &twice);
    assert(str_eq(buf_view(&text), buf_view(&twice)));
    assert(json_get_bool(again, "judged", false) == json_get_bool(record, "judged", false));
    return 0;
}
