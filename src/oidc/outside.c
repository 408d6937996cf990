/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signing in here with an outside provider. Somebody is who (issuer, subject) was linked to, whatever else it says. */
#include "base/text.h"
#include "base/time.h"
#include "identity/attempts.h"
#include "identity/session.h"
#include "oidc/provider.h"
#include "router/session.h"
#include "router/sign.h"
#include "signin/html.h"
#include "signin/signin.h"

#define TRIP_SECONDS 600

/*
 * The way there and back. Nothing is kept for it here: a cookie says what the browser was sent for, and state, nonce
 * and verifier are MACs of it, so that the answer fits this browser, this trip, and nothing else.
 */
struct trip {
    struct str cookie; /* "<random>.<ends>.<account to link, or 0>.<next, base64url>" */
    int64_t ends_us, link_id;
    struct str next;
};

static struct str of_trip(struct request *rq, const char *what, const struct trip *trip)
{
    return sign_text(rq, arena_printf(rq->arena, "oidc %s %.*s", what, STR_ARG(trip->cookie)));
}

static struct str cookie_name(struct request *rq)
{
    return str_starts(request_base_url(rq), STR("https:")) ? STR("__Host-cairn_oidc") : STR("cairn_oidc");
}

static void set_cookie(struct request *rq, struct str name, struct str value, int seconds)
{
    reply_header(rq->http, "Set-Cookie", "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s", STR_ARG(name),
                 STR_ARG(value), seconds, str_starts(name, STR("__Host-")) ? "; Secure" : "");
}

static struct str callback_url(struct request *rq)
{
    return arena_printf(rq->arena, "%.*s/signin/oidc/callback", STR_ARG(request_base_url(rq)));
}

static enum status need_outside(struct request *rq, struct error *err)
{
    if (str_given(rq->hub->oidc->outside.issuer))
        return OK;
    return fail(err, NOT_FOUND, NULL, "This hub has no outside provider to sign in with");
}

/* There. */

static enum status begin(struct request *rq, int64_t link_id, struct str next, struct str *url, struct error *err)
{
    uint8_t unused[SHA256_SIZE], digest[SHA256_SIZE];
    struct oidc *oidc = rq->hub->oidc;
    struct trip trip;
    request_done_reading(rq);
    TRY(provider_authorization(&oidc->outside, rq->arena, url, err));
    trip.cookie = arena_printf(rq->arena, "%.*s.%lld.%lld.%.*s", STR_ARG(oauth_secret(rq->arena, unused)),
                               (long long)(now_us() + TRIP_SECONDS * SECOND_US), (long long)link_id,
                               STR_ARG(base64url_encode(rq->arena, str_slice(next, 0, 2000))));
    sha256(of_trip(rq, "verifier", &trip), digest);
    *url = arena_printf(rq->arena,
                        "%.*s%cresponse_type=code&client_id=%.*s&redirect_uri=%.*s&scope=openid%%20profile%%20email&"
                        "state=%.*s&nonce=%.*s"
                        "&code_challenge=%.*s&code_challenge_method=S256",
                        STR_ARG(*url), str_has(*url, STR("?")) ? '&' : '?',
                        STR_ARG(percent_encode(rq->arena, oidc->client_id, false)),
                        STR_ARG(percent_encode(rq->arena, callback_url(rq), false)),
                        STR_ARG(of_trip(rq, "state", &trip)), STR_ARG(of_trip(rq, "nonce", &trip)),
                        STR_ARG(base64url_encode(rq->arena, (struct str){(const char *)digest, sizeof digest})));
    set_cookie(rq, cookie_name(rq), trip.cookie, TRIP_SECONDS);
    return OK;
}

static void redirect(struct request *rq, struct str url)
{
    reply_header(rq->http, "Location", "%.*s", STR_ARG(url));
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_bytes(rq->http, 303, STR("text/plain"), STR(""));
}

/* GET /signin/oidc?next= : to sign in. Links nothing, as any page of the world can send a browser here. */
enum status outside_get(struct request *rq, struct error *err)
{
    struct str url;
    TRY(need_outside(rq, err));
    TRY(begin(rq, 0, signin_next(request_query(rq, "next", 0)), &url, err));
    redirect(rq, url);
    return OK;
}

/* POST /signin/oidc: to link. By a page and a link, as browsers hold redirects of a form against its policy. */
enum status outside_post(struct request *rq, struct error *err)
{
    struct str url;
    auto_buf struct buf page = {0};
    TRY(need_outside(rq, err));
    TRY(require_fresh(rq, err));
    TRY(begin(rq, rq->actor.account.id, STR("signin"), &url, err));
    html_begin(&page, "Sign in elsewhere", "", "../");
    html_put(&page, "<h1>Go on at %s</h1><p><a href=\"%s\">Go on</a></p>", rq->hub->outside_name, url);
    reply_header(rq->http, "Refresh", "0; url=%.*s", STR_ARG(url));
    html_reply(rq, 200, &page, (struct str){0});
    return OK;
}

/* And back. */

static struct str find_cookie(struct request *rq, struct str wanted)
{
    struct str rest = http_header(rq->http, "cookie"), pair, name;
    while (str_given(rest) && str_cut(&rest, ';', &pair)) {
        pair = str_trim(pair);
        str_cut(&pair, '=', &name);
        if (str_eq(name, wanted) && str_given(pair))
            return pair;
    }
    return (struct str){0};
}

static enum status read_trip(struct request *rq, struct trip *out, struct error *err)
{
    struct str rest, random, ends, link, state = request_query(rq, "state", 0);
    *out = (struct trip){.cookie = find_cookie(rq, cookie_name(rq))};
    struct str wanted = of_trip(rq, "state", out);
    rest = out->cookie;
    bool good = str_given(rest) && state.len == wanted.len && equal_secret(state.data, wanted.data, wanted.len) &&
                str_cut(&rest, '.', &random) && str_cut(&rest, '.', &ends) && str_cut(&rest, '.', &link) &&
                str_given(rest) && str_to_i64(ends, &out->ends_us) && str_to_i64(link, &out->link_id) &&
                base64url_decode(rq->arena, rest, &out->next) && out->ends_us > now_us();
    out->next = signin_next(out->next);
    return good ? OK
                : fail(err, FORBIDDEN, "StateRefused",
                       "This browser was not sent to the provider by this hub just now: start again at /signin");
}

/*
 * Which browser has made an account: so that many made with one are seen (misuse). It is given to those that make one, says
 * nothing, and is kept as a hash.
 */
#define DEVICE_SECONDS (365 * 86400)
#define DEVICE_LEN 32 /* of oauth_secret() */

static struct str device_name(struct request *rq)
{
    return str_starts(request_base_url(rq), STR("https:")) ? STR("__Host-cairn_device") : STR("cairn_device");
}

static struct str find_device(struct request *rq)
{
    uint8_t unused[SHA256_SIZE];
    struct str device = find_cookie(rq, device_name(rq));
    return device.len == DEVICE_LEN ? device : oauth_secret(rq->arena, unused);
}

struct arrival {
    const struct oidc *oidc;
    struct str sub, wanted_name, full_name, email, agent, remote, token;
    struct str device; /* what the browser was given at an earlier sign-up, or is to be given at this one */
    bool is_new;
    int64_t link_id, account_id;
    struct arena arena;
};

static const char known_sql[] = "SELECT account_id FROM oidc_identity WHERE issuer = ? AND sub = ?";
static const char link_sql[] = "INSERT INTO oidc_identity (issuer, sub, account_id, created_us) VALUES (?, ?, ?, ?)";

static enum status find_known(struct db_conn *tx, struct arrival *arrival, struct error *err)
{
    auto_stmt struct stmt *known = NULL;
    TRY(db_prepare(tx, known_sql, &known, err));
    stmt_bind_str(known, 1, arrival->oidc->outside.issuer);
    stmt_bind_str(known, 2, arrival->sub);
    arrival->account_id = stmt_next(known) ? stmt_int(known, 0) : 0;
    return stmt_end(known, err);
}

/* The subject stands in no event: it is how a person is known elsewhere. issuer absent: any. */
static enum status append(struct db_conn *tx, int kind, int64_t account_id, struct str issuer, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "user", account_id);
    if (str_given(issuer))
        jw_key_str(&w, "issuer", issuer);
    jw_end(&w);
    return event_append(
        tx, &(struct event){.kind = &oidc_events[kind], .actor_id = account_id, .body = buf_view(&body)}, err);
}

static enum status link(struct db_conn *tx, struct arrival *arrival, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, link_sql, &insert, err));
    stmt_bind_str(insert, 1, arrival->oidc->outside.issuer);
    stmt_bind_str(insert, 2, arrival->sub);
    stmt_bind_int(insert, 3, arrival->account_id);
    stmt_bind_int(insert, 4, now_us());
    TRY(stmt_run(insert, err));
    return append(tx, EVENT_LINK, arrival->account_id, arrival->oidc->outside.issuer, err);
}

/* What can be a name of it, then with a number, then one that is not taken by anybody. */
static struct str name_number(struct arrival *arrival, int number)
{
    uint8_t random[4];
    if (number == 1)
        return arrival->wanted_name;
    if (number < 10)
        return arena_printf(&arrival->arena, "%.*s-%d", STR_ARG(arrival->wanted_name), number);
    random_bytes(random, sizeof random);
    return arena_printf(&arrival->arena, "person-%.*s", STR_ARG(hex_encode(&arrival->arena, random, sizeof random)));
}

static enum status sign_up(struct db_conn *tx, struct arrival *arrival, struct error *err)
{
    for (int number = 1; number <= 12; number++) {
        struct account there;
        const struct account_new new = {.kind = ACCOUNT_USER,
                                        .name = name_number(arrival, number),
                                        .full_name = arrival->full_name,
                                        .email = arrival->email};
        enum status found = account_find(tx, &arrival->arena, new.name, &there, err);
        if (found == OK)
            continue;
        if (found != NOT_FOUND)
            return found;
        enum status status = account_create_in(tx, &new, 0, &arrival->account_id, err);
        if (status != INVALID)
            return status;
    }
    return fail(err, CONFLICT, NULL, "No name could be found for you: ask whoever runs this hub for an account");
}

static enum status arrive(struct db_conn *tx, void *context, struct error *err)
{
    struct arrival *arrival = context;
    int64_t id;
    TRY(find_known(tx, arrival, err));
    if (arrival->link_id) {
        if (arrival->account_id && arrival->account_id != arrival->link_id)
            return fail(err, CONFLICT, NULL, "Another account of this hub is linked to that person already");
        bool linked = arrival->account_id != 0;
        arrival->account_id = arrival->link_id;
        return linked ? OK : link(tx, arrival, err);
    }
    if (!arrival->account_id) {
        if (!arrival->oidc->sign_up)
            return fail(err, FORBIDDEN, "NotLinked",
                        "No account of this hub is linked to you there. Sign in with a password first, and link it on "
                        "the page /signin; or ask whoever runs this hub for an account");
        TRY(sign_up(tx, arrival, err));
        TRY(account_signed_up(tx, arrival->account_id, arrival->remote, err));
        TRY(account_mark(tx, arrival->account_id, "device", arrival->device, err));
        arrival->is_new = true;
        TRY(link(tx, arrival, err));
    }
    const struct session_new new = {.account_id = arrival->account_id,
                                    .level = AUTH_PASSWORD, /* what else was shown there is not known here */
                                    .agent = arrival->agent,
                                    .remote = arrival->remote};
    return session_create(tx, &arrival->arena, &new, &arrival->token, &id, err);
}

static struct str wanted_name(struct arena *arena, struct str said)
{
    char *name = arena_alloc(arena, 41);
    size_t len = 0;
    for (size_t i = 0; i < said.len && said.data[i] != '@' && len < 40; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", said.data[i]) && said.data[i])
            name[len++] = said.data[i];
    return account_name_check((struct str){name, len}, NULL) == OK ? (struct str){name, len} : STR("person");
}

static struct str plain_name(struct arena *arena, struct str said)
{
    for (size_t i = 0; i < said.len; i++)
        if ((unsigned char)said.data[i] < 0x20 || said.data[i] == 0x7f)
            return (struct str){0};
    return said.len && said.len <= 200 && str_is_utf8(said) ? arena_copy(arena, said) : (struct str){0};
}

/* An address that the provider has not seen answered says nothing. */
static struct str verified_email(struct arena *arena, const json_t *claims)
{
    struct str email = json_get_str(claims, "email");
    return json_get_bool(claims, "email_verified", false) && str_given(email) && is_email(email)
               ? arena_copy(arena, email)
               : (struct str){0};
}

static enum status take_claims(struct request *rq, const struct trip *trip, struct arrival *arrival, struct error *err)
{
    json_t *claims = NULL;
    const struct provider_code code = {.code = request_query(rq, "code", 0),
                                       .redirect_uri = callback_url(rq),
                                       .verifier = of_trip(rq, "verifier", trip),
                                       .nonce = of_trip(rq, "nonce", trip)};
    TRY(provider_exchange(rq->hub->oidc, rq->arena, &code, &claims, err));
    *arrival = (struct arrival){.oidc = rq->hub->oidc,
                                .sub = arena_copy(rq->arena, json_get_str(claims, "sub")),
                                .wanted_name = wanted_name(rq->arena, json_get_str(claims, "preferred_username")),
                                .full_name = plain_name(rq->arena, json_get_str(claims, "name")),
                                .email = verified_email(rq->arena, claims),
                                .device = find_device(rq),
                                .agent = http_header(rq->http, "user-agent"),
                                .remote = request_remote(rq),
                                .link_id = trip->link_id};
    json_release(&claims);
    return OK;
}

static enum status check_answer(struct request *rq, const struct trip *trip, struct error *err)
{
    struct str iss = request_query(rq, "iss", 0);
    if (trip->link_id && (!rq->actor.is_session || rq->actor.account.id != trip->link_id))
        return fail(err, FORBIDDEN, "StateRefused", "You are not signed in as who you were when you started");
    if (str_given(iss) && !str_eq(iss, rq->hub->oidc->outside.issuer))
        return fail(err, FORBIDDEN, "StateRefused", "The answer is by another provider than you were sent to");
    if (str_given(request_query(rq, "error", 0)) || !request_query(rq, "code", 0).len)
        return fail(err, FORBIDDEN, "NotSignedIn", "The provider has not signed you in: start again at /signin");
    return OK;
}

/* GET /signin/oidc/callback */
enum status outside_callback(struct request *rq, struct error *err)
{
    struct trip trip;
    struct arrival arrival;
    TRY(need_outside(rq, err));
    TRY(read_trip(rq, &trip, err));
    set_cookie(rq, cookie_name(rq), STR(""), 0);
    TRY(check_answer(rq, &trip, err));
    int64_t seconds = attempt_begin(trip.cookie, request_remote(rq));
    if (seconds) {
        reply_header(rq->http, "Retry-After", "%lld", (long long)seconds);
        return fail(err, TOO_MANY, "SlowDown", "Too many attempts to sign in: wait %lld seconds", (long long)seconds);
    }
    request_done_reading(rq);
    TRY(take_claims(rq, &trip, &arrival, err));
    enum status status = db_write(rq->hub->db, arrive, &arrival, err);
    if (status == OK && str_given(arrival.token))
        reply_session_cookie(rq, arrival.token);
    if (status == OK && arrival.is_new)
        set_cookie(rq, device_name(rq), arrival.device, DEVICE_SECONDS);
    arena_free(&arrival.arena);
    TRY(status);
    attempt_good(trip.cookie, request_remote(rq));
    redirect(rq, arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(request_base_url(rq)), STR_ARG(trip.next)));
    return OK;
}

/* Parting. */

static const char unlink_sql[] = "DELETE FROM oidc_identity WHERE account_id = ?";

static enum status unlink_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct actor *actor = context;
    auto_stmt struct stmt *forget = NULL;
    TRY(db_prepare(tx, unlink_sql, &forget, err));
    stmt_bind_int(forget, 1, actor->account.id);
    TRY(stmt_run(forget, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "You are not linked to an outside provider");
    return append(tx, EVENT_UNLINK, actor->account.id, (struct str){0}, err);
}

/* DELETE /api/settings/oidc: who one is elsewhere does not sign one in any more. */
enum status outside_delete(struct request *rq, struct error *err)
{
    TRY(require_fresh(rq, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, unlink_in_write, &rq->actor, err));
    request_reply_empty(rq);
    return OK;
}
