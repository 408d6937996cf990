/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Payments, from whoever takes them: a provider tells by a signed request (a webhook), and the hub knows only what it needs, who has
 * paid for which tier. The form is that of the widespread providers: "t=TIME,v1=HEX[,v1=HEX]" in Stripe-Signature or
 * Cairn-Signature, HMAC-SHA-256 over "TIME.BODY" with a secret that both know.
 */
#include "base/text.h"
#include "base/time.h"
#include "quota/limiter.h"
#include "tier/api.h"
#include "tier/assign.h"
#include "tier/signature.h"

#define BODY_LIMIT (256 << 10)

enum meaning { NOTHING, PAID, UNPAID_NOW };

static enum meaning meaning_of(struct str type)
{
    static const char *const paid[] = {"checkout.session.completed", "invoice.paid", "payment.succeeded"};
    static const char *const unpaid[] = {"customer.subscription.deleted", "invoice.payment_failed", "payment.failed"};
    for (size_t i = 0; i < sizeof paid / sizeof *paid; i++)
        if (str_eq(type, str_of(paid[i])))
            return PAID;
    for (size_t i = 0; i < sizeof unpaid / sizeof *unpaid; i++)
        if (str_eq(type, str_of(unpaid[i])))
            return UNPAID_NOW;
    return NOTHING;
}

struct payment {
    struct str source, event, type, account, tier;
    struct str subscription, customer, means; /* numbers of the provider's; what was paid with. Any may be empty */
    int64_t amount;
    uint8_t sha256[SHA256_SIZE];
    struct arena *arena;
    bool again;
};

static const char put_sql[] = "INSERT INTO payment (source, event, account_id, kind, amount, sha256, at_us) "
                              "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, event) DO NOTHING";

static enum status put(struct db_conn *tx, struct payment *what, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, put_sql, &insert, err));
    stmt_bind_str(insert, 1, what->source);
    stmt_bind_str(insert, 2, what->event);
    stmt_bind_int(insert, 3, account_id);
    stmt_bind_str(insert, 4, what->type);
    stmt_bind_int(insert, 5, what->amount);
    stmt_bind_blob(insert, 6, what->sha256, SHA256_SIZE);
    stmt_bind_int(insert, 7, now_us());
    TRY(stmt_run(insert, err));
    what->again = db_changes(tx) == 0;
    return OK;
}

static enum status payment_event(struct db_conn *tx, const struct payment *what, int64_t account_id, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    char person[24];
    snprintf(person, sizeof person, "%lld", (long long)account_id);
    jw_object(&w);
    jw_key_str(&w, "op", STR("pay"));
    jw_key_str(&w, "basis", STR("payment"));
    jw_key_hex(&w, "digest", what->sha256, SHA256_SIZE);
    jw_key_int(&w, "owner", account_id);
    jw_key(&w, "secrets");
    jw_object(&w);
    jw_key_str(&w, "person", str_of(person));
    jw_end(&w);
    jw_end(&w);
    const struct event event = {&tier_events[EVENT_PAYMENT], 0, 0, buf_view(&body)};
    return event_append(tx, &event, err);
}

/* Who has paid gets the tier at once; who has it already keeps it, and grace ends. */
static enum status paid(struct db_conn *tx, const struct payment *what, int64_t account_id, struct error *err)
{
    const struct assign_step step = {.event = ASSIGN_ACTIVATE, .by = BY_BOARD, .basis = "payment"};
    struct assign assign;
    int64_t tier_id;
    TRY(tier_make_id(tx, what->tier, &tier_id, err));
    enum status found = assign_find(tx, what->arena, account_id, &assign, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK && assign.tier_id == tier_id && assign.state == ASSIGN_ACTIVE)
        return OK;
    if (found != OK || assign.tier_id != tier_id || assign.state != ASSIGN_GRACE)
        TRY(assign_new(tx, account_id, tier_id, STR("payment"), &assign, err));
    return assign_do(tx, &assign, &step, err);
}

static enum status unpaid(struct db_conn *tx, const struct payment *what, int64_t account_id, struct error *err)
{
    const struct assign_step step = {.event = ASSIGN_WARN,
                                     .by = BY_RULE,
                                     .basis = "payment",
                                     .code = STR("unpaid"),
                                     .text = STR("The payment for the tier did not come.")};
    struct assign assign;
    enum status found = assign_find(tx, what->arena, account_id, &assign, err);
    if (found == NOT_FOUND ||
        (found == OK && (!str_eq(assign.source, STR("payment")) || assign.state != ASSIGN_ACTIVE)))
        return OK;
    TRY(found);
    return assign_do(tx, &assign, &step, err);
}

/* Whose it is. */

static const char ref_sql[] = "SELECT account_id, tier FROM payment_ref WHERE source = ? AND ref = ?";
static const char put_ref_sql[] =
    "INSERT INTO payment_ref (source, ref, account_id, tier) VALUES (?, ?, ?, ?) ON "
    "CONFLICT (source, ref) DO UPDATE SET account_id = excluded.account_id, tier = excluded.tier";

static enum status find_ref(struct db_conn *tx, struct payment *what, struct str ref, int64_t *account_id,
                            struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, ref_sql, &row, err));
    stmt_bind_str(row, 1, what->source);
    stmt_bind_str(row, 2, ref);
    if (stmt_next(row)) {
        *account_id = stmt_int(row, 0);
        what->tier = what->tier.len ? what->tier : arena_copy(what->arena, stmt_str(row, 1));
    }
    return stmt_end(row, err);
}

/* By the name that came with the purchase, else by what the provider has called the purchase since. 0: nobody is known. */
static enum status find_payer(struct db_conn *tx, struct payment *what, int64_t *account_id, struct error *err)
{
    struct account account;
    *account_id = 0;
    if (what->account.len) {
        enum status found = account_find(tx, what->arena, what->account, &account, err);
        *account_id = found == OK ? account.id : 0;
        return found == NOT_FOUND ? OK : found;
    }
    if (what->subscription.len)
        TRY(find_ref(tx, what, what->subscription, account_id, err));
    return *account_id || !what->customer.len ? OK : find_ref(tx, what, what->customer, account_id, err);
}

static enum status put_ref(struct db_conn *tx, const struct payment *what, struct str ref, int64_t account_id,
                           struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    if (!ref.len)
        return OK;
    TRY(db_prepare(tx, put_ref_sql, &insert, err));
    stmt_bind_str(insert, 1, what->source);
    stmt_bind_str(insert, 2, ref);
    stmt_bind_int(insert, 3, account_id);
    stmt_bind_str(insert, 4, what->tier);
    return stmt_run(insert, err);
}

/* What the account is called there, and by what it pays: many that pay by the same are looked at (misuse). */
static enum status remember_payer(struct db_conn *tx, const struct payment *what, int64_t account_id, struct error *err)
{
    struct str means = what->means.len ? what->means : what->customer;
    if (what->account.len && what->tier.len) {
        TRY(put_ref(tx, what, what->subscription, account_id, err));
        TRY(put_ref(tx, what, what->customer, account_id, err));
    }
    return means.len ? account_mark(tx, account_id, "payment",
                                    arena_printf(what->arena, "%.*s %.*s", STR_ARG(what->source), STR_ARG(means)), err)
                     : OK;
}

static enum status receive_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct payment *what = context;
    int64_t account_id;
    enum meaning meaning = meaning_of(what->type);
    TRY(find_payer(tx, what, &account_id, err));
    if (!account_id && meaning != NOTHING)
        return fail(err, UNPROCESSABLE, NULL,
                    "Nobody is known by this: \"client_reference_id\" names no account, and of its customer and "
                    "subscription no purchase was told");
    TRY(put(tx, what, account_id, err));
    if (what->again)
        return OK;
    if (account_id)
        TRY(remember_payer(tx, what, account_id, err));
    if (meaning == NOTHING)
        return OK;
    TRY(payment_event(tx, what, account_id, err));
    return meaning == PAID ? paid(tx, what, account_id, err) : unpaid(tx, what, account_id, err);
}

static struct str secret_of(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str secret = {0};
    if (request_read(rq, err) != OK ||
        db_prepare(rq->db, "SELECT secret FROM payment_source WHERE source = ?", &row, err) != OK)
        return secret;
    stmt_bind_str(row, 1, rq->params[0]);
    if (stmt_next(row))
        secret = arena_copy(rq->arena, stmt_str(row, 0));
    stmt_end(row, err);
    return secret;
}

static struct str text_of(const json_t *object, const char *key)
{
    struct str text = json_get_str(object, key);
    return str_given(text) && text.len <= 256 ? text : STR("");
}

/* Where providers write it: in an invoice of today and of some years ago, in a purchase, and in a subscription itself. */
static struct str subscription_of(const json_t *object)
{
    const json_t *details = json_object_get(json_object_get(object, "parent"), "subscription_details");
    struct str places[] = {text_of(object, "subscription"), text_of(details, "subscription"),
                           str_eq(text_of(object, "object"), STR("subscription")) ? text_of(object, "id") : STR("")};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i].len)
            return places[i];
    return STR("");
}

/* "data.object" is what happened to; providers let the buyer's name at the hub travel with it, and what it was bought. */
static enum status read_payment(struct request *rq, struct str body, struct payment *out, struct error *err)
{
    TRY(json_read(body, BODY_LIMIT, &rq->json, err));
    const json_t *object = json_object_get(json_object_get(rq->json, "data"), "object");
    out->event = json_get_str(rq->json, "id");
    out->type = json_get_str(rq->json, "type");
    out->amount = json_get_int(object, "amount_total", 0);
    if (!out->event.len || out->event.len > 256 || !out->type.len || out->type.len > 128)
        return fail(err, INVALID, NULL, "The message needs \"id\" and \"type\"");
    out->account = text_of(object, "client_reference_id");
    out->tier = text_of(json_object_get(object, "metadata"), "tier");
    out->subscription = subscription_of(object);
    out->customer = text_of(object, "customer");
    out->means = text_of(json_object_get(json_object_get(object, "payment_method_details"), "card"), "fingerprint");
    sha256(body, out->sha256);
    return OK;
}

/* POST /api/payments/{source}. A source that is not there and a signature that is wrong are refused alike. */
enum status payment_post(struct request *rq, struct error *err)
{
    struct str body, signature = http_header(rq->http, "stripe-signature");
    struct payment payment = {.source = rq->params[0], .arena = rq->arena};
    if (!str_given(signature))
        signature = http_header(rq->http, "cairn-signature");
    TRY(body_read_all(rq->http, BODY_LIMIT, &body, err));
    struct str secret = secret_of(rq, err);
    if (!signature_matches(signature, body, str_given(secret) ? secret : STR("none"), now_us() / SECOND_US) ||
        !str_given(secret))
        return fail(err, FORBIDDEN, NULL,
                    "The message is not signed as this hub expects of that source, or is too old.");
    TRY(read_payment(rq, body, &payment, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, receive_in_write, &payment, err));
    limiter_changed(rq->hub->limiter);
    request_reply_empty(rq);
    return OK;
}

/* The operator's. */

struct source {
    struct str name, secret;
};

static enum status set_source(struct db_conn *tx, void *context, struct error *err)
{
    const struct source *source = context;
    auto_stmt struct stmt *put_source = NULL;
    TRY(db_prepare(tx,
                   "INSERT INTO payment_source (source, secret) VALUES (?, ?) "
                   "ON CONFLICT (source) DO UPDATE SET secret = excluded.secret",
                   &put_source, err));
    stmt_bind_str(put_source, 1, source->name);
    stmt_bind_str(put_source, 2, source->secret);
    return stmt_run(put_source, err);
}

enum status payment_source_set(struct db *db, struct str name, struct str secret, struct error *err)
{
    struct source source = {name, str_trim(secret)};
    if (source.secret.len < 16 || source.secret.len > 256)
        return fail(err, INVALID, NULL, "The secret of a payment source has 16 to 256 characters");
    TRY(account_name_check(name, err));
    return db_write(db, set_source, &source, err);
}
