/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What in the log is a person's own, for that person alone: nobody else can tell (provenance 3.4). */
#include "base/json.h"
#include "base/text.h"
#include "record/internal.h"
#include <openssl/crypto.h>
#include <stdlib.h>

#define PAGE_ENTRIES 1000

struct own_entry {
    uint64_t index;
    int64_t event_id;
    uint8_t repo[LEAF_REPO_SIZE]; /* zeros: of no repo */
};

static const char own_sql[] =
    "SELECT l.idx, e.id, r.log_id FROM event e JOIN leaf l ON l.event_id = e.id LEFT JOIN repo_log r ON r.id = l.repo "
    "WHERE e.actor_id = ? AND e.actor_id <> 0 AND e.id > ? ORDER BY e.id LIMIT ?";

static enum status read_own(struct request *rq, int64_t after, struct own_entry *out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, own_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, after);
    stmt_bind_int(row, 3, PAGE_ENTRIES);
    for (*count = 0; *count < PAGE_ENTRIES && stmt_next(row); ++*count) {
        struct own_entry *entry = &out[*count];
        struct str repo = stmt_str(row, 2);
        entry->index = (uint64_t)stmt_int(row, 0);
        entry->event_id = stmt_int(row, 1);
        if (repo.len == sizeof entry->repo)
            memcpy(entry->repo, repo.data, sizeof entry->repo);
    }
    return stmt_end(row, err);
}

/* By repo, and within that as they stand in the log. */
static int compare(const void *a, const void *b)
{
    const struct own_entry *x = a, *y = b;
    int repos = memcmp(x->repo, y->repo, sizeof x->repo);
    return repos ? repos : x->index < y->index ? -1 : x->index > y->index;
}

static void write_entries(struct request *rq, struct json_writer *w, const uint8_t key[PERSON_KEY_SIZE],
                          const struct own_entry *entries, size_t count)
{
    uint8_t pseudonym[LEAF_ACTOR_SIZE];
    for (size_t i = 0; i < count;) {
        const uint8_t *repo = entries[i].repo;
        person_pseudonym(key, repo, pseudonym);
        jw_object(w);
        jw_key_str(w, "repo", hex_encode(rq->arena, repo, LEAF_REPO_SIZE));
        jw_key_str(w, "pseudonym", hex_encode(rq->arena, pseudonym, sizeof pseudonym));
        jw_key(w, "indices");
        jw_array(w);
        for (; i < count && memcmp(entries[i].repo, repo, LEAF_REPO_SIZE) == 0; i++)
            jw_int(w, (int64_t)entries[i].index);
        jw_end(w);
        jw_end(w);
    }
}

/*
 * GET /api/settings/pseudonyms?cursor=…: under which pseudonyms the log has the caller, by the repo's id there, and where.
 * What concerns no repo stands under an id of zeros. A page has up to 1000 entries; a repo may come again on the next one.
 */
enum status pseudonyms_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct own_entry *entries = arena_array(rq->arena, PAGE_ENTRIES, sizeof *entries);
    struct person person = {.account_id = rq->actor.account.id};
    struct json_writer w = jw_to(&body);
    struct str cursor = request_query(rq, "cursor", 0);
    int64_t after = 0;
    size_t count;
    if (str_given(cursor) && !str_to_i64(cursor, &after))
        return fail(err, INVALID, NULL, "The cursor is a number that an answer before has given.");
    TRY(read_own(rq, after, entries, &count, err));
    if (count == PAGE_ENTRIES)
        request_link_next(rq, arena_printf(rq->arena, "%lld", (long long)entries[count - 1].event_id));
    qsort(entries, count, sizeof *entries, compare);
    /* No key is made here: where there are entries there is one. */
    if (count)
        TRY(persons_keys(rq->hub->record->persons, &person, 1, err));
    jw_object(&w);
    jw_key(&w, "repos");
    jw_array(&w);
    write_entries(rq, &w, person.key, entries, count);
    OPENSSL_cleanse(person.key, sizeof person.key);
    jw_end(&w);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}
