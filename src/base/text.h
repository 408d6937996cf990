/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_TEXT_H
#define CAIRN_BASE_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

/* Encodings of bytes as text. Decoders return false on the first malformed character and allocate from the arena. */
struct str hex_encode(struct arena *arena, const void *data, size_t len); /* lower case */
void hex_add(struct buf *out, const void *data, size_t len);              /* the same, appended */
bool hex_decode(struct str hex, uint8_t *out, size_t out_len);            /* exactly 2*out_len digits, either case */

struct str base64_encode(struct arena *arena, struct str data);
bool base64_decode(struct arena *arena, struct str text,
                   struct str *out);                       /* RFC 4648, padding required, no white space */
bool base64_decode_into(struct str text, struct buf *out); /* the same, appended; out is unchanged on failure */

/* RFC 4648 section 5, without padding: what JOSE and WebAuthn write. */
struct str base64url_encode(struct arena *arena, struct str data);
bool base64url_decode(struct arena *arena, struct str text, struct str *out);

/* RFC 3986. encode keeps unreserved characters, and '/' too when keep_slash. decode refuses a '%' without two hex
 * digits and %00. */
struct str percent_encode(struct arena *arena, struct str s, bool keep_slash);
bool percent_decode(struct arena *arena, struct str s, struct str *out);

/*
 * One name=value of application/x-www-form-urlencoded after another ('+' is a space; no '=' gives an empty value).
 * False at the end, when *rest is absent, or on bad encoding, when *rest still starts with the bad pair.
 */
bool form_next(struct arena *arena, struct str *rest, struct str *name, struct str *value);

/* ASCII lower case, for names that are matched without case. */
struct str str_lower(struct arena *arena, struct str s);

/* *, ? and [...] do not match '/'; ** does (gitignore's rules, gitignore(5) "PATTERN FORMAT"). Linear in time for one
 * '*'. */
bool glob_match(struct str pattern, struct str path);

#endif
