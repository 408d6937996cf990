/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "leaf/heads.h"

#define MOST 70

/* Repos 2, 4, 6, …: the odd numbers are absent. */
struct list {
    struct head heads[MOST];
    size_t count;
};

static void name_repo(size_t number, uint8_t repo[LEAF_REPO_SIZE])
{
    memset(repo, 0, LEAF_REPO_SIZE);
    repo[0] = (uint8_t)number;
}

static enum status each(void *context, heads_visit *visit, void *visit_context, struct error *err)
{
    const struct list *list = context;
    for (size_t i = 0; i < list->count; i++)
        TRY(visit(visit_context, &list->heads[i], err));
    return OK;
}

static void fill(struct list *list, size_t count)
{
    *list = (struct list){.count = count};
    for (size_t i = 0; i < count; i++) {
        name_repo(2 * i + 2, list->heads[i].repo);
        list->heads[i].rseq = 1000 + i;
        memset(list->heads[i].leaf.bytes, (int)i, SHA256_SIZE);
    }
}

/* RFC 6962's own definition, by recursion. */
static struct tlog_hash plain_root(const struct head *heads, size_t count)
{
    uint8_t entry[HEAD_ENTRY_SIZE];
    if (count == 1) {
        head_entry(heads, entry);
        return tlog_leaf_hash((struct str){(const char *)entry, sizeof entry});
    }
    size_t half = 1;
    while (2 * half < count)
        half *= 2;
    struct tlog_hash left = plain_root(heads, half), right = plain_root(heads + half, count - half);
    return tlog_node_hash(&left, &right);
}

static struct heads_answer ask(struct list *list, size_t number)
{
    const struct heads_source source = {each, list};
    struct heads_answer answer;
    uint8_t repo[LEAF_REPO_SIZE];
    name_repo(number, repo);
    GOOD(heads_answer(&source, repo, &answer, err));
    return answer;
}

static bool holds(const struct heads_root *root, size_t number, const struct heads_answer *answer)
{
    uint8_t repo[LEAF_REPO_SIZE];
    name_repo(number, repo);
    return heads_answer_holds(root, repo, answer);
}

static struct heads_root root_of(struct list *list)
{
    const struct heads_source source = {each, list};
    struct heads_root root;
    GOOD(heads_root(&source, &root, err));
    return root;
}

static void test_an_entry_is_id_number_and_hash(void **state)
{
    (void)state;
    struct head head = {.rseq = 0x0102030405060708};
    uint8_t entry[HEAD_ENTRY_SIZE];
    memset(head.repo, 0xaa, sizeof head.repo);
    memset(head.leaf.bytes, 0xbb, sizeof head.leaf.bytes);
    head_entry(&head, entry);
    assert_int_equal(sizeof entry, 56);
    assert_memory_equal(entry, "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\1\2\3\4\5\6\7\10\xbb",
                        25);
    assert_int_equal(entry[55], 0xbb);
}

static void test_the_root_is_that_of_the_sorted_entries(void **state)
{
    (void)state;
    for (size_t count = 1; count <= MOST; count++) {
        struct list list;
        fill(&list, count);
        struct heads_root root = root_of(&list);
        struct tlog_hash plain = plain_root(list.heads, count);
        assert_int_equal(root.count, count);
        assert_memory_equal(root.root.bytes, plain.bytes, SHA256_SIZE);
    }
}

static void test_heads_out_of_order_are_refused(void **state)
{
    (void)state;
    struct list list;
    fill(&list, 5);
    list.heads[3] = list.heads[2];
    const struct heads_source source = {each, &list};
    struct heads_root root;
    EXPECT(CORRUPT, heads_root(&source, &root, err));
}

static void test_every_repo_is_proved_to_be_there_or_not(void **state)
{
    (void)state;
    for (size_t count = 0; count <= MOST; count += count < 9 ? 1 : 7) {
        struct list list;
        fill(&list, count);
        struct heads_root root = root_of(&list);
        for (size_t number = 1; number <= 2 * count + 1; number++) {
            struct heads_answer answer = ask(&list, number);
            assert_int_equal(answer.present, number % 2 == 0);
            assert_true(holds(&root, number, &answer));
            if (answer.present) {
                assert_int_equal(answer.proofs[0].head.rseq, 1000 + number / 2 - 1);
            }
        }
    }
}

/* ---- the same with something wrong */

static void test_an_answer_holds_for_its_repo_and_its_root_alone(void **state)
{
    (void)state;
    struct list list, other;
    fill(&list, 13);
    fill(&other, 13);
    other.heads[12].rseq++;
    struct heads_root root = root_of(&list), other_root = root_of(&other);
    for (size_t number = 1; number <= 26; number++) {
        struct heads_answer answer = ask(&list, number);
        assert_false(holds(&other_root, number, &answer));
        assert_false(holds(&root, number % 2 == 0 ? number + 2 : number + 1, &answer));
    }
    struct heads_answer behind = ask(&list, 27);
    assert_true(holds(&root, 27, &behind));
    root.count++;
    assert_false(holds(&root, 27, &behind));
}

static void test_a_head_that_is_not_the_newest_is_found_out(void **state)
{
    (void)state;
    struct list list;
    fill(&list, 13);
    struct heads_root root = root_of(&list);
    struct heads_answer answer = ask(&list, 8);
    answer.proofs[0].head.rseq--;
    assert_false(holds(&root, 8, &answer));
    answer = ask(&list, 8);
    answer.proofs[0].head.leaf.bytes[31] ^= 1;
    assert_false(holds(&root, 8, &answer));
    answer = ask(&list, 8);
    answer.proofs[0].path.hashes[0].bytes[0] ^= 1;
    assert_false(holds(&root, 8, &answer));
    answer = ask(&list, 8);
    answer.proofs[0].path.count--;
    assert_false(holds(&root, 8, &answer));
    answer = ask(&list, 8);
    answer.proofs[0].index++;
    assert_false(holds(&root, 8, &answer));
}

static void test_a_repo_that_is_there_cannot_be_denied(void **state)
{
    (void)state;
    struct list list;
    fill(&list, 13);
    struct heads_root root = root_of(&list);
    /* by neighbours that are not next to each other */
    struct heads_answer before = ask(&list, 7), after = ask(&list, 9), denial = before;
    denial.proofs[1] = after.proofs[1];
    assert_false(holds(&root, 8, &denial));
    /* by its own entry */
    struct heads_answer own = ask(&list, 8);
    own.present = false;
    assert_false(holds(&root, 8, &own));
    /* by one neighbour, or none */
    denial = ask(&list, 7);
    denial.proof_count = 1;
    assert_false(holds(&root, 8, &denial));
    denial.proof_count = 0;
    assert_false(holds(&root, 8, &denial));
    denial.proof_count = 3;
    assert_false(holds(&root, 8, &denial));
    /* by an end of the tree that it lies within */
    denial = ask(&list, 1);
    assert_false(holds(&root, 8, &denial));
    denial = ask(&list, 27);
    assert_false(holds(&root, 8, &denial));
}

static void test_a_repo_that_is_not_there_cannot_be_claimed(void **state)
{
    (void)state;
    struct list list;
    fill(&list, 13);
    struct heads_root root = root_of(&list);
    struct heads_answer claim = ask(&list, 7);
    claim.present = true;
    assert_false(holds(&root, 7, &claim));
    claim.proof_count = 1;
    assert_false(holds(&root, 7, &claim));
    name_repo(7, claim.proofs[0].head.repo);
    assert_false(holds(&root, 7, &claim));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_id_number_and_hash),
        cmocka_unit_test(test_the_root_is_that_of_the_sorted_entries),
        cmocka_unit_test(test_heads_out_of_order_are_refused),
        cmocka_unit_test(test_every_repo_is_proved_to_be_there_or_not),
        cmocka_unit_test(test_an_answer_holds_for_its_repo_and_its_root_alone),
        cmocka_unit_test(test_a_head_that_is_not_the_newest_is_found_out),
        cmocka_unit_test(test_a_repo_that_is_there_cannot_be_denied),
        cmocka_unit_test(test_a_repo_that_is_not_there_cannot_be_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
