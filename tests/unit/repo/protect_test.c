/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protected branches: every way to move one, who counts, and merges that race. */
#include "fixture.h"
#include "repo/pull.h"
#include <pthread.h>

/* The repo is of the organisation OWNER. PERSON and these are its members, but for STRANGER and CHIEF. */
enum { ANNA = 11, BEN = 12, CARA = 13, READER = 14, ADMIN = 15, STRANGER = 16, CHIEF = 17 };

static void add_account(struct place *p, int64_t id, enum account_kind kind, bool is_admin, enum role role)
{
    damage(p, arena_cstr(&p->arena,
                         arena_printf(&p->arena,
                                      "INSERT INTO account (id, kind, name, name_folded, is_admin, "
                                      "default_private, created_us) VALUES (%lld, %d, 'a%lld', 'a%lld', %d, 0, 0)",
                                      (long long)id, kind, (long long)id, (long long)id, is_admin)));
    if (role)
        damage(p, arena_cstr(&p->arena, arena_printf(&p->arena, "INSERT INTO member VALUES (%d, %lld, %d)", OWNER,
                                                     (long long)id, role)));
}

static int begin_with_people(void **state)
{
    begin(state);
    struct place *p = *state;
    add_account(p, OWNER, ACCOUNT_ORG, false, ROLE_NONE);
    add_account(p, PERSON, ACCOUNT_USER, false, ROLE_WRITE);
    add_account(p, ANNA, ACCOUNT_USER, false, ROLE_WRITE);
    add_account(p, BEN, ACCOUNT_USER, false, ROLE_WRITE);
    add_account(p, CARA, ACCOUNT_USER, false, ROLE_WRITE);
    add_account(p, READER, ACCOUNT_USER, false, ROLE_READ);
    add_account(p, ADMIN, ACCOUNT_USER, false, ROLE_ADMIN);
    add_account(p, STRANGER, ACCOUNT_USER, false, ROLE_NONE);
    add_account(p, CHIEF, ACCOUNT_USER, true, ROLE_NONE);
    return 0;
}
#define test_here(name) cmocka_unit_test_setup_teardown(name, begin_with_people, end)

/* Words for what people do. */

#define MAIN STR("refs/heads/main")
static const uint8_t evidence[SHA256_SIZE] = {1, 2, 3};

static enum status protect_as(struct place *p, const char *ref, int64_t approvals, enum role role)
{
    const struct ref_rule rule = {.ref = str_of(ref), .approvals = approvals, .role = role};
    return rule_set(p->db, p->repo.id, &rule, ADMIN, &p->err);
}
#define protect(approvals) assert_ok(p, protect_as(p, "refs/heads/main", approvals, ROLE_WRITE))

/* Commits on a pull request that is new, or there. */
static void push_to(struct place *p, const char *base, int64_t number, bool is_new, int64_t by, const char *change)
{
    auto_draft struct draft *draft = NULL;
    struct str ref = arena_printf(&p->arena, "refs/pr/%lld", (long long)number);
    struct oid head = resolve(p, is_new ? base : arena_cstr(&p->arena, ref)).commit, commit;
    bool unchanged;
    assert_ok(p, build(p, &head, "a proposal", CHANGES(change), &draft, &commit, &unchanged));
    assert_false(unchanged);
    assert_ok(p, draft_apply(draft, &p->repo, ref, is_new ? NULL : &head, by, NULL, NULL, &p->err));
}

static int64_t propose_as(struct place *p, const char *base, int64_t by, const char *change)
{
    int64_t number;
    struct str ref = arena_printf(&p->arena, "refs/heads/%s", base);
    assert_ok(p, pull_open(p->db, p->repo.id, ref, STR("a proposal"), by, &number, &p->err));
    push_to(p, base, number, true, by, change);
    return number;
}

static struct pull pull_of(struct place *p, int64_t number)
{
    auto_conn struct db_conn *conn = reader(p);
    struct pull out;
    assert_ok(p, pull_get(conn, &p->arena, p->repo.id, number, &out, &p->err));
    return out;
}

struct saying_call {
    int64_t repo_id, by;
    enum decision decision;
    struct oid commit;
    struct str ref;
};

static enum status say_in_write(struct db_conn *tx, void *context, struct error *err)
{
    static const struct event_kind kind = {"approval", 1};
    struct saying_call *call = context;
    struct event event = {.kind = &kind, .repo_id = call->repo_id, .actor_id = call->by, .body = STR("{}")};
    TRY(event_append(tx, &event, err));
    return approval_put(tx, call->repo_id, call->ref, &call->commit, call->by, call->decision, db_last_id(tx), err);
}

static enum status try_say(struct db *db, int64_t repo_id, int64_t by, enum decision decision, struct oid commit,
                           struct error *err)
{
    struct saying_call call = {repo_id, by, decision, commit, MAIN};
    return db_write(db, say_in_write, &call, err);
}

static void say(struct place *p, int64_t by, enum decision decision, int64_t number)
{
    assert_ok(p, try_say(p->db, p->repo.id, by, decision, pull_of(p, number).head, &p->err));
}

static enum status try_merge(struct db *db, const struct repo *repo, int64_t number, int64_t by, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct merge merge;
    TRY(db_reader(db, &conn, err));
    TRY(merge_plan(conn, &arena, repo->id, number, &merge, err));
    db_release(&conn);
    return merge_apply(db, repo, &merge, merge.is_protected ? evidence : NULL, by, NULL, NULL, err);
}

static enum status merge_of(struct place *p, int64_t number)
{
    return try_merge(p->db, &p->repo, number, PERSON, &p->err);
}

static struct approvals approvals_of(struct place *p, int64_t number)
{
    auto_conn struct db_conn *conn = reader(p);
    struct pull pull = pull_of(p, number);
    struct ref_rule rule;
    struct approvals out;
    bool found;
    assert_ok(p, rule_find(conn, p->repo.id, pull.base, &rule, &found, &p->err));
    assert_true(found);
    assert_ok(p, approvals_count(conn, &p->arena, p->repo.id, &rule, &pull.head, &out, &p->err));
    return out;
}

/* Every way to change a ref. */

static enum status by_commit(struct place *p)
{
    return try_commit(p, "main", "direct", CHANGES("+direct=1"));
}

static enum status by_squash(struct place *p)
{
    auto_draft struct draft *draft = NULL;
    struct oid head = resolve(p, "main").commit, commit;
    bool unchanged;
    struct draft_commit how = saying(p, "squash", &head);
    how.squash = true;
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    return draft_apply(draft, &p->repo, MAIN, &head, PERSON, NULL, NULL, &p->err);
}

static enum status by_overwriting(struct place *p)
{
    struct oid approved = pull_of(p, 1).head;
    return ref_create(p->db, &p->repo, MAIN, &approved, true, PERSON, &p->err);
}

static enum status by_deleting(struct place *p)
{
    return ref_delete(p->db, &p->repo, MAIN, PERSON, &p->err);
}

static enum status by_merging(struct place *p)
{
    return merge_of(p, 2);
}

static enum status by_taking_the_approved_commit(struct place *p)
{
    auto_draft struct draft *draft = NULL;
    struct oid head = resolve(p, "main").commit, commit;
    bool unchanged;
    p->clock = 1800000000; /* as the approved commit was made: it comes out with the same id */
    assert_ok(p, build(p, &head, "a proposal", CHANGES("+approved=1"), &draft, &commit, &unchanged));
    struct oid approved = pull_of(p, 1).head;
    assert_true(oid_eq(&commit, &approved));
    return draft_apply(draft, &p->repo, MAIN, &head, PERSON, NULL, NULL, &p->err);
}

static void a_protected_branch_is_moved_in_none_of_these_ways(void **state)
{
    static const struct {
        const char *name;
        enum status (*move)(struct place *p);
        const char *words;
    } ways[] = {
        {"commit", by_commit, "Send it as a pull request"},
        {"the commit that is approved, sent directly", by_taking_the_approved_commit, "Send it as a pull request"},
        {"squash", by_squash, "has 2 approvals of people with role write or more"},
        {"overwriting, even by the approved commit", by_overwriting, "Send it as a pull request"},
        {"deleting", by_deleting, "refs/heads/main is protected"},
        {"merging without approvals", by_merging, "has 0 of the 2 approvals that it needs"},
    };
    struct place *p = *state;
    p->clock = 1800000000;
    propose_as(p, "main", PERSON, "+approved=1");
    propose_as(p, "main", PERSON, "+other=1");
    say(p, ANNA, DECISION_APPROVE, 1);
    say(p, BEN, DECISION_APPROVE, 1);
    protect(2);
    struct oid head = resolve(p, "main").commit;
    int64_t events = count_of(p, "SELECT count(*) FROM event");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        print_message("- %s\n", ways[i].name);
        assert_failure(ways[i].move(p), FORBIDDEN, ways[i].words);
        struct oid now = resolve(p, "main").commit;
        assert_true(oid_eq(&now, &head));
    }
    assert_int_equal(count_of(p, "SELECT count(*) FROM event"), events);
    assert_ok(p, merge_of(p, 1)); /* and in this one it is */
}

static void other_branches_move_as_before(void **state)
{
    struct place *p = *state;
    protect(1);
    branch_from(p, "work", "main");
    commit_to("work", "x", "+a=1");
    struct oid main = resolve(p, "main").commit;
    assert_ok(p, ref_create(p->db, &p->repo, STR("refs/heads/work"), &main, true, PERSON, &p->err));
    assert_ok(p, ref_delete(p->db, &p->repo, STR("refs/heads/work"), PERSON, &p->err));
    assert_ok(p, ref_create(p->db, &p->repo, STR("refs/tags/main"), &main, false, PERSON, &p->err));
}

static void the_same_ways_are_open_without_a_rule(void **state)
{
    static enum status (*const ways[])(struct place * p) = {by_merging, by_commit, by_squash, by_overwriting,
                                                            by_deleting};
    struct place *p = *state;
    protect(1);
    assert_ok(p, rule_remove(p->db, p->repo.id, MAIN, ADMIN, &p->err));
    propose_as(p, "main", PERSON, "+other=1");
    propose_as(p, "main", PERSON, "+another=1");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_ok(p, ways[i](p));
}

static void a_branch_cannot_come_to_stand_in_place_of_a_protected_one(void **state)
{
    struct place *p = *state;
    struct oid head = resolve(p, "main").commit;
    protect(1);
    damage(p, "DELETE FROM ref WHERE name = 'refs/heads/main'"); /* as a bug of ours might */
    assert_failure(ref_create(p->db, &p->repo, MAIN, &head, false, PERSON, &p->err), FORBIDDEN, "is protected");
}

/* Rules. */

static void a_rule_is_set_changed_listed_and_removed(void **state)
{
    struct place *p = *state;
    struct ref_rule *rules;
    size_t count;
    branch_from(p, "a", "main");
    protect(2);
    protect(3);
    assert_ok(p, protect_as(p, "refs/heads/a", 1, ROLE_ADMIN));
    auto_conn struct db_conn *conn = reader(p);
    assert_ok(p, rule_list(conn, &p->arena, p->repo.id, &rules, &count, &p->err));
    assert_int_equal(count, 2);
    assert_str(rules[0].ref, "refs/heads/a");
    assert_int_equal(rules[0].role, ROLE_ADMIN);
    assert_str(rules[1].ref, "refs/heads/main");
    assert_int_equal(rules[1].approvals, 3);
    assert_ok(p, rule_remove(p->db, p->repo.id, MAIN, ADMIN, &p->err));
    assert_failure(rule_remove(p->db, p->repo.id, MAIN, ADMIN, &p->err), NOT_FOUND, "refs/heads/main is not protected");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'repo.protect' AND actor_id = 15"), 4);
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'repo.protect' AND body LIKE "
                                 "'{\"ref\":\"refs/heads/main\",\"approvals\":0,%'"),
                     1);
}

static void rules_that_make_no_sense_are_refused(void **state)
{
    struct place *p = *state;
    assert_failure(protect_as(p, "refs/heads/main", 0, ROLE_WRITE), INVALID, "1 to 100 approvals");
    assert_failure(protect_as(p, "refs/heads/main", 101, ROLE_WRITE), INVALID, "1 to 100 approvals");
    assert_failure(protect_as(p, "refs/heads/main", 1, ROLE_NONE), INVALID, "must be one of [read, write, admin]");
    assert_failure(protect_as(p, "refs/heads/gone", 1, ROLE_WRITE), NOT_FOUND, "Invalid rev id");
    assert_failure(protect_as(p, "refs/pr/1", 1, ROLE_WRITE), INVALID, "Only a branch can be protected");
    assert_failure(protect_as(p, "refs/tags/v1", 1, ROLE_WRITE), INVALID, "Only a branch can be protected");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'repo.protect'"), 0);
}

/* Who counts. */

static void only_those_count_who_have_the_role_and_did_not_make_it(void **state)
{
    static const struct {
        int64_t account;
        enum role role;
        int64_t counts;
    } cases[] = {
        {ANNA, ROLE_WRITE, 1},   {ANNA, ROLE_ADMIN, 0},          {READER, ROLE_WRITE, 0}, {READER, ROLE_READ, 1},
        {ADMIN, ROLE_ADMIN, 1},  {STRANGER, ROLE_READ, 0},       {CHIEF, ROLE_READ, 0},   {OWNER, ROLE_ADMIN, 1},
        {PERSON, ROLE_WRITE, 0}, {/* nobody */ 0, ROLE_READ, 0},
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *file = arena_cstr(&p->arena, arena_printf(&p->arena, "+file%zu=1", i));
        int64_t number = propose_as(p, "main", PERSON, file);
        assert_ok(p, protect_as(p, "refs/heads/main", 1, cases[i].role));
        say(p, cases[i].account, DECISION_APPROVE, number);
        assert_int_equal(approvals_of(p, number).have, cases[i].counts);
        say(p, cases[i].account, DECISION_REJECT, number);
        assert_int_equal(approvals_of(p, number).rejects, cases[i].counts);
    }
}

static void nobody_approves_a_pull_request_that_holds_an_earlier_commit_of_their_own(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", ANNA, "+a=1");
    push_to(p, "main", number, false, PERSON, "+b=1");
    say(p, ANNA, DECISION_APPROVE, number);
    assert_int_equal(approvals_of(p, number).have, 0);
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
    say(p, BEN, DECISION_APPROVE, number);
    assert_ok(p, merge_of(p, number));
}

static void who_made_what_is_on_the_branch_already_may_approve_the_next(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t first = propose_as(p, "main", ANNA, "+a=1");
    say(p, BEN, DECISION_APPROVE, first);
    assert_ok(p, merge_of(p, first));
    int64_t second = propose_as(p, "main", BEN, "+b=1");
    say(p, ANNA, DECISION_APPROVE, second);
    assert_ok(p, merge_of(p, second));
}

static void a_new_commit_leaves_the_approvals_of_the_old_one_behind(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    say(p, ANNA, DECISION_APPROVE, number);
    push_to(p, "main", number, false, PERSON, "+b=1");
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
}

static void what_a_person_says_last_is_what_counts(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    say(p, ANNA, DECISION_APPROVE, number);
    say(p, ANNA, DECISION_WITHDRAW, number);
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
    say(p, ANNA, DECISION_APPROVE, number);
    say(p, BEN, DECISION_REJECT, number);
    assert_failure(merge_of(p, number), FORBIDDEN, "was rejected by 1 of those who may approve it");
    say(p, BEN, DECISION_WITHDRAW, number);
    assert_ok(p, merge_of(p, number));
}

static void an_approval_for_one_branch_does_not_move_another(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    struct saying_call call = {p->repo.id, ANNA, DECISION_APPROVE, pull_of(p, number).head, STR("refs/heads/dev")};
    assert_ok(p, db_write(p->db, say_in_write, &call, &p->err));
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
    call.ref = MAIN;
    assert_ok(p, db_write(p->db, say_in_write, &call, &p->err));
    assert_ok(p, merge_of(p, number));
}

static void who_lost_the_role_does_not_count_any_more(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    say(p, ANNA, DECISION_APPROVE, number);
    assert_int_equal(approvals_of(p, number).have, 1);
    assert_ok(p, member_set(p->db, STR("a7"), STR("a11"), ROLE_NONE, OWNER, &p->err));
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
}

static void commits_of_which_nobody_knows_who_made_them_gather_no_approvals(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    say(p, ANNA, DECISION_APPROVE, number);
    damage(p, "UPDATE commit_row SET by_id = 0"); /* as those of before the upgrade have it */
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals that it needs");
    say(p, BEN, DECISION_REJECT, number);
    assert_int_equal(approvals_of(p, number).rejects, 1);
}

static void only_commits_of_the_repo_can_be_approved(void **state)
{
    struct place *p = *state;
    struct oid nothing = {0};
    assert_failure(try_say(p->db, p->repo.id, ANNA, DECISION_APPROVE, nothing, &p->err), NOT_FOUND, "Invalid rev id");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'approval'"), 0);
}

static void decisions_have_their_words(void **state)
{
    (void)state;
    enum decision decision;
    for (enum decision d = DECISION_APPROVE; d <= DECISION_WITHDRAW; d++)
        assert_true(decision_parse(decision_name(d), &decision) && decision == d);
    assert_false(decision_parse(STR("approved"), &decision));
}

/* Merges. */

static void a_merge_moves_the_base_to_the_very_commit_and_is_one_event(void **state)
{
    struct place *p = *state;
    protect(2);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    push_to(p, "main", number, false, PERSON, "+b=1");
    say(p, ANNA, DECISION_APPROVE, number);
    say(p, BEN, DECISION_APPROVE, number);
    assert_int_equal(approvals_of(p, number).have, 2);
    assert_true(approvals_of(p, number).events[0] < approvals_of(p, number).events[1]);
    assert_ok(p, merge_of(p, number));
    struct pull pull = pull_of(p, number);
    struct oid main = resolve(p, "main").commit;
    assert_true(oid_eq(&main, &pull.head) && pull.is_merged && oid_eq(&main, &pull.merged));
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'commit' AND body LIKE '%\"merge\":true,"
                                 "\"protected\":true,\"pull\":1,\"added\":2,\"changed\":0,\"removed\":0,"
                                 "\"evidence\":\"01020300%'"),
                     1);
}

static void what_cannot_be_merged_says_why(void **state)
{
    struct place *p = *state;
    int64_t merged = propose_as(p, "main", PERSON, "+a=1"), late = propose_as(p, "main", PERSON, "+b=1"), empty;
    assert_ok(p, merge_of(p, merged));
    assert_failure(merge_of(p, merged), CONFLICT, "was merged already");
    assert_failure(merge_of(p, late), CONFLICT, "was not built on what refs/heads/main is now");
    assert_failure(merge_of(p, 99), NOT_FOUND, "There is no pull request 99");
    assert_ok(p, pull_open(p->db, p->repo.id, MAIN, STR("nothing"), PERSON, &empty, &p->err));
    assert_failure(merge_of(p, empty), NOT_FOUND, "There is no pull request"); /* its ref is not there yet */
    struct oid head = resolve(p, "main").commit;
    struct str ref = arena_printf(&p->arena, "refs/pr/%lld", (long long)empty);
    assert_ok(p, ref_create(p->db, &p->repo, ref, &head, false, PERSON, &p->err));
    assert_failure(merge_of(p, empty), CONFLICT, "there is nothing to merge");
    branch_from(p, "dev", "main");
    int64_t homeless = propose_as(p, "dev", PERSON, "+c=1");
    assert_ok(p, ref_delete(p->db, &p->repo, STR("refs/heads/dev"), PERSON, &p->err));
    assert_failure(merge_of(p, homeless), CONFLICT, "is not there any more");
}

static void a_pull_request_for_another_branch_is_merged_there(void **state)
{
    struct place *p = *state;
    branch_from(p, "dev", "main");
    protect(1);
    int64_t number = propose_as(p, "dev", PERSON, "+a=1");
    assert_ok(p, merge_of(p, number));
    assert_string_equal(files(p, "dev"), ".gitattributes a");
    assert_string_equal(files(p, "main"), ".gitattributes");
}

static void an_endless_pull_request_is_not_walked(void **state)
{
    struct place *p = *state;
    protect(1);
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    damage(p, "UPDATE commit_row SET parents = oid WHERE title = 'a proposal'"); /* a line that never ends */
    assert_failure(merge_of(p, number), UNPROCESSABLE, "more than 10000 commits");
}

static struct merge plan_of(struct place *p, int64_t number)
{
    auto_conn struct db_conn *conn = reader(p);
    struct merge merge;
    assert_ok(p, merge_plan(conn, &p->arena, p->repo.id, number, &merge, &p->err));
    return merge;
}

/* What happens between plan and write, and how the write ends. */
static void nothing_is_merged_that_changed_after_it_was_planned(void **state)
{
    static const struct {
        const char *name;
        int64_t by;
        enum decision decision;
        const char *change; /* a commit on the pull request; NULL: something is said */
    } meanwhile[] = {
        {"one more approval, which the evidence lacks", CARA, DECISION_APPROVE, NULL},
        {"an approval is taken back", BEN, DECISION_WITHDRAW, NULL},
        {"a rejection", CARA, DECISION_REJECT, NULL},
        {"the same person approves once more", ANNA, DECISION_APPROVE, NULL},
        {"a commit", PERSON, DECISION_APPROVE, "+more=1"},
    };
    struct place *p = *state;
    protect(2);
    for (size_t i = 0; i < sizeof meanwhile / sizeof *meanwhile; i++) {
        print_message("- %s\n", meanwhile[i].name);
        struct oid head = resolve(p, "main").commit;
        int64_t number = propose_as(p, "main", PERSON, arena_cstr(&p->arena, arena_printf(&p->arena, "+m%zu=1", i)));
        say(p, ANNA, DECISION_APPROVE, number);
        say(p, BEN, DECISION_APPROVE, number);
        struct merge merge = plan_of(p, number);
        if (meanwhile[i].change)
            push_to(p, "main", number, false, meanwhile[i].by, meanwhile[i].change);
        else
            say(p, meanwhile[i].by, meanwhile[i].decision, number);
        assert_failure(merge_apply(p->db, &p->repo, &merge, evidence, PERSON, NULL, NULL, &p->err), STALE, "try again");
        struct oid now = resolve(p, "main").commit;
        assert_true(oid_eq(&now, &head));
    }
}

static void a_rule_that_comes_between_plan_and_merge_holds(void **state)
{
    struct place *p = *state;
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    struct merge merge = plan_of(p, number);
    protect(1);
    assert_failure(merge_apply(p->db, &p->repo, &merge, NULL, PERSON, NULL, NULL, &p->err), STALE, "try again");
    assert_failure(merge_of(p, number), FORBIDDEN, "has 0 of the 1 approvals");
}

static void a_commit_that_comes_between_plan_and_merge_is_not_left_out(void **state)
{
    struct place *p = *state;
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    struct merge merge = plan_of(p, number);
    push_to(p, "main", number, false, PERSON, "+b=1");
    assert_failure(merge_apply(p->db, &p->repo, &merge, NULL, PERSON, NULL, NULL, &p->err), STALE, "try again");
    assert_ok(p, merge_of(p, number));
    assert_string_equal(files(p, "main"), ".gitattributes a b");
}

static void a_base_that_moves_between_plan_and_merge_is_not_lost(void **state)
{
    struct place *p = *state;
    int64_t number = propose_as(p, "main", PERSON, "+a=1");
    struct merge merge = plan_of(p, number);
    commit_to("main", "x", "+b=1");
    assert_failure(merge_apply(p->db, &p->repo, &merge, NULL, PERSON, NULL, NULL, &p->err), STALE, "refresh");
    assert_failure(merge_of(p, number), CONFLICT, "was not built on");
    assert_false(pull_of(p, number).is_merged);
}

static void pull_requests_are_listed_newest_first(void **state)
{
    struct place *p = *state;
    int64_t first = propose_as(p, "main", ANNA, "+a=1");
    propose_as(p, "main", BEN, "+b=1");
    propose_as(p, "main", ANNA, "+c=1");
    assert_ok(p, merge_of(p, first));
    static const struct {
        struct pull_filter filter;
        int64_t newest, count, total;
    } cases[] = {
        {{PULL_ANY, 0, 0, 9}, 3, 3, 3},   {{PULL_OPEN, 0, 0, 9}, 3, 2, 2}, {{PULL_MERGED, 0, 0, 9}, 1, 1, 1},
        {{PULL_ANY, BEN, 0, 9}, 2, 1, 1}, {{PULL_ANY, 0, 1, 1}, 2, 1, 3},  {{PULL_OPEN, CARA, 0, 9}, 0, 0, 0},
    };
    auto_conn struct db_conn *conn = reader(p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pull *pulls;
        size_t count;
        int64_t total;
        assert_ok(p, pull_list(conn, &p->arena, p->repo.id, &cases[i].filter, &pulls, &count, &total, &p->err));
        assert_int_equal(count, cases[i].count);
        assert_int_equal(total, cases[i].total);
        if (count)
            assert_int_equal(pulls[0].number, cases[i].newest);
    }
}

static void pull_requests_of_before_are_for_main(void **state)
{
    (void)state;
    char dir[] = "/tmp/cairn-pull-XXXXXX", path[64];
    struct place place = {0}, *p = &place;
    const struct migration_set now[] = {event_migrations, identity_migrations, store_migrations, repo_migrations};
    const struct migration_set before[] = {
        event_migrations,
        identity_migrations,
        store_migrations,
        {"repo", (const char *const[]){repo_migrations.sql[0], repo_migrations.sql[1], repo_migrations.sql[2], NULL}}};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/db", dir);
    assert_ok(p, db_open(path, &p->db, &p->err));
    assert_ok(p, db_migrate(p->db, before, 4, &p->err));
    damage(p, "INSERT INTO repo (id, public_id, kind, owner_id, ns, name, ns_key, name_key, visibility, created_us, "
              "updated_us) VALUES (1, 'p', 1, 7, 'a', 'b', 'a', 'b', 1, 0, 0);"
              "INSERT INTO commit_row (repo_id, oid, tree, parents, history, at_us, author_name, author_email, title, "
              "message) VALUES (1, zeroblob(20), zeroblob(20), x'', 1, 5, 'x', 'y', 'old one', '');"
              "INSERT INTO ref VALUES (1, 'refs/pr/12', zeroblob(20), zeroblob(20))");
    assert_ok(p, db_migrate(p->db, now, 4, &p->err));
    p->repo.id = 1;
    struct pull pull = pull_of(p, 12);
    assert_str(pull.base, "refs/heads/main");
    assert_str(pull.title, "old one");
    assert_false(pull.is_merged);
    db_close(p->db);
    arena_free(&p->arena);
    shell("rm -rf '%s'", dir);
}

static void a_deleted_repo_leaves_no_rules_behind(void **state)
{
    struct place *p = *state;
    protect(1);
    say(p, ANNA, DECISION_APPROVE, propose_as(p, "main", PERSON, "+a=1"));
    assert_ok(p, repo_delete(p->db, &p->repo, ADMIN, &p->err));
    assert_int_equal(count_of(p, "SELECT (SELECT count(*) FROM ref_rule) + (SELECT count(*) FROM approval) + "
                                 "(SELECT count(*) FROM pull)"),
                     0);
}

/* Races. A thread uses its own error and leaves judging to the main one. */

#define ROUNDS 40

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct place *p;
    int64_t number, by;
    struct oid commit;
    enum status status;
    struct error err;
};

static void *merge_until_settled(void *context)
{
    struct racer *r = context;
    pthread_barrier_wait(r->start);
    do
        r->status = try_merge(r->p->db, &r->p->repo, r->number, PERSON, &r->err);
    while (r->status == STALE);
    return NULL;
}

static void *reject(void *context)
{
    struct racer *r = context;
    pthread_barrier_wait(r->start);
    r->status = try_say(r->p->db, r->p->repo.id, r->by, DECISION_REJECT, r->commit, &r->err);
    return NULL;
}

static void run(struct racer *racers, void *(*const *work)(void *), int count)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        racers[i].start = &start;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, work[i], &racers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(racers[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static void of_a_merge_and_a_rejection_the_first_decides(void **state)
{
    struct place *p = *state;
    void *(*const work[])(void *) = {merge_until_settled, reject, merge_until_settled};
    int merged = 0;
    protect(2);
    for (int round = 0; round < ROUNDS; round++) {
        struct oid before = resolve(p, "main").commit;
        int64_t number =
            propose_as(p, "main", PERSON, arena_cstr(&p->arena, arena_printf(&p->arena, "+race%d=1", round)));
        struct oid commit = pull_of(p, number).head;
        say(p, ANNA, DECISION_APPROVE, number);
        say(p, BEN, DECISION_APPROVE, number);
        struct racer r = {.p = p, .number = number, .by = CARA, .commit = commit}, racers[] = {r, r, r};
        run(racers, work, 3);
        assert_int_equal(racers[1].status, OK);
        int winners = (racers[0].status == OK) + (racers[2].status == OK);
        assert_in_range(winners, 0, 1);
        struct oid now = resolve(p, "main").commit;
        assert_true(oid_eq(&now, winners ? &commit : &before));
        for (int i = 0; i <= 2; i += 2)
            if (racers[i].status != OK) /* the other merge was first, or the rejection was */
                assert_int_equal(racers[i].status, winners ? CONFLICT : FORBIDDEN);
        merged += winners;
    }
    print_message("%d of %d merges were before the rejection\n", merged, ROUNDS);
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'commit' AND body LIKE '%\"merge\":true%'"),
                     merged);
    /* No merge stands behind a rejection of its commit. */
    assert_int_equal(count_of(p, "SELECT count(*) FROM event m JOIN approval a ON m.body LIKE '%\"new\":\"' || "
                                 "lower(hex(a.commit_oid)) || '\"%' AND a.decision = 2 AND a.event_id < m.id "
                                 "WHERE m.kind = 'commit' AND m.body LIKE '%\"merge\":true%'"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_here(a_protected_branch_is_moved_in_none_of_these_ways),
        test_here(other_branches_move_as_before),
        test_here(the_same_ways_are_open_without_a_rule),
        test_here(a_branch_cannot_come_to_stand_in_place_of_a_protected_one),
        test_here(a_rule_is_set_changed_listed_and_removed),
        test_here(rules_that_make_no_sense_are_refused),
        test_here(only_those_count_who_have_the_role_and_did_not_make_it),
        test_here(nobody_approves_a_pull_request_that_holds_an_earlier_commit_of_their_own),
        test_here(who_made_what_is_on_the_branch_already_may_approve_the_next),
        test_here(a_new_commit_leaves_the_approvals_of_the_old_one_behind),
        test_here(what_a_person_says_last_is_what_counts),
        test_here(an_approval_for_one_branch_does_not_move_another),
        test_here(who_lost_the_role_does_not_count_any_more),
        test_here(commits_of_which_nobody_knows_who_made_them_gather_no_approvals),
        test_here(only_commits_of_the_repo_can_be_approved),
        cmocka_unit_test(decisions_have_their_words),
        test_here(a_merge_moves_the_base_to_the_very_commit_and_is_one_event),
        test_here(what_cannot_be_merged_says_why),
        test_here(a_pull_request_for_another_branch_is_merged_there),
        test_here(an_endless_pull_request_is_not_walked),
        test_here(nothing_is_merged_that_changed_after_it_was_planned),
        test_here(a_rule_that_comes_between_plan_and_merge_holds),
        test_here(a_commit_that_comes_between_plan_and_merge_is_not_left_out),
        test_here(a_base_that_moves_between_plan_and_merge_is_not_lost),
        test_here(pull_requests_are_listed_newest_first),
        cmocka_unit_test(pull_requests_of_before_are_for_main),
        test_here(a_deleted_repo_leaves_no_rules_behind),
        test_here(of_a_merge_and_a_rejection_the_first_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
