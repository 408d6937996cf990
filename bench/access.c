/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_access FOLDER GRANTS SECONDS: what the door's decision about gated bytes costs beside so many grants, warm, in one process
 * without HTTP. Prints "name value" a line for bench/access.py: microseconds of one decision that lets in (p50, p99), of one that
 * refuses (p99), and of one about a repo that has no gate (p99).
 */
#include "access/access.h"
#include "base/time.h"
#include "event/event.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GATES 1000
#define TIMES_MOST 4000000

static void check(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench_access: %s\n", err->message);
    exit(1);
}
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        struct error must_ = {0}, *err = &must_;                                                                       \
        check(call, err);                                                                                              \
    } while (0)

static enum status run_script(struct db_conn *tx, void *sql, struct error *err)
{
    return db_exec(tx, sql, err);
}

static void script(struct db *db, const char *sql)
{
    MUST(db_write(db, run_script, (void *)(uintptr_t)sql, err));
}

/* Each gate has one repo; each person has grants of ten gates. */
static void fill(struct db *db, int64_t grants)
{
    char sql[2048];
    script(db, "INSERT INTO account (id, kind, name, name_folded, full_name, is_admin, default_private, created_us) "
               "VALUES (1, 2, 'acme', 'acme', '', 0, 0, 1)");
    snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO repo SELECT i FROM "
        "n;"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO gate (id, owner_id, "
        "state, version, policy_seq, created_us) SELECT i, 1, 1, 1, 1, 1 FROM n;"
        "INSERT INTO gate_repo (repo_id, gate_id) SELECT id, id FROM gate;",
        2 * GATES, GATES);
    script(db, sql);
    for (int64_t from = 0; from < grants; from += 50000) {
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE n (i) AS (SELECT %lld UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %lld) "
                 "INSERT INTO access_grant (gate_id, account_id, state, version, terms_epoch, by_id, created_us, "
                 "changed_us) "
                 "SELECT 1 + i %% %d, 10 + i / 10, 1, 1, 0, 0, 1, 1 FROM n",
                 (long long)from, (long long)(from + 50000 < grants ? from + 50000 : grants), GATES);
        script(db, sql);
    }
}

static int by_value(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

struct question {
    int64_t repo_id, account_id;
    enum status wanted;
};

/* The i-th grant of them all, or a gate that the same person has none of, or a repo without a gate. */
static struct question question_of(int kind, uint64_t grant)
{
    struct question q = {1 + (int64_t)(grant % GATES), 10 + (int64_t)(grant / 10), OK};
    if (kind == 1)
        q = (struct question){1 + (int64_t)((grant + GATES / 2) % GATES), q.account_id, FORBIDDEN};
    if (kind == 2)
        q.repo_id += GATES;
    return q;
}

static float ask(struct db_conn *conn, const struct question *q)
{
    struct actor actor = {.account = {.id = q->account_id, .kind = ACCOUNT_USER}, .key_role = ROLE_READ};
    struct access_object object = {.repo_id = q->repo_id,
                                   .owner_id = 1,
                                   .visibility = VISIBILITY_PUBLIC,
                                   .kind_name = STR("model"),
                                   .full_name = STR("acme/model")};
    struct error err = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    enum status status = access_decide(conn, &actor, ACT_READ, &object, &err);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status != q->wanted) {
        fprintf(stderr, "bench_access: repo %lld, account %lld: %s\n", (long long)q->repo_id, (long long)q->account_id,
                err.message);
        exit(1);
    }
    return (float)((double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3);
}

/* Each question on a reader as a request has it: borrowed, on a snapshot, given back. Only the decision is timed. */
static void measure(struct db *db, int kind, const char *name, int64_t grants, int seconds)
{
    float *times = malloc(TIMES_MOST * sizeof *times);
    size_t count = 0;
    uint64_t grant = 1;
    int64_t warm = monotonic_us() + SECOND_US, until = warm + seconds * SECOND_US;
    while (monotonic_us() < until && count < TIMES_MOST) {
        struct db_conn *conn = NULL;
        grant = (grant * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407));
        struct question q = question_of(kind, (grant >> 16) % (uint64_t)grants);
        MUST(db_reader(db, &conn, err));
        MUST(db_snapshot(conn, err));
        float time = ask(conn, &q);
        if (monotonic_us() > warm)
            times[count++] = time;
        db_release(&conn);
    }
    qsort(times, count, sizeof *times, by_value);
    printf("%s_p50 %.2f\n%s_p99 %.2f\n%s_count %zu\n", name, times[count / 2], name, times[count * 99 / 100], name,
           count);
    free(times);
}

/* Of what the parts above keep, what the door reads. */
static const char above_sql[] =
    "CREATE TABLE repo (id INTEGER PRIMARY KEY);"
    "CREATE TABLE access_request (id INTEGER PRIMARY KEY, applicant_id BIGINT, gate_id BIGINT, state BIGINT, "
    "due_us BIGINT, code TEXT);"
    "CREATE INDEX access_request_person ON access_request (applicant_id, gate_id, id);";
static const struct migration_set above = {"repo", (const char *const[]){above_sql, NULL}};

int main(int argc, char **argv)
{
    const struct migration_set sets[] = {event_migrations, identity_migrations, above, access_migrations};
    struct db *db;
    char path[4096];
    int64_t grants, seconds;
    if (argc != 4 || !str_to_i64(str_of(argv[2]), &grants) || !str_to_i64(str_of(argv[3]), &seconds) || grants < 10) {
        fprintf(stderr, "usage: bench_access FOLDER GRANTS SECONDS\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/access.db", argv[1]);
    MUST(db_open(path, &db, err));
    MUST(db_migrate(db, sets, sizeof sets / sizeof *sets, err));
    fill(db, grants);
    measure(db, 0, "grant", grants, (int)seconds);
    measure(db, 1, "refusal", grants, (int)seconds);
    measure(db, 2, "open", grants, (int)seconds);
    db_close(db);
    return 0;
}
