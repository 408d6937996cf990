/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/json.h"
#include "base/text.h"
#include "leaf/leaf_type.h"
#include <stdio.h>
#include <time.h>

#define DEPTH_MOST 8

static enum status malformed(struct error *err, const char *why)
{
    return fail(err, INVALID, NULL, "This is not a leaf of the log: %s.", why);
}

/* Digests in hex or base64, enumerations, times: nothing that would need an escape, and no room for prose. */
static bool is_plain_text(const char *text, size_t len)
{
    static const char others[] = "+/=-_.:";
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alphanumeric && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return true;
}

/* The restriction of JCS in provenance 3.1. */
static bool is_restricted(json_t *value, unsigned depth)
{
    const char *key;
    json_t *item;
    size_t i;
    if (depth > DEPTH_MOST)
        return false;
    json_object_foreach(value, key, item)
    {
        if (!is_plain_text(key, strlen(key)) || !is_restricted(item, depth + 1))
            return false;
    }
    json_array_foreach(value, i, item)
    {
        if (!is_restricted(item, depth + 1))
            return false;
    }
    if (json_is_string(value))
        return is_plain_text(json_string_value(value), json_string_length(value));
    if (json_is_integer(value))
        return json_integer_value(value) > -LEAF_INTEGER_LIMIT && json_integer_value(value) < LEAF_INTEGER_LIMIT;
    return !json_is_real(value) && !json_is_null(value);
}

static int add_piece(const char *data, size_t len, void *out)
{
    buf_add(out, data, len);
    return 0;
}

/* Keys are ASCII, so that their order is the same by bytes as by the UTF-16 units of RFC 8785. */
static void write_sorted(const json_t *value, struct buf *out)
{
    json_dump_callback(value, add_piece, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static enum status read_canonical(struct str bytes, json_t **out, struct error *err)
{
    auto_buf struct buf again = {0};
    TRY(json_read(bytes, LEAF_MOST, out, err));
    if (!json_is_object(*out) || !is_restricted(*out, 0))
        return malformed(err, "it holds a value that no leaf may have");
    write_sorted(*out, &again);
    return str_eq(buf_view(&again), bytes) ? OK : malformed(err, "it is not in the one form that a leaf has");
}

/* Members are taken off the object as they are read, so that what remains in the end is what should not be there. */

static bool take_hex(json_t *object, const char *key, uint8_t *out, size_t len)
{
    struct str text = json_get_str(object, key);
    if (!leaf_is_hex(text, 2 * len) || !hex_decode(text, out, len))
        return false;
    json_object_del(object, key);
    return true;
}

static bool take_text(json_t *object, const char *key, struct arena *arena, struct str *out)
{
    struct str text = json_get_str(object, key);
    if (!str_given(text))
        return false;
    *out = arena_copy(arena, text);
    json_object_del(object, key);
    return true;
}

static bool take_time(json_t *object, struct arena *arena, int64_t *out)
{
    struct str text;
    struct tm tm = {0};
    char again[21], end;
    if (!take_text(object, "ts", arena, &text) || text.len != 20 ||
        sscanf(text.data, "%4d-%2d-%2dT%2d:%2d:%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &end) != 7)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out = timegm(&tm);
    if (*out < 0 || *out >= LEAF_TIME_LIMIT)
        return false;
    leaf_time(*out, again); /* a 30th of February, or a sign, comes out differently */
    return str_eq(text, str_of(again));
}

static bool take_auth(json_t *object, struct arena *arena, enum leaf_auth *out)
{
    struct str text;
    if (!take_text(object, "auth", arena, &text))
        return false;
    for (int i = 0; leaf_auth_names[i]; i++)
        if (str_eq(text, str_of(leaf_auth_names[i]))) {
            *out = (enum leaf_auth)i;
            return true;
        }
    return false;
}

static bool take_actor(json_t *object, struct leaf *leaf)
{
    leaf->by_person = take_hex(object, "actor", leaf->actor, sizeof leaf->actor);
    if (leaf->by_person)
        return true;
    bool by_hub = str_eq(json_get_str(object, "actor"), STR("hub"));
    json_object_del(object, "actor");
    return by_hub;
}

static bool take_chain(json_t *object, struct leaf *leaf)
{
    const json_t *rseq = json_object_get(object, "rseq");
    leaf->of_repo = json_object_get(object, "repo") != NULL;
    if (!leaf->of_repo)
        return true; /* "rseq" and "rprev" alone would remain */
    if (!json_is_integer(rseq) || json_integer_value(rseq) < 0)
        return false;
    leaf->rseq = (uint64_t)json_integer_value(rseq);
    json_object_del(object, "rseq");
    return take_hex(object, "repo", leaf->repo, sizeof leaf->repo) &&
           take_hex(object, "rprev", leaf->previous, sizeof leaf->previous);
}

static bool take_evidence(json_t *object, struct leaf *leaf)
{
    leaf->has_evidence = json_object_get(object, "ev") != NULL;
    return !leaf->has_evidence || take_hex(object, "ev", leaf->evidence, sizeof leaf->evidence);
}

static bool take_subjects(json_t *object, struct arena *arena, struct leaf *leaf)
{
    json_t *list = json_object_get(object, "subj"), *item;
    size_t count = json_array_size(list), i;
    if (!list)
        return true;
    if (count == 0 || count > LEAF_LIST_MOST)
        return false;
    json_array_foreach(list, i, item)
    {
        struct leaf_subject *subject = &leaf->subjects[leaf->subject_count++];
        if (!take_text(item, "alg", arena, &subject->algorithm) || !take_text(item, "d", arena, &subject->digest) ||
            json_object_size(item) != 0)
            return false;
    }
    json_object_del(object, "subj");
    return true;
}

static bool take_commitments(json_t *object, struct arena *arena, struct leaf *leaf)
{
    json_t *map = json_object_get(object, "com"), *item;
    const char *field;
    void *next;
    size_t count = json_object_size(map);
    if (!map)
        return true;
    if (count == 0 || count > LEAF_LIST_MOST)
        return false;
    json_object_foreach_safe(map, next, field, item)
    {
        uint8_t digest[SHA256_SIZE];
        const char *kept = arena_cstr(arena, str_of(field));
        if (!take_hex(map, kept, digest, sizeof digest))
            return false;
        leaf_commit(leaf, kept, digest);
    }
    json_object_del(object, "com");
    return true;
}

static bool take_value(json_t *body, const struct leaf_member *member, struct arena *arena, struct leaf_value *out)
{
    const json_t *value = json_object_get(body, member->name);
    out->given = value != NULL;
    if (!value)
        return true; /* leaf_check() knows whether it may be missing */
    if (member->kind != LEAF_COUNT && member->kind != LEAF_FLAG)
        return take_text(body, member->name, arena, &out->text);
    if (member->kind == LEAF_COUNT ? !json_is_integer(value) : !json_is_boolean(value))
        return false;
    out->number = json_is_integer(value) ? json_integer_value(value) : json_is_true(value);
    json_object_del(body, member->name);
    return true;
}

static bool take_body(json_t *object, struct arena *arena, struct leaf *leaf)
{
    json_t *body = json_object_get(object, "b");
    const struct leaf_type *type = leaf_type_find(leaf->type);
    auto_buf struct buf other = {0};
    if (!json_is_object(body))
        return false;
    for (int i = 0; type && type->members[i].name; i++)
        if (!take_value(body, &type->members[i], arena, &leaf->body[i]))
            return false;
    if (type && json_object_size(body) != 0)
        return false;
    if (!type) {
        write_sorted(body, &other);
        leaf->other_body = arena_copy(arena, buf_view(&other));
    }
    json_object_del(object, "b");
    return true;
}

enum status leaf_parse(struct arena *arena, struct str bytes, struct leaf *out, struct error *err)
{
    auto_json json_t *object = NULL;
    *out = (struct leaf){0};
    TRY(read_canonical(bytes, &object, err));
    const json_t *version = json_object_get(object, "v");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return malformed(err, "it names no version");
    if (json_integer_value(version) != 1)
        return fail(err, UNSUPPORTED, NULL, "This leaf has version %lld of the format, and this program knows 1.",
                    (long long)json_integer_value(version));
    json_object_del(object, "v");
    if (!take_text(object, "type", arena, &out->type) || out->type.len == 0 || !take_time(object, arena, &out->at) ||
        !take_auth(object, arena, &out->auth) || !take_actor(object, out) || !take_chain(object, out) ||
        !take_evidence(object, out) || !take_subjects(object, arena, out) || !take_commitments(object, arena, out) ||
        !take_body(object, arena, out))
        return malformed(err, "a member is missing, or is not what its type allows");
    if (json_object_size(object) != 0)
        return malformed(err, "it has a member that leaves do not have");
    return leaf_check(out, err);
}
