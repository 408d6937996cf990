/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What anybody may read of terms, and what a person has accepted of those of a repo. */
#include "terms/internal.h"

static void write_texts(struct json_writer *w, const struct terms_text *texts, size_t count)
{
    jw_key(w, "texts");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_key_str(w, "language", texts[i].lang);
        jw_key_str(w, "sha256", texts[i].sha256);
        jw_key_int(w, "size", texts[i].size);
        jw_end(w);
    }
    jw_end(w);
}

void version_write(struct json_writer *w, struct arena *arena, const struct version_row *row,
                   const struct terms_text *texts, size_t count)
{
    jw_key_int(w, "version", row->seq);
    jw_key_str(w, "state", row->published_us ? STR("published") : STR("waiting"));
    jw_key_str(w, "class", str_of(change_name(row->change)));
    if (row->proposed)
        jw_key_str(w, "proposed", str_of(change_name(row->proposed)));
    jw_key_str(w, "summary", row->summary);
    if (row->published_us)
        jw_key_str(w, "published", time_iso(arena, row->published_us));
    jw_key_str(w, "effective", time_iso(arena, row->effective_us));
    jw_key_int(w, "graceDays", row->grace_us / (86400 * SECOND_US));
    jw_key_str(w, "sha256", hex_encode(arena, row->digest, SHA256_SIZE));
    write_texts(w, texts, count);
}

/* What waits is for those who may sign it. */
static enum status may_see_waiting(struct request *rq, const struct doc *doc, bool *may, struct error *err)
{
    const struct access_object object = {.owner_id = doc->owner_id, .full_name = doc->name};
    struct error no = {0};
    enum status status = access_decide(rq->db, &rq->actor, ACT_COUNTERSIGN, &object, &no);
    *may = status == OK;
    return status == OK || status == FORBIDDEN || status == UNAUTHENTICATED
               ? OK
               : fail(err, status, no.code, "%s", no.message);
}

static enum status find_doc(struct request *rq, struct doc *out, struct error *err)
{
    return doc_find(rq->db, rq->arena,
                    arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(rq->params[0]), STR_ARG(rq->params[1])), out, err);
}

static enum status no_version(struct error *err)
{
    return fail(err, NOT_FOUND, "TermsNotFound", "There is no such version of these terms.");
}

static const char versions_sql[] =
    "SELECT seq FROM terms_version WHERE doc_id = ? AND (published_us > 0 OR ?) ORDER BY seq DESC LIMIT 1000";

static enum status list_seqs(struct request *rq, int64_t doc_id, bool waiting, int64_t *seqs, size_t *count,
                             struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, versions_sql, &row, err));
    stmt_bind_int(row, 1, doc_id);
    stmt_bind_int(row, 2, waiting);
    for (*count = 0; *count < 1000 && stmt_next(row); ++*count)
        seqs[*count] = stmt_int(row, 0);
    return stmt_end(row, err);
}

/* GET /api/terms/{ns}/{slug}: its versions, the newest first. */
enum status terms_list(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct doc doc;
    bool waiting;
    int64_t *seqs = arena_array(rq->arena, 1000, sizeof *seqs);
    size_t count;
    TRY(find_doc(rq, &doc, err));
    TRY(may_see_waiting(rq, &doc, &waiting, err));
    TRY(list_seqs(rq, doc.id, waiting, seqs, &count, err));
    if (count == 0)
        return no_version(err);
    jw_object(&w);
    jw_key_str(&w, "terms", doc.name);
    jw_key_str(&w, "kind", doc.kind);
    jw_key(&w, "versions");
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        struct version_row version;
        struct terms_text *texts;
        size_t text_count;
        TRY(version_get(rq->db, rq->arena, doc.id, seqs[i], &version, err));
        TRY(version_texts(rq->db, rq->arena, version.id, &texts, &text_count, err));
        jw_object(&w);
        version_write(&w, rq->arena, &version, texts, text_count);
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* The language that was asked for; without a wish English, or else the first. */
static const struct terms_text *choose(const struct terms_text *texts, size_t count, struct str wish)
{
    struct str lang = str_given(wish) ? wish : STR("en");
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(texts[i].lang, lang))
            return &texts[i];
    return str_given(wish) || count == 0 ? NULL : &texts[0];
}

static enum status no_language(struct request *rq, const struct terms_text *texts, size_t count, struct error *err)
{
    auto_buf struct buf list = {0};
    (void)rq;
    for (size_t i = 0; i < count; i++)
        buf_printf(&list, "%s%.*s", i ? ", " : "", STR_ARG(texts[i].lang));
    return fail(err, NOT_FOUND, "TermsNotFound", "These terms are there in %.*s, not in the language that you ask for.",
                STR_ARG(buf_view(&list)));
}

/* GET /api/terms/{ns}/{slug}/{seq}?lang=en: the exact bytes that the SHA-256 is of. */
enum status terms_text_get(struct request *rq, struct error *err)
{
    struct doc doc;
    struct version_row version;
    struct terms_text *texts;
    struct str text;
    size_t count;
    bool waiting = false;
    int64_t seq;
    TRY(find_doc(rq, &doc, err));
    if (!str_to_i64(rq->params[2], &seq) || seq < 1)
        return no_version(err);
    TRY(version_get(rq->db, rq->arena, doc.id, seq, &version, err));
    if (!version.published_us) {
        TRY(may_see_waiting(rq, &doc, &waiting, err));
        if (!waiting)
            return no_version(err);
    }
    TRY(version_texts(rq->db, rq->arena, version.id, &texts, &count, err));
    const struct terms_text *chosen = choose(texts, count, request_query(rq, "lang", 0));
    if (!chosen)
        return no_language(rq, texts, count, err);
    TRY(version_body(rq->db, rq->arena, version.id, chosen->lang, &text, err));
    reply_header(rq->http, "ETag", "\"%.*s\"", STR_ARG(chosen->sha256));
    reply_header(rq->http, "X-Terms-Sha256", "%.*s", STR_ARG(chosen->sha256));
    reply_header(rq->http, "Content-Language", "%.*s", STR_ARG(chosen->lang));
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_bytes(rq->http, 200, STR("text/plain; charset=utf-8"), text);
    return OK;
}

/* Of a repo. */

static const char gate_sql[] = "SELECT gate_id FROM gate_repo WHERE repo_id = ?";
static const char acceptance_sql[] = "SELECT seq, sha256, lang, at_us FROM terms_acceptance WHERE account_id = ? AND "
                                     "doc_id = ? ORDER BY seq DESC, id DESC LIMIT 1";

static void write_version(struct request *rq, struct json_writer *w, const char *key,
                          const struct terms_version *version)
{
    if (!version->id)
        return;
    jw_key(w, key);
    jw_object(w);
    jw_key_int(w, "version", version->seq);
    jw_key_str(w, "class", str_of(version->change));
    jw_key_str(w, "summary", version->summary);
    jw_key_str(w, "effective", time_iso(rq->arena, version->effective_us));
    jw_key_str(w, "sha256", version->sha256);
    write_texts(w, version->texts, version->text_count);
    jw_end(w);
}

static enum status write_acceptance(struct request *rq, struct json_writer *w, int64_t doc_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, acceptance_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, doc_id);
    jw_key(w, "accepted");
    if (stmt_next(row)) {
        jw_object(w);
        jw_key_int(w, "version", stmt_int(row, 0));
        jw_key_hex(w, "sha256", stmt_str(row, 1).data, SHA256_SIZE);
        jw_key_str(w, "language", stmt_str(row, 2));
        jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 3)));
        jw_end(w);
    } else {
        jw_null(w);
    }
    return stmt_end(row, err);
}

/* Whether this document, in force or about to be, is covered by what the actor has accepted. */
static const char covered_sql[] =
    "SELECT 1 FROM terms_acceptance a WHERE a.account_id = ? AND a.doc_id = ? AND a.seq >= "
    "(SELECT basis_seq FROM terms_version WHERE id = ?) LIMIT 1";

static enum status write_missing(struct request *rq, struct json_writer *w, const struct terms_wanted *wanted,
                                 struct error *err)
{
    const struct terms_version *newest = wanted->next.id ? &wanted->next : &wanted->now;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, covered_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, wanted->doc_id);
    stmt_bind_int(row, 3, newest->id);
    jw_key_bool(w, "missing", !stmt_next(row));
    return stmt_end(row, err);
}

static enum status write_wanted(struct request *rq, struct json_writer *w, const struct terms_wanted *wanted,
                                struct error *err)
{
    jw_object(w);
    jw_key_str(w, "terms", wanted->name);
    jw_key_str(w, "kind", wanted->kind);
    write_version(rq, w, "now", &wanted->now);
    write_version(rq, w, "next", &wanted->next);
    if (rq->actor.account.id) {
        TRY(write_acceptance(rq, w, wanted->doc_id, err));
        TRY(write_missing(rq, w, wanted, err));
    }
    jw_end(w);
    return OK;
}

static enum status write_standing(struct request *rq, struct json_writer *w, int64_t gate_id, struct error *err)
{
    struct terms_standing standing;
    bool missing;
    TRY(terms_missing(rq->db, gate_id, rq->actor.account.id, now_us(), &missing, err));
    TRY(terms_reached(rq->db, gate_id, rq->actor.account.id, &standing, err));
    jw_key_bool(w, "complete", standing.reached >= 0 && standing.due_us == INT64_MAX);
    jw_key_bool(w, "mayApply", !missing);
    if (standing.reached >= 0 && standing.due_us < INT64_MAX)
        jw_key_str(w, "due", time_iso(rq->arena, standing.due_us));
    return OK;
}

/* GET /api/{api}/terms: what the repo's gate asks for, now and next; for who is signed in, what is missing and by when. */
enum status terms_of_repo(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct terms_wanted *wanted = arena_array(rq->arena, TERMS_GATE_MOST, sizeof *wanted);
    size_t count = 0;
    TRY(db_prepare(rq->db, gate_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    int64_t gate_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    if (gate_id)
        TRY(terms_wanted(rq->db, rq->arena, gate_id, now_us(), wanted, &count, err));
    jw_object(&w);
    jw_key(&w, "terms");
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        TRY(write_wanted(rq, &w, &wanted[i], err));
    jw_end(&w);
    if (gate_id && rq->actor.account.id)
        TRY(write_standing(rq, &w, gate_id, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
