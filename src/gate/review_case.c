/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "gate/review_internal.h"

/*
 * What a reviewer sees of a case (C9.2): first the purpose, the safeguards and whatever does not say who it is. The rest
 * is masked: not left out, since what is missing would say something too. Masked are answers of fields that are
 * personal, and in other answers every word that stands in one of those, or in the applicant's names.
 */
#define TERMS_MOST 64
#define TERM_LEAST 3 /* bytes: shorter ones would mask half of a text */

struct mask {
    struct str terms[TERMS_MOST];
    size_t count;
};

/* The form may say so itself ("personal"). Otherwise: a field that says by its type or its name that it identifies; any other single line may, too, unless its name says
 * that it is about the purpose. */
bool field_is_personal(const struct form_field *field)
{
    static const char *const who[] = {"name",   "mail",    "phone",    "address", "country",  "nation",
                                      "region", "city",    "institut", "affil",   "organi",   "univers",
                                      "employ", "company", "orcid",    "url",     "homepage", "profile",
                                      "birth",  "gender",  "age",      "title",   NULL};
    static const char *const what[] = {"purpose", "use", "using",    "project", "safeguard", "goal",  "plan",
                                       "why",     "how", "research", "data",    "abstract",  "model", NULL};
    if (field->personal)
        return field->personal == 1;
    if (field->type == FIELD_LONGTEXT || field->type == FIELD_CHECKBOX)
        return false;
    if (field->type == FIELD_EMAIL || field->type == FIELD_URL || field->type == FIELD_COUNTRY ||
        field->type == FIELD_ORCID || field->type == FIELD_DATE)
        return true;
    struct arena arena = {0};
    struct str name = str_lower(&arena, field->name);
    bool personal = field->type == FIELD_TEXT;
    for (const char *const *word = what; *word; word++)
        personal &= !str_has(name, str_of(*word));
    for (const char *const *word = who; *word; word++)
        personal |= str_has(name, str_of(*word));
    arena_free(&arena);
    return personal;
}

static void add_term(struct mask *mask, struct arena *arena, struct str term)
{
    term = str_trim(term);
    if (term.len >= TERM_LEAST && mask->count < TERMS_MOST)
        mask->terms[mask->count++] = str_lower(arena, term);
}

static const char orgs_sql[] = "SELECT a.name, coalesce(a.full_name, '') FROM member m JOIN account a ON a.id = "
                               "m.org_id WHERE m.user_id = ? LIMIT 16";

static enum status make_mask(struct db_conn *conn, struct arena *arena, const struct account *person,
                             const struct form *form, const json_t *answers, struct mask *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct mask){0};
    add_term(out, arena, person->name);
    add_term(out, arena, person->full_name);
    add_term(out, arena, person->email);
    for (size_t i = 0; i < form->count; i++)
        if (field_is_personal(&form->fields[i])) {
            struct str name = form->fields[i].name;
            const json_t *value = json_object_getn(answers, name.data, name.len);
            if (json_is_string(value))
                add_term(out, arena, (struct str){json_string_value(value), json_string_length(value)});
        }
    TRY(db_prepare(conn, orgs_sql, &row, err));
    stmt_bind_int(row, 1, person->id);
    while (stmt_next(row)) {
        add_term(out, arena, stmt_str(row, 0));
        add_term(out, arena, stmt_str(row, 1));
    }
    return stmt_end(row, err);
}

/* text with every term replaced, whatever its case. */
static struct str mask_text(const struct mask *mask, struct arena *arena, struct str text)
{
    struct str low = str_lower(arena, text);
    struct buf out = {0};
    for (size_t i = 0; i < text.len;) {
        size_t len = 0;
        for (size_t j = 0; j < mask->count; j++)
            if (mask->terms[j].len > len && str_starts(str_from(low, i), mask->terms[j]))
                len = mask->terms[j].len;
        if (len)
            buf_str(&out, STR("[masked]"));
        else
            buf_byte(&out, text.data[i]);
        i += len ? len : 1;
    }
    struct str masked = arena_copy(arena, buf_view(&out));
    buf_free(&out);
    return masked;
}

enum status case_mask(struct db_conn *conn, struct arena *arena, const struct access_request *request, struct str text,
                      struct str *out, struct error *err)
{
    auto_json json_t *answers = NULL;
    struct gate gate;
    struct gate_policy policy;
    struct account person;
    struct mask mask;
    TRY(policy_of_request(conn, arena, request, &gate, &policy, err));
    TRY(account_get(conn, arena, request->applicant_id, &person, err));
    TRY(request_answers(conn, request->id, &answers, err));
    TRY(make_mask(conn, arena, &person, &policy.form, answers, &mask, err));
    *out = mask_text(&mask, arena, text);
    return OK;
}

/* Answers. */

static void write_value(const struct mask *mask, struct arena *arena, const json_t *value, struct json_writer *w)
{
    if (mask && json_is_string(value))
        jw_str(w, mask_text(mask, arena, (struct str){json_string_value(value), json_string_length(value)}));
    else if (value)
        jw_value(w, value);
    else
        jw_null(w);
}

static void write_answers(const struct mask *mask, struct arena *arena, const struct form *form, const json_t *answers,
                          struct json_writer *w)
{
    jw_array(w);
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        bool masked = mask && field_is_personal(field);
        jw_object(w);
        jw_key_str(w, "name", field->name);
        jw_key_str(w, "label", field->label);
        jw_key_bool(w, "masked", masked);
        jw_key(w, "value");
        if (masked)
            jw_null(w);
        else
            write_value(mask, arena, json_object_getn(answers, field->name.data, field->name.len), w);
        jw_end(w);
    }
    jw_end(w);
}

/* What was asked and answered meanwhile, and what an appeal asks to be answered; without who asked. */
static const char thread_sql[] = "SELECT kind, coalesce(body, '') FROM access_request_text WHERE request_id = ? AND "
                                 "cycle = ? AND kind IN ('question', 'answer', 'remand') ORDER BY id LIMIT 200";

static enum status write_thread(struct db_conn *conn, const struct mask *mask, struct arena *arena,
                                const struct access_request *request, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, thread_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    jw_array(w);
    while (stmt_next(row)) {
        struct str text = stmt_str(row, 1);
        jw_object(w);
        jw_key_str(w, "kind", stmt_str(row, 0));
        jw_key_str(w, "text", mask ? mask_text(mask, arena, text) : text);
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

static void write_person(const struct account *person, struct json_writer *w)
{
    jw_object(w);
    jw_key_str(w, "user", person->name);
    jw_key_str(w, "fullName", person->full_name);
    jw_end(w);
}

enum status policy_of_request(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                              struct gate *gate, struct gate_policy *policy, struct error *err)
{
    TRY(gate_get(conn, arena, request->gate_id, gate, err));
    return gate_policy_get(conn, arena, gate, request->policy_seq ? request->policy_seq : gate->policy_seq, policy,
                           err);
}

enum status case_write(struct db_conn *conn, struct arena *arena, const struct access_request *request, bool identity,
                       struct json_writer *w, struct error *err)
{
    auto_json json_t *answers = NULL;
    struct gate gate;
    struct gate_policy policy;
    struct account person;
    struct mask mask;
    struct repo repo;
    TRY(policy_of_request(conn, arena, request, &gate, &policy, err));
    TRY(account_get(conn, arena, request->applicant_id, &person, err));
    TRY(request_answers(conn, request->id, &answers, err));
    TRY(make_mask(conn, arena, &person, &policy.form, answers, &mask, err));
    enum status status = gate_any_repo(conn, arena, gate.id, &repo, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    const struct mask *hides = identity ? NULL : &mask;
    jw_object(w);
    jw_key_str(w, "repo", status == OK ? repo.full_name : (struct str){0});
    jw_key_str(w, "purpose", request->purpose);
    jw_key_int(w, "risk", policy.risk);
    jw_key(w, "answers");
    write_answers(hides, arena, &policy.form, answers, w);
    jw_key(w, "thread");
    TRY(write_thread(conn, hides, arena, request, w, err));
    jw_key(w, "applicant");
    if (identity)
        write_person(&person, w);
    else
        jw_null(w);
    jw_end(w);
    return OK;
}

/* Precedents (C9.8): up to five decided cases of the gate, the nearest by purpose and scores. */

#define NEAREST 5

struct precedent {
    int64_t distance;
    enum outcome outcome;
    struct str codes, scores, purpose;
};

/* $1 gate, $2 this request: the newest 200 verdicts that stood. */
static const char decided_sql[] =
    "SELECT q.purpose, v.scores, v.codes, v.outcome FROM review_verdict v JOIN access_request q ON q.id = v.request_id "
    "AND q.cycle = v.cycle WHERE v.gate_id = ? AND v.request_id <> ? AND q.state IN (7, 8) AND v.slot <= 3 AND "
    "v.outcome = q.outcome AND v.overturned = 0 AND NOT EXISTS (SELECT 1 FROM review_verdict l WHERE l.request_id = "
    "v.request_id AND l.cycle = v.cycle AND l.slot <= 3 AND l.assignment_id > v.assignment_id) "
    "ORDER BY v.assignment_id DESC LIMIT 200";

static int64_t distance(const struct rubric *rubric, const int8_t *mine, struct str scores, bool same_purpose)
{
    auto_json json_t *json = NULL;
    int8_t theirs[RUBRIC_CRITERIA];
    int64_t sum = same_purpose ? 0 : 1000;
    if (!mine || json_read(scores, 10000, &json, NULL) != OK)
        return sum;
    rubric_scores_stored(rubric, json, theirs);
    for (size_t i = 0; i < rubric->count; i++)
        sum += (theirs[i] > mine[i] ? theirs[i] - mine[i] : mine[i] - theirs[i]) * rubric->criteria[i].weight;
    return sum;
}

/* Keeps the nearest, the newest first among equals. */
static size_t keep(struct precedent *nearest, size_t count, const struct precedent *one)
{
    size_t at = count;
    while (at > 0 && nearest[at - 1].distance > one->distance)
        at--;
    if (at == NEAREST)
        return count;
    size_t last = count < NEAREST ? count : NEAREST - 1;
    memmove(&nearest[at + 1], &nearest[at], (last - at) * sizeof *nearest);
    nearest[at] = *one;
    return last + 1;
}

enum status precedents_write(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                             const struct rubric *rubric, const struct assignment *assignment, struct json_writer *w,
                             struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_json json_t *json = NULL;
    struct precedent nearest[NEAREST];
    size_t count = 0;
    int8_t scores[RUBRIC_CRITERIA], *mine = NULL;
    if (str_given(assignment->scores) && json_read(assignment->scores, 10000, &json, NULL) == OK) {
        rubric_scores_stored(rubric, json, scores);
        mine = scores;
    }
    TRY(db_prepare(conn, decided_sql, &row, err));
    stmt_bind_int(row, 1, request->gate_id);
    stmt_bind_int(row, 2, request->id);
    while (stmt_next(row)) {
        struct precedent one = {.outcome = (enum outcome)stmt_int(row, 3)};
        one.distance = distance(rubric, mine, stmt_str(row, 1), str_eq(stmt_str(row, 0), request->purpose));
        if (count == NEAREST && nearest[NEAREST - 1].distance <= one.distance)
            continue;
        one.purpose = arena_copy(arena, stmt_str(row, 0));
        one.scores = arena_copy(arena, stmt_str(row, 1));
        one.codes = arena_copy(arena, stmt_str(row, 2));
        count = keep(nearest, count, &one);
    }
    TRY(stmt_end(row, err));
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_key_str(w, "purpose", nearest[i].purpose);
        jw_key(w, "scores");
        jw_raw(w, nearest[i].scores);
        jw_key_str(w, "outcome", str_of(outcome_name(nearest[i].outcome)));
        jw_key(w, "reasonCodes");
        jw_raw(w, nearest[i].codes);
        jw_end(w);
    }
    jw_end(w);
    return OK;
}
