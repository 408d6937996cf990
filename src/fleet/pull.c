/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a SuperNode is sent: a message of its round is a tree of objects, each named by its SHA-256 and fetched by itself. Only those
 * with numbers are long, and their names stand in the plan; the others are made anew for each request. */
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "fleet/internal.h"
#include "fleet/object.h"

struct flower_object {
    uint8_t id[SHA256_SIZE];
    struct str bytes;         /* all but the numbers */
    struct fleet_range range; /* of the numbers; length 0: it has none */
    struct flower_object **children;
    size_t count;
};

/* An object of a round's message, as a whole: its root is what Flower calls the message. */
struct tree {
    struct flower_object *root;
    struct flower_object **all;
    size_t count;
};

static bool has_child(const struct flower_object *parent, const struct flower_object *child)
{
    for (size_t i = 0; i < parent->count; i++)
        if (memcmp(parent->children[i]->id, child->id, sizeof child->id) == 0)
            return true;
    return false;
}

/* Equal children, as zeros give them, are named once. */
static void adopt(struct flower_object *parent, struct flower_object *child)
{
    if (!has_child(parent, child))
        parent->children[parent->count++] = child;
}

static struct flower_object *new_object(struct arena *arena, struct tree *tree, size_t children)
{
    struct flower_object *object = arena_alloc(arena, sizeof *object);
    object->children = arena_array(arena, children + 1, sizeof(struct flower_object *));
    return tree->all[tree->count++] = object;
}

/* "Type child,child length", a zero byte, the body. */
static void finish_object(struct arena *arena, struct flower_object *object, const char *type, struct str body)
{
    auto_buf struct buf bytes = {0};
    buf_printf(&bytes, "%s ", type);
    for (size_t i = 0; i < object->count; i++) {
        if (i)
            buf_byte(&bytes, ',');
        hex_add(&bytes, object->children[i]->id, SHA256_SIZE);
    }
    buf_printf(&bytes, " %zu", body.len);
    buf_byte(&bytes, 0);
    buf_str(&bytes, body);
    object->bytes = arena_copy(arena, buf_view(&bytes));
    sha256(object->bytes, object->id);
}

static struct flower_object *make_chunk(struct arena *arena, const struct plan_tensor *of, size_t which,
                                        struct tree *tree)
{
    struct flower_object *chunk = new_object(arena, tree, 0);
    auto_buf struct buf head = {0};
    plan_chunk_head(&of->tensor, which, &head);
    plan_chunk_range(&of->tensor, which, &chunk->range.at, &chunk->range.length);
    chunk->bytes = arena_copy(arena, buf_view(&head));
    memcpy(chunk->id, of->chunks[which], SHA256_SIZE);
    return chunk;
}

static size_t place_of(const struct flower_object *parent, const uint8_t id[SHA256_SIZE])
{
    size_t i = 0;
    while (memcmp(parent->children[i]->id, id, SHA256_SIZE) != 0)
        i++;
    return i;
}

static struct flower_object *make_array(struct arena *arena, const struct plan_tensor *of, struct tree *tree)
{
    struct flower_object *array = new_object(arena, tree, of->chunk_count);
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    for (size_t i = 0; i < of->chunk_count; i++)
        adopt(array, make_chunk(arena, of, i, tree));
    jw_object(&w);
    jw_key_str(&w, "dtype", STR("float32"));
    jw_key(&w, "shape");
    jw_array(&w);
    for (uint32_t i = 0; i < of->tensor.dimensions; i++)
        jw_int(&w, of->tensor.shape[i]);
    jw_end(&w);
    jw_key_str(&w, "stype", STR("numpy.ndarray"));
    jw_key(&w, "arraychunk_ids");
    jw_array(&w);
    for (size_t i = 0; i < of->chunk_count; i++)
        jw_int(&w, (int64_t)place_of(array, of->chunks[i]));
    jw_end(&w);
    jw_end(&w);
    finish_object(arena, array, "Array", buf_view(&body));
    return array;
}

static void write_id(struct json_writer *w, const struct flower_object *object)
{
    auto_buf struct buf hex = {0};
    hex_add(&hex, object->id, SHA256_SIZE);
    jw_str(w, buf_view(&hex));
}

static struct flower_object *make_arrays(struct arena *arena, const struct plan *plan, struct tree *tree)
{
    struct flower_object *record = new_object(arena, tree, plan->count);
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    for (size_t i = 0; i < plan->count; i++) {
        struct flower_object *array = make_array(arena, &plan->tensors[i], tree);
        adopt(record, array);
        jw_key(&w, plan->tensors[i].tensor.name.data);
        write_id(&w, array);
    }
    jw_end(&w);
    finish_object(arena, record, "ArrayRecord", buf_view(&body));
    return record;
}

static struct flower_object *make_config(struct arena *arena, const struct part *part, struct tree *tree)
{
    struct flower_object *config = new_object(arena, tree, 0);
    auto_proto struct proto_out body = {0};
    plan_config(part, &body);
    proto_finish(&body);
    finish_object(arena, config, "ConfigRecord", buf_view(&body.bytes));
    return config;
}

/* Each record under two names: a ClientApp of today looks for the short ones, a NumPyClient for the long. It costs nothing twice. */
static struct flower_object *make_records(struct arena *arena, const struct part *part, const struct plan *plan,
                                          struct tree *tree)
{
    struct flower_object *records = new_object(arena, tree, 2);
    struct flower_object *arrays = make_arrays(arena, plan, tree), *config = make_config(arena, part, tree);
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    adopt(records, arrays);
    adopt(records, config);
    jw_object(&w);
    jw_key(&w, "arrays");
    write_id(&w, arrays);
    jw_key(&w, "config");
    write_id(&w, config);
    jw_key(&w, "fitins.parameters");
    write_id(&w, arrays);
    jw_key(&w, "fitins.config");
    write_id(&w, config);
    jw_end(&w);
    finish_object(arena, records, "RecordDict", buf_view(&body));
    return records;
}

/* A Metadata in field 1; without the message's id where that is to come from it. */
static void put_metadata(struct request *rq, const struct part *part, const struct plan *plan, struct str id,
                         struct proto_out *out)
{
    int64_t metadata = proto_mark(out);
    proto_put_double(out, 9, plan->created);
    proto_put_text(out, 8, STR("train"));
    proto_put_double(out, 7, 10 * 365.25 * 86400);
    proto_put_text(out, 6, arena_printf(rq->arena, "%lld", (long long)part->round));
    proto_put(out, 4, node_number(rq));
    proto_put(out, 3, 1);
    if (id.len)
        proto_put_text(out, 2, id);
    proto_put(out, 1, run_number(part));
    proto_close(out, 1, metadata);
}

static void make_tree(struct request *rq, const struct part *part, const struct plan *plan, struct tree *out)
{
    size_t most = 4 + plan->count;
    for (size_t i = 0; i < plan->count; i++)
        most += plan->tensors[i].chunk_count;
    *out = (struct tree){.all = arena_array(rq->arena, most, sizeof(struct flower_object *))};
    struct flower_object *message = new_object(rq->arena, out, 1);
    auto_proto struct proto_out body = {0};
    adopt(message, make_records(rq->arena, part, plan, out));
    put_metadata(rq, part, plan, STR(""), &body);
    proto_finish(&body);
    finish_object(rq->arena, message, "Message", buf_view(&body.bytes));
    out->root = message;
}

struct str fleet_message_id(struct request *rq, const struct part *part, const struct plan *plan)
{
    struct tree tree;
    make_tree(rq, part, plan, &tree);
    return hex_encode(rq->arena, tree.root->id, SHA256_SIZE);
}

/* An ObjectTree. It is four deep. */
static void put_tree(const struct flower_object *object, uint32_t field, struct arena *arena, struct proto_out *out)
{
    int64_t mark = proto_mark(out);
    for (size_t i = object->count; i-- > 0;)
        put_tree(object->children[i], 2, arena, out);
    proto_put_text(out, 1, hex_encode(arena, object->id, SHA256_SIZE));
    proto_close(out, field, mark);
}

/* POST …/pull-messages: the round's, or none. */
enum status message_pull(struct request *rq, struct error *err)
{
    struct proto message;
    struct part part;
    struct tree tree;
    auto_plan struct plan plan = {0};
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    TRY(node_check(rq, &message, false, err));
    TRY(part_find(rq, &part, err));
    if (part.state == PART_TRAINS) {
        TRY(plan_open(rq, &part, &plan, err));
        make_tree(rq, &part, &plan, &tree);
        put_tree(tree.root, 3, rq->arena, &out);
        int64_t mark = proto_mark(&out);
        proto_put_text(&out, 2, STR("")); /* its content comes in objects, but the field must be there */
        put_metadata(rq, &part, &plan, hex_encode(rq->arena, tree.root->id, SHA256_SIZE), &out);
        proto_close(&out, 2, mark);
    }
    fleet_reply(rq, &out);
    return OK;
}

static const struct flower_object *find_object(const struct tree *tree, const uint8_t id[SHA256_SIZE])
{
    for (size_t i = 0; i < tree->count; i++)
        if (memcmp(tree->all[i]->id, id, SHA256_SIZE) == 0)
            return tree->all[i];
    return NULL;
}

static void reply_object(struct request *rq, struct plan *plan, const struct flower_object *object)
{
    auto_proto struct proto_out out = {0};
    if (object) {
        proto_hole(&out, 0, object->range.length);
        proto_raw(&out, object->bytes);
        proto_close(&out, 3, 0);
        proto_put(&out, 2, 1);
        proto_put(&out, 1, 1);
        plan_reply(rq, plan, &out, &object->range);
    } else {
        fleet_reply(rq, &out);
    }
}

/* Half of all objects, and nearly all bytes: without making the others. */
static const struct flower_object *find_chunk(struct arena *arena, const struct plan *plan,
                                              const uint8_t id[SHA256_SIZE])
{
    struct flower_object *one;
    struct tree alone = {.all = &one};
    for (size_t i = 0; i < plan->count; i++)
        for (size_t j = 0; j < plan->tensors[i].chunk_count; j++)
            if (memcmp(plan->tensors[i].chunks[j], id, SHA256_SIZE) == 0)
                return make_chunk(arena, &plan->tensors[i], j, &alone);
    return NULL;
}

/* POST …/pull-object: one of the round's that is under way. */
enum status object_pull(struct request *rq, struct error *err)
{
    struct proto message;
    struct part part;
    struct tree tree;
    uint8_t id[SHA256_SIZE];
    auto_plan struct plan plan = {0};
    TRY(fleet_message(rq, &message, err));
    TRY(node_check(rq, &message, false, err));
    TRY(object_id(rq, &message, id, err));
    TRY(part_find(rq, &part, err));
    if (part.state == PART_OVER || part.round == 0) {
        reply_object(rq, NULL, NULL);
        return OK;
    }
    TRY(plan_open(rq, &part, &plan, err));
    const struct flower_object *found = find_chunk(rq->arena, &plan, id);
    if (!found) {
        make_tree(rq, &part, &plan, &tree);
        found = find_object(&tree, id);
    }
    reply_object(rq, &plan, found);
    return OK;
}
