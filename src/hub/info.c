/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/{api} and …/revision/{rev} (hub-protocol 1.3): a table of fields, each with its writer. */
#include "hub/info.h"
#include "base/text.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "hub/siblings.h"

enum { M = 1 << KIND_MODEL, D = 1 << KIND_DATASET, S = 1 << KIND_SPACE, ALL = M | D | S };
enum { ALONE = 1, LIST = 2, FULL = 4 }; /* in the answer about one repo, in listings, in listings with full=true */

/* One repo being written; what several fields need is loaded once. */
struct view {
    struct request *rq;
    const struct repo *repo;
    const struct info_fields *fields;
    struct summary summary;
    struct revision revision;
    bool has_revision;
};

typedef enum status field_writer(struct view *v, struct json_writer *w, struct error *err);

#define CONSTANT(name, call)                                                                                           \
    static enum status name(struct view *v, struct json_writer *w, struct error *err)                                  \
    {                                                                                                                  \
        (void)v, (void)err;                                                                                            \
        call;                                                                                                          \
        return OK;                                                                                                     \
    }

CONSTANT(write_null, jw_null(w))
CONSTANT(write_zero, jw_int(w, 0))
CONSTANT(write_empty_list, (jw_array(w), jw_end(w)))
CONSTANT(write_author, jw_str(w, v->repo->ns))
CONSTANT(write_private, jw_bool(w, v->repo->visibility == VISIBILITY_PRIVATE))
CONSTANT(write_disabled, jw_bool(w, v->repo->disabled))
CONSTANT(write_archived, jw_bool(w, v->repo->archived))
CONSTANT(write_gated, v->repo->gated.len ? jw_str(w, v->repo->gated) : jw_bool(w, false))
CONSTANT(write_created, jw_str(w, time_iso(v->rq->arena, v->repo->created_us)))
CONSTANT(write_modified, jw_str(w, time_iso(v->rq->arena, v->repo->updated_us)))
CONSTANT(write_sdk, jw_str(w, v->repo->sdk))
CONSTANT(write_xet_enabled, jw_bool(w, xet_advertised(v->rq, v->repo)))
CONSTANT(write_tags, jw_raw(w, v->summary.tags))
CONSTANT(write_card, jw_raw(w, v->summary.card))
CONSTANT(write_pipeline, v->summary.pipeline.len ? jw_str(w, v->summary.pipeline) : jw_null(w))
CONSTANT(write_library, v->summary.library.len ? jw_str(w, v->summary.library) : jw_null(w))
CONSTANT(write_config, v->summary.config.len ? jw_raw(w, v->summary.config) : jw_null(w))
CONSTANT(write_safetensors, v->summary.safetensors.len ? jw_raw(w, v->summary.safetensors) : jw_null(w))
CONSTANT(write_sha, v->has_revision ? jw_str(w, oid_hex(v->rq->arena, &v->revision.commit)) : jw_null(w))
CONSTANT(write_runtime, (jw_object(w), jw_key_str(w, "stage", STR("NO_APP_FILE")), jw_end(w)))

static enum status write_used_storage(struct view *v, struct json_writer *w, struct error *err)
{
    int64_t bytes;
    TRY(store_repo_bytes(v->rq->db, v->repo->id, &bytes, err));
    jw_int(w, bytes);
    return OK;
}

static enum status write_siblings(struct view *v, struct json_writer *w, struct error *err)
{
    if (v->has_revision)
        return siblings_write(v->rq, w, v->repo->id, &v->revision.commit, v->fields->blobs, err);
    jw_array(w);
    jw_end(w);
    return OK;
}

/* {"scansDone":false} is what the client takes for "nothing known"; scanning is a later part. */
static enum status write_security(struct view *v, struct json_writer *w, struct error *err)
{
    (void)v, (void)err;
    jw_object(w);
    jw_key_bool(w, "scansDone", false);
    jw_key(w, "filesWithIssues");
    jw_array(w);
    jw_end(w);
    jw_end(w);
    return OK;
}

static enum status write_transformers(struct view *v, struct json_writer *w, struct error *err)
{
    (void)err;
    if (!str_eq(v->summary.library, STR("transformers"))) {
        jw_null(w);
        return OK;
    }
    jw_object(w);
    jw_key_str(w, "auto_model", STR("AutoModel"));
    if (v->summary.pipeline.len)
        jw_key_str(w, "pipeline_tag", v->summary.pipeline);
    jw_end(w);
    return OK;
}

static const struct {
    const char *name;
    int kinds, where;
    field_writer *write;
} fields_table[] = {
    {"author", ALL, ALONE | FULL, write_author},
    {"sha", ALL, ALONE | FULL, write_sha},
    {"lastModified", ALL, ALONE | LIST, write_modified},
    {"createdAt", ALL, ALONE | LIST, write_created},
    {"private", ALL, ALONE | LIST, write_private},
    {"gated", M | D, ALONE | FULL, write_gated},
    {"disabled", ALL, ALONE, write_disabled},
    {"archived", ALL, ALONE, write_archived},
    {"downloads", M | D, ALONE | LIST, write_zero},
    {"downloadsAllTime", M | D, 0, write_zero},
    {"likes", ALL, ALONE | LIST, write_zero},
    {"trendingScore", ALL, LIST, write_zero},
    {"tags", ALL, ALONE | LIST, write_tags},
    {"pipeline_tag", M, ALONE | LIST, write_pipeline},
    {"library_name", M, ALONE | LIST, write_library},
    {"cardData", ALL, ALONE, write_card},
    {"config", M, ALONE, write_config},
    {"transformersInfo", M, ALONE, write_transformers},
    {"safetensors", M, ALONE, write_safetensors},
    {"siblings", ALL, ALONE | FULL, write_siblings},
    {"usedStorage", ALL, 0, write_used_storage}, /* costs grow with the files: only for who asks */
    {"spaces", M, ALONE, write_empty_list},
    {"sdk", S, ALONE | LIST, write_sdk},
    {"runtime", S, ALONE, write_runtime},
    {"models", S, ALONE, write_empty_list},
    {"datasets", S, ALONE, write_empty_list},
    {"baseModels", M, 0, write_null},
    {"childrenModelCount", M, 0, write_zero},
    {"evalResults", M, 0, write_empty_list},
    {"gguf", M, 0, write_null},
    {"inference", M, 0, write_null},
    {"inferenceProviderMapping", M, 0, write_empty_list},
    {"mask_token", M, 0, write_null},
    {"model-index", M, 0, write_null},
    {"widgetData", M, 0, write_null},
    {"region", S, 0, write_null},
    {"citation", D, 0, write_null},
    {"description", D, 0, write_null},
    {"mainSize", D, 0, write_zero},
    {"paperswithcode_id", D, 0, write_null},
    {"subdomain", S, 0, write_null},
    {"resourceGroup", ALL, 0, write_null},
    {"gitalyUid", ALL, 0, write_null},
    {"xetEnabled", ALL, ALONE, write_xet_enabled},
    {"securityRepoStatus", M, 0, write_security},
};
#define FIELDS (sizeof fields_table / sizeof *fields_table)
_Static_assert(FIELDS <= 64, "info_fields.set has a bit for each field");

static enum status unknown_expand(enum repo_kind kind, struct error *err)
{
    auto_buf struct buf names = {0};
    for (size_t i = 0; i < FIELDS; i++)
        if (fields_table[i].kinds & 1 << kind)
            buf_printf(&names, "%s%s", names.len ? ", " : "", fields_table[i].name);
    return fail(err, INVALID, NULL, "\"expand\" must be one of [%.*s]", STR_ARG(buf_view(&names)));
}

static enum status add_expanded(struct info_fields *out, enum repo_kind kind, struct str name, struct error *err)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (str_eq(name, str_of(fields_table[i].name)) && fields_table[i].kinds & 1 << kind) {
            out->set |= UINT64_C(1) << i;
            return OK;
        }
    }
    return unknown_expand(kind, err);
}

bool info_fields_have(const struct info_fields *fields, const char *name)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields_table[i].name, name) == 0)
            return fields->set >> i & 1;
    return false;
}

static void add_field(struct info_fields *out, const char *name)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields_table[i].name, name) == 0)
            out->set |= UINT64_C(1) << i;
}

enum status info_fields_read(struct request *rq, enum repo_kind kind, bool list, struct info_fields *out,
                             struct error *err)
{
    struct str name;
    *out = (struct info_fields){.blobs = request_query_true(rq, "blobs")};
    for (size_t i = 0; str_given(name = request_query(rq, "expand", i)); i++) {
        out->expand = true;
        TRY(add_expanded(out, kind, name, err));
    }
    for (size_t i = 0; str_given(name = request_query(rq, "expand[]", i)); i++) {
        out->expand = true;
        TRY(add_expanded(out, kind, name, err));
    }
    if (out->expand)
        return OK;
    int where = list ? LIST | (request_query_true(rq, "full") ? FULL : 0) : ALONE;
    for (size_t i = 0; i < FIELDS; i++)
        if (fields_table[i].where & where)
            out->set |= UINT64_C(1) << i;
    if (request_query_true(rq, "cardData"))
        add_field(out, "cardData");
    if (request_query_true(rq, "config"))
        add_field(out, "config");
    if (request_query_true(rq, "securityStatus"))
        add_field(out, "securityRepoStatus");
    return OK;
}

enum status info_write(struct request *rq, struct json_writer *w, const struct repo *repo,
                       const struct revision *revision, const struct info_fields *fields, struct error *err)
{
    struct view v = {.rq = rq, .repo = repo, .fields = fields, .has_revision = revision != NULL};
    if (revision)
        v.revision = *revision;
    else
        v.has_revision = revision_resolve(rq->db, rq->arena, repo->id, STR("main"), &v.revision, NULL) == OK;
    TRY(summary_load(rq->db, rq->arena, repo->id, &v.summary, err));
    jw_object(w);
    jw_key_str(w, "_id", repo->public_id);
    jw_key_str(w, "id", repo->full_name);
    if (repo->kind == KIND_MODEL && !fields->expand)
        jw_key_str(w, "modelId", repo->full_name);
    for (size_t i = 0; i < FIELDS; i++) {
        if (!(fields->set >> i & 1) || !(fields_table[i].kinds & 1 << repo->kind))
            continue;
        jw_key(w, fields_table[i].name);
        TRY(fields_table[i].write(&v, w, err));
    }
    jw_end(w);
    return OK;
}

static enum status reply_info(struct request *rq, const struct revision *revision, struct error *err)
{
    struct info_fields fields;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(info_fields_read(rq, rq->repo.kind, false, &fields, err));
    TRY(info_write(rq, &w, &rq->repo, revision, &fields, err));
    request_reply_json(rq, &body);
    return OK;
}

/* GET /api/{api} */
enum status info_get(struct request *rq, struct error *err)
{
    return reply_info(rq, NULL, err);
}

/* GET /api/{api}/revision/{rev} */
enum status info_get_revision(struct request *rq, struct error *err)
{
    struct revision revision;
    TRY(request_revision(rq, 0, &revision, err));
    return reply_info(rq, &revision, err);
}
