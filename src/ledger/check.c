/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "ledger/internal.h"

#include <stdio.h>

struct check {
    struct ledger *ledger;
    struct findings *findings;
    uint64_t reported[LEVEL_FILES]; /* 1 + the tile that was last reported, to report each once */
    struct growth growth;
};

/* Damage is a finding; that a disk cannot be read is an error. */
static enum status sort_error(struct check *check, enum status status, const char *what, struct error *why,
                              struct error *err)
{
    if (status == CORRUPT) {
        findings_add(check->findings, "%s: %s", what, why->message);
        return OK;
    }
    if (status != OK && err)
        *err = *why;
    return status;
}

static enum status compare_nodes(void *context, unsigned level, uint64_t first, const struct tlog_hash *nodes,
                                 size_t count, struct error *err)
{
    struct check *check = context;
    struct tlog_hash stored[TILE_WIDTH];
    struct error why = {0};
    unsigned file = level / TILE_HEIGHT;
    uint64_t tile = tile_place(level, first).number;
    enum status status =
        pread_full(check->ledger->levels[file], stored, count * sizeof *stored, node_offset(level, first), &why);
    bool same = status == OK && memcmp(stored, nodes, count * sizeof *stored) == 0;
    if (!same && (status == OK || status == CORRUPT) && check->reported[file] != tile + 1) {
        check->reported[file] = tile + 1;
        findings_add(check->findings, "level-%u: tile %llu is not what the entries give", file,
                     (unsigned long long)tile);
    }
    if (status != OK && status != CORRUPT && err)
        *err = why;
    return status == CORRUPT ? OK : status;
}

static enum status compare_bundle(struct check *check, struct error *err)
{
    uint64_t number = check->growth.frontier.size / TILE_WIDTH, start;
    char what[64];
    struct error why = {0};
    enum status status = bundle_start(check->ledger, number, &start, &why);
    snprintf(what, sizeof what, "bundles: bundle %llu", (unsigned long long)number);
    if (status == OK && start != check->growth.bytes)
        findings_add(check->findings, "%s begins at byte %llu of the entries, not at %llu", what,
                     (unsigned long long)check->growth.bytes, (unsigned long long)start);
    return sort_error(check, status, what, &why, err);
}

/* *whole tells whether all entries could be read. */
static enum status check_entries(struct check *check, uint64_t size, bool *whole, struct error *err)
{
    auto_entries struct entry_reader reader = {.fd = check->ledger->entries};
    struct growth *growth = &check->growth;
    struct str entry;
    struct error why = {0};
    TRY(compare_bundle(check, err));
    while (growth->frontier.size < size) {
        enum status status = entries_next(&reader, &entry, &why);
        *whole = status == OK;
        if (!*whole)
            return sort_error(check, status, "entries", &why, err);
        growth_add(growth, entry);
        bool full = growth_full(growth);
        if (full || growth->frontier.size == size)
            TRY(growth_give(growth, compare_nodes, check, err));
        if (full)
            TRY(compare_bundle(check, err));
    }
    return OK;
}

static void check_note(struct check *check, struct str bytes, const struct ledger_state *state)
{
    auto_arena struct arena arena = {0};
    struct checkpoint checkpoint;
    struct note note;
    struct error why = {0};
    if (checkpoint_open(&arena, bytes, &check->ledger->verifier, &note, &checkpoint, &why) != OK)
        findings_add(check->findings, "checkpoint: %s", why.message);
    else if (checkpoint.size != state->size || memcmp(checkpoint.root.bytes, state->root, SHA256_SIZE) != 0)
        findings_add(check->findings, "checkpoint: it is of another tree than that of the log");
}

enum status ledger_check(struct ledger *ledger, struct findings *findings, struct error *err)
{
    struct check check = {.ledger = ledger, .findings = findings};
    auto_buf struct buf note = {0};
    struct ledger_state state;
    bool whole = true;
    ledger_assert(ledger);
    ledger_state(ledger, &state);
    ledger_checkpoint(ledger, &note);
    check_note(&check, buf_view(&note), &state);
    enum status status = check_entries(&check, state.size, &whole, err);
    struct tlog_hash root = tlog_root(&check.growth.frontier);
    if (status == OK && whole && memcmp(root.bytes, state.root, SHA256_SIZE) != 0)
        findings_add(findings, "entries: they do not give the root that was signed, so an entry was changed");
    return status;
}
