/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Acceptances, and what the receipts say. */
#include "terms/internal.h"

const struct event_kind terms_events[] = {[EVENT_ACCEPT] = {"terms.accept", 1},
                                          [EVENT_POST] = {"terms.post", 1},
                                          [EVENT_PUBLISH] = {"terms.publish", 1},
                                          {0}};

struct accepting {
    struct db_conn *tx;
    struct arena *arena;
    struct terms_acceptance *what;
    struct str person, gate; /* names, for the receipts; gate absent: none */
    int64_t now_us;
};

struct accepted {
    struct doc doc;
    struct version_row version;
    struct str lang, sha256;
    uint8_t hash[SHA256_SIZE];
};

/* Who, and where. */

static const char gate_sql[] =
    "SELECT CASE WHEN g.slug IS NOT NULL THEN 'group ' || o.name || '/' || g.slug "
    "ELSE CASE r.kind WHEN 1 THEN 'model ' WHEN 2 THEN 'dataset ' ELSE 'space ' END || r.ns || '/' || r.name END, r.id "
    "FROM gate g JOIN account o ON o.id = g.owner_id LEFT JOIN gate_repo gr ON gr.gate_id = g.id AND g.slug IS NULL "
    "LEFT JOIN repo r ON r.id = gr.repo_id WHERE g.id = ? LIMIT 1";

enum status terms_gate_name(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct str *name,
                            int64_t *repo_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, gate_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    bool found = stmt_next(row);
    *name = found && !stmt_is_null(row, 0) ? arena_copy(arena, stmt_str(row, 0)) : STR("something that is gone");
    *repo_id = found && !stmt_is_null(row, 1) ? stmt_int(row, 1) : 0;
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such gate.");
}

static enum status find_names(struct accepting *accepting, struct error *err)
{
    struct account account;
    int64_t repo_id;
    TRY(account_get(accepting->tx, accepting->arena, accepting->what->account_id, &account, err));
    accepting->person = account.name;
    return accepting->what->gate_id ? terms_gate_name(accepting->tx, accepting->arena, accepting->what->gate_id,
                                                      &accepting->gate, &repo_id, err)
                                    : OK;
}

/* Which text. */

static const char text_sql[] = "SELECT lang FROM terms_text WHERE version_id = ? AND sha256 = ? ORDER BY lang LIMIT 1";

static enum status is_text_of(struct accepting *accepting, struct accepted *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(accepting->tx, text_sql, &row, err));
    stmt_bind_int(row, 1, out->version.id);
    stmt_bind_blob(row, 2, out->hash, SHA256_SIZE);
    *found = stmt_next(row);
    if (*found)
        out->lang = arena_copy(accepting->arena, stmt_str(row, 0));
    return stmt_end(row, err);
}

/* Of the version in force, or of the newest: those who are asked early need not be asked twice. */
static enum status find_text(struct accepting *accepting, struct accepted *out, struct error *err)
{
    bool found;
    TRY(version_get(accepting->tx, accepting->arena, out->doc.id, 0, &out->version, err));
    TRY(is_text_of(accepting, out, &found, err));
    if (found)
        return OK;
    TRY(version_in_force(accepting->tx, accepting->arena, out->doc.id, accepting->now_us, &out->version, err));
    TRY(is_text_of(accepting, out, &found, err));
    if (found)
        return OK;
    return fail(err, UNPROCESSABLE, "TermsChanged",
                "%.*s is not the SHA-256 of a text of %.*s that is in force. It may have changed: read it again at "
                "/api/terms/%.*s, and send the hash of what you have read.",
                STR_ARG(out->sha256), STR_ARG(out->doc.name), STR_ARG(out->doc.name));
}

static enum status read_item(struct accepting *accepting, const json_t *item, struct accepted *out, struct error *err)
{
    struct str name = json_get_str(item, "terms");
    out->sha256 = json_get_str(item, "sha256");
    if (!json_is_object(item) || json_object_size(item) != 2 || !str_given(name) ||
        !hex_decode(out->sha256, out->hash, SHA256_SIZE))
        return fail(err, INVALID, NULL,
                    "Each accepted text is {\"terms\": \"ns/name\", \"sha256\": \"64 hex digits\"} and nothing more: "
                    "the SHA-256 of the text that was shown.");
    out->sha256 = hex_encode(accepting->arena, out->hash, SHA256_SIZE);
    TRY(doc_find(accepting->tx, accepting->arena, name, &out->doc, err));
    return find_text(accepting, out, err);
}

/* Keeping. */

static const char add_sql[] = "INSERT INTO terms_acceptance (account_id, doc_id, seq, sha256, lang, gate_id, "
                              "request_id, method, at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum status add_row(struct accepting *accepting, const struct accepted *item, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    const struct terms_acceptance *what = accepting->what;
    TRY(db_prepare(accepting->tx, add_sql, &add, err));
    stmt_bind_int(add, 1, what->account_id);
    stmt_bind_int(add, 2, item->doc.id);
    stmt_bind_int(add, 3, item->version.seq);
    stmt_bind_blob(add, 4, item->hash, SHA256_SIZE);
    stmt_bind_str(add, 5, item->lang);
    stmt_bind_int(add, 6, what->gate_id);
    stmt_bind_int(add, 7, what->request_id);
    stmt_bind_str(add, 8, str_of(what->method));
    stmt_bind_int(add, 9, accepting->now_us);
    TRY(stmt_run(add, err));
    *id = db_last_id(accepting->tx);
    return OK;
}

static const char receipt_sql[] = "INSERT INTO terms_receipt (id, account_id, payload) VALUES (?, ?, ?)";

static enum status add_receipt(struct accepting *accepting, const struct accepted *item, int64_t id, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    auto_buf struct buf payload = {0};
    struct json_writer w = jw_to(&payload);
    jw_object(&w);
    jw_key_int(&w, "receipt", id);
    jw_key_str(&w, "person", accepting->person);
    jw_key_str(&w, "terms", item->doc.name);
    jw_key_int(&w, "version", item->version.seq);
    jw_key_str(&w, "sha256", item->sha256);
    jw_key_str(&w, "language", item->lang);
    jw_key_str(&w, "method", str_of(accepting->what->method));
    jw_key_str(&w, "at", time_iso(accepting->arena, accepting->now_us));
    if (str_given(accepting->gate))
        jw_key_str(&w, "for", accepting->gate);
    jw_end(&w);
    TRY(db_prepare(accepting->tx, receipt_sql, &add, err));
    stmt_bind_int(add, 1, id);
    stmt_bind_int(add, 2, accepting->what->account_id);
    stmt_bind_str(add, 3, buf_view(&payload));
    return stmt_run(add, err);
}

static enum status add_event(struct accepting *accepting, const struct accepted *item, int64_t id, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "acceptance", id);
    jw_key_int(&w, "doc", item->doc.id);
    jw_key_int(&w, "seq", item->version.seq);
    jw_key_int(&w, "gate", accepting->what->gate_id);
    jw_end(&w);
    const struct event event = {
        .kind = &terms_events[EVENT_ACCEPT], .actor_id = accepting->what->account_id, .body = buf_view(&body)};
    return event_append(accepting->tx, &event, err);
}

static enum status accept_one(struct accepting *accepting, const json_t *json, struct error *err)
{
    struct accepted item;
    int64_t id;
    TRY(read_item(accepting, json, &item, err));
    TRY(add_row(accepting, &item, &id, err));
    TRY(add_receipt(accepting, &item, id, err));
    TRY(add_event(accepting, &item, id, err));
    if (accepting->what->count++ == 0)
        accepting->what->first_id = id;
    return OK;
}

enum status terms_accept(struct db_conn *tx, struct terms_acceptance *acceptance, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct accepting accepting = {.tx = tx, .arena = &arena, .what = acceptance, .now_us = now_us()};
    size_t count = json_array_size(acceptance->accepted);
    acceptance->count = 0;
    if (!json_is_array(acceptance->accepted) || count == 0 || count > TERMS_GATE_MOST)
        return fail(err, INVALID, NULL,
                    "What is accepted is an array of 1 to %d texts: [{\"terms\": \"ns/name\", \"sha256\": \"...\"}].",
                    TERMS_GATE_MOST);
    TRY(find_names(&accepting, err));
    for (size_t i = 0; i < count; i++)
        TRY(accept_one(&accepting, json_array_get(acceptance->accepted, i), err));
    for (const struct module *const *module = modules; *module; module++)
        if ((*module)->accepted)
            TRY((*module)->accepted(tx, acceptance->account_id, err));
    return OK;
}
