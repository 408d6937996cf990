/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "ledger/internal.h"

#include <endian.h>

void ledger_state(struct ledger *ledger, struct ledger_state *out)
{
    ledger_assert(ledger);
    pthread_mutex_lock(&ledger->lock);
    out->size = ledger->published.size;
    memcpy(out->root, ledger->published.root.bytes, SHA256_SIZE);
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_checkpoint(struct ledger *ledger, struct buf *out)
{
    ledger_assert(ledger);
    pthread_mutex_lock(&ledger->lock);
    buf_str(out, buf_view(&ledger->published.note));
    pthread_mutex_unlock(&ledger->lock);
}

struct str ledger_vkey(struct ledger *ledger)
{
    ledger_assert(ledger);
    return buf_view(&ledger->vkey);
}

/* Size, and end of the entries, that are published. What lies before them in the files never changes. */
static uint64_t published(struct ledger *ledger, uint64_t *bytes)
{
    ledger_assert(ledger);
    pthread_mutex_lock(&ledger->lock);
    uint64_t size = ledger->published.size;
    *bytes = ledger->published.bytes;
    pthread_mutex_unlock(&ledger->lock);
    return size;
}

static enum status read_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    const struct ledger *ledger = context;
    return pread_full(ledger->levels[level / TILE_HEIGHT], out, sizeof *out, node_offset(level, index), err);
}

struct tlog_source ledger_source(struct ledger *ledger)
{
    return (struct tlog_source){read_node, ledger};
}

enum status bundle_start(struct ledger *ledger, uint64_t number, uint64_t *out, struct error *err)
{
    TRY(pread_full(ledger->bundles, out, sizeof *out, (int64_t)(number * sizeof *out), err));
    *out = be64toh(*out);
    return *out <= INT64_MAX
               ? OK
               : fail(err, CORRUPT, NULL, "The place of bundle %llu is damaged.", (unsigned long long)number);
}

static enum status check_tile(uint64_t size, unsigned level, uint64_t number, unsigned width, struct error *err)
{
    if (width == 0 || level >= LEVEL_FILES || width > tile_width(size, level, number))
        return fail(err, NOT_FOUND, NULL, "The log has no such tile yet; its tree has %llu entries.",
                    (unsigned long long)size);
    return OK;
}

enum status ledger_tile(struct ledger *ledger, unsigned level, uint64_t number, unsigned width, struct buf *out,
                        struct error *err)
{
    uint64_t bytes, size = published(ledger, &bytes);
    size_t len = width * sizeof(struct tlog_hash);
    TRY(check_tile(size, level, number, width, err));
    buf_reserve(out, len);
    TRY(pread_full(ledger->levels[level], out->data + out->len, len,
                   node_offset(level * TILE_HEIGHT, number * TILE_WIDTH), err));
    out->len += len;
    return OK;
}

/* Where the first width entries of bytes end; CORRUPT when they do not. */
static enum status bundle_end(struct str bytes, unsigned width, size_t *last, size_t *end, struct error *err)
{
    *end = 0;
    for (unsigned i = 0; i < width; i++) {
        const uint8_t *head = (const uint8_t *)bytes.data + *end;
        size_t left = bytes.len - *end;
        size_t len = left < 2 ? 0 : 2 + (size_t)(head[0] << 8 | head[1]);
        if (len < 2 || len > left)
            return fail(err, CORRUPT, NULL, "The entries of the log are damaged; cairn fsck tells where.");
        *last = *end;
        *end += len;
    }
    return OK;
}

/* Appends width entries of the bundle; *last is where in out the last one begins. */
static enum status read_bundle(struct ledger *ledger, uint64_t number, unsigned width, struct buf *out, size_t *last,
                               struct error *err)
{
    uint64_t start, end, size = published(ledger, &end);
    size_t used;
    TRY(check_tile(size, 0, number, width, err));
    TRY(bundle_start(ledger, number, &start, err));
    if (number < size / TILE_WIDTH)
        TRY(bundle_start(ledger, number + 1, &end, err));
    if (start > end || end - start > TILE_WIDTH * (UINT64_C(2) + LEDGER_ENTRY_MOST))
        return fail(err, CORRUPT, NULL, "The places of the log's bundles are damaged; cairn fsck tells where.");
    buf_reserve(out, end - start);
    TRY(pread_full(ledger->entries, out->data + out->len, end - start, (int64_t)start, err));
    TRY(bundle_end((struct str){out->data + out->len, end - start}, width, last, &used, err));
    *last += out->len;
    out->len += used;
    return OK;
}

enum status ledger_bundle(struct ledger *ledger, uint64_t number, unsigned width, struct buf *out, struct error *err)
{
    size_t last;
    return read_bundle(ledger, number, width, out, &last, err);
}

enum status ledger_entry(struct ledger *ledger, uint64_t index, struct buf *out, struct error *err)
{
    auto_buf struct buf bundle = {0};
    size_t last;
    TRY(read_bundle(ledger, index / TILE_WIDTH, (unsigned)(index % TILE_WIDTH) + 1, &bundle, &last, err));
    buf_str(out, str_from(buf_view(&bundle), last + 2));
    return OK;
}

static enum status check_size(struct ledger *ledger, uint64_t size, struct error *err)
{
    uint64_t bytes, most = published(ledger, &bytes);
    if (size > most)
        return fail(err, NOT_FOUND, NULL, "The log has %llu entries, not %llu.", (unsigned long long)most,
                    (unsigned long long)size);
    return OK;
}

enum status ledger_inclusion(struct ledger *ledger, uint64_t index, uint64_t size, struct buf *out, struct error *err)
{
    struct tlog_source source = ledger_source(ledger);
    struct tlog_path path;
    TRY(check_size(ledger, size, err));
    TRY(tlog_prove_inclusion(&source, index, size, &path, err));
    buf_add(out, path.hashes, path.count * sizeof *path.hashes);
    return OK;
}

enum status ledger_consistency(struct ledger *ledger, uint64_t from, uint64_t to, struct buf *out, struct error *err)
{
    struct tlog_source source = ledger_source(ledger);
    struct tlog_path path;
    TRY(check_size(ledger, to, err));
    TRY(tlog_prove_consistency(&source, from, to, &path, err));
    buf_add(out, path.hashes, path.count * sizeof *path.hashes);
    return OK;
}
