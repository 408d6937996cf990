/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashing ahead. The SHA-256 of a file can only be made in its order, and what that is only the shard says, behind the last
 * xorb. But clients cut a large file from its start into full xorbs and begin to send them in that order, so that the order in which
 * an account's xorbs for a repo begin is a good guess. One thread with a low priority hashes them in that order, each once it is
 * kept, and remembers the state of the SHA-256 behind each of the last ones. When the shard comes, the file's own beginning is
 * looked for among these: whole xorbs, the same ones, in the same order, from the first on. From there the file is hashed as ever.
 *
 * It makes nothing true. The bytes are those that the store has, of xorbs that were verified, read from their containers as they
 * would be with the shard; ids of xorbs are never used again, and what containers hold never changes. A xorb that is forgotten or
 * swept in between makes the write of the object fail, as ever. A wrong guess costs time of the processor: files that are sent at
 * once, beside each other, make one. So who has had a guess of which less than half was of use is not guessed for a while.
 */
#include "store/internal.h"
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SESSIONS 8   /* who uploads, and to where; beyond these the one that was used longest ago is forgotten */
#define WAITING 1024 /* xorbs of a session that have begun and are not hashed yet: 64 GiB */
#define STATES 32    /* of a session, behind its last xorbs: others are behind the file's own, or a file's end */
#define HASHED_MOST (1 << 16) /* xorbs of a session */
#define SHARDS_WITHOUT 8      /* after a wrong guess */
#define NICENESS 5            /* of the thread: requests go first */

struct place {
    int64_t number;  /* never used again */
    int64_t xorb_id; /* 0: it is still coming */
};

struct session {
    int64_t account_id, repo_id;   /* 0: the slot is free */
    int64_t used;                  /* when, on a clock of our own */
    struct buf hashed;             /* ids of xorbs, in order */
    struct hasher *states[STATES]; /* behind xorb i (from 1 on), at i % STATES */
    struct place waiting[WAITING];
    size_t waiting_count;
    size_t best; /* xorbs in the longest beginning that was of use */
    bool over;   /* its shard has come, or the guess has failed */
    int without; /* shards until there is a guess again */
};

struct guess {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    pthread_t thread;
    bool running, stop, busy;
    int64_t clock;
    struct session sessions[SESSIONS];
};

struct guess *guess_new(struct store *store)
{
    struct guess *guess = calloc(1, sizeof *guess);
    if (!guess)
        abort();
    guess->store = store;
    pthread_mutex_init(&guess->lock, NULL);
    pthread_cond_init(&guess->wake, NULL);
    pthread_cond_init(&guess->idle, NULL);
    return guess;
}

static size_t hashed_count(const struct session *session)
{
    return session->hashed.len / sizeof(int64_t);
}

static void begin_anew(struct session *session)
{
    for (size_t i = 0; i < STATES; i++) {
        hasher_free(session->states[i]);
        session->states[i] = NULL;
    }
    session->hashed.len = session->waiting_count = session->best = 0;
    session->over = false;
}

static void clear(struct session *session)
{
    begin_anew(session);
    buf_free(&session->hashed);
    *session = (struct session){0};
}

void guess_free(struct guess *guess)
{
    if (!guess)
        return;
    pthread_mutex_lock(&guess->lock);
    guess->stop = true;
    pthread_cond_signal(&guess->wake);
    pthread_mutex_unlock(&guess->lock);
    if (guess->running)
        pthread_join(guess->thread, NULL);
    for (size_t i = 0; i < SESSIONS; i++)
        clear(&guess->sessions[i]);
    pthread_cond_destroy(&guess->idle);
    pthread_cond_destroy(&guess->wake);
    pthread_mutex_destroy(&guess->lock);
    free(guess);
}

/* With the lock. */
static struct session *find(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    for (size_t i = 0; i < SESSIONS && account_id != 0; i++)
        if (guess->sessions[i].account_id == account_id && guess->sessions[i].repo_id == repo_id)
            return &guess->sessions[i];
    return NULL;
}

static struct session *find_or_make(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    struct session *session = find(guess, account_id, repo_id), *oldest = &guess->sessions[0];
    if (session)
        return session;
    for (size_t i = 1; i < SESSIONS; i++)
        if (guess->sessions[i].used < oldest->used)
            oldest = &guess->sessions[i];
    clear(oldest);
    oldest->account_id = account_id;
    oldest->repo_id = repo_id;
    return oldest;
}

static struct place *find_place(struct guess *guess, int64_t number, struct session **session)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        *session = &guess->sessions[i];
        for (size_t j = 0; j < (*session)->waiting_count; j++)
            if ((*session)->waiting[j].number == number)
                return &(*session)->waiting[j];
    }
    return NULL;
}

static void remove_place(struct session *session, struct place *place)
{
    size_t behind = session->waiting_count - (size_t)(place - session->waiting) - 1;
    memmove(place, place + 1, behind * sizeof *place);
    session->waiting_count--;
}

int64_t guess_begin(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    int64_t number = 0;
    if (account_id == 0)
        return 0;
    pthread_mutex_lock(&guess->lock);
    struct session *session = find_or_make(guess, account_id, repo_id);
    session->used = ++guess->clock;
    session->over |= session->waiting_count == WAITING || hashed_count(session) == HASHED_MOST;
    if (!session->over && session->without == 0) {
        number = guess->clock;
        session->waiting[session->waiting_count++].number = number;
        session->waiting[session->waiting_count - 1].xorb_id = 0;
    }
    pthread_mutex_unlock(&guess->lock);
    return number;
}

/* Hashing. */

struct work {
    struct guess *guess;
    struct place place;
    struct hasher *hasher;
};

/* The next xorb whose turn it is; with the lock. */
static bool next_work(struct guess *guess, struct work *work)
{
    for (size_t i = 0; i < SESSIONS && !guess->stop; i++) {
        struct session *session = &guess->sessions[i];
        if (session->waiting_count == 0 || session->waiting[0].xorb_id == 0 || session->over)
            continue;
        size_t count = hashed_count(session);
        work->place = session->waiting[0];
        work->hasher = count ? hasher_copy(session->states[count % STATES]) : hasher_sha256();
        return true;
    }
    return false;
}

/* Nobody waits for it any more when the server stops, the shard has come, or the session had to make room. */
static enum status still_wanted(void *context, int64_t bytes, struct error *err)
{
    const struct work *work = context;
    struct session *session;
    (void)bytes;
    pthread_mutex_lock(&work->guess->lock);
    bool wanted = !work->guess->stop && find_place(work->guess, work->place.number, &session) && !session->over;
    pthread_mutex_unlock(&work->guess->lock);
    return wanted ? OK : fail(err, STALE, NULL, "Nobody waits for this SHA-256.");
}

static enum status hash_xorb(struct work *work, struct error *err)
{
    struct store *store = work->guess->store;
    struct extent extent = {0};
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    TRY(store_xorb_get(conn, work->place.xorb_id, &extent.xorb, err));
    db_release(&conn);
    extent.length = extent.xorb.length;
    extent.stored = extent.xorb.stored;
    extent.end = extent.xorb.chunks;
    extent.packed = extent.stored != extent.length;
    return extents_hash(store, &extent, 1, work->hasher, still_wanted, work, err);
}

/* With the lock. */
static void keep_state(struct work *work, enum status status)
{
    struct session *session;
    struct place *place = find_place(work->guess, work->place.number, &session);
    if (place && status == OK && !session->over) {
        assert(place == session->waiting);
        buf_add(&session->hashed, &place->xorb_id, sizeof place->xorb_id);
        struct hasher **state = &session->states[hashed_count(session) % STATES];
        hasher_free(*state);
        *state = work->hasher;
        work->hasher = NULL;
        remove_place(session, place);
    } else if (place) {
        session->over = true;
    }
    hasher_free(work->hasher);
}

static void *run(void *context)
{
    struct guess *guess = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone */
    pthread_mutex_lock(&guess->lock);
    while (!guess->stop) {
        struct work work = {.guess = guess};
        guess->busy = next_work(guess, &work);
        if (!guess->busy) {
            pthread_cond_broadcast(&guess->idle);
            pthread_cond_wait(&guess->wake, &guess->lock);
            continue;
        }
        pthread_mutex_unlock(&guess->lock);
        enum status status = hash_xorb(&work, NULL);
        pthread_mutex_lock(&guess->lock);
        keep_state(&work, status);
    }
    pthread_mutex_unlock(&guess->lock);
    return NULL;
}

/* With the lock. Without a thread nothing is hashed ahead. */
static void wake(struct guess *guess)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the business of the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!guess->running)
        guess->running = pthread_create(&guess->thread, NULL, run, guess) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    guess->busy = true;
    pthread_cond_signal(&guess->wake);
}

void guess_came(struct guess *guess, int64_t number, int64_t xorb_id)
{
    struct session *session;
    if (number == 0)
        return;
    pthread_mutex_lock(&guess->lock);
    struct place *place = find_place(guess, number, &session);
    if (place && xorb_id == 0)
        remove_place(session, place);
    else if (place)
        place->xorb_id = xorb_id;
    if (place)
        wake(guess);
    pthread_mutex_unlock(&guess->lock);
}

void guess_settle(struct guess *guess)
{
    pthread_mutex_lock(&guess->lock);
    while (guess->running && guess->busy)
        pthread_cond_wait(&guess->idle, &guess->lock);
    pthread_mutex_unlock(&guess->lock);
}

/* The shard. */

/* How many extents from the first on are what was hashed: whole xorbs, in that order. */
static size_t same_beginning(const struct session *session, const struct extent *extents, size_t count)
{
    const int64_t *hashed = (const int64_t *)session->hashed.data;
    size_t same = 0;
    while (same < count && same < hashed_count(session) && extents[same].xorb.id == hashed[same] &&
           extents[same].start == 0 && extents[same].end == extents[same].xorb.chunks)
        same++;
    return same;
}

struct hasher *guess_take(struct guess *guess, int64_t account_id, int64_t repo_id, const struct extent *extents,
                          size_t count, size_t *done)
{
    struct hasher *hasher = NULL;
    *done = 0;
    pthread_mutex_lock(&guess->lock);
    struct session *session = find(guess, account_id, repo_id);
    if (session) {
        size_t same = same_beginning(session, extents, count);
        session->over = true;
        session->best = same > session->best ? same : session->best;
        if (same > 0 && hashed_count(session) - same < STATES) {
            hasher = hasher_copy(session->states[same % STATES]);
            *done = same;
        }
    }
    pthread_mutex_unlock(&guess->lock);
    return hasher ? hasher : hasher_sha256();
}

void guess_end(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    pthread_mutex_lock(&guess->lock);
    struct session *session = find(guess, account_id, repo_id);
    if (session) {
        if (session->best * 2 < hashed_count(session))
            session->without = SHARDS_WITHOUT;
        else if (session->without > 0)
            session->without--;
        begin_anew(session);
    }
    pthread_mutex_unlock(&guess->lock);
}
