/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/internal.h"
#include <stdlib.h>
#include <string.h>

static const char *const names[ROBUST_RULES] = {
    [ROBUST_MEAN] = "mean",
    [ROBUST_TRIMMED_MEAN] = "trimmed-mean",
    [ROBUST_MEDIAN] = "median",
    [ROBUST_MEAMED] = "meamed",
    [ROBUST_GEOMETRIC_MEDIAN] = "geometric-median",
    [ROBUST_KRUM] = "krum",
    [ROBUST_MULTI_KRUM] = "multi-krum",
    [ROBUST_BULYAN] = "bulyan",
    [ROBUST_CENTRED_CLIPPING] = "centred-clipping",
};

const char *robust_rule_name(enum robust_rule rule)
{
    return names[rule];
}

bool robust_rule_find(const char *name, enum robust_rule *out)
{
    for (int i = 0; i < ROBUST_RULES; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum robust_rule)i;
            return true;
        }
    return false;
}

static enum status read_row(const struct robust_rows *rows, const struct kernels *kernels, size_t row, int64_t at,
                            size_t count, const float *origin, float *out, struct error *err)
{
    TRY(rows->read(rows->context, row, at, count, out, err));
    if (origin)
        kernels->subtract(out, origin, count);
    return OK;
}

static enum status read_origin(const struct robust_rows *rows, int64_t at, size_t count, float *out, struct error *err)
{
    return rows->has_origin ? rows->read(rows->context, rows->count, at, count, out, err) : OK;
}

/* The Gram matrix. */

/* Rows are a piece and a line further apart than they need be: of rows 64 KiB apart, only some would fit into a cache at once. */
#define GRAM_GAP (GRAM_PIECE + 16)

struct gram_pass {
    const struct robust_rows *rows;
    const struct kernels *kernels;
    bool coarse;
    double *partial; /* of each stripe, count * count */
};

static void gram_fine(const struct gram_pass *pass, const float *block, size_t stride, size_t count, double *piece,
                      double *gram)
{
    size_t n = pass->rows->count;
    for (size_t from = 0; from < count; from += GRAM_PIECE) {
        size_t width = count - from < GRAM_PIECE ? count - from : GRAM_PIECE;
        size_t padded = (width + ROBUST_LANES - 1) / ROBUST_LANES * ROBUST_LANES;
        for (size_t i = 0; i < n; i++) {
            pass->kernels->widen(piece + i * GRAM_PIECE, block + i * stride + from, width);
            memset(piece + i * GRAM_PIECE + width, 0, (padded - width) * sizeof *piece);
        }
        pass->kernels->gram(piece, n, GRAM_PIECE, padded, gram);
    }
}

static void gram_coarse(const struct gram_pass *pass, float *block, size_t stride, size_t count, double *gram)
{
    size_t n = pass->rows->count,
           padded = (count + ROBUST_COARSE_LANES - 1) / ROBUST_COARSE_LANES * ROBUST_COARSE_LANES;
    for (size_t i = 0; i < n; i++)
        memset(block + i * stride + count, 0, (padded - count) * sizeof *block);
    for (size_t from = 0; from < padded; from += GRAM_PIECE)
        pass->kernels->coarse_gram(block + from, n, stride, padded - from < GRAM_PIECE ? padded - from : GRAM_PIECE,
                                   gram);
}

/* In a thread's state: the origin, the block of each row, and a piece of all of them in doubles. */
static enum status gram_visit(void *context, void *state, size_t stripe, int64_t at, size_t count, struct error *err)
{
    struct gram_pass *pass = context;
    const struct robust_rows *rows = pass->rows;
    size_t n = rows->count, stride = robust_block(n) + GRAM_GAP;
    float *origin = state, *block = origin + stride;
    double *gram = pass->partial + stripe * n * n;
    TRY(read_origin(rows, at, count, origin, err));
    for (size_t i = 0; i < n; i++)
        TRY(read_row(rows, pass->kernels, i, at, count, rows->has_origin ? origin : NULL, block + i * stride, err));
    if (pass->coarse)
        gram_coarse(pass, block, stride, count, gram);
    else
        gram_fine(pass, block, stride, count, (double *)(block + n * stride), gram);
    return OK;
}

/* Many rows have large matrices: then there are fewer of them. It depends on nothing but the number of rows. */
static size_t gram_stripes(size_t n)
{
    return n <= 64 ? ROBUST_STRIPES : n <= 256 ? 16 : 4;
}

static void sum_stripes(const double *partial, size_t stripes, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            double sum = 0;
            for (size_t stripe = 0; stripe < stripes; stripe++)
                sum += partial[stripe * n * n + i * n + j];
            out[i * n + j] = out[j * n + i] = sum;
        }
}

static enum status gram_run(const struct robust_rows *rows, bool coarse, double *out, struct error *err)
{
    size_t n = rows->count, stripes = gram_stripes(n), stride = robust_block(n) + GRAM_GAP;
    struct gram_pass own = {.rows = rows, .kernels = kernels_choose(), .coarse = coarse};
    const struct pass pass = {.width = rows->width,
                              .stripes = stripes,
                              .threads = rows->threads,
                              .block = robust_block(n),
                              .state = (n + 1) * stride * sizeof(float) + n * GRAM_PIECE * sizeof(double),
                              .visit = gram_visit,
                              .context = &own};
    own.partial = calloc(stripes * n * n, sizeof *own.partial);
    if (!own.partial)
        abort();
    enum status status = pass_run(&pass, err);
    if (status == OK)
        sum_stripes(own.partial, stripes, n, out);
    free(own.partial);
    return status;
}

enum status robust_gram(const struct robust_rows *rows, double *out, struct error *err)
{
    return gram_run(rows, false, out, err);
}

enum status coarse_gram(const struct robust_rows *rows, double *out, struct error *err)
{
    return gram_run(rows, true, out, err);
}

/*
 * Krum does no more with distances than to rank rows by them. Products in float32 mostly tell which rows it keeps, whatever their
 * errors are; where they leave it open, as they may where rows are very near to each other, of the same score, or out of range, the
 * exact ones are made after all. So no bit of the output hangs on them.
 */
static enum status decide_gram(const struct robust_rows *rows, const struct robust_how *how, double *out,
                               struct error *err)
{
    bool ranks = (how->rule == ROBUST_KRUM || how->rule == ROBUST_MULTI_KRUM) && !how->bucket && !how->mix;
    if (ranks) {
        TRY(coarse_gram(rows, out, err));
        if (krum_is_sure(out, rows->count, how, COARSE_SHARE, COARSE_REST * (double)rows->width))
            return OK;
    }
    return robust_gram(rows, out, err);
}

/* The output. */

struct form_pass {
    const struct robust_rows *rows;
    const struct plan *plan;
    const struct robust_sink *sink;
    const struct kernels *kernels;
    struct columns columns;
};

struct form_state { /* laid out in a thread's state */
    size_t block;   /* how far rows are apart */
    float *origin, *rows, *lines;
    double *sums, *out;
    int32_t *keys;
};

static size_t lay_out(const struct plan *plan, char *state, struct form_state *out)
{
    bool sums = plan->column == COLUMN_SUM;
    size_t rows = sums           ? ROBUST_TOGETHER
                  : plan->matrix ? plan->rows
                                 : plan->lines,
           lines = sums || !plan->matrix ? 0 : plan->lines;
    size_t block = robust_block(plan->rows), doubles = block * sizeof(double), floats = block * sizeof(float);
    size_t origin = 2 * doubles, keys = origin + (1 + rows + lines) * floats;
    if (out)
        *out = (struct form_state){.block = block,
                                   .sums = (double *)state,
                                   .out = (double *)(state + doubles),
                                   .origin = (float *)(state + origin),
                                   .rows = (float *)(state + origin + floats),
                                   .lines = (float *)(state + origin + (1 + rows) * floats),
                                   .keys = (int32_t *)(state + keys)};
    return keys + (sums ? 0 : plan->lines * ROBUST_TILE * sizeof(int32_t));
}

/* One weighted sum, of one row after the other, some at a time. */
static enum status form_sum(struct form_pass *pass, const struct form_state *s, int64_t at, size_t count,
                            const float *origin, struct error *err)
{
    const struct plan *plan = pass->plan;
    double weights[ROBUST_TOGETHER];
    size_t waiting = 0;
    memset(s->out, 0, count * sizeof *s->out);
    for (size_t i = 0; i < plan->rows; i++) {
        if (!plan->used[i])
            continue;
        TRY(read_row(pass->rows, pass->kernels, i, at, count, origin, s->rows + waiting * s->block, err));
        weights[waiting++] = plan->matrix[i];
        if (waiting == ROBUST_TOGETHER) {
            pass->kernels->add_rows(s->out, weights, s->rows, s->block, count);
            waiting = 0;
        }
    }
    for (size_t i = 0; i < waiting; i++)
        pass->kernels->add(s->out, weights[i], s->rows + i * s->block, count);
    return OK;
}

/* Lines are kept as float32: as many bytes as the updates have, and sorted as integers. */
static void form_lines(struct form_pass *pass, const struct form_state *s, size_t count)
{
    const struct plan *plan = pass->plan;
    for (size_t line = 0; line < plan->lines; line++) {
        const double *weights = plan->matrix + line * plan->rows;
        memset(s->sums, 0, count * sizeof *s->sums);
        for (size_t i = 0; i < plan->rows; i++)
            if (weights[i] != 0)
                pass->kernels->add(s->sums, weights[i], s->rows + i * s->block, count);
        for (size_t j = 0; j < count; j++)
            s->lines[line * s->block + j] = (float)s->sums[j];
    }
}

static enum status form_columns(struct form_pass *pass, const struct form_state *s, int64_t at, size_t count,
                                const float *origin, struct error *err)
{
    const struct plan *plan = pass->plan;
    size_t rows = plan->matrix ? plan->rows : plan->lines;
    for (size_t i = 0; i < rows; i++) {
        size_t row = plan->matrix ? i : plan->pick[i];
        if (plan->used[row])
            TRY(read_row(pass->rows, pass->kernels, row, at, count, origin, s->rows + i * s->block, err));
    }
    if (plan->matrix)
        form_lines(pass, s, count);
    columns_run(&pass->columns, plan->matrix ? s->lines : s->rows, s->block, count, s->keys, s->out);
    return OK;
}

static enum status form_visit(void *context, void *state, size_t stripe, int64_t at, size_t count, struct error *err)
{
    struct form_pass *pass = context;
    struct form_state s;
    (void)stripe;
    lay_out(pass->plan, state, &s);
    TRY(read_origin(pass->rows, at, count, s.origin, err));
    const float *origin = pass->rows->has_origin ? s.origin : NULL;
    if (pass->plan->column == COLUMN_SUM)
        TRY(form_sum(pass, &s, at, count, origin, err));
    else
        TRY(form_columns(pass, &s, at, count, origin, err));
    return pass->sink->write(pass->sink->context, at, count, s.out, err);
}

static enum status form(const struct robust_rows *rows, const struct plan *plan, const struct robust_sink *sink,
                        struct error *err)
{
    struct form_pass own = {.rows = rows, .plan = plan, .sink = sink, .kernels = kernels_choose()};
    const struct pass pass = {.width = rows->width,
                              .stripes = ROBUST_STRIPES,
                              .threads = rows->threads,
                              .block = robust_block(plan->rows),
                              .state = lay_out(plan, NULL, NULL),
                              .visit = form_visit,
                              .context = &own};
    if (plan->column != COLUMN_SUM)
        columns_start(&own.columns, plan, own.kernels);
    enum status status = pass_run(&pass, err);
    columns_end(&own.columns);
    return status;
}

enum status robust_aggregate(const struct robust_rows *rows, const struct robust_how *how,
                             const struct robust_sink *sink, struct error *err)
{
    struct plan plan;
    double *gram = NULL;
    TRY(plan_check(rows, how, err));
    if (plan_wants_gram(how)) {
        gram = calloc(rows->count * rows->count, sizeof *gram);
        if (!gram)
            abort();
        enum status status = decide_gram(rows, how, gram, err);
        if (status != OK) {
            free(gram);
            return status;
        }
    }
    plan_make(rows, how, gram, &plan);
    free(gram);
    enum status status = form(rows, &plan, sink, err);
    plan_free(&plan);
    return status;
}
