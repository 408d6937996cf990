/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/commitment.h"
#include "base/buf.h"
#include <openssl/crypto.h>

/* Derivation: HKDF (RFC 5869) with SHA-256, as far as one block. */

static void hkdf(struct str salt, const uint8_t key[PERSON_KEY_SIZE], struct buf *info, uint8_t out[SHA256_SIZE])
{
    uint8_t extracted[SHA256_SIZE];
    buf_byte(info, 1); /* number of the block */
    hmac_sha256(salt, (struct str){(const char *)key, PERSON_KEY_SIZE}, extracted);
    hmac_sha256((struct str){(const char *)extracted, sizeof extracted}, buf_view(info), out);
    OPENSSL_cleanse(extracted, sizeof extracted);
}

static void add_number(struct buf *out, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(out, (char)(number >> shift));
}

void person_pseudonym(const uint8_t key[PERSON_KEY_SIZE], const uint8_t repo[LEAF_REPO_SIZE],
                      uint8_t out[LEAF_ACTOR_SIZE])
{
    auto_buf struct buf info = {0};
    uint8_t block[SHA256_SIZE];
    buf_add(&info, repo, LEAF_REPO_SIZE);
    hkdf(STR("hubactor1"), key, &info, block); /* the salt keeps it apart from the secrets of commitments */
    memcpy(out, block, LEAF_ACTOR_SIZE);
}

void commitment_secret(const uint8_t key[PERSON_KEY_SIZE], const struct commitment_place *place,
                       uint8_t out[SHA256_SIZE])
{
    auto_buf struct buf info = {0};
    buf_add(&info, place->repo, LEAF_REPO_SIZE);
    add_number(&info, place->rseq);
    buf_str(&info, str_of(place->field));
    hkdf(STR(""), key, &info, out);
}

void commitment_make(const uint8_t secret[SHA256_SIZE], const struct commitment_place *place, struct str value,
                     uint8_t out[SHA256_SIZE])
{
    auto_buf struct buf message = {0};
    buf_add(&message, "hubcommit1", sizeof "hubcommit1"); /* with its NUL, as the field's below */
    buf_add(&message, place->field, strlen(place->field) + 1);
    buf_add(&message, place->repo, LEAF_REPO_SIZE);
    add_number(&message, place->rseq);
    buf_str(&message, value);
    hmac_sha256((struct str){(const char *)secret, SHA256_SIZE}, buf_view(&message), out);
}

bool commitment_opens(const uint8_t commitment[SHA256_SIZE], const uint8_t secret[SHA256_SIZE],
                      const struct commitment_place *place, struct str value)
{
    uint8_t made[SHA256_SIZE];
    commitment_make(secret, place, value, made);
    return equal_secret(made, commitment, sizeof made);
}
