/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_COHORT_COHORT_H
#define CAIRN_COHORT_COHORT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "hpke/hpke.h"

/*
 * Mode "one house" (federated.md 2.5): members of a cohort mask what they send so that the hub sees the sum alone. What the hub and its
 * participants compute alike is here: what a round's keys are bound to, who is in a cohort with whom, and who holds whose secrets.
 * client.h is a participant, unmask.h the hub. Nothing here knows of files, databases or the network.
 *
 * The steps:
 *   keys      each member makes two X25519 keys for this attempt alone, and signs them with its identity key
 *   deal      the hub shows all keys; each member shares two secrets among its neighbours, sealed to each of them through the hub
 *   mask      each member who still hears from enough neighbours sends its vector, masked
 *   sign      the hub says whose vectors have come (the survivors), and each survivor signs that list
 *   unmask    a member who sees enough signatures gives, for each neighbour, its share of one of the neighbour's two secrets
 *
 * A round that fails before the last step is tried again as another attempt, with fresh keys; nothing of an attempt is used in another. One
 * that fails in the last step is over: a member unmasks in one attempt of a round.
 */
#define COHORT_LEAST 3 /* a sum of fewer hides nobody */
#define COHORT_MOST 250
#define COHORT_COMPLETE 32      /* up to so many, each is the neighbour of all others */
#define COHORT_VALUES (1 << 20) /* a vector of the bound's length has this length in whole numbers */
#define COHORT_ROSTER_MOST 1000
#define COHORT_NAME_SIZE 8
#define COHORT_SIGNATURE_SIZE 64
#define COHORT_SECRET_SIZE 32
#define COHORT_SHARES_SIZE (2 * COHORT_SECRET_SIZE)             /* for a neighbour: of the mask key, of the own mask */
#define COHORT_SEALED_SIZE (COHORT_SHARES_SIZE + HPKE_TAG_SIZE) /* the same, sealed */
#define COHORT_CONTEXT_SIZE SHA256_SIZE

/* What an attempt is about. Both sides fill it in from what they know themselves, so that keys fit only where all of it is the same. */
struct cohort_round {
    struct str run, base, model; /* its id, the commit that it starts from, and the SHA-256 (hex) of the model in it */
    int64_t number, attempt;     /* attempts are counted through all rounds of a run */
    int64_t width;               /* numbers of the model */
    double bound;                /* what a member sends has at most this length (L2) */
    struct str rule;             /* as the run has it */
    int64_t least;               /* members with whom the round begins */
    double noise;                /* 0: none */
    size_t size;                 /* of a cohort; 0: as large as can be */
    uint8_t nonce_sha256[SHA256_SIZE]; /* the hub's part of the draw, which it has to decide before it sees keys */
};
void cohort_round_context(const struct cohort_round *round, uint8_t ctx[COHORT_CONTEXT_SIZE]);

/* A member as everybody sees it: bytes, as they are sent. The name is the hub's for it, the same in all rounds of a run. */
struct cohort_member {
    uint8_t name[COHORT_NAME_SIZE];
    uint8_t identity[32];                     /* Ed25519 */
    uint8_t mask[HPKE_KEY_SIZE];              /* X25519, for the masks */
    uint8_t channel[HPKE_KEY_SIZE];           /* X25519, for what neighbours tell each other through the hub */
    uint8_t signature[COHORT_SIGNATURE_SIZE]; /* by the identity, of all of the above and of the attempt's context */
};
/* Its keys are good ones, and its identity has signed them for this attempt. */
bool cohort_member_holds(const struct cohort_member *member, const uint8_t ctx[COHORT_CONTEXT_SIZE]);
void cohort_member_sign(struct cohort_member *member, const uint8_t seed[32], const uint8_t ctx[COHORT_CONTEXT_SIZE]);

/* Ed25519. Of the public key, from the seed; and of "cairn one-house " + what, then a list or keys, under a context. */
void cohort_identity(const uint8_t seed[32], uint8_t out[32]);
void cohort_sign(const uint8_t seed[32], struct str what, const uint8_t context[COHORT_CONTEXT_SIZE], struct str text,
                 uint8_t out[COHORT_SIGNATURE_SIZE]);
bool cohort_signed(const uint8_t identity[32], struct str what, const uint8_t context[COHORT_CONTEXT_SIZE],
                   struct str text, const uint8_t signature[COHORT_SIGNATURE_SIZE]);

/*
 * All members of an attempt, as bytes: they must stand in the order of their names, each name and each identity once. INVALID otherwise.
 * The members stay in bytes.
 */
enum status cohort_roster(struct str bytes, const struct cohort_member **out, size_t *count, struct error *err);

/*
 * Who is with whom: neither the hub, which has committed itself to its nonce, nor a member can choose it. order has the members' places
 * in the roster, cohort after cohort, each cohort in the order of its ring.
 */
struct cohort_draw {
    uint8_t context
        [COHORT_CONTEXT_SIZE]; /* of the attempt and of this roster: masks, sealed shares and lists are bound to it */
    size_t count, cohorts;
    uint16_t *order;
};
/* INVALID for fewer members than COHORT_LEAST or the round's least, or when nonce is not the one that the round promises. */
enum status cohort_draw(const struct cohort_round *round, const struct cohort_member *members, size_t count,
                        const uint8_t nonce[32], struct arena *arena, struct cohort_draw *out, struct error *err);
/* The part of order that cohort number `cohort` has. */
size_t cohort_begin(const struct cohort_draw *draw, size_t cohort);

struct cohort_graph {
    size_t size, degree, threshold;
    size_t survivors; /* with fewer, the cohort is given up */
};
struct cohort_graph cohort_graph(size_t size);
/* The neighbours of the member at `at`, ascending; graph->degree of them. The share that a neighbour holds of its secrets has as number the
 * neighbour's place among them, from 1. */
void cohort_neighbours(const struct cohort_graph *graph, size_t at, uint16_t out[COHORT_MOST]);

/* What is expected of a list of members at any step: for each of them enough neighbours are in it. Bytes, a bit a member. */
#define COHORT_LIST_MOST ((COHORT_MOST + 7) / 8)
static inline size_t cohort_list_size(size_t members)
{
    return (members + 7) / 8;
}
static inline bool cohort_listed(const uint8_t *list, size_t at)
{
    return list[at / 8] >> (at % 8) & 1;
}
size_t cohort_list_count(const uint8_t *list, size_t members);

/* What is counted modulo. */
unsigned cohort_bits(const struct cohort_round *round, size_t size);
/* The standard deviation of the noise that a member adds, in whole numbers; 0: none. That of as few survivors as a cohort may have is together
 * what the run asks for: noise times the bound. */
int64_t cohort_noise(const struct cohort_round *round);
/* The key of the mask that a member puts over its own vector, from its secret. */
void cohort_own_mask(const uint8_t secret[COHORT_SECRET_SIZE], const uint8_t context[COHORT_CONTEXT_SIZE],
                     uint8_t key[32]);
/* By which a member ties itself to that secret before anybody asks for it. */
void cohort_commitment(const uint8_t secret[COHORT_SECRET_SIZE], const uint8_t context[COHORT_CONTEXT_SIZE],
                       uint8_t out[SHA256_SIZE]);

#endif
