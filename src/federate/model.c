/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Models and updates as files of the data folder. Their numbers are read here; their headers only by a sandboxed child. */
#include "base/path.h"
#include "federate/internal.h"
#include "pact/key.h"
#include "repo/tree.h"
#include "scan/worker.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define NUMBERS (PIECE / sizeof(float))

/* Folders. */

/* The hub's keys as a house: beside what is in backups, as runs go on with them alone. */
static enum status keys_open(const char *dir, struct federate *federate, struct error *err)
{
    snprintf(federate->keys_path, sizeof federate->keys_path, "%s/house.json", dir);
    return identity_renew(federate->keys_path, now_us(), &federate->identity, err);
}

enum status federate_open(const char *dir, struct federate **out, struct error *err)
{
    struct federate *federate = calloc(1, sizeof *federate);
    if (!federate)
        abort();
    pthread_mutex_init(&federate->closing, NULL);
    pthread_mutex_init(&federate->apart_lock, NULL);
    pthread_cond_init(&federate->apart_ended, NULL);
    waits_begin(&federate->waits);
    *out = federate;
    if ((size_t)snprintf(federate->folder, sizeof federate->folder, "%s/federate", dir) >= sizeof federate->folder)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    TRY(folder_make(federate->folder, 0700, err));
    return keys_open(dir, federate, err);
}

void federate_close(struct federate *federate)
{
    if (!federate)
        return;
    rounds_end(federate);
    pthread_mutex_destroy(&federate->closing);
    pthread_mutex_destroy(&federate->apart_lock);
    pthread_cond_destroy(&federate->apart_ended);
    waits_end(&federate->waits);
    identity_end(&federate->identity);
    free(federate);
}

void update_path(const struct federate *federate, const struct run *run, int64_t account_id, char out[4096])
{
    snprintf(out, 4096, "%s/%.*s/%lld-%lld", federate->folder, STR_ARG(run->public_id),
             (long long)run->round + (run->settings.buffers ? STALENESS_MOST : 0), (long long)account_id);
}

enum status run_folder_make(const struct federate *federate, const struct run *run, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%.*s", federate->folder, STR_ARG(run->public_id));
    return folder_make(path, 0700, err);
}

/* The model. */

static enum status find_model(struct db_conn *conn, struct arena *arena, const struct run *run, struct entry *out,
                              struct error *err)
{
    enum status found = entry_find(conn, arena, run->repo_id, &run->base, STR(MODEL_PATH), false, out, err);
    if (found == NOT_FOUND || (found == OK && out->is_folder))
        return fail(err, UNPROCESSABLE, "NoModel", "The branch main has no %s to train: commit one first.", MODEL_PATH);
    return found;
}

static enum status copy_view(struct store_view *view, int fd, struct error *err)
{
    auto_buf struct buf room = {0};
    struct store_piece piece;
    bool found;
    buf_reserve(&room, PIECE);
    for (;;) {
        TRY(store_view_next(view, &piece, &found, err));
        if (!found)
            return OK;
        if (piece.fd < 0)
            TRY(write_full(fd, piece.data, (size_t)piece.length, err));
        while (piece.fd >= 0 && piece.length > 0) {
            size_t len = (uint64_t)piece.length < PIECE ? (size_t)piece.length : PIECE;
            TRY(pread_full(piece.fd, room.data, len, piece.offset, err));
            TRY(write_full(fd, room.data, len, err));
            piece.offset += (int64_t)len;
            piece.length -= (int64_t)len;
        }
    }
}

static enum status copy_model(struct hub *hub, struct db_conn *conn, struct arena *arena, const struct run *run,
                              const struct entry *entry, int fd, struct error *err)
{
    struct object object;
    struct store_view *view;
    struct str bytes;
    if (!entry->is_lfs) {
        TRY(blob_read(conn, arena, run->repo_id, &entry->oid, &bytes, err));
        return write_full(fd, bytes.data, bytes.len, err);
    }
    TRY(store_lookup(conn, run->repo_id, entry->sha256, &object, err));
    TRY(store_view_open(hub->store, conn, object.id, 0, object.size, &view, err));
    enum status status = copy_view(view, fd, err);
    store_view_close(view);
    return status;
}

/* In place as a whole or not at all. */
static enum status put_in_place(int fd, const char *from, const char *to, struct error *err)
{
    if (fdatasync(fd) != 0)
        return fail_errno(err, from);
    return rename(from, to) == 0 ? OK : fail_errno(err, to);
}

/* The first bytes of a safetensors file, up to its numbers. */
static enum status read_head(int fd, int64_t size, struct buf *head, struct error *err)
{
    uint8_t first[8];
    int64_t len;
    if (size < 8)
        return fail(err, UNPROCESSABLE, NULL, "It is too short for a safetensors file.");
    TRY(pread_full(fd, first, sizeof first, 0, err));
    TRY(tensor_header_size(first, &len, err));
    if (len > size - 8)
        return fail(err, UNPROCESSABLE, NULL, "Its header is longer than the file.");
    buf_reserve(head, (size_t)len + 8);
    TRY(pread_full(fd, head->data, (size_t)len + 8, 0, err));
    head->len = (size_t)len + 8;
    return OK;
}

/* Every tensor must be of float32. INVALID and TOO_LARGE are the child's words about the header. */
static enum status read_tensors(const struct buf *head, int64_t size, struct arena *arena, struct tensor_list *out,
                                struct error *err)
{
    unsigned f32 = 0;
    TRY(scan_tensors(str_from(buf_view(head), 8), arena, out, NULL, err));
    tensor_dtype_find(STR("F32"), &f32);
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].dtype != f32)
            return fail(err, UNPROCESSABLE, NULL, "Its tensor \"%.*s\" is of type %s, not F32.",
                        STR_ARG(str_slice(out->items[i].name, 0, 100)), tensor_dtype_name(out->items[i].dtype));
    if (out->bytes != size - (int64_t)head->len)
        return fail(err, UNPROCESSABLE, NULL, "It has %lld bytes behind its header, but its tensors take %lld.",
                    (long long)(size - (int64_t)head->len), (long long)out->bytes);
    return OK;
}

static enum status file_size(int fd, int64_t *out, struct error *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return fail_errno(err, "fstat");
    *out = about.st_size;
    return OK;
}

/* The form in which a model is trained, and back. */

static enum status copy_range(int from, int64_t at, int64_t length, int to, char *room, struct error *err)
{
    while (length > 0) {
        size_t len = (uint64_t)length < PIECE ? (size_t)length : PIECE;
        TRY(pread_full(from, room, len, at, err));
        TRY(write_full(to, room, len, err));
        at += (int64_t)len;
        length -= (int64_t)len;
    }
    return OK;
}

static bool can_be_trained(const struct tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!form_has(list->items[i].dtype) && !form_leaves_out(list->items[i].dtype))
            return false;
    return true;
}

/* *needed: there is one, for a model that is not its own. What is no model at all is left to who checks it. */
static enum status find_form(int fd, struct arena *arena, struct buf *head, struct tensor_list *list, bool *needed,
                             struct error *err)
{
    int64_t size = 0;
    struct error why = {0};
    *needed = false;
    TRY(file_size(fd, &size, err));
    enum status status = read_head(fd, size, head, &why);
    if (status == OK)
        status = scan_tensors(str_from(buf_view(head), 8), arena, list, NULL, &why);
    if (status == INVALID || status == TOO_LARGE || status == UNPROCESSABLE)
        return OK;
    if (status != OK)
        return fail(err, status, NULL, "%s", why.message);
    *needed = list->bytes == size - (int64_t)head->len && form_is_needed(list) && can_be_trained(list);
    return OK;
}

#define FORM_NUMBERS (PIECE / sizeof(double))

/* Numbers of one tensor from a model to its form, or back from that. */
static enum status convert(const struct tensor *tensor, int from, int64_t from_at, int to, bool back, struct error *err)
{
    auto_buf struct buf wide = {0}, narrow = {0};
    size_t size = form_size(tensor->dtype);
    buf_reserve(&wide, FORM_NUMBERS * sizeof(float));
    buf_reserve(&narrow, FORM_NUMBERS * sizeof(double));
    for (int64_t at = 0; at < tensor->elements; at += (int64_t)FORM_NUMBERS) {
        int64_t left = tensor->elements - at;
        size_t count = (uint64_t)left < FORM_NUMBERS ? (size_t)left : FORM_NUMBERS;
        if (back) {
            TRY(pread_full(from, wide.data, count * sizeof(float), from_at + at * (int64_t)sizeof(float), err));
            form_narrow(tensor->dtype, (const float *)wide.data, narrow.data, count);
            TRY(write_full(to, narrow.data, count * size, err));
        } else {
            TRY(pread_full(from, narrow.data, count * size, from_at + at * (int64_t)size, err));
            form_widen(tensor->dtype, narrow.data, (float *)wide.data, count);
            TRY(write_full(to, wide.data, count * sizeof(float), err));
        }
    }
    return OK;
}

static enum status write_form(int fd, const struct buf *head, const struct tensor_list *list, int out,
                              struct error *err)
{
    auto_buf struct buf first = {0};
    form_head(list, &first);
    TRY(write_full(out, first.data, first.len, err));
    for (size_t i = 0; i < list->count; i++)
        if (form_has(list->items[i].dtype))
            TRY(convert(&list->items[i], fd, (int64_t)head->len + list->items[i].begin, out, false, err));
    return OK;
}

enum status model_restore(const struct model *base, int form, int out, int64_t *size, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf head = {0}, room = {0};
    struct tensor_list list;
    bool needed;
    int64_t at = base->data_at;
    auto_fd int fd = open(base->original.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, base->original.data);
    TRY(find_form(fd, &arena, &head, &list, &needed, err));
    if (!needed)
        return fail(err, CORRUPT, NULL, "The model has changed on disk.");
    buf_reserve(&room, PIECE);
    TRY(write_full(out, head.data, head.len, err));
    for (size_t i = 0; i < list.count; i++) {
        const struct tensor *tensor = &list.items[i];
        if (!form_has(tensor->dtype)) {
            TRY(copy_range(fd, (int64_t)head.len + tensor->begin, tensor->end - tensor->begin, out, room.data, err));
            continue;
        }
        TRY(convert(tensor, form, at, out, true, err));
        at += tensor->elements * (int64_t)sizeof(float);
    }
    *size = (int64_t)head.len + list.bytes;
    return OK;
}

#define ORIGINAL ".original"

/* The form, where there is one, with the original beside it. */
static enum status put_model(int fd, const char *temporary, const char *path, struct arena *arena, struct error *err)
{
    auto_buf struct buf head = {0};
    struct tensor_list list;
    bool needed;
    TRY(find_form(fd, arena, &head, &list, &needed, err));
    if (!needed)
        return put_in_place(fd, temporary, path, err);
    struct str form = arena_printf(arena, "%s.form", temporary);
    auto_fd int out = open(form.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return fail_errno(err, form.data);
    TRY(write_form(fd, &head, &list, out, err));
    TRY(put_in_place(fd, temporary, arena_printf(arena, "%s" ORIGINAL, path).data, err));
    return put_in_place(out, form.data, path, err);
}

static enum status fetch_model(struct hub *hub, struct db_conn *conn, struct arena *arena, const struct run *run,
                               const struct entry *entry, const char *path, struct error *err)
{
    struct str temporary = arena_printf(arena, "%s.%llx.new", path, (unsigned long long)monotonic_us());
    TRY(run_folder_make(hub->federate, run, err));
    auto_fd int fd = open(temporary.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, temporary.data);
    enum status status = copy_model(hub, conn, arena, run, entry, fd, err);
    if (status == OK)
        status = put_model(fd, temporary.data, path, arena, err);
    if (status != OK)
        unlink(temporary.data);
    return status == OK && run->id ? run_check_files(hub->federate, conn, run, err) : status;
}

static enum status check_model(const struct model *model, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    struct error why = {0};
    enum status status = read_tensors(&model->head, model->size, &arena, &list, &why);
    if (status == OK && model->width > 0)
        return OK;
    if (status != OK && status != INVALID && status != TOO_LARGE && status != UNPROCESSABLE)
        return fail(err, status, NULL, "%s", why.message);
    return fail(err, UNPROCESSABLE, "NoModel",
                "The %s on main cannot be trained here. %s It may have tensors of F16, BF16, F32 and F64, which are "
                "trained, and of whole "
                "numbers, which stay.",
                MODEL_PATH, status == OK ? "It has no numbers to be trained." : why.message);
}

/* When a round begins all ask at once; one of them copies it. */
static enum status fetch_once(struct hub *hub, struct db_conn *conn, struct arena *arena, const struct run *run,
                              const struct entry *entry, const char *path, struct error *err)
{
    static pthread_mutex_t fetching = PTHREAD_MUTEX_INITIALIZER;
    if (access(path, R_OK) == 0)
        return OK;
    pthread_mutex_lock(&fetching);
    enum status status = access(path, R_OK) == 0 ? OK : fetch_model(hub, conn, arena, run, entry, path, err);
    pthread_mutex_unlock(&fetching);
    return status;
}

enum status model_open(struct hub *hub, struct arena *arena, const struct run *run, bool checks, struct model *out,
                       struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct entry entry;
    uint8_t digest[SHA256_SIZE];
    char path[4096];
    TRY(db_reader(hub->db, &conn, err));
    TRY(find_model(conn, arena, run, &entry, err));
    TRY(entry_sha256(conn, run->repo_id, &entry, digest, err));
    update_path(hub->federate, run, 0, path);
    TRY(fetch_once(hub, conn, arena, run, &entry, path, err));
    db_release(&conn);
    *out = (struct model){.fd = open(path, O_RDONLY | O_CLOEXEC), .sha256 = hex_encode(arena, digest, SHA256_SIZE)};
    if (out->fd < 0)
        return fail_errno(err, path);
    struct str original = arena_printf(arena, "%s" ORIGINAL, path);
    if (access(original.data, R_OK) == 0)
        out->original = original;
    TRY(file_size(out->fd, &out->size, err));
    TRY(read_head(out->fd, out->size, &out->head, err));
    out->data_at = (int64_t)out->head.len;
    out->width = (out->size - out->data_at) / (int64_t)sizeof(float);
    return checks ? check_model(out, err) : OK;
}

void model_close(struct model *model)
{
    if (model->fd > 0)
        fd_close(&model->fd);
    buf_free(&model->head);
}

/* Updates. */

static enum status reject(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum status reject(struct error *err, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(err, UNPROCESSABLE, "UpdateRejected", "The update is rejected. %s", text);
}

static const struct tensor *find_tensor(const struct tensor_list *list, struct str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->dimensions == b->dimensions &&
           (a->dimensions == 0 || memcmp(a->shape, b->shape, a->dimensions * sizeof *a->shape) == 0);
}

/* Theirs has the tensors of ours, in whatever order. at[i]: where tensor i of ours begins in theirs. */
static enum status match(const struct tensor_list *ours, const struct tensor_list *theirs, int64_t *at, bool *in_order,
                         struct error *err)
{
    *in_order = true;
    if (ours->count != theirs->count)
        return reject(err, "It has %zu tensors, the model has %zu.", theirs->count, ours->count);
    for (size_t i = 0; i < ours->count; i++) {
        const struct tensor *mine = &ours->items[i];
        /* Nearly always they stand in the same place. */
        const struct tensor *found =
            str_eq(theirs->items[i].name, mine->name) ? &theirs->items[i] : find_tensor(theirs, mine->name);
        if (!found)
            return reject(err, "It lacks the tensor \"%.*s\".", STR_ARG(str_slice(mine->name, 0, 100)));
        if (!same_shape(found, mine))
            return reject(err, "Its tensor \"%.*s\" has another shape than the model's.",
                          STR_ARG(str_slice(mine->name, 0, 100)));
        at[i] = found->begin;
        *in_order = *in_order && found->begin == mine->begin;
    }
    return OK;
}

/* Puts the numbers of an update into the model's order, in place of its file. */
static enum status reorder(int fd, const char *path, int64_t data_at, const struct tensor_list *ours, const int64_t *at,
                           struct arena *arena, struct error *err)
{
    struct str temporary = arena_printf(arena, "%s.new", path);
    auto_buf struct buf room = {0};
    auto_fd int to = open(temporary.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0)
        return fail_errno(err, temporary.data);
    buf_reserve(&room, PIECE);
    for (size_t i = 0; i < ours->count; i++)
        TRY(copy_range(fd, data_at + at[i], ours->items[i].end - ours->items[i].begin, to, room.data, err));
    return put_in_place(to, temporary.data, path, err);
}

/* SCAFFOLD's tensors, behind those of the model. */
static void add_control(struct tensor_list *list, struct arena *arena)
{
    struct tensor *items = arena_array(arena, 2 * list->count, sizeof *items);
    for (size_t i = 0; i < list->count; i++) {
        struct tensor *control = &items[list->count + i];
        *control = items[i] = list->items[i];
        control->name = arena_printf(arena, CONTROL_PREFIX "%.*s", STR_ARG(control->name));
        control->begin += list->bytes;
        control->end += list->bytes;
    }
    list->items = items;
    list->count *= 2;
    list->bytes *= 2;
}

/* Its header differs from the model's: only in order or in what does not matter, or in what does? */
static enum status check_header(const struct model *model, bool with_control, int fd, int64_t size,
                                const struct buf *head, const char *path, struct update *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tensor_list ours, theirs;
    struct error why = {0};
    bool in_order;
    enum status status = read_tensors(head, size, &arena, &theirs, &why);
    if (status == INVALID || status == TOO_LARGE || status == UNPROCESSABLE)
        return reject(err, "%s", why.message);
    if (status != OK)
        return fail(err, status, NULL, "%s", why.message);
    TRY(read_tensors(&model->head, model->size, &arena, &ours, err));
    if (with_control)
        add_control(&ours, &arena);
    int64_t *at = arena_array(&arena, ours.count, sizeof *at);
    TRY(match(&ours, &theirs, at, &in_order, err));
    if (in_order)
        return OK;
    TRY(reorder(fd, path, out->data_at, &ours, at, &arena, err));
    out->data_at = 0;
    return OK;
}

enum status update_check_norm(const struct settings *settings, double norm, struct error *err)
{
    if (!isfinite(norm))
        return reject(err, "Some of its numbers are infinite or not a number.");
    if (settings->bound > 0 && norm > settings->bound * BOUND_SLACK)
        return reject(err, "It is %.6g away from the model; the bound of this training is %.6g.", norm,
                      settings->bound);
    return OK;
}

static enum status check_numbers(const struct model *model, int fd, const struct settings *settings, struct update *out,
                                 struct error *err)
{
    double control = 0;
    TRY(measure(fd, out->data_at, model->fd, model->data_at, model->width, &out->norm, err));
    TRY(update_check_norm(settings, out->norm, err));
    if (!settings->scaffold)
        return OK;
    TRY(measure(fd, out->data_at + model->width * (int64_t)sizeof(float), -1, 0, model->width, &control, err));
    if (!isfinite(control))
        return reject(err, "Some numbers of its control variate are infinite or not a number.");
    if (settings->control_bound > 0 && control > settings->control_bound * BOUND_SLACK)
        return reject(err, "Its control variate changes by %.6g; the bound of that is %.6g.", control,
                      settings->control_bound);
    return OK;
}

enum status update_check(const struct model *model, int fd, const char *path, const struct settings *settings,
                         struct update *out, struct error *err)
{
    auto_buf struct buf head = {0};
    int64_t size = 0;
    struct error why = {0};
    TRY(file_size(fd, &size, err));
    enum status status = read_head(fd, size, &head, &why);
    if (status == UNPROCESSABLE || status == TOO_LARGE || status == INVALID)
        return reject(err, "%s", why.message);
    TRY(status);
    out->data_at = (int64_t)head.len;
    auto_fd int now = -1;
    if (settings->scaffold || !str_eq(buf_view(&head), buf_view(&model->head))) {
        TRY(check_header(model, settings->scaffold, fd, size, &head, path, out, err));
        now = open(path, O_RDONLY | O_CLOEXEC); /* it may be another file by now */
        if (now < 0)
            return fail_errno(err, path);
    } else if (size != model->size) {
        return reject(err, "It has %lld bytes, the model has %lld.", (long long)size, (long long)model->size);
    }
    return check_numbers(model, now >= 0 ? now : fd, settings, out, err);
}
