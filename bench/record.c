/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench_record FOLDER PART …: what the record costs, without HTTP: events through db_write() into database and log, each answer
 * given when the leaf is durable and in a published checkpoint. Prints "name value" a line for bench/record.py.
 *
 *   append THREADS BATCH SECONDS SIGNATURES   rate, p50, p99; with SIGNATURES 1 a P-256 signature is verified for each event first
 *   log THREADS BATCH SECONDS SIZE            rate of the log alone: entries of SIZE bytes, one thread's batch after the other's
 *   plain SIZE GROUP SECONDS                  what the machine can do: append and sync groups of such entries; SHA-256 of each
 *   proof ENTRIES                             inclusion proofs of a log of that many entries, hot; and verifying proof files
 *   fsck ENTRIES                              everything computed again from the entries
 */
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/ledger.h"
#include "ledger/signer.h"
#include "oms/dsse.h"
#include "prov/chain.h"
#include "tlog/proof.h"
#include <fcntl.h>
#include <openssl/ec.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MOST 256
#define TIMES_MOST 2000000
#define ORIGIN STR("bench.example.org/log")

static void check(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench_record: %s\n", err->message);
    exit(1);
}
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        struct error must_ = {0}, *err = &must_;                                                                       \
        check(call, err);                                                                                              \
    } while (0)

static double memory_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib / 1024;
}

/* A hub without HTTP. */

struct place {
    struct ledger *ledger;
    struct db *db;
    struct prov prov;
};

static enum status append(void *context, const struct str *entries, size_t count, uint64_t *first, struct error *err)
{
    return ledger_append(((struct place *)context)->ledger, entries, count, first, err);
}

static uint64_t size(void *context)
{
    struct ledger_state state;
    ledger_state(((struct place *)context)->ledger, &state);
    return state.size;
}

static enum status entry(void *context, uint64_t index, struct buf *out, struct error *err)
{
    return ledger_entry(((struct place *)context)->ledger, index, out, err);
}

static void place_open(struct place *place, const char *folder)
{
    const struct migration_set sets[] = {event_migrations, prov_migrations};
    char path[4096];
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/cairn.db", folder);
    MUST(db_open(path, &place->db, err));
    MUST(db_migrate(place->db, sets, 2, err));
    snprintf(path, sizeof path, "%s/persons.db", folder);
    MUST(persons_open(path, &place->prov.persons, err));
    snprintf(path, sizeof path, "%s/log", folder);
    MUST(ledger_open(path, ORIGIN, "/proc/self/exe", &place->ledger, err));
    place->prov.ledger = (struct prov_ledger){append, size, entry, place};
    db_before_commit(place->db, prov_hook, &place->prov);
}

static void place_close(struct place *place)
{
    db_close(place->db);
    persons_close(place->prov.persons);
    ledger_close(place->ledger);
}

/* Appending. */

static const struct event_kind commit_kind = {"commit", 1};
static struct place place;
static EVP_PKEY *key;
static struct dsse_envelope envelope;
static struct arena envelope_arena;
static int batch, signatures;
static size_t entry_bytes;
static pthread_mutex_t one_append = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool over;
static _Atomic int64_t appended;
static _Atomic size_t times_count;
static float *times; /* ms */

struct work {
    int number, turn;
};

static enum status append_batch(struct db_conn *tx, void *context, struct error *err)
{
    struct work *work = context;
    for (int i = 0; i < batch; i++) {
        char body[512];
        int len =
            snprintf(body, sizeof body,
                     "{\"ref\":\"refs/heads/main\",\"old\":\"%040x\",\"new\":\"%040x\",\"squash\":false,\"added\":1,"
                     "\"changed\":2,\"removed\":0}",
                     work->turn, work->turn + 1 + work->number * 1000003);
        work->turn++;
        struct event event = {.kind = &commit_kind,
                              .repo_id = 1 + work->number,
                              .actor_id = 1 + work->number % 50,
                              .body = {body, (size_t)len}};
        TRY(event_append(tx, &event, err));
    }
    return OK;
}

/* A thread's turn: its events. */
static void write_events(struct work *work)
{
    for (int i = 0; i < (signatures ? batch : 0); i++)
        MUST(dsse_verify(&envelope, key, err));
    MUST(db_write(place.db, append_batch, work, err));
}

/* The same, of the log alone. */
static void write_entries(struct work *work)
{
    struct str *entries = malloc((size_t)batch * sizeof *entries);
    char *bytes = malloc((size_t)batch * entry_bytes);
    uint64_t first;
    memset(bytes, 'x', (size_t)batch * entry_bytes);
    for (int i = 0; i < batch; i++) {
        int ids[2] = {work->number, work->turn++};
        memcpy(bytes + (size_t)i * entry_bytes, ids, sizeof ids);
        entries[i] = (struct str){bytes + (size_t)i * entry_bytes, entry_bytes};
    }
    pthread_mutex_lock(&one_append);
    MUST(ledger_append(place.ledger, entries, (size_t)batch, &first, err));
    pthread_mutex_unlock(&one_append);
    free(bytes);
    free(entries);
}

static void (*write_turn)(struct work *);

static void *write_all(void *context)
{
    struct work *work = context;
    while (!atomic_load(&over)) {
        int64_t start = monotonic_us();
        write_turn(work);
        size_t at = atomic_fetch_add(&times_count, 1);
        if (at < TIMES_MOST)
            times[at] = (float)(monotonic_us() - start) / 1000;
        atomic_fetch_add(&appended, batch);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void make_envelope(void)
{
    struct dsse_signature *signature = arena_alloc(&envelope_arena, sizeof *signature);
    key = EVP_EC_gen("P-256");
    envelope = (struct dsse_envelope){.type = STR("application/vnd.in-toto+json"),
                                      .payload = STR("{\"_type\":\"https://in-toto.io/Statement/v1\"}"),
                                      .signatures = signature,
                                      .count = 1};
    MUST(dsse_sign(&envelope_arena, envelope.type, envelope.payload, key, &signature->sig, err));
}

/* Of the log's entries, without their lengths. */
static double entry_size(const char *folder)
{
    char path[4096];
    struct stat found;
    snprintf(path, sizeof path, "%s/log/entries", folder);
    return stat(path, &found) ? 0 : (double)found.st_size / (double)size(&place) - 2;
}

static void part_append(const char *folder, int threads, double seconds)
{
    pthread_t thread[THREADS_MOST];
    struct work work[THREADS_MOST] = {0};
    times = calloc(TIMES_MOST, sizeof *times);
    make_envelope();
    place_open(&place, folder);
    int64_t start = monotonic_us();
    for (int i = 0; i < threads; i++) {
        work[i].number = i;
        pthread_create(&thread[i], NULL, write_all, &work[i]);
    }
    struct timespec pause = {(time_t)seconds, 0};
    nanosleep(&pause, NULL);
    atomic_store(&over, true);
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    double took = (double)(monotonic_us() - start) / 1e6;
    size_t count = times_count < TIMES_MOST ? times_count : TIMES_MOST;
    qsort(times, count, sizeof *times, by_size);
    struct db_stats stats;
    db_stats(place.db, &stats);
    double group = write_turn == write_events ? (double)appended / (double)stats.groups : batch;
    printf("rate %.0f\np50 %.3f\np99 %.3f\ngroup %.1f\nentry %.0f\nmemory %.1f\n", (double)appended / took,
           times[count / 2], times[count * 99 / 100], group, entry_size(folder), memory_mib());
    place_close(&place);
    free(times);
}

/* The limits. */

static void part_plain(const char *folder, size_t size, size_t group, double seconds)
{
    size_t whole = size + 2; /* an entry's length stands before it */
    char path[4096], *bytes = malloc(group * whole);
    uint64_t written = 0, hashed = 0;
    uint8_t digest[SHA256_SIZE];
    memset(bytes, 'x', group * whole);
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/plain", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int64_t start = monotonic_us(), span = (int64_t)(seconds * 1e6);
    for (; monotonic_us() - start < span; written += group) {
        MUST(write_full(fd, bytes, group * whole, err));
        if (fdatasync(fd))
            exit(1);
    }
    printf("rate %.0f\n", (double)written / ((double)(monotonic_us() - start) / 1e6));
    close(fd);
    for (start = monotonic_us(); monotonic_us() - start < span; hashed += group)
        for (size_t i = 0; i < group; i++)
            sha256((struct str){bytes + i * whole, size}, digest);
    printf("hashes %.0f\n", (double)hashed / ((double)(monotonic_us() - start) / 1e6));
    free(bytes);
}

/* Reading. */

static struct ledger *grown(const char *folder, uint64_t entries)
{
    enum { STEP = 4096 };
    static char texts[STEP][450];
    struct ledger *ledger;
    struct str views[STEP];
    char path[4096];
    uint64_t first;
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/log", folder);
    MUST(ledger_open(path, ORIGIN, "/proc/self/exe", &ledger, err));
    for (uint64_t at = 0; at < entries; at += STEP) {
        for (int i = 0; i < STEP; i++) {
            memset(texts[i], 'x', sizeof texts[i]);
            snprintf(texts[i], 32, "%llu", (unsigned long long)at + (unsigned)i);
            views[i] = (struct str){texts[i], sizeof texts[i]};
        }
        MUST(ledger_append(ledger, views, STEP, &first, err));
    }
    return ledger;
}

#define WITNESSES 3

/* A policy file of the log and three witnesses, and the checkpoint with their lines. */
static void cosign(struct arena *arena, struct ledger *ledger, struct buf *note, struct policy *policy)
{
    auto_buf struct buf text = {0};
    struct note parsed;
    buf_printf(&text, "log %.*s\n", STR_ARG(ledger_vkey(ledger)));
    ledger_checkpoint(ledger, note);
    MUST(note_parse(arena, buf_view(note), &parsed, err));
    for (uint8_t i = 0; i < WITNESSES; i++) {
        uint8_t seed[NOTE_SEED_SIZE] = {i + 1};
        struct note_signer signer;
        MUST(note_signer_make(arena, NOTE_COSIGNATURE, arena_printf(arena, "w%d.example/w", i), seed, &signer, err));
        buf_printf(&text, "witness w%d ", i);
        note_verifier_write(&text, &signer.verifier);
        buf_byte(&text, '\n');
        cosignature_sign(parsed.text, &signer, 1700000000, note);
    }
    buf_printf(&text, "group all all w0 w1 w2\nquorum all\n");
    MUST(policy_parse(arena, buf_view(&text), policy, err));
}

static void part_proof(const char *folder, uint64_t entries)
{
    enum { TIMES = 20000, CHECKS = 500 };
    auto_arena struct arena arena = {0};
    auto_buf struct buf path = {0}, note = {0}, leaf = {0};
    struct ledger *ledger = grown(folder, entries);
    struct ledger_state state;
    struct policy policy;
    struct policy_verdict verdict;
    uint64_t random = 12345;
    ledger_state(ledger, &state);
    int64_t start = 0;
    for (int i = -TIMES; i < TIMES; i++) { /* the first half warms up */
        if (i == 0)
            start = monotonic_us();
        random = random * 6364136223846793005u + 1442695040888963407u;
        path.len = 0;
        MUST(ledger_inclusion(ledger, (random >> 20) % state.size, state.size, &path, err));
    }
    printf("inclusion_us %.2f\n", (double)(monotonic_us() - start) / TIMES);

    cosign(&arena, ledger, &note, &policy);
    uint64_t index = state.size / 3;
    struct proof proof = {.index = index, .checkpoint = buf_view(&note)};
    path.len = 0;
    MUST(ledger_inclusion(ledger, index, state.size, &path, err));
    MUST(ledger_entry(ledger, index, &leaf, err));
    memcpy(proof.path.hashes, path.data, path.len);
    proof.path.count = path.len / SHA256_SIZE;
    start = monotonic_us();
    for (int i = 0; i < CHECKS; i++) {
        auto_arena struct arena scratch = {0};
        MUST(proof_verify(&scratch, &proof, buf_view(&leaf), &policy, NULL, &verdict, err));
    }
    printf("verify_us %.1f\ncosignatures %u\nmemory %.1f\n", (double)(monotonic_us() - start) / CHECKS,
           verdict.cosignatures, memory_mib());
    ledger_close(ledger);
}

static void report(void *context, const char *finding)
{
    (void)context;
    fprintf(stderr, "%s\n", finding);
}

static void part_fsck(const char *folder, uint64_t entries)
{
    struct ledger *ledger = grown(folder, entries);
    struct findings findings = {report};
    int64_t start = monotonic_us();
    MUST(ledger_check(ledger, &findings, err));
    printf("fsck_s %.3f\nfindings %lld\nmemory %.1f\n", (double)(monotonic_us() - start) / 1e6,
           (long long)findings.count, memory_mib());
    ledger_close(ledger);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "signer") == 0)
        return signer_main(argc - 1, argv + 1);
    if (argc == 7 && (strcmp(argv[2], "append") == 0 || strcmp(argv[2], "log") == 0)) {
        bool events = strcmp(argv[2], "append") == 0;
        write_turn = events ? write_events : write_entries;
        batch = (int)strtol(argv[4], NULL, 10);
        signatures = events && strtol(argv[6], NULL, 10);
        entry_bytes = strtoul(argv[6], NULL, 10);
        long threads = strtol(argv[3], NULL, 10);
        part_append(argv[1], (int)(threads < THREADS_MOST ? threads : THREADS_MOST), strtod(argv[5], NULL));
    } else if (argc == 6 && strcmp(argv[2], "plain") == 0) {
        part_plain(argv[1], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), strtod(argv[5], NULL));
    } else if (argc == 4 && strcmp(argv[2], "proof") == 0) {
        part_proof(argv[1], strtoull(argv[3], NULL, 10));
    } else if (argc == 4 && strcmp(argv[2], "fsck") == 0) {
        part_fsck(argv[1], strtoull(argv[3], NULL, 10));
    } else {
        fputs("bench_record FOLDER append THREADS BATCH SECONDS SIGNATURES | log THREADS BATCH SECONDS SIZE |\n"
              "  plain SIZE GROUP SECONDS | proof ENTRIES | fsck ENTRIES\n",
              stderr);
        return 2;
    }
    return 0;
}
