/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Fleet API of Flower 1.8: a task holds all arrays, and so does its result. */
#include "base/file.h"
#include "base/time.h"
#include "fleet/internal.h"
#include <unistd.h>

/* POST …/create-node */
enum status node_create(struct request *rq, struct error *err)
{
    struct proto message;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    proto_put_signed(&out, 1, (int64_t)node_number(rq));
    proto_close(&out, 1, 0);
    fleet_reply(rq, &out);
    return OK;
}

/* POST …/ping */
enum status node_ping(struct request *rq, struct error *err)
{
    return node_heartbeat(rq, err);
}

/* POST …/delete-node: who sleeps for a round is not waited for in the next; more there is not to forget. */
enum status node_delete(struct request *rq, struct error *err)
{
    return node_leave(rq, err);
}

/* Tasks. */

static struct str task_id(struct request *rq, const struct part *part)
{
    return arena_printf(rq->arena, "%.*s-%lld", STR_ARG(part->run), (long long)part->round);
}

/* All of a task but its records, which stand before the mark. */
static void close_task(struct request *rq, const struct part *part, const char *type, double created,
                       struct proto_out *out)
{
    proto_close(out, 9, 0);
    proto_put_text(out, 8, str_of(type));
    proto_put_double(out, 6, 10 * 365.25 * 86400);
    proto_put_double(out, 3, created);
    int64_t consumer = proto_mark(out);
    proto_put_signed(out, 1, (int64_t)node_number(rq));
    proto_close(out, 2, consumer);
    int64_t producer = proto_mark(out);
    proto_put(out, 2, 1);
    proto_close(out, 1, producer);
    proto_close(out, 4, 0);
    proto_put_signed(out, 3, (int64_t)run_number(part));
    proto_put_text(out, 2, arena_printf(rq->arena, "%lld", (long long)part->round));
    proto_put_text(out, 1, task_id(rq, part));
    proto_close(out, 2, 0);
}

static void put_array(const struct tensor *tensor, uint32_t hole, struct proto_out *out)
{
    auto_buf struct buf head = {0};
    int64_t array = proto_mark(out), data = array;
    npy_write(tensor, &head);
    proto_hole(out, hole, tensor->end - tensor->begin);
    proto_raw(out, buf_view(&head));
    proto_close(out, 4, data);
    proto_put_text(out, 3, STR("numpy.ndarray"));
    int64_t shape = proto_mark(out);
    for (uint32_t i = tensor->dimensions; i-- > 0;)
        proto_number(out, (uint64_t)tensor->shape[i]);
    proto_close(out, 2, shape);
    proto_put_text(out, 1, STR("float32"));
    proto_close(out, 2, array);
}

/* What a strategy's fit() gives: "fitins.config" and "fitins.parameters". */
static void put_fit(const struct part *part, const struct plan *plan, struct proto_out *out)
{
    int64_t configs = proto_mark(out), config = configs;
    plan_config(part, out);
    proto_close(out, 2, config);
    proto_put_text(out, 1, STR("fitins.config"));
    proto_close(out, 3, configs);
    int64_t records = proto_mark(out), record = records;
    for (size_t i = plan->count; i-- > 0;)
        put_array(&plan->tensors[i].tensor, (uint32_t)i, out);
    for (size_t i = plan->count; i-- > 0;)
        proto_put_text(out, 1, plan->tensors[i].tensor.name);
    proto_close(out, 2, record);
    proto_put_text(out, 1, STR("fitins.parameters"));
    proto_close(out, 1, records);
}

static enum status reply_task(struct request *rq, const struct part *part, struct error *err)
{
    auto_plan struct plan plan = {0};
    auto_proto struct proto_out out = {0};
    TRY(plan_open(rq, part, &plan, err));
    struct fleet_range *ranges = arena_array(rq->arena, plan.count + 1, sizeof *ranges);
    for (size_t i = 0; i < plan.count; i++)
        ranges[i] = (struct fleet_range){plan.tensors[i].tensor.begin,
                                         plan.tensors[i].tensor.end - plan.tensors[i].tensor.begin};
    put_fit(part, &plan, &out);
    close_task(rq, part, "train", plan.created, &out);
    plan_reply(rq, &plan, &out, ranges);
    return OK;
}

/* After a "reconnect" in no seconds at all a client leaves. */
static void reply_end(struct request *rq, const struct part *part)
{
    auto_proto struct proto_out out = {0};
    proto_put_signed(&out, 2, 0);
    proto_close(&out, 2, 0);
    proto_put_text(&out, 1, STR("seconds"));
    proto_close(&out, 1, 0);
    proto_close(&out, 2, 0);
    proto_put_text(&out, 1, STR("config"));
    proto_close(&out, 3, 0);
    close_task(rq, part, "reconnect", (double)now_us() / 1e6 - 1, &out);
    fleet_reply(rq, &out);
}

/* POST …/pull-task-ins */
enum status task_pull(struct request *rq, struct error *err)
{
    struct proto message;
    struct part part;
    auto_proto struct proto_out nothing = {0};
    TRY(fleet_message(rq, &message, err));
    TRY(node_check(rq, &message, true, err));
    TRY(part_find(rq, &part, err));
    if (part.state == PART_TRAINS)
        return reply_task(rq, &part, err);
    if (part.state == PART_OVER)
        reply_end(rq, &part);
    else
        fleet_reply(rq, &nothing);
    return OK;
}

/* Results. */

struct result {
    struct str of;    /* the task's id */
    struct str type;  /* of the task */
    struct str error; /* given: the client failed, with these words */
    struct proto records;
};

static enum status read_task(struct request *rq, struct proto task, struct result *out, struct error *err)
{
    struct proto_field field, reason;
    bool found;
    for (;;) {
        struct proto inner;
        TRY(proto_next(&task, &field, &found, err));
        if (!found)
            return OK;
        if (field.number == 7)
            TRY(proto_text(&task, &field, 100, rq->arena, &out->of, err));
        if (field.number == 8)
            TRY(proto_text(&task, &field, 100, rq->arena, &out->type, err));
        if (field.number == 9)
            TRY(proto_inside(&task, &field, &out->records, err));
        if (field.number == 10) {
            TRY(proto_inside(&task, &field, &inner, err));
            TRY(proto_find(&inner, 2, &reason, &found, err));
            out->error = STR("it does not say why.");
            if (found)
                TRY(proto_text(&inner, &reason, 64 << 10, rq->arena, &out->error, err));
        }
    }
}

/* A PushTaskResRequest of one result. */
static enum status read_result(struct request *rq, struct proto message, struct result *out, struct error *err)
{
    struct proto_field field;
    struct proto result, task;
    bool found;
    TRY(proto_find(&message, 1, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The message holds no result.");
    TRY(proto_inside(&message, &field, &result, err));
    TRY(proto_find(&result, 4, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The result holds no task.");
    TRY(proto_inside(&result, &field, &task, err));
    return read_task(rq, task, out, err);
}

static enum status read_array(const struct proto *record, const struct proto_field *field, int fd,
                              struct sent_array *out, struct arena *arena, struct error *err)
{
    struct proto array;
    struct proto_field data;
    bool found;
    TRY(proto_inside(record, field, &array, err));
    TRY(proto_find(&array, 4, &data, &found, err));
    out->count = found && data.wire == PROTO_BYTES;
    out->pieces = arena_alloc(arena, sizeof *out->pieces);
    *out->pieces = (struct sent_piece){.fd = fd, .at = data.begin, .end = data.end};
    return OK;
}

/* A ParametersRecord: first all keys, then all arrays. */
static enum status read_arrays(struct request *rq, struct proto record, int fd, struct sent *out, struct error *err)
{
    struct proto_field field;
    size_t names = 0;
    bool found;
    if (out->arrays)
        return fail(err, INVALID, NULL, "The result holds more than one record of arrays.");
    out->arrays = arena_array(rq->arena, TENSORS_MOST, sizeof *out->arrays);
    for (;;) {
        TRY(proto_next(&record, &field, &found, err));
        if (!found)
            return OK;
        if ((field.number == 1 ? names : out->count) == TENSORS_MOST)
            return fail(err, INVALID, NULL, "The result holds more than %d arrays.", TENSORS_MOST);
        if (field.number == 1)
            TRY(proto_text(&record, &field, 1024, rq->arena, &out->arrays[names++].name, err));
        if (field.number == 2)
            TRY(read_array(&record, &field, fd, &out->arrays[out->count++], rq->arena, err));
    }
}

/* A RecordSet, whose entries are { key, record }. */
static enum status read_records(struct request *rq, struct proto records, int fd, struct sent *out, struct error *err)
{
    struct proto_field field, value;
    struct proto entry, record;
    bool found;
    for (;;) {
        TRY(proto_next(&records, &field, &found, err));
        if (!found)
            return OK;
        TRY(proto_inside(&records, &field, &entry, err));
        TRY(proto_find(&entry, 2, &value, &found, err));
        if (!found)
            continue;
        TRY(proto_inside(&entry, &value, &record, err));
        if (field.number == 1)
            TRY(read_arrays(rq, record, fd, out, err));
        if (field.number == 2)
            TRY(sent_examples(&record, rq->arena, &out->examples, err));
    }
}

static enum status take_result(struct request *rq, const struct part *part, const struct plan *plan,
                               const struct proto *message, int fd, struct error *err)
{
    struct result result = {0};
    struct sent sent = {0};
    TRY(read_result(rq, *message, &result, err));
    if (!str_eq(result.of, task_id(rq, part)))
        return fail(err, CONFLICT, "RoundOver", "This is the result of another round, or of another run.");
    if (str_given(result.error))
        return sent_failure(rq, part, result.error, err);
    if (result.records.source)
        TRY(read_records(rq, result.records, fd, &sent, err));
    return sent_take(rq, part, plan, &sent, err);
}

/* Clients say good-bye with a result: of a run that is over nothing else comes. */
static enum status good_bye(struct request *rq, struct error *err)
{
    struct str body;
    struct proto_source source;
    struct result result = {0};
    TRY(request_body(rq, MESSAGE_MOST, &body, err));
    proto_source_memory(&source, body);
    TRY(read_result(rq, proto_whole(&source), &result, err));
    if (str_eq(result.type, STR("reconnect")))
        return OK;
    return fail(err, CONFLICT, "RunIsOver", "This federated training is over.");
}

static enum status receive_result(struct request *rq, const struct part *part, struct error *err)
{
    auto_plan struct plan plan = {0};
    auto_fd int fd = -1;
    struct proto_source source;
    int64_t size;
    TRY(plan_open(rq, part, &plan, err));
    const char *path = sent_path(rq, part);
    TRY(part_receive(rq, path, sent_most(&plan), &fd, &size, err));
    unlink(path); /* its bytes stay until it is closed */
    proto_source_file(&source, fd, size);
    struct proto message = proto_whole(&source);
    return take_result(rq, part, &plan, &message, fd, err);
}

/* POST …/push-task-res */
enum status result_push(struct request *rq, struct error *err)
{
    struct part part;
    auto_proto struct proto_out out = {0};
    TRY(fleet_admit(rq, err));
    TRY(part_find(rq, &part, err));
    if (part.state == PART_WAITS)
        return fail(err, CONFLICT, "RoundOver", "This round takes no update from you any more.");
    TRY(part.state == PART_OVER ? good_bye(rq, err) : receive_result(rq, &part, err));
    fleet_reply(rq, &out);
    return OK;
}
