/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_INTERNAL_H
#define CAIRN_FEDERATE_INTERNAL_H

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "federate/federate.h"
#include "federate/measure.h"
#include "federate/wait.h"
#include "leaf/form.h"
#include "repo/draft.h"
#include "robust/optimiser.h"
#include "robust/robust.h"
#include "robust/suspicion.h"
#include "router/request.h"
#include <pthread.h>

/* What the files of this part share. */
extern const struct migration_set federate_migrations;
extern const struct event_kind federate_events[];
enum { EVENT_OPEN, EVENT_ROUND, EVENT_STOP, EVENT_DECISION };

#define MODEL_PATH "model.safetensors"
#define BODY_LIMIT (64 << 10)
#define PARTICIPANTS_MOST 1000
#define ROUNDS_MOST 100000
#define EXAMPLES_MOST (INT64_C(1) << 31)
#define BOUND_SLACK 1.000001 /* who clips to the bound in float32 may come out a little above it */
#define STALENESS_MOST                                                                                                 \
    20 /* rounds by which the model that a buffered update was trained from may be behind (federated 3.2) */
#define TRIES_MOST 3 /* updates of one participant that are refused in one round; after that it waits for the next */

/* Handlers, file by file; module.c has their addresses. */
/* api.c */ route_handler run_open, run_stop, run_status, run_join, round_get;
/* update.c */ route_handler update_put, update_finish;
/* cohort_api.c */ route_handler cohort_get, cohort_post;
/* logged.c */ route_handler proof_of_round_get;
/* keep.c */ route_handler control_get;
/* reports.c */ route_handler reports_get;
/* suspects.c */ route_handler suspects_get, suspects_post;
/* race.c */ route_handler candidates_get, candidate_get, scores_post;

#define APART_MOST 64
struct federate {
    char folder[3072];
    pthread_mutex_t closing; /* one round is computed at a time: it takes both processors */
    char keys_path[4096];    /* of the hub's keys as a house, which are renewed while it runs */
    struct identity *_Atomic identity;
    pthread_mutex_t apart_lock;
    pthread_cond_t apart_ended;
    int64_t apart[APART_MOST]; /* runs that a thread of their own is busy with (close.c); 0: none */
    struct waits waits;        /* for a round to be another, or in another state */
};

struct mode;
struct agreement;
struct house_facts;

#define CANDIDATES_MOST 8
/* A rule that is in the race. */
struct candidate {
    char name[80]; /* "nnm+trimmed-mean" */
    struct robust_how how;
    bool has_suspects;
};

/* settings.c: what a run was opened with. */
struct settings {
    const struct mode *mode;
    int64_t rounds, min_participants;
    struct str rule; /* as it was given: "nnm+trimmed-mean:2" */
    struct robust_how how;
    struct optimiser optimiser; /* what the hub makes of the aggregated change */
    bool buffers;         /* FedBuff: the first min_participants updates are a round, from whichever models of late */
    bool scaffold;        /* participants send how their control variates change, too */
    double control_bound; /* L2, of that change; 0: none */
    double mu;            /* FedProx: told to participants, who pull their training to the model by it; 0: none */
    struct candidate candidates[CANDIDATES_MOST]; /* how is the first one's then */
    size_t candidate_count;                       /* 0: there is one rule */
    struct str judge;                             /* who was asked to judge them, by name, when the run is opened */
    int64_t judge_id, judge_us;                   /* the account, or 0; how long the scores are waited for */
    double suspicion; /* evidence against a participant from which it is proposed to be removed; 0: none is gathered */
    int64_t most_examples; /* with which an update weighs at most in the mean, whatever it says; 0: no limit */
    bool has_suspects;     /* otherwise as many as a fifth of the updates */
    double bound;          /* L2, of an update's difference to the model; 0: none */
    double noise;          /* its standard deviation on the sum, over the bound; 0: none */
    double delta;          /* at which epsilon is told */
    double budget;         /* of epsilon: no round goes beyond it; 0: none */
    size_t cohort;         /* how many send one sum together, in a mode that has that; 0: all */
    int64_t grace_us;      /* how long others are waited for, once enough have come */
    struct str house;      /* the second house's address, in mode two-houses; absent in others */
    int64_t bucket;        /* in that mode: least members of a bucket; 0: one bucket of all */
};
/* INVALID with what is wrong. The rule's text lives as long as body. */
enum status settings_read(const json_t *body, struct settings *out, struct error *err);
void settings_write(const struct settings *settings, struct json_writer *w); /* the members of an object */
/* Epsilon after so many rounds; each may have had everybody in it. INFINITY without noise. */
double settings_epsilon(const struct settings *settings, int64_t rounds);
/* The rule for that many updates. */
struct robust_how settings_how(const struct settings *settings, size_t count);
/* The same of one of the candidates; of the only rule where there are none. */
struct robust_how settings_how_of(const struct settings *settings, size_t candidate, size_t count);
/* INVALID when the rule, or that candidate, cannot do its work with as few rows. */
enum status settings_check_rule(const struct settings *settings, size_t candidate, size_t count, struct error *err);
/* INVALID when suspicion is to be gathered and so few groups, of whom nobody sees more than a sum, mark none. */
enum status settings_check_groups(const struct settings *settings, size_t groups, struct error *err);

/* run.c: rows. */

enum run_state { RUN_OPEN = 1, RUN_FINISHED = 2, RUN_STOPPED = 3 };
struct str run_state_name(enum run_state state);

struct run {
    int64_t id, repo_id, by_id;
    struct str public_id; /* 32 hex */
    enum run_state state;
    struct settings settings;
    int64_t round;              /* from 1 */
    int64_t accepted, rejected; /* of all rounds */
    int64_t round_rejected;
    struct oid base;             /* the commit whose model this round starts from */
    int64_t due_us;              /* enough have come: until then others are waited for; 0: not enough */
    int64_t frozen_us;           /* the round's updates are those that are there; 0: not yet */
    int64_t judging_us;          /* candidates of the frozen round are there since then; 0: not yet */
    int64_t chosen;              /* which of them it is to be, from 1; 0: that is not decided */
    struct str scores;           /* what the judge said: a JSON list; empty: nothing */
    struct str why;              /* it was stopped, or has ended early */
    uint8_t noise_seed[32];      /* of a frozen round */
    uint8_t order_seed[32];      /* of a frozen round: who is in a bucket with whom; it stands in the record */
    struct agreement *agreement; /* two houses, while it is opened: of its first round */
};
/* The newest run of a repo, or one by its id; NOT_FOUND "NoRun". Strings live in arena. */
enum status run_of_repo(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct run *out, struct error *err);
enum status run_get(struct db_conn *conn, struct arena *arena, int64_t id, struct run *out, struct error *err);
/* How many of its rounds have been committed. */
int64_t run_rounds_done(const struct run *run);
/* In writes. */
enum status run_insert(struct db_conn *tx, struct run *run, struct error *err);
enum status run_end(struct db_conn *tx, const struct run *run, enum run_state state, struct str why, int64_t by_id,
                    struct error *err);
enum status participant_count(struct db_conn *conn, int64_t run_id, int64_t *out, struct error *err);
/* Those who had joined when the round was frozen. */
enum status participant_count_at(struct db_conn *conn, const struct run *run, int64_t *out, struct error *err);
enum status participant_add(struct db_conn *tx, int64_t run_id, int64_t account_id, struct error *err);
struct participant {
    bool joined;
    bool removed;               /* by who administers the repo: it joins no more */
    int64_t based;              /* the newest model of whose updates one was accepted; 0: none yet */
    uint8_t taken[BLAKE3_SIZE]; /* that update */
};
/* In a write: it takes part no more, and what it has sent for the round under way, unless that is frozen, does not count. */
enum status participant_remove(struct db_conn *tx, int64_t run_id, int64_t account_id, int64_t now_us,
                               struct error *err);
enum status participant_find(struct db_conn *conn, int64_t run_id, int64_t account_id, struct participant *out,
                             struct error *err);
/* The run as it was when a round began: round and base are of that one. NOT_FOUND for one that is not kept any more. */
enum status run_as_of(struct db_conn *conn, const struct run *run, int64_t round, struct run *out, struct error *err);

enum update_state { UPDATE_NONE, UPDATE_ACCEPTED = 1, UPDATE_REJECTED = 2 };
struct update {
    int64_t account_id, examples, tries;
    int64_t based; /* the round whose model it was trained from */
    enum update_state state;
    uint8_t digest[BLAKE3_SIZE];
    int64_t data_at; /* where its numbers begin in its file */
    double norm;
    struct str report; /* what the mode keeps of it besides its file; absent */
};
/* Of the run's current round; state UPDATE_NONE when there is none. */
enum status update_find(struct db_conn *conn, const struct run *run, int64_t account_id, struct update *out,
                        struct error *err);
/* Those accepted, by account: the order in which everything is computed. */
enum status update_list(struct db_conn *conn, struct arena *arena, const struct run *run, struct update **out,
                        size_t *count, struct error *err);
/* In a write: CONFLICT "RoundOver" when the round is over or frozen; of a run with buffers "NotYet": the next buffer may take it. */
enum status update_store(struct db_conn *tx, const struct run *run, const struct update *update, struct error *err);
enum status not_yet(struct error *err);
/* In a write: one that was accepted turns out to be none; the participant may send another. */
enum status update_reject(struct db_conn *tx, const struct run *run, int64_t account_id, struct error *err);
/* In a write: freezes the round when enough have come and nobody is waited for any more. */
enum status round_freeze_if_due(struct db_conn *tx, int64_t run_id, int64_t now_us, struct error *err);
/* In a write: the next round, or the end. */
enum status round_next(struct db_conn *tx, const struct run *run, const struct oid *commit, struct error *err);
/* In a write: accepted updates whose files are gone do not count; the round goes on. */
enum status round_thaw(struct db_conn *tx, const struct run *run, const int64_t *missing, size_t count,
                       struct error *err);

/* model.c: the model and updates as files. */

/* Where the update that a participant makes of a round's model is, complete or not; account 0: that model. Files go by the number in their name: with the
 * last round that has a use for them. */
void update_path(const struct federate *federate, const struct run *run, int64_t account_id, char out[4096]);
enum status run_folder_make(const struct federate *federate, const struct run *run, struct error *err);
/* Removes what a round and those before it have left behind. The folder stays: the next round may be about to put its model there. */
void round_files_remove(const struct federate *federate, const struct run *run);
void run_files_remove(const struct federate *federate, const struct run *run); /* of a run that is over: all */
/* After a file was made there: CONFLICT "RoundOver" when the run is over, and then its folder goes again. */
enum status run_check_files(const struct federate *federate, struct db_conn *conn, const struct run *run,
                            struct error *err);

struct model {
    int fd;
    int64_t data_at, width, size; /* size: bytes of the file */
    struct buf head;              /* the file's first data_at bytes */
    struct str sha256;            /* of the file on main; in the arena */
    struct str
        original; /* the model as it is on main, a file, where fd is only its form (leaf/form.h); absent otherwise */
};
/*
 * The model of the round's base commit, in the form in which it is trained (leaf/form.h). UNPROCESSABLE when main has none, or one that cannot be
 * trained here. checks: the form's header is read, by a sandboxed child.
 */
enum status model_open(struct hub *hub, struct arena *arena, const struct run *run, bool checks, struct model *out,
                       struct error *err);
/* From the form of a new model to the model: as base is on main, with the numbers of form. *size: its bytes. */
enum status model_restore(const struct model *base, int form, int out, int64_t *size, struct error *err);
void model_close(struct model *model);
#define auto_model __attribute__((cleanup(model_close)))

/*
 * Checks an update against the model: same tensors, all numbers finite, norm of the difference within the bound. Where its tensors lie
 * in another order they are put into the model's. With SCAFFOLD each tensor is there a second time, its name behind "control/": these numbers
 * are within a bound of their own, and stand behind those of the model. Fills data_at and norm. UNPROCESSABLE with the reason.
 */
enum status update_check(const struct model *model, int fd, const char *path, const struct settings *settings,
                         struct update *out, struct error *err);
#define CONTROL_PREFIX "control/"
/* The last step of that: the norm, as it was measured (measure.h), is finite and within the bound. */
enum status update_check_norm(const struct settings *settings, double norm, struct error *err);

/* keep.c: what goes on from round to round beside the model. */

enum kept {
    KEPT_MOMENTS, /* of the optimiser: two doubles for each number */
    KEPT_CENTRE,  /* the newest aggregate, at which centred clipping begins; float32 */
    KEPT_CONTROL, /* SCAFFOLD's c, as a safetensors file */
    KEPT_KINDS
};
void kept_path(const struct federate *federate, const struct run *run, int64_t round, enum kept kind, char out[4096]);
/* update.c: replies with a piece of a file from the address's "offset" on; shorter than the others, or empty: it was the last. */
enum status reply_piece(struct request *rq, const char *path, struct error *err);

/* update.c */

/* A participant's place in the round that it sends an update for. */
struct place {
    struct run run, from; /* from: as it was when the model was new that the update is made of */
    struct participant who;
    struct update before; /* of the same participant, in this round or buffer */
    char path[4096];
};
bool place_was_taken(const struct place *place); /* one that was made of the same model was accepted */
/* The file of an update, locked: one request at a time writes to it, UNAVAILABLE for another. */
enum status update_open(const char *path, int *out, struct error *err);
/* Asks again, with the file in hand: nobody writes to an update that was accepted. CONFLICT. */
enum status update_check_not_taken(struct request *rq, struct place *place, struct error *err);
/* Writes the request's body into a file from there on, which ends at limit at most: TOO_LARGE. sight sees it, too, unless NULL. */
enum status update_receive(struct request *rq, int fd, int64_t at, int64_t limit, struct sight *sight, int64_t *end,
                           struct error *err);
/* What is to become an accepted update, or a refused one. */
struct finishing {
    const struct place *place;
    struct update update; /* account, examples and the round that it is of are known */
    const json_t *body;   /* what else the mode is told of it */
    int locked;           /* its file, from update_open(); -1: it is opened when it is looked at */
    bool claims_digest;   /* update.digest is what the bytes are said to have, and must; otherwise it is filled */
    const struct sighting *seen; /* what was seen of the bytes as they came; NULL: the file is read */
    const struct error *refused; /* why, when that is clear without a look; NULL otherwise */
};
/* UNPROCESSABLE "UpdateRejected" for what is refused. The round ends if this was the last that it waited for. */
enum status update_take(struct request *rq, struct finishing *finishing, struct error *err);

/* api.c */

/* The actor joins the run, which is open; no reader may be held. */
enum status run_join_as(struct request *rq, const struct run *run, struct error *err);

/* aggregate.c: the model that comes of a round. */

/* What it is made of: an update each, or the mean of several where the hub sees no single one. Numbers are float32 in files. */
struct rows {
    size_t count;
    int *fds;
    int64_t *at;      /* where a row's numbers begin */
    double *weights;  /* of the mean */
    size_t *row_of;   /* by update: the row that it is in; NULL: each is a row of its own */
    bool *too_long;   /* by row: it was longer than what is within the bound can be; NULL: none was */
    bool are_changes; /* to the model; otherwise they are models themselves */
    /* Where rows are models that were trained from others than the base: those, which of them is whose, and what the difference counts for. NULL
     * otherwise. */
    struct model *origins;
    size_t origin_count, *origin_of;
    double *scales;
    bool hub_adds_noise; /* to their sum; otherwise what noise there is is in them */
};
/* Room for count rows: no files, weights of 1. */
void rows_make(struct rows *rows, struct arena *arena, size_t count);
void rows_close(struct rows *rows);
/* Each row has an origin and a scale of its own: room for them. Row by row the caller fills in one or says which it is. */
void rows_from_origins(struct rows *rows, struct arena *arena, size_t origins);

struct aggregation {
    const struct settings *settings;
    size_t candidate; /* by which of its rules, where there are several */
    int64_t round;
    const struct rows *rows;
    const struct model *base;
    const uint8_t *noise_seed; /* 32 bytes; NULL: no noise is added */
    struct {
        int now, next; /* from the round before, and for the next one; -1: none */
    } kept[KEPT_KINDS];
    const size_t *order; /* in which rows stand in line for buckets */
    double share;        /* of SCAFFOLD's participants, how many have sent an update */
    int out;             /* the new model, a safetensors file like base */
};
/* The Gram matrix of the rows' changes, count * count; as they are, whatever they count for. */
enum status aggregate_gram(const struct rows *rows, const struct model *base, double *out, struct error *err);
/* The same bits for any number of threads and on any processor. */
enum status aggregate(const struct aggregation *of, struct error *err);

/* close.c */

/* A round whose commit is being made. */
struct closing {
    struct hub *hub;
    struct arena *arena;
    struct run run;
    struct repo repo;
    struct model base;
    struct update *updates; /* those accepted, by account */
    size_t count;
    int64_t participants; /* who had joined when it was frozen */
    struct rows rows;
    size_t *order; /* a permutation of the rows, where they are put into buckets */
    /* Where suspicion is gathered: how conspicuous the groups were, how many are in each, and in which an update is. */
    struct group_mark *marks;
    size_t groups, *group_sizes, *group_of;
    int out;      /* the new model */
    int64_t size; /* of its file */
    uint8_t sha256[SHA256_SIZE], blake3[BLAKE3_SIZE];
    struct str record;
    struct str signatures;     /* over it, in a file beside it; absent in modes that have none */
    struct house_facts *facts; /* two houses (houses.h) */
    struct oid commit, head;
    void *kept; /* what the mode's gather() leaves for its record(); in the arena */
};
/* Fills in record: the same text whoever writes it, so that a second house can tell whether it is what it has computed itself. */
void round_write_record(struct closing *c);

/* By which of its rules the round is closed: what the race has decided, or the only one. */
size_t closing_chosen(const struct closing *c);
/* Computes a model into out, by one of the candidates. keeps: what the next round needs is put in place, too. */
enum status closing_aggregate(struct closing *c, size_t candidate, int out, bool keeps, struct error *err);

/* suspects.c */
/* A permutation of count numbers, which follows from the seed. */
void order_draw(const uint8_t seed[32], size_t count, size_t *out);
/* Marks the groups of a frozen round, as they are by that candidate. */
enum status suspicion_weigh(struct closing *c, size_t candidate, struct error *err);
void suspicion_record(const struct closing *c, struct json_writer *w);
/* In the write that ends the round: adds what the marks say of each participant, and proposes those of whom it is enough. */
enum status suspicion_store(struct db_conn *tx, const struct closing *c, struct error *err);

/* race.c */
bool run_is_race(const struct run *run);
/* Its candidates can be judged now, and nobody has. */
bool run_awaits_judge(const struct run *run);
/* Makes the candidates of a frozen round, and decides if nobody has judged them in time. *waits: for the judge. */
enum status race_run(struct closing *c, bool *waits, struct error *err);
void race_record(const struct closing *c, struct json_writer *w);
/* From a record that another house has written: its judge's scores, and which candidate is chosen by them. INVALID for what no judge could have
 * said, FORBIDDEN "OtherChoice" when the record names another than the best. */
enum status race_of_record(struct closing *c, const json_t *record, struct error *err);

/* Files of the round that c closes, and of the next; in place once all is computed. */
enum status kept_open(const struct closing *c, struct aggregation *of, struct error *err);
enum status kept_keep(const struct closing *c, const struct aggregation *of, struct error *err);
void kept_close(struct aggregation *of);

/*
 * What a mode does of its own; runs and rounds, the model that comes of rows, and the commit are the same in all. What it may leave out
 * is NULL.
 */
struct mode {
    struct str name;
    bool sees_updates; /* each by itself, as a file that its participant has sent */
    /* INVALID with what this mode cannot do; fills in what was not asked for. */
    enum status (*check)(struct settings *settings, struct error *err);
    /* More members of GET …/federate/round. May be NULL. */
    enum status (*tell)(struct request *rq, const struct run *run, struct json_writer *w, struct error *err);
    /* Fills in the rows of a frozen round. UNAVAILABLE: not yet; it is asked again. */
    enum status (*gather)(struct closing *c, struct error *err);
    /* More members of the round's record. */
    void (*record)(const struct closing *c, struct json_writer *w);
    /* Has others sign the record: fills in signatures. */
    enum status (*cosign)(struct closing *c, struct error *err);

    /* It waits for others: its rounds are closed on a thread of their own, and only what is computed keeps other runs waiting. */
    bool apart;
    /* What must be settled before participants can begin on a round, asked again until it is OK: before the run is a row, and after
     * each round. */
    enum status (*prepare)(struct hub *hub, struct arena *arena, struct run *run, struct error *err);
    enum status (*opened)(struct db_conn *tx, const struct run *run,
                          struct error *err); /* in the write that makes the row */
    enum status (*is_ready)(struct db_conn *conn, const struct run *run, bool *out, struct error *err);

    /* Of what participants send. NULL: it is a model (update_check). */
    enum status (*size)(struct hub *hub, struct arena *arena, const struct run *run, int64_t *most, struct error *err);
    enum status (*accept)(struct request *rq, const struct run *run, int fd, const json_t *body, struct update *out,
                          struct error *err);
    enum status (*store)(struct db_conn *tx, const struct run *run, const struct update *update, struct error *err);
    /* In the write that ends the round. */
    enum status (*also)(struct db_conn *tx, const struct closing *c, struct error *err);
    /* In the write in which who administers the repo removes somebody. */
    enum status (*removed)(struct db_conn *tx, const struct run *run, int64_t account_id, struct error *err);
};
extern const struct mode plain_mode;      /* plain.c */
extern const struct mode two_houses_mode; /* houses.c */
extern const struct mode one_house_mode;  /* cohort.c */
/* A job: cohorts whose time is up. */
enum status cohorts_job(struct hub *hub, struct error *err);

/* Makes the commit of a frozen round, after whoever is closing one; OK for one that is not frozen, or closed meanwhile. In a mode that works
 * apart it only sees to it that somebody does. */
enum status round_close(struct hub *hub, int64_t run_id, struct error *err);
/* The same here and now, where the caller has seen to it that nobody else does. */
enum status round_close_now(struct hub *hub, int64_t run_id, struct error *err);
/* Where why is a reason that will not pass, ends the run with it and says so; *status: whether that went well. */
bool round_ends_run(struct hub *hub, const struct run *run, const struct error *why, enum status *status,
                    struct error *err);

/* apart.c: closes a frozen round, and prepares the next, on a thread of its own; nothing when one is at it. */
void rounds_start_apart(struct hub *hub, int64_t run_id);
/* Waits for these threads. */
void rounds_end(struct federate *federate);
/* A job: rounds whose time is up, and what a crash has left. */
enum status rounds_job(struct hub *hub, struct error *err);
/* A job: what a crash has left in the folders of runs that are over. */
enum status folders_job(struct hub *hub, struct error *err);

#endif
