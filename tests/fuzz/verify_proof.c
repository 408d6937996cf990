/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Proof files for a policy whose keys nobody has any more: only what the seeds hold can ever verify. */
#include "verify/run.h"
#include <assert.h>
#include <stdlib.h>

/* The log and the witness of the seeds; made for them once. */
static const char policy[] = "log hub.example.org/log+d22d50cc+Add5FgzbE6KLPFE3SjrffhB8Ojpksipx11fJrxR2Xw09\n"
                             "witness w0 witness.example/w0+98c83a20+BKBcGmegsIthOfQA3whuZdfDJnu6pVkUpQSX/Fe/K0NT\n"
                             "group g all w0\n"
                             "quorum g\n";

/* Both leaves of the seeds begin so. */
static bool is_known(struct str leaf)
{
    return str_starts(leaf, STR("{\"actor\":\"hub\",\"auth\":\"hub-asserted\",\"b\":{"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.folder.fd = -1};
    struct error err;
    if (policy_parse(&run.report.arena, str_of(policy), &run.trust.policy, &err) != OK)
        abort();
    bool good = proof_check(&run, (struct str){(const char *)data, size});
    assert(good == (report_verdict(&run.report) == CAIRN_VERIFIED));
    assert(!run.has_proven || (run.proven.proof.index < 3 && is_known(run.proven.extra.leaf)));
    arena_free(&run.report.arena);
    return 0;
}
