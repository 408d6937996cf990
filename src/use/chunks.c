/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which bytes of an object are chunks that a gate had before anybody could have them elsewhere. */
#include "base/arena.h"
#include "use/hold.h"

#define USERS_MOST 1000   /* objects that use a xorb, oldest first: what came later cannot have had the chunks before */
#define STEPS_MOST 200000 /* in all: others wait for the write that this is done in */
#define GATES_MOST 16

struct secret {
    int64_t gate_id, since_us; /* the gate that had the chunk first; 0: none */
};

struct share {
    int64_t gate_id, bytes;
};

struct matching {
    int64_t repo_id, steps;
    int64_t xorb_id;        /* of which secrets are at hand */
    bool any;               /* of its chunks is one */
    struct secret *secrets; /* XORB_CHUNKS_MOST */
    int64_t users[USERS_MOST];
    size_t user_count;
    struct share shares[GATES_MOST];
    size_t share_count;
};

static const char next_user_sql[] = "SELECT MIN(object_id) FROM extent WHERE xorb_id = ? AND object_id > ?";

static enum status find_users(struct db_conn *tx, struct matching *m, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t last = 0;
    TRY(db_prepare(tx, next_user_sql, &row, err));
    for (m->user_count = 0; m->user_count < USERS_MOST && m->steps > 0; m->steps--) {
        stmt_bind_int(row, 1, m->xorb_id);
        stmt_bind_int(row, 2, last);
        last = stmt_next(row) ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!last)
            break;
        m->users[m->user_count++] = last;
    }
    return OK;
}

/* Marks. */

static const char gate_sql[] =
    "SELECT g.id, MAX(h.created_us, g.created_us) AS since FROM object_hold h JOIN gate_repo r ON r.repo_id = "
    "h.repo_id "
    "JOIN gate g ON g.id = r.gate_id WHERE h.object_id = ? AND h.repo_id <> ? AND " FOREIGN_GATE(
        "?") "ORDER BY since LIMIT 1";
static const char open_sql[] = "SELECT 0, MIN(q.created_us) FROM object_hold q JOIN repo p ON p.id = q.repo_id "
                               "WHERE q.object_id = ? AND q.repo_id <> ? AND " OPEN_REPO;

/* Who has had the object, and since when; since_us 0: nobody. */
static enum status find_owner(struct db_conn *tx, const struct matching *m, const char *sql, int64_t object_id,
                              struct secret *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, sql, &row, err));
    stmt_bind_int(row, 1, object_id);
    for (int i = 2; i <= (sql == gate_sql ? 5 : 2); i++)
        stmt_bind_int(row, i, m->repo_id);
    bool found = stmt_next(row);
    *out = found ? (struct secret){stmt_int(row, 0), stmt_int(row, 1)} : (struct secret){0};
    return stmt_end(row, err);
}

static void mark(struct matching *m, int64_t start, int64_t end, const struct secret *owner)
{
    for (int64_t i = start; i < end; i++) {
        struct secret *secret = &m->secrets[i];
        if (owner->gate_id && (!secret->gate_id || owner->since_us < secret->since_us))
            *secret = *owner;
        else if (!owner->gate_id && owner->since_us < secret->since_us)
            *secret = (struct secret){0};
    }
    m->any |= owner->gate_id != 0;
}

static const char places_sql[] = "SELECT chunk_start, chunk_end FROM extent WHERE xorb_id = ? AND object_id = ?";

static bool is_run(int64_t start, int64_t end)
{
    return start >= 0 && start < end && end <= XORB_CHUNKS_MOST;
}

static enum status mark_places(struct db_conn *tx, struct matching *m, int64_t object_id, const struct secret *owner,
                               struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, places_sql, &row, err));
    stmt_bind_int(row, 1, m->xorb_id);
    stmt_bind_int(row, 2, object_id);
    while (m->steps > 0 && stmt_next(row)) {
        int64_t start = stmt_int(row, 0), end = stmt_int(row, 1);
        if (is_run(start, end))
            mark(m, start, end, owner);
        m->steps -= 1 + (end - start) / 64;
    }
    return stmt_end(row, err);
}

static enum status mark_all(struct db_conn *tx, struct matching *m, const char *sql, struct error *err)
{
    for (size_t i = 0; i < m->user_count && m->steps > 0; i++, m->steps--) {
        struct secret owner;
        TRY(find_owner(tx, m, sql, m->users[i], &owner, err));
        if (owner.since_us)
            TRY(mark_places(tx, m, m->users[i], &owner, err));
    }
    return OK;
}

static enum status find_secrets(struct db_conn *tx, struct matching *m, int64_t xorb_id, struct error *err)
{
    if (m->any)
        memset(m->secrets, 0, XORB_CHUNKS_MOST * sizeof *m->secrets);
    m->xorb_id = xorb_id;
    m->any = false;
    TRY(find_users(tx, m, err));
    TRY(mark_all(tx, m, gate_sql, err));
    return m->any ? mark_all(tx, m, open_sql, err) : OK;
}

/* Shares. */

static void share_add(struct matching *m, int64_t gate_id, int64_t bytes)
{
    size_t i = 0;
    while (i < m->share_count && m->shares[i].gate_id != gate_id)
        i++;
    if (i == GATES_MOST)
        return;
    m->shares[i].gate_id = gate_id;
    m->shares[i].bytes += bytes;
    m->share_count += i == m->share_count;
}

/* Each chunk counts as much as those of its run on the average: their ends stand in the container, not here. */
static void add_run(struct matching *m, int64_t start, int64_t end, int64_t length)
{
    for (int64_t i = start; i < end; i++)
        if (m->secrets[i].gate_id)
            share_add(m, m->secrets[i].gate_id, length / (end - start));
    m->steps -= (end - start) / 64;
}

static const char extents_sql[] = "SELECT xorb_id, chunk_start, chunk_end, length FROM extent WHERE object_id = ? "
                                  "ORDER BY xorb_id";
static const char size_sql[] = "SELECT size FROM object WHERE id = ?";

static enum status object_bytes(struct db_conn *tx, int64_t object_id, int64_t *size, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, size_sql, &row, err));
    stmt_bind_int(row, 1, object_id);
    *size = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

enum status hold_match_chunks(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct held *held,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    struct matching *m = arena_alloc(&arena, sizeof *m);
    int64_t size;
    *m = (struct matching){.repo_id = repo_id, .steps = STEPS_MOST};
    m->secrets = arena_array(&arena, XORB_CHUNKS_MOST, sizeof *m->secrets);
    TRY(object_bytes(tx, object_id, &size, err));
    TRY(db_prepare(tx, extents_sql, &row, err));
    stmt_bind_int(row, 1, object_id);
    while (m->steps-- > 0 && stmt_next(row)) {
        if (stmt_int(row, 0) != m->xorb_id)
            TRY(find_secrets(tx, m, stmt_int(row, 0), err));
        if (m->any && is_run(stmt_int(row, 1), stmt_int(row, 2)))
            add_run(m, stmt_int(row, 1), stmt_int(row, 2), stmt_int(row, 3));
    }
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < m->share_count; i++) {
        int64_t ppm = size ? (int64_t)((double)m->shares[i].bytes / (double)size * 1e6) : 0;
        if (ppm < HOLD_SHARE_PPM || ppm <= held->share_ppm)
            continue;
        held->gate_id = m->shares[i].gate_id;
        held->share_ppm = ppm;
    }
    return OK;
}
