/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishing by HTTP. */
#include "terms/internal.h"

#define BODY_LIMIT (8 * 1024 * 1024)
#define SUMMARY_MOST 1000
#define SLUG_MOST 64
#define GRACE_DAYS_MOST 365
#define DAY_US (INT64_C(86400) * SECOND_US)
#define AHEAD_MOST_US (730 * DAY_US) /* of effective dates */

/* What comes from outside. */

static enum status check_slug(struct str slug, struct error *err)
{
    bool good = slug.len > 0 && slug.len <= SLUG_MOST && slug.data[0] != '-';
    for (size_t i = 0; good && i < slug.len; i++) {
        char c = slug.data[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return good ? OK
                : fail(err, INVALID, NULL, "Terms are called by 1 to %d letters a to z, digits and '-'.", SLUG_MOST);
}

static enum status check_kind(struct str kind, struct error *err)
{
    static const char *const kinds[] = {"licence", "aup", "dua", "privacy", "tier"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eq(kind, str_of(kinds[i])))
            return OK;
    return fail(err, INVALID, NULL, "\"kind\" is licence, aup, dua, privacy or tier.");
}

/* RFC 5646 as far as its form goes: letters, then parts of letters and digits of at most eight. */
static bool is_language(struct str tag)
{
    struct str rest = tag, part;
    bool first = true;
    if (tag.len > 35)
        return false;
    while (str_cut(&rest, '-', &part)) {
        if (part.len < (first ? 2u : 1u) || part.len > 8)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            char c = part.data[i];
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!letter && (first || c < '0' || c > '9'))
                return false;
        }
        first = false;
    }
    return !first;
}

static enum status add_text(struct publication *what, struct str lang, const json_t *value, struct error *err)
{
    struct str text = {json_string_value(value), json_string_length(value)};
    if (!is_language(lang))
        return fail(err, INVALID, NULL, "\"%.40s\" is no language tag: they look like en, de or pt-BR.", lang.data);
    if (!json_is_string(value) || text.len == 0 || text.len > TERMS_TEXT_MOST)
        return fail(err, INVALID, NULL, "Each text has 1 to %d bytes of UTF-8.", TERMS_TEXT_MOST);
    for (size_t i = 0; i < what->count; i++)
        if (str_eq_nocase(what->texts[i].lang, lang))
            return fail(err, INVALID, NULL, "There are two texts in the language %.*s.", STR_ARG(lang));
    if (what->count == TERMS_LANGUAGES_MOST)
        return fail(err, INVALID, NULL, "A version has at most %d languages.", TERMS_LANGUAGES_MOST);
    what->texts[what->count].lang = lang;
    what->bodies[what->count++] = text;
    return OK;
}

static enum status read_texts(struct publication *what, const json_t *texts, struct error *err)
{
    const char *lang;
    json_t *value;
    if (!json_is_object(texts) || json_object_size(texts) == 0)
        return fail(err, INVALID, NULL, "\"texts\" is an object of languages and texts: {\"en\": \"...\"}.");
    json_object_foreach((json_t *)texts, lang, value) TRY(add_text(what, str_of(lang), value, err));
    return OK;
}

/* "from": the texts of another document as they are in force. */
static enum status copy_texts(struct request *rq, struct publication *what, struct str name, struct error *err)
{
    struct doc source;
    struct version_row version;
    struct terms_text *texts;
    TRY(doc_find(rq->db, rq->arena, name, &source, err));
    TRY(version_in_force(rq->db, rq->arena, source.id, what->now_us, &version, err));
    TRY(version_texts(rq->db, rq->arena, version.id, &texts, &what->count, err));
    for (size_t i = 0; i < what->count; i++) {
        what->texts[i].lang = texts[i].lang;
        TRY(version_body(rq->db, rq->arena, version.id, texts[i].lang, &what->bodies[i], err));
    }
    if (!str_given(what->doc.kind))
        what->doc.kind = source.kind;
    return OK;
}

static enum status check_members(const json_t *body, struct error *err)
{
    static const char *const known[] = {"kind",      "class",     "summary", "effective",
                                        "graceDays", "confirmed", "texts",   "from"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return fail(err, INVALID, NULL,
                        "Nothing is known of \"%.40s\" here: send kind, class, summary, effective, graceDays, "
                        "confirmed, and texts or from.",
                        key);
    }
    return OK;
}

static enum status read_when(struct publication *what, const json_t *body, struct error *err)
{
    const json_t *grace = json_object_get(body, "graceDays"), *effective = json_object_get(body, "effective");
    what->grace_us = TERMS_GRACE_US;
    if (grace &&
        (!json_is_integer(grace) || json_integer_value(grace) < 0 || json_integer_value(grace) > GRACE_DAYS_MOST))
        return fail(err, INVALID, NULL, "\"graceDays\" is a number from 0 to %d.", GRACE_DAYS_MOST);
    if (grace)
        what->grace_us = json_integer_value(grace) * DAY_US;
    if (effective && (!time_read(json_get_str(body, "effective"), &what->effective_us) ||
                      what->effective_us < what->now_us - DAY_US || what->effective_us > what->now_us + AHEAD_MOST_US))
        return fail(err, INVALID, NULL,
                    "\"effective\" is a time like 2027-03-01T00:00:00Z: not in the past, and at most two years ahead.");
    return OK;
}

static enum status read_words(struct publication *what, const json_t *body, struct error *err)
{
    const json_t *confirmed = json_object_get(body, "confirmed"), *class = json_object_get(body, "class");
    struct str kind = json_get_str(body, "kind");
    what->summary = json_get_str(body, "summary");
    what->confirmed = json_is_true(confirmed);
    if (confirmed && !json_is_boolean(confirmed))
        return fail(err, INVALID, NULL, "\"confirmed\" is true or false.");
    if (!str_given(what->summary) || what->summary.len == 0 || what->summary.len > SUMMARY_MOST)
        return fail(err, INVALID, NULL, "\"summary\" says in 1 to %d bytes what has changed.", SUMMARY_MOST);
    if (class && !change_parse(json_get_str(body, "class"), &what->change))
        return fail(err, INVALID, NULL, "\"class\" is editorial, minor, material or emergency.");
    if (json_object_get(body, "kind")) {
        TRY(check_kind(kind, err));
        if (what->doc.id && !str_eq(what->doc.kind, kind))
            return fail(err, CONFLICT, NULL, "%.*s is of the kind %.*s, and stays so.", STR_ARG(what->doc.name),
                        STR_ARG(what->doc.kind));
        what->doc.kind = kind;
    }
    return OK;
}

static enum status read_body(struct request *rq, struct publication *what, const json_t *body, struct error *err)
{
    struct str from = json_get_str(body, "from");
    TRY(check_members(body, err));
    TRY(read_words(what, body, err));
    TRY(read_when(what, body, err));
    if (!json_object_get(body, "texts") == !str_given(from))
        return fail(err, INVALID, NULL, "Send either \"texts\" or \"from\", the name of terms to copy.");
    TRY(str_given(from) ? copy_texts(rq, what, from, err) : read_texts(what, json_object_get(body, "texts"), err));
    if (!str_given(what->doc.kind))
        return fail(err, INVALID, NULL, "The first version says its \"kind\": licence, aup, dua, privacy or tier.");
    publication_seal(what);
    return OK;
}

/* What the rule makes of it: the gravest of all languages. */
static enum status propose(struct request *rq, struct publication *what, struct error *err)
{
    struct version_row before;
    struct terms_text *texts;
    size_t count, kept = 0;
    enum status found = version_get(rq->db, rq->arena, what->doc.id, 0, &before, err);
    if (found != OK)
        return found == NOT_FOUND ? OK : found;
    what->based_on = before.seq;
    what->proposed = CHANGE_EDITORIAL;
    TRY(version_texts(rq->db, rq->arena, before.id, &texts, &count, err));
    for (size_t i = 0; i < what->count; i++)
        for (size_t j = 0; j < count; j++) {
            auto_arena struct arena arena = {0};
            struct str body;
            if (!str_eq(what->texts[i].lang, texts[j].lang))
                continue;
            kept++;
            TRY(version_body(rq->db, &arena, before.id, texts[j].lang, &body, err));
            enum change change = classify(&arena, body, what->bodies[i]);
            what->proposed = change > what->proposed ? change : what->proposed;
        }
    if (kept == 0)
        what->proposed = CHANGE_MATERIAL; /* nothing can be compared */
    else if ((kept < count || kept < what->count) && what->proposed < CHANGE_MINOR)
        what->proposed = CHANGE_MINOR;
    return OK;
}

static enum status reply_version(struct request *rq, const struct doc *doc, const struct version_row *version,
                                 int status, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct terms_text *texts;
    size_t count;
    TRY(request_read(rq, err));
    TRY(version_texts(rq->db, rq->arena, version->id, &texts, &count, err));
    jw_object(&w);
    jw_key_str(&w, "terms", doc->name);
    jw_key_str(&w, "kind", doc->kind);
    version_write(&w, rq->arena, version, texts, count);
    jw_end(&w);
    reply_buf(rq->http, status, STR("application/json; charset=utf-8"), &body);
    return OK;
}

/* The name space, and the document in it if it is there. */
static enum status find_doc(struct request *rq, struct doc *out, struct error *err)
{
    struct account owner;
    struct str name = arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(rq->params[0]), STR_ARG(rq->params[1]));
    TRY(request_admit_owner(rq, rq->params[0], &owner, err));
    TRY(check_slug(rq->params[1], err));
    *out = (struct doc){.owner_id = owner.id, .slug = rq->params[1]};
    out->name = arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(owner.name), STR_ARG(out->slug));
    enum status found = doc_find(rq->db, rq->arena, name, out, err);
    return found == NOT_FOUND ? OK : found;
}

/* POST /api/terms/{ns}/{slug}: 201 when it is published, 202 when it waits for a second person. */
enum status terms_post(struct request *rq, struct error *err)
{
    json_t *body;
    struct publication what = {.arena = rq->arena, .by_id = rq->actor.account.id, .now_us = now_us()};
    TRY(find_doc(rq, &what.doc, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(read_body(rq, &what, body, err));
    TRY(propose(rq, &what, err));
    if (!what.change)
        what.change = what.proposed ? what.proposed : CHANGE_MATERIAL;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, publication_run, &what, err));
    return reply_version(rq, &what.doc, &what.made, what.made.published_us ? 201 : 202, err);
}

/* POST /api/terms/{ns}/{slug}/{seq}/countersign {"sha256"}: that of the version, as it is listed. */
enum status terms_countersign(struct request *rq, struct error *err)
{
    json_t *body;
    struct countersigning what = {.arena = rq->arena, .by_id = rq->actor.account.id};
    TRY(find_doc(rq, &what.doc, err));
    if (!what.doc.id || !str_to_i64(rq->params[2], &what.seq) || what.seq < 1)
        return fail(err, NOT_FOUND, "TermsNotFound", "There is no such version of these terms.");
    TRY(request_json(rq, 4096, &body, err));
    if (json_object_size(body) != 1 || !hex_decode(json_get_str(body, "sha256"), what.digest, SHA256_SIZE))
        return fail(err, INVALID, NULL, "The body is {\"sha256\": ...}: that of the version, which you have read.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, countersigning_run, &what, err));
    return reply_version(rq, &what.doc, &what.made, 200, err);
}
