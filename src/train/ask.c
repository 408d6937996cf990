/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/text.h"
#include "base/time.h"
#include "fetch/fetch.h"
#include "train/internal.h"
#include <stdio.h>
#include <time.h>

#define ANSWER_LIMIT (1 << 20)
#define BYTES_LIMIT (8 << 20)   /* of a piece */
#define PIECE_TIMEOUT_MS 300000 /* of 4 MiB: a line of 14 kB/s is enough */

void tell(struct cairn_federate *part, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!part->progress)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    part->progress(part->progress_context, line);
}

void doze(int64_t us)
{
    const struct timespec wait = {us / SECOND_US, us % SECOND_US * 1000};
    nanosleep(&wait, NULL);
}

static bool is_passing(enum status status, int http)
{
    if (status != OK)
        return status == UNAVAILABLE || status == TIMED_OUT;
    return http == 408 || http == 429 || http == 502 || http == 503 || http == 504;
}

/* Asks again for as long as patience lasts, in growing steps: a hub that restarts, or a line that was down, costs no round. */
static enum status fetch_patiently(struct cairn_federate *part, struct arena *arena, const struct fetch *what,
                                   struct fetch_answer *out, struct error *err)
{
    int64_t until = monotonic_us() + part->patience_us, wait = SECOND_US / 5;
    for (;;) {
        enum status status = fetch(arena, what, out, err);
        if (!is_passing(status, status == OK ? out->status : 0) || monotonic_us() + wait > until)
            return status;
        tell(part, "The hub does not answer (%s); asking again in %.1f s", status == OK ? "it is busy" : err->message,
             (double)wait / SECOND_US);
        doze(wait);
        wait = wait * 2 < 10 * SECOND_US ? wait * 2 : 10 * SECOND_US;
    }
}

struct str hub_address(const struct cairn_federate *part)
{
    struct str base = str_of(part->url);
    while (str_ends(base, STR("/")))
        base.len--;
    return base;
}

static enum status status_of(int http)
{
    switch (http) {
    case 401:
        return UNAUTHENTICATED;
    case 403:
        return FORBIDDEN;
    case 404:
        return NOT_FOUND;
    case 409:
        return CONFLICT;
    case 413:
    case 422:
        return UNPROCESSABLE;
    default:
        return http >= 500 ? UNAVAILABLE : INVALID;
    }
}

static enum status refused(const struct fetch_answer *answer, struct error *err)
{
    auto_json json_t *said = NULL;
    struct str text = STR("");
    if (json_read(answer->body, ANSWER_LIMIT, &said, NULL) == OK && json_is_object(said))
        text = json_get_str(said, "error");
    fail(err, status_of(answer->status), NULL, "The hub answers %d: %.*s", answer->status, STR_ARG(text));
    snprintf(err->code, sizeof err->code, "%.*s", STR_ARG(answer->error_code));
    return err->status;
}

static struct fetch what_to_ask(struct cairn_federate *part, struct arena *arena, const char *method, const char *path,
                                struct str type, struct str body, size_t limit)
{
    return (struct fetch){.method = method,
                          .url = arena_printf(arena, "%.*s/api/models/%.*s/federate%s", STR_ARG(hub_address(part)),
                                              STR_ARG(percent_encode(arena, str_of(part->repo), true)), path),
                          .token = str_of(part->token),
                          .type = type,
                          .body = body,
                          .limit = limit,
                          .timeout_ms = PIECE_TIMEOUT_MS};
}

static enum status ask_for(struct cairn_federate *part, struct arena *arena, const char *method, const char *path,
                           struct str type, struct str body, struct buf *into, struct fetch_answer *out,
                           struct error *err)
{
    struct fetch what = what_to_ask(part, arena, method, path, type, body, into ? BYTES_LIMIT : ANSWER_LIMIT);
    what.into = into;
    TRY(fetch_patiently(part, arena, &what, out, err));
    return out->status == 200 ? OK : refused(out, err);
}

enum status ask(struct cairn_federate *part, const char *method, const char *path, struct str type, struct str body,
                json_t **out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct fetch_answer answer;
    TRY(ask_for(part, &arena, method, path, type, body, NULL, &answer, err));
    if (!out)
        return OK;
    TRY(json_read(answer.body, ANSWER_LIMIT, out, err));
    return json_is_object(*out) ? OK : fail(err, INVALID, NULL, "The hub's answer is no JSON object.");
}

enum status put_once(struct cairn_federate *part, const char *path, struct str body, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct fetch_answer answer;
    const struct fetch what =
        what_to_ask(part, &arena, "PUT", path, STR("application/octet-stream"), body, ANSWER_LIMIT);
    enum status status = fetch(&arena, &what, &answer, err);
    if (is_passing(status, status == OK ? answer.status : 0))
        return status == OK ? fail(err, UNAVAILABLE, NULL, "The hub is busy.") : UNAVAILABLE;
    TRY(status);
    return answer.status == 200 ? OK : refused(&answer, err);
}

enum status ask_for_run(struct cairn_federate *part, const char *method, const char *path, json_t **out,
                        struct error *err)
{
    struct str body = strcmp(method, "POST") == 0 ? STR("{}") : (struct str){0};
    struct str type = str_given(body) ? STR("application/json") : (struct str){0};
    int64_t until = monotonic_us() + part->patience_us, wait = SECOND_US / 5;
    for (bool told = false;; told = true) {
        enum status status = ask(part, method, path, type, body, out, err);
        if (status != NOT_FOUND || !error_is(err, "NoRun") || monotonic_us() + wait > until)
            return status;
        if (!told)
            tell(part, "There is no training of this repo yet; waiting for it");
        doze(wait);
        wait = wait * 2 < 2 * SECOND_US ? wait * 2 : 2 * SECOND_US;
    }
}

enum status ask_piece(struct cairn_federate *part, const char *path, struct buf *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct fetch_answer answer;
    size_t before = out->len;
    enum status status = ask_for(part, &arena, "GET", path, (struct str){0}, (struct str){0}, out, &answer, err);
    if (status != OK)
        out->len = before; /* what came with a refusal is no part of the file */
    return status;
}

enum status ask_bytes(struct cairn_federate *part, struct str commit, struct str file, int64_t at, size_t most,
                      struct buf *out, bool *end, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct fetch_answer answer;
    char range[64];
    snprintf(range, sizeof range, "%lld-%lld", (long long)at, (long long)at + (long long)most - 1);
    const struct fetch what = {.url = arena_printf(&arena, "%.*s/%.*s/resolve/%.*s/%.*s", STR_ARG(hub_address(part)),
                                                   STR_ARG(percent_encode(&arena, str_of(part->repo), true)),
                                                   STR_ARG(commit), STR_ARG(percent_encode(&arena, file, true))),
                               .token = str_of(part->token),
                               .range = range,
                               .limit = most,
                               .timeout_ms = PIECE_TIMEOUT_MS,
                               .follow = true,
                               .into = out};
    size_t before = out->len;
    TRY(fetch_patiently(part, &arena, &what, &answer, err));
    *end = answer.status == 416 || (answer.status == 206 && answer.body.len < most) || answer.status == 200;
    if (answer.status == 206 || (answer.status == 200 && at == 0))
        return OK;
    enum status status = answer.status == 416 ? OK : refused(&answer, err);
    out->len = before; /* what came with it is no part of the file */
    return status;
}
