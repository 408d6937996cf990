/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TRAIN_INTERNAL_H
#define CAIRN_TRAIN_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "cairn/federate.h"
#include "leaf/form.h"
#include "pact/key.h"

/* What the files of this part share. */

struct cairn_federate {
    char *url, *token, *repo, *patience, *state, *house, *peers;
    char identity[65];    /* what cairn_federate_identity() gives */
    char control_run[40]; /* the run of the own control variate */
    struct buf control;   /* SCAFFOLD's c_i: float32 in the order of the model's bytes */
    void (*progress)(void *context, const char *line);
    void *progress_context;
    struct error err;
    bool given_up;
    int64_t patience_us;
    /* Two houses: the key that this run's reports are signed with, and the houses' keys as they were seen first. */
    struct pact_key report_key;
    uint8_t hub_key[PACT_KEY_SIZE], house_key[PACT_KEY_SIZE];
    bool knows_houses;
    /* Two houses: what was sent last, until its round is over and it is seen whether it was counted. */
    struct {
        int64_t round; /* 0: nothing */
        uint8_t ctx[SHA256_SIZE], signature[PACT_SIGNATURE_SIZE];
    } sent;
    /* Of the round before, used again: memory that is new costs as much as what is done in it. */
    struct buf bytes, values, update;
    struct kept *log; /* the hub's log as it was seen last, where no state folder was set */
};

/* ask.c: the hub. */

/*
 * Asks /api/models/REPO/federate + path, again and again while the hub does not answer or says that it cannot now. *out (may be NULL) is
 * the JSON of its answer, to be released. FORBIDDEN, CONFLICT, UNPROCESSABLE and so on as the hub refuses; code is the hub's.
 */
enum status ask(struct cairn_federate *part, const char *method, const char *path, struct str type, struct str body,
                json_t **out, struct error *err);
/* Sends a piece of an update once: UNAVAILABLE when the line broke, and then nobody knows how much of it came. */
enum status put_once(struct cairn_federate *part, const char *path, struct str body, struct error *err);
/* Bytes of a file of a commit, from `at` on; out is appended to. *end: there are no more. */
enum status ask_bytes(struct cairn_federate *part, struct str commit, struct str file, int64_t at, size_t most,
                      struct buf *out, bool *end, struct error *err);
/* The same for what needs a run: as long as the repo has had none, it is asked again while patience lasts. */
enum status ask_for_run(struct cairn_federate *part, const char *method, const char *path, json_t **out,
                        struct error *err);
/* A piece of what the hub has at path, appended to out; nothing: it was at its end. */
enum status ask_piece(struct cairn_federate *part, const char *path, struct buf *out, struct error *err);
/* Its address, without a slash at the end. */
struct str hub_address(const struct cairn_federate *part);
void tell(struct cairn_federate *part, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doze(int64_t us);

/* model.c: the model as bytes of a safetensors file and as tensors. */

struct model {
    struct buf bytes; /* the whole file; once it was read, in the form in which it is trained (leaf/form.h) */
    size_t data_at;
    struct tensor_list list;
    struct cairn_tensor *tensors; /* their values are changed by training */
    struct buf values;            /* where these are not those of bytes */
};
/*
 * Reads bytes; everything else lives in arena but values. keeps: what training makes is compared with bytes later, so that they must stay.
 * INVALID when it is not a safetensors file that can be trained.
 */
enum status model_read(struct model *model, struct arena *arena, bool keeps, struct error *err);
void model_free(struct model *model);
/* The file of what training has made of it; drawn back to bound, unless that is 0 or the tensors are others. */
enum status model_write(const struct model *model, const struct cairn_trained *trained, double bound, struct buf *out,
                        struct error *err);

/* The trained values in the order of the model's bytes; false when they are not those of the model. */
bool model_flatten(const struct model *model, const struct cairn_trained *trained, char *out);
/* Draws float32 values back to within bound of the model's. */
void model_draw_back(char *values, const char *model, size_t count, double bound);
/* A safetensors file. */
void tensors_write(const struct cairn_tensor *tensors, size_t count, struct buf *out);

#define METRICS_LIMIT (16 << 10)

/* federate.c: the beginning and the end of the public functions: settings are checked, and a status becomes a verdict. */
enum status part_begin(struct cairn_federate *part, struct error *err);
int part_end(struct cairn_federate *part, enum status status);

/* A round under way. */
struct round {
    struct cairn_federate *part;
    const json_t *told; /* by the hub: the run's settings, and where it stands */
    int64_t number, rounds;
    double bound; /* 0: none */
    bool scaffold;
    bool buffered; /* the hub takes what comes late, too */
    int uploads;   /* that were begun */
    struct model model;
    /* Of SCAFFOLD, in the order of the model's bytes: the hub's control variate, what is added to each step, and how the own one
     * changes. */
    struct buf control, correction, change;
    struct cairn_tensor *corrections;
    bool begins; /* the hub has no control variate yet */
};

/* logged.c: the model, as it came, is the one in the hub's log. FORBIDDEN "NotLogged", with why, when it is not. */
enum status check_logged(const struct round *round, struct error *err);

/*
 * counted.c: the report that was sent is in the sum of its round, or counted as rejected, by the record that both houses have signed. told: by
 * the hub, after that round. FORBIDDEN "NotCounted", with why, when it is neither, or when the hub does not show it.
 */
enum status check_counted(struct cairn_federate *part, const json_t *told, struct error *err);

/* control.c: what SCAFFOLD does before training, in place of model_write(), and once the update is accepted. */
enum status control_begin(struct round *round, struct arena *arena, struct error *err);
enum status control_write(struct round *round, const struct cairn_trained *trained, struct buf *out, struct error *err);
enum status control_accepted(struct round *round, struct error *err);
void control_free(struct round *round);

/* Sends what training came to, as a mode has it: plain.c and so on. CONFLICT "RoundOver": too late for this round. */
typedef enum status send_fn(struct round *round, const struct cairn_trained *trained, struct error *err);
send_fn send_plain;  /* plain.c */
send_fn send_houses; /* houses.c */
send_fn send_one_house;

/* Sends bytes as the round's update, in pieces that go on where a broken line ended (plain.c). */
enum status upload(struct round *round, struct str all, struct error *err);
/* What training has changed, in the order of the model's file: as many numbers as that has. INVALID when the tensors are others. */
enum status model_change(const struct model *model, const struct cairn_trained *trained, float *out, struct error *err);

/* state.c: what stays on this side, in the folder that is set, one name for each member of a run. */
#define STATE_PATH_MOST 4400
struct state {
    char folder[4096], name[128];
    const char *peers; /* a file with all identities that there may be; NULL: any */
};
enum status state_open(const struct cairn_federate *part, struct str name, struct state *out, struct error *err);
/* The seed of the member's identity key, made when it is not there: one for each run, or where peers are given, one for the folder. */
enum status state_identity(const struct state *state, uint8_t seed[32], struct error *err);
/* As struct cohort_memory wants it; context is a struct state. */
enum status state_remember(void *context, const char *what, const uint8_t *pairs, size_t count, struct error *err);

#endif
