/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "verify/source.h"
#include "base/file.h"
#include "fetch/fetch.h"
#include "leaf/leaf.h"

#define BUNDLE_MOST ((size_t)TILE_WIDTH * (2 + LEAF_MOST)) /* a hub logs leaves, and those are small */

struct source source_of(struct arena *arena, const char *text)
{
    struct str base = arena_copy(arena, str_of(text));
    bool is_web = str_starts(base, STR("http://")) || str_starts(base, STR("https://"));
    while (base.len > 1 && base.data[base.len - 1] == '/')
        base.len--;
    return (struct source){base, is_web};
}

static enum status read_web(struct arena *arena, struct str url, size_t limit, struct str *out, struct error *err)
{
    const struct fetch what = {.url = url, .limit = limit, .follow = true};
    struct fetch_answer answer;
    TRY(fetch(arena, &what, &answer, err));
    if (answer.status == 404)
        return fail(err, NOT_FOUND, NULL, "%.*s is not there (404).", STR_ARG(url));
    if (answer.status != 200)
        return fail(err, UNAVAILABLE, NULL, "%.*s answers with status %d.", STR_ARG(url), answer.status);
    *out = answer.body;
    return OK;
}

enum status source_read(const struct source *source, struct arena *arena, struct str path, size_t limit,
                        struct str *out, struct error *err)
{
    auto_buf struct buf bytes = {0};
    struct str where = arena_printf(arena, "%.*s/%.*s", STR_ARG(source->base), STR_ARG(path));
    if (source->is_web)
        return read_web(arena, where, limit, out, err);
    TRY(file_read_all(where.data, limit, &bytes, err));
    *out = arena_copy(arena, buf_view(&bytes));
    return OK;
}

static enum status read_tile(const struct source *source, struct arena *arena, const struct tile *tile, struct str *out,
                             struct error *err)
{
    auto_buf struct buf path = {0};
    size_t limit = tile->level == TILE_ENTRIES ? BUNDLE_MOST : (size_t)TILE_WIDTH * SHA256_SIZE;
    tile_path_write(&path, tile);
    return source_read(source, arena, buf_view(&path), limit, out, err);
}

/* The first part of a bundle. */
static bool cut_bundle(struct str *bytes, unsigned width)
{
    size_t at = 0;
    for (unsigned i = 0; i < width; i++) {
        if (bytes->len - at < 2)
            return false;
        size_t len = (size_t)(uint8_t)bytes->data[at] << 8 | (uint8_t)bytes->data[at + 1];
        if (bytes->len - at - 2 < len)
            return false;
        at += 2 + len;
    }
    bytes->len = at;
    return true;
}

static bool cut_hashes(struct str *bytes, unsigned width)
{
    size_t len = (size_t)width * SHA256_SIZE;
    bool enough = bytes->len >= len && bytes->len % SHA256_SIZE == 0;
    bytes->len = enough ? len : bytes->len;
    return enough;
}

enum status source_tile(const struct source *source, struct arena *arena, const struct tile *tile, struct str *out,
                        struct error *err)
{
    auto_buf struct buf path = {0};
    struct tile full = *tile;
    full.width = TILE_WIDTH;
    enum status status = read_tile(source, arena, tile, out, err);
    size_t whole = out->len;
    if (status == NOT_FOUND && tile->width < TILE_WIDTH) { /* a log may keep partial tiles only until they are full */
        status = read_tile(source, arena, &full, out, NULL);
        whole = 0;
    }
    if (status != OK)
        return status;
    if (tile->level == TILE_ENTRIES ? cut_bundle(out, tile->width) : cut_hashes(out, tile->width))
        if (whole == 0 || whole == out->len)
            return OK;
    tile_path_write(&path, tile);
    return fail(err, INVALID, NULL, "%.*s does not hold the %u %s that the checkpoint promises.",
                STR_ARG(buf_view(&path)), tile->width, tile->level == TILE_ENTRIES ? "entries" : "hashes");
}

/* Consistency. A path needs several nodes of one tile, so the few tiles that it touches are kept. */

#define TILES_MOST 64

struct nodes {
    const struct source *source;
    uint64_t size;
    struct arena arena;
    struct {
        struct tile tile;
        struct str bytes;
    } tiles[TILES_MOST];
    size_t count;
};

static enum status find_tile(struct nodes *nodes, const struct tile_place *place, struct str *out, struct error *err)
{
    struct tile tile = {place->level, place->number, tile_width(nodes->size, place->level, place->number)};
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->tiles[i].tile.level == tile.level && nodes->tiles[i].tile.number == tile.number) {
            *out = nodes->tiles[i].bytes;
            return OK;
        }
    TRY(source_tile(nodes->source, &nodes->arena, &tile, out, err));
    if (nodes->count < TILES_MOST) {
        nodes->tiles[nodes->count].tile = tile;
        nodes->tiles[nodes->count++].bytes = *out;
    }
    return OK;
}

static enum status read_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    struct tile_place place = tile_place(level, index);
    struct str bytes;
    TRY(find_tile(context, &place, &bytes, err));
    return tile_node(bytes, &place, out) ? OK : fail(err, INVALID, NULL, "A tile of the log is too narrow.");
}

enum status source_consistent(const struct source *source, const struct checkpoint *smaller,
                              const struct checkpoint *larger, bool *out, struct error *err)
{
    struct nodes nodes = {.source = source, .size = larger->size};
    const struct tlog_source tree = {read_node, &nodes};
    struct tlog_path path;
    *out = true;
    if (smaller->size == 0) /* every tree begins with nothing; checkpoint_parse() saw to the root */
        return OK;
    enum status status = tlog_prove_consistency(&tree, smaller->size, larger->size, &path, err);
    *out = status == OK && tlog_extends(smaller->size, &smaller->root, larger->size, &larger->root, &path);
    arena_free(&nodes.arena);
    return status;
}
