/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * One tensor against the tensorRoot that was logged, whatever file it is in and whatever else is there: for whoever has
 * fetched only a part of a model, or has put it into other files. The hub's answer to …/tensors/REV/proof?name=… says where in
 * the tree it is.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "verify/run.h"

#define TENSOR_PROOF_MOST (1024 * 1024)

static bool read_path(const json_t *list, struct tlog_path *out)
{
    out->count = json_array_size(list);
    if (!json_is_array(list) || out->count > sizeof out->hashes / sizeof *out->hashes)
        return false;
    for (size_t i = 0; i < out->count; i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        if (!hex || !hex_decode(str_of(hex), out->hashes[i].bytes, SHA256_SIZE))
            return false;
    }
    return true;
}

static bool read_entry(struct arena *arena, struct str hex, struct tensor_proof *out)
{
    uint8_t *bytes = arena_alloc(arena, hex.len / 2 + 1);
    if (!str_given(hex) || !hex_decode(hex, bytes, hex.len / 2) || hex.len < 2 * 4)
        return false;
    uint32_t len = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    out->entry = (struct str){(const char *)bytes, hex.len / 2};
    out->name = str_slice(out->entry, 4, len);
    return out->name.len == len;
}

enum status tensor_proof_read(struct arena *arena, struct str text, struct tensor_proof *out, struct error *err)
{
    auto_json json_t *json = NULL;
    TRY(json_read(text, TENSOR_PROOF_MOST, &json, err));
    int64_t index = json_get_int(json, "index", -1), size = json_get_int(json, "size", -1);
    out->index = (uint64_t)index;
    out->size = (uint64_t)size;
    if (index < 0 || size < 0 || !read_path(json_object_get(json, "path"), &out->path) ||
        !read_entry(arena, json_get_str(json, "entry"), out))
        return fail(err, INVALID, NULL, "It lacks a member of one, or has one of another form.");
    return OK;
}

static bool load_proof(struct run *run, struct tensor_proof *out)
{
    struct report *report = &run->report;
    auto_buf struct buf text = {0};
    struct error err;
    if (file_read_all(run->settings.tensor, TENSOR_PROOF_MOST, &text, &err) != OK)
        return found(report, UNABLE, "tensor", "The proof of the tensor cannot be read: %s", err.message);
    return tensor_proof_read(&report->arena, buf_view(&text), out, &err) == OK ||
           found(report, FAILED, "tensor", "%s is not the proof of a tensor: %s", run->settings.tensor, err.message);
}

static bool is_proven(struct run *run, const struct tensor_proof *proof)
{
    struct str logged = leaf_get(&run->proven.leaf, "tensorRoot").text;
    struct tlog_hash root, hash = tlog_leaf_hash(proof->entry);
    if (!str_given(logged) || !hex_decode(logged, root.bytes, SHA256_SIZE))
        return found(&run->report, UNABLE, "tensor", "The log has no tensorRoot for this revision.");
    return tlog_includes(proof->index, proof->size, &hash, &root, &proof->path) ||
           found(&run->report, FAILED, "tensor", "The tensor %.*s is not proved to be one of those that were logged.",
                 STR_ARG(proof->name));
}

static bool is_the_one(const struct tensor *tensor, const struct tensor_proof *proof)
{
    auto_buf struct buf entry = {0};
    tensor_entry(tensor, &entry);
    return str_eq(buf_view(&entry), proof->entry);
}

/* Passes when every tensor of that name in the folder is the one that was logged, and there is one. */
static bool compare(struct run *run, const struct tensor_proof *proof)
{
    size_t right = 0;
    bool good = true;
    for (size_t i = 0; i < run->folder.count; i++) {
        const struct folder_file *file = &run->folder.files[i];
        for (size_t j = 0; file->hashed && file->tensors_error.status == OK && j < file->tensors.count; j++) {
            const struct tensor *tensor = &file->tensors.items[j];
            if (!str_eq(tensor->name, proof->name))
                continue;
            if (is_the_one(tensor, proof))
                right++;
            else
                good = found(&run->report, FAILED, "tensor", "changed: the tensor %.*s in %.*s is not what was logged.",
                             STR_ARG(proof->name), STR_ARG(file->file.name));
        }
    }
    if (good && !right)
        return found(&run->report, FAILED, "tensor", "missing: no safetensors file here has a tensor %.*s.",
                     STR_ARG(proof->name));
    if (good)
        found(&run->report, PASSED, "tensor", "The tensor %.*s is what was logged.", STR_ARG(proof->name));
    return good;
}

bool tensor_check(struct run *run)
{
    struct tensor_proof proof = {0};
    if (!load_proof(run, &proof) || !is_proven(run, &proof) ||
        !folder_hash(&run->folder, (struct folder_choice){.tensors = true}, &run->progress, &run->report))
        return false;
    found(&run->report, NOTED, "files", "Only this tensor was checked, not the files.");
    return compare(run, &proof);
}
