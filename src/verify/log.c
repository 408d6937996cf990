/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A whole log: every entry is read, and everything else is computed from them and compared. */
#include "base/text.h"
#include "verify/ahead.h"
#include "verify/chains.h"
#include "verify/memory.h"
#include <unistd.h>

#define FINDINGS_MOST 100 /* of what failed: a log that is wrong from some point on is wrong in every entry */
#define CHECKPOINT_TRIES 3
#define LEVELS 8 /* of tiles; the ninth would begin at 2^64 leaves */

/* A tile in the making, from the entries. */
struct level {
    uint64_t number;
    unsigned count;
    struct tlog_hash hashes[TILE_WIDTH];
};

struct walk {
    struct run *run;
    struct source source;
    struct seen now, before;
    bool known, consistent;
    struct tlog_frontier frontier;
    struct level levels[LEVELS];
    struct chains *chains;
    struct ahead *ahead;
    const struct ahead_item *item; /* the bundle that is looked at, and its hash tile */
    struct arena arena;            /* for one bundle */
    uint64_t tiles;
};

static bool cannot_get(struct walk *walk, const char *check, const struct error *err)
{
    if (err->status == NOT_FOUND)
        return found(&walk->run->report, FAILED, check, "The log lacks what its checkpoint covers. %s", err->message);
    return found_error(&walk->run->report, check, err);
}

static enum status get_tile(struct walk *walk, const struct tile *tile, struct str *out, struct error *err)
{
    if (tile->level > 0)
        return source_tile(&walk->source, &walk->arena, tile, out, err);
    *out = walk->item->tile;
    *err = walk->item->tile_error;
    return walk->item->tile_status;
}

static bool compare_tile(struct walk *walk, unsigned level)
{
    const struct level *ours = &walk->levels[level];
    struct tile tile = {level, ours->number, ours->count};
    auto_buf struct buf path = {0};
    struct str bytes;
    struct error err;
    unsigned i = 0;
    tile_path_write(&path, &tile);
    walk->tiles++;
    if (get_tile(walk, &tile, &bytes, &err) != OK)
        return cannot_get(walk, "tile", &err);
    while (i < ours->count && memcmp(bytes.data + i * SHA256_SIZE, ours->hashes[i].bytes, SHA256_SIZE) == 0)
        i++;
    if (i == ours->count)
        return true;
    uint64_t first = (ours->number * TILE_WIDTH + i) << (TILE_HEIGHT * level);
    return found(&walk->run->report, FAILED, "tile",
                 "%.*s has another hash at place %u than the entries from %llu on give.", STR_ARG(buf_view(&path)), i,
                 (unsigned long long)first);
}

/* Puts the nodes that a leaf completes into their tiles, and compares those that are full. */
static bool add_nodes(struct walk *walk, const struct tlog_hash *complete, unsigned count)
{
    bool good = true;
    for (unsigned level = 0; level < LEVELS && level * TILE_HEIGHT < count; level++) {
        struct level *tile = &walk->levels[level];
        tile->hashes[tile->count++] = complete[level * TILE_HEIGHT];
        if (tile->count < TILE_WIDTH)
            continue;
        good = compare_tile(walk, level) && good;
        tile->number++;
        tile->count = 0;
    }
    return good;
}

static void compare_before(struct walk *walk)
{
    struct tlog_hash root = tlog_root(&walk->frontier);
    if (walk->known && walk->frontier.size == walk->before.checkpoint.size)
        walk->consistent = tlog_hash_eq(&root, &walk->before.checkpoint.root);
}

static bool add_entry(struct walk *walk, struct str entry)
{
    struct report *report = &walk->run->report;
    struct tlog_hash hash = tlog_leaf_hash(entry), complete[TLOG_LEVELS];
    uint64_t index = walk->frontier.size;
    struct leaf leaf;
    struct error err;
    bool good = true;
    if (leaf_parse(&walk->arena, entry, &leaf, &err) != OK)
        good = found(report, err.status == UNSUPPORTED ? UNABLE : FAILED, "leaf", "Entry %llu: %s",
                     (unsigned long long)index, err.message);
    else
        good = chains_add(walk->chains, index, &leaf, &hash, report);
    unsigned count = tlog_append(&walk->frontier, &hash, complete);
    good = add_nodes(walk, complete, count) && good;
    compare_before(walk);
    return good;
}

static bool add_bundle(struct walk *walk)
{
    struct report *report = &walk->run->report;
    struct str entries[TILE_WIDTH];
    struct error err;
    unsigned width;
    walk->item = ahead_next(walk->ahead);
    if (walk->item->bundle_status != OK)
        return cannot_get(walk, "entries", &walk->item->bundle_error);
    if (bundle_parse(walk->item->bundle, entries, &width, &err) != OK)
        return found_error(report, "entries", &err);
    for (unsigned i = 0; i < width; i++)
        add_entry(walk, entries[i]);
    arena_reset(&walk->arena);
    progress_say(&walk->run->progress, false, "log: %llu of %llu entries", (unsigned long long)walk->frontier.size,
                 (unsigned long long)walk->now.checkpoint.size);
    if (report->counts[FAILED] < FINDINGS_MOST)
        return true;
    return found(report, UNABLE, "log", "More than %d things are wrong; the rest of the log was not read.",
                 FINDINGS_MOST);
}

static bool read_entries(struct walk *walk)
{
    uint64_t size = walk->now.checkpoint.size;
    bool good = true;
    compare_before(walk); /* what was seen may have been empty */
    walk->ahead = size > 0 ? ahead_start(&walk->source, size) : NULL;
    while (good && walk->frontier.size < size)
        good = add_bundle(walk);
    for (unsigned level = 0; good && level < LEVELS; level++)
        if (walk->levels[level].count)
            compare_tile(walk, level);
    if (walk->ahead)
        ahead_end(walk->ahead);
    return good;
}

static bool compare_root(struct walk *walk)
{
    struct report *report = &walk->run->report;
    struct tlog_hash root = tlog_root(&walk->frontier);
    if (tlog_hash_eq(&root, &walk->now.checkpoint.root))
        return true;
    return found(report, FAILED, "root",
                 "The %llu entries have the root %.*s, but the checkpoint was signed for %.*s: entries were "
                 "changed or exchanged.",
                 (unsigned long long)walk->frontier.size, STR_ARG(hex_encode(&report->arena, root.bytes, SHA256_SIZE)),
                 STR_ARG(hex_encode(&report->arena, walk->now.checkpoint.root.bytes, SHA256_SIZE)));
}

static bool walk_log(struct walk *walk)
{
    struct run *run = walk->run;
    size_t failed = run->report.counts[FAILED] + run->report.counts[UNABLE];
    if (walk->known && walk->now.checkpoint.size < walk->before.checkpoint.size)
        return memory_conflict(run, &walk->before, &walk->now);
    if (!read_entries(walk) || !compare_root(walk))
        return false;
    if (walk->known && !walk->consistent)
        return memory_conflict(run, &walk->before, &walk->now);
    if (run->report.counts[FAILED] + run->report.counts[UNABLE] > failed)
        return false;
    struct chains_count count = chains_count(walk->chains);
    found(&run->report, PASSED, "log",
          "All %llu entries were read and have the signed root, as have %llu hash tiles. The chains of %llu repos have "
          "no gap; "
          "%llu lists of heads and %llu voids are right.",
          (unsigned long long)walk->frontier.size, (unsigned long long)walk->tiles, (unsigned long long)count.repos,
          (unsigned long long)count.heads, (unsigned long long)count.voids);
    if (walk->known)
        found(&run->report, PASSED, "consistency", "The log has only grown since it was last seen with %llu entries.",
              (unsigned long long)walk->before.checkpoint.size);
    return memory_keep(run, &walk->source, &walk->now);
}

/* A log may show a checkpoint a moment before its witnesses have signed it. */
static bool read_checkpoint(struct walk *walk, struct str *out)
{
    struct run *run = walk->run;
    struct error err;
    for (unsigned tries = 1;; tries++) {
        if (source_read(&walk->source, &run->report.arena, STR("checkpoint"), NOTE_MOST, out, &err) != OK)
            return found_error(&run->report, "checkpoint", &err);
        bool may_change = walk->source.is_web && run->trust.policy.quorum && tries < CHECKPOINT_TRIES;
        if (!may_change || seen_has_quorum(run, *out))
            return true;
        sleep(1);
    }
}

bool log_check(struct run *run)
{
    struct walk *walk = arena_alloc(&run->report.arena, sizeof *walk);
    struct str note;
    walk->run = run;
    walk->source = source_of(&run->report.arena, run->settings.log);
    if (!memory_trust(run, &walk->source) || !read_checkpoint(walk, &note))
        return false;
    if (!seen_open(run, note, true, &walk->now) || !memory_recall(run, &walk->now.log, &walk->before, &walk->known))
        return false;
    found(&run->report, PASSED, "checkpoint", "The log %.*s signed that it has %llu entries%s.",
          STR_ARG(walk->now.checkpoint.origin), (unsigned long long)walk->now.checkpoint.size,
          run->trust.policy.quorum ? ", and a quorum of witnesses confirms it" : "");
    walk->chains = chains_new();
    bool good = walk_log(walk);
    chains_free(walk->chains);
    arena_free(&walk->arena);
    return good;
}
