/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "verify/memory.h"
#include "base/file.h"
#include "base/text.h"
#include <stdlib.h>

#define VKEY_MOST 4096
#define CHECKPOINT_MOST (256 * 1024)

/* The file for what: a folder of ours, and a name that any address or key can have. */
static bool path_of(struct run *run, const char *folder, struct str what, struct str *out)
{
    struct arena *arena = &run->report.arena;
    const char *given = run->settings.state, *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    uint8_t digest[SHA256_SIZE];
    struct str base = given               ? str_of(given)
                      : state && state[0] ? arena_printf(arena, "%s/cairn", state)
                      : home && home[0]   ? arena_printf(arena, "%s/.local/state/cairn", home)
                      : run->kept         ? STR(".")
                                          : (struct str){0};
    if (!str_given(base))
        return found(&run->report, UNABLE, "memory",
                     "There is no folder to remember keys and checkpoints in: say which, with --state.");
    sha256(what, digest);
    *out = arena_printf(arena, "%.*s/%s/%.*s", STR_ARG(base), folder, STR_ARG(hex_encode(arena, digest, SHA256_SIZE)));
    return true;
}

static bool read_file(struct run *run, struct str path, struct str *out, bool *there)
{
    auto_buf struct buf bytes = {0};
    struct error err;
    enum status status = file_read_all(path.data, CHECKPOINT_MOST, &bytes, &err);
    *there = status == OK;
    *out = arena_copy(&run->report.arena, buf_view(&bytes));
    return status == OK || status == NOT_FOUND ||
           found(&run->report, UNABLE, "memory", "What was remembered cannot be read: %s", err.message);
}

static bool write_file(struct run *run, struct str path, struct str content)
{
    struct str folder = path;
    struct error err;
    while (folder.len && folder.data[folder.len - 1] != '/')
        folder.len--;
    if (folder_make(arena_cstr(&run->report.arena, folder), 0700, &err) == OK &&
        file_write_durable(path.data, content, 0600, &err) == OK)
        return true;
    return found(&run->report, UNABLE, "memory", "What was seen cannot be remembered: %s", err.message);
}

static struct kept *find_kept(struct run *run, struct str path)
{
    struct kept *at = *run->kept;
    while (at && !str_eq(buf_view(&at->path), path))
        at = at->next;
    return at;
}

static bool recall(struct run *run, struct str path, struct str *out, bool *there)
{
    if (!run->kept)
        return read_file(run, path, out, there);
    const struct kept *at = find_kept(run, path);
    *there = at != NULL;
    *out = at ? arena_copy(&run->report.arena, buf_view(&at->content)) : (struct str){0};
    return true;
}

static bool remember(struct run *run, struct str path, struct str content)
{
    if (!run->kept)
        return write_file(run, path, content);
    struct kept *at = find_kept(run, path);
    if (!at) {
        at = calloc(1, sizeof *at);
        if (!at)
            abort();
        buf_str(&at->path, path);
        at->next = *run->kept;
        *run->kept = at;
    }
    at->content.len = 0;
    buf_str(&at->content, content);
    return true;
}

void kept_free(struct kept *first)
{
    while (first) {
        struct kept *next = first->next;
        buf_free(&first->path);
        buf_free(&first->content);
        free(first);
        first = next;
    }
}

/* Keys. */

static bool fetch_key(struct run *run, const struct source *source, struct str *line)
{
    struct error err;
    if (source_read(source, &run->report.arena, STR("vkey"), VKEY_MOST, line, &err) != OK)
        return found(&run->report, UNABLE, "key", "The log's key cannot be asked for: %s", err.message);
    *line = str_trim(*line);
    return true;
}

static bool take_key(struct run *run, const struct source *source, struct str line)
{
    struct error err;
    run->trust.has_log = note_verifier_parse(&run->report.arena, line, &run->trust.log, &err) == OK &&
                         run->trust.log.kind == NOTE_ED25519;
    return run->trust.has_log ||
           found(&run->report, FAILED, "key", "%.*s/vkey is not the key of a log.", STR_ARG(source->base));
}

bool memory_trust(struct run *run, const struct source *source)
{
    struct str path, line, remembered;
    bool there;
    if (run->settings.vkey || run->settings.policy)
        return true;
    if (!path_of(run, "keys", source->base, &path) || !recall(run, path, &remembered, &there))
        return false;
    if (there && run->brief)
        return take_key(run, source, str_trim(remembered));
    if (!fetch_key(run, source, &line) || !take_key(run, source, line))
        return false;
    if (!there) {
        found(&run->report, NOTED, "key",
              "The key %.*s was taken on trust from %.*s: compare it with what others know, or "
              "say --vkey or --policy. From now on only this key will do.",
              STR_ARG(line), STR_ARG(source->base));
        return true;
    }
    if (!str_eq(str_trim(remembered), line))
        return found(
            &run->report, FAILED, "key",
            "%.*s shows the key %.*s, but had %.*s before. Ask its operator why; when that is in order, remove %.*s.",
            STR_ARG(source->base), STR_ARG(line), STR_ARG(str_trim(remembered)), STR_ARG(path));
    found(&run->report, NOTED, "key", "The key is the one that was taken on trust from %.*s the first time.",
          STR_ARG(source->base));
    return true;
}

/* Checkpoints. */

/* Which of the trusted logs it was. */
static enum status find_log(struct run *run, struct str note, struct seen *out, struct error *err)
{
    const struct trust *trust = &run->trust;
    struct note parsed;
    out->log = trust->log;
    if (trust->has_log)
        return checkpoint_open(&run->report.arena, note, &trust->log, &parsed, &out->checkpoint, err);
    for (size_t i = 0; i < trust->policy.log_count; i++) {
        out->log = trust->policy.logs[i].verifier;
        if (out->log.kind == NOTE_ED25519 &&
            checkpoint_open(&run->report.arena, note, &out->log, &parsed, &out->checkpoint, err) == OK)
            return OK;
    }
    return fail(err, UNPROCESSABLE, NULL, "The checkpoint is not signed by a log of the policy.");
}

bool seen_open(struct run *run, struct str note, bool with_quorum, struct seen *out)
{
    struct policy_verdict verdict;
    struct error err;
    if (find_log(run, note, out, &err) != OK)
        return found_error(&run->report, "checkpoint", &err);
    if (with_quorum && policy_check(&run->report.arena, &run->trust.policy, &out->log, note, &verdict, &err) != OK)
        return found_error(&run->report, "checkpoint", &err);
    out->note = note;
    return !with_quorum || fresh_check(run, &verdict);
}

bool seen_has_quorum(struct run *run, struct str note)
{
    struct seen seen;
    struct policy_verdict verdict;
    return find_log(run, note, &seen, NULL) == OK &&
           policy_check(&run->report.arena, &run->trust.policy, &seen.log, note, &verdict, NULL) == OK;
}

static bool checkpoint_path(struct run *run, const struct note_verifier *log, struct str *out)
{
    auto_buf struct buf line = {0};
    note_verifier_write(&line, log);
    return path_of(run, "checkpoints", buf_view(&line), out);
}

/* What this process has in its memory it has verified before. */
static enum status reopen(struct run *run, struct seen *seen, struct error *err)
{
    struct note parsed;
    if (!run->kept)
        return checkpoint_open(&run->report.arena, seen->note, &seen->log, &parsed, &seen->checkpoint, err);
    TRY(note_parse(&run->report.arena, seen->note, &parsed, err));
    return checkpoint_parse(parsed.text, &seen->checkpoint, err);
}

bool memory_recall(struct run *run, const struct note_verifier *log, struct seen *out, bool *known)
{
    struct str path;
    struct error err;
    if (!checkpoint_path(run, log, &path) || !recall(run, path, &out->note, known))
        return false;
    out->log = *log;
    if (!*known || reopen(run, out, &err) == OK)
        return true;
    return found(&run->report, UNABLE, "memory", "The checkpoint that was remembered in %.*s is damaged. %s",
                 STR_ARG(path), err.message);
}

bool memory_conflict(struct run *run, const struct seen *before, const struct seen *now)
{
    struct arena *arena = &run->report.arena;
    struct str path;
    if (!checkpoint_path(run, &before->log, &path))
        return false;
    struct str one = arena_printf(arena, "%.*s.one", STR_ARG(path)),
               other = arena_printf(arena, "%.*s.other", STR_ARG(path));
    unsigned long long size = now->checkpoint.size, size_before = before->checkpoint.size;
    if (!write_file(run, one, before->note) || !write_file(run, other, now->note))
        return false;
    if (size < size_before)
        return found(
            &run->report, FAILED, "consistency",
            "The log %.*s went back: it shows %llu entries, but had %llu before. Both checkpoints, signed by it, are "
            "kept in %.*s and %.*s.",
            STR_ARG(now->checkpoint.origin), size, size_before, STR_ARG(one), STR_ARG(other));
    return found(
        &run->report, FAILED, "consistency",
        "The log %.*s is forked: the %llu entries that it shows do not begin with the %llu that it had before. Both "
        "checkpoints, signed by it, prove that; they are kept in %.*s and %.*s.",
        STR_ARG(now->checkpoint.origin), size, size_before, STR_ARG(one), STR_ARG(other));
}

bool memory_keep(struct run *run, const struct source *source, const struct seen *now)
{
    auto_buf struct buf line = {0};
    struct str path;
    if (!checkpoint_path(run, &now->log, &path) || !remember(run, path, now->note))
        return false;
    if (run->settings.vkey || run->settings.policy)
        return true;
    note_verifier_write(&line, &now->log);
    buf_byte(&line, '\n');
    return path_of(run, "keys", source->base, &path) && remember(run, path, buf_view(&line));
}
