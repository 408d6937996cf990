/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files made of ranges of xorbs: what a shard says of them is checked against the store, and then becomes objects. */
#include "cas/xorb.h"
#include "store/internal.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#define PIECE                                                                                                          \
    ((size_t)128                                                                                                       \
     << 10) /* unpacked at once; any chunk fits, and it is still in the processor's own cache when it is hashed */
#define STEP ((size_t)MIB) /* hashed between two looks at whether it is still wanted */
#define ROWS 256           /* of a xorb's table, read at once */

struct file_draft {
    struct store *store;
    struct chunk_hash hash, first; /* as announced; of the first chunk */
    struct merkle *merkle;         /* NULL once verified: it is large, and a shard may have very many files */
    struct buf extents;
    int64_t size;
    int64_t account_id, repo_id; /* the sender, when he is known */
    bool verified;
    uint8_t sha256[SHA256_SIZE];
};

struct file_draft *file_draft_new(struct store *store, struct chunk_hash hash)
{
    store_assert(store);
    struct file_draft *draft = calloc(1, sizeof(*draft));
    struct merkle *merkle = calloc(1, sizeof(*merkle));
    if (!draft || !merkle)
        abort();
    draft->store = store;
    draft->hash = hash;
    draft->merkle = merkle;
    return draft;
}

void file_draft_free(struct file_draft **draft)
{
    if (!*draft)
        return;
    free((*draft)->merkle);
    buf_free(&(*draft)->extents);
    free(*draft);
    *draft = NULL;
}

int64_t file_draft_size(const struct file_draft *draft)
{
    return draft->size;
}

void file_draft_sender(struct file_draft *draft, int64_t account_id, int64_t repo_id)
{
    draft->account_id = account_id;
    draft->repo_id = repo_id;
}

static size_t extent_count(const struct file_draft *draft)
{
    return draft->extents.len / sizeof(struct extent);
}

static const struct extent *extent_at(const struct file_draft *draft, size_t index)
{
    return (const struct extent *)draft->extents.data + index;
}

/* A container that has no row any more held xorbs that have none either. */
static enum status explain_gone(enum status status, struct error *err)
{
    if (status != NOT_FOUND)
        return status;
    return fail(err, UNPROCESSABLE, NULL,
                "A xorb that the file is made of is no longer in the store. Upload the file again, without what the "
                "client remembers of earlier uploads (its Xet cache).");
}

static bool proof_holds(const struct chunk *rows, uint32_t count, const struct chunk_hash *proof)
{
    struct term_proof *expected = term_proof_new();
    for (uint32_t i = 0; i < count; i++)
        term_proof_add(expected, &rows[i].hash);
    struct chunk_hash hash = term_proof_end(expected);
    term_proof_free(expected);
    return equal_secret(hash.bytes, proof->bytes, CHUNK_HASH_SIZE);
}

/* The rows of [start, end) are those of the range. */
static enum status add_rows(struct file_draft *draft, struct extent *extent, const struct chunk *before,
                            const struct chunk *rows, const struct chunk_hash *proof, struct error *err)
{
    uint32_t count = extent->end - extent->start, length = rows[count - 1].end - before->end;
    char name[CHUNK_HASH_TEXT];
    chunk_hash_text(&extent->xorb.hash, name);
    if (!proof_holds(rows, count, proof))
        return fail(
            err, INVALID, NULL,
            "The verification hash of chunks %u to %u of the xorb %s is wrong; it must be made of their hashes.",
            extent->start, extent->end, name);
    if (length != extent->length)
        return fail(err, INVALID, NULL, "Chunks %u to %u of the xorb %s have %u bytes, not %lld.", extent->start,
                    extent->end, name, length, (long long)extent->length);
    uint32_t end = before->end;
    for (uint32_t i = 0; i < count; i++) {
        merkle_add(draft->merkle, &rows[i].hash, rows[i].end - end);
        end = rows[i].end;
        extent->packed |= rows[i].scheme != SCHEME_NONE;
    }
    if (draft->size == 0)
        draft->first = rows[0].hash;
    extent->stored_at = before->stored_end;
    extent->stored = rows[count - 1].stored_end - before->stored_end;
    buf_add(&draft->extents, extent, sizeof(*extent));
    draft->size += length;
    return OK;
}

enum status file_draft_add(struct file_draft *draft, const struct xorb *xorb, uint32_t start, uint32_t end,
                           uint32_t length, const struct chunk_hash *proof, struct error *err)
{
    assert(draft->merkle);
    if (start >= end || end > xorb->chunks)
        return fail(err, INVALID, NULL, "There is no range of chunks %u to %u in a xorb of %u chunks.", start, end,
                    xorb->chunks);
    struct extent extent = {.xorb = *xorb, .at = draft->size, .length = length, .start = start, .end = end};
    struct chunk before, *rows = calloc(end - start, sizeof(*rows));
    if (!rows)
        abort();
    enum status status = explain_gone(store_chunks(draft->store, xorb, start, end, &before, rows, err), err);
    if (status == OK)
        status = add_rows(draft, &extent, &before, rows, proof, err);
    free(rows);
    return status;
}

/* Hashes the bytes of extents in order. */
struct reader {
    struct store *store;
    int64_t done; /* bytes of the extent at hand that have been hashed */
    int fd;       /* of the container that was used last */
    int64_t container;
    /* In a packed extent: */
    struct chunk rows[ROWS], before; /* before the next row */
    uint32_t next, row, row_count;   /* the chunk behind rows; what of them is used and there */
    uint8_t *piece, *payload, *scratch;
};

static enum status reader_open(struct reader *reader, const struct extent *extent, struct error *err)
{
    if (reader->done == 0) {
        reader->next = extent->start;
        reader->row = reader->row_count = 0;
    }
    if (reader->fd >= 0 && reader->container == extent->xorb.container)
        return OK;
    auto_conn struct db_conn *conn = NULL;
    fd_close(&reader->fd);
    TRY(db_reader(reader->store->db, &conn, err));
    reader->container = extent->xorb.container;
    TRY(container_open(reader->store, conn, extent->xorb.container, &reader->fd, err));
    (void)posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* the kernel reads ahead while we hash */
    return OK;
}

static enum status read_rows(struct reader *reader, const struct extent *extent, struct error *err)
{
    uint32_t left = extent->end - reader->next, count = left < ROWS ? left : ROWS;
    if (count == 0)
        return fail(err, CORRUPT, NULL, "The table of a xorb in the store has changed; restore it from a backup.");
    TRY(store_chunks(reader->store, &extent->xorb, reader->next, reader->next + count, &reader->before, reader->rows,
                     err));
    reader->next += count;
    reader->row = 0;
    reader->row_count = count;
    return OK;
}

/* Whole chunks of a packed extent, as many as there is room for. */
static enum status read_packed(struct reader *reader, const struct extent *extent, uint8_t *out, size_t room,
                               size_t *got, struct error *err)
{
    for (*got = 0; reader->done + (int64_t)*got < extent->length;) {
        if (reader->row == reader->row_count)
            TRY(read_rows(reader, extent, err));
        const struct chunk *row = &reader->rows[reader->row], *before = &reader->before;
        size_t len = row->end - before->end, payload = row->stored_end - before->stored_end;
        if (len > room - *got)
            return OK;
        TRY(pread_full(reader->fd, reader->payload, payload, extent->xorb.start + before->stored_end, err));
        if (chunk_decode(row->scheme, reader->payload, payload, out + *got, len, reader->scratch, err) != OK)
            return fail(err, CORRUPT, NULL, "A chunk in the store is damaged; restore it from a backup.");
        reader->before = *row;
        reader->row++;
        *got += len;
    }
    return OK;
}

/* The next bytes of the extent, STEP at most. */
static enum status hash_some(struct reader *reader, const struct extent *extent, struct hasher *hasher, size_t *got,
                             struct error *err)
{
    if (extent->packed) {
        TRY(read_packed(reader, extent, reader->piece, PIECE, got, err));
        hasher_add(hasher, reader->piece, *got);
        return OK;
    }
    int64_t left = extent->length - reader->done;
    *got = left < (int64_t)STEP ? (size_t)left : STEP;
    return disk_hash(reader->fd, extent->xorb.start + extent->stored_at + reader->done, (int64_t)*got, hasher, err);
}

static enum status hash_all(struct reader *reader, const struct extent *extents, size_t count, struct hasher *hasher,
                            hash_progress_fn *progress, void *context, struct error *err)
{
    int64_t total = 0;
    for (size_t i = 0, got; i < count; i++) {
        const struct extent *extent = &extents[i];
        for (reader->done = 0; reader->done < extent->length; reader->done += (int64_t)got) {
            TRY(reader_open(reader, extent, err));
            TRY(hash_some(reader, extent, hasher, &got, err));
            total += (int64_t)got;
            TRY(progress ? progress(context, total, err) : OK);
        }
    }
    return OK;
}

enum status extents_hash(struct store *store, const struct extent *extents, size_t count, struct hasher *hasher,
                         hash_progress_fn *progress, void *context, struct error *err)
{
    uint8_t *memory = malloc(PIECE + XORB_PAYLOAD_MOST + CHUNK_MAX), *payload = memory + PIECE;
    if (!memory)
        abort();
    struct reader reader = {
        .store = store, .fd = -1, .piece = memory, .payload = payload, .scratch = payload + XORB_PAYLOAD_MOST};
    enum status status = hash_all(&reader, extents, count, hasher, progress, context, err);
    fd_close(&reader.fd);
    free(memory);
    return status;
}

static enum status hash_bytes(struct file_draft *draft, hash_progress_fn *progress, void *context, struct error *err)
{
    size_t count = extent_count(draft), done;
    const struct extent *extents = (const struct extent *)draft->extents.data;
    struct hasher *hasher = guess_take(draft->store->guess, draft->account_id, draft->repo_id, extents, count, &done);
    enum status status = OK;
    if (done < count)
        status = extents_hash(draft->store, extents + done, count - done, hasher, progress, context, err);
    hasher_end(hasher, draft->sha256);
    hasher_free(hasher);
    return status;
}

/* An object of this Xet hash has the same bytes, so its SHA-256 is theirs. Only one that the repo holds: how long verifying takes must
 * not tell what others have. */
static enum status find_known(struct file_draft *draft, int64_t repo_id, const uint8_t *sha256, bool *found,
                              struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct object object;
    TRY(db_reader(draft->store->db, &conn, err));
    enum status status = store_lookup_xet(conn, repo_id, &draft->hash, &object, err);
    *found = status == OK && (!sha256 || memcmp(object.sha256, sha256, SHA256_SIZE) == 0);
    if (*found)
        memcpy(draft->sha256, object.sha256, SHA256_SIZE);
    return status == NOT_FOUND ? OK : status;
}

enum status file_draft_verify(struct file_draft *draft, int64_t repo_id, const uint8_t *sha256,
                              hash_progress_fn *progress, void *context, struct error *err)
{
    assert(draft->merkle);
    struct chunk_hash root = merkle_root(draft->merkle), hash = file_hash_of(&root);
    char announced[CHUNK_HASH_TEXT], actual[CHUNK_HASH_TEXT];
    bool known;
    free(draft->merkle);
    draft->merkle = NULL;
    if (!chunk_hash_eq(&hash, &draft->hash)) {
        chunk_hash_text(&draft->hash, announced);
        chunk_hash_text(&hash, actual);
        return fail(err, INVALID, NULL, "The file was announced with the Xet hash %s, but its chunks give %s.",
                    announced, actual);
    }
    TRY(find_known(draft, repo_id, sha256, &known, err));
    if (!known)
        TRY(explain_gone(hash_bytes(draft, progress, context, err), err));
    if (sha256 && memcmp(sha256, draft->sha256, SHA256_SIZE) != 0) {
        hex_name(sha256, SHA256_SIZE, announced);
        hex_name(draft->sha256, SHA256_SIZE, actual);
        return fail(err, INVALID, NULL, "The file was announced with SHA-256 %s, but its bytes have %s.", announced,
                    actual);
    }
    draft->verified = true;
    return OK;
}

static enum status insert_extents(struct db_conn *tx, const struct file_draft *draft, int64_t object_id,
                                  struct buf *unsettled, struct error *err)
{
    for (size_t i = 0; i < extent_count(draft); i++) {
        const struct extent *extent = extent_at(draft, i);
        struct xorb now;
        TRY(explain_gone(store_xorb_get(tx, extent->xorb.id, &now, err), err));
        if (!chunk_hash_eq(&now.hash, &extent->xorb.hash))
            return explain_gone(NOT_FOUND, err);
        TRY(unsettled_note(tx, now.container, unsettled, err));
        TRY(extent_insert(tx, object_id, extent, err));
    }
    return extent_count(draft) ? dedup_key_insert(tx, &draft->first, extent_at(draft, 0)->xorb.id, err) : OK;
}

struct keeping {
    int64_t repo_id;
    struct file_draft *const *drafts;
    size_t count;
    struct buf unsettled;
};

static enum status write_drafts(struct db_conn *tx, void *context, struct error *err)
{
    struct keeping *keeping = context;
    for (size_t i = 0; i < keeping->count; i++) {
        const struct file_draft *draft = keeping->drafts[i];
        int64_t object_id;
        bool made;
        TRY(object_insert(tx, draft->sha256, draft->size, draft->size ? &draft->hash : NULL, &object_id, &made, err));
        if (made)
            TRY(insert_extents(tx, draft, object_id, &keeping->unsettled, err));
        TRY(store_hold(tx, keeping->repo_id, object_id, err));
    }
    return unsettled_check(&keeping->unsettled, err);
}

enum status file_drafts_keep(struct store *store, int64_t repo_id, struct file_draft *const *drafts, size_t count,
                             struct error *err)
{
    store_assert(store);
    for (size_t i = 0; i < count; i++)
        assert(drafts[i]->verified);
    struct keeping keeping = {.repo_id = repo_id, .drafts = drafts, .count = count};
    enum status status = explain_gone(settled_write(store, write_drafts, &keeping, &keeping.unsettled, err), err);
    buf_free(&keeping.unsettled);
    if (status == OK && count > 0)
        guess_end(store->guess, drafts[0]->account_id, drafts[0]->repo_id);
    return disk_explain(status, err);
}
