/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receiving a xorb: chunk by chunk it becomes a container, payloads first, then the table. */
#include "cas/xorb.h"
#include "base/time.h"
#include "store/internal.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Written at once, and from a multiple of EDGE to another: the page cache then takes it in large pieces, and no page in two, with a
 * tenth less work for all of a xorb. */
#define GATHER ((size_t)MIB)
#define EDGE ((size_t)64 << 10)
#define PARTS 64
#define ROOM (8 * MIB) /* set aside on the disk at once */

/* A client that seeks for chunks whose hash makes them a key could fill the database with them. Honest xorbs have
 * eight. */
#define KEYS_MOST 64

struct xorb_receipt {
    struct store *store;
    struct xorb_reader *reader;
    int fd;
    char name[NAME_SIZE];
    const uint8_t *piece; /* at hand; what stands in it is written from there */
    size_t piece_len;
    struct iovec parts[PARTS]; /* payloads that are not yet in the file: in the piece, or in copied */
    size_t part_count, waiting;
    struct buf copied, table;
    int64_t written, flushed; /* bytes of the file; those on their way to the disk */
    int64_t room;             /* where what is set aside on the disk ends; 0: nothing was */
    struct chunk last;        /* the latest row */
    uint32_t chunks;
    int64_t place; /* of guess.c */
    size_t key_count;
    struct chunk_hash keys[KEYS_MOST];
};

/* Into room that is there already the file system writes with a third less work, a tenth of all that a large xorb costs. It is a
 * hint: a disk that is full fails the write. What is left of it write_table() gives back. */
static void room_ahead(struct xorb_receipt *receipt, size_t len)
{
    if (receipt->written + (int64_t)len <= receipt->room)
        return;
    (void)fallocate(receipt->fd, FALLOC_FL_KEEP_SIZE, receipt->room, ROOM);
    receipt->room += ROOM;
}

/* Takes the first len bytes off the parts. Returns how many of out they fill. */
static size_t parts_take(struct xorb_receipt *receipt, size_t len, struct iovec out[PARTS])
{
    size_t count = 0;
    receipt->waiting -= len;
    for (struct iovec *part = receipt->parts; len > 0; part++) {
        size_t taken = part->iov_len < len ? part->iov_len : len;
        out[count++] = (struct iovec){part->iov_base, taken};
        part->iov_base = (uint8_t *)part->iov_base + taken;
        part->iov_len -= taken;
        len -= taken;
    }
    return count;
}

static enum status parts_write(struct xorb_receipt *receipt, size_t len, struct error *err)
{
    struct iovec out[PARTS];
    size_t count = parts_take(receipt, len, out);
    TRY(disk_explain(pwritev_full(receipt->fd, out, count, receipt->written, err), err));
    receipt->written += (int64_t)len;
    disk_flush_early(receipt->fd, receipt->written, &receipt->flushed);
    return OK;
}

/* Writes up to the last edge, and copies what is behind it. */
static enum status parts_flush(struct xorb_receipt *receipt, struct error *err)
{
    uint8_t rest[EDGE];
    size_t len = receipt->waiting - receipt->waiting % EDGE, have = 0;
    if (len > 0) {
        room_ahead(receipt, len);
        TRY(parts_write(receipt, len, err));
    }
    for (size_t i = 0; i < receipt->part_count; have += receipt->parts[i++].iov_len)
        memcpy(rest + have, receipt->parts[i].iov_base, receipt->parts[i].iov_len);
    receipt->copied.len = 0;
    buf_add(&receipt->copied, rest, have);
    receipt->parts[0] = (struct iovec){receipt->copied.data, have};
    receipt->part_count = 1;
    return OK;
}

/* Only what stands in the piece stays where it is until it is written; what was gathered or unpacked by the reader does not. */
static enum status gather(struct xorb_receipt *receipt, const uint8_t *payload, size_t len, struct error *err)
{
    if (receipt->part_count == PARTS || receipt->waiting >= GATHER)
        TRY(parts_flush(receipt, err));
    if (payload < receipt->piece || payload >= receipt->piece + receipt->piece_len) {
        buf_add(&receipt->copied, payload, len);
        payload = (uint8_t *)receipt->copied.data + receipt->copied.len - len;
    }
    struct iovec *last = receipt->parts + receipt->part_count - 1;
    if (receipt->part_count > 0 && (uint8_t *)last->iov_base + last->iov_len == payload)
        last->iov_len += len;
    else
        receipt->parts[receipt->part_count++] = (struct iovec){(uint8_t *)payload, len};
    receipt->waiting += len;
    return OK;
}

static enum status take_chunk(void *context, const struct xorb_chunk *chunk, struct error *err)
{
    struct xorb_receipt *receipt = context;
    /* Plain downloads of what is unpacked cost no CPU, which is worth a sixteenth of the disk. */
    bool unpack = chunk->payload_len >= chunk->len - chunk->len / 16;
    const uint8_t *payload = unpack ? chunk->data : chunk->payload;
    size_t payload_len = unpack ? chunk->len : chunk->payload_len;
    TRY(gather(receipt, payload, payload_len, err));
    struct chunk row = {.hash = chunk->hash,
                        .stored_end = receipt->last.stored_end + (uint32_t)payload_len,
                        .end = receipt->last.end + (uint32_t)chunk->len,
                        .scheme = unpack ? SCHEME_NONE : chunk->scheme,
                        .is_key = chunk_hash_is_key(&chunk->hash)};
    uint8_t written[CHUNK_ROW];
    chunk_row_write(written, &row);
    buf_add(&receipt->table, written, sizeof(written));
    if (row.is_key && receipt->key_count < KEYS_MOST)
        receipt->keys[receipt->key_count++] = row.hash;
    receipt->last = row;
    receipt->chunks++;
    return OK;
}

enum status xorb_receipt_open(struct store *store, struct xorb_receipt **out, struct error *err)
{
    store_assert(store);
    struct xorb_receipt *receipt = calloc(1, sizeof(*receipt));
    if (!receipt)
        abort();
    enum status status = incoming_new(store, receipt->name, &receipt->fd, err);
    if (status != OK) {
        free(receipt);
        return status;
    }
    receipt->store = store;
    receipt->reader = xorb_reader_new(take_chunk, receipt);
    buf_reserve(&receipt->copied, GATHER + XORB_PAYLOAD_MOST); /* it never moves */
    *out = receipt;
    return OK;
}

void xorb_receipt_sender(struct xorb_receipt *receipt, int64_t account_id, int64_t repo_id)
{
    assert(receipt->place == 0);
    receipt->place = guess_begin(receipt->store->guess, account_id, repo_id);
}

enum status xorb_receipt_write(struct xorb_receipt *receipt, const void *data, size_t len, struct error *err)
{
    receipt->piece = data;
    receipt->piece_len = len;
    TRY(xorb_reader_add(receipt->reader, data, len, err));
    return receipt->waiting == receipt->copied.len ? OK : parts_flush(receipt, err); /* the piece is gone soon */
}

void xorb_receipt_drop(struct xorb_receipt **receipt)
{
    struct xorb_receipt *mine = *receipt;
    if (!mine)
        return;
    guess_came(mine->store->guess, mine->place, 0);
    /* Once it is a container the file has another name, and this finds nothing. */
    incoming_remove(mine->store, mine->name);
    fd_close(&mine->fd);
    xorb_reader_free(&mine->reader);
    buf_free(&mine->copied);
    buf_free(&mine->table);
    free(mine);
    *receipt = NULL;
}

/* Keeping it. */

static const char sender_sql[] =
    "INSERT INTO xorb_sender (xorb_id, account_id) VALUES (?, ?) ON CONFLICT (xorb_id, account_id) DO NOTHING";

struct keeping {
    const struct xorb_receipt *receipt;
    int64_t account_id, xorb_id; /* the latter once it is known */
    struct chunk_hash hash;
    bool is_container; /* the file has its last name */
    bool known;        /* the store has the xorb in another container */
    bool was_new;
};

static enum status insert_xorb(struct db_conn *tx, const struct keeping *keeping, int64_t *id, struct error *err)
{
    const struct xorb_receipt *receipt = keeping->receipt;
    struct xorb_new new = {.hash = keeping->hash,
                           .stored = receipt->last.stored_end,
                           .table_at = receipt->last.stored_end,
                           .length = receipt->last.end,
                           .chunks = receipt->chunks,
                           .mentioned_us = now_us()};
    TRY(container_insert(tx, receipt->name, receipt->written, &new.container, err));
    TRY(container_unsettled(tx, new.container, err));
    TRY(xorb_insert(tx, &new, id, err));
    for (size_t i = 0; i < receipt->key_count; i++)
        TRY(dedup_key_insert(tx, &receipt->keys[i], *id, err));
    return OK;
}

static enum status write_keeping(struct db_conn *tx, void *context, struct error *err)
{
    struct keeping *keeping = context;
    struct xorb xorb;
    TRY(xorb_by_hash(tx, &keeping->hash, &keeping->known, &xorb, err));
    if (keeping->known)
        TRY(xorb_mention(tx, xorb.id, now_us(), err));
    else if (keeping->is_container)
        TRY(insert_xorb(tx, keeping, &xorb.id, err));
    else
        return OK;
    auto_stmt struct stmt *sender = NULL;
    TRY(db_prepare(tx, sender_sql, &sender, err));
    stmt_bind_int(sender, 1, xorb.id);
    stmt_bind_int(sender, 2, keeping->account_id);
    TRY(stmt_run(sender, err));
    keeping->was_new = db_changes(tx) == 1;
    keeping->xorb_id = xorb.id;
    return OK;
}

/*
 * What the account has sent before is not written to the disk again. Others' xorbs are: how long the answer takes must not
 * tell whether somebody else has the same bytes. A sweep may take the xorb away between the look and the write.
 */
static enum status keep_known(struct keeping *keeping, struct error *err)
{
    struct store *store = keeping->receipt->store;
    auto_conn struct db_conn *conn = NULL;
    struct xorb xorb;
    TRY(db_reader(store->db, &conn, err));
    TRY(xorb_by_hash(conn, &keeping->hash, &keeping->known, &xorb, err));
    if (keeping->known)
        TRY(xorb_has_sent(conn, keeping->account_id, xorb.id, &keeping->known, err));
    db_release(&conn);
    return keeping->known ? db_write(store->db, write_keeping, keeping, err) : OK;
}

/* The table goes behind the payloads, and nothing behind the table. */
static enum status write_table(struct xorb_receipt *receipt, struct error *err)
{
    TRY(parts_write(receipt, receipt->waiting, err));
    TRY(pwrite_full(receipt->fd, receipt->table.data, receipt->table.len, receipt->written, err));
    receipt->written += (int64_t)receipt->table.len;
    if (receipt->room > 0 && ftruncate(receipt->fd, receipt->written) != 0)
        return disk_fail(err, "trim an incoming file");
    disk_flush(receipt->fd);
    return OK;
}

static enum status keep_new(struct xorb_receipt *receipt, struct keeping *keeping, struct error *err)
{
    char container[STORE_PATH_LIMIT];
    TRY(write_table(receipt, err));
    TRY(container_make(receipt->store, receipt->name, receipt->fd, false, container, err));
    keeping->is_container = true;
    enum status status = db_write(receipt->store->db, write_keeping, keeping, err);
    /* When a commit fails with an error of the disk, its rows may still be found after a restart, and then need the
     * container. So only a certain failure removes it; the others leave it to the sweep. */
    if (status == OK ? keeping->known : status == NO_SPACE)
        unlink(container);
    return status;
}

static enum status announced_check(const struct chunk_hash *announced, const struct chunk_hash *actual,
                                   struct error *err)
{
    if (chunk_hash_eq(announced, actual))
        return OK;
    char expected[CHUNK_HASH_TEXT], arrived[CHUNK_HASH_TEXT];
    chunk_hash_text(announced, expected);
    chunk_hash_text(actual, arrived);
    return fail(err, INVALID, NULL,
                "The xorb was announced as %s, but its chunks make %s. Nothing was kept; upload it again.", expected,
                arrived);
}

enum status xorb_receipt_keep(struct xorb_receipt **receipt, int64_t account_id, const struct chunk_hash *announced,
                              bool *was_new, struct error *err)
{
    auto_xorb_receipt struct xorb_receipt *mine = *receipt;
    struct keeping keeping = {.receipt = mine, .account_id = account_id};
    *receipt = NULL;
    /* After a failed write, of ours to the disk too, the reader refuses. */
    TRY(xorb_reader_end(mine->reader, &keeping.hash, err));
    TRY(announced_check(announced, &keeping.hash, err));
    TRY(disk_explain(keep_known(&keeping, err), err));
    if (!keeping.known)
        TRY(disk_explain(keep_new(mine, &keeping, err), err));
    *was_new = keeping.was_new;
    guess_came(mine->store->guess, mine->place, keeping.xorb_id);
    mine->place = 0;
    return OK;
}
