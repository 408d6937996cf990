/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A policy that somebody sends, and answers to its form: the first line is the policy, what follows the answers. What is
 * taken is taken again in the form in which it is kept. */
#include "gate/policy.h"
#include "identity/identity.h"
#include "module.h"
#include <assert.h>

const struct module *const modules[] = {NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *answers = NULL, *card = NULL, *kept = NULL;
    struct gate_policy policy, again;
    struct error err = {0};
    struct str rest = arena_copy(&arena, (struct str){(const char *)data, size}), first, out;
    if (!str_cut(&rest, '\n', &first))
        return 0;
    if (json_read(first, POLICY_LIMIT, &card, NULL) == OK) {
        struct form form;
        form_read_card(&arena, card, &form);
        assert(form.count <= FORM_FIELDS_MOST);
    }
    if (policy_read(&arena, first, &policy, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    assert(policy_read(&arena, policy.text, &again, &err) == OK);
    assert(memcmp(policy.sha256, again.sha256, SHA256_SIZE) == 0);
    if (!str_given(rest) || json_read(rest, FORM_ANSWERS_LIMIT, &answers, NULL) != OK)
        return 0;
    struct account account = {.email = STR("a@b.example")};
    policy_rules_hold(&policy, answers, &account, 0);
    if (form_check(&arena, &policy.form, answers, true, &out, &err) == OK) {
        assert(json_read(out, SIZE_MAX, &kept, NULL) == OK);
        assert(form_check(&arena, &policy.form, kept, true, &first, &err) == OK && str_eq(first, out));
    }
    return 0;
}
