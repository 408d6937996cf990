/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * Before anything is trained: the model that the hub has handed out is the one that its log has for the commit which the round starts from
 * (federated.md 2.3), and the log has only grown since this side has last seen it. So a hub that gives each participant another model, to
 * learn from how their updates differ, has to write that down where everybody finds it.
 */
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "train/internal.h"
#include "verify/memory.h"
#include <stdio.h>

#define WAIT_US (SECOND_US / 4)
#define WAIT_MOST_US (10 * SECOND_US)

/* What the hub has logged of a commit from before the training follows in a moment, or in minutes for a large model. */
static enum status fetch_proof(const struct round *round, struct buf *out, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proof?round=%lld", (long long)round->number);
    enum status status = ask_piece(round->part, path, out, err);
    for (bool told = false; status == CONFLICT && error_is(err, "NotLogged"); told = true) {
        if (!told)
            tell(round->part, "The model is not in the hub's log yet; waiting for it");
        doze(WAIT_US);
        status = ask_piece(round->part, path, out, err);
    }
    return status;
}

/* A digest of the file in hex, as the leaf has it: of the model that a round has made, or of a file in the list of a manifest. Of a round's model
 * there is a BLAKE3, too, which takes a third of the time of a SHA-256. */
struct logged {
    struct str hex;
    bool is_blake3;
};

static struct logged logged_digest(struct run *run, struct str file)
{
    const struct proven *proven = &run->proven;
    if (str_eq(proven->leaf.type, STR("federated-round"))) {
        struct str fast = leaf_get(&proven->leaf, "blake3").text;
        return str_given(fast) ? (struct logged){fast, true} : (struct logged){leaf_get(&proven->leaf, "result").text};
    }
    for (size_t i = 0; proven->has_files && i < proven->files.count; i++)
        if (str_eq(proven->files.files[i].name, file))
            return (struct logged){hex_encode(&run->report.arena, proven->files.files[i].sha256, SHA256_SIZE)};
    return (struct logged){0};
}

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, FORBIDDEN, "NotLogged", "Nothing is trained: %s", why);
}

static enum status compare(struct run *run, const struct round *round, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    struct str bytes = buf_view(&round->model.bytes);
    struct logged logged = logged_digest(run, json_get_str(round->told, "model"));
    if (!str_given(logged.hex))
        return refuse(err, "what the hub has logged of the commit does not say which model is in it.");
    if (logged.is_blake3)
        blake3(bytes, digest);
    else
        sha256(bytes, digest);
    return str_eq(logged.hex, hex_encode(&run->report.arena, digest, sizeof digest))
               ? OK
               : refuse(err, "the hub has handed out another model than the one in its log.");
}

/* The first finding that says what is wrong, or else what could not be checked: by the hub's fault, which may pass, or by this side's. */
static enum status verdict(const struct report *report, struct error *err)
{
    const char *outcome = report->counts[FAILED] ? "failed" : "unable";
    const struct cairn_finding *finding = report->findings, *end = finding + report->count;
    while (finding < end && strcmp(finding->outcome, outcome) != 0)
        finding++;
    if (finding == end)
        return refuse(err, "the hub's proof proves nothing.");
    if (report->counts[FAILED])
        return refuse(err, finding->text);
    enum status status = strcmp(finding->check, "memory") == 0 ? INVALID : UNAVAILABLE;
    return fail(err, status, NULL, "The hub's log cannot be checked: %s", finding->text);
}

static enum status check_in(struct run *run, const struct round *round, struct error *err)
{
    auto_buf struct buf proof = {0};
    struct source log =
        source_of(&run->report.arena, arena_printf(&run->report.arena, "%s/log", run->settings.hub).data);
    TRY(fetch_proof(round, &proof, err));
    if (!memory_trust(run, &log) || !hub_proof_check(run, &log, buf_view(&proof)))
        return verdict(&run->report, err);
    return compare(run, round, err);
}

static enum status check_once(const struct round *round, struct error *err)
{
    struct cairn_federate *part = round->part;
    struct run run = {
        .settings = {.repo = part->repo, .state = part->state}, .kept = part->state ? NULL : &part->log, .brief = true};
    struct arena *arena = &run.report.arena;
    run.settings.hub = arena_cstr(arena, hub_address(part));
    run.settings.revision = arena_cstr(arena, json_get_str(round->told, "base"));
    enum status status = check_in(&run, round, err);
    arena_free(arena);
    return status;
}

enum status check_logged(const struct round *round, struct error *err)
{
    int64_t until = monotonic_us() + round->part->patience_us, wait = WAIT_US;
    enum status status = check_once(round, err);
    for (; status == UNAVAILABLE && monotonic_us() + wait <= until; status = check_once(round, err)) {
        tell(round->part, "%s Asking again in %.1f s", err->message, (double)wait / SECOND_US);
        doze(wait);
        wait = wait * 2 < WAIT_MOST_US ? wait * 2 : WAIT_MOST_US;
    }
    return status;
}
