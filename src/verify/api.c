/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The public interface (include/cairn/verify.h): settings, and what a run makes of them. */
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "verify/run.h"
#include <stdlib.h>

struct cairn_verify {
    struct settings given; /* texts are owned */
    void (*progress)(void *context, const char *line);
    void *progress_context;
    struct run run; /* the last one */
    char *json;
};

static const struct {
    const char *name;
    size_t place;
    bool is_flag;
} names[] = {
    {"folder", offsetof(struct settings, folder), false},
    {"proof", offsetof(struct settings, proof), false},
    {"vkey", offsetof(struct settings, vkey), false},
    {"policy", offsetof(struct settings, policy), false},
    {"max-age", offsetof(struct settings, max_age), false},
    {"tensor", offsetof(struct settings, tensor), false},
    {"tensors", offsetof(struct settings, tensors), true},
    {"partial", offsetof(struct settings, partial), true},
    {"links", offsetof(struct settings, links), true},
    {"bundle", offsetof(struct settings, bundle), false},
    {"key", offsetof(struct settings, key), false},
    {"certificate-chain", offsetof(struct settings, certificate_chain), false},
    {"at", offsetof(struct settings, at), false},
    {"hub", offsetof(struct settings, hub), false},
    {"repo", offsetof(struct settings, repo), false},
    {"type", offsetof(struct settings, type), false},
    {"revision", offsetof(struct settings, revision), false},
    {"token", offsetof(struct settings, token), false},
    {"log", offsetof(struct settings, log), false},
    {"state", offsetof(struct settings, state), false},
};
#define NAMES (sizeof names / sizeof *names)

static const char **setting(struct settings *settings, size_t i)
{
    return (const char **)((char *)settings + names[i].place);
}

static void *or_abort(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct cairn_verify *cairn_verify_new(void)
{
    struct cairn_verify *verify = or_abort(calloc(1, sizeof *verify));
    verify->run.folder.fd = -1;
    return verify;
}

static void forget_run(struct cairn_verify *verify)
{
    folder_free(&verify->run.folder);
    arena_free(&verify->run.report.arena);
    free(verify->json);
    verify->json = NULL;
    verify->run = (struct run){.folder.fd = -1};
}

void cairn_verify_free(struct cairn_verify *verify)
{
    if (!verify)
        return;
    forget_run(verify);
    for (size_t i = 0; i < NAMES; i++)
        free((void *)*setting(&verify->given, i));
    free(verify);
}

int cairn_verify_set(struct cairn_verify *verify, const char *name, const char *value)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (strcmp(name, names[i].name) != 0)
            continue;
        const char **place = setting(&verify->given, i);
        bool absent = !value || (names[i].is_flag && (!value[0] || strcmp(value, "0") == 0));
        free((void *)*place);
        *place = absent ? NULL : or_abort(strdup(value));
        return 0;
    }
    return -1;
}

void cairn_verify_on_progress(struct cairn_verify *verify, void (*progress)(void *context, const char *line),
                              void *context)
{
    verify->progress = progress;
    verify->progress_context = context;
}

/* What makes no sense, or would leave something that was named unchecked. The first rule that applies is the one told.
 */

static bool is_repo_name(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && slash != name && slash[1] && !strchr(slash + 1, '/');
}

static bool is_address(const char *text)
{
    return str_starts(str_of(text), STR("http://")) || str_starts(str_of(text), STR("https://"));
}

static const char *misuse(const struct settings *s)
{
    bool proves = s->proof || s->hub;
    const struct {
        bool applies;
        const char *why;
    } rules[] = {
        {s->log && (s->folder || proves || s->bundle), "A whole log is verified alone: --log goes with nothing else."},
        {!s->log && !proves && !s->bundle, "There is nothing to verify with: say --proof, --bundle, --hub or --log."},
        {s->proof && s->hub, "Say --proof or --hub: the hub would be asked for the proof."},
        {s->hub && !is_address(s->hub), "A hub has an address such as https://hub.example.org."},
        {s->hub && !s->repo, "Say which repo of the hub: --repo ns/name."},
        {!s->hub && (s->repo || s->type || s->revision || s->token),
         "--repo, --type, --revision and a token only go with --hub."},
        {s->repo && !is_repo_name(s->repo), "A repo is named ns/name."},
        {s->type && strcmp(s->type, "model") && strcmp(s->type, "dataset") && strcmp(s->type, "space"),
         "--type is model, dataset or space."},
        {(s->hub || s->bundle) && !s->folder, "Say which folder is to be verified."},
        {s->proof && !s->vkey && !s->policy, "Say whose log is trusted: --vkey or --policy."},
        {(s->vkey || s->policy) && !proves && !s->log, "--vkey and --policy only go with --proof, --hub or --log."},
        {s->max_age && !s->policy, "--max-age needs a policy: it goes by the times of witnesses."},
        {s->bundle && !s->key && !s->certificate_chain,
         "Say who is trusted to have signed: --key or --certificate-chain."},
        {s->key && s->certificate_chain, "Say --key or --certificate-chain: a bundle is signed in one way."},
        {(s->key || s->certificate_chain) && !s->bundle, "--key and --certificate-chain only go with --bundle."},
        {s->at && !s->certificate_chain, "--at only goes with --certificate-chain."},
        {(s->tensors || s->partial) && !(proves && s->folder),
         "--tensors and --partial need a folder and a proof of it."},
        {s->tensor && !(proves && s->folder), "--tensor needs a folder and a proof of its revision."},
        {s->tensor && (s->tensors || s->partial || s->bundle),
         "--tensor checks one tensor and no file, so it does not go with --tensors, --partial or --bundle."},
        {s->tensors && s->partial, "--tensors needs all files, so it does not go with --partial."},
        {s->partial && s->bundle, "--bundle needs all files, so it does not go with --partial."},
        {s->links && !s->folder, "--links needs a folder."},
        {s->state && !s->hub && !s->log, "--state only goes with --hub or --log: nothing else is remembered."},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].applies)
            return rules[i].why;
    return NULL;
}

static void run_all(struct run *run)
{
    const struct settings *s = &run->settings;
    const char *const own[] = {s->proof, s->bundle, s->key, s->certificate_chain, s->policy, s->tensor};
    const char *why = misuse(s);
    auto_buf struct buf proof = {0};
    struct error err;
    if (why) {
        found(&run->report, MISUSED, "settings", "%s", why);
        return;
    }
    if (!trust_read(run))
        return;
    if (s->log)
        log_check(run);
    if (s->hub)
        hub_check(run);
    if (s->proof && file_read_all(s->proof, PROOF_MOST + 1, &proof, &err) != OK)
        found(&run->report, UNABLE, "proof", "The proof cannot be read: %s", err.message);
    else if (s->proof)
        proof_check(run, buf_view(&proof));
    if (!s->folder) {
        if (s->proof)
            found(&run->report, NOTED, "files", "No files were checked: no folder was named.");
        return;
    }
    if (!folder_open(&run->folder, s->folder, s->links != NULL, own, sizeof own / sizeof *own, &run->report))
        return;
    bool is_read = run->has_proven && run->proven.leaf.type.len;
    if (s->tensor) {
        if (is_read)
            tensor_check(run);
        return;
    }
    bool good = is_read && files_check(run);
    if (good && s->tensors)
        tensors_check(run);
    if (s->bundle)
        signature_check(run);
}

enum cairn_verdict cairn_verify_run(struct cairn_verify *verify)
{
    forget_run(verify);
    verify->run.settings = verify->given;
    verify->run.progress = (struct progress){.call = verify->progress, .context = verify->progress_context};
    run_all(&verify->run);
    return report_verdict(&verify->run.report);
}

size_t cairn_verify_count(const struct cairn_verify *verify)
{
    return verify->run.report.count;
}

const struct cairn_finding *cairn_verify_finding(const struct cairn_verify *verify, size_t index)
{
    return index < verify->run.report.count ? &verify->run.report.findings[index] : NULL;
}

static void write_findings(struct json_writer *w, const struct report *report)
{
    jw_key(w, "findings");
    jw_array(w);
    for (size_t i = 0; i < report->count; i++) {
        jw_object(w);
        jw_key_str(w, "outcome", str_of(report->findings[i].outcome));
        jw_key_str(w, "check", str_of(report->findings[i].check));
        jw_key_str(w, "text", str_of(report->findings[i].text));
        jw_end(w);
    }
    jw_end(w);
}

static void write_proven(struct json_writer *w, struct run *run)
{
    const struct policy_verdict *verdict = &run->proven.verdict;
    jw_key(w, "log");
    jw_object(w);
    jw_key_str(w, "origin", verdict->checkpoint.origin);
    jw_key_int(w, "size", (int64_t)verdict->checkpoint.size);
    jw_key_str(w, "root", hex_encode(&run->report.arena, verdict->checkpoint.root.bytes, SHA256_SIZE));
    jw_key_int(w, "index", (int64_t)run->proven.proof.index);
    jw_key_int(w, "cosignatures", verdict->cosignatures);
    jw_key_int(w, "seenBy", (int64_t)(verdict->seen_by & INT64_MAX));
    jw_key_int(w, "freshAt", (int64_t)(verdict->fresh_at & INT64_MAX));
    jw_end(w);
    if (run->proven.leaf.type.len) { /* it was read, so its text is JSON */
        jw_key(w, "leaf");
        jw_raw(w, run->proven.extra.leaf);
    }
}

const char *cairn_verify_json(struct cairn_verify *verify)
{
    struct run *run = &verify->run;
    struct buf text = {0};
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    jw_key_str(&w, "verdict", str_of(verdict_name(report_verdict(&run->report))));
    write_findings(&w, &run->report);
    if (run->has_proven)
        write_proven(&w, run);
    jw_end(&w);
    buf_byte(&text, '\0');
    free(verify->json);
    verify->json = text.data;
    return verify->json;
}

const char *cairn_version(void)
{
    return CAIRN_VERSION;
}
