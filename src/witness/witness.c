/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept of what the witnesses of this log say. */
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "witness/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define AWAIT_US (2 * SECOND_US)

/* Opening. */

/* A witness with a key that nothing here can verify is not asked: its answer could not be told from any other. */
static bool can_be_asked(const struct policy_party *party)
{
    return !party->is_group && str_given(party->url) && party->verifier.kind == NOTE_COSIGNATURE;
}

static void add_peers(struct witness *witness)
{
    const struct policy *policy = &witness->policy;
    witness->peers = arena_array(&witness->arena, policy->party_count, sizeof *witness->peers);
    for (size_t i = 0; i < policy->party_count; i++) {
        const struct policy_party *party = &policy->parties[i];
        if (!can_be_asked(party))
            continue;
        struct str url = party->url;
        while (str_ends(url, STR("/")))
            url.len--;
        witness->peers[witness->peer_count++] =
            (struct peer){.party = party, .url = arena_printf(&witness->arena, "%.*s/add-checkpoint", STR_ARG(url))};
    }
}

/* Whether the quorum is met when all that can be asked have signed. Members stand before their groups. */
static bool quorum_possible(struct witness *witness)
{
    const struct policy *policy = &witness->policy;
    unsigned *voices = arena_array(&witness->arena, policy->party_count, sizeof *voices);
    for (size_t i = 0; i < policy->party_count; i++) {
        const struct policy_party *party = &policy->parties[i];
        bool counts = party->is_group ? voices[i] >= party->needed : can_be_asked(party);
        if (counts && party == policy->quorum)
            return true;
        if (counts && party->group >= 0)
            voices[party->group]++;
    }
    return !policy->quorum;
}

static enum status read_policy(struct witness *witness, const char *file, struct error *err)
{
    auto_buf struct buf text = {0};
    struct error why = {0};
    TRY(file_read_all(file, POLICY_MOST, &text, err));
    enum status status = policy_parse(&witness->arena, buf_view(&text), &witness->policy, &why);
    if (status != OK)
        return fail(err, status, NULL, "%s: %s", file, why.message);
    add_peers(witness);
    if (witness->peer_count == 0 || !quorum_possible(witness))
        return fail(err, UNSUPPORTED, NULL,
                    "%s: the quorum could never be met, because too few of its witnesses have an address and a key of "
                    "kind 4 (Ed25519). Write the URL behind the key of each witness.",
                    file);
    return OK;
}

/* What was kept is only of use when the policy, which may be another by now, accepts it. */
static void read_kept(struct witness *witness)
{
    auto_buf struct buf note = {0};
    struct policy_verdict verdict;
    struct error err = {0};
    enum status status = file_read_all(witness->kept, NOTE_MOST, &note, &err);
    if (status == NOT_FOUND)
        return;
    if (status == OK)
        status = policy_check(&witness->arena, &witness->policy, &witness->log, buf_view(&note), &verdict, &err);
    if (status != OK) {
        log_line("warn", "witness", "The cosigned checkpoint in %s is not used: %s", witness->kept, err.message);
        return;
    }
    witness->cosigned = note;
    witness->cosigned_size = verdict.checkpoint.size;
    note = (struct buf){0};
}

enum status witness_open(struct ledger *ledger, const char *policy_file, const char *kept, struct witness **out,
                         struct error *err)
{
    struct witness *witness = calloc(1, sizeof *witness);
    pthread_condattr_t monotonic;
    if (!witness)
        abort();
    witness->ledger = ledger;
    witness->ask = fetch;
    witness->kept = arena_cstr(&witness->arena, str_of(kept));
    pthread_mutex_init(&witness->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&witness->wake, &monotonic);
    enum status status = note_verifier_parse(&witness->arena, ledger_vkey(ledger), &witness->log, err);
    if (status == OK)
        status = read_policy(witness, policy_file, err);
    if (status != OK) {
        witness_close(witness);
        return status;
    }
    read_kept(witness);
    *out = witness;
    return OK;
}

void witness_start(struct witness *witness)
{
    if (pthread_create(&witness->thread, NULL, witness_rounds, witness) != 0)
        abort();
    witness->started = true;
}

static void wake_up(struct witness *witness, bool *reason)
{
    pthread_mutex_lock(&witness->lock);
    *reason = true;
    pthread_cond_signal(&witness->wake);
    pthread_mutex_unlock(&witness->lock);
}

void witness_notice(struct witness *witness)
{
    if (witness)
        wake_up(witness, &witness->noticed);
}

void witness_close(struct witness *witness)
{
    if (!witness)
        return;
    wake_up(witness, &witness->stop);
    if (witness->started)
        pthread_join(witness->thread, NULL);
    pthread_cond_destroy(&witness->wake);
    pthread_mutex_destroy(&witness->lock);
    for (size_t i = 0; i < witness->peer_count; i++)
        buf_free(&witness->peers[i].line);
    buf_free(&witness->newest);
    buf_free(&witness->cosigned);
    arena_free(&witness->sent_arena);
    arena_free(&witness->arena);
    free(witness);
}

/* What is kept. */

/* Under the lock: has the newest checkpoint become one that the policy accepts? */
static void promote(struct witness *witness)
{
    auto_arena struct arena arena = {0};
    struct policy_verdict verdict;
    if (policy_check(&arena, &witness->policy, &witness->log, buf_view(&witness->newest), &verdict, NULL) != OK)
        return;
    witness->cosigned.len = 0;
    buf_str(&witness->cosigned, buf_view(&witness->newest));
    witness->cosigned_size = witness->newest_size;
    witness->unkept = true;
    witness->waits_us = 0;
}

void witness_renew(struct witness *witness)
{
    pthread_mutex_lock(&witness->lock);
    witness->newest.len = 0;
    buf_str(&witness->newest, witness->sent.note);
    witness->newest_size = witness->sent.checkpoint.size;
    if (witness->waits_us == 0)
        witness->waits_us = monotonic_us();
    for (size_t i = 0; i < witness->peer_count; i++) {
        witness->peers[i].line.len = 0;
        if (witness->peers[i].failures == 0)
            witness->peers[i].due_us = 0;
    }
    promote(witness); /* where the policy asks for no witnesses */
    pthread_mutex_unlock(&witness->lock);
}

void witness_attach(struct witness *witness, struct peer *peer, struct str line)
{
    pthread_mutex_lock(&witness->lock);
    peer->line.len = 0;
    buf_str(&peer->line, line);
    peer->last_success_us = now_us();
    witness->newest.len = 0;
    buf_str(&witness->newest, witness->sent.note);
    for (size_t i = 0; i < witness->peer_count; i++)
        buf_str(&witness->newest, buf_view(&witness->peers[i].line));
    promote(witness);
    pthread_mutex_unlock(&witness->lock);
}

void witness_keep(struct witness *witness)
{
    auto_buf struct buf note = {0};
    struct error err = {0};
    pthread_mutex_lock(&witness->lock);
    if (witness->unkept)
        buf_str(&note, buf_view(&witness->cosigned));
    witness->unkept = false;
    pthread_mutex_unlock(&witness->lock);
    if (note.len && file_write_durable(witness->kept, buf_view(&note), 0600, &err) != OK)
        log_line("error", "witness", "The cosigned checkpoint cannot be kept: %s", err.message);
}

bool witness_cosigned(struct witness *witness, struct buf *out)
{
    pthread_mutex_lock(&witness->lock);
    buf_str(out, buf_view(&witness->cosigned));
    bool found = witness->cosigned.len > 0;
    pthread_mutex_unlock(&witness->lock);
    return found;
}

bool witness_newest(struct witness *witness, struct buf *out)
{
    pthread_mutex_lock(&witness->lock);
    buf_str(out, buf_view(&witness->newest));
    bool found = witness->newest.len > 0;
    pthread_mutex_unlock(&witness->lock);
    return found;
}

enum status witness_cosigned_for(struct witness *witness, uint64_t index, struct buf *note, struct error *err)
{
    struct ledger_state state;
    ledger_state(witness->ledger, &state);
    if (index >= state.size)
        return fail(err, NOT_FOUND, NULL, "The log has %llu entries and no number %llu.",
                    (unsigned long long)state.size, (unsigned long long)index);
    pthread_mutex_lock(&witness->lock);
    uint64_t size = witness->cosigned_size;
    if (size > index)
        buf_str(note, buf_view(&witness->cosigned));
    bool alarmed = witness->alarm[0];
    pthread_mutex_unlock(&witness->lock);
    if (size > index)
        return OK;
    return fail(err, UNAVAILABLE, "NotCosigned",
                "Entry %llu of the log is not yet in a checkpoint that enough witnesses have cosigned; the newest such "
                "has %llu entries. %s",
                (unsigned long long)index, (unsigned long long)size,
                alarmed ? "A witness has raised an alarm: ask the operator of this hub."
                        : "Try again in a few seconds.");
}

static bool is_on_its_way(struct witness *witness, uint64_t index, int64_t end_us)
{
    int64_t now = monotonic_us();
    pthread_mutex_lock(&witness->lock);
    bool answered = witness->waits_us == 0 || now - witness->waits_us < AWAIT_US;
    bool soon = witness->cosigned_size <= index && answered && !witness->alarm[0] && !witness->stop && now < end_us;
    pthread_mutex_unlock(&witness->lock);
    return soon;
}

void witness_await(struct witness *witness, uint64_t index)
{
    static const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
    int64_t end_us = monotonic_us() + AWAIT_US;
    struct ledger_state state;
    if (!witness)
        return;
    ledger_state(witness->ledger, &state);
    while (index < state.size && is_on_its_way(witness, index, end_us))
        nanosleep(&moment, NULL);
}

/* The alarm. */

void witness_alarm(struct witness *witness, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&witness->lock);
    bool first = !witness->alarm[0];
    if (first)
        vsnprintf(witness->alarm, sizeof witness->alarm, format, arguments);
    pthread_mutex_unlock(&witness->lock);
    va_end(arguments);
    if (first) /* it never changes from here on */
        log_line("alert", "witness_alarm", "%s", witness->alarm);
}

bool witness_alarmed(struct witness *witness)
{
    return witness_may_append(witness, NULL) != OK;
}

enum status witness_may_append(struct witness *witness, struct error *err)
{
    if (!witness)
        return OK;
    pthread_mutex_lock(&witness->lock);
    bool alarmed = witness->alarm[0];
    pthread_mutex_unlock(&witness->lock);
    return alarmed ? fail(err, UNAVAILABLE, "WitnessAlarm", "Nothing can be changed on this hub for now. %s",
                          witness->alarm)
                   : OK;
}

/* At start. */

/* The checkpoint that was kept, if it is this log's, must be of a beginning of the log as it is. */
static enum status check_kept(struct witness *witness, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf bytes = {0};
    struct note note;
    struct checkpoint kept;
    struct ledger_state state;
    struct tlog_hash root;
    struct tlog_path path = {0};
    ledger_state(witness->ledger, &state);
    if (file_read_all(witness->kept, NOTE_MOST, &bytes, NULL) != OK ||
        checkpoint_open(&arena, buf_view(&bytes), &witness->log, &note, &kept, NULL) != OK || kept.size == 0)
        return OK;
    memcpy(root.bytes, state.root, sizeof root.bytes);
    if (kept.size <= state.size)
        TRY(consistency_path(witness->ledger, kept.size, state.size, &path, err));
    if (!tlog_extends(kept.size, &kept.root, state.size, &root, &path))
        return fail(
            err, CORRUPT, NULL,
            "%s holds a cosigned checkpoint of %llu entries, which the log, of %llu entries, does not continue: "
            "an older copy was restored, or the log was changed. Going on would give the world two histories. "
            "Restore the newest copy of the whole data folder.",
            witness->kept, (unsigned long long)kept.size, (unsigned long long)state.size);
    return OK;
}

enum status witness_start_check(struct witness *witness, struct error *err)
{
    TRY(check_kept(witness, err));
    witness_round(witness, WITNESS_CHECK_MS);
    return witness_alarmed(witness) ? fail(err, CORRUPT, NULL, "%s", witness->alarm) : OK;
}
