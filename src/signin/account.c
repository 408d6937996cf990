/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GET /signin for whoever is signed in: tokens, password, codes, passkeys, and where else. What is there can be read without a
 * script; changing it is page.js's, by the same addresses that programs use.
 */
#include "base/time.h"
#include "identity/key.h"
#include "identity/session.h"
#include "signin/handlers.h"
#include "signin/html.h"

/* What of an account the page goes by. */
struct view {
    struct request *rq;
    struct buf *page;
    int64_t now_us;
    bool has_password, has_codes, has_passkeys;
};

static void put(struct view *v, const char *template, struct str first, struct str second)
{
    html_put(v->page, template, first, second);
}

static void put_plain(struct view *v, const char *html)
{
    buf_str(v->page, str_of(html));
}

/* Days are enough: who wants the second asks the API. */
static struct str day(struct view *v, int64_t us)
{
    if (!us)
        return STR("never");
    if (us / (86400 * SECOND_US) == v->now_us / (86400 * SECOND_US))
        return STR("today");
    return str_slice(time_iso(v->rq->arena, us), 0, 10);
}

static struct str words_of(enum auth_level level)
{
    static const struct str words[] = {
        [AUTH_PASSWORD] = {"password", 8}, [AUTH_TOTP] = {"password and code", 17}, [AUTH_PASSKEY] = {"passkey", 7}};
    return words[level];
}

/* Tokens. */

struct listing {
    struct view *view;
    bool any;
};

static void put_scope(void *context, struct str text)
{
    struct listing *listing = context;
    put(listing->view, listing->any ? ", %s" : "%s", text, (struct str){0});
    listing->any = true;
}

static void put_addresses(struct view *v, struct str rest)
{
    struct str piece;
    for (const char *template = "Only from %s"; str_given(rest) && str_cut(&rest, ' ', &piece); template = ", %s")
        put(v, template, piece, (struct str){0});
    put_plain(v, ". ");
}

static enum status put_limits(struct view *v, const struct key_shown *key, struct error *err)
{
    struct listing scopes = {.view = v};
    if (!key->is_scoped && !str_given(key->addresses) && !key->bytes_per_day)
        return OK;
    put_plain(v, "<p class=\"soft\">");
    if (key->is_scoped) {
        put_plain(v, "Only ");
        TRY(key_scopes_each(v->rq, key->id, put_scope, &scopes, err));
        put_plain(v, scopes.any ? ". " : "repos that are gone. ");
    }
    if (str_given(key->addresses))
        put_addresses(v, key->addresses);
    if (key->bytes_per_day)
        put(v, "At most %s bytes a day. ", arena_printf(v->rq->arena, "%lld", (long long)key->bytes_per_day),
            (struct str){0});
    put_plain(v, "</p>");
    return OK;
}

static enum status put_key(struct view *v, const struct key_shown *key, struct error *err)
{
    bool ended = key->ends_us <= v->now_us;
    put(v, "<li data-name=\"%s\"><div class=\"what\"><b>%s</b>", key->name, key->name);
    put(v, " <span class=\"soft\">may %s, id %s</span>",
        key->role == ROLE_READ    ? STR("read")
        : key->role == ROLE_WRITE ? STR("read and write")
                                  : STR("administer"),
        key->public_id);
    put(v,
        ended ? "<p class=\"soft\">Last used: %s. <span class=\"ended\">Ended on %s.</span> "
              : "<p class=\"soft\">Last used: %s. Ends on %s. ",
        day(v, key->used_us), str_slice(time_iso(v->rq->arena, key->ends_us), 0, 10));
    if (key->old_until_us)
        put(v, "The secret before this one works until %s. ",
            str_slice(time_iso(v->rq->arena, key->old_until_us), 0, 10), (struct str){0});
    if (key->shown > AUTH_PASSWORD)
        put(v, "Good where a gate asks for %s.", sign_in_name(key->shown), (struct str){0});
    put_plain(v, "</p>");
    TRY(put_limits(v, key, err));
    put_plain(v, "</div><div class=\"acts\" hidden>");
    if (!ended)
        put(v,
            "<button type=\"button\" class=\"plain\" data-act=\"rotate\" aria-label=\"New secret for %s\">New "
            "secret</button>",
            key->name, (struct str){0});
    put(v,
        "<button type=\"button\" class=\"plain\" data-act=\"revoke\" aria-label=\"Revoke "
        "%s\">Revoke</button></div></li>",
        key->name, (struct str){0});
    return OK;
}

static enum status put_keys(struct view *v, struct error *err)
{
    struct key_shown *keys = arena_array(v->rq->arena, KEYS_PAGE, sizeof *keys);
    size_t count;
    TRY(keys_shown(v->rq, (struct str){0}, keys, &count, err));
    put_plain(
        v,
        "<section aria-labelledby=\"tokens\"><h2 id=\"tokens\">Tokens</h2><div class=\"card\"><p class=\"soft\">What "
        "programs "
        "send in your name. Each has an end.</p><div id=\"made\" class=\"made\" role=\"status\" tabindex=\"-1\" hidden>"
        "<p><b id=\"made-name\"></b> This is shown only now:</p><code id=\"made-token\"></code><div "
        "class=\"acts\"><button "
        "type=\"button\" class=\"plain\" id=\"copy\">Copy</button><button type=\"button\" class=\"plain\" "
        "data-reload>Done</button>"
        "</div></div><ul id=\"keys\">");
    for (size_t i = 0; i < count; i++)
        TRY(put_key(v, &keys[i], err));
    if (!count)
        put_plain(v, "<li class=\"soft\">None yet.</li>");
    put_plain(v, count == KEYS_PAGE ? "</ul><p class=\"soft\">There are more: GET /api/settings/keys has them all.</p>"
                                    : "</ul>");
    put_plain(
        v,
        "<details class=\"scripted\" hidden><summary>Make a token</summary><form class=\"bare\" id=\"new-key\">"
        "<label>Name<input name=\"name\" maxlength=\"100\" required autocomplete=\"off\"></label><div class=\"pair\">"
        "<label>It may<select name=\"role\"><option value=\"read\">read</option><option value=\"write\">read and "
        "write</option>"
        "</select></label><label>Ends after<select name=\"days\"><option value=\"7\">7 days</option><option "
        "value=\"30\">30 days"
        "</option><option value=\"90\" selected>90 days</option><option value=\"366\">a "
        "year</option></select></label></div>"
        "<label>Only for these <span>optional: repos or name spaces, as alice/flora:write, one a line</span><textarea "
        "name=\"repos\" rows=\"2\" spellcheck=\"false\"></textarea></label>"
        "<label>Only from these addresses <span>optional: as 192.0.2.0/24, one a line</span><textarea "
        "name=\"addresses\" "
        "rows=\"2\" spellcheck=\"false\"></textarea></label><button>Make it</button></form></details></div></section>");
    return OK;
}

/* What one signs in with. */

static void put_password(struct view *v)
{
    put_plain(v, "<section aria-labelledby=\"password\" class=\"scripted\" hidden><h2 "
                 "id=\"password\">Password</h2><form class=\"card\" "
                 "id=\"new-password\">");
    put(v,
        v->has_password ? "<p class=\"soft\">A new one ends your sessions in other browsers.</p>"
                        : "<p class=\"soft\">You have none, and sign in in another way.</p>",
        (struct str){0}, (struct str){0});
    /* For password managers, which otherwise do not know whose it is. */
    put(v, "<input name=\"username\" autocomplete=\"username\" value=\"%s\" hidden>", v->rq->actor.account.name,
        (struct str){0});
    put_plain(v, "<label>New password <span>at least 10 characters</span><input name=\"password\" type=\"password\" "
                 "autocomplete=\"new-password\" minlength=\"10\" maxlength=\"1024\" required></label><button "
                 "class=\"plain\">Change "
                 "it</button><p class=\"good\" role=\"status\"></p></form></section>");
}

static void put_codes(struct view *v)
{
    put_plain(v, "<section aria-labelledby=\"codes\"><h2 id=\"codes\">One-time codes</h2><div class=\"card\">");
    if (v->has_codes)
        put_plain(
            v,
            "<p>On: who has your password alone does not get in.</p><div class=\"acts\" hidden><button type=\"button\" "
            "class=\"plain\" data-act=\"codes-off\">Turn off</button></div>");
    else
        put_plain(v, "<p class=\"soft\" id=\"codes-are\">Off. An app on your phone shows a new code every half minute, "
                     "which is asked "
                     "for besides the "
                     "password.</p><div class=\"acts\" hidden><button type=\"button\" class=\"plain\" "
                     "data-act=\"codes-on\">Set up</button>"
                     "</div>");
    put_plain(
        v, "<form class=\"bare\" id=\"confirm-codes\" hidden><p>Show this to the app, or type it there:</p>"
           "<div class=\"qr\" id=\"codes-qr\" hidden><svg role=\"img\" aria-label=\"What follows, as a QR code\">"
           "<path/></svg></div><code id=\"codes-secret\"></code><p><a id=\"codes-link\">Open an app on this "
           "device</a></p><label>What the "
           "app shows now"
           "<input name=\"code\" inputmode=\"numeric\" autocomplete=\"one-time-code\" pattern=\"[0-9 ]{6,8}\" "
           "required></label>"
           "<button>Turn on</button></form>"
           "<div id=\"recovery\" class=\"made\" role=\"status\" tabindex=\"-1\" hidden><p><b>Codes are on.</b> For the "
           "day on which the "
           "app is lost, keep these where you find them then. Each works once, and they are shown only "
           "now:</p><code></code>"
           "<div class=\"acts\"><button type=\"button\" class=\"plain\" data-reload>I have "
           "them</button></div></div></div></section>");
}

static const char passkeys_sql[] = "SELECT id, name, created_us, used_us FROM passkey WHERE account_id = ? ORDER BY id";

static enum status put_passkeys(struct view *v, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(v->rq->db, passkeys_sql, &row, err));
    stmt_bind_int(row, 1, v->rq->actor.account.id);
    put_plain(v, "<section aria-labelledby=\"passkeys\"><h2 id=\"passkeys\">Passkeys</h2><div class=\"card\"><ul>");
    while (stmt_next(row)) {
        put(v, "<li data-id=\"%s\"><div class=\"what\"><b>%s</b>",
            arena_printf(v->rq->arena, "%lld", (long long)stmt_int(row, 0)), stmt_str(row, 1));
        put(v, "<p class=\"soft\">Last used: %s. Here since %s.</p></div>", day(v, stmt_int(row, 3)),
            day(v, stmt_int(row, 2)));
        put(v,
            "<div class=\"acts\" hidden><button type=\"button\" class=\"plain\" data-act=\"passkey-remove\" "
            "aria-label=\"Remove %s\">"
            "Remove</button></div></li>",
            stmt_str(row, 1), (struct str){0});
    }
    TRY(stmt_end(row, err));
    if (!v->has_passkeys)
        put_plain(v, "<li class=\"soft\">None yet. A passkey signs you in with the lock of your phone or computer, and "
                     "cannot be given "
                     "away by mistake.</li>");
    put_plain(
        v, "</ul><div id=\"add-passkey\" hidden><label>Name of a new one<input id=\"passkey-name\" maxlength=\"100\" "
           "value=\"passkey\"></label><button type=\"button\" class=\"plain\" id=\"new-passkey\">Register a "
           "passkey</button></div>"
           "</div></section>");
    return OK;
}

static const char sessions_sql[] = "SELECT agent, remote, created_us, used_us, id FROM session WHERE account_id = ? "
                                   "AND ends_us > ? AND used_us > ? ORDER BY created_us DESC";

static enum status put_sessions(struct view *v, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(v->rq->db, sessions_sql, &row, err));
    stmt_bind_int(row, 1, v->rq->actor.account.id);
    stmt_bind_int(row, 2, v->now_us);
    stmt_bind_int(row, 3, v->now_us - SESSION_IDLE_DAYS * DAY_US);
    put_plain(v, "<section aria-labelledby=\"sessions\"><h2 id=\"sessions\">Where you are signed in</h2><div "
                 "class=\"card\"><ul>");
    while (stmt_next(row)) {
        int64_t id = stmt_int(row, 4);
        struct str agent = stmt_str(row, 0);
        bool here = v->rq->actor.key_id == id;
        put(v, "<li data-id=\"%s\"><div class=\"what\"><b>%s</b>", arena_printf(v->rq->arena, "%lld", (long long)id),
            here        ? STR("This browser")
            : agent.len ? agent
                        : STR("A program without a name"));
        put(v, "<p class=\"soft\">From %s, since %s. ", stmt_str(row, 1), day(v, stmt_int(row, 2)));
        put(v, here ? "%s</p></div>" : "Last used: %s.</p></div>",
            here ? agent : day(v, key_used_last(id, false, stmt_int(row, 3))), (struct str){0});
        put_plain(v,
                  here ? "</li>"
                       : "<div class=\"acts\" hidden><button type=\"button\" class=\"plain\" data-act=\"session-end\" "
                         "aria-label=\"Sign that browser out\">Sign out</button></div></li>");
    }
    put_plain(
        v, "</ul><div class=\"acts\" hidden><button type=\"button\" class=\"plain\" data-act=\"sessions-end\">Sign out "
           "everywhere</button></div></div></section>");
    return stmt_end(row, err);
}

/* Asking first. */

static void put_dialogs(struct view *v)
{
    put_plain(v, "<dialog id=\"sure\" aria-labelledby=\"sure-what\"><form method=\"dialog\"><h2 "
                 "id=\"sure-what\"></h2><p id=\"sure-why\"></p>"
                 "<label id=\"overlap\" hidden>The old one works on for<select name=\"overlap\"><option value=\"0\">no "
                 "time at all</option>"
                 "<option value=\"1\">a day</option><option value=\"7\" selected>a week, if it is used each "
                 "day</option></select></label>"
                 "<div class=\"acts\"><button value=\"yes\" id=\"sure-yes\"></button><button value=\"\" "
                 "class=\"plain\" formnovalidate>Leave it"
                 "</button></div></form></dialog>"
                 "<dialog id=\"again\" aria-labelledby=\"again-what\"><form id=\"again-form\"><h2 id=\"again-what\">Is "
                 "it you?</h2>"
                 "<div class=\"bad\" id=\"again-trouble\" role=\"alert\"></div>");
    if (v->has_codes)
        put_plain(v, "<p>Type a code of your app, or a recovery code.</p><label>Code<input name=\"totp\" "
                     "autocomplete=\"one-time-code\" "
                     "required></label>");
    else if (!v->has_passkeys && v->has_password)
        put(v,
            "<p>Type your password again.</p><input autocomplete=\"username\" value=\"%s\" "
            "hidden><label>Password<input "
            "name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>",
            v->rq->actor.account.name, (struct str){0});
    else if (!v->has_passkeys)
        put_plain(v, "<p>You have no password here: sign out, and in again.</p>");
    put_plain(v, "<div class=\"acts\">");
    if (v->has_codes || (!v->has_passkeys && v->has_password))
        put_plain(v, "<button>Go on</button>");
    if (v->has_passkeys)
        put_plain(v, v->has_codes
                         ? "<button type=\"button\" class=\"plain\" id=\"again-passkey\">Use a passkey</button>"
                         : "<button type=\"button\" id=\"again-passkey\">Use a passkey</button>");
    put_plain(v, "<button type=\"button\" class=\"plain\" id=\"again-no\">Leave it</button></div></form></dialog>");
}

static void put_top(struct view *v)
{
    enum auth_level strength = v->has_passkeys ? AUTH_PASSKEY : v->has_codes ? AUTH_TOTP : AUTH_PASSWORD;
    put(v,
        "<div class=\"top\"><div><h1>%s</h1><p class=\"soft\">Signed in by %s. <a href=\"misuse\">What looks "
        "misused</a></p></div><form class=\"bare\" "
        "method=\"post\" "
        "action=\"signin/out\"><button class=\"plain\">Sign out</button></form></div>"
        "<div class=\"bad\" id=\"trouble\" role=\"alert\" tabindex=\"-1\"></div>"
        "<noscript><p class=\"soft\">Changing what is here takes JavaScript, or a program: the addresses below "
        "/api/settings do the "
        "same.</p></noscript>",
        v->rq->actor.account.name, words_of(v->rq->actor.level));
    if (v->rq->actor.level < AUTH_TOTP && strength > v->rq->actor.level)
        put_plain(v, "<div class=\"note scripted\" hidden><p>Gates that ask for more than a password do not let this "
                     "session in, nor the tokens made in it.</p><button type=\"button\" class=\"plain\" "
                     "data-act=\"raise\">Show that it is you</button></div>");
}

static enum status find_view(struct view *v, struct error *err)
{
    struct sign_in person;
    TRY(sign_in_find(v->rq->db, v->rq->arena, v->rq->actor.account.name, &person, err));
    v->has_password = person.found;
    v->has_codes = person.has_totp;
    v->has_passkeys = person.has_passkey;
    return OK;
}

enum status reply_account(struct request *rq, struct error *err)
{
    auto_buf struct buf page = {0};
    struct view v = {.rq = rq, .page = &page, .now_us = now_us()};
    TRY(find_view(&v, err));
    html_begin(&page, "Your account", "wide", "");
    put_top(&v);
    TRY(put_keys(&v, err));
    put_password(&v);
    put_codes(&v);
    TRY(put_passkeys(&v, err));
    TRY(put_sessions(&v, err));
    if (str_given(rq->hub->outside_name))
        put(&v,
            "<section><h2>Elsewhere</h2><form class=\"card\" method=\"post\" action=\"signin/oidc\"><button "
            "class=\"plain\">Sign in with "
            "%s from now on</button></form></section>",
            rq->hub->outside_name, (struct str){0});
    put_dialogs(&v);
    html_reply(rq, 200, &page, (struct str){0});
    return OK;
}
