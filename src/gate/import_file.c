/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the report that another hub exported: foreign bytes, into plain rows. */
#include "base/text.h"
#include "gate/csv.h"
#include "gate/import.h"
#include "gate/internal.h"

enum column { USER, FULL_NAME, EMAIL, STATUS, TIMESTAMP, QUESTION };

static enum column find_column(struct arena *arena, struct str name)
{
    static const struct {
        const char *name;
        enum column column;
    } names[] = {
        {"user", USER},           {"username", USER},        {"fullname", FULL_NAME}, {"full_name", FULL_NAME},
        {"full name", FULL_NAME}, {"email", EMAIL},          {"e-mail", EMAIL},       {"status", STATUS},
        {"timestamp", TIMESTAMP}, {"created_at", TIMESTAMP}, {"time", TIMESTAMP},
    };
    struct str folded = str_lower(arena, str_trim(name));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(folded, str_of(names[i].name)))
            return names[i].column;
    return QUESTION;
}

static void set_column(struct import_person *person, enum column column, struct str value)
{
    struct str *const places[] = {&person->user, &person->full_name, &person->email, &person->status,
                                  &person->timestamp};
    *places[column] = value;
}

static enum status add_question(struct arena *arena, struct import_file *out, struct str name, struct error *err)
{
    for (size_t i = 0; i < out->question_count; i++)
        if (str_eq(out->questions[i], name))
            return OK;
    if (!is_line(name, 128) || out->question_count == FORM_FIELDS_MOST)
        return fail(err, INVALID, NULL,
                    "The file has a column without a name of 1 to 128 bytes, or more than %d questions",
                    FORM_FIELDS_MOST);
    out->questions[out->question_count++] = arena_copy(arena, name);
    return OK;
}

static enum status check_person(const struct import_person *person, size_t number, struct error *err)
{
    if (!is_line(person->user, 128))
        return fail(err, INVALID, NULL, "Row %zu has no user name of 1 to 128 bytes", number);
    if (!str_eq(person->status, STR("accepted")) && !str_eq(person->status, STR("pending")) &&
        !str_eq(person->status, STR("rejected")))
        return fail(err, INVALID, NULL, "Row %zu: \"status\" must be accepted, pending or rejected", number);
    return OK;
}

/* CSV. */

struct heads {
    enum column column[CSV_COLUMNS_MOST];
    struct str name[CSV_COLUMNS_MOST];
    size_t count;
};

static enum status read_heads(struct csv *csv, struct arena *arena, struct import_file *out, struct heads *heads,
                              struct error *err)
{
    bool has_user = false, has_status = false;
    *err = (struct error){0};
    if (!csv_next(csv, arena, heads->name, &heads->count, err))
        return err->status != OK ? err->status : fail(err, INVALID, NULL, "The file is empty");
    for (size_t i = 0; i < heads->count; i++) {
        heads->column[i] = find_column(arena, heads->name[i]);
        for (size_t k = 0; k < i; k++)
            if (heads->column[k] == QUESTION ? str_eq(heads->name[k], heads->name[i])
                                             : heads->column[k] == heads->column[i])
                return fail(err, INVALID, NULL, "The first line names a column twice");
        has_user |= heads->column[i] == USER;
        has_status |= heads->column[i] == STATUS;
        if (heads->column[i] == QUESTION)
            TRY(add_question(arena, out, heads->name[i], err));
    }
    if (!has_user || !has_status)
        return fail(err, INVALID, NULL, "The first line must name the columns, \"user\" and \"status\" among them");
    return OK;
}

static void read_row(struct arena *arena, const struct heads *heads, const struct str *fields, size_t count,
                     struct import_person *out)
{
    auto_buf struct buf answers = {0};
    struct json_writer w = jw_to(&answers);
    jw_object(&w);
    for (size_t i = 0; i < count && i < heads->count; i++)
        if (heads->column[i] != QUESTION)
            set_column(out, heads->column[i], fields[i]);
        else if (fields[i].len)
            jw_key_str(&w, heads->name[i].data, fields[i]);
    jw_end(&w);
    out->answers = arena_copy(arena, buf_view(&answers));
}

static enum status add_person(struct arena *arena, struct import_file *out, size_t *capacity,
                              const struct import_person *person, struct error *err)
{
    if (out->count == IMPORT_PEOPLE_MOST)
        return fail(err, TOO_LARGE, NULL, "The file has more than %d people", IMPORT_PEOPLE_MOST);
    TRY(check_person(person, out->count + 1, err));
    out->people = array_room(arena, out->people, out->count, capacity, sizeof *out->people);
    out->people[out->count++] = *person;
    return OK;
}

static enum status read_csv(struct arena *arena, struct str file, struct import_file *out, struct error *err)
{
    struct csv csv = csv_open(file);
    struct heads heads;
    struct str fields[CSV_COLUMNS_MOST];
    size_t count, capacity = 0;
    TRY(read_heads(&csv, arena, out, &heads, err));
    while (csv_next(&csv, arena, fields, &count, err)) {
        struct import_person person = {0};
        if (count != heads.count)
            return fail(err, INVALID, "BadCsv", "Line %lld: %zu fields, where the first line names %zu columns",
                        (long long)csv.line - 1, count, heads.count);
        read_row(arena, &heads, fields, count, &person);
        TRY(add_person(arena, out, &capacity, &person, err));
    }
    return err->status;
}

/* JSON: a list of objects; answers may also stand together in "fields", as the API has them. */

static enum status read_answer(struct arena *arena, const char *name, const json_t *value, struct import_file *out,
                               struct json_writer *w, struct error *err)
{
    if (json_is_object(value) || json_is_array(value) || json_is_null(value))
        return OK;
    TRY(add_question(arena, out, str_of(name), err));
    jw_key(w, name);
    jw_value(w, value);
    return OK;
}

static enum status read_member(struct arena *arena, const char *name, const json_t *value, struct import_file *out,
                               struct import_person *person, struct json_writer *w, struct error *err)
{
    enum column column = find_column(arena, str_of(name));
    struct str text = json_str_of(value);
    if (column == USER && json_is_object(value)) { /* {"user": {"user", "fullname", "email"}}, as the API has it */
        person->user = arena_copy(arena, json_get_str(value, "user"));
        person->full_name = arena_copy(arena, json_get_str(value, "fullname"));
        person->email = arena_copy(arena, json_get_str(value, "email"));
        return OK;
    }
    if (column != QUESTION) {
        if (str_given(text))
            set_column(person, column, arena_copy(arena, text));
        return OK;
    }
    return read_answer(arena, name, value, out, w, err);
}

static enum status read_object(struct arena *arena, const json_t *object, struct import_file *out,
                               struct import_person *person, struct error *err)
{
    auto_buf struct buf answers = {0};
    struct json_writer w = jw_to(&answers);
    const char *name;
    const json_t *value;
    jw_object(&w);
    json_object_foreach((json_t *)object, name, value)
    {
        if (strcmp(name, "requestId") != 0 && strcmp(name, "fields") != 0)
            TRY(read_member(arena, name, value, out, person, &w, err));
    }
    /* What people said of themselves stays an answer, whatever it is called. */
    json_object_foreach(json_object_get(object, "fields"), name, value)
    {
        if (!json_object_get(object, name) || find_column(arena, str_of(name)) != QUESTION)
            TRY(read_answer(arena, name, value, out, &w, err));
    }
    jw_end(&w);
    person->answers = arena_copy(arena, buf_view(&answers));
    return OK;
}

static enum status read_json(struct arena *arena, struct str file, struct import_file *out, struct error *err)
{
    auto_json json_t *list = NULL;
    size_t capacity = 0;
    TRY(json_read(file, IMPORT_FILE_LIMIT, &list, err));
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct import_person person = {0};
        const json_t *object = json_array_get(list, i);
        if (!json_is_object(object))
            return fail(err, INVALID, NULL, "The file must be a list of objects, one for each person");
        TRY(read_object(arena, object, out, &person, err));
        TRY(add_person(arena, out, &capacity, &person, err));
    }
    return OK;
}

enum status import_read(struct arena *arena, struct str file, struct import_file *out, struct error *err)
{
    struct error unread = {0};
    *out = (struct import_file){0};
    if (!err)
        err = &unread;
    *err = (struct error){0};
    return str_starts(str_trim(file), STR("[")) ? read_json(arena, file, out, err) : read_csv(arena, file, out, err);
}
