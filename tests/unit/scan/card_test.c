/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a README's metadata become. */
#include "scan/card.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct arena arena;

static int stop(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static void reads(const char *readme, const char *expected)
{
    auto_json json_t *card = NULL;
    auto_buf struct buf text = {0};
    struct error err;
    if (card_read(str_of(readme), &card, &err) != OK)
        fail_msg("%s: %s", readme, err.message);
    json_dump(card, &text);
    buf_byte(&text, 0);
    assert_string_equal(expected, text.data);
}

static void refuses_str(struct str readme, enum status status, const char *reason)
{
    auto_json json_t *card = NULL;
    struct error err = {0};
    assert_int_equal(status, card_read(readme, &card, &err));
    assert_null(card);
    if (!str_has(str_of(err.message), str_of(reason)))
        fail_msg("%.*s: %s", STR_ARG(str_slice(readme, 0, 200)), err.message);
}

static void refuses(const char *readme, const char *reason)
{
    refuses_str(str_of(readme), INVALID, reason);
}

static struct str block(const char *before, const char *piece, size_t count, const char *after)
{
    auto_buf struct buf text = {0};
    buf_printf(&text, "---\n%s", before);
    for (size_t i = 0; i < count; i++)
        buf_str(&text, str_of(piece));
    buf_printf(&text, "%s\n---\n", after);
    return arena_copy(&arena, buf_view(&text));
}

static void the_block_is_found_at_the_start_only(void **state)
{
    struct str yaml;
    int line;
    (void)state;
    assert_true(card_find(STR("\n \n---\na: 1\n---\n# b"), &yaml, &line));
    assert_true(str_eq(yaml, STR("a: 1\n")));
    assert_int_equal(4, line);
    reads("---\na: 1\n---\n# Title", "{\"a\":1}");
    reads("\xef\xbb\xbf---\r\na: 1\r\nb: x\r\n---\r\ntext", "{\"a\":1,\"b\":\"x\"}");
    reads("---  \na: 1\n---\t", "{\"a\":1}");
    reads("---\n---\n", "{}");
    reads("---\n# nothing\n---\n", "{}");
    assert_true(card_find(STR("---\n---\n"), &yaml, NULL));
    static const char *const without[] = {"",    "\n\n",  "# Title",           "text\n---\na: 1\n---\n", "---\na: 1\n",
                                          "---", "---\n", "----\na: 1\n----\n"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        assert_false(card_find(str_of(without[i]), &yaml, NULL));
        reads(without[i], "{}");
    }
    assert_false(card_find((struct str){0}, &yaml, NULL));
}

static void plain_scalars_follow_the_core_schema(void **state)
{
    (void)state;
    reads("---\na: [null, ~, true, False, no, on, y]\n---", "{\"a\":[null,null,true,false,\"no\",\"on\",\"y\"]}");
    reads("---\na: [0, 7, -7, +7, 007, 0x1F, 0o17, 1_0]\n---", "{\"a\":[0,7,-7,7,7,31,15,\"1_0\"]}");
    reads("---\na: [1.5, -.5, 2., 1e3, .inf, .nan, 1e999, ., 1e]\n---",
          "{\"a\":[1.5,-0.5,2.0,1000.0,\".inf\",\".nan\",\"1e999\",\".\",\"1e\"]}");
    reads("---\na: [2024-01-02, 12:30:45, 1.2.3, 0x, 0o8]\n---",
          "{\"a\":[\"2024-01-02\",\"12:30:45\",\"1.2.3\",\"0x\",\"0o8\"]}");
    reads("---\na: 9223372036854775807\nb: 9223372036854775808\n---",
          "{\"a\":9223372036854775807,\"b\":9.2233720368547758e18}");
    reads("---\na:\nb: x\n---", "{\"a\":null,\"b\":\"x\"}");
}

static void quoted_and_tagged_scalars_are_strings(void **state)
{
    (void)state;
    reads("---\na: ['1', \"true\", 'null', \"\"]\n---", "{\"a\":[\"1\",\"true\",\"null\",\"\"]}");
    reads("---\na: !!str 1\nb: !!int 1\nc: ! 1\n---", "{\"a\":\"1\",\"b\":1,\"c\":\"1\"}");
    reads("---\na: |\n  x\n  1\n---", "{\"a\":\"x\\n1\\n\"}");
    reads("---\na: >-\n  1\n---", "{\"a\":\"1\"}");
    refuses("---\na: !!python/object:os.system x\n---", "tags other than");
    refuses("---\na: !mine [x]\n---", "tags other than");
    refuses("---\na: \"\\0\"\n---", "NUL");
}

static void keys_keep_their_order_and_become_strings(void **state)
{
    (void)state;
    reads("---\nz: 1\na: 2\n1: 3\ntrue: 4\n1.0: 5\n---", "{\"z\":1,\"a\":2,\"1\":3,\"true\":4,\"1.0\":5}");
    refuses("---\n[a]: 1\n---", "a key must be");
    refuses("---\n? {a: 1}\n: 1\n---", "a key must be");
}

static void a_key_given_twice_is_an_error_with_its_line(void **state)
{
    (void)state;
    reads("---\na: {b: 1}\nb: {b: 1}\n---", "{\"a\":{\"b\":1},\"b\":{\"b\":1}}");
    refuses("---\na: 1\nb: 2\na: 3\n---", "line 4, column 1: the key is given twice");
    refuses("\n\n---\nx:\n  1: 1\n  '1': 2\n---", "line 6, column 3: the key is given twice");
}

static void bad_yaml_is_an_error_with_its_line(void **state)
{
    (void)state;
    refuses("---\na: 1\n b: 2\n---", "line 3");
    refuses("---\na: [1\n---", "line");
    refuses("---\na: 'x\n---", "line");
    refuses("---\na: \xff\n---", "UTF-8");
    refuses("---\na: \x01\n---", "control");
    refuses("---\n\xff\xfe\n---", "UTF-8");
    refuses("---\n- a\n---", "must be a mapping");
    refuses("---\ntext\n---", "must be a mapping");
    refuses("---\na: 1\n--- b: 2\n---", "more than one");
    refuses("---\na: @x\n---", "line 2");
    refuses("---\n\ta: 1\n---", "line 2");
}

static void aliases_are_copies_within_limits(void **state)
{
    (void)state;
    reads("---\na: &x [1, {b: c}]\nd: *x\n---", "{\"a\":[1,{\"b\":\"c\"}],\"d\":[1,{\"b\":\"c\"}]}");
    reads("---\na: &x 1\nb: &x 2\nc: *x\n---", "{\"a\":1,\"b\":2,\"c\":2}");
    refuses("---\na: *x\n---", "no finished anchor");
    refuses("---\na: &x [*x]\n---", "no finished anchor");
    refuses("---\n&x a: 1\n*x : 2\n---", "a key must be");
}

static void an_alias_bomb_is_refused(void **state)
{
    (void)state;
    const char *bomb = "---\na: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                       "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n---";
    refuses_str(str_of(bomb), TOO_LARGE, "aliases");
    struct str copies = str_slice(block("", "*a, ", 70, ""), 4, 280);
    refuses_str(block("a: &a '", "0123456789abcdef", 4096, arena_printf(&arena, "'\nb: [%.*s]", STR_ARG(copies)).data),
                TOO_LARGE, "too many values");
    const char *deep = "---\na: &a [[[[[[[[[[x]]]]]]]]]]\nb: &b [[[[[[[[[[*a]]]]]]]]]]\nc: &c "
                       "[[[[[[[[[[*b]]]]]]]]]]\nd: [[[*c]]]\n---";
    refuses_str(str_of(deep), TOO_LARGE, "nested");
}

static void depth_size_and_number_are_limited(void **state)
{
    auto_json json_t *card = NULL;
    (void)state;
    assert_int_equal(OK, card_read(block("a: ", "[", 31, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), &card, NULL));
    refuses_str(block("a: ", "[", 32, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), TOO_LARGE, "nested");
    refuses_str(block("a: ", "[", 900000, ""), TOO_LARGE, "nested");
    refuses_str(block("a: ", "- ", 400000, "x"), INVALID, "line");
    refuses_str(block("", "? ", 400000, "x"), INVALID, "a key must be");
    refuses_str(block("a: [", "x,", 100001, "]"), TOO_LARGE, "too many values");
    refuses_str(block("a: ", "x", CARD_YAML_LIMIT, ""), TOO_LARGE, "bytes");
    reads("---\na: [[[x]]]\n---", "{\"a\":[[[\"x\"]]]}");
}

/* Validate. */

static struct card_report report_on(const char *readme, const char *kind)
{
    struct card_report report;
    card_validate(&arena, str_of(readme), str_of(kind), &report);
    return report;
}

static void is_fine(const char *readme, const char *kind)
{
    struct card_report report = report_on(readme, kind);
    if (report.errors.count || report.warnings.count)
        fail_msg("%s: %.*s", readme, STR_ARG(report.errors.messages[0]));
}

static void has_error(const char *readme, const char *kind, const char *message)
{
    struct card_report report = report_on(readme, kind);
    assert_int_equal(1, report.errors.count);
    if (!str_has(report.errors.messages[0], str_of(message)))
        fail_msg("%s: %.*s", readme, STR_ARG(report.errors.messages[0]));
}

static void missing_metadata_is_a_warning(void **state)
{
    static const char *const empty[] = {"", "# Title", "---\n---\n", "---\na: 1\n"};
    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct card_report report = report_on(empty[i], "model");
        assert_int_equal(0, report.errors.count);
        assert_int_equal(1, report.warnings.count);
        assert_true(str_eq(report.warnings.messages[0], STR("empty or missing yaml metadata in repo card")));
    }
    is_fine("---\na: 1\n---\n", "model");
}

static void licences_come_from_a_list(void **state)
{
    (void)state;
    is_fine("---\nlicense: mit\n---\n", "model");
    is_fine("---\nlicense: [mit, openrail++, cc-by-nc-sa-4.0]\n---\n", "dataset");
    is_fine("---\nlicense:\nx: 1\n---\n", "model");
    has_error("---\nlicense: lol\n---\n", "model", "\"license\" must be one of [apache-2.0, mit, ");
    has_error("---\nlicense: [mit, lol]\n---\n", "space", "\"license\" must be one of [");
    has_error("---\nlicense: []\n---\n", "model", "\"license\" must be one of [");
    has_error("---\nlicense: MIT\n---\n", "model", ", unknown, other]");
    has_error("---\nlicense: 3\n---\n", "model", "\"license\" must be one of [");
    has_error("---\nlicense: {mit: 1}\n---\n", "model", "\"license\" must be one of [");
}

static void well_known_fields_have_their_type(void **state)
{
    (void)state;
    is_fine(
        "---\ntags: x\nlanguage: [en, no]\ndatasets: [a/b]\nbase_model: a/b\npipeline_tag: x\nmodel-index: []\n---\n",
        "model");
    has_error("---\ntags: {a: b}\n---\n", "model", "\"tags\" must be a string or a list of strings");
    has_error("---\ntags: [a, 1]\n---\n", "dataset", "\"tags\"");
    has_error("---\nlanguage: 1\n---\n", "model", "\"language\"");
    has_error("---\ndatasets: [[a]]\n---\n", "model", "\"datasets\"");
    has_error("---\nbase_model: true\n---\n", "model", "\"base_model\"");
    has_error("---\npipeline_tag: [x]\n---\n", "model", "\"pipeline_tag\" must be a string");
    has_error("---\nmodel-index: x\n---\n", "model", "\"model-index\" must be a list");
    is_fine("---\nmodel-index: x\n---\n", "dataset");
    assert_int_equal(2, report_on("---\ntags: 1\nlanguage: 1\n---\n", "model").errors.count);
}

static void bad_yaml_is_one_error_with_its_position(void **state)
{
    (void)state;
    has_error("---\na: 1\na: 2\n---\n", "model", "line 3, column 1");
}

/* Tags. */

static void keep_tag(void *context, struct str tag)
{
    buf_printf(context, "%.*s ", STR_ARG(tag));
}

static void tags_are(const char *kind, const char *readme, const char *expected)
{
    auto_json json_t *card = NULL;
    auto_buf struct buf tags = {0};
    assert_int_equal(OK, card_read(str_of(readme), &card, NULL));
    card_tags(card, str_of(readme), str_of(kind), keep_tag, &tags);
    buf_byte(&tags, 0);
    assert_string_equal(expected, tags.data);
}

static void a_model_has_the_tags_of_its_card(void **state)
{
    (void)state;
    tags_are(
        "model",
        "---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: fill-mask\ntags: [x, y, x]\nlanguage: [en, fr]\n"
        "datasets: squad\nbase_model: [a/b, c/d]\n---\nSee https://arxiv.org/abs/1810.04805v2 and arXiv:2001.12345, "
        "arxiv:1810.04805.",
        "transformers fill-mask x y en fr dataset:squad arxiv:1810.04805 arxiv:2001.12345 base_model:a/b "
        "base_model:c/d license:mit "
        "base_model:finetune:a/b base_model:finetune:c/d ");
}

static void the_relation_to_the_base_model_is_a_tag(void **state)
{
    (void)state;
    tags_are("model", "---\nbase_model: a/b\nbase_model_relation: quantized\n---",
             "base_model:a/b base_model:quantized:a/b ");
    tags_are("model", "---\nbase_model: a/b\nbase_model_relation: odd\n---", "base_model:a/b base_model:finetune:a/b ");
    tags_are("dataset", "---\nbase_model: a/b\n---", "");
}

static void a_dataset_has_the_tags_of_its_card(void **state)
{
    (void)state;
    tags_are("dataset",
             "---\ntask_categories: [qa]\nlanguage: en\nsize_categories: [1K<n<10K]\ntask_ids: x\n"
             "annotations_creators: [y]\nlicense: [mit, other]\ntags: z\npipeline_tag: no\n---",
             "task_categories:qa task_ids:x annotations_creators:y z language:en license:mit license:other "
             "size_categories:1K<n<10K ");
}

static void values_of_the_wrong_type_give_no_tags(void **state)
{
    (void)state;
    tags_are("model", "---\ntags: [1, [x], {a: b}, null, '', ok]\nlicense: 3\nlanguage: {en: 1}\n---", "ok ");
    tags_are("space", "---\nsdk: gradio\ntags: [a]\n---", "gradio a ");
}

static void a_tag_is_at_most_256_bytes(void **state)
{
    (void)state;
    struct str x = str_slice(block("", "x", 300, ""), 4, 256);
    struct str fits = arena_printf(&arena, "---\ntags: %.*s\n---", STR_ARG(x));
    struct str beyond = arena_printf(&arena, "---\ntags: %.*sx\n---", STR_ARG(x));
    tags_are("model", fits.data, arena_printf(&arena, "%.*s ", STR_ARG(x)).data);
    tags_are("model", beyond.data, "");
}

static void only_arxiv_numbers_are_papers(void **state)
{
    (void)state;
    tags_are("model",
             "arxiv:123.45678 arxiv:1234.123 arxiv:1234.123456 arxiv:1234-12345 arxiv: arxiv.org/abs/hep-th/1 "
             "arxiv.org/list/2001.12345 arxiv",
             "");
    tags_are("model", "arxiv.org/pdf/2001.12345.pdf [x](https://ARXIV.org/abs/1234.5678)",
             "arxiv:2001.12345 arxiv:1234.5678 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_is_found_at_the_start_only),
        cmocka_unit_test(plain_scalars_follow_the_core_schema),
        cmocka_unit_test(quoted_and_tagged_scalars_are_strings),
        cmocka_unit_test(keys_keep_their_order_and_become_strings),
        cmocka_unit_test(a_key_given_twice_is_an_error_with_its_line),
        cmocka_unit_test(bad_yaml_is_an_error_with_its_line),
        cmocka_unit_test(aliases_are_copies_within_limits),
        cmocka_unit_test(an_alias_bomb_is_refused),
        cmocka_unit_test(depth_size_and_number_are_limited),
        cmocka_unit_test(missing_metadata_is_a_warning),
        cmocka_unit_test(licences_come_from_a_list),
        cmocka_unit_test(well_known_fields_have_their_type),
        cmocka_unit_test(bad_yaml_is_one_error_with_its_position),
        cmocka_unit_test(a_model_has_the_tags_of_its_card),
        cmocka_unit_test(the_relation_to_the_base_model_is_a_tag),
        cmocka_unit_test(a_dataset_has_the_tags_of_its_card),
        cmocka_unit_test(values_of_the_wrong_type_give_no_tags),
        cmocka_unit_test(a_tag_is_at_most_256_bytes),
        cmocka_unit_test(only_arxiv_numbers_are_papers),
    };
    return cmocka_run_group_tests(tests, NULL, stop);
}
