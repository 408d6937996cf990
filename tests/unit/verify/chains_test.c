/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What leaves promise each other, against a list that is searched from its beginning each time. */
#include "base/text.h"
#include "verify/chains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define REPOS 23

struct history {
    struct chains *chains;
    struct report report;
    struct arena arena;
    struct head *heads; /* one for each leaf */
    uint64_t count, rseq[REPOS];
    struct tlog_hash newest[REPOS];
};

static bool add_leaf(struct history *history, unsigned repo)
{
    uint64_t index = history->count++;
    struct leaf leaf = {
        .type = STR("x"), .of_repo = true, .repo = {[3] = (uint8_t)(repo * 7)}, .rseq = history->rseq[repo]};
    struct tlog_hash hash = tlog_leaf_hash((struct str){(const char *)&index, sizeof index});
    memcpy(leaf.previous, history->newest[repo].bytes, sizeof leaf.previous);
    memcpy(history->heads[index].repo, leaf.repo, sizeof leaf.repo);
    history->heads[index].rseq = history->rseq[repo]++;
    history->heads[index].leaf = history->newest[repo] = hash;
    return chains_add(history->chains, index, &leaf, &hash, &history->report);
}

struct prefix {
    const struct history *history;
    uint64_t covers;
};

static enum status each_head(void *context, heads_visit *visit, void *visit_context, struct error *err)
{
    const struct prefix *prefix = context;
    for (unsigned repo = 0; repo < REPOS; repo++)
        for (uint64_t i = prefix->covers; i-- > 0;)
            if (prefix->history->heads[i].repo[3] == repo * 7) {
                TRY(visit(visit_context, &prefix->history->heads[i], err));
                break;
            }
    return OK;
}

/* A "repo-heads" leaf about the first leaves, whatever came after them; off changes its count. */
static bool add_heads(struct history *history, uint64_t covers, int off)
{
    struct prefix prefix = {history, covers};
    const struct heads_source source = {each_head, &prefix};
    struct heads_root root;
    struct leaf leaf = {.type = STR("repo-heads")};
    struct tlog_hash hash = {0};
    assert_int_equal(OK, heads_root(&source, &root, NULL));
    leaf_set_number(&leaf, "count", (int64_t)root.count + off);
    leaf_set_number(&leaf, "covers", (int64_t)covers);
    leaf_set_text(&leaf, "root", hex_encode(&history->arena, root.root.bytes, SHA256_SIZE));
    return chains_add(history->chains, history->count, &leaf, &hash, &history->report); /* its index is used again */
}

static struct history history_of(uint64_t most)
{
    return (struct history){.chains = chains_new(), .heads = calloc(most, sizeof(struct head))};
}

static void end(struct history *history)
{
    chains_free(history->chains);
    free(history->heads);
    arena_free(&history->arena);
    arena_free(&history->report.arena);
}

static void heads_of_any_earlier_moment_are_recognized(void **state)
{
    (void)state;
    struct history history = history_of(3000);
    srand(7);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned repos = 1 + i / 100; /* they come one after the other */
        assert_true(add_leaf(&history, (unsigned)rand() % (repos < REPOS ? repos : REPOS)));
        if (i % 10 == 0) {
            uint64_t covers = (uint64_t)rand() % (history.count + 1);
            assert_true(add_heads(&history, covers, 0));
            assert_false(add_heads(&history, covers, 1));
        }
    }
    assert_int_equal(600, chains_count(history.chains).heads);
    assert_int_equal(REPOS, chains_count(history.chains).repos);
    end(&history);
}

static void heads_of_long_ago_are_refused(void **state)
{
    (void)state;
    struct history history = history_of(700000);
    while (history.count < 700000)
        assert_true(add_leaf(&history, (unsigned)(history.count % REPOS)));
    assert_true(add_heads(&history, history.count, 0));
    assert_true(add_heads(&history, history.count - 262144, 0));
    assert_false(add_heads(&history, history.count - 262145, 0));
    assert_true(add_heads(&history, history.count - 1, 0));
    end(&history);
}

static void a_gap_is_one_finding(void **state)
{
    (void)state;
    struct history history = history_of(100);
    assert_true(add_leaf(&history, 1));
    assert_true(add_leaf(&history, 2));
    history.rseq[1]++;
    assert_false(add_leaf(&history, 1));
    assert_true(add_leaf(&history, 1));
    history.newest[1].bytes[0] ^= 1;
    assert_false(add_leaf(&history, 1));
    assert_true(add_leaf(&history, 1));
    assert_true(add_leaf(&history, 2));
    assert_int_equal(2, history.report.counts[FAILED]);
    end(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_of_any_earlier_moment_are_recognized),
        cmocka_unit_test(heads_of_long_ago_are_refused),
        cmocka_unit_test(a_gap_is_one_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
