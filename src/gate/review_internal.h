/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_REVIEW_INTERNAL_H
#define CAIRN_GATE_REVIEW_INTERNAL_H

#include "gate/draw.h"
#include "gate/figures.h"
#include "gate/review.h"
#include "notice/notice.h"
#include "router/request.h"

/* Shared by the files of the review and the appeals; what others may use is in review.h and appeal.h. */

extern const struct migration_set review_migrations;

#define DEFAULT_CAP 10
#define FIRST_TOUCH_US (2 * WORKDAY_US)
#define APPEAL_LIMIT_US (10 * WORKDAY_US)
#define PROBATION_CASES 20

enum assignment_state { ASSIGNED = 1, FILED = 2, RECUSED = 3, TOO_LATE = 4, ENDED = 5 };

struct assignment {
    int64_t id, gate_id, request_id, cycle, account_id;
    enum slot slot;
    enum assignment_state state;
    struct str key, alias; /* of 16 hex digits: what the address names it by; as others see who holds it */
    struct str scores;     /* JSON, once they are fixed; absent before */
    int64_t assigned_us, touched_us, ended_us;
};
/* NOT_FOUND in the same words for none and for somebody else's. */
enum status assignment_find(struct db_conn *conn, struct arena *arena, struct str key, int64_t account_id,
                            struct assignment *out, struct error *err);
/* The one that is filed (or open) in this slot of the request's cycle; NOT_FOUND. */
enum status assignment_of(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                          enum slot slot, enum assignment_state state, struct assignment *out, struct error *err);
enum status assignment_end(struct db_conn *tx, int64_t id, enum assignment_state state, struct error *err);

struct verdict {
    int64_t assignment_id, request_id, cycle, gate_id, account_id, filed_us;
    enum slot slot;
    enum outcome outcome, recommended;
    struct str alias, scores, codes, note, note_to_applicant, override_reason; /* scores and codes are JSON */
};
enum status verdict_get(struct db_conn *conn, struct arena *arena, int64_t assignment_id, struct verdict *out,
                        struct error *err);
/* Of the request's cycle: the newest in this slot; NOT_FOUND. */
enum status verdict_of(struct db_conn *conn, struct arena *arena, const struct access_request *request, enum slot slot,
                       struct verdict *out, struct error *err);

/* Drawing. Whom to draw from, in words that the SQL compares: roles of the gate, its owners, the hub's administrators. */
enum status draw_from(struct db_conn *conn, const struct access_request *request, const char *pool, int64_t *account_id,
                      struct error *err); /* 0: nobody with room */
/* For an appeal: somebody who never touched the case and is no party to it. */
enum status draw_panel(struct db_conn *conn, const struct access_request *request, const char *pool,
                       int64_t *account_id, struct error *err);
/* Whether there is anybody in it, with room or without. */
enum status draw_exists(struct db_conn *conn, const struct access_request *request, const char *pool, bool *out,
                        struct error *err);
uint64_t draw_random(void);
/* Assigns a case of the gate to a person under a fresh alias. */
enum status assignment_make(struct db_conn *tx, struct arena *arena, const struct access_request *request,
                            int64_t cycle, enum slot slot, int64_t account_id, struct error *err);
/* Those who wait for somebody with room get one. */
enum status review_fill(struct db_conn *tx, struct arena *arena, int64_t gate_id, struct error *err);
enum status gate_has_reviewers(struct db_conn *conn, int64_t gate_id, bool *out, struct error *err);

/* What somebody files about a case that was drawn for them: who, which, and the body that was sent. */
struct review_filing {
    struct arena *arena;
    struct str key;
    int64_t account_id;
    const json_t *body;
    /* read in the write */
    struct assignment assignment;
    struct access_request request;
    struct gate gate;
    struct gate_policy policy;
};
/* In a write: a verdict, with the scores, and what follows from it. */
enum status review_file(struct db_conn *tx, struct review_filing *filing, struct error *err);

/* Seeds of the second look. */
struct str seed_month(struct arena *arena, int64_t us); /* "2026-11" */
enum status seed_get(struct db_conn *conn, struct str month, uint8_t seed[SHA256_SIZE], struct error *err);
enum status seeds_make(struct db_conn *tx, struct arena *arena, int64_t now_us, struct error *err);
enum status seeds_write(struct db_conn *conn, struct arena *arena, int64_t now_us, struct json_writer *w,
                        struct error *err);

/* A reviewer's own rate of second looks, in a million: the policy's, or a half once agreement is low. */
enum status review_rate(struct db_conn *conn, int64_t gate_id, int64_t account_id, int64_t policy_ppm, int64_t *out,
                        struct error *err);

/* Calibration: now and then a decided case goes along with an assignment. */
enum status calibration_perhaps(struct db_conn *tx, struct arena *arena, const struct access_request *request,
                                int64_t account_id, struct error *err);

/* People who are told: the leads of a gate (its owners when it has none), or the hub's administrators. */
enum status gate_tell(struct db_conn *tx, int64_t account_id, int64_t gate_id, const char *kind, struct str text,
                      int64_t due_us, struct error *err);
enum status gate_tell_pool(struct db_conn *tx, int64_t gate_id, const char *pool, const char *kind, struct str text,
                           int64_t due_us, struct error *err);

/* What a reviewer sees of a case (review_case.c). identity: also what is masked. */
enum status case_write(struct db_conn *conn, struct arena *arena, const struct access_request *request, bool identity,
                       struct json_writer *w, struct error *err);
enum status precedents_write(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                             const struct rubric *rubric, const struct assignment *mine, struct json_writer *w,
                             struct error *err);
bool field_is_personal(const struct form_field *field);
enum status policy_of_request(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                              struct gate *gate, struct gate_policy *policy, struct error *err);

/* Bodies. Fails for members that are not among the words. */
enum status body_only(const json_t *body, const char *words, struct error *err);
/* A text of at most `most` bytes; absent when it is not there, INVALID when it is wanted. */
enum status body_text(const json_t *body, const char *key, size_t most, bool wanted, struct str *out,
                      struct error *err);

/* text as case_write() would show it to who must not see who it is about. */
enum status case_mask(struct db_conn *conn, struct arena *arena, const struct access_request *request, struct str text,
                      struct str *out, struct error *err);

/* Jobs. */
enum status conflicts_find(struct db *db, struct error *err);

/* Timers. */
enum status review_clock_fire(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err);
enum status figures_fire(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err);
enum status appeal_clock_fire(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err);

/* Handlers. */
route_handler reviewers_get, reviewers_put, reviewers_delete, conflicts_get, conflicts_post, conflicts_delete,
    reviews_get, review_get, review_scores_post, review_verdict_post, review_ask_post, review_recuse_post,
    review_identity_post, figures_get, seeds_get, case_reopen_post;
route_handler appeal_post, grant_appeal_post, appeals_get, appeal_get, appeal_look_post, appeal_vote_post,
    appeal_withdraw_post, appeal_board_post, appeal_recuse_post;

#endif
