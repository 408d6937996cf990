/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys that lie about only to be found: whoever uses one has looked where nobody should. */
#include "access/log.h"
#include "base/time.h"
#include "identity/key.h"
#include "misuse/internal.h"
#include "notice/notice.h"
#include "signin/signin.h"
#include <pthread.h>
#include <stdio.h>

#define ALARMS_MOST 64                      /* that wait at once; more tell nothing new */
#define CALM_US (INT64_C(3600) * SECOND_US) /* between two notices about one key */
#define NOTE_MOST 1000
#define KEYS_MOST 100 /* of one person, by that person */

/* Making one. */

struct making {
    struct arena *arena;
    struct str account, note, token;
    int64_t most; /* of the account; 0: whatever it has */
};

static const char make_sql[] = "INSERT INTO honey_key (secret_sha256, account_id, note, made_us) VALUES (?, ?, ?, ?)";

static enum status check_room(struct db_conn *tx, const struct making *m, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    if (!m->most)
        return OK;
    TRY(db_prepare(tx, "SELECT count(*) FROM honey_key WHERE account_id = ?", &row, err));
    stmt_bind_int(row, 1, account_id);
    bool full = stmt_next(row) && stmt_int(row, 0) >= m->most;
    TRY(stmt_end(row, err));
    return full ? fail(err, CONFLICT, NULL, "You have laid %lld honey keys, and may not lay more.", (long long)m->most)
                : OK;
}

static enum status make_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct making *m = context;
    struct account account = {0};
    uint8_t digest[SHA256_SIZE];
    auto_stmt struct stmt *insert = NULL;
    if (str_given(m->account))
        TRY(account_find(tx, m->arena, m->account, &account, err));
    TRY(check_room(tx, m, account.id, err));
    sha256(m->token, digest);
    TRY(db_prepare(tx, make_sql, &insert, err));
    stmt_bind_blob(insert, 1, digest, sizeof digest);
    stmt_bind_int(insert, 2, account.id);
    stmt_bind_str(insert, 3, m->note);
    stmt_bind_int(insert, 4, now_us());
    TRY(stmt_run(insert, err));
    const struct step_made made = {
        .machine = "honey key", .id = db_last_id(tx), .event = "make", .from = "", .to = "laid"};
    return access_log_step(tx, &made, err);
}

static enum status make(struct db *db, struct making *making, struct error *err)
{
    making->note = str_given(making->note) ? making->note : STR("");
    if (making->note.len > NOTE_MOST || !str_is_utf8(making->note))
        return fail(err, INVALID, NULL, "A note is at most %d bytes of UTF-8", NOTE_MOST);
    making->token = key_make_token(making->arena);
    return db_write(db, make_in_write, making, err);
}

enum status honey_make(struct db *db, struct arena *arena, struct str account, struct str note, struct str *token,
                       struct error *err)
{
    struct making making = {.arena = arena, .account = account, .note = note};
    TRY(make(db, &making, err));
    *token = making.token;
    return OK;
}

/* POST /api/keys/honey {"note"?}: one for the caller's own place. Not by key, or whoever finds one could lock its owner out. */
enum status honey_post(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct making making = {.arena = rq->arena, .account = rq->actor.account.name, .most = KEYS_MOST};
    json_t *given;
    TRY(require_fresh(rq, err));
    TRY(request_json(rq, BODY_LIMIT, &given, err));
    making.note = json_get_str(given, "note");
    request_done_reading(rq);
    TRY(make(rq->hub->db, &making, err));
    jw_object(&w);
    jw_key_str(&w, "token", making.token);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

/* Its use. */

struct alarm {
    int64_t id;
    char remote[48], agent[128];
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct alarm alarms[ALARMS_MOST];
static size_t alarm_count;

static const char find_sql[] = "SELECT id FROM honey_key WHERE secret_sha256 = ?";

static int64_t find(struct request *rq, struct str token)
{
    auto_stmt struct stmt *row = NULL;
    uint8_t digest[SHA256_SIZE];
    sha256(token, digest);
    if (db_prepare(rq->db, find_sql, &row, NULL) != OK)
        return 0;
    stmt_bind_blob(row, 1, digest, sizeof digest);
    return stmt_next(row) ? stmt_int(row, 0) : 0;
}

/* The answer is that to any wrong key, and takes as long: the alarm is raised by a job. */
void honey_wrong_key(struct request *rq, struct str token)
{
    int64_t id = key_is_ours(token) ? find(rq, token) : 0;
    if (!id)
        return;
    struct alarm alarm = {.id = id};
    snprintf(alarm.remote, sizeof alarm.remote, "%.*s", STR_ARG(request_remote(rq)));
    snprintf(alarm.agent, sizeof alarm.agent, "%.*s", STR_ARG(http_header(rq->http, "user-agent")));
    pthread_mutex_lock(&lock);
    if (alarm_count < ALARMS_MOST)
        alarms[alarm_count++] = alarm;
    pthread_mutex_unlock(&lock);
}

/* The alarm. */

struct round {
    struct alarm all[ALARMS_MOST];
    size_t count;
};

static const char read_sql[] = "SELECT account_id, note, used_us FROM honey_key WHERE id = ?";
static const char used_sql[] = "UPDATE honey_key SET used_us = ? WHERE id = ?";

static enum status tell(struct db_conn *tx, const struct alarm *alarm, struct str note, struct error *err)
{
    auto_arena struct arena arena = {0};
    const struct step_made made = {
        .machine = "honey key", .id = alarm->id, .event = "use", .from = "laid", .to = "laid"};
    TRY(access_log_step(tx, &made, err));
    return notice_board(
        tx, 0, "honey.used",
        arena_printf(&arena, "Honey key %lld was used, from the address %s, by the program \"%s\". Its note: %.*s",
                     (long long)alarm->id, alarm->remote, alarm->agent, STR_ARG(note)),
        err);
}

static enum status sound(struct db_conn *tx, const struct alarm *alarm, struct error *err)
{
    auto_stmt struct stmt *row = NULL, *used = NULL;
    int64_t now = now_us(), account_id = 0;
    TRY(db_prepare(tx, read_sql, &row, err));
    stmt_bind_int(row, 1, alarm->id);
    bool again = !stmt_next(row) || now - stmt_int(row, 2) < CALM_US;
    if (!again) {
        account_id = stmt_int(row, 0);
        TRY(tell(tx, alarm, stmt_str(row, 1), err));
    }
    TRY(stmt_end(row, err));
    if (again)
        return OK;
    TRY(db_prepare(tx, used_sql, &used, err));
    stmt_bind_int(used, 1, now);
    stmt_bind_int(used, 2, alarm->id);
    TRY(stmt_run(used, err));
    return account_id ? cases_raise(tx, account_id, 0, 1U << HONEY, err) : OK;
}

static enum status sound_all(struct db_conn *tx, void *context, struct error *err)
{
    const struct round *r = context;
    for (size_t i = 0; i < r->count; i++)
        TRY(sound(tx, &r->all[i], err));
    return OK;
}

enum status honey_run(struct hub *hub, struct error *err)
{
    struct round r;
    pthread_mutex_lock(&lock);
    memcpy(r.all, alarms, sizeof alarms);
    r.count = alarm_count;
    alarm_count = 0;
    pthread_mutex_unlock(&lock);
    return r.count ? db_write(hub->db, sound_all, &r, err) : OK;
}
