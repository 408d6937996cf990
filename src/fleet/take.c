/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From Flower's arrays to an update as our own clients send it: the model's head, and its numbers in the model's order. Each number is
 * written where it belongs as it comes, and looked at then. */
#include "base/file.h"
#include "fleet/internal.h"
#include <fcntl.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

int64_t sent_most(const struct plan *plan)
{
    return 2 * plan->model.size + 8192 * ((int64_t)plan->count + 128);
}

/* Reads an array's pieces one after another. */
struct reader {
    const struct sent_array *array;
    size_t piece;
    int fd;     /* of the piece, where it is a file */
    int64_t at; /* in the piece */
};

static void reader_close(struct reader *r)
{
    fd_close(&r->fd);
}
#define auto_reader __attribute__((cleanup(reader_close)))

static enum status read_piece(struct reader *r, const struct sent_piece *piece, void *into, size_t len,
                              struct error *err)
{
    if (piece->source)
        return proto_source_read(piece->source, piece->at + r->at, into, len, err);
    if (r->fd < 0 && (r->fd = open(piece->path, O_RDONLY | O_CLOEXEC)) < 0)
        return fail_errno(err, piece->path);
    return pread_full(r->fd, into, len, piece->at + r->at, err);
}

/* At most that many bytes; fewer only at the end. */
static enum status read_some(struct reader *r, char *into, size_t most, size_t *got, struct error *err)
{
    for (*got = 0; *got < most && r->piece < r->array->count;) {
        const struct sent_piece *piece = &r->array->pieces[r->piece];
        int64_t left = piece->end - piece->at - r->at;
        size_t len = most - *got < (uint64_t)left ? most - *got : (size_t)left;
        TRY(read_piece(r, piece, into + *got, len, err));
        *got += len;
        r->at += (int64_t)len;
        if (r->at == piece->end - piece->at) {
            fd_close(&r->fd);
            r->piece++;
            r->at = 0;
        }
    }
    return OK;
}

static enum status wrong(const struct sent_array *array, struct error *err, const char *what)
{
    return fail(err, UNPROCESSABLE, NULL, "Its array \"%.*s\" %s", STR_ARG(str_slice(array->name, 0, 100)), what);
}

static enum status check_head(const struct sent_array *array, const struct npy *npy, const struct tensor *tensor,
                              struct error *err)
{
    if (npy->dimensions != tensor->dimensions ||
        (npy->dimensions && memcmp(npy->shape, tensor->shape, npy->dimensions * sizeof *npy->shape) != 0))
        return wrong(array, err, "has another shape than the model's.");
    if (npy->columns && npy->dimensions > 1)
        return wrong(array, err, "lies column by column: numpy.ascontiguousarray() turns it.");
    return OK;
}

static size_t narrow(char *bytes, size_t len)
{
    size_t count = len / sizeof(double);
    for (size_t i = 0; i < count; i++) {
        double wide;
        memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
        float number = (float)wide;
        memcpy(bytes + i * sizeof number, &number, sizeof number);
    }
    return count * sizeof(float);
}

/* Some of a tensor's numbers, at a place behind the model's head. */
static enum status put(struct sent *sent, const char *bytes, size_t len, int64_t at, struct error *err)
{
    if (at == sent->in_order) {
        TRY(sight_add(sent->sight, bytes, len, err));
        sent->in_order += (int64_t)len;
    }
    return pwrite_full(sent->to, bytes, len, sent->plan->model.data_at + at, err);
}

/* room, of a piece, holds the first bytes already. */
static enum status copy_numbers(struct sent *sent, struct reader *r, unsigned width, const struct tensor *tensor,
                                char *room, size_t there, struct error *err)
{
    int64_t left = (tensor->end - tensor->begin) / (int64_t)sizeof(float) * width, at = tensor->begin;
    while (left > 0) {
        size_t most = (uint64_t)left < PIECE ? (size_t)left : PIECE, got = 0;
        if (there > most)
            break; /* more than there may be */
        TRY(read_some(r, room + there, most - there, &got, err));
        if (there + got < most)
            return wrong(r->array, err, "is cut off.");
        size_t len = width == sizeof(double) ? narrow(room, most) : most;
        TRY(put(sent, room, len, at, err));
        at += (int64_t)len;
        left -= (int64_t)most;
        there = 0;
    }
    if (there == 0)
        TRY(read_some(r, room, 1, &there, err));
    return there == 0 ? OK : wrong(r->array, err, "is longer than its shape.");
}

static enum status copy_array(struct sent *sent, const struct sent_array *array, const struct tensor *tensor,
                              struct error *err)
{
    auto_buf struct buf room = {0};
    auto_reader struct reader reader = {.array = array, .fd = -1};
    struct npy npy;
    struct error why = {0};
    size_t got;
    buf_reserve(&room, PIECE);
    TRY(read_some(&reader, room.data, NPY_HEAD_MOST, &got, err));
    if (npy_read((struct str){room.data, got}, &npy, &why) != OK)
        return fail(err, UNPROCESSABLE, NULL, "Its array \"%.*s\" cannot be read. %s",
                    STR_ARG(str_slice(array->name, 0, 100)), why.message);
    TRY(check_head(array, &npy, tensor, err));
    memmove(room.data, room.data + npy.head, got - npy.head);
    return copy_numbers(sent, &reader, npy.width, tensor, room.data, got - npy.head, err);
}

/* By its name; lists have their places, from 0, for names. */
static const struct plan_tensor *find_tensor(const struct plan *plan, struct str name)
{
    int64_t place;
    for (size_t i = 0; i < plan->count; i++)
        if (str_eq(plan->tensors[i].tensor.name, name))
            return &plan->tensors[i];
    return str_to_i64(name, &place) && (uint64_t)place < plan->count ? &plan->tensors[place] : NULL;
}

enum status sent_begin(struct request *rq, const struct part *part, const struct plan *plan, struct sent *out,
                       struct error *err)
{
    struct str head = plan->model.head;
    *out = (struct sent){.rq = rq, .part = part, .plan = plan, .to = -1};
    out->there = arena_array(rq->arena, plan->count + 1, sizeof *out->there);
    TRY(part_file(rq, part, &out->to, err));
    if (ftruncate(out->to, 0) != 0)
        return fail_errno(err, "update");
    out->sight = sight_begin(plan->model.fd, head, plan->model.size);
    TRY(sight_add(out->sight, head.data, head.len, err));
    return pwrite_full(out->to, head.data, head.len, 0, err);
}

enum status sent_array(struct sent *sent, const struct sent_array *array, struct error *err)
{
    const struct plan_tensor *found = find_tensor(sent->plan, array->name);
    if (!found || sent->there[found - sent->plan->tensors])
        return wrong(array, err, found ? "is there twice." : "is none of the model's tensors.");
    sent->there[found - sent->plan->tensors] = true;
    sent->count++;
    return copy_array(sent, array, &found->tensor, err);
}

static enum status check_all(const struct sent *sent, struct error *err)
{
    if (sent->examples < 1 || sent->examples > EXAMPLES_MOST)
        return fail(err, UNPROCESSABLE, NULL,
                    "It does not say with how many examples it was trained, a whole number from 1 on: "
                    "\"num-examples\" in its metrics.");
    if (sent->count != sent->plan->count)
        return fail(err, UNPROCESSABLE, NULL, "It has %zu arrays, the model has %zu tensors.", sent->count,
                    sent->plan->count);
    return OK;
}

enum status sent_end(struct sent *sent, enum status status, const struct error *why, struct error *err)
{
    struct error refused = {0}, last = {0};
    struct sighting seen;
    if (status == OK)
        status = check_all(sent, &last);
    else
        last = *why;
    if (status != OK && status != UNPROCESSABLE) {
        *err = last;
        return status;
    }
    bool saw_all = sight_end(sent->sight, &seen);
    if (status == UNPROCESSABLE)
        fail(&refused, UNPROCESSABLE, NULL, "The update is rejected. %s", last.message);
    return part_finish(sent->rq, sent->part, sent->to, sent->examples, saw_all ? &seen : NULL,
                       status == UNPROCESSABLE ? &refused : NULL, err);
}

void sent_close(struct sent *sent)
{
    lock_close(&sent->to);
    sight_free(&sent->sight);
}

enum status sent_failure(struct str why, struct error *err)
{
    return fail(err, UNPROCESSABLE, NULL, "The client could not train: %.*s", STR_ARG(str_slice(why, 0, 500)));
}
