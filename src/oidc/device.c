/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device flow (RFC 8628), as `hf auth login` uses it: a program shows a code, a person who is signed in allows it. */
#include "base/network.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/attempts.h"
#include "identity/key.h"
#include "oidc/handlers.h"
#include "signin/html.h"

#define CODE_SECONDS 900
#define CODES_OF_NETWORK 20 /* open at once; who has more is not signing in */
#define CODES_MOST 10000
#define POLL_SECONDS 5
#define CODE_LEN 8
#define NAME_MOST 80

enum device_state { PENDING, ALLOWED, DENIED, TAKEN };

/* No vowels, so that no words come up, and nothing that is read as something else. 20^8 is 2^34. */
static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";

static void draw_code(char out[CODE_LEN])
{
    for (size_t i = 0; i < CODE_LEN;) {
        uint8_t random;
        random_bytes(&random, 1);
        if (random < 240)
            out[i++] = letters[random % 20];
    }
}

static struct str show_code(struct arena *arena, struct str code)
{
    return arena_printf(arena, "%.*s-%.*s", 4, code.data, 4, code.data + 4);
}

/* As people type it: in either case, with or without the dash. Absent for what can be no code. */
static struct str read_code(struct arena *arena, struct str typed)
{
    char *out = arena_alloc(arena, CODE_LEN);
    size_t len = 0;
    for (size_t i = 0; i < typed.len; i++) {
        char c = typed.data[i] >= 'a' && typed.data[i] <= 'z' ? (char)(typed.data[i] - 32) : typed.data[i];
        if (c == '-' || c == ' ')
            continue;
        if (len == CODE_LEN || !c || !strchr(letters, c))
            return (struct str){0};
        out[len++] = c;
    }
    return len == CODE_LEN ? (struct str){out, len} : (struct str){0};
}

/* Asking for a code. */

struct opening {
    struct str client_id, agent, remote;
    uint8_t digest[SHA256_SIZE];
    char code[CODE_LEN];
    struct network network;
    bool crowded;
};

static const char crowd_sql[] = "SELECT (SELECT count(*) FROM oauth_device WHERE network = ? AND ends_us > ?), "
                                "(SELECT count(*) FROM oauth_device WHERE ends_us > ?)";
static const char open_sql[] = "INSERT INTO oauth_device (device_sha256, user_code, client_id, agent, remote, network, "
                               "state, account_id, name, role, ends_us) VALUES (?, ?, ?, ?, ?, ?, 0, 0, '', 0, ?)";

static enum status open_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct opening *opening = context;
    auto_stmt struct stmt *crowd = NULL, *insert = NULL;
    int64_t now = now_us();
    TRY(db_prepare(tx, crowd_sql, &crowd, err));
    stmt_bind_blob(crowd, 1, opening->network.bytes, sizeof opening->network.bytes);
    stmt_bind_int(crowd, 2, now);
    stmt_bind_int(crowd, 3, now);
    opening->crowded = stmt_next(crowd) && (stmt_int(crowd, 0) >= CODES_OF_NETWORK || stmt_int(crowd, 1) >= CODES_MOST);
    TRY(stmt_end(crowd, err));
    if (opening->crowded)
        return OK;
    TRY(db_prepare(tx, open_sql, &insert, err));
    stmt_bind_blob(insert, 1, opening->digest, sizeof opening->digest);
    stmt_bind_str(insert, 2, (struct str){opening->code, CODE_LEN});
    stmt_bind_str(insert, 3, opening->client_id);
    stmt_bind_str(insert, 4, opening->agent);
    stmt_bind_str(insert, 5, opening->remote);
    stmt_bind_blob(insert, 6, opening->network.bytes, sizeof opening->network.bytes);
    stmt_bind_int(insert, 7, now + CODE_SECONDS * SECOND_US);
    return stmt_run(insert, err);
}

static struct str plain(struct str text, size_t most)
{
    text = str_slice(text, 0, most);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return STR("");
    return str_given(text) ? text : STR("");
}

/* POST /oauth/device client_id: any, as it proves nothing; but the one that asks for the token must be the same. */
enum status device_code_post(struct request *rq, struct error *err)
{
    struct oauth_form form;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(oauth_form_read(rq, &form, err));
    struct opening opening = {.client_id = plain(oauth_form_get(rq, &form, "client_id"), 200),
                              .agent = plain(http_header(rq->http, "user-agent"), 200),
                              .remote = request_remote(rq)};
    if (!opening.client_id.len) {
        oauth_refuse(rq, "invalid_request", "client_id is missing");
        return OK;
    }
    network_address(opening.remote, &opening.network);
    opening.network = network_around(&opening.network);
    struct str device_code = oauth_secret(rq->arena, opening.digest);
    draw_code(opening.code);
    TRY(db_write(rq->hub->db, open_in_write, &opening, err));
    if (opening.crowded) {
        reply_header(rq->http, "Retry-After", "60");
        return fail(err, TOO_MANY, "SlowDown",
                    "Too many devices wait to be allowed from your network: try again later");
    }
    struct str code = show_code(rq->arena, (struct str){opening.code, CODE_LEN}), base = request_base_url(rq);
    jw_object(&w);
    jw_key_str(&w, "device_code", device_code);
    jw_key_str(&w, "user_code", code);
    jw_key_str(&w, "verification_uri", arena_printf(rq->arena, "%.*s/device", STR_ARG(base)));
    jw_key_str(&w, "verification_uri_complete",
               arena_printf(rq->arena, "%.*s/device?user_code=%.*s", STR_ARG(base), STR_ARG(code)));
    jw_key_int(&w, "expires_in", CODE_SECONDS);
    jw_key_int(&w, "interval", POLL_SECONDS);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

/* The page. */

static void reply_code_form(struct request *rq, int status, struct str code, struct str trouble)
{
    auto_buf struct buf page = {0};
    html_begin(&page, "Sign in a device", "", "");
    html_put(&page,
             "<h1>Sign in a device</h1><p class=\"soft\">Type the code that the program shows. You are %s.</p>"
             "<div class=\"bad\" role=\"alert\">%s</div>",
             rq->actor.account.name, trouble);
    html_put(&page,
             "<form method=\"post\" action=\"device\"><label>Code<input name=\"user_code\" autocomplete=\"off\" "
             "autocapitalize=\"characters\" spellcheck=\"false\" required value=\"%s\"></label>"
             "<button>Go on</button></form>",
             code, (struct str){0});
    html_reply(rq, status, &page, (struct str){0});
}

/* GET /device?user_code=: looks nothing up, so that it helps nobody to guess. */
enum status device_get(struct request *rq, struct error *err)
{
    (void)err;
    if (!rq->actor.is_session)
        ask_to_sign_in(rq, "device", rq->http->query);
    else
        reply_code_form(rq, 200, plain(request_query(rq, "user_code", 0), 20), (struct str){0});
    return OK;
}

/* What the program calls itself, as far as that is one word. */
static struct str name_for(struct request *rq, struct str agent, struct str code)
{
    char *word = arena_cstr(rq->arena, str_slice(agent, 0, 40));
    word[strcspn(word, " ;()")] = 0;
    for (char *at = word; *at; at++)
        if (*at == '/')
            *at = ' ';
    return arena_printf(rq->arena, "%s %.*s", word[0] ? word : "device", STR_ARG(show_code(rq->arena, code)));
}

static void reply_question(struct request *rq, struct str code, struct str agent, struct str remote, struct str trouble)
{
    auto_buf struct buf page = {0};
    html_begin(&page, "Sign in a device", "", "");
    html_put(&page, "<h1>Is it you?</h1><p>A program asks to act as <b>%s</b>. Its code is <b>%s</b>.</p>",
             rq->actor.account.name, show_code(rq->arena, code));
    html_put(&page, "<p class=\"soft\">It calls itself %s, and asks from the address %s.</p>",
             agent.len ? agent : STR("nothing"), remote);
    html_put(&page,
             "<p><b>Go on only if you have just started this yourself.</b> Whoever sent you a code or a link would get "
             "your account.</p><div class=\"bad\" role=\"alert\">%s</div>"
             "<form method=\"post\" action=\"device\"><input type=\"hidden\" name=\"user_code\" value=\"%s\">",
             trouble, code);
    html_put(&page,
             "<label>Name of its token<input name=\"name\" maxlength=\"80\" required value=\"%s\"></label>"
             "<label>It may<select name=\"role\"><option value=\"write\">read and write</option><option "
             "value=\"read\">read</option></select></label>"
             "<button name=\"decision\" value=\"allow\">Allow</button><div class=\"or\">or</div>"
             "<button class=\"plain\" name=\"decision\" value=\"deny\" formnovalidate>Refuse</button></form>",
             name_for(rq, agent, code), (struct str){0});
    html_reply(rq, str_given(trouble) ? 400 : 200, &page, (struct str){0});
}

struct decision {
    struct str code, name;
    bool allowed, done;
    enum role role;
    int64_t account_id;
    enum auth_level shown;
};

static const char find_sql[] =
    "SELECT agent, remote FROM oauth_device WHERE user_code = ? AND state = 0 AND ends_us > ?";
static const char decide_sql[] = "UPDATE oauth_device SET state = ?, account_id = ?, name = ?, role = ?, level = ? "
                                 "WHERE user_code = ? AND state = 0 AND ends_us > ?";
static const char taken_sql[] = "SELECT 1 FROM api_key WHERE account_id = ? AND name = ? AND revoked_us IS NULL";

static enum status decide_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct decision *decision = context;
    auto_stmt struct stmt *update = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(db_prepare(tx, decide_sql, &update, err));
    stmt_bind_int(update, 1, decision->allowed ? ALLOWED : DENIED);
    stmt_bind_int(update, 2, decision->account_id);
    stmt_bind_str(update, 3, decision->allowed ? decision->name : STR(""));
    stmt_bind_int(update, 4, decision->role);
    stmt_bind_int(update, 5, decision->shown);
    stmt_bind_str(update, 6, decision->code);
    stmt_bind_int(update, 7, now_us());
    TRY(stmt_run(update, err));
    decision->done = db_changes(tx) == 1;
    if (!decision->done)
        return OK;
    jw_object(&w);
    jw_key_int(&w, "user", decision->account_id);
    jw_key_bool(&w, "allowed", decision->allowed);
    jw_end(&w);
    const struct event event = {
        .kind = &oidc_events[EVENT_DEVICE], .actor_id = decision->account_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static enum status find_open(struct request *rq, struct str code, bool *found, struct str *agent, struct str *remote,
                             struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(request_read(rq, err));
    TRY(db_prepare(rq->db, find_sql, &find, err));
    stmt_bind_str(find, 1, code);
    stmt_bind_int(find, 2, now_us());
    *found = stmt_next(find);
    if (*found) {
        *agent = arena_copy(rq->arena, stmt_str(find, 0));
        *remote = arena_copy(rq->arena, stmt_str(find, 1));
    }
    return stmt_end(find, err);
}

static enum status name_trouble(struct request *rq, struct str name, struct str *trouble, struct error *err)
{
    auto_stmt struct stmt *taken = NULL;
    bool good = name.len >= 1 && name.len <= NAME_MOST && str_is_utf8(name);
    for (size_t i = 0; good && i < name.len; i++)
        good = (unsigned char)name.data[i] >= 0x20 && name.data[i] != 0x7f;
    TRY(db_prepare(rq->db, taken_sql, &taken, err));
    stmt_bind_int(taken, 1, rq->actor.account.id);
    stmt_bind_str(taken, 2, good ? name : STR(""));
    if (stmt_next(taken))
        *trouble = STR("You have a token of that name already.");
    if (!good)
        *trouble = STR("The name is one line of at most 80 bytes.");
    return stmt_end(taken, err);
}

static void reply_done(struct request *rq, bool allowed)
{
    auto_buf struct buf page = {0};
    html_begin(&page, "Sign in a device", "", "");
    html_put(&page,
             allowed ? "<h1>Allowed</h1><p>The program goes on by itself. Its token is among your others, and can be "
                       "revoked there.</p>"
                     : "<h1>Refused</h1><p>The program gets nothing.</p>",
             (struct str){0}, (struct str){0});
    html_reply(rq, 200, &page, (struct str){0});
}

/* The code has been counted as a guess, and is one that waits. */
static enum status answer_open(struct request *rq, const struct oauth_form *form, struct str code, struct str agent,
                               struct str remote, struct error *err)
{
    struct str said = oauth_form_get(rq, form, "decision"), trouble = {0};
    struct decision decision = {.code = code,
                                .name = str_trim(oauth_form_get(rq, form, "name")),
                                .allowed = str_eq(said, STR("allow")),
                                .role = ROLE_WRITE,
                                .account_id = rq->actor.account.id,
                                .shown = rq->actor.shown};
    if (str_eq(oauth_form_get(rq, form, "role"), STR("read")))
        decision.role = ROLE_READ;
    if (decision.allowed && !str_given(decision.name))
        decision.name = name_for(rq, agent, code);
    if (decision.allowed)
        TRY(name_trouble(rq, decision.name, &trouble, err));
    if (str_given(trouble) || (!decision.allowed && !str_eq(said, STR("deny")))) {
        reply_question(rq, code, agent, remote, trouble);
        return OK;
    }
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, decide_in_write, &decision, err));
    if (!decision.done)
        return fail(err, CONFLICT, NULL, "Somebody has answered this already, or the code has ended");
    attempt_good(arena_printf(rq->arena, "device:%lld", (long long)rq->actor.account.id), request_remote(rq));
    reply_done(rq, decision.allowed);
    return OK;
}

/* POST /device user_code, then also decision, name and role. Each code that is typed counts as a guess. */
enum status device_post(struct request *rq, struct error *err)
{
    struct oauth_form form;
    struct str agent, remote;
    bool found = false;
    if (!rq->actor.is_session)
        return fail(err, FORBIDDEN, "StepUp", "A token does not allow devices: sign in with a browser");
    TRY(oauth_form_read(rq, &form, err));
    struct str typed = plain(oauth_form_get(rq, &form, "user_code"), 20), code = read_code(rq->arena, typed);
    int64_t seconds =
        attempt_begin(arena_printf(rq->arena, "device:%lld", (long long)rq->actor.account.id), request_remote(rq));
    if (seconds) {
        reply_header(rq->http, "Retry-After", "%lld", (long long)seconds);
        return fail(err, TOO_MANY, "SlowDown", "Too many codes were typed: wait %lld seconds before the next one",
                    (long long)seconds);
    }
    if (str_given(code))
        TRY(find_open(rq, code, &found, &agent, &remote, err));
    if (found)
        return answer_open(rq, &form, code, agent, remote, err);
    reply_code_form(rq, 404, typed, STR("No program waits with that code; it may have ended. Start it again."));
    return OK;
}

/* What the program gets. */

/* When each code was asked about last. Two codes that share a slot only make one of them poll unnoticed. */
static struct {
    pthread_mutex_t lock;
    uint64_t who[4096];
    int64_t at_us[4096];
} polls = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool polls_too_fast(const uint8_t digest[SHA256_SIZE])
{
    uint64_t who;
    memcpy(&who, digest, sizeof who);
    int64_t now = monotonic_us();
    size_t slot = who % (sizeof polls.who / sizeof *polls.who);
    pthread_mutex_lock(&polls.lock);
    /* A second for what the network does to an even pace. */
    bool fast = polls.who[slot] == who && now - polls.at_us[slot] < (POLL_SECONDS - 1) * SECOND_US;
    polls.who[slot] = who;
    polls.at_us[slot] = now;
    pthread_mutex_unlock(&polls.lock);
    return fast;
}

struct waiting {
    bool found;
    enum device_state state;
    int64_t account_id, ends_us;
    struct str name;
    enum role role;
    enum auth_level shown;
    uint8_t digest[SHA256_SIZE];
    bool taken; /* by this request */
};

static const char waiting_sql[] =
    "SELECT state, account_id, name, role, ends_us, level FROM oauth_device WHERE device_sha256 = ? AND client_id = ?";
static const char take_sql[] = "UPDATE oauth_device SET state = 3 WHERE device_sha256 = ? AND state = 1";

static enum status find_waiting(struct request *rq, struct str code, struct str client_id, struct waiting *out,
                                struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    *out = (struct waiting){0};
    sha256(code, out->digest);
    TRY(request_read(rq, err));
    TRY(db_prepare(rq->db, waiting_sql, &find, err));
    stmt_bind_blob(find, 1, out->digest, sizeof out->digest);
    stmt_bind_str(find, 2, client_id);
    out->found = stmt_next(find);
    if (out->found) {
        out->state = (enum device_state)stmt_int(find, 0);
        out->account_id = stmt_int(find, 1);
        out->name = arena_copy(rq->arena, stmt_str(find, 2));
        out->role = (enum role)stmt_int(find, 3);
        out->ends_us = stmt_int(find, 4);
        out->shown = (enum auth_level)stmt_int(find, 5);
    }
    return stmt_end(find, err);
}

static enum status take_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct waiting *waiting = context;
    auto_stmt struct stmt *take = NULL;
    TRY(db_prepare(tx, take_sql, &take, err));
    stmt_bind_blob(take, 1, waiting->digest, sizeof waiting->digest);
    TRY(stmt_run(take, err));
    waiting->taken = db_changes(tx) == 1;
    return OK;
}

/* The code is spent first: a key that nobody came for is better than two. */
static enum status give_key(struct request *rq, struct waiting *waiting, struct error *err)
{
    struct account account;
    struct str token;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(account_get(rq->db, rq->arena, waiting->account_id, &account, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, take_in_write, waiting, err));
    if (!waiting->taken) {
        oauth_refuse(rq, "invalid_grant", "This code has been used");
        return OK;
    }
    const struct key_new new = {.user = account.name,
                                .name = waiting->name,
                                .role = waiting->role,
                                .days = KEY_DAYS,
                                .shown = waiting->shown,
                                .by_id = account.id};
    TRY(key_create(rq->hub->db, rq->arena, &new, &token, err));
    jw_object(&w);
    jw_key_str(&w, "access_token", token);
    jw_key_str(&w, "token_type", STR("bearer"));
    jw_key_int(&w, "expires_in", (int64_t)KEY_DAYS * 86400);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

enum status device_token(struct request *rq, const struct oauth_form *form, struct error *err)
{
    struct waiting waiting;
    struct str code = oauth_form_get(rq, form, "device_code"), client = oauth_form_get(rq, form, "client_id");
    if (!str_given(code) || !str_given(client)) {
        oauth_refuse(rq, "invalid_request", "device_code and client_id are needed");
        return OK;
    }
    TRY(find_waiting(rq, code, client, &waiting, err));
    if (!waiting.found || waiting.state == TAKEN)
        oauth_refuse(rq, "invalid_grant", "There is no such code, or it has been used");
    else if (waiting.ends_us <= now_us())
        oauth_refuse(rq, "expired_token", "Nobody allowed it in time: start again");
    else if (waiting.state == DENIED)
        oauth_refuse(rq, "access_denied", "The person has refused");
    else if (waiting.state == PENDING && polls_too_fast(waiting.digest))
        oauth_refuse(rq, "slow_down", "Ask every five seconds");
    else if (waiting.state == PENDING)
        oauth_refuse(rq, "authorization_pending", "The person has not answered yet");
    else
        return give_key(rq, &waiting, err);
    return OK;
}
