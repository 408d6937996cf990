/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_tier FOLDER PART …: what limits cost, without HTTP. Prints "name value" a line for bench/tier.py.
 *
 *   rate THREADS SECONDS SUBJECTS     ns a check of a request over two scopes (GCRA alone), all threads together
 *   enter SECONDS                     ns a request through the limiter: who asks, which limits, all scopes, and out again
 *   reserve THREADS SECONDS           reservations a second, each durable before it is acknowledged; half of them are committed
 */
#include "base/time.h"
#include "module.h"
#include "quota/limiter.h"
#include "quota/quota.h"
#include "repo/repo.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MOST 256

static const struct module only_quota = {.name = "quota", .timers = quota_timers};
const struct module *const modules[] = {&only_quota, NULL};

static void check(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench_tier: %s\n", err->message);
    exit(1);
}
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        struct error must_ = {0}, *err = &must_;                                                                       \
        check(call, err);                                                                                              \
    } while (0)

static struct db *db;
static atomic_bool stop;
static atomic_llong count;

static void threads_run(int threads, int seconds, void *(*body)(void *))
{
    pthread_t thread[THREADS_MOST];
    for (intptr_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, body, (void *)i) != 0)
            abort();
    struct timespec wait = {.tv_sec = seconds};
    nanosleep(&wait, NULL);
    stop = true;
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
}

/* The rate table. */

static struct rate_table *table;
static long long subjects;

static void *check_rates(void *context)
{
    struct rate wide = rate_of(1000000000, 1, 1000000000), narrow = rate_of(100, 1, 100);
    unsigned seed = (unsigned)(intptr_t)context;
    long long done = 0;
    for (; !stop; done++) {
        uint64_t who = (uint64_t)rand_r(&seed) % (uint64_t)subjects;
        struct rate_ask asks[2] = {{rate_subject(table, 0, 1, 0, who), wide},
                                   {rate_subject(table, 1, 1, 0, who), narrow}};
        rate_take(table, asks, 2, RATE_WHOLE, rate_now_ns());
    }
    count += done;
    return NULL;
}

static void rates(int threads, int seconds, long long of)
{
    table = rate_table_new(1 << 17);
    subjects = of;
    threads_run(threads, seconds, check_rates);
    printf("check_ns %.0f\n", 1e9 * seconds * threads / (double)count);
    rate_table_free(table);
}

/* The limiter. */

static const char tier[] = "{\"slug\":\"basic\",\"name\":\"B\",\"purpose\":\"B\",\"order\":1,\"limits\":["
                           "{\"unit\":\"req.api\",\"scope\":\"key\",\"rate\":1000000000,\"per\":1},"
                           "{\"unit\":\"req.api\",\"scope\":\"person\",\"rate\":1000000000,\"per\":1},"
                           "{\"unit\":\"conn.parallel\",\"scope\":\"person\",\"hard\":1000},"
                           "{\"unit\":\"bytes.store.public\",\"scope\":\"person\",\"hard\":1000000000000000}]}";

static enum status publish(struct db_conn *tx, void *context, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    uint8_t digest[SHA256_SIZE];
    (void)context;
    TRY(db_exec(tx, "INSERT INTO tier (id, slug) VALUES (1, 'basic')", err));
    TRY(db_prepare(tx, "INSERT INTO tier_version VALUES (1, 1, 1, ?, ?, 0, 0, 0)", &insert, err));
    sha256(str_of(tier), digest);
    stmt_bind_str(insert, 1, str_of(tier));
    stmt_bind_blob(insert, 2, digest, sizeof digest);
    return stmt_run(insert, err);
}

static void enter(int seconds)
{
    struct limiter *limiter = limiter_new(db);
    struct caller caller = {.key_id = 5, .account_id = 1, .address = STR("192.0.2.1")};
    struct visit visit;
    long long done = 0;
    int64_t began = monotonic_us(), end = began + seconds * SECOND_US;
    for (; done % 1024 || monotonic_us() < end; done++) {
        MUST(limiter_enter(limiter, NULL, &caller, UNIT_API, false, &visit, err));
        limiter_leave(limiter, &visit, 200, 1000);
    }
    printf("request_ns %.0f\n", 1e3 * (double)(monotonic_us() - began) / (double)done);
    limiter_free(limiter);
}

/* Reservations. */

static enum status reserve_one(struct db_conn *tx, void *context, struct error *err)
{
    return quota_reserve(tx, context, err);
}

static enum status commit_one(struct db_conn *tx, void *context, struct error *err)
{
    return quota_commit(tx, context, err);
}

static void *reserve(void *context)
{
    struct error err = {0};
    long long done = 0;
    for (int i = 0; !stop; i++, done++) {
        char key[48];
        snprintf(key, sizeof key, "%d:%d", (int)(intptr_t)context, i);
        struct quota_ask ask = {str_of(key), 1, 0, UNIT_STORE_PUBLIC, 1000, now_us() + QUOTA_LEASE_US};
        check(db_write(db, reserve_one, &ask, &err), &err);
        if (i % 2)
            check(db_write(db, commit_one, &ask, &err), &err);
    }
    count += done;
    return NULL;
}

static void reservations(int threads, int seconds)
{
    int64_t began = monotonic_us();
    threads_run(threads, seconds, reserve);
    printf("reservations_per_second %.0f\n", (double)count * 1e6 / (double)(monotonic_us() - began));
}

int main(int argc, char **argv)
{
    char path[4096];
    const struct migration_set sets[] = {event_migrations, identity_migrations, timer_migrations, store_migrations,
                                         repo_migrations,  access_migrations,   quota_migrations};
    if (argc < 4)
        return 2;
    snprintf(path, sizeof path, "%s/tier.db", argv[1]);
    MUST(db_open(path, &db, err));
    MUST(db_migrate(db, sets, sizeof sets / sizeof *sets, err));
    MUST(db_write(db, publish, NULL, err));
    if (strcmp(argv[2], "rate") == 0 && argc == 6)
        rates(atoi(argv[3]), atoi(argv[4]), atoll(argv[5]));
    else if (strcmp(argv[2], "enter") == 0)
        enter(atoi(argv[3]));
    else if (strcmp(argv[2], "reserve") == 0 && argc == 5)
        reservations(atoi(argv[3]), atoi(argv[4]));
    else
        return 2;
    db_close(db);
    return 0;
}
