/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_misuse KEYS SECONDS [THREADS]: what looking for misuse costs on the way of a request, with so many keys in use: time on the
 * processor. Prints "name value" a line for bench/tier.py.
 *
 *   see_ns        a request, from a random key: hashes, the table, all signals
 *   see_gated_ns  the same for bytes behind a gate, where most is looked at
 *   look_ns       all that a reply's end adds, with reading the address and the program from the request
 *   table_mib     memory of the table with all these keys
 */
#include "base/time.h"
#include "misuse/internal.h"
#include "misuse/watch.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const struct module *const modules[] = {NULL};

#define THREADS_MOST 64

static struct watch *watch;
static int64_t keys;
static int seconds;
static bool gated;

/* Of this thread on a processor: what else the machine does counts little. */
static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static struct sight sight_of(uint64_t random)
{
    static const struct place here = {"NL", 52.4F, 4.9F};
    return (struct sight){.key_id = 1 + (int64_t)(random % (uint64_t)keys),
                          .account_id = 1,
                          .at_us = now_us(),
                          .network = (uint32_t)(random >> 40) % 3 + 1,
                          .client = 7,
                          .gated = gated,
                          .whole = gated,
                          .place = gated ? &here : NULL,
                          .bytes = gated ? 1 << 20 : 0,
                          .repo_id = gated,
                          .gate_id = gated,
                          .revision = 1,
                          .file = 1 + (uint32_t)(random >> 50) % 4};
}

struct pusher {
    pthread_t thread;
    uint64_t random;
    double ns;
    int64_t done;
};

static void *push(void *context)
{
    struct pusher *p = context;
    double began = cpu_ns();
    int64_t end = monotonic_us() + seconds * SECOND_US;
    for (; p->done % 1024 || monotonic_us() < end; p->done++) {
        struct sight s = sight_of(next(&p->random));
        watch_see(watch, &s);
    }
    p->ns = cpu_ns() - began;
    return NULL;
}

static double ns_each(int threads)
{
    struct pusher all[THREADS_MOST];
    double count = 0, ns = 0;
    for (int i = 0; i < threads; i++) {
        all[i] = (struct pusher){.random = 88172645463325252ULL + (uint64_t)i};
        if (pthread_create(&all[i].thread, NULL, push, &all[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(all[i].thread, NULL);
        count += (double)all[i].done;
        ns += all[i].ns;
    }
    return ns / count;
}

static double mib(void)
{
    long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &all, &resident) != 2)
        abort();
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* The end of a reply, as the dispatcher has it. */
static double look_ns(void)
{
    static const struct http_header headers[] = {{STR("host"), STR("hub.example.org")},
                                                 {STR("accept"), STR("*/*")},
                                                 {STR("user-agent"), STR("huggingface_hub/0.34.0; python/3.12")}};
    static const struct route route = {HTTP_GET, "/api/models", ACT_LIST, NULL};
    struct hub hub = {0};
    struct http_request http = {.headers = headers, .header_count = 3, .remote = STR("192.0.2.7"), .status = 200};
    uint64_t random = 88172645463325252ULL;
    int64_t done = 0, end = monotonic_us() + seconds * SECOND_US;
    double began = cpu_ns();
    for (; done % 1024 || monotonic_us() < end; done++) {
        struct request rq = {.hub = &hub, .http = &http, .route = &route, .actor = {.account = {.id = 1}}};
        rq.actor.key_id = 1 + (int64_t)(next(&random) % (uint64_t)keys);
        look_served(&rq);
    }
    return (cpu_ns() - began) / (double)done;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc < 3)
        return 2;
    keys = atoll(argv[1]);
    seconds = atoi(argv[2]);
    int threads = argc > 3 ? atoi(argv[3]) : 1;
    double before = mib();
    watch = watch_new(WATCH_SLOTS);
    for (int64_t key = 1; key <= keys; key++) {
        struct sight s = sight_of((uint64_t)key - 1);
        watch_see(watch, &s);
    }
    printf("keys_kept %zu\ntable_mib %.1f\n", watch_count(watch), mib() - before);
    printf("see_ns %.0f\n", ns_each(threads));
    gated = true;
    printf("see_gated_ns %.0f\n", ns_each(threads));
    watch_free(watch);
    if (misuse_open(NULL, NULL, &err) != OK)
        return 1;
    printf("look_ns %.0f\n", look_ns());
    misuse_close();
    return 0;
}
