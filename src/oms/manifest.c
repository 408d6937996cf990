/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/manifest.h"

#include "base/path.h"
#include "base/text.h"
#include "oms/internal.h"

#include <assert.h>
#include <stdlib.h>

static const char *const defaults[] = {".git", ".gitattributes", ".github", ".gitignore"};
#define DEFAULTS (sizeof defaults / sizeof *defaults)

/* A name without dot segments, leading, trailing or double slashes. */
static bool is_plain_path(struct str name)
{
    struct str rest = name, part;
    while (str_cut(&rest, '/', &part))
        if (part.len == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    return true;
}

/* Neither backslashes, nor what steers terminals: C0, DEL, C1. */
static bool has_plain_characters(struct str name)
{
    while (name.len) {
        uint32_t c;
        size_t len = str_utf8_char(name, &c);
        if (len == 0 || c < ' ' || c == '\\' || (c >= 0x7F && c < 0xA0))
            return false;
        name = str_from(name, len);
    }
    return true;
}

enum status manifest_name_check(struct str name, struct error *err)
{
    const char *reason = NULL;
    if (name.len == 0 || name.len > PATH_LIMIT)
        reason = "it may have 1 to 1024 bytes";
    else if (!has_plain_characters(name))
        reason = "it must be UTF-8 without control characters and backslashes";
    else if (!is_plain_path(name))
        reason = "it must be a relative path without empty, \".\" or \"..\" parts";
    if (!reason)
        return OK;
    auto_buf struct buf shown = {0};
    name_show(&shown, str_slice(name, 0, 200));
    return fail(err, UNPROCESSABLE, NULL, "A file named \"%.*s\" cannot be in a signed model: %s.",
                STR_ARG(buf_view(&shown)), reason);
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum status manifest_rules_make(struct arena *arena, const struct str *more, size_t count, struct manifest_rules *out,
                                struct error *err)
{
    struct error reason;
    struct str *paths = arena_array(arena, count + DEFAULTS, sizeof *paths);
    for (size_t i = 0; i < DEFAULTS; i++)
        paths[i] = str_of(defaults[i]);
    for (size_t i = 0; i < count; i++) {
        if (manifest_name_check(more[i], &reason) != OK)
            return fail(err, INVALID, NULL, "A path to be ignored is not usable. %s", reason.message);
        paths[DEFAULTS + i] = arena_copy(arena, more[i]);
    }
    qsort(paths, count + DEFAULTS, sizeof *paths, by_bytes);
    size_t kept = 1;
    for (size_t i = 1; i < count + DEFAULTS; i++)
        if (!str_eq(paths[i], paths[kept - 1]))
            paths[kept++] = paths[i];
    *out = (struct manifest_rules){paths, kept};
    return OK;
}

/* Asks for the name and each folder above it: the cost does not grow with the number of rules, which strangers choose.
 */
const struct str *manifest_rule_for(const struct manifest_rules *rules, struct str name)
{
    for (size_t len = 1; len <= name.len; len++) {
        if (len < name.len && name.data[len] != '/')
            continue;
        struct str front = {name.data, len};
        const struct str *rule =
            rules->count ? bsearch(&front, rules->paths, rules->count, sizeof front, by_bytes) : NULL;
        if (rule)
            return rule;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

/* Folder by folder: as by bytes, but with '/' before all other characters, none of which is a control character. */
static int by_parts(const void *a, const void *b)
{
    struct str x = (*(const struct manifest_file *const *)a)->name, y = (*(const struct manifest_file *const *)b)->name;
    for (size_t i = 0; i < x.len && i < y.len; i++) {
        unsigned char c = (unsigned char)x.data[i], d = (unsigned char)y.data[i];
        if (c != d)
            return c == '/' ? -1 : d == '/' ? 1 : (int)c - (int)d;
    }
    return (x.len > y.len) - (x.len < y.len);
}

static void compute_digests(struct arena *arena, struct manifest *manifest)
{
    const struct manifest_file **sorted = arena_array(arena, manifest->count, sizeof *sorted);
    struct hasher *root = hasher_sha256(), *tool_root = hasher_sha256(), *folder = hasher_sha256();
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = sorted[i] = &manifest->files[i];
        struct str hex = hex_encode(arena, file->sha256, SHA256_SIZE);
        manifest->bytes += file->size;
        hasher_add(root, file->sha256, SHA256_SIZE);
        hasher_add(folder, hex.data, hex.len);
        hasher_add(folder, "  ", 2);
        hasher_add(folder, file->name.data, file->name.len);
        hasher_add(folder, "\n", 1);
    }
    qsort(sorted, manifest->count, sizeof *sorted, by_parts);
    for (size_t i = 0; i < manifest->count; i++)
        hasher_add(tool_root, sorted[i]->sha256, SHA256_SIZE);
    hasher_end(root, manifest->root);
    hasher_end(tool_root, manifest->tool_root);
    hasher_end(folder, manifest->dir_hash);
    hasher_free(root);
    hasher_free(tool_root);
    hasher_free(folder);
}

enum status manifest_make(struct arena *arena, const struct manifest_file *files, size_t count,
                          const struct manifest_rules *rules, struct manifest *out, struct error *err)
{
    *out = (struct manifest){.files = arena_array(arena, count + 1, sizeof *files), .rules = *rules};
    for (size_t i = 0; i < count; i++) {
        assert(files[i].size >= 0);
        if (manifest_rule_for(rules, files[i].name))
            continue;
        TRY(manifest_name_check(files[i].name, err));
        out->files[out->count++] = files[i];
    }
    if (out->count == 0)
        return fail(err, UNPROCESSABLE, NULL, "There is no file to sign: the model is empty, or all of it is ignored.");
    qsort(out->files, out->count, sizeof *out->files, by_name);
    for (size_t i = 1; i < out->count; i++)
        if (str_eq(out->files[i].name, out->files[i - 1].name))
            return fail(err, INVALID, NULL, "The file \"%.*s\" is named twice.", STR_ARG(out->files[i].name));
    compute_digests(arena, out);
    return OK;
}
