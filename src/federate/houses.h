/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_HOUSES_H
#define CAIRN_FEDERATE_HOUSES_H

#include "federate/internal.h"
#include "pact/sum.h"
#include "pact/wire.h"

/*
 * Mode "two-houses" (federated 2.2 to 2.4): the hub is one house, and another operator's `cairn house` the other. What both compute is
 * in src/pact and aggregate.c; here is the hub's half of the protocol: agreement.c before a round, houses.c while reports come,
 * gather.c after it was frozen.
 */

/* What a round is bound to. */
struct agreement {
    struct str text; /* of the configuration */
    struct pact pact;
    struct pine pine;
    uint8_t ctx[SHA256_SIZE], hub_signature[PACT_SIGNATURE_SIZE], house_signature[PACT_SIGNATURE_SIZE];
    bool is_signed; /* by the other house, too */
    uint8_t seed[32];
};
/* Of the run's round. NOT_FOUND when there is none. */
enum status agreement_load(struct db_conn *conn, struct arena *arena, const struct run *run, struct agreement *out,
                           struct error *err);

/* The one configuration that follows from a run's settings and what is put in beside them. settings, bound, sizes and noise of out
 * are filled in; the rest is the caller's. INVALID. Also the other house asks this what it may sign. */
enum status pact_of_settings(struct arena *arena, const struct settings *settings, struct pact *out, struct error *err);

/* Asks the other house, whose key is in pact, about the run. UNAVAILABLE when there is no answer; what it refuses is UNPROCESSABLE. */
enum status house_ask(struct hub *hub, struct arena *arena, const struct run *run, const struct pact *pact,
                      enum wire_op op, struct str payload, size_t limit, struct str *answer, struct error *err);

/* What both houses know at the end of a round, and the record says. */
struct house_facts {
    uint8_t ctx[SHA256_SIZE], list[SHA256_SIZE], reports[SHA256_SIZE]; /* reports: reports_root() */
    uint8_t randoms[2][32];                                            /* the hub's and the other house's */
    size_t buckets, *members;                                          /* of each bucket */
    uint8_t (*sums)[2][SHA256_SIZE];
    double *norms; /* of the buckets' means */
    int64_t reasons[VERDICTS];
    uint8_t (*signatures)[PACT_SIGNATURE_SIZE]; /* of the reports in the list, on the hub */
    size_t signature_count;
};
void houses_record(const struct closing *c, struct json_writer *w);
enum status agreement_prepare(struct hub *hub, struct arena *arena, struct run *run, struct error *err);
enum status agreement_insert(struct db_conn *tx, const struct run *run, struct error *err);
enum status houses_gather(struct closing *c, struct error *err);
enum status houses_cosign(struct closing *c, struct error *err);
enum status reports_keep(struct db_conn *tx, const struct closing *c, struct error *err); /* reports.c */

#endif
