/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/password.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/internal.h"
#include "identity/session.h"
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define PASSES 2
#define MEMORY (19 * 1024 * 1024)
#define WAITING_MOST 16
#define NICENESS 10

_Static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "as libsodium writes them");

/* Few at once. */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t free;
    unsigned busy, waiting;
} room = {.lock = PTHREAD_MUTEX_INITIALIZER, .free = PTHREAD_COND_INITIALIZER};

static unsigned at_once(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 3 ? (unsigned)processors / 2 : 1;
}

static enum status enter(struct error *err)
{
    pthread_mutex_lock(&room.lock);
    bool full = room.waiting == WAITING_MOST;
    if (!full) {
        room.waiting++;
        while (room.busy >= at_once())
            pthread_cond_wait(&room.free, &room.lock);
        room.waiting--;
        room.busy++;
    }
    pthread_mutex_unlock(&room.lock);
    return full ? fail(err, TOO_MANY, NULL, "Too many people sign in at this moment; try again in a few seconds.") : OK;
}

static void leave(void)
{
    pthread_mutex_lock(&room.lock);
    room.busy--;
    pthread_cond_signal(&room.free);
    pthread_mutex_unlock(&room.lock);
}

struct work {
    struct str password;
    char hash[PASSWORD_HASH_SIZE];
    bool make; /* else compare */
    bool done;
};

static void *do_work(void *context)
{
    struct work *work = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone, which ends with the work */
    work->done =
        work->make
            ? crypto_pwhash_argon2id_str(work->hash, work->password.data, work->password.len, PASSES, MEMORY) == 0
            : crypto_pwhash_argon2id_str_verify(work->hash, work->password.data, work->password.len) == 0;
    return NULL;
}

static enum status run(struct work *work, struct error *err)
{
    pthread_t thread;
    TRY(enter(err));
    bool started = pthread_create(&thread, NULL, do_work, work) == 0;
    if (started)
        pthread_join(thread, NULL);
    leave();
    return started ? OK : fail(err, UNAVAILABLE, NULL, "The hub is too busy to check a password; try again later.");
}

static pthread_once_t sodium_once = PTHREAD_ONCE_INIT;
static void start_sodium(void)
{
    if (sodium_init() < 0)
        abort();
}

enum status password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct error *err)
{
    struct work work = {.password = password, .make = true};
    pthread_once(&sodium_once, start_sodium);
    TRY(run(&work, err));
    if (!work.done)
        return fail(err, UNAVAILABLE, NULL, "There is not enough memory to keep a password; try again later.");
    memcpy(out, work.hash, sizeof work.hash);
    return OK;
}

/* What the passwords of people who have none are compared with. No password has this hash: it was never made of one. */
static char nobodys[PASSWORD_HASH_SIZE];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void make_nobodys(void)
{
    char random[32];
    random_bytes(random, sizeof random);
    pthread_once(&sodium_once, start_sodium);
    if (crypto_pwhash_argon2id_str(nobodys, random, sizeof random, PASSES, MEMORY) != 0)
        abort();
}

enum status password_matches(struct str hash, struct str password, bool *matches, struct error *err)
{
    struct work work = {.password = password};
    pthread_once(&once, make_nobodys);
    bool known = str_given(hash) && hash.len < sizeof work.hash;
    if (known)
        memcpy(work.hash, hash.data, hash.len);
    else
        memcpy(work.hash, nobodys, sizeof work.hash);
    TRY(run(&work, err));
    *matches = known && work.done;
    return OK;
}

/* Setting one. */

enum status password_check(struct str password, struct str name, struct error *err)
{
    if (password.len < PASSWORD_LEAST || password.len > PASSWORD_MOST || !str_is_utf8(password) ||
        memchr(password.data, 0, password.len))
        return fail(err, INVALID, NULL,
                    "A password has %d to %d bytes of text: a few words are easiest to keep in mind", PASSWORD_LEAST,
                    PASSWORD_MOST);
    bool same = true;
    for (size_t i = 1; same && i < password.len; i++)
        same = password.data[i] == password.data[0];
    if (same || str_eq_nocase(password, name))
        return fail(err, INVALID, NULL, "That password would be among the first that anybody guesses");
    return OK;
}

struct setting {
    struct str user;
    char hash[PASSWORD_HASH_SIZE];
    int64_t keep_session_id, by_id;
    struct arena arena;
};

static const char set_sql[] = "INSERT INTO password (account_id, hash, set_us) VALUES (?, ?, ?) "
                              "ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash, set_us = excluded.set_us";

static enum status write_password(struct db_conn *tx, void *context, struct error *err)
{
    struct setting *setting = context;
    struct account user;
    int64_t ended;
    auto_stmt struct stmt *set = NULL;
    TRY(account_find_kind(tx, &setting->arena, setting->user, ACCOUNT_USER, &user, err));
    TRY(db_prepare(tx, set_sql, &set, err));
    stmt_bind_int(set, 1, user.id);
    stmt_bind_str(set, 2, str_of(setting->hash));
    stmt_bind_int(set, 3, now_us());
    TRY(stmt_run(set, err));
    TRY(sessions_end(tx, user.id, setting->keep_session_id, &ended, err));
    return signin_event_append(
        tx, &(struct signin_event){.kind = EVENT_PASSWORD_SET, .user_id = user.id, .by_id = setting->by_id}, err);
}

enum status password_set(struct db *db, struct str user, struct str password, int64_t keep_session_id, int64_t by_id,
                         struct error *err)
{
    struct setting setting = {.user = user, .keep_session_id = keep_session_id, .by_id = by_id};
    TRY(password_check(password, user, err));
    TRY(password_hash(password, setting.hash, err));
    enum status status = db_write(db, write_password, &setting, err);
    arena_free(&setting.arena);
    return status;
}

/* Looking for one. */

static const char find_sql[] =
    "SELECT p.hash, EXISTS (SELECT 1 FROM totp t WHERE t.account_id = a.id AND t.confirmed = 1), "
    "EXISTS (SELECT 1 FROM passkey k WHERE k.account_id = a.id), " ACCOUNT_COLUMNS
    " FROM account a LEFT JOIN password p ON p.account_id = a.id WHERE a.name_folded = ? AND a.erased_us IS NULL";

enum status sign_in_find(struct db_conn *conn, struct arena *arena, struct str user, struct sign_in *out,
                         struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    *out = (struct sign_in){0};
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_str(find, 1, str_lower(arena, str_slice(user, 0, 256)));
    if (stmt_next(find)) {
        out->found = !stmt_is_null(find, 0);
        out->password_hash = out->found ? arena_copy(arena, stmt_str(find, 0)) : (struct str){0};
        out->has_totp = stmt_int(find, 1) != 0;
        out->has_passkey = stmt_int(find, 2) != 0;
        account_read(find, 3, arena, &out->account);
    }
    return stmt_end(find, err);
}
