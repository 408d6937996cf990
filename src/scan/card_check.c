/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/validate-yaml: what is wrong with a card (hub-protocol 1.6). */
#include "scan/card.h"

/* The identifiers that cards use for licences, which are mostly but not all SPDX's in lower case. */
static const char *const licenses[] = {
    "apache-2.0",
    "mit",
    "openrail",
    "bigscience-openrail-m",
    "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m",
    "afl-3.0",
    "artistic-2.0",
    "bsl-1.0",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "c-uda",
    "cc",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "wtfpl",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "agpl-3.0",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "isc",
    "h-research",
    "intel-research",
    "lppl-1.3c",
    "ms-pl",
    "apple-ascl",
    "apple-amlr",
    "mpl-2.0",
    "odc-by",
    "odbl",
    "openmdw-1.0",
    "openrail++",
    "osl-3.0",
    "postgresql",
    "ofl-1.1",
    "ncsa",
    "unlicense",
    "zlib",
    "pddl",
    "lgpl-lr",
    "deepfloyd-if-license",
    "fair-noncommercial-research-license",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "grok2-community",
    "gemma",
    "unknown",
    "other",
};

#define LICENSE_COUNT (sizeof licenses / sizeof *licenses)
#define FINDINGS_LIMIT 32 /* more than there are fields */

enum shape { STRING, STRINGS, LIST };

/* The fields whose type tools rely on. A field that is given without a value is as one that is not given. */
static const struct {
    const char *key, *kind; /* kind NULL: all */
    enum shape shape;
} fields[] = {
    {"tags", NULL, STRINGS},           {"language", NULL, STRINGS},
    {"datasets", NULL, STRINGS},       {"base_model", "model", STRINGS},
    {"pipeline_tag", "model", STRING}, {"library_name", "model", STRING},
    {"model-index", "model", LIST},    {"task_categories", "dataset", STRINGS},
    {"task_ids", "dataset", STRINGS},  {"size_categories", "dataset", STRINGS},
};

static void add_finding(struct arena *arena, struct card_findings *findings, struct str message)
{
    if (!findings->messages)
        findings->messages = arena_array(arena, FINDINGS_LIMIT, sizeof *findings->messages);
    if (findings->count < FINDINGS_LIMIT)
        findings->messages[findings->count++] = message;
}

static bool all_strings(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return json_is_array(list);
}

static bool has_shape(const json_t *value, enum shape shape)
{
    if (shape == LIST)
        return json_is_array(value);
    return json_is_string(value) || (shape == STRINGS && all_strings(value));
}

static void check_fields(struct arena *arena, const json_t *card, struct str kind, struct card_report *report)
{
    static const char *const wanted[] = {"a string", "a string or a list of strings", "a list"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(card, fields[i].key);
        bool applies = !fields[i].kind || str_eq(kind, str_of(fields[i].kind));
        if (applies && value && !json_is_null(value) && !has_shape(value, fields[i].shape))
            add_finding(arena, &report->errors,
                        arena_printf(arena, "\"%s\" must be %s", fields[i].key, wanted[fields[i].shape]));
    }
}

static bool is_license(const json_t *value)
{
    for (size_t i = 0; i < LICENSE_COUNT; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), licenses[i]) == 0)
            return true;
    return false;
}

static bool are_licenses(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_license(json_array_get(value, i)))
            return false;
    return json_array_size(value) > 0 || is_license(value);
}

static void check_license(struct arena *arena, const json_t *card, struct card_report *report)
{
    const json_t *value = json_object_get(card, "license");
    if (!value || json_is_null(value) || are_licenses(value))
        return;
    auto_buf struct buf text = {0};
    buf_str(&text, STR("\"license\" must be one of [")); /* clients look for these words */
    for (size_t i = 0; i < LICENSE_COUNT; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", licenses[i]);
    buf_byte(&text, ']');
    add_finding(arena, &report->errors, arena_copy(arena, buf_view(&text)));
}

void card_validate(struct arena *arena, struct str readme, struct str kind, struct card_report *report)
{
    auto_json json_t *card = NULL;
    struct error err;
    *report = (struct card_report){0};
    if (card_read(readme, &card, &err) != OK) {
        add_finding(arena, &report->errors, arena_copy(arena, str_of(err.message)));
        return;
    }
    if (json_object_size(card) == 0)
        add_finding(arena, &report->warnings, STR("empty or missing yaml metadata in repo card"));
    check_license(arena, card, report);
    check_fields(arena, card, kind, report);
}
