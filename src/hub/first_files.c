/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/first_files.h"
#include "hub/handlers.h"
#include "hub/summary.h"
#include "scan/card.h"

#define FILES_LIMIT 1000

static enum status read_file(struct arena *arena, const json_t *value, struct first_file *out, struct error *err)
{
    auto_buf struct buf content = {0};
    struct commit_line line;
    TRY(commit_line_file(arena, value, &line, &content, err));
    if (pointer_parse(buf_view(&content), line.sha256, &line.size))
        return fail(err, INVALID, NULL, "%.*s names a large file, but a new repo has none yet", STR_ARG(line.path));
    *out = (struct first_file){line.path, arena_copy(arena, buf_view(&content))};
    return OK;
}

static bool has_readme(const struct first_files *first)
{
    for (size_t i = 0; i < first->count; i++)
        if (str_eq(first->files[i].path, STR("README.md")))
            return true;
    return false;
}

static enum status license_file(struct arena *arena, struct str license, enum repo_kind kind, struct first_file *out,
                                struct error *err)
{
    auto_buf struct buf readme = {0};
    struct json_writer w = jw_to(&readme);
    struct card_report report = {0};
    buf_str(&readme, STR("---\nlicense: "));
    jw_str(&w, license); /* quoted: the name must not bring YAML of its own */
    buf_str(&readme, STR("\n---\n"));
    *out = (struct first_file){STR("README.md"), arena_copy(arena, buf_view(&readme))};
    card_validate(arena, out->content, repo_kind_name(kind), &report);
    return report.errors.count ? fail(err, INVALID, NULL, "%.*s", STR_ARG(report.errors.messages[0])) : OK;
}

enum status first_files_read(struct arena *arena, const json_t *body, enum repo_kind kind, struct first_files *out,
                             struct error *err)
{
    const json_t *files = json_object_get(body, "files");
    struct str license = json_get_str(body, "license");
    *out = (struct first_files){0};
    if ((files && !json_is_array(files) && !json_is_null(files)) || json_array_size(files) > FILES_LIMIT)
        return fail(err, INVALID, NULL, "\"files\" must be a list of at most %d files", FILES_LIMIT);
    out->files = arena_array(arena, json_array_size(files) + 1, sizeof *out->files);
    for (; out->count < json_array_size(files); out->count++)
        TRY(read_file(arena, json_array_get(files, out->count), &out->files[out->count], err));
    if (license.len == 0 || kind == KIND_SPACE || has_readme(out))
        return OK;
    TRY(license_file(arena, license, kind, &out->files[out->count], err));
    out->count++;
    return OK;
}

static enum status commit_files(struct request *rq, const struct first_files *first, struct error *err)
{
    auto_draft struct draft *draft = NULL;
    struct revision main_now;
    struct oid commit;
    struct summary_plan plan;
    bool unchanged;
    struct draft_commit how = {.title = STR("Add the first files"), .author = request_signature(rq)};
    TRY(request_read(rq, err));
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, STR("refs/heads/main"), &main_now, err));
    request_done_reading(rq);
    how.parent = &main_now.commit;
    TRY(draft_new(rq->hub->db, rq->repo.id, &draft, err));
    for (size_t i = 0; i < first->count; i++)
        TRY(draft_put(draft, first->files[i].path, first->files[i].content, err));
    TRY(draft_build(draft, rq->arena, &how, &commit, &unchanged, err));
    if (unchanged)
        return OK;
    TRY(summary_plan(&plan, rq, draft, err));
    return draft_apply(draft, &rq->repo, main_now.ref, &main_now.commit, rq->actor.account.id, summary_store, &plan,
                       err);
}

enum status first_files_commit(struct request *rq, const struct repo *made, const struct first_files *first,
                               struct error *err)
{
    rq->repo = *made;
    if (first->count == 0)
        return OK;
    enum status status = commit_files(rq, first, err);
    if (status != OK) /* "a" and "a/b", say: without its files the repo is not what was asked for */
        repo_delete(rq->hub->db, &rq->repo, rq->actor.account.id, NULL);
    return status;
}
