/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_LEAF_FORM_H
#define CAIRN_LEAF_FORM_H

#include "base/buf.h"
#include "leaf/tensor.h"

/*
 * The form in which a model is trained: a safetensors file of those of its tensors that are numbers of floating point, in the same order,
 * all as F32. Those of whole numbers are left out: training leaves them as they are. A model that has nothing but F32 is its own form.
 */
bool form_is_needed(const struct tensor_list *list); /* false: the model is its own form */
bool form_has(unsigned dtype);                       /* F16, BF16, F32, F64 */
bool form_leaves_out(unsigned dtype);                /* whole numbers; what is neither cannot be trained */
/* The form's first bytes, up to its numbers. */
void form_head(const struct tensor_list *list, struct buf *out);

/* count numbers of a dtype that form_has(), to F32 and back: to the nearest, of two as near the even one; out of range is infinite. */
void form_widen(unsigned dtype, const void *from, float *to, size_t count);
void form_narrow(unsigned dtype, const float *from, void *to, size_t count);
size_t form_size(unsigned dtype); /* bytes of such a number */

#endif
