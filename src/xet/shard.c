/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registering files (xet-protocol 2.7, 3.1, 3.5): everything that a shard claims is computed again before it counts. */
#include "cas/shard.h"
#include "base/file.h"
#include "base/time.h"
#include "router/room.h"
#include "router/sign.h"
#include "xet/handlers.h"
#include <pthread.h>
#include <sys/mman.h>

#define SHARD_MOST (96 << 20) /* clients split theirs at 64 MiB */
#define FILES_MOST 100000
#define SEGMENTS_MOST 250000 /* of all files: 80 MB of memory here */
#define BYTES_MOST                                                                                                     \
    (INT64_C(1) << 40) /* of all files: naming a xorb again costs a client nothing, but us reading it again */
#define PIECE (256 << 10)
#define KNOWN 256              /* xorbs remembered while segments are looked up; neighbours mostly name the same one */
#define HEARTBEAT_US SECOND_US /* of the lines that tell how far the work is */

/* A shard of a few bytes can have us read for many minutes, so those that are verified at once never have more than half of the
 * threads, and those of one account no more than an eighth. */
#define TURNS 128
#define TURNS_EACH 32

struct segment {
    struct shard_segment claim;
    struct xorb xorb;
};

struct claimed_file {
    struct shard_file claim;
    struct segment *segments;
    int64_t size;
};

struct registration {
    struct request *rq;
    struct arena arena; /* given back before the reply is out, other than the request's */
    const char *bytes;  /* the shard, mapped */
    size_t len;
    struct claimed_file *files;
    size_t count, capacity, segment_count;
    int64_t *xorb_ids;
    size_t xorb_count, xorb_capacity;
    struct usable_xorb *known;
    struct file_draft **drafts;
    int64_t *turn; /* NULL when it has none */

    /* Progress; only a v2 client hears of it. */
    bool streams;
    int64_t total, before, verified,
        told_us;     /* bytes: of all files, of those done, and with the one at hand; when last told */
    int64_t unknown; /* of files that the repo does not hold yet: these are read to be verified */
};

/* Receiving. A shard may be large and many may come at once, so it goes to disk and is looked at there. */

static enum status spool(struct request *rq, int fd, size_t *len, struct error *err)
{
    auto_buf struct buf piece = {0};
    buf_reserve(&piece, PIECE);
    for (*len = 0;;) {
        size_t got;
        TRY(body_read(rq->http, piece.data, PIECE, &got, err));
        if (got == 0)
            return OK;
        if (*len + got > SHARD_MOST)
            return fail(err, TOO_LARGE, NULL, "A shard has at most %d bytes: send several.", SHARD_MOST);
        TRY(pwrite_full(fd, piece.data, got, (int64_t)*len, err));
        *len += got;
    }
}

static enum status receive(struct registration *r, struct error *err)
{
    auto_fd int fd = -1;
    if (r->rq->http->content_length > SHARD_MOST)
        return fail(err, TOO_LARGE, NULL, "A shard has at most %d bytes: send several.", SHARD_MOST);
    TRY(store_scratch(r->rq->hub->store, &fd, err));
    TRY(spool(r->rq, fd, &r->len, err));
    if (r->len == 0)
        return fail(err, INVALID, NULL, "The shard is empty.");
    void *map = mmap(NULL, r->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return fail_errno(err, "looking at a shard");
    r->bytes = map;
    return OK;
}

/* Taking turns. */

static pthread_mutex_t turns_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t turns[TURNS]; /* the accounts that have them; 0: free */

static enum status turn_take(struct registration *r, struct error *err)
{
    int64_t account = r->rq->actor.account.id;
    int own = 0;
    pthread_mutex_lock(&turns_lock);
    for (size_t i = 0; i < TURNS; i++) {
        own += turns[i] == account;
        r->turn = turns[i] == 0 ? &turns[i] : r->turn;
    }
    if (own >= TURNS_EACH)
        r->turn = NULL;
    if (r->turn)
        *r->turn = account;
    pthread_mutex_unlock(&turns_lock);
    return r->turn ? OK
                   : fail(err, TOO_MANY, NULL, "Too many shards are being verified at once; try again in a moment.");
}

static void turn_give_back(struct registration *r)
{
    pthread_mutex_lock(&turns_lock);
    if (r->turn)
        *r->turn = 0;
    pthread_mutex_unlock(&turns_lock);
}

static void registration_end(struct registration *r)
{
    turn_give_back(r);
    for (size_t i = 0; r->drafts && i < r->count; i++)
        file_draft_free(&r->drafts[i]);
    if (r->bytes)
        munmap((void *)r->bytes, r->len);
    arena_free(&r->arena);
}

/* Looking up what it names. */

static enum status look_up(struct registration *r, const struct asker *asker, const struct chunk_hash *hash,
                           struct usable_xorb *known, struct error *err)
{
    if (known->xorb.id != 0 && chunk_hash_eq(&known->xorb.hash, hash))
        return OK;
    TRY(store_xorb_find(r->rq->db, asker, hash, known, err));
    r->xorb_ids = array_room(&r->arena, r->xorb_ids, r->xorb_count, &r->xorb_capacity, sizeof *r->xorb_ids);
    r->xorb_ids[r->xorb_count++] = known->xorb.id;
    return OK;
}

/* The xorb, of which the chunks [start, end) are wanted. Those that may not be used are as unknown as a xorb that is not there. */
static enum status find_xorb(struct registration *r, const struct asker *asker, const struct chunk_hash *hash,
                             uint32_t start, uint32_t end, struct xorb *out, struct error *err)
{
    struct usable_xorb *known = &r->known[hash->bytes[0] % KNOWN];
    enum status found = look_up(r, asker, hash, known, err);
    *out = known->xorb;
    if (found == NOT_FOUND || (found == OK && !xorb_usable(known, start, end))) {
        char text[CHUNK_HASH_TEXT];
        chunk_hash_text(hash, text);
        return fail(
            err, INVALID, NULL,
            "The shard names the xorb %s, which you have not uploaded here and cannot read here. Upload it again: "
            "if your client believes to have done so, remove its cache of shards (the folder xet in its cache).",
            text);
    }
    return found;
}

/* As file_draft_verify() finds out, which then reads nothing. */
static bool is_held(struct registration *r, const struct shard_file *claim)
{
    struct object object;
    return store_lookup_xet(r->rq->db, r->rq->repo.id, &claim->hash, &object, NULL) == OK &&
           (!claim->has_sha256 || memcmp(object.sha256, claim->sha256, SHA256_SIZE) == 0);
}

static enum status find_file(struct registration *r, const struct asker *asker, const struct shard_file *claim,
                             struct error *err)
{
    r->segment_count += claim->count;
    if (claim->count > PIECES_MOST)
        return fail(err, TOO_LARGE, NULL,
                    "A file may be made of at most %d pieces here, and this one is of %u: upload it without Xet "
                    "(HF_HUB_DISABLE_XET=1).",
                    PIECES_MOST, claim->count);
    if (r->count == FILES_MOST || r->segment_count > SEGMENTS_MOST)
        return fail(err, TOO_LARGE, NULL, "A shard has at most %d files and %d segments: send several.", FILES_MOST,
                    SEGMENTS_MOST);
    r->files = array_room(&r->arena, r->files, r->count, &r->capacity, sizeof *r->files);
    struct claimed_file *file = &r->files[r->count++];
    *file = (struct claimed_file){.claim = *claim};
    file->segments = arena_array(&r->arena, claim->count ? claim->count : 1, sizeof *file->segments);
    for (uint32_t i = 0; i < claim->count; i++) {
        struct shard_segment *segment = &file->segments[i].claim;
        shard_segment(claim, i, segment);
        TRY(find_xorb(r, asker, &segment->xorb, segment->start, segment->end, &file->segments[i].xorb, err));
        file->size += segment->length;
    }
    r->total += file->size;
    r->unknown += is_held(r, claim) ? 0 : file->size;
    return r->total <= BYTES_MOST
               ? OK
               : fail(err, TOO_LARGE, NULL, "The files of a shard have at most 1 TiB: send several.");
}

static enum status check_xorb(struct registration *r, const struct xorb *xorb, const struct shard_xorb *claim,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    struct chunk before, *rows = arena_array(&arena, xorb->chunks, sizeof *rows);
    bool same = claim->count == xorb->chunks && claim->length == xorb->length;
    if (same)
        TRY(store_chunks(r->rq->hub->store, xorb, 0, xorb->chunks, &before, rows, err));
    for (uint32_t i = 0; i < claim->count && same; i++) {
        struct shard_chunk chunk;
        uint32_t start = i > 0 ? rows[i - 1].end : 0;
        shard_chunk(claim, i, &chunk);
        same = chunk_hash_eq(&chunk.hash, &rows[i].hash) && chunk.start == start && chunk.length == rows[i].end - start;
    }
    return same ? OK : fail(err, INVALID, NULL, "The shard lists other chunks for a xorb than the xorb has.");
}

/* With the reader at hand: every name that the shard uses. Others of its claims are looked at without one, as that takes long. */
static enum status find_all(struct registration *r, struct shard_reader *reader, struct error *err)
{
    struct shard_file file;
    bool found;
    TRY(request_read(r->rq, err));
    struct asker asker = xet_asker(r->rq);
    for (;;) {
        TRY(shard_next_file(reader, &file, &found, err));
        if (!found)
            return OK;
        TRY(find_file(r, &asker, &file, err));
    }
}

static enum status check_xorbs(struct registration *r, struct shard_reader *reader, struct error *err)
{
    for (;;) {
        struct shard_xorb claim;
        struct xorb xorb;
        bool found;
        TRY(shard_next_xorb(reader, &claim, &found, err));
        if (!found)
            return OK;
        TRY(request_read(r->rq, err));
        struct asker asker = xet_asker(r->rq);
        TRY(find_xorb(r, &asker, &claim.hash, 0, UINT32_MAX, &xorb, err));
        request_done_reading(r->rq);
        TRY(check_xorb(r, &xorb, &claim, err));
    }
}

/* Verifying. */

static enum status tell(struct registration *r, const char *type, struct error *err)
{
    auto_buf struct buf line = {0};
    struct json_writer w = jw_to(&line);
    if (!r->streams)
        return OK;
    r->told_us = monotonic_us();
    jw_object(&w);
    jw_key_str(&w, "type", str_of(type));
    if (strcmp(type, "validating") == 0) {
        jw_key_int(&w, "verified", r->verified);
        jw_key_int(&w, "total", r->total);
    } else {
        jw_key_str(&w, "stage", STR("syncing"));
    }
    jw_end(&w);
    buf_byte(&line, '\n');
    return reply_more(r->rq->http, buf_view(&line), err);
}

static enum status on_progress(void *context, int64_t bytes, struct error *err)
{
    struct registration *r = context;
    r->verified = r->before + bytes;
    if (http_must_end(r->rq->http))
        return fail(err, UNAVAILABLE, NULL, "The server is stopping; send the shard again in a moment.");
    return monotonic_us() - r->told_us < HEARTBEAT_US ? OK : tell(r, "validating", err);
}

static enum status draft_file(struct registration *r, size_t index, struct error *err)
{
    const struct claimed_file *file = &r->files[index];
    struct file_draft *draft = file_draft_new(r->rq->hub->store, file->claim.hash);
    r->drafts[index] = draft;
    file_draft_sender(draft, r->rq->actor.account.id, r->rq->repo.id);
    for (uint32_t i = 0; i < file->claim.count; i++) {
        const struct segment *s = &file->segments[i];
        TRY(file_draft_add(draft, &s->xorb, s->claim.start, s->claim.end, s->claim.length, &s->claim.proof, err));
    }
    return OK;
}

/* Sizes stand in the shard. Files whose SHA-256 is not told find out whether there is room when they are kept. */
static enum status reserve_room(struct registration *r, struct error *err)
{
    struct room *rooms = arena_array(&r->arena, r->count ? r->count : 1, sizeof *rooms);
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->files[i].claim.has_sha256) {
            memcpy(rooms[count].sha256, r->files[i].claim.sha256, SHA256_SIZE);
            rooms[count++].size = r->files[i].size;
        }
    return request_reserve(r->rq, rooms, count, r->unknown, err);
}

/* All that costs little, before the answer begins: most mistakes are then a plain 4xx. */
static enum status prepare(struct registration *r, struct error *err)
{
    struct shard_reader reader;
    request_done_reading(r->rq);
    TRY(receive(r, err));
    TRY(turn_take(r, err));
    TRY(shard_open((struct str){r->bytes, r->len}, &reader, err));
    r->known = arena_array(&r->arena, KNOWN, sizeof *r->known);
    TRY(find_all(r, &reader, err));
    request_done_reading(r->rq);
    TRY(check_xorbs(r, &reader, err));
    TRY(reserve_room(r, err));
    /* From now on the xorbs stay, whatever is swept in the meantime. */
    return store_mention(r->rq->hub->store, r->xorb_ids, r->xorb_count, err);
}

/* Receiving and verifying may have taken long: what was allowed then may not be now, and the repo may be gone. */
static enum status admit_again(struct request *rq, struct error *err)
{
    TRY(request_read(rq, err));
    TRY(sign_admit(rq, rq->actor.key_id, rq->repo.id, err));
    struct access_object object = repo_access(&rq->repo);
    enum status status = access_decide(rq->db, &rq->actor, rq->route->action, &object, err);
    request_done_reading(rq);
    return status;
}

static enum status verify_and_keep(struct registration *r, struct error *err)
{
    r->drafts = arena_array(&r->arena, r->count ? r->count : 1, sizeof *r->drafts);
    TRY(tell(r, "validating", err));
    for (size_t i = 0; i < r->count; i++) {
        const struct shard_file *claim = &r->files[i].claim;
        TRY(draft_file(r, i, err));
        TRY(file_draft_verify(r->drafts[i], r->rq->repo.id, claim->has_sha256 ? claim->sha256 : NULL, on_progress, r,
                              err));
        r->before += r->files[i].size;
    }
    TRY(tell(r, "committing", err));
    TRY(admit_again(r->rq, err));
    return file_drafts_keep(r->rq->hub->store, r->rq->repo.id, r->drafts, r->count, err);
}

/* POST /xet/v1/shards */
enum status shard_post(struct request *rq, struct error *err)
{
    __attribute__((cleanup(registration_end))) struct registration r = {.rq = rq};
    TRY(prepare(&r, err));
    TRY(verify_and_keep(&r, err));
    reply_bytes(rq->http, 200, STR("application/json"), STR("{\"result\":1}"));
    return OK;
}

static void tell_end(struct registration *r, enum status status, const struct error *failure)
{
    auto_buf struct buf line = {0};
    struct json_writer w = jw_to(&line);
    request_done_reading(r->rq);
    jw_object(&w);
    jw_key_str(&w, "type", status == OK ? STR("result") : STR("error"));
    if (status == OK) {
        jw_key_int(&w, "result", 1);
    } else {
        jw_key_str(&w, "message", str_of(failure->message));
        jw_key_bool(&w, "retryable", status_http(status) >= 500);
    }
    jw_end(&w);
    buf_byte(&line, '\n');
    (void)reply_more(r->rq->http, buf_view(&line), NULL);
    reply_close(r->rq->http);
}

/* POST /xet/v2/shards: the same, with lines that tell how far it is. */
enum status shard_post_stream(struct request *rq, struct error *err)
{
    __attribute__((cleanup(registration_end))) struct registration r = {.rq = rq};
    struct error failure = {0};
    TRY(prepare(&r, err));
    r.streams = true;
    enum status status = reply_open(rq->http, 200, STR("application/x-ndjson"), &failure);
    if (status == OK)
        status = verify_and_keep(&r, &failure);
    tell_end(&r, status, &failure);
    return OK;
}
