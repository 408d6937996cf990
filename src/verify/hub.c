/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A folder against a hub that is asked for the proof. */
#include "base/text.h"
#include "fetch/fetch.h"
#include "verify/memory.h"

static bool fetch_proof(struct run *run, struct str *out)
{
    const struct settings *settings = &run->settings;
    struct arena *arena = &run->report.arena;
    struct source hub = source_of(arena, settings->hub);
    struct fetch_answer answer;
    struct error err;
    struct str revision = percent_encode(arena, str_of(settings->revision ? settings->revision : "main"), false);
    struct fetch what = {
        .url = arena_printf(arena, "%.*s/api/%ss/%.*s/provenance/%.*s.tlog-proof", STR_ARG(hub.base),
                            settings->type ? settings->type : "model",
                            STR_ARG(percent_encode(arena, str_of(settings->repo), true)), STR_ARG(revision)),
        .token = str_of(settings->token),
        .limit = PROOF_MOST,
        .follow = true, /* to where a repo was moved */
    };
    if (fetch(arena, &what, &answer, &err) != OK)
        return found(&run->report, UNABLE, "hub", "%s", err.message);
    if (answer.status != 200)
        return found(&run->report, UNABLE, "hub", "%.*s answers with status %d: %s.", STR_ARG(what.url), answer.status,
                     answer.status == 404   ? "there is no such repo or revision for you, or nothing was logged of it"
                     : answer.status == 401 ? settings->token ? "the token is none of this hub's, or has ended"
                                                              : "say who you are, with a token"
                                            : "no proof");
    *out = answer.body;
    return true;
}

/* A branch means what the hub says that it means; a commit id is in the leaf. */
static bool revision_check(struct run *run)
{
    const struct leaf *leaf = &run->proven.leaf;
    struct str revision = str_of(run->settings.revision ? run->settings.revision : "main");
    uint8_t id[SHA1_SIZE];
    if (!hex_decode(revision, id, sizeof id)) {
        found(&run->report, NOTED, "revision",
              "That this is what %s holds at %.*s is the hub's word; name a commit to have "
              "that checked too.",
              run->settings.repo, STR_ARG(revision));
        return true;
    }
    for (size_t i = 0; i < leaf->subject_count; i++)
        if (str_eq(leaf->subjects[i].algorithm, STR("gitCommit")) &&
            str_eq_nocase(leaf->subjects[i].digest, revision)) {
            found(&run->report, PASSED, "revision", "The entry is about commit %.*s.", STR_ARG(revision));
            return true;
        }
    return found(&run->report, FAILED, "revision", "The entry is not about commit %.*s.", STR_ARG(revision));
}

static bool consistent(struct run *run, const struct source *source, const struct seen *a, const struct seen *b,
                       bool *out)
{
    bool in_order = a->checkpoint.size <= b->checkpoint.size;
    const struct seen *smaller = in_order ? a : b, *larger = in_order ? b : a;
    struct error err;
    enum status status = source_consistent(source, &smaller->checkpoint, &larger->checkpoint, out, &err);
    if (status == NOT_FOUND) /* it must serve what its checkpoint covers */
        return found(&run->report, FAILED, "consistency", "The log lacks what its checkpoint covers. %s", err.message);
    return status == OK || found_error(&run->report, "consistency", &err);
}

/* Its signature has been looked at with the proof. */
static bool proof_seen(struct run *run, struct seen *out)
{
    struct str note = run->proven.proof.checkpoint;
    if (!run->trust.has_log)
        return seen_open(run, note, false, out);
    *out = (struct seen){.log = run->trust.log, .checkpoint = run->proven.verdict.checkpoint, .note = note};
    return true;
}

/* The hub's newest checkpoint (unless this is to be brief), that of the proof, and the one remembered must all be of one history. */
static bool history_check(struct run *run, const struct source *source)
{
    struct seen proof, now, before;
    struct str note;
    struct error err;
    bool known, same;
    /* Others on this machine may remember something newer at any time: what is recalled must be older than what is asked for after it. */
    if (!proof_seen(run, &proof) || !memory_recall(run, &proof.log, &before, &known))
        return false;
    const struct seen *newest = &proof;
    if (!run->brief || (known && proof.checkpoint.size < before.checkpoint.size)) {
        if (source_read(source, &run->report.arena, STR("checkpoint"), NOTE_MOST, &note, &err) != OK)
            return found_error(&run->report, "checkpoint", &err);
        if (!seen_open(run, note, false, &now) || !consistent(run, source, &proof, &now, &same))
            return false;
        /* A hub may keep a checkpoint for a few seconds. */
        newest = proof.checkpoint.size > now.checkpoint.size ? &proof : &now;
        if (!same)
            return memory_conflict(run, newest == &proof ? &now : &proof, newest);
    }
    if (known && newest->checkpoint.size < before.checkpoint.size)
        return memory_conflict(run, &before, newest);
    if (known && !consistent(run, source, &before, newest, &same))
        return false;
    if (known && !same)
        return memory_conflict(run, &before, newest);
    if (known)
        found(&run->report, PASSED, "consistency",
              "The log has only grown since it was last seen with %llu entries; it has %llu.",
              (unsigned long long)before.checkpoint.size, (unsigned long long)newest->checkpoint.size);
    else
        found(&run->report, NOTED, "consistency", "The log is seen for the first time; its checkpoint is remembered.");
    return memory_keep(run, source, newest);
}

bool hub_proof_check(struct run *run, const struct source *log, struct str proof)
{
    bool good = proof_check(run, proof);
    if (!run->has_proven)
        return false;
    good = revision_check(run) && good;
    return history_check(run, log) && good;
}

bool hub_check(struct run *run)
{
    struct arena *arena = &run->report.arena;
    struct source hub = source_of(arena, run->settings.hub);
    struct source log = source_of(arena, arena_printf(arena, "%.*s/log", STR_ARG(hub.base)).data);
    struct str proof;
    return memory_trust(run, &log) && fetch_proof(run, &proof) && hub_proof_check(run, &log, proof);
}
