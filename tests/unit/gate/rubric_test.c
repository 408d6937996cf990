/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/rubric.h"

#include "../base/check.h"

static enum status parse(struct arena *arena, const char *text, struct rubric *out)
{
    auto_json json_t *json = NULL;
    struct error err = {0};
    assert_int_equal(json_read(str_of(text), 100000, &json, &err), OK);
    return rubric_parse(arena, json, out, &err);
}

static enum status score(const struct rubric *rubric, const char *text, int8_t *out)
{
    auto_json json_t *json = NULL;
    struct error err = {0};
    assert_int_equal(json_read(str_of(text), 100000, &json, &err), OK);
    return rubric_scores(rubric, json, out, &err);
}

static const char two[] = "{\"version\": 3, \"threshold\": 50, \"criteria\": ["
                          "{\"key\": \"purpose\", \"text\": \"It fits\", \"weight\": 2, \"must\": true},"
                          "{\"key\": \"safeguards\", \"text\": \"They do\"}]}";

static void test_a_rubric_is_read_and_written_alike(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf once = {0}, twice = {0};
    struct rubric rubric;
    struct json_writer w = jw_to(&once);
    assert_int_equal(parse(&arena, two, &rubric), OK);
    assert_int_equal(rubric.version, 3);
    assert_int_equal(rubric.count, 2);
    assert_int_equal(rubric.criteria[1].weight, 1);
    assert_non_null(rubric_code(&rubric, STR("safeguards-missing")));
    assert_null(rubric_code(&rubric, STR("because")));
    rubric_write(&rubric, &w);
    buf_byte(&once, 0);
    assert_int_equal(parse(&arena, once.data, &rubric), OK);
    w = jw_to(&twice);
    rubric_write(&rubric, &w);
    buf_byte(&twice, 0);
    assert_string_equal(once.data, twice.data);
}

static void test_a_wrong_rubric_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{}",
        "{\"criteria\": []}",
        "{\"criteria\": [{\"key\": \"Purpose\", \"text\": \"t\"}]}",
        "{\"criteria\": [{\"key\": \"a\"}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\", \"weight\": 0}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\", \"weight\": 2.5}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\", \"colour\": 1}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\"}, {\"key\": \"a\", \"text\": \"t\"}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\"}], \"threshold\": 101}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\"}], \"codes\": []}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\"}], \"codes\": [{\"code\": \"x\"}]}",
        "{\"criteria\": [{\"key\": \"a\", \"text\": \"t\"}], \"veto\": true}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        auto_arena struct arena arena = {0};
        struct rubric rubric;
        if (parse(&arena, wrong[i], &rubric) != INVALID)
            broken("accepted: %s", wrong[i]);
    }
}

static void test_without_a_rubric_there_is_the_default(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct rubric rubric;
    assert_int_equal(rubric_parse(&arena, NULL, &rubric, NULL), OK);
    assert_int_equal(rubric.count, rubric_default.count);
}

static void test_scores_are_complete_or_refused(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct rubric rubric;
    int8_t scores[RUBRIC_CRITERIA];
    static const char *const wrong[] = {"[]",
                                        "{}",
                                        "{\"purpose\": 1}",
                                        "{\"purpose\": 3, \"safeguards\": 1}",
                                        "{\"purpose\": \"1\", \"safeguards\": 1}",
                                        "{\"purpose\": 1.0, \"safeguards\": 1}",
                                        "{\"purpose\": \"na\", \"safeguards\": 1}",
                                        "{\"purpose\": 1, \"other\": 1}",
                                        "{\"purpose\": 1, \"safeguards\": 1, \"other\": 1}"};
    assert_int_equal(parse(&arena, two, &rubric), OK);
    assert_int_equal(score(&rubric, "{\"purpose\": 2, \"safeguards\": \"na\"}", scores), OK);
    assert_int_equal(scores[0], 2);
    assert_int_equal(scores[1], SCORE_NA);
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (score(&rubric, wrong[i], scores) != INVALID)
            broken("accepted: %s", wrong[i]);
}

static void test_the_recommendation_follows_the_published_rule(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct rubric rubric;
    static const struct {
        int8_t scores[2];
        enum outcome want;
    } rows[] = {
        {{2, 2}, OUTCOME_APPROVE},        {{1, 1}, OUTCOME_APPROVE}, {{1, 0}, OUTCOME_REFUSE}, /* 2 of 6 */
        {{2, 0}, OUTCOME_APPROVE},                                                             /* 4 of 6 */
        {{0, 2}, OUTCOME_REFUSE},         /* what must hold does not */
        {{1, SCORE_NA}, OUTCOME_APPROVE}, /* 2 of 4 */
    };
    assert_int_equal(parse(&arena, two, &rubric), OK);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(rubric_recommend(&rubric, rows[i].scores), rows[i].want);
    const int8_t nothing[RUBRIC_CRITERIA] = {SCORE_NA, SCORE_NA};
    rubric.criteria[0].must = false;
    assert_int_equal(rubric_recommend(&rubric, nothing), OUTCOME_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rubric_is_read_and_written_alike),
        cmocka_unit_test(test_a_wrong_rubric_is_refused),
        cmocka_unit_test(test_without_a_rubric_there_is_the_default),
        cmocka_unit_test(test_scores_are_complete_or_refused),
        cmocka_unit_test(test_the_recommendation_follows_the_published_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
