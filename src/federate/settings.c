/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/internal.h"
#include "privacy/rdp.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define RULE_MOST 200
#define GRACE_SECONDS 10
#define DAY_SECONDS 86400
#define DELTA 1e-5
/* None is best against all attacks (federated 1.4 c). */
#define RACE "mean,trimmed-mean,nnm+trimmed-mean,geometric-median"
#define JUDGE_SECONDS 600
#define FEDPROX_MU 0.01
#define NOISE_LEAST 0.1 /* with less, an update has more steps of the noise's grid than a float32 can count (close.c) */
#define NOISE_MOST 1000

static enum status unknown_rule(struct str piece, struct error *err)
{
    auto_buf struct buf list = {0};
    for (int i = 0; i < ROBUST_RULES; i++)
        buf_printf(&list, "%s, ", robust_rule_name((enum robust_rule)i));
    return fail(
        err, INVALID, NULL,
        "\"%.*s\" is no rule: a rule is one of [%.*s], with nnm+ or bucketing:SIZE+ in front of it where wanted, and "
        "behind it the number of suspects, as in nnm+trimmed-mean:2; fedprox, and one of the optimisers fedavg, "
        "fedavgm, "
        "fedadagrad, fedadam and fedyogi, may be added, and fedbuff or scaffold; race:RULE,RULE lets several run.",
        STR_ARG(str_slice(piece, 0, 64)), (int)list.len - 2, list.data);
}

/* A rule as it is read: of a race the candidate that is read now. */
struct reading {
    struct settings *out;
    bool has_rule;
};

/* In small letters, with hyphens. False: it is longer than any name. */
static bool read_name(struct str name, char text[64])
{
    if (name.len >= 64)
        return false;
    for (size_t i = 0; i < name.len; i++)
        text[i] = name.data[i] == '_'                          ? '-'
                  : name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] + 32)
                                                               : name.data[i];
    text[name.len] = '\0';
    return true;
}

/* Pieces that say more of a training than by which rule updates become one. */
static bool read_protocol(const char *text, struct settings *out)
{
    if (strcmp(text, "fedprox") == 0)
        out->mu = FEDPROX_MU;
    else if (strcmp(text, "scaffold") == 0)
        out->scaffold = true;
    else if (strcmp(text, "fedbuff") == 0)
        out->buffers = true;
    else
        return out->optimiser.kind == OPTIMISER_FEDAVG && optimiser_find(text, &out->optimiser);
    return true;
}

/* A piece of a rule: a name, and a number behind a colon. */
static enum status read_piece(struct reading *reading, struct str piece, struct error *err)
{
    struct settings *out = reading->out;
    struct str rest = piece, name;
    int64_t number = -1;
    char text[64];
    str_cut(&rest, ':', &name);
    if (str_given(rest) && (!str_to_i64(rest, &number) || number > PARTICIPANTS_MOST))
        return unknown_rule(piece, err);
    if (!read_name(name, text))
        return unknown_rule(piece, err);
    if (strcmp(text, "nnm") == 0 && number < 0) {
        out->how.mix = true;
        return OK;
    }
    if (strcmp(text, "bucketing") == 0 && number > 0) {
        out->how.bucket = (size_t)number;
        return OK;
    }
    if (number < 0 && read_protocol(text, out))
        return OK;
    if (reading->has_rule || !robust_rule_find(text, &out->how.rule))
        return unknown_rule(piece, err);
    reading->has_rule = true;
    out->has_suspects = number >= 0;
    out->how.suspects = number >= 0 ? (size_t)number : 0;
    return OK;
}

static enum status read_pieces(struct str text, struct settings *out, struct error *err)
{
    struct reading reading = {.out = out};
    struct str piece;
    /* In real use the geometric median goes on until it hardly moves (federated 3.3). */
    out->how = (struct robust_how){.rule = ROBUST_MEAN, .nu = 1e-6, .steps = 8};
    out->has_suspects = false;
    if (text.len == 0)
        return unknown_rule(text, err);
    while (str_cut(&text, '+', &piece))
        TRY(read_piece(&reading, piece, err));
    return OK; /* an optimiser alone has the mean to go by */
}

/* "mean,nnm+trimmed-mean": what is said of optimisers and the like, in any of them, holds for all. */
static enum status read_candidates(struct str list, struct settings *out, struct error *err)
{
    struct str one;
    while (str_cut(&list, ',', &one)) {
        if (out->candidate_count == CANDIDATES_MOST || one.len >= sizeof out->candidates[0].name)
            return fail(err, INVALID, NULL, "A race has at most %d candidates, each written in less than %zu bytes.",
                        CANDIDATES_MOST, sizeof out->candidates[0].name);
        struct candidate *candidate = &out->candidates[out->candidate_count++];
        TRY(read_pieces(one, out, err));
        snprintf(candidate->name, sizeof candidate->name, "%.*s", STR_ARG(one));
        candidate->how = out->how;
        candidate->has_suspects = out->has_suspects;
    }
    if (out->candidate_count < 2)
        return fail(err, INVALID, NULL, "A race needs at least two candidates, as in race:mean,median.");
    out->how = out->candidates[0].how;
    out->has_suspects = out->candidates[0].has_suspects;
    return OK;
}

/* "race", "race+fedadam", or "race:" and a list. */
static enum status read_race(struct str rest, struct settings *out, struct error *err)
{
    struct settings more = *out;
    if (str_starts(rest, STR(":")))
        return read_candidates(str_from(rest, 1), out, err);
    TRY(read_candidates(STR(RACE), out, err));
    if (rest.len == 0)
        return OK;
    TRY(read_pieces(str_from(rest, 1), &more, err));
    if (more.how.rule != ROBUST_MEAN || more.has_suspects || more.how.mix || more.how.bucket)
        return unknown_rule(rest, err);
    out->mu = more.mu;
    out->scaffold = more.scaffold;
    out->buffers = more.buffers;
    out->optimiser = more.optimiser;
    return OK;
}

static enum status read_rule(struct str rule, struct settings *out, struct error *err)
{
    struct str rest = str_from(rule, rule.len < 4 ? rule.len : 4);
    out->rule = rule;
    optimiser_find("fedavg", &out->optimiser);
    if (rule.len > RULE_MOST)
        return unknown_rule(rule, err);
    if (str_starts(rule, STR("race")) && (rest.len == 0 || rest.data[0] == ':' || rest.data[0] == '+'))
        return read_race(rest, out, err);
    return read_pieces(rule, out, err);
}

static enum status read_count(const json_t *body, const char *name, int64_t otherwise, int64_t least, int64_t most,
                              int64_t *out, struct error *err)
{
    const json_t *value = json_object_get(body, name);
    *out = value ? json_get_int(body, name, -1) : otherwise;
    if (*out < least || *out > most)
        return fail(err, INVALID, NULL, "\"%s\" must be a whole number from %lld to %lld.", name, (long long)least,
                    (long long)most);
    return OK;
}

static enum status check_members(const json_t *body, struct error *err)
{
    static const char *const members[] = {
        "mode",  "rounds",       "minParticipants", "rule",       "bound",        "graceSeconds",
        "noise", "delta",        "budget",          "serverRate", "mu",           "controlBound",
        "judge", "judgeSeconds", "house",           "suspicion",  "mostExamples", NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        size_t i = 0;
        while (members[i] && strcmp(members[i], key) != 0)
            i++;
        if (!members[i])
            return fail(err, INVALID, NULL, "The body has a member \"%.64s\" that this address does not know.", key);
    }
    return OK;
}

/* A number above 0; otherwise where it is not there. */
static enum status read_real(const json_t *body, const char *name, double otherwise, double least, double most,
                             double *out, struct error *err)
{
    const json_t *value = json_object_get(body, name);
    bool given = value && !json_is_null(value);
    *out = otherwise;
    if (given)
        *out = json_is_number(value) ? json_number_value(value) : NAN;
    if (given && !(*out >= least && *out <= most))
        return fail(err, INVALID, NULL, "\"%s\" must be a number from %g to %g.", name, least, most);
    return OK;
}

static enum status check_budget(const struct settings *settings, struct error *err)
{
    if (settings->budget <= 0)
        return OK;
    if (settings->noise <= 0)
        return fail(err, INVALID, NULL, "A \"budget\" of privacy needs \"noise\".");
    if (settings_epsilon(settings, 1) > settings->budget)
        return fail(err, INVALID, NULL,
                    "One round with this noise takes epsilon %.4g, which is more than the budget of %.4g.",
                    settings_epsilon(settings, 1), settings->budget);
    return OK;
}

/* With as many updates as a round has at least, the rule must be able to do its work. */
enum status settings_check_rule(const struct settings *settings, size_t candidate, size_t count, struct error *err)
{
    const struct robust_how how = settings_how_of(settings, candidate, count);
    size_t lines = how.bucket ? (count + how.bucket - 1) / how.bucket : count;
    size_t least = how.rule == ROBUST_BULYAN ? 4 * how.suspects + 3 : 2 * how.suspects + 1;
    if (how.rule == ROBUST_CENTRED_CLIPPING && settings->bound <= 0)
        return fail(err, INVALID, NULL, "The rule centred-clipping needs a bound.");
    if (lines >= least)
        return OK;
    return fail(
        err, INVALID, NULL,
        "The rule %.*s with %zu suspects takes %zu updates%s, and a round may have %zu: ask for more participants.",
        STR_ARG(settings->rule), how.suspects, least, how.bucket ? " after bucketing" : "", lines);
}

enum status settings_check_groups(const struct settings *settings, size_t groups, struct error *err)
{
    if (settings->suspicion <= 0 || groups >= GROUPS_LEAST)
        return OK;
    return fail(
        err, INVALID, NULL,
        "\"suspicion\" compares sums, of %d groups at least, and a round of %lld participants has %zu by the rule "
        "%.*s: ask for more participants, or for smaller groups by bucketing:SIZE+ before the rule.",
        GROUPS_LEAST, (long long)settings->min_participants, groups, STR_ARG(settings->rule));
}

/* Who judges is named by name when a run is opened, and by number from then on. */
static enum status read_judge(const json_t *body, struct settings *out, struct error *err)
{
    const json_t *judge = json_object_get(body, "judge");
    int64_t seconds;
    bool is_race = out->candidate_count > 0;
    TRY(read_count(body, "judgeSeconds", JUDGE_SECONDS, 1, 30 * DAY_SECONDS, &seconds, err));
    out->judge_us = seconds * SECOND_US;
    if (!is_race && (judge || json_object_get(body, "judgeSeconds")))
        return fail(err, INVALID, NULL, "A judge is needed for a race alone: --rule race.");
    if (json_is_integer(judge))
        out->judge_id = json_integer_value(judge);
    else if (judge && !json_is_null(judge))
        out->judge = json_get_str(body, "judge");
    if (judge && !json_is_null(judge) && out->judge_id <= 0 && out->judge.len == 0)
        return fail(err, INVALID, NULL, "\"judge\" is the name of an account.");
    return OK;
}

/* What more than the rule changes: when updates come, and what is in them. */
static enum status check_protocol(const json_t *body, struct settings *settings, struct error *err)
{
    if ((settings->buffers || settings->scaffold) && !settings->mode->sees_updates)
        return fail(err, INVALID, NULL, "fedbuff and scaffold need a mode in which the hub sees each update: plain.");
    if (settings->most_examples > 0 && !settings->mode->sees_updates)
        return fail(err, INVALID, NULL,
                    "\"mostExamples\" goes with the mode plain alone: in the others each update weighs the same.");
    if (settings->scaffold && (settings->buffers || settings->noise > 0 || settings->candidate_count))
        return fail(err, INVALID, NULL, "scaffold goes with neither fedbuff, nor noise, nor a race.");
    if (!settings->scaffold && json_object_get(body, "controlBound"))
        return fail(err, INVALID, NULL, "A \"controlBound\" needs the rule scaffold.");
    return read_real(body, "controlBound", settings->scaffold ? settings->bound : 0, 1e-12, 1e30,
                     &settings->control_bound, err);
}

static const struct mode *const modes[] = {&plain_mode, &two_houses_mode, &one_house_mode, NULL};

static enum status read_mode(struct str name, struct settings *out, struct error *err)
{
    auto_buf struct buf list = {0};
    for (size_t i = 0; modes[i]; i++) {
        if (str_eq(name, modes[i]->name)) {
            out->mode = modes[i];
            return OK;
        }
        buf_printf(&list, "%s%.*s", i ? ", " : "", STR_ARG(modes[i]->name));
    }
    return fail(err, INVALID, NULL, "\"mode\" must be one of [%.*s].", (int)list.len, list.data);
}

enum status settings_read(const json_t *body, struct settings *out, struct error *err)
{
    struct str rule = json_get_str(body, "rule"), mode = json_get_str(body, "mode");
    int64_t grace;
    *out = (struct settings){0};
    TRY(check_members(body, err));
    TRY(read_mode(mode, out, err));
    TRY(read_count(body, "rounds", -1, 1, ROUNDS_MOST, &out->rounds, err));
    TRY(read_count(body, "minParticipants", -1, 1, PARTICIPANTS_MOST, &out->min_participants, err));
    TRY(read_count(body, "graceSeconds", GRACE_SECONDS, 0, 30 * DAY_SECONDS, &grace, err));
    out->grace_us = grace * SECOND_US;
    TRY(read_real(body, "bound", 0, 1e-12, 1e30, &out->bound, err));
    TRY(read_real(body, "noise", 0, NOISE_LEAST, NOISE_MOST, &out->noise, err));
    TRY(read_real(body, "delta", DELTA, 1e-30, 0.1, &out->delta, err));
    TRY(read_real(body, "budget", 0, 1e-6, 1e6, &out->budget, err));
    TRY(read_rule(str_given(rule) ? rule : STR("mean"), out, err));
    TRY(read_real(body, "serverRate", out->optimiser.rate, 1e-9, 1e3, &out->optimiser.rate, err));
    TRY(read_real(body, "mu", out->mu, 1e-9, 1e3, &out->mu, err));
    for (size_t i = 0; i == 0 || i < out->candidate_count; i++)
        TRY(settings_check_rule(out, i, (size_t)out->min_participants, err));
    TRY(read_judge(body, out, err));
    TRY(read_real(body, "suspicion", 0, 1, 100, &out->suspicion, err));
    TRY(read_count(body, "mostExamples", 0, 0, EXAMPLES_MOST, &out->most_examples, err));
    TRY(check_protocol(body, out, err));
    out->house = json_get_str(body, "house");
    TRY(out->mode->check(out, err));
    return check_budget(out, err);
}

static void write_real(struct json_writer *w, const char *name, double value)
{
    char number[40];
    snprintf(number, sizeof number, "%.17g", value);
    jw_key(w, name);
    jw_raw(w, str_of(number));
}

void settings_write(const struct settings *settings, struct json_writer *w)
{
    jw_key_str(w, "mode", settings->mode->name);
    jw_key_int(w, "rounds", settings->rounds);
    jw_key_int(w, "minParticipants", settings->min_participants);
    jw_key_str(w, "rule", settings->rule);
    if (settings->bound > 0)
        write_real(w, "bound", settings->bound);
    write_real(w, "serverRate", settings->optimiser.rate);
    if (settings->mu > 0)
        write_real(w, "mu", settings->mu);
    if (settings->suspicion > 0)
        write_real(w, "suspicion", settings->suspicion);
    if (settings->most_examples > 0)
        jw_key_int(w, "mostExamples", settings->most_examples);
    if (settings->judge_id)
        jw_key_int(w, "judge", settings->judge_id);
    if (settings->candidate_count)
        jw_key_int(w, "judgeSeconds", settings->judge_us / SECOND_US);
    if (settings->control_bound > 0)
        write_real(w, "controlBound", settings->control_bound);
    if (settings->noise > 0) {
        write_real(w, "noise", settings->noise);
        write_real(w, "delta", settings->delta);
    }
    if (settings->budget > 0)
        write_real(w, "budget", settings->budget);
    if (str_given(settings->house))
        jw_key_str(w, "house", settings->house);
    jw_key_int(w, "graceSeconds", settings->grace_us / SECOND_US);
}

double settings_epsilon(const struct settings *settings, int64_t rounds)
{
    return rdp_epsilon(1, settings->noise, (double)rounds, settings->delta);
}

/* A fifth, and one at least, as far as the rule can withstand them among so few. */
struct robust_how settings_how_of(const struct settings *settings, size_t candidate, size_t count)
{
    const struct candidate *one = settings->candidate_count ? &settings->candidates[candidate] : NULL;
    struct robust_how how = one ? one->how : settings->how;
    size_t lines = how.bucket ? (count + how.bucket - 1) / how.bucket : count;
    size_t most = how.rule == ROBUST_BULYAN ? (lines >= 3 ? (lines - 3) / 4 : 0) : (lines - 1) / 2;
    how.radius = settings->bound;
    if (!(one ? one->has_suspects : settings->has_suspects)) {
        how.suspects = lines / 5 ? lines / 5 : 1;
        if (how.suspects > most)
            how.suspects = most;
    }
    return how;
}

struct robust_how settings_how(const struct settings *settings, size_t count)
{
    return settings_how_of(settings, 0, count);
}
