/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Downloads: resolve and raw (hub-protocol 1.8). */
#include "base/text.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "net/range.h"
#include "record/record.h"
#include "router/limit.h"
#include "router/reply.h"
#include "use/use.h"

static struct str file_name_of(struct str path)
{
    const char *slash = memrchr(path.data, '/', path.len);
    return slash ? str_from(path, (size_t)(slash - path.data) + 1) : path;
}

/* What a browser may show as it is. Everything else is bytes: a model hub must not be a place to host pages. */
static struct str type_of(struct str path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".py", "text/plain; charset=utf-8"},
        {".yaml", "text/plain; charset=utf-8"},
        {".yml", "text/plain; charset=utf-8"},
        {".csv", "text/plain; charset=utf-8"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_ends(path, str_of(types[i].ending)))
            return str_of(types[i].type);
    return STR("application/octet-stream");
}

static bool etag_listed(struct str list, struct str etag)
{
    for (struct str item; str_cut(&list, ',', &item);) {
        item = str_trim(item);
        if (str_starts(item, STR("W/")))
            item = str_from(item, 2);
        if (str_eq(item, etag) || str_eq(item, STR("*")))
            return true;
    }
    return false;
}

/* Answers a range or the whole of a body of size bytes, from memory (data) or from the store (object). */
struct body {
    int64_t size;
    struct str data;
    int64_t object_id;
};

static enum status reply_body(struct request *rq, const struct body *body, struct str etag, struct str type,
                              struct error *err)
{
    struct str range = http_header(rq->http, "range"), if_range = http_header(rq->http, "if-range");
    /* Ranges are of GET alone (RFC 9110 section 14.2). */
    if (rq->http->method != HTTP_GET || (str_given(if_range) && !str_eq(if_range, etag)))
        range = (struct str){0};
    bool partial;
    int64_t offset, length;
    if (range_parse(range, body->size, &partial, &offset, &length, err) != OK) {
        reply_header(rq->http, "Content-Range", "bytes */%lld", (long long)body->size);
        return err->status;
    }
    TRY(request_promise(rq, length, err));
    if (partial)
        reply_header(rq->http, "Content-Range", "bytes %lld-%lld/%lld", (long long)offset,
                     (long long)(offset + length - 1), (long long)body->size);
    int status = partial ? 206 : 200;
    if (str_given(body->data)) {
        reply_bytes(rq->http, status, type, str_slice(body->data, (size_t)offset, (size_t)length));
        return OK;
    }
    struct store_view *view;
    TRY(store_view_open(rq->hub->store, rq->db, body->object_id, offset, length, &view, err));
    request_reply_view(rq, status, type, length, view);
    return OK;
}

/* Where the log speaks of this revision, so that whoever downloads can check what came against it (provenance 8). */
static enum status reply_provenance(struct request *rq, const struct oid *commit, struct error *err)
{
    uint64_t index;
    bool found;
    TRY(record_revision_leaf(rq->db, rq->repo.id, commit, &index, &found, err));
    if (found)
        reply_header(rq->http, "X-Prov-Index", "%llu", (unsigned long long)index);
    return OK;
}

static enum status find_file(struct request *rq, struct entry *entry, struct str *commit, struct error *err)
{
    struct revision revision;
    TRY(request_revision(rq, 0, &revision, err));
    TRY(reply_provenance(rq, &revision.commit, err));
    TRY(recall_header(rq, &revision.commit, err));
    *commit = oid_hex(rq->arena, &revision.commit);
    /* Also on the 404 below: without it clients cannot remember that the file is not there. */
    reply_header(rq->http, "X-Repo-Commit", "%.*s", STR_ARG(*commit));
    enum status found = rq->params[1].len == 0 ? NOT_FOUND
                                               : entry_find(rq->db, rq->arena, rq->repo.id, &revision.commit,
                                                            rq->params[1], false, entry, err);
    if (found == NOT_FOUND || (found == OK && entry->is_folder))
        return fail(err, NOT_FOUND, "EntryNotFound", "Entry not found: %.*s has no file %.*s at revision %.*s",
                    STR_ARG(rq->repo.full_name), STR_ARG(rq->params[1]), STR_ARG(rq->params[0]));
    return found;
}

static enum status held_object(struct request *rq, const struct entry *entry, struct object *out, struct error *err)
{
    enum status found = store_lookup(rq->db, rq->repo.id, entry->sha256, out, err);
    if (found == NOT_FOUND)
        return fail(err, CORRUPT, NULL, "The hub has lost the content of %.*s", STR_ARG(entry->path));
    return found;
}

/* For all that people have uploaded: a browser must neither guess a type nor run anything. */
static void reply_tamely(struct request *rq)
{
    reply_header(rq->http, "Accept-Ranges", "bytes");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_header(rq->http, "Content-Security-Policy", "default-src 'none'; sandbox");
}

/* Xet clients fetch the file from the CAS by what these say (xet-protocol 1.5); others take the bytes that follow. */
static enum status reply_xet_headers(struct request *rq, const struct entry *entry, struct str commit, struct str *hash,
                                     struct error *err)
{
    TRY(xet_hash_told(rq, entry->sha256, hash, err));
    if (!str_given(*hash))
        return OK;
    reply_header(rq->http, "X-Xet-Hash", "%.*s", STR_ARG(*hash));
    reply_header(rq->http, "Link",
                 "<%.*s>; rel=\"xet-auth\", <%.*s/xet/v1/reconstructions/%.*s>; rel=\"xet-reconstruction-info\"",
                 STR_ARG(xet_token_url(rq, "read", commit)), STR_ARG(request_base_url(rq)), STR_ARG(*hash));
    reply_header(rq->http, "Vary", "Accept");
    return OK;
}

#define XET_INFO_TYPE "application/vnd.xet-fileinfo+json"

static bool wants_xet_info(struct request *rq)
{
    struct str accept = http_header(rq->http, "accept");
    for (struct str item, type; str_cut(&accept, ',', &item);)
        if (str_cut(&item, ';', &type) && str_eq_nocase(str_trim(type), STR(XET_INFO_TYPE)))
            return true;
    return false;
}

/* Where the file is instead of its bytes, for clients that ask so (the JavaScript one): the headers say the most. As
 * this is not the file, neither a range nor the file's ETag apply. */
static void reply_xet_info(struct request *rq, struct str hash, int64_t size, struct str etag)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "hash", hash);
    jw_key_int(&w, "size", size);
    jw_key_str(&w, "etag", etag);
    jw_end(&w);
    reply_buf(rq->http, 200, STR(XET_INFO_TYPE), &body);
}

static enum status reply_file(struct request *rq, const struct entry *entry, struct str commit, bool follow_pointer,
                              struct error *err)
{
    struct body body = {.size = entry->size};
    struct str etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(oid_hex(rq->arena, &entry->oid)));
    struct str name = file_name_of(entry->path);
    bool large = entry->is_lfs && follow_pointer;
    if (follow_pointer && entry->has_sha256)
        reply_header(rq->http, "X-Prov-Sha256", "%.*s", STR_ARG(hex_encode(rq->arena, entry->sha256, SHA256_SIZE)));
    if (large) {
        struct object object;
        TRY(held_object(rq, entry, &object, err));
        body.object_id = object.id;
        body.size = object.size;
        etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(hex_encode(rq->arena, entry->sha256, SHA256_SIZE)));
        reply_header(rq->http, "X-Linked-Size", "%lld", (long long)object.size);
        reply_header(rq->http, "X-Linked-ETag", "%.*s", STR_ARG(etag));
        struct str xet_hash;
        TRY(reply_xet_headers(rq, entry, commit, &xet_hash, err));
        if (str_given(xet_hash) && wants_xet_info(rq)) {
            reply_xet_info(rq, xet_hash, object.size, etag);
            return OK;
        }
    } else if (entry->is_lfs) {
        body.size = entry->pointer_size;
    }
    reply_header(rq->http, "ETag", "%.*s", STR_ARG(etag));
    reply_header(rq->http, "Content-Disposition", "inline; filename*=UTF-8''%.*s",
                 STR_ARG(percent_encode(rq->arena, name, false)));
    reply_tamely(rq);
    if (etag_listed(http_header(rq->http, "if-none-match"), etag)) {
        reply_bytes(rq->http, 304, (struct str){0}, STR(""));
        return OK;
    }
    if (!large)
        TRY(blob_read(rq->db, rq->arena, rq->repo.id, &entry->oid, &body.data, err));
    return reply_body(rq, &body, etag, type_of(name), err);
}

/* GET /{web}/resolve/{rev}/{path*}: the file itself; on one machine a redirect would gain nothing. */
enum status resolve_get(struct request *rq, struct error *err)
{
    struct entry entry;
    struct str commit;
    TRY(find_file(rq, &entry, &commit, err));
    return reply_file(rq, &entry, commit, true, err);
}

/* GET /{web}/raw/{rev}/{path*}: what git has: for a large file its pointer. */
enum status raw_get(struct request *rq, struct error *err)
{
    struct entry entry;
    struct str commit;
    TRY(find_file(rq, &entry, &commit, err));
    return reply_file(rq, &entry, commit, false, err);
}

/* GET /transfer/get/{sha256}: git-lfs downloads by signed address; the hash selects among what the repo holds. */
enum status transfer_get(struct request *rq, struct error *err)
{
    struct object object;
    uint8_t sha256[SHA256_SIZE];
    if (!hex_decode(rq->params[0], sha256, sizeof sha256))
        return fail(err, NOT_FOUND, NULL, "Object not found");
    TRY(store_lookup(rq->db, rq->repo.id, sha256, &object, err));
    struct body body = {.size = object.size, .object_id = object.id};
    struct str etag = arena_printf(rq->arena, "\"%.*s\"", STR_ARG(rq->params[0]));
    reply_header(rq->http, "ETag", "%.*s", STR_ARG(etag));
    reply_tamely(rq);
    return reply_body(rq, &body, etag, STR("application/octet-stream"), err);
}
