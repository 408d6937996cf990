/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receiving a xorb: chunk by chunk it becomes a container, payloads first, then the table. */
#include "cas/xorb.h"
#include "base/time.h"
#include "store/internal.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* So much at once comes only from a socket that had to wait for us: the processors are what there is too little of. */
#define BACKLOG ((size_t)256 << 10)

/* A client that seeks for chunks whose hash makes them a key could fill the database with them. Honest xorbs have
 * eight. */
#define KEYS_MOST 64

struct xorb_receipt {
    struct store *store;
    struct xorb_reader *reader;
    int fd;
    char name[NAME_SIZE];
    struct spool spool;
    struct buf table;
    int64_t size;          /* of the file, once all is written */
    struct hasher *sha256; /* over the file that the xorb may be a part of, up to here; NULL while that is not known */
    bool alone;            /* there is one processor for all of it */
    struct chunk last;     /* the latest row */
    uint32_t chunks;
    int64_t place; /* of guess.c */
    size_t key_count;
    struct chunk_hash keys[KEYS_MOST];
};

/* Once the SHA-256 of all that is before the xorb is known, it goes on here, where the bytes are at hand. */
static enum status hash_along(struct xorb_receipt *receipt, const struct xorb_chunk *chunk, bool unpack,
                              struct error *err)
{
    if (!receipt->sha256 && receipt->last.stored_end == receipt->last.end) {
        receipt->sha256 = guess_front(receipt->store->guess, receipt->place);
        TRY(receipt->sha256 ? spool_hash(&receipt->spool, receipt->sha256, err) : OK);
        receipt->alone = receipt->sha256 && processors() == 1;
    }
    /* Beside the rest of the work where there is a processor for it; but what is written may be something else, packed. */
    if (receipt->alone || !unpack)
        spool_hash_end(&receipt->spool);
    if (receipt->sha256 && !receipt->spool.hasher)
        hasher_add(receipt->sha256, chunk->data, chunk->len);
    return OK;
}

static enum status take_chunk(void *context, const struct xorb_chunk *chunk, struct error *err)
{
    struct xorb_receipt *receipt = context;
    /* Plain downloads of what is unpacked cost no CPU, which is worth a sixteenth of the disk. */
    bool unpack = chunk->payload_len >= chunk->len - chunk->len / 16;
    const uint8_t *payload = unpack ? chunk->data : chunk->payload;
    size_t payload_len = unpack ? chunk->len : chunk->payload_len;
    TRY(hash_along(receipt, chunk, unpack, err));
    TRY(spool_add(&receipt->spool, payload, payload_len, err));
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
    spool_open(&receipt->spool, receipt->fd);
    *out = receipt;
    return OK;
}

void xorb_receipt_sender(struct xorb_receipt *receipt, int64_t account_id, int64_t repo_id, int64_t since)
{
    assert(receipt->place == 0);
    receipt->place = guess_begin(receipt->store->guess, account_id, repo_id, since);
}

enum status xorb_receipt_write(struct xorb_receipt *receipt, const void *data, size_t len, struct error *err)
{
    struct guess *guess = receipt->store->guess;
    bool first = guess_turn(guess, receipt->place);
    enum status status = xorb_reader_add(receipt->reader, data, len, err);
    guess_turn_end(guess, receipt->place, first, len >= BACKLOG);
    return status;
}

void xorb_receipt_drop(struct xorb_receipt **receipt)
{
    struct xorb_receipt *mine = *receipt;
    if (!mine)
        return;
    guess_came(mine->store->guess, mine->place, 0);
    spool_close(&mine->spool);
    hasher_free(mine->sha256);
    /* Once it is a container the file has another name, and this finds nothing. */
    incoming_remove(mine->store, mine->name);
    fd_close(&mine->fd);
    xorb_reader_free(&mine->reader);
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
    TRY(container_insert(tx, receipt->name, receipt->size, &new.container, err));
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
    TRY(spool_add(&receipt->spool, receipt->table.data, receipt->table.len, err));
    return spool_end(&receipt->spool, &receipt->size, err);
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
    spool_hash_end(&mine->spool);
    if (mine->sha256)
        guess_hashed(mine->store->guess, mine->place, mine->sha256);
    mine->sha256 = NULL;
    TRY(disk_explain(keep_known(&keeping, err), err));
    if (!keeping.known)
        TRY(disk_explain(keep_new(mine, &keeping, err), err));
    *was_new = keeping.was_new;
    guess_came(mine->store->guess, mine->place, keeping.xorb_id);
    mine->place = 0;
    return OK;
}
