/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Judging checkpoints by a policy. */
#include "tlog/policy.h"

#include <stdlib.h>

#define UNSEEN UINT64_MAX

static enum status forged(struct str name, struct error *err)
{
    return fail(err, UNPROCESSABLE, NULL, "The signature of %.*s does not fit the checkpoint: one of them was changed.",
                STR_ARG(name));
}

/* Whether the log signed the note; a log of another origin or of a kind that cannot be verified did not. */
static enum status log_check(const struct note *note, const struct note_verifier *log, struct str origin, bool *signs,
                             struct error *err)
{
    if (log->kind != NOTE_ED25519 || !str_eq(log->name, origin))
        return OK;
    enum note_verdict verdict = note_check(note, log);
    if (verdict == NOTE_FORGED)
        return forged(log->name, err);
    *signs |= verdict == NOTE_SIGNED;
    return OK;
}

static enum status logs_check(const struct policy *policy, const struct note_verifier *log, const struct note *note,
                              struct str origin, struct error *err)
{
    bool is_signed = false;
    if (log)
        TRY(log_check(note, log, origin, &is_signed, err));
    for (size_t i = 0; !log && i < policy->log_count; i++)
        TRY(log_check(note, &policy->logs[i].verifier, origin, &is_signed, err));
    if (!is_signed)
        return fail(err, UNPROCESSABLE, NULL,
                    "The checkpoint of %.*s is not signed by a log that is trusted here: compare the name and add the "
                    "key of the log if it is the right one.",
                    STR_ARG(origin));
    return OK;
}

static int order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/*
 * From the values of the witnesses that of the quorum: the value of a group is that of the last member it needs, in
 * order of values. With times this is the second at which the quorum was met. Members stand before their groups, so
 * once over the parties is enough.
 */
static uint64_t quorum_value(struct arena *arena, const struct policy *policy, uint64_t *values)
{
    uint64_t *members = arena_array(arena, policy->party_count, sizeof *members);
    for (size_t i = 0; i < policy->party_count; i++) {
        size_t count = 0;
        if (!policy->parties[i].is_group)
            continue;
        for (size_t j = 0; j < i; j++)
            if (policy->parties[j].group == (int)i)
                members[count++] = values[j];
        qsort(members, count, sizeof *members, order);
        values[i] = members[policy->parties[i].needed - 1];
    }
    return values[policy->quorum - policy->parties];
}

/* Fills the values of the witnesses: their times, counted from 1970 on or back from INT64_MAX; UNSEEN for the others.
 */
static enum status witnesses_check(const struct policy *policy, const struct note *note, uint64_t *times,
                                   uint64_t *times_back, unsigned *count, struct error *err)
{
    for (size_t i = 0; i < policy->party_count; i++) {
        const struct policy_party *party = &policy->parties[i];
        times[i] = times_back[i] = UNSEEN;
        if (party->is_group)
            continue;
        uint64_t time;
        enum note_verdict verdict = cosignature_check(note, &party->verifier, &time);
        if (verdict == NOTE_FORGED)
            return forged(party->verifier.name, err);
        if (verdict == NOTE_UNSIGNED)
            continue;
        times[i] = time;
        times_back[i] = INT64_MAX - time;
        ++*count;
    }
    return OK;
}

enum status policy_check(struct arena *arena, const struct policy *policy, const struct note_verifier *log,
                         struct str checkpoint, struct policy_verdict *out, struct error *err)
{
    struct note note;
    *out = (struct policy_verdict){0};
    TRY(note_parse(arena, checkpoint, &note, err));
    TRY(checkpoint_parse(note.text, &out->checkpoint, err));
    TRY(logs_check(policy, log, &note, out->checkpoint.origin, err));
    uint64_t *times = arena_array(arena, policy->party_count, sizeof *times);
    uint64_t *times_back = arena_array(arena, policy->party_count, sizeof *times_back);
    TRY(witnesses_check(policy, &note, times, times_back, &out->cosignatures, err));
    if (!policy->quorum)
        return OK;
    uint64_t seen_by = quorum_value(arena, policy, times);
    if (seen_by == UNSEEN)
        return fail(
            err, UNPROCESSABLE, NULL,
            "The checkpoint is signed by %u of the policy's witnesses, which is not the quorum that it asks for. "
            "Try again with a newer proof; a log that goes on without witnesses may show others another history.",
            out->cosignatures);
    out->seen_by = seen_by;
    out->fresh_at = INT64_MAX - quorum_value(arena, policy, times_back);
    return OK;
}
