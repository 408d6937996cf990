/* SPDX-License-Identifier: GPL-3.0-or-later */
/* git-lfs batch API and the transfers behind it (hub-protocol 1.6, 1.13). */
#include "base/path.h"
#include "base/text.h"
#include "hub/handlers.h"
#include "hub/part_claims.h"
#include "hub/transfer_url.h"
#include "router/room.h"
#include "xet/token.h"

#define BATCH_BODY_LIMIT (4 << 20)
#define BATCH_OBJECTS 1000
#define BATCH_PARTS 100000           /* addresses in one answer: 25 MB of them */
#define MULTIPART_FROM (128LL << 20) /* smaller files go up in one piece: a re-send costs less than the extra calls */
#define PIECE (1 << 20)              /* read from the socket, hashed and written at a time */

static void lfs_type_reply(struct request *rq, struct buf *body)
{
    reply_buf(rq->http, 200, STR("application/vnd.git-lfs+json"), body);
}

struct batch {
    struct request *rq;
    struct json_writer w;
    bool upload, multipart, xet;
    int64_t parts;          /* addresses written so far */
    struct str xet_refresh; /* where another token is to be had */
    struct xet_grant xet_grant;
};

static void write_action(struct json_writer *w, const char *name, struct str href)
{
    jw_key(w, name);
    jw_object(w);
    jw_key_str(w, "href", href);
    jw_key_int(w, "expires_in", 24 * 3600);
    jw_end(w);
}

static void write_object_error(struct json_writer *w, int code, struct str message)
{
    jw_key(w, "error");
    jw_object(w);
    jw_key_int(w, "code", code);
    jw_key_str(w, "message", message);
    jw_end(w);
}

/* A signed address like the others: git-lfs sends no key to any of them once an answer says "authenticated". */
static void write_transfer(struct batch *b, const char *action, const char *verb, struct str oid, int64_t size)
{
    struct request *rq = b->rq;
    write_action(&b->w, action,
                 transfer_url(rq, arena_printf(rq->arena, "/transfer/%s/%.*s", verb, STR_ARG(oid)), size));
}

/* Part numbers are zero-padded and in order: git-lfs hands them to its agent sorted as text (hub-protocol 1.6). */
static void write_parts(struct batch *b, const struct parts_plan *plan, int64_t size)
{
    struct request *rq = b->rq;
    jw_key(&b->w, "upload");
    jw_object(&b->w);
    jw_key_str(&b->w, "href",
               transfer_url(rq, arena_printf(rq->arena, "/transfer/complete/%.*s", STR_ARG(plan->id)), size));
    jw_key(&b->w, "header");
    jw_object(&b->w);
    jw_key_str(&b->w, "chunk_size", arena_printf(rq->arena, "%lld", (long long)plan->part_size));
    for (int64_t i = 0; i < plan->part_count; i++) {
        int64_t left = size - i * plan->part_size, length = left < plan->part_size ? left : plan->part_size;
        struct str path = arena_printf(rq->arena, "/transfer/part/%.*s/%lld", STR_ARG(plan->id), (long long)(i + 1));
        jw_key_str(&b->w, arena_printf(rq->arena, "%05lld", (long long)(i + 1)).data, transfer_url(rq, path, length));
    }
    jw_end(&b->w);
    jw_end(&b->w);
}

/* One token serves all objects of a batch. There is nothing to verify afterwards: the shard names the SHA-256, and is
 * refused when its bytes do not have it. */
static void write_xet_upload(struct batch *b)
{
    struct request *rq = b->rq;
    jw_key(&b->w, "upload");
    jw_object(&b->w);
    jw_key_str(&b->w, "href", b->xet_refresh);
    jw_key(&b->w, "header");
    jw_object(&b->w);
    jw_key_str(&b->w, "X-Xet-Cas-Url", b->xet_grant.cas_url);
    jw_key_str(&b->w, "X-Xet-Access-Token", b->xet_grant.token);
    jw_key_str(&b->w, "X-Xet-Token-Expiration", arena_printf(rq->arena, "%lld", (long long)b->xet_grant.expires_s));
    jw_key_str(&b->w, "X-Xet-Session-Id", rq->id);
    jw_end(&b->w);
    jw_end(&b->w);
}

static enum status write_upload(struct batch *b, struct str oid, const uint8_t *sha256, int64_t size, struct error *err)
{
    struct request *rq = b->rq;
    struct object held;
    TRY(request_read(rq, err));
    enum status found = store_lookup(rq->db, rq->repo.id, sha256, &held, err);
    if (found == OK && held.size == size)
        return OK; /* no actions: nothing to send */
    if (found != NOT_FOUND && found != OK)
        return found;
    if (found == OK) {
        write_object_error(&b->w, 422, STR("The hub has this content with another size: the size sent is wrong."));
        return OK;
    }
    struct parts_plan plan;
    bool parts = b->multipart && size > 0;
    if (parts) {
        request_done_reading(rq);
        TRY(parts_begin(rq->hub->store, rq->arena, rq->repo.id, sha256, size, &plan, err));
        b->parts += plan.part_count;
        if (b->parts > BATCH_PARTS)
            return fail(err, TOO_LARGE, NULL, "The files of this batch have over %d parts: ask for fewer at a time.",
                        BATCH_PARTS);
    }
    jw_key(&b->w, "actions");
    jw_object(&b->w);
    if (b->xet) {
        write_xet_upload(b);
    } else {
        if (parts)
            write_parts(b, &plan, size);
        else
            write_transfer(b, "upload", "put", oid, size);
        write_transfer(b, "verify", "verify", oid, size);
    }
    jw_end(&b->w);
    return OK;
}

static enum status write_download(struct batch *b, struct str oid, const uint8_t *sha256, struct error *err)
{
    struct request *rq = b->rq;
    struct object held;
    enum status found = store_lookup(rq->db, rq->repo.id, sha256, &held, err);
    if (found == NOT_FOUND) {
        write_object_error(&b->w, 404, STR("Object does not exist on the server"));
        return OK;
    }
    TRY(found);
    jw_key(&b->w, "actions");
    jw_object(&b->w);
    write_transfer(b, "download", "get", oid, held.size);
    jw_end(&b->w);
    return OK;
}

static enum status write_object(struct batch *b, const json_t *object, struct error *err)
{
    uint8_t sha256[SHA256_SIZE];
    struct str oid = json_get_str(object, "oid");
    int64_t size = json_get_int(object, "size", -1);
    jw_object(&b->w);
    jw_key_str(&b->w, "oid", oid);
    jw_key_int(&b->w, "size", size);
    jw_key_bool(&b->w, "authenticated", true); /* addresses are signed: git-lfs need not ask for a password */
    if (!hex_decode(oid, sha256, sizeof sha256) || size < 0)
        write_object_error(&b->w, 422, STR("oid must be 64 hex digits and size a number of bytes"));
    else
        TRY(b->upload ? write_upload(b, oid, sha256, size, err) : write_download(b, oid, sha256, err));
    jw_end(&b->w);
    return OK;
}

/* The request's list says what the client can do; without one it is plain git-lfs, which can do basic. */
static bool lists(const json_t *array, const char *wanted)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item && strcmp(item, wanted) == 0)
            return true;
    }
    return false;
}

/*
 * One answer names one transfer for all its objects, so when one of them goes up in parts all do: git-lfs's agent for
 * it takes no other form (hub-protocol 1.6).
 */
static bool any_in_parts(const json_t *objects)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (json_get_int(json_array_get(objects, i), "size", 0) >= MULTIPART_FROM)
            return true;
    return false;
}

/* The branch that the objects are for, as a token's address names it. No right hangs on it: for a name that cannot be,
 * main does. */
static struct str branch_of(const json_t *body)
{
    struct str name = json_get_str(json_object_get(body, "ref"), "name");
    if (str_starts(name, STR("refs/heads/")))
        name = str_from(name, strlen("refs/heads/"));
    return str_given(name) && ref_name_check(name, NULL) == OK ? name : STR("main");
}

/* What the answer to an upload names. Xet spares the most bytes, where the client says that it speaks it. */
static void choose_transfer(struct batch *b, const json_t *body)
{
    const json_t *transfers = json_object_get(body, "transfers");
    b->xet = xet_advertised(b->rq, &b->rq->repo) && lists(transfers, "xet");
    b->multipart = !b->xet && lists(transfers, "multipart") && any_in_parts(json_object_get(body, "objects"));
    if (b->xet) {
        b->xet_grant = xet_grant(b->rq, true);
        b->xet_refresh = xet_token_url(b->rq, "write", branch_of(body));
    }
}

/* What the repo lacks: room for all of it, before the client begins. */
static enum status reserve_room(struct request *rq, const json_t *objects, struct error *err)
{
    struct room *rooms = arena_array(rq->arena, json_array_size(objects) + 1, sizeof *rooms);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        struct room *room = &rooms[count];
        struct object held;
        room->size = json_get_int(object, "size", -1);
        if (hex_decode(json_get_str(object, "oid"), room->sha256, SHA256_SIZE) && room->size >= 0 &&
            store_lookup(rq->db, rq->repo.id, room->sha256, &held, NULL) != OK)
            count++;
    }
    return request_reserve(rq, rooms, count, 0, err);
}

/* POST /{web}.git/info/lfs/objects/batch. Uploads ask the door again: who may propose a change may send its bytes. */
enum status lfs_batch(struct request *rq, struct error *err)
{
    json_t *body;
    TRY(request_json(rq, BATCH_BODY_LIMIT, &body, err));
    struct str operation = json_get_str(body, "operation"), hash = json_get_str(body, "hash_algo");
    const json_t *objects = json_object_get(body, "objects");
    struct batch b = {.rq = rq, .upload = str_eq(operation, STR("upload"))};
    if (!b.upload && !str_eq(operation, STR("download")))
        return fail(err, UNPROCESSABLE, NULL, "\"operation\" must be upload or download");
    if (str_given(hash) && !str_eq(hash, STR("sha256")) && !str_eq(hash, STR("sha_256")))
        return fail(err, CONFLICT, NULL, "This hub names objects by sha256");
    if (json_array_size(objects) > BATCH_OBJECTS)
        return fail(err, TOO_LARGE, NULL, "At most %d objects fit in one batch: ask in several.", BATCH_OBJECTS);
    if (b.upload) {
        struct access_object object = repo_access(&rq->repo);
        TRY(access_decide(rq->db, &rq->actor, ACT_PROPOSE, &object, err));
        TRY(reserve_room(rq, objects, err));
        choose_transfer(&b, body);
    }

    auto_buf struct buf out = {0};
    b.w = jw_to(&out);
    jw_object(&b.w);
    jw_key_str(&b.w, "transfer", b.xet ? STR("xet") : b.multipart ? STR("multipart") : STR("basic"));
    jw_key_str(&b.w, "hash_algo", STR("sha256"));
    jw_key(&b.w, "objects");
    jw_array(&b.w);
    for (size_t i = 0; i < json_array_size(objects); i++)
        TRY(write_object(&b, json_array_get(objects, i), err));
    jw_end(&b.w);
    jw_end(&b.w);
    lfs_type_reply(rq, &out);
    return OK;
}

/* POST /{web}.git/info/lfs/locks/verify: 501 makes git-lfs go on without locks. */
enum status lfs_locks(struct request *rq, struct error *err)
{
    (void)rq;
    return fail(err, UNSUPPORTED, NULL, "This hub has no file locks.");
}

/* POST /transfer/verify/{sha256}: what the body says again stands in the address. */
enum status transfer_verify(struct request *rq, struct error *err)
{
    uint8_t sha256[SHA256_SIZE];
    struct object object;
    if (!hex_decode(rq->params[0], sha256, sizeof sha256))
        return fail(err, INVALID, NULL, "The object's name must be 64 hex digits");
    enum status found = store_lookup(rq->db, rq->repo.id, sha256, &object, err);
    if (found == NOT_FOUND || (found == OK && object.size != transfer_size(rq)))
        return fail(err, NOT_FOUND, NULL, "The hub does not have this object with this size: upload it again.");
    TRY(found);
    request_reply_empty(rq);
    return OK;
}

/* The bytes. */

static enum status length_check(struct request *rq, struct error *err)
{
    int64_t wanted = transfer_size(rq), announced = rq->http->content_length;
    if (announced >= 0 && announced != wanted)
        return fail(err, UNPROCESSABLE, NULL, "Expected %lld bytes, but Content-Length says %lld.", (long long)wanted,
                    (long long)announced);
    return OK;
}

typedef enum status piece_writer(void *to, const void *data, size_t len, struct error *err);

static enum status receipt_piece(void *to, const void *data, size_t len, struct error *err)
{
    return receipt_write(to, data, len, err);
}

static enum status part_piece(void *to, const void *data, size_t len, struct error *err)
{
    return part_write(to, data, len, err);
}

/* Moves at most limit bytes of body; one more byte than that is refused before it is written. */
static enum status receive(struct request *rq, int64_t limit, piece_writer *write, void *to, struct error *err)
{
    auto_buf struct buf piece = {0};
    buf_reserve(&piece, PIECE);
    int64_t total = 0;
    for (size_t got = 1; got > 0;) {
        TRY(body_read(rq->http, piece.data, PIECE, &got, err));
        total += (int64_t)got;
        if (total > limit)
            return fail(err, UNPROCESSABLE, NULL, "More than the expected %lld bytes were sent.", (long long)limit);
        TRY(write(to, piece.data, got, err));
    }
    return OK;
}

/* PUT /transfer/put/{sha256} */
enum status transfer_put(struct request *rq, struct error *err)
{
    uint8_t sha256[SHA256_SIZE];
    auto_receipt struct receipt *receipt = NULL;
    int64_t size = transfer_size(rq);
    if (!hex_decode(rq->params[0], sha256, sizeof sha256))
        return fail(err, INVALID, NULL, "The object's name must be 64 hex digits");
    TRY(length_check(rq, err));
    request_done_reading(rq);
    TRY(receipt_open(rq->hub->store, &receipt, err));
    TRY(receive(rq, size, receipt_piece, receipt, err));
    TRY(receipt_keep(&receipt, rq->repo.id, sha256, size, err));
    reply_header(rq->http, "ETag", "\"%.*s\"", STR_ARG(rq->params[0]));
    reply_bytes(rq->http, 200, (struct str){0}, STR(""));
    return OK;
}

/* PUT /transfer/part/{upload}/{number} */
enum status transfer_part(struct request *rq, struct error *err)
{
    auto_part struct part *part = NULL;
    int64_t number, size = transfer_size(rq);
    char etag[33];
    if (!str_to_i64(rq->params[1], &number))
        return fail(err, INVALID, NULL, "The part's number must be a number");
    TRY(length_check(rq, err));
    request_done_reading(rq);
    TRY(part_open(rq->hub->store, rq->params[0], rq->repo.id, number, size, &part, err));
    TRY(receive(rq, size, part_piece, part, err));
    TRY(part_keep(&part, etag, err));
    TRY(request_renew(rq, err));
    reply_header(rq->http, "ETag", "\"%s\"", etag);
    reply_bytes(rq->http, 200, (struct str){0}, STR(""));
    return OK;
}

/* POST /transfer/complete/{upload} */
enum status transfer_complete(struct request *rq, struct error *err)
{
    struct str body;
    struct part_claim *claims;
    size_t count;
    request_done_reading(rq);
    TRY(request_body(rq, BATCH_BODY_LIMIT, &body, err));
    TRY(part_claims_parse(rq->arena, body, &claims, &count, err));
    TRY(parts_finish(rq->hub->store, rq->params[0], rq->repo.id, claims, count, err));
    request_reply_empty(rq);
    return OK;
}
