/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Data addresses (xet-protocol 3.3): ranges of the wire form of a xorb, fetched without a key. */
#include "base/text.h"
#include "base/time.h"
#include "net/range.h"
#include "router/limit.h"
#include "router/reply.h"
#include "router/sign.h"
#include "xet/handlers.h"

#define VALID_SECONDS 3600
#define RANGES_MOST 1024 /* in one request: as many as fit in a head */

struct str data_url(struct request *rq, int64_t xorb_id, struct str ranges)
{
    return sign_target(rq, arena_printf(rq->arena, "/xet/data/%lld?b=%.*s&k=%lld&r=%lld&u=%lld", (long long)xorb_id,
                                        STR_ARG(ranges), (long long)rq->actor.key_id, (long long)rq->repo.id,
                                        (long long)(now_us() / SECOND_US + VALID_SECONDS)));
}

/* 403 makes clients ask for a new plan and go on (xet-protocol 3, row 7). */
enum status data_signed(struct request *rq, struct error *err)
{
    TRY(sign_check_target(rq, err));
    if (query_number(rq, "u") < now_us() / SECOND_US)
        return fail(err, FORBIDDEN, NULL, "This address has expired. Ask for the reconstruction again.");
    return sign_admit(rq, query_number(rq, "k"), query_number(rq, "r"), err);
}

static bool is_within(const struct range *wanted, const struct range *allowed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wanted->offset >= allowed[i].offset &&
            wanted->offset - allowed[i].offset <= allowed[i].length - wanted->length)
            return true;
    return false;
}

static enum status wanted_ranges(struct request *rq, int64_t size, struct range *wanted, size_t *count,
                                 struct error *err)
{
    struct range *allowed = arena_array(rq->arena, RANGES_MOST, sizeof *allowed);
    size_t allowed_count;
    struct str signed_text = arena_printf(rq->arena, "bytes=%.*s", STR_ARG(request_query(rq, "b", 0)));
    TRY(ranges_parse(signed_text, size, allowed, RANGES_MOST, &allowed_count, err));
    TRY(ranges_parse(http_header(rq->http, "range"), size, wanted, RANGES_MOST, count, err));
    for (size_t i = 0; i < *count; i++) {
        if (!is_within(&wanted[i], allowed, allowed_count))
            return fail(err, FORBIDDEN, NULL, "This address is not for that range. Ask for the reconstruction again.");
        /* Else a small request could have all of a xorb a thousand times. */
        if (i > 0 && wanted[i].offset < wanted[i - 1].offset + wanted[i - 1].length)
            return fail(err, INVALID, NULL, "Ranges must be in order and must not overlap here.");
    }
    return OK;
}

/* Several ranges in one reply (RFC 9110 section 14.6): before each, a head from memory, then its part of the view. */
struct parts {
    struct store_view *view;
    struct str *heads; /* one for each range, then the end */
    const struct range *ranges;
    size_t count, at;
    int64_t left; /* of the range at hand */
};

static bool parts_next(void *context, struct http_extent *out)
{
    struct parts *parts = context;
    if (parts->left == 0) {
        if (parts->at > parts->count)
            return false;
        struct str head = parts->heads[parts->at];
        *out = (struct http_extent){.fd = -1, .length = (int64_t)head.len, .data = head.data};
        parts->left = parts->at < parts->count ? parts->ranges[parts->at].length : 0;
        parts->at++;
        return true;
    }
    if (!reply_view_piece(parts->view, out))
        return false;
    parts->left -= out->length;
    return true;
}

static void parts_release(void *context)
{
    const struct parts *parts = context;
    store_view_close(parts->view);
}

static enum status reply_parts(struct request *rq, struct store_view *view, const struct range *ranges, size_t count,
                               int64_t size, struct error *err)
{
    uint8_t random[12];
    random_bytes(random, sizeof random);
    struct str boundary = hex_encode(rq->arena, random, sizeof random);
    struct parts *parts = arena_alloc(rq->arena, sizeof *parts);
    *parts = (struct parts){.view = view, .ranges = ranges, .count = count};
    parts->heads = arena_array(rq->arena, count + 1, sizeof *parts->heads);
    int64_t length = 0;
    for (size_t i = 0; i < count; i++) {
        parts->heads[i] = arena_printf(
            rq->arena,
            "%s--%.*s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %lld-%lld/%lld\r\n\r\n",
            i ? "\r\n" : "", STR_ARG(boundary), (long long)ranges[i].offset,
            (long long)(ranges[i].offset + ranges[i].length - 1), (long long)size);
        length += (int64_t)parts->heads[i].len + ranges[i].length;
    }
    parts->heads[count] = arena_printf(rq->arena, "\r\n--%.*s--\r\n", STR_ARG(boundary));
    length += (int64_t)parts->heads[count].len;
    enum status status = request_promise(rq, length, err);
    if (status != OK) {
        store_view_close(view);
        return status;
    }
    struct str type = arena_printf(rq->arena, "multipart/byteranges; boundary=%.*s", STR_ARG(boundary));
    reply_pieces(rq->http, 206, type, length, parts_next, parts_release, parts);
    return OK;
}

/* GET /xet/data/{xorb} with a Range: exactly what the plan named. */
enum status data_get(struct request *rq, struct error *err)
{
    struct xorb xorb;
    struct store_view *view;
    int64_t id;
    size_t count;
    struct range *ranges = arena_array(rq->arena, RANGES_MOST, sizeof *ranges);
    if (!str_to_i64(rq->params[0], &id))
        return fail(err, NOT_FOUND, NULL, "There is no such xorb.");
    TRY(store_xorb_get(rq->db, id, &xorb, err));
    int64_t size = store_xorb_wire_length(&xorb);
    TRY(wanted_ranges(rq, size, ranges, &count, err));
    struct store_range *wire = arena_array(rq->arena, count, sizeof *wire);
    for (size_t i = 0; i < count; i++)
        wire[i] = (struct store_range){ranges[i].offset, ranges[i].length};
    if (count == 1)
        TRY(request_promise(rq, ranges[0].length, err));
    request_done_reading(rq);
    TRY(store_xorb_view_open(rq->hub->store, &xorb, wire, count, &view, err));
    reply_header(rq->http, "Accept-Ranges", "bytes");
    reply_header(rq->http, "Cache-Control", "private, max-age=%d, immutable", VALID_SECONDS);
    if (count > 1)
        return reply_parts(rq, view, ranges, count, size, err);
    reply_header(rq->http, "Content-Range", "bytes %lld-%lld/%lld", (long long)ranges[0].offset,
                 (long long)(ranges[0].offset + ranges[0].length - 1), (long long)size);
    request_reply_view(rq, 206, STR("application/octet-stream"), ranges[0].length, view);
    return OK;
}
