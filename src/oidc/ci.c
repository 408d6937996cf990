/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Token exchange (RFC 8693), as huggingface_hub does it where HF_OIDC_RESOURCE is set (hub-protocol, POST /oauth/token). */
#include "oidc/ci.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/key.h"
#include "oidc/jose.h"
#include "oidc/provider.h"
#include "signin/key_scopes.h"

#define CANDIDATES_MOST 50

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, UNAUTHENTICATED, "TokenRefused", "the token of a CI job was refused: %s", why);
}

/* Issuers. */

bool ci_issuer_is_named(const struct oidc *oidc, struct str issuer)
{
    struct str rest = str_of(oidc->ci_issuers), one;
    while (oidc->ci_issuers && str_given(rest) && str_cut(&rest, ',', &one))
        if (str_eq(str_trim(one), issuer))
            return true;
    return false;
}

/* The place of an issuer; the one that nobody has asked for the longest time makes room. NULL: all are in use. */
static struct issuer *find_issuer(struct oidc *oidc, struct str name)
{
    struct issuer *place = NULL;
    for (struct issuer *i = oidc->issuers; i < oidc->issuers + ISSUERS_MOST; i++) {
        if (str_eq(i->provider.issuer, name))
            return i;
        if (!i->users && (!place || i->used_us < place->used_us))
            place = i;
    }
    if (!place)
        return NULL;
    memcpy(place->name, name.data, name.len);
    place->provider.issuer = (struct str){place->name, name.len};
    place->provider.is_foreign = !ci_issuer_is_named(oidc, name);
    place->provider.discovery.len = place->provider.keys.len = 0;
    place->provider.failed_us = place->provider.discovery_us = place->provider.keys_us = 0;
    return place;
}

static enum status verify(struct oidc *oidc, struct arena *arena, struct str name, struct str token, json_t **claims,
                          struct error *err)
{
    if (name.len > ISSUER_MOST)
        return refuse(err, "its issuer is none that can be");
    pthread_mutex_lock(&oidc->issuers_lock);
    struct issuer *issuer = find_issuer(oidc, name);
    if (issuer) {
        issuer->users++;
        issuer->used_us = monotonic_us();
    }
    pthread_mutex_unlock(&oidc->issuers_lock);
    if (!issuer)
        return fail(err, UNAVAILABLE, NULL, "too many issuers of CI jobs are asked at once");
    enum status status = provider_verify(&issuer->provider, arena, token, claims, err);
    pthread_mutex_lock(&oidc->issuers_lock);
    issuer->users--;
    pthread_mutex_unlock(&oidc->issuers_lock);
    return status;
}

/* Who is trusted. */

struct publisher {
    int64_t id, account_id;
    struct str public_id, audience, claims;
    struct key_scope scope;
};

struct exchange {
    struct request *rq;
    struct str resource, token, issuer;
    struct publisher publishers[CANDIDATES_MOST];
    size_t count;
    const struct publisher *by; /* whose description the token meets */
    uint8_t digest[SHA256_SIZE];
    int64_t ends_us;
    struct str key;
};

static const char candidates_sql[] = "SELECT id, account_id, public_id, audience, claims, role FROM ci_publisher "
                                     "WHERE repo_id = ? AND owner_id = ? AND issuer = ? ORDER BY id LIMIT ?";

/* All of the resource for that issuer: none for what is not there. */
static enum status find_candidates(struct exchange *x, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct request *rq = x->rq;
    struct key_scope scopes[KEY_SCOPES_MOST];
    size_t count = 0;
    TRY(request_read(rq, err));
    enum status found = str_has(x->resource, STR(":"))
                            ? INVALID
                            : key_scope_add(rq->db, rq->arena, NULL, x->resource, ROLE_READ, scopes, &count, err);
    if (found != OK)
        return found == INVALID ? OK : found;
    TRY(db_prepare(rq->db, candidates_sql, &row, err));
    stmt_bind_int(row, 1, scopes[0].repo_id);
    stmt_bind_int(row, 2, scopes[0].owner_id);
    stmt_bind_str(row, 3, x->issuer);
    stmt_bind_int(row, 4, CANDIDATES_MOST);
    for (; stmt_next(row); x->count++)
        x->publishers[x->count] =
            (struct publisher){stmt_int(row, 0),
                               stmt_int(row, 1),
                               arena_copy(rq->arena, stmt_str(row, 2)),
                               arena_copy(rq->arena, stmt_str(row, 3)),
                               arena_copy(rq->arena, stmt_str(row, 4)),
                               {scopes[0].owner_id, scopes[0].repo_id, (enum role)stmt_int(row, 5)}};
    return stmt_end(row, err);
}

static enum status choose(struct exchange *x, const json_t *claims, struct error *err)
{
    enum status status = refuse(err, "its claims are not those of a trusted publisher");
    for (size_t i = 0; i < x->count && status != OK; i++) {
        auto_json json_t *wanted = NULL;
        TRY(json_read(x->publishers[i].claims, x->publishers[i].claims.len, &wanted, err));
        if (!ci_claims_match(wanted, claims))
            continue;
        status = ci_check_claims(x->issuer, x->publishers[i].audience, claims, err);
        x->by = status == OK ? &x->publishers[i] : NULL;
    }
    return status;
}

/* By what a token is known when it comes again: its "jti", or where it has none, by what was signed. */
static void note_token(struct exchange *x, const json_t *claims)
{
    struct arena *arena = x->rq->arena;
    struct str jti = json_get_str(claims, "jti"), signed_part = x->token;
    while (signed_part.len && signed_part.data[signed_part.len - 1] != '.')
        signed_part.len--;
    sha256(str_given(jti) ? arena_printf(arena, "jti %.*s %.*s", STR_ARG(x->issuer), STR_ARG(jti)) : signed_part,
           x->digest);
    x->ends_us = (json_get_int(claims, "exp", 0) + CI_SKEW_SECONDS) * SECOND_US;
}

/* The key. */

static const char spend_sql[] = "INSERT INTO ci_token (sha256, ends_us) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING";

static enum status spend(struct db_conn *tx, const struct exchange *x, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, spend_sql, &insert, err));
    stmt_bind_blob(insert, 1, x->digest, sizeof x->digest);
    stmt_bind_int(insert, 2, x->ends_us);
    TRY(stmt_run(insert, err));
    return db_changes(tx) ? OK : refuse(err, "it has been used before");
}

/* Whoever looks misused does not get away from it by another key: an open case about the account, or about a key of this
 * publisher's (src/misuse; states 1 to 4 are its levels). */
static const char held_sql[] = "SELECT 1 FROM misuse_case c WHERE c.account_id = ? AND c.state BETWEEN 1 AND 4 AND "
                               "(c.key_id = 0 OR c.key_id IN (SELECT k.id FROM api_key k WHERE k.publisher_id = ?))";

static enum status check_hold(struct db_conn *tx, const struct exchange *x, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, held_sql, &row, err));
    stmt_bind_int(row, 1, x->by->account_id);
    stmt_bind_int(row, 2, x->by->id);
    bool held = stmt_next(row);
    TRY(stmt_end(row, err));
    return held ? refuse(err, "its keys look misused, and somebody has to answer for that first") : OK;
}

static const char used_sql[] = "UPDATE ci_publisher SET used_us = ? WHERE id = ?";

/* It may have been removed since. */
static enum status note_use(struct db_conn *tx, const struct exchange *x, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    TRY(db_prepare(tx, used_sql, &update, err));
    stmt_bind_int(update, 1, now_us());
    stmt_bind_int(update, 2, x->by->id);
    TRY(stmt_run(update, err));
    return db_changes(tx) ? OK : refuse(err, "its publisher was removed just now");
}

static const char scopes_sql[] =
    "SELECT owner_id, repo_id, role FROM ci_publisher_scope WHERE publisher_id = ? LIMIT ?";

static enum status read_scopes(struct db_conn *tx, const struct exchange *x, struct key_scope scopes[KEY_SCOPES_MOST],
                               size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    scopes[0] = x->by->scope;
    TRY(db_prepare(tx, scopes_sql, &row, err));
    stmt_bind_int(row, 1, x->by->id);
    stmt_bind_int(row, 2, KEY_SCOPES_MOST - 1);
    for (*count = 1; stmt_next(row); ++*count)
        scopes[*count] = (struct key_scope){stmt_int(row, 0), stmt_int(row, 1), (enum role)stmt_int(row, 2)};
    return stmt_end(row, err);
}

static enum status exchange_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct exchange *x = context;
    struct arena *arena = x->rq->arena;
    struct key_scope scopes[KEY_SCOPES_MOST];
    struct account account;
    uint8_t random[6];
    random_bytes(random, sizeof random);
    TRY(spend(tx, x, err));
    TRY(check_hold(tx, x, err));
    TRY(note_use(tx, x, err));
    TRY(account_get(tx, arena, x->by->account_id, &account, err));
    struct key_new new = {.user = account.name,
                          .name = arena_printf(arena, "%.*s-%.*s", STR_ARG(x->by->public_id),
                                               STR_ARG(hex_encode(arena, random, sizeof random))),
                          .role = ROLE_READ,
                          .days = 1,
                          .ends_most_us = now_us() + CI_SECONDS * SECOND_US,
                          .is_scoped = true,
                          .scopes = scopes,
                          .publisher_id = x->by->id,
                          .by_id = account.id};
    TRY(read_scopes(tx, x, scopes, &new.scope_count, err));
    for (size_t i = 0; i < new.scope_count; i++)
        new.role = scopes[i].role > new.role ? scopes[i].role : new.role;
    return key_create_in(tx, arena, &new, &x->key, err);
}

static enum status exchange(struct exchange *x, struct error *err)
{
    auto_json json_t *said = NULL, *claims = NULL;
    TRY(jose_peek(x->rq->arena, x->token, &said, err));
    x->issuer = arena_copy(x->rq->arena, json_get_str(said, "iss"));
    if (!str_given(x->issuer))
        return refuse(err, "it has no issuer");
    TRY(find_candidates(x, err));
    request_done_reading(x->rq);
    if (!x->count)
        return refuse(err, "the resource has no trusted publisher of its issuer");
    TRY(verify(x->rq->hub->oidc, x->rq->arena, x->issuer, x->token, &claims, err));
    TRY(choose(x, claims, err));
    note_token(x, claims);
    return db_write(x->rq->hub->db, exchange_in_write, x, err);
}

static void reply_key(struct request *rq, struct str key)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "access_token", key);
    jw_key_str(&w, "token_type", STR("bearer"));
    jw_key_int(&w, "expires_in", CI_SECONDS);
    jw_key_str(&w, "issued_token_type", STR("urn:ietf:params:oauth:token-type:access_token"));
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
}

/* POST /oauth/token. All refusals read alike, so that nobody learns what there is; the hub's log has the reason. */
enum status ci_token(struct request *rq, const struct oauth_form *form, struct error *err)
{
    struct str type = oauth_form_get(rq, form, "subject_token_type");
    struct exchange x = {
        .rq = rq, .resource = oauth_form_get(rq, form, "resource"), .token = oauth_form_get(rq, form, "subject_token")};
    if (!str_given(x.resource) || !str_given(x.token) ||
        (!str_eq(type, STR("urn:ietf:params:oauth:token-type:id_token")) &&
         !str_eq(type, STR("urn:ietf:params:oauth:token-type:jwt")))) {
        oauth_refuse(rq, "invalid_request",
                     "subject_token, resource and subject_token_type "
                     "urn:ietf:params:oauth:token-type:id_token are needed");
        return OK;
    }
    struct error why = {0};
    enum status status = exchange(&x, &why);
    if (status == OK) {
        reply_key(rq, x.key);
        return OK;
    }
    if (status == INTERNAL || status == CORRUPT || status == NO_SPACE) {
        *err = why;
        return status;
    }
    log_line("info", "ci", "request %.*s: %s", STR_ARG(rq->id), why.message);
    oauth_refuse(
        rq, "invalid_grant",
        "No trusted publisher of this resource takes this token. Compare issuer, audience and claims with what its "
        "owner has registered; each token is good once; or its issuer does not answer just now");
    return OK;
}
