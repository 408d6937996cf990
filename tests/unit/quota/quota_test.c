/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "town.h"

#define PUBLIC(hard) "{'unit':'bytes.store.public','scope':'person','hard':" #hard "}"

static void what_is_reserved_is_there_when_it_comes_and_no_more(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    GOOD(reserve(town, "a", 60, err));
    USES(0, 60);
    GOOD(reserve(town, "b", 40, err));
    EXPECT(TOO_LARGE, reserve(town, "c", 1, err));
    GOOD(commit(town, "a", 60, err));
    USES(60, 40);
    EXPECT(TOO_LARGE, reserve(town, "c", 1, err));
    GOOD(ask(town, "b", 0, release_of, err));
    USES(60, 0);
    GOOD(reserve(town, "c", 40, err));
    EXPECT(TOO_LARGE, commit(town, "nobody reserved this", 1, err));
}

static void the_refusal_says_what_is_full_how_much_and_how_to_move_up(void **state)
{
    struct town *town = *state;
    struct error said = {0};
    limit(town, PUBLIC(100));
    GOOD(commit(town, "a", 70, err));
    GOOD(reserve(town, "b", 20, err));
    assert_int_equal(reserve(town, "c", 11, &said), TOO_LARGE);
    assert_string_equal(said.code, "QuotaExceeded");
    static const char *const words[] = {"11 more bytes kept in public repos of ada", "tier basic allows 100",
                                        "70 are used", "20 are reserved", "/api/usage"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(said.message, words[i]));
}

static void asking_again_with_the_same_key_does_not_reserve_twice(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    for (int i = 0; i < 5; i++)
        GOOD(reserve(town, "a", 60, err));
    USES(0, 60);
    GOOD(reserve(town, "a", 90, err));
    USES(0, 90);
    EXPECT(TOO_LARGE, reserve(town, "a", 101, err));
    GOOD(reserve(town, "a", 10, err));
    USES(0, 10);
    GOOD(commit(town, "a", 10, err));
    USES(10, 0);
}

static void what_comes_larger_than_it_was_reserved_needs_room_for_the_rest(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    GOOD(reserve(town, "a", 60, err));
    EXPECT(TOO_LARGE, commit(town, "a", 101, err));
    USES(0, 60); /* the write is undone as a whole */
    GOOD(commit(town, "a", 100, err));
    USES(100, 0);
}

static void a_limit_that_came_down_lets_nobody_grow_but_takes_nothing_away(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    GOOD(commit(town, "a", 80, err));
    GOOD(reserve(town, "b", 20, err));
    limit(town, PUBLIC(50));
    EXPECT(TOO_LARGE, reserve(town, "c", 1, err));
    GOOD(commit(town, "b", 20, err)); /* promised is promised */
    USES(100, 0);
}

static void a_lease_ends_after_a_day_and_progress_renews_it(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    GOOD(reserve(town, "a", 60, err));
    clock_travel(23 * 3600 * SECOND_US);
    GOOD(timers_run(town->db, err));
    USES(0, 60);
    GOOD(reserve(town, "a", 60, err)); /* asked again: another day */
    clock_travel(26 * 3600 * SECOND_US);
    GOOD(timers_run(town->db, err));
    USES(0, 60);
    clock_travel(49 * 3600 * SECOND_US);
    GOOD(timers_run(town->db, err));
    USES(0, 0);
    assert_int_equal(number(town->db, "SELECT count(*) FROM quota_reservation"), 0);
    assert_int_equal(number(town->db, "SELECT count(*) FROM timer"), 0);
}

static void nobody_is_refused_because_a_timer_is_late(void **state)
{
    struct town *town = *state;
    limit(town, PUBLIC(100));
    GOOD(reserve(town, "a", 60, err));
    clock_travel(25 * 3600 * SECOND_US);
    GOOD(reserve(town, "b", 100, err));
    USES(0, 100);
}

static void thousands_of_leases_end_in_batches(void **state)
{
    struct town *town = *state;
    GOOD(script(town->db,
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "
                "INSERT INTO quota_reservation (key, account_id, unit, repo_id, amount, expires_us) "
                "SELECT 'k' || i, 1, 6, 0, 2, i FROM n; INSERT INTO quota_counter VALUES (1, 6, 0, 7, 5000);"
                "INSERT INTO timer (kind, ref, due_us, try_us) VALUES ('quota.expiry', 0, 1, 1)",
                err));
    for (int i = 0; i < 4; i++)
        GOOD(timers_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT count(*) FROM quota_reservation"), 0);
    assert_int_equal(number(town->db, "SELECT used * 10000 + reserved FROM quota_counter WHERE unit = 6"), 70000);
}

static enum status add_line(struct db_conn *tx, void *again, struct error *err)
{
    struct quota_line line = {.account_id = 1, .amount = 5, .unit = UNIT_EGRESS, .cause = "sent", .key = STR("k1")};
    return quota_line_add(tx, &line, again, err);
}

static void a_line_of_the_ledger_counts_once(void **state)
{
    struct town *town = *state;
    bool again;
    GOOD(db_write(town->db, add_line, &again, err));
    assert_false(again);
    GOOD(db_write(town->db, add_line, &again, err));
    assert_true(again);
    assert_int_equal(number(town->db, "SELECT sum(amount) FROM quota_line"), 5);
}

/* Repos. */

static void new_repo(struct town *town, const char *name, enum visibility visibility, struct repo *out)
{
    struct repo_new what = {.kind = KIND_MODEL,
                            .owner_id = town->ada,
                            .ns = STR("ada"),
                            .name = str_of(name),
                            .visibility = visibility,
                            .by_id = town->ada,
                            .by_name = STR("ada"),
                            .by_email = STR("ada@example.org")};
    GOOD(repo_create(town->db, &town->arena, &what, out, err));
}

static void repos_count_where_they_are_and_move_with_what_they_are(void **state)
{
    struct town *town = *state;
    struct repo repo;
    new_repo(town, "flora", VISIBILITY_PUBLIC, &repo);
    int64_t bytes = use_of(town, town->ada, UNIT_STORE_PUBLIC).used;
    assert_true(bytes > 0);
    assert_int_equal(use_of(town, town->ada, UNIT_REPOS).used, 1);
    enum visibility private = VISIBILITY_PRIVATE;
    GOOD(repo_set(town->db, &repo, &(struct repo_settings){.visibility = &private}, town->ada, err));
    assert_int_equal(use_of(town, town->ada, UNIT_STORE_PUBLIC).used, 0);
    assert_int_equal(use_of(town, town->ada, UNIT_STORE_PRIVATE).used, bytes);

    int64_t ben;
    struct account_new new = {.kind = ACCOUNT_USER, .name = STR("ben")};
    GOOD(account_create(town->db, &new, 0, &ben, err));
    GOOD(repo_move(town->db, &repo, ben, STR("ben"), STR("flora"), town->ada, err));
    assert_int_equal(use_of(town, town->ada, UNIT_STORE_PRIVATE).used, 0);
    assert_int_equal(use_of(town, town->ada, UNIT_REPOS).used, 0);
    assert_int_equal(use_of(town, ben, UNIT_STORE_PRIVATE).used, bytes);
    assert_int_equal(use_of(town, ben, UNIT_REPOS).used, 1);
    GOOD(repo_delete(town->db, &repo, ben, err));
    assert_int_equal(use_of(town, ben, UNIT_STORE_PRIVATE).used, 0);
    assert_int_equal(use_of(town, ben, UNIT_REPOS).used, 0);
}

static void a_repo_that_does_not_fit_is_not_made_private(void **state)
{
    struct town *town = *state;
    struct repo repo;
    enum visibility private = VISIBILITY_PRIVATE;
    limit(town, "{'unit':'bytes.store.private','scope':'person','hard':10}");
    new_repo(town, "flora", VISIBILITY_PUBLIC, &repo);
    EXPECT(TOO_LARGE, repo_set(town->db, &repo, &(struct repo_settings){.visibility = &private}, town->ada, err));
    assert_int_equal(use_of(town, town->ada, UNIT_STORE_PRIVATE).used, 0);
    assert_int_equal(number(town->db, "SELECT visibility FROM repo"), VISIBILITY_PUBLIC);
}

#define NIGHTLY(hard) "{'unit':'bytes.store.public','scope':'repos','repos':'nightly-*','hard':" #hard "}"

static enum status ask_for(struct town *town, const struct repo *repo, const char *key, int64_t amount,
                           enum status (*what)(struct db_conn *tx, const struct quota_ask *ask, struct error *err),
                           struct error *err)
{
    struct asking asking = {{str_of(key), town->ada, repo->id, UNIT_STORE_PUBLIC, amount, now_us() + QUOTA_LEASE_US},
                            what};
    return db_write(town->db, asking_in_write, &asking, err);
}

static void repos_of_a_group_share_its_room_and_others_do_not(void **state)
{
    struct town *town = *state;
    struct repo first, second, other;
    new_repo(town, "nightly-1", VISIBILITY_PUBLIC, &first);
    new_repo(town, "nightly-2", VISIBILITY_PUBLIC, &second);
    new_repo(town, "weekly", VISIBILITY_PUBLIC, &other);
    GOOD(script(town->db, "UPDATE quota_repo SET bytes = 10", err));
    limit(town, NIGHTLY(100)); /* of which 20 are used */
    GOOD(ask_for(town, &first, "a", 50, quota_reserve, err));
    EXPECT(TOO_LARGE, ask_for(town, &second, "b", 31, quota_reserve, err));
    GOOD(ask_for(town, &second, "b", 30, quota_reserve, err));
    GOOD(ask_for(town, &other, "c", 1000, quota_reserve, err));
    GOOD(ask_for(town, &first, "a", 50, quota_commit, err)); /* what was promised has room */
    GOOD(script(town->db,
                "UPDATE quota_repo SET bytes = 60 WHERE repo_id = (SELECT id FROM repo WHERE name = "
                "'nightly-1')",
                err)); /* as on_gain() does in the same write */
    EXPECT(TOO_LARGE, ask_for(town, &second, "b", 31, quota_commit, err));
    GOOD(ask_for(town, &second, "b", 0, release_of, err));
    GOOD(ask_for(town, &first, "d", 30, quota_reserve, err));
    EXPECT(TOO_LARGE, ask_for(town, &first, "e", 1, quota_reserve, err));
    clock_travel(QUOTA_LEASE_US + SECOND_US); /* its timer is late */
    GOOD(ask_for(town, &second, "e", 30, quota_reserve, err));
}

static void count_report(void *context, const char *what)
{
    (void)what;
    ++*(int *)context;
}

static void counting_anew_finds_and_corrects_what_is_wrong(void **state)
{
    struct town *town = *state;
    struct repo repo;
    int reports = 0;
    new_repo(town, "flora", VISIBILITY_PUBLIC, &repo);
    int64_t bytes = use_of(town, town->ada, UNIT_STORE_PUBLIC).used;
    GOOD(quota_recount(town->db, count_report, &reports, err));
    assert_int_equal(reports, 0);
    GOOD(script(town->db, "UPDATE quota_repo SET bytes = 1; UPDATE quota_counter SET used = 77, reserved = 5", err));
    GOOD(quota_recount(town->db, count_report, &reports, err));
    assert_int_equal(reports, 2);
    USES(bytes, 0);
    assert_int_equal(use_of(town, town->ada, UNIT_REPOS).used, 1);
    /* And all of it, where nothing was ever counted. */
    GOOD(script(town->db, "DELETE FROM quota_repo; DELETE FROM quota_counter", err));
    GOOD(quota_recount(town->db, count_report, &reports, err));
    USES(bytes, 0);
    assert_int_equal(use_of(town, town->ada, UNIT_REPOS).used, 1);
}

/* 64 writers against one quota, and kill -9. */

#define WRITERS 64
#define HARD 100000

struct writer {
    struct town *town;
    int index, report;
    unsigned seed;
};

static void tell(const struct writer *writer, int64_t amount)
{
    if (write(writer->report, &amount, sizeof amount) != sizeof amount)
        _exit(4);
}

/* What each tells: the amount that was acknowledged as used, 0 when there was no room. */
static void *write_on(void *context)
{
    struct writer *writer = context;
    for (int i = 0;; i++) {
        char key[64];
        int64_t amount = 1 + rand_r(&writer->seed) % 40;
        snprintf(key, sizeof key, "%d:%d:%u", writer->index, i, writer->seed);
        if (reserve(writer->town, key, amount, NULL) != OK) {
            tell(writer, 0);
            continue;
        }
        int then = rand_r(&writer->seed) % 4; /* 3: it is left to its lease */
        if (then == 0)
            ask(writer->town, key, 0, release_of, NULL);
        else if (then < 3 && commit(writer->town, key, amount, NULL) == OK)
            tell(writer, amount);
    }
    return NULL;
}

static void writers_main(const char *path, int report, unsigned seed)
{
    struct folder folder;
    struct town town = {.folder = &folder, .ada = 1};
    struct writer writers[WRITERS];
    pthread_t thread;
    snprintf(folder.db, sizeof folder.db, "%s", path);
    if (db_open(path, &town.db, NULL) != OK)
        _exit(5);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&town, i, report, seed * WRITERS + (unsigned)i};
        if (pthread_create(&thread, NULL, write_on, &writers[i]) != 0)
            _exit(6);
    }
    for (;;)
        pause();
}

static int64_t killed_after(const char *path, int reports, unsigned seed)
{
    int ends[2];
    int64_t amount, acknowledged = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        writers_main(path, ends[1], seed);
    }
    close(ends[1]);
    for (int i = 0; read(ends[0], &amount, sizeof amount) == sizeof amount; i++) {
        acknowledged += amount;
        if (i == reports)
            kill(child, SIGKILL); /* and read what was acknowledged until then */
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return acknowledged;
}

static void sixty_four_writers_never_get_a_byte_too_much_and_none_is_lost_by_kill_9(void **state)
{
    struct town *town = *state;
    int64_t acknowledged = 0;
    limit(town, PUBLIC(100000));
    for (unsigned round = 0; round < 12; round++) {
        db_close(town->db);
        acknowledged += killed_after(town->folder->db, 100 + (int)round * 60, round);
        town_open(town);
        struct quota_use use = use_of(town, town->ada, UNIT_STORE_PUBLIC);
        assert_true(use.used >= acknowledged);
        /* At most one answer a writer was on its way. */
        assert_true(use.used <= acknowledged + (round + 1) * WRITERS * 40);
        assert_true(use.used + use.reserved <= HARD);
        assert_int_equal(number(town->db, "SELECT coalesce(sum(amount), 0) FROM quota_reservation"), use.reserved);
    }
    print_message("%lld of %d bytes acknowledged in 12 lives\n", (long long)acknowledged, HARD);
    /* What was left to its lease comes back; then there is room for exactly the rest. */
    clock_travel(26 * 3600 * SECOND_US);
    for (int i = 0; i < 20; i++)
        GOOD(timers_run(town->db, err));
    struct quota_use use = use_of(town, town->ada, UNIT_STORE_PUBLIC);
    assert_int_equal(use.reserved, 0);
    EXPECT(TOO_LARGE, reserve(town, "more", HARD - use.used + 1, err));
    GOOD(reserve(town, "rest", HARD - use.used, err));
}

/* All at once, until it is full: then it is full to the byte. */
struct rush {
    struct town *town;
    int index;
};

static void *rush_one(void *context)
{
    struct rush *rush = context;
    for (int i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d/%d", rush->index, i);
        if (reserve(rush->town, key, 1, NULL) == OK)
            commit(rush->town, key, 1, NULL);
    }
    return NULL;
}

static void sixty_four_writers_fill_a_quota_to_the_byte(void **state)
{
    struct town *town = *state;
    struct rush rushes[WRITERS];
    pthread_t threads[WRITERS];
    limit(town, PUBLIC(1000));
    for (int i = 0; i < WRITERS; i++) {
        rushes[i] = (struct rush){town, i};
        assert_int_equal(pthread_create(&threads[i], NULL, rush_one, &rushes[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    USES(1000, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(what_is_reserved_is_there_when_it_comes_and_no_more),
        in_town(the_refusal_says_what_is_full_how_much_and_how_to_move_up),
        in_town(asking_again_with_the_same_key_does_not_reserve_twice),
        in_town(what_comes_larger_than_it_was_reserved_needs_room_for_the_rest),
        in_town(a_limit_that_came_down_lets_nobody_grow_but_takes_nothing_away),
        in_town(a_lease_ends_after_a_day_and_progress_renews_it),
        in_town(nobody_is_refused_because_a_timer_is_late),
        in_town(thousands_of_leases_end_in_batches),
        in_town(a_line_of_the_ledger_counts_once),
        in_town(repos_count_where_they_are_and_move_with_what_they_are),
        in_town(a_repo_that_does_not_fit_is_not_made_private),
        in_town(repos_of_a_group_share_its_room_and_others_do_not),
        in_town(counting_anew_finds_and_corrects_what_is_wrong),
        in_town(sixty_four_writers_never_get_a_byte_too_much_and_none_is_lost_by_kill_9),
        in_town(sixty_four_writers_fill_a_quota_to_the_byte),
    };
    return cmocka_run_group_tests_name("quota/quota", tests, NULL, NULL);
}
