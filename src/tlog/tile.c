/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/tile.h"

#include "tlog/text.h"

#include <assert.h>

#define LENGTH_SIZE 2
#define PATH_MOST 64

/* Three digits a folder, all but the last with an 'x' before them, so that no file has the name of a folder. */
static void number_write(struct buf *out, uint64_t number)
{
    uint64_t unit = 1;
    while (number / unit >= 1000)
        unit *= 1000;
    for (; unit > 1; unit /= 1000)
        buf_printf(out, "x%03u/", (unsigned)(number / unit % 1000));
    buf_printf(out, "%03u", (unsigned)(number % 1000));
}

void tile_path_write(struct buf *out, const struct tile *tile)
{
    assert(tile->level <= TILE_ENTRIES && tile->number <= INT64_MAX && tile->width > 0 && tile->width <= TILE_WIDTH);
    if (tile->level == TILE_ENTRIES)
        buf_str(out, STR("tile/entries/"));
    else
        buf_printf(out, "tile/%u/", tile->level);
    number_write(out, tile->number);
    if (tile->width < TILE_WIDTH)
        buf_printf(out, ".p/%u", tile->width);
}

static bool number_parse(struct str text, uint64_t *out)
{
    struct str group;
    uint64_t number = 0, part;
    while (str_cut(&text, '/', &group)) {
        if (str_given(text) && !str_starts(group, STR("x")))
            return false;
        group = str_from(group, str_given(text) ? 1 : 0);
        int64_t value;
        if (group.len != 3 || !str_to_i64(group, &value))
            return false;
        part = (uint64_t)value;
        if (__builtin_mul_overflow(number, 1000, &number) || __builtin_add_overflow(number, part, &number) ||
            number > INT64_MAX)
            return false;
    }
    *out = number;
    return true;
}

/* Takes ".p/width" off the end of the path, where there is one. */
static bool width_parse(struct str *path, unsigned *out)
{
    const char *at = path->len ? memmem(path->data, path->len, ".p/", 3) : NULL;
    *out = TILE_WIDTH;
    if (!at)
        return true;
    uint64_t width;
    size_t before = (size_t)(at - path->data);
    if (!tlog_decimal(str_from(*path, before + 3), &width) || width == 0 || width >= TILE_WIDTH)
        return false;
    *out = (unsigned)width;
    path->len = before;
    return true;
}

bool tile_path_parse(struct str path, struct tile *out)
{
    struct str folder, level, rest = path;
    uint64_t number;
    if (path.len > PATH_MOST || !str_cut(&rest, '/', &folder) || !str_eq(folder, STR("tile")) ||
        !str_cut(&rest, '/', &level) || !str_given(rest))
        return false;
    bool entries = str_eq(level, STR("entries"));
    if (!entries && (!tlog_decimal(level, &number) || number >= TILE_LEVELS))
        return false;
    out->level = entries ? TILE_ENTRIES : (unsigned)number;
    if (!width_parse(&rest, &out->width) || !number_parse(rest, &out->number))
        return false;
    /* What is left is a number with empty groups before it, which would be a second path to the same tile. */
    auto_buf struct buf again = {0};
    tile_path_write(&again, out);
    return str_eq(buf_view(&again), path);
}

/* The nodes of a level of tiles in a tree of size leaves. */
static uint64_t level_nodes(uint64_t size, unsigned level)
{
    return level < 64 / TILE_HEIGHT ? size >> (TILE_HEIGHT * level) : 0;
}

unsigned tile_width(uint64_t size, unsigned level, uint64_t number)
{
    uint64_t nodes = level_nodes(size, level == TILE_ENTRIES ? 0 : level), full = nodes / TILE_WIDTH;
    return number < full ? TILE_WIDTH : number == full ? (unsigned)(nodes % TILE_WIDTH) : 0;
}

bool tile_next(uint64_t old_size, uint64_t new_size, struct tile *tile)
{
    assert(old_size <= new_size);
    if (tile->width > 0)
        tile->number++;
    else
        *tile = (struct tile){0, old_size / TILE_WIDTH, 0};
    for (; level_nodes(new_size, tile->level) > 0;
         tile->level++, tile->number = level_nodes(old_size, tile->level) / TILE_WIDTH) {
        tile->width = tile_width(new_size, tile->level, tile->number);
        if (tile->width > tile_width(old_size, tile->level, tile->number))
            return true;
    }
    return false;
}

struct tile_place tile_place(unsigned level, uint64_t index)
{
    assert(level < TLOG_LEVELS);
    unsigned inner = level % TILE_HEIGHT;  /* levels of the tree between the tile's hashes and the node */
    uint64_t in_row = TILE_WIDTH >> inner; /* such nodes in a tile */
    return (struct tile_place){level / TILE_HEIGHT, index / in_row, (unsigned)(index % in_row) << inner, 1u << inner};
}

bool tile_node(struct str tile, const struct tile_place *place, struct tlog_hash *out)
{
    if (tile.len % SHA256_SIZE || tile.len / SHA256_SIZE < place->first + place->count)
        return false;
    struct tlog_frontier frontier = {0};
    for (unsigned i = place->first; i < place->first + place->count; i++) {
        struct tlog_hash hash;
        memcpy(hash.bytes, tile.data + (size_t)i * SHA256_SIZE, SHA256_SIZE);
        tlog_append(&frontier, &hash, NULL);
    }
    *out = tlog_root(&frontier);
    return true;
}

enum status bundle_add(struct buf *bundle, struct str entry, struct error *err)
{
    if (entry.len > TILE_ENTRY_MOST)
        return fail(err, TOO_LARGE, NULL, "The log entry has %zu bytes; %d are allowed.", entry.len, TILE_ENTRY_MOST);
    buf_byte(bundle, (char)(entry.len >> 8));
    buf_byte(bundle, (char)entry.len);
    buf_str(bundle, entry);
    return OK;
}

enum status bundle_parse(struct str bytes, struct str entries[TILE_WIDTH], unsigned *width, struct error *err)
{
    for (*width = 0; bytes.len; ++*width) {
        const unsigned char *at = (const unsigned char *)bytes.data;
        if (*width == TILE_WIDTH || bytes.len < LENGTH_SIZE || bytes.len - LENGTH_SIZE < (size_t)(at[0] << 8 | at[1]))
            return fail(err, INVALID, NULL, "The bundle of log entries is damaged at entry %u.", *width);
        entries[*width] = str_slice(bytes, LENGTH_SIZE, (size_t)(at[0] << 8 | at[1]));
        bytes = str_from(bytes, LENGTH_SIZE + entries[*width].len);
    }
    if (*width == 0)
        return fail(err, INVALID, NULL, "The bundle of log entries is empty.");
    return OK;
}
