/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The conversation with one witness (provenance 1.7). What it answers is believed only as far as its key signs it. */
#include "base/log.h"
#include "base/time.h"
#include "tlog/text.h"
#include "witness/internal.h"
#include "witness/submission.h"

#define TRIES 4                        /* the first, and three with the size that the witness names */
#define HEARTBEAT_US (600 * SECOND_US) /* a tree that does not grow is shown again, so that its age can be told */
#define BACK_OFF_MOST_SECONDS 16

struct talk {
    struct witness *witness;
    struct peer *peer;
    struct arena *arena;
    int64_t end_us; /* monotonic: when there must have been an answer */
};

enum status consistency_path(struct ledger *ledger, uint64_t from, uint64_t to, struct tlog_path *out,
                             struct error *err)
{
    auto_buf struct buf hashes = {0};
    TRY(ledger_consistency(ledger, from, to, &hashes, err));
    out->count = hashes.len / sizeof *out->hashes;
    memcpy(out->hashes, buf_view(&hashes).data, hashes.len);
    return OK;
}

static enum status submission_of(const struct talk *talk, struct str *out, struct error *err)
{
    const struct sent *sent = &talk->witness->sent;
    auto_buf struct buf body = {0};
    struct tlog_path proof;
    TRY(consistency_path(talk->witness->ledger, talk->peer->known, sent->checkpoint.size, &proof, err));
    submission_write(&body, talk->peer->known, &proof, sent->note);
    *out = arena_copy(talk->arena, buf_view(&body));
    return OK;
}

/* Of the lines that come back only the one of the key that the policy names is looked at. */
static enum status take_lines(const struct talk *talk, struct str lines, struct error *err)
{
    const struct note_verifier *key = &talk->peer->party->verifier;
    auto_buf struct buf bytes = {0}, line = {0};
    struct note note;
    uint64_t time;
    buf_str(&bytes, talk->witness->sent.text);
    buf_byte(&bytes, '\n');
    buf_str(&bytes, lines);
    TRY(note_parse(talk->arena, buf_view(&bytes), &note, err));
    if (!str_eq(note.text, talk->witness->sent.text))
        return fail(err, INVALID, NULL, "It answered with more than signature lines.");
    switch (cosignature_check(&note, key, &time)) {
    case NOTE_UNSIGNED:
        return fail(err, INVALID, NULL, "It answered without a line of the key that the policy names.");
    case NOTE_FORGED:
        return fail(err, INVALID, NULL, "It answered with a signature that does not fit the checkpoint.");
    case NOTE_SIGNED:
        break;
    }
    note_line_write(&line, note_find(&note, key));
    talk->peer->known = talk->witness->sent.checkpoint.size;
    witness_attach(talk->witness, talk->peer, buf_view(&line));
    return OK;
}

#define WHAT_TO_DO                                                                                                     \
    "This hub's log takes nothing more until somebody has looked. Restore the newest copy of the whole data folder "   \
    "if "                                                                                                              \
    "an older one was put back. If the log is as it should be, the witness is wrong: ask who runs it, and take its "   \
    "line out of the policy."

static enum status lost(const struct talk *talk, uint64_t seen, uint64_t size, struct error *err)
{
    witness_alarm(
        talk->witness,
        "The witness %.*s has cosigned a tree of %llu entries, and this log has only %llu: entries were lost, "
        "and going on without them would give the world two histories. " WHAT_TO_DO,
        STR_ARG(talk->peer->party->name), (unsigned long long)seen, (unsigned long long)size);
    return fail(err, CORRUPT, NULL, "It remembers a larger tree.");
}

static enum status forked(const struct talk *talk, int status, struct error *err)
{
    witness_alarm(talk->witness,
                  "The witness %.*s says (HTTP %d) that this log's tree of %llu entries does not continue the one of "
                  "%llu that it cosigned before: the log has two histories. " WHAT_TO_DO,
                  STR_ARG(talk->peer->party->name), status, (unsigned long long)talk->witness->sent.checkpoint.size,
                  (unsigned long long)talk->peer->known);
    return fail(err, CORRUPT, NULL, "It has seen another history.");
}

/* CONFLICT: it is to be asked again, from the size that it remembers. */
static enum status take_size(const struct talk *talk, struct str text, struct error *err)
{
    struct ledger_state now;
    uint64_t seen;
    struct str line;
    if (!tlog_line(&text, &line) || text.len || !tlog_decimal(line, &seen) || seen == talk->peer->known)
        return fail(err, INVALID, NULL, "It answered 409 without the size of another tree.");
    ledger_state(talk->witness->ledger, &now);
    if (seen > now.size)
        return lost(talk, seen, now.size, err);
    talk->peer->known = seen;
    return fail(err, CONFLICT, NULL, "It named another size each time.");
}

static enum status refused(int status, struct error *err)
{
    const char *why = status == 404   ? " It does not witness this log: give its operator the line of /log/vkey."
                      : status == 403 ? " It knows another key for this log."
                                      : "";
    return fail(err, UNAVAILABLE, NULL, "It answered with HTTP status %d.%s", status, why);
}

static enum status submit(const struct talk *talk, struct error *err)
{
    struct str body;
    struct fetch_answer answer;
    int64_t left_ms = (talk->end_us - monotonic_us()) / 1000;
    /* Somebody else has shown it a newer checkpoint of ours, which the next round will send. */
    if (talk->peer->known > talk->witness->sent.checkpoint.size)
        return OK;
    if (left_ms <= 0)
        return fail(err, TIMED_OUT, NULL, "It did not come to an end in time.");
    TRY(submission_of(talk, &body, err));
    struct fetch what = {.url = talk->peer->url,
                         .type = STR("text/plain"),
                         .body = body,
                         .limit = WITNESS_SMALL_MOST,
                         .timeout_ms = (int)left_ms};
    TRY(talk->witness->ask(talk->arena, &what, &answer, err));
    if (answer.status == 200)
        return take_lines(talk, answer.body, err);
    if (answer.status == 409 && str_eq_nocase(answer.type, STR("text/x.tlog.size")))
        return take_size(talk, answer.body, err);
    if (answer.status == 409 || answer.status == 422)
        return forked(talk, answer.status, err);
    return refused(answer.status, err);
}

/* One line in the log for a witness that begins to fail, and one for its return. */
static void note_outcome(struct peer *peer, enum status status, const struct error *err)
{
    struct str name = peer->party->name;
    if (status == OK) {
        if (peer->failures > 0)
            log_line("info", "witness", "The witness %.*s answers again", STR_ARG(name));
        peer->failures = 0;
        peer->due_us = monotonic_us() + HEARTBEAT_US;
        return;
    }
    if (peer->failures == 0)
        log_line("warn", "witness", "The witness %.*s did not cosign: %s It is asked again", STR_ARG(name),
                 err->message);
    int64_t seconds = peer->failures < 4 ? 1 << peer->failures : BACK_OFF_MOST_SECONDS;
    peer->failures++;
    peer->due_us = monotonic_us() + seconds * SECOND_US;
}

void peer_ask(struct witness *witness, struct peer *peer, int timeout_ms)
{
    auto_arena struct arena arena = {0};
    struct talk talk = {witness, peer, &arena, monotonic_us() + timeout_ms * INT64_C(1000)};
    struct error err = {0};
    enum status status = CONFLICT;
    for (unsigned tries = 0; status == CONFLICT && tries < TRIES; tries++)
        status = submit(&talk, &err);
    note_outcome(peer, status, &err);
}
