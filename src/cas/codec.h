/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CAS_CODEC_H
#define CAIRN_CAS_CODEC_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* How the payload of a chunk is written (xet-protocol 2.5). */
enum scheme {
    SCHEME_NONE = 0,
    SCHEME_LZ4 = 1,       /* an LZ4 frame */
    SCHEME_GROUP4_LZ4 = 2 /* bytes 0, 4, 8, … then 1, 5, 9, …; that as an LZ4 frame */
};

/*
 * Decodes payload into exactly out_len bytes at out (at most CHUNK_MAX); scratch has room for CHUNK_MAX bytes and is only
 * used within the call. INVALID when the payload is not well-formed, gives another length, or does not end exactly at its end.
 * LZ4 frames: magic, any legal flags and block sizes, linked or independent blocks, stored blocks, checksums where present
 * are checked or skipped safely; no dictionaries, one frame. Memory does not depend on what the frame says.
 */
enum status chunk_decode(enum scheme scheme, const uint8_t *payload, size_t len, uint8_t *out, size_t out_len,
                         uint8_t *scratch, struct error *err);

#endif
