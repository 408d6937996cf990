/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_RUBRIC_H
#define CAIRN_GATE_RUBRIC_H

#include "base/json.h"

/*
 * What a case is judged by, instead of an empty box (access.md C9.1): criteria that are scored 0, 1, 2 or "na", and one
 * published rule that makes a recommendation of the scores. It stands in the gate's policy, so that a decision names
 * the rubric it was made by with the policy's hash:
 *
 *   "rubric": {"version": 3, "threshold": 60,
 *              "criteria": [{"key": "purpose", "text": "The purpose fits the terms", "weight": 2, "must": true}, ...],
 *              "codes": [{"code": "purpose-unclear", "text": "The purpose does not say what will be done."}, ...]}
 *
 * The rule: refuse when a criterion that must hold is scored 0; otherwise approve when the weighted scores reach
 * threshold percent of what those that were scored could have; what is "na" does not count. A criterion that must hold
 * cannot be "na".
 */
#define RUBRIC_CRITERIA 16
#define RUBRIC_CODES 32
#define SCORE_NA (-1)

struct criterion {
    struct str key, text;
    int weight; /* 1 to 10 */
    bool must;
};

struct reason_code {
    struct str code, text; /* a word, and the sentence that the applicant reads */
};

struct rubric {
    int version, threshold; /* percent */
    struct criterion criteria[RUBRIC_CRITERIA];
    size_t count;
    struct reason_code codes[RUBRIC_CODES];
    size_t code_count;
};

enum outcome { OUTCOME_APPROVE = 1, OUTCOME_REFUSE = 2 };
const char *outcome_name(enum outcome outcome); /* "approve", "refuse" */
bool outcome_parse(struct str name, enum outcome *out);

/* For gates whose policy has no rubric, and without codes of its own for those whose rubric has none. */
extern const struct rubric rubric_default;

/* Strings are copied into arena. INVALID with what is wrong. A member that is absent (NULL) is the default rubric. */
enum status rubric_parse(struct arena *arena, const json_t *json, struct rubric *out, struct error *err);

/*
 * The scores of a verdict, {"purpose": 2, "safeguards": "na"}: one for each criterion and nothing else. out has room
 * for RUBRIC_CRITERIA.
 */
enum status rubric_scores(const struct rubric *rubric, const json_t *json, int8_t *out, struct error *err);

enum outcome rubric_recommend(const struct rubric *rubric, const int8_t *scores);

/* NULL when the rubric has no such code. */
const struct reason_code *rubric_code(const struct rubric *rubric, struct str code);

/* The whole rubric as a JSON value, in the form that rubric_parse() reads. */
void rubric_write(const struct rubric *rubric, struct json_writer *w);
/* {"purpose": 2, ...}; and back, for what the hub itself stored (an unknown key is left out). */
void rubric_scores_write(const struct rubric *rubric, const int8_t *scores, struct json_writer *w);
void rubric_scores_stored(const struct rubric *rubric, const json_t *json, int8_t *out);

#endif
