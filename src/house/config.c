/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Step "config": what a house signs, and what it does not. */
#include "house/internal.h"

enum status settings_of(struct str config, json_t **keep, struct settings *out, struct error *err)
{
    TRY(json_read(config, PACT_LIMIT, keep, err));
    const json_t *settings = json_object_get(*keep, "settings");
    if (!json_is_object(settings))
        return fail(err, INVALID, NULL, "The configuration has no \"settings\".");
    return settings_read(settings, out, err);
}

/* What follows from the settings is computed again; then there is one way to write it, and this must be it. */
static enum status check_text(struct asked *asked, struct str text, const struct pact *pact, struct error *err)
{
    auto_json json_t *keep = NULL;
    auto_buf struct buf again = {0};
    struct settings settings;
    struct pact own = *pact;
    TRY(settings_of(text, &keep, &settings, err));
    if (settings.mode != &two_houses_mode)
        return fail(err, INVALID, NULL, "The configuration is not of the mode two-houses.");
    if (pact->round > settings.rounds)
        return fail(err, INVALID, NULL, "The run has %lld rounds.", (long long)settings.rounds);
    TRY(pact_of_settings(asked->arena, &settings, &own, err));
    pact_write(&own, &again);
    if (!str_eq(buf_view(&again), text))
        return fail(
            err, UNPROCESSABLE, NULL,
            "The configuration is not what this house makes of the same settings: the houses' versions differ, or "
            "somebody has changed it.");
    return OK;
}

static enum status check_keys(const struct asked *asked, const struct pact *pact, struct error *err)
{
    int64_t now = now_us();
    const struct identity_seal *seal = identity_seal(asked->house->identity, pact->house.seal);
    if (!str_eq(pact->run, asked->run) || pact->round != asked->request->round)
        return fail(err, INVALID, NULL, "The configuration is of another round than the request.");
    if (memcmp(pact->hub.key, asked->request->from, PACT_KEY_SIZE) != 0 ||
        memcmp(pact->house.key, house_key(asked->house), PACT_KEY_SIZE) != 0)
        return fail(err, FORBIDDEN, NULL, "The configuration names other houses.");
    if (!seal || seal->until_us != pact->house.until_us || seal->until_us < now || pact->hub.until_us < now)
        return fail(err, UNPROCESSABLE, NULL,
                    "A key that shares would be sealed to has come to its end, or is not this "
                    "house's.");
    if (pact->dimension > asked->house->limits.parameters)
        return fail(err, FORBIDDEN, NULL, "This house takes models of at most %lld parameters.",
                    (long long)asked->house->limits.parameters);
    return OK;
}

/* A round begins where the one before has ended: with the model that this house has signed. */
static enum status check_before(struct db_conn *conn, const struct asked *asked, const struct pact *pact,
                                struct error *err)
{
    struct round_row before;
    bool found;
    if (pact->round == 1)
        return OK;
    TRY(round_find(conn, asked->arena, asked->request->run, pact->round - 1, &before, &found, err));
    if (!found || !str_given(before.record) || memcmp(before.model, pact->model, SHA256_SIZE) != 0)
        return fail(err, UNPROCESSABLE, NULL,
                    "Round %lld does not begin with the model that this house has signed for the round before.",
                    (long long)pact->round);
    return OK;
}

/* Writing. */

struct signing {
    const struct asked *asked;
    const struct pact *pact;
    struct str text;
    uint8_t signature[PACT_SIGNATURE_SIZE], seed[32], draw[32];
};

static const char hub_sql[] = "SELECT hub FROM house_run WHERE run = ?";
static const char active_sql[] = "SELECT count(*) FROM house_run WHERE touched_us > ?";
static const char run_sql[] = "INSERT INTO house_run (run, hub, touched_us) VALUES (?, ?, ?) ON CONFLICT (run) DO "
                              "UPDATE SET touched_us = excluded.touched_us";
static const char round_sql[] =
    "INSERT INTO house_round (run, round, config, signature, seed, draw) VALUES (?, ?, ?, ?, ?, ?)";
static const char forget_sql[] = "UPDATE house_report SET body = NULL WHERE run = ? AND round < ?";

static enum status check_run(struct db_conn *tx, const struct signing *s, struct error *err)
{
    auto_stmt struct stmt *hub = NULL, *active = NULL;
    const struct asked *asked = s->asked;
    TRY(db_prepare(tx, hub_sql, &hub, err));
    stmt_bind_blob(hub, 1, asked->request->run, WIRE_RUN_SIZE);
    bool found = stmt_next(hub);
    bool same = found && memcmp(stmt_str(hub, 0).data, asked->request->from, PACT_KEY_SIZE) == 0;
    TRY(stmt_end(hub, err));
    if (found)
        return same ? OK : fail(err, FORBIDDEN, NULL, "The run is another hub's.");
    TRY(db_prepare(tx, active_sql, &active, err));
    stmt_bind_int(active, 1, now_us() - INT64_C(30) * 86400 * SECOND_US);
    int64_t count = stmt_next(active) ? stmt_int(active, 0) : 0;
    TRY(stmt_end(active, err));
    return count < asked->house->limits.runs
               ? OK
               : fail(err, FORBIDDEN, NULL, "This house has %lld runs under way, and takes no more.", (long long)count);
}

static enum status insert(struct db_conn *tx, void *context, struct error *err)
{
    const struct signing *s = context;
    const struct wire_request *request = s->asked->request;
    auto_stmt struct stmt *run = NULL, *round = NULL, *forget = NULL;
    TRY(check_run(tx, s, err));
    TRY(db_prepare(tx, run_sql, &run, err));
    stmt_bind_blob(run, 1, request->run, WIRE_RUN_SIZE);
    stmt_bind_blob(run, 2, request->from, PACT_KEY_SIZE);
    stmt_bind_int(run, 3, now_us());
    TRY(stmt_run(run, err));
    TRY(db_prepare(tx, round_sql, &round, err));
    stmt_bind_blob(round, 1, request->run, WIRE_RUN_SIZE);
    stmt_bind_int(round, 2, request->round);
    stmt_bind_str(round, 3, s->text);
    stmt_bind_blob(round, 4, s->signature, PACT_SIGNATURE_SIZE);
    stmt_bind_blob(round, 5, s->seed, sizeof s->seed);
    stmt_bind_blob(round, 6, s->draw, sizeof s->draw);
    TRY(stmt_run(round, err));
    TRY(db_prepare(tx, forget_sql, &forget, err));
    stmt_bind_blob(forget, 1, request->run, WIRE_RUN_SIZE);
    stmt_bind_int(forget, 2, request->round);
    return stmt_run(forget, err);
}

static enum status check(struct asked *asked, struct str text, struct pact *pact, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct pine pine;
    TRY(pact_read(asked->arena, text, pact, err));
    TRY(check_keys(asked, pact, err));
    TRY(pact_pine(pact, asked->ctx, &pine, err)); /* before anything is computed with its numbers */
    TRY(check_text(asked, text, pact, err));
    TRY(db_reader(asked->house->db, &conn, err));
    return check_before(conn, asked, pact, err);
}

enum status step_config(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    struct pact pact;
    struct signing s = {.asked = asked, .pact = &pact, .text = payload};
    if (str_given(asked->row.config) && !str_eq(asked->row.config, payload))
        return fail(err, CONFLICT, "OtherConfig", "This house has signed another configuration for that round.");
    if (str_given(asked->row.config)) {
        buf_add(out, asked->row.signature, PACT_SIGNATURE_SIZE);
        return OK;
    }
    TRY(check(asked, payload, &pact, err));
    if (pact.round == 1)
        house_sweep(asked->house);
    pact_sign_text(&asked->house->identity->sign, PACT_TYPE, payload, s.signature);
    random_bytes(s.seed, sizeof s.seed);
    random_bytes(s.draw, sizeof s.draw);
    TRY(db_write(asked->house->db, insert, &s, err));
    house_files_remove(asked->house, asked->run, pact.round);
    buf_add(out, s.signature, PACT_SIGNATURE_SIZE);
    return OK;
}
