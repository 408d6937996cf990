/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The new model, of rows, the old model and the optimiser's moments: the same bits whoever computes it. Nothing here knows of a hub or a
 * database.
 */
#include "federate/internal.h"
#include "privacy/gauss.h"
#include <math.h>

/* Rows. */

void rows_make(struct rows *rows, struct arena *arena, size_t count)
{
    *rows = (struct rows){.count = count,
                          .fds = arena_array(arena, count, sizeof *rows->fds),
                          .at = arena_array(arena, count, sizeof *rows->at),
                          .weights = arena_array(arena, count, sizeof *rows->weights)};
    for (size_t i = 0; i < count; i++) {
        rows->fds[i] = -1;
        rows->weights[i] = 1;
    }
}

void rows_from_origins(struct rows *rows, struct arena *arena, size_t origins)
{
    rows->are_changes = true;
    rows->origins = arena_array(arena, origins, sizeof *rows->origins);
    rows->origin_count = origins;
    rows->origin_of = arena_array(arena, rows->count, sizeof *rows->origin_of);
    rows->scales = arena_array(arena, rows->count, sizeof *rows->scales);
    for (size_t i = 0; i < origins; i++)
        rows->origins[i] = (struct model){.fd = -1};
}

void rows_close(struct rows *rows)
{
    for (size_t i = 0; i < rows->origin_count; i++)
        model_close(&rows->origins[i]);
    rows->origin_count = 0;
    for (size_t i = 0; i < rows->count; i++)
        fd_close(&rows->fds[i]);
    rows->count = 0;
}

/* Aggregating. */

struct work {
    const struct aggregation *of;
    bool is_centred;     /* rows are differences to the newest aggregate, too */
    double step;         /* of the grid on which noise is added */
    int64_t noise_sigma; /* in such steps; 0: none is added */
};

static enum status read_numbers(int fd, int64_t start, int64_t at, size_t count, float *out, struct error *err)
{
    return pread_full(fd, out, count * sizeof *out, start + at * (int64_t)sizeof *out, err);
}

/* From a model to the change that it is of its own origin. */
static enum status subtract_origin(const struct rows *rows, size_t row, int64_t at, size_t count, float *values,
                                   struct error *err)
{
    const struct model *origin = &rows->origins[rows->origin_of[row]];
    float from[ROBUST_PIECE_MOST];
    TRY(read_numbers(origin->fd, origin->data_at, at, count, from, err));
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(rows->scales[row] * (double)(values[i] - from[i]));
    return OK;
}

static enum status read_row(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct aggregation *of = ((const struct work *)context)->of;
    if (row == of->rows->count)
        return read_numbers(of->base->fd, of->base->data_at, at, count, out, err);
    TRY(read_numbers(of->rows->fds[row], of->rows->at[row], at, count, out, err));
    return of->rows->origins ? subtract_origin(of->rows, row, at, count, out, err) : OK;
}

/* Centred clipping goes from the newest aggregate on (federated 3.3): that is to go from zero, with rows that are differences to it. */
static enum status read_centred(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct aggregation *of = ((const struct work *)context)->of;
    float base[ROBUST_PIECE_MOST] = {0}, centre[ROBUST_PIECE_MOST];
    TRY(read_row(context, row, at, count, out, err));
    if (!of->rows->are_changes)
        TRY(read_row(context, of->rows->count, at, count, base, err));
    TRY(read_numbers(of->kept[KEPT_CENTRE].now, 0, at, count, centre, err));
    for (size_t i = 0; i < count; i++)
        out[i] = out[i] - base[i] - centre[i];
    return OK;
}

/* The aggregate is kept for the next round to begin at. */
static enum status move_centre(const struct work *work, int64_t at, size_t count, double *change, struct error *err)
{
    const struct aggregation *of = work->of;
    float centre[ROBUST_PIECE_MOST] = {0};
    if (work->is_centred)
        TRY(read_numbers(of->kept[KEPT_CENTRE].now, 0, at, count, centre, err));
    for (size_t i = 0; i < count; i++) {
        change[i] += (double)centre[i];
        centre[i] = (float)change[i];
    }
    return pwrite_full(of->kept[KEPT_CENTRE].next, centre, count * sizeof *centre, at * (int64_t)sizeof *centre, err);
}

/*
 * Noise is added on a grid of steps so fine that its standard deviation is some 2^20 of them. The differences are rounded to
 * it, which makes them longer by half a step in each number at most; the noise is larger by as much. Sums of whole
 * numbers are exact, so nothing but the noise decides the last bits.
 */
#define NOISE_STEPS (1 << 20)

static void plan_noise(struct work *work)
{
    const struct settings *settings = work->of->settings;
    if (!work->of->noise_seed)
        return;
    work->step = settings->bound * settings->noise / NOISE_STEPS;
    double reach = settings->bound * BOUND_SLACK / work->step + sqrt((double)work->of->base->width) / 2;
    work->noise_sigma = (int64_t)ceil(settings->noise * reach);
}

/* A row as whole steps. */
static enum status read_steps(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct work *work = context;
    float base[ROBUST_PIECE_MOST] = {0};
    TRY(read_row(context, row, at, count, out, err));
    if (!work->of->rows->are_changes)
        TRY(read_row(context, work->of->rows->count, at, count, base, err));
    for (size_t i = 0; i < count; i++)
        out[i] = (float)rint((double)(out[i] - base[i]) / work->step);
    return OK;
}

/* From the mean of the steps to that of the differences, with noise on the sum. Each piece has a stream of noise of its own,
 * called by where it begins. */
static void add_noise(const struct work *work, int64_t at, size_t count, const double *steps, double *out)
{
    int64_t noise[ROBUST_PIECE_MOST];
    double updates = (double)work->of->rows->count;
    gauss_fill(work->of->noise_seed, (uint64_t)at, work->noise_sigma, noise, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (double)(llround(steps[i] * updates) + noise[i]) * work->step / updates;
}

static enum status optimise(const struct aggregation *of, int64_t at, size_t count, double *change, struct error *err)
{
    const struct optimiser *optimiser = &of->settings->optimiser;
    double moments[2][ROBUST_PIECE_MOST];
    int64_t start = 2 * at * (int64_t)sizeof(double), size = (int64_t)(count * sizeof(double));
    if (!optimiser_keeps_moments(optimiser)) {
        optimiser_step(optimiser, of->round, count, change, NULL, NULL);
        return OK;
    }
    for (size_t i = 0; i < count; i++) {
        moments[0][i] = 0;
        moments[1][i] = optimiser_first_moment(optimiser);
    }
    for (int i = 0; i < 2 && of->kept[KEPT_MOMENTS].now >= 0; i++)
        TRY(pread_full(of->kept[KEPT_MOMENTS].now, moments[i], (size_t)size, start + i * size, err));
    optimiser_step(optimiser, of->round, count, change, moments[0], moments[1]);
    for (int i = 0; i < 2; i++)
        TRY(pwrite_full(of->kept[KEPT_MOMENTS].next, moments[i], (size_t)size, start + i * size, err));
    return OK;
}

static enum status write_row(void *context, int64_t at, size_t count, const double *values, struct error *err)
{
    const struct work *work = context;
    const struct aggregation *of = work->of;
    float model[ROBUST_PIECE_MOST];
    double change[ROBUST_PIECE_MOST];
    TRY(read_row(context, of->rows->count, at, count, model, err));
    if (work->noise_sigma)
        add_noise(work, at, count, values, change);
    else
        memcpy(change, values, count * sizeof *change);
    if (of->kept[KEPT_CENTRE].next >= 0)
        TRY(move_centre(work, at, count, change, err));
    TRY(optimise(of, at, count, change, err));
    for (size_t i = 0; i < count; i++)
        model[i] = (float)((double)model[i] + change[i]);
    return pwrite_full(of->out, model, count * sizeof *model, of->base->data_at + at * (int64_t)sizeof *model, err);
}

static struct robust_how how_of(const struct aggregation *of)
{
    struct robust_how how = settings_how_of(of->settings, of->candidate, of->rows->count);
    how.order = of->order;
    return how;
}

/* SCAFFOLD: c <- c + |S|/N of what the rule makes of the changes of control variates (federated 3.1). They stand behind the rows. */

static enum status read_control(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct aggregation *of = ((const struct work *)context)->of;
    int64_t start = of->rows->at[row] + of->base->width * (int64_t)sizeof(float);
    return read_numbers(of->rows->fds[row], start, at, count, out, err);
}

static enum status write_control(void *context, int64_t at, size_t count, const double *values, struct error *err)
{
    const struct aggregation *of = ((const struct work *)context)->of;
    float control[ROBUST_PIECE_MOST] = {0};
    if (of->kept[KEPT_CONTROL].now >= 0)
        TRY(read_numbers(of->kept[KEPT_CONTROL].now, of->base->data_at, at, count, control, err));
    for (size_t i = 0; i < count; i++)
        control[i] = (float)((double)control[i] + of->share * values[i]);
    return pwrite_full(of->kept[KEPT_CONTROL].next, control, count * sizeof *control,
                       of->base->data_at + at * (int64_t)sizeof *control, err);
}

static enum status aggregate_control(struct work *work, struct error *err)
{
    const struct aggregation *of = work->of;
    const struct robust_rows rows = {
        .count = of->rows->count, .width = of->base->width, .read = read_control, .context = work};
    const struct robust_sink sink = {write_control, work};
    struct robust_how how = how_of(of);
    how.radius = of->settings->control_bound;
    TRY(pwrite_full(of->kept[KEPT_CONTROL].next, of->base->head.data, of->base->head.len, 0, err));
    return robust_aggregate(&rows, &how, &sink, err);
}

enum status aggregate(const struct aggregation *of, struct error *err)
{
    const struct robust_how how = how_of(of);
    struct work work = {.of = of, .is_centred = how.rule == ROBUST_CENTRED_CLIPPING && of->kept[KEPT_CENTRE].now >= 0};
    plan_noise(&work);
    /* With noise, each weighs the same: what one can change of the sum must not hang on what it says of itself. So it does where control
     * variates go with it. */
    const struct robust_rows rows = {.count = of->rows->count,
                                     .width = of->base->width,
                                     .weights = work.noise_sigma || of->settings->scaffold ? NULL : of->rows->weights,
                                     .read = work.noise_sigma  ? read_steps
                                             : work.is_centred ? read_centred
                                                               : read_row,
                                     .context = &work,
                                     .has_origin = !of->rows->are_changes && !work.noise_sigma && !work.is_centred};
    const struct robust_sink sink = {write_row, &work};
    TRY(pwrite_full(of->out, of->base->head.data, of->base->head.len, 0, err));
    if (of->settings->scaffold)
        TRY(aggregate_control(&work, err));
    return robust_aggregate(&rows, &how, &sink, err);
}

enum status aggregate_gram(const struct rows *rows, const struct model *base, double *out, struct error *err)
{
    const struct aggregation of = {.rows = rows, .base = base};
    struct work work = {.of = &of};
    const struct robust_rows read = {.count = rows->count,
                                     .width = base->width,
                                     .read = read_row,
                                     .context = &work,
                                     .has_origin = !rows->are_changes};
    TRY(robust_gram(&read, out, err));
    for (size_t i = 0; rows->scales && i < rows->count; i++)
        for (size_t j = 0; j < rows->count; j++)
            out[i * rows->count + j] /= rows->scales[i] * rows->scales[j];
    return OK;
}
