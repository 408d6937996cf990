/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Before a round: what it is bound to, signed by both houses. */
#include "base/log.h"
#include "federate/houses.h"
#include "fetch/fetch.h"
#include "gate/gate.h"
#include "terms/terms.h"
#include <stdatomic.h>

#define ANSWER_LIMIT ((size_t)64 << 10)
#define KEYS_TIMEOUT_MS 15000
#define ASK_TIMEOUT_MS 120000
#define LONG_TIMEOUT_MS 600000 /* for the steps in which the other house computes over all reports, or the model */

/* Asking. */

static struct str house_url(struct arena *arena, const struct run *run, const char *path)
{
    struct str base = run->settings.house;
    while (str_ends(base, STR("/")))
        base.len--;
    return arena_printf(arena, "%.*s/v1/%s", STR_ARG(base), path);
}

/* Later than any before, also where the clock stands still. */
static int64_t next_time(void)
{
    static _Atomic int64_t last;
    int64_t before = atomic_load(&last), at;
    do
        at = now_us() > before ? now_us() : before + 1;
    while (!atomic_compare_exchange_weak(&last, &before, at));
    return at;
}

enum status house_ask(struct hub *hub, struct arena *arena, const struct run *run, const struct pact *pact,
                      enum wire_op op, struct str payload, size_t limit, struct str *answer, struct error *err)
{
    auto_buf struct buf body = {0};
    struct fetch_answer got;
    struct wire_request request = {.op = op, .at_us = next_time(), .round = run->round, .payload = payload};
    memcpy(request.to, pact->house.key, PACT_KEY_SIZE);
    if (!hex_decode(run->public_id, request.run, WIRE_RUN_SIZE))
        return fail(err, CORRUPT, NULL, "A run's id is no hex.");
    wire_request_write(&request, &hub->federate->identity->sign, &body);
    const struct fetch what = {.method = "POST",
                               .url = house_url(arena, run, wire_op_name(op)),
                               .type = STR("application/octet-stream"),
                               .body = buf_view(&body),
                               .limit = limit + ANSWER_LIMIT,
                               .timeout_ms = op == WIRE_COMMIT || op == WIRE_COSIGN ? LONG_TIMEOUT_MS : ASK_TIMEOUT_MS};
    if (fetch(arena, &what, &got, err) != OK)
        return fail(err, UNAVAILABLE, NULL, "The other house cannot be asked (%s): %s", wire_op_name(op),
                    arena_copy(arena, str_of(err->message)).data);
    if (got.status != 200)
        return fail(err, UNAVAILABLE, NULL, "The other house answers %d.", got.status);
    enum status status = wire_answer_read(buf_view(&body), pact->house.key, got.body, answer, err);
    bool passing = status == UNAVAILABLE || status == TOO_MANY || status == INTERNAL || status == NO_SPACE ||
                   status == UNAUTHENTICATED || status == TIMED_OUT;
    if (status == OK || passing)
        return status == OK ? OK : fail(err, UNAVAILABLE, NULL, "%s", arena_copy(arena, str_of(err->message)).data);
    err->status = UNPROCESSABLE; /* asked again it says the same */
    return UNPROCESSABLE;
}

/* Where the operator says which houses there are, nobody has the hub ask elsewhere. */
static enum status check_address(const struct hub *hub, const struct run *run, struct error *err)
{
    struct str rest = str_of(hub->houses), piece;
    if (!hub->houses)
        return OK;
    while (str_cut(&rest, ',', &piece))
        if (str_eq(str_trim(piece), run->settings.house))
            return OK;
    return fail(err, FORBIDDEN, "NoSuchHouse", "This hub trains with these houses only: %s", hub->houses);
}

static enum status ask_keys(struct arena *arena, const struct run *run, struct pact_house *out, struct error *err)
{
    auto_json json_t *keys = NULL;
    struct fetch_answer got;
    const struct fetch what = {
        .url = house_url(arena, run, "keys"), .limit = ANSWER_LIMIT, .timeout_ms = KEYS_TIMEOUT_MS};
    if (fetch(arena, &what, &got, err) != OK || got.status != 200)
        return fail(err, UNAVAILABLE, "HouseAway", "The other house does not answer at %.*s.",
                    STR_ARG(run->settings.house));
    if (json_read(got.body, ANSWER_LIMIT, &keys, err) != OK ||
        !hex_decode(json_get_str(keys, "key"), out->key, sizeof out->key) ||
        !hex_decode(json_get_str(keys, "seal"), out->seal, sizeof out->seal))
        return fail(err, UNPROCESSABLE, NULL, "What answers at %.*s is no house.", STR_ARG(run->settings.house));
    out->until_us = json_get_int(keys, "sealUntil", 0);
    return OK;
}

/* The configuration. */

enum status pact_of_settings(struct arena *arena, const struct settings *settings, struct pact *out, struct error *err)
{
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    settings_write(settings, &w);
    jw_end(&w);
    out->settings = arena_copy(arena, buf_view(&text));
    out->bound = settings->bound;
    out->bucket = settings->bucket;
    out->minimum = settings->min_participants;
    TRY(pact_check_sizes(out->minimum, out->bucket, settings->noise > 0, err));
    return pact_choose(out, settings->noise, err);
}

/* The house that has signed a round signs them all. */
static enum status check_same_house(struct hub *hub, struct arena *arena, const struct run *run,
                                    const struct pact *pact, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct agreement first;
    struct run one = *run;
    one.round = 1;
    if (run->id == 0)
        return OK;
    TRY(db_reader(hub->db, &conn, err));
    TRY(agreement_load(conn, arena, &one, &first, err));
    if (memcmp(first.pact.house.key, pact->house.key, PACT_KEY_SIZE) == 0)
        return OK;
    return fail(err, UNPROCESSABLE, NULL, "The house at %.*s has another key than when the run began.",
                STR_ARG(run->settings.house));
}

/* What the repo's gate asks participants to accept: the SHA-256 of the lines "NAME SHA256\n" of its documents in force. */
static enum status find_terms(struct hub *hub, struct arena *arena, const struct run *run, struct pact *pact,
                              struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_buf struct buf lines = {0};
    struct gate gate;
    struct terms_wanted wanted[TERMS_GATE_MOST];
    size_t count = 0;
    TRY(db_reader(hub->db, &conn, err));
    enum status found = gate_of_repo(conn, arena, run->repo_id, &gate, err);
    if (found != OK)
        return found == NOT_FOUND ? OK : found;
    TRY(terms_wanted(conn, arena, gate.id, now_us(), wanted, &count, err));
    for (size_t i = 0; i < count; i++)
        buf_printf(&lines, "%.*s %.*s\n", STR_ARG(wanted[i].name), STR_ARG(wanted[i].now.sha256));
    uint8_t digest[SHA256_SIZE];
    sha256(buf_view(&lines), digest);
    if (count)
        pact->terms = hex_encode(arena, digest, sizeof digest);
    return OK;
}

/* Shares of the round that begins are sealed to these; rounds under way keep theirs. */
static const struct identity *keys_for_round(struct hub *hub)
{
    struct federate *federate = hub->federate;
    struct error why;
    if (identity_renew(federate->keys_path, now_us(), &federate->identity, &why) != OK)
        log_line("error", "federate", "The hub's keys are not renewed yet: %s", why.message);
    return federate->identity;
}

static enum status make_agreement(struct hub *hub, struct arena *arena, const struct run *run, struct agreement *out,
                                  struct error *err)
{
    auto_model struct model model = {0};
    auto_buf struct buf text = {0};
    struct pact *pact = &out->pact;
    const struct identity *identity = keys_for_round(hub);
    *out = (struct agreement){.pact = {.run = run->public_id, .round = run->round}};
    TRY(model_open(hub, arena, run, false, &model, err));
    pact->base = oid_hex(arena, &run->base);
    pact->dimension = model.width;
    hex_decode(model.sha256, pact->model, SHA256_SIZE);
    sha256(buf_view(&model.head), pact->manifest);
    TRY(pact_of_settings(arena, &run->settings, pact, err));
    TRY(find_terms(hub, arena, run, pact, err));
    TRY(check_address(hub, run, err));
    TRY(ask_keys(arena, run, &pact->house, err));
    TRY(check_same_house(hub, arena, run, pact, err));
    memcpy(pact->hub.key, identity->sign.public_key, PACT_KEY_SIZE);
    memcpy(pact->hub.seal, identity->seals[0].public_key, 32);
    pact->hub.until_us = identity->seals[0].until_us;
    pact_write(pact, &text);
    out->text = arena_copy(arena, buf_view(&text));
    pact_ctx(out->text, out->ctx);
    pact_sign_text(&identity->sign, PACT_TYPE, out->text, out->hub_signature);
    random_bytes(out->seed, sizeof out->seed);
    return OK;
}

static enum status ask_signature(struct hub *hub, struct arena *arena, const struct run *run, struct agreement *of,
                                 struct error *err)
{
    struct str answer;
    TRY(house_ask(hub, arena, run, &of->pact, WIRE_CONFIG, of->text, PACT_SIGNATURE_SIZE, &answer, err));
    if (answer.len != PACT_SIGNATURE_SIZE ||
        !pact_text_signed(of->pact.house.key, PACT_TYPE, of->text, (const uint8_t *)answer.data))
        return fail(err, UNPROCESSABLE, NULL, "The other house has not signed the round's configuration.");
    memcpy(of->house_signature, answer.data, PACT_SIGNATURE_SIZE);
    of->is_signed = true;
    return OK;
}

/* Rows. */

static const char load_sql[] = "SELECT config, hub_signature, house_signature, seed FROM federate_config WHERE run_id "
                               "= ? AND round = ?";

static bool copy_exact(struct str from, void *out, size_t len)
{
    if (from.len != len)
        return false;
    memcpy(out, from.data, len);
    return true;
}

enum status agreement_load(struct db_conn *conn, struct arena *arena, const struct run *run, struct agreement *out,
                           struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct agreement){0};
    TRY(db_prepare(conn, load_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, run->round);
    bool found = stmt_next(row), good = true;
    if (found) {
        out->text = arena_copy(arena, stmt_str(row, 0));
        good = copy_exact(stmt_str(row, 1), out->hub_signature, PACT_SIGNATURE_SIZE);
        out->is_signed = copy_exact(stmt_str(row, 2), out->house_signature, PACT_SIGNATURE_SIZE);
        copy_exact(stmt_str(row, 3), out->seed, sizeof out->seed);
    }
    TRY(stmt_end(row, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "Round %lld has no configuration yet.", (long long)run->round);
    if (!good)
        return fail(err, CORRUPT, NULL, "The configuration of round %lld is damaged.", (long long)run->round);
    TRY(pact_read(arena, out->text, &out->pact, err));
    pact_ctx(out->text, out->ctx);
    return pact_pine(&out->pact, out->ctx, &out->pine, err);
}

static const char insert_sql[] = "INSERT INTO federate_config (run_id, round, config, hub_signature, house_signature, "
                                 "seed) VALUES (?, ?, ?, ?, ?, ?)";

enum status agreement_insert(struct db_conn *tx, const struct run *run, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    const struct agreement *of = run->agreement;
    TRY(db_prepare(tx, insert_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, run->round);
    stmt_bind_str(row, 3, of->text);
    stmt_bind_blob(row, 4, of->hub_signature, PACT_SIGNATURE_SIZE);
    if (of->is_signed)
        stmt_bind_blob(row, 5, of->house_signature, PACT_SIGNATURE_SIZE);
    else
        stmt_bind_null(row, 5);
    stmt_bind_blob(row, 6, of->seed, sizeof of->seed);
    return stmt_run(row, err);
}

static enum status insert_later(struct db_conn *tx, void *context, struct error *err)
{
    return agreement_insert(tx, context, err);
}

static const char sign_sql[] = "UPDATE federate_config SET house_signature = ? WHERE run_id = ? AND round = ?";

static enum status keep_signature(struct db_conn *tx, void *context, struct error *err)
{
    const struct run *run = context;
    auto_stmt struct stmt *sign = NULL;
    TRY(db_prepare(tx, sign_sql, &sign, err));
    stmt_bind_blob(sign, 1, run->agreement->house_signature, PACT_SIGNATURE_SIZE);
    stmt_bind_int(sign, 2, run->id);
    stmt_bind_int(sign, 3, run->round);
    return stmt_run(sign, err);
}

static enum status load_or_make(struct hub *hub, struct arena *arena, struct run *run, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(hub->db, &conn, err));
    enum status found = agreement_load(conn, arena, run, run->agreement, err);
    db_release(&conn);
    if (found != NOT_FOUND)
        return found;
    TRY(make_agreement(hub, arena, run, run->agreement, err));
    /* Durable before the other house sees it: it signs one for a round, and no other. */
    return db_write(hub->db, insert_later, run, err);
}

enum status agreement_prepare(struct hub *hub, struct arena *arena, struct run *run, struct error *err)
{
    run->agreement = arena_alloc(arena, sizeof *run->agreement);
    if (run->id == 0) {
        TRY(make_agreement(hub, arena, run, run->agreement, err));
        return ask_signature(hub, arena, run, run->agreement, err);
    }
    TRY(load_or_make(hub, arena, run, err));
    if (run->agreement->is_signed)
        return OK;
    TRY(ask_signature(hub, arena, run, run->agreement, err));
    return db_write(hub->db, keep_signature, run, err);
}
