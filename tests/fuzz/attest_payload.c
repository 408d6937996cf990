/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a statement holds: the text of the predicate that is hashed is the predicate that is read, and versions are
 * plain. */
#include "attest/member_text.h"
#include "attest/purl.h"
#include "base/json.h"
#include "oms/intoto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct str payload, const json_t *predicate)
{
    auto_json json_t *again = NULL;
    struct str text = member_text(payload, STR("predicate"));
    if (!str_given(text)) /* spelt with escapes */
        return;
    must(text.data >= payload.data && text.data + text.len <= payload.data + payload.len);
    must(json_read(text, text.len, &again, NULL) == OK && json_equal(again, predicate));
}

static void check_version(struct str purl)
{
    auto_arena struct arena arena = {0};
    struct str version;
    if (!str_given(purl) || !purl_version(&arena, purl, &version))
        return;
    must(version.len > 0 && version.len < purl.len);
    for (size_t i = 0; i < version.len; i++)
        must(version.data[i] > ' ' && version.data[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct str payload = {(const char *)data, len};
    struct intoto_statement statement;
    struct error err;
    check_version(payload);
    if (intoto_read(payload, &statement, &err) != OK)
        return 0;
    check_text(payload, statement.predicate);
    check_version(json_get_str(statement.predicate, "purl"));
    json_decref(statement.root);
    return 0;
}
