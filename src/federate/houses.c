/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mode "two-houses" while reports come in. */
#include "federate/houses.h"
#include "pine/seal.h"
#include <sys/stat.h>

/* Settings. */

static bool is_address(struct str url)
{
    return str_given(url) && url.len < 1024 && (str_starts(url, STR("http://")) || str_starts(url, STR("https://")));
}

/* A rule of its own, and a race, takes buckets for rows, whose size bucketing:S says; the mean takes one of all. */
static enum status choose_buckets(struct settings *settings, struct error *err)
{
    size_t size = settings->how.bucket;
    bool one = settings->how.rule == ROBUST_MEAN && !settings->how.mix && !size && !settings->candidate_count;
    for (size_t i = 0; i < settings->candidate_count; i++) {
        if (settings->candidates[i].how.bucket != size)
            return fail(err, INVALID, NULL,
                        "In the mode two-houses all candidates have the same buckets: put the same bucketing:SIZE "
                        "before each of them, or before none.");
        settings->candidates[i].how.bucket = 0;
    }
    settings->bucket = one ? 0 : size ? (int64_t)size : PACT_BUCKET_DEFAULT;
    settings->how.bucket = 0;
    return OK;
}

static enum status check(struct settings *settings, struct error *err)
{
    if (!is_address(settings->house))
        return fail(err, INVALID, NULL, "\"house\" must be the address of the second house, as http:// or https://.");
    if (settings->bound <= 0)
        settings->bound = PACT_BOUND_DEFAULT;
    TRY(choose_buckets(settings, err));
    TRY(pact_check_sizes(settings->min_participants, settings->bucket, settings->noise > 0, err));
    size_t buckets = draw_count((size_t)settings->min_participants, (size_t)settings->bucket);
    TRY(settings_check_groups(settings, buckets, err));
    for (size_t i = 0; i == 0 || i < settings->candidate_count; i++)
        TRY(settings_check_rule(settings, i, buckets, err));
    return OK;
}

/* Told to participants. */

static const char ready_sql[] =
    "SELECT 1 FROM federate_config WHERE run_id = ? AND round = ? AND house_signature IS NOT NULL";

static enum status is_ready(struct db_conn *conn, const struct run *run, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, ready_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, run->round);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

static enum status tell(struct request *rq, const struct run *run, struct json_writer *w, struct error *err)
{
    struct agreement of;
    enum status status = agreement_load(rq->db, rq->arena, run, &of, err);
    if (status == NOT_FOUND || (status == OK && !of.is_signed))
        return OK;
    TRY(status);
    jw_key_str(w, "config", of.text);
    jw_key_hex(w, "hubSignature", of.hub_signature, PACT_SIGNATURE_SIZE);
    jw_key_hex(w, "houseSignature", of.house_signature, PACT_SIGNATURE_SIZE);
    return OK;
}

/* Reports. */

static enum status load(struct hub *hub, struct arena *arena, const struct run *run, struct agreement *out,
                        struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(hub->db, &conn, err));
    enum status status = agreement_load(conn, arena, run, out, err);
    return status == NOT_FOUND || (status == OK && !out->is_signed)
               ? fail(err, CONFLICT, "RoundOver", "Round %lld takes no updates yet.", (long long)run->round)
               : status;
}

static enum status size(struct hub *hub, struct arena *arena, const struct run *run, int64_t *most, struct error *err)
{
    struct agreement of;
    TRY(load(hub, arena, run, &of, err));
    *most = (int64_t)seal_size(of.pine.leader_share);
    return OK;
}

static enum status reject(struct error *err, const char *why)
{
    return fail(err, UNPROCESSABLE, "UpdateRejected", "The update is rejected. %s", why);
}

static const char nonce_sql[] = "SELECT 1 FROM federate_report WHERE run_id = ? AND nonce = ?";

static enum status check_nonce(struct hub *hub, const struct run *run, const struct report *report, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_prepare(conn, nonce_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_blob(row, 2, report->nonce, PINE_NONCE_SIZE);
    bool found = stmt_next(row);
    TRY(stmt_end(row, err));
    return found ? reject(err, "Its nonce has been there before in this run.") : OK;
}

/* What can be seen without opening anything; the rest is for both houses to say, once the round is frozen. */
static enum status accept(struct request *rq, const struct run *run, int fd, const json_t *body, struct update *out,
                          struct error *err)
{
    struct agreement of;
    struct stat about;
    struct str text;
    struct report report;
    TRY(load(rq->hub, rq->arena, run, &of, err));
    if (fstat(fd, &about) != 0)
        return fail_errno(err, "update");
    if (!base64_decode(rq->arena, json_get_str(body, "report"), &text) || text.len != sizeof report)
        return fail(err, INVALID, NULL, "\"report\" must be the base64 of %zu bytes.", sizeof report);
    memcpy(&report, text.data, sizeof report);
    if ((uint64_t)about.st_size != seal_size(of.pine.leader_share))
        return reject(err, "Its share does not have the length that a share for this model has.");
    if (memcmp(report.leader, out->digest, BLAKE3_SIZE) != 0)
        return reject(err, "It is about another share than the one that was sent.");
    if (!report_signed(&report, of.ctx))
        return reject(err, "It is not signed for this round by the key that it names.");
    out->report = text;
    return check_nonce(rq->hub, run, &report, err);
}

/* Of an account the last one counts: those before were refused, or are not there any more. */
static const char replace_sql[] =
    "UPDATE federate_report SET body = NULL WHERE run_id = ? AND account_id = ? AND round = ?";
static const char insert_sql[] =
    "INSERT INTO federate_report (run_id, account_id, round, nonce, body) VALUES (?, ?, ?, ?, ?)";

static enum status store(struct db_conn *tx, const struct run *run, const struct update *update, struct error *err)
{
    auto_stmt struct stmt *replace = NULL, *insert = NULL;
    TRY(db_prepare(tx, replace_sql, &replace, err));
    TRY(db_prepare(tx, insert_sql, &insert, err));
    struct stmt *const both[] = {replace, insert};
    for (size_t i = 0; i < 2; i++) {
        stmt_bind_int(both[i], 1, run->id);
        stmt_bind_int(both[i], 2, update->account_id);
        stmt_bind_int(both[i], 3, run->round);
    }
    stmt_bind_blob(insert, 4, update->report.data, PINE_NONCE_SIZE);
    stmt_bind_blob(insert, 5, update->report.data, update->report.len);
    TRY(stmt_run(replace, err));
    enum status status = stmt_run(insert, err);
    return status == CONFLICT ? reject(err, "Its nonce has been there before in this run.") : status;
}

/* The record. What is in it comes of both houses, so either can write it. */

void houses_record(const struct closing *c, struct json_writer *w)
{
    const struct house_facts *facts = c->facts;
    char norm[40];
    int64_t others = c->run.round_rejected;
    jw_key_hex(w, "config", facts->ctx, SHA256_SIZE);
    jw_key_hex(w, "list", facts->list, SHA256_SIZE);
    jw_key_hex(w, "reports", facts->reports, SHA256_SIZE);
    jw_key(w, "reasons");
    jw_object(w);
    for (int i = VERDICT_SEAL; i < VERDICTS; i++) {
        if (facts->reasons[i])
            jw_key_int(w, report_verdict_name((enum verdict)i), facts->reasons[i]);
        others -= facts->reasons[i];
    }
    if (others > 0)
        jw_key_int(w, "form", others); /* refused by the hub when they came */
    jw_end(w);
    jw_key(w, "randoms");
    jw_object(w);
    jw_key_hex(w, "hub", facts->randoms[0], 32);
    jw_key_hex(w, "house", facts->randoms[1], 32);
    jw_end(w);
    jw_key(w, "buckets");
    jw_array(w);
    for (size_t i = 0; i < facts->buckets; i++) {
        jw_object(w);
        jw_key_int(w, "members", (int64_t)facts->members[i]);
        snprintf(norm, sizeof norm, "%.9g", facts->norms[i]);
        jw_key(w, "norm");
        jw_raw(w, str_of(norm));
        jw_key_hex(w, "hubSum", facts->sums[i][0], SHA256_SIZE);
        jw_key_hex(w, "houseSum", facts->sums[i][1], SHA256_SIZE);
        jw_end(w);
    }
    jw_end(w);
}

const struct mode two_houses_mode = {.name = {"two-houses", 10},
                                     .check = check,
                                     .tell = tell,
                                     .gather = houses_gather,
                                     .record = houses_record,
                                     .cosign = houses_cosign,
                                     .apart = true,
                                     .prepare = agreement_prepare,
                                     .opened = agreement_insert,
                                     .is_ready = is_ready,
                                     .size = size,
                                     .accept = accept,
                                     .store = store,
                                     .also = reports_keep};
