/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a SuperNode sends: first the tree of its message's objects, then each object by itself, several at once, in any order. They lie
 * beside the participant's update until all are there; what has arrived need not come again. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "fleet/object.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECTS_MOST (4 * TENSORS_MOST)
#define OBJECT_MOST ((int64_t)32 << 20)
#define SMALL ((size_t)2 << 20) /* of an object that names others */
#define PIECE ((size_t)1 << 16)

/* Which objects the message has, the message itself first, and which of them are there: a file of these, and no more. */
struct entry_of_tree {
    uint8_t id[SHA256_SIZE];
    int64_t begin, end; /* of its bytes in its file; end 0: it is not there */
};
struct table {
    int fd; /* locked */
    struct entry_of_tree *items;
    size_t count;
};

static void table_close(struct table *table)
{
    lock_close(&table->fd);
}
#define auto_table __attribute__((cleanup(table_close)))

static const char *object_path(struct request *rq, const struct part *part, const uint8_t id[SHA256_SIZE])
{
    return arena_printf(rq->arena, "%s.%.*s", part->own, STR_ARG(hex_encode(rq->arena, id, SHA256_SIZE))).data;
}

/* Locked for a moment only: several requests of one message come at once. */
static enum status table_open(struct request *rq, const struct part *part, struct table *out, struct error *err)
{
    struct str path = arena_printf(rq->arena, "%s.tree", part->own);
    struct stat about;
    out->fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (out->fd < 0)
        return fail_errno(err, path.data);
    while (flock(out->fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return fail_errno(err, path.data);
    if (fstat(out->fd, &about) != 0)
        return fail_errno(err, path.data);
    out->count = (size_t)about.st_size / sizeof *out->items;
    out->items = arena_array(rq->arena, out->count + 1, sizeof *out->items);
    return out->count <= OBJECTS_MOST ? pread_full(out->fd, out->items, out->count * sizeof *out->items, 0, err) : OK;
}

static enum status table_write(struct table *table, struct error *err)
{
    if (ftruncate(table->fd, 0) != 0)
        return fail_errno(err, "table");
    return pwrite_full(table->fd, table->items, table->count * sizeof *table->items, 0, err);
}

static enum status table_empty(struct request *rq, const struct part *part, struct table *table, struct error *err)
{
    for (size_t i = 0; i < table->count; i++)
        unlink(object_path(rq, part, table->items[i].id));
    table->count = 0;
    return table_write(table, err);
}

static struct entry_of_tree *table_find(const struct table *table, const uint8_t id[SHA256_SIZE])
{
    for (size_t i = 0; i < table->count; i++)
        if (memcmp(table->items[i].id, id, SHA256_SIZE) == 0)
            return &table->items[i];
    return NULL;
}

/* The message. */

static enum status read_tree(struct request *rq, struct proto tree, int depth, struct table *out, struct error *err)
{
    struct proto_field field;
    struct proto child;
    struct str hex;
    uint8_t id[SHA256_SIZE];
    bool found;
    if (depth > 8)
        return fail(err, INVALID, NULL, "The tree of objects is too deep.");
    for (;;) {
        TRY(proto_next(&tree, &field, &found, err));
        if (!found)
            return OK;
        if (field.number == 1) {
            TRY(proto_text(&tree, &field, 2 * SHA256_SIZE, rq->arena, &hex, err));
            if (!hex_decode(hex, id, sizeof id))
                return fail(err, INVALID, NULL, "An object is named by 64 hex digits.");
            if (!table_find(out, id)) {
                if (out->count == OBJECTS_MOST)
                    return fail(err, INVALID, NULL, "The message has more than %d objects.", OBJECTS_MOST);
                memcpy(out->items[out->count++].id, id, sizeof id);
            }
        } else if (field.number == 2) {
            TRY(proto_inside(&tree, &field, &child, err));
            TRY(read_tree(rq, child, depth + 1, out, err));
        }
    }
}

struct reply_message {
    struct str to;    /* the id of the message that it answers */
    struct str error; /* given: the client failed */
};

static enum status read_text(struct request *rq, const struct proto *message, uint32_t number, struct str *out,
                             struct error *err)
{
    struct proto_field field;
    bool found;
    TRY(proto_find(message, number, &field, &found, err));
    return found ? proto_text(message, &field, 64 << 10, rq->arena, out, err) : OK;
}

static enum status read_message(struct request *rq, const struct proto *request, struct reply_message *out,
                                struct error *err)
{
    struct proto_field field;
    struct proto message, inner;
    bool found;
    TRY(proto_find(request, 2, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The request holds no message.");
    TRY(proto_inside(request, &field, &message, err));
    TRY(proto_find(&message, 1, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The message has no metadata.");
    TRY(proto_inside(&message, &field, &inner, err));
    TRY(read_text(rq, &inner, 5, &out->to, err));
    TRY(proto_find(&message, 3, &field, &found, err));
    if (!found)
        return OK;
    TRY(proto_inside(&message, &field, &inner, err));
    out->error = STR("it does not say why.");
    return read_text(rq, &inner, 2, &out->error, err);
}

static enum status must_train(struct request *rq, struct part *part, struct error *err)
{
    TRY(part_find(rq, part, err));
    if (part->state != PART_TRAINS)
        return fail(err, CONFLICT, "RoundOver", "This round takes no update from you any more.");
    return OK;
}

/* What of the tree has to be sent. A tree that is known already goes on where it was. */
static enum status begin_tree(struct request *rq, const struct part *part, const struct proto *request,
                              struct proto_out *out, struct error *err)
{
    auto_table struct table table = {.fd = -1};
    struct table sent = {.items = arena_array(rq->arena, OBJECTS_MOST, sizeof *sent.items)};
    struct proto_field field;
    struct proto tree;
    bool found;
    TRY(proto_find(request, 3, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The request holds no tree of objects.");
    TRY(proto_inside(request, &field, &tree, err));
    TRY(read_tree(rq, tree, 0, &sent, err));
    if (sent.count == 0)
        return fail(err, INVALID, NULL, "The tree holds no object.");
    TRY(table_open(rq, part, &table, err));
    if (table.count == 0 || memcmp(table.items[0].id, sent.items[0].id, SHA256_SIZE) != 0) {
        TRY(table_empty(rq, part, &table, err));
        table.items = sent.items;
        table.count = sent.count;
        TRY(table_write(&table, err));
    }
    proto_put_text(out, 4, STR("1")); /* a session, of which we keep none */
    for (size_t i = table.count; i-- > 0;)
        if (table.items[i].end == 0)
            proto_put_text(out, 3, hex_encode(rq->arena, table.items[i].id, SHA256_SIZE));
    return OK;
}

/* Counted, and nothing has to be sent: to the client all is well. */
static enum status take_failure(struct request *rq, const struct part *part, const struct plan *plan, struct str what,
                                struct error *err)
{
    auto_sent struct sent sent = {.to = -1};
    struct error why = {0};
    TRY(sent_begin(rq, part, plan, &sent, err));
    enum status status = sent_end(&sent, sent_failure(what, &why), &why, err);
    return status == UNPROCESSABLE ? OK : status;
}

/* POST …/push-messages */
enum status message_push(struct request *rq, struct error *err)
{
    struct proto request;
    struct part part;
    struct reply_message message = {0};
    auto_plan struct plan plan = {0};
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &request, err));
    TRY(node_check(rq, &request, false, err));
    TRY(read_message(rq, &request, &message, err));
    TRY(must_train(rq, &part, err));
    TRY(plan_open(rq, &part, &plan, err));
    if (!str_eq(message.to, fleet_message_id(rq, &part, &plan)))
        return fail(err, CONFLICT, "RoundOver", "This answers another round, or another run.");
    TRY(str_given(message.error) ? take_failure(rq, &part, &plan, message.error, err)
                                 : begin_tree(rq, &part, &request, &out, err));
    fleet_reply(rq, &out);
    return OK;
}

/* Putting together. */

struct gathering {
    struct request *rq;
    const struct part *part;
    const struct table *table;
    struct sent *sent;
    bool has_arrays;
};

static enum status find_entry(const struct gathering *g, struct str hex, const struct entry_of_tree **out,
                              struct error *err)
{
    uint8_t id[SHA256_SIZE];
    if (hex_decode(hex, id, sizeof id) && (*out = table_find(g->table, id)) != NULL)
        return OK;
    return fail(err, INVALID, NULL, "An object names one that is not in the message's tree.");
}

/* At most so many bytes of an object, and its head. */
static enum status load(const struct gathering *g, const struct entry_of_tree *entry, size_t most, const char *type,
                        struct object_head *head, struct str *body, struct error *err)
{
    const char *path = object_path(g->rq, g->part, entry->id);
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t size = entry->end - entry->begin;
    size_t len = (uint64_t)size < most ? (size_t)size : most;
    char *bytes = arena_alloc(g->rq->arena, len + 1);
    if (fd < 0)
        return fail_errno(err, path);
    TRY(pread_full(fd, bytes, len, entry->begin, err));
    TRY(object_read((struct str){bytes, len}, size, head, err));
    *body = str_slice((struct str){bytes, len}, head->head, len);
    if (type && !str_eq(head->type, str_of(type)))
        return fail(err, INVALID, NULL, "An object is none of the kind that its place wants.");
    return OK;
}

static enum status load_json(const struct gathering *g, const struct entry_of_tree *entry, const char *type,
                             struct object_head *head, json_t **out, struct error *err)
{
    struct str body;
    if (entry->end - entry->begin > (int64_t)SMALL)
        return fail(err, INVALID, NULL, "An object that names others is too long.");
    TRY(load(g, entry, SMALL, type, head, &body, err));
    TRY(json_read(body, SMALL, out, err));
    return json_is_object(*out) ? OK : fail(err, INVALID, NULL, "An object that names others is malformed.");
}

/* The chunks of an Array: its body says which of its children, in which order. */
static enum status gather_array(struct gathering *g, const struct entry_of_tree *entry, struct sent_array *out,
                                struct error *err)
{
    auto_json json_t *json = NULL;
    struct object_head head, chunk;
    struct str body;
    const struct entry_of_tree *found;
    TRY(load_json(g, entry, "Array", &head, &json, err));
    const json_t *places = json_object_get(json, "arraychunk_ids");
    size_t count = json_array_size(places), children = (head.children.len + 1) / (2 * SHA256_SIZE + 1);
    if (count > OBJECTS_MOST)
        return fail(err, INVALID, NULL, "An array has more than %d pieces.", OBJECTS_MOST);
    out->pieces = arena_array(g->rq->arena, count + 1, sizeof *out->pieces);
    for (; out->count < count; out->count++) {
        json_int_t place = json_integer_value(json_array_get(places, out->count));
        if (place < 0 || (uint64_t)place >= children)
            return fail(err, INVALID, NULL, "An array names a piece that it does not have.");
        TRY(find_entry(g, str_slice(head.children, (size_t)place * (2 * SHA256_SIZE + 1), 2 * SHA256_SIZE), &found,
                       err));
        TRY(load(g, found, 256, "ArrayChunk", &chunk, &body, err));
        out->pieces[out->count] = (struct sent_piece){.path = object_path(g->rq, g->part, found->id),
                                                      .at = found->begin + (int64_t)chunk.head,
                                                      .end = found->end};
    }
    return OK;
}

static enum status gather_arrays(struct gathering *g, const struct entry_of_tree *entry, struct error *err)
{
    auto_json json_t *json = NULL;
    struct object_head head;
    const struct entry_of_tree *found;
    const char *name;
    json_t *id;
    if (g->has_arrays)
        return fail(err, INVALID, NULL, "The message holds more than one record of arrays.");
    g->has_arrays = true;
    TRY(load_json(g, entry, "ArrayRecord", &head, &json, err));
    json_object_foreach(json, name, id)
    {
        struct sent_array array = {.name = str_of(name)};
        TRY(find_entry(g, str_of(json_string_value(id)), &found, err));
        TRY(gather_array(g, found, &array, err));
        TRY(sent_array(g->sent, &array, err));
    }
    return OK;
}

static enum status gather_record(struct gathering *g, const struct entry_of_tree *entry, struct error *err)
{
    struct object_head head;
    struct str body;
    struct proto_source source;
    TRY(load(g, entry, SMALL, NULL, &head, &body, err));
    if (str_eq(head.type, STR("ArrayRecord")))
        return gather_arrays(g, entry, err);
    if (!str_eq(head.type, STR("MetricRecord")))
        return OK;
    proto_source_memory(&source, body);
    struct proto record = proto_whole(&source);
    return sent_examples(&record, g->rq->arena, &g->sent->examples, err);
}

static enum status gather(struct gathering *g, struct error *err)
{
    auto_json json_t *json = NULL;
    struct object_head head;
    struct str body;
    const struct entry_of_tree *found;
    const char *name;
    json_t *id;
    TRY(load(g, &g->table->items[0], SMALL, "Message", &head, &body, err));
    TRY(find_entry(g, head.children, &found, err));
    TRY(load_json(g, found, "RecordDict", &head, &json, err));
    if (json_object_size(json) > 64)
        return fail(err, INVALID, NULL, "The message holds too many records.");
    json_object_foreach(json, name, id)
    {
        TRY(find_entry(g, str_of(json_string_value(id)), &found, err));
        TRY(gather_record(g, found, err));
    }
    return OK;
}

static enum status finish_tree(struct request *rq, const struct part *part, const struct plan *plan,
                               struct table *table, struct error *err)
{
    auto_sent struct sent sent = {.to = -1};
    struct gathering g = {rq, part, table, &sent, false};
    struct error why = {0}, later;
    TRY(sent_begin(rq, part, plan, &sent, err));
    enum status status = gather(&g, &why);
    if (status == INVALID || status == TOO_LARGE) /* objects that do not fit together are no update */
        status = UNPROCESSABLE;
    status = sent_end(&sent, status, &why, err);
    if (status == OK || status == UNPROCESSABLE)
        table_empty(rq, part, table, &later);
    return status;
}

/* Objects. */

/* A name for a file with what is being received. */
static const char *receiving_path(struct request *rq, const struct part *part)
{
    uint64_t number;
    random_bytes(&number, sizeof number);
    return arena_printf(rq->arena, "%s.%016llx.new", part->own, (unsigned long long)number).data;
}

static enum status check_digest(int fd, const struct proto_field *content, const uint8_t id[SHA256_SIZE],
                                struct error *err)
{
    auto_buf struct buf room = {0};
    uint8_t digest[SHA256_SIZE];
    enum status status = OK;
    struct hasher *hasher = hasher_sha256();
    buf_reserve(&room, PIECE);
    for (int64_t at = content->begin; status == OK && at < content->end;) {
        int64_t left = content->end - at;
        size_t len = (uint64_t)left < PIECE ? (size_t)left : PIECE;
        status = pread_full(fd, room.data, len, at, err);
        hasher_add(hasher, room.data, len);
        at += (int64_t)len;
    }
    hasher_end(hasher, digest);
    hasher_free(hasher);
    TRY(status);
    return memcmp(digest, id, SHA256_SIZE) == 0
               ? OK
               : fail(err, INVALID, "DigestMismatch", "The object's bytes do not have the SHA-256 that names it.");
}

/* In the table from now on; the last one ends the message. */
static enum status keep(struct request *rq, const struct part *part, const struct plan *plan, const char *path,
                        const uint8_t id[SHA256_SIZE], const struct proto_field *content, struct error *err)
{
    auto_table struct table table = {.fd = -1};
    int64_t total = content->end - content->begin;
    size_t missing = 0;
    TRY(table_open(rq, part, &table, err));
    struct entry_of_tree *entry = table_find(&table, id);
    if (!entry)
        return fail(err, NOT_FOUND, "UnknownObject", "No message that is being sent has this object.");
    for (size_t i = 0; i < table.count; i++)
        total += table.items[i].end - table.items[i].begin;
    if (entry->end == 0 && total > sent_most(plan))
        return fail(err, TOO_LARGE, NULL, "The message is longer than %lld bytes, which no update of this model is.",
                    (long long)sent_most(plan));
    const char *to = object_path(rq, part, id);
    if (rename(path, to) != 0)
        return fail_errno(err, to);
    entry->begin = content->begin;
    entry->end = content->end;
    TRY(table_write(&table, err));
    for (size_t i = 0; i < table.count; i++)
        missing += table.items[i].end == 0;
    return missing ? OK : finish_tree(rq, part, plan, &table, err);
}

static enum status read_object(struct request *rq, int fd, int64_t size, uint8_t id[SHA256_SIZE],
                               struct proto_field *content, struct error *err)
{
    struct proto_source source;
    bool found;
    proto_source_file(&source, fd, size);
    struct proto request = proto_whole(&source);
    TRY(node_check(rq, &request, false, err));
    TRY(object_id(rq, &request, id, err));
    TRY(proto_find(&request, 4, content, &found, err));
    if (!found || content->wire != PROTO_BYTES || content->end == content->begin)
        return fail(err, INVALID, NULL, "The request holds no object.");
    return check_digest(fd, content, id, err);
}

/* POST …/push-object */
enum status object_push(struct request *rq, struct error *err)
{
    struct part part;
    struct proto_field content;
    uint8_t id[SHA256_SIZE];
    int64_t size;
    auto_fd int fd = -1;
    auto_plan struct plan plan = {0};
    auto_proto struct proto_out out = {0};
    TRY(fleet_admit(rq, err));
    TRY(must_train(rq, &part, err));
    TRY(plan_open(rq, &part, &plan, err));
    const char *path = receiving_path(rq, &part);
    TRY(part_receive(rq, path, OBJECT_MOST, &fd, &size, err));
    enum status status = read_object(rq, fd, size, id, &content, err);
    if (status == OK)
        status = keep(rq, &part, &plan, path, id, &content, err);
    unlink(path); /* where it was not kept */
    TRY(status);
    proto_put(&out, 1, 1);
    fleet_reply(rq, &out);
    return OK;
}
