/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The card's YAML, by libyaml's events rather than its documents: an event costs nothing until we keep it, so the
 * limits hold before memory is spent, and what an alias stands for is copied under the same count.
 */
#include "scan/card.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; ours to delete */
    bool has_event;
    json_t *anchors; /* name to value */
    size_t nodes, copied, text;
    int first_line; /* of the block in the README */
    struct error *err;
};

/* The block. */

static struct str next_line(struct str *rest)
{
    struct str line = {0};
    str_cut(rest, '\n', &line);
    return line;
}

/* Only what ends a line may follow the dashes: "--- a" starts a document with content, and belongs to the YAML. */
static bool is_fence(struct str line)
{
    return str_starts(line, STR("---")) && str_trim(str_from(line, 3)).len == 0;
}

bool card_find(struct str readme, struct str *yaml, int *line)
{
    struct str rest = str_starts(readme, STR("\xef\xbb\xbf")) ? str_from(readme, 3) : readme;
    struct str current;
    int number = 0;
    do {
        if (!str_given(rest))
            return false;
        current = next_line(&rest);
        number++;
    } while (str_trim(current).len == 0);
    if (!is_fence(current) || !str_given(rest))
        return false;
    if (line)
        *line = number + 1;
    *yaml = (struct str){rest.data, 0};
    while (str_given(rest)) {
        current = next_line(&rest);
        if (is_fence(current)) {
            yaml->len = (size_t)(current.data - yaml->data);
            return true;
        }
    }
    return false;
}

/* Events. */

static enum status bad_at(struct reader *r, enum status status, yaml_mark_t mark, const char *what)
{
    return fail(r->err, status, NULL, "Invalid metadata at line %zu, column %zu: %s", mark.line + (size_t)r->first_line,
                mark.column + 1, what);
}

static enum status bad(struct reader *r, enum status status, const char *what)
{
    return bad_at(r, status, r->event.start_mark, what);
}

static enum status bad_yaml(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "it cannot be read";
    if (p->error == YAML_READER_ERROR) /* found before there are lines: an encoding or a control character */
        return bad_at(r, INVALID, p->mark, problem);
    return bad_at(r, INVALID, p->problem_mark, problem);
}

static void drop_event(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
}

static enum status next_event(struct reader *r)
{
    drop_event(r);
    if (!yaml_parser_parse(&r->parser, &r->event))
        return bad_yaml(r);
    r->has_event = true;
    return OK;
}

/* Counting and copying. */

static enum status count_node(struct reader *r, size_t text, int depth)
{
    r->nodes++;
    r->text += text;
    if (depth > CARD_DEPTH_LIMIT)
        return bad(r, TOO_LARGE, "lists and mappings are nested too deeply");
    if (r->nodes > CARD_NODES_LIMIT || r->text > CARD_TEXT_LIMIT)
        return bad(r, TOO_LARGE, "there are too many values");
    if (r->copied > CARD_COPIED_LIMIT)
        return bad(r, TOO_LARGE, "the aliases stand for too many values");
    return OK;
}

static enum status copy_value(struct reader *r, const json_t *value, int depth, json_t **out);

static enum status copy_list(struct reader *r, const json_t *list, int depth, json_t *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = NULL;
        TRY(copy_value(r, json_array_get(list, i), depth, &item));
        json_array_append_new(out, item);
    }
    return OK;
}

static enum status copy_mapping(struct reader *r, const json_t *mapping, int depth, json_t *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)mapping, key, value)
    {
        json_t *copy = NULL;
        r->copied++;
        TRY(count_node(r, strlen(key), depth));
        TRY(copy_value(r, value, depth, &copy));
        json_object_set_new(out, key, copy);
    }
    return OK;
}

static enum status copy_value(struct reader *r, const json_t *value, int depth, json_t **out)
{
    r->copied++;
    if (!json_is_array(value) && !json_is_object(value)) {
        TRY(count_node(r, json_string_length(value), depth));
        *out = json_copy((json_t *)value);
        return OK;
    }
    TRY(count_node(r, 0, depth + 1));
    auto_json json_t *made = json_is_array(value) ? json_array() : json_object();
    TRY(json_is_array(value) ? copy_list(r, value, depth + 1, made) : copy_mapping(r, value, depth + 1, made));
    *out = json_incref(made);
    return OK;
}

static enum status read_alias(struct reader *r, int depth, json_t **out)
{
    const json_t *value = json_object_get(r->anchors, (const char *)r->event.data.alias.anchor);
    if (!value)
        return bad(r, INVALID, "the alias has no finished anchor before it");
    return copy_value(r, value, depth, out);
}

/* Scalars. */

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

/* The whole text as digits of the base after an optional sign. Decimals beyond 64 bits become floats, as in JavaScript.
 */
static json_t *integer_of(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    int base = strncmp(digits, "0x", 2) == 0 ? 16 : strncmp(digits, "0o", 2) == 0 ? 8 : 10;
    const char *allowed = base == 16 ? "0123456789abcdefABCDEF" : base == 8 ? "01234567" : "0123456789";
    char *end;
    if (base != 10)
        digits += 2;
    if (!*digits || digits[strspn(digits, allowed)])
        return NULL;
    errno = 0;
    long long value = strtoll(digits, &end, base);
    if (errno)
        return NULL;
    return json_integer(*text == '-' ? -value : value);
}

/* [-+] digits [. digits] [e [-+] digits], with a digit before or after the point. What JSON cannot say stays a string.
 */
static json_t *float_of(const char *text)
{
    const char *p = text + (*text == '-' || *text == '+');
    size_t whole = strspn(p, "0123456789"), part = 0;
    p += whole;
    if (*p == '.') {
        part = strspn(p + 1, "0123456789");
        p += 1 + part;
    }
    if (whole + part == 0)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        size_t exponent = strspn(p, "0123456789");
        if (exponent == 0)
            return NULL;
        p += exponent;
    }
    double value = *p ? INFINITY : strtod(text, NULL);
    return isfinite(value) ? json_real(value) : NULL;
}

static json_t *plain_of(const char *text, size_t len)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    json_t *value = integer_of(text);
    if (!value)
        value = float_of(text);
    return value ? value : json_stringn(text, len);
}

/* The tags that say what the text says already, and !!str; with others a file asks for a program of its own. */
static enum status check_tag(struct reader *r, const yaml_char_t *tag, bool *is_string)
{
    static const char *const known[] = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG, YAML_FLOAT_TAG,
                                        YAML_SEQ_TAG,  YAML_MAP_TAG,  NULL};
    const char *text = tag ? (const char *)tag : YAML_NULL_TAG;
    *is_string = strcmp(text, YAML_STR_TAG) == 0 || strcmp(text, "!") == 0;
    if (!*is_string && !is_one_of(text, known))
        return bad(r, INVALID, "tags other than those of YAML's core schema are not accepted");
    return OK;
}

static enum status read_scalar(struct reader *r, int depth, json_t **out)
{
    const char *text = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    bool is_string;
    TRY(check_tag(r, r->event.data.scalar.tag, &is_string));
    if (memchr(text, 0, len))
        return bad(r, INVALID, "NUL characters are not accepted");
    TRY(count_node(r, len, depth));
    is_string |= r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = is_string ? json_stringn(text, len) : plain_of(text, len);
    return *out ? OK : bad(r, INVALID, "the text is not UTF-8");
}

/* Structure. */

static enum status read_value(struct reader *r, int depth, json_t **out);

static enum status read_list(struct reader *r, int depth, json_t *out)
{
    for (;;) {
        json_t *item = NULL;
        TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return OK;
        TRY(read_value(r, depth, &item));
        json_array_append_new(out, item);
    }
}

/* The caller owns *key also when it is refused. */
static enum status read_key(struct reader *r, int depth, const json_t *mapping, json_t **key)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return bad(r, INVALID, "a key must be a plain text");
    r->event.data.scalar.style = YAML_DOUBLE_QUOTED_SCALAR_STYLE; /* as it is written: 1 and true are "1" and "true" */
    TRY(read_scalar(r, depth, key));
    return json_object_get(mapping, json_string_value(*key)) ? bad(r, INVALID, "the key is given twice") : OK;
}

static enum status read_mapping(struct reader *r, int depth, json_t *out)
{
    for (;;) {
        auto_json json_t *key = NULL;
        json_t *value = NULL;
        TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return OK;
        TRY(read_key(r, depth, out, &key));
        TRY(next_event(r));
        TRY(read_value(r, depth, &value));
        json_object_set_new(out, json_string_value(key), value);
    }
}

static enum status read_collection(struct reader *r, int depth, json_t **out)
{
    bool is_list = r->event.type == YAML_SEQUENCE_START_EVENT, is_string;
    TRY(check_tag(r, is_list ? r->event.data.sequence_start.tag : r->event.data.mapping_start.tag, &is_string));
    TRY(count_node(r, 0, depth + 1));
    auto_json json_t *made = is_list ? json_array() : json_object();
    TRY(is_list ? read_list(r, depth + 1, made) : read_mapping(r, depth + 1, made));
    *out = json_incref(made);
    return OK;
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

/* The value that starts with the current event. Its anchor counts once it is finished, so nothing can contain itself.
 */
static enum status read_value(struct reader *r, int depth, json_t **out)
{
    if (r->event.type == YAML_ALIAS_EVENT)
        return read_alias(r, depth, out);
    auto_json json_t *anchor = anchor_of(&r->event) ? json_string((const char *)anchor_of(&r->event)) : NULL;
    TRY(r->event.type == YAML_SCALAR_EVENT ? read_scalar(r, depth, out) : read_collection(r, depth, out));
    if (anchor)
        json_object_set(r->anchors, json_string_value(anchor), *out);
    return OK;
}

/* An empty block has no document, and one of comments has an empty one: both are an empty card. */
static enum status read_document(struct reader *r, json_t **out)
{
    TRY(next_event(r)); /* the stream starts */
    TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) {
        *out = json_object();
        return OK;
    }
    auto_json json_t *card = NULL;
    TRY(next_event(r));
    yaml_mark_t start = r->event.start_mark;
    TRY(read_value(r, 0, &card));
    if (json_is_null(card)) {
        json_decref(card);
        card = json_object();
    }
    if (!json_is_object(card))
        return bad_at(r, INVALID, start, "the metadata must be a mapping of keys to values");
    TRY(next_event(r)); /* the document ends */
    TRY(next_event(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return bad(r, INVALID, "there is more than one document");
    *out = json_incref(card);
    return OK;
}

enum status card_read(struct str readme, json_t **out, struct error *err)
{
    struct reader r = {.err = err};
    struct str yaml;
    *out = NULL;
    if (!card_find(readme, &yaml, &r.first_line)) {
        *out = json_object();
        return OK;
    }
    if (yaml.len > CARD_YAML_LIMIT)
        return fail(err, TOO_LARGE, NULL, "The metadata has %zu bytes; at most %d are accepted", yaml.len,
                    CARD_YAML_LIMIT);
    if (!yaml_parser_initialize(&r.parser))
        return fail(err, INTERNAL, NULL, "Out of memory for the metadata");
    r.anchors = json_object();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING); /* else a byte order mark could choose UTF-16 */
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml.data, yaml.len);
    enum status status = read_document(&r, out);
    drop_event(&r);
    json_decref(r.anchors);
    yaml_parser_delete(&r.parser);
    return status;
}
