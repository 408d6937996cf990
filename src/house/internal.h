/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HOUSE_INTERNAL_H
#define CAIRN_HOUSE_INTERNAL_H

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "db/db.h"
#include "federate/houses.h"
#include "house/house.h"
#include <pthread.h>

/* What the files of this part share. */

#define STRIPES 64 /* runs that are worked at by themselves; others wait for one another by chance */
#define TIMES_MOST 1024

struct house {
    char folder[3072];
    int lock; /* on the folder, while it is open */
    struct db *db;
    struct identity *_Atomic identity;
    struct house_limits limits;
    pthread_mutex_t stripes[STRIPES], times_lock;
    struct {
        uint8_t run[WIRE_RUN_SIZE];
        int64_t at_us;
    } times[TIMES_MOST]; /* of the newest request of a run */
};

/* A row of house_round. What is not there yet has length 0. */
struct round_row {
    struct str config, seed, draw, promise, list, hub_random, hub_sums, own_sums, record, cosignature;
    uint8_t signature[PACT_SIGNATURE_SIZE];
    uint8_t model[SHA256_SIZE]; /* that came of it, once there is a record */
};

/* A request that is being answered. */
struct asked {
    struct house *house;
    struct arena *arena;
    const struct wire_request *request;
    struct str run; /* in hex */
    struct round_row row;
    struct pact pact; /* of row.config */
    uint8_t ctx[SHA256_SIZE];
    struct pine pine;
};

/* state.c */
extern const struct migration_set house_migrations;
enum status round_find(struct db_conn *conn, struct arena *arena, const uint8_t run[WIRE_RUN_SIZE], int64_t round,
                       struct round_row *out, bool *found, struct error *err);
/* Sets a column of the request's round, durably. */
enum round_column { ROUND_LIST, ROUND_RANDOM, ROUND_SUMS, ROUND_RECORD };
struct round_change {
    const struct asked *asked;
    enum round_column column;
    struct str a, b, c; /* as the column's statement in state.c wants them */
};
enum status round_set(struct house *house, struct round_change *change, struct error *err);
void house_path(const struct asked *asked, int64_t round, const char *name, char out[4096]);
enum status house_file(const struct asked *asked, const char *name, int *fd, struct error *err);
/* Removes the run's files of rounds below this one. */
void house_files_remove(const struct house *house, struct str run, int64_t below);
/* Folders of runs that nobody has asked for in 30 days. */
void house_sweep(struct house *house);

typedef enum status step_fn(struct asked *asked, struct str payload, struct buf *out, struct error *err);
step_fn step_config;                                        /* config.c */
step_fn step_model, step_cosign;                            /* model.c */
step_fn step_verify;                                        /* verify.c */
step_fn step_freeze, step_draw, step_commit, step_exchange; /* sum.c */

/* verify.c: the house's share of a report, opened into share (pine->helper_share bytes). FORBIDDEN "SealBroken". */
enum status own_share(const struct asked *asked, const struct report *report, uint8_t share[4 * SEED_SIZE_MAX],
                      struct error *err);

/* model.c */
step_fn step_verify;                                        /* verify.c */
step_fn step_freeze, step_draw, step_commit, step_exchange; /* sum.c */

/* verify.c: the house's share of a report that was accepted. aad must outlive it. */
struct own_share {
    struct str sealed;
    struct unseal *unseal;
    uint8_t aad[REPORT_AAD_SIZE];
};

/* config.c: what the run was opened with, from a configuration. Release keep when done. */
enum status settings_of(struct str config, json_t **keep, struct settings *out, struct error *err);
/* sum.c: who is in which bucket. */
enum status asked_buckets(const struct asked *asked, size_t *count, size_t **of, size_t *buckets, struct error *err);
/* The report at that place of the list. */
enum status asked_report(const struct asked *asked, struct db_conn *conn, size_t at, struct report *out,
                         struct error *err);

#endif
