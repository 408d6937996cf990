/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_TABLE_H
#define CAIRN_SCAN_TABLE_H

#include "leaf/tensor.h"

/*
 * The table of a safetensors file's tensors, as the sandboxed child prints it: 'T', then of each tensor, in the order
 * in which they lie in the file, its entry in the tree without the digest (tensor_head()). Where a tensor begins is not
 * told: they fill the file without a gap, and dtype and shape say how long each is. Or, when the header is not valid,
 * 'I' and the reason; when it is over a limit, 'L' and the reason.
 */
#define TENSOR_TABLE_MOST (32 << 20) /* bytes */
#define TENSORS_MOST 200000          /* in one file */

/* The child's side: appends the answer about a header (the bytes after the 8 bytes of length). */
void tensor_table_write(struct str header, struct buf *out);

/*
 * The server's side, which trusts nothing of it: the child may be in the hands of whoever wrote the header. *out lives
 * in the arena; nothing of it points into table. INVALID or TOO_LARGE with the child's reason; UNAVAILABLE when the
 * answer makes no sense.
 */
enum status tensor_table_read(struct arena *arena, struct str table, struct tensor_list *out, struct error *err);

#endif
