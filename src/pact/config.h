/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PACT_CONFIG_H
#define CAIRN_PACT_CONFIG_H

#include "base/json.h"
#include "pact/key.h"
#include "pine/pine.h"

/*
 * What two houses and their participants are bound to in a round (federated 2.2): one JSON text, which both houses sign. Its SHA-256, the
 * ctx, ends every tag of the proofs and is part of what shares are sealed with, so that a share for one model, round or bound is worth nothing for
 * another. There is one way to write a configuration, and a house signs nothing else.
 */
#define PACT_LIMIT ((size_t)64 << 10)
#define PACT_TYPE "application/vnd.cairn.federated-round-config+json"
#define RECORD_TYPE "application/vnd.cairn.federated-round+json"
#define PACT_REPORTS_MOST 1000    /* in a round */
#define PACT_BOUND_DEFAULT 10     /* of the update's norm, when none is given */
#define PACT_BUCKET_DEFAULT 4     /* when the rule is not the mean */
#define PACT_NARROW_ABOVE 100000  /* parameters: from there on, 32 bits each */
#define PACT_BUCKET_LEAST 4       /* without noise, where there is more than one bucket */
#define PACT_MINIMUM_LEAST 12     /* the same, of the reports of a round */
#define PACT_BUCKET_NOISY_LEAST 2 /* with noise, and where there is one bucket */

struct pact_house {
    uint8_t key[PACT_KEY_SIZE], seal[32];
    int64_t until_us; /* the end of seal */
};
struct pact {
    struct str run; /* 32 hex digits */
    int64_t round;
    struct str base;                                   /* the commit that it starts from: 40 hex digits */
    uint8_t model[SHA256_SIZE], manifest[SHA256_SIZE]; /* of that model's file, and of the file's header */
    int64_t dimension;
    int64_t field_bits, fraction_bits, norm_bound; /* an integer of a share is 2^-fraction_bits */
    double bound;                                  /* norm_bound / 2^fraction_bits, or a little more */
    int64_t bucket;                                /* least members; 0: one bucket of all */
    int64_t minimum;                               /* of reports */
    int64_t noise;                                 /* standard deviation of a house's, in integers; 0: none */
    struct pact_house hub, house;
    struct str terms;    /* that participants have accepted: 64 hex digits; absent: the repo has none */
    struct str settings; /* a JSON object: rule, optimiser and the rest */
};

/* Fills in field_bits, fraction_bits, norm_bound and noise from dimension, bound and sigma (noise over bound). INVALID when none fit. */
enum status pact_choose(struct pact *pact, double sigma, struct error *err);
/* INVALID when a bucket would say too much of its members. */
enum status pact_check_sizes(int64_t minimum, int64_t bucket, bool noisy, struct error *err);
void pact_write(const struct pact *pact, struct buf *out);
/* From anywhere. Texts live in arena; settings is left absent. INVALID. */
enum status pact_read(struct arena *arena, struct str text, struct pact *out, struct error *err);
void pact_ctx(struct str text, uint8_t out[SHA256_SIZE]);
/* ctx must outlive nothing: it is copied. */
enum status pact_pine(const struct pact *pact, const uint8_t ctx[SHA256_SIZE], struct pine *out, struct error *err);

/* Signatures over the configuration or a round's record: DSSE's, so that the commit holds envelopes. */
void pact_sign_text(const struct pact_key *key, const char *type, struct str text, uint8_t out[PACT_SIGNATURE_SIZE]);
bool pact_text_signed(const uint8_t key[PACT_KEY_SIZE], const char *type, struct str text,
                      const uint8_t signature[PACT_SIGNATURE_SIZE]);

/*
 * A report as it goes to both houses; the leader's sealed share lies beside it in a file, of which this has the BLAKE3. Its size
 * does not depend on the model. key is one that the participant makes for a run; accounts are the hub's business.
 */
struct report {
    uint8_t nonce[PINE_NONCE_SIZE], key[PACT_KEY_SIZE], leader[BLAKE3_SIZE], public_share[4 * SEED_SIZE_MAX],
        helper[32 + 4 * SEED_SIZE_MAX + 16], signature[PACT_SIGNATURE_SIZE];
};
_Static_assert(sizeof(struct report) == 448, "a report is sent as it lies in memory");
#define REPORT_SIGNED offsetof(struct report, signature)

void report_sign(struct report *report, const struct pact_key *key, const uint8_t ctx[SHA256_SIZE]);
bool report_signed(const struct report *report, const uint8_t ctx[SHA256_SIZE]);
/* What a share is sealed with besides the ctx: which house's it is, the nonce and the key. */
#define REPORT_AAD_SIZE (1 + PINE_NONCE_SIZE + PACT_KEY_SIZE)
struct str report_aad(const struct report *report, int house, uint8_t room[REPORT_AAD_SIZE]);

#endif
