/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views: the bytes of an object, or of the wire form of a xorb, piece by piece. */
#include "base/file.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define EXTENTS 32 /* read from the database at once */
#define ROWS 256   /* of a xorb's table, read at once */

struct unpacking {
    uint8_t payload[XORB_PAYLOAD_MOST], data[CHUNK_MAX], scratch[CHUNK_MAX];
};

/* Rows [from, to) of a table, and the one in front of them. */
struct rows {
    uint32_t from, to;
    struct chunk before, chunks[ROWS];
};

struct store_view {
    struct store *store;
    enum status (*next)(struct store_view *view, struct store_piece *out, struct error *err); /* while at < end */
    int64_t at, end; /* bytes: of the object; of all ranges, one after the other */
    int fd;          /* of the container at hand */
    int64_t container, container_size;
    int64_t held, held_end; /* bytes of it that no sweep punches out */
    struct rows *rows;      /* of the xorb at hand; NULL until some are needed */
    uint32_t row, row_end;  /* the chunks to give: of a packed extent; of a range of a xorb */

    /* Of an object: */
    int64_t object_id;
    struct extent extents[EXTENTS];
    size_t extent, extent_count; /* the one at hand */
    bool entered;                /* row and base are of the extent at hand, which is packed */
    int64_t base;                /* where that extent begins among the bytes of its xorb */
    struct unpacking *unpacking; /* NULL until something is packed */

    /* Of a xorb: */
    struct xorb xorb;
    struct chunk_range {
        uint32_t start, end;
    } * ranges;
    size_t range, range_count; /* the next one */
    uint8_t header[XORB_CHUNK_HEADER];
    bool header_given; /* that of the chunk at hand */
};

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        abort();
    return memory;
}

static struct store_view *view_new(struct store *store)
{
    store_assert(store);
    struct store_view *view = allocate(sizeof(*view));
    *view = (struct store_view){.store = store, .fd = -1};
    return view;
}

void store_view_close(struct store_view *view)
{
    if (!view)
        return;
    fd_close(&view->fd);
    free(view->rows);
    free(view->unpacking);
    free(view->ranges);
    free(view);
}

/* Opens the container of the xorb, unless it is at hand already; conn may be NULL. */
static enum status view_container(struct store_view *view, struct db_conn *conn, const struct xorb *xorb,
                                  struct error *err)
{
    auto_conn struct db_conn *own = NULL;
    struct stat status;
    if (view->fd < 0 || view->container != xorb->container) {
        fd_close(&view->fd);
        if (!conn)
            TRY(db_reader(view->store->db, &own, err));
        TRY(container_open(view->store, conn ? conn : own, xorb->container, &view->fd, err));
        if (fstat(view->fd, &status) != 0)
            return disk_fail(err, "look at a container");
        view->container = xorb->container;
        view->container_size = status.st_size;
        view->held = view->held_end = 0;
    }
    if (within(xorb->start, xorb->stored, view->container_size))
        return OK;
    return fail(err, CORRUPT, NULL,
                "The container %lld of the store has %lld bytes, fewer than it should have; restore it from a backup.",
                (long long)view->container, (long long)view->container_size);
}

/* While the container stays open, a sweep that would punch bytes of the range out finds it locked (freed.c). */
static enum status view_lock(const struct store_view *view, int64_t start, int64_t end, struct error *err)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = end - start};
    while (fcntl(view->fd, F_OFD_SETLKW, &lock) != 0)
        if (errno != EINTR)
            return disk_fail(err, "lock what is being read");
    return OK;
}

/* Row index of the xorb, whose container is at hand, and the one before it; further ones up to end are read with it. */
static enum status view_row(struct store_view *view, const struct xorb *xorb, uint32_t index, uint32_t end,
                            const struct chunk **before, const struct chunk **row, struct error *err)
{
    if (!view->rows) {
        view->rows = allocate(sizeof(*view->rows));
        view->rows->from = view->rows->to = 0;
    }
    struct rows *rows = view->rows;
    if (index < rows->from || index >= rows->to) {
        rows->from = rows->to = 0;
        uint32_t to = end - index < ROWS ? end : index + ROWS;
        TRY(chunks_read(view->fd, xorb, index, to, &rows->before, rows->chunks, err));
        rows->from = index;
        rows->to = to;
    }
    *row = &rows->chunks[index - rows->from];
    *before = index > rows->from ? *row - 1 : &rows->before;
    return OK;
}

static int64_t end_in_bytes(const struct chunk *chunk, uint32_t index)
{
    (void)index;
    return chunk->end;
}

static int64_t end_on_wire(const struct chunk *chunk, uint32_t index)
{
    return (int64_t)XORB_CHUNK_HEADER * (index + 1) + chunk->stored_end;
}

/* The first chunk of [start, end) that ends behind the position; end when there is none. */
static enum status view_search(struct store_view *view, const struct xorb *xorb, uint32_t start, uint32_t end,
                               int64_t (*end_of)(const struct chunk *chunk, uint32_t index), int64_t position,
                               uint32_t *found, struct error *err)
{
    while (start < end) {
        uint32_t middle = start + (end - start) / 2;
        struct chunk before, row;
        TRY(chunks_read(view->fd, xorb, middle, middle + 1, &before, &row, err));
        if (end_of(&row, middle) > position)
            end = middle;
        else
            start = middle + 1;
    }
    *found = start;
    return OK;
}

/* Views of objects. */

static enum status object_batch(struct store_view *view, struct db_conn *conn, struct error *err)
{
    auto_conn struct db_conn *own = NULL;
    if (!conn)
        TRY(db_reader(view->store->db, &own, err));
    view->extent = 0;
    return store_extents(conn ? conn : own, view->object_id, view->at, view->end - view->at, view->extents, EXTENTS,
                         &view->extent_count, err);
}

static int64_t place_of(const struct extent *extent)
{
    return extent->xorb.start + extent->stored_at;
}

/* Do the bytes of the second extent stand behind those of the first, in the container at hand? */
static bool goes_on(const struct store_view *view, const struct extent *extent, const struct extent *next)
{
    return !next->packed && next->xorb.container == extent->xorb.container &&
           place_of(next) == place_of(extent) + extent->length &&
           within(next->xorb.start, next->xorb.stored, view->container_size);
}

/* The last of the extents, from the one at hand on, that are read as one. */
static size_t run_last(const struct store_view *view)
{
    size_t last = view->extent;
    while (!view->extents[last].packed && last + 1 < view->extent_count &&
           goes_on(view, &view->extents[last], &view->extents[last + 1]))
        last++;
    return last;
}

/*
 * Locks the bytes of the run at hand. Rows that were not read just now (conn is NULL) may have gone since, and their
 * bytes with them: under the lock that can be told.
 */
static enum status object_hold(struct store_view *view, struct db_conn *conn, struct error *err)
{
    auto_conn struct db_conn *own = NULL;
    struct xorb xorb;
    size_t last = run_last(view);
    int64_t start = place_of(&view->extents[view->extent]);
    int64_t end = place_of(&view->extents[last]) + view->extents[last].stored;
    if (start >= view->held && end <= view->held_end)
        return OK;
    TRY(view_lock(view, start, end, err));
    if (!conn)
        TRY(db_reader(view->store->db, &own, err));
    for (size_t i = view->extent; own && i <= last; i++)
        TRY(store_xorb_get(own, view->extents[i].xorb.id, &xorb, err));
    view->held = start;
    view->held_end = end;
    return OK;
}

static void plain_next(struct store_view *view, struct store_piece *out)
{
    const struct extent *first = &view->extents[view->extent], *last = &view->extents[run_last(view)];
    int64_t to = last->at + last->length < view->end ? last->at + last->length : view->end;
    *out = (struct store_piece){
        .fd = view->fd, .offset = place_of(first) + (view->at - first->at), .length = to - view->at};
    view->extent = (size_t)(last - view->extents) + 1;
}

static enum status table_damaged(struct error *err)
{
    return fail(err, CORRUPT, NULL, "The table of a xorb in the store is damaged; restore it from a backup.");
}

/* Finds the chunk to begin with. The table must agree with the extent, so that nothing is given too much or too little.
 */
static enum status packed_enter(struct store_view *view, const struct extent *extent, struct error *err)
{
    struct chunk before, first, last, unused;
    TRY(chunks_read(view->fd, &extent->xorb, extent->start, extent->start + 1, &before, &first, err));
    TRY(chunks_read(view->fd, &extent->xorb, extent->end - 1, extent->end, &unused, &last, err));
    view->base = before.end;
    view->row = extent->start;
    view->row_end = extent->end;
    if (last.end - view->base != extent->length || before.stored_end != extent->stored_at ||
        last.stored_end - extent->stored_at != extent->stored)
        return table_damaged(err);
    if (view->at > extent->at)
        TRY(view_search(view, &extent->xorb, extent->start, extent->end, end_in_bytes,
                        view->base + (view->at - extent->at), &view->row, err));
    if (view->rows)
        view->rows->from = view->rows->to = 0;
    view->entered = true;
    return OK;
}

/* Decodes the chunk at hand. */
static enum status unpack(struct store_view *view, const struct xorb *xorb, const struct chunk *before,
                          const struct chunk *chunk, struct error *err)
{
    if (!view->unpacking)
        view->unpacking = allocate(sizeof(*view->unpacking));
    struct unpacking *unpacking = view->unpacking;
    size_t stored = chunk->stored_end - before->stored_end, len = chunk->end - before->end;
    TRY(pread_full(view->fd, unpacking->payload, stored, xorb->start + before->stored_end, err));
    if (chunk_decode(chunk->scheme, unpacking->payload, stored, unpacking->data, len, unpacking->scratch, err) != OK)
        return fail(err, CORRUPT, NULL, "A chunk in the container %lld is damaged; restore it from a backup.",
                    (long long)view->container);
    return OK;
}

static enum status packed_next(struct store_view *view, struct store_piece *out, struct error *err)
{
    const struct extent *extent = &view->extents[view->extent];
    const struct chunk *before, *chunk;
    if (!view->entered)
        TRY(packed_enter(view, extent, err));
    if (view->row == view->row_end)
        return table_damaged(err);
    TRY(view_row(view, &extent->xorb, view->row, view->row_end, &before, &chunk, err));
    int64_t skip = view->at - extent->at - (before->end - view->base);
    int64_t end = extent->at + (chunk->end - view->base);
    int64_t length = (end < view->end ? end : view->end) - view->at;
    if (skip < 0 || length <= 0 || end > extent->at + extent->length)
        return table_damaged(err);
    if (chunk->scheme == SCHEME_NONE) {
        *out = (struct store_piece){view->fd, extent->xorb.start + before->stored_end + skip, length, NULL};
    } else {
        TRY(unpack(view, &extent->xorb, before, chunk, err));
        *out = (struct store_piece){-1, 0, length, (const char *)view->unpacking->data + skip};
    }
    if (++view->row == view->row_end) {
        view->extent++;
        view->entered = false;
    }
    return OK;
}

static enum status object_next(struct store_view *view, struct store_piece *out, struct error *err)
{
    if (view->extent == view->extent_count)
        TRY(object_batch(view, NULL, err));
    const struct extent *extent = &view->extents[view->extent];
    TRY(view_container(view, NULL, &extent->xorb, err));
    TRY(object_hold(view, NULL, err));
    if (extent->packed)
        return packed_next(view, out, err);
    plain_next(view, out);
    return OK;
}

/* A sweep may have taken what is being read; then nothing is damaged. Asks anew, as callers may be looking at an old
 * state. */
static enum status view_settle(struct store_view *view, enum status status, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct error gone = {0};
    struct xorb xorb;
    int64_t size;
    if (status != CORRUPT || db_reader(view->store->db, &conn, &gone) != OK)
        return status;
    enum status found = view->next == object_next ? object_size(conn, view->object_id, &size, &gone)
                                                  : store_xorb_get(conn, view->xorb.id, &xorb, &gone);
    return found == NOT_FOUND ? fail(err, NOT_FOUND, NULL, "%s", gone.message) : status;
}

enum status store_view_next(struct store_view *view, struct store_piece *out, bool *found, struct error *err)
{
    *found = view->at < view->end;
    if (!*found)
        return OK;
    TRY(view_settle(view, view->next(view, out, err), err));
    view->at += out->length;
    return OK;
}

/* Ends the opening of a view. */
static enum status view_opened(struct store_view *view, enum status status, struct store_view **out, struct error *err)
{
    status = view_settle(view, status, err);
    if (status == OK)
        *out = view;
    else
        store_view_close(view);
    return status;
}

enum status store_view_open(struct store *store, struct db_conn *conn, int64_t object_id, int64_t offset,
                            int64_t length, struct store_view **out, struct error *err)
{
    int64_t size;
    TRY(object_size(conn, object_id, &size, err));
    if (!within(offset, length, size))
        return fail(err, BAD_RANGE, NULL, "The range ends behind the end of the file, which has %lld bytes.",
                    (long long)size);
    struct store_view *view = view_new(store);
    view->next = object_next;
    view->object_id = object_id;
    view->at = offset;
    view->end = offset + length;
    /* The first container is opened here, so that most failures come before a reply has begun. */
    enum status status = length > 0 ? object_batch(view, conn, err) : OK;
    if (status == OK && length > 0)
        status = view_container(view, conn, &view->extents[0].xorb, err);
    if (status == OK && length > 0)
        status = object_hold(view, conn, err);
    return view_opened(view, status, out, err);
}

/* Views of xorbs. */

int64_t store_xorb_wire_length(const struct xorb *xorb)
{
    return (int64_t)XORB_CHUNK_HEADER * xorb->chunks + xorb->stored;
}

static enum status xorb_next(struct store_view *view, struct store_piece *out, struct error *err)
{
    const struct chunk *before, *chunk;
    while (view->row == view->row_end) {
        assert(view->range < view->range_count);
        view->row = view->ranges[view->range].start;
        view->row_end = view->ranges[view->range++].end;
    }
    TRY(view_row(view, &view->xorb, view->row, view->row_end, &before, &chunk, err));
    uint32_t stored = chunk->stored_end - before->stored_end;
    if (!view->header_given) {
        xorb_header_write(view->header, chunk->scheme, stored, chunk->end - before->end);
        *out = (struct store_piece){-1, 0, sizeof(view->header), (const char *)view->header};
    } else {
        *out = (struct store_piece){view->fd, view->xorb.start + before->stored_end, stored, NULL};
        view->row++;
    }
    view->header_given = !view->header_given;
    return OK;
}

/* How many chunks end at or before the place in the wire form, where one must end. */
static enum status chunks_before(struct store_view *view, int64_t place, uint32_t *count, struct error *err)
{
    struct chunk before, chunk;
    *count = 0;
    if (place == 0)
        return OK;
    TRY(view_search(view, &view->xorb, 0, view->xorb.chunks, end_on_wire, place - 1, count, err));
    if (*count < view->xorb.chunks) {
        TRY(chunks_read(view->fd, &view->xorb, *count, *count + 1, &before, &chunk, err));
        if (end_on_wire(&chunk, (*count)++) == place)
            return OK;
    }
    return fail(err, BAD_RANGE, NULL, "No chunk of the xorb begins or ends at byte %lld.", (long long)place);
}

/* Its row may have been read long ago: whether it is still there can be told under the lock. */
static enum status xorb_hold(struct store_view *view, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct xorb *xorb = &view->xorb;
    TRY(db_reader(view->store->db, &conn, err));
    TRY(view_container(view, conn, xorb, err));
    TRY(view_lock(view, xorb->start, xorb->start + xorb->stored, err));
    return store_xorb_get(conn, xorb->id, xorb, err);
}

static enum status xorb_ranges(struct store_view *view, const struct store_range *ranges, struct error *err)
{
    int64_t whole = store_xorb_wire_length(&view->xorb);
    TRY(xorb_hold(view, err));
    for (size_t i = 0; i < view->range_count; i++) {
        if (!within(ranges[i].offset, ranges[i].length, whole))
            return fail(err, BAD_RANGE, NULL, "The range ends behind the end of the xorb, which has %lld bytes.",
                        (long long)whole);
        TRY(chunks_before(view, ranges[i].offset, &view->ranges[i].start, err));
        TRY(chunks_before(view, ranges[i].offset + ranges[i].length, &view->ranges[i].end, err));
        view->end += ranges[i].length;
    }
    return OK;
}

enum status store_xorb_view_open(struct store *store, const struct xorb *xorb, const struct store_range *ranges,
                                 size_t count, struct store_view **out, struct error *err)
{
    struct store_view *view = view_new(store);
    view->next = xorb_next;
    view->xorb = *xorb;
    view->range_count = count;
    view->ranges = calloc(count ? count : 1, sizeof(*view->ranges));
    if (!view->ranges)
        abort();
    return view_opened(view, xorb_ranges(view, ranges, err), out, err);
}
