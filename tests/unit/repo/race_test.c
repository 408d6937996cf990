/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several people at once. */
#include "fixture.h"
#include <pthread.h>

#define THREADS 4
#define COMMITS 8

struct writer {
    pthread_t thread;
    struct place *p;
    int number;
    enum status status;
    struct error err;
    pthread_barrier_t *start;
    struct oid head;
};

/* Thread functions use their own arena and error, and leave judging to the main thread: cmocka's asserts belong to it.
 */
static enum status commit_on(struct writer *w, const struct oid *head, int round)
{
    auto_arena struct arena arena = {0};
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct draft_commit how = {.title = STR("race"), .author = {STR("a"), STR(""), round * 1000000}, .parent = head};
    struct str path = arena_printf(&arena, "w%d/f%d", w->number, round);
    TRY(draft_new(w->p->db, w->p->repo.id, &draft, &w->err));
    TRY(draft_put(draft, path, path, &w->err));
    TRY(draft_build(draft, &arena, &how, &commit, &unchanged, &w->err));
    return draft_apply(draft, &w->p->repo, STR("refs/heads/main"), head, PERSON, NULL, NULL, &w->err);
}

static void *commit_once(void *context)
{
    struct writer *w = context;
    pthread_barrier_wait(w->start);
    w->status = commit_on(w, &w->head, 0);
    return NULL;
}

static enum status commit_now(struct writer *w, int round)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct revision head;
    TRY(db_reader(w->p->db, &conn, &w->err));
    TRY(revision_resolve(conn, &arena, w->p->repo.id, STR("main"), &head, &w->err));
    db_release(&conn);
    return commit_on(w, &head.commit, round);
}

static void *commit_until_done(void *context)
{
    struct writer *w = context;
    pthread_barrier_wait(w->start);
    for (int round = 0; round < COMMITS && w->status == OK; round++)
        do
            w->status = commit_now(w, round);
        while (w->status == STALE);
    return NULL;
}

static void run(struct place *p, struct writer *writers, int count, void *(*work)(void *))
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)count);
    struct oid head = resolve(p, "main").commit;
    for (int i = 0; i < count; i++) {
        writers[i] = (struct writer){.p = p, .number = i, .start = &start, .head = head};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, work, &writers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(writers[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static void of_two_commits_on_one_head_one_wins_and_one_is_stale(void **state)
{
    struct place *p = *state;
    struct writer writers[2];
    run(p, writers, 2, commit_once);
    int loser = writers[0].status == OK ? 1 : 0;
    assert_int_equal(writers[!loser].status, OK);
    assert_int_equal(writers[loser].status, STALE);
    assert_string_equal(writers[loser].err.message,
                        "The branch was updated since you opened this page. Please refresh and try again.");
    assert_string_equal(files(p, "main"), loser ? ".gitattributes w0/ w0/f0" : ".gitattributes w1/ w1/f0");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'commit'"), 1);
}

static void who_tries_again_loses_nothing(void **state)
{
    struct place *p = *state;
    struct writer writers[THREADS];
    run(p, writers, THREADS, commit_until_done);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(writers[i].status, OK);
    for (int i = 0; i < THREADS; i++)
        for (int round = 0; round < COMMITS; round++) {
            char path[32];
            snprintf(path, sizeof path, "w%d/f%d", i, round);
            assert_string_equal(content(p, "main", path), path);
        }
    assert_int_equal(count_of(p, "SELECT count(*) FROM commit_row"), 1 + THREADS * COMMITS);
    assert_int_equal(count_of(p, "SELECT max(history) FROM commit_row"), 1 + THREADS * COMMITS);
    assert_int_equal(count_of(p, "SELECT count(*) FROM event WHERE kind = 'commit'"), THREADS * COMMITS);
}

static void *create_same(void *context)
{
    struct writer *w = context;
    auto_arena struct arena arena = {0};
    struct repo repo;
    struct repo_new what = {.kind = KIND_DATASET,
                            .owner_id = OWNER,
                            .ns = STR("alice"),
                            .name = STR("same"),
                            .visibility = VISIBILITY_PUBLIC,
                            .by_name = STR("alice"),
                            .by_email = STR("")};
    pthread_barrier_wait(w->start);
    w->status = repo_create(w->p->db, &arena, &what, &repo, &w->err);
    return NULL;
}

static void one_name_is_created_once(void **state)
{
    struct place *p = *state;
    struct writer writers[THREADS];
    run(p, writers, THREADS, create_same);
    int made = 0, refused = 0;
    for (int i = 0; i < THREADS; i++) {
        made += writers[i].status == OK;
        refused += writers[i].status == CONFLICT;
    }
    assert_int_equal(made, 1);
    assert_int_equal(refused, THREADS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(of_two_commits_on_one_head_one_wins_and_one_is_stale),
        test(who_tries_again_loses_nothing),
        test(one_name_is_created_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
