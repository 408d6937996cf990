/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/doc.h"

#include "../base/check.h"

static enum status read_doc(const char *text, struct tier_doc *out, struct error *err)
{
    auto_json json_t *json = NULL;
    return tier_doc_read(str_of(text), &json, out, err);
}

#define DOC(limits) "{\"slug\":\"lab\",\"name\":\"Lab\",\"purpose\":\"For labs.\",\"order\":20,\"limits\":[" limits "]}"

static void a_tier_is_read_as_it_is_written(void **state)
{
    struct tier_doc doc;
    struct error err = {0};
    (void)state;
    assert_int_equal(read_doc(DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":600,\"per\":60,\"burst\":30},"
                                  "{\"unit\":\"bytes.egress\",\"scope\":\"person\",\"per\":86400,\"soft\":5,\"hard\":"
                                  "10,\"over\":\"slow\"}"),
                              &doc, &err),
                     OK);
    const struct limit *api = &doc.limits.of[SCOPE_KEY][UNIT_API];
    assert_true(api->given);
    assert_int_equal(api->rate.each_ns, 100000000);
    assert_int_equal(api->rate.burst_ns, 3000000000);
    const struct limit *egress = &doc.limits.of[SCOPE_PERSON][UNIT_EGRESS];
    assert_int_equal(egress->soft, 5);
    assert_int_equal(egress->hard, 10);
    assert_int_equal(egress->over, OVER_SLOW);
    assert_false(doc.limits.of[SCOPE_PERSON][UNIT_API].given);
}

static void groups_of_repos_stand_beside_the_account(void **state)
{
    struct tier_doc doc;
    struct error err = {0};
    (void)state;
    if (read_doc(DOC("{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"Nightly-*\",\"hard\":8},"
                     "{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"data-*\",\"hard\":9},"
                     "{\"unit\":\"scan.seconds\",\"scope\":\"repos\",\"repos\":\"data-*\",\"per\":60,\"hard\":2}"),
                 &doc, &err) != OK)
        broken("%s", err.message);
    assert_int_equal(doc.limits.group_count, 3);
    assert_string_equal(doc.limits.groups[0].repos, "nightly-*"); /* names are told apart without case */
    assert_int_equal(doc.limits.groups[0].unit, UNIT_REPOS);
    assert_int_equal(doc.limits.groups[1].limit.hard, 9);
    assert_int_equal(doc.limits.groups[2].limit.hard, 2000000); /* microseconds */
    assert_false(doc.limits.of[SCOPE_PERSON][UNIT_REPOS].given);
}

static void a_tier_has_at_most_so_many_groups(void **state)
{
    (void)state;
    for (int count = GROUPS_MOST; count <= GROUPS_MOST + 1; count++) {
        auto_buf struct buf text = {0};
        struct tier_doc doc;
        struct error err = {0};
        for (int i = 0; i < count; i++)
            buf_printf(&text, "%s{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"x%d\",\"hard\":8}",
                       i ? "," : "", i);
        auto_buf struct buf whole = {0};
        buf_printf(&whole, DOC("%.*s"), STR_ARG(buf_view(&text)));
        buf_byte(&whole, '\0');
        assert_int_equal(read_doc(whole.data, &doc, &err), count > GROUPS_MOST ? INVALID : OK);
    }
}

static void the_builtin_tiers_are_tiers(void **state)
{
    struct error err = {0};
    struct tier_doc doc;
    (void)state;
    for (size_t i = 0; builtin_tiers[i]; i++)
        if (read_doc(builtin_tiers[i], &doc, &err) != OK)
            broken("%s", err.message);
}

static void what_is_no_tier_is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[]", "must be an object"},
        {"{}", "\"slug\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":600,\"per\":60,\"bust\":30}"), "\"bust\""},
        {DOC("{\"unit\":\"req.apo\",\"scope\":\"key\",\"rate\":600,\"per\":60}"), "\"unit\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"team\",\"rate\":600,\"per\":60}"), "\"scope\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":0,\"per\":60}"), "\"rate\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":1.5,\"per\":60}"), "\"rate\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":1}"), "\"per\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":1,\"per\":60,\"burst\":1000000000000}"), "\"per\""},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":1000000000,\"per\":60,\"burst\":1152921504606846976}"),
         "\"per\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"person\",\"soft\":9,\"hard\":8}"), "\"soft\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"person\",\"hard\":-8}"), "\"hard\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"network\",\"hard\":8}"), "for a person and for repos only"},
        {DOC("{\"unit\":\"bytes.egress\",\"scope\":\"person\",\"hard\":8}"), "\"per\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"person\",\"hard\":8},"
             "{\"unit\":\"repo.count\",\"scope\":\"person\",\"hard\":9}"),
         "twice"},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"repos\",\"hard\":8}"), "\"repos\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"lab/x\",\"hard\":8}"), "without their owner"},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"person\",\"repos\":\"x\",\"hard\":8}"), "scope repos"},
        {DOC("{\"unit\":\"gate.request.open\",\"scope\":\"repos\",\"repos\":\"x\",\"hard\":8}"), "owner of a repo"},
        {DOC("{\"unit\":\"req.api\",\"scope\":\"repos\",\"repos\":\"x\",\"rate\":8,\"per\":1}"), "owner of a repo"},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"x\",\"hard\":8,\"over\":\"slow\"}"), "\"over\""},
        {DOC("{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"x*\",\"hard\":8},"
             "{\"unit\":\"repo.count\",\"scope\":\"repos\",\"repos\":\"X*\",\"hard\":9}"),
         "twice"},
        {DOC("{\"unit\":\"scan.seconds\",\"scope\":\"repos\",\"repos\":\"x\",\"hard\":8}"), "\"per\""},
        {DOC("{\"unit\":\"scan.seconds\",\"scope\":\"person\",\"per\":60,\"hard\":1152921504606846976}"), "\"hard\""},
        {"{\"slug\":\"Lab\",\"name\":\"Lab\",\"purpose\":\"For labs.\",\"order\":20}", "\"slug\""},
        {"{\"slug\":\"lab\",\"name\":\"Lab\",\"purpose\":\"For labs.\"}", "\"order\""},
        {"{\"slug\":\"lab\",\"name\":\"Lab\",\"purpose\":\"For labs.\",\"order\":1,\"decides\":\"me\"}", "\"decides\""},
    };
    struct tier_doc doc;
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};
        assert_int_equal(read_doc(bad[i].text, &doc, &err), INVALID);
        if (!strstr(err.message, bad[i].says))
            broken("%s: \"%s\" does not say %s", bad[i].text, err.message, bad[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tier_is_read_as_it_is_written),
        cmocka_unit_test(groups_of_repos_stand_beside_the_account),
        cmocka_unit_test(a_tier_has_at_most_so_many_groups),
        cmocka_unit_test(the_builtin_tiers_are_tiers),
        cmocka_unit_test(what_is_no_tier_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests_name("quota/doc", tests, NULL, NULL);
}
