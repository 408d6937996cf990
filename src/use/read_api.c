/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who has read what: for the person, record by record and with proofs; for the owner, by revision and day. */
#include "base/text.h"
#include "base/time.h"
#include "prov/find.h"
#include "use/internal.h"

/* A batch as the tree that it is. */

struct record_lines record_lines(struct arena *arena, struct str records)
{
    struct record_lines all = {0};
    for (size_t i = 0; i < records.len; i++)
        all.count += records.data[i] == '\n';
    all.lines = arena_array(arena, all.count + 1, sizeof *all.lines);
    all.hashes = arena_array(arena, all.count + 1, sizeof *all.hashes);
    for (size_t i = 0; i < all.count; i++) {
        str_cut(&records, '\n', &all.lines[i]);
        all.hashes[i] = tlog_leaf_hash(all.lines[i]);
    }
    return all;
}

/* A batch is small: what is asked for is computed from the leaves. */
static enum status node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    const struct record_lines *all = context;
    struct tlog_frontier tree = {0};
    for (uint64_t i = index << level; i < (index + 1) << level; i++) {
        if (i >= all->count)
            return fail(err, CORRUPT, NULL, "A batch of records is shorter than its tree");
        tlog_append(&tree, &all->hashes[i], NULL);
    }
    *out = tlog_root(&tree);
    return OK;
}

enum status record_prove(struct record_lines *all, uint64_t index, struct tlog_path *out, struct error *err)
{
    const struct tlog_source source = {node, all};
    return tlog_prove_inclusion(&source, index, all->count, out, err);
}

/* Mine. */

static bool is_about(struct str record, struct str person)
{
    return str_has(record, person);
}

/* "12-5": the record of that number in that batch. */
static bool read_id(struct str id, int64_t *batch, int64_t *index)
{
    struct str first;
    return str_cut(&id, '-', &first) && str_given(id) && str_to_i64(first, batch) && str_to_i64(id, index);
}

struct mine {
    struct request *rq;
    struct json_writer w;
    int64_t batch, before; /* where to begin: records of that batch before that number */
    size_t count;
    struct str next;
};

static void write_mine(struct mine *m, int64_t batch, struct str records, struct str salt)
{
    auto_arena struct arena arena = {0};
    struct record_lines all = record_lines(&arena, records);
    struct str person = record_person(&arena, salt, m->rq->actor.account.id);
    int64_t from = batch == m->batch && m->before < (int64_t)all.count ? m->before : (int64_t)all.count;
    for (int64_t i = from - 1; i >= 0 && m->count < PAGE; i--) {
        if (!is_about(all.lines[i], person))
            continue;
        struct str id = arena_printf(m->rq->arena, "%lld-%lld", (long long)batch, (long long)i);
        jw_object(&m->w);
        jw_key_str(&m->w, "id", id);
        jw_key(&m->w, "record");
        jw_raw(&m->w, all.lines[i]);
        jw_end(&m->w);
        m->next = id;
        m->count++;
    }
}

static const char mine_sql[] =
    "SELECT b.id, b.records, p.salt FROM read_person p JOIN read_batch b ON b.id = p.batch_id "
    "WHERE p.account_id = ? AND p.batch_id <= ? ORDER BY p.batch_id DESC";

/* GET /api/reads: the caller's own, the newest first. */
enum status reads_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct mine m = {.rq = rq, .w = jw_to(&body), .batch = INT64_MAX, .before = INT64_MAX};
    read_id(request_query(rq, "cursor", 0), &m.batch, &m.before);
    TRY(db_prepare(rq->db, mine_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, m.batch);
    jw_array(&m.w);
    while (m.count < PAGE && stmt_next(row))
        write_mine(&m, stmt_int(row, 0), stmt_str(row, 1), stmt_str(row, 2));
    TRY(stmt_end(row, err));
    jw_end(&m.w);
    if (m.count == PAGE)
        request_link_next(rq, m.next);
    request_reply_json(rq, &body);
    return OK;
}

static const char one_sql[] =
    "SELECT b.event_id, b.records, p.salt, b.root FROM read_person p JOIN read_batch b ON b.id = p.batch_id "
    "WHERE p.account_id = ? AND p.batch_id = ?";

static enum status no_read(struct error *err)
{
    return fail(err, NOT_FOUND, NULL, "You have no such record, or it is over 90 days old.");
}

static enum status write_proof(struct request *rq, struct stmt *row, int64_t index, struct json_writer *w,
                               struct error *err)
{
    struct tlog_path path;
    uint64_t leaf;
    struct record_lines all = record_lines(rq->arena, stmt_str(row, 1));
    struct str salt = stmt_str(row, 2);
    struct str person = record_person(rq->arena, salt, rq->actor.account.id);
    if (index >= (int64_t)all.count || !is_about(all.lines[index], person))
        return no_read(err);
    TRY(record_prove(&all, (uint64_t)index, &path, err));
    jw_object(w);
    jw_key_str(w, "record", all.lines[index]);
    jw_key_int(w, "account", rq->actor.account.id);
    jw_key_hex(w, "salt", salt.data, salt.len);
    jw_key_int(w, "index", index);
    jw_key_int(w, "size", (int64_t)all.count);
    jw_key_hex(w, "root", stmt_str(row, 3).data, SHA256_SIZE);
    jw_key(w, "hashes");
    jw_array(w);
    for (size_t i = 0; i < path.count; i++)
        jw_str(w, hex_encode(rq->arena, path.hashes[i].bytes, SHA256_SIZE));
    jw_end(w);
    if (prov_event_leaf(rq->db, stmt_int(row, 0), &leaf, err) == OK)
        jw_key_int(w, "leaf", (int64_t)leaf);
    jw_end(w);
    return OK;
}

/* GET /api/reads/{id}/proof: that the record is in the tree whose root the log has, in the leaf that is named. */
enum status read_proof(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    int64_t batch, index;
    if (!read_id(rq->params[0], &batch, &index))
        return no_read(err);
    TRY(db_prepare(rq->db, one_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, batch);
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return no_read(err);
    }
    TRY(write_proof(rq, row, index, &w, err));
    request_reply_json(rq, &body);
    return OK;
}

/* The owner's. */

#define USES                                                                                                           \
    "SELECT d.id, a.name, d.commit_id, d.day, d.grant_id, d.reads, d.bytes, d.first_us, d.last_us "                    \
    "FROM read_day d JOIN account a ON a.id = d.account_id WHERE d.repo_id = ? AND d.id < ? "
static const char uses_sql[] = USES "ORDER BY d.id DESC LIMIT ?";
static const char uses_of_sql[] = USES "AND d.account_id = ? ORDER BY d.id DESC LIMIT ?";

static enum status write_use(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    struct str commit = stmt_str(row, 2);
    jw_object(w);
    jw_key_str(w, "user", stmt_str(row, 1));
    if (commit.len)
        jw_key_hex(w, "revision", commit.data, commit.len);
    jw_key_str(w, "day", str_slice(time_iso(rq->arena, stmt_int(row, 3) * DAY_US), 0, 10));
    if (stmt_int(row, 4))
        jw_key_int(w, "grant", stmt_int(row, 4));
    jw_key_int(w, "reads", stmt_int(row, 5));
    jw_key_int(w, "bytes", stmt_int(row, 6));
    jw_key_str(w, "first", time_iso(rq->arena, stmt_int(row, 7)));
    jw_key_str(w, "last", time_iso(rq->arena, stmt_int(row, 8)));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/uses?user=: who has read which revision, by day. */
enum status uses_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str name = request_query(rq, "user", 0);
    struct account user;
    int64_t before;
    if (!str_given(name))
        return page_list(rq, uses_sql, rq->repo.id, NEWEST_FIRST, write_use, err);
    TRY(page_cursor(rq, NEWEST_FIRST, &before, err));
    TRY(account_find(rq->db, rq->arena, name, &user, err));
    TRY(db_prepare(rq->db, uses_of_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    stmt_bind_int(row, 2, before);
    stmt_bind_int(row, 3, user.id);
    stmt_bind_int(row, 4, PAGE);
    return page_reply(rq, row, write_use, err);
}
