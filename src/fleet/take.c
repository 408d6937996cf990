/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From Flower's arrays to an update as our own clients send it: the model's head, and its numbers in the model's order. */
#include "base/file.h"
#include "base/hash.h"
#include "fleet/internal.h"
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define EXAMPLES_MOST (INT64_C(1) << 31)

const char *sent_path(struct request *rq, const struct part *part)
{
    uint64_t number;
    random_bytes(&number, sizeof number);
    return arena_printf(rq->arena, "%s.%016llx.new", part->own, (unsigned long long)number).data;
}

int64_t sent_most(const struct plan *plan)
{
    return 2 * plan->model.size + 8192 * ((int64_t)plan->count + 128);
}

/* Reads an array's pieces one after another. */
struct reader {
    const struct sent_array *array;
    size_t piece;
    int fd;     /* of the piece, where we have opened it */
    int64_t at; /* in the piece */
};

static void reader_close(struct reader *r)
{
    fd_close(&r->fd);
}
#define auto_reader __attribute__((cleanup(reader_close)))

/* At most that many bytes; fewer only at the end. */
static enum status read_some(struct reader *r, char *into, size_t most, size_t *got, struct error *err)
{
    for (*got = 0; *got < most && r->piece < r->array->count;) {
        const struct sent_piece *piece = &r->array->pieces[r->piece];
        int64_t left = piece->end - piece->at - r->at;
        size_t len = most - *got < (uint64_t)left ? most - *got : (size_t)left;
        if (piece->fd < 0 && r->fd < 0 && (r->fd = open(piece->path, O_RDONLY | O_CLOEXEC)) < 0)
            return fail_errno(err, piece->path);
        TRY(pread_full(piece->fd >= 0 ? piece->fd : r->fd, into + *got, len, piece->at + r->at, err));
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

static enum status copy_numbers(struct reader *r, unsigned width, int to, int64_t at, int64_t count, char *room,
                                struct error *err)
{
    size_t got;
    for (int64_t left = count * width; left > 0; left -= (int64_t)got) {
        TRY(read_some(r, room, (uint64_t)left < PIECE ? (size_t)left : PIECE, &got, err));
        if (got == 0)
            return wrong(r->array, err, "is cut off.");
        size_t len = width == sizeof(double) ? narrow(room, got) : got;
        TRY(pwrite_full(to, room, len, at, err));
        at += (int64_t)len;
    }
    TRY(read_some(r, room, 1, &got, err));
    return got == 0 ? OK : wrong(r->array, err, "is longer than its shape.");
}

static enum status copy_array(const struct sent_array *array, const struct tensor *tensor, int to, int64_t at,
                              struct error *err)
{
    auto_buf struct buf room = {0};
    auto_reader struct reader head = {.array = array, .fd = -1}, numbers = head;
    struct npy npy;
    struct error why = {0};
    size_t got;
    buf_reserve(&room, PIECE);
    TRY(read_some(&head, room.data, NPY_HEAD_MOST, &got, err));
    if (npy_read((struct str){room.data, got}, &npy, &why) != OK)
        return fail(err, UNPROCESSABLE, NULL, "Its array \"%.*s\" cannot be read. %s",
                    STR_ARG(str_slice(array->name, 0, 100)), why.message);
    TRY(check_head(array, &npy, tensor, err));
    TRY(read_some(&numbers, room.data, npy.head, &got, err));
    return copy_numbers(&numbers, npy.width, to, at + tensor->begin,
                        (tensor->end - tensor->begin) / (int64_t)sizeof(float), room.data, err);
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

static enum status write_update(struct arena *arena, const struct plan *plan, const struct sent *sent, int to,
                                struct error *err)
{
    bool *there = arena_array(arena, plan->count + 1, sizeof *there);
    if (sent->examples < 1 || sent->examples > EXAMPLES_MOST)
        return fail(
            err, UNPROCESSABLE, NULL,
            "It does not say with how many examples it was trained, a whole number from 1 on: \"num-examples\" in "
            "its metrics.");
    if (sent->count != plan->count)
        return fail(err, UNPROCESSABLE, NULL, "It has %zu arrays, the model has %zu tensors.", sent->count,
                    plan->count);
    if (ftruncate(to, 0) != 0)
        return fail_errno(err, "update");
    TRY(pwrite_full(to, plan->model.head.data, plan->model.head.len, 0, err));
    for (size_t i = 0; i < sent->count; i++) {
        const struct plan_tensor *found = find_tensor(plan, sent->arrays[i].name);
        if (!found || there[found - plan->tensors])
            return wrong(&sent->arrays[i], err, found ? "is there twice." : "is none of the model's tensors.");
        there[found - plan->tensors] = true;
        TRY(copy_array(&sent->arrays[i], &found->tensor, to, plan->model.data_at, err));
    }
    return OK;
}

enum status sent_refuse(struct request *rq, const struct part *part, const char *what, struct error *err)
{
    struct error refused = {0};
    fail(&refused, UNPROCESSABLE, NULL, "The update is rejected. %s", what);
    return part_finish(rq, part, 0, &refused, err);
}

enum status sent_take(struct request *rq, const struct part *part, const struct plan *plan, const struct sent *sent,
                      struct error *err)
{
    auto_fd int to = -1;
    struct error why = {0};
    TRY(part_file(part, &to, err));
    enum status status = write_update(rq->arena, plan, sent, to, &why);
    fd_close(&to);
    if (status == OK)
        return part_finish(rq, part, sent->examples, NULL, err);
    if (status == UNPROCESSABLE)
        return sent_refuse(rq, part, why.message, err);
    *err = why;
    return status;
}

enum status sent_failure(struct request *rq, const struct part *part, struct str why, struct error *err)
{
    struct str what = arena_printf(rq->arena, "The client could not train: %.*s", STR_ARG(str_slice(why, 0, 500)));
    enum status status = sent_refuse(rq, part, what.data, err);
    return status == UNPROCESSABLE ? OK : status;
}

/* MetricRecordValue: a double in 1, whole numbers in 2 (zigzag) and 3. */
static int64_t whole(const struct proto_field *field)
{
    double number;
    memcpy(&number, &field->value, sizeof number);
    if (field->number == 1 && field->wire == PROTO_64 && number >= 1 && number <= EXAMPLES_MOST &&
        floor(number) == number)
        return (int64_t)number;
    if (field->number == 2 && field->wire == PROTO_VARINT)
        return proto_signed(field->value);
    return field->number == 3 && field->wire == PROTO_VARINT && field->value <= EXAMPLES_MOST ? (int64_t)field->value
                                                                                              : 0;
}

enum status sent_examples(const struct proto *record, struct arena *arena, int64_t *out, struct error *err)
{
    struct proto items = *record, item, value;
    struct proto_field field, part;
    struct str key;
    bool found;
    for (;;) {
        TRY(proto_next(&items, &field, &found, err));
        if (!found)
            return OK;
        if (field.number != 1)
            continue;
        TRY(proto_inside(&items, &field, &item, err));
        TRY(proto_find(&item, 1, &part, &found, err));
        if (!found)
            continue;
        TRY(proto_text(&item, &part, 4096, arena, &key, err));
        if (!str_eq(key, STR("num-examples")) && !str_eq(key, STR("num_examples")))
            continue;
        TRY(proto_find(&item, 2, &part, &found, err));
        if (!found)
            continue;
        TRY(proto_inside(&item, &part, &value, err));
        TRY(proto_next(&value, &part, &found, err));
        *out = found ? whole(&part) : 0;
        return OK;
    }
}
