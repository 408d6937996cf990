/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A path or a bundle that is read is, when written again, what it was. */
#include "tlog/tile.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void path_again(struct str path)
{
    auto_buf struct buf again = {0};
    struct tile tile;
    if (!tile_path_parse(path, &tile))
        return;
    tile_path_write(&again, &tile);
    if (!str_eq(buf_view(&again), path) || tile.width == 0 || tile.width > TILE_WIDTH || tile.level > TILE_ENTRIES ||
        tile_width(INT64_MAX, tile.level, tile.number) > TILE_WIDTH)
        abort();
}

static void bundle_again(struct str bytes)
{
    auto_buf struct buf again = {0};
    struct str entries[TILE_WIDTH];
    unsigned width;
    if (bundle_parse(bytes, entries, &width, NULL) != OK)
        return;
    for (unsigned i = 0; i < width; i++)
        if (bundle_add(&again, entries[i], NULL) != OK)
            abort();
    if (!str_eq(buf_view(&again), bytes))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct str bytes = {(const char *)data, len};
    path_again(bytes);
    bundle_again(bytes);
    return 0;
}
