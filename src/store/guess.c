/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashing ahead. The SHA-256 of a file can only be made in its order, and what that is only the shard says, behind the last
 * xorb. But clients cut a large file from its start into full xorbs and begin to send them in that order, so that the order in which
 * an account's xorbs for a repo begin is a good guess. The first one that is not hashed yet is the front. While it comes its
 * receiver hashes it, and others wait where processors are few, so that one after the other is the front. What came whole before it
 * was, a thread with a low priority hashes from the store. The state of the SHA-256 behind each of the last ones is remembered.
 * When the shard comes, the file's own beginning is looked for among these: whole xorbs, the same ones, in the same order, from the
 * first on. From there the file is hashed as ever.
 *
 * It makes nothing true. The bytes are those that the store has, of xorbs that were verified, as they came or read from their
 * containers; ids of xorbs are never used again, and what containers hold never changes. A xorb that is forgotten or
 * swept in between makes the write of the object fail, as ever. A wrong guess costs time of the processor: files that are sent at
 * once, beside each other, make one. So who has had a guess of which less than half was of use is not guessed for a while.
 */
#include "base/time.h"
#include "store/internal.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SESSIONS 8         /* who uploads, and to where; beyond these the one that was used longest ago is forgotten */
#define XORBS 4096         /* of a session: 256 GiB */
#define STATES 32          /* of a session, behind its last xorbs; what comes behind a file's own are few */
#define SHARDS_WITHOUT 8   /* after a wrong guess */
#define PATIENCE_US 500000 /* that a xorb waits for the front, at each piece: it may be that of somebody who is slow */
#define MORE_US 20000      /* after a piece of the front, in which its next one is awaited */
#define NICENESS 5         /* of the thread: requests go first */

struct place {
    int64_t number;  /* never used again; modulo SESSIONS it says whose it is */
    int64_t since;   /* when its request began */
    int64_t xorb_id; /* 0: it is still coming */
};

struct session {
    int64_t account_id, repo_id;   /* 0: the slot is free */
    int64_t used;                  /* when, on a clock of our own */
    struct place places[XORBS];    /* in the order in which they began */
    size_t count, hashed;          /* the first ones are hashed */
    struct hasher *states[STATES]; /* behind i xorbs, at i % STATES */
    size_t best;                   /* so many xorbs were a file's beginning */
    bool over;                     /* the shard has come, or the guess has failed */
    int without;                   /* shards until there is a guess again */
};

struct guess {
    struct store *store;
    pthread_mutex_t lock; /* for all of it */
    pthread_cond_t wake, idle, turn;
    pthread_t thread;
    bool running, stop, busy;
    int64_t clock;
    int64_t first_until; /* monotonic: until then a xorb that goes first has more to do */
    int others;          /* at work beside those */
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
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&guess->turn, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return guess;
}

static void begin_anew(struct session *session)
{
    for (size_t i = 0; i < STATES; i++) {
        hasher_free(session->states[i]);
        session->states[i] = NULL;
    }
    session->count = session->hashed = session->best = 0;
    session->over = false;
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
        begin_anew(&guess->sessions[i]);
    pthread_cond_destroy(&guess->turn);
    pthread_cond_destroy(&guess->idle);
    pthread_cond_destroy(&guess->wake);
    pthread_mutex_destroy(&guess->lock);
    free(guess);
}

static struct session *find(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    for (size_t i = 0; i < SESSIONS; i++)
        if (guess->sessions[i].account_id == account_id && guess->sessions[i].repo_id == repo_id)
            return account_id ? &guess->sessions[i] : NULL;
    return NULL;
}

static struct session *make(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    struct session *oldest = &guess->sessions[0];
    for (size_t i = 1; i < SESSIONS; i++)
        if (guess->sessions[i].used < oldest->used)
            oldest = &guess->sessions[i];
    begin_anew(oldest);
    oldest->account_id = account_id;
    oldest->repo_id = repo_id;
    oldest->without = 0;
    return oldest;
}

int64_t guess_begin(struct guess *guess, int64_t account_id, int64_t repo_id, int64_t since)
{
    int64_t number = 0;
    if (account_id == 0)
        return 0;
    pthread_mutex_lock(&guess->lock);
    struct session *session = find(guess, account_id, repo_id);
    session = session ? session : make(guess, account_id, repo_id);
    session->used = ++guess->clock;
    session->over |= session->count == XORBS;
    if (!session->over && session->without == 0) {
        number = guess->clock * SESSIONS + (session - guess->sessions);
        size_t at = session->count++; /* on a busy machine one request may overtake another on its way to here */
        for (; at > session->hashed && session->places[at - 1].since > since; at--)
            session->places[at] = session->places[at - 1];
        session->places[at] = (struct place){.number = number, .since = since};
    }
    pthread_mutex_unlock(&guess->lock);
    return number;
}

/* Hashing. */

struct work {
    struct guess *guess;
    struct session *session;
    struct place place;
    struct hasher *hasher;
};

/* The next xorb whose turn it is. */
static bool next_work(struct guess *guess, struct work *work)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = &guess->sessions[i];
        size_t hashed = session->hashed;
        if (hashed == session->count || session->places[hashed].xorb_id == 0 || session->over)
            continue;
        work->session = session;
        work->place = session->places[hashed];
        work->hasher = hashed ? hasher_copy(session->states[hashed % STATES]) : hasher_sha256();
        return true;
    }
    return false;
}

/* Not when the server stops, the shard has come, or the session had to make room. */
static bool is_wanted(const struct work *work)
{
    const struct session *session = work->session;
    return !work->guess->stop && !session->over && session->hashed < session->count &&
           session->places[session->hashed].number == work->place.number;
}

static enum status go_on(void *context, int64_t bytes, struct error *err)
{
    const struct work *work = context;
    (void)bytes;
    pthread_mutex_lock(&work->guess->lock);
    bool wanted = is_wanted(work);
    work->guess->first_until = monotonic_us() + MORE_US;
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
    return extents_hash(store, &extent, 1, work->hasher, go_on, work, err);
}

static void keep_state(struct work *work, enum status status)
{
    struct session *session = work->session;
    if (is_wanted(work) && status == OK) {
        struct hasher **state = &session->states[++session->hashed % STATES];
        hasher_free(*state);
        *state = work->hasher;
        pthread_cond_broadcast(&work->guess->turn);
    } else {
        session->over |= is_wanted(work);
        hasher_free(work->hasher);
    }
}

static void *run(void *context)
{
    struct guess *guess = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone */
    pthread_mutex_lock(&guess->lock);
    while (!guess->stop) {
        struct work work = {.guess = guess};
        guess->busy = next_work(guess, &work);
        if (guess->busy) {
            pthread_mutex_unlock(&guess->lock);
            enum status status = hash_xorb(&work, NULL);
            pthread_mutex_lock(&guess->lock);
            keep_state(&work, status);
        } else {
            pthread_cond_broadcast(&guess->idle);
            pthread_cond_wait(&guess->wake, &guess->lock);
        }
    }
    pthread_mutex_unlock(&guess->lock);
    return NULL;
}

/* Where a thread cannot be had, nothing is hashed ahead. */
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
    pthread_cond_broadcast(&guess->turn);
}

/* The front: the xorb that comes behind all that is hashed. */

static bool is_front(const struct guess *guess, int64_t number)
{
    const struct session *session = &guess->sessions[number % SESSIONS];
    return number && !session->over && session->hashed < session->count &&
           session->places[session->hashed].number == number;
}

struct hasher *guess_front(struct guess *guess, int64_t number)
{
    struct session *session = &guess->sessions[number % SESSIONS];
    struct hasher *hasher = NULL;
    pthread_mutex_lock(&guess->lock);
    if (is_front(guess, number))
        hasher = session->hashed ? hasher_copy(session->states[session->hashed % STATES]) : hasher_sha256();
    pthread_mutex_unlock(&guess->lock);
    return hasher;
}

int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

bool guess_turn(struct guess *guess, int64_t number)
{
    int64_t now = monotonic_us(), patience = now + PATIENCE_US;
    pthread_mutex_lock(&guess->lock);
    bool first = number == 0 || is_front(guess, number);
    while (!first && now < patience && now < guess->first_until &&
           guess->others + 2 >= processors() /* the front has two */) {
        int64_t until = patience < guess->first_until ? patience : guess->first_until;
        const struct timespec time = {.tv_sec = until / SECOND_US, .tv_nsec = until % SECOND_US * 1000};
        pthread_cond_timedwait(&guess->turn, &guess->lock, &time);
        now = monotonic_us();
        first = is_front(guess, number);
    }
    guess->others += !first;
    pthread_mutex_unlock(&guess->lock);
    return first;
}

void guess_turn_end(struct guess *guess, int64_t number, bool first, bool more)
{
    pthread_mutex_lock(&guess->lock);
    guess->others -= !first;
    if (is_front(guess, number))
        guess->first_until = more ? monotonic_us() + MORE_US : guess->first_until;
    if (!first)
        pthread_cond_broadcast(&guess->turn);
    pthread_mutex_unlock(&guess->lock);
}

void guess_hashed(struct guess *guess, int64_t number, struct hasher *hasher)
{
    struct session *session = &guess->sessions[number % SESSIONS];
    pthread_mutex_lock(&guess->lock);
    if (is_front(guess, number)) {
        struct hasher **state = &session->states[++session->hashed % STATES], *before = *state;
        *state = hasher;
        hasher = before;
        wake(guess);
    }
    pthread_mutex_unlock(&guess->lock);
    hasher_free(hasher);
}

void guess_came(struct guess *guess, int64_t number, int64_t xorb_id)
{
    struct session *session = &guess->sessions[number % SESSIONS];
    pthread_mutex_lock(&guess->lock);
    for (size_t i = 0; i < session->count; i++) {
        struct place *place = &session->places[i];
        if (place->number != number)
            continue;
        if (xorb_id)
            place->xorb_id = xorb_id;
        else if (i < session->hashed) /* it was verified, and could not be kept */
            session->over = true;
        else
            memmove(place, place + 1, (--session->count - i) * sizeof *place);
        wake(guess);
        break;
    }
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

struct hasher *guess_take(struct guess *guess, int64_t account_id, int64_t repo_id, const struct extent *extents,
                          size_t count, size_t *done)
{
    struct hasher *hasher = NULL;
    size_t same = 0;
    *done = 0;
    pthread_mutex_lock(&guess->lock);
    struct session *session = find(guess, account_id, repo_id);
    while (session && same < count && same < session->hashed &&
           extents[same].xorb.id == session->places[same].xorb_id && extents[same].start == 0 &&
           extents[same].end == extents[same].xorb.chunks)
        same++;
    if (session) {
        session->over = true;
        session->best = same > session->best ? same : session->best;
    }
    if (same > 0 && session->hashed - same < STATES) {
        hasher = hasher_copy(session->states[same % STATES]);
        *done = same;
    }
    pthread_mutex_unlock(&guess->lock);
    return hasher ? hasher : hasher_sha256();
}

void guess_end(struct guess *guess, int64_t account_id, int64_t repo_id)
{
    pthread_mutex_lock(&guess->lock);
    struct session *session = find(guess, account_id, repo_id);
    if (session) {
        session->without -= session->without > 0;
        if (session->best * 2 < session->hashed)
            session->without = SHARDS_WITHOUT;
        begin_anew(session);
    }
    pthread_mutex_unlock(&guess->lock);
}
