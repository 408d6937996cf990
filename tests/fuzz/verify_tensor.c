/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Proofs of one tensor, for a tree of three: only what is in it can ever be proved to be. */
#include "leaf/tensor.h"
#include "verify/run.h"
#include <assert.h>

static bool is_one_of(const struct tensor *tensors, size_t count, struct str entry)
{
    for (size_t i = 0; i < count; i++) {
        auto_buf struct buf known = {0};
        tensor_entry(&tensors[i], &known);
        if (str_eq(buf_view(&known), entry))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t shape[] = {2, 3};
    const struct tensor tensors[] = {{.name = STR("a"), .shape = shape, .dimensions = 2, .digest = {1}},
                                     {.name = STR("b"), .shape = shape, .dimensions = 1, .digest = {2}},
                                     {.name = STR("layers.0.weight"), .digest = {3}}};
    auto_arena struct arena arena = {0};
    struct tensor_proof proof = {0};
    struct error err = {0};
    if (tensor_proof_read(&arena, (struct str){(const char *)data, size}, &proof, &err) != OK) {
        assert(err.status == INVALID || err.status == TOO_LARGE);
        assert(err.message[0]);
        return 0;
    }
    assert(proof.name.data == proof.entry.data + 4 && proof.name.len <= proof.entry.len - 4);
    struct tlog_hash root = tensor_root(tensors, 3), hash = tlog_leaf_hash(proof.entry);
    /* A root does not bind its tree's size, so other sizes and places may do: what counts is what is in the tree. */
    if (tlog_includes(proof.index, proof.size, &hash, &root, &proof.path))
        assert(is_one_of(tensors, 3, proof.entry));
    return 0;
}
