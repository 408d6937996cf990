/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading forms. Answers are checked in answer.c. */
#include "gate/form.h"
#include "gate/internal.h"

#define NAME_LIMIT 128
#define LABEL_LIMIT 1000
#define OPTION_LIMIT 200
#define PROMPT_LIMIT 20000
#define MAX_LIMIT INT64_C(1000000000000)

static const char *const type_names[FIELD_TYPES] = {
    [FIELD_TEXT] = "text",         [FIELD_LONGTEXT] = "longtext", [FIELD_EMAIL] = "email",   [FIELD_URL] = "url",
    [FIELD_COUNTRY] = "country",   [FIELD_DATE] = "date",         [FIELD_NUMBER] = "number", [FIELD_CHOICE] = "choice",
    [FIELD_CHECKBOX] = "checkbox", [FIELD_ORCID] = "orcid",
};

const char *field_type_name(enum field_type type)
{
    return type_names[type];
}

static bool find_type(struct str name, enum field_type *out)
{
    for (enum field_type type = 0; type < FIELD_TYPES; type++)
        if (str_eq(name, str_of(type_names[type]))) {
            *out = type;
            return true;
        }
    return false;
}

const struct form_field *form_field(const struct form *form, struct str name)
{
    for (size_t i = 0; i < form->count; i++)
        if (str_eq(form->fields[i].name, name))
            return &form->fields[i];
    return NULL;
}

/* Writing: what is kept and hashed. */

static void write_field(struct json_writer *w, const struct form_field *field)
{
    jw_object(w);
    jw_key_str(w, "name", field->name);
    jw_key_str(w, "type", str_of(field_type_name(field->type)));
    if (!str_eq(field->label, field->name))
        jw_key_str(w, "label", field->label);
    jw_key_bool(w, "required", field->required);
    if (field->type == FIELD_CHOICE) {
        jw_key(w, "options");
        jw_array(w);
        for (size_t i = 0; i < field->option_count; i++)
            jw_str(w, field->options[i]);
        jw_end(w);
    }
    if (field->max)
        jw_key_int(w, "max", field->max);
    if (field->personal)
        jw_key_bool(w, "personal", field->personal == 1);
    jw_end(w);
}

static void form_finish(struct arena *arena, struct form *form)
{
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_object(&w);
    if (str_given(form->heading))
        jw_key_str(&w, "heading", form->heading);
    if (str_given(form->prompt))
        jw_key_str(&w, "prompt", form->prompt);
    if (str_given(form->button))
        jw_key_str(&w, "button", form->button);
    jw_key(&w, "fields");
    jw_array(&w);
    for (size_t i = 0; i < form->count; i++)
        write_field(&w, &form->fields[i]);
    jw_end(&w);
    jw_end(&w);
    form->text = arena_copy(arena, buf_view(&out));
    sha256(form->text, form->sha256);
}

/* The form of a policy. */

static enum status read_options(struct arena *arena, const json_t *options, struct form_field *out, struct error *err)
{
    size_t count = json_array_size(options); /* 0 for what is no list */
    if (count == 0 || count > FORM_OPTIONS_MOST)
        return fail(err, INVALID, NULL,
                    "The field \"%.*s\" is a choice: its \"options\" must be a list of 1 to %d texts",
                    STR_ARG(out->name), FORM_OPTIONS_MOST);
    out->options = arena_array(arena, count, sizeof *out->options);
    for (size_t i = 0; i < count; i++) {
        struct str option = json_str_of(json_array_get(options, i));
        if (!is_line(option, OPTION_LIMIT))
            return fail(err, INVALID, NULL, "Each option of the field \"%.*s\" must be a text of 1 to %d bytes",
                        STR_ARG(out->name), OPTION_LIMIT);
        out->options[out->option_count++] = arena_copy(arena, option);
    }
    return OK;
}

static enum status read_field(struct arena *arena, const json_t *field, struct form_field *out, struct error *err)
{
    static const char *const members[] = {"name", "type", "label", "required", "options", "max", "personal", NULL};
    struct str label = json_get_str(field, "label"), type = json_get_str(field, "type");
    const json_t *required = json_object_get(field, "required"), *max = json_object_get(field, "max");
    TRY(json_only(field, "A field of the form", members, err));
    out->name = arena_copy(arena, json_get_str(field, "name"));
    if (!is_line(out->name, NAME_LIMIT))
        return fail(err, INVALID, NULL, "Each field of the form needs a \"name\" of 1 to %d bytes", NAME_LIMIT);
    if (!find_type(type, &out->type))
        return fail(err, INVALID, NULL,
                    "The \"type\" of the field \"%.*s\" must be one of text, longtext, email, url, country, date, "
                    "number, choice, checkbox, orcid",
                    STR_ARG(out->name));
    if (json_object_get(field, "label") && !is_line(label, LABEL_LIMIT))
        return fail(err, INVALID, NULL, "The \"label\" of the field \"%.*s\" must be a line of 1 to %d bytes",
                    STR_ARG(out->name), LABEL_LIMIT);
    out->label = str_given(label) ? arena_copy(arena, label) : out->name;
    if (required && !json_is_boolean(required))
        return fail(err, INVALID, NULL, "\"required\" of the field \"%.*s\" must be true or false", STR_ARG(out->name));
    out->required = json_is_true(required);
    const json_t *personal = json_object_get(field, "personal");
    if (personal && !json_is_boolean(personal))
        return fail(err, INVALID, NULL, "\"personal\" of the field \"%.*s\" must be true or false", STR_ARG(out->name));
    out->personal = !personal ? 0 : json_is_true(personal) ? 1 : -1;
    if (max && (!json_is_integer(max) || json_integer_value(max) < 1 || json_integer_value(max) > MAX_LIMIT))
        return fail(err, INVALID, NULL, "\"max\" of the field \"%.*s\" must be a whole number above 0",
                    STR_ARG(out->name));
    out->max = json_integer_value(max); /* 0 for none */
    if (out->type == FIELD_CHOICE)
        return read_options(arena, json_object_get(field, "options"), out, err);
    if (json_object_get(field, "options"))
        return fail(err, INVALID, NULL, "The field \"%.*s\" has options, but is no choice", STR_ARG(out->name));
    return OK;
}

enum status form_read(struct arena *arena, const json_t *fields, struct form *out, struct error *err)
{
    *out = (struct form){0};
    size_t count = json_array_size(fields);
    if (!json_is_array(fields) || count > FORM_FIELDS_MOST)
        return fail(err, INVALID, NULL, "\"form\" must be a list of at most %d fields", FORM_FIELDS_MOST);
    out->fields = arena_array(arena, count + 1, sizeof *out->fields);
    for (size_t i = 0; i < count; i++) {
        struct form_field *field = &out->fields[i];
        TRY(read_field(arena, json_array_get(fields, i), field, err));
        if (form_field(out, field->name))
            return fail(err, INVALID, NULL, "The form has two fields called \"%.*s\"", STR_ARG(field->name));
        out->count++;
    }
    form_finish(arena, out);
    return OK;
}

/* The form of a card. */

static struct str card_text(struct arena *arena, const json_t *card, const char *key, size_t limit)
{
    struct str text = json_get_str(card, key);
    return text.len && text.len <= limit ? arena_copy(arena, text) : (struct str){0};
}

static void read_card_options(struct arena *arena, const json_t *options, struct form_field *out)
{
    size_t count = json_array_size(options);
    out->options = arena_array(arena, count + 1, sizeof *out->options);
    for (size_t i = 0; i < count && out->option_count < FORM_OPTIONS_MOST; i++) {
        const json_t *option = json_array_get(options, i);
        struct str value = json_is_object(option) ? json_get_str(option, "value") : json_str_of(option);
        if (is_line(value, OPTION_LIMIT))
            out->options[out->option_count++] = arena_copy(arena, value);
    }
    out->type = out->option_count ? FIELD_CHOICE : FIELD_TEXT;
}

/* All that a card asks is required, as it is on the hub that cards are written for. */
static void read_card_field(struct arena *arena, const char *name, const json_t *value, struct form *form)
{
    struct str type = json_is_object(value) ? json_get_str(value, "type") : json_str_of(value);
    struct form_field *field = &form->fields[form->count];
    *field = (struct form_field){.name = str_of(name), .type = FIELD_TEXT, .required = true};
    if (form->count == FORM_FIELDS_MOST || !is_line(field->name, LABEL_LIMIT) || str_eq(type, STR("ip_location")))
        return;
    field->name = field->label = arena_copy(arena, field->name);
    if (str_eq(type, STR("checkbox")))
        field->type = FIELD_CHECKBOX;
    else if (str_eq(type, STR("country")))
        field->type = FIELD_COUNTRY;
    else if (str_eq(type, STR("date_picker")))
        field->type = FIELD_DATE;
    else if (str_eq(type, STR("select")))
        read_card_options(arena, json_object_get(value, "options"), field);
    form->count++;
}

void form_read_card(struct arena *arena, const json_t *card, struct form *out)
{
    const json_t *fields = json_object_get(card, "extra_gated_fields");
    const char *name;
    const json_t *value;
    *out = (struct form){
        .heading = card_text(arena, card, "extra_gated_heading", LABEL_LIMIT),
        .prompt = card_text(arena, card, "extra_gated_prompt", PROMPT_LIMIT),
        .button = card_text(arena, card, "extra_gated_button_content", OPTION_LIMIT),
        .fields = arena_array(arena, FORM_FIELDS_MOST + 1, sizeof *out->fields),
    };
    json_object_foreach((json_t *)fields, name, value) read_card_field(arena, name, value, out);
    form_finish(arena, out);
}
