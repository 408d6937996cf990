/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/statement.h"

#include "base/text.h"
#include "oms/internal.h"
#include "oms/intoto.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARD_SIZE_MOST (INT64_C(1) << 53) /* beyond that a double is not exact */
#define PREDICATE_TYPE "https://model_signing/signature/v1.0"

static const struct hash_kind {
    const char *name;
    size_t size;
} hashes[] = {[OMS_SHA256] = {"sha256", 32}, [OMS_BLAKE2B] = {"blake2b", 64}, [OMS_BLAKE3] = {"blake3", 32}};

size_t oms_hash_size(enum oms_hash hash)
{
    return hashes[hash].size;
}

static void predicate_write(struct arena *arena, const struct manifest *manifest, struct buf *out)
{
    struct json_writer json = jw_to(out);
    jw_object(&json);
    jw_key(&json, "serialization");
    jw_object(&json);
    jw_key_str(&json, "method", STR("files"));
    jw_key_str(&json, "hash_type", STR("sha256"));
    jw_key_bool(&json, "allow_symlinks", false);
    jw_key(&json, "ignore_paths");
    jw_array(&json);
    for (size_t i = 0; i < manifest->rules.count; i++)
        jw_str(&json, manifest->rules.paths[i]);
    jw_end(&json);
    jw_end(&json);
    jw_key(&json, "resources");
    jw_array(&json);
    for (size_t i = 0; i < manifest->count; i++) {
        jw_object(&json);
        jw_key_str(&json, "name", manifest->files[i].name);
        jw_key_str(&json, "algorithm", STR("sha256"));
        jw_key_str(&json, "digest", hex_encode(arena, manifest->files[i].sha256, SHA256_SIZE));
        jw_end(&json);
    }
    jw_end(&json);
    jw_end(&json);
}

enum status oms_statement_write(struct arena *arena, const struct manifest *manifest, struct str model, struct buf *out,
                                struct error *err)
{
    auto_buf struct buf predicate = {0};
    if (model.len == 0 || !str_is_utf8(model))
        return fail(err, INVALID, NULL, "A signed model needs a name in UTF-8.");
    predicate_write(arena, manifest, &predicate);
    struct intoto_subject subject = {model, "sha256", hex_encode(arena, manifest->root, SHA256_SIZE)};
    size_t before = out->len;
    intoto_write(out, PREDICATE_TYPE, &subject, 1, buf_view(&predicate));
    if (out->len - before <= OMS_STATEMENT_MOST)
        return OK;
    out->len = before;
    return fail(err, TOO_LARGE, NULL,
                "The statement about %zu files would have more than %d bytes, which no verifier accepts.",
                manifest->count, OMS_STATEMENT_MOST);
}

static enum status rules_read(struct arena *arena, const json_t *recorded, struct manifest_rules *out,
                              struct error *err)
{
    size_t count = json_array_size(recorded);
    struct str *paths = arena_array(arena, count + 1, sizeof *paths);
    if (recorded && !json_is_array(recorded))
        return fail(err, INVALID, NULL, "The statement's \"ignore_paths\" is not a list.");
    for (size_t i = 0; i < count; i++) {
        const json_t *path = json_array_get(recorded, i);
        paths[i] =
            (struct str){json_string_value(path), json_string_length(path)}; /* empty, so refused, if no string */
    }
    return manifest_rules_make(arena, paths, count, out, err);
}

/* The reference tool writes whole numbers as 1000000000.0. 0 for what is not a whole number above 0. */
static int64_t shard_size_of(const json_t *value)
{
    double number = json_number_value(value);
    return number >= 1 && number <= SHARD_SIZE_MOST && number == (double)(int64_t)number ? (int64_t)number : 0;
}

static enum status serialization_read(struct arena *arena, const json_t *value, struct oms_statement *out,
                                      struct error *err)
{
    static const char *const names[] = {"method", "hash_type", "allow_symlinks", "ignore_paths", "shard_size", NULL};
    TRY(members_only(value, "The statement's \"serialization\"", names, err));
    struct str method = json_get_str(value, "method"), hash = json_get_str(value, "hash_type");
    const json_t *shard_size = json_object_get(value, "shard_size");
    bool is_shards = str_eq(method, STR("shards")), known = false;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (str_eq(hash, str_of(hashes[i].name))) {
            out->hash = (enum oms_hash)i;
            known = true;
        }
    if (!known || (!is_shards && !str_eq(method, STR("files"))))
        return fail(err, UNSUPPORTED, NULL,
                    "The model was signed in an unsupported serialization; known are files and shards with sha256, "
                    "blake2b or blake3.");
    out->shard_size = shard_size_of(shard_size);
    if (is_shards != (shard_size != NULL) || is_shards != (out->shard_size != 0))
        return fail(err, INVALID, NULL, "The statement should have a whole \"shard_size\" with shards, and only then.");
    const json_t *links = json_object_get(value, "allow_symlinks");
    if (!json_is_boolean(links))
        return fail(err, INVALID, NULL, "The statement should say whether symbolic links were followed.");
    if (json_is_true(links))
        return fail(err, UNSUPPORTED, NULL,
                    "The model was signed with its symbolic links followed; that is not accepted.");
    return rules_read(arena, json_object_get(value, "ignore_paths"), &out->rules, err);
}

/* Takes ":<number>" off the end of *name; one form for one number, so that no two names mean the same range. */
static bool cut_number(struct str *name, int64_t *out)
{
    size_t colon = name->len;
    while (colon > 0 && name->data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct str digits = str_from(*name, colon);
    *name = str_slice(*name, 0, colon - 1);
    return str_to_i64(digits, out) && (digits.len == 1 || digits.data[0] != '0');
}

static bool algorithm_fits(const struct oms_statement *statement, struct str algorithm)
{
    char sharded[64];
    const char *name = hashes[statement->hash].name;
    snprintf(sharded, sizeof sharded, "%s-sharded-%lld", name, (long long)statement->shard_size);
    return str_eq(algorithm, str_of(name)) || (statement->shard_size && str_eq(algorithm, str_of(sharded)));
}

static enum status resource_read(struct arena *arena, const json_t *value, size_t number,
                                 const struct oms_statement *statement, struct oms_resource *out, struct error *err)
{
    struct str name = json_get_str(value, "name");
    if (!str_given(name) || !algorithm_fits(statement, json_get_str(value, "algorithm")) ||
        !hex_exact(json_get_str(value, "digest"), out->digest, oms_hash_size(statement->hash)))
        return fail(
            err, INVALID, NULL,
            "Resource %zu of the statement should have a name, the algorithm of its serialization and a digest of "
            "that in lower case hex.",
            number);
    out->end = -1;
    if (statement->shard_size &&
        (!cut_number(&name, &out->end) || !cut_number(&name, &out->start) || out->start >= out->end ||
         out->end - out->start > statement->shard_size || out->start % statement->shard_size))
        return fail(err, INVALID, NULL,
                    "Resource %zu of the statement should be named path:start:end, a shard of its file.", number);
    /* The reference tool names the only file of a model that is no folder "."; the specification names it as it is
     * called. */
    out->name = arena_copy(arena, str_eq(name, STR(".")) ? statement->model : name);
    struct error reason;
    if (manifest_name_check(out->name, &reason) != OK)
        return fail(err, INVALID, NULL, "Resource %zu of the statement is not usable. %s", number, reason.message);
    return OK;
}

static int by_place(const void *a, const void *b)
{
    const struct oms_resource *x = a, *y = b;
    int names = str_cmp(x->name, y->name);
    return names ? names : (x->start > y->start) - (x->start < y->start);
}

/* After sorting: a name is there once, or its ranges follow on each other, so that no byte of a file is left unsigned.
 */
static enum status check_places(const struct oms_statement *statement, struct error *err)
{
    const struct oms_resource *before = NULL;
    for (size_t i = 0; i < statement->count; i++) {
        const struct oms_resource *resource = &statement->resources[i];
        bool same = before && str_eq(before->name, resource->name);
        if (same && !statement->shard_size)
            return fail(err, INVALID, NULL, "The statement names the file \"%.*s\" twice.", STR_ARG(resource->name));
        if (resource->start != (same ? before->end : 0))
            return fail(err, INVALID, NULL, "The statement's shards of \"%.*s\" overlap or leave bytes out.",
                        STR_ARG(resource->name));
        before = resource;
    }
    return OK;
}

static enum status resources_read(struct arena *arena, const json_t *list, struct oms_statement *out, struct error *err)
{
    size_t count = json_array_size(list);
    if (count == 0)
        return fail(err, INVALID, NULL, "The statement's \"resources\" should be a list with at least one item.");
    out->resources = arena_array(arena, count, sizeof *out->resources);
    struct hasher *hasher = hasher_sha256();
    enum status status = OK;
    for (; status == OK && out->count < count; out->count++) {
        struct oms_resource *resource = &out->resources[out->count];
        status = resource_read(arena, json_array_get(list, out->count), out->count + 1, out, resource, err);
        hasher_add(hasher, resource->digest, oms_hash_size(out->hash));
    }
    uint8_t root[SHA256_SIZE];
    hasher_end(hasher, root);
    hasher_free(hasher);
    TRY(status);
    if (memcmp(root, out->root, SHA256_SIZE) != 0)
        return fail(err, INVALID, NULL,
                    "The statement contradicts itself: its digest is not that of the files it lists.");
    qsort(out->resources, out->count, sizeof *out->resources, by_place);
    return check_places(out, err);
}

static enum status parts_read(struct arena *arena, const struct intoto_statement *parts, struct oms_statement *out,
                              struct error *err)
{
    static const char *const names[] = {"serialization", "resources", NULL};
    if (!str_eq(parts->predicate_type, STR(PREDICATE_TYPE)))
        return fail(err, UNPROCESSABLE, NULL,
                    "What was signed is not a model: the statement's \"predicateType\" should be \"%s\".",
                    PREDICATE_TYPE);
    const json_t *subject = json_array_get(parts->subjects, 0);
    struct str model = json_get_str(subject, "name");
    if (json_array_size(parts->subjects) != 1 || model.len == 0 ||
        !hex_exact(json_get_str(json_object_get(subject, "digest"), "sha256"), out->root, SHA256_SIZE))
        return fail(err, INVALID, NULL, "The statement should have one subject, with a name and a SHA-256.");
    out->model = arena_copy(arena, model);
    TRY(members_only(parts->predicate, "The statement's \"predicate\"", names, err));
    TRY(serialization_read(arena, json_object_get(parts->predicate, "serialization"), out, err));
    return resources_read(arena, json_object_get(parts->predicate, "resources"), out, err);
}

enum status oms_statement_read(struct arena *arena, struct str payload, struct oms_statement *out, struct error *err)
{
    struct intoto_statement parts;
    *out = (struct oms_statement){0};
    TRY(intoto_read(payload, &parts, err));
    enum status status = parts_read(arena, &parts, out, err);
    json_decref(parts.root);
    return status;
}
