/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/{api}/commit/{rev} (hub-protocol 1.6): NDJSON lines become a draft, the draft a commit. */
#include "hub/commit_line.h"
#include "hub/handlers.h"
#include "hub/summary.h"
#include "leaf/tensor.h"
#include "quota/quota.h"
#include "repo/pull.h"
#include "scan/attributes.h"
#include "use/use.h"
#include <stdlib.h>

#define OPERATIONS_LIMIT 250000
#define READ_PIECE (256 << 10)
#define REBUILD_LIMIT 20 /* times that a commit without parentCommit is built anew because others moved the branch */
#define ATTRIBUTE_RULES_LIMIT 1000

static const char attributes_path[] = ".gitattributes";

struct commit_job {
    struct request *rq;
    struct draft *draft;
    struct revision base; /* what the client named */
    bool create_pr;
    bool has_header;
    struct commit_line header;
    int64_t operations;
    bool has_tensors, is_main;
    struct oid commit;
    struct str *large; /* paths of large files, which .gitattributes must name */
    size_t large_count, large_capacity;
    struct buf own_attributes;               /* .gitattributes as this very commit sets it, where it does */
    bool has_own_attributes, odd_attributes; /* odd: beyond what attributes_parse() reads */
    bool put_attributes;
    struct summary_plan summary;
};

/* Operations. */

static enum status held_check(struct commit_job *job, const struct commit_line *line, struct object *object,
                              struct error *err)
{
    struct request *rq = job->rq;
    TRY(request_read(rq, err));
    enum status found = store_lookup(rq->db, rq->repo.id, line->sha256, object, err);
    if (found == OK && line->size >= 0 && line->size != object->size)
        return fail(err, INVALID, NULL, "%.*s: the object has %lld bytes, not %lld", STR_ARG(line->path),
                    (long long)object->size, (long long)line->size);
    if (found == NOT_FOUND)
        return fail(err, INVALID, NULL, "%.*s names an object that was not uploaded to this repo: upload it first.",
                    STR_ARG(line->path));
    return found;
}

static void remember_large(struct commit_job *job, struct str path)
{
    if (job->large_count == job->large_capacity) {
        size_t capacity = job->large_capacity ? job->large_capacity * 2 : 64;
        struct str *more = arena_array(job->rq->arena, capacity, sizeof *more);
        if (job->large_count)
            memcpy(more, job->large, job->large_count * sizeof *more);
        job->large = more;
        job->large_capacity = capacity;
    }
    job->large[job->large_count++] = arena_copy(job->rq->arena, path);
}

static void own_attributes(struct commit_job *job, struct str path, struct str content)
{
    if (!str_eq(path, str_of(attributes_path)))
        return;
    job->has_own_attributes = true;
    job->odd_attributes = content.len > RULES_TEXT_LIMIT;
    job->own_attributes.len = 0;
    if (!job->odd_attributes)
        buf_str(&job->own_attributes, content);
}

static enum status put_file(struct commit_job *job, struct commit_line *line, struct str content, struct error *err)
{
    struct object object;
    own_attributes(job, line->path, content);
    job->has_tensors = job->has_tensors || tensor_file_name(line->path);
    /* A pointer written by hand would otherwise name bytes that nobody proved to have (rule 3). */
    if (pointer_parse(content, line->sha256, &line->size)) {
        TRY(held_check(job, line, &object, err));
        remember_large(job, line->path);
    }
    return draft_put(job->draft, line->path, content, err);
}

static enum status put_large(struct commit_job *job, struct commit_line *line, struct error *err)
{
    struct object object;
    if (str_eq(line->path, str_of(attributes_path)))
        return fail(err, INVALID, NULL, "%s must be a plain file: git reads its rules from there", attributes_path);
    TRY(held_check(job, line, &object, err));
    remember_large(job, line->path);
    job->has_tensors = job->has_tensors || tensor_file_name(line->path);
    return draft_put_pointer(job->draft, line->path, line->sha256, object.size, err);
}

static enum status remove_path(struct commit_job *job, struct str path, struct error *err)
{
    own_attributes(job, path, STR(""));
    return draft_remove(job->draft, path, err);
}

static enum status operation(struct commit_job *job, struct commit_line *line, struct str content, struct error *err)
{
    if (line->kind == LINE_HEADER)
        return fail(err, INVALID, NULL, "A commit has exactly one header, as its first line");
    if (++job->operations > OPERATIONS_LIMIT)
        return fail(err, TOO_LARGE, NULL, "At most %d operations fit in one commit: make several.", OPERATIONS_LIMIT);
    if (str_given(line->old_path))
        TRY(remove_path(job, line->old_path, err));
    switch (line->kind) {
    case LINE_FILE:
        return put_file(job, line, content, err);
    case LINE_LFS_FILE:
        return put_large(job, line, err);
    default:
        return remove_path(job, line->path, err);
    }
}

static enum status take_line(struct commit_job *job, struct str text, struct buf *content, struct error *err)
{
    auto_arena struct arena scratch = {0};
    struct commit_line line;
    text = str_trim(text);
    if (text.len == 0)
        return OK;
    if (!job->has_header) {
        TRY(commit_line_parse(job->rq->arena, text, &job->header, content, err));
        job->has_header = true;
        return job->header.kind == LINE_HEADER
                   ? OK
                   : fail(err, INVALID, NULL, "The first line of a commit must be its header");
    }
    TRY(commit_line_parse(&scratch, text, &line, content, err));
    return operation(job, &line, buf_view(content), err);
}

/* Lines are handled as they come: a commit of many large texts never stands in memory as a whole. */
static enum status take_body(struct commit_job *job, struct error *err)
{
    auto_buf struct buf input = {0}, content = {0};
    size_t scanned = 0;
    for (size_t got = 1; got > 0;) {
        buf_reserve(&input, READ_PIECE);
        request_done_reading(job->rq);
        TRY(body_read(job->rq->http, input.data + input.len, READ_PIECE, &got, err));
        input.len += got;
        size_t start = 0;
        for (char *end; (end = memchr(input.data + scanned, '\n', input.len - scanned));) {
            TRY(take_line(job, (struct str){input.data + start, (size_t)(end - input.data) - start}, &content, err));
            start = scanned = (size_t)(end - input.data) + 1;
        }
        input.len -= start;
        memmove(input.data, input.data + start, input.len);
        scanned = input.len;
        if (input.len > COMMIT_LINE_LIMIT)
            return fail(err, TOO_LARGE, NULL,
                        "A line of the commit is over %d bytes: upload that file as a large file.", COMMIT_LINE_LIMIT);
    }
    TRY(take_line(job, buf_view(&input), &content, err));
    return job->has_header ? OK : fail(err, INVALID, NULL, "The commit is empty: its first line must be a header");
}

/* .gitattributes. */

static enum status base_attributes(struct commit_job *job, const struct oid *head, struct str *text, struct error *err)
{
    *text = buf_view(&job->own_attributes);
    if (job->has_own_attributes)
        return OK;
    TRY(request_read(job->rq, err));
    return rules_text(job->rq, head, str_of(attributes_path), text, err);
}

/* git clients need a rule for every large file; the commit that adds the file adds the rule (hub-protocol 1.6). */
static enum status cover_large(struct commit_job *job, const struct oid *head, struct error *err)
{
    struct str text;
    struct attributes *attributes;
    size_t added = 0;
    if (job->large_count == 0 || job->odd_attributes)
        return OK;
    TRY(base_attributes(job, head, &text, err));
    if (attributes_parse(job->rq->arena, text, &attributes, err) != OK)
        return OK; /* a file that we cannot read we do not rewrite */
    auto_buf struct buf grown = {0};
    buf_str(&grown, text);
    for (size_t i = 0; i < job->large_count && added < ATTRIBUTE_RULES_LIMIT; i++) {
        if (attributes_is_lfs(attributes, job->large[i]))
            continue;
        attributes_append_lfs(&grown, job->large[i]);
        added++;
    }
    if (!added && !job->put_attributes)
        return OK;
    job->put_attributes = true; /* an earlier build may have put another text: the last one counts */
    return draft_put(job->draft, str_of(attributes_path), buf_view(&grown), err);
}

/* Building and applying. */

static enum status parent_check(struct commit_job *job, const struct oid *head, struct error *err)
{
    struct str parent = job->header.parent_commit;
    if (!str_given(parent) || str_eq_nocase(str_slice(oid_hex(job->rq->arena, head), 0, parent.len), parent))
        return OK;
    return fail(err, STALE, NULL, "The branch was updated since you opened this page. Please refresh and try again.");
}

/* What else changes with the commit. */
static enum status also(struct db_conn *tx, void *context, struct error *err)
{
    struct commit_job *job = context;
    TRY(hold_if_gated(tx, &job->rq->repo, job->rq->actor.account.id, &job->commit, job->has_tensors, err));
    return job->is_main ? summary_store(tx, &job->summary, err) : OK;
}

static enum status build_once(struct commit_job *job, struct str ref, const struct oid *head, struct oid *commit,
                              struct error *err)
{
    struct request *rq = job->rq;
    bool unchanged;
    struct draft_commit how = {
        .title = job->header.summary,
        .message = job->header.description,
        .author = request_signature(rq),
        .parent = head,
    };
    TRY(cover_large(job, head, err));
    request_done_reading(rq);
    TRY(draft_build(job->draft, rq->arena, &how, commit, &unchanged, err));
    if (unchanged && !job->create_pr)
        return OK; /* a commit sent again after a lost answer: what it asks for is there (hub-protocol trap 22) */
    if (unchanged)
        return ref_create(rq->hub->db, &rq->repo, ref, head, false, rq->actor.account.id, err);
    bool is_main = str_eq(ref, STR("refs/heads/main"));
    if (is_main)
        TRY(summary_plan(&job->summary, rq, job->draft, err));
    job->is_main = is_main;
    job->commit = *commit;
    return draft_apply(job->draft, &rq->repo, ref, job->create_pr ? NULL : head, rq->actor.account.id, also, job, err);
}

static enum status build_and_apply(struct commit_job *job, struct str ref, struct oid *commit, struct error *err)
{
    struct request *rq = job->rq;
    struct revision now = job->base;
    TRY(request_read(rq, err));
    if (job->has_tensors) /* nothing goes uninspected: who has used up what there is of that waits (C12, scan.seconds) */
        TRY(quota_room_of_repo(rq->db, rq->repo.id, UNIT_SCAN, 1, err));
    for (int attempt = 0;; attempt++) {
        TRY(parent_check(job, &now.commit, err));
        enum status status = build_once(job, ref, &now.commit, commit, err);
        if (status != STALE || attempt == REBUILD_LIMIT)
            return status;
        TRY(request_read(rq, err));
        TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, now.ref, &now, err));
    }
}

static void reply_commit(struct commit_job *job, const struct oid *commit, int64_t pull_number)
{
    struct request *rq = job->rq;
    struct str url = repo_url(rq, rq->repo.kind, rq->repo.full_name), id = oid_hex(rq->arena, commit);
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_bool(&w, "success", true);
    jw_key_str(&w, "commitOid", id);
    jw_key_str(&w, "commitUrl", arena_printf(rq->arena, "%.*s/commit/%.*s", STR_ARG(url), STR_ARG(id)));
    jw_key_str(&w, "hookOutput", STR(""));
    if (job->create_pr)
        jw_key_str(&w, "pullRequestUrl",
                   arena_printf(rq->arena, "%.*s/discussions/%lld", STR_ARG(url), (long long)pull_number));
    jw_end(&w);
    request_reply_json(rq, &body);
}

/* A pull request starts from the commit that its header names, wherever the branch is by now. */
static enum status pull_base(struct commit_job *job, struct error *err)
{
    struct request *rq = job->rq;
    struct str parent = job->header.parent_commit;
    struct revision named;
    if (!str_given(parent))
        return OK;
    TRY(request_read(rq, err));
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, parent, &named, err));
    job->base.commit = named.commit;
    return OK;
}

static enum status run_job(struct commit_job *job, struct error *err)
{
    struct request *rq = job->rq;
    struct oid commit;
    int64_t pull_number = 0;
    struct str ref = job->base.ref;
    TRY(draft_new(rq->hub->db, rq->repo.id, &job->draft, err));
    TRY(take_body(job, err));
    if (job->create_pr) {
        TRY(pull_base(job, err));
        TRY(pull_open(rq->hub->db, rq->repo.id, job->base.ref, job->header.summary, rq->actor.account.id, &pull_number,
                      err));
        ref = arena_printf(rq->arena, "refs/pr/%lld", (long long)pull_number);
    }
    TRY(build_and_apply(job, ref, &commit, err));
    reply_commit(job, &commit, pull_number);
    return OK;
}

enum status commit_post(struct request *rq, struct error *err)
{
    struct commit_job job = {.rq = rq, .create_pr = request_query_true(rq, "create_pr")};
    TRY(request_revision(rq, 0, &job.base, err));
    if (!job.base.is_branch)
        return fail(err, NOT_FOUND, "RevisionNotFound", "Invalid rev id: %.*s is not a branch", STR_ARG(rq->params[0]));
    if (!job.create_pr) {
        struct access_object object = repo_access(&rq->repo);
        TRY(access_decide(rq->db, &rq->actor, ACT_WRITE, &object, err));
    }
    enum status status = run_job(&job, err);
    draft_free(&job.draft);
    buf_free(&job.own_attributes);
    return status;
}
