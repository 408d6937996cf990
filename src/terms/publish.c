/* SPDX-License-Identifier: GPL-3.0-or-later */
/* New versions of texts (access C5): what is posted, who has to sign, and what follows for the gates that ask for them. */
#include "access/log.h"
#include "notice/notice.h"
#include "terms/internal.h"

#define BOARD_REVIEW_US (INT64_C(7) * 86400 * SECOND_US) /* of an emergency */
#define RISK_NEEDS_SECOND 2

/* The order of languages, and what is signed for. */

void publication_seal(struct publication *what)
{
    auto_buf struct buf lines = {0};
    for (size_t i = 1; i < what->count; i++)
        for (size_t j = i; j > 0 && str_cmp(what->texts[j - 1].lang, what->texts[j].lang) > 0; j--) {
            struct terms_text text = what->texts[j];
            struct str body = what->bodies[j];
            what->texts[j] = what->texts[j - 1];
            what->bodies[j] = what->bodies[j - 1];
            what->texts[j - 1] = text;
            what->bodies[j - 1] = body;
        }
    for (size_t i = 0; i < what->count; i++) {
        uint8_t hash[SHA256_SIZE];
        sha256(what->bodies[i], hash);
        what->texts[i].sha256 = hex_encode(what->arena, hash, SHA256_SIZE);
        what->texts[i].size = (int64_t)what->bodies[i].len;
        buf_printf(&lines, "%.*s %.*s\n", STR_ARG(what->texts[i].lang), STR_ARG(what->texts[i].sha256));
    }
    sha256(buf_view(&lines), what->made.digest);
}

/* Rows. */

static const char doc_sql[] = "INSERT INTO terms_doc (owner_id, slug, kind) VALUES (?, ?, ?)";
static const char unwaiting_texts_sql[] = "DELETE FROM terms_text WHERE version_id IN "
                                          "(SELECT id FROM terms_version WHERE doc_id = ? AND published_us = 0)";
static const char unwaiting_sql[] = "DELETE FROM terms_version WHERE doc_id = ? AND published_us = 0";
static const char add_sql[] =
    "INSERT INTO terms_version (doc_id, seq, change, proposed, basis_seq, summary, effective_us, grace_us, digest, "
    "by_id, posted_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char add_text_sql[] = "INSERT INTO terms_text (version_id, lang, sha256, body) VALUES (?, ?, ?, ?)";

static enum status run_on(struct db_conn *tx, const char *sql, int64_t id, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    stmt_bind_int(stmt, 1, id);
    return stmt_run(stmt, err);
}

static enum status add_doc(struct db_conn *tx, struct publication *what, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, doc_sql, &add, err));
    stmt_bind_int(add, 1, what->doc.owner_id);
    stmt_bind_str(add, 2, what->doc.slug);
    stmt_bind_str(add, 3, what->doc.kind);
    if (stmt_run(add, err) == CONFLICT)
        return fail(err, STALE, NULL, "Somebody has published these terms at the same time. Look at them again.");
    what->doc.id = db_last_id(tx);
    return OK;
}

static enum status add_texts(struct db_conn *tx, const struct publication *what, struct error *err)
{
    for (size_t i = 0; i < what->count; i++) {
        auto_stmt struct stmt *add = NULL;
        uint8_t hash[SHA256_SIZE];
        hex_decode(what->texts[i].sha256, hash, SHA256_SIZE);
        TRY(db_prepare(tx, add_text_sql, &add, err));
        stmt_bind_int(add, 1, what->made.id);
        stmt_bind_str(add, 2, what->texts[i].lang);
        stmt_bind_blob(add, 3, hash, SHA256_SIZE);
        stmt_bind_str(add, 4, what->bodies[i]);
        TRY(stmt_run(add, err));
    }
    return OK;
}

/* One version may wait; what is posted next takes its place. */
static enum status add_version(struct db_conn *tx, struct publication *what, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    struct version_row *made = &what->made;
    TRY(run_on(tx, unwaiting_texts_sql, what->doc.id, err));
    TRY(run_on(tx, unwaiting_sql, what->doc.id, err));
    made->doc_id = what->doc.id;
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, made->doc_id);
    stmt_bind_int(add, 2, made->seq);
    stmt_bind_int(add, 3, made->change);
    stmt_bind_int(add, 4, made->proposed);
    stmt_bind_int(add, 5, made->basis_seq);
    stmt_bind_str(add, 6, made->summary);
    stmt_bind_int(add, 7, made->effective_us);
    stmt_bind_int(add, 8, made->grace_us);
    stmt_bind_blob(add, 9, made->digest, SHA256_SIZE);
    stmt_bind_int(add, 10, made->by_id);
    stmt_bind_int(add, 11, made->posted_us);
    TRY(stmt_run(add, err));
    made->id = db_last_id(tx);
    return add_texts(tx, what, err);
}

static enum status add_event(struct db_conn *tx, const struct version_row *version, int kind, int64_t by_id,
                             struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "doc", version->doc_id);
    jw_key_int(&w, "seq", version->seq);
    jw_key_str(&w, "class", str_of(change_name(version->change)));
    jw_key_hex(&w, "sha256", version->digest, SHA256_SIZE);
    jw_end(&w);
    const struct event event = {.kind = &terms_events[kind], .actor_id = by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

/* What follows. */

struct bound_gate {
    int64_t id, owner_id, repo_id;
};

static const char gates_sql[] =
    "SELECT g.id, g.owner_id, coalesce((SELECT min(r.repo_id) FROM gate_repo r WHERE r.gate_id = g.id AND g.slug IS "
    "NULL), 0) FROM gate_terms t JOIN gate g ON g.id = t.gate_id WHERE t.doc_id = ?";

static enum status bound_gates(struct db_conn *tx, struct arena *arena, int64_t doc_id, struct bound_gate **out,
                               size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(tx, gates_sql, &row, err));
    stmt_bind_int(row, 1, doc_id);
    while (stmt_next(row)) {
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        (*out)[(*count)++] = (struct bound_gate){stmt_int(row, 0), stmt_int(row, 1), stmt_int(row, 2)};
    }
    return stmt_end(row, err);
}

static enum status change_gate(struct db_conn *tx, const struct bound_gate *gate, const struct version_row *before,
                               const struct version_row *version, int64_t by_id, struct error *err)
{
    int64_t epoch;
    const struct policy_change change = {.repo_id = gate->repo_id,
                                         .owner_id = gate->owner_id,
                                         .actor_id = by_id,
                                         .what = "terms",
                                         .before = before->id ? before->digest : NULL,
                                         .after = version->digest,
                                         .gated = true};
    TRY(access_log_policy(tx, &change, err));
    if (version->change == CHANGE_EDITORIAL)
        return OK;
    if (version->change == CHANGE_MINOR)
        return walk_begin(tx, gate->id, version->id, err);
    return epoch_begin(tx, gate->id, version->id, version->effective_us + version->grace_us, &epoch, err);
}

static const char board_sql[] = "SELECT id FROM account WHERE is_admin <> 0 AND erased_us IS NULL LIMIT 100";

static enum status tell_board(struct db_conn *tx, const struct doc *doc, const struct version_row *version,
                              struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf text = {0};
    int64_t ids[100];
    size_t count = 0;
    TRY(db_prepare(tx, board_sql, &row, err));
    while (count < 100 && stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    buf_printf(
        &text,
        "%.*s was changed as an emergency (version %lld): everybody who holds a grant under it is suspended until "
        "they accept it. The board reviews this within 7 days.",
        STR_ARG(doc->name), (long long)version->seq);
    for (size_t i = 0; i < count; i++)
        TRY(notice_add(
            tx,
            &(struct notice){ids[i], 0, "terms.emergency", buf_view(&text), version->published_us + BOARD_REVIEW_US},
            err));
    return OK;
}

static const char publish_sql[] = "UPDATE terms_version SET published_us = ?, effective_us = ?, second_id = ? "
                                  "WHERE id = ? AND published_us = 0";

/* before: the newest one until now; its id is 0 for a first version. */
static enum status publish(struct db_conn *tx, const struct doc *doc, const struct version_row *before,
                           struct version_row *version, int64_t second_id, int64_t at_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *update = NULL;
    struct bound_gate *gates;
    size_t count;
    version->published_us = at_us;
    if (version->effective_us < at_us)
        version->effective_us = at_us;
    version->second_id = second_id;
    TRY(db_prepare(tx, publish_sql, &update, err));
    stmt_bind_int(update, 1, version->published_us);
    stmt_bind_int(update, 2, version->effective_us);
    stmt_bind_int(update, 3, second_id);
    stmt_bind_int(update, 4, version->id);
    TRY(stmt_run(update, err));
    TRY(add_event(tx, version, EVENT_PUBLISH, second_id ? second_id : version->by_id, err));
    TRY(bound_gates(tx, &arena, doc->id, &gates, &count, err));
    for (size_t i = 0; i < count; i++)
        TRY(change_gate(tx, &gates[i], before, version, second_id ? second_id : version->by_id, err));
    return version->change == CHANGE_EMERGENCY ? tell_board(tx, doc, version, err) : OK;
}

/* Posting. */

static const char risk_sql[] = "SELECT coalesce(max(risk), 0) FROM gate_terms WHERE doc_id = ?";

static enum status read_risk(struct db_conn *tx, int64_t doc_id, int64_t *risk, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, risk_sql, &row, err));
    stmt_bind_int(row, 1, doc_id);
    *risk = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status refuse_class(const struct publication *what, struct error *err)
{
    return fail(err, UNPROCESSABLE, "ClassTooLow",
                "By the published rule this change is %s, not %s: it takes away, or binds, or cannot be told from "
                "that. Publish it as %s, or send \"confirmed\": true when you are sure.",
                change_name(what->proposed), change_name(what->change), change_name(what->proposed));
}

static void fill(struct publication *what, const struct version_row *before)
{
    struct version_row *made = &what->made;
    bool starts = !before->id || what->change >= CHANGE_MATERIAL;
    made->seq = before->seq + 1;
    made->change = what->change;
    made->proposed = what->proposed;
    made->basis_seq = starts ? made->seq : before->basis_seq;
    made->summary = what->summary;
    bool at_once = what->change == CHANGE_EMERGENCY;
    made->effective_us = what->effective_us && !at_once ? what->effective_us : what->now_us;
    made->grace_us = at_once ? 0 : what->grace_us;
    made->by_id = what->by_id;
    made->posted_us = what->now_us;
}

enum status publication_run(struct db_conn *tx, void *publication, struct error *err)
{
    struct publication *what = publication;
    struct version_row before = {0};
    int64_t risk = 0, was_based_on = what->based_on;
    if (!what->doc.id)
        TRY(add_doc(tx, what, err));
    enum status found = version_get(tx, what->arena, what->doc.id, 0, &before, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (before.seq != was_based_on)
        return fail(err, STALE, NULL, "Somebody has published another version meanwhile. Look at it first.");
    if (before.id && memcmp(before.digest, what->made.digest, SHA256_SIZE) == 0)
        return fail(err, CONFLICT, NULL, "These are the texts of version %lld, byte for byte.", (long long)before.seq);
    if (before.id && what->change < what->proposed && !what->confirmed)
        return refuse_class(what, err);
    fill(what, &before);
    TRY(add_version(tx, what, err));
    TRY(read_risk(tx, what->doc.id, &risk, err));
    if (before.id && (what->change == CHANGE_EMERGENCY || risk >= RISK_NEEDS_SECOND))
        return add_event(tx, &what->made, EVENT_POST, what->by_id, err);
    return publish(tx, &what->doc, &before, &what->made, 0, what->now_us, err);
}

/* Signing as the second. */

enum status countersigning_run(struct db_conn *tx, void *countersigning, struct error *err)
{
    struct countersigning *what = countersigning;
    struct version_row before = {0};
    TRY(version_get(tx, what->arena, what->doc.id, what->seq, &what->made, err));
    if (what->made.published_us)
        return fail(err, CONFLICT, NULL, "This version is published already.");
    if (memcmp(what->made.digest, what->digest, SHA256_SIZE) != 0)
        return fail(err, UNPROCESSABLE, "TermsChanged",
                    "That is not the SHA-256 of the version that waits. Read it again, and sign what you have read.");
    if (what->made.by_id == what->by_id)
        return fail(err, FORBIDDEN, "SecondPerson",
                    "A second person signs: another administrator of the name space, or one of the hub.");
    enum status found = version_get(tx, what->arena, what->doc.id, 0, &before, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    return publish(tx, &what->doc, &before, &what->made, what->by_id, now_us(), err);
}
