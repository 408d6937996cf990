/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The judge of a race: fetches each candidate, and says how good it is on data that nobody trains with. */
#include "base/text.h"
#include "base/time.h"
#include "train/internal.h"
#include <math.h>
#include <stdio.h>

struct judging {
    struct cairn_federate *part;
    cairn_judge judge;
    void *context;
    const json_t *told;
    int64_t round;
};

static enum status download(const struct judging *of, size_t number, struct buf *out, struct error *err)
{
    char path[128];
    size_t before;
    do {
        before = out->len;
        snprintf(path, sizeof path, "/candidate?round=%lld&number=%zu&offset=%zu", (long long)of->round, number,
                 out->len);
        TRY(ask_piece(of->part, path, out, err));
    } while (out->len > before);
    return OK;
}

static enum status write_score(const struct cairn_score *score, struct json_writer *w, struct error *err)
{
    auto_json json_t *metrics = NULL;
    auto_buf struct buf text = {0};
    if (score->metrics &&
        (json_read(str_of(score->metrics), METRICS_LIMIT, &metrics, NULL) != OK || !json_is_object(metrics)))
        return fail(err, INVALID, NULL, "The metrics of a score must be a JSON object.");
    if (!metrics)
        metrics = json_object();
    json_object_set_new(metrics, "loss", isfinite(score->loss) ? json_real(score->loss) : json_null());
    json_dump(metrics, &text);
    jw_raw(w, buf_view(&text));
    return OK;
}

static enum status judge_one(const struct judging *of, size_t number, struct json_writer *w, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf config = {0};
    struct model model = {0};
    struct cairn_score score = {.loss = NAN};
    json_object_set_new((json_t *)of->told, "number", json_integer((json_int_t)number));
    json_dump(of->told, &config);
    buf_byte(&config, '\0');
    enum status status = download(of, number, &model.bytes, err);
    if (status == OK)
        status = model_read(&model, &arena, false, err);
    if (status == OK && of->judge(of->context, config.data, model.tensors, model.list.count, &score) != 0) {
        of->part->given_up = true;
        status = fail(err, INVALID, NULL, "Judging was given up.");
    }
    if (status == OK)
        status = write_score(&score, w, err);
    model_free(&model);
    return status;
}

static enum status judge_all(const struct judging *of, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    size_t count = json_array_size(json_object_get(of->told, "candidates"));
    jw_object(&w);
    jw_key_int(&w, "round", of->round);
    jw_key(&w, "scores");
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        tell(of->part, "Round %lld: judging candidate %zu of %zu", (long long)of->round, i + 1, count);
        TRY(judge_one(of, i, &w, err));
    }
    jw_end(&w);
    jw_end(&w);
    return ask(of->part, "POST", "/scores", STR("application/json"), buf_view(&body), NULL, err);
}

static enum status step(struct judging *of, char run[64], bool *over, struct error *err)
{
    auto_json json_t *told = NULL;
    TRY(ask_for_run(of->part, "GET", "/candidates", &told, err));
    struct str now = json_get_str(told, "run"), state = json_get_str(told, "state");
    if (!run[0])
        snprintf(run, 64, "%.*s", STR_ARG(now));
    *over = !str_eq(now, str_of(run)) || str_eq(state, STR("finished"));
    if (*over)
        return OK;
    if (!str_eq(state, STR("open")))
        return fail(err, CONFLICT, NULL, "The training was stopped. %.*s", STR_ARG(json_get_str(told, "why")));
    if (!json_get_bool(told, "judging", false)) {
        doze(SECOND_US / 5);
        return OK;
    }
    of->told = told;
    of->round = json_get_int(told, "round", 0);
    enum status status = judge_all(of, err);
    /* Too late, or another judge was faster, or the answer to the scores was lost. */
    return status == CONFLICT && error_is(err, "NotJudging") ? OK : status;
}

int cairn_federate_judge(struct cairn_federate *part, cairn_judge judge, void *context)
{
    struct judging of = {.part = part, .judge = judge, .context = context};
    char run[64] = "";
    bool over = false;
    enum status status = part_begin(part, &part->err);
    if (status != OK)
        return CAIRN_TRAIN_MISUSED;
    while (status == OK && !over)
        status = step(&of, run, &over, &part->err);
    return part_end(part, status);
}
