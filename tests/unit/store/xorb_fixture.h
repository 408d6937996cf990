/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_XORB_FIXTURE_H
#define CAIRN_XORB_FIXTURE_H

#include "cas/xorb.h"
#include "store/internal.h"
#include "store_fixture.h"
#include <lz4frame.h>

#undef fail /* is the function of base/error.h here */

/* Xorbs in their wire form, and accounts that send them. */

struct wire {
    struct buf bytes;
    struct merkle merkle;
    struct chunk_hash hash; /* of the chunks so far */
    struct chunk_hash first;
    uint32_t chunks, length;
};

__attribute__((unused)) static void wire_free(struct wire *wire)
{
    buf_free(&wire->bytes);
}
#define auto_wire __attribute__((cleanup(wire_free)))

/* Adds a chunk, packed as the scheme has it, whether or not that helps. */
__attribute__((unused)) static void wire_add(struct wire *wire, enum scheme scheme, const char *data, size_t len)
{
    uint8_t header[XORB_CHUNK_HEADER];
    char *grouped = malloc(len), *to = grouped, *payload = malloc(2 * len + 1024);
    size_t payload_len = len;
    for (size_t lane = 0; lane < 4; lane++)
        for (size_t i = lane; i < len; i += 4)
            *to++ = data[i];
    const char *from = scheme == SCHEME_GROUP4_LZ4 ? grouped : data;
    if (scheme == SCHEME_NONE)
        memcpy(payload, data, len);
    else
        payload_len = LZ4F_compressFrame(payload, 2 * len + 1024, from, len, NULL);
    assert_false(LZ4F_isError(payload_len));
    xorb_header_write(header, scheme, (uint32_t)payload_len, (uint32_t)len);
    buf_add(&wire->bytes, header, sizeof(header));
    buf_add(&wire->bytes, payload, payload_len);
    struct chunk_hash hash = chunk_hash_of(data, len);
    merkle_add(&wire->merkle, &hash, len);
    if (wire->chunks == 0)
        wire->first = hash;
    wire->chunks++;
    wire->length += (uint32_t)len;
    struct merkle so_far = wire->merkle;
    wire->hash = merkle_root(&so_far);
    free(grouped);
    free(payload);
}

/* One with the content cut into chunks of that length; the last may be shorter. */
__attribute__((unused)) static struct wire wire_of(const struct content *content, size_t chunk, enum scheme scheme)
{
    struct wire wire = {0};
    for (size_t at = 0; at < content->len; at += chunk)
        wire_add(&wire, scheme, content->data + at, content->len - at < chunk ? content->len - at : chunk);
    return wire;
}

/* Sends the first len bytes, in pieces, under that name. */
__attribute__((unused)) static enum status send_as(struct house *house, int64_t account, const struct wire *wire,
                                                   size_t len, const struct chunk_hash *name, bool *was_new,
                                                   struct error *err)
{
    auto_xorb_receipt struct xorb_receipt *receipt = NULL;
    TRY(xorb_receipt_open(house->store, &receipt, err));
    for (size_t at = 0, piece; at < len; at += piece) {
        piece = len - at < 70001 ? len - at : 70001;
        TRY(xorb_receipt_write(receipt, wire->bytes.data + at, piece, err));
    }
    return xorb_receipt_keep(&receipt, account, name, was_new, err);
}

/* Sends it as it should be; whether it was new for that account. */
__attribute__((unused)) static bool send_xorb(struct house *house, int64_t account, const struct wire *wire)
{
    bool was_new;
    enum status status = send_as(house, account, wire, wire->bytes.len, &wire->hash, &was_new, &house->err);
    if (status != OK)
        print_message("%s\n", house->err.message);
    assert_int_equal(status, OK);
    return was_new;
}

/* The xorb of that hash, for whomever. */
__attribute__((unused)) static struct xorb stored_xorb(struct house *house, const struct chunk_hash *hash)
{
    auto_conn struct db_conn *conn = NULL;
    struct xorb xorb;
    bool found;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(xorb_by_hash(conn, hash, &found, &xorb, &house->err), OK);
    assert_true(found);
    return xorb;
}

static enum status sql_run(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

__attribute__((unused)) static void run_sql(struct house *house, const char *sql)
{
    assert_int_equal(db_write(house->db, sql_run, (void *)sql, &house->err), OK);
}

#endif
