/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tiers there are, and publishing them. */
#include "base/hash.h"
#include "base/time.h"
#include "tier/internal.h"
#include "tier/rule.h"

enum status tier_find_id(struct db_conn *conn, struct str slug, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, "SELECT id FROM tier WHERE slug = ?", &row, err));
    stmt_bind_str(row, 1, slug);
    *id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status insert_tier(struct db_conn *tx, struct str slug, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(tier_find_id(tx, slug, id, err));
    if (*id)
        return OK;
    TRY(db_prepare(tx, "INSERT INTO tier (slug) VALUES (?)", &insert, err));
    stmt_bind_str(insert, 1, slug);
    TRY(stmt_run(insert, err));
    *id = db_last_id(tx);
    return OK;
}

enum status tier_make_id(struct db_conn *tx, struct str slug, int64_t *id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tier_in_force now;
    TRY(tier_in_force(tx, &arena, slug, now_us(), &now, err));
    return insert_tier(tx, slug, id, err);
}

struct str tier_slug(struct db_conn *conn, struct arena *arena, int64_t id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str slug = STR("");
    if (db_prepare(conn, "SELECT slug FROM tier WHERE id = ?", &row, err) != OK)
        return slug;
    stmt_bind_int(row, 1, id);
    if (stmt_next(row))
        slug = arena_copy(arena, stmt_str(row, 0));
    stmt_end(row, err);
    return slug;
}

enum status tier_load(struct db_conn *conn, struct arena *arena, struct str slug, struct tier *out, struct error *err)
{
    *out = (struct tier){0};
    TRY(tier_in_force(conn, arena, slug, now_us(), &out->now, err));
    TRY(tier_find_id(conn, slug, &out->id, err));
    return tier_doc_read(out->now.body, &out->json, &out->doc, err);
}

/* All slugs: of those published, and built-in ones that are not. */

#define TIERS_MOST 256

struct slugs {
    struct str slug[TIERS_MOST];
    int64_t order[TIERS_MOST];
    size_t count;
};

static void add_slug(struct slugs *slugs, struct str slug)
{
    for (size_t i = 0; i < slugs->count; i++)
        if (str_eq(slugs->slug[i], slug))
            return;
    if (slugs->count < TIERS_MOST)
        slugs->slug[slugs->count++] = slug;
}

static enum status all_slugs(struct db_conn *conn, struct arena *arena, struct slugs *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    add_slug(out, STR(TIER_STRANGERS));
    add_slug(out, STR(TIER_EVERYBODY));
    TRY(db_prepare(conn, "SELECT slug FROM tier ORDER BY id", &row, err));
    while (stmt_next(row))
        add_slug(out, arena_copy(arena, stmt_str(row, 0)));
    return stmt_end(row, err);
}

enum status tier_each(struct db_conn *conn,
                      enum status (*each)(void *context, const struct tier *tier, struct error *err), void *context,
                      struct error *err)
{
    auto_arena struct arena arena = {0};
    struct slugs slugs = {0};
    struct tier tiers[TIERS_MOST], *sorted[TIERS_MOST];
    enum status status = all_slugs(conn, &arena, &slugs, err);
    size_t count = 0;
    for (size_t i = 0; i < slugs.count && status == OK; i++) {
        status = tier_load(conn, &arena, slugs.slug[i], &tiers[count], err);
        if (status == OK) {
            size_t at = count;
            for (; at > 0 && sorted[at - 1]->doc.order > tiers[count].doc.order; at--)
                sorted[at] = sorted[at - 1];
            sorted[at] = &tiers[count++];
        }
    }
    for (size_t i = 0; i < count && status == OK; i++)
        status = each(context, sorted[i], err);
    for (size_t i = 0; i < count; i++)
        json_release(&tiers[i].json);
    return status;
}

/* Publishing. */

struct publication {
    const struct tier_doc *doc;
    struct str text;
    uint8_t sha256[SHA256_SIZE];
    int64_t by_id, seq;
};

static const char version_sql[] = "INSERT INTO tier_version (tier_id, seq, body, sha256, effective_us, by_id, "
                                  "created_us) VALUES (?, ?, ?, ?, ?, ?, ?)";

static enum status insert_version(struct db_conn *tx, const struct publication *what, int64_t tier_id,
                                  struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, version_sql, &insert, err));
    stmt_bind_int(insert, 1, tier_id);
    stmt_bind_int(insert, 2, what->seq);
    stmt_bind_str(insert, 3, what->text);
    stmt_bind_blob(insert, 4, what->sha256, SHA256_SIZE);
    stmt_bind_int(insert, 5, now_us());
    stmt_bind_int(insert, 6, what->by_id);
    stmt_bind_int(insert, 7, now_us());
    return stmt_run(insert, err);
}

static enum status publish_event(struct db_conn *tx, const struct publication *what, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "op", STR("publish"));
    jw_key_str(&w, "slug", what->doc->slug);
    jw_key_int(&w, "seq", what->seq);
    jw_key_hex(&w, "digest", what->sha256, SHA256_SIZE);
    jw_end(&w);
    const struct event event = {&tier_events[EVENT_TIER_PUBLISH], 0, what->by_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

static enum status publish_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct publication *what = context;
    auto_arena struct arena arena = {0};
    struct tier_in_force now;
    int64_t id;
    enum status found = tier_in_force(tx, &arena, what->doc->slug, INT64_MAX, &now, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    what->seq = now.seq;
    if (found == OK && now.seq && memcmp(now.sha256, what->sha256, SHA256_SIZE) == 0)
        return OK;
    what->seq++;
    TRY(insert_tier(tx, what->doc->slug, &id, err));
    TRY(insert_version(tx, what, id, err));
    return publish_event(tx, what, err);
}

enum status tier_publish(struct db *db, struct str text, int64_t by_id, int64_t *seq, struct error *err)
{
    auto_json json_t *json = NULL;
    auto_buf struct buf body = {0};
    struct tier_doc doc;
    TRY(tier_doc_read(text, &json, &doc, err));
    TRY(rules_check(doc.rules, err));
    json_dump(json, &body); /* spaces and line ends are no change */
    struct publication what = {.doc = &doc, .text = buf_view(&body), .by_id = by_id};
    sha256(what.text, what.sha256);
    TRY(db_write(db, publish_in_write, &what, err));
    *seq = what.seq;
    return OK;
}
