/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run is opened with: what is accepted is the same when it is written and read again, and gives a rule for any number of updates
 * that can be. */
#include "federate/internal.h"
#include <assert.h>

const struct module *const modules[] = {NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json json_t *body = NULL, *again = NULL;
    auto_buf struct buf text = {0}, twice = {0};
    struct settings settings, other;
    struct error err = {0};
    if (json_read((struct str){(const char *)data, size}, BODY_LIMIT, &body, &err) != OK || !json_is_object(body))
        return 0;
    if (settings_read(body, &settings, &err) != OK) {
        assert(err.status == INVALID && err.message[0]);
        return 0;
    }
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    settings_write(&settings, &w);
    jw_end(&w);
    assert(json_read(buf_view(&text), BODY_LIMIT, &again, &err) == OK);
    assert(settings_read(again, &other, &err) == OK);
    w = jw_to(&twice);
    jw_object(&w);
    settings_write(&other, &w);
    jw_end(&w);
    assert(str_eq(buf_view(&text), buf_view(&twice)));
    for (size_t count = 1; count < 50; count++)
        for (size_t i = 0; i == 0 || i < settings.candidate_count; i++)
            settings_how_of(&settings, i, count);
    return 0;
}
