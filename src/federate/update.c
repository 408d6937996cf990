/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Updates as they come in: pieces that go on where the last one ended, and the word that this was all. */
#include "federate/internal.h"
#include <blake3.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define IN_PIECE                                                                                                       \
    ((size_t)128 << 10) /* so small that malloc() has it at hand: memory that is new costs more than its bytes */
#define OUT_PIECE ((size_t)4 << 20)
#define HEADER_ROOM (1 << 20) /* bytes by which an update may be longer than the model: its header may say more */

/* A buffer takes updates that were trained from older models, too, and waits for none of them. */
static enum status check_round(const struct place *place, int64_t round, struct error *err)
{
    const struct run *run = &place->run;
    bool buffers = run->settings.buffers;
    int64_t oldest = buffers && run->round > STALENESS_MOST ? run->round - STALENESS_MOST : buffers ? 1 : run->round;
    if (run->state == RUN_OPEN && round <= run->round && round >= oldest && (buffers || !run->frozen_us) &&
        (!buffers || round >= place->who.based))
        return OK;
    return fail(err, CONFLICT, "RoundOver", "Round %lld takes no updates any more.", (long long)round);
}

static enum status find_place(struct request *rq, int64_t round, struct place *out, struct error *err)
{
    TRY(request_read(rq, err));
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &out->run, err));
    TRY(participant_find(rq->db, out->run.id, rq->actor.account.id, &out->who, err));
    if (!out->who.joined)
        return fail(err, FORBIDDEN, "NotJoined", "Join this federated training first.");
    if (out->who.removed)
        return fail(err, FORBIDDEN, "Removed", "You were removed from this federated training.");
    TRY(check_round(out, round, err));
    TRY(run_as_of(rq->db, &out->run, round, &out->from, err));
    TRY(update_find(rq->db, &out->run, rq->actor.account.id, &out->before, err));
    if (out->before.state == UPDATE_REJECTED && out->before.tries >= TRIES_MOST)
        return fail(err, FORBIDDEN, "TooManyTries",
                    "%d of your updates were rejected in this round: wait for the next one.", TRIES_MOST);
    update_path(rq->hub->federate, &out->from, rq->actor.account.id, out->path);
    return OK;
}

/* One that was made of the same model was accepted. */
bool place_was_taken(const struct place *place)
{
    return place->who.based == place->from.round;
}

static enum status refuse_taken(struct error *err)
{
    return fail(err, CONFLICT, "RoundOver", "Your update of this round has been accepted already.");
}

/* One request at a time writes to an update. */
enum status update_open(const char *path, int *out, struct error *err)
{
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) /* its folder went with the run, since it was looked up */
        return fail(err, CONFLICT, "RoundOver", "The training is over: it takes no updates any more.");
    if (fd < 0)
        return fail_errno(err, path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail(err, UNAVAILABLE, "UploadInProgress", "Another request is busy with this update: ask again.");
    *out = fd;
    fd = -1;
    return OK;
}

enum status update_receive(struct request *rq, int fd, int64_t at, int64_t limit, struct sight *sight, int64_t *end,
                           struct error *err)
{
    auto_buf struct buf piece = {0};
    buf_reserve(&piece, IN_PIECE);
    for (size_t got = 1; got > 0; at += (int64_t)got) {
        TRY(body_read(rq->http, piece.data, IN_PIECE, &got, err));
        if (at + (int64_t)got > limit)
            return fail(err, TOO_LARGE, NULL, "The update is longer than %lld bytes, which no update of this model is.",
                        (long long)limit);
        if (sight)
            TRY(sight_add(sight, piece.data, got, err));
        TRY(pwrite_full(fd, piece.data, got, at, err));
    }
    *end = at;
    return OK;
}

static enum status query_number(struct request *rq, const char *name, int64_t *out, struct error *err)
{
    if (str_to_i64(request_query(rq, name, 0), out))
        return OK;
    return fail(err, INVALID, NULL, "The address must say \"%s\", a whole number.", name);
}

static void reply_number(struct request *rq, const char *name, int64_t value)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, name, value);
    jw_end(&w);
    request_reply_json(rq, &body);
}

enum status update_check_not_taken(struct request *rq, struct place *place, struct error *err)
{
    TRY(request_read(rq, err));
    TRY(update_find(rq->db, &place->run, rq->actor.account.id, &place->before, err));
    TRY(participant_find(rq->db, place->run.id, rq->actor.account.id, &place->who, err));
    TRY(run_check_files(rq->hub->federate, rq->db, &place->run, err));
    request_done_reading(rq);
    return place_was_taken(place) ? refuse_taken(err) : OK;
}

/* The end. */

static enum status store_result(struct db_conn *tx, void *context, struct error *err)
{
    struct finishing *finishing = context;
    const struct run *run = &finishing->place->run;
    TRY(update_store(tx, run, &finishing->update, err));
    if (run->settings.mode->store && finishing->update.state == UPDATE_ACCEPTED)
        TRY(run->settings.mode->store(tx, run, &finishing->update, err));
    return round_freeze_if_due(tx, finishing->place->run.id, now_us(), err);
}

/* Where malloc() puts a large block, 16 bytes into a page, copies out of the page cache are six times slower on some processors. */
#define LINE ((size_t)64)

static enum status digest_file(int fd, uint8_t out[BLAKE3_SIZE], struct error *err)
{
    auto_buf struct buf room = {0};
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    buf_reserve(&room, PIECE + LINE);
    char *piece = room.data + LINE - (uintptr_t)room.data % LINE;
    size_t got = PIECE;
    for (int64_t at = 0; got == PIECE; at += (int64_t)got) {
        TRY(pread_most(fd, piece, PIECE, at, &got, err));
        blake3_hasher_update(&hasher, piece, got);
    }
    blake3_hasher_finalize(&hasher, out, BLAKE3_SIZE);
    return OK;
}

static enum status check_digest(int fd, struct finishing *finishing, struct error *err)
{
    uint8_t digest[BLAKE3_SIZE];
    if (finishing->seen)
        memcpy(digest, finishing->seen->digest, BLAKE3_SIZE);
    else
        TRY(digest_file(fd, digest, err));
    if (finishing->claims_digest && memcmp(digest, finishing->update.digest, BLAKE3_SIZE) != 0)
        return fail(err, INVALID, "DigestMismatch",
                    "The bytes that arrived do not have that BLAKE3: send them again, from the start.");
    memcpy(finishing->update.digest, digest, BLAKE3_SIZE);
    return OK;
}

static enum status check_update(struct request *rq, int fd, struct finishing *finishing, struct error *err)
{
    const struct place *place = finishing->place;
    const struct settings *settings = &place->run.settings;
    struct update *update = &finishing->update;
    auto_model struct model model = {0};
    if (settings->mode->accept)
        return settings->mode->accept(rq, &place->run, fd, finishing->body, update, err);
    if (finishing->seen) {
        update->data_at = finishing->seen->data_at;
        update->norm = finishing->seen->norm;
        return update_check_norm(settings, update->norm, err);
    }
    TRY(model_open(rq->hub, rq->arena, &place->from, false, &model, err));
    return update_check(&model, fd, place->path, settings, update, err);
}

/* The bytes are on disk before anything says that they were accepted. *lock: the update's, until that is said. */
static enum status check_bytes(struct request *rq, struct finishing *finishing, int *lock, struct error *err)
{
    const char *path = finishing->place->path;
    if (finishing->locked < 0)
        TRY(update_open(path, lock, err));
    int fd = finishing->locked < 0 ? *lock : finishing->locked;
    TRY(check_digest(fd, finishing, err));
    TRY(check_update(rq, fd, finishing, err));
    return fdatasync(fd) == 0 ? OK : fail_errno(err, path);
}

enum status update_take(struct request *rq, struct finishing *finishing, struct error *err)
{
    const struct error *refused = finishing->refused;
    struct error why = {0};
    auto_lock int lock = -1;
    enum status status = refused ? fail(&why, UNPROCESSABLE, "UpdateRejected", "%s", refused->message)
                                 : check_bytes(rq, finishing, &lock, &why);
    if (status == INVALID || (status == UNPROCESSABLE && error_is(&why, "UpdateRejected")))
        unlink(finishing->place->path);
    if (status != OK && !error_is(&why, "UpdateRejected")) {
        *err = why;
        return status;
    }
    finishing->update.state = status == OK ? UPDATE_ACCEPTED : UPDATE_REJECTED;
    finishing->update.tries = finishing->place->before.tries + 1;
    TRY(db_write(rq->hub->db, store_result, finishing, err));
    lock_close(&lock);
    /* A refusal may be what the round has waited for. Who sent it need not know how the round ends. */
    struct error later = {0};
    round_close(rq->hub, finishing->place->run.id, &later);
    if (status != OK)
        *err = why;
    return status;
}

/* digest: absent when nothing is said of the bytes. */
static enum status check_ending(int64_t examples, struct str digest, struct finishing *finishing, struct error *err)
{
    finishing->update.examples = examples;
    finishing->claims_digest = str_given(digest);
    if (examples < 1 || examples > EXAMPLES_MOST)
        return fail(err, INVALID, NULL, "\"examples\" must be a whole number from 1 to %lld.",
                    (long long)EXAMPLES_MOST);
    if (finishing->claims_digest && !hex_decode(digest, finishing->update.digest, BLAKE3_SIZE))
        return fail(err, INVALID, NULL, "\"blake3\" must be 64 hex digits.");
    return OK;
}

/* A buffer that is full, or has one of the participant already: the next one may take it. */
static bool must_wait(const struct place *place)
{
    return place->run.settings.buffers && (place->run.frozen_us || place->before.state == UPDATE_ACCEPTED);
}

/* POST /api/{api}/federate/update: {"round": n, "examples": n, "blake3": hex of all bytes that were sent} */
enum status update_finish(struct request *rq, struct error *err)
{
    struct place place;
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    struct finishing finishing = {.place = &place, .body = body, .locked = -1};
    struct update *update = &finishing.update;
    update->account_id = rq->actor.account.id;
    struct str digest = json_get_str(body, "blake3");
    TRY(check_ending(json_get_int(body, "examples", -1), str_given(digest) ? digest : STR(""), &finishing, err));
    TRY(find_place(rq, json_get_int(body, "round", -1), &place, err));
    request_done_reading(rq);
    update->based = place.from.round;
    if (place_was_taken(&place)) { /* is it asked for again, as the answer was lost? */
        if (memcmp(place.who.taken, update->digest, BLAKE3_SIZE) != 0)
            return fail(err, CONFLICT, "RoundOver", "Another update of yours has been accepted in this round.");
    } else if (must_wait(&place)) {
        return not_yet(err);
    } else {
        TRY(update_take(rq, &finishing, err));
    }
    request_reply_empty(rq);
    return OK;
}

/* The pieces. */

struct putting {
    struct place place;
    int64_t round, offset, most, end; /* offset to end: what came; most: bytes of an update */
    bool is_last;                     /* the address says so, by what POST says in its body */
    struct finishing finishing;
    struct sight *sight;
};

static enum status put_pieces(struct request *rq, struct putting *p, int fd, struct error *err)
{
    struct stat about;
    TRY(update_check_not_taken(rq, &p->place, err));
    if (fstat(fd, &about) != 0)
        return fail_errno(err, p->place.path);
    if (p->offset == 0 && ftruncate(fd, 0) != 0)
        return fail_errno(err, p->place.path);
    if (p->offset != 0 && p->offset != about.st_size) {
        reply_header(rq->http, "X-Received", "%lld", (long long)about.st_size);
        return fail(err, CONFLICT, "WrongOffset", "The hub has %lld bytes of this update: go on from there.",
                    (long long)about.st_size);
    }
    return update_receive(rq, fd, p->offset, p->most, p->sight, &p->end, err);
}

/* The lock is given back before the answer goes out: who has it asks for more at once. */
static enum status put_locked(struct request *rq, struct putting *p, struct error *err)
{
    struct sighting seen;
    auto_lock int fd = -1;
    TRY(update_open(p->place.path, &fd, err));
    TRY(put_pieces(rq, p, fd, err));
    if (!p->is_last)
        return OK;
    if (must_wait(&p->place))
        return not_yet(err);
    p->finishing.locked = fd;
    if (p->sight && sight_end(p->sight, &seen))
        p->finishing.seen = &seen;
    return update_take(rq, &p->finishing, err);
}

static enum status put(struct request *rq, struct putting *p, struct error *err)
{
    auto_model struct model model = {0};
    const struct settings *settings = &p->place.run.settings;
    if (settings->mode->size) {
        TRY(settings->mode->size(rq->hub, rq->arena, &p->place.run, &p->most, err));
        return put_locked(rq, p, err);
    }
    TRY(model_open(rq->hub, rq->arena, &p->place.from, false, &model, err));
    p->most = (settings->scaffold ? 2 : 1) * model.size + HEADER_ROOM;
    if (p->is_last && p->offset == 0 && !settings->scaffold)
        p->sight = sight_begin(model.fd, buf_view(&model.head), model.size);
    enum status status = put_locked(rq, p, err);
    sight_free(&p->sight);
    return status;
}

static enum status read_ending(struct request *rq, struct putting *p, struct error *err)
{
    int64_t examples;
    struct str digest = request_query(rq, "blake3", 0);
    p->is_last = str_given(request_query(rq, "examples", 0));
    if (!p->is_last)
        return OK;
    TRY(query_number(rq, "examples", &examples, err));
    if (p->offset != 0 && !str_given(digest))
        return fail(err, INVALID, NULL, "The last of several pieces says the \"blake3\" of them all.");
    p->finishing = (struct finishing){.place = &p->place, .update = {.account_id = rq->actor.account.id}};
    return check_ending(examples, digest, &p->finishing, err);
}

/* PUT /api/{api}/federate/update?round=N&offset=N: bytes of the participant's update from there on. Whatever arrives stays, so that
 * after a broken line the rest is enough. With examples=N they are the last, and nothing more need be said; of several pieces the last also has
 * blake3=HEX, of them all. */
enum status update_put(struct request *rq, struct error *err)
{
    struct putting p = {0};
    TRY(query_number(rq, "round", &p.round, err));
    TRY(query_number(rq, "offset", &p.offset, err));
    TRY(read_ending(rq, &p, err));
    TRY(find_place(rq, p.round, &p.place, err));
    if (place_was_taken(&p.place))
        return refuse_taken(err);
    if (p.is_last && p.place.run.settings.mode->accept)
        return fail(err, INVALID, NULL, "In this mode an update ends with POST, which says what else belongs to it.");
    request_done_reading(rq);
    p.finishing.update.based = p.place.from.round;
    TRY(put(rq, &p, err));
    reply_number(rq, "received", p.end);
    return OK;
}

enum status reply_piece(struct request *rq, const char *path, struct error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_buf struct buf piece = {0};
    int64_t offset;
    TRY(query_number(rq, "offset", &offset, err));
    if (fd < 0)
        return fail(err, NOT_FOUND, NULL, "There is no such file in this round.");
    request_done_reading(rq);
    if (offset < 0)
        return fail(err, INVALID, NULL, "\"offset\" is below zero.");
    buf_reserve(&piece, OUT_PIECE);
    TRY(pread_most(fd, piece.data, OUT_PIECE, offset, &piece.len, err));
    reply_buf(rq->http, 200, STR("application/octet-stream"), &piece);
    return OK;
}
