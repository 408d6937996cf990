/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reconstruction (xet-protocol 3.2): of which chunks of which xorbs a range of a file is made, and where to fetch them. */
#include "cas/xorb.h"
#include "net/range.h"
#include "xet/handlers.h"
#include <stdlib.h>

#define EXTENTS_AT_ONCE 256
#define RANGES_IN_ADDRESS 256 /* about 6 KB of them, so that the head of a request has room for it */

struct term {
    struct xorb xorb;
    uint32_t start, end; /* chunks */
    int64_t length;      /* bytes unpacked */
    int64_t from, to;    /* bytes of the wire form, end exclusive */
};

struct plan {
    int64_t skip; /* bytes to drop from the first term */
    struct term *terms;
    size_t count, capacity;
};

/* Collecting the terms. */

static void add_extents(struct arena *arena, struct plan *plan, const struct extent *extents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct extent *e = &extents[i];
        plan->terms = array_room(arena, plan->terms, plan->count, &plan->capacity, sizeof *plan->terms);
        plan->terms[plan->count++] = (struct term){
            .xorb = e->xorb,
            .start = e->start,
            .end = e->end,
            .length = e->length,
            .from = (int64_t)XORB_CHUNK_HEADER * e->start + e->stored_at,
            .to = (int64_t)XORB_CHUNK_HEADER * e->end + e->stored_at + e->stored,
        };
    }
}

static enum status collect(struct request *rq, int64_t object_id, int64_t offset, int64_t length, struct plan *plan,
                           struct error *err)
{
    struct extent *extents = arena_array(rq->arena, EXTENTS_AT_ONCE, sizeof *extents);
    int64_t end = offset + length;
    size_t count = EXTENTS_AT_ONCE;
    for (int64_t at = offset; at < end && count == EXTENTS_AT_ONCE;) {
        TRY(store_extents(rq->db, object_id, at, end - at, extents, EXTENTS_AT_ONCE, &count, err));
        if (plan->count == 0 && count > 0)
            plan->skip = offset - extents[0].at;
        add_extents(rq->arena, plan, extents, count);
        if (count > 0)
            at = extents[count - 1].at + extents[count - 1].length;
        if (plan->count > PIECES_MOST)
            return fail(err, TOO_LARGE, NULL, "This file has over %d pieces: ask for a range of it.", PIECES_MOST);
    }
    return plan->count > 0
               ? OK
               : fail(err, CORRUPT, NULL, "The database lacks part of the object %lld.", (long long)object_id);
}

/*
 * Drops whole chunks in front of byte skip and behind byte last of a term, both counted from its start, and says how many
 * bytes went in front. Only the outer terms need their tables for that.
 */
static enum status trim(struct request *rq, struct term *term, int64_t skip, int64_t last, int64_t *dropped,
                        struct error *err)
{
    auto_arena struct arena arena = {0};
    uint32_t count = term->end - term->start, first = 0, end = count;
    struct chunk before, *rows = arena_array(&arena, count, sizeof *rows);
    TRY(store_chunks(rq->hub->store, &term->xorb, term->start, term->end, &before, rows, err));
    int64_t base = before.end;
    while (first + 1 < count && rows[first].end - base <= skip)
        first++;
    while (end - 1 > first && rows[end - 2].end - base > last)
        end--;
    const struct chunk *front = first > 0 ? &rows[first - 1] : &before;
    *dropped = front->end - base;
    term->length = (int64_t)rows[end - 1].end - front->end;
    term->end = term->start + end;
    term->start += first;
    term->from = (int64_t)XORB_CHUNK_HEADER * term->start + front->stored_end;
    term->to = (int64_t)XORB_CHUNK_HEADER * term->end + rows[end - 1].stored_end;
    return OK;
}

static enum status trim_ends(struct request *rq, struct plan *plan, int64_t length, struct error *err)
{
    struct term *first = &plan->terms[0], *last = &plan->terms[plan->count - 1];
    int64_t total = 0, dropped = 0;
    for (size_t i = 0; i < plan->count; i++)
        total += plan->terms[i].length;
    int64_t behind = total - plan->skip - length; /* bytes of the last term that were not asked for */
    if (behind > 0 && last != first) {
        TRY(trim(rq, last, 0, last->length - behind - 1, &dropped, err));
        behind = 0;
    }
    if (plan->skip > 0 || behind > 0) {
        TRY(trim(rq, first, plan->skip, first->length - behind - 1, &dropped, err));
        plan->skip -= dropped;
    }
    return OK;
}

/* Writing it. */

static void write_bounds(struct json_writer *w, const char *name, int64_t start, int64_t end)
{
    jw_key(w, name);
    jw_object(w);
    jw_key_int(w, "start", start);
    jw_key_int(w, "end", end);
    jw_end(w);
}

static void write_terms(struct json_writer *w, const struct plan *plan)
{
    char hash[CHUNK_HASH_TEXT];
    jw_key(w, "terms");
    jw_array(w);
    for (size_t i = 0; i < plan->count; i++) {
        const struct term *term = &plan->terms[i];
        chunk_hash_text(&term->xorb.hash, hash);
        jw_object(w);
        jw_key_str(w, "hash", str_of(hash));
        jw_key_int(w, "unpacked_length", term->length);
        write_bounds(w, "range", term->start, term->end);
        jw_end(w);
    }
    jw_end(w);
}

static int by_place(const void *a, const void *b)
{
    const struct term *one = a, *other = b;
    if (one->xorb.id != other->xorb.id)
        return one->xorb.id < other->xorb.id ? -1 : 1;
    return (one->start > other->start) - (one->start < other->start);
}

/* What to fetch: the terms by xorb and place, those that touch or overlap made one. */
static struct term *merged(struct request *rq, const struct plan *plan, size_t *count)
{
    struct term *sorted = arena_array(rq->arena, plan->count, sizeof *sorted);
    memcpy(sorted, plan->terms, plan->count * sizeof *sorted);
    qsort(sorted, plan->count, sizeof *sorted, by_place);
    size_t kept = 0;
    for (size_t i = 1; i < plan->count; i++) {
        struct term *last = &sorted[kept];
        if (sorted[i].xorb.id != last->xorb.id || sorted[i].start > last->end) {
            sorted[++kept] = sorted[i];
        } else if (sorted[i].end > last->end) {
            last->end = sorted[i].end;
            last->to = sorted[i].to;
        }
    }
    *count = kept + 1;
    return sorted;
}

static void write_fetch_v1(struct request *rq, struct json_writer *w, const struct term *term)
{
    struct str bytes = arena_printf(rq->arena, "%lld-%lld", (long long)term->from, (long long)term->to - 1);
    jw_object(w);
    write_bounds(w, "range", term->start, term->end);
    jw_key_str(w, "url", data_url(rq, term->xorb.id, bytes));
    write_bounds(w, "url_range", term->from, term->to - 1);
    jw_end(w);
}

static void write_fetch_v2(struct request *rq, struct json_writer *w, const struct term *terms, size_t count)
{
    auto_buf struct buf bytes = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&bytes, "%s%lld-%lld", i ? "," : "", (long long)terms[i].from, (long long)terms[i].to - 1);
    jw_object(w);
    jw_key_str(w, "url", data_url(rq, terms->xorb.id, buf_view(&bytes)));
    jw_key(w, "ranges");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        write_bounds(w, "chunks", terms[i].start, terms[i].end);
        write_bounds(w, "bytes", terms[i].from, terms[i].to - 1);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

static void write_fetches(struct request *rq, struct json_writer *w, const struct plan *plan, int version)
{
    char hash[CHUNK_HASH_TEXT];
    size_t count;
    const struct term *terms = merged(rq, plan, &count);
    jw_key(w, version == 1 ? "fetch_info" : "xorbs");
    jw_object(w);
    for (size_t i = 0; i < count;) {
        size_t same = 1;
        while (i + same < count && terms[i + same].xorb.id == terms[i].xorb.id)
            same++;
        chunk_hash_text(&terms[i].xorb.hash, hash);
        jw_key(w, hash);
        jw_array(w);
        for (size_t step, end = i + same; i < end; i += step) {
            step = version == 1 ? 1 : end - i < RANGES_IN_ADDRESS ? end - i : RANGES_IN_ADDRESS;
            if (version == 1)
                write_fetch_v1(rq, w, &terms[i]);
            else
                write_fetch_v2(rq, w, &terms[i], step);
        }
        jw_end(w);
    }
    jw_end(w);
}

static enum status write_plan(struct request *rq, int version, struct buf *body, struct error *err)
{
    struct chunk_hash hash;
    struct object object;
    struct plan plan = {0};
    bool partial;
    int64_t offset, length;
    TRY(xet_hash_param(rq, 0, &hash, err));
    TRY(store_lookup_xet(rq->db, rq->repo.id, &hash, &object, err));
    TRY(range_parse(http_header(rq->http, "range"), object.size, &partial, &offset, &length, err));
    TRY(collect(rq, object.id, offset, length, &plan, err));
    rq->plan_bytes = offset == 0 ? length : 0;
    request_done_reading(rq);
    TRY(trim_ends(rq, &plan, length, err));

    struct json_writer w = jw_to(body);
    jw_object(&w);
    jw_key_int(&w, "offset_into_first_range", plan.skip);
    write_terms(&w, &plan);
    write_fetches(rq, &w, &plan, version);
    jw_end(&w);
    return OK;
}

/* Making a plan takes several times the memory of its text, and what is in the request's arena stays until the client has read it:
 * so it is made in another one. */
static enum status reconstruct(struct request *rq, int version, struct error *err)
{
    auto_buf struct buf body = {0};
    auto_arena struct arena own = {0};
    struct arena *arena = rq->arena;
    rq->arena = &own;
    enum status status = write_plan(rq, version, &body, err);
    rq->arena = arena;
    TRY(status);
    reply_header(rq->http, "Cache-Control", "private, no-store");
    request_reply_json(rq, &body);
    return OK;
}

/* GET /xet/v2/reconstructions/{hash} */
enum status reconstruction_get_v2(struct request *rq, struct error *err)
{
    return reconstruct(rq, 2, err);
}

/* GET /xet/v1/reconstructions/{hash} */
enum status reconstruction_get_v1(struct request *rq, struct error *err)
{
    return reconstruct(rq, 1, err);
}
