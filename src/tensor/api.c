/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tensors of a revision, and the proof of one. Their names are content: ACT_READ. */
#include "base/text.h"
#include "tensor/internal.h"
#include "tlog/text.h"

#define PAGE 1000
#define PAGE_MOST 5000
#define REFUSED_SHOWN 100

static const char *const state_names[] = {
    [TENSORS_NONE] = "none", [TENSORS_PENDING] = "pending", [TENSORS_REFUSED] = "refused", [TENSORS_READY] = "ready"};

enum status revision_files(struct request *rq, struct oid *commit, struct tensor_files *files, struct error *err)
{
    struct revision revision;
    TRY(request_read(rq, err));
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, rq->params[0], &revision, err));
    request_done_reading(rq);
    *commit = revision.commit;
    return tensors_of_revision(rq->hub, rq->arena, rq->repo.id, commit, files, err);
}

void write_state(struct request *rq, struct json_writer *w, const struct oid *commit, const struct tensor_files *files)
{
    jw_key_str(w, "commit", oid_hex(rq->arena, commit));
    jw_key_str(w, "state", str_of(state_names[files->state]));
}

/* "offsets" are places in the file, as a Range header has them but for the end, which is the first byte behind. */
static void write_tensor(struct request *rq, struct json_writer *w, const struct tensor *tensor, struct str file)
{
    jw_object(w);
    jw_key_str(w, "name", tensor->name);
    jw_key_str(w, "dtype", str_of(tensor_dtype_name(tensor->dtype)));
    jw_key(w, "shape");
    jw_array(w);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        jw_int(w, tensor->shape[i]);
    jw_end(w);
    jw_key_str(w, "file", file);
    jw_key(w, "offsets");
    jw_array(w);
    jw_int(w, tensor->begin);
    jw_int(w, tensor->end);
    jw_end(w);
    jw_key_str(w, "digest", hex_encode(rq->arena, tensor->digest, SHA256_SIZE));
    jw_end(w);
}

/* Pages. */

struct place {
    size_t file;
    int64_t position;
};

/* A cursor is "FILE.POSITION", both counted from 0. */
static bool read_place(struct str text, struct place *out)
{
    struct str rest = text, file;
    uint64_t number, position;
    *out = (struct place){0};
    if (!str_given(text))
        return true;
    if (!str_cut(&rest, '.', &file) || !str_given(rest) || !tlog_decimal(file, &number) ||
        !tlog_decimal(rest, &position) || position > INT64_MAX)
        return false;
    *out = (struct place){number, (int64_t)position};
    return true;
}

static enum status read_limit(struct request *rq, int64_t *out, struct error *err)
{
    uint64_t number = PAGE;
    struct str text = request_query(rq, "limit", 0);
    if (str_given(text) && (!tlog_decimal(text, &number) || number == 0))
        return fail(err, INVALID, NULL, "limit is a number from 1 on; at most %d are given at once.", PAGE_MOST);
    *out = number > PAGE_MOST ? PAGE_MOST : (int64_t)number;
    return OK;
}

/* Fills a page from *place on, which then is where the next one starts; behind the last file when there is none. */
static enum status write_page(struct request *rq, struct json_writer *w, const struct tensor_files *files,
                              struct place *place, int64_t limit, struct error *err)
{
    struct tensor *tensors = arena_array(rq->arena, (size_t)limit, sizeof *tensors);
    while (place->file < files->count && limit > 0) {
        const struct tensor_file *file = &files->items[place->file];
        size_t count = 0;
        if (file->state == TENSORS_READY)
            TRY(rows_read(rq->db, rq->arena, file->id, place->position, limit, tensors, &count, err));
        for (size_t i = 0; i < count; i++)
            write_tensor(rq, w, &tensors[i], file->path);
        place->position += (int64_t)count;
        limit -= (int64_t)count;
        if (limit > 0)
            *place = (struct place){place->file + 1, 0};
    }
    return OK;
}

static void write_refused(struct json_writer *w, const struct tensor_files *files)
{
    size_t shown = 0;
    jw_key(w, "refused");
    jw_array(w);
    for (size_t i = 0; i < files->count && shown < REFUSED_SHOWN; i++) {
        if (files->items[i].state != TENSORS_REFUSED)
            continue;
        jw_object(w);
        jw_key_str(w, "file", files->items[i].path);
        jw_key_str(w, "why", files->items[i].why);
        jw_end(w);
        shown++;
    }
    jw_end(w);
}

/* GET /api/{api}/tensors/{rev}?limit=…&cursor=…: in the order of files and of places in them. */
enum status tensors_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct tensor_files files;
    struct oid commit;
    struct place place;
    int64_t limit = 0;
    if (!read_place(request_query(rq, "cursor", 0), &place))
        return fail(err, INVALID, NULL, "This is not a cursor that the hub gave.");
    TRY(read_limit(rq, &limit, err));
    TRY(revision_files(rq, &commit, &files, err));
    TRY(request_read(rq, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_state(rq, &w, &commit, &files);
    write_refused(&w, &files);
    jw_key(&w, "tensors");
    jw_array(&w);
    TRY(write_page(rq, &w, &files, &place, limit, err));
    jw_end(&w);
    jw_end(&w);
    if (place.file < files.count)
        request_link_next(rq, arena_printf(rq->arena, "%zu.%lld", place.file, (long long)place.position));
    request_reply_json(rq, &body);
    return OK;
}

/* The proof. */

/* Nodes of the tree from the hashes of its leaves; a proof asks for each of them at most once. */
static struct tlog_hash node_of(const struct tlog_hash *leaves, unsigned level, uint64_t index)
{
    if (level == 0)
        return leaves[index];
    struct tlog_hash left = node_of(leaves, level - 1, 2 * index), right = node_of(leaves, level - 1, 2 * index + 1);
    return tlog_node_hash(&left, &right);
}

static enum status read_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    (void)err;
    *out = node_of(context, level, index);
    return OK;
}

static struct tlog_hash *hash_leaves(struct arena *arena, const struct tensor *sorted, size_t count)
{
    auto_buf struct buf entry = {0};
    struct tlog_hash *leaves = arena_array(arena, count, sizeof *leaves);
    for (size_t i = 0; i < count; i++) {
        entry.len = 0;
        tensor_entry(&sorted[i], &entry);
        leaves[i] = tlog_leaf_hash(buf_view(&entry));
    }
    return leaves;
}

/* The tree has each tensor once. */
static size_t drop_repeated(struct tensor *sorted, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !str_eq(sorted[i].name, sorted[kept - 1].name))
            sorted[kept++] = sorted[i];
    return kept;
}

static bool find_tensor(const struct tensor *sorted, size_t count, struct str name, size_t *index)
{
    for (*index = 0; *index < count; ++*index)
        if (str_eq(sorted[*index].name, name))
            return true;
    return false;
}

static const char where_sql[] = "SELECT 1 FROM tensor WHERE file_id = ? AND at = ? AND name = ? LIMIT 1";

/* The first file that has it, at that place. */
static enum status file_of(struct request *rq, const struct tensor_files *files, const struct tensor *tensor,
                           struct str *out, struct error *err)
{
    *out = (struct str){0};
    for (size_t i = 0; i < files->count && !str_given(*out); i++) {
        auto_stmt struct stmt *where = NULL;
        TRY(db_prepare(rq->db, where_sql, &where, err));
        stmt_bind_int(where, 1, files->items[i].id);
        stmt_bind_int(where, 2, tensor->begin);
        stmt_bind_str(where, 3, tensor->name);
        if (stmt_next(where))
            *out = files->items[i].path;
        TRY(stmt_end(where, err));
    }
    return OK;
}

static enum status write_proof(struct request *rq, struct json_writer *w, const struct tensor *sorted, size_t count,
                               size_t index, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf entry = {0};
    struct tlog_path path;
    struct tlog_hash root = tensor_root(sorted, count);
    struct tlog_source source = {read_node, hash_leaves(&arena, sorted, count)};
    TRY(tlog_prove_inclusion(&source, index, count, &path, err));
    tensor_entry(&sorted[index], &entry);
    jw_key_str(w, "entry", hex_encode(rq->arena, entry.data, entry.len));
    jw_key_int(w, "index", (int64_t)index);
    jw_key_int(w, "size", (int64_t)count);
    jw_key(w, "path");
    jw_array(w);
    for (size_t i = 0; i < path.count; i++)
        jw_str(w, hex_encode(rq->arena, path.hashes[i].bytes, SHA256_SIZE));
    jw_end(w);
    jw_key_str(w, "tensorRoot", hex_encode(rq->arena, root.bytes, SHA256_SIZE));
    return OK;
}

static enum status refuse_unready(const struct tensor_files *files, struct error *err)
{
    if (files->state == TENSORS_PENDING)
        return fail(err, UNAVAILABLE, NULL,
                    "The hub is still looking at the tensors of this revision. Try again in a moment.");
    return fail(err, NOT_FOUND, NULL, "This revision has no tensorRoot: %s.",
                files->state == TENSORS_NONE      ? "it has no safetensors files, or too many"
                : files->state == TENSORS_REFUSED ? "a safetensors file in it is not valid"
                                                  : "it has no tensors, too many, or two different ones of one name");
}

/* GET /api/{api}/tensors/{rev}/proof?name=…: that a tensor is in the tree whose root the manifest's leaf has. */
enum status tensor_proof_get(struct request *rq, struct error *err)
{
    auto_arena struct arena arena = {0}; /* not the request's, which lives until the client has read the reply */
    auto_buf struct buf body = {0};
    auto_turn bool turn = false;
    struct str name = request_query(rq, "name", 0), file;
    struct tensor_files files;
    struct tensor *sorted;
    struct oid commit;
    size_t count = 0, index;
    if (!str_given(name))
        return fail(err, INVALID, NULL, "Say which tensor: ?name=…");
    TRY(revision_files(rq, &commit, &files, err));
    if (files.state != TENSORS_READY)
        return refuse_unready(&files, err);
    TRY(turn_take(err));
    turn = true;
    TRY(request_read(rq, err));
    TRY(tensors_load(rq->db, &arena, &files, &sorted, &count, err));
    if (count == 0)
        return refuse_unready(&files, err);
    count = drop_repeated(sorted, count);
    if (!find_tensor(sorted, count, name, &index))
        return fail(err, NOT_FOUND, NULL, "This revision has no tensor of that name.");
    TRY(file_of(rq, &files, &sorted[index], &file, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_state(rq, &w, &commit, &files);
    jw_key(&w, "tensor");
    write_tensor(rq, &w, &sorted[index], file);
    TRY(write_proof(rq, &w, sorted, count, index, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
