/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_OMS_FIXTURE_H
#define CAIRN_TESTS_OMS_FIXTURE_H

#include "../base/check.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "oms/bundle.h"
#include "oms/intoto.h"

#include <openssl/ec.h>
#include <stdio.h>

static inline void check_status(enum status want, enum status got, const struct error *err, const char *file, int line)
{
    if (want == got)
        return;
    print_error("status %d instead of %d: %s\n", got, want, got ? err->message : "");
    _fail(file, line);
}
/* The call must end with this status; its error stays in err. */
#define expect(want, call) check_status((want), (call), &err, __FILE__, __LINE__)
#define expect_message(part)                                                                                           \
    (strstr(err.message, (part)) ? (void)0 : broken("\"%s\" is not in: %s", (part), err.message))

/* A file of tests/unit/oms/vectors. */
static inline struct str vector(struct arena *arena, const char *name)
{
    char path[4096];
    struct error err;
    auto_buf struct buf text = {0};
    snprintf(path, sizeof path, "%.*s/vectors/%s", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, name);
    expect(OK, file_read_all(path, 1 << 20, &text, &err));
    return arena_copy(arena, buf_view(&text));
}

/* text with what stands for from replaced by to, once; from must be there. */
static inline struct str swapped(struct arena *arena, struct str text, const char *from, const char *to)
{
    const char *at = memmem(text.data, text.len, from, strlen(from));
    if (!at)
        broken("\"%s\" is not in the text", from);
    size_t before = (size_t)(at - text.data);
    return arena_printf(arena, "%.*s%s%.*s", (int)before, text.data, to,
                        STR_ARG(str_from(text, before + strlen(from))));
}

static inline EVP_PKEY *make_key(const char *curve)
{
    EVP_PKEY *key = strcmp(curve, "ED25519") ? EVP_EC_gen(curve) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(key);
    return key;
}

static inline struct manifest_file file_of(const char *name, const char *content)
{
    struct manifest_file file = {str_of(name), (int64_t)strlen(content), {0}};
    sha256(str_of(content), file.sha256);
    return file;
}

static inline struct manifest manifest_of(struct arena *arena, const struct manifest_file *files, size_t count)
{
    struct error err;
    struct manifest_rules rules;
    struct manifest manifest;
    expect(OK, manifest_rules_make(arena, NULL, 0, &rules, &err));
    expect(OK, manifest_make(arena, files, count, &rules, &manifest, &err));
    return manifest;
}

static inline struct str hex_of(struct arena *arena, const uint8_t digest[SHA256_SIZE])
{
    return hex_encode(arena, digest, SHA256_SIZE);
}

/* What the bundles of the reference tool were made over. */
static const struct {
    const char *name, *content;
} tool_files[] = {
    {"README.md", "three\n"}, {"a/b.bin", "two\n"},       {"a.txt", "one\n"},     {"empty", ""},
    {"tokenizer/x", "t\n"},   {"tokenizer.json", "tj\n"}, {".gitignore", "gi\n"},
};

#endif
