/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* SCAFFOLD, option II (federated 3.1): the participant's own control variate, and how it goes on. Flat vectors are in the order of the model's bytes. */
#include "base/file.h"
#include "base/text.h"
#include "train/internal.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t numbers_of(const struct model *model)
{
    return (model->bytes.len - model->data_at) / sizeof(float);
}

static float *floats(const struct buf *buf)
{
    return (float *)buf->data;
}

static void set_zero(struct buf *buf, size_t numbers)
{
    buf->len = 0;
    buf_reserve(buf, numbers * sizeof(float) + 1);
    memset(buf->data, 0, numbers * sizeof(float));
    buf->len = numbers * sizeof(float);
}

/* The hub's, "c". It has the model's header before it. */
static enum status download(struct round *round, struct buf *out, struct error *err)
{
    auto_buf struct buf file = {0};
    const struct model *model = &round->model;
    char path[96];
    bool end = false;
    while (!end) {
        size_t before = file.len;
        snprintf(path, sizeof path, "/control?round=%lld&offset=%zu", (long long)round->number, file.len);
        TRY(ask_piece(round->part, path, &file, err));
        end = file.len == before || file.len >= model->bytes.len;
    }
    if (file.len != model->bytes.len || memcmp(file.data, model->bytes.data, model->data_at) != 0)
        return fail(err, INVALID, NULL, "The hub's control variate is not like its model.");
    buf_add(out, file.data + model->data_at, file.len - model->data_at);
    return OK;
}

/* Where the own one is kept over restarts of the program. */
static struct str state_path(struct round *round, struct arena *arena)
{
    struct str run = json_get_str(round->told, "run");
    uint8_t id[16];
    if (!round->part->state || !hex_decode(run, id, sizeof id))
        return (struct str){0};
    return arena_printf(arena, "%s/%.*s.control", round->part->state, STR_ARG(run));
}

static void load_state(struct round *round, size_t numbers)
{
    auto_arena struct arena arena = {0};
    struct str path = state_path(round, &arena);
    auto_fd int fd = str_given(path) ? open(path.data, O_RDONLY | O_CLOEXEC) : -1;
    auto_buf struct buf found = {0};
    size_t got = 0;
    set_zero(&found, numbers + 1); /* one more than there may be */
    if (fd < 0 || pread_most(fd, found.data, found.len, 0, &got, NULL) != OK || got != numbers * sizeof(float))
        return;
    memcpy(round->part->control.data, found.data, numbers * sizeof(float));
}

static enum status save_state(struct round *round, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str path = state_path(round, &arena);
    if (!str_given(path))
        return OK;
    struct str temporary = arena_printf(&arena, "%.*s.new", STR_ARG(path));
    auto_fd int fd = open(temporary.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, temporary.data);
    TRY(write_full(fd, round->part->control.data, round->part->control.len, err));
    return fdatasync(fd) == 0 && rename(temporary.data, path.data) == 0 ? OK : fail_errno(err, path.data);
}

/* The own one belongs to a run. */
static void find_own(struct round *round, size_t numbers)
{
    struct cairn_federate *part = round->part;
    struct str run = json_get_str(round->told, "run");
    if (str_eq(run, str_of(part->control_run)) && part->control.len == numbers * sizeof(float))
        return;
    set_zero(&part->control, numbers);
    snprintf(part->control_run, sizeof part->control_run, "%.*s", STR_ARG(run));
    load_state(round, numbers);
}

enum status control_begin(struct round *round, struct arena *arena, struct error *err)
{
    const struct model *model = &round->model;
    size_t numbers = numbers_of(model), count = model->list.count;
    bool hub_has_one = json_get_bool(round->told, "control", false);
    find_own(round, numbers);
    round->begins = !hub_has_one; /* where the hub has none, all begin from zero */
    if (hub_has_one)
        TRY(download(round, &round->control, err));
    else
        set_zero(&round->control, numbers);
    set_zero(&round->correction, numbers);
    for (size_t i = 0; i < numbers; i++)
        floats(&round->correction)[i] =
            floats(&round->control)[i] - (round->begins ? 0 : floats(&round->part->control)[i]);
    round->corrections = arena_array(arena, count, sizeof *round->corrections);
    for (size_t i = 0; i < count; i++) {
        round->corrections[i] = model->tensors[i];
        round->corrections[i].values = (float *)(round->correction.data + model->list.items[i].begin);
    }
    return OK;
}

void control_free(struct round *round)
{
    buf_free(&round->control);
    buf_free(&round->correction);
    buf_free(&round->change);
}

/* c_i' - c_i = -c + (x - y) / (K eta), within its bound. */
static enum status make_change(struct round *round, const struct cairn_trained *trained, const float *x, const float *y,
                               struct error *err)
{
    const json_t *bound = json_object_get(round->told, "controlBound");
    size_t numbers = numbers_of(&round->model);
    auto_buf struct buf zero = {0};
    if (trained->steps < 1 || !(trained->rate > 0) || !isfinite(trained->rate))
        return fail(err, INVALID, NULL,
                    "The rule scaffold needs to know in how many steps, and at which rate, training was done.");
    const float *c = floats(&round->control);
    double scale = 1 / ((double)trained->steps * trained->rate);
    set_zero(&round->change, numbers);
    set_zero(&zero, numbers);
    for (size_t i = 0; i < numbers; i++)
        floats(&round->change)[i] = (float)(((double)x[i] - (double)y[i]) * scale - (double)c[i]);
    if (json_is_number(bound))
        model_draw_back(round->change.data, zero.data, numbers, json_number_value(bound));
    return OK;
}

/* The model's tensors, and behind them those of the change. */
static void write_both(struct round *round, float *y, struct arena *arena, struct buf *out)
{
    const struct model *model = &round->model;
    size_t count = model->list.count;
    struct cairn_tensor *both = arena_array(arena, 2 * count, sizeof *both);
    for (size_t i = 0; i < count; i++) {
        int64_t begin = model->list.items[i].begin;
        both[i] = both[count + i] = model->tensors[i];
        both[i].values = (float *)((char *)y + begin);
        both[count + i].name = arena_printf(arena, "control/%s", model->tensors[i].name).data;
        both[count + i].values = (float *)(round->change.data + begin);
    }
    tensors_write(both, 2 * count, out);
}

enum status control_write(struct round *round, const struct cairn_trained *trained, struct buf *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf y = {0}, base = {0};
    size_t numbers = numbers_of(&round->model);
    set_zero(&y, numbers);
    set_zero(&base, numbers); /* a copy: floats have to be aligned */
    memcpy(base.data, round->model.bytes.data + round->model.data_at, base.len);
    if (!model_flatten(&round->model, trained, y.data)) { /* the hub says what is wrong with it */
        tensors_write(trained->tensors, trained->count, out);
        return OK;
    }
    if (round->bound > 0)
        model_draw_back(y.data, base.data, numbers, round->bound);
    TRY(make_change(round, trained, floats(&base), floats(&y), err));
    write_both(round, floats(&y), &arena, out);
    return OK;
}

enum status control_accepted(struct round *round, struct error *err)
{
    /* Not before: of a round that has just ended the hub has none any more, and then what was made of that is too late. */
    if (round->begins && round->change.len)
        set_zero(&round->part->control, round->change.len / sizeof(float));
    float *own = floats(&round->part->control);
    for (size_t i = 0; i < round->change.len / sizeof *own; i++)
        own[i] += floats(&round->change)[i];
    return save_state(round, err);
}
