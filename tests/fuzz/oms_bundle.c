/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle from anybody, up to where the signature would stop it; its certificates; and its statement as if the
 * signature had held, compared with a folder. An input that is no bundle is tried as a statement.
 */
#include "oms/bundle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Some of the seeds are signed with it. */
static const char tool_key[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyiTvnzsuq+eDJPrml1l12qtNQI5u\n"
                               "QOeVDykGhoIRxLEVgAnusduxOatLYyTMJz66KASdaza6ZuNIsPlUDYRtgg==\n"
                               "-----END PUBLIC KEY-----\n";

static enum status any_digest(void *context, const struct manifest_file *file, enum oms_hash hash, int64_t start,
                              int64_t end, uint8_t *out, struct error *err)
{
    (void)context, (void)err;
    if (start < 0 || (end != -1 && (end <= start || end > file->size)))
        abort(); /* never asked for bytes that are not there */
    memset(out, 0, oms_hash_size(hash));
    return OK;
}

static void read_statement(struct arena *arena, struct str payload)
{
    struct manifest_file files[] = {{STR("signme-1"), 5, {0}}, {STR("README.md"), 6, {0}}, {STR("a/b.bin"), 4, {0}}};
    struct oms_found found = {files, 3, any_digest, NULL, false};
    struct oms_statement statement;
    struct error err;
    auto_buf struct buf lines = {0};
    if (oms_statement_read(arena, payload, &statement, &err) == OK)
        oms_statement_compare(arena, &statement, &found, &lines, &err);
    for (size_t i = 0; i < lines.len; i++)
        if ((unsigned char)lines.data[i] < ' ' && lines.data[i] != '\n')
            abort(); /* the lines are plain text */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = NULL, *leaf = NULL;
    struct str text = {(const char *)data, len};
    struct oms_bundle bundle;
    struct oms_statement statement;
    struct error err;
    if (oms_key_read_public(str_of(tool_key), &key, &err) != OK)
        abort();
    if (oms_bundle_read(&arena, text, &bundle, &err) != OK) {
        read_statement(&arena, text);
        return 0;
    }
    if (bundle.method == OMS_BY_KEY)
        oms_bundle_verify_key(&arena, &bundle, key, &statement, &err);
    else
        chain_leaf_key(bundle.certificates, bundle.certificate_count, &leaf, &err);
    read_statement(&arena, bundle.envelope.payload);
    return 0;
}
