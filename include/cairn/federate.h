/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_H
#define CAIRN_FEDERATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * libcairn: takes part in federated training. The hub sends a model, your own function trains it with data that stay where they are,
 * and what came out of it goes back; round after round, until the hub says that it was the last.
 *
 *     static int train(void *context, const char *config, struct cairn_trained *model)
 *     {
 *         for (size_t i = 0; i < model->count; i++)
 *             step(context, model->tensors[i].name, model->tensors[i].values);
 *         model->examples = 600;
 *         return 0;
 *     }
 *
 *     struct cairn_federate *part = cairn_federate_new();
 *     cairn_federate_set(part, "url", "https://hub.example.org");
 *     cairn_federate_set(part, "token", getenv("CAIRN_TOKEN"));
 *     cairn_federate_set(part, "repo", "clinic/flora");
 *     if (cairn_federate_run(part, train, context) != CAIRN_TRAINED)
 *         puts(cairn_federate_why(part));
 *     cairn_federate_free(part);
 *
 * Texts are UTF-8 and end with NUL; those that are returned belong to the struct, and stay until it is run again or freed. Several may
 * be used at once, each by one thread at a time. Out of memory ends the program.
 */
struct cairn_federate;

struct cairn_federate *cairn_federate_new(void);
void cairn_federate_free(struct cairn_federate *part); /* NULL is fine */

/*
 * Says where and what. The value is copied; NULL takes a setting back. Returns 0, or -1 when there is no setting of that name.
 *   "url"       the hub's address
 *   "token"     a key of yours that may write
 *   "repo"      "ns/name", a model
 *   "state"     a folder for what is to outlive the program: the key of the hub's log and its newest checkpoint, which are remembered as long
 *               as the program runs when this is not given; of scaffold, one of this participant alone; in the mode one-house, for keys and
 *               what was agreed to with them, $XDG_STATE_HOME/cairn or ~/.local/state/cairn when not given
 *   "peers"     in the mode one-house, a file with the identities (cairn_federate_identity()) of all participants, oneself among them, each at
 *               the beginning of a line: the hub can then put nobody else into one's cohort. They must come another way than by the hub
 *   "patience"  for how many seconds a hub that does not answer is asked again, and a training is waited for; 600 when not given
 *   "house"     the key id or the key of the second house, where the hub trains with one: with another nothing is sent. When not given,
 *               the house of the first round that is seen must be that of all the others
 */
int cairn_federate_set(struct cairn_federate *part, const char *name, const char *value);

/* The identity with which one signs where "peers" are given: 64 hex digits, for the others to put into their file. It is made when the state
 * folder has none yet. NULL when that cannot be (cairn_federate_why()). */
const char *cairn_federate_identity(struct cairn_federate *part);

/* progress is called now and then with a line of text, without line end. */
void cairn_federate_on_progress(struct cairn_federate *part, void (*progress)(void *context, const char *line),
                                void *context);

struct cairn_tensor {
    const char *name;
    const int64_t *shape;
    size_t dimensions;
    float *values; /* in C's order */
    size_t count;  /* of them */
};

struct cairn_trained {
    /* The model, to be changed in place; or another array of tensors put in their place, with the same names and shapes, which must
     * stay until the function is called again or cairn_federate_run() returns. */
    struct cairn_tensor *tensors;
    size_t count;
    int64_t examples; /* with how many it was trained; at least 1 */
    /* Where the hub's rule is scaffold (otherwise NULL): what is to be added to the gradient in each step, as many tensors as the model
     * has, and what the function says in return: in how many steps, and at which rate, it trained. */
    const struct cairn_tensor *correction;
    int64_t steps;
    double rate;
};

/*
 * Trains for one round. config is a JSON object: "round" and "rounds", counted from 1, "bound", where there is one (what goes farther from
 * the model is drawn back to it), and the hub's other settings. Returns 0, or anything else to give up.
 */
typedef int (*cairn_train)(void *context, const char *config, struct cairn_trained *model);

enum cairn_training {
    CAIRN_TRAINED = 0,        /* the last round is over */
    CAIRN_TRAIN_REFUSED = 1,  /* the hub does not let you, or has rejected what was sent */
    CAIRN_TRAIN_MISUSED = 2,  /* a setting is missing or cannot be */
    CAIRN_TRAIN_UNABLE = 3,   /* the hub could not be reached for too long, or it gave an answer that makes no sense */
    CAIRN_TRAIN_GIVEN_UP = 4, /* the function said so */
};

/*
 * Joins, and trains until the run is over. Before each round the model is compared with what the hub's log says of the commit that it is from:
 * the log's key is trusted the first time, and from then on the log may only grow. Otherwise nothing is trained, and it is CAIRN_TRAIN_REFUSED.
 */
int cairn_federate_run(struct cairn_federate *part, cairn_train train, void *context);

struct cairn_score {
    double loss; /* the lower the better; not a number: this one cannot be judged, and is not chosen */
    const char *
        metrics; /* more numbers for the record: a JSON object, which must stay until the function is called again; or NULL */
};

/*
 * Says how good a candidate is on data that nobody trains with. config is a JSON object: "round", "rounds", "candidates" (their rules) and
 * "number" (which of them this is, from 0). Returns 0, or anything else to give up.
 */
typedef int (*cairn_judge)(void *context, const char *config, const struct cairn_tensor *tensors, size_t count,
                           struct cairn_score *score);

/* Judges the candidates of a race (`--rule race`), round after round, until the run is over. For who administers the repo, or was named as the
 * judge. Returns as cairn_federate_run(). */
int cairn_federate_judge(struct cairn_federate *part, cairn_judge judge, void *context);

/* Why it did not end well, in a sentence; "" when it did. */
const char *cairn_federate_why(const struct cairn_federate *part);

#ifdef __cplusplus
}
#endif

#endif
