/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_COHORT_H
#define CAIRN_FEDERATE_COHORT_H

#include "cohort/cohort.h"
#include "federate/internal.h"

/*
 * Mode "one-house" on the hub (src/cohort has the protocol). Each message of a participant is a column of its row, written before it is
 * answered, and an attempt's steps follow from rows and clock alone: so it goes on after kill -9 wherever it was. A vector is a file.
 */
enum cohort_stage { STAGE_DEAL = 1, STAGE_MASK, STAGE_SIGN, STAGE_UNMASK, STAGE_DONE, STAGE_GIVEN_UP };

struct attempt {
    int64_t round, number; /* counted through all rounds of a run */
    struct str model;
    int64_t width, due_us; /* due_us: until then others are waited for; 0: not enough have come */
    uint8_t nonce[32];
    bool drawn;
};
/* What a participant answers: {"attempt": n, "step": "...", "message": hex}. */
struct cohort_message {
    int64_t attempt;
    enum cohort_stage stage; /* 0: keys */
    struct str bytes;        /* not empty */
};
/* From anywhere; bytes live in arena. INVALID. */
enum status cohort_message_read(struct arena *arena, const json_t *body, struct cohort_message *out, struct error *err);

/* *found: there is one of the run's current round. */
enum status attempt_find(struct db_conn *conn, struct arena *arena, const struct run *run, struct attempt *out,
                         bool *found, struct error *err);
/* In a write: another attempt at the current round, unless `after` is not the one under way any more (0: there was none). */
enum status attempt_start(struct db_conn *tx, const struct run *run, const struct attempt *after, struct error *err);
/* In a write: does what has become due. It ends in a frozen round, or in another attempt. */
enum status attempt_advance(struct db_conn *tx, int64_t run_id, struct error *err);
/* In a write: a cohort of a frozen round that cannot be unmasked is given up; the round is thawed, and goes on without it. */
enum status attempt_give_up(struct db_conn *tx, const struct run *run, size_t cohort, struct error *err);
/* In the write that removes a participant: it is in no cohort that is yet to be drawn. One that is under way goes on as with anybody who is gone. */
enum status attempt_leave(struct db_conn *tx, const struct run *run, int64_t account_id, struct error *err);
void attempt_describe(const struct run *run, const struct attempt *attempt, struct arena *arena,
                      struct cohort_round *out);

/* The draw of an attempt whose cohorts have been drawn, from its rows; keys are those of its roster. */
enum status attempt_draw(struct db_conn *conn, struct arena *arena, const struct run *run,
                         const struct attempt *attempt, struct cohort_draw *out, struct cohort_member **keys,
                         struct error *err);

/* Of so many cohorts, how many the run's rules need to do their work. */
size_t cohorts_least(const struct settings *settings, size_t count);

struct cohort_row {
    size_t number;
    enum cohort_stage stage;
    int64_t due_us;
    uint8_t dealt[COHORT_LIST_MOST], survivors[COHORT_LIST_MOST];
};
enum status cohort_rows(struct db_conn *conn, struct arena *arena, int64_t run_id, struct cohort_row **out,
                        size_t *count, struct error *err);

struct member_row {
    int64_t account_id;
    struct cohort_member keys;
    size_t cohort, place;
    struct str dealing, masked, signature, answer; /* absent: not yet. masked is a SHA-256 */
};
/* Of one cohort by place, or all by name. Strings live in arena. MEMBERS_BRIEF: of dealing and answer the first byte alone, as they are
 * long and many. */
enum members { MEMBERS_BRIEF, MEMBERS_WHOLE };
enum status member_rows(struct db_conn *conn, struct arena *arena, int64_t run_id, size_t cohort, enum members how,
                        struct member_row **out, size_t *count, struct error *err);
enum status member_rows_all(struct db_conn *conn, struct arena *arena, int64_t run_id, struct member_row **out,
                            size_t *count, struct error *err); /* brief */
enum status member_count(struct db_conn *conn, int64_t run_id, size_t cohort, size_t *out, struct error *err);
enum status member_find(struct db_conn *conn, struct arena *arena, int64_t run_id, int64_t account_id,
                        struct member_row *out, bool *found, struct error *err);
/* In a write. keys: CONFLICT "IdentityChanged" for another identity than the participant had in this run before. */
enum status member_put_keys(struct db_conn *tx, const struct run *run, int64_t account_id,
                            const struct cohort_member *keys, struct error *err);
enum status member_put(struct db_conn *tx, int64_t run_id, int64_t account_id, enum cohort_stage stage,
                       struct str message, struct error *err);
void member_name(const struct run *run, int64_t account_id, uint8_t out[COHORT_NAME_SIZE]);
/* Where a participant's masked vector is, once it is whole. */
void masked_path(const struct federate *federate, const struct run *run, int64_t account_id, char out[4096]);

#endif
