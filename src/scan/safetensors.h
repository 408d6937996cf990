/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_SAFETENSORS_H
#define CAIRN_SCAN_SAFETENSORS_H

#include "leaf/tensor.h"

#define SAFETENSORS_HEADER_LIMIT TENSOR_HEADER_MOST

/*
 * Checks the header of a safetensors file (the JSON after the 8 bytes of length) and appends to out
 * {"parameters":{"F32":n,…},"total":n,"tensors":n}, where n of a dtype counts elements. Only the sandboxed child calls
 * this (architecture, rule 5); the server calls scan_safetensors().
 *
 * INVALID with the reason for anything that loaders of the format would refuse, TOO_LARGE beyond the limit. The check
 * of the offsets ends where the header ends: it cannot know how long the file is.
 */
enum status safetensors_summary(struct str header, struct buf *out, struct error *err);

#endif
