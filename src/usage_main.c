/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usage_main.h"
#include "base/json.h"
#include "base/text.h"
#include "fetch/fetch.h"
#include "options.h"
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "cairn usage - what you have at a hub, what you use of it, and how to have more\n"
    "\n"
    "  cairn usage --hub URL [--account ORG] [--json]\n"
    "\n"
    "  --hub URL      the hub, such as https://models.example.org; also CAIRN_HUB in the environment\n"
    "  --account ORG  of an organisation that you administer, instead of your own\n"
    "  --json         as GET /api/usage answers\n"
    "\n"
    "Sign in by a token in HF_TOKEN. Exit status 0: told; 1: it cannot be told; 2: the command was not understood.\n";

static bool is_bytes(struct str unit)
{
    return str_starts(unit, STR("bytes.")) || str_eq(unit, STR("verify.bytes"));
}

static void print_number(const json_t *limit, const char *key)
{
    char text[SIZE_TEXT];
    const json_t *value = json_object_get(limit, key);
    size_text(json_integer_value(value), text);
    if (json_is_real(value))
        printf("%.3f", json_real_value(value));
    else if (is_bytes(json_get_str(limit, "unit")))
        printf("%s", text);
    else
        printf("%lld", (long long)json_integer_value(value));
}

static void print_limit(const json_t *limit)
{
    struct str unit = json_get_str(limit, "unit"), refills = json_get_str(limit, "refills");
    int64_t rate = json_get_int(limit, "rate", -1);
    int64_t left = json_get_int(limit, "remaining", -1), reserved = json_get_int(limit, "reserved", 0);
    printf("  %-20.*s", STR_ARG(unit));
    if (rate >= 0) {
        printf(" %lld in %lld seconds", (long long)rate, (long long)json_get_int(limit, "per", 0));
        if (left >= 0)
            printf(", %lld left", (long long)left);
        printf(" (a %.*s)\n", STR_ARG(json_get_str(limit, "scope")));
        return;
    }
    if (str_given(json_get_str(limit, "repos")))
        printf(" in repos %.*s,", STR_ARG(json_get_str(limit, "repos")));
    printf(" ");
    print_number(limit, "used");
    printf(" used");
    if (reserved) {
        printf(", ");
        print_number(limit, "reserved");
        printf(" reserved");
    }
    if (json_object_get(limit, "hard")) {
        printf(" of ");
        print_number(limit, "hard");
    }
    if (refills.len)
        printf(", begins anew %.*s", STR_ARG(refills));
    printf("\n");
}

static void print_way(const json_t *way)
{
    const json_t *rules = json_object_get(way, "rules");
    printf("\nMore: %.*s (%.*s)\n", STR_ARG(json_get_str(way, "name")), STR_ARG(json_get_str(way, "purpose")));
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        bool met = json_get_bool(rule, "met", false);
        printf("  [%s] %.*s", met ? "met" : "not met", STR_ARG(json_get_str(rule, "what")));
        if (!met)
            printf(": %.*s", STR_ARG(json_get_str(rule, "how")));
        printf("\n");
    }
    printf("  apply: POST %.*s\n", STR_ARG(json_get_str(way, "apply")));
}

static void print_usage(const json_t *usage)
{
    const json_t *tier = json_object_get(usage, "tier"), *limits = json_object_get(usage, "limits");
    const json_t *ways = json_object_get(usage, "moveUp"), *archive = json_object_get(usage, "archive");
    struct str state = json_get_str(tier, "state"), until = json_get_str(tier, "until");
    printf("%.*s has the tier %.*s", STR_ARG(json_get_str(usage, "account")), STR_ARG(json_get_str(tier, "name")));
    if (state.len)
        printf(" (%.*s%s%.*s)", STR_ARG(state), until.len ? " until " : "", STR_ARG(until));
    printf("\n");
    if (json_get_bool(archive, "archived", false))
        printf("You keep more than it allows, and your repos are archived: they can be read, not changed.\n");
    else if (archive)
        printf("You keep more than it allows: your repos are archived on %.*s if that stays so.\n",
               STR_ARG(json_get_str(archive, "at")));
    for (size_t i = 0; i < json_array_size(limits); i++)
        print_limit(json_array_get(limits, i));
    for (size_t i = 0; i < json_array_size(ways); i++)
        print_way(json_array_get(ways, i));
}

static enum status ask(struct arena *arena, const char *hub, const char *account, struct str *out, struct error *err)
{
    auto_json json_t *failure = NULL;
    struct fetch_answer answer;
    struct str base = str_of(hub);
    if (str_ends(base, STR("/")))
        base.len--;
    struct str name = account ? percent_encode(arena, str_of(account), false) : STR("");
    const struct fetch what = {
        .url = arena_printf(arena, "%.*s/api/usage%s%.*s", STR_ARG(base), account ? "?account=" : "", STR_ARG(name)),
        .token = str_of(getenv("HF_TOKEN"))};
    TRY(fetch(arena, &what, &answer, err));
    *out = answer.body;
    if (answer.status == 200)
        return OK;
    struct str said = json_read(answer.body, 1 << 20, &failure, NULL) == OK ? json_get_str(failure, "error") : STR("");
    return fail(err, UNAVAILABLE, NULL, "the hub answers %d: %.*s", answer.status, STR_ARG(said));
}

static enum status run(const char *hub, const char *account, bool as_json, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *usage = NULL;
    struct str body;
    TRY(ask(&arena, hub, account, &body, err));
    TRY(json_read(body, 1 << 20, &usage, err));
    if (as_json)
        printf("%.*s\n", STR_ARG(body));
    else
        print_usage(usage);
    return OK;
}

int usage_main(int argc, char **argv)
{
    const char *hub = NULL, *account = NULL;
    const struct option_spec specs[] = {{"hub", &hub}, {"account", &account}};
    struct error err = {0};
    size_t rest;
    bool as_json = flag_take(&argc, argv, "--json");
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    enum status status = options_read(argc, argv, specs, 2, NULL, 0, &rest, &err);
    if (status == OK && !hub)
        status = fail(&err, INVALID, NULL, "say which hub, with --hub URL");
    if (status != OK) {
        fprintf(stderr, "cairn usage: %s (see cairn usage --help)\n", err.message);
        return 2;
    }
    if (run(hub, account, as_json, &err) != OK) {
        fprintf(stderr, "cairn usage: %s\n", err.message);
        return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
