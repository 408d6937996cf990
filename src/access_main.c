/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access_main.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "fetch/fetch.h"
#include "options.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "cairn access - ask for access to a gated repo\n"
    "\n"
    "Some repos are open to look at, while their files are given only to people who have asked for them. This command\n"
    "shows what a repo asks of you, sends your request, and tells where it stands. Whatever it does can be done with\n"
    "any HTTP client too: GET URL/REPO/ask-access says how.\n"
    "\n"
    "  cairn access show REPO\n"
    "      What the gate of REPO asks: the texts to accept, the questions, how long a decision takes, and where you\n"
    "      stand.\n"
    "\n"
    "  cairn access ask REPO [--answer NAME=VALUE]... [--accept-sha256 HASH]... [--purpose P] [--member NAME]...\n"
    "      Prints each text that you have to accept, byte for byte as its SHA-256 says, and asks whether you accept\n"
    "      it; asks the questions that you have not answered with --answer; and sends the request.\n"
    "      --answer NAME=VALUE   answers a question of the form, by its name\n"
    "      --accept-sha256 HASH  accepts the text with this hash without asking: for scripts of people who have read\n"
    "                            it. A text with another hash is not accepted\n"
    "      --purpose P           a word that tells several requests of yours for one repo apart\n"
    "      --member NAME         somebody of your lab who needs access too, and is asked to join\n"
    "      --draft               keeps it on the hub without sending it; asking again goes on from there\n"
    "\n"
    "  cairn access status REPO\n"
    "      Where your request stands, until when it is decided or you have to do something, and what was written.\n"
    "  cairn access answer REPO [--text TEXT] [--answer NAME=VALUE]...\n"
    "      Answers a question about your request, changes answers of the form, or both.\n"
    "  cairn access withdraw REPO\n"
    "      Takes your request back. You can ask again.\n"
    "  cairn access accept REPO [--accept-sha256 HASH]...\n"
    "      Accepts the texts that have changed since you were let in. Until you do, your access ends with the grace.\n"
    "\n"
    "Everywhere\n"
    "  REPO               ns/name for a model, datasets/ns/name or spaces/ns/name\n"
    "  --hub URL          the hub, such as https://models.example.org; also CAIRN_HUB in the environment\n"
    "  --lang L           the language in which you want to read texts, such as de (en, or else the first that there is)\n"
    "  --token-file FILE  the token to sign in with; otherwise HF_TOKEN in the environment\n"
    "\n"
    "Exit status 0: done; 1: it could not be done; 2: the command was not understood.\n";

enum option { HUB, PURPOSE, TEXT, LANG, TOKEN_FILE, OPTIONS };
#define REPEATS_MOST 100

struct repeated {
    const char *flag;
    struct str values[REPEATS_MOST];
    size_t count;
};

struct call {
    struct arena arena;
    const char *option[OPTIONS]; /* NULL where it was not given */
    struct repeated answers, accepted, members;
    bool draft;
    struct str token, api; /* "/api/models/ns/name" */
    json_t *gate;          /* what GET …/gate answers */
};

/* The terminal. */

/* What a hub says, as text that cannot steer a terminal. */
static void say(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        putchar((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c);
    }
}

static void line(const char *name, struct str text)
{
    if (!text.len)
        return;
    printf("%-12s", name);
    say(text);
    putchar('\n');
}

static bool read_line(struct call *call, struct str *out)
{
    char buffer[4096];
    fflush(stdout);
    if (!isatty(STDIN_FILENO) || !fgets(buffer, sizeof buffer, stdin))
        return false;
    *out = arena_copy(&call->arena, str_trim(str_of(buffer)));
    return true;
}

/* The hub. */

static enum status refused(struct call *call, const struct fetch_answer *answer, struct error *err)
{
    auto_json json_t *body = NULL;
    struct str why = STR("it does not say why");
    if (json_read(answer->body, answer->body.len, &body, NULL) == OK && json_get_str(body, "error").len)
        why = arena_copy(&call->arena, json_get_str(body, "error"));
    for (size_t i = 0; i < why.len; i++)
        if ((unsigned char)why.data[i] < ' ' || why.data[i] == 0x7f)
            why = STR("it says why in a way that cannot be shown");
    return fail(err, UNAVAILABLE, NULL, "the hub refuses (%d): %.*s", answer->status, STR_ARG(why));
}

static enum status ask_hub(struct call *call, struct str path, struct str body, struct fetch_answer *out,
                           struct error *err)
{
    struct str hub = str_of(call->option[HUB]);
    while (str_ends(hub, STR("/")))
        hub.len--;
    struct fetch request = {.url = arena_printf(&call->arena, "%.*s%.*s", STR_ARG(hub), STR_ARG(path)),
                            .token = call->token,
                            .type = STR("application/json"),
                            .body = body,
                            .limit = 2 << 20};
    TRY(fetch(&call->arena, &request, out, err));
    return out->status >= 200 && out->status < 300 ? OK : refused(call, out, err);
}

static enum status ask_json(struct call *call, const char *what, struct str body, json_t **out, struct error *err)
{
    struct fetch_answer answer;
    struct str path = arena_printf(&call->arena, "%.*s/%s", STR_ARG(call->api), what);
    TRY(ask_hub(call, path, body, &answer, err));
    return json_read(answer.body, answer.body.len, out, err);
}

static enum status get_gate(struct call *call, struct error *err)
{
    TRY(ask_json(call, "gate", (struct str){0}, &call->gate, err));
    return json_is_true(json_object_get(call->gate, "gated"))
               ? OK
               : fail(err, NOT_FOUND, NULL, "this repo has no gate: its files are open to whoever may see it");
}

/* Texts. */

static const json_t *choose_text(const struct call *call, const json_t *terms)
{
    const json_t *texts = json_object_get(terms, "texts");
    struct str lang = str_of(call->option[LANG] && call->option[LANG][0] ? call->option[LANG] : "en");
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (str_eq_nocase(json_get_str(json_array_get(texts, i), "lang"), lang))
            return json_array_get(texts, i);
    return json_array_get(texts, 0);
}

static bool accepted_before(const struct call *call, struct str hash)
{
    for (size_t i = 0; i < call->accepted.count; i++)
        if (str_eq_nocase(call->accepted.values[i], hash))
            return true;
    return false;
}

/* The hash is of what was shown, computed here: it is what the acceptance is bound to. */
static enum status show_text(struct call *call, const json_t *terms, struct str hash, struct str lang,
                             struct error *err)
{
    struct fetch_answer answer;
    uint8_t digest[SHA256_SIZE];
    struct str path =
        arena_printf(&call->arena, "/api/terms/%.*s/%lld?lang=%.*s",
                     STR_ARG(percent_encode(&call->arena, json_get_str(terms, "terms"), true)),
                     (long long)json_get_int(terms, "version", 0), STR_ARG(percent_encode(&call->arena, lang, false)));
    TRY(ask_hub(call, path, (struct str){0}, &answer, err));
    sha256(answer.body, digest);
    if (!str_eq_nocase(hex_encode(&call->arena, digest, sizeof digest), hash))
        return fail(err, CORRUPT, NULL, "the hub sent another text of %.*s than the one that its gate asks for",
                    STR_ARG(json_get_str(terms, "terms")));
    printf("\n---- ");
    say(json_get_str(terms, "terms"));
    printf(", version %lld\n", (long long)json_get_int(terms, "version", 0));
    say(answer.body);
    printf("\n---- SHA-256 ");
    say(hash);
    putchar('\n');
    return OK;
}

static enum status accept_text(struct call *call, const json_t *terms, struct json_writer *w, struct error *err)
{
    const json_t *text = choose_text(call, terms);
    struct str hash = json_get_str(text, "sha256"), reply = STR("");
    TRY(show_text(call, terms, hash, json_get_str(text, "lang"), err));
    if (!accepted_before(call, hash)) {
        printf("Do you accept this text? [y/N] ");
        if (!read_line(call, &reply))
            return fail(err, INVALID, NULL, "this text has to be accepted: --accept-sha256 %.*s", STR_ARG(hash));
        if (!str_eq_nocase(reply, STR("y")) && !str_eq_nocase(reply, STR("yes")))
            return fail(err, FORBIDDEN, NULL, "nothing is sent, as you do not accept the text");
    }
    jw_object(w);
    jw_key_str(w, "terms", json_get_str(terms, "terms"));
    jw_key_str(w, "sha256", hash);
    jw_end(w);
    return OK;
}

static enum status accept_texts(struct call *call, struct json_writer *w, struct error *err)
{
    const json_t *terms = json_object_get(call->gate, "terms");
    jw_array(w);
    for (size_t i = 0; i < json_array_size(terms); i++)
        TRY(accept_text(call, json_array_get(terms, i), w, err));
    jw_end(w);
    return OK;
}

/* Questions. */

static bool given_answer(const struct call *call, struct str name, struct str *out)
{
    for (size_t i = 0; i < call->answers.count; i++) {
        struct str value = call->answers.values[i], key;
        str_cut(&value, '=', &key);
        if (str_eq(key, name)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool ask_question(struct call *call, const json_t *field, struct str *out)
{
    const json_t *options = json_object_get(field, "options");
    struct str label = json_get_str(field, "label");
    if (!isatty(STDIN_FILENO))
        return false;
    say(label.len ? label : json_get_str(field, "name"));
    printf(" (");
    say(json_get_str(field, "type"));
    for (size_t i = 0; i < json_array_size(options); i++) {
        printf(i ? ", " : ": ");
        say((struct str){json_string_value(json_array_get(options, i)),
                         json_string_length(json_array_get(options, i))});
    }
    printf("%s): ", json_is_true(json_object_get(field, "required")) ? "; required" : "");
    return read_line(call, out) && out->len > 0;
}

/* Also those to questions that are none: the hub says so better than we could. */
static enum status write_answers(struct call *call, bool ask_others, struct json_writer *w, struct error *err)
{
    const json_t *fields = json_object_get(json_object_get(call->gate, "form"), "fields");
    auto_json json_t *answers = json_object();
    for (size_t i = 0; i < call->answers.count; i++) {
        struct str value = call->answers.values[i], name;
        if (!str_cut(&value, '=', &name) || !str_given(value) || !str_is_utf8(value) || !str_is_utf8(name))
            return fail(err, INVALID, NULL, "--answer takes NAME=VALUE");
        json_object_set_new(answers, arena_cstr(&call->arena, name), json_stringn(value.data, value.len));
    }
    for (size_t i = 0; ask_others && i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        struct str name = json_get_str(field, "name"), value;
        if (!given_answer(call, name, &value) && ask_question(call, field, &value))
            json_object_set_new(answers, arena_cstr(&call->arena, name), json_stringn(value.data, value.len));
    }
    jw_value(w, answers);
    return OK;
}

/* What came of it. */

static void print_request(const json_t *request)
{
    const json_t *next = json_object_get(request, "next"), *thread = json_object_get(request, "thread");
    line("state", json_get_str(request, "shown"));
    line("code", json_get_str(request, "code"));
    line("due", json_get_str(json_object_get(request, "clock"), "due"));
    line("next", json_get_str(next, "text"));
    line("until", json_get_str(next, "until"));
    line("ask again", json_get_str(next, "reapplyFrom"));
    for (size_t i = 0; i < json_array_size(thread); i++) {
        const json_t *entry = json_array_get(thread, i);
        if (json_get_str(entry, "text").len)
            line(str_eq(json_get_str(entry, "from"), STR("applicant")) ? "you" : "reviewers",
                 json_get_str(entry, "text"));
    }
}

static enum status send(struct call *call, const char *what, const struct buf *body, struct error *err)
{
    auto_json json_t *request = NULL;
    TRY(ask_json(call, what, body ? buf_view(body) : (struct str){0}, &request, err));
    print_request(request);
    return OK;
}

static enum status do_show(struct call *call, struct error *err)
{
    TRY(get_gate(call, err));
    const json_t *terms = json_object_get(call->gate, "terms"), *form = json_object_get(call->gate, "form");
    const json_t *fields = json_object_get(form, "fields"), *you = json_object_get(call->gate, "you");
    line("mode", json_get_str(call->gate, "mode"));
    line("gate", json_get_str(call->gate, "state"));
    line("closes", json_get_str(call->gate, "closes"));
    printf("%-12s%lld working days\n", "decided in",
           (long long)json_get_int(call->gate, "decisionSeconds", 0) / (24 * 3600));
    line("prompt", json_get_str(form, "prompt"));
    for (size_t i = 0; i < json_array_size(terms); i++) {
        const json_t *text = choose_text(call, json_array_get(terms, i));
        line("text", json_get_str(json_array_get(terms, i), "terms"));
        line("  sha256", json_get_str(text, "sha256"));
    }
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        line(json_is_true(json_object_get(field, "required")) ? "required" : "question", json_get_str(field, "name"));
    }
    line("you", json_get_str(you, "state"));
    line("next", json_get_str(you, "next"));
    line("deadline", json_get_str(you, "deadline"));
    return OK;
}

static enum status do_ask(struct call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(get_gate(call, err));
    if (json_get_str(json_object_get(call->gate, "form"), "prompt").len) {
        say(json_get_str(json_object_get(call->gate, "form"), "prompt"));
        putchar('\n');
    }
    jw_object(&w);
    if (call->draft)
        jw_key_bool(&w, "draft", true);
    else {
        jw_key(&w, "terms");
        TRY(accept_texts(call, &w, err));
    }
    jw_key(&w, "answers");
    TRY(write_answers(call, true, &w, err));
    jw_key_str(&w, "form", json_get_str(call->gate, "formSha256"));
    jw_key_str(&w, "method", STR("cli"));
    if (call->option[PURPOSE])
        jw_key_str(&w, "purpose", str_of(call->option[PURPOSE]));
    jw_key(&w, "members");
    jw_array(&w);
    for (size_t i = 0; i < call->members.count; i++)
        jw_str(&w, call->members.values[i]);
    jw_end(&w);
    jw_end(&w);
    return send(call, "access-request", &body, err);
}

static void write_purpose(const struct call *call, struct json_writer *w)
{
    if (call->option[PURPOSE])
        jw_key_str(w, "purpose", str_of(call->option[PURPOSE]));
}

static enum status do_status(struct call *call, struct error *err)
{
    struct str purpose = str_of(call->option[PURPOSE]);
    struct str query = str_given(purpose) ? arena_printf(&call->arena, "access-request?purpose=%.*s",
                                                         STR_ARG(percent_encode(&call->arena, purpose, false)))
                                          : STR("access-request");
    return send(call, arena_cstr(&call->arena, query), NULL, err);
}

static enum status do_withdraw(struct call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_purpose(call, &w);
    jw_end(&w);
    return send(call, "access-request/withdraw", &body, err);
}

static enum status do_answer(struct call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct str text = str_of(call->option[TEXT]);
    if (!str_given(text) && !call->answers.count && isatty(STDIN_FILENO)) {
        TRY(do_status(call, err));
        printf("Your answer: ");
        read_line(call, &text);
    }
    jw_object(&w);
    write_purpose(call, &w);
    if (str_given(text))
        jw_key_str(&w, "text", text);
    if (call->answers.count) {
        jw_key(&w, "answers");
        TRY(write_answers(call, false, &w, err));
    }
    jw_end(&w);
    return send(call, "access-request/answer", &body, err);
}

static enum status do_accept(struct call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    auto_json json_t *answer = NULL;
    struct json_writer w = jw_to(&body);
    TRY(get_gate(call, err));
    jw_object(&w);
    jw_key(&w, "terms");
    TRY(accept_texts(call, &w, err));
    jw_key_str(&w, "method", STR("cli"));
    jw_end(&w);
    TRY(ask_json(call, "terms/accept", buf_view(&body), &answer, err));
    printf("accepted; your receipts: GET /api/receipts\n");
    return OK;
}

/* The command line. */

static enum status take_repeated(int *argc, char **argv, struct repeated *out, struct error *err)
{
    struct str flag = str_of(out->flag);
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        struct str word = str_of(argv[i]), value;
        bool inside = str_starts(word, flag) && word.len > flag.len && word.data[flag.len] == '=';
        if (!str_eq(word, flag) && !inside) {
            argv[kept++] = argv[i];
            continue;
        }
        if (!inside && ++i == *argc)
            return fail(err, INVALID, NULL, "%s needs a value", out->flag);
        value = inside ? str_from(word, flag.len + 1) : str_of(argv[i]);
        if (out->count == REPEATS_MOST)
            return fail(err, INVALID, NULL, "%s stands there more than %d times", out->flag, REPEATS_MOST);
        out->values[out->count++] = value;
    }
    *argc = kept;
    return OK;
}

static enum status read_token(struct call *call, struct error *err)
{
    const char *token = getenv("HF_TOKEN");
    auto_buf struct buf text = {0};
    if (call->option[TOKEN_FILE]) {
        TRY(file_read_all(call->option[TOKEN_FILE], 8192, &text, err));
        call->token = arena_copy(&call->arena, str_trim(buf_view(&text)));
    } else if (token && *token)
        call->token = str_of(token);
    return OK;
}

static enum status read_repo(struct call *call, const char *repo, struct error *err)
{
    static const struct {
        const char *prefix, *kind;
    } kinds[] = {{"datasets/", "datasets"}, {"spaces/", "spaces"}, {"models/", "models"}, {"", "models"}};
    struct str text = str_of(repo), rest, ns;
    size_t i = 0;
    while (!str_starts(text, str_of(kinds[i].prefix)))
        i++;
    text = rest = str_from(text, strlen(kinds[i].prefix));
    if (!str_cut(&rest, '/', &ns) || !str_given(rest) || ns.len == 0 || rest.len == 0)
        return fail(err, INVALID, NULL, "\"%s\" is no repo: say ns/name, datasets/ns/name or spaces/ns/name", repo);
    call->api =
        arena_printf(&call->arena, "/api/%s/%.*s", kinds[i].kind, STR_ARG(percent_encode(&call->arena, text, true)));
    return OK;
}

static const struct {
    const char *name;
    enum status (*run)(struct call *call, struct error *err);
    bool signs_in;
} commands[] = {
    {"show", do_show, false},    {"ask", do_ask, true},           {"status", do_status, true},
    {"answer", do_answer, true}, {"withdraw", do_withdraw, true}, {"accept", do_accept, true},
};

static enum status read_words(int argc, char **argv, struct call *call, const char **words, struct error *err)
{
    const struct option_spec specs[OPTIONS] = {[HUB] = {"hub", &call->option[HUB]},
                                               [PURPOSE] = {"purpose", &call->option[PURPOSE]},
                                               [TEXT] = {"text", &call->option[TEXT]},
                                               [LANG] = {"lang", &call->option[LANG]},
                                               [TOKEN_FILE] = {"token-file", &call->option[TOKEN_FILE]}};
    size_t count;
    call->draft = flag_take(&argc, argv, "--draft");
    TRY(take_repeated(&argc, argv, &call->answers, err));
    TRY(take_repeated(&argc, argv, &call->accepted, err));
    TRY(take_repeated(&argc, argv, &call->members, err));
    TRY(options_read(argc, argv, specs, OPTIONS, words, 2, &count, err));
    if (count != 2)
        return fail(err, INVALID, NULL, "say: cairn access show|ask|status|answer|withdraw|accept REPO");
    if (!call->option[HUB])
        return fail(err, INVALID, NULL, "name the hub with --hub URL");
    return read_repo(call, words[1], err);
}

static int run(int argc, char **argv, struct call *call)
{
    const char *words[2];
    struct error err = {0};
    size_t i = 0;
    enum status status = read_words(argc, argv, call, words, &err);
    while (status == OK && i < sizeof commands / sizeof *commands && strcmp(words[0], commands[i].name) != 0)
        i++;
    if (status == OK && i == sizeof commands / sizeof *commands)
        status = fail(&err, INVALID, NULL, "there is no such command");
    if (status != OK) {
        fprintf(stderr, "cairn access: %s (see cairn access --help)\n", err.message);
        return 2;
    }
    status = read_token(call, &err);
    if (status == OK && commands[i].signs_in && !call->token.len)
        status = fail(&err, UNAUTHENTICATED, NULL,
                      "sign in: put a token into HF_TOKEN, or name a file of one with --token-file");
    if (status == OK)
        status = commands[i].run(call, &err);
    fflush(stdout);
    if (status != OK)
        fprintf(stderr, "cairn access: %s\n", err.message);
    return status == OK ? 0 : 1;
}

int access_main(int argc, char **argv)
{
    struct call call = {.answers = {"--answer"}, .accepted = {"--accept-sha256"}, .members = {"--member"}};
    bool wants_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc < 2 || wants_help) {
        fputs(help, wants_help ? stdout : stderr);
        return wants_help ? 0 : 2;
    }
    int status = run(argc, argv, &call);
    json_release(&call.gate);
    arena_free(&call.arena);
    return status;
}
