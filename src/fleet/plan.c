/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The round's model in Flower's words. Its header is read by the sandboxed child and its numbers are hashed once; what came out is kept
 * in a file beside the model's, which goes with the round. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "fleet/internal.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PLAN_MOST ((size_t)64 << 20)
#define PIECE ((size_t)1 << 20)

static const struct str PROTOBUF = {"application/protobuf", sizeof "application/protobuf" - 1};

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

void plan_chunk_range(const struct tensor *tensor, size_t which, int64_t *at, int64_t *length)
{
    int64_t left = tensor->end - tensor->begin - (int64_t)which * CHUNK;
    *at = tensor->begin + (int64_t)which * CHUNK;
    *length = left < CHUNK ? left : CHUNK;
}

static size_t chunk_count(const struct tensor *tensor)
{
    int64_t bytes = tensor->end - tensor->begin;
    return bytes == 0 ? 1 : (size_t)((bytes + CHUNK - 1) / CHUNK);
}

void plan_chunk_head(const struct tensor *tensor, size_t which, struct buf *out)
{
    auto_buf struct buf head = {0};
    int64_t at, length;
    plan_chunk_range(tensor, which, &at, &length);
    if (which == 0)
        npy_write(tensor, &head);
    buf_printf(out, "ArrayChunk  %lld", (long long)head.len + length);
    buf_byte(out, 0);
    buf_str(out, buf_view(&head));
}

static enum status hash_chunk(const struct part_model *model, const struct tensor *tensor, size_t which,
                              struct hasher *hasher, struct buf *room, uint8_t out[SHA256_SIZE], struct error *err)
{
    auto_buf struct buf head = {0};
    int64_t at, length;
    plan_chunk_head(tensor, which, &head);
    hasher_add(hasher, head.data, head.len);
    plan_chunk_range(tensor, which, &at, &length);
    for (size_t len; length > 0; at += (int64_t)len, length -= (int64_t)len) {
        len = (uint64_t)length < PIECE ? (size_t)length : PIECE;
        TRY(pread_full(model->fd, room->data, len, model->data_at + at, err));
        hasher_add(hasher, room->data, len);
    }
    hasher_end(hasher, out);
    return OK;
}

static enum status write_tensor(const struct part_model *model, const struct tensor *tensor, struct hasher *hasher,
                                struct buf *room, struct json_writer *w, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    jw_object(w);
    jw_key_str(w, "name", tensor->name);
    jw_key_int(w, "begin", tensor->begin);
    jw_key_int(w, "end", tensor->end);
    jw_key(w, "shape");
    jw_array(w);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        jw_int(w, tensor->shape[i]);
    jw_end(w);
    jw_key(w, "chunks");
    jw_array(w);
    for (size_t i = 0; i < chunk_count(tensor); i++) {
        auto_buf struct buf hex = {0};
        TRY(hash_chunk(model, tensor, i, hasher, room, digest, err));
        hex_add(&hex, digest, sizeof digest);
        jw_str(w, buf_view(&hex));
    }
    jw_end(w);
    jw_end(w);
    return OK;
}

/* What Flower's clients could not be told. */
static enum status check_tensors(const struct tensor_list *list, struct error *err)
{
    if (list->count > TENSORS_MOST)
        return fail(err, UNPROCESSABLE, "NoModel", "The model has %zu tensors; for Flower's clients %d are the most.",
                    list->count, TENSORS_MOST);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].dimensions > NPY_DIMENSIONS || list->items[i].name.len > 1024 ||
            memchr(list->items[i].name.data, 0, list->items[i].name.len))
            return fail(err, UNPROCESSABLE, "NoModel",
                        "A tensor of the model has a name or a shape that Flower's clients cannot be told.");
    return OK;
}

/* As a whole, but for a crash: what is damaged is made again. */
static enum status keep(const char *path, struct str text, struct error *err)
{
    char temporary[4096 + 16];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    auto_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, temporary);
    TRY(write_full(fd, text.data, text.len, err));
    return rename(temporary, path) == 0 ? OK : fail_errno(err, path);
}

static enum status make(struct request *rq, const struct part_model *model, const char *path, struct error *err)
{
    struct tensor_list list;
    auto_buf struct buf out = {0}, room = {0};
    struct json_writer w = jw_to(&out);
    TRY(part_tensors(rq, model, &list, err));
    TRY(check_tensors(&list, err));
    buf_reserve(&room, PIECE);
    struct hasher *hasher = hasher_sha256();
    enum status status = OK;
    jw_array(&w);
    for (size_t i = 0; status == OK && i < list.count; i++)
        status = write_tensor(model, &list.items[i], hasher, &room, &w, err);
    hasher_free(hasher);
    TRY(status);
    jw_end(&w);
    return keep(path, buf_view(&out), err);
}

static enum status corrupt(struct error *err)
{
    return fail(err, CORRUPT, NULL, "What is kept of the round for Flower's clients is damaged.");
}

static enum status read_tensor(struct arena *arena, const json_t *item, struct plan_tensor *out, struct error *err)
{
    const json_t *shape = json_object_get(item, "shape"), *chunks = json_object_get(item, "chunks");
    struct tensor *tensor = &out->tensor;
    *tensor = (struct tensor){.name = arena_copy(arena, json_get_str(item, "name")),
                              .begin = json_get_int(item, "begin", -1),
                              .end = json_get_int(item, "end", -1),
                              .dimensions = (uint32_t)json_array_size(shape)};
    int64_t *sizes = arena_array(arena, tensor->dimensions + 1, sizeof *sizes);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        sizes[i] = json_integer_value(json_array_get(shape, i));
    tensor->shape = sizes;
    out->chunk_count = chunk_count(tensor);
    uint8_t(*ids)[SHA256_SIZE] = arena_array(arena, out->chunk_count, sizeof *ids);
    out->chunks = (const uint8_t(*)[SHA256_SIZE])ids;
    if (!str_given(tensor->name) || tensor->begin < 0 || tensor->end < tensor->begin ||
        json_array_size(chunks) != out->chunk_count)
        return corrupt(err);
    for (size_t i = 0; i < out->chunk_count; i++)
        if (!hex_decode(str_of(json_string_value(json_array_get(chunks, i))), ids[i], SHA256_SIZE))
            return corrupt(err);
    return OK;
}

static enum status read_plan(struct request *rq, const char *path, struct plan *out, struct error *err)
{
    auto_buf struct buf text = {0};
    auto_json json_t *json = NULL;
    struct stat about;
    TRY(file_read_all(path, PLAN_MOST, &text, err));
    if (stat(path, &about) != 0)
        return fail_errno(err, path);
    out->created = (double)about.st_mtim.tv_sec;
    TRY(json_read(buf_view(&text), PLAN_MOST, &json, err));
    out->count = json_array_size(json);
    out->tensors = arena_array(rq->arena, out->count + 1, sizeof *out->tensors);
    for (size_t i = 0; i < out->count; i++)
        TRY(read_tensor(rq->arena, json_array_get(json, i), &out->tensors[i], err));
    return OK;
}

enum status plan_open(struct request *rq, const struct part *part, struct plan *out, struct error *err)
{
    struct str path = arena_printf(rq->arena, "%s.plan", part->model);
    struct error none;
    *out = (struct plan){.model.fd = -1};
    TRY(part_model(rq, part, &out->model, err));
    if (read_plan(rq, path.data, out, &none) == OK)
        return OK;
    /* When a round begins all ask at once; one of them makes it. */
    pthread_mutex_lock(&making);
    enum status status = read_plan(rq, path.data, out, &none);
    if (status != OK)
        status = make(rq, &out->model, path.data, err);
    pthread_mutex_unlock(&making);
    TRY(status);
    return read_plan(rq, path.data, out, err);
}

void plan_close(struct plan *plan)
{
    if (plan->model.fd > 0)
        fd_close(&plan->model.fd);
}

/* One of them at a time: { key, { value } }. */
static void put_double(struct proto_out *out, const char *key, double value)
{
    int64_t item = proto_mark(out), inner = item;
    proto_put_double(out, 1, value);
    proto_close(out, 2, inner);
    proto_put_text(out, 1, str_of(key));
    proto_close(out, 1, item);
}

static void put_int(struct proto_out *out, const char *key, int64_t value)
{
    int64_t item = proto_mark(out), inner = item;
    proto_put_signed(out, 2, value);
    proto_close(out, 2, inner);
    proto_put_text(out, 1, str_of(key));
    proto_close(out, 1, item);
}

/* Ours, and beside them those that Flower's own strategies tell: with hyphens today, with underscores before. */
void plan_config(const struct part *part, struct proto_out *out)
{
    if (part->mu > 0) {
        put_double(out, "proximal_mu", part->mu);
        put_double(out, "proximal-mu", part->mu);
        put_double(out, "mu", part->mu);
    }
    if (part->bound > 0)
        put_double(out, "bound", part->bound);
    put_int(out, "server_round", part->round);
    put_int(out, "server-round", part->round);
    put_int(out, "rounds", part->rounds);
    put_int(out, "round", part->round);
}

/* A reply on its way. */
struct sending {
    struct proto_out out;
    const struct fleet_range *ranges;
    int fd;
    int64_t data_at;
    size_t hole, at; /* of the next hole; of the next byte */
};

static bool next_piece(void *context, struct http_extent *piece)
{
    struct sending *s = context;
    size_t until = s->hole < s->out.hole_count ? s->out.holes[s->hole].at : s->out.bytes.len;
    if (s->at < until) {
        *piece = (struct http_extent){-1, 0, (int64_t)(until - s->at), s->out.bytes.data + s->at};
        s->at = until;
        return true;
    }
    if (s->hole == s->out.hole_count)
        return false;
    const struct fleet_range *range = &s->ranges[s->out.holes[s->hole++].number];
    *piece = (struct http_extent){.fd = s->fd, .offset = s->data_at + range->at, .length = range->length};
    return true;
}

static void let_go(void *context)
{
    struct sending *s = context;
    proto_out_free(&s->out);
    fd_close(&s->fd);
}

void plan_reply(struct request *rq, struct plan *plan, struct proto_out *out, const struct fleet_range *ranges)
{
    struct sending *s = arena_alloc(rq->arena, sizeof *s);
    proto_finish(out);
    *s = (struct sending){.out = *out, .ranges = ranges, .fd = plan->model.fd, .data_at = plan->model.data_at};
    int64_t length = (int64_t)out->bytes.len + out->held;
    *out = (struct proto_out){0};
    plan->model.fd = -1;
    reply_pieces(rq->http, 200, PROTOBUF, length, next_piece, let_go, s);
}
