/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/session.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/internal.h"
#include "identity/key.h"

#define TOKEN_LEN 32 /* 62^32 is a little more than 2^190 */
#define AGENT_LIMIT 200

enum status signin_event_append(struct db_conn *tx, const struct signin_event *what, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "user", what->user_id);
    if (what->session_id)
        jw_key_int(&w, "session", what->session_id);
    if (what->level)
        jw_key_str(&w, "level", auth_level_name(what->level));
    if (what->passkey)
        jw_key_hex(&w, "passkey", what->passkey, SHA256_SIZE);
    jw_end(&w);
    const struct event event = {.kind = &identity_events[what->kind], .actor_id = what->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

/* Beginning. */

static const char create_sql[] = "INSERT INTO session (id, account_id, token_sha256, level, auth_us, created_us, "
                                 "used_us, ends_us, agent, remote) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char crowd_sql[] = "DELETE FROM session WHERE account_id = ? AND id NOT IN (SELECT id FROM session WHERE "
                                "account_id = ? ORDER BY created_us DESC, id DESC LIMIT ?)";

/* Browsers say ASCII; whatever else comes is not worth more than its absence. */
static struct str plain_agent(struct str agent)
{
    agent = str_slice(agent, 0, AGENT_LIMIT);
    for (size_t i = 0; i < agent.len; i++)
        if (agent.data[i] < 0x20 || agent.data[i] > 0x7e)
            return STR("");
    return str_given(agent) ? agent : STR("");
}

static enum status thin_out(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *crowd = NULL;
    TRY(db_prepare(tx, crowd_sql, &crowd, err));
    stmt_bind_int(crowd, 1, account_id);
    stmt_bind_int(crowd, 2, account_id);
    stmt_bind_int(crowd, 3, SESSIONS_MOST);
    return stmt_run(crowd, err);
}

static int64_t random_id(void)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    return SESSION_FIRST + (int64_t)(random % (uint64_t)SESSION_FIRST);
}

enum status session_create(struct db_conn *tx, struct arena *arena, const struct session_new *what, struct str *token,
                           int64_t *id, struct error *err)
{
    char digits[TOKEN_LEN];
    uint8_t digest[SHA256_SIZE];
    int64_t now = now_us();
    auto_stmt struct stmt *create = NULL;
    random_digits(digits, sizeof digits);
    *token = arena_copy(arena, (struct str){digits, sizeof digits});
    *id = random_id();
    sha256(*token, digest);
    TRY(db_prepare(tx, create_sql, &create, err));
    stmt_bind_int(create, 1, *id);
    stmt_bind_int(create, 2, what->account_id);
    stmt_bind_blob(create, 3, digest, sizeof digest);
    stmt_bind_int(create, 4, what->level);
    for (int column = 5; column <= 7; column++)
        stmt_bind_int(create, column, now);
    stmt_bind_int(create, 8, now + SESSION_DAYS * DAY_US);
    stmt_bind_str(create, 9, plain_agent(what->agent));
    stmt_bind_str(create, 10, str_given(what->remote) ? what->remote : STR(""));
    TRY(stmt_run(create, err));
    TRY(thin_out(tx, what->account_id, err));
    return signin_event_append(tx,
                               &(struct signin_event){.kind = EVENT_SESSION_START,
                                                      .user_id = what->account_id,
                                                      .by_id = what->account_id,
                                                      .session_id = *id,
                                                      .level = what->level},
                               err);
}

/* Who asks. */

#define SESSION_SQL(condition)                                                                                         \
    "SELECT s.id, s.level, s.auth_us, s.created_us, s.used_us, s.ends_us, " ACCOUNT_COLUMNS                            \
    " FROM session s JOIN account a ON a.id = s.account_id WHERE " condition

static const char by_token_sql[] = SESSION_SQL("s.token_sha256 = ?");
static const char by_id_sql[] = SESSION_SQL("s.id = ?");

static enum status read_session(struct stmt *row, struct arena *arena, struct actor *out, bool *alive,
                                struct error *err)
{
    int64_t now = now_us();
    *alive = stmt_next(row);
    if (*alive) {
        struct actor actor = {.key_id = stmt_int(row, 0),
                              .key_name = STR("session"),
                              .key_role = ROLE_WRITE,
                              .key_created_us = stmt_int(row, 3),
                              .key_ends_us = stmt_int(row, 5),
                              .is_session = true,
                              .country = out->country,
                              .level = (enum auth_level)stmt_int(row, 1),
                              .shown = (enum auth_level)stmt_int(row, 1),
                              .auth_us = stmt_int(row, 2)};
        int64_t used_us = key_used_last(actor.key_id, false, stmt_int(row, 4));
        account_read(row, 6, arena, &actor.account);
        *alive = actor.key_ends_us > now && used_us + SESSION_IDLE_DAYS * DAY_US > now;
        if (*alive)
            *out = actor;
    }
    TRY(stmt_end(row, err));
    if (*alive)
        key_used(out->key_id, false, now);
    return OK;
}

enum status session_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct actor *out,
                                 struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    auto_stmt struct stmt *find = NULL;
    bool alive = false;
    if (token.len == TOKEN_LEN) {
        sha256(token, digest);
        TRY(db_prepare(conn, by_token_sql, &find, err));
        stmt_bind_blob(find, 1, digest, sizeof digest);
        TRY(read_session(find, arena, out, &alive, err));
    }
    return alive ? OK : fail(err, NOT_FOUND, NULL, "This session has ended: sign in again");
}

enum status actor_of_session(struct db_conn *conn, struct arena *arena, int64_t id, struct actor *out,
                             struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    bool alive;
    TRY(db_prepare(conn, by_id_sql, &find, err));
    stmt_bind_int(find, 1, id);
    TRY(read_session(find, arena, out, &alive, err));
    return alive ? OK : fail_credentials(NULL, err);
}

/* Changing and ending. */

static const char raise_sql[] = "UPDATE session SET level = ?, auth_us = ? WHERE id = ? AND level <= ?";
static const char whose_sql[] = "SELECT account_id FROM session WHERE id = ?";

enum status session_raise(struct db_conn *tx, int64_t id, enum auth_level level, struct error *err)
{
    auto_stmt struct stmt *raise = NULL, *whose = NULL;
    TRY(db_prepare(tx, raise_sql, &raise, err));
    stmt_bind_int(raise, 1, level);
    stmt_bind_int(raise, 2, now_us());
    stmt_bind_int(raise, 3, id);
    stmt_bind_int(raise, 4, level);
    TRY(stmt_run(raise, err));
    if (db_changes(tx) == 0)
        return OK;
    TRY(db_prepare(tx, whose_sql, &whose, err));
    stmt_bind_int(whose, 1, id);
    int64_t account_id = stmt_next(whose) ? stmt_int(whose, 0) : 0;
    TRY(stmt_end(whose, err));
    return signin_event_append(
        tx,
        &(struct signin_event){
            .kind = EVENT_SESSION_RAISE, .user_id = account_id, .by_id = account_id, .session_id = id, .level = level},
        err);
}

static const char end_sql[] = "DELETE FROM session WHERE account_id = ? AND id = ?";
static const char end_all_sql[] = "DELETE FROM session WHERE account_id = ? AND id <> ?";
static const char sweep_sql[] = "DELETE FROM session WHERE ends_us <= ? OR used_us <= ?";

static enum status end(struct db_conn *tx, const char *sql, int64_t account_id, int64_t id, int64_t *count,
                       struct error *err)
{
    auto_stmt struct stmt *delete = NULL;
    TRY(db_prepare(tx, sql, &delete, err));
    stmt_bind_int(delete, 1, account_id);
    stmt_bind_int(delete, 2, id);
    TRY(stmt_run(delete, err));
    *count = db_changes(tx);
    if (*count == 0)
        return OK;
    const struct signin_event event = {
        .kind = EVENT_SESSION_END, .user_id = account_id, .by_id = account_id, .session_id = sql == end_sql ? id : 0};
    return signin_event_append(tx, &event, err);
}

enum status session_end(struct db_conn *tx, int64_t account_id, int64_t id, struct error *err)
{
    int64_t count;
    TRY(end(tx, end_sql, account_id, id, &count, err));
    return count ? OK : fail(err, NOT_FOUND, NULL, "You have no such session; it may have ended already.");
}

enum status sessions_end(struct db_conn *tx, int64_t account_id, int64_t keep_id, int64_t *count, struct error *err)
{
    return end(tx, end_all_sql, account_id, keep_id, count, err);
}

enum status sessions_sweep(struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *sweep = NULL;
    int64_t now = now_us();
    TRY(db_prepare(tx, sweep_sql, &sweep, err));
    stmt_bind_int(sweep, 1, now);
    stmt_bind_int(sweep, 2, now - SESSION_IDLE_DAYS * DAY_US);
    return stmt_run(sweep, err);
}
