/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/json.h"
#include "leaf/leaf_type.h"
#include <assert.h>

static struct leaf_value *place(struct leaf *leaf, const char *member)
{
    const struct leaf_type *type = leaf_type_find(leaf->type);
    int at = type ? leaf_member_find(type, str_of(member)) : -1;
    assert(at >= 0);
    return &leaf->body[at];
}

void leaf_set_text(struct leaf *leaf, const char *member, struct str text)
{
    *place(leaf, member) = (struct leaf_value){.given = str_given(text), .text = text};
}

void leaf_set_number(struct leaf *leaf, const char *member, int64_t number)
{
    *place(leaf, member) = (struct leaf_value){.given = true, .number = number};
}

struct leaf_value leaf_get(const struct leaf *leaf, const char *member)
{
    const struct leaf_type *type = leaf_type_find(leaf->type);
    int at = type ? leaf_member_find(type, str_of(member)) : -1;
    return at >= 0 ? leaf->body[at] : (struct leaf_value){0};
}

void leaf_add_subject(struct leaf *leaf, const char *algorithm, struct str digest)
{
    assert(leaf->subject_count < LEAF_LIST_MOST);
    leaf->subjects[leaf->subject_count++] = (struct leaf_subject){str_of(algorithm), digest};
}

void leaf_commit(struct leaf *leaf, const char *field, const uint8_t digest[SHA256_SIZE])
{
    assert(leaf->commitment_count < LEAF_LIST_MOST);
    struct leaf_commitment new = {.field = str_of(field)};
    memcpy(new.digest, digest, sizeof new.digest);
    size_t at = leaf->commitment_count++;
    for (; at > 0 && str_cmp(leaf->commitments[at - 1].field, new.field) > 0; at--)
        leaf->commitments[at] = leaf->commitments[at - 1];
    leaf->commitments[at] = new;
    assert(at == 0 || !str_eq(leaf->commitments[at - 1].field, new.field));
}

/* Writing. Keys come in the order that JCS wants: of their bytes. */

static void add_value(struct json_writer *w, const struct leaf_member *member, const struct leaf_value *value)
{
    if (member->kind == LEAF_COUNT)
        jw_key_int(w, member->name, value->number);
    else if (member->kind == LEAF_FLAG)
        jw_key_bool(w, member->name, value->number == 1);
    else
        jw_key_str(w, member->name, value->text);
}

static void add_body(struct json_writer *w, const struct leaf_type *type, const struct leaf *leaf)
{
    jw_key(w, "b");
    jw_object(w);
    for (int i = 0; type->members[i].name; i++)
        if (leaf->body[i].given)
            add_value(w, &type->members[i], &leaf->body[i]);
    jw_end(w);
}

static void add_commitments(struct json_writer *w, const struct leaf *leaf)
{
    auto_arena struct arena arena = {0};
    if (leaf->commitment_count == 0)
        return;
    jw_key(w, "com");
    jw_object(w);
    for (size_t i = 0; i < leaf->commitment_count; i++)
        jw_key_hex(w, arena_cstr(&arena, leaf->commitments[i].field), leaf->commitments[i].digest, SHA256_SIZE);
    jw_end(w);
}

static void add_chain(struct json_writer *w, const struct leaf *leaf)
{
    if (!leaf->of_repo)
        return;
    jw_key_hex(w, "repo", leaf->repo, sizeof leaf->repo);
    jw_key_hex(w, "rprev", leaf->previous, sizeof leaf->previous);
    jw_key_int(w, "rseq", (int64_t)leaf->rseq);
}

static void add_subjects(struct json_writer *w, const struct leaf *leaf)
{
    if (leaf->subject_count == 0)
        return;
    jw_key(w, "subj");
    jw_array(w);
    for (size_t i = 0; i < leaf->subject_count; i++) {
        jw_object(w);
        jw_key_str(w, "alg", leaf->subjects[i].algorithm);
        jw_key_str(w, "d", leaf->subjects[i].digest);
        jw_end(w);
    }
    jw_end(w);
}

static void add_leaf(struct json_writer *w, const struct leaf_type *type, const struct leaf *leaf)
{
    char time[21];
    leaf_time(leaf->at, time);
    jw_object(w);
    if (leaf->by_person)
        jw_key_hex(w, "actor", leaf->actor, sizeof leaf->actor);
    else
        jw_key_str(w, "actor", STR("hub"));
    jw_key_str(w, "auth", str_of(leaf_auth_names[leaf->auth]));
    add_body(w, type, leaf);
    add_commitments(w, leaf);
    if (leaf->has_evidence)
        jw_key_hex(w, "ev", leaf->evidence, sizeof leaf->evidence);
    add_chain(w, leaf);
    add_subjects(w, leaf);
    jw_key_str(w, "ts", str_of(time));
    jw_key_str(w, "type", leaf->type);
    jw_key_int(w, "v", 1);
    jw_end(w);
}

enum status leaf_write(const struct leaf *leaf, struct buf *out, struct error *err)
{
    struct error reason;
    const struct leaf_type *type = leaf_type_find(leaf->type);
    assert(type);
    if (leaf_check(leaf, &reason) != OK)
        return fail(err, INTERNAL, NULL, "A change cannot be logged, so it was not made. %s", reason.message);
    size_t before = out->len;
    struct json_writer w = jw_to(out);
    add_leaf(&w, type, leaf);
    assert(out->len - before <= LEAF_MOST); /* the lists are bounded, and so is each value */
    return OK;
}
