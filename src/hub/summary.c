/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/summary.h"
#include "base/file.h"
#include "gate/gate.h"
#include "quota/quota.h"
#include "scan/card.h"
#include "scan/worker.h"

#define CARD_LIMIT (1 << 20)
#define CONFIG_LIMIT (1 << 20)
#define TENSOR_HEADER_LIMIT (25 << 20) /* bytes; the safetensors format allows 100 MB, no real file comes near */
#define TAGS_MOST 512
#define SHARDS_MOST 512

static const char *const summary_sql[] = {
    "CREATE TABLE repo_summary ("
    "  repo_id INTEGER PRIMARY KEY REFERENCES repo(id) ON DELETE CASCADE,"
    "  card TEXT NOT NULL, tags TEXT NOT NULL, pipeline TEXT NOT NULL, library TEXT NOT NULL,"
    "  config TEXT NOT NULL, safetensors TEXT NOT NULL);"
    "CREATE TABLE repo_tag ("
    "  repo_id INTEGER NOT NULL REFERENCES repo(id) ON DELETE CASCADE, tag TEXT NOT NULL,"
    "  PRIMARY KEY (repo_id, tag));"
    "CREATE INDEX repo_tag_by_tag ON repo_tag (tag, repo_id);"
    "CREATE INDEX repo_by_update ON repo (kind, updated_us, id);"
    "CREATE INDEX repo_by_creation ON repo (kind, created_us, id);"
    /* What a safetensors file holds never changes, so it is read once for each content. */
    "CREATE TABLE tensor_summary (sha256 BLOB PRIMARY KEY, body TEXT NOT NULL);",
    NULL,
};
const struct migration_set summary_migrations = {"hub", summary_sql};

/* Stored. */

enum status summary_load(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct summary *out,
                         struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn,
                   "SELECT card, tags, pipeline, library, config, safetensors FROM repo_summary WHERE repo_id = ?",
                   &row, err));
    *out = (struct summary){STR("{}"), STR("[]"), STR(""), STR(""), STR(""), STR("")};
    stmt_bind_int(row, 1, repo_id);
    if (stmt_next(row)) {
        struct str *fields[] = {&out->card, &out->tags, &out->pipeline, &out->library, &out->config, &out->safetensors};
        for (int i = 0; i < 6; i++)
            *fields[i] = arena_copy(arena, stmt_str(row, i));
    }
    return stmt_end(row, err);
}

static enum status store_row(struct db_conn *tx, const struct summary_plan *plan, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    const struct summary *s = &plan->summary;
    TRY(db_prepare(tx,
                   "INSERT INTO repo_summary (repo_id, card, tags, pipeline, library, config, safetensors) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repo_id) DO UPDATE SET card = excluded.card, "
                   "tags = excluded.tags, pipeline = excluded.pipeline, library = excluded.library, "
                   "config = excluded.config, safetensors = excluded.safetensors",
                   &put, err));
    const struct str fields[] = {s->card, s->tags, s->pipeline, s->library, s->config, s->safetensors};
    stmt_bind_int(put, 1, plan->repo_id);
    for (int i = 0; i < 6; i++)
        stmt_bind_str(put, i + 2, fields[i]);
    return stmt_run(put, err);
}

enum status summary_store(struct db_conn *tx, void *context, struct error *err)
{
    const struct summary_plan *plan = context;
    auto_stmt struct stmt *clear = NULL, *tag = NULL;
    TRY(store_row(tx, plan, err));
    TRY(db_prepare(tx, "DELETE FROM repo_tag WHERE repo_id = ?", &clear, err));
    stmt_bind_int(clear, 1, plan->repo_id);
    TRY(stmt_run(clear, err));
    TRY(db_prepare(tx, "INSERT INTO repo_tag (repo_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", &tag, err));
    for (size_t i = 0; i < plan->tag_count; i++) {
        stmt_bind_int(tag, 1, plan->repo_id);
        stmt_bind_str(tag, 2, plan->tags[i]);
        TRY(stmt_run(tag, err));
    }
    TRY(gate_card_set(tx, plan->repo_id, plan->summary.card, err));
    return lineage_declare(tx, plan->repo_id, &plan->lineage, err);
}

/* Tensors. */

struct keep_tensors {
    const uint8_t *sha256;
    struct str body; /* absent when the look failed */
    int64_t repo_id, inspected_us;
};

static enum status keep_tensors(struct db_conn *tx, void *context, struct error *err)
{
    const struct keep_tensors *keep = context;
    auto_stmt struct stmt *put = NULL;
    TRY(quota_spend(tx, keep->repo_id, UNIT_SCAN, keep->inspected_us, err));
    if (!str_given(keep->body))
        return OK;
    TRY(db_prepare(tx, "INSERT INTO tensor_summary (sha256, body) VALUES (?, ?) ON CONFLICT DO NOTHING", &put, err));
    stmt_bind_blob(put, 1, keep->sha256, SHA256_SIZE);
    stmt_bind_str(put, 2, keep->body);
    return stmt_run(put, err);
}

static enum status read_view(struct store_view *view, struct buf *out, struct error *err)
{
    for (;;) {
        struct store_piece piece;
        bool found;
        TRY(store_view_next(view, &piece, &found, err));
        if (!found)
            return OK;
        buf_reserve(out, (size_t)piece.length);
        if (piece.fd < 0)
            memcpy(out->data + out->len, piece.data, (size_t)piece.length);
        else
            TRY(pread_full(piece.fd, out->data + out->len, (size_t)piece.length, piece.offset, err));
        out->len += (size_t)piece.length;
    }
}

static enum status read_object(struct request *rq, const struct object *object, int64_t offset, int64_t length,
                               struct buf *out, struct error *err)
{
    struct store_view *view;
    TRY(request_read(rq, err));
    TRY(store_view_open(rq->hub->store, rq->db, object->id, offset, length, &view, err));
    request_done_reading(rq);
    enum status status = read_view(view, out, err);
    store_view_close(view);
    return status;
}

/* 8 bytes of length, little-endian, then so many bytes of JSON. The server moves them; only the sandboxed child reads
 * them. */
static enum status read_tensor_header(struct request *rq, const struct object *object, struct buf *out,
                                      struct error *err)
{
    uint64_t length = 0;
    if (object->size < 8)
        return fail(err, UNPROCESSABLE, NULL, "too short for a safetensors file");
    TRY(read_object(rq, object, 0, 8, out, err));
    for (int byte = 7; byte >= 0; byte--)
        length = length << 8 | (uint8_t)out->data[byte];
    out->len = 0;
    if (length > TENSOR_HEADER_LIMIT || (int64_t)length > object->size - 8)
        return fail(err, UNPROCESSABLE, NULL, "the header of the safetensors file is longer than the file");
    return read_object(rq, object, 8, (int64_t)length, out, err);
}

/* Absent when nobody has looked yet. */
static enum status known_tensors(struct request *rq, const uint8_t sha256[SHA256_SIZE], struct str *body,
                                 struct error *err)
{
    auto_stmt struct stmt *known = NULL;
    TRY(db_prepare(rq->db, "SELECT body FROM tensor_summary WHERE sha256 = ?", &known, err));
    stmt_bind_blob(known, 1, sha256, SHA256_SIZE);
    *body = stmt_next(known) ? arena_copy(rq->arena, stmt_str(known, 0)) : (struct str){0};
    return stmt_end(known, err);
}

/* The counts of one file's tensors as JSON, from memory of the same content or from a look by the sandboxed child. */
static enum status tensors_of(struct request *rq, const uint8_t sha256[SHA256_SIZE], struct str *body,
                              struct error *err)
{
    auto_buf struct buf header = {0}, found = {0};
    struct object object;
    TRY(request_read(rq, err));
    TRY(known_tensors(rq, sha256, body, err));
    if (str_given(*body))
        return OK;
    TRY(store_lookup(rq->db, rq->repo.id, sha256, &object, err));
    TRY(read_tensor_header(rq, &object, &header, err));
    struct keep_tensors keep = {.sha256 = sha256, .repo_id = rq->repo.id};
    enum status looked = scan_safetensors(buf_view(&header), &found, &keep.inspected_us, err);
    if (looked == OK)
        *body = keep.body = arena_copy(rq->arena, buf_view(&found));
    TRY(db_write(rq->hub->db, keep_tensors, &keep, err));
    return looked;
}

static void add_counts(json_t *sum, const json_t *one)
{
    const char *dtype;
    const json_t *count;
    json_t *parameters = json_object_get(sum, "parameters");
    json_object_foreach(json_object_get(one, "parameters"), dtype, count)
    {
        int64_t total;
        if (!__builtin_add_overflow(json_get_int(parameters, dtype, 0), json_integer_value(count), &total))
            json_object_set_new(parameters, dtype, json_integer(total));
    }
    int64_t total;
    if (!__builtin_add_overflow(json_get_int(sum, "total", 0), json_get_int(one, "total", 0), &total))
        json_object_set_new(sum, "total", json_integer(total));
}

/* model.safetensors, or all the shards model-00001-of-0000N.safetensors in the root folder. */
static bool is_weights(struct str path)
{
    return str_eq(path, STR("model.safetensors")) ||
           (str_starts(path, STR("model-")) && str_ends(path, STR(".safetensors")) && str_has(path, STR("-of-")));
}

static void plan_tensors(struct summary_plan *plan, struct request *rq, const struct entry *root, size_t count)
{
    size_t files = 0;
    auto_json json_t *sum = json_pack("{s:{}, s:i}", "parameters", "total", 0);
    for (size_t i = 0; i < count && files < SHARDS_MOST; i++) {
        struct str body;
        struct error ignored;
        auto_json json_t *one = NULL;
        if (!root[i].is_lfs || !is_weights(root[i].path))
            continue;
        if (tensors_of(rq, root[i].sha256, &body, &ignored) == OK && json_read(body, 1 << 20, &one, NULL) == OK &&
            json_object_get(one, "parameters")) {
            add_counts(sum, one);
            files++;
        }
    }
    auto_buf struct buf text = {0};
    if (files)
        json_dump(sum, &text);
    plan->summary.safetensors = arena_copy(rq->arena, buf_view(&text));
}

/* Planning. */

static void add_tag(void *context, struct str tag)
{
    struct summary_plan *plan = context;
    for (size_t i = 0; i < plan->tag_count; i++)
        if (str_eq(plan->tags[i], tag))
            return;
    if (plan->tag_count < TAGS_MOST)
        plan->tags[plan->tag_count++] = arena_copy(plan->arena, tag);
}

static bool read_small(struct draft *draft, struct arena *arena, const char *path, size_t limit, struct str *out)
{
    struct entry entry;
    struct error ignored;
    return draft_entry(draft, arena, str_of(path), &entry, &ignored) == OK && !entry.is_folder && !entry.is_lfs &&
           entry.size <= (int64_t)limit && draft_blob(draft, arena, &entry.oid, out, &ignored) == OK;
}

static bool has_file(const struct entry *root, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!root[i].is_folder && str_eq(root[i].path, str_of(name)))
            return true;
    return false;
}

/* What a model is for follows from the files that its library leaves, where the card does not say it. */
static void plan_from_files(struct summary_plan *plan, const struct entry *root, size_t count)
{
    static const struct {
        const char *ending, *tag;
    } formats[] = {{".safetensors", "safetensors"},
                   {".gguf", "gguf"},
                   {".onnx", "onnx"},
                   {".tflite", "tflite"},
                   {"pytorch_model.bin", "pytorch"},
                   {"tf_model.h5", "tf"},
                   {"flax_model.msgpack", "jax"}};
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (size_t i = 0; i < count; i++)
            if (!root[i].is_folder && str_ends(root[i].path, str_of(formats[f].ending))) {
                add_tag(plan, str_of(formats[f].tag));
                break;
            }
    if (plan->summary.library.len)
        return;
    plan->summary.library = has_file(root, count, "modules.json")          ? STR("sentence-transformers")
                            : has_file(root, count, "model_index.json")    ? STR("diffusers")
                            : has_file(root, count, "adapter_config.json") ? STR("peft")
                            : plan->summary.config.len                     ? STR("transformers")
                                                                           : STR("");
}

static void plan_config(struct summary_plan *plan, struct draft *draft)
{
    static const char *const kept[] = {"architectures", "model_type", "quantization_config", "auto_map"};
    struct str text;
    auto_json json_t *config = NULL, *out = json_object();
    auto_buf struct buf body = {0};
    if (!read_small(draft, plan->arena, "config.json", CONFIG_LIMIT, &text) ||
        json_read(text, CONFIG_LIMIT, &config, NULL) != OK)
        return;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(config, kept[i]))
            json_object_set(out, kept[i], json_object_get(config, kept[i]));
    if (json_object_size(out) == 0)
        return;
    json_dump(out, &body);
    plan->summary.config = arena_copy(plan->arena, buf_view(&body));
    struct str type = json_get_str(config, "model_type");
    if (type.len)
        add_tag(plan, type);
}

static void plan_card(struct summary_plan *plan, struct draft *draft, enum repo_kind kind)
{
    struct str readme;
    struct error ignored;
    auto_json json_t *card = NULL;
    auto_buf struct buf body = {0};
    if (!read_small(draft, plan->arena, "README.md", CARD_LIMIT, &readme) || card_read(readme, &card, &ignored) != OK)
        return;
    json_dump(card, &body);
    plan->summary.card = arena_copy(plan->arena, buf_view(&body));
    plan->summary.pipeline = arena_copy(plan->arena, json_get_str(card, "pipeline_tag"));
    plan->summary.library = arena_copy(plan->arena, json_get_str(card, "library_name"));
    if (kind == KIND_MODEL)
        lineage_read_card(plan->arena, card, &plan->lineage);
    card_tags(card, readme, repo_kind_name(kind), add_tag, plan);
}

static struct str tags_json(struct summary_plan *plan)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_array(&w);
    for (size_t i = 0; i < plan->tag_count; i++)
        jw_str(&w, plan->tags[i]);
    jw_end(&w);
    return arena_copy(plan->arena, buf_view(&body));
}

enum status summary_plan(struct summary_plan *plan, struct request *rq, struct draft *draft, struct error *err)
{
    struct entry *root;
    size_t count;
    *plan = (struct summary_plan){.repo_id = rq->repo.id, .arena = rq->arena};
    plan->tags = arena_array(rq->arena, TAGS_MOST, sizeof *plan->tags);
    plan->summary = (struct summary){STR("{}"), STR("[]"), STR(""), STR(""), STR(""), STR("")};
    TRY(draft_list(draft, rq->arena, STR(""), &root, &count, err));
    plan_card(plan, draft, rq->repo.kind);
    if (rq->repo.kind == KIND_MODEL) {
        plan_config(plan, draft);
        plan_from_files(plan, root, count);
        plan_tensors(plan, rq, root, count);
        if (plan->summary.library.len)
            add_tag(plan, plan->summary.library);
    }
    plan->summary.tags = tags_json(plan);
    return OK;
}

enum status summary_plan_of(struct summary_plan *plan, struct request *rq, const struct oid *commit, struct error *err)
{
    auto_draft struct draft *draft = NULL;
    struct oid built;
    bool unchanged;
    struct draft_commit how = {.parent = commit};
    request_done_reading(rq);
    TRY(draft_new(rq->hub->db, rq->repo.id, &draft, err));
    TRY(draft_build(draft, rq->arena, &how, &built, &unchanged, err));
    return summary_plan(plan, rq, draft, err);
}
