/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_JSON_H
#define CAIRN_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include <jansson.h>

/*
 * Reading is jansson's, strict: duplicate keys, bad UTF-8, NaN, trailing bytes and deep nesting are refused. Use
 * jansson's own json_object_get() and friends on the result; the getters below save the usual three lines. Writing is
 * ours, append-only, because listings are where the bytes are (foundation.md section 5).
 */
#define auto_json __attribute__((cleanup(json_release)))
void json_release(json_t **value);

/*
 * Parses one JSON text (any value, so check its type) of at most limit bytes. INVALID with the position or TOO_LARGE on
 * failure, and *out is then NULL. The message never quotes the text. Release *out with json_decref.
 */
enum status json_read(struct str text, size_t limit, json_t **out, struct error *err);

/* The member as a view that lives as long as object; absent when missing or not a string. */
struct str json_get_str(const json_t *object, const char *key);
bool json_get_bool(const json_t *object, const char *key, bool otherwise);
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);

/* Appends value to out as compact JSON, keys in their order. */
void json_dump(const json_t *value, struct buf *out);

/*
 * The writer. Commas are put by the writer; keys and values must alternate inside objects (asserted). Strings are
 * escaped; bytes that are not UTF-8 become U+FFFD, so the output is always valid JSON. Depth is at most 32.
 */
struct json_writer {
    struct buf *out;
    uint32_t depth;
    bool comma, after_key;
    char stack[32];
};

struct json_writer jw_to(struct buf *out);
void jw_object(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_end(struct json_writer *w); /* closes the innermost object or array */
void jw_key(struct json_writer *w, const char *key);
void jw_str(struct json_writer *w, struct str value); /* null when absent */
void jw_int(struct json_writer *w, int64_t value);
void jw_bool(struct json_writer *w, bool value);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, struct str json); /* one finished JSON value */
void jw_value(struct json_writer *w, const json_t *value);

/* key and value in one call */
void jw_key_str(struct json_writer *w, const char *key, struct str value);
void jw_key_int(struct json_writer *w, const char *key, int64_t value);
void jw_key_bool(struct json_writer *w, const char *key, bool value);
void jw_key_hex(struct json_writer *w, const char *key, const void *bytes, size_t len);

#endif
