/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An envelope that is read is written and read again as the same, and what it holds is read as a statement or refused.
 */
#include "oms/dsse.h"
#include "oms/intoto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct error err;
    struct dsse_envelope first, second;
    struct intoto_statement statement;
    if (dsse_read(&arena, (struct str){(const char *)data, len}, &first, &err) != OK)
        return 0;
    struct json_writer json = jw_to(&text);
    dsse_write(&arena, &first, &json);
    must(dsse_read(&arena, buf_view(&text), &second, &err) == OK);
    must(str_eq(first.type, second.type) && str_eq(first.payload, second.payload) && first.count == second.count);
    for (size_t i = 0; i < first.count; i++)
        must(str_eq(first.signatures[i].sig, second.signatures[i].sig));
    if (intoto_read(first.payload, &statement, &err) == OK) {
        intoto_is_about(&statement, "dirHash1", STR("00"));
        json_decref(statement.root);
    }
    return 0;
}
