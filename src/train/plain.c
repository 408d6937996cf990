/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Mode "plain": the trained model goes to the hub as it is. */
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "train/internal.h"
#include <stdio.h>

#define PIECE ((size_t)4 << 20)
#define RETRY_US (SECOND_US / 10)
#define RETRY_MOST_US (5 * SECOND_US)
#define WAIT_US (SECOND_US / 2)

struct upload {
    struct str all;
    int64_t examples; /* the last piece says it, and so that it is the last; 0: none does */
    bool has_ended;   /* that one was accepted */
};

/* How much of the update the hub has: after a broken line it may be more than was acknowledged. */
static enum status received(struct round *round, struct str all, int64_t *out, struct error *err)
{
    auto_json json_t *told = NULL;
    char path[64];
    snprintf(path, sizeof path, "/round?from=%lld", (long long)round->number);
    TRY(ask(round->part, "GET", path, (struct str){0}, (struct str){0}, &told, err));
    const json_t *update = json_object_get(told, "update");
    if (json_get_int(told, "round", -1) != round->number && !round->buffered)
        return fail(err, CONFLICT, "RoundOver", "The round is over.");
    bool accepted = !round->buffered && str_eq(json_get_str(update, "state"), STR("accepted"));
    *out = accepted ? (int64_t)all.len : json_get_int(update, "received", 0);
    return *out >= 0 && *out <= (int64_t)all.len ? OK : fail(err, CONFLICT, NULL, "Another client sends an update.");
}

/* Of several pieces the last says what they are together: what the hub has of one may be of another update. */
static struct str ending_of(const struct upload *upload, int64_t at, struct arena *arena)
{
    uint8_t digest[BLAKE3_SIZE];
    struct str examples = arena_printf(arena, "&examples=%lld", (long long)upload->examples);
    if (at == 0)
        return examples;
    blake3(upload->all, digest);
    return arena_printf(arena, "%.*s&blake3=%.*s", STR_ARG(examples),
                        STR_ARG(hex_encode(arena, digest, sizeof digest)));
}

static enum status send_from(struct round *round, struct upload *upload, int64_t at, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str all = upload->all;
    char path[256];
    while (at < (int64_t)all.len) {
        struct str piece = str_slice(all, (size_t)at, PIECE);
        bool ends = upload->examples && at + (int64_t)piece.len == (int64_t)all.len;
        struct str ending = ends ? ending_of(upload, at, &arena) : STR("");
        snprintf(path, sizeof path, "/update?round=%lld&offset=%lld%.*s", (long long)round->number, (long long)at,
                 STR_ARG(ending));
        TRY(put_once(round->part, path, piece, err));
        at += (int64_t)piece.len;
        upload->has_ended = ends;
        tell(round->part, "Round %lld of %lld: %lld of %zu bytes sent", (long long)round->number,
             (long long)round->rounds, (long long)at, all.len);
    }
    return OK;
}

/* What an upload before this one has left goes: later nobody could tell the one from the other. */
static enum status begin(struct round *round, struct error *err)
{
    char path[64];
    bool clean = round->uploads++ == 0 && json_get_int(json_object_get(round->told, "update"), "received", 0) == 0;
    snprintf(path, sizeof path, "/update?round=%lld&offset=0", (long long)round->number);
    return clean ? OK : ask(round->part, "PUT", path, STR("application/octet-stream"), STR(""), NULL, err);
}

static bool goes_on(enum status status, const struct error *err)
{
    return status == UNAVAILABLE || (status == CONFLICT && error_is(err, "WrongOffset"));
}

/* A line may break as often as it likes, if only it carries something in between: what has come is not sent again. */
static enum status upload_all(struct round *round, struct upload *upload, struct error *err)
{
    struct str all = upload->all;
    int64_t at = 0, most = 0, wait = RETRY_US, until = monotonic_us() + round->part->patience_us;
    TRY(begin(round, err));
    enum status status = send_from(round, upload, 0, err);
    while (goes_on(status, err) && monotonic_us() < until) {
        doze(wait);
        TRY(received(round, all, &at, err));
        wait = at > most ? RETRY_US : wait * 2 < RETRY_MOST_US ? wait * 2 : RETRY_MOST_US;
        until = at > most ? monotonic_us() + round->part->patience_us : until;
        most = at > most ? at : most;
        tell(round->part, "Round %lld of %lld: the line broke; going on behind %lld of %zu bytes",
             (long long)round->number, (long long)round->rounds, (long long)at, all.len);
        status = send_from(round, upload, at, err);
    }
    return status;
}

enum status upload(struct round *round, struct str all, struct error *err)
{
    struct upload upload = {.all = all};
    return upload_all(round, &upload, err);
}

static enum status finish(struct round *round, struct str all, int64_t examples, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    uint8_t digest[BLAKE3_SIZE];
    blake3(all, digest);
    jw_object(&w);
    jw_key_int(&w, "round", round->number);
    jw_key_int(&w, "examples", examples);
    jw_key_hex(&w, "blake3", digest, BLAKE3_SIZE);
    jw_end(&w);
    return ask(round->part, "POST", "/update", STR("application/json"), buf_view(&body), NULL, err);
}

/* That these were all bytes goes with the last of them; where nobody knows whether it has arrived, by itself. */
enum status send_plain(struct round *round, const struct cairn_trained *trained, struct error *err)
{
    struct buf *update = &round->part->update;
    TRY(round->scaffold ? control_write(round, trained, update, err)
                        : model_write(&round->model, trained, round->bound, update, err));
    struct upload sending = {.all = buf_view(update), .examples = trained->examples};
    enum status status = upload_all(round, &sending, err);
    if (status == OK && !sending.has_ended)
        status = finish(round, sending.all, trained->examples, err);
    /* The buffer has one of ours, or is being closed: the next one takes it. */
    while (status == CONFLICT && error_is(err, "NotYet")) {
        doze(WAIT_US);
        status = finish(round, sending.all, trained->examples, err);
    }
    return status;
}
