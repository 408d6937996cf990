/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/part.h"
#include "federate/internal.h"
#include "scan/worker.h"
#include <fcntl.h>
#include <unistd.h>

static enum status join_if_new(struct request *rq, struct place *place, struct error *err)
{
    TRY(participant_find(rq->db, place->run.id, rq->actor.account.id, &place->who, err));
    if (place->who.joined)
        return OK;
    request_done_reading(rq);
    TRY(run_join_as(rq, &place->run, err));
    return request_read(rq, err);
}

static bool has_tried(const struct update *before)
{
    return before->state == UPDATE_ACCEPTED || (before->state == UPDATE_REJECTED && before->tries >= TRIES_MOST);
}

enum status part_find(struct request *rq, struct part *out, struct error *err)
{
    struct place *place = arena_alloc(rq->arena, sizeof *place);
    const struct run *run = &place->run;
    *out = (struct part){.state = PART_WAITS, .place = place};
    TRY(request_read(rq, err));
    enum status found = run_of_repo(rq->db, rq->arena, rq->repo.id, &place->run, err);
    if (found == NOT_FOUND)
        return OK;
    TRY(found);
    if (run->settings.mode != &plain_mode || run->settings.scaffold)
        return fail(
            err, CONFLICT, "OtherMode",
            "Federated training of this repo wants more than a model: its participants need Cairn's own client.");
    out->run = run->public_id;
    out->round = run->round;
    if (run->state != RUN_OPEN) {
        out->state = PART_OVER;
        return OK;
    }
    place->from = place->run;
    TRY(join_if_new(rq, place, err));
    TRY(update_find(rq->db, run, rq->actor.account.id, &place->before, err));
    if (!run->frozen_us && !has_tried(&place->before) && !place_was_taken(place))
        out->state = PART_TRAINS;
    out->rounds = run->settings.rounds;
    out->bound = run->settings.bound;
    out->mu = run->settings.mu;
    out->base = run->base;
    update_path(rq->hub->federate, run, rq->actor.account.id, place->path);
    memcpy(out->own, place->path, sizeof out->own);
    update_path(rq->hub->federate, run, 0, out->model);
    return OK;
}

enum status part_model(struct request *rq, const struct part *part, struct part_model *out, struct error *err)
{
    const struct place *place = part->place;
    auto_model struct model model = {0};
    request_done_reading(rq);
    TRY(model_open(rq->hub, rq->arena, &place->run, false, &model, err));
    *out = (struct part_model){model.fd, model.data_at, model.size, arena_copy(rq->arena, buf_view(&model.head))};
    model.fd = -1; /* the caller's now */
    return OK;
}

enum status part_tensors(struct request *rq, const struct part_model *model, struct tensor_list *out, struct error *err)
{
    return scan_tensors(str_from(model->head, 8), rq->arena, out, NULL, err);
}

enum status part_file(struct request *rq, const struct part *part, int *out, struct error *err)
{
    auto_lock int fd = -1;
    TRY(update_open(part->own, &fd, err));
    TRY(update_check_not_taken(rq, part->place, err));
    *out = fd;
    fd = -1;
    return OK;
}

enum status part_receive(struct request *rq, const char *path, int64_t limit, int *out, int64_t *size,
                         struct error *err)
{
    request_done_reading(rq);
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, path);
    enum status status = update_receive(rq, fd, 0, limit, NULL, size, err);
    if (status != OK) {
        unlink(path);
        return status;
    }
    *out = fd;
    fd = -1;
    return OK;
}

enum status part_finish(struct request *rq, const struct part *part, int fd, int64_t examples,
                        const struct sighting *seen, const struct error *refused, struct error *err)
{
    const struct place *place = part->place;
    struct finishing finishing = {
        .place = place,
        .update = {.account_id = rq->actor.account.id, .examples = examples, .based = place->from.round},
        .locked = fd,
        .seen = seen,
        .refused = refused};
    request_done_reading(rq);
    return update_take(rq, &finishing, err);
}
