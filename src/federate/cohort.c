/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mode "one-house": the hub sees sums of what cohorts have sent, and nothing of a single participant (federated 2.5). */
#include "federate/cohort.h"
#include "cohort/unmask.h"
#include "mask/mask.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUND 10                /* where none is given: participants draw back to it */
#define PIECE ((size_t)1 << 18) /* numbers; a multiple of 8, so that each piece begins with a byte */

/* Settings. */

static bool is_mean(const struct robust_how *how)
{
    return how->rule == ROBUST_MEAN && !how->mix;
}

static size_t candidates(const struct settings *settings)
{
    return settings->candidate_count ? settings->candidate_count : 1;
}

static bool is_mean_alone(const struct settings *settings)
{
    return is_mean(&settings->how) && settings->candidate_count < 2;
}

size_t cohorts_least(const struct settings *settings, size_t count)
{
    size_t most = 1;
    for (size_t i = 0; i < candidates(settings); i++) {
        const struct robust_how how = settings_how_of(settings, i, count);
        size_t suspects = how.suspects ? how.suspects : 1;
        size_t least = is_mean(&how) ? 1 : how.rule == ROBUST_BULYAN ? 4 * suspects + 3 : 2 * suspects + 1;
        most = least > most ? least : most;
    }
    return most;
}

/* With one cohort there is one sum, and nothing for a rule to choose from. Small cohorts keep what one attacker spoils small: as large as
 * leaves about 30 % of them spoilt (federated 2.5). */
static void choose_cohort(struct settings *settings)
{
    size_t suspects = settings->has_suspects ? settings->how.suspects : (size_t)settings->min_participants / 5;
    if (settings->how.bucket)
        settings->cohort = settings->how.bucket;
    else if (!is_mean_alone(settings))
        settings->cohort = suspects ? (size_t)(0.35 * (double)settings->min_participants / (double)suspects) : 3;
    if (settings->cohort && settings->cohort < COHORT_LEAST)
        settings->cohort = COHORT_LEAST;
    if (settings->cohort > COHORT_MOST / 2)
        settings->cohort = COHORT_MOST / 2;
    settings->how.bucket = 0; /* the cohorts are the buckets */
}

static enum status check_buckets(const struct settings *settings, struct error *err)
{
    size_t bucket = settings->how.bucket;
    if (bucket && (bucket < COHORT_LEAST || bucket > COHORT_MOST / 2))
        return fail(err, INVALID, NULL, "In the mode one-house a cohort (bucketing:SIZE) has from %d to %d members.",
                    COHORT_LEAST, COHORT_MOST / 2);
    for (size_t i = 0; i < settings->candidate_count; i++)
        if (settings->candidates[i].how.bucket)
            return fail(err, INVALID, NULL,
                        "In the mode one-house all candidates have the same cohorts: leave out bucketing.");
    return OK;
}

static enum status check(struct settings *settings, struct error *err)
{
    bool has_bucket = settings->how.bucket != 0;
    TRY(check_buckets(settings, err));
    if (settings->bound <= 0)
        settings->bound = BOUND;
    choose_cohort(settings);
    size_t rows = settings->cohort ? (size_t)settings->min_participants / settings->cohort : 1;
    size_t least = cohorts_least(settings, rows ? rows : 1);
    if (rows < least)
        return fail(
            err, INVALID, NULL,
            "The rule %.*s takes %zu cohorts of %zu in the mode one-house, and a round may have %zu participants: ask "
            "for %zu.",
            STR_ARG(settings->rule), least, settings->cohort, (size_t)settings->min_participants,
            least * settings->cohort);
    TRY(settings_check_groups(settings, rows, err));
    if (settings->noise <= 0)
        return OK;
    const struct cohort_round round = {.noise = settings->noise, .least = settings->min_participants};
    if (!is_mean_alone(settings) || has_bucket)
        return fail(err, INVALID, NULL,
                    "\"noise\" needs the rule mean: only then is it known how much of it is in what is published.");
    if (cohort_bits(&round, COHORT_MOST) == 0)
        return fail(err, INVALID, NULL, "\"noise\" of %g has no room beside the updates.", settings->noise);
    return OK;
}

/* Participants count on it, so that nobody is put into a smaller cohort than others. */
static enum status tell(struct request *rq, const struct run *run, struct json_writer *w, struct error *err)
{
    (void)rq, (void)err;
    jw_key_int(w, "cohort", (int64_t)run->settings.cohort);
    return OK;
}

/* Gathering: the sums of cohorts, without their masks. */

/* What the record says of a cohort. */
struct cohort_sum {
    size_t size, degree, threshold, survivors;
    uint8_t masked[SHA256_SIZE]; /* of the sum of the vectors as they came, as numbers of 32 bits */
    double norm;
};

struct sums {
    int64_t attempt;
    size_t count;
    struct cohort_sum *items;
};

/* One cohort on its way from vectors to their mean. */
struct summing {
    struct closing *c;
    const struct cohort_round *round;
    struct cohort_graph graph;
    const struct member_row *members;
    const struct cohort_row *cohort;
    struct cohort_masks masks;
    int fds[COHORT_MOST]; /* -1: no survivor */
    struct cohort_sum *sum;
    unsigned bits;
    int out;
};

static enum status add_vectors(const struct summing *s, size_t at, size_t count, uint32_t *numbers, uint32_t *one,
                               uint8_t *packed, struct error *err)
{
    size_t bytes = mask_packed(count, s->bits);
    memset(numbers, 0, count * sizeof *numbers);
    for (size_t i = 0; i < s->graph.size; i++) {
        if (s->fds[i] < 0)
            continue;
        TRY(pread_full(s->fds[i], packed, bytes, (int64_t)mask_packed(at, s->bits), err));
        TRY(mask_unpack((struct str){(char *)packed, bytes}, count, s->bits, one, err));
        for (size_t k = 0; k < count; k++)
            numbers[k] += one[k];
    }
    return OK;
}

/* Numbers are counted modulo 2^bits: only these are the sum's. */
static void strip(const struct summing *s, size_t at, size_t count, uint32_t *numbers, float *mean)
{
    double unit = s->round->bound / COHORT_VALUES / (double)s->sum->survivors;
    for (size_t i = 0; i < s->masks.count; i++)
        mask_apply_from(s->masks.masks[i].key, s->masks.masks[i].add, at, numbers, count);
    for (size_t k = 0; k < count; k++)
        mean[k] = (float)(mask_lift(numbers[k], s->bits) * unit);
}

static enum status sum_piece(struct summing *s, size_t at, size_t count, struct hasher *hasher, double *squares,
                             struct buf *room, struct error *err)
{
    uint32_t *numbers = (uint32_t *)room->data, *one = numbers + PIECE;
    float *mean = (float *)one;
    uint32_t mask = s->bits == 32 ? UINT32_MAX : (UINT32_C(1) << s->bits) - 1;
    TRY(add_vectors(s, at, count, numbers, one, (uint8_t *)(one + PIECE), err));
    for (size_t k = 0; k < count; k++)
        numbers[k] &= mask;
    hasher_add(hasher, numbers, count * sizeof *numbers);
    strip(s, at, count, numbers, mean);
    for (size_t k = 0; k < count; k++)
        *squares += (double)mean[k] * (double)mean[k];
    return pwrite_full(s->out, mean, count * sizeof *mean, (int64_t)(at * sizeof *mean), err);
}

/* Nobody proves its norm in this mode: what a cohort's mean has too much of it, is taken from it. Not where there is noise in it, whose norm
 * is larger. */
static enum status clip(const struct summing *s, struct buf *room, struct error *err)
{
    float *mean = (float *)room->data;
    double factor = s->round->bound / s->sum->norm;
    size_t width = (size_t)s->round->width;
    for (size_t at = 0, count; s->round->noise <= 0 && factor < 1 && at < width; at += count) {
        count = width - at < PIECE ? width - at : PIECE;
        TRY(pread_full(s->out, mean, count * sizeof *mean, (int64_t)(at * sizeof *mean), err));
        for (size_t k = 0; k < count; k++)
            mean[k] = (float)(mean[k] * factor);
        TRY(pwrite_full(s->out, mean, count * sizeof *mean, (int64_t)(at * sizeof *mean), err));
    }
    return OK;
}

static enum status sum_all(struct summing *s, struct error *err)
{
    auto_buf struct buf room = {0};
    struct hasher *hasher = hasher_sha256();
    size_t width = (size_t)s->round->width;
    double squares = 0;
    enum status status = OK;
    buf_reserve(&room, 3 * PIECE * sizeof(uint32_t));
    for (size_t at = 0, count; status == OK && at < width; at += count) {
        count = width - at < PIECE ? width - at : PIECE;
        status = sum_piece(s, at, count, hasher, &squares, &room, err);
    }
    hasher_end(hasher, s->sum->masked);
    hasher_free(hasher);
    s->sum->norm = sqrt(squares);
    return status == OK ? clip(s, &room, err) : status;
}

static enum status open_vectors(struct summing *s, struct error *err)
{
    char path[4096];
    for (size_t i = 0; i < s->graph.size; i++) {
        if (!cohort_listed(s->cohort->survivors, i))
            continue;
        masked_path(s->c->hub->federate, &s->c->run, s->members[i].account_id, path);
        s->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (s->fds[i] < 0)
            return fail(err, UNPROCESSABLE, NULL, "A vector is not there any more.");
        s->sum->survivors++;
    }
    return OK;
}

static enum status find_masks(struct summing *s, const struct cohort_draw *draw, const struct cohort_member *keys,
                              struct error *err)
{
    struct arena *arena = s->c->arena;
    size_t size = s->graph.size, begin = cohort_begin(draw, s->cohort->number);
    struct cohort_member *members = arena_array(arena, size, sizeof *members);
    struct str *commitments = arena_array(arena, size, sizeof *commitments),
               *answers = arena_array(arena, size, sizeof *answers);
    uint8_t *secrets = arena_array(arena, size, COHORT_SECRET_SIZE);
    for (size_t i = 0; i < size; i++) {
        members[i] = keys[draw->order[begin + i]];
        commitments[i] = str_slice(s->members[i].dealing, 0, SHA256_SIZE);
        answers[i] = s->members[i].answer;
    }
    const struct cohort_end end = {.graph = &s->graph,
                                   .members = members,
                                   .context = draw->context,
                                   .dealt = s->cohort->dealt,
                                   .survivors = s->cohort->survivors,
                                   .commitments = commitments,
                                   .answers = answers};
    TRY(cohort_recover(&end, secrets, err));
    return cohort_masks(&end, secrets, arena, &s->masks, err);
}

/* The mean of one cohort as a file. UNPROCESSABLE when it cannot be unmasked. */
static enum status sum_cohort(struct closing *c, const struct cohort_round *round, const struct cohort_draw *draw,
                              const struct cohort_member *keys, const struct cohort_row *cohort,
                              const struct member_row *members, struct cohort_sum *sum, int *out, struct error *err)
{
    size_t size = cohort_begin(draw, cohort->number + 1) - cohort_begin(draw, cohort->number);
    struct summing s = {.c = c,
                        .round = round,
                        .graph = cohort_graph(size),
                        .members = members,
                        .cohort = cohort,
                        .sum = sum,
                        .bits = cohort_bits(round, size)};
    *sum = (struct cohort_sum){.size = size, .degree = s.graph.degree, .threshold = s.graph.threshold};
    memset(s.fds, -1, sizeof s.fds);
    TRY(store_scratch(c->hub->store, out, err));
    s.out = *out;
    enum status status = find_masks(&s, draw, keys, err);
    if (status == OK)
        status = open_vectors(&s, err);
    if (status == OK)
        status = sum_all(&s, err);
    for (size_t i = 0; i < size; i++)
        fd_close(&s.fds[i]);
    return status;
}

struct giving_up {
    const struct run *run;
    size_t cohort;
};

static enum status give_up(struct db_conn *tx, void *context, struct error *err)
{
    const struct giving_up *which = context;
    return attempt_give_up(tx, which->run, which->cohort, err);
}

/* What is read of the database. */
struct loaded {
    struct attempt attempt;
    struct cohort_draw draw;
    struct cohort_member *keys;
    struct cohort_row *cohorts;
    struct member_row **members; /* by cohort */
    size_t count;
};

static enum status load(struct closing *c, struct loaded *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    size_t size;
    bool found;
    TRY(db_reader(c->hub->db, &conn, err));
    TRY(attempt_find(conn, c->arena, &c->run, &out->attempt, &found, err));
    if (!found)
        return fail(err, CORRUPT, NULL, "A frozen round of mode one-house has no attempt.");
    TRY(attempt_draw(conn, c->arena, &c->run, &out->attempt, &out->draw, &out->keys, err));
    TRY(cohort_rows(conn, c->arena, c->run.id, &out->cohorts, &out->count, err));
    out->members = arena_array(c->arena, out->count, sizeof *out->members);
    for (size_t i = 0; i < out->count; i++)
        TRY(member_rows(conn, c->arena, c->run.id, i, MEMBERS_WHOLE, &out->members[i], &size, err));
    return OK;
}

/* The row of a cohort is that of its survivors. */
static void place_survivors(struct closing *c, const struct cohort_row *cohort, const struct member_row *members,
                            size_t size, size_t row)
{
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; cohort_listed(cohort->survivors, i) && k < c->count; k++)
            if (c->updates[k].account_id == members[i].account_id)
                c->rows.row_of[k] = row;
}

static enum status gather(struct closing *c, struct error *err)
{
    struct loaded from;
    struct cohort_round round;
    size_t row = 0;
    TRY(load(c, &from, err));
    attempt_describe(&c->run, &from.attempt, c->arena, &round);
    rows_make(&c->rows, c->arena, from.count);
    struct sums *sums = arena_alloc(c->arena, sizeof *sums);
    *sums =
        (struct sums){.attempt = from.attempt.number, .items = arena_array(c->arena, from.count, sizeof *sums->items)};
    c->rows.are_changes = true;
    c->rows.row_of = arena_array(c->arena, c->count, sizeof *c->rows.row_of);
    c->rows.too_long = arena_array(c->arena, from.count, sizeof *c->rows.too_long);
    c->kept = sums;
    for (size_t i = 0; i < from.count; i++) {
        if (from.cohorts[i].stage != STAGE_DONE)
            continue;
        enum status status = sum_cohort(c, &round, &from.draw, from.keys, &from.cohorts[i], from.members[i],
                                        &sums->items[row], &c->rows.fds[row], err);
        if (status == UNPROCESSABLE) {
            struct giving_up which = {&c->run, i};
            struct error why = *err;
            TRY(db_write(c->hub->db, give_up, &which, err));
            return fail(err, UNAVAILABLE, NULL, "Cohort %zu is given up. %s", i, why.message);
        }
        TRY(status);
        c->rows.weights[row] = (double)sums->items[row].survivors;
        c->rows.too_long[row] = round.noise <= 0 && sums->items[row].norm > round.bound * BOUND_SLACK;
        place_survivors(c, &from.cohorts[i], from.members[i], sums->items[row].size, row);
        row++;
    }
    c->rows.count = sums->count = row;
    return OK;
}

static void record(const struct closing *c, struct json_writer *w)
{
    const struct sums *sums = c->kept;
    char norm[40];
    jw_key_int(w, "attempt", sums->attempt);
    jw_key(w, "cohorts");
    jw_array(w);
    for (size_t i = 0; i < sums->count; i++) {
        const struct cohort_sum *sum = &sums->items[i];
        jw_object(w);
        jw_key_int(w, "members", (int64_t)sum->size);
        jw_key_int(w, "neighbours", (int64_t)sum->degree);
        jw_key_int(w, "threshold", (int64_t)sum->threshold);
        jw_key_int(w, "survivors", (int64_t)sum->survivors);
        jw_key_hex(w, "maskedSum", sum->masked, SHA256_SIZE);
        snprintf(norm, sizeof norm, "%.9g", sum->norm);
        jw_key(w, "norm");
        jw_raw(w, str_of(norm));
        jw_end(w);
    }
    jw_end(w);
}

/* What comes by PUT …/federate/update is a masked vector, which POST …/federate/cohort speaks of. */
static enum status accept(struct request *rq, const struct run *run, int fd, const json_t *body, struct update *out,
                          struct error *err)
{
    (void)rq, (void)run, (void)fd, (void)body, (void)out;
    return fail(err, CONFLICT, "OtherMode", "In the mode one-house no update is sent by itself.");
}

const struct mode one_house_mode = {.name = {"one-house", 9},
                                    .check = check,
                                    .tell = tell,
                                    .gather = gather,
                                    .record = record,
                                    .accept = accept,
                                    .removed = attempt_leave};

/* The job. */

static const char waiting_sql[] =
    "SELECT r.id FROM federate_run r WHERE r.state = 1 AND r.frozen_us = 0 AND r.id > ? AND "
    "(EXISTS (SELECT 1 FROM federate_attempt a WHERE a.run_id = r.id AND a.drawn = 0 AND "
    "a.due_us <> 0 AND a.due_us <= ?) OR EXISTS (SELECT 1 FROM federate_cohort c WHERE "
    "c.run_id = r.id AND c.stage < 5 AND c.due_us <= ?)) ORDER BY r.id LIMIT 1";

static enum status next_waiting(struct db *db, int64_t after, int64_t *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, waiting_sql, &row, err));
    stmt_bind_int(row, 1, after);
    stmt_bind_int(row, 2, now_us());
    stmt_bind_int(row, 3, now_us());
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status advance(struct db_conn *tx, void *context, struct error *err)
{
    return attempt_advance(tx, *(const int64_t *)context, err);
}

enum status cohorts_job(struct hub *hub, struct error *err)
{
    for (int64_t id = 0; !hub->stopping;) {
        TRY(next_waiting(hub->db, id, &id, err));
        if (id == 0)
            return OK;
        TRY(db_write(hub->db, advance, &id, err));
    }
    return OK;
}
