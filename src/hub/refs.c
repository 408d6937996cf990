/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refs, commits, branches, tags, squash (hub-protocol 1.5). */
#include "base/path.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "hub/summary.h"

#define BODY_LIMIT (1 << 20)
#define COMMITS_PAGE 1000

/* The JavaScript client asks for HEAD where it means the default branch. */
static enum status named_revision(struct request *rq, struct str name, struct revision *out, struct error *err)
{
    return revision_resolve(rq->db, rq->arena, rq->repo.id, str_eq(name, STR("HEAD")) ? STR("main") : name, out, err);
}

enum status request_revision(struct request *rq, size_t index, struct revision *out, struct error *err)
{
    TRY(named_revision(rq, rq->params[index], out, err));
    rq->commit = out->commit;
    rq->has_commit = true;
    return OK;
}

static void write_refs(struct json_writer *w, struct arena *arena, const char *key, struct str prefix,
                       const struct ref *refs, size_t count)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        if (!str_starts(refs[i].name, prefix))
            continue;
        jw_object(w);
        jw_key_str(w, "name", str_from(refs[i].name, prefix.len));
        jw_key_str(w, "ref", refs[i].name);
        jw_key_str(w, "targetCommit", oid_hex(arena, &refs[i].target));
        jw_end(w);
    }
    jw_end(w);
}

/* GET /api/{api}/refs */
enum status refs_get(struct request *rq, struct error *err)
{
    struct ref *refs;
    size_t count;
    TRY(ref_list(rq->db, rq->arena, rq->repo.id, &refs, &count, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_refs(&w, rq->arena, "branches", STR("refs/heads/"), refs, count);
    write_refs(&w, rq->arena, "converts", STR("refs/convert/"), refs, count);
    write_refs(&w, rq->arena, "tags", STR("refs/tags/"), refs, count);
    if (request_query_true(rq, "include_prs"))
        write_refs(&w, rq->arena, "pullRequests", STR("refs/pr/"), refs, count);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static void write_commit(struct json_writer *w, struct arena *arena, const struct commit *commit, bool formatted)
{
    jw_object(w);
    jw_key_str(w, "id", oid_hex(arena, &commit->id));
    jw_key_str(w, "title", commit->title);
    jw_key_str(w, "message", commit->message);
    jw_key(w, "authors");
    jw_array(w);
    jw_object(w);
    jw_key_str(w, "user", commit->author_name);
    jw_key_str(w, "avatar", STR(""));
    jw_end(w);
    jw_end(w);
    jw_key_str(w, "date", time_iso(arena, commit->at_us));
    if (formatted) {
        jw_key(w, "formatted");
        jw_object(w);
        jw_key_str(w, "title", commit->title);
        jw_key_str(w, "message", commit->message);
        jw_end(w);
    }
    jw_end(w);
}

/* GET /api/{api}/commits/{rev}: newest first; pages by p (of limit commits each) or by the cursor that Link carries. */
enum status commits_get(struct request *rq, struct error *err)
{
    struct revision revision;
    struct commit *commits;
    size_t count;
    int64_t page = 0, limit = COMMITS_PAGE, skip = 0, total;
    TRY(request_revision(rq, 0, &revision, err));
    if (!str_to_i64(request_query(rq, "limit", 0), &limit) || limit < 1 || limit > COMMITS_PAGE)
        limit = COMMITS_PAGE;
    struct str cursor = request_query(rq, "cursor", 0);
    if (str_given(cursor) && !str_to_i64(cursor, &skip))
        return fail(err, INVALID, NULL, "\"cursor\" is not one that this hub gave out");
    if (!str_given(cursor) && str_to_i64(request_query(rq, "p", 0), &page) &&
        __builtin_mul_overflow(page, limit, &skip))
        return fail(err, INVALID, NULL, "\"p\" is too large");
    TRY(commit_list(rq->db, rq->arena, rq->repo.id, &revision.commit, skip, limit, &commits, &count, &total, err));

    bool formatted = str_eq(request_query(rq, "expand[]", 0), STR("formatted"));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        write_commit(&w, rq->arena, &commits[i], formatted);
    jw_end(&w);
    reply_header(rq->http, "X-Total-Count", "%lld", (long long)total);
    if (skip + (int64_t)count < total && count > 0)
        request_link_next(rq, arena_printf(rq->arena, "%lld", (long long)(skip + (int64_t)count)));
    request_reply_json(rq, &body);
    return OK;
}

/* A first commit without files, for a branch that starts empty. */
static enum status empty_commit(struct request *rq, struct str ref, struct error *err)
{
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct draft_commit how = {.title = STR("initial commit"), .author = request_signature(rq)};
    request_done_reading(rq);
    TRY(draft_new(rq->hub->db, rq->repo.id, &draft, err));
    TRY(draft_build(draft, rq->arena, &how, &commit, &unchanged, err));
    return draft_apply(draft, &rq->repo, ref, NULL, rq->actor.account.id, NULL, NULL, err);
}

/* main was made to point elsewhere; what info and search know of the repo follows, a moment later. */
static enum status renew_summary(struct request *rq, const struct oid *head, struct error *err)
{
    struct summary_plan plan;
    TRY(summary_plan_of(&plan, rq, head, err));
    return db_write(rq->hub->db, summary_store, &plan, err);
}

static enum status branch_from(struct request *rq, struct str ref, const json_t *body, struct error *err)
{
    struct revision start;
    struct str from = json_get_str(body, "startingPoint");
    TRY(named_revision(rq, from.len ? from : STR("main"), &start, err));
    bool overwrite = json_get_bool(body, "overwrite", false);
    TRY(ref_create(rq->hub->db, &rq->repo, ref, &start.commit, overwrite, rq->actor.account.id, err));
    return str_eq(ref, STR("refs/heads/main")) ? renew_summary(rq, &start.commit, err) : OK;
}

/* POST /api/{api}/branch/{name} */
enum status branch_create(struct request *rq, struct error *err)
{
    json_t *body;
    struct str name = rq->params[0], ref = arena_printf(rq->arena, "refs/heads/%.*s", STR_ARG(name));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    if (ref_name_check(name, err) != OK || str_starts(name, STR("refs/")))
        return fail(err, INVALID, NULL, "Invalid reference for a branch: %.*s", STR_ARG(name));
    TRY(json_get_bool(body, "emptyBranch", false) ? empty_commit(rq, ref, err) : branch_from(rq, ref, body, err));
    request_reply_empty(rq);
    return OK;
}

/* People named it without refs/heads/, so the refusal does too. */
static enum status delete_ref(struct request *rq, struct str ref, struct str name, struct error *err)
{
    enum status status = ref_delete(rq->hub->db, &rq->repo, ref, rq->actor.account.id, err);
    if (status == NOT_FOUND)
        return fail(err, NOT_FOUND, "RevisionNotFound", "Invalid rev id: %.*s", STR_ARG(name));
    return status;
}

/* DELETE /api/{api}/branch/{name} */
enum status branch_delete(struct request *rq, struct error *err)
{
    struct str name = rq->params[0], ref = arena_printf(rq->arena, "refs/heads/%.*s", STR_ARG(name));
    if (str_eq(name, STR("main")))
        return fail(err, INVALID, NULL, "Cannot delete refs/heads/main");
    TRY(delete_ref(rq, ref, name, err));
    request_reply_empty(rq);
    return OK;
}

/* POST /api/{api}/tag/{rev}: with a message an annotated tag */
enum status tag_add(struct request *rq, struct error *err)
{
    json_t *body;
    struct revision revision;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_revision(rq, 0, &revision, err));
    struct str tag = json_get_str(body, "tag"), message = json_get_str(body, "message");
    if (ref_name_check(tag, err) != OK || str_starts(tag, STR("refs/")))
        return fail(err, INVALID, NULL, "Invalid reference for a tag: %.*s", STR_ARG(tag));
    struct signature tagger = request_signature(rq);
    TRY(tag_create(rq->hub->db, &rq->repo, tag, message.len ? message : (struct str){0}, &revision.commit, &tagger,
                   rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

/* DELETE /api/{api}/tag/{name} */
enum status tag_delete(struct request *rq, struct error *err)
{
    struct str name = rq->params[0], ref = arena_printf(rq->arena, "refs/tags/%.*s", STR_ARG(name));
    TRY(delete_ref(rq, ref, name, err));
    request_reply_empty(rq);
    return OK;
}

/* POST /api/{api}/super-squash/{rev}: the branch becomes one commit without parent, with the same tree. */
enum status super_squash(struct request *rq, struct error *err)
{
    json_t *body;
    struct revision revision;
    struct oid commit;
    bool unchanged;
    auto_draft struct draft *draft = NULL;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_revision(rq, 0, &revision, err));
    if (!revision.is_branch)
        return fail(err, NOT_FOUND, "RevisionNotFound", "Invalid rev id: %.*s is not a branch", STR_ARG(rq->params[0]));
    struct str message = json_get_str(body, "message");
    struct draft_commit how = {
        .title = message.len ? message : arena_printf(rq->arena, "Super-squash branch '%.*s'", STR_ARG(rq->params[0])),
        .author = request_signature(rq),
        .parent = &revision.commit,
        .squash = true,
    };
    request_done_reading(rq);
    TRY(draft_new(rq->hub->db, rq->repo.id, &draft, err));
    TRY(draft_build(draft, rq->arena, &how, &commit, &unchanged, err));
    TRY(draft_apply(draft, &rq->repo, revision.ref, &revision.commit, rq->actor.account.id, NULL, NULL, err));
    request_reply_empty(rq);
    return OK;
}
