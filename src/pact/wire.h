/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PACT_WIRE_H
#define CAIRN_PACT_WIRE_H

#include "base/buf.h"
#include "pact/config.h"

/*
 * What the hub asks the other house, and what that answers: an HTTP POST to /v1/OP each, whose body is a head, a signature and a payload.
 * The signature is over the operation, the head and the payload. A house takes a request only when its time is later than that
 * of the one before for the same run and about now, so nothing can be played to it again; the answer's signature is over the
 * request's, so it belongs to no other. Refusals are answers, too: nobody in between can make one.
 *
 * Everything that is asked may be asked again and is answered as before.
 */
#define WIRE_PAYLOAD_MOST ((size_t)48 << 20)
#define WIRE_CLOCK_US (INT64_C(300) * 1000000) /* by which the houses' clocks may differ */
#define WIRE_BATCH 256                         /* reports that are verified at a time */
#define WIRE_PIECE ((size_t)4 << 20)           /* of the model, and of sums */
#define WIRE_RUN_SIZE 16

enum wire_op {
    WIRE_CONFIG,   /* payload: the configuration; answer: the house's signature */
    WIRE_MODEL,    /* payload: offset, a piece of the model's file; answer: how much of it there is */
    WIRE_VERIFY,   /* payload: (report, prep share) each; answer: (verdict, prep share) each */
    WIRE_FREEZE,   /* payload: SHA-256 of the hub's random, the sorted nonces; answer: SHA-256 of the house's */
    WIRE_DRAW,     /* payload: the hub's random; answer: the house's random */
    WIRE_COMMIT,   /* payload: the SHA-256 of the hub's sum of each bucket; answer: those of the house's */
    WIRE_EXCHANGE, /* payload: bucket, offset, piece of the hub's sum; answer: the same piece of the house's */
    WIRE_COSIGN,   /* payload: the round's record; answer: the house's signature over it */
    WIRE_OPS
};
const char *wire_op_name(enum wire_op op);
bool wire_op_find(struct str name, enum wire_op *out);

struct wire_request {
    enum wire_op op;
    uint8_t from[PACT_KEY_SIZE], to[PACT_KEY_SIZE];
    int64_t at_us;
    uint8_t run[WIRE_RUN_SIZE];
    int64_t round;
    struct str payload;
};
#define WIRE_HEAD_SIZE (8 + 2 * PACT_KEY_SIZE + 8 + WIRE_RUN_SIZE + 8)
#define WIRE_REQUEST_SIZE (WIRE_HEAD_SIZE + PACT_SIGNATURE_SIZE) /* before the payload */

void wire_request_write(const struct wire_request *request, const struct pact_key *key, struct buf *out);
/* payload is a view of body. INVALID; UNAUTHENTICATED when the signature does not hold. */
enum status wire_request_read(enum wire_op op, struct str body, struct wire_request *out, struct error *err);

/* A refusal carries why's status, code and sentence; NULL: payload is the answer. */
void wire_answer_write(struct str request, const struct error *why, struct str payload, const struct pact_key *key,
                       struct buf *out);
/* The payload, or the refusal as an error. UNAVAILABLE when it is no answer of that house to that request. */
enum status wire_answer_read(struct str request, const uint8_t key[PACT_KEY_SIZE], struct str body, struct str *payload,
                             struct error *err);

void wire_int(struct buf *out, int64_t value);      /* 8 bytes, big-endian */
bool wire_take_int(struct str *rest, int64_t *out); /* not below 0 */
bool wire_take(struct str *rest, void *out, size_t len);

/* What a house decides about a report. */
enum verdict {
    VERDICT_NONE,
    VERDICT_GOOD,
    VERDICT_SEAL,      /* a share does not open: sealed for another round or house, or changed */
    VERDICT_PROOF,     /* the proof does not hold */
    VERDICT_SIGNATURE, /* not signed by its key */
    VERDICT_NONCE,     /* the nonce, or the key, has been there before */
    VERDICTS
};
const char *report_verdict_name(enum verdict verdict); /* as it stands in records */

#endif
