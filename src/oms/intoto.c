/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/intoto.h"

#include "oms/internal.h"

#define STATEMENT_TYPE STR("https://in-toto.io/Statement/v1")

void intoto_write(struct buf *out, const char *predicate_type, const struct intoto_subject *subjects, size_t count,
                  struct str predicate)
{
    struct json_writer json = jw_to(out);
    jw_object(&json);
    jw_key_str(&json, "_type", STATEMENT_TYPE);
    jw_key(&json, "subject");
    jw_array(&json);
    for (size_t i = 0; i < count; i++) {
        jw_object(&json);
        jw_key_str(&json, "name", subjects[i].name);
        jw_key(&json, "digest");
        jw_object(&json);
        jw_key_str(&json, subjects[i].algorithm, subjects[i].digest);
        jw_end(&json);
        jw_end(&json);
    }
    jw_end(&json);
    jw_key_str(&json, "predicateType", str_of(predicate_type));
    jw_key(&json, "predicate");
    jw_raw(&json, predicate);
    jw_end(&json);
}

static bool is_hex(const json_t *value)
{
    struct str text = {json_string_value(value), json_string_length(value)};
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.data[i]))
            return false;
    return text.len > 0;
}

static bool subject_fits(const json_t *subject)
{
    const json_t *digests = json_object_get(subject, "digest"), *name = json_object_get(subject, "name");
    const char *key;
    json_t *value;
    if (json_object_size(digests) == 0 || (name && !json_is_string(name)))
        return false;
    json_object_foreach((json_t *)digests, key, value)
    {
        if (!is_hex(value))
            return false;
    }
    return true;
}

static enum status read_parts(struct intoto_statement *out, struct error *err)
{
    static const char *const names[] = {"_type", "subject", "predicateType", "predicate", NULL};
    TRY(members_only(out->root, "The statement", names, err));
    struct str type = json_get_str(out->root, "_type");
    if (!str_given(type) || !str_eq(type, STATEMENT_TYPE))
        return fail(err, INVALID, NULL, "This is not an in-toto statement: its \"_type\" should be \"%s\".",
                    STATEMENT_TYPE.data);
    out->subjects = json_object_get(out->root, "subject");
    if (json_array_size(out->subjects) == 0)
        return fail(err, INVALID, NULL, "The statement's \"subject\" should be a list with at least one item.");
    for (size_t i = 0; i < json_array_size(out->subjects); i++)
        if (!subject_fits(json_array_get(out->subjects, i)))
            return fail(err, INVALID, NULL, "Subject %zu of the statement has no digest in lower case hex.", i + 1);
    out->predicate_type = json_get_str(out->root, "predicateType");
    out->predicate = json_object_get(out->root, "predicate");
    if (!str_given(out->predicate_type) || out->predicate_type.len == 0 || !json_is_object(out->predicate))
        return fail(err, INVALID, NULL, "The statement should have a \"predicateType\" and a \"predicate\".");
    return OK;
}

enum status intoto_read(struct str payload, struct intoto_statement *out, struct error *err)
{
    *out = (struct intoto_statement){0};
    if (payload.len > INTOTO_MOST)
        return fail(err, TOO_LARGE, NULL, "The statement has %zu bytes; %d are allowed.", payload.len, INTOTO_MOST);
    TRY(strict_json(payload, "The statement", INTOTO_VALUES_MOST, &out->root, err));
    enum status status = read_parts(out, err);
    if (status != OK) {
        json_decref(out->root);
        *out = (struct intoto_statement){0};
    }
    return status;
}

bool intoto_is_about(const struct intoto_statement *statement, const char *algorithm, struct str digest)
{
    bool is_folder = strcmp(algorithm, "dirHash1") == 0 || strcmp(algorithm, "dirHash") == 0;
    const char *const names[] = {is_folder ? "dirHash1" : algorithm, is_folder ? "dirHash" : algorithm};
    for (size_t i = 0; i < json_array_size(statement->subjects); i++) {
        const json_t *digests = json_object_get(json_array_get(statement->subjects, i), "digest");
        for (size_t n = 0; n < 2; n++) {
            struct str found = json_get_str(digests, names[n]);
            if (str_given(found) && str_eq(found, digest))
                return true;
        }
    }
    return false;
}
