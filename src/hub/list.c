/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/models, /api/datasets, /api/spaces (hub-protocol 1.4). */
#include "base/text.h"
#include "hub/handlers.h"
#include "hub/info.h"
#include <inttypes.h>

#define PAGE_MOST 1000
#define PAGE_USUAL 100
#define PAGE_WITH_FILES 100 /* each repo then lists all its files */
#define FILTERS_MOST 32

/*
 * Walks repos newest first, from behind a cursor (time, id). The first tag asked for drives the walk through its index;
 * the other conditions are looked at row by row, as is what the actor may see. Downloads, likes and trends are not
 * counted yet, so those orders are the order of change.
 */
#define LIST_SQL(from, column)                                                                                         \
    "SELECT r.id, r." column " FROM " from " r.kind = ? AND (? = 0 OR r.owner_id = ?) AND (r." column                  \
    ", r.id) < (?, ?) "                                                                                                \
    "ORDER BY r." column " DESC, r.id DESC"
#define FROM_ALL "repo r WHERE ? IS NULL AND"
#define FROM_TAG "repo_tag t JOIN repo r ON r.id = t.repo_id WHERE t.tag = ? AND"

static const char *const list_sql[2][2] = {
    {LIST_SQL(FROM_ALL, "updated_us"), LIST_SQL(FROM_ALL, "created_us")},
    {LIST_SQL(FROM_TAG, "updated_us"), LIST_SQL(FROM_TAG, "created_us")},
};
static const char tag_sql[] = "SELECT 1 FROM repo_tag WHERE repo_id = ? AND tag = ?";

struct search {
    struct request *rq;
    enum repo_kind kind;
    struct str tags[FILTERS_MOST], words[FILTERS_MOST];
    size_t tag_count, word_count;
    struct str pipeline, gated;
    int64_t parameters_min, parameters_max; /* of tensors; -1: any */
    int64_t owner_id;                       /* 0: any */
    bool nothing;                           /* asks for what this hub cannot have */
};

static bool repo_has_tag(struct search *s, int64_t repo_id, struct str tag)
{
    auto_stmt struct stmt *stmt = NULL;
    if (db_prepare(s->rq->db, tag_sql, &stmt, NULL) != OK)
        return false;
    stmt_bind_int(stmt, 1, repo_id);
    stmt_bind_str(stmt, 2, tag);
    return stmt_next(stmt);
}

static bool parameters_fit(struct search *s, const struct summary *summary)
{
    if (s->parameters_min < 0 && s->parameters_max < 0)
        return true;
    auto_json json_t *counts = NULL;
    if (!summary->safetensors.len || json_read(summary->safetensors, 1 << 20, &counts, NULL) != OK)
        return false;
    int64_t total = json_get_int(counts, "total", -1);
    return total >= s->parameters_min && (s->parameters_max < 0 || total <= s->parameters_max);
}

static bool fits(struct search *s, struct arena *scratch, const struct repo *repo)
{
    struct summary summary;
    struct access_object object = repo_access(repo);
    struct str folded = str_lower(scratch, repo->full_name);
    for (size_t i = 0; i < s->word_count; i++)
        if (!str_has(folded, s->words[i]))
            return false;
    if (access_decide(s->rq->db, &s->rq->actor, ACT_SEE, &object, NULL) != OK)
        return false;
    for (size_t i = 1; i < s->tag_count; i++)
        if (!repo_has_tag(s, repo->id, s->tags[i]))
            return false;
    if (str_given(s->gated) && str_eq(s->gated, STR("true")) != (repo->gated.len > 0))
        return false;
    if (!str_given(s->pipeline) && s->parameters_min < 0 && s->parameters_max < 0)
        return true;
    return summary_load(s->rq->db, scratch, repo->id, &summary, NULL) == OK &&
           (!str_given(s->pipeline) || str_eq(s->pipeline, summary.pipeline)) && parameters_fit(s, &summary);
}

/* "6B", "128M", "1.5B", "1000": decimal with a power of thousand. */
static bool read_count(struct str text, int64_t *out)
{
    double scale = 1, value = 0, place = 0;
    static const char units[] = "KMBT";
    const char *unit = text.len ? memchr(units, text.data[text.len - 1] & ~0x20, 4) : NULL;
    if (unit) {
        text.len--;
        for (long i = 0; i <= unit - units; i++)
            scale *= 1000;
    }
    if (text.len == 0 || text.len > 15)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' && place == 0)
            place = 1;
        else if (c < '0' || c > '9')
            return false;
        else if (place == 0)
            value = value * 10 + (c - '0');
        else
            value += (c - '0') * (place /= 10);
    }
    if (value * scale >= 9e18)
        return false;
    *out = (int64_t)(value * scale);
    return true;
}

static enum status read_parameters(struct search *s, struct error *err)
{
    struct str rest = request_query(s->rq, "num_parameters", 0), bound;
    s->parameters_min = s->parameters_max = -1;
    while (str_given(rest) && str_cut(&rest, ',', &bound)) {
        bool ok = str_starts(bound, STR("min:"))   ? read_count(str_from(bound, 4), &s->parameters_min)
                  : str_starts(bound, STR("max:")) ? read_count(str_from(bound, 4), &s->parameters_max)
                                                   : false;
        if (!ok)
            return fail(err, INVALID, NULL, "\"num_parameters\" reads like min:6B,max:128B");
    }
    return OK;
}

static enum status read_owner(struct search *s, struct error *err)
{
    struct account owner;
    struct str author = request_query(s->rq, "author", 0);
    if (!str_given(author) || author.len == 0)
        return OK;
    enum status found = account_find(s->rq->db, s->rq->arena, author, &owner, err);
    if (found == OK)
        s->owner_id = owner.id;
    s->nothing = s->nothing || found == NOT_FOUND;
    return found == NOT_FOUND ? OK : found;
}

static enum status read_search(struct search *s, struct error *err)
{
    struct request *rq = s->rq;
    struct str value, piece;
    for (size_t i = 0; str_given(value = request_query(rq, "filter", i)); i++)
        while (str_cut(&value, ',', &piece))
            if (piece.len && s->tag_count < FILTERS_MOST)
                s->tags[s->tag_count++] = piece;
    for (size_t i = 0; str_given(value = request_query(rq, "search", i)); i++)
        if (s->word_count < FILTERS_MOST)
            s->words[s->word_count++] = str_lower(rq->arena, value);
    s->pipeline = request_query(rq, "pipeline_tag", 0);
    s->gated = request_query(rq, "gated", 0);
    s->nothing = str_given(request_query(rq, "inference", 0)) ||
                 str_given(request_query(rq, "inference_provider", 0)) || str_given(request_query(rq, "apps", 0));
    TRY(read_parameters(s, err));
    return read_owner(s, err);
}

struct page {
    int64_t limit, after_us, after_id;
    bool by_created;
};

static enum status read_page(struct request *rq, struct page *page, struct error *err)
{
    struct str cursor = request_query(rq, "cursor", 0), time, sort = request_query(rq, "sort", 0);
    static const char *const known[] = {"lastModified",  "createdAt",     "downloads",  "likes",
                                        "trendingScore", "last_modified", "created_at", "trending_score"};
    bool ok = !str_given(sort);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ok = ok || str_eq(sort, str_of(known[i]));
    if (!ok)
        return fail(err, INVALID, NULL,
                    "\"sort\" must be one of [lastModified, createdAt, downloads, likes, trendingScore]");
    *page = (struct page){.after_us = INT64_MAX, .after_id = INT64_MAX};
    page->by_created = str_starts(sort, STR("created"));
    if (!str_to_i64(request_query(rq, "limit", 0), &page->limit) || page->limit < 1)
        page->limit = PAGE_USUAL;
    if (page->limit > PAGE_MOST)
        page->limit = PAGE_MOST;
    if (str_given(cursor) &&
        (!str_cut(&cursor, '-', &time) || !str_to_i64(time, &page->after_us) || !str_to_i64(cursor, &page->after_id)))
        return fail(err, INVALID, NULL, "\"cursor\" is not one that this hub gave out");
    return OK;
}

static enum status write_page(struct search *s, const struct page *page, const struct info_fields *fields,
                              struct json_writer *w, struct error *err)
{
    struct request *rq = s->rq;
    auto_arena struct arena scratch = {0};
    auto_stmt struct stmt *rows = NULL;
    int64_t written = 0, last_us = 0, last_id = 0;
    TRY(db_prepare(rq->db, list_sql[s->tag_count > 0][page->by_created], &rows, err));
    stmt_bind_str(rows, 1, s->tag_count ? s->tags[0] : (struct str){0});
    stmt_bind_int(rows, 2, s->kind);
    stmt_bind_int(rows, 3, s->owner_id);
    stmt_bind_int(rows, 4, s->owner_id);
    stmt_bind_int(rows, 5, page->after_us);
    stmt_bind_int(rows, 6, page->after_id);
    while (stmt_next(rows)) {
        struct repo repo;
        arena_reset(&scratch);
        TRY(repo_get(rq->db, &scratch, stmt_int(rows, 0), &repo, err));
        if (!fits(s, &scratch, &repo))
            continue;
        if (written++ == page->limit) {
            request_link_next(rq, arena_printf(rq->arena, "%" PRId64 "-%" PRId64, last_us, last_id));
            break;
        }
        TRY(info_write(rq, w, &repo, NULL, fields, err));
        last_id = stmt_int(rows, 0);
        last_us = stmt_int(rows, 1);
    }
    return stmt_end(rows, err);
}

enum status list_repos(struct request *rq, struct error *err)
{
    struct search s = {.rq = rq};
    struct page page;
    struct info_fields fields;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    if (!repo_kind_parse(rq->params[0], &s.kind))
        return fail(err, NOT_FOUND, NULL, "There are no %.*s here", STR_ARG(rq->params[0]));
    TRY(read_search(&s, err));
    TRY(read_page(rq, &page, err));
    TRY(info_fields_read(rq, s.kind, true, &fields, err));
    if (info_fields_have(&fields, "siblings") && page.limit > PAGE_WITH_FILES)
        page.limit = PAGE_WITH_FILES;
    jw_array(&w);
    if (!s.nothing)
        TRY(write_page(&s, &page, &fields, &w, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
