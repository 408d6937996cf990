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
        "fedadagrad, fedadam and fedyogi, may be added.",
        STR_ARG(str_slice(piece, 0, 64)), (int)list.len - 2, list.data);
}

/* A piece of a rule: a name, and a number behind a colon. */
static enum status read_piece(struct str piece, struct settings *out, bool *has_rule, struct error *err)
{
    struct str rest = piece, name;
    int64_t number = -1;
    char text[64];
    str_cut(&rest, ':', &name);
    if (str_given(rest) && (!str_to_i64(rest, &number) || number > PARTICIPANTS_MOST))
        return unknown_rule(piece, err);
    if (name.len >= sizeof text)
        return unknown_rule(piece, err);
    for (size_t i = 0; i < name.len; i++)
        text[i] = name.data[i] == '_'                          ? '-'
                  : name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] + 32)
                                                               : name.data[i];
    text[name.len] = '\0';
    if (strcmp(text, "nnm") == 0 && number < 0) {
        out->how.mix = true;
        return OK;
    }
    if (strcmp(text, "bucketing") == 0 && number > 0) {
        out->how.bucket = (size_t)number;
        return OK;
    }
    if (strcmp(text, "fedprox") == 0 && number < 0) {
        out->mu = FEDPROX_MU;
        return OK;
    }
    if (number < 0 && out->optimiser.kind == OPTIMISER_FEDAVG && optimiser_find(text, &out->optimiser))
        return OK;
    if (*has_rule || !robust_rule_find(text, &out->how.rule))
        return unknown_rule(piece, err);
    *has_rule = true;
    out->has_suspects = number >= 0;
    out->how.suspects = number >= 0 ? (size_t)number : 0;
    return OK;
}

static enum status read_rule(struct str rule, struct settings *out, struct error *err)
{
    struct str rest = rule, piece;
    bool has_rule = false;
    out->rule = rule;
    optimiser_find("fedavg", &out->optimiser);
    /* In real use the geometric median goes on until it hardly moves (federated 3.3). */
    out->how = (struct robust_how){.rule = ROBUST_MEAN, .nu = 1e-6, .steps = 8};
    if (rule.len > RULE_MOST)
        return unknown_rule(rule, err);
    if (rest.len == 0)
        return unknown_rule(rule, err);
    while (str_cut(&rest, '+', &piece))
        TRY(read_piece(piece, out, &has_rule, err));
    return OK; /* an optimiser alone has the mean to go by */
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
    static const char *const members[] = {"mode",  "rounds", "minParticipants", "rule",       "bound", "graceSeconds",
                                          "noise", "delta",  "budget",          "serverRate", "mu",    NULL};
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
static enum status check_rule(const struct settings *settings, struct error *err)
{
    size_t count = (size_t)settings->min_participants;
    const struct robust_how how = settings_how(settings, count);
    size_t lines = how.bucket ? (count + how.bucket - 1) / how.bucket : count;
    size_t least = how.rule == ROBUST_BULYAN ? 4 * how.suspects + 3 : 2 * how.suspects + 1;
    if (lines >= least)
        return OK;
    return fail(
        err, INVALID, NULL,
        "The rule %.*s with %zu suspects takes %zu updates%s, and a round may have %zu: ask for more participants.",
        STR_ARG(settings->rule), how.suspects, least, how.bucket ? " after bucketing" : "", lines);
}

static const struct mode *const modes[] = {&plain_mode, NULL};

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
    TRY(check_rule(out, err));
    if (out->how.rule == ROBUST_CENTRED_CLIPPING && out->bound <= 0)
        return fail(err, INVALID, NULL, "The rule centred-clipping needs a bound.");
    out->how.radius = out->bound;
    TRY(check_budget(out, err));
    return out->mode->check(out, err);
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
    if (settings->noise > 0) {
        write_real(w, "noise", settings->noise);
        write_real(w, "delta", settings->delta);
    }
    if (settings->budget > 0)
        write_real(w, "budget", settings->budget);
    jw_key_int(w, "graceSeconds", settings->grace_us / SECOND_US);
}

double settings_epsilon(const struct settings *settings, int64_t rounds)
{
    return rdp_epsilon(1, settings->noise, (double)rounds, settings->delta);
}

/* A fifth, and one at least, as far as the rule can withstand them among so few. */
struct robust_how settings_how(const struct settings *settings, size_t count)
{
    struct robust_how how = settings->how;
    size_t lines = how.bucket ? (count + how.bucket - 1) / how.bucket : count;
    size_t most = how.rule == ROBUST_BULYAN ? (lines >= 3 ? (lines - 3) / 4 : 0) : (lines - 1) / 2;
    if (!settings->has_suspects) {
        how.suspects = lines / 5 ? lines / 5 : 1;
        if (how.suspects > most)
            how.suspects = most;
    }
    return how;
}
