/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What repos take, counted as they change. */
#include "repo/repo.h"
#include "base/json.h"
#include "base/text.h"
#include "quota/internal.h"
#include <stdio.h>

static const char repo_sql[] =
    "SELECT owner_id, visibility, gated <> '' OR EXISTS (SELECT 1 FROM gate_repo g WHERE g.repo_id = repo.id) "
    "FROM repo WHERE id = ?";

enum status quota_of_repo(struct db_conn *conn, int64_t repo_id, int64_t *account_id, enum unit *unit,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, repo_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    bool found = stmt_next(row);
    *account_id = found ? stmt_int(row, 0) : 0;
    *unit = !found                                  ? UNIT_NONE
            : stmt_int(row, 1) != VISIBILITY_PUBLIC ? UNIT_STORE_PRIVATE
            : stmt_int(row, 2)                      ? UNIT_STORE_GATED
                                                    : UNIT_STORE_PUBLIC;
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The repo is no longer there.");
}

struct str quota_key(struct arena *arena, int64_t repo_id, const uint8_t sha256[SHA256_SIZE])
{
    return arena_printf(arena, "hold:%lld:%.*s", (long long)repo_id, STR_ARG(hex_encode(arena, sha256, SHA256_SIZE)));
}

/* Rows of quota_repo: what was counted, so that the same is taken off again. */

struct counted {
    int64_t account_id, bytes;
    enum unit unit;
};

static const char counted_sql[] = "SELECT account_id, unit, bytes FROM quota_repo WHERE repo_id = ?";

static enum status counted_get(struct db_conn *tx, int64_t repo_id, struct counted *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct counted){0};
    TRY(db_prepare(tx, counted_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    *found = stmt_next(row);
    if (*found)
        *out = (struct counted){stmt_int(row, 0), stmt_int(row, 2), (enum unit)stmt_int(row, 1)};
    return stmt_end(row, err);
}

static const char set_sql[] = "INSERT INTO quota_repo (repo_id, account_id, unit, bytes) VALUES (?, ?, ?, ?) "
                              "ON CONFLICT (repo_id) DO UPDATE SET account_id = excluded.account_id,"
                              " unit = excluded.unit, bytes = excluded.bytes";

static enum status counted_set(struct db_conn *tx, int64_t repo_id, const struct counted *what, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, set_sql, &set, err));
    stmt_bind_int(set, 1, repo_id);
    stmt_bind_int(set, 2, what->account_id);
    stmt_bind_int(set, 3, what->unit);
    stmt_bind_int(set, 4, what->bytes);
    return stmt_run(set, err);
}

static enum status run_for_repo(struct db_conn *tx, const char *sql, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    stmt_bind_int(stmt, 1, repo_id);
    return stmt_run(stmt, err);
}

/* Told by the store: a repo is larger. */
static enum status on_gain(struct db_conn *tx, int64_t repo_id, const uint8_t *sha256, int64_t bytes, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct counted was, is;
    bool found;
    if (bytes == 0 && !sha256)
        return OK;
    TRY(quota_of_repo(tx, repo_id, &is.account_id, &is.unit, err));
    TRY(counted_get(tx, repo_id, &was, &found, err));
    /* What it was before was not counted as what it is now only when somebody changed it without telling. */
    struct counted *row = found ? &was : &is;
    row->bytes = (found ? was.bytes : 0) + bytes;
    const struct quota_ask ask = {.key = sha256 ? quota_key(&arena, repo_id, sha256) : STR(""),
                                  .account_id = row->account_id,
                                  .repo_id = repo_id,
                                  .unit = row->unit,
                                  .amount = bytes};
    TRY(sha256 ? quota_commit(tx, &ask, err) : quota_take(tx, ask.account_id, repo_id, ask.unit, bytes, err));
    return counted_set(tx, repo_id, row, err);
}

/* It may be in other groups under its new name, and has to fit there. */
static enum status renamed(struct db_conn *tx, int64_t repo_id, const struct counted *was, struct str body,
                           struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *move = NULL;
    const struct limits *limits;
    struct str ns, name;
    TRY(json_read(body, SIZE_MAX, &move, err));
    name = str_lower(&arena, json_get_str(move, "from"));
    str_cut(&name, '/', &ns);
    TRY(limits_of(tx, was->account_id, &limits, err));
    struct quota_ask ask = {.account_id = was->account_id, .repo_id = repo_id, .unit = was->unit};
    TRY(groups_room(tx, limits, &ask, name, err));
    ask.unit = UNIT_REPOS;
    return groups_room(tx, limits, &ask, name, err);
}

/* The repo has another owner, or can be seen by others: what it takes counts elsewhere, if there is room. */
static enum status moved(struct db_conn *tx, int64_t repo_id, const struct event *event, struct error *err)
{
    struct counted was, is;
    bool found;
    TRY(counted_get(tx, repo_id, &was, &found, err));
    TRY(quota_of_repo(tx, repo_id, &is.account_id, &is.unit, err));
    if (!found || (was.account_id == is.account_id && was.unit == is.unit))
        return strcmp(event->kind->name, "repo.move") == 0 ? renamed(tx, repo_id, &is, event->body, err) : OK;
    is.bytes = was.bytes;
    TRY(quota_take(tx, is.account_id, repo_id, is.unit, is.bytes, err));
    TRY(quota_add(tx, was.account_id, was.unit, 0, -was.bytes, err));
    if (was.account_id != is.account_id) {
        TRY(quota_take(tx, is.account_id, repo_id, UNIT_REPOS, 1, err));
        TRY(quota_add(tx, was.account_id, UNIT_REPOS, 0, -1, err));
    }
    return counted_set(tx, repo_id, &is, err);
}

static const char give_sql[] = "UPDATE quota_counter SET reserved = reserved - "
                               "(SELECT sum(r.amount) FROM quota_reservation r WHERE r.repo_id = ?"
                               " AND r.account_id = quota_counter.account_id AND r.unit = quota_counter.unit) "
                               "WHERE span = 0 AND EXISTS (SELECT 1 FROM quota_reservation r WHERE r.repo_id = ?"
                               " AND r.account_id = quota_counter.account_id AND r.unit = quota_counter.unit)";

static enum status give_reserved(struct db_conn *tx, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *give = NULL;
    TRY(db_prepare(tx, give_sql, &give, err));
    stmt_bind_int(give, 1, repo_id);
    stmt_bind_int(give, 2, repo_id);
    TRY(stmt_run(give, err));
    return run_for_repo(tx, "DELETE FROM quota_reservation WHERE repo_id = ?", repo_id, err);
}

static enum status deleted(struct db_conn *tx, int64_t repo_id, const struct event *event, struct error *err)
{
    (void)event;
    struct counted was;
    bool found;
    TRY(give_reserved(tx, repo_id, err));
    TRY(counted_get(tx, repo_id, &was, &found, err));
    if (!found)
        return OK;
    TRY(quota_add(tx, was.account_id, was.unit, 0, -was.bytes, err));
    TRY(quota_add(tx, was.account_id, UNIT_REPOS, 0, -1, err));
    return run_for_repo(tx, "DELETE FROM quota_repo WHERE repo_id = ?", repo_id, err);
}

/* The first files have been counted already, as gains. */
static enum status created(struct db_conn *tx, int64_t repo_id, const struct event *event, struct error *err)
{
    (void)event;
    int64_t account_id;
    enum unit unit;
    TRY(quota_of_repo(tx, repo_id, &account_id, &unit, err));
    return quota_take(tx, account_id, repo_id, UNIT_REPOS, 1, err);
}

static enum status on_event(struct db_conn *tx, const struct event *event, struct error *err)
{
    static const struct {
        const char *kind;
        enum status (*then)(struct db_conn *tx, int64_t repo_id, const struct event *event, struct error *err);
    } kinds[] = {{"repo.create", created},
                 {"repo.delete", deleted},
                 {"repo.move", moved},
                 {"repo.settings", moved},
                 {"access.policy", moved}};
    for (size_t i = 0; event->repo_id && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(event->kind->name, kinds[i].kind) == 0)
            return kinds[i].then(tx, event->repo_id, event, err);
    return OK;
}

void quota_watch(void)
{
    store_on_gain(on_gain);
    event_listen(on_event);
}

/* Counting anew. */

static const char bytes_sql[] =
    "SELECT (SELECT COALESCE(SUM(g.size), 0) FROM git_object g WHERE g.repo_id = r.id),"
    " (SELECT COALESCE(SUM(o.size), 0) FROM object_hold h JOIN object o ON o.id = h.object_id WHERE h.repo_id = r.id) "
    "FROM repo r WHERE r.id = ?";

static enum status bytes_of(struct db_conn *conn, int64_t repo_id, int64_t *bytes, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, bytes_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    *bytes = stmt_next(row) ? stmt_int(row, 0) + stmt_int(row, 1) : 0;
    return stmt_end(row, err);
}

struct recount {
    int64_t repo_id, corrected;
    bool differs;
};

static enum status compare(struct db_conn *conn, struct recount *recount, struct counted *is, struct error *err)
{
    struct counted was;
    bool found;
    TRY(quota_of_repo(conn, recount->repo_id, &is->account_id, &is->unit, err));
    TRY(bytes_of(conn, recount->repo_id, &is->bytes, err));
    TRY(counted_get(conn, recount->repo_id, &was, &found, err));
    recount->differs = !found || was.account_id != is->account_id || was.unit != is->unit || was.bytes != is->bytes;
    return OK;
}

static enum status correct_repo(struct db_conn *tx, void *context, struct error *err)
{
    struct recount *recount = context;
    struct counted is;
    enum status status = compare(tx, recount, &is, err);
    if (status == NOT_FOUND)
        return OK;
    TRY(status);
    return recount->differs ? counted_set(tx, recount->repo_id, &is, err) : OK;
}

/* Repos that are gone, then sums. Counters of what nobody has any more come to 0. */
static const char *const correct_sql[] = {
    "DELETE FROM quota_repo WHERE NOT EXISTS (SELECT 1 FROM repo r WHERE r.id = quota_repo.repo_id)",
    "INSERT INTO quota_counter (account_id, unit, span) SELECT DISTINCT account_id, unit, 0 FROM quota_repo WHERE TRUE "
    "ON CONFLICT (account_id, unit, span) DO NOTHING",
    "INSERT INTO quota_counter (account_id, unit, span) SELECT DISTINCT owner_id, 9, 0 FROM repo WHERE TRUE "
    "ON CONFLICT (account_id, unit, span) DO NOTHING",
    "UPDATE quota_counter SET used = (SELECT COALESCE(SUM(q.bytes), 0) FROM quota_repo q"
    " WHERE q.account_id = quota_counter.account_id AND q.unit = quota_counter.unit) "
    "WHERE span = 0 AND unit IN (6, 7, 8) AND used <> (SELECT COALESCE(SUM(q.bytes), 0) FROM quota_repo q"
    " WHERE q.account_id = quota_counter.account_id AND q.unit = quota_counter.unit)",
    "UPDATE quota_counter SET used = (SELECT COUNT(*) FROM repo r WHERE r.owner_id = quota_counter.account_id) "
    "WHERE span = 0 AND unit = 9"
    " AND used <> (SELECT COUNT(*) FROM repo r WHERE r.owner_id = quota_counter.account_id)",
    "UPDATE quota_counter SET reserved = (SELECT COALESCE(SUM(q.amount), 0) FROM quota_reservation q"
    " WHERE q.account_id = quota_counter.account_id AND q.unit = quota_counter.unit) "
    "WHERE span = 0 AND reserved <> (SELECT COALESCE(SUM(q.amount), 0) FROM quota_reservation q"
    " WHERE q.account_id = quota_counter.account_id AND q.unit = quota_counter.unit)",
};
_Static_assert(UNIT_STORE_PUBLIC == 6 && UNIT_STORE_GATED == 8 && UNIT_REPOS == 9, "correct_sql names them");
#define FIRST_CORRECTION 3 /* of correct_sql */

static enum status correct_accounts(struct db_conn *tx, void *context, struct error *err)
{
    struct recount *recount = context;
    for (size_t i = 0; i < sizeof correct_sql / sizeof *correct_sql; i++) {
        auto_stmt struct stmt *stmt = NULL;
        TRY(db_prepare(tx, correct_sql[i], &stmt, err));
        TRY(stmt_run(stmt, err));
        recount->corrected += i >= FIRST_CORRECTION ? db_changes(tx) : 0;
    }
    return OK;
}

static enum status next_repo(struct db *db, struct recount *recount, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    struct counted unused;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "SELECT id FROM repo WHERE id > ? ORDER BY id LIMIT 1", &row, err));
    stmt_bind_int(row, 1, recount->repo_id);
    *found = stmt_next(row);
    recount->repo_id = *found ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    enum status status = *found ? compare(conn, recount, &unused, err) : OK;
    return status == NOT_FOUND ? OK : status;
}

enum status quota_recount(struct db *db, void (*report)(void *context, const char *what), void *context,
                          struct error *err)
{
    struct recount recount = {0};
    char text[160];
    bool found;
    for (;;) {
        recount.differs = false;
        TRY(next_repo(db, &recount, &found, err));
        if (!found)
            break;
        if (recount.differs)
            TRY(db_write(db, correct_repo, &recount, err));
        snprintf(text, sizeof text, "the bytes of repo %lld were counted wrong", (long long)recount.repo_id);
        if (recount.differs)
            report(context, text);
    }
    TRY(db_write(db, correct_accounts, &recount, err));
    snprintf(text, sizeof text, "%lld counters of quotas were wrong", (long long)recount.corrected);
    if (recount.corrected)
        report(context, text);
    return OK;
}
