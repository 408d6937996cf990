/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_OMS_INTERNAL_H
#define CAIRN_OMS_INTERNAL_H

#include "base/json.h"
#include <openssl/evp.h>

/*
 * json_read() for an object, bounded before jansson allocates: an empty object takes three bytes of text and hundreds
 * of memory, so values are counted first. what names the text in messages, as in "The bundle".
 */
enum status strict_json(struct str text, const char *what, size_t values_most, json_t **out, struct error *err);

/* INVALID unless object is an object whose members all are in the list, which NULL ends. */
enum status members_only(const json_t *object, const char *what, const char *const *names, struct error *err);

/* A member that is a string in strict base64, decoded and not empty; INVALID otherwise. what names it in messages. */
enum status member_base64(struct arena *arena, const json_t *object, const char *key, const char *what, struct str *out,
                          struct error *err);

/* True for a string of lower case hex digits of that many bytes, decoded into out. */
bool hex_exact(struct str hex, uint8_t *out, size_t size);

/* The hash that goes with an ECDSA key's curve; NULL for Ed25519, which brings its own. */
const EVP_MD *key_hash(const EVP_PKEY *key);

/* Appends name for people to read: what steers terminals, or is not UTF-8, becomes '?'. */
void name_show(struct buf *out, struct str name);

#endif
