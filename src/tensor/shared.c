/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who else has the same tensors (provenance 3.5, grade 4: bytes): same dtype, shape and SHA-256 of the bytes, under
 * whatever name, in whatever file. A fine-tune that froze layers, a merge, a re-sharded or re-uploaded copy are found
 * by it.
 *
 * Only repos that the actor may read are counted; of others not even their number is told. So the work is bounded by
 * time and not by how many matches there are: a limit on matches would tell, by being reached, of matches that the
 * actor may not know of.
 */
#include "base/text.h"
#include "base/time.h"
#include "tensor/internal.h"
#include <stdlib.h>

#define SHOWN 50
#define MOST_US (3 * SECOND_US)

/* Sharers. */

struct sharer {
    int64_t repo_id;
    bool readable;
    struct repo repo;
    size_t newest; /* the number of the tensor that was counted last, from 1 */
    int64_t tensors, bytes;
    int64_t first; /* index of the oldest leaf that brought one of them; -1: none has one */
};

struct sharers {
    struct sharer **slots; /* by a hash of the repo */
    size_t capacity, count;
};

static struct sharer **slot_of(const struct sharers *all, int64_t repo_id)
{
    size_t at = ((uint64_t)repo_id * UINT64_C(0x9E3779B97F4A7C15)) & (all->capacity - 1);
    while (all->slots[at] && all->slots[at]->repo_id != repo_id)
        at = (at + 1) & (all->capacity - 1);
    return &all->slots[at];
}

/* Room for one more, half of the slots staying free. */
static void make_room(struct arena *arena, struct sharers *all)
{
    struct sharers larger = {.capacity = all->capacity ? 2 * all->capacity : 256, .count = all->count};
    if (2 * (all->count + 1) <= all->capacity)
        return;
    larger.slots = arena_array(arena, larger.capacity, sizeof *larger.slots);
    for (size_t i = 0; i < all->capacity; i++)
        if (all->slots[i])
            *slot_of(&larger, all->slots[i]->repo_id) = all->slots[i];
    *all = larger;
}

struct question {
    struct request *rq;
    struct arena arena;
    struct sharers sharers;
    size_t asked;                    /* tensors so far */
    int64_t tensors, bytes, trivial; /* of the revision: that can be shared; that would tell nothing */
    int64_t until_us;                /* monotonic */
    bool complete;
};

/* The repo, with the door's answer. */
static enum status find_sharer(struct question *q, int64_t repo_id, struct sharer **out, struct error *err)
{
    struct error no = {0};
    make_room(&q->arena, &q->sharers);
    struct sharer **slot = slot_of(&q->sharers, repo_id);
    *out = *slot;
    if (*out)
        return OK;
    struct sharer *sharer = arena_alloc(&q->arena, sizeof *sharer);
    *sharer = (struct sharer){.repo_id = repo_id, .first = -1};
    TRY(repo_get(q->rq->db, &q->arena, repo_id, &sharer->repo, err));
    struct access_object object = repo_access(&sharer->repo);
    enum status status = access_decide(q->rq->db, &q->rq->actor, ACT_READ, &object, &no);
    if (status != OK && status != UNAUTHENTICATED && status != FORBIDDEN && status != NOT_FOUND)
        return fail(err, status, no.code, "%s", no.message);
    sharer->readable = status == OK && repo_id != q->rq->repo.id;
    q->sharers.count++;
    *slot = *out = sharer;
    return OK;
}

/* Matches. */

static const char matches_sql[] = "SELECT s.repo_id, COALESCE(s.idx, -1) FROM tensor t"
                                  " JOIN tensor_seen s ON s.file_id = t.file_id AND s.state = 1"
                                  " JOIN tensor_file f ON f.id = t.file_id AND f.state = 1 WHERE t.content = ?";

static enum status count_match(struct question *q, int64_t repo_id, int64_t index, int64_t size, struct error *err)
{
    struct sharer *sharer;
    TRY(find_sharer(q, repo_id, &sharer, err));
    if (!sharer->readable)
        return OK;
    if (index >= 0 && (sharer->first < 0 || index < sharer->first))
        sharer->first = index;
    if (sharer->newest == q->asked) /* it has the tensor more than once */
        return OK;
    sharer->newest = q->asked;
    sharer->tensors++;
    sharer->bytes += size;
    return OK;
}

static enum status ask_tensor(struct question *q, struct str content, int64_t size, struct error *err)
{
    auto_stmt struct stmt *match = NULL;
    q->asked++;
    q->tensors++;
    q->bytes += size;
    if (!q->complete)
        return OK;
    TRY(db_prepare(q->rq->db, matches_sql, &match, err));
    stmt_bind_blob(match, 1, content.data, content.len);
    while (q->complete && stmt_next(match)) {
        TRY(count_match(q, stmt_int(match, 0), stmt_int(match, 1), size, err));
        q->complete = monotonic_us() < q->until_us;
    }
    return stmt_end(match, err);
}

/* The revision's own. */

struct own {
    uint8_t content[SHA256_SIZE];
    int64_t size;
};

static int largest_first(const void *left, const void *right)
{
    const struct own *a = left, *b = right;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return memcmp(a->content, b->content, SHA256_SIZE);
}

static const char own_sql[] = "SELECT content, size FROM tensor WHERE file_id = ?";

static enum status add_own(struct question *q, int64_t file_id, struct buf *own, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(q->rq->db, own_sql, &row, err));
    stmt_bind_int(row, 1, file_id);
    while (stmt_next(row)) {
        struct own one = {.size = stmt_int(row, 1)};
        struct str content = stmt_str(row, 0);
        if (content.len != SHA256_SIZE) {
            q->trivial++;
            continue;
        }
        memcpy(one.content, content.data, SHA256_SIZE);
        buf_add(own, &one, sizeof one);
    }
    return stmt_end(row, err);
}

/* Each content once, the largest first: should the time not suffice, most of the bytes have been asked about. */
static enum status ask_all(struct question *q, const struct tensor_files *files, struct error *err)
{
    auto_buf struct buf buf = {0};
    for (size_t i = 0; i < files->count && buf.len / sizeof(struct own) <= REVISION_TENSORS_MOST; i++)
        if (files->items[i].state == TENSORS_READY)
            TRY(add_own(q, files->items[i].id, &buf, err));
    struct own *own = (struct own *)buf.data;
    size_t count = buf.len / sizeof *own;
    q->complete = count <= REVISION_TENSORS_MOST;
    if (count)
        qsort(own, count, sizeof *own, largest_first);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || memcmp(own[i].content, own[i - 1].content, SHA256_SIZE) != 0)
            TRY(ask_tensor(q, (struct str){(const char *)own[i].content, SHA256_SIZE}, own[i].size, err));
    return OK;
}

/* The answer. */

static int most_shared_first(const void *left, const void *right)
{
    const struct sharer *a = *(struct sharer *const *)left, *b = *(struct sharer *const *)right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return (a->repo_id > b->repo_id) - (a->repo_id < b->repo_id);
}

static struct sharer **sort_sharers(struct question *q, size_t *count)
{
    struct sharer **sorted = arena_array(&q->arena, q->sharers.count + 1, sizeof *sorted);
    *count = 0;
    for (size_t i = 0; i < q->sharers.capacity; i++)
        if (q->sharers.slots[i] && q->sharers.slots[i]->tensors)
            sorted[(*count)++] = q->sharers.slots[i];
    qsort(sorted, *count, sizeof *sorted, most_shared_first);
    return sorted;
}

static const char time_sql[] = "SELECT e.at_us FROM leaf l JOIN event e ON e.id = l.event_id WHERE l.idx = ?";

/* The change that brought the first of them, as the log has it: by the hub's clock, not by what a commit says of
 * itself. */
static enum status write_first(struct question *q, struct json_writer *w, int64_t index, struct error *err)
{
    auto_stmt struct stmt *time = NULL;
    if (index < 0)
        return OK;
    TRY(db_prepare(q->rq->db, time_sql, &time, err));
    stmt_bind_int(time, 1, index);
    jw_key(w, "first");
    jw_object(w);
    jw_key_int(w, "index", index);
    if (stmt_next(time))
        jw_key_str(w, "at", time_iso(q->rq->arena, stmt_int(time, 0)));
    jw_end(w);
    return stmt_end(time, err);
}

static enum status write_sharer(struct question *q, struct json_writer *w, const struct sharer *sharer,
                                struct error *err)
{
    jw_object(w);
    jw_key_str(w, "id", sharer->repo.full_name);
    jw_key_str(w, "type", repo_kind_name(sharer->repo.kind));
    jw_key_int(w, "tensors", sharer->tensors);
    jw_key_int(w, "bytes", sharer->bytes);
    jw_key(w, "share");
    jw_raw(w, arena_printf(q->rq->arena, "%.6f", (double)sharer->bytes / (double)q->bytes));
    TRY(write_first(q, w, sharer->first, err));
    jw_end(w);
    return OK;
}

static const char own_first_sql[] = "SELECT COALESCE(idx, -1) FROM tensor_seen WHERE file_id = ? AND repo_id = ?";

static enum status own_first(struct question *q, const struct tensor_files *files, int64_t *first, struct error *err)
{
    *first = -1;
    for (size_t i = 0; i < files->count; i++) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(q->rq->db, own_first_sql, &row, err));
        stmt_bind_int(row, 1, files->items[i].id);
        stmt_bind_int(row, 2, q->rq->repo.id);
        int64_t index = stmt_next(row) ? stmt_int(row, 0) : -1;
        if (index >= 0 && (*first < 0 || index < *first))
            *first = index;
        TRY(stmt_end(row, err));
    }
    return OK;
}

static enum status write_answer(struct question *q, const struct tensor_files *files, struct json_writer *w,
                                struct error *err)
{
    size_t count;
    int64_t first;
    struct sharer **sorted = sort_sharers(q, &count);
    TRY(own_first(q, files, &first, err));
    jw_key_int(w, "tensors", q->tensors);
    jw_key_int(w, "bytes", q->bytes);
    jw_key_int(w, "trivial", q->trivial);
    jw_key_bool(w, "complete", q->complete);
    TRY(write_first(q, w, first, err));
    jw_key(w, "repos");
    jw_array(w);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        TRY(write_sharer(q, w, sorted[i], err));
    jw_end(w);
    return OK;
}

static enum status answer(struct question *q, const struct oid *commit, const struct tensor_files *files,
                          struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(ask_all(q, files, err));
    jw_object(&w);
    write_state(q->rq, &w, commit, files);
    TRY(write_answer(q, files, &w, err));
    jw_end(&w);
    request_reply_json(q->rq, &body);
    return OK;
}

static enum status list_sharers(struct question *q, const struct tensor_files *files, struct tensor_sharing *out,
                                struct error *err)
{
    struct arena *arena = q->rq->arena;
    TRY(ask_all(q, files, err));
    struct sharer **sorted = sort_sharers(q, &out->count);
    out->count = out->count < SHOWN ? out->count : SHOWN;
    out->items = arena_array(arena, out->count, sizeof *out->items);
    for (size_t i = 0; i < out->count; i++) {
        out->items[i] =
            (struct tensor_sharer){.tensors = sorted[i]->tensors, .bytes = sorted[i]->bytes, .first = sorted[i]->first};
        TRY(repo_get(q->rq->db, arena, sorted[i]->repo_id, &out->items[i].repo, err));
    }
    out->bytes = q->bytes;
    out->complete = q->complete && files->state != TENSORS_PENDING;
    return own_first(q, files, &out->first, err);
}

enum status tensors_shared(struct request *rq, const struct oid *commit, struct tensor_sharing *out, struct error *err)
{
    auto_turn bool turn = false;
    struct question question = {.rq = rq};
    struct tensor_files files;
    *out = (struct tensor_sharing){0};
    request_done_reading(rq);
    TRY(tensors_of_revision(rq->hub, rq->arena, rq->repo.id, commit, &files, err));
    TRY(turn_take(err));
    turn = true;
    TRY(request_read(rq, err));
    question.until_us = monotonic_us() + MOST_US;
    enum status status = list_sharers(&question, &files, out, err);
    arena_free(&question.arena);
    return status;
}

/* GET /api/{api}/lineage/bytes/{rev} */
enum status shared_get(struct request *rq, struct error *err)
{
    auto_turn bool turn = false;
    struct question question = {.rq = rq};
    struct tensor_files files;
    struct oid commit;
    TRY(revision_files(rq, &commit, &files, err));
    TRY(turn_take(err));
    turn = true;
    TRY(request_read(rq, err));
    question.until_us = monotonic_us() + MOST_US;
    enum status status = answer(&question, &commit, &files, err);
    arena_free(&question.arena);
    return status;
}
