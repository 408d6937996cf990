/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Documents and their versions, read. */
#include "terms/internal.h"

static enum status no_terms(struct str name, struct error *err)
{
    return fail(err, NOT_FOUND, "TermsNotFound",
                "There are no terms called \"%.*s\". Names are NAME-SPACE/NAME, as in templates/research-only.",
                (int)(name.len < 200 ? name.len : 200), name.data ? name.data : "");
}

static const char find_sql[] =
    "SELECT d.id, d.owner_id, coalesce(a.name, 'templates') || '/' || d.slug, d.slug, d.kind "
    "FROM terms_doc d LEFT JOIN account a ON a.id = d.owner_id "
    "WHERE d.owner_id = ? AND d.slug = ?";
static const char get_sql[] = "SELECT d.id, d.owner_id, coalesce(a.name, 'templates') || '/' || d.slug, d.slug, d.kind "
                              "FROM terms_doc d LEFT JOIN account a ON a.id = d.owner_id WHERE d.id = ?";

static enum status read_doc(struct stmt *row, struct arena *arena, struct str name, struct doc *out, struct error *err)
{
    bool found = stmt_next(row);
    if (found)
        *out = (struct doc){stmt_int(row, 0), stmt_int(row, 1), arena_copy(arena, stmt_str(row, 2)),
                            arena_copy(arena, stmt_str(row, 3)), arena_copy(arena, stmt_str(row, 4))};
    TRY(stmt_end(row, err));
    return found ? OK : no_terms(name, err);
}

enum status doc_find(struct db_conn *conn, struct arena *arena, struct str name, struct doc *out, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    struct str ns, slug = name;
    struct account owner = {0};
    if (!str_cut(&slug, '/', &ns) || !str_given(slug))
        return no_terms(name, err);
    if (!str_eq_nocase(ns, TEMPLATES)) {
        enum status status = account_find(conn, arena, ns, &owner, err);
        if (status != OK)
            return status == NOT_FOUND ? no_terms(name, err) : status;
    }
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_int(find, 1, owner.id);
    stmt_bind_str(find, 2, slug);
    return read_doc(find, arena, name, out, err);
}

enum status doc_get(struct db_conn *conn, struct arena *arena, int64_t id, struct doc *out, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, id);
    return read_doc(get, arena, STR(""), out, err);
}

enum status terms_doc_find(struct db_conn *conn, struct str name, int64_t *doc_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct doc doc;
    struct version_row newest;
    TRY(doc_find(conn, &arena, name, &doc, err));
    *doc_id = doc.id;
    return version_get(conn, &arena, doc.id, 0, &newest, err) == NOT_FOUND ? no_terms(name, err) : OK;
}

/* Versions. */

#define COLUMNS                                                                                                        \
    "SELECT id, doc_id, seq, change, proposed, basis_seq, summary, effective_us, grace_us, digest, by_id, second_id, " \
    "posted_us, published_us FROM terms_version "

static const char newest_sql[] = COLUMNS "WHERE doc_id = ? AND published_us > 0 ORDER BY seq DESC LIMIT 1";
static const char one_sql[] = COLUMNS "WHERE doc_id = ? AND seq = ?";
static const char in_force_sql[] = COLUMNS "WHERE doc_id = ? AND published_us > 0 ORDER BY effective_us > ?, "
                                           "CASE WHEN effective_us > ? THEN seq ELSE -seq END LIMIT 1";

static enum status read_version(struct stmt *row, struct arena *arena, struct version_row *out, struct error *err)
{
    bool found = stmt_next(row);
    if (found) {
        *out = (struct version_row){.id = stmt_int(row, 0),
                                    .doc_id = stmt_int(row, 1),
                                    .seq = stmt_int(row, 2),
                                    .change = (enum change)stmt_int(row, 3),
                                    .proposed = (enum change)stmt_int(row, 4),
                                    .basis_seq = stmt_int(row, 5),
                                    .summary = arena_copy(arena, stmt_str(row, 6)),
                                    .effective_us = stmt_int(row, 7),
                                    .grace_us = stmt_int(row, 8),
                                    .by_id = stmt_int(row, 10),
                                    .second_id = stmt_int(row, 11),
                                    .posted_us = stmt_int(row, 12),
                                    .published_us = stmt_int(row, 13)};
        memcpy(out->digest, stmt_str(row, 9).data, SHA256_SIZE);
    }
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, "TermsNotFound", "There is no such version of these terms.");
}

enum status version_get(struct db_conn *conn, struct arena *arena, int64_t doc_id, int64_t seq, struct version_row *out,
                        struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, seq ? one_sql : newest_sql, &get, err));
    stmt_bind_int(get, 1, doc_id);
    if (seq)
        stmt_bind_int(get, 2, seq);
    return read_version(get, arena, out, err);
}

enum status version_in_force(struct db_conn *conn, struct arena *arena, int64_t doc_id, int64_t now_us,
                             struct version_row *out, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, in_force_sql, &get, err));
    stmt_bind_int(get, 1, doc_id);
    stmt_bind_int(get, 2, now_us);
    stmt_bind_int(get, 3, now_us);
    return read_version(get, arena, out, err);
}

/* Texts. */

static const char texts_sql[] =
    "SELECT lang, sha256, length(CAST(body AS BLOB)) FROM terms_text WHERE version_id = ? ORDER BY lang";

enum status version_texts(struct db_conn *conn, struct arena *arena, int64_t version_id, struct terms_text **out,
                          size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct terms_text *texts = arena_array(arena, TERMS_LANGUAGES_MOST, sizeof *texts);
    TRY(db_prepare(conn, texts_sql, &row, err));
    stmt_bind_int(row, 1, version_id);
    for (*count = 0; *count < TERMS_LANGUAGES_MOST && stmt_next(row); ++*count)
        texts[*count] = (struct terms_text){arena_copy(arena, stmt_str(row, 0)),
                                            hex_encode(arena, stmt_str(row, 1).data, SHA256_SIZE), stmt_int(row, 2)};
    *out = texts;
    return stmt_end(row, err);
}

static const char body_sql[] = "SELECT body FROM terms_text WHERE version_id = ? AND lang = ?";

enum status version_body(struct db_conn *conn, struct arena *arena, int64_t version_id, struct str lang,
                         struct str *body, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, body_sql, &row, err));
    stmt_bind_int(row, 1, version_id);
    stmt_bind_str(row, 2, lang);
    bool found = stmt_next(row);
    *body = found ? arena_copy(arena, stmt_str(row, 0)) : (struct str){0};
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, "TermsNotFound", "These terms have no text in that language.");
}

/* What a gate asks for. */

static enum status tell_version(struct db_conn *conn, struct arena *arena, const struct version_row *row,
                                struct terms_version *out, struct error *err)
{
    *out = (struct terms_version){.id = row->id,
                                  .seq = row->seq,
                                  .change = change_name(row->change),
                                  .summary = row->summary,
                                  .published_us = row->published_us,
                                  .effective_us = row->effective_us,
                                  .grace_us = row->grace_us,
                                  .sha256 = hex_encode(arena, row->digest, SHA256_SIZE)};
    return version_texts(conn, arena, row->id, &out->texts, &out->text_count, err);
}

static const char bound_sql[] = "SELECT doc_id FROM gate_terms WHERE gate_id = ? ORDER BY place, doc_id";

enum status terms_wanted(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t now_us,
                         struct terms_wanted *out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, bound_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    for (*count = 0; *count < TERMS_GATE_MOST && stmt_next(row); ++*count)
        out[*count] = (struct terms_wanted){.doc_id = stmt_int(row, 0)};
    TRY(stmt_end(row, err));
    for (struct terms_wanted *wanted = out; wanted < out + *count; wanted++) {
        struct doc doc;
        struct version_row now, newest;
        TRY(doc_get(conn, arena, wanted->doc_id, &doc, err));
        wanted->name = doc.name;
        wanted->kind = doc.kind;
        TRY(version_in_force(conn, arena, doc.id, now_us, &now, err));
        TRY(version_get(conn, arena, doc.id, 0, &newest, err));
        TRY(tell_version(conn, arena, &now, &wanted->now, err));
        if (newest.id != now.id)
            TRY(tell_version(conn, arena, &newest, &wanted->next, err));
    }
    return OK;
}
