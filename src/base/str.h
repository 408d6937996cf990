/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_STR_H
#define CAIRN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes: never owned, not NUL-terminated unless a function says so. {NULL, 0} is "absent", see str_given().
 */
struct str {
    const char *data;
    size_t len;
};

/* For a literal only; for printf use "%.*s" with STR_ARG. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s) (int)(s).len, (s).data

struct str str_of(const char *c_string); /* NULL gives the absent view */
static inline bool str_given(struct str s)
{
    return s.data != NULL;
}
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_has(struct str s, struct str needle);
int str_cmp(struct str a, struct str b);         /* bytewise, shorter first on a tie: the order of memcmp */
struct str str_trim(struct str s);               /* ASCII white space off both ends */
struct str str_from(struct str s, size_t start); /* s without its first start bytes; empty when shorter */
struct str str_slice(struct str s, size_t start, size_t len); /* clamped to s */

/* Takes what stands before the first separator off the front of *rest. False once *rest is absent; "a," gives "a", "".
 */
bool str_cut(struct str *rest, char separator, struct str *piece);

/* A whole decimal number without sign or space, at most INT64_MAX; false for anything else. */
bool str_to_i64(struct str s, int64_t *out);

/* True for well-formed UTF-8 (no surrogates, nothing overlong); NUL is allowed here. */
bool str_is_utf8(struct str s);

/* The length in bytes of the UTF-8 character that s starts with, and its code point; 0 when malformed or s is empty. */
size_t str_utf8_char(struct str s, uint32_t *code_point);

#endif
