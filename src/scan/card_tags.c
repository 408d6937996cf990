/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tags that a card gives to its repo. */
#include "scan/card.h"

#define TAG_LIMIT 256 /* bytes */

enum { MODEL = 1, DATASET = 2, SPACE = 4, ALL = 7 };

/* A field gives a tag for each of its values; where two kinds write a field differently it stands here twice. */
struct rule {
    const char *key, *prefix;
    unsigned kinds;
};

static const struct rule before_text[] = {
    {"library_name", "", MODEL},
    {"sdk", "", SPACE},
    {"pipeline_tag", "", MODEL},
    {"task_categories", "task_categories:", DATASET},
    {"task_ids", "task_ids:", DATASET},
    {"annotations_creators", "annotations_creators:", DATASET},
    {"language_creators", "language_creators:", DATASET},
    {"multilinguality", "multilinguality:", DATASET},
    {"source_datasets", "source_datasets:", DATASET},
    {"tags", "", ALL},
    {"language", "", MODEL},
    {"language", "language:", DATASET},
    {"datasets", "dataset:", MODEL},
};
static const struct rule after_text[] = {
    {"base_model", "base_model:", MODEL},
    {"license", "license:", ALL},
    {"size_categories", "size_categories:", DATASET},
};

struct tags {
    json_t *seen;
    void (*add)(void *context, struct str tag);
    void *context;
};

static void add_tag(struct tags *tags, const char *prefix, const char *infix, struct str value)
{
    char text[TAG_LIMIT + 1];
    if (value.len == 0 || strlen(prefix) + strlen(infix) + value.len > TAG_LIMIT)
        return;
    snprintf(text, sizeof text, "%s%s%.*s", prefix, infix, STR_ARG(value));
    if (json_object_get(tags->seen, text))
        return;
    json_object_set_new(tags->seen, text, json_true());
    tags->add(tags->context, str_of(text));
}

static void add_values(struct tags *tags, const json_t *field, const char *prefix, const char *infix)
{
    if (json_is_string(field))
        add_tag(tags, prefix, infix, (struct str){json_string_value(field), json_string_length(field)});
    for (size_t i = 0; i < json_array_size(field); i++) {
        const json_t *item = json_array_get(field, i);
        if (json_is_string(item))
            add_tag(tags, prefix, infix, (struct str){json_string_value(item), json_string_length(item)});
    }
}

static void add_rules(struct tags *tags, const json_t *card, unsigned kind, const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].kinds & kind)
            add_values(tags, json_object_get(card, rules[i].key), rules[i].prefix, "");
}

/* What a model was made from, once more with how; what the card does not say is a finetune. */
static void add_relation(struct tags *tags, const json_t *card)
{
    static const char *const known[] = {"adapter:", "merge:", "quantized:"};
    struct str relation = json_get_str(card, "base_model_relation");
    const char *infix = "finetune:";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_given(relation) && str_eq(relation, str_slice(str_of(known[i]), 0, strlen(known[i]) - 1)))
            infix = known[i];
    add_values(tags, json_object_get(card, "base_model"), "base_model:", infix);
}

static size_t digits(struct str s)
{
    size_t count = 0;
    while (count < s.len && s.data[count] >= '0' && s.data[count] <= '9')
        count++;
    return count;
}

/* The number at the start of s: four digits, a point, four or five digits; versions ("v2") are left off. */
static struct str arxiv_number(struct str s)
{
    if (digits(s) != 4 || s.len < 9 || s.data[4] != '.')
        return (struct str){0};
    size_t rest = digits(str_from(s, 5));
    return rest == 4 || rest == 5 ? str_slice(s, 0, 5 + rest) : (struct str){0};
}

static void add_arxiv(struct tags *tags, struct str text)
{
    static const char *const leads[] = {"arxiv.org/abs/", "arxiv.org/pdf/", "arxiv:"};
    for (size_t at = 0; at < text.len; at++) {
        if ((text.data[at] | 0x20) != 'a')
            continue;
        struct str here = str_from(text, at);
        for (size_t i = 0; i < sizeof leads / sizeof *leads; i++) {
            struct str lead = str_of(leads[i]);
            if (str_eq_nocase(str_slice(here, 0, lead.len), lead))
                add_tag(tags, "arxiv:", "", arxiv_number(str_from(here, lead.len)));
        }
    }
}

void card_tags(const json_t *card, struct str readme, struct str kind, void (*add)(void *context, struct str tag),
               void *context)
{
    struct tags tags = {json_object(), add, context};
    unsigned bit = str_eq(kind, STR("model")) ? MODEL : str_eq(kind, STR("dataset")) ? DATASET : SPACE;
    add_rules(&tags, card, bit, before_text, sizeof before_text / sizeof *before_text);
    add_arxiv(&tags, readme);
    add_rules(&tags, card, bit, after_text, sizeof after_text / sizeof *after_text);
    if (bit == MODEL)
        add_relation(&tags, card);
    json_decref(tags.seen);
}
