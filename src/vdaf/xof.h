/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VDAF_XOF_H
#define CAIRN_VDAF_XOF_H

#include "base/str.h"

/*
 * The extendable output functions of VDAF. The first two are TurboSHAKE128 (RFC 9861) with domain byte 1; they differ in how
 * seed and tag are laid out. The third is PINE's: HMAC-SHA256(seed, length of tag, tag, binder) gives the key and the first
 * counter block of AES-128-CTR; it is the one that is fast here, and its output can be read from any place.
 */
enum xof_kind {
    XOF_TURBOSHAKE128,      /* VDAF draft-20; seeds of 32 bytes */
    XOF_TURBOSHAKE128_OLD,  /* VDAF draft-11; seeds of 16 bytes */
    XOF_HMAC_SHA256_AES128, /* PINE draft-01; seeds of 32 bytes */
};
#define SEED_SIZE_MAX 32

size_t xof_seed_size(enum xof_kind kind);

struct keccak { /* TurboSHAKE128: a sponge of 200 bytes with a rate of 168 */
    uint64_t state[25];
    unsigned at;
    bool squeezing;
};
void turboshake128_add(struct keccak *sponge, const void *data, size_t len);
void turboshake128_read(struct keccak *sponge, uint8_t domain, void *out, size_t len);

struct xof {
    enum xof_kind kind;
    struct keccak sponge;
    struct hasher *hasher; /* inner hash of HMAC while the binder is added */
    uint8_t outer[64];     /* the HMAC key, ready for the outer hash */
    uint8_t key[16], counter[16];
    uint64_t offset; /* of the next output byte */
    void *cipher;    /* EVP_CIPHER_CTX once the output is read */
};
#define auto_xof __attribute__((cleanup(xof_end)))

/* seed is xof_seed_size() bytes; tag is at most 255. Call xof_end() whatever happens: it wipes. */
void xof_begin(struct xof *xof, enum xof_kind kind, const uint8_t *seed, struct str tag);
void xof_add(struct xof *xof, const void *binder, size_t len); /* only before anything is read */
void xof_read(struct xof *xof, void *out, size_t len);
void xof_seek(struct xof *xof, uint64_t offset); /* XOF_HMAC_SHA256_AES128 only */
void xof_end(struct xof *xof);

#endif
