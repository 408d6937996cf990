/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Fleet API of Flower 1.8: a task holds all arrays, and so does its result. */
#include "base/time.h"
#include "fleet/internal.h"

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

/* Results. They are walked while they arrive. */

struct result {
    struct request *rq;
    struct sent *sent; /* NULL: nothing but a good-bye is expected */
    struct str of;     /* the task's id, as it should be */
    bool names_it;     /* and is */
    bool is_goodbye;
    bool has_arrays;
};

static enum status read_array(struct result *result, const struct proto *record, const struct proto_field *field,
                              struct str name, struct error *err)
{
    struct proto array;
    struct proto_field data;
    bool found;
    TRY(proto_inside(record, field, &array, err));
    TRY(proto_find(&array, 4, &data, &found, err));
    struct sent_piece piece = {.source = record->source, .at = data.begin, .end = data.end};
    const struct sent_array sent = {name, &piece, found && data.wire == PROTO_BYTES};
    return sent_array(result->sent, &sent, err);
}

/* A ParametersRecord: first all keys, then all arrays. */
static enum status read_arrays(struct result *result, struct proto record, struct error *err)
{
    struct proto_field field;
    size_t names = 0, arrays = 0;
    bool found;
    if (result->has_arrays)
        return fail(err, INVALID, NULL, "The result holds more than one record of arrays.");
    result->has_arrays = true;
    struct str *name = arena_array(result->rq->arena, TENSORS_MOST, sizeof *name);
    for (;;) {
        TRY(proto_next(&record, &field, &found, err));
        if (!found)
            return OK;
        if (field.number == 1 && names == TENSORS_MOST)
            return fail(err, INVALID, NULL, "The result holds more than %d arrays.", TENSORS_MOST);
        if (field.number == 1)
            TRY(proto_text(&record, &field, 1024, result->rq->arena, &name[names++], err));
        if (field.number == 2 && arrays == names)
            return fail(err, INVALID, NULL, "The result holds more arrays than names.");
        if (field.number == 2)
            TRY(read_array(result, &record, &field, name[arrays++], err));
    }
}

/* A RecordSet, whose entries are { key, record }. */
static enum status read_records(struct result *result, struct proto records, struct error *err)
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
            TRY(read_arrays(result, record, err));
        if (field.number == 2)
            TRY(sent_examples(&record, result->rq->arena, &result->sent->examples, err));
    }
}

static enum status read_error(struct result *result, struct proto problem, struct error *err)
{
    struct proto_field field;
    struct str reason = STR("it does not say why.");
    bool found;
    TRY(proto_find(&problem, 2, &field, &found, err));
    if (found)
        TRY(proto_text(&problem, &field, 64 << 10, result->rq->arena, &reason, err));
    return sent_failure(reason, err);
}

/* What it belongs to stands before what it is. */
static enum status must_name(const struct result *result, struct error *err)
{
    if (!result->sent)
        return fail(err, CONFLICT, "RunIsOver", "This federated training is over.");
    if (!result->names_it)
        return fail(err, CONFLICT, "RoundOver", "This is the result of another round, or of another run.");
    return OK;
}

static enum status read_field(struct result *result, const struct proto *task, const struct proto_field *field,
                              struct error *err)
{
    struct proto inner;
    struct str text;
    if (field->number == 7 || field->number == 8) {
        TRY(proto_text(task, field, 100, result->rq->arena, &text, err));
        result->names_it |= field->number == 7 && str_eq(text, result->of);
        result->is_goodbye |= field->number == 8 && str_eq(text, STR("reconnect"));
        return OK;
    }
    if ((field->number != 9 && field->number != 10) || (!result->sent && result->is_goodbye))
        return OK;
    TRY(must_name(result, err));
    TRY(proto_inside(task, field, &inner, err));
    return field->number == 9 ? read_records(result, inner, err) : read_error(result, inner, err);
}

/* A PushTaskResRequest of one result. */
static enum status read_result(struct result *result, const struct proto *message, struct error *err)
{
    struct proto_field field;
    struct proto inner, task;
    bool found;
    TRY(proto_find(message, 1, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The message holds no result.");
    TRY(proto_inside(message, &field, &inner, err));
    TRY(proto_find(&inner, 4, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The result holds no task.");
    TRY(proto_inside(&inner, &field, &task, err));
    for (;;) {
        TRY(proto_next(&task, &field, &found, err));
        if (!found)
            return result->is_goodbye ? OK : must_name(result, err);
        TRY(read_field(result, &task, &field, err));
    }
}

static enum status read_body(void *context, void *into, size_t most, size_t *got, struct error *err)
{
    struct request *rq = context;
    return body_read(rq->http, into, most, got, err);
}

/* What is left of a body that nobody wants: the client sends it to its end before it listens. */
static void drop_body(struct request *rq)
{
    char room[4096];
    struct error none;
    size_t got = 1;
    while (got > 0 && body_read(rq->http, room, sizeof room, &got, &none) == OK)
        continue;
}

static enum status check_length(struct request *rq, int64_t most, struct error *err)
{
    if (rq->http->content_length < 0)
        return fail(err, INVALID, NULL, "The request must say how long it is.");
    if (rq->http->content_length > most)
        return fail(err, TOO_LARGE, NULL, "The message is longer than %lld bytes, which no update of this model is.",
                    (long long)most);
    return OK;
}

/* Clients say good-bye with a result: of a run that is over nothing else comes. */
static enum status good_bye(struct request *rq, struct error *err)
{
    struct str body;
    struct proto_source source;
    struct result result = {.rq = rq};
    TRY(request_body(rq, MESSAGE_MOST, &body, err));
    proto_source_memory(&source, body);
    struct proto message = proto_whole(&source);
    return read_result(&result, &message, err);
}

static enum status receive_result(struct request *rq, const struct part *part, struct error *err)
{
    auto_plan struct plan plan = {0};
    auto_sent struct sent sent = {.to = -1};
    struct proto_source source;
    struct result result = {.rq = rq, .sent = &sent, .of = task_id(rq, part)};
    struct error why = {0};
    TRY(plan_open(rq, part, &plan, err));
    TRY(check_length(rq, sent_most(&plan), err));
    TRY(sent_begin(rq, part, &plan, &sent, err));
    request_done_reading(rq);
    proto_source_stream(&source, read_body, rq, rq->http->content_length);
    struct proto message = proto_whole(&source);
    enum status status = read_result(&result, &message, &why);
    if (status != TIMED_OUT && status != UNAVAILABLE)
        drop_body(rq);
    return status == OK && result.is_goodbye ? OK : sent_end(&sent, status, &why, err);
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
