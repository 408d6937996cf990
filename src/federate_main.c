/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate_main.h"
#include "base/json.h"
#include "base/text.h"
#include "fetch/fetch.h"
#include "options.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_LIMIT (1 << 20)

static const char help[] =
    "cairn federate - train a model where the data are\n"
    "\n"
    "  cairn federate open REPO --mode plain|two-houses|one-house --rounds N --min-participants K [--house URL]\n"
    "                 [--rule R] [--server-rate ETA] [--mu MU] [--bound C] [--most-examples N]\n"
    "                 [--noise SIGMA [--delta D] [--budget EPSILON]] [--grace SECONDS]\n"
    "  cairn federate status REPO\n"
    "  cairn federate stop REPO\n"
    "\n"
    "  REPO is \"ns/name\"; its main must hold a model.safetensors. The hub's address is taken "
    "from\n"
    "  CAIRN_URL, your key from CAIRN_TOKEN; opening and stopping take who administers the repo.\n"
    "\n"
    "  --mode plain            the hub sees each update\n"
    "  --mode two-houses       nobody sees one: updates are split between the hub and another operator's house\n"
    "  --house URL             where that one is (cairn house)\n"
    "  --mode one-house        it sees sums of three participants and more alone, who draw back to the bound (10 when "
    "not\n"
    "                          given) themselves\n"
    "  --rounds N              how many models are made, one after the other\n"
    "  --min-participants K    a round waits for the updates of so many\n"
    "  --rule R                what is made of the updates: mean (each weighs as many examples as it was trained "
    "with),\n"
    "                          trimmed-mean, median, meamed, geometric-median, krum, multi-krum, bulyan or\n"
    "                          centred-clipping; with \":F\" behind it for F suspects, and with \"nnm+\" or "
    "\"bucketing:S+\" in\n"
    "                          front of it for mixing or averaging first. mean when not given\n"
    "                          \"+fedadam\" and the like behind it make the hub step by an optimiser: fedavg, "
    "fedavgm,\n"
    "                          fedadagrad, fedadam, fedyogi; \"+fedprox\" tells participants to stay near the model\n"
    "  --server-rate ETA       the optimiser's rate; 1 for fedavg and fedavgm, 0.1 for fedadagrad and fedadam, 0.01 "
    "for\n"
    "                          fedyogi when not given\n"
    "  --mu MU                 of fedprox; 0.01 when not given\n"
    "                          \"+fedbuff\": the first K updates are a round, from whichever models of the last 20 "
    "they "
    "come;\n"
    "                          \"+scaffold\": participants correct for how they differ, and send twice as much\n"
    "                          race:RULE,RULE,... makes a model by each rule, of which a judge picks one; race alone\n"
    "                          takes mean,trimmed-mean,nnm+trimmed-mean,geometric-median\n"
    "  --judge NAME            whose scores decide a race, beside those of who administers the repo\n"
    "  --judge-wait SECONDS    how long they are waited for; then it is the first candidate; 600 when not given\n"
    "  --suspicion H           gathers evidence of who spoils the training, round after round, and proposes whoever it "
    "is more\n"
    "                          than H against, 8 for example, to who administers the repo. Where updates are hidden it "
    "takes three\n"
    "                          buckets or cohorts. None when not given\n"
    "  --control-bound C       of how far the control variate of scaffold may change (L2); the bound when not given\n"
    "  --most-examples N       more than N examples weigh like N in the mean: who says of itself that it has ever so "
    "many "
    "does not\n"
    "                          rule. Mode plain; no limit when not given\n"
    "  --bound C               updates that are farther than C from the model (L2) are rejected; 10 in mode two-houses "
    "when\n"
    "                          not given\n"
    "  --noise SIGMA           adds noise to the sum of the updates: of SIGMA times the bound. Needs a bound and the "
    "rule\n"
    "                          mean, in which each weighs the same then. None when not given\n"
    "  --delta D               for which epsilon is told; 0.00001 when not given\n"
    "  --budget EPSILON        no round is begun that would go beyond it\n"
    "  --grace SECONDS         how long the others are waited for, once K updates have come; 10 when not given\n"
    "\n"
    "status prints one JSON object: state, round, participants, accepted, rejected, epsilon.\n"
    "Exit status 0: done; 1: it cannot be done; 2: the command was not understood.\n";

struct command {
    struct arena *arena;
    const char *url, *token, *repo;
    const char *mode, *rounds, *min_participants, *rule, *bound, *noise, *server_rate, *mu, *control_bound, *judge,
        *judge_wait, *suspicion, *most_examples, *delta, *budget, *grace, *house;
};

static enum status ask(const struct command *command, const char *method, struct str body, struct str *out,
                       struct error *err)
{
    auto_json json_t *failure = NULL;
    struct fetch_answer answer;
    struct str base = str_of(command->url), repo = str_of(command->repo);
    if (str_ends(base, STR("/")))
        base.len--;
    const struct fetch what = {.method = method,
                               .url = arena_printf(command->arena, "%.*s/api/models/%.*s/federate", STR_ARG(base),
                                                   STR_ARG(percent_encode(command->arena, repo, true))),
                               .token = str_of(command->token),
                               .type = str_given(body) ? STR("application/json") : (struct str){0},
                               .body = body,
                               .timeout_ms = 600000};
    TRY(fetch(command->arena, &what, &answer, err));
    *out = answer.body;
    if (answer.status == 200)
        return OK;
    struct str said =
        json_read(answer.body, ANSWER_LIMIT, &failure, NULL) == OK ? json_get_str(failure, "error") : STR("");
    return fail(err, UNAVAILABLE, NULL, "the hub answers %d: %.*s", answer.status, STR_ARG(said));
}

static enum status number(struct json_writer *w, const char *name, const char *key, const char *text, struct error *err)
{
    int64_t value;
    if (!text)
        return OK;
    if (!str_to_i64(str_of(text), &value))
        return fail(err, INVALID, NULL, "--%s takes a whole number, not \"%s\"", name, text);
    jw_key_int(w, key, value);
    return OK;
}

static enum status real(struct json_writer *w, const char *name, const char *key, const char *text, struct error *err)
{
    char *end, exact[40];
    if (!text)
        return OK;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return fail(err, INVALID, NULL, "--%s takes a number, not \"%s\"", name, text);
    snprintf(exact, sizeof exact, "%.17g", value);
    jw_key(w, key);
    jw_raw(w, str_of(exact));
    return OK;
}

static enum status run_open(const struct command *command, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct str answer;
    jw_object(&w);
    if (!command->mode || !command->rounds || !command->min_participants)
        return fail(err, INVALID, NULL, "--mode, --rounds and --min-participants are needed");
    jw_key_str(&w, "mode", str_of(command->mode));
    TRY(number(&w, "rounds", "rounds", command->rounds, err));
    TRY(number(&w, "min-participants", "minParticipants", command->min_participants, err));
    if (command->rule)
        jw_key_str(&w, "rule", str_of(command->rule));
    TRY(real(&w, "bound", "bound", command->bound, err));
    TRY(real(&w, "server-rate", "serverRate", command->server_rate, err));
    TRY(real(&w, "mu", "mu", command->mu, err));
    TRY(real(&w, "control-bound", "controlBound", command->control_bound, err));
    TRY(real(&w, "noise", "noise", command->noise, err));
    TRY(real(&w, "delta", "delta", command->delta, err));
    TRY(real(&w, "budget", "budget", command->budget, err));
    TRY(number(&w, "grace", "graceSeconds", command->grace, err));
    TRY(real(&w, "suspicion", "suspicion", command->suspicion, err));
    TRY(number(&w, "most-examples", "mostExamples", command->most_examples, err));
    if (command->house)
        jw_key_str(&w, "house", str_of(command->house));
    if (command->judge)
        jw_key_str(&w, "judge", str_of(command->judge));
    TRY(number(&w, "judge-wait", "judgeSeconds", command->judge_wait, err));
    jw_end(&w);
    TRY(ask(command, "POST", buf_view(&body), &answer, err));
    printf("%.*s\n", STR_ARG(answer));
    return OK;
}

static enum status run_status(const struct command *command, struct error *err)
{
    struct str answer;
    TRY(ask(command, "GET", (struct str){0}, &answer, err));
    printf("%.*s\n", STR_ARG(answer));
    return OK;
}

static enum status run_stop(const struct command *command, struct error *err)
{
    struct str answer;
    return ask(command, "DELETE", (struct str){0}, &answer, err);
}

static const struct {
    const char *name;
    enum status (*run)(const struct command *command, struct error *err);
} deeds[] = {{"open", run_open}, {"status", run_status}, {"stop", run_stop}};

static enum status run(struct command *command, int argc, char **argv, struct error *err)
{
    const struct option_spec specs[] = {
        {"url", &command->url},
        {"token", &command->token},
        {"mode", &command->mode},
        {"rounds", &command->rounds},
        {"rule", &command->rule},
        {"min-participants", &command->min_participants},
        {"server-rate", &command->server_rate},
        {"mu", &command->mu},
        {"judge", &command->judge},
        {"suspicion", &command->suspicion},
        {"most-examples", &command->most_examples},
        {"judge-wait", &command->judge_wait},
        {"control-bound", &command->control_bound},
        {"noise", &command->noise},
        {"delta", &command->delta},
        {"budget", &command->budget},
        {"bound", &command->bound},
        {"grace", &command->grace},
        {"house", &command->house},
    };
    const char *words[2];
    size_t count;
    TRY(options_read(argc, argv, specs, sizeof specs / sizeof *specs, words, 2, &count, err));
    if (count != 2)
        return fail(err, INVALID, NULL, "say what is to be done, and with which repo");
    if (!command->url)
        return fail(err, INVALID, NULL, "say in CAIRN_URL where the hub is");
    command->repo = words[1];
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
        if (strcmp(words[0], deeds[i].name) == 0)
            return deeds[i].run(command, err);
    return fail(err, INVALID, NULL, "\"%s\" is not something that can be done", words[0]);
}

int federate_main(int argc, char **argv)
{
    auto_arena struct arena arena = {0};
    struct command command = {.arena = &arena};
    struct error err = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    enum status status = run(&command, argc, argv, &err);
    if (status != OK) {
        fprintf(stderr, "cairn federate: %s%s\n", err.message, status == INVALID ? " (see cairn federate --help)" : "");
        return status == INVALID ? 2 : 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
