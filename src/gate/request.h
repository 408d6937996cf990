/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_REQUEST_H
#define CAIRN_GATE_REQUEST_H

#include "gate/gate.h"
#include "machine/machine.h"

/*
 * A request for access: one case of one person at one gate, for one purpose. Its life is a machine (request_machine.c,
 * access.md C3); what is written in it (answers, questions, reasons) stands in rows of its own, which can be erased.
 */
enum request_state {
    REQUEST_DRAFT = 0,
    REQUEST_SCREENING = 1,
    REQUEST_VERIFY_WAIT = 2,
    REQUEST_IN_REVIEW = 3,
    REQUEST_INFO_WAIT = 4,
    REQUEST_SECOND_REVIEW = 5,
    REQUEST_ADJUDICATION = 6, /* up to here it is open: the SQL relies on it */
    REQUEST_APPROVED = 7,
    REQUEST_REFUSED = 8,
    REQUEST_WITHDRAWN = 9,
    REQUEST_LAPSED = 10,
    REQUEST_VOID = 11,
    REQUEST_STATES,
};

enum request_event {
    REQUEST_SAVE,        /* R1 */
    REQUEST_SUBMIT,      /* R2 */
    REQUEST_ADD,         /* the owner, or an import, lets a person in who has not asked */
    REQUEST_BAR,         /* a rule of territory refuses */
    REQUEST_CLEAR,       /* R3 */
    REQUEST_MISSING,     /* R4 */
    REQUEST_CHECKED,     /* R5 */
    REQUEST_HUMAN,       /* R6 */
    REQUEST_ASK,         /* R7 */
    REQUEST_ANSWER,      /* R8 */
    REQUEST_NO_ANSWER,   /* R9 */
    REQUEST_VERDICT,     /* R10 to R14: request.outcome says which */
    REQUEST_RECUSE,      /* R15 */
    REQUEST_WITHDRAW,    /* R16 */
    REQUEST_TERMS_MOVED, /* R17 */
    REQUEST_CLOSE,       /* R18 */
    REQUEST_OVERDUE,     /* R19 */
    REQUEST_SILENCE,     /* C10: nobody has decided in time, and the gate says that this approves */
    REQUEST_REAPPLY,     /* R20: the applicant asks again */
    REQUEST_REOPEN,      /* R20: an appeal, or who administers the gate, opens it again */
    REQUEST_UPHOLD,      /* an appeal has decided that the refusal was wrong (C8) */
    REQUEST_EVENTS,
};

struct access_request {
    int64_t id, gate_id, applicant_id;
    struct str purpose;             /* a word, "" for the only one */
    enum request_state state, back; /* back: where INFO_WAIT came from */
    int64_t version, cycle;         /* cycle: 1, and one more each time that it is opened again */
    int64_t policy_seq;             /* in force when it was submitted */
    int64_t renews_id;              /* the grant that it renews; 0 */
    bool by_owner;                  /* the person did not ask */
    int64_t opened_us, state_since_us, submitted_us, decided_us; /* 0: not yet */
    int64_t clock_used_us, clock_since_us; /* working time so far; since when it runs, 0 while it does not */
    int64_t due_us;                        /* a decision, or the applicant's answer; when one may ask again; 0: none */
    enum outcome outcome;                  /* of the verdict that is being given, or of the decision; 0: none yet */
    int64_t grant_us;                      /* not stored: of UPHOLD, how long the grant lives; 0: as the policy says */
    struct str code;                       /* of the decision */
    uint8_t answers_sha256[SHA256_SIZE];   /* of the answers in force; zero before there are any */
    uint8_t form_sha256[SHA256_SIZE];      /* of the form that they answer */
};

extern const struct machine request_machine;

enum status request_get(struct db_conn *conn, struct arena *arena, int64_t id, struct access_request *out,
                        struct error *err);
/* The person's open case at a gate, else the last one; NOT_FOUND. purpose absent: of any. */
enum status request_find(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t applicant_id,
                         struct str purpose, struct access_request *out, struct error *err);

/*
 * Something happens to a request, in a write: request->state and the rest are then as they are stored. For VERDICT
 * request->outcome is set before. code and text: of a decision, for machines and for the person; the question of ASK,
 * the answers of ANSWER. What may be wrong: see machine_do(), the guards' words, STALE when somebody was faster.
 */
enum status request_do(struct db_conn *tx, struct arena *arena, struct access_request *request,
                       enum request_event event, enum mover by, int64_t actor_id, struct str code, struct str text,
                       struct error *err);

/*
 * What guards and effects of the request machine find behind step->subject: request_do() fills it. Others that give
 * guards for its rows (gate/review.h) read it from there.
 */
struct request_step {
    struct db_conn *tx;
    struct arena *arena;
    struct access_request *request;
    struct gate gate;
    struct gate_policy policy; /* under which the request was submitted; that in force before */
};

/* What is written in a case. kind: "answers", "question", "answer", "reason", "changed". */
enum status request_write(struct db_conn *tx, const struct access_request *request, const char *kind, int64_t by_id,
                          struct str text, struct error *err);
/* The answers in force, as an object; {} before there are any, or once they are erased. */
enum status request_answers(struct db_conn *conn, int64_t request_id, json_t **out, struct error *err);

/* Writes the state, the clock, what is written in it, and the next step, as the applicant sees it. */
enum status request_show(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                         struct json_writer *w, struct error *err);

#endif
