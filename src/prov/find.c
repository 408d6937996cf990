/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/find.h"
#include "leaf/extra.h"
#include "prov/compose.h"

static const char of_event_sql[] = "SELECT idx FROM leaf WHERE event_id = ?";

enum status prov_event_leaf(struct db_conn *conn, int64_t event_id, uint64_t *index, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, of_event_sql, &find, err));
    stmt_bind_int(find, 1, event_id);
    bool found = stmt_next(find);
    if (found)
        *index = (uint64_t)stmt_int(find, 0);
    TRY(stmt_end(find, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "This change has no entry in the log.");
}

static const char of_revision_sql[] = "SELECT idx FROM revision_leaf WHERE repo_id = ? AND commit_oid = ? AND kind = ?";

enum status prov_revision_leaf(struct db_conn *conn, int64_t repo_id, const uint8_t commit[SHA1_SIZE],
                               enum revision_leaf kind, uint64_t *index, bool *found, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, of_revision_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_blob(find, 2, commit, SHA1_SIZE);
    stmt_bind_int(find, 3, kind);
    *found = stmt_next(find);
    if (*found)
        *index = (uint64_t)stmt_int(find, 0);
    return stmt_end(find, err);
}

/* Entries. */

#define ENTRY_COLUMNS "l.idx, l.rseq, l.event_id, e.actor_id, e.at_us, e.kind, e.body, e.version "
#define ENTRY_TABLES                                                                                                   \
    "FROM repo_log r JOIN leaf l ON l.repo = r.id LEFT JOIN event e ON e.id = l.event_id WHERE r.repo_id = ? "

static void read_entry(struct stmt *row, struct arena *arena, struct prov_entry *out)
{
    *out = (struct prov_entry){
        .index = (uint64_t)stmt_int(row, 0), .rseq = stmt_int(row, 1), .has_event = !stmt_is_null(row, 2)};
    if (!out->has_event)
        return;
    out->event_id = stmt_int(row, 2);
    out->actor_id = stmt_int(row, 3);
    out->at_us = stmt_int(row, 4);
    out->kind = arena_copy(arena, stmt_str(row, 5));
    out->body = arena_copy(arena, stmt_str(row, 6));
    out->version = stmt_int(row, 7);
}

static const char history_sql[] = "SELECT " ENTRY_COLUMNS ENTRY_TABLES "AND l.rseq < ? ORDER BY l.rseq DESC LIMIT ?";

enum status prov_history(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t before, int64_t limit,
                         struct prov_entry **out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = arena_array(arena, (size_t)limit, sizeof **out);
    *count = 0;
    TRY(db_prepare(conn, history_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    stmt_bind_int(row, 2, before < 0 ? INT64_MAX : before);
    stmt_bind_int(row, 3, limit);
    while (stmt_next(row))
        read_entry(row, arena, &(*out)[(*count)++]);
    return stmt_end(row, err);
}

static const char at_sql[] = "SELECT " ENTRY_COLUMNS ENTRY_TABLES "AND l.idx = ?";

enum status prov_entry_at(struct db_conn *conn, struct arena *arena, int64_t repo_id, uint64_t index,
                          struct prov_entry *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, at_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    stmt_bind_int(row, 2, (int64_t)index);
    bool found = stmt_next(row);
    if (found)
        read_entry(row, arena, out);
    TRY(stmt_end(row, err));
    return found
               ? OK
               : fail(err, NOT_FOUND, NULL, "Entry %llu of the log is not about this repo.", (unsigned long long)index);
}

/* What an entry's event says, as compose() takes it. */
static struct change change_of(const struct prov_entry *entry)
{
    return (struct change){.id = entry->event_id,
                           .at_us = entry->at_us,
                           .version = entry->version,
                           .repo_id = 1,
                           .actor_id = entry->actor_id,
                           .kind = entry->kind,
                           .body = entry->body};
}

static const char own_sql[] = "SELECT " ENTRY_COLUMNS "FROM leaf l JOIN event e ON e.id = l.event_id WHERE l.idx = ?";

enum status prov_own_entry(struct db_conn *conn, struct arena *arena, int64_t account_id, uint64_t index,
                           struct prov_entry *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct composition composed = {0};
    TRY(db_prepare(conn, own_sql, &row, err));
    stmt_bind_int(row, 1, (int64_t)index);
    bool found = stmt_next(row);
    if (found)
        read_entry(row, arena, out);
    TRY(stmt_end(row, err));
    if (found) {
        struct change change = change_of(out);
        TRY(compose(arena, &change, &composed, err));
    }
    bool own = composed.wanted && (composed.actor_id == account_id || composed.owner_id == account_id);
    return own ? OK : fail(err, NOT_FOUND, NULL, "Entry %llu of the log is not your own.", (unsigned long long)index);
}

/* Openings. */

static const uint8_t *commitment_of(const struct leaf *leaf, const char *field)
{
    for (size_t i = 0; i < leaf->commitment_count; i++)
        if (str_eq(leaf->commitments[i].field, str_of(field)))
            return leaf->commitments[i].digest;
    return NULL;
}

static bool is_about_somebody(const char *field)
{
    return strcmp(field, "person") == 0 || strcmp(field, "member") == 0;
}

enum status prov_openings(struct persons *persons, struct arena *arena, const struct prov_entry *entry,
                          const struct leaf *leaf, int64_t for_id, const struct opening **out, size_t *count,
                          struct error *err)
{
    struct composition composed = {0};
    struct change change = change_of(entry);
    struct opening *openings = arena_array(arena, LEAF_LIST_MOST, sizeof *openings);
    *out = openings;
    *count = 0;
    if (!entry->has_event || leaf->commitment_count == 0)
        return OK;
    TRY(compose(arena, &change, &composed, err));
    for (size_t i = 0; i < composed.secret_count; i++) {
        const char *field = composed.secrets[i].field;
        struct commitment_place place = {.repo = leaf->repo, .rseq = leaf->rseq, .field = field};
        const uint8_t *commitment = commitment_of(leaf, field);
        struct opening *opening = &openings[*count];
        if (!commitment || (is_about_somebody(field) && composed.owner_id != for_id))
            continue;
        enum status status = persons_opening(persons, composed.owner_id, &place, composed.secrets[i].value, commitment,
                                             opening->secret, err);
        if (status == NOT_FOUND)
            continue; /* erased: the commitment stays closed for good */
        TRY(status);
        opening->field = str_of(field);
        opening->value = composed.secrets[i].value;
        (*count)++;
    }
    return OK;
}
