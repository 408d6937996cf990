/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The public interface (include/cairn/federate.h): joins, and goes from round to round. */
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "train/internal.h"
#include "verify/memory.h"
#include <stdio.h>
#include <stdlib.h>

#define PIECE ((size_t)4 << 20)
#define POLL_LEAST_US (SECOND_US / 10)
#define POLL_MOST_US (2 * SECOND_US)
#define PATIENCE_SECONDS 600

static const struct {
    const char *name;
    size_t place;
} names[] = {{"url", offsetof(struct cairn_federate, url)},     {"token", offsetof(struct cairn_federate, token)},
             {"repo", offsetof(struct cairn_federate, repo)},   {"patience", offsetof(struct cairn_federate, patience)},
             {"state", offsetof(struct cairn_federate, state)}, {"house", offsetof(struct cairn_federate, house)},
             {"peers", offsetof(struct cairn_federate, peers)}};
#define NAMES (sizeof names / sizeof *names)

static char **setting(struct cairn_federate *part, size_t i)
{
    return (char **)((char *)part + names[i].place);
}

static void *or_abort(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct cairn_federate *cairn_federate_new(void)
{
    return or_abort(calloc(1, sizeof(struct cairn_federate)));
}

void cairn_federate_free(struct cairn_federate *part)
{
    if (!part)
        return;
    for (size_t i = 0; i < NAMES; i++)
        free(*setting(part, i));
    buf_free(&part->control);
    buf_free(&part->bytes);
    buf_free(&part->values);
    buf_free(&part->update);
    kept_free(part->log);
    free(part);
}

int cairn_federate_set(struct cairn_federate *part, const char *name, const char *value)
{
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(name, names[i].name) == 0) {
            free(*setting(part, i));
            *setting(part, i) = value ? or_abort(strdup(value)) : NULL;
            return 0;
        }
    return -1;
}

void cairn_federate_on_progress(struct cairn_federate *part, void (*progress)(void *context, const char *line),
                                void *context)
{
    part->progress = progress;
    part->progress_context = context;
}

const char *cairn_federate_why(const struct cairn_federate *part)
{
    return part->err.message;
}

/* A round. */

static enum status download(struct round *round, struct error *err)
{
    struct str commit = json_get_str(round->told, "base"), file = json_get_str(round->told, "model");
    bool end = false;
    if (!str_given(commit) || !str_given(file))
        return fail(err, INVALID, NULL, "The hub does not say which model is to be trained.");
    while (!end) {
        TRY(ask_bytes(round->part, commit, file, (int64_t)round->model.bytes.len, PIECE, &round->model.bytes, &end,
                      err));
        tell(round->part, "Round %lld of %lld: %zu bytes of the model have come", (long long)round->number,
             (long long)round->rounds, round->model.bytes.len);
    }
    return OK;
}

static enum status call_train(struct round *round, cairn_train train, void *context, struct cairn_trained *trained,
                              struct error *err)
{
    auto_buf struct buf config = {0};
    json_dump(round->told, &config);
    buf_byte(&config, '\0');
    *trained = (struct cairn_trained){.tensors = round->model.tensors,
                                      .count = round->model.list.count,
                                      .examples = 1,
                                      .correction = round->corrections};
    tell(round->part, "Round %lld of %lld: training", (long long)round->number, (long long)round->rounds);
    if (train(context, config.data, trained) == 0)
        return OK;
    round->part->given_up = true;
    return fail(err, INVALID, NULL, "Training was given up.");
}

static const struct {
    const char *name;
    send_fn *send;
} modes[] = {{"plain", send_plain}, {"two-houses", send_houses}, {"one-house", send_one_house}};

/* Before any work is done: a mode that this library does not know is not mistaken for another. */
static enum status find_mode(const struct round *round, send_fn **out, struct error *err)
{
    struct str mode = json_get_str(round->told, "mode");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (str_eq(mode, str_of(modes[i].name))) {
            *out = modes[i].send;
            return OK;
        }
    return fail(err, FORBIDDEN, NULL, "The hub trains in a mode, \"%.*s\", that this library does not know: renew it.",
                STR_ARG(str_slice(mode, 0, 64)));
}

static enum status run_round(struct round *round, cairn_train train, void *context, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct cairn_trained trained;
    send_fn *send = NULL;
    TRY(find_mode(round, &send, err));
    TRY(download(round, err));
    TRY(check_logged(round, err));
    TRY(model_read(&round->model, &arena, send != send_plain || round->bound > 0 || round->scaffold, err));
    if (round->scaffold)
        TRY(control_begin(round, &arena, err));
    TRY(call_train(round, train, context, &trained, err));
    TRY(send(round, &trained, err));
    if (round->scaffold)
        TRY(control_accepted(round, err));
    tell(round->part, "Round %lld of %lld: the update was accepted", (long long)round->number,
         (long long)round->rounds);
    return OK;
}

/* A model that is not small gives its memory back while its participant waits. */
#define KEPT_MOST ((size_t)64 << 20)

static struct buf emptied(struct buf *buf)
{
    struct buf room = *buf;
    room.len = 0;
    *buf = (struct buf){0};
    if (room.capacity > KEPT_MOST)
        buf_free(&room);
    return room;
}

static enum status take_part(struct cairn_federate *part, const json_t *told, cairn_train train, void *context,
                             struct error *err)
{
    const json_t *bound = json_object_get(told, "bound");
    struct round round = {.part = part,
                          .told = told,
                          .number = json_get_int(told, "round", 0),
                          .rounds = json_get_int(told, "rounds", 0),
                          .scaffold = json_get_bool(told, "scaffold", false),
                          .buffered = json_get_bool(told, "buffered", false),
                          .bound = json_is_number(bound) ? json_number_value(bound) : 0,
                          .model = {.bytes = part->bytes, .values = part->values}};
    enum status status = run_round(&round, train, context, err);
    part->bytes = emptied(&round.model.bytes);
    part->values = emptied(&round.model.values);
    part->update = emptied(&part->update);
    control_free(&round);
    /* Too late for this round: the next one comes. */
    return status == CONFLICT && error_is(err, "RoundOver") ? OK : status;
}

/* The run. */

static enum status check_settings(struct cairn_federate *part, struct error *err)
{
    int64_t patience = PATIENCE_SECONDS;
    if (!part->url || !part->token || !part->repo)
        return fail(err, INVALID, NULL, "\"url\", \"token\" and \"repo\" are needed.");
    if (part->patience && (!str_to_i64(str_of(part->patience), &patience) || patience > 1000000))
        return fail(err, INVALID, NULL, "\"patience\" is a number of seconds.");
    part->patience_us = patience * SECOND_US;
    return OK;
}

/* The hub answers when there is something to do, or after some seconds; where too many wait at once, so that it is asked again after
 * *wait. *over: the run is, or another one has begun. */
static enum status step(struct cairn_federate *part, struct str run, cairn_train train, void *context, bool *over,
                        int64_t *wait, struct error *err)
{
    auto_json json_t *told = NULL;
    int64_t asked = monotonic_us();
    TRY(ask(part, "GET", "/round?wait=true", (struct str){0}, (struct str){0}, &told, err));
    struct str state = json_get_str(told, "state");
    bool same = str_eq(json_get_str(told, "run"), run), finished = str_eq(state, STR("finished"));
    if (same && part->sent.round && (finished || json_get_int(told, "round", 0) > part->sent.round))
        TRY(check_counted(part, told, err));
    *over = !same || finished;
    if (*over)
        return OK;
    if (!str_eq(state, STR("open")))
        return fail(err, CONFLICT, NULL, "The training was stopped. %.*s", STR_ARG(json_get_str(told, "why")));
    bool accepted = str_eq(json_get_str(json_object_get(told, "update"), "state"), STR("accepted"));
    /* Whoever is not waited for goes on as soon as there is a model that it has not trained. */
    if (json_get_bool(told, "buffered", false))
        accepted = json_get_int(json_object_get(told, "update"), "from", 0) >= json_get_int(told, "round", 0);
    if (!accepted && !json_get_bool(told, "closing", false)) {
        *wait = POLL_LEAST_US;
        return take_part(part, told, train, context, err);
    }
    if (monotonic_us() - asked < *wait)
        doze(*wait);
    *wait = *wait * 9 / 8 < POLL_MOST_US ? *wait * 9 / 8 : POLL_MOST_US;
    return OK;
}

static enum status run_all(struct cairn_federate *part, cairn_train train, void *context, struct error *err)
{
    auto_json json_t *joined = NULL;
    int64_t wait = POLL_LEAST_US;
    bool over = false;
    TRY(ask_for_run(part, "POST", "/join", &joined, err));
    struct str run = json_get_str(joined, "run");
    if (!str_given(run))
        return fail(err, INVALID, NULL, "The hub does not say what was joined.");
    while (!over)
        TRY(step(part, run, train, context, &over, &wait, err));
    return OK;
}

enum status part_begin(struct cairn_federate *part, struct error *err)
{
    *err = (struct error){0};
    part->given_up = false;
    part->knows_houses = false;
    part->sent.round = 0;
    return check_settings(part, err);
}

int part_end(struct cairn_federate *part, enum status status)
{
    if (status == OK) {
        part->err.message[0] = '\0';
        return CAIRN_TRAINED;
    }
    if (part->given_up)
        return CAIRN_TRAIN_GIVEN_UP;
    return status == UNAVAILABLE || status == TIMED_OUT || status == TOO_LARGE ? CAIRN_TRAIN_UNABLE
                                                                               : CAIRN_TRAIN_REFUSED;
}

int cairn_federate_run(struct cairn_federate *part, cairn_train train, void *context)
{
    if (part_begin(part, &part->err) != OK)
        return CAIRN_TRAIN_MISUSED;
    return part_end(part, run_all(part, train, context, &part->err));
}
