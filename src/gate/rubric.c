/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/rubric.h"

#define KEY_MOST 64
#define TEXT_MOST 1000

const struct rubric rubric_default = {
    .version = 1,
    .threshold = 60,
    .count = 4,
    .criteria = {{STR("purpose"), STR("The purpose is concrete and fits the terms"), 3, true},
                 {STR("safeguards"), STR("The safeguards fit the risk"), 3, true},
                 {STR("feasible"), STR("Who applies can do what they describe"), 1, false},
                 {STR("conduct"), STR("Past conduct gives no reason for doubt"), 1, false}},
    .code_count = 8,
    .codes = {{STR("meets-criteria"), STR("The application meets the criteria.")},
              {STR("purpose-unclear"), STR("The purpose does not say clearly enough what will be done.")},
              {STR("purpose-outside-terms"), STR("The purpose is not one that the terms allow.")},
              {STR("safeguards-missing"), STR("The safeguards do not fit the risk.")},
              {STR("answers-incomplete"), STR("Questions that matter are not answered.")},
              {STR("identity-unconfirmed"), STR("Who applies could not be confirmed.")},
              {STR("past-conduct"), STR("Terms were not kept in the past.")},
              {STR("other"), STR("See the text.")}},
};

static const char *const outcome_names[] = {[OUTCOME_APPROVE] = "approve", [OUTCOME_REFUSE] = "refuse"};

const char *outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

bool outcome_parse(struct str name, enum outcome *out)
{
    *out = str_eq(name, STR("approve")) ? OUTCOME_APPROVE : OUTCOME_REFUSE;
    return str_eq(name, str_of(outcome_names[*out]));
}

/* Reading. */

static enum status refuse(struct error *err, const char *what)
{
    return fail(err, INVALID, "BadRubric", "The rubric's %s", what);
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.data[i] >= 'a' && s.data[i] <= 'z') || (s.data[i] >= '0' && s.data[i] <= '9') || s.data[i] == '-'))
            return false;
    return s.len >= 1 && s.len <= KEY_MOST;
}

static enum status only(const json_t *object, const char *members, const char *where, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        struct str rest = str_of(members), word;
        bool known = false;
        while (str_cut(&rest, ' ', &word))
            known |= str_eq(word, str_of(key));
        if (!known)
            return fail(err, INVALID, "BadRubric", "The rubric's %s has a member \"%.64s\", which means nothing there.",
                        where, key);
    }
    return OK;
}

static enum status read_int(const json_t *object, const char *key, int most, int otherwise, int *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = value ? (int)json_integer_value(value) : otherwise;
    if (value && (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > most))
        return fail(err, INVALID, "BadRubric", "The rubric's \"%s\" should be a whole number from 1 to %d.", key, most);
    return OK;
}

static enum status read_text(struct arena *arena, const json_t *object, const char *key, bool word, struct str *out,
                             struct error *err)
{
    struct str text = json_get_str(object, key);
    if (word ? !is_word(text) : text.len < 1 || text.len > TEXT_MOST)
        return fail(err, INVALID, "BadRubric", "Each \"%s\" in the rubric should be %s.", key,
                    word ? "1 to 64 of a-z, 0-9 and '-'" : "a text of 1 to 1,000 bytes");
    *out = arena_copy(arena, text);
    return OK;
}

static enum status read_criterion(struct arena *arena, const json_t *json, struct rubric *out, struct error *err)
{
    struct criterion *criterion = &out->criteria[out->count];
    TRY(only(json, "key text weight must", "criterion", err));
    TRY(read_text(arena, json, "key", true, &criterion->key, err));
    TRY(read_text(arena, json, "text", false, &criterion->text, err));
    TRY(read_int(json, "weight", 10, 1, &criterion->weight, err));
    criterion->must = json_get_bool(json, "must", false);
    for (size_t i = 0; i < out->count; i++)
        if (str_eq(out->criteria[i].key, criterion->key))
            return refuse(err, "criteria have the same key twice.");
    out->count++;
    return OK;
}

static enum status read_code(struct arena *arena, const json_t *json, struct rubric *out, struct error *err)
{
    struct reason_code *code = &out->codes[out->code_count];
    TRY(only(json, "code text", "code", err));
    TRY(read_text(arena, json, "code", true, &code->code, err));
    TRY(read_text(arena, json, "text", false, &code->text, err));
    if (rubric_code(out, code->code))
        return refuse(err, "codes have the same code twice.");
    out->code_count++;
    return OK;
}

enum status rubric_parse(struct arena *arena, const json_t *json, struct rubric *out, struct error *err)
{
    if (!json) {
        *out = rubric_default;
        return OK;
    }
    const json_t *criteria = json_object_get(json, "criteria"), *codes = json_object_get(json, "codes");
    *out = (struct rubric){0};
    if (!json_is_object(json))
        return fail(err, INVALID, "BadRubric", "The rubric should be an object.");
    TRY(only(json, "version threshold criteria codes", "outermost object", err));
    TRY(read_int(json, "version", 1000000, 1, &out->version, err));
    TRY(read_int(json, "threshold", 100, 60, &out->threshold, err));
    if (json_array_size(criteria) < 1 || json_array_size(criteria) > RUBRIC_CRITERIA)
        return refuse(err, "\"criteria\" should be a list of 1 to 16.");
    if (codes && (json_array_size(codes) < 1 || json_array_size(codes) > RUBRIC_CODES))
        return refuse(err, "\"codes\" should be a list of 1 to 32.");
    for (size_t i = 0; i < json_array_size(criteria); i++)
        TRY(read_criterion(arena, json_array_get(criteria, i), out, err));
    for (size_t i = 0; i < json_array_size(codes); i++)
        TRY(read_code(arena, json_array_get(codes, i), out, err));
    if (!codes) {
        memcpy(out->codes, rubric_default.codes, sizeof out->codes);
        out->code_count = rubric_default.code_count;
    }
    return OK;
}

const struct reason_code *rubric_code(const struct rubric *rubric, struct str code)
{
    for (size_t i = 0; i < rubric->code_count; i++)
        if (str_eq(rubric->codes[i].code, code))
            return &rubric->codes[i];
    return NULL;
}

/* Scores. */

static bool read_score(const json_t *value, int8_t *out)
{
    if (json_is_string(value) && strcmp(json_string_value(value), "na") == 0) {
        *out = SCORE_NA;
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 2)
        return false;
    *out = (int8_t)json_integer_value(value);
    return true;
}

enum status rubric_scores(const struct rubric *rubric, const json_t *json, int8_t *out, struct error *err)
{
    if (!json_is_object(json) || json_object_size(json) != rubric->count)
        return fail(err, INVALID, "BadScores", "\"scores\" should have one score for each of the %zu criteria.",
                    rubric->count);
    for (size_t i = 0; i < rubric->count; i++) {
        const struct criterion *criterion = &rubric->criteria[i];
        const json_t *value = json_object_getn(json, criterion->key.data, criterion->key.len);
        if (!value || !read_score(value, &out[i]))
            return fail(err, INVALID, "BadScores", "The score of \"%.*s\" should be 0, 1, 2 or \"na\".",
                        STR_ARG(criterion->key));
        if (criterion->must && out[i] == SCORE_NA)
            return fail(err, INVALID, "BadScores", "\"%.*s\" has to hold for an approval: score it 0, 1 or 2.",
                        STR_ARG(criterion->key));
    }
    return OK;
}

enum outcome rubric_recommend(const struct rubric *rubric, const int8_t *scores)
{
    int reached = 0, most = 0;
    for (size_t i = 0; i < rubric->count; i++) {
        if (rubric->criteria[i].must && scores[i] <= 0)
            return OUTCOME_REFUSE;
        if (scores[i] == SCORE_NA)
            continue;
        reached += rubric->criteria[i].weight * scores[i];
        most += rubric->criteria[i].weight * 2;
    }
    return most > 0 && 100 * reached >= rubric->threshold * most ? OUTCOME_APPROVE : OUTCOME_REFUSE;
}

/* Writing. */

void rubric_write(const struct rubric *rubric, struct json_writer *w)
{
    jw_object(w);
    jw_key_int(w, "version", rubric->version);
    jw_key_int(w, "threshold", rubric->threshold);
    jw_key(w, "criteria");
    jw_array(w);
    for (size_t i = 0; i < rubric->count; i++) {
        jw_object(w);
        jw_key_str(w, "key", rubric->criteria[i].key);
        jw_key_str(w, "text", rubric->criteria[i].text);
        jw_key_int(w, "weight", rubric->criteria[i].weight);
        jw_key_bool(w, "must", rubric->criteria[i].must);
        jw_end(w);
    }
    jw_end(w);
    jw_key(w, "codes");
    jw_array(w);
    for (size_t i = 0; i < rubric->code_count; i++) {
        jw_object(w);
        jw_key_str(w, "code", rubric->codes[i].code);
        jw_key_str(w, "text", rubric->codes[i].text);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

void rubric_scores_write(const struct rubric *rubric, const int8_t *scores, struct json_writer *w)
{
    char key[KEY_MOST + 1];
    jw_object(w);
    for (size_t i = 0; i < rubric->count; i++) {
        struct str name = rubric->criteria[i].key;
        memcpy(key, name.data, name.len);
        key[name.len] = 0;
        jw_key(w, key);
        if (scores[i] == SCORE_NA)
            jw_str(w, STR("na"));
        else
            jw_int(w, scores[i]);
    }
    jw_end(w);
}

void rubric_scores_stored(const struct rubric *rubric, const json_t *json, int8_t *out)
{
    for (size_t i = 0; i < rubric->count; i++) {
        struct str key = rubric->criteria[i].key;
        if (!read_score(json_object_getn(json, key.data, key.len), &out[i]))
            out[i] = SCORE_NA;
    }
}
