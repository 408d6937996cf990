/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a participant of the mode "one-house" asks, and what it answers: one address, whose body says which step it is. */
#include "cohort/unmask.h"
#include "federate/cohort.h"
#include "mask/mask.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

/* A participant's place in what is under way. */
struct seat {
    struct run run;
    struct attempt attempt;
    struct cohort_round round;
    bool is_member; /* of the attempt */
    struct member_row own;
    struct cohort_row cohort;
    struct cohort_graph graph;
};

static enum status find_run(struct request *rq, struct seat *out, struct error *err)
{
    struct participant who;
    TRY(request_read(rq, err));
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &out->run, err));
    if (out->run.settings.mode != &one_house_mode)
        return fail(err, CONFLICT, "OtherMode", "This federated training is not in the mode one-house.");
    TRY(participant_find(rq->db, out->run.id, rq->actor.account.id, &who, err));
    if (who.removed)
        return fail(err, FORBIDDEN, "Removed", "You were removed from this federated training.");
    return who.joined ? OK : fail(err, FORBIDDEN, "NotJoined", "Join this federated training first.");
}

/* The attempt under way, and where the participant is in it. */
static enum status find_seat(struct request *rq, struct seat *out, bool *found, struct error *err)
{
    struct cohort_row *cohorts;
    size_t count, size;
    TRY(attempt_find(rq->db, rq->arena, &out->run, &out->attempt, found, err));
    if (!*found)
        return OK;
    attempt_describe(&out->run, &out->attempt, rq->arena, &out->round);
    TRY(member_find(rq->db, rq->arena, out->run.id, rq->actor.account.id, &out->own, &out->is_member, err));
    if (!out->is_member || !out->attempt.drawn)
        return OK;
    TRY(cohort_rows(rq->db, rq->arena, out->run.id, &cohorts, &count, err));
    TRY(member_count(rq->db, out->run.id, out->own.cohort, &size, err));
    if (out->own.cohort >= count || out->own.place >= size)
        return fail(err, UNAVAILABLE, NULL, "The round has just begun anew.");
    out->cohort = cohorts[out->own.cohort];
    out->graph = cohort_graph(size);
    return OK;
}

/* Asking. */

struct beginning {
    const struct run *run;
    struct attempt before; /* and the model of the one that begins */
};

static enum status begin(struct db_conn *tx, void *context, struct error *err)
{
    const struct beginning *beginning = context;
    return attempt_start(tx, beginning->run, &beginning->before, err);
}

static enum status begin_attempt(struct request *rq, const struct seat *place, struct error *err)
{
    auto_model struct model model = {0};
    struct beginning beginning = {.run = &place->run};
    request_done_reading(rq);
    TRY(model_open(rq->hub, rq->arena, &place->run, false, &model, err));
    beginning.before = (struct attempt){.model = model.sha256, .width = model.width};
    TRY(db_write(rq->hub->db, begin, &beginning, err));
    return request_read(rq, err);
}

static void write_hex(struct json_writer *w, const char *name, const struct buf *bytes)
{
    jw_key_hex(w, name, bytes->data ? bytes->data : "", bytes->len);
}

static enum status write_roster(struct request *rq, const struct seat *place, struct json_writer *w, struct error *err)
{
    auto_buf struct buf roster = {0};
    struct member_row *members;
    size_t count;
    TRY(member_rows_all(rq->db, rq->arena, place->run.id, &members, &count, err));
    for (size_t i = 0; i < count; i++)
        buf_add(&roster, &members[i].keys, sizeof members[i].keys);
    jw_key_hex(w, "nonce", place->attempt.nonce, sizeof place->attempt.nonce);
    write_hex(w, "roster", &roster);
    return OK;
}

/* A row for each neighbour: a byte, 1 when there is something, and that or zeros. */
static void add_row(struct buf *out, const void *bytes, size_t size)
{
    static const uint8_t zeros[COHORT_SEALED_SIZE + COHORT_SIGNATURE_SIZE];
    buf_byte(out, bytes != NULL);
    buf_add(out, bytes ? bytes : zeros, size);
}

/* What each neighbour has sealed for this member: it stands at this member's place among that neighbour's neighbours. */
static enum status write_dealt(struct request *rq, const struct seat *place, struct json_writer *w, struct error *err)
{
    auto_buf struct buf rows = {0};
    uint16_t neighbours[COHORT_MOST], theirs[COHORT_MOST];
    struct member_row *members;
    size_t count;
    TRY(member_rows(rq->db, rq->arena, place->run.id, place->own.cohort, MEMBERS_WHOLE, &members, &count, err));
    cohort_neighbours(&place->graph, place->own.place, neighbours);
    for (size_t i = 0; i < place->graph.degree; i++) {
        size_t at = 0;
        bool dealt = cohort_listed(place->cohort.dealt, neighbours[i]);
        cohort_neighbours(&place->graph, neighbours[i], theirs);
        while (theirs[at] != place->own.place)
            at++;
        const char *dealing = members[neighbours[i]].dealing.data;
        add_row(&rows, dealt ? dealing + SHA256_SIZE + at * COHORT_SEALED_SIZE : NULL, COHORT_SEALED_SIZE);
    }
    write_hex(w, "dealt", &rows);
    return OK;
}

static enum status write_signatures(struct request *rq, const struct seat *place, struct json_writer *w,
                                    struct error *err)
{
    auto_buf struct buf rows = {0};
    uint16_t neighbours[COHORT_MOST];
    struct member_row *members;
    size_t count;
    TRY(member_rows(rq->db, rq->arena, place->run.id, place->own.cohort, MEMBERS_BRIEF, &members, &count, err));
    cohort_neighbours(&place->graph, place->own.place, neighbours);
    for (size_t i = 0; i < place->graph.degree; i++)
        add_row(&rows, members[neighbours[i]].signature.data, COHORT_SIGNATURE_SIZE);
    write_hex(w, "signatures", &rows);
    return OK;
}

/* Whom a step is asked of: who has come along so far, and has not done it. */
static bool is_asked(const struct seat *place)
{
    size_t at = place->own.place;
    switch (place->cohort.stage) {
    case STAGE_DEAL:
        return !str_given(place->own.dealing);
    case STAGE_MASK:
        return cohort_listed(place->cohort.dealt, at) && !str_given(place->own.masked);
    case STAGE_SIGN:
        return cohort_listed(place->cohort.survivors, at) && !str_given(place->own.signature);
    case STAGE_UNMASK:
        return str_given(place->own.signature) && !str_given(place->own.answer);
    default:
        return false;
    }
}

static const char *const step_names[] = {
    [STAGE_DEAL] = "deal", [STAGE_MASK] = "mask", [STAGE_SIGN] = "sign", [STAGE_UNMASK] = "unmask"};

static enum status write_step(struct request *rq, const struct seat *place, struct json_writer *w, struct error *err)
{
    bool asked = place->is_member && place->attempt.drawn && is_asked(place) && !place->run.frozen_us;
    if (!place->attempt.drawn) {
        jw_key_str(w, "step", STR("keys"));
        return OK;
    }
    jw_key_str(w, "step", asked ? str_of(step_names[place->cohort.stage]) : STR("wait"));
    if (!asked)
        return OK;
    if (place->cohort.stage == STAGE_DEAL)
        return write_roster(rq, place, w, err);
    if (place->cohort.stage == STAGE_MASK)
        return write_dealt(rq, place, w, err);
    if (place->cohort.stage == STAGE_UNMASK)
        return write_signatures(rq, place, w, err);
    jw_key_hex(w, "survivors", place->cohort.survivors, cohort_list_size(place->graph.size));
    return OK;
}

/* GET /api/{api}/federate/cohort: the attempt under way, and the step that it waits for from who asks. */
enum status cohort_get(struct request *rq, struct error *err)
{
    struct seat place = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    uint8_t name[COHORT_NAME_SIZE];
    bool found;
    TRY(find_run(rq, &place, err));
    jw_object(&w);
    jw_key_int(&w, "round", place.run.round);
    if (place.run.state == RUN_OPEN) {
        TRY(find_seat(rq, &place, &found, err));
        if (!found) {
            TRY(begin_attempt(rq, &place, err));
            TRY(find_seat(rq, &place, &found, err));
        }
        if (!found)
            return fail(err, UNAVAILABLE, NULL, "The round has just begun anew.");
        member_name(&place.run, rq->actor.account.id, name);
        jw_key_int(&w, "attempt", place.attempt.number);
        jw_key_hex(&w, "commitment", place.round.nonce_sha256, SHA256_SIZE);
        jw_key_hex(&w, "member", name, sizeof name);
        TRY(write_step(rq, &place, &w, err));
    } else {
        jw_key_str(&w, "step", STR("over"));
    }
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Answering. */

struct answering {
    const struct seat *place;
    int64_t account_id;
    struct cohort_message is;
};

/* In the write: nothing has gone on meanwhile. */
static enum status still_there(struct db_conn *tx, const struct answering *a, struct arena *arena, struct error *err)
{
    struct attempt now;
    struct cohort_row *cohorts;
    size_t count = 0;
    bool found;
    TRY(attempt_find(tx, arena, &a->place->run, &now, &found, err));
    bool same = found && now.number == a->place->attempt.number && now.drawn == (a->is.stage != 0);
    if (same && a->is.stage) {
        TRY(cohort_rows(tx, arena, a->place->run.id, &cohorts, &count, err));
        same = a->place->own.cohort < count && cohorts[a->place->own.cohort].stage == a->is.stage;
    }
    return same ? OK : fail(err, CONFLICT, "StepOver", "This step is over; ask what comes now.");
}

static enum status store_answer(struct db_conn *tx, void *context, struct error *err)
{
    auto_arena struct arena arena = {0};
    const struct answering *a = context;
    TRY(still_there(tx, a, &arena, err));
    if (a->is.stage)
        TRY(member_put(tx, a->place->run.id, a->account_id, a->is.stage, a->is.bytes, err));
    else
        TRY(member_put_keys(tx, &a->place->run, a->account_id, (const struct cohort_member *)a->is.bytes.data, err));
    return attempt_advance(tx, a->place->run.id, err);
}

static enum status check_keys(struct request *rq, const struct seat *place, struct str message, struct error *err)
{
    const struct cohort_member *keys = (const struct cohort_member *)message.data;
    uint8_t name[COHORT_NAME_SIZE], ctx[COHORT_CONTEXT_SIZE];
    member_name(&place->run, rq->actor.account.id, name);
    cohort_round_context(&place->round, ctx);
    if (message.len != sizeof *keys || memcmp(keys->name, name, sizeof name) != 0 || !cohort_member_holds(keys, ctx))
        return fail(err, INVALID, "KeysInvalid",
                    "These keys are malformed, or not signed for this attempt at the round.");
    return OK;
}

static enum status digest_file(int fd, size_t size, uint8_t out[SHA256_SIZE], struct error *err)
{
    auto_buf struct buf piece = {0};
    struct hasher *hasher = hasher_sha256();
    enum status status = OK;
    buf_reserve(&piece, PIECE);
    for (size_t at = 0, len; status == OK && at < size; at += len) {
        len = size - at < PIECE ? size - at : PIECE;
        status = pread_full(fd, piece.data, len, (int64_t)at, err);
        hasher_add(hasher, piece.data, status == OK ? len : 0);
    }
    hasher_end(hasher, out);
    hasher_free(hasher);
    return status;
}

/* The vector came by PUT …/federate/update. A take that was broken off, by a crash or a lost line, has put it in its place already. */
static enum status open_vector(const char *from, const char *to, size_t size, const char **at, int *out,
                               struct error *err)
{
    struct stat about;
    *at = access(from, F_OK) == 0 ? from : to;
    *out = open(*at, O_RDONLY | O_CLOEXEC);
    if (*out >= 0 && flock(*out, LOCK_EX | LOCK_NB) != 0)
        return fail(err, UNAVAILABLE, NULL, "Another request is busy with this vector: ask again.");
    if (*out < 0 || fstat(*out, &about) != 0 || (size_t)about.st_size != size)
        return fail(err, CONFLICT, "VectorIncomplete", "The vector of %zu bytes has not come as a whole.", size);
    return OK;
}

/* It is on disk, under a name of its own, before anything says that it was taken. */
static enum status take_vector(struct request *rq, const struct seat *place, struct str sha, struct error *err)
{
    char from[4096], to[4096];
    const char *at;
    uint8_t digest[SHA256_SIZE];
    size_t size = mask_packed((size_t)place->attempt.width, cohort_bits(&place->round, place->graph.size));
    auto_lock int fd = -1;
    update_path(rq->hub->federate, &place->run, rq->actor.account.id, from);
    masked_path(rq->hub->federate, &place->run, rq->actor.account.id, to);
    TRY(open_vector(from, to, size, &at, &fd, err));
    TRY(digest_file(fd, size, digest, err));
    if (sha.len != SHA256_SIZE || memcmp(digest, sha.data, SHA256_SIZE) != 0)
        return fail(err, INVALID, "DigestMismatch",
                    "The bytes that arrived do not have that SHA-256: send them again, from the start.");
    return fdatasync(fd) == 0 && rename(at, to) == 0 ? OK : fail_errno(err, to);
}

static enum status check_signature(struct request *rq, const struct seat *place, struct str message, struct error *err)
{
    struct cohort_draw draw;
    struct cohort_member *keys;
    TRY(request_read(rq, err));
    TRY(attempt_draw(rq->db, rq->arena, &place->run, &place->attempt, &draw, &keys, err));
    request_done_reading(rq);
    struct str list = {(const char *)place->cohort.survivors, cohort_list_size(place->graph.size)};
    if (message.len == COHORT_SIGNATURE_SIZE &&
        cohort_signed(place->own.keys.identity, STR("survivors"), draw.context, list, (const uint8_t *)message.data))
        return OK;
    return fail(err, INVALID, "SignatureInvalid", "This is not your signature of the list of survivors.");
}

static enum status check_message(struct request *rq, const struct seat *place, const struct answering *a,
                                 struct error *err)
{
    switch (a->is.stage) {
    case STAGE_DEAL:
        if (a->is.bytes.len == SHA256_SIZE + place->graph.degree * COHORT_SEALED_SIZE)
            return OK;
        return fail(err, INVALID, NULL, "Sealed shares for %zu neighbours have another size.", place->graph.degree);
    case STAGE_MASK:
        return take_vector(rq, place, a->is.bytes, err);
    case STAGE_SIGN:
        return check_signature(rq, place, a->is.bytes, err);
    default:
        return cohort_answer_check(&place->graph, a->is.bytes, err);
    }
}

static enum status read_step(const json_t *body, enum cohort_stage *out, struct error *err)
{
    struct str step = json_get_str(body, "step");
    *out = 0;
    if (str_eq(step, STR("keys")))
        return OK;
    for (size_t i = STAGE_DEAL; i <= STAGE_UNMASK; i++)
        if (str_eq(step, str_of(step_names[i]))) {
            *out = (enum cohort_stage)i;
            return OK;
        }
    return fail(err, INVALID, NULL, "\"step\" must be one of [keys, deal, mask, sign, unmask].");
}

enum status cohort_message_read(struct arena *arena, const json_t *body, struct cohort_message *out, struct error *err)
{
    struct str text = json_get_str(body, "message");
    uint8_t *bytes = arena_alloc(arena, text.len / 2 + 1);
    TRY(read_step(body, &out->stage, err));
    if (!text.len || text.len % 2 || !hex_decode(text, bytes, text.len / 2))
        return fail(err, INVALID, NULL, "\"message\" must be hex digits.");
    out->bytes = (struct str){(char *)bytes, text.len / 2};
    out->attempt = json_get_int(body, "attempt", -1);
    return OK;
}

/* What has been taken stays; the same again is the answer to a reply that was lost. */
static enum status was_done(const struct seat *place, const struct answering *a, bool *done, struct error *err)
{
    const struct str before[] = {[STAGE_DEAL] = place->own.dealing,
                                 [STAGE_MASK] = place->own.masked,
                                 [STAGE_SIGN] = place->own.signature,
                                 [STAGE_UNMASK] = place->own.answer};
    *done = a->is.stage && str_given(before[a->is.stage]);
    if (*done && !str_eq(before[a->is.stage], a->is.bytes))
        return fail(err, CONFLICT, "StepOver", "You have answered this step with something else before.");
    return OK;
}

/* POST /api/{api}/federate/cohort: {"attempt": n, "step": "…", "message": hex} */
enum status cohort_post(struct request *rq, struct error *err)
{
    struct seat place = {0};
    struct answering a = {.place = &place, .account_id = rq->actor.account.id};
    json_t *body;
    bool found = false, done;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(cohort_message_read(rq->arena, body, &a.is, err));
    TRY(find_run(rq, &place, err));
    if (place.run.state == RUN_OPEN)
        TRY(find_seat(rq, &place, &found, err));
    if (!found || a.is.attempt != place.attempt.number || (a.is.stage && !place.is_member))
        return fail(err, CONFLICT, "StepOver", "This attempt at the round is over; ask what comes now.");
    TRY(was_done(&place, &a, &done, err));
    request_done_reading(rq);
    if (!done) {
        if (a.is.stage ? place.cohort.stage != a.is.stage || !is_asked(&place) : place.attempt.drawn)
            return fail(err, CONFLICT, "StepOver", "This step is over; ask what comes now.");
        TRY(a.is.stage ? check_message(rq, &place, &a, err) : check_keys(rq, &place, a.is.bytes, err));
        TRY(db_write(rq->hub->db, store_answer, &a, err));
        struct error later = {0};
        round_close(rq->hub, place.run.id, &later);
    }
    request_reply_empty(rq);
    return OK;
}
