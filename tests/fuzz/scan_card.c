/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A README: whatever its metadata hold, they become JSON within the limits, or an error with words. */
#include "scan/card.h"
#include <assert.h>

static void check_tag(void *context, struct str tag)
{
    (void)context;
    assert(tag.len > 0 && tag.len <= 256 && str_is_utf8(tag));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"model", "dataset", "space"};
    auto_arena struct arena arena = {0};
    auto_json json_t *card = NULL, *again = NULL;
    auto_buf struct buf text = {0};
    struct str readme = {(const char *)data, size};
    struct error err = {0};
    struct card_report report;
    enum status status = card_read(readme, &card, &err);
    for (size_t i = 0; i < 3; i++) {
        card_validate(&arena, readme, str_of(kinds[i]), &report);
        assert(status == OK || report.errors.count == 1);
    }
    if (status != OK) {
        assert(!card && err.message[0] && str_is_utf8(str_of(err.message)));
        return 0;
    }
    assert(json_is_object(card));
    json_dump(card, &text);
    assert(json_read(buf_view(&text), SIZE_MAX, &again, NULL) == OK);
    for (size_t i = 0; i < 3; i++)
        card_tags(card, str_is_utf8(readme) ? readme : STR(""), str_of(kinds[i]), check_tag, NULL);
    return 0;
}
