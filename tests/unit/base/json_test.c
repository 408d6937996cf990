/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"

#include "check.h"

#define LIMIT 1000000

static json_t *read_good(struct str text)
{
    struct str copy = exact(text);
    struct error err = {0};
    json_t *value = NULL;
    if (json_read(copy, LIMIT, &value, &err) != OK)
        broken("%s", err.message);
    done(copy);
    return value;
}

static enum status read_status(struct str text, struct error *err)
{
    struct str copy = exact(text);
    auto_json json_t *value = NULL;
    enum status status = json_read(copy, LIMIT, &value, err);
    assert_int_equal(status == OK, value != NULL);
    done(copy);
    return status;
}

static void members_are_read_by_name_and_type(void **state)
{
    (void)state;
    auto_json json_t *object = read_good(
        STR("{\"s\":\"a\\u00e9\\n\",\"e\":\"\",\"t\":true,\"f\":false,\"i\":9223372036854775807,\"n\":null}"));
    assert_str(json_get_str(object, "s"), "a\xC3\xA9\n");
    assert_str(json_get_str(object, "e"), "");
    assert_true(json_get_bool(object, "t", false));
    assert_false(json_get_bool(object, "f", true));
    assert_int_equal(json_get_int(object, "i", 0), INT64_MAX);
}

static void a_member_that_is_missing_or_of_another_type_is_as_if_not_given(void **state)
{
    (void)state;
    auto_json json_t *object = read_good(STR("{\"s\":\"1\",\"i\":1,\"r\":1.5,\"n\":null}"));
    assert_false(str_given(json_get_str(object, "i")));
    assert_false(str_given(json_get_str(object, "n")));
    assert_false(str_given(json_get_str(object, "missing")));
    assert_false(str_given(json_get_str(NULL, "s")));
    assert_true(json_get_bool(object, "i", true));
    assert_false(json_get_bool(object, "missing", false));
    assert_int_equal(json_get_int(object, "s", -1), -1);
    assert_int_equal(json_get_int(object, "r", -1), -1);
}

static void any_value_is_a_text_and_has_no_members_unless_it_is_an_object(void **state)
{
    (void)state;
    const struct str texts[] = {STR("null"), STR("true"), STR(" -1 "), STR("1.5"), STR("\"s\""), STR("[\"s\"]")};
    for (size_t i = 0; i < COUNT(texts); i++) {
        auto_json json_t *value = read_good(texts[i]);
        assert_false(str_given(json_get_str(value, "s")));
        assert_int_equal(json_get_int(value, "s", 7), 7);
        assert_true(json_get_bool(value, "s", true));
    }
}

static void what_is_not_strict_json_is_refused(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),
        STR(" "),
        STR("{"),
        STR("[1,]"),
        STR("{\"a\":1,}"),
        STR("{a:1}"),
        STR("{\"a\":1,\"a\":2}"),
        STR("{\"a\":{\"b\":1,\"b\":1}}"),
        STR("[NaN]"),
        STR("[Infinity]"),
        STR("[01]"),
        STR("[+1]"),
        STR("[1e999]"),
        STR("[9223372036854775808]"),
        STR("[\"\xFF\"]"),
        STR("[\"\xED\xA0\x80\"]"),
        STR("[\"\\ud800\"]"),
        STR("[\"\\u0000\"]"),
        STR("[\"a\0b\"]"),
        STR("[\"a\nb\"]"),
        STR("['a']"),
        STR("[1] x"),
        STR("[1]\0"),
        STR("[][]"),
        STR("// x\n[]"),
        STR("\xEF\xBB\xBF[]"),
        STR("nul"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err;
        if (read_status(bad[i], &err) != INVALID)
            broken("accepted %s", bad[i].data);
    }
    struct error err;
    auto_json json_t *value = NULL;
    assert_int_equal(json_read((struct str){NULL, 0}, LIMIT, &value, &err), INVALID);
}

static void the_position_is_told_and_the_content_is_not(void **state)
{
    (void)state;
    struct error err;
    read_status(STR("{\"token\": \"first\",\n \"token\": \"hunter2\"}"), &err);
    assert_true(str_has(str_of(err.message), STR("same key twice")));
    assert_true(str_has(str_of(err.message), STR("line 2")));
    assert_false(str_has(str_of(err.message), STR("token")));
    read_status(STR("[hunter2]"), &err);
    assert_false(str_has(str_of(err.message), STR("hunter")));
}

static struct str nested(struct arena *arena, size_t depth)
{
    char *text = arena_alloc(arena, 2 * depth);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return (struct str){text, 2 * depth};
}

static void deep_nesting_is_refused_and_modest_nesting_is_not(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct error err;
    assert_int_equal(read_status(nested(&arena, 200), &err), OK);
    assert_int_equal(read_status(nested(&arena, 100000), &err), INVALID);
    assert_true(str_has(str_of(err.message), STR("nested too deeply")));
}

static void the_limit_counts_bytes(void **state)
{
    (void)state;
    struct error err;
    json_t *value = NULL;
    assert_int_equal(json_read(STR("[12345]"), 6, &value, &err), TOO_LARGE);
    assert_null(value);
    assert_int_equal(json_read(STR("[12345]"), 7, &value, &err), OK);
    json_release(&value);
    assert_null(value);
}

static void a_dump_is_compact_and_keeps_the_order_of_keys(void **state)
{
    (void)state;
    auto_json json_t *value = read_good(STR("{ \"z\" : [ 1, -2.5 , true, null ], \"a\" : \"\\u00e9\\\"\\u0001\" }"));
    auto_buf struct buf out = {0};
    buf_str(&out, STR(">"));
    json_dump(value, &out);
    assert_str(buf_view(&out), ">{\"z\":[1,-2.5,true,null],\"a\":\"\xC3\xA9\\\"\\u0001\"}");
    out.len = 0;
    json_dump(json_object_get(value, "a"), &out); /* a part that is no container */
    assert_str(buf_view(&out), "\"\xC3\xA9\\\"\\u0001\"");
}

static void the_writer_puts_commas_where_they_belong(void **state)
{
    (void)state;
    auto_json json_t *part = read_good(STR("{\"k\":[]}"));
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_object(&w);
    jw_key(&w, "empty");
    jw_object(&w);
    jw_end(&w);
    jw_key(&w, "list");
    jw_array(&w);
    jw_array(&w);
    jw_end(&w);
    jw_int(&w, 1);
    jw_str(&w, STR("two"));
    jw_bool(&w, true);
    jw_null(&w);
    jw_raw(&w, STR("[3]"));
    jw_value(&w, part);
    jw_end(&w);
    jw_key_str(&w, "absent", (struct str){NULL, 0});
    jw_key_str(&w, "text", STR(""));
    jw_key_int(&w, "number", -5);
    jw_key_bool(&w, "flag", false);
    jw_key_hex(&w, "bytes", "\x01\xAB\0", 3);
    jw_end(&w);
    assert_str(buf_view(&out), "{\"empty\":{},\"list\":[[],1,\"two\",true,null,[3],{\"k\":[]}],\"absent\":null,"
                               "\"text\":\"\",\"number\":-5,\"flag\":false,\"bytes\":\"01ab00\"}");
}

static struct str written(struct str value, struct buf *out)
{
    struct str copy = exact(value);
    out->len = 0;
    struct json_writer w = jw_to(out);
    jw_str(&w, copy);
    done(copy);
    return buf_view(out);
}

static void strings_are_escaped_no_more_than_json_needs(void **state)
{
    (void)state;
    const struct {
        struct str value;
        const char *expected;
    } table[] = {
        {STR(""), "\"\""},
        {STR("plain text, longer than one machine word"), "\"plain text, longer than one machine word\""},
        {STR("\"\\/"), "\"\\\"\\\\/\""},
        {STR("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
        {STR("\0\x01\x1F\x7F"), "\"\\u0000\\u0001\\u001f\x7F\""},
        {STR("h\xC3\xA9 \xF0\x9F\x97\xBB"), "\"h\xC3\xA9 \xF0\x9F\x97\xBB\""},
        {STR("12345678\"12345678\\1234567\n"), "\"12345678\\\"12345678\\\\1234567\\n\""},
    };
    auto_buf struct buf out = {0};
    for (size_t i = 0; i < COUNT(table); i++)
        assert_str(written(table[i].value, &out), table[i].expected);
}

static void every_byte_is_found_wherever_it_stands(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    for (int byte = 0; byte < 256; byte++)
        for (size_t place = 0; place < 17; place++) {
            char text[17];
            memset(text, 'x', sizeof text);
            text[place] = (char)byte;
            struct str json = written((struct str){text, sizeof text}, &out);
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            assert_int_equal(json.len == sizeof text + 2, plain);
        }
}

static void what_is_not_utf8_becomes_the_replacement_character(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    assert_str(written(STR("a\xFF"
                           "b"),
                       &out),
               "\"a\xEF\xBF\xBD"
               "b\"");
    assert_str(written(STR("\xC3"), &out), "\"\xEF\xBF\xBD\"");
    assert_str(written(STR("\xED\xA0\x80"), &out), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_str(written(STR("ok\xE2\x82\""), &out), "\"ok\xEF\xBF\xBD\xEF\xBF\xBD\\\"\"");
}

static void whole_numbers_are_written_to_both_ends(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_array(&w);
    jw_int(&w, 0);
    jw_int(&w, 10);
    jw_int(&w, INT64_MAX);
    jw_int(&w, INT64_MIN);
    jw_end(&w);
    assert_str(buf_view(&out), "[0,10,9223372036854775807,-9223372036854775808]");
}

static void thirty_two_levels_can_be_open(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    for (int i = 0; i < 32; i++)
        jw_array(&w);
    for (int i = 0; i < 32; i++)
        jw_end(&w);
    auto_json json_t *value = read_good(buf_view(&out));
    assert_non_null(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_by_name_and_type),
        cmocka_unit_test(a_member_that_is_missing_or_of_another_type_is_as_if_not_given),
        cmocka_unit_test(any_value_is_a_text_and_has_no_members_unless_it_is_an_object),
        cmocka_unit_test(what_is_not_strict_json_is_refused),
        cmocka_unit_test(the_position_is_told_and_the_content_is_not),
        cmocka_unit_test(deep_nesting_is_refused_and_modest_nesting_is_not),
        cmocka_unit_test(the_limit_counts_bytes),
        cmocka_unit_test(a_dump_is_compact_and_keeps_the_order_of_keys),
        cmocka_unit_test(the_writer_puts_commas_where_they_belong),
        cmocka_unit_test(strings_are_escaped_no_more_than_json_needs),
        cmocka_unit_test(every_byte_is_found_wherever_it_stands),
        cmocka_unit_test(what_is_not_utf8_becomes_the_replacement_character),
        cmocka_unit_test(whole_numbers_are_written_to_both_ends),
        cmocka_unit_test(thirty_two_levels_can_be_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
