/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The input is a policy, a NUL, and a checkpoint note. In what is read, members stand before their groups, and what is
 * asked for can be given; judging ends with a verdict.
 */
#include "tlog/policy.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void groups_are_sound(const struct policy *policy)
{
    for (size_t i = 0; i < policy->party_count; i++) {
        const struct policy_party *party = &policy->parties[i];
        unsigned members = 0;
        for (size_t j = 0; j < policy->party_count; j++)
            members += policy->parties[j].group == (int)i;
        must(party->name.len > 0 && party->group < (int)policy->party_count);
        must(party->group < 0 || (party->group > (int)i && policy->parties[party->group].is_group));
        must(party->is_group ? party->needed >= 1 && party->needed <= members : members == 0);
    }
    must(!policy->quorum ||
         (policy->quorum >= policy->parties && policy->quorum < policy->parties + policy->party_count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str rest = {(const char *)data, len}, text;
    struct policy policy;
    struct policy_verdict verdict;
    struct error err = {0};
    if (!str_cut(&rest, '\0', &text))
        return 0;
    if (policy_parse(&arena, text, &policy, &err) != OK) {
        must(err.message[0]);
        return 0;
    }
    groups_are_sound(&policy);
    if (policy_check(&arena, &policy, NULL, rest, &verdict, &err) != OK) {
        must(err.message[0]);
        return 0;
    }
    must(policy.quorum ? verdict.cosignatures > 0 && verdict.seen_by <= INT64_MAX : verdict.seen_by == 0);
    return 0;
}
