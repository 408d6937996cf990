/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_REVIEW_H
#define CAIRN_GATE_REVIEW_H

#include "gate/request.h"

/*
 * Who judges a request, and how it can be shown that it was judged fairly (access.md C9 and C10). Reviewers of a gate
 * are drawn, never self-chosen; they score a masked case by the gate's rubric; some cases are judged twice, by the
 * published rule, and neither of the two knows which one is the second. A gate without reviewers is judged by its owner.
 *
 * The request machine (request_machine.c) calls this part with the guards and effects below; this part moves requests
 * with request_do() and nothing else.
 */
extern const struct module review_module;

enum slot { SLOT_PRIMARY = 1, SLOT_SECOND, SLOT_ADJUDICATOR, SLOT_SCREEN, SLOT_CALIBRATION };

/* Guards of VERDICT, step->subject being a struct request_step. They read and never write; each may be asked twice. */
machine_guard review_needs_second;        /* R11: YES when this verdict has to be followed by a second one */
machine_guard review_agrees;              /* R12: YES when this second verdict has the first one's outcome */
machine_guard review_other_adjudicator;   /* R14: REFUSED when who rules was one of the two; YES otherwise */
machine_guard review_owner_decides_alone; /* YES when the gate has no reviewers; NO otherwise */

/* For cases that rules decide: whether this one is in the sample that a person looks at. */
enum status review_sampled(struct db_conn *tx, const struct access_request *request, int64_t rate_ppm, bool *out,
                           struct error *err);

/* Effects. */
machine_effect review_begin;      /* R6, REAPPLY, REOPEN to IN_REVIEW: a new case (or cycle) and its first reviewer */
machine_effect review_second;     /* R11 */
machine_effect review_adjudicate; /* R13 */
machine_effect review_redraw;     /* R15 RECUSE: who left is replaced; R19 OVERDUE: who was too slow is */

/*
 * Draws and assigns somebody; when nobody can be drawn now, the case waits for the first who can. Nothing when the gate
 * has no reviewers: its owner decides alone.
 */
enum status review_open(struct db_conn *tx, struct arena *arena, const struct access_request *request, enum slot slot,
                        struct error *err);

/* The open assignments of a case end: it is decided, withdrawn or void. */
enum status review_close(struct db_conn *tx, const struct access_request *request, struct error *err);

/*
 * To be called by the request machine's save(), after the row is stored: keeps the timers of C10 (nudge, lead, redraw,
 * board) in step with the clock, and closes the review once the state ends.
 */
enum status review_moved(struct db_conn *tx, const struct access_request *request, int risk, struct error *err);

/* The working time that a decision is promised in, by the gate's risk: 5, 10 or 15 days. */
int64_t review_limit_us(int risk);

/*
 * What GET /api/{api}/gate tells everybody: how many reviewers, the second-look rate, the hashes of the seeds of this
 * month and the next, the seeds of past months, and how many cases are late. One JSON object.
 */
enum status review_describe(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct json_writer *w,
                            struct error *err);

/* What request_show() adds for the applicant: the gate's median and 90th percentile of the last 90 days, and whether the
 * case is late. Members of an object that is open. */
enum status review_show(struct db_conn *conn, const struct access_request *request, struct json_writer *w,
                        struct error *err);

/* What the rest of this part calls on erasure. */
enum status review_erase(struct db_conn *tx, int64_t account_id, struct error *err);
extern const char *const review_forgets[];

#endif
