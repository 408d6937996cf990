/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "mask/mask.h"

#include "hpke/hpke.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum status mask_pair_key(const uint8_t private_key[32], const uint8_t peer[32], struct str ctx,
                          uint8_t key[MASK_KEY_SIZE], struct error *err)
{
    uint8_t shared[32], own[32], both[64];
    hpke_key_public(private_key, own);
    if (memcmp(own, peer, 32) == 0)
        return fail(err, INVALID, NULL, "A neighbour's key is one's own: its mask would hide nothing.");
    TRY(x25519(private_key, peer, shared, err));
    bool later = mask_adds(own, peer);
    memcpy(both, later ? peer : own, 32);
    memcpy(both + 32, later ? own : peer, 32);
    hkdf_sha256((struct str){(char *)shared, 32}, ctx, (struct str){(char *)both, 64}, key, MASK_KEY_SIZE);
    OPENSSL_cleanse(shared, sizeof shared);
    return OK;
}

bool mask_adds(const uint8_t own[32], const uint8_t peer[32])
{
    return memcmp(own, peer, 32) > 0;
}

static uint32_t read_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void mask_apply(const uint8_t key[MASK_KEY_SIZE], bool add, uint32_t *numbers, size_t count)
{
    mask_apply_from(key, add, 0, numbers, count);
}

void mask_apply_from(const uint8_t key[MASK_KEY_SIZE], bool add, size_t from, uint32_t *numbers, size_t count)
{
    static const uint8_t zero[4096];
    uint8_t stream[4096], counter[16] = {0};
    assert(from % 4 == 0);
    for (int i = 0; i < 8; i++)
        counter[15 - i] = (uint8_t)((uint64_t)from / 4 >> 8 * i);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int got;
    if (!cipher || EVP_EncryptInit_ex(cipher, EVP_aes_256_ctr(), NULL, key, counter) != 1)
        abort();
    for (size_t at = 0, part; at < count; at += part) {
        part = count - at < sizeof stream / 4 ? count - at : sizeof stream / 4;
        if (EVP_EncryptUpdate(cipher, stream, &got, zero, (int)(4 * part)) != 1)
            abort();
        for (size_t i = 0; i < part; i++)
            numbers[at + i] += add ? read_u32(stream + 4 * i) : 0 - read_u32(stream + 4 * i);
    }
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(stream, sizeof stream);
}

unsigned mask_bits(uint64_t members, uint64_t most)
{
    if (members == 0 || members >= (uint64_t)1 << 32 || most >= (uint64_t)1 << 31)
        return 0;
    uint64_t values = members * (2 * most + 1); /* from -members most to members most, and some more */
    unsigned bits = values <= 1 ? 1 : 64 - (unsigned)__builtin_clzll(values - 1);
    return bits <= 32 ? bits : 0;
}

size_t mask_packed(size_t count, unsigned bits)
{
    assert(bits >= 1 && bits <= 32 && count <= SIZE_MAX / 32);
    return (count * bits + 7) / 8;
}

void mask_pack(const uint32_t *numbers, size_t count, unsigned bits, uint8_t *out)
{
    uint64_t waiting = 0, mask = ((uint64_t)1 << bits) - 1;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        waiting |= (numbers[i] & mask) << filled;
        for (filled += bits; filled >= 8; filled -= 8, waiting >>= 8)
            *out++ = (uint8_t)waiting;
    }
    if (filled)
        *out = (uint8_t)waiting;
}

enum status mask_unpack(struct str packed, size_t count, unsigned bits, uint32_t *out, struct error *err)
{
    if (packed.len != mask_packed(count, bits))
        return fail(err, INVALID, NULL, "A masked vector of %zu numbers of %u bits has %zu bytes, not %zu.", count,
                    bits, mask_packed(count, bits), packed.len);
    const uint8_t *at = (const uint8_t *)packed.data;
    uint64_t waiting = 0, mask = ((uint64_t)1 << bits) - 1;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        for (; filled < bits; filled += 8)
            waiting |= (uint64_t)*at++ << filled;
        out[i] = (uint32_t)(waiting & mask);
        waiting >>= bits;
        filled -= bits;
    }
    return waiting == 0 ? OK : fail(err, INVALID, NULL, "A masked vector ends with bits that are not zero.");
}

int32_t mask_lift(uint32_t number, unsigned bits)
{
    return (int32_t)(number << (32 - bits)) >> (32 - bits);
}
