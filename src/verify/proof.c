/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Proof files: what they prove, and what goes with them. */
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "leaf/commitment.h"
#include "leaf/leaf_type.h"
#include "verify/run.h"

/* "36h", in seconds. */
static bool read_age(struct str text, int64_t *out)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    for (size_t i = 0; text.len && i < sizeof units / sizeof *units; i++)
        if (text.data[text.len - 1] == units[i].unit)
            return str_to_i64(str_slice(text, 0, text.len - 1), out) && *out > 0 &&
                   !__builtin_mul_overflow(*out, units[i].seconds, out);
    return false;
}

bool trust_read(struct run *run)
{
    struct report *report = &run->report;
    struct trust *trust = &run->trust;
    auto_buf struct buf text = {0};
    struct error err;
    if (run->settings.vkey) {
        if (note_verifier_parse(&report->arena, str_trim(str_of(run->settings.vkey)), &trust->log, &err) != OK)
            return found(report, MISUSED, "key", "The key of the log is not usable. %s", err.message);
        if (trust->log.kind != NOTE_ED25519)
            return found(report, MISUSED, "key", "The key is that of a witness; what is asked for is that of a log.");
        trust->has_log = true;
    }
    if (!run->settings.policy)
        return true;
    if (run->settings.max_age && !read_age(str_of(run->settings.max_age), &trust->max_age))
        return found(report, MISUSED, "policy", "\"%s\" is not a time such as 90s, 15m, 36h or 7d.",
                     run->settings.max_age);
    if (file_read_all(run->settings.policy, POLICY_MOST, &text, &err) != OK)
        return found(report, UNABLE, "policy", "The policy cannot be read: %s", err.message);
    if (policy_parse(&report->arena, buf_view(&text), &trust->policy, &err) != OK)
        return found(report, MISUSED, "policy", "The policy %s is not usable. %s", run->settings.policy, err.message);
    if (trust->max_age && !trust->policy.quorum)
        return found(report, MISUSED, "policy", "--max-age goes by witnesses, and the policy %s asks for none.",
                     run->settings.policy);
    if (!trust->has_log && trust->policy.log_count == 0)
        return found(report, MISUSED, "policy", "The policy %s names no log, so say whose log it is: --vkey.",
                     run->settings.policy);
    return true;
}

/* "2026-11-24T04:09:00Z" for people; a foreign clock may have said anything. */
static const char *show_time(uint64_t seconds, char out[21])
{
    if (seconds >= LEAF_TIME_LIMIT)
        return "a time beyond the year 9999";
    leaf_time((int64_t)seconds, out);
    return out;
}

static void say_checkpoint(struct run *run)
{
    const struct policy_verdict *verdict = &run->proven.verdict;
    struct str root = hex_encode(&run->report.arena, verdict->checkpoint.root.bytes, SHA256_SIZE);
    char seen[21];
    found(&run->report, PASSED, "checkpoint", "The log %.*s signed that it has %llu entries with root %.*s.",
          STR_ARG(verdict->checkpoint.origin), (unsigned long long)verdict->checkpoint.size, STR_ARG(root));
    if (run->trust.policy.quorum)
        found(&run->report, PASSED, "witnesses", "%u witnesses of the policy confirm that, a quorum of them by %s.",
              verdict->cosignatures, show_time(verdict->seen_by, seen));
    else
        found(&run->report, NOTED, "witnesses",
              "No witness was asked for: a log that shows others another history would not be noticed here.");
}

bool fresh_check(struct run *run, const struct policy_verdict *verdict)
{
    int64_t max_age = run->trust.max_age, now = now_us() / SECOND_US;
    char at[21];
    if (!max_age || (verdict->fresh_at <= INT64_MAX && now - (int64_t)verdict->fresh_at <= max_age))
        return true;
    return found(
        &run->report, FAILED, "age",
        "A quorum of witnesses last confirmed this checkpoint at %s, which is too long ago: ask for a newer one.",
        show_time(verdict->fresh_at, at));
}

static void say_leaf(struct run *run)
{
    const struct proven *proven = &run->proven;
    struct arena *arena = &run->report.arena;
    const struct leaf *leaf = &proven->leaf;
    char at[21];
    struct str actor =
        leaf->by_person ? arena_printf(arena, "person %.*s", STR_ARG(hex_encode(arena, leaf->actor, LEAF_ACTOR_SIZE)))
                        : STR("the hub");
    struct str repo = leaf->of_repo ? arena_printf(arena, ", number %llu of repo %.*s", (unsigned long long)leaf->rseq,
                                                   STR_ARG(hex_encode(arena, leaf->repo, LEAF_REPO_SIZE)))
                                    : STR("");
    found(&run->report, PASSED, "inclusion",
          "Entry %llu is in it: a leaf of type %.*s%.*s, written at %s by %.*s (%s).",
          (unsigned long long)proven->proof.index, STR_ARG(leaf->type), STR_ARG(repo),
          show_time((uint64_t)leaf->at, at), STR_ARG(actor), leaf_auth_names[leaf->auth]);
    found(&run->report, NOTED, "leaf", "It says: %.*s", STR_ARG(proven->extra.leaf));
}

static bool opening_check(struct run *run, const struct opening *opening)
{
    static const uint8_t of_hub[LEAF_REPO_SIZE];
    const struct leaf *leaf = &run->proven.leaf;
    const struct commitment_place place = {leaf->of_repo ? leaf->repo : of_hub, leaf->rseq,
                                           arena_cstr(&run->report.arena, opening->field)};
    for (size_t i = 0; i < leaf->commitment_count; i++)
        if (str_eq(leaf->commitments[i].field, opening->field) &&
            commitment_opens(leaf->commitments[i].digest, opening->secret, &place, opening->value)) {
            found(&run->report, PASSED, "opening", "The commitment \"%.*s\" opens as \"%.*s\".",
                  STR_ARG(opening->field), STR_ARG(opening->value));
            return true;
        }
    return found(&run->report, FAILED, "opening",
                 "The proof says that \"%.*s\" is \"%.*s\", but the leaf commits to no such value.",
                 STR_ARG(opening->field), STR_ARG(opening->value));
}

/* The list of files is as good as the leaf, once its dirHash1 is that of the leaf. */
static bool list_check(struct run *run)
{
    struct proven *proven = &run->proven;
    struct manifest_rules none = {0};
    struct str logged = leaf_get(&proven->leaf, "dirHash1").text;
    struct error err;
    if (proven->extra.file_count == 0)
        return true;
    if (manifest_make(&run->report.arena, proven->extra.files, proven->extra.file_count, &none, &proven->files, &err) !=
        OK)
        return found_error(&run->report, "list", &err);
    proven->has_files = str_eq(hex_encode(&run->report.arena, proven->files.dir_hash, SHA256_SIZE), logged);
    return proven->has_files ||
           found(&run->report, FAILED, "list", "The list of files in the proof is not the one that was logged.");
}

/* Reads what the proof is about before it is proved, but says nothing of it until then. */
static bool contents_read(struct run *run, struct str bytes)
{
    struct proven *proven = &run->proven;
    struct arena *arena = &run->report.arena;
    struct error err;
    if (proof_parse(arena, bytes, &proven->proof, &err) != OK)
        return found_error(&run->report, "proof", &err);
    if (!str_given(proven->proof.extra))
        return found(&run->report, FAILED, "proof",
                     "The proof does not say what it is about: its line \"extra\" is missing.");
    return extra_parse(arena, proven->proof.extra, &proven->extra, &err) == OK ||
           found_error(&run->report, "proof", &err);
}

bool proof_check(struct run *run, struct str bytes)
{
    struct proven *proven = &run->proven;
    struct arena *arena = &run->report.arena;
    struct error err;
    *proven = (struct proven){0};
    if (!contents_read(run, bytes))
        return false;
    if (proof_verify(arena, &proven->proof, proven->extra.leaf, &run->trust.policy,
                     run->trust.has_log ? &run->trust.log : NULL, &proven->verdict, &err) != OK)
        return found_error(&run->report, "proof", &err);
    run->has_proven = true;
    say_checkpoint(run);
    bool good = fresh_check(run, &proven->verdict);
    if (leaf_parse(arena, proven->extra.leaf, &proven->leaf, &err) != OK) {
        proven->leaf = (struct leaf){0};
        return found_error(&run->report, "leaf", &err);
    }
    say_leaf(run);
    good = list_check(run) && good;
    for (size_t i = 0; i < proven->extra.opening_count; i++)
        good = opening_check(run, &proven->extra.openings[i]) && good;
    return good;
}
