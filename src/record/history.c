/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the log says of one repo, and the proof that this is all (provenance 3.3). */
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "leaf/extra.h"
#include "record/internal.h"
#include "tlog/text.h"

#define PAGE 100
#define PAGE_MOST 1000

static void write_openings(struct request *rq, struct json_writer *w, const struct logged *logged)
{
    jw_key(w, "openings");
    jw_array(w);
    for (size_t i = 0; i < logged->opening_count; i++) {
        jw_object(w);
        jw_key_str(w, "field", logged->openings[i].field);
        jw_key_str(w, "secret", hex_encode(rq->arena, logged->openings[i].secret, SHA256_SIZE));
        jw_key_str(w, "value", logged->openings[i].value);
        jw_end(w);
    }
    jw_end(w);
}

/* The leaf is its exact text, as a string: what the hash is made of. */
static enum status write_entry(struct request *rq, struct json_writer *w, const struct prov_entry *entry,
                               struct error *err)
{
    struct logged logged;
    TRY(logged_read(rq, entry, &logged, err));
    struct tlog_hash hash = tlog_leaf_hash(logged.text);
    jw_object(w);
    jw_key_int(w, "index", (int64_t)entry->index);
    jw_key_int(w, "rseq", entry->rseq);
    jw_key_str(w, "type", logged.leaf.type);
    jw_key_str(w, "at", time_iso(rq->arena, logged.leaf.at * SECOND_US));
    jw_key_str(w, "hash", hex_encode(rq->arena, hash.bytes, SHA256_SIZE));
    jw_key_str(w, "leaf", logged.text);
    write_openings(rq, w, &logged);
    jw_end(w);
    return OK;
}

static int64_t number_of(struct request *rq, const char *name, int64_t otherwise)
{
    uint64_t number;
    struct str text = request_query(rq, name, 0);
    return str_given(text) && tlog_decimal(text, &number) ? (int64_t)number : otherwise;
}

/* GET /api/{api}/provenance?limit=…&cursor=…: newest first. */
enum status history_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    uint8_t log_id[LEAF_REPO_SIZE];
    struct ledger_state state;
    struct prov_entry *entries;
    size_t count;
    int64_t limit = number_of(rq, "limit", PAGE);
    limit = limit < 1 ? 1 : limit > PAGE_MOST ? PAGE_MOST : limit;
    TRY(prov_repo_log(rq->db, rq->repo.id, log_id, err));
    TRY(prov_history(rq->db, rq->arena, rq->repo.id, number_of(rq, "cursor", -1), limit, &entries, &count, err));
    ledger_state(rq->hub->record->ledger, &state);
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "repo", hex_encode(rq->arena, log_id, sizeof log_id));
    jw_key_int(&w, "logSize", (int64_t)state.size);
    jw_key(&w, "entries");
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        TRY(write_entry(rq, &w, &entries[i], err));
    jw_end(&w);
    jw_end(&w);
    if (count > 0 && entries[count - 1].rseq > 0)
        request_link_next(rq, arena_printf(rq->arena, "%lld", (long long)entries[count - 1].rseq));
    request_reply_json(rq, &body);
    return OK;
}

static void write_path(struct request *rq, struct json_writer *w, const struct tlog_path *path)
{
    jw_key(w, "path");
    jw_array(w);
    for (size_t i = 0; i < path->count; i++)
        jw_str(w, hex_encode(rq->arena, path->hashes[i].bytes, SHA256_SIZE));
    jw_end(w);
}

static void write_head_proofs(struct request *rq, struct json_writer *w, const struct heads_answer *answer)
{
    jw_key(w, "proofs");
    jw_array(w);
    for (size_t i = 0; i < answer->proof_count; i++) {
        const struct heads_proof *proof = &answer->proofs[i];
        jw_object(w);
        jw_key_int(w, "index", (int64_t)proof->index);
        jw_key_str(w, "repo", hex_encode(rq->arena, proof->head.repo, LEAF_REPO_SIZE));
        jw_key_int(w, "rseq", (int64_t)proof->head.rseq);
        jw_key_str(w, "leafHash", hex_encode(rq->arena, proof->head.leaf.bytes, SHA256_SIZE));
        write_path(rq, w, &proof->path);
        jw_end(w);
    }
    jw_end(w);
}

/* The proof file of the leaf that has the root, with its text. */
static enum status heads_proof_file(struct request *rq, uint64_t index, struct buf *out, struct error *err)
{
    auto_buf struct buf leaf = {0}, text = {0};
    TRY(ledger_entry(rq->hub->record->ledger, index, &leaf, err));
    extra_write(rq->arena, &(struct extra){.leaf = buf_view(&leaf)}, &text);
    return proof_of(rq->hub, rq->arena, index, buf_view(&text), false, out, err);
}

/* A young hub may not have logged any yet. */
static enum status newest_heads(struct request *rq, struct prov_heads *out, struct error *err)
{
    bool logged;
    enum status status = prov_heads_newest(rq->db, out, err);
    if (status != NOT_FOUND)
        return status;
    request_done_reading(rq);
    TRY(prov_heads_log(rq->hub->db, now_us(), &logged, err));
    TRY(request_read(rq, err));
    return prov_heads_newest(rq->db, out, err);
}

/*
 * GET /api/{api}/provenance/head: the repo's newest leaf as of the newest leaf of all repos' heads, with the proofs. From there
 * "rprev" leads back to the first leaf without a gap. What came after that is told by the newest entry of the history.
 */
enum status head_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0}, proof = {0};
    uint8_t log_id[LEAF_REPO_SIZE];
    struct prov_heads heads;
    struct prov_heads_at at;
    struct heads_answer answer;
    TRY(prov_repo_log(rq->db, rq->repo.id, log_id, err));
    TRY(newest_heads(rq, &heads, err));
    at.conn = rq->db;
    at.covers = heads.covers;
    struct heads_source source = prov_heads_source(&at);
    TRY(heads_answer(&source, log_id, &answer, err));
    TRY(heads_proof_file(rq, heads.index, &proof, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "repo", hex_encode(rq->arena, log_id, sizeof log_id));
    jw_key_bool(&w, "present", answer.present);
    jw_key_int(&w, "covers", (int64_t)heads.covers);
    jw_key_int(&w, "count", (int64_t)answer.root.count);
    jw_key_str(&w, "root", hex_encode(rq->arena, answer.root.root.bytes, SHA256_SIZE));
    write_head_proofs(rq, &w, &answer);
    jw_key_int(&w, "headsIndex", (int64_t)heads.index);
    jw_key_str(&w, "headsProof", buf_view(&proof));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
