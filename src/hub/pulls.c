/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pull requests, as far as they are more than a ref (hub-protocol 1.10): lists, and merging. */
#include "attest/evidence.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "hub/merge_evidence.h"
#include "hub/summary.h"
#include "repo/pull.h"

#define BODY_LIMIT (1 << 20)
#define PULLS_PAGE 50
#define REPLAN_LIMIT 20 /* times that a merge is planned anew because others changed something meanwhile */

/* Reading. */

static enum status write_author(struct json_writer *w, struct request *rq, int64_t id, struct error *err)
{
    struct account account;
    enum status status = id ? account_get(rq->db, rq->arena, id, &account, err) : NOT_FOUND;
    if (status == NOT_FOUND)
        return OK; /* clients say "deleted" then */
    TRY(status);
    jw_key(w, "author");
    jw_object(w);
    jw_key_str(w, "name", account.name);
    jw_end(w);
    return OK;
}

/* The members of a pull request that lists have too; the object is left open. */
static enum status write_pull(struct json_writer *w, struct request *rq, const struct pull *pull, struct error *err)
{
    jw_object(w);
    jw_key_int(w, "num", pull->number);
    jw_key_str(w, "title", pull->title);
    jw_key_str(w, "status", pull->is_merged ? STR("merged") : STR("open"));
    jw_key_str(w, "createdAt", time_iso(rq->arena, pull->created_us));
    jw_key_bool(w, "isPullRequest", true);
    jw_key(w, "repo");
    jw_object(w);
    jw_key_str(w, "name", rq->repo.full_name);
    jw_key_str(w, "type", repo_kind_name(rq->repo.kind));
    jw_end(w);
    return write_author(w, rq, pull->by_id, err);
}

/* False when the filter lets nothing through. */
static enum status read_filter(struct request *rq, struct pull_filter *out, bool *any, struct error *err)
{
    struct str status = request_query(rq, "status", 0), type = request_query(rq, "type", 0);
    struct str author = request_query(rq, "author", 0), page = request_query(rq, "p", 0);
    struct account account;
    *out = (struct pull_filter){.limit = PULLS_PAGE};
    *any = !str_eq(type, STR("discussion"));
    out->state = str_eq(status, STR("open")) ? PULL_OPEN : str_eq(status, STR("closed")) ? PULL_MERGED : PULL_ANY;
    if (str_given(page) && (!str_to_i64(page, &out->skip) || __builtin_mul_overflow(out->skip, PULLS_PAGE, &out->skip)))
        return fail(err, INVALID, NULL, "\"p\" must be the number of a page");
    if (!str_given(author))
        return OK;
    enum status found = account_find(rq->db, rq->arena, author, &account, err);
    *any &= found == OK;
    out->by_id = found == OK ? account.id : 0;
    return found == NOT_FOUND ? OK : found;
}

/* GET /api/{api}/discussions?p=&type=&status=&author= */
enum status pulls_get(struct request *rq, struct error *err)
{
    struct pull_filter filter;
    struct pull *pulls;
    size_t count = 0;
    int64_t total = 0;
    bool any;
    TRY(read_filter(rq, &filter, &any, err));
    if (any)
        TRY(pull_list(rq->db, rq->arena, rq->repo.id, &filter, &pulls, &count, &total, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key(&w, "discussions");
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        TRY(write_pull(&w, rq, &pulls[i], err));
        jw_end(&w);
    }
    jw_end(&w);
    jw_key_int(&w, "count", total);
    jw_key_int(&w, "start", filter.skip);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status named_number(struct request *rq, int64_t *out, struct error *err)
{
    return str_to_i64(rq->params[0], out) ? OK
                                          : fail(err, INVALID, NULL, "\"%.*s\" is not the number of a pull request",
                                                 STR_ARG(str_slice(rq->params[0], 0, 255)));
}

/* GET /api/{api}/discussions/{number} */
enum status pull_get_one(struct request *rq, struct error *err)
{
    struct pull pull;
    int64_t number;
    TRY(named_number(rq, &number, err));
    TRY(pull_get(rq->db, rq->arena, rq->repo.id, number, &pull, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(write_pull(&w, rq, &pull, err));
    jw_key(&w, "changes");
    jw_object(&w);
    jw_key_str(&w, "base", pull.base);
    jw_key_str(&w, "head", oid_hex(rq->arena, &pull.head));
    if (pull.is_merged)
        jw_key_str(&w, "mergeCommitId", oid_hex(rq->arena, &pull.merged));
    jw_end(&w);
    jw_key(&w, "filesWithConflicts");
    jw_array(&w);
    jw_end(&w);
    jw_key(&w, "events");
    jw_array(&w);
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Merging. */

/* What changes in the same write as the branch. */
struct merge_also {
    int64_t repo_id;
    struct str evidence; /* absent: the branch is not protected */
    bool is_main;
    struct summary_plan summary;
};

static enum status store_also(struct db_conn *tx, void *context, struct error *err)
{
    struct merge_also *also = context;
    uint8_t digest[SHA256_SIZE];
    if (str_given(also->evidence))
        TRY(evidence_put(tx, also->repo_id, 0, also->evidence, digest, err));
    return also->is_main ? summary_store(tx, &also->summary, err) : OK;
}

static enum status merge_once(struct request *rq, int64_t number, struct error *err)
{
    struct merge merge;
    struct merge_also also = {.repo_id = rq->repo.id};
    uint8_t digest[SHA256_SIZE];
    TRY(request_read(rq, err));
    TRY(merge_plan(rq->db, rq->arena, rq->repo.id, number, &merge, err));
    if (merge.is_protected) {
        TRY(merge_evidence(rq, &merge, &also.evidence, err));
        sha256(also.evidence, digest);
    }
    also.is_main = str_eq(merge.pull.base, STR("refs/heads/main"));
    if (also.is_main)
        TRY(summary_plan_of(&also.summary, rq, &merge.pull.head, err));
    request_done_reading(rq);
    return merge_apply(rq->hub->db, &rq->repo, &merge, merge.is_protected ? digest : NULL, rq->actor.account.id,
                       store_also, &also, err);
}

/* POST /api/{api}/discussions/{number}/merge */
enum status pull_merge(struct request *rq, struct error *err)
{
    int64_t number;
    json_t *body; /* a comment, which nothing keeps yet */
    TRY(named_number(rq, &number, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    enum status status = merge_once(rq, number, err);
    for (int again = 0; status == STALE && again < REPLAN_LIMIT; again++)
        status = merge_once(rq, number, err);
    TRY(status);
    request_reply_empty(rq);
    return OK;
}
